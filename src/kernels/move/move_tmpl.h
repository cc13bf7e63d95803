// Gathering, adding and converting over the vector vocabulary. No result depends on the vector
// width except l2_normalize, whose sum runs in a fixed order per width.
#include "kernels/move/move_isa.h"
#include "kernels/vec/vec_math.h"

static inline size_t lanes_at(size_t i, size_t n) {
    return n - i < VEC_WIDTH ? n - i : VEC_WIDTH;
}

// out (+)= n values of `type`.
static inline __attribute__((always_inline)) void
convert_as(size_t n, const char *src, KernelType type, float *out, bool add) {
    const size_t size = kernel_type_size(type);
    size_t i = 0;
    for (; i + VEC_WIDTH <= n; i += VEC_WIDTH) {
        const Vec x = vec_read(src + i * size, type);
        vec_store(out + i, add ? vec_add(vec_load(out + i), x) : x);
    }
    if (i < n) {
        const VecMask mask = vec_first(n - i);
        const Vec x = vec_read_first(n - i, src + i * size, type);
        vec_store_mask(mask, out + i, add ? vec_add(vec_load_mask(mask, out + i), x) : x);
    }
}

static void convert(size_t n, const void *src, KernelType type, float *out, bool add) {
    if (type == KERNEL_F32)
        convert_as(n, src, KERNEL_F32, out, add);
    else if (type == KERNEL_F16)
        convert_as(n, src, KERNEL_F16, out, add);
    else
        convert_as(n, src, KERNEL_BF16, out, add);
}

static void ISA(to_f32)(size_t n, const void *src, KernelType type, float *dst) {
    convert(n, src, type, dst, false);
}

static void ISA(embed_sum)(size_t tokens, size_t dim, const EmbeddingTable *tables,
                           size_t table_count, float *out, size_t ld_out) {
    for (size_t t = 0; t < tokens; t++)
        for (size_t i = 0; i < table_count; i++) {
            const size_t row_bytes = dim * kernel_type_size(tables[i].type);
            const char *row = (const char *)tables[i].data + (size_t)tables[i].ids[t] * row_bytes;
            convert(dim, row, tables[i].type, out + t * ld_out, i > 0);
        }
}

static void ISA(add)(size_t rows, size_t dim, const float *a, size_t ld_a, const float *b,
                     size_t ld_b, float *out, size_t ld_out) {
    for (size_t r = 0; r < rows; r++)
        for (size_t i = 0; i < dim; i += VEC_WIDTH) {
            const VecMask mask = vec_first(lanes_at(i, dim));
            const Vec x = vec_load_mask(mask, a + r * ld_a + i);
            const Vec y = vec_load_mask(mask, b + r * ld_b + i);
            vec_store_mask(mask, out + r * ld_out + i, vec_add(x, y));
        }
}

static void ISA(mean_rows)(size_t rows, size_t dim, const float *x, size_t ld_x, float *out) {
    const Vec count = vec_set1((float)rows);
    enum { STRIPE = 8 }; // vectors side by side: eight sums in flight, whole cache lines read
    for (size_t i = 0; i < dim; i += STRIPE * VEC_WIDTH) {
        Vec sum[STRIPE];
        VecMask mask[STRIPE];
#pragma GCC unroll 8
        for (size_t v = 0; v < STRIPE; v++) {
            const size_t at = i + v * VEC_WIDTH;
            sum[v] = vec_zero();
            mask[v] = vec_first(at < dim ? lanes_at(at, dim) : 0);
        }
        for (size_t r = 0; r < rows; r++)
#pragma GCC unroll 8
            for (size_t v = 0; v < STRIPE; v++)
                sum[v] = vec_add(sum[v], vec_load_mask(mask[v], x + r * ld_x + i + v * VEC_WIDTH));
#pragma GCC unroll 8
        for (size_t v = 0; v < STRIPE; v++)
            vec_store_mask(mask[v], out + i + v * VEC_WIDTH, vec_div(sum[v], count));
    }
}

static void ISA(l2_normalize)(size_t dim, float *x, float epsilon) {
    Vec sum = vec_zero();
    for (size_t i = 0; i < dim; i += VEC_WIDTH) {
        const Vec v = vec_load_mask(vec_first(lanes_at(i, dim)), x + i);
        sum = vec_fma(v, v, sum);
    }
    const Vec length = vec_sqrt(vec_set1(vec_sum(sum)));
    const Vec divisor = vec_max(length, vec_set1(epsilon));
    for (size_t i = 0; i < dim; i += VEC_WIDTH) {
        const VecMask mask = vec_first(lanes_at(i, dim));
        vec_store_mask(mask, x + i, vec_div(vec_load_mask(mask, x + i), divisor));
    }
}

const MoveKernels ISA(move) = {
    .embed_sum = ISA(embed_sum),
    .to_f32 = ISA(to_f32),
    .add = ISA(add),
    .mean_rows = ISA(mean_rows),
    .l2_normalize = ISA(l2_normalize),
};
