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

#endif
