// Building the double-array trie of the Unigram model: nodes breadth first, each at the first place
// where all its children's cells are free. Few places are tried, so it takes linear time; what they
// leave free, nodes with one child fill.
#include "text/pipeline.h"

#include <math.h>
#include <stdlib.h>

enum {
    MAX_TRIES = 24,
    GROW_CELLS = 4096, // more than the 256 cells that a node's children may span
};

// A span of sorted entries that share their first `depth` bytes: one node.
typedef struct TrieSpan {
    uint32_t begin, end, depth;
    uint32_t cell;
} TrieSpan;

typedef struct TrieBuilder {
    const Vocab *vocab;
    const double *scores;
    uint32_t *order; // entries sorted by text
    PrefixTrie *trie;
    uint32_t *next_free, *prev_free; // a ring through cell 0, [cap]
    uint32_t cap;
    uint32_t used_end; // no cell from here on is taken
    TrieSpan *spans;   // nodes found so far, breadth first
    uint32_t span_count, span_cap;
} TrieBuilder;

// The children of one node: groups of its entries by their next byte.
typedef struct TrieChildren {
    uint8_t bytes[256];
    uint32_t begins[257];
    uint32_t count;
} TrieChildren;

static int compare_entries(const void *a, const void *b, void *ctx) {
    const Vocab *vocab = ctx;
    const VocabEntry *x = &vocab->entries[*(const uint32_t *)a];
    const VocabEntry *y = &vocab->entries[*(const uint32_t *)b];
    uint32_t least = x->len < y->len ? x->len : y->len;
    int order = least ? memcmp(vocab->bytes + x->offset, vocab->bytes + y->offset, least) : 0;
    return order ? order : (x->len > y->len) - (x->len < y->len);
}

static bool grow_block(void **block, size_t cap, size_t size) {
    void *grown = mem_realloc_array(*block, cap, size);
    if (!grown)
        return false;
    *block = grown;
    return true;
}

static bool grow_cells(TrieBuilder *builder) {
    PrefixTrie *trie = builder->trie;
    if (builder->cap > UINT32_MAX / 4)
        return false;
    uint32_t begin = builder->cap, cap = begin + begin / 2 + GROW_CELLS;
    void *blocks[] = {trie->cells, builder->next_free, builder->prev_free, trie->tokens};
    bool done = grow_block(&blocks[0], cap, sizeof *trie->cells);
    done &= grow_block(&blocks[1], cap, sizeof(uint32_t));
    done &= grow_block(&blocks[2], cap, sizeof(uint32_t));
    done &= grow_block(&blocks[3], cap, sizeof *trie->tokens);
    trie->cells = blocks[0];
    builder->next_free = blocks[1];
    builder->prev_free = blocks[2];
    trie->tokens = blocks[3];
    if (!done)
        return false;
    for (uint32_t i = begin; i < cap; i++) {
        trie->cells[i] = (TrieCell){.parent = TRIE_FREE, .score = NAN};
        trie->tokens[i] = -1;
        builder->next_free[i] = i + 1;
        builder->prev_free[i] = i ? i - 1 : cap - 1;
    }
    // The new cells go between the last free one and the root.
    uint32_t last = begin ? builder->prev_free[0] : cap - 1;
    if (begin) {
        builder->next_free[last] = begin;
        builder->prev_free[begin] = last;
        builder->prev_free[0] = cap - 1;
    }
    builder->next_free[cap - 1] = 0;
    builder->cap = cap;
    return true;
}

static bool fits(const PrefixTrie *trie, uint32_t base, const TrieChildren *children) {
    for (uint32_t i = 0; i < children->count; i++)
        if (trie->cells[base + children->bytes[i]].parent != TRIE_FREE)
            return false;
    return true;
}

// A base for the children; cells up to base + 255 exist, and more than 255 behind the used ones.
static bool find_base(TrieBuilder *builder, uint32_t *base, const TrieChildren *children) {
    uint32_t first = children->bytes[0], tries = 0;
    if (builder->used_end + 512 > builder->cap && !grow_cells(builder))
        return false;
    for (uint32_t at = builder->next_free[0]; at < builder->used_end && tries < MAX_TRIES;
         at = builder->next_free[at]) {
        // Cell 0 is the root's, though it is not marked; near it there is no base below 1.
        if (at <= first)
            continue;
        tries++;
        *base = at - first;
        if (fits(builder->trie, *base, children))
            return true;
    }
    *base = builder->used_end > first ? builder->used_end - first : 1;
    return true;
}

static bool add_span(TrieBuilder *builder, TrieSpan span) {
    if (builder->span_count == builder->span_cap) {
        size_t cap = builder->span_cap ? (size_t)builder->span_cap * 2 : 1024;
        void *block = builder->spans;
        if (cap > UINT32_MAX || !grow_block(&block, cap, sizeof *builder->spans))
            return false;
        builder->spans = block;
        builder->span_cap = (uint32_t)cap;
    }
    builder->spans[builder->span_count++] = span;
    return true;
}

static void take_cell(TrieBuilder *builder, uint32_t cell, uint32_t parent) {
    uint32_t next = builder->next_free[cell], prev = builder->prev_free[cell];
    builder->next_free[prev] = next;
    builder->prev_free[next] = prev;
    builder->trie->cells[cell].parent = parent;
    if (cell >= builder->used_end)
        builder->used_end = cell + 1;
}

static void find_children(TrieChildren *children, const TrieBuilder *builder, const TrieSpan *span,
                          uint32_t begin) {
    const Vocab *vocab = builder->vocab;
    children->count = 0;
    for (uint32_t at = begin; at < span->end; at++) {
        const VocabEntry *entry = &vocab->entries[builder->order[at]];
        uint8_t byte = (uint8_t)vocab->bytes[entry->offset + span->depth];
        if (children->count > 0 && children->bytes[children->count - 1] == byte)
            continue;
        children->bytes[children->count] = byte;
        children->begins[children->count++] = at;
    }
    children->begins[children->count] = span->end;
}

static void set_token(TrieBuilder *builder, uint32_t cell, int32_t id) {
    builder->trie->cells[cell].score = builder->scores[id];
    builder->trie->tokens[cell] = id;
}

static bool expand_node(TrieBuilder *builder, TrieSpan span) {
    const Vocab *vocab = builder->vocab;
    PrefixTrie *trie = builder->trie;
    TrieChildren children;
    uint32_t begin = span.begin;
    if (span.depth > 0 && span.end - span.begin == 1) {
        uint32_t entry = builder->order[begin];
        set_token(builder, span.cell, vocab->entries[entry].id);
        trie->cells[span.cell].base = TRIE_LEAF + entry;
        return true;
    }
    // Sorted: a text that ends here comes first. An empty one would match without end.
    if (begin < span.end && vocab->entries[builder->order[begin]].len == span.depth) {
        if (span.depth > 0)
            set_token(builder, span.cell, vocab->entries[builder->order[begin]].id);
        begin++;
    }
    find_children(&children, builder, &span, begin);
    uint32_t base;
    if (children.count == 0)
        return true;
    if (!find_base(builder, &base, &children))
        return false;
    trie->cells[span.cell].base = base;
    for (uint32_t i = 0; i < children.count; i++) {
        uint32_t cell = base + children.bytes[i];
        take_cell(builder, cell, span.cell);
        if (!add_span(builder,
                      (TrieSpan){children.begins[i], children.begins[i + 1], span.depth + 1, cell}))
            return false;
    }
    return true;
}

Status prefix_trie_build(PrefixTrie *trie, const Vocab *vocab, const double *scores, Error *error) {
    TrieBuilder builder = {.vocab = vocab, .scores = scores, .trie = trie, .used_end = 1};
    builder.order = mem_alloc((size_t)vocab->count * sizeof *builder.order);
    bool done = builder.order != NULL && grow_cells(&builder);
    if (done) {
        for (uint32_t i = 0; i < vocab->count; i++)
            builder.order[i] = i;
        qsort_r(builder.order, vocab->count, sizeof *builder.order, compare_entries,
                (void *)(uintptr_t)vocab);
        done = add_span(&builder, (TrieSpan){0, vocab->count, 0, 0});
    }
    for (uint32_t i = 0; done && i < builder.span_count; i++)
        done = expand_node(&builder, builder.spans[i]);
    // A look-up may reach 255 cells beyond the last base; it checks.
    trie->count = builder.used_end;
    mem_free(builder.order);
    mem_free(builder.spans);
    mem_free(builder.next_free);
    mem_free(builder.prev_free);
    return done ? STATUS_OK : error_out_of_memory(error, vocab->bytes_len);
}
