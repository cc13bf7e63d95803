// Growth and rewriting of aligned text; knows nothing of any normalizer.
#include "text/aligned.h"

#include "base/memory.h"

// One block: starts, ends, bytes.
void aligned_free(AlignedText *text) {
    mem_free(text->start);
    *text = (AlignedText){.len = 0};
}

static bool grow(AlignedText *text, size_t cap) {
    uint32_t *block = mem_alloc(cap * (2 * sizeof *block + 1));
    if (!block)
        return false;
    char *bytes = (char *)(block + 2 * cap);
    if (text->len > 0) {
        memcpy(block, text->start, text->len * sizeof *block);
        memcpy(block + cap, text->end, text->len * sizeof *block);
        memcpy(bytes, text->bytes, text->len);
    }
    mem_free(text->start);
    text->start = block;
    text->end = block + cap;
    text->bytes = bytes;
    text->cap = cap;
    return true;
}

bool aligned_reserve(AlignedText *text, size_t extra) {
    if (text->failed != STATUS_OK)
        return false;
    if (extra <= text->cap - text->len)
        return true;
    if (extra > ALIGNED_MAX_BYTES - text->len) {
        text->failed = STATUS_LIMIT;
        return false;
    }
    size_t cap = text->cap * 2 > text->len + extra ? text->cap * 2 : text->len + extra;
    if (cap < 64)
        cap = 64;
    if (!grow(text, cap)) {
        text->failed = STATUS_OUT_OF_MEMORY;
        return false;
    }
    return true;
}

Status aligned_status(const AlignedText *text, Error *error) {
    if (text->failed == STATUS_LIMIT)
        return error_set(error, STATUS_LIMIT, "text is too long for a tokenizer");
    if (text->failed != STATUS_OK)
        return error_out_of_memory(error, text->cap);
    return STATUS_OK;
}

static void put_bytes(AlignedText *text, const char *bytes, size_t len, uint32_t start,
                      uint32_t end) {
    for (size_t i = 0; i < len; i++) {
        text->bytes[text->len + i] = bytes[i];
        text->start[text->len + i] = start;
        text->end[text->len + i] = end;
    }
    text->len += len;
}

void aligned_put(AlignedText *text, uint32_t code_point, uint32_t start, uint32_t end) {
    char bytes[4];
    if (aligned_reserve(text, sizeof bytes))
        put_bytes(text, bytes, (size_t)utf8_encode(bytes, code_point), start, end);
}

void aligned_copy(AlignedText *text, const AlignedText *src, size_t begin, size_t end) {
    size_t len = end - begin;
    if (len == 0 || !aligned_reserve(text, len))
        return;
    memcpy(text->bytes + text->len, src->bytes + begin, len);
    memcpy(text->start + text->len, src->start + begin, len * sizeof *text->start);
    memcpy(text->end + text->len, src->end + begin, len * sizeof *text->end);
    text->len += len;
}

uint32_t aligned_append_original(AlignedText *text, StrView original, uint32_t position) {
    if (original.len == 0 || !aligned_reserve(text, original.len))
        return position;
    char *bytes = text->bytes + text->len;
    uint32_t *start = text->start + text->len, *end = text->end + text->len;
    memcpy(bytes, original.ptr, original.len);
    // The number of a byte's code point is the number of code points that started so far.
    uint32_t next = position;
    for (size_t i = 0; i < original.len; i++) {
        next += ((unsigned char)original.ptr[i] & 0xc0) != 0x80;
        start[i] = next - 1;
        end[i] = next;
    }
    text->len += original.len;
    return next;
}

void aligned_append_all(AlignedText *text, StrView content, uint32_t start, uint32_t end) {
    if (aligned_reserve(text, content.len))
        put_bytes(text, content.ptr, content.len, start, end);
}

bool text_is_ascii(const char *bytes, size_t len) {
    size_t i = 0;
    uint64_t seen = 0;
    for (; i + 8 <= len; i += 8) {
        uint64_t word;
        memcpy(&word, bytes + i, 8);
        seen |= word;
    }
    for (; i < len; i++)
        seen |= (uint64_t)(unsigned char)bytes[i];
    return (seen & 0x8080808080808080u) == 0;
}

static void consume(Transform *transform) {
    if (transform->consumed < transform->in->len)
        transform->consumed += utf8_lead_len(transform->in->bytes[transform->consumed]);
}

void transform_put(Transform *transform, uint32_t code_point, int change) {
    const AlignedText *in = transform->in;
    size_t at = transform->consumed;
    uint32_t start = transform->origin, end = transform->origin;
    // Past the end the library would fail; the last byte is the nearest sensible answer.
    bool is_insertion = change > 0 || at >= in->len;
    if (!is_insertion || at > 0) {
        size_t index = is_insertion ? at - 1 : at;
        start = in->start[index];
        end = in->end[index];
    }
    aligned_put(transform->out, code_point, start, end);
    if (change > 0)
        return;
    for (int i = change; i <= 0; i++)
        consume(transform);
}
