// Fuzz target: a compiled tokenizer that was tampered with and whose checksum is right again. The
// first byte chooses the tokenizer, the second how many patches follow: three bytes of distance
// from the end and a new value each. The rest is the text. Whatever opens may answer anything, as
// long as its offsets lie in the text.
#include "text/pipeline.h"

#include <stdlib.h>

static const char *const TOKENIZERS[] = {
    "{\"added_tokens\":[{\"content\":\"[X]\",\"special\":true,\"normalized\":false}],"
    "\"normalizer\":"
    "{\"type\":\"BertNormalizer\"},\"pre_tokenizer\":{\"type\":\"BertPreTokenizer\"},\"decoder\":"
    "{\"type\":\"WordPiece\"},\"model\":{\"type\":\"WordPiece\",\"vocab\":{\"[UNK]\":0,\"a\":1,"
    "\"##b\":2,\"[X]\":3}}}",
    "{\"pre_tokenizer\":{\"type\":\"ByteLevel\"},\"post_processor\":{\"type\":\"ByteLevel\"},"
    "\"decoder\":{\"type\":\"ByteLevel\"},\"model\":{\"type\":\"BPE\",\"vocab\":{\"a\":0,\"b\":1,"
    "\"\\u0120\":2,\"ab\":3,\"\\u0120ab\":4},\"merges\":[[\"a\",\"b\"],[\"\\u0120\",\"ab\"]]}}",
    "{\"normalizer\":{\"type\":\"Replace\",\"pattern\":{\"Regex\":\" +\"},\"content\":\"\\u2581\"},"
    "\"pre_tokenizer\":{\"type\":\"Split\",\"pattern\":{\"String\":\"c\"},\"behavior\":"
    "\"Isolated\"},"
    "\"model\":{\"type\":\"BPE\",\"byte_fallback\":true,\"unk_token\":\"u\",\"vocab\":{\"u\":0,"
    "\"a\":1,\"\\u2581\":2,\"\\u2581a\":3,\"<0x62>\":4},\"merges\":[\"\\u2581 a\"]}}",
    "{\"pre_tokenizer\":{\"type\":\"Metaspace\",\"replacement\":\"\\u2581\"},\"model\":{\"type\":"
    "\"Unigram\",\"unk_id\":0,\"vocab\":[[\"u\",0],[\"a\",-1],[\"\\u2581a\",-2],[\"abc\",-3],["
    "\"abd\","
    "-4]]}}",
};

enum { TOKENIZER_COUNT = sizeof TOKENIZERS / sizeof TOKENIZERS[0], PATCH_BYTES = 4 };

static void require(bool holds) {
    if (!holds)
        abort();
}

typedef struct Block {
    uint8_t *data;
    size_t size;
} Block;

static Block compile(const char *json) {
    Tokenizer *tokenizer;
    require(tokenizer_open_json(&tokenizer, sv(json), SV(""), NULL) == STATUS_OK);
    Block block = {.size = compiled_size(tokenizer)};
    block.data = calloc(1, block.size);
    require(block.data != NULL);
    compiled_write(block.data, block.size, tokenizer);
    tokenizer_close(tokenizer);
    return block;
}

// A copy of the compiled form, which is made once.
static Block copy_block(size_t which) {
    static Block blocks[TOKENIZER_COUNT];
    if (!blocks[which].data)
        blocks[which] = compile(TOKENIZERS[which]);
    Block copy = {.data = malloc(blocks[which].size), .size = blocks[which].size};
    require(copy.data != NULL);
    memcpy(copy.data, blocks[which].data, copy.size);
    return copy;
}

static void use(const Tokenizer *tokenizer, StrView text) {
    const EncodeOptions options = {.add_special_tokens = true, .max_length = 64};
    EncodingList list;
    Buf decoded = BUF_INIT(1 << 20);
    tokenizer_encode(&list, tokenizer, text, SV("ab c"), &options, NULL);
    for (size_t i = 0; i < list.count; i++) {
        const Encoding *encoding = &list.items[i];
        for (size_t k = 0; k < encoding->len; k++) {
            size_t most = encoding->sequence[k] == 1 ? 4 : utf8_count(text);
            require(encoding->start[k] <= encoding->end[k] && encoding->end[k] <= most);
        }
        tokenizer_decode(&decoded, tokenizer, encoding->ids, encoding->len, true, NULL);
    }
    tokenizer_token(tokenizer, tokenizer_token_id(tokenizer, text));
    buf_free(&decoded);
    encoding_list_free(&list);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    if (size < 2)
        return 0;
    size_t pos = 2;
    Block block = copy_block(data[0] % TOKENIZER_COUNT);
    for (size_t i = 0; i < data[1] && size - pos >= PATCH_BYTES; i++, pos += PATCH_BYTES) {
        size_t behind = (size_t)data[pos] << 16 | (size_t)data[pos + 1] << 8 | data[pos + 2];
        block.data[block.size - 1 - behind % block.size] = data[pos + 3];
    }
    compiled_seal(block.data, block.size);
    Tokenizer *tokenizer;
    Error error;
    if (compiled_read(&tokenizer, block.data, block.size, &error) == STATUS_OK)
        use(tokenizer, sv_n((const char *)data + pos, size - pos));
    else
        require(tokenizer == NULL && error.message[0] != 0);
    tokenizer_close(tokenizer);
    free(block.data);
    return 0;
}
