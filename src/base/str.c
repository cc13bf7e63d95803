// Views, growing buffers, decimal numbers, UTF-8 and edit distance.
//
// Nothing here depends on the locale of the process.
#include "base/str.h"

#include "base/checked.h"
#include "base/memory.h"

#include <locale.h>
#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

enum {
    // More significant digits than these never change a correctly rounded double, beyond the
    // question
    // of whether anything follows (767 digits for the longest halfway case).
    DECIMAL_DIGITS = 800,
    EXPONENT_BOUND = 100000,
    DISTANCE_MAX_LEN = 128, // longer texts are not worth a suggestion
    BUF_FIRST = 64,
};

bool sv_starts_with(StrView text, StrView prefix) {
    return text.len >= prefix.len && sv_equal(sv_n(text.ptr, prefix.len), prefix);
}

bool sv_ends_with(StrView text, StrView suffix) {
    return text.len >= suffix.len && (suffix.len == 0 || memcmp(text.ptr + (text.len - suffix.len),
                                                                suffix.ptr, suffix.len) == 0);
}

static int ascii_lower(char c) {
    unsigned char byte = (unsigned char)c;
    return byte >= 'A' && byte <= 'Z' ? byte + ('a' - 'A') : byte;
}

bool sv_equal_nocase(StrView a, StrView b) {
    if (a.len != b.len)
        return false;
    for (size_t i = 0; i < a.len; i++) {
        if (ascii_lower(a.ptr[i]) != ascii_lower(b.ptr[i]))
            return false;
    }
    return true;
}

static bool is_space(char c) {
    return c == ' ' || (c >= '\t' && c <= '\r');
}

static bool is_digit(char c) {
    return c >= '0' && c <= '9';
}

StrView sv_trim(StrView text) {
    while (text.len > 0 && is_space(text.ptr[0])) {
        text.ptr++;
        text.len--;
    }
    while (text.len > 0 && is_space(text.ptr[text.len - 1]))
        text.len--;
    return text;
}

bool sv_to_i64(int64_t *out, StrView text) {
    bool is_negative = text.len > 0 && text.ptr[0] == '-';
    size_t start = is_negative || (text.len > 0 && text.ptr[0] == '+') ? 1 : 0;
    if (start == text.len)
        return false;
    int64_t value = 0;
    for (size_t i = start; i < text.len; i++) {
        if (!is_digit(text.ptr[i]))
            return false;
        int64_t digit = text.ptr[i] - '0';
        if (__builtin_mul_overflow(value, (int64_t)10, &value) ||
            __builtin_sub_overflow(value, digit, &value)) // downwards, so that INT64_MIN fits
            return false;
    }
    if (!is_negative && __builtin_sub_overflow((int64_t)0, value, &value))
        return false;
    *out = value;
    return true;
}

// A decimal number taken apart: value = 0.digits * 10^point, with leading zeros removed.
typedef struct Decimal {
    bool is_negative;
    bool is_inexact; // nonzero digits beyond those kept
    size_t kept;
    int64_t point;
    uint64_t small; // the kept digits as an integer while there are at most 19
    char digits[DECIMAL_DIGITS];
} Decimal;

static void take_digit(Decimal *decimal, char digit, bool after_point) {
    if (decimal->kept == 0 && digit == '0') {
        decimal->point -= after_point;
        return;
    }
    decimal->point += !after_point;
    if (decimal->kept == DECIMAL_DIGITS) {
        decimal->is_inexact |= digit != '0';
        return;
    }
    if (decimal->kept < 19)
        decimal->small = decimal->small * 10 + (uint64_t)(digit - '0');
    decimal->digits[decimal->kept++] = digit;
}

static bool take_exponent(Decimal *decimal, StrView text, size_t pos) {
    bool is_down = pos < text.len && text.ptr[pos] == '-';
    if (pos < text.len && (text.ptr[pos] == '-' || text.ptr[pos] == '+'))
        pos++;
    if (pos == text.len)
        return false;
    int64_t exponent = 0;
    for (; pos < text.len; pos++) {
        if (!is_digit(text.ptr[pos]))
            return false;
        if (exponent < INT64_MAX / 100)
            exponent = exponent * 10 + (text.ptr[pos] - '0');
    }
    decimal->point += is_down ? -exponent : exponent;
    return true;
}

static bool take_decimal(Decimal *decimal, StrView text) {
    size_t pos = 0;
    if (text.len > 0 && (text.ptr[0] == '-' || text.ptr[0] == '+')) {
        decimal->is_negative = text.ptr[0] == '-';
        pos = 1;
    }
    bool after_point = false;
    bool has_digits = false;
    for (; pos < text.len; pos++) {
        char c = text.ptr[pos];
        if (is_digit(c)) {
            has_digits = true;
            take_digit(decimal, c, after_point);
        } else if (c == '.' && !after_point) {
            after_point = true;
        } else {
            break;
        }
    }
    if (!has_digits)
        return false;
    if (pos == text.len)
        return true;
    if (text.ptr[pos] != 'e' && text.ptr[pos] != 'E')
        return false;
    return take_exponent(decimal, text, pos + 1);
}

// The C library's correctly rounded conversion, handed digits without a point and in the C locale.
static double round_decimal(const Decimal *decimal) {
    char text[DECIMAL_DIGITS + 32];
    memcpy(text, decimal->digits, decimal->kept);
    size_t len = decimal->kept;
    int64_t exponent = decimal->point - (int64_t)len;
    if (decimal->is_inexact) {
        text[len++] = '1';
        exponent--;
    }
    if (exponent > EXPONENT_BOUND)
        exponent = EXPONENT_BOUND;
    if (exponent < -EXPONENT_BOUND)
        exponent = -EXPONENT_BOUND;
    snprintf(text + len, sizeof text - len, "e%d", (int)exponent);
    // With glibc and musl this yields the constant C locale; nothing is allocated.
    locale_t c_locale = newlocale(LC_ALL_MASK, "C", (locale_t)0);
    if (c_locale == (locale_t)0)
        return strtod(text, NULL);
    double value = strtod_l(text, NULL, c_locale);
    freelocale(c_locale);
    return value;
}

bool sv_to_f64(double *out, StrView text) {
    static const double powers[] = {1e0,  1e1,  1e2,  1e3,  1e4,  1e5,  1e6,  1e7,
                                    1e8,  1e9,  1e10, 1e11, 1e12, 1e13, 1e14, 1e15,
                                    1e16, 1e17, 1e18, 1e19, 1e20, 1e21, 1e22};
    Decimal decimal;
    decimal.is_negative = decimal.is_inexact =
        false; // the digits stay uninitialised: they are long
    decimal.kept = 0;
    decimal.point = 0;
    decimal.small = 0;
    if (!take_decimal(&decimal, text))
        return false;
    double value;
    int64_t exponent = decimal.point - (int64_t)decimal.kept;
    if (decimal.kept == 0) {
        value = 0.0;
    } else if (decimal.kept <= 19 && decimal.small <= (UINT64_C(1) << 53) && exponent >= -22 &&
               exponent <= 22) {
        // Both operands are exact, so the one operation rounds correctly (Clinger 1990).
        value = (double)decimal.small;
        value = exponent < 0 ? value / powers[-exponent] : value * powers[exponent];
    } else {
        value = round_decimal(&decimal);
    }
    if (!isfinite(value))
        return false;
    *out = decimal.is_negative ? -value : value;
    return true;
}

char *buf_reserve(Buf *buf, size_t len) {
    if (buf->failed != STATUS_OK)
        return NULL;
    size_t needed;
    if (!size_add(&needed, buf->len, len) || needed > buf->max || needed == SIZE_MAX) {
        buf->failed = STATUS_LIMIT;
        return NULL;
    }
    needed++; // the NUL
    if (needed > buf->cap) {
        size_t cap = buf->cap > SIZE_MAX / 2 ? SIZE_MAX : buf->cap * 2;
        if (buf->max < SIZE_MAX && cap > buf->max + 1)
            cap = buf->max + 1;
        if (cap < needed)
            cap = needed;
        if (cap < BUF_FIRST)
            cap = BUF_FIRST;
        char *grown = mem_realloc(buf->ptr, cap);
        if (!grown) {
            buf->failed = STATUS_OUT_OF_MEMORY;
            return NULL;
        }
        buf->ptr = grown;
        buf->cap = cap;
    }
    return buf->ptr + buf->len;
}

void buf_append(Buf *buf, const void *bytes, size_t len) {
    char *room = buf_reserve(buf, len);
    if (!room)
        return;
    if (len > 0)
        memcpy(room, bytes, len);
    room[len] = '\0';
    buf->len += len;
}

void buf_append_sv(Buf *buf, StrView text) {
    buf_append(buf, text.ptr, text.len);
}

void buf_append_cstr(Buf *buf, const char *text) {
    buf_append(buf, text, strlen(text));
}

void buf_append_byte(Buf *buf, char byte) {
    buf_append(buf, &byte, 1);
}

void buf_printf(Buf *buf, const char *format, ...) {
    char text[256];
    va_list args;
    va_start(args, format);
    int wanted = vsnprintf(text, sizeof text, format, args);
    va_end(args);
    if (wanted < 0)
        return;
    size_t len = (size_t)wanted;
    if (len < sizeof text) {
        buf_append(buf, text, len);
        return;
    }
    char *room = buf_reserve(buf, len);
    if (!room)
        return;
    va_start(args, format);
    vsnprintf(room, len + 1, format, args);
    va_end(args);
    buf->len += len;
}

void buf_clear(Buf *buf) {
    buf->len = 0;
    buf->failed = STATUS_OK;
    if (buf->ptr)
        buf->ptr[0] = '\0';
}

void buf_free(Buf *buf) {
    mem_free(buf->ptr);
    *buf = (Buf){.max = buf->max};
}

Status buf_status(const Buf *buf, Error *error) {
    if (buf->failed == STATUS_LIMIT)
        return error_set(error, STATUS_LIMIT, "text would exceed its limit of %zu bytes", buf->max);
    if (buf->failed != STATUS_OK)
        return error_set(error, buf->failed, "%s while building a text of %zu bytes",
                         status_text(buf->failed), buf->len);
    return STATUS_OK;
}

// Bytes of the sequence that begins with `lead`, 0 when no sequence can; the range of the second
// byte rules out overlong forms, surrogates and what lies beyond U+10FFFF (Unicode 15, table 3-7).
static size_t lead_info(unsigned char lead, unsigned char *second_min, unsigned char *second_max) {
    *second_min = 0x80;
    *second_max = 0xbf;
    if (lead < 0x80)
        return 1;
    if (lead < 0xc2 || lead > 0xf4)
        return 0;
    if (lead == 0xe0)
        *second_min = 0xa0;
    else if (lead == 0xed)
        *second_max = 0x9f;
    else if (lead == 0xf0)
        *second_min = 0x90;
    else if (lead == 0xf4)
        *second_max = 0x8f;
    return lead < 0xe0 ? 2 : lead < 0xf0 ? 3 : 4;
}

// Decodes at ptr[0]; *advance is the length of the sequence or of the maximal bad prefix.
static bool decode(const unsigned char *ptr, size_t len, uint32_t *code_point, size_t *advance) {
    unsigned char min;
    unsigned char max;
    size_t count = lead_info(ptr[0], &min, &max);
    *advance = 1;
    if (count <= 1) {
        *code_point = ptr[0];
        return count == 1;
    }
    uint32_t value = ptr[0] & (0xffu >> (count + 1));
    for (size_t i = 1; i < count; i++) {
        if (i >= len || ptr[i] < min || ptr[i] > max)
            return false;
        value = value << 6 | (ptr[i] & 0x3fu);
        *advance = i + 1;
        min = 0x80;
        max = 0xbf;
    }
    *code_point = value;
    return true;
}

uint32_t utf8_next(StrView text, size_t *pos) {
    uint32_t code_point;
    size_t advance;
    bool is_valid =
        decode((const unsigned char *)text.ptr + *pos, text.len - *pos, &code_point, &advance);
    *pos += advance;
    return is_valid ? code_point : 0xfffd;
}

int utf8_encode(char out[4], uint32_t code_point) {
    if (code_point > 0x10ffff || (code_point >= 0xd800 && code_point < 0xe000))
        code_point = 0xfffd;
    if (code_point < 0x80) {
        out[0] = (char)code_point;
        return 1;
    }
    int count = code_point < 0x800 ? 2 : code_point < 0x10000 ? 3 : 4;
    for (int i = count - 1; i > 0; i--) {
        out[i] = (char)(0x80 | (code_point & 0x3f));
        code_point >>= 6;
    }
    out[0] = (char)((0xf00u >> count) | code_point);
    return count;
}

// First position from `pos` whose byte is not ASCII.
static size_t skip_ascii(StrView text, size_t pos) {
    while (text.len - pos >= 8) {
        uint64_t word;
        memcpy(&word, text.ptr + pos, 8);
        if (word & UINT64_C(0x8080808080808080))
            break;
        pos += 8;
    }
    while (pos < text.len && (unsigned char)text.ptr[pos] < 0x80)
        pos++;
    return pos;
}

bool utf8_is_valid(StrView text, size_t *bad) {
    for (size_t pos = skip_ascii(text, 0); pos < text.len; pos = skip_ascii(text, pos)) {
        uint32_t code_point;
        size_t advance;
        const unsigned char *ptr = (const unsigned char *)text.ptr + pos;
        if (!decode(ptr, text.len - pos, &code_point, &advance)) {
            if (bad)
                *bad = pos;
            return false;
        }
        pos += advance;
    }
    return true;
}

size_t utf8_count(StrView text) {
    size_t count = 0;
    for (size_t pos = 0; pos < text.len; count++)
        utf8_next(text, &pos);
    return count;
}

void utf8_append_valid(Buf *out, StrView text) {
    while (text.len > 0) {
        size_t bad;
        if (utf8_is_valid(text, &bad)) {
            buf_append_sv(out, text);
            return;
        }
        buf_append(out, text.ptr, bad);
        buf_append_cstr(out, "\xef\xbf\xbd");
        utf8_next(text, &bad);
        text = sv_n(text.ptr + bad, text.len - bad);
    }
}

size_t str_distance(StrView a, StrView b, size_t limit) {
    size_t difference = a.len > b.len ? a.len - b.len : b.len - a.len;
    if (difference > limit || a.len > DISTANCE_MAX_LEN || b.len > DISTANCE_MAX_LEN)
        return sv_equal(a, b) ? 0 : limit + 1;
    size_t row[DISTANCE_MAX_LEN + 1]; // distances of a's prefix to each prefix of b
    for (size_t j = 0; j <= b.len; j++)
        row[j] = j;
    for (size_t i = 1; i <= a.len; i++) {
        size_t diagonal = row[0];
        row[0] = i;
        for (size_t j = 1; j <= b.len; j++) {
            size_t best = diagonal + (a.ptr[i - 1] != b.ptr[j - 1]);
            diagonal = row[j];
            if (row[j] + 1 < best)
                best = row[j] + 1;
            if (row[j - 1] + 1 < best)
                best = row[j - 1] + 1;
            row[j] = best;
        }
    }
    return row[b.len] > limit ? limit + 1 : row[b.len];
}

const char *str_closest(StrView text, const char *const *candidates, size_t count) {
    size_t limit = text.len / 3;
    limit = limit < 1 ? 1 : limit > 3 ? 3 : limit;
    const char *closest = NULL;
    for (size_t i = 0; i < count; i++) {
        size_t distance = str_distance(text, sv(candidates[i]), limit);
        if (distance <= limit && distance < text.len) {
            closest = candidates[i];
            if (distance == 0)
                break;
            limit = distance - 1;
        }
    }
    return closest;
}
