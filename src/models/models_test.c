// Conversion of every golden checkpoint, and of configs and weights that contradict each other.
//
// Runs in the repository's root. With GPUX_CONVERTED set to a folder, the written models stay
// there, one folder each, for test/reference/onnx_parity.py to run.
#include "models/models.h"

#include "base/memory.h"
#include "onnx/onnx.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include <cmocka.h>

#define GOLDEN "test/golden/models/"

static const struct Golden {
    const char *name, *architecture, *model_type, *task;
    ModelHead head;
    int64_t num_labels, max_positions;
    int inputs;
} GOLDENS[] = {
    {"bert-encoder", "BertModel", "bert", "feature-extraction", HEAD_ENCODER, 0, 17, 3},
    {"bert-classify", "BertForSequenceClassification", "bert", "text-classification",
     HEAD_SEQUENCE_CLASSIFICATION, 3, 11, 3},
    {"bert-tokens", "BertForTokenClassification", "bert", "token-classification",
     HEAD_TOKEN_CLASSIFICATION, 3, 11, 3},
    {"bert-answer", "BertForQuestionAnswering", "bert", "question-answering",
     HEAD_QUESTION_ANSWERING, 2, 11, 3},
    {"bert-mask", "BertForMaskedLM", "bert", "fill-mask", HEAD_MASKED_LM, 0, 11, 3},
    {"bert-untied", "BertForMaskedLM", "bert", "fill-mask", HEAD_MASKED_LM, 0, 11, 3},
    {"distilbert-encoder", "DistilBertModel", "distilbert", "feature-extraction", HEAD_ENCODER, 0,
     13, 2},
    {"distilbert-classify", "DistilBertForSequenceClassification", "distilbert",
     "text-classification", HEAD_SEQUENCE_CLASSIFICATION, 1, 11, 2},
    {"distilbert-tokens", "DistilBertForTokenClassification", "distilbert", "token-classification",
     HEAD_TOKEN_CLASSIFICATION, 3, 11, 2},
    {"distilbert-answer", "DistilBertForQuestionAnswering", "distilbert", "question-answering",
     HEAD_QUESTION_ANSWERING, 2, 11, 2},
    {"distilbert-mask", "DistilBertForMaskedLM", "distilbert", "fill-mask", HEAD_MASKED_LM, 0, 11,
     2},
    {"roberta-encoder", "RobertaModel", "roberta", "feature-extraction", HEAD_ENCODER, 0, 17, 2},
    {"roberta-classify", "RobertaForSequenceClassification", "roberta", "text-classification",
     HEAD_SEQUENCE_CLASSIFICATION, 2, 11, 2},
    {"roberta-tokens", "RobertaForTokenClassification", "roberta", "token-classification",
     HEAD_TOKEN_CLASSIFICATION, 3, 11, 3},
    {"roberta-answer", "RobertaForQuestionAnswering", "roberta", "question-answering",
     HEAD_QUESTION_ANSWERING, 2, 11, 2},
    {"roberta-mask", "RobertaForMaskedLM", "roberta", "fill-mask", HEAD_MASKED_LM, 0, 11, 2},
    {"xlm-roberta-classify", "XLMRobertaForSequenceClassification", "xlm-roberta",
     "text-classification", HEAD_SEQUENCE_CLASSIFICATION, 3, 11, 2},
    {"camembert-mask", "CamembertForMaskedLM", "camembert", "fill-mask", HEAD_MASKED_LM, 0, 11, 2},
    {"mpnet-encoder", "MPNetModel", "mpnet", "feature-extraction", HEAD_ENCODER, 0, 78, 2},
    {"mpnet-classify", "MPNetForSequenceClassification", "mpnet", "text-classification",
     HEAD_SEQUENCE_CLASSIFICATION, 3, 11, 2},
    {"mpnet-tokens", "MPNetForTokenClassification", "mpnet", "token-classification",
     HEAD_TOKEN_CLASSIFICATION, 3, 11, 2},
    {"mpnet-answer", "MPNetForQuestionAnswering", "mpnet", "question-answering",
     HEAD_QUESTION_ANSWERING, 2, 11, 2},
    {"mpnet-mask", "MPNetForMaskedLM", "mpnet", "fill-mask", HEAD_MASKED_LM, 0, 11, 2},
};
enum { GOLDEN_COUNT = sizeof(GOLDENS) / sizeof(GOLDENS[0]) };

typedef struct Case {
    JsonDoc *config;
    Checkpoint *checkpoint;
    Graph *graph;
    ModelSpec spec;
    Error error;
} Case;

static void close_case(Case *c) {
    graph_free(c->graph);
    checkpoint_close(c->checkpoint);
    json_free(c->config);
}

// The golden model's folder, with its config.json or with `text` instead.
static void open_case(Case *c, const char *name, const char *text) {
    *c = (Case){0};
    char *folder = path_join(GOLDEN, name);
    char *path = path_join(folder, "config.json");
    Status status = text ? json_parse(&c->config, sv(text), 0, &c->error)
                         : json_parse_file(&c->config, path, 1 << 20, 0, &c->error);
    if (status != STATUS_OK)
        fail_msg("%s: %s", name, c->error.message);
    if (checkpoint_open(&c->checkpoint, folder, &c->error) != STATUS_OK)
        fail_msg("%s: %s", name, c->error.message);
    mem_free(path);
    mem_free(folder);
}

static Status build(Case *c) {
    return models_build(&c->graph, &c->spec, json_root(c->config), c->checkpoint, 18, &c->error);
}

static void build_golden(Case *c, const char *name) {
    open_case(c, name, NULL);
    if (build(c) != STATUS_OK)
        fail_msg("%s: %s", name, c->error.message);
}

// ---- Every golden checkpoint ----

static void check_ports(const Case *c, const struct Golden *golden) {
    static const char *const inputs[] = {"input_ids", "attention_mask", "token_type_ids"};
    assert_int_equal(c->graph->n_inputs, golden->inputs);
    for (int i = 0; i < golden->inputs; i++) {
        const Value *input = &c->graph->values[c->graph->inputs[i]];
        assert_string_equal(input->name, inputs[i]);
        assert_int_equal(input->dtype, DTYPE_I64);
        assert_int_equal(input->rank, 2);
        assert_string_equal(input->dims[0].symbol, "batch");
        assert_string_equal(input->dims[1].symbol, "sequence");
    }
    static const char *const outputs[][2] = {
        [HEAD_ENCODER] = {"last_hidden_state"},
        [HEAD_SEQUENCE_CLASSIFICATION] = {"logits"},
        [HEAD_TOKEN_CLASSIFICATION] = {"logits"},
        [HEAD_QUESTION_ANSWERING] = {"start_logits", "end_logits"},
        [HEAD_MASKED_LM] = {"logits"},
    };
    const int64_t widths[] = {
        [HEAD_ENCODER] = c->spec.hidden_size,
        [HEAD_SEQUENCE_CLASSIFICATION] = c->spec.num_labels,
        [HEAD_TOKEN_CLASSIFICATION] = c->spec.num_labels,
        [HEAD_QUESTION_ANSWERING] = -1,
        [HEAD_MASKED_LM] = c->spec.vocab_size,
    };
    bool is_span = golden->head == HEAD_QUESTION_ANSWERING;
    bool is_flat = is_span || golden->head == HEAD_SEQUENCE_CLASSIFICATION;
    assert_int_equal(c->graph->n_outputs, is_span ? 2 : 1);
    for (int i = 0; i < c->graph->n_outputs; i++) {
        const Value *output = &c->graph->values[c->graph->outputs[i]];
        assert_string_equal(output->name, outputs[golden->head][i]);
        assert_int_equal(output->dtype, DTYPE_F32);
        assert_int_equal(output->rank, is_flat ? 2 : 3);
        assert_int_equal(output->dims[output->rank - 1].size, widths[golden->head]);
    }
}

static void every_golden_checkpoint_becomes_a_valid_graph(void **state) {
    (void)state;
    for (size_t i = 0; i < GOLDEN_COUNT; i++) {
        const struct Golden *golden = &GOLDENS[i];
        Case c;
        build_golden(&c, golden->name);
        assert_string_equal(c.spec.architecture, golden->architecture);
        assert_string_equal(c.spec.model_type, golden->model_type);
        assert_string_equal(c.spec.task, golden->task);
        assert_int_equal(c.spec.head, golden->head);
        assert_int_equal(c.spec.num_labels, golden->num_labels);
        assert_int_equal(c.spec.max_positions, golden->max_positions);
        check_ports(&c, golden);
        if (graph_verify(c.graph, &c.error) != STATUS_OK ||
            graph_infer_shapes(c.graph, &c.error) != STATUS_OK)
            fail_msg("%s: %s", golden->name, c.error.message);
        check_ports(&c, golden); // inference agrees with what was declared
        close_case(&c);
    }
}

static void weights_stay_in_their_files(void **state) {
    (void)state;
    Case c;
    build_golden(&c, "roberta-encoder");
    size_t files[8] = {0}, weights = 0;
    for (ValueId i = 0; i < c.graph->n_values; i++) {
        const Value *value = &c.graph->values[i];
        const CheckpointTensor *tensor = checkpoint_find(c.checkpoint, value->name);
        if (!tensor)
            continue;
        weights++;
        assert_ptr_equal(value->data, tensor->data);
        assert_string_equal(value->file, tensor->file);
        assert_int_equal(value->offset, tensor->offset);
        for (size_t k = 0; k < checkpoint_file_count(c.checkpoint); k++)
            files[k] += strcmp(value->file, checkpoint_file(c.checkpoint, k)) == 0;
    }
    assert_int_equal(weights, 5 + 2 * 16);
    assert_true(checkpoint_file_count(c.checkpoint) >= 2);
    assert_true(files[0] > 0 && files[1] > 0);
    close_case(&c);
}

static void half_precision_weights_are_cast_and_float_ones_are_not(void **state) {
    (void)state;
    const char *const names[] = {"bert-untied", "bert-tokens", "bert-encoder"};
    const DType dtypes[] = {DTYPE_F16, DTYPE_BF16, DTYPE_F32};
    for (size_t i = 0; i < 3; i++) {
        Case c;
        build_golden(&c, names[i]);
        ValueId weight = NO_VALUE;
        for (ValueId v = 0; v < c.graph->n_values; v++)
            if (strstr(c.graph->values[v].name, "layer.0.attention.self.query.weight") &&
                c.graph->values[v].kind == VALUE_CONSTANT)
                weight = v;
        assert_int_not_equal(weight, NO_VALUE);
        assert_int_equal(c.graph->values[weight].dtype, dtypes[i]);
        const Node *user = graph_only_user(c.graph, weight);
        assert_int_equal(user->op, dtypes[i] == DTYPE_F32 ? OP_TRANSPOSE : OP_CAST);
        close_case(&c);
    }
}

static void a_tied_decoder_shares_the_word_embeddings(void **state) {
    (void)state;
    Case c;
    build_golden(&c, "bert-mask");
    ValueId table = graph_find_value(c.graph, "bert.embeddings.word_embeddings.weight");
    assert_int_equal(graph_use_count(c.graph, table), 2);
    close_case(&c);
    build_golden(&c, "bert-untied");
    table = graph_find_value(c.graph, "bert.embeddings.word_embeddings.weight.float32");
    assert_int_equal(graph_use_count(c.graph, table), 1);
    assert_int_not_equal(graph_find_value(c.graph, "cls.predictions.decoder.weight"), NO_VALUE);
    close_case(&c);
}

static void values_have_readable_names(void **state) {
    (void)state;
    static const char *const names[] = {
        "embeddings",
        "attention_mask.additive",
        "relative_buckets",
        "relative_bias",
        "position_ids",
        "layer.0.attention.query",
        "layer.1.attention.probabilities",
        "layer.1.mlp.output",
        "layer.0.output",
        "last_hidden_state",
    };
    Case c;
    build_golden(&c, "mpnet-encoder");
    for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++)
        if (graph_find_value(c.graph, names[i]) == NO_VALUE)
            fail_msg("no value named %s", names[i]);
    close_case(&c);
}

static void write_model(const Case *c, const char *source, const char *folder) {
    Error error;
    Buf bytes = BUF_INIT(64 << 20);
    if (onnx_write(&bytes, c->graph, &error) != STATUS_OK)
        fail_msg("%s: %s", source, error.message);
    char *path = path_join(folder, "model.onnx");
    assert_int_equal(file_write_atomic(path, bytes.ptr, bytes.len, &error), STATUS_OK);
    buf_free(&bytes);
    mem_free(path);
    char *from = path_join(GOLDEN, source);
    for (size_t i = 0; i < checkpoint_file_count(c->checkpoint); i++) {
        const char *file = checkpoint_file(c->checkpoint, i);
        char *src = path_join(from, file), *dst = path_join(folder, file);
        assert_int_equal(file_copy_or_reflink(dst, src, &error), STATUS_OK);
        mem_free(src);
        mem_free(dst);
    }
    mem_free(from);
}

// What was written is read back by the one way in, and is the same graph.
static void check_reading(const Case *c, const char *source, const char *folder) {
    Error error;
    OnnxModel *model = NULL;
    char *path = path_join(folder, "model.onnx");
    if (onnx_open(&model, path, &error) != STATUS_OK)
        fail_msg("%s: %s", source, error.message);
    mem_free(path);
    Buf before = BUF_INIT(16 << 20), after = BUF_INIT(16 << 20);
    graph_dump(&before, c->graph);
    assert_int_equal(graph_infer_shapes(onnx_graph(model), &error), STATUS_OK);
    graph_dump(&after, onnx_graph(model));
    assert_string_equal(before.ptr, after.ptr);
    buf_free(&before);
    buf_free(&after);
    onnx_close(model);
}

static void remove_folder(const char *folder) {
    FileList list;
    assert_int_equal(file_list(&list, folder, NULL), STATUS_OK);
    for (size_t i = 0; i < list.count; i++) {
        char *path = path_join(folder, list.names[i]);
        unlink(path);
        mem_free(path);
    }
    file_list_free(&list);
    assert_int_equal(rmdir(folder), 0);
}

static void every_graph_survives_writing_and_reading(void **state) {
    (void)state;
    const char *keep = getenv("GPUX_CONVERTED");
    char temporary[] = "/tmp/gpux-models-XXXXXX";
    const char *root = keep ? keep : mkdtemp(temporary);
    assert_non_null(root);
    for (size_t i = 0; i < GOLDEN_COUNT; i++) {
        Case c;
        build_golden(&c, GOLDENS[i].name);
        char *folder = path_join(root, GOLDENS[i].name);
        assert_int_equal(file_make_dirs(folder, &c.error), STATUS_OK);
        assert_int_equal(graph_infer_shapes(c.graph, &c.error), STATUS_OK);
        write_model(&c, GOLDENS[i].name, folder);
        check_reading(&c, GOLDENS[i].name, folder);
        if (!keep)
            remove_folder(folder);
        mem_free(folder);
        close_case(&c);
    }
    if (!keep)
        assert_int_equal(rmdir(root), 0);
}

// ---- Choosing an architecture ----

#define SIZES                                                                                      \
    "\"hidden_size\":25,\"num_attention_heads\":5,\"num_hidden_layers\":2,"                        \
    "\"intermediate_size\":37,\"vocab_size\":61,\"max_position_embeddings\":17"

static void a_config_without_architectures_gives_the_bare_encoder(void **state) {
    (void)state;
    Case c;
    open_case(&c, "bert-encoder", "{\"model_type\":\"bert\"," SIZES "}");
    assert_int_equal(build(&c), STATUS_OK);
    assert_string_equal(c.spec.architecture, "BertModel");
    assert_int_equal(c.spec.head, HEAD_ENCODER);
    close_case(&c);
}

static void weights_with_a_prefix_and_a_head_also_give_the_bare_encoder(void **state) {
    (void)state;
    Case c;
    open_case(&c, "bert-classify",
              "{\"architectures\":[\"BertModel\"],\"hidden_size\":24,\"num_attention_heads\":3,"
              "\"num_hidden_layers\":1,\"intermediate_size\":19,\"vocab_size\":53,"
              "\"max_position_embeddings\":11}");
    assert_int_equal(build(&c), STATUS_OK);
    assert_string_equal(c.graph->values[c.graph->outputs[0]].name, "last_hidden_state");
    assert_int_equal(graph_find_value(c.graph, "classifier.weight"), NO_VALUE);
    close_case(&c);
}

static void a_config_without_any_type_is_bert_when_the_tensors_are(void **state) {
    (void)state;
    static const char config[] =
        "{\"hidden_size\":24,\"num_attention_heads\":3,\"num_hidden_layers\":1,"
        "\"intermediate_size\":19,\"vocab_size\":53,\"max_position_embeddings\":11}";
    Case c;
    open_case(&c, "bert-classify", config);
    assert_int_equal(build(&c), STATUS_OK);
    assert_string_equal(c.spec.architecture, "BertModel");
    close_case(&c);
    open_case(&c, "xlm-roberta-classify", config);
    assert_int_equal(build(&c), STATUS_CONVERSION);
    close_case(&c);
}

static void entailment_labels_make_a_zero_shot_classifier(void **state) {
    (void)state;
    Case c;
    open_case(&c, "bert-classify",
              "{\"architectures\":[\"BertForSequenceClassification\"],\"hidden_size\":24,"
              "\"num_attention_heads\":3,\"num_hidden_layers\":1,\"intermediate_size\":19,"
              "\"vocab_size\":53,\"max_position_embeddings\":11,"
              "\"id2label\":{\"0\":\"neutral\",\"1\":\"ENTAILMENT\",\"2\":\"contradiction\"}}");
    assert_int_equal(build(&c), STATUS_OK);
    assert_string_equal(c.spec.task, "zero-shot-classification");
    close_case(&c);
}

static void only_opsets_with_layer_normalization_are_built(void **state) {
    (void)state;
    Case c;
    open_case(&c, "bert-encoder", NULL);
    const JsonValue *config = json_root(c.config);
    assert_int_equal(models_build(&c.graph, &c.spec, config, c.checkpoint, 16, &c.error),
                     STATUS_CONVERSION);
    assert_int_equal(models_build(&c.graph, &c.spec, config, c.checkpoint, 24, &c.error),
                     STATUS_CONVERSION);
    assert_int_equal(models_build(&c.graph, &c.spec, config, c.checkpoint, 23, &c.error),
                     STATUS_OK);
    assert_int_equal(c.graph->opset, 23);
    assert_int_equal(c.graph->ir_version, 11);
    close_case(&c);
}

static void the_table_has_every_family_and_head(void **state) {
    (void)state;
    size_t count;
    const char *const *names = models_architectures(&count);
    assert_int_equal(count, 31);
    for (size_t i = 0; i < count; i++)
        for (size_t k = 0; k < i; k++)
            assert_string_not_equal(names[i], names[k]);
}

// ---- Contradictions ----

static void wrong_configs_fail_with_a_message_that_says_why(void **state) {
    (void)state;
    static const struct {
        const char *model, *config, *message;
    } wrong[] = {
        {"bert-encoder", "[]", "config.json: not an object"},
        {"bert-encoder", "{\"architectures\":[\"GPT2LMHeadModel\"]}",
         "config.json: architecture \"GPT2LMHeadModel\" is not supported; supported are Bert"},
        {"bert-encoder", "{\"architectures\":[\"Bert\\u0000Model\\n\"]}",
         "config.json: architecture \"Bert?Model?\" is not supported"},
        {"bert-encoder", "{\"model_type\":\"t5\"}", "config.json: model_type \"t5\" is not"},
        {"bert-encoder", "{\"model_type\":\"roberta\",\"architectures\":[\"BertModel\"]}",
         "config.json: architecture \"BertModel\" contradicts model_type \"roberta\""},
        {"bert-encoder", "{\"model_type\":\"bert\"}",
         "bert: weight \"embeddings.word_embeddings.weight\" is [61, 25], config.json says "
         "vocab_size 30522"},
        {"bert-encoder", "{\"model_type\":\"bert\"," SIZES ",\"hidden_size\":1024}",
         "bert: config.json: hidden_size 1024 is not a multiple of num_attention_heads 5"},
        {"bert-encoder", "{\"model_type\":\"bert\"," SIZES ",\"hidden_size\":1025}",
         "bert: weight \"embeddings.word_embeddings.weight\" is [61, 25], config.json says "
         "hidden_size 1025"},
        {"bert-encoder", "{\"model_type\":\"bert\"," SIZES ",\"num_attention_heads\":0}",
         "bert: config.json: num_attention_heads is 0, must be 1 to 1024"},
        {"bert-encoder", "{\"model_type\":\"bert\"," SIZES ",\"hidden_size\":-5}",
         "bert: config.json: hidden_size is -5, must be 1 to 65536"},
        {"bert-encoder", "{\"model_type\":\"bert\"," SIZES ",\"hidden_size\":9000000000000000000}",
         "bert: config.json: hidden_size is 9000000000000000000, must be 1 to 65536"},
        {"bert-encoder", "{\"model_type\":\"bert\"," SIZES ",\"num_hidden_layers\":3}",
         "bert: weight \"encoder.layer.2.attention.self.query.weight\" is missing; BertModel "
         "needs it"},
        {"bert-encoder", "{\"model_type\":\"bert\"," SIZES ",\"num_hidden_layers\":\"2\"}",
         "bert: config.json: num_hidden_layers is not a whole number"},
        {"bert-encoder", "{\"model_type\":\"bert\"," SIZES ",\"layer_norm_eps\":-1}",
         "bert: config.json: layer_norm_eps is not a number between 0 and 1"},
        {"bert-encoder", "{\"model_type\":\"bert\"," SIZES ",\"hidden_act\":\"quick_gelu\"}",
         "bert: activation \"quick_gelu\" is not supported; gelu"},
        {"bert-encoder",
         "{\"model_type\":\"bert\"," SIZES ",\"position_embedding_type\":\"relative_key\"}",
         "bert: config.json: position_embedding_type \"relative_key\" is not supported"},
        {"bert-encoder", "{\"model_type\":\"bert\"," SIZES ",\"is_decoder\":true}",
         "bert: config.json: is_decoder and add_cross_attention are not supported"},
        {"bert-encoder", "{\"model_type\":\"bert\"," SIZES ",\"type_vocab_size\":1}",
         "bert: weight \"embeddings.token_type_embeddings.weight\" is [2, 25], config.json says "
         "type_vocab_size 1"},
        {"bert-encoder", "{\"architectures\":[\"BertForMaskedLM\"]," SIZES "}",
         "bert: weight \"cls.predictions.transform.dense.weight\" is missing; BertForMaskedLM"},
        {"bert-encoder", "{\"architectures\":[\"DistilBertModel\"]}",
         "distilbert: weight \"embeddings.word_embeddings.weight\" is [61, 25], config.json says "
         "vocab_size 30522"},
        {"roberta-classify", "{\"architectures\":[\"BertModel\"]}",
         "bert: weight \"bert.embeddings.word_embeddings.weight\" is missing, also without"},
        {"bert-classify",
         "{\"architectures\":[\"BertForSequenceClassification\"],\"hidden_size\":24,"
         "\"num_attention_heads\":3,\"num_hidden_layers\":1,\"intermediate_size\":19,"
         "\"vocab_size\":53,\"max_position_embeddings\":11,\"id2label\":{\"0\":\"a\"}}",
         "bert: weight \"classifier.weight\" is [3, 24], config.json has 1 labels in id2label"},
        {"distilbert-encoder",
         "{\"model_type\":\"distilbert\",\"dim\":24,\"n_heads\":4,\"n_layers\":2,"
         "\"hidden_dim\":30,\"vocab_size\":59,\"max_position_embeddings\":13}",
         "distilbert: weight \"transformer.layer.0.ffn.lin1.weight\" is [31, 24], config.json says "
         "hidden_dim 30"},
        {"roberta-encoder",
         "{\"model_type\":\"roberta\",\"pad_token_id\":600,\"max_position_embeddings\":514}",
         "roberta: config.json: max_position_embeddings 514 leaves no position after pad_token_id"},
        {"mpnet-encoder",
         "{\"model_type\":\"mpnet\",\"relative_attention_num_buckets\":16,"
         "\"hidden_size\":24,\"num_attention_heads\":4,\"num_hidden_layers\":2,"
         "\"intermediate_size\":27,\"vocab_size\":58,"
         "\"max_position_embeddings\":80}",
         "mpnet: config.json: relative_attention_num_buckets is 16, must be 32 to 65536"},
    };
    for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++) {
        Case c;
        open_case(&c, wrong[i].model, wrong[i].config);
        Status status = build(&c);
        if (status != STATUS_CONVERSION || c.graph ||
            strncmp(c.error.message, wrong[i].message, strlen(wrong[i].message)) != 0)
            fail_msg("case %zu: %s: %s", i, status_text(status), c.error.message);
        assert_int_equal(
            models_build(&c.graph, &c.spec, json_root(c.config), c.checkpoint, 18, NULL),
            STATUS_CONVERSION); // an Error is optional
        close_case(&c);
    }
}

static void integer_weights_are_refused(void **state) {
    (void)state;
    char folder[] = "/tmp/gpux-models-XXXXXX";
    assert_non_null(mkdtemp(folder));
    static const char header[] = "{\"bert.embeddings.word_embeddings.weight\":{\"dtype\":\"I8\","
                                 "\"shape\":[2,2],\"data_offsets\":[0,4]}}  ";
    Buf bytes = BUF_INIT(4096);
    uint64_t len = sizeof(header) - 1;
    buf_append(&bytes, &len, sizeof(len));
    buf_append_cstr(&bytes, header);
    buf_append(&bytes, "\1\2\3\4", 4);
    char *path = path_join(folder, "model.safetensors");
    assert_int_equal(file_write_atomic(path, bytes.ptr, bytes.len, NULL), STATUS_OK);
    buf_free(&bytes);
    Case c = {0};
    assert_int_equal(json_parse(&c.config,
                                SV("{\"model_type\":\"bert\",\"vocab_size\":2,\"hidden_size\":2,"
                                   "\"num_attention_heads\":1}"),
                                0, &c.error),
                     STATUS_OK);
    assert_int_equal(checkpoint_open(&c.checkpoint, folder, &c.error), STATUS_OK);
    assert_int_equal(build(&c), STATUS_CONVERSION);
    assert_non_null(strstr(c.error.message, "word_embeddings.weight\" is int8; float32"));
    close_case(&c);
    mem_free(path);
    remove_folder(folder);
}

static void running_out_of_memory_is_an_error_wherever_it_happens(void **state) {
    (void)state;
    static const char *const names[] = {"bert-untied", "mpnet-encoder", "roberta-answer"};
    for (size_t i = 0; i < 3; i++) {
        Case c;
        open_case(&c, names[i], NULL);
        size_t n = 1;
        for (;; n++) {
            assert_true(n < 100000);
            mem_fail_after(n);
            Status status = build(&c);
            mem_fail_after(0);
            if (status == STATUS_OK)
                break;
            assert_int_equal(status, STATUS_OUT_OF_MEMORY);
            assert_null(c.graph);
        }
        assert_true(n > 3);
        close_case(&c);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_golden_checkpoint_becomes_a_valid_graph),
        cmocka_unit_test(weights_stay_in_their_files),
        cmocka_unit_test(half_precision_weights_are_cast_and_float_ones_are_not),
        cmocka_unit_test(a_tied_decoder_shares_the_word_embeddings),
        cmocka_unit_test(values_have_readable_names),
        cmocka_unit_test(every_graph_survives_writing_and_reading),
        cmocka_unit_test(a_config_without_architectures_gives_the_bare_encoder),
        cmocka_unit_test(weights_with_a_prefix_and_a_head_also_give_the_bare_encoder),
        cmocka_unit_test(a_config_without_any_type_is_bert_when_the_tensors_are),
        cmocka_unit_test(entailment_labels_make_a_zero_shot_classifier),
        cmocka_unit_test(only_opsets_with_layer_normalization_are_built),
        cmocka_unit_test(the_table_has_every_family_and_head),
        cmocka_unit_test(wrong_configs_fail_with_a_message_that_says_why),
        cmocka_unit_test(integer_weights_are_refused),
        cmocka_unit_test(running_out_of_memory_is_an_error_wherever_it_happens),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
