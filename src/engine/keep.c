// Where the prepared weights of a model are kept: in `.gpux/` beside model.onnx, with the files
// that they were made from.
#include "engine/private.h"

static const char *in_folder(Arena *arena, const char *folder, const char *name) {
    return arena_printf(arena, "%s/%s", folder, name);
}

// A bare .onnx file may lie anywhere; nothing is left beside it.
static bool is_model_folder(const char *folder) {
    static const char *const marks[] = {"gpux.yml", "metadata.json"};
    bool found = false;
    for (size_t i = 0; i < sizeof marks / sizeof marks[0]; i++) {
        char *path = path_join(folder, marks[i]);
        found = found || (path && file_is_regular(path));
        mem_free(path);
    }
    return found;
}

static Status list_sources(KeepOptions *out, Arena *arena, const Model *model, const char *path,
                           const char *folder, Error *error) {
    size_t count = onnx_source_count(model->onnx);
    const char **sources = arena_alloc_array(arena, count, sizeof *sources);
    FileStat *stats = arena_alloc_array(arena, count, sizeof *stats);
    if (!sources || !stats)
        return error_out_of_memory(error, count);
    for (size_t i = 0; i < count; i++) {
        const char *name;
        stats[i] = *onnx_source(model->onnx, i, &name);
        sources[i] = i == 0 ? path : in_folder(arena, folder, name);
        if (!sources[i])
            return error_out_of_memory(error, count);
    }
    out->sources = sources;
    out->stats = stats;
    out->n_sources = count;
    return STATUS_OK;
}

Status keep_place(KeepOptions *out, Arena *arena, const Model *model, const char *path,
                  KeepMode mode, Error *error) {
    *out = (KeepOptions){.precision = model->precision, .is_always = mode == KEEP_ALWAYS};
    char *folder = path_dirname(path);
    if (!folder)
        return error_out_of_memory(error, strlen(path));
    Status status = STATUS_OK;
    if (mode == KEEP_ALWAYS || (mode == KEEP_AUTO && is_model_folder(folder))) {
        out->folder = in_folder(arena, folder, ".gpux");
        status = out->folder ? list_sources(out, arena, model, path, folder, error)
                             : error_out_of_memory(error, strlen(path));
    }
    mem_free(folder);
    return status;
}
