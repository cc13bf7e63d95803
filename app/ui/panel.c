// The box around the lines.
#include "app/ui/panel.h"

#include <string.h>

enum { EDGES = 4, TEXT_MAX = 1 << 20 }; // a bar and a blank on both sides

typedef struct Glyphs {
    const char *top_left, *top_right, *bottom_left, *bottom_right, *line, *bar;
} Glyphs;

static const Glyphs ROUND = {"╭", "╮", "╰", "╯", "─", "│"};
static const Glyphs ASCII = {"+", "+", "+", "+", "-", "|"};

static StrView take_row(StrView *rest, int width) {
    size_t pos = 0;
    int used = 0;
    while (pos < rest->len && rest->ptr[pos] != '\n') {
        size_t next = pos;
        int columns = text_code_point_width(utf8_next(*rest, &next));
        if (used + columns > width)
            break;
        used += columns;
        pos = next;
    }
    StrView row = sv_n(rest->ptr, pos);
    if (pos < rest->len && rest->ptr[pos] == '\n')
        pos++;
    *rest = sv_n(rest->ptr + pos, rest->len - pos);
    return row;
}

static int widest_row(StrView text, int limit) {
    int widest = 0;
    while (text.len > 0) {
        StrView row = take_row(&text, limit);
        int width = text_width(row);
        widest = width > widest ? width : widest;
    }
    return widest;
}

static void repeat(Buf *out, const char *text, int count) {
    for (int i = 0; i < count; i++)
        buf_append_cstr(out, text);
}

static void print_box(Buf *out, const char *title, StrView text, const Terminal *terminal) {
    const Glyphs *glyphs = terminal->has_glyphs ? &ROUND : &ASCII;
    int limit = terminal->width - EDGES;
    int title_width = text_width(sv(title));
    int inside = widest_row(text, limit);
    inside = inside < title_width + 2 ? title_width + 2 : inside;
    buf_append_cstr(out, glyphs->top_left);
    buf_append_cstr(out, glyphs->line);
    buf_append_byte(out, ' ');
    buf_append_cstr(out, terminal_style(terminal, STYLE_BOLD));
    buf_append_cstr(out, title);
    buf_append_cstr(out, terminal_reset(terminal));
    buf_append_byte(out, ' ');
    repeat(out, glyphs->line, inside - title_width - 1);
    buf_append_cstr(out, glyphs->top_right);
    buf_append_byte(out, '\n');
    while (text.len > 0) {
        StrView row = take_row(&text, limit);
        buf_append_cstr(out, glyphs->bar);
        buf_append_byte(out, ' ');
        buf_append_sv(out, row);
        repeat(out, " ", inside - text_width(row) + 1);
        buf_append_cstr(out, glyphs->bar);
        buf_append_byte(out, '\n');
    }
    buf_append_cstr(out, glyphs->bottom_left);
    repeat(out, glyphs->line, inside + 2);
    buf_append_cstr(out, glyphs->bottom_right);
    buf_append_byte(out, '\n');
}

void panel_print(Buf *out, const char *title, StrView text, const Terminal *terminal) {
    Buf safe = BUF_INIT(TEXT_MAX);
    Buf shown = BUF_INIT(TEXT_MAX);
    text_append_safe(&safe, text, true);
    text_append_shown(&shown, sv_n(safe.ptr, safe.len), terminal);
    if (safe.failed != STATUS_OK || shown.failed != STATUS_OK) {
        out->failed = STATUS_OUT_OF_MEMORY;
    } else if (terminal->is_terminal) {
        print_box(out, title, sv_n(shown.ptr, shown.len), terminal);
    } else {
        buf_append_cstr(out, title);
        buf_append_byte(out, '\n');
        buf_append(out, shown.ptr, shown.len);
    }
    buf_free(&safe);
    buf_free(&shown);
}
