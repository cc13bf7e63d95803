// The unigram model: the most probable way to cut a text into pieces. Included through pipeline.h.
#ifndef GPUX_TEXT_UNIGRAM_H
#define GPUX_TEXT_UNIGRAM_H

#include "text/vocab.h"

enum { TRIE_FREE = UINT32_MAX, TRIE_LEAF = 1u << 31 };

// One node: its child by a byte is cell base + byte, if that says so. Where only one token is left
// the trie ends, and the rest of that token's text is compared.
typedef struct TrieCell {
    uint32_t base;   // TRIE_LEAF + the token's entry in the vocabulary for a leaf
    uint32_t parent; // TRIE_FREE for the root and for unused cells
    double score;    // of the token that ends here or is the leaf's, NaN when there is none
} TrieCell;

// A byte trie as a double array; cell 0 is the root.
typedef struct PrefixTrie {
    TrieCell *cells;
    int32_t *tokens; // by cell: the id of that token, or -1
    uint32_t count;
} PrefixTrie;

typedef struct Unigram {
    double min_score;
    int32_t unknown_id; // -1 = none
    bool byte_fallback;
    int32_t fallback[256]; // id of <0xXX>, or -1
    PrefixTrie trie;
} Unigram;

// The best path that ends at a byte.
typedef struct UnigramNode {
    double score;
    uint32_t start; // where its last piece starts; UINT32_MAX = not reached
    uint32_t cell;  // of its last piece, 0 = unknown
    uint32_t next;  // where the next piece of the best path ends
} UnigramNode;

// Makes the trie over the texts of a finished vocabulary.
// `scores` by id.
Status prefix_trie_build(PrefixTrie *trie, const Vocab *vocab, const double *scores, Error *error);

typedef struct UnigramScratch {
    UnigramNode *nodes;
    size_t cap;
} UnigramScratch;

void unigram_scratch_free(UnigramScratch *scratch);

#endif
