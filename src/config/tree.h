// What a configuration file says, before anyone knows its keys: scalars, lists and maps with lines.
//
// Inside of config/ only. Scalars stay text, because the key decides their type, not the syntax.
// Nodes reached through aliases are shared, so the tree may be a graph; it never has a cycle, its
// depth is at most TREE_MAX_DEPTH and walking it all visits at most TREE_MAX_WEIGHT bytes.
#ifndef GPUX_CONFIG_TREE_H
#define GPUX_CONFIG_TREE_H

#include "base/memory.h"
#include "base/status.h"
#include "base/str.h"

#include <stdbool.h>
#include <stddef.h>

enum {
    TREE_MAX_TEXT = 1 << 20,   // bytes of a file
    TREE_MAX_WEIGHT = 4 << 20, // bytes with all aliases written out
    TREE_MAX_DEPTH = 64,
    TREE_MAX_NODES = 100000,
    TREE_MAX_KEYS = 4096, // in one map; finding duplicates is quadratic
    TREE_MAX_ANCHORS = 1000,
    TREE_MAX_MERGES = 32, // of maps by "<<", each as costly as writing the map's keys
    TREE_MAX_DIRECTIVES = 16,
};

typedef enum TreeKind {
    TREE_SCALAR,
    TREE_LIST,
    TREE_MAP,
} TreeKind;

typedef struct TreeNode TreeNode;
typedef struct TreeItem TreeItem;

// A member of a map or an element of a list (whose key is empty).
struct TreeItem {
    StrView key;
    int line; // of the key
    const TreeNode *value;
    bool is_shadowed; // the same key comes again below, and wins
    bool is_merged;   // came in through "<<", weaker than a written key
    TreeItem *next;
};

struct TreeNode {
    TreeKind kind;
    int line;
    bool is_plain; // scalar without quotes: may mean null, a number or a bool
    bool is_open;  // its end was not read yet
    StrView text;  // of a scalar, NUL-terminated, without NUL inside
    TreeItem *first;
    TreeItem *last;
    size_t count;  // items, shadowed ones included
    int height;    // levels of lists and maps, 0 for a scalar
    size_t weight; // bytes to write it out
};

typedef struct Tree {
    Arena arena;
    const TreeNode *root; // NULL for an empty document
    size_t node_count;
} Tree;

// Reads JSON (first byte "{") or YAML. `stop_key` (or NULL) ends the reading of YAML once this key
// of the root map was read. STATUS_INVALID "Invalid YAML in configuration file: <what>, line L
// column C", STATUS_LIMIT, or STATUS_OUT_OF_MEMORY. The tree must be freed in each case.
Status tree_parse(Tree *tree, StrView text, const char *stop_key, Error *error);
void tree_free(Tree *tree);

// The value that counts for `key` of a map, or NULL.
const TreeNode *tree_get(const TreeNode *map, StrView key);

// ---- For the readers ----

// "Invalid YAML in configuration file: <what>, line L column C"; column 0 is left out.
__attribute__((format(printf, 5, 6))) Status tree_error(Error *error, Status code, int line,
                                                        int column, const char *format, ...);
// A list or map without items, or a scalar with a copy of `text`.
Status tree_add_node(Tree *tree, TreeNode **out, TreeKind kind, int line, Error *error);
Status tree_add_scalar(Tree *tree, TreeNode **out, StrView text, bool is_plain, int line,
                       Error *error);
// Appends an item whose value is complete to `parent`; sorts out duplicates in a map. `item.key`
// must live as long as the tree.
Status tree_add_item(Tree *tree, TreeNode *parent, TreeItem item, Error *error);

Status tree_parse_yaml(Tree *tree, StrView text, const char *stop_key, Error *error);
Status tree_parse_json(Tree *tree, StrView text, Error *error);

#endif
