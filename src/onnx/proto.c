// Reads the messages of onnx.proto, each one flat: a view of its own fields.
//
// Unknown fields are skipped, as protobuf does; a known field with the wrong wire type is damage.
// Where a field stands twice the last one wins, except for the graph itself.
#include "onnx/proto.h"

#include "base/checked.h"

#include <string.h>

enum { TEXT_SHOWN = 200 };

int proto_shown(StrView text) {
    return text.len < TEXT_SHOWN ? (int)text.len : TEXT_SHOWN;
}

static Status read_opset(ProtoModel *out, StrView message, const char *origin, Error *error) {
    StrView domain = {"", 0};
    int64_t version = 0;
    Wire wire = wire_open(message);
    WireField field;
    while (wire_next(&wire, &field)) {
        if (field.number == OPSET_DOMAIN)
            wire_get_text(&wire, &field, &domain);
        else if (field.number == OPSET_VERSION)
            wire_get_i64(&wire, &field, &version);
    }
    if (domain.len == 0 || sv_equal(domain, SV("ai.onnx")))
        out->opset = version;
    return wire_status(&wire, "OperatorSetIdProto", origin, error);
}

static Status read_graph(ProtoModel *out, const char *origin, Error *error) {
    Wire wire = wire_open(out->graph);
    WireField field;
    StrView bytes;
    while (wire_next(&wire, &field)) {
        switch (field.number) {
        case GRAPH_NAME:
            wire_get_text(&wire, &field, &out->graph_name);
            break;
        case GRAPH_NODE:
            wire_get_bytes(&wire, &field, &bytes);
            out->node_count++;
            break;
        case GRAPH_INITIALIZER:
            wire_get_bytes(&wire, &field, &bytes);
            out->initializer_count++;
            break;
        case GRAPH_INPUT:
            wire_get_bytes(&wire, &field, &bytes);
            out->input_count++;
            break;
        case GRAPH_OUTPUT:
            wire_get_bytes(&wire, &field, &bytes);
            out->output_count++;
            break;
        case GRAPH_SPARSE_INITIALIZER:
            out->has_sparse = true;
            break;
        default:
            break;
        }
    }
    return wire_status(&wire, "GraphProto", origin, error);
}

static void read_model_field(ProtoModel *out, Wire *wire, const WireField *field) {
    StrView bytes;
    switch (field->number) {
    case MODEL_IR_VERSION:
        wire_get_i64(wire, field, &out->ir_version);
        break;
    case MODEL_PRODUCER_NAME:
        wire_get_text(wire, field, &out->producer_name);
        break;
    case MODEL_PRODUCER_VERSION:
        wire_get_text(wire, field, &out->producer_version);
        break;
    case MODEL_DOMAIN:
        wire_get_text(wire, field, &out->domain);
        break;
    case MODEL_MODEL_VERSION:
        wire_get_i64(wire, field, &out->model_version);
        break;
    case MODEL_DOC_STRING:
        wire_get_text(wire, field, &out->doc_string);
        break;
    case MODEL_METADATA:
        wire_get_bytes(wire, field, &bytes);
        out->metadata_count++;
        break;
    default:
        break;
    }
}

Status proto_read_model(ProtoModel *out, StrView bytes, Error *error) {
    StrView empty = {"", 0};
    *out = (ProtoModel){.message = bytes,
                        .producer_name = empty,
                        .producer_version = empty,
                        .domain = empty,
                        .doc_string = empty,
                        .graph_name = empty};
    Wire wire = wire_open(bytes);
    WireField field;
    int graphs = 0;
    while (wire_next(&wire, &field)) {
        StrView opset = empty;
        if (field.number == MODEL_GRAPH) {
            wire_get_bytes(&wire, &field, &out->graph);
            graphs++;
        } else if (field.number == MODEL_OPSET_IMPORT) {
            wire_get_bytes(&wire, &field, &opset);
            TRY(read_opset(out, opset, bytes.ptr, error));
        } else {
            read_model_field(out, &wire, &field);
        }
    }
    TRY(wire_status(&wire, "ModelProto", bytes.ptr, error));
    if (graphs != 1)
        return error_set(error, STATUS_CORRUPT, graphs ? "more than one graph" : "no graph");
    if (out->ir_version <= 0)
        return error_set(error, STATUS_CORRUPT, "no IR version");
    return read_graph(out, bytes.ptr, error);
}

Status proto_read_meta(ProtoMeta *out, StrView message, const char *origin, Error *error) {
    *out = (ProtoMeta){.key = {"", 0}, .value = {"", 0}};
    Wire wire = wire_open(message);
    WireField field;
    while (wire_next(&wire, &field)) {
        if (field.number == META_KEY)
            wire_get_text(&wire, &field, &out->key);
        else if (field.number == META_VALUE)
            wire_get_text(&wire, &field, &out->value);
    }
    return wire_status(&wire, "StringStringEntryProto", origin, error);
}

Status proto_read_node(ProtoNode *out, StrView message, const char *origin, Error *error) {
    StrView bytes, empty = {"", 0};
    *out = (ProtoNode){.message = message, .name = empty, .op = empty, .domain = empty};
    Wire wire = wire_open(message);
    WireField field;
    while (wire_next(&wire, &field)) {
        switch (field.number) {
        case NODE_INPUT:
            wire_get_text(&wire, &field, &bytes);
            out->n_in++;
            break;
        case NODE_OUTPUT:
            wire_get_text(&wire, &field, &bytes);
            out->n_out++;
            break;
        case NODE_NAME:
            wire_get_text(&wire, &field, &out->name);
            break;
        case NODE_OP_TYPE:
            wire_get_text(&wire, &field, &out->op);
            break;
        case NODE_DOMAIN:
            wire_get_text(&wire, &field, &out->domain);
            break;
        case NODE_ATTRIBUTE:
            wire_get_bytes(&wire, &field, &bytes);
            out->n_attrs++;
            break;
        default:
            break;
        }
    }
    TRY(wire_status(&wire, "NodeProto", origin, error));
    if (out->op.len == 0)
        return error_set(error, STATUS_CORRUPT, "node \"%.*s\" has no op_type",
                         proto_shown(out->name), out->name.ptr);
    if (sv_equal(out->domain, SV("ai.onnx")))
        out->domain = empty;
    return STATUS_OK;
}

static void count_ints(Wire *wire, const WireField *field, size_t *count) {
    WireInts ints = wire_ints(wire, field);
    int64_t number;
    while (wire_ints_next(wire, &ints, &number))
        ++*count;
}

static void count_floats(Wire *wire, const WireField *field, size_t *count) {
    StrView bytes;
    wire_get_fixed(wire, field, sizeof(float), &bytes);
    *count += bytes.len / sizeof(float);
}

Status proto_read_attr(ProtoAttr *out, StrView message, const char *origin, Error *error) {
    StrView empty = {"", 0};
    *out = (ProtoAttr){.message = message, .name = empty, .s = empty, .t = empty};
    Wire wire = wire_open(message);
    WireField field;
    while (wire_next(&wire, &field)) {
        switch (field.number) {
        case ATTRIBUTE_NAME:
            wire_get_text(&wire, &field, &out->name);
            break;
        case ATTRIBUTE_F:
            wire_get_f32(&wire, &field, &out->f);
            break;
        case ATTRIBUTE_I:
            wire_get_i64(&wire, &field, &out->i);
            break;
        case ATTRIBUTE_S:
            wire_get_bytes(&wire, &field, &out->s);
            break;
        case ATTRIBUTE_T:
            wire_get_bytes(&wire, &field, &out->t);
            break;
        case ATTRIBUTE_FLOATS:
            count_floats(&wire, &field, &out->n_floats);
            break;
        case ATTRIBUTE_INTS:
            count_ints(&wire, &field, &out->n_ints);
            break;
        case ATTRIBUTE_TYPE:
            wire_get_i64(&wire, &field, &out->type);
            break;
        case ATTRIBUTE_REFERENCE:
            out->is_reference = true;
            break;
        default:
            break;
        }
    }
    TRY(wire_status(&wire, "AttributeProto", origin, error));
    if (out->name.len == 0)
        return error_set(error, STATUS_CORRUPT, "an attribute has no name");
    return STATUS_OK;
}

static void read_dims(ProtoTensor *out, Wire *wire, const WireField *field) {
    WireInts ints = wire_ints(wire, field);
    int64_t size;
    while (wire_ints_next(wire, &ints, &size)) {
        size_t dim;
        if (!size_from_i64(&dim, size) || !size_mul(&out->count, out->count, dim)) {
            wire->broken = "a shape is negative or overflows";
            return;
        }
        if (out->rank < TENSOR_MAX_RANK)
            out->dims[out->rank] = size;
        out->rank++;
    }
}

// One key of external_data: location, offset, length; others (checksum, basepath) are not needed.
static Status read_external(ProtoTensor *out, StrView message, const char *origin, Error *error) {
    ProtoMeta entry;
    TRY(proto_read_meta(&entry, message, origin, error));
    if (sv_equal(entry.key, SV("location"))) {
        out->location = entry.value;
        return STATUS_OK;
    }
    bool is_length = sv_equal(entry.key, SV("length"));
    if (!is_length && !sv_equal(entry.key, SV("offset")))
        return STATUS_OK;
    int64_t number;
    if (!sv_to_i64(&number, entry.value) || number < 0)
        return error_set(error, STATUS_CORRUPT, "external data: %.*s \"%.*s\" is not a size",
                         proto_shown(entry.key), entry.key.ptr, proto_shown(entry.value),
                         entry.value.ptr);
    if (is_length) {
        out->length = (uint64_t)number;
        out->has_length = true;
    } else {
        out->offset = (uint64_t)number;
    }
    return STATUS_OK;
}

Status proto_read_tensor(ProtoTensor *out, StrView message, const char *origin, Error *error) {
    StrView empty = {"", 0};
    *out = (ProtoTensor){
        .message = message, .name = empty, .raw = empty, .location = empty, .count = 1};
    Wire wire = wire_open(message);
    WireField field;
    int64_t location = 0;
    while (wire_next(&wire, &field)) {
        StrView entry = empty;
        switch (field.number) {
        case TENSOR_DIMS:
            read_dims(out, &wire, &field);
            break;
        case TENSOR_DATA_TYPE:
            wire_get_i64(&wire, &field, &out->data_type);
            break;
        case TENSOR_SEGMENT:
            out->has_segment = true;
            break;
        case TENSOR_NAME:
            wire_get_text(&wire, &field, &out->name);
            break;
        case TENSOR_RAW_DATA:
            wire_get_bytes(&wire, &field, &out->raw);
            out->has_raw = true;
            break;
        case TENSOR_EXTERNAL_DATA:
            wire_get_bytes(&wire, &field, &entry);
            TRY(read_external(out, entry, origin, error));
            break;
        case TENSOR_DATA_LOCATION:
            wire_get_i64(&wire, &field, &location);
            break;
        default:
            break;
        }
    }
    out->is_external = location == LOCATION_EXTERNAL;
    return wire_status(&wire, "TensorProto", origin, error);
}

static Status read_dim(ProtoPort *out, StrView message, const char *origin, Error *error) {
    int64_t size = -1;
    StrView symbol = {"", 0};
    Wire wire = wire_open(message);
    WireField field;
    while (wire_next(&wire, &field)) {
        if (field.number == DIM_VALUE)
            wire_get_i64(&wire, &field, &size);
        else if (field.number == DIM_SYMBOL)
            wire_get_text(&wire, &field, &symbol);
    }
    if (out->rank < TENSOR_MAX_RANK) {
        out->dims[out->rank] = size < 0 ? -1 : size;
        out->symbols[out->rank] = symbol;
    }
    out->rank++;
    return wire_status(&wire, "TensorShapeProto.Dimension", origin, error);
}

static Status read_tensor_type(ProtoPort *out, StrView message, const char *origin, Error *error) {
    StrView shape = {"", 0}, dim;
    Wire wire = wire_open(message);
    WireField field;
    while (wire_next(&wire, &field)) {
        if (field.number == TYPE_TENSOR_ELEMENT) {
            wire_get_i64(&wire, &field, &out->data_type);
        } else if (field.number == TYPE_TENSOR_SHAPE) {
            wire_get_bytes(&wire, &field, &shape);
            out->has_shape = true;
        }
    }
    TRY(wire_status(&wire, "TypeProto.Tensor", origin, error));
    wire = wire_open(shape);
    while (wire_find(&wire, SHAPE_DIM, &dim))
        TRY(read_dim(out, dim, origin, error));
    return wire_status(&wire, "TensorShapeProto", origin, error);
}

Status proto_read_port(ProtoPort *out, StrView message, const char *origin, Error *error) {
    *out = (ProtoPort){.name = {"", 0}};
    StrView type = {"", 0}, tensor;
    Wire wire = wire_open(message);
    WireField field;
    while (wire_next(&wire, &field)) {
        if (field.number == PORT_NAME)
            wire_get_text(&wire, &field, &out->name);
        else if (field.number == PORT_TYPE)
            wire_get_bytes(&wire, &field, &type);
    }
    TRY(wire_status(&wire, "ValueInfoProto", origin, error));
    if (out->name.len == 0)
        return error_set(error, STATUS_CORRUPT, "an input or output of the graph has no name");
    wire = wire_open(type);
    if (wire_find(&wire, TYPE_TENSOR, &tensor)) {
        out->is_tensor = true;
        TRY(read_tensor_type(out, tensor, origin, error));
    }
    return wire_status(&wire, "TypeProto", origin, error);
}
