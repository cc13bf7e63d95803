// The tree side of JSON: the only file that includes jansson.
//
// Text reaches jansson only after json_check accepted it, so a refusal can only mean a duplicate
// name or an exhausted memory. A JsonValue is a json_t under another name.
#include "base/json.h"

#include "base/file.h"
#include "base/json_scan.h"
#include "base/memory.h"

#include <pthread.h>

// jansson's enumerators carry our names; give its own another one.
#define JSON_OBJECT JANSSON_OBJECT
#define JSON_ARRAY JANSSON_ARRAY
#define JSON_STRING JANSSON_STRING
#define JSON_REAL JANSSON_REAL
#define JSON_NULL JANSSON_NULL
#include <jansson.h>
#undef JSON_OBJECT
#undef JSON_ARRAY
#undef JSON_STRING
#undef JSON_REAL
#undef JSON_NULL
#undef JSON_REJECT_DUPLICATES // a macro of jansson's, an enumerator of ours

struct JsonDoc {
    json_t *root;
};

// Process-wide because jansson's hooks are; set once, before the first tree.
static pthread_once_t hooks_once = PTHREAD_ONCE_INIT;

static void set_hooks(void) {
    json_set_alloc_funcs(mem_alloc, mem_free);
}

static json_t *unwrap(const JsonValue *value) {
    return (json_t *)(uintptr_t)value;
}

static const JsonValue *wrap(const json_t *value) {
    return (const JsonValue *)(const void *)value;
}

typedef struct Builder {
    JsonCursor cursor;
    Buf scratch; // a string without its escapes
    bool reject_duplicates;
    Error *error;
} Builder;

static Status no_memory(Builder *b) {
    return error_out_of_memory(b->error, b->cursor.text.len);
}

// *text borrows from the input, or from `scratch`, which it then fills.
static Status plain_string(Builder *b, Buf *scratch, StrView raw, StrView *text) {
    *text = raw;
    if (raw.len == 0 || !memchr(raw.ptr, '\\', raw.len))
        return STATUS_OK;
    buf_clear(scratch);
    json_unescape(scratch, raw);
    TRY(buf_status(scratch, b->error));
    *text = sv_n(scratch->ptr, scratch->len);
    return STATUS_OK;
}

static json_t *build_number(StrView raw) {
    int64_t integer;
    double real = 0;
    if (sv_to_i64(&integer, raw)) // "1.0" and "1e3" are not, and what exceeds int64 is a real
        return json_integer(integer);
    (void)sv_to_f64(&real, raw);
    return json_real(real);
}

static Status build(Builder *b, JsonToken token, StrView raw, json_t **out);

static Status build_array(Builder *b, json_t *array) {
    for (;;) {
        StrView raw = {0};
        JsonToken token = json_cursor_next(&b->cursor, &raw);
        if (token == TOKEN_END_ARRAY)
            return STATUS_OK;
        json_t *element;
        TRY(build(b, token, raw, &element));
        if (json_array_append_new(array, element) != 0)
            return no_memory(b);
    }
}

// `name` is scratch memory for this object's member names.
static Status build_members(Builder *b, json_t *object, Buf *name) {
    for (;;) {
        StrView raw = {0};
        StrView key;
        if (json_cursor_next(&b->cursor, &raw) == TOKEN_END_OBJECT)
            return STATUS_OK;
        size_t offset = b->cursor.pos - raw.len - 2;
        TRY(plain_string(b, name, raw, &key));
        if (b->reject_duplicates && json_object_getn(object, key.ptr, key.len))
            return json_error_at(b->error, STATUS_CORRUPT, b->cursor.text, offset,
                                 "duplicate member name");
        json_t *member;
        JsonToken token = json_cursor_next(&b->cursor, &raw);
        TRY(build(b, token, raw, &member));
        if (json_object_setn_new_nocheck(object, key.ptr, key.len, member) != 0)
            return no_memory(b);
    }
}

static Status build_object(Builder *b, json_t *object) {
    Buf name = BUF_INIT(SIZE_MAX);
    Status status = build_members(b, object, &name);
    buf_free(&name);
    return status;
}

static Status build_string(Builder *b, StrView raw, json_t **out) {
    StrView text;
    TRY(plain_string(b, &b->scratch, raw, &text));
    *out = json_stringn_nocheck(text.ptr, text.len);
    return STATUS_OK;
}

// The value that begins with `token`; *out is NULL on error. Recursion is bounded by
// JSON_MAX_DEPTH.
static Status build(Builder *b, JsonToken token, StrView raw, json_t **out) {
    Status status = STATUS_OK;
    *out = NULL;
    switch (token) {
    case TOKEN_BEGIN_OBJECT:
        *out = json_object();
        status = *out ? build_object(b, *out) : STATUS_OK;
        break;
    case TOKEN_BEGIN_ARRAY:
        *out = json_array();
        status = *out ? build_array(b, *out) : STATUS_OK;
        break;
    case TOKEN_STRING:
        status = build_string(b, raw, out);
        break;
    case TOKEN_NUMBER:
        *out = build_number(raw);
        break;
    case TOKEN_TRUE:
        *out = json_true();
        break;
    case TOKEN_FALSE:
        *out = json_false();
        break;
    case TOKEN_NULL:
        *out = json_null();
        break;
    case TOKEN_END_OBJECT:
    case TOKEN_END_ARRAY:
        break; // never where a value begins in checked text
    }
    if (status == STATUS_OK && !*out)
        return no_memory(b);
    if (status != STATUS_OK) {
        json_decref(*out);
        *out = NULL;
    }
    return status;
}

Status json_parse(JsonDoc **out, StrView text, int flags, Error *error) {
    *out = NULL;
    TRY(json_check(text, error));
    pthread_once(&hooks_once, set_hooks);
    JsonDoc *doc = mem_alloc_zero(1, sizeof *doc);
    if (!doc)
        return error_out_of_memory(error, sizeof *doc);
    Builder builder = {
        .cursor = {.text = text},
        .scratch = BUF_INIT(SIZE_MAX),
        .reject_duplicates = (flags & JSON_REJECT_DUPLICATES) != 0,
        .error = error,
    };
    StrView raw = {0};
    JsonToken token = json_cursor_next(&builder.cursor, &raw);
    Status status = build(&builder, token, raw, &doc->root);
    buf_free(&builder.scratch);
    if (status == STATUS_OK)
        *out = doc;
    else
        mem_free(doc);
    return status;
}

Status json_parse_file(JsonDoc **out, const char *path, size_t max_bytes, int flags, Error *error) {
    *out = NULL;
    Buf text = {0};
    TRY(file_read(&text, path, max_bytes, error));
    Status status = json_parse(out, sv_n(text.ptr, text.len), flags, error);
    buf_free(&text);
    if (status == STATUS_OK)
        return STATUS_OK;
    char shown[ERROR_PATH_SIZE];
    return error_prefix(error, status, "%s", error_path(shown, path));
}

void json_free(JsonDoc *doc) {
    if (!doc)
        return;
    json_decref(doc->root);
    mem_free(doc);
}

const JsonValue *json_root(const JsonDoc *doc) {
    return doc ? wrap(doc->root) : NULL;
}

JsonKind json_kind(const JsonValue *value) {
    if (!value)
        return JSON_ABSENT;
    switch (json_typeof(unwrap(value))) {
    case JANSSON_OBJECT:
        return JSON_OBJECT;
    case JANSSON_ARRAY:
        return JSON_ARRAY;
    case JANSSON_STRING:
        return JSON_STRING;
    case JSON_INTEGER:
        return JSON_INT;
    case JANSSON_REAL:
        return JSON_REAL;
    case JSON_TRUE:
    case JSON_FALSE:
        return JSON_BOOL;
    case JANSSON_NULL:
        return JSON_NULL;
    }
    return JSON_ABSENT;
}

const JsonValue *json_get(const JsonValue *object, const char *key) {
    return json_kind(object) == JSON_OBJECT ? wrap(json_object_get(unwrap(object), key)) : NULL;
}

size_t json_len(const JsonValue *value) {
    switch (json_kind(value)) {
    case JSON_OBJECT:
        return json_object_size(unwrap(value));
    case JSON_ARRAY:
        return json_array_size(unwrap(value));
    default:
        return 0;
    }
}

const JsonValue *json_at(const JsonValue *array, size_t index) {
    return json_kind(array) == JSON_ARRAY ? wrap(json_array_get(unwrap(array), index)) : NULL;
}

bool json_next(const JsonValue *object, size_t *iterator, StrView *key, const JsonValue **value) {
    if (json_kind(object) != JSON_OBJECT)
        return false;
    json_t *members = unwrap(object);
    void *at = *iterator == 0 ? json_object_iter(members)
                              : json_object_iter_next(members, (void *)*iterator);
    if (!at)
        return false;
    *iterator = (size_t)(uintptr_t)at;
    if (key)
        *key = sv_n(json_object_iter_key(at), json_object_iter_key_len(at));
    if (value)
        *value = wrap(json_object_iter_value(at));
    return true;
}

bool json_as_string(StrView *out, const JsonValue *value) {
    if (json_kind(value) != JSON_STRING)
        return false;
    *out = sv_n(json_string_value(unwrap(value)), json_string_length(unwrap(value)));
    return true;
}

bool json_as_i64(int64_t *out, const JsonValue *value) {
    if (json_kind(value) != JSON_INT)
        return false;
    *out = json_integer_value(unwrap(value));
    return true;
}

bool json_as_f64(double *out, const JsonValue *value) {
    JsonKind kind = json_kind(value);
    if (kind != JSON_INT && kind != JSON_REAL)
        return false;
    *out = kind == JSON_INT ? (double)json_integer_value(unwrap(value))
                            : json_real_value(unwrap(value));
    return true;
}

bool json_as_bool(bool *out, const JsonValue *value) {
    if (json_kind(value) != JSON_BOOL)
        return false;
    *out = json_typeof(unwrap(value)) == JSON_TRUE;
    return true;
}

int64_t json_i64_or(const JsonValue *object, const char *key, int64_t fallback) {
    int64_t value;
    return json_as_i64(&value, json_get(object, key)) ? value : fallback;
}

double json_f64_or(const JsonValue *object, const char *key, double fallback) {
    double value;
    return json_as_f64(&value, json_get(object, key)) ? value : fallback;
}

bool json_bool_or(const JsonValue *object, const char *key, bool fallback) {
    bool value;
    return json_as_bool(&value, json_get(object, key)) ? value : fallback;
}

const char *json_cstr_or(const JsonValue *object, const char *key, const char *fallback) {
    StrView text;
    return json_as_string(&text, json_get(object, key)) ? text.ptr : fallback;
}
