// SHA-256 and the object id that git gives to a file, as a stream or over a whole file.
#ifndef GPUX_BASE_HASH_H
#define GPUX_BASE_HASH_H

#include "base/status.h"

#include <stddef.h>
#include <stdint.h>

typedef enum HashKind {
    HASH_SHA256,   // 64 hex digits
    HASH_GIT_BLOB, // 40 hex digits: sha1("blob " + decimal length + NUL + content)
} HashKind;

enum { HASH_TEXT_SIZE = 65 }; // the longest digest in lower-case hex with its NUL

typedef struct Hash Hash;

// Starts a digest. `size` is the length of the whole content in bytes, which HASH_GIT_BLOB needs
// ahead; HASH_SHA256 ignores it. Owned by the caller: hash_free.
Status hash_new(Hash **out, HashKind kind, uint64_t size, Error *error);
void hash_free(Hash *hash); // NULL is allowed
// Failures are remembered and reported by hash_finish.
void hash_update(Hash *hash, const void *bytes, size_t len);
// The digest in lower-case hex. The Hash can only be freed afterwards.
Status hash_finish(char out[HASH_TEXT_SIZE], Hash *hash, Error *error);

// The digest of the first `size` bytes of an open file, whose position stays. STATUS_CORRUPT when
// it is shorter.
Status hash_fd(char out[HASH_TEXT_SIZE], HashKind kind, uint64_t size, int fd, Error *error);
// Reads `size` bytes at `offset` of an open file into `hash`; the file's position stays.
// STATUS_CORRUPT when the file is shorter.
Status hash_update_fd(Hash *hash, int fd, uint64_t offset, uint64_t size, Error *error);

#endif
