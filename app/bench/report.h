// What a benchmark says: its JSON keys, and the rows of its table as text.
#ifndef GPUX_BENCH_REPORT_H
#define GPUX_BENCH_REPORT_H

#include "app/bench/bench.h"
#include "app/bench/difference.h"
#include "app/bench/host.h"
#include "base/json.h"

// Everything that stands beside the figures.
typedef struct BenchReport {
    BenchResult result;
    double load_ms;       // open to ready
    double total_s;       // load, warm-up and timed runs
    uint64_t peak_memory; // bytes
    bool model_scope;
    const char *model_name;   // as the user called it
    const JsonValue *model;   // gpux_model_describe; NULL leaves its keys null
    const JsonValue *info;    // model_info of gpux_inspect: where the model comes from; or NULL
    const JsonValue *profile; // gpux_runner_profile, or NULL
    const HostInfo *host;
    DifferenceReport difference; // .reference is NULL when nothing was compared
} BenchReport;

// Writes one object with every key of the benchmark JSON, both documented spellings included. What
// this platform has no counter for is null.
void bench_report_json(JsonWriter *writer, const BenchReport *report);

// The rows of table "Benchmark Results" in their documented order.
void bench_report_rows(BenchRows *list, const BenchReport *report);

// "0.42 ms"; four decimals below 0.01 ms.
void bench_format_ms(char out[64], double ms);
// "2380.9 fps"
void bench_format_fps(char out[64], double fps);

#endif
