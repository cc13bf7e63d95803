// Which files of a folder stand for a tokenizer when there is no tokenizer.json.
#include "text/rebuild.h"
#include "text/sentencepiece.h"

#include "base/file.h"

#include <limits.h>
#include <stdio.h>

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

enum { VOCAB_JSON, MERGES, VOCAB_TXT, FIRST_MODEL, NAME_COUNT = 6 };
static const char *const NAMES[NAME_COUNT] = {"vocab.json",   "merges.txt",
                                              "vocab.txt",    "sentencepiece.bpe.model",
                                              "spiece.model", "tokenizer.model"};

static bool has_file(const char *folder, const char *name) {
    char path[PATH_MAX];
    int len = snprintf(path, sizeof path, "%s/%s", folder, name);
    return len > 0 && (size_t)len < sizeof path && file_is_regular(path);
}

Status rebuild_from_folder(Buf *out, const char *folder, StrView map, StrView config,
                           Error *error) {
    if (has_file(folder, NAMES[VOCAB_JSON]) && has_file(folder, NAMES[MERGES]))
        return rebuild_from_merges(out, folder, map, config, error);
    if (has_file(folder, NAMES[VOCAB_TXT]))
        return from_vocab_txt(out, folder, config, error);
    for (int i = FIRST_MODEL; i < NAME_COUNT; i++)
        if (has_file(folder, NAMES[i]))
            return from_model(out, folder, NAMES[i], map, config, error);
    return error_set(error, STATUS_NOT_FOUND,
                     "no tokenizer.json, vocab.txt, vocab.json with merges.txt or SentencePiece "
                     "model in '%s'",
                     folder);
}

bool tokenizer_is_in(const char *folder) {
    if (has_file(folder, "tokenizer.json") ||
        (has_file(folder, NAMES[VOCAB_JSON]) && has_file(folder, NAMES[MERGES])))
        return true;
    for (int i = VOCAB_TXT; i < NAME_COUNT; i++)
        if (has_file(folder, NAMES[i]))
            return true;
    return false;
}
