// Activations in reduced precision, row by row, as the bytes and bf16 kernels of gemm/ read them.
//
// A row depends on its own values only, so it has the same bits in every batch. Rows are filled up
// to a multiple of QUANTIZE_UNIT_BYTES with the value 0, which is what gemm_row_elements asks for.
#ifndef GPUX_KERNELS_QUANTIZE_QUANTIZE_H
#define GPUX_KERNELS_QUANTIZE_QUANTIZE_H

#include "kernels/types.h"

enum { QUANTIZE_UNIT_BYTES = 64 };

typedef struct QuantizeKernels {
    // out[r][i] = round(y / scale) + zero of y = x[r][i] * factors[i]. scale and zero are the row's
    // own: they spread [min(y, 0), max(y, 0)] over the bytes, which halves the step of one-sided
    // rows such as GELU's. x: [rows, dim] of type f32 or bf16 at stride ld_x. factors: dim floats
    // and zeros up to a multiple of QUANTIZE_UNIT_BYTES, or NULL for ones. out: bytes at stride
    // ld_out >= dim rounded up to 64. An infinite or NaN row has no useful result.
    void (*bytes)(size_t rows, size_t dim, const void *x, KernelType type, size_t ld_x,
                  const float *factors, uint8_t *out, size_t ld_out, RowScale *scales);
    // Weights [n, k] for rows with factors: W[j][i] / factors[i], with stride_n or stride_k 1. out:
    // [n, k] floats where stride_k is 1, else [k, n].
    void (*divide)(size_t n, size_t k, const void *weights, KernelType type, size_t stride_n,
                   size_t stride_k, const float *factors, float *out);
    // out[r][i] = bf16(x[r][i]), ties to even. ld_out >= dim rounded up to 32.
    void (*bf16)(size_t rows, size_t dim, const float *x, size_t ld_x, uint16_t *out,
                 size_t ld_out);
} QuantizeKernels;

#endif
