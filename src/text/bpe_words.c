// Words that are one token: found at load time by encoding every token's text, so that most words
// of a text cost one look-up instead of a dozen merges. Says nothing that merging would not say.
#include "text/pipeline.h"

// Longer tokens are rare in texts, and finding out would cost more than it brings.
enum { WORD_MAX_BYTES = 32 };

// The word that a token's text stands for, in the form in which words come; false when there is
// none.
static bool word_of_token(Buf *out, const Bpe *bpe, StrView text) {
    buf_clear(out);
    if (!bpe->is_raw) {
        if (text.len <= bpe->suffix.len || !sv_ends_with(text, bpe->suffix))
            return false;
        buf_append(out, text.ptr, text.len - bpe->suffix.len);
        return true;
    }
    for (size_t pos = 0; pos < text.len;) {
        int byte = byte_level_byte(utf8_next(text, &pos));
        if (byte < 0)
            return false;
        buf_append_byte(out, (char)byte);
    }
    return text.len > 0;
}

static Status add_words(const Model *model, Vocab *words, BpeScratch *scratch, Buf *word,
                        Error *error) {
    const Bpe *bpe = &model->bpe;
    for (uint32_t i = 0; i < model->vocab.count; i++) {
        const VocabEntry *entry = &model->vocab.entries[i];
        bool is_word =
            word_of_token(word, bpe, sv_n(model->vocab.bytes + entry->offset, entry->len));
        TRY(buf_status(word, error));
        if (!is_word || (!bpe->ignore_merges && word->len > WORD_MAX_BYTES))
            continue;
        StrView text = sv_n(word->ptr, word->len);
        if (!bpe->ignore_merges) {
            bool is_whole;
            TRY(bpe_is_whole(&is_whole, model, text, entry->id, scratch, error));
            if (!is_whole)
                continue;
        }
        TRY(vocab_add(words, text, entry->id, error));
    }
    return vocab_finish(words, error);
}

Status bpe_index_words(Tokenizer *tokenizer, Error *error) {
    Model *model = &tokenizer->model;
    if (model->kind != MODEL_BPE || model->bpe.prefix.len > 0)
        return STATUS_OK;
    // Here the vocabulary itself is what words are looked up in.
    if (model->bpe.ignore_merges && !model->bpe.is_raw)
        return STATUS_OK;
    Buf word = BUF_INIT(SIZE_MAX);
    BpeScratch scratch = {.symbol_cap = 0};
    Status status =
        vocab_reserve(&model->bpe.words, model->vocab.count, model->vocab.bytes_len, error);
    if (status == STATUS_OK)
        status = add_words(model, &model->bpe.words, &scratch, &word, error);
    buf_free(&word);
    bpe_scratch_free(&scratch);
    return status;
}
