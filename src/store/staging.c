// Files that appear together or not at all.
//
// Everything is written into a folder inside the target, so that a full disk or a folder without
// write permission shows before anything that stood there is touched. Publishing is a row of
// renames, and the files they replace wait in the same folder until the last one succeeded.
// Undoing must work when memory has run out: every path is allocated before its file exists.
#include "store/private.h"

#include "base/file.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

enum { MAX_MADE = 64 };

// Makes every missing folder of an absolute path and remembers it.
static Status make_dirs(Staging *staging, const char *path, Error *error) {
    for (size_t i = 1; path[i - 1] != '\0'; i++) {
        if (path[i] != '/' && path[i] != '\0')
            continue;
        const char *part = arena_strndup(&staging->arena, path, i);
        if (!part)
            return error_out_of_memory(error, i + 1);
        if (file_is_dir(part))
            continue;
        if (staging->made_count == MAX_MADE)
            return error_set(error, STATUS_LIMIT, "more than %d folders to make", MAX_MADE);
        if (mkdir(part, 0777) != 0)
            return error_errno(error, errno, "cannot make folder", part);
        staging->made[staging->made_count++] = part;
    }
    return STATUS_OK;
}

Status staging_open(Staging *staging, const char *target, size_t cap, Error *error) {
    Arena *arena = &staging->arena;
    staging->target = arena_strdup(arena, target);
    staging->made = arena_alloc_array(arena, MAX_MADE, sizeof *staging->made);
    staging->files = arena_alloc_array(arena, cap, sizeof *staging->files);
    staging->cap = cap;
    char *folder = arena_printf(arena, "%s/.gpux-convert-XXXXXX", target);
    if (!staging->target || !staging->made || !staging->files || !folder)
        return error_out_of_memory(error, cap * sizeof *staging->files);
    TRY(make_dirs(staging, target, error));
    if (!mkdtemp(folder))
        return error_errno(error, errno, "cannot write into folder", target);
    staging->folder = folder;
    return STATUS_OK;
}

// Also false for links that lead nowhere: there something is in the way, too.
static bool is_absent(const char *path, bool *is_dir) {
    FileStat stat;
    bool is_there = file_stat(&stat, path) || stat.is_symlink;
    *is_dir = is_there && stat.is_dir && !stat.is_symlink;
    return !is_there;
}

static Status add_file(StagedFile **out, Staging *staging, const char *name, Error *error) {
    Arena *arena = &staging->arena;
    if (staging->count == staging->cap)
        return error_set(error, STATUS_LIMIT, "more than %zu files", staging->cap);
    StagedFile *file = &staging->files[staging->count];
    file->from = arena_printf(arena, "%s/%zu", staging->folder, staging->count);
    file->backup = arena_printf(arena, "%s/%zu.old", staging->folder, staging->count);
    file->to = arena_printf(arena, "%s/%s", staging->target, name);
    if (!file->from || !file->backup || !file->to)
        return error_out_of_memory(error, strlen(staging->folder) + strlen(name));
    bool is_dir;
    (void)is_absent(file->to, &is_dir);
    char shown[ERROR_PATH_SIZE];
    if (is_dir)
        return error_set(error, STATUS_INVALID, "a folder is in the way: '%s'",
                         error_path(shown, file->to));
    staging->count++;
    *out = file;
    return STATUS_OK;
}

Status staging_write(Staging *staging, const char *name, const Buf *bytes, Error *error) {
    StagedFile *file = NULL;
    TRY(add_file(&file, staging, name, error));
    Status status = file_write_atomic(file->from, bytes->ptr, bytes->len, error);
    return status == STATUS_OK ? status : error_prefix(error, status, "%s", name);
}

Status staging_copy(Staging *staging, const char *name, const char *source, Error *error) {
    StagedFile *file = NULL;
    TRY(add_file(&file, staging, name, error));
    Status status = file_copy_or_reflink(file->from, source, error);
    return status == STATUS_OK ? status : error_prefix(error, status, "%s", name);
}

static Status publish_file(Staging *staging, StagedFile *file, Error *error) {
    const char *slash = strrchr(file->to, '/');
    char *parent = arena_strndup(&staging->arena, file->to, (size_t)(slash - file->to));
    if (!parent)
        return error_out_of_memory(error, strlen(file->to));
    TRY(make_dirs(staging, parent, error));
    if (rename(file->from, file->to) != 0)
        return error_errno(error, errno, "cannot write", file->to);
    file->is_published = true;
    return STATUS_OK;
}

Status staging_publish(Staging *staging, Error *error) {
    // From the last to the first: metadata.json, which vouches for the others, goes before them and
    // comes back after them.
    for (size_t i = staging->count; i > 0; i--) {
        StagedFile *file = &staging->files[i - 1];
        bool is_dir;
        if (is_absent(file->to, &is_dir))
            continue;
        if (rename(file->to, file->backup) != 0)
            return error_errno(error, errno, "cannot replace", file->to);
        file->is_saved = true;
    }
    for (size_t i = 0; i < staging->count; i++)
        TRY(publish_file(staging, &staging->files[i], error));
    // From here on nothing is undone.
    for (size_t i = 0; i < staging->count; i++) {
        if (staging->files[i].is_saved)
            unlink(staging->files[i].backup);
    }
    staging->count = 0;
    staging->made_count = 0;
    return STATUS_OK;
}

void staging_close(Staging *staging) {
    for (size_t i = 0; i < staging->count; i++) {
        const StagedFile *file = &staging->files[i];
        if (file->is_published)
            unlink(file->to);
        else
            unlink(file->from);
        if (file->is_saved)
            (void)rename(file->backup, file->to);
    }
    if (staging->folder)
        rmdir(staging->folder);
    for (size_t i = staging->made_count; i > 0; i--)
        rmdir(staging->made[i - 1]);
    arena_free(&staging->arena);
    *staging = (Staging){0};
}
