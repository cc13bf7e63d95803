// Patterns of Replace and Split: a literal text or a regular expression.
#include "text/pipeline.h"

Status pattern_load(Tokenizer *tokenizer, Pattern *out, const JsonValue *value, Error *error) {
    StrView text;
    *out = (Pattern){.regex = NULL};
    if (json_as_string(&text, json_get(value, "String"))) {
        if (text.len == 0)
            return error_set(error, STATUS_UNSUPPORTED, "empty pattern is not supported");
        return tokenizer_keep(tokenizer, &out->text, text, error);
    }
    if (!json_as_string(&text, json_get(value, "Regex")))
        return error_set(error, STATUS_CORRUPT, "pattern is neither String nor Regex");
    TRY(tokenizer_keep(tokenizer, &out->text, text, error));
    return pattern_compile(tokenizer, out, error);
}

Status pattern_compile(Tokenizer *tokenizer, Pattern *pattern, Error *error) {
    Regex **regexes = mem_realloc_array(tokenizer->regexes, tokenizer->regex_count + 1,
                                        sizeof *tokenizer->regexes);
    if (!regexes)
        return error_out_of_memory(error, sizeof *regexes);
    tokenizer->regexes = regexes;
    TRY(regex_compile(&pattern->regex, pattern->text, error));
    regexes[tokenizer->regex_count++] = pattern->regex;
    return STATUS_OK;
}

static Status each_literal(StrView literal, StrView text, PatternMatch *match, void *ctx) {
    size_t pos = 0;
    while (literal.len <= text.len - pos) {
        const char *hit = memmem(text.ptr + pos, text.len - pos, literal.ptr, literal.len);
        if (!hit)
            break;
        size_t begin = (size_t)(hit - text.ptr);
        TRY(match(ctx, begin, begin + literal.len));
        pos = begin + literal.len;
    }
    return STATUS_OK;
}

// An empty match right behind the previous one is skipped, and the search moves on by a code point.
static Status each_regex(RegexMatcher *matcher, StrView text, PatternMatch *match, void *ctx,
                         Error *error) {
    size_t from = 0, last_end = SIZE_MAX;
    while (from <= text.len) {
        bool found;
        size_t begin, end;
        TRY(regex_find(&found, &begin, &end, matcher, text, from, error));
        if (!found)
            break;
        if (begin == end && begin == last_end) {
            from += from < text.len ? utf8_lead_len(text.ptr[from]) : 1;
            continue;
        }
        TRY(match(ctx, begin, end));
        from = last_end = end;
    }
    return STATUS_OK;
}

Status pattern_each(const Pattern *pattern, StrView text, PatternMatch *match, void *ctx,
                    Error *error) {
    if (text.len == 0)
        return STATUS_OK;
    if (!pattern->regex)
        return each_literal(pattern->text, text, match, ctx);
    RegexMatcher *matcher;
    TRY(regex_matcher_new(&matcher, pattern->regex, error));
    Status status = each_regex(matcher, text, match, ctx, error);
    regex_matcher_free(matcher);
    return status;
}
