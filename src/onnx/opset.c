// Differences between opsets 13 and 23 as tables: ops and attributes that came later.
//
// Opset 13 already moved the axes of Squeeze and Unsqueeze and the parts of Split to inputs and
// made Softmax work on one axis; what later opsets added to other ops is element types only.
#include "onnx/opset.h"

typedef struct LateAttr {
    OpKind op;
    const char *name;
    int64_t since;
    AttrFate before; // in older opsets, unless the value is `harmless`
    int64_t harmless;
} LateAttr;

static const LateAttr late_attrs[] = {
    {OP_RESHAPE, "allowzero", 14, ATTR_REFUSE, 0},
    {OP_SHAPE, "start", 15, ATTR_REFUSE, 0},
    {OP_SHAPE, "end", 15, ATTR_REFUSE, INT64_MAX},
    {OP_SPLIT, "num_outputs", 18, ATTR_DROP, 0}, // older opsets count the outputs
    {OP_CAST, "saturate", 19, ATTR_DROP, 1},     // matters for float8 only
};

enum { LAYER_NORMALIZATION_SINCE = 17 };

Status opset_check_version(int64_t opset, Error *error) {
    if (opset >= OPSET_FIRST && opset <= OPSET_LAST)
        return STATUS_OK;
    return error_set(error, STATUS_UNSUPPORTED, "ONNX opset %lld is not supported; %d to %d are",
                     (long long)opset, OPSET_FIRST, OPSET_LAST);
}

Status opset_check_op(OpKind op, int64_t opset, Error *error) {
    if (op != OP_LAYER_NORMALIZATION || opset >= LAYER_NORMALIZATION_SINCE)
        return STATUS_OK;
    return error_set(error, STATUS_UNSUPPORTED, "op %s exists from opset %d on, the model has %lld",
                     op_info(op)->name, LAYER_NORMALIZATION_SINCE, (long long)opset);
}

AttrFate opset_attr_fate(OpKind op, const Attr *attr, int64_t opset) {
    for (size_t i = 0; i < sizeof late_attrs / sizeof late_attrs[0]; i++) {
        const LateAttr *late = &late_attrs[i];
        if (late->op != op || opset >= late->since || !sv_equal_cstr(sv(attr->name), late->name))
            continue;
        bool is_harmless = attr->kind == ATTR_INT && attr->i == late->harmless;
        return is_harmless ? ATTR_DROP : late->before;
    }
    return ATTR_WRITE;
}

int64_t opset_ir_version(int64_t opset) {
    if (opset <= 18)
        return 8;
    return opset <= 20 ? 9 : 10;
}
