// The f32 kernels of each instruction set, inside kernels/. kernels.c and the attention drawer use
// them.
#ifndef GPUX_KERNELS_GEMM_GEMM_F32_H
#define GPUX_KERNELS_GEMM_GEMM_F32_H

#include "kernels/gemm/gemm.h"

extern const GemmKernel gemm_f32_ref;
extern const GemmKernel gemm_f32_avx2;
extern const GemmKernel gemm_f32_avx512;

#endif
