// peak_tmpl.h for plain C.
#include "kernels/vec/vec_ref.h"

#include "kernels/peak/peak_tmpl.h"
