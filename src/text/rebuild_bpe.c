// Writes the tokenizer.json that vocab.json and merges.txt stand for: RoBERTa's pipeline or
// GPT-2's, as transformers converts them. Which one: tokenizer_class, else whether there is a mask
// token.
#include "text/rebuild.h"

enum { MAX_MERGES_FILE = 32 << 20 };

typedef struct Role {
    const char *name;
    const char *roberta, *gpt2; // default texts, NULL = none
} Role;

static const Role ROLES[] = {
    {"bos_token", "<s>", "<|endoftext|>"},
    {"eos_token", "</s>", "<|endoftext|>"},
    {"unk_token", "<unk>", "<|endoftext|>"},
    {"sep_token", "</s>", NULL},
    {"pad_token", "<pad>", NULL},
    {"cls_token", "<s>", NULL},
    {"mask_token", "<mask>", NULL},
};

typedef struct Rebuild {
    const JsonValue *map, *config, *added; // roots, NULL when the file is absent
    Vocab vocab;
    bool is_roberta;
    JsonWriter writer;
} Rebuild;

static const JsonValue *role_value(const Rebuild *job, const char *role) {
    const JsonValue *value = json_get(job->config, role);
    if (json_kind(value) != JSON_STRING && json_kind(value) != JSON_OBJECT)
        value = json_get(job->map, role);
    return value;
}

static StrView role_text(const Rebuild *job, const Role *role) {
    const JsonValue *value = role_value(job, role->name);
    StrView text = sv(job->is_roberta ? role->roberta : role->gpt2);
    if (!json_as_string(&text, value))
        json_as_string(&text, json_get(value, "content"));
    return text;
}

static Status choose_kind(Rebuild *job, Error *error) {
    static const struct {
        const char *start;
        bool is_roberta;
    } classes[] = {{"Roberta", true},    {"Bart", true},  {"Longformer", true}, {"LED", true},
                   {"Blenderbot", true}, {"GPT2", false}, {"OPT", false},       {"Whisper", false}};
    const char *name = json_cstr_or(job->config, "tokenizer_class", "");
    job->is_roberta = vocab_id(&job->vocab, SV("<mask>")) >= 0;
    if (!*name)
        return STATUS_OK;
    for (size_t i = 0; i < sizeof classes / sizeof classes[0]; i++) {
        if (sv_starts_with(sv(name), sv(classes[i].start))) {
            job->is_roberta = classes[i].is_roberta;
            return STATUS_OK;
        }
    }
    return error_set(error, STATUS_UNSUPPORTED,
                     "vocab.json and merges.txt of a \"%.64s\" without tokenizer.json", name);
}

// ---- Writing ----

static void write_added(Rebuild *job, StrView text, const JsonValue *flags, bool lstrip,
                        bool special) {
    JsonWriter *writer = &job->writer;
    json_begin_object(writer);
    json_key(writer, "content");
    json_write_string(writer, text);
    json_key(writer, "single_word");
    json_write_bool(writer, json_bool_or(flags, "single_word", false));
    json_key(writer, "lstrip");
    json_write_bool(writer, json_bool_or(flags, "lstrip", lstrip));
    json_key(writer, "rstrip");
    json_write_bool(writer, json_bool_or(flags, "rstrip", false));
    json_key(writer, "normalized");
    json_write_bool(writer, false);
    json_key(writer, "special");
    json_write_bool(writer, special);
    json_end_object(writer);
}

// Tokens of added_tokens.json in the order of their ids, which is how they get these ids again.
static void write_more_added(Rebuild *job) {
    int64_t last = -1;
    for (;;) {
        size_t iterator = 0;
        StrView key, best = {NULL, 0};
        const JsonValue *value;
        int64_t best_id = INT64_MAX, id;
        while (json_next(job->added, &iterator, &key, &value)) {
            if (json_as_i64(&id, value) && id > last && id < best_id) {
                best = key;
                best_id = id;
            }
        }
        if (!best.ptr)
            return;
        write_added(job, best, NULL, false, false);
        last = best_id;
    }
}

static void write_all_added(Rebuild *job) {
    json_key(&job->writer, "added_tokens");
    json_begin_array(&job->writer);
    if (json_len(job->added) <= 1024)
        write_more_added(job);
    for (size_t i = 0; i < sizeof ROLES / sizeof ROLES[0]; i++) {
        StrView text = role_text(job, &ROLES[i]);
        bool is_mask = strcmp(ROLES[i].name, "mask_token") == 0;
        if (text.ptr && text.len > 0)
            write_added(job, text, role_value(job, ROLES[i].name), is_mask && job->is_roberta,
                        true);
    }
    json_end_array(&job->writer);
}

static void write_roberta_post(Rebuild *job) {
    JsonWriter *writer = &job->writer;
    rebuild_begin(writer, "post_processor", "RobertaProcessing");
    for (size_t i = 0; i < sizeof ROLES / sizeof ROLES[0]; i++) {
        bool is_cls = strcmp(ROLES[i].name, "cls_token") == 0;
        if (!is_cls && strcmp(ROLES[i].name, "sep_token") != 0)
            continue;
        StrView text = role_text(job, &ROLES[i]);
        json_key(writer, is_cls ? "cls" : "sep");
        json_begin_array(writer);
        json_write_string(writer, text);
        json_write_i64(writer, vocab_id(&job->vocab, text));
        json_end_array(writer);
    }
    rebuild_flag(writer, "trim_offsets", json_bool_or(job->config, "trim_offsets", true));
    rebuild_flag(writer, "add_prefix_space", json_bool_or(job->config, "add_prefix_space", false));
    json_end_object(writer);
}

// GPT-2's relatives may want their first token in front of each text.
static void write_bos_post(Rebuild *job) {
    JsonWriter *writer = &job->writer;
    rebuild_begin(writer, "post_processor", "TemplateProcessing");
    for (int is_pair = 0; is_pair < 2; is_pair++) {
        json_key(writer, is_pair ? "pair" : "single");
        json_begin_array(writer);
        for (int i = 0; i <= is_pair; i++) {
            rebuild_template_piece(writer, "SpecialToken", SV("bos"), i);
            rebuild_template_piece(writer, "Sequence", sv(i ? "B" : "A"), i);
        }
        json_end_array(writer);
    }
    json_key(writer, "special_tokens");
    json_begin_object(writer);
    json_key(writer, "bos");
    json_begin_object(writer);
    json_key(writer, "ids");
    json_begin_array(writer);
    json_write_i64(writer, vocab_id(&job->vocab, role_text(job, &ROLES[0])));
    json_end_array(writer);
    json_end_object(writer);
    json_end_object(writer);
    json_end_object(writer);
}

static void write_pipeline(Rebuild *job) {
    JsonWriter *writer = &job->writer;
    rebuild_begin(writer, "pre_tokenizer", "ByteLevel");
    rebuild_flag(writer, "add_prefix_space", json_bool_or(job->config, "add_prefix_space", false));
    json_end_object(writer);
    rebuild_begin(writer, "decoder", "ByteLevel");
    json_end_object(writer);
    bool has_bos = vocab_id(&job->vocab, role_text(job, &ROLES[0])) >= 0;
    if (job->is_roberta)
        write_roberta_post(job);
    else if (has_bos && json_bool_or(job->config, "add_bos_token", false))
        write_bos_post(job);
}

static void write_model(Rebuild *job, StrView merges) {
    JsonWriter *writer = &job->writer;
    rebuild_begin(writer, "model", "BPE");
    json_key(writer, "vocab");
    json_begin_object(writer);
    for (uint32_t i = 0; i < job->vocab.count; i++) {
        const VocabEntry *entry = &job->vocab.entries[i];
        json_key_sv(writer, sv_n(job->vocab.bytes + entry->offset, entry->len));
        json_write_i64(writer, entry->id);
    }
    json_end_object(writer);
    json_key(writer, "merges");
    json_begin_array(writer);
    for (size_t pos = 0; pos < merges.len;) {
        const char *newline = memchr(merges.ptr + pos, '\n', merges.len - pos);
        size_t end = newline ? (size_t)(newline - merges.ptr) : merges.len;
        StrView line = sv_trim(sv_n(merges.ptr + pos, end - pos));
        if (line.len > 0 && !sv_starts_with(line, SV("#version")))
            json_write_string(writer, line);
        pos = end + 1;
    }
    json_end_array(writer);
    json_end_object(writer);
}

// ---- Reading ----

static Status read_vocab(Vocab *vocab, StrView text, Error *error) {
    // The cursor wants text that was checked.
    JsonScan scan;
    TRY(json_scan(&scan, text, error));
    json_scan_free(&scan);
    return vocab_from_json(vocab, text, "vocab.json", error);
}

Status rebuild_from_merges(Buf *out, const char *folder, StrView map, StrView config,
                           Error *error) {
    Buf vocab = BUF_INIT(MAX_MERGES_FILE), merges = BUF_INIT(MAX_MERGES_FILE);
    Buf added = BUF_INIT(MAX_MERGES_FILE);
    JsonDoc *docs[3] = {NULL, NULL, NULL};
    Rebuild job = {.writer = json_writer(out, 0)};
    Status status = STATUS_OK;
    TRY_DONE(rebuild_read(&vocab, folder, "vocab.json", error));
    TRY_DONE(rebuild_read(&merges, folder, "merges.txt", error));
    TRY_DONE(rebuild_read(&added, folder, "added_tokens.json", error));
    TRY_DONE(read_vocab(&job.vocab, sv_n(vocab.ptr, vocab.len), error));
    TRY_DONE(rebuild_parse(&docs[0], &job.map, map, error));
    TRY_DONE(rebuild_parse(&docs[1], &job.config, config, error));
    TRY_DONE(rebuild_parse(&docs[2], &job.added, sv_n(added.ptr, added.len), error));
    TRY_DONE(choose_kind(&job, error));
    json_begin_object(&job.writer);
    write_all_added(&job);
    write_pipeline(&job);
    write_model(&job, sv_n(merges.ptr, merges.len));
    json_end_object(&job.writer);
    status = buf_status(out, error);
done:
    for (int i = 0; i < 3; i++)
        json_free(docs[i]);
    vocab_free(&job.vocab);
    buf_free(&vocab);
    buf_free(&merges);
    buf_free(&added);
    return status;
}
