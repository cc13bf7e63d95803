// The table of element types, and shapes as text. No arithmetic on elements.
#include "base/tensor.h"

#include "base/checked.h"

#include <inttypes.h>
#include <stdio.h>

typedef struct DTypeInfo {
    size_t size;
    const char *name;
    const char *safetensors;
    int onnx;
} DTypeInfo;

static const DTypeInfo dtypes[] = {
#define X(id, number, bytes, text, in_safetensors, in_onnx)                                        \
    [number] = {                                                                                   \
        .size = (bytes), .name = (text), .safetensors = (in_safetensors), .onnx = (in_onnx)},
    DTYPE_TABLE(X)
#undef X
};

enum { DTYPE_COUNT = (int)(sizeof dtypes / sizeof dtypes[0]) };

static const DTypeInfo *info(DType dtype) {
    return &dtypes[(unsigned)dtype < DTYPE_COUNT ? dtype : DTYPE_UNKNOWN];
}

size_t dtype_size(DType dtype) {
    return info(dtype)->size;
}

const char *dtype_name(DType dtype) {
    return info(dtype)->name;
}

DType dtype_from_name(StrView name) {
    for (int i = DTYPE_F32; i < DTYPE_COUNT; i++) {
        if (sv_equal_cstr(name, dtypes[i].name))
            return (DType)i;
    }
    return DTYPE_UNKNOWN;
}

DType dtype_from_safetensors(StrView name) {
    for (int i = DTYPE_F32; name.len > 0 && i < DTYPE_COUNT; i++) {
        if (sv_equal_cstr(name, dtypes[i].safetensors))
            return (DType)i;
    }
    return DTYPE_UNKNOWN;
}

int dtype_to_onnx(DType dtype) {
    return info(dtype)->onnx;
}

DType dtype_from_onnx(int64_t data_type) {
    for (int i = DTYPE_F32; i < DTYPE_COUNT; i++) {
        if (dtypes[i].onnx == data_type)
            return (DType)i;
    }
    return DTYPE_UNKNOWN;
}

bool shape_count(size_t *out, const int64_t *shape, int rank) {
    size_t count = 1;
    bool has_zero = false;
    for (int i = 0; i < rank; i++) {
        size_t dim;
        if (!size_from_i64(&dim, shape[i]))
            return false;
        has_zero |= dim == 0;
        // A zero anywhere makes the product zero, but must not excuse an overflow before it.
        if (dim != 0 && !size_mul(&count, count, dim))
            return false;
    }
    *out = has_zero ? 0 : count;
    return true;
}

char *shape_format(char *text, size_t size, const int64_t *shape, int rank) {
    if (size == 0)
        return text;
    size_t used = 0;
    text[0] = '\0';
    for (int i = -1; i <= rank && used < size; i++) {
        int wrote;
        if (i < 0)
            wrote = snprintf(text + used, size - used, "[");
        else if (i == rank)
            wrote = snprintf(text + used, size - used, "]");
        else
            wrote = snprintf(text + used, size - used, "%s%" PRId64, i > 0 ? ", " : "", shape[i]);
        if (wrote < 0)
            break;
        used += (size_t)wrote;
    }
    return text;
}
