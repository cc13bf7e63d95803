// What this machine can do at most: the yardstick of profiles and benches.
#ifndef GPUX_KERNELS_PEAK_PEAK_H
#define GPUX_KERNELS_PEAK_PEAK_H

#include <stddef.h>

typedef struct PeakKernels {
    // Independent fused multiply-adds from registers; answers how many floating-point operations.
    size_t (*multiply_add)(size_t rounds, float *result);
    // Sums the floats of `bytes` bytes (a multiple of 1024), so that all are read.
    void (*read)(size_t bytes, const void *data, float *result);
} PeakKernels;

extern const PeakKernels peak_ref;
extern const PeakKernels peak_avx2;
extern const PeakKernels peak_avx512;
extern const PeakKernels peak_neon;

#endif
