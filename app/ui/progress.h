// A line on a terminal that says how far the work is: a bar, a count, the rate, the time left.
// Nothing is drawn where stderr is no terminal.
#ifndef GPUX_UI_PROGRESS_H
#define GPUX_UI_PROGRESS_H

#include "app/ui/terminal.h"

#include <stdint.h>

typedef struct Progress {
    const Terminal *terminal; // borrowed
    const char *unit;         // "lines"
    double first;             // share that was done before this work began
    uint64_t start_ns;
    uint64_t drawn_ns;
    bool is_drawn;
    int drawn_width; // columns
} Progress;

typedef struct ProgressState {
    double share; // done, 0 to 1; negative when the whole is not known
    double first; // share at the beginning of the work
    uint64_t count;
    double seconds; // since then
    const char *unit;
} ProgressState;

// The line alone, without its end: at most terminal->width - 1 columns. What does not fit is left
// out, the bar first, then the rate.
void progress_format(Buf *out, const Terminal *terminal, const ProgressState *state);

// A bar of `width` columns, filled to `share`, and two blanks.
void progress_append_bar(Buf *out, const Terminal *terminal, double share, int width);

// `share` as in ProgressState.
Progress progress_begin(const Terminal *terminal, const char *unit, double share);
// Draws on stderr, not more than ten times a second.
void progress_update(Progress *progress, double share, uint64_t count);
// Takes the line away, for a message or at the end.
void progress_clear(Progress *progress);

// "0:07", "12:34", "3:25:45", "12 days".
void format_seconds(char out[32], double seconds);

#endif
