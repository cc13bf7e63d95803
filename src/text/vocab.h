// Token texts and their ids: a list with an open-addressing index, immutable once finished.
#ifndef GPUX_TEXT_VOCAB_H
#define GPUX_TEXT_VOCAB_H

#include "base/status.h"
#include "base/str.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum {
    VOCAB_MAX_TOKENS = 1 << 21,
    VOCAB_MAX_ID = 1 << 22,
    VOCAB_MAX_PROBES = 4096, // more only in a file made for it
};

typedef struct VocabEntry {
    uint32_t offset;
    uint32_t len;
    int32_t id;
} VocabEntry;

typedef struct VocabSlot {
    uint32_t hash;
    uint32_t entry_plus_1; // 0 = empty
} VocabSlot;

// Finds entries by their text behind the first `skip` bytes.
typedef struct VocabIndex {
    VocabSlot *slots;
    uint32_t mask;
    uint32_t skip;
    uint32_t max_len; // longest text in it, without the skipped bytes
} VocabIndex;

typedef struct Vocab {
    char *bytes;
    size_t bytes_len, bytes_cap;
    VocabEntry *entries;
    uint32_t count, cap;
    uint32_t *entry_of_id; // entry + 1, or 0; [id_end]
    uint32_t id_end;
    VocabIndex index;
} Vocab;

// Adds a token; a text that is there already gets the new id.
Status vocab_add(Vocab *vocab, StrView text, int32_t id, Error *error);
// Room for `count` tokens of `bytes` bytes together, to be called before the first vocab_add.
Status vocab_reserve(Vocab *vocab, size_t count, size_t bytes, Error *error);
// Makes ids findable; call it after the last vocab_add.
Status vocab_finish(Vocab *vocab, Error *error);
void vocab_free(Vocab *vocab);
// From the text of a JSON object of numbers that json_scan accepted. `what` names it in errors.
Status vocab_from_json(Vocab *vocab, StrView object, const char *what, Error *error);

// An index over the entries that start with `prefix`, by what follows.
Status vocab_index_build(VocabIndex *index, const Vocab *vocab, StrView prefix, Error *error);
void vocab_index_free(VocabIndex *index);

// The id of a text, or -1.
int32_t vocab_find(const Vocab *vocab, const VocabIndex *index, StrView text);
static inline int32_t vocab_id(const Vocab *vocab, StrView text) {
    return vocab_find(vocab, &vocab->index, text);
}
// The text of an entry, borrowed; ptr is NULL when there is no such entry.
StrView vocab_entry_text(const Vocab *vocab, uint32_t entry);
// The text of an id, borrowed; ptr is NULL for an unused id.
StrView vocab_text(const Vocab *vocab, int32_t id);

// 64 mixed bits of some bytes; reads nothing outside them.
static inline uint64_t bytes_hash(const char *bytes, size_t len) {
    const uint64_t k0 = 0xa0761d6478bd642fu, k1 = 0xe7037ed1a0b428dbu;
    uint64_t a = 0, b = 0, seed = k0 ^ len;
    while (len > 16) {
        memcpy(&a, bytes, 8);
        memcpy(&b, bytes + 8, 8);
        unsigned __int128 product = (unsigned __int128)(a ^ k1) * (b ^ seed);
        seed = (uint64_t)product ^ (uint64_t)(product >> 64);
        bytes += 16;
        len -= 16;
    }
    if (len >= 8) {
        memcpy(&a, bytes, 8);
        memcpy(&b, bytes + len - 8, 8);
    } else if (len >= 4) {
        uint32_t head, tail;
        memcpy(&head, bytes, 4);
        memcpy(&tail, bytes + len - 4, 4);
        a = head;
        b = tail;
    } else if (len > 0) {
        const unsigned char *u = (const unsigned char *)bytes;
        a = (uint64_t)u[0] << 16 | (uint64_t)u[len >> 1] << 8 | u[len - 1];
    }
    unsigned __int128 product = (unsigned __int128)(a ^ k1) * (b ^ seed);
    return (uint64_t)product ^ (uint64_t)(product >> 64);
}

#endif
