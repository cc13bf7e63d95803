// The door of engine/: a model file becomes runnable rows of tokens.
//
// Model is immutable and shared by threads; Runner (thread pool, arenas, bindings) is used by one
// thread at a time.
#ifndef GPUX_ENGINE_ENGINE_H
#define GPUX_ENGINE_ENGINE_H

#include "base/cpu.h"
#include "base/json.h"
#include "base/log.h"
#include "base/status.h"
#include "base/str.h"
#include "base/tensor.h"

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

typedef struct Model Model;
typedef struct Runner Runner;

typedef struct EngineOptions {
    const CpuInfo *cpu;
    const Log *log;
    const char *provider;    // name or alias; NULL or "auto" = choose
    const char *precision;   // "fp32", "bf16", "int8" or "auto"; NULL = auto
    int threads;             // while loading; 0 = all this process may use
    const char *kept_folder; // prepared weights stay there for the next start; NULL = nowhere
    bool keeps_always;       // also where that gains little or leaves little room on the disk
} EngineOptions;

// ---- Choosing a provider (select.c) ----

// Fills the JSON members "available_providers" and "provider_details" of an open object.
void engine_write_providers(JsonWriter *writer, const CpuInfo *cpu);
// One ProviderInfo object for the named provider; with `requested`, what a user asked for by name,
// as its last member ("requested" is null when NULL).
void engine_write_provider(JsonWriter *writer, const char *name, const char *requested,
                           const CpuInfo *cpu);
// The full name of the provider that model_load would take for these options; warns as it does.
// Static text.
Status engine_choose_provider(const char **out, const EngineOptions *options, Error *error);
// STATUS_INVALID "Unknown provider 'x'. Valid providers: …" when no provider has this name.
Status engine_check_provider(const char *name, Error *error);

// ---- Models (load.c, model.c) ----

// Loads model.onnx: reads the graph, runs the passes, compiles it. STATUS_UNSUPPORTED names the
// node that no engine here can run.
Status model_load(Model **out, const char *onnx_path, const EngineOptions *options, Error *error);
void model_free(Model *model);

const char *model_provider(const Model *model);  // "CPUExecutionProvider"
const char *model_isa(const Model *model);       // "avx512"
const char *model_precision(const Model *model); // "fp32", "bf16", "int8"
size_t model_memory_bytes(const Model *model);   // of prepared weights
// Longest row of tokens that fits the position table; 0 = unlimited.
size_t model_max_tokens(const Model *model);
size_t model_vocab_rows(const Model *model); // rows of the token embedding table
bool model_has_type_ids(const Model *model);

// Tensors of the padded form, for raw requests.
typedef struct ModelPort {
    const char *name;
    DType dtype;
    int rank;
    int64_t shape[TENSOR_MAX_RANK]; // -1 = dynamic
    const char *symbols[TENSOR_MAX_RANK];
} ModelPort;
size_t model_input_count(const Model *model);
const ModelPort *model_input(const Model *model, size_t index);
size_t model_output_count(const Model *model);
const ModelPort *model_output(const Model *model, size_t index);
// Index of the output of this name, or SIZE_MAX.
size_t model_find_output(const Model *model, const char *name);

// Text dump of a model file's graph after the passes: what the engine would run. Reads no weights.
Status engine_write_plan(Buf *out, const char *onnx_path, Error *error);

// ---- Runners (runner.c) ----

typedef struct RunnerOptions {
    int threads; // 0 = CPUs this process may use
    bool profile;
    size_t max_tokens; // of one pass; 0 = automatic
} RunnerOptions;

Status runner_new(Runner **out, const Model *model, const RunnerOptions *options, Error *error);
void runner_free(Runner *runner);
int runner_threads(const Runner *runner);

// One sequence of a ragged batch. Arrays have `len` entries, borrowed for the run.
typedef struct TokenRow {
    const int32_t *ids;
    const int32_t *types; // NULL = zeros
    size_t len;
    const atomic_int *cancel; // non-zero: leave this row out; NULL = never
} TokenRow;

// What one row got from one output: `rows` x width at stride ld; rows = len, or 1 for an output per
// sequence. Borrowed until the sink returns.
typedef struct RowOutput {
    const float *data;
    size_t rows, width, ld;
} RowOutput;

// Called once per row that ran, in any order; `outputs` has one entry per model output.
typedef Status (*RowSink)(void *ctx, size_t row, const RowOutput *outputs, Error *error);

// Runs rows together in as few ragged passes as the token budget allows. A single row is never too
// long for the budget, only for the model's position table (STATUS_INVALID).
Status runner_run_rows(Runner *runner, const TokenRow *rows, size_t count, RowSink sink, void *ctx,
                       Error *error);

// Raw tensors in the padded form: ids [batch, sequence], mask the same or NULL for ones, types or
// NULL. outputs: one float array per model output, [batch, sequence, width], [batch, sequence] or
// [batch, width] as the graph says, allocated here with mem_alloc; zeros where the mask is 0.
typedef struct PaddedInputs {
    size_t batch, sequence;
    const int64_t *ids, *mask, *types;
    const atomic_int *cancel;
} PaddedInputs;
typedef struct PaddedOutput {
    int rank;
    int64_t shape[TENSOR_MAX_RANK];
    float *data; // free with mem_free
} PaddedOutput;
Status runner_run_padded(Runner *runner, const PaddedInputs *inputs, PaddedOutput *outputs,
                         Error *error);

// JSON array of steps: see gpux_runner_profile.
Status runner_write_profile(Buf *out, const Runner *runner, Error *error);

#endif
