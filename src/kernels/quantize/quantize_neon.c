// quantize_tmpl.h for NEON.
#include "kernels/vec/vec_neon.h"

#include "kernels/quantize/quantize_tmpl.h"
