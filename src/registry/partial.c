// One file of a pull on this machine's disk: its partial file, its digest, and copies of it that
// are already here.
#include "registry/fetch.h"

#include "base/file.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

enum { DIGEST_STEP = 32 << 20 };
// Left free for the converted graph and the small files beside it.
static const uint64_t SPARE_SPACE = 16 << 20;
static const int64_t PLAIN_HTTP_MAX = INT64_C(50000000000);

// ---- The partial file ----

void partial_close(FetchFile *file) {
    if (file->fd >= 0)
        close(file->fd);
    file->fd = -1;
    hash_free(file->hash);
    file->hash = NULL;
}

// Brings `hash` over the first `size` bytes of fd, in pieces so that a large file can be cancelled.
static Status read_digest(FetchFile *file, Hash *hash, int fd, uint64_t size) {
    Fetch *fetch = file->fetch;
    for (uint64_t at = 0; at < size; at += DIGEST_STEP) {
        uint64_t step = size - at < DIGEST_STEP ? size - at : DIGEST_STEP;
        TRY(call_failed(fetch->call, REGISTRY_FAULT_LOCAL,
                        hash_update_fd(hash, fd, at, step, fetch->call->error)));
        fetch_tell_bytes(fetch);
        if (fetch->is_cancelled)
            return call_cancelled(fetch->call);
    }
    return STATUS_OK;
}

Status partial_start_over(FetchFile *file) {
    Call *call = file->fetch->call;
    file->have = 0;
    hash_free(file->hash);
    file->hash = NULL;
    if (ftruncate(file->fd, 0) != 0)
        return cache_errno(call, errno, "cannot truncate", file->partial);
    return call_failed(call, REGISTRY_FAULT_LOCAL,
                       hash_new(&file->hash, fetch_hash_kind(file->remote),
                                fetch_size(file->remote), call->error));
}

// Opens what an earlier attempt left and brings the digest up to it.
Status partial_open(FetchFile *file) {
    Call *call = file->fetch->call;
    if (file->fd >= 0)
        return STATUS_OK;
    file->fd = tree_open_file(file->fetch->stage->fd, file->partial, O_RDWR | O_CREAT);
    if (file->fd < 0)
        return cache_errno(call, errno, "cannot write", file->partial);
    struct stat st;
    if (fstat(file->fd, &st) != 0)
        return cache_errno(call, errno, "cannot inspect", file->partial);
    uint64_t have = st.st_size > 0 ? (uint64_t)st.st_size : 0;
    if (have > fetch_size(file->remote))
        return partial_start_over(file);
    if (file->hash && have == file->have)
        return STATUS_OK;
    hash_free(file->hash);
    file->hash = NULL;
    TRY(call_failed(call, REGISTRY_FAULT_LOCAL,
                    hash_new(&file->hash, fetch_hash_kind(file->remote), fetch_size(file->remote),
                             call->error)));
    TRY(read_digest(file, file->hash, file->fd, have));
    file->have = have;
    file->best = have > file->best ? have : file->best;
    return STATUS_OK;
}

bool partial_write(FetchFile *file, const char *bytes, size_t len) {
    while (len > 0) {
        ssize_t wrote = pwrite(file->fd, bytes, len, (off_t)file->have);
        if (wrote < 0 && errno == EINTR)
            continue;
        if (wrote <= 0) {
            file->errno_value = wrote < 0 ? errno : EIO;
            file->stop = STOP_DISK;
            return false;
        }
        hash_update(file->hash, bytes, (size_t)wrote);
        bytes += wrote;
        len -= (size_t)wrote;
        file->have += (uint64_t)wrote;
        *file->fetch->downloaded += (uint64_t)wrote;
    }
    return true;
}

Status partial_name(FetchFile *file) {
    mem_free(file->partial);
    size_t size = strlen(file->remote->path) + HASH_TEXT_SIZE + 16;
    file->partial = mem_alloc(size);
    if (!file->partial)
        return call_out_of_memory(file->fetch->call);
    snprintf(file->partial, size, "%s.%s.incomplete", file->remote->path, file->remote->hash);
    return STATUS_OK;
}

// ---- Copies on this machine ----

// Whether the stage's file of that path has the right content.
static Status check_file(bool *is_right, FetchFile *file) {
    Call *call = file->fetch->call;
    const HubFile *remote = file->remote;
    *is_right = false;
    int fd = tree_open_file(file->fetch->stage->fd, remote->path, O_RDONLY);
    if (fd < 0)
        return STATUS_OK;
    struct stat st;
    char digest[HASH_TEXT_SIZE] = "";
    Hash *hash = NULL;
    Status status = STATUS_OK;
    if (fstat(fd, &st) == 0 && (int64_t)st.st_size == remote->size) {
        status =
            call_failed(call, REGISTRY_FAULT_LOCAL,
                        hash_new(&hash, fetch_hash_kind(remote), fetch_size(remote), call->error));
        if (status == STATUS_OK)
            status = read_digest(file, hash, fd, fetch_size(remote));
        if (status == STATUS_OK)
            status =
                call_failed(call, REGISTRY_FAULT_LOCAL, hash_finish(digest, hash, call->error));
    }
    hash_free(hash);
    close(fd);
    *is_right = status == STATUS_OK && strcmp(digest, remote->hash) == 0;
    return status;
}

static void remove_file(const FetchFile *file, const char *path) {
    const char *name;
    int parent = tree_open_parent(file->fetch->stage->fd, path, &name, false);
    if (parent < 0)
        return;
    tree_remove(parent, name, NULL);
    close(parent);
}

static Status copy_from(bool *is_right, FetchFile *file, const char *folder) {
    const char *name;
    Call *call = file->fetch->call;
    char *src = path_join(folder, file->remote->path);
    char *dst = path_join(file->fetch->stage->path, file->remote->path);
    Status status = src && dst ? STATUS_OK : call_out_of_memory(call);
    FileStat stat;
    // The hub's cache keeps links to its blobs: following them is right here.
    if (status == STATUS_OK && file_stat(&stat, src) && stat.is_regular &&
        (int64_t)stat.size == file->remote->size) {
        int parent = tree_open_parent(file->fetch->stage->fd, file->remote->path, &name, true);
        status = parent < 0 ? cache_errno(call, errno, "cannot make folder", dst)
                            : call_failed(call, REGISTRY_FAULT_LOCAL,
                                          file_copy_or_reflink(dst, src, call->error));
        if (parent >= 0)
            close(parent);
        if (status == STATUS_OK)
            status = check_file(is_right, file);
        if (status == STATUS_OK && !*is_right)
            remove_file(file, file->remote->path);
    }
    mem_free(src);
    mem_free(dst);
    return status;
}

Status local_use_copy(FetchFile *file) {
    bool is_right = false;
    if (file->remote->is_verified)
        file->state = FETCH_DONE;
    if (file->remote->is_verified || !fetch_is_known(file->remote))
        return STATUS_OK;
    TRY(check_file(&is_right, file));
    for (size_t i = 0; i < 3 && file->fetch->options->seeds[i] && !is_right; i++)
        TRY(copy_from(&is_right, file, file->fetch->options->seeds[i]));
    if (!is_right) {
        // A wrong file, or a folder, of that name would be in the way.
        remove_file(file, file->remote->path);
        return STATUS_OK;
    }
    remove_file(file, file->partial);
    file->state = FETCH_DONE;
    file->remote->is_verified = true;
    fetch_tell(file->fetch, PULL_FILE_DONE, file, true);
    return STATUS_OK;
}

void partial_look(FetchFile *file) {
    int fd = fetch_is_known(file->remote)
                 ? tree_open_file(file->fetch->stage->fd, file->partial, O_RDONLY)
                 : -1;
    struct stat st;
    if (fd < 0)
        return;
    if (fstat(fd, &st) == 0 && st.st_size <= file->remote->size)
        file->have = (uint64_t)st.st_size;
    close(fd);
}

Status fetch_check_sizes(const Fetch *fetch) {
    for (size_t i = 0; i < fetch->count; i++)
        if (fetch->files[i].remote->size > PLAIN_HTTP_MAX)
            return call_fail(fetch->call, REGISTRY_FAULT_REGISTRY, STATUS_UNSUPPORTED,
                             "Registry error: %s is over 50 GB, which the hub does not serve by "
                             "plain HTTP",
                             fetch->files[i].remote->path);
    return STATUS_OK;
}

Status fetch_check_space(const Fetch *fetch) {
    struct statvfs space;
    uint64_t need = 0;
    for (size_t i = 0; i < fetch->count; i++) {
        const FetchFile *file = &fetch->files[i];
        if (file->state == FETCH_WAITING && fetch_size(file->remote) > file->have)
            need += fetch_size(file->remote) - file->have;
    }
    if (need == 0 || fstatvfs(fetch->stage->fd, &space) != 0)
        return STATUS_OK;
    uint64_t have = (uint64_t)space.f_bavail * space.f_frsize;
    need += SPARE_SPACE;
    return need > have ? cache_no_space(fetch->call, fetch->stage->path, need) : STATUS_OK;
}
