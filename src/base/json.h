// JSON in and out. Reading: one checking pass of our own, numeric arrays straight into memory, the
// rest into a tree kept by jansson, whose only address is json.c. Writing: a streaming writer of
// our own.
#ifndef GPUX_BASE_JSON_H
#define GPUX_BASE_JSON_H

#include "base/status.h"
#include "base/str.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { JSON_MAX_DEPTH = 64 };

// ---- Reading a tree ----

typedef struct JsonDoc JsonDoc;     // owns the tree
typedef struct JsonValue JsonValue; // borrowed from its JsonDoc; NULL stands for "absent"

typedef enum JsonKind {
    JSON_ABSENT, // what json_kind(NULL) answers
    JSON_NULL,
    JSON_BOOL,
    JSON_INT,
    JSON_REAL,
    JSON_STRING,
    JSON_ARRAY,
    JSON_OBJECT,
} JsonKind;

enum {
    JSON_REJECT_DUPLICATES = 1, // files that must be canonical, such as a safetensors header
};

// Parses one JSON text. Refuses invalid UTF-8, depth over JSON_MAX_DEPTH, trailing text, NaN and
// Infinity. Errors are STATUS_CORRUPT with message "<what>: line L column C" and the byte offset;
// STATUS_LIMIT for depth. Integers outside int64 are read as JSON_REAL; of equal names the last
// counts.
Status json_parse(JsonDoc **out, StrView text, int flags, Error *error);
Status json_parse_file(JsonDoc **out, const char *path, size_t max_bytes, int flags, Error *error);
void json_free(JsonDoc *doc);
const JsonValue *json_root(const JsonDoc *doc);

// Getters accept NULL and wrong kinds, and then answer NULL, false or 0.
JsonKind json_kind(const JsonValue *value);
const JsonValue *json_get(const JsonValue *object, const char *key);
size_t json_len(const JsonValue *value); // members of an array or object
const JsonValue *json_at(const JsonValue *array, size_t index);
// Members in the order of the file: start with iterator 0; false at the end.
bool json_next(const JsonValue *object, size_t *iterator, StrView *key, const JsonValue **value);
bool json_as_string(StrView *out, const JsonValue *value); // may contain NUL bytes
bool json_as_i64(int64_t *out, const JsonValue *value);    // JSON_INT only
bool json_as_f64(double *out, const JsonValue *value);     // JSON_INT or JSON_REAL
bool json_as_bool(bool *out, const JsonValue *value);
// With a default for "absent or of another kind".
int64_t json_i64_or(const JsonValue *object, const char *key, int64_t fallback);
double json_f64_or(const JsonValue *object, const char *key, double fallback);
bool json_bool_or(const JsonValue *object, const char *key, bool fallback);
const char *json_cstr_or(const JsonValue *object, const char *key, const char *fallback);

// ---- Scanning a request without building a tree ----

typedef struct JsonSpan {
    StrView key;  // raw text between the quotes for members of an object; empty for elements
    StrView text; // the value's bytes
    bool is_numeric_array; // nested arrays of numbers, true and false only
} JsonSpan;

typedef struct JsonScan {
    JsonKind kind; // of the whole text: JSON_OBJECT or JSON_ARRAY have spans, others none
    JsonSpan *spans;
    size_t count;
} JsonScan;

// Checks UTF-8, syntax and depth of the whole text and notes the byte range of each top-level
// member. Views point into `text`. Free with json_scan_free. Errors as json_parse, plus
// STATUS_OUT_OF_MEMORY.
Status json_scan(JsonScan *out, StrView text, Error *error);
void json_scan_free(JsonScan *scan);

// Integers and booleans (0 and 1) count as integers. "[]" has rank 1 and no elements, all_integers
// true and all_bools false.
//
// A nested numeric array (a span with is_numeric_array, or a single number) read into doubles and
// int64 at once without a tree.
typedef struct JsonNumbers {
    int rank;         // 0 for a scalar, at most 8
    int64_t shape[8]; // rectangular
    size_t count;
    double *reals;     // always filled
    int64_t *integers; // filled, and exact, only when all_integers
    bool all_integers;
    bool all_bools;
} JsonNumbers;

// STATUS_INVALID "not rectangular" or rank over 8; STATUS_CORRUPT on syntax. Free with
// json_numbers_free.
Status json_read_numbers(JsonNumbers *out, StrView text, Error *error);
void json_numbers_free(JsonNumbers *numbers);

// ---- Writing ----

// Streams JSON into a Buf. indent 0 = compact. Commas, newlines and escapes are the writer's job.
typedef struct JsonWriter {
    Buf *out;
    int indent;
    int depth;
    uint64_t has_members; // one bit per open level
    uint64_t is_flat;     // one bit per open level: written on one line
    bool after_key;
} JsonWriter;

// Errors show in out->failed (buf_status); more than 64 open levels are STATUS_LIMIT.
JsonWriter json_writer(Buf *out, int indent);
void json_begin_object(JsonWriter *writer);
void json_end_object(JsonWriter *writer);
void json_begin_array(JsonWriter *writer);
void json_begin_flat_array(JsonWriter *writer); // on one line even when indenting: numbers
void json_end_array(JsonWriter *writer);
void json_key(JsonWriter *writer, const char *key);
void json_key_sv(JsonWriter *writer, StrView key);
void json_write_string(JsonWriter *writer, StrView text);   // invalid UTF-8 becomes U+FFFD
void json_write_cstr(JsonWriter *writer, const char *text); // NULL writes null
void json_write_i64(JsonWriter *writer, int64_t number);
void json_write_u64(JsonWriter *writer, uint64_t number);
void json_write_f64(JsonWriter *writer,
                    double number); // shortest that round-trips; non-finite: null
void json_write_f32(JsonWriter *writer, float number); // shortest that round-trips as float32
void json_write_fixed(JsonWriter *writer, double number, int decimals); // size_mb: 2 decimals
void json_write_bool(JsonWriter *writer, bool is_true);
void json_write_null(JsonWriter *writer);
void json_write_value(JsonWriter *writer, const JsonValue *value); // a parsed subtree
// A parsed object without the member of this name (NULL: whole).
void json_write_without(JsonWriter *writer, const JsonValue *object, const char *key);

#endif
