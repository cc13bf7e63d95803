// gpux completion SHELL
#include "app/cli/commands.h"
#include "app/cli/completion.h"

#include <string.h>

enum { SCRIPT_MAX = 1 << 20 };

int cmd_completion(Cli *cli) {
    const char *name = args_positional(&cli->args, 0);
    const Shell *shell = NULL;
    for (size_t i = 0; i < SHELL_COUNT; i++)
        if (sv_equal_nocase(sv(name), sv(SHELLS[i].name)))
            shell = &SHELLS[i];
    if (shell == NULL)
        return cli_usage(cli, "Invalid value for 'SHELL': '%s' is not one of bash, zsh, fish",
                         name);
    Buf script = BUF_INIT(SCRIPT_MAX);
    shell->write(&script);
    int code = EXIT_OK;
    if (buf_status(&script, NULL) == STATUS_OK)
        cli_print(sv_n(script.ptr, script.len));
    else
        code = cli_fail(cli, "Error", "out of memory");
    buf_free(&script);
    return code;
}
