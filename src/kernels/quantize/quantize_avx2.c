// quantize_tmpl.h for AVX2.
#include "kernels/vec/vec_avx2.h"

#include "kernels/quantize/quantize_tmpl.h"
