// gpux inspect: the machine, a model by name, or a model file. JSON is printed as the library made
// it; the tables are drawn from the same JSON.
#include "app/cli/commands.h"
#include "app/cli/inspect.h"

#include "base/file.h"
#include "base/memory.h"

#include <stdio.h>
#include <string.h>

enum { ANSWER_MAX = 1 << 30 };

static int inspect_failed(const Cli *cli, gpux_status status, const gpux_error *error) {
    const char *message = error->message[0] != '\0' ? error->message : gpux_status_text(status);
    if (status == GPUX_NOT_FOUND)
        return cli_fail(cli, "Error", "%s", message);
    return cli_fail(cli, "Inspect failed", "%s", message);
}

static gpux_location_options location(const Cli *cli) {
    gpux_location_options options = GPUX_LOCATION_OPTIONS_INIT;
    options.config = args_text(&cli->args, "config");
    options.revision = args_text(&cli->args, "revision");
    return options;
}

static int read_plan(gpux_text *out, const Cli *cli, const char *name) {
    gpux_location_options options = location(cli);
    gpux_error error = {0};
    gpux_status status = gpux_inspect_plan(out, cli->env, name, &options, &error);
    return status == GPUX_OK ? EXIT_OK : inspect_failed(cli, status, &error);
}

// The answer's members, and "plan" with a line of the plan per element.
static int print_with_plan(const Cli *cli, const JsonValue *root, const gpux_text *plan) {
    Buf out = BUF_INIT(ANSWER_MAX);
    JsonWriter writer = json_writer(&out, 2);
    size_t iterator = 0;
    StrView key;
    const JsonValue *value;
    json_begin_object(&writer);
    while (json_next(root, &iterator, &key, &value)) {
        json_key_sv(&writer, key);
        json_write_value(&writer, value);
    }
    json_key(&writer, "plan");
    json_begin_array(&writer);
    for (StrView rest = sv_n(plan->ptr, plan->len); rest.len > 0;) {
        const char *end = memchr(rest.ptr, '\n', rest.len);
        size_t len = end != NULL ? (size_t)(end - rest.ptr) : rest.len;
        json_write_string(&writer, sv_n(rest.ptr, len));
        size_t step = end != NULL ? len + 1 : len;
        rest = sv_n(rest.ptr + step, rest.len - step);
    }
    json_end_array(&writer);
    json_end_object(&writer);
    int code =
        buf_status(&out, NULL) == STATUS_OK ? EXIT_OK : cli_fail(cli, "Error", "out of memory");
    if (code == EXIT_OK)
        cli_print(sv_n(out.ptr, out.len));
    buf_free(&out);
    return code;
}

static int print_plan(const gpux_text *plan) {
    cli_print_gap();
    cli_print(SV("Execution Plan"));
    cli_print(sv_n(plan->ptr, plan->len));
    return EXIT_OK;
}

typedef int (*Draw)(const Cli *cli, const JsonValue *root);

// Prints `text` as it is with --json, else through `draw`; with --graph also the plan of the model
// called `plan_name`.
static int show(const Cli *cli, const gpux_text *text, Draw draw, const char *plan_name) {
    bool wants_json = args_flag(&cli->args, "json");
    if (wants_json && plan_name == NULL) {
        cli_print(sv_n(text->ptr, text->len));
        return EXIT_OK;
    }
    JsonDoc *doc = NULL;
    gpux_text plan = {0};
    int code = cli_parse_json(cli, &doc, text);
    if (code == EXIT_OK && plan_name != NULL)
        code = read_plan(&plan, cli, plan_name);
    if (code == EXIT_OK && wants_json)
        code = print_with_plan(cli, json_root(doc), &plan);
    else if (code == EXIT_OK)
        code = draw(cli, json_root(doc));
    if (code == EXIT_OK && !wants_json && plan_name != NULL)
        code = print_plan(&plan);
    gpux_text_free(&plan);
    json_free(doc);
    return code;
}

static int inspect_system(Cli *cli) {
    gpux_text text = {0};
    gpux_error error = {0};
    gpux_status status = gpux_system_info(&text, cli->env, &error);
    if (status != GPUX_OK)
        return inspect_failed(cli, status, &error);
    int code = show(cli, &text, inspect_draw_system, NULL);
    gpux_text_free(&text);
    return code;
}

static int inspect_file(Cli *cli, const char *path) {
    if (!file_is_regular(path))
        return cli_fail(cli, "Error", "Model file not found: %s", path);
    gpux_text text = {0};
    gpux_error error = {0};
    gpux_status status = gpux_inspect_file(&text, cli->env, path, &error);
    if (status != GPUX_OK)
        return inspect_failed(cli, status, &error);
    // As a model's name a file must look like a path.
    char *absolute = path_absolute(path);
    int code = EXIT_FAILED;
    if (absolute != NULL)
        code =
            show(cli, &text, inspect_draw_file, args_flag(&cli->args, "graph") ? absolute : NULL);
    else
        cli_say(cli, "Error", "out of memory");
    mem_free(absolute);
    gpux_text_free(&text);
    return code;
}

static int inspect_model(Cli *cli, const char *name) {
    gpux_location_options options = location(cli);
    gpux_text text = {0};
    gpux_error error = {0};
    gpux_status status = gpux_inspect(&text, cli->env, name, &options, &error);
    if (status != GPUX_OK)
        return inspect_failed(cli, status, &error);
    int code = show(cli, &text, inspect_draw_model, args_flag(&cli->args, "graph") ? name : NULL);
    gpux_text_free(&text);
    return code;
}

int cmd_inspect(Cli *cli) {
    const char *file = args_text(&cli->args, "model");
    const char *name = args_positional(&cli->args, 0);
    if (file == NULL && name == NULL && args_flag(&cli->args, "graph"))
        return cli_usage(cli, "--graph needs a model: gpux inspect MODEL_NAME --graph");
    if (file != NULL && name != NULL)
        cli_say(cli, "Warning", "MODEL_NAME '%s' is ignored because --model is given", name);
    int code = cli_open(cli);
    if (code != EXIT_OK)
        return code;
    if (file != NULL)
        return inspect_file(cli, file);
    return name != NULL ? inspect_model(cli, name) : inspect_system(cli);
}
