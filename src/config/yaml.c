// libyaml events become the tree of tree.h. This is the only file that knows libyaml.
//
// Nothing is expanded: an alias shares its anchor's node, and weight and height of the shared node
// are added to its new parent, so that a file of nested aliases is refused instead of unfolded.
// Nesting stops at the first level too many, since libyaml's own work is quadratic in flow depth.
#include "config/tree.h"

#include <yaml.h>

typedef struct YamlFrame {
    TreeNode *node;
    StrView key; // of the member whose value comes next
    int key_line;
    bool has_key;
    bool is_merge; // the key was a plain "<<"
} YamlFrame;

typedef struct YamlAnchor {
    StrView name;
    const TreeNode *node;
} YamlAnchor;

typedef struct YamlBuilder {
    Tree *tree;
    StrView stop_key; // empty for none
    YamlFrame frames[TREE_MAX_DEPTH];
    int depth;
    YamlAnchor *anchors; // [TREE_MAX_ANCHORS] once there is one
    size_t anchor_count;
    int merge_count;
    bool has_document;
    bool is_done;
    Error *error;
} YamlBuilder;

static int mark_line(yaml_mark_t mark) {
    return (int)mark.line + 1; // a file has at most TREE_MAX_TEXT lines
}

static Status fail_at(YamlBuilder *builder, yaml_mark_t mark, const char *what) {
    return tree_error(builder->error, STATUS_INVALID, mark_line(mark), (int)mark.column + 1, "%s",
                      what);
}

// Merges the members of `value`, a map or a list of maps, into `map`.
static Status merge(YamlBuilder *builder, TreeNode *map, const TreeNode *value, yaml_mark_t mark) {
    if (++builder->merge_count > TREE_MAX_MERGES)
        return fail_at(builder, mark, "too many \"<<\" keys");
    if (value->kind == TREE_LIST) {
        for (const TreeItem *item = value->first; item; item = item->next) {
            if (item->value->kind != TREE_MAP)
                return fail_at(builder, mark, "\"<<\" needs a map or a list of maps");
            TRY(merge(builder, map, item->value, mark));
        }
        return STATUS_OK;
    }
    if (value->kind != TREE_MAP)
        return fail_at(builder, mark, "\"<<\" needs a map or a list of maps");
    for (const TreeItem *item = value->first; item; item = item->next) {
        if (item->is_shadowed)
            continue;
        TreeItem copy = {
            .key = item->key, .line = item->line, .value = item->value, .is_merged = true};
        TRY(tree_add_item(builder->tree, map, copy, builder->error));
    }
    return STATUS_OK;
}

// Hands a complete node to the innermost open list or map, as a key, a value or an element.
static Status attach(YamlBuilder *builder, const TreeNode *node, yaml_mark_t mark) {
    if (builder->depth == 0) {
        builder->tree->root = node;
        return STATUS_OK;
    }
    YamlFrame *frame = &builder->frames[builder->depth - 1];
    if (frame->node->kind == TREE_LIST) {
        TreeItem element = {.key = SV(""), .line = mark_line(mark), .value = node};
        return tree_add_item(builder->tree, frame->node, element, builder->error);
    }
    if (!frame->has_key) {
        if (node->kind != TREE_SCALAR)
            return fail_at(builder, mark, "a key must be a word, not a list or map");
        frame->key = node->text;
        frame->key_line = mark_line(mark);
        frame->has_key = true;
        frame->is_merge = node->is_plain && sv_equal(node->text, SV("<<"));
        return STATUS_OK;
    }
    frame->has_key = false;
    if (frame->is_merge) {
        frame->node->weight += node->weight;
        return merge(builder, frame->node, node, mark);
    }
    TreeItem member = {.key = frame->key, .line = frame->key_line, .value = node};
    builder->is_done =
        builder->depth == 1 && builder->stop_key.len > 0 && sv_equal(frame->key, builder->stop_key);
    return tree_add_item(builder->tree, frame->node, member, builder->error);
}

static Status add_anchor(YamlBuilder *builder, const yaml_char_t *name, const TreeNode *node,
                         yaml_mark_t mark) {
    if (!name)
        return STATUS_OK;
    if (builder->anchor_count >= TREE_MAX_ANCHORS)
        return fail_at(builder, mark, "too many anchors");
    Arena *arena = &builder->tree->arena;
    if (!builder->anchors)
        builder->anchors = arena_alloc_array(arena, TREE_MAX_ANCHORS, sizeof *builder->anchors);
    char *copy = builder->anchors ? arena_strdup(arena, (const char *)name) : NULL;
    if (!copy)
        return error_out_of_memory(builder->error, TREE_MAX_ANCHORS * sizeof(YamlAnchor));
    builder->anchors[builder->anchor_count++] = (YamlAnchor){.name = sv(copy), .node = node};
    return STATUS_OK;
}

// Only the standard tags, which say nothing new here except that "!!str" makes a word a string.
static Status check_tag(YamlBuilder *builder, const yaml_char_t *tag, yaml_mark_t mark,
                        bool *is_string) {
    static const char *const known[] = {"str", "int", "float", "bool", "null", "seq", "map"};
    *is_string = false;
    if (!tag)
        return STATUS_OK;
    StrView text = sv((const char *)tag);
    StrView prefix = SV("tag:yaml.org,2002:");
    if (sv_equal(text, SV("!"))) {
        *is_string = true;
        return STATUS_OK;
    }
    if (sv_starts_with(text, prefix)) {
        StrView name = sv_n(text.ptr + prefix.len, text.len - prefix.len);
        for (size_t i = 0; i < sizeof known / sizeof known[0]; i++) {
            if (sv_equal_cstr(name, known[i])) {
                *is_string = i == 0;
                return STATUS_OK;
            }
        }
    }
    return fail_at(builder, mark, "found a tag that has no meaning here");
}

static Status on_scalar(YamlBuilder *builder, const yaml_event_t *event) {
    bool is_string = false;
    TRY(check_tag(builder, event->data.scalar.tag, event->start_mark, &is_string));
    StrView text = sv_n((const char *)event->data.scalar.value, event->data.scalar.length);
    bool is_plain = event->data.scalar.style == YAML_PLAIN_SCALAR_STYLE && !is_string;
    TreeNode *node = NULL;
    TRY(tree_add_scalar(builder->tree, &node, text, is_plain, mark_line(event->start_mark),
                        builder->error));
    TRY(add_anchor(builder, event->data.scalar.anchor, node, event->start_mark));
    return attach(builder, node, event->start_mark);
}

static Status on_start(YamlBuilder *builder, TreeKind kind, const yaml_char_t *anchor,
                       const yaml_char_t *tag, yaml_mark_t mark) {
    bool is_string = false;
    TRY(check_tag(builder, tag, mark, &is_string));
    if (builder->depth >= TREE_MAX_DEPTH)
        return tree_error(builder->error, STATUS_LIMIT, mark_line(mark), (int)mark.column + 1,
                          "nested deeper than %d levels", TREE_MAX_DEPTH);
    TreeNode *node = NULL;
    TRY(tree_add_node(builder->tree, &node, kind, mark_line(mark), builder->error));
    node->is_open = true;
    TRY(add_anchor(builder, anchor, node, mark));
    builder->frames[builder->depth++] = (YamlFrame){.node = node};
    return STATUS_OK;
}

static Status on_end(YamlBuilder *builder, yaml_mark_t mark) {
    TreeNode *node = builder->frames[--builder->depth].node;
    node->is_open = false;
    return attach(builder, node, mark);
}

static Status on_alias(YamlBuilder *builder, const yaml_event_t *event) {
    StrView name = sv((const char *)event->data.alias.anchor);
    for (size_t i = builder->anchor_count; i > 0; i--) {
        const YamlAnchor *anchor = &builder->anchors[i - 1];
        if (!sv_equal(anchor->name, name))
            continue;
        if (anchor->node->is_open)
            return fail_at(builder, event->start_mark, "found an alias inside its own anchor");
        if (builder->depth + anchor->node->height > TREE_MAX_DEPTH)
            return tree_error(builder->error, STATUS_LIMIT, mark_line(event->start_mark), 0,
                              "nested deeper than %d levels", TREE_MAX_DEPTH);
        return attach(builder, anchor->node, event->start_mark);
    }
    return fail_at(builder, event->start_mark, "found an alias without an anchor");
}

static Status on_event(YamlBuilder *builder, const yaml_event_t *event) {
    switch (event->type) {
    case YAML_DOCUMENT_START_EVENT:
        if (builder->has_document)
            return fail_at(builder, event->start_mark, "found a second document");
        builder->has_document = true;
        return STATUS_OK;
    case YAML_SCALAR_EVENT:
        return on_scalar(builder, event);
    case YAML_ALIAS_EVENT:
        return on_alias(builder, event);
    case YAML_SEQUENCE_START_EVENT:
        return on_start(builder, TREE_LIST, event->data.sequence_start.anchor,
                        event->data.sequence_start.tag, event->start_mark);
    case YAML_MAPPING_START_EVENT:
        return on_start(builder, TREE_MAP, event->data.mapping_start.anchor,
                        event->data.mapping_start.tag, event->start_mark);
    case YAML_SEQUENCE_END_EVENT:
    case YAML_MAPPING_END_EVENT:
        return on_end(builder, event->start_mark);
    case YAML_STREAM_END_EVENT:
        builder->is_done = true;
        return STATUS_OK;
    default:
        return STATUS_OK;
    }
}

// libyaml's own complaint. The reader stage knows only a byte offset, from which the line is
// counted.
static Status parser_error(const yaml_parser_t *parser, StrView text, Error *error) {
    if (parser->error == YAML_MEMORY_ERROR)
        return error_out_of_memory(error, text.len);
    const char *what = parser->problem ? parser->problem : "syntax error";
    size_t line = parser->problem_mark.line + 1;
    size_t column = parser->problem_mark.column + 1;
    if (parser->error == YAML_READER_ERROR) {
        line = 1;
        column = 1;
        for (size_t i = 0; i < parser->problem_offset && i < text.len; i++) {
            bool is_newline = text.ptr[i] == '\n';
            line += is_newline;
            if (is_newline)
                column = 1;
            else if (((unsigned char)text.ptr[i] & 0xC0) != 0x80)
                column++;
        }
    } else if (parser->buffer.pointer < parser->buffer.last && *parser->buffer.pointer == '\t') {
        what = "found a tab where spaces must indent";
    }
    return tree_error(error, STATUS_INVALID, (int)line, (int)column, "%s", what);
}

// libyaml compares each %TAG line with all before it.
static Status check_directives(StrView text, Error *error) {
    int count = 0;
    int line = 1;
    for (size_t pos = 0; pos < text.len && strchr("%# \r\n", text.ptr[pos]); line++) {
        count += text.ptr[pos] == '%';
        if (count > TREE_MAX_DIRECTIVES)
            return tree_error(error, STATUS_LIMIT, line, 1, "more than %d directives",
                              TREE_MAX_DIRECTIVES);
        const char *end = memchr(text.ptr + pos, '\n', text.len - pos);
        pos = end ? (size_t)(end - text.ptr) + 1 : text.len;
    }
    return STATUS_OK;
}

Status tree_parse_yaml(Tree *tree, StrView text, const char *stop_key, Error *error) {
    yaml_parser_t parser;
    TRY(check_directives(text, error));
    if (!yaml_parser_initialize(&parser))
        return error_out_of_memory(error, sizeof parser);
    yaml_parser_set_encoding(&parser, YAML_UTF8_ENCODING);
    yaml_parser_set_input_string(&parser, (const unsigned char *)(text.len ? text.ptr : ""),
                                 text.len);
    YamlBuilder builder = {.tree = tree, .stop_key = sv(stop_key), .error = error};
    Status status = STATUS_OK;
    while (status == STATUS_OK && !builder.is_done) {
        yaml_event_t event;
        if (!yaml_parser_parse(&parser, &event)) {
            status = parser_error(&parser, text, error);
            break;
        }
        status = on_event(&builder, &event);
        yaml_event_delete(&event);
    }
    // A reading that stopped early leaves the root map open on the stack.
    if (status == STATUS_OK && builder.depth > 0)
        tree->root = builder.frames[0].node;
    yaml_parser_delete(&parser);
    return status;
}
