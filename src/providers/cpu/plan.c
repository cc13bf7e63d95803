// Sessions: the arena laid out per capacity step, and the run loop.
//
// Capacities grow in steps (64, 256, 1024, … tokens), so a new mix of lengths plans nothing. One
// run is one parallel region: the team walks one flat array of steps, and its members take tiles of
// the present step from one counter.
#include "base/checked.h"
#include "base/clock.h"
#include "providers/cpu/cpu.h"

enum { ARENA_ALIGN = 64, FIRST_CAPACITY = 64, CAPACITY_GROWTH = 4, ROW_BLOCK = 16 };

struct Session {
    const Compiled *compiled;
    ThreadPool *pool;
    size_t cap_tokens, cap_sequences, cap_length;
    uint8_t **slots;  // per slot, into the arena
    uint8_t *arena;   // activations
    uint8_t *scratch; // one part per member
    size_t scratch_each;
    int32_t *zeros; // [cap_tokens], ids of constant rows
    AttentionItem *items;
    size_t n_items, cap_items, even_items;
    PoolStep *steps; // of the run, one per compiled step
    TokenBatch batch;
    const atomic_int *cancel;
    bool is_cancelled;
    StepProfile *profile;
    uint64_t last_ns;
};

static size_t capacity_for(size_t needed) {
    size_t capacity = FIRST_CAPACITY;
    while (capacity < needed && capacity <= SIZE_MAX / CAPACITY_GROWTH)
        capacity *= CAPACITY_GROWTH;
    // Past a few thousand rows a factor of four would waste memory: round up to the step before.
    size_t coarse = capacity / CAPACITY_GROWTH;
    if (coarse >= 1024 && needed <= capacity)
        capacity = (needed + coarse - 1) / coarse * coarse;
    return capacity;
}

static Status plan_arena(Session *s, Error *error) {
    const Compiled *c = s->compiled;
    PlanItem *items = mem_alloc_zero(c->n_slots + 1, sizeof *items);
    if (!items)
        return error_out_of_memory(error, c->n_slots);
    Status status = STATUS_OK;
    for (size_t i = 0; i < c->n_slots; i++) {
        const Slot *slot = &c->slots[i];
        size_t rows = slot->per_sequence ? s->cap_sequences : s->cap_tokens;
        items[i] = (PlanItem){.first = slot->first, .last = slot->last};
        if (!size_mul(&items[i].size, slot->ld * slot->element_bytes, rows))
            TRY_DONE(error_set(error, STATUS_LIMIT, "%zu tokens are too many for one pass", rows));
    }
    size_t total = memory_plan(items, c->n_slots, ARENA_ALIGN, &status);
    if (status != STATUS_OK) {
        error_set(error, status, "no memory plan for %zu tokens", s->cap_tokens);
        goto done;
    }
    mem_free_aligned(s->arena);
    s->arena = mem_alloc_aligned(total + ARENA_ALIGN, ARENA_ALIGN);
    if (!s->arena)
        TRY_DONE(error_out_of_memory(error, total));
    for (size_t i = 0; i < c->n_slots; i++)
        s->slots[i] = s->arena + items[i].offset;
done:
    mem_free(items);
    return status;
}

static float *slot_floats(const Session *s, int slot) {
    return (float *)(void *)s->slots[slot];
}

static KernelType slot_type(const Slot *slot) {
    return slot->element_bytes == 2 ? KERNEL_BF16 : KERNEL_F32;
}

// Element `column` of a slot's row `row`.
static void *slot_at(const Session *s, int slot, size_t row, size_t column) {
    const Slot *form = &s->compiled->slots[slot];
    return s->slots[slot] + (row * form->ld + column) * form->element_bytes;
}

static RowScale *slot_scales(const Session *s, int slot) {
    return (RowScale *)(void *)s->slots[slot];
}

static void fill_attention(AttentionCall *call, const Session *s, const Step *step) {
    const Slot *slots = s->compiled->slots;
    *call = (AttentionCall){
        .kernel = step->attention.kernel,
        .q = slot_at(s, step->in, 0, step->attention.q_offset),
        .k = slot_at(s, (int)step->attention.k_slot, 0, step->attention.k_offset),
        .v = slot_at(s, (int)step->attention.v_slot, 0, step->attention.v_offset),
        .ld_q = slots[step->in].ld,
        .ld_k = slots[step->attention.k_slot].ld,
        .ld_v = slots[step->attention.v_slot].ld,
        .out = s->slots[step->out],
        .ld_out = slots[step->out].ld,
        .cu_seqlens = s->batch.cu_seqlens,
        .items = s->items,
        .item_count = s->n_items,
        .even_items = s->even_items,
        .heads = step->attention.heads,
        .kv_heads = step->attention.kv_heads,
        .head_dim = step->attention.head_dim,
        .max_length = s->cap_length,
        .scale = step->attention.scale,
        .is_causal = step->attention.is_causal,
        .bias = step->attention.bias,
        .bias_stride = 2 * step->attention.bias_center + 1,
        .bias_center = step->attention.bias_center,
        .key_positions = s->batch.columns,
    };
}

static Status plan_scratch(Session *s, Error *error) {
    size_t each = ARENA_ALIGN;
    for (size_t i = 0; i < s->compiled->n_steps; i++) {
        const Step *step = &s->compiled->steps[i];
        if (step->kind != STEP_ATTENTION)
            continue;
        AttentionCall call;
        fill_attention(&call, s, step);
        size_t bytes = attention_scratch_bytes(&call);
        if (bytes > each)
            each = bytes;
    }
    size_t total;
    if (!size_align(&each, each, 4096) || !size_mul(&total, each, (size_t)pool_threads(s->pool)))
        return error_out_of_memory(error, each);
    mem_free_aligned(s->scratch);
    s->scratch = mem_alloc_aligned(total, 4096);
    s->scratch_each = each;
    return s->scratch ? STATUS_OK : error_out_of_memory(error, total);
}

Status cpu_reshape(Session *s, size_t tokens, size_t sequences, size_t max_length, Error *error) {
    if (tokens > s->cap_tokens || sequences > s->cap_sequences) {
        size_t old_tokens = s->cap_tokens, old_sequences = s->cap_sequences;
        s->cap_tokens = capacity_for(tokens > old_tokens ? tokens : old_tokens);
        s->cap_sequences = capacity_for(sequences > old_sequences ? sequences : old_sequences);
        mem_free(s->zeros);
        s->zeros = mem_alloc_zero(s->cap_tokens, sizeof *s->zeros);
        Status status = s->zeros ? plan_arena(s, error)
                                 : error_out_of_memory(error, s->cap_tokens * sizeof *s->zeros);
        if (status != STATUS_OK) {
            s->cap_tokens = s->cap_sequences = 0;
            return status;
        }
    }
    if (max_length > s->cap_length) {
        s->cap_length = capacity_for(max_length);
        Status status = plan_scratch(s, error);
        if (status != STATUS_OK) {
            s->cap_length = 0;
            return status;
        }
    }
    return STATUS_OK;
}

// ---- Steps as tiles ----

static size_t min_size(size_t a, size_t b) {
    return a < b ? a : b;
}

static size_t row_tiles(size_t rows) {
    return (rows + ROW_BLOCK - 1) / ROW_BLOCK;
}

static size_t slot_rows(const Session *s, int slot) {
    return s->compiled->slots[slot].per_sequence ? s->batch.n_sequences : s->batch.n_tokens;
}

static void fill_gemm(GemmCall *call, const Session *s, const Step *step, size_t index) {
    const LinearPart *part = &step->linear.parts[index];
    const Slot *in = &s->compiled->slots[step->in], *out = &s->compiled->slots[step->out];
    *call = (GemmCall){
        .kernel = step->linear.kernel,
        .m = slot_rows(s, step->out),
        .n = part->n,
        .k = part->k,
        .a = s->slots[step->in],
        .lda = in->ld,
        .packed = part->packed,
        .c = slot_at(s, step->out, 0, part->column),
        .ldc = out->ld,
        .epilogue = {.bias = part->bias_values,
                     .activation = step->linear.activation,
                     .c_type = slot_type(out)},
    };
    if (step->linear.scales != NO_SLOT)
        call->row_scales = slot_scales(s, step->linear.scales);
    if (step->in2 != NO_SLOT) {
        call->epilogue.residual = slot_floats(s, step->in2) + part->column;
        call->epilogue.ld_residual = s->compiled->slots[step->in2].ld;
    }
}

static void run_linear(Session *s, const Step *step, PoolTurn *turn) {
    const int members = pool_threads(s->pool);
    GemmCall calls[MAX_PARTS];
    size_t tiles[MAX_PARTS], total = 0;
    for (size_t i = 0; i < step->linear.count; i++) {
        fill_gemm(&calls[i], s, step, i);
        tiles[i] = gemm_tile_count(&calls[i], members);
        total += tiles[i];
    }
    size_t tile;
    while (pool_take(turn, total, &tile)) {
        size_t part = 0;
        while (tile >= tiles[part])
            tile -= tiles[part++];
        gemm_run_tile(&calls[part], tile, tiles[part], members);
    }
}

static void run_attention(Session *s, const Step *step, PoolTurn *turn, int member) {
    const int threads = pool_threads(s->pool);
    AttentionCall call;
    fill_attention(&call, s, step);
    size_t total = attention_tile_count(&call, threads), tile;
    while (pool_take(turn, total, &tile))
        attention_run_tile(&call, tile, threads, s->scratch + (size_t)member * s->scratch_each);
}

static void run_embed_rows(const Session *s, const Step *step, size_t begin, size_t rows) {
    EmbeddingTable tables[MAX_TABLES];
    for (size_t i = 0; i < step->embed.count; i++) {
        const int32_t *ids = NULL;
        switch (step->embed.ids[i]) {
        case IDS_TOKENS:
            ids = s->batch.ids;
            break;
        case IDS_TYPES:
            ids = s->batch.types;
            break;
        case IDS_POSITIONS:
            ids = s->batch.positions;
            break;
        case IDS_ZERO:
            ids = s->zeros;
            break;
        }
        tables[i] = step->embed.tables[i];
        tables[i].ids = ids + begin;
    }
    const Slot *out = &s->compiled->slots[step->out];
    s->compiled->kernels.move.embed_sum(rows, out->width, tables, step->embed.count,
                                        slot_floats(s, step->out) + begin * out->ld, out->ld);
}

static void run_select_first(const Session *s, const Step *step, size_t begin, size_t rows) {
    const Slot *in = &s->compiled->slots[step->in], *out = &s->compiled->slots[step->out];
    for (size_t b = begin; b < begin + rows; b++) {
        float *dst = slot_floats(s, step->out) + b * out->ld;
        size_t first = (size_t)s->batch.cu_seqlens[b];
        if (s->batch.cu_seqlens[b + 1] > s->batch.cu_seqlens[b])
            memcpy(dst, slot_floats(s, step->in) + first * in->ld, out->width * sizeof(float));
        else
            memset(dst, 0, out->width * sizeof(float));
    }
}

// Rows of slot `from` in the reduced precision of slot `to`.
static void run_reduce(const Session *s, const Step *step, int from, int to, size_t begin,
                       size_t rows) {
    const QuantizeKernels *quantize = &s->compiled->reduced.quantize;
    const Slot *in = &s->compiled->slots[from], *out = &s->compiled->slots[to];
    const void *x = slot_at(s, from, begin, 0);
    void *y = slot_at(s, to, begin, 0);
    if (step->row_scales != NO_SLOT)
        quantize->bytes(rows, in->width, x, slot_type(in), in->ld, step->factors, y, out->ld,
                        slot_scales(s, step->row_scales) + begin);
    else
        quantize->bf16(rows, in->width, x, in->ld, y, out->ld);
}

// Steps whose rows are independent: one block of rows.
static void make_rows(const Session *s, const Step *step, size_t begin, size_t rows) {
    const Compiled *c = s->compiled;
    const Slot *out = &c->slots[step->out];
    float *y = slot_floats(s, step->out) + begin * out->ld;
    if (step->kind == STEP_REDUCE) {
        run_reduce(s, step, step->in, step->out, begin, rows);
        return;
    }
    if (step->kind == STEP_EMBED) {
        run_embed_rows(s, step, begin, rows);
        return;
    }
    if (step->kind == STEP_SELECT_FIRST) {
        run_select_first(s, step, begin, rows);
        return;
    }
    size_t ld_in = c->slots[step->in].ld;
    const float *x = slot_floats(s, step->in) + begin * ld_in;
    switch (step->kind) {
    case STEP_LAYER_NORM:
        c->kernels.norm.layer_norm(rows, out->width, x, ld_in, step->norm.scale, step->norm.shift,
                                   step->norm.epsilon, y, out->ld);
        break;
    case STEP_ADD:
        c->kernels.move.add(rows, out->width, x, ld_in,
                            slot_floats(s, step->in2) + begin * c->slots[step->in2].ld,
                            c->slots[step->in2].ld, y, out->ld);
        break;
    case STEP_ACTIVATE:
        for (size_t r = 0; r < rows; r++) {
            memcpy(y + r * out->ld, x + r * ld_in, out->width * sizeof(float));
            c->kernels.norm.activate(out->width, y + r * out->ld, step->activation);
        }
        break;
    case STEP_COLUMNS:
        for (size_t r = 0; r < rows; r++)
            memcpy(y + r * out->ld, x + r * ld_in + step->columns.begin,
                   out->width * sizeof(float));
        break;
    default:
        break;
    }
}

static void run_rows(const Session *s, const Step *step, size_t begin, size_t rows) {
    make_rows(s, step, begin, rows);
    if (step->reduced != NO_SLOT)
        run_reduce(s, step, step->out, step->reduced, begin, rows);
}

static void run_step(void *ctx, size_t index, int member, PoolTurn *turn) {
    Session *s = ctx;
    const Step *step = &s->compiled->steps[index];
    if (step->kind == STEP_LINEAR) {
        run_linear(s, step, turn);
    } else if (step->kind == STEP_ATTENTION) {
        run_attention(s, step, turn, member);
    } else {
        size_t rows = slot_rows(s, step->out), total = row_tiles(rows), tile;
        while (pool_take(turn, total, &tile))
            run_rows(s, step, tile * ROW_BLOCK, min_size(ROW_BLOCK, rows - tile * ROW_BLOCK));
    }
}

// Work of one call of a step, for the profile: floating-point operations and bytes that must move.
static void count_work(const Session *s, const Step *step, StepProfile *profile) {
    const Slot *slots = s->compiled->slots;
    double rows = (double)slot_rows(s, step->out);
    double moved = rows * (double)(slots[step->out].width * slots[step->out].element_bytes);
    if (step->in != NO_SLOT)
        moved += rows * (double)(slots[step->in].width * slots[step->in].element_bytes);
    if (step->kind == STEP_LINEAR)
        for (size_t i = 0; i < step->linear.count; i++) {
            const LinearPart *part = &step->linear.parts[i];
            profile->flops += 2.0 * rows * (double)part->n * (double)part->k;
            profile->bytes += (double)part->packed_bytes;
        }
    if (step->kind == STEP_ATTENTION)
        for (size_t b = 0; b < s->batch.n_sequences; b++) {
            double length = s->batch.cu_seqlens[b + 1] - s->batch.cu_seqlens[b];
            profile->flops +=
                4.0 * length * length * (double)(step->attention.heads * step->attention.head_dim);
        }
    profile->bytes += moved;
}

static void profile_step(Session *s, size_t index) {
    uint64_t now = clock_now_ns();
    StepProfile *profile = &s->profile[index];
    profile->calls++;
    profile->ns += now - s->last_ns;
    count_work(s, &s->compiled->steps[index], profile);
    s->last_ns = now;
}

static bool after_step(void *ctx, size_t index) {
    Session *s = ctx;
    if (s->profile)
        profile_step(s, index);
    // Not after the last step: the answer is complete.
    s->is_cancelled = index + 1 < s->compiled->n_steps && s->cancel &&
                      atomic_load_explicit(s->cancel, memory_order_relaxed);
    return !s->is_cancelled;
}

// ---- Runs ----

static Status check_ids(const int32_t *ids, size_t count, size_t rows, const char *table,
                        Error *error) {
    for (size_t i = 0; i < count; i++)
        if (ids[i] < 0 || (size_t)ids[i] >= rows)
            return error_set(error, STATUS_INVALID,
                             "id %d of token %zu is outside table '%s' of %zu rows", ids[i], i,
                             table, rows);
    return STATUS_OK;
}

static Status check_batch(const Session *s, Error *error) {
    const TokenBatch *b = &s->batch;
    for (size_t i = 0; i < s->compiled->n_steps; i++) {
        const Step *step = &s->compiled->steps[i];
        if (step->kind == STEP_ATTENTION && step->attention.bias)
            for (size_t t = 0; t < b->n_tokens; t++)
                if (b->columns[t] < 0 || (size_t)b->columns[t] > step->attention.bias_center)
                    return error_set(
                        error, STATUS_INVALID,
                        "a sequence of more than %zu tokens is longer than the model's",
                        step->attention.bias_center + 1);
        if (step->kind != STEP_EMBED)
            continue;
        for (size_t t = 0; t < step->embed.count; t++) {
            const int32_t *ids = step->embed.ids[t] == IDS_TOKENS  ? b->ids
                                 : step->embed.ids[t] == IDS_TYPES ? b->types
                                                                   : b->positions;
            if (step->embed.ids[t] != IDS_ZERO)
                TRY(check_ids(ids, b->n_tokens, step->embed.tables[t].rows, step->embed.names[t],
                              error));
        }
    }
    return STATUS_OK;
}

static Status split_items(Session *s, Error *error) {
    s->n_items = attention_split(NULL, s->batch.cu_seqlens, s->batch.n_sequences);
    if (s->n_items > s->cap_items) {
        mem_free(s->items);
        s->cap_items = s->n_items * 2;
        s->items = mem_alloc_zero(s->cap_items, sizeof *s->items);
        if (!s->items) {
            s->cap_items = 0;
            return error_out_of_memory(error, s->n_items);
        }
    }
    attention_split(s->items, s->batch.cu_seqlens, s->batch.n_sequences);
    s->even_items = attention_even_items(s->items, s->n_items, s->batch.cu_seqlens);
    return STATUS_OK;
}

Status cpu_run_begin(Session *s, const TokenBatch *batch, Error *error) {
    size_t longest = 0;
    for (size_t i = 0; i < batch->n_sequences; i++) {
        size_t length = (size_t)(batch->cu_seqlens[i + 1] - batch->cu_seqlens[i]);
        longest = length > longest ? length : longest;
    }
    s->batch = *batch;
    TRY(check_batch(s, error));
    TRY(cpu_reshape(s, batch->n_tokens, batch->n_sequences, longest, error));
    return split_items(s, error);
}

typedef struct OneStep {
    Session *session;
    size_t index;
} OneStep;

static void run_one_step(void *ctx, size_t step, int member, PoolTurn *turn) {
    const OneStep *one = ctx;
    (void)step;
    run_step(one->session, one->index, member, turn);
}

void cpu_run_step(Session *s, size_t index) {
    OneStep one = {s, index};
    pool_run(s->pool, &(PoolJob){.count = 1, .steps = s->steps, .body = run_one_step, .ctx = &one});
}

Status cpu_run(Session *s, const TokenBatch *batch, const atomic_int *cancel, Error *error) {
    s->cancel = cancel;
    s->is_cancelled = false;
    TRY(cpu_run_begin(s, batch, error));
    cpu_settle(s->compiled, s->pool);
    if (s->profile)
        s->last_ns = clock_now_ns();
    pool_run(s->pool, &(PoolJob){.count = s->compiled->n_steps,
                                 .steps = s->steps,
                                 .body = run_step,
                                 .after = after_step,
                                 .ctx = s});
    return s->is_cancelled ? error_set(error, STATUS_CANCELLED, "cancelled") : STATUS_OK;
}

static void slot_output(TokenOutput *out, const Session *s, int slot) {
    *out = (TokenOutput){.data = slot_floats(s, slot),
                         .rows = slot_rows(s, slot),
                         .width = s->compiled->slots[slot].width,
                         .ld = s->compiled->slots[slot].ld,
                         .per_sequence = s->compiled->slots[slot].per_sequence};
}

void cpu_output(TokenOutput *out, const Session *s, size_t index) {
    slot_output(out, s, s->compiled->outputs[index]);
}

void cpu_step_output(TokenOutput *out, const Session *s, size_t index) {
    slot_output(out, s, s->compiled->steps[index].out);
}

const StepProfile *cpu_profile(const Session *s, size_t *count) {
    *count = s->profile ? s->compiled->n_steps : 0;
    return s->profile;
}

static const char *step_op(StepKind kind) {
    static const char *const names[] = {
        [STEP_EMBED] = "Embed",
        [STEP_REDUCE] = "Reduce",
        [STEP_LINEAR] = "Linear",
        [STEP_ATTENTION] = "Attention",
        [STEP_LAYER_NORM] = "LayerNorm",
        [STEP_ACTIVATE] = "Activate",
        [STEP_ADD] = "Add",
        [STEP_SELECT_FIRST] = "SelectFirst",
        [STEP_COLUMNS] = "Columns",
    };
    return names[kind];
}

Status cpu_session_new(Session **out, const Compiled *compiled, ThreadPool *pool, bool profile,
                       Error *error) {
    Session *s = mem_alloc_zero(1, sizeof *s);
    if (!s)
        return error_out_of_memory(error, sizeof *s);
    s->compiled = compiled;
    s->pool = pool;
    s->slots = mem_alloc_zero(compiled->n_slots + 1, sizeof *s->slots);
    s->steps = mem_alloc_zero(compiled->n_steps + 1, sizeof *s->steps);
    if (profile)
        s->profile = mem_alloc_zero(compiled->n_steps + 1, sizeof *s->profile);
    if (!s->slots || !s->steps || (profile && !s->profile)) {
        cpu_session_free(s);
        return error_out_of_memory(error, compiled->n_steps);
    }
    for (size_t i = 0; profile && i < compiled->n_steps; i++) {
        const Step *step = &compiled->steps[i];
        s->profile[i] = (StepProfile){
            .name = step->name,
            .op = step_op(step->kind),
            .kernel = step->kernel,
            .is_reduced =
                (step->kind == STEP_LINEAR && step->linear.kernel != &compiled->kernels.gemm_f32) ||
                (step->kind == STEP_ATTENTION &&
                 step->attention.kernel != &compiled->kernels.attention_f32)};
    }
    *out = s;
    return STATUS_OK;
}

void cpu_session_free(Session *s) {
    if (!s)
        return;
    mem_free(s->slots);
    mem_free(s->steps);
    mem_free(s->profile);
    mem_free(s->zeros);
    mem_free(s->items);
    mem_free_aligned(s->arena);
    mem_free_aligned(s->scratch);
    mem_free(s);
}
