// Protobuf's wire format, both ways. Nothing here knows a message of any file format.
#ifndef GPUX_BASE_WIRE_H
#define GPUX_BASE_WIRE_H

#include "base/status.h"
#include "base/str.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

// ---- Reading: zero copy; a damaged message ends the loop and is reported by wire_status ----

typedef enum WireType {
    WIRE_VARINT = 0,
    WIRE_FIXED64 = 1,
    WIRE_BYTES = 2,
    WIRE_FIXED32 = 5,
} WireType;

typedef struct Wire {
    const char *at, *end;
    const char *broken; // why reading ended early, or NULL
} Wire;

typedef struct WireField {
    uint32_t number;
    WireType type;
    uint64_t value; // WIRE_VARINT
    StrView bytes;  // all others: the field's bytes inside the message
} WireField;

Wire wire_open(StrView message);
// The next field; false at the end and where the message is damaged.
bool wire_next(Wire *wire, WireField *field);
// The next field of this number that is WIRE_BYTES; false at the end.
bool wire_find(Wire *wire, uint32_t number, StrView *bytes);
// Take a field's content, or mark the message as broken when the field has another type.
void wire_get_i64(Wire *wire, const WireField *field, int64_t *out);
void wire_get_f32(Wire *wire, const WireField *field, float *out);
void wire_get_bytes(Wire *wire, const WireField *field, StrView *out);
void wire_get_text(Wire *wire, const WireField *field, StrView *out); // UTF-8 without NUL
// The bytes of a repeated fixed-size field, packed or single: a multiple of `size`, which is 4
// or 8.
void wire_get_fixed(Wire *wire, const WireField *field, size_t size, StrView *out);

// The elements of a repeated integer field, packed or single.
typedef struct WireInts {
    StrView packed;
    bool has_single;
    uint64_t single;
} WireInts;
WireInts wire_ints(Wire *wire, const WireField *field);
bool wire_ints_next(Wire *wire, WireInts *ints, int64_t *out);

// STATUS_CORRUPT naming `message` when it was broken; error->offset counts from `origin`.
Status wire_status(const Wire *wire, const char *message, const char *origin, Error *error);

// ---- Writing: canonical varints; fields in the order of the calls ----

void wire_put_i64(Buf *out, uint32_t number, int64_t value);
void wire_put_f32(Buf *out, uint32_t number, float value);
void wire_put_bytes(Buf *out, uint32_t number, StrView bytes);
void wire_put_ints(Buf *out, uint32_t number, const int64_t *values, size_t count); // packed
void wire_put_floats(Buf *out, uint32_t number, const float *values, size_t count); // packed
// An embedded message: everything put between begin and end. Returns what end needs.
size_t wire_begin(Buf *out, uint32_t number);
void wire_end(Buf *out, size_t begin);

#endif
