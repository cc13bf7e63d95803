// Any bytes as a model file: an error, or a graph that can be inferred, written and read again.
#include "base/memory.h"
#include "onnx/read.h"

#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

// Reads every byte that constants claim to have.
static uint8_t touch(const Graph *graph) {
    uint8_t sum = 0;
    for (int i = 0; i < graph->n_values; i++) {
        const Value *value = &graph->values[i];
        for (size_t j = 0; value->data && j < value->data_size; j++)
            sum ^= ((const uint8_t *)value->data)[j];
    }
    return sum;
}

static void write_and_read_again(const Graph *graph) {
    Buf out = BUF_INIT(1 << 20);
    if (onnx_write(&out, graph, NULL) == STATUS_OK) {
        OnnxModel *again = mem_alloc_zero(1, sizeof *again);
        Error error;
        if (again && onnx_read_bytes(again, sv_n(out.ptr, out.len), NULL, &error) != STATUS_OK)
            abort();
        onnx_close(again);
    }
    buf_free(&out);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    OnnxModel *model = mem_alloc_zero(1, sizeof *model);
    if (!model)
        return 0;
    Error error;
    volatile uint8_t sink = 0;
    if (onnx_read_bytes(model, sv_n((const char *)data, size), NULL, &error) == STATUS_OK) {
        Graph *graph = onnx_graph(model);
        sink ^= touch(graph);
        write_and_read_again(graph);
    }
    (void)sink; // the bytes are read for the sanitizer
    onnx_close(model);
    return 0;
}
