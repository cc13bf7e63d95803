// The program: options before the command, the command, exit codes, signals.
#include "app/cli/cli.h"
#include "app/cli/commands.h"
#include "app/cli/help.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

// Ends the process at once. It keeps no state: result files appear whole or not at all.
static void on_signal(int signal_number) {
    static const char MESSAGE[] = "\nInterrupted by user\n";
    ssize_t ignored = write(STDERR_FILENO, MESSAGE, sizeof MESSAGE - 1);
    (void)ignored;
    _exit(signal_number == SIGTERM ? EXIT_TERMINATED : EXIT_INTERRUPTED);
}

// A signal that the parent made us ignore (nohup, a shell's background job) stays ignored.
static void catch_signal(int signal_number) {
    struct sigaction old;
    if (sigaction(signal_number, NULL, &old) == 0 && old.sa_handler == SIG_IGN)
        return;
    struct sigaction action = {.sa_handler = on_signal, .sa_flags = SA_RESTART};
    sigemptyset(&action.sa_mask);
    sigaction(signal_number, &action, NULL);
}

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
    const Command *command = command_find(argv[at]);
    if (command == NULL)
        return help_unknown_command(cli, argv[at]);
    return run_command(cli, command, argc - at - 1, argv + at + 1);
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
    catch_signal(SIGINT);
    catch_signal(SIGTERM);
    Cli cli;
    cli_init(&cli);
    int code = argc > 0 ? run_program(&cli, argc - 1, argv + 1) : EXIT_USAGE;
    return flush_output(&cli, code);
}
