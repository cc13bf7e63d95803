// The table of architectures, and the choice of one from config.json or, for BERT, from the names
// of the tensors. Never from a model's name.
#include "models/blocks.h"

#include <inttypes.h>

enum {
    MIN_OPSET = 17, // the first with LayerNormalization
    MAX_OPSET = 23,
};

// ROW(architecture, model_type, head, builder)
#define FAMILY(class, type, build)                                                                 \
    ROW(class "Model", type, HEAD_ENCODER, build)                                                  \
    ROW(class "ForSequenceClassification", type, HEAD_SEQUENCE_CLASSIFICATION, build)              \
    ROW(class "ForTokenClassification", type, HEAD_TOKEN_CLASSIFICATION, build)                    \
    ROW(class "ForQuestionAnswering", type, HEAD_QUESTION_ANSWERING, build)                        \
    ROW(class "ForMaskedLM", type, HEAD_MASKED_LM, build)

#define ARCHITECTURE_TABLE                                                                         \
    FAMILY("Bert", "bert", bert_build)                                                             \
    ROW("BertForPreTraining", "bert", HEAD_MASKED_LM, bert_build)                                  \
    FAMILY("DistilBert", "distilbert", distilbert_build)                                           \
    FAMILY("Roberta", "roberta", roberta_build)                                                    \
    FAMILY("XLMRoberta", "xlm-roberta", roberta_build)                                             \
    FAMILY("Camembert", "camembert", roberta_build)                                                \
    FAMILY("MPNet", "mpnet", mpnet_build)

static const char SUPPORTED[] =
    "supported are Bert, DistilBert, Roberta, XLMRoberta, Camembert and MPNet, each as Model, "
    "ForSequenceClassification, ForTokenClassification, ForQuestionAnswering and ForMaskedLM";

typedef struct Architecture {
    const char *name;
    const char *model_type;
    ModelHead head;
    void (*build)(Builder *b);
} Architecture;

#define ROW(name, model_type, head, build) {name, model_type, head, build},
static const Architecture ARCHITECTURES[] = {ARCHITECTURE_TABLE};
#undef ROW
#define ROW(name, model_type, head, build) name,
static const char *const NAMES[] = {ARCHITECTURE_TABLE};
#undef ROW

enum { ARCHITECTURE_COUNT = sizeof(ARCHITECTURES) / sizeof(ARCHITECTURES[0]) };

static const char *const TASKS[] = {
    [HEAD_ENCODER] = "feature-extraction",
    [HEAD_SEQUENCE_CLASSIFICATION] = "text-classification",
    [HEAD_TOKEN_CLASSIFICATION] = "token-classification",
    [HEAD_QUESTION_ANSWERING] = "question-answering",
    [HEAD_MASKED_LM] = "fill-mask",
};

const char *const *models_architectures(size_t *count) {
    *count = ARCHITECTURE_COUNT;
    return NAMES;
}

static const Architecture *find_architecture(StrView name) {
    for (size_t i = 0; i < ARCHITECTURE_COUNT; i++)
        if (sv_equal_cstr(name, ARCHITECTURES[i].name))
            return &ARCHITECTURES[i];
    return NULL;
}

// The bare encoder of a model type.
static const Architecture *find_encoder(StrView model_type) {
    for (size_t i = 0; i < ARCHITECTURE_COUNT; i++)
        if (sv_equal_cstr(model_type, ARCHITECTURES[i].model_type) &&
            ARCHITECTURES[i].head == HEAD_ENCODER)
            return &ARCHITECTURES[i];
    return NULL;
}

// A name from a file, fit for a message: short, one line, ASCII.
static const char *shown(char out[64], StrView name) {
    size_t len = name.len < 63 ? name.len : 63;
    for (size_t i = 0; i < len; i++)
        out[i] = name.ptr[i] >= ' ' && name.ptr[i] <= '~' ? name.ptr[i] : '?';
    out[len] = 0;
    return out;
}

static Status choose(const Architecture **out, const JsonValue *config,
                     const Checkpoint *checkpoint, Error *error) {
    char first[64], second[64];
    StrView name, model_type;
    if (json_kind(config) != JSON_OBJECT)
        return error_set(error, STATUS_CONVERSION, "config.json: not an object");
    bool has_name = json_as_string(&name, json_at(json_get(config, "architectures"), 0));
    bool has_type = json_as_string(&model_type, json_get(config, "model_type"));
    if (has_name) {
        *out = find_architecture(name);
        if (!*out)
            return error_set(error, STATUS_CONVERSION,
                             "config.json: architecture \"%s\" is not supported; %s",
                             shown(first, name), SUPPORTED);
        const Architecture *encoder = has_type ? find_encoder(model_type) : NULL;
        if (has_type && (!encoder || encoder->build != (*out)->build))
            return error_set(error, STATUS_CONVERSION,
                             "config.json: architecture \"%s\" contradicts model_type \"%s\"",
                             shown(first, name), shown(second, model_type));
        return STATUS_OK;
    }
    if (has_type) {
        *out = find_encoder(model_type);
        if (!*out)
            return error_set(error, STATUS_CONVERSION,
                             "config.json: model_type \"%s\" is not supported; %s",
                             shown(first, model_type), SUPPORTED);
        return STATUS_OK;
    }
    *out = find_encoder(SV("bert"));
    if (!checkpoint_find(checkpoint, "bert.embeddings.word_embeddings.weight"))
        return error_set(
            error, STATUS_CONVERSION,
            "config.json has neither architectures nor model_type, and the weights are "
            "not named as BERT's are; %s",
            SUPPORTED);
    return STATUS_OK;
}

// ONNX pairs each opset with the file version that came out with it.
static int64_t ir_version(int64_t opset) {
    return opset <= 18 ? 8 : opset <= 20 ? 9 : opset <= 22 ? 10 : 11;
}

// Labels that say "entailment" mean that the classifier compares a premise with a hypothesis.
static bool has_entailment(const JsonValue *config) {
    const JsonValue *labels = json_get(config, "id2label"), *label;
    size_t iterator = 0;
    StrView key, text;
    while (json_kind(labels) == JSON_OBJECT && json_next(labels, &iterator, &key, &label))
        if (json_as_string(&text, label) && text.len >= 6 &&
            sv_equal_nocase(sv_n(text.ptr, 6), SV("entail")))
            return true;
    return false;
}

static ModelSpec describe(const Builder *b, const Architecture *chosen) {
    bool is_classifier = b->head == HEAD_SEQUENCE_CLASSIFICATION;
    return (ModelSpec){
        .architecture = chosen->name,
        .model_type = chosen->model_type,
        .head = b->head,
        .task = is_classifier && has_entailment(b->config) ? "zero-shot-classification"
                                                           : TASKS[b->head],
        .hidden_size = b->hidden.size,
        .vocab_size = b->vocab.size,
        .num_labels = b->labels.size,
        .num_layers = b->layers.size,
        .num_heads = b->heads.size,
        .max_positions = b->positions.size - b->position_offset,
    };
}

Status models_build(Graph **out, ModelSpec *spec, const JsonValue *config,
                    const Checkpoint *checkpoint, int64_t opset, Error *error) {
    const Architecture *chosen = NULL;
    *out = NULL;
    if (opset < MIN_OPSET || opset > MAX_OPSET)
        return error_set(error, STATUS_CONVERSION,
                         "opset %" PRId64 " cannot be written; %d to %d can", opset, MIN_OPSET,
                         MAX_OPSET);
    TRY(choose(&chosen, config, checkpoint, error));
    Graph *graph = NULL;
    TRY(graph_new(&graph, error));
    graph->name = chosen->name;
    graph->opset = opset;
    graph->ir_version = ir_version(opset);
    graph->producer_name = "gpux";
    Builder b = {
        .graph = graph,
        .checkpoint = checkpoint,
        .config = config,
        .family = chosen->model_type,
        .architecture = chosen->name,
        .head = chosen->head,
        .input_ids = NO_VALUE,
        .attention_mask = NO_VALUE,
        .token_type_ids = NO_VALUE,
        .word_table = NO_VALUE,
        .mask = NO_VALUE,
        .bias = NO_VALUE,
        .error = error,
    };
    for (int i = 0; i < SHARED_COUNT; i++)
        b.shared[i] = NO_VALUE;
    chosen->build(&b);
    if (b.status == STATUS_OK)
        b.status = graph_status(graph, error);
    if (b.status != STATUS_OK) {
        graph_free(graph);
        return b.status;
    }
    *spec = describe(&b, chosen);
    *out = graph;
    return STATUS_OK;
}

bool models_supports_type(const char *model_type) {
    for (size_t i = 0; i < sizeof ARCHITECTURES / sizeof ARCHITECTURES[0]; i++)
        if (strcmp(ARCHITECTURES[i].model_type, model_type) == 0)
            return true;
    return false;
}
