// gpux version
#include "app/cli/commands.h"

#include <stdio.h>
#include <sys/utsname.h>

enum { VERSION_TEXT_MAX = 1 << 20 };

#if defined(__clang__)
static const char COMPILER[] = "clang " __clang_version__;
#else
static const char COMPILER[] = "gcc " __VERSION__;
#endif

void print_version(void) {
    printf("GPUX version %s\n", gpux_version());
}

static void write_build(JsonWriter *writer) {
    struct utsname names;
    json_key(writer, "build");
    json_begin_object(writer);
    json_key(writer, "compiler");
    json_write_cstr(writer, COMPILER);
    json_key(writer, "os");
    json_write_cstr(writer, uname(&names) == 0 ? names.sysname : NULL);
    json_key(writer, "arch");
    json_write_cstr(writer, uname(&names) == 0 ? names.machine : NULL);
    json_end_object(writer);
}

// Each available provider with its engine and, where another library does the work, its version.
static void write_providers(JsonWriter *writer, const JsonValue *system) {
    const JsonValue *details = json_get(system, "provider_details");
    size_t iterator = 0;
    StrView name;
    const JsonValue *provider;
    json_key(writer, "providers");
    json_begin_object(writer);
    while (json_next(details, &iterator, &name, &provider)) {
        if (!json_bool_or(provider, "available", false))
            continue;
        json_key_sv(writer, name);
        json_begin_object(writer);
        json_key(writer, "engine");
        json_write_cstr(writer, json_cstr_or(provider, "engine", NULL));
        json_key(writer, "version");
        json_write_cstr(writer, json_cstr_or(provider, "version", NULL));
        json_end_object(writer);
    }
    json_end_object(writer);
}

int cmd_version(Cli *cli) {
    if (!args_flag(&cli->args, "json")) {
        print_version();
        return EXIT_OK;
    }
    int code = cli_open(cli);
    if (code != EXIT_OK)
        return code;
    gpux_text text = {0};
    gpux_error error = {0};
    if (gpux_system_info(&text, cli->env, &error) != GPUX_OK)
        return cli_fail(cli, "Error", "%s", error.message);
    JsonDoc *doc = NULL;
    code = cli_parse_json(cli, &doc, &text);
    if (code == EXIT_OK) {
        Buf out = BUF_INIT(VERSION_TEXT_MAX);
        JsonWriter writer = json_writer(&out, 2);
        json_begin_object(&writer);
        json_key(&writer, "version");
        json_write_cstr(&writer, gpux_version());
        write_build(&writer);
        write_providers(&writer, json_root(doc));
        json_end_object(&writer);
        if (buf_status(&out, NULL) == STATUS_OK)
            cli_print(sv_n(out.ptr, out.len));
        else
            code = cli_fail(cli, "Error", "out of memory");
        buf_free(&out);
    }
    json_free(doc);
    gpux_text_free(&text);
    return code;
}
