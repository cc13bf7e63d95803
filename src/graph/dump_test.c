// Tests of the text form.
#include "graph/graph_test.h"

static void a_graph_reads_line_by_line(void **state) {
    (void)state;
    Graph *graph = new_graph();
    graph->name = "bert";
    ValueId ids = input(graph, "input_ids", DTYPE_I64, "batch,sequence");
    ValueId table = weight(graph, "w", 100, 8);
    ValueId shape = I64S(graph, "shape", 0, 0, 2, -1);
    const float scale = 0.125F;
    ValueId factor = graph_add_f32(graph, "scale", &scale, 1, 0);
    ValueId x = ADD(graph, OP_GATHER, "x", table, ids);
    ValueId scaled = ADD(graph, OP_MUL, "scaled", x, factor);
    ValueId y = ADD(graph, OP_RESHAPE, "y", scaled, shape);
    const char *names[2] = {"left", "right"};
    NodeId split = graph_add_node_n(graph, OP_SPLIT, "", &y, 1, names, 2);
    graph_set_int(graph, split, "axis", 2);
    ValueId attention = ADD(graph, OP_ATTENTION, "context", x, x, x, NO_VALUE);
    NodeId node = graph_producer_id(graph, attention);
    const int64_t perm[2] = {1, 0};
    graph_set_int(graph, node, "heads", 2);
    graph_set_int(graph, node, "head_dim", 4);
    graph_set_float(graph, node, "scale", 0.125F);
    graph_set_string(graph, node, "mode", "a\nb");
    graph_set_ints(graph, node, "perm", perm, 2);
    graph_set_outputs(graph, IDS(attention, graph_find_value(graph, "right")), 2);
    infer(graph);
    assert_dump(graph,
                "graph \"bert\" opset 18\n"
                "input %input_ids: int64[batch, sequence]\n"
                "const %w: float32[100, 8] (model.safetensors @64)\n"
                "const %shape: int64[4] = 0, 0, 2, -1\n"
                "const %scale: float32[] = 0.125\n"
                "%x: float32[batch, sequence, 8] = Gather(%w, %input_ids)\n"
                "%scaled: float32[batch, sequence, 8] = Mul(%x, %scale)\n"
                "%y: float32[batch, sequence, 2, 4] = Reshape(%scaled, %shape)\n"
                "%left: float32[batch, sequence, 1, 4], %right: float32[batch, sequence, 1, 4] = "
                "Split(%y) {axis=2}\n"
                "%context: float32[batch, sequence, 8] = gpux.Attention(%x, %x, %x, _) "
                "{heads=2, head_dim=4, scale=0.125, mode=\"a\\x0ab\", perm=[1, 0]}\n"
                "output %context\n"
                "output %right\n");
    graph_free(graph);
}

static void dead_nodes_and_unknown_shapes_are_shown_as_such(void **state) {
    (void)state;
    Graph *graph = new_graph();
    ValueId x = input(graph, "x", DTYPE_F32, "?,3");
    ValueId any = input(graph, "any", DTYPE_UNKNOWN, NULL);
    const float many[9] = {0};
    ValueId c = graph_add_f32(graph, "c", many, 9, 1);
    (void)c;
    ADD(graph, OP_RELU, "dead", x);
    ValueId y = ADD(graph, OP_TANH, "y", any);
    graph->nodes[0].is_dead = true;
    graph_set_outputs(graph, &y, 1);
    assert_dump(graph, "graph \"\" opset 18\n"
                       "input %x: float32[?, 3]\n"
                       "input %any: unknown[...]\n"
                       "const %c: float32[9] (inline, 36 bytes)\n"
                       "%y: unknown[...] = Tanh(%any)\n"
                       "output %y\n");
    graph_free(graph);
}

static void a_full_buffer_is_reported_by_the_buffer(void **state) {
    (void)state;
    Graph *graph = new_graph();
    input(graph, "x", DTYPE_F32, "?,3");
    Buf buf = BUF_INIT(8);
    graph_dump(&buf, graph);
    assert_int_equal(buf_status(&buf, NULL), STATUS_LIMIT);
    buf_free(&buf);
    graph_free(graph);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_graph_reads_line_by_line),
        cmocka_unit_test(dead_nodes_and_unknown_shapes_are_shown_as_such),
        cmocka_unit_test(a_full_buffer_is_reported_by_the_buffer),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
