// The register tile over the vector vocabulary. The including file defines GEMM_MR rows, GEMM_NV
// vectors of columns and what a step does with a word of A and a vector of words of W:
//   GEMM_PARTS, gemm_split_a(x, parts), gemm_split_b(x, parts): operands taken apart into this
//   many; gemm_dot(sum, a_parts, b_parts): one step of the sums. Words pass through vectors as mere
//   bits.
//   GEMM_HAS_LANES and gemm_dot_lane(sum, a_parts, lane, b_parts), where products take one lane of
//   a vector of four: then four words of A are loaded and taken apart together. The same step.
#include "kernels/gemm/gemm_kernels.h"
#include "kernels/vec/vec_math.h"

// Under sanitizers the tile is one plain loop nest: their checks in dozens of unrolled variants
// would take minutes and gigabytes to compile, and the same expressions are checked either way.
#if defined(__has_feature)
#if __has_feature(address_sanitizer) || __has_feature(thread_sanitizer)
#define GEMM_IS_ROLLED
#endif
#endif
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
#define GEMM_IS_ROLLED
#endif
#ifdef GEMM_IS_ROLLED
#define GEMM_FOR(i, count) for (size_t i = 0; i < (count); i++)
#else
#define GEMM_FOR(i, count) _Pragma("GCC unroll 16") for (size_t i = 0; i < (count); i++)
#endif

enum {
    GEMM_NR = GEMM_NV * VEC_WIDTH,
    ROWS_PER_BASE = 3,
    BASES = (GEMM_MR + 2) / 3,
    // Bytes between what a stream of panels brings to L1 and what it asks for in L2. L1 has too few
    // line buffers to cover memory's latency, L2 has enough (+20 % with 8 rows).
    STREAM_FAR = 3072,
};

// One step of k: a row of the panel times `rows` broadcast words of A.
static inline __attribute__((always_inline)) void
multiply_step(const size_t rows, Vec acc[GEMM_MR][GEMM_NV], const float *const a[BASES], size_t lda,
              const float *panel, size_t at) {
    Vec b[GEMM_NV][GEMM_PARTS];
    GEMM_FOR(v, GEMM_NV) {
        gemm_split_b(vec_load(panel + at * GEMM_NR + v * VEC_WIDTH), b[v]);
    }
    GEMM_FOR(r, rows) {
        Vec x[GEMM_PARTS];
        gemm_split_a(vec_broadcast(a[r / ROWS_PER_BASE] + r % ROWS_PER_BASE * lda + at), x);
        GEMM_FOR(v, GEMM_NV) {
            acc[r][v] = gemm_dot(acc[r][v], x, b[v]);
        }
    }
}

// Steps of k four at a time: what is loaded for all four, and each of them.
#ifdef GEMM_HAS_LANES
enum { LINES_OF_ALL = GEMM_NR / 4 }; // what four steps use up

typedef struct Block {
    Vec a[GEMM_MR][GEMM_PARTS];
} Block;

static inline __attribute__((always_inline)) void
block_begin(const size_t rows, Block *block, const float *const a[BASES], size_t lda) {
    GEMM_FOR(r, rows) {
        gemm_split_a(vec_load(a[r / ROWS_PER_BASE] + r % ROWS_PER_BASE * lda), block->a[r]);
    }
}

static inline __attribute__((always_inline)) void
block_step(const size_t rows, Vec acc[GEMM_MR][GEMM_NV], const Block *block,
           const float *const a[BASES], size_t lda, const float *panel, size_t at) {
    (void)a;
    (void)lda;
    GEMM_FOR(v, GEMM_NV) {
        Vec b[GEMM_PARTS];
        gemm_split_b(vec_load(panel + at * GEMM_NR + v * VEC_WIDTH), b);
        GEMM_FOR(r, rows) {
            acc[r][v] = gemm_dot_lane(acc[r][v], block->a[r], at, b);
        }
    }
}
#else
enum { LINES_OF_ALL = 8 };

typedef struct Block {
    char none;
} Block;

static inline __attribute__((always_inline)) void
block_begin(const size_t rows, Block *block, const float *const a[BASES], size_t lda) {
    (void)rows;
    (void)block;
    (void)a;
    (void)lda;
}

static inline __attribute__((always_inline)) void
block_step(const size_t rows, Vec acc[GEMM_MR][GEMM_NV], const Block *block,
           const float *const a[BASES], size_t lda, const float *panel, size_t at) {
    (void)block;
    multiply_step(rows, acc, a, lda, panel, at);
}
#endif

// `rows` and `lines` are constants at each use: the accumulators live in registers. One pointer
// serves three rows (base, base + lda, base + 2 lda are addressing modes), and the compiler must
// not know how they are related: left alone it keeps fourteen pointers, which do not fit in
// registers (-12 % speed).
static inline __attribute__((always_inline)) void
multiply_rows(const size_t rows, const size_t lines, size_t k, const float *a, size_t lda,
              const float *panel, float *sums, size_t ld_sums, bool accumulate, const char *ahead) {
    Vec acc[GEMM_MR][GEMM_NV];
    const float *base[BASES];
    GEMM_FOR(g, BASES) {
        base[g] = a + g * ROWS_PER_BASE * lda;
    }
    GEMM_FOR(r, rows) {
        GEMM_FOR(v, GEMM_NV) {
            acc[r][v] = vec_zero();
        }
    }
    if (accumulate)
        GEMM_FOR(r, rows) {
            GEMM_FOR(v, GEMM_NV) {
                acc[r][v] = vec_load(sums + r * ld_sums + v * VEC_WIDTH);
            }
        }
    for (; k >= 4; k -= 4) {
        Block block;
        block_begin(rows, &block, base, lda);
        GEMM_FOR(step, 4) {
            // Spread over the steps: a burst of prefetches stalls the loads behind it (-30 % at 14
            // rows).
            if (step * lines % 4 == 0)
                vec_prefetch(ahead + step * lines / 4 * 64);
            if (lines == 8) {
                vec_prefetch(ahead + (step * 2 + 1) * 64);
                vec_prefetch_l2(ahead + STREAM_FAR + step * 2 * 64);
                vec_prefetch_l2(ahead + STREAM_FAR + (step * 2 + 1) * 64);
            }
            block_step(rows, acc, &block, base, lda, panel, step);
        }
        panel += 4 * GEMM_NR;
        ahead += lines * 64;
        __asm__("" : "+r"(panel), "+r"(ahead));
        GEMM_FOR(g, BASES) {
            base[g] += 4;
            __asm__("" : "+r"(base[g]));
        }
    }
    for (size_t step = 0; step < k; step++)
        multiply_step(rows, acc, base, lda, panel, step);
    GEMM_FOR(r, rows) {
        GEMM_FOR(v, GEMM_NV) {
            vec_store(sums + r * ld_sums + v * VEC_WIDTH, acc[r][v]);
        }
    }
}

static inline __attribute__((always_inline)) void
multiply_at_rate(const size_t rows, size_t k, const void *a, size_t lda, const void *panel,
                 void *sums, size_t ld_sums, bool accumulate, GemmPrefetch prefetch) {
    if (prefetch.rate == GEMM_PREFETCH_ALL)
        multiply_rows(rows, LINES_OF_ALL, k, a, lda, panel, sums, ld_sums, accumulate,
                      prefetch.address);
    else if (prefetch.rate == GEMM_PREFETCH_QUARTER)
        multiply_rows(rows, 2, k, a, lda, panel, sums, ld_sums, accumulate, prefetch.address);
    else // without an address it fetches what is needed anyway
        multiply_rows(rows, 1, k, a, lda, panel, sums, ld_sums, accumulate,
                      prefetch.address ? prefetch.address : (const char *)panel);
}

static void ISA(multiply)(size_t rows, size_t words, const void *a, size_t lda, const void *panel,
                          void *sums, size_t ld_sums, bool accumulate, GemmPrefetch prefetch) {
#ifdef GEMM_IS_ROLLED
    multiply_at_rate(rows, words, a, lda, panel, sums, ld_sums, accumulate, prefetch);
#else
#define ROWS_CASE(n)                                                                               \
    case n:                                                                                        \
        if (n <= GEMM_MR)                                                                          \
            multiply_at_rate(n <= GEMM_MR ? n : 1, words, a, lda, panel, sums, ld_sums,            \
                             accumulate, prefetch);                                                \
        break
    switch (rows) {
        ROWS_CASE(1);
        ROWS_CASE(2);
        ROWS_CASE(3);
        ROWS_CASE(4);
        ROWS_CASE(5);
        ROWS_CASE(6);
        ROWS_CASE(7);
        ROWS_CASE(8);
        ROWS_CASE(9);
        ROWS_CASE(10);
        ROWS_CASE(11);
        ROWS_CASE(12);
        ROWS_CASE(13);
        ROWS_CASE(14);
    default:
        break;
    }
#undef ROWS_CASE
#endif
}
