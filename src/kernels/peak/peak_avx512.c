// peak_tmpl.h for AVX-512.
#include "kernels/vec/vec_avx512.h"

#include "kernels/peak/peak_tmpl.h"
