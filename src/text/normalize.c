// The normalizers, each a rewriting of one aligned text into another. A Sequence and the parts of
// BertNormalizer are flattened when loading, so running them is one loop.
#include "text/pipeline.h"

// ---- Running ----

typedef struct Reader {
    const AlignedText *text;
    size_t pos, len; // of the code point read last
} Reader;

static bool read_next(Reader *reader, uint32_t *code_point) {
    reader->pos += reader->len;
    reader->len = 0;
    if (reader->pos >= reader->text->len)
        return false;
    *code_point = utf8_decode_valid(reader->text->bytes + reader->pos, &reader->len);
    return true;
}

static void keep(AlignedText *out, const Reader *reader) {
    aligned_copy(out, reader->text, reader->pos, reader->pos + reader->len);
}

// Puts another code point in the place of the one read last.
static void put(AlignedText *out, const Reader *reader, uint32_t code_point) {
    aligned_put(out, code_point, reader->text->start[reader->pos], reader->text->end[reader->pos]);
}

static void clean_text(const UnicodeTable *unicode, AlignedText *out, const AlignedText *in) {
    Reader reader = {.text = in};
    uint32_t c;
    while (read_next(&reader, &c)) {
        uint32_t bits = unicode_class(unicode, c);
        if (bits & CLASS_CONTROL)
            continue;
        if (bits & CLASS_WHITESPACE)
            put(out, &reader, ' ');
        else
            keep(out, &reader);
    }
}

static void space_cjk(const UnicodeTable *unicode, AlignedText *out, const AlignedText *in) {
    Reader reader = {.text = in};
    uint32_t c;
    while (read_next(&reader, &c)) {
        bool is_cjk = unicode_class(unicode, c) & CLASS_CJK;
        if (is_cjk)
            put(out, &reader, ' ');
        keep(out, &reader);
        if (is_cjk)
            put(out, &reader, ' ');
    }
}

static void drop_class(const UnicodeTable *unicode, AlignedText *out, const AlignedText *in,
                       uint32_t bit) {
    Reader reader = {.text = in};
    uint32_t c;
    while (read_next(&reader, &c))
        if (!(unicode_class(unicode, c) & bit))
            keep(out, &reader);
}

static void lower(const UnicodeTable *unicode, AlignedText *out, const AlignedText *in) {
    Reader reader = {.text = in};
    uint32_t c;
    while (read_next(&reader, &c)) {
        if (!(unicode_class(unicode, c) & CLASS_LOWER)) {
            keep(out, &reader);
            continue;
        }
        uint32_t lowered[UNICODE_MAX_LOWER];
        int count = unicode_lower(lowered, c);
        for (int i = 0; i < count; i++)
            put(out, &reader, lowered[i]);
    }
}

static void nmt(AlignedText *out, const AlignedText *in) {
    Reader reader = {.text = in};
    uint32_t c;
    while (read_next(&reader, &c)) {
        bool is_dropped = (c >= 1 && c <= 8) || c == 0xb || (c >= 0xe && c <= 0x1f) || c == 0x7f ||
                          c == 0x8f || c == 0x9f;
        bool is_space = c == 9 || c == 0xa || c == 0xc || c == 0xd || c == 0x1680 ||
                        (c >= 0x200b && c <= 0x200f) || c == 0x2028 || c == 0x2029 || c == 0x2581 ||
                        c == 0xfeff || c == 0xfffd;
        if (is_dropped)
            continue;
        if (is_space)
            put(out, &reader, ' ');
        else
            keep(out, &reader);
    }
}

static void byte_level(AlignedText *out, const AlignedText *in) {
    for (size_t i = 0; i < in->len; i++)
        aligned_put(out, byte_level_char((uint8_t)in->bytes[i]), in->start[i], in->end[i]);
}

static void strip(const UnicodeTable *unicode, AlignedText *out, const AlignedText *in, bool left,
                  bool right) {
    Reader reader = {.text = in};
    uint32_t c;
    size_t begin = left ? in->len : 0, end = 0;
    while (read_next(&reader, &c)) {
        if (unicode_class(unicode, c) & CLASS_WHITESPACE)
            continue;
        if (begin == in->len)
            begin = reader.pos;
        end = reader.pos + reader.len;
    }
    if (!right)
        end = in->len;
    if (begin < end)
        aligned_copy(out, in, begin, end);
}

static void prepend(AlignedText *out, const AlignedText *in, StrView content, uint32_t origin) {
    if (in->len == 0)
        return;
    size_t first = utf8_lead_len(in->bytes[0]);
    if (content.len > 0) {
        aligned_append_all(out, content, in->start[0], in->end[0]);
        aligned_copy(out, in, 0, in->len);
    } else {
        // The library then treats the first code point as inserted before everything.
        aligned_append_all(out, sv_n(in->bytes, first), origin, origin);
        aligned_copy(out, in, first, in->len);
    }
}

typedef struct Replacing {
    AlignedText *out;
    const AlignedText *in;
    StrView content;
    uint32_t origin;
    size_t done;
} Replacing;

static Status replace_match(void *ctx, size_t begin, size_t end) {
    Replacing *replacing = ctx;
    const AlignedText *in = replacing->in;
    aligned_copy(replacing->out, in, replacing->done, begin);
    uint32_t first = end > 0 ? in->start[end - 1] : replacing->origin;
    uint32_t last = end > 0 ? in->end[end - 1] : replacing->origin;
    aligned_append_all(replacing->out, replacing->content, first, last);
    replacing->done = end;
    return STATUS_OK;
}

static Status replace(const NormalizeStep *step, AlignedText *out, const AlignedText *in,
                      uint32_t origin, Error *error) {
    Replacing replacing = {.out = out, .in = in, .content = step->content, .origin = origin};
    TRY(pattern_each(&step->pattern, sv_n(in->bytes, in->len), replace_match, &replacing, error));
    aligned_copy(out, in, replacing.done, in->len);
    return STATUS_OK;
}

// Blanks for tabs and line ends; false, and nothing done, when a byte must go.
static bool clean_ascii(AlignedText *text) {
    for (size_t i = 0; i < text->len; i++) {
        char c = text->bytes[i];
        if ((c < ' ' && c != '\t' && c != '\n' && c != '\r') || c == 0x7f)
            return false;
    }
    for (size_t i = 0; i < text->len; i++)
        if (text->bytes[i] < ' ')
            text->bytes[i] = ' ';
    return true;
}

// Steps that leave ASCII text as it is, or can change it in place.
static bool run_on_ascii(const NormalizeStep *step, AlignedText *text) {
    switch (step->kind) {
    case NORMALIZE_SPACE_CJK:
    case NORMALIZE_DROP_NONSPACING:
    case NORMALIZE_DROP_COMBINING:
    case NORMALIZE_NFD:
    case NORMALIZE_NFC:
    case NORMALIZE_NFKD:
    case NORMALIZE_NFKC:
        return true;
    case NORMALIZE_CLEAN_TEXT:
        return clean_ascii(text);
    case NORMALIZE_PRECOMPILED:
        return charsmap_apply_ascii(&step->charsmap, text);
    case NORMALIZE_LOWER:
        for (size_t i = 0; i < text->len; i++)
            if (text->bytes[i] >= 'A' && text->bytes[i] <= 'Z')
                text->bytes[i] = (char)(text->bytes[i] | 0x20);
        return true;
    default:
        return false;
    }
}

static Status run_step(const Tokenizer *tokenizer, const NormalizeStep *step, AlignedText *out,
                       const AlignedText *in, uint32_t origin, Error *error) {
    const UnicodeTable *unicode = &tokenizer->unicode;
    switch (step->kind) {
    case NORMALIZE_CLEAN_TEXT:
        clean_text(unicode, out, in);
        break;
    case NORMALIZE_SPACE_CJK:
        space_cjk(unicode, out, in);
        break;
    case NORMALIZE_DROP_NONSPACING:
        drop_class(unicode, out, in, CLASS_NONSPACING);
        break;
    case NORMALIZE_DROP_COMBINING:
        drop_class(unicode, out, in, CLASS_COMBINING);
        break;
    case NORMALIZE_LOWER:
        lower(unicode, out, in);
        break;
    case NORMALIZE_NFD:
    case NORMALIZE_NFKD:
        return normal_form(unicode, out, in, step->kind == NORMALIZE_NFKD, false, origin, error);
    case NORMALIZE_NFC:
    case NORMALIZE_NFKC:
        return normal_form(unicode, out, in, step->kind == NORMALIZE_NFKC, true, origin, error);
    case NORMALIZE_STRIP:
        strip(unicode, out, in, step->left, step->right);
        break;
    case NORMALIZE_REPLACE:
        return replace(step, out, in, origin, error);
    case NORMALIZE_PREPEND:
        prepend(out, in, step->content, origin);
        break;
    case NORMALIZE_NMT:
        nmt(out, in);
        break;
    case NORMALIZE_PRECOMPILED:
        charsmap_apply(&step->charsmap, unicode, out, in, origin);
        break;
    case NORMALIZE_BYTE_LEVEL:
        byte_level(out, in);
        break;
    }
    return STATUS_OK;
}

void tokenizer_lower_case(Tokenizer *tokenizer) {
    tokenizer->lowers_first = true;
    for (size_t i = 0; i < tokenizer->normalizer_count; i++)
        if (tokenizer->normalizer[i].kind == NORMALIZE_LOWER)
            tokenizer->lowers_first = false;
}

Status normalize_run(const Tokenizer *tokenizer, AlignedText *text, AlignedText *spare,
                     uint32_t origin, Error *error) {
    bool is_ascii = text_is_ascii(text->bytes, text->len);
    static const NormalizeStep lowering = {.kind = NORMALIZE_LOWER};
    const size_t own = tokenizer->lowers_first;
    for (size_t i = 0; i < tokenizer->normalizer_count + own; i++) {
        const NormalizeStep *step = i < own ? &lowering : &tokenizer->normalizer[i - own];
        if (is_ascii && run_on_ascii(step, text))
            continue;
        spare->len = 0;
        spare->failed = STATUS_OK;
        TRY(run_step(tokenizer, step, spare, text, origin, error));
        TRY(aligned_status(spare, error));
        AlignedText swap = *text;
        *text = *spare;
        *spare = swap;
        is_ascii = text_is_ascii(text->bytes, text->len);
    }
    return STATUS_OK;
}

// ---- Loading ----

static Status add_step(Tokenizer *tokenizer, NormalizeStep step, Error *error) {
    if (tokenizer->normalizer_count == PIPELINE_MAX_STEPS)
        return error_set(error, STATUS_LIMIT, "normalizer has more than %d steps",
                         PIPELINE_MAX_STEPS);
    tokenizer->normalizer[tokenizer->normalizer_count++] = step;
    return STATUS_OK;
}

static Status add_kind(Tokenizer *tokenizer, NormalizeKind kind, Error *error) {
    return add_step(tokenizer, (NormalizeStep){.kind = kind}, error);
}

static Status load_bert(Tokenizer *tokenizer, const JsonValue *value, Error *error) {
    bool lowercase = json_bool_or(value, "lowercase", true);
    if (json_bool_or(value, "clean_text", true))
        TRY(add_kind(tokenizer, NORMALIZE_CLEAN_TEXT, error));
    if (json_bool_or(value, "handle_chinese_chars", true))
        TRY(add_kind(tokenizer, NORMALIZE_SPACE_CJK, error));
    if (json_bool_or(value, "strip_accents", lowercase)) {
        TRY(add_kind(tokenizer, NORMALIZE_NFD, error));
        TRY(add_kind(tokenizer, NORMALIZE_DROP_NONSPACING, error));
    }
    return lowercase ? add_kind(tokenizer, NORMALIZE_LOWER, error) : STATUS_OK;
}

static Status load_with_text(Tokenizer *tokenizer, const JsonValue *value, StrView type,
                             Error *error) {
    NormalizeStep step = {.kind = NORMALIZE_REPLACE};
    StrView text;
    if (sv_equal_cstr(type, "Replace")) {
        TRY(pattern_load(tokenizer, &step.pattern, json_get(value, "pattern"), error));
        TRY(json_need_string(&text, value, "content", "Replace", error));
        TRY(tokenizer_keep(tokenizer, &step.content, text, error));
    } else if (sv_equal_cstr(type, "Prepend")) {
        step.kind = NORMALIZE_PREPEND;
        TRY(json_need_string(&text, value, "prepend", "Prepend", error));
        TRY(tokenizer_keep(tokenizer, &step.content, text, error));
    } else {
        step.kind = NORMALIZE_PRECOMPILED;
        TRY(json_need_string(&text, value, "precompiled_charsmap", "Precompiled", error));
        TRY(charsmap_load(tokenizer, &step.charsmap, text, error));
    }
    return add_step(tokenizer, step, error);
}

static Status load_value(Tokenizer *tokenizer, const JsonValue *value, int depth, Error *error) {
    static const struct {
        const char *type;
        NormalizeKind kind;
    } plain[] = {
        {"Lowercase", NORMALIZE_LOWER}, {"NFD", NORMALIZE_NFD},
        {"NFC", NORMALIZE_NFC},         {"NFKD", NORMALIZE_NFKD},
        {"NFKC", NORMALIZE_NFKC},       {"StripAccents", NORMALIZE_DROP_COMBINING},
        {"Nmt", NORMALIZE_NMT},         {"ByteLevel", NORMALIZE_BYTE_LEVEL},
    };
    StrView type = sv(json_type_name(value));
    for (size_t i = 0; i < sizeof plain / sizeof plain[0]; i++)
        if (sv_equal_cstr(type, plain[i].type))
            return add_kind(tokenizer, plain[i].kind, error);
    if (sv_equal_cstr(type, "BertNormalizer"))
        return load_bert(tokenizer, value, error);
    if (sv_equal_cstr(type, "Strip"))
        return add_step(tokenizer,
                        (NormalizeStep){.kind = NORMALIZE_STRIP,
                                        .left = json_bool_or(value, "strip_left", false),
                                        .right = json_bool_or(value, "strip_right", false)},
                        error);
    if (sv_equal_cstr(type, "Replace") || sv_equal_cstr(type, "Prepend") ||
        sv_equal_cstr(type, "Precompiled"))
        return load_with_text(tokenizer, value, type, error);
    if (sv_equal_cstr(type, "Sequence") && depth < PIPELINE_MAX_DEPTH) {
        const JsonValue *list = json_get(value, "normalizers");
        for (size_t i = 0; i < json_len(list); i++)
            TRY(load_value(tokenizer, json_at(list, i), depth + 1, error));
        return STATUS_OK;
    }
    return error_set(error, STATUS_UNSUPPORTED, "normalizer \"%.64s\" is not supported", type.ptr);
}

Status normalize_load(Tokenizer *tokenizer, const JsonValue *value, Error *error) {
    tokenizer->normalizer =
        arena_alloc_array(&tokenizer->arena, PIPELINE_MAX_STEPS, sizeof *tokenizer->normalizer);
    if (!tokenizer->normalizer)
        return error_out_of_memory(error, PIPELINE_MAX_STEPS * sizeof *tokenizer->normalizer);
    if (json_kind(value) == JSON_ABSENT || json_kind(value) == JSON_NULL)
        return STATUS_OK;
    return load_value(tokenizer, value, 0, error);
}
