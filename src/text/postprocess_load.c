// Post-processors from tokenizer.json, turned into templates.
#include "text/pipeline.h"

static Status add_piece(Template *form, TemplatePiece piece, Error *error) {
    if (form->count == PIPELINE_MAX_TEMPLATE)
        return error_set(error, STATUS_LIMIT, "post-processor: template is longer than %d",
                         PIPELINE_MAX_TEMPLATE);
    form->pieces[form->count++] = piece;
    if (piece.kind == TEMPLATE_SPECIAL)
        form->special_count++;
    return STATUS_OK;
}

static Status add_special(Template *form, int32_t id, int32_t type_id, Error *error) {
    return add_piece(form, (TemplatePiece){.kind = TEMPLATE_SPECIAL, .id = id, .type_id = type_id},
                     error);
}

// A text whose first window has the type `type_id`; the others have what the library leaves them.
static Status add_text(Template *form, TemplateKind kind, int32_t type_id, int32_t overflow,
                       Error *error) {
    return add_piece(
        form, (TemplatePiece){.kind = kind, .type_id = type_id, .overflow_type_id = overflow},
        error);
}

static Status read_id(int32_t *out, const JsonValue *value, Error *error) {
    int64_t id;
    if (!json_as_i64(&id, value) || id < 0 || id >= VOCAB_MAX_ID)
        return error_set(error, STATUS_CORRUPT, "post-processor: token id out of range");
    *out = (int32_t)id;
    return STATUS_OK;
}

static Status load_special(Template *form, const JsonValue *piece, const JsonValue *tokens,
                           int32_t type_id, bool with_special, Error *error) {
    const char *name = json_cstr_or(piece, "id", "");
    const JsonValue *ids = json_get(json_get(tokens, name), "ids");
    if (json_kind(ids) != JSON_ARRAY)
        return error_set(error, STATUS_CORRUPT,
                         "post-processor: special token \"%.64s\" is not defined", name);
    for (size_t i = 0; i < json_len(ids); i++) {
        int32_t id = 0;
        TRY(read_id(&id, json_at(ids, i), error));
        if (with_special)
            TRY(add_special(form, id, type_id, error));
    }
    return STATUS_OK;
}

static Status load_form(Template *form, const JsonValue *list, const JsonValue *tokens,
                        bool is_pair, bool with_special, Error *error) {
    for (size_t i = 0; i < json_len(list); i++) {
        const JsonValue *special = json_get(json_at(list, i), "SpecialToken");
        const JsonValue *text = json_get(json_at(list, i), "Sequence");
        int64_t type_id = json_i64_or(special ? special : text, "type_id", 0);
        if (type_id < 0 || type_id > INT32_MAX || (!special && !text))
            return error_set(error, STATUS_CORRUPT, "post-processor: bad template piece");
        if (special) {
            TRY(load_special(form, special, tokens, (int32_t)type_id, with_special, error));
            continue;
        }
        bool is_second = strcmp(json_cstr_or(text, "id", "A"), "A") != 0;
        if (is_second && !is_pair)
            return error_set(error, STATUS_CORRUPT,
                             "post-processor: the single template uses a second text");
        TRY(add_text(form, is_second ? TEMPLATE_SECOND : TEMPLATE_FIRST, (int32_t)type_id,
                     is_second, error));
    }
    return STATUS_OK;
}

static Status load_template(PostProcessor *post, const JsonValue *value, Error *error) {
    const JsonValue *tokens = json_get(value, "special_tokens");
    for (int is_pair = 0; is_pair < 2; is_pair++)
        for (int with_special = 0; with_special < 2; with_special++)
            TRY(load_form(&post->templates[is_pair][with_special],
                          json_get(value, is_pair ? "pair" : "single"), tokens, is_pair,
                          with_special, error));
    return STATUS_OK;
}

static Status load_default(PostProcessor *post, Error *error) {
    for (int with_special = 0; with_special < 2; with_special++) {
        TRY(add_text(&post->templates[0][with_special], TEMPLATE_FIRST, 0, 0, error));
        TRY(add_text(&post->templates[1][with_special], TEMPLATE_FIRST, 0, 0, error));
        TRY(add_text(&post->templates[1][with_special], TEMPLATE_SECOND, 1, 1, error));
    }
    return STATUS_OK;
}

// BERT: CLS a SEP b SEP with types 0 and 1. RoBERTa: CLS a SEP SEP b SEP, all of type 0, except
// that the library forgets the overflowing windows of the second text when it adds no special
// tokens.
static Status load_cls_sep(PostProcessor *post, const JsonValue *value, bool is_roberta,
                           Error *error) {
    int32_t cls = 0, sep = 0, second = is_roberta ? 0 : 1;
    TRY(read_id(&cls, json_at(json_get(value, "cls"), 1), error));
    TRY(read_id(&sep, json_at(json_get(value, "sep"), 1), error));
    for (int is_pair = 0; is_pair < 2; is_pair++) {
        Template *bare = &post->templates[is_pair][0], *full = &post->templates[is_pair][1];
        TRY(add_text(bare, TEMPLATE_FIRST, 0, 0, error));
        TRY(add_special(full, cls, 0, error));
        TRY(add_text(full, TEMPLATE_FIRST, 0, 0, error));
        TRY(add_special(full, sep, 0, error));
        if (!is_pair)
            continue;
        TRY(add_text(bare, TEMPLATE_SECOND, second, 1, error));
        if (is_roberta)
            TRY(add_special(full, sep, 0, error));
        TRY(add_text(full, TEMPLATE_SECOND, second, second, error));
        TRY(add_special(full, sep, second, error));
    }
    return STATUS_OK;
}

static Status load_trim(PostProcessor *post, const JsonValue *value, Error *error) {
    if (!json_bool_or(value, "trim_offsets", true))
        return STATUS_OK;
    if (post->trim_count == PIPELINE_MAX_STEPS)
        return error_set(error, STATUS_LIMIT, "post-processor has too many steps");
    post->trims[post->trim_count++].add_prefix_space =
        json_bool_or(value, "add_prefix_space", true);
    return STATUS_OK;
}

static Status load_value(PostProcessor *post, const JsonValue *value, int depth, bool *has_form,
                         Error *error) {
    StrView type = sv(json_type_name(value));
    if (sv_equal_cstr(type, "Sequence") && depth < PIPELINE_MAX_DEPTH) {
        const JsonValue *list = json_get(value, "processors");
        for (size_t i = 0; i < json_len(list); i++)
            TRY(load_value(post, json_at(list, i), depth + 1, has_form, error));
        return STATUS_OK;
    }
    if (sv_equal_cstr(type, "ByteLevel"))
        return load_trim(post, value, error);
    bool is_roberta = sv_equal_cstr(type, "RobertaProcessing");
    bool is_template = sv_equal_cstr(type, "TemplateProcessing");
    if (!is_roberta && !is_template && !sv_equal_cstr(type, "BertProcessing"))
        return error_set(error, STATUS_UNSUPPORTED, "post-processor \"%.64s\" is not supported",
                         type.ptr);
    if (*has_form)
        return error_set(error, STATUS_UNSUPPORTED,
                         "two post-processors that add tokens are not supported");
    *has_form = true;
    if (is_template)
        return load_template(post, value, error);
    if (is_roberta)
        TRY(load_trim(post, value, error));
    return load_cls_sep(post, value, is_roberta, error);
}

Status postprocess_load(Tokenizer *tokenizer, const JsonValue *value, Error *error) {
    bool has_form = false;
    if (json_kind(value) != JSON_ABSENT && json_kind(value) != JSON_NULL)
        TRY(load_value(&tokenizer->post, value, 0, &has_form, error));
    return has_form ? STATUS_OK : load_default(&tokenizer->post, error);
}
