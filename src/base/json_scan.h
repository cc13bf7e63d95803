// What json.c and json_scan.c share. Not for other rooms.
#ifndef GPUX_BASE_JSON_SCAN_H
#define GPUX_BASE_JSON_SCAN_H

#include "base/json.h"

// Checks the whole text as json_scan does.
Status json_check(StrView text, Error *error);

// Walks over text that json_check accepted, token by token; ',' and ':' are skipped.
typedef enum JsonToken {
    TOKEN_BEGIN_OBJECT,
    TOKEN_END_OBJECT,
    TOKEN_BEGIN_ARRAY,
    TOKEN_END_ARRAY,
    TOKEN_STRING, // a value or a member name; *raw is what stands between the quotes
    TOKEN_NUMBER, // *raw is the number
    TOKEN_TRUE,
    TOKEN_FALSE,
    TOKEN_NULL,
} JsonToken;

typedef struct JsonCursor {
    StrView text;
    size_t pos; // behind the last token
} JsonCursor;

JsonToken json_cursor_next(JsonCursor *cursor, StrView *raw);
// Appends a checked string without its escapes.
void json_unescape(Buf *out, StrView raw);

// Sets "<what>: line L column C" for the byte at `offset`.
Status json_error_at(Error *error, Status code, StrView text, size_t offset, const char *what);

#endif
