// All that tasks must know about a model's folder, gathered from gpux.yml, config.json and the
// sentence-transformers files.
//
// Each fact has one order of sources, stated where it is read. Nothing is guessed from names, and a
// model with no description at all is served as raw tensors.
#include "store/private.h"

#include "base/file.h"
#include "onnx/onnx.h"
#include "text/text.h"

#include <stdlib.h>

typedef struct Loader {
    ModelInfo *info;
    const Location *location;
    Project *project; // NULL without configuration
    JsonDoc *config, *metadata;
    char *model, *hints; // model file; folder of config.json and its like
    OnnxSummary *summary;
    SentenceModel sentence;
    Error *error;
} Loader;

static Status copy_text(const char **out, Loader *l, const char *text) {
    *out = arena_strdup(&l->info->arena, text);
    return *out ? STATUS_OK : error_out_of_memory(l->error, strlen(text) + 1);
}

static Status open_files(Loader *l) {
    if (l->location->config)
        TRY(project_open(&l->project, l->location->config, NULL, NULL, NULL, l->error));
    TRY(location_model(&l->model, l->location, l->project, l->error));
    TRY(location_hints(&l->hints, l->location, l->model, l->error));
    TRY(folder_json(&l->config, l->hints, "config.json", l->error));
    TRY(folder_metadata(&l->metadata, l->hints, l->error));
    return onnx_summarize(&l->summary, l->model, l->error);
}

static void read_parameters(Loader *l) {
    int64_t count = json_i64_or(json_root(l->metadata), "parameters", -1);
    l->info->parameters = count >= 0 ? (uint64_t)count : l->summary->parameters;
}

// ---- Task ----

// gpux.yml, else the registry's tag where it fits the architecture, else the architecture, else
// what the friendly inputs and outputs of a local project show.
static Status read_task(Loader *l) {
    ModelInfo *info = l->info;
    if (l->project && l->project->task)
        return copy_text(&info->task, l, l->project->task);
    bool is_sentence = folder_has(l->hints, "modules.json");
    const char *detected = architecture_task(json_root(l->config), is_sentence);
    const JsonValue *metadata = json_root(l->metadata);
    const char *tag = json_cstr_or(metadata, "task", NULL);
    if (!tag)
        tag = json_cstr_or(json_get(metadata, "metadata"), "pipeline_tag", NULL);
    if (detected)
        return copy_text(&info->task, l, tag && task_fits(detected, tag) ? tag : detected);
    bool is_classifier = info->friendly_output && info->text_key && info->tokenizer_folder;
    return copy_text(&info->task, l, is_classifier ? "text-classification" : "raw");
}

static bool is_embedding(const char *task) {
    return strcmp(task, "sentence-similarity") == 0 || strcmp(task, "feature-extraction") == 0;
}

// ---- Friendly names ----

static bool has_port(const OnnxPort *ports, size_t count, const char *name) {
    for (size_t i = 0; i < count; i++)
        if (strcmp(ports[i].name, name) == 0)
            return true;
    return false;
}

static Status read_friendly_names(Loader *l) {
    const ProjectPort *input = NULL, *output = NULL;
    size_t inputs = 0, outputs = 0;
    for (size_t i = 0; l->project && i < l->project->input_count; i++) {
        const ProjectPort *port = &l->project->inputs[i];
        if (has_port(l->summary->inputs, l->summary->input_count, port->name))
            continue;
        input = port;
        inputs++;
    }
    for (size_t i = 0; l->project && i < l->project->output_count; i++) {
        const ProjectPort *port = &l->project->outputs[i];
        if (has_port(l->summary->outputs, l->summary->output_count, port->name))
            continue;
        output = port;
        outputs++;
    }
    if (inputs == 1)
        TRY(copy_text(&l->info->text_key, l, input->name));
    if (outputs == 1 && output->label_count > 0)
        TRY(copy_text(&l->info->friendly_output, l, output->name));
    return STATUS_OK;
}

// ---- Labels ----

static Status read_labels(Loader *l) {
    ModelInfo *info = l->info;
    const JsonValue *config = json_root(l->config);
    TRY(labels_read(&info->labels, &info->label_count, &info->arena, config, l->error));
    for (size_t i = 0; l->project && info->label_count == 0 && i < l->project->output_count; i++) {
        const ProjectPort *port = &l->project->outputs[i];
        if (port->label_count == 0)
            continue;
        info->labels = arena_alloc_array(&info->arena, port->label_count, sizeof *info->labels);
        if (!info->labels)
            return error_out_of_memory(l->error, port->label_count * sizeof *info->labels);
        for (size_t j = 0; j < port->label_count; j++)
            TRY(copy_text(&info->labels[j], l, port->labels[j]));
        info->label_count = port->label_count;
    }
    size_t count = info->label_count;
    if (count == 0)
        count = json_i64_or(config, "num_labels", 0) == 1;
    info->problem_type = problem_type_read(config, count);
    return STATUS_OK;
}

// ---- Tokenizer and limits ----

// "org/name": what a registry could know, not a path.
static bool looks_like_id(const char *text) {
    return text[0] != '.' && text[0] != '/' && text[0] != '~' &&
           !sv_ends_with(sv(text), SV(".json"));
}

// The tokenizer of a cached model, by the model's id.
static Status read_cached_tokenizer(Loader *l, const char *id) {
    char shown[ERROR_PATH_SIZE], *folder = NULL;
    if (l->location->cache_dir)
        TRY(cache_find_id(&folder, l->location->cache_dir, id, l->error));
    Status status;
    if (!folder)
        status = error_set(l->error, STATUS_NOT_FOUND,
                           "Tokenizer '%s' not found; pull it with: gpux pull %s",
                           error_path(shown, id), shown);
    else if (!tokenizer_is_in(folder))
        status = error_set(l->error, STATUS_NOT_FOUND, "The cached model '%s' has no tokenizer",
                           error_path(shown, id));
    else
        status = copy_text(&l->info->tokenizer_folder, l, folder);
    mem_free(folder);
    return status;
}

// preprocessing.tokenizer: a tokenizer.json, the folder that has it, or the id of a cached model.
static Status read_written_tokenizer(Loader *l, const char *written) {
    char shown[ERROR_PATH_SIZE];
    char *expanded = path_expand_home(written, getenv("HOME"));
    char *joined = expanded ? path_join(l->project->folder, expanded) : NULL;
    char *path = joined ? path_absolute(joined) : NULL;
    mem_free(expanded);
    mem_free(joined);
    if (!path)
        return error_out_of_memory(l->error, strlen(written));
    Status status = STATUS_OK;
    char *folder = file_is_dir(path) ? mem_strdup(path) : path_dirname(path);
    if (!folder)
        status = error_out_of_memory(l->error, strlen(path));
    else if (file_is_dir(path) ? tokenizer_is_in(path) : file_is_regular(path))
        status = copy_text(&l->info->tokenizer_folder, l, folder);
    else if (looks_like_id(written))
        status = read_cached_tokenizer(l, written);
    else
        status = error_set(l->error, STATUS_NOT_FOUND, "Tokenizer not found: %s",
                           error_path(shown, path));
    // A file of another name would be passed over in silence.
    if (status == STATUS_OK && file_is_regular(path) &&
        strcmp(path_basename(path), "tokenizer.json") != 0 &&
        strcmp(path_basename(path), "vocab.txt") != 0 &&
        !sv_ends_with(sv(path_basename(path)), SV(".model")))
        status =
            error_set(l->error, STATUS_UNSUPPORTED,
                      "preprocessing.tokenizer must be a folder or a file named tokenizer.json, "
                      "not '%s'",
                      error_path(shown, written));
    mem_free(folder);
    mem_free(path);
    return status;
}

static Status read_tokenizer(Loader *l) {
    const char *written = l->project ? l->project->preprocessing.tokenizer : NULL;
    if (written)
        return read_written_tokenizer(l, written);
    if (tokenizer_is_in(l->hints))
        return copy_text(&l->info->tokenizer_folder, l, l->hints);
    if (tokenizer_is_in(l->location->folder))
        return copy_text(&l->info->tokenizer_folder, l, l->location->folder);
    return STATUS_OK;
}

static Status read_sentence(Loader *l) {
    ModelInfo *info = l->info;
    info->pooling = POOLING_MEAN;
    if (!is_embedding(info->task))
        return STATUS_OK;
    TRY(sentence_read(&l->sentence, l->hints, l->error));
    info->pooling = l->sentence.pooling;
    info->normalize = l->sentence.normalize;
    info->do_lower_case = l->sentence.do_lower_case;
    info->skips_prompt = l->sentence.skips_prompt;
    return prompts_read(info, l->hints, l->error);
}

static Status read_max_length(Loader *l) {
    ModelInfo *info = l->info;
    if (l->project && l->project->preprocessing.max_length > 0) {
        info->max_length_set = (size_t)l->project->preprocessing.max_length;
        info->max_length = info->max_length_set;
        return STATUS_OK;
    }
    return folder_max_length(&info->max_length, l->hints, &l->sentence, l->error);
}

// A bare .onnx file may lie anywhere; these files mark the folder of a model.
static Status read_kept_folder(Loader *l) {
    ModelInfo *info = l->info;
    char *folder = path_dirname(l->model);
    if (folder)
        info->kept_folder = arena_printf(&info->arena, "%s/" BUILT_FOLDER, folder);
    info->is_bare =
        folder && !folder_has(folder, "gpux.yml") && !folder_has(folder, "metadata.json");
    mem_free(folder);
    return info->kept_folder ? STATUS_OK : error_out_of_memory(l->error, strlen(l->model));
}

// ---- The whole ----

static Status read_names(Loader *l) {
    ModelInfo *info = l->info;
    TRY(copy_text(&info->folder, l, l->location->folder));
    TRY(copy_text(&info->model_file, l, l->model));
    if (l->project) {
        TRY(copy_text(&info->name, l, l->project->name));
        return copy_text(&info->version, l, l->project->version);
    }
    info->name = model_stem(&info->arena, l->model);
    if (!info->name)
        return error_out_of_memory(l->error, strlen(l->model));
    return copy_text(&info->version, l, "1.0.0");
}

static Status read_runtime(Loader *l) {
    ModelInfo *info = l->info;
    info->timeout_seconds = 30;
    info->backend = "auto";
    info->precision = "auto";
    if (!l->project)
        return STATUS_OK;
    info->timeout_seconds = l->project->runtime.timeout;
    info->batch_size = l->project->runtime.batch_size;
    info->threads = l->project->runtime.threads;
    TRY(copy_text(&info->backend, l, l->project->runtime.gpu_backend));
    return copy_text(&info->precision, l, l->project->runtime.precision);
}

static Status load(Loader *l) {
    TRY(open_files(l));
    read_parameters(l);
    TRY(read_names(l));
    TRY(read_runtime(l));
    TRY(read_friendly_names(l));
    TRY(read_tokenizer(l));
    TRY(read_kept_folder(l));
    TRY(read_task(l));
    TRY(read_labels(l));
    TRY(read_sentence(l));
    return read_max_length(l);
}

Status model_info_load(ModelInfo **out, const Location *location, Error *error) {
    *out = NULL;
    Loader l = {.location = location, .error = error, .info = mem_alloc_zero(1, sizeof(ModelInfo))};
    if (!l.info)
        return error_out_of_memory(error, sizeof(ModelInfo));
    Status status = load(&l);
    project_close(l.project);
    json_free(l.config);
    json_free(l.metadata);
    onnx_summary_free(l.summary);
    mem_free(l.model);
    mem_free(l.hints);
    if (status == STATUS_OK)
        *out = l.info;
    else
        model_info_free(l.info);
    return status;
}

void model_info_free(ModelInfo *info) {
    if (!info)
        return;
    arena_free(&info->arena);
    mem_free(info);
}
