// The table every provider fills, and the list of providers.
//
// A provider gets a whole Graph, compiles it once into an immutable Compiled that is shared by
// threads, and runs it through Sessions, each of which belongs to one Runner. compile may be slow
// and packs weights; reshape touches sizes only; run is a loop.
#ifndef GPUX_PROVIDERS_PROVIDER_H
#define GPUX_PROVIDERS_PROVIDER_H

#include "base/cpu.h"
#include "base/file.h"
#include "base/log.h"
#include "base/status.h"
#include "base/thread_pool.h"
#include "graph/graph.h"

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

typedef struct Compiled Compiled; // provider's own
typedef struct Session Session;   // provider's own

// What a probe found. Strings are static or owned by the provider.
typedef struct ProviderProbe {
    bool is_available;
    const char *engine;  // "native", "onnxruntime"
    const char *version; // of the engine's library
    const char *device;  // human name of the device in use
    const char *reason;  // why it is unavailable, or NULL
} ProviderProbe;

// Where prepared weights are kept for the next start.
typedef struct KeepOptions {
    const char *folder;         // "<model folder>/.gpux"; NULL = nowhere
    const char *precision;      // for the file's name: "fp32"
    const char *const *sources; // [n_sources] files that the constants' bytes come from
    const FileStat *stats;      // [n_sources] as they were mapped
    size_t n_sources;
    bool is_always; // also where it gains little or leaves little room
} KeepOptions;

typedef struct CompileOptions {
    const CpuInfo *cpu;
    const Log *log;
    ThreadPool *pool; // for packing; NULL = serial
    // The mapping that a constant's bytes lie in, so that pages can be dropped after packing.
    const FileMap *(*constant_map)(void *ctx, ValueId value);
    void *ctx;
    size_t first_position; // of each sequence, in the table of positions
    KeepOptions keep;
} CompileOptions;

// Sequences laid end to end. All arrays are the caller's and live through run.
typedef struct TokenBatch {
    size_t n_tokens, n_sequences;
    const int32_t *ids;        // [n_tokens]
    const int32_t *types;      // [n_tokens]
    const int32_t *positions;  // [n_tokens]
    const int32_t *columns;    // [n_tokens] place within the padded row, for relative positions
    const int32_t *cu_seqlens; // [n_sequences + 1]
} TokenBatch;

// A graph output after run: rows of `width` floats at stride ld; borrowed until the next run.
typedef struct TokenOutput {
    const float *data;
    size_t rows, width, ld;
    bool per_sequence; // rows are sequences, else tokens
} TokenOutput;

// Time and work of one step over all runs so far.
typedef struct StepProfile {
    const char *name;   // "layer.0.attention.query"
    const char *op;     // "Linear"
    const char *kernel; // "gemm_f32_avx512"
    uint64_t calls, ns;
    double flops, bytes; // in all calls together
    bool is_reduced;     // below f32
} StepProfile;

// What a device can do at most, measured now: the yardstick of a profile.
typedef struct PeakFigures {
    double gflops;   // f32 multiply-adds, two operations each
    double gb_per_s; // reading memory
} PeakFigures;

// Versioned, append only; NULL = default behaviour.
typedef struct Provider {
    int version;
    const char *name;        // "CPUExecutionProvider"
    const char *platform;    // "CPU"
    const char *description; // "Universal CPU fallback"
    void (*probe)(ProviderProbe *out, const CpuInfo *cpu);
    // NULL when the node can run here, else why not.
    const char *(*supports)(const Graph *graph, const Node *node);
    Status (*compile)(Compiled **out, const Graph *graph, const CompileOptions *options,
                      Error *error);
    void (*release)(Compiled *compiled);
    size_t (*memory_bytes)(const Compiled *compiled); // of prepared weights
    const char *(*isa)(const Compiled *compiled);
    Status (*session_new)(Session **out, const Compiled *compiled, ThreadPool *pool, bool profile,
                          Error *error);
    void (*session_free)(Session *session);
    // Makes room for so many tokens and sequences and the longest sequence. Called by run as
    // needed.
    Status (*reshape)(Session *session, size_t tokens, size_t sequences, size_t max_length,
                      Error *error);
    // cancel (may be NULL) is read between steps: non-zero ends the run with STATUS_CANCELLED.
    // STATUS_INVALID for ids, types or positions outside their tables.
    Status (*run)(Session *session, const TokenBatch *batch, const atomic_int *cancel,
                  Error *error);
    void (*output)(TokenOutput *out, const Session *session, size_t index);
    // Steps so far; NULL when profiling is off.
    const StepProfile *(*profile)(const Session *session, size_t *count);
    void (*peak)(PeakFigures *out, const Compiled *compiled, ThreadPool *pool);
} Provider;

extern const Provider cpu_provider;

// ---- The list (providers.c) ----

// One row per name a user may give, available or not.
typedef struct ProviderEntry {
    const char *name; // "CUDAExecutionProvider"
    const char *platform, *description;
    const char *const *aliases; // lower case, NULL-terminated
    const Provider *provider;   // NULL when this build has none
    const char *absent_reason;  // then why
} ProviderEntry;

// In this machine's priority order.
const ProviderEntry *providers_list(size_t *count);
// By full name or alias in any case ("cpu:native" names the engine too); NULL when unknown.
const ProviderEntry *providers_find(StrView name);
void providers_probe(ProviderProbe *out, const ProviderEntry *entry, const CpuInfo *cpu);

#endif
