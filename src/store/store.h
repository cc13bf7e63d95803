// The door of store/: the model as a folder on disk. Finding it, converting it, and what tasks must
// know about it.
#ifndef GPUX_STORE_STORE_H
#define GPUX_STORE_STORE_H

#include "base/cpu.h"
#include "base/json.h"
#include "base/log.h"
#include "base/memory.h"
#include "base/status.h"
#include "base/str.h"
#include "base/tensor.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

// ---- resolve.c ----

typedef struct ResolveOptions {
    const char *cache_dir; // cache root: never NULL
    bool cache_is_default; // print "~/.gpux/models/" instead of the path
    const char *home;      // for "~"; may be NULL
    const char *config;    // "gpux.yml"
    const char *revision;  // or NULL
    const Log *log;
} ResolveOptions;

// The absolute folder that MODEL_NAME leads to and the config file in it (first match of the order
// in docs/cli.md). *config is NULL for a folder or file without a configuration: a bare .onnx file
// or a converted folder; *model_file then is the model (else NULL). All three are heap strings. The
// message of STATUS_NOT_FOUND is the whole block of searched locations and suggestions.
typedef struct Location {
    char *folder;     // absolute
    char *config;     // absolute path of gpux.yml, or NULL
    char *model_file; // absolute path of a model named without config, or NULL
} Location;
Status store_resolve(Location *out, const char *name, const ResolveOptions *options, Error *error);
void location_free(Location *location);

// ---- convert.c ----

typedef struct ConvertOptions {
    const char *output; // folder; NULL = beside the weights
    int64_t opset;      // 0 = 18
    const char *task;   // NULL = from the architecture
    bool force;         // overwrite a gpux.yml that gpux did not write
    const Log *log;
} ConvertOptions;

// Checkpoint folder → model.onnx, gpux.yml, metadata.json, each written atomically, model.onnx
// first and metadata.json (complete: true) last. On failure nothing that was not there before is
// left. `report`: see gpux_convert. STATUS_CONVERSION for what is wrong with the checkpoint,
// STATUS_NOT_FOUND for a missing folder.
Status store_convert(Buf *report, const char *folder, const ConvertOptions *options, Error *error);

// ---- model_info.c ----

typedef enum Pooling {
    POOLING_MEAN,
    POOLING_CLS,
    POOLING_MAX,
    POOLING_MEAN_SQRT_LEN,
    POOLING_LAST_TOKEN,
} Pooling;

typedef enum ProblemType {
    PROBLEM_SINGLE_LABEL, // softmax
    PROBLEM_MULTI_LABEL,  // sigmoid; also for one label
    PROBLEM_REGRESSION,   // none
} ProblemType;

// All that tasks/ must know about a model's folder, in one struct. Strings live in the arena.
typedef struct ModelInfo {
    Arena arena;
    const char *folder;
    const char *name, *version;
    const char *model_file; // absolute path of model.onnx
    const char
        *tokenizer_folder; // absolute; where tokenizer files are, or NULL when there are none
    const char *task;      // never NULL; "raw" when nothing tells
    const char **labels;   // from id2label, else the config's outputs.labels; may be NULL
    size_t label_count;
    ProblemType problem_type;
    Pooling pooling;
    bool normalize;    // L2 after pooling, when modules.json has it
    size_t max_length; // tokens, first present of the documented order; 0 = the model's positions
    size_t max_length_set;       // non-zero only when gpux.yml wrote preprocessing.max_length
    bool do_lower_case;          // from sentence_bert_config.json: lower-case before tokenising
    const char *text_key;        // the project's single friendly input name, or NULL
    const char *friendly_output; // the project's single friendly output with labels, or NULL
    int64_t timeout_seconds;
    int64_t batch_size;  // written bound for chunks, or 0
    int64_t threads;     // runtime.threads, 0 = automatic
    const char *backend; // runtime.gpu.backend, "auto" by default
    const char *precision;
} ModelInfo;
Status model_info_load(ModelInfo **out, const Location *location, Error *error);
void model_info_free(ModelInfo *info);

// ---- inspect.c ----

// {"config": …, "model_info": …} for a resolved location. Reads headers only.
Status store_inspect(Buf *out, const Location *location, Error *error);
// A bare ModelInfo object for a model file.
Status store_inspect_file(Buf *out, const char *path, Error *error);

#endif
