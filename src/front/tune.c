// Measures a model on this machine: what bf16 and int8 lose against fp32 over sample requests, how
// fast each is, and how many threads are best.
//
// fp32 and one other precision are open at a time, and run the same requests in turn: a machine
// that slows down meanwhile slows both.
#include "base/clock.h"
#include "base/memory.h"
#include "front/build.h"
#include "tasks/tasks.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>

enum {
    SAMPLES = 300,
    GROUP = 8, // requests run together: their outputs are in memory at a time
    SEQUENCE = 128,
    THROUGHPUT_ROWS = 8,
    MIN_ROUNDS = 3,
    BLOCK = 8, // runs of one side before the other's turn
    MAX_TIMES = 256,
};
static const uint64_t ENOUGH_NS = 600000000, BLOCK_NS = 40000000; // of a pair, of a block
// Below these gains a choice is noise.
static const double MIN_SPEEDUP = 1.03, THREADS_TOLERANCE = 1.03;

typedef struct Limit {
    const char *precision;
    double cosine, agreement;
    bool may_be_auto;
} Limit;

static const Limit LIMITS[] = {
    {"bf16", 0.9999, 0.999, true},
    {"int8", 0.998, 0.99, false},
};

// One opening of the model, with a runner and the request that is timed.
typedef struct Side {
    Model *model;
    Runner *runner;
    TaskModel task;
    Request *load;
    uint64_t *times; // [MAX_TIMES]
    size_t n_times;
} Side;

typedef struct Tuner {
    Builder *builder;
    Tuning *out;
    StrView dataset;
    Error *error;
} Tuner;

// ---- Sides ----

static void close_side(Side *side) {
    request_free(side->load);
    runner_free(side->runner);
    model_free(side->model);
    mem_free(side->times);
    *side = (Side){0};
}

static Status new_runner(Side *side, const Tuner *tuner, int threads) {
    RunnerOptions options = {.threads = threads > 0 ? threads : (int)tuner->builder->info->threads};
    runner_free(side->runner);
    side->runner = NULL;
    return runner_new(&side->runner, side->model, &options, tuner->error);
}

// What the goal runs: one text of 128 tokens, or eight of them.
static Status make_load(Side *side, const Tuner *tuner) {
    size_t limit = model_max_tokens(side->model), length = SEQUENCE;
    size_t most = tuner->builder->info->max_length;
    bool is_latency = strcmp(tuner->out->goal, "latency") == 0;
    length = limit && limit < length ? limit : length;
    length = most && most < length ? most : length;
    return request_prepare_synthetic(&side->load, &side->task, is_latency ? 1 : THROUGHPUT_ROWS,
                                     length, 0, tuner->error);
}

static Status open_side(Side *side, const Tuner *tuner, const char *precision) {
    const Builder *builder = tuner->builder;
    EngineOptions engine = builder_engine(builder, precision);
    TRY(model_load(&side->model, builder->info->model_file, &engine, tuner->error));
    side->task = (TaskModel){side->model, builder->info, builder->tokenizer};
    side->times = mem_alloc_zero(MAX_TIMES, sizeof *side->times);
    if (!side->times)
        return error_out_of_memory(tuner->error, MAX_TIMES);
    TRY(new_runner(side, tuner, 0));
    return make_load(side, tuner);
}

// ---- Samples ----

// The next line that is not blank; false at the end.
static bool next_line(StrView *rest, StrView *line, size_t *number) {
    while (rest->len > 0) {
        const char *end = memchr(rest->ptr, '\n', rest->len);
        size_t len = end ? (size_t)(end - rest->ptr) : rest->len, step = end ? len + 1 : len;
        *line = sv_trim(sv_n(rest->ptr, len));
        *rest = sv_n(rest->ptr + step, rest->len - step);
        *number += 1;
        if (line->len > 0)
            return true;
    }
    return false;
}

// A line of the dataset without its "label", which is no part of the request.
static Status prepare_line(Request **out, const Side *side, StrView line, size_t number,
                           Error *error) {
    JsonDoc *doc = NULL;
    Buf text = BUF_INIT(SIZE_MAX);
    JsonWriter writer = json_writer(&text, 0);
    Status status = json_parse(&doc, line, 0, error);
    if (status == STATUS_OK && json_get(json_root(doc), "label"))
        json_write_without(&writer, json_root(doc), "label");
    else
        buf_append_sv(&text, line);
    if (status == STATUS_OK)
        status = buf_status(&text, error);
    if (status == STATUS_OK)
        status = request_prepare(out, &side->task, sv_n(text.ptr, text.len), error);
    if (status != STATUS_OK && status != STATUS_OUT_OF_MEMORY)
        status = error_prefix(error, status, "dataset line %zu", number);
    json_free(doc);
    buf_free(&text);
    return status;
}

typedef struct Group {
    Request *requests[2][GROUP];
    size_t count;
} Group;

static void free_group(Group *group) {
    for (size_t s = 0; s < 2; s++)
        for (size_t i = 0; i < GROUP; i++) {
            request_free(group->requests[s][i]);
            group->requests[s][i] = NULL;
        }
    group->count = 0;
}

static Status run_group(Group *group, Difference *sum, Side *sides, const Tuner *tuner) {
    for (size_t s = 0; s < 2; s++)
        TRY(requests_step(sides[s].runner, group->requests[s], group->count, tuner->error));
    for (size_t i = 0; i < group->count; i++) {
        TRY(request_compare(sum, group->requests[0][i], group->requests[1][i], tuner->error));
        tuner->out->requests++;
        tuner->out->tokens += request_tokens(group->requests[0][i]);
    }
    free_group(group);
    return STATUS_OK;
}

// Runs all samples by both sides, a group at a time.
static Status compare_samples(Difference *sum, Side *sides, const Tuner *tuner) {
    Group group = {0};
    StrView rest = tuner->dataset, line;
    size_t number = 0, index = 0;
    bool is_dataset = tuner->dataset.len > 0;
    Status status = STATUS_OK;
    tuner->out->requests = tuner->out->tokens = 0;
    while (status == STATUS_OK &&
           (is_dataset ? next_line(&rest, &line, &number) : index < SAMPLES)) {
        for (size_t s = 0; s < 2 && status == STATUS_OK; s++) {
            Request **out = &group.requests[s][group.count];
            status = is_dataset ? prepare_line(out, &sides[s], line, number, tuner->error)
                                : request_prepare_sample(out, &sides[s].task, index, tuner->error);
        }
        index++;
        if (status == STATUS_OK && ++group.count == GROUP)
            status = run_group(&group, sum, sides, tuner);
    }
    if (status == STATUS_OK)
        status = run_group(&group, sum, sides, tuner);
    free_group(&group);
    return status;
}

// ---- Time ----

static int compare_times(const void *a, const void *b) {
    uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;
    return (x > y) - (x < y);
}

static Status time_once(uint64_t *ns, Side *side, const Tuner *tuner) {
    request_rewind(side->load);
    uint64_t start = clock_now_ns();
    Status status = requests_step(side->runner, &side->load, 1, tuner->error);
    *ns = clock_now_ns() - start;
    return status;
}

// A few runs of one side. The first is not counted: the other side has had the caches since, and
// the threads of this one have gone to sleep.
static Status time_block(Side *side, const Tuner *tuner) {
    uint64_t ns, begin = clock_now_ns();
    TRY(time_once(&ns, side, tuner));
    for (size_t i = 0; i < BLOCK && side->n_times < MAX_TIMES; i++) {
        TRY(time_once(&ns, side, tuner));
        side->times[side->n_times++] = ns;
        if (clock_now_ns() - begin > BLOCK_NS)
            break;
    }
    return STATUS_OK;
}

// Times the sides in turn; ms[i] is the lower quartile of each: what other programs do only adds.
static Status time_sides(double *ms, Side *sides, size_t count, const Tuner *tuner) {
    uint64_t begin = clock_now_ns();
    for (size_t s = 0; s < count; s++)
        sides[s].n_times = 0;
    for (size_t round = 0; sides[0].n_times < MAX_TIMES; round++) {
        if (round >= MIN_ROUNDS && clock_now_ns() - begin > ENOUGH_NS)
            break;
        for (size_t s = 0; s < count; s++)
            TRY(time_block(&sides[s], tuner));
    }
    for (size_t s = 0; s < count; s++) {
        qsort(sides[s].times, sides[s].n_times, sizeof *sides[s].times, compare_times);
        ms[s] = (double)sides[s].times[sides[s].n_times / 4] / 1e6;
    }
    return STATUS_OK;
}

// ---- Precisions ----

static void fill_row(Measurement *row, const Limit *limit, const Difference *sum,
                     const double *ms) {
    *row = (Measurement){.precision = limit->precision,
                         .ms = ms[1],
                         .speedup = ms[1] > 0 ? ms[0] / ms[1] : 0,
                         .max_abs = sum->max_abs,
                         .mean_abs = sum->values ? sum->sum_abs / (double)sum->values : 0,
                         .has_cosine = sum->cosines > 0,
                         .cosine_min = sum->cosine_min,
                         .has_labels = sum->labels > 0,
                         .cosine_limit = limit->cosine,
                         .agreement_limit = limit->agreement};
    if (row->has_cosine)
        row->cosine_mean = sum->cosine_sum / (double)sum->cosines;
    if (row->has_labels)
        row->agreement = (double)sum->labels_equal / (double)sum->labels;
    // What has neither direction nor decision, such as one number, is never found good.
    row->is_within = (row->has_cosine || row->has_labels) && isfinite(row->max_abs) &&
                     (!row->has_cosine || row->cosine_mean >= limit->cosine) &&
                     (!row->has_labels || row->agreement >= limit->agreement);
}

static Status measure_pair(Side *sides, const Limit *limit, const Tuner *tuner) {
    Tuning *out = tuner->out;
    Difference sum = {.size = sizeof sum};
    double ms[2];
    TRY(builder_tell(tuner->builder, GPUX_BUILD_MEASURE, "Measuring %s against fp32...",
                     limit->precision));
    TRY(open_side(&sides[1], tuner, limit->precision));
    TRY(compare_samples(&sum, sides, tuner));
    TRY(time_sides(ms, sides, 2, tuner));
    if (out->row_count == 0)
        out->rows[out->row_count++] =
            (Measurement){.precision = "fp32", .ms = ms[0], .speedup = 1, .is_within = true};
    Measurement *row = &out->rows[out->row_count++];
    fill_row(row, limit, &sum, ms);
    if (limit->may_be_auto && row->is_within && row->speedup >= MIN_SPEEDUP)
        out->precision = limit->precision;
    return STATUS_OK;
}

static Status measure_precisions(const Tuner *tuner) {
    Side sides[2] = {{0}, {0}};
    Status status = open_side(&sides[0], tuner, "fp32");
    for (size_t i = 0; i < sizeof LIMITS / sizeof LIMITS[0] && status == STATUS_OK; i++) {
        status = measure_pair(sides, &LIMITS[i], tuner);
        close_side(&sides[1]);
    }
    close_side(&sides[0]);
    return status;
}

// ---- Threads ----

// The fewest threads that are as good as the best.
static void choose_threads(Tuning *out) {
    double best = INFINITY;
    for (size_t i = 0; i < out->trial_count; i++)
        best = fmin(best, out->trials[i].ms);
    for (size_t i = out->trial_count; i-- > 0;)
        if (out->trials[i].ms <= best * THREADS_TOLERANCE)
            out->threads = out->trials[i].threads;
}

static Status try_threads(Side *side, const Tuner *tuner, int threads) {
    Tuning *out = tuner->out;
    TRY(new_runner(side, tuner, threads));
    out->trials[out->trial_count].threads = threads;
    return time_sides(&out->trials[out->trial_count++].ms, side, 1, tuner);
}

// 1, 2, 4, … and all that this process may use.
static Status measure_threads(const Tuner *tuner, const char *precision) {
    int most = tuner->builder->env->cpu.threads;
    Side side = {0};
    Status status = builder_tell(tuner->builder, GPUX_BUILD_MEASURE,
                                 "Measuring threads for %s in %s...", tuner->out->goal, precision);
    if (status == STATUS_OK)
        status = open_side(&side, tuner, precision);
    for (int threads = 1; status == STATUS_OK && threads < most; threads *= 2)
        if (tuner->out->trial_count + 1 < TUNING_MAX_TRIALS)
            status = try_threads(&side, tuner, threads);
    if (status == STATUS_OK)
        status = try_threads(&side, tuner, most);
    close_side(&side);
    choose_threads(tuner->out);
    return status;
}

// Windows editors put a byte order mark in front.
static StrView dataset_of(const gpux_build_options *options) {
    StrView text = sv_n(options->samples, options->samples ? options->samples_len : 0);
    size_t mark = sv_starts_with(text, SV("\xEF\xBB\xBF")) ? 3 : 0;
    return mark ? sv_n(text.ptr + mark, text.len - mark) : text;
}

Status tune_model(Tuning *out, Builder *builder) {
    const gpux_build_options *options = builder->options;
    Tuner tuner = {
        .builder = builder, .out = out, .dataset = dataset_of(options), .error = builder->error};
    *out = (Tuning){.goal = options->tune == GPUX_TUNE_THROUGHPUT ? "throughput" : "latency",
                    .provider = builder->provider,
                    .precision = "fp32",
                    .is_dataset = tuner.dataset.len > 0};
    TRY(measure_precisions(&tuner));
    if (options->tune == GPUX_TUNE_NONE)
        return STATUS_OK;
    const char *written = builder_precision(builder);
    return measure_threads(&tuner, written ? written : out->precision);
}
