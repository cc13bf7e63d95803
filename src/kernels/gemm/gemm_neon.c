// f32 GEMM, NEON: 6 x 16 register tile, 24 accumulators, 6 registers of A (four words each), 2 of
// weights.
#include "kernels/vec/vec_neon.h"

#define GEMM_MR 6
#define GEMM_NV 4
#define GEMM_BYTES_LESS GEMM_NEON_BYTES_LESS
#include "kernels/gemm/gemm_ends_tmpl.h"

#define GEMM_PARTS 1
#define GEMM_HAS_LANES
static inline void gemm_split_a(Vec x, Vec parts[GEMM_PARTS]) {
    parts[0] = x;
}
static inline void gemm_split_b(Vec x, Vec parts[GEMM_PARTS]) {
    parts[0] = x;
}
static inline Vec gemm_dot(Vec sum, const Vec a[GEMM_PARTS], const Vec b[GEMM_PARTS]) {
    return vec_fma(a[0], b[0], sum);
}
static inline Vec gemm_dot_lane(Vec sum, const Vec a[GEMM_PARTS], size_t lane,
                                const Vec b[GEMM_PARTS]) {
    return vec_fma_lane(a[0], lane, b[0], sum);
}
#include "kernels/gemm/gemm_tmpl.h"

const GemmKernel gemm_f32_neon = {
    .name = "gemm_f32_neon",
    .mr = GEMM_MR,
    .nr = GEMM_NR,
    .per_word = 1,
    .unit = 1,
    .row_unit = 1,
    .row_range = GEMM_ROW_RANGE,
    .a_words = GEMM_A_WORDS,
    .chunk_words = GEMM_CHUNK_WORDS,
    .multiply = multiply_neon,
    .finish = gemm_finish_f32_neon,
    .pack = gemm_pack_f32_neon,
};
