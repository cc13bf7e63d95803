// What tasks learn of a model's folder, source by source.
#include "store/store_test.h"

static char folder[TEST_PATH];

static int make_folder(void **state) {
    (void)state;
    make_temp(folder);
    return 0;
}

static int remove_folder(void **state) {
    (void)state;
    remove_tree(folder);
    return 0;
}

static void convert_golden(const char *golden) {
    char from[TEST_PATH];
    Error error = {0};
    copy_folder(folder, at(from, GOLDEN, golden));
    if (store_convert(NULL, folder, &(ConvertOptions){0}, &error) != STATUS_OK)
        fail_msg("%s", error.message);
}

// The location of `folder`: with its gpux.yml when there is one, else with model.onnx.
static Status load(ModelInfo **out, Error *error) {
    char config[TEST_PATH], model[TEST_PATH];
    bool has_config = folder_has(folder, CONFIG_FILE);
    at(config, folder, CONFIG_FILE);
    at(model, folder, MODEL_FILE);
    Location location = {.folder = folder,
                         .config = has_config ? config : NULL,
                         .model_file = has_config ? NULL : model};
    return model_info_load(out, &location, error);
}

static ModelInfo *load_ok(void) {
    ModelInfo *info = NULL;
    Error error = {0};
    if (load(&info, &error) != STATUS_OK)
        fail_msg("%s", error.message);
    return info;
}

static void load_fails(Status expected, const char *message) {
    ModelInfo *info = NULL;
    Error error = {0};
    Status status = load(&info, &error);
    assert_null(info);
    if (status != expected || !strstr(error.message, message))
        fail_msg("%d: %s", status, error.message);
}

// ---- Converted models ----

static void a_converted_classifier_knows_its_labels(void **state) {
    (void)state;
    convert_golden("bert-classify");
    write_text(folder, "tokenizer.json", "{}");
    ModelInfo *info = load_ok();
    char path[TEST_PATH];
    assert_string_equal(info->folder, folder);
    assert_string_equal(info->model_file, at(path, folder, MODEL_FILE));
    assert_string_equal(info->tokenizer_folder, folder);
    assert_string_equal(info->task, "text-classification");
    assert_int_equal(info->label_count, 3);
    assert_string_equal(info->labels[0], "red");
    assert_string_equal(info->labels[2], "blue");
    assert_int_equal(info->problem_type, PROBLEM_MULTI_LABEL); // its config says so
    assert_int_equal(info->max_length, 11);
    assert_string_equal(info->text_key, "inputs");
    assert_null(info->friendly_output); // "logits" is a tensor of the graph
    assert_int_equal(info->timeout_seconds, 30);
    assert_string_equal(info->backend, "auto");
    assert_string_equal(info->precision, "auto");
    assert_string_equal(info->version, "1.0.0");
    model_info_free(info);
}

static void problem_types_choose_the_function(void **state) {
    (void)state;
    static const struct {
        const char *config;
        size_t labels;
        ProblemType type;
    } CASES[] = {
        {"{}", 2, PROBLEM_SINGLE_LABEL},
        {"{}", 0, PROBLEM_SINGLE_LABEL},
        {"{}", 1, PROBLEM_MULTI_LABEL},
        {"{\"problem_type\": null}", 1, PROBLEM_MULTI_LABEL},
        {"{\"problem_type\": \"single_label_classification\"}", 3, PROBLEM_SINGLE_LABEL},
        {"{\"problem_type\": \"multi_label_classification\"}", 3, PROBLEM_MULTI_LABEL},
        {"{\"problem_type\": \"regression\"}", 1, PROBLEM_REGRESSION},
    };
    for (size_t i = 0; i < sizeof CASES / sizeof CASES[0]; i++) {
        JsonDoc *doc = NULL;
        assert_int_equal(json_parse(&doc, sv(CASES[i].config), 0, NULL), STATUS_OK);
        assert_int_equal(problem_type_read(json_root(doc), CASES[i].labels), CASES[i].type);
        json_free(doc);
    }
}

static void labels_follow_their_indices(void **state) {
    (void)state;
    Arena arena = {0};
    JsonDoc *doc = NULL;
    const char **labels = NULL;
    size_t count = 0;
    static const char GOOD[] = "{\"id2label\":{\"10\":\"k\",\"9\":\"j\",\"0\":\"a\",\"1\":\"b\","
                               "\"2\":\"c\",\"3\":\"d\",\"4\":\"e\",\"5\":\"f\",\"6\":\"g\","
                               "\"7\":\"h\",\"8\":\"i\"}}";
    assert_int_equal(json_parse(&doc, sv(GOOD), 0, NULL), STATUS_OK);
    assert_int_equal(labels_read(&labels, &count, &arena, json_root(doc), NULL), STATUS_OK);
    assert_int_equal(count, 11);
    for (size_t i = 0; i < count; i++)
        assert_int_equal(labels[i][0], 'a' + (int)i);
    json_free(doc);
    static const char *const BAD[] = {
        "{\"id2label\":{\"1\":\"a\"}}",
        "{\"id2label\":{\"-1\":\"a\"}}",
        "{\"id2label\":{\"x\":\"a\"}}",
        "{\"id2label\":{\"0\":1}}",
        "{\"id2label\":{\"0\":\"a\",\"00\":\"b\"}}",
        "{\"id2label\":{\"99999999999999999999\":\"a\"}}",
    };
    for (size_t i = 0; i < sizeof BAD / sizeof BAD[0]; i++) {
        assert_int_equal(json_parse(&doc, sv(BAD[i]), 0, NULL), STATUS_OK);
        assert_int_equal(labels_read(&labels, &count, &arena, json_root(doc), NULL),
                         STATUS_CORRUPT);
        json_free(doc);
    }
    assert_int_equal(labels_read(&labels, &count, &arena, NULL, NULL), STATUS_OK);
    assert_int_equal(count, 0);
    arena_free(&arena);
}

// ---- Sentence transformers ----

static void sentence(const char *pooling, const char *rest) {
    char modules[1024];
    snprintf(modules, sizeof modules,
             "[{\"idx\":0,\"path\":\"\",\"type\":\"sentence_transformers.models.Transformer\"},"
             "{\"path\":\"1_Pooling\",\"type\":\"sentence_transformers.models.Pooling\"}%s]",
             rest);
    write_text(folder, "modules.json", modules);
    write_text(folder, "1_Pooling/config.json", pooling);
}

#define OLD_FLAGS(cls, mean, max, sqrt)                                                            \
    "{\"word_embedding_dimension\":8,\"pooling_mode_cls_token\":" #cls                             \
    ",\"pooling_mode_mean_tokens\":" #mean ",\"pooling_mode_max_tokens\":" #max                    \
    ",\"pooling_mode_mean_sqrt_len_tokens\":" #sqrt "}"

static void pooling_flags_are_read(void **state) {
    (void)state;
    static const struct {
        const char *config;
        Pooling pooling;
    } CASES[] = {
        {OLD_FLAGS(false, true, false, false), POOLING_MEAN},
        {OLD_FLAGS(true, false, false, false), POOLING_CLS},
        {OLD_FLAGS(false, false, true, false), POOLING_MAX},
        {OLD_FLAGS(false, false, false, true), POOLING_MEAN_SQRT_LEN},
        {"{\"pooling_mode_mean_tokens\":false,\"pooling_mode_lasttoken\":true}",
         POOLING_LAST_TOKEN},
        {"{\"pooling_mode\":\"lasttoken\"}", POOLING_LAST_TOKEN},
        {"{\"pooling_mode\":\"cls\"}", POOLING_CLS},
        {"{}", POOLING_MEAN},
    };
    for (size_t i = 0; i < sizeof CASES / sizeof CASES[0]; i++) {
        SentenceModel model;
        sentence(CASES[i].config, "");
        assert_int_equal(sentence_read(&model, folder, NULL), STATUS_OK);
        assert_true(model.has_modules);
        assert_int_equal(model.pooling, CASES[i].pooling);
        assert_false(model.normalize);
    }
}

static void pooling_that_cannot_be_computed_is_told(void **state) {
    (void)state;
    static const struct {
        const char *config, *message;
    } CASES[] = {
        {OLD_FLAGS(true, true, false, false), "combines 2 pooling modes"},
        {OLD_FLAGS(false, false, false, false), "names no pooling mode"},
        {"{\"pooling_mode_mean_tokens\":false,\"pooling_mode_weightedmean_tokens\":true}",
         "'weightedmean' is not supported"},
        {"{\"pooling_mode\":\"other\"}", "names no pooling mode"},
        {"[]", "names no pooling mode"},
    };
    for (size_t i = 0; i < sizeof CASES / sizeof CASES[0]; i++) {
        SentenceModel model;
        Error error = {0};
        sentence(CASES[i].config, "");
        assert_int_equal(sentence_read(&model, folder, &error), STATUS_UNSUPPORTED);
        assert_non_null(strstr(error.message, CASES[i].message));
    }
}

static void modules_decide_pooling_and_normalisation(void **state) {
    (void)state;
    convert_golden("bert-encoder");
    sentence(OLD_FLAGS(true, false, false, false),
             ",{\"path\":\"2_Normalize\",\"type\":\"sentence_transformers.models.Normalize\"}");
    write_text(folder, "sentence_bert_config.json",
               "{\"max_seq_length\":16,\"do_lower_case\":true}");
    ModelInfo *info = load_ok(); // gpux.yml says feature-extraction
    assert_string_equal(info->task, "feature-extraction");
    assert_int_equal(info->pooling, POOLING_CLS);
    assert_true(info->normalize);
    assert_true(info->do_lower_case);
    assert_int_equal(info->max_length, 17); // as gpux.yml has it
    assert_int_equal(info->max_length_set, 17);
    model_info_free(info);
    sentence("{}", ",{\"path\":\"2_Dense\",\"type\":\"sentence_transformers.models.Dense\"}");
    load_fails(STATUS_UNSUPPORTED, "module 'Dense' is not supported");
    char path[TEST_PATH];
    sentence("{}", "");
    unlink(at(path, folder, "1_Pooling/config.json"));
    load_fails(STATUS_NOT_FOUND, "'1_Pooling/config.json' is missing");
    write_text(folder, "modules.json", "{}");
    load_fails(STATUS_CORRUPT, "modules.json: not a list");
    write_text(folder, "modules.json", "[{\"path\":\"/etc\",\"type\":\"Pooling\"}]");
    load_fails(STATUS_CORRUPT, "leaves the model's folder");
    write_text(folder, "modules.json", "[");
    load_fails(STATUS_CORRUPT, "modules.json");
}

static void a_classifier_does_not_look_at_modules(void **state) {
    (void)state;
    convert_golden("bert-classify");
    write_text(folder, "modules.json", "[{\"path\":\"\",\"type\":\"x.Dense\"}]");
    model_info_free(load_ok());
}

// ---- Without gpux.yml ----

static void the_architecture_tells_the_task_without_configuration(void **state) {
    (void)state;
    char path[TEST_PATH];
    convert_golden("bert-encoder");
    unlink(at(path, folder, CONFIG_FILE));
    unlink(at(path, folder, METADATA_FILE));
    ModelInfo *info = load_ok();
    assert_string_equal(info->task, "feature-extraction");
    assert_string_equal(info->name, path_basename(folder));
    assert_int_equal(info->max_length, 0);
    assert_null(info->text_key);
    assert_null(info->tokenizer_folder);
    model_info_free(info);
    sentence("{}", "");
    info = load_ok();
    assert_string_equal(info->task, "sentence-similarity");
    model_info_free(info);
    // A tag of the registry counts only where it fits.
    write_text(folder, METADATA_FILE, "{\"metadata\":{\"pipeline_tag\":\"feature-extraction\"}}");
    info = load_ok();
    assert_string_equal(info->task, "feature-extraction");
    model_info_free(info);
    write_text(folder, METADATA_FILE, "{\"metadata\":{\"pipeline_tag\":\"fill-mask\"}}");
    info = load_ok();
    assert_string_equal(info->task, "sentence-similarity");
    model_info_free(info);
    write_text(folder, METADATA_FILE, "damaged");
    model_info_free(load_ok());
    unlink(at(path, folder, "config.json"));
    unlink(at(path, folder, "modules.json"));
    info = load_ok();
    assert_string_equal(info->task, "raw");
    assert_int_equal(info->label_count, 0);
    model_info_free(info);
}

static void architectures_have_tasks(void **state) {
    (void)state;
    static const struct {
        const char *config, *task;
    } CASES[] = {
        {"{\"architectures\":[\"XForTokenClassification\"]}", "token-classification"},
        {"{\"architectures\":[\"BertForPreTraining\"]}", "fill-mask"},
        {"{\"architectures\":[\"GPT2LMHeadModel\"]}", "text-generation"},
        {"{\"architectures\":[\"T5ForConditionalGeneration\"]}", "text2text-generation"},
        {"{\"architectures\":[\"WhisperForConditionalGeneration\"]}",
         "automatic-speech-recognition"},
        {"{\"architectures\":[\"ViTForImageClassification\"]}", "image-classification"},
        {"{\"architectures\":[\"BertModel\"]}", "feature-extraction"},
        {"{\"model_type\":\"bert\"}", "feature-extraction"},
        {"{\"architectures\":[\"BartForSequenceClassification\"],"
         "\"id2label\":{\"0\":\"x\",\"1\":\"ENTAILMENT\"}}",
         "zero-shot-classification"},
        {"{\"architectures\":[\"Other\"]}", NULL},
        {"[]", NULL},
    };
    for (size_t i = 0; i < sizeof CASES / sizeof CASES[0]; i++) {
        JsonDoc *doc = NULL;
        assert_int_equal(json_parse(&doc, sv(CASES[i].config), 0, NULL), STATUS_OK);
        const char *task = architecture_task(json_root(doc), false);
        if (CASES[i].task)
            assert_string_equal(task, CASES[i].task);
        else
            assert_null(task);
        json_free(doc);
    }
}

static void token_limits_come_in_order(void **state) {
    (void)state;
    char path[TEST_PATH];
    convert_golden("bert-encoder");
    unlink(at(path, folder, CONFIG_FILE));
    write_text(folder, "tokenizer_config.json",
               "{\"model_max_length\": 1000000000000000019884624838656}");
    ModelInfo *info = load_ok();
    assert_int_equal(info->max_length, 0);
    model_info_free(info);
    write_text(folder, "tokenizer_config.json", "{\"model_max_length\": 512}");
    info = load_ok();
    assert_int_equal(info->max_length, 512);
    model_info_free(info);
    write_text(folder, "sentence_bert_config.json", "{\"max_seq_length\": 128}");
    info = load_ok();
    assert_int_equal(info->max_length, 128);
    assert_int_equal(info->max_length_set, 0);
    model_info_free(info);
    write_text(folder, CONFIG_FILE,
               "name: n\nmodel: {source: model.onnx}\ninputs: {t: string}\noutputs: {e: float32}\n"
               "preprocessing: {max_length: 64}\n");
    info = load_ok();
    assert_int_equal(info->max_length, 64);
    assert_int_equal(info->max_length_set, 64);
    model_info_free(info);
}

// ---- Projects written by hand ----

static void a_project_with_friendly_names_is_a_classifier(void **state) {
    (void)state;
    char path[TEST_PATH];
    convert_golden("bert-classify");
    unlink(at(path, folder, "config.json"));
    write_text(folder, "tok/tokenizer.json", "{}");
    static const char PROJECT[] =
        "name: moods\nversion: 2.10\nmodel: {source: ./model.onnx}\n"
        "inputs: {text: {type: string}}\n"
        "outputs: {sentiment: {type: float32, labels: [bad, good, none]}}\n"
        "runtime: {timeout: 7, batch_size: 4, threads: 3, gpu: {backend: cpu, precision: fp32}}\n"
        "preprocessing: {tokenizer: %s}\n";
    char text[1024];
    snprintf(text, sizeof text, PROJECT, "tok/tokenizer.json");
    write_text(folder, CONFIG_FILE, text);
    ModelInfo *info = load_ok();
    assert_string_equal(info->name, "moods");
    assert_string_equal(info->version, "2.10");
    assert_string_equal(info->task, "text-classification");
    assert_string_equal(info->text_key, "text");
    assert_string_equal(info->friendly_output, "sentiment");
    assert_int_equal(info->label_count, 3);
    assert_string_equal(info->labels[1], "good");
    assert_int_equal(info->problem_type, PROBLEM_SINGLE_LABEL);
    assert_string_equal(info->tokenizer_folder, at(path, folder, "tok"));
    assert_int_equal(info->timeout_seconds, 7);
    assert_int_equal(info->batch_size, 4);
    assert_int_equal(info->threads, 3);
    assert_string_equal(info->backend, "cpu");
    assert_string_equal(info->precision, "fp32");
    model_info_free(info);
    static const struct {
        const char *tokenizer;
        Status status;
        const char *message;
    } BAD[] = {
        {"org/name", STATUS_NOT_FOUND, "pull it with: gpux pull org/name"},
        {"./absent", STATUS_NOT_FOUND, "Tokenizer not found: "},
        {"config.txt", STATUS_UNSUPPORTED, "must be a folder or a file named tokenizer.json"},
    };
    write_text(folder, "config.txt", "x");
    for (size_t i = 0; i < sizeof BAD / sizeof BAD[0]; i++) {
        snprintf(text, sizeof text, PROJECT, BAD[i].tokenizer);
        write_text(folder, CONFIG_FILE, text);
        load_fails(BAD[i].status, BAD[i].message);
    }
}

static void the_tokenizer_may_be_that_of_a_cached_model(void **state) {
    (void)state;
    static const struct {
        const char *id, *found; // NULL = an error
        const char *message;
    } CASES[] = {
        {"org/words", "cache/huggingface/org--words/main", NULL},
        {"hf:org/Words@v1.0", "cache/huggingface/org--words/v1.0", NULL},
        {"bare", "cache/huggingface/bare/main", NULL},
        {"org/silent", NULL, "The cached model 'org/silent' has no tokenizer"},
        {"org/words@v2", NULL, "pull it with: gpux pull org/words@v2"},
    };
    convert_golden("bert-classify");
    write_text(folder, "cache/huggingface/org--words/main/tokenizer.json", "{}");
    write_text(folder, "cache/huggingface/org--words/main/config.json", "{}");
    write_text(folder, "cache/huggingface/org--words/v1.0/spiece.model", "");
    write_text(folder, "cache/huggingface/org--words/v1.0/config.json", "{}");
    write_text(folder, "cache/huggingface/bare/main/vocab.txt", "");
    write_text(folder, "cache/huggingface/bare/main/metadata.json", "{}");
    write_text(folder, "cache/huggingface/org--silent/main/config.json", "{}");
    for (size_t i = 0; i < sizeof CASES / sizeof CASES[0]; i++) {
        char text[1024], config[TEST_PATH], cache[TEST_PATH], path[TEST_PATH];
        snprintf(text, sizeof text,
                 "name: n\nmodel: {source: ./model.onnx}\ninputs: {t: string}\n"
                 "outputs: {logits: float32}\npreprocessing: {tokenizer: '%s'}\n",
                 CASES[i].id);
        write_text(folder, CONFIG_FILE, text);
        at(config, folder, CONFIG_FILE);
        at(cache, folder, "cache");
        Location location = {.folder = folder, .config = config, .cache_dir = cache};
        ModelInfo *info = NULL;
        Error error = {0};
        Status status = model_info_load(&info, &location, &error);
        if ((status == STATUS_OK) != (CASES[i].found != NULL))
            fail_msg("%s: %s", CASES[i].id, error.message);
        if (info)
            assert_string_equal(info->tokenizer_folder, at(path, folder, CASES[i].found));
        else if (!strstr(error.message, CASES[i].message))
            fail_msg("%s: %s", CASES[i].id, error.message);
        model_info_free(info);
    }
}

static void parameters_are_counted_as_inspect_counts_them(void **state) {
    (void)state;
    static const char *const MODELS[] = {"bert-mask", "roberta-mask", "mpnet-encoder"};
    for (size_t i = 0; i < sizeof MODELS / sizeof MODELS[0]; i++) {
        remove_tree(folder);
        convert_golden(MODELS[i]);
        // With metadata.json, and without: then the graph is counted.
        for (int has_metadata = 1; has_metadata >= 0; has_metadata--) {
            char config[TEST_PATH], path[TEST_PATH];
            at(config, folder, CONFIG_FILE);
            Location location = {.folder = folder, .config = config};
            Buf text = BUF_INIT(TEST_TEXT);
            JsonDoc *doc;
            assert_int_equal(store_inspect(&text, &location, NULL), STATUS_OK);
            assert_int_equal(json_parse(&doc, sv_n(text.ptr, text.len), 0, NULL), STATUS_OK);
            ModelInfo *info = load_ok();
            int64_t shown = json_i64_or(json_get(json_root(doc), "model_info"), "parameters", -1);
            assert_true(shown > 1000);
            assert_int_equal(info->parameters, shown);
            model_info_free(info);
            json_free(doc);
            buf_free(&text);
            unlink(at(path, folder, METADATA_FILE));
        }
    }
}

static void the_model_may_lie_in_a_folder_below(void **state) {
    (void)state;
    char from[TEST_PATH], to[TEST_PATH];
    convert_golden("bert-tokens");
    assert_int_equal(file_make_dirs(at(to, folder, "onnx"), NULL), STATUS_OK);
    static const char *const MOVED[] = {MODEL_FILE, "model.safetensors"};
    for (size_t i = 0; i < 2; i++) {
        char name[64];
        snprintf(name, sizeof name, "onnx/%s", MOVED[i]);
        assert_int_equal(rename(at(from, folder, MOVED[i]), at(to, folder, name)), 0);
    }
    write_text(
        folder, CONFIG_FILE,
        "name: n\nmodel: {source: ./onnx}\ninputs: {t: string}\noutputs: {logits: float32}\n");
    ModelInfo *info = load_ok(); // config.json is beside gpux.yml
    assert_string_equal(info->task, "token-classification");
    assert_string_equal(info->model_file, at(to, folder, "onnx/model.onnx"));
    assert_int_equal(info->label_count, 3);
    model_info_free(info);
    unlink(to);
    load_fails(STATUS_NOT_FOUND, "convert the weights with: gpux convert");
    write_text(folder, CONFIG_FILE,
               "name: n\nmodel: {source: ./absent.onnx}\n"
               "inputs: {t: string}\noutputs: {e: float32}\n");
    load_fails(STATUS_NOT_FOUND, "Model file not found: ");
    write_text(folder, CONFIG_FILE,
               "name: n\nmodel: {source: ./x, format: safetensors}\n"
               "inputs: {t: string}\noutputs: {e: float32}\n");
    load_fails(STATUS_UNSUPPORTED, "gpux convert DIR");
    write_text(folder, CONFIG_FILE, "name: n\n");
    load_fails(STATUS_INVALID, "Failed to parse configuration: ");
}

static void damaged_files_are_named(void **state) {
    (void)state;
    convert_golden("bert-classify");
    write_text(folder, "config.json", "{");
    load_fails(STATUS_CORRUPT, "config.json");
    write_text(folder, "config.json", "{\"id2label\":{\"5\":\"x\"}}");
    load_fails(STATUS_CORRUPT, "id2label");
    write_text(folder, MODEL_FILE, "\xff\xff\xff");
    load_fails(STATUS_CORRUPT, "Invalid ONNX model");
}

static void every_failing_allocation_is_an_error(void **state) {
    (void)state;
    convert_golden("bert-encoder");
    sentence("{}", "");
    write_text(folder, "tokenizer.json", "{}");
    for (size_t n = 1;; n++) {
        ModelInfo *info = NULL;
        Error error = {0};
        mem_fail_after(n);
        Status status = load(&info, &error);
        mem_fail_after(0);
        model_info_free(info);
        if (status == STATUS_OK)
            break;
        if (status != STATUS_OUT_OF_MEMORY)
            fail_msg("allocation %zu: %d: %s", n, status, error.message);
        assert_null(info);
        assert_true(n < 5000);
    }
}

// The real all-MiniLM-L6-v2, when GPUX_TEST_MINILM names its folder.
static void the_real_sentence_model_is_understood(void **state) {
    (void)state;
    const char *source = getenv("GPUX_TEST_MINILM");
    if (!source)
        skip();
    Error error = {0};
    ModelInfo *info = NULL;
    ConvertOptions options = {.output = folder};
    if (store_convert(NULL, source, &options, &error) != STATUS_OK ||
        load(&info, &error) != STATUS_OK)
        fail_msg("%s", error.message);
    assert_string_equal(info->task, "sentence-similarity");
    assert_int_equal(info->pooling, POOLING_MEAN);
    assert_true(info->normalize);
    assert_int_equal(info->max_length, 256);
    assert_string_equal(info->tokenizer_folder, folder);
    model_info_free(info);
}

#define CASE(name) cmocka_unit_test_setup_teardown(name, make_folder, remove_folder)

int main(void) {
    const struct CMUnitTest tests[] = {
        CASE(a_converted_classifier_knows_its_labels),
        CASE(problem_types_choose_the_function),
        CASE(labels_follow_their_indices),
        CASE(pooling_flags_are_read),
        CASE(pooling_that_cannot_be_computed_is_told),
        CASE(modules_decide_pooling_and_normalisation),
        CASE(a_classifier_does_not_look_at_modules),
        CASE(the_architecture_tells_the_task_without_configuration),
        CASE(architectures_have_tasks),
        CASE(token_limits_come_in_order),
        CASE(a_project_with_friendly_names_is_a_classifier),
        CASE(the_tokenizer_may_be_that_of_a_cached_model),
        CASE(parameters_are_counted_as_inspect_counts_them),
        CASE(the_model_may_lie_in_a_folder_below),
        CASE(damaged_files_are_named),
        CASE(every_failing_allocation_is_an_error),
        CASE(the_real_sentence_model_is_understood),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
