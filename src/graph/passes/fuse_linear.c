// MatMul with a constant matrix, and the Add of a constant bias after it, become LINEAR.
//
// A weight is taken as [k, n], or as [n, k] behind a Transpose, as checkpoints store it; a widening
// Cast in between is left to the packer, which reads half precision itself.
#include "graph/passes/match.h"

// The constant matrix behind `value`; *transposed tells that it is [n, k].
static ValueId find_matrix(const Graph *graph, ValueId value, bool *transposed) {
    const Node *transpose = match_op(graph, value, OP_TRANSPOSE);
    if (!transpose) {
        const Node *cast = match_op(graph, value, OP_CAST);
        transpose = cast ? match_op(graph, cast->in[0], OP_TRANSPOSE) : NULL;
    }
    *transposed = false;
    if (transpose) {
        if (!match_perm(transpose, (const int64_t[]){1, 0}, 2))
            return NO_VALUE;
        *transposed = true;
        value = transpose->in[0];
    }
    ValueId weight = match_weight(graph, value);
    return weight != NO_VALUE && graph->values[weight].rank == 2 ? weight : NO_VALUE;
}

static void raise_matmul(Graph *graph, Node *node) {
    bool transposed;
    ValueId weight = find_matrix(graph, node->in[1], &transposed);
    if (weight == NO_VALUE || value_is_constant(graph, node->in[0]))
        return;
    node_rewrite(graph, node, OP_LINEAR, (const ValueId[]){node->in[0], NO_VALUE, weight, NO_VALUE},
                 4);
    NodeId id = node_id(graph, node);
    graph_set_int(graph, id, "parts", 1);
    graph_set_int(graph, id, "transposed", transposed);
    graph_set_string(graph, id, "activation", "none");
}

// add = Linear(x) + bias, bias constant [n]: the Add becomes the Linear.
static void take_bias(Graph *graph, Node *add) {
    for (int side = 0; side < 2; side++) {
        Node *linear = match_op(graph, add->in[side], OP_LINEAR);
        ValueId bias = match_weight(graph, add->in[1 - side]);
        if (!linear || bias == NO_VALUE || linear->in[3] != NO_VALUE ||
            graph_only_user(graph, linear->out[0]) != add)
            continue;
        const Value *shape = &graph->values[bias];
        const Value *weight = &graph->values[linear->in[2]];
        int64_t transposed = node_int(linear, "transposed", 0);
        if (shape->rank != 1 || shape->dims[0].size != weight->dims[transposed ? 0 : 1].size)
            continue;
        ValueId in[4] = {linear->in[0], NO_VALUE, linear->in[2], bias};
        linear->is_dead = true;
        node_rewrite(graph, add, OP_LINEAR, in, 4);
        NodeId id = node_id(graph, add);
        graph_set_int(graph, id, "parts", 1);
        graph_set_int(graph, id, "transposed", transposed);
        graph_set_string(graph, id, "activation", "none");
        return;
    }
}

Status pass_fuse_linear(Graph *graph, Error *error) {
    for (int i = 0; i < graph->n_nodes; i++)
        if (!graph->nodes[i].is_dead && graph->nodes[i].op == OP_MATMUL)
            raise_matmul(graph, &graph->nodes[i]);
    for (int i = 0; i < graph->n_nodes; i++)
        if (!graph->nodes[i].is_dead && graph->nodes[i].op == OP_ADD)
            take_bias(graph, &graph->nodes[i]);
    return graph_status(graph, error);
}
