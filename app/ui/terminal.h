// What a stream can show: width, colour, glyphs. Detected once from the descriptor and the
// environment; nothing here prints.
#ifndef GPUX_UI_TERMINAL_H
#define GPUX_UI_TERMINAL_H

#include "base/str.h"

#include <stdbool.h>

typedef struct Terminal {
    bool is_terminal;
    bool has_colour; // escape codes are welcome
    bool has_glyphs; // box drawing characters are welcome
    bool is_utf8;    // text outside ASCII is shown; true for a pipe or a file
    int width;       // columns; 80 when unknown
} Terminal;

// The variables that decide; NULL when unset.
typedef struct TerminalEnv {
    const char *no_color; // NO_COLOR
    const char *term;     // TERM
    const char *locale;   // the first of LC_ALL, LC_CTYPE, LANG that is set and not empty
    const char *columns;  // COLUMNS
} TerminalEnv;

// What `fd` shows, given this process's environment.
Terminal terminal_detect(int fd);
// The rules alone. `columns` is what the terminal reported, 0 when it did not.
Terminal terminal_decide(bool is_terminal, int columns, const TerminalEnv *env);

typedef enum Style {
    STYLE_NONE,
    STYLE_BOLD,
    STYLE_ITALIC,
    STYLE_RED,
    STYLE_YELLOW,
    STYLE_CYAN,
    STYLE_DIM,
} Style;

// The escape code that switches `style` on, or "" where colour is not welcome.
const char *terminal_style(const Terminal *terminal, Style style);
const char *terminal_reset(const Terminal *terminal);

// Columns that `text` takes: wide characters count 2, combining ones 0.
int text_width(StrView text);
int text_code_point_width(uint32_t code_point);
// Appends `text` with control characters and escape codes made harmless: text from files must not
// be able to drive the terminal. Newlines stay only with keep_newlines, else they become spaces.
void text_append_safe(Buf *out, StrView text, bool keep_newlines);

// Appends `text` as the terminal can show it: without a UTF-8 locale everything outside ASCII
// becomes a question mark per column, but bullets, dashes and the like something similar.
void text_append_shown(Buf *out, StrView text, const Terminal *terminal);

// "512 B", "256.0 MB": 1 KB = 1024 B, one decimal.
void format_bytes(char out[32], double bytes);
// "66,955,010"
void format_count(char out[32], int64_t count);

#endif
