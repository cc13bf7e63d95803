// What the files of engine/ know of each other.
#ifndef GPUX_ENGINE_PRIVATE_H
#define GPUX_ENGINE_PRIVATE_H

#include "engine/engine.h"
#include "onnx/onnx.h"
#include "providers/provider.h"

// What the CPU computes in, NULL-terminated; the first is the default.
extern const char *const engine_precisions[];

// How positions follow from a row of ids.
typedef enum PositionRule {
    POSITIONS_COLUMN, // the token's column
    POSITIONS_NONPAD, // pad_id + count of ids != pad_id up to here; pad_id for a pad (RoBERTa)
} PositionRule;

struct Model {
    CpuInfo cpu;
    OnnxModel *onnx; // graph and mappings; embedding tables are read in place
    const Provider *provider;
    Compiled *compiled;
    const char *precision; // "fp32", "bf16", "int8"
    PositionRule position_rule;
    int32_t pad_id;
    size_t max_tokens, vocab_rows;
    bool has_types;
    ModelPort *inputs, *outputs; // in graph order; names live in the graph
    size_t n_inputs, n_outputs;
};

// Where the options keep prepared weights, and what those of the model at `path` are made from.
// Paths live in the arena.
Status keep_options(KeepOptions *out, Arena *arena, const Model *model, const char *path,
                    const EngineOptions *options, Error *error);

// Positions of one row: positions[i] for ids[0 .. len - 1]. columns NULL = 0, 1, 2, …
void fill_positions(const Model *model, const int32_t *ids, const int32_t *columns, size_t len,
                    int32_t *positions);

#endif
