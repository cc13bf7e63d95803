// Where models live, who may write, and how a finished staging folder becomes a model.
//
// 1. A revision folder is never written in place: it appears, and is replaced, by one rename.
// 2. Before that rename everything in it is on disk (tree_sync).
// 3. Staging of a revision belongs to the holder of its lock. The lock is the kernel's and dies
// with
//    its process.
// 4. What lies in staging is never believed: whoever resumes checks it again.
#include "registry/private.h"

#include "base/clock.h"
#include "base/file.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

enum { POLL_MS = 50, ANNOUNCE_S = 10 };

void size_text(char out[32], uint64_t bytes) {
    static const char *const UNITS[] = {"B", "KB", "MB", "GB", "TB"};
    double size = (double)bytes;
    int unit = 0;
    for (; size >= 1024 && unit < 4; unit++)
        size /= 1024;
    snprintf(out, 32, unit == 0 ? "%.0f %s" : "%.1f %s", size, UNITS[unit]);
}

Status cache_no_space(Call *call, const char *path, uint64_t need) {
    struct statvfs space;
    char wanted[32];
    char have[32] = "less";
    size_text(wanted, need);
    if (statvfs(path, &space) == 0)
        size_text(have, (uint64_t)space.f_bavail * space.f_frsize);
    return call_fail(call, REGISTRY_FAULT_LOCAL, STATUS_NO_SPACE,
                     "Not enough disk space: need %s, have %s", wanted, have);
}

Status cache_errno(Call *call, int errno_value, const char *what, const char *path) {
    char shown[ERROR_PATH_SIZE];
    if (errno_value == EROFS || errno_value == EACCES || errno_value == EPERM)
        return call_fail(call, REGISTRY_FAULT_LOCAL, STATUS_IO,
                         "The cache is read-only: %s: '%s' (--cache-dir or GPUX_CACHE_DIR names "
                         "another)",
                         errno_value == EROFS ? "read-only file system" : "permission denied",
                         error_path(shown, path));
    return call_failed(call, REGISTRY_FAULT_LOCAL,
                       error_errno(call->error, errno_value, what, path));
}

Status cache_names(Stage *out, Call *call, const ModelRef *ref) {
    *out = (Stage){.fd = -1, .lock = -1, .cache_dir = call->registry->cache_dir};
    char id[MODEL_ID_SIZE];
    char revision[FOLDER_NAME_SIZE];
    id_to_folder(id, ref->id);
    revision_to_folder(revision, ref->revision);
    Arena *arena = &out->arena;
    out->key = arena_printf(arena, "%s--%s--%s", REGISTRY_NAME, id, revision);
    out->parent = arena_printf(arena, "%s/%s/%s", out->cache_dir, REGISTRY_NAME, id);
    if (!out->key || !out->parent)
        return call_out_of_memory(call);
    if (strlen(out->key) + sizeof ".lock" > FOLDER_NAME_SIZE)
        return call_fail(call, REGISTRY_FAULT_NAME, STATUS_INVALID,
                         "The model id and revision are too long together for a folder's name");
    out->path = arena_printf(arena, "%s/.staging/%s", out->cache_dir, out->key);
    out->target = arena_printf(arena, "%s/%s", out->parent, revision);
    return out->path && out->target ? STATUS_OK : call_out_of_memory(call);
}

// Every missing folder of an absolute path; errno or 0.
static int make_dirs(const char *path) {
    char *copy = mem_strdup(path);
    if (!copy)
        return ENOMEM;
    int errno_value = 0;
    for (char *at = copy + 1; errno_value == 0; at++) {
        if (*at != '/' && *at != '\0')
            continue;
        char saved = *at;
        *at = '\0';
        if (mkdir(copy, 0777) != 0 && errno != EEXIST) {
            int made = errno;
            errno_value = file_is_dir(copy) ? 0 : made;
        }
        *at = saved;
        if (saved == '\0')
            break;
    }
    mem_free(copy);
    return errno_value;
}

// ---- Locks ----

// The file may be removed by prune between opening and locking; then the lock is on nothing.
static bool is_still_named(int fd, const char *path) {
    struct stat mine, named;
    return fstat(fd, &mine) == 0 && stat(path, &named) == 0 && mine.st_ino == named.st_ino &&
           mine.st_dev == named.st_dev;
}

// A locked descriptor; -1 with errno EWOULDBLOCK when somebody has it.
static int try_lock(const char *path) {
    for (;;) {
        int fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0666);
        if (fd < 0)
            return -1;
        int result = flock(fd, LOCK_EX | LOCK_NB);
        int saved = errno;
        if (result == 0 && is_still_named(fd, path))
            return fd;
        close(fd);
        if (result != 0 && saved != EINTR) {
            errno = saved;
            return -1;
        }
    }
}

int cache_try_lock(const char *cache_dir, const char *key) {
    Arena arena = {0};
    const char *path = arena_printf(&arena, "%s/.locks/%s.lock", cache_dir, key);
    int fd = path ? try_lock(path) : -1;
    int saved = path ? errno : ENOMEM;
    arena_free(&arena);
    errno = saved;
    return fd;
}

Status cache_lock(Stage *stage, Call *call, bool *has_waited) {
    *has_waited = false;
    Arena *arena = &stage->arena;
    const char *folder = arena_printf(arena, "%s/.locks", stage->cache_dir);
    const char *path = arena_printf(arena, "%s/.locks/%s.lock", stage->cache_dir, stage->key);
    if (!folder || !path)
        return call_out_of_memory(call);
    int errno_value = make_dirs(folder);
    if (errno_value != 0)
        return cache_errno(call, errno_value, "cannot make folder", folder);
    uint64_t start = clock_now_ns();
    uint64_t announced = 0;
    for (;;) {
        stage->lock = try_lock(path);
        if (stage->lock >= 0)
            return STATUS_OK;
        if (errno != EWOULDBLOCK)
            return cache_errno(call, errno, "cannot lock", path);
        uint64_t waited = clock_now_ns() - start;
        bool is_due = !*has_waited || waited - announced >= ANNOUNCE_S * UINT64_C(1000000000);
        *has_waited = true;
        announced = is_due ? waited : announced;
        PullStep step = is_due ? PULL_LOCK_WAIT : PULL_BYTES;
        if (call->tick && !call->tick(call->tick_ctx, step, NULL, (double)waited * 1e-9))
            return call_cancelled(call);
        usleep(POLL_MS * 1000);
    }
}

// ---- Staging ----

Status cache_open(Stage *stage, Call *call) {
    int errno_value = make_dirs(stage->path);
    if (errno_value != 0)
        return cache_errno(call, errno_value, "cannot make folder", stage->path);
    stage->fd = open(stage->path, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    if (stage->fd < 0)
        return cache_errno(call, errno, "cannot open folder", stage->path);
    return STATUS_OK;
}

typedef struct Sweep {
    int fd;
    bool (*is_wanted)(void *ctx, const char *path);
    void *ctx;
} Sweep;

static Status sweep_file(void *ctx, const char *path, uint64_t size, int64_t mtime_ns) {
    (void)size;
    (void)mtime_ns;
    const Sweep *sweep = ctx;
    if (sweep->is_wanted(sweep->ctx, path))
        return STATUS_OK;
    const char *name;
    int parent = tree_open_parent(sweep->fd, path, &name, false);
    if (parent < 0)
        return STATUS_OK;
    unlinkat(parent, name, 0);
    close(parent);
    return STATUS_OK;
}

Status cache_sweep(Stage *stage, Call *call, bool (*is_wanted)(void *ctx, const char *path),
                   void *ctx) {
    Sweep sweep = {.fd = stage->fd, .is_wanted = is_wanted, .ctx = ctx};
    return call_failed(call, REGISTRY_FAULT_LOCAL,
                       tree_walk(stage->fd, sweep_file, &sweep, call->error));
}

void cache_clean(Stage *stage) {
    int parent = open(stage->cache_dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    int staging = parent < 0
                      ? -1
                      : openat(parent, ".staging", O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    if (staging >= 0) {
        tree_remove(staging, stage->key, NULL);
        close(staging);
    }
    if (parent >= 0)
        close(parent);
}

void cache_close(Stage *stage) {
    if (stage->fd >= 0)
        close(stage->fd);
    if (stage->lock >= 0)
        close(stage->lock);
    arena_free(&stage->arena);
    *stage = (Stage){.fd = -1, .lock = -1};
}

// ---- Publishing ----

static int sync_folder(const char *path) {
    int fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (fd < 0)
        return errno;
    int errno_value = fsync(fd) == 0 || errno == EINVAL ? 0 : errno;
    close(fd);
    return errno_value;
}

// ".old-<key>" beside the staging folders: the copy that a two-step replacement put aside.
static bool old_name(char *out, size_t size, const Stage *stage) {
    int len = snprintf(out, size, "%s/.staging/.old-%s", stage->cache_dir, stage->key);
    return len > 0 && (size_t)len < size;
}

void cache_mend(const Stage *stage) {
    char old[4096];
    struct stat st;
    if (!old_name(old, sizeof old, stage) || lstat(old, &st) != 0)
        return;
    // Fails when a copy stands there: then the old one is rubbish, and prune or the next publish
    // removes it.
    (void)renameat2(AT_FDCWD, old, AT_FDCWD, stage->target, RENAME_NOREPLACE);
}

// For file systems that cannot exchange: for a moment neither copy has the name; cache_mend repairs
// a death in between.
static int replace_in_two_steps(const Stage *stage) {
    char old[4096];
    if (!old_name(old, sizeof old, stage))
        return ENAMETOOLONG;
    tree_remove(AT_FDCWD, old, NULL);
    if (rename(stage->target, old) != 0)
        return errno;
    if (rename(stage->path, stage->target) == 0) {
        tree_remove(AT_FDCWD, old, NULL);
        return 0;
    }
    int saved = errno;
    (void)rename(old, stage->target);
    return saved;
}

static int put_in_place(const Stage *stage) {
    if (renameat2(AT_FDCWD, stage->path, AT_FDCWD, stage->target, RENAME_NOREPLACE) == 0)
        return 0;
    // EINVAL, ENOSYS: a file system without flags for rename.
    bool knows_flags = errno != EINVAL && errno != ENOSYS;
    struct stat st;
    if (lstat(stage->target, &st) != 0)
        return rename(stage->path, stage->target) == 0 ? 0 : errno;
    if (knows_flags &&
        renameat2(AT_FDCWD, stage->path, AT_FDCWD, stage->target, RENAME_EXCHANGE) == 0)
        return 0;
    if (knows_flags && errno != EINVAL && errno != ENOSYS)
        return errno;
    return replace_in_two_steps(stage);
}

Status cache_publish(Stage *stage, Call *call) {
    int errno_value = tree_sync(stage->fd);
    if (errno_value != 0)
        return cache_errno(call, errno_value, "cannot sync", stage->path);
    errno_value = make_dirs(stage->parent);
    if (errno_value != 0)
        return cache_errno(call, errno_value, "cannot make folder", stage->parent);
    errno_value = put_in_place(stage);
    if (errno_value == 0)
        errno_value = sync_folder(stage->parent);
    if (errno_value != 0)
        return cache_errno(call, errno_value, "cannot publish", stage->target);
    // A new folder's own name must last, too.
    char *registry_folder = path_dirname(stage->parent);
    if (registry_folder) {
        sync_folder(registry_folder);
        sync_folder(stage->cache_dir);
    }
    mem_free(registry_folder);
    return STATUS_OK;
}

// ---- Holding a model ----

int registry_hold(const char *folder) {
    int fd = open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (fd >= 0 && flock(fd, LOCK_SH | LOCK_NB) != 0) {
        close(fd);
        fd = -1;
    }
    return fd;
}

void registry_release(int hold) {
    if (hold >= 0)
        close(hold);
}
