// From ids back to text: each decoder rewrites a list of token texts; at the end they are joined.
#include "text/pipeline.h"

enum { DECODE_MAX_BYTES = 1 << 28 };

// Token texts end to end, with the end of each.
typedef struct TextList {
    Buf bytes;
    size_t *ends;
    size_t count, cap;
    bool out_of_memory;
} TextList;

static void list_init(TextList *list) {
    *list = (TextList){.bytes = BUF_INIT(DECODE_MAX_BYTES)};
}

static void list_free(TextList *list) {
    buf_free(&list->bytes);
    mem_free(list->ends);
}

// Ends the token whose bytes were appended.
static void list_end(TextList *list) {
    if (list->count == list->cap) {
        size_t cap = list->cap ? list->cap * 2 : 64;
        size_t *ends = mem_realloc_array(list->ends, cap, sizeof *ends);
        if (!ends) {
            list->out_of_memory = true;
            return;
        }
        list->ends = ends;
        list->cap = cap;
    }
    list->ends[list->count++] = list->bytes.len;
}

static StrView list_at(const TextList *list, size_t index) {
    size_t begin = index ? list->ends[index - 1] : 0;
    if (begin == list->ends[index])
        return SV("");
    return sv_n(list->bytes.ptr + begin, list->ends[index] - begin);
}

static Status list_status(const TextList *list, Error *error) {
    if (list->out_of_memory)
        return error_out_of_memory(error, list->cap * sizeof *list->ends);
    return buf_status(&list->bytes, error);
}

// `text` with every `from` replaced by `to`, left to right.
static void append_replaced(Buf *out, StrView text, StrView from, StrView to) {
    size_t pos = 0;
    if (text.len == 0)
        return;
    while (from.len > 0 && text.len - pos >= from.len) {
        const char *hit = memmem(text.ptr + pos, text.len - pos, from.ptr, from.len);
        if (!hit)
            break;
        size_t at = (size_t)(hit - text.ptr);
        buf_append(out, text.ptr + pos, at - pos);
        buf_append_sv(out, to);
        pos = at + from.len;
    }
    buf_append(out, text.ptr + pos, text.len - pos);
}

// The library's tidying of English, one replacement after the other, on a single token.
static void append_cleaned(Buf *out, StrView text) {
    static const struct {
        StrView from, to;
    } rules[] = {
        {SV(" ."), SV(".")},     {SV(" ?"), SV("?")},           {SV(" !"), SV("!")},
        {SV(" ,"), SV(",")},     {SV(" ' "), SV("'")},          {SV(" n't"), SV("n't")},
        {SV(" 'm"), SV("'m")},   {SV(" do not"), SV(" don't")}, {SV(" 's"), SV("'s")},
        {SV(" 've"), SV("'ve")}, {SV(" 're"), SV("'re")},
    };
    // Every rule starts with a space.
    if (text.len == 0 || !memchr(text.ptr, ' ', text.len)) {
        buf_append_sv(out, text);
        return;
    }
    Buf scratch[2] = {BUF_INIT(DECODE_MAX_BYTES), BUF_INIT(DECODE_MAX_BYTES)};
    buf_append_sv(&scratch[0], text);
    int at = 0;
    for (size_t i = 0; i < sizeof rules / sizeof rules[0]; i++) {
        StrView now = sv_n(scratch[at].ptr, scratch[at].len);
        buf_clear(&scratch[1 - at]);
        append_replaced(&scratch[1 - at], now, rules[i].from, rules[i].to);
        at = 1 - at;
    }
    if (scratch[0].failed != STATUS_OK || scratch[1].failed != STATUS_OK)
        out->failed = STATUS_OUT_OF_MEMORY;
    buf_append(out, scratch[at].ptr, scratch[at].len);
    buf_free(&scratch[0]);
    buf_free(&scratch[1]);
}

static void decode_wordpiece(TextList *out, const TextList *in, const DecodeStep *step) {
    Buf token = BUF_INIT(DECODE_MAX_BYTES);
    for (size_t i = 0; i < in->count; i++) {
        StrView text = list_at(in, i);
        buf_clear(&token);
        if (i > 0 && sv_starts_with(text, step->text)) {
            text = sv_n(text.ptr + step->text.len, text.len - step->text.len);
        } else if (i > 0) {
            buf_append_byte(&token, ' ');
        }
        buf_append_sv(&token, text);
        if (step->cleanup)
            append_cleaned(&out->bytes, sv_n(token.ptr, token.len));
        else
            buf_append(&out->bytes, token.ptr, token.len);
        list_end(out);
    }
    if (token.failed != STATUS_OK)
        out->out_of_memory = true;
    buf_free(&token);
}

// A token outside ByteLevel's alphabet stands for its own bytes.
static void append_byte_token(Buf *bytes, StrView text) {
    size_t before = bytes->len;
    for (size_t pos = 0; pos < text.len;) {
        int byte = byte_level_byte(utf8_next(text, &pos));
        if (byte < 0) {
            bytes->len = before;
            buf_append_sv(bytes, text);
            return;
        }
        buf_append_byte(bytes, (char)byte);
    }
}

static void decode_byte_level(TextList *out, const TextList *in) {
    Buf bytes = BUF_INIT(DECODE_MAX_BYTES);
    for (size_t i = 0; i < in->count; i++)
        append_byte_token(&bytes, list_at(in, i));
    utf8_append_valid(&out->bytes, sv_n(bytes.ptr, bytes.len));
    if (bytes.failed != STATUS_OK)
        out->out_of_memory = true;
    buf_free(&bytes);
    list_end(out);
}

static void decode_metaspace(TextList *out, const TextList *in, const DecodeStep *step) {
    for (size_t i = 0; i < in->count; i++) {
        StrView text = list_at(in, i);
        for (size_t pos = 0; pos < text.len;) {
            size_t begin = pos;
            bool is_space = utf8_next(text, &pos) == step->code_point;
            if (!is_space)
                buf_append(&out->bytes, text.ptr + begin, pos - begin);
            else if (i > 0 || !step->drop_first)
                buf_append_byte(&out->bytes, ' ');
        }
        list_end(out);
    }
}

static void decode_bpe(TextList *out, const TextList *in, const DecodeStep *step) {
    for (size_t i = 0; i < in->count; i++) {
        StrView space = i + 1 < in->count ? SV(" ") : SV("");
        append_replaced(&out->bytes, list_at(in, i), step->text, space);
        list_end(out);
    }
}

static void flush_fallback(TextList *out, Buf *bytes) {
    if (bytes->len == 0)
        return;
    if (utf8_is_valid(sv_n(bytes->ptr, bytes->len), NULL)) {
        buf_append(&out->bytes, bytes->ptr, bytes->len);
        list_end(out);
    } else {
        for (size_t i = 0; i < bytes->len; i++) {
            buf_append_cstr(&out->bytes, "\xef\xbf\xbd");
            list_end(out);
        }
    }
    buf_clear(bytes);
}

static int hex_value(char c) {
    if (c >= '0' && c <= '9')
        return c - '0';
    c = (char)(c | 0x20);
    return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

// The byte of "<0xAB>", or -1. Rust also reads "+B" as a number there.
static int fallback_byte(StrView text) {
    if (text.len != 6 || memcmp(text.ptr, "<0x", 3) != 0 || text.ptr[5] != '>')
        return -1;
    int high = text.ptr[3] == '+' ? 0 : hex_value(text.ptr[3]), low = hex_value(text.ptr[4]);
    return high < 0 || low < 0 ? -1 : high << 4 | low;
}

static void decode_byte_fallback(TextList *out, const TextList *in) {
    Buf bytes = BUF_INIT(DECODE_MAX_BYTES);
    for (size_t i = 0; i < in->count; i++) {
        StrView text = list_at(in, i);
        int byte = fallback_byte(text);
        if (byte >= 0) {
            buf_append_byte(&bytes, (char)byte);
            continue;
        }
        flush_fallback(out, &bytes);
        buf_append_sv(&out->bytes, text);
        list_end(out);
    }
    flush_fallback(out, &bytes);
    if (bytes.failed != STATUS_OK)
        out->out_of_memory = true;
    buf_free(&bytes);
}

static void decode_strip(TextList *out, const TextList *in, const DecodeStep *step) {
    char bytes[4];
    StrView content = sv_n(bytes, (size_t)utf8_encode(bytes, step->code_point));
    for (size_t i = 0; i < in->count; i++) {
        StrView text = list_at(in, i);
        StrView left = text;
        for (size_t k = 0; k < step->start && sv_starts_with(left, content); k++)
            left = sv_n(left.ptr + content.len, left.len - content.len);
        StrView right = text;
        for (size_t k = 0; k < step->stop && sv_ends_with(right, content); k++)
            right.len -= content.len;
        const char *end = right.ptr + right.len;
        if (end > left.ptr)
            buf_append(&out->bytes, left.ptr, (size_t)(end - left.ptr));
        list_end(out);
    }
}

typedef struct Replacing {
    Buf *out;
    StrView text, content;
    size_t done;
} Replacing;

static Status replace_match(void *ctx, size_t begin, size_t end) {
    Replacing *replacing = ctx;
    buf_append(replacing->out, replacing->text.ptr + replacing->done, begin - replacing->done);
    buf_append_sv(replacing->out, replacing->content);
    replacing->done = end;
    return STATUS_OK;
}

static Status decode_replace(TextList *out, const TextList *in, const DecodeStep *step,
                             Error *error) {
    for (size_t i = 0; i < in->count; i++) {
        StrView text = list_at(in, i);
        Replacing replacing = {.out = &out->bytes, .text = text, .content = step->text};
        TRY(pattern_each(&step->pattern, text, replace_match, &replacing, error));
        buf_append(&out->bytes, text.ptr + replacing.done, text.len - replacing.done);
        list_end(out);
    }
    return STATUS_OK;
}

static void decode_ctc(TextList *out, const TextList *in, const DecodeStep *step) {
    Buf token = BUF_INIT(DECODE_MAX_BYTES), cleaned = BUF_INIT(DECODE_MAX_BYTES);
    for (size_t i = 0; i < in->count; i++) {
        StrView text = list_at(in, i);
        if (i > 0 && sv_equal(text, list_at(in, i - 1)))
            continue;
        buf_clear(&token);
        append_replaced(&token, text, step->text, SV(""));
        StrView result = sv_n(token.ptr, token.len);
        size_t before = out->bytes.len;
        if (step->cleanup) {
            buf_clear(&cleaned);
            append_cleaned(&cleaned, result);
            append_replaced(&out->bytes, sv_n(cleaned.ptr, cleaned.len), step->delimiter, SV(" "));
        } else {
            buf_append_sv(&out->bytes, result);
        }
        if (out->bytes.len > before)
            list_end(out);
    }
    if (token.failed != STATUS_OK || cleaned.failed != STATUS_OK)
        out->out_of_memory = true;
    buf_free(&token);
    buf_free(&cleaned);
}

static Status run_step(TextList *out, const TextList *in, const DecodeStep *step, Error *error) {
    switch (step->kind) {
    case DECODE_WORDPIECE:
        decode_wordpiece(out, in, step);
        break;
    case DECODE_BYTE_LEVEL:
        decode_byte_level(out, in);
        break;
    case DECODE_METASPACE:
        decode_metaspace(out, in, step);
        break;
    case DECODE_BPE:
        decode_bpe(out, in, step);
        break;
    case DECODE_BYTE_FALLBACK:
        decode_byte_fallback(out, in);
        break;
    case DECODE_FUSE:
        buf_append(&out->bytes, in->bytes.ptr, in->bytes.len);
        list_end(out);
        break;
    case DECODE_STRIP:
        decode_strip(out, in, step);
        break;
    case DECODE_REPLACE:
        TRY(decode_replace(out, in, step, error));
        break;
    case DECODE_CTC:
        decode_ctc(out, in, step);
        break;
    }
    return list_status(out, error);
}

// The text that the decoders see: added tokens in their normalized form, as the library has it.
static StrView token_text(const Tokenizer *tokenizer, int32_t id, bool skip_special) {
    const AddedToken *added = added_token_by_id(&tokenizer->added, id);
    StrView text = added ? added->pattern : vocab_text(&tokenizer->model.vocab, id);
    if (!text.ptr || !skip_special)
        return text;
    added = added_token_by_content(&tokenizer->added, text);
    return added && added->special ? (StrView){NULL, 0} : text;
}

Status tokenizer_decode(Buf *out, const Tokenizer *tokenizer, const int32_t *ids, size_t len,
                        bool skip_special, Error *error) {
    TextList now, next;
    list_init(&now);
    list_init(&next);
    Status status = STATUS_OK;
    for (size_t i = 0; i < len; i++) {
        StrView text = token_text(tokenizer, ids[i], skip_special);
        if (!text.ptr)
            continue;
        if (!tokenizer->has_decoder && now.count > 0)
            buf_append_byte(&now.bytes, ' ');
        buf_append_sv(&now.bytes, text);
        list_end(&now);
    }
    TRY_DONE(list_status(&now, error));
    for (size_t i = 0; i < tokenizer->decoder_count; i++) {
        buf_clear(&next.bytes);
        next.count = 0;
        TRY_DONE(run_step(&next, &now, &tokenizer->decoder[i], error));
        TextList swap = now;
        now = next;
        next = swap;
    }
    buf_append(out, now.bytes.ptr, now.bytes.len);
    status = buf_status(out, error);
done:
    list_free(&now);
    list_free(&next);
    return status;
}
