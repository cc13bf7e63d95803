// Shell completion made from the tables: commands, options, the values they take, and models.
#ifndef GPUX_CLI_COMPLETION_H
#define GPUX_CLI_COMPLETION_H

#include "app/cli/args.h"
#include "base/str.h"

typedef struct Shell {
    const char *name;        // "bash"
    void (*write)(Buf *out); // appends the whole script
} Shell;

extern const Shell *const SHELLS;
extern const size_t SHELL_COUNT;

void completion_bash(Buf *out);
void completion_zsh(Buf *out);
void completion_fish(Buf *out);

// What may stand where a value is expected; found by the name that the table gives the value.
typedef enum ValueKind {
    VALUE_ANY, // nothing to offer
    VALUE_FILE,
    VALUE_DIR,
    VALUE_MODEL, // a folder or a .onnx file
    VALUE_WORDS, // those of completion_words
} ValueKind;

ValueKind completion_option_kind(const Option *option);
ValueKind completion_positional_kind(const Positional *positional);
// Appends the words that a value of kind VALUE_WORDS may be, with blanks between them. One of the
// two is NULL.
void completion_words(Buf *out, const Option *option, const Positional *positional);

// The first words of all commands, or the second words of those that begin with `group`: calls
// `each` for every one, with the command, or with NULL for a group.
void completion_each_word(const char *group,
                          void (*each)(Buf *out, StrView word, const Command *command), Buf *out);
// Calls `each` for every command under its name, and again under its alias.
void completion_each_name(void (*each)(Buf *out, const char *name, const Command *command),
                          Buf *out);

#endif
