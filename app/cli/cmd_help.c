// gpux help, and the help that other paths of the program lead to.
#include "app/cli/commands.h"
#include "app/cli/help.h"

#include <stdio.h>

enum { HELP_MAX = 1 << 20 };

int help_print(const Cli *cli, const Command *command, bool is_error) {
    Buf text = BUF_INIT(HELP_MAX);
    int width = is_error ? cli->err.width : cli->out.width;
    if (command == NULL || command->run == NULL)
        help_root(&text, width);
    else
        help_command(&text, command, width);
    if (text.failed == STATUS_OK)
        fwrite(text.ptr, 1, text.len, is_error ? stderr : stdout);
    buf_free(&text);
    return is_error ? EXIT_USAGE : EXIT_OK;
}

int help_unknown_command(Cli *cli, const char *name) {
    const char *closest = command_closest(name);
    cli->args = (Args){.command = &COMMAND_ROOT};
    if (closest != NULL)
        snprintf(cli->args.hint, sizeof cli->args.hint, "Did you mean 'gpux %s'?", closest);
    return cli_usage(cli, "No such command: %s", name);
}

int cmd_help(Cli *cli) {
    const char *name = args_positional(&cli->args, 0);
    const Command *command = name != NULL ? command_find(name) : NULL;
    if (name != NULL && command == NULL)
        return help_unknown_command(cli, name);
    return help_print(cli, command, false);
}
