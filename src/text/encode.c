// One text through the pipeline: added tokens, normalizer, pre-tokenizer, model. What comes out
// goes to the post-processor. Scratch memory lives for one call; the tokenizer is only read.
#include "text/pipeline.h"

// Shorter texts repeat too few words.
enum { CACHE_FROM_BYTES = 2048 };

void piece_list_push(PieceList *list, Piece piece) {
    if (piece.begin >= piece.end)
        return;
    if (list->count == list->cap) {
        size_t cap = list->cap ? list->cap * 2 : 64;
        Piece *items = mem_realloc_array(list->items, cap, sizeof *items);
        if (!items) {
            list->out_of_memory = true;
            return;
        }
        list->items = items;
        list->cap = cap;
    }
    list->items[list->count++] = piece;
}

Status piece_list_status(const PieceList *list, Error *error) {
    return list->out_of_memory ? error_out_of_memory(error, list->cap * sizeof *list->items)
                               : STATUS_OK;
}

void pieces_free(Pieces *pieces) {
    aligned_free(&pieces->text);
    aligned_free(&pieces->spare_text);
    mem_free(pieces->list.items);
    mem_free(pieces->spare_list.items);
}

bool token_list_reserve(TokenList *list, size_t extra) {
    if (list->cap - list->count >= extra)
        return true;
    size_t cap = list->cap * 2 > list->count + extra ? list->cap * 2 : list->count + extra + 64;
    RawToken *items = mem_realloc_array(list->items, cap, sizeof *items);
    if (!items) {
        list->out_of_memory = true;
        return false;
    }
    list->items = items;
    list->cap = cap;
    return true;
}

Status token_list_status(const TokenList *list, Error *error) {
    return list->out_of_memory ? error_out_of_memory(error, list->cap * sizeof *list->items)
                               : STATUS_OK;
}

void token_sink_put(TokenSink *sink, int32_t id, size_t begin, size_t end) {
    if (!token_list_reserve(sink->list, 1))
        return;
    const AlignedText *text = sink->text;
    begin += sink->begin;
    end += sink->begin;
    sink->list->items[sink->list->count++] = (RawToken){
        .id = id, .start = text->start[begin], .end = text->end[end - 1], .word = sink->word};
}

// White space at both ends of a token's text, which ByteLevel's post-processor trims from the
// offsets.
static void count_trim(const UnicodeTable *unicode, RawToken *token, StrView text) {
    enum { SPACE = 0x120 }; // ByteLevel's space
    size_t pos = 0, first = SIZE_MAX, last = 0, count = 0;
    while (pos < text.len) {
        uint32_t c = utf8_next(text, &pos);
        bool is_space = c == SPACE || (unicode_class(unicode, c) & CLASS_WHITESPACE);
        if (!is_space) {
            if (first == SIZE_MAX)
                first = count;
            last = count + 1;
        }
        count++;
    }
    token->lead = (uint32_t)(first == SIZE_MAX ? count : first);
    token->trail = (uint32_t)(count - last);
}

static Status encode_piece(const Model *model, StrView word, TokenSink *sink, Error *error) {
    switch (model->kind) {
    case MODEL_WORDPIECE:
        return wordpiece_encode(model, word, sink, error);
    case MODEL_WORDLEVEL:
        return wordlevel_encode(model, word, sink, error);
    case MODEL_BPE:
        return bpe_encode(model, word, sink, error);
    case MODEL_UNIGRAM:
        return unigram_encode(model, word, sink, error);
    }
    return STATUS_OK;
}

static Status encode_pieces(const Tokenizer *tokenizer, TokenList *list, const Pieces *pieces,
                            Error *error) {
    const Model *model = &tokenizer->model;
    bool trims = tokenizer->post.trim_count > 0;
    Status status = STATUS_OK;
    BpeScratch bpe = {.symbol_cap = 0};
    UnigramScratch unigram = {.cap = 0};
    if (model->kind == MODEL_BPE && pieces->text.len >= CACHE_FROM_BYTES)
        bpe_scratch_cache(&bpe);
    for (size_t i = 0; i < pieces->list.count; i++) {
        const Piece *piece = &pieces->list.items[i];
        StrView text = sv_n(pieces->text.bytes + piece->begin, piece->end - piece->begin);
        TokenSink sink = {.list = list,
                          .text = &pieces->text,
                          .begin = piece->begin,
                          .word = (uint32_t)i,
                          .bpe = &bpe,
                          .unigram = &unigram};
        size_t before = list->count;
        if (piece->id >= 0)
            token_sink_put(&sink, piece->id, 0, text.len);
        else
            TRY_DONE(encode_piece(model, text, &sink, error));
        for (size_t k = before; trims && k < list->count; k++)
            count_trim(&tokenizer->unicode, &list->items[k],
                       piece->id >= 0 ? text : vocab_text(&model->vocab, list->items[k].id));
    }
    status = token_list_status(list, error);
done:
    bpe_scratch_free(&bpe);
    unigram_scratch_free(&unigram);
    return status;
}

// Normalizes one stretch between added tokens and looks for the normalized ones in it.
static Status normalize_piece(const Tokenizer *tokenizer, Pieces *pieces, AlignedText *whole,
                              const Piece *piece, AlignedText *work, Error *error) {
    size_t begin = pieces->text.len;
    if (piece->end - piece->begin == whole->len) {
        // The usual text has no added tokens: nothing needs to be copied.
        TRY(normalize_run(tokenizer, whole, &pieces->spare_text, piece->origin, error));
        AlignedText swap = pieces->text;
        pieces->text = *whole;
        *whole = swap;
    } else {
        work->len = 0;
        aligned_copy(work, whole, piece->begin, piece->end);
        TRY(aligned_status(work, error));
        TRY(normalize_run(tokenizer, work, &pieces->spare_text, piece->origin, error));
        aligned_copy(&pieces->text, work, 0, work->len);
        TRY(aligned_status(&pieces->text, error));
    }
    added_tokens_split(tokenizer, &tokenizer->added.normalized, &pieces->list, &pieces->text, begin,
                       pieces->text.len);
    return STATUS_OK;
}

// Fills `pieces` from the original text: raw added tokens, normalizer, normalized added tokens.
static Status make_pieces(const Tokenizer *tokenizer, Pieces *pieces, StrView text, Error *error) {
    AlignedText whole = {.len = 0}, work = {.len = 0};
    PieceList raw = {.count = 0};
    Status status = STATUS_OK;
    aligned_append_original(&whole, text, 0);
    TRY_DONE(aligned_status(&whole, error));
    added_tokens_split(tokenizer, &tokenizer->added.raw, &raw, &whole, 0, whole.len);
    TRY_DONE(piece_list_status(&raw, error));
    for (size_t i = 0; i < raw.count; i++) {
        Piece piece = raw.items[i];
        if (piece.id < 0) {
            TRY_DONE(normalize_piece(tokenizer, pieces, &whole, &piece, &work, error));
            continue;
        }
        size_t begin = pieces->text.len;
        aligned_copy(&pieces->text, &whole, piece.begin, piece.end);
        piece.begin = (uint32_t)begin;
        piece.end = (uint32_t)pieces->text.len;
        piece_list_push(&pieces->list, piece);
    }
    TRY_DONE(aligned_status(&pieces->text, error));
    TRY_DONE(piece_list_status(&pieces->list, error));
done:
    aligned_free(&whole);
    aligned_free(&work);
    mem_free(raw.items);
    return status;
}

static Status encode_valid(const Tokenizer *tokenizer, TokenList *list, StrView text,
                           Error *error) {
    Pieces pieces = {.text = {.len = 0}};
    Status status = make_pieces(tokenizer, &pieces, text, error);
    if (status == STATUS_OK)
        status = pretokenize_run(tokenizer, &pieces, error);
    if (status == STATUS_OK)
        status = encode_pieces(tokenizer, list, &pieces, error);
    pieces_free(&pieces);
    return status;
}

// Encodes a text that may hold invalid UTF-8.
static Status encode_text(const Tokenizer *tokenizer, TokenList *list, StrView text, Error *error) {
    if (text.len > PIPELINE_MAX_TEXT)
        return error_set(error, STATUS_LIMIT, "text is longer than %d bytes", PIPELINE_MAX_TEXT);
    if (utf8_is_valid(text, NULL))
        return encode_valid(tokenizer, list, text, error);
    Buf valid = BUF_INIT((size_t)PIPELINE_MAX_TEXT * 3);
    utf8_append_valid(&valid, text);
    Status status = buf_status(&valid, error);
    if (status == STATUS_OK)
        status = encode_valid(tokenizer, list, sv_n(valid.ptr, valid.len), error);
    buf_free(&valid);
    return status;
}

Status tokenizer_encode(EncodingList *out, const Tokenizer *tokenizer, StrView text, StrView pair,
                        const EncodeOptions *options, Error *error) {
    *out = (EncodingList){.count = 0};
    TokenList first = {.count = 0}, second = {.count = 0};
    Status status = encode_text(tokenizer, &first, text, error);
    if (status == STATUS_OK && pair.ptr)
        status = encode_text(tokenizer, &second, pair, error);
    if (status == STATUS_OK)
        status = postprocess_run(out, tokenizer, &first, pair.ptr ? &second : NULL, options, error);
    mem_free(first.items);
    mem_free(second.items);
    return status;
}
