// gpux list: what is cached; and gpux prune: what nobody will want again.
#include "app/cli/commands.h"
#include "app/cli/hub.h"

#include <stdio.h>
#include <string.h>
#include <time.h>

static int print_names(const JsonValue *models) {
    const char *last = "";
    for (size_t i = 0; i < json_len(models); i++) {
        const char *id = json_cstr_or(json_at(models, i), "model_id", "");
        // Revisions of a model stand together.
        if (strcmp(id, last) != 0)
            printf("%s\n", id);
        last = id;
    }
    return EXIT_OK;
}

static void add_model(Table *table, const JsonValue *model, int64_t now) {
    char format[64];
    char size[32];
    char age[32];
    bool is_converted = json_bool_or(model, "is_converted", true);
    snprintf(format, sizeof format, "%.31s%s", json_cstr_or(model, "format", "?"),
             is_converted ? "" : " (not converted)");
    format_bytes(size, json_f64_or(model, "size_bytes", 0));
    format_age(age, json_cstr_or(model, "pulled_at", NULL), now);
    table_add_row(table,
                  (const char *const[]){json_cstr_or(model, "model_id", NULL),
                                        json_cstr_or(model, "revision", NULL),
                                        json_cstr_or(model, "task", NULL), format, size, age});
}

static int print_models(const Cli *cli, const JsonValue *models) {
    static const char *const HEADERS[] = {"NAME", "REVISION", "TASK", "FORMAT", "SIZE", "PULLED"};
    if (json_len(models) == 0) {
        printf("No models cached\n");
        return EXIT_OK;
    }
    Table table = table_new("Cached Models", HEADERS, 6);
    table.is_right[4] = true;
    for (size_t i = 0; i < json_len(models); i++)
        add_model(&table, json_at(models, i), (int64_t)time(NULL));
    return cli_print_table(cli, &table, false);
}

int cmd_list(Cli *cli) {
    const char *registry = args_text(&cli->args, "registry");
    gpux_text text = {0};
    gpux_error error = {0};
    JsonDoc *doc = NULL;
    int code = cli_open(cli);
    if (code == EXIT_OK)
        code = hub_check_registry(cli, registry);
    if (code != EXIT_OK)
        return code;
    gpux_status status = gpux_list(&text, cli->env, registry, &error);
    if (status != GPUX_OK)
        return hub_failed(cli, status, GPUX_FAULT_LOCAL, &error);
    if (args_flag(&cli->args, "json")) {
        cli_print(sv_n(text.ptr, text.len));
    } else {
        code = cli_parse_json(cli, &doc, &text);
        if (code == EXIT_OK)
            code = args_flag(&cli->args, "quiet") ? print_names(json_root(doc))
                                                  : print_models(cli, json_root(doc));
    }
    json_free(doc);
    gpux_text_free(&text);
    return code;
}

static int print_freed(const Cli *cli, const gpux_text *text) {
    JsonDoc *doc = NULL;
    char size[32];
    int code = cli_parse_json(cli, &doc, text);
    if (code != EXIT_OK)
        return code;
    const JsonValue *removed = json_get(json_root(doc), "removed");
    for (size_t i = 0; i < json_len(removed) && cli->is_verbose; i++) {
        StrView name = {0};
        if (json_as_string(&name, json_at(removed, i)))
            cli_note(cli, "Removed: %.*s", (int)name.len, name.ptr);
    }
    format_bytes(size, json_f64_or(json_root(doc), "freed_bytes", 0));
    printf("Freed %s\n", size);
    json_free(doc);
    return EXIT_OK;
}

int cmd_prune(Cli *cli) {
    gpux_text text = {0};
    gpux_fault fault = GPUX_FAULT_NONE;
    gpux_error error = {0};
    int code = cli_open(cli);
    if (code != EXIT_OK)
        return code;
    gpux_status status = gpux_prune(&text, &fault, cli->env, &error);
    if (status != GPUX_OK)
        return hub_failed(cli, status, fault, &error);
    if (args_flag(&cli->args, "json"))
        cli_print(sv_n(text.ptr, text.len));
    else
        code = print_freed(cli, &text);
    gpux_text_free(&text);
    return code;
}
