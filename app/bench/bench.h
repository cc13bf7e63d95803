// Measuring: warm-up, timed runs, percentiles. One stream, one request at a time.
//
// It prints nothing and knows no command; a request enters as JSON text or as the size of a
// synthetic one, and a BenchResult leaves.
#ifndef GPUX_BENCH_BENCH_H
#define GPUX_BENCH_BENCH_H

#include "base/str.h"
#include "gpux.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

// All times in milliseconds. std is the deviation of the population; percentiles interpolate
// linearly at rank q * (n - 1).
typedef struct BenchStats {
    double mean;
    double std;
    double min;
    double max;
    double median;
    double p90;
    double p95;
    double p99;
    double cv; // std / mean
} BenchStats;

// Sorts `ns` (count >= 1, nanoseconds) and describes it. A zero duration counts as 1 ns.
void bench_stats(BenchStats *out, uint64_t *ns, size_t count);
// `sorted` ascending, count >= 1, q in [0, 1].
double bench_percentile(const uint64_t *sorted, size_t count, double q);

typedef struct BenchInput {
    StrView json;   // the request; empty = synthetic
    size_t batch;   // samples of one run
    size_t seq_len; // of a synthetic request
    size_t seq_low; // of one with mixed lengths: the shortest; else 0
} BenchInput;

typedef struct BenchOptions {
    size_t runs;      // >= 1
    size_t warmup;    // runs before the timed ones
    bool model_scope; // the main figure is gpux_step alone, not prepare + step + finish
    gpux_form form;
    // Told about each warm-up run that failed; may be NULL.
    void (*warn)(void *ctx, const char *message);
    void *warn_ctx;
} BenchOptions;

typedef struct BenchResult {
    BenchStats time; // of the chosen scope
    double model_ms; // means over the timed runs
    double preprocess_ms;
    double postprocess_ms;
    double first_ms;    // the first run after load
    double warmup_ms;   // all warm-up runs together
    double timed_s;     // wall clock of the timed runs
    double cpu_percent; // CPU time of the process / wall clock of the timed runs; 100 = one CPU
    size_t runs;
    size_t warmup;
    size_t batch;   // samples of one run
    size_t rows;    // of one request
    size_t tokens;  // of one request; 0 for a model without tokens
    size_t seq_len; // tokens of a row, the mean rounded up; 0 for a model without tokens
    int threads;
} BenchResult;

// Runs the benchmark. A request that cannot be prepared, and a timed run that fails, end it: the
// message of the latter begins "Benchmark run failed: ".
gpux_status bench_run(BenchResult *out, const gpux_model *model, gpux_runner *runner,
                      const BenchInput *input, const BenchOptions *options, gpux_error *error);

// The request of one run.
gpux_status bench_prepare(gpux_request **out, const gpux_model *model, const BenchInput *input,
                          gpux_error *error);

// `batch` samples per second.
double bench_throughput(const BenchResult *result);

#endif
