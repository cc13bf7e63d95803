// String views that never own, growing buffers with a mandatory maximum, and UTF-8.
#ifndef GPUX_BASE_STR_H
#define GPUX_BASE_STR_H

#include "base/status.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

typedef struct StrView {
    const char *ptr; // not NUL-terminated
    size_t len;
} StrView;

#define SV(literal) ((StrView){(literal), sizeof(literal) - 1})

static inline StrView sv(const char *text) {
    return (StrView){text, text ? strlen(text) : 0};
}
static inline StrView sv_n(const char *ptr, size_t len) {
    return (StrView){ptr, len};
}
static inline bool sv_equal(StrView a, StrView b) {
    return a.len == b.len && (a.len == 0 || memcmp(a.ptr, b.ptr, a.len) == 0);
}
static inline bool sv_equal_cstr(StrView a, const char *b) {
    return sv_equal(a, sv(b));
}
bool sv_starts_with(StrView text, StrView prefix);
bool sv_ends_with(StrView text, StrView suffix);
bool sv_equal_nocase(StrView a, StrView b); // ASCII case
StrView sv_trim(StrView text);              // ASCII white space at both ends

// Decimal int64 over the whole view; false when it is anything else or out of range.
bool sv_to_i64(int64_t *out, StrView text);
bool sv_to_f64(double *out, StrView text); // locale-independent, whole view

// Growing byte buffer, always NUL-terminated after `len` once something was appended. Never exceeds
// `max` bytes: appending more sets `failed`, as does running out of memory; a failed buffer ignores
// further appends, so callers may check once at the end with buf_status.
typedef struct Buf {
    char *ptr;
    size_t len;
    size_t cap;
    size_t max;
    Status failed; // STATUS_OK, STATUS_OUT_OF_MEMORY or STATUS_LIMIT
} Buf;

#define BUF_INIT(max_bytes) ((Buf){.max = (max_bytes)})

void buf_append(Buf *buf, const void *bytes, size_t len);
void buf_append_sv(Buf *buf, StrView text);
void buf_append_cstr(Buf *buf, const char *text);
void buf_append_byte(Buf *buf, char byte);
__attribute__((format(printf, 2, 3))) void buf_printf(Buf *buf, const char *format, ...);
char *buf_reserve(Buf *buf, size_t len); // room for len more bytes at ptr + len, or NULL
void buf_clear(Buf *buf);                // keeps the memory
void buf_free(Buf *buf);
Status buf_status(const Buf *buf, Error *error);

// Decodes the code point at text[*pos] and advances *pos. Invalid, overlong, surrogate or truncated
// sequences yield U+FFFD (as Python's errors="replace") and advance past the maximal bad prefix.
uint32_t utf8_next(StrView text, size_t *pos);
// Writes 1 to 4 bytes; returns the count.
int utf8_encode(char out[4], uint32_t code_point);
// True when the whole view is valid UTF-8; otherwise *bad (may be NULL) is the first bad byte.
bool utf8_is_valid(StrView text, size_t *bad);
size_t utf8_count(StrView text); // code points, invalid sequences counted as utf8_next yields them
// Appends `text` with every invalid sequence replaced by U+FFFD.
void utf8_append_valid(Buf *out, StrView text);

// Levenshtein distance, at most `limit` + 1; for "did you mean".
size_t str_distance(StrView a, StrView b, size_t limit);
// The candidate closest to `text` when it is near enough to suggest, else NULL.
const char *str_closest(StrView text, const char *const *candidates, size_t count);

#endif
