// The padded form becomes the ragged form: PACK after the padded inputs, UNPACK before the outputs,
// tokens of all sequences end to end in between (as in FasterTransformer's "effective
// transformer").
//
// Fires only when every op between is token-wise, an attention under the input's own mask, or the
// selection of each sequence's first token; otherwise the graph stays as it is. Analysis comes
// first and changes nothing.
#include "graph/passes/match.h"

typedef enum Domain {
    DOMAIN_PADDED,    // integers and masks around the padded inputs: left behind
    DOMAIN_TOKENS,    // [batch, sequence, width] → [T, width]
    DOMAIN_SEQUENCES, // [batch, width] → [B, width]
    DOMAIN_SPLIT,     // output of a Split of tokens, to be squeezed
} Domain;

typedef enum IdSource {
    IDS_UNKNOWN,
    IDS_INPUT,    // input_ids
    IDS_TYPE,     // token_type_ids
    IDS_COLUMN,   // 0, 1, 2, …
    IDS_NONPAD,   // pad + running count of non-pad ids
    IDS_CONSTANT, // one row for all tokens
} IdSource;

typedef struct Analysis {
    uint8_t *domain; // per value, Domain
    ValueId input_ids, mask, type_ids;
    bool uses_column, uses_nonpad;
    int64_t pad_id;
} Analysis;

static ValueId find_input(const Graph *graph, const char *name) {
    for (int i = 0; i < graph->n_inputs; i++)
        if (strcmp(graph->values[graph->inputs[i]].name, name) == 0)
            return graph->inputs[i];
    return NO_VALUE;
}

// value = Range(0, Gather(Shape(input_ids), 1), 1)
static bool is_column(const Graph *graph, const Analysis *a, ValueId value) {
    const Node *range = match_op(graph, value, OP_RANGE);
    double start, step;
    if (!range || !value_scalar(graph, range->in[0], &start) || start != 0.0 ||
        !value_scalar(graph, range->in[2], &step) || step != 1.0)
        return false;
    const Node *gather = match_op(graph, range->in[1], OP_GATHER);
    double index;
    if (!gather || !value_scalar(graph, gather->in[1], &index) || index != 1.0)
        return false;
    const Node *shape = match_op(graph, gather->in[0], OP_SHAPE);
    return shape && shape->in[0] == a->input_ids;
}

// value = CumSum(m, 1) * m + pad where m = Cast(Not(Equal(input_ids, pad)))
static bool is_nonpad(const Graph *graph, const Analysis *a, ValueId value, int64_t *pad) {
    double scalar, pad_scalar;
    ValueId product, mask, ids;
    if (!match_scalar(graph, value, OP_ADD, &scalar, &product))
        return false;
    const Node *mul = match_op(graph, product, OP_MUL);
    const Node *cumsum = mul ? match_op(graph, mul->in[0], OP_CUMSUM) : NULL;
    double axis;
    if (!cumsum || !value_scalar(graph, cumsum->in[1], &axis) || axis != 1.0 ||
        node_int(cumsum, "exclusive", 0) || node_int(cumsum, "reverse", 0))
        return false;
    mask = cumsum->in[0];
    if (mul->in[1] != mask)
        return false;
    const Node *cast = match_op(graph, mask, OP_CAST);
    const Node *not_node = cast ? match_op(graph, cast->in[0], OP_NOT) : NULL;
    if (!not_node || !match_scalar(graph, not_node->in[0], OP_EQUAL, &pad_scalar, &ids) ||
        ids != a->input_ids || pad_scalar != scalar)
        return false;
    *pad = (int64_t)scalar;
    return true;
}

static IdSource classify_ids(const Graph *graph, const Analysis *a, ValueId ids, int64_t *pad) {
    double scalar;
    if (ids == a->input_ids)
        return IDS_INPUT;
    if (ids == a->type_ids && ids != NO_VALUE)
        return IDS_TYPE;
    if (value_is_constant(graph, ids) && value_scalar(graph, ids, &scalar))
        return IDS_CONSTANT;
    if (is_column(graph, a, ids))
        return IDS_COLUMN;
    if (is_nonpad(graph, a, ids, pad))
        return IDS_NONPAD;
    return IDS_UNKNOWN;
}

// mask = (1 - Cast(Unsqueeze(attention_mask))) * large negative
static bool is_additive_mask(const Graph *graph, const Analysis *a, ValueId value) {
    double scalar;
    ValueId inverted;
    if (!match_scalar(graph, value, OP_MUL, &scalar, &inverted) || scalar > -1e4)
        return false;
    const Node *sub = match_op(graph, inverted, OP_SUB);
    if (!sub || !value_scalar(graph, sub->in[0], &scalar) || scalar != 1.0)
        return false;
    const Node *node = graph_producer(graph, sub->in[1]);
    ValueId source = NO_VALUE;
    while (node && (node->op == OP_CAST || node->op == OP_UNSQUEEZE)) {
        source = node->in[0];
        node = graph_producer(graph, source);
    }
    return source != NO_VALUE && source == a->mask;
}

static bool analyse_embed(const Graph *graph, Analysis *a, const Node *node) {
    for (int i = 0; i < node->n_in; i += 2) {
        int64_t pad = 0;
        switch (classify_ids(graph, a, node->in[i], &pad)) {
        case IDS_UNKNOWN:
            return false;
        case IDS_COLUMN:
            a->uses_column = true;
            break;
        case IDS_NONPAD:
            a->uses_nonpad = true;
            a->pad_id = pad;
            break;
        case IDS_INPUT:
        case IDS_TYPE:
        case IDS_CONSTANT:
            break;
        }
    }
    return !(a->uses_column && a->uses_nonpad);
}

// The domain of a token-wise node's output: that of its value inputs, which must agree.
static bool analyse_tokenwise(const Analysis *a, const Graph *graph, const Node *node,
                              Domain *domain) {
    int n_values = node->op == OP_LINEAR ? 2 : node->op == OP_LAYER_NORM ? 1 : node->n_in;
    *domain = DOMAIN_PADDED;
    for (int i = 0; i < n_values; i++) {
        ValueId in = node->in[i];
        if (in == NO_VALUE)
            continue;
        Domain d = (Domain)a->domain[in];
        if (d == DOMAIN_PADDED && value_is_constant(graph, in))
            return false;
        if (*domain != DOMAIN_PADDED && d != *domain)
            return false;
        *domain = d;
    }
    return *domain == DOMAIN_TOKENS || *domain == DOMAIN_SEQUENCES;
}

static bool analyse_squeeze(const Graph *graph, const Node *node) {
    const Node *split = match_op(graph, node->in[0], OP_SPLIT);
    return split && node->n_in > 1 &&
           (match_ints(graph, node->in[1], (const int64_t[]){-1}, 1) ||
            match_ints(graph, node->in[1], (const int64_t[]){2}, 1)) &&
           graph->values[node->in[0]].has_rank && graph->values[node->in[0]].dims[2].size == 1;
}

static bool analyse_node(const Graph *graph, Analysis *a, const Node *node) {
    bool touches = false;
    for (int i = 0; i < node->n_in; i++)
        if (node->in[i] != NO_VALUE && a->domain[node->in[i]] != DOMAIN_PADDED)
            touches = true;
    Domain domain = DOMAIN_PADDED;
    double index;
    int64_t axis;
    switch (node->op) {
    case OP_EMBED:
        if (!analyse_embed(graph, a, node))
            return false;
        domain = DOMAIN_TOKENS;
        break;
    case OP_LINEAR:
    case OP_LAYER_NORM:
    case OP_ACTIVATE:
    case OP_ADD:
        if (touches && !analyse_tokenwise(a, graph, node, &domain))
            return false;
        break;
    case OP_ATTENTION:
        for (int i = 0; i < 3; i++)
            if (a->domain[node->in[i]] != DOMAIN_TOKENS)
                return false;
        if (node->in[3] != NO_VALUE && !is_additive_mask(graph, a, node->in[3]))
            return false;
        domain = DOMAIN_TOKENS;
        break;
    case OP_GATHER:
        if (!touches)
            break;
        if (a->domain[node->in[0]] != DOMAIN_TOKENS || node_int(node, "axis", 0) != 1 ||
            !value_scalar(graph, node->in[1], &index) || index != 0.0)
            return false;
        domain = DOMAIN_SEQUENCES;
        break;
    case OP_SPLIT:
        if (!touches)
            break;
        axis = node_int(node, "axis", 0);
        if (a->domain[node->in[0]] != DOMAIN_TOKENS || (axis != -1 && axis != 2))
            return false;
        domain = DOMAIN_SPLIT;
        break;
    case OP_SQUEEZE:
        if (touches && (a->domain[node->in[0]] != DOMAIN_SPLIT || !analyse_squeeze(graph, node)))
            return false;
        domain = touches ? DOMAIN_TOKENS : DOMAIN_PADDED;
        break;
    default:
        if (touches)
            return false;
    }
    for (int i = 0; i < node->n_out; i++)
        a->domain[node->out[i]] = (uint8_t)domain;
    return true;
}

static bool analyse(const Graph *graph, Analysis *a) {
    a->input_ids = find_input(graph, "input_ids");
    a->mask = find_input(graph, "attention_mask");
    a->type_ids = find_input(graph, "token_type_ids");
    if (a->input_ids == NO_VALUE || a->mask == NO_VALUE)
        return false;
    for (int i = 0; i < graph->n_nodes; i++)
        if (!graph->nodes[i].is_dead && !analyse_node(graph, a, &graph->nodes[i]))
            return false;
    bool any = false;
    for (int i = 0; i < graph->n_outputs; i++) {
        uint8_t domain = a->domain[graph->outputs[i]];
        if (domain == DOMAIN_PADDED || domain == DOMAIN_SPLIT)
            return false;
        any = true;
    }
    return any;
}

typedef struct Packed {
    ValueId ids, types, positions, columns, cu_seqlens;
} Packed;

static Packed insert_pack(Graph *graph, const Analysis *a) {
    ValueId in[3] = {a->input_ids, a->mask, a->type_ids};
    const char *names[5] = {"packed_ids", "packed_types", "positions", "columns", "cu_seqlens"};
    NodeId pack = graph_insert_node(graph, 0, OP_PACK, in, 3, names, 5);
    if (pack == NO_NODE)
        return (Packed){NO_VALUE, NO_VALUE, NO_VALUE, NO_VALUE, NO_VALUE};
    graph_set_string(graph, pack, "positions", a->uses_nonpad ? "nonpad" : "column");
    graph_set_int(graph, pack, "pad_id", a->pad_id);
    const ValueId *out = graph->nodes[pack].out;
    return (Packed){out[0], out[1], out[2], out[3], out[4]};
}

static void rewrite_embed(Graph *graph, const Analysis *a, Node *node, const Packed *packed) {
    for (int i = 0; i < node->n_in; i += 2) {
        int64_t pad;
        switch (classify_ids(graph, a, node->in[i], &pad)) {
        case IDS_INPUT:
            node->in[i] = packed->ids;
            break;
        case IDS_TYPE:
            node->in[i] = packed->types;
            break;
        case IDS_COLUMN:
        case IDS_NONPAD:
            node->in[i] = packed->positions;
            break;
        case IDS_CONSTANT:
        case IDS_UNKNOWN:
            break;
        }
    }
}

// Squeeze(Split(x)[part]) becomes COLUMNS(x).
static void rewrite_squeeze(Graph *graph, Node *node) {
    const Node *split = graph_producer(graph, node->in[0]);
    int64_t part = 0;
    while (split->out[part] != node->in[0])
        part++;
    ValueId x = split->in[0];
    node_rewrite(graph, node, OP_COLUMNS, &x, 1);
    graph_set_int(graph, node_id(graph, node), "begin", part);
    graph_set_int(graph, node_id(graph, node), "end", part + 1);
}

static void rewrite_node(Graph *graph, const Analysis *a, Node *node, const Packed *packed) {
    if (node->op == OP_EMBED) {
        rewrite_embed(graph, a, node, packed);
    } else if (node->op == OP_ATTENTION) {
        node->in[3] = packed->cu_seqlens;
    } else if (node->op == OP_GATHER && a->domain[node->in[0]] == DOMAIN_TOKENS) {
        ValueId in[2] = {node->in[0], packed->cu_seqlens};
        node_rewrite(graph, node, OP_SELECT_FIRST, in, 2);
    } else if (node->op == OP_SQUEEZE && a->domain[node->in[0]] == DOMAIN_SPLIT) {
        rewrite_squeeze(graph, node);
    }
}

// Renames the token value and gives its old name, which callers know, to the padded output.
static void insert_unpack(Graph *graph, const Analysis *a, int output, const Packed *packed,
                          bool squeeze) {
    ValueId tokens = graph->outputs[output];
    const char *name = graph->values[tokens].name;
    char *inner = arena_printf(&graph->arena, "%s.tokens", name);
    if (!inner) {
        graph->failed = STATUS_OUT_OF_MEMORY;
        return;
    }
    graph->values[tokens].name = inner;
    ValueId in[4] = {tokens, packed->columns, packed->cu_seqlens, a->input_ids};
    NodeId unpack = graph_add_node_n(graph, OP_UNPACK, "", in, 4, &name, 1);
    if (unpack == NO_NODE)
        return;
    graph_set_int(graph, unpack, "squeeze", squeeze);
    graph->outputs[output] = graph->nodes[unpack].out[0];
}

Status pass_make_ragged(Graph *graph, Error *error) {
    Analysis a = {.domain = mem_alloc_zero((size_t)graph->n_values + 16, 1)};
    if (!a.domain)
        return error_out_of_memory(error, (size_t)graph->n_values);
    if (graph_is_ragged(graph) || !analyse(graph, &a)) {
        mem_free(a.domain);
        return STATUS_OK;
    }
    Packed packed = insert_pack(graph, &a);
    if (packed.ids != NO_VALUE) {
        for (int i = 1; i < graph->n_nodes; i++)
            if (!graph->nodes[i].is_dead)
                rewrite_node(graph, &a, &graph->nodes[i], &packed);
        for (int i = 0; i < graph->n_outputs; i++) {
            const Node *producer = graph_producer(graph, graph->outputs[i]);
            if (a.domain[graph->outputs[i]] == DOMAIN_TOKENS)
                insert_unpack(graph, &a, i, &packed, producer && producer->op == OP_COLUMNS);
        }
        graph_compact(graph);
    }
    mem_free(a.domain);
    return graph_status(graph, error);
}

bool graph_is_ragged(const Graph *graph) {
    for (int i = 0; i < graph->n_nodes; i++)
        if (!graph->nodes[i].is_dead && graph->nodes[i].op == OP_PACK)
            return true;
    return false;
}
