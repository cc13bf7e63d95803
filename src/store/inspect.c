// The JSON of `inspect`: the configuration with its defaults, and ModelInfo from the file's
// headers.
//
// Weights are never read. Names, versions, descriptions and labels are the configuration's, tensors
// are the graph's.
#include "store/private.h"

#include "base/file.h"
#include "onnx/onnx.h"

#include <stdio.h>

enum { MAX_YAML = 16 << 20 };

typedef struct Inspector {
    const Location *location; // NULL for a bare file
    Project *project;         // NULL for a bare file, or when none could be made up
    ModelInfo *info;          // NULL for a bare file
    JsonDoc *config, *metadata;
    OnnxSummary *summary;
    char *path, *hints;
    JsonWriter writer;
    Error *error;
} Inspector;

static void put_text(JsonWriter *writer, const char *key, const char *text) {
    json_key(writer, key);
    json_write_cstr(writer, text);
}

static void put_text_if(JsonWriter *writer, const char *key, const char *text) {
    if (text && text[0])
        put_text(writer, key, text);
}

static void put_int(JsonWriter *writer, const char *key, int64_t number) {
    json_key(writer, key);
    json_write_i64(writer, number);
}

static void put_u64(JsonWriter *writer, const char *key, uint64_t number) {
    json_key(writer, key);
    json_write_u64(writer, number);
}

// ---- Tensors ----

static const ProjectPort *find_port(const ProjectPort *ports, size_t count, const char *name) {
    for (size_t i = 0; i < count; i++)
        if (strcmp(ports[i].name, name) == 0)
            return &ports[i];
    return NULL;
}

static void put_shape(JsonWriter *writer, const OnnxPort *port) {
    json_key(writer, "shape");
    if (!port->has_shape) {
        json_write_null(writer);
        return;
    }
    json_begin_flat_array(writer);
    for (int i = 0; i < port->rank; i++) {
        if (port->symbols[i])
            json_write_cstr(writer, port->symbols[i]);
        else
            json_write_i64(writer, port->shape[i]);
    }
    json_end_array(writer);
}

static void put_tensor(JsonWriter *writer, const OnnxPort *port) {
    json_begin_object(writer);
    put_text(writer, "name", port->name);
    put_text(writer, "type", dtype_name(port->dtype));
    put_shape(writer, port);
}

static void put_inputs(Inspector *in) {
    const Project *project = in->project;
    json_key(&in->writer, "inputs");
    json_begin_array(&in->writer);
    for (size_t i = 0; i < in->summary->input_count; i++) {
        const OnnxPort *port = &in->summary->inputs[i];
        const ProjectPort *written =
            project ? find_port(project->inputs, project->input_count, port->name) : NULL;
        put_tensor(&in->writer, port);
        json_key(&in->writer, "required");
        json_write_bool(&in->writer, !written || written->is_required);
        put_text(&in->writer, "description", written ? written->description : NULL);
        json_end_object(&in->writer);
    }
    json_end_array(&in->writer);
}

static void put_outputs(Inspector *in) {
    const Project *project = in->project;
    json_key(&in->writer, "outputs");
    json_begin_array(&in->writer);
    for (size_t i = 0; i < in->summary->output_count; i++) {
        const OnnxPort *port = &in->summary->outputs[i];
        const ProjectPort *written =
            project ? find_port(project->outputs, project->output_count, port->name) : NULL;
        put_tensor(&in->writer, port);
        json_key(&in->writer, "labels");
        if (written && written->label_count > 0) {
            json_begin_array(&in->writer);
            for (size_t j = 0; j < written->label_count; j++)
                json_write_cstr(&in->writer, written->labels[j]);
            json_end_array(&in->writer);
        } else {
            json_write_null(&in->writer);
        }
        put_text(&in->writer, "description", written ? written->description : NULL);
        json_end_object(&in->writer);
    }
    json_end_array(&in->writer);
}

// ---- Metadata ----

static const char *const OWN_KEYS[] = {
    "producer_name", "producer_version", "domain",        "model_version",
    "doc_string",    "ir_version",       "opset_version", "execution_providers",
};

static bool is_own_key(StrView key) {
    for (size_t i = 0; i < sizeof OWN_KEYS / sizeof OWN_KEYS[0]; i++)
        if (sv_equal_cstr(key, OWN_KEYS[i]))
            return true;
    return false;
}

// The header's facts, then the file's own entries, then those of gpux.yml, each key once.
static Status put_metadata(Inspector *in) {
    const OnnxSummary *summary = in->summary;
    JsonWriter *writer = &in->writer;
    JsonDoc *doc = NULL;
    if (in->project)
        TRY(json_parse(&doc, sv(in->project->metadata_json), 0, in->error));
    const JsonValue *written = json_root(doc), *value;
    json_key(writer, "metadata");
    json_begin_object(writer);
    put_text(writer, "producer_name", summary->producer_name);
    put_text(writer, "producer_version", summary->producer_version);
    put_text(writer, "domain", summary->domain);
    put_int(writer, "model_version", summary->model_version);
    put_text(writer, "doc_string", summary->doc_string);
    put_int(writer, "ir_version", summary->ir_version);
    put_int(writer, "opset_version", summary->opset_version);
    json_key(writer, "execution_providers");
    json_begin_array(writer);
    json_write_cstr(writer, "CPUExecutionProvider");
    json_end_array(writer);
    for (size_t i = 0; i < summary->metadata_count; i++) {
        const GraphMeta *entry = &summary->metadata[i];
        bool is_seen = is_own_key(sv(entry->key)) || json_get(written, entry->key);
        for (size_t j = 0; j < i && !is_seen; j++)
            is_seen = strcmp(summary->metadata[j].key, entry->key) == 0;
        if (!is_seen)
            put_text(writer, entry->key, entry->value);
    }
    size_t iterator = 0;
    StrView key;
    while (json_kind(written) == JSON_OBJECT && json_next(written, &iterator, &key, &value)) {
        if (is_own_key(key))
            continue;
        json_key_sv(writer, key);
        json_write_value(writer, value);
    }
    json_end_object(writer);
    json_free(doc);
    return STATUS_OK;
}

// ---- ModelInfo ----

static const char *precision_name(DType dtype) {
    switch (dtype) {
    case DTYPE_F32:
        return "fp32";
    case DTYPE_F16:
        return "fp16";
    case DTYPE_BF16:
        return "bf16";
    case DTYPE_I8:
    case DTYPE_U8:
        return "int8";
    default:
        return NULL;
    }
}

static void put_graph(Inspector *in) {
    json_key(&in->writer, "graph");
    json_begin_object(&in->writer);
    put_u64(&in->writer, "nodes", in->summary->node_count);
    json_key(&in->writer, "ops");
    json_begin_array(&in->writer);
    for (size_t i = 0; i < in->summary->op_count; i++) {
        json_begin_object(&in->writer);
        put_text(&in->writer, "op", in->summary->ops[i].op);
        put_u64(&in->writer, "count", in->summary->ops[i].count);
        json_end_object(&in->writer);
    }
    json_end_array(&in->writer);
    json_end_object(&in->writer);
}

// Where the model came from: metadata.json, else gpux.yml.
static void put_origin(Inspector *in) {
    const JsonValue *metadata = json_root(in->metadata);
    const Project *project = in->project;
    put_text_if(&in->writer, "registry",
                json_cstr_or(metadata, "registry", project ? project->model_registry : NULL));
    put_text_if(&in->writer, "model_id",
                json_cstr_or(metadata, "model_id", project ? project->model_id : NULL));
    put_text_if(&in->writer, "revision",
                json_cstr_or(metadata, "revision", project ? project->model_revision : NULL));
    put_text_if(&in->writer, "commit", json_cstr_or(metadata, "commit", NULL));
}

static void put_architecture(Inspector *in) {
    StrView name;
    const JsonValue *first = json_at(json_get(json_root(in->config), "architectures"), 0);
    if (!json_as_string(&name, json_get(json_root(in->metadata), "architecture")) &&
        !json_as_string(&name, first))
        return;
    json_key(&in->writer, "architecture");
    json_write_string(&in->writer, name);
}

static Status put_model(Inspector *in, const char *name, const char *version) {
    const OnnxSummary *summary = in->summary;
    JsonWriter *writer = &in->writer;
    json_begin_object(writer);
    put_text(writer, "name", name);
    put_text(writer, "version", version);
    put_text(writer, "format", in->project ? in->project->model_format : "onnx");
    put_text(writer, "path", in->path);
    put_u64(writer, "size_bytes", summary->size_bytes);
    json_key(writer, "size_mb");
    json_write_fixed(writer, (double)summary->size_bytes / (1 << 20), 2);
    put_inputs(in);
    put_outputs(in);
    TRY(put_metadata(in));
    if (in->info)
        put_text(writer, "task", in->info->task);
    put_architecture(in);
    // The checkpoint's count, when it is known: the graph's constants include helpers.
    int64_t parameters = json_i64_or(json_root(in->metadata), "parameters", -1);
    put_u64(writer, "parameters", parameters >= 0 ? (uint64_t)parameters : summary->parameters);
    put_text_if(writer, "precision", precision_name(summary->weight_dtype));
    put_origin(in);
    put_graph(in);
    json_end_object(writer);
    return buf_status(writer->out, in->error);
}

// ---- A configuration for a model that has none ----

static bool fill_ports(ProjectPort *out, size_t *out_count, const OnnxPort *ports, size_t count) {
    for (size_t i = 0; i < count; i++) {
        const OnnxPort *port = &ports[i];
        ProjectPort *written = &out[(*out_count)++];
        if (port->dtype == DTYPE_UNKNOWN)
            return false;
        *written = (ProjectPort){.name = port->name, .type = port->dtype, .is_required = true};
        written->has_shape = port->has_shape;
        written->rank = port->has_shape ? port->rank : 0;
        for (int j = 0; j < written->rank; j++) {
            written->shape[j] = port->shape[j] < 0 ? -1 : port->shape[j];
            written->dim_names[j] = port->symbols[j];
        }
    }
    return count > 0;
}

// What `init` would write, read back with every default; NULL for graphs that it cannot describe.
static Status make_project(Inspector *in) {
    const OnnxSummary *summary = in->summary;
    Project draft = {0};
    Buf text = BUF_INIT(MAX_YAML);
    Error unused;
    Status status = STATUS_OK;
    draft.name = in->info->name;
    draft.version = in->info->version;
    draft.model_source = in->path;
    draft.model_format = "onnx";
    draft.inputs = arena_alloc_array(&draft.arena, summary->input_count + 1, sizeof *draft.inputs);
    draft.outputs =
        arena_alloc_array(&draft.arena, summary->output_count + 1, sizeof *draft.outputs);
    if (!draft.inputs || !draft.outputs) {
        status = error_out_of_memory(in->error, sizeof *draft.inputs);
    } else if (fill_ports(draft.inputs, &draft.input_count, summary->inputs,
                          summary->input_count) &&
               fill_ports(draft.outputs, &draft.output_count, summary->outputs,
                          summary->output_count)) {
        status = project_write_yaml(&text, &draft);
        if (status == STATUS_OK)
            status = project_parse(&in->project, sv_n(text.ptr, text.len), in->path, NULL, NULL,
                                   NULL, &unused);
        status =
            status != STATUS_OUT_OF_MEMORY ? STATUS_OK : error_out_of_memory(in->error, text.len);
    }
    buf_free(&text);
    arena_free(&draft.arena);
    return status;
}

// ---- Doors ----

static Status open_model(Inspector *in) {
    TRY(model_info_load(&in->info, in->location, in->error));
    if (in->location->config)
        TRY(project_open(&in->project, in->location->config, NULL, NULL, NULL, in->error));
    in->path = mem_strdup(in->info->model_file);
    if (!in->path)
        return error_out_of_memory(in->error, strlen(in->info->model_file));
    TRY(onnx_summarize(&in->summary, in->path, in->error));
    TRY(location_hints(&in->hints, in->location, in->path, in->error));
    TRY(folder_json(&in->config, in->hints, "config.json", in->error));
    TRY(folder_metadata(&in->metadata, in->hints, in->error));
    return in->project ? STATUS_OK : make_project(in);
}

static Status write_answer(Inspector *in) {
    json_begin_object(&in->writer);
    json_key(&in->writer, "config");
    if (in->project)
        project_write_json(in->project, &in->writer);
    else
        json_write_null(&in->writer);
    json_key(&in->writer, "model_info");
    TRY(put_model(in, in->info->name, in->info->version));
    json_end_object(&in->writer);
    return buf_status(in->writer.out, in->error);
}

static void close_inspector(Inspector *in) {
    model_info_free(in->info);
    project_close(in->project);
    onnx_summary_free(in->summary);
    json_free(in->config);
    json_free(in->metadata);
    mem_free(in->path);
    mem_free(in->hints);
}

Status store_inspect(Buf *out, const Location *location, Error *error) {
    Inspector in = {.location = location, .error = error, .writer = json_writer(out, 2)};
    Status status = open_model(&in);
    if (status == STATUS_OK)
        status = write_answer(&in);
    close_inspector(&in);
    if (status != STATUS_OK)
        buf_clear(out);
    return status;
}

static Status inspect_file(Inspector *in, const char *path) {
    char shown[ERROR_PATH_SIZE];
    if (!file_is_regular(path))
        return error_set(in->error, STATUS_NOT_FOUND, "Model file not found: %s",
                         error_path(shown, path));
    in->path = path_absolute(path);
    if (!in->path)
        return error_out_of_memory(in->error, strlen(path));
    TRY(onnx_summarize(&in->summary, in->path, in->error));
    StrView name = sv(path_basename(in->path));
    const char *dot = strrchr(name.ptr, '.');
    if (dot && dot > name.ptr)
        name.len = (size_t)(dot - name.ptr);
    char version[32] = "1.0.0";
    if (in->summary->model_version > 0)
        snprintf(version, sizeof version, "%lld", (long long)in->summary->model_version);
    const char *stem = arena_strndup(&in->summary->arena, name.ptr, name.len);
    return stem ? put_model(in, stem, version) : error_out_of_memory(in->error, name.len + 1);
}

Status store_inspect_file(Buf *out, const char *path, Error *error) {
    Inspector in = {.error = error, .writer = json_writer(out, 2)};
    Status status = inspect_file(&in, path);
    close_inspector(&in);
    if (status != STATUS_OK)
        buf_clear(out);
    return status;
}
