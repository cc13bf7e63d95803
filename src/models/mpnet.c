// MPNet: BERT's body with RoBERTa's positions, no segment types, and a relative position bias that
// all layers add to their attention scores.
#include "models/blocks.h"

#include <inttypes.h>

enum {
    PAD_ID = 1, // fixed by the architecture, whatever pad_token_id says
    BUCKETS = 32,
};

static const LayerNames LAYER = {
    .stem = "encoder.layer.",
    .query = "attention.attn.q",
    .key = "attention.attn.k",
    .value = "attention.attn.v",
    .attention_out = "attention.attn.o",
    .attention_norm = "attention.LayerNorm",
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

// Half of the buckets are for each direction; in each, the first 8 are exact and the others grow
// with the logarithm: 8 + floor(8 log(n / 8) / log(128 / 8)) = 8 + floor(log2((n / 8)^2)). In whole
// numbers it needs no rounding; transformers computes it in float32 with the same results.
int64_t mpnet_bucket(int64_t distance) {
    const int64_t half = BUCKETS / 2, exact = half / 2;
    int64_t bucket = distance > 0 ? half : 0;
    int64_t n = distance < 0 ? -distance : distance;
    if (n < exact)
        return bucket + n;
    int64_t large = exact;
    for (int64_t square = 2 * exact * exact; large < half - 1 && n * n >= square; square *= 2)
        large++;
    return bucket + large;
}

// [1, heads, sequence, sequence]: a bias per head by the bucket of key minus query position.
static ValueId relative_bias(Builder *b) {
    WeightDim buckets =
        builder_int(b, "relative_attention_num_buckets", NULL, BUCKETS, BUCKETS, 1 << 16);
    ValueId weight =
        block_weight(b, builder_text(b, "%sencoder.relative_attention_bias.weight", b->prefix),
                     (WeightDim[]){buckets, b->heads}, 2);
    if (b->status != STATUS_OK)
        return NO_VALUE;
    int64_t reach = b->positions.size - 1;
    size_t count = 2 * (size_t)reach + 1;
    int64_t *table = arena_alloc_array(&b->graph->arena, count, sizeof(*table));
    for (size_t i = 0; table && i < count; i++)
        table[i] = mpnet_bucket((int64_t)i - reach);
    ValueId index = table ? graph_add_i64(b->graph, "relative_buckets", table, count, 1) : NO_VALUE;
    if (index == NO_VALUE) {
        b->status = error_out_of_memory(b->error, count * sizeof(*table));
        return NO_VALUE;
    }
    ValueId biases = block_gather(b, weight, index, 0, "relative_bias.table");

    ValueId positions = block_column_positions(b);
    ValueId key = block_axes(b, OP_UNSQUEEZE, positions, (int64_t[]){0}, 1, "relative_bias.key");
    ValueId query =
        block_axes(b, OP_UNSQUEEZE, positions, (int64_t[]){1}, 1, "relative_bias.query");
    index = block_binary(b, OP_SUB, key, query, "relative_bias.distance");
    ValueId center = block_int(b, "relative_bias.center", reach);
    index = block_binary(b, OP_ADD, index, center, "relative_bias.index");
    ValueId x = block_gather(b, biases, index, 0, "relative_bias.gathered");
    x = block_transpose(b, x, (int64_t[]){2, 0, 1}, 3, "relative_bias.heads");
    return block_axes(b, OP_UNSQUEEZE, x, (int64_t[]){0}, 1, "relative_bias");
}

static ValueId embeddings(Builder *b) {
    const char *stem = builder_text(b, "%sembeddings", b->prefix);
    ValueId word = block_word_embedding(b, builder_text(b, "%s.word_embeddings", stem));
    ValueId table = block_weight(b, builder_text(b, "%s.position_embeddings.weight", stem),
                                 (WeightDim[]){b->positions, b->hidden}, 2);
    ValueId position =
        block_gather(b, table, block_nonpad_positions(b, PAD_ID), 0, "embeddings.position");
    ValueId x = block_binary(b, OP_ADD, word, position, "embeddings.sum");
    return block_layer_norm(b, x, builder_text(b, "%s.LayerNorm", stem), "embeddings");
}

void mpnet_build(Builder *b) {
    builder_read_encoder(b, 1e-12);
    b->types = (WeightDim){.size = 1};
    b->position_offset = PAD_ID + 1;
    if (b->positions.size <= b->position_offset)
        builder_fail(b, STATUS_CONVERSION,
                     "config.json: max_position_embeddings is %" PRId64 ", must be more than %d",
                     b->positions.size, PAD_ID + 1);
    builder_find_prefix(b, "mpnet.");
    block_inputs(b, false);
    block_additive_mask(b);
    ValueId x = embeddings(b);
    b->bias = relative_bias(b);
    x = block_encoder(b, x, &LAYER);
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
        head_masked_lm(b, x, &LM, "gelu");
        break;
    }
}
