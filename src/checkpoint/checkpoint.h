// The door of checkpoint/: named tensors on disk, memory-mapped, never copied.
//
// A checkpoint is a folder with model.safetensors, or shards with model.safetensors.index.json.
// Everything in the file is checked on opening: header size, dtypes, shapes, offsets inside the
// file, no overlaps, no gaps that matter, no duplicate names. After that a tensor's bytes may be
// trusted to be inside the mapping.
#ifndef GPUX_CHECKPOINT_CHECKPOINT_H
#define GPUX_CHECKPOINT_CHECKPOINT_H

#include "base/file.h"
#include "base/status.h"
#include "base/str.h"
#include "base/tensor.h"

#include <stddef.h>
#include <stdint.h>

typedef struct Checkpoint Checkpoint;

// One tensor; everything is borrowed from the Checkpoint.
typedef struct CheckpointTensor {
    const char *name;
    DType dtype;
    int rank;
    int64_t shape[TENSOR_MAX_RANK];
    const uint8_t *data; // size bytes, possibly unaligned
    size_t size;
    const char *file; // file name inside the folder, e.g. "model-00001-of-00002.safetensors"
    uint64_t offset;  // of data from the start of that file
} CheckpointTensor;

// Opens the weights in `folder`. STATUS_NOT_FOUND when there are none (naming what was looked for),
// STATUS_CORRUPT with file, reason and offset for lying files, STATUS_LIMIT over the stated limits.
Status checkpoint_open(Checkpoint **out, const char *folder, Error *error);
void checkpoint_close(Checkpoint *checkpoint);

size_t checkpoint_count(const Checkpoint *checkpoint);
const CheckpointTensor *checkpoint_at(const Checkpoint *checkpoint, size_t index); // sorted by name
const CheckpointTensor *checkpoint_find(const Checkpoint *checkpoint, const char *name); // or NULL
const char *checkpoint_format(const Checkpoint *checkpoint); // "safetensors"
// Names of the weight files inside the folder, in shard order.
size_t checkpoint_file_count(const Checkpoint *checkpoint);
const char *checkpoint_file(const Checkpoint *checkpoint, size_t index);
// Elements of all tensors together.
uint64_t checkpoint_parameters(const Checkpoint *checkpoint);

#endif
