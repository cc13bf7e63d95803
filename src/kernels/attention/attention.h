// Fused ragged attention: softmax(scale * Q K^T + bias) V per sequence and head, without a score
// matrix in memory (online softmax over blocks of keys; Milakov & Gimelshein 2018, Dao et al.
// 2022).
//
// Tokens lie end to end: q, k, v and out are [total_tokens, *] with row strides; head h of a token
// is at column h * head_dim. Sequence s owns rows cu_seqlens[s] .. cu_seqlens[s + 1] - 1 and
// attends to itself only. A sequence's result does not depend on the other sequences.
#ifndef GPUX_KERNELS_ATTENTION_ATTENTION_H
#define GPUX_KERNELS_ATTENTION_ATTENTION_H

#include "kernels/types.h"

#include <stdbool.h>

// Queries [begin, end) of sequence `sequence`, token indices relative to the sequence's start.
typedef struct AttentionItem {
    int32_t sequence, begin, end;
} AttentionItem;

struct AttentionCall;

typedef struct AttentionKernel {
    const char *name;
    // One item and heads [head, end). scratch: attention_scratch_bytes(call) bytes, 64-aligned,
    // private to the calling thread.
    void (*run)(const struct AttentionCall *call, const AttentionItem *item, size_t head,
                size_t end, void *scratch);
    KernelType type;  // of q, k, v and out: f32 or bf16
    size_t head_unit; // head_dim is a multiple of this
    size_t key_block; // keys per online-softmax block
    size_t mr, nr;    // the register tile that it computes scores and products with
} AttentionKernel;

typedef struct AttentionCall {
    const AttentionKernel *kernel;
    const void *q, *k, *v;   // of the kernel's element type
    size_t ld_q, ld_k, ld_v; // row strides in elements, multiples of 2 for bf16
    void *out;               // likewise
    size_t ld_out;
    const int32_t *cu_seqlens; // [n_sequences + 1]
    const AttentionItem *items;
    size_t item_count;
    size_t even_items;                // what attention_even_items answered for them
    size_t heads, kv_heads, head_dim; // query head h reads key/value head h * kv_heads / heads
    size_t max_length;                // longest sequence
    float scale;
    bool is_causal;
    // Additive bias by relative position (T5, MPNet): bias[h * bias_stride + (j - i) + bias_center]
    // is added to the scaled score of query i and key j. NULL for none. Offsets are within the
    // table. key_positions (may be NULL = index within the sequence): i and j are taken from it,
    // one per token of the whole batch, so that sequences with holes keep their distances.
    const float *bias;
    size_t bias_stride, bias_center;
    const int32_t *key_positions;
} AttentionCall;

// Cuts sequences into items of at most ATTENTION_QUERY_BLOCK queries, longest sequences first.
// Returns the number of items; `items` may be NULL to count. Depends on each sequence's length
// only.
enum { ATTENTION_QUERY_BLOCK = 128 };
size_t attention_split(AttentionItem *items, const int32_t *cu_seqlens, size_t n_sequences);
// The work of all items in units of the largest one's, rounded down.
size_t attention_even_items(const AttentionItem *items, size_t count, const int32_t *cu_seqlens);

// Checked: 0 on overflow.
size_t attention_scratch_bytes(const AttentionCall *call);
// A tile is an item and a few heads, one after the other, so that the next head can be fetched
// while one is computed. There are enough tiles to keep `threads` workers evenly busy; `threads`
// must be the same for both. No result depends on it.
size_t attention_tile_count(const AttentionCall *call, int threads);
void attention_run_tile(const AttentionCall *call, size_t tile, int threads, void *scratch);

#endif
