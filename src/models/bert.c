// BERT and everything with its body (MiniLM, E5, BGE …): post-norm encoder, learned positions by
// column, two segment types.
#include "models/blocks.h"

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
    .dense = "cls.predictions.transform.dense",
    .norm = "cls.predictions.transform.LayerNorm",
    .decoder = "cls.predictions.decoder.weight",
    .bias = "cls.predictions.bias",
    .decoder_bias = "cls.predictions.decoder.bias",
};

static ValueId embeddings(Builder *b) {
    const char *stem = builder_text(b, "%sembeddings", b->prefix);
    ValueId word = block_word_embedding(b, builder_text(b, "%s.word_embeddings", stem));
    ValueId type = block_type_embedding(b, builder_text(b, "%s.token_type_embeddings", stem));
    ValueId table = block_weight(b, builder_text(b, "%s.position_embeddings.weight", stem),
                                 (WeightDim[]){b->positions, b->hidden}, 2);
    ValueId position = block_gather(b, table, block_column_positions(b), 0, "embeddings.position");
    ValueId x = block_binary(b, OP_ADD, word, type, "embeddings.word_and_type");
    x = block_binary(b, OP_ADD, x, position, "embeddings.sum");
    return block_layer_norm(b, x, builder_text(b, "%s.LayerNorm", stem), "embeddings");
}

void bert_build(Builder *b) {
    builder_read_encoder(b, 1e-12);
    builder_find_prefix(b, "bert.");
    block_inputs(b, b->types.size > 1);
    block_additive_mask(b);
    ValueId x = block_encoder(b, embeddings(b), &LAYER);
    switch (b->head) {
    case HEAD_ENCODER:
        head_encoder(b, x);
        break;
    case HEAD_SEQUENCE_CLASSIFICATION:
        head_classify(b, x, builder_text(b, "%spooler.dense", b->prefix), "tanh", "classifier");
        break;
    case HEAD_TOKEN_CLASSIFICATION:
        head_tokens(b, x, "classifier");
        break;
    case HEAD_QUESTION_ANSWERING:
        head_answer(b, x, "qa_outputs");
        break;
    case HEAD_MASKED_LM:
        head_masked_lm(b, x, &LM, b->activation);
        break;
    }
}
