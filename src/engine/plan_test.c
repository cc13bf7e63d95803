// Golden plans: the graph of each architecture after all passes, as text. A change of a pass shows
// as a diff here. Regenerate with GPUX_WRITE_GOLDEN=1 and review.
#include "base/file.h"
#include "base/memory.h"
#include "checkpoint/checkpoint.h"
#include "engine/engine.h"
#include "models/models.h"
#include "onnx/onnx.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include <cmocka.h>

// Converts test/golden/models/<name> into `folder`, which gets its weights copied.
static char *convert_into(const char *folder, const char *name) {
    char source[256], from[300], to[300];
    Error error;
    JsonDoc *config;
    Checkpoint *checkpoint;
    Graph *graph;
    ModelSpec spec;
    snprintf(source, sizeof source, "test/golden/models/%s", name);
    snprintf(from, sizeof from, "%s/model.safetensors", source);
    snprintf(to, sizeof to, "%s/model.safetensors", folder);
    assert_int_equal(file_copy_or_reflink(to, from, &error), STATUS_OK);
    snprintf(from, sizeof from, "%s/config.json", source);
    assert_int_equal(json_parse_file(&config, from, 1 << 20, 0, &error), STATUS_OK);
    assert_int_equal(checkpoint_open(&checkpoint, folder, &error), STATUS_OK);
    assert_int_equal(models_build(&graph, &spec, json_root(config), checkpoint, 18, &error),
                     STATUS_OK);
    Buf onnx = BUF_INIT(1 << 24);
    assert_int_equal(onnx_write(&onnx, graph, &error), STATUS_OK);
    char *path = path_join(folder, "model.onnx");
    assert_int_equal(file_write_atomic(path, onnx.ptr, onnx.len, &error), STATUS_OK);
    buf_free(&onnx);
    graph_free(graph);
    checkpoint_close(checkpoint);
    json_free(config);
    return path;
}

static void remove_folder(const char *folder) {
    char path[300];
    snprintf(path, sizeof path, "%s/model.onnx", folder);
    unlink(path);
    snprintf(path, sizeof path, "%s/model.safetensors", folder);
    unlink(path);
    rmdir(folder);
}

static void check_plan(const char *name) {
    char folder[] = "/tmp/gpux-plan-XXXXXX", golden[256];
    Error error;
    Buf plan = BUF_INIT(1 << 24), expected = {0};
    assert_non_null(mkdtemp(folder));
    char *path = convert_into(folder, name);
    assert_int_equal(engine_write_plan(&plan, path, &error), STATUS_OK);
    snprintf(golden, sizeof golden, "test/golden/plans/%s.txt", name);
    if (getenv("GPUX_WRITE_GOLDEN"))
        assert_int_equal(file_write_atomic(golden, plan.ptr, plan.len, &error), STATUS_OK);
    assert_int_equal(file_read(&expected, golden, 1 << 24, &error), STATUS_OK);
    assert_string_equal(plan.ptr, expected.ptr);
    buf_free(&plan);
    buf_free(&expected);
    mem_free(path);
    remove_folder(folder);
}

static void bert_classifier_becomes_ragged_and_fused(void **state) {
    (void)state;
    check_plan("bert-classify");
}

static void distilbert_answers_become_two_columns(void **state) {
    (void)state;
    check_plan("distilbert-answer");
}

static void roberta_positions_become_a_rule_of_pack(void **state) {
    (void)state;
    check_plan("roberta-mask");
}

static void mpnet_attention_takes_its_relative_bias(void **state) {
    (void)state;
    check_plan("mpnet-encoder");
}

static void only_the_linears_of_the_layers_are_reduced(void **state) {
    (void)state;
    char folder[] = "/tmp/gpux-plan-XXXXXX";
    Error error;
    OnnxModel *onnx;
    assert_non_null(mkdtemp(folder));
    char *path = convert_into(folder, "bert-classify");
    assert_int_equal(onnx_open(&onnx, path, &error), STATUS_OK);
    Graph *graph = onnx_graph(onnx);
    assert_int_equal(graph_run_passes(graph, NULL, NULL, &error), STATUS_OK);
    assert_int_equal(graph_assign_precision(graph, "int8", &error), STATUS_OK);
    size_t reduced = 0, linears = 0;
    for (int i = 0; i < graph->n_nodes; i++) {
        const Node *node = &graph->nodes[i];
        bool is_reduced = sv_equal_cstr(node_string(node, "precision", SV("")), "int8");
        bool is_layer = strncmp(graph->values[node->out[0]].name, "layer.", 6) == 0;
        linears += node->op == OP_LINEAR;
        reduced += is_reduced;
        assert_int_equal(is_reduced, node->op == OP_LINEAR && is_layer);
    }
    // Joined q, k, v; attention output; two of the MLP. Pooler and classifier stay.
    assert_int_equal(reduced, 4);
    assert_int_equal(linears, 6);
    onnx_close(onnx);
    mem_free(path);
    remove_folder(folder);
}

static void every_failing_allocation_of_loading_is_an_error(void **state) {
    (void)state;
    char folder[] = "/tmp/gpux-plan-XXXXXX";
    Error error;
    assert_non_null(mkdtemp(folder));
    char *path = convert_into(folder, "bert-classify");
    CpuInfo cpu;
    cpu_detect(&cpu);
    EngineOptions options = {.cpu = &cpu, .threads = 1};
    Status status = STATUS_OUT_OF_MEMORY;
    size_t n = 1;
    for (; status != STATUS_OK && n < 100000; n++) {
        Model *model = NULL;
        Runner *runner = NULL;
        RunnerOptions runner_options = {.threads = 1};
        mem_fail_after(n);
        status = model_load(&model, path, &options, &error);
        if (status == STATUS_OK)
            status = runner_new(&runner, model, &runner_options, &error);
        mem_fail_after(0);
        runner_free(runner);
        model_free(model);
        if (status != STATUS_OK)
            assert_int_equal(status, STATUS_OUT_OF_MEMORY);
    }
    assert_int_equal(status, STATUS_OK);
    assert_true(n > 50);
    mem_free(path);
    remove_folder(folder);
}

static void unknown_providers_and_precisions_are_refused_by_name(void **state) {
    (void)state;
    char folder[] = "/tmp/gpux-plan-XXXXXX";
    Error error;
    Model *model;
    assert_non_null(mkdtemp(folder));
    char *path = convert_into(folder, "bert-classify");
    CpuInfo cpu;
    cpu_detect(&cpu);
    EngineOptions options = {.cpu = &cpu, .provider = "tpu"};
    assert_int_equal(model_load(&model, path, &options, &error), STATUS_INVALID);
    assert_string_equal(error.message, "Unknown provider 'tpu'. Valid providers: auto, tensorrt, "
                                       "cuda, rocm, coreml, directml, openvino, cpu");
    options = (EngineOptions){.cpu = &cpu, .precision = "fp64"};
    assert_int_equal(model_load(&model, path, &options, &error), STATUS_UNSUPPORTED);
    mem_free(path);
    remove_folder(folder);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(bert_classifier_becomes_ragged_and_fused),
        cmocka_unit_test(distilbert_answers_become_two_columns),
        cmocka_unit_test(roberta_positions_become_a_rule_of_pack),
        cmocka_unit_test(mpnet_attention_takes_its_relative_bias),
        cmocka_unit_test(only_the_linears_of_the_layers_are_reduced),
        cmocka_unit_test(every_failing_allocation_of_loading_is_an_error),
        cmocka_unit_test(unknown_providers_and_precisions_are_refused_by_name),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
