// Pattern words used by the passes. Nothing here changes a graph except node_rewrite.
#include "graph/passes/match.h"

#include <math.h>

Node *match_op(const Graph *graph, ValueId value, OpKind op) {
    Node *node = graph_producer(graph, value);
    return node && node->op == op ? node : NULL;
}

static bool op_commutes(OpKind op) {
    return op == OP_ADD || op == OP_MUL || op == OP_EQUAL;
}

bool match_scalar(const Graph *graph, ValueId value, OpKind op, double *scalar, ValueId *x) {
    const Node *node = match_op(graph, value, op);
    if (!node)
        return false;
    if (value_scalar(graph, node->in[1], scalar)) {
        *x = node->in[0];
        return true;
    }
    if (op_commutes(op) && value_scalar(graph, node->in[0], scalar)) {
        *x = node->in[1];
        return true;
    }
    return false;
}

bool match_with(const Graph *graph, ValueId value, OpKind op, ValueId known, ValueId *other) {
    const Node *node = match_op(graph, value, op);
    if (!node)
        return false;
    if (node->in[0] == known)
        *other = node->in[1];
    else if (node->in[1] == known && op_commutes(op))
        *other = node->in[0];
    else
        return false;
    return true;
}

ValueId match_weight(const Graph *graph, ValueId value) {
    if (value == NO_VALUE)
        return NO_VALUE;
    const Node *cast = match_op(graph, value, OP_CAST);
    if (cast && node_int(cast, "to", 0) == dtype_to_onnx(DTYPE_F32))
        value = cast->in[0];
    if (!value_is_constant(graph, value))
        return NO_VALUE;
    DType dtype = graph->values[value].dtype;
    return dtype == DTYPE_F32 || dtype == DTYPE_F16 || dtype == DTYPE_BF16 ? value : NO_VALUE;
}

bool match_ints(const Graph *graph, ValueId value, const int64_t *expected, size_t count) {
    if (value == NO_VALUE || !value_is_constant(graph, value) ||
        value_count(&graph->values[value]) != count)
        return false;
    for (size_t i = 0; i < count; i++) {
        int64_t found;
        if (!value_int_at(graph, value, i, &found) || found != expected[i])
            return false;
    }
    return true;
}

bool match_perm(const Node *node, const int64_t *expected, size_t count) {
    const Attr *perm = node_attr(node, "perm");
    if (!perm || perm->kind != ATTR_INTS || perm->count != count)
        return false;
    for (size_t i = 0; i < count; i++)
        if (perm->ints[i] != expected[i])
            return false;
    return true;
}

bool match_near(double a, double b) {
    return fabs(a - b) <= 1e-4 * fabs(b);
}

void node_rewrite(Graph *graph, Node *node, OpKind op, const ValueId *in, int n_in) {
    ValueId *copy = arena_alloc_array(&graph->arena, (size_t)n_in, sizeof *copy);
    if (!copy) {
        graph->failed = STATUS_OUT_OF_MEMORY;
        return;
    }
    for (int i = 0; i < n_in; i++)
        copy[i] = in[i];
    node->op = op;
    node->in = copy;
    node->n_in = n_in;
    node->attrs = NULL;
    node->n_attrs = 0;
}

NodeId node_id(const Graph *graph, const Node *node) {
    return (NodeId)(node - graph->nodes);
}
