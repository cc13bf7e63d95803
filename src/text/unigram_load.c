// The Unigram model from tokenizer.json, and the trie over its pieces.
#include "text/pipeline.h"

#include <math.h>
#include <stdlib.h>

// ---- The trie ----

// A span of sorted entries that share their first `depth` bytes: one node.
typedef struct TrieSpan {
    uint32_t begin, end, depth;
} TrieSpan;

typedef struct TrieBuilder {
    const Vocab *vocab;
    uint32_t *order; // entries sorted by text
    TrieSpan *spans; // of each node, in the order of the nodes
    PrefixTrie *trie;
    uint32_t cap;
} TrieBuilder;

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

static bool builder_grow(TrieBuilder *builder) {
    PrefixTrie *trie = builder->trie;
    size_t cap = builder->cap ? (size_t)builder->cap * 2 : 1024;
    void *blocks[] = {trie->bytes, trie->child_count, trie->first_child, trie->token,
                      builder->spans};
    static const size_t sizes[] = {1, sizeof(uint16_t), sizeof(uint32_t), sizeof(int32_t),
                                   sizeof(TrieSpan)};
    bool done = true;
    for (size_t i = 0; i < 5; i++)
        done &= grow_block(&blocks[i], cap, sizes[i]);
    trie->bytes = blocks[0];
    trie->child_count = blocks[1];
    trie->first_child = blocks[2];
    trie->token = blocks[3];
    builder->spans = blocks[4];
    if (done)
        builder->cap = (uint32_t)cap;
    return done;
}

static bool add_node(TrieBuilder *builder, uint8_t byte, TrieSpan span) {
    PrefixTrie *trie = builder->trie;
    if (trie->count == builder->cap && !builder_grow(builder))
        return false;
    trie->bytes[trie->count] = byte;
    trie->child_count[trie->count] = 0;
    trie->first_child[trie->count] = 0;
    trie->token[trie->count] = -1;
    builder->spans[trie->count++] = span;
    return true;
}

// Adds the children of a node: its entries grouped by their next byte.
static bool expand_node(TrieBuilder *builder, uint32_t node) {
    const Vocab *vocab = builder->vocab;
    PrefixTrie *trie = builder->trie;
    TrieSpan span = builder->spans[node];
    uint32_t at = span.begin;
    // Sorted: a text that ends here comes first.
    if (at < span.end && vocab->entries[builder->order[at]].len == span.depth)
        trie->token[node] = vocab->entries[builder->order[at++]].id;
    trie->first_child[node] = trie->count;
    while (at < span.end) {
        const VocabEntry *entry = &vocab->entries[builder->order[at]];
        uint8_t byte = (uint8_t)vocab->bytes[entry->offset + span.depth];
        uint32_t end = at + 1;
        while (end < span.end) {
            const VocabEntry *next = &vocab->entries[builder->order[end]];
            if ((uint8_t)vocab->bytes[next->offset + span.depth] != byte)
                break;
            end++;
        }
        if (!add_node(builder, byte, (TrieSpan){at, end, span.depth + 1}))
            return false;
        trie->child_count[node]++;
        if (node == 0)
            trie->root_child[byte] = trie->count - 1;
        at = end;
    }
    return true;
}

static Status build_trie(PrefixTrie *trie, const Vocab *vocab, Error *error) {
    TrieBuilder builder = {.vocab = vocab, .trie = trie};
    builder.order = mem_alloc((size_t)vocab->count * sizeof *builder.order);
    bool done = builder.order != NULL;
    if (done) {
        for (uint32_t i = 0; i < vocab->count; i++)
            builder.order[i] = i;
        qsort_r(builder.order, vocab->count, sizeof *builder.order, compare_entries,
                (void *)(uintptr_t)vocab);
        done = add_node(&builder, 0, (TrieSpan){0, vocab->count, 0});
    }
    for (uint32_t node = 0; done && node < trie->count; node++)
        done = expand_node(&builder, node);
    mem_free(builder.order);
    mem_free(builder.spans);
    // An empty piece would match without end.
    if (done)
        trie->token[0] = -1;
    return done ? STATUS_OK : error_out_of_memory(error, vocab->bytes_len);
}

// ---- Loading ----

static Status read_pieces(Model *model, StrView text, Error *error) {
    JsonCursor cursor = {.text = text};
    Buf scratch = BUF_INIT(text.len);
    double *scores = NULL;
    size_t cap = 0;
    Status status = STATUS_OK;
    int32_t id = 0;
    model->unigram.min_score = INFINITY;
    if (!json_cursor_take(&cursor, '['))
        TRY_DONE(error_set(error, STATUS_CORRUPT, "vocab is not an array"));
    TRY_DONE(vocab_reserve(&model->vocab, text.len / 32 < VOCAB_MAX_TOKENS ? text.len / 32 : 0,
                           text.len / 3, error));
    while (json_cursor_peek(&cursor) == '[') {
        StrView piece;
        double score = 0;
        bool is_good = json_cursor_take(&cursor, '[') &&
                       json_cursor_string(&cursor, &piece, &scratch) &&
                       json_cursor_number(&cursor, &score) && json_cursor_take(&cursor, ']');
        TRY_DONE(buf_status(&scratch, error));
        if (!is_good || id >= VOCAB_MAX_TOKENS)
            TRY_DONE(error_set(error, STATUS_CORRUPT, "vocab: piece %d is not a pair", id));
        if ((size_t)id == cap) {
            cap = cap ? cap * 2 : 1024;
            double *grown = mem_realloc_array(scores, cap, sizeof *scores);
            if (!grown)
                TRY_DONE(error_out_of_memory(error, cap * sizeof *scores));
            scores = grown;
        }
        scores[id] = score;
        if (score < model->unigram.min_score)
            model->unigram.min_score = score;
        TRY_DONE(vocab_add(&model->vocab, piece, id++, error));
    }
    TRY_DONE(vocab_finish(&model->vocab, error));
done:
    buf_free(&scratch);
    model->unigram.scores = scores;
    return status;
}

static Status load_unknown(Model *model, StrView text, Error *error) {
    int64_t id;
    model->unigram.unknown_id = -1;
    if (!text.ptr || sv_equal_cstr(text, "null"))
        return STATUS_OK;
    if (!sv_to_i64(&id, text) || id < 0 || (uint64_t)id >= model->vocab.id_end)
        return error_set(error, STATUS_CORRUPT, "unk_id is not in the vocabulary");
    model->unigram.unknown_id = (int32_t)id;
    return STATUS_OK;
}

Status unigram_load(Tokenizer *tokenizer, const JsonScan *scan, Error *error) {
    Model *model = &tokenizer->model;
    model->kind = MODEL_UNIGRAM;
    StrView vocab = json_span(scan, "vocab");
    if (!vocab.ptr)
        return error_set(error, STATUS_CORRUPT, "model has no vocab");
    TRY(read_pieces(model, vocab, error));
    TRY(load_unknown(model, json_span(scan, "unk_id"), error));
    model->unigram.byte_fallback = sv_equal_cstr(json_span(scan, "byte_fallback"), "true");
    fallback_ids(model->unigram.fallback, &model->vocab);
    return build_trie(&model->unigram.trie, &model->vocab, error);
}
