// Hand-written scanners of the two best-known word patterns, and ByteLevel's alphabet of bytes.
// Each function returns where the regular expression's match at `pos` ends; both patterns match at
// every position, so calling them in turn cuts a whole text.
#include "text/pipeline.h"

static uint32_t class_at(const UnicodeTable *unicode, StrView text, size_t pos, size_t *len) {
    return unicode_class(unicode, utf8_decode_valid(text.ptr + pos, len));
}

// The end of the longest run of code points with (is_member) or without any of the bits.
static size_t run_end(const UnicodeTable *unicode, StrView text, size_t pos, uint32_t bits,
                      bool is_member) {
    size_t len;
    while (pos < text.len && ((class_at(unicode, text, pos, &len) & bits) != 0) == is_member)
        pos += len;
    return pos;
}

// \s+(?!\S)|\s+ at a space: all but the last one when something other than white space follows.
static size_t space_end(const UnicodeTable *unicode, StrView text, size_t pos) {
    size_t end = pos, last = pos, len;
    while (end < text.len && (class_at(unicode, text, end, &len) & CLASS_WHITESPACE)) {
        last = end;
        end += len;
    }
    return end < text.len && last > pos ? last : end;
}

static bool has_at(StrView text, size_t pos, const char *what, size_t len) {
    return text.len - pos >= len && memcmp(text.ptr + pos, what, len) == 0;
}

size_t gpt2_word_end(const UnicodeTable *unicode, StrView text, size_t pos) {
    const uint32_t any = CLASS_WHITESPACE | CLASS_LETTER | CLASS_NUMBER;
    if (text.ptr[pos] == '\'' && text.len - pos >= 2) {
        char next = text.ptr[pos + 1];
        if (next == 's' || next == 't' || next == 'm' || next == 'd')
            return pos + 2;
        if (has_at(text, pos + 1, "re", 2) || has_at(text, pos + 1, "ve", 2) ||
            has_at(text, pos + 1, "ll", 2))
            return pos + 3;
    }
    size_t len, begin = pos + (text.ptr[pos] == ' ' && pos + 1 < text.len ? 1 : 0);
    uint32_t bits = class_at(unicode, text, begin, &len);
    if (bits & CLASS_LETTER)
        return run_end(unicode, text, begin + len, CLASS_LETTER, true);
    if (bits & CLASS_NUMBER)
        return run_end(unicode, text, begin + len, CLASS_NUMBER, true);
    if (!(bits & any))
        return run_end(unicode, text, begin + len, any, false);
    return space_end(unicode, text, pos);
}

// (?i:'s|'t|'re|'ve|'m|'ll|'d) behind the apostrophe; U+017F is the other case of s.
static size_t contraction_end(StrView text, size_t pos) {
    if (text.len - pos < 2)
        return pos;
    char first = (char)(text.ptr[pos + 1] | 0x20);
    if (first == 's' || first == 't' || first == 'm' || first == 'd')
        return pos + 2;
    if (has_at(text, pos + 1, "\xc5\xbf", 2))
        return pos + 3;
    if (text.len - pos < 3)
        return pos;
    char second = (char)(text.ptr[pos + 2] | 0x20);
    bool is_two =
        (second == 'e' && (first == 'r' || first == 'v')) || (first == 'l' && second == 'l');
    return is_two ? pos + 3 : pos;
}

static bool is_newline(char byte) {
    return byte == '\r' || byte == '\n';
}

static size_t newlines_end(StrView text, size_t pos) {
    while (pos < text.len && is_newline(text.ptr[pos]))
        pos++;
    return pos;
}

// \s*[\r\n]+ at white space: up to the last line break of the run, or `pos` when it has none.
static size_t line_break_end(const UnicodeTable *unicode, StrView text, size_t pos) {
    size_t last = pos, end = pos, len;
    while (end < text.len && (class_at(unicode, text, end, &len) & CLASS_WHITESPACE)) {
        if (is_newline(text.ptr[end]))
            last = end + 1;
        end += len;
    }
    return last;
}

static size_t digits_end(const UnicodeTable *unicode, StrView text, size_t pos,
                         uint32_t max_digits) {
    size_t len;
    for (uint32_t i = 0; i < max_digits && pos < text.len; i++) {
        if (!(class_at(unicode, text, pos, &len) & CLASS_NUMBER))
            break;
        pos += len;
    }
    return pos;
}

size_t cl100k_word_end(const UnicodeTable *unicode, StrView text, size_t pos, uint32_t max_digits) {
    const uint32_t any = CLASS_WHITESPACE | CLASS_LETTER | CLASS_NUMBER;
    size_t len, next_len = 0, end;
    if (text.ptr[pos] == '\'' && (end = contraction_end(text, pos)) > pos)
        return end;
    uint32_t bits = class_at(unicode, text, pos, &len);
    if (bits & CLASS_LETTER)
        return run_end(unicode, text, pos + len, CLASS_LETTER, true);
    if (bits & CLASS_NUMBER)
        return digits_end(unicode, text, pos, max_digits);
    uint32_t next =
        pos + len < text.len ? class_at(unicode, text, pos + len, &next_len) : CLASS_WHITESPACE;
    if ((next & CLASS_LETTER) && !is_newline(text.ptr[pos]))
        return run_end(unicode, text, pos + len + next_len, CLASS_LETTER, true);
    if (!(bits & CLASS_WHITESPACE))
        return newlines_end(text, run_end(unicode, text, pos + len, any, false));
    if (text.ptr[pos] == ' ' && !(next & any))
        return newlines_end(text, run_end(unicode, text, pos + 1, any, false));
    end = line_break_end(unicode, text, pos);
    return end > pos ? end : space_end(unicode, text, pos);
}

// Printable bytes stand for themselves, the others for the code points from U+0100 on, in order.
static bool is_own_char(uint32_t byte) {
    return (byte >= '!' && byte <= '~') || (byte >= 0xa1 && byte <= 0xac) || byte >= 0xae;
}

uint32_t byte_level_char(uint8_t byte) {
    if (is_own_char(byte))
        return byte;
    if (byte <= 0x20)
        return 0x100u + byte;
    return byte == 0xad ? 0x143 : 0x100u + 33 + (byte - 0x7fu);
}

int byte_level_byte(uint32_t code_point) {
    if (code_point < 0x100)
        return is_own_char(code_point) ? (int)code_point : -1;
    if (code_point <= 0x120)
        return (int)(code_point - 0x100);
    if (code_point <= 0x142)
        return (int)(code_point - 0x121 + 0x7f);
    return code_point == 0x143 ? 0xad : -1;
}
