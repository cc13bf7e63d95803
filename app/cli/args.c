// The parser behind args.h: long and short options in any order, values attached or apart, "--".
#include "app/cli/args.h"

#include "base/str.h"

#include <assert.h>
#include <stdio.h>
#include <string.h>

static size_t option_index(const Command *command, const Option *option) {
    return (size_t)(option - command->options);
}

static const Option *find_long(const Command *command, StrView name) {
    for (size_t i = 0; i < command->option_count; i++) {
        const Option *option = &command->options[i];
        if (sv_equal_cstr(name, option->name) ||
            (option->alias != NULL && sv_equal_cstr(name, option->alias)))
            return option;
    }
    return NULL;
}

static const Option *find_short(const Command *command, char name) {
    for (size_t i = 0; i < command->option_count; i++)
        if (command->options[i].short_name == name && name != '\0')
            return &command->options[i];
    return NULL;
}

const Option *args_find_option(const Command *command, const char *name) {
    return find_long(command, sv(name));
}

static Status unknown_option(Args *args, StrView typed, Error *error) {
    const Command *command = args->command;
    const char *names[ARGS_MAX_OPTIONS];
    size_t count = 0;
    for (size_t i = 0; i < command->option_count; i++)
        names[count++] = command->options[i].name;
    bool negated = sv_starts_with(typed, SV("no-"));
    StrView wanted = negated ? sv_n(typed.ptr + 3, typed.len - 3) : typed;
    const char *closest = str_closest(wanted, names, count);
    if (closest == NULL && negated) {
        negated = false;
        closest = str_closest(typed, names, count);
    }
    if (closest != NULL) {
        bool says_no = negated && find_long(command, sv(closest))->kind == OPTION_FLAG;
        snprintf(args->hint, sizeof args->hint, "Did you mean --%s%s?", says_no ? "no-" : "",
                 closest);
    }
    return error_set(error, STATUS_INVALID, "No such option: --%.*s", (int)typed.len, typed.ptr);
}

static const char *find_choice(const char *const *choices, const char *text) {
    for (; *choices != NULL; choices++)
        if (sv_equal_nocase(sv(text), sv(*choices)))
            return *choices;
    return NULL;
}

static Status unknown_choice(const Option *option, const char *text, const char *source,
                             Error *error) {
    Buf names = BUF_INIT(1024);
    for (const char *const *choice = option->choices; *choice != NULL; choice++)
        buf_printf(&names, "%s%s", choice == option->choices ? "" : ", ", *choice);
    Status status =
        error_set(error, STATUS_INVALID, "Invalid value for '%s': '%s' is not one of %s", source,
                  text, names.ptr != NULL ? names.ptr : "");
    buf_free(&names);
    return status;
}

static Status check_number(ArgValue *out, const Option *option, const char *text,
                           const char *source, Error *error) {
    long long min = option->min;
    long long max = option->max;
    bool is_number = sv_to_i64(&out->number, sv(text));
    if (is_number && out->number >= min && out->number <= max)
        return STATUS_OK;
    if (max < 1000)
        return error_set(error, STATUS_INVALID,
                         "Invalid value for '%s': '%s' is not a whole number from %lld to %lld",
                         source, text, min, max);
    if (is_number && out->number > max)
        return error_set(error, STATUS_INVALID, "Invalid value for '%s': '%s' is more than %lld",
                         source, text, max);
    return error_set(error, STATUS_INVALID,
                     "Invalid value for '%s': '%s' is not a whole number of at least %lld", source,
                     text, min);
}

// "16-128". Anything without a dash behind its first character is left to check_number.
static Status check_range(ArgValue *out, const Option *option, const char *text, const char *source,
                          Error *error) {
    const char *dash = text[0] != '\0' ? strchr(text + 1, '-') : NULL;
    if (dash == NULL)
        return check_number(out, option, text, source, error);
    if (!sv_to_i64(&out->low, sv_n(text, (size_t)(dash - text))) || out->low < option->min ||
        !sv_to_i64(&out->number, sv(dash + 1)) || out->number < out->low ||
        out->number > option->max)
        return error_set(error, STATUS_INVALID,
                         "Invalid value for '%s': '%s' is neither a number nor LOW-HIGH, from %lld "
                         "to %lld",
                         source, text, (long long)option->min, (long long)option->max);
    return STATUS_OK;
}

Status args_check(ArgValue *out, const Option *option, const char *text, const char *source,
                  Error *error) {
    out->text = text;
    if (option->kind == OPTION_NUMBER)
        return check_number(out, option, text, source, error);
    if (option->kind == OPTION_RANGE)
        return check_range(out, option, text, source, error);
    if (option->kind != OPTION_CHOICE)
        return STATUS_OK;
    out->text = find_choice(option->choices, text);
    return out->text != NULL ? STATUS_OK : unknown_choice(option, text, source, error);
}

static Status set_value(Args *args, const Option *option, const char *text, const char *source,
                        Error *error) {
    ArgValue value = {.is_set = true};
    TRY(args_check(&value, option, text, source, error));
    args->values[option_index(args->command, option)] = value;
    return STATUS_OK;
}

static void set_flag(Args *args, const Option *option, bool is_on) {
    args->values[option_index(args->command, option)] = (ArgValue){.is_set = true, .is_on = is_on};
    if (is_on && strcmp(option->name, "help") == 0)
        args->wants_help = true;
}

// A value must not be one of the command's own options: "--input --json" is a forgotten value.
static bool is_known_option(const Command *command, const char *text) {
    if (strncmp(text, "--", 2) != 0 || text[2] == '\0')
        return false;
    size_t len = strcspn(text + 2, "=");
    return find_long(command, sv_n(text + 2, len)) != NULL;
}

static Status take_value(const char **out, const Command *command, int *at, int argc,
                         char *const *argv, const char *source, Error *error) {
    if (*at + 1 >= argc || is_known_option(command, argv[*at + 1]))
        return error_set(error, STATUS_INVALID, "Option '%s' requires a value", source);
    *at += 1;
    *out = argv[*at];
    return STATUS_OK;
}

static Status parse_long(Args *args, int *at, int argc, char *const *argv, Error *error) {
    const char *typed = argv[*at] + 2;
    size_t len = strcspn(typed, "=");
    const char *attached = typed[len] == '=' ? typed + len + 1 : NULL;
    StrView name = sv_n(typed, len);
    const Option *option = find_long(args->command, name);
    bool is_on = true;
    if (option == NULL && sv_starts_with(name, SV("no-"))) {
        option = find_long(args->command, sv_n(name.ptr + 3, name.len - 3));
        is_on = false;
        if (option != NULL && option->kind != OPTION_FLAG)
            option = NULL;
        if (option != NULL &&
            (strcmp(option->name, "help") == 0 || strcmp(option->name, "version") == 0))
            option = NULL;
    }
    if (option == NULL)
        return unknown_option(args, name, error);
    if (option->kind == OPTION_FLAG) {
        if (attached != NULL)
            return error_set(error, STATUS_INVALID, "Option '--%.*s' does not take a value",
                             (int)name.len, name.ptr);
        set_flag(args, option, is_on);
        return STATUS_OK;
    }
    char source[64];
    size_t source_len = len < sizeof source - 3 ? len : sizeof source - 3;
    memcpy(source, "--", 2);
    memcpy(source + 2, typed, source_len);
    source[2 + source_len] = '\0';
    const char *value = attached;
    bool has_choice = option->bare != NULL && *at + 1 < argc &&
                      find_choice(option->choices, argv[*at + 1]) != NULL;
    if (value == NULL && option->bare != NULL && !has_choice)
        value = option->bare;
    if (value == NULL)
        TRY(take_value(&value, args->command, at, argc, argv, source, error));
    return set_value(args, option, value, source, error);
}

// "-v", "-ovalue", "-o value" and flags in a cluster, "-vo value".
static Status parse_short(Args *args, int *at, int argc, char *const *argv, Error *error) {
    for (const char *c = argv[*at] + 1; *c != '\0'; c++) {
        const Option *option = find_short(args->command, *c);
        if (option == NULL) {
            size_t len = 1;
            while (((unsigned char)c[len] & 0xC0u) == 0x80u)
                len++;
            return error_set(error, STATUS_INVALID, "No such option: -%.*s", (int)len, c);
        }
        if (option->kind == OPTION_FLAG) {
            set_flag(args, option, true);
            if (args->wants_help)
                return STATUS_OK;
            continue;
        }
        const char source[] = {'-', *c, '\0'};
        const char *value = c + 1;
        if (*value == '=')
            value++;
        else if (*value == '\0')
            TRY(take_value(&value, args->command, at, argc, argv, source, error));
        return set_value(args, option, value, source, error);
    }
    return STATUS_OK;
}

static Status add_positional(Args *args, const char *text, Error *error) {
    const Command *command = args->command;
    size_t given = args->positional_count;
    size_t known = command->positional_count;
    if (given < known || command->is_last_repeated) {
        if (given == ARGS_MAX_POSITIONALS)
            return error_set(error, STATUS_INVALID, "More than %zu arguments", given);
        args->positionals[args->positional_count++] = text;
        return STATUS_OK;
    }
    if (command->positional_count > 1)
        snprintf(args->hint, sizeof args->hint, "Put quotes around a text of several words.");
    return error_set(error, STATUS_INVALID, "Got unexpected extra argument '%s'", text);
}

static Status apply_fallbacks(Args *args, Error *error) {
    for (size_t i = 0; i < args->command->option_count; i++) {
        const Option *option = &args->command->options[i];
        if (args->values[i].is_set || option->fallback == NULL)
            continue;
        TRY(args_check(&args->values[i], option, option->fallback, option->name, error));
    }
    return STATUS_OK;
}

Status args_parse(Args *out, const Command *command, int argc, char *const *argv,
                  bool stop_at_positional, Error *error) {
    assert(command->option_count <= ARGS_MAX_OPTIONS);
    assert(command->positional_count <= ARGS_MAX_POSITIONALS);
    *out = (Args){.command = command};
    TRY(apply_fallbacks(out, error));
    bool only_positionals = false;
    int at = 0;
    for (; at < argc && !out->wants_help; at++) {
        const char *arg = argv[at];
        bool is_option = !only_positionals && arg[0] == '-' && arg[1] != '\0';
        if (!is_option) {
            if (stop_at_positional)
                break;
            TRY(add_positional(out, arg, error));
        } else if (strcmp(arg, "--") == 0) {
            only_positionals = true;
        } else if (arg[1] == '-') {
            TRY(parse_long(out, &at, argc, argv, error));
        } else {
            TRY(parse_short(out, &at, argc, argv, error));
        }
    }
    out->consumed = at;
    if (out->wants_help || stop_at_positional)
        return STATUS_OK;
    size_t given = out->positional_count;
    if (given < command->positional_count && command->positionals[given].is_required)
        return error_set(error, STATUS_INVALID, "Missing argument '%s'",
                         command->positionals[given].name);
    return STATUS_OK;
}

const ArgValue *args_get(const Args *args, const char *name) {
    const Option *option = args_find_option(args->command, name);
    assert(option != NULL);
    return &args->values[option_index(args->command, option)];
}

bool args_flag(const Args *args, const char *name) {
    return args_get(args, name)->is_on;
}

const char *args_text(const Args *args, const char *name) {
    return args_get(args, name)->text;
}

int64_t args_low(const Args *args, const char *name) {
    return args_get(args, name)->low;
}

int64_t args_number(const Args *args, const char *name) {
    return args_get(args, name)->number;
}

bool args_is_set(const Args *args, const char *name) {
    return args_get(args, name)->is_set;
}

bool args_knows(const Args *args, const char *name) {
    return args_find_option(args->command, name) != NULL;
}

const char *args_positional(const Args *args, size_t index) {
    return index < args->positional_count ? args->positionals[index] : NULL;
}
