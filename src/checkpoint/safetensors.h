// Inside checkpoint/: one safetensors file becomes entries of a tensor list.
#ifndef GPUX_CHECKPOINT_SAFETENSORS_H
#define GPUX_CHECKPOINT_SAFETENSORS_H

#include "base/memory.h"
#include "checkpoint/checkpoint.h"

typedef struct TensorList {
    CheckpointTensor *items;
    size_t count, cap;
} TensorList;

// Checks the whole header of `map` and appends its tensors, sorted by offset. Names go to `arena`;
// `file` is kept as given. Does not read tensor bytes. On error the list may have gained entries.
Status safetensors_read(TensorList *list, Arena *arena, const FileMap *map, const char *file,
                        Error *error);

#endif
