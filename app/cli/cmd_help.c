// gpux help, and the help that other paths of the program lead to.
#include "app/cli/commands.h"
#include "app/cli/help.h"
#include "app/cli/man.h"

#include <stdio.h>
#include <string.h>

enum { HELP_MAX = 1 << 20 };

static int print_text(Buf *text, bool is_error) {
    if (text->failed == STATUS_OK)
        fwrite(text->ptr, 1, text->len, is_error ? stderr : stdout);
    buf_free(text);
    return is_error ? EXIT_USAGE : EXIT_OK;
}

int help_print(const Cli *cli, const Command *command, bool is_error) {
    Buf text = BUF_INIT(HELP_MAX);
    int width = is_error ? cli->err.width : cli->out.width;
    if (command == NULL || command->run == NULL)
        help_root(&text, width);
    else
        help_command(&text, command, width);
    return print_text(&text, is_error);
}

static int print_group(const Cli *cli, const char *group, bool is_error) {
    Buf text = BUF_INIT(HELP_MAX);
    help_group(&text, group, is_error ? cli->err.width : cli->out.width);
    return print_text(&text, is_error);
}

static int unknown_command(Cli *cli, const char *name) {
    const char *closest = command_closest(name);
    cli->args = (Args){.command = &COMMAND_ROOT};
    if (closest != NULL)
        snprintf(cli->args.hint, sizeof cli->args.hint, "Did you mean 'gpux %s'?", closest);
    return cli_usage(cli, "No such command: %s", name);
}

int help_unmatched(Cli *cli, int argc, char *const *argv, bool is_error) {
    if (!command_is_group(argv[0]))
        return unknown_command(cli, argv[0]);
    if (argc == 1)
        return print_group(cli, argv[0], is_error);
    if (strcmp(argv[1], "--help") == 0 || strcmp(argv[1], "-h") == 0)
        return print_group(cli, argv[0], false);
    char name[64];
    snprintf(name, sizeof name, "%s %s", argv[0], argv[1]);
    return unknown_command(cli, name);
}

static int print_man(const Cli *cli, const Command *command) {
    Buf text = BUF_INIT(HELP_MAX);
    man_page(&text, command != NULL ? command : &COMMAND_ROOT);
    if (buf_status(&text, NULL) != STATUS_OK) {
        buf_free(&text);
        return cli_fail(cli, "Error", "out of memory");
    }
    return print_text(&text, false);
}

int cmd_help(Cli *cli) {
    const char *name = args_positional(&cli->args, 0);
    const char *second = args_positional(&cli->args, 1);
    char *const words[] = {(char *)name, (char *)second};
    int used = 0;
    const Command *command = command_match((int)cli->args.positional_count, words, &used);
    if (command == NULL && name != NULL)
        return help_unmatched(cli, (int)cli->args.positional_count, words, false);
    if (command != NULL && used < (int)cli->args.positional_count)
        return cli_usage(cli, "Got unexpected extra argument '%s'", second);
    if (args_flag(&cli->args, "man"))
        return print_man(cli, command);
    return help_print(cli, command, false);
}
