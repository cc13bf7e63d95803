// What `build` has to say of a project: where it is, what in its configuration nothing reads, and
// where its inputs and outputs contradict the model's graph.
//
// A declared name that is no tensor is a friendly one, served by the task; a declared shape is
// documentation. Both are warned about only when they cannot be true.
#include "store/private.h"

#include "base/file.h"
#include "onnx/onnx.h"

#include <stdio.h>

// ---- Where the project is ----

static Status no_config(const char *path, Error *error) {
    char shown[ERROR_PATH_SIZE];
    return error_set(error, STATUS_NOT_FOUND, "Configuration file not found: %s",
                     error_path(shown, path));
}

static Status locate_in(Location *out, const char *folder, const char *config, Error *error) {
    if (!file_is_regular(config))
        return no_config(config, error);
    out->folder = path_absolute(folder);
    out->config = path_absolute(config);
    return out->folder && out->config ? STATUS_OK : error_out_of_memory(error, strlen(config));
}

// A name that is no path here may be one of the cache.
static Status locate_name(Location *out, const char *name, const char *config,
                          const ResolveOptions *options, Error *error) {
    Error unused;
    Status status = store_resolve(out, name, options, &unused);
    if (status == STATUS_OK && !out->config)
        location_free(out);
    if (status == STATUS_OUT_OF_MEMORY)
        return error_out_of_memory(error, strlen(name));
    return out->config ? STATUS_OK : no_config(config, error);
}

Status store_locate_project(Location *out, const char *path, const ResolveOptions *options,
                            Error *error) {
    *out = (Location){0};
    char *expanded = path_expand_home(path, options->home);
    bool is_file = expanded && file_is_regular(expanded);
    char *folder = NULL, *config = NULL;
    if (expanded)
        folder = is_file ? path_dirname(expanded) : mem_strdup(expanded);
    if (folder && is_file)
        config = mem_strdup(expanded);
    else if (folder)
        config = config_is_path(options->config) ? mem_strdup(options->config)
                                                 : path_join(folder, options->config);
    Status status = STATUS_OK;
    if (!config)
        status = error_out_of_memory(error, strlen(path));
    else if (file_is_dir(folder))
        status = locate_in(out, folder, config, error);
    else
        status = locate_name(out, path, config, options, error);
    mem_free(expanded);
    mem_free(folder);
    mem_free(config);
    if (status != STATUS_OK)
        location_free(out);
    return status;
}

// ---- Warnings ----

void warnings_free(Warnings *warnings) {
    mem_free(warnings->items);
    arena_free(&warnings->arena);
    *warnings = (Warnings){0};
}

static Status add_text(Warnings *warnings, const char *text, size_t len, Error *error) {
    const char **items =
        mem_realloc_array(warnings->items, warnings->count + 1, sizeof *warnings->items);
    if (items)
        warnings->items = items;
    char *copy = items ? arena_strndup(&warnings->arena, text, len) : NULL;
    if (!copy)
        return error_out_of_memory(error, len);
    warnings->items[warnings->count++] = copy;
    return STATUS_OK;
}

__attribute__((format(printf, 3, 4))) static Status warn(Warnings *warnings, Error *error,
                                                         const char *format, ...) {
    char text[512];
    va_list args;
    va_start(args, format);
    vsnprintf(text, sizeof text, format, args);
    va_end(args);
    Buf valid = BUF_INIT(sizeof text * 3);
    utf8_append_valid(&valid, sv(text));
    Status status = buf_status(&valid, error);
    if (status == STATUS_OK)
        status = add_text(warnings, valid.ptr, valid.len, error);
    buf_free(&valid);
    return status;
}

Status store_check_config(Warnings *out, const Location *location, Error *error) {
    Project *project = NULL;
    Diagnostics diagnostics = {0};
    Status status = project_open(&project, location->config, NULL, NULL, &diagnostics, error);
    for (size_t i = 0; i < diagnostics.count && status == STATUS_OK; i++) {
        Buf text = BUF_INIT(1 << 16);
        diagnostic_append(&text, &diagnostics.items[i]);
        status = buf_status(&text, error);
        if (status == STATUS_OK)
            status = add_text(out, text.ptr, text.len, error);
        buf_free(&text);
    }
    project_close(project);
    diagnostics_free(&diagnostics);
    return status;
}

// ---- The graph ----

static const OnnxPort *find_tensor(const OnnxPort *ports, size_t count, const char *name) {
    for (size_t i = 0; i < count; i++)
        if (strcmp(ports[i].name, name) == 0)
            return &ports[i];
    return NULL;
}

static Status check_shape(Warnings *out, const char *what, const ProjectPort *written,
                          const OnnxPort *tensor, Error *error) {
    if (!written->has_shape || !tensor->has_shape)
        return STATUS_OK;
    if (written->rank != tensor->rank)
        return warn(out, error, "%s '%s' has %d dimensions in the configuration, %d in the graph",
                    what, written->name, written->rank, tensor->rank);
    for (int d = 0; d < written->rank; d++) {
        bool is_fixed = written->shape[d] >= 0 && tensor->shape[d] >= 0;
        if (is_fixed && written->shape[d] != tensor->shape[d])
            return warn(out, error,
                        "%s '%s' has size %lld at dim %d in the configuration, %lld in the graph",
                        what, written->name, (long long)written->shape[d], d,
                        (long long)tensor->shape[d]);
    }
    return STATUS_OK;
}

// Against a written shape the configuration's own reader has compared them.
static Status check_labels(Warnings *out, const ProjectPort *written, const OnnxPort *tensor,
                           Error *error) {
    int64_t last = tensor->has_shape && tensor->rank > 0 ? tensor->shape[tensor->rank - 1] : -1;
    if (written->label_count == 0 || written->has_shape || last < 0 ||
        (size_t)last == written->label_count)
        return STATUS_OK;
    return warn(out, error, "output '%s' has %zu labels, but its last dimension is %lld",
                written->name, written->label_count, (long long)last);
}

static Status check_port(Warnings *out, const char *what, const ProjectPort *written,
                         const OnnxPort *tensor, Error *error) {
    if (tensor->dtype != DTYPE_UNKNOWN && written->type != tensor->dtype)
        TRY(warn(out, error, "%s '%s' is %s in the configuration, %s in the graph", what,
                 written->name, dtype_name(written->type), dtype_name(tensor->dtype)));
    TRY(check_shape(out, what, written, tensor, error));
    return check_labels(out, written, tensor, error);
}

static Status check_ports(Warnings *out, const char *what, const ProjectPort *ports, size_t count,
                          const OnnxPort *tensors, size_t tensor_count, bool is_raw, Error *error) {
    for (size_t i = 0; i < count; i++) {
        const OnnxPort *tensor = find_tensor(tensors, tensor_count, ports[i].name);
        if (tensor)
            TRY(check_port(out, what, &ports[i], tensor, error));
        else if (is_raw)
            TRY(warn(out, error,
                     "%s '%s' is no tensor of the graph, and no task gives it a meaning", what,
                     ports[i].name));
    }
    return STATUS_OK;
}

Status store_check_model(Warnings *out, const Location *location, Error *error) {
    Project *project = NULL;
    ModelInfo *info = NULL;
    OnnxSummary *summary = NULL;
    Status status = STATUS_OK;
    TRY_DONE(model_info_load(&info, location, error));
    TRY_DONE(project_open(&project, location->config, NULL, NULL, NULL, error));
    TRY_DONE(onnx_summarize(&summary, info->model_file, error));
    bool is_raw = strcmp(info->task, "raw") == 0;
    TRY_DONE(check_ports(out, "input", project->inputs, project->input_count, summary->inputs,
                         summary->input_count, is_raw, error));
    TRY_DONE(check_ports(out, "output", project->outputs, project->output_count, summary->outputs,
                         summary->output_count, is_raw, error));
done:
    onnx_summary_free(summary);
    project_close(project);
    model_info_free(info);
    return status;
}
