// gpux login and gpux logout. The token is shown nowhere: it is read without echo, and wiped from
// memory after use.
#include "app/cli/commands.h"
#include "app/cli/hub.h"
#include "app/cli/signals.h"

#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <termios.h>
#include <unistd.h>

enum { TOKEN_SIZE = 4200 };

// Reads up to the end of the line, or of the input. poll() is what a signal interrupts.
static int read_line(char out[TOKEN_SIZE], int fd) {
    size_t len = 0;
    while (len + 1 < TOKEN_SIZE && signals_caught() == 0) {
        struct pollfd wait = {.fd = fd, .events = POLLIN};
        if (poll(&wait, 1, -1) < 0)
            continue;
        ssize_t got = read(fd, out + len, TOKEN_SIZE - 1 - len);
        if (got < 0 && errno != EINTR)
            break;
        if (got == 0)
            break;
        len += got > 0 ? (size_t)got : 0;
        if (len > 0 && memchr(out, '\n', len) != NULL)
            break;
    }
    out[len] = '\0';
    out[strcspn(out, "\r\n")] = '\0';
    return (int)strlen(out);
}

static int read_hidden(char out[TOKEN_SIZE]) {
    struct termios before;
    if (tcgetattr(STDIN_FILENO, &before) != 0)
        return 0;
    struct termios hidden = before;
    hidden.c_lflag &= ~(tcflag_t)(ECHO | ECHOE | ECHOK);
    hidden.c_lflag |= ICANON | ISIG;
    // A signal must not leave a terminal that shows nothing.
    signals_begin_asking();
    tcsetattr(STDIN_FILENO, TCSAFLUSH, &hidden);
    fputs("Token: ", stderr);
    int len = read_line(out, STDIN_FILENO);
    tcsetattr(STDIN_FILENO, TCSAFLUSH, &before);
    putc('\n', stderr);
    return len;
}

// EXIT_OK, or the exit code after printing why there is none.
static int find_token(char out[TOKEN_SIZE], const Cli *cli) {
    const char *given = args_text(&cli->args, "token");
    bool from_stdin = args_flag(&cli->args, "token-stdin");
    if (given != NULL && from_stdin)
        return cli_usage(cli, "Give either --token or --token-stdin");
    int signal_number = 0;
    if (given != NULL) {
        snprintf(out, TOKEN_SIZE, "%s", given);
    } else if (from_stdin) {
        read_line(out, STDIN_FILENO);
    } else if (isatty(STDIN_FILENO) == 1) {
        cli_note(cli, "Make a token at https://huggingface.co/settings/tokens; it stays hidden.");
        read_hidden(out);
        signal_number = signals_end_asking();
    } else {
        return cli_usage(cli, "There is no terminal to ask for the token: use --token-stdin");
    }
    if (signal_number != 0) {
        cli_note(cli, "Interrupted by user");
        return signal_number == SIGTERM ? EXIT_TERMINATED : EXIT_INTERRUPTED;
    }
    return out[0] != '\0' ? EXIT_OK : cli_usage(cli, "The token is empty");
}

static int login(const Cli *cli, const char *token) {
    gpux_text text = {0};
    gpux_fault fault = GPUX_FAULT_NONE;
    gpux_error error = {0};
    JsonDoc *doc = NULL;
    gpux_status status = gpux_hub_login(&text, &fault, cli->env, NULL, token, &error);
    if (status != GPUX_OK && fault == GPUX_FAULT_AUTHENTICATION) {
        // The usual hint, to set a token, is what was just tried.
        cli_say(cli, "Error", "%s", error.message);
        return gpux_fault_exit_code(fault);
    }
    if (status != GPUX_OK)
        return hub_failed(cli, status, fault, &error);
    int code = cli_parse_json(cli, &doc, &text);
    if (code == EXIT_OK)
        printf("Logged in to %s as %s\n", json_cstr_or(json_root(doc), "registry", "?"),
               json_cstr_or(json_root(doc), "user", "?"));
    json_free(doc);
    gpux_text_free(&text);
    return code;
}

// A variable wins over what login stores.
static void warn_of_variables(const Cli *cli, const char *consequence) {
    static const char *const NAMES[] = {"HF_TOKEN", "HUGGING_FACE_HUB_TOKEN",
                                        "HUGGINGFACE_HUB_TOKEN"};
    for (size_t i = 0; i < sizeof NAMES / sizeof NAMES[0]; i++) {
        const char *value = getenv(NAMES[i]);
        if (value != NULL && value[0] != '\0') {
            cli_say(cli, "Warning", "%s is set and %s", NAMES[i], consequence);
            return;
        }
    }
}

int cmd_login(Cli *cli) {
    char token[TOKEN_SIZE] = "";
    int code = cli_open(cli);
    if (code == EXIT_OK)
        code = hub_check_registry(cli, args_positional(&cli->args, 0));
    if (code == EXIT_OK)
        code = find_token(token, cli);
    if (code == EXIT_OK)
        code = login(cli, token);
    explicit_bzero(token, sizeof token);
    if (code == EXIT_OK)
        warn_of_variables(cli, "is used instead of the stored token");
    return code;
}

int cmd_logout(Cli *cli) {
    gpux_text text = {0};
    gpux_fault fault = GPUX_FAULT_NONE;
    gpux_error error = {0};
    JsonDoc *doc = NULL;
    int code = cli_open(cli);
    if (code == EXIT_OK)
        code = hub_check_registry(cli, args_positional(&cli->args, 0));
    if (code != EXIT_OK)
        return code;
    gpux_status status = gpux_hub_logout(&text, &fault, cli->env, &error);
    if (status != GPUX_OK)
        return hub_failed(cli, status, fault, &error);
    code = cli_parse_json(cli, &doc, &text);
    if (code == EXIT_OK) {
        const JsonValue *report = json_root(doc);
        bool was_in = json_bool_or(report, "was_logged_in", false);
        printf(was_in ? "Logged out of %s\n" : "Not logged in to %s\n",
               json_cstr_or(report, "registry", "?"));
        warn_of_variables(cli, "still gives a token");
    }
    json_free(doc);
    gpux_text_free(&text);
    return code;
}
