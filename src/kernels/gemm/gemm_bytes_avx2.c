// GEMM of bytes, AVX2. A word holds 4 bytes; its even and odd bytes become two vectors of 16-bit
// integers, whose products are summed pairwise in 32 bits: exact, unlike the saturating byte
// products.
#include "kernels/vec/vec_avx2.h"

#define GEMM_MR 4
#define GEMM_NV 2
#define GEMM_PARTS 2
static inline void gemm_split_a(Vec x, Vec parts[GEMM_PARTS]) {
    const __m256i words = _mm256_castps_si256(x);
    parts[0] = _mm256_castsi256_ps(_mm256_and_si256(words, _mm256_set1_epi16(0xFF)));
    parts[1] = _mm256_castsi256_ps(_mm256_srli_epi16(words, 8));
}
static inline void gemm_split_b(Vec x, Vec parts[GEMM_PARTS]) {
    const __m256i words = _mm256_castps_si256(x);
    parts[0] = _mm256_castsi256_ps(_mm256_srai_epi16(_mm256_slli_epi16(words, 8), 8));
    parts[1] = _mm256_castsi256_ps(_mm256_srai_epi16(words, 8));
}
static inline Vec gemm_dot(Vec sum, const Vec a[GEMM_PARTS], const Vec b[GEMM_PARTS]) {
    const __m256i even = _mm256_madd_epi16(_mm256_castps_si256(a[0]), _mm256_castps_si256(b[0]));
    const __m256i odd = _mm256_madd_epi16(_mm256_castps_si256(a[1]), _mm256_castps_si256(b[1]));
    return _mm256_castsi256_ps(
        _mm256_add_epi32(_mm256_castps_si256(sum), _mm256_add_epi32(even, odd)));
}
#include "kernels/gemm/gemm_tmpl.h"

const GemmKernel gemm_bytes_avx2 = {
    .name = "gemm_bytes_avx2",
    .mr = GEMM_MR,
    .nr = GEMM_NR,
    .per_word = 4,
    .unit = 16,
    .row_unit = 1,
    .row_range = GEMM_ROW_RANGE,
    .a_words = GEMM_A_WORDS,
    .chunk_words = GEMM_CHUNK_WORDS,
    .multiply = multiply_avx2,
    .finish = gemm_finish_bytes_avx2,
    .pack = gemm_pack_bytes_avx2,
};
