// Added tokens: found in the text before (and, for "normalized" ones, after) normalization,
// leftmost and longest first, with the library's rules for single words and neighbouring white
// space.
#include "text/pipeline.h"

static Status trie_add_node(TokenTrie *trie, uint32_t *out, Error *error) {
    if (trie->count == trie->cap) {
        uint32_t cap = trie->cap ? trie->cap * 2 : 64;
        TrieNode *nodes = mem_realloc_array(trie->nodes, cap, sizeof *nodes);
        if (!nodes)
            return error_out_of_memory(error, cap * sizeof *nodes);
        trie->nodes = nodes;
        trie->cap = cap;
    }
    trie->nodes[trie->count] = (TrieNode){.first_child = 0};
    *out = trie->count++;
    return STATUS_OK;
}

static uint32_t trie_child(const TokenTrie *trie, uint32_t node, uint8_t byte) {
    if (node == 0)
        return trie->first[byte];
    uint32_t child = trie->nodes[node].first_child;
    while (child != 0 && trie->nodes[child].byte != byte)
        child = trie->nodes[child].next_sibling;
    return child;
}

static Status trie_insert(TokenTrie *trie, StrView pattern, uint32_t token, Error *error) {
    if (pattern.len == 0)
        return STATUS_OK;
    uint32_t node = 0;
    if (trie->count == 0)
        TRY(trie_add_node(trie, &node, error));
    node = 0;
    for (size_t i = 0; i < pattern.len; i++) {
        uint8_t byte = (uint8_t)pattern.ptr[i];
        uint32_t child = trie_child(trie, node, byte);
        if (child == 0) {
            TRY(trie_add_node(trie, &child, error));
            trie->nodes[child].byte = byte;
            trie->nodes[child].next_sibling = node == 0 ? 0 : trie->nodes[node].first_child;
            if (node == 0)
                trie->first[byte] = child;
            else
                trie->nodes[node].first_child = child;
        }
        node = child;
    }
    if (trie->nodes[node].token_plus_1 == 0)
        trie->nodes[node].token_plus_1 = token + 1;
    return STATUS_OK;
}

// The longest pattern at text[pos]: its token, or NULL.
static const AddedToken *trie_match(const AddedTokens *added, const TokenTrie *trie,
                                    const char *text, size_t pos, size_t end, size_t *stop) {
    const AddedToken *best = NULL;
    uint32_t node = 0;
    for (size_t i = pos; i < end; i++) {
        node = trie_child(trie, node, (uint8_t)text[i]);
        if (node == 0)
            break;
        if (trie->nodes[node].token_plus_1 != 0) {
            best = &added->items[trie->nodes[node].token_plus_1 - 1];
            *stop = i + 1;
        }
    }
    return best;
}

static uint32_t class_before(const UnicodeTable *unicode, const char *text, size_t *pos) {
    size_t len;
    do
        --*pos;
    while (((unsigned char)text[*pos] & 0xc0) == 0x80);
    return unicode_class(unicode, utf8_decode_valid(text + *pos, &len));
}

static uint32_t class_at(const UnicodeTable *unicode, const char *text, size_t pos, size_t *len) {
    return unicode_class(unicode, utf8_decode_valid(text + pos, len));
}

static bool is_single_word(const UnicodeTable *unicode, const char *text, size_t begin, size_t end,
                           size_t start, size_t stop) {
    size_t len, before = start;
    if (start > begin && (class_before(unicode, text, &before) & CLASS_WORD))
        return false;
    return stop == end || !(class_at(unicode, text, stop, &len) & CLASS_WORD);
}

static size_t strip_left(const UnicodeTable *unicode, const char *text, size_t least,
                         size_t start) {
    while (start > least) {
        size_t before = start;
        if (!(class_before(unicode, text, &before) & CLASS_WHITESPACE))
            break;
        start = before;
    }
    return start;
}

static size_t strip_right(const UnicodeTable *unicode, const char *text, size_t stop, size_t end) {
    size_t len;
    while (stop < end && (class_at(unicode, text, stop, &len) & CLASS_WHITESPACE))
        stop += len;
    return stop;
}

static void push(PieceList *out, const AlignedText *text, size_t begin, size_t end, int32_t id) {
    if (begin < end)
        piece_list_push(out, (Piece){.begin = (uint32_t)begin,
                                     .end = (uint32_t)end,
                                     .origin = text->start[begin],
                                     .id = id});
}

void added_tokens_split(const Tokenizer *tokenizer, const TokenTrie *trie, PieceList *out,
                        const AlignedText *text, size_t begin, size_t end) {
    const UnicodeTable *unicode = &tokenizer->unicode;
    const char *bytes = text->bytes;
    size_t done = begin; // everything before is in a piece
    size_t pos = trie->count == 0 ? end : begin;
    while (pos < end) {
        size_t stop = pos;
        if (trie->first[(uint8_t)bytes[pos]] == 0) {
            pos++;
            continue;
        }
        const AddedToken *token = trie_match(&tokenizer->added, trie, bytes, pos, end, &stop);
        if (!token) {
            pos++;
            continue;
        }
        size_t start = pos;
        pos = stop; // matches never overlap, also when this one is discarded
        if (token->single_word && !is_single_word(unicode, bytes, begin, end, start, stop))
            continue;
        if (token->lstrip) {
            // What an earlier token has stripped on its right is not taken twice.
            start = start > done ? strip_left(unicode, bytes, done, start) : done;
        }
        if (token->rstrip)
            stop = strip_right(unicode, bytes, stop, end);
        if (done < start)
            push(out, text, done, start, -1);
        push(out, text, start, stop, token->id);
        done = stop;
    }
    if (done < end)
        push(out, text, done, end, -1);
}

const AddedToken *added_token_by_id(const AddedTokens *added, int32_t id) {
    if (id < 0 || id >= added->id_end)
        return NULL;
    int32_t index = added->by_id[id];
    return index >= 0 && (size_t)index < added->count ? &added->items[index] : NULL;
}

const AddedToken *added_token_by_content(const AddedTokens *added, StrView content) {
    int32_t index = vocab_id(&added->contents, content);
    return index >= 0 && (size_t)index < added->count ? &added->items[index] : NULL;
}

static Status load_one(Tokenizer *tokenizer, const JsonValue *value, uint32_t *next_id,
                       Error *error) {
    AddedTokens *added = &tokenizer->added;
    StrView content;
    TRY(json_need_string(&content, value, "content", "added token", error));
    if (content.len == 0)
        return STATUS_OK;
    AddedToken token = {
        .single_word = json_bool_or(value, "single_word", false),
        .lstrip = json_bool_or(value, "lstrip", false),
        .rstrip = json_bool_or(value, "rstrip", false),
        .normalized = json_bool_or(value, "normalized", true),
        .special = json_bool_or(value, "special", false),
    };
    TRY(tokenizer_keep(tokenizer, &token.content, content, error));
    token.pattern = token.content;
    // The id in the file is not used by the library: known texts keep theirs, others are numbered
    // on.
    int32_t index = vocab_id(&added->contents, content);
    token.id = index >= 0 ? added->items[index].id : vocab_id(&tokenizer->model.vocab, content);
    if (token.id < 0)
        token.id = (int32_t)(*next_id)++;
    if (index < 0) {
        index = (int32_t)added->count++;
        TRY(vocab_add(&added->contents, content, index, error));
    }
    added->items[index] = token;
    return STATUS_OK;
}

static Status index_by_id(AddedTokens *added, Error *error) {
    for (size_t i = 0; i < added->count; i++)
        if (added->items[i].id >= added->id_end)
            added->id_end = added->items[i].id + 1;
    if (added->id_end == 0)
        return STATUS_OK;
    added->by_id = mem_alloc((size_t)added->id_end * sizeof *added->by_id);
    if (!added->by_id)
        return error_out_of_memory(error, (size_t)added->id_end * sizeof *added->by_id);
    memset(added->by_id, -1, (size_t)added->id_end * sizeof *added->by_id);
    for (size_t i = 0; i < added->count; i++)
        added->by_id[added->items[i].id] = (int32_t)i;
    return STATUS_OK;
}

Status added_tokens_load(Tokenizer *tokenizer, const JsonValue *list, Error *error) {
    AddedTokens *added = &tokenizer->added;
    size_t count = json_len(list);
    if (count > PIPELINE_MAX_ADDED)
        return error_set(error, STATUS_LIMIT, "more than %d added tokens", PIPELINE_MAX_ADDED);
    added->items = mem_alloc_zero(count, sizeof *added->items);
    if (!added->items)
        return error_out_of_memory(error, count * sizeof *added->items);
    TRY(vocab_finish(&added->contents, error));
    uint32_t next_id = tokenizer->model.vocab.count;
    for (size_t i = 0; i < count; i++)
        TRY(load_one(tokenizer, json_at(list, i), &next_id, error));
    TRY(vocab_finish(&added->contents, error));
    return index_by_id(added, error);
}

// What a normalized token looks for: its content as the normalizer leaves it.
static Status normalize_pattern(Tokenizer *tokenizer, AddedToken *token, Error *error) {
    AlignedText text = {.len = 0}, spare = {.len = 0};
    aligned_append_original(&text, token->content, 0);
    Status status = aligned_status(&text, error);
    if (status == STATUS_OK)
        status = normalize_run(tokenizer, &text, &spare, 0, error);
    if (status == STATUS_OK)
        status = tokenizer_keep(tokenizer, &token->pattern, sv_n(text.bytes, text.len), error);
    aligned_free(&text);
    aligned_free(&spare);
    return status;
}

Status added_tokens_index(AddedTokens *added, Error *error) {
    for (size_t i = 0; i < added->count; i++) {
        const AddedToken *token = &added->items[i];
        TokenTrie *trie = token->normalized ? &added->normalized : &added->raw;
        TRY(trie_insert(trie, token->pattern, (uint32_t)i, error));
    }
    return STATUS_OK;
}

Status added_tokens_prepare(Tokenizer *tokenizer, Error *error) {
    AddedTokens *added = &tokenizer->added;
    for (size_t i = 0; i < added->count; i++)
        if (added->items[i].normalized && tokenizer->normalizer_count > 0)
            TRY(normalize_pattern(tokenizer, &added->items[i], error));
    return added_tokens_index(added, error);
}

void added_tokens_free(AddedTokens *added) {
    mem_free(added->items);
    mem_free(added->by_id);
    mem_free(added->raw.nodes);
    mem_free(added->normalized.nodes);
    vocab_free(&added->contents);
}
