// Folders as trees of descriptors: nothing here follows a symbolic link, so a link that somebody
// put into the cache cannot lead a write or a removal outside of it.
#include "registry/private.h"

#include "base/file.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

enum { MAX_DEPTH = 40, NAME_SIZE = 256, PATH_SIZE = 4096 };

int tree_open_parent(int fd, const char *path, const char **name, bool may_make) {
    int at = fcntl(fd, F_DUPFD_CLOEXEC, 0);
    const char *slash;
    while (at >= 0 && (slash = strchr(path, '/')) != NULL) {
        char part[NAME_SIZE];
        size_t len = (size_t)(slash - path);
        if (len == 0 || len >= sizeof part) {
            close(at);
            errno = ENAMETOOLONG;
            return -1;
        }
        memcpy(part, path, len);
        part[len] = '\0';
        if (may_make && mkdirat(at, part, 0777) != 0 && errno != EEXIST) {
            int saved = errno;
            close(at);
            errno = saved;
            return -1;
        }
        int below = openat(at, part, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
        int saved = errno;
        close(at);
        errno = saved;
        at = below;
        path = slash + 1;
    }
    *name = path;
    return at;
}

int tree_open_file(int fd, const char *path, int flags) {
    const char *name;
    int parent = tree_open_parent(fd, path, &name, (flags & O_CREAT) != 0);
    if (parent < 0)
        return -1;
    // O_NONBLOCK: opening a FIFO must not wait; it is refused below.
    int file = openat(parent, name, flags | O_NOFOLLOW | O_CLOEXEC | O_NONBLOCK, 0666);
    int saved = errno;
    close(parent);
    struct stat st;
    if (file >= 0 && (fstat(file, &st) != 0 || !S_ISREG(st.st_mode))) {
        close(file);
        file = -1;
        saved = EINVAL;
    }
    errno = saved;
    return file;
}

// Opens a folder below fd for reading its entries; NULL with errno.
static DIR *open_dir(int fd, const char *name) {
    int below = openat(fd, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    DIR *dir = below >= 0 ? fdopendir(below) : NULL;
    if (!dir && below >= 0) {
        int saved = errno;
        close(below);
        errno = saved;
    }
    return dir;
}

// The next entry that is not "." or "..".
static struct dirent *next_entry(DIR *dir) {
    struct dirent *entry;
    do {
        entry = readdir(dir);
    } while (entry && (strcmp(entry->d_name, ".") == 0 || strcmp(entry->d_name, "..") == 0));
    return entry;
}

static int remove_at(int fd, const char *name, uint64_t *freed, int depth) {
    struct stat st;
    if (fstatat(fd, name, &st, AT_SYMLINK_NOFOLLOW) != 0)
        return errno == ENOENT ? 0 : errno;
    if (!S_ISDIR(st.st_mode)) {
        if (unlinkat(fd, name, 0) != 0)
            return errno == ENOENT ? 0 : errno;
        if (freed && S_ISREG(st.st_mode))
            *freed += (uint64_t)st.st_size;
        return 0;
    }
    DIR *dir = depth < MAX_DEPTH ? open_dir(fd, name) : NULL;
    if (!dir)
        return depth < MAX_DEPTH ? errno : ELOOP;
    int errno_value = 0;
    struct dirent *entry;
    while (errno_value == 0 && (entry = next_entry(dir)) != NULL)
        errno_value = remove_at(dirfd(dir), entry->d_name, freed, depth + 1);
    closedir(dir);
    if (errno_value == 0 && unlinkat(fd, name, AT_REMOVEDIR) != 0 && errno != ENOENT)
        errno_value = errno;
    return errno_value;
}

int tree_remove(int fd, const char *name, uint64_t *freed) {
    return remove_at(fd, name, freed, 0);
}

// Systems without sync for a kind of file answer EINVAL; there is nothing to do then.
static int sync_fd(int fd) {
    return fsync(fd) == 0 || errno == EINVAL || errno == EROFS ? 0 : errno;
}

static int sync_at(int fd, const char *name, int depth) {
    struct stat st;
    if (fstatat(fd, name, &st, AT_SYMLINK_NOFOLLOW) != 0)
        return errno;
    if (S_ISREG(st.st_mode)) {
        int file = openat(fd, name, O_RDONLY | O_NOFOLLOW | O_CLOEXEC);
        if (file < 0)
            return errno;
        int errno_value = sync_fd(file);
        close(file);
        return errno_value;
    }
    if (!S_ISDIR(st.st_mode))
        return 0;
    DIR *dir = depth < MAX_DEPTH ? open_dir(fd, name) : NULL;
    if (!dir)
        return depth < MAX_DEPTH ? errno : ELOOP;
    int errno_value = 0;
    struct dirent *entry;
    while (errno_value == 0 && (entry = next_entry(dir)) != NULL)
        errno_value = sync_at(dirfd(dir), entry->d_name, depth + 1);
    if (errno_value == 0)
        errno_value = sync_fd(dirfd(dir));
    closedir(dir);
    return errno_value;
}

int tree_sync(int fd) {
    return sync_at(fd, ".", 0);
}

typedef struct Walk {
    TreeVisit visit;
    void *ctx;
    Error *error;
    char path[PATH_SIZE];
} Walk;

static Status walk_at(Walk *walk, int fd, const char *name, size_t used, int depth) {
    struct stat st;
    if (fstatat(fd, name, &st, AT_SYMLINK_NOFOLLOW) != 0)
        return errno == ENOENT ? STATUS_OK
                               : error_errno(walk->error, errno, "cannot inspect", walk->path);
    if (S_ISREG(st.st_mode))
        return walk->visit(walk->ctx, walk->path, (uint64_t)st.st_size,
                           (int64_t)st.st_mtim.tv_sec * 1000000000 + st.st_mtim.tv_nsec);
    if (!S_ISDIR(st.st_mode) || depth >= MAX_DEPTH)
        return STATUS_OK;
    DIR *dir = open_dir(fd, name);
    if (!dir)
        return error_errno(walk->error, errno, "cannot open folder", walk->path);
    Status status = STATUS_OK;
    struct dirent *entry;
    while (status == STATUS_OK && (entry = next_entry(dir)) != NULL) {
        size_t len = strlen(entry->d_name);
        if (used + len + 2 > PATH_SIZE)
            continue;
        size_t start = used;
        if (used > 0)
            walk->path[start++] = '/';
        memcpy(walk->path + start, entry->d_name, len + 1);
        status = walk_at(walk, dirfd(dir), entry->d_name, start + len, depth + 1);
        walk->path[used] = '\0';
    }
    closedir(dir);
    return status;
}

Status tree_walk(int fd, TreeVisit visit, void *ctx, Error *error) {
    Walk *walk = mem_alloc_zero(1, sizeof *walk);
    if (!walk)
        return error_out_of_memory(error, sizeof *walk);
    walk->visit = visit;
    walk->ctx = ctx;
    walk->error = error;
    Status status = walk_at(walk, fd, ".", 0, 0);
    mem_free(walk);
    return status;
}
