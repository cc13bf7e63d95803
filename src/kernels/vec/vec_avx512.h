// The vector vocabulary on AVX-512: sixteen floats. Included by *_avx512.c only, before a template.
//
// Every word means the same in each vec_*.h: one IEEE operation per lane, so that templates written
// in this vocabulary give the same bits on every instruction set, lane by lane.
#ifndef GPUX_KERNELS_VEC_VEC_AVX512_H
#define GPUX_KERNELS_VEC_VEC_AVX512_H

#include <immintrin.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#define ISA(name) name##_avx512
#define VEC_WIDTH 16

typedef __m512 Vec;
typedef __mmask16 VecMask;

static inline Vec vec_zero(void) {
    return _mm512_setzero_ps();
}
static inline Vec vec_set1(float x) {
    return _mm512_set1_ps(x);
}
static inline Vec vec_load(const void *p) {
    return _mm512_loadu_ps(p);
}
static inline void vec_store(void *p, Vec x) {
    _mm512_storeu_ps(p, x);
}
// The first n lanes, 0 <= n <= VEC_WIDTH.
static inline VecMask vec_first(size_t n) {
    return (VecMask)((1u << n) - 1u);
}
// Lanes outside the mask read as 0 and touch no memory.
static inline Vec vec_load_mask(VecMask mask, const void *p) {
    return _mm512_maskz_loadu_ps(mask, p);
}
static inline void vec_store_mask(VecMask mask, void *p, Vec x) {
    _mm512_mask_storeu_ps(p, mask, x);
}
static inline Vec vec_load_f16(const void *p) {
    return _mm512_cvtph_ps(_mm256_loadu_si256(p));
}
static inline Vec vec_load_bf16(const void *p) {
    return _mm512_castsi512_ps(_mm512_slli_epi32(_mm512_cvtepu16_epi32(_mm256_loadu_si256(p)), 16));
}
static inline Vec vec_add(Vec a, Vec b) {
    return _mm512_add_ps(a, b);
}
static inline Vec vec_sub(Vec a, Vec b) {
    return _mm512_sub_ps(a, b);
}
static inline Vec vec_mul(Vec a, Vec b) {
    return _mm512_mul_ps(a, b);
}
static inline Vec vec_div(Vec a, Vec b) {
    return _mm512_div_ps(a, b);
}
// a * b + c, rounded once.
static inline Vec vec_fma(Vec a, Vec b, Vec c) {
    return _mm512_fmadd_ps(a, b, c);
}
// c - a * b, rounded once.
static inline Vec vec_fnma(Vec a, Vec b, Vec c) {
    return _mm512_fnmadd_ps(a, b, c);
}
// a > b ? a : b, so b if either is NaN.
static inline Vec vec_max(Vec a, Vec b) {
    return _mm512_max_ps(a, b);
}
// a < b ? a : b, so b if either is NaN.
static inline Vec vec_min(Vec a, Vec b) {
    return _mm512_min_ps(a, b);
}
static inline Vec vec_sqrt(Vec x) {
    return _mm512_sqrt_ps(x);
}
// To the nearest integer, ties to even.
static inline Vec vec_round(Vec x) {
    return _mm512_roundscale_ps(x, _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC);
}
// x * 2^n for an integral n in [-252, 254].
static inline Vec vec_scale(Vec x, Vec n) {
    return _mm512_scalef_ps(x, n);
}
static inline Vec vec_abs(Vec x) {
    return _mm512_abs_ps(x);
}
// The magnitude of x with the sign of sign.
static inline Vec vec_copysign(Vec x, Vec sign) {
    const __m512i bit = _mm512_set1_epi32(INT32_MIN);
    return _mm512_castsi512_ps(
        _mm512_ternarylogic_epi32(bit, _mm512_castps_si512(sign), _mm512_castps_si512(x), 0xCA));
}
static inline VecMask vec_less(Vec a, Vec b) {
    return _mm512_cmp_ps_mask(a, b, _CMP_LT_OQ);
}
static inline Vec vec_choose(VecMask mask, Vec yes, Vec no) {
    return _mm512_mask_blend_ps(mask, no, yes);
}
static inline float vec_sum(Vec x) {
    return _mm512_reduce_add_ps(x);
}
static inline float vec_highest(Vec x) {
    return _mm512_reduce_max_ps(x);
}
// always_inline: gcc takes a function that only prefetches for one without effect and drops its
// calls.
static inline __attribute__((always_inline)) void vec_prefetch(const void *p) {
    _mm_prefetch((const char *)p, _MM_HINT_T0);
}
// The same into L2 only.
static inline __attribute__((always_inline)) void vec_prefetch_l2(const void *p) {
    _mm_prefetch((const char *)p, _MM_HINT_T1);
}
// A line that will be written. Assembly: the compiler would want a flag to say so.
static inline __attribute__((always_inline)) void vec_prefetch_to_write(const void *p) {
    __asm__ volatile("prefetchw %0" ::"m"(*(const char *)p));
}

// Rows become columns.
static inline void vec_transpose(Vec r[VEC_WIDTH]) {
    __m512 t[16];
#pragma GCC unroll 8
    for (int i = 0; i < 8; i++) {
        t[2 * i] = _mm512_unpacklo_ps(r[2 * i], r[2 * i + 1]);
        t[2 * i + 1] = _mm512_unpackhi_ps(r[2 * i], r[2 * i + 1]);
    }
#pragma GCC unroll 4
    for (int i = 0; i < 4; i++) {
        r[4 * i] = _mm512_shuffle_ps(t[4 * i], t[4 * i + 2], 0x44);
        r[4 * i + 1] = _mm512_shuffle_ps(t[4 * i], t[4 * i + 2], 0xEE);
        r[4 * i + 2] = _mm512_shuffle_ps(t[4 * i + 1], t[4 * i + 3], 0x44);
        r[4 * i + 3] = _mm512_shuffle_ps(t[4 * i + 1], t[4 * i + 3], 0xEE);
    }
#pragma GCC unroll 4
    for (int i = 0; i < 4; i++) {
        t[i] = _mm512_shuffle_f32x4(r[i], r[4 + i], 0x88);
        t[4 + i] = _mm512_shuffle_f32x4(r[i], r[4 + i], 0xDD);
        t[8 + i] = _mm512_shuffle_f32x4(r[8 + i], r[12 + i], 0x88);
        t[12 + i] = _mm512_shuffle_f32x4(r[8 + i], r[12 + i], 0xDD);
    }
#pragma GCC unroll 4
    for (int i = 0; i < 4; i++) {
        r[i] = _mm512_shuffle_f32x4(t[i], t[8 + i], 0x88);
        r[4 + i] = _mm512_shuffle_f32x4(t[4 + i], t[12 + i], 0x88);
        r[8 + i] = _mm512_shuffle_f32x4(t[i], t[8 + i], 0xDD);
        r[12 + i] = _mm512_shuffle_f32x4(t[4 + i], t[12 + i], 0xDD);
    }
}

// All lanes get the 4 bytes at p.
static inline Vec vec_broadcast(const void *p) {
    typedef float __attribute__((may_alias, aligned(1))) Word;
    return _mm512_set1_ps(*(const Word *)p);
}
// Lanes as 32-bit integers: a - b, and their values as floats.
// a - b * c in 32-bit integers that lie in float lanes.
static inline Vec vec_sub_product_i32(Vec a, Vec b, Vec c) {
    const __m512i product = _mm512_mullo_epi32(_mm512_castps_si512(b), _mm512_castps_si512(c));
    return _mm512_castsi512_ps(_mm512_sub_epi32(_mm512_castps_si512(a), product));
}
static inline Vec vec_set1_i32(int32_t x) {
    return _mm512_castsi512_ps(_mm512_set1_epi32(x));
}
static inline Vec vec_from_i32(Vec a) {
    return _mm512_cvtepi32_ps(_mm512_castps_si512(a));
}
// round(x) + zero (an integer in each lane), ties to even, bounded to [0, 255]: as bytes. |x| <
// 2^30.
static inline void vec_store_u8(void *p, Vec x, Vec zero) {
    const __m512i y = _mm512_add_epi32(_mm512_cvtps_epi32(x), _mm512_castps_si512(zero));
    _mm_storeu_si128(p, _mm512_cvtusepi32_epi8(_mm512_max_epi32(y, _mm512_setzero_si512())));
}
// Lanes rounded to bf16, ties to even; a NaN becomes the quiet NaN 0x7FC0.
static inline void vec_store_bf16(void *p, Vec x) {
    const __m512i bits = _mm512_castps_si512(x);
    const __m512i odd = _mm512_and_si512(_mm512_srli_epi32(bits, 16), _mm512_set1_epi32(1));
    __m512i y = _mm512_add_epi32(_mm512_add_epi32(bits, _mm512_set1_epi32(0x7FFF)), odd);
    y = _mm512_srli_epi32(y, 16);
    y = _mm512_mask_blend_epi32(_mm512_cmp_ps_mask(x, x, _CMP_UNORD_Q), y,
                                _mm512_set1_epi32(0x7FC0));
    _mm256_storeu_si256(p, _mm512_cvtepi32_epi16(y));
}
// Pairs of bf16 as 32-bit words: lane i holds a[i] in its lower half and b[i] in its upper one.
static inline Vec vec_pair_bf16(const void *a, const void *b) {
    const __m512i lower = _mm512_cvtepu16_epi32(_mm256_loadu_si256(a));
    const __m512i upper = _mm512_cvtepu16_epi32(_mm256_loadu_si256(b));
    return _mm512_castsi512_ps(_mm512_or_si512(lower, _mm512_slli_epi32(upper, 16)));
}

#endif
