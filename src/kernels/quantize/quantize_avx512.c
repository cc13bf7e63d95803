// quantize_tmpl.h for AVX-512.
#include "kernels/vec/vec_avx512.h"

#include "kernels/quantize/quantize_tmpl.h"
