// What a provider must know to keep prepared weights: where, and the files that they are made from.
#include "engine/private.h"

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
        sources[i] = i == 0 ? path : arena_printf(arena, "%s/%s", folder, name);
        if (!sources[i])
            return error_out_of_memory(error, count);
    }
    out->sources = sources;
    out->stats = stats;
    out->n_sources = count;
    return STATUS_OK;
}

Status keep_options(KeepOptions *out, Arena *arena, const Model *model, const char *path,
                    const EngineOptions *options, Error *error) {
    *out = (KeepOptions){.folder = options->kept_folder,
                         .precision = model->precision,
                         .is_always = options->keeps_always};
    if (!out->folder)
        return STATUS_OK;
    char *folder = path_dirname(path);
    Status status = folder ? list_sources(out, arena, model, path, folder, error)
                           : error_out_of_memory(error, strlen(path));
    mem_free(folder);
    return status;
}
