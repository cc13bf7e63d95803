// What stands on top of an encoder: the five heads and the graph's declared outputs.
#include "models/blocks.h"

// Outputs are declared here, with the names of their dimensions, so that a reader of the file knows
// them without inferring shapes.
static void declare(Builder *b, ValueId value, int rank, bool per_token, int64_t width) {
    if (b->status != STATUS_OK)
        return;
    Value *output = &b->graph->values[value];
    output->dtype = DTYPE_F32;
    output->has_rank = true;
    output->rank = rank;
    output->dims[0] = (Dim){.size = -1, .symbol = "batch"};
    if (per_token)
        output->dims[1] = (Dim){.size = -1, .symbol = "sequence"};
    if (width > 0)
        output->dims[rank - 1] = (Dim){.size = width};
}

static void finish(Builder *b, const ValueId *outputs, int count) {
    if (b->status == STATUS_OK)
        graph_set_outputs(b->graph, outputs, count);
}

void head_encoder(Builder *b, ValueId x) {
    declare(b, x, 3, true, b->hidden.size);
    finish(b, &x, 1);
}

// [batch, hidden]
static ValueId first_token(Builder *b, ValueId x) {
    return block_gather(b, x, block_shared(b, SHARED_ZERO_INT), 1, "first_token");
}

void head_classify(Builder *b, ValueId x, const char *dense, const char *activation,
                   const char *classifier) {
    builder_read_labels(b, builder_text(b, "%s.weight", classifier));
    x = first_token(b, x);
    x = block_linear(b, x, dense, b->hidden, b->hidden, "pooler");
    x = block_activation(b, x, activation, "pooler.activation");
    x = block_linear(b, x, classifier, b->labels, b->hidden, "logits");
    declare(b, x, 2, false, b->labels.size);
    finish(b, &x, 1);
}

void head_tokens(Builder *b, ValueId x, const char *classifier) {
    builder_read_labels(b, builder_text(b, "%s.weight", classifier));
    x = block_linear(b, x, classifier, b->labels, b->hidden, "logits");
    declare(b, x, 3, true, b->labels.size);
    finish(b, &x, 1);
}

void head_answer(Builder *b, ValueId x, const char *linear) {
    b->labels = (WeightDim){.size = 2};
    x = block_linear(b, x, linear, b->labels, b->hidden, "span_logits");
    if (b->status != STATUS_OK)
        return;
    ValueId sizes = graph_add_i64(b->graph, "span_logits.sizes", (int64_t[]){1, 1}, 2, 1);
    const char *const names[] = {"start_logits.column", "end_logits.column"};
    NodeId node = graph_add_node_n(b->graph, OP_SPLIT, "", (ValueId[]){x, sizes}, 2, names, 2);
    b->status = graph_status(b->graph, b->error);
    if (b->status != STATUS_OK)
        return;
    graph_set_int(b->graph, node, "axis", -1);
    ValueId columns[] = {b->graph->nodes[node].out[0], b->graph->nodes[node].out[1]};
    ValueId outputs[] = {
        block_axes(b, OP_SQUEEZE, columns[0], (int64_t[]){-1}, 1, "start_logits"),
        block_axes(b, OP_SQUEEZE, columns[1], (int64_t[]){-1}, 1, "end_logits"),
    };
    declare(b, outputs[0], 2, true, 0);
    declare(b, outputs[1], 2, true, 0);
    finish(b, outputs, 2);
}

void head_masked_lm(Builder *b, ValueId x, const LmNames *names, const char *activation) {
    x = block_linear(b, x, names->dense, b->hidden, b->hidden, "lm.dense");
    x = block_activation(b, x, activation, "lm.activation");
    x = block_layer_norm(b, x, names->norm, "lm.norm");
    bool is_tied = json_bool_or(b->config, "tie_word_embeddings", true);
    ValueId table = b->word_table;
    if (block_has_weight(b, names->decoder) || !is_tied)
        table = block_weight(b, names->decoder, (WeightDim[]){b->vocab, b->hidden}, 2);
    // Where a file has both names and nothing ties them, the decoder's own is the one that is
    // added.
    const char *first = is_tied ? names->bias : names->decoder_bias;
    const char *second = is_tied ? names->decoder_bias : names->bias;
    const char *bias_name =
        !block_has_weight(b, first) && block_has_weight(b, second) ? second : first;
    ValueId bias = block_weight(b, bias_name, &b->vocab, 1);
    table = block_transpose(b, table, (int64_t[]){1, 0}, 2, "lm.decoder.weight");
    x = block_binary(b, OP_MATMUL, x, table, "lm.decoder.matmul");
    x = block_binary(b, OP_ADD, x, bias, "logits");
    declare(b, x, 3, true, b->vocab.size);
    finish(b, &x, 1);
}
