// Turns scalars of the tree into typed values for one project, and collects every problem on the
// way.
//
// Inside of config/ only. Knows ${NAME} and number forms, but no key. A function that answers false
// has reported why; running out of memory is remembered in Reader.status and reported once, at the
// end.
#ifndef GPUX_CONFIG_READER_H
#define GPUX_CONFIG_READER_H

#include "config/config.h"
#include "config/tree.h"

// Where we are, as a list on the stack: printed only when something is reported.
typedef struct Path {
    const struct Path *parent;
    StrView key; // empty: `index`
    size_t index;
} Path;

typedef struct Reader {
    Arena *arena; // of the project: strings go here
    ProjectGetenv getenv_fn;
    void *getenv_ctx;
    Diagnostics *diagnostics;
    size_t error_count;
    size_t warning_count;
    size_t expanded; // bytes that came out of ${NAME}
    Status status;   // STATUS_OK or STATUS_OUT_OF_MEMORY
} Reader;

// "inputs[0].type" into text; long paths are cut.
const char *path_format(char *text, size_t size, const Path *path);

// Notes an error and answers false. " (at <path>)" is added when `path` is not NULL.
__attribute__((format(printf, 4, 5))) bool reader_error(Reader *reader, int line, const Path *path,
                                                        const char *format, ...);
__attribute__((format(printf, 3, 4))) void reader_warn(Reader *reader, int line, const char *format,
                                                       ...);

// The process's own environment, as a ProjectGetenv.
const char *reader_getenv(void *ctx, const char *name);

// The scalar with its variables replaced; it may lie in the tree, so it is copied before it is
// kept. `expected` names the type for the message when this is a list or map ("string").
bool reader_scalar(Reader *reader, StrView *out, const TreeNode *node, const Path *path,
                   const char *expected);
// Whether the key counts as not written: null, ~ or nothing.
bool reader_is_null(const TreeNode *node);
bool reader_text(Reader *reader, const char **out, const TreeNode *node, const Path *path);
bool reader_int(Reader *reader, int64_t *out, const TreeNode *node, const Path *path, int64_t min,
                int64_t max);
bool reader_bool(Reader *reader, bool *out, const TreeNode *node, const Path *path);
bool reader_texts(Reader *reader, const char ***out, size_t *count, const TreeNode *node,
                  const Path *path);
// A map as compact JSON; plain scalars become null, bool and numbers as YAML 1.2 core has them.
bool reader_json(Reader *reader, const char **out, const TreeNode *node, const Path *path);

// ---- values.c ----

// One of the words "a|b|c", in any case; `out` gets the listed spelling.
bool reader_choice(Reader *reader, const char **out, const TreeNode *node, const Path *path,
                   const char *choices);
bool reader_memory(Reader *reader, uint64_t *out, const char **text, const TreeNode *node,
                   const Path *path);
bool reader_padding(Reader *reader, const char **out, const TreeNode *node, const Path *path);
bool reader_pair(Reader *reader, int64_t *out, const TreeNode *node, const Path *path, int64_t min,
                 int64_t max);
bool reader_shape(Reader *reader, ProjectPort *port, const TreeNode *node, const Path *path);
bool reader_dtype(Reader *reader, DType *out, const TreeNode *node, const Path *path);
// preprocessing.custom: like reader_json, and the keys that have a meaning are checked.
bool reader_custom(Reader *reader, const char **out, const TreeNode *node, const Path *path);

// ---- Words and numbers ----

bool text_is_bool(bool *out, StrView text); // true false yes no on off, any case
// The null, bool or number that YAML makes of a plain scalar; JSON_STRING for anything else.
JsonKind text_plain_kind(StrView text);

#endif
