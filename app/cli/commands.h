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

// What an exit code means, for the manual pages.
typedef struct ExitMeaning {
    const char *codes; // "130, 143"
    const char *help;
} ExitMeaning;
extern const ExitMeaning *const EXIT_MEANINGS;
extern const size_t EXIT_MEANING_COUNT;

// NULL when there is none of that name, "run" or "batch run".
const Command *command_find(const char *name);
// The command that the first of these words name, and in *words how many they are; NULL when none
// does.
const Command *command_match(int argc, char *const *argv, int *words);
// True for the first word of commands of two: "batch".
bool command_is_group(const char *word);
// The name of the closest command, or NULL.
const char *command_closest(const char *name);

// Each answers an exit code.
int cmd_build(Cli *cli);
int cmd_run(Cli *cli);
int cmd_batch_run(Cli *cli);
int cmd_pull(Cli *cli);
int cmd_batch_pull(Cli *cli);
int cmd_list(Cli *cli);
int cmd_rm(Cli *cli);
int cmd_prune(Cli *cli);
int cmd_search(Cli *cli);
int cmd_info(Cli *cli);
int cmd_login(Cli *cli);
int cmd_logout(Cli *cli);
int cmd_registries(Cli *cli);
int cmd_inspect(Cli *cli);
int cmd_convert(Cli *cli);
int cmd_completion(Cli *cli);
int cmd_version(Cli *cli);
int cmd_help(Cli *cli);

// Prints "GPUX version X.Y.Z".
void print_version(void);

#endif
