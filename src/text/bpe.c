// Byte-pair encoding: the adjacent pair of lowest rank merges first, the leftmost of equals. Short
// words are scanned for it, long ones keep their pairs in a heap, so a word of n symbols costs n
// log n.
#include "text/pipeline.h"

enum {
    SCAN_MAX = 48,       // symbols; longer words use the heap
    CACHE_SLOTS = 2048,  // power of two
    CACHE_MAX_WORD = 64, // bytes
    CACHE_MAX_PIECES = 1 << 16,
};

static const uint32_t NO_RANK = UINT32_MAX;

uint32_t bpe_merge_hash(int32_t left, int32_t right) {
    uint64_t key = (uint64_t)(uint32_t)left << 32 | (uint32_t)right;
    key *= 0x9e3779b97f4a7c15u;
    return (uint32_t)(key >> 32);
}

const Merge *bpe_find_merge(const Bpe *bpe, int32_t left, int32_t right) {
    uint32_t hash = bpe_merge_hash(left, right);
    // Half of the slots are empty; only those of a broken file might not be.
    for (uint32_t i = 0; i <= bpe->merge_mask; i++) {
        const Merge *merge = &bpe->merges[(hash + i) & bpe->merge_mask];
        if (merge->left == left && merge->right == right)
            return merge;
        if (merge->left < 0)
            break;
    }
    return NULL;
}

// ---- Scratch ----

void bpe_scratch_free(BpeScratch *scratch) {
    mem_free(scratch->symbols);
    mem_free(scratch->heap);
    mem_free(scratch->cache);
    mem_free(scratch->pieces);
    *scratch = (BpeScratch){.symbol_cap = 0};
}

void bpe_scratch_cache(BpeScratch *scratch) {
    if (!scratch->cache)
        scratch->cache = mem_alloc_zero(CACHE_SLOTS, sizeof *scratch->cache);
}

static bool reserve(void **block, size_t *cap, size_t wanted, size_t size) {
    if (wanted <= *cap)
        return true;
    size_t grown = wanted + wanted / 2 + 64;
    void *moved = mem_realloc_array(*block, grown, size);
    if (!moved)
        return false;
    *block = moved;
    *cap = grown;
    return true;
}

static bool reserve_symbols(BpeScratch *scratch, size_t count) {
    void *block = scratch->symbols;
    bool done = reserve(&block, &scratch->symbol_cap, count, sizeof *scratch->symbols);
    scratch->symbols = block;
    return done;
}

static bool reserve_heap(BpeScratch *scratch, size_t count) {
    void *block = scratch->heap;
    bool done = reserve(&block, &scratch->heap_cap, count, sizeof *scratch->heap);
    scratch->heap = block;
    return done;
}

// ---- From a word to its symbols ----

typedef struct SymbolMaker {
    const Bpe *bpe;
    BpeScratch *scratch;
    size_t count;
    bool has_pending; // an unknown symbol that may still grow
    uint32_t pending_len;
} SymbolMaker;

static void add_symbol(SymbolMaker *maker, int32_t id, uint32_t len) {
    maker->scratch->symbols[maker->count++] = (BpeSymbol){.id = id, .len = len};
}

static void add_pending(SymbolMaker *maker) {
    if (maker->has_pending)
        add_symbol(maker, maker->bpe->unknown_id, maker->pending_len);
    maker->has_pending = false;
}

static bool add_fallback(SymbolMaker *maker, StrView text) {
    for (size_t i = 0; i < text.len; i++)
        if (maker->bpe->fallback[(uint8_t)text.ptr[i]] < 0)
            return false;
    // The library leaves a pending unknown symbol behind these.
    for (size_t i = 0; i < text.len; i++)
        add_symbol(maker, maker->bpe->fallback[(uint8_t)text.ptr[i]], 1);
    return true;
}

// `text` is the character as the vocabulary would have it, `len` its bytes in the word.
static Status add_character(SymbolMaker *maker, int32_t id, StrView text, uint32_t len,
                            Error *error) {
    const Bpe *bpe = maker->bpe;
    if (id >= 0) {
        add_pending(maker);
        add_symbol(maker, id, len);
        return STATUS_OK;
    }
    if (bpe->byte_fallback && add_fallback(maker, text))
        return STATUS_OK;
    if (!bpe->has_unknown)
        return STATUS_OK;
    if (bpe->unknown_id < 0)
        return error_set(error, STATUS_INVALID, "the unknown token is not in the vocabulary");
    if (maker->has_pending && bpe->fuse_unknown) {
        maker->pending_len += len;
        return STATUS_OK;
    }
    add_pending(maker);
    maker->has_pending = true;
    maker->pending_len = len;
    return STATUS_OK;
}

static Status make_byte_symbols(SymbolMaker *maker, StrView word, Error *error) {
    for (size_t i = 0; i < word.len; i++) {
        int32_t id = maker->bpe->of_byte[(uint8_t)word.ptr[i]];
        TRY(add_character(maker, id, sv_n(word.ptr + i, 1), 1, error));
    }
    add_pending(maker);
    return STATUS_OK;
}

static Status make_char_symbols(SymbolMaker *maker, const Vocab *vocab, StrView word,
                                Error *error) {
    const Bpe *bpe = maker->bpe;
    char joined[2 * BPE_MAX_AFFIX + 4];
    size_t len;
    for (size_t pos = 0; pos < word.len; pos += len) {
        len = utf8_lead_len(word.ptr[pos]);
        StrView text = sv_n(word.ptr + pos, len);
        bool is_plain =
            (pos == 0 || bpe->prefix.len == 0) && (pos + len < word.len || bpe->suffix.len == 0);
        if (is_plain && len == 1) {
            TRY(add_character(maker, bpe->of_byte[(uint8_t)word.ptr[pos]], text, 1, error));
            continue;
        }
        StrView prefix = pos > 0 ? bpe->prefix : SV("");
        StrView suffix = pos + len == word.len ? bpe->suffix : SV("");
        if (prefix.len + suffix.len > 0) {
            memcpy(joined, prefix.ptr, prefix.len);
            memcpy(joined + prefix.len, text.ptr, len);
            memcpy(joined + prefix.len + len, suffix.ptr, suffix.len);
            text = sv_n(joined, prefix.len + len + suffix.len);
        }
        TRY(add_character(maker, vocab_id(vocab, text), text, (uint32_t)len, error));
    }
    add_pending(maker);
    return STATUS_OK;
}

// ---- Merging ----

static uint32_t pair_rank(const Bpe *bpe, int32_t left, int32_t right, int32_t *merged) {
    const Merge *merge = bpe_find_merge(bpe, left, right);
    if (!merge)
        return NO_RANK;
    *merged = merge->merged;
    return merge->rank;
}

// For few symbols: ranks of neighbouring pairs in an array, scanned for the least. Returns how many
// symbols are left.
static size_t merge_by_scan(const Bpe *bpe, BpeSymbol *symbols, size_t count) {
    uint32_t ranks[SCAN_MAX];
    int32_t merged[SCAN_MAX];
    for (size_t i = 0; i + 1 < count; i++)
        ranks[i] = pair_rank(bpe, symbols[i].id, symbols[i + 1].id, &merged[i]);
    for (;;) {
        size_t best = 0;
        uint32_t least = NO_RANK;
        for (size_t i = 0; i + 1 < count; i++) {
            best = ranks[i] < least ? i : best;
            least = ranks[i] < least ? ranks[i] : least;
        }
        if (least == NO_RANK)
            return count;
        symbols[best].id = merged[best];
        symbols[best].len += symbols[best + 1].len;
        count--;
        for (size_t i = best + 1; i < count; i++) {
            symbols[i] = symbols[i + 1];
            if (i + 1 < count) {
                ranks[i] = ranks[i + 1];
                merged[i] = merged[i + 1];
            }
        }
        if (best > 0)
            ranks[best - 1] =
                pair_rank(bpe, symbols[best - 1].id, symbols[best].id, &merged[best - 1]);
        if (best + 1 < count)
            ranks[best] = pair_rank(bpe, symbols[best].id, symbols[best + 1].id, &merged[best]);
    }
}

static bool comes_before(const BpeCandidate *a, const BpeCandidate *b) {
    return a->rank != b->rank ? a->rank < b->rank : a->pos < b->pos;
}

static bool heap_push(BpeScratch *scratch, BpeCandidate item) {
    if (!reserve_heap(scratch, scratch->heap_count + 1))
        return false;
    BpeCandidate *heap = scratch->heap;
    size_t at = scratch->heap_count++;
    for (; at > 0 && comes_before(&item, &heap[(at - 1) / 2]); at = (at - 1) / 2)
        heap[at] = heap[(at - 1) / 2];
    heap[at] = item;
    return true;
}

static BpeCandidate heap_pop(BpeScratch *scratch) {
    BpeCandidate *heap = scratch->heap, top = heap[0];
    BpeCandidate last = heap[--scratch->heap_count];
    size_t count = scratch->heap_count, at = 0;
    for (size_t child = 1; child < count; child = 2 * at + 1) {
        if (child + 1 < count && comes_before(&heap[child + 1], &heap[child]))
            child++;
        if (!comes_before(&heap[child], &last))
            break;
        heap[at] = heap[child];
        at = child;
    }
    if (count > 0)
        heap[at] = last;
    return top;
}

static bool push_pair(const Bpe *bpe, BpeScratch *scratch, int32_t left) {
    const BpeSymbol *symbols = scratch->symbols;
    if (left < 0 || symbols[left].next < 0)
        return true;
    const Merge *merge = bpe_find_merge(bpe, symbols[left].id, symbols[symbols[left].next].id);
    return !merge || heap_push(scratch, (BpeCandidate){.rank = merge->rank,
                                                       .pos = (uint32_t)left,
                                                       .merged = merge->merged});
}

static bool merge_by_heap(const Bpe *bpe, BpeScratch *scratch, size_t count) {
    BpeSymbol *symbols = scratch->symbols;
    scratch->heap_count = 0;
    for (size_t i = 0; i < count; i++) {
        symbols[i].prev = (int32_t)i - 1;
        symbols[i].next = i + 1 < count ? (int32_t)i + 1 : -1;
    }
    for (size_t i = 0; i < count; i++)
        if (!push_pair(bpe, scratch, (int32_t)i))
            return false;
    while (scratch->heap_count > 0) {
        BpeCandidate top = heap_pop(scratch);
        BpeSymbol *left = &symbols[top.pos];
        if (left->len == 0 || left->next < 0)
            continue;
        BpeSymbol *right = &symbols[left->next];
        // Symbols may have changed since this pair was noted.
        const Merge *merge = bpe_find_merge(bpe, left->id, right->id);
        if (!merge || merge->merged != top.merged)
            continue;
        left->id = top.merged;
        left->len += right->len;
        left->next = right->next;
        right->len = 0;
        if (left->next >= 0)
            symbols[left->next].prev = (int32_t)top.pos;
        if (!push_pair(bpe, scratch, left->prev) || !push_pair(bpe, scratch, (int32_t)top.pos))
            return false;
    }
    return true;
}

// ---- Words ----

static Status out_of_scratch(Error *error, size_t count) {
    return error_out_of_memory(error, count * sizeof(BpeSymbol));
}

// Leaves the tokens of a word as symbols; merged ones have length 0.
static Status split_word(const Model *model, StrView word, BpeScratch *scratch, size_t *count,
                         Error *error) {
    const Bpe *bpe = &model->bpe;
    // With byte fallback a character is up to its affixes' bytes, too.
    size_t most = word.len + bpe->prefix.len * word.len + bpe->suffix.len;
    if (word.len > PIPELINE_MAX_WORD || !reserve_symbols(scratch, most))
        return word.len > PIPELINE_MAX_WORD
                   ? error_set(error, STATUS_LIMIT, "a word is longer than %d bytes",
                               PIPELINE_MAX_WORD)
                   : out_of_scratch(error, most);
    SymbolMaker maker = {.bpe = bpe, .scratch = scratch};
    if (bpe->is_raw)
        TRY(make_byte_symbols(&maker, word, error));
    else
        TRY(make_char_symbols(&maker, &model->vocab, word, error));
    *count = maker.count;
    if (maker.count <= SCAN_MAX)
        *count = merge_by_scan(bpe, scratch->symbols, maker.count);
    else if (!merge_by_heap(bpe, scratch, maker.count))
        return out_of_scratch(error, maker.count);
    return STATUS_OK;
}

Status bpe_is_whole(bool *out, const Model *model, StrView word, int32_t id, BpeScratch *scratch,
                    Error *error) {
    size_t count = 0;
    Status status = split_word(model, word, scratch, &count, error);
    // The heap leaves merged symbols in the list, but a word that short is scanned.
    *out = status == STATUS_OK && count == 1 && scratch->symbols[0].id == id &&
           scratch->symbols[0].len == word.len;
    return status == STATUS_OUT_OF_MEMORY ? status : STATUS_OK;
}

static void put_piece(TokenSink *sink, StrView word, int32_t id, size_t *pos, uint32_t len) {
    size_t end = *pos + len < word.len ? *pos + len : word.len;
    token_sink_put(sink, id, *pos < end ? *pos : end - 1, end);
    *pos += len;
}

static bool put_cached(const BpeScratch *scratch, const BpeCached *slot, uint64_t hash,
                       StrView word, TokenSink *sink) {
    if (!slot->word || slot->hash != hash || slot->len != word.len ||
        memcmp(slot->word, word.ptr, word.len) != 0)
        return false;
    size_t pos = 0;
    for (uint32_t i = 0; i < slot->count; i++) {
        const BpePiece *piece = &scratch->pieces[slot->first + i];
        put_piece(sink, word, piece->id, &pos, piece->len);
    }
    return true;
}

static void remember(BpeScratch *scratch, BpeCached *slot, uint64_t hash, StrView word,
                     size_t count) {
    void *block = scratch->pieces;
    if (scratch->piece_count + count > CACHE_MAX_PIECES)
        return;
    bool has_room =
        reserve(&block, &scratch->piece_cap, scratch->piece_count + count, sizeof *scratch->pieces);
    scratch->pieces = block;
    if (!has_room)
        return;
    *slot = (BpeCached){.hash = hash,
                        .word = word.ptr,
                        .len = (uint32_t)word.len,
                        .first = (uint32_t)scratch->piece_count};
    for (size_t i = 0; i < count; i++) {
        const BpeSymbol *symbol = &scratch->symbols[i];
        if (symbol->len > 0)
            scratch->pieces[scratch->piece_count++] = (BpePiece){symbol->id, symbol->len};
    }
    slot->count = (uint32_t)scratch->piece_count - slot->first;
}

static Status encode_word(const Model *model, StrView word, TokenSink *sink, Error *error) {
    BpeScratch *scratch = sink->bpe;
    int32_t whole = model->bpe.words.count > 0 ? vocab_id(&model->bpe.words, word) : -1;
    if (whole >= 0) {
        token_sink_put(sink, whole, 0, word.len);
        return STATUS_OK;
    }
    BpeCached *slot = NULL;
    uint64_t hash = 0;
    if (scratch->cache && word.len <= CACHE_MAX_WORD) {
        hash = bytes_hash(word.ptr, word.len);
        slot = &scratch->cache[hash & (CACHE_SLOTS - 1)];
        if (put_cached(scratch, slot, hash, word, sink))
            return STATUS_OK;
    }
    size_t count = 0, pos = 0;
    TRY(split_word(model, word, scratch, &count, error));
    for (size_t i = 0; i < count; i++)
        if (scratch->symbols[i].len > 0)
            put_piece(sink, word, scratch->symbols[i].id, &pos, scratch->symbols[i].len);
    if (slot)
        remember(scratch, slot, hash, word, count);
    return STATUS_OK;
}

// Where the next word starts when "\u2581" only ever starts tokens: at the first one behind
// something else, searched from `from`.
static size_t next_meta(StrView text, size_t from) {
    enum { META_LEN = 3 };
    static const char meta[] = BPE_META;
    bool after_meta = true;
    for (size_t pos = from; pos < text.len;) {
        bool is_meta = text.ptr[pos] == meta[0] && text.len - pos >= META_LEN &&
                       memcmp(text.ptr + pos, meta, META_LEN) == 0;
        if (is_meta && !after_meta)
            return pos;
        after_meta = is_meta;
        pos += is_meta ? META_LEN : 1;
    }
    return text.len;
}

Status bpe_encode(const Model *model, StrView word, TokenSink *sink, Error *error) {
    const Bpe *bpe = &model->bpe;
    // Raw words are found as whole ones.
    if (bpe->ignore_merges && !bpe->is_raw) {
        int32_t id = vocab_id(&model->vocab, word);
        if (id >= 0) {
            token_sink_put(sink, id, 0, word.len);
            return STATUS_OK;
        }
    }
    if (!bpe->cuts_at_meta)
        return encode_word(model, word, sink, error);
    Status status = STATUS_OK;
    uint32_t begin = sink->begin;
    for (size_t pos = 0, end; pos < word.len && status == STATUS_OK; pos = end) {
        end = next_meta(word, pos);
        sink->begin = begin + (uint32_t)pos;
        status = encode_word(model, sv_n(word.ptr + pos, end - pos), sink, error);
    }
    sink->begin = begin;
    return status;
}
