// Turns the steps of a pull into lines and bars.
#include "app/cli/pull.h"

#include "app/cli/hub.h"
#include "app/cli/signals.h"
#include "app/ui/transfer.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { ID_AND_REVISION_SIZE = 512 };

// A wait that deserves a line.
static const double LONG_WAIT_S = 2;

typedef struct PullView {
    PullJob *job;
    Transfer bars;
    bool is_announced;
} PullView;

PullJob pull_job(Cli *cli, const char *model) {
    const Args *args = &cli->args;
    PullJob job = {.cli = cli};
    gpux_pull_options options = GPUX_PULL_OPTIONS_INIT;
    options.hub = hub_options(cli);
    options.model = model;
    if (args_knows(args, "registry"))
        options.registry = args_text(args, "registry");
    if (args_knows(args, "revision"))
        options.revision = args_text(args, "revision");
    // `run` has options of these names that mean something else.
    if (args_knows(args, "no-convert")) {
        const char *format = args_text(args, "format");
        options.format = strcmp(format, "auto") != 0 ? format : NULL;
        options.jobs = (int)args_number(args, "jobs");
        // Not asked for, a cached model keeps the opset it has.
        options.opset = args_is_set(args, "opset") ? (int)args_number(args, "opset") : 0;
        options.task = args_text(args, "task");
        options.force = args_flag(args, "force");
        options.all_files = args_flag(args, "all-files");
        options.no_convert = args_flag(args, "no-convert");
        job.is_quiet = args_flag(args, "quiet");
    }
    job.options = options;
    return job;
}

// ---- What is being pulled ----

// "hf:org/name@v1" is shown as its parts; the library has already found it well-formed.
static void split_model(char id[160], char revision[160], const char *model, const char *given) {
    const char *at = strchr(model, '@');
    StrView text = sv_n(model, at != NULL ? (size_t)(at - model) : strlen(model));
    bool is_address = sv_starts_with(text, SV("http://")) || sv_starts_with(text, SV("https://"));
    const char *colon = memchr(text.ptr, ':', text.len);
    if (colon != NULL)
        text = sv_n(colon + 1, text.len - (size_t)(colon + 1 - text.ptr));
    if (sv_starts_with(text, SV("//")))
        text = sv_n(text.ptr + 2, text.len - 2);
    const char *slash = is_address ? memchr(text.ptr, '/', text.len) : NULL;
    if (slash != NULL)
        text = sv_n(slash + 1, text.len - (size_t)(slash + 1 - text.ptr));
    if (sv_ends_with(text, SV("/")))
        text.len--;
    snprintf(id, 160, "%.*s", (int)text.len, text.ptr);
    snprintf(revision, 160, "%s", at != NULL ? at + 1 : given != NULL ? given : "main");
}

// As the user names it; the library knows the place.
static const char *shown_cache(const Cli *cli) {
    const char *folder = args_text(&cli->args, "cache-dir");
    if (folder == NULL)
        folder = getenv("GPUX_CACHE_DIR");
    return folder != NULL && folder[0] != '\0' ? folder : "~/.gpux/models";
}

static void announce(PullView *view) {
    static const char *const HEADERS[] = {"Property", "Value"};
    const PullJob *job = view->job;
    char id[160];
    char revision[160];
    if (view->is_announced || job->is_quiet)
        return;
    view->is_announced = true;
    split_model(id, revision, job->options.model, job->options.revision);
    Table table = table_new("Pull Information", HEADERS, 2);
    table_add_pair(&table, "Model ID", id);
    table_add_pair(&table, "Registry", "huggingface");
    table_add_pair(&table, "Revision", revision);
    table_add_pair(&table, "Cache Directory", shown_cache(job->cli));
    cli_print_table(job->cli, &table, true);
}

// ---- Steps ----

static void note(PullView *view, const char *text) {
    if (!view->job->is_quiet)
        cli_note(view->job->cli, "%s", text);
}

static void file_done(PullView *view, const gpux_pull_event *event) {
    char size[32];
    if (!event->is_from_disk)
        view->job->fetched++;
    if (event->file == NULL)
        return;
    transfer_drop(&view->bars, event->file);
    if (view->job->is_quiet)
        return;
    format_bytes(size, (double)event->file_total);
    cli_note(view->job->cli, event->is_from_disk ? "Already here: %s (%s)" : "Downloaded %s (%s)",
             event->file, size);
}

static void file_moved(PullView *view, const gpux_pull_event *event) {
    // A mere sign of life, while waiting, knows no figures.
    if (event->files == 0)
        return;
    view->bars.files_done = event->files_done;
    view->bars.files_total = event->files;
    view->bars.bytes = event->bytes;
    view->bars.total = event->total;
    view->bars.rate = event->rate;
    if (event->step != GPUX_PULL_BYTES)
        return;
    // The file that moved last may be complete by now.
    if (event->file != NULL && event->file_bytes < event->file_total)
        transfer_move(&view->bars, event->file, event->file_bytes, event->file_total);
    transfer_draw(&view->bars);
}

static void waiting(PullView *view, const gpux_pull_event *event) {
    char text[512];
    if (event->wait_s < LONG_WAIT_S)
        return;
    snprintf(text, sizeof text, "No answer from the hub%s%.300s: trying again in %.0f s",
             event->file != NULL ? " for " : "", event->file != NULL ? event->file : "",
             event->wait_s);
    note(view, text);
}

static bool on_event(void *ctx, const gpux_pull_event *event) {
    PullView *view = ctx;
    switch (event->step) {
    case GPUX_PULL_RESOLVED:
        announce(view);
        note(view, "Downloading model files...");
        break;
    case GPUX_PULL_LOCK_WAIT:
        announce(view);
        note(view, "Waiting for another gpux process...");
        break;
    case GPUX_PULL_RETRY_WAIT:
        waiting(view, event);
        break;
    case GPUX_PULL_BYTES:
        file_moved(view, event);
        break;
    case GPUX_PULL_FILE_DONE:
        file_done(view, event);
        file_moved(view, event);
        break;
    case GPUX_PULL_FINISHING:
        note(view, "Converting to ONNX...");
        break;
    case GPUX_PULL_PUBLISHING:
        if (!view->job->options.no_convert)
            note(view, "Generating configuration...");
        break;
    case GPUX_PULL_PUBLISHED:
        break;
    }
    return signals_caught() == 0;
}

// Messages of the library must not stand between the bars.
static void clear_bars(void *ctx) {
    transfer_clear(&((PullView *)ctx)->bars);
}

static int interrupted(const PullJob *job, int signal_number) {
    cli_note(job->cli, "Interrupted by user");
    cli_note(job->cli, "What was downloaded is kept; the same command goes on from there.");
    return signal_number == SIGTERM ? EXIT_TERMINATED : EXIT_INTERRUPTED;
}

int pull_run(PullJob *job) {
    Cli *cli = job->cli;
    PullView view = {.job = job, .bars = {.is_on = cli->err.is_terminal && !job->is_quiet}};
    gpux_pull_options options = job->options;
    options.progress = on_event;
    options.progress_ctx = &view;
    gpux_fault fault = GPUX_FAULT_NONE;
    job->error = (gpux_error){0};
    job->fetched = 0;
    cli->before_message = clear_bars;
    cli->before_message_ctx = &view;
    signals_begin_asking();
    gpux_status status = gpux_pull(&job->report, &fault, cli->env, &options, &job->error);
    int signal_number = signals_end_asking();
    cli->before_message = NULL;
    transfer_clear(&view.bars);
    if (signal_number != 0)
        return interrupted(job, signal_number);
    if (status == GPUX_OK)
        return EXIT_OK;
    int code = hub_failed(cli, status, fault, &job->error);
    if (fault == GPUX_FAULT_CONVERSION)
        cli_say(cli, "Hint", "The downloaded files are kept; the next pull goes on from there");
    return code;
}

void pull_clear(PullJob *job) {
    gpux_text_free(&job->report);
    job->report = (gpux_text){0};
}

// ---- Before a run ----

static const char *wanted_pull(const Cli *cli) {
    static const char *const YES[] = {"1", "on", "yes", "true"};
    const char *when = args_text(&cli->args, "pull");
    const char *variable = getenv("GPUX_AUTO_PULL");
    for (size_t i = 0; when == NULL && variable != NULL && i < 4; i++)
        if (sv_equal_nocase(sv(variable), sv(YES[i])))
            when = "missing";
    return when != NULL ? when : "never";
}

// The id and revision of the cached model in `folder`; false when that is no cached model.
static bool find_cached(char out[ID_AND_REVISION_SIZE], const Cli *cli, const char *folder) {
    gpux_text text = {0};
    gpux_error error = {0};
    JsonDoc *doc = NULL;
    bool is_found = false;
    if (gpux_list(&text, cli->env, NULL, &error) == GPUX_OK)
        (void)cli_parse_json(cli, &doc, &text);
    for (size_t i = 0; i < json_len(json_root(doc)) && !is_found; i++) {
        const JsonValue *model = json_at(json_root(doc), i);
        is_found = strcmp(json_cstr_or(model, "path", ""), folder) == 0;
        if (is_found)
            snprintf(out, ID_AND_REVISION_SIZE, "%s@%s", json_cstr_or(model, "model_id", ""),
                     json_cstr_or(model, "revision", ""));
    }
    json_free(doc);
    gpux_text_free(&text);
    return is_found;
}

static bool is_path(const char *name) {
    return name[0] == '/' || name[0] == '.' || name[0] == '~' || strchr(name, '\\') != NULL;
}

int pull_before_run(Cli *cli, const char *name) {
    const char *when = wanted_pull(cli);
    if (strcmp(when, "never") == 0)
        return EXIT_OK;
    gpux_location_options location = GPUX_LOCATION_OPTIONS_INIT;
    location.config = args_text(&cli->args, "config");
    location.revision = args_text(&cli->args, "revision");
    gpux_text folder = {0};
    gpux_error error = {0};
    char cached[ID_AND_REVISION_SIZE];
    bool is_there = gpux_resolve(&folder, cli->env, name, &location, &error) == GPUX_OK;
    bool is_cached =
        is_there && strcmp(when, "always") == 0 && find_cached(cached, cli, folder.ptr);
    gpux_text_free(&folder);
    // What lies in a folder of the user is no business of the hub.
    if ((is_there && !is_cached) || (!is_there && is_path(name)))
        return EXIT_OK;
    PullJob job = pull_job(cli, is_cached ? cached : name);
    if (is_cached)
        job.options.revision = NULL;
    int code = pull_run(&job);
    pull_clear(&job);
    bool is_interrupt = code == EXIT_INTERRUPTED || code == EXIT_TERMINATED;
    return code == EXIT_OK || is_interrupt ? code : EXIT_FAILED;
}
