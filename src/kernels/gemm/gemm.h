// C = activation(A * W^T + bias) + residual, W packed beforehand in panels of nr output columns.
//
// A: [m, k] rows at stride lda. W: [n, k]. C: [m, n] rows of f32 or bf16 at stride ldc; an f32 C
// may alias the residual (same pointer and stride), never A. Each element of C is one fused
// multiply-add chain over k in ascending order starting from 0, then + bias, then activation, then
// + residual. That fixes its bits: they are the same for every instruction set, tile shape, row
// count and number of threads.
#ifndef GPUX_KERNELS_GEMM_GEMM_H
#define GPUX_KERNELS_GEMM_GEMM_H

#include "kernels/types.h"

#include <stdbool.h>

// What is done to a finished tile of C while it is still in L1.
typedef struct GemmEpilogue {
    const float *bias;     // [n], or NULL
    const float *residual; // [m, n] rows at stride ld_residual, or NULL
    size_t ld_residual;
    Activation activation;
    KernelType c_type; // KERNEL_F32, or KERNEL_BF16: rounded, ties to even
} GemmEpilogue;

// Memory that a multiplication fetches along the way: `rate` cache lines from `address` on for
// every 4 steps of k.
typedef enum GemmPrefetchRate {
    GEMM_PREFETCH_EIGHTH = 1,
    GEMM_PREFETCH_QUARTER = 2,
    GEMM_PREFETCH_ALL = 8, // as fast as a panel of 32 floats is used up
} GemmPrefetchRate;

typedef struct GemmPrefetch {
    const void *address; // NULL for none
    GemmPrefetchRate rate;
} GemmPrefetch;

// What finishing needs beside the sums, all pointing at the tile's first row and column.
typedef struct GemmFinish {
    GemmEpilogue epilogue;
    const RowScale *row_scales; // of bytes; else NULL
    const float *column_scales;
    const int32_t *weight_sums; // sums of the columns' weights, for bytes
} GemmFinish;

// A register tile and its companions. None of the functions knows of blocking or threads.
typedef struct GemmKernel {
    const char *name; // "gemm_f32_avx512"
    size_t mr, nr;    // register tile; GEMM_MAX_NR and GEMM_MAX_MR bound them
    size_t per_word;  // elements in a word: 1 for f32, 2 for bf16, 4 for bytes
    size_t unit;      // rows of A and panels hold a multiple of this many words
    size_t row_unit;  // rows are best cut at multiples of this
    // What fits the caches: rows of A (a tile's, at most GEMM_MAX_ROW_RANGE) and words of A that
    // stay in L2 while panels stream past; words of a panel's depth that stay in L1 while rows do.
    size_t row_range, a_words, chunk_words;
    // sums[r][0 .. nr) (+)= a[r][0 .. words) * panel for rows <= mr. a: rows of words at stride
    // lda. panel: [words, nr] words. sums: f32 or i32 at stride ld_sums; they start from 0 unless
    // `accumulate`.
    void (*multiply)(size_t rows, size_t words, const void *a, size_t lda, const void *panel,
                     void *sums, size_t ld_sums, bool accumulate, GemmPrefetch prefetch);
    // c = activation(sums + bias) + residual for rows x cols, after scaling where there are scales.
    // c may be sums, where it is f32.
    void (*finish)(size_t rows, size_t cols, const void *sums, size_t ld_sums, void *c, size_t ldc,
                   const GemmFinish *with);
    // Column j < cols of the panel gets elements (j, 0 .. k) of source, at
    // source + (j * stride_n + i * stride_k) * element size; everything else becomes 0. Bytes also
    // get scales[j] and weight_sums[j] for j < nr; the others have NULL there.
    void (*pack)(size_t cols, size_t k, const void *source, KernelType type, size_t stride_n,
                 size_t stride_k, void *panel, float *scales, int32_t *weight_sums);
    // Called on the thread that multiplies: before the first multiplication of so many rows after
    // others, and after the last of all. NULL for nothing.
    void (*begin)(size_t rows);
    void (*end)(void);
} GemmKernel;

enum {
    GEMM_MAX_MR = 32,
    GEMM_MAX_NR = 32,
    GEMM_MAX_ROW_RANGE = 192,
    GEMM_MAX_K_BYTES = 65536,
    // Blocking of a kernel that computes longer on a panel than L2 takes to bring it.
    GEMM_ROW_RANGE = 144,
    GEMM_A_WORDS = GEMM_ROW_RANGE * 768,
    GEMM_CHUNK_WORDS = 1 << 30, // the whole block of K
};

// Where weights come from: element (n, k) is at data + (n * stride_n + k * stride_k) * element
// size, unaligned.
typedef struct GemmSource {
    const void *data;
    KernelType type;
    size_t stride_n, stride_k;
} GemmSource;

// Elements that a row of A needs room for: k rounded up to whole units.
size_t gemm_row_elements(const GemmKernel *kernel, size_t k);
size_t gemm_panel_count(const GemmKernel *kernel, size_t n); // ceil(n / nr)
// Bytes of the packed weights, a multiple of 64. Checked: returns 0 on overflow, and for bytes
// where k > GEMM_MAX_K_BYTES, whose sums could overflow.
size_t gemm_packed_bytes(const GemmKernel *kernel, size_t n, size_t k);
// Packs panels first .. first + count - 1 of W; `packed` is the start of the whole block,
// 64-aligned. Columns past n are zero. Panels may be packed from several threads at once.
void gemm_pack(const GemmKernel *kernel, void *packed, size_t n, size_t k, const GemmSource *source,
               size_t first, size_t count);

// One product. Rows, columns and K are cut so that caches hold what is reused.
typedef struct GemmCall {
    const GemmKernel *kernel;
    size_t m, n, k;
    const void *a; // rows of the kernel's element type, filled up with anything to `unit` words
    size_t lda;    // elements, a multiple of per_word
    const RowScale *row_scales; // [m] for bytes, else NULL
    const void *packed;
    void *c; // of epilogue.c_type
    size_t ldc;
    GemmEpilogue epilogue;
} GemmCall;

// Number of independent tiles for `threads` workers (at least 1 when m, n > 0), and one of them.
// `tiles` must be what gemm_tile_count answered. The result is bit-identical for any `threads`.
// Tiles are cheapest when each worker takes them in ascending order.
size_t gemm_tile_count(const GemmCall *call, int threads);
void gemm_run_tile(const GemmCall *call, size_t tile, size_t tiles, int threads);

#endif
