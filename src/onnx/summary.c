// What `inspect` shows of a model file, from headers alone: weights are stepped over, not read.
//
// Accepts every well-formed model, also with ops, domains and types that the Graph cannot hold, and
// also when its external data is missing.
#include "onnx/onnx.h"

#include "base/checked.h"
#include "base/memory.h"
#include "onnx/names.h"
#include "onnx/proto.h"

#include <stdlib.h>
#include <string.h>

typedef struct Summarizer {
    OnnxSummary *out;
    const char *origin;
    const char *folder;
    Names ops;          // op → index in out->ops
    Names files;        // external files seen
    uint64_t bytes[16]; // initialiser bytes per DType
    Error *error;
} Summarizer;

static Status set_text(const char **out, Summarizer *in, StrView text) {
    *out = arena_strndup(&in->out->arena, text.ptr, text.len);
    return *out ? STATUS_OK : error_out_of_memory(in->error, text.len + 1);
}

static uint64_t add_capped(uint64_t a, uint64_t b) {
    uint64_t sum;
    return __builtin_add_overflow(a, b, &sum) ? UINT64_MAX : sum;
}

static Status add_port(Summarizer *in, OnnxPort *out, StrView message) {
    ProtoPort port;
    TRY(proto_read_port(&port, message, in->origin, in->error));
    TRY(set_text(&out->name, in, port.name));
    out->dtype = port.is_tensor ? dtype_from_onnx(port.data_type) : DTYPE_UNKNOWN;
    out->has_shape = port.has_shape && port.rank <= TENSOR_MAX_RANK;
    if (!out->has_shape)
        return STATUS_OK;
    out->rank = (int)port.rank;
    for (size_t i = 0; i < port.rank; i++) {
        out->shape[i] = port.symbols[i].len > 0 ? -1 : port.dims[i];
        if (port.symbols[i].len > 0)
            TRY(set_text(&out->symbols[i], in, port.symbols[i]));
    }
    return STATUS_OK;
}

static Status add_op(Summarizer *in, const ProtoNode *node) {
    OnnxSummary *out = in->out;
    StrView key = node->op;
    if (node->domain.len > 0) {
        size_t len;
        if (!size_add(&len, node->domain.len + 1, node->op.len))
            return error_out_of_memory(in->error, node->op.len);
        char *text = arena_alloc(&out->arena, len);
        if (!text)
            return error_out_of_memory(in->error, len);
        memcpy(text, node->domain.ptr, node->domain.len);
        text[node->domain.len] = '.';
        memcpy(text + node->domain.len + 1, node->op.ptr, node->op.len);
        key = sv_n(text, len);
    }
    int32_t index;
    if (names_find(&in->ops, key, &index)) {
        out->ops[index].count++;
        return STATUS_OK;
    }
    OnnxOpCount *ops = mem_realloc_array(out->ops, out->op_count + 1, sizeof *ops);
    if (!ops)
        return error_out_of_memory(in->error, (out->op_count + 1) * sizeof *ops);
    out->ops = ops;
    OnnxOpCount *op = &ops[out->op_count];
    op->count = 1;
    TRY(set_text(&op->op, in, key));
    if (!names_add(&in->ops, key, (int32_t)out->op_count))
        return error_out_of_memory(in->error, sizeof(NameSlot));
    out->op_count++;
    return STATUS_OK;
}

// Counts the file's size once; a missing file or a location outside the folder counts nothing.
static Status add_external(Summarizer *in, StrView location) {
    int32_t seen;
    if (!path_is_inside(location) || names_find(&in->files, location, &seen))
        return STATUS_OK;
    if (!names_add(&in->files, location, 0))
        return error_out_of_memory(in->error, sizeof(NameSlot));
    const char *name;
    TRY(set_text(&name, in, location));
    char *path = path_join(in->folder, name);
    if (!path)
        return error_out_of_memory(in->error, location.len);
    FileStat stat;
    if (file_stat(&stat, path) && stat.is_regular)
        in->out->size_bytes = add_capped(in->out->size_bytes, stat.size);
    mem_free(path);
    return STATUS_OK;
}

static Status add_initializer(Summarizer *in, StrView message) {
    ProtoTensor tensor;
    TRY(proto_read_tensor(&tensor, message, in->origin, in->error));
    DType dtype = dtype_from_onnx(tensor.data_type);
    size_t size;
    if (!size_mul(&size, tensor.count, dtype_size(dtype)))
        return error_set(in->error, STATUS_CORRUPT, "tensor \"%.*s\": its shape overflows",
                         proto_shown(tensor.name), tensor.name.ptr);
    in->bytes[dtype] = add_capped(in->bytes[dtype], size);
    in->out->parameters = add_capped(in->out->parameters, tensor.count);
    return tensor.is_external ? add_external(in, tensor.location) : STATUS_OK;
}

static int by_falling_count(const void *a, const void *b) {
    const OnnxOpCount *x = a, *y = b;
    if (x->count != y->count)
        return x->count > y->count ? -1 : 1;
    return strcmp(x->op, y->op);
}

static Status add_metadata(Summarizer *in, const ProtoModel *proto) {
    OnnxSummary *out = in->out;
    out->metadata = arena_alloc_array(&out->arena, proto->metadata_count, sizeof *out->metadata);
    if (!out->metadata)
        return error_out_of_memory(in->error, proto->metadata_count * sizeof *out->metadata);
    Wire wire = wire_open(proto->message);
    StrView message;
    while (out->metadata_count < proto->metadata_count &&
           wire_find(&wire, MODEL_METADATA, &message)) {
        ProtoMeta meta;
        TRY(proto_read_meta(&meta, message, in->origin, in->error));
        GraphMeta *entry = &out->metadata[out->metadata_count];
        TRY(set_text(&entry->key, in, meta.key));
        TRY(set_text(&entry->value, in, meta.value));
        out->metadata_count++;
    }
    return STATUS_OK;
}

static Status add_header(Summarizer *in, const ProtoModel *proto) {
    OnnxSummary *out = in->out;
    out->ir_version = proto->ir_version;
    out->opset_version = proto->opset;
    out->model_version = proto->model_version;
    out->node_count = proto->node_count;
    TRY(set_text(&out->producer_name, in, proto->producer_name));
    TRY(set_text(&out->producer_version, in, proto->producer_version));
    TRY(set_text(&out->domain, in, proto->domain));
    TRY(set_text(&out->doc_string, in, proto->doc_string));
    TRY(set_text(&out->graph_name, in, proto->graph_name));
    out->inputs = arena_alloc_array(&out->arena, proto->input_count, sizeof *out->inputs);
    out->outputs = arena_alloc_array(&out->arena, proto->output_count, sizeof *out->outputs);
    if (!out->inputs || !out->outputs)
        return error_out_of_memory(in->error, sizeof *out->inputs);
    return add_metadata(in, proto);
}

// Names of initialisers, to tell weights among the inputs (old files) from inputs.
static Status name_initializers(Names *names, const ProtoModel *proto, Summarizer *in) {
    Wire wire = wire_open(proto->graph);
    StrView message;
    while (wire_find(&wire, GRAPH_INITIALIZER, &message)) {
        ProtoTensor tensor;
        int32_t seen;
        TRY(proto_read_tensor(&tensor, message, in->origin, in->error));
        if (!names_find(names, tensor.name, &seen) && !names_add(names, tensor.name, 0))
            return error_out_of_memory(in->error, sizeof(NameSlot));
    }
    return STATUS_OK;
}

static Status add_inputs(Summarizer *in, const ProtoModel *proto, const Names *initializers) {
    OnnxSummary *out = in->out;
    Wire wire = wire_open(proto->graph);
    StrView message;
    while (out->input_count < proto->input_count && wire_find(&wire, GRAPH_INPUT, &message)) {
        OnnxPort *port = &out->inputs[out->input_count];
        int32_t seen;
        *port = (OnnxPort){0};
        TRY(add_port(in, port, message));
        if (!names_find(initializers, sv(port->name), &seen))
            out->input_count++;
    }
    return STATUS_OK;
}

static Status add_graph(Summarizer *in, const ProtoModel *proto) {
    Wire wire = wire_open(proto->graph);
    WireField field;
    while (wire_next(&wire, &field)) {
        if (field.type != WIRE_BYTES)
            continue;
        ProtoNode node;
        switch (field.number) {
        case GRAPH_NODE:
            TRY(proto_read_node(&node, field.bytes, in->origin, in->error));
            TRY(add_op(in, &node));
            break;
        case GRAPH_INITIALIZER:
            TRY(add_initializer(in, field.bytes));
            break;
        case GRAPH_OUTPUT:
            if (in->out->output_count < proto->output_count)
                TRY(add_port(in, &in->out->outputs[in->out->output_count++], field.bytes));
            break;
        default:
            break;
        }
    }
    return STATUS_OK;
}

static Status summarize(Summarizer *in, StrView bytes) {
    ProtoModel proto;
    TRY(proto_read_model(&proto, bytes, in->error));
    TRY(add_header(in, &proto));
    Names initializers = {0};
    Status status = name_initializers(&initializers, &proto, in);
    if (status == STATUS_OK)
        status = add_inputs(in, &proto, &initializers);
    names_free(&initializers);
    TRY(status);
    TRY(add_graph(in, &proto));
    OnnxSummary *out = in->out;
    if (out->op_count > 0)
        qsort(out->ops, out->op_count, sizeof *out->ops, by_falling_count);
    for (int i = 0; i < 16; i++) {
        if (in->bytes[i] > in->bytes[out->weight_dtype])
            out->weight_dtype = (DType)i;
    }
    return STATUS_OK;
}

Status onnx_summarize(OnnxSummary **out, const char *path, Error *error) {
    *out = NULL;
    FileMap map = {0};
    OnnxSummary *summary = mem_alloc_zero(1, sizeof *summary);
    char *folder = path_dirname(path);
    Summarizer in = {.out = summary, .folder = folder, .error = error};
    Status status = STATUS_OK;
    if (!summary || !folder) {
        status = error_out_of_memory(error, sizeof *summary);
        goto done;
    }
    TRY_DONE(file_map(&map, path, error));
    summary->size_bytes = map.size;
    in.origin = (const char *)map.data;
    status = summarize(&in, sv_n(in.origin, map.size));
    if (status == STATUS_CORRUPT)
        error_prefix(error, status, "Invalid ONNX model");
done:
    names_free(&in.ops);
    names_free(&in.files);
    file_unmap(&map);
    mem_free(folder);
    if (status == STATUS_OK)
        *out = summary;
    else
        onnx_summary_free(summary);
    return status;
}

void onnx_summary_free(OnnxSummary *summary) {
    if (!summary)
        return;
    mem_free(summary->ops);
    arena_free(&summary->arena);
    mem_free(summary);
}
