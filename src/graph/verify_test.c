// Tests of graph_verify: each invariant is broken once in an otherwise valid graph.
#include "graph/graph_test.h"

// x, w → y = MatMul(x, w) → z = Relu(y), output z.
static Graph *valid_graph(void) {
    Graph *graph = new_graph();
    ValueId x = input(graph, "x", DTYPE_F32, "batch,4");
    ValueId w = weight(graph, "w", 4, 4);
    ValueId y = ADD(graph, OP_MATMUL, "y", x, w);
    ValueId z = ADD(graph, OP_RELU, "z", y);
    graph_set_outputs(graph, &z, 1);
    assert_int_equal(graph_verify(graph, NULL), STATUS_OK);
    return graph;
}

enum { X, W, Y, Z };

static void assert_rejected(Graph *graph, const char *part) {
    Error error = {0};
    assert_int_equal(graph_verify(graph, &error), STATUS_INVALID);
    if (!strstr(error.message, part))
        fail_msg("\"%s\" lacks \"%s\"", error.message, part);
    graph_free(graph);
}

static void nodes_out_of_order_are_rejected(void **state) {
    (void)state;
    Graph *graph = valid_graph();
    graph->nodes[0].in[0] = Z;
    assert_rejected(graph, "node 0 \"\" (MatMul): reads %z before node 1 produces it");
    graph = valid_graph();
    graph->nodes[1].in[0] = Z;
    assert_rejected(graph, "reads %z before node 1");
}

static void reading_a_dead_nodes_value_is_rejected(void **state) {
    (void)state;
    Graph *graph = valid_graph();
    graph->nodes[0].is_dead = true;
    assert_rejected(graph, "reads %y, which nothing produces");
    graph = valid_graph();
    graph->nodes[1].is_dead = true;
    assert_rejected(graph, "output %z is not produced");
}

static void wrong_arity_is_rejected(void **state) {
    (void)state;
    Graph *graph = valid_graph();
    graph->nodes[0].n_in = 1;
    assert_rejected(graph, "has 1 inputs, the op takes 2 to 2");
    graph = valid_graph();
    graph->nodes[1].n_out = 0;
    graph->values[Z].producer = NO_NODE;
    assert_rejected(graph, "has 0 outputs");
    graph = valid_graph();
    graph->nodes[0].in[1] = NO_VALUE;
    assert_rejected(graph, "input 1 is missing");
    graph = valid_graph();
    graph->nodes[1].out[0] = NO_VALUE;
    graph->values[Z].producer = NO_NODE;
    assert_rejected(graph, "has no output");
}

static void ids_and_ops_out_of_range_are_rejected(void **state) {
    (void)state;
    Graph *graph = valid_graph();
    graph->nodes[0].in[0] = 4;
    assert_rejected(graph, "input 0 is value 4 of 4");
    graph = valid_graph();
    graph->nodes[0].in[0] = -2;
    assert_rejected(graph, "input 0 is value -2");
    graph = valid_graph();
    graph->nodes[0].out[0] = 99;
    assert_rejected(graph, "node 0 does not produce %y");
    graph = valid_graph();
    graph->nodes[0].op = OP_COUNT;
    assert_rejected(graph, "does not exist");
    graph = valid_graph();
    graph->outputs[0] = NO_VALUE;
    assert_rejected(graph, "output 0 is value -1");
}

static void two_producers_of_a_value_are_rejected(void **state) {
    (void)state;
    Graph *graph = valid_graph();
    graph->nodes[1].out[0] = Y;
    graph->outputs[0] = Y;
    graph->values[Z].producer = NO_NODE;
    assert_rejected(graph, "produces %y, which node 0 produces");
    graph = valid_graph();
    graph->nodes[1].out[0] = W;
    graph->values[Z].producer = NO_NODE;
    assert_rejected(graph, "produces %w, which is an input or constant");
    graph = new_graph();
    ValueId x = input(graph, "x", DTYPE_F32, "4");
    const char *names[2] = {"a", "b"};
    graph_add_node_n(graph, OP_SPLIT, "", &x, 1, names, 2);
    graph->nodes[0].out[1] = graph->nodes[0].out[0];
    graph->values[2].producer = NO_NODE;
    assert_rejected(graph, "produces %a twice");
}

static void names_are_unique(void **state) {
    (void)state;
    Graph *graph = valid_graph();
    graph->values[X].name = "y";
    assert_rejected(graph, "two values are named %y");
    graph = valid_graph();
    graph->values[X].name = "";
    assert_rejected(graph, "value 0 has no name");
    graph = valid_graph();
    graph_set_int(graph, 0, "a", 1);
    graph_set_int(graph, 0, "b", 1);
    graph->nodes[0].attrs[1].name = "a";
    assert_rejected(graph, "has attribute a twice");
}

static void constants_need_bytes_that_fit_their_shape(void **state) {
    (void)state;
    Graph *graph = valid_graph();
    graph->values[W].data_size = 60;
    assert_rejected(graph, "constant %w has 60 bytes, its shape needs 64");
    graph = valid_graph();
    graph->values[W].file = NULL;
    assert_rejected(graph, "neither data nor a file");
    graph = valid_graph();
    graph->values[W].dtype = DTYPE_STRING;
    assert_rejected(graph, "has type string");
    graph = valid_graph();
    graph->values[W].dims[0].size = INT64_MAX;
    assert_rejected(graph, "is too large");
}

static void inputs_are_listed_once_each(void **state) {
    (void)state;
    Graph *graph = valid_graph();
    graph->n_inputs = 0;
    assert_rejected(graph, "1 input values, but 0 inputs");
    graph = valid_graph();
    graph->inputs[0] = W;
    assert_rejected(graph, "which is no input");
    graph = valid_graph();
    ValueId second = input(graph, "second", DTYPE_F32, "1");
    (void)second;
    graph->inputs[1] = X;
    assert_rejected(graph, "input %x is listed twice");
}

static void an_error_may_be_left_out(void **state) {
    (void)state;
    Graph *graph = valid_graph();
    graph->nodes[0].n_in = 1;
    assert_int_equal(graph_verify(graph, NULL), STATUS_INVALID);
    graph_free(graph);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(nodes_out_of_order_are_rejected),
        cmocka_unit_test(reading_a_dead_nodes_value_is_rejected),
        cmocka_unit_test(wrong_arity_is_rejected),
        cmocka_unit_test(ids_and_ops_out_of_range_are_rejected),
        cmocka_unit_test(two_producers_of_a_value_are_rejected),
        cmocka_unit_test(names_are_unique),
        cmocka_unit_test(constants_need_bytes_that_fit_their_shape),
        cmocka_unit_test(inputs_are_listed_once_each),
        cmocka_unit_test(an_error_may_be_left_out),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
