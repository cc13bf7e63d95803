// Digests by libcrypto, whose only address this is.
//
// A digest that failed once stays failed: callers in the middle of a stream need not look.
#include "base/hash.h"

#include "base/memory.h"

#include <errno.h>
#include <openssl/evp.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

enum { READ_STEP = 256 << 10 };

struct Hash {
    EVP_MD_CTX *context;
    bool has_failed;
};

Status hash_new(Hash **out, HashKind kind, uint64_t size, Error *error) {
    *out = NULL;
    Hash *hash = mem_alloc_zero(1, sizeof *hash);
    if (!hash)
        return error_out_of_memory(error, sizeof *hash);
    hash->context = EVP_MD_CTX_new();
    const EVP_MD *digest = kind == HASH_SHA256 ? EVP_sha256() : EVP_sha1();
    if (!hash->context || EVP_DigestInit_ex(hash->context, digest, NULL) != 1) {
        hash_free(hash);
        return error_set(error, STATUS_INTERNAL, "libcrypto cannot start a digest");
    }
    if (kind == HASH_GIT_BLOB) {
        char head[40];
        int len = snprintf(head, sizeof head, "blob %llu", (unsigned long long)size);
        hash_update(hash, head, (size_t)len + 1);
    }
    *out = hash;
    return STATUS_OK;
}

void hash_free(Hash *hash) {
    if (!hash)
        return;
    EVP_MD_CTX_free(hash->context);
    mem_free(hash);
}

void hash_update(Hash *hash, const void *bytes, size_t len) {
    if (EVP_DigestUpdate(hash->context, bytes, len) != 1)
        hash->has_failed = true;
}

Status hash_finish(char out[HASH_TEXT_SIZE], Hash *hash, Error *error) {
    unsigned char digest[EVP_MAX_MD_SIZE];
    unsigned len = 0;
    out[0] = '\0';
    if (hash->has_failed || EVP_DigestFinal_ex(hash->context, digest, &len) != 1)
        return error_set(error, STATUS_INTERNAL, "libcrypto cannot finish a digest");
    static const char HEX[] = "0123456789abcdef";
    for (unsigned i = 0; i < len && i < HASH_TEXT_SIZE / 2; i++) {
        out[2 * i] = HEX[digest[i] >> 4];
        out[2 * i + 1] = HEX[digest[i] & 15];
        out[2 * i + 2] = '\0';
    }
    return STATUS_OK;
}

Status hash_update_fd(Hash *hash, int fd, uint64_t offset, uint64_t size, Error *error) {
    unsigned char *buffer = mem_alloc(READ_STEP);
    if (!buffer)
        return error_out_of_memory(error, READ_STEP);
    Status status = STATUS_OK;
    for (uint64_t done = 0; done < size && status == STATUS_OK;) {
        uint64_t left = size - done;
        ssize_t got =
            pread(fd, buffer, left < READ_STEP ? (size_t)left : READ_STEP, (off_t)(offset + done));
        if (got < 0 && errno == EINTR)
            continue;
        if (got < 0)
            status = error_errno(error, errno, "cannot read", NULL);
        else if (got == 0)
            status = error_set(error, STATUS_CORRUPT, "the file is shorter than %llu bytes",
                               (unsigned long long)(offset + size));
        else
            hash_update(hash, buffer, (size_t)got);
        done += got > 0 ? (uint64_t)got : 0;
    }
    mem_free(buffer);
    return status;
}

Status hash_fd(char out[HASH_TEXT_SIZE], HashKind kind, uint64_t size, int fd, Error *error) {
    Hash *hash;
    TRY(hash_new(&hash, kind, size, error));
    Status status = hash_update_fd(hash, fd, 0, size, error);
    if (status == STATUS_OK)
        status = hash_finish(out, hash, error);
    hash_free(hash);
    return status;
}
