// GEMM of bytes, NEON with dot products: four products a lane and step. SDOT wants both factors
// signed, so bytes of A count less 128; finishing takes that into the zero point.
#include "kernels/gemm/gemm_kernels.h"
#include "kernels/vec/vec_neon.h"

#define GEMM_MR 6
#define GEMM_NV 4
#define GEMM_PARTS 1
#define GEMM_HAS_LANES
static inline void gemm_split_a(Vec x, Vec parts[GEMM_PARTS]) {
    const uint8x16_t less = vdupq_n_u8(GEMM_NEON_BYTES_LESS);
    parts[0] = vreinterpretq_f32_u8(vsubq_u8(vreinterpretq_u8_f32(x), less));
}
static inline void gemm_split_b(Vec x, Vec parts[GEMM_PARTS]) {
    parts[0] = x;
}
static inline Vec gemm_dot(Vec sum, const Vec a[GEMM_PARTS], const Vec b[GEMM_PARTS]) {
    return vreinterpretq_f32_s32(vdotq_s32(vreinterpretq_s32_f32(sum), vreinterpretq_s8_f32(b[0]),
                                           vreinterpretq_s8_f32(a[0])));
}
// The lane is an operand of the instruction; loops over it are unrolled.
static inline Vec gemm_dot_lane(Vec sum, const Vec a[GEMM_PARTS], size_t lane,
                                const Vec b[GEMM_PARTS]) {
    const int32x4_t s = vreinterpretq_s32_f32(sum);
    const int8x16_t x = vreinterpretq_s8_f32(a[0]), w = vreinterpretq_s8_f32(b[0]);
    switch (lane) {
    case 0:
        return vreinterpretq_f32_s32(vdotq_laneq_s32(s, w, x, 0));
    case 1:
        return vreinterpretq_f32_s32(vdotq_laneq_s32(s, w, x, 1));
    case 2:
        return vreinterpretq_f32_s32(vdotq_laneq_s32(s, w, x, 2));
    default:
        return vreinterpretq_f32_s32(vdotq_laneq_s32(s, w, x, 3));
    }
}
#include "kernels/gemm/gemm_tmpl.h"

const GemmKernel gemm_bytes_neon_dotprod = {
    .name = "gemm_bytes_neon_dotprod",
    .mr = GEMM_MR,
    .nr = GEMM_NR,
    .per_word = 4,
    .unit = 16,
    .row_unit = 1,
    .row_range = GEMM_ROW_RANGE,
    .a_words = GEMM_A_WORDS,
    .chunk_words = GEMM_CHUNK_WORDS,
    .multiply = multiply_neon,
    .finish = gemm_finish_bytes_neon,
    .pack = gemm_pack_bytes_neon,
};
