// The cache's folders: <root>/<registry>/<org>--<name>/<revision>/, and flat folders made by hand.
//
// Only names and what stands in a folder are looked at. Folders that begin with "." are the cache's
// own (.staging, .locks) and hold no models.
#include "store/private.h"

#include "base/file.h"

#include <stdio.h>
#include <time.h>

enum { MAX_CACHED = 100000 };

// ---- Names of folders ----

// "org--name" → "org/name"; a bare name has no "--".
static char *decode_id(Arena *arena, const char *folder) {
    char *id = arena_strdup(arena, folder);
    char *dashes = id ? strstr(id, "--") : NULL;
    if (dashes) {
        *dashes = '/';
        memmove(dashes + 1, dashes + 2, strlen(dashes + 2) + 1);
    }
    return id;
}

static int hex_value(char c) {
    return c >= '0' && c <= '9'   ? c - '0'
           : c >= 'A' && c <= 'F' ? c - 'A' + 10
           : c >= 'a' && c <= 'f' ? c - 'a' + 10
                                  : -1;
}

// "refs%2Fpr%2F1" → "refs/pr/1".
static char *decode_revision(Arena *arena, const char *folder) {
    char *out = arena_strdup(arena, folder);
    char *used = out;
    for (const char *c = out; out && *c; c++) {
        bool is_escape = c[0] == '%' && c[1] && hex_value(c[1]) >= 0 && hex_value(c[2]) >= 0;
        int code = is_escape ? hex_value(c[1]) * 16 + hex_value(c[2]) : *c;
        *used++ = (char)(code ? code : '%');
        c += is_escape ? 2 : 0;
    }
    if (out)
        *used = '\0';
    return out;
}

// ---- The walk ----

static Status add_model(CacheList *list, const CachedModel *model, Error *error) {
    if (list->count == MAX_CACHED)
        return error_set(error, STATUS_LIMIT, "more than %d models in the cache", MAX_CACHED);
    if (list->count == list->cap) {
        size_t cap = list->cap ? list->cap * 2 : 16;
        CachedModel *items = mem_realloc_array(list->items, cap, sizeof *items);
        if (!items)
            return error_out_of_memory(error, cap * sizeof *items);
        list->items = items;
        list->cap = cap;
    }
    list->items[list->count++] = *model;
    return STATUS_OK;
}

// Adds `folder` when it is a model; *is_model tells.
static Status try_folder(CacheList *list, const CachedModel *model, const char *config,
                         bool *is_model, Error *error) {
    CachedModel found = *model;
    found.has_config = folder_has(found.folder, config);
    found.has_model = folder_has(found.folder, MODEL_FILE);
    *is_model = found.has_config ||
                (found.revision && (found.has_model || folder_has(found.folder, "config.json") ||
                                    folder_has(found.folder, METADATA_FILE)));
    return *is_model ? add_model(list, &found, error) : STATUS_OK;
}

typedef struct Walk {
    CacheList *list;
    const char *config;
    const char *registry, *id; // NULL above their level
    Error *error;
} Walk;

static Status walk_folder(const Walk *walk, const char *folder);

static Status visit(const Walk *walk, const char *folder, const char *name) {
    Arena *arena = &walk->list->arena;
    const char *path = arena_printf(arena, "%s/%s", folder, name);
    if (!path)
        return error_out_of_memory(walk->error, strlen(folder) + strlen(name) + 2);
    if (name[0] == '.' || !file_is_dir(path))
        return STATUS_OK;
    CachedModel model = {.registry = walk->registry, .folder = path};
    model.revision = walk->id ? decode_revision(arena, name) : NULL;
    model.id = walk->id ? walk->id : arena_strdup(arena, name);
    if (!model.id || (walk->id && !model.revision))
        return error_out_of_memory(walk->error, strlen(name) + 1);
    bool is_model;
    TRY(try_folder(walk->list, &model, walk->config, &is_model, walk->error));
    if (walk->id || is_model)
        return STATUS_OK;
    Walk below = *walk;
    if (!walk->registry)
        below.registry = model.id;
    else
        below.id = decode_id(arena, name);
    if (walk->registry && !below.id)
        return error_out_of_memory(walk->error, strlen(name) + 1);
    return walk_folder(&below, path);
}

static Status walk_folder(const Walk *walk, const char *folder) {
    FileList names;
    Status status = file_list(&names, folder, walk->error);
    // A folder that is gone or closed to us holds nothing for us.
    if (status != STATUS_OK)
        return status == STATUS_OUT_OF_MEMORY ? status : STATUS_OK;
    for (size_t i = 0; i < names.count && status == STATUS_OK; i++)
        status = visit(walk, folder, names.names[i]);
    file_list_free(&names);
    return status;
}

Status cache_list(CacheList *list, const char *root, const char *config, Error *error) {
    Walk walk = {.list = list, .config = config, .error = error};
    return walk_folder(&walk, root);
}

Status cache_read_names(CacheList *list, const char *config, Error *error) {
    for (size_t i = 0; i < list->count; i++) {
        CachedModel *model = &list->items[i];
        if (!model->has_config || model->name)
            continue;
        char *path = path_join(model->folder, config);
        if (!path)
            return error_out_of_memory(error, strlen(model->folder));
        char *name = project_peek_name(path);
        mem_free(path);
        model->name = name ? arena_strdup(&list->arena, name) : NULL;
        bool is_lost = name && !model->name;
        mem_free(name);
        if (is_lost)
            return error_out_of_memory(error, 64);
    }
    return STATUS_OK;
}

void cache_list_free(CacheList *list) {
    mem_free(list->items);
    arena_free(&list->arena);
    *list = (CacheList){0};
}

Status cache_pulled_at(char out[32], const CachedModel *model, Error *error) {
    JsonDoc *doc = NULL;
    TRY(folder_metadata(&doc, model->folder, error));
    const char *stamp = json_cstr_or(json_root(doc), "pulled_at", "");
    snprintf(out, 32, "%.31s", stamp);
    json_free(doc);
    FileStat stat;
    struct tm parts;
    if (out[0] == '\0' && file_stat(&stat, model->folder)) {
        time_t seconds = (time_t)(stat.mtime_ns / 1000000000);
        if (gmtime_r(&seconds, &parts))
            (void)strftime(out, 32, "%Y-%m-%dT%H:%M:%SZ", &parts);
    }
    return STATUS_OK;
}
