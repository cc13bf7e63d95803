// Derived files: header, payload, footer; written to the side, synced, renamed.
//
// The side file has one name per artefact and is owned by whoever holds its lock, which dies with
// the process: a second writer goes on without, and what a killed one left is truncated and used
// again. Only the owner renames or removes it.
#include "base/artifact.h"

#include "base/checked.h"
#include "base/memory.h"
#include "base/str.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/file.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

enum { MAX_HEADER = 1 << 20, FOOTER_ALIGN = 64 };

static const char HEADER_MAGIC[8] = {'g', 'p', 'u', 'x', 'a', 'r', 't', '1'};
static const char SIDE_SUFFIX[] = ".new";
static const char FOOTER_MAGIC[8] = {'g', 'p', 'u', 'x', 'e', 'n', 'd', '1'};

typedef struct Header {
    char magic[8];
    char kind[ARTIFACT_MAX_KIND + 1];
    uint32_t version, header_size;
    uint64_t payload_size;
    uint32_t text_size, n_sources;
} Header; // then the text and the sources, zeros up to header_size

typedef struct SourceRecord {
    uint64_t size, inode;
    int64_t mtime_ns;
    uint64_t name_size;
} SourceRecord; // then the base name

typedef struct Footer {
    char magic[8];
    uint64_t payload_size;
} Footer;

_Static_assert(sizeof(Header) == 48 && sizeof(SourceRecord) == 32 && sizeof(Footer) == 16,
               "records have no padding");

struct ArtifactDraft {
    char *path, *side, *folder;
    int fd;
    bool made_folder;
    uint8_t *map;
    size_t header_size, size, total; // of the file: header, payload, footer
};

// ---- The form ----

static bool layout(size_t *footer, size_t *total, size_t header_size, size_t size) {
    return size_add(footer, header_size, size) && size_align(footer, *footer, FOOTER_ALIGN) &&
           size_add(total, *footer, sizeof(Footer));
}

static Status append_sources(Buf *out, const ArtifactKey *key, Error *error) {
    for (size_t i = 0; i < key->n_sources; i++) {
        char shown[ERROR_PATH_SIZE];
        FileStat stat;
        if (key->stats)
            stat = key->stats[i];
        else if (!file_stat(&stat, key->sources[i]) || !stat.is_regular)
            return error_set(error, STATUS_NOT_FOUND, "source is not a file: '%s'",
                             error_path(shown, key->sources[i]));
        StrView name = sv(path_basename(key->sources[i]));
        SourceRecord record = {.size = stat.size,
                               .inode = stat.inode,
                               .mtime_ns = stat.mtime_ns,
                               .name_size = name.len};
        buf_append(out, &record, sizeof record);
        buf_append_sv(out, name);
    }
    return STATUS_OK;
}

// The header that a fresh file of this payload size begins with. `out` is freed by the caller.
static Status make_header(Buf *out, const ArtifactKey *key, size_t size, Error *error) {
    StrView text = sv(key->text ? key->text : "");
    Header header = {.version = key->version,
                     .payload_size = size,
                     .text_size = (uint32_t)text.len,
                     .n_sources = (uint32_t)key->n_sources};
    *out = BUF_INIT(MAX_HEADER);
    if (strlen(key->kind) > ARTIFACT_MAX_KIND || text.len > ARTIFACT_MAX_TEXT)
        return error_set(error, STATUS_LIMIT, "the key of an artefact is too long");
    memcpy(header.magic, HEADER_MAGIC, sizeof header.magic);
    memcpy(header.kind, key->kind, strlen(key->kind));
    buf_append(out, &header, sizeof header);
    buf_append_sv(out, text);
    TRY(append_sources(out, key, error));
    TRY(buf_status(out, error));
    size_t padding = (ARTIFACT_PAGE - out->len % ARTIFACT_PAGE) % ARTIFACT_PAGE;
    char *zeros = buf_reserve(out, padding);
    if (!zeros)
        return buf_status(out, error);
    memset(zeros, 0, padding);
    out->len += padding;
    header.header_size = (uint32_t)out->len;
    memcpy(out->ptr, &header, sizeof header);
    return STATUS_OK;
}

// ---- Reading ----

static bool read_at(int fd, void *bytes, size_t len, size_t offset) {
    for (size_t done = 0; done < len;) {
        ssize_t got = pread(fd, (char *)bytes + done, len - done, (off_t)(offset + done));
        if (got < 0 && errno == EINTR)
            continue;
        if (got <= 0)
            return false;
        done += (size_t)got;
    }
    return true;
}

// Compares with the header that is expected for the payload size that the file names.
static Status check_form(Artifact *out, size_t *header_size, int fd, uint64_t file_size,
                         const ArtifactKey *key, Error *error) {
    Header header;
    Footer footer;
    size_t footer_at, total;
    if (!read_at(fd, &header, sizeof header, 0) ||
        memcmp(header.magic, HEADER_MAGIC, sizeof header.magic) != 0)
        return error_set(error, STATUS_NOT_FOUND, "no header");
    Buf expected, found = BUF_INIT(MAX_HEADER);
    Status status = make_header(&expected, key, (size_t)header.payload_size, error);
    if (status != STATUS_OK)
        goto done;
    char *room = buf_reserve(&found, expected.len);
    if (!room)
        TRY_DONE(buf_status(&found, error));
    status = STATUS_NOT_FOUND;
    if (!read_at(fd, room, expected.len, 0) || memcmp(room, expected.ptr, expected.len) != 0)
        error_set(error, status, "made from other files or for another use");
    else if (!layout(&footer_at, &total, expected.len, (size_t)header.payload_size) ||
             total != file_size)
        error_set(error, status, "cut");
    else if (!read_at(fd, &footer, sizeof footer, footer_at) ||
             memcmp(footer.magic, FOOTER_MAGIC, sizeof footer.magic) != 0 ||
             footer.payload_size != header.payload_size)
        error_set(error, status, "no footer");
    else
        status = STATUS_OK;
    *header_size = expected.len;
    *out = (Artifact){.size = (size_t)header.payload_size, .map_size = (size_t)file_size};
done:
    buf_free(&expected);
    buf_free(&found);
    return status;
}

static Status open_checked(Artifact *out, const char *path, const ArtifactKey *key, Error *error) {
    // O_NONBLOCK: a FIFO must not make the open wait; it is refused below.
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    if (fd < 0)
        return error_set(error, STATUS_NOT_FOUND, "%s", errno == ENOENT ? "absent" : "unreadable");
    Status status = STATUS_NOT_FOUND;
    struct stat st;
    size_t header_size = 0;
    if (fstat(fd, &st) != 0 || !S_ISREG(st.st_mode) || st.st_size <= 0)
        error_set(error, status, "not a file");
    else
        status = check_form(out, &header_size, fd, (uint64_t)st.st_size, key, error);
    if (status == STATUS_OK) {
        void *map = mmap(NULL, out->map_size, PROT_READ, MAP_SHARED, fd, 0);
        if (map == MAP_FAILED) {
            status = error_set(error, STATUS_NOT_FOUND, "cannot be mapped");
        } else {
            out->map = map;
            out->data = (const uint8_t *)map + header_size;
        }
    }
    close(fd);
    return status;
}

Status artifact_open(Artifact *out, const char *path, const ArtifactKey *key, Error *error) {
    Status status = open_checked(out, path, key, error);
    char shown[ERROR_PATH_SIZE];
    if (status == STATUS_OK)
        return STATUS_OK;
    *out = (Artifact){0};
    return error_prefix(error, status, "'%s'", error_path(shown, path));
}

void artifact_close(Artifact *artifact) {
    if (artifact->map)
        munmap(artifact->map, artifact->map_size);
    *artifact = (Artifact){0};
}

// ---- Writing ----

static char *side_name(const char *path) {
    size_t size = strlen(path) + sizeof SIDE_SUFFIX;
    char *name = mem_alloc(size);
    if (name)
        snprintf(name, size, "%s%s", path, SIDE_SUFFIX);
    return name;
}

// Opens and locks the side file. Between open and lock the owner may have renamed or removed it;
// then the lock is on a file of another name, and the next try makes a new one. -1 with errno.
static int own_side(const char *side, int flags) {
    enum { TRIES = 3 };
    for (int i = 0; i < TRIES; i++) {
        int fd = open(side, O_RDWR | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK | flags, 0666);
        if (fd < 0)
            return -1;
        struct stat held, named;
        int locked = flock(fd, LOCK_EX | LOCK_NB);
        int errno_value = locked == 0 ? EEXIST : errno;
        if (locked == 0 && fstat(fd, &held) == 0 && S_ISREG(held.st_mode) &&
            lstat(side, &named) == 0 && held.st_ino == named.st_ino && held.st_dev == named.st_dev)
            return fd;
        close(fd);
        errno = errno_value;
        if (locked != 0)
            return -1;
    }
    return -1;
}

// Empties the side file and reserves `total` bytes. A limit on file sizes is asked for first: going
// over it would raise a signal.
static int reserve_space(int fd, size_t total) {
    struct rlimit limit;
    if (total > INT64_MAX || (getrlimit(RLIMIT_FSIZE, &limit) == 0 && total > limit.rlim_cur))
        return EFBIG;
    if (ftruncate(fd, 0) != 0)
        return errno;
    int result;
    do {
        result = fallocate(fd, 0, 0, (off_t)total);
    } while (result != 0 && errno == EINTR);
    return result == 0 ? 0 : errno;
}

static void free_draft(ArtifactDraft *draft) {
    if (draft->map)
        munmap(draft->map, draft->total);
    if (draft->fd >= 0)
        close(draft->fd); // and its lock
    mem_free(draft->path);
    mem_free(draft->side);
    mem_free(draft->folder);
    mem_free(draft);
}

void artifact_discard(ArtifactDraft *draft) {
    if (!draft)
        return;
    if (draft->fd >= 0)
        unlink(draft->side);
    if (draft->made_folder)
        rmdir(draft->folder); // stays if another has put something there
    free_draft(draft);
}

static Status begin(ArtifactDraft *draft, const Buf *header, Error *error) {
    draft->made_folder = mkdir(draft->folder, 0777) == 0;
    draft->fd = own_side(draft->side, O_CREAT);
    if (draft->fd < 0 && errno == EWOULDBLOCK)
        return error_set(error, STATUS_IO, "another process is writing it");
    if (draft->fd < 0)
        return error_errno(error, errno, "cannot write", draft->side);
    int errno_value = reserve_space(draft->fd, draft->total);
    if (errno_value != 0)
        return error_errno(error, errno_value, "cannot reserve space", draft->side);
    void *map = mmap(NULL, draft->total, PROT_READ | PROT_WRITE, MAP_SHARED, draft->fd, 0);
    if (map == MAP_FAILED)
        return error_errno(error, errno, "cannot map", draft->side);
    draft->map = map;
    // Where the page cache of the file system can, it gets huge pages, which all later mappings of
    // the file share; a refusal costs speed only.
    (void)madvise(map, draft->total, MADV_HUGEPAGE);
    memcpy(draft->map, header->ptr, header->len);
    return STATUS_OK;
}

Status artifact_begin(ArtifactDraft **out, const char *path, const ArtifactKey *key, size_t size,
                      Error *error) {
    *out = NULL;
    Buf header;
    ArtifactDraft *draft = NULL;
    size_t footer_at;
    Status status = make_header(&header, key, size, error);
    if (status != STATUS_OK)
        goto done;
    draft = mem_alloc_zero(1, sizeof *draft);
    if (!draft) {
        status = error_out_of_memory(error, sizeof *draft);
        goto done;
    }
    draft->fd = -1;
    draft->path = mem_strdup(path);
    draft->side = side_name(path);
    draft->folder = path_dirname(path);
    draft->size = size;
    draft->header_size = header.len;
    if (!draft->path || !draft->side || !draft->folder ||
        !layout(&footer_at, &draft->total, header.len, size))
        status = error_out_of_memory(error, size);
    else
        status = begin(draft, &header, error);
    if (status == STATUS_OK)
        *out = draft;
    else
        artifact_discard(draft);
done:
    buf_free(&header);
    return status;
}

uint8_t *artifact_draft_data(ArtifactDraft *draft) {
    return draft->map + draft->header_size;
}

void artifact_draft_flush(ArtifactDraft *draft, size_t offset, size_t len) {
    (void)sync_file_range(draft->fd, (off_t)(draft->header_size + offset), (off_t)len,
                          SYNC_FILE_RANGE_WRITE);
}

// Durable before it has its name: a file that a crash of the machine leaves under `path` is whole.
// The folder is not synced; without its entry the artefact is only absent.
static Status settle(ArtifactDraft *draft, Error *error) {
    Footer footer = {.payload_size = draft->size};
    memcpy(footer.magic, FOOTER_MAGIC, sizeof footer.magic);
    memcpy(draft->map + draft->total - sizeof footer, &footer, sizeof footer);
    if (fdatasync(draft->fd) != 0)
        return error_errno(error, errno, "cannot write", draft->side);
    if (rename(draft->side, draft->path) != 0)
        return error_errno(error, errno, "cannot rename", draft->side);
    return STATUS_OK;
}

Status artifact_publish(Artifact *out, ArtifactDraft *draft, Error *error) {
    if (out)
        *out = (Artifact){0};
    Status status = settle(draft, error);
    if (status != STATUS_OK) {
        artifact_discard(draft);
        return status;
    }
    // The same pages, read-only from here on.
    if (out && mprotect(draft->map, draft->total, PROT_READ) == 0) {
        *out = (Artifact){.data = draft->map + draft->header_size,
                          .size = draft->size,
                          .map = draft->map,
                          .map_size = draft->total};
        draft->map = NULL;
    } else if (out) {
        status = error_errno(error, errno, "cannot protect", draft->path);
    }
    free_draft(draft);
    return status;
}

// ---- Removing ----

static bool has_suffix(const char *name) {
    size_t len = strlen(name);
    return len > sizeof SIDE_SUFFIX - 1 &&
           strcmp(name + len - (sizeof SIDE_SUFFIX - 1), SIDE_SUFFIX) == 0;
}

// A draft only if it is nobody's any more; anything else only if it begins like an artefact.
static bool remove_one(const char *path, uint64_t *bytes) {
    bool is_side = has_suffix(path);
    int fd =
        is_side ? own_side(path, 0) : open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);
    if (fd < 0)
        return false;
    char magic[sizeof HEADER_MAGIC];
    struct stat st;
    bool is_removed = fstat(fd, &st) == 0 && S_ISREG(st.st_mode) &&
                      (is_side || (read_at(fd, magic, sizeof magic, 0) &&
                                   memcmp(magic, HEADER_MAGIC, sizeof magic) == 0)) &&
                      unlink(path) == 0;
    *bytes = is_removed ? (uint64_t)st.st_blocks * 512 : 0;
    close(fd);
    return is_removed;
}

void artifact_remove_all(const char *folder,
                         void (*removed)(void *ctx, const char *name, uint64_t bytes), void *ctx) {
    FileStat stat;
    FileList list;
    if (!file_stat(&stat, folder) || stat.is_symlink || !stat.is_dir ||
        file_list(&list, folder, NULL) != STATUS_OK)
        return;
    for (size_t i = 0; i < list.count; i++) {
        char *path = path_join(folder, list.names[i]);
        uint64_t bytes;
        if (path && remove_one(path, &bytes) && removed)
            removed(ctx, list.names[i], bytes);
        mem_free(path);
    }
    file_list_free(&list);
    (void)rmdir(folder);
}
