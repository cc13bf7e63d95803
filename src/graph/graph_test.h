// Helpers of this folder's tests: short ways to build graphs and to compare shapes as text.
#ifndef GPUX_GRAPH_GRAPH_TEST_H
#define GPUX_GRAPH_GRAPH_TEST_H

#include "graph/graph.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

static inline Graph *new_graph(void) {
    Graph *graph;
    assert_int_equal(graph_new(&graph, NULL), STATUS_OK);
    return graph;
}

// An input whose dims are written "batch,sequence,768"; "?" is unknown, "" a scalar, NULL no rank.
static inline ValueId input(Graph *graph, const char *name, DType dtype, const char *text) {
    Dim dims[TENSOR_MAX_RANK];
    char copy[128];
    char *rest = copy;
    int rank = 0;
    if (!text)
        return graph_add_input(graph, name, dtype, NULL, -1);
    snprintf(copy, sizeof(copy), "%s", text);
    for (char *word = strtok_r(copy, ",", &rest); word; word = strtok_r(NULL, ",", &rest)) {
        int64_t size;
        bool is_number = sv_to_i64(&size, sv(word));
        dims[rank++] = (Dim){.size = is_number ? size : -1,
                             .symbol = is_number || strcmp(word, "?") == 0 ? NULL : word};
    }
    return graph_add_input(graph, name, dtype, dims, rank);
}

#define IDS(...) ((const ValueId[]){__VA_ARGS__})
#define COUNT_OF(array) ((int)(sizeof(array) / sizeof((array)[0])))
#define ADD(graph, op, output, ...)                                                                \
    graph_add_node(graph, op, IDS(__VA_ARGS__), COUNT_OF(IDS(__VA_ARGS__)), output)
#define I64S(graph, name, ...)                                                                     \
    graph_add_i64(graph, name, (const int64_t[]){__VA_ARGS__},                                     \
                  (size_t)COUNT_OF(((const int64_t[]){__VA_ARGS__})), 1)

static inline ValueId scalar(Graph *graph, const char *name, int64_t number) {
    return graph_add_i64(graph, name, &number, 1, 0);
}

// A weight that has a file but no bytes here.
static inline ValueId weight(Graph *graph, const char *name, int64_t rows, int64_t columns) {
    int64_t shape[2] = {rows, columns};
    int rank = columns > 0 ? 2 : 1;
    size_t size = (size_t)(rows * (rank == 2 ? columns : 1)) * sizeof(float);
    return graph_add_constant(graph, name, DTYPE_F32, shape, rank, NULL, size, "model.safetensors",
                              64);
}

static inline void assert_dump(const Graph *graph, const char *expected) {
    Buf buf = BUF_INIT(1 << 20);
    graph_dump(&buf, graph);
    assert_int_equal(buf_status(&buf, NULL), STATUS_OK);
    assert_string_equal(buf.ptr, expected);
    buf_free(&buf);
}

// Compares "float32[batch, 2]".
static inline void assert_shape(const Graph *graph, ValueId id, const char *expected) {
    const Value *value = &graph->values[id];
    Buf buf = BUF_INIT(4096);
    buf_printf(&buf, "%s[%s", dtype_name(value->dtype), value->has_rank ? "" : "...");
    for (int i = 0; i < value->rank; i++) {
        buf_append_cstr(&buf, i > 0 ? ", " : "");
        if (value->dims[i].size >= 0)
            buf_printf(&buf, "%lld", (long long)value->dims[i].size);
        else
            buf_append_cstr(&buf, value->dims[i].symbol ? value->dims[i].symbol : "?");
    }
    buf_append_byte(&buf, ']');
    assert_string_equal(buf.ptr, expected);
    buf_free(&buf);
}

static inline void infer(Graph *graph) {
    Error error = {0};
    if (graph_infer_shapes(graph, &error) != STATUS_OK)
        fail_msg("%s", error.message);
}

// Infers, expects failure with `part` in the message, and frees the graph.
static inline void assert_infer_fails(Graph *graph, const char *part) {
    Error error = {0};
    assert_int_equal(graph_infer_shapes(graph, &error), STATUS_INVALID);
    if (!strstr(error.message, part))
        fail_msg("\"%s\" lacks \"%s\"", error.message, part);
    graph_free(graph);
}

#endif
