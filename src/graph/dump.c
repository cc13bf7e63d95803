// The stable text form of a Graph for golden tests and people: one line per input, constant, node
// and output, in the graph's order. Dead nodes and orphans are not shown.
#include "graph/graph_private.h"

#include <string.h>

// Constants with at most this many elements show their values.
enum { SHOWN_ELEMENTS = 8 };

// Names come from files: control characters must not break lines.
static void dump_text(Buf *out, StrView text) {
    for (size_t i = 0; i < text.len; i++) {
        unsigned char c = (unsigned char)text.ptr[i];
        if (c < 0x20 || c == 0x7F || c == '\\')
            buf_printf(out, "\\x%02x", c);
        else
            buf_append_byte(out, text.ptr[i]);
    }
}

static void dump_name(Buf *out, const Graph *graph, ValueId id) {
    if (!graph_has_value(graph, id)) {
        buf_append_byte(out, '_');
        return;
    }
    buf_append_byte(out, '%');
    dump_text(out, sv(graph->values[id].name));
}

// `%x: float32[batch, ?, 384]`; `[...]` when the rank is not known.
static void dump_value(Buf *out, const Graph *graph, ValueId id) {
    dump_name(out, graph, id);
    if (!graph_has_value(graph, id))
        return;
    const Value *value = &graph->values[id];
    buf_printf(out, ": %s[", dtype_name(value->dtype));
    if (!value->has_rank)
        buf_append_cstr(out, "...");
    for (int i = 0; i < value->rank && value->has_rank; i++) {
        buf_append_cstr(out, i > 0 ? ", " : "");
        if (value->dims[i].size >= 0)
            buf_printf(out, "%lld", (long long)value->dims[i].size);
        else
            dump_text(out, value->dims[i].symbol ? sv(value->dims[i].symbol) : SV("?"));
    }
    buf_append_byte(out, ']');
}

static void dump_float(Buf *out, float number) {
    buf_printf(out, "%.9g", (double)number);
}

static void dump_element(Buf *out, const Value *value, size_t i) {
    size_t size = dtype_size(value->dtype);
    const char *at = (const char *)value->data + i * size;
    if (value->dtype == DTYPE_F32) {
        float number;
        memcpy(&number, at, sizeof(number));
        dump_float(out, number);
    } else if (value->dtype == DTYPE_I64) {
        int64_t number;
        memcpy(&number, at, sizeof(number));
        buf_printf(out, "%lld", (long long)number);
    } else if (value->dtype == DTYPE_I32) {
        int32_t number;
        memcpy(&number, at, sizeof(number));
        buf_printf(out, "%d", number);
    } else {
        buf_printf(out, "%d", *at);
    }
}

static bool has_shown_type(const Value *value) {
    return value->dtype == DTYPE_F32 || value->dtype == DTYPE_I64 || value->dtype == DTYPE_I32 ||
           value->dtype == DTYPE_BOOL || value->dtype == DTYPE_I8;
}

static void dump_constant(Buf *out, const Graph *graph, ValueId id) {
    const Value *value = &graph->values[id];
    buf_append_cstr(out, "const ");
    dump_value(out, graph, id);
    size_t count = value_count(value);
    size_t size = dtype_size(value->dtype);
    if (value->file) {
        buf_append_cstr(out, " (");
        dump_text(out, sv(value->file));
        buf_printf(out, " @%llu)", (unsigned long long)value->offset);
    } else if (value->data && count > 0 && count <= SHOWN_ELEMENTS && has_shown_type(value) &&
               value->data_size == count * size) {
        buf_append_cstr(out, " = ");
        for (size_t i = 0; i < count; i++) {
            buf_append_cstr(out, i > 0 ? ", " : "");
            dump_element(out, value, i);
        }
    } else {
        buf_printf(out, " (inline, %zu bytes)", value->data_size);
    }
    buf_append_byte(out, '\n');
}

static void dump_attr(Buf *out, const Attr *attr) {
    dump_text(out, sv(attr->name));
    buf_append_byte(out, '=');
    switch (attr->kind) {
    case ATTR_INT:
        buf_printf(out, "%lld", (long long)attr->i);
        break;
    case ATTR_FLOAT:
        dump_float(out, attr->f);
        break;
    case ATTR_STRING:
        buf_append_byte(out, '"');
        dump_text(out, attr->s);
        buf_append_byte(out, '"');
        break;
    case ATTR_INTS:
    case ATTR_FLOATS:
        buf_append_byte(out, '[');
        for (size_t i = 0; i < attr->count; i++) {
            buf_append_cstr(out, i > 0 ? ", " : "");
            if (attr->kind == ATTR_INTS)
                buf_printf(out, "%lld", (long long)attr->ints[i]);
            else
                dump_float(out, attr->floats[i]);
        }
        buf_append_byte(out, ']');
        break;
    }
}

static void dump_node(Buf *out, const Graph *graph, const Node *node) {
    for (int i = 0; i < node->n_out; i++) {
        buf_append_cstr(out, i > 0 ? ", " : "");
        dump_value(out, graph, node->out[i]);
    }
    buf_printf(out, " = %s(", op_info(node->op)->name);
    for (int i = 0; i < node->n_in; i++) {
        buf_append_cstr(out, i > 0 ? ", " : "");
        dump_name(out, graph, node->in[i]);
    }
    buf_append_byte(out, ')');
    for (int i = 0; i < node->n_attrs; i++) {
        buf_append_cstr(out, i > 0 ? ", " : " {");
        dump_attr(out, &node->attrs[i]);
    }
    buf_append_cstr(out, node->n_attrs > 0 ? "}\n" : "\n");
}

void graph_dump(Buf *out, const Graph *graph) {
    buf_append_cstr(out, "graph \"");
    dump_text(out, sv(graph->name));
    buf_printf(out, "\" opset %lld\n", (long long)graph->opset);
    for (int i = 0; i < graph->n_inputs; i++) {
        buf_append_cstr(out, "input ");
        dump_value(out, graph, graph->inputs[i]);
        buf_append_byte(out, '\n');
    }
    for (ValueId i = 0; i < graph->n_values; i++) {
        if (graph->values[i].kind == VALUE_CONSTANT)
            dump_constant(out, graph, i);
    }
    for (NodeId i = 0; i < graph->n_nodes; i++) {
        if (!graph->nodes[i].is_dead)
            dump_node(out, graph, &graph->nodes[i]);
    }
    for (int i = 0; i < graph->n_outputs; i++) {
        buf_append_cstr(out, "output ");
        dump_name(out, graph, graph->outputs[i]);
        buf_append_byte(out, '\n');
    }
}
