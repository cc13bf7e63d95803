// The byte-pair model: merges by rank over characters or raw bytes. Included through pipeline.h.
#ifndef GPUX_TEXT_BPE_H
#define GPUX_TEXT_BPE_H

#include "text/vocab.h"

enum {
    BPE_MAX_AFFIX = 64, // bytes of the prefix and suffix of subwords
    BPE_MAX_MERGES = 1 << 21,
};

#define BPE_META "\xe2\x96\x81" // SentencePiece's space

typedef struct Merge {
    int32_t left, right; // left -1 = empty slot
    uint32_t rank;
    int32_t merged;
} Merge;

typedef struct Bpe {
    Merge *merges; // open addressing, [merge_mask + 1]
    uint32_t merge_mask;
    int32_t unknown_id; // -1 = not in the vocabulary
    bool has_unknown;   // the file names one
    bool fuse_unknown;
    bool byte_fallback;
    bool ignore_merges;
    StrView prefix, suffix;
    int32_t fallback[256]; // id of <0xXX>, or -1
    bool is_raw;           // words come as raw bytes, not in ByteLevel's alphabet
    int32_t of_byte[256];  // id of each byte's character (is_raw) or of ASCII characters, or -1
    Vocab words;           // words that are one token, in the form in which words come
    bool cuts_at_meta;     // no merge joins a character with a "\u2581" behind it
} Bpe;

typedef struct BpeSymbol {
    int32_t id;
    uint32_t len; // bytes; 0 = merged away
    int32_t prev, next;
} BpeSymbol;

// A pair that may be merged, in a heap.
typedef struct BpeCandidate {
    uint32_t rank;
    uint32_t pos;
    int32_t merged;
} BpeCandidate;

typedef struct BpePiece {
    int32_t id;
    uint32_t len;
} BpePiece;

// A word of this text and its tokens, found again by hash.
typedef struct BpeCached {
    uint64_t hash;
    const char *word; // NULL = empty
    uint32_t len;
    uint32_t first, count; // in `pieces`
} BpeCached;

// Scratch memory of one call. The words in it point into the text of that call.
typedef struct BpeScratch {
    BpeSymbol *symbols;
    size_t symbol_cap;
    BpeCandidate *heap;
    size_t heap_count, heap_cap;
    BpeCached *cache; // NULL for short texts
    BpePiece *pieces;
    size_t piece_count, piece_cap;
} BpeScratch;

void bpe_scratch_free(BpeScratch *scratch);
// Remembers words from here on; without memory for it, it does not.
void bpe_scratch_cache(BpeScratch *scratch);

#endif
