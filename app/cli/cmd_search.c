// gpux search, gpux info and gpux registries: questions to the hub.
#include "app/cli/commands.h"
#include "app/cli/hub.h"

#include <stdio.h>
#include <string.h>
#include <time.h>

static const char *yes_no(const JsonValue *object, const char *key) {
    const JsonValue *value = json_get(object, key);
    bool is_true = false;
    if (json_kind(value) == JSON_STRING)
        return "✅ Yes";
    if (!json_as_bool(&is_true, value))
        return "";
    return is_true ? "✅ Yes" : "❌ No";
}

// ---- search ----

static void add_found(Table *table, const JsonValue *model, int64_t now) {
    char downloads[32];
    char likes[32];
    char updated[32];
    format_short_count(downloads, json_i64_or(model, "downloads", 0));
    format_short_count(likes, json_i64_or(model, "likes", 0));
    format_age(updated, json_cstr_or(model, "last_modified", NULL), now);
    table_add_row(table, (const char *const[]){json_cstr_or(model, "model_id", NULL),
                                               json_cstr_or(model, "task", NULL), downloads, likes,
                                               updated, yes_no(model, "supported")});
}

static int print_found(const Cli *cli, const JsonValue *models) {
    static const char *const HEADERS[] = {"MODEL", "TASK",    "DOWNLOADS",
                                          "LIKES", "UPDATED", "SUPPORTED"};
    if (json_len(models) == 0) {
        printf("No models found\n");
        return EXIT_OK;
    }
    Table table = table_new("Models", HEADERS, 6);
    table.is_right[2] = true;
    table.is_right[3] = true;
    for (size_t i = 0; i < json_len(models); i++)
        add_found(&table, json_at(models, i), (int64_t)time(NULL));
    return cli_print_table(cli, &table, false);
}

typedef int (*Draw)(const Cli *cli, const JsonValue *root);

// Prints the answer of the library as it is with --json, else through `draw`, and frees it.
static int show(const Cli *cli, gpux_text *text, Draw draw) {
    JsonDoc *doc = NULL;
    int code = EXIT_OK;
    if (args_flag(&cli->args, "json"))
        cli_print(sv_n(text->ptr, text->len));
    else
        code = cli_parse_json(cli, &doc, text);
    if (code == EXIT_OK && doc != NULL)
        code = draw(cli, json_root(doc));
    json_free(doc);
    gpux_text_free(text);
    return code;
}

int cmd_search(Cli *cli) {
    const Args *args = &cli->args;
    int code = cli_open(cli);
    if (code == EXIT_OK)
        code = hub_check_registry(cli, args_text(args, "registry"));
    if (code != EXIT_OK)
        return code;
    gpux_hub_options hub = hub_options(cli);
    gpux_text text = {0};
    gpux_fault fault = GPUX_FAULT_NONE;
    gpux_error error = {0};
    gpux_status status = gpux_hub_search(&text, &fault, cli->env, &hub, args_positional(args, 0),
                                         args_text(args, "task"), args_text(args, "sort"),
                                         (int)args_number(args, "limit"), &error);
    if (status != GPUX_OK)
        return hub_failed(cli, status, fault, &error);
    return show(cli, &text, print_found);
}

// ---- info ----

static void join(char out[256], const JsonValue *names) {
    size_t used = 0;
    out[0] = '\0';
    for (size_t i = 0; i < json_len(names); i++) {
        StrView name = {0};
        if (!json_as_string(&name, json_at(names, i)) || used + name.len + 3 >= 256)
            continue;
        used += (size_t)snprintf(out + used, 256 - used, "%s%.*s", used > 0 ? ", " : "",
                                 (int)name.len, name.ptr);
    }
}

static void add_counts(Table *table, const JsonValue *model) {
    static const char *const KEYS[][2] = {
        {"parameters", "Parameters"}, {"downloads", "Downloads"}, {"likes", "Likes"}};
    for (size_t i = 0; i < 3; i++) {
        char text[32];
        int64_t count = json_i64_or(model, KEYS[i][0], -1);
        format_count(text, count);
        table_add_pair(table, KEYS[i][1], count >= 0 ? text : NULL);
    }
}

static void add_sizes(Table *table, const JsonValue *model) {
    const JsonValue *files = json_get(model, "files");
    size_t needed = 0;
    char text[64];
    for (size_t i = 0; i < json_len(files); i++)
        needed += json_bool_or(json_at(files, i), "needed", false);
    format_bytes(text, json_f64_or(model, "size_bytes", 0));
    table_add_pair(table, "Size", text);
    snprintf(text, sizeof text, "%zu of %zu are pulled", needed, json_len(files));
    table_add_pair(table, "Files", text);
}

static int print_files(const Cli *cli, const JsonValue *model) {
    static const char *const HEADERS[] = {"Path", "Size"};
    const JsonValue *files = json_get(model, "files");
    Table table = table_new("Files", HEADERS, 2);
    table.is_right[1] = true;
    for (size_t i = 0; i < json_len(files); i++) {
        const JsonValue *file = json_at(files, i);
        char size[32];
        if (!json_bool_or(file, "needed", false))
            continue;
        int64_t bytes = json_i64_or(file, "size", -1);
        format_bytes(size, (double)bytes);
        table_add_pair(&table, json_cstr_or(file, "path", NULL), bytes >= 0 ? size : NULL);
    }
    if (table.rows == 0) {
        table_free(&table);
        return EXIT_OK;
    }
    cli_print_gap();
    return cli_print_table(cli, &table, false);
}

static int print_info(const Cli *cli, const JsonValue *model) {
    static const char *const HEADERS[] = {"Property", "Value"};
    char architectures[256];
    char updated[32];
    join(architectures, json_get(model, "architectures"));
    format_age(updated, json_cstr_or(model, "last_modified", NULL), (int64_t)time(NULL));
    Table table = table_new("Model Information", HEADERS, 2);
    table_add_pair(&table, "Model ID", json_cstr_or(model, "model_id", NULL));
    table_add_pair(&table, "Registry", json_cstr_or(model, "registry", NULL));
    table_add_pair(&table, "Revision", json_cstr_or(model, "revision", NULL));
    table_add_pair(&table, "Commit", json_cstr_or(model, "commit", NULL));
    table_add_pair(&table, "Task", json_cstr_or(model, "task", NULL));
    table_add_pair(&table, "Library", json_cstr_or(model, "library", NULL));
    table_add_pair(&table, "Architecture", architectures);
    table_add_pair(&table, "License", json_cstr_or(model, "license", NULL));
    add_counts(&table, model);
    table_add_pair(&table, "Updated", updated);
    add_sizes(&table, model);
    table_add_pair(&table, "Gated", yes_no(model, "gated"));
    table_add_pair(&table, "Private", yes_no(model, "private"));
    table_add_pair(&table, "Supported", yes_no(model, "supported"));
    table_add_pair(&table, "Cached", yes_no(model, "cached"));
    int code = cli_print_table(cli, &table, false);
    return code == EXIT_OK ? print_files(cli, model) : code;
}

int cmd_info(Cli *cli) {
    int code = cli_open(cli);
    if (code != EXIT_OK)
        return code;
    gpux_hub_options hub = hub_options(cli);
    gpux_text text = {0};
    gpux_fault fault = GPUX_FAULT_NONE;
    gpux_error error = {0};
    gpux_status status =
        gpux_hub_info(&text, &fault, cli->env, &hub, args_positional(&cli->args, 0),
                      args_text(&cli->args, "revision"), &error);
    if (status != GPUX_OK)
        return hub_failed(cli, status, fault, &error);
    return show(cli, &text, print_info);
}

// ---- registries ----

static int print_registries(const Cli *cli, const JsonValue *registries) {
    static const char *const HEADERS[] = {"NAME", "ALIASES", "ENDPOINT", "STATUS"};
    Table table = table_new("Registries", HEADERS, 4);
    for (size_t i = 0; i < json_len(registries); i++) {
        const JsonValue *registry = json_at(registries, i);
        char aliases[256];
        join(aliases, json_get(registry, "aliases"));
        table_add_row(&table, (const char *const[]){json_cstr_or(registry, "name", NULL),
                                                    aliases[0] != '\0' ? aliases : "-",
                                                    json_cstr_or(registry, "endpoint", "-"),
                                                    json_cstr_or(registry, "status", NULL)});
    }
    return cli_print_table(cli, &table, false);
}

int cmd_registries(Cli *cli) {
    gpux_text text = {0};
    gpux_error error = {0};
    int code = cli_open(cli);
    if (code != EXIT_OK)
        return code;
    gpux_status status = gpux_hub_names(&text, cli->env, &error);
    if (status != GPUX_OK)
        return hub_failed(cli, status, GPUX_FAULT_LOCAL, &error);
    return show(cli, &text, print_registries);
}
