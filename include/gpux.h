// gpux: run machine-learning models from a hub on the best engine a machine has. Public C API.
//
// Reading order: status, environment, providers, models on disk (resolve, convert, inspect), loaded
// models, runners, requests. One header, C17 and C++; handles are opaque; option structs start with
// their size and have an initialiser; enums have fixed values.
//
// Threads: gpux_env and gpux_model are immutable once made and may be shared by any threads. A
// gpux_runner, and a gpux_request, is used by one thread at a time.
#ifndef GPUX_H
#define GPUX_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

#if defined(__GNUC__)
#define GPUX_API __attribute__((visibility("default")))
#else
#define GPUX_API
#endif

// ---- Status ----

typedef enum gpux_status {
    GPUX_OK = 0,
    GPUX_INVALID = 1,     // an argument or a request is wrong
    GPUX_NOT_FOUND = 2,   // a model, file or tensor is absent
    GPUX_IO = 3,          // the system refused to read or write
    GPUX_CORRUPT = 4,     // a file contradicts its own format
    GPUX_UNSUPPORTED = 5, // well-formed, but not something gpux can do
    GPUX_OUT_OF_MEMORY = 6,
    GPUX_LIMIT = 7,    // over a stated bound
    GPUX_NO_SPACE = 8, // disk full
    GPUX_CANCELLED = 9,
    GPUX_TIMEOUT = 10,
    GPUX_CONVERSION = 11, // a checkpoint cannot become a graph
    GPUX_INTERNAL = 12,
} gpux_status;

// Filled on failure by every function that takes one; may be NULL.
typedef struct gpux_error {
    gpux_status code;
    char message[1024]; // what, where and what to do; UTF-8; several lines only for configurations
    size_t offset;      // byte offset in the parsed input, or 0
} gpux_error;

GPUX_API const char *gpux_version(void); // "0.1.0"
GPUX_API const char *gpux_status_text(gpux_status status);

// Text made by the library, freed by gpux_text_free. Always NUL-terminated.
typedef struct gpux_text {
    char *ptr;
    size_t len;
} gpux_text;
GPUX_API void gpux_text_free(gpux_text *text); // safe on {0}

// ---- Environment: what a process has once ----

typedef struct gpux_env gpux_env;

typedef enum gpux_log_level {
    GPUX_LOG_DEBUG = 0,
    GPUX_LOG_INFO = 1,
    GPUX_LOG_WARNING = 2,
    GPUX_LOG_ERROR = 3,
    GPUX_LOG_CRITICAL = 4,
} gpux_log_level;

typedef struct gpux_options {
    size_t size;
    // Called from any thread; NULL drops messages.
    void (*log)(void *ctx, gpux_log_level level, const char *message);
    void *log_ctx;
    gpux_log_level log_level; // least level passed on
    const char *cache_dir;    // cache root; NULL = GPUX_CACHE_DIR, else ~/.gpux/models
    const char *cpu_level;    // "native", or "ref", "avx2", "avx512" to hold back; NULL = native
    // Whether packed weights and the compiled tokenizer are kept in a model's .gpux/ folder for
    // the next start: "auto" (in a folder with gpux.yml or metadata.json; weights from 4 MB on,
    // while twice their size is free), "always" or "never"; NULL = GPUX_PREPARED, else auto.
    const char *prepared;
} gpux_options;
#define GPUX_OPTIONS_INIT                                                                          \
    { sizeof(gpux_options), NULL, NULL, GPUX_LOG_WARNING, NULL, NULL, NULL }

GPUX_API gpux_status gpux_open(gpux_env **out, const gpux_options *options, gpux_error *error);
GPUX_API void gpux_close(gpux_env *env); // after everything made from it; NULL is allowed

// {"available_providers": […], "provider_details": {…}} and this machine's CPU: what `inspect`
// without arguments shows.
GPUX_API gpux_status gpux_system_info(gpux_text *out, gpux_env *env, gpux_error *error);

// ---- Models on disk ----

// Where a name leads: a path, a project here, a cached model (see docs/cli.md).
typedef struct gpux_location_options {
    size_t size;
    const char *config;   // file name of the configuration; NULL = "gpux.yml"
    const char *revision; // of a cached model; NULL = any
} gpux_location_options;
#define GPUX_LOCATION_OPTIONS_INIT                                                                 \
    { sizeof(gpux_location_options), NULL, NULL }

// The folder (absolute) that MODEL_NAME leads to. GPUX_NOT_FOUND carries the whole multi-line "not
// found" block as its message.
GPUX_API gpux_status gpux_resolve(gpux_text *folder, gpux_env *env, const char *name,
                                  const gpux_location_options *options, gpux_error *error);

typedef struct gpux_convert_options {
    size_t size;
    const char *output; // folder for the result; NULL = beside the weights
    int opset;          // 17 to 23; 0 = 18
    const char *task;   // NULL = from the architecture
    bool force;         // overwrite a gpux.yml that exists
} gpux_convert_options;
#define GPUX_CONVERT_OPTIONS_INIT                                                                  \
    { sizeof(gpux_convert_options), NULL, 0, NULL, false }

// Turns a checkpoint folder into model.onnx, gpux.yml and metadata.json. `report` (may be NULL)
// receives JSON {path, task, architecture, parameters, format, opset, size_bytes, convert_time_s,
// warnings}. GPUX_CONVERSION when the checkpoint is at fault, and nothing is left behind.
GPUX_API gpux_status gpux_convert(gpux_text *report, gpux_env *env, const char *folder,
                                  const gpux_convert_options *options, gpux_error *error);

// JSON of `inspect MODEL_NAME`: {"config": …, "model_info": …}; never reads all weights.
GPUX_API gpux_status gpux_inspect(gpux_text *out, gpux_env *env, const char *name,
                                  const gpux_location_options *options, gpux_error *error);
// JSON of `inspect --model FILE`: a bare ModelInfo.
GPUX_API gpux_status gpux_inspect_file(gpux_text *out, gpux_env *env, const char *path,
                                       gpux_error *error);

// The plan the native engine would run, as text: the graph after all passes, a line per step. Reads
// no weights.
GPUX_API gpux_status gpux_inspect_plan(gpux_text *out, gpux_env *env, const char *name,
                                       const gpux_location_options *options, gpux_error *error);

// ---- Building a project: checked, measured and prepared for later runs ----

typedef enum gpux_build_step {
    GPUX_BUILD_CONFIG = 0, // the configuration is read
    GPUX_BUILD_MODEL = 1,  // the model is looked for
    GPUX_BUILD_INSPECT = 2,
    GPUX_BUILD_PROVIDER = 3,
    GPUX_BUILD_OPTIMIZE = 4,
    GPUX_BUILD_MEASURE = 5, // a precision, or the number of threads
    GPUX_BUILD_SAVE = 6,
} gpux_build_step;

// What is measured beyond the choice of a precision: the best number of threads, for one request at
// a time or for many together.
typedef enum gpux_tune {
    GPUX_TUNE_NONE = 0,
    GPUX_TUNE_LATENCY = 1,
    GPUX_TUNE_THROUGHPUT = 2,
} gpux_tune;

typedef struct gpux_build_options {
    size_t size;
    const char *config;    // file name of the configuration; NULL = "gpux.yml"
    const char *provider;  // kept as the default of later runs; NULL = choose
    const char *precision; // of what is prepared; NULL or "auto" = measured
    bool no_optimize;      // only check, and write model_info.json and provider_info.json
    bool strict;           // warnings are errors
    gpux_tune tune;
    // Requests, one JSON object a line, that precisions are compared by; NULL = built-in texts.
    const char *samples;
    size_t samples_len;
    // Told what begins, in words, on the calling thread; returning false cancels. May be NULL.
    bool (*progress)(void *ctx, gpux_build_step step, const char *text);
    void *progress_ctx;
    const char *provider_once; // where `provider` is NULL: of this build alone
} gpux_build_options;
#define GPUX_BUILD_OPTIONS_INIT                                                                    \
    {                                                                                              \
        sizeof(gpux_build_options), NULL, NULL, NULL, false, false, GPUX_TUNE_NONE, NULL, 0, NULL, \
            NULL, NULL                                                                             \
    }

// Checks the project in `path` (a folder, its configuration file, or the name of a cached model),
// measures which precision `auto` may choose on this machine, prepares the weights, and writes
// what it found into the project's folder .gpux/, where gpux_model_open finds it. `report`: JSON
// {model_info, provider_info, artifacts, warnings, tuning, folder}. GPUX_NOT_FOUND "Configuration
// file not found: <path>" or "Model file not found: <path>".
GPUX_API gpux_status gpux_build(gpux_text *report, gpux_env *env, const char *path,
                                const gpux_build_options *options, gpux_error *error);

// ---- Models from a hub ----

// Why a hub or cache call failed, beyond the status. Values are fixed; gpux_fault_exit_code gives
// the documented exit code of each.
typedef enum gpux_fault {
    GPUX_FAULT_NONE = 0,
    GPUX_FAULT_USAGE = 1,
    GPUX_FAULT_NAME = 2,            // not a model id or registry that gpux knows
    GPUX_FAULT_MODEL_NOT_FOUND = 3, // absent, or private and hidden; also not cached
    GPUX_FAULT_REVISION_NOT_FOUND = 4,
    GPUX_FAULT_NETWORK = 5,
    GPUX_FAULT_OFFLINE = 6,
    GPUX_FAULT_AUTHENTICATION = 7,
    GPUX_FAULT_GATED = 8,
    GPUX_FAULT_FORBIDDEN = 9,
    GPUX_FAULT_REGISTRY = 10, // the hub answered with an error, or lied about a file
    GPUX_FAULT_CONVERSION = 11,
    GPUX_FAULT_LOCAL = 12, // disk, permissions, memory
    GPUX_FAULT_IN_USE = 13,
    GPUX_FAULT_CANCELLED = 14,
} gpux_fault;

GPUX_API int gpux_fault_exit_code(gpux_fault fault);
// May have two lines; NULL when there is none.
GPUX_API const char *gpux_fault_hint(gpux_fault fault);

typedef enum gpux_pull_step {
    GPUX_PULL_RESOLVED = 0,   // commit and file list are known
    GPUX_PULL_LOCK_WAIT = 1,  // another process pulls this revision; again every 10 s
    GPUX_PULL_RETRY_WAIT = 2, // a wait before a retry begins
    GPUX_PULL_BYTES = 3,      // bytes moved; 4 to 10 times a second
    GPUX_PULL_FILE_DONE = 4,  // `file` is complete, verified and durable
    GPUX_PULL_FINISHING = 5,  // conversion is next
    GPUX_PULL_PUBLISHING = 6,
    GPUX_PULL_PUBLISHED = 7,
} gpux_pull_step;

typedef struct gpux_pull_event {
    gpux_pull_step step;
    const char *commit;
    const char *file; // path inside the repository, or NULL
    uint64_t file_bytes, file_total;
    size_t files_done, files;
    uint64_t bytes, total; // of all files
    double rate;           // bytes per second
    double wait_s;
    bool is_from_disk; // taken from a copy on this machine
} gpux_pull_event;

// Shared by all hub calls; may be NULL.
typedef struct gpux_hub_options {
    size_t size;
    const char *token; // NULL = environment, credentials file, token file
    bool offline;
} gpux_hub_options;
#define GPUX_HUB_OPTIONS_INIT                                                                      \
    { sizeof(gpux_hub_options), NULL, false }

typedef struct gpux_pull_options {
    size_t size;
    gpux_hub_options hub;
    const char *model;    // org/name, name, with hf: prefix or @revision
    const char *registry; // NULL = by the prefix, else huggingface
    const char *revision; // NULL = by the suffix, else main
    const char *format;   // NULL or "auto", "safetensors", …
    const char *task;     // NULL = from the architecture
    int jobs;             // files at a time; 0 = 8
    int opset;            // 0 = 18
    bool force, all_files, no_convert;
    // Told of every step on the calling thread; returning false cancels. May be NULL.
    bool (*progress)(void *ctx, const gpux_pull_event *event);
    void *progress_ctx;
} gpux_pull_options;
#define GPUX_PULL_OPTIONS_INIT                                                                     \
    {                                                                                              \
        sizeof(gpux_pull_options), GPUX_HUB_OPTIONS_INIT, NULL, NULL, NULL, NULL, NULL, 0, 0,      \
            false, false, false, NULL, NULL                                                        \
    }

// Downloads, verifies, converts and publishes one model into the cache. `report`: JSON {model_id,
// registry, revision, commit, path, format, task, files, size_bytes, downloaded_bytes, cached,
// pull_time_s, convert_time_s, total_time_s}.
GPUX_API gpux_status gpux_pull(gpux_text *report, gpux_fault *fault, gpux_env *env,
                               const gpux_pull_options *options, gpux_error *error);
// JSON array of cached models.
GPUX_API gpux_status gpux_list(gpux_text *report, gpux_env *env, const char *registry,
                               gpux_error *error);
// Removes cached models: `model` NULL = all of them. JSON array of {model_id, revision,
// size_bytes}.
GPUX_API gpux_status gpux_remove(gpux_text *report, gpux_fault *fault, gpux_env *env,
                                 const char *model, const char *revision, bool force,
                                 gpux_error *error);
// Deletes stale staging files, locks, prepared weights and compiled tokenizers. JSON {freed_bytes,
// removed}.
GPUX_API gpux_status gpux_prune(gpux_text *report, gpux_fault *fault, gpux_env *env,
                                gpux_error *error);
// What the hub says of a model, without downloading it.
GPUX_API gpux_status gpux_hub_info(gpux_text *report, gpux_fault *fault, gpux_env *env,
                                   const gpux_hub_options *hub, const char *model,
                                   const char *revision, gpux_error *error);
// JSON array of models. task, sort ("downloads", "likes", "updated") may be NULL; limit 0 = 10.
GPUX_API gpux_status gpux_hub_search(gpux_text *report, gpux_fault *fault, gpux_env *env,
                                     const gpux_hub_options *hub, const char *query,
                                     const char *task, const char *sort, int limit,
                                     gpux_error *error);
// Verifies the token with the hub and stores it. JSON {registry, endpoint, user}.
GPUX_API gpux_status gpux_hub_login(gpux_text *report, gpux_fault *fault, gpux_env *env,
                                    const gpux_hub_options *hub, const char *token,
                                    gpux_error *error);
// Forgets the stored token. JSON {registry, was_logged_in}.
GPUX_API gpux_status gpux_hub_logout(gpux_text *report, gpux_fault *fault, gpux_env *env,
                                     gpux_error *error);
// JSON array of {name, aliases, endpoint, status}.
GPUX_API gpux_status gpux_hub_names(gpux_text *report, gpux_env *env, gpux_error *error);

// ---- Loaded models ----

typedef struct gpux_model gpux_model;

typedef struct gpux_model_options {
    size_t size;
    gpux_location_options location;
    // NULL = as the configuration says, else as the last build did.
    const char *provider; // "auto", "cpu", …
    // "fp32", …; NULL = as the configuration says; "auto" = fp32, or bf16 where gpux_build has
    // recorded for this model and this kind of CPU that it is as good and faster.
    const char *precision;
    int threads; // used while loading; 0 = all this process may use
} gpux_model_options;
#define GPUX_MODEL_OPTIONS_INIT                                                                    \
    { sizeof(gpux_model_options), GPUX_LOCATION_OPTIONS_INIT, NULL, NULL, 0 }

// Resolves, reads and compiles a model: weights packed, tokenizer ready.
GPUX_API gpux_status gpux_model_open(gpux_model **out, gpux_env *env, const char *name,
                                     const gpux_model_options *options, gpux_error *error);
GPUX_API void gpux_model_close(gpux_model *model);
// {name, version, task, provider, engine, precision, isa, parameters, size_bytes, memory_bytes,
// max_length, labels, inputs, outputs, …}
GPUX_API gpux_status gpux_model_describe(gpux_text *out, const gpux_model *model,
                                         gpux_error *error);
// ---- Runners: thread pool, arena, bindings ----

typedef struct gpux_runner gpux_runner;

typedef struct gpux_runner_options {
    size_t size;
    int threads;       // 0 = the configuration's, else what gpux_build found best, else the CPUs
                       // that this process may use (affinity and cgroup quota)
    bool profile;      // time every step
    size_t max_tokens; // tokens of one ragged pass; 0 = automatic. Never bounds a single request
} gpux_runner_options;
#define GPUX_RUNNER_OPTIONS_INIT                                                                   \
    { sizeof(gpux_runner_options), 0, false, 0 }

GPUX_API gpux_status gpux_runner_new(gpux_runner **out, const gpux_model *model,
                                     const gpux_runner_options *options, gpux_error *error);
GPUX_API void gpux_runner_free(gpux_runner *runner);
GPUX_API int gpux_runner_threads(const gpux_runner *runner);
// JSON of the steps so far: [{step, op, kernel, calls, ms, gflops, gb_per_s, percent_of_peak}, …].
GPUX_API gpux_status gpux_runner_profile(gpux_text *out, const gpux_runner *runner,
                                         gpux_error *error);

// ---- Requests in three phases: prepare, step, finish ----

typedef struct gpux_request gpux_request;

typedef enum gpux_request_state {
    GPUX_REQUEST_READY = 0, // prepared, not yet run to its end
    GPUX_REQUEST_DONE = 1,  // every step ran; finish may follow
    GPUX_REQUEST_CANCELLED = 2,
} gpux_request_state;

typedef enum gpux_form {
    GPUX_FORM_GPUX = 0, // one object with gpux's keys and the hub's elements inside
    GPUX_FORM_HF = 1,   // exactly the hub's inference form
    GPUX_FORM_RAW = 2,  // graph outputs by name
} gpux_form;

// Parses and checks one request (a JSON object, or an array = batch), tokenises it and splits it
// into rows. Thread-safe on one model. GPUX_INVALID messages are for the sender of the request.
GPUX_API gpux_status gpux_prepare(gpux_request **out, const gpux_model *model, const char *json,
                                  size_t len, gpux_error *error);
// A deterministic request for benchmarks: batch rows of seq_len tokens (0 = 128), for a task model
// a fixed sentence repeated; mixed lengths when seq_len_min > 0: rows spread evenly over
// [seq_len_min, seq_len].
GPUX_API gpux_status gpux_prepare_synthetic(gpux_request **out, const gpux_model *model,
                                            size_t batch, size_t seq_len, size_t seq_len_min,
                                            gpux_error *error);
// Keeps every output of every row, which GPUX_FORM_RAW needs; call before the first step.
GPUX_API void gpux_request_keep_outputs(gpux_request *request);
// Runs all the requests together: one ragged pass for all of them, split inside when there are too
// many tokens. Requests that are done or cancelled are passed over.
GPUX_API gpux_status gpux_step(gpux_runner *runner, gpux_request *const *requests, size_t count,
                               gpux_error *error);
GPUX_API gpux_request_state gpux_request_get_state(const gpux_request *request);
GPUX_API size_t gpux_request_tokens(const gpux_request *request); // rows' tokens together
GPUX_API size_t gpux_request_rows(const gpux_request *request);
// Names of unknown parameters that were ignored, joined by ", "; "" when none. Borrowed.
GPUX_API const char *gpux_request_ignored(const gpux_request *request);
// May be called from any thread: the request leaves its batch at the next step.
GPUX_API void gpux_request_cancel(gpux_request *request);
// Interprets a finished request and writes its JSON answer, indented by `indent` (0 = compact).
GPUX_API gpux_status gpux_finish(gpux_text *out, gpux_request *request, gpux_form form, int indent,
                                 gpux_error *error);
// What runs of the same requests in two precisions differ by; sums over all requests compared.
// Start with GPUX_DIFFERENCE_INIT.
typedef struct gpux_difference {
    size_t size;
    uint64_t vectors;  // embeddings, or the logits of a text, token or mask
    uint64_t values;   // numbers in them
    double max_abs;    // largest difference of two numbers
    double sum_abs;    // divided by values: the mean
    uint64_t cosines;  // vectors of more than one number
    double cosine_sum; // divided by cosines: the mean of the angles' cosines
    double cosine_min; // of one vector
    uint64_t labels;   // decisions: a text's label, a token's tag, an answer's span; 0 = none
    uint64_t labels_equal;
} gpux_difference;
#define GPUX_DIFFERENCE_INIT                                                                       \
    { sizeof(gpux_difference), 0, 0, 0, 0, 0, 0, 0, 0, 0 }
// Adds what a finished request differs by from a run of the same request by another opening of the
// same model. Raw outputs are compared when both requests kept them. GPUX_INVALID when one has not
// run to its end or the requests are not the same.
GPUX_API gpux_status gpux_request_compare(gpux_difference *sum, const gpux_request *reference,
                                          const gpux_request *other, gpux_error *error);
// Makes a finished request ready to run again on the same input; for benchmarks.
GPUX_API void gpux_request_rewind(gpux_request *request);
GPUX_API void gpux_request_free(gpux_request *request);

#ifdef __cplusplus
}
#endif

#endif
