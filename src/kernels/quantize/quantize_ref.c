// quantize_tmpl.h for plain C.
#include "kernels/vec/vec_ref.h"

#include "kernels/quantize/quantize_tmpl.h"
