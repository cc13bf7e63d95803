// Blocking of one product: tiles of rows x panels for the workers, blocks of K for the caches.
//
// Nothing here touches a number: how tiles are cut cannot change a bit of the result, because every
// element stays one chain over K (sums of a K block are stored and taken up again exactly). Depths,
// strides of A and panels count in words of 4 bytes, whatever the element type.
#include "kernels/gemm/gemm.h"

enum {
    SUMS = 4 * GEMM_MAX_ROW_RANGE * GEMM_MAX_NR, // floats of sums under work, on the stack
    K_UNIT = 16,                                 // words; blocks of K start at multiples
    CACHE_LINE = 64,
    STREAM_AHEAD = 3072, // bytes; how far a panel that nobody fetched is fetched ahead of its use
};

typedef struct Cut {
    size_t rows, panels; // ranges
} Cut;

static size_t divide_up(size_t a, size_t b) {
    return a / b + (a % b != 0);
}

static size_t smaller(size_t a, size_t b) {
    return a < b ? a : b;
}

// Start of part i when `count` things are cut into `parts` of sizes that differ by one at most.
static size_t part_start(size_t count, size_t parts, size_t i) {
    return count / parts * i + smaller(i, count % parts);
}

// Start of block i of `count` things that are cut at multiples of `unit`; the last may be ragged.
static size_t unit_start(size_t count, size_t unit, size_t parts, size_t i) {
    return smaller(count, part_start(divide_up(count, unit), parts, i) * unit);
}

// Time of a product cut like this, in rows x panels times 10. The first panel of a tile is waited
// for, few rows wait for every panel, and the last tile may start when the others are nearly done.
static size_t cut_cost(size_t m, size_t panels, size_t threads, Cut cut) {
    enum { FIRST_PANEL = 14, FEWEST_ROWS = 28 };
    const size_t rounds = divide_up(cut.rows * cut.panels, threads);
    const size_t rows = divide_up(m, cut.rows);
    const size_t work = divide_up(panels, cut.panels) * (rows > FEWEST_ROWS ? rows : FEWEST_ROWS);
    return (10 * rounds + 1) * (work + FIRST_PANEL);
}

static Cut cut_call(const GemmCall *call, int threads) {
    enum { MOST_ROUNDS = 4, MORE_ROW_RANGES = 8 };
    const size_t panels = gemm_panel_count(call->kernel, call->n);
    const size_t fewest = divide_up(call->m, call->kernel->row_range);
    const size_t most =
        smaller(fewest + MORE_ROW_RANGES, divide_up(call->m, call->kernel->row_unit));
    Cut best = {.rows = fewest, .panels = 1};
    if (threads <= 1)
        return best;
    const size_t workers = (size_t)threads;
    size_t best_cost = cut_cost(call->m, panels, workers, best);
    for (size_t rows = fewest; rows <= most; rows++)
        for (size_t rounds = 1; rounds <= MOST_ROUNDS; rounds++) {
            const size_t wanted = rounds * workers / rows;
            const Cut cut = {rows, wanted < 1 ? 1 : smaller(wanted, panels)};
            const size_t cost = cut_cost(call->m, panels, workers, cut);
            if (cost < best_cost) {
                best_cost = cost;
                best = cut;
            }
        }
    return best;
}

size_t gemm_tile_count(const GemmCall *call, int threads) {
    if (call->m == 0 || call->n == 0)
        return 0;
    const Cut cut = cut_call(call, threads);
    return cut.rows * cut.panels;
}

// The depth of the product in words.
static size_t call_words(const GemmCall *call) {
    return gemm_row_elements(call->kernel, call->k) / call->kernel->per_word;
}

// Blocks of K are such that a tile's part of A stays in L2.
static size_t k_block_count(const GemmCall *call, size_t rows) {
    return call->k ? divide_up(rows * call_words(call), call->kernel->a_words) : 1;
}

// What to fetch while computing: the chunk after this one, spread over the work on this one. It
// must not crowd out the loads of this one: each fetch from memory holds one of few line buffers,
// and at more than 2 lines per 4 steps the loss is greater than the gain.
typedef struct Ahead {
    const char *next, *end;
    GemmPrefetchRate rate;
} Ahead;

static GemmPrefetch take_ahead(Ahead *ahead, size_t k) {
    if (ahead->next >= ahead->end)
        return (GemmPrefetch){0};
    const GemmPrefetch prefetch = {ahead->next, ahead->rate};
    ahead->next += k / 4 * ahead->rate * CACHE_LINE;
    return prefetch;
}

// A strip: all rows of the tile by a few panels, as many as fit in the block of sums. C is written
// in long runs (14 rows of two lines each would cost a row-hungry memory system 20 % of its
// bandwidth), and a block of K columns of A is used for all panels of the strip before the next
// block replaces it in L2.
typedef struct Strip {
    size_t row, rows;
    size_t panel, panels;
    size_t first_panel, last_panel; // of the tile
    float *sums;                    // [rows][panels * nr]
    size_t *begun;                  // rows that the kernel has been set up for; 0 = none yet
} Strip;

// Rows [k, k + depth) of W^T in one panel: the unit that stays in cache while rows of A pass.
typedef struct Chunk {
    const float *data, *next; // next: the chunk after this one, NULL at the end of the tile
    size_t k, depth, column;
    float *sums;
    bool is_first; // of the tile
    bool is_last;  // of its panel
} Chunk;

// A line that will be written. The compiler would need a flag to say so; where the CPU does not
// know the instruction it does nothing.
static void fetch_to_write(const void *p) {
#if defined(__x86_64__)
    __asm__ volatile("prefetchw %0" ::"m"(*(const char *)p));
#else
    __builtin_prefetch(p, 1);
#endif
}

// Element (row, column) of C.
static void *result(const GemmCall *call, size_t row, size_t column) {
    const size_t size = call->epilogue.c_type == KERNEL_F32 ? 4 : 2;
    return (char *)call->c + (row * call->ldc + column) * size;
}

// Asks for the lines that finishing these rows of one panel will touch.
static void fetch_result(const GemmCall *call, size_t row, size_t rows, size_t column) {
    const size_t width = smaller(call->kernel->nr, call->n - column);
    const GemmEpilogue *epilogue = &call->epilogue;
    for (size_t r = row; r < row + rows; r++)
        for (size_t j = column; j < column + width; j += CACHE_LINE / sizeof(float)) {
            fetch_to_write(result(call, r, j));
            if (epilogue->residual && epilogue->residual != call->c)
                __builtin_prefetch(epilogue->residual + r * epilogue->ld_residual + j);
        }
}

// Finishes rows [r, r + rows) of the strip.
static void finish_rows(const GemmCall *call, const Strip *strip, size_t r, size_t rows) {
    const GemmKernel *kernel = call->kernel;
    const size_t column = strip->panel * kernel->nr, row = strip->row + r;
    const size_t ld_sums = strip->panels * kernel->nr;
    GemmFinish with = {.epilogue = call->epilogue};
    if (with.epilogue.bias)
        with.epilogue.bias += column;
    if (with.epilogue.residual)
        with.epilogue.residual += row * with.epilogue.ld_residual + column;
    if (call->row_scales) {
        const size_t padded = gemm_panel_count(kernel, call->n) * kernel->nr;
        const float *scales = (const float *)call->packed + padded * call_words(call);
        with.row_scales = call->row_scales + row;
        with.column_scales = scales + column;
        with.weight_sums = (const int32_t *)(const void *)(scales + padded) + column;
    }
    kernel->finish(rows, smaller(ld_sums, call->n - column), strip->sums + r * ld_sums, ld_sums,
                   result(call, row, column), call->ldc, &with);
}

// All rows of the strip against one chunk. Where nobody fetched the chunk, its first rows do so
// just ahead of their own use: always with one or two blocks of rows, which leave no time to fetch
// the next.
static void multiply_chunk(const GemmCall *call, const Strip *strip, const Chunk *chunk) {
    const GemmKernel *kernel = call->kernel;
    const size_t row_blocks = divide_up(strip->rows, kernel->mr);
    const size_t ld_sums = strip->panels * kernel->nr;
    const size_t lda = call->lda / kernel->per_word;
    const float *a = (const float *)call->a + strip->row * lda + chunk->k;
    const bool is_streamed = chunk->is_first || row_blocks <= 2;
    Ahead ahead = {.rate = row_blocks < 8 ? GEMM_PREFETCH_QUARTER : GEMM_PREFETCH_EIGHTH};
    if (chunk->next && row_blocks > 2) {
        ahead.next = (const char *)chunk->next;
        ahead.end = ahead.next + chunk->depth * kernel->nr * sizeof(float);
    }
    for (size_t rb = 0; rb < row_blocks; rb++) {
        const size_t r = unit_start(strip->rows, kernel->row_unit, row_blocks, rb);
        const size_t count = unit_start(strip->rows, kernel->row_unit, row_blocks, rb + 1) - r;
        GemmPrefetch prefetch = {(const char *)chunk->data + STREAM_AHEAD, GEMM_PREFETCH_ALL};
        if (rb > 0 || !is_streamed)
            prefetch = take_ahead(&ahead, chunk->depth);
        if (chunk->is_last && row_blocks > 2)
            fetch_result(call, strip->row + r, count, chunk->column);
        if (kernel->begin && *strip->begun != count)
            kernel->begin(*strip->begun = count);
        kernel->multiply(count, chunk->depth, a + r * lda, lda, chunk->data,
                         chunk->sums + r * ld_sums, ld_sums, chunk->k > 0, prefetch);
        if (chunk->is_last && strip->panels == 1)
            finish_rows(call, strip, r, count); // while its sums are in L1
    }
}

// The part [k, end) of one panel, chunk by chunk; `after` is what comes next, or NULL.
static void multiply_panel(const GemmCall *call, const Strip *strip, Chunk chunk, size_t end,
                           const float *after) {
    const size_t nr = call->kernel->nr, begin = chunk.k;
    // A single block of rows uses nothing twice.
    const bool is_reused = strip->rows > call->kernel->mr;
    const size_t count = is_reused ? divide_up(end - begin, call->kernel->chunk_words) : 1;
    const float *panel = chunk.data;
    for (size_t c = 0; c < count; c++) {
        chunk.k = begin + unit_start(end - begin, K_UNIT, count, c);
        const size_t stop = begin + unit_start(end - begin, K_UNIT, count, c + 1);
        chunk.depth = stop - chunk.k;
        chunk.data = panel + (chunk.k - begin) * nr;
        chunk.next = c + 1 < count ? panel + (stop - begin) * nr : after;
        chunk.is_last = stop == call_words(call);
        multiply_chunk(call, strip, &chunk);
        chunk.is_first = false;
    }
}

static void multiply_strip(const GemmCall *call, const Strip *strip) {
    const size_t nr = call->kernel->nr, words = call_words(call);
    const size_t k_blocks = k_block_count(call, strip->rows);
    const float *first = (const float *)call->packed + strip->panel * words * nr;
    for (size_t kb = 0; kb < k_blocks; kb++) {
        const size_t k = unit_start(words, K_UNIT, k_blocks, kb);
        const size_t end = unit_start(words, K_UNIT, k_blocks, kb + 1);
        for (size_t p = 0; p < strip->panels; p++) {
            const Chunk chunk = {
                .k = k,
                .data = first + (p * words + k) * nr,
                .sums = strip->sums + p * nr,
                .column = (strip->panel + p) * nr,
                .is_first = strip->panel == strip->first_panel && kb == 0 && p == 0,
            };
            const float *after = NULL;
            if (p + 1 < strip->panels)
                after = chunk.data + words * nr;
            else if (kb + 1 < k_blocks)
                after = first + end * nr;
            else if (strip->panel + strip->panels < strip->last_panel)
                after = first + strip->panels * words * nr;
            multiply_panel(call, strip, chunk, end, after);
        }
    }
}

void gemm_run_tile(const GemmCall *call, size_t tile, size_t tiles, int threads) {
    (void)tiles;
    const GemmKernel *kernel = call->kernel;
    _Alignas(CACHE_LINE) float sums[SUMS];
    const Cut cut = cut_call(call, threads);
    const size_t panels = gemm_panel_count(kernel, call->n);
    const size_t row_range = tile / cut.panels, panel_range = tile % cut.panels;
    const size_t unit = kernel->row_unit;
    size_t begun = 0;
    Strip strip = {
        .row = unit_start(call->m, unit, cut.rows, row_range), .sums = sums, .begun = &begun};
    strip.rows = unit_start(call->m, unit, cut.rows, row_range + 1) - strip.row;
    strip.panel = strip.first_panel = part_start(panels, cut.panels, panel_range);
    strip.last_panel = part_start(panels, cut.panels, panel_range + 1);
    const size_t sums_in_l1 = kernel->row_range * kernel->nr;
    const size_t room = k_block_count(call, strip.rows) > 1 ? SUMS : sums_in_l1;
    const size_t widest = room / (strip.rows * kernel->nr);
    for (; strip.panel < strip.last_panel; strip.panel += strip.panels) {
        strip.panels = smaller(widest, strip.last_panel - strip.panel);
        multiply_strip(call, &strip);
        if (strip.panels > 1)
            finish_rows(call, &strip, 0, strip.rows);
    }
    if (kernel->end)
        kernel->end();
}
