// f32 GEMM in plain C: the definition that the other kernels must equal bit for bit.
#include "kernels/vec/vec_ref.h"

#define GEMM_MR 4
#define GEMM_NV 16
#include "kernels/gemm/gemm_tmpl.h"

static void multiply_ref(size_t rows, size_t k, const float *a, size_t lda, const float *panel,
                         float *sums, size_t ld_sums, bool accumulate, GemmPrefetch prefetch) {
    (void)prefetch;
    for (size_t r = 0; r < rows; r++)
        for (size_t j = 0; j < GEMM_NR; j++) {
            float sum = accumulate ? sums[r * ld_sums + j] : 0.0f;
            for (size_t i = 0; i < k; i++)
                sum = fmaf(a[r * lda + i], panel[i * GEMM_NR + j], sum);
            sums[r * ld_sums + j] = sum;
        }
}

const GemmKernel gemm_f32_ref = {
    .name = "gemm_f32_ref",
    .mr = GEMM_MR,
    .nr = GEMM_NR,
    .multiply = multiply_ref,
    .finish = finish_ref,
    .pack = pack_ref,
};
