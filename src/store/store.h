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
    bool no_last_resort;   // never the project here under another name
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
    char *cache_dir;  // where other models may be looked up, or NULL
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
// Whether a converted folder has the opset and the task that the options ask for; also true where
// nothing tells, and for graphs that were published as ONNX.
bool store_is_converted_as(const char *folder, const ConvertOptions *options);

// ---- model_info.c ----

typedef enum Pooling {
    POOLING_MEAN,
    POOLING_CLS,
    POOLING_MAX,
    POOLING_MEAN_SQRT_LEN,
    POOLING_LAST_TOKEN,
} Pooling;

// Put in front of a text before it is embedded.
typedef struct Prompt {
    const char *name, *text; // text may be empty
} Prompt;

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
        *tokenizer_folder;   // absolute; where tokenizer files are, or NULL when there are none
    const char *kept_folder; // ".gpux" beside the model, for derived files
    bool is_bare;            // a file outside any model's folder: nothing is left beside it
    const char *task;        // never NULL; "raw" when nothing tells
    const char **labels;     // from id2label, else the config's outputs.labels; may be NULL
    size_t label_count;
    ProblemType problem_type;
    Pooling pooling;
    bool normalize;        // L2 after pooling, when modules.json has it
    const Prompt *prompts; // of an embedding model: sentence-transformers' own and the model's
    size_t prompt_count;
    const Prompt *default_prompt; // applied when a request names none, or NULL
    bool skips_prompt;            // the tokens of a prompt are not pooled
    size_t max_length; // tokens, first present of the documented order; 0 = the model's positions
    size_t max_length_set;       // non-zero only when gpux.yml wrote preprocessing.max_length
    bool do_lower_case;          // from sentence_bert_config.json: lower-case before tokenising
    const char *text_key;        // the project's single friendly input name, or NULL
    const char *friendly_output; // the project's single friendly output with labels, or NULL
    uint64_t parameters;         // as inspect counts them: of the checkpoint, else of the graph
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

// ---- check.c: what `build` says of a project ----

typedef struct Warnings {
    Arena arena;
    const char **items;
    size_t count;
} Warnings;
void warnings_free(Warnings *warnings);

// The project that PATH means: a folder, its configuration file, or else a name as for
// store_resolve. STATUS_NOT_FOUND "Configuration file not found: <path>".
Status store_locate_project(Location *out, const char *path, const ResolveOptions *options,
                            Error *error);
// Reads the configuration and adds a warning for each unknown or duplicate key. Errors as
// project_open.
Status store_check_config(Warnings *out, const Location *location, Error *error);
// Adds a warning for each input, output and list of labels that contradicts the model's graph.
Status store_check_model(Warnings *out, const Location *location, Error *error);

// ---- built.c: the folder .gpux, in which `build` leaves its results ----

#define BUILT_FOLDER ".gpux"
// Writes <folder>/.gpux/<name> at once or not at all.
Status built_write(const char *folder, const char *name, const Buf *text, Error *error);
// JSON array of the files in it, as absolute paths.
Status built_write_list(JsonWriter *writer, const char *folder, Error *error);
// The provider that a user gave to the last build: a heap string, or NULL.
char *built_provider(const char *folder);

// ---- tuning.c: what `build` measured ----

// One precision against fp32, whose own row has speedup 1 and no difference.
typedef struct Measurement {
    const char *precision;
    double ms; // lower quartile of runs of the goal's request
    double speedup;
    double max_abs, mean_abs, cosine_mean, cosine_min, agreement;
    double cosine_limit, agreement_limit; // 0 = none
    bool has_cosine, has_labels, is_within;
} Measurement;

enum { TUNING_MAX_ROWS = 4, TUNING_MAX_TRIALS = 16 };

typedef struct Tuning {
    const char *goal; // "latency", "throughput"
    const char *provider;
    const char *precision; // what auto is from now on
    int threads;           // 0 = not tuned
    bool is_dataset;       // else the built-in samples
    size_t requests, tokens;
    Measurement rows[TUNING_MAX_ROWS];
    size_t row_count;
    struct {
        int threads;
        double ms;
    } trials[TUNING_MAX_TRIALS];
    size_t trial_count;
} Tuning;

// JSON array of the model's files with their stat and SHA-256. Taken before the model is measured:
// a record of files that are replaced meanwhile then counts for none.
Status tuning_sources(Buf *out, const char *model_file, Error *error);
// Writes the record, with the CPU and the version.
Status tuning_write(const Tuning *tuning, const char *folder, const Buf *sources,
                    const CpuInfo *cpu, Error *error);
// The measured figures as members of an open object.
void tuning_write_members(JsonWriter *writer, const Tuning *tuning);

typedef struct TunedChoice {
    const char *precision; // static; NULL = nothing is known
    int threads;           // 0 = likewise
} TunedChoice;
// What the record in the folder allows for this model on this CPU. A record that is missing,
// damaged, or of another model, CPU or version allows nothing, which is logged at DEBUG.
void tuning_load(TunedChoice *out, const char *folder, const char *model_file, const CpuInfo *cpu,
                 const Log *log);

#endif
