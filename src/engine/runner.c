// Runner: a thread pool and a provider session; lays rows of tokens end to end and hands each row
// its part of the outputs.
#include "base/checked.h"
#include "engine/private.h"

// Tokens of one pass unless the caller says otherwise: enough rows to keep every core busy, small
// enough that activations of a wide model stay within tens of megabytes.
enum { DEFAULT_MAX_TOKENS = 4096 };

struct Runner {
    const Model *model;
    ThreadPool *pool;
    Session *session;
    size_t max_tokens;
    int32_t *block; // ids, types, positions, columns, cu_seqlens of the present pass
    size_t block_cap;
    RowOutput *outputs; // [n_outputs]
};

Status runner_new(Runner **out, const Model *model, const RunnerOptions *options, Error *error) {
    Runner *runner = mem_alloc_zero(1, sizeof *runner);
    if (!runner)
        return error_out_of_memory(error, sizeof *runner);
    runner->model = model;
    runner->max_tokens = options->max_tokens ? options->max_tokens : DEFAULT_MAX_TOKENS;
    runner->outputs = mem_alloc_zero(model->n_outputs + 1, sizeof *runner->outputs);
    Status status = runner->outputs ? STATUS_OK : error_out_of_memory(error, model->n_outputs);
    if (status == STATUS_OK)
        status = pool_new(&runner->pool,
                          options->threads > 0 ? options->threads : model->cpu.threads, error);
    if (status == STATUS_OK)
        status = model->provider->session_new(&runner->session, model->compiled, runner->pool,
                                              options->profile, error);
    if (status != STATUS_OK) {
        runner_free(runner);
        return status;
    }
    *out = runner;
    return STATUS_OK;
}

void runner_free(Runner *runner) {
    if (!runner)
        return;
    runner->model->provider->session_free(runner->session);
    pool_free(runner->pool);
    mem_free(runner->block);
    mem_free(runner->outputs);
    mem_free(runner);
}

int runner_threads(const Runner *runner) {
    return pool_threads(runner->pool);
}

void fill_positions(const Model *model, const int32_t *ids, const int32_t *columns, size_t len,
                    int32_t *positions) {
    int32_t count = 0;
    for (size_t i = 0; i < len; i++) {
        if (model->position_rule == POSITIONS_COLUMN) {
            positions[i] = columns ? columns[i] : (int32_t)i;
        } else {
            bool is_pad = ids[i] == model->pad_id;
            count += !is_pad;
            positions[i] = model->pad_id + (is_pad ? 0 : count);
        }
    }
}

// ---- One pass ----

typedef struct Pass {
    int32_t *ids, *types, *positions, *columns, *cu_seqlens;
    size_t n_tokens, n_sequences;
} Pass;

static Status pass_open(Runner *runner, Pass *pass, size_t tokens, size_t sequences, Error *error) {
    size_t needed;
    if (!size_mul(&needed, tokens, 4) || !size_add(&needed, needed, sequences + 1) ||
        tokens > INT32_MAX)
        return error_set(error, STATUS_LIMIT, "%zu tokens are too many for one pass", tokens);
    if (needed > runner->block_cap) {
        mem_free(runner->block);
        runner->block_cap = 0;
        runner->block = mem_alloc_zero(needed, sizeof *runner->block);
        if (!runner->block)
            return error_out_of_memory(error, needed);
        runner->block_cap = needed;
    }
    int32_t *at = runner->block;
    *pass = (Pass){.ids = at,
                   .types = at + tokens,
                   .positions = at + 2 * tokens,
                   .columns = at + 3 * tokens,
                   .cu_seqlens = at + 4 * tokens};
    pass->cu_seqlens[0] = 0;
    return STATUS_OK;
}

static Status pass_run(Runner *runner, const Pass *pass, const atomic_int *cancel, Error *error) {
    TokenBatch batch = {.n_tokens = pass->n_tokens,
                        .n_sequences = pass->n_sequences,
                        .ids = pass->ids,
                        .types = pass->types,
                        .positions = pass->positions,
                        .columns = pass->columns,
                        .cu_seqlens = pass->cu_seqlens};
    return runner->model->provider->run(runner->session, &batch, cancel, error);
}

static void pass_add_row(const Model *model, Pass *pass, const TokenRow *row) {
    size_t at = pass->n_tokens;
    for (size_t i = 0; i < row->len; i++) {
        pass->ids[at + i] = row->ids[i];
        pass->types[at + i] = row->types ? row->types[i] : 0;
        pass->columns[at + i] = (int32_t)i;
    }
    fill_positions(model, row->ids, NULL, row->len, pass->positions + at);
    pass->n_tokens += row->len;
    pass->cu_seqlens[++pass->n_sequences] = (int32_t)pass->n_tokens;
}

// Points runner->outputs at what sequence `sequence` of the last pass got.
static void bind_row_outputs(Runner *runner, const Pass *pass, size_t sequence) {
    size_t begin = (size_t)pass->cu_seqlens[sequence];
    size_t len = (size_t)pass->cu_seqlens[sequence + 1] - begin;
    for (size_t i = 0; i < runner->model->n_outputs; i++) {
        TokenOutput output;
        runner->model->provider->output(&output, runner->session, i);
        size_t first = output.per_sequence ? sequence : begin;
        runner->outputs[i] = (RowOutput){.data = output.data + first * output.ld,
                                         .rows = output.per_sequence ? 1 : len,
                                         .width = output.width,
                                         .ld = output.ld};
    }
}

// ---- Rows ----

static bool row_is_cancelled(const TokenRow *row) {
    return row->cancel && atomic_load_explicit(row->cancel, memory_order_relaxed) != 0;
}

static Status check_row(const Model *model, const TokenRow *row, Error *error) {
    if (row->len == 0)
        return error_set(error, STATUS_INVALID, "a row without tokens cannot be run");
    if (model->max_tokens && row->len > model->max_tokens)
        return error_set(error, STATUS_INVALID,
                         "a sequence of %zu tokens is longer than the model's %zu", row->len,
                         model->max_tokens);
    return STATUS_OK;
}

// Rows [first, end) whose tokens fit the budget; at least one that is not cancelled, if there is
// one.
static size_t take_rows(const Runner *runner, const TokenRow *rows, size_t first, size_t count,
                        size_t *tokens, size_t *sequences) {
    size_t end = first;
    *tokens = *sequences = 0;
    for (; end < count; end++) {
        if (row_is_cancelled(&rows[end]))
            continue;
        if (*sequences > 0 && *tokens + rows[end].len > runner->max_tokens)
            break;
        *tokens += rows[end].len;
        ++*sequences;
    }
    return end;
}

static Status run_some(Runner *runner, const TokenRow *rows, size_t first, size_t end,
                       size_t tokens, size_t sequences, RowSink sink, void *ctx, Error *error) {
    Pass pass;
    size_t *row_of = mem_alloc_zero(sequences, sizeof *row_of);
    if (!row_of)
        return error_out_of_memory(error, sequences);
    Status status = pass_open(runner, &pass, tokens, sequences, error);
    // A row may be cancelled between counting and here: it then simply runs.
    for (size_t i = first; status == STATUS_OK && i < end && pass.n_sequences < sequences; i++) {
        if (row_is_cancelled(&rows[i]) || pass.n_tokens + rows[i].len > tokens)
            continue;
        row_of[pass.n_sequences] = i;
        pass_add_row(runner->model, &pass, &rows[i]);
    }
    // A pass of one row can be left between steps; with others in it, it runs on.
    if (status == STATUS_OK && pass.n_sequences > 0)
        status = pass_run(runner, &pass, sequences == 1 ? rows[row_of[0]].cancel : NULL, error);
    for (size_t s = 0; status == STATUS_OK && s < pass.n_sequences; s++) {
        bind_row_outputs(runner, &pass, s);
        status = sink(ctx, row_of[s], runner->outputs, error);
    }
    mem_free(row_of);
    return status;
}

Status runner_run_rows(Runner *runner, const TokenRow *rows, size_t count, RowSink sink, void *ctx,
                       Error *error) {
    for (size_t i = 0; i < count; i++)
        TRY(check_row(runner->model, &rows[i], error));
    for (size_t first = 0; first < count;) {
        size_t tokens, sequences;
        size_t end = take_rows(runner, rows, first, count, &tokens, &sequences);
        Status status = STATUS_OK;
        if (sequences > 0)
            status = run_some(runner, rows, first, end, tokens, sequences, sink, ctx, error);
        // Only a pass of one row is ever left, when that row was cancelled; the others go on.
        if (status != STATUS_OK && status != STATUS_CANCELLED)
            return status;
        first = end;
    }
    return STATUS_OK;
}

// ---- Padded tensors ----

static bool is_kept(const PaddedInputs *in, size_t cell) {
    return !in->mask || in->mask[cell] != 0;
}

static Status check_padded(const Model *model, const PaddedInputs *in, Error *error) {
    if (model->max_tokens && in->sequence > model->max_tokens)
        return error_set(error, STATUS_INVALID,
                         "a sequence of %zu tokens is longer than the model's %zu", in->sequence,
                         model->max_tokens);
    for (size_t i = 0; i < in->batch * in->sequence; i++)
        if (in->ids[i] < 0 || (model->vocab_rows && (uint64_t)in->ids[i] >= model->vocab_rows))
            return error_set(error, STATUS_INVALID,
                             "input_ids has %lld, outside the vocabulary [0, %zu)",
                             (long long)in->ids[i], model->vocab_rows);
    for (size_t i = 0; in->types && i < in->batch * in->sequence; i++)
        if (in->types[i] < INT32_MIN || in->types[i] > INT32_MAX)
            return error_set(error, STATUS_INVALID, "token_type_ids has %lld, out of range",
                             (long long)in->types[i]);
    return STATUS_OK;
}

// PACK for one padded row: positions come from the whole row, also from its masked columns.
static void pack_row(const Model *model, Pass *pass, const PaddedInputs *in, size_t row,
                     int32_t *scratch) {
    size_t base = row * in->sequence;
    int32_t *ids = scratch, *positions = scratch + in->sequence;
    for (size_t j = 0; j < in->sequence; j++)
        ids[j] = (int32_t)in->ids[base + j];
    fill_positions(model, ids, NULL, in->sequence, positions);
    for (size_t j = 0; j < in->sequence; j++) {
        if (!is_kept(in, base + j))
            continue;
        size_t at = pass->n_tokens++;
        pass->ids[at] = ids[j];
        pass->types[at] = in->types ? (int32_t)in->types[base + j] : 0;
        pass->positions[at] = positions[j];
        pass->columns[at] = (int32_t)j;
    }
    pass->cu_seqlens[++pass->n_sequences] = (int32_t)pass->n_tokens;
}

// UNPACK of one output for rows [first, first + pass->n_sequences).
static void unpack_output(const Pass *pass, const TokenOutput *source, size_t first,
                          size_t sequence, PaddedOutput *out) {
    size_t width = source->width;
    for (size_t s = 0; s < pass->n_sequences; s++) {
        if (source->per_sequence) {
            memcpy(out->data + (first + s) * width, source->data + s * source->ld,
                   width * sizeof(float));
            continue;
        }
        for (int32_t t = pass->cu_seqlens[s]; t < pass->cu_seqlens[s + 1]; t++)
            memcpy(out->data + ((first + s) * sequence + (size_t)pass->columns[t]) * width,
                   source->data + (size_t)t * source->ld, width * sizeof(float));
    }
}

static Status alloc_padded(const Model *model, const PaddedInputs *in, size_t index,
                           PaddedOutput *out, Error *error) {
    const ModelPort *port = &model->outputs[index];
    size_t count;
    out->rank = port->rank;
    for (int d = 0; d < port->rank; d++) {
        out->shape[d] = port->shape[d];
        if (port->shape[d] < 0)
            out->shape[d] = (int64_t)(d == 0 ? in->batch : in->sequence);
    }
    if (!shape_count(&count, out->shape, out->rank))
        return error_set(error, STATUS_LIMIT, "output '%s' is too large", port->name);
    out->data = mem_alloc_zero(count ? count : 1, sizeof(float));
    return out->data ? STATUS_OK : error_out_of_memory(error, count * sizeof(float));
}

static Status run_padded_rows(Runner *runner, const PaddedInputs *in, PaddedOutput *outputs,
                              int32_t *scratch, Error *error) {
    size_t rows_each = runner->max_tokens / (in->sequence ? in->sequence : 1);
    rows_each = rows_each ? rows_each : 1;
    for (size_t first = 0; first < in->batch; first += rows_each) {
        size_t rows = in->batch - first < rows_each ? in->batch - first : rows_each;
        Pass pass;
        TRY(pass_open(runner, &pass, rows * in->sequence, rows, error));
        for (size_t r = 0; r < rows; r++)
            pack_row(runner->model, &pass, in, first + r, scratch);
        if (pass.n_tokens == 0)
            continue;
        TRY(pass_run(runner, &pass, in->cancel, error));
        for (size_t i = 0; i < runner->model->n_outputs; i++) {
            TokenOutput source;
            runner->model->provider->output(&source, runner->session, i);
            unpack_output(&pass, &source, first, in->sequence, &outputs[i]);
        }
    }
    return STATUS_OK;
}

Status runner_run_padded(Runner *runner, const PaddedInputs *inputs, PaddedOutput *outputs,
                         Error *error) {
    const Model *model = runner->model;
    TRY(check_padded(model, inputs, error));
    memset(outputs, 0, model->n_outputs * sizeof *outputs);
    int32_t *scratch = mem_alloc_zero(2 * inputs->sequence + 1, sizeof *scratch);
    Status status = scratch ? STATUS_OK : error_out_of_memory(error, inputs->sequence);
    for (size_t i = 0; status == STATUS_OK && i < model->n_outputs; i++)
        status = alloc_padded(model, inputs, i, &outputs[i], error);
    if (status == STATUS_OK)
        status = run_padded_rows(runner, inputs, outputs, scratch, error);
    mem_free(scratch);
    if (status != STATUS_OK)
        for (size_t i = 0; i < model->n_outputs; i++) {
            mem_free(outputs[i].data);
            outputs[i].data = NULL;
        }
    return status;
}

// ---- Profile ----

// The larger of the shares of compute and of memory bandwidth: how near a step is to its floor. The
// compute peak is f32's, so steps in reduced precision count by memory alone.
static double percent_of_peak(const StepProfile *step, const PeakFigures *peak) {
    double seconds = (double)step->ns * 1e-9;
    if (seconds <= 0.0 || peak->gflops <= 0.0 || peak->gb_per_s <= 0.0)
        return 0.0;
    double compute = step->is_reduced ? 0.0 : step->flops * 1e-9 / seconds / peak->gflops;
    double memory = step->bytes * 1e-9 / seconds / peak->gb_per_s;
    return 100.0 * (compute > memory ? compute : memory);
}

static void write_step(JsonWriter *writer, const StepProfile *step, const PeakFigures *peak) {
    double seconds = (double)step->ns * 1e-9;
    json_begin_object(writer);
    json_key(writer, "step");
    json_write_cstr(writer, step->name);
    json_key(writer, "op");
    json_write_cstr(writer, step->op);
    json_key(writer, "kernel");
    json_write_cstr(writer, step->kernel);
    json_key(writer, "calls");
    json_write_u64(writer, step->calls);
    json_key(writer, "ms");
    json_write_fixed(writer, seconds * 1e3 / (double)(step->calls ? step->calls : 1), 4);
    json_key(writer, "gflops");
    json_write_fixed(writer, seconds > 0 ? step->flops * 1e-9 / seconds : 0, 1);
    json_key(writer, "gb_per_s");
    json_write_fixed(writer, seconds > 0 ? step->bytes * 1e-9 / seconds : 0, 1);
    json_key(writer, "percent_of_peak");
    json_write_fixed(writer, percent_of_peak(step, peak), 1);
    json_end_object(writer);
}

Status runner_write_profile(Buf *out, const Runner *runner, Error *error) {
    size_t count;
    const StepProfile *steps = runner->model->provider->profile(runner->session, &count);
    PeakFigures peak = {0};
    if (count > 0)
        runner->model->provider->peak(&peak, runner->model->compiled, runner->pool);
    JsonWriter writer = json_writer(out, 2);
    json_begin_array(&writer);
    for (size_t i = 0; i < count; i++)
        write_step(&writer, &steps[i], &peak);
    json_end_array(&writer);
    return buf_status(out, error);
}
