// Status texts and the formatting of error messages.
//
// Whatever goes into Error.message is one line of valid UTF-8: bytes that come from files or the
// file system pass through clean_copy, which is the only writer of that field.
#include "base/status.h"

#include "base/str.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

// Copies up to `len` bytes of text as valid UTF-8 without control characters; returns bytes
// written.
static size_t clean_copy(char *out, size_t size, const char *text, size_t len) {
    StrView view = sv_n(text, len);
    size_t pos = 0;
    size_t used = 0;
    while (pos < len) {
        uint32_t code_point = utf8_next(view, &pos);
        if (code_point < 0x20 || code_point == 0x7f)
            code_point = ' ';
        char bytes[4];
        size_t count = (size_t)utf8_encode(bytes, code_point);
        if (used + count >= size)
            break;
        memcpy(out + used, bytes, count);
        used += count;
    }
    out[used] = '\0';
    return used;
}

// Length without the character that a cut at `len` may have split.
static size_t whole_characters(const char *text, size_t len) {
    size_t start = len;
    for (int i = 0; i < 3 && start > 0; i++) {
        start--;
        if (((unsigned char)text[start] & 0xc0) != 0x80)
            break;
    }
    size_t bad;
    if (!utf8_is_valid(sv_n(text + start, len - start), &bad))
        return start;
    return len;
}

__attribute__((format(printf, 2, 0))) static size_t format_clean(char out[ERROR_MESSAGE_SIZE],
                                                                 const char *format, va_list args) {
    char raw[ERROR_MESSAGE_SIZE];
    int wanted = vsnprintf(raw, sizeof raw, format, args);
    if (wanted < 0)
        raw[0] = '\0';
    size_t len = strlen(raw);
    if (wanted >= (int)sizeof raw)
        len = whole_characters(raw, len);
    return clean_copy(out, ERROR_MESSAGE_SIZE, raw, len);
}

const char *status_text(Status status) {
    switch (status) {
#define X(name, value, text)                                                                       \
    case STATUS_##name:                                                                            \
        return text;
        STATUS_TABLE(X)
#undef X
    }
    return "unknown status";
}

Status error_set(Error *error, Status code, const char *format, ...) {
    if (!error)
        return code;
    va_list args;
    va_start(args, format);
    format_clean(error->message, format, args);
    va_end(args);
    error->code = code;
    error->offset = 0;
    return code;
}

Status error_prefix(Error *error, Status code, const char *format, ...) {
    if (!error)
        return code;
    char message[ERROR_MESSAGE_SIZE];
    va_list args;
    va_start(args, format);
    size_t len = format_clean(message, format, args);
    va_end(args);
    const char *parts[2] = {": ", error->message};
    for (int i = 0; i < 2; i++)
        len += clean_copy(message + len, sizeof message - len, parts[i], strlen(parts[i]));
    memcpy(error->message, message, len + 1);
    return error->code;
}

Status error_out_of_memory(Error *error, size_t size) {
    return error_set(error, STATUS_OUT_OF_MEMORY, "out of memory: %zu bytes were asked for", size);
}

const char *error_path(char out[ERROR_PATH_SIZE], const char *path) {
    size_t len = strlen(path);
    if (len < ERROR_PATH_SIZE && utf8_is_valid(sv_n(path, len), NULL)) {
        clean_copy(out, ERROR_PATH_SIZE, path, len);
        return out;
    }
    // The end names the file, so it gets the larger share.
    enum { HEAD = 80, TAIL = 160 };
    if (len < HEAD + TAIL) {
        clean_copy(out, ERROR_PATH_SIZE, path, len);
        return out;
    }
    size_t head = whole_characters(path, HEAD);
    size_t tail = len - TAIL;
    while (tail < len && ((unsigned char)path[tail] & 0xc0) == 0x80)
        tail++;
    size_t used = clean_copy(out, HEAD + 1, path, head);
    used += clean_copy(out + used, ERROR_PATH_SIZE - used, "…", strlen("…"));
    clean_copy(out + used, ERROR_PATH_SIZE - used, path + tail, len - tail);
    return out;
}

Status error_errno(Error *error, int errno_value, const char *what, const char *path) {
    Status code = STATUS_IO;
    if (errno_value == ENOENT || errno_value == ENOTDIR)
        code = STATUS_NOT_FOUND;
    else if (errno_value == ENOSPC || errno_value == EDQUOT)
        code = STATUS_NO_SPACE;
    else if (errno_value == ENOMEM)
        code = STATUS_OUT_OF_MEMORY;
    if (!error)
        return code;
    char text[128];
    // The GNU variant: returns a string that is either `text` or constant.
    const char *reason = strerror_r(errno_value, text, sizeof text);
    if (!path)
        return error_set(error, code, "%s: %s", what, reason);
    char shown[ERROR_PATH_SIZE];
    return error_set(error, code, "%s: %s: '%s'", what, reason, error_path(shown, path));
}
