// A tokenizer.json, or a vocab.txt with its config, becomes a Tokenizer; and the small questions
// one can ask it. The order matters: added tokens need the model's ids, their patterns need the
// normalizer.
#include "text/rebuild.h"

#include "base/file.h"

static const char *const ROLES[ROLE_COUNT] = {"mask_token", "pad_token", "cls_token", "sep_token",
                                              "unk_token",  "bos_token", "eos_token"};

// ---- Shared by the loaders ----

Status tokenizer_keep(Tokenizer *tokenizer, StrView *out, StrView text, Error *error) {
    char *copy = arena_strndup(&tokenizer->arena, text.len ? text.ptr : "", text.len);
    if (!copy)
        return error_out_of_memory(error, text.len);
    *out = sv_n(copy, text.len);
    return STATUS_OK;
}

Status json_need_string(StrView *out, const JsonValue *object, const char *key, const char *what,
                        Error *error) {
    if (json_as_string(out, json_get(object, key)))
        return STATUS_OK;
    return error_set(error, STATUS_CORRUPT, "%s: \"%s\" is not a string", what, key);
}

Status json_need_char(uint32_t *out, const JsonValue *object, const char *key, const char *what,
                      Error *error) {
    StrView text;
    size_t pos = 0;
    TRY(json_need_string(&text, object, key, what, error));
    if (text.len > 0)
        *out = utf8_next(text, &pos);
    if (text.len == 0 || pos != text.len)
        return error_set(error, STATUS_CORRUPT, "%s: \"%s\" is not one character", what, key);
    return STATUS_OK;
}

const char *json_type_name(const JsonValue *value) {
    return json_cstr_or(value, "type", "?");
}

StrView json_span(const JsonScan *scan, const char *key) {
    // The last one wins, as when the library reads the file.
    for (size_t i = scan->count; i > 0; i--)
        if (sv_equal_cstr(scan->spans[i - 1].key, key))
            return scan->spans[i - 1].text;
    return (StrView){NULL, 0};
}

// ---- Loading ----

static Status load_model(Tokenizer *tokenizer, StrView text, Error *error) {
    static const struct {
        const char *type;
        Status (*load)(Tokenizer *tokenizer, const JsonScan *model, Error *error);
    } models[] = {
        {"\"WordPiece\"", wordpiece_load},
        {"\"BPE\"", bpe_load},
        {"\"Unigram\"", unigram_load},
        {"\"WordLevel\"", wordlevel_load},
    };
    if (!text.ptr)
        return error_set(error, STATUS_CORRUPT, "there is no model");
    JsonScan scan;
    TRY(json_scan(&scan, text, error));
    StrView type = json_span(&scan, "type");
    // Files older than the "type" member are told apart by what only one model has.
    if (!type.ptr)
        type = json_span(&scan, "merges").ptr                      ? SV("\"BPE\"")
               : json_span(&scan, "continuing_subword_prefix").ptr ? SV("\"WordPiece\"")
               : json_span(&scan, "unk_id").ptr                    ? SV("\"Unigram\"")
                                                                   : SV("\"WordLevel\"");
    Status status = STATUS_OK;
    size_t i = 0, count = sizeof models / sizeof models[0];
    while (i < count && !sv_equal_cstr(type, models[i].type))
        i++;
    if (i < count)
        status = models[i].load(tokenizer, &scan, error);
    else
        status = error_set(error, STATUS_UNSUPPORTED, "model %.*s is not supported",
                           (int)(type.len < 64 ? type.len : 64), type.ptr);
    json_scan_free(&scan);
    return status;
}

// Parses one top-level member and hands it to its loader.
static Status load_part(Tokenizer *tokenizer, const JsonScan *scan, const char *key,
                        Status (*load)(Tokenizer *, const JsonValue *, Error *), Error *error) {
    StrView text = json_span(scan, key);
    if (!text.ptr)
        return load(tokenizer, NULL, error);
    JsonDoc *doc;
    TRY(json_parse(&doc, text, 0, error));
    Status status = load(tokenizer, json_root(doc), error);
    json_free(doc);
    return status;
}

static Status load_parts(Tokenizer *tokenizer, const JsonScan *scan, Error *error) {
    TRY(unicode_table_init(&tokenizer->unicode, error));
    TRY(load_model(tokenizer, json_span(scan, "model"), error));
    TRY(load_part(tokenizer, scan, "added_tokens", added_tokens_load, error));
    TRY(load_part(tokenizer, scan, "normalizer", normalize_load, error));
    TRY(load_part(tokenizer, scan, "pre_tokenizer", pretokenize_load, error));
    TRY(load_part(tokenizer, scan, "post_processor", postprocess_load, error));
    TRY(load_part(tokenizer, scan, "decoder", decode_load, error));
    bpe_use_raw_bytes(tokenizer);
    TRY(bpe_index_words(tokenizer, error));
    return added_tokens_prepare(tokenizer, error);
}

static void load_roles(Tokenizer *tokenizer, const JsonValue *config) {
    for (int i = 0; i < ROLE_COUNT; i++) {
        const JsonValue *value = json_get(config, ROLES[i]);
        StrView text;
        // Either the text itself or an object around it.
        if (!json_as_string(&text, value) && !json_as_string(&text, json_get(value, "content")))
            continue;
        int32_t id = tokenizer_token_id(tokenizer, text);
        if (id >= 0)
            tokenizer->roles[i] = id;
    }
    double max_length = json_f64_or(config, "model_max_length", 0);
    if (max_length >= 1 && max_length < 1e6)
        tokenizer->max_length = (size_t)max_length;
}

static Status load_config(Tokenizer *tokenizer, StrView config, Error *error) {
    if (config.len == 0)
        return STATUS_OK;
    JsonDoc *doc;
    Status status = json_parse(&doc, config, 0, error);
    if (status != STATUS_OK)
        return error_prefix(error, status, "tokenizer_config.json");
    load_roles(tokenizer, json_root(doc));
    json_free(doc);
    return STATUS_OK;
}

// What models call their special tokens when no file says so.
static void guess_roles(Tokenizer *tokenizer) {
    static const struct {
        int role;
        const char *text;
    } usual[] = {
        {0, "[MASK]"}, {0, "<mask>"}, {1, "[PAD]"},         {1, "<pad>"},
        {2, "[CLS]"},  {3, "[SEP]"},  {4, "[UNK]"},         {4, "<unk>"},
        {5, "<s>"},    {6, "</s>"},   {5, "<|endoftext|>"}, {6, "<|endoftext|>"},
    };
    for (size_t i = 0; i < sizeof usual / sizeof usual[0]; i++)
        if (tokenizer->roles[usual[i].role] < 0)
            tokenizer->roles[usual[i].role] = tokenizer_token_id(tokenizer, sv(usual[i].text));
}

static Status tokenizer_new(Tokenizer **out, Error *error) {
    Tokenizer *tokenizer = mem_alloc_zero(1, sizeof *tokenizer);
    *out = tokenizer;
    if (!tokenizer)
        return error_out_of_memory(error, sizeof *tokenizer);
    for (int i = 0; i < ROLE_COUNT; i++)
        tokenizer->roles[i] = -1;
    return STATUS_OK;
}

static Status open_json(Tokenizer **out, StrView json, StrView map, StrView config, Error *error) {
    *out = NULL;
    if (json.len > PIPELINE_MAX_FILE)
        return error_set(error, STATUS_LIMIT, "tokenizer.json is larger than %d bytes",
                         PIPELINE_MAX_FILE);
    JsonScan scan = {.count = 0};
    Tokenizer *tokenizer;
    TRY(tokenizer_new(&tokenizer, error));
    Status status = STATUS_OK;
    TRY_DONE(json_scan(&scan, json, error));
    if (scan.kind != JSON_OBJECT)
        TRY_DONE(error_set(error, STATUS_CORRUPT, "not an object"));
    TRY_DONE(load_parts(tokenizer, &scan, error));
done:
    json_scan_free(&scan);
    if (status != STATUS_OK)
        error_prefix(error, status, "tokenizer.json");
    else
        status = load_config(tokenizer, map, error);
    if (status == STATUS_OK)
        status = load_config(tokenizer, config, error);
    if (status != STATUS_OK) {
        tokenizer_close(tokenizer);
        return status;
    }
    guess_roles(tokenizer);
    *out = tokenizer;
    return STATUS_OK;
}

Status tokenizer_open_json(Tokenizer **out, StrView json, StrView config, Error *error) {
    return open_json(out, json, (StrView){NULL, 0}, config, error);
}

// What lies in a compiled block must not be freed.
static void forget_block(Tokenizer *tokenizer) {
    tokenizer->unicode.pages = NULL;
    tokenizer->model = (Model){.kind = MODEL_WORDPIECE};
    tokenizer->added.by_id = NULL;
    tokenizer->added.contents = (Vocab){.count = 0};
}

void tokenizer_close(Tokenizer *tokenizer) {
    if (!tokenizer)
        return;
    if (tokenizer->is_compiled)
        forget_block(tokenizer);
    for (size_t i = 0; i < tokenizer->regex_count; i++)
        regex_free(tokenizer->regexes[i]);
    mem_free(tokenizer->regexes);
    added_tokens_free(&tokenizer->added);
    vocab_index_free(&tokenizer->model.wordpiece.continuing);
    bpe_free(&tokenizer->model.bpe);
    unigram_free(&tokenizer->model.unigram);
    vocab_free(&tokenizer->model.vocab);
    unicode_table_free(&tokenizer->unicode);
    arena_free(&tokenizer->arena);
    artifact_close(&tokenizer->artifact);
    mem_free(tokenizer);
}

// ---- Folders ----

static Status open_file(Tokenizer **out, const char *path, StrView map, StrView config,
                        Error *error) {
    FileMap file;
    TRY(file_map(&file, path, error));
    Status status = open_json(out, sv_n((const char *)file.data, file.size), map, config, error);
    file_unmap(&file);
    return status == STATUS_OK ? status : error_prefix(error, status, "%s", path);
}

static Status open_folder(Tokenizer **out, const char *folder, StrView map, StrView config,
                          Error *error) {
    char *path = path_join(folder, "tokenizer.json");
    if (!path)
        return error_out_of_memory(error, strlen(folder));
    Status status;
    if (file_is_regular(path)) {
        status = open_file(out, path, map, config, error);
    } else {
        Buf json = BUF_INIT(PIPELINE_MAX_FILE);
        status = rebuild_from_folder(&json, folder, map, config, error);
        if (status == STATUS_OK)
            status = open_json(out, sv_n(json.ptr, json.len), map, config, error);
        buf_free(&json);
        if (status != STATUS_OK && status != STATUS_NOT_FOUND)
            error_prefix(error, status, "%s", folder);
    }
    mem_free(path);
    return status;
}

Status tokenizer_load(Tokenizer **out, const char *folder, Error *error) {
    *out = NULL;
    Buf map = BUF_INIT(PIPELINE_MAX_CONFIG), config = BUF_INIT(PIPELINE_MAX_CONFIG);
    Status status = STATUS_OK;
    TRY_DONE(rebuild_read(&map, folder, "special_tokens_map.json", error));
    TRY_DONE(rebuild_read(&config, folder, "tokenizer_config.json", error));
    TRY_DONE(open_folder(out, folder, sv_n(map.ptr, map.len), sv_n(config.ptr, config.len), error));
done:
    buf_free(&map);
    buf_free(&config);
    return status;
}

// ---- Questions ----

size_t tokenizer_vocab_size(const Tokenizer *tokenizer) {
    size_t size = tokenizer->model.vocab.count;
    for (size_t i = 0; i < tokenizer->added.count; i++)
        size += vocab_id(&tokenizer->model.vocab, tokenizer->added.items[i].content) < 0;
    return size;
}

int32_t tokenizer_token_id(const Tokenizer *tokenizer, StrView token) {
    const AddedToken *added = added_token_by_content(&tokenizer->added, token);
    return added ? added->id : vocab_id(&tokenizer->model.vocab, token);
}

StrView tokenizer_token(const Tokenizer *tokenizer, int32_t id) {
    const AddedToken *added = added_token_by_id(&tokenizer->added, id);
    return added ? added->content : vocab_text(&tokenizer->model.vocab, id);
}

int32_t tokenizer_special_id(const Tokenizer *tokenizer, const char *role) {
    for (int i = 0; i < ROLE_COUNT; i++)
        if (strcmp(ROLES[i], role) == 0)
            return tokenizer->roles[i];
    return -1;
}

size_t tokenizer_max_length(const Tokenizer *tokenizer) {
    return tokenizer->max_length;
}
