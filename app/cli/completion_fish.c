// The script of fish: a `complete` line per command, option and argument.
#include "app/cli/completion.h"

#include "app/cli/commands.h"

#include <stdio.h>
#include <string.h>

static const char FUNCTIONS[] =
    "# Prints the command typed so far, and how many arguments it has.\n"
    "function __gpux_state\n"
    "    set -l command ''\n"
    "    set -l count 0\n"
    "    set -l is_value 0\n"
    "    set -l words (commandline -opc)\n"
    "    for word in $words[2..-1]\n"
    "        if test $is_value = 1\n"
    "            set is_value 0\n"
    "        else if string match -q -- '-*' $word\n"
    "            if contains -- \"$command $word\" $__gpux_valued\n"
    "                set is_value 1\n"
    "            end\n"
    "        else if test -z \"$command\"\n"
    "            set command $word\n"
    "        else if contains -- $command $__gpux_groups\n"
    "            set command \"$command $word\"\n"
    "        else\n"
    "            set count (math $count + 1)\n"
    "        end\n"
    "    end\n"
    "    echo $command\n"
    "    echo $count\n"
    "end\n"
    "\n"
    "function __gpux_using\n"
    "    set -l state (__gpux_state)\n"
    "    test \"$state[1]\" = \"$argv[1]\"\n"
    "end\n"
    "\n"
    "function __gpux_at\n"
    "    set -l state (__gpux_state)\n"
    "    test \"$state[1]\" = \"$argv[1]\" -a \"$state[2]\" = \"$argv[2]\"\n"
    "end\n"
    "\n"
    "function __gpux_models\n"
    "    set -l token (commandline -ct)\n"
    "    __fish_complete_directories $token 'Model folder'\n"
    "    for file in $token*.onnx\n"
    "        printf '%s\\t%s\\n' $file 'Model file'\n"
    "    end\n"
    "end\n"
    "\n"
    "complete -c gpux -f\n";

// Inside single quotes.
static void append_quoted(Buf *out, const char *text) {
    buf_append_byte(out, '\'');
    for (const char *c = text; *c != '\0'; c++) {
        if (*c == '\'' || *c == '\\')
            buf_append_byte(out, '\\');
        buf_append_byte(out, *c);
    }
    buf_append_byte(out, '\'');
}

static void append_candidates(Buf *out, ValueKind kind, const Option *option,
                              const Positional *positional) {
    switch (kind) {
    case VALUE_FILE:
        buf_append_cstr(out, " -F");
        break;
    case VALUE_DIR:
        buf_append_cstr(out, " -a '(__fish_complete_directories)'");
        break;
    case VALUE_MODEL:
        buf_append_cstr(out, " -a '(__gpux_models)'");
        break;
    case VALUE_WORDS:
        buf_append_cstr(out, " -a '");
        completion_words(out, option, positional);
        buf_append_byte(out, '\'');
        break;
    case VALUE_ANY:
        break;
    }
}

static void append_options(Buf *out, const char *name, const Command *command) {
    for (size_t i = 0; i < command->option_count; i++) {
        const Option *option = &command->options[i];
        buf_printf(out, "complete -c gpux -n '__gpux_using \"%s\"' -l %s", name, option->name);
        if (option->short_name != '\0')
            buf_printf(out, " -s %c", option->short_name);
        if (option->kind != OPTION_FLAG) {
            // A value is needed; where it is no file, files are not offered.
            bool is_file = completion_option_kind(option) == VALUE_FILE;
            buf_append_cstr(out, is_file ? " -r" : option->bare != NULL ? " -f" : " -x");
            append_candidates(out, completion_option_kind(option), option, NULL);
        }
        buf_append_cstr(out, " -d ");
        append_quoted(out, option->help);
        buf_append_byte(out, '\n');
    }
}

static void append_positionals(Buf *out, const char *name, const Command *command) {
    for (size_t i = 0; i < command->positional_count; i++) {
        const Positional *positional = &command->positionals[i];
        ValueKind kind = completion_positional_kind(positional);
        if (kind == VALUE_ANY)
            continue;
        buf_printf(out, "complete -c gpux -n '__gpux_at \"%s\" %zu'", name, i);
        append_candidates(out, kind, NULL, positional);
        buf_append_byte(out, '\n');
    }
}

static void append_first_word(Buf *out, StrView word, const Command *command) {
    buf_printf(out, "complete -c gpux -n '__gpux_using \"\"' -a %.*s", (int)word.len, word.ptr);
    if (command != NULL) {
        buf_append_cstr(out, " -d ");
        append_quoted(out, command->summary);
    }
    buf_append_byte(out, '\n');
}

static void append_second_word(Buf *out, const Command *command) {
    const char *space = strchr(command->name, ' ');
    if (space == NULL)
        return;
    buf_printf(out, "complete -c gpux -n '__gpux_using \"%.*s\"' -a %s -d ",
               (int)(space - command->name), command->name, space + 1);
    append_quoted(out, command->summary);
    buf_append_byte(out, '\n');
}

static void append_valued(Buf *out, const char *name, const Command *command) {
    for (size_t i = 0; i < command->option_count; i++) {
        const Option *option = &command->options[i];
        if (option->kind == OPTION_FLAG)
            continue;
        buf_printf(out, " '%s --%s'", name, option->name);
        if (option->short_name != '\0')
            buf_printf(out, " '%s -%c'", name, option->short_name);
    }
}

// The lists that __gpux_state looks into.
static void append_lists(Buf *out) {
    buf_append_cstr(out, "set -g __gpux_groups");
    for (size_t i = 0; i < COMMAND_COUNT; i++) {
        size_t len = strcspn(COMMANDS[i].name, " ");
        if (COMMANDS[i].name[len] != '\0')
            buf_printf(out, " %.*s", (int)len, COMMANDS[i].name);
    }
    buf_append_cstr(out, "\nset -g __gpux_valued");
    completion_each_name(append_valued, out);
    buf_append_cstr(out, "\n\n");
}

void completion_fish(Buf *out) {
    buf_append_cstr(out, "# fish completion of gpux, printed by: gpux completion fish\n\n");
    append_lists(out);
    buf_append_cstr(out, FUNCTIONS);
    completion_each_word(NULL, append_first_word, out);
    append_options(out, "", &COMMAND_ROOT);
    for (size_t i = 0; i < COMMAND_COUNT; i++)
        append_second_word(out, &COMMANDS[i]);
    completion_each_name(append_options, out);
    completion_each_name(append_positionals, out);
}
