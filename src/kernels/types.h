// Vocabulary shared by the kernel drawers.
#ifndef GPUX_KERNELS_TYPES_H
#define GPUX_KERNELS_TYPES_H

#include <stddef.h>
#include <stdint.h>

// Element types that packers read.
typedef enum KernelType {
    KERNEL_F32,
    KERNEL_F16,
    KERNEL_BF16,
} KernelType;

// How the bytes of one row stand for floats: x = (byte - zero) * scale.
typedef struct RowScale {
    float scale;
    int32_t zero; // in [0, 255]
} RowScale;

typedef enum Activation {
    ACTIVATION_NONE,
    ACTIVATION_RELU,
    ACTIVATION_GELU,      // x * 0.5 * (1 + erf(x / sqrt 2))
    ACTIVATION_GELU_TANH, // the tanh approximation
    ACTIVATION_TANH,
    ACTIVATION_SILU,
    ACTIVATION_SIGMOID,
} Activation;

#endif
