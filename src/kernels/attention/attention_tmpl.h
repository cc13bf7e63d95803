// Fused attention over the vector vocabulary and a GEMM tile, in f32 or (ATTENTION_BF16 = 1) with
// bf16 operands: queries, keys, values and weights; scores, softmax and sums stay f32.
//
// For each block of keys: K^T and V of the block are packed into panels, then for each few queries
// scores = Q K^T, an online softmax step, sums = sums * correction + P V. A query's result depends
// on its own row and the sequence only: blocks of keys start at fixed places, and every row of a
// tile is computed alone. Exponentials are taken to base 2, with log2(e) folded into the scale.
#include "kernels/attention/attention_kernels.h"
#include "kernels/gemm/gemm_kernels.h"
#include "kernels/vec/vec_math.h"

#include <math.h>

#define LOG2_E 0x1.715476p0f

enum { PER_WORD = ATTENTION_BF16 ? 2 : 1, ELEMENT_BYTES = 4 / PER_WORD };

// One run: pointers into the scratch block, and what of the sequence is being worked on.
typedef struct Run {
    const AttentionCall *call;
    const GemmKernel *gemm;
    size_t head, end_head, first; // first: the sequence's first token
    size_t query, queries;
    size_t key, keys, last; // the current block of keys, and where they end
    size_t share;           // keys that each query fetches ahead
    size_t begun;           // rows that the tile has been set up for; 0 = none yet
    AttentionScratch parts;
    float *packed_keys, *packed_values, *scores, *bias, *sums, *highest, *total;
} Run;

// Element `column` of token `row` of the sequence, in an array of rows at stride ld.
static const void *element(const Run *run, const void *array, size_t row, size_t ld,
                           size_t column) {
    return (const char *)array + ((run->first + row) * ld + column) * ELEMENT_BYTES;
}

// Words of K that a product takes for `count` elements: whole units, which are filled with 0.
static size_t padded_words(const GemmKernel *gemm, size_t count) {
    const size_t words = (count + PER_WORD - 1) / PER_WORD;
    return (words + gemm->unit - 1) / gemm->unit * gemm->unit;
}

#if ATTENTION_BF16
// Word (w, d) of the panel is the pair of values of keys 2 w and 2 w + 1 in column d.
static void pack_values(const Run *run, size_t d, size_t columns, float *panel) {
    const AttentionCall *call = run->call;
    const size_t nr = run->gemm->nr, at = run->head * call->kv_heads / call->heads * call->head_dim;
    const size_t words = padded_words(run->gemm, run->keys);
    static const uint16_t zeros[VEC_WIDTH] = {0};
    for (size_t w = 0; w < words; w++)
        for (size_t j = 0; j < nr; j += VEC_WIDTH) {
            const void *pair[2] = {zeros, zeros};
            for (size_t i = 0; i < 2; i++)
                if (j < columns && 2 * w + i < run->keys)
                    pair[i] = element(run, call->v, run->key + 2 * w + i, call->ld_v, at + d + j);
            vec_store(panel + w * nr + j, vec_pair_bf16(pair[0], pair[1]));
        }
}
#else
static void pack_values(const Run *run, size_t d, size_t columns, float *panel) {
    const AttentionCall *call = run->call;
    const size_t at = run->head * call->kv_heads / call->heads * call->head_dim;
    run->gemm->pack(columns, run->keys, element(run, call->v, run->key, call->ld_v, at + d),
                    KERNEL_F32, 1, call->ld_v, panel, NULL, NULL);
}
#endif

// Keys are packed as words, whatever these hold: a row of K is a row of W.
static void pack_block(const Run *run) {
    const AttentionCall *call = run->call;
    const size_t nr = run->gemm->nr, words = call->head_dim / PER_WORD;
    const size_t at = run->head * call->kv_heads / call->heads * call->head_dim;
    for (size_t j = 0; j < run->keys; j += nr) {
        const size_t left = run->keys - j;
        ISA(gemm_pack_f32)
        (left < nr ? left : nr, words, element(run, call->k, run->key + j, call->ld_k, at),
         KERNEL_F32, call->ld_k / PER_WORD, 1, run->packed_keys + j * words, NULL, NULL);
    }
    for (size_t d = 0; d < call->head_dim; d += nr) {
        const size_t left = call->head_dim - d;
        pack_values(run, d, left < nr ? left : nr, run->packed_values + d * run->parts.block);
    }
}

// The bias of query i against the block's keys, times log2(e): in place or gathered.
static const float *bias_row(const Run *run, size_t i) {
    const AttentionCall *call = run->call;
    const float *table = call->bias + run->head * call->bias_stride;
    if (!call->key_positions)
        return table + ((ptrdiff_t)call->bias_center + (ptrdiff_t)run->key - (ptrdiff_t)i);
    const int32_t *positions = call->key_positions + run->first;
    for (size_t j = 0; j < run->keys; j++)
        run->bias[j] = table[(ptrdiff_t)call->bias_center + positions[run->key + j] - positions[i]];
    return run->bias;
}

// What a row's lanes are times this, less the highest, is the exponent. A row with bias is scaled
// already, and so is one whose order scaling would turn around.
static bool is_scaled_before(const AttentionCall *call) {
    return call->bias || !(call->scale > 0);
}

// Answers the row's highest scaled score, after scaling it and adding the bias where that is done
// before. Lanes past `keys` become -infinity.
static float highest_score(const Run *run, float *row, size_t i, size_t keys) {
    const Vec lowest = vec_set1(-INFINITY);
    const float factor = run->call->scale * LOG2_E;
    Vec top = lowest;
    size_t j = 0;
    if (!is_scaled_before(run->call)) {
        for (; j + VEC_WIDTH <= keys; j += VEC_WIDTH)
            top = vec_max(top, vec_load(row + j));
        if (j < keys) {
            const Vec x = vec_choose(vec_first(keys - j), vec_load(row + j), lowest);
            vec_store(row + j, x);
            top = vec_max(top, x);
        }
        return vec_highest(top) * factor;
    }
    const float *bias = run->call->bias ? bias_row(run, i) : NULL;
    for (; j < keys; j += VEC_WIDTH) {
        const VecMask mask = vec_first(keys - j < VEC_WIDTH ? keys - j : VEC_WIDTH);
        const Vec shift =
            bias ? vec_mul(vec_load_mask(mask, bias + j), vec_set1(LOG2_E)) : vec_zero();
        const Vec x = vec_choose(mask, vec_fma(vec_load(row + j), vec_set1(factor), shift), lowest);
        vec_store(row + j, x);
        top = vec_max(top, x);
    }
    return vec_highest(top);
}

// Asks for `count` rows of an array, one head of them.
static void fetch_rows(const Run *run, const void *array, size_t ld, size_t column, size_t first,
                       size_t count) {
    for (size_t j = first; j < first + count; j++)
        for (size_t d = 0; d < run->call->head_dim; d += 64 / ELEMENT_BYTES)
            vec_prefetch_l2(element(run, array, j, ld, column + d));
}

// While row r is worked on: its share of what comes after this block, which is the next block of
// keys or the next head.
static void fetch_next(const Run *run, size_t r) {
    const AttentionCall *call = run->call;
    size_t head = run->head, key = run->key + run->keys;
    if (key >= run->last) {
        if (++head == run->end_head)
            return;
        key = 0;
        fetch_rows(run, call->q, call->ld_q, head * call->head_dim, run->query + r, 1);
    }
    const size_t at = head * call->kv_heads / call->heads * call->head_dim;
    const size_t first = key + r * run->share;
    if (first >= run->last)
        return;
    const size_t left = run->last - first, count = left < run->share ? left : run->share;
    fetch_rows(run, call->k, call->ld_k, at, first, count);
    fetch_rows(run, call->v, call->ld_v, at, first, count);
}

#if ATTENTION_BF16
static inline __attribute__((always_inline)) void exponentiate(const size_t count, Vec x[]) {
    vec_exp2_negative_bf16(count, x);
}
// Behind what is still to be read: weights take half the room of scores.
static inline void store_weights(float *row, size_t j, Vec x) {
    vec_store_bf16((uint16_t *)(void *)row + j, x);
}
#else
static inline __attribute__((always_inline)) void exponentiate(const size_t count, Vec x[]) {
    vec_exp2_negative(count, x);
}
static inline void store_weights(float *row, size_t j, Vec x) {
    vec_store(row + j, x);
}
#endif

// The weights 2^(row * factor - highest) of `keys` lanes, rounded up to whole vectors, in the place
// of the scores and as elements of the product; answers their sum.
static float exponentiate_row(float *row, size_t keys, float factor, float highest) {
    enum { BUNDLE = 4 };
    const Vec scale = vec_set1(factor), shift = vec_set1(-highest);
    Vec sum = vec_zero();
    size_t j = 0;
    for (; j + BUNDLE * VEC_WIDTH <= keys; j += BUNDLE * VEC_WIDTH) {
        Vec p[VEC_BUNDLE];
        VEC_EACH(BUNDLE) p[v] = vec_fma(vec_load(row + j + v * VEC_WIDTH), scale, shift);
        exponentiate(BUNDLE, p);
        VEC_EACH(BUNDLE) store_weights(row, j + v * VEC_WIDTH, p[v]);
        VEC_EACH(BUNDLE) sum = vec_add(sum, p[v]);
    }
    for (; j < keys; j += VEC_WIDTH) {
        Vec p[1] = {vec_fma(vec_load(row + j), scale, shift)};
        exponentiate(1, p);
        store_weights(row, j, p[0]);
        sum = vec_add(sum, p[0]);
    }
    return vec_sum(sum);
}

// Keys of the block that row r sees, of `count`: causal rows see fewer.
static size_t keys_of(const Run *run, size_t r, size_t count) {
    const size_t i = run->query + r;
    if (!run->call->is_causal || i + 1 >= run->key + count)
        return count;
    return i + 1 > run->key ? i + 1 - run->key : 0;
}

// Turns row r of the scores into weights, given the highest score so far, and corrects what was
// summed before. Lanes up to `count` are written.
static void softmax_row(const Run *run, size_t r, float *row, size_t count, float now) {
    const size_t keys = keys_of(run, r, count);
    const float before = run->highest[r];
    const float factor = is_scaled_before(run->call) ? 1.0f : run->call->scale * LOG2_E;
    const float sum = exponentiate_row(row, keys, factor, now);
    const size_t padded = padded_words(run->gemm, count) * PER_WORD;
    for (size_t j = (keys + VEC_WIDTH - 1) / VEC_WIDTH * VEC_WIDTH; j < padded; j += VEC_WIDTH)
        store_weights(row, j, vec_zero());
    run->highest[r] = now;
    if (run->key == 0) {
        run->total[r] = sum;
        return;
    }
    Vec correction[1] = {vec_set1(before - now)};
    float lanes[VEC_WIDTH];
    vec_exp2_negative(1, correction);
    vec_store(lanes, correction[0]);
    run->total[r] = run->total[r] * lanes[0] + sum;
    if (before == now)
        return;
    float *sums = run->sums + r * run->parts.width;
    for (size_t d = 0; d < run->parts.width; d += VEC_WIDTH)
        vec_store(sums + d, vec_mul(vec_load(sums + d), correction[0]));
}

// Rows are independent, so that their reductions overlap: all maxima, then all weights.
static void softmax_rows(const Run *run, size_t r, size_t rows, size_t count) {
    float highest[GEMM_MAX_MR];
    for (size_t t = 0; t < rows; t++) {
        const float top = highest_score(run, run->scores + t * run->parts.block, run->query + r + t,
                                        keys_of(run, r + t, count));
        highest[t] = top > run->highest[r + t] ? top : run->highest[r + t];
    }
    for (size_t t = 0; t < rows; t++) {
        softmax_row(run, r + t, run->scores + t * run->parts.block, count, highest[t]);
        fetch_next(run, r + t);
    }
}

// The result of row r.
static char *result(const Run *run, size_t r) {
    const AttentionCall *call = run->call;
    const size_t row = run->first + run->query + r;
    return (char *)call->out + (row * call->ld_out + run->head * call->head_dim) * ELEMENT_BYTES;
}

static void store_rows(const Run *run, size_t r, size_t rows) {
    const size_t head_dim = run->call->head_dim;
    for (const size_t end = r + rows; r < end; r++) {
        const float *sums = run->sums + r * run->parts.width;
        const Vec inverse = vec_set1(1.0f / run->total[r]);
        char *out = result(run, r);
        for (size_t d = 0; d < head_dim; d += VEC_WIDTH) {
            const size_t left = head_dim - d;
            const Vec x = vec_mul(vec_load(sums + d), inverse);
            if (ATTENTION_BF16) // head_dim is a multiple of 32
                vec_store_bf16((uint16_t *)(void *)out + d, x);
            else
                vec_store_mask(vec_first(left < VEC_WIDTH ? left : VEC_WIDTH), (float *)out + d, x);
        }
    }
}

// A few queries, [r, r + rows) of the item, against the current block.
static void run_rows(const Run *run, size_t r, size_t rows) {
    const AttentionCall *call = run->call;
    const GemmKernel *gemm = run->gemm;
    const GemmPrefetch none = {0};
    const size_t nr = gemm->nr;
    size_t count = run->keys;
    if (call->is_causal) {
        const size_t end = run->query + r + rows;
        if (end <= run->key)
            return;
        count = end - run->key < count ? end - run->key : count;
    }
    const size_t words = call->head_dim / PER_WORD;
    const void *q = element(run, call->q, run->query + r, call->ld_q, run->head * call->head_dim);
    for (size_t j = 0; j < count; j += nr)
        gemm->multiply(rows, words, q, call->ld_q / PER_WORD, run->packed_keys + j * words,
                       run->scores + j, run->parts.block, false, none);
    // Blocks of queries end where blocks of keys do, if not before: causal rows end in it, too.
    const bool is_last = run->key + run->keys >= run->last;
    for (size_t t = 0; is_last && t < rows; t++)
        for (size_t d = 0; d < call->head_dim; d += 64 / ELEMENT_BYTES)
            vec_prefetch_to_write(result(run, r + t) + d * ELEMENT_BYTES);
    softmax_rows(run, r, rows, count);
    for (size_t d = 0; d < call->head_dim; d += nr)
        gemm->multiply(rows, padded_words(gemm, count), run->scores, run->parts.block,
                       run->packed_values + d * run->parts.block,
                       run->sums + r * run->parts.width + d, run->parts.width, run->key > 0, none);
    if (is_last)
        store_rows(run, r, rows);
}

static void run_head(Run *run) {
    const AttentionCall *call = run->call;
    const GemmKernel *gemm = run->gemm;
    for (size_t r = 0; r < run->queries; r++)
        run->highest[r] = -INFINITY;
    const size_t parts = (run->queries + gemm->mr - 1) / gemm->mr;
    const size_t units = (run->queries + gemm->row_unit - 1) / gemm->row_unit;
    for (run->key = 0; run->key < run->last; run->key += call->kernel->key_block) {
        const size_t left = run->last - run->key;
        run->keys = left < call->kernel->key_block ? left : call->kernel->key_block;
        pack_block(run);
        size_t r = 0;
        for (size_t part = 0; part < parts; part++) {
            size_t rows = (units / parts + (part < units % parts)) * gemm->row_unit;
            rows = rows < run->queries - r ? rows : run->queries - r;
            if (gemm->begin && rows != run->begun)
                gemm->begin(run->begun = rows);
            run_rows(run, r, rows);
            r += rows;
        }
    }
}

static void run_item(const AttentionCall *call, const GemmKernel *gemm, const AttentionItem *item,
                     size_t head, size_t end, float *scratch) {
    Run run = {.call = call, .gemm = gemm, .head = head, .end_head = end};
    if (!attention_scratch(&run.parts, call))
        return;
    run.first = (size_t)call->cu_seqlens[item->sequence];
    run.query = (size_t)item->begin;
    run.queries = (size_t)(item->end - item->begin);
    run.packed_keys = scratch + run.parts.keys;
    run.packed_values = scratch + run.parts.values;
    run.scores = scratch + run.parts.scores;
    run.bias = scratch + run.parts.bias;
    run.sums = scratch + run.parts.sums;
    run.highest = scratch + run.parts.state;
    run.total = run.highest + ATTENTION_QUERY_BLOCK;
    const size_t length = (size_t)call->cu_seqlens[item->sequence + 1] - run.first;
    run.last = call->is_causal ? (size_t)item->end : length;
    const size_t block = run.last < call->kernel->key_block ? run.last : call->kernel->key_block;
    run.share = (block + run.queries - 1) / run.queries;
    for (; run.head < end; run.head++)
        run_head(&run);
    if (gemm->end)
        gemm->end();
}
