// Text on its way through the pipeline: UTF-8 with, for each byte, the code points of the original
// text that it came from. Everything between the input and the model works on these.
#ifndef GPUX_TEXT_ALIGNED_H
#define GPUX_TEXT_ALIGNED_H

#include "base/status.h"
#include "base/str.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { ALIGNED_MAX_BYTES = 1 << 30 };

// Always valid UTF-8. Appending to a failed text does nothing; check `failed` once at the end.
typedef struct AlignedText {
    char *bytes;
    uint32_t *start; // first code point of the original, per byte
    uint32_t *end;   // exclusive
    size_t len;
    size_t cap;
    Status failed;
} AlignedText;

void aligned_free(AlignedText *text);
bool aligned_reserve(AlignedText *text, size_t extra);
Status aligned_status(const AlignedText *text, Error *error);
// Appends one code point that came from [start, end) of the original.
void aligned_put(AlignedText *text, uint32_t code_point, uint32_t start, uint32_t end);
// Appends bytes [begin, end) of another text with their alignment.
void aligned_copy(AlignedText *text, const AlignedText *src, size_t begin, size_t end);
// Appends valid UTF-8 whose first code point is number `position` of the original; returns the
// number behind its last one.
uint32_t aligned_append_original(AlignedText *text, StrView original, uint32_t position);
// Appends `content`, every byte aligned with [start, end).
void aligned_append_all(AlignedText *text, StrView content, uint32_t start, uint32_t end);

bool text_is_ascii(const char *bytes, size_t len);

static inline size_t utf8_lead_len(char lead) {
    unsigned char byte = (unsigned char)lead;
    return byte < 0x80 ? 1 : byte < 0xe0 ? 2 : byte < 0xf0 ? 3 : 4;
}

// Decodes the code point at text[pos] of valid UTF-8 and says how long it is.
static inline uint32_t utf8_decode_valid(const char *text, size_t *len) {
    const unsigned char *t = (const unsigned char *)text;
    if (t[0] < 0x80) {
        *len = 1;
        return t[0];
    }
    if (t[0] < 0xe0) {
        *len = 2;
        return (uint32_t)(t[0] & 0x1f) << 6 | (t[1] & 0x3f);
    }
    if (t[0] < 0xf0) {
        *len = 3;
        return (uint32_t)(t[0] & 0xf) << 12 | (uint32_t)(t[1] & 0x3f) << 6 | (t[2] & 0x3f);
    }
    *len = 4;
    return (uint32_t)(t[0] & 7) << 18 | (uint32_t)(t[1] & 0x3f) << 12 |
           (uint32_t)(t[2] & 0x3f) << 6 | (t[3] & 0x3f);
}

// One rewriting of a whole text, in the library's terms: each new code point replaces the next old
// one (change 0), replaces it and swallows -change more, or is inserted behind what was consumed
// (change 1). That decides the alignment, also where code points change places.
typedef struct Transform {
    AlignedText *out;
    const AlignedText *in;
    size_t consumed; // bytes of `in`
    uint32_t origin; // where this piece starts in the original; for insertions before everything
} Transform;

void transform_put(Transform *transform, uint32_t code_point, int change);

#endif
