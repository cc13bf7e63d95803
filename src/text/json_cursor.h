// A forward reader for the big lists in tokenizer files (vocabulary, merges), which would be slow
// as trees. It reads text that json_scan has accepted, so it checks only what keeps it inside the
// text.
#ifndef GPUX_TEXT_JSON_CURSOR_H
#define GPUX_TEXT_JSON_CURSOR_H

#include "base/str.h"

#include <stdbool.h>
#include <stdint.h>

typedef struct JsonCursor {
    StrView text;
    size_t pos;
} JsonCursor;

// The byte that starts the next value or ends the list, skipping white space, commas and colons; 0
// at the end.
char json_cursor_peek(JsonCursor *cursor);
// Takes the byte when it is next.
bool json_cursor_take(JsonCursor *cursor, char byte);
// Reads a string. The view points into the text, or into `scratch` (cleared first) when there were
// escapes. False when the next value is none.
bool json_cursor_string(JsonCursor *cursor, StrView *out, Buf *scratch);
bool json_cursor_number(JsonCursor *cursor, double *out);
// Digits only, at most `max`.
bool json_cursor_u32(JsonCursor *cursor, uint32_t *out, uint32_t max);
// Undoes the escapes of the text between two quotes. Lone surrogates become U+FFFD.
void json_cursor_unescape(Buf *out, StrView raw);

#endif
