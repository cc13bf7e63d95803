// gpux run MODEL_NAME: find the model, load the input, open the model, run, print.
#include "app/cli/benchmark.h"
#include "app/cli/commands.h"

#include <stdio.h>
#include <string.h>

enum {
    RESULT_INDENT = 2,
    RESULT_MAX = 1 << 30,
    LINES_PER_STEP = 32, // requests of a .jsonl file that run together
};

static bool is_benchmark(const Cli *cli) {
    return args_flag(&cli->args, "benchmark") || args_is_set(&cli->args, "sweep");
}

static void warn_idle_options(const Cli *cli) {
    static const char *const NAMES[] = {"runs", "warmup", "batch", "seq-len", "scope"};
    for (size_t i = 0; i < sizeof NAMES / sizeof NAMES[0]; i++)
        if (args_is_set(&cli->args, NAMES[i]))
            cli_say(cli, "Warning", "--%s has no effect without --benchmark", NAMES[i]);
}

// Everything that can be wrong with the command line itself.
static int read_options(RunJob *job) {
    Cli *cli = job->cli;
    Sweep sweep;
    int code = run_read_model_options(job);
    if (code == EXIT_OK)
        code = reference_check(cli);
    if (code == EXIT_OK && is_benchmark(cli))
        code = sweep_read(&sweep, cli);
    else if (code == EXIT_OK)
        warn_idle_options(cli);
    const char *output = args_text(&cli->args, "output");
    if (code == EXIT_OK && output != NULL)
        code = cli_check_output(cli, output);
    return code;
}

static int load_input(RunJob *job) {
    int code = input_load(&job->input, job->cli);
    bool has_dataset = args_is_set(&job->cli->args, "dataset");
    if (code != EXIT_OK || !job->input.is_empty || is_benchmark(job->cli) || has_dataset)
        return code;
    cli_say(job->cli, "Error", "No input data provided");
    cli_say(job->cli, "Hint", "gpux run %s \"some text\", or --input JSON, or --file FILE",
            job->name);
    return EXIT_FAILED;
}

int run_deliver(const RunJob *job, StrView text, const char *what) {
    const Cli *cli = job->cli;
    const char *path = args_text(&cli->args, "output");
    bool wants_json = args_flag(&cli->args, "json");
    if (path != NULL) {
        int code = cli_write_file(cli, path, text);
        if (code != EXIT_OK)
            return code;
        if (wants_json)
            cli_note(cli, "%s: %s", what, path);
        else
            printf("%s: %s\n", what, path);
    }
    if (path == NULL || wants_json)
        cli_print(text);
    return EXIT_OK;
}

static void begin_request(const RunJob *job, gpux_request *request) {
    if (job->form == GPUX_FORM_RAW)
        gpux_request_keep_outputs(request);
    const char *ignored = gpux_request_ignored(request);
    if (ignored != NULL && ignored[0] != '\0')
        cli_say(job->cli, "Warning", "Ignored unknown parameters: %s", ignored);
}

static gpux_status answer_once(RunJob *job, Buf *result, gpux_error *error) {
    gpux_request *request = NULL;
    gpux_text answer = {0};
    gpux_status status =
        gpux_prepare(&request, job->model, job->input.text.ptr, job->input.text.len, error);
    if (status == GPUX_OK) {
        begin_request(job, request);
        status = run_step_to_end(job->runner, &request, 1, error);
    }
    if (status == GPUX_OK)
        status = gpux_finish(&answer, request, job->form, RESULT_INDENT, error);
    if (status == GPUX_OK) {
        buf_append(result, answer.ptr, answer.len);
        if (answer.len == 0 || answer.ptr[answer.len - 1] != '\n')
            buf_append_byte(result, '\n');
    }
    gpux_text_free(&answer);
    gpux_request_free(request);
    return status;
}

typedef struct LineGroup {
    gpux_request *requests[LINES_PER_STEP];
    size_t numbers[LINES_PER_STEP]; // of the lines in the file
    size_t count;
} LineGroup;

// Runs the group's requests together and appends an answer per line.
static gpux_status answer_group(RunJob *job, LineGroup *group, Buf *result, gpux_error *error) {
    gpux_status status = GPUX_OK;
    if (group->count > 0)
        status = run_step_to_end(job->runner, group->requests, group->count, error);
    if (status != GPUX_OK)
        input_place_error(error->message, sizeof error->message, group->numbers[0]);
    for (size_t i = 0; i < group->count; i++) {
        gpux_text answer = {0};
        if (status == GPUX_OK) {
            status = gpux_finish(&answer, group->requests[i], job->form, 0, error);
            if (status != GPUX_OK)
                input_place_error(error->message, sizeof error->message, group->numbers[i]);
        }
        if (status == GPUX_OK) {
            buf_append_sv(result, sv_trim(sv_n(answer.ptr, answer.len)));
            buf_append_byte(result, '\n');
        }
        gpux_text_free(&answer);
        gpux_request_free(group->requests[i]);
    }
    group->count = 0;
    return status;
}

// One answer per line, in the order of the file; ends at the first line that fails.
static gpux_status answer_lines(RunJob *job, Buf *result, gpux_error *error) {
    StrView rest = sv_n(job->input.text.ptr, job->input.text.len);
    StrView line;
    size_t number = 0;
    LineGroup group = {0};
    gpux_status status = GPUX_OK;
    while (status == GPUX_OK && input_next_line(&rest, &line, &number)) {
        gpux_request *request = NULL;
        status = gpux_prepare(&request, job->model, line.ptr, line.len, error);
        if (status != GPUX_OK) {
            input_place_error(error->message, sizeof error->message, number);
            break;
        }
        begin_request(job, request);
        group.numbers[group.count] = number;
        group.requests[group.count++] = request;
        if (group.count == LINES_PER_STEP)
            status = answer_group(job, &group, result, error);
    }
    gpux_error group_error = {0};
    gpux_status last = answer_group(job, &group, result, &group_error);
    if (status == GPUX_OK && last != GPUX_OK) {
        *error = group_error;
        status = last;
    }
    return status;
}

static int draw_difference(const Cli *cli, const DifferenceReport *difference, bool to_stderr) {
    static const char *const HEADERS[] = {"Metric", "Value"};
    BenchRows list = {0};
    difference_add_rows(&list, difference);
    Table table = table_new("Difference", HEADERS, 2);
    for (size_t i = 0; i < list.count; i++)
        table_add_pair(&table, list.rows[i].metric, list.rows[i].value);
    return cli_print_table(cli, &table, to_stderr);
}

// Appends JSON text one level deeper than it was written.
static void append_indented(Buf *out, StrView text) {
    text = sv_trim(text);
    for (size_t i = 0; i < text.len; i++) {
        buf_append_byte(out, text.ptr[i]);
        if (text.ptr[i] == '\n')
            buf_append_cstr(out, "  ");
    }
}

// The answer, or an array of one per line.
static void append_result(Buf *out, StrView text, bool is_lines) {
    StrView line;
    size_t number = 0;
    if (!is_lines) {
        append_indented(out, text);
        return;
    }
    while (input_next_line(&text, &line, &number)) {
        buf_append_cstr(out, number == 1 ? "[\n    " : ",\n    ");
        buf_append_sv(out, line);
    }
    buf_append_cstr(out, "\n  ]");
}

// The difference alone, or {"result": …, "difference": …}.
static int deliver_difference(const RunJob *job, StrView result,
                              const DifferenceReport *difference) {
    Buf own = BUF_INIT(RESULT_MAX);
    Buf both = BUF_INIT(RESULT_MAX);
    JsonWriter writer = json_writer(&own, RESULT_INDENT);
    json_begin_object(&writer);
    difference_write(&writer, difference);
    json_end_object(&writer);
    if (result.len > 0) {
        buf_append_cstr(&both, "{\n  \"result\": ");
        append_result(&both, result, job->input.is_lines);
        buf_append_cstr(&both, ",\n  \"difference\": ");
        append_indented(&both, sv_n(own.ptr, own.len));
        buf_append_cstr(&both, "\n}");
    }
    Buf *text = result.len > 0 ? &both : &own;
    buf_append_byte(text, '\n');
    if (own.failed != STATUS_OK)
        text->failed = own.failed;
    int code = buf_status(text, NULL) == STATUS_OK
                   ? run_deliver(job, sv_n(text->ptr, text->len), "Results saved to")
                   : cli_fail(job->cli, "Run failed", "out of memory");
    buf_free(&own);
    buf_free(&both);
    return code;
}

// Compares what was run with the reference, and delivers both.
static int run_difference(RunJob *job, const Reference *reference, StrView result) {
    const Args *args = &job->cli->args;
    StrView text = sv_n(job->input.text.ptr, job->input.text.len);
    BenchInput input = {.json = text, .batch = 1};
    DifferenceReport difference;
    int code = job->input.is_lines && !reference->has_dataset
                   ? reference_compare_lines(&difference, reference, job, text)
                   : reference_compare(&difference, reference, job, &input);
    bool wants_json = args_flag(args, "json");
    bool is_alone = result.len == 0;
    if (code == EXIT_OK && !wants_json)
        code = draw_difference(job->cli, &difference, !is_alone);
    if (code == EXIT_OK && (wants_json || (is_alone && args_text(args, "output") != NULL)))
        return deliver_difference(job, result, &difference);
    if (code == EXIT_OK && !is_alone)
        code = run_deliver(job, result, "Results saved to");
    return code;
}

static int run_plain(RunJob *job, const Reference *reference) {
    Buf result = BUF_INIT(RESULT_MAX);
    gpux_error error = {0};
    gpux_status status = GPUX_OK;
    if (job->input.is_lines)
        status = answer_lines(job, &result, &error);
    else if (!job->input.is_empty)
        status = answer_once(job, &result, &error);
    StrView text = sv_n(result.ptr, result.len);
    int code = EXIT_OK;
    if (buf_status(&result, NULL) != STATUS_OK)
        code = cli_fail(job->cli, "Run failed", "%s", status_text(buf_status(&result, NULL)));
    else if (status == GPUX_OK && reference->precision != NULL)
        code = run_difference(job, reference, text);
    else if (status == GPUX_OK || result.len > 0)
        code = run_deliver(job, text, "Results saved to");
    if (status != GPUX_OK) {
        fflush(stdout);
        code = run_failed(job, &error);
    }
    buf_free(&result);
    if (code == EXIT_OK && args_flag(&job->cli->args, "profile"))
        code = run_show_profile(job);
    return code;
}

int cmd_run(Cli *cli) {
    RunJob job = {.cli = cli};
    Reference reference = {0};
    int code = read_options(&job);
    if (code == EXIT_OK)
        code = cli_open(cli);
    if (code == EXIT_OK)
        code = run_find_model(&job);
    if (code == EXIT_OK)
        code = load_input(&job);
    if (code == EXIT_OK)
        code = reference_load(&reference, &job);
    if (code == EXIT_OK)
        code = run_open_model(&job);
    if (code == EXIT_OK)
        code = reference_open(&reference, &job);
    if (code == EXIT_OK)
        code = is_benchmark(cli) ? run_benchmark(&job, &reference) : run_plain(&job, &reference);
    reference_close(&reference);
    run_close(&job);
    input_free(&job.input);
    return code;
}
