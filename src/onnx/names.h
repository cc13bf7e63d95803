// Inside onnx/: names → small numbers. Keys are borrowed.
#ifndef GPUX_ONNX_NAMES_H
#define GPUX_ONNX_NAMES_H

#include "base/str.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

typedef struct NameSlot {
    StrView key;
    int32_t value;
    bool is_used;
} NameSlot;

typedef struct Names {
    NameSlot *slots; // cap is 0 or a power of two, at most half full
    size_t count, cap;
} Names;

// Adds a name that is not there yet; false when out of memory.
bool names_add(Names *names, StrView key, int32_t value);
bool names_find(const Names *names, StrView key, int32_t *value);
void names_free(Names *names);

#endif
