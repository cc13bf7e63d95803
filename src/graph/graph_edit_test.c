// Tests of changing a Graph.
#include "graph/graph_test.h"

static void replaced_values_lose_their_readers(void **state) {
    (void)state;
    Graph *graph = new_graph();
    ValueId x = input(graph, "x", DTYPE_F32, "4");
    ValueId a = ADD(graph, OP_RELU, "a", x);
    ValueId b = ADD(graph, OP_MUL, "b", a, a);
    graph_set_outputs(graph, &b, 1);
    graph_replace_uses(graph, a, x);
    assert_int_equal(graph->nodes[1].in[0], x);
    assert_int_equal(graph->nodes[1].in[1], x);
    assert_int_equal(graph_use_count(graph, a), 0);
    graph_free(graph);
}

static void a_replaced_output_keeps_its_name(void **state) {
    (void)state;
    Graph *graph = new_graph();
    ValueId x = input(graph, "x", DTYPE_F32, "4");
    ValueId a = ADD(graph, OP_RELU, "a", x);
    ValueId logits = ADD(graph, OP_IDENTITY, "logits", a);
    graph_set_outputs(graph, &logits, 1);
    graph_replace_uses(graph, logits, a);
    graph_compact(graph);
    assert_int_equal(graph->n_nodes, 1);
    assert_int_equal(graph->outputs[0], a);
    assert_string_equal(graph->values[a].name, "logits");
    assert_int_equal(graph_verify(graph, NULL), STATUS_OK);
    graph_free(graph);
}

static void an_output_is_not_replaced_by_an_input_or_another_output(void **state) {
    (void)state;
    Graph *graph = new_graph();
    ValueId x = input(graph, "x", DTYPE_F32, "4");
    ValueId a = ADD(graph, OP_IDENTITY, "a", x);
    ValueId b = ADD(graph, OP_RELU, "b", a);
    ValueId c = ADD(graph, OP_IDENTITY, "c", b);
    graph_set_outputs(graph, IDS(a, b, c), 3);
    graph_replace_uses(graph, a, x);
    graph_replace_uses(graph, c, b);
    graph_compact(graph);
    assert_int_equal(graph->n_nodes, 3);
    assert_int_equal(graph->nodes[1].in[0], x);
    assert_string_equal(graph->values[graph->outputs[0]].name, "a");
    assert_string_equal(graph->values[graph->outputs[1]].name, "b");
    assert_string_equal(graph->values[graph->outputs[2]].name, "c");
    assert_int_equal(graph_verify(graph, NULL), STATUS_OK);
    graph_free(graph);
}

static void an_inserted_node_shifts_the_later_ones(void **state) {
    (void)state;
    Graph *graph = new_graph();
    ValueId x = input(graph, "x", DTYPE_F32, "4");
    ValueId a = ADD(graph, OP_RELU, "a", x);
    ValueId b = ADD(graph, OP_TANH, "b", a);
    graph_set_outputs(graph, &b, 1);
    const char *name = "between";
    NodeId node = graph_insert_node(graph, 1, OP_ERF, &a, 1, &name, 1);
    assert_int_equal(node, 1);
    graph->nodes[2].in[0] = graph->nodes[1].out[0];
    assert_int_equal(graph_producer_id(graph, a), 0);
    assert_int_equal(graph_producer_id(graph, graph_find_value(graph, "between")), 1);
    assert_int_equal(graph_producer_id(graph, b), 2);
    assert_int_equal(graph_verify(graph, NULL), STATUS_OK);
    const char *last = "last";
    assert_int_equal(graph_insert_node(graph, 3, OP_RELU, &b, 1, &last, 1), 3);
    const char *first = "first";
    assert_int_equal(graph_insert_node(graph, 0, OP_RELU, &x, 1, &first, 1), 0);
    assert_int_equal(graph_verify(graph, NULL), STATUS_OK);
    graph_free(graph);
}

static void compacting_sweeps_what_no_output_needs(void **state) {
    (void)state;
    Graph *graph = new_graph();
    ValueId x = input(graph, "x", DTYPE_F32, "4,4");
    ValueId unused = input(graph, "unused", DTYPE_F32, "4");
    ValueId w = weight(graph, "w", 4, 4);
    ValueId v = weight(graph, "v", 4, 4);
    ValueId a = ADD(graph, OP_MATMUL, "a", x, v);
    ValueId b = ADD(graph, OP_RELU, "b", a);
    ValueId c = ADD(graph, OP_MATMUL, "c", x, w);
    ValueId d = ADD(graph, OP_RELU, "d", c);
    ValueId e = ADD(graph, OP_TANH, "e", c);
    (void)b;
    (void)d;
    graph_set_outputs(graph, &e, 1);
    graph->nodes[3].is_dead = true;
    graph_compact(graph);
    assert_int_equal(graph->n_nodes, 2);
    assert_int_equal(graph->n_inputs, 2);
    assert_int_equal(graph->inputs[1], unused);
    assert_int_equal(graph_producer_id(graph, c), 0);
    assert_int_equal(graph_producer_id(graph, e), 1);
    assert_null(graph_producer(graph, a));
    assert_true(value_is_constant(graph, w));
    assert_false(value_is_constant(graph, v));
    assert_int_equal(graph_find_value(graph, "a"), NO_VALUE);
    assert_int_equal(graph_verify(graph, NULL), STATUS_OK);
    // The names of swept values are free.
    ADD(graph, OP_RELU, "a", e);
    assert_int_equal(graph_verify(graph, NULL), STATUS_OK);
    graph_free(graph);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(replaced_values_lose_their_readers),
        cmocka_unit_test(a_replaced_output_keeps_its_name),
        cmocka_unit_test(an_output_is_not_replaced_by_an_input_or_another_output),
        cmocka_unit_test(an_inserted_node_shifts_the_later_ones),
        cmocka_unit_test(compacting_sweeps_what_no_output_needs),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
