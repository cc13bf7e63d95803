// What every command needs: the parsed arguments, the two streams, the log, and the environment of
// the library. stdout carries results only; everything else goes through the functions here to
// stderr.
#ifndef GPUX_CLI_CLI_H
#define GPUX_CLI_CLI_H

#include "app/cli/args.h"
#include "app/ui/table.h"
#include "app/ui/terminal.h"
#include "base/json.h"
#include "base/str.h"
#include "gpux.h"

#include <stdbool.h>

typedef enum ExitCode {
    EXIT_OK = 0,
    EXIT_FAILED = 1,
    EXIT_USAGE = 2,
    EXIT_CONVERSION = 5,
    EXIT_INTERRUPTED = 130, // SIGINT
    EXIT_TERMINATED = 143,  // SIGTERM
} ExitCode;

typedef struct Cli {
    Args args;
    Terminal out; // stdout
    Terminal err; // stderr
    bool is_verbose;
    gpux_log_level log_level;
    gpux_env *env; // after cli_open
    // Called before each line on stderr while something is drawn there; NULL = nothing is.
    void (*before_message)(void *ctx);
    void *before_message_ctx;
} Cli;

// Detects the streams and reads GPUX_LOG_LEVEL; a word it does not know is warned about.
void cli_init(Cli *cli);
// After --verbose is known: messages of every level.
void cli_set_verbose(Cli *cli);
// Opens the library's environment from --cache-dir (where the command has it) and GPUX_CPU_LEVEL.
// EXIT_OK, or the exit code after printing why not.
int cli_open(Cli *cli);
void cli_close(Cli *cli);

// One message on stderr, "<label>: <text>", coloured by what the label says. Text of a message may
// come from files: control characters are made harmless.
__attribute__((format(printf, 3, 4))) void cli_say(const Cli *cli, const char *label,
                                                   const char *format, ...);
// The same, and answers EXIT_FAILED.
__attribute__((format(printf, 3, 4))) int cli_fail(const Cli *cli, const char *label,
                                                   const char *format, ...);
// "Error: <text>", the hint of the failed parse if there is one, and where to read more; answers
// EXIT_USAGE.
__attribute__((format(printf, 2, 3))) int cli_usage(const Cli *cli, const char *format, ...);
// A plain line on stderr.
__attribute__((format(printf, 2, 3))) void cli_note(const Cli *cli, const char *format, ...);

// Writes text to stdout as it is; ends it with a newline if it lacks one.
void cli_print(StrView text);
// Prints a table to stdout or, with to_stderr, to stderr, and frees it. EXIT_OK or EXIT_FAILED.
int cli_print_table(const Cli *cli, Table *table, bool to_stderr);
// An empty line between tables.
void cli_print_gap(void);
// Writes a result file, where the folder must exist; also to devices and pipes. EXIT_OK, or
// EXIT_FAILED after printing why not.
int cli_write_file(const Cli *cli, const char *path, StrView text);
// Tells early that cli_write_file would fail because the folder is not there.
int cli_check_output(const Cli *cli, const char *path);
// Parses JSON that the library made.
int cli_parse_json(const Cli *cli, JsonDoc **out, const gpux_text *text);

// Values with their environment variable: flag > variable > NULL or 0. EXIT_OK, or EXIT_FAILED
// after naming a variable whose value is not acceptable.
int cli_text_or_env(const Cli *cli, const char **out, const char *option, const char *variable);
int cli_number_or_env(const Cli *cli, int64_t *out, const char *option, const char *variable);

// The log sink for gpux_options; ctx is the Cli.
void cli_log(void *ctx, gpux_log_level level, const char *message);

#endif
