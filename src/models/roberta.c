// RoBERTa, XLM-RoBERTa and CamemBERT: BERT's body with positions that count the tokens which are
// not padding, and usually a single segment type that is added to everything.
#include "models/blocks.h"

#include <inttypes.h>

static const LayerNames LAYER = {
    .stem = "encoder.layer.",
    .query = "attention.self.query",
    .key = "attention.self.key",
    .value = "attention.self.value",
    .attention_out = "attention.output.dense",
    .attention_norm = "attention.output.LayerNorm",
    .mlp_in = "intermediate.dense",
    .mlp_out = "output.dense",
    .mlp_norm = "output.LayerNorm",
};

static const LmNames LM = {
    .dense = "lm_head.dense",
    .norm = "lm_head.layer_norm",
    .decoder = "lm_head.decoder.weight",
    .bias = "lm_head.bias",
    .decoder_bias = "lm_head.decoder.bias",
};

static ValueId embeddings(Builder *b, int64_t pad) {
    const char *stem = builder_text(b, "%sembeddings", b->prefix);
    ValueId word = block_word_embedding(b, builder_text(b, "%s.word_embeddings", stem));
    ValueId type = block_type_embedding(b, builder_text(b, "%s.token_type_embeddings", stem));
    ValueId table = block_weight(b, builder_text(b, "%s.position_embeddings.weight", stem),
                                 (WeightDim[]){b->positions, b->hidden}, 2);
    ValueId position =
        block_gather(b, table, block_nonpad_positions(b, pad), 0, "embeddings.position");
    ValueId x = block_binary(b, OP_ADD, word, type, "embeddings.word_and_type");
    x = block_binary(b, OP_ADD, x, position, "embeddings.sum");
    return block_layer_norm(b, x, builder_text(b, "%s.LayerNorm", stem), "embeddings");
}

void roberta_build(Builder *b) {
    builder_read_encoder(b, 1e-12);
    int64_t pad = builder_int(b, "pad_token_id", NULL, 1, 0, b->vocab.size - 1).size;
    b->position_offset = pad + 1;
    if (b->positions.size <= b->position_offset)
        builder_fail(b, STATUS_CONVERSION,
                     "config.json: max_position_embeddings %" PRId64
                     " leaves no position after pad_token_id %" PRId64,
                     b->positions.size, pad);
    builder_find_prefix(b, "roberta.");
    block_inputs(b, b->types.size > 1);
    block_additive_mask(b);
    ValueId x = block_encoder(b, embeddings(b, pad), &LAYER);
    switch (b->head) {
    case HEAD_ENCODER:
        head_encoder(b, x);
        break;
    case HEAD_SEQUENCE_CLASSIFICATION:
        head_classify(b, x, "classifier.dense", "tanh", "classifier.out_proj");
        break;
    case HEAD_TOKEN_CLASSIFICATION:
        head_tokens(b, x, "classifier");
        break;
    case HEAD_QUESTION_ANSWERING:
        head_answer(b, x, "qa_outputs");
        break;
    case HEAD_MASKED_LM:
        head_masked_lm(b, x, &LM, "gelu"); // whatever hidden_act is
        break;
    }
}
