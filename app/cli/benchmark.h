// What one measurement and a sweep of them share.
#ifndef GPUX_CLI_BENCHMARK_H
#define GPUX_CLI_BENCHMARK_H

#include "app/bench/report.h"
#include "app/cli/reference.h"
#include "app/cli/run.h"

enum { BENCHMARK_JSON_MAX = 64 << 20 };

// One measurement's setting; a sweep changes one of them per row.
typedef struct Setting {
    int64_t batch;   // 0 = not given
    int64_t seq_len; // of a synthetic request
    int64_t seq_low; // of one with mixed lengths, else 0
} Setting;

typedef struct Benchmark {
    RunJob *job;
    const Reference *reference;
    Setting setting;
    BenchReport shared; // what stands beside the figures of every measurement
} Benchmark;

// Measures the job's model as it is opened now. EXIT_OK, or the exit code after printing.
int benchmark_measure(BenchReport *out, const Benchmark *benchmark, const Setting *setting);
// What the job's model says of itself.
int benchmark_describe(JsonDoc **out, const RunJob *job);
// Writes the JSON where --output and --json want it.
int benchmark_deliver(const RunJob *job, const Buf *json);

// The benchmark of an opened model. `reference` may be one without a precision.
int run_benchmark(RunJob *job, const Reference *reference);

// ---- sweep.c ----

enum { SWEEP_MAX = 64, SWEEP_VALUE_SIZE = 32 };

typedef enum SweepKind {
    SWEEP_BATCH,
    SWEEP_THREADS,
    SWEEP_SEQ_LEN,
    SWEEP_PRECISION,
    SWEEP_PROVIDER,
} SweepKind;

typedef struct Sweep {
    const char *key; // "batch"; NULL = no sweep
    const char *header;
    SweepKind kind;
    char values[SWEEP_MAX][SWEEP_VALUE_SIZE]; // as typed
    int64_t numbers[SWEEP_MAX];               // of keys that count
    size_t count;
} Sweep;

// Reads --sweep before anything is loaded. EXIT_OK or EXIT_USAGE.
int sweep_read(Sweep *out, const Cli *cli);
int sweep_run(const Benchmark *benchmark, const Sweep *sweep);

#endif
