// gpux run MODEL_NAME: find the model, load the input, open the model, run, print.
#include "app/cli/commands.h"
#include "app/cli/run.h"

#include "base/clock.h"
#include "base/file.h"

#include <stdio.h>
#include <string.h>

enum {
    RESULT_INDENT = 2,
    RESULT_MAX = 1 << 30,
    LINES_PER_STEP = 32, // requests of a .jsonl file that run together
};

static int run_failed(const RunJob *job, const gpux_error *error) {
    return cli_fail(job->cli, "Run failed", "%s",
                    error->message[0] != '\0' ? error->message : gpux_status_text(error->code));
}

static gpux_form parse_form(const char *text) {
    if (strcmp(text, "hf") == 0)
        return GPUX_FORM_HF;
    return strcmp(text, "raw") == 0 ? GPUX_FORM_RAW : GPUX_FORM_GPUX;
}

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
    job->name = args_positional(&cli->args, 0);
    job->form = parse_form(args_text(&cli->args, "format"));
    int64_t threads = 0;
    int code = cli_text_or_env(cli, &job->provider, "provider", "GPUX_PROVIDER");
    if (code == EXIT_OK)
        code = cli_text_or_env(cli, &job->precision, "precision", "GPUX_PRECISION");
    if (code == EXIT_OK)
        code = cli_number_or_env(cli, &threads, "threads", "GPUX_THREADS");
    job->threads = (int)threads;
    if (code == EXIT_OK && is_benchmark(cli))
        code = run_check_sweep(cli);
    else if (code == EXIT_OK)
        warn_idle_options(cli);
    if (code == EXIT_OK && job->precision != NULL && strcmp(job->precision, "auto") == 0)
        job->precision = NULL;
    const char *output = args_text(&cli->args, "output");
    if (code == EXIT_OK && output != NULL)
        code = cli_check_output(cli, output);
    return code;
}

static gpux_location_options location(const RunJob *job) {
    gpux_location_options options = GPUX_LOCATION_OPTIONS_INIT;
    options.config = args_text(&job->cli->args, "config");
    options.revision = args_text(&job->cli->args, "revision");
    return options;
}

static int find_model(RunJob *job) {
    gpux_location_options options = location(job);
    gpux_error error = {0};
    if (gpux_resolve(&job->folder, job->cli->env, job->name, &options, &error) != GPUX_OK)
        return cli_fail(job->cli, "Error", "%s", error.message);
    return EXIT_OK;
}

static int load_input(RunJob *job) {
    int code = input_load(&job->input, job->cli);
    if (code != EXIT_OK || !job->input.is_empty || is_benchmark(job->cli))
        return code;
    cli_say(job->cli, "Error", "No input data provided");
    cli_say(job->cli, "Hint", "gpux run %s \"some text\", or --input JSON, or --file FILE",
            job->name);
    return EXIT_FAILED;
}

static int open_failed(const RunJob *job, gpux_status status, const gpux_error *error) {
    static const char UNKNOWN[] = "Unknown provider";
    if (strncmp(error->message, UNKNOWN, sizeof UNKNOWN - 1) == 0) {
        cli_say(job->cli, "Error", "%s", error->message);
        return args_is_set(&job->cli->args, "provider") ? EXIT_USAGE : EXIT_FAILED;
    }
    if (status == GPUX_NOT_FOUND)
        return cli_fail(job->cli, "Error", "%s", error->message);
    return run_failed(job, error);
}

int run_new_runner(RunJob *job, int threads) {
    gpux_runner_free(job->runner);
    job->runner = NULL;
    gpux_runner_options options = GPUX_RUNNER_OPTIONS_INIT;
    options.threads = threads;
    options.profile = args_flag(&job->cli->args, "profile");
    gpux_error error = {0};
    if (gpux_runner_new(&job->runner, job->model, &options, &error) != GPUX_OK)
        return run_failed(job, &error);
    return EXIT_OK;
}

// "Using CPUExecutionProvider (native, fp32, avx512), 2 threads; loaded in 41.2 ms"
static int say_choice(const RunJob *job) {
    gpux_text text = {0};
    gpux_error error = {0};
    JsonDoc *doc = NULL;
    if (gpux_model_describe(&text, job->model, &error) != GPUX_OK)
        return run_failed(job, &error);
    int code = cli_parse_json(job->cli, &doc, &text);
    if (code == EXIT_OK) {
        const JsonValue *model = json_root(doc);
        cli_say(job->cli, "Info", "Using %s (%s engine, %s, %s), %d threads; loaded in %.1f ms",
                json_cstr_or(model, "provider", "?"), json_cstr_or(model, "engine", "?"),
                json_cstr_or(model, "precision", "?"), json_cstr_or(model, "isa", "?"),
                gpux_runner_threads(job->runner), job->load_ms);
    }
    json_free(doc);
    gpux_text_free(&text);
    return code;
}

static int open_model(RunJob *job) {
    gpux_model_options options = GPUX_MODEL_OPTIONS_INIT;
    options.location = location(job);
    options.provider = job->provider;
    options.precision = job->precision;
    options.threads = job->threads;
    // A bare model file is itself the model; every other name stands for its folder, found once.
    const char *name = file_is_regular(job->name) ? job->name : job->folder.ptr;
    gpux_error error = {0};
    uint64_t start = clock_now_ns();
    gpux_status status = gpux_model_open(&job->model, job->cli->env, name, &options, &error);
    if (status != GPUX_OK)
        return open_failed(job, status, &error);
    int code = run_new_runner(job, job->threads);
    job->load_ms = (double)(clock_now_ns() - start) / 1e6;
    if (code == EXIT_OK && job->cli->is_verbose)
        code = say_choice(job);
    return code;
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

static gpux_status step_to_end(RunJob *job, gpux_request *const *requests, size_t count,
                               gpux_error *error) {
    for (;;) {
        bool has_more = false;
        for (size_t i = 0; i < count; i++)
            has_more = has_more || gpux_request_get_state(requests[i]) == GPUX_REQUEST_READY;
        if (!has_more)
            return GPUX_OK;
        gpux_status status = gpux_step(job->runner, requests, count, error);
        if (status != GPUX_OK)
            return status;
    }
}

static gpux_status answer_once(RunJob *job, Buf *result, gpux_error *error) {
    gpux_request *request = NULL;
    gpux_text answer = {0};
    gpux_status status =
        gpux_prepare(&request, job->model, job->input.text.ptr, job->input.text.len, error);
    if (status == GPUX_OK) {
        begin_request(job, request);
        status = step_to_end(job, &request, 1, error);
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

static void prefix_line(gpux_error *error, size_t number) {
    char message[sizeof error->message];
    int len = snprintf(message, sizeof message, "line %zu: %s", number, error->message);
    if (len > 0)
        memcpy(error->message, message, strlen(message) + 1);
}

// Runs the group's requests together and appends an answer per line.
static gpux_status answer_group(RunJob *job, LineGroup *group, Buf *result, gpux_error *error) {
    gpux_status status = GPUX_OK;
    if (group->count > 0)
        status = step_to_end(job, group->requests, group->count, error);
    if (status != GPUX_OK)
        prefix_line(error, group->numbers[0]);
    for (size_t i = 0; i < group->count; i++) {
        gpux_text answer = {0};
        if (status == GPUX_OK) {
            status = gpux_finish(&answer, group->requests[i], job->form, 0, error);
            if (status != GPUX_OK)
                prefix_line(error, group->numbers[i]);
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
            prefix_line(error, number);
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

static int run_plain(RunJob *job) {
    Buf result = BUF_INIT(RESULT_MAX);
    gpux_error error = {0};
    gpux_status status = job->input.is_lines ? answer_lines(job, &result, &error)
                                             : answer_once(job, &result, &error);
    int code = EXIT_OK;
    if (buf_status(&result, NULL) != STATUS_OK)
        code = cli_fail(job->cli, "Run failed", "%s", status_text(buf_status(&result, NULL)));
    else if (status == GPUX_OK || result.len > 0)
        code = run_deliver(job, sv_n(result.ptr, result.len), "Results saved to");
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
    int code = read_options(&job);
    if (code == EXIT_OK)
        code = cli_open(cli);
    if (code == EXIT_OK)
        code = find_model(&job);
    if (code == EXIT_OK)
        code = load_input(&job);
    if (code == EXIT_OK)
        code = open_model(&job);
    if (code == EXIT_OK)
        code = is_benchmark(cli) ? run_benchmark(&job) : run_plain(&job);
    gpux_runner_free(job.runner);
    gpux_model_close(job.model);
    gpux_text_free(&job.folder);
    input_free(&job.input);
    return code;
}
