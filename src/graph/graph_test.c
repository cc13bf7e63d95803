// Tests of building and reading a Graph.
#include "graph/graph_test.h"

static void strings_and_arrays_are_copied(void **state) {
    (void)state;
    Graph *graph = new_graph();
    char name[] = "x";
    char symbol[] = "batch";
    Dim dims[1] = {{.size = -1, .symbol = symbol}};
    int64_t numbers[2] = {1, -1};
    ValueId x = graph_add_input(graph, name, DTYPE_F32, dims, 1);
    ValueId shape = graph_add_i64(graph, "shape", numbers, 2, 1);
    ValueId in[2] = {x, shape};
    ValueId y = graph_add_node(graph, OP_RESHAPE, in, 2, "y");
    name[0] = 'z';
    symbol[0] = 'z';
    numbers[0] = 7;
    in[0] = y;
    int64_t first;
    assert_string_equal(graph->values[x].name, "x");
    assert_string_equal(graph->values[x].dims[0].symbol, "batch");
    assert_true(value_int_at(graph, shape, 0, &first));
    assert_int_equal(first, 1);
    assert_int_equal(graph_producer(graph, y)->in[0], x);
    graph_free(graph);
}

static void values_know_kind_and_producer(void **state) {
    (void)state;
    Graph *graph = new_graph();
    ValueId x = input(graph, "x", DTYPE_F32, "2,3");
    ValueId w = weight(graph, "w", 3, 4);
    ValueId y = ADD(graph, OP_MATMUL, "y", x, w);
    assert_int_equal(graph->values[x].kind, VALUE_INPUT);
    assert_int_equal(graph->values[w].kind, VALUE_CONSTANT);
    assert_int_equal(graph->values[y].kind, VALUE_NODE);
    assert_true(value_is_constant(graph, w));
    assert_false(value_is_constant(graph, y));
    assert_false(value_is_constant(graph, NO_VALUE));
    assert_null(graph_producer(graph, x));
    assert_null(graph_producer(graph, NO_VALUE));
    assert_ptr_equal(graph_producer(graph, y), &graph->nodes[0]);
    assert_int_equal(graph_producer_id(graph, y), 0);
    assert_int_equal(graph_find_value(graph, "w"), w);
    assert_int_equal(graph_find_value(graph, "none"), NO_VALUE);
    graph->nodes[0].is_dead = true;
    assert_null(graph_producer(graph, y));
    assert_int_equal(graph_find_value(graph, "y"), NO_VALUE);
    graph_free(graph);
}

static void hundreds_of_values_and_nodes_fit(void **state) {
    (void)state;
    Graph *graph = new_graph();
    ValueId at = input(graph, "x", DTYPE_F32, "2");
    char name[16];
    for (int i = 0; i < 500; i++) {
        snprintf(name, sizeof(name), "v%d", i);
        at = ADD(graph, OP_RELU, name, at);
    }
    graph_set_outputs(graph, &at, 1);
    assert_int_equal(graph_status(graph, NULL), STATUS_OK);
    assert_int_equal(graph->n_nodes, 500);
    assert_int_equal(graph_verify(graph, NULL), STATUS_OK);
    assert_int_equal(graph_find_value(graph, "v499"), at);
    graph_free(graph);
}

static void a_missing_output_is_no_value(void **state) {
    (void)state;
    Graph *graph = new_graph();
    ValueId x = input(graph, "x", DTYPE_F32, "4");
    const char *names[3] = {"a", "", "c"};
    NodeId node = graph_add_node_n(graph, OP_SPLIT, "split", &x, 1, names, 3);
    assert_string_equal(graph->nodes[node].name, "split");
    assert_int_equal(graph->nodes[node].out[1], NO_VALUE);
    assert_int_equal(graph_producer_id(graph, graph_find_value(graph, "c")), node);
    graph_free(graph);
}

static void attributes_are_set_read_and_replaced(void **state) {
    (void)state;
    Graph *graph = new_graph();
    ValueId x = input(graph, "x", DTYPE_F32, "4");
    ADD(graph, OP_RELU, "y", x);
    const int64_t perm[2] = {1, 0};
    graph_set_int(graph, 0, "axis", -1);
    graph_set_float(graph, 0, "epsilon", 0.5F);
    graph_set_string(graph, 0, "mode", "nonpad");
    graph_set_ints(graph, 0, "perm", perm, 2);
    const Node *node = &graph->nodes[0];
    assert_int_equal(node_int(node, "axis", 7), -1);
    assert_float_equal(node_float(node, "epsilon", 0), 0.5F, 0);
    assert_true(sv_equal_cstr(node_string(node, "mode", SV("")), "nonpad"));
    assert_int_equal(node_attr(node, "perm")->count, 2);
    assert_int_equal(node_attr(node, "perm")->ints[0], 1);
    // Another kind or no attribute: the fallback.
    assert_int_equal(node_int(node, "mode", 7), 7);
    assert_float_equal(node_float(node, "none", 2.0F), 2.0F, 0);
    assert_true(sv_equal_cstr(node_string(node, "axis", SV("f")), "f"));
    assert_null(node_attr(node, "none"));
    graph_set_float(graph, 0, "axis", 3.0F);
    assert_int_equal(node->n_attrs, 4);
    assert_int_equal(node_int(node, "axis", 7), 7);
    assert_float_equal(node_float(node, "axis", 0), 3.0F, 0);
    graph_free(graph);
}

static void uses_count_nodes_once_and_outputs(void **state) {
    (void)state;
    Graph *graph = new_graph();
    ValueId x = input(graph, "x", DTYPE_F32, "4");
    ValueId square = ADD(graph, OP_MUL, "square", x, x);
    ValueId a = ADD(graph, OP_RELU, "a", square);
    ValueId b = ADD(graph, OP_RELU, "b", square);
    graph_set_outputs(graph, IDS(a, b), 2);
    assert_int_equal(graph_use_count(graph, x), 1);
    assert_int_equal(graph_use_count(graph, square), 2);
    assert_int_equal(graph_use_count(graph, a), 1);
    assert_int_equal(graph_use_count(graph, NO_VALUE), 0);
    assert_ptr_equal(graph_only_user(graph, x), &graph->nodes[0]);
    assert_null(graph_only_user(graph, square));
    assert_null(graph_only_user(graph, a));
    graph->nodes[2].is_dead = true;
    assert_ptr_equal(graph_only_user(graph, square), &graph->nodes[1]);
    graph_set_outputs(graph, IDS(a, square), 2);
    assert_null(graph_only_user(graph, square));
    graph_free(graph);
}

static void scalars_and_integers_are_read_unaligned(void **state) {
    (void)state;
    Graph *graph = new_graph();
    unsigned char bytes[17] = {0};
    const double half = 0.5;
    const int32_t narrow[2] = {-5, 6};
    double out;
    int64_t number;
    memcpy(bytes + 1, &half, sizeof(half));
    memcpy(bytes + 9, narrow, sizeof(narrow));
    const int64_t two[1] = {2};
    ValueId f64 = graph_add_constant(graph, "f64", DTYPE_F64, NULL, 0, bytes + 1, 8, NULL, 0);
    ValueId i32 = graph_add_constant(graph, "i32", DTYPE_I32, two, 1, bytes + 9, 8, NULL, 0);
    ValueId one = graph_add_constant(graph, "one", DTYPE_I32, NULL, 0, bytes + 9, 4, NULL, 0);
    const float pi = 3.25F;
    ValueId f32 = graph_add_f32(graph, "f32", &pi, 1, 1);
    assert_true(value_scalar(graph, f64, &out));
    assert_float_equal(out, 0.5, 0);
    assert_true(value_scalar(graph, f32, &out));
    assert_float_equal(out, 3.25, 0);
    assert_true(value_scalar(graph, one, &out));
    assert_float_equal(out, -5, 0);
    assert_false(value_scalar(graph, i32, &out));
    assert_true(value_int_at(graph, i32, 1, &number));
    assert_int_equal(number, 6);
    assert_false(value_int_at(graph, i32, 2, &number));
    assert_false(value_int_at(graph, f32, 0, &number));
    // Bytes that are not here, or fewer than the shape says, are not read.
    ValueId away = weight(graph, "away", 1, 0);
    ValueId brief = graph_add_constant(graph, "brief", DTYPE_I64, two, 1, bytes, 8, NULL, 0);
    assert_false(value_scalar(graph, away, &out));
    assert_true(value_int_at(graph, brief, 0, &number));
    assert_false(value_int_at(graph, brief, 1, &number));
    graph_free(graph);
}

static void counts_need_known_dims_and_do_not_overflow(void **state) {
    (void)state;
    Graph *graph = new_graph();
    static const struct {
        const char *dims;
        size_t count;
    } cases[] = {
        {"2,3", 6}, {"", 1}, {"2,0", 0}, {"2,n", 0}, {NULL, 0}, {"4611686018427387904,4,4", 0},
    };
    for (int i = 0; i < COUNT_OF(cases); i++) {
        ValueId id = input(graph, "x", DTYPE_F32, cases[i].dims);
        assert_int_equal(value_count(&graph->values[id]), cases[i].count);
    }
    graph_free(graph);
}

static void ranks_and_sizes_out_of_range_fail_the_graph(void **state) {
    (void)state;
    Graph *graph = new_graph();
    Error error;
    Dim dims[TENSOR_MAX_RANK + 1] = {{.size = 1}};
    assert_int_equal(graph_add_input(graph, "x", DTYPE_F32, dims, TENSOR_MAX_RANK + 1), NO_VALUE);
    assert_int_equal(graph_status(graph, &error), STATUS_LIMIT);
    assert_int_equal(graph_verify(graph, NULL), STATUS_LIMIT);
    // Later calls do nothing.
    assert_int_equal(input(graph, "y", DTYPE_F32, "1"), NO_VALUE);
    assert_int_equal(ADD(graph, OP_RELU, "z", NO_VALUE), NO_VALUE);
    graph_set_int(graph, NO_NODE, "axis", 1);
    assert_int_equal(graph->n_values, 0);
    graph_free(graph);
    graph = new_graph();
    const int64_t negative[1] = {-1};
    assert_int_equal(graph_add_constant(graph, "c", DTYPE_F32, negative, 1, NULL, 0, "f", 0),
                     NO_VALUE);
    assert_int_equal(graph_status(graph, NULL), STATUS_INVALID);
    graph_free(graph);
}

// Touches every builder call; what it returns must be STATUS_OK or OUT_OF_MEMORY.
static Status build_everything(void) {
    Graph *graph;
    TRY(graph_new(&graph, NULL));
    ValueId x = input(graph, "x", DTYPE_F32, "batch,8");
    ValueId y = input(graph, "y", DTYPE_F32, "batch,8");
    ValueId w = weight(graph, "w", 8, 8);
    const float half = 0.5F;
    ValueId f = graph_add_f32(graph, "half", &half, 1, 0);
    ValueId shape = I64S(graph, "shape", 0, 2, 4);
    ValueId sum = ADD(graph, OP_ADD, "sum", x, y);
    char name[16];
    for (int i = 0; i < 70; i++) {
        snprintf(name, sizeof(name), "v%d", i);
        sum = ADD(graph, OP_MUL, name, sum, f);
    }
    ValueId product = ADD(graph, OP_MATMUL, "product", sum, w);
    ValueId last = ADD(graph, OP_RESHAPE, "last", product, shape);
    NodeId node = graph_producer_id(graph, last);
    const int64_t perm[2] = {1, 0};
    graph_set_int(graph, node, "a", 1);
    graph_set_float(graph, node, "b", 1);
    graph_set_string(graph, node, "c", "text");
    graph_set_ints(graph, node, "d", perm, 2);
    graph_set_outputs(graph, &last, 1);
    graph_add_metadata(graph, "key", "value");
    const char *output = "copy";
    if (graph_status(graph, NULL) == STATUS_OK)
        graph_insert_node(graph, 1, OP_IDENTITY, &x, 1, &output, 1);
    graph_compact(graph);
    Status status = graph_verify(graph, NULL);
    if (status == STATUS_OK)
        status = graph_infer_shapes(graph, NULL);
    if (status == STATUS_OK) {
        Buf buf = BUF_INIT(1 << 16);
        graph_dump(&buf, graph);
        status = buf_status(&buf, NULL);
        buf_free(&buf);
    }
    graph_free(graph);
    return status;
}

static void every_failed_allocation_is_reported(void **state) {
    (void)state;
    size_t n = 1;
    for (;; n++) {
        mem_fail_after(n);
        Status status = build_everything();
        mem_fail_after(0);
        if (status == STATUS_OK)
            break;
        assert_int_equal(status, STATUS_OUT_OF_MEMORY);
        assert_true(n < 100000);
    }
    assert_true(n > 10);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(strings_and_arrays_are_copied),
        cmocka_unit_test(values_know_kind_and_producer),
        cmocka_unit_test(hundreds_of_values_and_nodes_fit),
        cmocka_unit_test(a_missing_output_is_no_value),
        cmocka_unit_test(attributes_are_set_read_and_replaced),
        cmocka_unit_test(uses_count_nodes_once_and_outputs),
        cmocka_unit_test(scalars_and_integers_are_read_unaligned),
        cmocka_unit_test(counts_need_known_dims_and_do_not_overflow),
        cmocka_unit_test(ranks_and_sizes_out_of_range_fail_the_graph),
        cmocka_unit_test(every_failed_allocation_is_reported),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
