// Conversion of activation rows over the vector vocabulary; equal bits on every instruction set.
#include "kernels/quantize/quantize_isa.h"
#include "kernels/vec/vec_math.h"

static inline Vec read_lanes(const float *x, size_t i, size_t dim) {
    if (i + VEC_WIDTH <= dim)
        return vec_load(x + i);
    return i < dim ? vec_load_mask(vec_first(dim - i), x + i) : vec_zero();
}

static float row_highest(size_t dim, const float *x) {
    Vec top[4] = {vec_zero(), vec_zero(), vec_zero(), vec_zero()};
    size_t i = 0;
    for (; i + 4 * VEC_WIDTH <= dim; i += 4 * VEC_WIDTH)
#pragma GCC unroll 4
        for (size_t u = 0; u < 4; u++)
            top[u] = vec_max(top[u], vec_abs(vec_load(x + i + u * VEC_WIDTH)));
    for (; i < dim; i += VEC_WIDTH)
        top[0] = vec_max(top[0], vec_abs(read_lanes(x, i, dim)));
    return vec_highest(vec_max(vec_max(top[0], top[1]), vec_max(top[2], top[3])));
}

static void ISA(bytes)(size_t rows, size_t dim, const float *x, size_t ld_x, uint8_t *out,
                       size_t ld_out, float *scales) {
    const size_t padded = (dim + 63) / 64 * 64;
    for (size_t r = 0; r < rows; r++) {
        const float *in = x + r * ld_x;
        const float highest = row_highest(dim, in);
        const Vec inverse = vec_set1(highest > QUANTIZE_FLOOR ? 127.0f / highest : 0.0f);
        for (size_t i = 0; i < padded; i += VEC_WIDTH)
            vec_store_u8(out + r * ld_out + i, vec_quantize(read_lanes(in, i, dim), inverse));
        scales[r] = highest / 127.0f;
    }
}

static void ISA(bf16)(size_t rows, size_t dim, const float *x, size_t ld_x, uint16_t *out,
                      size_t ld_out) {
    const size_t padded = (dim + 31) / 32 * 32;
    for (size_t r = 0; r < rows; r++)
        for (size_t i = 0; i < padded; i += VEC_WIDTH)
            vec_store_bf16(out + r * ld_out + i, read_lanes(x + r * ld_x, i, dim));
}

const QuantizeKernels ISA(quantize) = {
    .bytes = ISA(bytes),
    .bf16 = ISA(bf16),
};
