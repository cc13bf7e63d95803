// A checkpoint folder becomes a model: model.onnx, gpux.yml and metadata.json.
//
// Weights stay where they are: model.onnx points into them, so they must be plain files in the same
// folder. Everything that can fail is done before the first file appears under its name, and files
// that gpux did not write are never replaced unless asked to.
#include "store/private.h"

#include "base/clock.h"
#include "base/file.h"
#include "onnx/onnx.h"

#include <limits.h>
#include <stdio.h>

enum {
    DEFAULT_OPSET = 18,
    MAX_OTHER_FILES = 128, // besides weights
    MAX_WARNINGS = 2,
    MAX_JSON = 4 << 20,
    MAX_YAML = 64 << 20,
};

// Files that belong to a model besides its weights; those that exist are copied along.
static const char *const COMPANIONS[] = {
    "config.json",
    "generation_config.json",
    "tokenizer.json",
    "tokenizer_config.json",
    "special_tokens_map.json",
    "added_tokens.json",
    "vocab.txt",
    "vocab.json",
    "merges.txt",
    "bpe.codes",
    "sentencepiece.bpe.model",
    "spiece.model",
    "tokenizer.model",
    "preprocessor_config.json",
    "modules.json",
    "config_sentence_transformers.json",
    "sentence_bert_config.json",
    "sentence_roberta_config.json",
    "sentence_distilbert_config.json",
    "sentence_camembert_config.json",
    "sentence_xlm-roberta_config.json",
    "model.safetensors.index.json",
    "README.md",
    "LICENSE",
};

typedef struct Converter {
    const ConvertOptions *options;
    Error *error;
    Arena arena;
    char *source, *target; // absolute; equal when the model is converted where it is
    bool is_in_place;
    JsonDoc *config, *old_metadata;
    Checkpoint *checkpoint;
    Graph *graph;
    ModelSpec spec;
    SentenceModel sentence;
    const char *task;
    ModelFile *files; // weights and companions, then what is written
    size_t file_count, copy_count, file_cap;
    bool keeps_yaml, keeps_metadata;
    bool is_repeated; // gpux converted into this folder before
    const char *warnings[MAX_WARNINGS];
    size_t warning_count;
    Conversion conversion;
    Staging staging;
    Buf model, yaml, metadata;
    uint64_t started_ns, weight_bytes;
} Converter;

// Whatever is wrong with the files of the checkpoint is one kind of failure to a caller.
static Status checkpoint_fault(Status status, Error *error) {
    bool is_fault = status == STATUS_NOT_FOUND || status == STATUS_CORRUPT ||
                    status == STATUS_UNSUPPORTED || status == STATUS_INVALID ||
                    status == STATUS_LIMIT;
    if (!is_fault)
        return status;
    if (error)
        error->code = STATUS_CONVERSION;
    return STATUS_CONVERSION;
}

static void warn(Converter *c, const char *text) {
    log_message(c->options->log, LOG_WARNING, "%s", text);
    if (c->warning_count < MAX_WARNINGS)
        c->warnings[c->warning_count++] = text;
}

// ---- Where ----

static bool is_same_folder(const char *a, const char *b) {
    FileStat x, y;
    return file_stat(&x, a) && file_stat(&y, b) && x.inode == y.inode && x.device == y.device;
}

static Status find_folders(Converter *c, const char *folder) {
    char shown[ERROR_PATH_SIZE];
    const char *output = c->options->output;
    if (!file_is_dir(folder))
        return error_set(c->error, STATUS_NOT_FOUND, "Model folder not found: %s",
                         error_path(shown, folder));
    FileStat stat;
    if (output && file_stat(&stat, output) && !stat.is_dir)
        return error_set(c->error, STATUS_INVALID, "not a folder: '%s'", error_path(shown, output));
    c->is_in_place = !output || is_same_folder(folder, output);
    c->source = path_absolute(folder);
    c->target = path_absolute(c->is_in_place ? folder : output);
    if (!c->source || !c->target)
        return error_out_of_memory(c->error, strlen(folder));
    return STATUS_OK;
}

// ---- What ----

static Status open_checkpoint(Converter *c) {
    char path[PATH_MAX], shown[ERROR_PATH_SIZE];
    int len = snprintf(path, sizeof path, "%s/config.json", c->source);
    if (len < 0 || len >= PATH_MAX || !file_is_regular(path))
        return error_set(c->error, STATUS_CONVERSION, "there is no config.json in '%s'",
                         error_path(shown, c->source));
    TRY(json_parse_file(&c->config, path, MAX_JSON, 0, c->error));
    return checkpoint_open(&c->checkpoint, c->source, c->error);
}

// Model.onnx may only point at plain files in its own folder that nothing else shares.
static Status check_weights(Converter *c) {
    for (size_t i = 0; i < checkpoint_file_count(c->checkpoint); i++) {
        const char *name = checkpoint_file(c->checkpoint, i);
        char path[PATH_MAX], shown[ERROR_PATH_SIZE];
        FileStat stat;
        int len = snprintf(path, sizeof path, "%s/%s", c->source, name);
        if (len < 0 || len >= PATH_MAX || !file_stat(&stat, path))
            return error_set(c->error, STATUS_CONVERSION, "cannot find '%s'", name);
        c->weight_bytes += stat.size;
        if (!c->is_in_place || (!stat.is_symlink && stat.links == 1))
            continue;
        return error_set(
            c->error, STATUS_CONVERSION,
            "'%s' is %s, as in a hub cache, and model.onnx can only point at plain files "
            "of its own folder; use -o OTHER to convert into another folder, which "
            "copies the weights",
            error_path(shown, path), stat.is_symlink ? "a link" : "shared by hard links");
    }
    return STATUS_OK;
}

static Status choose_task(Converter *c) {
    const char *detected = c->spec.task;
    bool is_encoder = c->spec.head == HEAD_ENCODER;
    if (is_encoder) {
        TRY(checkpoint_fault(sentence_read(&c->sentence, c->source, c->error), c->error));
        if (c->sentence.has_modules)
            detected = "sentence-similarity";
    }
    c->task = c->options->task ? c->options->task : detected;
    if (task_fits(detected, c->task))
        return STATUS_OK;
    if (strcmp(detected, "text-classification") == 0 &&
        strcmp(c->task, "zero-shot-classification") == 0)
        return error_set(
            c->error, STATUS_INVALID,
            "task 'zero-shot-classification' needs a label that says entailment; %s has "
            "none",
            c->spec.architecture);
    char shown[ERROR_PATH_SIZE];
    bool has_other = strcmp(detected, "zero-shot-classification") == 0;
    return error_set(c->error, STATUS_INVALID, "task '%s' does not fit %s, which serves %s%s",
                     error_path(shown, c->task), c->spec.architecture,
                     is_encoder ? "sentence-similarity and feature-extraction" : detected,
                     has_other ? " and text-classification" : "");
}

static Status build_model(Converter *c) {
    int64_t opset = c->options->opset ? c->options->opset : DEFAULT_OPSET;
    TRY(models_build(&c->graph, &c->spec, json_root(c->config), c->checkpoint, opset, c->error));
    c->graph->producer_version = GPUX_VERSION;
    TRY(choose_task(c));
    c->model = BUF_INIT(INT32_MAX);
    return onnx_write(&c->model, c->graph, c->error);
}

// ---- What stands there already ----

static Status check_model_file(Converter *c) {
    char path[PATH_MAX];
    int len = snprintf(path, sizeof path, "%s/" MODEL_FILE, c->target);
    FileStat stat;
    if (len < 0 || len >= PATH_MAX || c->options->force ||
        (!file_stat(&stat, path) && !stat.is_symlink))
        return STATUS_OK;
    OnnxSummary *summary = NULL;
    Error ignored;
    Status status = onnx_summarize(&summary, path, &ignored);
    bool is_ours = status == STATUS_OK && strcmp(summary->producer_name, "gpux") == 0;
    onnx_summary_free(summary);
    if (status == STATUS_OUT_OF_MEMORY)
        return error_set(c->error, status, "%s", ignored.message);
    char shown[ERROR_PATH_SIZE];
    return is_ours
               ? STATUS_OK
               : error_set(c->error, STATUS_INVALID,
                           "'%s' exists and was not written by gpux; use --force to replace it, "
                           "or -o OTHER for another folder",
                           error_path(shown, path));
}

static Status check_yaml(Converter *c) {
    char path[PATH_MAX];
    int len = snprintf(path, sizeof path, "%s/" CONFIG_FILE, c->target);
    FileStat stat;
    if (len < 0 || len >= PATH_MAX || c->options->force ||
        (!file_stat(&stat, path) && !stat.is_symlink))
        return STATUS_OK;
    Project *project = NULL;
    JsonDoc *metadata = NULL;
    Error ignored;
    Status status = project_open(&project, path, NULL, NULL, NULL, &ignored);
    if (status == STATUS_OK)
        status = json_parse(&metadata, sv(project->metadata_json), 0, &ignored);
    c->keeps_yaml = status != STATUS_OK || !is_gpux_converter(json_root(metadata));
    json_free(metadata);
    project_close(project);
    if (status == STATUS_OUT_OF_MEMORY)
        return error_set(c->error, status, "%s", ignored.message);
    if (c->keeps_yaml)
        warn(c, "gpux.yml was not written by gpux and is kept; use --force to replace it");
    return STATUS_OK;
}

static Status check_metadata(Converter *c) {
    TRY(folder_metadata(&c->old_metadata, c->target, c->error));
    const JsonValue *old = json_root(c->old_metadata);
    // One of the 0.1.x releases has no converter, but names its files.
    bool is_ours = is_gpux_converter(old) || json_kind(json_get(old, "files")) == JSON_OBJECT;
    c->keeps_metadata = folder_has(c->target, METADATA_FILE) && !is_ours && !c->options->force;
    if (c->keeps_metadata)
        warn(c, "metadata.json was not written by gpux and is kept; use --force to replace it");
    c->is_repeated = is_ours;
    // Where another model may have been before, its origin is not this one's.
    if (is_ours && c->is_in_place)
        return STATUS_OK;
    json_free(c->old_metadata);
    c->old_metadata = NULL;
    return STATUS_OK;
}

// Into another folder: files of the same names there are replaced only by a repeated conversion.
static Status check_copies(Converter *c) {
    if (c->is_in_place || c->options->force || c->is_repeated)
        return STATUS_OK;
    for (size_t i = 0; i < c->copy_count; i++) {
        char shown[ERROR_PATH_SIZE];
        if (folder_has(c->target, c->files[i].name))
            return error_set(c->error, STATUS_INVALID,
                             "'%s' in '%s' would be replaced; use an empty folder, or --force",
                             c->files[i].name, error_path(shown, c->target));
    }
    return STATUS_OK;
}

// ---- The files of the model ----

static Status add_file(Converter *c, const char *name, uint64_t size) {
    if (c->file_count == c->file_cap)
        return error_set(c->error, STATUS_LIMIT, "the model has more than %zu files", c->file_cap);
    c->files[c->file_count++] = (ModelFile){.name = name, .size = size};
    return STATUS_OK;
}

static Status add_source_file(Converter *c, const char *name) {
    char path[PATH_MAX];
    FileStat stat;
    int len = snprintf(path, sizeof path, "%s/%s", c->source, name);
    if (len < 0 || len >= PATH_MAX || !file_stat(&stat, path) || !stat.is_regular)
        return STATUS_OK;
    return add_file(c, name, stat.size);
}

// "1_Pooling/config.json" and its like; sentence_read has checked the paths.
static Status add_module_files(Converter *c) {
    JsonDoc *doc = NULL;
    TRY(folder_json(&doc, c->source, "modules.json", c->error));
    Status status = STATUS_OK;
    for (size_t i = 0; status == STATUS_OK && i < json_len(json_root(doc)); i++) {
        StrView path;
        if (!json_as_string(&path, json_get(json_at(json_root(doc), i), "path")) || path.len == 0 ||
            !path_is_inside(path))
            continue;
        const char *name = arena_printf(&c->arena, "%.*s/config.json", (int)path.len, path.ptr);
        status = name ? add_source_file(c, name) : error_out_of_memory(c->error, path.len + 16);
    }
    json_free(doc);
    return status;
}

static Status list_files(Converter *c) {
    size_t weights = checkpoint_file_count(c->checkpoint);
    c->file_cap = weights + MAX_OTHER_FILES;
    c->files = arena_alloc_array(&c->arena, c->file_cap, sizeof *c->files);
    if (!c->files)
        return error_out_of_memory(c->error, c->file_cap * sizeof *c->files);
    for (size_t i = 0; i < weights; i++)
        TRY(add_source_file(c, checkpoint_file(c->checkpoint, i)));
    for (size_t i = 0; i < sizeof COMPANIONS / sizeof COMPANIONS[0]; i++)
        TRY(add_source_file(c, COMPANIONS[i]));
    if (c->sentence.has_modules)
        TRY(add_module_files(c));
    c->copy_count = c->file_count;
    return STATUS_OK;
}

// ---- Writing ----

static Status find_max_length(size_t *out, Converter *c) {
    size_t positions = c->spec.max_positions > 0 ? (size_t)c->spec.max_positions : 0;
    TRY(folder_max_length(out, c->source, &c->sentence, c->error));
    if (*out == 0 || (positions > 0 && positions < *out))
        *out = positions;
    return STATUS_OK;
}

static const char *precision_of(DType dtype) {
    return dtype == DTYPE_F32    ? "fp32"
           : dtype == DTYPE_F16  ? "fp16"
           : dtype == DTYPE_BF16 ? "bf16"
                                 : NULL;
}

// Of the largest tensor, which decides how much memory the model needs.
static const char *checkpoint_precision(const Checkpoint *checkpoint) {
    const CheckpointTensor *largest = NULL;
    for (size_t i = 0; i < checkpoint_count(checkpoint); i++) {
        const CheckpointTensor *tensor = checkpoint_at(checkpoint, i);
        if (!largest || tensor->size > largest->size)
            largest = tensor;
    }
    return largest ? precision_of(largest->dtype) : NULL;
}

static double seconds_since(uint64_t started_ns) {
    return (double)(clock_now_ns() - started_ns) / 1e9;
}

static Status describe_model(Converter *c) {
    c->conversion = (Conversion){
        .spec = &c->spec,
        .config = json_root(c->config),
        .old_metadata = json_root(c->old_metadata),
        .task = c->task,
        .folder = c->target,
        .precision = checkpoint_precision(c->checkpoint),
        .parameters = checkpoint_parameters(c->checkpoint),
        .weight_bytes = c->weight_bytes,
        .opset = c->graph->opset,
    };
    if (folder_has(c->source, "tokenizer.json"))
        c->conversion.tokenizer = "./tokenizer.json";
    TRY(checkpoint_fault(find_max_length(&c->conversion.max_length, c), c->error));
    TRY(add_file(c, MODEL_FILE, c->model.len));
    c->yaml = BUF_INIT(MAX_YAML);
    if (!c->keeps_yaml) {
        TRY(checkpoint_fault(describe_yaml(&c->yaml, &c->conversion, c->error), c->error));
        TRY(add_file(c, CONFIG_FILE, c->yaml.len));
    }
    return STATUS_OK;
}

// Last, so that it knows how long the rest took.
static Status write_metadata(Converter *c) {
    c->conversion.files = c->files;
    c->conversion.file_count = c->file_count;
    c->conversion.seconds = seconds_since(c->started_ns);
    c->metadata = BUF_INIT(MAX_YAML);
    TRY(describe_metadata(&c->metadata, &c->conversion, c->error));
    return staging_write(&c->staging, METADATA_FILE, &c->metadata, c->error);
}

static Status write_files(Converter *c) {
    TRY(staging_open(&c->staging, c->target, c->file_cap + 3, c->error));
    for (size_t i = 0; !c->is_in_place && i < c->copy_count; i++) {
        char path[PATH_MAX];
        snprintf(path, sizeof path, "%s/%s", c->source, c->files[i].name);
        TRY(staging_copy(&c->staging, c->files[i].name, path, c->error));
    }
    TRY(staging_write(&c->staging, MODEL_FILE, &c->model, c->error));
    if (!c->keeps_yaml)
        TRY(staging_write(&c->staging, CONFIG_FILE, &c->yaml, c->error));
    return c->keeps_metadata ? STATUS_OK : write_metadata(c);
}

static void put_text(JsonWriter *writer, const char *key, const char *text) {
    json_key(writer, key);
    json_write_cstr(writer, text);
}

static Status write_report(Buf *report, Converter *c) {
    if (!report)
        return STATUS_OK;
    JsonWriter writer = json_writer(report, 2);
    json_begin_object(&writer);
    put_text(&writer, "path", c->target);
    put_text(&writer, "task", c->task);
    put_text(&writer, "architecture", c->spec.architecture);
    json_key(&writer, "parameters");
    json_write_u64(&writer, checkpoint_parameters(c->checkpoint));
    put_text(&writer, "format", "onnx");
    json_key(&writer, "opset");
    json_write_i64(&writer, c->graph->opset);
    json_key(&writer, "size_bytes");
    json_write_u64(&writer, c->weight_bytes + c->model.len);
    json_key(&writer, "convert_time_s");
    json_write_fixed(&writer, seconds_since(c->started_ns), 3);
    json_key(&writer, "warnings");
    json_begin_array(&writer);
    for (size_t i = 0; i < c->warning_count; i++)
        json_write_cstr(&writer, c->warnings[i]);
    json_end_array(&writer);
    json_end_object(&writer);
    return buf_status(report, c->error);
}

static Status convert(Converter *c, Buf *report, const char *folder) {
    TRY(find_folders(c, folder));
    TRY(checkpoint_fault(open_checkpoint(c), c->error));
    TRY(check_weights(c));
    TRY(build_model(c));
    TRY(list_files(c));
    TRY(check_model_file(c));
    TRY(check_yaml(c));
    TRY(check_metadata(c));
    TRY(check_copies(c));
    TRY(describe_model(c));
    TRY(write_files(c));
    TRY(write_report(report, c)); // before publishing, so that nothing fails afterwards
    return staging_publish(&c->staging, c->error);
}

Status store_convert(Buf *report, const char *folder, const ConvertOptions *options, Error *error) {
    Converter c = {.options = options, .error = error, .started_ns = clock_now_ns()};
    Status status = convert(&c, report, folder);
    staging_close(&c.staging);
    if (status == STATUS_OK)
        log_message(options->log, LOG_INFO, "converted %s to %s/" MODEL_FILE, c.spec.architecture,
                    c.target);
    buf_free(&c.model);
    buf_free(&c.yaml);
    buf_free(&c.metadata);
    graph_free(c.graph);
    checkpoint_close(c.checkpoint);
    json_free(c.config);
    json_free(c.old_metadata);
    arena_free(&c.arena);
    mem_free(c.source);
    mem_free(c.target);
    if (status != STATUS_OK && report)
        buf_clear(report);
    return status;
}

bool store_is_converted_as(const char *folder, const ConvertOptions *options) {
    JsonDoc *doc = NULL;
    if (folder_metadata(&doc, folder, NULL) != STATUS_OK)
        return true;
    const JsonValue *metadata = json_root(doc);
    bool is_published = strcmp(json_cstr_or(metadata, "source_format", ""), "onnx") == 0;
    int64_t opset = json_i64_or(metadata, "opset", options->opset);
    const char *task = json_cstr_or(metadata, "task", options->task);
    bool has_opset = options->opset == 0 || opset == options->opset;
    bool has_task = !options->task || strcmp(task, options->task) == 0;
    json_free(doc);
    return is_published || (has_opset && has_task);
}
