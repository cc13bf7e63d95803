// The vector vocabulary in plain C: vectors of one float. See vec_avx512.h for what words mean.
#ifndef GPUX_KERNELS_VEC_VEC_REF_H
#define GPUX_KERNELS_VEC_VEC_REF_H

#include <math.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#define ISA(name) name##_ref
#define VEC_WIDTH 1

typedef float Vec;
typedef bool VecMask;

static inline Vec vec_zero(void) {
    return 0.0f;
}
static inline Vec vec_set1(float x) {
    return x;
}
static inline Vec vec_load(const void *p) {
    float x;
    memcpy(&x, p, sizeof x);
    return x;
}
static inline void vec_store(void *p, Vec x) {
    memcpy(p, &x, sizeof x);
}
static inline VecMask vec_first(size_t n) {
    return n > 0;
}
static inline Vec vec_load_mask(VecMask mask, const void *p) {
    return mask ? vec_load(p) : 0.0f;
}
static inline void vec_store_mask(VecMask mask, void *p, Vec x) {
    if (mask)
        vec_store(p, x);
}
static inline float vec_from_bits(uint32_t bits) {
    float x;
    memcpy(&x, &bits, sizeof x);
    return x;
}
static inline uint32_t vec_to_bits(float x) {
    uint32_t bits;
    memcpy(&bits, &x, sizeof bits);
    return bits;
}
static inline Vec vec_load_f16(const void *p) {
    uint16_t h;
    memcpy(&h, p, sizeof h);
    const uint32_t sign = (uint32_t)(h & 0x8000u) << 16;
    const uint32_t exponent = (h >> 10) & 31u;
    const uint32_t fraction = h & 1023u;
    if (exponent == 0)
        return vec_from_bits(sign | vec_to_bits((float)fraction * 0x1p-24f));
    if (exponent == 31) // a NaN becomes quiet, as in hardware
        return vec_from_bits(sign | 0x7F800000u | fraction << 13 | (fraction ? 0x400000u : 0u));
    return vec_from_bits(sign | (exponent + 112u) << 23 | fraction << 13);
}
static inline Vec vec_load_bf16(const void *p) {
    uint16_t h;
    memcpy(&h, p, sizeof h);
    return vec_from_bits((uint32_t)h << 16);
}
static inline Vec vec_add(Vec a, Vec b) {
    return a + b;
}
static inline Vec vec_sub(Vec a, Vec b) {
    return a - b;
}
static inline Vec vec_mul(Vec a, Vec b) {
    return a * b;
}
static inline Vec vec_div(Vec a, Vec b) {
    return a / b;
}
static inline Vec vec_fma(Vec a, Vec b, Vec c) {
    return fmaf(a, b, c);
}
static inline Vec vec_fnma(Vec a, Vec b, Vec c) {
    return fmaf(-a, b, c);
}
static inline Vec vec_max(Vec a, Vec b) {
    return a > b ? a : b;
}
static inline Vec vec_min(Vec a, Vec b) {
    return a < b ? a : b;
}
static inline Vec vec_sqrt(Vec x) {
    return sqrtf(x);
}
static inline Vec vec_round(Vec x) {
    return rintf(x);
}
static inline Vec vec_scale(Vec x, Vec n) {
    // A NaN input makes n NaN; every instruction set then answers NaN from x.
    return ldexpf(x, n == n ? (int)n : 0);
}
static inline Vec vec_abs(Vec x) {
    return fabsf(x);
}
static inline Vec vec_copysign(Vec x, Vec sign) {
    return copysignf(x, sign);
}
static inline VecMask vec_less(Vec a, Vec b) {
    return a < b;
}
static inline Vec vec_choose(VecMask mask, Vec yes, Vec no) {
    return mask ? yes : no;
}
static inline float vec_sum(Vec x) {
    return x;
}
static inline float vec_highest(Vec x) {
    return x;
}
static inline void vec_prefetch(const void *p) {
    (void)p;
}
// The same into L2 only.
static inline void vec_prefetch_l2(const void *p) {
    (void)p;
}
// A line that will be written.
static inline void vec_prefetch_to_write(const void *p) {
    (void)p;
}
static inline void vec_transpose(Vec r[VEC_WIDTH]) {
    (void)r;
}

static inline Vec vec_broadcast(const void *p) {
    return vec_load(p);
}
static inline Vec vec_sub_product_i32(Vec a, Vec b, Vec c) {
    return vec_from_bits(vec_to_bits(a) - vec_to_bits(b) * vec_to_bits(c));
}
static inline Vec vec_set1_i32(int32_t x) {
    return vec_from_bits((uint32_t)x);
}
static inline Vec vec_from_i32(Vec a) {
    return (float)(int32_t)vec_to_bits(a);
}
static inline void vec_store_u8(void *p, Vec x, Vec zero) {
    const float y = rintf(x) + (float)(int32_t)vec_to_bits(zero);
    *(uint8_t *)p = (uint8_t)(y > 0 ? y < 255 ? y : 255 : 0);
}
static inline void vec_store_bf16(void *p, Vec x) {
    const uint32_t bits = vec_to_bits(x);
    const uint16_t half = x == x ? (uint16_t)((bits + 0x7FFFu + (bits >> 16 & 1u)) >> 16) : 0x7FC0u;
    memcpy(p, &half, sizeof half);
}

#endif
