// The f32 register tile, its epilogue and its packer over the vector vocabulary. The including file
// defines GEMM_MR rows and GEMM_NV vectors of columns.
#include "kernels/gemm/gemm_f32.h"
#include "kernels/vec/vec_math.h"

enum { GEMM_NR = GEMM_NV * VEC_WIDTH, ROWS_PER_BASE = 3, BASES = (GEMM_MR + 2) / 3 };
enum { FINISH_BUNDLE = GEMM_NV < 4 ? 2 * GEMM_NV : 4 };

// One step of k: a row of the panel times `rows` broadcast elements of A.
static inline __attribute__((always_inline)) void
multiply_step(const size_t rows, Vec acc[GEMM_MR][GEMM_NV], const float *const a[BASES], size_t lda,
              const float *panel, size_t at) {
    Vec b[GEMM_NV];
#pragma GCC unroll 16
    for (size_t v = 0; v < GEMM_NV; v++)
        b[v] = vec_load(panel + at * GEMM_NR + v * VEC_WIDTH);
#pragma GCC unroll 16
    for (size_t r = 0; r < rows; r++) {
        const Vec x = vec_set1(a[r / ROWS_PER_BASE][r % ROWS_PER_BASE * lda + at]);
#pragma GCC unroll 16
        for (size_t v = 0; v < GEMM_NV; v++)
            acc[r][v] = vec_fma(x, b[v], acc[r][v]);
    }
}

// `rows` and `lines` are constants at each use: the accumulators live in registers. One pointer
// serves three rows (base, base + lda, base + 2 lda are addressing modes), and the compiler must
// not know how they are related: left alone it keeps fourteen pointers, which do not fit in
// registers (-12 % speed).
static inline __attribute__((always_inline)) void
multiply_rows(const size_t rows, const size_t lines, size_t k, const float *a, size_t lda,
              const float *panel, float *sums, size_t ld_sums, bool accumulate, const char *ahead) {
    Vec acc[GEMM_MR][GEMM_NV];
    const float *base[BASES];
#pragma GCC unroll 16
    for (size_t g = 0; g < BASES; g++)
        base[g] = a + g * ROWS_PER_BASE * lda;
#pragma GCC unroll 16
    for (size_t r = 0; r < rows; r++)
#pragma GCC unroll 16
        for (size_t v = 0; v < GEMM_NV; v++)
            acc[r][v] = vec_zero();
    if (accumulate) {
#pragma GCC unroll 16
        for (size_t r = 0; r < rows; r++)
#pragma GCC unroll 16
            for (size_t v = 0; v < GEMM_NV; v++)
                acc[r][v] = vec_load(sums + r * ld_sums + v * VEC_WIDTH);
    }
    for (; k >= 4; k -= 4) {
#pragma GCC unroll 4
        for (size_t step = 0; step < 4; step++) {
            // Spread over the steps: a burst of prefetches stalls the loads behind it (-30 % at 14
            // rows).
            if (step * lines % 4 == 0)
                vec_prefetch(ahead + step * lines / 4 * 64);
            if (lines == 8)
                vec_prefetch(ahead + (step * 2 + 1) * 64);
            multiply_step(rows, acc, base, lda, panel, step);
        }
        panel += 4 * GEMM_NR;
        ahead += lines * 64;
        __asm__("" : "+r"(panel), "+r"(ahead));
#pragma GCC unroll 16
        for (size_t g = 0; g < BASES; g++) {
            base[g] += 4;
            __asm__("" : "+r"(base[g]));
        }
    }
    for (size_t step = 0; step < k; step++)
        multiply_step(rows, acc, base, lda, panel, step);
#pragma GCC unroll 16
    for (size_t r = 0; r < rows; r++)
#pragma GCC unroll 16
        for (size_t v = 0; v < GEMM_NV; v++)
            vec_store(sums + r * ld_sums + v * VEC_WIDTH, acc[r][v]);
}

static inline __attribute__((always_inline)) void
multiply_at_rate(const size_t rows, size_t k, const float *a, size_t lda, const float *panel,
                 float *sums, size_t ld_sums, bool accumulate, GemmPrefetch prefetch) {
    if (prefetch.rate == GEMM_PREFETCH_ALL)
        multiply_rows(rows, 8, k, a, lda, panel, sums, ld_sums, accumulate, prefetch.address);
    else if (prefetch.rate == GEMM_PREFETCH_QUARTER)
        multiply_rows(rows, 2, k, a, lda, panel, sums, ld_sums, accumulate, prefetch.address);
    else // without an address it fetches what is needed anyway
        multiply_rows(rows, 1, k, a, lda, panel, sums, ld_sums, accumulate,
                      prefetch.address ? prefetch.address : (const char *)panel);
}

// `count` whole vectors of one row from column j on; `count` and `activation` are constants.
static inline __attribute__((always_inline)) void
finish_vectors(const size_t count, size_t j, const float *sums, const float *bias,
               const float *residual, float *c, Activation activation) {
    Vec x[VEC_BUNDLE];
    VEC_EACH(count) x[v] = vec_load(sums + j + v * VEC_WIDTH);
    if (bias)
        VEC_EACH(count) x[v] = vec_add(x[v], vec_load(bias + j + v * VEC_WIDTH));
    vec_activate(count, x, activation);
    if (residual)
        VEC_EACH(count) x[v] = vec_add(x[v], vec_load(residual + j + v * VEC_WIDTH));
    VEC_EACH(count) vec_store(c + j + v * VEC_WIDTH, x[v]);
}

static inline __attribute__((always_inline)) void
finish_as(size_t rows, size_t cols, const float *sums, size_t ld_sums, float *c, size_t ldc,
          const GemmEpilogue *epilogue, Activation activation) {
    const float *bias = epilogue->bias;
    const float *residual = epilogue->residual;
    for (size_t r = 0; r < rows; r++, sums += ld_sums, c += ldc) {
        size_t j = 0;
        for (; j + FINISH_BUNDLE * VEC_WIDTH <= cols; j += FINISH_BUNDLE * VEC_WIDTH)
            finish_vectors(FINISH_BUNDLE, j, sums, bias, residual, c, activation);
        for (; j + VEC_WIDTH <= cols; j += VEC_WIDTH)
            finish_vectors(1, j, sums, bias, residual, c, activation);
        if (j < cols) {
            const VecMask mask = vec_first(cols - j);
            Vec x[1] = {vec_load_mask(mask, sums + j)};
            if (bias)
                x[0] = vec_add(x[0], vec_load_mask(mask, bias + j));
            vec_activate(1, x, activation);
            if (residual)
                x[0] = vec_add(x[0], vec_load_mask(mask, residual + j));
            vec_store_mask(mask, c + j, x[0]);
        }
        if (residual)
            residual += epilogue->ld_residual;
    }
}

static void ISA(finish)(size_t rows, size_t cols, const float *sums, size_t ld_sums, float *c,
                        size_t ldc, const GemmEpilogue *epilogue) {
#define FINISH_CASE(activation)                                                                    \
    case activation:                                                                               \
        finish_as(rows, cols, sums, ld_sums, c, ldc, epilogue, activation);                        \
        break
    switch (epilogue->activation) {
        FINISH_CASE(ACTIVATION_NONE);
        FINISH_CASE(ACTIVATION_RELU);
        FINISH_CASE(ACTIVATION_GELU);
        FINISH_CASE(ACTIVATION_GELU_TANH);
        FINISH_CASE(ACTIVATION_TANH);
        FINISH_CASE(ACTIVATION_SILU);
        FINISH_CASE(ACTIVATION_SIGMOID);
    }
#undef FINISH_CASE
}

// Weights stored row by row ([n, k]): square blocks are transposed in registers.
static inline __attribute__((always_inline)) void pack_rows(size_t cols, size_t k,
                                                            const char *source, KernelType type,
                                                            size_t stride_n, float *panel) {
    const size_t size = kernel_type_size(type);
    for (size_t i = 0; i < k; i += VEC_WIDTH) {
        const size_t depth = k - i < VEC_WIDTH ? k - i : VEC_WIDTH;
        for (size_t j = 0; j < GEMM_NR; j += VEC_WIDTH) {
            Vec block[VEC_WIDTH];
#pragma GCC unroll 16
            for (size_t r = 0; r < VEC_WIDTH; r++) {
                const char *p = source + ((j + r) * stride_n + i) * size;
                if (j + r >= cols)
                    block[r] = vec_zero();
                else
                    block[r] =
                        depth == VEC_WIDTH ? vec_read(p, type) : vec_read_first(depth, p, type);
            }
            vec_transpose(block);
            if (depth == VEC_WIDTH) {
#pragma GCC unroll 16
                for (size_t r = 0; r < VEC_WIDTH; r++)
                    vec_store(panel + (i + r) * GEMM_NR + j, block[r]);
            } else {
                for (size_t r = 0; r < depth; r++)
                    vec_store(panel + (i + r) * GEMM_NR + j, block[r]);
            }
        }
    }
}

// Weights stored column by column ([k, n]): rows of the panel are copied.
static inline __attribute__((always_inline)) void pack_columns(size_t cols, size_t k,
                                                               const char *source, KernelType type,
                                                               size_t stride_k, float *panel) {
    const size_t size = kernel_type_size(type);
    for (size_t i = 0; i < k; i++)
        for (size_t j = 0; j < GEMM_NR; j += VEC_WIDTH) {
            const char *p = source + (i * stride_k + j) * size;
            Vec x = vec_zero();
            if (j + VEC_WIDTH <= cols)
                x = vec_read(p, type);
            else if (j < cols)
                x = vec_read_first(cols - j, p, type);
            vec_store(panel + i * GEMM_NR + j, x);
        }
}

static inline __attribute__((always_inline)) void pack_as(size_t cols, size_t k, const char *source,
                                                          KernelType type, size_t stride_n,
                                                          size_t stride_k, float *panel) {
    if (stride_k == 1) {
        pack_rows(cols, k, source, type, stride_n, panel);
    } else if (stride_n == 1) {
        pack_columns(cols, k, source, type, stride_k, panel);
    } else {
        const size_t size = kernel_type_size(type);
        for (size_t i = 0; i < k; i++)
            for (size_t j = 0; j < GEMM_NR; j++)
                panel[i * GEMM_NR + j] =
                    j < cols ? kernel_read_one(source + (j * stride_n + i * stride_k) * size, type)
                             : 0.0f;
    }
}

static void ISA(pack)(size_t cols, size_t k, const void *source, KernelType type, size_t stride_n,
                      size_t stride_k, float *panel) {
    switch (type) {
    case KERNEL_F32:
        pack_as(cols, k, source, KERNEL_F32, stride_n, stride_k, panel);
        break;
    case KERNEL_F16:
        pack_as(cols, k, source, KERNEL_F16, stride_n, stride_k, panel);
        break;
    case KERNEL_BF16:
        pack_as(cols, k, source, KERNEL_BF16, stride_n, stride_k, panel);
        break;
    }
}
