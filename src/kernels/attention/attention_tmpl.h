// Fused attention over the vector vocabulary and the f32 GEMM tile of the same instruction set.
//
// For each block of keys: K^T and V of the block are packed into panels, then for each few queries
// scores = Q K^T, an online softmax step, sums = sums * correction + P V. A query's result depends
// on its own row and the sequence only: blocks of keys start at fixed places, and every row of a
// tile is computed alone. Exponentials are taken to base 2, with log2(e) folded into the scale.
#include "kernels/attention/attention_f32.h"
#include "kernels/gemm/gemm_kernels.h"
#include "kernels/vec/vec_math.h"

#include <math.h>

#define LOG2_E 0x1.715476p0f

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

static void pack_block(const Run *run) {
    const AttentionCall *call = run->call;
    const GemmKernel *gemm = run->gemm;
    const size_t kv_head = run->head * call->kv_heads / call->heads;
    const size_t at = kv_head * call->head_dim;
    const float *k = call->k + (run->first + run->key) * call->ld_k + at;
    const float *v = call->v + (run->first + run->key) * call->ld_v + at;
    for (size_t j = 0; j < run->keys; j += gemm->nr) {
        const size_t left = run->keys - j;
        gemm->pack(left < gemm->nr ? left : gemm->nr, call->head_dim, k + j * call->ld_k,
                   KERNEL_F32, call->ld_k, 1, run->packed_keys + j * call->head_dim, NULL, NULL);
    }
    for (size_t d = 0; d < call->head_dim; d += gemm->nr) {
        const size_t left = call->head_dim - d;
        gemm->pack(left < gemm->nr ? left : gemm->nr, run->keys, v + d, KERNEL_F32, 1, call->ld_v,
                   run->packed_values + d * run->parts.block, NULL, NULL);
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

// Scales the row, adds the bias and answers its highest value. Lanes past `keys` become -infinity.
static Vec scale_row(const Run *run, float *row, size_t i, size_t keys) {
    const Vec lowest = vec_set1(-INFINITY);
    const Vec factor = vec_set1(run->call->scale * LOG2_E);
    Vec top = lowest;
    if (run->call->bias) {
        const float *bias = bias_row(run, i);
        for (size_t j = 0; j < keys; j += VEC_WIDTH) {
            const VecMask mask = vec_first(keys - j < VEC_WIDTH ? keys - j : VEC_WIDTH);
            Vec x = vec_mul(vec_load_mask(mask, bias + j), vec_set1(LOG2_E));
            x = vec_fma(vec_load(row + j), factor, x);
            x = vec_choose(mask, x, lowest);
            vec_store(row + j, x);
            top = vec_max(top, x);
        }
        return top;
    }
    for (size_t j = 0; j < keys; j += VEC_WIDTH) {
        const VecMask mask = vec_first(keys - j < VEC_WIDTH ? keys - j : VEC_WIDTH);
        const Vec x = vec_choose(mask, vec_mul(vec_load(row + j), factor), lowest);
        vec_store(row + j, x);
        top = vec_max(top, x);
    }
    return top;
}

// Fetches row r's share of the keys and values that come after this block.
static void fetch_next(const Run *run, size_t r) {
    const AttentionCall *call = run->call;
    const size_t next = run->key + run->keys;
    const size_t count = run->last - next < run->keys ? run->last - next : run->keys;
    const size_t at = run->head * call->kv_heads / call->heads * call->head_dim;
    for (size_t j = next + count * r / run->queries; j < next + count * (r + 1) / run->queries; j++)
        for (size_t d = 0; d < call->head_dim; d += 16) {
            vec_prefetch(call->k + (run->first + j) * call->ld_k + at + d);
            vec_prefetch(call->v + (run->first + j) * call->ld_v + at + d);
        }
}

// row = 2^(row - highest) over `keys` lanes rounded up to whole vectors; answers the sum.
static float exponentiate_row(float *row, size_t keys, float highest) {
    enum { BUNDLE = 4 };
    const Vec top = vec_set1(highest);
    Vec sum = vec_zero();
    size_t j = 0;
    for (; j + BUNDLE * VEC_WIDTH <= keys; j += BUNDLE * VEC_WIDTH) {
        Vec p[VEC_BUNDLE];
        VEC_EACH(BUNDLE) p[v] = vec_sub(vec_load(row + j + v * VEC_WIDTH), top);
        vec_exp2_negative(BUNDLE, p);
        VEC_EACH(BUNDLE) vec_store(row + j + v * VEC_WIDTH, p[v]);
        VEC_EACH(BUNDLE) sum = vec_add(sum, p[v]);
    }
    for (; j < keys; j += VEC_WIDTH) {
        Vec p[1] = {vec_sub(vec_load(row + j), top)};
        vec_exp2_negative(1, p);
        vec_store(row + j, p[0]);
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
    const float top = vec_highest(scale_row(run, row, i, keys));
    const float now = top > before ? top : before;
    const float sum = exponentiate_row(row, keys, now);
    for (size_t j = (keys + VEC_WIDTH - 1) / VEC_WIDTH * VEC_WIDTH; j < count; j += VEC_WIDTH)
        vec_store(row + j, vec_zero());
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
    const float *q = call->q + (run->first + run->query + r) * call->ld_q;
    for (size_t j = 0; j < count; j += nr)
        gemm->multiply(rows, call->head_dim, q + run->head * call->head_dim, call->ld_q,
                       run->packed_keys + j * call->head_dim, run->scores + j, run->parts.block,
                       false, none);
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
        gemm->multiply(rows, count, run->scores, run->parts.block,
                       run->packed_values + d * run->parts.block, part.sums + d, run->parts.width,
                       run->key > 0, none);
}

static void store_rows(const Run *run) {
    const AttentionCall *call = run->call;
    for (size_t r = 0; r < run->queries; r++) {
        float *out =
            call->out + (run->first + run->query + r) * call->ld_out + run->head * call->head_dim;
        const float *sums = run->sums + r * run->parts.width;
        const Vec total = vec_set1(run->total[r]);
        for (size_t d = 0; d < call->head_dim; d += VEC_WIDTH) {
            const size_t left = call->head_dim - d;
            vec_store_mask(vec_first(left < VEC_WIDTH ? left : VEC_WIDTH), out + d,
                           vec_div(vec_load(sums + d), total));
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
    for (run.key = 0; run.key < run.last; run.key += call->kernel->key_block) {
        const size_t left = run.last - run.key;
        run.keys = left < call->kernel->key_block ? left : call->kernel->key_block;
        pack_block(&run);
        size_t r = 0;
        for (size_t part = 0; part < parts; part++) {
            const size_t rows = run.queries / parts + (part < run.queries % parts);
            run_rows(&run, r, rows);
            r += rows;
        }
    }
    store_rows(&run);
}
