// Written projects: the exact text of a generated file, the way back through project_parse, and the
// JSON that inspect shows.
#include "config/config.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include <cmocka.h>

static Project *parse(StrView text) {
    Project *project = NULL;
    Error error = {0};
    if (project_parse(&project, text, "/p/gpux.yml", NULL, NULL, NULL, &error) != STATUS_OK)
        fail_msg("%s\n%.*s", error.message, (int)text.len, text.ptr);
    return project;
}

static Project generated(ProjectPort *inputs, ProjectPort *outputs) {
    static const char *labels[] = {"NEGATIVE", "POSITIVE"};
    static const char *tags[] = {"pytorch", "license:apache-2.0", "no", "en"};
    inputs[0] = (ProjectPort){.name = "inputs", .type = DTYPE_STRING, .is_required = true};
    inputs[1] = (ProjectPort){.name = "max_length", .type = DTYPE_I32, .max_length = 7};
    outputs[0] = (ProjectPort){.name = "logits",
                               .type = DTYPE_F32,
                               .has_shape = true,
                               .rank = 2,
                               .shape = {1, 2},
                               .labels = labels,
                               .label_count = 2};
    Project project = {
        .name = "distilbert-base",
        .version = "1.0.0",
        .description = "Converted model from huggingface",
        .task = "text-classification",
        .model_source = "./model.onnx",
        .model_format = "onnx",
        .model_id = "distilbert/distilbert-base",
        .model_registry = "huggingface",
        .model_revision = "main",
        .inputs = inputs,
        .input_count = 2,
        .outputs = outputs,
        .output_count = 1,
        .metadata_json = "{\"original_model_id\":\"distilbert/distilbert-base\","
                         "\"conversion_date\":\"2026-01-02T03:04:05Z\",\"onnx_opset_version\":18,"
                         "\"commit\":\"12345e67\",\"downloads\":null,\"list\":[1.5,\"a, b\",{}]}",
        .tags = tags,
        .tag_count = 4,
    };
    project.runtime.gpu_memory_text = "2GB";
    project.runtime.gpu_backend = "auto";
    project.runtime.timeout = 30;
    project.serving.port = 8080;
    project.preprocessing.tokenizer = "./tokenizer.json";
    project.preprocessing.max_length = 512;
    return project;
}

static void a_generated_file_has_the_documented_form(void **state) {
    (void)state;
    ProjectPort inputs[2];
    ProjectPort outputs[1];
    Project project = generated(inputs, outputs);
    Buf out = BUF_INIT(1 << 20);
    assert_int_equal(project_write_yaml(&out, &project), STATUS_OK);
    assert_string_equal(
        out.ptr, "name: distilbert-base\n"
                 "version: 1.0.0\n"
                 "description: Converted model from huggingface\n"
                 "task: text-classification\n"
                 "model: {source: ./model.onnx, format: onnx, id: distilbert/distilbert-base, "
                 "registry: huggingface, revision: main}\n"
                 "inputs:\n"
                 "  inputs: string\n"
                 "  max_length: {type: int32, required: false, max_length: 7}\n"
                 "outputs:\n"
                 "  logits: {type: float32, shape: [1, 2], labels: [NEGATIVE, POSITIVE]}\n"
                 "runtime: {gpu: {memory: 2GB, backend: auto}, timeout: 30}\n"
                 "serving: {port: 8080}\n"
                 "preprocessing: {tokenizer: ./tokenizer.json, max_length: 512}\n"
                 "metadata:\n"
                 "  original_model_id: distilbert/distilbert-base\n"
                 "  conversion_date: \"2026-01-02T03:04:05Z\"\n"
                 "  onnx_opset_version: 18\n"
                 "  commit: \"12345e67\"\n"
                 "  downloads: null\n"
                 "  list: [1.5, \"a, b\", {}]\n"
                 "tags: [pytorch, \"license:apache-2.0\", \"no\", en]\n");
    Project *again = parse(sv_n(out.ptr, out.len));
    assert_string_equal(again->metadata_json, project.metadata_json);
    assert_string_equal(again->model_id, project.model_id);
    assert_int_equal(again->inputs[1].max_length, 7);
    assert_false(again->inputs[1].is_required);
    assert_string_equal(again->outputs[0].labels[1], "POSITIVE");
    assert_int_equal(again->outputs[0].shape[1], 2);
    assert_string_equal(again->tags[1], "license:apache-2.0");
    assert_string_equal(again->tags[2], "no");
    assert_true(again->runtime.gpu_memory_set);
    assert_int_equal(again->preprocessing.max_length, 512);
    project_close(again);
    buf_free(&out);
}

// A parsed project, written and parsed again, must show the same JSON.
static void expect_round_trip(const char *text) {
    Project *project = parse(sv(text));
    Buf yaml = BUF_INIT(1 << 20);
    assert_int_equal(project_write_yaml(&yaml, project), STATUS_OK);
    Project *again = parse(sv_n(yaml.ptr, yaml.len));
    Buf json[2] = {BUF_INIT(1 << 20), BUF_INIT(1 << 20)};
    for (int i = 0; i < 2; i++) {
        JsonWriter writer = json_writer(&json[i], 2);
        project_write_json(i ? again : project, &writer);
        assert_int_equal(json[i].failed, STATUS_OK);
    }
    assert_string_equal(json[0].ptr, json[1].ptr);
    assert_int_equal(project->runtime.gpu_memory_set, again->runtime.gpu_memory_set);
    assert_int_equal(project->serving.host_set, again->serving.host_set);
    assert_int_equal(project->serving.max_workers_set, again->serving.max_workers_set);
    buf_free(&json[0]);
    buf_free(&json[1]);
    buf_free(&yaml);
    project_close(project);
    project_close(again);
}

static void every_key_survives_writing_and_reading(void **state) {
    (void)state;
    expect_round_trip("name: m\nmodel: {source: s}\ninputs: {x: bool}\noutputs: {y: bool}\n");
    expect_round_trip(
        "name: 'yes'\nversion: 1.10\ndescription: \"a: b\\n#c $${X} $$$$ $\"\ntask: translation\n"
        "model: {source: '~/x y', format: gguf, version: 2, id: a/b, registry: hf, revision: r/1}\n"
        "inputs: {'a b': {type: int64, shape: [batch, -1, 'n + 1'], required: no, max_length: 5}}\n"
        "outputs: {'1': {type: float32, shape: [], description: d}, o: {type: int8, labels: ['', "
        "x]}}\n"
        "runtime: {gpu: {memory: 1.5 GB, backend: 'cpu:native', device_id: 2, precision: bf16,\n"
        "   coreml: {model_format: NeuralNetwork, compute_units: CPUOnly, enable_profiling: on}},\n"
        "   timeout: 7, batch_size: 3, enable_profiling: true, threads: 2}\n"
        "serving: {port: 0, host: 127.0.0.1, batch_size: 2, timeout: 9, max_workers: 4,\n"
        "   max_queue: 5, max_body: 1.5KB, max_batch_delay_ms: 3, api_key: k, cors: '*'}\n"
        "preprocessing: {tokenizer: t, max_length: 8, padding: max_length, resize: [3, 4],\n"
        "   normalize: custom, letterbox: yes, custom: {mean: [0.1, 1, 2], deep: [[{a: ~}]]},\n"
        "   sample_rate: 8000, n_mels: 1, n_fft: 2, hop_length: 3, chunk_length: 4}\n"
        "metadata: {a: {b: [1, 2.5, true, null, 'true', '~']}, '': '', 'x: y': 1e-7}\n"
        "tags: ['on', '1_000', '2024-01-01', '.5', '0x1F', '- a', '#x', ' lead', \"\\t\", '{', "
        "'...']\n");
}

static void any_text_survives_as_a_scalar(void **state) {
    (void)state;
    static const char *const texts[] = {
        "",
        "plain",
        "two words",
        " lead",
        "trail ",
        "a: b",
        "a #b",
        "#c",
        "- x",
        "? x",
        "null",
        "~",
        "True",
        "NO",
        "1",
        "1.0",
        "-1e5",
        "0x1f",
        "0o7",
        ".inf",
        "12:30",
        "a,b",
        "[a]",
        "{a}",
        "'q'",
        "\"q\"",
        "back\\",
        "a\nb\n",
        "a\r\n",
        "\t",
        "\x01\x7f",
        "\u00e9\u4e2d\U0001F600",
        "\xC2\x85\xE2\x80\xA8\xEF\xBB\xBF",
        "$",
        "$$",
        "${A}",
        "$${A}",
        "$$$$${A}$",
        "a$b",
        "%x",
        "@x",
        "`x",
        "!x",
        "&x",
        "*x",
        "|",
        ">",
        "---",
        "...",
        "<<",
        "=",
        "2024-01-02",
        "1_000",
        "+",
        "-",
        "./x",
        "../y",
        ".hidden",
        "0",
        "00",
        "1.2.3",
        "y",
    };
    for (size_t i = 0; i < sizeof texts / sizeof texts[0]; i++) {
        Buf out = BUF_INIT(4096);
        buf_append_cstr(&out, "name: m\nmodel: {source: s}\ninputs: {x: bool}\noutputs: {y: bool}\n"
                              "metadata:\n  block: ");
        yaml_append_scalar(&out, sv(texts[i]));
        buf_append_cstr(&out, "\n  flow: [");
        yaml_append_scalar(&out, sv(texts[i]));
        buf_append_cstr(&out, ", {k: ");
        yaml_append_scalar(&out, sv(texts[i]));
        buf_append_cstr(&out, "}]\n");
        Project *project = parse(sv_n(out.ptr, out.len));
        JsonDoc *doc = NULL;
        assert_int_equal(json_parse(&doc, sv(project->metadata_json), 0, NULL), STATUS_OK);
        const JsonValue *flow = json_get(json_root(doc), "flow");
        const JsonValue *values[] = {json_get(json_root(doc), "block"), json_at(flow, 0),
                                     json_get(json_at(flow, 1), "k")};
        for (size_t v = 0; v < 3; v++) {
            StrView text;
            if (!json_as_string(&text, values[v]) || !sv_equal_cstr(text, texts[i]))
                fail_msg("%s became %s", texts[i], project->metadata_json);
        }
        json_free(doc);
        project_close(project);
        buf_free(&out);
    }
}

static void many_labels_stay_on_one_line(void **state) {
    (void)state;
    enum { COUNT = 1000 };
    static const char *labels[COUNT];
    Arena arena = {0};
    for (int i = 0; i < COUNT; i++)
        labels[i] = arena_printf(&arena, "label, %d", i);
    ProjectPort inputs[2];
    ProjectPort outputs[1];
    Project project = generated(inputs, outputs);
    outputs[0].labels = labels;
    outputs[0].label_count = COUNT;
    outputs[0].shape[1] = COUNT;
    Buf out = BUF_INIT(1 << 20);
    assert_int_equal(project_write_yaml(&out, &project), STATUS_OK);
    Project *again = parse(sv_n(out.ptr, out.len));
    assert_int_equal(again->outputs[0].label_count, COUNT);
    assert_string_equal(again->outputs[0].labels[999], "label, 999");
    project_close(again);
    buf_free(&out);
    arena_free(&arena);
}

static void inspect_json_has_defaults_and_lists(void **state) {
    (void)state;
    Project *project = parse(SV("name: m\nmodel: {source: s}\n"
                                "inputs: {x: {type: bool, shape: [b, 2]}}\n"
                                "outputs: {y: {type: bool, labels: [p]}}\n"
                                "serving: {api_key: secret}\nmetadata: {k: 1}\n"));
    Buf out = BUF_INIT(1 << 16);
    JsonWriter writer = json_writer(&out, 0);
    project_write_json(project, &writer);
    assert_string_equal(
        out.ptr,
        "{\"name\":\"m\",\"version\":\"1.0.0\",\"description\":null,\"task\":null,"
        "\"model\":{\"source\":\"s\",\"format\":\"onnx\",\"version\":null,\"id\":null,"
        "\"registry\":null,\"revision\":null},"
        "\"inputs\":[{\"name\":\"x\",\"type\":\"bool\",\"shape\":[\"b\",2],\"required\":true,"
        "\"max_length\":null,\"description\":null}],"
        "\"outputs\":[{\"name\":\"y\",\"type\":\"bool\",\"shape\":null,\"labels\":[\"p\"],"
        "\"description\":null}],"
        "\"runtime\":{\"gpu\":{\"memory\":\"2GB\",\"backend\":\"auto\",\"device_id\":0,"
        "\"precision\":\"auto\",\"coreml\":{\"model_format\":\"MLProgram\","
        "\"compute_units\":\"ALL\",\"enable_profiling\":false}},\"timeout\":30,\"batch_size\":0,"
        "\"enable_profiling\":false,\"threads\":0},"
        "\"serving\":{\"port\":8080,\"host\":\"127.0.0.1\",\"batch_size\":0,\"timeout\":30,"
        "\"max_workers\":4,\"max_queue\":1024,\"max_body\":33554432,\"max_batch_delay_ms\":2,"
        "\"api_key\":\"***\",\"cors\":null},"
        "\"preprocessing\":{\"tokenizer\":null,\"max_length\":null,\"padding\":false,"
        "\"resize\":null,\"normalize\":null,\"letterbox\":false,\"custom\":{},"
        "\"sample_rate\":16000,\"n_mels\":80,\"n_fft\":400,\"hop_length\":160,"
        "\"chunk_length\":30},\"metadata\":{\"k\":1},\"tags\":[]}");
    buf_free(&out);
    project_close(project);
}

static void a_full_buffer_and_an_endless_key_are_errors(void **state) {
    (void)state;
    ProjectPort inputs[2];
    ProjectPort outputs[1];
    Project project = generated(inputs, outputs);
    Buf small = BUF_INIT(100);
    assert_int_equal(project_write_yaml(&small, &project), STATUS_LIMIT);
    buf_free(&small);
    char name[1200];
    memset(name, 'a', sizeof name);
    name[sizeof name - 1] = 0;
    inputs[0].name = name;
    Buf out = BUF_INIT(1 << 20);
    assert_int_equal(project_write_yaml(&out, &project), STATUS_LIMIT);
    buf_free(&out);
}

static void every_failed_allocation_is_an_error(void **state) {
    (void)state;
    ProjectPort inputs[2];
    ProjectPort outputs[1];
    Project project = generated(inputs, outputs);
    project.description = "$${X}";
    for (size_t n = 1;; n++) {
        Buf out = BUF_INIT(1 << 20);
        mem_fail_after(n);
        Status status = project_write_yaml(&out, &project);
        mem_fail_after(0);
        buf_free(&out);
        if (status == STATUS_OK)
            break;
        assert_int_equal(status, STATUS_OUT_OF_MEMORY);
        assert_true(n < 500);
    }
    for (size_t n = 1;; n++) {
        Buf out = BUF_INIT(1 << 20);
        mem_fail_after(n);
        JsonWriter writer = json_writer(&out, 2);
        project_write_json(&project, &writer);
        mem_fail_after(0);
        Status status = out.failed;
        buf_free(&out);
        if (status == STATUS_OK)
            break;
        assert_int_equal(status, STATUS_OUT_OF_MEMORY);
        assert_true(n < 500);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_generated_file_has_the_documented_form),
        cmocka_unit_test(every_key_survives_writing_and_reading),
        cmocka_unit_test(any_text_survives_as_a_scalar),
        cmocka_unit_test(many_labels_stay_on_one_line),
        cmocka_unit_test(inspect_json_has_defaults_and_lists),
        cmocka_unit_test(a_full_buffer_and_an_endless_key_are_errors),
        cmocka_unit_test(every_failed_allocation_is_an_error),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
