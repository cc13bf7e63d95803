// GEMM of bf16, AVX2 without bf16 products: both halves of a word are widened to f32 and take part
// in one chain of fused multiply-adds, even k before odd k. Half the memory traffic of f32, not its
// speed.
#include "kernels/vec/vec_avx2.h"

#define GEMM_MR 4
#define GEMM_NV 2
#define GEMM_PARTS 2
static inline void gemm_split_a(Vec x, Vec parts[GEMM_PARTS]) {
    const __m256i words = _mm256_castps_si256(x);
    parts[0] = _mm256_castsi256_ps(_mm256_slli_epi32(words, 16));
    parts[1] = _mm256_castsi256_ps(_mm256_and_si256(words, _mm256_set1_epi32((int)0xFFFF0000u)));
}
static inline void gemm_split_b(Vec x, Vec parts[GEMM_PARTS]) {
    gemm_split_a(x, parts);
}
static inline Vec gemm_dot(Vec sum, const Vec a[GEMM_PARTS], const Vec b[GEMM_PARTS]) {
    return vec_fma(a[1], b[1], vec_fma(a[0], b[0], sum));
}
#include "kernels/gemm/gemm_tmpl.h"

const GemmKernel gemm_bf16_avx2 = {
    .name = "gemm_bf16_avx2",
    .mr = GEMM_MR,
    .nr = GEMM_NR,
    .per_word = 2,
    .unit = 16,
    .row_unit = 1,
    .row_range = GEMM_ROW_RANGE,
    .a_words = GEMM_A_WORDS,
    .chunk_words = GEMM_CHUNK_WORDS,
    .multiply = multiply_avx2,
    .finish = gemm_finish_f32_avx2,
    .pack = gemm_pack_bf16_avx2,
};
