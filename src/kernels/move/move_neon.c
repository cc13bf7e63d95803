// move_tmpl.h for NEON.
#include "kernels/vec/vec_neon.h"

#include "kernels/move/move_tmpl.h"
