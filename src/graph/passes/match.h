// Small words for recognising and rewriting patterns; internal to graph/.
#ifndef GPUX_GRAPH_PASSES_MATCH_H
#define GPUX_GRAPH_PASSES_MATCH_H

#include "graph/graph.h"

// A pass edits the graph in place; it leaves what it does not recognise alone.
typedef Status (*GraphPass)(Graph *graph, Error *error);

Status pass_raise_norm(Graph *graph, Error *error);
Status pass_fuse_activation(Graph *graph, Error *error);
Status pass_fuse_linear(Graph *graph, Error *error);
Status pass_fuse_attention(Graph *graph, Error *error);
Status pass_fuse_embed(Graph *graph, Error *error);
Status pass_fuse_epilogue(Graph *graph, Error *error);
Status pass_join_qkv(Graph *graph, Error *error);
Status pass_make_ragged(Graph *graph, Error *error);

// The live producer of `value` when it is an `op`, else NULL.
Node *match_op(const Graph *graph, ValueId value, OpKind op);
// `value` = op(x, scalar) or, for commutative ops, op(scalar, x). False when neither is a scalar.
bool match_scalar(const Graph *graph, ValueId value, OpKind op, double *scalar, ValueId *x);
// `value` = op(a, b) where one of the two equals `known`; *other is the other one.
bool match_with(const Graph *graph, ValueId value, OpKind op, ValueId known, ValueId *other);
// The constant behind `value`, looking through a widening Cast to float; NO_VALUE when it is none.
ValueId match_weight(const Graph *graph, ValueId value);
// A constant int64/int32 vector (or a scalar) that equals `expected`.
bool match_ints(const Graph *graph, ValueId value, const int64_t *expected, size_t count);
// True when attribute `perm` of a Transpose equals `expected`.
bool match_perm(const Node *node, const int64_t *expected, size_t count);
bool match_near(double a, double b); // relative 1e-4

// Turns `node` into another op with these inputs; outputs stay, attributes are dropped.
void node_rewrite(Graph *graph, Node *node, OpKind op, const ValueId *in, int n_in);
NodeId node_id(const Graph *graph, const Node *node);

#endif
