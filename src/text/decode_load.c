// Decoders from tokenizer.json.
#include "text/pipeline.h"

static Status add_step(Tokenizer *tokenizer, DecodeStep step, Error *error) {
    if (tokenizer->decoder_count == PIPELINE_MAX_STEPS)
        return error_set(error, STATUS_LIMIT, "decoder has more than %d steps", PIPELINE_MAX_STEPS);
    tokenizer->decoder[tokenizer->decoder_count++] = step;
    return STATUS_OK;
}

static Status keep_text(Tokenizer *tokenizer, StrView *out, const JsonValue *value, const char *key,
                        const char *fallback, Error *error) {
    StrView text = sv(fallback);
    json_as_string(&text, json_get(value, key));
    return tokenizer_keep(tokenizer, out, text, error);
}

static Status load_strip(DecodeStep *step, const JsonValue *value, Error *error) {
    int64_t start = json_i64_or(value, "start", 0), stop = json_i64_or(value, "stop", 0);
    if (start < 0 || stop < 0)
        return error_set(error, STATUS_CORRUPT, "decoder: Strip counts must not be negative");
    step->kind = DECODE_STRIP;
    step->start = (size_t)start;
    step->stop = (size_t)stop;
    return json_need_char(&step->code_point, value, "content", "Strip", error);
}

static Status load_metaspace(DecodeStep *step, const JsonValue *value, Error *error) {
    step->kind = DECODE_METASPACE;
    step->drop_first = strcmp(json_cstr_or(value, "prepend_scheme", "always"), "never") != 0 &&
                       json_bool_or(value, "add_prefix_space", true);
    return json_need_char(&step->code_point, value, "replacement", "Metaspace", error);
}

static Status load_one(Tokenizer *tokenizer, DecodeStep *step, const JsonValue *value, StrView type,
                       Error *error) {
    StrView text;
    if (sv_equal_cstr(type, "WordPiece")) {
        step->kind = DECODE_WORDPIECE;
        step->cleanup = json_bool_or(value, "cleanup", true);
        return keep_text(tokenizer, &step->text, value, "prefix", "##", error);
    }
    if (sv_equal_cstr(type, "Metaspace"))
        return load_metaspace(step, value, error);
    if (sv_equal_cstr(type, "BPEDecoder")) {
        step->kind = DECODE_BPE;
        return keep_text(tokenizer, &step->text, value, "suffix", "</w>", error);
    }
    if (sv_equal_cstr(type, "Strip"))
        return load_strip(step, value, error);
    if (sv_equal_cstr(type, "Replace")) {
        step->kind = DECODE_REPLACE;
        TRY(pattern_load(tokenizer, &step->pattern, json_get(value, "pattern"), error));
        TRY(json_need_string(&text, value, "content", "Replace", error));
        return tokenizer_keep(tokenizer, &step->text, text, error);
    }
    if (sv_equal_cstr(type, "CTC")) {
        step->kind = DECODE_CTC;
        step->cleanup = json_bool_or(value, "cleanup", true);
        TRY(keep_text(tokenizer, &step->delimiter, value, "word_delimiter_token", "|", error));
        return keep_text(tokenizer, &step->text, value, "pad_token", "<pad>", error);
    }
    if (sv_equal_cstr(type, "ByteLevel"))
        step->kind = DECODE_BYTE_LEVEL;
    else if (sv_equal_cstr(type, "ByteFallback"))
        step->kind = DECODE_BYTE_FALLBACK;
    else if (sv_equal_cstr(type, "Fuse"))
        step->kind = DECODE_FUSE;
    else
        return error_set(error, STATUS_UNSUPPORTED, "decoder \"%.64s\" is not supported", type.ptr);
    return STATUS_OK;
}

static Status load_value(Tokenizer *tokenizer, const JsonValue *value, int depth, Error *error) {
    StrView type = sv(json_type_name(value));
    if (sv_equal_cstr(type, "Sequence") && depth < PIPELINE_MAX_DEPTH) {
        const JsonValue *list = json_get(value, "decoders");
        for (size_t i = 0; i < json_len(list); i++)
            TRY(load_value(tokenizer, json_at(list, i), depth + 1, error));
        return STATUS_OK;
    }
    DecodeStep step = {.kind = DECODE_FUSE};
    TRY(load_one(tokenizer, &step, value, type, error));
    return add_step(tokenizer, step, error);
}

Status decode_load(Tokenizer *tokenizer, const JsonValue *value, Error *error) {
    tokenizer->decoder =
        arena_alloc_array(&tokenizer->arena, PIPELINE_MAX_STEPS, sizeof *tokenizer->decoder);
    if (!tokenizer->decoder)
        return error_out_of_memory(error, PIPELINE_MAX_STEPS * sizeof *tokenizer->decoder);
    if (json_kind(value) == JSON_ABSENT || json_kind(value) == JSON_NULL)
        return STATUS_OK;
    tokenizer->has_decoder = true;
    return load_value(tokenizer, value, 0, error);
}
