// GEMM of bf16, NEON without bf16 products: both halves of a word are widened to f32 and take part
// in one chain of fused multiply-adds, even k before odd k. Half the memory traffic of f32, not its
// speed.
#include "kernels/vec/vec_neon.h"

#define GEMM_MR 4
#define GEMM_NV 4
#define GEMM_PARTS 2
#define GEMM_HAS_LANES
static inline void gemm_split_a(Vec x, Vec parts[GEMM_PARTS]) {
    const uint32x4_t words = vreinterpretq_u32_f32(x);
    parts[0] = vreinterpretq_f32_u32(vshlq_n_u32(words, 16));
    parts[1] = vreinterpretq_f32_u32(vandq_u32(words, vdupq_n_u32(0xFFFF0000u)));
}
static inline void gemm_split_b(Vec x, Vec parts[GEMM_PARTS]) {
    gemm_split_a(x, parts);
}
static inline Vec gemm_dot(Vec sum, const Vec a[GEMM_PARTS], const Vec b[GEMM_PARTS]) {
    return vec_fma(a[1], b[1], vec_fma(a[0], b[0], sum));
}
static inline Vec gemm_dot_lane(Vec sum, const Vec a[GEMM_PARTS], size_t lane,
                                const Vec b[GEMM_PARTS]) {
    return vec_fma_lane(a[1], lane, b[1], vec_fma_lane(a[0], lane, b[0], sum));
}
#include "kernels/gemm/gemm_tmpl.h"

const GemmKernel gemm_bf16_neon = {
    .name = "gemm_bf16_neon",
    .mr = GEMM_MR,
    .nr = GEMM_NR,
    .per_word = 2,
    .unit = 16,
    .row_unit = 1,
    .row_range = GEMM_ROW_RANGE,
    .a_words = GEMM_A_WORDS,
    .chunk_words = GEMM_CHUNK_WORDS,
    .multiply = multiply_neon,
    .finish = gemm_finish_f32_neon,
    .pack = gemm_pack_bf16_neon,
};
