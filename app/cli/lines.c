// A buffer that holds the part of the file from the first line not handed out.
#include "app/cli/lines.h"

#include "app/cli/input.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

enum { READ_STEP = 1 << 20 };

int lines_open(LineReader *out, const char *path) {
    struct stat st;
    *out = (LineReader){.fd = STDIN_FILENO, .max_line = LINE_MAX_BYTES, .buf = BUF_INIT(SIZE_MAX)};
    if (strcmp(path, "-") != 0)
        out->fd = open(path, O_RDONLY | O_CLOEXEC);
    if (out->fd < 0)
        return errno;
    if (fstat(out->fd, &st) == 0 && S_ISREG(st.st_mode))
        out->size = (uint64_t)st.st_size;
    else if (S_ISDIR(st.st_mode)) {
        lines_close(out);
        return EISDIR;
    }
    return 0;
}

void lines_close(LineReader *reader) {
    if (reader->fd > STDIN_FILENO)
        close(reader->fd);
    buf_free(&reader->buf);
    reader->fd = -1;
}

static void drop_consumed(LineReader *reader) {
    Buf *buf = &reader->buf;
    if (reader->at == 0)
        return;
    memmove(buf->ptr, buf->ptr + reader->at, buf->len - reader->at);
    buf->len -= reader->at;
    reader->at = 0;
}

// Reads more behind what is there. False with errno.
static bool read_more(LineReader *reader) {
    drop_consumed(reader);
    char *room = buf_reserve(&reader->buf, READ_STEP);
    if (room == NULL) {
        errno = ENOMEM;
        return false;
    }
    ssize_t got;
    do
        got = read(reader->fd, room, READ_STEP);
    while (got < 0 && errno == EINTR);
    if (got < 0)
        return false;
    reader->buf.len += (size_t)got;
    reader->is_at_end = got == 0;
    return true;
}

// The bytes up to the next newline, or to the end of the file.
static LineResult take_line(StrView *out, LineReader *reader, bool *is_too_long) {
    size_t searched = 0;
    *is_too_long = false;
    for (;;) {
        const char *start = reader->buf.ptr != NULL ? reader->buf.ptr + reader->at : "";
        size_t have = reader->buf.len - reader->at;
        const char *end = memchr(start + searched, '\n', have - searched);
        if (end != NULL || reader->is_at_end) {
            size_t len = end != NULL ? (size_t)(end - start) : have;
            size_t step = end != NULL ? len + 1 : len;
            if (step == 0 && !*is_too_long)
                return LINE_END;
            *is_too_long = *is_too_long || len > reader->max_line;
            *out = *is_too_long ? SV("") : sv_n(start, len);
            reader->at += step;
            reader->offset += step;
            return LINE_READ;
        }
        searched = have;
        if (have > reader->max_line) {
            // Too much to keep: only its end is looked for.
            *is_too_long = true;
            reader->at += have;
            reader->offset += have;
            searched = 0;
        }
        if (!read_more(reader))
            return LINE_FAILED;
    }
}

LineResult lines_next(Line *out, LineReader *reader) {
    for (;;) {
        StrView text;
        bool is_too_long;
        LineResult result = take_line(&text, reader, &is_too_long);
        if (result != LINE_READ)
            return result;
        reader->number++;
        text = input_trim(text);
        if (text.len == 0 && !is_too_long)
            continue;
        *out = (Line){.text = text, .number = reader->number, .is_too_long = is_too_long};
        return LINE_READ;
    }
}
