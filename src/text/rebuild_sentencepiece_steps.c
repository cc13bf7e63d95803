// What stands around a SentencePiece model in its tokenizer.json: added tokens, normalizer,
// pre-tokenizer, post-processor and decoder, by family.
#include "text/rebuild_sentencepiece.h"

#include <stdio.h>
#include <stdlib.h>

enum { MAX_PATTERN = 1 << 14 };

// ---- Writing: added tokens ----

static Status write_added(SpmRebuild *job, const Added *token, Error *error) {
    JsonWriter *writer = &job->writer;
    if (token->content.len == 0)
        return STATUS_OK;
    json_begin_object(writer);
    json_key(writer, "content");
    json_write_string(writer, token->content);
    rebuild_flag(writer, "single_word", json_bool_or(token->flags, "single_word", false));
    rebuild_flag(writer, "lstrip", json_bool_or(token->flags, "lstrip", token->lstrip));
    rebuild_flag(writer, "rstrip", json_bool_or(token->flags, "rstrip", false));
    rebuild_flag(writer, "normalized", token->normalized);
    rebuild_flag(writer, "special", token->special);
    json_end_object(writer);
    if (vocab_id(&job->vocab, token->content) >= 0 || vocab_id(&job->appended, token->content) >= 0)
        return STATUS_OK;
    return vocab_add(&job->appended, token->content,
                     (int32_t)(job->vocab.count + job->appended.count), error);
}

static bool is_mentioned(const SpmRebuild *job, StrView text) {
    return vocab_id(&job->mentioned, text) >= 0;
}

static Status write_named(SpmRebuild *job, Error *error) {
    for (int role = 0; role < SPM_ROLES; role++) {
        const JsonValue *value = spm_role_value(job, role);
        const JsonValue *flags = json_kind(value) == JSON_OBJECT ? value : NULL;
        Added token = {
            .content = spm_role_text(job, role),
            .flags = flags,
            .special = true,
            .lstrip = role == MASK && !flags && job->family->kind == FAMILY_CAMEMBERT,
            .normalized = json_bool_or(flags, "normalized", false),
        };
        if (!is_mentioned(job, token.content))
            TRY(write_added(job, &token, error));
    }
    return STATUS_OK;
}

static Status write_extras(SpmRebuild *job, const JsonValue *list, Error *error) {
    for (size_t i = 0; i < json_len(list); i++) {
        const JsonValue *value = json_at(list, i);
        Added token = {.flags = json_kind(value) == JSON_OBJECT ? value : NULL};
        if (!spm_token_text(&token.content, value) || is_mentioned(job, token.content))
            continue;
        token.special =
            json_bool_or(token.flags, "special", !token.flags) || spm_is_role(job, token.content);
        token.normalized = json_bool_or(token.flags, "normalized", !token.special);
        TRY(write_added(job, &token, error));
    }
    return STATUS_OK;
}

// When no file lists extra tokens: control pieces, user-defined ones, T5's sentinels.
static Status write_own_extras(SpmRebuild *job, Error *error) {
    bool is_plain = job->family->kind == FAMILY_PLAIN;
    for (size_t i = 0; i < job->spm.count; i++) {
        const SpmPiece *piece = &job->spm.pieces[i];
        Added token = {.content = piece->text};
        token.special = piece->type == SPM_CONTROL || spm_is_role(job, piece->text);
        bool is_added =
            piece->type == SPM_CONTROL || (piece->type == SPM_USER_DEFINED && !is_plain);
        if (is_added && !is_mentioned(job, piece->text))
            TRY(write_added(job, &token, error));
    }
    size_t count = spm_extra_ids(job);
    for (size_t i = 0; i < count; i++) {
        Added token = {.content = job->tokens[job->token_count - 1 - i], .special = true};
        if (!is_mentioned(job, token.content))
            TRY(write_added(job, &token, error));
    }
    return STATUS_OK;
}

static Status write_all_added(SpmRebuild *job, Error *error) {
    TRY(vocab_finish(&job->appended, error));
    json_key(&job->writer, "added_tokens");
    json_begin_array(&job->writer);
    for (size_t i = 0; i < job->listed_count; i++)
        TRY(write_added(job, &job->listed[i], error));
    TRY(write_named(job, error));
    const JsonValue *extras = spm_extra_list(job);
    TRY(extras ? write_extras(job, extras, error) : write_own_extras(job, error));
    json_end_array(&job->writer);
    return STATUS_OK;
}

// ---- Writing: normalizer, pre-tokenizer, decoder ----

static void write_base64(JsonWriter *writer, Buf *scratch, StrView bytes) {
    static const char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    for (size_t i = 0; i < bytes.len; i += 3) {
        uint32_t group = 0;
        size_t count = bytes.len - i < 3 ? bytes.len - i : 3;
        for (size_t k = 0; k < 3; k++)
            group = group << 8 | (k < count ? (uint8_t)bytes.ptr[i + k] : 0);
        for (size_t k = 0; k < 4; k++)
            buf_append_byte(scratch, k <= count ? digits[group >> (18 - 6 * k) & 63] : '=');
    }
    json_write_string(writer, sv_n(scratch->ptr ? scratch->ptr : "", scratch->len));
}

static Status write_charsmap(SpmRebuild *job, Error *error) {
    if (job->spm.charsmap.len == 0)
        return STATUS_OK;
    Buf text = BUF_INIT(2 * SPM_MAX_FILE);
    rebuild_begin(&job->writer, NULL, "Precompiled");
    json_key(&job->writer, "precompiled_charsmap");
    write_base64(&job->writer, &text, job->spm.charsmap);
    json_end_object(&job->writer);
    Status status = buf_status(&text, error);
    buf_free(&text);
    return status;
}

static void write_replace(JsonWriter *writer, const char *kind, const char *pattern,
                          const char *content) {
    rebuild_begin(writer, NULL, "Replace");
    json_key(writer, "pattern");
    json_begin_object(writer);
    rebuild_text(writer, kind, pattern);
    json_end_object(writer);
    rebuild_text(writer, "content", content);
    json_end_object(writer);
}

static void write_step(JsonWriter *writer, const char *type) {
    rebuild_begin(writer, NULL, type);
    json_end_object(writer);
}

static bool is_legacy(const SpmRebuild *job) {
    return json_bool_or(job->config, "legacy", job->family->kind == FAMILY_PLAIN);
}

static Status write_normalizer(SpmRebuild *job, Error *error) {
    JsonWriter *writer = &job->writer;
    FamilyKind kind = job->family->kind;
    if (kind == FAMILY_LLAMA)
        return STATUS_OK;
    rebuild_begin(writer, "normalizer", "Sequence");
    json_key(writer, "normalizers");
    json_begin_array(writer);
    if (kind == FAMILY_ALBERT) {
        write_replace(writer, "String", "``", "\"");
        write_replace(writer, "String", "''", "\"");
        if (!json_bool_or(job->config, "keep_accents", false)) {
            write_step(writer, "NFKD");
            write_step(writer, "StripAccents");
        }
        if (json_bool_or(job->config, "do_lower_case", true))
            write_step(writer, "Lowercase");
    }
    TRY(write_charsmap(job, error));
    if (kind == FAMILY_PLAIN) {
        if (job->spm.remove_extra_whitespaces) {
            write_replace(writer, "Regex", "\\A +| +\\z", "");
            write_replace(writer, "Regex", " {2,}", " ");
        }
        if (job->spm.escape_whitespaces)
            write_replace(writer, "String", " ", BPE_META);
        // Metaspace leaves out the dummy prefix of a text that starts with one; SentencePiece does
        // not.
        if (job->spm.add_dummy_prefix && is_legacy(job))
            write_replace(writer, "Regex", "\\A" BPE_META, BPE_META BPE_META);
    }
    json_end_array(writer);
    json_end_object(writer);
    return STATUS_OK;
}

static void write_metaspace(SpmRebuild *job, const char *key, const char *scheme, bool split) {
    rebuild_begin(&job->writer, key, "Metaspace");
    rebuild_text(&job->writer, "replacement", BPE_META);
    rebuild_text(&job->writer, "prepend_scheme", scheme);
    rebuild_flag(&job->writer, "split", split);
    json_end_object(&job->writer);
}

static int compare_longest(const void *a, const void *b) {
    const StrView *x = a, *y = b;
    size_t left = utf8_count(*x), right = utf8_count(*y);
    if (left != right)
        return left < right ? 1 : -1;
    return (x->ptr > y->ptr) - (x->ptr < y->ptr);
}

// User-defined pieces stay whole: the longest first.
static Status write_whole_pieces(SpmRebuild *job, size_t count, Error *error) {
    StrView *whole = arena_alloc_array(&job->arena, count, sizeof *whole);
    if (!whole)
        return error_out_of_memory(error, count * sizeof *whole);
    count = 0;
    for (size_t i = 0; i < job->spm.count; i++)
        if (job->spm.pieces[i].type == SPM_USER_DEFINED)
            whole[count++] = job->tokens[i];
    qsort(whole, count, sizeof *whole, compare_longest);
    Buf pattern = BUF_INIT(MAX_PATTERN);
    for (size_t i = 0; i < count; i++) {
        if (i > 0)
            buf_append_byte(&pattern, '|');
        for (size_t k = 0; k < whole[i].len; k++) {
            if (strchr("()[]{}?*+-|^$\\.", whole[i].ptr[k]))
                buf_append_byte(&pattern, '\\');
            buf_append_byte(&pattern, whole[i].ptr[k]);
        }
    }
    Status status = buf_status(&pattern, error);
    JsonWriter *writer = &job->writer;
    rebuild_begin(writer, NULL, "Split");
    json_key(writer, "pattern");
    json_begin_object(writer);
    json_key(writer, "Regex");
    json_write_string(writer, sv_n(pattern.ptr ? pattern.ptr : "", pattern.len));
    json_end_object(writer);
    rebuild_text(writer, "behavior", "Isolated");
    rebuild_flag(writer, "invert", false);
    json_end_object(writer);
    buf_free(&pattern);
    return status;
}

static Status write_pretokenizer(SpmRebuild *job, Error *error) {
    JsonWriter *writer = &job->writer;
    FamilyKind kind = job->family->kind;
    bool has_prefix = kind == FAMILY_T5 || json_bool_or(job->config, "add_prefix_space", true);
    const char *scheme = has_prefix ? "always" : "never";
    bool is_plain = kind == FAMILY_PLAIN;
    if (is_plain || (kind == FAMILY_LLAMA && has_prefix))
        scheme = is_legacy(job) ? "always" : "first";
    size_t whole = is_plain ? spm_count_whole_pieces(job) : 0;
    if (is_plain && !job->spm.add_dummy_prefix && whole == 0)
        return STATUS_OK;
    rebuild_begin(writer, "pre_tokenizer", "Sequence");
    json_key(writer, "pretokenizers");
    json_begin_array(writer);
    if (!is_plain && kind != FAMILY_LLAMA)
        write_step(writer, "WhitespaceSplit");
    if (!is_plain || job->spm.add_dummy_prefix)
        write_metaspace(job, NULL, scheme, !is_plain && kind != FAMILY_LLAMA);
    if (whole > 0)
        TRY(write_whole_pieces(job, whole, error));
    json_end_array(writer);
    json_end_object(writer);
    return STATUS_OK;
}

static void write_decoder(SpmRebuild *job) {
    JsonWriter *writer = &job->writer;
    FamilyKind kind = job->family->kind;
    bool has_prefix = json_bool_or(job->config, "add_prefix_space", true);
    if (kind != FAMILY_LLAMA && kind != FAMILY_PLAIN) {
        write_metaspace(job, "decoder", has_prefix || kind == FAMILY_T5 ? "always" : "never", true);
        return;
    }
    bool has_bytes = kind == FAMILY_LLAMA || job->spm.byte_fallback;
    if (kind == FAMILY_PLAIN)
        has_prefix = job->spm.add_dummy_prefix;
    rebuild_begin(writer, "decoder", "Sequence");
    json_key(writer, "decoders");
    json_begin_array(writer);
    write_replace(writer, "String", BPE_META, " ");
    if (has_bytes)
        write_step(writer, "ByteFallback");
    if (has_bytes || has_prefix)
        write_step(writer, "Fuse");
    if (has_prefix) {
        rebuild_begin(writer, NULL, "Strip");
        rebuild_text(writer, "content", " ");
        json_key(writer, "start");
        json_write_i64(writer, 1);
        json_key(writer, "stop");
        json_write_i64(writer, 0);
        json_end_object(writer);
    }
    json_end_array(writer);
    json_end_object(writer);
}

// ---- Writing: post-processor ----

static int template_role(char letter) {
    return letter == 'b' ? BOS : letter == 'e' ? EOS : letter == 'c' ? CLS : SEP;
}

static void write_template(SpmRebuild *job, const char *key, const char *form) {
    JsonWriter *writer = &job->writer;
    json_key(writer, key);
    json_begin_array(writer);
    for (; *form; form += 2) {
        int type_id = form[1] - '0';
        if (*form == 'A' || *form == 'B')
            rebuild_template_piece(writer, "Sequence", sv_n(form, 1), type_id);
        else
            rebuild_template_piece(writer, "SpecialToken", spm_role_text(job, template_role(*form)),
                                   type_id);
    }
    json_end_array(writer);
}

static Status write_template_token(SpmRebuild *job, StrView text, Error *error) {
    int32_t id = vocab_id(&job->vocab, text);
    if (id < 0)
        id = vocab_id(&job->appended, text);
    if (id < 0 || text.len == 0)
        return error_set(error, STATUS_CORRUPT, "the token \"%.*s\" of the template has no id",
                         (int)(text.len < 64 ? text.len : 64), text.ptr ? text.ptr : "");
    json_key_sv(&job->writer, text);
    json_begin_object(&job->writer);
    json_key(&job->writer, "ids");
    json_begin_array(&job->writer);
    json_write_i64(&job->writer, id);
    json_end_array(&job->writer);
    json_end_object(&job->writer);
    return STATUS_OK;
}

static Status write_post(SpmRebuild *job, Error *error) {
    JsonWriter *writer = &job->writer;
    char single[16], pair[32];
    if (job->family->single) {
        snprintf(single, sizeof single, "%s", job->family->single);
        snprintf(pair, sizeof pair, "%s", job->family->pair);
    } else {
        bool bos = json_bool_or(job->config, "add_bos_token", false) && spm_role_text(job, BOS).ptr;
        bool eos = json_bool_or(job->config, "add_eos_token", false) && spm_role_text(job, EOS).ptr;
        snprintf(single, sizeof single, "%sA0%s", bos ? "b0" : "", eos ? "e0" : "");
        snprintf(pair, sizeof pair, "%s%sB1%s", single, bos ? "b1" : "", eos ? "e1" : "");
    }
    rebuild_begin(writer, "post_processor", "TemplateProcessing");
    write_template(job, "single", single);
    write_template(job, "pair", pair);
    json_key(writer, "special_tokens");
    json_begin_object(writer);
    for (const char *form = single; *form; form += 2) {
        if (*form != 'A')
            TRY(write_template_token(job, spm_role_text(job, template_role(*form)), error));
    }
    json_end_object(writer);
    json_end_object(writer);
    return STATUS_OK;
}

Status spm_write_steps(SpmRebuild *job, Error *error) {
    TRY(write_all_added(job, error));
    TRY(write_normalizer(job, error));
    TRY(write_pretokenizer(job, error));
    TRY(write_post(job, error));
    write_decoder(job);
    return STATUS_OK;
}
