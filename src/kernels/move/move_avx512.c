// move_tmpl.h for AVX-512.
#include "kernels/vec/vec_avx512.h"

#include "kernels/move/move_tmpl.h"
