// Protobuf's wire format: varints, fixed-size numbers and length-delimited bytes.
//
// Reading checks every length against the end of the message before it is used. Groups, which
// protobuf gave up long ago, count as damage.
#include "base/wire.h"

#include <assert.h>
#include <string.h>

enum { VARINT_MAX_BYTES = 10, MAX_FIELD_NUMBER = (1 << 29) - 1 };

static_assert(__BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__, "fixed-size numbers are used as they lie");

static bool broken(Wire *wire, const char *why) {
    if (!wire->broken)
        wire->broken = why;
    return false;
}

// NULL when the varint runs past `end` or past 64 bits; else the position behind it.
static const char *read_varint(const char *at, const char *end, uint64_t *out) {
    uint64_t value = 0;
    for (int i = 0; i < VARINT_MAX_BYTES && at < end; i++) {
        uint8_t byte = (uint8_t)*at++;
        if (i == VARINT_MAX_BYTES - 1 && byte > 1)
            return NULL;
        value |= (uint64_t)(byte & 0x7f) << (7 * i);
        if (byte < 0x80) {
            *out = value;
            return at;
        }
    }
    return NULL;
}

Wire wire_open(StrView message) {
    if (message.len == 0)
        return (Wire){.at = "", .end = ""};
    return (Wire){.at = message.ptr, .end = message.ptr + message.len};
}

static bool take(Wire *wire, uint64_t len, StrView *out) {
    if (len > (uint64_t)(wire->end - wire->at))
        return broken(wire, "a field runs past the end");
    *out = sv_n(wire->at, (size_t)len);
    wire->at += len;
    return true;
}

bool wire_next(Wire *wire, WireField *field) {
    if (wire->broken || wire->at == wire->end)
        return false;
    uint64_t tag, len;
    const char *at = read_varint(wire->at, wire->end, &tag);
    if (!at || tag >> 3 == 0 || tag >> 3 > MAX_FIELD_NUMBER)
        return broken(wire, "a field's tag is damaged");
    *field = (WireField){.number = (uint32_t)(tag >> 3), .type = (WireType)(tag & 7)};
    switch (field->type) {
    case WIRE_VARINT:
        at = read_varint(at, wire->end, &field->value);
        if (!at)
            return broken(wire, "a number is damaged");
        wire->at = at;
        return true;
    case WIRE_BYTES:
        at = read_varint(at, wire->end, &len);
        if (!at)
            return broken(wire, "a length is damaged");
        wire->at = at;
        return take(wire, len, &field->bytes);
    case WIRE_FIXED64:
    case WIRE_FIXED32:
        wire->at = at;
        return take(wire, field->type == WIRE_FIXED64 ? 8 : 4, &field->bytes);
    }
    return broken(wire, "a field has an unknown wire type");
}

bool wire_find(Wire *wire, uint32_t number, StrView *bytes) {
    WireField field;
    while (wire_next(wire, &field)) {
        if (field.number == number && field.type == WIRE_BYTES) {
            *bytes = field.bytes;
            return true;
        }
    }
    return false;
}

void wire_get_i64(Wire *wire, const WireField *field, int64_t *out) {
    if (field->type == WIRE_VARINT)
        *out = (int64_t)field->value;
    else
        broken(wire, "a field has the wrong wire type");
}

void wire_get_f32(Wire *wire, const WireField *field, float *out) {
    if (field->type == WIRE_FIXED32)
        memcpy(out, field->bytes.ptr, sizeof *out);
    else
        broken(wire, "a field has the wrong wire type");
}

void wire_get_bytes(Wire *wire, const WireField *field, StrView *out) {
    if (field->type == WIRE_BYTES)
        *out = field->bytes;
    else
        broken(wire, "a field has the wrong wire type");
}

void wire_get_text(Wire *wire, const WireField *field, StrView *out) {
    wire_get_bytes(wire, field, out);
    if (wire->broken)
        return;
    if (!utf8_is_valid(*out, NULL) || (out->len > 0 && memchr(out->ptr, 0, out->len)))
        broken(wire, "a text is not UTF-8 or contains NUL");
}

void wire_get_fixed(Wire *wire, const WireField *field, size_t size, StrView *out) {
    *out = (StrView){"", 0};
    WireType single = size == 4 ? WIRE_FIXED32 : WIRE_FIXED64;
    if (field->type != single && field->type != WIRE_BYTES)
        broken(wire, "a field has the wrong wire type");
    else if (field->bytes.len % size != 0)
        broken(wire, "packed numbers are cut short");
    else
        *out = field->bytes;
}

WireInts wire_ints(Wire *wire, const WireField *field) {
    if (field->type == WIRE_VARINT)
        return (WireInts){.has_single = true, .single = field->value};
    if (field->type == WIRE_BYTES)
        return (WireInts){.packed = field->bytes};
    broken(wire, "a field has the wrong wire type");
    return (WireInts){0};
}

bool wire_ints_next(Wire *wire, WireInts *ints, int64_t *out) {
    if (ints->has_single) {
        ints->has_single = false;
        *out = (int64_t)ints->single;
        return true;
    }
    if (ints->packed.len == 0)
        return false;
    const char *end = ints->packed.ptr + ints->packed.len;
    uint64_t value;
    const char *at = read_varint(ints->packed.ptr, end, &value);
    if (!at)
        return broken(wire, "a packed number is damaged");
    ints->packed = sv_n(at, (size_t)(end - at));
    *out = (int64_t)value;
    return true;
}

Status wire_status(const Wire *wire, const char *message, const char *origin, Error *error) {
    if (!wire->broken)
        return STATUS_OK;
    size_t offset = wire->at >= origin ? (size_t)(wire->at - origin) : 0;
    error_set(error, STATUS_CORRUPT, "%s near byte %zu: %s", message, offset, wire->broken);
    if (error)
        error->offset = offset;
    return STATUS_CORRUPT;
}

// ---- Writing ----

static size_t encode_varint(char out[VARINT_MAX_BYTES], uint64_t value) {
    size_t len = 0;
    while (value >= 0x80) {
        out[len++] = (char)(value | 0x80);
        value >>= 7;
    }
    out[len++] = (char)value;
    return len;
}

static void put_varint(Buf *out, uint64_t value) {
    char bytes[VARINT_MAX_BYTES];
    buf_append(out, bytes, encode_varint(bytes, value));
}

static void put_tag(Buf *out, uint32_t number, WireType type) {
    put_varint(out, (uint64_t)number << 3 | type);
}

void wire_put_i64(Buf *out, uint32_t number, int64_t value) {
    put_tag(out, number, WIRE_VARINT);
    put_varint(out, (uint64_t)value);
}

void wire_put_f32(Buf *out, uint32_t number, float value) {
    put_tag(out, number, WIRE_FIXED32);
    buf_append(out, &value, sizeof value);
}

void wire_put_bytes(Buf *out, uint32_t number, StrView bytes) {
    put_tag(out, number, WIRE_BYTES);
    put_varint(out, bytes.len);
    buf_append_sv(out, bytes);
}

void wire_put_ints(Buf *out, uint32_t number, const int64_t *values, size_t count) {
    if (count == 0)
        return;
    size_t begin = wire_begin(out, number);
    for (size_t i = 0; i < count; i++)
        put_varint(out, (uint64_t)values[i]);
    wire_end(out, begin);
}

void wire_put_floats(Buf *out, uint32_t number, const float *values, size_t count) {
    if (count > 0)
        wire_put_bytes(out, number, sv_n((const char *)values, count * sizeof *values));
}

size_t wire_begin(Buf *out, uint32_t number) {
    put_tag(out, number, WIRE_BYTES);
    return out->len;
}

// The length stands before the content but is known after it: the content moves up.
void wire_end(Buf *out, size_t begin) {
    if (out->failed)
        return;
    char bytes[VARINT_MAX_BYTES];
    size_t len = out->len - begin;
    size_t used = encode_varint(bytes, len);
    buf_append(out, bytes, used);
    if (out->failed)
        return;
    memmove(out->ptr + begin + used, out->ptr + begin, len);
    memcpy(out->ptr + begin, bytes, used);
}
