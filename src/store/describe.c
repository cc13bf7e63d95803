// gpux.yml and metadata.json of a model that was just converted.
//
// The configuration shows what the task layer takes and gives, not the graph's tensors. Only facts
// of this conversion are written; what an earlier pull knew of the model's origin is kept.
#include "store/private.h"

#include "base/clock.h"

enum { MAX_TEXT = 16 << 20, GIGABYTE = 1 << 30 };

// ---- Inputs and outputs ----

enum { MAX_SHAPE = 3, DIM_HIDDEN = -2, DIM_LABELS = -3, DIM_VOCAB = -4 };

typedef struct PortRow {
    const char *task;
    bool is_input;
    const char *name;
    DType type;
    int rank; // -1 = no shape
    int64_t shape[MAX_SHAPE];
    bool has_labels;
} PortRow;

#define INPUT(task, name)                                                                          \
    { task, true, name, DTYPE_STRING, -1, {0}, false }
static const PortRow PORTS[] = {
    INPUT("text-classification", "inputs"),
    {"text-classification", false, "logits", DTYPE_F32, 2, {1, DIM_LABELS}, true},
    INPUT("zero-shot-classification", "inputs"),
    INPUT("zero-shot-classification", "candidate_labels"),
    {"zero-shot-classification", false, "scores", DTYPE_F32, 1, {-1}, false},
    INPUT("token-classification", "inputs"),
    {"token-classification", false, "logits", DTYPE_F32, 3, {1, -1, DIM_LABELS}, true},
    INPUT("question-answering", "question"),
    INPUT("question-answering", "context"),
    {"question-answering", false, "answer", DTYPE_STRING, -1, {0}, false},
    {"question-answering", false, "score", DTYPE_F32, -1, {0}, false},
    INPUT("fill-mask", "inputs"),
    {"fill-mask", false, "logits", DTYPE_F32, 3, {1, -1, DIM_VOCAB}, false},
    INPUT("sentence-similarity", "inputs"),
    {"sentence-similarity", false, "embeddings", DTYPE_F32, 2, {-1, DIM_HIDDEN}, false},
    INPUT("feature-extraction", "inputs"),
    {"feature-extraction", false, "embeddings", DTYPE_F32, 2, {-1, DIM_HIDDEN}, false},
};
enum { PORT_ROWS = sizeof PORTS / sizeof PORTS[0] };

static int64_t dim_size(const ModelSpec *spec, int64_t dim) {
    switch (dim) {
    case DIM_HIDDEN:
        return spec->hidden_size;
    case DIM_LABELS:
        return spec->num_labels;
    case DIM_VOCAB:
        return spec->vocab_size;
    default:
        return dim;
    }
}

static ProjectPort make_port(const PortRow *row, const ModelSpec *spec) {
    ProjectPort port = {.name = row->name, .type = row->type, .is_required = true};
    port.has_shape = row->rank >= 0;
    port.rank = row->rank >= 0 ? row->rank : 0;
    for (int i = 0; i < port.rank; i++)
        port.shape[i] = dim_size(spec, row->shape[i]);
    return port;
}

static Status add_ports(Project *project, const Conversion *conversion, Error *error) {
    project->inputs = arena_alloc_array(&project->arena, PORT_ROWS, sizeof *project->inputs);
    project->outputs = arena_alloc_array(&project->arena, PORT_ROWS, sizeof *project->outputs);
    if (!project->inputs || !project->outputs)
        return error_out_of_memory(error, PORT_ROWS * sizeof *project->inputs);
    const char **labels = NULL;
    size_t label_count = 0;
    TRY(labels_read(&labels, &label_count, &project->arena, conversion->config, error));
    for (size_t i = 0; i < PORT_ROWS; i++) {
        if (strcmp(PORTS[i].task, conversion->task) != 0)
            continue;
        ProjectPort port = make_port(&PORTS[i], conversion->spec);
        if (PORTS[i].has_labels && label_count == (size_t)conversion->spec->num_labels) {
            port.labels = labels;
            port.label_count = label_count;
        }
        if (PORTS[i].is_input)
            project->inputs[project->input_count++] = port;
        else
            project->outputs[project->output_count++] = port;
    }
    return STATUS_OK;
}

// ---- gpux.yml ----

static void put_text(JsonWriter *writer, const char *key, const char *text) {
    if (!text)
        return;
    json_key(writer, key);
    json_write_cstr(writer, text);
}

static void put_int(JsonWriter *writer, const char *key, int64_t number) {
    json_key(writer, key);
    json_write_i64(writer, number);
}

// The `metadata` map, as compact JSON in the arena.
static Status add_metadata(Project *project, const Conversion *conversion, Error *error) {
    const JsonValue *old = conversion->old_metadata;
    char now[32];
    clock_utc_iso8601(now);
    Buf text = BUF_INIT(MAX_TEXT);
    JsonWriter writer = json_writer(&text, 0);
    json_begin_object(&writer);
    put_text(&writer, "original_model_id", project->model_id);
    put_text(&writer, "original_registry", project->model_registry);
    put_text(&writer, "original_format", "safetensors");
    put_text(&writer, "conversion_date", now);
    put_text(&writer, "converter", "gpux " GPUX_VERSION);
    put_int(&writer, "onnx_opset_version", conversion->opset);
    put_text(&writer, "pipeline_tag",
             json_cstr_or(json_get(old, "metadata"), "pipeline_tag", NULL));
    put_text(&writer, "commit", json_cstr_or(old, "commit", NULL));
    put_text(&writer, "architecture", conversion->spec->architecture);
    json_key(&writer, "parameters");
    json_write_u64(&writer, conversion->parameters);
    json_end_object(&writer);
    Status status = buf_status(&text, error);
    if (status == STATUS_OK) {
        project->metadata_json = arena_strndup(&project->arena, text.ptr, text.len);
        if (!project->metadata_json)
            status = error_out_of_memory(error, text.len + 1);
    }
    buf_free(&text);
    return status;
}

// An id or a folder's name as a model is called: lower case, "-" for "/" and "_".
static Status add_name(Project *project, const Conversion *conversion, Error *error) {
    const char *source = project->model_id;
    if (!source)
        source = strrchr(conversion->folder, '/') + 1; // absolute, so there is one
    Buf text = BUF_INIT(MAX_TEXT);
    utf8_append_valid(&text, sv(*source ? source : "model"));
    char *name = text.failed ? NULL : arena_strndup(&project->arena, text.ptr, text.len);
    buf_free(&text);
    if (!name)
        return error_out_of_memory(error, strlen(source) + 1);
    for (char *c = name; *c; c++) {
        if (*c >= 'A' && *c <= 'Z')
            *c = (char)(*c - 'A' + 'a');
        else if (*c == '/' || *c == '_')
            *c = '-';
    }
    project->name = name;
    return STATUS_OK;
}

// Mapped weights and their packed form, in whole gigabytes and never less than two.
static Status add_memory(Project *project, const Conversion *conversion, Error *error) {
    uint64_t gigabytes = 0;
    if (conversion->weight_bytes <= UINT64_MAX / 4)
        gigabytes = (2 * conversion->weight_bytes + GIGABYTE - 1) / GIGABYTE;
    gigabytes = gigabytes < 2 ? 2 : gigabytes;
    project->runtime.gpu_memory_text =
        arena_printf(&project->arena, "%lluGB", (unsigned long long)gigabytes);
    project->runtime.gpu_memory = gigabytes * GIGABYTE;
    project->runtime.gpu_memory_set = true;
    return project->runtime.gpu_memory_text ? STATUS_OK : error_out_of_memory(error, 32);
}

static Status fill_project(Project *project, const Conversion *conversion, Error *error) {
    const JsonValue *old = conversion->old_metadata;
    project->version = "1.0.0";
    project->task = conversion->task;
    project->model_source = "./" MODEL_FILE;
    project->model_format = "onnx";
    project->model_id = json_cstr_or(old, "model_id", NULL);
    project->model_registry = json_cstr_or(old, "registry", NULL);
    project->model_revision = json_cstr_or(old, "revision", NULL);
    project->description = json_cstr_or(old, "description", NULL);
    if (!project->description)
        project->description = "Converted model";
    project->runtime.gpu_backend = "auto";
    project->runtime.timeout = 30;
    project->serving.port = 8080;
    project->preprocessing.tokenizer = conversion->tokenizer;
    project->preprocessing.max_length = (int64_t)conversion->max_length;
    TRY(add_name(project, conversion, error));
    TRY(add_memory(project, conversion, error));
    TRY(add_ports(project, conversion, error));
    return add_metadata(project, conversion, error);
}

Status describe_yaml(Buf *out, const Conversion *conversion, Error *error) {
    Project project = {0};
    Status status = fill_project(&project, conversion, error);
    if (status == STATUS_OK) {
        (void)project_write_yaml(out, &project);
        status = buf_status(out, error);
    }
    arena_free(&project.arena);
    return status;
}

// ---- metadata.json ----

static void put_files(JsonWriter *writer, const Conversion *conversion) {
    uint64_t size = 0;
    json_key(writer, "files");
    json_begin_object(writer);
    for (size_t i = 0; i < conversion->file_count; i++) {
        put_text(writer, conversion->files[i].name, conversion->files[i].name);
        size += conversion->files[i].size;
    }
    json_end_object(writer);
    json_key(writer, "size_bytes");
    json_write_u64(writer, size);
    json_key(writer, "file_info");
    json_begin_object(writer);
    for (size_t i = 0; i < conversion->file_count; i++) {
        json_key(writer, conversion->files[i].name);
        json_begin_object(writer);
        json_key(writer, "size");
        json_write_u64(writer, conversion->files[i].size);
        json_end_object(writer);
    }
    json_end_object(writer);
}

// What this conversion did not write itself: registry, model_id, revision, commit, tags, …
static void put_kept(JsonWriter *writer, const JsonValue *old) {
    static const char *const WRITTEN[] = {
        "schema",        "format",       "files",        "size_bytes", "file_info",
        "task",          "architecture", "precision",    "opset",      "parameters",
        "source_format", "converter",    "converted_at", "complete",   "convert_time_s",
    };
    size_t iterator = 0;
    StrView key;
    const JsonValue *value;
    while (json_kind(old) == JSON_OBJECT && json_next(old, &iterator, &key, &value)) {
        bool is_written = false;
        for (size_t i = 0; i < sizeof WRITTEN / sizeof WRITTEN[0]; i++)
            is_written |= sv_equal_cstr(key, WRITTEN[i]);
        if (is_written)
            continue;
        json_key_sv(writer, key);
        json_write_value(writer, value);
    }
}

Status describe_metadata(Buf *out, const Conversion *conversion, Error *error) {
    char now[32];
    clock_utc_iso8601(now);
    JsonWriter writer = json_writer(out, 2);
    json_begin_object(&writer);
    put_int(&writer, "schema", 1);
    put_text(&writer, "format", "onnx");
    put_kept(&writer, conversion->old_metadata);
    put_text(&writer, "task", conversion->task);
    put_text(&writer, "architecture", conversion->spec->architecture);
    json_key(&writer, "parameters");
    json_write_u64(&writer, conversion->parameters);
    put_text(&writer, "precision", conversion->precision);
    put_files(&writer, conversion);
    put_text(&writer, "source_format", "safetensors");
    put_int(&writer, "opset", conversion->opset);
    put_text(&writer, "converter", "gpux " GPUX_VERSION);
    put_text(&writer, "converted_at", now);
    json_key(&writer, "convert_time_s");
    json_write_fixed(&writer, conversion->seconds, 3);
    json_key(&writer, "complete");
    json_write_bool(&writer, true);
    json_end_object(&writer);
    buf_append_byte(out, '\n');
    return buf_status(out, error);
}
