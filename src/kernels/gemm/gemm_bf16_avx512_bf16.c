// GEMM of bf16, AVX-512 BF16: two products a lane and step. Fast on Zen 4 and later; Intel's cores
// do this at half the speed of f32, but those have AMX.
#include "kernels/vec/vec_avx512.h"

#define GEMM_MR 14
#define GEMM_NV 2
#define GEMM_PARTS 1
static inline void gemm_split_a(Vec x, Vec parts[GEMM_PARTS]) {
    parts[0] = x;
}
static inline void gemm_split_b(Vec x, Vec parts[GEMM_PARTS]) {
    parts[0] = x;
}
static inline Vec gemm_dot(Vec sum, const Vec a[GEMM_PARTS], const Vec b[GEMM_PARTS]) {
    return _mm512_dpbf16_ps(sum, (__m512bh)_mm512_castps_si512(a[0]),
                            (__m512bh)_mm512_castps_si512(b[0]));
}
#include "kernels/gemm/gemm_tmpl.h"

const GemmKernel gemm_bf16_avx512_bf16 = {
    .name = "gemm_bf16_avx512_bf16",
    .mr = GEMM_MR,
    .nr = GEMM_NR,
    .per_word = 2,
    .unit = 16,
    .row_unit = 1,
    .row_range = GEMM_ROW_RANGE,
    .a_words = GEMM_A_WORDS,
    .chunk_words = GEMM_CHUNK_WORDS,
    .multiply = multiply_avx512,
    .finish = gemm_finish_f32_avx512,
    .pack = gemm_pack_bf16_avx512,
};
