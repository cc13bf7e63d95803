// Row normalisation over the vector vocabulary. Sums run in a fixed order that depends on `dim`
// only.
#include "kernels/norm/norm_isa.h"
#include "kernels/vec/vec_math.h"

static inline size_t lanes_at(size_t i, size_t n) {
    return n - i < VEC_WIDTH ? n - i : VEC_WIDTH;
}

static float row_mean(size_t dim, const float *x) {
    Vec sum[4] = {vec_zero(), vec_zero(), vec_zero(), vec_zero()};
    size_t i = 0;
    for (; i + 4 * VEC_WIDTH <= dim; i += 4 * VEC_WIDTH)
#pragma GCC unroll 4
        for (size_t u = 0; u < 4; u++)
            sum[u] = vec_add(sum[u], vec_load(x + i + u * VEC_WIDTH));
    for (; i < dim; i += VEC_WIDTH)
        sum[0] = vec_add(sum[0], vec_load_mask(vec_first(lanes_at(i, dim)), x + i));
    return vec_sum(vec_add(vec_add(sum[0], sum[1]), vec_add(sum[2], sum[3]))) / (float)dim;
}

static float row_variance(size_t dim, const float *x, float mean) {
    const Vec m = vec_set1(mean);
    Vec sum[4] = {vec_zero(), vec_zero(), vec_zero(), vec_zero()};
    size_t i = 0;
    for (; i + 4 * VEC_WIDTH <= dim; i += 4 * VEC_WIDTH)
#pragma GCC unroll 4
        for (size_t u = 0; u < 4; u++) {
            const Vec d = vec_sub(vec_load(x + i + u * VEC_WIDTH), m);
            sum[u] = vec_fma(d, d, sum[u]);
        }
    for (; i < dim; i += VEC_WIDTH) {
        const VecMask mask = vec_first(lanes_at(i, dim));
        const Vec d = vec_choose(mask, vec_sub(vec_load_mask(mask, x + i), m), vec_zero());
        sum[0] = vec_fma(d, d, sum[0]);
    }
    return vec_sum(vec_add(vec_add(sum[0], sum[1]), vec_add(sum[2], sum[3]))) / (float)dim;
}

static void ISA(layer_norm)(size_t rows, size_t dim, const float *x, size_t ld_x,
                            const float *scale, const float *shift, float epsilon, float *y,
                            size_t ld_y) {
    for (size_t r = 0; r < rows; r++) {
        const float *in = x + r * ld_x;
        float *out = y + r * ld_y;
        const float mean = row_mean(dim, in);
        const float variance = row_variance(dim, in, mean);
        const Vec inverse = vec_div(vec_set1(1.0f), vec_sqrt(vec_set1(variance + epsilon)));
        for (size_t i = 0; i < dim; i += VEC_WIDTH) {
            const VecMask mask = vec_first(lanes_at(i, dim));
            const Vec d = vec_sub(vec_load_mask(mask, in + i), vec_set1(mean));
            const Vec z = vec_mul(d, inverse);
            vec_store_mask(
                mask, out + i,
                vec_fma(z, vec_load_mask(mask, scale + i), vec_load_mask(mask, shift + i)));
        }
    }
}

static void ISA(softmax)(size_t n, float *x) {
    const Vec lowest = vec_set1(-INFINITY);
    Vec top = lowest;
    for (size_t i = 0; i < n; i += VEC_WIDTH) {
        const VecMask mask = vec_first(lanes_at(i, n));
        top = vec_max(top, vec_choose(mask, vec_load_mask(mask, x + i), lowest));
    }
    const Vec highest = vec_set1(vec_highest(top));
    Vec sum = vec_zero();
    for (size_t i = 0; i < n; i += VEC_WIDTH) {
        const VecMask mask = vec_first(lanes_at(i, n));
        Vec e[1] = {vec_sub(vec_load_mask(mask, x + i), highest)};
        vec_exp(1, e);
        sum = vec_add(sum, vec_choose(mask, e[0], vec_zero()));
        vec_store_mask(mask, x + i, e[0]);
    }
    const Vec total = vec_set1(vec_sum(sum));
    for (size_t i = 0; i < n; i += VEC_WIDTH) {
        const VecMask mask = vec_first(lanes_at(i, n));
        vec_store_mask(mask, x + i, vec_div(vec_load_mask(mask, x + i), total));
    }
}

static inline __attribute__((always_inline)) void activate_as(size_t n, float *x,
                                                              Activation activation) {
    enum { BUNDLE = 4 };
    size_t i = 0;
    for (; i + BUNDLE * VEC_WIDTH <= n; i += BUNDLE * VEC_WIDTH) {
        Vec y[VEC_BUNDLE];
        VEC_EACH(BUNDLE) y[v] = vec_load(x + i + v * VEC_WIDTH);
        vec_activate(BUNDLE, y, activation);
        VEC_EACH(BUNDLE) vec_store(x + i + v * VEC_WIDTH, y[v]);
    }
    for (; i < n; i += VEC_WIDTH) {
        const VecMask mask = vec_first(lanes_at(i, n));
        Vec y[1] = {vec_load_mask(mask, x + i)};
        vec_activate(1, y, activation);
        vec_store_mask(mask, x + i, y[0]);
    }
}

static void ISA(activate)(size_t n, float *x, Activation activation) {
#define ACTIVATE_CASE(which)                                                                       \
    case which:                                                                                    \
        activate_as(n, x, which);                                                                  \
        break
    switch (activation) {
        ACTIVATE_CASE(ACTIVATION_NONE);
        ACTIVATE_CASE(ACTIVATION_RELU);
        ACTIVATE_CASE(ACTIVATION_GELU);
        ACTIVATE_CASE(ACTIVATION_GELU_TANH);
        ACTIVATE_CASE(ACTIVATION_TANH);
        ACTIVATE_CASE(ACTIVATION_SILU);
        ACTIVATE_CASE(ACTIVATION_SIGMOID);
    }
#undef ACTIVATE_CASE
}

const NormKernels ISA(norm) = {
    .layer_norm = ISA(layer_norm),
    .softmax = ISA(softmax),
    .activate = ISA(activate),
};
