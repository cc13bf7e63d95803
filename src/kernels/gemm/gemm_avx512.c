// f32 GEMM, AVX-512: 14 x 32 register tile, 28 accumulators, 2 registers of weights, 1 broadcast.
// 14 rows balance 28 multiply-adds against 16 loads; 8 or more accumulators hide the latency.
#include "kernels/vec/vec_avx512.h"

#define GEMM_MR 14
#define GEMM_NV 2
#include "kernels/gemm/gemm_tmpl.h"

static void multiply_avx512(size_t rows, size_t k, const float *a, size_t lda, const float *panel,
                            float *sums, size_t ld_sums, bool accumulate, GemmPrefetch prefetch) {
#define ROWS_CASE(n)                                                                               \
    case n:                                                                                        \
        multiply_at_rate(n, k, a, lda, panel, sums, ld_sums, accumulate, prefetch);                \
        break
    switch (rows) {
        ROWS_CASE(1);
        ROWS_CASE(2);
        ROWS_CASE(3);
        ROWS_CASE(4);
        ROWS_CASE(5);
        ROWS_CASE(6);
        ROWS_CASE(7);
        ROWS_CASE(8);
        ROWS_CASE(9);
        ROWS_CASE(10);
        ROWS_CASE(11);
        ROWS_CASE(12);
        ROWS_CASE(13);
        ROWS_CASE(14);
    default:
        break;
    }
#undef ROWS_CASE
}

const GemmKernel gemm_f32_avx512 = {
    .name = "gemm_f32_avx512",
    .mr = GEMM_MR,
    .nr = GEMM_NR,
    .multiply = multiply_avx512,
    .finish = finish_avx512,
    .pack = pack_avx512,
};
