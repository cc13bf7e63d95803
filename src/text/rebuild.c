// Writes the tokenizer.json that a vocab.txt with its tokenizer_config.json stands for: BERT's
// pipeline, as transformers converts it. Everything behind then knows one form only.
#include "text/rebuild.h"

#include "base/file.h"

// ---- Shared by the writers ----

void rebuild_begin(JsonWriter *writer, const char *key, const char *type) {
    if (key)
        json_key(writer, key);
    json_begin_object(writer);
    json_key(writer, "type");
    json_write_cstr(writer, type);
}

void rebuild_text(JsonWriter *writer, const char *key, const char *text) {
    json_key(writer, key);
    json_write_cstr(writer, text);
}

void rebuild_flag(JsonWriter *writer, const char *key, bool is_true) {
    json_key(writer, key);
    json_write_bool(writer, is_true);
}

void rebuild_template_piece(JsonWriter *writer, const char *kind, StrView id, int type_id) {
    json_begin_object(writer);
    json_key(writer, kind);
    json_begin_object(writer);
    json_key(writer, "id");
    json_write_string(writer, id);
    json_key(writer, "type_id");
    json_write_i64(writer, type_id);
    json_end_object(writer);
    json_end_object(writer);
}

Status rebuild_read(Buf *out, const char *folder, const char *name, Error *error) {
    char *path = path_join(folder, name);
    if (!path)
        return error_out_of_memory(error, strlen(folder));
    Status status = STATUS_OK;
    if (file_is_regular(path))
        status = file_read(out, path, out->max, error);
    mem_free(path);
    return status;
}

Status rebuild_parse(JsonDoc **doc, const JsonValue **root, StrView text, Error *error) {
    if (text.len == 0)
        return STATUS_OK;
    TRY(json_parse(doc, text, 0, error));
    *root = json_root(*doc);
    return STATUS_OK;
}

// ---- BERT ----

typedef struct BertConfig {
    bool lowercase, cjk;
    int strip_accents; // -1 = follow lowercase
    const char *unknown, *separator, *pad, *cls, *mask;
} BertConfig;

static const char *role_text(const JsonValue *config, const char *role, const char *fallback) {
    const JsonValue *value = json_get(config, role);
    const char *text = json_cstr_or(value, "content", NULL);
    return text ? text : json_cstr_or(config, role, fallback);
}

static BertConfig read_config(const JsonValue *config) {
    bool strip_accents;
    return (BertConfig){
        .lowercase = json_bool_or(config, "do_lower_case", true),
        .cjk = json_bool_or(config, "tokenize_chinese_chars", true),
        .strip_accents = json_as_bool(&strip_accents, json_get(config, "strip_accents"))
                             ? (int)strip_accents
                             : -1,
        .unknown = role_text(config, "unk_token", "[UNK]"),
        .separator = role_text(config, "sep_token", "[SEP]"),
        .pad = role_text(config, "pad_token", "[PAD]"),
        .cls = role_text(config, "cls_token", "[CLS]"),
        .mask = role_text(config, "mask_token", "[MASK]"),
    };
}

static void write_added(JsonWriter *writer, const BertConfig *config, const Vocab *vocab) {
    const char *const tokens[] = {config->pad, config->unknown, config->cls, config->separator,
                                  config->mask};
    json_key(writer, "added_tokens");
    json_begin_array(writer);
    for (size_t i = 0; i < sizeof tokens / sizeof tokens[0]; i++) {
        if (vocab_id(vocab, sv(tokens[i])) < 0)
            continue;
        json_begin_object(writer);
        rebuild_text(writer, "content", tokens[i]);
        rebuild_flag(writer, "normalized", false);
        rebuild_flag(writer, "special", true);
        json_end_object(writer);
    }
    json_end_array(writer);
}

static void write_pair(JsonWriter *writer, const char *key, const char *text, int32_t id) {
    json_key(writer, key);
    json_begin_array(writer);
    json_write_cstr(writer, text);
    json_write_i64(writer, id);
    json_end_array(writer);
}

static void write_pipeline(JsonWriter *writer, const BertConfig *config, const Vocab *vocab) {
    rebuild_begin(writer, "normalizer", "BertNormalizer");
    rebuild_flag(writer, "clean_text", true);
    rebuild_flag(writer, "handle_chinese_chars", config->cjk);
    rebuild_flag(writer, "strip_accents",
                 config->strip_accents < 0 ? config->lowercase : config->strip_accents == 1);
    rebuild_flag(writer, "lowercase", config->lowercase);
    json_end_object(writer);
    rebuild_begin(writer, "pre_tokenizer", "BertPreTokenizer");
    json_end_object(writer);
    int32_t cls = vocab_id(vocab, sv(config->cls)), sep = vocab_id(vocab, sv(config->separator));
    if (cls >= 0 && sep >= 0) {
        rebuild_begin(writer, "post_processor", "BertProcessing");
        write_pair(writer, "cls", config->cls, cls);
        write_pair(writer, "sep", config->separator, sep);
        json_end_object(writer);
    }
    rebuild_begin(writer, "decoder", "WordPiece");
    rebuild_text(writer, "prefix", "##");
    rebuild_flag(writer, "cleanup", true);
    json_end_object(writer);
}

static void write_model(JsonWriter *writer, const BertConfig *config, const Vocab *vocab) {
    rebuild_begin(writer, "model", "WordPiece");
    rebuild_text(writer, "unk_token", config->unknown);
    rebuild_text(writer, "continuing_subword_prefix", "##");
    json_key(writer, "max_input_chars_per_word");
    json_write_i64(writer, 100);
    json_key(writer, "vocab");
    json_begin_object(writer);
    for (uint32_t i = 0; i < vocab->count; i++) {
        const VocabEntry *entry = &vocab->entries[i];
        json_key_sv(writer, sv_n(vocab->bytes + entry->offset, entry->len));
        json_write_i64(writer, entry->id);
    }
    json_end_object(writer);
    json_end_object(writer);
}

// One token a line; the line number is the id; white space at the end is not part of it.
static Status read_lines(Vocab *vocab, StrView text, Error *error) {
    size_t pos = 0;
    int32_t id = 0;
    while (pos < text.len) {
        const char *newline = memchr(text.ptr + pos, '\n', text.len - pos);
        size_t end = newline ? (size_t)(newline - text.ptr) : text.len;
        StrView line = sv_n(text.ptr + pos, end - pos);
        while (line.len > 0 && strchr(" \t\r\f\v", line.ptr[line.len - 1]))
            line.len--;
        TRY(vocab_add(vocab, line, id++, error));
        pos = end + 1;
    }
    if (vocab->count == 0)
        return error_set(error, STATUS_CORRUPT, "there are no tokens");
    return vocab_finish(vocab, error);
}

Status rebuild_from_vocab_txt(Buf *out, const char *path, StrView config, Error *error) {
    Buf text = BUF_INIT(PIPELINE_MAX_FILE);
    Vocab vocab = {.count = 0};
    JsonDoc *doc = NULL;
    Status status = STATUS_OK;
    TRY_DONE(file_read(&text, path, PIPELINE_MAX_FILE, error));
    if (!utf8_is_valid(sv_n(text.ptr, text.len), NULL))
        TRY_DONE(error_set(error, STATUS_CORRUPT, "not UTF-8"));
    TRY_DONE(read_lines(&vocab, sv_n(text.ptr, text.len), error));
    if (config.len > 0)
        TRY_DONE(json_parse(&doc, config, 0, error));
    BertConfig bert = read_config(doc ? json_root(doc) : NULL);
    JsonWriter writer = json_writer(out, 0);
    json_begin_object(&writer);
    write_added(&writer, &bert, &vocab);
    write_pipeline(&writer, &bert, &vocab);
    write_model(&writer, &bert, &vocab);
    json_end_object(&writer);
    status = buf_status(out, error);
done:
    json_free(doc);
    vocab_free(&vocab);
    buf_free(&text);
    return status;
}
