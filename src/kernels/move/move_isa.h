// The tables of each instruction set, for kernels.c.
#ifndef GPUX_KERNELS_MOVE_MOVE_ISA_H
#define GPUX_KERNELS_MOVE_MOVE_ISA_H

#include "kernels/move/move.h"

#include <stdbool.h>

extern const MoveKernels move_ref;
extern const MoveKernels move_avx2;
extern const MoveKernels move_avx512;
extern const MoveKernels move_neon;

#endif
