// Models made here field by field, good and bad, and what becomes of them.
#include "onnx/read.h"

#include "base/memory.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include <cmocka.h>

// ---- Making models ----

typedef struct Made {
    Buf graph, model;
} Made;

static Made begin_model(void) {
    return (Made){.graph = BUF_INIT(1 << 20), .model = BUF_INIT(1 << 20)};
}

static StrView finish_model(Made *made, int64_t ir_version, int64_t opset) {
    Buf *out = &made->model;
    wire_put_i64(out, MODEL_IR_VERSION, ir_version);
    wire_put_bytes(out, MODEL_GRAPH, sv_n(made->graph.ptr, made->graph.len));
    size_t begin = wire_begin(out, MODEL_OPSET_IMPORT);
    wire_put_i64(out, OPSET_VERSION, opset);
    wire_end(out, begin);
    assert_int_equal(buf_status(out, NULL), STATUS_OK);
    return sv_n(out->ptr, out->len);
}

static void free_model(Made *made) {
    buf_free(&made->graph);
    buf_free(&made->model);
}

static void put_port(Buf *out, uint32_t number, const char *name, DType dtype) {
    size_t port = wire_begin(out, number);
    wire_put_bytes(out, PORT_NAME, sv(name));
    size_t type = wire_begin(out, PORT_TYPE);
    size_t tensor = wire_begin(out, TYPE_TENSOR);
    wire_put_i64(out, TYPE_TENSOR_ELEMENT, dtype_to_onnx(dtype));
    size_t shape = wire_begin(out, TYPE_TENSOR_SHAPE);
    size_t dim = wire_begin(out, SHAPE_DIM);
    wire_put_bytes(out, DIM_SYMBOL, SV("n"));
    wire_end(out, dim);
    wire_end(out, shape);
    wire_end(out, tensor);
    wire_end(out, type);
    wire_end(out, port);
}

static size_t begin_node(Buf *out, const char *op, const char *in, const char *result) {
    size_t begin = wire_begin(out, GRAPH_NODE);
    wire_put_bytes(out, NODE_OP_TYPE, sv(op));
    wire_put_bytes(out, NODE_NAME, SV("the_node"));
    if (in)
        wire_put_bytes(out, NODE_INPUT, sv(in));
    if (result)
        wire_put_bytes(out, NODE_OUTPUT, sv(result));
    return begin;
}

static void put_node(Buf *out, const char *op, const char *in, const char *result) {
    wire_end(out, begin_node(out, op, in, result));
}

// A tensor of shape [count]; `fill` adds the data fields.
typedef void (*Fill)(Buf *out);
static void put_tensor(Buf *out, uint32_t number, const char *name, int64_t data_type,
                       int64_t count, Fill fill) {
    size_t begin = wire_begin(out, number);
    wire_put_ints(out, TENSOR_DIMS, &count, 1);
    wire_put_i64(out, TENSOR_DATA_TYPE, data_type);
    if (name)
        wire_put_bytes(out, TENSOR_NAME, sv(name));
    fill(out);
    wire_end(out, begin);
}

static OnnxModel *read_good(StrView bytes) {
    OnnxModel *model = mem_alloc_zero(1, sizeof *model);
    Error error = {0};
    if (onnx_read_bytes(model, bytes, NULL, &error) != STATUS_OK)
        fail_msg("%s", error.message);
    return model;
}

static void expect_failure(Made *made, int64_t ir_version, int64_t opset, Status expected,
                           const char *part) {
    StrView bytes = finish_model(made, ir_version, opset);
    OnnxModel *model = mem_alloc_zero(1, sizeof *model);
    Error error = {0};
    assert_int_equal(onnx_read_bytes(model, bytes, NULL, &error), expected);
    assert_int_equal(error.code, expected);
    if (!strstr(error.message, part))
        fail_msg("\"%s\" does not contain \"%s\"", error.message, part);
    onnx_close(model);
    free_model(made);
}

// ---- Constants ----

static void fill_raw(Buf *out) {
    wire_put_bytes(out, TENSOR_RAW_DATA, SV("\1\0\0\0\2\0\0\0"));
}

static void fill_packed_ints(Buf *out) {
    wire_put_ints(out, TENSOR_INT32_DATA, (const int64_t[]){1, 2}, 2);
}

static void fill_single_ints(Buf *out) {
    wire_put_i64(out, TENSOR_INT32_DATA, 1);
    wire_put_i64(out, TENSOR_INT32_DATA, 2);
}

static void fill_minus_one(Buf *out) {
    wire_put_ints(out, TENSOR_INT32_DATA, (const int64_t[]){-1, 2}, 2);
}

static void fill_large(Buf *out) {
    wire_put_ints(out, TENSOR_INT32_DATA, (const int64_t[]){1, 65536}, 2);
}

static void fill_longs(Buf *out) {
    wire_put_ints(out, TENSOR_INT64_DATA, (const int64_t[]){-1, INT64_MAX}, 2);
}

static void fill_unsigned(Buf *out) {
    wire_put_ints(out, TENSOR_UINT64_DATA, (const int64_t[]){1, UINT32_MAX}, 2);
}

static void fill_packed_floats(Buf *out) {
    wire_put_floats(out, TENSOR_FLOAT_DATA, (const float[]){1.5f, -2.0f}, 2);
}

static void fill_single_floats(Buf *out) {
    wire_put_f32(out, TENSOR_FLOAT_DATA, 1.5f);
    wire_put_f32(out, TENSOR_FLOAT_DATA, -2.0f);
}

static void fill_doubles(Buf *out) {
    const double numbers[] = {1.5, -2.0};
    wire_put_bytes(out, TENSOR_DOUBLE_DATA, sv_n((const char *)numbers, sizeof numbers));
}

static void fill_nothing(Buf *out) {
    (void)out;
}

static void every_field_that_can_hold_elements_is_read(void **state) {
    (void)state;
    static const struct {
        DType dtype;
        Fill fill;
        const char *bytes;
    } cases[] = {
        {DTYPE_I32, fill_raw, "\1\0\0\0\2\0\0\0"},
        {DTYPE_I32, fill_packed_ints, "\1\0\0\0\2\0\0\0"},
        {DTYPE_I32, fill_single_ints, "\1\0\0\0\2\0\0\0"},
        {DTYPE_I32, fill_minus_one, "\xff\xff\xff\xff\2\0\0\0"},
        {DTYPE_I8, fill_minus_one, "\xff\2"},
        {DTYPE_U8, fill_packed_ints, "\1\2"},
        {DTYPE_I16, fill_minus_one, "\xff\xff\2\0"},
        {DTYPE_U16, fill_packed_ints, "\1\0\2\0"},
        {DTYPE_F16, fill_packed_ints, "\1\0\2\0"},
        {DTYPE_BF16, fill_single_ints, "\1\0\2\0"},
        {DTYPE_I64, fill_longs, "\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\x7f"},
        {DTYPE_U32, fill_unsigned, "\1\0\0\0\xff\xff\xff\xff"},
        {DTYPE_U64, fill_unsigned, "\1\0\0\0\0\0\0\0\xff\xff\xff\xff\0\0\0\0"},
        {DTYPE_F32, fill_packed_floats, "\0\0\xc0\x3f\0\0\0\xc0"},
        {DTYPE_F32, fill_single_floats, "\0\0\xc0\x3f\0\0\0\xc0"},
        {DTYPE_F64, fill_doubles, "\0\0\0\0\0\0\xf8\x3f\0\0\0\0\0\0\0\xc0"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        Made made = begin_model();
        put_tensor(&made.graph, GRAPH_INITIALIZER, "c", dtype_to_onnx(cases[i].dtype), 2,
                   cases[i].fill);
        put_port(&made.graph, GRAPH_OUTPUT, "c", cases[i].dtype);
        OnnxModel *model = read_good(finish_model(&made, 8, 18));
        const Value *value = &onnx_graph(model)->values[0];
        assert_int_equal(value->kind, VALUE_CONSTANT);
        assert_int_equal(value->dtype, cases[i].dtype);
        assert_int_equal(value->rank, 1);
        assert_int_equal(value->dims[0].size, 2);
        assert_int_equal(value->data_size, 2 * dtype_size(cases[i].dtype));
        assert_memory_equal(value->data, cases[i].bytes, value->data_size);
        onnx_close(model);
        free_model(&made);
    }
}

static void constants_that_lie_are_refused(void **state) {
    (void)state;
    static const struct {
        int64_t data_type, count;
        Fill fill;
        Status status;
        const char *part;
    } cases[] = {
        {6, 3, fill_raw, STATUS_CORRUPT, "needs 12 bytes, it has 8"},
        {6, 3, fill_packed_ints, STATUS_CORRUPT, "has 2 elements of 3"},
        {6, 1, fill_packed_ints, STATUS_CORRUPT, "has 2 elements of 1"},
        {6, 2, fill_nothing, STATUS_CORRUPT, "has 0 elements of 2"},
        {1, 2, fill_packed_ints, STATUS_CORRUPT, "has 0 elements of 2"},
        {2, 2, fill_minus_one, STATUS_CORRUPT, "an element that is no uint8"},
        {9, 2, fill_packed_ints, STATUS_CORRUPT, "an element that is no bool"},
        {10, 2, fill_large, STATUS_CORRUPT, "an element that is no float16"},
        {6, -1, fill_raw, STATUS_CORRUPT, "negative or overflows"},
        {7, INT64_MAX, fill_raw, STATUS_CORRUPT, "overflows"},
        {8, 2, fill_nothing, STATUS_UNSUPPORTED, "ONNX type 8"},
        {17, 8, fill_raw, STATUS_UNSUPPORTED, "ONNX type 17"},
        {0, 8, fill_raw, STATUS_UNSUPPORTED, "ONNX type 0"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        Made made = begin_model();
        put_tensor(&made.graph, GRAPH_INITIALIZER, "c", cases[i].data_type, cases[i].count,
                   cases[i].fill);
        expect_failure(&made, 8, 18, cases[i].status, cases[i].part);
    }
}

static void rank_over_the_limit_is_refused(void **state) {
    (void)state;
    Made made = begin_model();
    static const int64_t ones[9] = {1, 1, 1, 1, 1, 1, 1, 1, 1};
    size_t begin = wire_begin(&made.graph, GRAPH_INITIALIZER);
    wire_put_ints(&made.graph, TENSOR_DIMS, ones, 9);
    wire_put_i64(&made.graph, TENSOR_DATA_TYPE, 2);
    wire_put_bytes(&made.graph, TENSOR_NAME, SV("c"));
    wire_put_bytes(&made.graph, TENSOR_RAW_DATA, SV("x"));
    wire_end(&made.graph, begin);
    expect_failure(&made, 8, 18, STATUS_UNSUPPORTED, "rank 9");
}

static void fill_attr_float(Buf *out) {
    wire_put_bytes(out, ATTRIBUTE_NAME, SV("value_float"));
    wire_put_f32(out, ATTRIBUTE_F, 2.5f);
    wire_put_i64(out, ATTRIBUTE_TYPE, TYPE_FLOAT);
}

static void fill_attr_int(Buf *out) {
    wire_put_bytes(out, ATTRIBUTE_NAME, SV("value_int"));
    wire_put_i64(out, ATTRIBUTE_I, -3);
    wire_put_i64(out, ATTRIBUTE_TYPE, TYPE_INT);
}

static void fill_attr_floats(Buf *out) {
    wire_put_bytes(out, ATTRIBUTE_NAME, SV("value_floats"));
    wire_put_f32(out, ATTRIBUTE_FLOATS, 2.5f);
    wire_put_f32(out, ATTRIBUTE_FLOATS, 1.0f);
    wire_put_i64(out, ATTRIBUTE_TYPE, TYPE_FLOATS);
}

static void fill_attr_ints(Buf *out) {
    wire_put_bytes(out, ATTRIBUTE_NAME, SV("value_ints"));
    wire_put_ints(out, ATTRIBUTE_INTS, (const int64_t[]){-3, 4}, 2);
    wire_put_i64(out, ATTRIBUTE_TYPE, TYPE_INTS);
}

static void fill_attr_tensor(Buf *out) {
    wire_put_bytes(out, ATTRIBUTE_NAME, SV("value"));
    put_tensor(out, ATTRIBUTE_T, NULL, 6, 2, fill_raw);
    wire_put_i64(out, ATTRIBUTE_TYPE, TYPE_TENSOR_VALUE);
}

static void fill_attr_string(Buf *out) {
    wire_put_bytes(out, ATTRIBUTE_NAME, SV("value_string"));
    wire_put_bytes(out, ATTRIBUTE_S, SV("x"));
    wire_put_i64(out, ATTRIBUTE_TYPE, TYPE_STRING);
}

static void put_constant_node(Buf *out, Fill fill) {
    size_t node = begin_node(out, "Constant", NULL, "c");
    size_t attr = wire_begin(out, NODE_ATTRIBUTE);
    fill(out);
    wire_end(out, attr);
    wire_end(out, node);
}

static void constant_nodes_become_constants(void **state) {
    (void)state;
    static const struct {
        Fill fill;
        DType dtype;
        int rank;
        const char *bytes;
    } cases[] = {
        {fill_attr_float, DTYPE_F32, 0, "\0\0\x20\x40"},
        {fill_attr_int, DTYPE_I64, 0, "\xfd\xff\xff\xff\xff\xff\xff\xff"},
        {fill_attr_floats, DTYPE_F32, 1, "\0\0\x20\x40\0\0\x80\x3f"},
        {fill_attr_ints, DTYPE_I64, 1, "\xfd\xff\xff\xff\xff\xff\xff\xff\4\0\0\0\0\0\0\0"},
        {fill_attr_tensor, DTYPE_I32, 1, "\1\0\0\0\2\0\0\0"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        Made made = begin_model();
        put_constant_node(&made.graph, cases[i].fill);
        put_node(&made.graph, "Identity", "c", "y");
        put_port(&made.graph, GRAPH_OUTPUT, "y", cases[i].dtype);
        OnnxModel *model = read_good(finish_model(&made, 8, 18));
        const Graph *graph = onnx_graph(model);
        assert_int_equal(graph->n_nodes, 1);
        const Value *value = &graph->values[graph->nodes[0].in[0]];
        assert_int_equal(value->kind, VALUE_CONSTANT);
        assert_int_equal(value->dtype, cases[i].dtype);
        assert_int_equal(value->rank, cases[i].rank);
        assert_memory_equal(value->data, cases[i].bytes, value->data_size);
        onnx_close(model);
        free_model(&made);
    }
    Made made = begin_model();
    put_constant_node(&made.graph, fill_attr_string);
    expect_failure(&made, 8, 18, STATUS_UNSUPPORTED, "attribute value_string is not supported");
}

// ---- Nodes and names ----

static void unknown_ops_are_named(void **state) {
    (void)state;
    Made made = begin_model();
    put_port(&made.graph, GRAPH_INPUT, "x", DTYPE_F32);
    put_node(&made.graph, "Conv", "x", "y");
    expect_failure(&made, 8, 18, STATUS_UNSUPPORTED,
                   "node \"the_node\" (Conv): the op is not supported");
    made = begin_model();
    put_port(&made.graph, GRAPH_INPUT, "x", DTYPE_F32);
    size_t node = begin_node(&made.graph, "Tanh", "x", "y");
    wire_put_bytes(&made.graph, NODE_DOMAIN, SV("com.microsoft"));
    wire_end(&made.graph, node);
    expect_failure(&made, 8, 18, STATUS_UNSUPPORTED, "(com.microsoft.Tanh)");
    made = begin_model();
    put_port(&made.graph, GRAPH_INPUT, "x", DTYPE_F32);
    put_node(&made.graph, "gpux.Activate", "x", "y");
    expect_failure(&made, 8, 18, STATUS_UNSUPPORTED, "the op is not supported");
}

static void names_must_be_defined_once_and_before_use(void **state) {
    (void)state;
    Made made = begin_model();
    put_node(&made.graph, "Tanh", "x", "y");
    expect_failure(&made, 8, 18, STATUS_CORRUPT, "reads \"x\", which nothing before it defines");
    made = begin_model();
    put_port(&made.graph, GRAPH_INPUT, "x", DTYPE_F32);
    put_node(&made.graph, "Tanh", "x", "x");
    expect_failure(&made, 8, 18, STATUS_CORRUPT, "\"x\" is defined twice");
    made = begin_model();
    put_port(&made.graph, GRAPH_INPUT, "x", DTYPE_F32);
    put_port(&made.graph, GRAPH_INPUT, "x", DTYPE_F32);
    expect_failure(&made, 8, 18, STATUS_CORRUPT, "\"x\" is defined twice");
    made = begin_model();
    put_port(&made.graph, GRAPH_OUTPUT, "z", DTYPE_F32);
    expect_failure(&made, 8, 18, STATUS_CORRUPT, "nothing produces the output \"z\"");
    made = begin_model();
    put_port(&made.graph, GRAPH_INPUT, "x", DTYPE_F32);
    put_node(&made.graph, "Add", "x", "y");
    expect_failure(&made, 8, 18, STATUS_CORRUPT, "Add");
    made = begin_model();
    put_port(&made.graph, GRAPH_INPUT, "x", DTYPE_F32);
    put_node(&made.graph, "", "x", "y");
    expect_failure(&made, 8, 18, STATUS_CORRUPT, "has no op_type");
}

static void versions_out_of_range_are_refused(void **state) {
    (void)state;
    Made made = begin_model();
    expect_failure(&made, 8, 12, STATUS_UNSUPPORTED, "opset 12 is not supported; 13 to 23 are");
    made = begin_model();
    expect_failure(&made, 8, 24, STATUS_UNSUPPORTED, "opset 24");
    made = begin_model();
    expect_failure(&made, 2, 18, STATUS_UNSUPPORTED, "IR version 2");
    made = begin_model();
    expect_failure(&made, 0, 18, STATUS_CORRUPT, "no IR version");
    made = begin_model();
    put_port(&made.graph, GRAPH_INPUT, "x", DTYPE_F32);
    put_node(&made.graph, "LayerNormalization", "x", "y");
    expect_failure(&made, 8, 16, STATUS_UNSUPPORTED, "exists from opset 17 on");
}

static void initialisers_among_the_inputs_stay_constants(void **state) {
    (void)state;
    Made made = begin_model();
    put_port(&made.graph, GRAPH_INPUT, "c", DTYPE_I32);
    put_tensor(&made.graph, GRAPH_INITIALIZER, "c", 6, 2, fill_raw);
    put_node(&made.graph, "Identity", "c", "y");
    put_port(&made.graph, GRAPH_OUTPUT, "y", DTYPE_I32);
    OnnxModel *model = read_good(finish_model(&made, 3, 13));
    assert_int_equal(onnx_graph(model)->n_inputs, 0);
    assert_true(value_is_constant(onnx_graph(model), 0));
    assert_null(onnx_constant_map(model, 0));
    onnx_close(model);
    free_model(&made);
}

static void attributes_keep_their_kind_and_value(void **state) {
    (void)state;
    static const Fill fills[] = {fill_attr_float, fill_attr_int, fill_attr_ints, fill_attr_string};
    Made made = begin_model();
    put_port(&made.graph, GRAPH_INPUT, "x", DTYPE_F32);
    size_t node = begin_node(&made.graph, "Tanh", "x", "y");
    for (size_t i = 0; i < 4; i++) {
        size_t attr = wire_begin(&made.graph, NODE_ATTRIBUTE);
        fills[i](&made.graph);
        wire_end(&made.graph, attr);
    }
    wire_end(&made.graph, node);
    OnnxModel *model = read_good(finish_model(&made, 8, 18));
    const Node *made_node = &onnx_graph(model)->nodes[0];
    assert_string_equal(made_node->name, "the_node");
    assert_true(node_float(made_node, "value_float", 0) == 2.5f);
    assert_int_equal(node_int(made_node, "value_int", 0), -3);
    assert_true(sv_equal_cstr(node_string(made_node, "value_string", SV("")), "x"));
    const Attr *ints = node_attr(made_node, "value_ints");
    assert_int_equal(ints->kind, ATTR_INTS);
    assert_int_equal(ints->count, 2);
    assert_int_equal(ints->ints[1], 4);
    onnx_close(model);
    free_model(&made);
    made = begin_model();
    put_port(&made.graph, GRAPH_INPUT, "x", DTYPE_F32);
    node = begin_node(&made.graph, "Tanh", "x", "y");
    size_t attr = wire_begin(&made.graph, NODE_ATTRIBUTE);
    fill_attr_floats(&made.graph);
    wire_end(&made.graph, attr);
    wire_end(&made.graph, node);
    expect_failure(&made, 8, 18, STATUS_UNSUPPORTED, "value_floats is of a kind");
}

static void split_without_sizes_gains_num_outputs(void **state) {
    (void)state;
    Made made = begin_model();
    put_port(&made.graph, GRAPH_INPUT, "x", DTYPE_F32);
    size_t node = begin_node(&made.graph, "Split", "x", "a");
    wire_put_bytes(&made.graph, NODE_OUTPUT, SV("b"));
    wire_end(&made.graph, node);
    OnnxModel *model = read_good(finish_model(&made, 7, 13));
    assert_int_equal(node_int(&onnx_graph(model)->nodes[0], "num_outputs", 0), 2);
    onnx_close(model);
    free_model(&made);
}

// ---- External data, in files ----

static char folder[64];

static void write_named(const char *name, const void *bytes, size_t len) {
    char path[128];
    snprintf(path, sizeof path, "%s/%s", folder, name);
    assert_int_equal(file_write_atomic(path, bytes, len, NULL), STATUS_OK);
}

static int make_folder(void **state) {
    (void)state;
    snprintf(folder, sizeof folder, "/tmp/gpux-onnx-read-XXXXXX");
    return mkdtemp(folder) ? 0 : -1;
}

static int remove_folder(void **state) {
    (void)state;
    char command[128];
    snprintf(command, sizeof command, "rm -r '%s'", folder);
    return system(command);
}

static void write_external_model(const char *location, const char *offset, const char *length) {
    const char *pairs[][2] = {{"location", location}, {"offset", offset}, {"length", length}};
    const int64_t count = 2;
    Made made = begin_model();
    size_t begin = wire_begin(&made.graph, GRAPH_INITIALIZER);
    wire_put_ints(&made.graph, TENSOR_DIMS, &count, 1);
    wire_put_i64(&made.graph, TENSOR_DATA_TYPE, 6);
    wire_put_bytes(&made.graph, TENSOR_NAME, SV("c"));
    for (size_t i = 0; i < 3; i++) {
        if (!pairs[i][1])
            continue;
        size_t pair = wire_begin(&made.graph, TENSOR_EXTERNAL_DATA);
        wire_put_bytes(&made.graph, META_KEY, sv(pairs[i][0]));
        wire_put_bytes(&made.graph, META_VALUE, sv(pairs[i][1]));
        wire_end(&made.graph, pair);
    }
    wire_put_i64(&made.graph, TENSOR_DATA_LOCATION, LOCATION_EXTERNAL);
    wire_end(&made.graph, begin);
    put_port(&made.graph, GRAPH_OUTPUT, "c", DTYPE_I32);
    StrView bytes = finish_model(&made, 8, 18);
    write_named("model.onnx", bytes.ptr, bytes.len);
    free_model(&made);
}

static Status open_model(OnnxModel **model, Error *error) {
    char path[128];
    snprintf(path, sizeof path, "%s/model.onnx", folder);
    return onnx_open(model, path, error);
}

static void expect_external_failure(const char *location, const char *offset, const char *length,
                                    Status expected, const char *part) {
    write_external_model(location, offset, length);
    OnnxModel *model;
    Error error = {0};
    assert_int_equal(open_model(&model, &error), expected);
    assert_null(model);
    if (!strstr(error.message, part))
        fail_msg("\"%s\" does not contain \"%s\"", error.message, part);
}

static void external_data_is_mapped_where_it_lies(void **state) {
    (void)state;
    static const char *const cases[][3] = {
        {"weights.bin", "3", "8"}, {"weights.bin", "3", NULL}, {"sub/weights.bin", NULL, "8"}};
    char path[128];
    snprintf(path, sizeof path, "%s/sub", folder);
    assert_int_equal(file_make_dirs(path, NULL), STATUS_OK);
    write_named("weights.bin", "...\1\0\0\0\2\0\0\0", 11);
    write_named("sub/weights.bin", "\1\0\0\0\2\0\0\0", 8);
    for (size_t i = 0; i < 3; i++) {
        write_external_model(cases[i][0], cases[i][1], cases[i][2]);
        OnnxModel *model;
        Error error = {0};
        if (open_model(&model, &error) != STATUS_OK)
            fail_msg("%s", error.message);
        const Value *value = &onnx_graph(model)->values[0];
        assert_memory_equal(value->data, "\1\0\0\0\2\0\0\0", 8);
        assert_string_equal(value->file, cases[i][0]);
        const FileMap *map = onnx_constant_map(model, 0);
        assert_ptr_equal(map->data + value->offset, value->data);
        onnx_close(model);
    }
}

static void external_data_outside_the_folder_is_refused(void **state) {
    (void)state;
    static const char *const names[] = {"/etc/passwd", "../weights.bin", "a//b", "", NULL};
    for (size_t i = 0; i < 5; i++)
        expect_external_failure(names[i], "0", "8", STATUS_CORRUPT,
                                "is not inside the model's folder");
}

static void external_links_are_refused(void **state) {
    (void)state;
    char from[128], to[128];
    write_named("weights.bin", "\1\0\0\0\2\0\0\0", 8);
    snprintf(to, sizeof to, "%s/link", folder);
    assert_int_equal(symlink("weights.bin", to), 0);
    expect_external_failure("link", "0", "8", STATUS_INVALID, "must be a plain file");
    snprintf(from, sizeof from, "%s/weights.bin", folder);
    snprintf(to, sizeof to, "%s/second", folder);
    assert_int_equal(link(from, to), 0);
    expect_external_failure("second", "0", "8", STATUS_INVALID, "must be a plain file");
    snprintf(to, sizeof to, "%s/out", folder);
    assert_int_equal(symlink("/etc", to), 0);
    expect_external_failure("out/passwd", "0", "8", STATUS_INVALID, "must be a plain file");
    expect_external_failure(".", "0", "8", STATUS_INVALID, "must be a plain file");
}

static void external_ranges_must_lie_in_the_file(void **state) {
    (void)state;
    write_named("weights.bin", "\1\0\0\0\2\0\0\0", 8);
    expect_external_failure("weights.bin", "1", "8", STATUS_CORRUPT, "past the end");
    expect_external_failure("weights.bin", "9223372036854775807", "8", STATUS_CORRUPT,
                            "past the end");
    expect_external_failure("weights.bin", "0", "7", STATUS_CORRUPT, "its length is 7");
    expect_external_failure("weights.bin", "-1", "8", STATUS_CORRUPT, "offset \"-1\" is no");
    expect_external_failure("weights.bin", "x", "8", STATUS_CORRUPT, "is not a size");
    expect_external_failure("absent.bin", "0", "8", STATUS_NOT_FOUND, "'absent.bin' not found");
}

static void files_that_are_no_models_are_refused(void **state) {
    (void)state;
    OnnxModel *model;
    Error error = {0};
    assert_int_equal(open_model(&model, &error), STATUS_NOT_FOUND);
    static const char *const texts[] = {"", "hello, world", "\x08\x08", "PK\3\4"};
    for (size_t i = 0; i < 4; i++) {
        write_named("model.onnx", texts[i], strlen(texts[i]));
        assert_int_equal(open_model(&model, &error), STATUS_CORRUPT);
        assert_null(model);
        assert_non_null(strstr(error.message, "Invalid ONNX model: "));
    }
}

static StrView varied_model(Made *made) {
    put_port(&made->graph, GRAPH_INPUT, "x", DTYPE_F32);
    put_tensor(&made->graph, GRAPH_INITIALIZER, "w", 6, 2, fill_single_ints);
    put_constant_node(&made->graph, fill_attr_ints);
    size_t node = begin_node(&made->graph, "Transpose", "x", "y");
    size_t attr = wire_begin(&made->graph, NODE_ATTRIBUTE);
    fill_attr_ints(&made->graph);
    wire_end(&made->graph, attr);
    wire_end(&made->graph, node);
    node = begin_node(&made->graph, "Add", "y", "z");
    wire_put_bytes(&made->graph, NODE_INPUT, SV("w"));
    wire_end(&made->graph, node);
    put_port(&made->graph, GRAPH_OUTPUT, "z", DTYPE_F32);
    size_t pair = wire_begin(&made->model, MODEL_METADATA);
    wire_put_bytes(&made->model, META_KEY, SV("k"));
    wire_end(&made->model, pair);
    return finish_model(made, 8, 18);
}

static void every_truncation_of_a_model_is_survived(void **state) {
    (void)state;
    Made made = begin_model();
    StrView bytes = varied_model(&made);
    size_t good = 0;
    for (size_t len = 0; len <= bytes.len; len++) {
        char *copy = mem_alloc(len);
        memcpy(copy, bytes.ptr, len);
        OnnxModel *model = mem_alloc_zero(1, sizeof *model);
        good += onnx_read_bytes(model, sv_n(copy, len), NULL, NULL) == STATUS_OK;
        onnx_close(model);
        mem_free(copy);
    }
    assert_int_equal(good, 1);
    free_model(&made);
}

static void every_failed_allocation_is_an_error(void **state) {
    (void)state;
    write_named("weights.bin", "\1\0\0\0\2\0\0\0", 8);
    for (int external = 0; external < 2; external++) {
        Made made = begin_model();
        if (external) {
            write_external_model("weights.bin", "0", "8");
        } else {
            StrView bytes = varied_model(&made);
            write_named("model.onnx", bytes.ptr, bytes.len);
        }
        for (size_t n = 1;; n++) {
            OnnxModel *model;
            mem_fail_after(n);
            Status status = open_model(&model, NULL);
            mem_fail_after(0);
            if (status == STATUS_OK) {
                assert_true(n > 8);
                onnx_close(model);
                break;
            }
            assert_int_equal(status, STATUS_OUT_OF_MEMORY);
            assert_null(model);
        }
        free_model(&made);
    }
}

int main(void) {
#define CASE(name) cmocka_unit_test_setup_teardown(name, make_folder, remove_folder)
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_field_that_can_hold_elements_is_read),
        cmocka_unit_test(constants_that_lie_are_refused),
        cmocka_unit_test(rank_over_the_limit_is_refused),
        cmocka_unit_test(constant_nodes_become_constants),
        cmocka_unit_test(unknown_ops_are_named),
        cmocka_unit_test(names_must_be_defined_once_and_before_use),
        cmocka_unit_test(versions_out_of_range_are_refused),
        cmocka_unit_test(initialisers_among_the_inputs_stay_constants),
        cmocka_unit_test(attributes_keep_their_kind_and_value),
        cmocka_unit_test(split_without_sizes_gains_num_outputs),
        CASE(external_data_is_mapped_where_it_lies),
        CASE(external_data_outside_the_folder_is_refused),
        CASE(external_links_are_refused),
        CASE(external_ranges_must_lie_in_the_file),
        CASE(files_that_are_no_models_are_refused),
        cmocka_unit_test(every_truncation_of_a_model_is_survived),
        CASE(every_failed_allocation_is_an_error),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
