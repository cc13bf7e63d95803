// metadata.json: what a cached revision says of itself. Three writers meet in it (the hub, the
// pull, and the conversion); readers survive its absence and its damage.
#include "registry/private.h"

#include "base/clock.h"
#include "base/file.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

enum { METADATA_MAX = 16 << 20 };

// Keys that the pull writes itself; what `finish` wrote under them is replaced.
static const char *const OWN_KEYS[] = {
    "schema",    "registry",     "model_id",   "revision",    "commit",
    "files",     "file_info",    "size_bytes", "tags",        "metadata",
    "pulled_at", "last_used_at", "complete",   "pull_time_s", "convert_time_s",
};

static bool is_own(StrView key) {
    for (size_t i = 0; i < sizeof OWN_KEYS / sizeof *OWN_KEYS; i++)
        if (sv_equal_cstr(key, OWN_KEYS[i]))
            return true;
    return false;
}

// ---- Files of a folder ----

typedef struct FileEntry {
    char *path;
    uint64_t size;
} FileEntry;

typedef struct Files {
    Arena arena;
    FileEntry *entries;
    size_t count, cap;
    uint64_t bytes;
} Files;

static Status add_file(void *ctx, const char *path, uint64_t size, int64_t mtime_ns) {
    (void)mtime_ns;
    Files *files = ctx;
    if (strcmp(path, METADATA_FILE) == 0 || strncmp(path, ".gpux", 5) == 0)
        return STATUS_OK;
    if (files->count == files->cap) {
        size_t cap = files->cap ? files->cap * 2 : 32;
        FileEntry *entries = mem_realloc_array(files->entries, cap, sizeof *entries);
        if (!entries)
            return STATUS_OUT_OF_MEMORY;
        files->entries = entries;
        files->cap = cap;
    }
    char *copy = arena_strdup(&files->arena, path);
    if (!copy)
        return STATUS_OUT_OF_MEMORY;
    files->entries[files->count++] = (FileEntry){.path = copy, .size = size};
    files->bytes += size;
    return STATUS_OK;
}

static int compare_entries(const void *a, const void *b) {
    return strcmp(((const FileEntry *)a)->path, ((const FileEntry *)b)->path);
}

static Status list_files(Files *out, int fd, Error *error) {
    *out = (Files){0};
    Status status = tree_walk(fd, add_file, out, error);
    if (status == STATUS_OUT_OF_MEMORY)
        error_out_of_memory(error, 0);
    if (out->count > 1)
        qsort(out->entries, out->count, sizeof *out->entries, compare_entries);
    return status;
}

static void files_free(Files *files) {
    mem_free(files->entries);
    arena_free(&files->arena);
    *files = (Files){0};
}

static void write_files(JsonWriter *writer, const Files *files, const HubModel *model) {
    json_key(writer, "files");
    json_begin_object(writer);
    for (size_t i = 0; i < files->count; i++) {
        json_key(writer, files->entries[i].path);
        json_write_cstr(writer, files->entries[i].path);
    }
    json_end_object(writer);
    if (!model)
        return;
    json_key(writer, "file_info");
    json_begin_object(writer);
    for (size_t i = 0; i < files->count; i++) {
        const HubFile *file = hub_model_find(model, files->entries[i].path);
        bool is_fetched = file && file->is_needed;
        json_key(writer, files->entries[i].path);
        json_begin_object(writer);
        json_key(writer, "size");
        json_write_u64(writer, files->entries[i].size);
        json_key(writer, "sha256");
        json_write_cstr(writer, is_fetched && strlen(file->hash) == 64 ? file->hash : NULL);
        json_key(writer, "etag");
        json_write_cstr(writer, is_fetched && file->hash[0] ? file->hash : NULL);
        json_end_object(writer);
    }
    json_end_object(writer);
}

// ---- Writing ----

static void write_member(JsonWriter *writer, const char *key, const JsonValue *value) {
    json_key(writer, key);
    if (value)
        json_write_value(writer, value);
    else
        json_write_null(writer);
}

static void write_hub_facts(JsonWriter *writer, const HubModel *model) {
    const JsonValue *tags = json_get(model->root, "tags");
    json_key(writer, "tags");
    if (json_kind(tags) == JSON_ARRAY) {
        json_write_value(writer, tags);
    } else {
        json_begin_array(writer);
        json_end_array(writer);
    }
    json_key(writer, "metadata");
    json_begin_object(writer);
    write_member(writer, "pipeline_tag", json_get(model->root, "pipeline_tag"));
    write_member(writer, "library_name", json_get(model->root, "library_name"));
    write_member(writer, "downloads", json_get(model->root, "downloads"));
    write_member(writer, "last_modified", json_get(model->root, "lastModified"));
    json_end_object(writer);
}

static void write_identity(JsonWriter *writer, const ModelRef *ref, const char *commit) {
    json_key(writer, "schema");
    json_write_i64(writer, 1);
    json_key(writer, "registry");
    json_write_cstr(writer, REGISTRY_NAME);
    json_key(writer, "model_id");
    json_write_cstr(writer, ref->id);
    json_key(writer, "revision");
    json_write_cstr(writer, ref->revision);
    json_key(writer, "commit");
    json_write_cstr(writer, commit);
}

static void write_times(JsonWriter *writer, const Metadata *metadata) {
    char now[32];
    clock_utc_iso8601(now);
    json_key(writer, "pulled_at");
    json_write_cstr(writer, now);
    json_key(writer, "last_used_at");
    json_write_cstr(writer, now);
    json_key(writer, "pull_time_s");
    json_write_fixed(writer, metadata->pull_time_s, 3);
    json_key(writer, "convert_time_s");
    json_write_fixed(writer, metadata->convert_time_s, 3);
    json_key(writer, "complete");
    json_write_bool(writer, metadata->has_finished);
}

// What only `finish` can know, or else the hub's guess.
static void write_rest(JsonWriter *writer, const Metadata *metadata, const JsonValue *finished) {
    const JsonValue *root = metadata->model->root;
    if (!json_get(finished, "format")) {
        json_key(writer, "format");
        json_write_cstr(writer, metadata->source_format);
    }
    if (!json_get(finished, "source_format")) {
        json_key(writer, "source_format");
        json_write_cstr(writer, metadata->source_format);
    }
    if (!json_get(finished, "task"))
        write_member(writer, "task", json_get(root, "pipeline_tag"));
    if (!json_get(finished, "description")) {
        json_key(writer, "description");
        json_write_cstr(writer, json_cstr_or(json_get(root, "cardData"), "description",
                                             "Converted model from huggingface"));
    }
    size_t iterator = 0;
    StrView key;
    const JsonValue *value;
    while (json_next(finished, &iterator, &key, &value)) {
        if (is_own(key))
            continue;
        json_key_sv(writer, key);
        json_write_value(writer, value);
    }
}

Status metadata_write(const Stage *stage, Call *call, const Metadata *metadata,
                      uint64_t *size_bytes, size_t *count) {
    Files files;
    Buf out = BUF_INIT(METADATA_MAX);
    JsonDoc *finished = NULL;
    char *path = path_join(stage->path, METADATA_FILE);
    Status status = path ? STATUS_OK : call_out_of_memory(call);
    // Damage in it is the same as absence.
    if (status == STATUS_OK && metadata->has_finished && file_is_regular(path) &&
        json_parse_file(&finished, path, METADATA_MAX, 0, NULL) != STATUS_OK)
        finished = NULL;
    Status listed = list_files(&files, stage->fd, call->error);
    if (status == STATUS_OK)
        status = call_failed(call, REGISTRY_FAULT_LOCAL, listed);
    if (status == STATUS_OK) {
        JsonWriter writer = json_writer(&out, 2);
        json_begin_object(&writer);
        write_identity(&writer, metadata->ref, metadata->model->commit);
        write_rest(&writer, metadata, json_root(finished));
        json_key(&writer, "size_bytes");
        json_write_u64(&writer, files.bytes);
        write_files(&writer, &files, metadata->model);
        write_hub_facts(&writer, metadata->model);
        write_times(&writer, metadata);
        json_end_object(&writer);
        buf_append_byte(&out, '\n');
        status = buf_status(&out, call->error);
        if (status == STATUS_OK)
            status = file_write_atomic(path, out.ptr, out.len, call->error);
        call_failed(call, REGISTRY_FAULT_LOCAL, status);
        *size_bytes = files.bytes;
        *count = files.count;
    }
    json_free(finished);
    files_free(&files);
    buf_free(&out);
    mem_free(path);
    return status;
}

// ---- Reading ----

static Status open_folder(int *fd, const char *folder, Error *error) {
    *fd = open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    return *fd >= 0 ? STATUS_OK : error_errno(error, errno, "cannot open folder", folder);
}

// The parsed metadata.json, or NULL when it cannot be used.
static Status read_metadata(JsonDoc **out, const char *folder, Error *error) {
    *out = NULL;
    char *path = path_join(folder, METADATA_FILE);
    if (!path)
        return error_out_of_memory(error, strlen(folder) + 32);
    Status status = STATUS_OK;
    if (file_is_regular(path)) {
        status = json_parse_file(out, path, METADATA_MAX, 0, error);
        if (status != STATUS_OK && status != STATUS_OUT_OF_MEMORY)
            status = STATUS_OK;
        if (*out && json_kind(json_root(*out)) != JSON_OBJECT) {
            json_free(*out);
            *out = NULL;
        }
    }
    mem_free(path);
    return status;
}

static bool has_file(int fd, const char *name) {
    int file = tree_open_file(fd, name, O_RDONLY);
    if (file >= 0)
        close(file);
    return file >= 0;
}

static const char *guess_format(int fd) {
    if (has_file(fd, "model.onnx"))
        return "onnx";
    return has_file(fd, "pytorch_model.bin") ? "pytorch" : "safetensors";
}

Status metadata_look(CachedCopy *out, const char *folder, Error *error) {
    *out = (CachedCopy){0};
    if (!file_is_dir(folder))
        return STATUS_OK;
    int fd;
    TRY(open_folder(&fd, folder, error));
    Files files;
    JsonDoc *doc = NULL;
    Status status = list_files(&files, fd, error);
    if (status == STATUS_OK)
        status = read_metadata(&doc, folder, error);
    const JsonValue *root = json_root(doc);
    const char *commit = json_cstr_or(root, "commit", "");
    out->exists = true;
    out->is_converted = has_file(fd, CONFIG_FILE);
    out->size_bytes = files.bytes;
    out->files = files.count;
    if (is_commit(commit) && json_bool_or(root, "complete", false))
        snprintf(out->commit, sizeof out->commit, "%s", commit);
    snprintf(out->task, sizeof out->task, "%s", json_cstr_or(root, "task", ""));
    snprintf(out->format, sizeof out->format, "%s", json_cstr_or(root, "format", guess_format(fd)));
    json_free(doc);
    files_free(&files);
    close(fd);
    return status;
}

static Status show_rebuilt(JsonWriter *writer, int fd, const ModelRef *ref, Error *error) {
    Files files;
    Status status = list_files(&files, fd, error);
    if (status == STATUS_OK) {
        write_identity(writer, ref, NULL);
        json_key(writer, "format");
        json_write_cstr(writer, guess_format(fd));
        json_key(writer, "size_bytes");
        json_write_u64(writer, files.bytes);
        write_files(writer, &files, NULL);
    }
    files_free(&files);
    return status;
}

Status metadata_show(JsonWriter *writer, const char *folder, const ModelRef *ref, Error *error) {
    int fd;
    TRY(open_folder(&fd, folder, error));
    JsonDoc *doc = NULL;
    Status status = read_metadata(&doc, folder, error);
    json_begin_object(writer);
    size_t iterator = 0;
    StrView key;
    const JsonValue *value;
    while (json_next(json_root(doc), &iterator, &key, &value)) {
        if (sv_equal_cstr(key, "path") || sv_equal_cstr(key, "is_converted"))
            continue;
        json_key_sv(writer, key);
        json_write_value(writer, value);
    }
    if (!doc && status == STATUS_OK)
        status = show_rebuilt(writer, fd, ref, error);
    json_key(writer, "path");
    json_write_cstr(writer, folder);
    json_key(writer, "is_converted");
    json_write_bool(writer, has_file(fd, CONFIG_FILE));
    json_end_object(writer);
    json_free(doc);
    close(fd);
    return status;
}
