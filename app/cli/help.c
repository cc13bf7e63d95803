// Two-column lists, wrapped to the width of the terminal.
#include "app/cli/help.h"

#include "app/ui/terminal.h"

#include <stdio.h>
#include <string.h>

enum { MAX_WIDTH = 100, INDENT = 2, GUTTER = 2, TERM_MAX = 96, WIDEST_TERM = 26 };

void help_usage(Buf *out, const Command *command) {
    if (command->run == NULL) {
        buf_append_cstr(out, "Usage: gpux [OPTIONS] COMMAND [ARGS]\n");
        return;
    }
    buf_printf(out, "Usage: gpux %s", command->name);
    if (command->option_count > 0)
        buf_append_cstr(out, " [OPTIONS]");
    for (size_t i = 0; i < command->positional_count; i++) {
        const Positional *positional = &command->positionals[i];
        buf_printf(out, positional->is_required ? " %s" : " [%s]", positional->name);
    }
    buf_append_byte(out, '\n');
}

static void append_spaces(Buf *out, int count) {
    for (int i = 0; i < count; i++)
        buf_append_byte(out, ' ');
}

// Words of `text` from column `column` on, further lines starting there too.
static void append_wrapped(Buf *out, const char *text, int column, int width) {
    int at = column;
    while (*text != '\0') {
        size_t len = strcspn(text, " ");
        int columns = text_width(sv_n(text, len));
        if (at > column && at + 1 + columns > width) {
            buf_append_byte(out, '\n');
            append_spaces(out, column);
            at = column;
        } else if (at > column) {
            buf_append_byte(out, ' ');
            at++;
        }
        buf_append(out, text, len);
        at += columns;
        text += len + (text[len] == ' ');
    }
    buf_append_byte(out, '\n');
}

static void append_item(Buf *out, const char *term, const char *help, int term_width, int width) {
    int column = INDENT + term_width + GUTTER;
    append_spaces(out, INDENT);
    buf_append_cstr(out, term);
    int used = INDENT + (int)strlen(term);
    if (used + GUTTER > column) {
        buf_append_byte(out, '\n');
        used = 0;
    }
    append_spaces(out, column - used);
    append_wrapped(out, help, column, width);
}

// "-i, --input JSON"
static void option_term(char out[TERM_MAX], const Option *option) {
    char short_form[8] = "    ";
    if (option->short_name != '\0')
        snprintf(short_form, sizeof short_form, "-%c, ", option->short_name);
    const char *value = option->value_name != NULL ? option->value_name : "";
    const char *before = value[0] == '\0' ? "" : option->bare != NULL ? " [" : " ";
    snprintf(out, TERM_MAX, "%s--%s%s%s%s", short_form, option->name, before, value,
             option->bare != NULL ? "]" : "");
}

static int widest_option(const Command *command) {
    int widest = 0;
    for (size_t i = 0; i < command->option_count; i++) {
        char term[TERM_MAX];
        option_term(term, &command->options[i]);
        int len = (int)strlen(term);
        if (len > widest && len <= WIDEST_TERM)
            widest = len;
    }
    return widest;
}

static void append_options(Buf *out, const Command *command, int width) {
    const char *group = "";
    int term_width = widest_option(command);
    for (size_t i = 0; i < command->option_count; i++) {
        const Option *option = &command->options[i];
        const char *heading = option->group != NULL ? option->group : "Options";
        if (strcmp(heading, group) != 0)
            buf_printf(out, "\n%s:\n", heading);
        group = heading;
        char term[TERM_MAX];
        option_term(term, option);
        Buf help = BUF_INIT(4096);
        buf_append_cstr(&help, option->help);
        if (option->alias != NULL)
            buf_printf(&help, " (also --%s)", option->alias);
        if (option->fallback != NULL)
            buf_printf(&help, " (default: %s)", option->fallback);
        append_item(out, term, help.ptr != NULL ? help.ptr : "", term_width, width);
        buf_free(&help);
    }
}

static void append_lines(Buf *out, const char *heading, const char *lines) {
    if (lines == NULL)
        return;
    buf_printf(out, "\n%s:\n", heading);
    while (*lines != '\0') {
        size_t len = strcspn(lines, "\n");
        append_spaces(out, INDENT);
        buf_append(out, lines, len);
        buf_append_byte(out, '\n');
        lines += len + (lines[len] == '\n');
    }
}

static int clamp_width(int width) {
    return width < MAX_WIDTH ? width : MAX_WIDTH;
}

void help_command(Buf *out, const Command *command, int width) {
    width = clamp_width(width);
    help_usage(out, command);
    buf_printf(out, "\n%s\n", command->summary);
    if (command->details != NULL)
        append_wrapped(out, command->details, 0, width);
    if (command->alias != NULL)
        buf_printf(out, "Also: gpux %s\n", command->alias);
    if (command->positional_count > 0)
        buf_append_cstr(out, "\nArguments:\n");
    int widest = 0;
    for (size_t i = 0; i < command->positional_count; i++)
        if ((int)strlen(command->positionals[i].name) > widest)
            widest = (int)strlen(command->positionals[i].name);
    for (size_t i = 0; i < command->positional_count; i++)
        append_item(out, command->positionals[i].name, command->positionals[i].help, widest, width);
    append_options(out, command, width);
    append_lines(out, "Examples", command->examples);
}

// The commands, or those whose first word is `group`.
static void append_commands(Buf *out, const char *group, int width) {
    int widest = 0;
    buf_append_cstr(out, "\nCommands:\n");
    for (int pass = 0; pass < 2; pass++)
        for (size_t i = 0; i < COMMAND_COUNT; i++) {
            const char *name = COMMANDS[i].name;
            size_t len = group != NULL ? strlen(group) : 0;
            if (group != NULL && (strncmp(name, group, len) != 0 || name[len] != ' '))
                continue;
            if (pass == 1)
                append_item(out, name, COMMANDS[i].summary, widest, width);
            else if ((int)strlen(name) > widest)
                widest = (int)strlen(name);
        }
}

void help_group(Buf *out, const char *group, int width) {
    buf_printf(out, "Usage: gpux %s COMMAND [ARGS]\n", group);
    append_commands(out, group, clamp_width(width));
    buf_printf(out, "\n'gpux %s COMMAND --help' explains a command.\n", group);
}

void help_root(Buf *out, int width) {
    width = clamp_width(width);
    help_usage(out, &COMMAND_ROOT);
    buf_printf(out, "\n%s\n", COMMAND_ROOT.summary);
    append_commands(out, NULL, width);
    append_options(out, &COMMAND_ROOT, width);
    int widest = 0;
    for (size_t i = 0; i < ENV_VARIABLE_COUNT; i++)
        if ((int)strlen(ENV_VARIABLES[i].name) > widest)
            widest = (int)strlen(ENV_VARIABLES[i].name);
    buf_append_cstr(out, "\nEnvironment:\n");
    for (size_t i = 0; i < ENV_VARIABLE_COUNT; i++)
        append_item(out, ENV_VARIABLES[i].name, ENV_VARIABLES[i].help, widest, width);
    append_lines(out, "Examples", COMMAND_ROOT.examples);
    buf_append_cstr(out, "\n'gpux COMMAND --help' explains a command. "
                         "Every flag can be taken back: --no-verbose, --no-json.\n");
}
