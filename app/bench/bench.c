// The measuring loop and its statistics.
#include "app/bench/bench.h"

#include "base/clock.h"
#include "base/memory.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>

static const double NS_PER_MS = 1e6;

static int compare_u64(const void *a, const void *b) {
    uint64_t x = *(const uint64_t *)a;
    uint64_t y = *(const uint64_t *)b;
    return (x > y) - (x < y);
}

double bench_percentile(const uint64_t *sorted, size_t count, double q) {
    double rank = q * (double)(count - 1);
    size_t below = (size_t)rank;
    if (below + 1 >= count)
        return (double)sorted[count - 1];
    double part = rank - (double)below;
    return (double)sorted[below] + part * ((double)sorted[below + 1] - (double)sorted[below]);
}

void bench_stats(BenchStats *out, uint64_t *ns, size_t count) {
    double sum = 0;
    for (size_t i = 0; i < count; i++) {
        if (ns[i] == 0)
            ns[i] = 1;
        sum += (double)ns[i];
    }
    qsort(ns, count, sizeof ns[0], compare_u64);
    double mean = sum / (double)count;
    double squares = 0;
    for (size_t i = 0; i < count; i++)
        squares += ((double)ns[i] - mean) * ((double)ns[i] - mean);
    double std = sqrt(squares / (double)count);
    *out = (BenchStats){
        .mean = mean / NS_PER_MS,
        .std = std / NS_PER_MS,
        .min = (double)ns[0] / NS_PER_MS,
        .max = (double)ns[count - 1] / NS_PER_MS,
        .median = bench_percentile(ns, count, 0.5) / NS_PER_MS,
        .p90 = bench_percentile(ns, count, 0.9) / NS_PER_MS,
        .p95 = bench_percentile(ns, count, 0.95) / NS_PER_MS,
        .p99 = bench_percentile(ns, count, 0.99) / NS_PER_MS,
        .cv = std / mean,
    };
}

double bench_throughput(const BenchResult *result) {
    return (double)result->batch * 1000.0 / result->time.mean;
}

gpux_status bench_prepare(gpux_request **out, const gpux_model *model, const BenchInput *input,
                          gpux_error *error) {
    if (input->json.len > 0)
        return gpux_prepare(out, model, input->json.ptr, input->json.len, error);
    return gpux_prepare_synthetic(out, model, input->batch, input->seq_len, input->seq_low, error);
}

// Runs until the request is done: an encoder takes one step, a generator one per token.
static gpux_status step_to_end(gpux_runner *runner, gpux_request *request, gpux_error *error) {
    while (gpux_request_get_state(request) == GPUX_REQUEST_READY) {
        gpux_status status = gpux_step(runner, &request, 1, error);
        if (status != GPUX_OK)
            return status;
    }
    return GPUX_OK;
}

typedef struct RunTimes {
    uint64_t preprocess;
    uint64_t model;
    uint64_t postprocess;
} RunTimes;

static uint64_t run_total(const RunTimes *times) {
    return times->preprocess + times->model + times->postprocess;
}

// One run: prepare, step, finish, each timed. Freeing is not part of it.
static gpux_status run_once(RunTimes *times, const gpux_model *model, gpux_runner *runner,
                            const BenchInput *input, gpux_form form, gpux_error *error) {
    gpux_request *request = NULL;
    gpux_text answer = {0};
    uint64_t start = clock_now_ns();
    gpux_status status = bench_prepare(&request, model, input, error);
    if (status == GPUX_OK && form == GPUX_FORM_RAW)
        gpux_request_keep_outputs(request);
    uint64_t prepared = clock_now_ns();
    if (status == GPUX_OK)
        status = step_to_end(runner, request, error);
    uint64_t stepped = clock_now_ns();
    if (status == GPUX_OK)
        status = gpux_finish(&answer, request, form, 0, error);
    uint64_t finished = clock_now_ns();
    *times = (RunTimes){prepared - start, stepped - prepared, finished - stepped};
    gpux_text_free(&answer);
    gpux_request_free(request);
    return status;
}

static void prefix_error(gpux_error *error) {
    char message[sizeof error->message];
    if (error == NULL)
        return;
    int len = snprintf(message, sizeof message, "Benchmark run failed: %s", error->message);
    if (len > 0)
        memcpy(error->message, message, strlen(message) + 1);
}

static uint64_t cpu_time_ns(void) {
    struct rusage usage;
    if (getrusage(RUSAGE_SELF, &usage) != 0)
        return 0;
    uint64_t seconds = (uint64_t)usage.ru_utime.tv_sec + (uint64_t)usage.ru_stime.tv_sec;
    uint64_t micros = (uint64_t)usage.ru_utime.tv_usec + (uint64_t)usage.ru_stime.tv_usec;
    return seconds * 1000000000u + micros * 1000u;
}

// The request's size, and an early word on a request that is wrong in itself.
static gpux_status describe_request(BenchResult *out, const gpux_model *model,
                                    const BenchInput *input, gpux_error *error) {
    gpux_request *request = NULL;
    gpux_status status = bench_prepare(&request, model, input, error);
    if (status != GPUX_OK)
        return status;
    out->rows = gpux_request_rows(request);
    out->tokens = gpux_request_tokens(request);
    out->batch = input->batch > 0 ? input->batch : out->rows;
    if (out->rows > 0)
        out->seq_len = (out->tokens + out->rows - 1) / out->rows;
    gpux_request_free(request);
    return GPUX_OK;
}

static void run_warmup(BenchResult *out, const gpux_model *model, gpux_runner *runner,
                       const BenchInput *input, const BenchOptions *options) {
    uint64_t start = clock_now_ns();
    for (size_t i = 0; i < options->warmup; i++) {
        RunTimes times;
        gpux_error error = {0};
        if (run_once(&times, model, runner, input, options->form, &error) != GPUX_OK) {
            if (options->warn != NULL)
                options->warn(options->warn_ctx, error.message);
        } else if (out->first_ms == 0) {
            out->first_ms = (double)run_total(&times) / NS_PER_MS;
        }
    }
    out->warmup_ms = (double)(clock_now_ns() - start) / NS_PER_MS;
}

static gpux_status run_timed(BenchResult *out, uint64_t *ns, const gpux_model *model,
                             gpux_runner *runner, const BenchInput *input,
                             const BenchOptions *options, gpux_error *error) {
    uint64_t cpu_start = cpu_time_ns();
    uint64_t start = clock_now_ns();
    RunTimes sum = {0};
    for (size_t i = 0; i < options->runs; i++) {
        RunTimes times;
        gpux_status status = run_once(&times, model, runner, input, options->form, error);
        if (status != GPUX_OK) {
            prefix_error(error);
            return status;
        }
        if (i == 0 && out->first_ms == 0)
            out->first_ms = (double)run_total(&times) / NS_PER_MS;
        ns[i] = options->model_scope ? times.model : run_total(&times);
        sum.preprocess += times.preprocess;
        sum.model += times.model;
        sum.postprocess += times.postprocess;
    }
    uint64_t wall = clock_now_ns() - start;
    double runs_ms = (double)options->runs * NS_PER_MS;
    out->preprocess_ms = (double)sum.preprocess / runs_ms;
    out->model_ms = (double)sum.model / runs_ms;
    out->postprocess_ms = (double)sum.postprocess / runs_ms;
    out->timed_s = (double)wall / 1e9;
    if (wall > 0)
        out->cpu_percent = 100.0 * (double)(cpu_time_ns() - cpu_start) / (double)wall;
    bench_stats(&out->time, ns, options->runs);
    return GPUX_OK;
}

gpux_status bench_run(BenchResult *out, const gpux_model *model, gpux_runner *runner,
                      const BenchInput *input, const BenchOptions *options, gpux_error *error) {
    *out = (BenchResult){
        .runs = options->runs,
        .warmup = options->warmup,
        .threads = gpux_runner_threads(runner),
    };
    gpux_status status = describe_request(out, model, input, error);
    if (status != GPUX_OK)
        return status;
    uint64_t *ns = mem_alloc_zero(options->runs, sizeof *ns);
    if (ns == NULL) {
        if (error != NULL)
            snprintf(error->message, sizeof error->message, "out of memory for %zu runs",
                     options->runs);
        return GPUX_OUT_OF_MEMORY;
    }
    run_warmup(out, model, runner, input, options);
    status = run_timed(out, ns, model, runner, input, options, error);
    mem_free(ns);
    return status;
}
