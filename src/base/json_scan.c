// The checking pass over JSON text, and numeric arrays read without a tree.
//
// This is the one grammar: json.c builds trees only from text that passed here. Stricter than RFC
// 8259 in two points: no lone surrogate escapes, no number that overflows a double.
#include "base/json_scan.h"

#include "base/checked.h"
#include "base/memory.h"

#include <assert.h>

enum {
    MAX_RANK = 8,
    LONG_NUMBER = 300, // digits from which a number without an exponent may overflow a double
    INT64_DIGITS = 18, // digits that always fit int64
};

typedef struct Scanner {
    StrView text;
    size_t pos;
    Error *error;
    JsonScan *scan; // where the spans of the outermost level go, may be NULL
    size_t cap;
} Scanner;

// What a value turned out to be.
typedef struct ValueInfo {
    JsonKind kind;
    bool is_numeric; // a number, true, false, or an array of such
} ValueInfo;

Status json_error_at(Error *error, Status code, StrView text, size_t offset, const char *what) {
    if (!error)
        return code;
    if (offset > text.len)
        offset = text.len;
    size_t line = 1;
    size_t line_start = 0;
    for (size_t i = 0; i < offset; i++) {
        if (text.ptr[i] == '\n') {
            line++;
            line_start = i + 1;
        }
    }
    size_t column = 1;
    if (offset > line_start)
        column += utf8_count(sv_n(text.ptr + line_start, offset - line_start));
    error_set(error, code, "%s: line %zu column %zu", what, line, column);
    error->offset = offset;
    return code;
}

static Status fail(Scanner *s, const char *what) {
    return json_error_at(s->error, STATUS_CORRUPT, s->text, s->pos, what);
}

static int peek(const Scanner *s) {
    return s->pos < s->text.len ? (unsigned char)s->text.ptr[s->pos] : -1;
}

static void skip_space(Scanner *s) {
    while (s->pos < s->text.len) {
        char c = s->text.ptr[s->pos];
        if (c != ' ' && c != '\n' && c != '\t' && c != '\r')
            return;
        s->pos++;
    }
}

// Four hexadecimal digits at pos, or -1.
static int hex4(const Scanner *s, size_t pos) {
    if (s->text.len - pos < 4)
        return -1;
    int value = 0;
    for (size_t i = pos; i < pos + 4; i++) {
        char c = s->text.ptr[i];
        int digit = c >= '0' && c <= '9'   ? c - '0'
                    : c >= 'a' && c <= 'f' ? c - 'a' + 10
                    : c >= 'A' && c <= 'F' ? c - 'A' + 10
                                           : -1;
        if (digit < 0)
            return -1;
        value = value * 16 + digit;
    }
    return value;
}

// At a backslash.
static Status scan_escape(Scanner *s) {
    if (s->text.len - s->pos < 2)
        return fail(s, "unterminated string");
    char c = s->text.ptr[s->pos + 1];
    if (c != 'u') {
        if (c == '\0' || !strchr("\"\\/bfnrt", c))
            return fail(s, "unknown escape in a string");
        s->pos += 2;
        return STATUS_OK;
    }
    int unit = hex4(s, s->pos + 2);
    if (unit < 0)
        return fail(s, "\\u needs four hexadecimal digits");
    if (unit >= 0xdc00 && unit <= 0xdfff)
        return fail(s, "lone surrogate escape");
    if (unit < 0xd800 || unit > 0xdbff) {
        s->pos += 6;
        return STATUS_OK;
    }
    bool has_second = s->text.len - s->pos >= 12 && s->text.ptr[s->pos + 6] == '\\' &&
                      s->text.ptr[s->pos + 7] == 'u';
    int low = has_second ? hex4(s, s->pos + 8) : -1;
    if (low < 0xdc00 || low > 0xdfff)
        return fail(s, "lone surrogate escape");
    s->pos += 12;
    return STATUS_OK;
}

// At the opening quote. *raw is what stands between the quotes.
static Status scan_string(Scanner *s, StrView *raw) {
    size_t start = ++s->pos;
    for (;;) {
        int c = peek(s);
        if (c < 0)
            return fail(s, "unterminated string");
        if (c == '"')
            break;
        if (c == '\\') {
            TRY(scan_escape(s));
        } else if (c < 0x20) {
            return fail(s, "control character in a string");
        } else if (c < 0x80) {
            s->pos++;
        } else {
            size_t next = s->pos;
            uint32_t code_point = utf8_next(s->text, &next);
            bool is_real_fffd = next - s->pos == 3 && c == 0xef;
            if (code_point == 0xfffd && !is_real_fffd)
                return fail(s, "invalid UTF-8");
            s->pos = next;
        }
    }
    *raw = sv_n(s->text.ptr + start, s->pos - start);
    s->pos++;
    return STATUS_OK;
}

static size_t skip_digits(Scanner *s) {
    size_t start = s->pos;
    while (s->pos < s->text.len && (unsigned char)(s->text.ptr[s->pos] - '0') < 10)
        s->pos++;
    return s->pos - start;
}

// At '-' or a digit. Accepts exactly the JSON grammar and what fits a double.
static Status scan_number(Scanner *s, StrView *token, bool *is_integer) {
    size_t start = s->pos;
    *is_integer = true;
    if (peek(s) == '-')
        s->pos++;
    if (peek(s) == '0')
        s->pos++;
    else if (skip_digits(s) == 0)
        return fail(s, "expected a digit");
    if (peek(s) == '.') {
        *is_integer = false;
        s->pos++;
        if (skip_digits(s) == 0)
            return fail(s, "expected a digit after the point");
    }
    bool has_exponent = peek(s) == 'e' || peek(s) == 'E';
    if (has_exponent) {
        *is_integer = false;
        s->pos++;
        if (peek(s) == '+' || peek(s) == '-')
            s->pos++;
        if (skip_digits(s) == 0)
            return fail(s, "expected a digit in the exponent");
    }
    *token = sv_n(s->text.ptr + start, s->pos - start);
    double value;
    if ((has_exponent || token->len > LONG_NUMBER) && !sv_to_f64(&value, *token)) {
        s->pos = start;
        return fail(s, "number out of range");
    }
    return STATUS_OK;
}

static bool is_big_integer(StrView token) {
    int64_t value;
    return token.len > INT64_DIGITS && !sv_to_i64(&value, token);
}

static bool take_word(Scanner *s, StrView word) {
    if (!sv_starts_with(sv_n(s->text.ptr + s->pos, s->text.len - s->pos), word))
        return false;
    s->pos += word.len;
    return true;
}

static Status scan_scalar(Scanner *s, ValueInfo *info) {
    int c = peek(s);
    if (c < 0)
        return fail(s, "unexpected end of the text");
    StrView token;
    if (c == '"') {
        *info = (ValueInfo){.kind = JSON_STRING};
        return scan_string(s, &token);
    }
    if (c == '-' || (c >= '0' && c <= '9')) {
        bool is_integer;
        TRY(scan_number(s, &token, &is_integer));
        bool is_big = is_integer && is_big_integer(token);
        *info = (ValueInfo){is_integer && !is_big ? JSON_INT : JSON_REAL, true};
        return STATUS_OK;
    }
    if (take_word(s, SV("true")) || take_word(s, SV("false")))
        *info = (ValueInfo){JSON_BOOL, true};
    else if (take_word(s, SV("null")))
        *info = (ValueInfo){.kind = JSON_NULL};
    else
        return fail(s, c < 0x80 ? "expected a value" : "unexpected character outside a string");
    return STATUS_OK;
}

static Status add_span(Scanner *s, JsonSpan span) {
    if (s->scan->count == s->cap) {
        size_t cap = s->cap ? s->cap * 2 : 16;
        JsonSpan *spans = mem_realloc_array(s->scan->spans, cap, sizeof *spans);
        if (!spans)
            return error_out_of_memory(s->error, cap * sizeof *spans);
        s->scan->spans = spans;
        s->cap = cap;
    }
    s->scan->spans[s->scan->count++] = span;
    return STATUS_OK;
}

static Status scan_value(Scanner *s, int depth, ValueInfo *info);

// One member or element of the container at `depth`.
static Status scan_member(Scanner *s, int depth, bool is_object, ValueInfo *info) {
    StrView key = {0};
    if (is_object) {
        if (peek(s) != '"')
            return fail(s, "expected a member name");
        TRY(scan_string(s, &key));
        skip_space(s);
        if (peek(s) != ':')
            return fail(s, "expected ':'");
        s->pos++;
        skip_space(s);
    }
    size_t start = s->pos;
    TRY(scan_value(s, depth, info));
    if (depth == 1 && s->scan) {
        StrView value = sv_n(s->text.ptr + start, s->pos - start);
        bool is_numeric_array = info->kind == JSON_ARRAY && info->is_numeric;
        return add_span(s, (JsonSpan){key, value, is_numeric_array});
    }
    return STATUS_OK;
}

// At '{' or '['; `depth` counts the containers around this one.
static Status scan_container(Scanner *s, int depth, ValueInfo *info) {
    bool is_object = peek(s) == '{';
    char close = is_object ? '}' : ']';
    if (depth == JSON_MAX_DEPTH)
        return json_error_at(s->error, STATUS_LIMIT, s->text, s->pos, "nested too deeply");
    *info = (ValueInfo){is_object ? JSON_OBJECT : JSON_ARRAY, !is_object};
    s->pos++;
    skip_space(s);
    if (peek(s) == close) {
        s->pos++;
        return STATUS_OK;
    }
    for (;;) {
        ValueInfo member;
        TRY(scan_member(s, depth + 1, is_object, &member));
        info->is_numeric = info->is_numeric && member.is_numeric;
        skip_space(s);
        int c = peek(s);
        if (c != close && c != ',')
            return fail(s, is_object ? "expected ',' or '}'" : "expected ',' or ']'");
        s->pos++;
        if (c == close)
            return STATUS_OK;
        skip_space(s);
    }
}

static Status scan_value(Scanner *s, int depth, ValueInfo *info) {
    int c = peek(s);
    return c == '{' || c == '[' ? scan_container(s, depth, info) : scan_scalar(s, info);
}

static Status scan_text(Scanner *s, ValueInfo *info) {
    skip_space(s);
    TRY(scan_value(s, 0, info));
    skip_space(s);
    return peek(s) < 0 ? STATUS_OK : fail(s, "text after the end of the value");
}

Status json_check(StrView text, Error *error) {
    Scanner s = {.text = text, .error = error};
    ValueInfo info;
    return scan_text(&s, &info);
}

Status json_scan(JsonScan *out, StrView text, Error *error) {
    *out = (JsonScan){0};
    Scanner s = {.text = text, .error = error, .scan = out};
    ValueInfo info = {0};
    Status status = scan_text(&s, &info);
    out->kind = info.kind;
    if (status != STATUS_OK)
        json_scan_free(out);
    return status;
}

void json_scan_free(JsonScan *scan) {
    mem_free(scan->spans);
    *scan = (JsonScan){0};
}

// ---- Checked text ----

// Behind the opening quote; leaves *pos behind the closing one.
static StrView checked_string(StrView text, size_t *pos) {
    size_t start = *pos;
    size_t at = start;
    while (at < text.len && text.ptr[at] != '"')
        at += text.ptr[at] == '\\' ? 2 : 1;
    *pos = at + 1;
    return sv_n(text.ptr + start, at - start);
}

JsonToken json_cursor_next(JsonCursor *cursor, StrView *raw) {
    StrView text = cursor->text;
    size_t start = cursor->pos;
    while (start < text.len && strchr(" \t\r\n,:", text.ptr[start]))
        start++;
    assert(start < text.len);
    cursor->pos = start + 1;
    switch (text.ptr[start]) {
    case '{':
        return TOKEN_BEGIN_OBJECT;
    case '}':
        return TOKEN_END_OBJECT;
    case '[':
        return TOKEN_BEGIN_ARRAY;
    case ']':
        return TOKEN_END_ARRAY;
    case '"':
        *raw = checked_string(text, &cursor->pos);
        return TOKEN_STRING;
    case 't':
        cursor->pos = start + strlen("true");
        return TOKEN_TRUE;
    case 'f':
        cursor->pos = start + strlen("false");
        return TOKEN_FALSE;
    case 'n':
        cursor->pos = start + strlen("null");
        return TOKEN_NULL;
    default:
        break;
    }
    Scanner s = {.text = text, .pos = start};
    bool is_integer;
    (void)scan_number(&s, raw, &is_integer);
    cursor->pos = s.pos;
    return TOKEN_NUMBER;
}

void json_unescape(Buf *out, StrView raw) {
    static const char meanings[] = {
        ['b'] = '\b', ['f'] = '\f', ['n'] = '\n', ['r'] = '\r', ['t'] = '\t'};
    Scanner s = {.text = raw};
    size_t copied = 0;
    while (s.pos < raw.len) {
        const char *backslash = memchr(raw.ptr + s.pos, '\\', raw.len - s.pos);
        if (!backslash)
            break;
        s.pos = (size_t)(backslash - raw.ptr);
        buf_append(out, raw.ptr + copied, s.pos - copied);
        char letter = raw.ptr[s.pos + 1];
        size_t len = 2;
        if (letter == 'u') {
            uint32_t code_point = (uint32_t)hex4(&s, s.pos + 2);
            len = 6;
            if (code_point >= 0xd800 && code_point < 0xdc00) {
                uint32_t low = (uint32_t)hex4(&s, s.pos + 8);
                code_point = 0x10000 + ((code_point - 0xd800) << 10) + (low - 0xdc00);
                len = 12;
            }
            char bytes[4];
            buf_append(out, bytes, (size_t)utf8_encode(bytes, code_point));
        } else {
            unsigned char index = (unsigned char)letter;
            bool has_meaning = index < sizeof meanings && meanings[index] != '\0';
            buf_append_byte(out, has_meaning ? meanings[index] : letter);
        }
        s.pos += len;
        copied = s.pos;
    }
    buf_append(out, raw.ptr + copied, raw.len - copied);
}

// ---- Numeric arrays ----

typedef struct NumberReader {
    Scanner s;
    JsonNumbers *out;
    size_t cap;
    bool knows_rank; // set by the first scalar or the first empty array
} NumberReader;

static Status not_rectangular(NumberReader *r) {
    return json_error_at(r->s.error, STATUS_INVALID, r->s.text, r->s.pos, "not rectangular");
}

static Status grow(NumberReader *r) {
    size_t cap = r->cap ? r->cap * 2 : 16;
    double *reals = mem_realloc_array(r->out->reals, cap, sizeof *reals);
    if (!reals)
        return error_out_of_memory(r->s.error, cap * sizeof *reals);
    r->out->reals = reals;
    if (r->out->all_integers) {
        int64_t *integers = mem_realloc_array(r->out->integers, cap, sizeof *integers);
        if (!integers)
            return error_out_of_memory(r->s.error, cap * sizeof *integers);
        r->out->integers = integers;
    }
    r->cap = cap;
    return STATUS_OK;
}

static Status read_scalar(NumberReader *r, int depth) {
    JsonNumbers *out = r->out;
    if (r->knows_rank && depth != out->rank)
        return not_rectangular(r);
    r->knows_rank = true;
    out->rank = depth;
    int64_t integer = 0;
    double real = 0;
    bool is_integer = true;
    bool is_bool = true;
    int c = peek(&r->s);
    if (c == '-' || (c >= '0' && c <= '9')) {
        StrView token;
        is_bool = false;
        TRY(scan_number(&r->s, &token, &is_integer));
        is_integer = is_integer && sv_to_i64(&integer, token);
        if (is_integer)
            real = (double)integer;
        else if (!sv_to_f64(&real, token))
            return fail(&r->s, "number out of range");
    } else if (take_word(&r->s, SV("true"))) {
        integer = 1;
        real = 1;
    } else if (!take_word(&r->s, SV("false"))) {
        return fail(&r->s, "expected a number, true, false or '['");
    }
    if (out->count == r->cap)
        TRY(grow(r));
    if (!is_integer && out->all_integers) {
        out->all_integers = false;
        mem_free(out->integers);
        out->integers = NULL;
    }
    out->all_bools = out->all_bools && is_bool;
    out->reals[out->count] = real;
    if (out->all_integers)
        out->integers[out->count] = integer;
    out->count++;
    return STATUS_OK;
}

// The array at `depth` closed with `count` elements.
static Status close_array(NumberReader *r, int depth, int64_t count) {
    JsonNumbers *out = r->out;
    if (count == 0) {
        if (r->knows_rank && depth + 1 != out->rank)
            return not_rectangular(r);
        r->knows_rank = true;
        out->rank = depth + 1;
    }
    if (out->shape[depth] >= 0 && out->shape[depth] != count)
        return not_rectangular(r);
    out->shape[depth] = count;
    return STATUS_OK;
}

static Status read_item(NumberReader *r, int depth) {
    Scanner *s = &r->s;
    if (peek(s) != '[')
        return read_scalar(r, depth);
    if (depth == MAX_RANK)
        return json_error_at(s->error, STATUS_INVALID, s->text, s->pos, "rank over 8");
    if (r->knows_rank && depth >= r->out->rank)
        return not_rectangular(r);
    s->pos++;
    skip_space(s);
    int64_t count = 0;
    if (peek(s) == ']') {
        s->pos++;
        return close_array(r, depth, count);
    }
    for (;;) {
        TRY(read_item(r, depth + 1));
        count++;
        skip_space(s);
        int c = peek(s);
        if (c != ',' && c != ']')
            return fail(s, "expected ',' or ']'");
        s->pos++;
        if (c == ']')
            return close_array(r, depth, count);
        skip_space(s);
    }
}

Status json_read_numbers(JsonNumbers *out, StrView text, Error *error) {
    *out = (JsonNumbers){.all_integers = true, .all_bools = true};
    for (int i = 0; i < MAX_RANK; i++)
        out->shape[i] = -1; // unknown until the first array of this depth closes
    NumberReader r = {.s = {.text = text, .error = error}, .out = out};
    skip_space(&r.s);
    Status status = grow(&r); // so that the arrays exist even when they stay empty
    if (status == STATUS_OK)
        status = read_item(&r, 0);
    skip_space(&r.s);
    if (status == STATUS_OK && peek(&r.s) >= 0)
        status = fail(&r.s, "text after the end of the value");
    if (status != STATUS_OK) {
        json_numbers_free(out);
        return status;
    }
    out->all_bools = out->all_bools && out->count > 0;
    for (int i = out->rank; i < MAX_RANK; i++)
        out->shape[i] = 0;
    return STATUS_OK;
}

void json_numbers_free(JsonNumbers *numbers) {
    mem_free(numbers->reals);
    mem_free(numbers->integers);
    *numbers = (JsonNumbers){0};
}
