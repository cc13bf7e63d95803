// Layout of tables: column widths, wrapping to the terminal, and the three looks (heavy-headed box,
// +-| box, plain columns).
#include "app/ui/table.h"

#include <assert.h>

enum { MIN_COLUMN = 4, GUTTER = 2 };

// Left, fill, middle and right of each kind of line, and the bars of header and body.
typedef struct Box {
    const char *top[4];
    const char *under_header[4];
    const char *bottom[4];
    const char *header_bar;
    const char *body_bar;
} Box;

static const Box HEAVY_HEAD = {
    .top = {"┏", "━", "┳", "┓"},
    .under_header = {"┡", "━", "╇", "┩"},
    .bottom = {"└", "─", "┴", "┘"},
    .header_bar = "┃",
    .body_bar = "│",
};
static const Box ASCII = {
    .top = {"+", "-", "+", "+"},
    .under_header = {"+", "-", "+", "+"},
    .bottom = {"+", "-", "+", "+"},
    .header_bar = "|",
    .body_bar = "|",
};

Table table_new(const char *title, const char *const *headers, size_t columns) {
    assert(columns >= 1 && columns <= TABLE_MAX_COLUMNS);
    Table table = {.title = title, .columns = columns};
    for (size_t i = 0; i < columns; i++)
        table.headers[i] = headers[i];
    return table;
}

void table_free(Table *table) {
    mem_free(table->cells);
    arena_free(&table->text);
    *table = (Table){0};
}

static bool reserve_row(Table *table) {
    if (table->rows < table->row_cap)
        return true;
    size_t cap = table->row_cap == 0 ? 8 : table->row_cap * 2;
    const char **cells =
        mem_realloc_array(table->cells, cap * table->columns, sizeof table->cells[0]);
    if (cells == NULL)
        return false;
    table->cells = cells;
    table->row_cap = cap;
    return true;
}

void table_add_row(Table *table, const char *const *cells) {
    if (table->failed || !reserve_row(table)) {
        table->failed = true;
        return;
    }
    const char **row = table->cells + table->rows * table->columns;
    for (size_t i = 0; i < table->columns; i++) {
        const char *cell = cells[i] != NULL && cells[i][0] != '\0' ? cells[i] : "N/A";
        Buf safe = BUF_INIT(1u << 20);
        text_append_safe(&safe, sv(cell), false);
        row[i] = safe.failed == STATUS_OK && safe.ptr != NULL
                     ? arena_strndup(&table->text, safe.ptr, safe.len)
                     : NULL;
        buf_free(&safe);
        if (row[i] == NULL) {
            table->failed = true;
            return;
        }
    }
    table->rows++;
}

void table_add_pair(Table *table, const char *name, const char *value) {
    assert(table->columns == 2);
    table_add_row(table, (const char *const[]){name, value});
}

// Marks that a terminal without UTF-8 cannot show fall away with the space behind them.
static StrView shown(StrView text, const Terminal *terminal) {
    static const char *const MARKS[] = {"✅ ", "❌ "};
    if (terminal->is_utf8)
        return text;
    for (size_t i = 0; i < sizeof MARKS / sizeof MARKS[0]; i++)
        if (sv_starts_with(text, sv(MARKS[i])))
            return sv_n(text.ptr + strlen(MARKS[i]), text.len - strlen(MARKS[i]));
    if (sv_equal_cstr(text, "✅"))
        return SV("Yes");
    if (sv_equal_cstr(text, "❌"))
        return SV("No");
    return text;
}

static StrView cell_at(const Table *table, size_t row, size_t column, const Terminal *terminal) {
    return shown(sv(table->cells[row * table->columns + column]), terminal);
}

static void measure(int *widths, const Table *table, const Terminal *terminal) {
    for (size_t c = 0; c < table->columns; c++) {
        widths[c] = text_width(sv(table->headers[c]));
        for (size_t r = 0; r < table->rows; r++) {
            int width = text_width(cell_at(table, r, c, terminal));
            if (width > widths[c])
                widths[c] = width;
        }
    }
}

static int total_width(const int *widths, size_t columns) {
    int total = 1; // the first bar
    for (size_t i = 0; i < columns; i++)
        total += widths[i] + 3;
    return total;
}

// Takes columns away from the widest until the box fits.
static void shrink(int *widths, size_t columns, int limit) {
    while (total_width(widths, columns) > limit) {
        size_t widest = 0;
        for (size_t i = 1; i < columns; i++)
            if (widths[i] > widths[widest])
                widest = i;
        if (widths[widest] <= MIN_COLUMN)
            return;
        widths[widest]--;
    }
}

// Cuts from *rest the longest part of at most `width` columns, at a space where there is one.
static StrView take_line(StrView *rest, int width) {
    size_t pos = 0;
    size_t last_space = 0;
    int used = 0;
    while (pos < rest->len) {
        size_t next = pos;
        uint32_t code_point = utf8_next(*rest, &next);
        int step = text_code_point_width(code_point);
        if (used + step > width && pos > 0)
            break;
        if (code_point == ' ')
            last_space = pos;
        used += step;
        pos = next;
    }
    bool cut_at_space = pos < rest->len && rest->ptr[pos] != ' ' && last_space > 0;
    StrView line = sv_n(rest->ptr, cut_at_space ? last_space : pos);
    size_t skip = line.len;
    while (skip < rest->len && rest->ptr[skip] == ' ')
        skip++;
    *rest = sv_n(rest->ptr + skip, rest->len - skip);
    return line;
}

static void append_repeated(Buf *out, const char *text, int count) {
    for (int i = 0; i < count; i++)
        buf_append_cstr(out, text);
}

static void append_padded(Buf *out, StrView text, int width, bool is_right) {
    int gap = width - text_width(text);
    if (is_right)
        append_repeated(out, " ", gap);
    buf_append_sv(out, text);
    if (!is_right)
        append_repeated(out, " ", gap);
}

static void append_rule(Buf *out, const char *const glyphs[4], const int *widths, size_t columns) {
    for (size_t i = 0; i < columns; i++) {
        buf_append_cstr(out, i == 0 ? glyphs[0] : glyphs[2]);
        append_repeated(out, glyphs[1], widths[i] + 2);
    }
    buf_append_cstr(out, glyphs[3]);
    buf_append_byte(out, '\n');
}

// One row of the table, on as many lines as its longest cell needs.
static void append_box_row(Buf *out, const Table *table, const int *widths, StrView *cells,
                           const char *bar, bool is_header, const Terminal *terminal) {
    for (bool is_first = true;; is_first = false) {
        bool has_more = false;
        for (size_t i = 0; i < table->columns; i++)
            has_more = has_more || cells[i].len > 0;
        if (!has_more && !is_first)
            return;
        for (size_t i = 0; i < table->columns; i++) {
            Style style = is_header ? STYLE_BOLD : i == 0 ? STYLE_CYAN : STYLE_NONE;
            StrView line = take_line(&cells[i], widths[i]);
            buf_append_cstr(out, bar);
            buf_append_byte(out, ' ');
            buf_append_cstr(out, terminal_style(terminal, style));
            append_padded(out, line, widths[i], table->is_right[i] && !is_header);
            if (style != STYLE_NONE)
                buf_append_cstr(out, terminal_reset(terminal));
            buf_append_byte(out, ' ');
        }
        buf_append_cstr(out, bar);
        buf_append_byte(out, '\n');
    }
}

static void print_box(Buf *out, const Table *table, int *widths, const Terminal *terminal) {
    const Box *box = terminal->has_glyphs ? &HEAVY_HEAD : &ASCII;
    shrink(widths, table->columns, terminal->width);
    int indent = (total_width(widths, table->columns) - text_width(sv(table->title))) / 2;
    append_repeated(out, " ", indent);
    buf_append_cstr(out, terminal_style(terminal, STYLE_ITALIC));
    buf_append_cstr(out, table->title);
    buf_append_cstr(out, terminal_reset(terminal));
    buf_append_byte(out, '\n');
    StrView cells[TABLE_MAX_COLUMNS];
    for (size_t i = 0; i < table->columns; i++)
        cells[i] = sv(table->headers[i]);
    append_rule(out, box->top, widths, table->columns);
    append_box_row(out, table, widths, cells, box->header_bar, true, terminal);
    append_rule(out, box->under_header, widths, table->columns);
    for (size_t r = 0; r < table->rows; r++) {
        for (size_t i = 0; i < table->columns; i++)
            cells[i] = cell_at(table, r, i, terminal);
        append_box_row(out, table, widths, cells, box->body_bar, false, terminal);
    }
    append_rule(out, box->bottom, widths, table->columns);
}

static void append_plain_row(Buf *out, const Table *table, const int *widths,
                             const StrView *cells) {
    for (size_t i = 0; i < table->columns; i++) {
        bool is_last = i + 1 == table->columns;
        // No blanks at the end of a line.
        append_padded(out, cells[i], is_last && !table->is_right[i] ? 0 : widths[i],
                      table->is_right[i]);
        if (!is_last)
            append_repeated(out, " ", GUTTER);
    }
    buf_append_byte(out, '\n');
}

static void print_plain(Buf *out, const Table *table, const int *widths, const Terminal *terminal) {
    StrView cells[TABLE_MAX_COLUMNS];
    buf_append_cstr(out, table->title);
    buf_append_byte(out, '\n');
    for (size_t i = 0; i < table->columns; i++)
        cells[i] = sv(table->headers[i]);
    append_plain_row(out, table, widths, cells);
    for (size_t r = 0; r < table->rows; r++) {
        for (size_t i = 0; i < table->columns; i++)
            cells[i] = cell_at(table, r, i, terminal);
        append_plain_row(out, table, widths, cells);
    }
}

Status table_print(Buf *out, const Table *table, const Terminal *terminal) {
    if (table->failed)
        return STATUS_OUT_OF_MEMORY;
    int widths[TABLE_MAX_COLUMNS];
    measure(widths, table, terminal);
    if (terminal->is_terminal)
        print_box(out, table, widths, terminal);
    else
        print_plain(out, table, widths, terminal);
    return buf_status(out, NULL);
}
