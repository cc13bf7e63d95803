// Element types and plain tensor views. No arithmetic here.
#ifndef GPUX_BASE_TENSOR_H
#define GPUX_BASE_TENSOR_H

#include "base/status.h"
#include "base/str.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { TENSOR_MAX_RANK = 8 };

// name, value (equals gpux_dtype in gpux.h), bytes, spelled name, safetensors name, ONNX data_type
#define DTYPE_TABLE(X)                                                                             \
    X(UNKNOWN, 0, 0, "unknown", "", 0)                                                             \
    X(F32, 1, 4, "float32", "F32", 1)                                                              \
    X(F64, 2, 8, "float64", "F64", 11)                                                             \
    X(F16, 3, 2, "float16", "F16", 10)                                                             \
    X(BF16, 4, 2, "bfloat16", "BF16", 16)                                                          \
    X(I8, 5, 1, "int8", "I8", 3)                                                                   \
    X(U8, 6, 1, "uint8", "U8", 2)                                                                  \
    X(I16, 7, 2, "int16", "I16", 5)                                                                \
    X(U16, 8, 2, "uint16", "U16", 4)                                                               \
    X(I32, 9, 4, "int32", "I32", 6)                                                                \
    X(U32, 10, 4, "uint32", "U32", 12)                                                             \
    X(I64, 11, 8, "int64", "I64", 7)                                                               \
    X(U64, 12, 8, "uint64", "U64", 13)                                                             \
    X(BOOL, 13, 1, "bool", "BOOL", 9)                                                              \
    X(STRING, 14, 0, "string", "", 8)

typedef enum DType {
#define X(name, value, size, text, safetensors, onnx) DTYPE_##name = value,
    DTYPE_TABLE(X)
#undef X
} DType;

size_t dtype_size(DType dtype); // bytes; 0 for unknown and string
const char *dtype_name(DType dtype);
DType dtype_from_name(StrView name);        // "float32"
DType dtype_from_safetensors(StrView name); // "F32"
int dtype_to_onnx(DType dtype);
DType dtype_from_onnx(int64_t data_type);

// A contiguous row-major view; never owns.
typedef struct Tensor {
    DType dtype;
    int rank;
    int64_t shape[TENSOR_MAX_RANK];
    void *data;
} Tensor;

// Product of the dimensions; false on overflow or a negative dimension.
bool shape_count(size_t *out, const int64_t *shape, int rank);
// "[2, 3]" into text; returns text. Cut when it does not fit.
char *shape_format(char *text, size_t size, const int64_t *shape, int rank);

#endif
