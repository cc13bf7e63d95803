// Fuzz target: a tokenizer.json, a zero byte, a text, a zero byte, a second text. Whatever opens
// must encode with sane offsets, fill its windows and decode.
#include "base/memory.h"
#include "text/text.h"

#include <stdlib.h>

static void require(bool holds) {
    if (!holds)
        abort();
}

static StrView take_part(StrView *rest) {
    const char *zero = rest->len ? memchr(rest->ptr, 0, rest->len) : NULL;
    StrView part = sv_n(rest->ptr, zero ? (size_t)(zero - rest->ptr) : rest->len);
    size_t used = part.len + (zero != NULL);
    *rest = sv_n(rest->ptr + used, rest->len - used);
    return part;
}

static void check_encoding(const Encoding *encoding, const EncodeOptions *options,
                           const size_t counts[2]) {
    if (options->max_length > 0)
        require(encoding->len <= options->max_length);
    for (size_t i = 0; i < encoding->len; i++) {
        require(encoding->ids[i] >= 0);
        require(encoding->sequence[i] >= -1 && encoding->sequence[i] <= 1);
        require(encoding->start[i] <= encoding->end[i]);
        if (encoding->sequence[i] >= 0)
            require(encoding->end[i] <= counts[encoding->sequence[i]]);
    }
}

static void check_decode(const Tokenizer *tokenizer, const Encoding *encoding) {
    Buf out = BUF_INIT(1 << 20);
    Status status =
        tokenizer_decode(&out, tokenizer, encoding->ids, encoding->len, encoding->len & 1, NULL);
    if (status == STATUS_OK)
        require(utf8_is_valid(sv_n(out.ptr ? out.ptr : "", out.len), NULL));
    buf_free(&out);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    StrView rest = sv_n((const char *)data, size);
    StrView json = take_part(&rest), text = take_part(&rest), pair = rest;
    if (text.len == 0)
        text = json;
    Tokenizer *tokenizer;
    Error error;
    if (tokenizer_open_json(&tokenizer, json, json, &error) != STATUS_OK) {
        require(tokenizer == NULL && error.message[0] != 0);
        return 0;
    }
    const size_t counts[2] = {utf8_count(text), utf8_count(pair)};
    for (size_t max_length = 0; max_length < 12; max_length += 5) {
        EncodeOptions options = {.add_special_tokens = max_length != 5,
                                 .max_length = max_length,
                                 .truncation = (Truncation)(max_length % 3),
                                 .stride = max_length / 5,
                                 .return_windows = size & 1,
                                 .truncate_left = size & 2};
        EncodingList list;
        Status status = tokenizer_encode(&list, tokenizer, text,
                                         pair.len ? pair : (StrView){NULL, 0}, &options, &error);
        require((status == STATUS_OK) == (list.count > 0));
        for (size_t i = 0; i < list.count; i++)
            check_encoding(&list.items[i], &options, counts);
        if (list.count > 0)
            check_decode(tokenizer, &list.items[0]);
        encoding_list_free(&list);
    }
    tokenizer_close(tokenizer);
    return 0;
}
