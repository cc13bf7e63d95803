// f32 GEMM, AVX2 and FMA: 6 x 16 register tile, 12 accumulators, 2 registers of weights, 1
// broadcast.
#include "kernels/vec/vec_avx2.h"

#define GEMM_MR 6
#define GEMM_NV 2
#include "kernels/gemm/gemm_tmpl.h"

static void multiply_avx2(size_t rows, size_t k, const float *a, size_t lda, const float *panel,
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
    default:
        break;
    }
#undef ROWS_CASE
}

const GemmKernel gemm_f32_avx2 = {
    .name = "gemm_f32_avx2",
    .mr = GEMM_MR,
    .nr = GEMM_NR,
    .multiply = multiply_avx2,
    .finish = finish_avx2,
    .pack = pack_avx2,
};
