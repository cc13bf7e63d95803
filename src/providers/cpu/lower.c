// Graph nodes → steps and slots: the only place that sees graph and kernels together.
//
// Takes the token graph between PACK and UNPACK; those two mark its borders and are no steps: the
// runner lays tokens end to end before and spreads outputs afterwards.
#include "base/checked.h"
#include "providers/cpu/cpu.h"

// Rows of 4096 bytes or a multiple would all fall into the same cache sets.
enum { LD_ALIGN = 16, LD_ALIAS = 1024 };

static size_t row_stride(size_t width) {
    size_t ld = (width + LD_ALIGN - 1) / LD_ALIGN * LD_ALIGN;
    return ld % LD_ALIAS == 0 ? ld + LD_ALIGN : ld;
}

typedef struct Lowering {
    Compiled *compiled;
    const Graph *graph;
    int *slot_of;                // per value
    int *reduced_of, *scales_of; // per value: its rows in reduced precision and their scales
    ValueId ids, types, positions, columns, cu_seqlens;
    Error *error;
} Lowering;

static bool activation_from_name(Activation *out, StrView name) {
    static const char *const names[] = {
        [ACTIVATION_NONE] = "none",       [ACTIVATION_RELU] = "relu",
        [ACTIVATION_GELU] = "gelu",       [ACTIVATION_GELU_TANH] = "gelu_tanh",
        [ACTIVATION_TANH] = "tanh",       [ACTIVATION_SILU] = "silu",
        [ACTIVATION_SIGMOID] = "sigmoid",
    };
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++)
        if (sv_equal_cstr(name, names[i])) {
            *out = (Activation)i;
            return true;
        }
    return false;
}

static KernelType kernel_type(DType dtype) {
    return dtype == DTYPE_F16 ? KERNEL_F16 : dtype == DTYPE_BF16 ? KERNEL_BF16 : KERNEL_F32;
}

const char *cpu_supports(const Graph *graph, const Node *node) {
    (void)graph;
    switch (node->op) {
    case OP_LINEAR:
    case OP_ATTENTION:
    case OP_EMBED:
    case OP_LAYER_NORM:
    case OP_ACTIVATE:
    case OP_ADD:
    case OP_PACK:
    case OP_UNPACK:
    case OP_SELECT_FIRST:
    case OP_COLUMNS:
        return NULL;
    default:
        return "the native engine has no kernel for it outside a text encoder";
    }
}

static Status unsupported(const Lowering *l, const Node *node, const char *why) {
    const char *output = l->graph->values[node->out[0]].name;
    return error_set(l->error, STATUS_UNSUPPORTED, "node '%s' (%s): %s", output,
                     op_info(node->op)->name, why);
}

// The slot of a value that a step reads; extends its life to step `at`.
static Status read_slot(Lowering *l, const Node *node, ValueId value, int at, int *out) {
    int slot = value == NO_VALUE ? NO_SLOT : l->slot_of[value];
    if (slot == NO_SLOT)
        return unsupported(l, node, "reads a value that is not a token value");
    l->compiled->slots[slot].last = at;
    *out = slot;
    return STATUS_OK;
}

static int add_slot(Lowering *l, const Slot *slot) {
    l->compiled->slots[l->compiled->n_slots] = *slot;
    return (int)l->compiled->n_slots++;
}

static const GemmKernel *linear_kernel(const Lowering *l, const Node *node) {
    StrView precision = node_string(node, "precision", SV(""));
    if (sv_equal_cstr(precision, "int8"))
        return &l->compiled->reduced.gemm_bytes;
    if (sv_equal_cstr(precision, "bf16"))
        return &l->compiled->reduced.gemm_bf16;
    return &l->compiled->kernels.gemm_f32;
}

static bool is_reduced_linear(const Node *node) {
    return node->op == OP_LINEAR && node_string(node, "precision", SV("")).len > 0;
}

// Whether every reader of `value` reads it as a query, key or value of `attention` or, where that
// is NULL, as the input of a LINEAR in reduced precision.
static bool is_read_only_by(const Lowering *l, ValueId value, const Node *attention) {
    const Graph *graph = l->graph;
    for (int i = 0; i < graph->n_outputs; i++)
        if (graph->outputs[i] == value)
            return false;
    for (int i = 0; i < graph->n_nodes; i++) {
        const Node *node = &graph->nodes[i];
        for (int j = 0; !node->is_dead && j < node->n_in; j++) {
            const bool is_right =
                attention ? node == attention && j < 3 : is_reduced_linear(node) && j == 0;
            if (node->in[j] == value && !is_right)
                return false;
        }
    }
    return true;
}

// Attention in bf16, where that is fast, between LINEARs in reduced precision.
static bool is_bf16_attention(const Lowering *l, const Node *node) {
    const AttentionKernel *kernel = &l->compiled->reduced.attention;
    if (!kernel->name || (size_t)node_int(node, "head_dim", 0) % kernel->head_unit != 0)
        return false;
    for (int i = 0; i < 3; i++) {
        const Node *producer = graph_producer(l->graph, node->in[i]);
        if (!producer || !is_reduced_linear(producer) || !is_read_only_by(l, node->in[i], node))
            return false;
    }
    return is_read_only_by(l, node->out[0], NULL);
}

// Whether a node's output is kept in bf16: nobody needs more of it. Its rows are operands then, so
// they must be whole units.
static bool is_bf16_output(const Lowering *l, const Node *node, size_t width) {
    const GemmKernel *gemm = &l->compiled->reduced.gemm_bf16;
    if (gemm_row_elements(gemm, width) != width)
        return false;
    if (node->op == OP_ATTENTION)
        return is_bf16_attention(l, node);
    if (!is_reduced_linear(node))
        return false;
    for (int i = 0; i < l->graph->n_nodes; i++) {
        const Node *reader = &l->graph->nodes[i];
        if (!reader->is_dead && reader->op == OP_ATTENTION && is_bf16_attention(l, reader) &&
            (reader->in[0] == node->out[0] || reader->in[1] == node->out[0] ||
             reader->in[2] == node->out[0]))
            return true;
    }
    return l->compiled->reduced.is_bf16_fast && is_read_only_by(l, node->out[0], NULL);
}

// Elements from row to row of reduced precision: whole units of the kernel, and an odd number of
// cache lines, so that rows do not alias.
static size_t reduced_stride(const GemmKernel *kernel, size_t width, size_t element_bytes) {
    const size_t ld = gemm_row_elements(kernel, width);
    return ld * element_bytes % 4096 == 0 ? ld + 64 / element_bytes : ld;
}

static Status make_slot(Lowering *l, const Node *node, int at, int *out) {
    const Value *value = &l->graph->values[node->out[0]];
    if (!value->has_rank || value->rank < 1 || value->dims[value->rank - 1].size <= 0)
        return unsupported(l, node, "has an output of unknown width");
    bool per_sequence = value->dims[0].symbol && strcmp(value->dims[0].symbol, "B") == 0;
    size_t width = (size_t)value->dims[value->rank - 1].size;
    bool is_bf16 = is_bf16_output(l, node, width);
    int slot = add_slot(
        l, &(Slot){.width = width,
                   .ld = is_bf16 ? reduced_stride(&l->compiled->reduced.gemm_bf16, width, 2)
                                 : row_stride(width),
                   .element_bytes = is_bf16 ? 2 : sizeof(float),
                   .per_sequence = per_sequence,
                   .first = at,
                   .last = at});
    l->slot_of[node->out[0]] = slot;
    *out = slot;
    return STATUS_OK;
}

static Status lower_embed(Lowering *l, const Node *node, Step *step) {
    size_t count = (size_t)node->n_in / 2;
    if (count > MAX_TABLES)
        return unsupported(l, node, "adds more tables than supported");
    step->embed.count = count;
    step->kernel = "embed_sum";
    for (size_t i = 0; i < count; i++) {
        ValueId ids = node->in[2 * i];
        const Value *table = &l->graph->values[node->in[2 * i + 1]];
        int64_t constant;
        if (ids == l->ids)
            step->embed.ids[i] = IDS_TOKENS;
        else if (ids == l->types)
            step->embed.ids[i] = IDS_TYPES;
        else if (ids == l->positions)
            step->embed.ids[i] = IDS_POSITIONS;
        else if (value_is_constant(l->graph, ids) && value_int_at(l->graph, ids, 0, &constant) &&
                 constant == 0)
            step->embed.ids[i] = IDS_ZERO;
        else
            return unsupported(l, node, "looks up ids that are not the packed inputs");
        if (!table->data || table->rank != 2)
            return unsupported(l, node, "has a table that is not a matrix with data");
        step->embed.names[i] = table->name;
        step->embed.tables[i] = (EmbeddingTable){.data = table->data,
                                                 .type = kernel_type(table->dtype),
                                                 .rows = (size_t)table->dims[0].size};
    }
    return STATUS_OK;
}

// The next step, empty, named after the node's output.
static Status start_step(Lowering *l, const Node *node, Step **out) {
    Step *step = &l->compiled->steps[l->compiled->n_steps];
    *step = (Step){
        .in = NO_SLOT, .in2 = NO_SLOT, .out = NO_SLOT, .reduced = NO_SLOT, .row_scales = NO_SLOT};
    step->name = arena_strdup(&l->compiled->arena, l->graph->values[node->out[0]].name);
    *out = step;
    return step->name ? STATUS_OK : error_out_of_memory(l->error, 64);
}

// The step that makes rows one by one and so can reduce them while they are in L1, or NULL.
static Step *row_wise_producer(const Lowering *l, int slot) {
    Step *step = &l->compiled->steps[l->compiled->slots[slot].first];
    switch (step->kind) {
    case STEP_EMBED:
    case STEP_LAYER_NORM:
    case STEP_ACTIVATE:
    case STEP_ADD:
        return step->out == slot && step->reduced == NO_SLOT ? step : NULL;
    default:
        return NULL;
    }
}

// Brings the rows of `value` into the kernel's element type, once for all that read them: nothing
// to do for f32 and for what is bf16 already, else in the step that makes the rows or in a step of
// its own.
static Status reduce_input(Lowering *l, const Node *node, ValueId value, const GemmKernel *kernel) {
    if (kernel == &l->compiled->kernels.gemm_f32 || l->reduced_of[value] != NO_SLOT)
        return STATUS_OK;
    bool is_bytes = kernel == &l->compiled->reduced.gemm_bytes;
    int at = (int)l->compiled->n_steps, source = NO_SLOT;
    TRY(read_slot(l, node, value, at, &source));
    Slot slot = l->compiled->slots[source];
    if (!is_bytes && slot.element_bytes == 2) {
        l->reduced_of[value] = source;
        return STATUS_OK;
    }
    Step *step = row_wise_producer(l, source);
    const bool is_own = !step;
    if (is_own) {
        TRY(start_step(l, node, &step));
        step->kind = STEP_REDUCE;
        step->kernel = is_bytes ? "quantize_bytes" : "round_bf16";
        step->in = source;
        l->compiled->n_steps++;
    }
    slot.element_bytes = is_bytes ? 1 : 2;
    slot.ld = reduced_stride(kernel, slot.width, slot.element_bytes);
    slot.first = is_own ? at : slot.first;
    slot.last = at;
    int reduced = l->reduced_of[value] = add_slot(l, &slot);
    *(is_own ? &step->out : &step->reduced) = reduced;
    if (is_bytes) {
        slot.width = slot.ld = 1;
        slot.element_bytes = sizeof(RowScale);
        step->row_scales = l->scales_of[value] = add_slot(l, &slot);
    }
    return STATUS_OK;
}

// `in` is the f32 value or its reduced form, which reduce_input made.
static Status bind_input(Lowering *l, const Node *node, Step *step, int at) {
    step->linear.scales = NO_SLOT;
    if (step->linear.kernel == &l->compiled->kernels.gemm_f32)
        return read_slot(l, node, node->in[0], at, &step->in);
    step->in = l->reduced_of[node->in[0]];
    l->compiled->slots[step->in].last = at;
    if (step->linear.kernel == &l->compiled->reduced.gemm_bytes) {
        step->linear.scales = l->scales_of[node->in[0]];
        l->compiled->slots[step->linear.scales].last = at;
    }
    return STATUS_OK;
}

static Status lower_linear(Lowering *l, const Node *node, Step *step, int at) {
    size_t parts = (size_t)node_int(node, "parts", 1);
    bool transposed = node_int(node, "transposed", 0) != 0;
    if (parts > MAX_PARTS)
        return unsupported(l, node, "joins more parts than supported");
    if (!activation_from_name(&step->linear.activation,
                              node_string(node, "activation", SV("none"))))
        return unsupported(l, node, "has an unknown activation");
    step->linear.kernel = linear_kernel(l, node);
    TRY(bind_input(l, node, step, at));
    if (node->in[1] != NO_VALUE)
        TRY(read_slot(l, node, node->in[1], at, &step->in2));
    step->kernel = step->linear.kernel->name;
    step->linear.count = parts;
    size_t column = 0;
    for (size_t i = 0; i < parts; i++) {
        const Value *weight = &l->graph->values[node->in[2 + 2 * i]];
        if (!weight->data || weight->rank != 2)
            return unsupported(l, node, "has a weight that is not a matrix with data");
        size_t rows = (size_t)weight->dims[0].size, cols = (size_t)weight->dims[1].size;
        LinearPart *part = &step->linear.parts[i];
        *part = (LinearPart){.weight = node->in[2 + 2 * i],
                             .bias = node->in[3 + 2 * i],
                             .n = transposed ? rows : cols,
                             .k = transposed ? cols : rows,
                             .column = column};
        part->source = (GemmSource){.data = weight->data,
                                    .type = kernel_type(weight->dtype),
                                    .stride_n = transposed ? cols : 1,
                                    .stride_k = transposed ? 1 : cols};
        if (part->k != l->compiled->slots[step->in].width)
            return unsupported(l, node, "has a weight that does not fit its input");
        column += part->n;
    }
    return STATUS_OK;
}

static Status lower_attention(Lowering *l, const Node *node, Step *step, int at) {
    int k_slot = NO_SLOT, v_slot = NO_SLOT;
    TRY(read_slot(l, node, node->in[0], at, &step->in));
    TRY(read_slot(l, node, node->in[1], at, &k_slot));
    TRY(read_slot(l, node, node->in[2], at, &v_slot));
    if (node->n_in < 4 || node->in[3] != l->cu_seqlens)
        return unsupported(l, node, "has a mask of its own");
    step->attention.kernel = is_bf16_attention(l, node) ? &l->compiled->reduced.attention
                                                        : &l->compiled->kernels.attention_f32;
    step->kernel = step->attention.kernel->name;
    step->attention.heads = (size_t)node_int(node, "heads", 0);
    step->attention.kv_heads = (size_t)node_int(node, "kv_heads", 0);
    step->attention.head_dim = (size_t)node_int(node, "head_dim", 0);
    step->attention.k_slot = (size_t)k_slot;
    step->attention.v_slot = (size_t)v_slot;
    step->attention.q_offset = (size_t)node_int(node, "q_offset", 0);
    step->attention.k_offset = (size_t)node_int(node, "k_offset", 0);
    step->attention.v_offset = (size_t)node_int(node, "v_offset", 0);
    step->attention.scale = node_float(node, "scale", 1.0f);
    step->attention.is_causal = node_int(node, "causal", 0) != 0;
    step->attention.bias_table = node->n_in > 4 ? node->in[4] : NO_VALUE;
    step->attention.bias_index = node->n_in > 5 ? node->in[5] : NO_VALUE;
    step->attention.bias_center = (size_t)node_int(node, "bias_center", 0);
    return STATUS_OK;
}

static Status lower_columns(Lowering *l, const Node *node, Step *step, int at) {
    TRY(read_slot(l, node, node->in[0], at, &step->in));
    int64_t begin = node_int(node, "begin", 0), end = node_int(node, "end", 0);
    if (begin < 0 || end <= begin || (size_t)end > l->compiled->slots[step->in].width)
        return unsupported(l, node, "takes columns outside its input");
    step->columns.begin = (size_t)begin;
    step->columns.end = (size_t)end;
    step->kernel = "copy";
    return STATUS_OK;
}

static Status lower_node(Lowering *l, const Node *node) {
    Step *step;
    if (node->op == OP_LINEAR)
        TRY(reduce_input(l, node, node->in[0], linear_kernel(l, node)));
    int at = (int)l->compiled->n_steps;
    TRY(start_step(l, node, &step));
    switch (node->op) {
    case OP_EMBED:
        step->kind = STEP_EMBED;
        TRY(lower_embed(l, node, step));
        break;
    case OP_LINEAR:
        step->kind = STEP_LINEAR;
        TRY(lower_linear(l, node, step, at));
        break;
    case OP_ATTENTION:
        step->kind = STEP_ATTENTION;
        TRY(lower_attention(l, node, step, at));
        break;
    case OP_LAYER_NORM:
        step->kind = STEP_LAYER_NORM;
        step->kernel = "layer_norm";
        TRY(read_slot(l, node, node->in[0], at, &step->in));
        step->norm.scale_value = node->in[1];
        step->norm.shift_value = node->n_in > 2 ? node->in[2] : NO_VALUE;
        step->norm.epsilon = node_float(node, "epsilon", 1e-5f);
        break;
    case OP_ACTIVATE:
        step->kind = STEP_ACTIVATE;
        step->kernel = "activate";
        TRY(read_slot(l, node, node->in[0], at, &step->in));
        if (!activation_from_name(&step->activation, node_string(node, "activation", SV(""))))
            return unsupported(l, node, "is an unknown activation");
        break;
    case OP_ADD:
        step->kind = STEP_ADD;
        step->kernel = "add";
        TRY(read_slot(l, node, node->in[0], at, &step->in));
        TRY(read_slot(l, node, node->in[1], at, &step->in2));
        break;
    case OP_SELECT_FIRST:
        step->kind = STEP_SELECT_FIRST;
        step->kernel = "copy";
        TRY(read_slot(l, node, node->in[0], at, &step->in));
        break;
    case OP_COLUMNS:
        step->kind = STEP_COLUMNS;
        TRY(lower_columns(l, node, step, at));
        break;
    default:
        return unsupported(l, node, cpu_supports(l->graph, node));
    }
    TRY(make_slot(l, node, at, &step->out));
    l->compiled->n_steps++;
    return STATUS_OK;
}

static Status lower_nodes(Lowering *l) {
    const Graph *graph = l->graph;
    for (int i = 0; i < graph->n_nodes; i++) {
        const Node *node = &graph->nodes[i];
        if (node->is_dead || node->op == OP_UNPACK)
            continue;
        if (node->op == OP_PACK) {
            l->ids = node->out[0];
            l->types = node->out[1];
            l->positions = node->out[2];
            l->columns = node->out[3];
            l->cu_seqlens = node->out[4];
            continue;
        }
        TRY(lower_node(l, node));
    }
    return STATUS_OK;
}

static Status lower_outputs(Lowering *l) {
    const Graph *graph = l->graph;
    for (int i = 0; i < graph->n_outputs; i++) {
        const Node *producer = graph_producer(graph, graph->outputs[i]);
        ValueId value = graph->outputs[i];
        if (producer && producer->op == OP_UNPACK)
            value = producer->in[0];
        if (l->slot_of[value] == NO_SLOT)
            return error_set(l->error, STATUS_UNSUPPORTED, "output '%s' is not computed natively",
                             graph->values[graph->outputs[i]].name);
        l->compiled->slots[l->slot_of[value]].last = (int)l->compiled->n_steps;
        l->compiled->outputs[i] = l->slot_of[value];
    }
    l->compiled->n_outputs = (size_t)graph->n_outputs;
    return STATUS_OK;
}

Status cpu_lower(Compiled *compiled, const Graph *graph, Error *error) {
    // A LINEAR may bring a step and two slots of its own for its input.
    size_t nodes = (size_t)graph->n_nodes + 1, values = (size_t)graph->n_values + 1;
    Lowering l = {.compiled = compiled,
                  .graph = graph,
                  .ids = NO_VALUE,
                  .types = NO_VALUE,
                  .positions = NO_VALUE,
                  .columns = NO_VALUE,
                  .cu_seqlens = NO_VALUE,
                  .error = error};
    compiled->steps = arena_alloc_array(&compiled->arena, 2 * nodes, sizeof(Step));
    compiled->slots = arena_alloc_array(&compiled->arena, 3 * nodes, sizeof(Slot));
    compiled->outputs =
        arena_alloc_array(&compiled->arena, (size_t)graph->n_outputs + 1, sizeof(int));
    l.slot_of = mem_alloc_zero(3 * values, sizeof(int));
    Status status = STATUS_OK;
    if (!compiled->steps || !compiled->slots || !compiled->outputs || !l.slot_of) {
        status = error_out_of_memory(error, nodes * sizeof(Step));
    } else {
        for (size_t i = 0; i < 3 * values; i++)
            l.slot_of[i] = NO_SLOT;
        l.reduced_of = l.slot_of + values;
        l.scales_of = l.reduced_of + values;
        status = lower_nodes(&l);
        if (status == STATUS_OK)
            status = lower_outputs(&l);
    }
    mem_free(l.slot_of);
    return status;
}
