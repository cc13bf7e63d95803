// Inside onnx/: what changed between the opsets that are read and written. The Graph is written in
// the terms of the newest one.
#ifndef GPUX_ONNX_OPSET_H
#define GPUX_ONNX_OPSET_H

#include "graph/graph.h"

enum { OPSET_FIRST = 13, OPSET_LAST = 23 };

// STATUS_UNSUPPORTED when `opset` is out of range or does not have `op` yet.
Status opset_check_version(int64_t opset, Error *error);
Status opset_check_op(OpKind op, int64_t opset, Error *error);

typedef enum AttrFate {
    ATTR_WRITE,
    ATTR_DROP, // says what the older opset does anyway
    ATTR_REFUSE,
} AttrFate;
// What becomes of an attribute of the Graph in a file of this opset.
AttrFate opset_attr_fate(OpKind op, const Attr *attr, int64_t opset);
// IR version that goes with an opset.
int64_t opset_ir_version(int64_t opset);

#endif
