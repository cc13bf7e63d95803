// Writes a precision on the LINEAR nodes that may run below float32.
//
// Sensitive parts stay float32: what feeds an output of the graph directly (the last head, the
// vocabulary), and everything that runs once per sequence, which is too little work to matter.
// Embeddings, norms and softmax are no LINEARs and stay as they are.
#include "graph/passes/match.h"

static bool feeds_output(const Graph *graph, ValueId value) {
    for (int i = 0; i < graph->n_outputs; i++)
        if (graph->outputs[i] == value)
            return true;
    for (int i = 0; i < graph->n_nodes; i++) {
        const Node *node = &graph->nodes[i];
        if (node->is_dead || (node->op != OP_UNPACK && node->op != OP_COLUMNS))
            continue;
        if (node->in[0] == value)
            return true;
    }
    return false;
}

static bool is_per_token(const Graph *graph, ValueId value) {
    const Value *v = &graph->values[value];
    return v->has_rank && v->rank == 2 && v->dims[0].symbol && strcmp(v->dims[0].symbol, "T") == 0;
}

Status graph_assign_precision(Graph *graph, const char *precision, Error *error) {
    for (int i = 0; i < graph->n_nodes; i++) {
        const Node *node = &graph->nodes[i];
        if (node->is_dead || node->op != OP_LINEAR)
            continue;
        if (is_per_token(graph, node->out[0]) && !feeds_output(graph, node->out[0]))
            graph_set_string(graph, i, "precision", precision);
    }
    return graph_status(graph, error);
}
