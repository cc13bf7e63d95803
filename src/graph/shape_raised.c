// Shape rules of the ops that passes raise nodes to. Token values are [T, width] in the ragged form
// and [batch, sequence, width] in the padded one; the rules take both, by rank.
#include "graph/shape_private.h"

#include <string.h>

static const Dim tokens = {.size = -1, .symbol = "T"};
static const Dim sequences = {.size = -1, .symbol = "B"};
static const Dim boundaries = {.size = -1, .symbol = "B+1"};

// Width of one part of a linear, its inner dim checked against the input's width.
static Status part_width(ShapeContext *context, int i, bool is_transposed, Dim width, Dim *out) {
    const Value *weight = shape_input(context, i);
    const Value *bias = shape_input(context, i + 1);
    if (!weight)
        return shape_error(context, "weight %d is missing", i);
    *out = (Dim){.size = -1};
    if (weight->has_rank) {
        if (weight->rank != 2)
            return shape_error(context, "weight %%%s has rank %d, not 2", weight->name,
                               weight->rank);
        *out = weight->dims[is_transposed ? 0 : 1];
        Dim inner = weight->dims[is_transposed ? 1 : 0];
        if (dims_conflict(inner, width))
            return shape_error(context, "weight %%%s takes width %lld, the input has %lld",
                               weight->name, (long long)inner.size, (long long)width.size);
    }
    if (bias && bias->has_rank && (bias->rank != 1 || dims_conflict(bias->dims[0], *out)))
        return shape_error(context, "bias %%%s does not fit weight %%%s", bias->name, weight->name);
    return STATUS_OK;
}

Status shape_rule_linear(ShapeContext *context) {
    const Node *node = context->node;
    const Value *x = shape_input(context, 0);
    const Value *residual = shape_input(context, 1);
    int64_t parts = node_int(node, "parts", 1);
    bool is_transposed = node_int(node, "transposed", 0) != 0;
    if (parts < 1 || parts != (node->n_in - 2) / 2 || node->n_in % 2 != 0)
        return shape_error(context, "%d inputs for %lld parts", node->n_in, (long long)parts);
    if (x->has_rank && x->rank == 0)
        return shape_error(context, "%%%s is a scalar", x->name);
    Dim width = x->has_rank ? x->dims[x->rank - 1] : (Dim){.size = -1};
    SymInt total = sym_known(0);
    for (int i = 2; i < node->n_in; i += 2) {
        Dim part;
        TRY(part_width(context, i, is_transposed, width, &part));
        total = sym_add(context, total, sym_from_dim(part));
    }
    if (!x->has_rank) {
        shape_set_unranked(context, 0, x->dtype);
        return STATUS_OK;
    }
    Dim dims[TENSOR_MAX_RANK];
    memcpy(dims, x->dims, sizeof(dims));
    dims[x->rank - 1] = dim_from_sym(total);
    for (int i = 0; residual && residual->has_rank && i < x->rank; i++) {
        if (residual->rank != x->rank || dims_conflict(residual->dims[i], dims[i]))
            return shape_error(context, "residual %%%s does not have the output's shape",
                               residual->name);
    }
    return shape_set(context, 0, x->dtype, dims, x->rank);
}

// `heads` heads of `head_dim` columns from `offset` on must lie inside input i.
static Status check_columns(ShapeContext *context, int i, const char *offset_name, int64_t heads,
                            int64_t head_dim) {
    const Value *value = shape_input(context, i);
    int64_t end;
    int64_t offset = node_int(context->node, offset_name, 0);
    if (!value)
        return shape_error(context, "input %d is missing", i);
    if (value->has_rank && value->rank == 0)
        return shape_error(context, "%%%s is a scalar", value->name);
    bool is_over = __builtin_mul_overflow(heads, head_dim, &end) ||
                   __builtin_add_overflow(end, offset, &end) || offset < 0;
    if (!is_over && value->has_rank) {
        Dim width = value->dims[value->rank - 1];
        is_over = width.size >= 0 && end > width.size;
    }
    if (is_over)
        return shape_error(context, "%lld heads of %lld from column %lld on exceed %%%s",
                           (long long)heads, (long long)head_dim, (long long)offset, value->name);
    return STATUS_OK;
}

Status shape_rule_attention(ShapeContext *context) {
    const Value *q = shape_input(context, 0);
    int64_t heads = node_int(context->node, "heads", 0);
    int64_t kv_heads = node_int(context->node, "kv_heads", heads);
    int64_t head_dim = node_int(context->node, "head_dim", 0);
    if (heads < 1 || kv_heads < 1 || head_dim < 1 || heads % kv_heads != 0)
        return shape_error(context, "heads %lld, kv_heads %lld, head_dim %lld", (long long)heads,
                           (long long)kv_heads, (long long)head_dim);
    TRY(check_columns(context, 0, "q_offset", heads, head_dim));
    TRY(check_columns(context, 1, "k_offset", kv_heads, head_dim));
    TRY(check_columns(context, 2, "v_offset", kv_heads, head_dim));
    if (!q->has_rank) {
        shape_set_unranked(context, 0, q->dtype);
        return STATUS_OK;
    }
    Dim dims[TENSOR_MAX_RANK];
    memcpy(dims, q->dims, sizeof(dims));
    dims[q->rank - 1] = (Dim){.size = heads * head_dim};
    return shape_set(context, 0, q->dtype, dims, q->rank);
}

Status shape_rule_embed(ShapeContext *context) {
    Dim dims[TENSOR_MAX_RANK] = {0};
    int rank = 0;
    bool is_ranked = true;
    Dim width = {.size = -1};
    DType dtype = DTYPE_UNKNOWN;
    if (context->node->n_in % 2 != 0)
        return shape_error(context, "ids and tables do not come in pairs");
    for (int i = 0; i < context->node->n_in; i += 2) {
        const Value *ids = shape_input(context, i);
        const Value *table = shape_input(context, i + 1);
        if (!ids || !table)
            return shape_error(context, "pair %d is incomplete", i / 2);
        TRY(shape_expect_int(context, i));
        dtype = dtype == DTYPE_UNKNOWN ? table->dtype : dtype;
        is_ranked = is_ranked && ids->has_rank;
        if (ids->has_rank)
            TRY(shape_broadcast(context, dims, &rank, ids->dims, ids->rank));
        if (!table->has_rank)
            continue;
        if (table->rank != 2 || dims_conflict(width, table->dims[1]))
            return shape_error(context, "table %%%s does not have the width of the others",
                               table->name);
        width = width.size >= 0 ? width : table->dims[1];
    }
    if (!is_ranked) {
        shape_set_unranked(context, 0, dtype);
        return STATUS_OK;
    }
    if (rank == TENSOR_MAX_RANK)
        return shape_error(context, "ids have rank %d", rank);
    dims[rank++] = width;
    return shape_set(context, 0, dtype, dims, rank);
}

Status shape_rule_pack(ShapeContext *context) {
    for (int i = 0; i < context->node->n_in; i++) {
        const Value *value = shape_input(context, i);
        TRY(shape_expect_int(context, i));
        if (value && value->has_rank && value->rank != 2)
            return shape_error(context, "%%%s has rank %d, not [batch, sequence]", value->name,
                               value->rank);
    }
    for (int i = 0; i < 4; i++)
        TRY(shape_set(context, i, DTYPE_I32, &tokens, 1));
    return shape_set(context, 4, DTYPE_I32, &boundaries, 1);
}

Status shape_rule_unpack(ShapeContext *context) {
    const Value *x = shape_input(context, 0);
    const Value *ids = shape_input(context, 3);
    bool is_squeezed = node_int(context->node, "squeeze", 0) != 0;
    if (!ids)
        return shape_error(context, "input 3 is missing");
    if ((x->has_rank && x->rank != 2) || (ids->has_rank && ids->rank != 2))
        return shape_error(context, "takes tokens [T, width] and ids [batch, sequence]");
    Dim width = x->has_rank ? x->dims[1] : (Dim){.size = -1};
    if (is_squeezed && width.size >= 0 && width.size != 1)
        return shape_error(context, "width %lld cannot be squeezed", (long long)width.size);
    Dim unknown = {.size = -1};
    Dim dims[3] = {ids->has_rank ? ids->dims[0] : unknown, ids->has_rank ? ids->dims[1] : unknown,
                   width};
    return shape_set(context, 0, x->dtype, dims, is_squeezed ? 2 : 3);
}

Status shape_rule_select_first(ShapeContext *context) {
    const Value *x = shape_input(context, 0);
    if (x->has_rank && x->rank != 2)
        return shape_error(context, "%%%s has rank %d, not [T, width]", x->name, x->rank);
    Dim dims[2] = {sequences, x->has_rank ? x->dims[1] : (Dim){.size = -1}};
    return shape_set(context, 0, x->dtype, dims, 2);
}

Status shape_rule_columns(ShapeContext *context) {
    const Value *x = shape_input(context, 0);
    int64_t begin = node_int(context->node, "begin", 0);
    int64_t end = node_int(context->node, "end", -1);
    if (!x->has_rank) {
        shape_set_unranked(context, 0, x->dtype);
        return STATUS_OK;
    }
    Dim width = x->rank > 0 ? x->dims[x->rank - 1] : (Dim){.size = 0};
    if (x->rank == 0 || begin < 0 || end < begin || (width.size >= 0 && end > width.size))
        return shape_error(context, "columns %lld to %lld of %%%s", (long long)begin,
                           (long long)end, x->name);
    Dim dims[TENSOR_MAX_RANK];
    memcpy(dims, x->dims, sizeof(dims));
    dims[x->rank - 1] = (Dim){.size = end - begin};
    return shape_set(context, 0, x->dtype, dims, x->rank);
}
