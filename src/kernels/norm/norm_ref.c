// norm_tmpl.h for plain C.
#include "kernels/vec/vec_ref.h"

#include "kernels/norm/norm_tmpl.h"
