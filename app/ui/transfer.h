// Files on their way: a bar for each of the few that move, and one for the whole. Below a terminal
// without escape codes it is the last line alone, redrawn in place; where stderr is no terminal
// nothing is drawn.
#ifndef GPUX_UI_TRANSFER_H
#define GPUX_UI_TRANSFER_H

#include "app/ui/terminal.h"

#include <stdint.h>

enum { TRANSFER_MAX_FILES = 5, TRANSFER_NAME_SIZE = 256 };

// What one line of bars shows.
typedef struct TransferLine {
    const char *label; // a file, or "3/9 files"
    uint64_t bytes, total;
    double rate; // bytes per second; 0 = not known
} TransferLine;

typedef struct TransferFile {
    char name[TRANSFER_NAME_SIZE]; // made harmless
    uint64_t shown, total;         // bytes of the bar
    uint64_t bytes, seen_ns;       // at the last measurement of the rate
    double rate;
} TransferFile;

typedef struct Transfer {
    TransferFile files[TRANSFER_MAX_FILES];
    size_t file_count;
    size_t files_done, files_total;
    uint64_t bytes, total;
    double rate;
    bool is_on; // draws at all
    bool is_drawn;
    int drawn_lines; // above the last one
    int drawn_width; // of the single line
    uint64_t drawn_ns;
} Transfer;

// The line without its end: at most terminal->width - 1 columns, the label in `label_width` of
// them. What does not fit is left out: the bar first, then the rate, then the sizes.
void transfer_format(Buf *out, const Terminal *terminal, const TransferLine *line, int label_width);
// `name` in at most `width` columns, its middle left out where it is longer.
void transfer_shorten(Buf *out, const Terminal *terminal, const char *name, int width);

// Notes that `name` has moved. Of more files than have a line, the first ones have one.
void transfer_move(Transfer *transfer, const char *name, uint64_t bytes, uint64_t total);
// Takes away the line of a file that is complete.
void transfer_drop(Transfer *transfer, const char *name);
// Draws on stderr, not more than ten times a second.
void transfer_draw(Transfer *transfer);
// Takes everything away, for a message or at the end.
void transfer_clear(Transfer *transfer);

#endif
