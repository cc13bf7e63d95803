// The streaming JSON writer and the shortest spelling of floating-point numbers.
//
// Layout equals that of Python's json.dumps: indent=2, or the compact separators. Numbers are
// spelled as Python's repr does, whatever the locale. Errors show in the Buf; the writer has none
// of its own.
#include "base/json.h"

#include <assert.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>

enum { MAX_LEVELS = 64, MAX_DIGITS = 17, NUMBER_SIZE = 64, FLAT_WORDS = 8 };

// ---- Shortest digits ----

// value = d.ddd * 10^exponent, digits as text without trailing zeros.
typedef struct Shortest {
    char digits[MAX_DIGITS + 2];
    int count;
    int exponent;
} Shortest;

static void trim_zeros(Shortest *s) {
    while (s->count > 1 && s->digits[s->count - 1] == '0')
        s->count--;
}

// The nearest decimal of `count` digits, by the C library.
static void nearest_digits(Shortest *s, double value, int count) {
    char text[NUMBER_SIZE];
    snprintf(text, sizeof text, "%.*e", count - 1, value);
    const char *exponent = strchr(text, 'e');
    s->count = 0;
    // The point may be any character in the process's locale.
    for (const char *c = text; c < exponent; c++) {
        if (*c >= '0' && *c <= '9' && s->count < MAX_DIGITS)
            s->digits[s->count++] = *c;
    }
    s->exponent = atoi(exponent + 1);
}

// One unit more in the last digit.
static void step_up(Shortest *s) {
    int i = s->count - 1;
    while (i >= 0 && s->digits[i] == '9')
        s->digits[i--] = '0';
    if (i >= 0) {
        s->digits[i]++;
        return;
    }
    s->digits[0] = '1';
    s->exponent++;
}

static bool reads_back(const Shortest *s, double value, bool is_f32) {
    char text[NUMBER_SIZE];
    snprintf(text, sizeof text, "%.*se%d", s->count, s->digits, s->exponent - (s->count - 1));
    return is_f32 ? strtof(text, NULL) == (float)value : strtod(text, NULL) == value;
}

// Any value > 0. Beside the nearest decimal its upper neighbour is tried: at a power of two the
// interval that reads back is wider above than below, and may hold the neighbour only.
static void shortest_slow(Shortest *s, double value, bool is_f32) {
    int most = is_f32 ? 9 : MAX_DIGITS;
    for (int count = 1; count < most; count++) {
        nearest_digits(s, value, count);
        if (reads_back(s, value, is_f32))
            break;
        step_up(s);
        if (reads_back(s, value, is_f32))
            break;
        if (count == most - 1)
            nearest_digits(s, value, most);
    }
    trim_zeros(s);
}

static void shortest_f64(Shortest *s, double value) {
    // Decimals of up to 15 digits survive the way through a normal double, so that the 15-digit
    // spelling without its zeros is the shortest when it reads back at all.
    if (value >= 0x1p-1022) {
        nearest_digits(s, value, 15);
        if (reads_back(s, value, false)) {
            trim_zeros(s);
            return;
        }
        nearest_digits(s, value, 16);
        if (reads_back(s, value, false))
            return;
        step_up(s);
        if (reads_back(s, value, false))
            return;
        nearest_digits(s, value, MAX_DIGITS);
        trim_zeros(s);
        return;
    }
    shortest_slow(s, value, false);
}

static double power_of_ten(int exponent) {
    static const double powers[] = {
        1e0,  1e1,  1e2,  1e3,  1e4,  1e5,  1e6,  1e7,  1e8,  1e9,  1e10, 1e11, 1e12,
        1e13, 1e14, 1e15, 1e16, 1e17, 1e18, 1e19, 1e20, 1e21, 1e22, 1e23, 1e24, 1e25,
        1e26, 1e27, 1e28, 1e29, 1e30, 1e31, 1e32, 1e33, 1e34, 1e35, 1e36, 1e37, 1e38,
        1e39, 1e40, 1e41, 1e42, 1e43, 1e44, 1e45, 1e46, 1e47, 1e48, 1e49, 1e50, 1e51,
        1e52, 1e53, 1e54, 1e55, 1e56, 1e57, 1e58, 1e59, 1e60};
    return powers[exponent];
}

static double times_power_of_ten(double value, int exponent) {
    return exponent < 0 ? value / power_of_ten(-exponent) : value * power_of_ten(exponent);
}

// Does the decimal `integer` * 10^exponent read back as `value`? Double arithmetic is off by a few
// units in the last place; *is_sure turns false when that could matter at a tie of two floats.
static bool reads_back_f32(uint64_t integer, int exponent, float value, bool *is_sure) {
    double read = times_power_of_ten((double)integer, exponent);
    uint64_t bits;
    memcpy(&bits, &read, sizeof bits);
    uint64_t below = bits & UINT64_C(0x1fffffff); // what a float drops
    uint64_t tie = UINT64_C(0x10000000);
    if (below > tie - 8 && below < tie + 8)
        *is_sure = false;
    return (float)read == value;
}

static void put_digits(Shortest *s, uint64_t integer, int count, int exponent) {
    s->count = count;
    s->exponent = exponent;
    for (int i = count - 1; i >= 0; i--) {
        s->digits[i] = (char)('0' + integer % 10);
        integer /= 10;
    }
    trim_zeros(s);
}

// Normal floats > 0: decimals of 6 to 9 digits found in double arithmetic. False when rounding
// errors of that arithmetic could decide the answer.
static bool shortest_f32_fast(Shortest *s, float value) {
    int binary;
    (void)frexpf(value, &binary);
    int exponent = (binary - 1) * 1233 >> 12; // times log10(2), rounded down
    double exact = (double)value;
    if (times_power_of_ten(1.0, exponent + 1) <= exact)
        exponent++;
    for (int count = 6; count <= 9; count++) {
        int scale = count - 1 - exponent;
        double scaled = times_power_of_ten(exact, scale);
        uint64_t integer = (uint64_t)(scaled + 0.5);
        double off = fabs(scaled - (double)integer);
        if (off > 0.4999)
            return false;
        bool is_sure = true;
        bool is_found = reads_back_f32(integer, -scale, value, &is_sure);
        if (!is_found && is_sure) {
            integer++;
            is_found = reads_back_f32(integer, -scale, value, &is_sure);
        }
        if (!is_sure)
            return false;
        if (!is_found)
            continue;
        uint64_t limit = (uint64_t)power_of_ten(count);
        if (integer >= limit)
            put_digits(s, integer / 10, count, exponent + 1);
        else
            put_digits(s, integer, count, exponent);
        return true;
    }
    return false;
}

// Python's repr: exponents from 16 up and below -4, otherwise a point with a digit on both sides.
static size_t spell(char text[NUMBER_SIZE], const Shortest *s, bool is_negative) {
    char *at = text;
    if (is_negative)
        *at++ = '-';
    int point = s->exponent + 1; // digits before the point
    if (s->exponent < -4 || s->exponent >= 16) {
        *at++ = s->digits[0];
        if (s->count > 1) {
            *at++ = '.';
            memcpy(at, s->digits + 1, (size_t)s->count - 1);
            at += s->count - 1;
        }
        at += snprintf(at, 8, "e%c%02d", s->exponent < 0 ? '-' : '+', abs(s->exponent));
        return (size_t)(at - text);
    }
    if (point <= 0) {
        *at++ = '0';
        *at++ = '.';
        for (int i = point; i < 0; i++)
            *at++ = '0';
        memcpy(at, s->digits, (size_t)s->count);
        return (size_t)(at + s->count - text);
    }
    for (int i = 0; i < point; i++)
        *at++ = i < s->count ? s->digits[i] : '0';
    *at++ = '.';
    for (int i = point; i < s->count; i++)
        *at++ = s->digits[i];
    if (s->count <= point)
        *at++ = '0';
    return (size_t)(at - text);
}

// ---- The stream ----

JsonWriter json_writer(Buf *out, int indent) {
    return (JsonWriter){.out = out, .indent = indent};
}

static uint64_t level_bit(const JsonWriter *writer) {
    assert(writer->depth > 0);
    return UINT64_C(1) << ((writer->depth - 1) & (MAX_LEVELS - 1));
}

static void new_line(JsonWriter *writer, int depth) {
    static const char spaces[] = "                                ";
    buf_append_byte(writer->out, '\n');
    size_t left = (size_t)depth * (size_t)writer->indent;
    while (left > 0) {
        size_t step = left < sizeof spaces - 1 ? left : sizeof spaces - 1;
        buf_append(writer->out, spaces, step);
        left -= step;
    }
}

// What stands between the previous item and the next.
static void separate(JsonWriter *writer) {
    if (writer->after_key) {
        writer->after_key = false;
        return;
    }
    if (writer->depth == 0)
        return;
    uint64_t bit = level_bit(writer);
    bool is_first = (writer->has_members & bit) == 0;
    writer->has_members |= bit;
    if (!is_first)
        buf_append_byte(writer->out, ',');
    if (writer->indent == 0)
        return;
    if ((writer->is_flat & bit) == 0)
        new_line(writer, writer->depth);
    else if (!is_first)
        buf_append_byte(writer->out, ' ');
}

static void begin(JsonWriter *writer, char bracket, bool is_flat) {
    separate(writer);
    bool is_inside_flat = writer->depth > 0 && (writer->is_flat & level_bit(writer)) != 0;
    if (writer->depth == MAX_LEVELS && writer->out->failed == STATUS_OK)
        writer->out->failed = STATUS_LIMIT;
    writer->depth++;
    uint64_t bit = level_bit(writer);
    writer->has_members &= ~bit;
    writer->is_flat &= ~bit;
    if (is_flat || is_inside_flat)
        writer->is_flat |= bit;
    buf_append_byte(writer->out, bracket);
}

static void end(JsonWriter *writer, char bracket) {
    assert(writer->depth > 0 && !writer->after_key);
    uint64_t bit = level_bit(writer);
    bool is_empty = (writer->has_members & bit) == 0;
    bool is_flat = (writer->is_flat & bit) != 0;
    writer->depth--;
    if (!is_empty && !is_flat && writer->indent > 0)
        new_line(writer, writer->depth);
    buf_append_byte(writer->out, bracket);
}

void json_begin_object(JsonWriter *writer) {
    begin(writer, '{', false);
}

void json_end_object(JsonWriter *writer) {
    end(writer, '}');
}

void json_begin_array(JsonWriter *writer) {
    begin(writer, '[', false);
}

void json_begin_flat_array(JsonWriter *writer) {
    begin(writer, '[', true);
}

void json_end_array(JsonWriter *writer) {
    end(writer, ']');
}

static void put_escaped(Buf *out, unsigned char byte) {
    static const char letters[] = {['\b'] = 'b', ['\t'] = 't', ['\n'] = 'n', ['\f'] = 'f',
                                   ['\r'] = 'r', ['"'] = '"',  ['\\'] = '\\'};
    char letter = byte < sizeof letters ? letters[byte] : '\0';
    if (letter != '\0') {
        char pair[2] = {'\\', letter};
        buf_append(out, pair, 2);
    } else {
        buf_printf(out, "\\u%04x", byte);
    }
}

static void put_string(Buf *out, StrView text) {
    buf_append_byte(out, '"');
    size_t start = 0;
    for (size_t i = 0; i <= text.len; i++) {
        unsigned char byte = i < text.len ? (unsigned char)text.ptr[i] : 0;
        if (byte >= 0x20 && byte != '"' && byte != '\\')
            continue;
        utf8_append_valid(out, sv_n(text.ptr + start, i - start));
        if (i < text.len)
            put_escaped(out, byte);
        start = i + 1;
    }
    buf_append_byte(out, '"');
}

void json_key(JsonWriter *writer, const char *key) {
    json_key_sv(writer, sv(key));
}

void json_key_sv(JsonWriter *writer, StrView key) {
    separate(writer);
    put_string(writer->out, key);
    buf_append(writer->out, ": ", writer->indent > 0 ? 2 : 1);
    writer->after_key = true;
}

void json_write_string(JsonWriter *writer, StrView text) {
    separate(writer);
    put_string(writer->out, text);
}

static void put_word(JsonWriter *writer, StrView word) {
    separate(writer);
    buf_append_sv(writer->out, word);
}

void json_write_cstr(JsonWriter *writer, const char *text) {
    if (text)
        json_write_string(writer, sv(text));
    else
        json_write_null(writer);
}

static void put_u64(JsonWriter *writer, uint64_t number, bool is_negative) {
    char text[24];
    char *at = text + sizeof text;
    do {
        *--at = (char)('0' + number % 10);
        number /= 10;
    } while (number > 0);
    if (is_negative)
        *--at = '-';
    put_word(writer, sv_n(at, (size_t)(text + sizeof text - at)));
}

void json_write_i64(JsonWriter *writer, int64_t number) {
    uint64_t magnitude = number < 0 ? 0 - (uint64_t)number : (uint64_t)number;
    put_u64(writer, magnitude, number < 0);
}

void json_write_u64(JsonWriter *writer, uint64_t number) {
    put_u64(writer, number, false);
}

void json_write_f64(JsonWriter *writer, double number) {
    if (!isfinite(number)) {
        json_write_null(writer);
        return;
    }
    Shortest s = {.digits = "0", .count = 1};
    if (number != 0)
        shortest_f64(&s, fabs(number));
    char text[NUMBER_SIZE];
    put_word(writer, sv_n(text, spell(text, &s, signbit(number))));
}

void json_write_f32(JsonWriter *writer, float number) {
    if (!isfinite(number)) {
        json_write_null(writer);
        return;
    }
    float size = fabsf(number);
    Shortest s = {.digits = "0", .count = 1};
    if (size != 0 && !(size >= 0x1p-126f && shortest_f32_fast(&s, size)))
        shortest_slow(&s, size, true);
    char text[NUMBER_SIZE];
    put_word(writer, sv_n(text, spell(text, &s, signbit(number))));
}

void json_write_fixed(JsonWriter *writer, double number, int decimals) {
    char text[512]; // a double has up to 309 digits before the point
    if (!isfinite(number) || decimals < 0 || decimals > 100) {
        json_write_null(writer);
        return;
    }
    int len = snprintf(text, sizeof text, "%.*f", decimals, number);
    // Every byte that is neither digit nor sign belongs to the locale's point.
    size_t used = 0;
    for (int i = 0; i < len; i++) {
        bool is_plain = text[i] == '-' || (text[i] >= '0' && text[i] <= '9');
        if (is_plain)
            text[used++] = text[i];
        else if (used > 0 && text[used - 1] != '.')
            text[used++] = '.';
    }
    put_word(writer, sv_n(text, used));
}

void json_write_bool(JsonWriter *writer, bool is_true) {
    put_word(writer, is_true ? SV("true") : SV("false"));
}

void json_write_null(JsonWriter *writer) {
    put_word(writer, SV("null"));
}

// Numbers, and a few words, stand on one line.
static bool is_flat(const JsonValue *array) {
    bool are_numbers = true;
    for (size_t i = 0; i < json_len(array); i++) {
        JsonKind kind = json_kind(json_at(array, i));
        if (kind == JSON_ARRAY || kind == JSON_OBJECT)
            return false;
        are_numbers = are_numbers && (kind == JSON_INT || kind == JSON_REAL);
    }
    return are_numbers || json_len(array) <= FLAT_WORDS;
}

void json_write_without(JsonWriter *writer, const JsonValue *object, const char *key) {
    size_t iterator = 0;
    StrView name;
    const JsonValue *value;
    json_begin_object(writer);
    while (json_next(object, &iterator, &name, &value)) {
        if (key && sv_equal_cstr(name, key))
            continue;
        json_key_sv(writer, name);
        json_write_value(writer, value);
    }
    json_end_object(writer);
}

// Recursion is bounded: a parsed tree has at most JSON_MAX_DEPTH levels.
void json_write_value(JsonWriter *writer, const JsonValue *value) {
    StrView text = {0};
    int64_t integer = 0;
    double real = 0;
    bool is_true = false;
    switch (json_kind(value)) {
    case JSON_OBJECT:
        json_write_without(writer, value, NULL);
        break;
    case JSON_ARRAY:
        if (is_flat(value))
            json_begin_flat_array(writer);
        else
            json_begin_array(writer);
        for (size_t i = 0; i < json_len(value); i++)
            json_write_value(writer, json_at(value, i));
        json_end_array(writer);
        break;
    case JSON_STRING:
        (void)json_as_string(&text, value);
        json_write_string(writer, text);
        break;
    case JSON_INT:
        (void)json_as_i64(&integer, value);
        json_write_i64(writer, integer);
        break;
    case JSON_REAL:
        (void)json_as_f64(&real, value);
        json_write_f64(writer, real);
        break;
    case JSON_BOOL:
        (void)json_as_bool(&is_true, value);
        json_write_bool(writer, is_true);
        break;
    case JSON_NULL:
    case JSON_ABSENT:
        json_write_null(writer);
        break;
    }
}
