// Which files of a repository a pull wants: configuration and tokenizer always, and one set of
// weights, the first format that exists. A table, so that the rule can be read in one screen.
#include "registry/private.h"

enum { TOKENIZER_MODEL_MAX = 20 << 20, INDEX_MAX_SHARDS = 10000 };

// "*" stands for any bytes but "/".
static bool matches(const char *pattern, const char *path) {
    while (*pattern) {
        if (*pattern != '*') {
            if (*pattern++ != *path++)
                return false;
            continue;
        }
        for (pattern++; !matches(pattern, path); path++)
            if (*path == '\0' || *path == '/')
                return false;
        return true;
    }
    return *path == '\0';
}

// The model converts without these; which ones matter is for the conversion to say.
static const char *const SMALL_FILES[] = {
    "config.json",
    "generation_config.json",
    "tokenizer.json",
    "tokenizer_config.json",
    "special_tokens_map.json",
    "added_tokens.json",
    "vocab.txt",
    "vocab.json",
    "merges.txt",
    "*.model",
    "preprocessor_config.json",
    "processor_config.json",
    "modules.json",
    "*_Pooling/config.json",
    "*_Dense/*",
    "sentence_bert_config.json",
    "config_sentence_transformers.json",
    "chat_template*",
};

typedef struct WeightSet {
    const char *format;
    const char *file; // a pattern; only the first match is the model
    bool is_index;
    const char *extras[2]; // patterns of what belongs to it
} WeightSet;

// In order of preference.
static const WeightSet WEIGHT_SETS[] = {
    {.format = "safetensors", .file = "model.safetensors"},
    {.format = "safetensors", .file = "model.safetensors.index.json", .is_index = true},
    {.format = "pytorch", .file = "pytorch_model.bin"},
    {.format = "pytorch", .file = "pytorch_model.bin.index.json", .is_index = true},
    {.format = "onnx",
     .file = "onnx/model.onnx",
     .extras = {"onnx/model.onnx_data*", "onnx/model.onnx.data"}},
    {.format = "onnx", .file = "model.onnx", .extras = {"model.onnx_data*", "model.onnx.data"}},
    {.format = "gguf", .file = "*.gguf"},
    {.format = "tensorflow", .file = "tf_model.h5"},
};
enum { N_WEIGHT_SETS = sizeof WEIGHT_SETS / sizeof *WEIGHT_SETS };

// Names that gpux writes itself; a repository's own file of that name has no place beside them.
static bool is_reserved(const char *path) {
    return strcmp(path, METADATA_FILE) == 0 || strcmp(path, CONFIG_FILE) == 0 ||
           strncmp(path, ".gpux", 5) == 0;
}

// In a *_Dense folder the two usual formats hold the same weights.
static bool is_duplicate(const HubModel *model, const char *path) {
    if (!matches("*_Dense/pytorch_model.bin", path))
        return false;
    char twin[64];
    size_t head = (size_t)(strchr(path, '/') - path) + 1;
    if (head + sizeof "model.safetensors" > sizeof twin)
        return false;
    memcpy(twin, path, head);
    memcpy(twin + head, "model.safetensors", sizeof "model.safetensors");
    return hub_model_find(model, twin) != NULL;
}

static bool is_small(const HubModel *model, const HubFile *file) {
    for (size_t i = 0; i < sizeof SMALL_FILES / sizeof *SMALL_FILES; i++) {
        if (!matches(SMALL_FILES[i], file->path))
            continue;
        bool is_too_large =
            strcmp(SMALL_FILES[i], "*.model") == 0 && file->size > TOKENIZER_MODEL_MAX;
        return !is_too_large && !is_duplicate(model, file->path);
    }
    return false;
}

static HubFile *first_match(const HubModel *model, const char *pattern) {
    for (size_t i = 0; i < model->file_count; i++)
        if (matches(pattern, model->files[i].path))
            return &model->files[i];
    return NULL;
}

static const WeightSet *find_weights(const HubModel *model, const char *format) {
    for (size_t i = 0; i < N_WEIGHT_SETS; i++)
        if ((!format || strcmp(format, WEIGHT_SETS[i].format) == 0) &&
            first_match(model, WEIGHT_SETS[i].file))
            return &WEIGHT_SETS[i];
    return NULL;
}

static bool is_known_format(const char *format) {
    for (size_t i = 0; i < N_WEIGHT_SETS; i++)
        if (strcmp(format, WEIGHT_SETS[i].format) == 0)
            return true;
    return false;
}

static void mark_weights(HubModel *model, const WeightSet *set) {
    HubFile *file = first_match(model, set->file);
    file->is_needed = true;
    file->is_optional = false;
    for (size_t i = 0; i < model->file_count; i++)
        for (size_t e = 0; e < 2 && set->extras[e]; e++)
            if (matches(set->extras[e], model->files[i].path))
                model->files[i].is_needed = true;
}

Status needed_mark(HubModel *model, const char **source_format, const char *format, bool all_files,
                   Error *error) {
    if (format && strcmp(format, "auto") == 0)
        format = NULL;
    if (format && !is_known_format(format))
        return error_set(error, STATUS_INVALID,
                         "Unknown format '%s': auto, safetensors, pytorch, onnx, tensorflow, gguf",
                         format);
    for (size_t i = 0; i < model->file_count; i++) {
        HubFile *file = &model->files[i];
        file->is_needed = !is_reserved(file->path) && (all_files || is_small(model, file));
        file->is_optional = file->is_needed && strcmp(file->path, "config.json") != 0;
    }
    const WeightSet *set = find_weights(model, format);
    *source_format = set ? set->format : "unknown";
    if (set)
        mark_weights(model, set);
    else if (!all_files || format)
        return error_set(error, STATUS_NOT_FOUND, "the model has no %s weights (looked for %s)",
                         format ? format : "usable",
                         format ? "that format"
                                : "model.safetensors, pytorch_model.bin, model.onnx, *.gguf, "
                                  "tf_model.h5");
    return STATUS_OK;
}

const char *needed_index(const HubModel *model) {
    for (size_t i = 0; i < N_WEIGHT_SETS; i++) {
        const HubFile *file =
            WEIGHT_SETS[i].is_index ? hub_model_find(model, WEIGHT_SETS[i].file) : NULL;
        if (file && file->is_needed && !file->is_optional)
            return file->path;
    }
    return NULL;
}

Status needed_mark_shards(HubModel *model, StrView index, Error *error) {
    JsonDoc *doc;
    TRY(json_parse(&doc, index, 0, error));
    const JsonValue *map = json_get(json_root(doc), "weight_map");
    Status status = STATUS_OK;
    size_t iterator = 0;
    size_t shards = 0;
    StrView tensor;
    const JsonValue *value;
    while (status == STATUS_OK && json_next(map, &iterator, &tensor, &value)) {
        StrView name;
        HubFile *file = json_as_string(&name, value) && is_safe_path(name)
                            ? hub_model_find(model, name.ptr)
                            : NULL;
        shards += file && !(file->is_needed && !file->is_optional);
        if (!file || is_reserved(file->path)) {
            char shown[ERROR_PATH_SIZE];
            status = error_set(error, STATUS_CORRUPT,
                               "the index names a weight file that the repository lacks: '%s'",
                               error_path(shown, json_as_string(&name, value) ? name.ptr : "?"));
        } else if (shards > INDEX_MAX_SHARDS) {
            status = error_set(error, STATUS_LIMIT, "the index names over %d weight files",
                               INDEX_MAX_SHARDS);
        } else {
            file->is_needed = true;
            file->is_optional = false;
        }
    }
    if (status == STATUS_OK && shards == 0)
        status = error_set(error, STATUS_CORRUPT, "the index names no weight files");
    json_free(doc);
    return status;
}
