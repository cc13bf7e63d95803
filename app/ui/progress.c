// Layout of the progress line, and when it is drawn.
#include "app/ui/progress.h"

#include "base/clock.h"

#include <stdio.h>

enum { MIN_BAR = 10, MAX_BAR = 40, LINE_MAX_BYTES = 4096 };

static const uint64_t REDRAW_NS = 100 * 1000 * 1000;

void format_seconds(char out[32], double seconds) {
    const double day = 86400;
    if (!(seconds >= 0) || seconds > 1000 * day) {
        snprintf(out, 32, "-");
        return;
    }
    long long whole = (long long)(seconds + 0.5);
    if (seconds >= 2 * day)
        snprintf(out, 32, "%lld days", whole / 86400);
    else if (whole >= 3600)
        snprintf(out, 32, "%lld:%02lld:%02lld", whole / 3600, whole / 60 % 60, whole % 60);
    else
        snprintf(out, 32, "%lld:%02lld", whole / 60, whole % 60);
}

void progress_append_bar(Buf *out, const Terminal *terminal, double share, int width) {
    const char *full = terminal->has_glyphs ? "━" : "#";
    const char *rest = terminal->has_glyphs ? "─" : "-";
    int filled = (int)(share * width + 0.5);
    buf_append_cstr(out, terminal_style(terminal, STYLE_CYAN));
    for (int i = 0; i < width; i++) {
        if (i == filled)
            buf_append_cstr(out, terminal_reset(terminal));
        buf_append_cstr(out, i < filled ? full : rest);
    }
    if (filled >= width)
        buf_append_cstr(out, terminal_reset(terminal));
    buf_append_cstr(out, "  ");
}

void progress_format(Buf *out, const Terminal *terminal, const ProgressState *state) {
    char count[32];
    char rate[64] = "";
    char left[32] = "";
    char percent[16] = "";
    char eta[48] = "";
    double share = state->share > 1 ? 1 : state->share;
    format_count(count, (int64_t)state->count);
    if (state->seconds > 0 && state->count > 0)
        snprintf(rate, sizeof rate, "  %.1f/s", (double)state->count / state->seconds);
    if (share >= 0)
        snprintf(percent, sizeof percent, "%3d %%  ", (int)(share * 100));
    if (share > state->first && state->seconds > 0) {
        format_seconds(left, (1 - share) / (share - state->first) * state->seconds);
        snprintf(eta, sizeof eta, "  ETA %s", left);
    }
    Buf text = BUF_INIT(LINE_MAX_BYTES);
    buf_printf(&text, "%s%s %s%s%s", percent, count, state->unit, rate, eta);
    int limit = terminal->width - 1;
    if ((int)text.len > limit) {
        buf_clear(&text);
        buf_printf(&text, "%s%s%s", percent, count, eta);
    }
    int room = limit - (int)text.len - 2;
    if (share >= 0 && room >= MIN_BAR)
        progress_append_bar(out, terminal, share, room < MAX_BAR ? room : MAX_BAR);
    if (text.failed == STATUS_OK)
        buf_append(out, text.ptr, text.len);
    buf_free(&text);
}

static void append_blanks(Buf *out, int count) {
    for (int i = 0; i < count; i++)
        buf_append_byte(out, ' ');
}

// Returns the columns of the line, escape codes not counted.
static int append_line(Buf *out, const Terminal *terminal, const ProgressState *state) {
    Terminal plain = *terminal;
    plain.has_colour = false;
    Buf text = BUF_INIT(LINE_MAX_BYTES);
    progress_format(&text, &plain, state);
    int width = text_width(sv_n(text.ptr, text.len));
    buf_free(&text);
    buf_append_byte(out, '\r');
    progress_format(out, terminal, state);
    return width;
}

Progress progress_begin(const Terminal *terminal, const char *unit, double share) {
    return (Progress){
        .terminal = terminal, .unit = unit, .first = share, .start_ns = clock_now_ns()};
}

void progress_update(Progress *progress, double share, uint64_t count) {
    uint64_t now = clock_now_ns();
    if (!progress->terminal->is_terminal || now - progress->drawn_ns < REDRAW_NS)
        return;
    progress->drawn_ns = now;
    progress->is_drawn = true;
    ProgressState state = {
        .share = share,
        .first = progress->first,
        .count = count,
        .seconds = (double)(now - progress->start_ns) / 1e9,
        .unit = progress->unit,
    };
    Buf line = BUF_INIT(LINE_MAX_BYTES);
    int width = append_line(&line, progress->terminal, &state);
    // Blanks over what stood there before; escape codes are not welcome everywhere.
    append_blanks(&line, progress->drawn_width - width);
    progress->drawn_width = width;
    if (line.failed == STATUS_OK)
        fwrite(line.ptr, 1, line.len, stderr);
    buf_free(&line);
}

void progress_clear(Progress *progress) {
    if (!progress->is_drawn)
        return;
    Buf line = BUF_INIT(LINE_MAX_BYTES);
    buf_append_byte(&line, '\r');
    append_blanks(&line, progress->drawn_width);
    buf_append_byte(&line, '\r');
    if (line.failed == STATUS_OK)
        fwrite(line.ptr, 1, line.len, stderr);
    buf_free(&line);
    progress->is_drawn = false;
    progress->drawn_width = 0;
}
