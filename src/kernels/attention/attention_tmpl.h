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
    size_t head, first; // the sequence's first token
    size_t query, queries;
    size_t key, keys, last; // the current block of keys, and where they end
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

// Fetches row r's share of the keys and values that come after this block.
static void fetch_next(const Run *run, size_t r) {
    const AttentionCall *call = run->call;
    const size_t next = run->key + run->keys;
    if (next == run->last)
        return;
    const size_t count = run->last - next < run->keys ? run->last - next : run->keys;
    const size_t at = run->head * call->kv_heads / call->heads * call->head_dim;
    for (size_t j = next + count * r / run->queries; j < next + count * (r + 1) / run->queries; j++)
        for (size_t d = 0; d < call->head_dim; d += 64 / ELEMENT_BYTES) {
            vec_prefetch(element(run, call->k, j, call->ld_k, at + d));
            vec_prefetch(element(run, call->v, j, call->ld_v, at + d));
        }
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

// Turns row r of the scores into weights and corrects what was summed before. Lanes up to `count`
// are written; causal rows see fewer keys.
static void softmax_row(const Run *run, size_t r, float *row, size_t count) {
    const size_t i = run->query + r;
    size_t keys = count;
    if (run->call->is_causal && i + 1 < run->key + count)
        keys = i + 1 > run->key ? i + 1 - run->key : 0;
    const float before = run->highest[r];
    const float top = highest_score(run, row, i, keys);
    const float now = top > before ? top : before;
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
    Run part = *run;
    part.query += r;
    part.highest += r;
    part.total += r;
    part.sums += r * run->parts.width;
    for (size_t t = 0; t < rows; t++) {
        softmax_row(&part, t, run->scores + t * run->parts.block, count);
        fetch_next(run, r + t);
    }
    for (size_t d = 0; d < call->head_dim; d += nr)
        gemm->multiply(rows, padded_words(gemm, count), run->scores, run->parts.block,
                       run->packed_values + d * run->parts.block, part.sums + d, run->parts.width,
                       run->key > 0, none);
}

static void store_rows(const Run *run) {
    const AttentionCall *call = run->call;
    for (size_t r = 0; r < run->queries; r++) {
        const size_t at = (run->first + run->query + r) * call->ld_out + run->head * call->head_dim;
        const float *sums = run->sums + r * run->parts.width;
        const Vec total = vec_set1(run->total[r]), inverse = vec_set1(1.0f / run->total[r]);
        for (size_t d = 0; d < call->head_dim; d += VEC_WIDTH) {
            const size_t left = call->head_dim - d;
            const Vec x = vec_load(sums + d);
            if (ATTENTION_BF16) // head_dim is a multiple of 32
                vec_store_bf16((uint16_t *)call->out + at + d, vec_mul(x, inverse));
            else
                vec_store_mask(vec_first(left < VEC_WIDTH ? left : VEC_WIDTH),
                               (float *)call->out + at + d, vec_div(x, total));
        }
    }
}

static void run_item(const AttentionCall *call, const GemmKernel *gemm, const AttentionItem *item,
                     size_t head, float *scratch) {
    Run run = {.call = call, .gemm = gemm, .head = head};
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
    for (size_t r = 0; r < run.queries; r++)
        run.highest[r] = -INFINITY;
    const size_t length = (size_t)call->cu_seqlens[item->sequence + 1] - run.first;
    run.last = call->is_causal ? (size_t)item->end : length;
    const size_t parts = (run.queries + gemm->mr - 1) / gemm->mr;
    size_t begun = 0;
    for (run.key = 0; run.key < run.last; run.key += call->kernel->key_block) {
        const size_t left = run.last - run.key;
        run.keys = left < call->kernel->key_block ? left : call->kernel->key_block;
        pack_block(&run);
        size_t r = 0;
        for (size_t part = 0; part < parts; part++) {
            const size_t units = (run.queries + gemm->row_unit - 1) / gemm->row_unit;
            size_t rows = (units / parts + (part < units % parts)) * gemm->row_unit;
            rows = rows < run.queries - r ? rows : run.queries - r;
            if (gemm->begin && rows != begun)
                gemm->begin(begun = rows);
            run_rows(&run, r, rows);
            r += rows;
        }
    }
    if (gemm->end)
        gemm->end();
    store_rows(&run);
}
