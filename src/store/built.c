// The folder .gpux of a project: what `build` leaves there for later runs.
//
// Nothing in it is needed: a file that is missing, damaged or of another time is passed over.
#include "store/private.h"

#include "base/file.h"

#include <limits.h>
#include <stdio.h>

#define PROVIDER_FILE "provider_info.json"

static char *built_path(const char *folder, const char *name) {
    char *built = path_join(folder, BUILT_FOLDER);
    char *path = built ? path_join(built, name) : NULL;
    mem_free(built);
    return path;
}

Status built_write(const char *folder, const char *name, const Buf *text, Error *error) {
    TRY(buf_status(text, error));
    char *built = path_join(folder, BUILT_FOLDER);
    char *path = built_path(folder, name);
    Status status =
        built && path ? file_make_dirs(built, error) : error_out_of_memory(error, strlen(folder));
    if (status == STATUS_OK)
        status = file_write_atomic(path, text->ptr, text->len, error);
    mem_free(built);
    mem_free(path);
    return status;
}

Status built_read(JsonDoc **out, const char *folder, const char *name, Error *error) {
    char *built = path_join(folder, BUILT_FOLDER);
    *out = NULL;
    if (!built)
        return error_out_of_memory(error, strlen(folder));
    Status status = folder_json(out, built, name, error);
    mem_free(built);
    return status;
}

char *built_provider(const char *folder) {
    JsonDoc *doc = NULL;
    if (built_read(&doc, folder, PROVIDER_FILE, NULL) != STATUS_OK)
        return NULL;
    const char *requested = json_cstr_or(json_root(doc), "requested", NULL);
    char *copy = requested ? mem_strdup(requested) : NULL;
    json_free(doc);
    return copy;
}

Status built_write_list(JsonWriter *writer, const char *folder, Error *error) {
    char *built = path_join(folder, BUILT_FOLDER);
    FileList names = {0};
    Status status = built ? STATUS_OK : error_out_of_memory(error, strlen(folder));
    if (status == STATUS_OK && file_is_dir(built))
        status = file_list(&names, built, error);
    json_begin_array(writer);
    for (size_t i = 0; i < names.count && status == STATUS_OK; i++) {
        char *path = path_join(built, names.names[i]);
        if (!path)
            status = error_out_of_memory(error, strlen(built));
        else if (file_is_regular(path))
            json_write_cstr(writer, path);
        mem_free(path);
    }
    json_end_array(writer);
    file_list_free(&names);
    mem_free(built);
    return status;
}
