// What is in the cache: listing, removing, and clearing what nobody will want again.
//
// Removing renames first and deletes afterwards, so that a folder is there whole or not at all, and
// processes that have its files mapped keep them.
#include "registry/private.h"

#include "base/artifact.h"
#include "base/file.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

enum { PATH_SIZE = 4096 };

// ---- Walking over what is cached ----

typedef struct Found {
    const char *path; // absolute
    ModelRef ref;
} Found;
typedef Status (*Visit)(void *ctx, const Found *found, Error *error);

// An absent folder has no names.
static Status names_in(FileList *out, const char *folder, Error *error) {
    *out = (FileList){0};
    return file_is_dir(folder) ? file_list(out, folder, error) : STATUS_OK;
}

static Status visit_revisions(const char *folder, Found *found, Visit visit, void *ctx,
                              Error *error) {
    FileList revisions;
    TRY(names_in(&revisions, folder, error));
    Status status = STATUS_OK;
    for (size_t i = 0; i < revisions.count && status == STATUS_OK; i++) {
        char *path = path_join(folder, revisions.names[i]);
        if (!path)
            status = error_out_of_memory(error, PATH_SIZE);
        found->path = path;
        if (path && file_is_dir(path) &&
            revision_from_folder(found->ref.revision, revisions.names[i]))
            status = visit(ctx, found, error);
        mem_free(path);
    }
    file_list_free(&revisions);
    return status;
}

static Status visit_models(const char *folder, Found *found, Visit visit, void *ctx, Error *error) {
    FileList models;
    TRY(names_in(&models, folder, error));
    Status status = STATUS_OK;
    for (size_t i = 0; i < models.count && status == STATUS_OK; i++) {
        if (!id_from_folder(found->ref.id, models.names[i]))
            continue;
        char *path = path_join(folder, models.names[i]);
        status = path ? visit_revisions(path, found, visit, ctx, error)
                      : error_out_of_memory(error, PATH_SIZE);
        mem_free(path);
    }
    file_list_free(&models);
    return status;
}

static Status visit_cache(const Registry *registry, const char *only, Visit visit, void *ctx,
                          Error *error) {
    Found found = {0};
    if (only && strcmp(only, REGISTRY_NAME) != 0 && strcmp(only, "hf") != 0)
        return STATUS_OK;
    char *folder = path_join(registry->cache_dir, REGISTRY_NAME);
    if (!folder)
        return error_out_of_memory(error, PATH_SIZE);
    Status status = visit_models(folder, &found, visit, ctx, error);
    mem_free(folder);
    return status;
}

// ---- List ----

static Status list_one(void *ctx, const Found *found, Error *error) {
    return metadata_show(ctx, found->path, &found->ref, error);
}

Status registry_list(Buf *report, const Registry *registry, const char *only, Error *error) {
    JsonWriter writer = json_writer(report, 2);
    json_begin_array(&writer);
    Status status = visit_cache(registry, only, list_one, &writer, error);
    json_end_array(&writer);
    return status == STATUS_OK ? buf_status(report, error) : status;
}

// ---- Remove ----

typedef struct Victim {
    Stage stage; // names, the writer's lock, and in fd the locked folder
    ModelRef ref;
    uint64_t size;
    bool is_cached;
} Victim;

typedef struct Removal {
    Call *call;
    const RemoveOptions *options;
    const ModelRef *ref; // NULL: all
    Victim *victims;
    size_t count, cap;
} Removal;

static Status add_victim(Removal *removal, const ModelRef *ref, bool is_cached) {
    for (size_t i = 0; i < removal->count; i++)
        if (strcmp(removal->victims[i].ref.id, ref->id) == 0 &&
            strcmp(removal->victims[i].ref.revision, ref->revision) == 0)
            return STATUS_OK;
    if (removal->count == removal->cap) {
        size_t cap = removal->cap ? removal->cap * 2 : 8;
        Victim *victims = mem_realloc_array(removal->victims, cap, sizeof *victims);
        if (!victims)
            return call_out_of_memory(removal->call);
        removal->victims = victims;
        removal->cap = cap;
    }
    Victim *victim = &removal->victims[removal->count++];
    *victim = (Victim){.ref = *ref, .is_cached = is_cached, .stage = {.fd = -1, .lock = -1}};
    return cache_names(&victim->stage, removal->call, ref);
}

static bool is_meant(const Removal *removal, const ModelRef *ref) {
    if (!removal->ref)
        return true;
    return strcmp(removal->ref->id, ref->id) == 0 &&
           (!removal->ref->has_revision || strcmp(removal->ref->revision, ref->revision) == 0);
}

static Status find_cached(void *ctx, const Found *found, Error *error) {
    (void)error;
    Removal *removal = ctx;
    return is_meant(removal, &found->ref) ? add_victim(removal, &found->ref, true) : STATUS_OK;
}

// "huggingface--org--name--main": the revision follows the last "--", the id has at most one.
static bool ref_from_key(ModelRef *out, const char *key) {
    static const char HEAD[] = REGISTRY_NAME "--";
    *out = (ModelRef){0};
    if (strncmp(key, HEAD, sizeof HEAD - 1) != 0)
        return false;
    key += sizeof HEAD - 1;
    // A revision may contain "--", an id cannot: try the split after the first "--" for a bare id,
    // after the second for a namespace. The second wins: bare ids are rare.
    const char *first = strstr(key, "--");
    const char *second = first ? strstr(first + 2, "--") : NULL;
    const char *split = second ? second : first;
    if (!split || (size_t)(split - key) >= MODEL_ID_SIZE)
        return false;
    char id[MODEL_ID_SIZE];
    memcpy(id, key, (size_t)(split - key));
    id[split - key] = '\0';
    return id_from_folder(out->id, id) && revision_from_folder(out->revision, split + 2);
}

static Status find_staged(Removal *removal) {
    FileList names;
    Call *call = removal->call;
    char *folder = path_join(call->registry->cache_dir, ".staging");
    if (!folder)
        return call_out_of_memory(call);
    Status status = call_failed(call, REGISTRY_FAULT_LOCAL, names_in(&names, folder, call->error));
    for (size_t i = 0; i < names.count && status == STATUS_OK; i++) {
        ModelRef ref;
        if (ref_from_key(&ref, names.names[i]) && is_meant(removal, &ref))
            status = add_victim(removal, &ref, false);
    }
    file_list_free(&names);
    mem_free(folder);
    return status;
}

static Status in_use(Call *call, const Victim *victim, const char *how) {
    return call_fail(call, REGISTRY_FAULT_IN_USE, STATUS_INVALID,
                     "Model '%s' (%s) is %s; stop it first or use --force", victim->ref.id,
                     victim->ref.revision, how);
}

// Locks the victim against pulls and looks whether somebody holds its folder.
static Status lock_victim(Removal *removal, Victim *victim) {
    Call *call = removal->call;
    const char *cache_dir = call->registry->cache_dir;
    char locks[PATH_SIZE];
    snprintf(locks, sizeof locks, "%s/.locks", cache_dir);
    if (mkdir(locks, 0777) != 0 && errno != EEXIST)
        return cache_errno(call, errno, "cannot make folder", locks);
    victim->stage.lock = cache_try_lock(cache_dir, victim->stage.key);
    if (victim->stage.lock < 0 && errno != EWOULDBLOCK)
        return cache_errno(call, errno, "cannot lock", locks);
    if (victim->stage.lock < 0 && !removal->options->force)
        return in_use(call, victim, "being pulled");
    if (!victim->is_cached)
        return STATUS_OK;
    victim->stage.fd = open(victim->stage.target, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    if (victim->stage.fd < 0)
        return errno == ENOENT ? STATUS_OK
                               : cache_errno(call, errno, "cannot open", victim->stage.target);
    bool is_held = flock(victim->stage.fd, LOCK_EX | LOCK_NB) != 0 && errno == EWOULDBLOCK;
    return is_held && !removal->options->force ? in_use(call, victim, "in use") : STATUS_OK;
}

static Status remove_victim(Removal *removal, Victim *victim) {
    Call *call = removal->call;
    Stage *stage = &victim->stage;
    char aside[PATH_SIZE];
    char folder[PATH_SIZE];
    snprintf(folder, sizeof folder, "%s/.staging", stage->cache_dir);
    snprintf(aside, sizeof aside, "%s/.staging/.removed-%s-%ld", stage->cache_dir, stage->key,
             (long)gettid());
    if (mkdir(folder, 0777) != 0 && errno != EEXIST)
        return cache_errno(call, errno, "cannot make folder", folder);
    tree_remove(AT_FDCWD, aside, &victim->size);
    if (rename(stage->target, aside) != 0 && errno != ENOENT)
        return cache_errno(call, errno, "cannot remove", stage->target);
    int errno_value = tree_remove(AT_FDCWD, aside, &victim->size);
    if (errno_value == 0 && stage->lock >= 0)
        errno_value = tree_remove(AT_FDCWD, stage->path, &victim->size);
    if (errno_value != 0)
        return cache_errno(call, errno_value, "cannot remove", stage->target);
    // Both fail while something is left, which is right.
    (void)rmdir(stage->parent);
    return STATUS_OK;
}

static Status write_removed(Buf *report, const Removal *removal) {
    JsonWriter writer = json_writer(report, 2);
    json_begin_array(&writer);
    for (size_t i = 0; i < removal->count; i++) {
        json_begin_object(&writer);
        json_key(&writer, "model_id");
        json_write_cstr(&writer, removal->victims[i].ref.id);
        json_key(&writer, "revision");
        json_write_cstr(&writer, removal->victims[i].ref.revision);
        json_key(&writer, "size_bytes");
        json_write_u64(&writer, removal->victims[i].size);
        json_end_object(&writer);
    }
    json_end_array(&writer);
    return call_failed(removal->call, REGISTRY_FAULT_LOCAL,
                       buf_status(report, removal->call->error));
}

static Status remove_all(Buf *report, Removal *removal) {
    Call *call = removal->call;
    ModelRef ref;
    if (!removal->options->all) {
        TRY(reference_parse(&ref, call, removal->options->model ? removal->options->model : "",
                            NULL, removal->options->revision));
        removal->ref = &ref;
    }
    Status status = visit_cache(call->registry, NULL, find_cached, removal, call->error);
    TRY(call_failed(call, REGISTRY_FAULT_LOCAL, status));
    TRY(find_staged(removal));
    if (removal->count == 0 && removal->ref)
        return call_fail(call, REGISTRY_FAULT_MODEL_NOT_FOUND, STATUS_NOT_FOUND,
                         "Model '%s' is not cached", ref.id);
    for (size_t i = 0; i < removal->count; i++)
        TRY(lock_victim(removal, &removal->victims[i]));
    for (size_t i = 0; i < removal->count; i++)
        TRY(remove_victim(removal, &removal->victims[i]));
    return write_removed(report, removal);
}

Status registry_remove(Buf *report, RegistryFault *fault, const Registry *registry,
                       const RemoveOptions *options, Error *error) {
    Call call = {.registry = registry, .error = error};
    Removal removal = {.call = &call, .options = options};
    Status status = remove_all(report, &removal);
    for (size_t i = 0; i < removal.count; i++)
        cache_close(&removal.victims[i].stage);
    mem_free(removal.victims);
    call_end(&call, fault, status);
    return status;
}

// ---- Prune ----

typedef struct Prune {
    Call *call;
    uint64_t max_age_s;
    uint64_t freed;
    JsonWriter *writer;
    const char *model; // whose folder is being cleared, below the cache
} Prune;

static Status newest(void *ctx, const char *path, uint64_t size, int64_t mtime_ns) {
    (void)path;
    (void)size;
    int64_t *latest = ctx;
    *latest = mtime_ns > *latest ? mtime_ns : *latest;
    return STATUS_OK;
}

static bool is_old(int staging, const char *name, uint64_t max_age_s) {
    struct stat st;
    if (fstatat(staging, name, &st, AT_SYMLINK_NOFOLLOW) != 0)
        return false;
    int64_t latest = (int64_t)st.st_mtim.tv_sec * 1000000000;
    int fd = openat(staging, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    if (fd >= 0) {
        tree_walk(fd, newest, &latest, NULL);
        close(fd);
    }
    int64_t age = (int64_t)time(NULL) - latest / 1000000000;
    return age >= 0 && (uint64_t)age >= max_age_s;
}

static void prune_entry(Prune *prune, int staging, const char *name) {
    const char *cache_dir = prune->call->registry->cache_dir;
    static const char OLD[] = ".old-";
    bool is_old_copy = strncmp(name, OLD, sizeof OLD - 1) == 0;
    bool is_rubbish = strncmp(name, ".removed-", 9) == 0;
    int lock = -1;
    if (!is_rubbish) {
        const char *key = is_old_copy ? name + sizeof OLD - 1 : name;
        ModelRef ref;
        Stage stage = {0};
        lock = cache_try_lock(cache_dir, key);
        if (lock < 0)
            return;
        // A copy put aside may be the only one: it goes back first.
        if (is_old_copy && ref_from_key(&ref, key) &&
            cache_names(&stage, prune->call, &ref) == STATUS_OK)
            cache_mend(&stage);
        arena_free(&stage.arena);
    }
    uint64_t freed = 0;
    struct stat st;
    bool is_there = fstatat(staging, name, &st, AT_SYMLINK_NOFOLLOW) == 0;
    if (is_there && (is_rubbish || is_old_copy || is_old(staging, name, prune->max_age_s)) &&
        tree_remove(staging, name, &freed) == 0) {
        json_write_cstr(prune->writer, name);
        prune->freed += freed;
    }
    if (lock >= 0)
        close(lock);
}

// Removed while locked; who opened it before notices that the name is gone (cache_try_lock).
static void prune_lock(const char *folder, const char *name) {
    char path[PATH_SIZE];
    int len = snprintf(path, sizeof path, "%s/%s", folder, name);
    int fd =
        len > 0 && (size_t)len < sizeof path ? open(path, O_RDWR | O_CLOEXEC | O_NOFOLLOW) : -1;
    if (fd < 0)
        return;
    if (flock(fd, LOCK_EX | LOCK_NB) == 0)
        unlink(path);
    close(fd);
}

static void note_removed(void *ctx, const char *name, uint64_t bytes) {
    Prune *prune = ctx;
    char path[PATH_SIZE];
    snprintf(path, sizeof path, "%s/%s", prune->model, name);
    json_write_cstr(prune->writer, path);
    prune->freed += bytes;
}

// What starts left in the folder to be faster the next time. A process that has it mapped keeps it.
static Status prune_prepared(void *ctx, const Found *found, Error *error) {
    Prune *prune = ctx;
    char *folder = path_join(found->path, ".gpux");
    if (!folder)
        return error_out_of_memory(error, PATH_SIZE);
    prune->model = found->path + strlen(prune->call->registry->cache_dir) + 1;
    artifact_remove_all(folder, note_removed, prune);
    mem_free(folder);
    return STATUS_OK;
}

static Status prune_all(Prune *prune) {
    Call *call = prune->call;
    const char *cache_dir = call->registry->cache_dir;
    char staging_path[PATH_SIZE];
    char locks_path[PATH_SIZE];
    snprintf(staging_path, sizeof staging_path, "%s/.staging", cache_dir);
    snprintf(locks_path, sizeof locks_path, "%s/.locks", cache_dir);
    FileList names;
    TRY(call_failed(call, REGISTRY_FAULT_LOCAL, names_in(&names, staging_path, call->error)));
    int staging = open(staging_path, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    if (names.count > 0 && mkdir(locks_path, 0777) != 0 && errno != EEXIST) {
        int saved = errno;
        file_list_free(&names);
        close(staging);
        return cache_errno(call, saved, "cannot make folder", locks_path);
    }
    for (size_t i = 0; i < names.count && staging >= 0; i++)
        prune_entry(prune, staging, names.names[i]);
    if (staging >= 0)
        close(staging);
    file_list_free(&names);
    TRY(call_failed(call, REGISTRY_FAULT_LOCAL, names_in(&names, locks_path, call->error)));
    for (size_t i = 0; i < names.count; i++)
        prune_lock(locks_path, names.names[i]);
    file_list_free(&names);
    return call_failed(call, REGISTRY_FAULT_LOCAL,
                       visit_cache(call->registry, NULL, prune_prepared, prune, call->error));
}

Status registry_prune(Buf *report, RegistryFault *fault, const Registry *registry,
                      uint64_t max_age_s, Error *error) {
    Call call = {.registry = registry, .error = error};
    JsonWriter writer = json_writer(report, 2);
    Prune prune = {.call = &call, .max_age_s = max_age_s, .writer = &writer};
    json_begin_object(&writer);
    json_key(&writer, "removed");
    json_begin_array(&writer);
    Status status = prune_all(&prune);
    json_end_array(&writer);
    json_key(&writer, "freed_bytes");
    json_write_u64(&writer, prune.freed);
    json_end_object(&writer);
    if (status == STATUS_OK)
        status = buf_status(report, error);
    call_end(&call, fault, status);
    return status;
}
