// Packs weights while compiling: one aligned block holds every packed matrix and small vector of
// the model, and the steps point into it. The block is mapped from a file that an earlier start
// left, or it is packed, into such a file where one is kept and else into memory.
//
// Where activations become bytes, each step runs on a sample as soon as it is filled: the factors
// that this gives divide the weights of the products behind it while they are packed.
//
// Source pages are dropped as soon as a matrix is packed, so that loading needs the packed size and
// one matrix, not twice the model.
#include "base/checked.h"
#include "providers/cpu/cpu.h"

enum { WEIGHT_ALIGN = 64, PANELS_PER_TASK = 4 };

typedef struct Preparing {
    Compiled *compiled;
    const Graph *graph;
    const CompileOptions *options;
    size_t used;     // of compiled->weights; while measuring, of a block that does not exist yet
    bool is_filling; // else pointers are set only
    ArtifactDraft *draft;     // that is being filled, or NULL
    Calibration *calibration; // runs each step once it is filled; NULL for nothing
    Error *error;
} Preparing;

// Takes `bytes` from the block; NULL while measuring. False on overflow.
static bool take(Preparing *p, size_t bytes, void **out) {
    size_t aligned;
    *out = p->compiled->weights ? p->compiled->weights + p->used : NULL;
    return size_align(&aligned, bytes, WEIGHT_ALIGN) && size_add(&p->used, p->used, aligned);
}

static KernelType value_kernel_type(const Value *value) {
    return value->dtype == DTYPE_F16    ? KERNEL_F16
           : value->dtype == DTYPE_BF16 ? KERNEL_BF16
                                        : KERNEL_F32;
}

// A constant vector of `count` floats.
static Status take_vector(Preparing *p, ValueId id, size_t count, float **out) {
    void *block;
    const Value *value = &p->graph->values[id];
    if (value_count(value) != count || !value->data)
        return error_set(p->error, STATUS_CORRUPT,
                         "constant '%s' has not the %zu values its use needs", value->name, count);
    if (!take(p, count * sizeof(float), &block))
        return error_out_of_memory(p->error, count);
    *out = block;
    if (p->is_filling)
        p->compiled->kernels.move.to_f32(count, value->data, value_kernel_type(value), *out);
    return STATUS_OK;
}

// Filled by the calibration, before a product needs it.
static Status take_factors(Preparing *p, Step *step) {
    void *block;
    size_t count = factor_elements(p->compiled->slots[step->out].width);
    if (!take(p, count * sizeof(float), &block))
        return error_out_of_memory(p->error, count);
    step->factors = block;
    if (p->is_filling)
        memset(block, 0, count * sizeof(float));
    return STATUS_OK;
}

// The factors of the rows that a product takes, or NULL.
static const float *input_factors(const Compiled *compiled, const Step *step) {
    bool is_bytes = step->linear.scales != NO_SLOT;
    return is_bytes ? compiled->steps[compiled->slots[step->in].first].factors : NULL;
}

typedef struct PackTask {
    const GemmKernel *kernel;
    const QuantizeKernels *quantize;
    const LinearPart *part;
    const float *factors; // of the rows that the product takes, or NULL
    float *scratch;       // with factors: [members][PANELS_PER_TASK * nr, k]
    size_t panels;
} PackTask;

// Panels first .. first + count - 1 of the weights, divided by the factors of their rows.
static void pack_divided(const PackTask *task, size_t first, size_t count, int member) {
    const LinearPart *part = task->part;
    GemmSource source = part->source;
    const size_t nr = task->kernel->nr, column = first * nr;
    const size_t columns = column + count * nr < part->n ? count * nr : part->n - column;
    float *own = task->scratch + (size_t)member * PANELS_PER_TASK * nr * part->k;
    task->quantize->divide(columns, part->k,
                           (const uint8_t *)source.data +
                               column * source.stride_n * (source.type == KERNEL_F32 ? 4 : 2),
                           source.type, source.stride_n, source.stride_k, task->factors, own);
    source = source.stride_k == 1 ? (GemmSource){own, KERNEL_F32, part->k, 1}
                                  : (GemmSource){own, KERNEL_F32, 1, columns};
    // gemm_pack counts columns from the start of W.
    source.data = (const void *)((uintptr_t)own - column * source.stride_n * sizeof(float));
    gemm_pack(task->kernel, part->packed, part->n, part->k, &source, first, count);
}

static void pack_some(void *ctx, size_t i, int member) {
    const PackTask *task = ctx;
    const LinearPart *part = task->part;
    size_t first = i * PANELS_PER_TASK, left = task->panels - first;
    size_t count = left < PANELS_PER_TASK ? left : PANELS_PER_TASK;
    if (task->factors)
        pack_divided(task, first, count, member);
    else
        gemm_pack(task->kernel, part->packed, part->n, part->k, &part->source, first, count);
}

static Status pack_part(Preparing *p, const Step *step, const LinearPart *part) {
    const GemmKernel *kernel = step->linear.kernel;
    PackTask task = {.kernel = kernel,
                     .quantize = &p->compiled->reduced.quantize,
                     .part = part,
                     .factors = input_factors(p->compiled, step),
                     .panels = gemm_panel_count(kernel, part->n)};
    if (task.factors) {
        size_t bytes, members = (size_t)pool_threads(p->options->pool);
        if (!size_mul(&bytes, members * PANELS_PER_TASK * kernel->nr * sizeof(float), part->k) ||
            !(task.scratch = mem_alloc_aligned(bytes, WEIGHT_ALIGN)))
            return error_out_of_memory(p->error, part->k);
    }
    const Value *weight = &p->graph->values[part->weight];
    const FileMap *map = p->options->constant_map(p->options->ctx, part->weight);
    size_t offset = map ? (size_t)((const uint8_t *)weight->data - map->data) : 0;
    if (map)
        file_map_will_need(map, offset, weight->data_size);
    pool_for_1d(p->options->pool, (task.panels + PANELS_PER_TASK - 1) / PANELS_PER_TASK, pack_some,
                &task);
    if (map)
        file_map_drop(map, offset, weight->data_size);
    if (p->draft)
        artifact_draft_flush(p->draft, (size_t)((uint8_t *)part->packed - p->compiled->weights),
                             part->packed_bytes);
    mem_free_aligned(task.scratch);
    return STATUS_OK;
}

static Status prepare_linear(Preparing *p, Step *step) {
    const GemmKernel *kernel = step->linear.kernel;
    for (size_t i = 0; i < step->linear.count; i++) {
        LinearPart *part = &step->linear.parts[i];
        part->packed_bytes = gemm_packed_bytes(kernel, part->n, part->k);
        if (part->packed_bytes == 0 || !take(p, part->packed_bytes, &part->packed))
            return error_out_of_memory(p->error, part->n);
        if (p->is_filling)
            TRY(pack_part(p, step, part));
        if (part->bias != NO_VALUE)
            TRY(take_vector(p, part->bias, part->n, &part->bias_values));
    }
    return STATUS_OK;
}

// bias[h][r] = table[index[r]][h] for r in [0, 2 * center]: the score bias by distance r - center.
static Status prepare_attention(Preparing *p, Step *step) {
    if (step->attention.bias_table == NO_VALUE)
        return STATUS_OK;
    const Value *table = &p->graph->values[step->attention.bias_table];
    size_t heads = step->attention.heads, count = 2 * step->attention.bias_center + 1, bytes;
    void *block;
    if (table->rank != 2 || !table->data || (size_t)table->dims[1].size != heads)
        return error_set(p->error, STATUS_CORRUPT, "bias table '%s' is not [buckets, %zu]",
                         table->name, heads);
    if (!size_mul(&bytes, heads * sizeof(float), count) || !take(p, bytes, &block))
        return error_out_of_memory(p->error, count);
    step->attention.bias = block;
    if (!p->is_filling)
        return STATUS_OK;
    size_t element = dtype_size(table->dtype);
    for (size_t r = 0; r < count; r++) {
        int64_t row;
        if (!value_int_at(p->graph, step->attention.bias_index, r, &row) || row < 0 ||
            row >= table->dims[0].size)
            return error_set(p->error, STATUS_CORRUPT, "bias index %zu is outside table '%s'", r,
                             table->name);
        for (size_t h = 0; h < heads; h++)
            p->compiled->kernels.move.to_f32(
                1, (const uint8_t *)table->data + ((size_t)row * heads + h) * element,
                value_kernel_type(table), &step->attention.bias[h * count + r]);
    }
    return STATUS_OK;
}

static Status prepare_steps(Preparing *p) {
    p->used = 0;
    for (size_t i = 0; i < p->compiled->n_steps; i++) {
        Step *step = &p->compiled->steps[i];
        if (step_has_factors(step))
            TRY(take_factors(p, step));
        if (step->kind == STEP_LINEAR) {
            TRY(prepare_linear(p, step));
        } else if (step->kind == STEP_ATTENTION) {
            TRY(prepare_attention(p, step));
        } else if (step->kind == STEP_LAYER_NORM) {
            size_t dim = p->compiled->slots[step->in].width;
            TRY(take_vector(p, step->norm.scale_value, dim, &step->norm.scale));
            if (step->norm.shift_value != NO_VALUE)
                TRY(take_vector(p, step->norm.shift_value, dim, &step->norm.shift));
        }
        if (p->calibration)
            calibration_step(p->calibration, i);
    }
    return STATUS_OK;
}

static Status fill_steps(Preparing *p, uint8_t *weights) {
    p->compiled->weights = weights;
    p->is_filling = true;
    TRY(calibration_new(&p->calibration, p->compiled, p->options->first_position, p->options->pool,
                        p->error));
    Status status = prepare_steps(p);
    calibration_free(p->calibration);
    p->calibration = NULL;
    return status;
}

// Packs into the file that the next start will map. *is_done: it is there; else nothing is.
static Status fill_kept(Preparing *p, const Keeper *keeper, bool *is_done) {
    *is_done = false;
    p->draft = keeper_begin(keeper);
    if (!p->draft)
        return STATUS_OK;
    Status status = fill_steps(p, artifact_draft_data(p->draft));
    if (status != STATUS_OK)
        artifact_discard(p->draft);
    else
        *is_done = keeper_publish(&p->compiled->kept, keeper, p->draft);
    p->draft = NULL;
    if (!*is_done)
        p->compiled->weights = NULL;
    return status;
}

Status cpu_prepare_weights(Compiled *compiled, const Graph *graph, const CompileOptions *options,
                           Error *error) {
    Preparing p = {.compiled = compiled, .graph = graph, .options = options, .error = error};
    TRY(prepare_steps(&p)); // measures
    size_t bytes;
    if (!size_add(&bytes, p.used, WEIGHT_ALIGN))
        return error_out_of_memory(error, p.used);
    compiled->weights_bytes = p.used;
    Keeper keeper;
    keeper_init(&keeper, compiled, graph, options, bytes);
    if (keeper_open(&compiled->kept, &keeper)) {
        compiled->weights = (uint8_t *)(uintptr_t)compiled->kept.data; // read-only
        return prepare_steps(&p);
    }
    bool is_done;
    TRY(fill_kept(&p, &keeper, &is_done));
    if (is_done)
        return STATUS_OK;
    uint8_t *weights = mem_alloc_aligned(bytes, WEIGHT_ALIGN);
    return weights ? fill_steps(&p, weights) : error_out_of_memory(error, bytes);
}
