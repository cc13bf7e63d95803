// Items, tiles and scratch of ragged attention; the arithmetic is in the kernels.
#include "kernels/attention/attention.h"

#include "base/checked.h"
#include "kernels/attention/attention_kernels.h"

static size_t items_of(int32_t length) {
    return ((size_t)length + ATTENTION_QUERY_BLOCK - 1) / ATTENTION_QUERY_BLOCK;
}

static int32_t length_of(const int32_t *cu_seqlens, size_t sequence) {
    return cu_seqlens[sequence + 1] - cu_seqlens[sequence];
}

// Appends the items of every sequence with `blocks` query blocks.
static size_t append_items(AttentionItem *items, size_t count, const int32_t *cu_seqlens,
                           size_t n_sequences, size_t blocks) {
    for (size_t s = 0; s < n_sequences; s++) {
        const int32_t length = length_of(cu_seqlens, s);
        if (items_of(length) != blocks)
            continue;
        for (int32_t begin = 0; begin < length; begin += ATTENTION_QUERY_BLOCK) {
            const int32_t end = begin + ATTENTION_QUERY_BLOCK;
            items[count++] = (AttentionItem){(int32_t)s, begin, end < length ? end : length};
        }
    }
    return count;
}

size_t attention_split(AttentionItem *items, const int32_t *cu_seqlens, size_t n_sequences) {
    size_t count = 0;
    size_t most = 0;
    for (size_t s = 0; s < n_sequences; s++) {
        const size_t blocks = items_of(length_of(cu_seqlens, s));
        count += blocks;
        most = blocks > most ? blocks : most;
    }
    if (!items)
        return count;
    // Long sequences first, so that the last tiles are small. One pass per distinct number of
    // blocks.
    size_t done = 0;
    while (done < count) {
        done = append_items(items, done, cu_seqlens, n_sequences, most);
        size_t next = 0;
        for (size_t s = 0; s < n_sequences; s++) {
            const size_t blocks = items_of(length_of(cu_seqlens, s));
            if (blocks < most && blocks > next)
                next = blocks;
        }
        most = next;
    }
    return count;
}

// Reserves rows * cols floats, rounded up to a cache line.
static bool reserve(size_t *at, size_t *total, size_t rows, size_t cols) {
    size_t floats;
    *at = *total;
    return size_mul(&floats, rows, cols) && size_align(&floats, floats, 16) &&
           size_add(total, *total, floats);
}

bool attention_scratch(AttentionScratch *out, const AttentionCall *call) {
    const AttentionKernel *kernel = call->kernel;
    const size_t nr = kernel->nr;
    *out = (AttentionScratch){0};
    size_t keys = call->max_length < kernel->key_block ? call->max_length : kernel->key_block;
    out->block = (keys + nr - 1) / nr * nr;
    if (!size_add(&out->width, call->head_dim, nr - 1))
        return false;
    out->width = out->width / nr * nr;
    return reserve(&out->keys, &out->total, out->block, call->head_dim) &&
           reserve(&out->values, &out->total, out->block, out->width) &&
           reserve(&out->scores, &out->total, kernel->mr, out->block) &&
           reserve(&out->bias, &out->total, 1, out->block) &&
           reserve(&out->sums, &out->total, ATTENTION_QUERY_BLOCK, out->width) &&
           reserve(&out->state, &out->total, 2, ATTENTION_QUERY_BLOCK);
}

size_t attention_scratch_bytes(const AttentionCall *call) {
    AttentionScratch scratch;
    size_t bytes;
    if (!attention_scratch(&scratch, call) || !size_mul(&bytes, scratch.total, sizeof(float)))
        return 0;
    return bytes;
}

size_t attention_even_items(const AttentionItem *items, size_t count, const int32_t *cu_seqlens) {
    size_t total = 0;
    size_t most = 1;
    for (size_t i = 0; i < count; i++) {
        const size_t keys = (size_t)length_of(cu_seqlens, (size_t)items[i].sequence);
        const size_t work = (size_t)(items[i].end - items[i].begin) * keys;
        total += work;
        most = work > most ? work : most;
    }
    return total / most;
}

// Groups of heads for each item.
static size_t head_groups(const AttentionCall *call, int threads) {
    enum { TILES_PER_THREAD = 4 };
    if (threads <= 1 || call->even_items == 0)
        return 1;
    const size_t wanted = TILES_PER_THREAD * (size_t)threads;
    const size_t groups = (wanted + call->even_items - 1) / call->even_items;
    return groups < call->heads ? groups : call->heads;
}

size_t attention_tile_count(const AttentionCall *call, int threads) {
    return call->item_count * head_groups(call, threads);
}

void attention_run_tile(const AttentionCall *call, size_t tile, int threads, void *scratch) {
    const size_t groups = head_groups(call, threads);
    const size_t group = tile % groups;
    call->kernel->run(call, &call->items[tile / groups], call->heads * group / groups,
                      call->heads * (group + 1) / groups, scratch);
}
