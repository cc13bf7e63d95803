// gpux build [PATH]: the library checks, measures and prepares a project; this shows it.
#include "app/cli/commands.h"
#include "app/cli/input.h"
#include "app/cli/inspect.h"

#include "base/file.h"
#include "base/memory.h"

#include <stdio.h>
#include <string.h>

enum { CELL_MAX = 4096 };

static const char *const PAIR_HEADERS[] = {"Property", "Value"};

typedef struct BuildView {
    const Cli *cli;
    gpux_build_step step; // the last one that began
} BuildView;

static bool on_step(void *ctx, gpux_build_step step, const char *text) {
    BuildView *view = ctx;
    view->step = step;
    cli_note(view->cli, "%s", text);
    return true;
}

// A checkpoint as it was downloaded: what is missing is its conversion.
static bool is_checkpoint(const char *folder) {
    char *config = path_join(folder, "config.json");
    bool is_there = config != NULL && file_is_regular(config);
    mem_free(config);
    return is_there;
}

static int not_found(const Cli *cli, const char *message) {
    static const char NO_CONFIG[] = "Configuration file";
    const char *path = args_positional(&cli->args, 0);
    FileStat stat;
    int code = cli_fail(cli, "Error", "%s", message);
    if (path == NULL || strncmp(message, NO_CONFIG, sizeof NO_CONFIG - 1) != 0)
        return code;
    if (is_checkpoint(path))
        cli_say(cli, "Hint", "gpux convert %s makes one for a checkpoint", path);
    else if (strchr("./~", path[0]) == NULL && !file_stat(&stat, path))
        cli_say(cli, "Hint", "gpux pull %s, if that is the id of a model", path);
    return code;
}

static int failed(const BuildView *view, gpux_status status, const gpux_error *error) {
    const Cli *cli = view->cli;
    static const char UNKNOWN[] = "Unknown provider";
    const char *message = error->message[0] != '\0' ? error->message : gpux_status_text(status);
    if (strncmp(message, UNKNOWN, sizeof UNKNOWN - 1) == 0) {
        cli_say(cli, "Error", "%s", message);
        return args_is_set(&cli->args, "provider") ? EXIT_USAGE : EXIT_FAILED;
    }
    if (status == GPUX_NOT_FOUND)
        return not_found(cli, message);
    int code = cli_fail(cli, "Build failed", "%s", message);
    if (status == GPUX_UNSUPPORTED && view->step >= GPUX_BUILD_OPTIMIZE)
        cli_say(cli, "Hint", "gpux build --no-optimize only checks and describes the model");
    return code;
}

// ---- Tables ----

static int end_table(const Cli *cli, Table *table) {
    int code = cli_print_table(cli, table, false);
    cli_print_gap();
    return code;
}

static void add_count(Table *table, const char *name, const JsonValue *list) {
    char text[32];
    snprintf(text, sizeof text, "%zu", json_len(list));
    table_add_pair(table, name, text);
}

static int draw_model(const Cli *cli, const JsonValue *info) {
    char size[32];
    Table table = table_new("Model Information", PAIR_HEADERS, 2);
    table_add_pair(&table, "Name", json_cstr_or(info, "name", NULL));
    table_add_pair(&table, "Version", json_cstr_or(info, "version", NULL));
    table_add_pair(&table, "Format", json_cstr_or(info, "format", NULL));
    format_bytes(size, json_f64_or(info, "size_bytes", 0));
    table_add_pair(&table, "Size", size);
    add_count(&table, "Inputs", json_get(info, "inputs"));
    add_count(&table, "Outputs", json_get(info, "outputs"));
    return end_table(cli, &table);
}

static int draw_provider(const Cli *cli, const JsonValue *info) {
    bool is_available = json_bool_or(info, "available", false);
    Table table = table_new("Execution Provider", PAIR_HEADERS, 2);
    table_add_pair(&table, "Provider", json_cstr_or(info, "name", NULL));
    table_add_pair(&table, "Platform", json_cstr_or(info, "platform", NULL));
    table_add_pair(&table, "Available", is_available ? "✅ Yes" : "❌ No");
    table_add_pair(&table, "Description", json_cstr_or(info, "description", NULL));
    return end_table(cli, &table);
}

static int draw_tensors(const Cli *cli, const char *title, const JsonValue *tensors,
                        bool are_inputs) {
    static const char *const HEADERS[] = {"Name", "Type", "Shape", "Required"};
    Table table = table_new(title, HEADERS, are_inputs ? 4 : 3);
    for (size_t i = 0; i < json_len(tensors); i++) {
        const JsonValue *tensor = json_at(tensors, i);
        const char *type = json_cstr_or(tensor, "type", NULL);
        Buf shape = BUF_INIT(CELL_MAX);
        inspect_format_shape(&shape, json_get(tensor, "shape"), type);
        const char *cells[] = {json_cstr_or(tensor, "name", NULL), type,
                               shape.failed == STATUS_OK ? shape.ptr : "",
                               json_bool_or(tensor, "required", true) ? "✅" : "❌"};
        table_add_row(&table, cells);
        buf_free(&shape);
    }
    return end_table(cli, &table);
}

// What is not there is a dash.
static void format_number(char out[32], const JsonValue *row, const char *key, int decimals,
                          const char *unit) {
    double number;
    if (json_as_f64(&number, json_get(row, key)))
        snprintf(out, 32, "%.*f%s", decimals, number, unit);
    else
        snprintf(out, 32, "-");
}

static int draw_precisions(const Cli *cli, const JsonValue *tuning) {
    static const char *const HEADERS[] = {
        "Precision", "Time", "Speedup", "Cosine", "Cosine Min", "Label Agreement", "Within Limits"};
    const JsonValue *rows = json_get(tuning, "measured");
    Table table = table_new("Measured Precisions", HEADERS, 7);
    for (size_t i = 1; i < 6; i++)
        table.is_right[i] = true;
    for (size_t i = 0; i < json_len(rows); i++) {
        const JsonValue *row = json_at(rows, i);
        char text[5][32];
        double agreement;
        format_number(text[0], row, "time_ms", 3, " ms");
        format_number(text[1], row, "speedup", 2, "x");
        format_number(text[2], row, "cosine_mean", 6, "");
        format_number(text[3], row, "cosine_min", 6, "");
        snprintf(text[4], sizeof text[4], "-");
        if (json_as_f64(&agreement, json_get(row, "label_agreement")))
            snprintf(text[4], sizeof text[4], "%.2f %%", 100 * agreement);
        const char *cells[] = {json_cstr_or(row, "precision", NULL),
                               text[0],
                               text[1],
                               text[2],
                               text[3],
                               text[4],
                               json_bool_or(row, "within_limits", false) ? "✅ Yes" : "❌ No"};
        table_add_row(&table, cells);
    }
    return end_table(cli, &table);
}

static int draw_tuning(const Cli *cli, const JsonValue *tuning) {
    char text[64];
    if (json_kind(tuning) != JSON_OBJECT)
        return EXIT_OK;
    int code = draw_precisions(cli, tuning);
    const JsonValue *samples = json_get(tuning, "samples");
    Table table = table_new("Tuning", PAIR_HEADERS, 2);
    table_add_pair(&table, "Goal", json_cstr_or(tuning, "goal", NULL));
    snprintf(text, sizeof text, "%lld requests (%.20s), %lld tokens",
             (long long)json_i64_or(samples, "requests", 0), json_cstr_or(samples, "source", ""),
             (long long)json_i64_or(samples, "tokens", 0));
    table_add_pair(&table, "Compared", text);
    table_add_pair(&table, "Precision of auto", json_cstr_or(tuning, "precision", NULL));
    int64_t threads = json_i64_or(tuning, "threads", 0);
    snprintf(text, sizeof text, "%lld", (long long)threads);
    table_add_pair(&table, "Threads", threads > 0 ? text : "automatic");
    return code == EXIT_OK ? end_table(cli, &table) : code;
}

static int draw(const Cli *cli, const JsonValue *report) {
    const JsonValue *info = json_get(report, "model_info");
    int code = draw_model(cli, info);
    if (code == EXIT_OK)
        code = draw_provider(cli, json_get(report, "provider_info"));
    if (code == EXIT_OK)
        code = draw_tensors(cli, "Input Specifications", json_get(info, "inputs"), true);
    if (code == EXIT_OK)
        code = draw_tensors(cli, "Output Specifications", json_get(info, "outputs"), false);
    if (code == EXIT_OK)
        code = draw_tuning(cli, json_get(report, "tuning"));
    if (code != EXIT_OK)
        return code;
    Buf lines = BUF_INIT(1 << 20);
    Buf shown = BUF_INIT(1 << 20);
    buf_printf(&lines, "✅ Build completed successfully!\nBuild artifacts saved to: %s/.gpux\n",
               json_cstr_or(report, "folder", "."));
    text_append_shown(&shown, sv_n(lines.ptr, lines.len), &cli->out);
    if (buf_status(&shown, NULL) == STATUS_OK)
        cli_print(sv_n(shown.ptr, shown.len));
    buf_free(&lines);
    buf_free(&shown);
    return EXIT_OK;
}

// ---- The command ----

static gpux_tune tune_of(const char *goal) {
    if (goal == NULL)
        return GPUX_TUNE_NONE;
    return strcmp(goal, "throughput") == 0 ? GPUX_TUNE_THROUGHPUT : GPUX_TUNE_LATENCY;
}

// Everything that can be wrong with the command line itself.
static int read_options(gpux_build_options *out, Buf *dataset, const Cli *cli) {
    const Args *args = &cli->args;
    *out = (gpux_build_options)GPUX_BUILD_OPTIONS_INIT;
    out->config = args_text(args, "config");
    out->provider = args_text(args, "provider");
    out->no_optimize = args_is_set(args, "optimize") && !args_flag(args, "optimize");
    out->strict = args_flag(args, "strict");
    out->tune = tune_of(args_text(args, "tune"));
    int code = cli_text_or_env(cli, &out->provider_once, "provider", "GPUX_PROVIDER");
    if (code == EXIT_OK)
        code = cli_text_or_env(cli, &out->precision, "precision", "GPUX_PRECISION");
    const char *path = args_text(args, "dataset");
    if (code == EXIT_OK && out->no_optimize && (out->tune != GPUX_TUNE_NONE || path != NULL))
        return cli_usage(cli, "--no-optimize measures nothing: leave --tune and --dataset out");
    if (code != EXIT_OK || path == NULL)
        return code;
    code = input_load_dataset(dataset, cli, path);
    out->samples = dataset->ptr;
    out->samples_len = dataset->len;
    return code;
}

static int show(const Cli *cli, const gpux_text *text) {
    JsonDoc *doc = NULL;
    int code = cli_parse_json(cli, &doc, text);
    const JsonValue *warnings = json_get(json_root(doc), "warnings");
    for (size_t i = 0; i < json_len(warnings); i++) {
        StrView warning;
        if (json_as_string(&warning, json_at(warnings, i)))
            cli_say(cli, "Warning", "%.*s", (int)warning.len, warning.ptr);
    }
    if (code == EXIT_OK && args_flag(&cli->args, "json"))
        cli_print(sv_n(text->ptr, text->len));
    else if (code == EXIT_OK)
        code = draw(cli, json_root(doc));
    json_free(doc);
    return code;
}

int cmd_build(Cli *cli) {
    gpux_build_options options;
    gpux_text report = {0};
    gpux_error error = {0};
    Buf dataset = {0};
    int code = read_options(&options, &dataset, cli);
    if (code == EXIT_OK)
        code = cli_open(cli);
    BuildView view = {.cli = cli};
    options.progress = on_step;
    options.progress_ctx = &view;
    if (code == EXIT_OK) {
        gpux_status status =
            gpux_build(&report, cli->env, args_positional(&cli->args, 0), &options, &error);
        code = status == GPUX_OK ? show(cli, &report) : failed(&view, status, &error);
    }
    gpux_text_free(&report);
    buf_free(&dataset);
    return code;
}
