// What the files of store/ know of each other: small files beside a model, the cache's folders, and
// files that appear together or not at all.
#ifndef GPUX_STORE_PRIVATE_H
#define GPUX_STORE_PRIVATE_H

#include "config/config.h"
#include "models/models.h"
#include "store/store.h"

// The build sets it; elsewhere, as in tests of this room alone, it does not matter.
#ifndef GPUX_VERSION
#define GPUX_VERSION "unknown"
#endif

#define MODEL_FILE "model.onnx"
#define CONFIG_FILE "gpux.yml"
#define METADATA_FILE "metadata.json"

// ---- folder.c: what the hub's small files say ----

bool folder_has(const char *folder, const char *name); // a regular file, links followed
// Reads folder/name, at most 4 MB; *out is NULL when there is no such file.
Status folder_json(JsonDoc **out, const char *folder, const char *name, Error *error);
// The same, and also NULL for a file that cannot be used: metadata.json is never fatal.
Status folder_metadata(JsonDoc **out, const char *folder, Error *error);
// "gpux 0.1.0", in gpux.yml's metadata and in metadata.json.
bool is_gpux_converter(const JsonValue *object);

// modules.json, 1_Pooling/config.json and sentence_bert_config.json. Without them: mean, nothing
// else.
typedef struct SentenceModel {
    bool has_modules;
    Pooling pooling;
    bool normalize;
    size_t max_length; // 0 = not said
    bool do_lower_case;
    bool skips_prompt; // pooling leaves out the tokens of a prompt
} SentenceModel;
// STATUS_UNSUPPORTED for modules that gpux does not compute, STATUS_CORRUPT for files at odds.
Status sentence_read(SentenceModel *out, const char *folder, Error *error);

// The prompts of config_sentence_transformers.json into *info. STATUS_CORRUPT when the default one
// is not among them.
Status prompts_read(ModelInfo *info, const char *folder, Error *error);

// max_seq_length, else model_max_length of tokenizer_config.json (below 10^6), else 0.
Status folder_max_length(size_t *out, const char *folder, const SentenceModel *sentence,
                         Error *error);

// id2label of a config.json in the order of its indices; *count 0 when there is none.
Status labels_read(const char ***out, size_t *count, Arena *arena, const JsonValue *config,
                   Error *error);
ProblemType problem_type_read(const JsonValue *config, size_t label_count);

// The task that a config.json's architecture is for, or NULL. `is_sentence`: modules.json exists.
const char *architecture_task(const JsonValue *config, bool is_sentence);
// Whether a model whose detected task is `detected` can serve `task`.
bool task_fits(const char *detected, const char *task);

// The absolute path of the model that a location leads to; a heap string. `project` may be NULL.
Status location_model(char **out, const Location *location, const Project *project, Error *error);
// The folder with config.json and tokenizer files: the model's own, else the location's. A heap
// string.
Status location_hints(char **out, const Location *location, const char *model_file, Error *error);
// The name of a model without configuration: the file's stem, or the folder's when that is "model".
// In the arena; NULL when out of memory.
const char *model_stem(Arena *arena, const char *path);

// ---- resolve.c ----
// "./x.yml" and "/x.yml" are taken as they are, not looked for in a folder.
bool config_is_path(const char *config);

// ---- built.c ----
// *out is NULL when there is no such file.
Status built_read(JsonDoc **out, const char *folder, const char *name, Error *error);

// ---- staging.c ----

typedef struct StagedFile {
    const char *from, *to, *backup; // absolute paths
    bool is_saved, is_published;
} StagedFile;

// Files are written into a folder of their own inside the target and renamed into place together.
typedef struct Staging {
    Arena arena;
    const char *target;
    char *folder; // NULL before staging_open made it
    StagedFile *files;
    size_t count, cap;
    const char **made; // folders that did not exist before, outermost first
    size_t made_count;
} Staging;

// Makes the target when it is missing. `cap`: most files that will be added. Whatever the result,
// staging_close must follow.
Status staging_open(Staging *staging, const char *target, size_t cap, Error *error);
Status staging_write(Staging *staging, const char *name, const Buf *bytes, Error *error);
Status staging_copy(Staging *staging, const char *name, const char *source, Error *error);
// Renames all files into place in the order in which they were added; the old ones are put back
// when one cannot be.
Status staging_publish(Staging *staging, Error *error);
// Removes what was not published, and every folder that was made for it. Allocates nothing.
void staging_close(Staging *staging);

// ---- describe.c: gpux.yml and metadata.json of a converted model ----

typedef struct ModelFile {
    const char *name; // relative to the folder
    uint64_t size;
} ModelFile;

typedef struct Conversion {
    const ModelSpec *spec;
    const JsonValue *config;
    const JsonValue *old_metadata; // of an earlier conversion or a pull, or NULL
    const char *task;
    const char *folder;    // absolute: its name names the model
    const char *tokenizer; // "./tokenizer.json", or NULL
    const char *precision; // "fp32", or NULL when unknown
    size_t max_length;
    uint64_t parameters, weight_bytes;
    int64_t opset;
    double seconds;
    const ModelFile *files;
    size_t file_count;
} Conversion;

Status describe_yaml(Buf *out, const Conversion *conversion, Error *error);
Status describe_metadata(Buf *out, const Conversion *conversion, Error *error);

// ---- cached.c: the cache's folders ----

typedef struct CachedModel {
    const char *registry; // NULL for a folder made by hand
    const char *id;       // "org/name"; the folder's name for one made by hand
    const char *revision; // NULL likewise
    const char *folder;   // absolute
    bool has_config, has_model;
    const char *name; // of the configuration, or NULL; filled by cache_read_names
} CachedModel;

typedef struct CacheList {
    Arena arena;
    CachedModel *items;
    size_t count, cap;
} CacheList;

// Every model below `root`; none when the root is missing. Zero-initialised by the caller, who
// frees it in each case.
Status cache_list(CacheList *list, const char *root, const char *config, Error *error);
Status cache_read_names(CacheList *list, const char *config, Error *error);
void cache_list_free(CacheList *list);
// The folder of a cached model by its id (with prefix and @revision where there are any), on the
// heap; NULL when it is not there.
Status cache_find_id(char **folder, const char *cache_dir, const char *id, Error *error);
// Sorts after any stamp of an older pull: metadata.json's pulled_at, else the folder's time.
Status cache_pulled_at(char out[32], const CachedModel *model, Error *error);

#endif
