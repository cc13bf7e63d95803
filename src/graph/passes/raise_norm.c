// LayerNormalization over the last axis becomes LAYER_NORM.
#include "graph/passes/match.h"

Status pass_raise_norm(Graph *graph, Error *error) {
    for (int i = 0; i < graph->n_nodes; i++) {
        Node *node = &graph->nodes[i];
        if (node->is_dead || node->op != OP_LAYER_NORMALIZATION || node->n_out != 1)
            continue;
        const Value *x = &graph->values[node->in[0]];
        int64_t axis = node_int(node, "axis", -1);
        if (axis != -1 && !(x->has_rank && axis == x->rank - 1))
            continue;
        ValueId in[3] = {node->in[0], match_weight(graph, node->in[1]),
                         node->n_in > 2 ? match_weight(graph, node->in[2]) : NO_VALUE};
        if (in[1] == NO_VALUE || (node->n_in > 2 && node->in[2] != NO_VALUE && in[2] == NO_VALUE))
            continue;
        float epsilon = node_float(node, "epsilon", 1e-5f);
        node_rewrite(graph, node, OP_LAYER_NORM, in, 3);
        graph_set_float(graph, i, "epsilon", epsilon);
    }
    return graph_status(graph, error);
}
