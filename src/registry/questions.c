// Questions to the hub that download nothing: what a model is, and which models there are.
#include "registry/private.h"

#include <stdio.h>

enum { SEARCH_BODY_MAX = 64 << 20, DEFAULT_LIMIT = 10, MAX_LIMIT = 1000, PAGE_MAX = 100 };

// ---- Shared members ----

static void member(JsonWriter *writer, const char *key, const JsonValue *value) {
    json_key(writer, key);
    if (value)
        json_write_value(writer, value);
    else
        json_write_null(writer);
}

static void write_supported(JsonWriter *writer, const Registry *registry, const JsonValue *model) {
    const char *type = json_cstr_or(json_get(model, "config"), "model_type", NULL);
    json_key(writer, "supported");
    if (type && registry->supports)
        json_write_bool(writer, registry->supports(registry->supports_ctx, type));
    else
        json_write_null(writer);
}

static Status no_network(Call *call, const char *what) {
    return call_fail(call, REGISTRY_FAULT_OFFLINE, STATUS_NOT_FOUND,
                     "Offline mode is enabled: %s needs the network", what);
}

// ---- Info ----

// cardData.license, else the tag "license:…".
static void write_license(JsonWriter *writer, const JsonValue *root) {
    const JsonValue *license = json_get(json_get(root, "cardData"), "license");
    const JsonValue *tags = json_get(root, "tags");
    json_key(writer, "license");
    if (license) {
        json_write_value(writer, license);
        return;
    }
    for (size_t i = 0; i < json_len(tags); i++) {
        StrView tag;
        if (json_as_string(&tag, json_at(tags, i)) && sv_starts_with(tag, SV("license:"))) {
            json_write_string(writer, sv_n(tag.ptr + 8, tag.len - 8));
            return;
        }
    }
    json_write_null(writer);
}

static void write_info_files(JsonWriter *writer, const HubModel *model) {
    uint64_t needed = 0;
    uint64_t total = 0;
    json_key(writer, "files");
    json_begin_array(writer);
    for (size_t i = 0; i < model->file_count; i++) {
        const HubFile *file = &model->files[i];
        json_begin_object(writer);
        json_key(writer, "path");
        json_write_cstr(writer, file->path);
        json_key(writer, "size");
        if (file->size >= 0)
            json_write_i64(writer, file->size);
        else
            json_write_null(writer);
        json_key(writer, "needed");
        json_write_bool(writer, file->is_needed);
        json_end_object(writer);
        uint64_t size = file->size > 0 ? (uint64_t)file->size : 0;
        total += size;
        needed += file->is_needed ? size : 0;
    }
    json_end_array(writer);
    json_key(writer, "size_bytes");
    json_write_u64(writer, needed);
    json_key(writer, "total_bytes");
    json_write_u64(writer, total);
}

// Shards are named by an index that is not fetched here: by their usual names.
static void mark_usual_shards(HubModel *model) {
    const char *index = needed_index(model);
    if (!index)
        return;
    const char *stem = strncmp(index, "model.", 6) == 0 ? "model-" : "pytorch_model-";
    for (size_t i = 0; i < model->file_count; i++)
        if (strncmp(model->files[i].path, stem, strlen(stem)) == 0 &&
            strstr(model->files[i].path, "-of-"))
            model->files[i].is_needed = true;
}

static void write_info(JsonWriter *writer, const Registry *registry, const ModelRef *ref,
                       const HubModel *model, const CachedCopy *cached) {
    const JsonValue *root = model->root;
    const JsonValue *config = json_get(root, "config");
    json_begin_object(writer);
    json_key(writer, "model_id");
    json_write_cstr(writer, model->id ? model->id : ref->id);
    json_key(writer, "registry");
    json_write_cstr(writer, REGISTRY_NAME);
    json_key(writer, "revision");
    json_write_cstr(writer, ref->revision);
    json_key(writer, "commit");
    json_write_cstr(writer, model->commit);
    member(writer, "task", json_get(root, "pipeline_tag"));
    member(writer, "library", json_get(root, "library_name"));
    member(writer, "model_type", json_get(config, "model_type"));
    member(writer, "architectures", json_get(config, "architectures"));
    member(writer, "parameters", json_get(json_get(root, "safetensors"), "total"));
    write_license(writer, root);
    member(writer, "gated", json_get(root, "gated"));
    member(writer, "private", json_get(root, "private"));
    member(writer, "disabled", json_get(root, "disabled"));
    member(writer, "tags", json_get(root, "tags"));
    member(writer, "downloads", json_get(root, "downloads"));
    member(writer, "likes", json_get(root, "likes"));
    member(writer, "last_modified", json_get(root, "lastModified"));
    write_supported(writer, registry, root);
    write_info_files(writer, model);
    json_key(writer, "cached");
    json_write_bool(writer, cached->exists);
    json_end_object(writer);
}

static Status info(Buf *report, Call *call, const char *name, const char *revision) {
    ModelRef ref;
    HubModel model = {0};
    Stage stage = {.fd = -1, .lock = -1};
    CachedCopy cached;
    const char *format;
    TRY(reference_parse(&ref, call, name, NULL, revision));
    if (call->registry->is_offline)
        return no_network(call, "info");
    Status status = hub_model(&model, call, &ref);
    if (status == STATUS_OK)
        status = cache_names(&stage, call, &ref);
    if (status == STATUS_OK)
        status = call_failed(call, REGISTRY_FAULT_LOCAL,
                             metadata_look(&cached, stage.target, call->error));
    if (status == STATUS_OK) {
        // Without weights that gpux can use, there is still much to say.
        (void)needed_mark(&model, &format, NULL, false, NULL);
        mark_usual_shards(&model);
        JsonWriter writer = json_writer(report, 2);
        write_info(&writer, call->registry, &ref, &model, &cached);
        status = call_failed(call, REGISTRY_FAULT_LOCAL, buf_status(report, call->error));
    }
    cache_close(&stage);
    hub_model_free(&model);
    return status;
}

Status registry_info(Buf *report, RegistryFault *fault, const Registry *registry, const char *model,
                     const char *revision, Error *error) {
    Call call = {.registry = registry, .error = error};
    Status status = info(report, &call, model, revision);
    call_end(&call, fault, status);
    return status;
}

// ---- Search ----

static Status search_address(Buf *url, Call *call, const SearchOptions *options, int limit) {
    static const char *const SORTS[][2] = {
        {"downloads", "downloads"}, {"likes", "likes"}, {"updated", "lastModified"}};
    buf_printf(url, "%s/api/models?search=", call->registry->endpoint);
    append_encoded(url, options->query ? options->query : "", false);
    buf_printf(url, "&limit=%d&full=true&config=true", limit < PAGE_MAX ? limit : PAGE_MAX);
    if (options->task) {
        buf_append_cstr(url, "&pipeline_tag=");
        append_encoded(url, options->task, false);
    }
    if (options->author) {
        buf_append_cstr(url, "&author=");
        append_encoded(url, options->author, false);
    }
    const char *sort = NULL;
    for (size_t i = 0; options->sort && i < 3; i++)
        if (strcmp(options->sort, SORTS[i][0]) == 0)
            sort = SORTS[i][1];
    if (options->sort && !sort)
        return call_fail(call, REGISTRY_FAULT_USAGE, STATUS_INVALID,
                         "Unknown order '%s': downloads, likes or updated", options->sort);
    if (sort)
        buf_printf(url, "&sort=%s&direction=-1", sort);
    return call_failed(call, REGISTRY_FAULT_LOCAL, buf_status(url, call->error));
}

static bool write_result(JsonWriter *writer, const Registry *registry, const JsonValue *model) {
    const char *id = json_cstr_or(model, "id", json_cstr_or(model, "modelId", NULL));
    if (!id || model_id_rule(sv(id)))
        return false;
    json_begin_object(writer);
    json_key(writer, "model_id");
    json_write_cstr(writer, id);
    member(writer, "task", json_get(model, "pipeline_tag"));
    member(writer, "downloads", json_get(model, "downloads"));
    member(writer, "likes", json_get(model, "likes"));
    member(writer, "last_modified", json_get(model, "lastModified"));
    member(writer, "model_type", json_get(json_get(model, "config"), "model_type"));
    member(writer, "gated", json_get(model, "gated"));
    write_supported(writer, registry, model);
    json_end_object(writer);
    return true;
}

// One page; *left falls by what was written.
static Status write_page(JsonWriter *writer, Call *call, StrView body, int *left) {
    JsonDoc *doc;
    Status status = json_parse(&doc, body, 0, call->error);
    if (status == STATUS_OUT_OF_MEMORY)
        return call_failed(call, REGISTRY_FAULT_LOCAL, status);
    const JsonValue *models = status == STATUS_OK ? json_root(doc) : NULL;
    bool is_answer = json_kind(models) == JSON_ARRAY;
    for (size_t i = 0; i < json_len(models) && is_answer && *left > 0; i++)
        *left -= write_result(writer, call->registry, json_at(models, i));
    json_free(doc);
    if (!is_answer)
        return call_fail(call, REGISTRY_FAULT_NETWORK, STATUS_IO,
                         "Network error: the answer is not from a model hub (a proxy or login "
                         "page?)");
    return STATUS_OK;
}

static Status search_pages(JsonWriter *writer, Call *call, const char *url, int left) {
    Buf body = BUF_INIT(SEARCH_BODY_MAX);
    char *page = NULL;
    Status status = STATUS_OK;
    for (int i = 0; left > 0 && status == STATUS_OK && i < MAX_LIMIT && (i == 0 || page); i++) {
        char *next = NULL;
        status = hub_get(&body, call, NULL, page ? page : url, &next);
        if (status == STATUS_OK)
            status = write_page(writer, call, sv_n(body.ptr, body.len), &left);
        mem_free(page);
        page = next;
    }
    mem_free(page);
    buf_free(&body);
    return status;
}

Status registry_search(Buf *report, RegistryFault *fault, const Registry *registry,
                       const SearchOptions *options, Error *error) {
    Call call = {.registry = registry, .error = error};
    Buf url = BUF_INIT(ADDRESS_SIZE);
    int limit = options->limit > 0 ? options->limit : DEFAULT_LIMIT;
    limit = limit < MAX_LIMIT ? limit : MAX_LIMIT;
    Status status = registry->is_offline ? no_network(&call, "search")
                                         : search_address(&url, &call, options, limit);
    JsonWriter writer = json_writer(report, 2);
    json_begin_array(&writer);
    if (status == STATUS_OK)
        status = search_pages(&writer, &call, url.ptr, limit);
    json_end_array(&writer);
    if (status == STATUS_OK)
        status = buf_status(report, error);
    buf_free(&url);
    call_end(&call, fault, status);
    return status;
}
