// Viterbi over the pieces of the vocabulary, in the library's order of additions and comparisons so
// that ties and rounding fall the same way. Linear in the text: the trie bounds the pieces per
// byte.
#include "text/pipeline.h"

#include <math.h>

static const double UNKNOWN_PENALTY = 10.0;

void unigram_scratch_free(UnigramScratch *scratch) {
    mem_free(scratch->nodes);
    *scratch = (UnigramScratch){.cap = 0};
}

void unigram_free(Unigram *unigram) {
    mem_free(unigram->trie.cells);
    mem_free(unigram->trie.tokens);
}

// ---- Encoding ----

// The child of a node, or 0.
static inline uint32_t trie_child(const PrefixTrie *trie, uint32_t node, uint8_t byte) {
    uint32_t at = trie->cells[node].base + byte;
    return at < trie->count && trie->cells[at].parent == node ? at : 0;
}

static inline void offer(UnigramNode *node, double score, uint32_t start, uint32_t cell) {
    if (node->start == UINT32_MAX || score > node->score) {
        node->score = score;
        node->start = start;
        node->cell = cell;
    }
}

// The end of a leaf's token whose first bytes are word[start, end), or 0 when the word goes on
// differently.
static size_t leaf_end(const Vocab *vocab, uint32_t entry, StrView word, size_t start, size_t end) {
    StrView text = vocab_entry_text(vocab, entry);
    size_t depth = end - start;
    if (text.len < depth || text.len > word.len - start ||
        memcmp(text.ptr + depth, word.ptr + end, text.len - depth) != 0)
        return 0;
    return start + text.len;
}

// Offers every token that starts at `start`; whether one of them is the first character, of `len`
// bytes.
static bool offer_tokens(const Model *model, UnigramNode *nodes, StrView word, size_t start,
                         size_t len) {
    const PrefixTrie *trie = &model->unigram.trie;
    double so_far = nodes[start].score;
    bool has_single = false;
    uint32_t node = 0;
    for (size_t end = start; end < word.len;) {
        node = trie_child(trie, node, (uint8_t)word.ptr[end++]);
        if (node == 0)
            break;
        TrieCell cell = trie->cells[node];
        bool is_leaf = cell.base >= TRIE_LEAF;
        if (is_leaf)
            end = leaf_end(&model->vocab, cell.base - TRIE_LEAF, word, start, end);
        if (end == 0)
            break;
        if (!isnan(cell.score)) {
            offer(&nodes[end], cell.score + so_far, (uint32_t)start, node);
            has_single |= end - start == len;
        }
        if (is_leaf)
            break;
    }
    return has_single;
}

// Fills the best path to every position of `word`.
static Status find_paths(const Model *model, UnigramNode *nodes, StrView word, Error *error) {
    const Unigram *unigram = &model->unigram;
    double unknown_score = unigram->min_score - UNKNOWN_PENALTY;
    size_t len;
    for (size_t start = 0; start < word.len; start += len) {
        len = utf8_lead_len(word.ptr[start]);
        if (offer_tokens(model, nodes, word, start, len))
            continue;
        if (unigram->unknown_id < 0)
            return error_set(error, STATUS_INVALID,
                             "a character is not in the vocabulary and there is no unknown token");
        offer(&nodes[start + len], unknown_score + nodes[start].score, (uint32_t)start, 0);
    }
    return STATUS_OK;
}

// A piece that is no token of the vocabulary: bytes, or the unknown token.
static void put_unknown(const Unigram *unigram, TokenSink *sink, StrView piece, size_t begin) {
    bool has_all = unigram->byte_fallback;
    for (size_t i = 0; i < piece.len && has_all; i++)
        has_all = unigram->fallback[(uint8_t)piece.ptr[i]] >= 0;
    if (!has_all) {
        token_sink_put(sink, unigram->unknown_id, begin, begin + piece.len);
        return;
    }
    for (size_t i = 0; i < piece.len; i++)
        token_sink_put(sink, unigram->fallback[(uint8_t)piece.ptr[i]], begin, begin + piece.len);
}

static int32_t piece_id(const Unigram *unigram, const UnigramNode *node) {
    return node->cell ? unigram->trie.tokens[node->cell] : unigram->unknown_id;
}

Status unigram_encode(const Model *model, StrView word, TokenSink *sink, Error *error) {
    const Unigram *unigram = &model->unigram;
    UnigramScratch *scratch = sink->unigram;
    if (word.len > PIPELINE_MAX_WORD)
        return error_set(error, STATUS_LIMIT, "a word is longer than %d bytes", PIPELINE_MAX_WORD);
    if (word.len + 1 > scratch->cap) {
        size_t cap = word.len + word.len / 2 + 64;
        UnigramNode *grown = mem_realloc_array(scratch->nodes, cap, sizeof *grown);
        if (!grown)
            return error_out_of_memory(error, cap * sizeof *grown);
        scratch->nodes = grown;
        scratch->cap = cap;
    }
    UnigramNode *nodes = scratch->nodes;
    for (size_t i = 0; i <= word.len; i++)
        nodes[i] = (UnigramNode){.start = UINT32_MAX};
    TRY(find_paths(model, nodes, word, error));
    for (size_t end = word.len; end > 0; end = nodes[end].start)
        nodes[nodes[end].start].next = (uint32_t)end;
    for (size_t begin = 0, end; begin < word.len; begin = end) {
        end = nodes[begin].next;
        int32_t id = piece_id(unigram, &nodes[end]);
        if (id != unigram->unknown_id) {
            token_sink_put(sink, id, begin, end);
            continue;
        }
        // Neighbouring unknown pieces become one.
        while (end < word.len && piece_id(unigram, &nodes[nodes[end].next]) == unigram->unknown_id)
            end = nodes[end].next;
        StrView piece = sv_n(word.ptr + begin, end - begin);
        int32_t known = vocab_id(&model->vocab, piece);
        if (known >= 0)
            token_sink_put(sink, known, begin, end);
        else
            put_unknown(unigram, sink, piece, begin);
    }
    return STATUS_OK;
}
