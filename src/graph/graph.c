// Building and reading a Graph. Changing one is graph_edit.c.
//
// Values and nodes lie in growing arrays (pointers into them die with the next addition, ids do
// not); strings, operand lists, attributes and small constants lie in the arena. The first failure
// is kept in graph->failed and turns every later builder call into a no-op.
#include "base/checked.h"
#include "graph/graph_private.h"

#include <assert.h>
#include <string.h>

enum { MAX_ITEMS = INT32_MAX / 2, FIRST_CAPACITY = 64 };

Status graph_new(Graph **out, Error *error) {
    *out = NULL;
    Graph *graph = mem_alloc_zero(1, sizeof(*graph));
    if (!graph)
        return error_out_of_memory(error, sizeof(*graph));
    graph->name = "";
    graph->producer_name = "";
    graph->producer_version = "";
    graph->domain = "";
    graph->doc_string = "";
    graph->opset = 18;
    graph->ir_version = 8;
    *out = graph;
    return STATUS_OK;
}

void graph_free(Graph *graph) {
    if (!graph)
        return;
    mem_free(graph->values);
    mem_free(graph->nodes);
    arena_free(&graph->arena);
    mem_free(graph);
}

Status graph_status(const Graph *graph, Error *error) {
    if (graph->failed == STATUS_OK)
        return STATUS_OK;
    return error_set(error, graph->failed, "building the graph: %s", status_text(graph->failed));
}

static bool graph_fail(Graph *graph, Status status) {
    if (graph->failed == STATUS_OK)
        graph->failed = status;
    return false;
}

// Doubles *items so that one more fits.
static bool reserve_one(Graph *graph, void **items, int count, int *capacity, size_t size) {
    if (count < *capacity)
        return true;
    if (*capacity >= MAX_ITEMS)
        return graph_fail(graph, STATUS_LIMIT);
    int grown = *capacity == 0 ? FIRST_CAPACITY : *capacity * 2;
    void *block = mem_realloc_array(*items, (size_t)grown, size);
    if (!block)
        return graph_fail(graph, STATUS_OUT_OF_MEMORY);
    *items = block;
    *capacity = grown;
    return true;
}

bool graph_reserve_node(Graph *graph) {
    void *items = graph->nodes;
    bool ok = reserve_one(graph, &items, graph->n_nodes, &graph->cap_nodes, sizeof(Node));
    graph->nodes = items;
    return ok;
}

// A copy of `count` items with room for `extra` zeroed ones behind them.
static void *copy_array(Graph *graph, const void *items, size_t count, size_t extra, size_t size) {
    if (count > MAX_ITEMS || extra > MAX_ITEMS) {
        graph_fail(graph, STATUS_LIMIT);
        return NULL;
    }
    void *copy = arena_alloc_array(&graph->arena, count + extra, size);
    if (!copy)
        graph_fail(graph, STATUS_OUT_OF_MEMORY);
    else if (count > 0)
        memcpy(copy, items, count * size);
    return copy;
}

static const char *copy_text(Graph *graph, const char *text) {
    if (!text || !*text)
        return "";
    const char *copy = arena_strdup(&graph->arena, text);
    if (!copy)
        graph_fail(graph, STATUS_OUT_OF_MEMORY);
    return copy;
}

static ValueId add_value(Graph *graph, const char *name, ValueKind kind) {
    assert(name && *name);
    if (graph->failed)
        return NO_VALUE;
    void *items = graph->values;
    bool ok = reserve_one(graph, &items, graph->n_values, &graph->cap_values, sizeof(Value));
    graph->values = items;
    const char *copy = ok ? copy_text(graph, name) : NULL;
    if (!copy)
        return NO_VALUE;
    graph->values[graph->n_values] = (Value){.name = copy, .kind = kind, .producer = NO_NODE};
    return graph->n_values++;
}

// ---- Building ----

ValueId graph_add_input(Graph *graph, const char *name, DType dtype, const Dim *dims, int rank) {
    if (rank > TENSOR_MAX_RANK)
        graph_fail(graph, STATUS_LIMIT);
    ValueId id = add_value(graph, name, VALUE_INPUT);
    if (id == NO_VALUE)
        return NO_VALUE;
    Value *value = &graph->values[id];
    value->dtype = dtype;
    value->has_rank = rank >= 0;
    value->rank = rank < 0 ? 0 : rank;
    for (int i = 0; i < value->rank; i++) {
        bool is_known = dims[i].size >= 0;
        value->dims[i] = (Dim){.size = is_known ? dims[i].size : -1};
        if (!is_known && dims[i].symbol && *dims[i].symbol)
            value->dims[i].symbol = copy_text(graph, dims[i].symbol);
    }
    ValueId *inputs = copy_array(graph, graph->inputs, (size_t)graph->n_inputs, 1, sizeof(ValueId));
    if (graph->failed)
        return NO_VALUE;
    inputs[graph->n_inputs] = id;
    graph->inputs = inputs;
    graph->n_inputs++;
    return id;
}

ValueId graph_add_constant(Graph *graph, const char *name, DType dtype, const int64_t *shape,
                           int rank, const void *data, size_t size, const char *file,
                           uint64_t offset) {
    if (rank > TENSOR_MAX_RANK)
        graph_fail(graph, STATUS_LIMIT);
    for (int i = 0; i < rank && !graph->failed; i++) {
        if (shape[i] < 0)
            graph_fail(graph, STATUS_INVALID);
    }
    ValueId id = add_value(graph, name, VALUE_CONSTANT);
    if (id == NO_VALUE)
        return NO_VALUE;
    const char *file_copy = file ? copy_text(graph, file) : NULL;
    if (graph->failed)
        return NO_VALUE;
    Value *value = &graph->values[id];
    value->dtype = dtype;
    value->has_rank = true;
    value->rank = rank;
    for (int i = 0; i < rank; i++)
        value->dims[i] = (Dim){.size = shape[i]};
    value->data = data;
    value->data_size = size;
    value->file = file_copy;
    value->offset = offset;
    return id;
}

static ValueId add_small(Graph *graph, const char *name, DType dtype, const void *values,
                         size_t count, int rank) {
    assert(rank == 1 || (rank == 0 && count == 1));
    if (graph->failed)
        return NO_VALUE;
    // One element more than needed, so that an empty constant still has data.
    void *data = copy_array(graph, values, count, 1, dtype_size(dtype));
    int64_t shape[1] = {(int64_t)count};
    return graph_add_constant(graph, name, dtype, shape, rank, data, count * dtype_size(dtype),
                              NULL, 0);
}

ValueId graph_add_i64(Graph *graph, const char *name, const int64_t *values, size_t count,
                      int rank) {
    return add_small(graph, name, DTYPE_I64, values, count, rank);
}

ValueId graph_add_f32(Graph *graph, const char *name, const float *values, size_t count, int rank) {
    return add_small(graph, name, DTYPE_F32, values, count, rank);
}

bool graph_make_node(Graph *graph, Node *node, NodeId id, OpKind op, const char *name,
                     const ValueId *in, int n_in, const char *const *outputs, int n_out) {
    assert((unsigned)op < OP_COUNT && n_in >= 0 && n_out >= 0);
    if (graph->failed || !graph_reserve_node(graph))
        return false;
    *node = (Node){.op = op, .name = copy_text(graph, name), .n_in = n_in, .n_out = n_out};
    node->in = copy_array(graph, in, (size_t)n_in, 0, sizeof(ValueId));
    node->out = copy_array(graph, NULL, 0, (size_t)n_out, sizeof(ValueId));
    for (int i = 0; i < n_out && !graph->failed; i++) {
        bool is_named = outputs[i] && *outputs[i];
        node->out[i] = is_named ? add_value(graph, outputs[i], VALUE_NODE) : NO_VALUE;
        if (node->out[i] != NO_VALUE)
            graph->values[node->out[i]].producer = id;
    }
    return !graph->failed;
}

NodeId graph_add_node_n(Graph *graph, OpKind op, const char *name, const ValueId *in, int n_in,
                        const char *const *outputs, int n_out) {
    Node node;
    if (!graph_make_node(graph, &node, graph->n_nodes, op, name, in, n_in, outputs, n_out))
        return NO_NODE;
    graph->nodes[graph->n_nodes] = node;
    return graph->n_nodes++;
}

ValueId graph_add_node(Graph *graph, OpKind op, const ValueId *in, int n_in, const char *output) {
    NodeId node = graph_add_node_n(graph, op, "", in, n_in, &output, 1);
    return node == NO_NODE ? NO_VALUE : graph->nodes[node].out[0];
}

void graph_set_outputs(Graph *graph, const ValueId *outputs, int count) {
    if (graph->failed)
        return;
    ValueId *copy = copy_array(graph, outputs, (size_t)count, 0, sizeof(ValueId));
    if (!copy)
        return;
    graph->outputs = copy;
    graph->n_outputs = count;
}

void graph_add_metadata(Graph *graph, const char *key, const char *value) {
    if (graph->failed)
        return;
    GraphMeta *all =
        copy_array(graph, graph->metadata, (size_t)graph->n_metadata, 1, sizeof(GraphMeta));
    const char *key_copy = copy_text(graph, key);
    const char *value_copy = copy_text(graph, value);
    if (graph->failed)
        return;
    all[graph->n_metadata] = (GraphMeta){.key = key_copy, .value = value_copy};
    graph->metadata = all;
    graph->n_metadata++;
}

// The node's attribute of this name, emptied, made when missing; NULL when memory ran out.
static Attr *make_attr(Graph *graph, NodeId id, const char *name, AttrKind kind) {
    if (graph->failed || id == NO_NODE)
        return NULL;
    assert(graph_has_node(graph, id));
    Node *node = &graph->nodes[id];
    for (int i = 0; i < node->n_attrs; i++) {
        if (strcmp(node->attrs[i].name, name) == 0) {
            node->attrs[i] = (Attr){.name = node->attrs[i].name, .kind = kind};
            return &node->attrs[i];
        }
    }
    Attr *attrs = copy_array(graph, node->attrs, (size_t)node->n_attrs, 1, sizeof(Attr));
    const char *copy = copy_text(graph, name);
    if (graph->failed)
        return NULL;
    attrs[node->n_attrs] = (Attr){.name = copy, .kind = kind};
    node->attrs = attrs;
    return &node->attrs[node->n_attrs++];
}

void graph_set_int(Graph *graph, NodeId node, const char *name, int64_t number) {
    Attr *attr = make_attr(graph, node, name, ATTR_INT);
    if (attr)
        attr->i = number;
}

void graph_set_float(Graph *graph, NodeId node, const char *name, float number) {
    Attr *attr = make_attr(graph, node, name, ATTR_FLOAT);
    if (attr)
        attr->f = number;
}

void graph_set_string(Graph *graph, NodeId node, const char *name, const char *text) {
    Attr *attr = make_attr(graph, node, name, ATTR_STRING);
    const char *copy = attr ? copy_text(graph, text) : NULL;
    if (copy)
        attr->s = sv(copy);
}

void graph_set_ints(Graph *graph, NodeId node, const char *name, const int64_t *ints,
                    size_t count) {
    Attr *attr = make_attr(graph, node, name, ATTR_INTS);
    int64_t *copy = attr ? copy_array(graph, ints, count, 0, sizeof(int64_t)) : NULL;
    if (copy) {
        attr->ints = copy;
        attr->count = count;
    }
}

// ---- Reading ----

const Attr *node_attr(const Node *node, const char *name) {
    for (int i = 0; i < node->n_attrs; i++) {
        if (strcmp(node->attrs[i].name, name) == 0)
            return &node->attrs[i];
    }
    return NULL;
}

int64_t node_int(const Node *node, const char *name, int64_t fallback) {
    const Attr *attr = node_attr(node, name);
    return attr && attr->kind == ATTR_INT ? attr->i : fallback;
}

float node_float(const Node *node, const char *name, float fallback) {
    const Attr *attr = node_attr(node, name);
    return attr && attr->kind == ATTR_FLOAT ? attr->f : fallback;
}

StrView node_string(const Node *node, const char *name, StrView fallback) {
    const Attr *attr = node_attr(node, name);
    return attr && attr->kind == ATTR_STRING ? attr->s : fallback;
}

NodeId graph_producer_id(const Graph *graph, ValueId value) {
    if (!graph_has_value(graph, value))
        return NO_NODE;
    NodeId node = graph->values[value].producer;
    return graph_has_node(graph, node) && !graph->nodes[node].is_dead ? node : NO_NODE;
}

Node *graph_producer(const Graph *graph, ValueId value) {
    NodeId node = graph_producer_id(graph, value);
    return node == NO_NODE ? NULL : &graph->nodes[node];
}

bool value_is_orphan(const Graph *graph, ValueId value) {
    return graph->values[value].kind == VALUE_NODE && graph_producer_id(graph, value) == NO_NODE;
}

ValueId graph_find_value(const Graph *graph, const char *name) {
    for (ValueId i = 0; i < graph->n_values; i++) {
        if (strcmp(graph->values[i].name, name) == 0 && !value_is_orphan(graph, i))
            return i;
    }
    return NO_VALUE;
}

static bool node_reads(const Node *node, ValueId value) {
    for (int i = 0; i < node->n_in; i++) {
        if (node->in[i] == value)
            return true;
    }
    return false;
}

// Counts live nodes that read `value` into *readers; returns the last of them.
static Node *find_readers(const Graph *graph, ValueId value, int *readers) {
    Node *last = NULL;
    *readers = 0;
    for (NodeId i = 0; i < graph->n_nodes && value != NO_VALUE; i++) {
        if (!graph->nodes[i].is_dead && node_reads(&graph->nodes[i], value)) {
            last = &graph->nodes[i];
            ++*readers;
        }
    }
    return last;
}

static int count_outputs(const Graph *graph, ValueId value) {
    int count = 0;
    for (int i = 0; i < graph->n_outputs; i++)
        count += graph->outputs[i] == value && value != NO_VALUE;
    return count;
}

int graph_use_count(const Graph *graph, ValueId value) {
    int readers;
    find_readers(graph, value, &readers);
    return readers + count_outputs(graph, value);
}

Node *graph_only_user(const Graph *graph, ValueId value) {
    int readers;
    Node *reader = find_readers(graph, value, &readers);
    return readers == 1 && count_outputs(graph, value) == 0 ? reader : NULL;
}

bool value_is_constant(const Graph *graph, ValueId value) {
    return graph_has_value(graph, value) && graph->values[value].kind == VALUE_CONSTANT;
}

size_t value_count(const Value *value) {
    size_t count = 1;
    if (!value->has_rank)
        return 0;
    for (int i = 0; i < value->rank; i++) {
        size_t size;
        if (!size_from_i64(&size, value->dims[i].size) || !size_mul(&count, count, size))
            return 0;
    }
    return count;
}

// Element i of a constant that has its bytes here; false when there is none.
static bool read_element(const Value *value, size_t i, void *out) {
    size_t size = dtype_size(value->dtype);
    if (!value->data || size == 0 || i >= value_count(value) || i >= value->data_size / size)
        return false;
    memcpy(out, (const char *)value->data + i * size, size);
    return true;
}

bool value_scalar(const Graph *graph, ValueId id, double *out) {
    if (!value_is_constant(graph, id) || value_count(&graph->values[id]) != 1)
        return false;
    const Value *value = &graph->values[id];
    union {
        float f32;
        double f64;
        int32_t i32;
        int64_t i64;
    } element;
    switch (value->dtype) {
    case DTYPE_F32:
    case DTYPE_F64:
    case DTYPE_I32:
    case DTYPE_I64:
        if (!read_element(value, 0, &element))
            return false;
        break;
    default:
        return false;
    }
    if (value->dtype == DTYPE_F32)
        *out = (double)element.f32;
    else if (value->dtype == DTYPE_F64)
        *out = element.f64;
    else
        *out = value->dtype == DTYPE_I32 ? (double)element.i32 : (double)element.i64;
    return true;
}

bool value_int_at(const Graph *graph, ValueId id, size_t i, int64_t *out) {
    if (!value_is_constant(graph, id) || graph->values[id].rank > 1)
        return false;
    const Value *value = &graph->values[id];
    int32_t narrow;
    if (value->dtype == DTYPE_I64)
        return read_element(value, i, out);
    if (value->dtype != DTYPE_I32 || !read_element(value, i, &narrow))
        return false;
    *out = narrow;
    return true;
}
