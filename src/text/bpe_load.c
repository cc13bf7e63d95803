// The BPE model from tokenizer.json: vocabulary, merges, and what the rest of the file makes of
// them.
#include "text/pipeline.h"

#include <stdio.h>

// Reads the two halves of the next merge: a pair of strings or one string with a space between.
static bool next_merge(JsonCursor *cursor, Buf *first, Buf *second, StrView *left, StrView *right) {
    if (json_cursor_take(cursor, '[')) {
        return json_cursor_string(cursor, left, first) &&
               json_cursor_string(cursor, right, second) && json_cursor_take(cursor, ']');
    }
    if (!json_cursor_string(cursor, left, first))
        return false;
    const char *space = left->len ? memchr(left->ptr, ' ', left->len) : NULL;
    if (!space)
        return false;
    size_t at = (size_t)(space - left->ptr);
    *right = sv_n(space + 1, left->len - at - 1);
    left->len = at;
    return right->len == 0 || !memchr(right->ptr, ' ', right->len);
}

static size_t count_merges(StrView text) {
    // Commas bound the merges from above: one before the next, and one inside when they are pairs.
    JsonCursor cursor = {.text = text};
    size_t commas = 0;
    bool is_pairs = json_cursor_take(&cursor, '[') && json_cursor_peek(&cursor) == '[';
    for (size_t i = 0; i < text.len; i++)
        commas += text.ptr[i] == ',';
    return is_pairs ? commas / 2 + 1 : commas + 1;
}

static Status alloc_merges(Bpe *bpe, size_t count, Error *error) {
    if (count > 4u * BPE_MAX_MERGES)
        return error_set(error, STATUS_LIMIT, "model has more than %d merges", BPE_MAX_MERGES);
    uint32_t size = 64;
    while (size < count * 2)
        size *= 2;
    bpe->merges = mem_alloc((size_t)size * sizeof *bpe->merges);
    if (!bpe->merges)
        return error_out_of_memory(error, (size_t)size * sizeof *bpe->merges);
    memset(bpe->merges, 0xff, (size_t)size * sizeof *bpe->merges);
    bpe->merge_mask = size - 1;
    return STATUS_OK;
}

static void put_merge(Bpe *bpe, Merge merge) {
    // The last of several merges of one pair wins.
    Merge *slot = (Merge *)(uintptr_t)bpe_find_merge(bpe, merge.left, merge.right);
    if (!slot) {
        uint32_t i = bpe_merge_hash(merge.left, merge.right);
        while (bpe->merges[i & bpe->merge_mask].left >= 0)
            i++;
        slot = &bpe->merges[i & bpe->merge_mask];
    }
    *slot = merge;
}

static Status unknown_part(Error *error, StrView text) {
    return error_set(error, STATUS_CORRUPT, "merges: \"%.*s\" is not in the vocabulary",
                     (int)(text.len < 64 ? text.len : 64), text.ptr);
}

static Status add_merge(Model *model, StrView left, StrView right, uint32_t rank, Buf *joined,
                        Error *error) {
    Bpe *bpe = &model->bpe;
    Merge merge = {.left = vocab_id(&model->vocab, left),
                   .right = vocab_id(&model->vocab, right),
                   .rank = rank};
    if (merge.left < 0)
        return unknown_part(error, left);
    if (merge.right < 0 || right.len < bpe->prefix.len)
        return unknown_part(error, right);
    buf_clear(joined);
    buf_append_sv(joined, left);
    buf_append(joined, right.ptr + bpe->prefix.len, right.len - bpe->prefix.len);
    TRY(buf_status(joined, error));
    merge.merged = vocab_id(&model->vocab, sv_n(joined->ptr, joined->len));
    if (merge.merged < 0)
        return unknown_part(error, sv_n(joined->ptr, joined->len));
    put_merge(bpe, merge);
    return STATUS_OK;
}

static Status load_merges(Model *model, StrView text, Error *error) {
    JsonCursor cursor = {.text = text};
    Buf first = BUF_INIT(text.len), second = BUF_INIT(text.len),
        joined = BUF_INIT(text.len * 2 + 64);
    Status status = STATUS_OK;
    uint32_t rank = 0;
    if (!json_cursor_take(&cursor, '['))
        TRY_DONE(error_set(error, STATUS_CORRUPT, "model has no merges"));
    TRY_DONE(alloc_merges(&model->bpe, count_merges(text), error));
    while (json_cursor_peek(&cursor) == '"' || json_cursor_peek(&cursor) == '[') {
        StrView left = {NULL, 0}, right = {NULL, 0};
        bool is_good = next_merge(&cursor, &first, &second, &left, &right);
        TRY_DONE(buf_status(&first, error));
        TRY_DONE(buf_status(&second, error));
        if (is_good) {
            TRY_DONE(add_merge(model, left, right, rank++, &joined, error));
        } else if (!sv_starts_with(left, SV("#version"))) {
            TRY_DONE(error_set(error, STATUS_CORRUPT, "merges: number %u is not a pair", rank));
        }
    }
done:
    buf_free(&first);
    buf_free(&second);
    buf_free(&joined);
    return status;
}

void fallback_ids(int32_t ids[256], const Vocab *vocab) {
    for (int byte = 0; byte < 256; byte++) {
        char text[8];
        snprintf(text, sizeof text, "<0x%02X>", (unsigned)byte);
        ids[byte] = vocab_id(vocab, sv(text));
    }
}

static Status load_settings(Tokenizer *tokenizer, const JsonValue *value, Error *error) {
    Bpe *bpe = &tokenizer->model.bpe;
    StrView text;
    if (json_f64_or(value, "dropout", 0) != 0)
        return error_set(error, STATUS_UNSUPPORTED, "BPE dropout is not supported");
    bpe->fuse_unknown = json_bool_or(value, "fuse_unk", false);
    bpe->byte_fallback = json_bool_or(value, "byte_fallback", false);
    bpe->ignore_merges = json_bool_or(value, "ignore_merges", false);
    bpe->has_unknown = json_as_string(&text, json_get(value, "unk_token"));
    bpe->unknown_id = bpe->has_unknown ? vocab_id(&tokenizer->model.vocab, text) : -1;
    bpe->prefix = bpe->suffix = SV("");
    if (json_as_string(&text, json_get(value, "continuing_subword_prefix")))
        TRY(tokenizer_keep(tokenizer, &bpe->prefix, text, error));
    if (json_as_string(&text, json_get(value, "end_of_word_suffix")))
        TRY(tokenizer_keep(tokenizer, &bpe->suffix, text, error));
    if (bpe->prefix.len > BPE_MAX_AFFIX || bpe->suffix.len > BPE_MAX_AFFIX)
        return error_set(error, STATUS_LIMIT, "subword prefix or suffix is longer than %d bytes",
                         BPE_MAX_AFFIX);
    fallback_ids(bpe->fallback, &tokenizer->model.vocab);
    for (int byte = 0; byte < 256; byte++) {
        char letter = (char)byte;
        bpe->of_byte[byte] = byte < 0x80 ? vocab_id(&tokenizer->model.vocab, sv_n(&letter, 1)) : -1;
    }
    return STATUS_OK;
}

// Whether "\u2581" stands in a merged token behind something else than itself.
static bool has_inner_meta(StrView text) {
    bool after_meta = true;
    for (size_t pos = 0; pos < text.len;) {
        bool is_meta = sv_starts_with(sv_n(text.ptr + pos, text.len - pos), SV(BPE_META));
        if (is_meta && !after_meta)
            return true;
        after_meta = is_meta;
        pos += is_meta ? strlen(BPE_META) : 1;
    }
    return false;
}

// SentencePiece files treat a whole text as one word. When no merge can reach over the start of a
// word, cutting there changes nothing but the speed. It must be a token itself: an unknown one
// could fuse with its neighbours. And no character may be left out, for then others would meet.
static void find_meta(Model *model) {
    Bpe *bpe = &model->bpe;
    bool cuts = vocab_id(&model->vocab, SV(BPE_META)) >= 0 && bpe->unknown_id >= 0 &&
                bpe->prefix.len + bpe->suffix.len == 0;
    for (uint32_t i = 0; cuts && i <= bpe->merge_mask; i++)
        if (bpe->merges[i].left >= 0)
            cuts = !has_inner_meta(vocab_text(&model->vocab, bpe->merges[i].merged));
    bpe->cuts_at_meta = cuts;
}

// The members other than the two big ones, as a small tree.
static Status parse_settings(JsonDoc **out, const JsonScan *model, Error *error) {
    Buf text = BUF_INIT(1 << 20);
    buf_append_byte(&text, '{');
    for (size_t i = 0; i < model->count; i++) {
        const JsonSpan *span = &model->spans[i];
        if (sv_equal_cstr(span->key, "vocab") || sv_equal_cstr(span->key, "merges"))
            continue;
        if (text.len > 1)
            buf_append_byte(&text, ',');
        buf_append_byte(&text, '"');
        buf_append_sv(&text, span->key);
        buf_append_cstr(&text, "\":");
        buf_append_sv(&text, span->text);
    }
    buf_append_byte(&text, '}');
    Status status = buf_status(&text, error);
    if (status == STATUS_OK)
        status = json_parse(out, sv_n(text.ptr, text.len), 0, error);
    buf_free(&text);
    return status;
}

Status bpe_load(Tokenizer *tokenizer, const JsonScan *model, Error *error) {
    tokenizer->model.kind = MODEL_BPE;
    StrView vocab = json_span(model, "vocab"), merges = json_span(model, "merges");
    if (!vocab.ptr || !merges.ptr)
        return error_set(error, STATUS_CORRUPT, "model has no vocab or no merges");
    TRY(vocab_from_json(&tokenizer->model.vocab, vocab, "vocab", error));
    JsonDoc *settings;
    TRY(parse_settings(&settings, model, error));
    Status status = load_settings(tokenizer, json_root(settings), error);
    json_free(settings);
    if (status == STATUS_OK)
        status = load_merges(&tokenizer->model, merges, error);
    if (status == STATUS_OK)
        find_meta(&tokenizer->model);
    return status;
}

void bpe_use_raw_bytes(Tokenizer *tokenizer) {
    Bpe *bpe = &tokenizer->model.bpe;
    size_t count = tokenizer->pretokenizer_count;
    bool is_last = count > 0 && tokenizer->pretokenizer[count - 1].kind == PRETOKENIZE_BYTES;
    if (tokenizer->model.kind != MODEL_BPE || !is_last || bpe->byte_fallback ||
        bpe->prefix.len + bpe->suffix.len > 0)
        return;
    for (int byte = 0; byte < 256; byte++) {
        char text[4];
        size_t len = (size_t)utf8_encode(text, byte_level_char((uint8_t)byte));
        bpe->of_byte[byte] = vocab_id(&tokenizer->model.vocab, sv_n(text, len));
    }
    bpe->is_raw = true;
    tokenizer->pretokenizer_count--;
}

void bpe_free(Bpe *bpe) {
    mem_free(bpe->merges);
    vocab_free(&bpe->words);
}
