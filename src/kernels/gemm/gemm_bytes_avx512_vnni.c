// GEMM of bytes, AVX-512 VNNI: unsigned bytes of A times signed bytes of W, four products a lane
// and step.
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
    return _mm512_castsi512_ps(_mm512_dpbusd_epi32(
        _mm512_castps_si512(sum), _mm512_castps_si512(a[0]), _mm512_castps_si512(b[0])));
}
#include "kernels/gemm/gemm_tmpl.h"

const GemmKernel gemm_bytes_avx512_vnni = {
    .name = "gemm_bytes_avx512_vnni",
    .mr = GEMM_MR,
    .nr = GEMM_NR,
    .per_word = 4,
    .unit = 16,
    .row_unit = 1,
    .row_range = GEMM_ROW_RANGE,
    .a_words = GEMM_A_WORDS,
    .chunk_words = GEMM_CHUNK_WORDS,
    .multiply = multiply_avx512,
    .finish = gemm_finish_bytes_avx512,
    .pack = gemm_pack_bytes_avx512,
};
