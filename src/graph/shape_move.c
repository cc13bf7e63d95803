// Shape rules of ops that give the same elements another shape. Followed integer vectors are
// carried along. Gather, Slice and what else selects or joins is shape_select.c.
#include "graph/shape_private.h"

#include <string.h>

Status shape_rule_transpose(ShapeContext *context) {
    const Value *x = shape_input(context, 0);
    const Attr *perm = node_attr(context->node, "perm");
    bool has_perm = perm && perm->kind == ATTR_INTS;
    if (!x->has_rank) {
        shape_set_unranked(context, 0, x->dtype);
        return STATUS_OK;
    }
    if (has_perm && perm->count != (size_t)x->rank)
        return shape_error(context, "perm has %zu entries for rank %d", perm->count, x->rank);
    Dim dims[TENSOR_MAX_RANK];
    bool seen[TENSOR_MAX_RANK] = {false};
    for (int i = 0; i < x->rank; i++) {
        int64_t from = has_perm ? perm->ints[i] : x->rank - 1 - i;
        if (from < 0 || from >= x->rank || seen[from])
            return shape_error(context, "perm is not a permutation");
        seen[from] = true;
        dims[i] = x->dims[from];
    }
    return shape_set(context, 0, x->dtype, dims, x->rank);
}

// ---- Reshape ----

// The elements of the shape input i, whose count is the output's rank; unknown ones when only the
// count is known. False when not even that is.
static bool read_target(ShapeContext *context, int i, SymInt *target, int64_t *rank) {
    SymVector vector = shape_vector(context, i);
    const Value *value = shape_input(context, i);
    if (!vector.items) {
        if (!value->has_rank || value->rank != 1 || value->dims[0].size < 0)
            return false;
        *rank = value->dims[0].size;
        for (int j = 0; j < TENSOR_MAX_RANK; j++)
            target[j] = sym_unknown();
        return true;
    }
    *rank = vector.count;
    for (int j = 0; j < vector.count && j < TENSOR_MAX_RANK; j++)
        target[j] = vector.items[j];
    return true;
}

// What a Reshape still has to divide: dims of the input over dims already given. The one dim that
// is not given (-1, or one element that is not known) is the quotient.
typedef struct Division {
    SymInt over[TENSOR_MAX_RANK], under[TENSOR_MAX_RANK];
    int n_over, n_under;
    int open;       // index of the open dim, or -1
    int n_unknown;  // elements that are neither numbers nor names
    bool has_minus; // -1 was written
} Division;

static Status divide_dims(ShapeContext *context, const Value *x, const SymInt *target, int rank,
                          Dim *dims, Division *division) {
    bool allow_zero = node_int(context->node, "allowzero", 0) != 0;
    bool is_copied[TENSOR_MAX_RANK] = {false};
    division->open = -1;
    for (int i = 0; i < rank; i++) {
        dims[i] = dim_from_sym(target[i]);
        if (sym_is(target[i], 0) && !allow_zero) {
            if (i >= x->rank)
                return shape_error(context, "dim %d copies a dim that the input lacks", i);
            dims[i] = x->dims[i];
            is_copied[i] = true;
        } else if (sym_is(target[i], -1)) {
            if (division->has_minus)
                return shape_error(context, "the shape has -1 twice");
            division->has_minus = true;
            division->open = i;
        } else if (target[i].is_known && target[i].value < 0) {
            return shape_error(context, "the shape has dim %lld", (long long)target[i].value);
        } else if (!target[i].is_known && !target[i].symbol) {
            division->n_unknown++;
            division->open = division->has_minus ? division->open : i;
        } else {
            division->under[division->n_under++] = target[i];
        }
    }
    for (int i = 0; i < x->rank; i++) {
        if (!is_copied[i])
            division->over[division->n_over++] = sym_from_dim(x->dims[i]);
    }
    return STATUS_OK;
}

static Status reshape_dims(ShapeContext *context, const Value *x, const SymInt *target, int rank,
                           Dim *dims) {
    Division division = {0};
    TRY(divide_dims(context, x, target, rank, dims, &division));
    if (division.n_unknown + (division.has_minus ? 1 : 0) > 1)
        return STATUS_OK;
    bool is_wrong;
    SymInt rest = sym_divide(context, division.over, division.n_over, division.under,
                             division.n_under, &is_wrong);
    if (is_wrong)
        return shape_error(context, "%%%s cannot be divided into this shape", x->name);
    if (division.open >= 0)
        dims[division.open] = dim_from_sym(rest);
    else if (rest.is_known && rest.value != 1)
        return shape_error(context, "%%%s has %lld times as many elements as the shape", x->name,
                           (long long)rest.value);
    return STATUS_OK;
}

Status shape_rule_reshape(ShapeContext *context) {
    const Value *x = shape_input(context, 0);
    SymInt target[TENSOR_MAX_RANK];
    int64_t rank;
    TRY(shape_expect_int(context, 1));
    if (!read_target(context, 1, target, &rank)) {
        shape_set_unranked(context, 0, x->dtype);
        return STATUS_OK;
    }
    if (rank > TENSOR_MAX_RANK)
        return shape_error(context, "rank %lld is above the limit", (long long)rank);
    Dim dims[TENSOR_MAX_RANK];
    if (x->has_rank) {
        TRY(reshape_dims(context, x, target, (int)rank, dims));
    } else {
        // A written 0 copies a dim that is not known here.
        for (int i = 0; i < rank; i++)
            dims[i] = sym_is(target[i], 0) ? (Dim){.size = -1} : dim_from_sym(target[i]);
    }
    TRY(shape_set(context, 0, x->dtype, dims, (int)rank));
    shape_pass_vector(context);
    return STATUS_OK;
}

// ---- Squeeze and Unsqueeze ----

// Marks axes of a tensor of rank `rank`; *is_known false when they are not constant.
static Status read_axes(ShapeContext *context, int rank, bool *is_marked, bool *is_known) {
    int64_t axes[SHAPE_MAX_ELEMENTS];
    int count;
    *is_known = shape_numbers(context, 1, axes, &count);
    for (int i = 0; i < count; i++) {
        int axis;
        TRY(shape_axis(context, axes[i], rank, &axis));
        if (is_marked[axis])
            return shape_error(context, "axis %d is named twice", axis);
        is_marked[axis] = true;
    }
    return STATUS_OK;
}

Status shape_rule_squeeze(ShapeContext *context) {
    const Value *x = shape_input(context, 0);
    bool is_marked[TENSOR_MAX_RANK] = {false};
    bool is_known = true;
    if (x->has_rank && !shape_is_missing(context, 1))
        TRY(read_axes(context, x->rank, is_marked, &is_known));
    for (int i = 0; i < x->rank && shape_is_missing(context, 1); i++) {
        is_marked[i] = x->dims[i].size == 1;
        is_known = is_known && x->dims[i].size >= 0;
    }
    if (!x->has_rank || !is_known) {
        shape_set_unranked(context, 0, x->dtype);
        return STATUS_OK;
    }
    Dim dims[TENSOR_MAX_RANK];
    int rank = 0;
    for (int i = 0; i < x->rank; i++) {
        if (is_marked[i] && x->dims[i].size >= 0 && x->dims[i].size != 1)
            return shape_error(context, "axis %d of %%%s has size %lld", i, x->name,
                               (long long)x->dims[i].size);
        if (!is_marked[i])
            dims[rank++] = x->dims[i];
    }
    TRY(shape_set(context, 0, x->dtype, dims, rank));
    shape_pass_vector(context);
    return STATUS_OK;
}

Status shape_rule_unsqueeze(ShapeContext *context) {
    const Value *x = shape_input(context, 0);
    SymVector axes = shape_vector(context, 1);
    bool is_marked[TENSOR_MAX_RANK] = {false};
    bool is_known;
    if (!x->has_rank || !axes.items) {
        shape_set_unranked(context, 0, x->dtype);
        return STATUS_OK;
    }
    int rank = x->rank + axes.count;
    if (rank > TENSOR_MAX_RANK)
        return shape_error(context, "rank %d is above the limit", rank);
    TRY(read_axes(context, rank, is_marked, &is_known));
    if (!is_known) {
        shape_set_unranked(context, 0, x->dtype);
        return STATUS_OK;
    }
    Dim dims[TENSOR_MAX_RANK];
    int from = 0;
    for (int i = 0; i < rank; i++)
        dims[i] = is_marked[i] ? (Dim){.size = 1} : x->dims[from++];
    TRY(shape_set(context, 0, x->dtype, dims, rank));
    shape_pass_vector(context);
    return STATUS_OK;
}

// ---- Expand ----

Status shape_rule_expand(ShapeContext *context) {
    const Value *x = shape_input(context, 0);
    SymInt target[TENSOR_MAX_RANK];
    int64_t target_rank;
    TRY(shape_expect_int(context, 1));
    bool is_known = read_target(context, 1, target, &target_rank);
    if (!x->has_rank || !is_known) {
        shape_set_unranked(context, 0, x->dtype);
        return STATUS_OK;
    }
    if (target_rank > TENSOR_MAX_RANK)
        return shape_error(context, "rank %lld is above the limit", (long long)target_rank);
    Dim other[TENSOR_MAX_RANK];
    for (int i = 0; i < target_rank; i++) {
        if (target[i].is_known && target[i].value < 0)
            return shape_error(context, "the shape has dim %lld", (long long)target[i].value);
        other[i] = dim_from_sym(target[i]);
    }
    Dim dims[TENSOR_MAX_RANK];
    int rank = x->rank;
    memcpy(dims, x->dims, sizeof(dims));
    TRY(shape_broadcast(context, dims, &rank, other, (int)target_rank));
    TRY(shape_set(context, 0, x->dtype, dims, rank));
    SymInt only = shape_scalar(context, 0);
    if (rank > 1 || (rank == 1 && dims[0].size < 0))
        return STATUS_OK;
    if (rank == 0 || x->rank == 0 || value_count(x) == 1) {
        int64_t count = rank == 0 ? 1 : dims[0].size;
        SymInt *items =
            count <= SHAPE_MAX_ELEMENTS ? shape_set_vector(context, 0, (int)count) : NULL;
        for (int64_t i = 0; items && i < count; i++)
            items[i] = only;
    } else {
        shape_pass_vector(context);
    }
    return STATUS_OK;
}
