// The vector vocabulary on NEON: four floats. See vec_avx512.h for what words mean.
#ifndef GPUX_KERNELS_VEC_VEC_NEON_H
#define GPUX_KERNELS_VEC_VEC_NEON_H

#include <arm_neon.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#define ISA(name) name##_neon
#define VEC_WIDTH 4

typedef float32x4_t Vec;

// NEON has no masked loads: these go by the number of lanes, so their masks come from vec_first.
typedef struct VecMask {
    uint32x4_t lanes;
    size_t first;
} VecMask;

// Memory at any address and of any type, which vld1q_f32 does not promise.
typedef float32x4_t __attribute__((may_alias, aligned(1))) VecMemory;
typedef uint16x4_t __attribute__((may_alias, aligned(1))) VecHalves;

static inline Vec vec_zero(void) {
    return vdupq_n_f32(0.0f);
}
static inline Vec vec_set1(float x) {
    return vdupq_n_f32(x);
}
static inline Vec vec_load(const void *p) {
    return *(const VecMemory *)p;
}
static inline void vec_store(void *p, Vec x) {
    *(VecMemory *)p = x;
}
static inline VecMask vec_first(size_t n) {
    const uint32x4_t lane = {0, 1, 2, 3};
    return (VecMask){.lanes = vcgtq_u32(vdupq_n_u32((uint32_t)n), lane), .first = n};
}
static inline Vec vec_load_mask(VecMask mask, const void *p) {
    if (mask.first >= VEC_WIDTH)
        return vec_load(p);
    float lanes[VEC_WIDTH] = {0};
    if (mask.first & 2)
        memcpy(lanes, p, 2 * sizeof(float));
    if (mask.first & 1)
        memcpy(lanes + (mask.first & 2), (const float *)p + (mask.first & 2), sizeof(float));
    return vld1q_f32(lanes);
}
static inline void vec_store_mask(VecMask mask, void *p, Vec x) {
    if (mask.first >= VEC_WIDTH) {
        vec_store(p, x);
        return;
    }
    float lanes[VEC_WIDTH];
    vst1q_f32(lanes, x);
    if (mask.first & 2)
        memcpy(p, lanes, 2 * sizeof(float));
    if (mask.first & 1)
        memcpy((float *)p + (mask.first & 2), lanes + (mask.first & 2), sizeof(float));
}
static inline Vec vec_load_f16(const void *p) {
    return vcvt_f32_f16(vreinterpret_f16_u16(*(const VecHalves *)p));
}
static inline Vec vec_load_bf16(const void *p) {
    return vreinterpretq_f32_u32(vshll_n_u16(*(const VecHalves *)p, 16));
}
static inline Vec vec_add(Vec a, Vec b) {
    return vaddq_f32(a, b);
}
static inline Vec vec_sub(Vec a, Vec b) {
    return vsubq_f32(a, b);
}
static inline Vec vec_mul(Vec a, Vec b) {
    return vmulq_f32(a, b);
}
static inline Vec vec_div(Vec a, Vec b) {
    return vdivq_f32(a, b);
}
static inline Vec vec_fma(Vec a, Vec b, Vec c) {
    return vfmaq_f32(c, a, b);
}
static inline Vec vec_fnma(Vec a, Vec b, Vec c) {
    return vfmsq_f32(c, a, b);
}
// FMAX would answer NaN where the vocabulary says b.
static inline Vec vec_max(Vec a, Vec b) {
    return vbslq_f32(vcgtq_f32(a, b), a, b);
}
static inline Vec vec_min(Vec a, Vec b) {
    return vbslq_f32(vcltq_f32(a, b), a, b);
}
static inline Vec vec_sqrt(Vec x) {
    return vsqrtq_f32(x);
}
static inline Vec vec_round(Vec x) {
    return vrndnq_f32(x);
}
// Two factors, because 2^n alone can lie outside the normal range. Rounds at most once.
static inline Vec vec_scale(Vec x, Vec n) {
    const int32x4_t bias = vdupq_n_s32(127);
    const int32x4_t whole = vcvtq_s32_f32(n);
    const int32x4_t half = vshrq_n_s32(whole, 1);
    const int32x4_t rest = vsubq_s32(whole, half);
    const Vec f = vreinterpretq_f32_s32(vshlq_n_s32(vaddq_s32(half, bias), 23));
    const Vec g = vreinterpretq_f32_s32(vshlq_n_s32(vaddq_s32(rest, bias), 23));
    return vmulq_f32(vmulq_f32(x, f), g);
}
static inline Vec vec_abs(Vec x) {
    return vabsq_f32(x);
}
static inline Vec vec_copysign(Vec x, Vec sign) {
    return vbslq_f32(vdupq_n_u32(0x80000000u), sign, x);
}
static inline VecMask vec_less(Vec a, Vec b) {
    return (VecMask){.lanes = vcltq_f32(a, b)};
}
static inline Vec vec_choose(VecMask mask, Vec yes, Vec no) {
    return vbslq_f32(mask.lanes, yes, no);
}
static inline float vec_sum(Vec x) {
    return vaddvq_f32(x);
}
static inline float vec_highest(Vec x) {
    return vmaxvq_f32(x);
}
// always_inline: gcc takes a function that only prefetches for one without effect and drops its
// calls.
static inline __attribute__((always_inline)) void vec_prefetch(const void *p) {
    __builtin_prefetch(p, 0, 3);
}
// The same into L2 only.
static inline __attribute__((always_inline)) void vec_prefetch_l2(const void *p) {
    __builtin_prefetch(p, 0, 2);
}
// A line that will be written.
static inline __attribute__((always_inline)) void vec_prefetch_to_write(const void *p) {
    __builtin_prefetch(p, 1, 3);
}

static inline void vec_transpose(Vec r[VEC_WIDTH]) {
    const float64x2_t a = vreinterpretq_f64_f32(vtrn1q_f32(r[0], r[1]));
    const float64x2_t b = vreinterpretq_f64_f32(vtrn2q_f32(r[0], r[1]));
    const float64x2_t c = vreinterpretq_f64_f32(vtrn1q_f32(r[2], r[3]));
    const float64x2_t d = vreinterpretq_f64_f32(vtrn2q_f32(r[2], r[3]));
    r[0] = vreinterpretq_f32_f64(vtrn1q_f64(a, c));
    r[1] = vreinterpretq_f32_f64(vtrn1q_f64(b, d));
    r[2] = vreinterpretq_f32_f64(vtrn2q_f64(a, c));
    r[3] = vreinterpretq_f32_f64(vtrn2q_f64(b, d));
}

static inline Vec vec_broadcast(const void *p) {
    typedef float __attribute__((may_alias, aligned(1))) Word;
    return vdupq_n_f32(*(const Word *)p);
}
// Words of NEON alone, for products by lane: a[lane] in all lanes, and a[lane] * b + c, rounded
// once. The lane is an operand of the instruction; loops over it are unrolled.
static inline Vec vec_spread_lane(Vec a, size_t lane) {
    switch (lane) {
    case 0:
        return vdupq_laneq_f32(a, 0);
    case 1:
        return vdupq_laneq_f32(a, 1);
    case 2:
        return vdupq_laneq_f32(a, 2);
    default:
        return vdupq_laneq_f32(a, 3);
    }
}
static inline Vec vec_fma_lane(Vec a, size_t lane, Vec b, Vec c) {
    switch (lane) {
    case 0:
        return vfmaq_laneq_f32(c, b, a, 0);
    case 1:
        return vfmaq_laneq_f32(c, b, a, 1);
    case 2:
        return vfmaq_laneq_f32(c, b, a, 2);
    default:
        return vfmaq_laneq_f32(c, b, a, 3);
    }
}
static inline Vec vec_sub_product_i32(Vec a, Vec b, Vec c) {
    return vreinterpretq_f32_s32(
        vmlsq_s32(vreinterpretq_s32_f32(a), vreinterpretq_s32_f32(b), vreinterpretq_s32_f32(c)));
}
static inline Vec vec_set1_i32(int32_t x) {
    return vreinterpretq_f32_s32(vdupq_n_s32(x));
}
static inline Vec vec_from_i32(Vec a) {
    return vcvtq_f32_s32(vreinterpretq_s32_f32(a));
}
static inline void vec_store_u8(void *p, Vec x, Vec zero) {
    const int32x4_t y = vaddq_s32(vcvtnq_s32_f32(x), vreinterpretq_s32_f32(zero));
    const uint16x4_t halves = vqmovun_s32(y);
    const uint8x8_t bytes = vqmovn_u16(vcombine_u16(halves, halves));
    const uint32_t word = vget_lane_u32(vreinterpret_u32_u8(bytes), 0);
    memcpy(p, &word, sizeof word);
}
static inline void vec_store_bf16(void *p, Vec x) {
    const uint32x4_t bits = vreinterpretq_u32_f32(x);
    const uint32x4_t odd = vandq_u32(vshrq_n_u32(bits, 16), vdupq_n_u32(1));
    const uint32x4_t y = vaddq_u32(vaddq_u32(bits, vdupq_n_u32(0x7FFF)), odd);
    const uint32x4_t quiet = vdupq_n_u32(0x7FC00000u);
    *(VecHalves *)p = vshrn_n_u32(vbslq_u32(vceqq_f32(x, x), y, quiet), 16);
}

#endif
