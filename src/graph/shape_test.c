// Tests of shape inference over ONNX ops: dims keep their names through shape arithmetic, and
// violated rules are named.
#include "graph/graph_test.h"

static void elementwise_ops_broadcast(void **state) {
    (void)state;
    static const struct {
        const char *a, *b, *out;
    } cases[] = {
        {"2,3", "3", "float32[2, 3]"},
        {"2,1", "1,3", "float32[2, 3]"},
        {"", "batch,4", "float32[batch, 4]"},
        {"batch,1,1,sequence", "batch,12,sequence,sequence",
         "float32[batch, 12, sequence, sequence]"},
        {"batch,1", "batch,sequence", "float32[batch, sequence]"},
        {"n,4", "8,4", "float32[8, 4]"},
        {"n", "m", "float32[?]"},
        {"?", "1", "float32[?]"},
        {"0", "1", "float32[0]"},
        {"2,3", NULL, "float32[...]"},
    };
    for (int i = 0; i < COUNT_OF(cases); i++) {
        Graph *graph = new_graph();
        ValueId a = input(graph, "a", DTYPE_F32, cases[i].a);
        ValueId b = input(graph, "b", DTYPE_F32, cases[i].b);
        ValueId sum = ADD(graph, OP_ADD, "sum", a, b);
        ValueId equal = ADD(graph, OP_EQUAL, "equal", b, a);
        infer(graph);
        assert_shape(graph, sum, cases[i].out);
        assert_int_equal(graph->values[equal].dtype, DTYPE_BOOL);
        graph_free(graph);
    }
}

static void operands_that_do_not_fit_are_named(void **state) {
    (void)state;
    Graph *graph = new_graph();
    ValueId a = input(graph, "a", DTYPE_F32, "2,3");
    ValueId b = input(graph, "b", DTYPE_F32, "4");
    const char *name = "y";
    graph_add_node_n(graph, OP_ADD, "/layer/Add", IDS(a, b), 2, &name, 1);
    assert_infer_fails(graph, "node 0 \"/layer/Add\" (Add): 3 and 4 in dim -1");
    graph = new_graph();
    a = input(graph, "a", DTYPE_F32, "2");
    b = input(graph, "b", DTYPE_I64, "2");
    ADD(graph, OP_MUL, "y", a, b);
    assert_infer_fails(graph, "%a is float32, %b is int64");
    graph = new_graph();
    a = input(graph, "a", DTYPE_F32, "2");
    ADD(graph, OP_NOT, "y", a);
    assert_infer_fails(graph, "not bool");
    graph = new_graph();
    a = input(graph, "a", DTYPE_F32, "2");
    ADD(graph, OP_WHERE, "y", a, a, a);
    assert_infer_fails(graph, "not bool");
}

static void where_and_cast_set_types(void **state) {
    (void)state;
    Graph *graph = new_graph();
    ValueId mask = input(graph, "mask", DTYPE_I64, "batch,1,1,sequence");
    ValueId low = input(graph, "low", DTYPE_F32, "");
    ValueId scores = input(graph, "scores", DTYPE_F32, "batch,2,sequence,sequence");
    ValueId cast = ADD(graph, OP_CAST, "cast", mask);
    graph_set_int(graph, graph_producer_id(graph, cast), "to", 9);
    ValueId out = ADD(graph, OP_WHERE, "out", cast, scores, low);
    infer(graph);
    assert_shape(graph, cast, "bool[batch, 1, 1, sequence]");
    assert_shape(graph, out, "float32[batch, 2, sequence, sequence]");
    graph_set_int(graph, graph_producer_id(graph, cast), "to", 99);
    assert_infer_fails(graph, "cannot cast to ONNX type 99");
}

static void matmul_follows_numpy(void **state) {
    (void)state;
    static const struct {
        const char *a, *b, *out;
    } cases[] = {
        {"batch,sequence,8", "8,16", "float32[batch, sequence, 16]"},
        {"b,12,s,64", "b,12,64,s", "float32[b, 12, s, s]"},
        {"5,1,2,3", "4,3,7", "float32[5, 4, 2, 7]"},
        {"3", "3,4", "float32[4]"},
        {"b,4,3", "3", "float32[b, 4]"},
        {"3", "3", "float32[]"},
        {"3", NULL, "float32[...]"},
    };
    for (int i = 0; i < COUNT_OF(cases); i++) {
        Graph *graph = new_graph();
        ValueId a = input(graph, "a", DTYPE_F32, cases[i].a);
        ValueId b = input(graph, "b", DTYPE_F32, cases[i].b);
        ValueId product = ADD(graph, OP_MATMUL, "product", a, b);
        infer(graph);
        assert_shape(graph, product, cases[i].out);
        graph_free(graph);
    }
    Graph *graph = new_graph();
    ADD(graph, OP_MATMUL, "y", input(graph, "a", DTYPE_F32, "2,3"), weight(graph, "w", 4, 5));
    assert_infer_fails(graph, "%a has 3 columns, %w has 4 rows");
}

static void same_shaped_ops_check_axis_and_width(void **state) {
    (void)state;
    Graph *graph = new_graph();
    ValueId x = input(graph, "x", DTYPE_F32, "batch,sequence,8");
    ValueId scale = weight(graph, "scale", 8, 0);
    ValueId soft = ADD(graph, OP_SOFTMAX, "soft", x);
    const char *names[3] = {"norm", "mean", "deviation"};
    graph_add_node_n(graph, OP_LAYER_NORMALIZATION, "", IDS(x, scale), 2, names, 3);
    infer(graph);
    assert_shape(graph, soft, "float32[batch, sequence, 8]");
    assert_shape(graph, graph_find_value(graph, "norm"), "float32[batch, sequence, 8]");
    assert_shape(graph, graph_find_value(graph, "mean"), "float32[batch, sequence, 1]");
    graph_set_int(graph, graph_producer_id(graph, soft), "axis", 3);
    assert_infer_fails(graph, "axis 3 is outside of rank 3");
    graph = new_graph();
    x = input(graph, "x", DTYPE_F32, "2,8");
    ADD(graph, OP_LAYER_NORMALIZATION, "y", x, weight(graph, "scale", 7, 0));
    assert_infer_fails(graph, "%scale has width 7, the input 8");
    graph = new_graph();
    x = input(graph, "x", DTYPE_I64, "2,8");
    ADD(graph, OP_CUMSUM, "y", x, scalar(graph, "axis", 2));
    assert_infer_fails(graph, "axis 2 is outside");
}

static void transpose_permutes_and_reverses(void **state) {
    (void)state;
    Graph *graph = new_graph();
    const int64_t perm[4] = {0, 2, 1, 3};
    const int64_t twice[4] = {0, 2, 2, 3};
    ValueId x = input(graph, "x", DTYPE_F32, "batch,sequence,12,64");
    ValueId a = ADD(graph, OP_TRANSPOSE, "a", x);
    ValueId b = ADD(graph, OP_TRANSPOSE, "b", x);
    graph_set_ints(graph, graph_producer_id(graph, b), "perm", perm, 4);
    infer(graph);
    assert_shape(graph, a, "float32[64, 12, sequence, batch]");
    assert_shape(graph, b, "float32[batch, 12, sequence, 64]");
    graph_set_ints(graph, graph_producer_id(graph, b), "perm", twice, 4);
    assert_infer_fails(graph, "not a permutation");
}

static void reshape_divides_by_names_and_numbers(void **state) {
    (void)state;
    static const struct {
        const char *in;
        int64_t shape[4];
        int rank;
        const char *out;
    } cases[] = {
        {"batch,sequence,768", {0, 0, 12, 64}, 4, "float32[batch, sequence, 12, 64]"},
        {"batch,sequence,768", {0, 0, -1, 64}, 4, "float32[batch, sequence, 12, 64]"},
        {"batch,sequence,768", {0, -1, 12, 64}, 4, "float32[batch, sequence, 12, 64]"},
        {"batch,sequence,12,64", {0, 0, -1}, 3, "float32[batch, sequence, 768]"},
        {"batch,sequence,768", {-1, 768}, 2, "float32[batch*sequence, 768]"},
        {"batch,sequence,6", {-1, 4}, 2, "float32[?, 4]"},
        {"?,?,6", {0, 0, 3, 2}, 4, "float32[?, ?, 3, 2]"},
        {"2,3,4", {-1}, 1, "float32[24]"},
        {"2,12", {4, -1, 3}, 3, "float32[4, 2, 3]"},
        {"1", {0}, 0, "float32[]"},
        {"0,3", {0, -1}, 2, "float32[0, 3]"},
        {NULL, {0, -1, 3}, 3, "float32[?, ?, 3]"},
    };
    for (int i = 0; i < COUNT_OF(cases); i++) {
        Graph *graph = new_graph();
        ValueId x = input(graph, "x", DTYPE_F32, cases[i].in);
        ValueId shape = graph_add_i64(graph, "shape", cases[i].shape, (size_t)cases[i].rank, 1);
        ValueId y = ADD(graph, OP_RESHAPE, "y", x, shape);
        infer(graph);
        assert_shape(graph, y, cases[i].out);
        graph_free(graph);
    }
}

static void reshapes_that_do_not_divide_are_rejected(void **state) {
    (void)state;
    static const struct {
        const char *in;
        int64_t shape[3];
        const char *part;
    } cases[] = {
        {"2,3,4", {-1, 5, 1}, "cannot be divided"},
        {"2,3,4", {2, 3, 2}, "2 times as many"},
        {"2,3,4", {4, 4, 3}, "cannot be divided"},
        {"batch,7", {0, 2, -1}, "cannot be divided"},
        {"2,3,4", {-1, -1, 4}, "-1 twice"},
        {"2,3,4", {2, -2, 4}, "has dim -2"},
        {"6,4", {6, 4, 0}, "dim 2 copies a dim that the input lacks"},
        {"batch,12", {0, 3, 1}, "4 times as many"},
    };
    for (int i = 0; i < COUNT_OF(cases); i++) {
        Graph *graph = new_graph();
        ValueId x = input(graph, "x", DTYPE_F32, cases[i].in);
        ValueId shape = graph_add_i64(graph, "shape", cases[i].shape, 3, 1);
        ADD(graph, OP_RESHAPE, "y", x, shape);
        assert_infer_fails(graph, cases[i].part);
    }
}

// What exporters write for x.view(x.size(0), x.size(1), 12, 64).
static void names_survive_shape_gather_concat_reshape(void **state) {
    (void)state;
    Graph *graph = new_graph();
    ValueId x = input(graph, "x", DTYPE_F32, "batch,sequence,768");
    ValueId shape = ADD(graph, OP_SHAPE, "shape", x);
    ValueId axes = I64S(graph, "axes", 0);
    ValueId b = ADD(graph, OP_GATHER, "b", shape, scalar(graph, "zero", 0));
    ValueId s = ADD(graph, OP_GATHER, "s", shape, scalar(graph, "one", 1));
    ValueId bs = ADD(graph, OP_UNSQUEEZE, "bs", b, axes);
    ValueId ss = ADD(graph, OP_UNSQUEEZE, "ss", s, axes);
    ValueId heads = I64S(graph, "heads", 12, 64);
    ValueId target = ADD(graph, OP_CONCAT, "target", bs, ss, heads);
    graph_set_int(graph, graph_producer_id(graph, target), "axis", 0);
    ValueId y = ADD(graph, OP_RESHAPE, "y", x, target);
    // And back: view(size(0), -1, 768).
    ValueId back = ADD(graph, OP_CONCAT, "back", bs, I64S(graph, "rest", -1, 768));
    graph_set_int(graph, graph_producer_id(graph, back), "axis", 0);
    ValueId z = ADD(graph, OP_RESHAPE, "z", y, back);
    infer(graph);
    assert_shape(graph, shape, "int64[3]");
    assert_shape(graph, s, "int64[]");
    assert_shape(graph, target, "int64[4]");
    assert_shape(graph, y, "float32[batch, sequence, 12, 64]");
    assert_shape(graph, z, "float32[batch, sequence, 768]");
    graph_free(graph);
}

static void names_survive_slice_squeeze_arithmetic_and_split(void **state) {
    (void)state;
    Graph *graph = new_graph();
    ValueId x = input(graph, "x", DTYPE_F32, "batch,sequence,768");
    ValueId shape = ADD(graph, OP_SHAPE, "shape", x);
    ValueId lead = ADD(graph, OP_SLICE, "lead", shape, I64S(graph, "from", 0), I64S(graph, "to", 2),
                       I64S(graph, "axis0", 0));
    const char *names[3] = {"p", "q", "r"};
    NodeId split = graph_add_node_n(graph, OP_SPLIT, "", &shape, 1, names, 3);
    graph_set_int(graph, split, "axis", 0);
    ValueId width = graph_find_value(graph, "r");
    ValueId head_dim = ADD(graph, OP_DIV, "head_dim", width, I64S(graph, "twelve", 12));
    ValueId heads = ADD(graph, OP_DIV, "heads", width, head_dim);
    ValueId target = ADD(graph, OP_CONCAT, "target", lead, heads, head_dim);
    graph_set_int(graph, graph_producer_id(graph, target), "axis", 0);
    ValueId y = ADD(graph, OP_RESHAPE, "y", x, target);
    // batch * sequence, computed.
    ValueId batch = graph_find_value(graph, "p");
    ValueId tokens = ADD(graph, OP_MUL, "tokens", graph_find_value(graph, "q"), batch);
    ValueId flat_shape = ADD(graph, OP_CONCAT, "flat_shape", tokens, width);
    graph_set_int(graph, graph_producer_id(graph, flat_shape), "axis", -1);
    ValueId flat = ADD(graph, OP_RESHAPE, "flat", x, flat_shape);
    ValueId again = ADD(graph, OP_RESHAPE, "again", flat, target);
    infer(graph);
    assert_shape(graph, y, "float32[batch, sequence, 12, 64]");
    assert_shape(graph, flat, "float32[batch*sequence, 768]");
    assert_shape(graph, again, "float32[batch, sequence, 12, 64]");
    graph_free(graph);
}

// mask.expand(size) as exported: -1 stands for "keep", replaced through Equal and Where.
static void names_survive_equal_where_expand(void **state) {
    (void)state;
    Graph *graph = new_graph();
    ValueId mask = input(graph, "mask", DTYPE_I64, "batch,sequence");
    ValueId wide = ADD(graph, OP_UNSQUEEZE, "wide", mask, I64S(graph, "axes", 1, 2));
    ValueId shape = ADD(graph, OP_SHAPE, "shape", mask);
    ValueId b = ADD(graph, OP_GATHER, "b", shape, I64S(graph, "zero", 0));
    ValueId s = ADD(graph, OP_GATHER, "s", shape, I64S(graph, "one", -1));
    ValueId wanted = ADD(graph, OP_CONCAT, "wanted", b, I64S(graph, "keep", -1), s, s);
    graph_set_int(graph, graph_producer_id(graph, wanted), "axis", 0);
    ValueId is_kept = ADD(graph, OP_EQUAL, "is_kept", wanted, I64S(graph, "minus", -1, -1, -1, -1));
    ValueId target =
        ADD(graph, OP_WHERE, "target", is_kept, I64S(graph, "ones", 1, 1, 1, 1), wanted);
    ValueId expanded = ADD(graph, OP_EXPAND, "expanded", wide, target);
    infer(graph);
    assert_shape(graph, wide, "int64[batch, 1, 1, sequence]");
    assert_shape(graph, expanded, "int64[batch, 1, sequence, sequence]");
    graph_free(graph);
}

static void ranges_and_position_tables_take_the_names_length(void **state) {
    (void)state;
    Graph *graph = new_graph();
    ValueId ids = input(graph, "ids", DTYPE_I64, "batch,sequence");
    ValueId cache = input(graph, "cache", DTYPE_F32, "batch,12,past,64");
    ValueId table = input(graph, "table", DTYPE_I64, "1,512");
    ValueId shape = ADD(graph, OP_SHAPE, "shape", ids);
    graph_set_int(graph, graph_producer_id(graph, shape), "start", -1);
    ValueId s = ADD(graph, OP_SQUEEZE, "s", shape);
    ValueId zero = scalar(graph, "zero", 0);
    ValueId one = scalar(graph, "one", 1);
    ValueId range = ADD(graph, OP_RANGE, "range", zero, s, one);
    ValueId cut =
        ADD(graph, OP_SLICE, "cut", table, I64S(graph, "from", 0), shape, I64S(graph, "axes", 1));
    ValueId past_shape = ADD(graph, OP_SHAPE, "past_shape", cache);
    ValueId past = ADD(graph, OP_GATHER, "past", past_shape, scalar(graph, "two", 2));
    ValueId total = ADD(graph, OP_ADD, "total", past, s);
    ValueId positions = ADD(graph, OP_RANGE, "positions", past, total, one);
    ValueId more = ADD(graph, OP_RANGE, "more", zero, ADD(graph, OP_ADD, "next", s, one), one);
    ValueId odd =
        ADD(graph, OP_RANGE, "odd", scalar(graph, "nine", 9), one, scalar(graph, "minus", -3));
    infer(graph);
    assert_shape(graph, range, "int64[sequence]");
    assert_shape(graph, cut, "int64[1, sequence]");
    assert_shape(graph, positions, "int64[sequence]");
    assert_shape(graph, more, "int64[sequence+1]");
    assert_shape(graph, odd, "int64[3]");
    graph_free(graph);
}

static void squeeze_and_unsqueeze_check_their_axes(void **state) {
    (void)state;
    Graph *graph = new_graph();
    ValueId x = input(graph, "x", DTYPE_F32, "batch,1,8,1");
    ValueId a = ADD(graph, OP_SQUEEZE, "a", x, I64S(graph, "axes", -1));
    ValueId b = ADD(graph, OP_UNSQUEEZE, "b", a, I64S(graph, "more", 0, -1));
    ValueId c = ADD(graph, OP_SQUEEZE, "c", input(graph, "fixed", DTYPE_F32, "1,4,1"));
    ValueId d = ADD(graph, OP_SQUEEZE, "d", x);
    ValueId e = ADD(graph, OP_SQUEEZE, "e", x, input(graph, "late", DTYPE_I64, "1"));
    infer(graph);
    assert_shape(graph, a, "float32[batch, 1, 8]");
    assert_shape(graph, b, "float32[1, batch, 1, 8, 1]");
    assert_shape(graph, c, "float32[4]");
    assert_shape(graph, d, "float32[...]");
    assert_shape(graph, e, "float32[...]");
    ADD(graph, OP_SQUEEZE, "f", x, I64S(graph, "bad", 2));
    assert_infer_fails(graph, "axis 2 of %x has size 8");
    graph = new_graph();
    x = input(graph, "x", DTYPE_F32, "8");
    ADD(graph, OP_UNSQUEEZE, "y", x, I64S(graph, "axes", 0, 0));
    assert_infer_fails(graph, "axis 0 is named twice");
}

static void gather_replaces_its_axis(void **state) {
    (void)state;
    Graph *graph = new_graph();
    ValueId table = weight(graph, "table", 100, 8);
    ValueId ids = input(graph, "ids", DTYPE_I64, "batch,sequence");
    ValueId x = ADD(graph, OP_GATHER, "x", table, ids);
    ValueId first = ADD(graph, OP_GATHER, "first", x, scalar(graph, "zero", 0));
    graph_set_int(graph, graph_producer_id(graph, first), "axis", 1);
    infer(graph);
    assert_shape(graph, x, "float32[batch, sequence, 8]");
    assert_shape(graph, first, "float32[batch, 8]");
    ADD(graph, OP_GATHER, "bad", table, scalar(graph, "past", 100));
    assert_infer_fails(graph, "index 100 is outside of 100");
    graph = new_graph();
    ADD(graph, OP_GATHER, "y", weight(graph, "t", 2, 2), weight(graph, "i", 2, 2));
    assert_infer_fails(graph, "%i must be int32 or int64, not float32");
}

static void slices_clamp_as_onnx_says(void **state) {
    (void)state;
    static const struct {
        const char *in;
        int64_t start, end, step;
        const char *out;
    } cases[] = {
        {"10", 2, 5, 1, "float32[3]"},
        {"10", 2, INT64_MAX, 3, "float32[3]"},
        {"10", -3, 100, 1, "float32[3]"},
        {"10", 0, -1, 1, "float32[9]"},
        {"10", -1, INT64_MIN, -1, "float32[10]"},
        {"10", 8, 2, -2, "float32[3]"},
        {"10", 100, INT64_MIN, INT64_MIN, "float32[1]"},
        {"10", INT64_MIN, INT64_MAX, INT64_MAX, "float32[1]"},
        {"10", 5, 5, 1, "float32[0]"},
        {"0", 0, 9, 1, "float32[0]"},
        {"0", 0, 9, -1, "float32[0]"},
        {"n", 0, INT64_MAX, 1, "float32[n]"},
        {"n", 0, INT32_MAX, 1, "float32[n]"},
        {"n", 0, 1, 1, "float32[?]"},
        {"n", 1, INT64_MAX, 1, "float32[?]"},
        {"n", -1, INT64_MAX, 1, "float32[?]"},
        {"n", 0, -1, 1, "float32[?]"},
    };
    for (int i = 0; i < COUNT_OF(cases); i++) {
        Graph *graph = new_graph();
        ValueId x = input(graph, "x", DTYPE_F32, cases[i].in);
        ValueId start = I64S(graph, "start", cases[i].start);
        ValueId end = I64S(graph, "end", cases[i].end);
        ValueId step = I64S(graph, "step", cases[i].step);
        ValueId y = ADD(graph, OP_SLICE, "y", x, start, end, NO_VALUE, step);
        infer(graph);
        assert_shape(graph, y, cases[i].out);
        graph_free(graph);
    }
    Graph *graph = new_graph();
    ValueId x = input(graph, "x", DTYPE_F32, "10");
    ADD(graph, OP_SLICE, "y", x, I64S(graph, "a", 0), I64S(graph, "b", 1), NO_VALUE,
        I64S(graph, "c", 0));
    assert_infer_fails(graph, "step 0");
    graph = new_graph();
    x = input(graph, "x", DTYPE_F32, "10");
    ADD(graph, OP_SLICE, "y", x, I64S(graph, "a", 0), I64S(graph, "b", 1, 2));
    assert_infer_fails(graph, "differ in length");
}

static void concat_adds_up_and_split_takes_apart(void **state) {
    (void)state;
    Graph *graph = new_graph();
    ValueId past = input(graph, "past_key", DTYPE_F32, "batch,12,past,64");
    ValueId key = input(graph, "key", DTYPE_F32, "batch,12,sequence,64");
    ValueId all = ADD(graph, OP_CONCAT, "all", past, key);
    graph_set_int(graph, graph_producer_id(graph, all), "axis", -2);
    ValueId x = input(graph, "x", DTYPE_F32, "batch,sequence,7");
    const char *parts[3] = {"a", "b", "c"};
    NodeId split = graph_add_node_n(graph, OP_SPLIT, "", IDS(x), 1, parts, 3);
    graph_set_int(graph, split, "axis", -1);
    const char *given[2] = {"d", "e"};
    split = graph_add_node_n(graph, OP_SPLIT, "", IDS(x, I64S(graph, "sizes", 3, 4)), 2, given, 2);
    graph_set_int(graph, split, "axis", 2);
    infer(graph);
    assert_shape(graph, all, "float32[batch, 12, past+sequence, 64]");
    assert_shape(graph, graph_find_value(graph, "a"), "float32[batch, sequence, 3]");
    assert_shape(graph, graph_find_value(graph, "c"), "float32[batch, sequence, 1]");
    assert_shape(graph, graph_find_value(graph, "d"), "float32[batch, sequence, 3]");
    assert_shape(graph, graph_find_value(graph, "e"), "float32[batch, sequence, 4]");
    split = graph_add_node_n(graph, OP_SPLIT, "", IDS(x, I64S(graph, "bad", 3, 5)), 2,
                             (const char *const[]){"f", "g"}, 2);
    graph_set_int(graph, split, "axis", 2);
    assert_infer_fails(graph, "sizes add up to 8 of 7");
    graph = new_graph();
    ValueId y = ADD(graph, OP_CONCAT, "y", input(graph, "p", DTYPE_F32, "2,3"),
                    input(graph, "q", DTYPE_F32, "2,4"));
    assert_infer_fails(graph, "attribute axis is missing");
    graph = new_graph();
    y = ADD(graph, OP_CONCAT, "y", input(graph, "p", DTYPE_F32, "2,3"),
            input(graph, "q", DTYPE_F32, "2,4"));
    graph_set_int(graph, graph_producer_id(graph, y), "axis", 0);
    assert_infer_fails(graph, "%q has 4 in dim 1, not 3");
}

static void a_shape_of_known_length_gives_a_rank(void **state) {
    (void)state;
    Graph *graph = new_graph();
    ValueId x = input(graph, "x", DTYPE_F32, "1,8");
    ValueId target = input(graph, "target", DTYPE_I64, "3");
    ValueId any = input(graph, "any", DTYPE_I64, "n");
    ValueId a = ADD(graph, OP_RESHAPE, "a", x, target);
    ValueId b = ADD(graph, OP_EXPAND, "b", x, target);
    ValueId c = ADD(graph, OP_RESHAPE, "c", x, any);
    infer(graph);
    assert_shape(graph, a, "float32[?, ?, ?]");
    assert_shape(graph, b, "float32[?, ?, 8]");
    assert_shape(graph, c, "float32[...]");
    graph_free(graph);
}

static void inferring_again_gives_the_same_and_does_not_grow(void **state) {
    (void)state;
    Graph *graph = new_graph();
    ValueId x = input(graph, "x", DTYPE_F32, "batch,sequence,8");
    ValueId flat = ADD(graph, OP_RESHAPE, "flat", x, I64S(graph, "shape", -1, 8));
    infer(graph);
    size_t total = graph->arena.total;
    for (int i = 0; i < 10; i++)
        infer(graph);
    assert_int_equal(graph->arena.total, total);
    assert_shape(graph, flat, "float32[batch*sequence, 8]");
    // With other input dims the old result is gone.
    graph->values[x].dims[0] = (Dim){.size = 2};
    graph->values[x].dims[1] = (Dim){.size = 3};
    infer(graph);
    assert_shape(graph, flat, "float32[6, 8]");
    graph_free(graph);
}

static void unverified_graphs_do_no_harm(void **state) {
    (void)state;
    Graph *graph = new_graph();
    ValueId x = input(graph, "x", DTYPE_F32, "2");
    ADD(graph, OP_RELU, "y", x);
    graph->nodes[0].in[0] = 77;
    assert_infer_fails(graph, "input 0 is value 77");
    graph = new_graph();
    x = input(graph, "x", DTYPE_F32, "2");
    ADD(graph, OP_RELU, "y", x);
    graph->nodes[0].out[0] = x;
    assert_infer_fails(graph, "produces %x, which is an input or constant");
    graph = new_graph();
    x = input(graph, "x", DTYPE_F32, "1,1,1,1,1,1,1,1");
    ADD(graph, OP_UNSQUEEZE, "y", x, I64S(graph, "axes", 0));
    assert_infer_fails(graph, "rank 9 is above the limit");
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(elementwise_ops_broadcast),
        cmocka_unit_test(operands_that_do_not_fit_are_named),
        cmocka_unit_test(where_and_cast_set_types),
        cmocka_unit_test(matmul_follows_numpy),
        cmocka_unit_test(same_shaped_ops_check_axis_and_width),
        cmocka_unit_test(transpose_permutes_and_reverses),
        cmocka_unit_test(reshape_divides_by_names_and_numbers),
        cmocka_unit_test(reshapes_that_do_not_divide_are_rejected),
        cmocka_unit_test(names_survive_shape_gather_concat_reshape),
        cmocka_unit_test(names_survive_slice_squeeze_arithmetic_and_split),
        cmocka_unit_test(names_survive_equal_where_expand),
        cmocka_unit_test(ranges_and_position_tables_take_the_names_length),
        cmocka_unit_test(squeeze_and_unsqueeze_check_their_axes),
        cmocka_unit_test(gather_replaces_its_axis),
        cmocka_unit_test(slices_clamp_as_onnx_says),
        cmocka_unit_test(concat_adds_up_and_split_takes_apart),
        cmocka_unit_test(a_shape_of_known_length_gives_a_rank),
        cmocka_unit_test(inferring_again_gives_the_same_and_does_not_grow),
        cmocka_unit_test(unverified_graphs_do_no_harm),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
