// The door of onnx/: the ONNX file format, read and written without protobuf libraries.
//
// Only base/wire.c knows protobuf; read.c and write.c turn ModelProto into a Graph and back.
// Differences between opsets are resolved here and nowhere else.
#ifndef GPUX_ONNX_ONNX_H
#define GPUX_ONNX_ONNX_H

#include "base/file.h"
#include "base/status.h"
#include "graph/graph.h"

typedef struct OnnxModel OnnxModel; // the Graph and the mappings its constants point into

// Opens a model file with external data in the same folder (plain files only: no links, one hard
// link, inside the folder). Opsets 13 to 23. STATUS_CORRUPT "Invalid ONNX model: …" with the
// reason; STATUS_UNSUPPORTED naming an op or feature that the Graph cannot hold.
Status onnx_open(OnnxModel **out, const char *path, Error *error);
void onnx_close(OnnxModel *model);
Graph *onnx_graph(OnnxModel *model); // owned by the model
// Maps the constant's file; for dropping pages after packing. NULL for inline constants.
const FileMap *onnx_constant_map(const OnnxModel *model, ValueId value);
// The files that were mapped, as they were then: the model file first, named "", then external data
// by its name below the model's folder. Borrowed.
size_t onnx_source_count(const OnnxModel *model);
const FileStat *onnx_source(const OnnxModel *model, size_t index, const char **name);

// What `inspect` needs, without reading weights: the header pass over the file accepts every valid
// model, also with ops and domains that the Graph cannot hold.
typedef struct OnnxPort {
    const char *name;
    DType dtype;
    bool has_shape;
    int rank;
    int64_t shape[TENSOR_MAX_RANK]; // -1 = dynamic
    const char *symbols[TENSOR_MAX_RANK];
} OnnxPort;
typedef struct OnnxOpCount {
    const char *op; // "MatMul", "com.microsoft.Attention"
    size_t count;
} OnnxOpCount;
typedef struct OnnxSummary {
    Arena arena;
    int64_t ir_version, opset_version, model_version;
    const char *producer_name, *producer_version, *domain, *doc_string, *graph_name; // never NULL
    OnnxPort *inputs, *outputs;
    size_t input_count, output_count;
    GraphMeta *metadata;
    size_t metadata_count;
    OnnxOpCount *ops; // by falling count
    size_t op_count;
    size_t node_count;
    uint64_t parameters; // elements of initialisers
    uint64_t size_bytes; // the file and its external data
    DType weight_dtype;  // of most initialiser bytes
} OnnxSummary;
Status onnx_summarize(OnnxSummary **out, const char *path, Error *error);
void onnx_summary_free(OnnxSummary *summary);

// Serialises `graph` (ONNX ops only) as ModelProto. Constants with a file become external data with
// location, offset, length; others are stored inline.
Status onnx_write(Buf *out, const Graph *graph, Error *error);

#endif
