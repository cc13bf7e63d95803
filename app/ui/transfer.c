// Layout of the lines, and drawing them over the ones before.
#include "app/ui/transfer.h"

#include "app/ui/progress.h"
#include "base/clock.h"

#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

enum {
    GAP = 2,
    MIN_BAR = 8,
    MAX_BAR = 30,
    MIN_LABEL = 12,
    TEXT_MAX = 4096,
    DRAW_MAX = 64 * 1024,
    FIGURES_SIZE = 160,
    // Lines of the screen that stay free of bars.
    FREE_LINES = 3,
};

static const uint64_t REDRAW_NS = 100 * 1000 * 1000;

// ---- One line ----

// Bytes of `text` that take at most `width` columns, from its start or from its end.
static StrView fitting(StrView text, int width, bool from_end) {
    int total = text_width(text);
    size_t pos = 0;
    for (int used = 0; pos < text.len;) {
        size_t next = pos;
        int columns = text_code_point_width(utf8_next(text, &next));
        if (from_end ? total - used <= width : used + columns > width)
            break;
        used += columns;
        pos = next;
    }
    return from_end ? sv_n(text.ptr + pos, text.len - pos) : sv_n(text.ptr, pos);
}

void transfer_shorten(Buf *out, const Terminal *terminal, const char *name, int width) {
    StrView text = sv(name);
    if (text_width(text) <= width) {
        buf_append_sv(out, text);
        return;
    }
    const char *dots = terminal->has_glyphs ? "…" : "...";
    int room = width - text_width(sv(dots));
    // Both ends tell shards apart: "model-00001-…safetensors".
    int tail = (room + 1) / 2;
    buf_append_sv(out, fitting(text, room - tail, false));
    buf_append_cstr(out, dots);
    buf_append_sv(out, fitting(text, tail, true));
}

static void append_blanks(Buf *out, int count) {
    for (int i = 0; i < count; i++)
        buf_append_byte(out, ' ');
}

// "45.2/90.9 MB": both in the unit of the second.
static void format_sizes(char out[48], const TransferLine *line) {
    static const char *const UNITS[] = {"B", "KB", "MB", "GB", "TB"};
    size_t unit = 0;
    double whole = (double)line->total;
    double part = (double)line->bytes;
    for (; whole >= 1023.95 && unit + 1 < sizeof UNITS / sizeof UNITS[0]; unit++) {
        whole /= 1024;
        part /= 1024;
    }
    snprintf(out, 48, unit == 0 ? "%.0f/%.0f %s" : "%.1f/%.1f %s", part, whole, UNITS[unit]);
}

// How much a line says.
enum { ONLY_SHARE, WITH_TIME, WITH_SIZES, WITH_RATE };

// Columns of the figures, so that those of several lines stand under each other.
static const int COLUMNS_OF[] = {
    [ONLY_SHARE] = 5, [WITH_TIME] = 16, [WITH_SIZES] = 26, [WITH_RATE] = 38};

static bool has_bar(int detail) {
    return detail >= WITH_SIZES;
}

static void format_figures(char out[FIGURES_SIZE], const TransferLine *line, int detail) {
    char sizes[48];
    char rate[48] = "";
    char left[48] = "";
    double share = line->total > 0 ? (double)line->bytes / (double)line->total : 0;
    format_sizes(sizes, line);
    if (line->rate >= 1) {
        char text[32];
        format_bytes(text, line->rate);
        snprintf(rate, sizeof rate, "%s/s", text);
        uint64_t rest = line->total > line->bytes ? line->total - line->bytes : 0;
        format_seconds(text, (double)rest / line->rate);
        snprintf(left, sizeof left, "ETA %s", text);
    }
    int length = 0;
    if (detail >= WITH_SIZES)
        length = snprintf(out, FIGURES_SIZE, "%15s", sizes);
    else
        length = snprintf(out, FIGURES_SIZE, "%3d %%", (int)((share > 1 ? 1 : share) * 100));
    if (detail >= WITH_RATE)
        length += snprintf(out + length, FIGURES_SIZE - (size_t)length, "  %10s", rate);
    if (detail >= WITH_TIME)
        length += snprintf(out + length, FIGURES_SIZE - (size_t)length, "  %s", left);
    while (length > 0 && out[length - 1] == ' ')
        out[--length] = '\0';
}

void transfer_format(Buf *out, const Terminal *terminal, const TransferLine *line,
                     int label_width) {
    char figures[FIGURES_SIZE];
    int limit = terminal->width - 1;
    int room = limit - label_width - GAP;
    int detail = WITH_RATE;
    while (detail > ONLY_SHARE && COLUMNS_OF[detail] + (has_bar(detail) ? MIN_BAR + GAP : 0) > room)
        detail--;
    format_figures(figures, line, detail);
    int columns = (int)strlen(figures);
    if (columns > room) {
        transfer_shorten(out, terminal, line->label, limit);
        return;
    }
    Buf label = BUF_INIT(TEXT_MAX);
    transfer_shorten(&label, terminal, line->label, label_width);
    int used = text_width(sv_n(label.ptr, label.len));
    buf_append(out, label.ptr, label.len);
    buf_free(&label);
    append_blanks(out, label_width - used + GAP);
    columns = columns > COLUMNS_OF[detail] ? columns : COLUMNS_OF[detail];
    int bar = room - columns - GAP;
    if (has_bar(detail) && bar >= MIN_BAR) {
        double share = line->total > 0 ? (double)line->bytes / (double)line->total : 0;
        progress_append_bar(out, terminal, share > 1 ? 1 : share, bar < MAX_BAR ? bar : MAX_BAR);
    }
    buf_append_cstr(out, figures);
}

// ---- What moves ----

static TransferFile *find(Transfer *transfer, const char *safe_name) {
    for (size_t i = 0; i < transfer->file_count; i++)
        if (strcmp(transfer->files[i].name, safe_name) == 0)
            return &transfer->files[i];
    return NULL;
}

// A longer name loses its end; then two files may share a line, which does no harm.
static void safe_name(char out[TRANSFER_NAME_SIZE], const char *name) {
    Buf safe = BUF_INIT(TEXT_MAX);
    text_append_safe(&safe, sv(name), false);
    size_t len = safe.len < TRANSFER_NAME_SIZE ? safe.len : TRANSFER_NAME_SIZE - 1;
    if (len > 0)
        memcpy(out, safe.ptr, len);
    out[len] = '\0';
    buf_free(&safe);
}

void transfer_move(Transfer *transfer, const char *name, uint64_t bytes, uint64_t total) {
    char safe[TRANSFER_NAME_SIZE];
    safe_name(safe, name);
    TransferFile *file = find(transfer, safe);
    uint64_t now = clock_now_ns();
    if (file == NULL) {
        if (transfer->file_count == TRANSFER_MAX_FILES)
            return;
        file = &transfer->files[transfer->file_count++];
        *file = (TransferFile){.bytes = bytes, .seen_ns = now};
        memcpy(file->name, safe, sizeof safe);
    }
    double seconds = (double)(now - file->seen_ns) / 1e9;
    if (seconds >= 0.5) {
        double rate = bytes > file->bytes ? (double)(bytes - file->bytes) / seconds : 0;
        file->rate = file->rate > 0 ? 0.6 * file->rate + 0.4 * rate : rate;
        file->seen_ns = now;
        file->bytes = bytes;
    }
    // Between two measurements only the length of the bar moves.
    file->shown = bytes;
    file->total = total;
}

void transfer_drop(Transfer *transfer, const char *name) {
    char safe[TRANSFER_NAME_SIZE];
    safe_name(safe, name);
    TransferFile *file = find(transfer, safe);
    if (file == NULL)
        return;
    size_t index = (size_t)(file - transfer->files);
    transfer->file_count--;
    memmove(file, file + 1, (transfer->file_count - index) * sizeof *file);
}

// ---- Drawing ----

static int screen_lines(void) {
    struct winsize size = {0};
    return ioctl(STDERR_FILENO, TIOCGWINSZ, &size) == 0 && size.ws_row > 0 ? size.ws_row : 24;
}

static int label_width(const Transfer *transfer, const Terminal *terminal, const char *whole) {
    int widest = text_width(sv(whole));
    for (size_t i = 0; i < transfer->file_count; i++) {
        int width = text_width(sv(transfer->files[i].name));
        widest = width > widest ? width : widest;
    }
    // A narrow line has no bar: more of it is for the names.
    int limit = terminal->width < 60 ? terminal->width / 2 - 4 : terminal->width / 3;
    limit = limit < MIN_LABEL ? MIN_LABEL : limit;
    return widest < limit ? widest : limit;
}

static void append_files(Buf *out, Transfer *transfer, const Terminal *terminal, int label) {
    int room = screen_lines() - FREE_LINES;
    for (size_t i = 0; i < transfer->file_count && (int)i < room; i++) {
        const TransferFile *file = &transfer->files[i];
        TransferLine line = {file->name, file->shown, file->total, file->rate};
        transfer_format(out, terminal, &line, label);
        buf_append_byte(out, '\n');
        transfer->drawn_lines++;
    }
}

// Up to the first line drawn, and everything below it gone.
static void append_erase(Buf *out, Transfer *transfer) {
    if (transfer->drawn_lines > 0)
        buf_printf(out, "\033[%dA", transfer->drawn_lines);
    buf_append_cstr(out, "\r\033[J");
    transfer->drawn_lines = 0;
}

static void write_out(Buf *out) {
    if (out->failed == STATUS_OK)
        fwrite(out->ptr, 1, out->len, stderr);
    buf_free(out);
}

void transfer_draw(Transfer *transfer) {
    uint64_t now = clock_now_ns();
    if (!transfer->is_on || transfer->total == 0 || now - transfer->drawn_ns < REDRAW_NS)
        return;
    transfer->drawn_ns = now;
    // Looked at each time: the user may have changed the window.
    Terminal terminal = terminal_detect(STDERR_FILENO);
    char whole[64];
    snprintf(whole, sizeof whole, "%zu/%zu files", transfer->files_done, transfer->files_total);
    TransferLine line = {whole, transfer->bytes, transfer->total, transfer->rate};
    Buf out = BUF_INIT(DRAW_MAX);
    if (terminal.has_colour) {
        append_erase(&out, transfer);
        int label = label_width(transfer, &terminal, whole);
        append_files(&out, transfer, &terminal, label);
        transfer_format(&out, &terminal, &line, label);
    } else {
        size_t before = out.len;
        buf_append_byte(&out, '\r');
        transfer_format(&out, &terminal, &line, text_width(sv(whole)));
        int width = text_width(sv_n(out.ptr, out.len - before)) - 1;
        append_blanks(&out, transfer->drawn_width - width);
        transfer->drawn_width = width;
    }
    transfer->is_drawn = true;
    write_out(&out);
}

void transfer_clear(Transfer *transfer) {
    if (!transfer->is_drawn)
        return;
    Buf out = BUF_INIT(DRAW_MAX);
    if (transfer->drawn_width > 0) {
        buf_append_byte(&out, '\r');
        append_blanks(&out, transfer->drawn_width);
        buf_append_byte(&out, '\r');
    } else {
        append_erase(&out, transfer);
    }
    transfer->drawn_width = 0;
    transfer->drawn_ns = 0;
    transfer->is_drawn = false;
    write_out(&out);
}
