// Sums of Gathers from constant tables become EMBED: (ids, table) pairs in the order of addition.
#include "graph/passes/match.h"

enum { MAX_TABLES = 4 };

typedef struct Tables {
    ValueId pairs[2 * MAX_TABLES];
    int count;
} Tables;

// Left-to-right leaves of a tree of Adds whose leaves are all Gathers of rows.
static bool collect(const Graph *graph, ValueId value, int depth, Tables *out) {
    const Node *add = depth > 0 ? match_op(graph, value, OP_ADD) : NULL;
    if (add)
        return collect(graph, add->in[0], depth - 1, out) &&
               collect(graph, add->in[1], depth - 1, out);
    const Node *gather = match_op(graph, value, OP_GATHER);
    if (!gather || node_int(gather, "axis", 0) != 0 || out->count == MAX_TABLES)
        return false;
    ValueId table = match_weight(graph, gather->in[0]);
    if (table == NO_VALUE || graph->values[table].rank != 2)
        return false;
    out->pairs[2 * out->count] = gather->in[1];
    out->pairs[2 * out->count + 1] = table;
    out->count++;
    return true;
}

Status pass_fuse_embed(Graph *graph, Error *error) {
    // Backwards, so that the outermost Add of a tree is met first.
    for (int i = graph->n_nodes - 1; i >= 0; i--) {
        Node *node = &graph->nodes[i];
        if (node->is_dead || node->op != OP_ADD)
            continue;
        Tables tables = {.count = 0};
        if (!collect(graph, node->out[0], MAX_TABLES, &tables))
            continue;
        node_rewrite(graph, node, OP_EMBED, tables.pairs, 2 * tables.count);
    }
    return graph_status(graph, error);
}
