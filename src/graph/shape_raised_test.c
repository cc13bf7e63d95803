// Tests of shape inference over raised ops, padded and ragged, and under lack of memory.
#include "graph/graph_test.h"

static void linear_joins_parts_and_checks_weights(void **state) {
    (void)state;
    Graph *graph = new_graph();
    ValueId x = input(graph, "x", DTYPE_F32, "batch,sequence,8");
    ValueId w = weight(graph, "w", 16, 8);
    ValueId v = weight(graph, "v", 4, 8);
    ValueId b = weight(graph, "b", 16, 0);
    ValueId y = ADD(graph, OP_LINEAR, "y", x, NO_VALUE, w, b, v, NO_VALUE);
    NodeId node = graph_producer_id(graph, y);
    graph_set_int(graph, node, "parts", 2);
    graph_set_int(graph, node, "transposed", 1);
    infer(graph);
    assert_shape(graph, y, "float32[batch, sequence, 20]");
    graph_set_int(graph, node, "transposed", 0);
    Error error;
    assert_int_equal(graph_infer_shapes(graph, &error), STATUS_INVALID);
    assert_non_null(strstr(error.message, "weight %w takes width 16, the input has 8"));
    graph_set_int(graph, node, "parts", 3);
    assert_infer_fails(graph, "6 inputs for 3 parts");
    graph = new_graph();
    x = input(graph, "x", DTYPE_F32, "T,8");
    ADD(graph, OP_LINEAR, "y", x, NO_VALUE, weight(graph, "w", 8, 4), weight(graph, "b", 5, 0));
    assert_infer_fails(graph, "bias %b does not fit");
    graph = new_graph();
    x = input(graph, "x", DTYPE_F32, "T,8");
    ADD(graph, OP_LINEAR, "y", x, x, weight(graph, "w", 8, 4), NO_VALUE);
    assert_infer_fails(graph, "residual %x");
}

static void attention_checks_columns(void **state) {
    (void)state;
    Graph *graph = new_graph();
    ValueId qkv = input(graph, "qkv", DTYPE_F32, "batch,sequence,24");
    ValueId y = ADD(graph, OP_ATTENTION, "y", qkv, qkv, qkv);
    NodeId node = graph_producer_id(graph, y);
    graph_set_int(graph, node, "heads", 2);
    graph_set_int(graph, node, "kv_heads", 2);
    graph_set_int(graph, node, "head_dim", 4);
    graph_set_int(graph, node, "k_offset", 8);
    graph_set_int(graph, node, "v_offset", 16);
    infer(graph);
    assert_shape(graph, y, "float32[batch, sequence, 8]");
    graph_set_int(graph, node, "v_offset", 17);
    assert_infer_fails(graph, "2 heads of 4 from column 17 on exceed %qkv");
    graph = new_graph();
    qkv = input(graph, "qkv", DTYPE_F32, "T,24");
    ADD(graph, OP_ATTENTION, "y", qkv, qkv, qkv);
    assert_infer_fails(graph, "heads 0");
}

// input_ids → PACK → EMBED → LAYER_NORM → SELECT_FIRST and UNPACK.
static void the_ragged_form_counts_tokens_and_sequences(void **state) {
    (void)state;
    Graph *graph = new_graph();
    ValueId ids = input(graph, "ids", DTYPE_I64, "batch,sequence");
    ValueId mask = input(graph, "mask", DTYPE_I64, "batch,sequence");
    const char *names[5] = {"tokens", "types", "positions", "columns", "cu_seqlens"};
    graph_add_node_n(graph, OP_PACK, "", IDS(ids, mask, NO_VALUE), 3, names, 5);
    ValueId tokens = graph_find_value(graph, "tokens");
    ValueId positions = graph_find_value(graph, "positions");
    ValueId columns = graph_find_value(graph, "columns");
    ValueId cu_seqlens = graph_find_value(graph, "cu_seqlens");
    ValueId words = weight(graph, "words", 100, 8);
    ValueId places = weight(graph, "places", 16, 8);
    ValueId x = ADD(graph, OP_EMBED, "x", tokens, words, positions, places);
    ValueId norm = ADD(graph, OP_LAYER_NORM, "norm", x, weight(graph, "scale", 8, 0));
    ValueId gelu = ADD(graph, OP_ACTIVATE, "gelu", norm);
    ValueId part = ADD(graph, OP_COLUMNS, "part", gelu);
    graph_set_int(graph, graph_producer_id(graph, part), "begin", 2);
    graph_set_int(graph, graph_producer_id(graph, part), "end", 3);
    ValueId first = ADD(graph, OP_SELECT_FIRST, "first", gelu, cu_seqlens);
    ValueId out = ADD(graph, OP_UNPACK, "out", gelu, columns, cu_seqlens, ids);
    ValueId flat = ADD(graph, OP_UNPACK, "flat", part, columns, cu_seqlens, ids);
    graph_set_int(graph, graph_producer_id(graph, flat), "squeeze", 1);
    infer(graph);
    assert_shape(graph, tokens, "int32[T]");
    assert_shape(graph, cu_seqlens, "int32[B+1]");
    assert_shape(graph, gelu, "float32[T, 8]");
    assert_shape(graph, part, "float32[T, 1]");
    assert_shape(graph, first, "float32[B, 8]");
    assert_shape(graph, out, "float32[batch, sequence, 8]");
    assert_shape(graph, flat, "float32[batch, sequence]");
    graph_set_int(graph, graph_producer_id(graph, part), "end", 9);
    assert_infer_fails(graph, "columns 2 to 9 of %gelu");
}

static void embed_broadcasts_ids_of_the_padded_form(void **state) {
    (void)state;
    Graph *graph = new_graph();
    ValueId ids = input(graph, "ids", DTYPE_I64, "batch,sequence");
    ValueId positions = input(graph, "positions", DTYPE_I64, "1,sequence");
    ValueId words = weight(graph, "words", 100, 8);
    ValueId x = ADD(graph, OP_EMBED, "x", positions, words, ids, words);
    infer(graph);
    assert_shape(graph, x, "float32[batch, sequence, 8]");
    ADD(graph, OP_EMBED, "y", ids, words, ids, weight(graph, "narrow", 100, 7));
    assert_infer_fails(graph, "table %narrow");
}

// Shape arithmetic of every kind in one graph.
static Status infer_everything(void) {
    Graph *graph;
    TRY(graph_new(&graph, NULL));
    ValueId x = input(graph, "x", DTYPE_F32, "batch,sequence,8");
    ValueId shape = ADD(graph, OP_SHAPE, "shape", x);
    ValueId lead =
        ADD(graph, OP_SLICE, "lead", shape, I64S(graph, "from", 0), I64S(graph, "to", 2));
    ValueId b = ADD(graph, OP_GATHER, "b", shape, I64S(graph, "zero", 0));
    ValueId s = ADD(graph, OP_GATHER, "s", shape, I64S(graph, "one", 1));
    ValueId tokens = ADD(graph, OP_MUL, "tokens", b, s);
    ValueId target = ADD(graph, OP_CONCAT, "target", tokens, I64S(graph, "eight", 8));
    graph_set_int(graph, graph_producer_id(graph, target), "axis", 0);
    ValueId flat = ADD(graph, OP_RESHAPE, "flat", x, target);
    ValueId longer = ADD(graph, OP_ADD, "longer", s, I64S(graph, "two", 2));
    ValueId expand = ADD(graph, OP_EXPAND, "expand", scalar(graph, "nil", 0), longer);
    ValueId equal = ADD(graph, OP_EQUAL, "equal", lead, lead);
    ValueId kept = ADD(graph, OP_WHERE, "kept", equal, lead, lead);
    ValueId back = ADD(graph, OP_CONCAT, "back", kept, I64S(graph, "rest", -1));
    graph_set_int(graph, graph_producer_id(graph, back), "axis", 0);
    ValueId y = ADD(graph, OP_RESHAPE, "y", flat, back);
    graph_set_outputs(graph, IDS(y, expand), 2);
    Status status = graph_status(graph, NULL);
    if (status == STATUS_OK)
        status = graph_infer_shapes(graph, NULL);
    mem_fail_after(0);
    // Success means that nothing was left out for lack of memory.
    if (status == STATUS_OK) {
        assert_shape(graph, y, "float32[batch, sequence, 8]");
        assert_shape(graph, flat, "float32[batch*sequence, 8]");
        assert_shape(graph, expand, "int64[sequence+2]");
    }
    graph_free(graph);
    return status;
}

static void every_failed_allocation_is_reported(void **state) {
    (void)state;
    size_t n = 1;
    for (;; n++) {
        mem_fail_after(n);
        Status status = infer_everything();
        mem_fail_after(0);
        if (status == STATUS_OK)
            break;
        assert_int_equal(status, STATUS_OUT_OF_MEMORY);
    }
    assert_true(n > 5);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(linear_joins_parts_and_checks_weights),
        cmocka_unit_test(attention_checks_columns),
        cmocka_unit_test(the_ragged_form_counts_tokens_and_sequences),
        cmocka_unit_test(embed_broadcasts_ids_of_the_padded_form),
        cmocka_unit_test(every_failed_allocation_is_reported),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
