// Fuzz target: a tokenizer_config.json, a zero byte, a SentencePiece model. Whatever is rebuilt is
// JSON; whatever opens from it encodes.
#include "base/memory.h"
#include "text/rebuild.h"

#include <stdlib.h>

static void require(bool holds) {
    if (!holds)
        abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    const char *bytes = (const char *)data;
    const char *zero = size ? memchr(bytes, 0, size) : NULL;
    size_t len = zero ? (size_t)(zero - bytes) : size, used = len + (zero != NULL);
    const SentencePieceFiles files = {
        .model = sv_n(bytes + used, size - used),
        .config = sv_n(bytes, len),
        .added = sv_n(bytes, len),
        .model_config = sv_n(bytes, len),
    };
    Buf json = BUF_INIT(16 << 20);
    Error error = {.code = STATUS_OK};
    Status status = rebuild_from_sentencepiece(&json, &files, &error);
    require(status == STATUS_OK || error.message[0] != 0);
    Tokenizer *tokenizer = NULL;
    if (status == STATUS_OK) {
        JsonDoc *doc;
        require(json_parse(&doc, sv_n(json.ptr, json.len), 0, &error) == STATUS_OK);
        json_free(doc);
        status = tokenizer_open_json(&tokenizer, sv_n(json.ptr, json.len), files.config, &error);
    }
    if (status == STATUS_OK) {
        const EncodeOptions options = {.add_special_tokens = true};
        EncodingList list;
        status = tokenizer_encode(&list, tokenizer, SV(" the  fox\n<s>\xc3\xa9 x"), SV("dog"),
                                  &options, &error);
        for (size_t i = 0; i < list.count; i++)
            for (size_t k = 0; k < list.items[i].len; k++)
                require(list.items[i].ids[k] >= 0);
        encoding_list_free(&list);
    }
    tokenizer_close(tokenizer);
    buf_free(&json);
    return 0;
}
