// Mappings, whole reads, atomic writes, copies, folders and paths.
//
// A write or copy is visible under its name only when it is complete: it goes to a temporary beside
// the target, which is removed on every error.
#include "base/file.h"

#include "base/checked.h"
#include "base/memory.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <linux/fs.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

enum { COPY_STEP = 1 << 30, COPY_BUFFER = 64 << 10, READ_STEP = 64 << 10 };

static void stat_from(FileStat *out, const struct stat *st) {
    *out = (FileStat){
        .size = st->st_size > 0 ? (uint64_t)st->st_size : 0,
        .inode = (uint64_t)st->st_ino,
        .device = (uint64_t)st->st_dev,
        .mtime_ns = (int64_t)st->st_mtim.tv_sec * 1000000000 + (int64_t)st->st_mtim.tv_nsec,
        .links = (uint32_t)st->st_nlink,
        .is_regular = S_ISREG(st->st_mode),
        .is_dir = S_ISDIR(st->st_mode),
    };
}

bool file_stat(FileStat *out, const char *path) {
    *out = (FileStat){0};
    struct stat st;
    if (lstat(path, &st) != 0)
        return false;
    bool is_symlink = S_ISLNK(st.st_mode);
    out->is_symlink = is_symlink;
    if (is_symlink && stat(path, &st) != 0)
        return false;
    stat_from(out, &st);
    out->is_symlink = is_symlink;
    return true;
}

bool file_is_regular(const char *path) {
    FileStat stat;
    return file_stat(&stat, path) && stat.is_regular;
}

bool file_is_dir(const char *path) {
    FileStat stat;
    return file_stat(&stat, path) && stat.is_dir;
}

bool file_free_space(uint64_t *out, const char *path) {
    struct statvfs st;
    return statvfs(path, &st) == 0 &&
           !__builtin_mul_overflow((uint64_t)st.f_bavail, (uint64_t)st.f_frsize, out);
}

Status file_map(FileMap *out, const char *path, Error *error) {
    *out = (FileMap){.data = (const uint8_t *)""};
    // O_NONBLOCK: opening a FIFO must not wait for a writer; it is refused below.
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    if (fd < 0)
        return error_errno(error, errno, "cannot open", path);
    Status status = STATUS_OK;
    struct stat st;
    if (fstat(fd, &st) != 0) {
        status = error_errno(error, errno, "cannot inspect", path);
        goto done;
    }
    if (!S_ISREG(st.st_mode)) {
        char shown[ERROR_PATH_SIZE];
        status =
            error_set(error, STATUS_INVALID, "not a regular file: '%s'", error_path(shown, path));
        goto done;
    }
    stat_from(&out->stat, &st);
    if (st.st_size > 0) {
        void *data = mmap(NULL, (size_t)st.st_size, PROT_READ, MAP_PRIVATE, fd, 0);
        if (data == MAP_FAILED) {
            status = error_errno(error, errno, "cannot map", path);
            goto done;
        }
        out->data = data;
        out->size = (size_t)st.st_size;
    }
done:
    close(fd);
    return status;
}

void file_unmap(FileMap *map) {
    if (map->size > 0)
        munmap((void *)(uintptr_t)map->data, map->size);
    *map = (FileMap){.data = (const uint8_t *)""};
}

static size_t page_size(void) {
    long size = sysconf(_SC_PAGESIZE);
    return size > 0 ? (size_t)size : 4096;
}

// Advice for the pages wholly inside (shrink) or touched by (grow) a range of the mapping.
static void advise(const FileMap *map, size_t offset, size_t len, bool shrink, int advice) {
    if (offset >= map->size || len == 0)
        return;
    size_t end = len > map->size - offset ? map->size : offset + len;
    size_t mask = page_size() - 1;
    size_t start = shrink ? (offset + mask) & ~mask : offset & ~mask;
    // The last page of the file counts as whole: nothing else can live there.
    if (shrink && end < map->size)
        end &= ~mask;
    if (start < end)
        (void)madvise((void *)(uintptr_t)(map->data + start), end - start, advice);
}

void file_map_drop(const FileMap *map, size_t offset, size_t len) {
    advise(map, offset, len, true, MADV_DONTNEED);
}

void file_map_will_need(const FileMap *map, size_t offset, size_t len) {
    advise(map, offset, len, false, MADV_WILLNEED);
}

static ssize_t read_some(int fd, void *bytes, size_t len) {
    ssize_t got;
    do {
        got = read(fd, bytes, len);
    } while (got < 0 && errno == EINTR);
    return got;
}

static Status read_all(Buf *out, int fd, const char *path, size_t max_bytes, Error *error) {
    buf_clear(out);
    out->max = max_bytes;
    struct stat st;
    size_t step = READ_STEP;
    char shown[ERROR_PATH_SIZE];
    if (fstat(fd, &st) == 0 && S_ISREG(st.st_mode) && st.st_size > 0) {
        if ((uint64_t)st.st_size > max_bytes)
            return error_set(error, STATUS_LIMIT, "'%s' has %lld bytes, over the limit of %zu",
                             error_path(shown, path), (long long)st.st_size, max_bytes);
        step = (size_t)st.st_size + 1; // one more shows the end without growing
    }
    for (;;) {
        char probe;
        size_t left = max_bytes - out->len;
        size_t room_left = out->cap > out->len + 1 ? out->cap - out->len - 1 : 0;
        size_t want = room_left > 0 ? room_left : step;
        want = want < left ? want : left;
        char *room = buf_reserve(out, want);
        if (!room)
            return buf_status(out, error);
        ssize_t got = want > 0 ? read_some(fd, room, want) : read_some(fd, &probe, 1);
        if (got < 0)
            return error_errno(error, errno, "cannot read", path);
        if (got > 0 && want == 0)
            return error_set(error, STATUS_LIMIT, "'%s' is over the limit of %zu bytes",
                             error_path(shown, path), max_bytes);
        out->len += (size_t)got;
        out->ptr[out->len] = '\0';
        if (got == 0)
            return STATUS_OK;
        step = READ_STEP;
    }
}

Status file_read(Buf *out, const char *path, size_t max_bytes, Error *error) {
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0) {
        int errno_value = errno;
        buf_free(out);
        return error_errno(error, errno_value, "cannot open", path);
    }
    Status status = read_all(out, fd, path, max_bytes, error);
    close(fd);
    if (status != STATUS_OK)
        buf_free(out);
    return status;
}

Status file_read_stdin(Buf *out, size_t max_bytes, Error *error) {
    Status status = read_all(out, STDIN_FILENO, "standard input", max_bytes, error);
    if (status != STATUS_OK)
        buf_free(out);
    return status;
}

// "<path>.tmp.<thread id>": for the main thread that is the process id, and no two threads of the
// machine share a name.
static char *temporary_name(const char *path) {
    size_t size = strlen(path) + 32;
    char *name = mem_alloc(size);
    if (name)
        snprintf(name, size, "%s.tmp.%ld", path, (long)gettid());
    return name;
}

static int write_all(int fd, const char *bytes, size_t len) {
    while (len > 0) {
        ssize_t wrote = write(fd, bytes, len < COPY_STEP ? len : COPY_STEP);
        if (wrote < 0 && errno == EINTR)
            continue;
        if (wrote < 0)
            return errno;
        bytes += wrote;
        len -= (size_t)wrote;
    }
    return 0;
}

// Syncs, closes and renames, or removes the temporary when errno_value or any of these says so.
static Status publish(int fd, const char *temporary, const char *path, int errno_value,
                      Error *error) {
    if (errno_value == 0 && fsync(fd) != 0 && errno != EINVAL && errno != EROFS)
        errno_value = errno;
    if (close(fd) != 0 && errno_value == 0)
        errno_value = errno;
    if (errno_value == 0 && rename(temporary, path) != 0)
        errno_value = errno;
    if (errno_value == 0)
        return STATUS_OK;
    unlink(temporary);
    return error_errno(error, errno_value, "cannot write", path);
}

Status file_write_atomic(const char *path, const void *bytes, size_t len, Error *error) {
    char *temporary = temporary_name(path);
    if (!temporary)
        return error_out_of_memory(error, strlen(path) + 32);
    Status status;
    int fd = open(temporary, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0666);
    if (fd < 0)
        status = error_errno(error, errno, "cannot write", path);
    else
        status = publish(fd, temporary, path, write_all(fd, bytes, len), error);
    mem_free(temporary);
    return status;
}

Status file_make_dirs(const char *path, Error *error) {
    char *copy = mem_strdup(path);
    if (!copy)
        return error_out_of_memory(error, strlen(path) + 1);
    Status status = STATUS_OK;
    size_t len = strlen(copy);
    for (size_t i = 1; i <= len && status == STATUS_OK; i++) {
        if (copy[i] != '/' && copy[i] != '\0')
            continue;
        char saved = copy[i];
        copy[i] = '\0';
        int errno_value = mkdir(copy, 0777) == 0 ? 0 : errno;
        if (errno_value != 0 && !file_is_dir(copy))
            status = error_errno(error, errno_value, "cannot make folder", copy);
        copy[i] = saved;
    }
    mem_free(copy);
    return status;
}

static int copy_by_reading(int dst, int src) {
    char buffer[COPY_BUFFER];
    for (;;) {
        ssize_t got = read_some(src, buffer, sizeof buffer);
        if (got < 0)
            return errno;
        if (got == 0)
            return 0;
        int errno_value = write_all(dst, buffer, (size_t)got);
        if (errno_value != 0)
            return errno_value;
    }
}

// Shares the blocks where the file system can, else lets the kernel copy, else copies. Returns
// errno.
static int copy_bytes(int dst, int src) {
    if (ioctl(dst, FICLONE, src) == 0)
        return 0;
    for (bool has_copied = false;; has_copied = true) {
        ssize_t got = copy_file_range(src, NULL, dst, NULL, COPY_STEP, 0);
        if (got > 0)
            continue;
        // Some file systems answer 0 for files they cannot copy; the plain loop then finds the
        // rest.
        if (got == 0)
            return has_copied ? 0 : copy_by_reading(dst, src);
        if (errno == EINTR)
            continue;
        if (errno == ENOSPC || errno == EDQUOT || errno == EIO)
            return errno;
        return copy_by_reading(dst, src);
    }
}

Status file_copy_or_reflink(const char *dst, const char *src, Error *error) {
    int in = open(src, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    if (in < 0)
        return error_errno(error, errno, "cannot open", src);
    Status status;
    char shown[ERROR_PATH_SIZE];
    struct stat st;
    char *temporary = NULL;
    if (fstat(in, &st) != 0) {
        status = error_errno(error, errno, "cannot inspect", src);
    } else if (!S_ISREG(st.st_mode)) {
        status =
            error_set(error, STATUS_INVALID, "not a regular file: '%s'", error_path(shown, src));
    } else if (!(temporary = temporary_name(dst))) {
        status = error_out_of_memory(error, strlen(dst) + 32);
    } else {
        mode_t mode = (st.st_mode & 0777) | S_IWUSR;
        int out = open(temporary, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, mode);
        if (out < 0)
            status = error_errno(error, errno, "cannot write", dst);
        else
            status = publish(out, temporary, dst, copy_bytes(out, in), error);
    }
    mem_free(temporary);
    close(in);
    return status;
}

static int compare_names(const void *a, const void *b) {
    return strcmp(*(char *const *)a, *(char *const *)b);
}

static bool add_name(FileList *list, size_t *cap, const char *name) {
    if (list->count == *cap) {
        size_t grown = *cap ? *cap * 2 : 16;
        char **names = mem_realloc_array(list->names, grown, sizeof *names);
        if (!names)
            return false;
        list->names = names;
        *cap = grown;
    }
    char *copy = mem_strdup(name);
    if (!copy)
        return false;
    list->names[list->count++] = copy;
    return true;
}

Status file_list(FileList *out, const char *folder, Error *error) {
    *out = (FileList){0};
    DIR *dir = opendir(folder);
    if (!dir)
        return error_errno(error, errno, "cannot open folder", folder);
    Status status = STATUS_OK;
    size_t cap = 0;
    for (;;) {
        errno = 0;
        struct dirent *entry = readdir(dir);
        if (!entry) {
            if (errno != 0)
                status = error_errno(error, errno, "cannot read folder", folder);
            break;
        }
        if (strcmp(entry->d_name, ".") == 0 || strcmp(entry->d_name, "..") == 0)
            continue;
        if (!add_name(out, &cap, entry->d_name)) {
            status = error_out_of_memory(error, strlen(entry->d_name) + 1);
            break;
        }
    }
    closedir(dir);
    if (status != STATUS_OK)
        file_list_free(out);
    else if (out->count > 1)
        qsort(out->names, out->count, sizeof *out->names, compare_names);
    return status;
}

void file_list_free(FileList *list) {
    for (size_t i = 0; i < list->count; i++)
        mem_free(list->names[i]);
    mem_free(list->names);
    *list = (FileList){0};
}

char *path_join(const char *folder, const char *name) {
    if (name[0] == '/' || folder[0] == '\0')
        return mem_strdup(name);
    size_t folder_len = strlen(folder);
    size_t name_len = strlen(name);
    char *path = mem_alloc(folder_len + name_len + 2);
    if (!path)
        return NULL;
    memcpy(path, folder, folder_len);
    if (name_len > 0 && folder[folder_len - 1] != '/')
        path[folder_len++] = '/';
    memcpy(path + folder_len, name, name_len + 1);
    return path;
}

char *path_dirname(const char *path) {
    size_t len = strlen(path);
    while (len > 1 && path[len - 1] == '/')
        len--;
    while (len > 0 && path[len - 1] != '/')
        len--;
    if (len == 0)
        return mem_strdup(".");
    while (len > 1 && path[len - 1] == '/')
        len--;
    char *folder = mem_alloc(len + 1);
    if (!folder)
        return NULL;
    memcpy(folder, path, len);
    folder[len] = '\0';
    return folder;
}

const char *path_basename(const char *path) {
    const char *slash = strrchr(path, '/');
    return slash ? slash + 1 : path;
}

char *path_expand_home(const char *path, const char *home) {
    if (path[0] != '~' || (path[1] != '/' && path[1] != '\0') || !home)
        return mem_strdup(path);
    const char *rest = path + 1;
    while (*rest == '/')
        rest++;
    return path_join(home, rest);
}

// Removes ".", ".." and doubled slashes of an absolute path in place.
static void normalise(char *path) {
    size_t used = 0;
    const char *part = path;
    while (*part) {
        while (*part == '/')
            part++;
        size_t len = strcspn(part, "/");
        if (len == 2 && part[0] == '.' && part[1] == '.') {
            while (used > 0 && path[--used] != '/') {
            }
        } else if (len > 0 && !(len == 1 && part[0] == '.')) {
            path[used++] = '/';
            memmove(path + used, part, len);
            used += len;
        }
        part += len;
    }
    if (used == 0)
        path[used++] = '/';
    path[used] = '\0';
}

char *path_absolute(const char *path) {
    char cwd[PATH_MAX] = "/";
    if (path[0] != '/' && !getcwd(cwd, sizeof cwd))
        return NULL;
    char *joined = path_join(cwd, path);
    if (joined)
        normalise(joined);
    return joined;
}

bool path_is_inside(StrView relative) {
    size_t start = 0;
    for (size_t i = 0; i <= relative.len; i++) {
        if (i < relative.len && relative.ptr[i] == '\0')
            return false;
        if (i < relative.len && relative.ptr[i] != '/')
            continue;
        StrView part = sv_n(relative.ptr + start, i - start);
        if (part.len == 0 || sv_equal_cstr(part, ".."))
            return false;
        start = i + 1;
    }
    return true;
}
