// Layer normalisation over rows.
#ifndef GPUX_KERNELS_NORM_NORM_H
#define GPUX_KERNELS_NORM_NORM_H

#include "kernels/types.h"

typedef struct NormKernels {
    // y = (x - mean) / sqrt(variance + epsilon) * scale + shift per row (Ba et al. 2016),
    // population variance. x, y: [rows, dim] at strides ld_x, ld_y, may be the same. scale, shift:
    // [dim].
    void (*layer_norm)(size_t rows, size_t dim, const float *x, size_t ld_x, const float *scale,
                       const float *shift, float epsilon, float *y, size_t ld_y);
    // In place softmax of one row of n values, for the interpretation of logits.
    void (*softmax)(size_t n, float *x);
    // x = activation(x) over n values.
    void (*activate)(size_t n, float *x, Activation activation);
} NormKernels;

#endif
