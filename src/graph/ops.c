// The op table, made from ops.def. What an op computes is not known here: only names, arity and
// which shape rule it follows.
#include "graph/graph_private.h"

#include <assert.h>

static const OpInfo op_table[OP_COUNT] = {
#define OP(id, op_name, onnx, least_in, most_in, least_out, most_out, rule)                        \
    [OP_##id] = {.name = (op_name),                                                                \
                 .is_onnx = (onnx),                                                                \
                 .min_in = (least_in),                                                             \
                 .max_in = (most_in),                                                              \
                 .min_out = (least_out),                                                           \
                 .max_out = (most_out)},
#include "graph/ops.def"
#undef OP
};

static const ShapeRule rule_table[OP_COUNT] = {
#define OP(id, name, is_onnx, min_in, max_in, min_out, max_out, rule) [OP_##id] = shape_rule_##rule,
#include "graph/ops.def"
#undef OP
};

const OpInfo *op_info(OpKind op) {
    assert((unsigned)op < OP_COUNT);
    return &op_table[op];
}

bool op_from_onnx(OpKind *out, StrView name) {
    for (int i = 0; i < OP_COUNT; i++) {
        if (op_table[i].is_onnx && sv_equal_cstr(name, op_table[i].name)) {
            *out = (OpKind)i;
            return true;
        }
    }
    return false;
}

ShapeRule op_shape_rule(OpKind op) {
    assert((unsigned)op < OP_COUNT);
    return rule_table[op];
}
