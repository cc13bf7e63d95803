// The door of graph/: what to compute. Nodes and values in arrays, referred to by id.
//
// Invariants, checked by graph_verify after every pass: nodes are in topological order; every value
// has at most one producer; ids are in range; names of values are unique; op arity is as in
// ops.def. A Graph owns its arena; constant data is borrowed from mappings that must outlive it, or
// lies in the arena. Not thread-safe while being changed; read-only afterwards.
#ifndef GPUX_GRAPH_GRAPH_H
#define GPUX_GRAPH_GRAPH_H

#include "base/memory.h"
#include "base/status.h"
#include "base/str.h"
#include "base/tensor.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

typedef int32_t ValueId;
typedef int32_t NodeId;
enum { NO_VALUE = -1, NO_NODE = -1 };

typedef enum OpKind {
#define OP(id, name, is_onnx, min_in, max_in, min_out, max_out, rule) OP_##id,
#include "graph/ops.def"
#undef OP
    OP_COUNT
} OpKind;

typedef struct OpInfo {
    const char *name; // "MatMul", "gpux.Linear"
    bool is_onnx;
    int min_in, max_in, min_out, max_out; // -1 = any number
} OpInfo;

const OpInfo *op_info(OpKind op);
// The ONNX op of this name, or false.
bool op_from_onnx(OpKind *out, StrView name);

// size >= 0, or -1 with a symbol ("batch", "sequence", "T", "B", "B+1") or NULL when unknown.
typedef struct Dim {
    int64_t size;
    const char *symbol;
} Dim;

typedef enum ValueKind {
    VALUE_NODE,     // produced by a node
    VALUE_INPUT,    // graph input
    VALUE_CONSTANT, // initialiser
} ValueKind;

typedef struct Value {
    const char *name;
    ValueKind kind;
    DType dtype;   // DTYPE_UNKNOWN until inferred
    bool has_rank; // false until inferred; then rank and dims hold
    int rank;
    Dim dims[TENSOR_MAX_RANK];
    NodeId producer; // NO_NODE unless VALUE_NODE
    // Constants: little-endian row-major bytes, possibly unaligned. data may be NULL in a graph
    // that is only written, when file says where the bytes are.
    const void *data;
    size_t data_size;
    const char *file; // external data: file name inside the model's folder; NULL = stored inline
    uint64_t offset;
} Value;

typedef enum AttrKind {
    ATTR_INT,
    ATTR_FLOAT,
    ATTR_STRING,
    ATTR_INTS,
    ATTR_FLOATS,
} AttrKind;

typedef struct Attr {
    const char *name;
    AttrKind kind;
    int64_t i;
    float f;
    StrView s;
    const int64_t *ints;
    const float *floats;
    size_t count; // of ints or floats
} Attr;

typedef struct Node {
    OpKind op;
    const char *name; // may be ""
    ValueId *in;
    int n_in;
    ValueId *out;
    int n_out;
    Attr *attrs;
    int n_attrs;
    bool is_dead; // removed; skipped by everyone and swept by graph_compact
} Node;

typedef struct GraphMeta {
    const char *key, *value;
} GraphMeta;

typedef struct Graph {
    Arena arena;
    Value *values;
    int n_values, cap_values;
    Node *nodes;
    int n_nodes, cap_nodes;
    ValueId *inputs;
    int n_inputs;
    ValueId *outputs;
    int n_outputs;
    const char *name;
    int64_t opset, ir_version, model_version;
    const char *producer_name, *producer_version, *domain, *doc_string; // never NULL
    GraphMeta *metadata;
    int n_metadata;
    Status failed; // set by the first builder call that ran out of memory; see graph_status
} Graph;

Status graph_new(Graph **out, Error *error);
void graph_free(Graph *graph);

// ---- Building. Strings and arrays are copied into the arena. When memory runs out these return
// NO_VALUE / NO_NODE, note it in graph->failed, and later calls do nothing: check graph_status
// once.
Status graph_status(const Graph *graph, Error *error);
ValueId graph_add_input(Graph *graph, const char *name, DType dtype, const Dim *dims, int rank);
// A constant whose bytes lie outside (file may be NULL when data is borrowed memory).
ValueId graph_add_constant(Graph *graph, const char *name, DType dtype, const int64_t *shape,
                           int rank, const void *data, size_t size, const char *file,
                           uint64_t offset);
// Small constants copied into the arena.
ValueId graph_add_i64(Graph *graph, const char *name, const int64_t *values, size_t count,
                      int rank);
ValueId graph_add_f32(Graph *graph, const char *name, const float *values, size_t count, int rank);
// A node with one output named `output`; attributes are added afterwards with node_set_*.
ValueId graph_add_node(Graph *graph, OpKind op, const ValueId *in, int n_in, const char *output);
// The general form: n_out outputs, names given.
NodeId graph_add_node_n(Graph *graph, OpKind op, const char *name, const ValueId *in, int n_in,
                        const char *const *outputs, int n_out);
void graph_set_outputs(Graph *graph, const ValueId *outputs, int count);
void graph_add_metadata(Graph *graph, const char *key, const char *value);
// Sets an attribute of the node that produces `value`, or of a node.
void graph_set_int(Graph *graph, NodeId node, const char *name, int64_t number);
void graph_set_float(Graph *graph, NodeId node, const char *name, float number);
void graph_set_string(Graph *graph, NodeId node, const char *name, const char *text);
void graph_set_ints(Graph *graph, NodeId node, const char *name, const int64_t *ints, size_t count);

// ---- Reading ----
const Attr *node_attr(const Node *node, const char *name); // or NULL
int64_t node_int(const Node *node, const char *name, int64_t fallback);
float node_float(const Node *node, const char *name, float fallback);
StrView node_string(const Node *node, const char *name, StrView fallback);
Node *graph_producer(const Graph *graph, ValueId value);     // NULL for inputs, constants, NO_VALUE
NodeId graph_producer_id(const Graph *graph, ValueId value); // likewise, or NO_NODE
ValueId graph_find_value(const Graph *graph, const char *name); // linear search; or NO_VALUE
// Live nodes that read `value`; graph outputs count as one use each.
int graph_use_count(const Graph *graph, ValueId value);
// The one live node that reads `value`, if there is exactly one reader and it is no graph output.
Node *graph_only_user(const Graph *graph, ValueId value);
bool value_is_constant(const Graph *graph, ValueId value);
// A constant with exactly one element as float; false otherwise. F32, F64, I32, I64.
bool value_scalar(const Graph *graph, ValueId value, double *out);
// Element i of an I64 or I32 constant of rank <= 1.
bool value_int_at(const Graph *graph, ValueId value, size_t i, int64_t *out);
size_t value_count(const Value *value); // elements when all dims are known, else 0

// ---- Changing ----
// Also among outputs: there the two values swap names, so that an output keeps its name. An output
// stays with old_value when new_value is an input, a constant or already an output.
void graph_replace_uses(Graph *graph, ValueId old_value, ValueId new_value);
// Inserts a node directly before `position` in the order; ids of later nodes shift by one.
NodeId graph_insert_node(Graph *graph, NodeId position, OpKind op, const ValueId *in, int n_in,
                         const char *const *outputs, int n_out);
// Sweeps dead nodes and nodes none of whose outputs is used; keeps inputs and outputs. Value ids
// stay valid; values and constants that nobody uses any more become VALUE_NODE with producer
// NO_NODE.
void graph_compact(Graph *graph);

// ---- Checking and printing ----
// Infers dtype, rank and dims of every value from inputs and constants. STATUS_INVALID naming node
// and op when an op's rule is violated.
Status graph_infer_shapes(Graph *graph, Error *error);
Status graph_verify(const Graph *graph, Error *error);
// Stable text: inputs, constants, then a node a line: `%x: f32[batch, sequence, 384] = MatMul(%a,
// %b)`
void graph_dump(Buf *out, const Graph *graph);

// ---- Passes ----
// Runs the pass list in order, verifying after each. `after` (may be NULL) is called after each
// pass.
Status graph_run_passes(Graph *graph,
                        void (*after)(void *ctx, const char *pass, const Graph *graph), void *ctx,
                        Error *error);
// True when the whole graph between inputs and outputs is in ragged form (PACK … UNPACK).
bool graph_is_ragged(const Graph *graph);

// Sets attr `precision` ("bf16", "int8") on the LINEAR nodes that may run in it; see the pass.
Status graph_assign_precision(Graph *graph, const char *precision, Error *error);

// ---- Memory plan ----
// A value's lifetime in steps [first, last] and its size; plan gives offsets so that values that
// live at the same time never overlap.
typedef struct PlanItem {
    size_t size;
    int first, last;
    size_t offset; // out
} PlanItem;
// Greedy, biggest first (as Pisarchyk & Lee 2020). Offsets are multiples of `alignment`. Returns
// the arena's size, or 0 with STATUS in *status on overflow or lack of memory.
size_t memory_plan(PlanItem *items, size_t count, size_t alignment, Status *status);

#endif
