// The benchmark side of `gpux run`: one measurement or a sweep of them, and what is printed.
#include "app/cli/run.h"

#include "app/bench/report.h"
#include "base/memory.h"

#include <stdio.h>
#include <string.h>

enum { SWEEP_MAX = 64, DEFAULT_SEQ_LEN = 128, JSON_MAX = 64 << 20, PROFILE_ROWS_MAX = 100000 };

// One measurement's setting; a sweep changes one of them per row.
typedef struct Setting {
    int64_t batch;   // 0 = not given
    int64_t seq_len; // of a synthetic request
    int64_t seq_low; // of one with mixed lengths, else 0
    int64_t threads; // 0 = automatic
} Setting;

typedef struct Sweep {
    const char *key; // "batch"; NULL = no sweep
    const char *header;
    int64_t values[SWEEP_MAX];
    size_t count;
} Sweep;

typedef struct SweepKey {
    const char *key;
    const char *header;
    int64_t max;
} SweepKey;

static const SweepKey SWEEP_KEYS[] = {
    {"batch", "Batch Size", 65536},
    {"threads", "Threads", 4096},
    {"seq-len", "Sequence Length", 1048576},
};

static const SweepKey *find_sweep_key(StrView name) {
    for (size_t i = 0; i < sizeof SWEEP_KEYS / sizeof SWEEP_KEYS[0]; i++)
        if (sv_equal_cstr(name, SWEEP_KEYS[i].key))
            return &SWEEP_KEYS[i];
    return NULL;
}

// "batch=1,4,16". False when it is anything else.
static bool parse_sweep(Sweep *out, const char *text) {
    const char *equals = strchr(text, '=');
    *out = (Sweep){0};
    if (equals == NULL)
        return false;
    const SweepKey *key = find_sweep_key(sv_n(text, (size_t)(equals - text)));
    if (key == NULL)
        return false;
    out->key = key->key;
    out->header = key->header;
    for (const char *at = equals + 1;; at++) {
        size_t len = strcspn(at, ",");
        int64_t value;
        if (out->count == SWEEP_MAX || !sv_to_i64(&value, sv_trim(sv_n(at, len))) || value < 1 ||
            value > key->max)
            return false;
        out->values[out->count++] = value;
        at += len;
        if (*at == '\0')
            return true;
    }
}

int run_check_sweep(const Cli *cli) {
    Sweep sweep;
    const char *text = args_text(&cli->args, "sweep");
    if (text != NULL && !parse_sweep(&sweep, text))
        return cli_usage(cli,
                         "Invalid value for '--sweep': '%s' is not batch=N,N,... or "
                         "threads=N,N,... or seq-len=N,N,...",
                         text);
    return EXIT_OK;
}

static void warn_warmup(void *ctx, const char *message) {
    cli_say(ctx, "Warning", "Warm-up run failed: %s", message);
}

// The request of one measurement: the given one, copies of it, or a synthetic one.
static int make_input(BenchInput *out, Buf *copies, const RunJob *job, const Setting *setting) {
    const RunInput *input = &job->input;
    *out = (BenchInput){
        .batch = setting->batch > 0 ? (size_t)setting->batch : 1,
        .seq_len = (size_t)setting->seq_len,
        .seq_low = (size_t)setting->seq_low,
    };
    if (input->is_empty)
        return EXIT_OK;
    if (input->is_array && input->samples == 0)
        return cli_fail(job->cli, "Run failed", "an empty batch cannot be measured");
    Error error = {0};
    bool must_copy = setting->batch > 0 || input->is_lines;
    size_t count = setting->batch > 0 ? (size_t)setting->batch : input->samples;
    if (must_copy && input_replicate(copies, input, count, &error) != STATUS_OK)
        return cli_fail(job->cli, "Run failed", "%s", error.message);
    const Buf *text = must_copy ? copies : &input->text;
    out->json = sv_n(text->ptr, text->len);
    out->batch = must_copy ? count : input->samples;
    return EXIT_OK;
}

static int measure(BenchReport *out, RunJob *job, const Setting *setting) {
    const Args *args = &job->cli->args;
    Buf copies = BUF_INIT((size_t)1 << 30);
    BenchInput input;
    BenchOptions options = {
        .runs = (size_t)args_number(args, "runs"),
        .warmup = (size_t)args_number(args, "warmup"),
        .model_scope = strcmp(args_text(args, "scope"), "model") == 0,
        .form = job->form,
        .warn = warn_warmup,
        .warn_ctx = job->cli,
    };
    gpux_error error = {0};
    int code = make_input(&input, &copies, job, setting);
    if (code == EXIT_OK &&
        bench_run(&out->result, job->model, job->runner, &input, &options, &error) != GPUX_OK)
        code = cli_fail(job->cli, "Run failed", "%s", error.message);
    buf_free(&copies);
    out->load_ms = job->load_ms;
    out->total_s = (job->load_ms + out->result.warmup_ms) / 1e3 + out->result.timed_s;
    out->peak_memory = host_peak_memory();
    out->model_scope = options.model_scope;
    out->model_name = job->name;
    return code;
}

typedef struct Profile {
    gpux_text text;
    JsonDoc *doc;
} Profile;

static int read_profile(Profile *out, const RunJob *job) {
    gpux_error error = {0};
    *out = (Profile){0};
    if (gpux_runner_profile(&out->text, job->runner, &error) != GPUX_OK)
        return cli_fail(job->cli, "Run failed", "%s", error.message);
    return cli_parse_json(job->cli, &out->doc, &out->text);
}

static void free_profile(Profile *profile) {
    json_free(profile->doc);
    gpux_text_free(&profile->text);
}

static void format_or_blank(char out[32], const JsonValue *step, const char *key, int decimals) {
    double number;
    if (json_as_f64(&number, json_get(step, key)))
        snprintf(out, 32, "%.*f", decimals, number);
    else
        snprintf(out, 32, "-");
}

// A step may be called by number or by name.
static void format_step(char out[64], const JsonValue *step, size_t index) {
    const char *name = json_cstr_or(step, "step", NULL);
    if (name != NULL)
        snprintf(out, 64, "%s", name);
    else
        snprintf(out, 64, "%lld", (long long)json_i64_or(step, "step", (int64_t)index));
}

static int print_profile(const Cli *cli, const JsonValue *steps) {
    static const char *const HEADERS[] = {"Step",    "Op",      "Kernel", "Calls",
                                          "ms/Call", "GFLOP/s", "GB/s",   "% of Peak"};
    Table table = table_new("Profile", HEADERS, 8);
    for (size_t i = 3; i < 8; i++)
        table.is_right[i] = true;
    for (size_t i = 0; i < json_len(steps) && i < PROFILE_ROWS_MAX; i++) {
        const JsonValue *step = json_at(steps, i);
        char name[64];
        char calls[32];
        char numbers[4][32];
        format_step(name, step, i);
        snprintf(calls, sizeof calls, "%lld", (long long)json_i64_or(step, "calls", 1));
        format_or_blank(numbers[0], step, "ms", 3);
        format_or_blank(numbers[1], step, "gflops", 1);
        format_or_blank(numbers[2], step, "gb_per_s", 1);
        format_or_blank(numbers[3], step, "percent_of_peak", 1);
        const char *cells[] = {name,
                               json_cstr_or(step, "op", NULL),
                               json_cstr_or(step, "kernel", NULL),
                               calls,
                               numbers[0],
                               numbers[1],
                               numbers[2],
                               numbers[3]};
        table_add_row(&table, cells);
    }
    return cli_print_table(cli, &table, true);
}

int run_show_profile(const RunJob *job) {
    Profile profile;
    int code = read_profile(&profile, job);
    if (code == EXIT_OK)
        code = print_profile(job->cli, json_root(profile.doc));
    free_profile(&profile);
    return code;
}

static int print_single(const RunJob *job, const BenchReport *report) {
    static const char *const HEADERS[] = {"Metric", "Value"};
    BenchRow rows[BENCH_MAX_ROWS];
    size_t count = bench_report_rows(rows, report);
    Table table = table_new("Benchmark Results", HEADERS, 2);
    for (size_t i = 0; i < count; i++)
        table_add_pair(&table, rows[i].metric, rows[i].value);
    return cli_print_table(job->cli, &table, false);
}

// Prints the table unless only JSON is wanted, and writes the JSON where it is wanted.
static int deliver(const RunJob *job, const Buf *json) {
    const Args *args = &job->cli->args;
    if (buf_status(json, NULL) != STATUS_OK)
        return cli_fail(job->cli, "Run failed", "out of memory");
    if (args_text(args, "output") == NULL && !args_flag(args, "json"))
        return EXIT_OK;
    return run_deliver(job, sv_n(json->ptr, json->len), "Benchmark results saved to");
}

static int benchmark_single(RunJob *job, BenchReport *report, const Setting *setting) {
    const Args *args = &job->cli->args;
    Profile profile = {0};
    int code = measure(report, job, setting);
    if (code == EXIT_OK && args_flag(args, "profile"))
        code = read_profile(&profile, job);
    report->profile = json_root(profile.doc);
    Buf json = BUF_INIT(JSON_MAX);
    JsonWriter writer = json_writer(&json, 2);
    if (code == EXIT_OK) {
        bench_report_json(&writer, report);
        buf_append_byte(&json, '\n');
    }
    if (code == EXIT_OK && !args_flag(args, "json"))
        code = print_single(job, report);
    if (code == EXIT_OK)
        code = deliver(job, &json);
    if (code == EXIT_OK && report->profile != NULL && !args_flag(args, "json"))
        code = print_profile(job->cli, report->profile);
    buf_free(&json);
    free_profile(&profile);
    return code;
}

static int print_sweep(const RunJob *job, const Sweep *sweep, const BenchReport *reports,
                       size_t best) {
    const char *headers[] = {sweep->header, "Mean Time", "P50 Time", "P99 Time",
                             "Throughput",  "Tokens/s",  "Best"};
    Table table = table_new("Benchmark Sweep", headers, 7);
    for (size_t i = 0; i < 6; i++)
        table.is_right[i] = true;
    for (size_t i = 0; i < sweep->count; i++) {
        const BenchResult *result = &reports[i].result;
        char text[6][64];
        snprintf(text[0], sizeof text[0], "%lld", (long long)sweep->values[i]);
        bench_format_ms(text[1], result->time.mean);
        bench_format_ms(text[2], result->time.median);
        bench_format_ms(text[3], result->time.p99);
        bench_format_fps(text[4], bench_throughput(result));
        snprintf(text[5], sizeof text[5], "%.1f",
                 (double)result->tokens * 1000.0 / result->time.mean);
        const char *cells[] = {text[0],
                               text[1],
                               text[2],
                               text[3],
                               text[4],
                               result->tokens > 0 ? text[5] : "-",
                               i == best ? "best" : "-"};
        table_add_row(&table, cells);
    }
    return cli_print_table(job->cli, &table, false);
}

static int measure_all(RunJob *job, const Sweep *sweep, BenchReport *reports, Setting setting,
                       size_t *best) {
    const BenchReport shared = reports[0];
    *best = 0;
    for (size_t i = 0; i < sweep->count; i++) {
        int code = EXIT_OK;
        if (strcmp(sweep->key, "batch") == 0) {
            setting.batch = sweep->values[i];
        } else if (strcmp(sweep->key, "seq-len") == 0) {
            setting.seq_len = sweep->values[i];
            setting.seq_low = 0;
        } else {
            setting.threads = sweep->values[i];
            code = run_new_runner(job, (int)setting.threads);
        }
        reports[i] = shared;
        if (code == EXIT_OK)
            code = measure(&reports[i], job, &setting);
        if (code != EXIT_OK)
            return code;
        if (bench_throughput(&reports[i].result) > bench_throughput(&reports[*best].result))
            *best = i;
    }
    return EXIT_OK;
}

static void write_sweep(Buf *out, const Sweep *sweep, const BenchReport *reports, size_t best) {
    JsonWriter writer = json_writer(out, 2);
    json_begin_object(&writer);
    json_key(&writer, "sweep");
    json_write_cstr(&writer, sweep->key);
    json_key(&writer, "runs");
    json_begin_array(&writer);
    for (size_t i = 0; i < sweep->count; i++)
        bench_report_json(&writer, &reports[i]);
    json_end_array(&writer);
    json_key(&writer, "best");
    json_write_u64(&writer, best);
    json_end_object(&writer);
    buf_append_byte(out, '\n');
}

static int benchmark_sweep(RunJob *job, const Sweep *sweep, const BenchReport *shared,
                           const Setting *setting) {
    size_t best;
    BenchReport *reports = mem_alloc_zero(sweep->count, sizeof *reports);
    if (reports == NULL)
        return cli_fail(job->cli, "Run failed", "out of memory");
    reports[0] = *shared;
    int code = measure_all(job, sweep, reports, *setting, &best);
    Buf json = BUF_INIT(JSON_MAX);
    if (code == EXIT_OK)
        write_sweep(&json, sweep, reports, best);
    if (code == EXIT_OK && !args_flag(&job->cli->args, "json"))
        code = print_sweep(job, sweep, reports, best);
    if (code == EXIT_OK)
        code = deliver(job, &json);
    if (code == EXIT_OK && args_flag(&job->cli->args, "profile"))
        code = run_show_profile(job);
    buf_free(&json);
    mem_free(reports);
    return code;
}

// The asked length, else 128 or what the model takes when that is less.
static int64_t choose_seq_len(const Args *args, const JsonValue *model) {
    if (args_is_set(args, "seq-len"))
        return args_number(args, "seq-len");
    int64_t limit = json_i64_or(model, "max_length", 0);
    return limit > 0 && limit < DEFAULT_SEQ_LEN ? limit : DEFAULT_SEQ_LEN;
}

// A synthetic length has no say over a given request.
static int check_seq_len(const RunJob *job, const Sweep *sweep) {
    const Args *args = &job->cli->args;
    if (job->input.is_empty) {
        bool sweeps_batch = sweep->key != NULL && strcmp(sweep->key, "batch") == 0;
        if (args_low(args, "seq-len") > 0 && args_number(args, "batch") < 2 && !sweeps_batch)
            cli_say(job->cli, "Warning",
                    "a batch of 1 has no mixed lengths: %lld tokens are used; see --batch",
                    (long long)args_number(args, "seq-len"));
        return EXIT_OK;
    }
    if (sweep->key != NULL && strcmp(sweep->key, "seq-len") == 0)
        return cli_usage(job->cli, "--sweep seq-len=... measures synthetic requests: leave the "
                                   "input out");
    if (args_is_set(args, "seq-len"))
        cli_say(job->cli, "Warning", "--seq-len has no effect on a given input");
    return EXIT_OK;
}

// What is known of the model's folder or file. The benchmark does without when it cannot be read.
static const JsonValue *read_info(JsonDoc **doc, const RunJob *job) {
    gpux_text text = {0};
    bool is_file;
    if (run_inspect(&text, &is_file, job, NULL) != GPUX_OK)
        return NULL;
    Status status = json_parse(doc, sv_n(text.ptr, text.len), 0, NULL);
    gpux_text_free(&text);
    if (status != STATUS_OK)
        return NULL;
    return is_file ? json_root(*doc) : json_get(json_root(*doc), "model_info");
}

int run_benchmark(RunJob *job) {
    const Args *args = &job->cli->args;
    Sweep sweep = {0};
    if (args_text(args, "sweep") != NULL)
        parse_sweep(&sweep, args_text(args, "sweep"));
    int code = check_seq_len(job, &sweep);
    if (code != EXIT_OK)
        return code;
    gpux_text text = {0};
    gpux_error error = {0};
    if (gpux_model_describe(&text, job->model, &error) != GPUX_OK)
        return cli_fail(job->cli, "Run failed", "%s", error.message);
    JsonDoc *doc = NULL;
    code = cli_parse_json(job->cli, &doc, &text);
    HostInfo host;
    host_info(&host);
    JsonDoc *info = NULL;
    BenchReport report = {.model = json_root(doc), .info = read_info(&info, job), .host = &host};
    Setting setting = {
        .batch = args_number(args, "batch"),
        .seq_len = choose_seq_len(args, json_root(doc)),
        .seq_low = args_low(args, "seq-len"),
        .threads = job->threads,
    };
    if (code == EXIT_OK) {
        cli_note(job->cli, "Running benchmark with %lld runs (warmup: %lld)...",
                 (long long)args_number(args, "runs"), (long long)args_number(args, "warmup"));
        code = sweep.key != NULL ? benchmark_sweep(job, &sweep, &report, &setting)
                                 : benchmark_single(job, &report, &setting);
    }
    json_free(info);
    json_free(doc);
    gpux_text_free(&text);
    return code;
}
