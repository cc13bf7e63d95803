// Graph → bytes: exact bytes of a small model, and Graph → bytes → Graph.
#include "onnx/onnx.h"

#include "base/memory.h"
#include "onnx/read.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include <cmocka.h>

static Graph *new_graph(int64_t opset) {
    Graph *graph;
    assert_int_equal(graph_new(&graph, NULL), STATUS_OK);
    graph->opset = opset;
    graph->name = "g";
    return graph;
}

static void set_type(Graph *graph, ValueId id, DType dtype, int rank) {
    graph->values[id].dtype = dtype;
    graph->values[id].has_rank = true;
    graph->values[id].rank = rank;
    for (int i = 0; i < rank; i++)
        graph->values[id].dims[i] = (Dim){.size = -1, .symbol = i == 0 ? "n" : NULL};
}

// x[n, ?] → Add(x, c[1]) → y
static Graph *adder(void) {
    Graph *graph = new_graph(18);
    const Dim dims[] = {{.size = -1, .symbol = "n"}, {.size = 2}};
    const float one = 1.0f;
    ValueId in[2];
    in[0] = graph_add_input(graph, "x", DTYPE_F32, dims, 2);
    in[1] = graph_add_f32(graph, "c", &one, 1, 1);
    ValueId y = graph_add_node(graph, OP_ADD, in, 2, "y");
    set_type(graph, y, DTYPE_F32, 2);
    graph_set_outputs(graph, &y, 1);
    graph_add_metadata(graph, "k", "v");
    return graph;
}

// One of each kind of attribute, an optional input left out, several outputs, external data.
static Graph *many_kinds(void) {
    Graph *graph = new_graph(18);
    graph->producer_version = "1.2.3";
    graph->domain = "org.example";
    graph->doc_string = "what it is";
    graph->model_version = 7;
    static const int64_t shape[] = {2, 4};
    static const uint16_t halves[4] = {1, 2, 3, 4};
    static const int64_t four[] = {4};
    static const float scales[4] = {1, 2, 3, 4};
    const Dim dims[] = {{.size = -1, .symbol = "batch"}, {.size = 4}};
    ValueId weight =
        graph_add_constant(graph, "w", DTYPE_F32, shape, 2, NULL, 32, "model.safetensors", 123);
    ValueId half = graph_add_constant(graph, "h", DTYPE_F16, four, 1, halves, 8, NULL, 0);
    ValueId scale = graph_add_f32(graph, "s", scales, 4, 1);
    const int64_t bounds[] = {0, INT64_MAX, -1, 1};
    ValueId start = graph_add_i64(graph, "start", &bounds[0], 1, 1);
    ValueId end = graph_add_i64(graph, "end", &bounds[1], 1, 1);
    ValueId step = graph_add_i64(graph, "step", &bounds[3], 1, 1);
    ValueId x = graph_add_input(graph, "x", DTYPE_F32, dims, 2);
    ValueId mask = graph_add_input(graph, "mask", DTYPE_I64, NULL, 0);
    const ValueId norm_in[] = {x, scale, NO_VALUE};
    ValueId norm = graph_add_node(graph, OP_LAYER_NORMALIZATION, norm_in, 2, "norm");
    graph_set_float(graph, graph->n_nodes - 1, "epsilon", 1e-12f);
    graph_set_int(graph, graph->n_nodes - 1, "axis", -1);
    const ValueId slice_in[] = {norm, start, end, NO_VALUE, step};
    ValueId slice = graph_add_node(graph, OP_SLICE, slice_in, 5, "slice");
    ValueId turned = graph_add_node(graph, OP_TRANSPOSE, &weight, 1, "wt");
    const int64_t perm[] = {1, 0};
    graph_set_ints(graph, graph->n_nodes - 1, "perm", perm, 2);
    const ValueId product_in[] = {slice, turned};
    ValueId product = graph_add_node(graph, OP_MATMUL, product_in, 2, "product");
    const char *parts[] = {"left", "right"};
    NodeId split = graph_add_node_n(graph, OP_SPLIT, "splitter", &product, 1, parts, 2);
    graph_set_int(graph, split, "axis", 1);
    graph_set_int(graph, split, "num_outputs", 2);
    ValueId cast = graph_add_node(graph, OP_CAST, &half, 1, "cast");
    graph_set_int(graph, graph->n_nodes - 1, "to", 1);
    ValueId same = graph_add_node(graph, OP_IDENTITY, &mask, 1, "same");
    ValueId outputs[] = {graph->nodes[split].out[0], graph->nodes[split].out[1], cast, same, half};
    for (int i = 0; i < 3; i++)
        set_type(graph, outputs[i], DTYPE_F32, i == 2 ? 1 : 2);
    set_type(graph, same, DTYPE_I64, 0);
    graph_set_outputs(graph, outputs, 5);
    graph_add_metadata(graph, "task", "none");
    graph_add_metadata(graph, "empty", "");
    assert_int_equal(graph_status(graph, NULL), STATUS_OK);
    return graph;
}

static void bytes_of_a_small_model_are_as_written_down(void **state) {
    (void)state;
    Graph *graph = adder();
    Buf out = BUF_INIT(1 << 20);
    assert_int_equal(onnx_write(&out, graph, NULL), STATUS_OK);
    static const char expected[] =
        "\x08\x08"     // ir_version 8
        "\x12\x04gpux" // producer_name
        "\x3a\x4d"     // graph, 77 bytes
        "\x0a\x0e\x0a\x01x\x0a\x01"
        "c\x12\x01y\x22\x03"
        "Add"       // node
        "\x12\x01g" // name
        "\x2a\x0e\x0a\x01\x01\x10\x01\x42\x01"
        "c\x4a\x04\x00\x00\x80\x3f" // initializer
        "\x5a\x14\x0a\x01x\x12\x0f\x0a\x0d\x08\x01\x12\x09\x0a\x03\x12\x01n\x0a\x02\x08\x02"
        "\x62\x12\x0a\x01y\x12\x0d\x0a\x0b\x08\x01\x12\x07\x0a\x03\x12\x01n\x0a\x00"
        "\x42\x04\x0a\x00\x10\x12"    // opset_import "" 18
        "\x72\x06\x0a\x01k\x12\x01v"; // metadata
    assert_int_equal(out.len, sizeof expected - 1);
    assert_memory_equal(out.ptr, expected, out.len);
    buf_free(&out);
    graph_free(graph);
}

static char *dump(const Graph *graph) {
    Buf out = BUF_INIT(1 << 20);
    graph_dump(&out, graph);
    assert_int_equal(buf_status(&out, NULL), STATUS_OK);
    return out.ptr;
}

// A folder with the file that many_kinds names.
static char folder[64];

static int make_folder(void **state) {
    (void)state;
    snprintf(folder, sizeof folder, "/tmp/gpux-onnx-write-XXXXXX");
    if (!mkdtemp(folder))
        return -1;
    char path[128], bytes[200] = {0};
    snprintf(path, sizeof path, "%s/model.safetensors", folder);
    return file_write_atomic(path, bytes, sizeof bytes, NULL) == STATUS_OK ? 0 : -1;
}

static int remove_folder(void **state) {
    (void)state;
    char path[128];
    snprintf(path, sizeof path, "%s/model.safetensors", folder);
    unlink(path);
    return rmdir(folder);
}

static void graph_survives_writing_and_reading(void **state) {
    (void)state;
    Graph *graph = many_kinds();
    Buf out = BUF_INIT(1 << 20);
    assert_int_equal(onnx_write(&out, graph, NULL), STATUS_OK);
    OnnxModel *model = mem_alloc_zero(1, sizeof *model);
    Error error = {0};
    if (onnx_read_bytes(model, sv_n(out.ptr, out.len), folder, &error) != STATUS_OK)
        fail_msg("%s", error.message);
    Graph *again = onnx_graph(model);
    char *before = dump(graph), *after = dump(again);
    assert_string_equal(before, after);
    assert_string_equal(again->producer_name, "gpux");
    assert_string_equal(again->producer_version, "1.2.3");
    assert_string_equal(again->domain, "org.example");
    assert_string_equal(again->doc_string, "what it is");
    assert_int_equal(again->model_version, 7);
    assert_int_equal(again->opset, 18);
    assert_int_equal(again->n_metadata, 2);
    assert_string_equal(again->metadata[1].key, "empty");
    assert_int_equal(again->nodes[1].in[3], NO_VALUE);
    ValueId weight = graph_find_value(again, "w");
    assert_int_equal(again->values[weight].offset, 123);
    const FileMap *map = onnx_constant_map(model, weight);
    assert_non_null(map);
    assert_ptr_equal(again->values[weight].data, map->data + 123);
    assert_null(onnx_constant_map(model, graph_find_value(again, "h")));
    Buf twice = BUF_INIT(1 << 20);
    assert_int_equal(onnx_write(&twice, again, NULL), STATUS_OK);
    assert_int_equal(twice.len, out.len);
    assert_memory_equal(twice.ptr, out.ptr, out.len);
    mem_free(before);
    mem_free(after);
    buf_free(&twice);
    buf_free(&out);
    onnx_close(model);
    graph_free(graph);
}

static void expect_failure(Graph *graph, Status expected, const char *part) {
    Buf out = BUF_INIT(1 << 20);
    Error error = {0};
    assert_int_equal(onnx_write(&out, graph, &error), expected);
    if (!strstr(error.message, part))
        fail_msg("\"%s\" does not contain \"%s\"", error.message, part);
    buf_free(&out);
    graph_free(graph);
}

static void opsets_out_of_range_are_refused(void **state) {
    (void)state;
    expect_failure(new_graph(12), STATUS_UNSUPPORTED, "opset 12");
    expect_failure(new_graph(24), STATUS_UNSUPPORTED, "opset 24");
}

static Graph *unary(OpKind op, int64_t opset) {
    Graph *graph = new_graph(opset);
    const Dim dims[] = {{.size = 2}, {.size = 2}};
    ValueId in[2];
    in[0] = graph_add_input(graph, "x", DTYPE_F32, dims, 2);
    in[1] = graph_add_i64(graph, "s", (const int64_t[]){2, 2}, 2, 1);
    ValueId y = graph_add_node(graph, op, in, op == OP_RESHAPE ? 2 : 1, "y");
    set_type(graph, y, DTYPE_F32, 2);
    graph_set_outputs(graph, &y, 1);
    return graph;
}

static void layer_normalization_needs_opset_17(void **state) {
    (void)state;
    Graph *graph = many_kinds();
    graph->opset = 16;
    expect_failure(graph, STATUS_UNSUPPORTED, "LayerNormalization exists from opset 17 on");
}

static void raised_ops_are_refused(void **state) {
    (void)state;
    expect_failure(unary(OP_ACTIVATE, 18), STATUS_INVALID, "it is no ONNX op");
}

static void attributes_that_an_old_opset_lacks_are_refused_or_dropped(void **state) {
    (void)state;
    Graph *graph = unary(OP_RESHAPE, 13);
    graph_set_int(graph, 0, "allowzero", 1);
    expect_failure(graph, STATUS_UNSUPPORTED, "opset 13 has no attribute allowzero");
    static const struct {
        OpKind op;
        const char *attr;
        int64_t value, opset;
        bool is_written;
    } cases[] = {
        {OP_RESHAPE, "allowzero", 0, 13, false}, {OP_RESHAPE, "allowzero", 0, 14, true},
        {OP_SHAPE, "start", 0, 14, false},       {OP_SHAPE, "start", 0, 15, true},
        {OP_SPLIT, "num_outputs", 1, 17, false}, {OP_SPLIT, "num_outputs", 1, 18, true},
        {OP_CAST, "saturate", 1, 18, false},     {OP_CAST, "saturate", 0, 19, true},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        graph = unary(cases[i].op, cases[i].opset);
        graph_set_int(graph, 0, cases[i].attr, cases[i].value);
        Buf out = BUF_INIT(1 << 20);
        assert_int_equal(onnx_write(&out, graph, NULL), STATUS_OK);
        bool is_written = memmem(out.ptr, out.len, cases[i].attr, strlen(cases[i].attr)) != NULL;
        assert_int_equal(is_written, cases[i].is_written);
        buf_free(&out);
        graph_free(graph);
    }
}

static void ir_version_follows_the_opset(void **state) {
    (void)state;
    static const int64_t pairs[][2] = {{13, 8}, {18, 8}, {19, 9}, {20, 9}, {21, 10}, {23, 10}};
    for (size_t i = 0; i < 6; i++) {
        Graph *graph = unary(OP_TANH, pairs[i][0]);
        Buf out = BUF_INIT(1 << 20);
        assert_int_equal(onnx_write(&out, graph, NULL), STATUS_OK);
        assert_int_equal(out.ptr[0], 8);
        assert_int_equal(out.ptr[1], pairs[i][1]);
        buf_free(&out);
        graph_free(graph);
    }
}

static void constants_that_nothing_reads_are_left_out(void **state) {
    (void)state;
    Graph *graph = unary(OP_TANH, 18);
    Buf out = BUF_INIT(1 << 20);
    assert_int_equal(onnx_write(&out, graph, NULL), STATUS_OK);
    OnnxModel *model = mem_alloc_zero(1, sizeof *model);
    assert_int_equal(onnx_read_bytes(model, sv_n(out.ptr, out.len), NULL, NULL), STATUS_OK);
    assert_int_equal(graph_find_value(onnx_graph(model), "s"), NO_VALUE);
    onnx_close(model);
    buf_free(&out);
    graph_free(graph);
}

static void outputs_without_a_type_are_refused(void **state) {
    (void)state;
    Graph *graph = unary(OP_TANH, 18);
    graph->values[graph->outputs[0]].dtype = DTYPE_UNKNOWN;
    expect_failure(graph, STATUS_INVALID, "type of \"y\" is not inferred");
}

static void a_full_buffer_is_an_error(void **state) {
    (void)state;
    Graph *graph = many_kinds();
    Buf out = BUF_INIT(100);
    assert_int_equal(onnx_write(&out, graph, NULL), STATUS_LIMIT);
    buf_free(&out);
    graph_free(graph);
}

static void every_failed_allocation_is_an_error(void **state) {
    (void)state;
    Graph *graph = many_kinds();
    for (size_t n = 1;; n++) {
        Buf out = BUF_INIT(1 << 20);
        mem_fail_after(n);
        Status status = onnx_write(&out, graph, NULL);
        mem_fail_after(0);
        buf_free(&out);
        if (status == STATUS_OK) {
            assert_true(n > 2);
            break;
        }
        assert_int_equal(status, STATUS_OUT_OF_MEMORY);
    }
    graph_free(graph);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(bytes_of_a_small_model_are_as_written_down),
        cmocka_unit_test_setup_teardown(graph_survives_writing_and_reading, make_folder,
                                        remove_folder),
        cmocka_unit_test(opsets_out_of_range_are_refused),
        cmocka_unit_test(layer_normalization_needs_opset_17),
        cmocka_unit_test(raised_ops_are_refused),
        cmocka_unit_test(attributes_that_an_old_opset_lacks_are_refused_or_dropped),
        cmocka_unit_test(ir_version_follows_the_opset),
        cmocka_unit_test(constants_that_nothing_reads_are_left_out),
        cmocka_unit_test(outputs_without_a_type_are_refused),
        cmocka_unit_test(a_full_buffer_is_an_error),
        cmocka_unit_test(every_failed_allocation_is_an_error),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
