// The AMX register tile over amx.h or amx_model.h: 2 x 2 tiles of sums, 32 rows by 32 columns. A
// step takes 16 words of K: 2 tiles of A and 2 of the panel feed 4 products, so loads take half as
// long as these. The panels are those of the AVX-512 kernels: a tile of W is 16 words deep and 16
// columns wide.
#include "kernels/gemm/gemm_kernels.h"

enum {
    AMX_ROWS = 32,
    AMX_COLUMNS = 32,
    AMX_STEP = 16,
    AMX_WORD = 4,
    AMX_ROW_RANGE = 192,
    AMX_A_WORDS = AMX_ROW_RANGE * 1536, // 1.2 MB
    AMX_CHUNK_WORDS = 128,              // 16 KB: a third of L1, the rest is for A and the sums
};

// One multiplication; strides in bytes.
typedef struct AmxWork {
    const char *a, *panel;
    char *sums;
    size_t words, ld_a, ld_sums;
    bool accumulate;
    const char *ahead;
    size_t lines; // to fetch per step
} AmxWork;

enum { AMX_LD_PANEL = AMX_COLUMNS * AMX_WORD };

#define AMX_DOT(is_bytes, tiles, sum, a, b)                                                        \
    do {                                                                                           \
        if (is_bytes)                                                                              \
            amx_dot_bytes(tiles, sum, a, b);                                                       \
        else                                                                                       \
            amx_dot_bf16(tiles, sum, a, b);                                                        \
    } while (0)

static inline __attribute__((always_inline)) void amx_configure_rows(AmxTiles *tiles, size_t rows) {
    amx_configure(tiles, rows < 16 ? rows : 16, rows > 16 ? rows - 16 : 16);
}

// Up to 16 rows in the upper tiles and, if has_lower, more in the lower ones. The flags are
// constants.
static inline __attribute__((always_inline)) void
amx_multiply(AmxTiles *tiles, AmxWork work, const bool has_lower, const bool is_bytes) {
    char *const lower_sums = work.sums + 16 * work.ld_sums;
    (void)tiles;
    if (work.accumulate) {
        amx_load(tiles, 0, work.sums, work.ld_sums);
        amx_load(tiles, 1, work.sums + 64, work.ld_sums);
        if (has_lower) {
            amx_load(tiles, 2, lower_sums, work.ld_sums);
            amx_load(tiles, 3, lower_sums + 64, work.ld_sums);
        }
    } else {
        amx_zero(tiles, 0);
        amx_zero(tiles, 1);
        amx_zero(tiles, 2);
        amx_zero(tiles, 3);
    }
    const size_t ld_panel = AMX_LD_PANEL;
    for (size_t step = 0; step < work.words; step += AMX_STEP) {
        for (size_t line = 0; line < work.lines; line++, work.ahead += 64)
            amx_fetch(work.ahead);
        amx_load(tiles, 6, work.panel, ld_panel);
        amx_load(tiles, 4, work.a, work.ld_a);
        AMX_DOT(is_bytes, tiles, 0, 4, 6);
        amx_load(tiles, 7, work.panel + 64, ld_panel);
        AMX_DOT(is_bytes, tiles, 1, 4, 7);
        if (has_lower) {
            amx_load(tiles, 5, work.a + 16 * work.ld_a, work.ld_a);
            AMX_DOT(is_bytes, tiles, 2, 5, 6);
            AMX_DOT(is_bytes, tiles, 3, 5, 7);
        }
        work.a += AMX_STEP * AMX_WORD;
        work.panel += AMX_STEP * AMX_LD_PANEL;
    }
    amx_store(tiles, 0, work.sums, work.ld_sums);
    amx_store(tiles, 1, work.sums + 64, work.ld_sums);
    if (has_lower) {
        amx_store(tiles, 2, lower_sums, work.ld_sums);
        amx_store(tiles, 3, lower_sums + 64, work.ld_sums);
    }
}

static inline __attribute__((always_inline)) void
amx_run(size_t rows, size_t words, const void *a, size_t lda, const void *panel, void *sums,
        size_t ld_sums, bool accumulate, GemmPrefetch prefetch, const bool is_bytes) {
    AmxTiles tiles;
    const AmxWork work = {.a = a,
                          .panel = panel,
                          .sums = sums,
                          .words = words,
                          .ld_a = lda * AMX_WORD,
                          .ld_sums = ld_sums * AMX_WORD,
                          .accumulate = accumulate,
                          .ahead = prefetch.address,
                          .lines = prefetch.address ? AMX_STEP / 4 * prefetch.rate : 0};
    if (!AMX_IS_CONFIGURED_BY_BEGIN)
        amx_configure_rows(&tiles, rows);
    if (rows > 16)
        amx_multiply(&tiles, work, true, is_bytes);
    else
        amx_multiply(&tiles, work, false, is_bytes);
}

static void AMX(multiply_bytes)(size_t rows, size_t words, const void *a, size_t lda,
                                const void *panel, void *sums, size_t ld_sums, bool accumulate,
                                GemmPrefetch prefetch) {
    amx_run(rows, words, a, lda, panel, sums, ld_sums, accumulate, prefetch, true);
}

static void AMX(multiply_bf16)(size_t rows, size_t words, const void *a, size_t lda,
                               const void *panel, void *sums, size_t ld_sums, bool accumulate,
                               GemmPrefetch prefetch) {
    amx_run(rows, words, a, lda, panel, sums, ld_sums, accumulate, prefetch, false);
}

static void AMX(begin)(size_t rows) {
    AmxTiles tiles;
    amx_configure_rows(&tiles, rows);
}

static void AMX(end)(void) {
    amx_release();
}
