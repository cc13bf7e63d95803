// gpux pull MODEL_ID, and gpux batch pull FILE: one model after the other.
#include "app/cli/commands.h"
#include "app/cli/hub.h"
#include "app/cli/pull.h"

#include "app/ui/panel.h"
#include "base/file.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

enum { PANEL_MAX = 64 * 1024, LINE_MAX_BYTES = 4096, COMMIT_SHOWN = 12 };

// ---- The panel ----

static void add_line(Buf *out, const char *name, const char *value) {
    if (value != NULL && value[0] != '\0')
        buf_printf(out, "%-13s %s\n", name, value);
}

static void add_seconds(Buf *out, const char *name, double seconds) {
    char text[32];
    snprintf(text, sizeof text, seconds < 1 ? "%.3f s" : "%.1f s", seconds);
    if (seconds > 0)
        add_line(out, name, text);
}

static void add_files(Buf *out, const PullJob *job, const JsonValue *report) {
    char text[64];
    size_t files = (size_t)json_i64_or(report, "files", 0);
    if (job->fetched > 0)
        snprintf(text, sizeof text, "%zu file%s downloaded", job->fetched,
                 job->fetched == 1 ? "" : "s");
    else
        snprintf(text, sizeof text, "%zu files, none downloaded", files);
    add_line(out, "Files:", text);
}

static const char *check_mark(const Cli *cli) {
    return cli->out.is_utf8 ? "✓ " : "";
}

static int print_panel(const PullJob *job, const JsonValue *report) {
    const Cli *cli = job->cli;
    char text[64];
    Buf lines = BUF_INIT(PANEL_MAX);
    buf_printf(&lines, "%sSuccessfully pulled model '%s'%s\n", check_mark(cli),
               json_cstr_or(report, "model_id", "?"),
               json_bool_or(report, "cached", false) ? " (already up to date)" : "");
    add_line(&lines, "Registry:", json_cstr_or(report, "registry", NULL));
    add_line(&lines, "Revision:", json_cstr_or(report, "revision", NULL));
    snprintf(text, sizeof text, "%.*s", COMMIT_SHOWN, json_cstr_or(report, "commit", ""));
    add_line(&lines, "Commit:", text);
    add_line(&lines, "Format:", json_cstr_or(report, "format", NULL));
    add_line(&lines, "Task:", json_cstr_or(report, "task", NULL));
    format_bytes(text, json_f64_or(report, "size_bytes", 0));
    add_line(&lines, "Size:", text);
    add_files(&lines, job, report);
    add_seconds(&lines, "Pull time:", json_f64_or(report, "pull_time_s", 0));
    add_seconds(&lines, "Convert time:", json_f64_or(report, "convert_time_s", 0));
    Buf panel = BUF_INIT(PANEL_MAX);
    panel_print(&panel, "Pull Complete", sv_n(lines.ptr, lines.len), &cli->out);
    bool is_whole = lines.failed == STATUS_OK && panel.failed == STATUS_OK;
    if (is_whole)
        cli_print(sv_n(panel.ptr, panel.len));
    buf_free(&panel);
    buf_free(&lines);
    return is_whole ? EXIT_OK : cli_fail(cli, "Error", "out of memory");
}

// Commands that find the model as it was pulled.
static void print_next_steps(const Cli *cli, const JsonValue *report) {
    static const char *const NAMES[] = {"run", "serve", "inspect"};
    const char *revision = json_cstr_or(report, "revision", "main");
    const char *folder = args_text(&cli->args, "cache-dir");
    bool is_main = strcmp(revision, "main") == 0;
    printf("\nNext steps:\n");
    for (size_t i = 0; i < sizeof NAMES / sizeof NAMES[0]; i++) {
        if (command_find(NAMES[i]) == NULL)
            continue;
        printf("  gpux %s %s%s%s", NAMES[i], json_cstr_or(report, "model_id", "?"),
               is_main ? "" : "@", is_main ? "" : revision);
        if (folder != NULL)
            printf(" --cache-dir '%s'", folder);
        putchar('\n');
    }
}

static int print_result(const PullJob *job) {
    const Cli *cli = job->cli;
    JsonDoc *doc = NULL;
    if (args_flag(&cli->args, "json")) {
        cli_print(sv_n(job->report.ptr, job->report.len));
        return EXIT_OK;
    }
    int code = cli_parse_json(cli, &doc, &job->report);
    const JsonValue *report = json_root(doc);
    const char *path = json_cstr_or(report, "path", "");
    if (code == EXIT_OK && job->is_quiet)
        printf("%s\n", path);
    else if (code == EXIT_OK)
        code = print_panel(job, report);
    if (code == EXIT_OK && !job->is_quiet && !job->options.no_convert) {
        printf("Configuration saved to: %s/gpux.yml\n", path);
        print_next_steps(cli, report);
    }
    json_free(doc);
    return code;
}

// ---- --provider ----

// The model is opened as `run` would open it: what the provider cannot do shows now.
static int check_provider(const PullJob *job, const char *provider) {
    const Cli *cli = job->cli;
    JsonDoc *doc = NULL;
    int code = cli_parse_json(cli, &doc, &job->report);
    if (code != EXIT_OK)
        return code;
    gpux_model_options options = GPUX_MODEL_OPTIONS_INIT;
    options.provider = provider;
    gpux_model *model = NULL;
    gpux_error error = {0};
    const char *path = json_cstr_or(json_root(doc), "path", "");
    gpux_status status = gpux_model_open(&model, cli->env, path, &options, &error);
    gpux_model_close(model);
    json_free(doc);
    if (status == GPUX_OK)
        return EXIT_OK;
    return cli_fail(cli, "Error", "The model is pulled, but provider '%s' cannot run it: %s",
                    provider, error.message);
}

int cmd_pull(Cli *cli) {
    const char *provider = args_text(&cli->args, "provider");
    if (provider != NULL && args_flag(&cli->args, "no-convert"))
        return cli_usage(cli, "--provider checks the converted model: not with --no-convert");
    int code = cli_open(cli);
    if (code != EXIT_OK)
        return code;
    PullJob job = pull_job(cli, args_positional(&cli->args, 0));
    code = pull_run(&job);
    if (code == EXIT_OK)
        code = print_result(&job);
    if (code == EXIT_OK && provider != NULL)
        code = check_provider(&job, provider);
    pull_clear(&job);
    return code;
}

// ---- batch pull ----

typedef struct Tally {
    size_t pulled, failed;
    int code; // of the first failure
} Tally;

// One line of JSON: the report as it is, or what went wrong.
static int print_json_line(const PullJob *job, int result) {
    const Cli *cli = job->cli;
    JsonDoc *doc = NULL;
    Buf line = BUF_INIT(PANEL_MAX);
    JsonWriter writer = json_writer(&line, 0);
    int code = result == EXIT_OK ? cli_parse_json(cli, &doc, &job->report) : EXIT_OK;
    if (result == EXIT_OK) {
        json_write_value(&writer, json_root(doc));
    } else {
        json_begin_object(&writer);
        json_key(&writer, "model_id");
        json_write_cstr(&writer, job->options.model);
        json_key(&writer, "error");
        json_write_cstr(&writer, job->error.message);
        json_end_object(&writer);
    }
    if (code == EXIT_OK && line.failed == STATUS_OK)
        cli_print(sv_n(line.ptr, line.len));
    else if (code == EXIT_OK)
        code = cli_fail(cli, "Error", "out of memory");
    json_free(doc);
    buf_free(&line);
    return code;
}

static int print_short(const PullJob *job) {
    const Cli *cli = job->cli;
    char size[32];
    JsonDoc *doc = NULL;
    int code = cli_parse_json(cli, &doc, &job->report);
    if (code != EXIT_OK)
        return code;
    const JsonValue *report = json_root(doc);
    format_bytes(size, json_f64_or(report, "size_bytes", 0));
    if (job->is_quiet)
        printf("%s\n", json_cstr_or(report, "path", ""));
    else
        printf("%s%s (%s, %s)%s\n", check_mark(cli), json_cstr_or(report, "model_id", "?"),
               json_cstr_or(report, "revision", "?"), size,
               json_bool_or(report, "cached", false) ? " already up to date" : "");
    json_free(doc);
    return EXIT_OK;
}

static bool is_interrupt(int code) {
    return code == EXIT_INTERRUPTED || code == EXIT_TERMINATED;
}

static int pull_line(Cli *cli, const char *model, Tally *tally) {
    PullJob job = pull_job(cli, model);
    int result = pull_run(&job);
    int code = EXIT_OK;
    if (result == EXIT_OK)
        tally->pulled++;
    else
        tally->failed++;
    if (result != EXIT_OK && tally->code == EXIT_OK)
        tally->code = result;
    if (is_interrupt(result))
        code = result;
    else if (args_flag(&cli->args, "json"))
        code = print_json_line(&job, result);
    else if (result == EXIT_OK)
        code = print_short(&job);
    fflush(stdout);
    pull_clear(&job);
    return code;
}

// The model that a line names; false for an empty line and for a comment.
static bool read_model(char out[LINE_MAX_BYTES], StrView line) {
    StrView text = sv_trim(line);
    if (text.len == 0 || text.ptr[0] == '#' || text.len >= LINE_MAX_BYTES)
        return false;
    memcpy(out, text.ptr, text.len);
    out[text.len] = '\0';
    return true;
}

static int pull_lines(Cli *cli, FILE *file) {
    Tally tally = {0};
    char line[LINE_MAX_BYTES];
    char model[LINE_MAX_BYTES];
    int code = EXIT_OK;
    while (code == EXIT_OK && fgets(line, sizeof line, file) != NULL)
        if (read_model(model, sv(line)))
            code = pull_line(cli, model, &tally);
    if (code == EXIT_OK && ferror(file))
        code = cli_fail(cli, "Error", "Cannot read the list of models: %s", strerror(errno));
    if (code != EXIT_OK)
        return code;
    if (!args_flag(&cli->args, "quiet"))
        cli_note(cli, "%zu pulled, %zu failed", tally.pulled, tally.failed);
    return tally.code;
}

int cmd_batch_pull(Cli *cli) {
    const char *path = args_positional(&cli->args, 0);
    bool is_stdin = strcmp(path, "-") == 0;
    FILE *file = is_stdin ? stdin : fopen(path, "re");
    if (file == NULL)
        return cli_fail(cli, "Error", "Cannot read the list of models: %s: '%s'", strerror(errno),
                        path);
    int code = cli_open(cli);
    if (code == EXIT_OK)
        code = pull_lines(cli, file);
    if (!is_stdin)
        fclose(file);
    return code;
}
