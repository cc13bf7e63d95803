// Opens a checkpoint folder: one safetensors file, or shards listed by an index.
//
// File names in the index are data from outside: they must be plain names inside the folder. Every
// tensor that the index names must be in the shard it says; no name may appear twice.
#include "checkpoint/checkpoint.h"

#include "base/checked.h"
#include "base/json.h"
#include "base/memory.h"
#include "checkpoint/safetensors.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

enum {
    MAX_INDEX_BYTES = 100 * 1000 * 1000,
    MAX_SHARDS = 1024,
    NAME_SHOWN = 200,
};

static_assert(__BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__, "tensor bytes are used as they lie");

#define SINGLE_FILE "model.safetensors"
#define INDEX_FILE "model.safetensors.index.json"

struct Checkpoint {
    Arena arena;
    TensorList tensors; // sorted by name
    const char **files; // in the arena, sorted
    FileMap *maps;      // one per file
    size_t file_count;
    size_t mapped; // maps[0 .. mapped) are open
    uint64_t parameters;
};

static int shown(StrView text) {
    return text.len < NAME_SHOWN ? (int)text.len : NAME_SHOWN;
}

static bool is_plain_name(StrView name) {
    return path_is_inside(name) && !memchr(name.ptr, '/', name.len) && !sv_equal_cstr(name, ".");
}

static int by_text(const void *a, const void *b) {
    return strcmp(*(const char *const *)a, *(const char *const *)b);
}

static int by_name(const void *a, const void *b) {
    const CheckpointTensor *x = a, *y = b;
    return strcmp(x->name, y->name);
}

static Status alloc_files(Checkpoint *checkpoint, size_t count, Error *error) {
    checkpoint->files = arena_alloc_array(&checkpoint->arena, count, sizeof *checkpoint->files);
    checkpoint->maps = arena_alloc_array(&checkpoint->arena, count, sizeof *checkpoint->maps);
    if (!checkpoint->files || !checkpoint->maps)
        return error_out_of_memory(error, count * sizeof *checkpoint->maps);
    return STATUS_OK;
}

static bool has_file(const Checkpoint *checkpoint, StrView name) {
    for (size_t i = checkpoint->file_count; i > 0; i--) {
        if (sv_equal_cstr(name, checkpoint->files[i - 1]))
            return true;
    }
    return false;
}

// Collects the distinct shard names of the index, sorted.
static Status list_shards(Checkpoint *checkpoint, const JsonValue *weight_map, Error *error) {
    if (json_kind(weight_map) != JSON_OBJECT || json_len(weight_map) == 0)
        return error_set(error, STATUS_CORRUPT, "no \"weight_map\" with tensors");
    TRY(alloc_files(checkpoint, MAX_SHARDS, error));
    size_t iterator = 0;
    StrView tensor, file;
    const JsonValue *value;
    while (json_next(weight_map, &iterator, &tensor, &value)) {
        if (!json_as_string(&file, value))
            return error_set(error, STATUS_CORRUPT, "the file of tensor \"%.*s\" is not a string",
                             shown(tensor), tensor.ptr);
        if (!is_plain_name(file))
            return error_set(error, STATUS_CORRUPT,
                             "tensor \"%.*s\": '%.*s' is not the name of a file in the folder",
                             shown(tensor), tensor.ptr, shown(file), file.ptr);
        if (has_file(checkpoint, file))
            continue;
        if (checkpoint->file_count == MAX_SHARDS)
            return error_set(error, STATUS_LIMIT, "more than %d shards", MAX_SHARDS);
        const char *copy = arena_strndup(&checkpoint->arena, file.ptr, file.len);
        if (!copy)
            return error_out_of_memory(error, file.len + 1);
        checkpoint->files[checkpoint->file_count++] = copy;
    }
    qsort(checkpoint->files, checkpoint->file_count, sizeof *checkpoint->files, by_text);
    return STATUS_OK;
}

static Status read_files(Checkpoint *checkpoint, const char *folder, Error *error) {
    for (size_t i = 0; i < checkpoint->file_count; i++) {
        const char *file = checkpoint->files[i];
        char *path = path_join(folder, file);
        if (!path)
            return error_out_of_memory(error, strlen(folder) + strlen(file) + 2);
        Status status = file_map(&checkpoint->maps[i], path, error);
        mem_free(path);
        TRY(status);
        checkpoint->mapped++;
        status = safetensors_read(&checkpoint->tensors, &checkpoint->arena, &checkpoint->maps[i],
                                  file, error);
        if (status != STATUS_OK)
            return error_prefix(error, status, "%s", file);
    }
    return STATUS_OK;
}

// Sorts by name, refuses names that two shards claim, and sums up the parameters.
static Status sort_tensors(Checkpoint *checkpoint, Error *error) {
    CheckpointTensor *items = checkpoint->tensors.items;
    size_t count = checkpoint->tensors.count;
    if (count > 0)
        qsort(items, count, sizeof *items, by_name);
    for (size_t i = 0; i < count; i++) {
        if (i > 0 && strcmp(items[i - 1].name, items[i].name) == 0)
            return error_set(error, STATUS_CORRUPT, "tensor \"%.*s\" is both in %s and in %s",
                             shown(sv(items[i].name)), items[i].name, items[i - 1].file,
                             items[i].file);
        // Cannot overflow: ranges do not overlap inside mapped files.
        checkpoint->parameters += items[i].size / dtype_size(items[i].dtype);
    }
    return STATUS_OK;
}

// Binary search; a name with a NUL inside equals no tensor's.
static const CheckpointTensor *find_tensor(const TensorList *list, StrView name) {
    size_t low = 0, high = list->count;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        StrView here = sv(list->items[middle].name);
        size_t common = here.len < name.len ? here.len : name.len;
        int order = common > 0 ? memcmp(here.ptr, name.ptr, common) : 0;
        if (order == 0)
            order = (here.len > name.len) - (here.len < name.len);
        if (order == 0)
            return &list->items[middle];
        if (order < 0)
            low = middle + 1;
        else
            high = middle;
    }
    return NULL;
}

static Status check_index(const Checkpoint *checkpoint, const JsonValue *weight_map, Error *error) {
    size_t iterator = 0;
    StrView name, file;
    const JsonValue *value;
    while (json_next(weight_map, &iterator, &name, &value)) {
        const CheckpointTensor *tensor = find_tensor(&checkpoint->tensors, name);
        if (!json_as_string(&file, value) || !tensor || !sv_equal_cstr(file, tensor->file))
            return error_set(error, STATUS_CORRUPT, INDEX_FILE ": tensor \"%.*s\" is not in %.*s",
                             shown(name), name.ptr, shown(file), file.ptr);
    }
    return STATUS_OK;
}

static Status open_single(Checkpoint *checkpoint, const char *folder, Error *error) {
    TRY(alloc_files(checkpoint, 1, error));
    checkpoint->files[0] = SINGLE_FILE;
    checkpoint->file_count = 1;
    TRY(read_files(checkpoint, folder, error));
    return sort_tensors(checkpoint, error);
}

static Status open_shards(Checkpoint *checkpoint, const char *folder, const char *index_path,
                          Error *error) {
    JsonDoc *doc = NULL;
    TRY(json_parse_file(&doc, index_path, MAX_INDEX_BYTES, JSON_REJECT_DUPLICATES, error));
    const JsonValue *weight_map = json_get(json_root(doc), "weight_map");
    Status status = list_shards(checkpoint, weight_map, error);
    if (status != STATUS_OK) {
        error_prefix(error, status, INDEX_FILE);
        goto done;
    }
    TRY_DONE(read_files(checkpoint, folder, error));
    TRY_DONE(sort_tensors(checkpoint, error));
    TRY_DONE(check_index(checkpoint, weight_map, error));
done:
    json_free(doc);
    return status;
}

Status checkpoint_open(Checkpoint **out, const char *folder, Error *error) {
    *out = NULL;
    Status status = STATUS_OK;
    Checkpoint *checkpoint = mem_alloc_zero(1, sizeof *checkpoint);
    char *single = path_join(folder, SINGLE_FILE);
    char *index = path_join(folder, INDEX_FILE);
    if (!checkpoint || !single || !index)
        status = error_out_of_memory(error, sizeof *checkpoint);
    else if (file_is_regular(single))
        status = open_single(checkpoint, folder, error);
    else if (file_is_regular(index))
        status = open_shards(checkpoint, folder, index, error);
    else
        status =
            error_set(error, STATUS_NOT_FOUND,
                      "no weights in '%s': looked for " SINGLE_FILE " and " INDEX_FILE, folder);
    mem_free(single);
    mem_free(index);
    if (status == STATUS_OK)
        *out = checkpoint;
    else
        checkpoint_close(checkpoint);
    return status;
}

void checkpoint_close(Checkpoint *checkpoint) {
    if (!checkpoint)
        return;
    for (size_t i = 0; i < checkpoint->mapped; i++)
        file_unmap(&checkpoint->maps[i]);
    mem_free(checkpoint->tensors.items);
    arena_free(&checkpoint->arena);
    mem_free(checkpoint);
}

size_t checkpoint_count(const Checkpoint *checkpoint) {
    return checkpoint->tensors.count;
}

const CheckpointTensor *checkpoint_at(const Checkpoint *checkpoint, size_t index) {
    assert(index < checkpoint->tensors.count);
    return &checkpoint->tensors.items[index];
}

const CheckpointTensor *checkpoint_find(const Checkpoint *checkpoint, const char *name) {
    return find_tensor(&checkpoint->tensors, sv(name));
}

const char *checkpoint_format(const Checkpoint *checkpoint) {
    (void)checkpoint;
    return "safetensors";
}

size_t checkpoint_file_count(const Checkpoint *checkpoint) {
    return checkpoint->file_count;
}

const char *checkpoint_file(const Checkpoint *checkpoint, size_t index) {
    assert(index < checkpoint->file_count);
    return checkpoint->files[index];
}

uint64_t checkpoint_parameters(const Checkpoint *checkpoint) {
    return checkpoint->parameters;
}
