// The program: options before the command, the command, exit codes, signals.
#include "app/cli/cli.h"
#include "app/cli/commands.h"
#include "app/cli/help.h"
#include "app/cli/signals.h"
#include "base/memory.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

enum { STDOUT_BUFFER = 1 << 20 };

// With stdin, stdout or stderr closed, the next file opened would take its place and receive
// messages.
static bool fill_standard_streams(void) {
    for (int fd = STDIN_FILENO; fd <= STDERR_FILENO; fd++)
        if (fcntl(fd, F_GETFD) == -1 && errno == EBADF && open("/dev/null", O_RDONLY) != fd)
            return false;
    return true;
}

static int run_command(Cli *cli, const Command *command, int argc, char *const *argv) {
    Error error = {0};
    Status status = args_parse(&cli->args, command, argc, argv, false, &error);
    if (cli->args.wants_help)
        return help_print(cli, command, false);
    if (status != STATUS_OK)
        return cli_usage(cli, "%s", error.message);
    if (args_flag(&cli->args, "verbose"))
        cli_set_verbose(cli);
    int code = command->run(cli);
    cli_close(cli);
    return code;
}

static int run_program(Cli *cli, int argc, char *const *argv) {
    Error error = {0};
    Status status = args_parse(&cli->args, &COMMAND_ROOT, argc, argv, true, &error);
    if (cli->args.wants_help)
        return help_print(cli, NULL, false);
    if (status != STATUS_OK)
        return cli_usage(cli, "%s", error.message);
    if (args_flag(&cli->args, "version")) {
        print_version();
        return EXIT_OK;
    }
    if (args_flag(&cli->args, "verbose"))
        cli_set_verbose(cli);
    int at = cli->args.consumed;
    if (at >= argc)
        return help_print(cli, NULL, true);
    int words = 0;
    const Command *command = command_match(argc - at, argv + at, &words);
    if (command == NULL)
        return help_unmatched(cli, argc - at, argv + at, true);
    return run_command(cli, command, argc - at - words, argv + at + words);
}

// A result that could not be written is a failure even if the work succeeded.
static int flush_output(const Cli *cli, int code) {
    errno = 0;
    bool failed = ferror(stdout) != 0;
    failed = fflush(stdout) != 0 || failed;
    if (!failed || code != EXIT_OK)
        return code;
    return cli_fail(cli, "Error", "Cannot write to standard output: %s",
                    errno != 0 ? strerror(errno) : "the write failed");
}

int main(int argc, char **argv) {
    if (!fill_standard_streams())
        return EXIT_FAILED;
    signals_catch();
    // Into a file or pipe a whole result goes at once: why it could not is then still known.
    char *buffer = isatty(STDOUT_FILENO) == 1 ? NULL : mem_alloc(STDOUT_BUFFER);
    if (buffer != NULL)
        setvbuf(stdout, buffer, _IOFBF, STDOUT_BUFFER);
    Cli cli;
    cli_init(&cli);
    int code = argc > 0 ? run_program(&cli, argc - 1, argv + 1) : EXIT_USAGE;
    return flush_output(&cli, code);
}
