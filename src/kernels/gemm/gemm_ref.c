// GEMM in plain C: the definition that other f32 and byte kernels must equal bit for bit.
#include "kernels/vec/vec_ref.h"

#define GEMM_MR 4
#define GEMM_NV 16
#include "kernels/gemm/gemm_ends_tmpl.h"

enum { GEMM_NR = PANEL };

static void multiply_f32_ref(size_t rows, size_t words, const void *a, size_t lda,
                             const void *panel, void *sums, size_t ld_sums, bool accumulate,
                             GemmPrefetch prefetch) {
    (void)prefetch;
    const float *x = a, *w = panel;
    float *out = sums;
    for (size_t r = 0; r < rows; r++)
        for (size_t j = 0; j < GEMM_NR; j++) {
            float sum = accumulate ? out[r * ld_sums + j] : 0.0f;
            for (size_t i = 0; i < words; i++)
                sum = fmaf(x[r * lda + i], w[i * GEMM_NR + j], sum);
            out[r * ld_sums + j] = sum;
        }
}

static void multiply_bytes_ref(size_t rows, size_t words, const void *a, size_t lda,
                               const void *panel, void *sums, size_t ld_sums, bool accumulate,
                               GemmPrefetch prefetch) {
    (void)prefetch;
    const uint8_t *x = a;
    const int8_t *w = panel;
    int32_t *out = sums;
    for (size_t r = 0; r < rows; r++)
        for (size_t j = 0; j < GEMM_NR; j++) {
            int32_t sum = accumulate ? out[r * ld_sums + j] : 0;
            for (size_t i = 0; i < 4 * words; i++)
                sum += x[r * lda * 4 + i] * w[(i / 4 * GEMM_NR + j) * 4 + i % 4];
            out[r * ld_sums + j] = sum;
        }
}

static void multiply_bf16_ref(size_t rows, size_t words, const void *a, size_t lda,
                              const void *panel, void *sums, size_t ld_sums, bool accumulate,
                              GemmPrefetch prefetch) {
    (void)prefetch;
    const uint16_t *x = a, *w = panel;
    float *out = sums;
    for (size_t r = 0; r < rows; r++)
        for (size_t j = 0; j < GEMM_NR; j++) {
            float sum = accumulate ? out[r * ld_sums + j] : 0.0f;
            for (size_t i = 0; i < 2 * words; i++)
                sum = fmaf(vec_load_bf16(&x[r * lda * 2 + i]),
                           vec_load_bf16(&w[(i / 2 * GEMM_NR + j) * 2 + i % 2]), sum);
            out[r * ld_sums + j] = sum;
        }
}

const GemmKernel gemm_f32_ref = {
    .name = "gemm_f32_ref",
    .mr = GEMM_MR,
    .nr = GEMM_NR,
    .per_word = 1,
    .unit = 1,
    .row_unit = 1,
    .row_range = GEMM_ROW_RANGE,
    .a_words = GEMM_A_WORDS,
    .chunk_words = GEMM_CHUNK_WORDS,
    .multiply = multiply_f32_ref,
    .finish = gemm_finish_f32_ref,
    .pack = gemm_pack_f32_ref,
};

const GemmKernel gemm_bytes_ref = {
    .name = "gemm_bytes_ref",
    .mr = GEMM_MR,
    .nr = GEMM_NR,
    .per_word = 4,
    .unit = 16,
    .row_unit = 1,
    .row_range = GEMM_ROW_RANGE,
    .a_words = GEMM_A_WORDS,
    .chunk_words = GEMM_CHUNK_WORDS,
    .multiply = multiply_bytes_ref,
    .finish = gemm_finish_bytes_ref,
    .pack = gemm_pack_bytes_ref,
};

const GemmKernel gemm_bf16_ref = {
    .name = "gemm_bf16_ref",
    .mr = GEMM_MR,
    .nr = GEMM_NR,
    .per_word = 2,
    .unit = 16,
    .row_unit = 1,
    .row_range = GEMM_ROW_RANGE,
    .a_words = GEMM_A_WORDS,
    .chunk_words = GEMM_CHUNK_WORDS,
    .multiply = multiply_bf16_ref,
    .finish = gemm_finish_f32_ref,
    .pack = gemm_pack_bf16_ref,
};
