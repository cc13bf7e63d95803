// Gathering, adding and converting rows.
#ifndef GPUX_KERNELS_MOVE_MOVE_H
#define GPUX_KERNELS_MOVE_MOVE_H

#include "kernels/types.h"

// A table of rows that ids point into: [rows, dim], contiguous, unaligned, as stored on disk.
typedef struct EmbeddingTable {
    const void *data;
    KernelType type;
    size_t rows;
    const int32_t *ids; // [tokens], each in [0, rows): checked by the caller
} EmbeddingTable;

typedef struct MoveKernels {
    // out[t] = table[0][ids[t]] + table[1][ids[t]] + ... in this order. out: [tokens, dim] at
    // ld_out.
    void (*embed_sum)(size_t tokens, size_t dim, const EmbeddingTable *tables, size_t table_count,
                      float *out, size_t ld_out);
    // n values of `type`, unaligned, as f32.
    void (*to_f32)(size_t n, const void *src, KernelType type, float *dst);
    // out = a + b, rows x dim.
    void (*add)(size_t rows, size_t dim, const float *a, size_t ld_a, const float *b, size_t ld_b,
                float *out, size_t ld_out);
    // Mean of rows [0, rows) of x into out[dim]; rows >= 1. Row order of summation is fixed.
    void (*mean_rows)(size_t rows, size_t dim, const float *x, size_t ld_x, float *out);
    // x[dim] divided by max(its L2 norm, epsilon).
    void (*l2_normalize)(size_t dim, float *x, float epsilon);
} MoveKernels;

#endif
