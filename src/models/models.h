// The door of models/: config.json and tensor names in, a standard padded ONNX Graph out.
//
// One architecture a file. The head is chosen from `architectures` in config.json, never from a
// model's name. Weights stay where they are: constants point into the checkpoint's files.
#ifndef GPUX_MODELS_MODELS_H
#define GPUX_MODELS_MODELS_H

#include "base/json.h"
#include "base/status.h"
#include "checkpoint/checkpoint.h"
#include "graph/graph.h"

#include <stdbool.h>
#include <stdint.h>

typedef enum ModelHead {
    HEAD_ENCODER,                 // last_hidden_state [batch, sequence, hidden]
    HEAD_SEQUENCE_CLASSIFICATION, // logits [batch, num_labels]
    HEAD_TOKEN_CLASSIFICATION,    // logits [batch, sequence, num_labels]
    HEAD_QUESTION_ANSWERING,      // start_logits, end_logits [batch, sequence]
    HEAD_MASKED_LM,               // logits [batch, sequence, vocab]
} ModelHead;

// What was built, for gpux.yml and metadata.json.
typedef struct ModelSpec {
    const char *architecture; // "BertForSequenceClassification", from the config
    const char *model_type;   // "bert"
    ModelHead head;
    const char *task; // spec's name: "text-classification", "fill-mask", …
    int64_t hidden_size, vocab_size, num_labels, num_layers, num_heads;
    int64_t max_positions; // longest sequence with special tokens (RoBERTa: minus its offset)
} ModelSpec;

// Builds the graph: inputs input_ids, attention_mask (and token_type_ids where the model has them)
// i64 [batch, sequence]; opset as given (17 to 23: LayerNormalization came with 17).
// STATUS_CONVERSION naming architecture, tensor, expected and found shape; unknown architectures
// are named together with the supported ones. `spec` strings live in the graph's arena.
Status models_build(Graph **out, ModelSpec *spec, const JsonValue *config,
                    const Checkpoint *checkpoint, int64_t opset, Error *error);

// Whether some architecture of this config.json `model_type` converts.
bool models_supports_type(const char *model_type);

// Names of supported architectures, for messages and tables.
const char *const *models_architectures(size_t *count);

#endif
