// What the files of graph/ share and nobody else may include.
#ifndef GPUX_GRAPH_GRAPH_PRIVATE_H
#define GPUX_GRAPH_GRAPH_PRIVATE_H

#include "graph/graph.h"

// STATUS_INVALID with the node's index, name and op in front of the message.
__attribute__((format(printf, 4, 5))) Status node_error(const Graph *graph, const Node *node,
                                                        Error *error, const char *format, ...);

// Checks what every reader of a node relies on: a known op, arity as in ops.def, ids in range,
// inputs that the op cannot miss are there, no output is named twice.
Status graph_check_node(const Graph *graph, const Node *node, Error *error);

// True for values whose producer was removed; nothing may read them and their names are free.
bool value_is_orphan(const Graph *graph, ValueId value);

static inline bool graph_has_value(const Graph *graph, ValueId value) {
    return value >= 0 && value < graph->n_values;
}

static inline bool graph_has_node(const Graph *graph, NodeId node) {
    return node >= 0 && node < graph->n_nodes;
}

// Room for one more node; false, with the graph marked failed, when there is none.
bool graph_reserve_node(Graph *graph);
// A node with copied inputs and new output values that name `id` as their producer; false when
// memory ran out. The node is not yet in the graph.
bool graph_make_node(Graph *graph, Node *node, NodeId id, OpKind op, const char *name,
                     const ValueId *in, int n_in, const char *const *outputs, int n_out);

typedef struct ShapeContext ShapeContext;
// Sets dtype and dims of the outputs of the context's node.
typedef Status (*ShapeRule)(ShapeContext *context);
ShapeRule op_shape_rule(OpKind op);

// One declaration per op; ops that share a rule repeat it.
#define OP(id, name, is_onnx, min_in, max_in, min_out, max_out, rule)                              \
    Status shape_rule_##rule(ShapeContext *context);
#include "graph/ops.def"
#undef OP

#endif
