// gpux convert DIR
#include "app/cli/commands.h"
#include "app/cli/signals.h"

#include "base/file.h"
#include "base/memory.h"

#include <stdio.h>
#include <string.h>

// A fault of the checkpoint is a conversion error; a fault of the machine or the caller is not.
static bool is_checkpoint_fault(gpux_status status) {
    return status == GPUX_CONVERSION || status == GPUX_CORRUPT || status == GPUX_UNSUPPORTED ||
           status == GPUX_NOT_FOUND || status == GPUX_LIMIT;
}

static int report_failure(const Cli *cli, gpux_status status, const gpux_error *error) {
    static const char PREFIX[] = "Conversion failed: ";
    const char *message = error->message[0] != '\0' ? error->message : gpux_status_text(status);
    if (!is_checkpoint_fault(status))
        return cli_fail(cli, "Error", "%s", message);
    bool has_prefix = strncmp(message, PREFIX, sizeof PREFIX - 1) == 0;
    cli_say(cli, "Error", "%s%s", has_prefix ? "" : PREFIX, message);
    return EXIT_CONVERSION;
}

static void add_text(Table *table, const char *name, const char *text) {
    if (text != NULL && text[0] != '\0')
        table_add_pair(table, name, text);
}

static int print_report(const Cli *cli, const JsonValue *report, const char *folder) {
    static const char *const HEADERS[] = {"Property", "Value"};
    Table table = table_new("Conversion Complete", HEADERS, 2);
    char text[64];
    add_text(&table, "Task", json_cstr_or(report, "task", NULL));
    add_text(&table, "Architecture", json_cstr_or(report, "architecture", NULL));
    format_count(text, json_i64_or(report, "parameters", 0));
    table_add_pair(&table, "Parameters", text);
    add_text(&table, "Format", json_cstr_or(report, "format", NULL));
    snprintf(text, sizeof text, "%lld", (long long)json_i64_or(report, "opset", 0));
    table_add_pair(&table, "Opset", text);
    format_bytes(text, json_f64_or(report, "size_bytes", 0));
    table_add_pair(&table, "Size", text);
    double seconds = json_f64_or(report, "convert_time_s", 0);
    snprintf(text, sizeof text, seconds < 1 ? "%.3f s" : "%.2f s", seconds);
    table_add_pair(&table, "Convert Time", text);
    int code = cli_print_table(cli, &table, false);
    if (code != EXIT_OK)
        return code;
    char *config = path_join(folder, "gpux.yml");
    printf("Configuration saved to: %s\n", config != NULL ? config : "gpux.yml");
    mem_free(config);
    // A name without a slash would be looked up in the cache first.
    const char *dot = strchr(folder, '/') == NULL && strcmp(folder, ".") != 0 ? "./" : "";
    printf("\nNext steps:\n  gpux run %s%s \"some text\"\n  gpux inspect %s%s\n", dot, folder, dot,
           folder);
    return EXIT_OK;
}

static int print_result(const Cli *cli, const gpux_text *report, const char *folder) {
    JsonDoc *doc = NULL;
    int code = cli_parse_json(cli, &doc, report);
    if (code != EXIT_OK)
        return code;
    const JsonValue *warnings = json_get(json_root(doc), "warnings");
    for (size_t i = 0; i < json_len(warnings); i++) {
        StrView warning;
        if (json_as_string(&warning, json_at(warnings, i)))
            cli_say(cli, "Warning", "%.*s", (int)warning.len, warning.ptr);
    }
    if (args_flag(&cli->args, "json"))
        cli_print(sv_n(report->ptr, report->len));
    else
        code = print_report(cli, json_root(doc), folder);
    json_free(doc);
    return code;
}

static int convert_folder(Cli *cli, const char *folder) {
    const Args *args = &cli->args;
    gpux_convert_options options = GPUX_CONVERT_OPTIONS_INIT;
    options.output = args_text(args, "output");
    options.opset = (int)args_number(args, "opset");
    options.task = args_text(args, "task");
    options.force = args_flag(args, "force");
    if (cli->is_verbose || (cli->err.is_terminal && !args_flag(args, "json")))
        cli_note(cli, "Converting to ONNX...");
    gpux_text report = {0};
    gpux_error error = {0};
    signals_begin_writing();
    gpux_status status = gpux_convert(&report, cli->env, folder, &options, &error);
    signals_end_writing();
    if (status != GPUX_OK)
        return report_failure(cli, status, &error);
    int code = print_result(cli, &report, options.output != NULL ? options.output : folder);
    gpux_text_free(&report);
    return code;
}

// The folder that a path, or the name of a cached model, leads to. EXIT_OK, or the exit code.
static int find_folder(char **out, const Cli *cli, const char *name) {
    FileStat stat;
    gpux_text text = {0};
    gpux_location_options where = GPUX_LOCATION_OPTIONS_INIT;
    // A mistyped name must not end up at the project of this folder.
    bool is_cached_name = strchr(name, '/') != NULL || !file_is_regular("gpux.yml");
    if (file_stat(&stat, name))
        *out = stat.is_dir ? mem_strdup(name) : path_dirname(name);
    else if (is_cached_name && gpux_resolve(&text, cli->env, name, &where, NULL) == GPUX_OK)
        *out = mem_strdup(text.ptr);
    else
        return cli_fail(cli, "Error", "Model folder not found: %s", name);
    gpux_text_free(&text);
    if (*out == NULL)
        return cli_fail(cli, "Error", "out of memory");
    size_t len = strlen(*out);
    while (len > 1 && (*out)[len - 1] == '/')
        (*out)[--len] = '\0';
    return EXIT_OK;
}

int cmd_convert(Cli *cli) {
    char *folder = NULL;
    int code = cli_open(cli);
    if (code == EXIT_OK)
        code = find_folder(&folder, cli, args_positional(&cli->args, 0));
    if (code == EXIT_OK)
        code = convert_folder(cli, folder);
    mem_free(folder);
    return code;
}
