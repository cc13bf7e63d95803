// Shape rules of elementwise ops and of MatMul. Where the operands are followed integer vectors,
// the result is computed too.
#include "graph/shape_private.h"

#include <string.h>

// Element i of a vector, or the only one of a scalar.
static SymInt element(SymVector vector, int i) {
    return vector.items[vector.count == 1 ? 0 : i];
}

static bool counts_match(SymVector a, SymVector b) {
    return a.items && b.items && (a.count == b.count || a.count == 1 || b.count == 1);
}

static int joint_count(SymVector a, SymVector b) {
    return a.count == 1 ? b.count : a.count;
}

static bool is_small_output(const ShapeContext *context) {
    ValueId id = context->node->out[0];
    return id != NO_VALUE && context->graph->values[id].has_rank &&
           context->graph->values[id].rank <= 1;
}

static SymInt divide(ShapeContext *context, SymInt a, SymInt b) {
    bool is_wrong;
    if (a.is_known && b.is_known) {
        if (b.value == 0 || (a.value == INT64_MIN && b.value == -1))
            return sym_unknown();
        return sym_known(a.value / b.value);
    }
    return sym_divide(context, &a, 1, &b, 1, &is_wrong);
}

static SymInt compute(ShapeContext *context, SymInt a, SymInt b) {
    switch (context->node->op) {
    case OP_ADD:
        return sym_add(context, a, b);
    case OP_SUB:
        return sym_sub(context, a, b);
    case OP_MUL:
        return sym_mul(context, a, b);
    case OP_DIV:
        return divide(context, a, b);
    case OP_EQUAL:
        if (sym_equal(a, b))
            return sym_known(1);
        return sym_differ(a, b) ? sym_known(0) : sym_unknown();
    default:
        return sym_unknown();
    }
}

static Status binary(ShapeContext *context, DType dtype) {
    const Value *a = shape_input(context, 0);
    const Value *b = shape_input(context, 1);
    TRY(shape_same_dtype(context, a, b));
    if (!a->has_rank || !b->has_rank) {
        shape_set_unranked(context, 0, dtype);
        return STATUS_OK;
    }
    Dim dims[TENSOR_MAX_RANK];
    int rank = a->rank;
    memcpy(dims, a->dims, sizeof(dims));
    TRY(shape_broadcast(context, dims, &rank, b->dims, b->rank));
    TRY(shape_set(context, 0, dtype, dims, rank));
    if (!is_small_output(context))
        return STATUS_OK;
    SymVector x = shape_vector(context, 0);
    SymVector y = shape_vector(context, 1);
    if (!counts_match(x, y))
        return STATUS_OK;
    int count = joint_count(x, y);
    SymInt *items = shape_set_vector(context, 0, count);
    for (int i = 0; items && i < count; i++)
        items[i] = compute(context, element(x, i), element(y, i));
    return STATUS_OK;
}

Status shape_rule_broadcast(ShapeContext *context) {
    const Value *a = shape_input(context, 0);
    const Value *b = shape_input(context, 1);
    return binary(context, a->dtype != DTYPE_UNKNOWN ? a->dtype : b->dtype);
}

Status shape_rule_compare(ShapeContext *context) {
    return binary(context, DTYPE_BOOL);
}

static void where_vector(ShapeContext *context) {
    SymVector condition = shape_vector(context, 0);
    SymVector x = shape_vector(context, 1);
    SymVector y = shape_vector(context, 2);
    if (!counts_match(condition, x) || !counts_match(condition, y) || !counts_match(x, y))
        return;
    int count = joint_count(x, y) == 1 ? condition.count : joint_count(x, y);
    SymInt *items = shape_set_vector(context, 0, count);
    for (int i = 0; items && i < count; i++) {
        SymInt is_x = element(condition, i);
        SymInt from_x = element(x, i);
        SymInt from_y = element(y, i);
        if (is_x.is_known)
            items[i] = is_x.value ? from_x : from_y;
        else if (sym_equal(from_x, from_y))
            items[i] = from_x;
    }
}

Status shape_rule_where(ShapeContext *context) {
    const Value *condition = shape_input(context, 0);
    const Value *x = shape_input(context, 1);
    const Value *y = shape_input(context, 2);
    if (condition->dtype != DTYPE_BOOL && condition->dtype != DTYPE_UNKNOWN)
        return shape_error(context, "the condition %%%s is %s, not bool", condition->name,
                           dtype_name(condition->dtype));
    TRY(shape_same_dtype(context, x, y));
    DType dtype = x->dtype != DTYPE_UNKNOWN ? x->dtype : y->dtype;
    if (!condition->has_rank || !x->has_rank || !y->has_rank) {
        shape_set_unranked(context, 0, dtype);
        return STATUS_OK;
    }
    Dim dims[TENSOR_MAX_RANK];
    int rank = condition->rank;
    memcpy(dims, condition->dims, sizeof(dims));
    TRY(shape_broadcast(context, dims, &rank, x->dims, x->rank));
    TRY(shape_broadcast(context, dims, &rank, y->dims, y->rank));
    TRY(shape_set(context, 0, dtype, dims, rank));
    if (is_small_output(context))
        where_vector(context);
    return STATUS_OK;
}

Status shape_rule_cast(ShapeContext *context) {
    const Value *x = shape_input(context, 0);
    int64_t to = node_int(context->node, "to", 0);
    DType dtype = dtype_from_onnx(to);
    if (dtype == DTYPE_UNKNOWN)
        return shape_error(context, "cannot cast to ONNX type %lld", (long long)to);
    if (!x->has_rank) {
        shape_set_unranked(context, 0, dtype);
        return STATUS_OK;
    }
    TRY(shape_set(context, 0, dtype, x->dims, x->rank));
    if (dtype == DTYPE_I64) {
        shape_pass_vector(context);
    } else if ((dtype == DTYPE_I32 || dtype == DTYPE_BOOL) && is_small_output(context)) {
        // Narrowing keeps what is a number and fits; a dim's name only into int32.
        SymVector vector = shape_vector(context, 0);
        SymInt *items = vector.items ? shape_set_vector(context, 0, vector.count) : NULL;
        for (int i = 0; items && i < vector.count; i++) {
            SymInt item = vector.items[i];
            if (dtype == DTYPE_BOOL && item.is_known)
                items[i] = sym_known(item.value != 0);
            else if (dtype == DTYPE_I32 &&
                     (!item.is_known || (item.value >= INT32_MIN && item.value <= INT32_MAX)))
                items[i] = item;
        }
    }
    return STATUS_OK;
}

static Status check_axis_attr(ShapeContext *context, int rank) {
    int axis;
    if (rank == 0)
        return STATUS_OK;
    return shape_axis(context, node_int(context->node, "axis", -1), rank, &axis);
}

// Scale and shift of a normalisation over the last dim are as wide as it.
static Status check_norm(ShapeContext *context, const Value *x) {
    const Value *scale = shape_input(context, 1);
    if (x->rank == 0 || node_int(context->node, "axis", -1) != -1)
        return STATUS_OK;
    for (int i = 1; i < 3; i++) {
        scale = shape_input(context, i);
        if (!scale || !scale->has_rank || scale->rank == 0)
            continue;
        Dim width = scale->dims[scale->rank - 1];
        if (dims_conflict(width, x->dims[x->rank - 1]) && !dim_is(width, 1))
            return shape_error(context, "%%%s has width %lld, the input %lld", scale->name,
                               (long long)width.size, (long long)x->dims[x->rank - 1].size);
    }
    return STATUS_OK;
}

// Mean and inverse deviation: the normalised dims shrink to 1.
static Status set_norm_statistics(ShapeContext *context, const Value *x) {
    Dim dims[TENSOR_MAX_RANK];
    int axis = 0;
    memcpy(dims, x->dims, sizeof(dims));
    if (x->rank > 0)
        TRY(shape_axis(context, node_int(context->node, "axis", -1), x->rank, &axis));
    int rank = x->rank;
    for (int i = axis; i < rank; i++)
        dims[i] = (Dim){.size = 1};
    TRY(shape_set(context, 1, DTYPE_F32, dims, rank));
    return shape_set(context, 2, DTYPE_F32, dims, rank);
}

static void invert_vector(ShapeContext *context) {
    SymVector vector = shape_vector(context, 0);
    SymInt *items = vector.items ? shape_set_vector(context, 0, vector.count) : NULL;
    for (int i = 0; items && i < vector.count; i++) {
        if (vector.items[i].is_known)
            items[i] = sym_known(!vector.items[i].value);
    }
}

Status shape_rule_same(ShapeContext *context) {
    const Value *x = shape_input(context, 0);
    OpKind op = context->node->op;
    if (op == OP_NOT && x->dtype != DTYPE_BOOL && x->dtype != DTYPE_UNKNOWN)
        return shape_error(context, "%%%s is %s, not bool", x->name, dtype_name(x->dtype));
    if (!x->has_rank) {
        shape_set_unranked(context, 0, x->dtype);
        return STATUS_OK;
    }
    if (op == OP_SOFTMAX || op == OP_LAYER_NORMALIZATION)
        TRY(check_axis_attr(context, x->rank));
    if (op == OP_LAYER_NORMALIZATION || op == OP_LAYER_NORM)
        TRY(check_norm(context, x));
    SymInt axis = op == OP_CUMSUM ? shape_scalar(context, 1) : sym_unknown();
    int resolved;
    if (axis.is_known)
        TRY(shape_axis(context, axis.value, x->rank, &resolved));
    TRY(shape_set(context, 0, x->dtype, x->dims, x->rank));
    if (op == OP_LAYER_NORMALIZATION && context->node->n_out > 1)
        return set_norm_statistics(context, x);
    if (op == OP_IDENTITY)
        shape_pass_vector(context);
    if (op == OP_NOT && is_small_output(context))
        invert_vector(context);
    return STATUS_OK;
}

// As numpy: a vector on the left is a row, on the right a column, and that dim is dropped again.
Status shape_rule_matmul(ShapeContext *context) {
    const Value *a = shape_input(context, 0);
    const Value *b = shape_input(context, 1);
    TRY(shape_same_dtype(context, a, b));
    DType dtype = a->dtype != DTYPE_UNKNOWN ? a->dtype : b->dtype;
    if (!a->has_rank || !b->has_rank) {
        shape_set_unranked(context, 0, dtype);
        return STATUS_OK;
    }
    if (a->rank == 0 || b->rank == 0)
        return shape_error(context, "%%%s is a scalar", a->rank == 0 ? a->name : b->name);
    Dim inner_a = a->dims[a->rank - 1];
    Dim inner_b = b->dims[b->rank == 1 ? 0 : b->rank - 2];
    if (dims_conflict(inner_a, inner_b))
        return shape_error(context, "%%%s has %lld columns, %%%s has %lld rows", a->name,
                           (long long)inner_a.size, b->name, (long long)inner_b.size);
    Dim dims[TENSOR_MAX_RANK];
    int rank = a->rank > 2 ? a->rank - 2 : 0;
    memcpy(dims, a->dims, sizeof(dims));
    TRY(shape_broadcast(context, dims, &rank, b->dims, b->rank > 2 ? b->rank - 2 : 0));
    if (a->rank > 1)
        dims[rank++] = a->dims[a->rank - 2];
    if (b->rank > 1)
        dims[rank++] = b->dims[b->rank - 1];
    return shape_set(context, 0, dtype, dims, rank);
}
