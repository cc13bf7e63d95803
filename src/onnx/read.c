// ModelProto → Graph.
//
// Order of work: initialisers, inputs, nodes, outputs, so that every name is known where it is
// read; a node that reads a name before it is defined is an error, as ONNX demands. Constant nodes
// become constants. The finished graph has passed graph_verify.
#include "onnx/read.h"

#include "base/memory.h"
#include "onnx/opset.h"

#include <string.h>

enum {
    MAX_PORTS = 4096,
    MAX_METADATA = 1024,
    MAX_ATTRS = 64,    // of one node
    MAX_ARITY = 65536, // inputs or outputs of one node
    IR_FIRST = 3,      // the first with opsets
};

const char *onnx_reader_text(Reader *reader, StrView text) {
    return arena_strndup(&reader->scratch, text.ptr, text.len);
}

Status reader_define(Reader *reader, StrView name, ValueId id) {
    if (id == NO_VALUE) {
        TRY(graph_status(reader->graph, reader->error));
        return error_set(reader->error, STATUS_INTERNAL, "value \"%.*s\" was refused",
                         proto_shown(name), name.ptr);
    }
    int32_t other;
    if (names_find(&reader->values, name, &other))
        return error_set(reader->error, STATUS_CORRUPT, "\"%.*s\" is defined twice",
                         proto_shown(name), name.ptr);
    if (!names_add(&reader->values, name, id))
        return error_out_of_memory(reader->error, sizeof(NameSlot));
    return STATUS_OK;
}

// ---- Inputs and outputs ----

static Status add_input(Reader *reader, const ProtoPort *port) {
    int32_t known;
    // Up to IR version 3 initialisers stand among the inputs too; later it makes them defaults, and
    // nobody passes weights.
    if (names_find(&reader->values, port->name, &known) &&
        reader->graph->values[known].kind == VALUE_CONSTANT)
        return STATUS_OK;
    DType dtype = dtype_from_onnx(port->data_type);
    if (!port->is_tensor || dtype == DTYPE_UNKNOWN || port->rank > TENSOR_MAX_RANK)
        return error_set(reader->error, STATUS_UNSUPPORTED,
                         "input \"%.*s\" is no tensor of a supported type and rank",
                         proto_shown(port->name), port->name.ptr);
    Dim dims[TENSOR_MAX_RANK];
    for (size_t i = 0; i < port->rank; i++) {
        dims[i] = (Dim){.size = port->dims[i]};
        if (port->symbols[i].len > 0) {
            dims[i].size = -1;
            dims[i].symbol = onnx_reader_text(reader, port->symbols[i]);
            if (!dims[i].symbol)
                return error_out_of_memory(reader->error, port->symbols[i].len + 1);
        }
    }
    const char *name = onnx_reader_text(reader, port->name);
    if (!name)
        return error_out_of_memory(reader->error, port->name.len + 1);
    int rank = port->has_shape ? (int)port->rank : -1;
    return reader_define(reader, port->name,
                         graph_add_input(reader->graph, name, dtype, dims, rank));
}

// What the file says about an output; shape inference replaces it.
static Status describe_output(Reader *reader, Value *value, const ProtoPort *port) {
    if (value->kind != VALUE_NODE || !port->is_tensor || port->rank > TENSOR_MAX_RANK)
        return STATUS_OK;
    value->dtype = dtype_from_onnx(port->data_type);
    value->has_rank = port->has_shape;
    value->rank = (int)port->rank;
    for (size_t i = 0; i < port->rank; i++) {
        value->dims[i] = (Dim){.size = port->dims[i]};
        StrView symbol = port->symbols[i];
        if (symbol.len == 0)
            continue;
        value->dims[i].size = -1;
        value->dims[i].symbol = arena_strndup(&reader->graph->arena, symbol.ptr, symbol.len);
        if (!value->dims[i].symbol)
            return error_out_of_memory(reader->error, symbol.len + 1);
    }
    return STATUS_OK;
}

static Status add_inputs(Reader *reader, const ProtoModel *proto) {
    Wire wire = wire_open(proto->graph);
    StrView message;
    ProtoPort port;
    while (wire_find(&wire, GRAPH_INPUT, &message)) {
        TRY(proto_read_port(&port, message, reader->origin, reader->error));
        TRY(add_input(reader, &port));
    }
    return STATUS_OK;
}

static Status add_outputs(Reader *reader, const ProtoModel *proto) {
    ValueId *ids = arena_alloc_array(&reader->scratch, proto->output_count, sizeof *ids);
    if (!ids)
        return error_out_of_memory(reader->error, proto->output_count * sizeof *ids);
    Wire wire = wire_open(proto->graph);
    StrView message;
    ProtoPort port;
    int count = 0;
    while ((size_t)count < proto->output_count && wire_find(&wire, GRAPH_OUTPUT, &message)) {
        TRY(proto_read_port(&port, message, reader->origin, reader->error));
        if (!names_find(&reader->values, port.name, &ids[count]))
            return error_set(reader->error, STATUS_CORRUPT, "nothing produces the output \"%.*s\"",
                             proto_shown(port.name), port.name.ptr);
        TRY(describe_output(reader, &reader->graph->values[ids[count]], &port));
        count++;
    }
    graph_set_outputs(reader->graph, ids, count);
    return graph_status(reader->graph, reader->error);
}

static Status add_initializers(Reader *reader, const ProtoModel *proto) {
    Wire wire = wire_open(proto->graph);
    StrView message;
    ProtoTensor tensor;
    while (wire_find(&wire, GRAPH_INITIALIZER, &message)) {
        TRY(proto_read_tensor(&tensor, message, reader->origin, reader->error));
        TRY(reader_add_tensor(reader, &tensor, tensor.name));
    }
    return STATUS_OK;
}

// ---- Nodes ----

static Status set_ints(Reader *reader, NodeId id, const ProtoAttr *attr, const char *name) {
    int64_t *ints = arena_alloc_array(&reader->scratch, attr->n_ints, sizeof *ints);
    if (!ints)
        return error_out_of_memory(reader->error, attr->n_ints * sizeof *ints);
    size_t count = 0;
    Wire wire = wire_open(attr->message);
    WireField field;
    while (wire_next(&wire, &field)) {
        if (field.number != ATTRIBUTE_INTS)
            continue;
        WireInts list = wire_ints(&wire, &field);
        // Bounded by the count of the first pass, whatever happens to the mapped file.
        while (count < attr->n_ints && wire_ints_next(&wire, &list, &ints[count]))
            count++;
    }
    graph_set_ints(reader->graph, id, name, ints, count);
    return STATUS_OK;
}

static Status add_attr(Reader *reader, NodeId id, StrView message) {
    ProtoAttr attr;
    TRY(proto_read_attr(&attr, message, reader->origin, reader->error));
    const char *name = onnx_reader_text(reader, attr.name);
    const char *text = attr.type == TYPE_STRING ? onnx_reader_text(reader, attr.s) : "";
    if (!name || !text)
        return error_out_of_memory(reader->error, attr.name.len + attr.s.len + 2);
    if (attr.is_reference)
        attr.type = -1;
    switch (attr.type) {
    case TYPE_INT:
        graph_set_int(reader->graph, id, name, attr.i);
        return STATUS_OK;
    case TYPE_FLOAT:
        graph_set_float(reader->graph, id, name, attr.f);
        return STATUS_OK;
    case TYPE_STRING:
        graph_set_string(reader->graph, id, name, text);
        return STATUS_OK;
    case TYPE_INTS:
        return set_ints(reader, id, &attr, name);
    default:
        return error_set(reader->error, STATUS_UNSUPPORTED,
                         "attribute %.200s is of a kind that is not supported", name);
    }
}

static Status add_attrs(Reader *reader, NodeId id, const ProtoNode *node, OpKind op) {
    Wire wire = wire_open(node->message);
    StrView message;
    while (wire_find(&wire, NODE_ATTRIBUTE, &message))
        TRY(add_attr(reader, id, message));
    // From opset 18 on a Split without sizes says how many; before, it follows from the outputs.
    const Node *made = &reader->graph->nodes[id];
    bool has_sizes = made->n_in > 1 && made->in[1] != NO_VALUE;
    if (op == OP_SPLIT && !has_sizes && !node_attr(made, "num_outputs"))
        graph_set_int(reader->graph, id, "num_outputs", made->n_out);
    return graph_status(reader->graph, reader->error);
}

// Ids of the inputs, without missing ones at the end.
static Status read_inputs(ValueId **out, int *count, Reader *reader, const ProtoNode *node) {
    ValueId *ids = arena_alloc_array(&reader->scratch, node->n_in, sizeof *ids);
    if (!ids)
        return error_out_of_memory(reader->error, node->n_in * sizeof *ids);
    Wire wire = wire_open(node->message);
    StrView name;
    int seen = 0;
    *count = 0;
    while ((size_t)seen < node->n_in && wire_find(&wire, NODE_INPUT, &name)) {
        ids[seen] = NO_VALUE;
        if (name.len > 0 && !names_find(&reader->values, name, &ids[seen]))
            return error_set(reader->error, STATUS_CORRUPT,
                             "reads \"%.*s\", which nothing before it defines", proto_shown(name),
                             name.ptr);
        seen++;
        if (name.len > 0)
            *count = seen;
    }
    *out = ids;
    return STATUS_OK;
}

static Status read_outputs(const char ***out, int *count, Reader *reader, const ProtoNode *node) {
    const char **names = arena_alloc_array(&reader->scratch, node->n_out, sizeof *names);
    if (!names)
        return error_out_of_memory(reader->error, node->n_out * sizeof *names);
    Wire wire = wire_open(node->message);
    StrView name;
    int seen = 0;
    *count = 0;
    while ((size_t)seen < node->n_out && wire_find(&wire, NODE_OUTPUT, &name)) {
        names[seen] = onnx_reader_text(reader, name);
        if (!names[seen++])
            return error_out_of_memory(reader->error, name.len + 1);
        if (name.len > 0)
            *count = seen;
    }
    *out = names;
    return STATUS_OK;
}

static Status define_outputs(Reader *reader, NodeId id, const ProtoNode *node) {
    Wire wire = wire_open(node->message);
    StrView name;
    const Node *made = &reader->graph->nodes[id];
    for (int i = 0; i < made->n_out && wire_find(&wire, NODE_OUTPUT, &name); i++) {
        if (name.len > 0)
            TRY(reader_define(reader, name, made->out[i]));
    }
    return STATUS_OK;
}

static Status add_node(Reader *reader, const ProtoNode *node) {
    OpKind op;
    bool is_default_domain = node->domain.len == 0;
    if (is_default_domain && sv_equal(node->op, SV("Constant")))
        return reader_add_constant_node(reader, node);
    if (!is_default_domain || !op_from_onnx(&op, node->op))
        return error_set(reader->error, STATUS_UNSUPPORTED, "the op is not supported");
    TRY(opset_check_op(op, reader->graph->opset, reader->error));
    if (node->n_attrs > MAX_ATTRS || node->n_in > MAX_ARITY || node->n_out > MAX_ARITY)
        return error_set(reader->error, STATUS_LIMIT, "too many inputs, outputs or attributes");
    ValueId *in = NULL;
    const char **outputs = NULL;
    int n_in = 0, n_out = 0;
    TRY(read_inputs(&in, &n_in, reader, node));
    TRY(read_outputs(&outputs, &n_out, reader, node));
    const char *name = onnx_reader_text(reader, node->name);
    if (!name)
        return error_out_of_memory(reader->error, node->name.len + 1);
    NodeId id = graph_add_node_n(reader->graph, op, name, in, n_in, outputs, n_out);
    TRY(graph_status(reader->graph, reader->error));
    TRY(add_attrs(reader, id, node, op));
    return define_outputs(reader, id, node);
}

static Status add_nodes(Reader *reader, const ProtoModel *proto) {
    Wire wire = wire_open(proto->graph);
    StrView message;
    ProtoNode node;
    while (wire_find(&wire, GRAPH_NODE, &message)) {
        TRY(proto_read_node(&node, message, reader->origin, reader->error));
        Status status = add_node(reader, &node);
        if (status != STATUS_OK)
            return error_prefix(reader->error, status, "node \"%.*s\" (%.*s%s%.*s)",
                                proto_shown(node.name), node.name.ptr, proto_shown(node.domain),
                                node.domain.ptr, node.domain.len ? "." : "", proto_shown(node.op),
                                node.op.ptr);
    }
    return STATUS_OK;
}

// ---- The model ----

static Status check_model(const ProtoModel *proto, Error *error) {
    if (proto->ir_version < IR_FIRST)
        return error_set(error, STATUS_UNSUPPORTED, "IR version %lld is not supported",
                         (long long)proto->ir_version);
    TRY(opset_check_version(proto->opset, error));
    if (proto->has_sparse)
        return error_set(error, STATUS_UNSUPPORTED, "sparse initializers are not supported");
    if (proto->input_count > MAX_PORTS || proto->output_count > MAX_PORTS)
        return error_set(error, STATUS_LIMIT, "more than %d inputs or outputs", MAX_PORTS);
    if (proto->metadata_count > MAX_METADATA)
        return error_set(error, STATUS_LIMIT, "more than %d metadata entries", MAX_METADATA);
    return STATUS_OK;
}

static Status set_text(const char **field, Reader *reader, StrView text) {
    *field = arena_strndup(&reader->graph->arena, text.ptr, text.len);
    return *field ? STATUS_OK : error_out_of_memory(reader->error, text.len + 1);
}

static Status set_header(Reader *reader, const ProtoModel *proto) {
    Graph *graph = reader->graph;
    graph->ir_version = proto->ir_version;
    graph->model_version = proto->model_version;
    graph->opset = proto->opset;
    const char **fields[] = {&graph->name, &graph->producer_name, &graph->producer_version,
                             &graph->domain, &graph->doc_string};
    const StrView texts[] = {proto->graph_name, proto->producer_name, proto->producer_version,
                             proto->domain, proto->doc_string};
    for (size_t i = 0; i < sizeof fields / sizeof fields[0]; i++) {
        Status status = set_text(fields[i], reader, texts[i]);
        if (status != STATUS_OK) {
            *fields[i] = "";
            return status;
        }
    }
    Wire wire = wire_open(proto->message);
    StrView message;
    ProtoMeta meta;
    while (wire_find(&wire, MODEL_METADATA, &message)) {
        TRY(proto_read_meta(&meta, message, reader->origin, reader->error));
        const char *key = onnx_reader_text(reader, meta.key);
        const char *value = onnx_reader_text(reader, meta.value);
        if (!key || !value)
            return error_out_of_memory(reader->error, meta.key.len + meta.value.len);
        graph_add_metadata(graph, key, value);
    }
    return graph_status(graph, reader->error);
}

static Status read_graph(Reader *reader, const ProtoModel *proto) {
    TRY(set_header(reader, proto));
    TRY(add_initializers(reader, proto));
    TRY(add_inputs(reader, proto));
    TRY(add_nodes(reader, proto));
    TRY(add_outputs(reader, proto));
    Status status = graph_verify(reader->graph, reader->error);
    if (status != STATUS_INVALID)
        return status;
    // The file is to blame, not the caller.
    if (reader->error)
        reader->error->code = STATUS_CORRUPT;
    return STATUS_CORRUPT;
}

Status onnx_read_bytes(OnnxModel *model, StrView bytes, const char *folder, Error *error) {
    ProtoModel proto;
    TRY(proto_read_model(&proto, bytes, error));
    TRY(check_model(&proto, error));
    TRY(graph_new(&model->graph, error));
    Reader reader = {.model = model,
                     .graph = model->graph,
                     .folder = folder,
                     .origin = bytes.ptr,
                     .error = error};
    Status status = read_graph(&reader, &proto);
    names_free(&reader.values);
    arena_free(&reader.scratch);
    return status;
}

Status onnx_open(OnnxModel **out, const char *path, Error *error) {
    *out = NULL;
    OnnxModel *model = mem_alloc_zero(1, sizeof *model);
    char *folder = path_dirname(path);
    Status status = STATUS_OK;
    if (!model || !folder) {
        status = error_out_of_memory(error, sizeof *model);
        goto done;
    }
    TRY_DONE(file_map(&model->map, path, error));
    StrView bytes = sv_n((const char *)model->map.data, model->map.size);
    status = onnx_read_bytes(model, bytes, folder, error);
    if (status == STATUS_CORRUPT)
        error_prefix(error, status, "Invalid ONNX model");
done:
    mem_free(folder);
    if (status == STATUS_OK)
        *out = model;
    else
        onnx_close(model);
    return status;
}

void onnx_close(OnnxModel *model) {
    if (!model)
        return;
    graph_free(model->graph);
    for (size_t i = 0; i < model->file_count; i++)
        file_unmap(&model->files[i].map);
    mem_free(model->files);
    names_free(&model->file_names);
    file_unmap(&model->map);
    mem_free(model);
}

Graph *onnx_graph(OnnxModel *model) {
    return model->graph;
}

const FileMap *onnx_constant_map(const OnnxModel *model, ValueId value) {
    if (!value_is_constant(model->graph, value) || !model->graph->values[value].file)
        return NULL;
    int32_t index;
    if (!names_find(&model->file_names, sv(model->graph->values[value].file), &index))
        return NULL;
    return &model->files[index].map;
}

size_t onnx_source_count(const OnnxModel *model) {
    return model->file_count + 1;
}

const FileStat *onnx_source(const OnnxModel *model, size_t index, const char **name) {
    *name = index == 0 ? "" : model->files[index - 1].name;
    return index == 0 ? &model->map.stat : &model->files[index - 1].map.stat;
}
