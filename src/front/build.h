// What the two halves of `build` share: its steps (build.c) and its measuring (tune.c).
#ifndef GPUX_FRONT_BUILD_H
#define GPUX_FRONT_BUILD_H

#include "engine/engine.h"
#include "front/front.h"
#include "store/store.h"
#include "text/text.h"

typedef struct Builder {
    gpux_env *env;
    const gpux_build_options *options;
    Location location;
    int hold; // keeps a cached model from being removed
    ModelInfo *info;
    Tokenizer *tokenizer; // NULL: raw tensors only
    const char *provider; // full name of the one that is used
    Buf sources;          // of the model that is measured; tuning_sources
    Warnings warnings;
    Error *error;
} Builder;

// Tells the caller what comes next. STATUS_CANCELLED when it wants no more.
__attribute__((format(printf, 3, 4))) Status
builder_tell(const Builder *builder, gpux_build_step step, const char *format, ...);
// How a model is opened in this precision; its packed weights are not kept.
EngineOptions builder_engine(const Builder *builder, const char *precision);

// The precision that a user has decided on, or NULL.
const char *builder_precision(const Builder *builder);

// Measures what reduced precisions lose and gain and, with options->tune, how many threads are
// best; `out` says what `auto` becomes. STATUS_INVALID and STATUS_UNSUPPORTED when this model
// cannot be measured by the samples.
Status tune_model(Tuning *out, Builder *builder);

#endif
