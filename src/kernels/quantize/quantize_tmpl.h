// Conversion of activation rows over the vector vocabulary; equal bits on every instruction set.
#include "kernels/quantize/quantize_isa.h"
#include "kernels/vec/vec_math.h"

#include <stdbool.h>

enum { CHAINS = 4 }; // vectors side by side

static inline const void *element(const void *x, KernelType type, size_t i) {
    return (const char *)x + i * (type == KERNEL_F32 ? 4 : 2);
}

static inline __attribute__((always_inline)) Vec read_lanes(const void *x, KernelType type,
                                                            size_t i, size_t dim) {
    if (i + VEC_WIDTH <= dim)
        return vec_read(element(x, type, i), type);
    return i < dim ? vec_read_first(dim - i, element(x, type, i), type) : vec_zero();
}

static inline __attribute__((always_inline)) Vec scaled(Vec x, const float *factors, size_t i) {
    return factors ? vec_mul(x, vec_load(factors + i)) : x;
}

// The row's scale and zero point: [low, high], which holds 0, over 254 steps, so that rounding both
// ends cannot leave the bytes.
static inline __attribute__((always_inline)) RowScale
row_scale(size_t dim, const void *x, KernelType type, const float *factors) {
    Vec high[CHAINS], low[CHAINS];
    VEC_EACH(CHAINS) high[v] = low[v] = vec_zero();
    size_t i = 0;
    for (; i + CHAINS * VEC_WIDTH <= dim; i += CHAINS * VEC_WIDTH) {
        Vec y[CHAINS];
        VEC_EACH(CHAINS) y[v] = vec_read(element(x, type, i + v * VEC_WIDTH), type);
        VEC_EACH(CHAINS) y[v] = scaled(y[v], factors, i + v * VEC_WIDTH);
        VEC_EACH(CHAINS) high[v] = vec_max(high[v], y[v]);
        VEC_EACH(CHAINS) low[v] = vec_min(low[v], y[v]);
    }
    for (; i < dim; i += VEC_WIDTH) {
        const Vec y = scaled(read_lanes(x, type, i, dim), factors, i);
        high[0] = vec_max(high[0], y);
        low[0] = vec_min(low[0], y);
    }
    VEC_EACH(CHAINS) high[0] = vec_max(high[0], high[v]);
    VEC_EACH(CHAINS) low[0] = vec_min(low[0], low[v]);
    const float top = vec_highest(high[0]), bottom = vec_highest(vec_sub(vec_zero(), low[0]));
    const float scale = (top + bottom) / 254.0f;
    const bool is_flat = !(top + bottom > QUANTIZE_FLOOR);
    return (RowScale){.scale = scale, .zero = is_flat ? 0 : (int32_t)(bottom / scale + 0.5f)};
}

static inline __attribute__((always_inline)) RowScale
quantize_row(size_t dim, const void *x, KernelType type, const float *factors, uint8_t *out) {
    const size_t padded = (dim + 63) / 64 * 64;
    const RowScale found = row_scale(dim, x, type, factors);
    const Vec inverse = vec_set1(found.scale > QUANTIZE_FLOOR ? 1.0f / found.scale : 0.0f);
    const Vec zero = vec_set1_i32(found.zero);
    size_t i = 0;
    for (; i + CHAINS * VEC_WIDTH <= dim; i += CHAINS * VEC_WIDTH) {
        Vec y[CHAINS];
        VEC_EACH(CHAINS) y[v] = vec_read(element(x, type, i + v * VEC_WIDTH), type);
        VEC_EACH(CHAINS) y[v] = scaled(y[v], factors, i + v * VEC_WIDTH);
        VEC_EACH(CHAINS) vec_store_u8(out + i + v * VEC_WIDTH, vec_mul(y[v], inverse), zero);
    }
    for (; i < padded; i += VEC_WIDTH) {
        const Vec y = scaled(read_lanes(x, type, i, dim), factors, i);
        vec_store_u8(out + i, vec_mul(y, inverse), zero);
    }
    return found;
}

static void ISA(bytes)(size_t rows, size_t dim, const void *x, KernelType type, size_t ld_x,
                       const float *factors, uint8_t *out, size_t ld_out, RowScale *scales) {
    for (size_t r = 0; r < rows; r++) {
        const void *row = element(x, type, r * ld_x);
        uint8_t *y = out + r * ld_out;
        if (type == KERNEL_BF16)
            scales[r] = quantize_row(dim, row, KERNEL_BF16, factors, y);
        else if (factors)
            scales[r] = quantize_row(dim, row, KERNEL_F32, factors, y);
        else
            scales[r] = quantize_row(dim, row, KERNEL_F32, NULL, y);
    }
}

static inline __attribute__((always_inline)) void divide_as(size_t n, size_t k, const char *weights,
                                                            KernelType type, size_t stride_n,
                                                            size_t stride_k, const float *factors,
                                                            float *out) {
    const bool has_rows = stride_k == 1; // W is stored by rows, else by columns
    const size_t rows = has_rows ? n : k, width = has_rows ? k : n;
    const size_t row_bytes = (has_rows ? stride_n : stride_k) * (type == KERNEL_F32 ? 4 : 2);
    for (size_t r = 0; r < rows; r++)
        for (size_t i = 0; i < width; i += VEC_WIDTH) {
            const VecMask mask = vec_first(width - i < VEC_WIDTH ? width - i : VEC_WIDTH);
            const Vec factor = has_rows ? vec_load_mask(mask, factors + i) : vec_set1(factors[r]);
            vec_store_mask(mask, out + r * width + i,
                           vec_div(read_lanes(weights + r * row_bytes, type, i, width), factor));
        }
}

static void ISA(divide)(size_t n, size_t k, const void *weights, KernelType type, size_t stride_n,
                        size_t stride_k, const float *factors, float *out) {
    switch (type) {
    case KERNEL_F32:
        divide_as(n, k, weights, KERNEL_F32, stride_n, stride_k, factors, out);
        break;
    case KERNEL_F16:
        divide_as(n, k, weights, KERNEL_F16, stride_n, stride_k, factors, out);
        break;
    case KERNEL_BF16:
        divide_as(n, k, weights, KERNEL_BF16, stride_n, stride_k, factors, out);
        break;
    }
}

static void ISA(bf16)(size_t rows, size_t dim, const float *x, size_t ld_x, uint16_t *out,
                      size_t ld_out) {
    const size_t padded = (dim + 31) / 32 * 32;
    for (size_t r = 0; r < rows; r++)
        for (size_t i = 0; i < padded; i += VEC_WIDTH)
            vec_store_bf16(out + r * ld_out + i, read_lanes(x + r * ld_x, KERNEL_F32, i, dim));
}

const QuantizeKernels ISA(quantize) = {
    .bytes = ISA(bytes),
    .divide = ISA(divide),
    .bf16 = ISA(bf16),
};
