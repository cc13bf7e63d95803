// The sections of a page, in their usual order.
#include "app/cli/man.h"

#include "app/cli/commands.h"
#include "gpux.h"

#include <ctype.h>
#include <stdio.h>
#include <string.h>

enum { WRAP_COLUMN = 55 };

static bool is_root(const Command *command) {
    return command->run == NULL;
}

void man_page_name(char out[64], const Command *command) {
    if (is_root(command))
        snprintf(out, 64, "gpux");
    else
        snprintf(out, 64, "gpux-%s", command->name);
    for (char *c = out; *c != '\0'; c++)
        if (*c == ' ')
            *c = '-';
}

// Text as text: no character of it is a request or an escape, and every dash can be copied into a
// shell. With `wraps` long lines are broken at blanks.
static void append_escaped(Buf *out, const char *text, bool at_line_start, bool wraps) {
    static const struct {
        char byte;
        const char *escape;
    } ESCAPES[] = {
        {'\\', "\\e"}, {'-', "\\-"}, {'~', "\\(ti"}, {'^', "\\(ha"}, {'\'', "\\(aq"},
    };
    size_t column = at_line_start ? 0 : WRAP_COLUMN / 2;
    for (const char *c = text; *c != '\0'; c++) {
        const char *escape = NULL;
        if (column == 0 && (*c == '.' || *c == '\''))
            buf_append_cstr(out, "\\&");
        for (size_t i = 0; i < sizeof ESCAPES / sizeof ESCAPES[0]; i++)
            if (*c == ESCAPES[i].byte)
                escape = ESCAPES[i].escape;
        bool breaks = *c == '\n' || (*c == ' ' && wraps && column >= WRAP_COLUMN);
        if (breaks)
            buf_append_byte(out, '\n');
        else if (escape != NULL)
            buf_append_cstr(out, escape);
        else
            buf_append_byte(out, *c);
        column = breaks ? 0 : column + 1;
    }
}

static void append_text(Buf *out, const char *text, bool at_line_start) {
    append_escaped(out, text, at_line_start, true);
}

// A paragraph on a line of its own.
static void append_line(Buf *out, const char *text) {
    append_text(out, text, true);
    buf_append_byte(out, '\n');
}

static void append_heading(Buf *out, const char *macro, const char *title) {
    buf_printf(out, "%s \"%s\"\n", macro, title);
}

static void append_name(Buf *out, const Command *command) {
    char name[64];
    char title[64];
    man_page_name(name, command);
    for (size_t i = 0; i < sizeof title; i++)
        title[i] = (char)toupper((unsigned char)name[i]);
    // An empty date: the page is the same whenever it is built.
    buf_printf(out, ".TH \"%s\" \"1\" \"\" \"gpux %s\" \"User Commands\"\n", title, gpux_version());
    append_heading(out, ".SH", "NAME");
    append_text(out, name, true);
    buf_append_cstr(out, " \\- ");
    append_line(out, command->summary);
}

static void append_synopsis(Buf *out, const Command *command) {
    append_heading(out, ".SH", "SYNOPSIS");
    if (is_root(command)) {
        buf_append_cstr(out, "\\fBgpux\\fR [\\fIOPTIONS\\fR] \\fICOMMAND\\fR [\\fIARGS\\fR]\n");
        return;
    }
    buf_printf(out, "\\fBgpux %s\\fR", command->name);
    if (command->option_count > 0)
        buf_append_cstr(out, " [\\fIOPTIONS\\fR]");
    for (size_t i = 0; i < command->positional_count; i++) {
        const Positional *positional = &command->positionals[i];
        buf_printf(out, positional->is_required ? " \\fI%s\\fR" : " [\\fI%s\\fR]",
                   positional->name);
    }
    buf_append_byte(out, '\n');
}

static void append_description(Buf *out, const Command *command) {
    append_heading(out, ".SH", "DESCRIPTION");
    append_text(out, command->summary, true);
    buf_append_cstr(out, ".\n");
    if (command->details != NULL)
        append_line(out, command->details);
    if (command->alias != NULL)
        buf_printf(out, "Also: \\fBgpux %s\\fR.\n", command->alias);
    if (is_root(command))
        append_line(out, "Results go to standard output, everything else to standard error. Every "
                         "flag can be taken back: --no-verbose, --no-json.");
}

static void append_commands(Buf *out) {
    append_heading(out, ".SH", "COMMANDS");
    for (size_t i = 0; i < COMMAND_COUNT; i++) {
        char page[64];
        man_page_name(page, &COMMANDS[i]);
        buf_append_cstr(out, ".TP\n.BR ");
        append_text(out, page, false);
        buf_append_cstr(out, " (1)\n");
        append_text(out, COMMANDS[i].summary, true);
        buf_append_cstr(out, ".\n");
    }
}

static void append_arguments(Buf *out, const Command *command) {
    if (command->positional_count > 0)
        append_heading(out, ".SH", "ARGUMENTS");
    for (size_t i = 0; i < command->positional_count; i++) {
        buf_printf(out, ".TP\n\\fI%s\\fR\n", command->positionals[i].name);
        append_text(out, command->positionals[i].help, true);
        buf_append_cstr(out, ".\n");
    }
}

// "-i, --input JSON" with its help below.
static void append_option(Buf *out, const Option *option) {
    buf_append_cstr(out, ".TP\n");
    if (option->short_name != '\0')
        buf_printf(out, "\\fB\\-%c\\fR, ", option->short_name);
    buf_append_cstr(out, "\\fB\\-\\-");
    append_text(out, option->name, false);
    buf_append_cstr(out, "\\fR");
    bool is_bare = option->bare != NULL;
    if (option->value_name != NULL)
        buf_printf(out, "%s\\fI%s\\fR%s", is_bare ? " [" : " ", option->value_name,
                   is_bare ? "]" : "");
    buf_append_byte(out, '\n');
    append_text(out, option->help, true);
    if (option->alias != NULL) {
        buf_append_cstr(out, "; also \\fB\\-\\-");
        append_text(out, option->alias, false);
        buf_append_cstr(out, "\\fR");
    }
    if (option->fallback != NULL) {
        buf_append_cstr(out, " (default: ");
        append_text(out, option->fallback, false);
        buf_append_byte(out, ')');
    }
    buf_append_cstr(out, ".\n");
}

static void append_options(Buf *out, const Command *command) {
    const char *group = "";
    append_heading(out, ".SH", "OPTIONS");
    for (size_t i = 0; i < command->option_count; i++) {
        const Option *option = &command->options[i];
        if (option->group != NULL && strcmp(option->group, group) != 0) {
            append_heading(out, ".SS", option->group);
            group = option->group;
        }
        append_option(out, option);
    }
}

static void append_examples(Buf *out, const Command *command) {
    if (command->examples == NULL)
        return;
    append_heading(out, ".SH", "EXAMPLES");
    buf_append_cstr(out, ".nf\n");
    append_escaped(out, command->examples, true, false);
    buf_append_cstr(out, "\n.fi\n");
}

static void append_environment(Buf *out) {
    append_heading(out, ".SH", "ENVIRONMENT");
    for (size_t i = 0; i < ENV_VARIABLE_COUNT; i++) {
        buf_printf(out, ".TP\n\\fB%s\\fR\n", ENV_VARIABLES[i].name);
        append_text(out, ENV_VARIABLES[i].help, true);
        buf_append_cstr(out, ".\n");
    }
}

static void append_exit_status(Buf *out) {
    append_heading(out, ".SH", "EXIT STATUS");
    for (size_t i = 0; i < EXIT_MEANING_COUNT; i++) {
        buf_printf(out, ".TP\n\\fB%s\\fR\n", EXIT_MEANINGS[i].codes);
        append_text(out, EXIT_MEANINGS[i].help, true);
        buf_append_cstr(out, ".\n");
    }
}

static void append_see_also(Buf *out, const Command *command) {
    append_heading(out, ".SH", "SEE ALSO");
    bool is_first = true;
    for (size_t i = 0; i <= COMMAND_COUNT; i++) {
        const Command *other = i == 0 ? &COMMAND_ROOT : &COMMANDS[i - 1];
        if (other == command)
            continue;
        char page[64];
        man_page_name(page, other);
        buf_append_cstr(out, is_first ? ".BR " : " ,\n.BR ");
        append_text(out, page, false);
        buf_append_cstr(out, " (1)");
        is_first = false;
    }
    buf_append_byte(out, '\n');
}

void man_page(Buf *out, const Command *command) {
    append_name(out, command);
    append_synopsis(out, command);
    append_description(out, command);
    if (is_root(command))
        append_commands(out);
    append_arguments(out, command);
    append_options(out, command);
    append_examples(out, command);
    append_environment(out);
    append_exit_status(out);
    append_see_also(out, command);
}
