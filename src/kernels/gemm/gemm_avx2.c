// f32 GEMM, AVX2 and FMA: 6 x 16 register tile, 12 accumulators, 2 registers of weights, 1
// broadcast.
#include "kernels/vec/vec_avx2.h"

#define GEMM_MR 6
#define GEMM_NV 2
#include "kernels/gemm/gemm_ends_tmpl.h"

#define GEMM_PARTS 1
static inline void gemm_split_a(Vec x, Vec parts[GEMM_PARTS]) {
    parts[0] = x;
}
static inline void gemm_split_b(Vec x, Vec parts[GEMM_PARTS]) {
    parts[0] = x;
}
static inline Vec gemm_dot(Vec sum, const Vec a[GEMM_PARTS], const Vec b[GEMM_PARTS]) {
    return vec_fma(a[0], b[0], sum);
}
#include "kernels/gemm/gemm_tmpl.h"

const GemmKernel gemm_f32_avx2 = {
    .name = "gemm_f32_avx2",
    .mr = GEMM_MR,
    .nr = GEMM_NR,
    .per_word = 1,
    .unit = 1,
    .row_unit = 1,
    .row_range = GEMM_ROW_RANGE,
    .a_words = GEMM_A_WORDS,
    .chunk_words = GEMM_CHUNK_WORDS,
    .multiply = multiply_avx2,
    .finish = gemm_finish_f32_avx2,
    .pack = gemm_pack_f32_avx2,
};
