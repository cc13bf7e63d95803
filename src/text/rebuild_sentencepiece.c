// Writes the tokenizer.json that a SentencePiece model stands for, as transformers converts it:
// one family per tokenizer class, and for the rest the pipeline that encodes as SentencePiece
// itself does. Here: which family, its special tokens, its vocabulary (not always the pieces in
// their order) and the model; rebuild_sentencepiece_steps.c writes what stands around it.
#include "text/rebuild_sentencepiece.h"

#include <stdlib.h>

enum { MAX_EXTRA_IDS = 1 << 14 };

static const char *const ROLES[SPM_ROLES] = {"bos_token", "eos_token", "unk_token", "sep_token",
                                             "pad_token", "cls_token", "mask_token"};

static const Family FAMILIES[] = {
    {FAMILY_XLM_ROBERTA,
     SPM_UNIGRAM,
     3,
     {"<s>", "</s>", "<unk>", "</s>", "<pad>", "<s>", "<mask>"},
     "b0A0e0",
     "b0A0e0e0B0e0"},
    {FAMILY_CAMEMBERT,
     SPM_UNIGRAM,
     3,
     {"<s>", "</s>", "<unk>", "</s>", "<pad>", "<s>", "<mask>"},
     "b0A0e0",
     "b0A0e0e0B0e0"},
    {FAMILY_T5,
     SPM_UNIGRAM,
     2,
     {NULL, "</s>", "<unk>", NULL, "<pad>", NULL, NULL},
     "A0e0",
     "A0e0B0e0"},
    {FAMILY_ALBERT,
     SPM_UNIGRAM,
     1,
     {"[CLS]", "[SEP]", "<unk>", "[SEP]", "<pad>", "[CLS]", "[MASK]"},
     "c0A0s0",
     "c0A0s0B1s1"},
    {FAMILY_LLAMA, SPM_BPE, -1, {"<s>", "</s>", "<unk>", NULL, NULL, NULL, NULL}, NULL, NULL},
    {FAMILY_PLAIN, 0, -1, {NULL, NULL, NULL, NULL, NULL, NULL, NULL}, NULL, NULL},
};

// ---- Which family ----

static const struct {
    const char *name; // tokenizer_class without "Fast", or model_type
    FamilyKind kind;
} NAMES[] = {
    {"XLMRobertaTokenizer", FAMILY_XLM_ROBERTA},
    {"CamembertTokenizer", FAMILY_CAMEMBERT},
    {"T5Tokenizer", FAMILY_T5},
    {"AlbertTokenizer", FAMILY_ALBERT},
    {"LlamaTokenizer", FAMILY_LLAMA},
    {"PreTrainedTokenizer", FAMILY_PLAIN},
    {"TokenizersBackend", FAMILY_PLAIN},
    {"xlm-roberta", FAMILY_XLM_ROBERTA},
    {"camembert", FAMILY_CAMEMBERT},
    {"t5", FAMILY_T5},
    {"mt5", FAMILY_T5},
    {"albert", FAMILY_ALBERT},
    {"llama", FAMILY_PLAIN},
    {"mistral", FAMILY_PLAIN},
    {"mixtral", FAMILY_PLAIN},
    {"phi3", FAMILY_PLAIN},
};

static Status choose_family(SpmRebuild *job, Error *error) {
    const char *model_type = json_cstr_or(job->model, "model_type", "");
    const char *class_name = json_cstr_or(job->config, "tokenizer_class",
                                          json_cstr_or(job->model, "tokenizer_class", ""));
    StrView name = *class_name ? sv(class_name) : sv(model_type);
    if (*class_name && sv_ends_with(name, SV("Fast")))
        name.len -= 4;
    for (size_t i = 0; i < sizeof NAMES / sizeof NAMES[0]; i++) {
        if (!sv_equal_cstr(name, NAMES[i].name))
            continue;
        FamilyKind kind = NAMES[i].kind;
        // These models declare Llama's class and are not loaded with it.
        if (kind == FAMILY_LLAMA &&
            (strcmp(model_type, "mistral") == 0 || strcmp(model_type, "mixtral") == 0 ||
             strcmp(model_type, "phi3") == 0))
            kind = FAMILY_PLAIN;
        job->family = &FAMILIES[kind];
        if (job->family->type && job->family->type != job->spm.model_type)
            return error_set(error, STATUS_UNSUPPORTED, "a %s model for \"%.*s\"",
                             job->spm.model_type == SPM_BPE ? "bpe" : "unigram", (int)name.len,
                             name.ptr);
        return STATUS_OK;
    }
    if (name.len == 0)
        return error_set(error, STATUS_UNSUPPORTED,
                         "neither tokenizer_config.json nor config.json says which tokenizer the "
                         "SentencePiece model belongs to");
    return error_set(error, STATUS_UNSUPPORTED,
                     "a SentencePiece model of \"%.64s\" without tokenizer.json",
                     *class_name ? class_name : model_type);
}

// ---- Special tokens ----

static bool lists_added(const SpmRebuild *job) {
    return json_kind(json_get(job->config, "added_tokens_decoder")) == JSON_OBJECT;
}

static bool is_text(const JsonValue *value) {
    return json_kind(value) == JSON_STRING || json_kind(value) == JSON_OBJECT;
}

const JsonValue *spm_role_value(const SpmRebuild *job, int role) {
    const JsonValue *value = lists_added(job) ? NULL : json_get(job->map, ROLES[role]);
    return is_text(value) ? value : json_get(job->config, ROLES[role]);
}

bool spm_token_text(StrView *out, const JsonValue *value) {
    return json_as_string(out, value) || json_as_string(out, json_get(value, "content"));
}

StrView spm_role_text(const SpmRebuild *job, int role) {
    StrView text;
    if (spm_token_text(&text, spm_role_value(job, role)))
        return text;
    if (job->family->kind != FAMILY_PLAIN)
        return sv(job->family->roles[role]);
    const SpmModel *spm = &job->spm;
    if (role == BOS && spm->bos_id >= 0)
        return spm->bos_piece;
    if (role == EOS && spm->eos_id >= 0)
        return spm->eos_piece;
    return role == UNK ? spm->unknown_piece : (StrView){NULL, 0};
}

bool spm_is_role(const SpmRebuild *job, StrView text) {
    for (int role = 0; role < SPM_ROLES; role++)
        if (text.len > 0 && sv_equal(spm_role_text(job, role), text))
            return true;
    return false;
}

const JsonValue *spm_extra_list(const SpmRebuild *job) {
    const JsonValue *list = json_get(job->config, "extra_special_tokens");
    if (json_kind(list) != JSON_ARRAY || json_len(list) == 0)
        list = json_get(job->config, "additional_special_tokens");
    return json_kind(list) == JSON_ARRAY && json_len(list) > 0 ? list : NULL;
}

static bool is_extra(const SpmRebuild *job, StrView text) {
    const JsonValue *list = spm_extra_list(job);
    StrView token;
    for (size_t i = 0; i < json_len(list); i++)
        if (spm_token_text(&token, json_at(list, i)) && sv_equal(token, text))
            return true;
    return false;
}

static int compare_added(const void *a, const void *b) {
    const Added *x = a, *y = b;
    return (x->id > y->id) - (x->id < y->id);
}

static Status list_added(SpmRebuild *job, Error *error) {
    bool is_decoder = lists_added(job), is_plain = job->family->kind == FAMILY_PLAIN;
    const JsonValue *object = is_decoder
                                  ? json_get(job->config, "added_tokens_decoder")
                                  : (json_kind(job->added) == JSON_OBJECT ? job->added : NULL);
    size_t count = json_len(object), iterator = 0;
    if (count > PIPELINE_MAX_ADDED || (!is_decoder && json_len(spm_extra_list(job)) > 1024))
        return error_set(error, STATUS_LIMIT, "more than %d added tokens", PIPELINE_MAX_ADDED);
    job->listed = arena_alloc_array(&job->arena, count + 1, sizeof *job->listed);
    if (!job->listed)
        return error_out_of_memory(error, count * sizeof *job->listed);
    TRY(vocab_finish(&job->mentioned, error));
    StrView key;
    const JsonValue *value;
    while (json_next(object, &iterator, &key, &value)) {
        Added token = {.content = key, .flags = is_decoder ? value : NULL};
        bool is_good = is_decoder
                           ? sv_to_i64(&token.id, key) && spm_token_text(&token.content, value)
                           : json_as_i64(&token.id, value);
        if (!is_good)
            return error_set(error, STATUS_CORRUPT, "added token \"%.*s\" has no id or content",
                             (int)(key.len < 64 ? key.len : 64), key.ptr);
        token.special = json_bool_or(token.flags, "special", false) ||
                        (!is_decoder && is_extra(job, token.content));
        token.special |= !is_decoder && spm_is_role(job, token.content);
        // Each part between added tokens has its own dummy prefix: they are found before it comes.
        token.normalized = json_bool_or(token.flags, "normalized", !token.special) &&
                           !(is_decoder && is_plain && job->spm.add_dummy_prefix);
        token.special |= spm_is_role(job, token.content);
        job->listed[job->listed_count++] = token;
        TRY(vocab_add(&job->mentioned, token.content, 1, error));
    }
    qsort(job->listed, job->listed_count, sizeof *job->listed, compare_added);
    return STATUS_OK;
}

// ---- The vocabulary ----

static void put_token(SpmRebuild *job, StrView text, double score) {
    job->scores[job->token_count] = score;
    job->tokens[job->token_count++] = text;
}

static void put_pieces(SpmRebuild *job, size_t first) {
    for (size_t i = first; i < job->spm.count; i++)
        put_token(job, job->spm.pieces[i].text, job->spm.pieces[i].score);
}

size_t spm_extra_ids(const SpmRebuild *job) {
    int64_t count = json_i64_or(job->config, "extra_ids", 100);
    if (job->family->kind != FAMILY_T5 || count < 0)
        return 0;
    return count > MAX_EXTRA_IDS ? MAX_EXTRA_IDS : (size_t)count;
}

static Status put_extra_ids(SpmRebuild *job, Error *error) {
    for (size_t i = spm_extra_ids(job); i > 0; i--) {
        char *text = arena_printf(&job->arena, "<extra_id_%zu>", i - 1);
        if (!text)
            return error_out_of_memory(error, 32);
        put_token(job, sv(text), 0);
    }
    return STATUS_OK;
}

// Pieces that tokenizer_config.json names otherwise, unless a piece that stays has that name.
static void rename_pieces(SpmRebuild *job) {
    for (size_t i = 0; i < job->listed_count; i++) {
        const Added *token = &job->listed[i];
        if (token->id < 0 || (uint64_t)token->id >= job->token_count)
            continue;
        int32_t owner = vocab_id(&job->vocab, token->content);
        Added key = {.id = owner};
        if (owner < 0 || bsearch(&key, job->listed, job->listed_count, sizeof key, compare_added))
            job->tokens[token->id] = token->content;
    }
}

static Status index_tokens(SpmRebuild *job, Error *error) {
    vocab_free(&job->vocab);
    job->vocab = (Vocab){.count = 0};
    for (size_t i = 0; i < job->token_count; i++)
        TRY(vocab_add(&job->vocab, job->tokens[i], (int32_t)i, error));
    return vocab_finish(&job->vocab, error);
}

static Status build_vocabulary(SpmRebuild *job, Error *error) {
    size_t most = job->spm.count + MAX_EXTRA_IDS + 16;
    job->tokens = arena_alloc_array(&job->arena, most, sizeof *job->tokens);
    job->scores = arena_alloc_array(&job->arena, most, sizeof *job->scores);
    if (!job->tokens || !job->scores)
        return error_out_of_memory(error, most * sizeof *job->tokens);
    FamilyKind kind = job->family->kind;
    if (kind == FAMILY_XLM_ROBERTA || kind == FAMILY_CAMEMBERT) {
        // fairseq's four tokens stand before the pieces; the pieces they replace are left out.
        bool is_xlm = kind == FAMILY_XLM_ROBERTA;
        put_token(job, is_xlm ? spm_role_text(job, BOS) : SV("<s>NOTUSED"), 0);
        put_token(job, spm_role_text(job, PAD), 0);
        put_token(job, is_xlm ? spm_role_text(job, EOS) : SV("</s>NOTUSED"), 0);
        put_token(job, spm_role_text(job, UNK), 0);
        if (!is_xlm)
            put_token(job, SV("<unk>NOTUSED"), -100);
        put_pieces(job, is_xlm ? 3 : 1);
        put_token(job, spm_role_text(job, MASK), 0);
    } else {
        put_pieces(job, 0);
        TRY(put_extra_ids(job, error));
    }
    TRY(index_tokens(job, error));
    if (kind != FAMILY_PLAIN || job->spm.model_type != SPM_BPE || !lists_added(job))
        return STATUS_OK;
    rename_pieces(job);
    return index_tokens(job, error);
}

size_t spm_count_whole_pieces(const SpmRebuild *job) {
    size_t count = 0;
    for (size_t i = 0; i < job->spm.count; i++)
        count += job->spm.pieces[i].type == SPM_USER_DEFINED;
    return count;
}

// ---- Writing: the model ----

static void write_unigram(SpmRebuild *job) {
    JsonWriter *writer = &job->writer;
    int64_t unknown = job->family->unknown_id;
    if (job->family->kind == FAMILY_PLAIN)
        unknown = job->spm.unknown_id;
    for (size_t i = 0; job->family->kind == FAMILY_CAMEMBERT && i < job->token_count; i++) {
        if (sv_equal(job->tokens[i], spm_role_text(job, UNK))) {
            unknown = (int64_t)i;
            break;
        }
    }
    rebuild_begin(writer, "model", "Unigram");
    json_key(writer, "unk_id");
    json_write_i64(writer, unknown);
    rebuild_flag(writer, "byte_fallback",
                 job->family->kind == FAMILY_PLAIN && job->spm.byte_fallback);
    json_key(writer, "vocab");
    json_begin_array(writer);
    for (size_t i = 0; i < job->token_count; i++) {
        json_begin_array(writer);
        json_write_string(writer, job->tokens[i]);
        json_write_f64(writer, job->scores[i]);
        json_end_array(writer);
    }
    json_end_array(writer);
    json_end_object(writer);
}

static bool may_merge(const SpmRebuild *job, int32_t id) {
    return id >= 0 && (job->family->kind != FAMILY_PLAIN || job->spm.pieces[id].type == SPM_NORMAL);
}

// Every way to cut a token into two others, the shortest left half first.
static void write_merges_of(SpmRebuild *job, size_t id) {
    StrView token = job->tokens[id];
    size_t at = 0;
    if (!may_merge(job, (int32_t)id))
        return;
    for (utf8_next(token, &at); at < token.len; utf8_next(token, &at)) {
        StrView left = sv_n(token.ptr, at), right = sv_n(token.ptr + at, token.len - at);
        if (!may_merge(job, vocab_id(&job->vocab, left)) ||
            !may_merge(job, vocab_id(&job->vocab, right)))
            continue;
        json_begin_array(&job->writer);
        json_write_string(&job->writer, left);
        json_write_string(&job->writer, right);
        json_end_array(&job->writer);
    }
}

static int compare_score(const void *a, const void *b, void *ctx) {
    const SpmPiece *pieces = ctx;
    uint32_t x = *(const uint32_t *)a, y = *(const uint32_t *)b;
    if (pieces[x].score != pieces[y].score)
        return pieces[x].score < pieces[y].score ? 1 : -1;
    return (x > y) - (x < y);
}

// In the order of the ids; the plain pipeline goes by score.
static Status write_merges(SpmRebuild *job, Error *error) {
    uint32_t *order = arena_alloc_array(&job->arena, job->token_count, sizeof *order);
    if (!order)
        return error_out_of_memory(error, job->token_count * sizeof *order);
    for (size_t i = 0; i < job->token_count; i++)
        order[i] = (uint32_t)i;
    if (job->family->kind == FAMILY_PLAIN)
        qsort_r(order, job->token_count, sizeof *order, compare_score, job->spm.pieces);
    json_key(&job->writer, "merges");
    json_begin_array(&job->writer);
    for (size_t i = 0; i < job->token_count; i++)
        write_merges_of(job, order[i]);
    json_end_array(&job->writer);
    return STATUS_OK;
}

static Status write_bpe(SpmRebuild *job, Error *error) {
    JsonWriter *writer = &job->writer;
    bool is_plain = job->family->kind == FAMILY_PLAIN;
    rebuild_begin(writer, "model", "BPE");
    if (is_plain) {
        json_key(writer, "unk_token");
        json_write_string(writer, job->spm.unknown_piece);
    }
    rebuild_flag(writer, "fuse_unk", true);
    rebuild_flag(writer, "byte_fallback", !is_plain || job->spm.byte_fallback);
    rebuild_flag(writer, "ignore_merges", is_plain && spm_count_whole_pieces(job) > 0);
    json_key(writer, "vocab");
    json_begin_object(writer);
    for (size_t i = 0; i < job->token_count; i++) {
        json_key_sv(writer, job->tokens[i]);
        json_write_i64(writer, (int64_t)i);
    }
    json_end_object(writer);
    TRY(write_merges(job, error));
    json_end_object(writer);
    return STATUS_OK;
}

static Status write_all(SpmRebuild *job, Error *error) {
    json_begin_object(&job->writer);
    TRY(spm_write_steps(job, error));
    if (job->spm.model_type == SPM_BPE)
        TRY(write_bpe(job, error));
    else
        write_unigram(job);
    json_end_object(&job->writer);
    return STATUS_OK;
}

Status rebuild_from_sentencepiece(Buf *out, const SentencePieceFiles *files, Error *error) {
    JsonDoc *docs[4] = {NULL, NULL, NULL, NULL};
    SpmRebuild job = {.writer = json_writer(out, 0)};
    Status status = STATUS_OK;
    TRY_DONE(rebuild_parse(&docs[0], &job.map, files->map, error));
    TRY_DONE(rebuild_parse(&docs[1], &job.config, files->config, error));
    TRY_DONE(rebuild_parse(&docs[2], &job.added, files->added, error));
    TRY_DONE(rebuild_parse(&docs[3], &job.model, files->model_config, error));
    TRY_DONE(spm_read(&job.spm, files->model, error));
    TRY_DONE(choose_family(&job, error));
    TRY_DONE(list_added(&job, error));
    TRY_DONE(build_vocabulary(&job, error));
    TRY_DONE(write_all(&job, error));
    status = buf_status(out, error);
done:
    for (int i = 0; i < 4; i++)
        json_free(docs[i]);
    spm_free(&job.spm);
    vocab_free(&job.vocab);
    vocab_free(&job.appended);
    vocab_free(&job.mentioned);
    arena_free(&job.arena);
    return status;
}
