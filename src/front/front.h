// What the files of the front door share: the environment and how texts and errors cross the door.
#ifndef GPUX_FRONT_FRONT_H
#define GPUX_FRONT_FRONT_H

#include "base/cpu.h"
#include "base/log.h"
#include "base/status.h"
#include "base/str.h"
#include "engine/engine.h"
#include "gpux.h"
#include "store/store.h"
#include "text/text.h"

#ifndef GPUX_VERSION
#error "the build defines GPUX_VERSION"
#endif

enum { MAX_TEXT_BYTES = 1 << 30, REPORT_INDENT = 2 };

// Whether what starts make is kept for the next one: packed weights, the compiled tokenizer.
typedef enum KeepMode {
    KEEP_AUTO, // in a model's folder, where it gains something and leaves room
    KEEP_ALWAYS,
    KEEP_NEVER,
} KeepMode;

struct gpux_env {
    CpuInfo cpu;
    Log log;
    void (*log_fn)(void *ctx, gpux_log_level level, const char *message);
    void *log_ctx;
    char *cache_dir;
    bool cache_is_default;
    const char *home;
    KeepMode keep;
};

static inline Error *inner(gpux_error *error) {
    return (Error *)error;
}

static inline gpux_status outer(Status status) {
    return (gpux_status)status;
}

// How names are resolved for this environment; `options` may be NULL.
ResolveOptions env_resolve_options(gpux_env *env, const gpux_location_options *options);

// The one rule for what may be left beside a model: its .gpux folder, or NULL for nothing.
const char *env_kept_folder(const gpux_env *env, const ModelInfo *info);

// The model's tokenizer; *out is NULL for a model without one, or with one that gpux cannot read,
// which is warned about: raw tensors still work.
Status open_tokenizer(Tokenizer **out, const gpux_env *env, const ModelInfo *info, Error *error);

// Hands a buffer over as a gpux_text, or frees it on failure.
gpux_status give_text(gpux_text *out, Buf *buf, Status status, gpux_error *error);

#endif
