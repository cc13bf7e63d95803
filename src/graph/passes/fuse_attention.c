// softmax(q k^T * scale + bias + mask) v with its Reshapes and Transposes becomes ATTENTION, and
// three LINEARs of one input that only feed it become one.
#include "graph/passes/match.h"

typedef struct Heads {
    ValueId x; // [batch, sequence, heads * head_dim]
    int64_t heads, head_dim;
} Heads;

// value = Transpose(Reshape(x, [0 or ?, 0 or -1, heads, head_dim]), perm)
static bool match_heads(const Graph *graph, ValueId value, const int64_t *perm, Heads *out) {
    const Node *transpose = match_op(graph, value, OP_TRANSPOSE);
    if (!transpose || !match_perm(transpose, perm, 4))
        return false;
    const Node *reshape = match_op(graph, transpose->in[0], OP_RESHAPE);
    const Value *four = &graph->values[transpose->in[0]];
    if (!reshape || !four->has_rank || four->rank != 4 || graph->values[reshape->in[0]].rank != 3)
        return false;
    out->x = reshape->in[0];
    out->heads = four->dims[2].size;
    out->head_dim = four->dims[3].size;
    return out->heads > 0 && out->head_dim > 0;
}

// i = Range(0, n, 1) as a row [1, n] or a column [n, 1].
static ValueId match_arange(const Graph *graph, ValueId value, int64_t axis) {
    const Node *unsqueeze = match_op(graph, value, OP_UNSQUEEZE);
    if (!unsqueeze || !match_ints(graph, unsqueeze->in[1], &axis, 1))
        return NO_VALUE;
    const Node *range = match_op(graph, unsqueeze->in[0], OP_RANGE);
    double start, step;
    if (!range || !value_scalar(graph, range->in[0], &start) || start != 0.0 ||
        !value_scalar(graph, range->in[2], &step) || step != 1.0)
        return NO_VALUE;
    return unsqueeze->in[0];
}

typedef struct RelativeBias {
    ValueId table, index;
    int64_t center;
} RelativeBias;

// bias = Unsqueeze(Transpose(Gather(Gather(table, index), j - i + center), [2, 0, 1]), 0)
static bool match_relative_bias(const Graph *graph, ValueId value, RelativeBias *out) {
    const Node *unsqueeze = match_op(graph, value, OP_UNSQUEEZE);
    if (!unsqueeze || !match_ints(graph, unsqueeze->in[1], (const int64_t[]){0}, 1))
        return false;
    const Node *transpose = match_op(graph, unsqueeze->in[0], OP_TRANSPOSE);
    if (!transpose || !match_perm(transpose, (const int64_t[]){2, 0, 1}, 3))
        return false;
    const Node *gather = match_op(graph, transpose->in[0], OP_GATHER);
    const Node *rows = gather ? match_op(graph, gather->in[0], OP_GATHER) : NULL;
    if (!rows || node_int(gather, "axis", 0) != 0 || node_int(rows, "axis", 0) != 0)
        return false;
    double center;
    ValueId difference;
    if (!match_scalar(graph, gather->in[1], OP_ADD, &center, &difference))
        return false;
    const Node *sub = match_op(graph, difference, OP_SUB);
    if (!sub)
        return false;
    ValueId j = match_arange(graph, sub->in[0], 0), i = match_arange(graph, sub->in[1], 1);
    out->table = match_weight(graph, rows->in[0]);
    out->index = rows->in[1];
    out->center = (int64_t)center;
    return j != NO_VALUE && i == j && out->table != NO_VALUE &&
           value_is_constant(graph, out->index) && graph->values[out->index].dtype == DTYPE_I64 &&
           value_count(&graph->values[out->index]) == (size_t)(2 * out->center + 1);
}

typedef struct Scores {
    ValueId q, k, mask;
    RelativeBias bias;
    double scale;
} Scores;

// Peels Add(mask), Add(bias) and Mul(scale) or Div off the scores until the product of q and k.
static bool match_scores(const Graph *graph, ValueId value, Scores *out) {
    *out = (Scores){NO_VALUE, NO_VALUE, NO_VALUE, {NO_VALUE, NO_VALUE, 0}, 1.0};
    for (;;) {
        double scalar;
        ValueId x;
        const Node *matmul = match_op(graph, value, OP_MATMUL);
        if (matmul) {
            out->q = matmul->in[0];
            out->k = matmul->in[1];
            return true;
        }
        if (match_scalar(graph, value, OP_MUL, &scalar, &x)) {
            out->scale *= scalar;
            value = x;
            continue;
        }
        if (match_scalar(graph, value, OP_DIV, &scalar, &x)) {
            out->scale /= scalar;
            value = x;
            continue;
        }
        const Node *add = match_op(graph, value, OP_ADD);
        // Additions after the scale only: an addition under it would be scaled too.
        if (!add || out->scale != 1.0)
            return false;
        RelativeBias bias;
        if (out->bias.table == NO_VALUE && match_relative_bias(graph, add->in[1], &bias))
            out->bias = bias;
        else if (out->mask == NO_VALUE)
            out->mask = add->in[1];
        else
            return false;
        value = add->in[0];
    }
}

static void fuse_at(Graph *graph, Node *reshape) {
    const Node *transpose = match_op(graph, reshape->in[0], OP_TRANSPOSE);
    if (!transpose || !match_perm(transpose, (const int64_t[]){0, 2, 1, 3}, 4))
        return;
    const Node *product = match_op(graph, transpose->in[0], OP_MATMUL);
    const Node *softmax = product ? match_op(graph, product->in[0], OP_SOFTMAX) : NULL;
    Scores scores;
    Heads q, k, v;
    if (!softmax || !match_scores(graph, softmax->in[0], &scores) ||
        !match_heads(graph, scores.q, (const int64_t[]){0, 2, 1, 3}, &q) ||
        !match_heads(graph, scores.k, (const int64_t[]){0, 2, 3, 1}, &k) ||
        !match_heads(graph, product->in[1], (const int64_t[]){0, 2, 1, 3}, &v))
        return;
    int64_t axis = node_int(softmax, "axis", -1);
    const Value *out = &graph->values[reshape->out[0]];
    if ((axis != -1 && axis != 3) || q.heads != k.heads || k.heads != v.heads ||
        q.head_dim != k.head_dim || v.head_dim != q.head_dim || !out->has_rank || out->rank != 3 ||
        out->dims[2].size != q.heads * q.head_dim)
        return;
    node_rewrite(
        graph, reshape, OP_ATTENTION,
        (const ValueId[]){q.x, k.x, v.x, scores.mask, scores.bias.table, scores.bias.index}, 6);
    NodeId id = node_id(graph, reshape);
    graph_set_int(graph, id, "heads", q.heads);
    graph_set_int(graph, id, "kv_heads", k.heads);
    graph_set_int(graph, id, "head_dim", q.head_dim);
    graph_set_float(graph, id, "scale", (float)scores.scale);
    graph_set_int(graph, id, "causal", 0);
    graph_set_int(graph, id, "q_offset", 0);
    graph_set_int(graph, id, "k_offset", 0);
    graph_set_int(graph, id, "v_offset", 0);
    graph_set_int(graph, id, "bias_center", scores.bias.center);
}

Status pass_fuse_attention(Graph *graph, Error *error) {
    for (int i = 0; i < graph->n_nodes; i++)
        if (!graph->nodes[i].is_dead && graph->nodes[i].op == OP_RESHAPE)
            fuse_at(graph, &graph->nodes[i]);
    return graph_status(graph, error);
}

// ---- join_qkv ----

static Node *joinable(const Graph *graph, ValueId value, const Node *attention) {
    Node *linear = match_op(graph, value, OP_LINEAR);
    if (!linear || linear->in[1] != NO_VALUE || node_int(linear, "parts", 1) != 1 ||
        graph_only_user(graph, value) != attention ||
        !sv_equal_cstr(node_string(linear, "activation", SV("none")), "none"))
        return NULL;
    return linear;
}

static void join_at(Graph *graph, Node *attention) {
    Node *parts[3];
    for (int i = 0; i < 3; i++) {
        parts[i] = joinable(graph, attention->in[i], attention);
        if (!parts[i] || parts[i]->in[0] != parts[0]->in[0] ||
            node_int(parts[i], "transposed", 0) != node_int(parts[0], "transposed", 0) ||
            (parts[i]->in[3] == NO_VALUE) != (parts[0]->in[3] == NO_VALUE))
            return;
    }
    // The last of the three in graph order becomes the joined one.
    Node *joined = parts[0];
    for (int i = 1; i < 3; i++)
        if (parts[i] > joined)
            joined = parts[i];
    int64_t transposed = node_int(parts[0], "transposed", 0);
    ValueId in[8] = {parts[0]->in[0], NO_VALUE};
    int64_t widths[3];
    for (int i = 0; i < 3; i++) {
        in[2 + 2 * i] = parts[i]->in[2];
        in[3 + 2 * i] = parts[i]->in[3];
        widths[i] = graph->values[parts[i]->in[2]].dims[transposed ? 0 : 1].size;
        if (parts[i] != joined)
            parts[i]->is_dead = true;
    }
    node_rewrite(graph, joined, OP_LINEAR, in, 8);
    NodeId id = node_id(graph, joined);
    graph_set_int(graph, id, "parts", 3);
    graph_set_int(graph, id, "transposed", transposed);
    graph_set_string(graph, id, "activation", "none");
    for (int i = 0; i < 3; i++)
        attention->in[i] = joined->out[0];
    graph_set_int(graph, node_id(graph, attention), "k_offset", widths[0]);
    graph_set_int(graph, node_id(graph, attention), "v_offset", widths[0] + widths[1]);
}

Status pass_join_qkv(Graph *graph, Error *error) {
    for (int i = 0; i < graph->n_nodes; i++)
        if (!graph->nodes[i].is_dead && graph->nodes[i].op == OP_ATTENTION)
            join_at(graph, &graph->nodes[i]);
    return graph_status(graph, error);
}
