// The Unigram model from tokenizer.json.
#include "text/pipeline.h"

#include <math.h>

// Takes the pieces in and leaves their scores, by id, for the caller to free.
static Status read_pieces(Model *model, double **out, StrView text, Error *error) {
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
    *out = scores;
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
    double *scores;
    Status status = read_pieces(model, &scores, vocab, error);
    if (status == STATUS_OK)
        status = load_unknown(model, json_span(scan, "unk_id"), error);
    if (status == STATUS_OK)
        status = prefix_trie_build(&model->unigram.trie, &model->vocab, scores, error);
    mem_free(scores);
    model->unigram.byte_fallback = sv_equal_cstr(json_span(scan, "byte_fallback"), "true");
    fallback_ids(model->unigram.fallback, &model->vocab);
    return status;
}
