// The door of config/: gpux.yml read into a Project, with every problem listed at once.
#ifndef GPUX_CONFIG_CONFIG_H
#define GPUX_CONFIG_CONFIG_H

#include "base/json.h"
#include "base/memory.h"
#include "base/status.h"
#include "base/str.h"
#include "base/tensor.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

// One input or output. Strings are owned by the Project.
typedef struct ProjectPort {
    const char *name;
    DType type;
    bool has_shape;
    int rank;
    int64_t shape[TENSOR_MAX_RANK];         // -1 = dynamic
    const char *dim_names[TENSOR_MAX_RANK]; // symbolic name or NULL
    bool is_required;
    int64_t max_length; // 0 = none
    const char **labels;
    size_t label_count;
    const char *description; // or NULL
} ProjectPort;

// gpux.yml with defaults filled in. Fields are named after the keys; was_set tells what the file
// wrote.
typedef struct Project {
    Arena arena;
    const char *folder; // absolute folder of the file
    const char *path;   // of the file itself
    const char *name, *version, *description;
    const char *model_source, *model_format, *model_version;
    const char *model_id, *model_registry, *model_revision;
    const char *task; // or NULL
    ProjectPort *inputs;
    size_t input_count;
    ProjectPort *outputs;
    size_t output_count;
    struct {
        uint64_t gpu_memory; // bytes
        bool gpu_memory_set;
        const char *gpu_memory_text; // as written or "2GB"
        const char *gpu_backend;
        int64_t device_id;
        const char *precision;
        const char *coreml_model_format, *coreml_compute_units;
        bool coreml_enable_profiling;
        int64_t timeout;
        int64_t batch_size; // 0 = automatic
        bool batch_size_set;
        bool enable_profiling;
        int64_t threads; // 0 = automatic
    } runtime;
    struct {
        int64_t port;
        const char *host;
        bool host_set, port_set;
        int64_t batch_size;
        int64_t timeout; // runtime.timeout when not written
        int64_t max_workers;
        bool max_workers_set;
        int64_t max_queue;
        uint64_t max_body;
        int64_t max_batch_delay_ms;
        const char *api_key, *cors;
    } serving;
    struct {
        const char *tokenizer;
        int64_t max_length;  // 0 = the model's
        const char *padding; // "false", "true", "max_length", "longest"
        int64_t resize[2];   // width, height; 0 = the model's
        const char *normalize;
        bool letterbox;
        const char *custom_json; // the `custom` map as compact JSON, "{}" by default
        int64_t sample_rate, n_mels, n_fft, hop_length, chunk_length;
    } preprocessing;
    const char *metadata_json; // the `metadata` map as compact JSON in file order, "{}" by default
    const char **tags;
    size_t tag_count;
} Project;

typedef enum DiagnosticKind {
    DIAGNOSTIC_ERROR,
    DIAGNOSTIC_WARNING, // unknown or duplicate key
} DiagnosticKind;

typedef struct Diagnostic {
    DiagnosticKind kind;
    int line;         // 1-based, 0 when it belongs to no line
    const char *text; // complete sentence with key path, without the line
} Diagnostic;

typedef struct Diagnostics {
    Arena arena;
    Diagnostic *items;
    size_t count;
} Diagnostics;

// Looks up environment variables for ${NAME}; returns NULL when unset. NULL function: getenv.
typedef const char *(*ProjectGetenv)(void *ctx, const char *name);

// Reads `path`. On failure the Error's message starts with "Failed to parse configuration: " and
// lists all problems, one a line as spelled in docs (STATUS_INVALID), or says "Configuration file
// not found: <path>" (STATUS_NOT_FOUND). Warnings go to `diagnostics` (NULL, or zero-initialised by
// the caller, who frees it in each case); errors do too. Unknown keys are warnings.
Status project_open(Project **out, const char *path, ProjectGetenv getenv_fn, void *getenv_ctx,
                    Diagnostics *diagnostics, Error *error);
// The same from text. `path` need not exist; its folder is what relative paths belong to.
Status project_parse(Project **out, StrView text, const char *path, ProjectGetenv getenv_fn,
                     void *getenv_ctx, Diagnostics *diagnostics, Error *error);
void project_close(Project *project);
void diagnostics_free(Diagnostics *diagnostics);
// The text with its line, as an Error's message has it: "<problem> (at <key path>, line L)".
void diagnostic_append(Buf *out, const Diagnostic *diagnostic);

// The model's absolute path: model.source with ~ expanded, relative to the project's folder; a heap
// string for mem_free. STATUS_UNSUPPORTED "HTTP model sources are not supported yet", or
// STATUS_NOT_FOUND "Model file not found: <path>".
Status project_model_path(char **out, const Project *project, Error *error);

// Only the `name:` of a configuration file, cheaply, for resolution; NULL when it cannot be read.
// Heap string for mem_free.
char *project_peek_name(const char *path);

// Writes the whole project with defaults, inputs and outputs as lists (inspect's "config" object).
void project_write_json(const Project *project, JsonWriter *writer);

// Writes a generated gpux.yml: the order and style of `pull`, which project_parse reads back to the
// same values. Reads a Project that the caller filled, zero-initialised: what is 0, NULL, false or
// the built-in default is left out, except version, format, memory, backend, timeout and port,
// which are written when they are not 0. STATUS_OUT_OF_MEMORY or STATUS_LIMIT as `out` has it.
Status project_write_yaml(Buf *out, const Project *project);

// One row per known key, for help texts and for the writer of generated files.
typedef struct ProjectKey {
    const char *path; // "runtime.gpu.memory"
    const char *type;
    const char *fallback; // printed default, or NULL
    const char *help;
} ProjectKey;
const ProjectKey *project_keys(size_t *count);

// Parses "2GB", "1.5 mb"; false with the documented message otherwise.
bool project_parse_memory(uint64_t *out, StrView text);

// Appends `text` as a scalar of a gpux.yml, quoted when YAML would read anything else than this
// string;
// "$" is doubled where the reader would look for a variable.
void yaml_append_scalar(Buf *out, StrView text);

#endif
