// What all shells share, and the script of bash.
#include "app/cli/completion.h"

#include "app/cli/commands.h"

#include <string.h>

static const Shell SHELL_TABLE[] = {
    {"bash", completion_bash},
    {"zsh", completion_zsh},
    {"fish", completion_fish},
};

const Shell *const SHELLS = SHELL_TABLE;
const size_t SHELL_COUNT = sizeof SHELL_TABLE / sizeof SHELL_TABLE[0];

typedef struct NamedKind {
    const char *name;
    ValueKind kind;
} NamedKind;

static const NamedKind NAMED_KINDS[] = {
    {"FILE", VALUE_FILE},        {"JSON", VALUE_FILE},      {"DIR", VALUE_DIR},
    {"MODEL_NAME", VALUE_MODEL}, {"COMMAND", VALUE_WORDS},  {"SUBCOMMAND", VALUE_WORDS},
    {"SHELL", VALUE_WORDS},      {"MODEL...", VALUE_MODEL},
};

static ValueKind kind_of(const char *name) {
    for (size_t i = 0; name != NULL && i < sizeof NAMED_KINDS / sizeof NAMED_KINDS[0]; i++)
        if (strcmp(name, NAMED_KINDS[i].name) == 0)
            return NAMED_KINDS[i].kind;
    return VALUE_ANY;
}

ValueKind completion_option_kind(const Option *option) {
    return option->kind == OPTION_CHOICE ? VALUE_WORDS : kind_of(option->value_name);
}

ValueKind completion_positional_kind(const Positional *positional) {
    return kind_of(positional->name);
}

void completion_each_word(const char *group,
                          void (*each)(Buf *out, StrView word, const Command *command), Buf *out) {
    StrView last = SV("");
    for (size_t i = 0; i < COMMAND_COUNT; i++) {
        StrView name = sv(COMMANDS[i].name);
        size_t len = strcspn(name.ptr, " ");
        StrView first = sv_n(name.ptr, len);
        if (group == NULL) {
            // Commands of a group stand together in the table.
            if (!sv_equal(first, last))
                each(out, first, len == name.len ? &COMMANDS[i] : NULL);
            if (COMMANDS[i].alias != NULL)
                each(out, sv(COMMANDS[i].alias), &COMMANDS[i]);
            last = first;
        } else if (len < name.len && sv_equal_cstr(first, group)) {
            each(out, sv(name.ptr + len + 1), &COMMANDS[i]);
        }
    }
}

static void append_word(Buf *out, StrView word, const Command *command) {
    (void)command;
    if (out->len > 0 && out->ptr[out->len - 1] != ' ' && out->ptr[out->len - 1] != '\'')
        buf_append_byte(out, ' ');
    buf_append_sv(out, word);
}

static void append_second_words(Buf *out, StrView word, const Command *command) {
    char group[32];
    if (command != NULL || word.len >= sizeof group)
        return;
    memcpy(group, word.ptr, word.len);
    group[word.len] = '\0';
    completion_each_word(group, append_word, out);
}

void completion_words(Buf *out, const Option *option, const Positional *positional) {
    if (option != NULL) {
        for (const char *const *choice = option->choices; *choice != NULL; choice++)
            append_word(out, sv(*choice), NULL);
    } else if (strcmp(positional->name, "SHELL") == 0) {
        for (size_t i = 0; i < SHELL_COUNT; i++)
            append_word(out, sv(SHELLS[i].name), NULL);
    } else if (strcmp(positional->name, "COMMAND") == 0) {
        completion_each_word(NULL, append_word, out);
    } else {
        completion_each_word(NULL, append_second_words, out);
    }
}

// ---- bash ----

static const char BASH_HEAD[] = "# bash completion of gpux, printed by: gpux completion bash\n\n";

static const char BASH_TAIL[] =
    "# Offers what a value of kind $1 may be.\n"
    "_gpux_offer() {\n"
    "    case $1 in\n"
    "    file) mapfile -t COMPREPLY < <(compgen -f -- \"$cur\") ;;\n"
    "    dir) mapfile -t COMPREPLY < <(compgen -d -- \"$cur\") ;;\n"
    "    model) mapfile -t COMPREPLY < <(compgen -d -- \"$cur\"; compgen -f -X '!*.onnx' -- "
    "\"$cur\") ;;\n"
    "    words*) mapfile -t COMPREPLY < <(compgen -W \"${1#words}\" -- \"$cur\") ;;\n"
    "    esac\n"
    "    case $1 in file | dir | model) compopt -o filenames 2>/dev/null ;; esac\n"
    "}\n"
    "\n"
    "_gpux() {\n"
    "    local cur=${COMP_WORDS[COMP_CWORD]} prev=${COMP_WORDS[COMP_CWORD-1]}\n"
    "    local command='' is_complete='' is_value='' at=0 i word REPLY\n"
    "    COMPREPLY=()\n"
    "    # \"--format=hf\" comes as three words.\n"
    "    if [[ $cur == = ]]; then\n"
    "        cur=\n"
    "    elif [[ $prev == = ]]; then\n"
    "        prev=${COMP_WORDS[COMP_CWORD-2]}\n"
    "    fi\n"
    "    for ((i = 1; i < COMP_CWORD; i++)); do\n"
    "        word=${COMP_WORDS[i]}\n"
    "        if [[ -n $is_value ]]; then\n"
    "            [[ $word == = ]] || is_value=\n"
    "        elif [[ $word == -* ]]; then\n"
    "            _gpux_value \"$command $word\"\n"
    "            is_value=$REPLY\n"
    "        elif [[ -z $is_complete ]]; then\n"
    "            command=${command:+$command }$word\n"
    "            _gpux_words \"$command\"\n"
    "            [[ -n $REPLY ]] || is_complete=1\n"
    "        else\n"
    "            at=$((at + 1))\n"
    "        fi\n"
    "    done\n"
    "    _gpux_value \"$command $prev\"\n"
    "    if [[ $prev == -* && -n $REPLY ]]; then\n"
    "        _gpux_offer \"$REPLY\"\n"
    "    elif [[ $cur == -* ]]; then\n"
    "        _gpux_options \"$command\"\n"
    "        _gpux_offer \"words $REPLY\"\n"
    "    elif [[ -z $is_complete ]]; then\n"
    "        _gpux_words \"$command\"\n"
    "        _gpux_offer \"words $REPLY\"\n"
    "    else\n"
    "        _gpux_argument \"$command $at\"\n"
    "        _gpux_offer \"$REPLY\"\n"
    "    fi\n"
    "}\n"
    "\n"
    "complete -F _gpux gpux\n";

static void append_kind(Buf *out, ValueKind kind, const Option *option,
                        const Positional *positional) {
    static const char *const NAMES[] = {
        [VALUE_ANY] = "any",     [VALUE_FILE] = "file",    [VALUE_DIR] = "dir",
        [VALUE_MODEL] = "model", [VALUE_WORDS] = "words ",
    };
    buf_printf(out, "REPLY='%s", NAMES[kind]);
    if (kind == VALUE_WORDS)
        completion_words(out, option, positional);
    buf_append_cstr(out, "' ;;\n");
}

static void append_bash_values_of(Buf *out, const char *name, const Command *command) {
    for (size_t i = 0; i < command->option_count; i++) {
        const Option *option = &command->options[i];
        if (option->kind == OPTION_FLAG)
            continue;
        buf_printf(out, "    '%s --%s'", name, option->name);
        if (option->alias != NULL)
            buf_printf(out, " | '%s --%s'", name, option->alias);
        if (option->short_name != '\0')
            buf_printf(out, " | '%s -%c'", name, option->short_name);
        buf_append_cstr(out, ") ");
        append_kind(out, completion_option_kind(option), option, NULL);
    }
}

static void append_bash_arguments_of(Buf *out, const char *name, const Command *command) {
    for (size_t i = 0; i < command->positional_count; i++) {
        const Positional *positional = &command->positionals[i];
        buf_printf(out, "    '%s %zu') ", name, i);
        append_kind(out, completion_positional_kind(positional), NULL, positional);
    }
}

void completion_each_name(void (*each)(Buf *out, const char *name, const Command *command),
                          Buf *out) {
    for (size_t i = 0; i < COMMAND_COUNT; i++) {
        each(out, COMMANDS[i].name, &COMMANDS[i]);
        if (COMMANDS[i].alias != NULL)
            each(out, COMMANDS[i].alias, &COMMANDS[i]);
    }
}

// _gpux_value "run --input": the kind of the option's value, nothing for a flag.
static void append_bash_values(Buf *out) {
    buf_append_cstr(out, "_gpux_value() {\n    case $1 in\n");
    completion_each_name(append_bash_values_of, out);
    buf_append_cstr(out, "    *) REPLY= ;;\n    esac\n}\n\n");
}

// _gpux_argument "run 0": the kind of the command's first argument.
static void append_bash_arguments(Buf *out) {
    buf_append_cstr(out, "_gpux_argument() {\n    case $1 in\n");
    completion_each_name(append_bash_arguments_of, out);
    buf_append_cstr(out, "    *) REPLY= ;;\n    esac\n}\n\n");
}

static void append_bash_options_of(Buf *out, const char *name, const Command *command) {
    buf_printf(out, "    '%s') REPLY='", name);
    for (size_t i = 0; i < command->option_count; i++) {
        const Option *option = &command->options[i];
        buf_printf(out, "%s--%s", i > 0 ? " " : "", option->name);
        if (option->short_name != '\0')
            buf_printf(out, " -%c", option->short_name);
    }
    buf_append_cstr(out, "' ;;\n");
}

static void append_bash_group(Buf *out, StrView word, const Command *command) {
    char group[32];
    if (command != NULL || word.len >= sizeof group)
        return;
    memcpy(group, word.ptr, word.len);
    group[word.len] = '\0';
    buf_printf(out, "    '%s') REPLY='", group);
    completion_each_word(group, append_word, out);
    buf_append_cstr(out, "' ;;\n");
}

void completion_bash(Buf *out) {
    buf_append_cstr(out, BASH_HEAD);
    // _gpux_words "batch": the words that may follow, nothing when a command is complete.
    buf_append_cstr(out, "_gpux_words() {\n    case $1 in\n    '') REPLY='");
    completion_each_word(NULL, append_word, out);
    buf_append_cstr(out, "' ;;\n");
    completion_each_word(NULL, append_bash_group, out);
    buf_append_cstr(out, "    *) REPLY= ;;\n    esac\n}\n\n_gpux_options() {\n    case $1 in\n");
    append_bash_options_of(out, "", &COMMAND_ROOT);
    completion_each_name(append_bash_options_of, out);
    buf_append_cstr(out, "    *) REPLY=--help ;;\n    esac\n}\n\n");
    append_bash_values(out);
    append_bash_arguments(out);
    buf_append_cstr(out, BASH_TAIL);
}
