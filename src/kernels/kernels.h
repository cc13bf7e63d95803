// The door of kernels/: how to compute it fast. Pointers, sizes and strides; no graph, no tensor
// type.
//
// A KernelTable starts as the reference functions; each instruction set that the CPU has overwrites
// the entries it does better. Nothing here allocates, locks or starts threads: every operation is
// cut into tiles whose results do not depend on who runs which tile, or on the number of rows in
// the call (batch invariance: K in order, one accumulator per element, tails by mask, no
// contraction by the compiler). Callers run the tiles of one call in any order on any thread.
#ifndef GPUX_KERNELS_KERNELS_H
#define GPUX_KERNELS_KERNELS_H

#include "kernels/attention/attention.h"
#include "kernels/gemm/gemm.h"
#include "kernels/move/move.h"
#include "kernels/norm/norm.h"
#include "kernels/peak/peak.h"
#include "kernels/reduced.h"

#include <stdint.h>

typedef struct KernelTable {
    const char *isa; // best level in use: "ref", "avx2", "avx512", "neon"
    GemmKernel gemm_f32;
    AttentionKernel attention_f32;
    NormKernels norm;
    MoveKernels move;
    PeakKernels peak;
} KernelTable;

// Fills the table for a CPU with these CpuFlag bits (base/cpu.h).
void kernels_select(KernelTable *out, uint32_t cpu_flags);

#endif
