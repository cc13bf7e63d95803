// A hash table with open addressing. Never shrinks, never forgets a name.
#include "onnx/names.h"

#include "base/memory.h"

enum { FIRST_CAPACITY = 256 };

static uint64_t hash(StrView key) {
    uint64_t value = 14695981039346656037u; // FNV-1a
    for (size_t i = 0; i < key.len; i++)
        value = (value ^ (uint8_t)key.ptr[i]) * 1099511628211u;
    return value ^ value >> 32;
}

// The slot that holds `key`, or the free one where it belongs.
static NameSlot *slot_of(const Names *names, StrView key) {
    size_t at = (size_t)hash(key) & (names->cap - 1);
    while (names->slots[at].is_used && !sv_equal(names->slots[at].key, key))
        at = (at + 1) & (names->cap - 1);
    return &names->slots[at];
}

static bool grow(Names *names) {
    Names bigger = {.count = names->count, .cap = names->cap ? names->cap * 2 : FIRST_CAPACITY};
    bigger.slots = mem_alloc_zero(bigger.cap, sizeof *bigger.slots);
    if (!bigger.slots)
        return false;
    for (size_t i = 0; i < names->cap; i++) {
        if (names->slots[i].is_used)
            *slot_of(&bigger, names->slots[i].key) = names->slots[i];
    }
    mem_free(names->slots);
    *names = bigger;
    return true;
}

bool names_add(Names *names, StrView key, int32_t value) {
    if ((names->count + 1) * 2 > names->cap && !grow(names))
        return false;
    *slot_of(names, key) = (NameSlot){.key = key, .value = value, .is_used = true};
    names->count++;
    return true;
}

bool names_find(const Names *names, StrView key, int32_t *value) {
    if (names->cap == 0)
        return false;
    const NameSlot *slot = slot_of(names, key);
    if (slot->is_used)
        *value = slot->value;
    return slot->is_used;
}

void names_free(Names *names) {
    mem_free(names->slots);
    *names = (Names){0};
}
