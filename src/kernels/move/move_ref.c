// move_tmpl.h for plain C.
#include "kernels/vec/vec_ref.h"

#include "kernels/move/move_tmpl.h"
