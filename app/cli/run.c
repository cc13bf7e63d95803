// From the words of a command line to an opened model with a runner: what `gpux run` and its kin
// share.
#include "app/cli/run.h"

#include "app/cli/pull.h"
#include "base/clock.h"
#include "base/file.h"

#include <string.h>

int run_failed(const RunJob *job, const gpux_error *error) {
    return cli_fail(job->cli, "Run failed", "%s",
                    error->message[0] != '\0' ? error->message : gpux_status_text(error->code));
}

static gpux_form parse_form(const char *text) {
    if (strcmp(text, "hf") == 0)
        return GPUX_FORM_HF;
    return strcmp(text, "raw") == 0 ? GPUX_FORM_RAW : GPUX_FORM_GPUX;
}

// Everything about the model that can be wrong with the command line itself.
int run_read_model_options(RunJob *job) {
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
    return code;
}

static gpux_location_options location(const RunJob *job) {
    gpux_location_options options = GPUX_LOCATION_OPTIONS_INIT;
    options.config = args_text(&job->cli->args, "config");
    options.revision = args_text(&job->cli->args, "revision");
    return options;
}

int run_find_model(RunJob *job) {
    gpux_location_options options = location(job);
    gpux_error error = {0};
    if (args_knows(&job->cli->args, "pull")) {
        int code = pull_before_run(job->cli, job->name);
        if (code != EXIT_OK)
            return code;
    }
    if (gpux_resolve(&job->folder, job->cli->env, job->name, &options, &error) != GPUX_OK)
        return cli_fail(job->cli, "Error", "%s", error.message);
    return EXIT_OK;
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
    options.profile =
        args_knows(&job->cli->args, "profile") && args_flag(&job->cli->args, "profile");
    options.max_tokens = job->max_tokens;
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

// A bare model file is itself the model; every other name stands for its folder, found once.
static const char *model_path(const RunJob *job) {
    return file_is_regular(job->name) ? job->name : job->folder.ptr;
}

gpux_status run_inspect(gpux_text *out, bool *is_file, const RunJob *job, gpux_error *error) {
    gpux_location_options options = location(job);
    const char *path = model_path(job);
    *is_file = path == job->name;
    return *is_file ? gpux_inspect_file(out, job->cli->env, path, error)
                    : gpux_inspect(out, job->cli->env, path, &options, error);
}

static int open_model(gpux_model **out, const RunJob *job, const char *precision) {
    gpux_model_options options = GPUX_MODEL_OPTIONS_INIT;
    options.location = location(job);
    options.provider = job->provider;
    options.precision = precision;
    options.threads = job->threads;
    gpux_error error = {0};
    gpux_status status = gpux_model_open(out, job->cli->env, model_path(job), &options, &error);
    return status == GPUX_OK ? EXIT_OK : open_failed(job, status, &error);
}

int run_open_model(RunJob *job) {
    uint64_t start = clock_now_ns();
    gpux_runner_free(job->runner);
    gpux_model_close(job->model);
    job->runner = NULL;
    job->model = NULL;
    int code = open_model(&job->model, job, job->precision);
    if (code == EXIT_OK)
        code = run_new_runner(job, job->threads);
    job->load_ms = (double)(clock_now_ns() - start) / 1e6;
    if (code == EXIT_OK && job->cli->is_verbose)
        code = say_choice(job);
    return code;
}

int run_open_other(gpux_model **model, gpux_runner **runner, const RunJob *job,
                   const char *precision) {
    gpux_runner_options options = GPUX_RUNNER_OPTIONS_INIT;
    options.threads = job->threads;
    gpux_error error = {0};
    int code = open_model(model, job, precision);
    if (code == EXIT_OK && gpux_runner_new(runner, *model, &options, &error) != GPUX_OK)
        code = run_failed(job, &error);
    return code;
}

gpux_status run_step_to_end(gpux_runner *runner, gpux_request *const *requests, size_t count,
                            gpux_error *error) {
    for (;;) {
        bool has_more = false;
        for (size_t i = 0; i < count; i++)
            has_more = has_more || gpux_request_get_state(requests[i]) == GPUX_REQUEST_READY;
        if (!has_more)
            return GPUX_OK;
        gpux_status status = gpux_step(runner, requests, count, error);
        if (status != GPUX_OK)
            return status;
    }
}

void run_close(RunJob *job) {
    gpux_runner_free(job->runner);
    gpux_model_close(job->model);
    gpux_text_free(&job->folder);
    job->runner = NULL;
    job->model = NULL;
}
