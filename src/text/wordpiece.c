// WordPiece: the longest token first, then the longest continuation, and so on; and WordLevel,
// which is the same vocabulary without continuations.
#include "text/pipeline.h"

static Status put_unknown(const Model *model, StrView word, TokenSink *sink, Error *error) {
    if (model->wordpiece.unknown_id < 0)
        return error_set(error, STATUS_INVALID,
                         "a word is not in the vocabulary and the tokenizer has no unknown token");
    token_sink_put(sink, model->wordpiece.unknown_id, 0, word.len);
    return STATUS_OK;
}

static bool is_continuation_byte(char byte) {
    return ((unsigned char)byte & 0xc0) == 0x80;
}

// The longest token at word[begin]: its id and end, or -1.
static int32_t longest_token(const Model *model, StrView word, size_t begin, size_t *end) {
    const VocabIndex *index = begin == 0 ? &model->vocab.index : &model->wordpiece.continuing;
    size_t stop = word.len - begin <= index->max_len ? word.len : begin + index->max_len;
    for (; stop > begin; stop--) {
        if (stop < word.len && is_continuation_byte(word.ptr[stop]))
            continue;
        int32_t id = vocab_find(&model->vocab, index, sv_n(word.ptr + begin, stop - begin));
        if (id >= 0) {
            *end = stop;
            return id;
        }
    }
    return -1;
}

Status wordpiece_encode(const Model *model, StrView word, TokenSink *sink, Error *error) {
    // A text of so few bytes has no more code points.
    if (word.len > model->wordpiece.max_chars && utf8_count(word) > model->wordpiece.max_chars)
        return put_unknown(model, word, sink, error);
    size_t before = sink->list->count;
    size_t begin = 0, end = 0;
    while (begin < word.len) {
        int32_t id = longest_token(model, word, begin, &end);
        if (id < 0) {
            sink->list->count = before;
            return put_unknown(model, word, sink, error);
        }
        token_sink_put(sink, id, begin, end);
        begin = end;
    }
    return STATUS_OK;
}

Status wordlevel_encode(const Model *model, StrView word, TokenSink *sink, Error *error) {
    int32_t id = vocab_id(&model->vocab, word);
    if (id < 0)
        return put_unknown(model, word, sink, error);
    token_sink_put(sink, id, 0, word.len);
    return STATUS_OK;
}

static Status load_vocab(Tokenizer *tokenizer, const JsonScan *model, Error *error) {
    StrView vocab = json_span(model, "vocab");
    if (!vocab.ptr)
        return error_set(error, STATUS_CORRUPT, "model has no vocab");
    return vocab_from_json(&tokenizer->model.vocab, vocab, "vocab", error);
}

// A string member of the model, or the default when there is none.
static Status model_string(StrView *out, Buf *scratch, const JsonScan *model, const char *key,
                           const char *fallback, Error *error) {
    StrView text = json_span(model, key);
    *out = sv(fallback);
    if (!text.ptr || text.len < 2 || text.ptr[0] != '"')
        return STATUS_OK;
    buf_clear(scratch);
    json_cursor_unescape(scratch, sv_n(text.ptr + 1, text.len - 2));
    TRY(buf_status(scratch, error));
    *out = sv_n(scratch->ptr, scratch->len);
    return STATUS_OK;
}

Status wordpiece_finish(Tokenizer *tokenizer, StrView unknown, StrView prefix, uint32_t max_chars,
                        Error *error) {
    Model *model = &tokenizer->model;
    model->kind = MODEL_WORDPIECE;
    model->wordpiece.max_chars = max_chars;
    model->wordpiece.unknown_id = vocab_id(&model->vocab, unknown);
    return vocab_index_build(&model->wordpiece.continuing, &model->vocab, prefix, error);
}

Status wordpiece_load(Tokenizer *tokenizer, const JsonScan *model, Error *error) {
    Buf unknown_text = BUF_INIT(1 << 16), prefix_text = BUF_INIT(1 << 16);
    StrView unknown, prefix, max_text = json_span(model, "max_input_chars_per_word");
    int64_t max_chars = 100;
    Status status = STATUS_OK;
    TRY_DONE(load_vocab(tokenizer, model, error));
    TRY_DONE(model_string(&unknown, &unknown_text, model, "unk_token", "[UNK]", error));
    TRY_DONE(model_string(&prefix, &prefix_text, model, "continuing_subword_prefix", "##", error));
    if (max_text.ptr && (!sv_to_i64(&max_chars, max_text) || max_chars < 0))
        TRY_DONE(error_set(error, STATUS_CORRUPT, "max_input_chars_per_word is not a count"));
    // Beyond this, trying all ends of all starts would no longer be linear in practice.
    if (max_chars > 1 << 16)
        max_chars = 1 << 16;
    TRY_DONE(wordpiece_finish(tokenizer, unknown, prefix, (uint32_t)max_chars, error));
done:
    buf_free(&unknown_text);
    buf_free(&prefix_text);
    return status;
}

Status wordlevel_load(Tokenizer *tokenizer, const JsonScan *model, Error *error) {
    Buf scratch = BUF_INIT(1 << 16);
    StrView unknown;
    TRY(load_vocab(tokenizer, model, error));
    Status status = model_string(&unknown, &scratch, model, "unk_token", "<unk>", error);
    tokenizer->model.kind = MODEL_WORDLEVEL;
    if (status == STATUS_OK)
        tokenizer->model.wordpiece.unknown_id = vocab_id(&tokenizer->model.vocab, unknown);
    buf_free(&scratch);
    return status;
}
