// SentencePiece's "precompiled" normalizer: a double-array trie (Darts-clone's layout) from UTF-8
// to replacements, looked up by grapheme cluster and then by code point. A short cluster is
// replaced as a whole by whatever its first bytes map to; this is what the library does, so it
// stays.
#include "text/pipeline.h"

enum {
    CHARSMAP_MAX_BYTES = 8 << 20,
    CLUSTER_MAX = 6, // bytes; longer clusters are looked up by code point only
};

static size_t unit_offset(uint32_t unit) {
    return (size_t)(unit >> 10) << ((unit & (1u << 9)) >> 6);
}

// The replacement of the shortest key that `text` starts with; false when there is none.
static bool find(const Charsmap *map, StrView text, StrView *out) {
    size_t at = unit_offset(map->units[0]);
    for (size_t i = 0; i < text.len && text.ptr[i] != 0; i++) {
        uint8_t byte = (uint8_t)text.ptr[i];
        at ^= byte;
        if (at >= map->unit_count)
            return false;
        uint32_t unit = map->units[at];
        if ((unit & (1u << 31 | 0xff)) != byte)
            return false;
        at ^= unit_offset(unit);
        if (at >= map->unit_count)
            return false;
        if (!(unit >> 8 & 1))
            continue;
        size_t begin = map->units[at] & ~(1u << 31);
        if (begin > map->replacements.len)
            return false;
        const char *start = map->replacements.ptr + begin;
        size_t most = map->replacements.len - begin;
        const char *end = most ? memchr(start, 0, most) : NULL;
        *out = sv_n(start, end ? (size_t)(end - start) : most);
        // A broken file might point into the middle of a character.
        return out->len == 0 || ((unsigned char)start[0] & 0xc0) != 0x80;
    }
    return false;
}

// A carriage return may be half of a cluster, so it is left to the general way.
static void note_ascii(Charsmap *map) {
    for (int i = 0; i < 128; i++) {
        char byte = (char)i;
        StrView new = sv_n(&byte, 1);
        find(map, sv_n(&byte, 1), &new);
        bool is_ascii = new.len == 1 && (unsigned char)new.ptr[0] < 0x80;
        map->ascii[i] = is_ascii && byte != '\r' ? (int8_t) new.ptr[0] : -1;
    }
}

bool charsmap_apply_ascii(const Charsmap *map, AlignedText *text) {
    for (size_t i = 0; i < text->len; i++)
        if (map->ascii[(uint8_t)text->bytes[i] & 0x7f] < 0)
            return false;
    for (size_t i = 0; i < text->len; i++)
        text->bytes[i] = (char)map->ascii[(uint8_t)text->bytes[i] & 0x7f];
    return true;
}

static int base64_value(char c) {
    if (c >= 'A' && c <= 'Z')
        return c - 'A';
    if (c >= 'a' && c <= 'z')
        return c - 'a' + 26;
    if (c >= '0' && c <= '9')
        return c - '0' + 52;
    return c == '+' ? 62 : c == '/' ? 63 : -1;
}

static bool base64_decode(Buf *out, StrView text) {
    uint32_t bits = 0;
    int count = 0;
    while (text.len > 0 && text.ptr[text.len - 1] == '=')
        text.len--;
    for (size_t i = 0; i < text.len; i++) {
        int value = base64_value(text.ptr[i]);
        if (value < 0)
            return false;
        bits = bits << 6 | (uint32_t)value;
        count += 6;
        if (count >= 8) {
            count -= 8;
            buf_append_byte(out, (char)(uint8_t)(bits >> count));
        }
    }
    return true;
}

static Status load_bytes(Tokenizer *tokenizer, Charsmap *out, StrView bytes, Error *error) {
    uint32_t size;
    if (bytes.len < sizeof size)
        return error_set(error, STATUS_CORRUPT, "precompiled_charsmap is too short");
    memcpy(&size, bytes.ptr, sizeof size);
    if (size > bytes.len - sizeof size || size % sizeof(uint32_t) != 0 || size == 0)
        return error_set(error, STATUS_CORRUPT, "precompiled_charsmap: bad size of the trie");
    out->unit_count = size / sizeof(uint32_t);
    out->units = arena_alloc(&tokenizer->arena, size);
    if (!out->units)
        return error_out_of_memory(error, size);
    memcpy(out->units, bytes.ptr + sizeof size, size);
    StrView rest = sv_n(bytes.ptr + sizeof size + size, bytes.len - sizeof size - size);
    if (!utf8_is_valid(rest, NULL))
        return error_set(error, STATUS_CORRUPT, "precompiled_charsmap: replacements are not UTF-8");
    TRY(tokenizer_keep(tokenizer, &out->replacements, rest, error));
    note_ascii(out);
    return STATUS_OK;
}

Status charsmap_load(Tokenizer *tokenizer, Charsmap *out, StrView base64, Error *error) {
    Buf bytes = BUF_INIT(CHARSMAP_MAX_BYTES);
    bool is_base64 = base64_decode(&bytes, base64);
    Status status = buf_status(&bytes, error);
    if (status == STATUS_OK && !is_base64)
        status = error_set(error, STATUS_CORRUPT, "precompiled_charsmap is not base64");
    if (status == STATUS_OK)
        status = load_bytes(tokenizer, out, sv_n(bytes.ptr, bytes.len), error);
    buf_free(&bytes);
    return status;
}

// The code point written last is held back: a replacement that is shorter than what it replaces
// makes the one before it swallow the difference.
typedef struct Writer {
    Transform transform;
    bool has_last;
    uint32_t last;
    int last_change;
} Writer;

static void flush(Writer *writer) {
    if (writer->has_last)
        transform_put(&writer->transform, writer->last, writer->last_change);
    writer->has_last = false;
}

static void write(Writer *writer, uint32_t code_point, int change) {
    flush(writer);
    writer->has_last = true;
    writer->last = code_point;
    writer->last_change = change;
}

static void write_replacement(Writer *writer, StrView old, StrView new) {
    size_t old_count = utf8_count(old), new_count = utf8_count(new), index = 0;
    for (size_t pos = 0; pos < new.len; index++) {
        uint32_t c = utf8_next(new, &pos);
        write(writer, c, index >= old_count);
    }
    if (new_count < old_count && writer->has_last)
        writer->last_change -= (int)(old_count - new_count);
}

static size_t cluster_len(const UnicodeTable *unicode, StrView text) {
    bool is_simple = text.len >= 2 && (unsigned char)text.ptr[0] < 0x80 &&
                     (unsigned char)text.ptr[1] < 0x80 && text.ptr[0] != '\r';
    return is_simple ? 1 : unicode_grapheme_len(unicode, text);
}

void charsmap_apply(const Charsmap *map, const UnicodeTable *unicode, AlignedText *out,
                    const AlignedText *in, uint32_t origin) {
    Writer writer = {.transform = {.out = out, .in = in, .origin = origin}};
    size_t cluster, len;
    for (size_t pos = 0; pos < in->len; pos += cluster) {
        StrView new;
        cluster = cluster_len(unicode, sv_n(in->bytes + pos, in->len - pos));
        if (cluster < CLUSTER_MAX && find(map, sv_n(in->bytes + pos, cluster), &new)) {
            write_replacement(&writer, sv_n(in->bytes + pos, cluster), new);
            continue;
        }
        for (size_t at = pos; at < pos + cluster; at += len) {
            uint32_t c = utf8_decode_valid(in->bytes + at, &len);
            StrView old = sv_n(in->bytes + at, len);
            if (find(map, old, &new))
                write_replacement(&writer, old, new);
            else
                write(&writer, c, 0);
        }
    }
    flush(&writer);
}
