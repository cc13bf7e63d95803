// Command line: one table per command describes its options, and the parser, the help text and the
// "did you mean" lines all read that table. This file knows no command by name.
//
// Invariant: what the table does not list cannot be typed, and what can be typed is in the help.
#ifndef GPUX_CLI_ARGS_H
#define GPUX_CLI_ARGS_H

#include "base/status.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { ARGS_MAX_OPTIONS = 48, ARGS_MAX_POSITIONALS = 256 };

typedef enum OptionKind {
    OPTION_FLAG,   // --name and --no-name
    OPTION_TEXT,   // any value
    OPTION_NUMBER, // a whole number from min to max
    OPTION_RANGE,  // the same, or two of them: LOW-HIGH
    OPTION_CHOICE, // one of `choices`, any case
} OptionKind;

typedef struct Option {
    const char *name;  // long form without its dashes
    const char *alias; // a second long form, or NULL
    char short_name;   // or 0
    OptionKind kind;
    const char *value_name;     // "FILE"; what the help shows after the option
    const char *fallback;       // the value when it is not given, or NULL; the help shows it
    const char *const *choices; // {"gpux", "hf", "raw", NULL}
    // Of a choice: the value of --name when no choice follows. NULL = a value is always needed.
    const char *bare;
    int64_t min;
    int64_t max;
    const char *group; // heading in the help; options of a group stand together
    const char *help;
} Option;

typedef struct Positional {
    const char *name; // "MODEL_NAME"
    bool is_required;
    const char *help;
} Positional;

struct Cli;

typedef struct Command {
    const char *name;    // one word, or two: "batch run"
    const char *alias;   // another word for it, or NULL
    const char *summary; // one line
    const char *details; // more lines for the help, or NULL
    const Positional *positionals;
    size_t positional_count;
    bool is_last_repeated; // the last positional may be given many times
    const Option *options;
    size_t option_count;
    const char *examples;        // lines, or NULL
    int (*run)(struct Cli *cli); // answers the exit code
} Command;

typedef struct ArgValue {
    const char *text; // as typed, or the fallback, or NULL; of a choice, the table's spelling
    int64_t number;   // of a range, its end
    int64_t low;      // of a range, its start; 0 when a single number was given
    bool is_set;      // typed by the user
    bool is_on;       // of a flag
} ArgValue;

typedef struct Args {
    const Command *command;
    ArgValue values[ARGS_MAX_OPTIONS]; // beside command->options
    const char *positionals[ARGS_MAX_POSITIONALS];
    size_t positional_count;
    bool wants_help; // --help was met; nothing after it was looked at
    int consumed;    // arguments read
    char hint[160];  // after a failed parse: what was probably meant, or ""
} Args;

// Parses argv[0..argc) by the command's table. With stop_at_positional the first argument that is
// not an option ends the parse and is not consumed. STATUS_INVALID: error->message is for the user,
// and out->hint may help further. Borrows argv.
Status args_parse(Args *out, const Command *command, int argc, char *const *argv,
                  bool stop_at_positional, Error *error);

// Checks a value from elsewhere (an environment variable) as if it were typed after --name;
// `source` is how the message calls it.
Status args_check(ArgValue *out, const Option *option, const char *text, const char *source,
                  Error *error);

// Values by the option's long name, which must be in the table.
const ArgValue *args_get(const Args *args, const char *name);
bool args_flag(const Args *args, const char *name);
const char *args_text(const Args *args, const char *name); // NULL when absent and without fallback
int64_t args_low(const Args *args, const char *name);      // of a range: its start, or 0
int64_t args_number(const Args *args, const char *name);   // 0 when absent and without fallback
bool args_is_set(const Args *args, const char *name);
bool args_knows(const Args *args, const char *name);
// The n-th positional argument, or NULL.
const char *args_positional(const Args *args, size_t index);
// The option of that long name or alias, or NULL.
const Option *args_find_option(const Command *command, const char *name);

#endif
