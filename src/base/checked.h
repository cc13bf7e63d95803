// Overflow-checked arithmetic on sizes that come from files. Each returns false on overflow and
// then leaves *out unchanged.
#ifndef GPUX_BASE_CHECKED_H
#define GPUX_BASE_CHECKED_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

static inline bool size_mul(size_t *out, size_t a, size_t b) {
    size_t product;
    if (__builtin_mul_overflow(a, b, &product))
        return false;
    *out = product;
    return true;
}

static inline bool size_add(size_t *out, size_t a, size_t b) {
    size_t sum;
    if (__builtin_add_overflow(a, b, &sum))
        return false;
    *out = sum;
    return true;
}

// Rounds `a` up to a multiple of `alignment`, a power of two.
static inline bool size_align(size_t *out, size_t a, size_t alignment) {
    size_t sum;
    if (!size_add(&sum, a, alignment - 1))
        return false;
    *out = sum & ~(alignment - 1);
    return true;
}

// A non-negative int64 as size_t.
static inline bool size_from_i64(size_t *out, int64_t a) {
    if (a < 0 || (uint64_t)a > SIZE_MAX)
        return false;
    *out = (size_t)a;
    return true;
}

#endif
