// MODEL_NAME → folder, in one fixed order: path, project here, folder here, cached id, cached
// configuration name, build folder, and last the project here under another name.
//
// The first match wins, a registry id never leads to another model, and what looks like a path is
// nothing else. Nothing is downloaded and nothing is written.
#include "store/private.h"

#include "base/file.h"

#include <stdio.h>

enum {
    MAX_BLOCK = 1 << 20,
    MAX_DEPTH = 6, // of .gpux
    MAX_ID = 96,
    NAME_SHOWN = 97,
    CANDIDATES_SHOWN = 8,
};

typedef struct Finder {
    const ResolveOptions *options;
    const char *name;
    Location *out;
    bool is_found;
    CacheList cache;
    // MODEL_NAME as an id
    char *id; // without prefix and revision
    const char *registry, *revision;
    Error *error;
} Finder;

// ---- Messages ----

// A name from outside, on one line and short enough for three places of a message.
static const char *shown(char out[NAME_SHOWN], const char *name) {
    char clean[ERROR_PATH_SIZE];
    error_path(clean, name);
    size_t len = strlen(clean);
    if (len >= NAME_SHOWN) {
        len = NAME_SHOWN - 1 - strlen("…");
        while (len > 0 && ((unsigned char)clean[len] & 0xC0) == 0x80)
            len--;
        memcpy(clean + len, "…", sizeof "…");
    }
    snprintf(out, NAME_SHOWN, "%.*s", NAME_SHOWN - 1, clean);
    return out;
}

// Messages of several lines; error_set makes one line of everything.
static Status set_block(Error *error, Status code, Buf *text) {
    Status status = buf_status(text, error);
    if (status == STATUS_OK && error) {
        size_t len = text->len < ERROR_MESSAGE_SIZE ? text->len : ERROR_MESSAGE_SIZE - 1;
        *error = (Error){.code = code};
        memcpy(error->message, text->ptr, len);
    }
    buf_free(text);
    return status == STATUS_OK ? code : status;
}

static bool is_valid_id(const char *id) {
    size_t len = strlen(id), slashes = 0;
    for (size_t i = 0; i < len; i++) {
        unsigned char c = (unsigned char)id[i];
        bool is_word = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9');
        bool is_edge = i == 0 || i + 1 == len || id[i - 1] == '/' || id[i + 1] == '/';
        slashes += c == '/';
        if (!is_word && c != '_' && (is_edge || !strchr("-./", c)))
            return false;
    }
    return len > 0 && len <= MAX_ID && slashes <= 1 && !strstr(id, "--") && !strstr(id, "..");
}

static Status not_found(Finder *f) {
    char name[NAME_SHOWN], near[NAME_SHOWN], root[ERROR_PATH_SIZE];
    TRY(cache_read_names(&f->cache, f->options->config, f->error));
    size_t count = 0;
    const char **names = mem_alloc_zero(f->cache.count * 2 + 1, sizeof *names);
    if (!names)
        return error_out_of_memory(f->error, f->cache.count * 2 * sizeof *names);
    for (size_t i = 0; i < f->cache.count; i++) {
        names[count++] = f->cache.items[i].id;
        if (f->cache.items[i].name)
            names[count++] = f->cache.items[i].name;
    }
    const char *closest = str_closest(sv(f->name), names, count);
    shown(name, f->name);
    error_path(root, f->options->cache_dir);
    size_t len = strlen(root);
    Buf text = BUF_INIT(MAX_BLOCK);
    buf_printf(&text, "Model '%s' not found\n\nSearched locations:\n", name);
    buf_printf(&text, "  ✗ Explicit path: %s\n", name);
    buf_printf(&text, "  ✗ Current directory: ./%s\n", shown(near, f->options->config));
    buf_printf(&text, "  ✗ Cache directory: %s%s\n",
               f->options->cache_is_default ? "~/.gpux/models" : root,
               !f->options->cache_is_default && len > 0 && root[len - 1] == '/' ? "" : "/");
    buf_printf(&text, "  ✗ Build directory: ./.gpux/\n\nSuggestions:\n");
    if (strchr(f->name, '/') || is_valid_id(f->name))
        buf_printf(&text, "  • Pull from Hugging Face: gpux pull %s\n", name);
    buf_printf(&text, "  • Use explicit path: gpux run ./my-model/\n"
                      "  • Check model name spelling\n");
    if (closest)
        buf_printf(&text, "  • Did you mean: %s\n", shown(near, closest));
    buf_printf(&text, "  • Run 'gpux pull <model-name>' to download from registry");
    mem_free(names);
    return set_block(f->error, STATUS_NOT_FOUND, &text);
}

static Status not_converted(Finder *f, const char *id, const char *reason, const char *folder) {
    char name[NAME_SHOWN], where[ERROR_PATH_SIZE];
    return error_set(f->error, STATUS_NOT_FOUND,
                     "Model '%s' is downloaded but not converted: %s%s%s", shown(name, id), reason,
                     folder ? "; run: gpux convert " : "", folder ? error_path(where, folder) : "");
}

// ---- Taking a folder or file ----

static Status take(Finder *f, const char *folder, const char *config, const char *model_file) {
    f->out->folder = path_absolute(folder);
    f->out->config = config ? path_absolute(config) : NULL;
    f->out->model_file = model_file ? path_absolute(model_file) : NULL;
    if (!f->out->folder || (config && !f->out->config) || (model_file && !f->out->model_file))
        return error_out_of_memory(f->error, strlen(folder));
    f->is_found = true;
    return STATUS_OK;
}

bool config_is_path(const char *config) {
    return config[0] == '/' || sv_starts_with(sv(config), SV("./")) ||
           sv_starts_with(sv(config), SV("../"));
}

// The configuration of `folder`, when it is there. "./x.yml" and "/x.yml" are taken as they are.
static Status take_project(Finder *f, const char *folder) {
    const char *config = f->options->config;
    char *path = config_is_path(config) ? mem_strdup(config) : path_join(folder, config);
    if (!path)
        return error_out_of_memory(f->error, strlen(folder) + strlen(config));
    Status status = file_is_regular(path) ? take(f, folder, path, NULL) : STATUS_OK;
    mem_free(path);
    return status;
}

// The same, or else the model.onnx of a folder without configuration.
static Status take_folder(Finder *f, const char *folder, const char *id) {
    TRY(take_project(f, folder));
    if (f->is_found)
        return STATUS_OK;
    if (folder_has(folder, MODEL_FILE)) {
        char *model = path_join(folder, MODEL_FILE);
        Status status =
            model ? take(f, folder, NULL, model) : error_out_of_memory(f->error, strlen(folder));
        mem_free(model);
        return status;
    }
    bool has_weights = folder_has(folder, "model.safetensors") ||
                       folder_has(folder, "model.safetensors.index.json") ||
                       folder_has(folder, "pytorch_model.bin");
    if (has_weights && folder_has(folder, "config.json"))
        return not_converted(f, id, "there is no model.onnx beside the weights", folder);
    return STATUS_OK;
}

// ---- 1: paths ----

static bool is_path(const char *name) {
    StrView text = sv(name);
    return sv_starts_with(text, SV("/")) || sv_starts_with(text, SV("./")) ||
           sv_starts_with(text, SV("../")) || sv_starts_with(text, SV("~/")) ||
           sv_equal_cstr(text, ".") || sv_equal_cstr(text, "..") || strchr(name, '\\') != NULL;
}

static Status take_file(Finder *f, const char *path) {
    StrView name = sv(path_basename(path));
    char *folder = path_dirname(path);
    if (!folder)
        return error_out_of_memory(f->error, strlen(path));
    Status status = STATUS_OK;
    if (sv_ends_with(name, SV(".onnx")))
        status = take(f, folder, NULL, path);
    else if (sv_ends_with(name, SV(".safetensors")))
        status = take_folder(f, folder, path);
    else if (sv_ends_with(name, SV(".yml")) || sv_ends_with(name, SV(".yaml")) ||
             sv_ends_with(name, SV(".json")) || sv_equal_cstr(name, f->options->config))
        status = take(f, folder, path, NULL);
    mem_free(folder);
    return status;
}

static Status find_path(Finder *f) {
    if (!is_path(f->name))
        return STATUS_OK;
    char *path = path_expand_home(f->name, f->options->home);
    if (!path)
        return error_out_of_memory(f->error, strlen(f->name));
    Status status = STATUS_OK;
    if (file_is_dir(path))
        status = take_folder(f, path, f->name);
    else if (file_is_regular(path))
        status = take_file(f, path);
    mem_free(path);
    if (status == STATUS_OK && !f->is_found)
        return not_found(f);
    return status;
}

// ---- 2, 3, 7: here ----

// NULL without a project here, or without a name in it; a heap string.
static char *name_here(const Finder *f) {
    return file_is_regular(f->options->config) ? project_peek_name(f->options->config) : NULL;
}

static Status find_here(Finder *f) {
    char *name = name_here(f);
    bool is_same = name && strcmp(name, f->name) == 0;
    mem_free(name);
    return is_same ? take_project(f, ".") : STATUS_OK;
}

static Status find_folder_here(Finder *f) {
    char *folder = path_join(".", f->name);
    if (!folder)
        return error_out_of_memory(f->error, strlen(f->name));
    Status status = f->name[0] && file_is_dir(folder) ? take_project(f, folder) : STATUS_OK;
    mem_free(folder);
    return status;
}

static Status find_any_here(Finder *f) {
    if (f->options->no_last_resort || strchr(f->name, '/') || strchr(f->name, ':') ||
        !file_is_regular(f->options->config))
        return STATUS_OK;
    char *name = name_here(f);
    log_message(f->options->log, LOG_WARNING,
                "Model '%s' not found; using the project '%s' of the current directory", f->name,
                name ? name : f->options->config);
    mem_free(name);
    return take_project(f, ".");
}

// ---- 4: cached ids ----

static Status split_name(Finder *f) {
    static const char *const PREFIXES[] = {"huggingface:", "hf://", "hf:"};
    const char *rest = f->name;
    for (size_t i = 0; i < sizeof PREFIXES / sizeof PREFIXES[0] && !f->registry; i++) {
        if (!sv_starts_with(sv(rest), sv(PREFIXES[i])))
            continue;
        rest += strlen(PREFIXES[i]);
        f->registry = "huggingface";
    }
    f->id = mem_strdup(rest);
    if (!f->id)
        return error_out_of_memory(f->error, strlen(rest) + 1);
    char *at = strrchr(f->id, '@');
    f->revision = f->options->revision;
    if (at && at != f->id && at[1]) {
        *at = '\0';
        f->revision = at + 1;
    }
    return STATUS_OK;
}

typedef enum Match {
    MATCH_ID,
    MATCH_ID_NOCASE,
    MATCH_NAME,
    MATCH_LAST_PART,
} Match;

static bool is_match(const Finder *f, const CachedModel *model, Match match) {
    const char *slash = strrchr(model->id, '/');
    bool has_revision = model->revision != NULL;
    if (f->registry && (!model->registry || strcmp(f->registry, model->registry) != 0))
        return false;
    switch (match) {
    case MATCH_ID:
        return has_revision && strcmp(model->id, f->id) == 0;
    case MATCH_ID_NOCASE:
        return has_revision && sv_equal_nocase(sv(model->id), sv(f->id));
    case MATCH_NAME:
        return model->name && strcmp(model->name, f->id) == 0;
    case MATCH_LAST_PART:
        return has_revision && slash && strcmp(slash + 1, f->id) == 0;
    }
    return false;
}

static bool is_same_model(const CachedModel *a, const CachedModel *b) {
    if (!a->revision || !b->revision)
        return strcmp(a->folder, b->folder) == 0;
    return strcmp(a->id, b->id) == 0 && strcmp(a->registry, b->registry) == 0;
}

static const char *label_of(const CachedModel *model) {
    return model->revision ? model->id : model->folder;
}

// Another model than `first` that matches, too.
static const CachedModel *other_match(const Finder *f, const CachedModel *first, Match match) {
    for (size_t i = 0; i < f->cache.count; i++)
        if (is_match(f, &f->cache.items[i], match) && !is_same_model(first, &f->cache.items[i]))
            return &f->cache.items[i];
    return NULL;
}

static Status ambiguous(Finder *f, Match match) {
    char text[NAME_SHOWN];
    Buf out = BUF_INIT(MAX_BLOCK);
    size_t count = 0;
    buf_printf(&out, "Model name '%s' is ambiguous\n\nCandidates:", shown(text, f->name));
    for (size_t i = 0; i < f->cache.count; i++) {
        const CachedModel *model = &f->cache.items[i];
        bool is_first = is_match(f, model, match);
        for (size_t j = 0; j < i && is_first; j++)
            is_first = !is_match(f, &f->cache.items[j], match) ||
                       !is_same_model(model, &f->cache.items[j]);
        if (is_first && count++ < CANDIDATES_SHOWN)
            buf_printf(&out, "\n  • %s", shown(text, label_of(model)));
    }
    if (count > CANDIDATES_SHOWN)
        buf_printf(&out, "\n  • … and %zu more", count - CANDIDATES_SHOWN);
    return set_block(f->error, STATUS_INVALID, &out);
}

// Of the revisions of one model: the one asked for, else main, else the newest pull.
static Status choose_revision(Finder *f, const CachedModel **chosen, Match match) {
    const CachedModel *best = NULL;
    char best_time[32] = "", time[32];
    for (size_t i = 0; i < f->cache.count; i++) {
        const CachedModel *model = &f->cache.items[i];
        if (!is_match(f, model, match))
            continue;
        const char *revision = model->revision ? model->revision : "";
        if (f->revision) {
            if (strcmp(revision, f->revision) == 0)
                best = model;
            continue;
        }
        if (strcmp(revision, "main") == 0) {
            best = model;
            break;
        }
        TRY(cache_pulled_at(time, model, f->error));
        if (!best || strcmp(time, best_time) > 0) {
            best = model;
            memcpy(best_time, time, sizeof time);
        }
    }
    *chosen = best;
    return STATUS_OK;
}

static Status find_cached(Finder *f, Match match) {
    const CachedModel *first = NULL;
    for (size_t i = 0; i < f->cache.count && !first; i++)
        if (is_match(f, &f->cache.items[i], match))
            first = &f->cache.items[i];
    if (!first || f->is_found)
        return STATUS_OK;
    if (other_match(f, first, match))
        return ambiguous(f, match);
    const CachedModel *chosen = NULL;
    TRY(choose_revision(f, &chosen, match));
    if (!chosen)
        return STATUS_OK;
    TRY(take_folder(f, chosen->folder, chosen->id));
    if (!f->is_found)
        return not_converted(f, chosen->id, "its folder has no model.onnx", chosen->folder);
    return STATUS_OK;
}

// An interrupted pull or conversion leaves its verified files in .staging.
static Status check_staging(Finder *f) {
    char *staging = path_join(f->options->cache_dir, ".staging");
    Buf wanted = BUF_INIT(MAX_BLOCK);
    FileList names = {0};
    Status status = STATUS_OK;
    for (const char *c = f->id; *c; c++)
        buf_append_cstr(&wanted, *c == '/' ? "--" : (char[]){*c, '\0'});
    buf_printf(&wanted, "--%s", f->revision ? f->revision : "");
    if (!staging || wanted.failed)
        status = error_out_of_memory(f->error, strlen(f->id));
    else if (is_valid_id(f->id) && file_list(&names, staging, f->error) == STATUS_OUT_OF_MEMORY)
        status = STATUS_OUT_OF_MEMORY;
    for (size_t i = 0; i < names.count && status == STATUS_OK; i++) {
        const char *rest = strstr(names.names[i], "--"); // after the registry
        if (rest && sv_starts_with(sv(rest + 2), sv_n(wanted.ptr, wanted.len)))
            status = not_converted(f, f->id, "its files wait for `gpux pull` to finish", NULL);
    }
    file_list_free(&names);
    buf_free(&wanted);
    mem_free(staging);
    return status;
}

// ---- 6: build folder ----

static Status has_named_info(bool *out, Finder *f, const char *folder, int depth) {
    JsonDoc *doc = NULL;
    Status status = folder_json(&doc, folder, "model_info.json", f->error);
    if (status == STATUS_OUT_OF_MEMORY)
        return status;
    *out = *out || strcmp(json_cstr_or(json_root(doc), "name", ""), f->name) == 0;
    json_free(doc);
    FileList names = {0};
    if (*out || depth == 0)
        return STATUS_OK;
    status = file_list(&names, folder, f->error);
    if (status != STATUS_OK)
        return status == STATUS_OUT_OF_MEMORY ? status : STATUS_OK;
    for (size_t i = 0; i < names.count && status == STATUS_OK && !*out; i++) {
        char *path = path_join(folder, names.names[i]);
        FileStat stat;
        if (!path)
            status = error_out_of_memory(f->error, strlen(folder));
        else if (file_stat(&stat, path) && stat.is_dir && !stat.is_symlink)
            status = has_named_info(out, f, path, depth - 1);
        mem_free(path);
    }
    file_list_free(&names);
    return status;
}

static Status find_build(Finder *f) {
    bool is_here = false;
    if (file_is_dir("./.gpux") && f->name[0])
        TRY(has_named_info(&is_here, f, "./.gpux", MAX_DEPTH));
    return is_here ? take_project(f, ".") : STATUS_OK;
}

// ---- The order ----

static Status find_id(Finder *f) {
    TRY(split_name(f));
    TRY(cache_list(&f->cache, f->options->cache_dir, f->options->config, f->error));
    TRY(find_cached(f, MATCH_ID));
    return f->is_found ? STATUS_OK : find_cached(f, MATCH_ID_NOCASE);
}

static Status find_name(Finder *f) {
    TRY(cache_read_names(&f->cache, f->options->config, f->error));
    TRY(find_cached(f, MATCH_NAME));
    return f->is_found ? STATUS_OK : find_cached(f, MATCH_LAST_PART);
}

static Status find(Finder *f) {
    static Status (*const STEPS[])(Finder * f) = {
        find_path, find_here,  find_folder_here, find_id,
        find_name, find_build, find_any_here,    check_staging,
    };
    for (size_t i = 0; i < sizeof STEPS / sizeof STEPS[0] && !f->is_found; i++)
        TRY(STEPS[i](f));
    return f->is_found ? STATUS_OK : not_found(f);
}

Status cache_find_id(char **folder, const char *cache_dir, const char *id, Error *error) {
    const ResolveOptions options = {.cache_dir = cache_dir, .config = CONFIG_FILE};
    Finder f = {.options = &options, .name = id, .error = error};
    const CachedModel *chosen = NULL;
    *folder = NULL;
    Status status = split_name(&f);
    if (status == STATUS_OK)
        status = cache_list(&f.cache, cache_dir, options.config, error);
    for (Match match = MATCH_ID; status == STATUS_OK && !chosen && match <= MATCH_ID_NOCASE;
         match++)
        status = choose_revision(&f, &chosen, match);
    if (chosen) {
        *folder = mem_strdup(chosen->folder);
        if (!*folder)
            status = error_out_of_memory(error, strlen(chosen->folder));
    }
    cache_list_free(&f.cache);
    mem_free(f.id);
    return status;
}

Status store_resolve(Location *out, const char *name, const ResolveOptions *options, Error *error) {
    *out = (Location){0};
    Finder f = {.options = options, .name = name, .out = out, .error = error};
    Status status = find(&f);
    cache_list_free(&f.cache);
    mem_free(f.id);
    if (status == STATUS_OK && !(out->cache_dir = mem_strdup(options->cache_dir)))
        status = error_out_of_memory(error, strlen(options->cache_dir));
    if (status != STATUS_OK)
        location_free(out);
    return status;
}

void location_free(Location *location) {
    mem_free(location->folder);
    mem_free(location->config);
    mem_free(location->model_file);
    mem_free(location->cache_dir);
    *location = (Location){0};
}
