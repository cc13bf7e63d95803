// The benchmark side of `gpux run`: one measurement or a sweep of them, and what is printed.
#include "app/cli/benchmark.h"

#include <stdio.h>
#include <string.h>

enum { DEFAULT_SEQ_LEN = 128, PROFILE_ROWS_MAX = 100000 };

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

int benchmark_measure(BenchReport *out, const Benchmark *benchmark, const Setting *setting) {
    RunJob *job = benchmark->job;
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
    if (code == EXIT_OK && benchmark->reference->precision != NULL)
        code = reference_compare(&out->difference, benchmark->reference, job, &input);
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
    BenchRows list;
    bench_report_rows(&list, report);
    Table table = table_new("Benchmark Results", HEADERS, 2);
    for (size_t i = 0; i < list.count; i++)
        table_add_pair(&table, list.rows[i].metric, list.rows[i].value);
    return cli_print_table(job->cli, &table, false);
}

// Prints the table unless only JSON is wanted, and writes the JSON where it is wanted.
int benchmark_deliver(const RunJob *job, const Buf *json) {
    const Args *args = &job->cli->args;
    if (buf_status(json, NULL) != STATUS_OK)
        return cli_fail(job->cli, "Run failed", "out of memory");
    if (args_text(args, "output") == NULL && !args_flag(args, "json"))
        return EXIT_OK;
    return run_deliver(job, sv_n(json->ptr, json->len), "Benchmark results saved to");
}

static int benchmark_single(const Benchmark *benchmark) {
    const RunJob *job = benchmark->job;
    const Args *args = &job->cli->args;
    BenchReport report = benchmark->shared;
    JsonDoc *model = NULL;
    Profile profile = {0};
    Buf json = BUF_INIT(BENCHMARK_JSON_MAX);
    JsonWriter writer = json_writer(&json, 2);
    int code = benchmark_describe(&model, job);
    report.model = json_root(model);
    if (code == EXIT_OK)
        code = benchmark_measure(&report, benchmark, &benchmark->setting);
    if (code == EXIT_OK && args_flag(args, "profile"))
        code = read_profile(&profile, job);
    report.profile = json_root(profile.doc);
    if (code == EXIT_OK) {
        bench_report_json(&writer, &report);
        buf_append_byte(&json, '\n');
    }
    if (code == EXIT_OK && !args_flag(args, "json"))
        code = print_single(job, &report);
    if (code == EXIT_OK)
        code = benchmark_deliver(job, &json);
    if (code == EXIT_OK && report.profile != NULL && !args_flag(args, "json"))
        code = print_profile(job->cli, report.profile);
    buf_free(&json);
    free_profile(&profile);
    json_free(model);
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
        bool sweeps_batch = sweep->key != NULL && sweep->kind == SWEEP_BATCH;
        if (args_low(args, "seq-len") > 0 && args_number(args, "batch") < 2 && !sweeps_batch)
            cli_say(job->cli, "Warning",
                    "a batch of 1 has no mixed lengths: %lld tokens are used; see --batch",
                    (long long)args_number(args, "seq-len"));
        return EXIT_OK;
    }
    if (sweep->key != NULL && sweep->kind == SWEEP_SEQ_LEN)
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

int benchmark_describe(JsonDoc **out, const RunJob *job) {
    gpux_text text = {0};
    gpux_error error = {0};
    if (gpux_model_describe(&text, job->model, &error) != GPUX_OK)
        return run_failed(job, &error);
    int code = cli_parse_json(job->cli, out, &text);
    gpux_text_free(&text);
    return code;
}

int run_benchmark(RunJob *job, const Reference *reference) {
    const Args *args = &job->cli->args;
    Sweep sweep;
    JsonDoc *model = NULL;
    JsonDoc *info = NULL;
    HostInfo host;
    host_info(&host);
    int code = sweep_read(&sweep, job->cli);
    if (code == EXIT_OK)
        code = check_seq_len(job, &sweep);
    if (code == EXIT_OK)
        code = benchmark_describe(&model, job);
    if (code == EXIT_OK) {
        Benchmark benchmark = {
            .job = job,
            .reference = reference,
            .setting = {.batch = args_number(args, "batch"),
                        .seq_len = choose_seq_len(args, json_root(model)),
                        .seq_low = args_low(args, "seq-len")},
            .shared = {.info = read_info(&info, job), .host = &host},
        };
        cli_note(job->cli, "Running benchmark with %lld runs (warmup: %lld)...",
                 (long long)args_number(args, "runs"), (long long)args_number(args, "warmup"));
        code = sweep.key != NULL ? sweep_run(&benchmark, &sweep) : benchmark_single(&benchmark);
    }
    json_free(info);
    json_free(model);
    return code;
}
