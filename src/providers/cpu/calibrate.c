// Factors for rows that become bytes: each channel is multiplied before rounding, and the weights
// behind it are divided by the same factor.
//
// Outputs of normalisation have a few channels with large values, which alone would set the step of
// the whole row. One over the square root of a channel's magnitude shares the spread between row
// and weights (SmoothQuant, Xiao et al. 2023, without its term for weights). Any factor is right, a
// good one rounds less, so random tokens do. But they begin where sequences do, since first tokens
// have values of their own.
#include "providers/cpu/cpu.h"

#include <math.h>

enum { SEQUENCES = 4, LENGTH = 32 };

// Of the loudest channel's: quieter ones count as this.
static const float LEAST_ENERGY = 1e-6f;

struct Calibration {
    const Compiled *compiled;
    Session *session;
    size_t end; // steps from here on need not run
    TokenBatch batch;
    int32_t ids[SEQUENCES * LENGTH], types[SEQUENCES * LENGTH], positions[SEQUENCES * LENGTH],
        columns[SEQUENCES * LENGTH], cu_seqlens[SEQUENCES + 1];
};

static size_t min_size(size_t a, size_t b) {
    return a < b ? a : b;
}

// Rows of the smallest table that `kind` of ids looks up, or SIZE_MAX.
static size_t table_rows(const Compiled *compiled, IdsKind kind) {
    size_t rows = SIZE_MAX;
    for (size_t i = 0; i < compiled->n_steps; i++) {
        const Step *step = &compiled->steps[i];
        for (size_t t = 0; step->kind == STEP_EMBED && t < step->embed.count; t++)
            if (step->embed.ids[t] == kind)
                rows = min_size(rows, step->embed.tables[t].rows);
    }
    return rows;
}

// No sequence longer than the model's.
static size_t sample_length(const Compiled *compiled) {
    size_t length = min_size(LENGTH, table_rows(compiled, IDS_POSITIONS));
    for (size_t i = 0; i < compiled->n_steps; i++) {
        const Step *step = &compiled->steps[i];
        if (step->kind == STEP_ATTENTION && step->attention.bias_table != NO_VALUE)
            length = min_size(length, step->attention.bias_center + 1);
    }
    return length;
}

static void make_sample(Calibration *c, size_t first_position) {
    size_t vocabulary = min_size(table_rows(c->compiled, IDS_TOKENS), INT32_MAX);
    size_t positions = table_rows(c->compiled, IDS_POSITIONS);
    size_t length = sample_length(c->compiled);
    uint64_t random = 1;
    for (size_t i = 0; i < SEQUENCES * length; i++) {
        random = random * 6364136223846793005u + 1442695040888963407u; // Knuth's MMIX
        c->ids[i] = (int32_t)((random >> 33) * vocabulary >> 31);
        c->columns[i] = (int32_t)(i % length);
        c->positions[i] = (int32_t)min_size(i % length + first_position, positions - 1);
    }
    for (size_t s = 0; s <= SEQUENCES; s++)
        c->cu_seqlens[s] = (int32_t)(s * length);
    c->batch = (TokenBatch){.n_tokens = SEQUENCES * length,
                            .n_sequences = SEQUENCES,
                            .ids = c->ids,
                            .types = c->types,
                            .positions = c->positions,
                            .columns = c->columns,
                            .cu_seqlens = c->cu_seqlens};
}

Status calibration_new(Calibration **out, const Compiled *compiled, size_t first_position,
                       ThreadPool *pool, Error *error) {
    *out = NULL;
    size_t end = compiled->n_steps;
    while (end > 0 && !step_has_factors(&compiled->steps[end - 1]))
        end--;
    if (end == 0)
        return STATUS_OK;
    Calibration *c = mem_alloc_zero(1, sizeof *c);
    if (!c)
        return error_out_of_memory(error, sizeof *c);
    c->compiled = compiled;
    c->end = end;
    make_sample(c, first_position);
    Status status = cpu_session_new(&c->session, compiled, pool, false, error);
    if (status == STATUS_OK)
        status = cpu_run_begin(c->session, &c->batch, error);
    if (status != STATUS_OK) {
        calibration_free(c);
        return status;
    }
    *out = c;
    return STATUS_OK;
}

void calibration_free(Calibration *c) {
    if (!c)
        return;
    cpu_session_free(c->session);
    mem_free(c);
}

// Rows and sums in order: the same bits for any number of threads.
static void fill_factors(const Calibration *c, size_t index) {
    TokenOutput rows;
    cpu_step_output(&rows, c->session, index);
    float *factors = c->compiled->steps[index].factors;
    float highest = 0.0f;
    memset(factors, 0, rows.width * sizeof *factors);
    for (size_t r = 0; r < rows.rows; r++)
        for (size_t i = 0; i < rows.width; i++)
            factors[i] += rows.data[r * rows.ld + i] * rows.data[r * rows.ld + i];
    for (size_t i = 0; i < rows.width; i++)
        highest = factors[i] > highest ? factors[i] : highest;
    for (size_t i = 0; i < rows.width; i++) {
        float energy = highest > 0.0f ? factors[i] / highest : 1.0f;
        bool is_useful = energy > LEAST_ENERGY; // also not NaN
        factors[i] = 1.0f / sqrtf(sqrtf(is_useful ? energy : LEAST_ENERGY));
    }
}

void calibration_step(Calibration *c, size_t index) {
    if (index >= c->end)
        return;
    cpu_run_step(c->session, index);
    if (!step_has_factors(&c->compiled->steps[index]))
        return;
    fill_factors(c, index);
    cpu_run_step(c->session, index); // now with the factors
}
