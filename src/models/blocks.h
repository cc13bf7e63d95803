// Inside models/: the builder that every architecture file uses, and graph snippets of the pieces
// that transformers are made of.
//
// The first failure is kept in the builder; after it every call does nothing and answers NO_VALUE,
// so architecture files read as a straight list and check once. The spelling of each snippet is the
// one that graph/passes raises to a high-level op: changing one here means changing the other.
#ifndef GPUX_MODELS_BLOCKS_H
#define GPUX_MODELS_BLOCKS_H

#include "models/models.h"

// The largest sizes that config.json may ask for; far above every published model.
enum {
    MAX_HIDDEN = 1 << 16,
    MAX_INNER = 1 << 20,
    MAX_LAYERS = 1024,
    MAX_HEADS = 1024,
    MAX_VOCAB = 1 << 24,
    MAX_POSITIONS = 1 << 20,
    MAX_TYPES = 1 << 16,
    MAX_LABELS = 1 << 24,
};

// A size and the key of config.json it came from, for messages. key NULL: fixed by the
// architecture.
typedef struct WeightDim {
    int64_t size;
    const char *key;
} WeightDim;

// Constants that all layers share, made when first used.
typedef enum SharedConstant {
    SHARED_SPLIT_HEADS,
    SHARED_MERGE_HEADS,
    SHARED_SCALE,
    SHARED_ZERO_INT,
    SHARED_ONE_INT,
    SHARED_HALF,
    SHARED_ONE,
    SHARED_SQRT2,
    SHARED_CUBIC,
    SHARED_SQRT_2_OVER_PI,
    SHARED_COUNT,
} SharedConstant;

typedef struct Builder {
    Graph *graph;
    const Checkpoint *checkpoint;
    const JsonValue *config;
    const char *family;       // "bert": the subject of messages
    const char *architecture; // "BertForMaskedLM"
    ModelHead head;
    const char *prefix; // before the encoder's tensor names: "bert." or ""
    WeightDim hidden, inner, vocab, positions, types, labels, layers, heads;
    int64_t position_offset; // rows of the position table before the first token's
    float epsilon;           // of every layer norm
    const char *activation;  // of the MLP, as config.json spells it
    ValueId input_ids, attention_mask, token_type_ids;
    ValueId word_table; // for heads that are tied to it
    ValueId mask;       // additive [batch, 1, 1, sequence]
    ValueId bias;       // relative position scores [1, heads, sequence, sequence], or NO_VALUE
    ValueId shared[SHARED_COUNT];
    Status status;
    Error *error;
} Builder;

// Tensor names of one encoder layer after its own prefix, e.g. "encoder.layer.0.".
typedef struct LayerNames {
    const char *stem; // before the layer's number: "encoder.layer."
    const char *query, *key, *value, *attention_out, *attention_norm;
    const char *mlp_in, *mlp_out, *mlp_norm;
} LayerNames;

// Tensor names of a masked-LM head. bias and decoder_bias are two names of one tensor, either may
// be absent; decoder may be absent when it is tied to the word embeddings.
typedef struct LmNames {
    const char *dense, *norm, *decoder, *bias, *decoder_bias;
} LmNames;

// ---- Failing and naming ----
// Notes the first failure and answers NO_VALUE.
__attribute__((format(printf, 3, 4))) ValueId builder_fail(Builder *b, Status code,
                                                           const char *format, ...);
// A string in the graph's arena; "" after a failure.
__attribute__((format(printf, 2, 3))) const char *builder_text(Builder *b, const char *format, ...);

// ---- Reading config.json ----
// The whole number under `key`, else under `alias` (may be NULL), else `fallback`; must lie in
// [least, most]. The WeightDim has the key that was found.
WeightDim builder_int(Builder *b, const char *key, const char *alias, int64_t fallback,
                      int64_t least, int64_t most);
// layer_norm_eps and the like.
float builder_epsilon(Builder *b, const char *key, double fallback);
// The string under `key`, else under `alias`, else `fallback`; copied.
const char *builder_string(Builder *b, const char *key, const char *alias, const char *fallback);
// Reads the sizes of an encoder whose config has the names that BERT gave them, and checks them.
void builder_read_encoder(Builder *b, double epsilon);
// What holds for every family: heads divide the hidden size; no decoder; absolute positions.
void builder_check_encoder(Builder *b);
// Finds the encoder's prefix by its word embeddings: `usual` or none.
void builder_find_prefix(Builder *b, const char *usual);
// Reads id2label or num_labels; where config.json has neither, the rows of `tensor` count.
void builder_read_labels(Builder *b, const char *tensor);

// ---- Weights ----
// A float weight of exactly this shape, as f32 (half precision gets a Cast).
ValueId block_weight(Builder *b, const char *name, const WeightDim *dims, int rank);
bool block_has_weight(const Builder *b, const char *name);

// ---- Snippets; `name` names the last value, the others get it as a prefix ----
ValueId block_shared(Builder *b, SharedConstant which);
ValueId block_int(Builder *b, const char *name, int64_t number);
ValueId block_unary(Builder *b, OpKind op, ValueId x, const char *name);
ValueId block_binary(Builder *b, OpKind op, ValueId x, ValueId y, const char *name);
ValueId block_gather(Builder *b, ValueId table, ValueId ids, int64_t axis, const char *name);
ValueId block_transpose(Builder *b, ValueId x, const int64_t *perm, int rank, const char *name);
// axes of Squeeze or Unsqueeze are an input since opset 13.
ValueId block_axes(Builder *b, OpKind op, ValueId x, const int64_t *axes, size_t count,
                   const char *name);
// x W^T + bias with "<stem>.weight" [out, in] and "<stem>.bias" [out].
ValueId block_linear(Builder *b, ValueId x, const char *stem, WeightDim out, WeightDim in,
                     const char *name);
// Over the last dimension, of the hidden size; weight and bias, or gamma and beta as old files say.
ValueId block_layer_norm(Builder *b, ValueId x, const char *stem, const char *name);
ValueId block_activation(Builder *b, ValueId x, const char *activation, const char *name);

// ---- Parts of an encoder ----
// input_ids, attention_mask, and token_type_ids when there is more than one type.
void block_inputs(Builder *b, bool has_types);
// The word embeddings of the inputs; keeps the table.
ValueId block_word_embedding(Builder *b, const char *stem);
// Row 0 of a table with one type, else the rows of token_type_ids.
ValueId block_type_embedding(Builder *b, const char *stem);
ValueId block_column_positions(Builder *b);              // [sequence]: 0, 1, 2 …
ValueId block_nonpad_positions(Builder *b, int64_t pad); // [batch, sequence]: pad + 1, pad + 2 …
void block_additive_mask(Builder *b);                    // sets b->mask
ValueId block_encoder(Builder *b, ValueId x, const LayerNames *names);

// ---- Heads (heads.c); each sets the graph's outputs ----
void head_encoder(Builder *b, ValueId x);
// Two linears on the first token with an activation between.
void head_classify(Builder *b, ValueId x, const char *dense, const char *activation,
                   const char *classifier);
void head_tokens(Builder *b, ValueId x, const char *classifier);
void head_answer(Builder *b, ValueId x, const char *linear);
void head_masked_lm(Builder *b, ValueId x, const LmNames *names, const char *activation);

// ---- Architectures; each one builds the whole graph ----
void bert_build(Builder *b);
void distilbert_build(Builder *b);
void roberta_build(Builder *b);
void mpnet_build(Builder *b);
// The bucket of key position minus query position, as in T5 with 32 buckets up to distance 128.
int64_t mpnet_bucket(int64_t distance);

#endif
