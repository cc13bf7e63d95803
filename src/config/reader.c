// Implements reader.h: diagnostics, ${NAME} expansion, typed scalars.
#include "config/reader.h"

#include <stdio.h>
#include <stdlib.h>

enum {
    READER_MAX_ERRORS = 500, // that are kept, of each kind
    READER_MAX_WARNINGS = 500,
    READER_MAX_EXPANDED = 4 << 20,
    READER_MAX_JSON = 16 << 20,
    PATH_MAX_KEY = 64, // bytes of one key that are printed
};

// ---- Problems ----

const char *path_format(char *text, size_t size, const Path *path) {
    const Path *levels[TREE_MAX_DEPTH + 2];
    size_t depth = 0;
    for (; path && depth < sizeof levels / sizeof levels[0]; path = path->parent)
        levels[depth++] = path;
    size_t len = 0;
    text[0] = 0;
    while (depth > 0) {
        const Path *level = levels[--depth];
        int written = 0;
        if (level->key.len == 0)
            written = snprintf(text + len, size - len, "[%zu]", level->index);
        else
            written = snprintf(text + len, size - len, "%s%.*s", len ? "." : "",
                               (int)(level->key.len < PATH_MAX_KEY ? level->key.len : PATH_MAX_KEY),
                               level->key.ptr);
        if (written < 0 || (size_t)written >= size - len)
            break;
        len += (size_t)written;
    }
    return text;
}

// Keys may hold anything, and messages reach terminals: one line of valid UTF-8, nothing invisible.
static const char *keep_clean(Arena *arena, const char *text) {
    Buf buf = BUF_INIT(8192);
    utf8_append_valid(&buf, sv(text));
    for (size_t i = 0; i < buf.len; i++) {
        if ((unsigned char)buf.ptr[i] < 0x20 || buf.ptr[i] == 0x7F)
            buf.ptr[i] = '?';
    }
    const char *copy = buf.failed ? NULL : arena_strndup(arena, buf.len ? buf.ptr : "", buf.len);
    buf_free(&buf);
    return copy;
}

static void add_diagnostic(Reader *reader, DiagnosticKind kind, int line, const char *text) {
    Diagnostics *list = reader->diagnostics;
    bool is_error = kind == DIAGNOSTIC_ERROR;
    size_t *count = is_error ? &reader->error_count : &reader->warning_count;
    if (++*count > (is_error ? READER_MAX_ERRORS : READER_MAX_WARNINGS))
        return;
    // Doubling: the capacity is the next power of two.
    if ((list->count & (list->count - 1)) == 0) {
        size_t capacity = list->count ? list->count * 2 : 1;
        Diagnostic *items = arena_alloc_array(&list->arena, capacity, sizeof *items);
        if (!items) {
            reader->status = STATUS_OUT_OF_MEMORY;
            return;
        }
        if (list->count)
            memcpy(items, list->items, list->count * sizeof *items);
        list->items = items;
    }
    const char *copy = keep_clean(&list->arena, text);
    if (!copy) {
        reader->status = STATUS_OUT_OF_MEMORY;
        return;
    }
    list->items[list->count++] = (Diagnostic){.kind = kind, .line = line, .text = copy};
}

bool reader_error(Reader *reader, int line, const Path *path, const char *format, ...) {
    char text[1024];
    va_list args;
    va_start(args, format);
    int written = vsnprintf(text, 700, format, args);
    va_end(args);
    size_t len = written < 0 ? 0 : strlen(text);
    if (path) {
        char where[256];
        snprintf(text + len, sizeof text - len, " (at %s)", path_format(where, sizeof where, path));
    }
    add_diagnostic(reader, DIAGNOSTIC_ERROR, line, text);
    return false;
}

void reader_warn(Reader *reader, int line, const char *format, ...) {
    char text[1024];
    va_list args;
    va_start(args, format);
    vsnprintf(text, sizeof text, format, args);
    va_end(args);
    add_diagnostic(reader, DIAGNOSTIC_WARNING, line, text);
}

static bool out_of_memory(Reader *reader) {
    reader->status = STATUS_OUT_OF_MEMORY;
    return false;
}

// ---- ${NAME} ----

const char *reader_getenv(void *ctx, const char *name) {
    (void)ctx;
    return getenv(name);
}

static bool is_name_byte(char byte, bool is_first) {
    return byte == '_' || (byte >= 'A' && byte <= 'Z') || (byte >= 'a' && byte <= 'z') ||
           (!is_first && byte >= '0' && byte <= '9');
}

// Appends the value of the reference that begins at text[*pos] with "${" and moves past its "}".
static bool append_variable(Reader *reader, Buf *out, StrView text, size_t *pos, int line,
                            const Path *path) {
    enum { MAX_NAME = 256 };
    char name[MAX_NAME];
    size_t len = 0;
    size_t at = *pos + 2;
    while (at < text.len && len + 1 < MAX_NAME && is_name_byte(text.ptr[at], len == 0))
        name[len++] = text.ptr[at++];
    name[len] = 0;
    bool has_default = at + 1 < text.len && text.ptr[at] == ':' && text.ptr[at + 1] == '-';
    size_t start = has_default ? at + 2 : at;
    const char *close = start < text.len ? memchr(text.ptr + start, '}', text.len - start) : NULL;
    if (len == 0 || !close || (!has_default && close != text.ptr + at))
        return reader_error(reader, line, path,
                            "Malformed variable, use ${NAME} or ${NAME:-default}, and $$ for $");
    size_t end = (size_t)(close - text.ptr);
    const char *value = reader->getenv_fn(reader->getenv_ctx, name);
    if (has_default && (!value || !value[0]))
        buf_append(out, text.ptr + start, end - start);
    else if (value)
        utf8_append_valid(out, sv(value));
    else
        return reader_error(reader, line, path, "Environment variable '%s' is not set", name);
    *pos = end + 1;
    return true;
}

static bool expand(Reader *reader, Buf *out, StrView text, int line, const Path *path) {
    for (size_t pos = 0; pos < text.len;) {
        const char *dollar = memchr(text.ptr + pos, '$', text.len - pos);
        size_t next = dollar ? (size_t)(dollar - text.ptr) : text.len;
        buf_append(out, text.ptr + pos, next - pos);
        pos = next;
        if (pos >= text.len)
            break;
        char after = pos + 1 < text.len ? text.ptr[pos + 1] : 0;
        if (after == '{') {
            if (!append_variable(reader, out, text, &pos, line, path))
                return false;
            continue;
        }
        buf_append_byte(out, '$');
        pos += after == '$' ? 2 : 1;
    }
    return true;
}

bool reader_scalar(Reader *reader, StrView *out, const TreeNode *node, const Path *path,
                   const char *expected) {
    if (node->kind != TREE_SCALAR)
        return reader_error(reader, node->line, path, "Input should be a valid %s", expected);
    *out = node->text;
    if (!node->text.len || !memchr(node->text.ptr, '$', node->text.len))
        return true;
    Buf buf = BUF_INIT(READER_MAX_EXPANDED - reader->expanded);
    bool is_ok = expand(reader, &buf, node->text, node->line, path);
    if (is_ok && buf.failed == STATUS_LIMIT)
        is_ok = reader_error(reader, node->line, path, "Variables expand to more than %d MB",
                             READER_MAX_EXPANDED >> 20);
    if (is_ok) {
        const char *copy = NULL;
        if (!buf.failed)
            copy = arena_strndup(reader->arena, buf.len ? buf.ptr : "", buf.len);
        reader->expanded += buf.len;
        *out = sv_n(copy, buf.len);
        is_ok = copy || out_of_memory(reader);
    }
    buf_free(&buf);
    return is_ok;
}

// ---- Typed scalars ----

static bool is_null_text(StrView text) {
    return text.len == 0 || sv_equal(text, SV("~")) || sv_equal(text, SV("null")) ||
           sv_equal(text, SV("Null")) || sv_equal(text, SV("NULL"));
}

bool reader_is_null(const TreeNode *node) {
    return node->kind == TREE_SCALAR && node->is_plain && is_null_text(node->text);
}

bool text_is_bool(bool *out, StrView text) {
    static const char *const words[] = {"false", "true", "no", "yes", "off", "on"};
    for (size_t i = 0; i < sizeof words / sizeof words[0]; i++) {
        if (sv_equal_nocase(text, sv(words[i]))) {
            *out = i % 2 == 1;
            return true;
        }
    }
    return false;
}

static size_t count_digits(StrView text, size_t pos) {
    size_t start = pos;
    while (pos < text.len && text.ptr[pos] >= '0' && text.ptr[pos] <= '9')
        pos++;
    return pos - start;
}

static size_t sign_len(StrView text) {
    return text.len > 0 && (text.ptr[0] == '-' || text.ptr[0] == '+');
}

static bool is_decimal(StrView text) {
    size_t sign = sign_len(text);
    size_t digits = count_digits(text, sign);
    return digits > 0 && sign + digits == text.len;
}

JsonKind text_plain_kind(StrView text) {
    int64_t integer = 0;
    double real = 0;
    if (is_null_text(text))
        return JSON_NULL;
    if (sv_equal(text, SV("true")) || sv_equal(text, SV("True")) || sv_equal(text, SV("TRUE")) ||
        sv_equal(text, SV("false")) || sv_equal(text, SV("False")) || sv_equal(text, SV("FALSE")))
        return JSON_BOOL;
    if (is_decimal(text)) // too long for an integer: its digits matter more than its type
        return sv_to_i64(&integer, text) ? JSON_INT : JSON_STRING;
    return sv_to_f64(&real, text) ? JSON_REAL : JSON_STRING;
}

bool reader_text(Reader *reader, const char **out, const TreeNode *node, const Path *path) {
    StrView text;
    if (!reader_scalar(reader, &text, node, path, "string"))
        return false;
    *out = arena_strndup(reader->arena, text.ptr, text.len);
    return *out || out_of_memory(reader);
}

bool reader_int(Reader *reader, int64_t *out, const TreeNode *node, const Path *path, int64_t min,
                int64_t max) {
    StrView text;
    if (!reader_scalar(reader, &text, node, path, "integer"))
        return false;
    text = sv_trim(text);
    if (!is_decimal(text))
        return reader_error(reader, node->line, path, "Input should be a valid integer");
    int64_t number = 0;
    if (sv_to_i64(&number, text) && number >= min && number <= max) {
        *out = number;
        return true;
    }
    char where[256];
    path_format(where, sizeof where, path);
    if (max == INT32_MAX)
        return reader_error(reader, node->line, path, "%s must be at least %lld and at most %d",
                            where, (long long)min, INT32_MAX);
    return reader_error(reader, node->line, path, "%s must be between %lld and %lld", where,
                        (long long)min, (long long)max);
}

bool reader_bool(Reader *reader, bool *out, const TreeNode *node, const Path *path) {
    StrView text;
    if (!reader_scalar(reader, &text, node, path, "boolean"))
        return false;
    return text_is_bool(out, sv_trim(text)) ||
           reader_error(reader, node->line, path, "Input should be a valid boolean");
}

bool reader_texts(Reader *reader, const char ***out, size_t *count, const TreeNode *node,
                  const Path *path) {
    if (node->kind != TREE_LIST)
        return reader_error(reader, node->line, path, "Input should be a valid list");
    const char **texts = arena_alloc_array(reader->arena, node->count + 1, sizeof *texts);
    if (!texts)
        return out_of_memory(reader);
    size_t len = 0;
    bool is_ok = true;
    for (const TreeItem *item = node->first; item; item = item->next, len++) {
        Path at = {.parent = path, .index = len};
        is_ok &= reader_text(reader, &texts[len], item->value, &at);
    }
    *out = texts;
    *count = len;
    return is_ok;
}

// ---- Maps that stay free ----

static bool write_json(Reader *reader, JsonWriter *writer, const TreeNode *node, const Path *path);

static bool write_json_scalar(Reader *reader, JsonWriter *writer, const TreeNode *node,
                              const Path *path) {
    StrView text;
    if (!reader_scalar(reader, &text, node, path, "string"))
        return false;
    int64_t integer = 0;
    double real = 0;
    bool is_true = false;
    switch (node->is_plain ? text_plain_kind(text) : JSON_STRING) {
    case JSON_NULL:
        json_write_null(writer);
        break;
    case JSON_BOOL:
        text_is_bool(&is_true, text);
        json_write_bool(writer, is_true);
        break;
    case JSON_INT:
        sv_to_i64(&integer, text);
        json_write_i64(writer, integer);
        break;
    case JSON_REAL:
        sv_to_f64(&real, text);
        json_write_f64(writer, real);
        break;
    default:
        json_write_string(writer, text);
    }
    return true;
}

static bool write_json(Reader *reader, JsonWriter *writer, const TreeNode *node, const Path *path) {
    bool is_ok = true;
    if (node->kind == TREE_SCALAR)
        return write_json_scalar(reader, writer, node, path);
    bool is_map = node->kind == TREE_MAP;
    is_map ? json_begin_object(writer) : json_begin_array(writer);
    size_t index = 0;
    for (const TreeItem *item = node->first; item && !writer->out->failed; item = item->next) {
        Path at = {.parent = path, .key = item->key, .index = index++};
        if (item->is_shadowed) {
            char where[256];
            reader_warn(reader, item->line, "Duplicate key '%s' (the last one wins)",
                        path_format(where, sizeof where, &at));
            continue;
        }
        if (is_map)
            json_key_sv(writer, item->key);
        is_ok &= write_json(reader, writer, item->value, &at);
    }
    is_map ? json_end_object(writer) : json_end_array(writer);
    return is_ok;
}

bool reader_json(Reader *reader, const char **out, const TreeNode *node, const Path *path) {
    if (node->kind != TREE_MAP)
        return reader_error(reader, node->line, path, "Input should be a valid dictionary");
    Buf buf = BUF_INIT(READER_MAX_JSON);
    JsonWriter writer = json_writer(&buf, 0);
    bool is_ok = write_json(reader, &writer, node, path);
    if (is_ok && buf.failed == STATUS_LIMIT)
        is_ok = reader_error(reader, node->line, path, "Too much data");
    if (is_ok) {
        *out = buf.failed ? NULL : arena_strndup(reader->arena, buf.ptr, buf.len);
        is_ok = *out || out_of_memory(reader);
    }
    buf_free(&buf);
    return is_ok;
}
