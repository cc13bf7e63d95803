// The table of all commands, and of the environment variables, in one place.
#ifndef GPUX_CLI_COMMANDS_H
#define GPUX_CLI_COMMANDS_H

#include "app/cli/args.h"
#include "app/cli/cli.h"

extern const Command COMMAND_ROOT;    // gpux itself: its options stand before the command
extern const Command *const COMMANDS; // in the order of the help
extern const size_t COMMAND_COUNT;

typedef struct EnvVariable {
    const char *name;
    const char *help;
} EnvVariable;
extern const EnvVariable *const ENV_VARIABLES;
extern const size_t ENV_VARIABLE_COUNT;

// NULL when there is none of that name.
const Command *command_find(const char *name);
// The closest command's name, or NULL.
const char *command_closest(const char *name);

// Each answers an exit code.
int cmd_run(Cli *cli);
int cmd_inspect(Cli *cli);
int cmd_convert(Cli *cli);
int cmd_version(Cli *cli);
int cmd_help(Cli *cli);

// Prints "GPUX version X.Y.Z".
void print_version(void);

#endif
