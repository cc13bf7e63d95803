// Regular expressions through pcre2, whose only address this is. Patterns are rewritten first:
// every class and set becomes an explicit list of the code points that the library's engine puts
// into it. What would not mean the same in both engines is refused.
#include "text/regex.h"

#include "base/memory.h"
#include "text/unicode.h"

#define PCRE2_CODE_UNIT_WIDTH 8
#include <pcre2.h>

enum {
    REGEX_MAX_PATTERN = 1 << 14,
    REGEX_MAX_REWRITTEN = 1 << 20,
    REGEX_MAX_STEPS = 1 << 24,
    REGEX_STACK_MIN = 32 << 10,
    REGEX_STACK_MAX = 8 << 20,
};

struct Regex {
    pcre2_general_context *general; // allocates through base/memory.h
    pcre2_code *code;
    bool has_jit;
};

struct RegexMatcher {
    const Regex *regex;
    pcre2_match_data *data;
    pcre2_match_context *context;
    pcre2_jit_stack *stack;
};

static void *allocate(size_t size, void *ctx) {
    (void)ctx;
    return mem_alloc(size);
}

static void release(void *block, void *ctx) {
    (void)ctx;
    mem_free(block);
}

typedef struct Rewriter {
    StrView pattern;
    size_t pos;
    Buf *out;
    Error *error;
} Rewriter;

static Status unsupported(const Rewriter *rewriter, const char *what) {
    StrView rest =
        sv_n(rewriter->pattern.ptr + rewriter->pos, rewriter->pattern.len - rewriter->pos);
    return error_set(rewriter->error, STATUS_UNSUPPORTED, "regular expression: %s at \"%.*s\"",
                     what, (int)(rest.len < 40 ? rest.len : 40), rest.ptr);
}

static char peek(const Rewriter *rewriter, size_t ahead) {
    size_t at = rewriter->pos + ahead;
    return at < rewriter->pattern.len ? rewriter->pattern.ptr[at] : 0;
}

static void append_set(Buf *out, const RangeList *list) {
    buf_append_byte(out, '[');
    for (size_t i = 0; i < list->count; i++) {
        UnicodeRange range = list->items[i];
        // A range over the surrogates would be refused by the engine.
        if (range.first < 0xd800 && range.last > 0xdfff) {
            buf_printf(out, "\\x{%x}-\\x{d7ff}", range.first);
            range.first = 0xe000;
        }
        if (range.first == range.last)
            buf_printf(out, "\\x{%x}", range.first);
        else
            buf_printf(out, "\\x{%x}-\\x{%x}", range.first, range.last);
    }
    buf_append_byte(out, ']');
}

// Adds the class that starts at the backslash under the cursor and steps over it; *is_class is
// false, and nothing is done, when the escape is no class.
static Status take_class(Rewriter *rewriter, RangeList *list, bool in_set, bool *is_class) {
    char kind = peek(rewriter, 1);
    char name[32];
    size_t len = 1, skip = 2;
    bool negated = kind == 'P' || kind == 'D' || kind == 'W' || kind == 'S';
    *is_class = negated || kind == 'p' || kind == 'd' || kind == 'w' || kind == 's';
    if (!*is_class)
        return STATUS_OK;
    name[0] = (char)(kind | 0x20);
    if (kind == 'p' || kind == 'P') {
        bool in_braces = peek(rewriter, 2) == '{';
        size_t at = in_braces ? 3 : 2;
        if (in_braces && peek(rewriter, at) == '^') {
            negated = !negated;
            at++;
        }
        len = 0;
        for (char c = peek(rewriter, at); c != 0 && c != '}' && len < sizeof name; at++) {
            name[len++] = c;
            c = in_braces ? peek(rewriter, at + 1) : 0;
        }
        if (in_braces && peek(rewriter, at) != '}')
            return unsupported(rewriter, "unknown class");
        skip = at + (in_braces ? 1 : 0);
    }
    RangeList own = {.count = 0};
    bool is_known = range_list_add_class(&own, sv_n(name, len), in_set);
    range_list_finish(&own, negated);
    for (size_t i = 0; i < own.count; i++)
        range_list_add(list, own.items[i].first, own.items[i].last);
    list->out_of_memory |= own.out_of_memory;
    mem_free(own.items);
    if (!is_known)
        return unsupported(rewriter, "unknown class");
    rewriter->pos += skip;
    return STATUS_OK;
}

static bool take_hex(Rewriter *rewriter, size_t skip, size_t most, uint32_t *out) {
    size_t at = skip, digits = 0;
    bool in_braces = peek(rewriter, at) == '{';
    at += in_braces;
    most = in_braces ? 6 : most;
    for (*out = 0; digits < most; digits++, at++) {
        char c = peek(rewriter, at), low = (char)(c | 0x20);
        if (c >= '0' && c <= '9')
            *out = *out << 4 | (uint32_t)(c - '0');
        else if (low >= 'a' && low <= 'f')
            *out = *out << 4 | (uint32_t)(low - 'a' + 10);
        else
            break;
    }
    // \u wants all four digits, \x is content with one.
    if (digits < (most == 4 ? most : 1) || (in_braces && peek(rewriter, at) != '}') ||
        *out > 0x10ffff)
        return false;
    rewriter->pos += at + in_braces;
    return true;
}

// Reads one code point of a set, plain or escaped.
static Status take_member(Rewriter *rewriter, uint32_t *out) {
    static const char from[] = "nrtfvae", to[] = "\n\r\t\f\v\a\x1b";
    char kind = peek(rewriter, 1);
    if (peek(rewriter, 0) != '\\') {
        *out = utf8_next(rewriter->pattern, &rewriter->pos);
        return STATUS_OK;
    }
    if (kind == 'x' || kind == 'u')
        return take_hex(rewriter, 2, kind == 'x' ? 2 : 4, out)
                   ? STATUS_OK
                   : unsupported(rewriter, "bad code point");
    const char *known = kind ? memchr(from, kind, sizeof from - 1) : NULL;
    bool is_letter = (kind >= '0' && kind <= '9') || ((kind | 0x20) >= 'a' && (kind | 0x20) <= 'z');
    if (!known && (is_letter || kind == 0))
        return unsupported(rewriter, "unknown escape");
    rewriter->pos++;
    *out = known ? (uint32_t)to[known - from] : utf8_next(rewriter->pattern, &rewriter->pos);
    rewriter->pos += known != NULL;
    return STATUS_OK;
}

// Reads the members of a set up to its closing bracket, with the cursor behind the opening one.
static Status take_members(Rewriter *rewriter, RangeList *list) {
    for (bool is_first = true; is_first || peek(rewriter, 0) != ']'; is_first = false) {
        char c = peek(rewriter, 0);
        bool is_class = false;
        uint32_t first, last;
        if (rewriter->pos >= rewriter->pattern.len)
            return unsupported(rewriter, "unclosed set");
        if (c == '[' || (c == '&' && peek(rewriter, 1) == '&'))
            return unsupported(rewriter, "set inside a set");
        if (c == '\\')
            TRY(take_class(rewriter, list, true, &is_class));
        if (is_class)
            continue;
        TRY(take_member(rewriter, &first));
        last = first;
        if (peek(rewriter, 0) == '-' && peek(rewriter, 1) != ']' && peek(rewriter, 1) != 0) {
            rewriter->pos++;
            TRY(take_member(rewriter, &last));
        }
        if (last < first)
            return unsupported(rewriter, "empty range");
        range_list_add(list, first, last);
    }
    return STATUS_OK;
}

static Status rewrite_set(Rewriter *rewriter, RangeList *list) {
    rewriter->pos++;
    bool negated = peek(rewriter, 0) == '^';
    rewriter->pos += negated;
    TRY(take_members(rewriter, list));
    rewriter->pos++;
    range_list_finish(list, negated);
    append_set(rewriter->out, list);
    return STATUS_OK;
}

static Status rewrite_escape(Rewriter *rewriter, RangeList *list) {
    char kind = peek(rewriter, 1);
    bool is_class;
    uint32_t code_point;
    TRY(take_class(rewriter, list, false, &is_class));
    if (is_class) {
        range_list_finish(list, false);
        append_set(rewriter->out, list);
        return STATUS_OK;
    }
    if (kind == 'u' || kind == 'x') {
        if (!take_hex(rewriter, 2, kind == 'x' ? 2 : 4, &code_point))
            return unsupported(rewriter, "bad code point");
        buf_printf(rewriter->out, "\\x{%x}", code_point);
        return STATUS_OK;
    }
    // They exist in both engines with different meanings, or in one.
    if (kind == 0 || strchr("hHXKRNOyYgkGBbCEQpP", kind))
        return unsupported(rewriter, "unknown escape");
    buf_append(rewriter->out, rewriter->pattern.ptr + rewriter->pos, 2);
    rewriter->pos += 2;
    return STATUS_OK;
}

static Status rewrite(Rewriter *rewriter) {
    while (rewriter->pos < rewriter->pattern.len) {
        char c = peek(rewriter, 0);
        if (c != '\\' && c != '[') {
            buf_append_byte(rewriter->out, c);
            rewriter->pos++;
            continue;
        }
        RangeList list = {.count = 0};
        Status status = c == '[' ? rewrite_set(rewriter, &list) : rewrite_escape(rewriter, &list);
        bool out_of_memory = list.out_of_memory;
        mem_free(list.items);
        TRY(status);
        if (out_of_memory)
            return error_out_of_memory(rewriter->error, sizeof(UnicodeRange));
    }
    return buf_status(rewriter->out, rewriter->error);
}

Status regex_compile(Regex **out, StrView pattern, Error *error) {
    *out = NULL;
    if (pattern.len > REGEX_MAX_PATTERN)
        return error_set(error, STATUS_LIMIT, "regular expression is longer than %d bytes",
                         REGEX_MAX_PATTERN);
    Regex *regex = mem_alloc_zero(1, sizeof *regex);
    if (!regex)
        return error_out_of_memory(error, sizeof *regex);
    Buf rewritten = BUF_INIT(REGEX_MAX_REWRITTEN);
    pcre2_compile_context *compile = NULL;
    Status status = STATUS_OK;
    Rewriter rewriter = {.pattern = pattern, .out = &rewritten, .error = error};
    TRY_DONE(rewrite(&rewriter));
    int code = 0;
    PCRE2_SIZE offset = 0;
    regex->general = pcre2_general_context_create(allocate, release, NULL);
    compile = regex->general ? pcre2_compile_context_create(regex->general) : NULL;
    if (!compile)
        TRY_DONE(error_out_of_memory(error, rewritten.len));
    regex->code =
        pcre2_compile((PCRE2_SPTR)(rewritten.ptr ? rewritten.ptr : ""), rewritten.len,
                      PCRE2_UTF | PCRE2_NO_UTF_CHECK | PCRE2_MULTILINE | PCRE2_NEVER_BACKSLASH_C,
                      &code, &offset, compile);
    if (!regex->code && code == PCRE2_ERROR_HEAP_FAILED)
        TRY_DONE(error_out_of_memory(error, rewritten.len));
    if (!regex->code) {
        char message[128];
        pcre2_get_error_message(code, (PCRE2_UCHAR *)message, sizeof message);
        TRY_DONE(error_set(error, STATUS_UNSUPPORTED, "regular expression \"%.*s\": %s",
                           (int)(pattern.len < 200 ? pattern.len : 200), pattern.ptr, message));
    }
    regex->has_jit = pcre2_jit_compile(regex->code, PCRE2_JIT_COMPLETE) == 0;
    *out = regex;
    regex = NULL;
done:
    pcre2_compile_context_free(compile);
    buf_free(&rewritten);
    regex_free(regex);
    return status;
}

void regex_free(Regex *regex) {
    if (!regex)
        return;
    pcre2_code_free(regex->code);
    pcre2_general_context_free(regex->general);
    mem_free(regex);
}

Status regex_matcher_new(RegexMatcher **out, const Regex *regex, Error *error) {
    RegexMatcher *matcher = mem_alloc_zero(1, sizeof *matcher);
    *out = matcher;
    if (!matcher)
        return error_out_of_memory(error, sizeof *matcher);
    matcher->regex = regex;
    matcher->data = pcre2_match_data_create_from_pattern(regex->code, regex->general);
    matcher->context = pcre2_match_context_create(regex->general);
    if (!matcher->data || !matcher->context) {
        regex_matcher_free(matcher);
        *out = NULL;
        return error_out_of_memory(error, sizeof *matcher);
    }
    pcre2_set_match_limit(matcher->context, REGEX_MAX_STEPS);
    return STATUS_OK;
}

void regex_matcher_free(RegexMatcher *matcher) {
    if (!matcher)
        return;
    pcre2_match_data_free(matcher->data);
    pcre2_match_context_free(matcher->context);
    pcre2_jit_stack_free(matcher->stack);
    mem_free(matcher);
}

static int match(RegexMatcher *matcher, StrView text, size_t from) {
    return pcre2_match(matcher->regex->code, (PCRE2_SPTR)(text.ptr ? text.ptr : ""), text.len, from,
                       PCRE2_NO_UTF_CHECK, matcher->data, matcher->context);
}

// Compiled patterns start on the thread's stack; the few that need more get their own, once.
static bool give_stack(RegexMatcher *matcher) {
    if (matcher->stack)
        return false;
    matcher->stack =
        pcre2_jit_stack_create(REGEX_STACK_MIN, REGEX_STACK_MAX, matcher->regex->general);
    if (matcher->stack)
        pcre2_jit_stack_assign(matcher->context, NULL, matcher->stack);
    return matcher->stack != NULL;
}

Status regex_find(bool *found, size_t *begin, size_t *end, RegexMatcher *matcher, StrView text,
                  size_t from, Error *error) {
    int rc = match(matcher, text, from);
    if (rc == PCRE2_ERROR_JIT_STACKLIMIT && give_stack(matcher))
        rc = match(matcher, text, from);
    *found = rc >= 0;
    if (rc >= 0) {
        const PCRE2_SIZE *bounds = pcre2_get_ovector_pointer(matcher->data);
        // \K may put the start behind the end; such a pattern has no place in a tokenizer.
        if (bounds[0] > bounds[1] || bounds[0] < from || bounds[1] > text.len)
            return error_set(error, STATUS_UNSUPPORTED, "regular expression moves its own start");
        *begin = bounds[0];
        *end = bounds[1];
        return STATUS_OK;
    }
    if (rc == PCRE2_ERROR_NOMATCH)
        return STATUS_OK;
    if (rc == PCRE2_ERROR_NOMEMORY)
        return error_out_of_memory(error, 0);
    return error_set(error, STATUS_LIMIT,
                     "a regular expression of the tokenizer takes too long on this text");
}
