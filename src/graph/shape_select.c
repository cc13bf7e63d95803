// Shape rules of ops that select and join: Gather, Slice, Shape, Concat, Split, Range. They are
// where followed integer vectors come from, and how a dim's name survives Shape → Gather → Concat.
#include "graph/shape_private.h"

#include <string.h>

// ---- Gather and Slice ----

static void gather_vector(ShapeContext *context) {
    const Value *indices = shape_input(context, 1);
    SymVector data = shape_vector(context, 0);
    SymVector picks = shape_vector(context, 1);
    if (!data.items || !picks.items || indices->rank > 1)
        return;
    SymInt *items = shape_set_vector(context, 0, picks.count);
    for (int i = 0; items && i < picks.count; i++) {
        SymInt pick = picks.items[i];
        if (!pick.is_known)
            continue;
        int64_t at = pick.value < 0 ? pick.value + data.count : pick.value;
        if (at >= 0 && at < data.count)
            items[i] = data.items[at];
    }
}

// A constant index must lie inside a known dim.
static Status check_indices(ShapeContext *context, Dim dim) {
    SymVector picks = shape_vector(context, 1);
    for (int i = 0; picks.items && i < picks.count && dim.size >= 0; i++) {
        SymInt pick = picks.items[i];
        if (pick.is_known && (pick.value < -dim.size || pick.value >= dim.size))
            return shape_error(context, "index %lld is outside of %lld", (long long)pick.value,
                               (long long)dim.size);
    }
    return STATUS_OK;
}

Status shape_rule_gather(ShapeContext *context) {
    const Value *data = shape_input(context, 0);
    const Value *indices = shape_input(context, 1);
    TRY(shape_expect_int(context, 1));
    if (!data->has_rank || !indices->has_rank) {
        shape_set_unranked(context, 0, data->dtype);
        return STATUS_OK;
    }
    int axis;
    TRY(shape_axis(context, node_int(context->node, "axis", 0), data->rank, &axis));
    TRY(check_indices(context, data->dims[axis]));
    int rank = data->rank - 1 + indices->rank;
    if (rank > TENSOR_MAX_RANK)
        return shape_error(context, "rank %d is above the limit", rank);
    Dim dims[TENSOR_MAX_RANK] = {0};
    int at = 0;
    for (int i = 0; i < axis; i++)
        dims[at++] = data->dims[i];
    for (int i = 0; i < indices->rank; i++)
        dims[at++] = indices->dims[i];
    for (int i = axis + 1; i < data->rank; i++)
        dims[at++] = data->dims[i];
    TRY(shape_set(context, 0, data->dtype, dims, rank));
    if (data->rank == 1)
        gather_vector(context);
    return STATUS_OK;
}

static int64_t clamp(int64_t value, int64_t low, int64_t high) {
    return value < low ? low : value > high ? high : value;
}

// Start and element count of a slice of a known dim, with ONNX's clamping.
static void slice_range(int64_t size, int64_t start, int64_t end, int64_t step, int64_t *first,
                        int64_t *count) {
    bool is_back = step < 0;
    start = start < 0 ? start + size : start;
    end = end < 0 ? end + size : end;
    start = is_back ? clamp(start, 0, size - 1) : clamp(start, 0, size);
    end = is_back ? clamp(end, -1, size - 1) : clamp(end, 0, size);
    *first = start;
    *count = 0;
    if (size > 0 && !is_back && end > start)
        *count = (end - start - 1) / step + 1;
    else if (size > 0 && is_back && start > end)
        // Unsigned, because the most negative step has no positive counterpart.
        *count = (int64_t)((uint64_t)(start - end - 1) / (0 - (uint64_t)step)) + 1;
}

// From where exporters mean "to the end".
static bool is_far(SymInt end) {
    return end.is_known && end.value >= INT32_MAX;
}

static Dim slice_dim(ShapeContext *context, Dim dim, SymInt start, SymInt end, SymInt step) {
    if (dim.size >= 0 && start.is_known && end.is_known && step.is_known) {
        int64_t first, count;
        slice_range(dim.size, start.value, end.value, step.value, &first, &count);
        return (Dim){.size = count};
    }
    if (!sym_is(step, 1) || (start.is_known && start.value < 0))
        return (Dim){.size = -1};
    bool is_whole = is_far(end) || sym_equal(end, sym_from_dim(dim));
    if (is_whole && sym_is(start, 0))
        return dim;
    // Cutting a table of known length at a named length: models never ask for more than it has.
    if (dim.size >= 0 && end.symbol)
        return dim_from_sym(sym_sub(context, end, start));
    return (Dim){.size = -1};
}

static void slice_vector(ShapeContext *context, SymInt start, SymInt end, SymInt step) {
    SymVector data = shape_vector(context, 0);
    if (!data.items || !start.is_known || !end.is_known || !step.is_known)
        return;
    int64_t first, count;
    slice_range(data.count, start.value, end.value, step.value, &first, &count);
    SymInt *items = shape_set_vector(context, 0, (int)count);
    for (int64_t i = 0; items && i < count; i++)
        items[i] = data.items[first + i * step.value];
}

typedef struct SliceInputs {
    SymVector starts, ends, axes, steps;
    bool has_axes, has_steps;
} SliceInputs;

// False when it is not known which axes are cut.
static Status read_slice(ShapeContext *context, SliceInputs *in, bool *is_known) {
    in->starts = shape_vector(context, 1);
    in->ends = shape_vector(context, 2);
    in->axes = shape_vector(context, 3);
    in->steps = shape_vector(context, 4);
    in->has_axes = !shape_is_missing(context, 3);
    in->has_steps = !shape_is_missing(context, 4);
    *is_known = in->starts.items && in->ends.items && (!in->has_axes || in->axes.items) &&
                (!in->has_steps || in->steps.items);
    if (*is_known && (in->starts.count != in->ends.count ||
                      (in->has_axes && in->axes.count != in->starts.count) ||
                      (in->has_steps && in->steps.count != in->starts.count)))
        return shape_error(context, "starts, ends, axes and steps differ in length");
    return STATUS_OK;
}

Status shape_rule_slice(ShapeContext *context) {
    const Value *x = shape_input(context, 0);
    SliceInputs in;
    bool is_known;
    for (int i = 1; i < 5; i++)
        TRY(shape_expect_int(context, i));
    if (!x->has_rank) {
        shape_set_unranked(context, 0, x->dtype);
        return STATUS_OK;
    }
    TRY(read_slice(context, &in, &is_known));
    Dim dims[TENSOR_MAX_RANK];
    bool is_cut[TENSOR_MAX_RANK] = {false};
    memcpy(dims, x->dims, sizeof(dims));
    for (int i = 0; i < in.starts.count && is_known; i++) {
        SymInt name = in.has_axes ? in.axes.items[i] : sym_known(i);
        SymInt step = in.has_steps ? in.steps.items[i] : sym_known(1);
        int axis;
        is_known = name.is_known;
        if (!is_known)
            break;
        TRY(shape_axis(context, name.value, x->rank, &axis));
        if (sym_is(step, 0) || is_cut[axis])
            return shape_error(context, "axis %d has step 0 or is named twice", axis);
        is_cut[axis] = true;
        dims[axis] = slice_dim(context, x->dims[axis], in.starts.items[i], in.ends.items[i], step);
    }
    for (int i = 0; i < x->rank && !is_known; i++)
        dims[i] = (Dim){.size = -1};
    TRY(shape_set(context, 0, x->dtype, dims, x->rank));
    if (is_known && x->rank == 1 && in.starts.count == 1)
        slice_vector(context, in.starts.items[0], in.ends.items[0],
                     in.has_steps ? in.steps.items[0] : sym_known(1));
    return STATUS_OK;
}

// ---- Shape, Concat, Split, Range ----

Status shape_rule_shape(ShapeContext *context) {
    const Value *x = shape_input(context, 0);
    Dim dim = {.size = -1};
    if (!x->has_rank)
        return shape_set(context, 0, DTYPE_I64, &dim, 1);
    int64_t start = node_int(context->node, "start", 0);
    int64_t end = node_int(context->node, "end", x->rank);
    start = clamp(start < 0 ? start + x->rank : start, 0, x->rank);
    end = clamp(end < 0 ? end + x->rank : end, 0, x->rank);
    dim.size = end > start ? end - start : 0;
    TRY(shape_set(context, 0, DTYPE_I64, &dim, 1));
    SymInt *items = shape_set_vector(context, 0, (int)dim.size);
    for (int64_t i = 0; items && i < dim.size; i++)
        items[i] = sym_from_dim(x->dims[start + i]);
    return STATUS_OK;
}

static void concat_vectors(ShapeContext *context) {
    SymInt joined[SHAPE_MAX_ELEMENTS];
    int count = 0;
    for (int i = 0; i < context->node->n_in; i++) {
        SymVector part = shape_vector(context, i);
        if (!part.items || count + part.count > SHAPE_MAX_ELEMENTS)
            return;
        memcpy(joined + count, part.items, (size_t)part.count * sizeof(SymInt));
        count += part.count;
    }
    SymInt *items = shape_set_vector(context, 0, count);
    if (items)
        memcpy(items, joined, (size_t)count * sizeof(SymInt));
}

// Merges `other` into `dims`, which must agree but for `axis`, where they add up.
static Status concat_dims(ShapeContext *context, Dim *dims, int rank, int axis,
                          const Value *other) {
    if (other->rank != rank)
        return shape_error(context, "%%%s has rank %d, not %d", other->name, other->rank, rank);
    for (int i = 0; i < rank; i++) {
        if (i == axis) {
            dims[i] =
                dim_from_sym(sym_add(context, sym_from_dim(dims[i]), sym_from_dim(other->dims[i])));
            continue;
        }
        if (dims_conflict(dims[i], other->dims[i]))
            return shape_error(context, "%%%s has %lld in dim %d, not %lld", other->name,
                               (long long)other->dims[i].size, i, (long long)dims[i].size);
        // The dims are equal, so the one that says more stands for both.
        bool is_better = dims[i].size < 0 && (other->dims[i].size >= 0 || !dims[i].symbol);
        dims[i] = is_better ? other->dims[i] : dims[i];
    }
    return STATUS_OK;
}

Status shape_rule_concat(ShapeContext *context) {
    const Node *node = context->node;
    DType dtype = DTYPE_UNKNOWN;
    bool is_ranked = true;
    for (int i = 0; i < node->n_in; i++) {
        const Value *value = shape_input(context, i);
        if (!value)
            return shape_error(context, "input %d is missing", i);
        TRY(shape_same_dtype(context, shape_input(context, 0), value));
        dtype = dtype == DTYPE_UNKNOWN ? value->dtype : dtype;
        is_ranked = is_ranked && value->has_rank;
    }
    if (!node_attr(node, "axis"))
        return shape_error(context, "attribute axis is missing");
    if (!is_ranked) {
        shape_set_unranked(context, 0, dtype);
        return STATUS_OK;
    }
    const Value *first = shape_input(context, 0);
    Dim dims[TENSOR_MAX_RANK];
    int axis;
    int rank = first->rank;
    memcpy(dims, first->dims, sizeof(dims));
    TRY(shape_axis(context, node_int(node, "axis", 0), rank, &axis));
    for (int i = 1; i < node->n_in; i++)
        TRY(concat_dims(context, dims, rank, axis, shape_input(context, i)));
    TRY(shape_set(context, 0, dtype, dims, rank));
    if (rank == 1)
        concat_vectors(context);
    return STATUS_OK;
}

// Sizes of the parts: as given, or equal ones with a smaller last.
static Status split_sizes(ShapeContext *context, Dim dim, SymInt *sizes) {
    int parts = context->node->n_out;
    for (int i = 0; i < parts; i++)
        sizes[i] = sym_unknown();
    if (!shape_is_missing(context, 1)) {
        SymVector given = shape_vector(context, 1);
        SymInt sum = sym_known(0);
        if (!given.items)
            return STATUS_OK;
        if (given.count != parts)
            return shape_error(context, "%d sizes for %d outputs", given.count, parts);
        for (int i = 0; i < parts; i++) {
            if (given.items[i].is_known && given.items[i].value < 0)
                return shape_error(context, "part %d has size %lld", i,
                                   (long long)given.items[i].value);
            sizes[i] = given.items[i];
            sum = sym_add(context, sum, sizes[i]);
        }
        if (dim.size >= 0 && sum.is_known && sum.value != dim.size)
            return shape_error(context, "sizes add up to %lld of %lld", (long long)sum.value,
                               (long long)dim.size);
        return STATUS_OK;
    }
    if (parts == 1)
        sizes[0] = sym_from_dim(dim);
    if (dim.size < 0)
        return STATUS_OK;
    int64_t chunk = dim.size / parts + (dim.size % parts != 0);
    for (int i = 0; i < parts; i++)
        sizes[i] = sym_known(clamp(dim.size - i * chunk, 0, chunk));
    return STATUS_OK;
}

static void split_vector(ShapeContext *context, const SymInt *sizes) {
    SymVector data = shape_vector(context, 0);
    int64_t at = 0;
    for (int i = 0; data.items && i < context->node->n_out && sizes[i].is_known; i++) {
        int64_t count = sizes[i].value;
        if (count > data.count - at)
            return;
        SymInt *items = shape_set_vector(context, i, (int)count);
        if (items)
            memcpy(items, data.items + at, (size_t)count * sizeof(SymInt));
        at += count;
    }
}

Status shape_rule_split(ShapeContext *context) {
    const Node *node = context->node;
    const Value *x = shape_input(context, 0);
    SymInt sizes[SHAPE_MAX_ELEMENTS];
    if (node->n_out > SHAPE_MAX_ELEMENTS)
        return shape_error(context, "%d parts, the limit is %d", node->n_out, SHAPE_MAX_ELEMENTS);
    if (!x->has_rank) {
        for (int i = 0; i < node->n_out; i++)
            shape_set_unranked(context, i, x->dtype);
        return STATUS_OK;
    }
    int axis;
    TRY(shape_axis(context, node_int(node, "axis", 0), x->rank, &axis));
    TRY(split_sizes(context, x->dims[axis], sizes));
    for (int i = 0; i < node->n_out; i++) {
        Dim dims[TENSOR_MAX_RANK];
        memcpy(dims, x->dims, sizeof(dims));
        dims[axis] = dim_from_sym(sizes[i]);
        TRY(shape_set(context, i, x->dtype, dims, x->rank));
    }
    if (x->rank == 1)
        split_vector(context, sizes);
    return STATUS_OK;
}

// Number of elements from start to limit, known numbers only.
static SymInt range_count(int64_t start, int64_t limit, int64_t delta) {
    uint64_t span;
    if (delta > 0 ? limit <= start : limit >= start)
        return sym_known(0);
    span = delta > 0 ? (uint64_t)limit - (uint64_t)start : (uint64_t)start - (uint64_t)limit;
    uint64_t step = delta > 0 ? (uint64_t)delta : 0 - (uint64_t)delta;
    uint64_t count = (span - 1) / step + 1;
    return count <= INT64_MAX ? sym_known((int64_t)count) : sym_unknown();
}

Status shape_rule_range(ShapeContext *context) {
    const Value *first = shape_input(context, 0);
    for (int i = 1; i < 3; i++)
        TRY(shape_same_dtype(context, first, shape_input(context, i)));
    for (int i = 0; i < 3; i++) {
        const Value *value = shape_input(context, i);
        size_t count = value_count(value);
        if (value->has_rank && (value->rank > 1 || count > 1))
            return shape_error(context, "%%%s is no scalar", value->name);
    }
    SymInt start = shape_scalar(context, 0);
    SymInt limit = shape_scalar(context, 1);
    SymInt delta = shape_scalar(context, 2);
    if (sym_is(delta, 0))
        return shape_error(context, "delta is 0");
    SymInt count = sym_unknown();
    if (start.is_known && limit.is_known && delta.is_known)
        count = range_count(start.value, limit.value, delta.value);
    else if (sym_is(delta, 1))
        count = sym_sub(context, limit, start);
    Dim dim = dim_from_sym(count);
    TRY(shape_set(context, 0, first->dtype, &dim, 1));
    if (!count.is_known || count.value > SHAPE_MAX_ELEMENTS || !start.is_known || !delta.is_known)
        return STATUS_OK;
    SymInt *items = shape_set_vector(context, 0, (int)count.value);
    for (int64_t i = 0; items && i < count.value; i++)
        // Unsigned: the product alone may leave int64, the sum does not.
        items[i] =
            sym_known((int64_t)((uint64_t)start.value + (uint64_t)i * (uint64_t)delta.value));
    return STATUS_OK;
}
