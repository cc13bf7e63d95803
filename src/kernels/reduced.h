// Kernels in reduced precision: bytes and bf16. They fill up a table of their own; kernels.h is the
// door.
#ifndef GPUX_KERNELS_REDUCED_H
#define GPUX_KERNELS_REDUCED_H

#include "kernels/attention/attention.h"
#include "kernels/gemm/gemm.h"
#include "kernels/quantize/quantize.h"

#include <stdbool.h>

typedef struct ReducedKernels {
    GemmKernel gemm_bytes, gemm_bf16;
    bool is_bytes_fast, is_bf16_fast; // faster than f32 on this CPU, not only smaller
    AttentionKernel attention;        // in bf16; its name is NULL where f32 is faster
    QuantizeKernels quantize;
} ReducedKernels;

// Fills the table for a CPU with these CpuFlag bits (base/cpu.h).
void kernels_select_reduced(ReducedKernels *out, uint32_t cpu_flags);

#endif
