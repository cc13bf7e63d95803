// gpux rm MODEL...: cached models go, by id or by any name that leads to one.
#include "app/cli/commands.h"
#include "app/cli/hub.h"

#include "base/memory.h"

#include <stdio.h>
#include <string.h>
#include <unistd.h>

// The cached model whose folder is `folder`, as "id", and its revision.
static const JsonValue *find_by_folder(const JsonValue *models, const char *folder) {
    for (size_t i = 0; i < json_len(models); i++)
        if (strcmp(json_cstr_or(json_at(models, i), "path", ""), folder) == 0)
            return json_at(models, i);
    return NULL;
}

// What a name that is no id stands for: a configured name, a unique last part, a path. NULL when it
// leads to nothing cached. The answer is freed by the caller.
static char *id_of_name(const Cli *cli, const char *name) {
    gpux_location_options options = GPUX_LOCATION_OPTIONS_INIT;
    options.revision = args_text(&cli->args, "revision");
    gpux_text folder = {0};
    gpux_text list = {0};
    gpux_error error = {0};
    JsonDoc *doc = NULL;
    char *id = NULL;
    if (gpux_resolve(&folder, cli->env, name, &options, &error) == GPUX_OK &&
        gpux_list(&list, cli->env, NULL, &error) == GPUX_OK &&
        cli_parse_json(cli, &doc, &list) == EXIT_OK) {
        const JsonValue *model = find_by_folder(json_root(doc), folder.ptr);
        const char *found = json_cstr_or(model, "model_id", NULL);
        id = found != NULL ? mem_strdup(found) : NULL;
    }
    json_free(doc);
    gpux_text_free(&list);
    gpux_text_free(&folder);
    return id;
}

static int print_removed(const Cli *cli, const gpux_text *text) {
    JsonDoc *doc = NULL;
    int code = cli_parse_json(cli, &doc, text);
    if (code != EXIT_OK)
        return code;
    const JsonValue *models = json_root(doc);
    for (size_t i = 0; i < json_len(models); i++) {
        const JsonValue *model = json_at(models, i);
        char size[32];
        format_bytes(size, json_f64_or(model, "size_bytes", 0));
        printf("Removed: %s (%s, %s)\n", json_cstr_or(model, "model_id", "?"),
               json_cstr_or(model, "revision", "?"), size);
    }
    if (json_len(models) == 0)
        printf("No models cached\n");
    json_free(doc);
    return EXIT_OK;
}

static bool is_agreed(const Cli *cli, const char *what) {
    if (args_flag(&cli->args, "force") || isatty(STDIN_FILENO) != 1)
        return true;
    char answer[16] = "";
    fprintf(stderr, "Remove %s from the cache? [y/N] ", what);
    if (fgets(answer, sizeof answer, stdin) == NULL)
        putc('\n', stderr);
    return answer[0] == 'y' || answer[0] == 'Y';
}

static gpux_status try_remove(gpux_text *text, gpux_fault *fault, const Cli *cli, const char *model,
                              gpux_error *error) {
    return gpux_remove(text, fault, cli->env, model, args_text(&cli->args, "revision"),
                       args_flag(&cli->args, "force"), error);
}

// `model` NULL: all.
static int remove_model(const Cli *cli, const char *model) {
    gpux_text text = {0};
    gpux_fault fault = GPUX_FAULT_NONE;
    gpux_error error = {0};
    gpux_status status = try_remove(&text, &fault, cli, model, &error);
    bool is_unknown = fault == GPUX_FAULT_MODEL_NOT_FOUND || fault == GPUX_FAULT_NAME;
    char *id = status != GPUX_OK && is_unknown ? id_of_name(cli, model) : NULL;
    if (id != NULL) {
        error = (gpux_error){0};
        status = try_remove(&text, &fault, cli, id, &error);
    }
    mem_free(id);
    if (status != GPUX_OK && fault == GPUX_FAULT_MODEL_NOT_FOUND) {
        cli_say(cli, "Error", "%s", error.message);
        cli_say(cli, "Hint", "'gpux list' shows what is cached");
        return gpux_fault_exit_code(fault);
    }
    if (status != GPUX_OK)
        return hub_failed(cli, status, fault, &error);
    int code = print_removed(cli, &text);
    gpux_text_free(&text);
    return code;
}

static int remove_all(const Cli *cli) {
    if (args_positional(&cli->args, 0) != NULL)
        return cli_usage(cli, "--all removes every model: name none");
    if (args_is_set(&cli->args, "revision"))
        return cli_usage(cli, "--revision needs a model: not with --all");
    return is_agreed(cli, "all models") ? remove_model(cli, NULL) : EXIT_FAILED;
}

int cmd_rm(Cli *cli) {
    bool is_all = args_flag(&cli->args, "all");
    if (!is_all && args_positional(&cli->args, 0) == NULL)
        return cli_usage(cli, "Missing argument 'MODEL'");
    int code = cli_open(cli);
    if (code != EXIT_OK || is_all)
        return code != EXIT_OK ? code : remove_all(cli);
    for (size_t i = 0; args_positional(&cli->args, i) != NULL; i++) {
        const char *model = args_positional(&cli->args, i);
        char what[300];
        snprintf(what, sizeof what, "'%.250s'", model);
        int result = is_agreed(cli, what) ? remove_model(cli, model) : EXIT_FAILED;
        fflush(stdout);
        if (code == EXIT_OK)
            code = result;
    }
    return code;
}
