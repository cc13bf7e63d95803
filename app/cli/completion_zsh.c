// The script of zsh: a function per group of commands, a list of _arguments specs per command.
#include "app/cli/completion.h"

#include "app/cli/commands.h"

#include <stdio.h>
#include <string.h>

// Text inside single quotes; what `special` lists gets a backslash.
static void append_quoted(Buf *out, const char *text, const char *special) {
    for (const char *c = text; *c != '\0'; c++) {
        if (strchr(special, *c) != NULL)
            buf_append_byte(out, '\\');
        if (*c == '\'')
            buf_append_cstr(out, "'\\''");
        else
            buf_append_byte(out, *c);
    }
}

static void append_action(Buf *out, ValueKind kind, const Option *option,
                          const Positional *positional) {
    switch (kind) {
    case VALUE_FILE:
        buf_append_cstr(out, "_files");
        break;
    case VALUE_DIR:
        buf_append_cstr(out, "_files -/");
        break;
    case VALUE_MODEL:
        buf_append_cstr(out, "_gpux_models");
        break;
    case VALUE_WORDS: {
        Buf words = BUF_INIT(4096);
        completion_words(&words, option, positional);
        buf_printf(out, "(%s)", words.ptr != NULL ? words.ptr : "");
        buf_free(&words);
        break;
    }
    case VALUE_ANY:
        buf_append_byte(out, ' ');
        break;
    }
}

static void append_option(Buf *out, const Option *option) {
    bool has_value = option->kind != OPTION_FLAG;
    buf_append_cstr(out, " \\\n            ");
    if (option->short_name != '\0')
        buf_printf(out, "'(-%c --%s)'{-%c%s,--%s%s}", option->short_name, option->name,
                   option->short_name, has_value ? "+" : "", option->name, has_value ? "=" : "");
    else
        buf_printf(out, "'--%s%s'", option->name, has_value ? "=" : "");
    buf_append_cstr(out, "'[");
    append_quoted(out, option->help, "[]\\");
    buf_append_byte(out, ']');
    if (has_value) {
        buf_append_cstr(out, option->bare != NULL ? "::" : ":");
        append_quoted(out, option->value_name != NULL ? option->value_name : "value", ":\\");
        buf_append_byte(out, ':');
        append_action(out, completion_option_kind(option), option, NULL);
    }
    buf_append_byte(out, '\'');
}

static void append_command(Buf *out, StrView word, const Command *command) {
    buf_printf(out, "        %.*s)\n", (int)word.len, word.ptr);
    if (command == NULL) {
        buf_printf(out, "            _gpux_%.*s ;;\n", (int)word.len, word.ptr);
        return;
    }
    buf_append_cstr(out, "            _arguments -s -S :");
    for (size_t i = 0; i < command->option_count; i++)
        append_option(out, &command->options[i]);
    for (size_t i = 0; i < command->positional_count; i++) {
        const Positional *positional = &command->positionals[i];
        buf_printf(out, " \\\n            '%zu:", i + 1);
        append_quoted(out, positional->name, ":\\");
        buf_append_byte(out, ':');
        append_action(out, completion_positional_kind(positional), NULL, positional);
        buf_append_byte(out, '\'');
    }
    buf_append_cstr(out, " ;;\n");
}

// 'run:Run inference on a model'
static void append_described(Buf *out, StrView word, const Command *command) {
    buf_printf(out, "            '%.*s:", (int)word.len, word.ptr);
    append_quoted(out, command != NULL ? command->summary : "A group of commands", ":\\");
    buf_append_cstr(out, "'\n");
}

// The function of gpux itself, or of a group.
static void append_function(Buf *out, const char *group) {
    buf_printf(out, "_gpux%s%s() {\n", group != NULL ? "_" : "", group != NULL ? group : "");
    buf_append_cstr(out, "    local context state state_descr line\n"
                         "    typeset -A opt_args\n"
                         "    _arguments -s -S -C :");
    const Option help = {.name = "help", .short_name = 'h', .help = "Show this help and exit"};
    if (group != NULL)
        append_option(out, &help);
    for (size_t i = 0; group == NULL && i < COMMAND_ROOT.option_count; i++)
        append_option(out, &COMMAND_ROOT.options[i]);
    buf_append_cstr(out, " \\\n            '1: :->command' '*:: :->arguments'\n"
                         "    case $state in\n"
                         "    command)\n"
                         "        local -a commands=(\n");
    completion_each_word(group, append_described, out);
    buf_append_cstr(out, "        )\n"
                         "        _describe -t commands 'gpux command' commands ;;\n"
                         "    arguments)\n"
                         "        case $words[1] in\n");
    completion_each_word(group, append_command, out);
    buf_append_cstr(out, "        esac ;;\n    esac\n}\n\n");
}

static void append_group_function(Buf *out, StrView word, const Command *command) {
    char group[32];
    if (command != NULL || word.len >= sizeof group)
        return;
    snprintf(group, sizeof group, "%.*s", (int)word.len, word.ptr);
    append_function(out, group);
}

void completion_zsh(Buf *out) {
    buf_append_cstr(out, "#compdef gpux\n"
                         "# zsh completion of gpux, printed by: gpux completion zsh\n\n"
                         "_gpux_models() {\n"
                         "    _files -g '*.onnx(-.)'\n"
                         "}\n\n");
    completion_each_word(NULL, append_group_function, out);
    append_function(out, NULL);
    // Loaded by autoload the file is the function's body; sourced it only defines it.
    buf_append_cstr(out, "if [[ $funcstack[1] == _gpux ]]; then\n"
                         "    _gpux \"$@\"\n"
                         "else\n"
                         "    compdef _gpux gpux\n"
                         "fi\n");
}
