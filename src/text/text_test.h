// What the tests of this room share: golden tokenizers, and compiled forms in memory.
#ifndef GPUX_TEXT_TEXT_TEST_H
#define GPUX_TEXT_TEXT_TEST_H

#include "text/pipeline.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#define GOLDEN "test/golden/text/"

static const char *const GOLDEN_FILES[] = {GOLDEN "wordpiece.json", GOLDEN "byte_bpe.json",
                                           GOLDEN "llama_bpe.json", GOLDEN "unigram.json"};

enum { GOLDEN_COUNT = 4 };

// The tokenizer.json inside a golden file; *doc, if wanted, is the whole file.
static inline Buf golden_tokenizer(const char *path, JsonDoc **doc) {
    JsonDoc *parsed;
    Error error;
    if (json_parse_file(&parsed, path, 1 << 20, 0, &error) != STATUS_OK)
        fail_msg("%s", error.message);
    Buf json = BUF_INIT(1 << 20);
    JsonWriter writer = json_writer(&json, 0);
    json_write_value(&writer, json_get(json_root(parsed), "tokenizer"));
    if (doc)
        *doc = parsed;
    else
        json_free(parsed);
    return json;
}

static inline Tokenizer *open_or_fail(StrView json) {
    Tokenizer *tokenizer;
    Error error;
    if (tokenizer_open_json(&tokenizer, json, SV(""), &error) != STATUS_OK)
        fail_msg("%s", error.message);
    return tokenizer;
}

typedef struct Block {
    uint8_t *data; // for free()
    size_t size;
} Block;

static inline Block compile_block(const Tokenizer *tokenizer) {
    Block block = {.size = compiled_size(tokenizer)};
    assert_true(block.size > 0);
    // Of exactly this size, so that the sanitizers see a read beyond it.
    block.data = aligned_alloc(16, (block.size + 15) / 16 * 16);
    assert_non_null(block.data);
    memset(block.data, 0, block.size);
    compiled_write(block.data, block.size, tokenizer);
    return block;
}

#endif
