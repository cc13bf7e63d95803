// Attention in plain C: two passes over the keys of each query, in double precision. It defines
// what the other kernels approximate.
#include "kernels/attention/attention_kernels.h"

#include <math.h>

// Everything that the score of one query needs.
typedef struct Query {
    const AttentionCall *call;
    size_t head, first; // the sequence's first token
    int32_t i;          // the query, within the sequence
} Query;

static double score(const Query *query, int32_t j) {
    const AttentionCall *call = query->call;
    const size_t kv_head = query->head * call->kv_heads / call->heads;
    const size_t row = query->first + (size_t)query->i;
    const size_t col = query->first + (size_t)j;
    const float *q = (const float *)call->q + row * call->ld_q + query->head * call->head_dim;
    const float *k = (const float *)call->k + col * call->ld_k + kv_head * call->head_dim;
    double sum = 0;
    for (size_t d = 0; d < call->head_dim; d++)
        sum += (double)q[d] * (double)k[d];
    sum *= (double)call->scale;
    if (call->bias) {
        const int32_t *at = call->key_positions;
        const int32_t distance = at ? at[col] - at[row] : j - query->i;
        sum += (double)call->bias[query->head * call->bias_stride +
                                  (size_t)((ptrdiff_t)call->bias_center + distance)];
    }
    return sum;
}

static void run_head(const AttentionCall *call, const AttentionItem *item, size_t head,
                     float *sums) {
    const size_t first = (size_t)call->cu_seqlens[item->sequence];
    const int32_t length = call->cu_seqlens[item->sequence + 1] - (int32_t)first;
    const size_t kv_head = head * call->kv_heads / call->heads;
    for (int32_t i = item->begin; i < item->end; i++) {
        const Query query = {.call = call, .head = head, .first = first, .i = i};
        const int32_t keys = call->is_causal ? i + 1 : length;
        double highest = -INFINITY;
        for (int32_t j = 0; j < keys; j++)
            highest = fmax(highest, score(&query, j));
        double total = 0;
        for (size_t d = 0; d < call->head_dim; d++)
            sums[d] = 0;
        for (int32_t j = 0; j < keys; j++) {
            const double weight = exp(score(&query, j) - highest);
            const float *v = (const float *)call->v + (first + (size_t)j) * call->ld_v +
                             kv_head * call->head_dim;
            total += weight;
            for (size_t d = 0; d < call->head_dim; d++)
                sums[d] = (float)((double)sums[d] + weight * (double)v[d]);
        }
        float *out =
            (float *)call->out + (first + (size_t)i) * call->ld_out + head * call->head_dim;
        for (size_t d = 0; d < call->head_dim; d++)
            out[d] = (float)((double)sums[d] / total);
    }
}

static void run_ref(const AttentionCall *call, const AttentionItem *item, size_t head, size_t end,
                    void *scratch) {
    AttentionScratch parts;
    if (!attention_scratch(&parts, call))
        return;
    for (; head < end; head++)
        run_head(call, item, head, (float *)scratch + parts.sums);
}

const AttentionKernel attention_f32_ref = {
    .name = "attention_f32_ref",
    .run = run_ref,
    .type = KERNEL_F32,
    .head_unit = 1,
    .key_block = 256,
    .mr = 1,
    .nr = 1,
};
