// Inside text/: a SentencePiece .model file (protobuf's ModelProto) as views into its bytes.
#ifndef GPUX_TEXT_SENTENCEPIECE_H
#define GPUX_TEXT_SENTENCEPIECE_H

#include "base/status.h"
#include "base/str.h"

enum {
    SPM_MAX_FILE = 32 << 20,
    SPM_MAX_PIECES = 1 << 20,
    SPM_MAX_PIECE = 1024, // bytes of one piece
};

typedef enum SpmPieceType {
    SPM_NORMAL = 1,
    SPM_UNKNOWN = 2,
    SPM_CONTROL = 3,
    SPM_USER_DEFINED = 4,
    SPM_UNUSED = 5,
    SPM_BYTE = 6,
} SpmPieceType;

typedef struct SpmPiece {
    StrView text; // UTF-8, not empty
    float score;  // finite
    SpmPieceType type;
} SpmPiece;

typedef enum SpmModelType { SPM_UNIGRAM = 1, SPM_BPE = 2, SPM_WORD = 3, SPM_CHAR = 4 } SpmModelType;

typedef struct SpmModel {
    SpmPiece *pieces; // [count], in the order of their ids
    size_t count, cap;
    SpmModelType model_type; // SPM_UNIGRAM or SPM_BPE
    bool byte_fallback;
    int64_t unknown_id, bos_id, eos_id; // -1 = none; unknown_id is below count
    StrView unknown_piece, bos_piece, eos_piece;
    StrView charsmap; // empty = none
    bool add_dummy_prefix, remove_extra_whitespaces, escape_whitespaces;
} SpmModel;

// Reads a model; its texts are borrowed from `bytes`. STATUS_CORRUPT for a damaged file,
// STATUS_UNSUPPORTED for models of words or characters, STATUS_LIMIT beyond the numbers above.
Status spm_read(SpmModel *out, StrView bytes, Error *error);
void spm_free(SpmModel *model);

#endif
