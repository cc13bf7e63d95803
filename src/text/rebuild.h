// Inside text/: what the writers of a rebuilt tokenizer.json share.
#ifndef GPUX_TEXT_REBUILD_H
#define GPUX_TEXT_REBUILD_H

#include "text/pipeline.h"

// Begins an object with its "type", as a member when `key` is not NULL.
void rebuild_begin(JsonWriter *writer, const char *key, const char *type);
void rebuild_flag(JsonWriter *writer, const char *key, bool is_true);
void rebuild_text(JsonWriter *writer, const char *key, const char *text);
// One piece of a template: "SpecialToken" or "Sequence" and its id.
void rebuild_template_piece(JsonWriter *writer, const char *kind, StrView id, int type_id);
// A file of the folder if it is there; leaves *out empty if not.
Status rebuild_read(Buf *out, const char *folder, const char *name, Error *error);
// Parses a text that may be empty; *root stays NULL then.
Status rebuild_parse(JsonDoc **doc, const JsonValue **root, StrView text, Error *error);

// The texts of the files around a SentencePiece model; all but the model may be empty.
typedef struct SentencePieceFiles {
    StrView model;
    StrView map, config, added; // special_tokens_map, tokenizer_config and added_tokens
    StrView model_config;       // config.json
} SentencePieceFiles;

// Appends the tokenizer.json that a SentencePiece model stands for. STATUS_UNSUPPORTED for a
// tokenizer class or a kind of model that is not implemented.
Status rebuild_from_sentencepiece(Buf *out, const SentencePieceFiles *files, Error *error);

// The same for whatever a folder without tokenizer.json has; STATUS_NOT_FOUND when it has nothing.
Status rebuild_from_folder(Buf *out, const char *folder, StrView map, StrView config, Error *error);

#endif
