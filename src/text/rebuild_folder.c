// Which files of a folder stand for a tokenizer when there is no tokenizer.json.
#include "text/rebuild.h"
#include "text/sentencepiece.h"

#include "base/file.h"

static Status from_model(Buf *out, const char *folder, const char *name, StrView map,
                         StrView config, Error *error) {
    Buf model = BUF_INIT(SPM_MAX_FILE), added = BUF_INIT(PIPELINE_MAX_CONFIG);
    Buf model_config = BUF_INIT(PIPELINE_MAX_CONFIG);
    Status status = STATUS_OK;
    TRY_DONE(rebuild_read(&model, folder, name, error));
    TRY_DONE(rebuild_read(&added, folder, "added_tokens.json", error));
    TRY_DONE(rebuild_read(&model_config, folder, "config.json", error));
    const SentencePieceFiles files = {
        .model = sv_n(model.ptr, model.len),
        .map = map,
        .config = config,
        .added = sv_n(added.ptr, added.len),
        .model_config = sv_n(model_config.ptr, model_config.len),
    };
    status = rebuild_from_sentencepiece(out, &files, error);
done:
    buf_free(&model);
    buf_free(&added);
    buf_free(&model_config);
    return status == STATUS_OK ? status : error_prefix(error, status, "%s", name);
}

static Status from_vocab_txt(Buf *out, const char *folder, StrView config, Error *error) {
    char *path = path_join(folder, "vocab.txt");
    if (!path)
        return error_out_of_memory(error, strlen(folder));
    Status status = rebuild_from_vocab_txt(out, path, config, error);
    mem_free(path);
    return status == STATUS_OK ? status : error_prefix(error, status, "vocab.txt");
}

Status rebuild_from_folder(Buf *out, const char *folder, StrView map, StrView config,
                           Error *error) {
    enum { VOCAB_JSON, MERGES, VOCAB_TXT, MODELS, NAMES = 6 };
    static const char *const names[NAMES] = {"vocab.json",   "merges.txt",
                                             "vocab.txt",    "sentencepiece.bpe.model",
                                             "spiece.model", "tokenizer.model"};
    bool has[NAMES];
    for (int i = 0; i < NAMES; i++) {
        char *path = path_join(folder, names[i]);
        if (!path)
            return error_out_of_memory(error, strlen(folder));
        has[i] = file_is_regular(path);
        mem_free(path);
    }
    if (has[VOCAB_JSON] && has[MERGES])
        return rebuild_from_merges(out, folder, map, config, error);
    if (has[VOCAB_TXT])
        return from_vocab_txt(out, folder, config, error);
    for (int i = MODELS; i < NAMES; i++)
        if (has[i])
            return from_model(out, folder, names[i], map, config, error);
    return error_set(error, STATUS_NOT_FOUND,
                     "no tokenizer.json, vocab.txt, vocab.json with merges.txt or SentencePiece "
                     "model in '%s'",
                     folder);
}
