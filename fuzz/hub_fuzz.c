// Any bytes as what a hub sends: header lines up to an empty line, then JSON, which is read as a
// model's description, as a tree listing and as an index of shards.
#include "registry/private.h"

#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void require(bool is_true) {
    if (!is_true)
        abort();
}

static size_t read_headers(StrView text) {
    HubHeaders *headers = mem_alloc_zero(1, sizeof *headers);
    size_t at = 0;
    answer_header(headers, SV("HTTP/1.1 200"));
    while (at < text.len) {
        const char *end = memchr(text.ptr + at, '\n', text.len - at);
        size_t len = end ? (size_t)(end - text.ptr) - at : text.len - at;
        if (len > 0)
            answer_header(headers, sv_n(text.ptr + at, len));
        at += len + 1;
        if (len == 0)
            break;
    }
    require(headers->linked_size >= LIMIT_UNKNOWN && headers->content_length >= LIMIT_UNKNOWN);
    require(headers->etag[0] == '\0' || is_hex(sv(headers->etag)));
    require(headers->commit[0] == '\0' || is_commit(headers->commit));
    require(strlen(headers->location) < ADDRESS_SIZE && strlen(headers->next) < ADDRESS_SIZE);
    mem_free(headers);
    return at < text.len ? at : text.len;
}

static void read_model(StrView json) {
    HubModel model = {0};
    const char *format;
    if (answer_model(&model, json, NULL) == STATUS_OK) {
        (void)needed_mark(&model, &format, NULL, json.len % 2 == 1, NULL);
        (void)needed_index(&model);
        (void)needed_mark_shards(&model, json, NULL);
        (void)answer_tree(&model, json, NULL);
        for (size_t i = 0; i < model.file_count; i++) {
            const HubFile *file = &model.files[i];
            require(is_safe_path(sv(file->path)) && file->size >= LIMIT_UNKNOWN);
            require(i == 0 || strcmp(model.files[i - 1].path, file->path) < 0);
            require(hub_model_find(&model, file->path) == file);
        }
    }
    hub_model_free(&model);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    StrView text = sv_n((const char *)data, size);
    size_t body = read_headers(text);
    StrView json = sv_n(text.ptr + body, text.len - body);
    read_model(json);
    char folder[FOLDER_NAME_SIZE];
    char revision[REVISION_SIZE];
    char id[MODEL_ID_SIZE];
    char name[300];
    size_t len = size < sizeof name - 1 ? size : sizeof name - 1;
    if (len > 0)
        memcpy(name, data, len);
    name[len] = '\0';
    if (revision_from_folder(revision, name))
        require(revision_to_folder(folder, revision) && !strchr(folder, '/'));
    if (id_from_folder(id, name))
        require(model_id_rule(sv(id)) == NULL);
    return 0;
}
