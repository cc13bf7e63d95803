// The pre-tokenizers: each step cuts the pieces of a text into smaller ones, or rewrites their
// text. Pieces that are added tokens are never touched.
#include "text/pipeline.h"

// ---- Cutting: matches in order, and what a behaviour makes of them ----

typedef struct Cutter {
    PieceList *out;
    const AlignedText *text;
    SplitBehavior behavior;
    bool previous_match;
    bool has_pending; // the last piece, held back because the next match may be joined to it
    size_t pending_begin, pending_end;
} Cutter;

static void cut(Cutter *cutter, size_t begin, size_t end) {
    if (begin < end)
        piece_list_push(cutter->out, (Piece){.begin = (uint32_t)begin,
                                             .end = (uint32_t)end,
                                             .origin = cutter->text->start[begin],
                                             .id = -1});
}

static void flush(Cutter *cutter) {
    if (cutter->has_pending)
        cut(cutter, cutter->pending_begin, cutter->pending_end);
    cutter->has_pending = false;
}

static void hold(Cutter *cutter, size_t begin, size_t end) {
    flush(cutter);
    cutter->has_pending = true;
    cutter->pending_begin = begin;
    cutter->pending_end = end;
}

// Takes the next stretch of the text, which is a match of the pattern or what lies between two.
static void cutter_take(Cutter *cutter, size_t begin, size_t end, bool is_match) {
    bool joins = false;
    switch (cutter->behavior) {
    case SPLIT_REMOVED:
        if (!is_match)
            cut(cutter, begin, end);
        return;
    case SPLIT_ISOLATED:
        cut(cutter, begin, end);
        return;
    case SPLIT_CONTIGUOUS:
        joins = is_match == cutter->previous_match;
        break;
    case SPLIT_MERGED_WITH_PREVIOUS:
        joins = is_match && !cutter->previous_match;
        break;
    case SPLIT_MERGED_WITH_NEXT:
        // Here the held piece is a match that waits for what follows.
        if (!is_match && cutter->has_pending && cutter->previous_match)
            cutter->pending_end = end;
        else
            hold(cutter, begin, end);
        cutter->previous_match = is_match;
        return;
    }
    if (joins && cutter->has_pending)
        cutter->pending_end = end;
    else
        hold(cutter, begin, end);
    cutter->previous_match = is_match;
}

static void cut_class(const UnicodeTable *unicode, Cutter *cutter, const Piece *piece,
                      uint32_t bits) {
    const char *text = cutter->text->bytes;
    size_t done = piece->begin, len;
    for (size_t pos = piece->begin; pos < piece->end; pos += len) {
        if (!(unicode_class(unicode, utf8_decode_valid(text + pos, &len)) & bits))
            continue;
        if (done < pos)
            cutter_take(cutter, done, pos, false);
        cutter_take(cutter, pos, pos + len, true);
        done = pos + len;
    }
    if (done < piece->end)
        cutter_take(cutter, done, piece->end, false);
}

static void cut_code_point(Cutter *cutter, const Piece *piece, uint32_t code_point) {
    char wanted[4];
    size_t len = (size_t)utf8_encode(wanted, code_point);
    const char *text = cutter->text->bytes;
    size_t done = piece->begin;
    for (size_t pos = piece->begin; pos + len <= piece->end;) {
        if (text[pos] != wanted[0] || memcmp(text + pos, wanted, len) != 0) {
            pos++;
            continue;
        }
        if (done < pos)
            cutter_take(cutter, done, pos, false);
        cutter_take(cutter, pos, pos + len, true);
        pos += len;
        done = pos;
    }
    if (done < piece->end)
        cutter_take(cutter, done, piece->end, false);
}

// White space goes, punctuation stands alone.
static void cut_bert(const UnicodeTable *unicode, Cutter *cutter, const Piece *piece) {
    const char *text = cutter->text->bytes;
    size_t done = piece->begin, len;
    for (size_t pos = piece->begin; pos < piece->end; pos += len) {
        uint32_t bits = unicode_class(unicode, utf8_decode_valid(text + pos, &len));
        if (!(bits & (CLASS_WHITESPACE | CLASS_PUNCTUATION)))
            continue;
        cut(cutter, done, pos);
        if (!(bits & CLASS_WHITESPACE))
            cut(cutter, pos, pos + len);
        done = pos + len;
    }
    cut(cutter, done, piece->end);
}

static void cut_words(const UnicodeTable *unicode, Cutter *cutter, const Piece *piece) {
    const char *text = cutter->text->bytes;
    size_t done = piece->begin, len;
    uint32_t previous = CLASS_WHITESPACE;
    for (size_t pos = piece->begin; pos < piece->end; pos += len) {
        uint32_t bits = unicode_class(unicode, utf8_decode_valid(text + pos, &len));
        uint32_t kind = bits & CLASS_WORD ? CLASS_WORD : bits & CLASS_WHITESPACE;
        if (kind == previous)
            continue;
        if (previous != CLASS_WHITESPACE)
            cut(cutter, done, pos);
        previous = kind;
        done = pos;
    }
    if (previous != CLASS_WHITESPACE)
        cut(cutter, done, piece->end);
}

static void cut_fixed_length(Cutter *cutter, const Piece *piece, uint32_t length) {
    size_t done = piece->begin, pos = piece->begin;
    uint32_t count = 0;
    while (pos < piece->end) {
        pos += utf8_lead_len(cutter->text->bytes[pos]);
        if (++count == length) {
            cut(cutter, done, pos);
            done = pos;
            count = 0;
        }
    }
    cut(cutter, done, piece->end);
}

typedef struct PatternCut {
    Cutter *cutter;
    bool invert;
    size_t base, done;
} PatternCut;

static Status take_match(void *ctx, size_t begin, size_t end) {
    PatternCut *job = ctx;
    begin += job->base;
    end += job->base;
    if (job->done != begin)
        cutter_take(job->cutter, job->done, begin, job->invert);
    cutter_take(job->cutter, begin, end, !job->invert);
    job->done = end;
    return STATUS_OK;
}

static Status cut_pattern(Cutter *cutter, const Piece *piece, const PreTokenizeStep *step,
                          Error *error) {
    PatternCut job = {
        .cutter = cutter, .invert = step->invert, .base = piece->begin, .done = piece->begin};
    StrView text = sv_n(cutter->text->bytes + piece->begin, piece->end - piece->begin);
    TRY(pattern_each(&step->pattern, text, take_match, &job, error));
    if (job.done != piece->end)
        cutter_take(cutter, job.done, piece->end, step->invert);
    return STATUS_OK;
}

// The known patterns match everything, so every behaviour but REMOVED gives the same pieces.
static void cut_known(const UnicodeTable *unicode, Cutter *cutter, const Piece *piece,
                      const PreTokenizeStep *step) {
    StrView text = sv_n(cutter->text->bytes, piece->end);
    for (size_t pos = piece->begin; pos < piece->end;) {
        size_t end = step->kind == PRETOKENIZE_GPT2
                         ? gpt2_word_end(unicode, text, pos)
                         : cl100k_word_end(unicode, text, pos, step->length);
        cut(cutter, pos, end);
        pos = end;
    }
}

static Status cut_piece(const Tokenizer *tokenizer, const PreTokenizeStep *step, Pieces *pieces,
                        const Piece *piece, Error *error) {
    const UnicodeTable *unicode = &tokenizer->unicode;
    Cutter cutter = {.out = &pieces->spare_list, .text = &pieces->text, .behavior = step->behavior};
    switch (step->kind) {
    case PRETOKENIZE_BERT:
        cut_bert(unicode, &cutter, piece);
        break;
    case PRETOKENIZE_CLASS:
        cut_class(unicode, &cutter, piece, step->class_bits);
        break;
    case PRETOKENIZE_WORDS:
        cut_words(unicode, &cutter, piece);
        break;
    case PRETOKENIZE_PATTERN:
        TRY(cut_pattern(&cutter, piece, step, error));
        break;
    case PRETOKENIZE_DELIMITER:
    case PRETOKENIZE_METASPACE:
        cut_code_point(&cutter, piece, step->code_point);
        break;
    case PRETOKENIZE_FIXED_LENGTH:
        cut_fixed_length(&cutter, piece, step->length);
        break;
    default:
        cut_known(unicode, &cutter, piece, step);
        break;
    }
    flush(&cutter);
    return STATUS_OK;
}

// ---- Rewriting: the text of all pieces into the spare text ----

static void prefix_space(AlignedText *out, const AlignedText *in, const Piece *piece) {
    if (in->bytes[piece->begin] != ' ')
        aligned_append_all(out, SV(" "), in->start[piece->begin], in->end[piece->begin]);
    aligned_copy(out, in, piece->begin, piece->end);
}

static void metaspace(AlignedText *out, const AlignedText *in, const Piece *piece,
                      const PreTokenizeStep *step) {
    char bytes[4];
    StrView replacement = sv_n(bytes, (size_t)utf8_encode(bytes, step->code_point));
    StrView text = sv_n(in->bytes + piece->begin, piece->end - piece->begin);
    bool starts_with = text.ptr[0] == ' ' || sv_starts_with(text, replacement);
    bool wanted =
        step->prepend == PREPEND_ALWAYS || (step->prepend == PREPEND_FIRST && piece->origin == 0);
    if (wanted && !starts_with)
        aligned_append_all(out, replacement, in->start[piece->begin], in->end[piece->begin]);
    size_t done = piece->begin;
    for (size_t pos = piece->begin; pos < piece->end; pos++) {
        if (in->bytes[pos] != ' ')
            continue;
        aligned_copy(out, in, done, pos);
        aligned_append_all(out, replacement, in->start[pos], in->end[pos]);
        done = pos + 1;
    }
    aligned_copy(out, in, done, piece->end);
}

static void map_bytes(AlignedText *out, const AlignedText *in, const Piece *piece) {
    for (size_t i = piece->begin; i < piece->end; i++)
        aligned_put(out, byte_level_char((uint8_t)in->bytes[i]), in->start[i], in->end[i]);
}

static Status rewrite(Pieces *pieces, const PreTokenizeStep *step, Error *error) {
    AlignedText *out = &pieces->spare_text;
    out->len = 0;
    for (size_t i = 0; i < pieces->list.count; i++) {
        Piece *piece = &pieces->list.items[i];
        size_t begin = out->len;
        if (piece->id >= 0)
            aligned_copy(out, &pieces->text, piece->begin, piece->end);
        else if (step->kind == PRETOKENIZE_PREFIX_SPACE)
            prefix_space(out, &pieces->text, piece);
        else if (step->kind == PRETOKENIZE_METASPACE)
            metaspace(out, &pieces->text, piece, step);
        else
            map_bytes(out, &pieces->text, piece);
        piece->begin = (uint32_t)begin;
        piece->end = (uint32_t)out->len;
    }
    TRY(aligned_status(out, error));
    AlignedText swap = pieces->text;
    pieces->text = *out;
    *out = swap;
    return STATUS_OK;
}

static Status cut_all(const Tokenizer *tokenizer, const PreTokenizeStep *step, Pieces *pieces,
                      Error *error) {
    pieces->spare_list.count = 0;
    for (size_t i = 0; i < pieces->list.count; i++) {
        const Piece *piece = &pieces->list.items[i];
        if (piece->id >= 0)
            piece_list_push(&pieces->spare_list, *piece);
        else
            TRY(cut_piece(tokenizer, step, pieces, piece, error));
    }
    TRY(piece_list_status(&pieces->spare_list, error));
    PieceList swap = pieces->list;
    pieces->list = pieces->spare_list;
    pieces->spare_list = swap;
    return STATUS_OK;
}

Status pretokenize_run(const Tokenizer *tokenizer, Pieces *pieces, Error *error) {
    for (size_t i = 0; i < tokenizer->pretokenizer_count; i++) {
        const PreTokenizeStep *step = &tokenizer->pretokenizer[i];
        bool rewrites = step->kind == PRETOKENIZE_PREFIX_SPACE || step->kind == PRETOKENIZE_BYTES ||
                        step->kind == PRETOKENIZE_METASPACE;
        if (rewrites)
            TRY(rewrite(pieces, step, error));
        if (!rewrites || (step->kind == PRETOKENIZE_METASPACE && step->split))
            TRY(cut_all(tokenizer, step, pieces, error));
    }
    return STATUS_OK;
}
