// Lines of a file of any size, one at a time and in bounded memory.
#ifndef GPUX_CLI_LINES_H
#define GPUX_CLI_LINES_H

#include "base/str.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { LINE_MAX_BYTES = 64 << 20 };

typedef struct LineReader {
    int fd;
    uint64_t size;   // of a regular file; 0 when unknown
    uint64_t offset; // bytes of the lines handed out so far, blank ones included
    size_t number;   // of the line handed out last; the first is 1
    size_t max_line; // longer lines are handed out without their text
    Buf buf;
    size_t at; // first byte of buf that was not handed out
    bool is_at_end;
} LineReader;

typedef struct Line {
    StrView text; // trimmed; until the next call
    size_t number;
    bool is_too_long; // text is empty
} Line;

typedef enum LineResult {
    LINE_READ,
    LINE_END,
    LINE_FAILED, // errno says why
} LineResult;

// Opens a file, or stdin for "-". 0 or an errno.
int lines_open(LineReader *out, const char *path);
void lines_close(LineReader *reader);
// The next line that is not blank. The last one needs no newline.
LineResult lines_next(Line *out, LineReader *reader);

#endif
