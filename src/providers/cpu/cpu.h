// Inside of the native CPU provider: the compiled form that lower.c makes, prepared.c fills with
// packed weights, plan.c lays out in memory and runs.
#ifndef GPUX_PROVIDERS_CPU_CPU_H
#define GPUX_PROVIDERS_CPU_CPU_H

#include "base/artifact.h"
#include "kernels/kernels.h"
#include "providers/provider.h"

enum { MAX_PARTS = 3, MAX_TABLES = 4, NO_SLOT = -1 };

// A token value [T, width] or sequence value [B, width] in the arena; rows at stride ld.
typedef struct Slot {
    size_t width, ld;     // in elements
    size_t element_bytes; // 4 for f32, 2 for bf16, 1 for bytes, 8 for row scales
    bool per_sequence;
    int first, last; // steps between which it lives; outputs live to the end
} Slot;

typedef enum StepKind {
    STEP_EMBED,
    STEP_REDUCE, // rows → bf16, or bytes with a scale per row
    STEP_LINEAR,
    STEP_ATTENTION,
    STEP_LAYER_NORM,
    STEP_ACTIVATE,
    STEP_ADD,
    STEP_SELECT_FIRST,
    STEP_COLUMNS,
} StepKind;

// Where an EMBED table's ids come from.
typedef enum IdsKind {
    IDS_TOKENS,
    IDS_TYPES,
    IDS_POSITIONS,
    IDS_ZERO, // row 0 for every token
} IdsKind;

typedef struct LinearPart {
    ValueId weight, bias; // bias may be NO_VALUE
    GemmSource source;
    size_t n, k;
    size_t column; // of C where this part begins
    void *packed;  // [gemm_packed_bytes]
    size_t packed_bytes;
    float *bias_values; // [n], or NULL
} LinearPart;

typedef struct Step {
    StepKind kind;
    const char *name;   // of the graph's output value
    const char *kernel; // which kernel runs it
    int in, in2, out;   // slots; in2: residual or second operand, or NO_SLOT
    // Slots of the rows in reduced precision and, for bytes, of their scales: a row-wise step
    // writes them beside `out`; a REDUCE has the scales only. NO_SLOT for none.
    int reduced, row_scales;
    float *factors; // of the channels before rows become bytes, or NULL
    union {
        struct {
            EmbeddingTable tables[MAX_TABLES]; // ids filled in per run
            IdsKind ids[MAX_TABLES];
            const char *names[MAX_TABLES];
            size_t count;
        } embed;
        struct {
            LinearPart parts[MAX_PARTS];
            size_t count;
            Activation activation;
            const GemmKernel *kernel;
            int scales; // slot of the row scales of bytes, or NO_SLOT
        } linear;
        struct {
            const AttentionKernel *kernel;
            size_t heads, kv_heads, head_dim;
            size_t k_slot, v_slot; // slots of k and v; `in` is q's
            size_t q_offset, k_offset, v_offset;
            float scale;
            bool is_causal;
            ValueId bias_table, bias_index;
            float *bias; // [heads, 2 * center + 1], or NULL
            size_t bias_center;
        } attention;
        struct {
            ValueId scale_value, shift_value;
            float *scale, *shift;
            float epsilon;
        } norm;
        Activation activation;
        struct {
            size_t begin, end;
        } columns;
    };
} Step;

typedef struct Output {
    int slot;
} Output;

struct Compiled {
    Arena arena; // steps, slots, names
    KernelTable kernels;
    ReducedKernels reduced;
    CpuInfo cpu;
    Step *steps;
    size_t n_steps;
    Slot *slots;
    size_t n_slots;
    int *outputs; // slot per graph output
    size_t n_outputs;
    uint8_t *weights; // one block of packed weights and small vectors
    size_t weights_bytes;
    Artifact kept;             // the mapping that weights lie in, or zeros
    struct Settling *settling; // of it into huge pages; NULL when there is no mapping
};

// lower.c: graph nodes → steps and slots. The only place that sees graph and kernels together.
Status cpu_lower(Compiled *compiled, const Graph *graph, Error *error);
const char *cpu_supports(const Graph *graph, const Node *node);

// prepared.c: packs weights into compiled->weights and sets the steps' pointers.
Status cpu_prepare_weights(Compiled *compiled, const Graph *graph, const CompileOptions *options,
                           Error *error);

// Whether a step's rows become bytes with a factor per channel.
static inline bool step_has_factors(const Step *step) {
    return step->kind != STEP_REDUCE && step->row_scales != NO_SLOT;
}

// Elements of the factors in the block: quantizing reads whole vectors.
static inline size_t factor_elements(size_t width) {
    return (width + QUANTIZE_UNIT_BYTES - 1) / QUANTIZE_UNIT_BYTES * QUANTIZE_UNIT_BYTES;
}

// calibrate.c: factors from the activations of a sample of random tokens. The same for any number
// of threads.
typedef struct Calibration Calibration;
// *out is NULL, and that is success, when no step has factors. Steps are read as they are filled.
Status calibration_new(Calibration **out, const Compiled *compiled, size_t first_position,
                       ThreadPool *pool, Error *error);
void calibration_free(Calibration *calibration); // accepts NULL
// Runs step `index`, once its weights and all steps before it are there; fills its factors.
void calibration_step(Calibration *calibration, size_t index);

// kept.c: the block of weights as a file, for the next start. `bytes`: of the whole block. Neither
// fails: the log says why nothing was found or kept.
typedef struct Keeper {
    const CompileOptions *options;
    const char *path; // NULL: not kept
    ArtifactKey key;
    size_t bytes;
} Keeper;
void keeper_init(Keeper *out, Compiled *compiled, const Graph *graph, const CompileOptions *options,
                 size_t bytes);
bool keeper_open(Artifact *out, const Keeper *keeper);
ArtifactDraft *keeper_begin(const Keeper *keeper); // NULL: pack in memory
// The draft is freed. When it is false, its bytes are lost.
bool keeper_publish(Artifact *out, const Keeper *keeper, ArtifactDraft *draft);

// settle.c: huge pages for mapped weights, once the process has run the model a few times. Called
// before each run; thread-safe.
void cpu_settle_init(Compiled *compiled);
void cpu_settle(const Compiled *compiled, ThreadPool *pool);

// plan.c: sessions.
Status cpu_session_new(Session **out, const Compiled *compiled, ThreadPool *pool, bool profile,
                       Error *error);
void cpu_session_free(Session *session);
Status cpu_reshape(Session *session, size_t tokens, size_t sequences, size_t max_length,
                   Error *error);
// A run by single steps, in order: all of them together are a run.
Status cpu_run_begin(Session *session, const TokenBatch *batch, Error *error);
void cpu_run_step(Session *session, size_t index);
// The rows that step `index` made last, as f32.
void cpu_step_output(TokenOutput *out, const Session *session, size_t index);
Status cpu_run(Session *session, const TokenBatch *batch, const atomic_int *cancel, Error *error);
void cpu_output(TokenOutput *out, const Session *session, size_t index);
// peak.c: what this machine can do at most.
void cpu_peak(PeakFigures *out, const Compiled *compiled, ThreadPool *pool);

const StepProfile *cpu_profile(const Session *session, size_t *count);

#endif
