// DistilBERT: BERT's body with no segment types and no pooler, under names of its own, in
// config.json too.
#include "models/blocks.h"

static const LayerNames LAYER = {
    .stem = "transformer.layer.",
    .query = "attention.q_lin",
    .key = "attention.k_lin",
    .value = "attention.v_lin",
    .attention_out = "attention.out_lin",
    .attention_norm = "sa_layer_norm",
    .mlp_in = "ffn.lin1",
    .mlp_out = "ffn.lin2",
    .mlp_norm = "output_layer_norm",
};

static const LmNames LM = {
    .dense = "vocab_transform",
    .norm = "vocab_layer_norm",
    .decoder = "vocab_projector.weight",
    .bias = "vocab_projector.bias",
    .decoder_bias = "vocab_projector.bias",
};

static void read_config(Builder *b) {
    b->hidden = builder_int(b, "dim", "hidden_size", 768, 1, MAX_HIDDEN);
    b->inner = builder_int(b, "hidden_dim", "intermediate_size", 3072, 1, MAX_INNER);
    b->layers = builder_int(b, "n_layers", "num_hidden_layers", 6, 1, MAX_LAYERS);
    b->heads = builder_int(b, "n_heads", "num_attention_heads", 12, 1, MAX_HEADS);
    b->vocab = builder_int(b, "vocab_size", NULL, 30522, 1, MAX_VOCAB);
    b->positions = builder_int(b, "max_position_embeddings", NULL, 512, 1, MAX_POSITIONS);
    b->types = (WeightDim){.size = 1};
    b->epsilon = 1e-12f; // fixed by the architecture
    b->activation = builder_string(b, "activation", "hidden_act", "gelu");
    builder_check_encoder(b);
}

static ValueId embeddings(Builder *b) {
    const char *stem = builder_text(b, "%sembeddings", b->prefix);
    ValueId word = block_word_embedding(b, builder_text(b, "%s.word_embeddings", stem));
    ValueId table = block_weight(b, builder_text(b, "%s.position_embeddings.weight", stem),
                                 (WeightDim[]){b->positions, b->hidden}, 2);
    ValueId position = block_gather(b, table, block_column_positions(b), 0, "embeddings.position");
    ValueId x = block_binary(b, OP_ADD, word, position, "embeddings.sum");
    return block_layer_norm(b, x, builder_text(b, "%s.LayerNorm", stem), "embeddings");
}

void distilbert_build(Builder *b) {
    read_config(b);
    builder_find_prefix(b, "distilbert.");
    block_inputs(b, false);
    block_additive_mask(b);
    ValueId x = block_encoder(b, embeddings(b), &LAYER);
    switch (b->head) {
    case HEAD_ENCODER:
        head_encoder(b, x);
        break;
    case HEAD_SEQUENCE_CLASSIFICATION:
        head_classify(b, x, "pre_classifier", "relu", "classifier");
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
