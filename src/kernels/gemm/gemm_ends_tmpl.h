// What stands at both ends of a product, over the vector vocabulary: finishing sums and packing
// weights, for all element types. The including file defines GEMM_NV vectors of columns in a panel.
#include "kernels/gemm/gemm_kernels.h"
#include "kernels/vec/vec_math.h"

#include <stdbool.h>

enum { PANEL = GEMM_NV * VEC_WIDTH, FINISH_ROWS = 2, FINISH_VECTORS = 2 };

// One copy for each form and activation; under sanitizers one for all, because compiling the copies
// takes minutes there.
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
#define FINISH_INLINE __attribute__((noinline))
#else
#define FINISH_INLINE inline __attribute__((always_inline))
#endif

// What the multiplication of bytes has taken off each byte of A; the zero point is the less.
#ifndef GEMM_BYTES_LESS
#define GEMM_BYTES_LESS 0
#endif

// One row to finish, from its first column.
typedef struct RowEnds {
    const float *sums, *bias, *residual, *scales; // scales: of bytes, NULL otherwise
    const int32_t *weight_sums;
    Vec row_scale, row_zero;
    void *c;
} RowEnds;

// What a finish is compiled for; constants at each use.
typedef struct FinishForm {
    Activation activation;
    bool is_bytes; // sums of bytes, to be scaled
    bool is_bf16;  // c is bf16
} FinishForm;

// Sums of bytes less the row's zero point times the column's sum of weights; scaled by (row scale *
// column scale) in one multiplication.
static inline __attribute__((always_inline)) Vec scaled(const RowEnds *row, Vec sums, Vec scale,
                                                        Vec weight_sum) {
    return vec_mul(vec_from_i32(vec_sub_product_i32(sums, row->row_zero, weight_sum)),
                   vec_mul(row->row_scale, scale));
}

static FINISH_INLINE void finish_activate(const size_t count, Vec x[], const FinishForm form) {
    if (form.is_bf16 && form.activation == ACTIVATION_GELU)
        vec_gelu_bf16(count, x);
    else
        vec_activate(count, x, form.activation);
}

// `vectors` whole vectors of each row from column j on; a constant.
static FINISH_INLINE void finish_vectors(const size_t vectors, size_t j,
                                         const RowEnds row[FINISH_ROWS], const FinishForm form) {
    Vec x[VEC_BUNDLE];
    const size_t count = FINISH_ROWS * vectors;
#define EACH_COLUMN (j + v % vectors * VEC_WIDTH)
#define EACH_ROW (&row[v / vectors])
    VEC_EACH(count) x[v] = vec_load(EACH_ROW->sums + EACH_COLUMN);
    if (form.is_bytes)
        VEC_EACH(count)
    x[v] = scaled(EACH_ROW, x[v], vec_load(row->scales + EACH_COLUMN),
                  vec_load(row->weight_sums + EACH_COLUMN));
    if (row->bias)
        VEC_EACH(count) x[v] = vec_add(x[v], vec_load(row->bias + EACH_COLUMN));
    finish_activate(count, x, form);
    if (row->residual)
        VEC_EACH(count) x[v] = vec_add(x[v], vec_load(EACH_ROW->residual + EACH_COLUMN));
    if (form.is_bf16)
        VEC_EACH(count) vec_store_bf16((uint16_t *)EACH_ROW->c + EACH_COLUMN, x[v]);
    else
        VEC_EACH(count) vec_store((float *)EACH_ROW->c + EACH_COLUMN, x[v]);
#undef EACH_COLUMN
#undef EACH_ROW
}

static FINISH_INLINE void finish_tail(size_t left, size_t j, const RowEnds *row,
                                      const FinishForm form) {
    const VecMask mask = vec_first(left);
    Vec x[1] = {vec_load_mask(mask, row->sums + j)};
    if (form.is_bytes)
        x[0] = scaled(row, x[0], vec_load_mask(mask, row->scales + j),
                      vec_load_mask(mask, row->weight_sums + j));
    if (row->bias)
        x[0] = vec_add(x[0], vec_load_mask(mask, row->bias + j));
    finish_activate(1, x, form);
    if (row->residual)
        x[0] = vec_add(x[0], vec_load_mask(mask, row->residual + j));
    if (form.is_bf16) {
        uint16_t halves[VEC_WIDTH];
        vec_store_bf16(halves, x[0]);
        memcpy((uint16_t *)row->c + j, halves, left * sizeof halves[0]);
    } else {
        vec_store_mask(mask, (float *)row->c + j, x[0]);
    }
}

// `rows` <= FINISH_ROWS rows; the others repeat the last one, and all is read before it is written.
static FINISH_INLINE void finish_rows(size_t rows, size_t cols, const RowEnds row[FINISH_ROWS],
                                      const FinishForm form) {
    size_t j = 0;
    for (; j + FINISH_VECTORS * VEC_WIDTH <= cols; j += FINISH_VECTORS * VEC_WIDTH)
        finish_vectors(FINISH_VECTORS, j, row, form);
    for (; j + VEC_WIDTH <= cols; j += VEC_WIDTH)
        finish_vectors(1, j, row, form);
    for (size_t r = 0; j < cols && r < rows; r++)
        finish_tail(cols - j, j, &row[r], form);
}

static FINISH_INLINE RowEnds row_ends(size_t r, const float *sums, size_t ld_sums, void *c,
                                      size_t ldc, const GemmFinish *with, const FinishForm form) {
    const float *residual = with->epilogue.residual;
    return (RowEnds){
        .sums = sums + r * ld_sums,
        .bias = with->epilogue.bias,
        .residual = residual ? residual + r * with->epilogue.ld_residual : NULL,
        .scales = with->column_scales,
        .weight_sums = with->weight_sums,
        .row_scale = vec_set1(form.is_bytes ? with->row_scales[r].scale : 1.0f),
        .row_zero = vec_set1_i32(form.is_bytes ? with->row_scales[r].zero - GEMM_BYTES_LESS : 0),
        .c = (char *)c + r * ldc * (form.is_bf16 ? 2 : 4),
    };
}

static FINISH_INLINE void finish_as(size_t rows, size_t cols, const float *sums, size_t ld_sums,
                                    void *c, size_t ldc, const GemmFinish *with,
                                    const FinishForm form) {
    for (size_t r = 0; r < rows; r += FINISH_ROWS) {
        const size_t count = rows - r < FINISH_ROWS ? rows - r : FINISH_ROWS;
        RowEnds row[FINISH_ROWS];
        for (size_t i = 0; i < FINISH_ROWS; i++)
            row[i] = row_ends(r + (i < count ? i : count - 1), sums, ld_sums, c, ldc, with, form);
        finish_rows(count, cols, row, form);
    }
}

// One function per form and activation: the cases stay out of line of each other.
#define FINISH_CASE(which, bytes, bf16)                                                            \
    case which:                                                                                    \
        finish_as(rows, cols, sums, ld_sums, c, ldc, with, (FinishForm){which, bytes, bf16});      \
        break
#define FINISH(name, bytes, bf16)                                                                  \
    static void name(size_t rows, size_t cols, const void *sums, size_t ld_sums, void *c,          \
                     size_t ldc, const GemmFinish *with) {                                         \
        switch (with->epilogue.activation) {                                                       \
            FINISH_CASE(ACTIVATION_NONE, bytes, bf16);                                             \
            FINISH_CASE(ACTIVATION_RELU, bytes, bf16);                                             \
            FINISH_CASE(ACTIVATION_GELU, bytes, bf16);                                             \
            FINISH_CASE(ACTIVATION_GELU_TANH, bytes, bf16);                                        \
            FINISH_CASE(ACTIVATION_TANH, bytes, bf16);                                             \
            FINISH_CASE(ACTIVATION_SILU, bytes, bf16);                                             \
            FINISH_CASE(ACTIVATION_SIGMOID, bytes, bf16);                                          \
        }                                                                                          \
    }
FINISH(finish_floats, false, false)
FINISH(finish_floats_bf16, false, true)
FINISH(finish_bytes, true, false)
FINISH(finish_bytes_bf16, true, true)

void ISA(gemm_finish_f32)(size_t rows, size_t cols, const void *sums, size_t ld_sums, void *c,
                          size_t ldc, const GemmFinish *with) {
    if (with->epilogue.c_type == KERNEL_BF16)
        finish_floats_bf16(rows, cols, sums, ld_sums, c, ldc, with);
    else
        finish_floats(rows, cols, sums, ld_sums, c, ldc, with);
}

void ISA(gemm_finish_bytes)(size_t rows, size_t cols, const void *sums, size_t ld_sums, void *c,
                            size_t ldc, const GemmFinish *with) {
    if (with->epilogue.c_type == KERNEL_BF16)
        finish_bytes_bf16(rows, cols, sums, ld_sums, c, ldc, with);
    else
        finish_bytes(rows, cols, sums, ld_sums, c, ldc, with);
}

// Weights stored row by row ([n, k]): square blocks are transposed in registers.
static inline __attribute__((always_inline)) void pack_rows(size_t cols, size_t k,
                                                            const char *source, KernelType type,
                                                            size_t stride_n, float *panel) {
    const size_t size = kernel_type_size(type);
    for (size_t i = 0; i < k; i += VEC_WIDTH) {
        const size_t depth = k - i < VEC_WIDTH ? k - i : VEC_WIDTH;
        for (size_t j = 0; j < PANEL; j += VEC_WIDTH) {
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
                    vec_store(panel + (i + r) * PANEL + j, block[r]);
            } else {
                for (size_t r = 0; r < depth; r++)
                    vec_store(panel + (i + r) * PANEL + j, block[r]);
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
        for (size_t j = 0; j < PANEL; j += VEC_WIDTH) {
            const char *p = source + (i * stride_k + j) * size;
            Vec x = vec_zero();
            if (j + VEC_WIDTH <= cols)
                x = vec_read(p, type);
            else if (j < cols)
                x = vec_read_first(cols - j, p, type);
            vec_store(panel + i * PANEL + j, x);
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
            for (size_t j = 0; j < PANEL; j++)
                panel[i * PANEL + j] =
                    j < cols ? kernel_read_one(source + (j * stride_n + i * stride_k) * size, type)
                             : 0.0f;
    }
}

void ISA(gemm_pack_f32)(size_t cols, size_t k, const void *source, KernelType type, size_t stride_n,
                        size_t stride_k, void *panel, float *scales, int32_t *weight_sums) {
    (void)scales;
    (void)weight_sums;
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

enum { RUN = 64 }; // elements of one column taken at a time

// Elements i .. i + RUN of a column as floats, 0 past k.
static void read_run(float run[RUN], const char *column, KernelType type, size_t stride_k, size_t i,
                     size_t k) {
    const size_t size = kernel_type_size(type);
    const size_t count = k - i < RUN ? k - i : RUN;
    size_t j = 0;
    if (stride_k == 1)
        for (; j + VEC_WIDTH <= count; j += VEC_WIDTH)
            vec_store(run + j, vec_read(column + (i + j) * size, type));
    for (; j < count; j++)
        run[j] = kernel_read_one(column + (i + j) * stride_k * size, type);
    for (; j < RUN; j++)
        run[j] = 0.0f;
}

// The words of one column of a panel, [words] at stride PANEL.
static void store_words(const void *run, size_t words, uint32_t *column) {
    for (size_t w = 0; w < words; w++)
        memcpy(column + w * PANEL, (const char *)run + w * 4, 4);
}

void ISA(gemm_pack_bf16)(size_t cols, size_t k, const void *source, KernelType type,
                         size_t stride_n, size_t stride_k, void *panel, float *scales,
                         int32_t *weight_sums) {
    (void)scales;
    (void)weight_sums;
    const size_t size = kernel_type_size(type), padded = (k + 31) / 32 * 32;
    memset(panel, 0, padded / 2 * PANEL * sizeof(uint32_t));
    for (size_t j = 0; j < cols; j++) {
        const char *column = (const char *)source + j * stride_n * size;
        for (size_t i = 0; i < k; i += RUN) {
            float run[RUN];
            uint16_t halves[RUN];
            read_run(run, column, type, stride_k, i, k);
            for (size_t v = 0; v < RUN; v += VEC_WIDTH)
                vec_store_bf16(halves + v, vec_load(run + v));
            const size_t words = (padded - i < RUN ? padded - i : RUN) / 2;
            store_words(halves, words, (uint32_t *)panel + i / 2 * PANEL + j);
        }
    }
}

// Symmetric: the largest magnitude of a column becomes 127.
void ISA(gemm_pack_bytes)(size_t cols, size_t k, const void *source, KernelType type,
                          size_t stride_n, size_t stride_k, void *panel, float *scales,
                          int32_t *weight_sums) {
    const size_t size = kernel_type_size(type), padded = (k + 63) / 64 * 64;
    memset(panel, 0, padded / 4 * PANEL * sizeof(uint32_t));
    for (size_t j = 0; j < PANEL; j++) {
        const char *column = (const char *)source + j * stride_n * size;
        float run[RUN];
        Vec top = vec_zero();
        for (size_t i = 0; j < cols && i < k; i += RUN) {
            read_run(run, column, type, stride_k, i, k);
            for (size_t v = 0; v < RUN; v += VEC_WIDTH)
                top = vec_max(top, vec_abs(vec_load(run + v)));
        }
        const float highest = vec_highest(top);
        const Vec inverse = vec_set1(highest > QUANTIZE_FLOOR ? 127.0f / highest : 0.0f);
        int32_t sum = 0;
        for (size_t i = 0; j < cols && i < k; i += RUN) {
            uint8_t bytes[RUN];
            read_run(run, column, type, stride_k, i, k);
            for (size_t v = 0; v < RUN; v += VEC_WIDTH)
                vec_store_u8(bytes + v, vec_mul(vec_load(run + v), inverse), vec_set1_i32(128));
            for (size_t v = 0; v < RUN; v++) {
                sum += (int32_t)bytes[v] - 128;
                bytes[v] ^= 0x80; // q + 128 becomes the signed byte q
            }
            store_words(bytes, RUN / 4, (uint32_t *)panel + i / 4 * PANEL + j);
        }
        scales[j] = highest / 127.0f;
        weight_sums[j] = sum;
    }
}
