// The unigram model: the most probable way to cut a text into pieces. Included through pipeline.h.
#ifndef GPUX_TEXT_UNIGRAM_H
#define GPUX_TEXT_UNIGRAM_H

#include "text/vocab.h"

// A byte trie in breadth-first order: the children of a node lie side by side, sorted by byte.
typedef struct PrefixTrie {
    uint8_t *bytes; // label of the edge that leads to the node, [count]
    uint16_t *child_count;
    uint32_t *first_child;
    int32_t *token;           // id of the token that ends at the node, or -1
    uint32_t count;           // node 0 is the root
    uint32_t root_child[256]; // 0 = none
} PrefixTrie;

typedef struct Unigram {
    double *scores; // by id, [vocab.id_end]
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
    uint32_t next;  // where the next piece of the best path ends
    int32_t id;
} UnigramNode;

typedef struct UnigramScratch {
    UnigramNode *nodes;
    size_t cap;
} UnigramScratch;

void unigram_scratch_free(UnigramScratch *scratch);

#endif
