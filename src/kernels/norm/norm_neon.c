// norm_tmpl.h for NEON.
#include "kernels/vec/vec_neon.h"

#include "kernels/norm/norm_tmpl.h"
