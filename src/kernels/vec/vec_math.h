// Elementary functions in the vector vocabulary. Included after one vec_*.h.
//
// Each is one expression for all lanes, so a value's result depends neither on its lane nor on the
// instruction set. They work in place on bundles of up to VEC_BUNDLE vectors, step by step side by
// side: a single polynomial is a chain of dependent operations and leaves the pipes two thirds
// empty. Polynomials are minimax fits; errors were measured against double precision over all of
// the argument range (kernel_check repeats that) and stand at each function.
#ifndef GPUX_KERNELS_VEC_VEC_MATH_H
#define GPUX_KERNELS_VEC_VEC_MATH_H

#include "kernels/types.h"

enum { VEC_BUNDLE = 8 };

// The same statement for each vector of a bundle; `count` is a constant at each use.
#define VEC_EACH(count) _Pragma("GCC unroll 8") for (size_t v = 0; v < (count); v++)

// One step of Horner's scheme: p = p * x + c.
static inline __attribute__((always_inline)) void vec_step(const size_t count, Vec p[],
                                                           const Vec x[], float c) {
    VEC_EACH(count) p[v] = vec_fma(p[v], x[v], vec_set1(c));
}

// p = 2^f for f in [-1/2, 1/2], relative error 9.2e-8.
static inline __attribute__((always_inline)) void vec_exp2_fraction(const size_t count, Vec p[],
                                                                    const Vec f[]) {
    VEC_EACH(count) p[v] = vec_set1(0.00132647355f);
    vec_step(count, p, f, 0.00967151579f);
    vec_step(count, p, f, 0.0555073358f);
    vec_step(count, p, f, 0.240222424f);
    vec_step(count, p, f, 0.693147004f);
    vec_step(count, p, f, 1.0f);
}

// x = 2^x for x <= 0, relative error 2e-7; 0 below -126, where results would be subnormal.
static inline __attribute__((always_inline)) void vec_exp2_negative(const size_t count, Vec x[]) {
    const Vec lowest = vec_set1(-126.0f);
    Vec n[VEC_BUNDLE], f[VEC_BUNDLE], p[VEC_BUNDLE];
    VEC_EACH(count) f[v] = vec_max(lowest, x[v]);
    VEC_EACH(count) n[v] = vec_round(f[v]);
    VEC_EACH(count) f[v] = vec_sub(f[v], n[v]);
    vec_exp2_fraction(count, p, f);
    VEC_EACH(count)
    x[v] = vec_choose(vec_less(x[v], lowest), vec_zero(), vec_scale(p[v], n[v]));
}

// x = 2^x for x <= 0 where the result is rounded to bf16: relative error 7.5e-5, and 2^-126 for all
// that is below -126.
static inline __attribute__((always_inline)) void vec_exp2_negative_bf16(const size_t count,
                                                                         Vec x[]) {
    Vec n[VEC_BUNDLE], p[VEC_BUNDLE];
    VEC_EACH(count) x[v] = vec_max(vec_set1(-126.0f), x[v]);
    VEC_EACH(count) n[v] = vec_round(x[v]);
    VEC_EACH(count) x[v] = vec_sub(x[v], n[v]);
    VEC_EACH(count) p[v] = vec_set1(0.055171773f);
    vec_step(count, p, x, 0.24261138f);
    vec_step(count, p, x, 0.69326097f);
    vec_step(count, p, x, 0.999928f);
    VEC_EACH(count) x[v] = vec_scale(p[v], n[v]);
}

// x = e^x, relative error 1.2e-7; 0 below -87.33, infinity above 88.72, NaN for NaN.
static inline __attribute__((always_inline)) void vec_exp(const size_t count, Vec x[]) {
    const Vec lowest = vec_set1(-0x1.5d589ep6f);
    const Vec highest = vec_set1(0x1.63p6f); // e^88.75 overflows by itself
    Vec n[VEC_BUNDLE], r[VEC_BUNDLE], p[VEC_BUNDLE];
    VEC_EACH(count) r[v] = vec_min(highest, vec_max(lowest, x[v]));
    VEC_EACH(count) n[v] = vec_round(vec_mul(r[v], vec_set1(0x1.715476p0f)));
    VEC_EACH(count) r[v] = vec_fnma(n[v], vec_set1(0x1.62e400p-1f), r[v]); // ln 2 in two parts
    VEC_EACH(count) r[v] = vec_fnma(n[v], vec_set1(0x1.7f7d1cp-20f), r[v]);
    VEC_EACH(count) p[v] = vec_set1(1.37805939e-3f);
    vec_step(count, p, r, 8.37312452e-3f);
    vec_step(count, p, r, 4.16695364e-2f);
    vec_step(count, p, r, 1.66664720e-1f);
    vec_step(count, p, r, 4.99999851e-1f);
    vec_step(count, p, r, 1.0f);
    vec_step(count, p, r, 1.0f);
    VEC_EACH(count)
    x[v] = vec_choose(vec_less(x[v], lowest), vec_zero(), vec_scale(p[v], n[v]));
}

// y = 1 + e^-x.
static inline __attribute__((always_inline)) void vec_one_plus_exp(const size_t count, Vec y[],
                                                                   const Vec x[]) {
    VEC_EACH(count) y[v] = vec_sub(vec_zero(), x[v]);
    vec_exp(count, y);
    VEC_EACH(count) y[v] = vec_add(vec_set1(1.0f), y[v]);
}

// x = 1 / (1 + e^-x), relative error 3e-7 where the result is normal.
static inline __attribute__((always_inline)) void vec_sigmoid(const size_t count, Vec x[]) {
    Vec y[VEC_BUNDLE];
    vec_one_plus_exp(count, y, x);
    VEC_EACH(count) x[v] = vec_div(vec_set1(1.0f), y[v]);
}

// x = x / (1 + e^-x), relative error 3e-7.
static inline __attribute__((always_inline)) void vec_silu(const size_t count, Vec x[]) {
    Vec y[VEC_BUNDLE];
    vec_one_plus_exp(count, y, x);
    VEC_EACH(count) x[v] = vec_div(x[v], y[v]);
}

// x = tanh x, relative error 3e-7: a polynomial near 0, 1 - 2 / (e^2x + 1) elsewhere.
static inline __attribute__((always_inline)) void vec_tanh(const size_t count, Vec x[]) {
    const Vec one = vec_set1(1.0f);
    Vec t[VEC_BUNDLE], s[VEC_BUNDLE], p[VEC_BUNDLE], e[VEC_BUNDLE];
    VEC_EACH(count) t[v] = vec_abs(x[v]);
    VEC_EACH(count) s[v] = vec_mul(t[v], t[v]);
    VEC_EACH(count) p[v] = vec_set1(-5.89510752e-3f);
    vec_step(count, p, s, 2.0795932e-2f);
    vec_step(count, p, s, -5.37838191e-2f);
    vec_step(count, p, s, 0.133319244f);
    vec_step(count, p, s, -0.333332986f);
    VEC_EACH(count) p[v] = vec_fma(vec_mul(p[v], s[v]), t[v], t[v]);
    VEC_EACH(count) e[v] = vec_add(t[v], t[v]);
    vec_exp(count, e);
    VEC_EACH(count) e[v] = vec_sub(one, vec_div(vec_set1(2.0f), vec_add(e[v], one)));
    VEC_EACH(count)
    x[v] = vec_copysign(vec_choose(vec_less(t[v], vec_set1(0.6f)), p[v], e[v]), x[v]);
}

// x = x * Phi(x) = max(x, 0) - |x| * Phi(-|x|), and Phi(-t) = 2^-Q(t) with a polynomial Q fitted so
// that the product's error is smallest: one exponential, no branch. Absolute error 6e-8 * max(1,
// |x|).
static inline __attribute__((always_inline)) void vec_gelu(const size_t count, Vec x[]) {
    Vec t[VEC_BUNDLE], q[VEC_BUNDLE], n[VEC_BUNDLE], p[VEC_BUNDLE];
    VEC_EACH(count) t[v] = vec_min(vec_set1(9.0f), vec_abs(x[v])); // Q grows up to here
    VEC_EACH(count) q[v] = vec_set1(-3.13827826e-7f);
    vec_step(count, q, t, 6.52833114e-6f);
    vec_step(count, q, t, -5.59589025e-5f);
    vec_step(count, q, t, 2.20644768e-4f);
    vec_step(count, q, t, 1.08724635e-4f);
    vec_step(count, q, t, -7.07251159e-3f);
    vec_step(count, q, t, 5.2526962e-2f);
    vec_step(count, q, t, 0.459189922f);
    vec_step(count, q, t, 1.15110898f);
    vec_step(count, q, t, 0.999999821f);
    VEC_EACH(count) n[v] = vec_round(q[v]);
    VEC_EACH(count) q[v] = vec_sub(n[v], q[v]); // 2^-q = 2^-n * 2^(n - q)
    vec_exp2_fraction(count, p, q);
    VEC_EACH(count) p[v] = vec_scale(p[v], vec_sub(vec_zero(), n[v]));
    VEC_EACH(count) x[v] = vec_fnma(t[v], p[v], vec_max(vec_zero(), x[v]));
}

// The same for results that are rounded to bf16: Phi(-t) is a polynomial and 0 beyond 4.5. Absolute
// error 6e-5, relative error 1.2e-4 near 0; bf16 rounds by up to 2e-3 of the result.
static inline __attribute__((always_inline)) void vec_gelu_bf16(const size_t count, Vec x[]) {
    Vec t[VEC_BUNDLE], p[VEC_BUNDLE];
    VEC_EACH(count) t[v] = vec_min(vec_set1(4.5f), vec_abs(x[v]));
    VEC_EACH(count) p[v] = vec_set1(-1.306979e-5f);
    vec_step(count, p, t, 3.0925003e-4f);
    vec_step(count, p, t, -3.0135766e-3f);
    vec_step(count, p, t, 1.5139974e-2f);
    vec_step(count, p, t, -3.842063e-2f);
    vec_step(count, p, t, 3.0230518e-2f);
    vec_step(count, p, t, 4.9273107e-2f);
    vec_step(count, p, t, 4.1502193e-3f);
    vec_step(count, p, t, -0.39895427f);
    vec_step(count, p, t, 0.4999409f);
    VEC_EACH(count) x[v] = vec_fnma(t[v], p[v], vec_max(vec_zero(), x[v]));
}

// x = 0.5 x (1 + tanh u) = x / (1 + e^-2u), u = sqrt(2 / pi) (x + 0.044715 x^3).
static inline __attribute__((always_inline)) void vec_gelu_tanh(const size_t count, Vec x[]) {
    Vec u[VEC_BUNDLE], y[VEC_BUNDLE];
    VEC_EACH(count)
    u[v] = vec_fma(vec_mul(x[v], x[v]), vec_set1(0.044715f), vec_set1(1.0f));
    VEC_EACH(count) u[v] = vec_mul(vec_mul(x[v], vec_set1(1.5957691216f)), u[v]);
    vec_one_plus_exp(count, y, u);
    VEC_EACH(count) x[v] = vec_div(x[v], y[v]);
}

// `count` and `activation` are constants at each use, so that only one branch is left.
static inline __attribute__((always_inline)) void vec_activate(const size_t count, Vec x[],
                                                               Activation activation) {
    switch (activation) {
    case ACTIVATION_NONE:
        break;
    case ACTIVATION_RELU:
        VEC_EACH(count) x[v] = vec_max(vec_zero(), x[v]);
        break;
    case ACTIVATION_GELU:
        vec_gelu(count, x);
        break;
    case ACTIVATION_GELU_TANH:
        vec_gelu_tanh(count, x);
        break;
    case ACTIVATION_TANH:
        vec_tanh(count, x);
        break;
    case ACTIVATION_SILU:
        vec_silu(count, x);
        break;
    case ACTIVATION_SIGMOID:
        vec_sigmoid(count, x);
        break;
    }
}

static inline size_t kernel_type_size(KernelType type) {
    return type == KERNEL_F32 ? 4 : 2;
}

// VEC_WIDTH elements of `type` at any address.
static inline Vec vec_read(const void *p, KernelType type) {
    if (type == KERNEL_F32)
        return vec_load(p);
    return type == KERNEL_F16 ? vec_load_f16(p) : vec_load_bf16(p);
}

// The first n < VEC_WIDTH elements; the other lanes are 0. Reads no byte past the n-th element.
static inline Vec vec_read_first(size_t n, const void *p, KernelType type) {
    if (type == KERNEL_F32)
        return vec_load_mask(vec_first(n), p);
    uint16_t halves[VEC_WIDTH] = {0};
    memcpy(halves, p, n * sizeof halves[0]);
    return vec_read(halves, type);
}

static inline float kernel_read_one(const void *p, KernelType type) {
    float lanes[VEC_WIDTH];
    vec_store(lanes, vec_read_first(1, p, type));
    return lanes[0];
}

// Rows and columns whose largest magnitude is not above this count as 0: the inverse of their scale
// could be infinite.
#define QUANTIZE_FLOOR 1e-30f

#endif
