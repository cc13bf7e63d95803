// Strings and numbers out of checked JSON text, without building anything.
#include "text/json_cursor.h"

static bool is_between(char byte) {
    return byte == ' ' || byte == '\n' || byte == '\r' || byte == '\t' || byte == ',' ||
           byte == ':';
}

char json_cursor_peek(JsonCursor *cursor) {
    while (cursor->pos < cursor->text.len && is_between(cursor->text.ptr[cursor->pos]))
        cursor->pos++;
    return cursor->pos < cursor->text.len ? cursor->text.ptr[cursor->pos] : 0;
}

bool json_cursor_take(JsonCursor *cursor, char byte) {
    if (json_cursor_peek(cursor) != byte)
        return false;
    cursor->pos++;
    return true;
}

static uint32_t hex_digits(StrView raw, size_t pos) {
    uint32_t value = 0;
    for (size_t i = pos; i < pos + 4 && i < raw.len; i++) {
        unsigned char c = (unsigned char)raw.ptr[i];
        uint32_t digit = c <= '9' ? (uint32_t)c - '0' : (uint32_t)(c | 0x20) - 'a' + 10;
        value = value << 4 | (digit & 0xf);
    }
    return value;
}

// Decodes the \uXXXX whose digits start at *pos, with its second half when it is a surrogate pair.
static uint32_t unicode_escape(StrView raw, size_t *pos) {
    uint32_t unit = hex_digits(raw, *pos);
    *pos += 4;
    if (unit < 0xd800 || unit > 0xdfff)
        return unit;
    if (unit <= 0xdbff && *pos + 6 <= raw.len && raw.ptr[*pos] == '\\' &&
        raw.ptr[*pos + 1] == 'u') {
        uint32_t low = hex_digits(raw, *pos + 2);
        if (low >= 0xdc00 && low <= 0xdfff) {
            *pos += 6;
            return 0x10000 + ((unit - 0xd800) << 10) + (low - 0xdc00);
        }
    }
    return 0xfffd;
}

void json_cursor_unescape(Buf *out, StrView raw) {
    static const char from[] = "bfnrt", to[] = "\b\f\n\r\t";
    size_t pos = 0;
    while (pos < raw.len) {
        const char *slash = memchr(raw.ptr + pos, '\\', raw.len - pos);
        size_t plain = slash ? (size_t)(slash - (raw.ptr + pos)) : raw.len - pos;
        buf_append(out, raw.ptr + pos, plain);
        pos += plain + 1;
        if (!slash || pos >= raw.len)
            return;
        char kind = raw.ptr[pos++];
        const char *known = memchr(from, kind, sizeof from - 1);
        if (kind == 'u') {
            char bytes[4];
            uint32_t code_point = unicode_escape(raw, &pos);
            buf_append(out, bytes, (size_t)utf8_encode(bytes, code_point));
        } else {
            buf_append_byte(out, known ? to[known - from] : kind);
        }
    }
}

bool json_cursor_string(JsonCursor *cursor, StrView *out, Buf *scratch) {
    if (!json_cursor_take(cursor, '"'))
        return false;
    StrView text = cursor->text;
    size_t begin = cursor->pos;
    bool has_escape = false;
    while (cursor->pos < text.len && text.ptr[cursor->pos] != '"') {
        bool is_escape = text.ptr[cursor->pos] == '\\';
        has_escape |= is_escape;
        cursor->pos += is_escape ? 2 : 1;
    }
    if (cursor->pos >= text.len)
        return false;
    StrView raw = sv_n(text.ptr + begin, cursor->pos - begin);
    cursor->pos++;
    *out = raw;
    if (has_escape) {
        buf_clear(scratch);
        json_cursor_unescape(scratch, raw);
        *out = sv_n(scratch->ptr, scratch->len);
    }
    return true;
}

static StrView number_text(JsonCursor *cursor) {
    json_cursor_peek(cursor);
    size_t begin = cursor->pos;
    while (cursor->pos < cursor->text.len) {
        char c = cursor->text.ptr[cursor->pos];
        if (!((c >= '0' && c <= '9') || c == '-' || c == '+' || c == '.' || c == 'e' || c == 'E'))
            break;
        cursor->pos++;
    }
    return sv_n(cursor->text.ptr + begin, cursor->pos - begin);
}

bool json_cursor_number(JsonCursor *cursor, double *out) {
    return sv_to_f64(out, number_text(cursor));
}

bool json_cursor_u32(JsonCursor *cursor, uint32_t *out, uint32_t max) {
    StrView text = number_text(cursor);
    uint64_t value = 0;
    if (text.len == 0 || text.len > 10)
        return false;
    for (size_t i = 0; i < text.len; i++) {
        if (text.ptr[i] < '0' || text.ptr[i] > '9')
            return false;
        value = value * 10 + (uint64_t)(text.ptr[i] - '0');
    }
    *out = (uint32_t)value;
    return value <= max;
}
