// gpux.yml texts against the Project, the warnings and the exact error messages they must give.
#include "config/config.h"

#include "base/file.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include <cmocka.h>

#define MINIMAL                                                                                    \
    "name: demo\nmodel: {source: ./model.onnx}\ninputs: {x: float32}\noutputs: {y: float32}\n"

static const char *fake_getenv(void *ctx, const char *name) {
    (void)ctx;
    static const char *const pairs[][2] = {{"MODEL", "a.onnx"},
                                           {"PORT", "9000"},
                                           {"EMPTY", ""},
                                           {"DOLLAR", "${MODEL}"},
                                           {"BIG", NULL}};
    for (size_t i = 0; i < 4; i++) {
        if (strcmp(pairs[i][0], name) == 0)
            return pairs[i][1];
    }
    return NULL;
}

static Project *parse_with(const char *text, Diagnostics *diagnostics) {
    Project *project = NULL;
    Error error = {0};
    if (project_parse(&project, sv(text), "/proj/gpux.yml", fake_getenv, NULL, diagnostics,
                      &error) != STATUS_OK)
        fail_msg("%s", error.message);
    return project;
}

static Project *parse(const char *text) {
    return parse_with(text, NULL);
}

// The whole message after the prefix must be `expected`.
static void expect_error(const char *text, const char *expected) {
    Project *project = NULL;
    Error error = {0};
    Status status =
        project_parse(&project, sv(text), "/proj/gpux.yml", fake_getenv, NULL, NULL, &error);
    assert_int_equal(status, STATUS_INVALID);
    assert_null(project);
    const char *prefix = "Failed to parse configuration: ";
    assert_memory_equal(error.message, prefix, strlen(prefix));
    assert_string_equal(error.message + strlen(prefix), expected);
}

// `more` after a valid beginning of four lines.
static void expect_error_with(const char *more, const char *expected) {
    char text[4096];
    snprintf(text, sizeof text, "%s%s", MINIMAL, more);
    expect_error(text, expected);
}

static void expect_warning(const char *more, int line, const char *expected) {
    char text[4096];
    snprintf(text, sizeof text, "%s%s", MINIMAL, more);
    Diagnostics diagnostics = {0};
    Project *project = parse_with(text, &diagnostics);
    assert_int_equal(diagnostics.count, 1);
    assert_int_equal(diagnostics.items[0].kind, DIAGNOSTIC_WARNING);
    assert_int_equal(diagnostics.items[0].line, line);
    assert_string_equal(diagnostics.items[0].text, expected);
    diagnostics_free(&diagnostics);
    project_close(project);
}

static void a_minimal_file_gets_every_default(void **state) {
    (void)state;
    Project *p = parse(MINIMAL);
    assert_string_equal(p->name, "demo");
    assert_string_equal(p->folder, "/proj");
    assert_string_equal(p->path, "/proj/gpux.yml");
    assert_string_equal(p->version, "1.0.0");
    assert_null(p->description);
    assert_string_equal(p->model_source, "./model.onnx");
    assert_string_equal(p->model_format, "onnx");
    assert_null(p->task);
    assert_int_equal(p->runtime.gpu_memory, 2ull << 30);
    assert_false(p->runtime.gpu_memory_set);
    assert_string_equal(p->runtime.gpu_memory_text, "2GB");
    assert_string_equal(p->runtime.gpu_backend, "auto");
    assert_string_equal(p->runtime.precision, "auto");
    assert_string_equal(p->runtime.coreml_model_format, "MLProgram");
    assert_string_equal(p->runtime.coreml_compute_units, "ALL");
    assert_int_equal(p->runtime.timeout, 30);
    assert_int_equal(p->runtime.batch_size, 0);
    assert_false(p->runtime.batch_size_set);
    assert_int_equal(p->serving.port, 8080);
    assert_false(p->serving.port_set);
    assert_string_equal(p->serving.host, "127.0.0.1");
    assert_false(p->serving.host_set);
    assert_int_equal(p->serving.timeout, 30);
    assert_int_equal(p->serving.max_workers, 4);
    assert_false(p->serving.max_workers_set);
    assert_int_equal(p->serving.max_queue, 1024);
    assert_int_equal(p->serving.max_body, 32 << 20);
    assert_int_equal(p->serving.max_batch_delay_ms, 2);
    assert_string_equal(p->preprocessing.padding, "false");
    assert_string_equal(p->preprocessing.custom_json, "{}");
    assert_int_equal(p->preprocessing.sample_rate, 16000);
    assert_int_equal(p->preprocessing.chunk_length, 30);
    assert_string_equal(p->metadata_json, "{}");
    assert_int_equal(p->tag_count, 0);
    assert_int_equal(p->input_count, 1);
    assert_true(p->inputs[0].is_required);
    assert_int_equal(p->inputs[0].type, DTYPE_F32);
    assert_false(p->inputs[0].has_shape);
    project_close(p);
}

static void every_key_is_read(void **state) {
    (void)state;
    Project *p = parse(
        "name: m\nversion: 1.10\ndescription: 'd'\ntask: Text-Classification\n"
        "model: {source: /m, format: safetensors, version: 2, id: a/b, registry: hf, revision: r}\n"
        "inputs: {x: string}\noutputs: {y: string}\n"
        "runtime:\n  gpu: {memory: 1.5 gb, backend: CUDA, device_id: 1, precision: FP16,\n"
        "        coreml: {model_format: NeuralNetwork, compute_units: cpuonly, enable_profiling: "
        "on}}\n"
        "  timeout: 60\n  batch_size: 8\n  enable_profiling: Yes\n  threads: 3\n"
        "serving: {port: 0, host: '::', batch_size: 4, max_workers: 2, max_queue: 9, max_body: "
        "1KB,\n"
        "          max_batch_delay_ms: 0, api_key: s, cors: '*'}\n"
        "preprocessing: {tokenizer: t, max_length: 128, padding: TRUE, resize: [224, 200],\n"
        "   normalize: imagenet, letterbox: true, custom: {mean: [1, 2, 0.5], own: x}, n_mels: "
        "128}\n"
        "metadata: {a: 1.10, b: [yes, true, null, 1e3], c: '5', d: {e: 007}}\ntags: [yes, 1, x]\n");
    assert_string_equal(p->version, "1.10");
    assert_string_equal(p->task, "text-classification");
    assert_string_equal(p->model_version, "2");
    assert_string_equal(p->model_registry, "hf");
    assert_int_equal(p->runtime.gpu_memory, 3ull << 29);
    assert_true(p->runtime.gpu_memory_set);
    assert_string_equal(p->runtime.gpu_memory_text, "1.5 gb");
    assert_string_equal(p->runtime.gpu_backend, "CUDA");
    assert_string_equal(p->runtime.precision, "fp16");
    assert_string_equal(p->runtime.coreml_compute_units, "CPUOnly");
    assert_true(p->runtime.coreml_enable_profiling);
    assert_true(p->runtime.enable_profiling);
    assert_true(p->runtime.batch_size_set);
    assert_int_equal(p->runtime.threads, 3);
    assert_int_equal(p->serving.port, 0);
    assert_true(p->serving.port_set);
    assert_true(p->serving.host_set);
    assert_int_equal(p->serving.timeout, 60);
    assert_true(p->serving.max_workers_set);
    assert_int_equal(p->serving.max_body, 1024);
    assert_int_equal(p->serving.max_batch_delay_ms, 0);
    assert_string_equal(p->serving.cors, "*");
    assert_string_equal(p->preprocessing.padding, "true");
    assert_int_equal(p->preprocessing.resize[0], 224);
    assert_int_equal(p->preprocessing.resize[1], 200);
    assert_string_equal(p->preprocessing.normalize, "imagenet");
    assert_string_equal(p->preprocessing.custom_json, "{\"mean\":[1,2,0.5],\"own\":\"x\"}");
    assert_int_equal(p->preprocessing.n_mels, 128);
    assert_string_equal(p->metadata_json, "{\"a\":1.1,\"b\":[\"yes\",true,null,1000.0],"
                                          "\"c\":\"5\",\"d\":{\"e\":7}}");
    assert_int_equal(p->tag_count, 3);
    assert_string_equal(p->tags[0], "yes");
    assert_string_equal(p->tags[1], "1");
    project_close(p);
}

static void lists_and_maps_of_ports_are_equal(void **state) {
    (void)state;
    static const char *const texts[] = {
        "name: m\nmodel: {source: s}\n"
        "inputs:\n  - {name: b, type: int64, shape: [batch, -1, null, 3], required: no}\n"
        "  - name: a\n    type: string\n    max_length: 7\n    description: words\n"
        "outputs:\n- name: o\n  type: float32\n  shape: []\n  labels: [yes, no, 1, null]\n",
        "name: m\nmodel: {source: s}\n"
        "inputs:\n  b: {type: int64, shape: [batch, -1, null, 3], required: no}\n"
        "  a: {type: string, max_length: 7, description: words}\n"
        "outputs: {o: {type: float32, shape: [], labels: [yes, no, 1, null]}}\n",
    };
    for (size_t t = 0; t < 2; t++) {
        Project *p = parse(texts[t]);
        assert_int_equal(p->input_count, 2);
        assert_string_equal(p->inputs[0].name, "b");
        assert_int_equal(p->inputs[0].type, DTYPE_I64);
        assert_int_equal(p->inputs[0].rank, 4);
        assert_string_equal(p->inputs[0].dim_names[0], "batch");
        assert_null(p->inputs[0].dim_names[1]);
        assert_int_equal(p->inputs[0].shape[0], -1);
        assert_int_equal(p->inputs[0].shape[2], -1);
        assert_int_equal(p->inputs[0].shape[3], 3);
        assert_false(p->inputs[0].is_required);
        assert_string_equal(p->inputs[1].name, "a");
        assert_int_equal(p->inputs[1].max_length, 7);
        assert_string_equal(p->inputs[1].description, "words");
        assert_true(p->outputs[0].has_shape);
        assert_int_equal(p->outputs[0].rank, 0);
        assert_int_equal(p->outputs[0].label_count, 4);
        assert_string_equal(p->outputs[0].labels[0], "yes");
        assert_string_equal(p->outputs[0].labels[2], "1");
        assert_string_equal(p->outputs[0].labels[3], "null");
        project_close(p);
    }
}

static void a_json_file_is_read_like_yaml(void **state) {
    (void)state;
    Project *p =
        parse("{\"name\": \"m\", \"version\": 1.10, \"model\": {\"source\": \"s\"},\n"
              "\"inputs\": [{\"name\": \"x\", \"type\": \"int8\", \"shape\": [1, null]}],\n"
              "\"outputs\": {\"y\": \"bool\"}, \"runtime\": {\"timeout\": \"5\"},\n"
              "\"metadata\": {\"n\": null, \"t\": true, \"s\": \"1\"}}");
    assert_string_equal(p->version, "1.10");
    assert_int_equal(p->inputs[0].type, DTYPE_I8);
    assert_int_equal(p->runtime.timeout, 5);
    assert_string_equal(p->metadata_json, "{\"n\":null,\"t\":true,\"s\":\"1\"}");
    project_close(p);
    expect_error(
        "{\"name\": \"m\",\n\"model\": {\"source\": \"s\"},\n\"inputs\": {\"x\": \"int8\"},\n"
        "\"outputs\": {\"y\": \"bool\"},\n\"runtime\": {\"timeout\": 1.5}}",
        "Input should be a valid integer (at runtime.timeout, line 5)");
}

static void variables_are_expanded_in_values(void **state) {
    (void)state;
    Project *p = parse("name: a${MODEL}b\nmodel: {source: \"${NO:-x/y}\"}\n"
                       "inputs: {x: float32}\noutputs: {y: \"${NO:-bool}\"}\n"
                       "serving: {port: \"${PORT}\"}\ndescription: $$ $ $x $${MODEL} ${DOLLAR}\n"
                       "tags: [\"${EMPTY:-e}\", \"${EMPTY}\", \"${PORT:-1}\"]\n"
                       "metadata:\n  k: ${PORT}\n  ${MODEL}: v\n  q: \"${PORT}\"\n");
    assert_string_equal(p->name, "aa.onnxb");
    assert_string_equal(p->model_source, "x/y");
    assert_int_equal(p->outputs[0].type, DTYPE_BOOL);
    assert_int_equal(p->serving.port, 9000);
    assert_string_equal(p->description, "$ $ $x ${MODEL} ${MODEL}");
    assert_string_equal(p->tags[0], "e");
    assert_string_equal(p->tags[1], "");
    assert_string_equal(p->tags[2], "9000");
    assert_string_equal(p->metadata_json, "{\"k\":9000,\"${MODEL}\":\"v\",\"q\":\"9000\"}");
    project_close(p);
}

static void a_missing_variable_names_itself_and_its_key(void **state) {
    (void)state;
    expect_error("name: m\nmodel:\n  source: ${NAME}\ninputs: {x: bool}\noutputs: {y: bool}\n",
                 "Environment variable 'NAME' is not set (at model.source, line 3)");
    expect_error_with("metadata:\n  a:\n    - ${B}\n",
                      "Environment variable 'B' is not set (at metadata.a[0], line 7)");
    expect_error_with("description: ${a b}\n",
                      "Malformed variable, use ${NAME} or ${NAME:-default}, and $$ for $ "
                      "(at description, line 5)");
    expect_error_with("description: ${a\n",
                      "Malformed variable, use ${NAME} or ${NAME:-default}, and $$ for $ "
                      "(at description, line 5)");
}

static void an_empty_file_is_an_error(void **state) {
    (void)state;
    expect_error("", "Configuration file is empty");
    expect_error("# nothing\n", "Configuration file is empty");
    expect_error("---\n~\n", "Configuration file is empty");
    expect_error("- a\n", "Configuration file must be a map of keys (line 1)");
}

static void missing_keys_are_named(void **state) {
    (void)state;
    expect_error("model: {source: s}\ninputs: {x: bool}\noutputs: {y: bool}\n",
                 "missing required field 'name'");
    expect_error("name: ~\nmodel: {source: s}\ninputs: {x: bool}\noutputs: {y: bool}\n",
                 "missing required field 'name'");
    expect_error("name: ''\nmodel: {source: s}\ninputs: {x: bool}\noutputs: {y: bool}\n",
                 "Input should not be empty (at name, line 1)");
    expect_error("name: m\nmodel: {}\ninputs: {x: bool}\noutputs: {y: bool}\n",
                 "missing required field 'model.source'");
    expect_error("name: m\nmodel: {source: s}\noutputs: {y: bool}\n",
                 "At least one input must be specified");
    expect_error("name: m\nmodel: {source: s}\ninputs: {x: bool}\noutputs: []\n",
                 "At least one output must be specified (line 4)");
    expect_error("name: m\nmodel: {source: s}\ninputs:\n- {type: bool}\noutputs: {y: {}}\n",
                 "missing required field 'inputs[0].name' (line 4)\n"
                 "  missing required field 'outputs.y.type' (line 5)");
}

static void all_problems_are_listed_one_a_line(void **state) {
    (void)state;
    expect_error(
        "name: m\nmodel: x\ninputs: 5\noutputs: {y: text}\nruntime:\n  timeout: 30s\n"
        "  enable_profiling: maybe\n  gpu: {memory: 2}\n",
        "Input should be a valid dictionary (at model, line 2)\n"
        "  Input should be a valid list or dictionary (at inputs, line 3)\n"
        "  Unsupported value 'text'. Supported: float32, float64, float16, bfloat16, int8, "
        "uint8, int16, uint16, int32, int64, uint32, uint64, bool, string "
        "(at outputs.y.type, line 4)\n"
        "  Input should be a valid integer (at runtime.timeout, line 6)\n"
        "  Input should be a valid boolean (at runtime.enable_profiling, line 7)\n"
        "  Memory must be specified as GB, MB, or KB (at runtime.gpu.memory, line 8)\n"
        "  missing required field 'model.source'");
}

static void more_problems_than_fit_are_counted(void **state) {
    (void)state;
    Buf text = BUF_INIT(1 << 16);
    buf_append_cstr(&text, MINIMAL "tags:\n");
    for (int i = 0; i < 100; i++)
        buf_append_cstr(&text, "- [1]\n");
    Project *project = NULL;
    Diagnostics diagnostics = {0};
    Error error = {0};
    assert_int_equal(project_parse(&project, sv_n(text.ptr, text.len), "x", fake_getenv, NULL,
                                   &diagnostics, &error),
                     STATUS_INVALID);
    assert_int_equal(diagnostics.count, 100);
    assert_non_null(strstr(error.message, "more problems"));
    Buf line = BUF_INIT(1000);
    diagnostic_append(&line, &diagnostics.items[99]);
    assert_string_equal(line.ptr, "Input should be a valid string (at tags[99], line 105)");
    buf_free(&line);
    diagnostics_free(&diagnostics);
    buf_free(&text);
}

static void many_warnings_hide_no_error(void **state) {
    (void)state;
    Buf text = BUF_INIT(1 << 20);
    for (int i = 0; i < 4000; i++)
        buf_printf(&text, "unknown%d: 1\n", i);
    buf_append_cstr(&text, "model: {source: s}\ninputs: {x: bool}\noutputs: {y: bool}\n");
    expect_error(text.ptr, "missing required field 'name'");
    buf_free(&text);
}

static void values_out_of_range_name_key_and_range(void **state) {
    (void)state;
    expect_error_with("serving: {port: 65536}\n",
                      "serving.port must be between 0 and 65535 (at serving.port, line 5)");
    expect_error_with("runtime:\n  timeout: 0\n", "runtime.timeout must be at least 1 and at most "
                                                  "2147483647 (at runtime.timeout, line 6)");
    expect_error_with("serving: {port: 99999999999999999999}\n",
                      "serving.port must be between 0 and 65535 (at serving.port, line 5)");
    expect_error_with("serving: {port: 1e3}\n",
                      "Input should be a valid integer (at serving.port, line 5)");
    expect_error_with("serving: {port: 0x10}\n",
                      "Input should be a valid integer (at serving.port, line 5)");
    expect_error_with("model: {source: s, format: tflite}\n",
                      "Unsupported value 'tflite'. Supported: onnx, safetensors, pytorch, gguf "
                      "(at model.format, line 5)");
    expect_error_with("preprocessing: {resize: 224}\n",
                      "Input should be [width, height] (at preprocessing.resize, line 5)");
    expect_error_with("preprocessing:\n  custom:\n    layout: hwc\n    mean: [1, 2]\n",
                      "Input should be three numbers (at preprocessing.custom.mean, line 8)\n"
                      "  Input should be nchw or nhwc (at preprocessing.custom.layout, line 7)");
    expect_error_with("inputs: {x: {type: bool, shape: [-2]}}\n",
                      "inputs.x.shape[0] must be between -1 and 9223372036854775807 "
                      "(at inputs.x.shape[0], line 5)");
    expect_error_with("inputs: {x: {type: bool, shape: [1.5]}}\n",
                      "Input should be a valid integer (at inputs.x.shape[0], line 5)");
    expect_error_with("inputs: {x: {type: bool, shape: [1,1,1,1,1,1,1,1,1]}}\n",
                      "A shape has at most 8 dimensions (at inputs.x.shape, line 5)");
    expect_error_with("inputs:\n- {name: x, type: bool}\n- {name: x, type: bool}\n",
                      "Duplicate input name 'x' (at inputs[1], line 7)");
}

static void bad_yaml_is_told_with_line_and_column(void **state) {
    (void)state;
    expect_error("name: m\n\tmodel: x\n", "Invalid YAML in configuration file: found a tab where "
                                          "spaces must indent, line 2 column 1");
}

static void unknown_keys_are_warnings_with_a_guess(void **state) {
    (void)state;
    expect_warning("runtime: {gpu: {mem: 2GB}}\n", 5,
                   "Unknown key 'runtime.gpu.mem' (did you mean 'memory'?)");
    expect_warning("runtime:\n  timeot: 2\n", 6,
                   "Unknown key 'runtime.timeot' (did you mean 'timeout'?)");
    expect_warning("servng: {port: 1}\n", 5, "Unknown key 'servng' (did you mean 'serving'?)");
    expect_warning("zzz: 1\n", 5, "Unknown key 'zzz'");
    expect_warning("model.source: 1\n", 5, "Unknown key 'model.source'");
    expect_warning("\"in\\nputs\\e[31m\": 1\n", 5, "Unknown key 'in?puts?[31m'");
}

static void unknown_port_fields_are_warnings(void **state) {
    (void)state;
    Diagnostics diagnostics = {0};
    Project *p =
        parse_with("name: m\nmodel: {source: s}\ninputs: [{name: x, type: bool, labels: 1}]\n"
                   "outputs: {y: {type: bool, typ: 5, name: z}}\n",
                   &diagnostics);
    assert_int_equal(diagnostics.count, 3);
    assert_string_equal(diagnostics.items[0].text, "Unknown key 'inputs[0].labels'");
    assert_string_equal(diagnostics.items[1].text,
                        "Unknown key 'outputs.y.typ' (did you mean 'type'?)");
    assert_string_equal(diagnostics.items[2].text, "Name 'z' is ignored for the key 'y'");
    assert_string_equal(p->outputs[0].name, "y");
    project_close(p);
    diagnostics_free(&diagnostics);
}

static void the_last_duplicate_wins_with_a_warning(void **state) {
    (void)state;
    expect_warning("version: a\nversion: b\n", 5, "Duplicate key 'version' (the last one wins)");
    expect_warning("metadata: {k: {a: 1, a: 2}}\n", 5,
                   "Duplicate key 'metadata.k.a' (the last one wins)");
    Project *p = parse("name: m\nmodel: {source: s}\ninputs: {x: bool, y: int8, x: string}\n"
                       "outputs: {y: bool}\nmetadata: {a: 1, a: 2}\n");
    assert_int_equal(p->input_count, 2);
    assert_string_equal(p->inputs[1].name, "x");
    assert_int_equal(p->inputs[1].type, DTYPE_STRING);
    assert_string_equal(p->metadata_json, "{\"a\":2}");
    project_close(p);
}

static void a_label_count_that_contradicts_the_shape_is_a_warning(void **state) {
    (void)state;
    Diagnostics diagnostics = {0};
    Project *p = parse_with("name: m\nmodel: {source: s}\ninputs: {x: bool}\n"
                            "outputs: {y: {type: float32, shape: [1, 2], labels: [a, b, c]}}\n",
                            &diagnostics);
    assert_int_equal(diagnostics.count, 1);
    assert_string_equal(diagnostics.items[0].text,
                        "'outputs.y' has 3 labels, but its last dimension is 2");
    diagnostics_free(&diagnostics);
    project_close(p);
}

static void memory_sizes_need_a_unit(void **state) {
    (void)state;
    static const struct {
        const char *text;
        uint64_t bytes;
    } good[] = {{"2GB", 2ull << 30}, {"1.5 mb", 3 << 19}, {" 10 Kb ", 10240},
                {"0.5GB", 1 << 29},  {".5kb", 512},       {"0GB", 0}};
    static const char *const bad[] = {"2",   "GB",    "2 G",   "2GiB", "-1GB", "1e3GB",
                                      "2TB", "1..GB", "1,5GB", "",     "B",    "99999999999GB",
                                      "x GB"};
    uint64_t bytes = 0;
    for (size_t i = 0; i < sizeof good / sizeof good[0]; i++) {
        assert_true(project_parse_memory(&bytes, sv(good[i].text)));
        assert_int_equal(bytes, good[i].bytes);
    }
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++)
        assert_false(project_parse_memory(&bytes, sv(bad[i])));
}

static void files_are_opened_and_their_models_found(void **state) {
    (void)state;
    char folder[] = "/tmp/gpux_config_XXXXXX";
    assert_non_null(mkdtemp(folder));
    char path[256];
    char model[256];
    char *found = NULL;
    Project *project = NULL;
    Error error = {0};
    snprintf(path, sizeof path, "%s/gpux.yml", folder);
    snprintf(model, sizeof model, "%s/model.onnx", folder);

    assert_int_equal(project_open(&project, path, NULL, NULL, NULL, &error), STATUS_NOT_FOUND);
    char expected[600];
    snprintf(expected, sizeof expected, "Configuration file not found: %s", path);
    assert_string_equal(error.message, expected);
    assert_null(project_peek_name(path));
    assert_int_equal(project_open(&project, folder, NULL, NULL, NULL, &error), STATUS_INVALID);

    assert_int_equal(file_write_atomic(path, MINIMAL, strlen(MINIMAL), NULL), STATUS_OK);
    assert_int_equal(project_open(&project, path, NULL, NULL, NULL, &error), STATUS_OK);
    assert_string_equal(project->folder, folder);
    assert_int_equal(project_model_path(&found, project, &error), STATUS_NOT_FOUND);
    snprintf(expected, sizeof expected, "Model file not found: %s", model);
    assert_string_equal(error.message, expected);
    assert_int_equal(file_write_atomic(model, "x", 1, NULL), STATUS_OK);
    assert_int_equal(project_model_path(&found, project, &error), STATUS_OK);
    assert_string_equal(found, model);
    mem_free(found);

    project->model_source = "HTTPS://example.com/model.onnx";
    assert_int_equal(project_model_path(&found, project, &error), STATUS_UNSUPPORTED);
    assert_string_equal(error.message, "HTTP model sources are not supported yet");
    char *home = getenv("HOME") ? mem_strdup(getenv("HOME")) : NULL;
    setenv("HOME", folder, 1);
    project->model_source = "~/model.onnx";
    assert_int_equal(project_model_path(&found, project, &error), STATUS_OK);
    assert_string_equal(found, model);
    mem_free(found);
    if (home)
        setenv("HOME", home, 1);
    else
        unsetenv("HOME");
    mem_free(home);
    project_close(project);

    char *name = project_peek_name(path);
    assert_string_equal(name, "demo");
    mem_free(name);
    const char *json = "{\"version\": \"1\", \"name\": \"other\"}";
    assert_int_equal(file_write_atomic(path, json, strlen(json), NULL), STATUS_OK);
    name = project_peek_name(path);
    assert_string_equal(name, "other");
    mem_free(name);
    unlink(path);
    unlink(model);
    rmdir(folder);
}

static void a_file_over_one_megabyte_is_refused(void **state) {
    (void)state;
    char *text = mem_alloc((1 << 20) + 1);
    memset(text, '\n', (1 << 20) + 1);
    Project *project = NULL;
    Error error = {0};
    assert_int_equal(
        project_parse(&project, sv_n(text, (1 << 20) + 1), "x", NULL, NULL, NULL, &error),
        STATUS_INVALID);
    assert_string_equal(error.message, "Failed to parse configuration: Configuration file is "
                                       "larger than 1 MB");
    mem_free(text);
}

static void the_key_table_is_complete(void **state) {
    (void)state;
    size_t count = 0;
    const ProjectKey *keys = project_keys(&count);
    assert_true(count > 50);
    for (size_t i = 0; i < count; i++) {
        assert_non_null(keys[i].path);
        assert_non_null(keys[i].type);
        assert_true(strlen(keys[i].help) > 5);
        for (size_t k = 0; k < i; k++)
            assert_string_not_equal(keys[i].path, keys[k].path);
    }
}

static void every_failed_allocation_is_an_error(void **state) {
    (void)state;
    const char *text =
        "name: ${MODEL}\nmodel: {source: s}\nzz: 1\ninputs: [{name: x, type: bool, shape: [a, "
        "1]}]\n"
        "outputs: {y: {type: string, labels: [a, b]}}\nmetadata: {a: [1, x], a: {}}\ntags: [a]\n"
        "preprocessing: {custom: {mean: [1, 2, 3], layout: nchw}, resize: [1, 2], padding: "
        "longest}\n";
    const char *broken = "name: m\nmodel: x\ninputs: 5\ntask: y\nserving: {port: x, host: [1]}\n";
    for (int is_broken = 0; is_broken < 2; is_broken++) {
        for (size_t n = 1;; n++) {
            Project *project = NULL;
            Error error = {0};
            Diagnostics diagnostics = {0};
            mem_fail_after(n);
            Status status = project_parse(&project, sv(is_broken ? broken : text), "x", fake_getenv,
                                          NULL, &diagnostics, &error);
            mem_fail_after(0);
            project_close(project);
            diagnostics_free(&diagnostics);
            if (status == (is_broken ? STATUS_INVALID : STATUS_OK))
                break;
            assert_int_equal(status, STATUS_OUT_OF_MEMORY);
            assert_true(n < 2000);
        }
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_minimal_file_gets_every_default),
        cmocka_unit_test(every_key_is_read),
        cmocka_unit_test(lists_and_maps_of_ports_are_equal),
        cmocka_unit_test(a_json_file_is_read_like_yaml),
        cmocka_unit_test(variables_are_expanded_in_values),
        cmocka_unit_test(a_missing_variable_names_itself_and_its_key),
        cmocka_unit_test(an_empty_file_is_an_error),
        cmocka_unit_test(missing_keys_are_named),
        cmocka_unit_test(all_problems_are_listed_one_a_line),
        cmocka_unit_test(more_problems_than_fit_are_counted),
        cmocka_unit_test(many_warnings_hide_no_error),
        cmocka_unit_test(values_out_of_range_name_key_and_range),
        cmocka_unit_test(bad_yaml_is_told_with_line_and_column),
        cmocka_unit_test(unknown_keys_are_warnings_with_a_guess),
        cmocka_unit_test(unknown_port_fields_are_warnings),
        cmocka_unit_test(the_last_duplicate_wins_with_a_warning),
        cmocka_unit_test(a_label_count_that_contradicts_the_shape_is_a_warning),
        cmocka_unit_test(memory_sizes_need_a_unit),
        cmocka_unit_test(files_are_opened_and_their_models_found),
        cmocka_unit_test(a_file_over_one_megabyte_is_refused),
        cmocka_unit_test(the_key_table_is_complete),
        cmocka_unit_test(every_failed_allocation_is_an_error),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
