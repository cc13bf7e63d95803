// Summaries of models made here, also of ones that the Graph cannot hold.
#include "onnx/onnx.h"

#include "base/memory.h"
#include "onnx/proto.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include <cmocka.h>

static char folder[64];
static char path[128];

static int make_folder(void **state) {
    (void)state;
    snprintf(folder, sizeof folder, "/tmp/gpux-onnx-summary-XXXXXX");
    if (!mkdtemp(folder))
        return -1;
    snprintf(path, sizeof path, "%s/model.onnx", folder);
    return 0;
}

static int remove_folder(void **state) {
    (void)state;
    char other[128];
    snprintf(other, sizeof other, "%s/weights.bin", folder);
    unlink(other);
    unlink(path);
    return rmdir(folder);
}

static void put_text(Buf *out, uint32_t number, const char *text) {
    wire_put_bytes(out, number, sv(text));
}

static void put_node(Buf *out, const char *op, const char *domain) {
    size_t begin = wire_begin(out, GRAPH_NODE);
    put_text(out, NODE_OP_TYPE, op);
    if (domain)
        put_text(out, NODE_DOMAIN, domain);
    wire_end(out, begin);
}

static void put_tensor(Buf *out, const char *name, int64_t type, int64_t count, const char *file) {
    static const char zeros[400];
    size_t begin = wire_begin(out, GRAPH_INITIALIZER);
    wire_put_ints(out, TENSOR_DIMS, &count, 1);
    wire_put_i64(out, TENSOR_DATA_TYPE, type);
    put_text(out, TENSOR_NAME, name);
    if (file) {
        size_t pair = wire_begin(out, TENSOR_EXTERNAL_DATA);
        put_text(out, META_KEY, "location");
        put_text(out, META_VALUE, file);
        wire_end(out, pair);
        wire_put_i64(out, TENSOR_DATA_LOCATION, LOCATION_EXTERNAL);
    } else {
        wire_put_bytes(out, TENSOR_RAW_DATA, sv_n(zeros, sizeof zeros));
    }
    wire_end(out, begin);
}

static void put_port(Buf *out, uint32_t number, const char *name, int64_t type) {
    size_t port = wire_begin(out, number);
    put_text(out, PORT_NAME, name);
    size_t info = wire_begin(out, PORT_TYPE);
    size_t tensor = wire_begin(out, TYPE_TENSOR);
    wire_put_i64(out, TYPE_TENSOR_ELEMENT, type);
    size_t shape = wire_begin(out, TYPE_TENSOR_SHAPE);
    for (int i = 0; i < 3; i++) {
        size_t dim = wire_begin(out, SHAPE_DIM);
        if (i == 0)
            put_text(out, DIM_SYMBOL, "batch");
        else if (i == 1)
            wire_put_i64(out, DIM_VALUE, 384);
        wire_end(out, dim);
    }
    wire_end(out, shape);
    wire_end(out, tensor);
    wire_end(out, info);
    wire_end(out, port);
}

static size_t write_model(void) {
    Buf out = BUF_INIT(1 << 20);
    wire_put_i64(&out, MODEL_IR_VERSION, 9);
    put_text(&out, MODEL_PRODUCER_NAME, "pytorch");
    put_text(&out, MODEL_PRODUCER_VERSION, "2.1");
    wire_put_i64(&out, MODEL_MODEL_VERSION, 4);
    size_t graph = wire_begin(&out, MODEL_GRAPH);
    put_text(&out, GRAPH_NAME, "main");
    put_node(&out, "Conv", NULL);
    put_node(&out, "MatMul", "ai.onnx");
    put_node(&out, "MatMul", NULL);
    put_node(&out, "Attention", "com.microsoft");
    put_node(&out, "Attention", NULL);
    put_tensor(&out, "half", 10, 60, "weights.bin");
    put_tensor(&out, "more", 10, 60, "weights.bin");
    put_tensor(&out, "full", 1, 50, "../absent");
    put_tensor(&out, "four-bit", 22, 7, NULL);
    put_port(&out, GRAPH_INPUT, "full", 1);
    put_port(&out, GRAPH_INPUT, "x", 7);
    put_port(&out, GRAPH_OUTPUT, "y", 17);
    wire_end(&out, graph);
    for (int i = 0; i < 2; i++) {
        size_t opset = wire_begin(&out, MODEL_OPSET_IMPORT);
        put_text(&out, OPSET_DOMAIN, i ? "com.microsoft" : "");
        wire_put_i64(&out, OPSET_VERSION, i ? 1 : 11);
        wire_end(&out, opset);
    }
    size_t meta = wire_begin(&out, MODEL_METADATA);
    put_text(&out, META_KEY, "stride");
    put_text(&out, META_VALUE, "32");
    wire_end(&out, meta);
    assert_int_equal(file_write_atomic(path, out.ptr, out.len, NULL), STATUS_OK);
    size_t len = out.len;
    buf_free(&out);
    char other[128], weights[240] = {0};
    snprintf(other, sizeof other, "%s/weights.bin", folder);
    assert_int_equal(file_write_atomic(other, weights, sizeof weights, NULL), STATUS_OK);
    return len;
}

static void summary_shows_what_the_file_says(void **state) {
    (void)state;
    size_t len = write_model();
    OnnxSummary *summary;
    Error error = {0};
    if (onnx_summarize(&summary, path, &error) != STATUS_OK)
        fail_msg("%s", error.message);
    assert_int_equal(summary->ir_version, 9);
    assert_int_equal(summary->opset_version, 11);
    assert_int_equal(summary->model_version, 4);
    assert_string_equal(summary->producer_name, "pytorch");
    assert_string_equal(summary->producer_version, "2.1");
    assert_string_equal(summary->domain, "");
    assert_string_equal(summary->doc_string, "");
    assert_string_equal(summary->graph_name, "main");
    assert_int_equal(summary->node_count, 5);
    assert_int_equal(summary->op_count, 4);
    assert_string_equal(summary->ops[0].op, "MatMul");
    assert_int_equal(summary->ops[0].count, 2);
    assert_string_equal(summary->ops[1].op, "Attention");
    assert_string_equal(summary->ops[2].op, "Conv");
    assert_string_equal(summary->ops[3].op, "com.microsoft.Attention");
    assert_int_equal(summary->parameters, 177);
    assert_int_equal(summary->size_bytes, len + 240);
    assert_int_equal(summary->weight_dtype, DTYPE_F16);
    assert_int_equal(summary->metadata_count, 1);
    assert_string_equal(summary->metadata[0].key, "stride");
    assert_string_equal(summary->metadata[0].value, "32");
    onnx_summary_free(summary);
}

static void initialisers_are_no_inputs_and_dims_keep_their_names(void **state) {
    (void)state;
    write_model();
    OnnxSummary *summary;
    assert_int_equal(onnx_summarize(&summary, path, NULL), STATUS_OK);
    assert_int_equal(summary->input_count, 1);
    const OnnxPort *x = &summary->inputs[0];
    assert_string_equal(x->name, "x");
    assert_int_equal(x->dtype, DTYPE_I64);
    assert_true(x->has_shape);
    assert_int_equal(x->rank, 3);
    assert_int_equal(x->shape[0], -1);
    assert_string_equal(x->symbols[0], "batch");
    assert_int_equal(x->shape[1], 384);
    assert_null(x->symbols[1]);
    assert_int_equal(x->shape[2], -1);
    assert_null(x->symbols[2]);
    assert_int_equal(summary->output_count, 1);
    assert_int_equal(summary->outputs[0].dtype, DTYPE_UNKNOWN);
    onnx_summary_free(summary);
}

static void files_that_are_no_models_are_refused(void **state) {
    (void)state;
    OnnxSummary *summary;
    Error error = {0};
    assert_int_equal(onnx_summarize(&summary, path, &error), STATUS_NOT_FOUND);
    assert_int_equal(file_write_atomic(path, "hello, world", 12, NULL), STATUS_OK);
    assert_int_equal(onnx_summarize(&summary, path, &error), STATUS_CORRUPT);
    assert_null(summary);
    assert_non_null(strstr(error.message, "Invalid ONNX model: ModelProto near byte"));
}

static void every_failed_allocation_is_an_error(void **state) {
    (void)state;
    write_model();
    for (size_t n = 1;; n++) {
        OnnxSummary *summary;
        mem_fail_after(n);
        Status status = onnx_summarize(&summary, path, NULL);
        mem_fail_after(0);
        if (status == STATUS_OK) {
            assert_true(n > 8);
            onnx_summary_free(summary);
            return;
        }
        assert_int_equal(status, STATUS_OUT_OF_MEMORY);
        assert_null(summary);
    }
}

int main(void) {
#define CASE(name) cmocka_unit_test_setup_teardown(name, make_folder, remove_folder)
    const struct CMUnitTest tests[] = {
        CASE(summary_shows_what_the_file_says),
        CASE(initialisers_are_no_inputs_and_dims_keep_their_names),
        CASE(files_that_are_no_models_are_refused),
        CASE(every_failed_allocation_is_an_error),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
