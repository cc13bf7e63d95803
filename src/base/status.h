// Status codes and the caller-owned Error that carries one message.
//
// Functions that can fail return a Status and take an `Error *` last, which may be NULL. Programmer
// errors are asserts; anything that a file, a peer or a caller of gpux.h can cause is a Status.
#ifndef GPUX_BASE_STATUS_H
#define GPUX_BASE_STATUS_H

#include <stdarg.h>
#include <stddef.h>

// name, fixed value, text. The values equal those of gpux_status in gpux.h; append only.
#define STATUS_TABLE(X)                                                                            \
    X(OK, 0, "success")                                                                            \
    X(INVALID, 1, "invalid input")   /* a caller's argument or request is wrong */                 \
    X(NOT_FOUND, 2, "not found")     /* a file, model, tensor or key is absent */                  \
    X(IO, 3, "input/output error")   /* the system refused to read or write */                     \
    X(CORRUPT, 4, "corrupt file")    /* a file contradicts its own format */                       \
    X(UNSUPPORTED, 5, "unsupported") /* well-formed, but not something gpux can do */              \
    X(OUT_OF_MEMORY, 6, "out of memory")                                                           \
    X(LIMIT, 7, "limit exceeded")   /* over a stated bound */                                      \
    X(NO_SPACE, 8, "no space left") /* disk full */                                                \
    X(CANCELLED, 9, "cancelled")                                                                   \
    X(TIMEOUT, 10, "timed out")                                                                    \
    X(CONVERSION, 11, "conversion failed") /* the checkpoint cannot become a graph */              \
    X(INTERNAL, 12, "internal error")

typedef enum Status {
#define X(name, value, text) STATUS_##name = value,
    STATUS_TABLE(X)
#undef X
} Status;

enum { ERROR_MESSAGE_SIZE = 1024 };

typedef struct Error {
    Status code;
    char message[ERROR_MESSAGE_SIZE]; // one line, no trailing newline, NUL-terminated, valid UTF-8
    size_t offset;                    // byte offset in the parsed input, or 0
} Error;

// The table's text for `status`, never NULL.
const char *status_text(Status status);

// Formats a message into `error` (ignored when NULL) and returns `code`, so that callers can write
// `return error_set(error, STATUS_CORRUPT, "...")`. Messages that do not fit are cut at the end.
__attribute__((format(printf, 3, 4))) Status error_set(Error *error, Status code,
                                                       const char *format, ...);

// Puts "prefix: " in front of the present message. Returns error->code, or `code` when NULL.
__attribute__((format(printf, 3, 4))) Status error_prefix(Error *error, Status code,
                                                          const char *format, ...);

// STATUS_OUT_OF_MEMORY with the size that was asked for.
Status error_out_of_memory(Error *error, size_t size);

// IO, NOT_FOUND or NO_SPACE from errno: "<what>: <strerror>: '<path>'"; long paths lose their
// middle.
Status error_errno(Error *error, int errno_value, const char *what, const char *path);

// `path` made fit for a message: valid UTF-8, and shortened in the middle with "…" when it is
// longer than ERROR_PATH_SIZE - 1 bytes. Returns `out`.
enum { ERROR_PATH_SIZE = 256 };
const char *error_path(char out[ERROR_PATH_SIZE], const char *path);

#define TRY(expression)                                                                            \
    do {                                                                                           \
        Status try_status_ = (expression);                                                         \
        if (try_status_ != STATUS_OK)                                                              \
            return try_status_;                                                                    \
    } while (0)

// For functions with resources: sets the local `status` and goes to the one `done:` label.
#define TRY_DONE(expression)                                                                       \
    do {                                                                                           \
        status = (expression);                                                                     \
        if (status != STATUS_OK)                                                                   \
            goto done;                                                                             \
    } while (0)

#endif
