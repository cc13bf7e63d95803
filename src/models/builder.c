// Reading config.json into a Builder: every number is bounded before it sizes anything.
#include "models/blocks.h"

#include <inttypes.h>

static bool is_given(const JsonValue *value) {
    return json_kind(value) != JSON_ABSENT && json_kind(value) != JSON_NULL;
}

WeightDim builder_int(Builder *b, const char *key, const char *alias, int64_t fallback,
                      int64_t least, int64_t most) {
    const JsonValue *value = json_get(b->config, key);
    if (!is_given(value) && alias && is_given(json_get(b->config, alias))) {
        key = alias;
        value = json_get(b->config, alias);
    }
    WeightDim dim = {.size = fallback, .key = key};
    if (!is_given(value))
        return dim;
    if (!json_as_i64(&dim.size, value)) {
        builder_fail(b, STATUS_CONVERSION, "config.json: %s is not a whole number", key);
        dim.size = fallback;
    } else if (dim.size < least || dim.size > most) {
        builder_fail(b, STATUS_CONVERSION,
                     "config.json: %s is %" PRId64 ", must be %" PRId64 " to %" PRId64, key,
                     dim.size, least, most);
        dim.size = fallback;
    }
    return dim;
}

float builder_epsilon(Builder *b, const char *key, double fallback) {
    const JsonValue *value = json_get(b->config, key);
    double epsilon = fallback;
    if (is_given(value) && (!json_as_f64(&epsilon, value) || !(epsilon >= 0 && epsilon <= 1)))
        builder_fail(b, STATUS_CONVERSION, "config.json: %s is not a number between 0 and 1", key);
    return (float)epsilon;
}

const char *builder_string(Builder *b, const char *key, const char *alias, const char *fallback) {
    const JsonValue *value = json_get(b->config, key);
    if (!is_given(value) && alias) {
        key = alias;
        value = json_get(b->config, alias);
    }
    if (!is_given(value))
        return fallback;
    StrView text;
    bool is_plain = json_as_string(&text, value) && text.len < 96;
    for (size_t i = 0; is_plain && i < text.len; i++)
        is_plain = text.ptr[i] >= ' ' && text.ptr[i] <= '~';
    if (!is_plain) {
        builder_fail(b, STATUS_CONVERSION, "config.json: %s is not a short plain string", key);
        return fallback;
    }
    return builder_text(b, "%.*s", (int)text.len, text.ptr);
}

void builder_read_encoder(Builder *b, double epsilon) {
    b->hidden = builder_int(b, "hidden_size", NULL, 768, 1, MAX_HIDDEN);
    b->inner = builder_int(b, "intermediate_size", NULL, 3072, 1, MAX_INNER);
    b->layers = builder_int(b, "num_hidden_layers", NULL, 12, 1, MAX_LAYERS);
    b->heads = builder_int(b, "num_attention_heads", NULL, 12, 1, MAX_HEADS);
    b->vocab = builder_int(b, "vocab_size", NULL, 30522, 1, MAX_VOCAB);
    b->positions = builder_int(b, "max_position_embeddings", NULL, 512, 1, MAX_POSITIONS);
    b->types = builder_int(b, "type_vocab_size", NULL, 2, 1, MAX_TYPES);
    b->epsilon = builder_epsilon(b, "layer_norm_eps", epsilon);
    b->activation = builder_string(b, "hidden_act", NULL, "gelu");
    builder_check_encoder(b);
}

void builder_check_encoder(Builder *b) {
    if (b->hidden.size % b->heads.size != 0)
        builder_fail(b, STATUS_CONVERSION,
                     "config.json: %s %" PRId64 " is not a multiple of %s %" PRId64, b->hidden.key,
                     b->hidden.size, b->heads.key, b->heads.size);
    const char *kind = builder_string(b, "position_embedding_type", NULL, "absolute");
    if (strcmp(kind, "absolute") != 0)
        builder_fail(
            b, STATUS_CONVERSION,
            "config.json: position_embedding_type \"%s\" is not supported; \"absolute\" is", kind);
    if (json_bool_or(b->config, "is_decoder", false) ||
        json_bool_or(b->config, "add_cross_attention", false))
        builder_fail(b, STATUS_CONVERSION,
                     "config.json: is_decoder and add_cross_attention are not supported; %s is an "
                     "encoder",
                     b->architecture);
}

void builder_find_prefix(Builder *b, const char *usual) {
    static const char table[] = "embeddings.word_embeddings.weight";
    b->prefix = "";
    if (block_has_weight(b, builder_text(b, "%s%s", usual, table)))
        b->prefix = usual;
    else if (!block_has_weight(b, table))
        builder_fail(b, STATUS_CONVERSION,
                     "weight \"%s%s\" is missing, also without \"%s\"; %s needs it", usual, table,
                     usual, b->architecture);
}

void builder_read_labels(Builder *b, const char *tensor) {
    const JsonValue *labels = json_get(b->config, "id2label");
    if (json_kind(labels) == JSON_OBJECT && json_len(labels) > 0) {
        if (json_len(labels) > MAX_LABELS) {
            builder_fail(b, STATUS_CONVERSION, "config.json: id2label has more than %d labels",
                         (int)MAX_LABELS);
            return;
        }
        b->labels = (WeightDim){.size = (int64_t)json_len(labels), .key = "id2label"};
        return;
    }
    int64_t rows = 2;
    const CheckpointTensor *weight = checkpoint_find(b->checkpoint, tensor);
    if (weight && weight->rank == 2 && weight->shape[0] >= 1 && weight->shape[0] <= MAX_LABELS)
        rows = weight->shape[0];
    b->labels = builder_int(b, "num_labels", NULL, rows, 1, MAX_LABELS);
}
