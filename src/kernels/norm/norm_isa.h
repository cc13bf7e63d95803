// The tables of each instruction set, for kernels.c.
#ifndef GPUX_KERNELS_NORM_NORM_ISA_H
#define GPUX_KERNELS_NORM_NORM_ISA_H

#include "kernels/norm/norm.h"

#include <math.h>

extern const NormKernels norm_ref;
extern const NormKernels norm_avx2;
extern const NormKernels norm_avx512;
extern const NormKernels norm_neon;

#endif
