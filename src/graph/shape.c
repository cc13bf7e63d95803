// Shape and dtype inference: walks the nodes in order and applies each op's rule. The rules are in
// shape_rules.c (elementwise, products), shape_move.c (another shape for the same elements),
// shape_select.c (selecting and joining) and shape_raised.c.
//
// Invariant: a dim, once set, holds for every run of the graph; what cannot be told is unknown.
#include "graph/shape_private.h"

#include <string.h>

// ---- Helpers of the rules ----

bool shape_is_missing(const ShapeContext *context, int i) {
    return i >= context->node->n_in || context->node->in[i] == NO_VALUE;
}

const Value *shape_input(const ShapeContext *context, int i) {
    return shape_is_missing(context, i) ? NULL : &context->graph->values[context->node->in[i]];
}

static SymInt *new_items(ShapeContext *context, int count) {
    SymInt *items = arena_alloc_array(&context->scratch, (size_t)count + 1, sizeof(SymInt));
    if (!items)
        context->is_out_of_memory = true;
    return items;
}

// Follows a small integer or bool constant.
static void read_constant(ShapeContext *context, ValueId id) {
    const Value *value = &context->graph->values[id];
    size_t count = value_count(value);
    size_t size = dtype_size(value->dtype);
    bool is_followed =
        value->dtype == DTYPE_I64 || value->dtype == DTYPE_I32 || value->dtype == DTYPE_BOOL;
    if (!is_followed || !value->data || value->rank > 1 || count > SHAPE_MAX_ELEMENTS ||
        value->data_size != count * size)
        return;
    SymInt *items = new_items(context, (int)count);
    if (!items)
        return;
    for (size_t i = 0; i < count; i++) {
        int64_t number = 0;
        if (value->dtype == DTYPE_BOOL)
            number = ((const unsigned char *)value->data)[i] != 0;
        else
            value_int_at(context->graph, id, i, &number);
        items[i] = sym_known(number);
    }
    context->vectors[id] = (SymVector){.items = items, .count = (int)count};
}

SymVector shape_vector(ShapeContext *context, int i) {
    if (shape_is_missing(context, i))
        return (SymVector){0};
    ValueId id = context->node->in[i];
    if (!context->vectors[id].items && context->graph->values[id].kind == VALUE_CONSTANT)
        read_constant(context, id);
    return context->vectors[id];
}

SymInt shape_scalar(ShapeContext *context, int i) {
    SymVector vector = shape_vector(context, i);
    return vector.items && vector.count == 1 ? vector.items[0] : sym_unknown();
}

bool shape_numbers(ShapeContext *context, int i, int64_t *out, int *count) {
    SymVector vector = shape_vector(context, i);
    *count = 0;
    if (!vector.items)
        return false;
    for (int j = 0; j < vector.count; j++) {
        if (!vector.items[j].is_known)
            return false;
        out[j] = vector.items[j].value;
    }
    *count = vector.count;
    return true;
}

Status shape_set(ShapeContext *context, int i, DType dtype, const Dim *dims, int rank) {
    if (rank > TENSOR_MAX_RANK)
        return shape_error(context, "output %d would have rank %d, the limit is %d", i, rank,
                           TENSOR_MAX_RANK);
    if (i >= context->node->n_out || context->node->out[i] == NO_VALUE)
        return STATUS_OK;
    Value *value = &context->graph->values[context->node->out[i]];
    Dim copy[TENSOR_MAX_RANK] = {0};
    for (int j = 0; j < rank; j++)
        copy[j] = dims[j].size >= 0 ? (Dim){.size = dims[j].size}
                                    : (Dim){.size = -1, .symbol = dims[j].symbol};
    memcpy(value->dims, copy, sizeof(copy));
    value->dtype = dtype;
    value->has_rank = true;
    value->rank = rank;
    return STATUS_OK;
}

void shape_set_unranked(ShapeContext *context, int i, DType dtype) {
    if (i >= context->node->n_out || context->node->out[i] == NO_VALUE)
        return;
    Value *value = &context->graph->values[context->node->out[i]];
    value->dtype = dtype;
    value->has_rank = false;
    value->rank = 0;
}

SymInt *shape_set_vector(ShapeContext *context, int i, int count) {
    if (i >= context->node->n_out || context->node->out[i] == NO_VALUE || count < 0 ||
        count > SHAPE_MAX_ELEMENTS)
        return NULL;
    SymInt *items = new_items(context, count);
    if (items)
        context->vectors[context->node->out[i]] = (SymVector){.items = items, .count = count};
    return items;
}

Status shape_axis(ShapeContext *context, int64_t axis, int rank, int *out) {
    if (axis < -rank || axis >= rank)
        return shape_error(context, "axis %lld is outside of rank %d", (long long)axis, rank);
    *out = (int)(axis < 0 ? axis + rank : axis);
    return STATUS_OK;
}

Dim shape_broadcast_dim(Dim a, Dim b, bool *is_wrong) {
    if (a.size == 1)
        return b;
    if (b.size == 1)
        return a;
    if (a.size >= 0 && b.size >= 0) {
        *is_wrong = *is_wrong || a.size != b.size;
        return a;
    }
    // A known size other than 1 leaves the other no choice but 1 or the same.
    if (a.size >= 0 || b.size >= 0)
        return a.size >= 0 ? a : b;
    return sym_equal(sym_from_dim(a), sym_from_dim(b)) ? a : (Dim){.size = -1};
}

Status shape_broadcast(ShapeContext *context, Dim *dims, int *rank, const Dim *other,
                       int other_rank) {
    Dim out[TENSOR_MAX_RANK];
    int out_rank = *rank > other_rank ? *rank : other_rank;
    bool is_wrong = false;
    for (int i = 1; i <= out_rank; i++) {
        Dim one = {.size = 1};
        Dim a = i <= *rank ? dims[*rank - i] : one;
        Dim b = i <= other_rank ? other[other_rank - i] : one;
        out[out_rank - i] = shape_broadcast_dim(a, b, &is_wrong);
        if (is_wrong)
            return shape_error(context, "%lld and %lld in dim -%d cannot be broadcast",
                               (long long)a.size, (long long)b.size, i);
    }
    memcpy(dims, out, (size_t)out_rank * sizeof(Dim));
    *rank = out_rank;
    return STATUS_OK;
}

Status shape_same_dtype(ShapeContext *context, const Value *a, const Value *b) {
    if (a->dtype != DTYPE_UNKNOWN && b->dtype != DTYPE_UNKNOWN && a->dtype != b->dtype)
        return shape_error(context, "%%%s is %s, %%%s is %s", a->name, dtype_name(a->dtype),
                           b->name, dtype_name(b->dtype));
    return STATUS_OK;
}

Status shape_expect_int(ShapeContext *context, int i) {
    const Value *value = shape_input(context, i);
    if (value && value->dtype != DTYPE_I32 && value->dtype != DTYPE_I64 &&
        value->dtype != DTYPE_UNKNOWN)
        return shape_error(context, "%%%s must be int32 or int64, not %s", value->name,
                           dtype_name(value->dtype));
    return STATUS_OK;
}

void shape_pass_vector(ShapeContext *context) {
    SymVector vector = shape_vector(context, 0);
    ValueId id = context->node->out[0];
    if (!vector.items || id == NO_VALUE)
        return;
    const Value *value = &context->graph->values[id];
    if (value->has_rank && value->rank <= 1 && value_count(value) == (size_t)vector.count)
        context->vectors[id] = vector;
}

// ---- The walk ----

// Forgets what an earlier inference found; dims stay, because their names may be shared.
static Status reset_outputs(ShapeContext *context) {
    for (int i = 0; i < context->node->n_out; i++) {
        ValueId id = context->node->out[i];
        if (id != NO_VALUE && context->graph->values[id].kind != VALUE_NODE)
            return shape_error(context, "produces %%%s, which is an input or constant",
                               context->graph->values[id].name);
        shape_set_unranked(context, i, DTYPE_UNKNOWN);
    }
    return STATUS_OK;
}

static Status infer_nodes(ShapeContext *context) {
    Graph *graph = context->graph;
    for (NodeId i = 0; i < graph->n_nodes; i++) {
        const Node *node = &graph->nodes[i];
        if (node->is_dead)
            continue;
        context->node = node;
        TRY(graph_check_node(graph, node, context->error));
        TRY(reset_outputs(context));
        TRY(op_shape_rule(node->op)(context));
        if (context->is_out_of_memory)
            return error_out_of_memory(context->error, 0);
    }
    return STATUS_OK;
}

Status graph_infer_shapes(Graph *graph, Error *error) {
    TRY(graph_status(graph, error));
    size_t count = (size_t)graph->n_values + 1;
    ShapeContext context = {.graph = graph, .error = error};
    context.vectors = mem_alloc_zero(count, sizeof(SymVector));
    if (!context.vectors)
        return error_out_of_memory(error, count * sizeof(SymVector));
    Status status = infer_nodes(&context);
    arena_free(&context.scratch);
    mem_free(context.vectors);
    return status;
}
