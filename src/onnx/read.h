// Inside onnx/: what read.c and constant.c share. onnx_read_bytes is open to the fuzz target.
#ifndef GPUX_ONNX_READ_H
#define GPUX_ONNX_READ_H

#include "onnx/names.h"
#include "onnx/onnx.h"
#include "onnx/proto.h"

typedef struct ExternalFile {
    const char *name; // in the graph's arena
    FileMap map;
} ExternalFile;

struct OnnxModel {
    Graph *graph;
    FileMap map; // the model file; inline constants point into it
    ExternalFile *files;
    size_t file_count, file_cap;
    Names file_names; // name → index in files
};

typedef struct Reader {
    OnnxModel *model;
    Graph *graph;       // the model's
    const char *folder; // where external data lies; NULL = nowhere
    const char *origin; // first byte of the file
    Names values;       // name → ValueId
    Arena scratch;      // names with a NUL behind them, ids, attribute lists; freed after reading
    Error *error;
} Reader;

// Fills a zeroed model with the graph in `bytes`, which must outlive it. onnx_close either way.
Status onnx_read_bytes(OnnxModel *model, StrView bytes, const char *folder, Error *error);

// A NUL-terminated copy in the scratch arena, or NULL.
const char *onnx_reader_text(Reader *reader, StrView text);
// Notes that the new value `id` has this name; CORRUPT when the name is taken, and whatever made
// the graph refuse when id is NO_VALUE.
Status reader_define(Reader *reader, StrView name, ValueId id);
// Adds a tensor as constant `name`.
Status reader_add_tensor(Reader *reader, const ProtoTensor *tensor, StrView name);
// Adds the output of a Constant node.
Status reader_add_constant_node(Reader *reader, const ProtoNode *node);

#endif
