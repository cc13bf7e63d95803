// Builds the tree of tree.h, chooses between the two readers, and reads JSON through base/json.
//
// The JSON side walks the checked text span by span instead of a parsed tree: only so are numbers
// kept as written, lines known and duplicate keys seen.
#include "config/tree.h"

#include "base/json.h"

#include <stdio.h>

Status tree_error(Error *error, Status code, int line, int column, const char *format, ...) {
    char what[400];
    va_list args;
    va_start(args, format);
    vsnprintf(what, sizeof what, format, args);
    va_end(args);
    if (column > 0)
        return error_set(error, code, "Invalid YAML in configuration file: %s, line %d column %d",
                         what, line, column);
    return error_set(error, code, "Invalid YAML in configuration file: %s, line %d", what, line);
}

Status tree_add_node(Tree *tree, TreeNode **out, TreeKind kind, int line, Error *error) {
    if (tree->node_count >= TREE_MAX_NODES)
        return tree_error(error, STATUS_LIMIT, line, 0, "more than %d values", TREE_MAX_NODES);
    TreeNode *node = arena_alloc(&tree->arena, sizeof *node);
    if (!node)
        return error_out_of_memory(error, sizeof *node);
    tree->node_count++;
    node->kind = kind;
    node->line = line;
    node->weight = 1;
    node->height = kind == TREE_SCALAR ? 0 : 1;
    *out = node;
    return STATUS_OK;
}

Status tree_add_scalar(Tree *tree, TreeNode **out, StrView text, bool is_plain, int line,
                       Error *error) {
    if (text.len && memchr(text.ptr, 0, text.len))
        return tree_error(error, STATUS_INVALID, line, 0, "found a NUL character in a string");
    TreeNode *node = NULL;
    TRY(tree_add_node(tree, &node, TREE_SCALAR, line, error));
    char *copy = arena_strndup(&tree->arena, text.len ? text.ptr : "", text.len);
    if (!copy)
        return error_out_of_memory(error, text.len);
    node->text = sv_n(copy, text.len);
    node->is_plain = is_plain;
    node->weight += text.len;
    *out = node;
    return STATUS_OK;
}

// The item that counts for `key`, or NULL.
static TreeItem *find_item(const TreeNode *map, StrView key) {
    for (TreeItem *item = map->first; item; item = item->next) {
        if (!item->is_shadowed && sv_equal(item->key, key))
            return item;
    }
    return NULL;
}

const TreeNode *tree_get(const TreeNode *map, StrView key) {
    const TreeItem *item = map->kind == TREE_MAP ? find_item(map, key) : NULL;
    return item ? item->value : NULL;
}

Status tree_add_item(Tree *tree, TreeNode *parent, TreeItem item, Error *error) {
    parent->weight += 1 + item.key.len + item.value->weight;
    if (parent->weight > TREE_MAX_WEIGHT)
        return tree_error(error, STATUS_LIMIT, item.line, 0, "aliases expand to more than %d MB",
                          TREE_MAX_WEIGHT >> 20);
    if (parent->height < item.value->height + 1)
        parent->height = item.value->height + 1;
    if (parent->kind == TREE_MAP) {
        if (parent->count >= TREE_MAX_KEYS)
            return tree_error(error, STATUS_LIMIT, item.line, 0, "more than %d keys in one map",
                              TREE_MAX_KEYS);
        TreeItem *same = find_item(parent, item.key);
        if (same && item.is_merged)
            return STATUS_OK;
        if (same && same->is_merged) {
            item.next = same->next;
            *same = item;
            return STATUS_OK;
        }
        if (same)
            same->is_shadowed = true;
    }
    TreeItem *copy = arena_alloc(&tree->arena, sizeof *copy);
    if (!copy)
        return error_out_of_memory(error, sizeof *copy);
    *copy = item;
    copy->next = NULL;
    if (parent->last)
        parent->last->next = copy;
    else
        parent->first = copy;
    parent->last = copy;
    parent->count++;
    return STATUS_OK;
}

// ---- JSON ----

typedef struct JsonCursor {
    Tree *tree;
    const char *at; // spans come in the order of the text, so lines are counted once
    int line;
} JsonCursor;

static int line_of(JsonCursor *cursor, const char *ptr) {
    for (; cursor->at < ptr; cursor->at++)
        cursor->line += *cursor->at == '\n';
    return cursor->line;
}

// `quoted` is a checked JSON string with its quotes.
static Status add_json_string(JsonCursor *cursor, TreeNode **out, StrView quoted, int line,
                              Error *error) {
    JsonDoc *doc = NULL;
    TRY(json_parse(&doc, quoted, 0, error));
    StrView text = SV("");
    json_as_string(&text, json_root(doc));
    Status status = tree_add_scalar(cursor->tree, out, text, false, line, error);
    json_free(doc);
    return status;
}

static Status add_json_value(JsonCursor *cursor, TreeNode **out, StrView text, Error *error);

static Status add_json_members(JsonCursor *cursor, TreeNode *parent, const JsonScan *scan,
                               Error *error) {
    for (size_t i = 0; i < scan->count; i++) {
        const JsonSpan *span = &scan->spans[i];
        TreeItem item = {.key = SV("")};
        if (parent->kind == TREE_MAP) {
            TreeNode *key = NULL;
            StrView quoted = sv_n(span->key.ptr - 1, span->key.len + 2);
            item.line = line_of(cursor, quoted.ptr);
            TRY(add_json_string(cursor, &key, quoted, item.line, error));
            item.key = key->text;
        }
        TreeNode *value = NULL;
        TRY(add_json_value(cursor, &value, span->text, error));
        item.value = value;
        if (parent->kind == TREE_LIST)
            item.line = value->line;
        TRY(tree_add_item(cursor->tree, parent, item, error));
    }
    return STATUS_OK;
}

static Status add_json_value(JsonCursor *cursor, TreeNode **out, StrView text, Error *error) {
    text = sv_trim(text);
    int line = line_of(cursor, text.ptr);
    if (text.len == 0)
        return tree_error(error, STATUS_INVALID, line, 0, "missing value");
    if (text.ptr[0] == '"')
        return add_json_string(cursor, out, text, line, error);
    if (text.ptr[0] != '{' && text.ptr[0] != '[')
        return tree_add_scalar(cursor->tree, out, text, true, line, error);
    TRY(tree_add_node(cursor->tree, out, text.ptr[0] == '{' ? TREE_MAP : TREE_LIST, line, error));
    JsonScan scan = {0};
    Status status = json_scan(&scan, text, error);
    if (status == STATUS_OK)
        status = add_json_members(cursor, *out, &scan, error);
    json_scan_free(&scan);
    return status;
}

Status tree_parse_json(Tree *tree, StrView text, Error *error) {
    JsonCursor cursor = {.tree = tree, .at = text.ptr, .line = 1};
    TreeNode *root = NULL;
    TRY(add_json_value(&cursor, &root, text, error));
    tree->root = root;
    return STATUS_OK;
}

// ---- Both ----

static Status check_utf8(StrView text, Error *error) {
    size_t bad = 0;
    if (utf8_is_valid(text, &bad))
        return STATUS_OK;
    int line = 1;
    size_t start = 0;
    for (size_t i = 0; i < bad; i++) {
        if (text.ptr[i] == '\n') {
            line++;
            start = i + 1;
        }
    }
    int column = (int)utf8_count(sv_n(text.ptr + start, bad - start)) + 1;
    return tree_error(error, STATUS_INVALID, line, column, "found a byte that is not UTF-8");
}

Status tree_parse(Tree *tree, StrView text, const char *stop_key, Error *error) {
    *tree = (Tree){0};
    if (text.len > TREE_MAX_TEXT)
        return error_set(error, STATUS_LIMIT, "Configuration file is larger than %d MB",
                         TREE_MAX_TEXT >> 20);
    if (sv_starts_with(text, SV("\xEF\xBB\xBF")))
        text = sv_n(text.ptr + 3, text.len - 3);
    TRY(check_utf8(text, error));
    if (!sv_starts_with(text, SV("{")))
        return tree_parse_yaml(tree, text, stop_key, error);

    // A YAML flow map begins like a JSON file, so what JSON refuses may still be good YAML.
    JsonScan scan = {0};
    Error json_error = {0};
    Status status = json_scan(&scan, text, &json_error);
    json_scan_free(&scan);
    if (status == STATUS_OK)
        return tree_parse_json(tree, text, error);
    if (status == STATUS_CORRUPT) {
        status = tree_parse_yaml(tree, text, stop_key, error);
        if (status == STATUS_OK || status == STATUS_OUT_OF_MEMORY)
            return status;
        status = STATUS_INVALID;
    }
    return error_set(error, status, "Invalid JSON in configuration file: %s", json_error.message);
}

void tree_free(Tree *tree) {
    if (!tree)
        return;
    arena_free(&tree->arena);
    *tree = (Tree){0};
}
