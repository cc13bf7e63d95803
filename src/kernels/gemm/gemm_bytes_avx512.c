// GEMM of bytes, AVX-512 without VNNI. A word holds 4 bytes; its even and odd bytes become two
// vectors of 16-bit integers, whose products are summed pairwise in 32 bits: exact, unlike the
// saturating byte products.
#include "kernels/vec/vec_avx512.h"

#define GEMM_MR 14
#define GEMM_NV 2
#define GEMM_PARTS 2
static inline void gemm_split_a(Vec x, Vec parts[GEMM_PARTS]) {
    const __m512i words = _mm512_castps_si512(x);
    parts[0] = _mm512_castsi512_ps(_mm512_and_si512(words, _mm512_set1_epi16(0xFF)));
    parts[1] = _mm512_castsi512_ps(_mm512_srli_epi16(words, 8));
}
static inline void gemm_split_b(Vec x, Vec parts[GEMM_PARTS]) {
    const __m512i words = _mm512_castps_si512(x);
    parts[0] = _mm512_castsi512_ps(_mm512_srai_epi16(_mm512_slli_epi16(words, 8), 8));
    parts[1] = _mm512_castsi512_ps(_mm512_srai_epi16(words, 8));
}
static inline Vec gemm_dot(Vec sum, const Vec a[GEMM_PARTS], const Vec b[GEMM_PARTS]) {
    const __m512i even = _mm512_madd_epi16(_mm512_castps_si512(a[0]), _mm512_castps_si512(b[0]));
    const __m512i odd = _mm512_madd_epi16(_mm512_castps_si512(a[1]), _mm512_castps_si512(b[1]));
    return _mm512_castsi512_ps(
        _mm512_add_epi32(_mm512_castps_si512(sum), _mm512_add_epi32(even, odd)));
}
#include "kernels/gemm/gemm_tmpl.h"

const GemmKernel gemm_bytes_avx512 = {
    .name = "gemm_bytes_avx512",
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
