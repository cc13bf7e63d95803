// The JSON of `inspect`, read back.
#include "store/store_test.h"

#include "base/clock.h"

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
    copy_folder(folder, at(from, GOLDEN, golden));
    assert_int_equal(store_convert(NULL, folder, &(ConvertOptions){0}, NULL), STATUS_OK);
}

static Status inspect(Buf *out, Error *error) {
    char config[TEST_PATH], model[TEST_PATH];
    bool has_config = folder_has(folder, CONFIG_FILE);
    at(config, folder, CONFIG_FILE);
    at(model, folder, MODEL_FILE);
    Location location = {.folder = folder,
                         .config = has_config ? config : NULL,
                         .model_file = has_config ? NULL : model};
    return store_inspect(out, &location, error);
}

static JsonDoc *parse(Buf *text) {
    JsonDoc *doc = NULL;
    Error error = {0};
    if (json_parse(&doc, sv_n(text->ptr, text->len), JSON_REJECT_DUPLICATES, &error) != STATUS_OK)
        fail_msg("%s", error.message);
    buf_free(text);
    return doc;
}

static JsonDoc *inspect_ok(void) {
    Buf out = BUF_INIT(TEST_TEXT);
    Error error = {0};
    if (inspect(&out, &error) != STATUS_OK)
        fail_msg("%s", error.message);
    return parse(&out);
}

static const char *text_at(const JsonValue *object, const char *key) {
    return json_cstr_or(object, key, "(absent)");
}

static void a_converted_model_shows_configuration_and_tensors(void **state) {
    (void)state;
    convert_golden("bert-classify");
    JsonDoc *doc = inspect_ok();
    const JsonValue *config = json_get(json_root(doc), "config");
    const JsonValue *info = json_get(json_root(doc), "model_info");
    char path[TEST_PATH];
    assert_string_equal(text_at(config, "name"), text_at(info, "name"));
    assert_string_equal(text_at(config, "task"), "text-classification");
    assert_int_equal(json_i64_or(json_get(config, "serving"), "port", 0), 8080);
    assert_string_equal(text_at(json_at(json_get(config, "inputs"), 0), "type"), "string");

    assert_string_equal(text_at(info, "version"), "1.0.0");
    assert_string_equal(text_at(info, "format"), "onnx");
    assert_string_equal(text_at(info, "path"), at(path, folder, MODEL_FILE));
    FileStat weights, model;
    assert_true(file_stat(&model, path));
    assert_true(file_stat(&weights, at(path, folder, "model.safetensors")));
    assert_int_equal(json_i64_or(info, "size_bytes", 0), weights.size + model.size);
    assert_true(json_f64_or(info, "size_mb", 0) > 0);

    const JsonValue *inputs = json_get(info, "inputs"), *ids = json_at(inputs, 0);
    assert_int_equal(json_len(inputs), 3);
    assert_string_equal(text_at(ids, "name"), "input_ids");
    assert_string_equal(text_at(ids, "type"), "int64");
    assert_true(json_bool_or(ids, "required", false));
    assert_int_equal(json_kind(json_get(ids, "description")), JSON_NULL);
    StrView symbol;
    assert_true(json_as_string(&symbol, json_at(json_get(ids, "shape"), 0)));
    assert_true(sv_equal_cstr(symbol, "batch"));
    const JsonValue *logits = json_at(json_get(info, "outputs"), 0);
    int64_t size;
    assert_true(json_as_i64(&size, json_at(json_get(logits, "shape"), 1)));
    assert_int_equal(size, 3);
    assert_int_equal(json_len(json_get(logits, "labels")), 3);

    const JsonValue *metadata = json_get(info, "metadata");
    assert_string_equal(text_at(metadata, "producer_name"), "gpux");
    assert_int_equal(json_i64_or(metadata, "opset_version", 0), 18);
    assert_int_equal(json_len(json_get(metadata, "execution_providers")), 1);
    assert_string_equal(text_at(metadata, "original_format"), "safetensors");

    assert_string_equal(text_at(info, "task"), "text-classification");
    assert_string_equal(text_at(info, "architecture"), "BertForSequenceClassification");
    assert_string_equal(text_at(info, "precision"), "fp32");
    assert_null(json_get(info, "registry"));
    const JsonValue *graph = json_get(info, "graph"), *ops = json_get(graph, "ops");
    int64_t total = 0;
    for (size_t i = 0; i < json_len(ops); i++)
        total += json_i64_or(json_at(ops, i), "count", 0);
    assert_true(total > 0);
    assert_int_equal(json_i64_or(graph, "nodes", 0), total);
    JsonDoc *known = NULL;
    assert_int_equal(folder_json(&known, folder, METADATA_FILE, NULL), STATUS_OK);
    assert_int_equal(json_i64_or(info, "parameters", 0),
                     json_i64_or(json_root(known), "parameters", -1));
    json_free(known);
    json_free(doc);
}

static void a_registry_model_shows_its_origin(void **state) {
    (void)state;
    char path[TEST_PATH];
    convert_golden("bert-mask");
    write_text(folder, METADATA_FILE,
               "{\"registry\":\"huggingface\",\"model_id\":\"org/name\",\"revision\":\"main\","
               "\"commit\":\"0123456789\"}");
    JsonDoc *doc = inspect_ok();
    const JsonValue *info = json_get(json_root(doc), "model_info");
    assert_string_equal(text_at(info, "registry"), "huggingface");
    assert_string_equal(text_at(info, "model_id"), "org/name");
    assert_string_equal(text_at(info, "revision"), "main");
    assert_string_equal(text_at(info, "commit"), "0123456789");
    json_free(doc);
    write_text(folder, METADATA_FILE, "damaged");
    json_free(inspect_ok());
    unlink(at(path, folder, METADATA_FILE));
    json_free(inspect_ok());
}

static void names_and_descriptions_are_the_configurations(void **state) {
    (void)state;
    convert_golden("bert-classify");
    write_text(folder, CONFIG_FILE,
               "name: colours\nversion: 3\nmodel: {source: ./model.onnx}\n"
               "inputs: {input_ids: {type: int64, description: tokens, required: true},\n"
               "  token_type_ids: {type: int64, required: false}}\n"
               "outputs: {logits: {type: float32, labels: [a, b, c], description: points}}\n"
               "metadata: {team: me, producer_name: hidden}\n");
    JsonDoc *doc = inspect_ok();
    const JsonValue *info = json_get(json_root(doc), "model_info");
    assert_string_equal(text_at(info, "name"), "colours");
    assert_string_equal(text_at(info, "version"), "3");
    const JsonValue *inputs = json_get(info, "inputs");
    for (size_t i = 0; i < json_len(inputs); i++) {
        const JsonValue *input = json_at(inputs, i);
        bool is_types = strcmp(text_at(input, "name"), "token_type_ids") == 0;
        assert_int_equal(json_bool_or(input, "required", is_types), !is_types);
        if (strcmp(text_at(input, "name"), "input_ids") == 0)
            assert_string_equal(text_at(input, "description"), "tokens");
    }
    const JsonValue *logits = json_at(json_get(info, "outputs"), 0);
    assert_string_equal(text_at(logits, "description"), "points");
    assert_int_equal(json_len(json_get(logits, "labels")), 3);
    assert_string_equal(text_at(json_get(info, "metadata"), "team"), "me");
    assert_string_equal(text_at(json_get(info, "metadata"), "producer_name"), "gpux");
    json_free(doc);
}

static void a_model_without_configuration_gets_one(void **state) {
    (void)state;
    char path[TEST_PATH];
    convert_golden("distilbert-tokens");
    unlink(at(path, folder, CONFIG_FILE));
    JsonDoc *doc = inspect_ok();
    const JsonValue *config = json_get(json_root(doc), "config");
    assert_string_equal(text_at(config, "name"), path_basename(folder));
    assert_int_equal(json_len(json_get(config, "inputs")), 2);
    assert_string_equal(text_at(json_at(json_get(config, "outputs"), 0), "name"), "logits");
    assert_int_equal(json_i64_or(json_get(config, "runtime"), "timeout", 0), 30);
    assert_string_equal(text_at(json_get(json_root(doc), "model_info"), "task"),
                        "token-classification");
    json_free(doc);
}

static void a_bare_file_is_shown_without_configuration(void **state) {
    (void)state;
    char path[TEST_PATH];
    convert_golden("bert-encoder");
    Buf out = BUF_INIT(TEST_TEXT);
    Error error = {0};
    assert_int_equal(store_inspect_file(&out, at(path, folder, MODEL_FILE), &error), STATUS_OK);
    JsonDoc *doc = parse(&out);
    const JsonValue *info = json_root(doc);
    assert_string_equal(text_at(info, "name"), "model");
    assert_string_equal(text_at(info, "version"), "1.0.0");
    assert_string_equal(text_at(info, "path"), path);
    assert_string_equal(text_at(info, "precision"), "fp32");
    assert_null(json_get(info, "task"));
    json_free(doc);
    out = BUF_INIT(TEST_TEXT);
    assert_int_equal(store_inspect_file(&out, at(path, folder, "absent.onnx"), &error),
                     STATUS_NOT_FOUND);
    assert_true(sv_starts_with(sv(error.message), SV("Model file not found: ")));
    write_text(folder, "bad.onnx", "\xff\xff");
    assert_int_equal(store_inspect_file(&out, at(path, folder, "bad.onnx"), &error),
                     STATUS_CORRUPT);
    assert_true(sv_starts_with(sv(error.message), SV("Invalid ONNX model: ")));
    assert_int_equal(out.len, 0);
    buf_free(&out);
}

static void missing_weights_do_not_matter(void **state) {
    (void)state;
    char path[TEST_PATH];
    convert_golden("bert-encoder");
    unlink(at(path, folder, "model.safetensors"));
    json_free(inspect_ok());
}

static void every_failing_allocation_is_an_error(void **state) {
    (void)state;
    char path[TEST_PATH];
    convert_golden("bert-classify");
    for (int round = 0; round < 2; round++) {
        for (size_t n = 1;; n++) {
            Buf out = BUF_INIT(TEST_TEXT);
            Error error = {0};
            mem_fail_after(n);
            Status status = inspect(&out, &error);
            mem_fail_after(0);
            buf_free(&out);
            if (status == STATUS_OK)
                break;
            if (status != STATUS_OUT_OF_MEMORY)
                fail_msg("allocation %zu: %d: %s", n, status, error.message);
            assert_true(n < 5000);
        }
        unlink(at(path, folder, CONFIG_FILE));
    }
}

// The real all-MiniLM-L6-v2, when GPUX_TEST_MINILM names its folder.
static void the_real_model_is_inspected_quickly(void **state) {
    (void)state;
    const char *source = getenv("GPUX_TEST_MINILM");
    if (!source)
        skip();
    ConvertOptions options = {.output = folder};
    assert_int_equal(store_convert(NULL, source, &options, NULL), STATUS_OK);
    json_free(inspect_ok());
    uint64_t started = clock_now_ns();
    JsonDoc *doc = inspect_ok();
    double ms = (double)(clock_now_ns() - started) / 1e6;
    print_message("inspect: %.1f ms\n", ms);
    assert_true(ms < 100);
    const JsonValue *info = json_get(json_root(doc), "model_info");
    assert_int_equal(json_i64_or(info, "parameters", 0), 22713728);
    json_free(doc);
}

#define CASE(name) cmocka_unit_test_setup_teardown(name, make_folder, remove_folder)

int main(void) {
    const struct CMUnitTest tests[] = {
        CASE(a_converted_model_shows_configuration_and_tensors),
        CASE(a_registry_model_shows_its_origin),
        CASE(names_and_descriptions_are_the_configurations),
        CASE(a_model_without_configuration_gets_one),
        CASE(a_bare_file_is_shown_without_configuration),
        CASE(missing_weights_do_not_matter),
        CASE(every_failing_allocation_is_an_error),
        CASE(the_real_model_is_inspected_quickly),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
