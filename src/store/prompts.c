// The prompts of config_sentence_transformers.json. sentence-transformers gives every model the
// names "query" and "document"; what they put in front of a text is empty unless the file says.
#include "store/private.h"

enum { MAX_PROMPTS = 4096, OWN_PROMPTS = 2 };

static Status copy(const char **out, Arena *arena, StrView text, Error *error) {
    *out = arena_strndup(arena, text.len ? text.ptr : "", text.len);
    return *out ? STATUS_OK : error_out_of_memory(error, text.len + 1);
}

static Prompt *find(Prompt *prompts, size_t count, StrView name) {
    for (size_t i = 0; i < count; i++)
        if (sv_equal_cstr(name, prompts[i].name))
            return &prompts[i];
    return NULL;
}

static Status add_prompts(ModelInfo *info, Prompt *prompts, const JsonValue *object, Error *error) {
    size_t iterator = 0;
    StrView name;
    const JsonValue *value;
    while (json_next(object, &iterator, &name, &value)) {
        StrView text = SV("");
        if (!json_as_string(&text, value) && json_kind(value) != JSON_NULL)
            return error_set(error, STATUS_CORRUPT,
                             "config_sentence_transformers.json: prompt '%.*s' is not a text",
                             (int)(name.len < 64 ? name.len : 64), name.ptr);
        // A prompt with one of the own names keeps the own place.
        Prompt *prompt = find(prompts, OWN_PROMPTS, name);
        if (!prompt) {
            prompt = &prompts[info->prompt_count++];
            TRY(copy(&prompt->name, &info->arena, name, error));
        }
        TRY(copy(&prompt->text, &info->arena, text, error));
    }
    return STATUS_OK;
}

static Status read_prompts(ModelInfo *info, const JsonValue *config, Error *error) {
    const JsonValue *object = json_get(config, "prompts");
    size_t len = json_kind(object) == JSON_OBJECT ? json_len(object) : 0;
    if (len > MAX_PROMPTS)
        return error_set(error, STATUS_LIMIT,
                         "config_sentence_transformers.json: more than %d prompts", MAX_PROMPTS);
    Prompt *prompts = arena_alloc_array(&info->arena, len + OWN_PROMPTS, sizeof *prompts);
    if (!prompts)
        return error_out_of_memory(error, len * sizeof *prompts);
    prompts[0] = (Prompt){"query", ""};
    prompts[1] = (Prompt){"document", ""};
    info->prompts = prompts;
    info->prompt_count = OWN_PROMPTS;
    if (len > 0)
        TRY(add_prompts(info, prompts, object, error));
    StrView name;
    if (!json_as_string(&name, json_get(config, "default_prompt_name")))
        return STATUS_OK;
    info->default_prompt = find(prompts, info->prompt_count, name);
    if (!info->default_prompt)
        return error_set(error, STATUS_CORRUPT,
                         "config_sentence_transformers.json: default_prompt_name '%.*s' is not the "
                         "name of a prompt",
                         (int)(name.len < 64 ? name.len : 64), name.ptr);
    return STATUS_OK;
}

Status prompts_read(ModelInfo *info, const char *folder, Error *error) {
    JsonDoc *doc = NULL;
    TRY(folder_json(&doc, folder, "config_sentence_transformers.json", error));
    Status status = read_prompts(info, json_root(doc), error);
    json_free(doc);
    return status;
}
