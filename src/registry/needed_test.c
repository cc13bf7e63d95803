// Which files a pull wants.
#include "registry/private.h"

#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

static const char *needed(const char *const *paths, const char *format, bool all, Status want,
                          const char **source) {
    static char out[2048];
    Buf text = BUF_INIT(1 << 16);
    HubModel model = {0};
    Error error;
    buf_printf(&text, "{\"sha\": \"%040d\", \"siblings\": [", 0);
    for (size_t i = 0; paths[i]; i++)
        buf_printf(&text, "%s{\"rfilename\": \"%s\", \"size\": %d}", i ? "," : "", paths[i],
                   strstr(paths[i], "huge") ? 30 << 20 : 5);
    buf_append_cstr(&text, "]}");
    assert_int_equal(answer_model(&model, sv_n(text.ptr, text.len), &error), STATUS_OK);
    assert_int_equal(needed_mark(&model, source, format, all, &error), want);
    out[0] = '\0';
    for (size_t i = 0; i < model.file_count; i++)
        if (model.files[i].is_needed)
            strcat(strcat(out, model.files[i].path), " ");
    hub_model_free(&model);
    buf_free(&text);
    return out;
}

static void one_weight_set_and_the_small_files_are_wanted(void **state) {
    (void)state;
    const char *source;
    static const char *const PATHS[] = {"config.json",
                                        "tokenizer.json",
                                        "vocab.txt",
                                        "spiece.model",
                                        "huge.model",
                                        "1_Pooling/config.json",
                                        "2_Dense/model.safetensors",
                                        "2_Dense/pytorch_model.bin",
                                        "2_Dense/config.json",
                                        "chat_template.jinja",
                                        "README.md",
                                        "flax_model.msgpack",
                                        "rust_model.ot",
                                        "openvino/model.xml",
                                        "model.safetensors",
                                        "pytorch_model.bin",
                                        "onnx/model.onnx",
                                        "tf_model.h5",
                                        "training_args.bin",
                                        "x/config.json",
                                        NULL};
    assert_string_equal(needed(PATHS, NULL, false, STATUS_OK, &source),
                        "1_Pooling/config.json 2_Dense/config.json 2_Dense/model.safetensors "
                        "chat_template.jinja config.json model.safetensors spiece.model "
                        "tokenizer.json vocab.txt ");
    assert_string_equal(source, "safetensors");
    assert_non_null(
        strstr(needed(PATHS, "pytorch", false, STATUS_OK, &source), " pytorch_model.bin"));
    assert_null(strstr(needed(PATHS, "auto", false, STATUS_OK, &source), " pytorch_model.bin"));
    assert_non_null(strstr(needed(PATHS, "onnx", false, STATUS_OK, &source), "onnx/model.onnx"));
    needed(PATHS, "gguf", false, STATUS_NOT_FOUND, &source);
    needed(PATHS, "tar", false, STATUS_INVALID, &source);
}

static void external_data_of_onnx_comes_along(void **state) {
    (void)state;
    const char *source;
    static const char *const PATHS[] = {"config.json",          "onnx/model.onnx",
                                        "onnx/model.onnx_data", "onnx/model.onnx_data_1",
                                        "onnx/model_fp16.onnx", NULL};
    assert_string_equal(needed(PATHS, NULL, false, STATUS_OK, &source),
                        "config.json onnx/model.onnx onnx/model.onnx_data onnx/model.onnx_data_1 ");
    assert_string_equal(source, "onnx");
}

static void all_files_leaves_out_only_the_names_that_gpux_writes(void **state) {
    (void)state;
    const char *source;
    static const char *const PATHS[] = {"README.md", "gpux.yml",     "metadata.json",
                                        ".gpux/x",   "sub/gpux.yml", NULL};
    assert_string_equal(needed(PATHS, NULL, true, STATUS_OK, &source), "README.md sub/gpux.yml ");
    assert_string_equal(source, "unknown");
    needed(PATHS, NULL, false, STATUS_NOT_FOUND, &source);
}

static void an_index_names_its_shards(void **state) {
    (void)state;
    HubModel model = {0};
    Error error;
    const char *source;
    static const char TEXT[] =
        "{\"sha\": \"0123456789abcdef0123456789abcdef01234567\", \"siblings\": ["
        "{\"rfilename\": \"model.safetensors.index.json\"}, {\"rfilename\": \"s1\"},"
        "{\"rfilename\": \"s2\"}, {\"rfilename\": \"s3\"}]}";
    assert_int_equal(answer_model(&model, sv(TEXT), &error), STATUS_OK);
    assert_int_equal(needed_mark(&model, &source, NULL, false, &error), STATUS_OK);
    assert_string_equal(needed_index(&model), "model.safetensors.index.json");
    static const char *const BAD[] = {"{}",
                                      "[]",
                                      "x",
                                      "{\"weight_map\": {}}",
                                      "{\"weight_map\": {\"a\": \"absent\"}}",
                                      "{\"weight_map\": {\"a\": \"../s1\"}}",
                                      "{\"weight_map\": {\"a\": 1}}"};
    for (size_t i = 0; i < sizeof BAD / sizeof *BAD; i++)
        assert_int_equal(needed_mark_shards(&model, sv(BAD[i]), &error), STATUS_CORRUPT);
    assert_int_equal(
        needed_mark_shards(
            &model, SV("{\"weight_map\": {\"a\": \"s1\", \"b\": \"s3\", \"c\": \"s1\"}}"), &error),
        STATUS_OK);
    assert_true(hub_model_find(&model, "s1")->is_needed);
    assert_false(hub_model_find(&model, "s2")->is_needed);
    assert_true(hub_model_find(&model, "s3")->is_needed);
    hub_model_free(&model);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(one_weight_set_and_the_small_files_are_wanted),
        cmocka_unit_test(external_data_of_onnx_comes_along),
        cmocka_unit_test(all_files_leaves_out_only_the_names_that_gpux_writes),
        cmocka_unit_test(an_index_names_its_shards),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
