// The safetensors format: u64 header length, JSON header, tensor bytes.
//
// As strict as the format's own library: the tensors' byte ranges must cover the rest of the file
// exactly, without holes or overlaps, and each range must have the size that shape and dtype say.
#include "checkpoint/safetensors.h"

#include "base/checked.h"
#include "base/json.h"

#include <stdlib.h>
#include <string.h>

enum {
    MAX_HEADER_BYTES = 100 * 1000 * 1000, // the limit of the format's own library
    MAX_TENSORS = 1 << 20,
    LENGTH_BYTES = 8,
    NAME_SHOWN = 200,
};

static int shown(StrView text) {
    return text.len < NAME_SHOWN ? (int)text.len : NAME_SHOWN;
}

static Status tensor_error(Error *error, StrView name, Status code, const char *reason) {
    return error_set(error, code, "tensor \"%.*s\": %s", shown(name), name.ptr, reason);
}

static Status read_shape(CheckpointTensor *tensor, const JsonValue *shape, StrView name,
                         Error *error) {
    if (json_kind(shape) != JSON_ARRAY)
        return tensor_error(error, name, STATUS_CORRUPT, "\"shape\" is not a list");
    size_t rank = json_len(shape);
    if (rank > TENSOR_MAX_RANK)
        return error_set(error, STATUS_LIMIT, "tensor \"%.*s\": rank %zu is over the limit of %d",
                         shown(name), name.ptr, rank, TENSOR_MAX_RANK);
    tensor->rank = (int)rank;
    for (size_t i = 0; i < rank; i++) {
        if (!json_as_i64(&tensor->shape[i], json_at(shape, i)) || tensor->shape[i] < 0)
            return tensor_error(error, name, STATUS_CORRUPT,
                                "\"shape\" has something else than sizes");
    }
    return STATUS_OK;
}

static Status read_dtype(CheckpointTensor *tensor, const JsonValue *dtype, StrView name,
                         Error *error) {
    StrView text;
    if (!json_as_string(&text, dtype))
        return tensor_error(error, name, STATUS_CORRUPT, "\"dtype\" is not a string");
    tensor->dtype = dtype_from_safetensors(text);
    if (tensor->dtype == DTYPE_UNKNOWN)
        return error_set(error, STATUS_UNSUPPORTED, "tensor \"%.*s\": dtype %.*s is not supported",
                         shown(name), name.ptr, shown(text), text.ptr);
    return STATUS_OK;
}

// data_offsets count from the end of the header; data is the file's part behind it.
static Status read_range(CheckpointTensor *tensor, const JsonValue *offsets, StrView name,
                         StrView data, Error *error) {
    int64_t begin, end;
    if (json_kind(offsets) != JSON_ARRAY || json_len(offsets) != 2 ||
        !json_as_i64(&begin, json_at(offsets, 0)) || !json_as_i64(&end, json_at(offsets, 1)))
        return tensor_error(error, name, STATUS_CORRUPT, "\"data_offsets\" is not a pair of sizes");
    size_t from, to;
    if (!size_from_i64(&from, begin) || !size_from_i64(&to, end) || from > to)
        return tensor_error(error, name, STATUS_CORRUPT, "\"data_offsets\" run backwards");
    if (to > data.len)
        return error_set(error, STATUS_CORRUPT,
                         "tensor \"%.*s\": ends at byte %zu of %zu; the file is cut short",
                         shown(name), name.ptr, to, data.len);
    size_t count, size;
    if (!shape_count(&count, tensor->shape, tensor->rank) ||
        !size_mul(&size, count, dtype_size(tensor->dtype)))
        return tensor_error(error, name, STATUS_CORRUPT, "the shape overflows");
    if (size != to - from) {
        char text[128];
        return error_set(error, STATUS_CORRUPT,
                         "tensor \"%.*s\": %s %s needs %zu bytes, \"data_offsets\" give %zu",
                         shown(name), name.ptr, dtype_name(tensor->dtype),
                         shape_format(text, sizeof text, tensor->shape, tensor->rank), size,
                         to - from);
    }
    tensor->data = (const uint8_t *)data.ptr + from;
    tensor->size = size;
    tensor->offset = from;
    return STATUS_OK;
}

static Status read_tensor(CheckpointTensor *out, StrView name, const JsonValue *value, StrView data,
                          Error *error) {
    if (json_kind(value) != JSON_OBJECT)
        return tensor_error(error, name, STATUS_CORRUPT, "its entry is not an object");
    if (memchr(name.ptr, 0, name.len))
        return tensor_error(error, name, STATUS_CORRUPT, "its name contains a NUL character");
    TRY(read_dtype(out, json_get(value, "dtype"), name, error));
    TRY(read_shape(out, json_get(value, "shape"), name, error));
    return read_range(out, json_get(value, "data_offsets"), name, data, error);
}

static Status reserve(TensorList *list, size_t more, Error *error) {
    size_t need;
    if (!size_add(&need, list->count, more) || need > MAX_TENSORS)
        return error_set(error, STATUS_LIMIT, "more than %d tensors", MAX_TENSORS);
    if (need <= list->cap)
        return STATUS_OK;
    CheckpointTensor *items = mem_realloc_array(list->items, need, sizeof *items);
    if (!items)
        return error_out_of_memory(error, need * sizeof *items);
    list->items = items;
    list->cap = need;
    return STATUS_OK;
}

static int by_offset(const void *a, const void *b) {
    const CheckpointTensor *x = a, *y = b;
    if (x->offset != y->offset)
        return x->offset < y->offset ? -1 : 1;
    return (x->size > y->size) - (x->size < y->size);
}

// Sorts the entries from `first` on by offset and checks that their ranges follow each other up to
// the end of the file.
static Status check_cover(const TensorList *list, size_t first, size_t data_len, Error *error) {
    size_t count = list->count - first;
    CheckpointTensor *items = count > 0 ? list->items + first : NULL;
    if (count > 0)
        qsort(items, count, sizeof *items, by_offset);
    size_t at = 0;
    for (size_t i = 0; i < count; i++) {
        StrView name = sv(items[i].name);
        if (items[i].offset < at)
            return tensor_error(error, name, STATUS_CORRUPT, "its bytes overlap another tensor's");
        if (items[i].offset > at)
            return error_set(error, STATUS_CORRUPT,
                             "tensor \"%.*s\": %zu bytes before it belong to no tensor",
                             shown(name), name.ptr, (size_t)items[i].offset - at);
        at += items[i].size;
    }
    if (at != data_len)
        return error_set(error, STATUS_CORRUPT, "%zu bytes at the end belong to no tensor",
                         data_len - at);
    return STATUS_OK;
}

static Status read_header(TensorList *list, Arena *arena, const JsonValue *root, StrView data,
                          Error *error) {
    if (json_kind(root) != JSON_OBJECT)
        return error_set(error, STATUS_CORRUPT, "the header is not a JSON object");
    TRY(reserve(list, json_len(root), error));
    size_t iterator = 0;
    StrView name;
    const JsonValue *value;
    while (json_next(root, &iterator, &name, &value)) {
        if (sv_equal_cstr(name, "__metadata__"))
            continue;
        CheckpointTensor tensor = {0};
        TRY(read_tensor(&tensor, name, value, data, error));
        tensor.name = arena_strndup(arena, name.ptr, name.len);
        if (!tensor.name)
            return error_out_of_memory(error, name.len + 1);
        list->items[list->count++] = tensor;
    }
    return STATUS_OK;
}

static Status find_header(StrView *header, const FileMap *map, Error *error) {
    if (map->size < LENGTH_BYTES)
        return error_set(error, STATUS_CORRUPT, "%zu bytes are too few for a safetensors file",
                         map->size);
    uint64_t len = 0;
    for (int i = 0; i < LENGTH_BYTES; i++)
        len |= (uint64_t)map->data[i] << (8 * i);
    if (len > MAX_HEADER_BYTES)
        return error_set(
            error, STATUS_LIMIT,
            "header of %llu bytes is over the limit of %d; is this a safetensors file?",
            (unsigned long long)len, MAX_HEADER_BYTES);
    if (len > map->size - LENGTH_BYTES)
        return error_set(error, STATUS_CORRUPT,
                         "header of %llu bytes in a file of %zu; the file is cut short",
                         (unsigned long long)len, map->size);
    *header = sv_n((const char *)map->data + LENGTH_BYTES, (size_t)len);
    if (header->len == 0 || header->ptr[0] != '{')
        return error_set(error, STATUS_CORRUPT, "the header does not begin with '{'");
    return STATUS_OK;
}

Status safetensors_read(TensorList *list, Arena *arena, const FileMap *map, const char *file,
                        Error *error) {
    StrView header;
    TRY(find_header(&header, map, error));
    JsonDoc *doc = NULL;
    Status status = json_parse(&doc, header, JSON_REJECT_DUPLICATES, error);
    if (status != STATUS_OK) {
        if (error)
            error->offset += LENGTH_BYTES;
        return error_prefix(error, status, "header");
    }
    size_t first = list->count;
    size_t data_start = LENGTH_BYTES + header.len;
    StrView data = sv_n(header.ptr + header.len, map->size - data_start);
    TRY_DONE(read_header(list, arena, json_root(doc), data, error));
    TRY_DONE(check_cover(list, first, data.len, error));
    for (size_t i = first; i < list->count; i++) {
        list->items[i].offset += data_start;
        list->items[i].file = file;
    }
done:
    json_free(doc);
    return status;
}
