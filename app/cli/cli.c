// Messages, results, files and settings shared by the commands.
#include "app/cli/cli.h"

#include "app/cli/signals.h"
#include "base/file.h"
#include "base/memory.h"

#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { MESSAGE_MAX = 64 * 1024, TABLE_TEXT_MAX = 64 * 1024 * 1024 };

static const char *const LEVEL_NAMES[] = {"DEBUG", "INFO", "WARNING", "ERROR", "CRITICAL"};
static const char *const LEVEL_LABELS[] = {"Debug", "Info", "Warning", "Error", "Error"};
enum { LEVEL_COUNT = sizeof LEVEL_NAMES / sizeof LEVEL_NAMES[0] };

void cli_init(Cli *cli) {
    *cli = (Cli){
        .out = terminal_detect(STDOUT_FILENO),
        .err = terminal_detect(STDERR_FILENO),
        .log_level = GPUX_LOG_WARNING,
    };
    const char *wanted = getenv("GPUX_LOG_LEVEL");
    if (wanted == NULL || wanted[0] == '\0')
        return;
    for (size_t i = 0; i < LEVEL_COUNT; i++) {
        if (sv_equal_nocase(sv(wanted), sv(LEVEL_NAMES[i]))) {
            cli->log_level = (gpux_log_level)i;
            return;
        }
    }
    cli_say(
        cli, "Warning",
        "GPUX_LOG_LEVEL '%s' is not one of DEBUG, INFO, WARNING, ERROR, CRITICAL; using WARNING",
        wanted);
}

void cli_set_verbose(Cli *cli) {
    cli->is_verbose = true;
    cli->log_level = GPUX_LOG_DEBUG;
}

static Style label_style(const char *label) {
    if (strcmp(label, "Warning") == 0)
        return STYLE_YELLOW;
    if (strcmp(label, "Hint") == 0 || strcmp(label, "Info") == 0)
        return STYLE_CYAN;
    return strcmp(label, "Debug") == 0 ? STYLE_DIM : STYLE_RED;
}

// One write per message: lines of several threads do not mix.
static void say(const Cli *cli, const char *label, const char *text) {
    Buf line = BUF_INIT(MESSAGE_MAX);
    if (cli->before_message != NULL)
        cli->before_message(cli->before_message_ctx);
    if (label != NULL) {
        buf_append_cstr(&line, terminal_style(&cli->err, label_style(label)));
        buf_append_cstr(&line, label);
        buf_append_byte(&line, ':');
        buf_append_cstr(&line, terminal_reset(&cli->err));
        buf_append_byte(&line, ' ');
    }
    Buf safe = BUF_INIT(MESSAGE_MAX);
    text_append_safe(&safe, sv(text), true);
    text_append_shown(&line, sv_n(safe.ptr, safe.len), &cli->err);
    if (safe.failed != STATUS_OK)
        line.failed = safe.failed;
    buf_free(&safe);
    buf_append_byte(&line, '\n');
    if (line.failed == STATUS_OK)
        fwrite(line.ptr, 1, line.len, stderr);
    else
        fputs("Error: out of memory\n", stderr);
    buf_free(&line);
}

__attribute__((format(printf, 3, 0))) static void say_format(const Cli *cli, const char *label,
                                                             const char *format, va_list args) {
    char text[4096];
    vsnprintf(text, sizeof text, format, args);
    say(cli, label, text);
}

void cli_say(const Cli *cli, const char *label, const char *format, ...) {
    va_list args;
    va_start(args, format);
    say_format(cli, label, format, args);
    va_end(args);
}

int cli_fail(const Cli *cli, const char *label, const char *format, ...) {
    va_list args;
    va_start(args, format);
    say_format(cli, label, format, args);
    va_end(args);
    return EXIT_FAILED;
}

int cli_usage(const Cli *cli, const char *format, ...) {
    va_list args;
    va_start(args, format);
    say_format(cli, "Error", format, args);
    va_end(args);
    if (cli->args.hint[0] != '\0')
        cli_note(cli, "%s", cli->args.hint);
    const Command *command = cli->args.command;
    bool is_root = command == NULL || command->run == NULL;
    cli_note(cli, "Try 'gpux %s%s--help' for help.", is_root ? "" : command->name,
             is_root ? "" : " ");
    return EXIT_USAGE;
}

void cli_note(const Cli *cli, const char *format, ...) {
    va_list args;
    va_start(args, format);
    say_format(cli, NULL, format, args);
    va_end(args);
}

void cli_log(void *ctx, gpux_log_level level, const char *message) {
    const Cli *cli = ctx;
    size_t index = (size_t)level < LEVEL_COUNT ? (size_t)level : LEVEL_COUNT - 1;
    if (level >= cli->log_level)
        say(cli, LEVEL_LABELS[index], message);
}

int cli_open(Cli *cli) {
    gpux_options options = GPUX_OPTIONS_INIT;
    options.log = cli_log;
    options.log_ctx = cli;
    options.log_level = cli->log_level;
    if (args_knows(&cli->args, "cache-dir"))
        options.cache_dir = args_text(&cli->args, "cache-dir");
    options.cpu_level = getenv("GPUX_CPU_LEVEL");
    if (options.cpu_level != NULL && options.cpu_level[0] == '\0')
        options.cpu_level = NULL;
    gpux_error error = {0};
    if (gpux_open(&cli->env, &options, &error) != GPUX_OK)
        return cli_fail(cli, "Error", "%s", error.message);
    return EXIT_OK;
}

void cli_close(Cli *cli) {
    gpux_close(cli->env);
    cli->env = NULL;
}

void cli_print(StrView text) {
    fwrite(text.ptr, 1, text.len, stdout);
    if (text.len == 0 || text.ptr[text.len - 1] != '\n')
        putchar('\n');
}

void cli_print_gap(void) {
    putchar('\n');
}

int cli_print_table(const Cli *cli, Table *table, bool to_stderr) {
    Buf text = BUF_INIT(TABLE_TEXT_MAX);
    Buf shown = BUF_INIT(TABLE_TEXT_MAX);
    const Terminal *terminal = to_stderr ? &cli->err : &cli->out;
    Status status = table_print(&text, table, terminal);
    text_append_shown(&shown, sv_n(text.ptr, text.len), terminal);
    if (status == STATUS_OK)
        status = buf_status(&shown, NULL);
    if (status == STATUS_OK && shown.len > 0)
        fwrite(shown.ptr, 1, shown.len, to_stderr ? stderr : stdout);
    buf_free(&shown);
    buf_free(&text);
    table_free(table);
    return status == STATUS_OK ? EXIT_OK : cli_fail(cli, "Error", "%s", status_text(status));
}

static int cannot_write(const Cli *cli, const char *path, int errno_value) {
    return cli_fail(cli, "Error", "Cannot write output file: %s: '%s'", strerror(errno_value),
                    path);
}

// Devices, pipes and links are written through; replacing them would destroy them.
static int write_through(const Cli *cli, const char *path, StrView text) {
    int fd = open(path, O_WRONLY | O_TRUNC | O_CLOEXEC | O_NOCTTY);
    if (fd < 0)
        return cannot_write(cli, path, errno);
    int code = EXIT_OK;
    for (size_t done = 0; done < text.len && code == EXIT_OK;) {
        ssize_t n = write(fd, text.ptr + done, text.len - done);
        if (n < 0 && errno != EINTR)
            code = cannot_write(cli, path, errno);
        if (n > 0)
            done += (size_t)n;
    }
    if (close(fd) != 0 && code == EXIT_OK)
        code = cannot_write(cli, path, errno);
    return code;
}

int cli_write_file(const Cli *cli, const char *path, StrView text) {
    FileStat stat;
    if (file_stat(&stat, path) && (!stat.is_regular || stat.is_symlink))
        return write_through(cli, path, text);
    Error error = {0};
    sigset_t before;
    signals_hold(&before);
    Status status = file_write_atomic(path, text.ptr, text.len, &error);
    signals_release(&before);
    if (status != STATUS_OK)
        return cli_fail(cli, "Error", "Cannot write output file: %s", error.message);
    return EXIT_OK;
}

int cli_check_output(const Cli *cli, const char *path) {
    if (path[0] == '\0')
        return cli_usage(cli, "Option '--output' requires a file name");
    if (file_is_dir(path))
        return cannot_write(cli, path, EISDIR);
    char *folder = path_dirname(path);
    if (folder == NULL)
        return cannot_write(cli, path, ENOMEM);
    int code = file_is_dir(folder) ? EXIT_OK : cannot_write(cli, path, ENOENT);
    mem_free(folder);
    return code;
}

int cli_parse_json(const Cli *cli, JsonDoc **out, const gpux_text *text) {
    Error error = {0};
    if (json_parse(out, sv_n(text->ptr, text->len), 0, &error) != STATUS_OK)
        return cli_fail(cli, "Error", "the answer could not be read: %s", error.message);
    return EXIT_OK;
}

static int value_or_env(const Cli *cli, ArgValue *out, const char *name, const char *variable) {
    *out = *args_get(&cli->args, name);
    if (out->is_set)
        return EXIT_OK;
    const char *text = getenv(variable);
    if (text == NULL || text[0] == '\0')
        return EXIT_OK;
    Error error = {0};
    const Option *option = args_find_option(cli->args.command, name);
    if (args_check(out, option, text, variable, &error) != STATUS_OK)
        return cli_fail(cli, "Error", "%s", error.message);
    return EXIT_OK;
}

int cli_text_or_env(const Cli *cli, const char **out, const char *option, const char *variable) {
    ArgValue value;
    int code = value_or_env(cli, &value, option, variable);
    *out = value.text;
    return code;
}

int cli_number_or_env(const Cli *cli, int64_t *out, const char *option, const char *variable) {
    ArgValue value;
    int code = value_or_env(cli, &value, option, variable);
    *out = value.number;
    return code;
}
