// Inside onnx/: the messages of onnx.proto as views into the file. Reading one checks its own
// fields and leaves embedded messages as bytes.
#ifndef GPUX_ONNX_PROTO_H
#define GPUX_ONNX_PROTO_H

#include "base/status.h"
#include "base/str.h"
#include "base/tensor.h"
#include "base/wire.h"

// Field numbers of onnx.proto (IR version 11).
enum {
    MODEL_IR_VERSION = 1,
    MODEL_PRODUCER_NAME = 2,
    MODEL_PRODUCER_VERSION = 3,
    MODEL_DOMAIN = 4,
    MODEL_MODEL_VERSION = 5,
    MODEL_DOC_STRING = 6,
    MODEL_GRAPH = 7,
    MODEL_OPSET_IMPORT = 8,
    MODEL_METADATA = 14,
    OPSET_DOMAIN = 1,
    OPSET_VERSION = 2,
    META_KEY = 1,
    META_VALUE = 2,
    GRAPH_NODE = 1,
    GRAPH_NAME = 2,
    GRAPH_INITIALIZER = 5,
    GRAPH_INPUT = 11,
    GRAPH_OUTPUT = 12,
    GRAPH_SPARSE_INITIALIZER = 15,
    NODE_INPUT = 1,
    NODE_OUTPUT = 2,
    NODE_NAME = 3,
    NODE_OP_TYPE = 4,
    NODE_ATTRIBUTE = 5,
    NODE_DOMAIN = 7,
    ATTRIBUTE_NAME = 1,
    ATTRIBUTE_F = 2,
    ATTRIBUTE_I = 3,
    ATTRIBUTE_S = 4,
    ATTRIBUTE_T = 5,
    ATTRIBUTE_FLOATS = 7,
    ATTRIBUTE_INTS = 8,
    ATTRIBUTE_TYPE = 20,
    ATTRIBUTE_REFERENCE = 21,
    TENSOR_DIMS = 1,
    TENSOR_DATA_TYPE = 2,
    TENSOR_SEGMENT = 3,
    TENSOR_FLOAT_DATA = 4,
    TENSOR_INT32_DATA = 5,
    TENSOR_INT64_DATA = 7,
    TENSOR_NAME = 8,
    TENSOR_RAW_DATA = 9,
    TENSOR_DOUBLE_DATA = 10,
    TENSOR_UINT64_DATA = 11,
    TENSOR_EXTERNAL_DATA = 13,
    TENSOR_DATA_LOCATION = 14,
    PORT_NAME = 1,
    PORT_TYPE = 2,
    TYPE_TENSOR = 1,
    TYPE_TENSOR_ELEMENT = 1,
    TYPE_TENSOR_SHAPE = 2,
    SHAPE_DIM = 1,
    DIM_VALUE = 1,
    DIM_SYMBOL = 2,
};

// AttributeProto.AttributeType
enum {
    TYPE_FLOAT = 1,
    TYPE_INT = 2,
    TYPE_STRING = 3,
    TYPE_TENSOR_VALUE = 4,
    TYPE_FLOATS = 6,
    TYPE_INTS = 7,
};

enum { LOCATION_EXTERNAL = 1 }; // TensorProto.DataLocation

typedef struct ProtoModel {
    StrView message, graph;
    StrView producer_name, producer_version, domain, doc_string;
    StrView graph_name;
    int64_t ir_version, model_version;
    int64_t opset; // of the default domain; 0 when not imported
    size_t node_count, initializer_count, input_count, output_count, metadata_count;
    bool has_sparse;
} ProtoModel;

typedef struct ProtoMeta {
    StrView key, value;
} ProtoMeta;

typedef struct ProtoNode {
    StrView message, name, op, domain;
    size_t n_in, n_out, n_attrs;
} ProtoNode;

typedef struct ProtoAttr {
    StrView message, name, s, t;
    int64_t type, i;
    float f;
    size_t n_ints, n_floats;
    bool is_reference; // to an argument of a local function
} ProtoAttr;

typedef struct ProtoTensor {
    StrView message, name, raw, location;
    int64_t data_type;
    int64_t dims[TENSOR_MAX_RANK];
    size_t rank;  // may be over TENSOR_MAX_RANK; then dims has the first ones
    size_t count; // elements
    bool has_raw, has_segment, is_external, has_length;
    uint64_t offset, length; // of external data
} ProtoTensor;

typedef struct ProtoPort {
    StrView name;
    bool is_tensor, has_shape;
    int64_t data_type;
    size_t rank;                   // may be over TENSOR_MAX_RANK
    int64_t dims[TENSOR_MAX_RANK]; // -1 = dynamic
    StrView symbols[TENSOR_MAX_RANK];
} ProtoPort;

// `bytes` is the whole file. Also checks and counts the graph's own fields. STATUS_CORRUPT.
Status proto_read_model(ProtoModel *out, StrView bytes, Error *error);
// The others take a message inside the file that begins at `origin`. STATUS_CORRUPT.
Status proto_read_meta(ProtoMeta *out, StrView message, const char *origin, Error *error);
Status proto_read_node(ProtoNode *out, StrView message, const char *origin, Error *error);
Status proto_read_attr(ProtoAttr *out, StrView message, const char *origin, Error *error);
Status proto_read_tensor(ProtoTensor *out, StrView message, const char *origin, Error *error);
Status proto_read_port(ProtoPort *out, StrView message, const char *origin, Error *error);

// For "%.*s" in messages: the length, cut to what a message can show.
int proto_shown(StrView text);

#endif
