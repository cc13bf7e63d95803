// The builder and the graph snippets of post-norm transformer encoders.
//
// Nothing here knows an architecture: tensor names and sizes come from the caller. Every weight
// goes through block_weight, the one place that compares shapes with config.json.
#include "models/blocks.h"

#include <inttypes.h>
#include <math.h>
#include <stdarg.h>
#include <stdio.h>

enum { MAX_WEIGHT_RANK = 2, NAME_SHOWN = 96 };

ValueId builder_fail(Builder *b, Status code, const char *format, ...) {
    if (b->status != STATUS_OK)
        return NO_VALUE;
    b->status = code;
    if (b->error) {
        char text[ERROR_MESSAGE_SIZE - 64];
        va_list args;
        va_start(args, format);
        vsnprintf(text, sizeof(text), format, args);
        va_end(args);
        error_set(b->error, code, "%s: %s", b->family, text);
    }
    return NO_VALUE;
}

static ValueId out_of_memory(Builder *b) {
    if (b->status == STATUS_OK)
        b->status = error_set(b->error, STATUS_OUT_OF_MEMORY, "out of memory while building '%s'",
                              b->architecture);
    return NO_VALUE;
}

// Passes a value on, noting when the graph ran out of memory.
static ValueId checked(Builder *b, ValueId value) {
    return value == NO_VALUE ? out_of_memory(b) : value;
}

const char *builder_text(Builder *b, const char *format, ...) {
    char text[512];
    va_list args;
    va_start(args, format);
    int len = vsnprintf(text, sizeof(text), format, args);
    va_end(args);
    if (len < 0 || (size_t)len >= sizeof(text)) {
        builder_fail(b, STATUS_CONVERSION, "a tensor's name is too long");
        return "";
    }
    char *copy = arena_strndup(&b->graph->arena, text, (size_t)len);
    if (!copy) {
        out_of_memory(b);
        return "";
    }
    return copy;
}

static void set_int(Builder *b, ValueId value, const char *name, int64_t number) {
    if (value != NO_VALUE)
        graph_set_int(b->graph, b->graph->values[value].producer, name, number);
}

bool block_has_weight(const Builder *b, const char *name) {
    return checkpoint_find(b->checkpoint, name) != NULL;
}

static ValueId wrong_shape(Builder *b, const CheckpointTensor *tensor, const WeightDim *dims,
                           int rank) {
    char found[128], expected[128];
    int64_t wanted[MAX_WEIGHT_RANK] = {0};
    for (int i = 0; i < rank; i++)
        wanted[i] = dims[i].size;
    shape_format(found, sizeof(found), tensor->shape, tensor->rank);
    shape_format(expected, sizeof(expected), wanted, rank);
    for (int i = 0; i < rank && tensor->rank == rank; i++) {
        if (tensor->shape[i] == dims[i].size || !dims[i].key)
            continue;
        if (strcmp(dims[i].key, "id2label") == 0)
            return builder_fail(b, STATUS_CONVERSION,
                                "weight \"%s\" is %s, config.json has %" PRId64
                                " labels in id2label",
                                tensor->name, found, dims[i].size);
        return builder_fail(b, STATUS_CONVERSION,
                            "weight \"%s\" is %s, config.json says %s %" PRId64, tensor->name,
                            found, dims[i].key, dims[i].size);
    }
    return builder_fail(b, STATUS_CONVERSION, "weight \"%s\" is %s, %s needs %s", tensor->name,
                        found, b->architecture, expected);
}

ValueId block_weight(Builder *b, const char *name, const WeightDim *dims, int rank) {
    if (b->status != STATUS_OK)
        return NO_VALUE;
    const CheckpointTensor *tensor = checkpoint_find(b->checkpoint, name);
    if (!tensor)
        return builder_fail(b, STATUS_CONVERSION, "weight \"%s\" is missing; %s needs it", name,
                            b->architecture);
    bool fits = tensor->rank == rank;
    for (int i = 0; i < rank && fits; i++)
        fits = tensor->shape[i] == dims[i].size;
    if (!fits)
        return wrong_shape(b, tensor, dims, rank);
    bool is_half = tensor->dtype == DTYPE_F16 || tensor->dtype == DTYPE_BF16;
    if (tensor->dtype != DTYPE_F32 && !is_half)
        return builder_fail(b, STATUS_CONVERSION,
                            "weight \"%s\" is %s; float32, float16 and bfloat16 are supported",
                            name, dtype_name(tensor->dtype));
    ValueId value = graph_add_constant(b->graph, name, tensor->dtype, tensor->shape, rank,
                                       tensor->data, tensor->size, tensor->file, tensor->offset);
    value = checked(b, value);
    if (is_half) {
        value = block_unary(b, OP_CAST, value, builder_text(b, "%s.float32", name));
        set_int(b, value, "to", dtype_to_onnx(DTYPE_F32));
    }
    return value;
}

static ValueId shared_int64(Builder *b, const char *name, const int64_t *numbers, size_t count) {
    return checked(b, graph_add_i64(b->graph, name, numbers, count, count > 1 ? 1 : 0));
}

static ValueId shared_float(Builder *b, const char *name, double number) {
    float narrow = (float)number;
    return checked(b, graph_add_f32(b->graph, name, &narrow, 1, 0));
}

static ValueId make_shared(Builder *b, SharedConstant which) {
    int64_t head_dim = b->hidden.size / b->heads.size;
    switch (which) {
    case SHARED_SPLIT_HEADS:
        return shared_int64(b, "shape.heads", (int64_t[]){0, 0, b->heads.size, head_dim}, 4);
    case SHARED_MERGE_HEADS:
        return shared_int64(b, "shape.hidden", (int64_t[]){0, 0, b->hidden.size}, 3);
    case SHARED_SCALE:
        return shared_float(b, "attention.scale", 1.0 / sqrt((double)head_dim));
    case SHARED_ZERO_INT:
        return shared_int64(b, "int.0", (int64_t[]){0}, 1);
    case SHARED_ONE_INT:
        return shared_int64(b, "int.1", (int64_t[]){1}, 1);
    case SHARED_HALF:
        return shared_float(b, "float.half", 0.5);
    case SHARED_ONE:
        return shared_float(b, "float.1", 1.0);
    case SHARED_SQRT2:
        return shared_float(b, "float.sqrt2", M_SQRT2);
    case SHARED_CUBIC: // of the tanh form of GELU (Hendrycks & Gimpel 2016)
        return shared_float(b, "gelu.cubic", 0.044715);
    case SHARED_SQRT_2_OVER_PI:
        return shared_float(b, "float.sqrt_2_over_pi", sqrt(2.0 * M_1_PI));
    case SHARED_COUNT:
        break;
    }
    return builder_fail(b, STATUS_INTERNAL, "unknown shared constant");
}

ValueId block_shared(Builder *b, SharedConstant which) {
    if (b->status != STATUS_OK)
        return NO_VALUE;
    if (b->shared[which] == NO_VALUE)
        b->shared[which] = make_shared(b, which);
    return b->shared[which];
}

ValueId block_int(Builder *b, const char *name, int64_t number) {
    return b->status == STATUS_OK ? shared_int64(b, name, &number, 1) : NO_VALUE;
}

ValueId block_unary(Builder *b, OpKind op, ValueId x, const char *name) {
    if (b->status != STATUS_OK)
        return NO_VALUE;
    return checked(b, graph_add_node(b->graph, op, &x, 1, name));
}

ValueId block_binary(Builder *b, OpKind op, ValueId x, ValueId y, const char *name) {
    if (b->status != STATUS_OK)
        return NO_VALUE;
    return checked(b, graph_add_node(b->graph, op, (ValueId[]){x, y}, 2, name));
}

ValueId block_gather(Builder *b, ValueId table, ValueId ids, int64_t axis, const char *name) {
    ValueId value = block_binary(b, OP_GATHER, table, ids, name);
    set_int(b, value, "axis", axis);
    return value;
}

ValueId block_transpose(Builder *b, ValueId x, const int64_t *perm, int rank, const char *name) {
    ValueId value = block_unary(b, OP_TRANSPOSE, x, name);
    if (value != NO_VALUE)
        graph_set_ints(b->graph, b->graph->values[value].producer, "perm", perm, (size_t)rank);
    return value;
}

ValueId block_axes(Builder *b, OpKind op, ValueId x, const int64_t *axes, size_t count,
                   const char *name) {
    const char *axes_name = builder_text(b, "%s.axes", name);
    if (b->status != STATUS_OK)
        return NO_VALUE;
    ValueId list = checked(b, graph_add_i64(b->graph, axes_name, axes, count, 1));
    return block_binary(b, op, x, list, name);
}

ValueId block_linear(Builder *b, ValueId x, const char *stem, WeightDim out, WeightDim in,
                     const char *name) {
    ValueId weight = block_weight(b, builder_text(b, "%s.weight", stem), (WeightDim[]){out, in}, 2);
    ValueId bias = block_weight(b, builder_text(b, "%s.bias", stem), &out, 1);
    weight = block_transpose(b, weight, (int64_t[]){1, 0}, 2, builder_text(b, "%s.weight", name));
    ValueId product = block_binary(b, OP_MATMUL, x, weight, builder_text(b, "%s.matmul", name));
    return block_binary(b, OP_ADD, product, bias, name);
}

ValueId block_layer_norm(Builder *b, ValueId x, const char *stem, const char *name) {
    const char *scale_name = builder_text(b, "%s.weight", stem);
    const char *shift_name = builder_text(b, "%s.bias", stem);
    // Checkpoints that were once converted from TensorFlow.
    if (!block_has_weight(b, scale_name) && !block_has_weight(b, shift_name)) {
        const char *gamma = builder_text(b, "%s.gamma", stem);
        const char *beta = builder_text(b, "%s.beta", stem);
        if (block_has_weight(b, gamma) && block_has_weight(b, beta)) {
            scale_name = gamma;
            shift_name = beta;
        }
    }
    ValueId scale = block_weight(b, scale_name, &b->hidden, 1);
    ValueId shift = block_weight(b, shift_name, &b->hidden, 1);
    if (b->status != STATUS_OK)
        return NO_VALUE;
    ValueId in[] = {x, scale, shift};
    ValueId value = checked(b, graph_add_node(b->graph, OP_LAYER_NORMALIZATION, in, 3, name));
    set_int(b, value, "axis", -1);
    if (value != NO_VALUE)
        graph_set_float(b->graph, b->graph->values[value].producer, "epsilon", b->epsilon);
    return value;
}

// x/2 (1 + erf(x / sqrt 2)), in the order in which torch exports it.
static ValueId gelu(Builder *b, ValueId x, const char *name) {
    ValueId one = block_shared(b, SHARED_ONE);
    ValueId y = block_binary(b, OP_DIV, x, block_shared(b, SHARED_SQRT2),
                             builder_text(b, "%s.divided", name));
    y = block_unary(b, OP_ERF, y, builder_text(b, "%s.erf", name));
    y = block_binary(b, OP_ADD, y, one, builder_text(b, "%s.plus_one", name));
    y = block_binary(b, OP_MUL, x, y, builder_text(b, "%s.times_x", name));
    return block_binary(b, OP_MUL, y, block_shared(b, SHARED_HALF), name);
}

// x/2 (1 + tanh(sqrt(2/pi) (x + 0.044715 x^3)))
static ValueId gelu_tanh(Builder *b, ValueId x, const char *name) {
    ValueId one = block_shared(b, SHARED_ONE);
    ValueId y = block_binary(b, OP_MUL, x, x, builder_text(b, "%s.squared", name));
    y = block_binary(b, OP_MUL, y, x, builder_text(b, "%s.cubed", name));
    y = block_binary(b, OP_MUL, y, block_shared(b, SHARED_CUBIC),
                     builder_text(b, "%s.cubic", name));
    y = block_binary(b, OP_ADD, x, y, builder_text(b, "%s.sum", name));
    y = block_binary(b, OP_MUL, y, block_shared(b, SHARED_SQRT_2_OVER_PI),
                     builder_text(b, "%s.scaled", name));
    y = block_unary(b, OP_TANH, y, builder_text(b, "%s.tanh", name));
    y = block_binary(b, OP_ADD, y, one, builder_text(b, "%s.plus_one", name));
    y = block_binary(b, OP_MUL, x, y, builder_text(b, "%s.times_x", name));
    return block_binary(b, OP_MUL, y, block_shared(b, SHARED_HALF), name);
}

static ValueId silu(Builder *b, ValueId x, const char *name) {
    ValueId gate = block_unary(b, OP_SIGMOID, x, builder_text(b, "%s.sigmoid", name));
    return block_binary(b, OP_MUL, x, gate, name);
}

static ValueId relu(Builder *b, ValueId x, const char *name) {
    return block_unary(b, OP_RELU, x, name);
}

static ValueId hyperbolic_tangent(Builder *b, ValueId x, const char *name) {
    return block_unary(b, OP_TANH, x, name);
}

static const struct {
    const char *name;
    ValueId (*build)(Builder *b, ValueId x, const char *name);
} ACTIVATIONS[] = {
    {"gelu", gelu},          {"gelu_python", gelu},
    {"gelu_new", gelu_tanh}, {"gelu_pytorch_tanh", gelu_tanh},
    {"relu", relu},          {"tanh", hyperbolic_tangent},
    {"silu", silu},          {"swish", silu},
};

ValueId block_activation(Builder *b, ValueId x, const char *activation, const char *name) {
    if (b->status != STATUS_OK)
        return NO_VALUE;
    for (size_t i = 0; i < sizeof(ACTIVATIONS) / sizeof(ACTIVATIONS[0]); i++)
        if (strcmp(ACTIVATIONS[i].name, activation) == 0)
            return ACTIVATIONS[i].build(b, x, name);
    return builder_fail(b, STATUS_CONVERSION,
                        "activation \"%.*s\" is not supported; gelu, gelu_new, gelu_pytorch_tanh, "
                        "relu, tanh, silu and swish are",
                        NAME_SHOWN, activation);
}

static ValueId add_input(Builder *b, const char *name) {
    if (b->status != STATUS_OK)
        return NO_VALUE;
    const Dim dims[] = {{.size = -1, .symbol = "batch"}, {.size = -1, .symbol = "sequence"}};
    return checked(b, graph_add_input(b->graph, name, DTYPE_I64, dims, 2));
}

void block_inputs(Builder *b, bool has_types) {
    b->input_ids = add_input(b, "input_ids");
    b->attention_mask = add_input(b, "attention_mask");
    if (has_types)
        b->token_type_ids = add_input(b, "token_type_ids");
}

ValueId block_word_embedding(Builder *b, const char *stem) {
    b->word_table =
        block_weight(b, builder_text(b, "%s.weight", stem), (WeightDim[]){b->vocab, b->hidden}, 2);
    return block_gather(b, b->word_table, b->input_ids, 0, "embeddings.word");
}

ValueId block_type_embedding(Builder *b, const char *stem) {
    ValueId table =
        block_weight(b, builder_text(b, "%s.weight", stem), (WeightDim[]){b->types, b->hidden}, 2);
    ValueId ids =
        b->token_type_ids == NO_VALUE ? block_shared(b, SHARED_ZERO_INT) : b->token_type_ids;
    return block_gather(b, table, ids, 0, "embeddings.type");
}

ValueId block_column_positions(Builder *b) {
    ValueId shape = block_unary(b, OP_SHAPE, b->input_ids, "input_ids.shape");
    ValueId one = block_shared(b, SHARED_ONE_INT);
    ValueId length = block_gather(b, shape, one, 0, "sequence_length");
    if (b->status != STATUS_OK)
        return NO_VALUE;
    ValueId in[] = {block_shared(b, SHARED_ZERO_INT), length, one};
    if (b->status != STATUS_OK)
        return NO_VALUE;
    return checked(b, graph_add_node(b->graph, OP_RANGE, in, 3, "positions"));
}

ValueId block_nonpad_positions(Builder *b, int64_t pad) {
    ValueId pad_id = block_int(b, "pad_id", pad);
    ValueId mask = block_binary(b, OP_EQUAL, b->input_ids, pad_id, "position_ids.is_pad");
    mask = block_unary(b, OP_NOT, mask, "position_ids.is_token");
    mask = block_unary(b, OP_CAST, mask, "position_ids.mask");
    set_int(b, mask, "to", dtype_to_onnx(DTYPE_I64));
    ValueId axis = block_shared(b, SHARED_ONE_INT);
    ValueId count = block_binary(b, OP_CUMSUM, mask, axis, "position_ids.count");
    count = block_binary(b, OP_MUL, count, mask, "position_ids.masked");
    return block_binary(b, OP_ADD, count, pad_id, "position_ids");
}

void block_additive_mask(Builder *b) {
    ValueId mask = block_axes(b, OP_UNSQUEEZE, b->attention_mask, (int64_t[]){1, 2}, 2,
                              "attention_mask.unsqueezed");
    mask = block_unary(b, OP_CAST, mask, "attention_mask.float");
    set_int(b, mask, "to", dtype_to_onnx(DTYPE_F32));
    ValueId one = block_shared(b, SHARED_ONE);
    mask = block_binary(b, OP_SUB, one, mask, "attention_mask.inverted");
    if (b->status != STATUS_OK)
        return;
    ValueId least = shared_float(b, "attention_mask.least", -3.4028234663852886e38);
    b->mask = block_binary(b, OP_MUL, mask, least, "attention_mask.additive");
}

// [batch, sequence, hidden] → linear → [batch, heads, sequence, head_dim], or with the last two
// swapped for keys.
static ValueId attention_heads(Builder *b, ValueId x, const char *stem, bool is_key,
                               const char *name) {
    ValueId y = block_linear(b, x, stem, b->hidden, b->hidden, name);
    y = block_binary(b, OP_RESHAPE, y, block_shared(b, SHARED_SPLIT_HEADS),
                     builder_text(b, "%s.reshaped", name));
    const int64_t *perm = is_key ? (const int64_t[]){0, 2, 3, 1} : (const int64_t[]){0, 2, 1, 3};
    return block_transpose(b, y, perm, 4, builder_text(b, "%s.heads", name));
}

// Self-attention up to and with its output linear. stem: the layer's tensor prefix; name: the
// prefix of value names.
static ValueId attention(Builder *b, ValueId x, const LayerNames *names, const char *stem,
                         const char *name) {
    ValueId query = attention_heads(b, x, builder_text(b, "%s%s", stem, names->query), false,
                                    builder_text(b, "%s.query", name));
    ValueId key = attention_heads(b, x, builder_text(b, "%s%s", stem, names->key), true,
                                  builder_text(b, "%s.key", name));
    ValueId value = attention_heads(b, x, builder_text(b, "%s%s", stem, names->value), false,
                                    builder_text(b, "%s.value", name));
    ValueId y = block_binary(b, OP_MATMUL, query, key, builder_text(b, "%s.scores", name));
    y = block_binary(b, OP_MUL, y, block_shared(b, SHARED_SCALE),
                     builder_text(b, "%s.scores.scaled", name));
    if (b->bias != NO_VALUE)
        y = block_binary(b, OP_ADD, y, b->bias, builder_text(b, "%s.scores.biased", name));
    y = block_binary(b, OP_ADD, y, b->mask, builder_text(b, "%s.scores.masked", name));
    y = block_unary(b, OP_SOFTMAX, y, builder_text(b, "%s.probabilities", name));
    set_int(b, y, "axis", -1);
    y = block_binary(b, OP_MATMUL, y, value, builder_text(b, "%s.context.heads", name));
    y = block_transpose(b, y, (int64_t[]){0, 2, 1, 3}, 4,
                        builder_text(b, "%s.context.transposed", name));
    y = block_binary(b, OP_RESHAPE, y, block_shared(b, SHARED_MERGE_HEADS),
                     builder_text(b, "%s.context", name));
    return block_linear(b, y, builder_text(b, "%s%s", stem, names->attention_out), b->hidden,
                        b->hidden, builder_text(b, "%s.output", name));
}

ValueId block_encoder(Builder *b, ValueId x, const LayerNames *names) {
    for (int64_t i = 0; i < b->layers.size && b->status == STATUS_OK; i++) {
        const char *stem = builder_text(b, "%s%s%" PRId64 ".", b->prefix, names->stem, i);
        const char *name = builder_text(b, "layer.%" PRId64, i);
        bool is_last = i + 1 == b->layers.size && b->head == HEAD_ENCODER;

        ValueId y = attention(b, x, names, stem, builder_text(b, "%s.attention", name));
        y = block_binary(b, OP_ADD, y, x, builder_text(b, "%s.attention.residual", name));
        x = block_layer_norm(b, y, builder_text(b, "%s%s", stem, names->attention_norm),
                             builder_text(b, "%s.attention.norm", name));

        y = block_linear(b, x, builder_text(b, "%s%s", stem, names->mlp_in), b->inner, b->hidden,
                         builder_text(b, "%s.mlp.inner", name));
        y = block_activation(b, y, b->activation, builder_text(b, "%s.mlp.activation", name));
        y = block_linear(b, y, builder_text(b, "%s%s", stem, names->mlp_out), b->hidden, b->inner,
                         builder_text(b, "%s.mlp.output", name));
        y = block_binary(b, OP_ADD, y, x, builder_text(b, "%s.mlp.residual", name));
        x = block_layer_norm(b, y, builder_text(b, "%s%s", stem, names->mlp_norm),
                             is_last ? "last_hidden_state" : builder_text(b, "%s.output", name));
    }
    return x;
}
