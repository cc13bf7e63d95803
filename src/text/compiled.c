// A compiled tokenizer: everything that loading made, in one position-independent block. Big tables
// are used where they lie, small things are copied out; one function passes each struct, in both
// directions, so that reader and writer cannot differ.
//
// A block with a wrong checksum is refused. What passes it is still not trusted: counts, kinds,
// code points and texts are checked here, indices inside the big tables where they are used.
#include "text/pipeline.h"

#include <assert.h>

enum {
    HEADER_BYTES = 16, // magic, checksum
    TABLE_ALIGN = 16,
    MAX_SLOTS = 1 << 24,
    MAX_CELLS = 1 << 28,
    MAX_PAGES = 1 << 13,
};

static const uint64_t MAGIC = 0x316b6f7478757067u; // "gpuxtok1", also tells the byte order

// ---- Passing bytes ----

typedef struct Image {
    Tokenizer *tokenizer;
    const uint8_t *in; // NULL = writing
    uint8_t *out;      // NULL = only counting
    size_t pos, size;
    Status status; // once it is not OK, nothing more is passed
} Image;

static void require(Image *image, bool holds) {
    if (!holds && image->status == STATUS_OK)
        image->status = STATUS_CORRUPT;
}

// Whether `size` more bytes can be passed.
static bool has_room(Image *image, size_t size) {
    if (image->in || image->out)
        require(image, size <= image->size - image->pos);
    return image->status == STATUS_OK;
}

static void pass(Image *image, void *value, size_t size) {
    if (!has_room(image, size))
        return;
    if (image->in)
        memcpy(value, image->in + image->pos, size);
    else if (image->out && size > 0)
        memcpy(image->out + image->pos, value, size);
    image->pos += size;
}

// A table that stays where it is.
static void pass_table(Image *image, void **data, size_t count, size_t item) {
    size_t gap = (TABLE_ALIGN - image->pos % TABLE_ALIGN) % TABLE_ALIGN, size;
    if (!has_room(image, gap))
        return;
    image->pos += gap;
    require(image, !__builtin_mul_overflow(count, item, &size));
    if (!image->in) {
        pass(image, *data, size);
    } else if (has_room(image, size)) {
        *data = (void *)(uintptr_t)(image->in + image->pos);
        image->pos += size;
    }
}

#define PASS_TABLE(image, table, count)                                                            \
    do {                                                                                           \
        void *data_ = (table);                                                                     \
        pass_table(image, &data_, count, sizeof *(table));                                         \
        (table) = data_;                                                                           \
    } while (0)

#define PASS_ENUM(image, field, last)                                                              \
    do {                                                                                           \
        uint32_t value_ = (uint32_t)(field);                                                       \
        pass_u32(image, &value_, (uint32_t)(last));                                                \
        (field) = value_;                                                                          \
    } while (0)

// What is read is 0 after a failure, so that no loop runs over it; what is written stays as it is.
static void pass_u32(Image *image, uint32_t *value, uint32_t last) {
    pass(image, value, sizeof *value);
    require(image, *value <= last);
    if (image->in && image->status != STATUS_OK)
        *value = 0;
}

static void pass_id(Image *image, int32_t *id) {
    pass(image, id, sizeof *id);
    require(image, *id >= -1 && *id < VOCAB_MAX_ID);
}

static void pass_size(Image *image, size_t *value, size_t last) {
    uint64_t number = *value;
    pass(image, &number, sizeof number);
    require(image, number <= last);
    if (image->in)
        *value = image->status == STATUS_OK ? (size_t)number : 0;
}

static void pass_bool(Image *image, bool *value) {
    uint8_t byte = *value;
    pass(image, &byte, sizeof byte);
    *value = byte != 0;
}

static void pass_code_point(Image *image, uint32_t *value) {
    pass_u32(image, value, 0x10ffff);
    require(image, *value < 0xd800 || *value > 0xdfff);
}

// Valid UTF-8, followed by a NUL as in the arena.
static void pass_text(Image *image, StrView *text) {
    char end = 0;
    pass_size(image, &text->len, PIPELINE_MAX_FILE);
    if (image->in && has_room(image, text->len)) {
        text->ptr = (const char *)image->in + image->pos;
        image->pos += text->len;
        require(image, utf8_is_valid(*text, NULL));
    } else {
        pass(image, (void *)(uintptr_t)text->ptr, text->len);
    }
    pass(image, &end, sizeof end);
    require(image, end == 0);
    if (image->in && image->status != STATUS_OK)
        *text = SV("");
}

// Room for what is read next; NULL when writing, or after a failure.
static void *new_items(Image *image, size_t count, size_t item) {
    if (!image->in || image->status != STATUS_OK)
        return NULL;
    void *items = arena_alloc_array(&image->tokenizer->arena, count ? count : 1, item);
    if (!items)
        image->status = STATUS_OUT_OF_MEMORY;
    else
        memset(items, 0, (count ? count : 1) * item);
    return items;
}

// ---- The model ----

static void pass_index(Image *image, VocabIndex *index) {
    pass_u32(image, &index->mask, MAX_SLOTS - 1);
    pass_u32(image, &index->skip, UINT32_MAX);
    pass_u32(image, &index->max_len, UINT32_MAX);
    require(image, (index->mask & (index->mask + 1)) == 0);
    PASS_TABLE(image, index->slots, (size_t)index->mask + 1);
}

static void pass_vocab(Image *image, Vocab *vocab) {
    pass_size(image, &vocab->bytes_len, UINT32_MAX / 2);
    pass_u32(image, &vocab->count, VOCAB_MAX_TOKENS);
    pass_u32(image, &vocab->id_end, VOCAB_MAX_ID);
    PASS_TABLE(image, vocab->bytes, vocab->bytes_len);
    PASS_TABLE(image, vocab->entries, vocab->count);
    PASS_TABLE(image, vocab->entry_of_id, vocab->id_end);
    pass_index(image, &vocab->index);
}

static void pass_ids(Image *image, int32_t ids[256]) {
    for (int i = 0; i < 256; i++)
        pass_id(image, &ids[i]);
}

static void pass_bpe(Image *image, Bpe *bpe) {
    pass_u32(image, &bpe->merge_mask, MAX_SLOTS - 1);
    require(image, (bpe->merge_mask & (bpe->merge_mask + 1)) == 0);
    PASS_TABLE(image, bpe->merges, (size_t)bpe->merge_mask + 1);
    pass_id(image, &bpe->unknown_id);
    pass_bool(image, &bpe->has_unknown);
    pass_bool(image, &bpe->fuse_unknown);
    pass_bool(image, &bpe->byte_fallback);
    pass_bool(image, &bpe->ignore_merges);
    pass_text(image, &bpe->prefix);
    pass_text(image, &bpe->suffix);
    require(image, bpe->prefix.len <= BPE_MAX_AFFIX && bpe->suffix.len <= BPE_MAX_AFFIX);
    pass_ids(image, bpe->fallback);
    pass_bool(image, &bpe->is_raw);
    pass_ids(image, bpe->of_byte);
    pass_bool(image, &bpe->cuts_at_meta);
    bool has_words = bpe->words.index.slots != NULL;
    pass_bool(image, &has_words);
    if (has_words)
        pass_vocab(image, &bpe->words);
}

static void pass_unigram(Image *image, Unigram *unigram) {
    pass(image, &unigram->min_score, sizeof unigram->min_score);
    pass_id(image, &unigram->unknown_id);
    pass_bool(image, &unigram->byte_fallback);
    pass_ids(image, unigram->fallback);
    pass_u32(image, &unigram->trie.count, MAX_CELLS);
    require(image, unigram->trie.count > 0);
    PASS_TABLE(image, unigram->trie.cells, unigram->trie.count);
    PASS_TABLE(image, unigram->trie.tokens, unigram->trie.count);
}

static void pass_model(Image *image, Model *model) {
    PASS_ENUM(image, model->kind, MODEL_WORDLEVEL);
    pass_vocab(image, &model->vocab);
    pass_id(image, &model->wordpiece.unknown_id);
    pass_u32(image, &model->wordpiece.max_chars, UINT32_MAX);
    if (model->kind == MODEL_WORDPIECE)
        pass_index(image, &model->wordpiece.continuing);
    else if (model->kind == MODEL_BPE)
        pass_bpe(image, &model->bpe);
    else if (model->kind == MODEL_UNIGRAM)
        pass_unigram(image, &model->unigram);
}

// ---- The steps ----

static void pass_pattern(Image *image, Pattern *pattern) {
    bool is_regex = pattern->regex != NULL;
    pass_text(image, &pattern->text);
    pass_bool(image, &is_regex);
    require(image, is_regex || pattern->text.len > 0);
    if (is_regex && image->in && image->status == STATUS_OK)
        image->status = pattern_compile(image->tokenizer, pattern, NULL);
}

static void pass_charsmap(Image *image, Charsmap *map) {
    pass_size(image, &map->unit_count, MAX_CELLS);
    require(image, map->unit_count > 0);
    PASS_TABLE(image, map->units, map->unit_count);
    pass_text(image, &map->replacements);
    pass(image, map->ascii, sizeof map->ascii);
}

static void pass_normalizer(Image *image, Tokenizer *tokenizer) {
    size_t *count = &tokenizer->normalizer_count;
    pass_size(image, count, PIPELINE_MAX_STEPS);
    if (image->in)
        tokenizer->normalizer = new_items(image, *count, sizeof *tokenizer->normalizer);
    for (size_t i = 0; i < *count && image->status == STATUS_OK; i++) {
        NormalizeStep *step = &tokenizer->normalizer[i];
        PASS_ENUM(image, step->kind, NORMALIZE_BYTE_LEVEL);
        pass_bool(image, &step->left);
        pass_bool(image, &step->right);
        pass_text(image, &step->content);
        if (step->kind == NORMALIZE_REPLACE)
            pass_pattern(image, &step->pattern);
        if (step->kind == NORMALIZE_PRECOMPILED)
            pass_charsmap(image, &step->charsmap);
    }
}

static void pass_pretokenizer(Image *image, Tokenizer *tokenizer) {
    size_t *count = &tokenizer->pretokenizer_count;
    pass_size(image, count, PIPELINE_MAX_STEPS);
    if (image->in)
        tokenizer->pretokenizer = new_items(image, *count, sizeof *tokenizer->pretokenizer);
    for (size_t i = 0; i < *count && image->status == STATUS_OK; i++) {
        PreTokenizeStep *step = &tokenizer->pretokenizer[i];
        PASS_ENUM(image, step->kind, PRETOKENIZE_FIXED_LENGTH);
        PASS_ENUM(image, step->behavior, SPLIT_CONTIGUOUS);
        pass_u32(image, &step->class_bits, UINT32_MAX);
        pass_bool(image, &step->invert);
        pass_code_point(image, &step->code_point);
        PASS_ENUM(image, step->prepend, PREPEND_ALWAYS);
        pass_bool(image, &step->split);
        pass_u32(image, &step->length, PIPELINE_MAX_TEXT);
        // A step that does not move on would not end.
        bool needs_length =
            step->kind == PRETOKENIZE_FIXED_LENGTH || step->kind == PRETOKENIZE_CL100K;
        require(image, step->length > 0 || !needs_length);
        if (step->kind == PRETOKENIZE_PATTERN)
            pass_pattern(image, &step->pattern);
    }
}

static void pass_decoder(Image *image, Tokenizer *tokenizer) {
    size_t *count = &tokenizer->decoder_count;
    pass_bool(image, &tokenizer->has_decoder);
    pass_size(image, count, PIPELINE_MAX_STEPS);
    if (image->in)
        tokenizer->decoder = new_items(image, *count, sizeof *tokenizer->decoder);
    for (size_t i = 0; i < *count && image->status == STATUS_OK; i++) {
        DecodeStep *step = &tokenizer->decoder[i];
        PASS_ENUM(image, step->kind, DECODE_CTC);
        pass_text(image, &step->text);
        pass_text(image, &step->delimiter);
        pass_bool(image, &step->cleanup);
        pass_code_point(image, &step->code_point);
        pass_size(image, &step->start, SIZE_MAX);
        pass_size(image, &step->stop, SIZE_MAX);
        pass_bool(image, &step->drop_first);
        if (step->kind == DECODE_REPLACE)
            pass_pattern(image, &step->pattern);
    }
}

static void pass_template(Image *image, Template *form) {
    pass_size(image, &form->count, PIPELINE_MAX_TEMPLATE);
    pass_size(image, &form->special_count, PIPELINE_MAX_TEMPLATE);
    for (size_t i = 0; i < form->count && image->status == STATUS_OK; i++) {
        TemplatePiece *piece = &form->pieces[i];
        PASS_ENUM(image, piece->kind, TEMPLATE_SPECIAL);
        pass_id(image, &piece->id);
        pass(image, &piece->type_id, sizeof piece->type_id);
        pass(image, &piece->overflow_type_id, sizeof piece->overflow_type_id);
    }
}

static void pass_post(Image *image, PostProcessor *post) {
    for (int i = 0; i < 4; i++)
        pass_template(image, &post->templates[i / 2][i % 2]);
    pass_size(image, &post->trim_count, PIPELINE_MAX_STEPS);
    for (size_t i = 0; i < post->trim_count; i++)
        pass_bool(image, &post->trims[i].add_prefix_space);
}

// ---- The rest ----

static void pass_unicode(Image *image, UnicodeTable *table) {
    pass_size(image, &table->page_count, MAX_PAGES);
    pass(image, table->page_of, sizeof table->page_of);
    for (size_t i = 0; i < sizeof table->page_of / sizeof table->page_of[0]; i++)
        require(image, table->page_of[i] < table->page_count);
    PASS_TABLE(image, table->pages, table->page_count);
}

// The tries over the patterns are made again: they are small, and so they need no checks.
static void pass_added(Image *image, AddedTokens *added) {
    pass_size(image, &added->count, PIPELINE_MAX_ADDED);
    if (image->in && image->status == STATUS_OK) {
        added->items = mem_alloc_zero(added->count, sizeof *added->items);
        if (!added->items)
            image->status = STATUS_OUT_OF_MEMORY;
    }
    for (size_t i = 0; i < added->count && image->status == STATUS_OK; i++) {
        AddedToken *token = &added->items[i];
        pass_text(image, &token->content);
        pass_text(image, &token->pattern);
        pass_id(image, &token->id);
        pass_bool(image, &token->single_word);
        pass_bool(image, &token->lstrip);
        pass_bool(image, &token->rstrip);
        pass_bool(image, &token->normalized);
        pass_bool(image, &token->special);
    }
    pass_id(image, &added->id_end);
    require(image, added->id_end >= 0);
    PASS_TABLE(image, added->by_id, (size_t)(added->id_end > 0 ? added->id_end : 0));
    pass_vocab(image, &added->contents);
    if (image->in && image->status == STATUS_OK)
        image->status = added_tokens_index(added, NULL);
}

static void pass_tokenizer(Image *image) {
    Tokenizer *tokenizer = image->tokenizer;
    pass_unicode(image, &tokenizer->unicode);
    pass_model(image, &tokenizer->model);
    pass_normalizer(image, tokenizer);
    pass_pretokenizer(image, tokenizer);
    pass_decoder(image, tokenizer);
    pass_post(image, &tokenizer->post);
    pass_added(image, &tokenizer->added);
    for (int i = 0; i < ROLE_COUNT; i++)
        pass_id(image, &tokenizer->roles[i]);
    pass_size(image, &tokenizer->max_length, SIZE_MAX);
}

// ---- Checksum ----

static uint64_t load_u64(const uint8_t *bytes) {
    uint64_t value;
    memcpy(&value, bytes, sizeof value);
    return value;
}

static uint64_t mix(uint64_t a, uint64_t b) {
    unsigned __int128 product = (unsigned __int128)a * b;
    return (uint64_t)product ^ (uint64_t)(product >> 64);
}

static inline uint64_t mix_pair(uint64_t lane, const uint8_t *bytes, uint64_t key) {
    return mix(load_u64(bytes) ^ key, load_u64(bytes + 8) ^ lane);
}

// Four independent lanes, because the file must be read at the speed of memory.
static uint64_t checksum(const uint8_t *data, size_t size) {
    enum { BLOCK = 64 };
    const uint64_t k0 = 0xa0761d6478bd642fu, k1 = 0xe7037ed1a0b428dbu, k2 = 0x8ebc6af09c88c6e3u,
                   k3 = 0x589965cc75374cc3u;
    uint64_t a = size, b = size + 1, c = size + 2, d = size + 3;
    uint8_t rest[BLOCK] = {0};
    size_t whole = size / BLOCK * BLOCK;
    memcpy(rest, data + whole, size - whole);
    for (size_t pos = 0; pos <= whole; pos += BLOCK) {
        const uint8_t *block = pos < whole ? data + pos : rest;
        a = mix_pair(a, block, k0);
        b = mix_pair(b, block + 16, k1);
        c = mix_pair(c, block + 32, k2);
        d = mix_pair(d, block + 48, k3);
    }
    return mix(a ^ b, c ^ mix(d, MAGIC));
}

// ---- The door ----

static Image begin_writing(const Tokenizer *tokenizer) {
    // Passing only reads what it writes.
    return (Image){.tokenizer = (Tokenizer *)(uintptr_t)tokenizer, .pos = HEADER_BYTES};
}

size_t compiled_size(const Tokenizer *tokenizer) {
    Image image = begin_writing(tokenizer);
    pass_tokenizer(&image);
    return image.status == STATUS_OK ? image.pos : 0;
}

void compiled_write(uint8_t *out, size_t size, const Tokenizer *tokenizer) {
    Image image = begin_writing(tokenizer);
    image.out = out;
    image.size = size;
    pass_tokenizer(&image);
    assert(image.status == STATUS_OK && image.pos == size);
    compiled_seal(out, size);
}

void compiled_seal(uint8_t *data, size_t size) {
    uint64_t sum = checksum(data + HEADER_BYTES, size - HEADER_BYTES);
    memcpy(data, &MAGIC, sizeof MAGIC);
    memcpy(data + sizeof MAGIC, &sum, sizeof sum);
}

Status compiled_read(Tokenizer **out, const uint8_t *data, size_t size, Error *error) {
    *out = NULL;
    if (size < HEADER_BYTES || load_u64(data) != MAGIC ||
        load_u64(data + 8) != checksum(data + HEADER_BYTES, size - HEADER_BYTES))
        return error_set(error, STATUS_CORRUPT, "compiled tokenizer is damaged");
    Tokenizer *tokenizer = mem_alloc_zero(1, sizeof *tokenizer);
    if (!tokenizer)
        return error_out_of_memory(error, sizeof *tokenizer);
    tokenizer->is_compiled = true;
    Image image = {.tokenizer = tokenizer, .in = data, .pos = HEADER_BYTES, .size = size};
    pass_tokenizer(&image);
    require(&image, image.pos == size);
    if (image.status != STATUS_OK) {
        tokenizer_close(tokenizer);
        return error_set(error, image.status, "compiled tokenizer cannot be read");
    }
    *out = tokenizer;
    return STATUS_OK;
}
