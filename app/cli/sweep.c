// gpux run --sweep KEY=LIST: a measurement per value, the best is marked.
#include "app/cli/benchmark.h"

#include "base/memory.h"

#include <stdio.h>
#include <string.h>

typedef struct SweepKey {
    const char *key;
    const char *header;
    SweepKind kind;
    int64_t max; // 0: the values are words
} SweepKey;

static const SweepKey SWEEP_KEYS[] = {
    {"batch", "Batch Size", SWEEP_BATCH, 65536},
    {"threads", "Threads", SWEEP_THREADS, 4096},
    {"seq-len", "Sequence Length", SWEEP_SEQ_LEN, 1048576},
    {"precision", "Precision", SWEEP_PRECISION, 0},
    {"provider", "Provider", SWEEP_PROVIDER, 0},
};

static const SweepKey *find_key(StrView name) {
    for (size_t i = 0; i < sizeof SWEEP_KEYS / sizeof SWEEP_KEYS[0]; i++)
        if (sv_equal_cstr(name, SWEEP_KEYS[i].key))
            return &SWEEP_KEYS[i];
    return NULL;
}

static bool is_precision(const Cli *cli, const char *word) {
    ArgValue value;
    const Option *option = args_find_option(cli->args.command, "precision");
    return args_check(&value, option, word, "--sweep", NULL) == STATUS_OK;
}

static bool add_value(Sweep *sweep, const Cli *cli, const SweepKey *key, StrView text) {
    if (sweep->count == SWEEP_MAX || text.len == 0 || text.len >= SWEEP_VALUE_SIZE)
        return false;
    char *word = sweep->values[sweep->count];
    snprintf(word, SWEEP_VALUE_SIZE, "%.*s", (int)text.len, text.ptr);
    int64_t *number = &sweep->numbers[sweep->count];
    if (key->max > 0 && (!sv_to_i64(number, text) || *number < 1 || *number > key->max))
        return false;
    if (key->kind == SWEEP_PRECISION && !is_precision(cli, word))
        return false;
    sweep->count++;
    return true;
}

// "batch=1,4,16". False when it is anything else.
static bool parse(Sweep *out, const Cli *cli, const char *text) {
    const char *equals = strchr(text, '=');
    const SweepKey *key = equals != NULL ? find_key(sv_n(text, (size_t)(equals - text))) : NULL;
    if (key == NULL)
        return false;
    out->key = key->key;
    out->header = key->header;
    out->kind = key->kind;
    for (const char *at = equals + 1;; at++) {
        size_t len = strcspn(at, ",");
        if (!add_value(out, cli, key, sv_trim(sv_n(at, len))))
            return false;
        at += len;
        if (*at == '\0')
            return true;
    }
}

int sweep_read(Sweep *out, const Cli *cli) {
    const char *text = args_text(&cli->args, "sweep");
    *out = (Sweep){0};
    if (text == NULL || parse(out, cli, text))
        return EXIT_OK;
    return cli_usage(cli,
                     "Invalid value for '--sweep': '%s' is not batch=N,N,... or threads=N,N,... or "
                     "seq-len=N,N,... or precision=TYPE,... or provider=NAME,...",
                     text);
}

// ---- Measuring ----

typedef struct SweepResult {
    BenchReport reports[SWEEP_MAX];
    JsonDoc *models[SWEEP_MAX]; // what each measured model says of itself
    size_t best;
} SweepResult;

// Makes the job's model and runner what row `i` measures.
static int apply(const Benchmark *benchmark, Setting *setting, const Sweep *sweep, size_t i) {
    RunJob *job = benchmark->job;
    switch (sweep->kind) {
    case SWEEP_BATCH:
        setting->batch = sweep->numbers[i];
        return EXIT_OK;
    case SWEEP_SEQ_LEN:
        setting->seq_len = sweep->numbers[i];
        setting->seq_low = 0;
        return EXIT_OK;
    case SWEEP_THREADS:
        return run_new_runner(job, (int)sweep->numbers[i]);
    case SWEEP_PRECISION:
        job->precision = sweep->values[i];
        return run_open_model(job);
    case SWEEP_PROVIDER:
        job->provider = sweep->values[i];
        return run_open_model(job);
    }
    return EXIT_OK;
}

static int measure_all(SweepResult *out, const Benchmark *benchmark, const Sweep *sweep) {
    Setting setting = benchmark->setting;
    for (size_t i = 0; i < sweep->count; i++) {
        out->reports[i] = benchmark->shared;
        int code = apply(benchmark, &setting, sweep, i);
        if (code == EXIT_OK)
            code = benchmark_describe(&out->models[i], benchmark->job);
        if (code == EXIT_OK) {
            out->reports[i].model = json_root(out->models[i]);
            code = benchmark_measure(&out->reports[i], benchmark, &setting);
        }
        if (code != EXIT_OK)
            return code;
        if (bench_throughput(&out->reports[i].result) >
            bench_throughput(&out->reports[out->best].result))
            out->best = i;
    }
    return EXIT_OK;
}

// ---- Showing ----

static void add_row(Table *table, const char *value, const BenchReport *report, bool is_best) {
    const BenchResult *result = &report->result;
    char text[7][64];
    bench_format_ms(text[0], result->time.mean);
    bench_format_ms(text[1], result->time.median);
    bench_format_ms(text[2], result->time.p99);
    bench_format_fps(text[3], bench_throughput(result));
    snprintf(text[4], sizeof text[4], "%.1f", (double)result->tokens * 1000.0 / result->time.mean);
    const char *cells[TABLE_MAX_COLUMNS] = {value,   text[0], text[1],
                                            text[2], text[3], result->tokens > 0 ? text[4] : "-"};
    size_t count = 6;
    if (report->difference.reference != NULL) {
        difference_format_cosine(text[5], &report->difference);
        difference_format_agreement(text[6], &report->difference);
        cells[count++] = text[5];
        cells[count++] = text[6];
    }
    cells[count] = is_best ? "best" : "-";
    table_add_row(table, cells);
}

static int print(const Benchmark *benchmark, const Sweep *sweep, const SweepResult *result) {
    const char *headers[TABLE_MAX_COLUMNS] = {sweep->header, "Mean Time",  "P50 Time",
                                              "P99 Time",    "Throughput", "Tokens/s"};
    size_t count = 6;
    if (benchmark->reference->precision != NULL) {
        headers[count++] = "Cosine";
        headers[count++] = "Label Agreement";
    }
    headers[count++] = "Best";
    Table table = table_new("Benchmark Sweep", headers, count);
    for (size_t i = sweep->kind >= SWEEP_PRECISION; i + 1 < count; i++)
        table.is_right[i] = true;
    for (size_t i = 0; i < sweep->count; i++)
        add_row(&table, sweep->values[i], &result->reports[i], i == result->best);
    return cli_print_table(benchmark->job->cli, &table, false);
}

static void write_json(Buf *out, const Sweep *sweep, const SweepResult *result) {
    JsonWriter writer = json_writer(out, 2);
    json_begin_object(&writer);
    json_key(&writer, "sweep");
    json_write_cstr(&writer, sweep->key);
    json_key(&writer, "runs");
    json_begin_array(&writer);
    for (size_t i = 0; i < sweep->count; i++)
        bench_report_json(&writer, &result->reports[i]);
    json_end_array(&writer);
    json_key(&writer, "best");
    json_write_u64(&writer, result->best);
    json_end_object(&writer);
    buf_append_byte(out, '\n');
}

int sweep_run(const Benchmark *benchmark, const Sweep *sweep) {
    const RunJob *job = benchmark->job;
    SweepResult *result = mem_alloc_zero(1, sizeof *result);
    if (result == NULL)
        return cli_fail(job->cli, "Run failed", "out of memory");
    int code = measure_all(result, benchmark, sweep);
    Buf json = BUF_INIT(BENCHMARK_JSON_MAX);
    if (code == EXIT_OK)
        write_json(&json, sweep, result);
    if (code == EXIT_OK && !args_flag(&job->cli->args, "json"))
        code = print(benchmark, sweep, result);
    if (code == EXIT_OK)
        code = benchmark_deliver(job, &json);
    if (code == EXIT_OK && args_flag(&job->cli->args, "profile"))
        code = run_show_profile(job);
    buf_free(&json);
    for (size_t i = 0; i < sweep->count; i++)
        json_free(result->models[i]);
    mem_free(result);
    return code;
}
