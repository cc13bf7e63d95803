// The tables of each instruction set, inside kernels/.
#ifndef GPUX_KERNELS_QUANTIZE_QUANTIZE_ISA_H
#define GPUX_KERNELS_QUANTIZE_QUANTIZE_ISA_H

#include "kernels/quantize/quantize.h"

extern const QuantizeKernels quantize_ref;
extern const QuantizeKernels quantize_avx2;
extern const QuantizeKernels quantize_avx512;
extern const QuantizeKernels quantize_neon;

#endif
