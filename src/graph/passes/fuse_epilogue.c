// A LINEAR takes the activation or the residual addition that follows it, so that both happen while
// the result is still in registers.
#include "graph/passes/match.h"

// Moves `linear` to the place of `user` with one input changed.
static void absorb(Graph *graph, Node *linear, Node *user, ValueId residual, StrView activation) {
    const char *name = arena_strndup(&graph->arena, activation.ptr, activation.len);
    ValueId in[4] = {linear->in[0], residual, linear->in[2], linear->in[3]};
    int64_t transposed = node_int(linear, "transposed", 0);
    if (!name) {
        graph->failed = STATUS_OUT_OF_MEMORY;
        return;
    }
    linear->is_dead = true;
    node_rewrite(graph, user, OP_LINEAR, in, 4);
    NodeId id = node_id(graph, user);
    graph_set_int(graph, id, "parts", 1);
    graph_set_int(graph, id, "transposed", transposed);
    graph_set_string(graph, id, "activation", name);
}

static Node *single_linear(const Graph *graph, ValueId value, const Node *user) {
    Node *linear = match_op(graph, value, OP_LINEAR);
    if (!linear || linear->in[1] != NO_VALUE || node_int(linear, "parts", 1) != 1 ||
        graph_only_user(graph, value) != user)
        return NULL;
    return linear;
}

static bool same_shape(const Value *a, const Value *b) {
    if (!a->has_rank || !b->has_rank || a->rank != b->rank)
        return false;
    for (int i = 0; i < a->rank; i++) {
        const Dim *x = &a->dims[i], *y = &b->dims[i];
        if (x->size != y->size)
            return false;
        if (x->size < 0 && (!x->symbol || !y->symbol || strcmp(x->symbol, y->symbol) != 0))
            return false;
    }
    return true;
}

static void take_activation(Graph *graph, Node *activate) {
    Node *linear = single_linear(graph, activate->in[0], activate);
    if (!linear || !sv_equal_cstr(node_string(linear, "activation", SV("none")), "none"))
        return;
    absorb(graph, linear, activate, NO_VALUE, node_string(activate, "activation", SV("none")));
}

static void take_residual(Graph *graph, Node *add) {
    // The later producer of the two absorbs the addition: the other operand must exist by then.
    for (int side = 1; side >= 0; side--) {
        ValueId other = add->in[1 - side];
        Node *linear = single_linear(graph, add->in[side], add);
        if (!linear || other == add->in[side] || value_is_constant(graph, other) ||
            !same_shape(&graph->values[other], &graph->values[add->out[0]]) ||
            !same_shape(&graph->values[other], &graph->values[add->in[side]]))
            continue;
        absorb(graph, linear, add, other, node_string(linear, "activation", SV("none")));
        return;
    }
}

Status pass_fuse_epilogue(Graph *graph, Error *error) {
    for (int i = 0; i < graph->n_nodes; i++)
        if (!graph->nodes[i].is_dead && graph->nodes[i].op == OP_ACTIVATE)
            take_activation(graph, &graph->nodes[i]);
    for (int i = 0; i < graph->n_nodes; i++)
        if (!graph->nodes[i].is_dead && graph->nodes[i].op == OP_ADD)
            take_residual(graph, &graph->nodes[i]);
    return graph_status(graph, error);
}
