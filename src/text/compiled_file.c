// The compiled tokenizer as a file: found by the stats of everything it was made from, mapped when
// it is whole, written after a load from the sources. Never a reason to fail.
#include "text/pipeline.h"

#include "base/file.h"

// Of the payload: raise it when its layout or the meaning of anything in it changes.
enum { COMPILED_VERSION = 1 };

// Everything that tokenizer_load may read, or would read if it were there.
static const char *const SOURCES[] = {
    "tokenizer.json",          "vocab.json",        "merges.txt",      "vocab.txt",
    "sentencepiece.bpe.model", "spiece.model",      "tokenizer.model", "special_tokens_map.json",
    "tokenizer_config.json",   "added_tokens.json", "config.json",
};

enum { SOURCE_COUNT = sizeof SOURCES / sizeof SOURCES[0] };

// The sources that are there, with their stats from before they were read.
typedef struct SourceList {
    char *paths[SOURCE_COUNT];
    FileStat stats[SOURCE_COUNT];
    size_t count;
} SourceList;

static void free_sources(SourceList *list) {
    for (size_t i = 0; i < list->count; i++)
        mem_free(list->paths[i]);
    list->count = 0;
}

static bool list_sources(SourceList *list, const char *folder) {
    for (size_t i = 0; i < SOURCE_COUNT; i++) {
        char *path = path_join(folder, SOURCES[i]);
        if (!path)
            return false;
        if (file_stat(&list->stats[list->count], path) && list->stats[list->count].is_regular)
            list->paths[list->count++] = path;
        else
            mem_free(path);
    }
    return list->count > 0;
}

static ArtifactKey key_of(const SourceList *list) {
    return (ArtifactKey){.kind = "tokenizer",
                         .version = COMPILED_VERSION,
                         .text = GPUX_VERSION,
                         .sources = (const char *const *)list->paths,
                         .n_sources = list->count,
                         .stats = list->stats};
}

static Status open_compiled(Tokenizer **out, const char *path, const ArtifactKey *key,
                            Error *error) {
    Artifact artifact;
    TRY(artifact_open(&artifact, path, key, error));
    Status status = compiled_read(out, artifact.data, artifact.size, error);
    if (status == STATUS_OK)
        (*out)->artifact = artifact;
    else
        artifact_close(&artifact);
    return status;
}

static Status write_compiled(const Tokenizer *tokenizer, const char *path, const ArtifactKey *key,
                             Error *error) {
    ArtifactDraft *draft;
    size_t size = compiled_size(tokenizer);
    if (size == 0)
        return error_set(error, STATUS_LIMIT, "too large");
    TRY(artifact_begin(&draft, path, key, size, error));
    compiled_write(artifact_draft_data(draft), size, tokenizer);
    return artifact_publish(NULL, draft, error);
}

Status tokenizer_open(Tokenizer **out, const char *folder, const char *compiled, const Log *log,
                      Error *error) {
    *out = NULL;
    SourceList sources = {.count = 0};
    Error reason;
    bool is_kept = compiled && list_sources(&sources, folder);
    ArtifactKey key = key_of(&sources);
    Status status = STATUS_NOT_FOUND;
    if (is_kept)
        status = open_compiled(out, compiled, &key, &reason);
    bool is_mapped = status == STATUS_OK;
    if (!is_mapped)
        status = tokenizer_load(out, folder, error);
    if (status == STATUS_OK)
        log_message(log, LOG_DEBUG, "tokenizer of '%s': %zu tokens%s", folder,
                    tokenizer_vocab_size(*out), is_mapped ? ", mapped" : "");
    if (status == STATUS_OK && is_kept && !is_mapped) {
        log_message(log, LOG_DEBUG, "compiled tokenizer: %s", reason.message);
        if (write_compiled(*out, compiled, &key, &reason) != STATUS_OK)
            log_message(log, LOG_DEBUG, "compiled tokenizer is not kept: %s", reason.message);
    }
    free_sources(&sources);
    return status;
}
