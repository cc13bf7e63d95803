// peak_tmpl.h for NEON.
#include "kernels/vec/vec_neon.h"

#define PEAK_CHAINS 16 // up to 4 pipes of latency 4

#include "kernels/peak/peak_tmpl.h"
