// What the shape rules share: symbolic integers, the context a rule works in, and helpers that read
// inputs and set outputs. Only shape*.c includes this.
//
// A symbolic integer is an exact number, a number known by name ("sequence"), or unknown. Integer
// vectors of at most SHAPE_MAX_ELEMENTS are followed through the graph, so that Shape → Gather →
// Concat → Reshape keeps the names of dims. What cannot be told is unknown.
#ifndef GPUX_GRAPH_SHAPE_PRIVATE_H
#define GPUX_GRAPH_SHAPE_PRIVATE_H

#include "graph/graph_private.h"

enum { SHAPE_MAX_ELEMENTS = 64 };

typedef struct SymInt {
    bool is_known;
    int64_t value;      // when known
    const char *symbol; // when not known: a dim's name (so >= 0) or NULL
} SymInt;

typedef struct SymVector {
    SymInt *items; // NULL = not followed
    int count;
} SymVector;

struct ShapeContext {
    Graph *graph;
    const Node *node;
    Error *error;
    SymVector *vectors; // one per value; constants are filled when first read
    Arena scratch;      // the vectors' items
    bool is_out_of_memory;
};

// ---- Symbolic integers (shape_symbol.c). Lack of memory yields unknown and is noted.
static inline SymInt sym_known(int64_t value) {
    return (SymInt){.is_known = true, .value = value};
}
static inline SymInt sym_unknown(void) {
    return (SymInt){0};
}
static inline bool sym_is(SymInt a, int64_t value) {
    return a.is_known && a.value == value;
}
SymInt sym_from_dim(Dim dim);
Dim dim_from_sym(SymInt a);          // negative numbers yield an unknown dim
bool sym_equal(SymInt a, SymInt b);  // proved equal
bool sym_differ(SymInt a, SymInt b); // proved different
SymInt sym_add(ShapeContext *context, SymInt a, SymInt b);
SymInt sym_sub(ShapeContext *context, SymInt a, SymInt b);
SymInt sym_mul(ShapeContext *context, SymInt a, SymInt b);
// Exact quotient of two products (a numerator of n_a factors by a denominator of n_b), unknown when
// it cannot be proved to be whole. *is_wrong: both are numbers and do not divide.
SymInt sym_divide(ShapeContext *context, const SymInt *a, int n_a, const SymInt *b, int n_b,
                  bool *is_wrong);

// ---- Reading inputs and setting outputs (shape.c).
const Value *shape_input(const ShapeContext *context, int i); // NULL when missing
bool shape_is_missing(const ShapeContext *context, int i);
// The input's elements, or items NULL when they are not followed.
SymVector shape_vector(ShapeContext *context, int i);
// The only element of a followed input.
SymInt shape_scalar(ShapeContext *context, int i);
// All elements as numbers; false when one is not known. `out` holds SHAPE_MAX_ELEMENTS.
bool shape_numbers(ShapeContext *context, int i, int64_t *out, int *count);

// Output i; a missing optional output is skipped. Fails when rank exceeds TENSOR_MAX_RANK.
Status shape_set(ShapeContext *context, int i, DType dtype, const Dim *dims, int rank);
void shape_set_unranked(ShapeContext *context, int i, DType dtype);
// Room for `count` elements of output i, or NULL when too many or out of memory. All are unknown.
SymInt *shape_set_vector(ShapeContext *context, int i, int count);

#define shape_error(context, ...)                                                                  \
    node_error((context)->graph, (context)->node, (context)->error, __VA_ARGS__)

// Resolves a possibly negative axis against `rank`.
Status shape_axis(ShapeContext *context, int64_t axis, int rank, int *out);
// One broadcast dim of two; *is_wrong when they cannot be broadcast.
Dim shape_broadcast_dim(Dim a, Dim b, bool *is_wrong);
// Broadcasts `dims` with the dims of `value` in place.
Status shape_broadcast(ShapeContext *context, Dim *dims, int *rank, const Dim *other,
                       int other_rank);
Status shape_same_dtype(ShapeContext *context, const Value *a, const Value *b);
Status shape_expect_int(ShapeContext *context, int i); // I32 or I64, or not known
// Copies the followed elements of input 0 to output 0 when the output is a scalar or vector.
void shape_pass_vector(ShapeContext *context);

static inline bool dim_is(Dim dim, int64_t size) {
    return dim.size == size;
}
static inline bool dims_conflict(Dim a, Dim b) {
    return a.size >= 0 && b.size >= 0 && a.size != b.size;
}

#endif
