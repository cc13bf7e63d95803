// Detection of terminals, display widths, and numbers for people.
#include "app/ui/terminal.h"

#include <stdio.h>
#include <stdlib.h>
#include <sys/ioctl.h>
#include <unistd.h>

enum { DEFAULT_WIDTH = 80, MIN_WIDTH = 20, MAX_WIDTH = 1000 };

static bool is_utf8_locale(const char *locale) {
    if (locale == NULL)
        return false;
    const char *dot = strchr(locale, '.');
    StrView charset = sv(dot != NULL ? dot + 1 : locale);
    const char *at = memchr(charset.ptr, '@', charset.len);
    if (at != NULL)
        charset.len = (size_t)(at - charset.ptr);
    return sv_equal_nocase(charset, SV("UTF-8")) || sv_equal_nocase(charset, SV("UTF8"));
}

Terminal terminal_decide(bool is_terminal, int columns, const TerminalEnv *env) {
    bool is_dumb = env->term == NULL || env->term[0] == '\0' || strcmp(env->term, "dumb") == 0;
    bool no_color = env->no_color != NULL && env->no_color[0] != '\0';
    bool utf8_locale = is_utf8_locale(env->locale);
    Terminal out = {
        .is_terminal = is_terminal,
        .has_colour = is_terminal && !no_color && !is_dumb,
        .has_glyphs = is_terminal && !no_color && !is_dumb && utf8_locale,
        .is_utf8 = !is_terminal || utf8_locale,
        .width = columns,
    };
    int64_t wanted;
    if (env->columns != NULL && sv_to_i64(&wanted, sv(env->columns)) && wanted >= MIN_WIDTH &&
        wanted <= MAX_WIDTH)
        out.width = (int)wanted;
    if (out.width < MIN_WIDTH || out.width > MAX_WIDTH)
        out.width = DEFAULT_WIDTH;
    return out;
}

static const char *first_set(const char *const *names, size_t count) {
    for (size_t i = 0; i < count; i++) {
        const char *value = getenv(names[i]);
        if (value != NULL && value[0] != '\0')
            return value;
    }
    return NULL;
}

Terminal terminal_detect(int fd) {
    static const char *const LOCALES[] = {"LC_ALL", "LC_CTYPE", "LANG"};
    TerminalEnv env = {
        .no_color = getenv("NO_COLOR"),
        .term = getenv("TERM"),
        .locale = first_set(LOCALES, sizeof LOCALES / sizeof LOCALES[0]),
        .columns = getenv("COLUMNS"),
    };
    struct winsize size = {0};
    bool is_terminal = isatty(fd) == 1;
    int columns = 0;
    if (is_terminal && ioctl(fd, TIOCGWINSZ, &size) == 0)
        columns = size.ws_col;
    return terminal_decide(is_terminal, columns, &env);
}

const char *terminal_style(const Terminal *terminal, Style style) {
    static const char *const CODES[] = {
        [STYLE_NONE] = "",          [STYLE_BOLD] = "\033[1m",    [STYLE_ITALIC] = "\033[3m",
        [STYLE_RED] = "\033[1;31m", [STYLE_YELLOW] = "\033[33m", [STYLE_CYAN] = "\033[36m",
        [STYLE_DIM] = "\033[2m",
    };
    return terminal->has_colour ? CODES[style] : "";
}

const char *terminal_reset(const Terminal *terminal) {
    return terminal->has_colour ? "\033[0m" : "";
}

typedef struct WidthRange {
    uint32_t first;
    uint32_t last;
    int width;
} WidthRange;

// The ranges that differ from one column, as far as model files and our own marks use them.
static const WidthRange WIDTHS[] = {
    {0x0300, 0x036F, 0},   {0x0483, 0x0489, 0},   {0x0591, 0x05BD, 0},   {0x064B, 0x065F, 0},
    {0x1100, 0x115F, 2},   {0x200B, 0x200F, 0},   {0x202A, 0x202E, 0},   {0x2060, 0x2064, 0},
    {0x20D0, 0x20F0, 0},   {0x2705, 0x2705, 2},   {0x274C, 0x274C, 2},   {0x2E80, 0x303E, 2},
    {0x3041, 0xA4CF, 2},   {0xAC00, 0xD7A3, 2},   {0xF900, 0xFAFF, 2},   {0xFE00, 0xFE0F, 0},
    {0xFE20, 0xFE2F, 0},   {0xFE30, 0xFE6F, 2},   {0xFEFF, 0xFEFF, 0},   {0xFF00, 0xFF60, 2},
    {0xFFE0, 0xFFE6, 2},   {0x1F300, 0x1F64F, 2}, {0x1F680, 0x1F6FF, 2}, {0x1F900, 0x1FAFF, 2},
    {0x20000, 0x3FFFD, 2},
};

int text_code_point_width(uint32_t code_point) {
    for (size_t i = 0; i < sizeof WIDTHS / sizeof WIDTHS[0]; i++)
        if (code_point >= WIDTHS[i].first && code_point <= WIDTHS[i].last)
            return WIDTHS[i].width;
    return 1;
}

int text_width(StrView text) {
    int width = 0;
    for (size_t pos = 0; pos < text.len;)
        width += text_code_point_width(utf8_next(text, &pos));
    return width;
}

void text_append_safe(Buf *out, StrView text, bool keep_newlines) {
    for (size_t pos = 0; pos < text.len;) {
        uint32_t code_point = utf8_next(text, &pos);
        bool is_bidi = (code_point >= 0x202A && code_point <= 0x202E) ||
                       (code_point >= 0x2066 && code_point <= 0x2069);
        if (code_point == '\n' && keep_newlines) {
            buf_append_byte(out, '\n');
        } else if (code_point == '\n' || code_point == '\t') {
            buf_append_byte(out, ' ');
        } else if (code_point == '\r') {
            continue;
        } else if (code_point < 0x20 || (code_point >= 0x7F && code_point < 0xA0) || is_bidi) {
            buf_append_byte(out, '?');
        } else {
            char bytes[4];
            int len = utf8_encode(bytes, code_point);
            buf_append(out, bytes, (size_t)len);
        }
    }
}

typedef struct Stand {
    uint32_t code_point;
    const char *text;
} Stand;

// What stands for the marks of our own messages where they cannot be shown.
static const Stand STANDS[] = {
    {0x2022, "*"},  {0x2026, "..."}, {0x2013, "-"}, {0x2014, "-"},
    {0x2192, "->"}, {0xD7, "x"},     {0x2713, "*"}, {0x2717, "x"},
};

static void append_stand(Buf *out, uint32_t code_point) {
    for (size_t i = 0; i < sizeof STANDS / sizeof STANDS[0]; i++)
        if (code_point == STANDS[i].code_point) {
            buf_append_cstr(out, STANDS[i].text);
            return;
        }
    for (int i = 0; i < text_code_point_width(code_point); i++)
        buf_append_byte(out, '?');
}

void text_append_shown(Buf *out, StrView text, const Terminal *terminal) {
    if (terminal->is_utf8) {
        buf_append_sv(out, text);
        return;
    }
    for (size_t pos = 0; pos < text.len;) {
        uint32_t code_point = utf8_next(text, &pos);
        if (code_point < 0x80)
            buf_append_byte(out, (char)code_point);
        else
            append_stand(out, code_point);
    }
}

void format_bytes(char out[32], double bytes) {
    static const char *const UNITS[] = {"KB", "MB", "GB", "TB"};
    if (bytes < 1024) {
        snprintf(out, 32, "%.0f B", bytes);
        return;
    }
    size_t unit = 0;
    double value = bytes / 1024;
    // 1023.95 would print as 1024.0.
    while (value >= 1023.95 && unit + 1 < sizeof UNITS / sizeof UNITS[0]) {
        value /= 1024;
        unit++;
    }
    snprintf(out, 32, "%.1f %s", value, UNITS[unit]);
}

void format_count(char out[32], int64_t count) {
    char digits[24];
    snprintf(digits, sizeof digits, "%lld", (long long)count);
    size_t len = strlen(digits);
    size_t sign = digits[0] == '-';
    size_t at = 0;
    for (size_t i = 0; i < len; i++) {
        if (i > sign && (len - i) % 3 == 0)
            out[at++] = ',';
        out[at++] = digits[i];
    }
    out[at] = '\0';
}
