// Graph → ModelProto.
//
// The bytes depend on the graph alone: fields in the order of onnx.proto, canonical varints, no
// time stamps. Constants that nothing reads are left out. Constants that lie in a file are written
// as external data, their bytes are not looked at.
#include "onnx/onnx.h"

#include "base/memory.h"
#include "onnx/opset.h"
#include "onnx/proto.h"

#include <stdio.h>
#include <string.h>

// Protobuf libraries refuse messages from 2 GiB on.
static const size_t max_model_bytes = INT32_MAX;

static const char producer[] = "gpux";

static void put_text(Buf *out, uint32_t number, const char *text) {
    if (text && *text)
        wire_put_bytes(out, number, sv(text));
}

static void put_pair(Buf *out, uint32_t number, const char *key, const char *value) {
    size_t begin = wire_begin(out, number);
    wire_put_bytes(out, META_KEY, sv(key));
    wire_put_bytes(out, META_VALUE, sv(value));
    wire_end(out, begin);
}

static void put_number_pair(Buf *out, uint32_t number, const char *key, uint64_t value) {
    char text[24];
    snprintf(text, sizeof text, "%llu", (unsigned long long)value);
    put_pair(out, number, key, text);
}

// ---- Values ----

static Status put_constant(Buf *out, const Value *value, Error *error) {
    int64_t dims[TENSOR_MAX_RANK];
    for (int i = 0; i < value->rank; i++)
        dims[i] = value->dims[i].size;
    size_t begin = wire_begin(out, GRAPH_INITIALIZER);
    wire_put_ints(out, TENSOR_DIMS, dims, (size_t)value->rank);
    wire_put_i64(out, TENSOR_DATA_TYPE, dtype_to_onnx(value->dtype));
    put_text(out, TENSOR_NAME, value->name);
    if (value->file) {
        put_pair(out, TENSOR_EXTERNAL_DATA, "location", value->file);
        put_number_pair(out, TENSOR_EXTERNAL_DATA, "offset", value->offset);
        put_number_pair(out, TENSOR_EXTERNAL_DATA, "length", value->data_size);
        wire_put_i64(out, TENSOR_DATA_LOCATION, LOCATION_EXTERNAL);
    } else if (value->data || value->data_size == 0) {
        wire_put_bytes(out, TENSOR_RAW_DATA, sv_n(value->data, value->data_size));
    } else {
        return error_set(error, STATUS_INVALID, "constant \"%.200s\" has neither bytes nor a file",
                         value->name);
    }
    wire_end(out, begin);
    return STATUS_OK;
}

static void put_dim(Buf *out, const Dim *dim) {
    size_t begin = wire_begin(out, SHAPE_DIM);
    if (dim->size >= 0)
        wire_put_i64(out, DIM_VALUE, dim->size);
    else
        put_text(out, DIM_SYMBOL, dim->symbol);
    wire_end(out, begin);
}

static Status put_port(Buf *out, uint32_t number, const Value *value, Error *error) {
    if (value->dtype == DTYPE_UNKNOWN)
        return error_set(error, STATUS_INVALID, "the type of \"%.200s\" is not inferred yet",
                         value->name);
    size_t port = wire_begin(out, number);
    put_text(out, PORT_NAME, value->name);
    size_t type = wire_begin(out, PORT_TYPE);
    size_t tensor = wire_begin(out, TYPE_TENSOR);
    wire_put_i64(out, TYPE_TENSOR_ELEMENT, dtype_to_onnx(value->dtype));
    if (value->has_rank) {
        size_t shape = wire_begin(out, TYPE_TENSOR_SHAPE);
        for (int i = 0; i < value->rank; i++)
            put_dim(out, &value->dims[i]);
        wire_end(out, shape);
    }
    wire_end(out, tensor);
    wire_end(out, type);
    wire_end(out, port);
    return STATUS_OK;
}

// ---- Nodes ----

static void put_attr(Buf *out, const Attr *attr) {
    static const int types[] = {[ATTR_INT] = TYPE_INT,
                                [ATTR_FLOAT] = TYPE_FLOAT,
                                [ATTR_STRING] = TYPE_STRING,
                                [ATTR_INTS] = TYPE_INTS,
                                [ATTR_FLOATS] = TYPE_FLOATS};
    size_t begin = wire_begin(out, NODE_ATTRIBUTE);
    put_text(out, ATTRIBUTE_NAME, attr->name);
    switch (attr->kind) {
    case ATTR_INT:
        wire_put_i64(out, ATTRIBUTE_I, attr->i);
        break;
    case ATTR_FLOAT:
        wire_put_f32(out, ATTRIBUTE_F, attr->f);
        break;
    case ATTR_STRING:
        wire_put_bytes(out, ATTRIBUTE_S, attr->s);
        break;
    case ATTR_INTS:
        wire_put_ints(out, ATTRIBUTE_INTS, attr->ints, attr->count);
        break;
    case ATTR_FLOATS:
        wire_put_floats(out, ATTRIBUTE_FLOATS, attr->floats, attr->count);
        break;
    }
    wire_put_i64(out, ATTRIBUTE_TYPE, types[attr->kind]);
    wire_end(out, begin);
}

static Status put_attrs(Buf *out, const Graph *graph, const Node *node, Error *error) {
    for (int i = 0; i < node->n_attrs; i++) {
        const Attr *attr = &node->attrs[i];
        AttrFate fate = opset_attr_fate(node->op, attr, graph->opset);
        if (fate == ATTR_REFUSE)
            return error_set(error, STATUS_UNSUPPORTED, "opset %lld has no attribute %s",
                             (long long)graph->opset, attr->name);
        if (fate == ATTR_WRITE)
            put_attr(out, attr);
    }
    // A Split without sizes must say how many from opset 18 on.
    Attr count = {.name = "num_outputs", .kind = ATTR_INT, .i = node->n_out};
    bool has_sizes = node->n_in > 1 && node->in[1] != NO_VALUE;
    if (node->op == OP_SPLIT && !has_sizes && !node_attr(node, count.name) &&
        opset_attr_fate(node->op, &count, graph->opset) == ATTR_WRITE)
        put_attr(out, &count);
    return STATUS_OK;
}

static const char *value_name(const Graph *graph, ValueId id) {
    return id == NO_VALUE ? "" : graph->values[id].name;
}

static Status put_node(Buf *out, const Graph *graph, const Node *node, Error *error) {
    const OpInfo *info = op_info(node->op);
    if (!info->is_onnx)
        return error_set(error, STATUS_INVALID, "it is no ONNX op");
    TRY(opset_check_op(node->op, graph->opset, error));
    size_t begin = wire_begin(out, GRAPH_NODE);
    for (int i = 0; i < node->n_in; i++)
        wire_put_bytes(out, NODE_INPUT, sv(value_name(graph, node->in[i])));
    for (int i = 0; i < node->n_out; i++)
        wire_put_bytes(out, NODE_OUTPUT, sv(value_name(graph, node->out[i])));
    put_text(out, NODE_NAME, node->name);
    put_text(out, NODE_OP_TYPE, info->name);
    TRY(put_attrs(out, graph, node, error));
    wire_end(out, begin);
    return STATUS_OK;
}

// ---- The graph and the model ----

// One byte per value: is it read by a live node, or an output of the graph?
static Status find_used(char **out, const Graph *graph, Error *error) {
    char *used = mem_alloc_zero((size_t)graph->n_values + 1, 1);
    if (!used)
        return error_out_of_memory(error, (size_t)graph->n_values + 1);
    for (int i = 0; i < graph->n_nodes; i++) {
        const Node *node = &graph->nodes[i];
        for (int j = 0; j < node->n_in && !node->is_dead; j++) {
            if (node->in[j] != NO_VALUE)
                used[node->in[j]] = 1;
        }
    }
    for (int i = 0; i < graph->n_outputs; i++)
        used[graph->outputs[i]] = 1;
    *out = used;
    return STATUS_OK;
}

static Status put_graph(Buf *out, const Graph *graph, const char *used, Error *error) {
    size_t begin = wire_begin(out, MODEL_GRAPH);
    for (int i = 0; i < graph->n_nodes; i++) {
        if (graph->nodes[i].is_dead)
            continue;
        Status status = put_node(out, graph, &graph->nodes[i], error);
        if (status != STATUS_OK)
            return error_prefix(error, status, "node \"%.200s\" (%s)", graph->nodes[i].name,
                                op_info(graph->nodes[i].op)->name);
    }
    put_text(out, GRAPH_NAME, *graph->name ? graph->name : "graph");
    for (int i = 0; i < graph->n_values; i++) {
        if (graph->values[i].kind == VALUE_CONSTANT && used[i])
            TRY(put_constant(out, &graph->values[i], error));
    }
    for (int i = 0; i < graph->n_inputs; i++)
        TRY(put_port(out, GRAPH_INPUT, &graph->values[graph->inputs[i]], error));
    for (int i = 0; i < graph->n_outputs; i++)
        TRY(put_port(out, GRAPH_OUTPUT, &graph->values[graph->outputs[i]], error));
    wire_end(out, begin);
    return STATUS_OK;
}

static Status put_model(Buf *out, const Graph *graph, const char *used, Error *error) {
    wire_put_i64(out, MODEL_IR_VERSION, opset_ir_version(graph->opset));
    wire_put_bytes(out, MODEL_PRODUCER_NAME, sv(producer));
    // Another producer's version would lie next to our name.
    if (!*graph->producer_name || strcmp(graph->producer_name, producer) == 0)
        put_text(out, MODEL_PRODUCER_VERSION, graph->producer_version);
    put_text(out, MODEL_DOMAIN, graph->domain);
    if (graph->model_version != 0)
        wire_put_i64(out, MODEL_MODEL_VERSION, graph->model_version);
    put_text(out, MODEL_DOC_STRING, graph->doc_string);
    TRY(put_graph(out, graph, used, error));
    size_t begin = wire_begin(out, MODEL_OPSET_IMPORT);
    wire_put_bytes(out, OPSET_DOMAIN, SV(""));
    wire_put_i64(out, OPSET_VERSION, graph->opset);
    wire_end(out, begin);
    for (int i = 0; i < graph->n_metadata; i++)
        put_pair(out, MODEL_METADATA, graph->metadata[i].key, graph->metadata[i].value);
    return buf_status(out, error);
}

Status onnx_write(Buf *out, const Graph *graph, Error *error) {
    TRY(graph_verify(graph, error));
    TRY(opset_check_version(graph->opset, error));
    char *used = NULL;
    TRY(find_used(&used, graph, error));
    size_t before = out->len;
    Status status = put_model(out, graph, used, error);
    mem_free(used);
    TRY(status);
    if (out->len - before > max_model_bytes)
        return error_set(error, STATUS_LIMIT,
                         "the model has %zu bytes, protobuf allows %zu; keep weights in a file",
                         out->len - before, max_model_bytes);
    return STATUS_OK;
}
