// Reads sentencepiece_model.proto: the pieces, and of the two specs only what changes the ids.
// Unknown fields are skipped, as protobuf wants it.
#include "text/sentencepiece.h"

#include "base/memory.h"
#include "base/wire.h"

#include <math.h>

// Field numbers.
enum {
    MODEL_PIECES = 1,
    MODEL_TRAINER = 2,
    MODEL_NORMALIZER = 3,
    PIECE_TEXT = 1,
    PIECE_SCORE = 2,
    PIECE_TYPE = 3,
    TRAINER_MODEL_TYPE = 3,
    TRAINER_BYTE_FALLBACK = 35,
    TRAINER_UNKNOWN_ID = 40,
    TRAINER_BOS_ID = 41,
    TRAINER_EOS_ID = 42,
    TRAINER_UNKNOWN_PIECE = 45,
    TRAINER_BOS_PIECE = 46,
    TRAINER_EOS_PIECE = 47,
    NORMALIZER_CHARSMAP = 2,
    NORMALIZER_DUMMY_PREFIX = 3,
    NORMALIZER_EXTRA_WHITESPACES = 4,
    NORMALIZER_ESCAPE_WHITESPACES = 5,
};

static void get_bool(Wire *wire, const WireField *field, bool *out) {
    int64_t number = *out;
    wire_get_i64(wire, field, &number);
    *out = number != 0;
}

static Status read_piece(SpmModel *model, StrView message, const char *origin, Error *error) {
    Wire wire = wire_open(message);
    WireField field;
    SpmPiece piece = {.text = {"", 0}, .type = SPM_NORMAL};
    int64_t type = SPM_NORMAL;
    while (wire_next(&wire, &field)) {
        if (field.number == PIECE_TEXT)
            wire_get_bytes(&wire, &field, &piece.text);
        else if (field.number == PIECE_SCORE)
            wire_get_f32(&wire, &field, &piece.score);
        else if (field.number == PIECE_TYPE)
            wire_get_i64(&wire, &field, &type);
    }
    TRY(wire_status(&wire, "a piece", origin, error));
    if (piece.text.len > SPM_MAX_PIECE)
        return error_set(error, STATUS_LIMIT, "piece %zu is longer than %d bytes", model->count,
                         SPM_MAX_PIECE);
    if (piece.text.len == 0 || !utf8_is_valid(piece.text, NULL) || !isfinite(piece.score) ||
        type < SPM_NORMAL || type > SPM_BYTE)
        return error_set(error, STATUS_CORRUPT,
                         "piece %zu has no text, no finite score or no known type", model->count);
    piece.type = (SpmPieceType)type;
    if (model->count == SPM_MAX_PIECES)
        return error_set(error, STATUS_LIMIT, "more than %d pieces", SPM_MAX_PIECES);
    if (model->count == model->cap) {
        size_t cap = model->cap ? model->cap * 2 : 1024;
        SpmPiece *grown = mem_realloc_array(model->pieces, cap, sizeof *grown);
        if (!grown)
            return error_out_of_memory(error, cap * sizeof *grown);
        model->pieces = grown;
        model->cap = cap;
    }
    model->pieces[model->count++] = piece;
    return STATUS_OK;
}

static Status read_trainer(SpmModel *model, StrView message, const char *origin, Error *error) {
    Wire wire = wire_open(message);
    WireField field;
    int64_t type = model->model_type;
    while (wire_next(&wire, &field)) {
        switch (field.number) {
        case TRAINER_MODEL_TYPE:
            wire_get_i64(&wire, &field, &type);
            break;
        case TRAINER_BYTE_FALLBACK:
            get_bool(&wire, &field, &model->byte_fallback);
            break;
        case TRAINER_UNKNOWN_ID:
            wire_get_i64(&wire, &field, &model->unknown_id);
            break;
        case TRAINER_BOS_ID:
            wire_get_i64(&wire, &field, &model->bos_id);
            break;
        case TRAINER_EOS_ID:
            wire_get_i64(&wire, &field, &model->eos_id);
            break;
        case TRAINER_UNKNOWN_PIECE:
            wire_get_text(&wire, &field, &model->unknown_piece);
            break;
        case TRAINER_BOS_PIECE:
            wire_get_text(&wire, &field, &model->bos_piece);
            break;
        case TRAINER_EOS_PIECE:
            wire_get_text(&wire, &field, &model->eos_piece);
            break;
        default:
            break;
        }
    }
    TRY(wire_status(&wire, "trainer_spec", origin, error));
    if (type == SPM_WORD || type == SPM_CHAR)
        return error_set(error, STATUS_UNSUPPORTED,
                         "SentencePiece models of %s are not supported, only unigram and bpe",
                         type == SPM_WORD ? "words" : "characters");
    if (type != SPM_UNIGRAM && type != SPM_BPE)
        return error_set(error, STATUS_CORRUPT, "trainer_spec has no known model_type");
    model->model_type = (SpmModelType)type;
    return STATUS_OK;
}

static Status read_normalizer(SpmModel *model, StrView message, const char *origin, Error *error) {
    Wire wire = wire_open(message);
    WireField field;
    while (wire_next(&wire, &field)) {
        if (field.number == NORMALIZER_CHARSMAP)
            wire_get_bytes(&wire, &field, &model->charsmap);
        else if (field.number == NORMALIZER_DUMMY_PREFIX)
            get_bool(&wire, &field, &model->add_dummy_prefix);
        else if (field.number == NORMALIZER_EXTRA_WHITESPACES)
            get_bool(&wire, &field, &model->remove_extra_whitespaces);
        else if (field.number == NORMALIZER_ESCAPE_WHITESPACES)
            get_bool(&wire, &field, &model->escape_whitespaces);
    }
    return wire_status(&wire, "normalizer_spec", origin, error);
}

static Status read_model(SpmModel *model, StrView bytes, Error *error) {
    Wire wire = wire_open(bytes);
    WireField field;
    while (wire_next(&wire, &field)) {
        if (field.type != WIRE_BYTES)
            continue;
        if (field.number == MODEL_PIECES)
            TRY(read_piece(model, field.bytes, bytes.ptr, error));
        else if (field.number == MODEL_TRAINER)
            TRY(read_trainer(model, field.bytes, bytes.ptr, error));
        else if (field.number == MODEL_NORMALIZER)
            TRY(read_normalizer(model, field.bytes, bytes.ptr, error));
    }
    TRY(wire_status(&wire, "SentencePiece model", bytes.ptr, error));
    if (model->count == 0)
        return error_set(error, STATUS_CORRUPT, "a SentencePiece model without pieces");
    if (model->unknown_id < 0 || (uint64_t)model->unknown_id >= model->count)
        return error_set(error, STATUS_CORRUPT, "unk_id is not the id of a piece");
    return STATUS_OK;
}

Status spm_read(SpmModel *out, StrView bytes, Error *error) {
    // The defaults of sentencepiece_model.proto.
    *out = (SpmModel){
        .model_type = SPM_UNIGRAM,
        .bos_id = 1,
        .eos_id = 2,
        .unknown_piece = SV("<unk>"),
        .bos_piece = SV("<s>"),
        .eos_piece = SV("</s>"),
        .charsmap = {"", 0},
        .add_dummy_prefix = true,
        .remove_extra_whitespaces = true,
        .escape_whitespaces = true,
    };
    Status status = read_model(out, bytes, error);
    if (status != STATUS_OK)
        spm_free(out);
    return status;
}

void spm_free(SpmModel *model) {
    mem_free(model->pieces);
    model->pieces = NULL;
    model->count = model->cap = 0;
}
