// The vector vocabulary on AVX2 with FMA and F16C: eight floats. See vec_avx512.h for what words
// mean.
#ifndef GPUX_KERNELS_VEC_VEC_AVX2_H
#define GPUX_KERNELS_VEC_VEC_AVX2_H

#include <immintrin.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#define ISA(name) name##_avx2
#define VEC_WIDTH 8

typedef __m256 Vec;
typedef __m256i VecMask;

static inline Vec vec_zero(void) {
    return _mm256_setzero_ps();
}
static inline Vec vec_set1(float x) {
    return _mm256_set1_ps(x);
}
static inline Vec vec_load(const void *p) {
    return _mm256_loadu_ps(p);
}
static inline void vec_store(void *p, Vec x) {
    _mm256_storeu_ps(p, x);
}
static inline VecMask vec_first(size_t n) {
    const __m256i lane = _mm256_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7);
    return _mm256_cmpgt_epi32(_mm256_set1_epi32((int)n), lane);
}
static inline Vec vec_load_mask(VecMask mask, const void *p) {
    return _mm256_maskload_ps(p, mask);
}
static inline void vec_store_mask(VecMask mask, void *p, Vec x) {
    _mm256_maskstore_ps(p, mask, x);
}
static inline Vec vec_load_f16(const void *p) {
    return _mm256_cvtph_ps(_mm_loadu_si128(p));
}
static inline Vec vec_load_bf16(const void *p) {
    return _mm256_castsi256_ps(_mm256_slli_epi32(_mm256_cvtepu16_epi32(_mm_loadu_si128(p)), 16));
}
static inline Vec vec_add(Vec a, Vec b) {
    return _mm256_add_ps(a, b);
}
static inline Vec vec_sub(Vec a, Vec b) {
    return _mm256_sub_ps(a, b);
}
static inline Vec vec_mul(Vec a, Vec b) {
    return _mm256_mul_ps(a, b);
}
static inline Vec vec_div(Vec a, Vec b) {
    return _mm256_div_ps(a, b);
}
static inline Vec vec_fma(Vec a, Vec b, Vec c) {
    return _mm256_fmadd_ps(a, b, c);
}
static inline Vec vec_fnma(Vec a, Vec b, Vec c) {
    return _mm256_fnmadd_ps(a, b, c);
}
static inline Vec vec_max(Vec a, Vec b) {
    return _mm256_max_ps(a, b);
}
static inline Vec vec_min(Vec a, Vec b) {
    return _mm256_min_ps(a, b);
}
static inline Vec vec_sqrt(Vec x) {
    return _mm256_sqrt_ps(x);
}
static inline Vec vec_round(Vec x) {
    return _mm256_round_ps(x, _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC);
}
// Two factors, because 2^n alone can lie outside the normal range. Rounds at most once.
static inline Vec vec_scale(Vec x, Vec n) {
    const __m256i bias = _mm256_set1_epi32(127);
    const __m256i whole = _mm256_cvtps_epi32(n);
    const __m256i half = _mm256_srai_epi32(whole, 1);
    const __m256i rest = _mm256_sub_epi32(whole, half);
    const __m256 f = _mm256_castsi256_ps(_mm256_slli_epi32(_mm256_add_epi32(half, bias), 23));
    const __m256 g = _mm256_castsi256_ps(_mm256_slli_epi32(_mm256_add_epi32(rest, bias), 23));
    return _mm256_mul_ps(_mm256_mul_ps(x, f), g);
}
static inline Vec vec_abs(Vec x) {
    return _mm256_andnot_ps(_mm256_set1_ps(-0.0f), x);
}
static inline Vec vec_copysign(Vec x, Vec sign) {
    const __m256 bit = _mm256_set1_ps(-0.0f);
    return _mm256_or_ps(_mm256_and_ps(bit, sign), _mm256_andnot_ps(bit, x));
}
static inline VecMask vec_less(Vec a, Vec b) {
    return _mm256_castps_si256(_mm256_cmp_ps(a, b, _CMP_LT_OQ));
}
static inline Vec vec_choose(VecMask mask, Vec yes, Vec no) {
    return _mm256_blendv_ps(no, yes, _mm256_castsi256_ps(mask));
}
static inline float vec_sum(Vec x) {
    __m128 s = _mm_add_ps(_mm256_castps256_ps128(x), _mm256_extractf128_ps(x, 1));
    s = _mm_add_ps(s, _mm_movehl_ps(s, s));
    return _mm_cvtss_f32(_mm_add_ss(s, _mm_movehdup_ps(s)));
}
static inline float vec_highest(Vec x) {
    __m128 s = _mm_max_ps(_mm256_castps256_ps128(x), _mm256_extractf128_ps(x, 1));
    s = _mm_max_ps(s, _mm_movehl_ps(s, s));
    return _mm_cvtss_f32(_mm_max_ss(s, _mm_movehdup_ps(s)));
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

static inline void vec_transpose(Vec r[VEC_WIDTH]) {
    __m256 t[8];
#pragma GCC unroll 4
    for (int i = 0; i < 4; i++) {
        t[2 * i] = _mm256_unpacklo_ps(r[2 * i], r[2 * i + 1]);
        t[2 * i + 1] = _mm256_unpackhi_ps(r[2 * i], r[2 * i + 1]);
    }
#pragma GCC unroll 2
    for (int i = 0; i < 2; i++) {
        r[4 * i] = _mm256_shuffle_ps(t[4 * i], t[4 * i + 2], 0x44);
        r[4 * i + 1] = _mm256_shuffle_ps(t[4 * i], t[4 * i + 2], 0xEE);
        r[4 * i + 2] = _mm256_shuffle_ps(t[4 * i + 1], t[4 * i + 3], 0x44);
        r[4 * i + 3] = _mm256_shuffle_ps(t[4 * i + 1], t[4 * i + 3], 0xEE);
    }
#pragma GCC unroll 4
    for (int i = 0; i < 4; i++) {
        t[i] = _mm256_permute2f128_ps(r[i], r[4 + i], 0x20);
        t[4 + i] = _mm256_permute2f128_ps(r[i], r[4 + i], 0x31);
    }
#pragma GCC unroll 8
    for (int i = 0; i < 8; i++)
        r[i] = t[i];
}

static inline Vec vec_broadcast(const void *p) {
    typedef float __attribute__((may_alias, aligned(1))) Word;
    return _mm256_set1_ps(*(const Word *)p);
}
static inline Vec vec_sub_product_i32(Vec a, Vec b, Vec c) {
    const __m256i product = _mm256_mullo_epi32(_mm256_castps_si256(b), _mm256_castps_si256(c));
    return _mm256_castsi256_ps(_mm256_sub_epi32(_mm256_castps_si256(a), product));
}
static inline Vec vec_set1_i32(int32_t x) {
    return _mm256_castsi256_ps(_mm256_set1_epi32(x));
}
static inline Vec vec_from_i32(Vec a) {
    return _mm256_cvtepi32_ps(_mm256_castps_si256(a));
}
static inline void vec_store_u8(void *p, Vec x, Vec zero) {
    const __m256i whole = _mm256_add_epi32(_mm256_cvtps_epi32(x), _mm256_castps_si256(zero));
    const __m128i half =
        _mm_packus_epi32(_mm256_castsi256_si128(whole), _mm256_extracti128_si256(whole, 1));
    _mm_storel_epi64(p, _mm_packus_epi16(half, half));
}
static inline void vec_store_bf16(void *p, Vec x) {
    const __m256i bits = _mm256_castps_si256(x);
    const __m256i odd = _mm256_and_si256(_mm256_srli_epi32(bits, 16), _mm256_set1_epi32(1));
    __m256i y = _mm256_add_epi32(_mm256_add_epi32(bits, _mm256_set1_epi32(0x7FFF)), odd);
    y = _mm256_srli_epi32(y, 16);
    y = _mm256_blendv_epi8(y, _mm256_set1_epi32(0x7FC0),
                           _mm256_castps_si256(_mm256_cmp_ps(x, x, _CMP_UNORD_Q)));
    _mm_storeu_si128(p,
                     _mm_packus_epi32(_mm256_castsi256_si128(y), _mm256_extracti128_si256(y, 1)));
}

#endif
