// What the small files beside a model say: config.json, modules.json, tokenizer_config.json.
//
// These files come from outside. A missing file is an answer; a damaged one is an error that names
// it; module paths never leave the folder.
#include "store/private.h"

#include "base/file.h"

#include <limits.h>
#include <stdio.h>

enum {
    MAX_JSON = 4 << 20,
    MAX_LABELS = 1 << 20,
    MAX_MODULES = 64,
    MAX_TOKENS = 1000000, // larger values of model_max_length mean "no limit"
};

static bool join(char out[PATH_MAX], const char *folder, const char *name) {
    int len = snprintf(out, PATH_MAX, "%s/%s", folder, name);
    return len > 0 && len < PATH_MAX;
}

bool folder_has(const char *folder, const char *name) {
    char path[PATH_MAX];
    return join(path, folder, name) && file_is_regular(path);
}

Status folder_json(JsonDoc **out, const char *folder, const char *name, Error *error) {
    char path[PATH_MAX];
    *out = NULL;
    if (!join(path, folder, name) || !file_is_regular(path))
        return STATUS_OK;
    return json_parse_file(out, path, MAX_JSON, 0, error);
}

Status folder_metadata(JsonDoc **out, const char *folder, Error *error) {
    Status status = folder_json(out, folder, METADATA_FILE, error);
    return status == STATUS_OUT_OF_MEMORY ? status : STATUS_OK;
}

bool is_gpux_converter(const JsonValue *object) {
    return sv_starts_with(sv(json_cstr_or(object, "converter", "")), SV("gpux"));
}

// ---- Sentence transformers ----

static const struct PoolingMode {
    const char *flag; // in older files, one bool each
    const char *name; // "pooling_mode" of newer ones
    bool is_on_by_default;
    bool is_supported;
    Pooling pooling;
} POOLING_MODES[] = {
    {"pooling_mode_cls_token", "cls", false, true, POOLING_CLS},
    {"pooling_mode_mean_tokens", "mean", true, true, POOLING_MEAN},
    {"pooling_mode_max_tokens", "max", false, true, POOLING_MAX},
    {"pooling_mode_mean_sqrt_len_tokens", "mean_sqrt_len_tokens", false, true,
     POOLING_MEAN_SQRT_LEN},
    {"pooling_mode_weightedmean_tokens", "weightedmean", false, false, POOLING_MEAN},
    {"pooling_mode_lasttoken", "lasttoken", false, true, POOLING_LAST_TOKEN},
};
enum { POOLING_MODE_COUNT = sizeof POOLING_MODES / sizeof POOLING_MODES[0] };

static Status choose_pooling(SentenceModel *out, const JsonValue *config, const char *file,
                             Error *error) {
    const struct PoolingMode *chosen = NULL;
    size_t count = 0;
    StrView name;
    bool is_named = json_as_string(&name, json_get(config, "pooling_mode"));
    for (size_t i = 0; i < POOLING_MODE_COUNT; i++) {
        const struct PoolingMode *mode = &POOLING_MODES[i];
        bool is_on = is_named ? sv_equal_cstr(name, mode->name)
                              : json_bool_or(config, mode->flag, mode->is_on_by_default);
        chosen = is_on ? mode : chosen;
        count += is_on;
    }
    if (json_kind(config) != JSON_OBJECT || count == 0)
        return error_set(error, STATUS_UNSUPPORTED, "%s names no pooling mode that gpux knows",
                         file);
    if (count > 1)
        return error_set(error, STATUS_UNSUPPORTED,
                         "%s combines %zu pooling modes; gpux computes one", file, count);
    if (!chosen->is_supported)
        return error_set(error, STATUS_UNSUPPORTED, "%s: pooling mode '%s' is not supported", file,
                         chosen->name);
    out->pooling = chosen->pooling;
    out->skips_prompt = !json_bool_or(config, "include_prompt", true);
    return STATUS_OK;
}

// "<path>/config.json" relative to the folder; `path` may be empty.
static Status module_file(char out[PATH_MAX], StrView path, const char *name, Error *error) {
    int len = path.len == 0 ? snprintf(out, PATH_MAX, "%s", name)
                            : snprintf(out, PATH_MAX, "%.*s/%s", (int)path.len, path.ptr, name);
    if (path.len > NAME_MAX || (path.len > 0 && !path_is_inside(path)) || len < 0 ||
        len >= PATH_MAX)
        return error_set(error, STATUS_CORRUPT,
                         "modules.json: the path of a module leaves the model's folder");
    return STATUS_OK;
}

static Status read_pooling(SentenceModel *out, const char *folder, StrView path, Error *error) {
    char file[PATH_MAX];
    JsonDoc *doc = NULL;
    TRY(module_file(file, path, "config.json", error));
    TRY(folder_json(&doc, folder, file, error));
    Status status =
        doc ? choose_pooling(out, json_root(doc), file, error)
            : error_set(error, STATUS_NOT_FOUND,
                        "modules.json names a Pooling module, but '%s' is missing", file);
    json_free(doc);
    return status;
}

static const char *const SENTENCE_FILES[] = {
    "sentence_bert_config.json", "sentence_roberta_config.json", "sentence_distilbert_config.json",
    "sentence_camembert_config.json", "sentence_xlm-roberta_config.json"};

// max_seq_length and do_lower_case, beside the transformer.
static Status read_transformer(SentenceModel *out, const char *folder, StrView path, Error *error) {
    for (size_t i = 0; i < sizeof SENTENCE_FILES / sizeof SENTENCE_FILES[0]; i++) {
        char file[PATH_MAX];
        JsonDoc *doc = NULL;
        TRY(module_file(file, path, SENTENCE_FILES[i], error));
        TRY(folder_json(&doc, folder, file, error));
        if (!doc)
            continue;
        int64_t length = json_i64_or(json_root(doc), "max_seq_length", 0);
        if (length > 0 && length < MAX_TOKENS)
            out->max_length = (size_t)length;
        out->do_lower_case = json_bool_or(json_root(doc), "do_lower_case", false);
        json_free(doc);
        return STATUS_OK;
    }
    return STATUS_OK;
}

// "sentence_transformers.models.Pooling" → "Pooling".
static StrView last_part(StrView type) {
    for (size_t i = type.len; i > 0; i--)
        if (type.ptr[i - 1] == '.')
            return sv_n(type.ptr + i, type.len - i);
    return type;
}

static Status read_module(SentenceModel *out, const char *folder, const JsonValue *module,
                          Error *error) {
    StrView type, path = SV("");
    if (!json_as_string(&type, json_get(module, "type")))
        return error_set(error, STATUS_CORRUPT, "modules.json: a module has no type");
    (void)json_as_string(&path, json_get(module, "path"));
    StrView kind = last_part(type);
    if (sv_equal_cstr(kind, "Transformer"))
        return read_transformer(out, folder, path, error);
    if (sv_equal_cstr(kind, "Pooling"))
        return read_pooling(out, folder, path, error);
    if (sv_equal_cstr(kind, "Normalize"))
        out->normalize = true;
    else if (!sv_equal_cstr(kind, "Dropout")) // it does nothing when a model is used
        return error_set(error, STATUS_UNSUPPORTED,
                         "modules.json: module '%.*s' is not supported; supported are Transformer, "
                         "Pooling and Normalize",
                         (int)(kind.len < 80 ? kind.len : 80), kind.ptr);
    return STATUS_OK;
}

Status sentence_read(SentenceModel *out, const char *folder, Error *error) {
    *out = (SentenceModel){.pooling = POOLING_MEAN};
    JsonDoc *doc = NULL;
    TRY(folder_json(&doc, folder, "modules.json", error));
    if (!doc)
        return read_transformer(out, folder, SV(""), error);
    out->has_modules = true;
    const JsonValue *modules = json_root(doc);
    Status status = STATUS_OK;
    if (json_kind(modules) != JSON_ARRAY || json_len(modules) > MAX_MODULES)
        status = error_set(error, STATUS_CORRUPT, "modules.json: not a list of modules");
    for (size_t i = 0; status == STATUS_OK && i < json_len(modules); i++)
        status = read_module(out, folder, json_at(modules, i), error);
    json_free(doc);
    return status;
}

Status folder_max_length(size_t *out, const char *folder, const SentenceModel *sentence,
                         Error *error) {
    *out = sentence->max_length;
    if (*out > 0)
        return STATUS_OK;
    JsonDoc *doc = NULL;
    TRY(folder_json(&doc, folder, "tokenizer_config.json", error));
    double length = json_f64_or(json_root(doc), "model_max_length", 0);
    if (length >= 1 && length < MAX_TOKENS)
        *out = (size_t)length;
    json_free(doc);
    return STATUS_OK;
}

// ---- Labels ----

static Status bad_labels(Error *error) {
    return error_set(error, STATUS_CORRUPT,
                     "config.json: id2label does not map the indices 0, 1, 2, … to names");
}

Status labels_read(const char ***out, size_t *count, Arena *arena, const JsonValue *config,
                   Error *error) {
    const JsonValue *map = json_get(config, "id2label"), *value;
    size_t len = json_kind(map) == JSON_OBJECT ? json_len(map) : 0, iterator = 0;
    StrView key, text;
    *out = NULL;
    *count = 0;
    if (len == 0)
        return STATUS_OK;
    if (len > MAX_LABELS)
        return error_set(error, STATUS_LIMIT, "config.json: id2label has more than %d labels",
                         MAX_LABELS);
    const char **labels = arena_alloc_array(arena, len, sizeof *labels);
    if (!labels)
        return error_out_of_memory(error, len * sizeof *labels);
    while (json_next(map, &iterator, &key, &value)) {
        int64_t index;
        if (!sv_to_i64(&index, key) || index < 0 || (uint64_t)index >= len || labels[index] ||
            !json_as_string(&text, value))
            return bad_labels(error);
        labels[index] = arena_strndup(arena, text.ptr, text.len);
        if (!labels[index])
            return error_out_of_memory(error, text.len + 1);
    }
    *out = labels;
    *count = len;
    return STATUS_OK;
}

ProblemType problem_type_read(const JsonValue *config, size_t label_count) {
    const char *type = json_cstr_or(config, "problem_type", "");
    if (strcmp(type, "regression") == 0)
        return PROBLEM_REGRESSION;
    // Softmax over one label would always say 1.
    bool is_multi = strcmp(type, "multi_label_classification") == 0 || label_count == 1;
    return is_multi ? PROBLEM_MULTI_LABEL : PROBLEM_SINGLE_LABEL;
}

// ---- Tasks ----

static const struct TaskOfSuffix {
    const char *suffix, *task;
} TASK_SUFFIXES[] = {
    {"ForSequenceClassification", "text-classification"},
    {"ForTokenClassification", "token-classification"},
    {"ForQuestionAnswering", "question-answering"},
    {"ForMaskedLM", "fill-mask"},
    {"BertForPreTraining", "fill-mask"},
    {"ForCausalLM", "text-generation"},
    {"LMHeadModel", "text-generation"},
    {"WhisperForConditionalGeneration", "automatic-speech-recognition"},
    {"ForConditionalGeneration", "text2text-generation"},
    {"ForImageClassification", "image-classification"},
    {"ForObjectDetection", "object-detection"},
    {"ForCTC", "automatic-speech-recognition"},
    {"Model", "feature-extraction"},
};

static bool has_entailment(const JsonValue *config) {
    const JsonValue *labels = json_get(config, "id2label"), *label;
    size_t iterator = 0;
    StrView key, text;
    while (json_kind(labels) == JSON_OBJECT && json_next(labels, &iterator, &key, &label))
        if (json_as_string(&text, label) && text.len >= 6 &&
            sv_equal_nocase(sv_n(text.ptr, 6), SV("entail")))
            return true;
    return false;
}

const char *architecture_task(const JsonValue *config, bool is_sentence) {
    StrView name;
    const char *task = NULL;
    if (!json_as_string(&name, json_at(json_get(config, "architectures"), 0)))
        name = json_cstr_or(config, "model_type", NULL) ? SV("Model") : SV("");
    for (size_t i = 0; !task && i < sizeof TASK_SUFFIXES / sizeof TASK_SUFFIXES[0]; i++)
        if (sv_ends_with(name, sv(TASK_SUFFIXES[i].suffix)))
            task = TASK_SUFFIXES[i].task;
    if (task && strcmp(task, "text-classification") == 0 && has_entailment(config))
        return "zero-shot-classification";
    if (task && strcmp(task, "feature-extraction") == 0 && is_sentence)
        return "sentence-similarity";
    return task;
}

bool task_fits(const char *detected, const char *task) {
    static const char *const PAIRS[][2] = {
        {"zero-shot-classification", "text-classification"},
        {"sentence-similarity", "feature-extraction"},
        {"feature-extraction", "sentence-similarity"},
        {"text2text-generation", "summarization"},
        {"text2text-generation", "translation"},
    };
    for (size_t i = 0; i < sizeof PAIRS / sizeof PAIRS[0]; i++)
        if (strcmp(detected, PAIRS[i][0]) == 0 && strcmp(task, PAIRS[i][1]) == 0)
            return true;
    return strcmp(detected, task) == 0;
}

// ---- Locations ----

static Status not_converted(const char *folder, Error *error) {
    char shown[ERROR_PATH_SIZE];
    error_path(shown, folder);
    return error_set(error, STATUS_NOT_FOUND,
                     "Model file not found: %s/%s (convert the weights with: gpux convert %s)",
                     shown, MODEL_FILE, shown);
}

// A folder stands for the model.onnx inside.
static Status model_in(char **path, Error *error) {
    if (!file_is_dir(*path))
        return STATUS_OK;
    char *inside = path_join(*path, MODEL_FILE);
    Status status = STATUS_OK;
    if (!inside)
        status = error_out_of_memory(error, strlen(*path) + sizeof MODEL_FILE);
    else if (!file_is_regular(inside))
        status = not_converted(*path, error);
    mem_free(*path);
    *path = inside;
    return status;
}

Status location_model(char **out, const Location *location, const Project *project, Error *error) {
    char *path = NULL;
    *out = NULL;
    if (project && strcmp(project->model_format, "onnx") != 0)
        return error_set(error, STATUS_UNSUPPORTED,
                         "model.format '%s' cannot be run as it is; convert the weights with: gpux "
                         "convert DIR",
                         project->model_format);
    if (project) {
        TRY(project_model_path(&path, project, error));
    } else {
        path = mem_strdup(location->model_file ? location->model_file : location->folder);
        if (!path)
            return error_out_of_memory(error, strlen(location->folder) + 1);
    }
    Status status = model_in(&path, error);
    if (status == STATUS_OK)
        *out = path;
    else
        mem_free(path);
    return status;
}

Status location_hints(char **out, const Location *location, const char *model_file, Error *error) {
    char *folder = path_dirname(model_file);
    if (folder && !folder_has(folder, "config.json") && !folder_has(folder, "tokenizer.json")) {
        mem_free(folder);
        folder = mem_strdup(location->folder);
    }
    *out = folder;
    return folder ? STATUS_OK : error_out_of_memory(error, strlen(model_file));
}

const char *model_stem(Arena *arena, const char *path) {
    StrView name = sv(path_basename(path));
    const char *dot = strrchr(name.ptr, '.');
    StrView stem = dot && dot > name.ptr ? sv_n(name.ptr, (size_t)(dot - name.ptr)) : name;
    if (!sv_equal_cstr(stem, "model"))
        return arena_strndup(arena, stem.ptr, stem.len);
    char *folder = path_dirname(path);
    const char *base = folder ? path_basename(folder) : NULL;
    const char *copy =
        !base ? NULL : arena_strdup(arena, *base && strcmp(base, ".") ? base : "model");
    mem_free(folder);
    return copy;
}
