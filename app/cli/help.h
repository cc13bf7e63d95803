// Help text made from the tables, so that it cannot differ from the parser.
#ifndef GPUX_CLI_HELP_H
#define GPUX_CLI_HELP_H

#include "app/cli/args.h"
#include "app/cli/commands.h"
#include "base/str.h"

// The help of `gpux`: commands, options, environment. `width` is the terminal's.
void help_root(Buf *out, int width);
// The help of one command.
void help_command(Buf *out, const Command *command, int width);
// "Usage: gpux run [OPTIONS] MODEL_NAME [PROMPT]"
void help_usage(Buf *out, const Command *command);

// The commands whose first word is `group`.
void help_group(Buf *out, const char *group, int width);

// Prints the help of a command, or of gpux for NULL, to stdout; with is_error to stderr. Answers
// the exit code.
int help_print(const Cli *cli, const Command *command, bool is_error);
// For words that are no command: the list of the group they begin with, to stderr with is_error, or
// "No such command" with the closest one. Answers the exit code.
int help_unmatched(Cli *cli, int argc, char *const *argv, bool is_error);

#endif
