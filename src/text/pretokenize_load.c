// Pre-tokenizers from tokenizer.json. Sequences are flattened; a regular expression that is one of
// the well-known ones becomes its hand-written scanner.
#include "text/pipeline.h"

static Status add_step(Tokenizer *tokenizer, PreTokenizeStep step, Error *error) {
    if (tokenizer->pretokenizer_count == PIPELINE_MAX_STEPS)
        return error_set(error, STATUS_LIMIT, "pre-tokenizer has more than %d steps",
                         PIPELINE_MAX_STEPS);
    tokenizer->pretokenizer[tokenizer->pretokenizer_count++] = step;
    return STATUS_OK;
}

static Status load_behavior(SplitBehavior *out, const JsonValue *value, const char *fallback,
                            Error *error) {
    static const char *const names[] = {"Removed", "Isolated", "MergedWithPrevious",
                                        "MergedWithNext", "Contiguous"};
    const char *name = json_cstr_or(value, "behavior", fallback);
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        if (name && strcmp(name, names[i]) == 0) {
            *out = (SplitBehavior)i;
            return STATUS_OK;
        }
    }
    return error_set(error, STATUS_CORRUPT, "pre-tokenizer: unknown behavior \"%.40s\"",
                     name ? name : "");
}

// The patterns of GPT-2, GPT-4, Llama 3 and Qwen 2 as their files write them.
static const struct {
    const char *pattern;
    PreTokenizeKind kind;
    uint32_t max_digits;
} KNOWN_PATTERNS[] = {
    {"'s|'t|'re|'ve|'m|'ll|'d| ?\\p{L}+| ?\\p{N}+| ?[^\\s\\p{L}\\p{N}]+|\\s+(?!\\S)|\\s+",
     PRETOKENIZE_GPT2, 0},
    {"'(?:[sdmt]|ll|ve|re)| ?\\p{L}+| ?\\p{N}+| ?[^\\s\\p{L}\\p{N}]+|\\s+(?!\\S)|\\s+",
     PRETOKENIZE_GPT2, 0},
    {"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\\r\\n\\p{L}\\p{N}]?\\p{L}+|\\p{N}{1,3}| "
     "?[^\\s\\p{L}\\p{N}]+[\\r\\n]*|\\s*[\\r\\n]+|\\s+(?!\\S)|\\s+",
     PRETOKENIZE_CL100K, 3},
    {"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\\r\\n\\p{L}\\p{N}]?\\p{L}+|\\p{N}| "
     "?[^\\s\\p{L}\\p{N}]+[\\r\\n]*|\\s*[\\r\\n]+|\\s+(?!\\S)|\\s+",
     PRETOKENIZE_CL100K, 1},
};

static Status load_split(Tokenizer *tokenizer, const JsonValue *value, Error *error) {
    PreTokenizeStep step = {.kind = PRETOKENIZE_PATTERN,
                            .invert = json_bool_or(value, "invert", false)};
    TRY(load_behavior(&step.behavior, value, NULL, error));
    const JsonValue *pattern = json_get(value, "pattern");
    const char *regex = json_cstr_or(pattern, "Regex", "");
    for (size_t i = 0; i < sizeof KNOWN_PATTERNS / sizeof KNOWN_PATTERNS[0]; i++) {
        // Removed matches, or removed gaps of a pattern that leaves none, are another matter.
        bool keeps_all =
            step.invert ? step.behavior == SPLIT_REMOVED : step.behavior == SPLIT_ISOLATED;
        if (strcmp(regex, KNOWN_PATTERNS[i].pattern) == 0 && keeps_all) {
            step.kind = KNOWN_PATTERNS[i].kind;
            step.length = KNOWN_PATTERNS[i].max_digits;
            return add_step(tokenizer, step, error);
        }
    }
    TRY(pattern_load(tokenizer, &step.pattern, pattern, error));
    return add_step(tokenizer, step, error);
}

static Status load_byte_level(Tokenizer *tokenizer, const JsonValue *value, Error *error) {
    if (json_bool_or(value, "add_prefix_space", true))
        TRY(add_step(tokenizer, (PreTokenizeStep){.kind = PRETOKENIZE_PREFIX_SPACE}, error));
    if (json_bool_or(value, "use_regex", true))
        TRY(add_step(tokenizer, (PreTokenizeStep){.kind = PRETOKENIZE_GPT2}, error));
    return add_step(tokenizer, (PreTokenizeStep){.kind = PRETOKENIZE_BYTES}, error);
}

static Status load_metaspace(Tokenizer *tokenizer, const JsonValue *value, Error *error) {
    PreTokenizeStep step = {.kind = PRETOKENIZE_METASPACE,
                            .behavior = SPLIT_MERGED_WITH_NEXT,
                            .split = json_bool_or(value, "split", true)};
    TRY(json_need_char(&step.code_point, value, "replacement", "Metaspace", error));
    const char *scheme = json_cstr_or(value, "prepend_scheme", "always");
    step.prepend = strcmp(scheme, "never") == 0   ? PREPEND_NEVER
                   : strcmp(scheme, "first") == 0 ? PREPEND_FIRST
                                                  : PREPEND_ALWAYS;
    // The older spelling; only with scheme "never" does the library accept a false one.
    if (!json_bool_or(value, "add_prefix_space", true))
        step.prepend = PREPEND_NEVER;
    return add_step(tokenizer, step, error);
}

static Status load_value(Tokenizer *tokenizer, const JsonValue *value, int depth, Error *error) {
    StrView type = sv(json_type_name(value));
    PreTokenizeStep step = {.kind = PRETOKENIZE_CLASS, .behavior = SPLIT_REMOVED};
    if (sv_equal_cstr(type, "Sequence") && depth < PIPELINE_MAX_DEPTH) {
        const JsonValue *list = json_get(value, "pretokenizers");
        for (size_t i = 0; i < json_len(list); i++)
            TRY(load_value(tokenizer, json_at(list, i), depth + 1, error));
        return STATUS_OK;
    }
    if (sv_equal_cstr(type, "Split"))
        return load_split(tokenizer, value, error);
    if (sv_equal_cstr(type, "ByteLevel"))
        return load_byte_level(tokenizer, value, error);
    if (sv_equal_cstr(type, "Metaspace"))
        return load_metaspace(tokenizer, value, error);
    if (sv_equal_cstr(type, "BertPreTokenizer")) {
        step.kind = PRETOKENIZE_BERT;
    } else if (sv_equal_cstr(type, "Whitespace")) {
        step.kind = PRETOKENIZE_WORDS;
    } else if (sv_equal_cstr(type, "WhitespaceSplit")) {
        step.class_bits = CLASS_WHITESPACE;
    } else if (sv_equal_cstr(type, "Punctuation")) {
        step.class_bits = CLASS_PUNCTUATION;
        TRY(load_behavior(&step.behavior, value, "Isolated", error));
    } else if (sv_equal_cstr(type, "Digits")) {
        step.class_bits = CLASS_NUMERIC;
        step.behavior =
            json_bool_or(value, "individual_digits", false) ? SPLIT_ISOLATED : SPLIT_CONTIGUOUS;
    } else if (sv_equal_cstr(type, "CharDelimiterSplit")) {
        step.kind = PRETOKENIZE_DELIMITER;
        TRY(json_need_char(&step.code_point, value, "delimiter", "CharDelimiterSplit", error));
    } else if (sv_equal_cstr(type, "FixedLength")) {
        int64_t length = json_i64_or(value, "length", 5);
        if (length < 1 || length > PIPELINE_MAX_TEXT)
            return error_set(error, STATUS_CORRUPT, "pre-tokenizer: length out of range");
        step.kind = PRETOKENIZE_FIXED_LENGTH;
        step.length = (uint32_t)length;
    } else {
        return error_set(error, STATUS_UNSUPPORTED, "pre-tokenizer \"%.64s\" is not supported",
                         type.ptr);
    }
    return add_step(tokenizer, step, error);
}

Status pretokenize_load(Tokenizer *tokenizer, const JsonValue *value, Error *error) {
    tokenizer->pretokenizer =
        arena_alloc_array(&tokenizer->arena, PIPELINE_MAX_STEPS, sizeof *tokenizer->pretokenizer);
    if (!tokenizer->pretokenizer)
        return error_out_of_memory(error, PIPELINE_MAX_STEPS * sizeof *tokenizer->pretokenizer);
    if (json_kind(value) == JSON_ABSENT || json_kind(value) == JSON_NULL)
        return STATUS_OK;
    return load_value(tokenizer, value, 0, error);
}
