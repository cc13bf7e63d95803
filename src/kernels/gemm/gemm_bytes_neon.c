// GEMM of bytes, NEON without dot products. Bytes of A count less 128, so that both factors are
// signed and the sum of two products fits in 16 bits; finishing takes that into the zero point.
#include "kernels/gemm/gemm_kernels.h"
#include "kernels/vec/vec_neon.h"

#define GEMM_MR 4
#define GEMM_NV 4
#define GEMM_PARTS 1
#define GEMM_HAS_LANES
static inline void gemm_split_a(Vec x, Vec parts[GEMM_PARTS]) {
    const uint8x16_t less = vdupq_n_u8(GEMM_NEON_BYTES_LESS);
    parts[0] = vreinterpretq_f32_u8(vsubq_u8(vreinterpretq_u8_f32(x), less));
}
static inline void gemm_split_b(Vec x, Vec parts[GEMM_PARTS]) {
    parts[0] = x;
}
// Pairs of products are at most 2 * 128 * 127 in magnitude.
static inline Vec gemm_dot(Vec sum, const Vec a[GEMM_PARTS], const Vec b[GEMM_PARTS]) {
    const int8x16_t x = vreinterpretq_s8_f32(a[0]), w = vreinterpretq_s8_f32(b[0]);
    const int16x8_t low = vmull_s8(vget_low_s8(x), vget_low_s8(w));
    const int16x8_t high = vmull_high_s8(x, w);
    return vreinterpretq_f32_s32(vpadalq_s16(vreinterpretq_s32_f32(sum), vpaddq_s16(low, high)));
}
static inline Vec gemm_dot_lane(Vec sum, const Vec a[GEMM_PARTS], size_t lane,
                                const Vec b[GEMM_PARTS]) {
    const Vec word[GEMM_PARTS] = {vec_spread_lane(a[0], lane)};
    return gemm_dot(sum, word, b);
}
#include "kernels/gemm/gemm_tmpl.h"

const GemmKernel gemm_bytes_neon = {
    .name = "gemm_bytes_neon",
    .mr = GEMM_MR,
    .nr = GEMM_NR,
    .per_word = 4,
    .unit = 16,
    .row_unit = 1,
    .row_range = GEMM_ROW_RANGE,
    .a_words = GEMM_A_WORDS,
    .chunk_words = GEMM_CHUNK_WORDS,
    .multiply = multiply_neon,
    .finish = gemm_finish_bytes_neon,
    .pack = gemm_pack_bytes_neon,
};
