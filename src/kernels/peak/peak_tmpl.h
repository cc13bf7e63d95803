// Peak loops over the vector vocabulary.
#include "kernels/peak/peak.h"

#ifndef PEAK_CHAINS
#define PEAK_CHAINS 10 // 2 pipes of latency 4 or 5
#endif

static size_t ISA(multiply_add)(size_t rounds, float *result) {
    enum { CHAINS = PEAK_CHAINS, UNROLL = 16 };
    Vec sum[CHAINS];
    const Vec x = vec_set1(0.999f), y = vec_set1(1e-6f);
#pragma GCC unroll 16
    for (int c = 0; c < CHAINS; c++)
        sum[c] = vec_set1(1.0f + (float)c);
    for (size_t i = 0; i < rounds; i++)
#pragma GCC unroll 16
        for (int u = 0; u < UNROLL; u++)
#pragma GCC unroll 16
            for (int c = 0; c < CHAINS; c++)
                sum[c] = vec_fma(sum[c], x, y);
    *result = 0;
    for (int c = 0; c < CHAINS; c++)
        *result += vec_sum(sum[c]);
    return rounds * UNROLL * CHAINS * VEC_WIDTH * 2;
}

static void ISA(read)(size_t bytes, const void *data, float *result) {
    enum { CHAINS = 8 };
    const float *x = data;
    Vec sum[CHAINS];
#pragma GCC unroll 8
    for (int c = 0; c < CHAINS; c++)
        sum[c] = vec_zero();
    for (size_t i = 0; i + CHAINS * VEC_WIDTH <= bytes / sizeof *x; i += CHAINS * VEC_WIDTH)
#pragma GCC unroll 8
        for (size_t c = 0; c < CHAINS; c++)
            sum[c] = vec_add(sum[c], vec_load(x + i + c * VEC_WIDTH));
    *result = 0;
    for (int c = 0; c < CHAINS; c++)
        *result += vec_sum(sum[c]);
}

const PeakKernels ISA(peak) = {
    .multiply_add = ISA(multiply_add),
    .read = ISA(read),
};
