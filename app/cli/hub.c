// Failures of the hub and the cache, and the formats of their tables.
#include "app/cli/hub.h"

#include <stdio.h>
#include <string.h>
#include <time.h>

gpux_hub_options hub_options(const Cli *cli) {
    gpux_hub_options options = GPUX_HUB_OPTIONS_INIT;
    if (args_knows(&cli->args, "token"))
        options.token = args_text(&cli->args, "token");
    if (args_knows(&cli->args, "offline"))
        options.offline = args_flag(&cli->args, "offline");
    return options;
}

int hub_failed(const Cli *cli, gpux_status status, gpux_fault fault, const gpux_error *error) {
    const char *message = error->message[0] != '\0' ? error->message : gpux_status_text(status);
    if (fault == GPUX_FAULT_USAGE)
        return cli_usage(cli, "%s", message);
    cli_say(cli, "Error", "%s", message);
    const char *hint = gpux_fault_hint(fault);
    if (hint != NULL)
        cli_say(cli, "Hint", "%s", hint);
    int code = gpux_fault_exit_code(fault);
    return code != EXIT_OK ? code : EXIT_FAILED;
}

static bool is_called(const JsonValue *registry, StrView name) {
    if (sv_equal_nocase(name, sv(json_cstr_or(registry, "name", ""))))
        return true;
    const JsonValue *aliases = json_get(registry, "aliases");
    for (size_t i = 0; i < json_len(aliases); i++) {
        StrView alias;
        if (json_as_string(&alias, json_at(aliases, i)) && sv_equal_nocase(name, alias))
            return true;
    }
    return false;
}

static void append_name(Buf *names, StrView name) {
    if (names->len > 0)
        buf_append_cstr(names, ", ");
    buf_append_sv(names, name);
}

static int unsupported(const Cli *cli, const JsonValue *registries, const char *wanted) {
    Buf names = BUF_INIT(4096);
    for (size_t i = 0; i < json_len(registries); i++) {
        const JsonValue *registry = json_at(registries, i);
        if (strcmp(json_cstr_or(registry, "status", ""), "available") != 0)
            continue;
        append_name(&names, sv(json_cstr_or(registry, "name", "")));
        const JsonValue *aliases = json_get(registry, "aliases");
        for (size_t j = 0; j < json_len(aliases); j++) {
            StrView alias = {0};
            if (json_as_string(&alias, json_at(aliases, j)))
                append_name(&names, alias);
        }
    }
    int code = cli_fail(cli, "Error", "Unsupported registry '%s'. Supported registries: %.*s",
                        wanted, (int)names.len, names.ptr != NULL ? names.ptr : "");
    buf_free(&names);
    return code;
}

int hub_check_registry(const Cli *cli, const char *registry) {
    if (registry == NULL)
        return EXIT_OK;
    gpux_text text = {0};
    gpux_error error = {0};
    gpux_status status = gpux_hub_names(&text, cli->env, &error);
    if (status != GPUX_OK)
        return hub_failed(cli, status, GPUX_FAULT_LOCAL, &error);
    JsonDoc *doc = NULL;
    int code = cli_parse_json(cli, &doc, &text);
    bool is_known = false;
    for (size_t i = 0; code == EXIT_OK && i < json_len(json_root(doc)); i++) {
        const JsonValue *entry = json_at(json_root(doc), i);
        bool is_available = strcmp(json_cstr_or(entry, "status", ""), "available") == 0;
        is_known = is_known || (is_available && is_called(entry, sv(registry)));
    }
    if (code == EXIT_OK && !is_known)
        code = unsupported(cli, json_root(doc), registry);
    json_free(doc);
    gpux_text_free(&text);
    return code;
}

void format_age(char out[32], const char *utc, int64_t now) {
    static const struct {
        int64_t seconds;
        const char *name;
    } UNITS[] = {{365 * 86400, "year"}, {30 * 86400, "month"}, {7 * 86400, "week"},
                 {86400, "day"},        {3600, "hour"},        {60, "minute"}};
    struct tm tm = {0};
    if (utc == NULL || strptime(utc, "%Y-%m-%dT%H:%M:%S", &tm) == NULL) {
        snprintf(out, 32, "%.31s", utc != NULL ? utc : "");
        return;
    }
    int64_t age = now - (int64_t)timegm(&tm);
    for (size_t i = 0; i < sizeof UNITS / sizeof UNITS[0]; i++) {
        long long count = age / UNITS[i].seconds;
        if (count > 0) {
            snprintf(out, 32, "%lld %s%s ago", count, UNITS[i].name, count == 1 ? "" : "s");
            return;
        }
    }
    snprintf(out, 32, "just now");
}

void format_short_count(char out[32], int64_t count) {
    static const char UNITS[] = {'K', 'M', 'B'};
    double value = (double)count;
    if (value < 1000) {
        snprintf(out, 32, "%lld", (long long)count);
        return;
    }
    size_t unit = 0;
    // 999.95 would print as 1000.0.
    for (value /= 1000; value >= 999.95 && unit + 1 < sizeof UNITS; unit++)
        value /= 1000;
    snprintf(out, 32, "%.1f%c", value, UNITS[unit]);
}
