// The vocabulary's storage and its hash index. Bounds: VOCAB_MAX_TOKENS, VOCAB_MAX_ID, probes per
// text.
#include "text/vocab.h"

#include "base/memory.h"
#include "text/json_cursor.h"

static StrView entry_text(const Vocab *vocab, const VocabEntry *entry) {
    return sv_n(vocab->bytes + entry->offset, entry->len);
}

// The same for an entry of a compiled table, which may be anything; false when it is none.
static bool checked_text(StrView *out, const Vocab *vocab, uint32_t index, uint32_t skip) {
    if (index >= vocab->count)
        return false;
    const VocabEntry *entry = &vocab->entries[index];
    if (entry->offset > vocab->bytes_len || entry->len > vocab->bytes_len - entry->offset ||
        skip > entry->len)
        return false;
    *out = sv_n(vocab->bytes + entry->offset + skip, entry->len - skip);
    return true;
}

// The slot that holds `text` or the empty one where it belongs; NULL after too many probes.
static VocabSlot *find_slot(const Vocab *vocab, const VocabIndex *index, StrView text,
                            uint32_t hash) {
    for (uint32_t i = 0; i < VOCAB_MAX_PROBES; i++) {
        VocabSlot *slot = &index->slots[(hash + i) & index->mask];
        if (slot->entry_plus_1 == 0)
            return slot;
        if (slot->hash != hash)
            continue;
        StrView found;
        if (checked_text(&found, vocab, slot->entry_plus_1 - 1, index->skip) &&
            sv_equal(found, text))
            return slot;
    }
    return NULL;
}

StrView vocab_entry_text(const Vocab *vocab, uint32_t entry) {
    StrView text;
    return checked_text(&text, vocab, entry, 0) ? text : (StrView){NULL, 0};
}

static Status too_many_probes(Error *error) {
    return error_set(error, STATUS_CORRUPT, "vocabulary cannot be hashed: too many collisions");
}

static Status slots_alloc(VocabIndex *index, size_t count, Error *error) {
    uint32_t size = 16;
    while (size < count * 2)
        size *= 2;
    index->slots = mem_alloc_zero(size, sizeof *index->slots);
    if (!index->slots)
        return error_out_of_memory(error, size * sizeof *index->slots);
    index->mask = size - 1;
    return STATUS_OK;
}

static Status index_insert(VocabIndex *index, const Vocab *vocab, uint32_t entry_index,
                           Error *error) {
    const VocabEntry *entry = &vocab->entries[entry_index];
    StrView text = sv_n(vocab->bytes + entry->offset + index->skip, entry->len - index->skip);
    uint32_t hash = (uint32_t)bytes_hash(text.ptr, text.len);
    VocabSlot *slot = find_slot(vocab, index, text, hash);
    if (!slot)
        return too_many_probes(error);
    *slot = (VocabSlot){.hash = hash, .entry_plus_1 = entry_index + 1};
    if (text.len > index->max_len)
        index->max_len = (uint32_t)text.len;
    return STATUS_OK;
}

// Doubles the slots when they are half full.
static Status index_make_room(Vocab *vocab, Error *error) {
    if (vocab->index.slots && (size_t)vocab->count * 2 <= vocab->index.mask)
        return STATUS_OK;
    VocabIndex grown = {.skip = 0};
    TRY(slots_alloc(&grown, (size_t)vocab->count * 2 + 8, error));
    for (uint32_t i = 0; i < vocab->count; i++) {
        Status status = index_insert(&grown, vocab, i, error);
        if (status != STATUS_OK) {
            vocab_index_free(&grown);
            return status;
        }
    }
    vocab_index_free(&vocab->index);
    vocab->index = grown;
    return STATUS_OK;
}

static bool grow_storage(Vocab *vocab, size_t count, size_t bytes) {
    if (count > vocab->cap) {
        size_t cap = count < 16 ? 16 : count + count / 2;
        VocabEntry *entries = mem_realloc_array(vocab->entries, cap, sizeof *entries);
        if (!entries)
            return false;
        vocab->entries = entries;
        vocab->cap = (uint32_t)cap;
    }
    if (bytes > vocab->bytes_cap) {
        size_t cap = bytes < 64 ? 64 : bytes + bytes / 2;
        char *block = mem_realloc(vocab->bytes, cap);
        if (!block)
            return false;
        vocab->bytes = block;
        vocab->bytes_cap = cap;
    }
    return true;
}

Status vocab_reserve(Vocab *vocab, size_t count, size_t bytes, Error *error) {
    if (count > VOCAB_MAX_TOKENS || bytes > UINT32_MAX / 2)
        return error_set(error, STATUS_LIMIT, "vocabulary has more than %d tokens",
                         VOCAB_MAX_TOKENS);
    if (!grow_storage(vocab, count, bytes))
        return error_out_of_memory(error, bytes);
    return slots_alloc(&vocab->index, count + 8, error);
}

Status vocab_add(Vocab *vocab, StrView text, int32_t id, Error *error) {
    if (id < 0 || id >= VOCAB_MAX_ID)
        return error_set(error, STATUS_LIMIT, "token id %d is out of range", id);
    if (vocab->count >= VOCAB_MAX_TOKENS || text.len > UINT32_MAX / 2 - vocab->bytes_len)
        return error_set(error, STATUS_LIMIT, "vocabulary has more than %d tokens",
                         VOCAB_MAX_TOKENS);
    TRY(index_make_room(vocab, error));
    uint32_t hash = (uint32_t)bytes_hash(text.ptr, text.len);
    VocabSlot *slot = find_slot(vocab, &vocab->index, text, hash);
    if (!slot)
        return too_many_probes(error);
    if (slot->entry_plus_1 != 0) {
        vocab->entries[slot->entry_plus_1 - 1].id = id;
        return STATUS_OK;
    }
    if (!grow_storage(vocab, (size_t)vocab->count + 1, vocab->bytes_len + text.len + 1))
        return error_out_of_memory(error, vocab->bytes_len + text.len);
    if (text.len > 0)
        memcpy(vocab->bytes + vocab->bytes_len, text.ptr, text.len);
    vocab->entries[vocab->count] =
        (VocabEntry){.offset = (uint32_t)vocab->bytes_len, .len = (uint32_t)text.len, .id = id};
    vocab->bytes_len += text.len;
    *slot = (VocabSlot){.hash = hash, .entry_plus_1 = ++vocab->count};
    if (text.len > vocab->index.max_len)
        vocab->index.max_len = (uint32_t)text.len;
    return STATUS_OK;
}

// Puts the slots of `old` into `index`, which is empty; false when they collide too much.
static bool move_slots(VocabIndex *index, const VocabIndex *old) {
    for (uint32_t i = 0; i <= old->mask; i++) {
        uint32_t at = old->slots[i].hash, probes = 0;
        if (old->slots[i].entry_plus_1 == 0)
            continue;
        for (; index->slots[at & index->mask].entry_plus_1 != 0; at++)
            if (++probes == VOCAB_MAX_PROBES)
                return false;
        index->slots[at & index->mask] = old->slots[i];
    }
    return true;
}

// The room was guessed; what is four times too much goes, because it would be written to disk.
static Status shrink_index(VocabIndex *index, uint32_t count, Error *error) {
    VocabIndex shrunk = {.skip = index->skip, .max_len = index->max_len};
    if (index->mask < 16 || index->mask / 4 < count)
        return STATUS_OK;
    TRY(slots_alloc(&shrunk, count, error));
    if (!move_slots(&shrunk, index)) {
        vocab_index_free(&shrunk);
        return STATUS_OK;
    }
    vocab_index_free(index);
    *index = shrunk;
    return STATUS_OK;
}

Status vocab_finish(Vocab *vocab, Error *error) {
    if (!vocab->index.slots)
        TRY(slots_alloc(&vocab->index, 0, error));
    TRY(shrink_index(&vocab->index, vocab->count, error));
    uint32_t id_end = 0;
    for (uint32_t i = 0; i < vocab->count; i++)
        if ((uint32_t)vocab->entries[i].id >= id_end)
            id_end = (uint32_t)vocab->entries[i].id + 1;
    mem_free(vocab->entry_of_id);
    vocab->entry_of_id = mem_alloc_zero(id_end, sizeof *vocab->entry_of_id);
    if (!vocab->entry_of_id)
        return error_out_of_memory(error, id_end * sizeof *vocab->entry_of_id);
    vocab->id_end = id_end;
    for (uint32_t i = 0; i < vocab->count; i++)
        vocab->entry_of_id[vocab->entries[i].id] = i + 1;
    return STATUS_OK;
}

void vocab_free(Vocab *vocab) {
    mem_free(vocab->bytes);
    mem_free(vocab->entries);
    mem_free(vocab->entry_of_id);
    vocab_index_free(&vocab->index);
    *vocab = (Vocab){.count = 0};
}

Status vocab_from_json(Vocab *vocab, StrView object, const char *what, Error *error) {
    JsonCursor cursor = {.text = object};
    if (!json_cursor_take(&cursor, '{'))
        return error_set(error, STATUS_CORRUPT, "%s is not an object", what);
    // The shortest member is `"x":0,`; most are near four times that.
    TRY(vocab_reserve(vocab,
                      object.len / 24 < VOCAB_MAX_TOKENS ? object.len / 24 : VOCAB_MAX_TOKENS,
                      object.len / 2, error));
    Buf scratch = BUF_INIT(object.len);
    Status status = STATUS_OK;
    while (json_cursor_peek(&cursor) == '"') {
        StrView text;
        uint32_t id;
        if (!json_cursor_string(&cursor, &text, &scratch) ||
            !json_cursor_u32(&cursor, &id, VOCAB_MAX_ID - 1)) {
            TRY_DONE(buf_status(&scratch, error));
            TRY_DONE(error_set(error, STATUS_CORRUPT, "%s: a token has no id below %d", what,
                               VOCAB_MAX_ID));
        }
        TRY_DONE(buf_status(&scratch, error));
        TRY_DONE(vocab_add(vocab, text, (int32_t)id, error));
    }
    TRY_DONE(vocab_finish(vocab, error));
done:
    buf_free(&scratch);
    return status;
}

Status vocab_index_build(VocabIndex *index, const Vocab *vocab, StrView prefix, Error *error) {
    *index = (VocabIndex){.skip = (uint32_t)prefix.len};
    size_t count = 0;
    for (uint32_t i = 0; i < vocab->count; i++)
        count += sv_starts_with(entry_text(vocab, &vocab->entries[i]), prefix);
    TRY(slots_alloc(index, count, error));
    for (uint32_t i = 0; i < vocab->count; i++)
        if (sv_starts_with(entry_text(vocab, &vocab->entries[i]), prefix))
            TRY(index_insert(index, vocab, i, error));
    return STATUS_OK;
}

void vocab_index_free(VocabIndex *index) {
    mem_free(index->slots);
    *index = (VocabIndex){.mask = 0};
}

int32_t vocab_find(const Vocab *vocab, const VocabIndex *index, StrView text) {
    if (text.len > index->max_len)
        return -1;
    uint32_t hash = (uint32_t)bytes_hash(text.ptr, text.len);
    const VocabSlot *slot = find_slot(vocab, index, text, hash);
    if (!slot || slot->entry_plus_1 == 0)
        return -1;
    return vocab->entries[slot->entry_plus_1 - 1].id;
}

StrView vocab_text(const Vocab *vocab, int32_t id) {
    if (id < 0 || (uint32_t)id >= vocab->id_end || vocab->entry_of_id[id] == 0)
        return (StrView){NULL, 0};
    return vocab_entry_text(vocab, vocab->entry_of_id[id] - 1);
}
