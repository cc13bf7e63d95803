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

// Prints the help of a command, or of gpux for NULL, to stdout; with is_error to stderr. Answers
// the exit code.
int help_print(const Cli *cli, const Command *command, bool is_error);
// "No such command", with the closest one; answers EXIT_USAGE.
int help_unknown_command(Cli *cli, const char *name);

#endif
