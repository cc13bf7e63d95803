// TensorProto and Constant nodes → constants of the Graph.
//
// Bytes stay where they are: in the mapping of the model file or of an external file. Only typed
// fields that are not laid out like raw data are copied, into the graph's arena. External files
// must be plain files below the model's folder, reached without links: a model that comes from
// elsewhere cannot show the rest of the file system as weights.
#include "onnx/read.h"

#include "base/checked.h"
#include "base/memory.h"

#include <string.h>

// ---- External data ----

// No part of `name` below the folder is a link; the last is a plain file with one name.
static Status check_plain_file(FileStat *stat, const char *folder, const char *name, Error *error) {
    for (size_t len = 1; len <= strlen(name); len++) {
        if (name[len] != '/' && name[len] != '\0')
            continue;
        char *part = mem_strdup(name);
        if (!part)
            return error_out_of_memory(error, strlen(name) + 1);
        part[len] = '\0';
        char *path = path_join(folder, part);
        mem_free(part);
        if (!path)
            return error_out_of_memory(error, strlen(folder) + len + 2);
        bool exists = file_stat(stat, path);
        mem_free(path);
        if (!exists)
            return error_set(error, STATUS_NOT_FOUND,
                             "external data '%.200s' not found in '%.400s'", name, folder);
        if (stat->is_symlink || (name[len] == '\0' && (!stat->is_regular || stat->links != 1)))
            return error_set(error, STATUS_INVALID,
                             "external data '%.200s' must be a plain file in the model's folder, "
                             "not a link",
                             name);
    }
    return STATUS_OK;
}

static Status map_external(ExternalFile *out, const Reader *reader, const char *name) {
    FileStat stat;
    TRY(check_plain_file(&stat, reader->folder, name, reader->error));
    char *path = path_join(reader->folder, name);
    if (!path)
        return error_out_of_memory(reader->error, strlen(name));
    Status status = file_map(&out->map, path, reader->error);
    mem_free(path);
    TRY(status);
    out->name = name;
    const FileStat *now = &out->map.stat;
    if (now->inode == stat.inode && now->device == stat.device && now->links == 1)
        return STATUS_OK;
    file_unmap(&out->map);
    return error_set(reader->error, STATUS_IO, "external data '%.200s' changed while it was opened",
                     name);
}

// The open mapping of an external file, mapped at its first use.
static Status find_external(const ExternalFile **out, Reader *reader, StrView name) {
    OnnxModel *model = reader->model;
    int32_t index;
    if (names_find(&model->file_names, name, &index)) {
        *out = &model->files[index];
        return STATUS_OK;
    }
    if (!path_is_inside(name) || !reader->folder)
        return error_set(reader->error, STATUS_CORRUPT,
                         "external data '%.*s' is not inside the model's folder", proto_shown(name),
                         name.ptr);
    if (model->file_count == model->file_cap) {
        size_t cap = model->file_cap ? model->file_cap * 2 : 4;
        ExternalFile *files = mem_realloc_array(model->files, cap, sizeof *files);
        if (!files)
            return error_out_of_memory(reader->error, cap * sizeof *files);
        model->files = files;
        model->file_cap = cap;
    }
    const char *copy = arena_strndup(&model->graph->arena, name.ptr, name.len);
    if (!copy)
        return error_out_of_memory(reader->error, name.len + 1);
    TRY(map_external(&model->files[model->file_count], reader, copy));
    *out = &model->files[model->file_count++];
    if (!names_add(&model->file_names, sv(copy), (int32_t)(model->file_count - 1)))
        return error_out_of_memory(reader->error, sizeof(NameSlot));
    return STATUS_OK;
}

static Status add_external(ValueId *out, Reader *reader, const ProtoTensor *tensor,
                           const char *name, size_t size) {
    const ExternalFile *file = NULL;
    TRY(find_external(&file, reader, tensor->location));
    if (tensor->has_length && tensor->length != size)
        return error_set(reader->error, STATUS_CORRUPT,
                         "tensor \"%.200s\": its shape needs %zu bytes, its length is %llu", name,
                         size, (unsigned long long)tensor->length);
    if (tensor->offset > file->map.size || size > file->map.size - tensor->offset)
        return error_set(reader->error, STATUS_CORRUPT,
                         "tensor \"%.200s\": %zu bytes at %llu are past the end of '%.200s', which "
                         "has %zu",
                         name, size, (unsigned long long)tensor->offset, file->name,
                         file->map.size);
    *out = graph_add_constant(reader->graph, name, dtype_from_onnx(tensor->data_type), tensor->dims,
                              (int)tensor->rank, file->map.data + tensor->offset, size, file->name,
                              tensor->offset);
    return STATUS_OK;
}

// ---- Typed fields ----

static uint32_t typed_field(DType dtype) {
    switch (dtype) {
    case DTYPE_F32:
        return TENSOR_FLOAT_DATA;
    case DTYPE_F64:
        return TENSOR_DOUBLE_DATA;
    case DTYPE_I64:
        return TENSOR_INT64_DATA;
    case DTYPE_U32:
    case DTYPE_U64:
        return TENSOR_UINT64_DATA;
    default:
        return TENSOR_INT32_DATA;
    }
}

static bool is_fixed(DType dtype) {
    return dtype == DTYPE_F32 || dtype == DTYPE_F64;
}

// Range of the integers that int32_data or uint64_data may hold for a dtype of up to 4 bytes.
static bool fits(DType dtype, int64_t number) {
    switch (dtype) {
    case DTYPE_BOOL:
        return number == 0 || number == 1;
    case DTYPE_I8:
        return number >= INT8_MIN && number <= INT8_MAX;
    case DTYPE_U8:
        return number >= 0 && number <= UINT8_MAX;
    case DTYPE_I16:
        return number >= INT16_MIN && number <= INT16_MAX;
    case DTYPE_I32:
        return number >= INT32_MIN && number <= INT32_MAX;
    case DTYPE_U32:
        return number >= 0 && number <= UINT32_MAX;
    case DTYPE_U16:
    case DTYPE_F16: // the bits
    case DTYPE_BF16:
        return number >= 0 && number <= UINT16_MAX;
    default:
        return true;
    }
}

// Walks the typed field. With bytes NULL it only counts elements; *single is then the field's bytes
// when they are one packed run of fixed-size numbers. Otherwise it copies at most `count` elements.
static bool walk_typed(const ProtoTensor *tensor, DType dtype, char *bytes, size_t *count,
                       StrView *single) {
    size_t size = dtype_size(dtype), seen = 0, runs = 0;
    Wire wire = wire_open(tensor->message);
    WireField field;
    while (wire_next(&wire, &field)) {
        if (field.number != typed_field(dtype))
            continue;
        runs++;
        if (is_fixed(dtype)) {
            wire_get_fixed(&wire, &field, size, single);
            size_t more = single->len / size;
            if (bytes && more > *count - seen)
                return false;
            if (bytes && more > 0)
                memcpy(bytes + seen * size, single->ptr, single->len);
            seen += more;
            continue;
        }
        WireInts ints = wire_ints(&wire, &field);
        int64_t number;
        while (wire_ints_next(&wire, &ints, &number)) {
            if (bytes && (seen == *count || !fits(dtype, number)))
                return false;
            if (bytes)
                memcpy(bytes + seen * size, &number, size);
            seen++;
        }
    }
    if (runs != 1)
        *single = (StrView){"", 0};
    *count = seen;
    return !wire.broken;
}

static Status read_typed(const void **out, Reader *reader, const ProtoTensor *tensor, DType dtype,
                         const char *name, size_t size) {
    size_t count = 0;
    StrView single = {"", 0};
    if (!walk_typed(tensor, dtype, NULL, &count, &single))
        return error_set(reader->error, STATUS_CORRUPT, "tensor \"%.200s\" is damaged", name);
    if (count != tensor->count)
        return error_set(reader->error, STATUS_CORRUPT, "tensor \"%.200s\" has %zu elements of %zu",
                         name, count, tensor->count);
    if (single.len == size) {
        *out = single.ptr;
        return STATUS_OK;
    }
    char *bytes = arena_alloc(&reader->graph->arena, size);
    if (!bytes)
        return error_out_of_memory(reader->error, size);
    if (!walk_typed(tensor, dtype, bytes, &count, &single))
        return error_set(reader->error, STATUS_CORRUPT,
                         "tensor \"%.200s\" has an element that is no %s", name, dtype_name(dtype));
    *out = bytes;
    return STATUS_OK;
}

// ---- Constants ----

static Status add_inline(ValueId *out, Reader *reader, const ProtoTensor *tensor, const char *name,
                         size_t size) {
    DType dtype = dtype_from_onnx(tensor->data_type);
    const void *data = tensor->raw.ptr;
    if (tensor->has_raw && tensor->raw.len != size)
        return error_set(reader->error, STATUS_CORRUPT,
                         "tensor \"%.200s\": its shape needs %zu bytes, it has %zu", name, size,
                         tensor->raw.len);
    if (!tensor->has_raw)
        TRY(read_typed(&data, reader, tensor, dtype, name, size));
    *out = graph_add_constant(reader->graph, name, dtype, tensor->dims, (int)tensor->rank, data,
                              size, NULL, 0);
    return STATUS_OK;
}

Status reader_add_tensor(Reader *reader, const ProtoTensor *tensor, StrView name) {
    if (name.len == 0)
        return error_set(reader->error, STATUS_CORRUPT, "a constant has no name");
    const char *text = onnx_reader_text(reader, name);
    if (!text)
        return error_out_of_memory(reader->error, name.len + 1);
    DType dtype = dtype_from_onnx(tensor->data_type);
    if (dtype == DTYPE_UNKNOWN || dtype == DTYPE_STRING || tensor->has_segment)
        return error_set(reader->error, STATUS_UNSUPPORTED,
                         "tensor \"%.200s\": %s of ONNX type %lld is not supported", text,
                         tensor->has_segment ? "segmented data" : "a constant",
                         (long long)tensor->data_type);
    if (tensor->rank > TENSOR_MAX_RANK)
        return error_set(reader->error, STATUS_UNSUPPORTED,
                         "tensor \"%.200s\": rank %zu is over the limit of %d", text, tensor->rank,
                         TENSOR_MAX_RANK);
    size_t size;
    if (!size_mul(&size, tensor->count, dtype_size(dtype)))
        return error_set(reader->error, STATUS_CORRUPT, "tensor \"%.200s\": its shape overflows",
                         text);
    ValueId id = NO_VALUE;
    if (tensor->is_external)
        TRY(add_external(&id, reader, tensor, text, size));
    else
        TRY(add_inline(&id, reader, tensor, text, size));
    return reader_define(reader, name, id);
}

static Status add_numbers(ValueId *out, Reader *reader, const ProtoAttr *attr, const char *name) {
    bool is_float = attr->type == TYPE_FLOATS;
    size_t count = is_float ? attr->n_floats : attr->n_ints;
    char *numbers = arena_alloc_array(&reader->scratch, count, sizeof(int64_t));
    if (!numbers)
        return error_out_of_memory(reader->error, count * sizeof(int64_t));
    Wire wire = wire_open(attr->message);
    WireField field;
    char *at = numbers;
    const char *end = numbers + count * (is_float ? sizeof(float) : sizeof(int64_t));
    while (wire_next(&wire, &field)) {
        if (is_float && field.number == ATTRIBUTE_FLOATS) {
            StrView run;
            wire_get_fixed(&wire, &field, sizeof(float), &run);
            if (run.len == 0 || run.len > (size_t)(end - at))
                continue;
            memcpy(at, run.ptr, run.len);
            at += run.len;
        } else if (!is_float && field.number == ATTRIBUTE_INTS) {
            WireInts ints = wire_ints(&wire, &field);
            int64_t number;
            for (; at < end && wire_ints_next(&wire, &ints, &number); at += sizeof number)
                memcpy(at, &number, sizeof number);
        }
    }
    *out = is_float
               ? graph_add_f32(reader->graph, name, (const float *)(void *)numbers, count, 1)
               : graph_add_i64(reader->graph, name, (const int64_t *)(void *)numbers, count, 1);
    return STATUS_OK;
}

Status reader_add_constant_node(Reader *reader, const ProtoNode *node) {
    StrView output, message;
    Wire wire = wire_open(node->message);
    if (node->n_out != 1 || node->n_attrs != 1 || !wire_find(&wire, NODE_OUTPUT, &output) ||
        output.len == 0)
        return error_set(reader->error, STATUS_CORRUPT,
                         "a Constant needs one output and one attribute");
    wire = wire_open(node->message);
    if (!wire_find(&wire, NODE_ATTRIBUTE, &message))
        return wire_status(&wire, "NodeProto", reader->origin, reader->error);
    ProtoAttr attr;
    TRY(proto_read_attr(&attr, message, reader->origin, reader->error));
    const char *name = onnx_reader_text(reader, output);
    if (!name)
        return error_out_of_memory(reader->error, output.len + 1);
    ValueId id = NO_VALUE;
    ProtoTensor tensor;
    switch (attr.type) {
    case TYPE_TENSOR_VALUE:
        TRY(proto_read_tensor(&tensor, attr.t, reader->origin, reader->error));
        return reader_add_tensor(reader, &tensor, output);
    case TYPE_FLOAT:
        id = graph_add_f32(reader->graph, name, &attr.f, 1, 0);
        break;
    case TYPE_INT:
        id = graph_add_i64(reader->graph, name, &attr.i, 1, 0);
        break;
    case TYPE_FLOATS:
    case TYPE_INTS:
        TRY(add_numbers(&id, reader, &attr, name));
        break;
    default:
        return error_set(reader->error, STATUS_UNSUPPORTED,
                         "Constant \"%.200s\": attribute %.*s is not supported", name,
                         proto_shown(attr.name), attr.name.ptr);
    }
    return reader_define(reader, output, id);
}
