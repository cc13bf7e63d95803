// Both ways of merging agree with the definition: again and again the leftmost pair of least rank.
#include "text/pipeline.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>

#include <cmocka.h>

static uint32_t next_random(uint64_t *state) {
    *state = *state * 6364136223846793005u + 1442695040888963407u;
    return (uint32_t)(*state >> 33);
}

// Random merges over three letters: each joins two tokens that exist by then.
static Tokenizer *open_random(uint64_t seed) {
    enum { TOKENS = 40 };
    char tokens[TOKENS][64] = {"a", "b", "c"};
    Buf vocab = BUF_INIT(1 << 16), merges = BUF_INIT(1 << 16);
    buf_append_cstr(&vocab, "\"a\":0,\"b\":1,\"c\":2");
    int count = 3;
    for (int tries = 0; count < TOKENS && tries < 1000; tries++) {
        const char *left = tokens[next_random(&seed) % (uint32_t)count];
        const char *right = tokens[next_random(&seed) % (uint32_t)count];
        char joined[64];
        bool is_new = snprintf(joined, sizeof joined, "%s%s", left, right) < 16;
        for (int i = 0; i < count && is_new; i++)
            is_new = strcmp(tokens[i], joined) != 0;
        if (!is_new)
            continue;
        buf_printf(&vocab, ",\"%s\":%d", joined, count);
        buf_printf(&merges, "%s\"%s %s\"", merges.len ? "," : "", left, right);
        strcpy(tokens[count++], joined);
    }
    Buf json = BUF_INIT(1 << 17);
    buf_printf(&json, "{\"model\":{\"type\":\"BPE\",\"vocab\":{%s},\"merges\":[%s]}}", vocab.ptr,
               merges.ptr);
    Tokenizer *tokenizer;
    Error error;
    if (tokenizer_open_json(&tokenizer, sv_n(json.ptr, json.len), SV(""), &error) != STATUS_OK)
        fail_msg("%s", error.message);
    buf_free(&vocab);
    buf_free(&merges);
    buf_free(&json);
    return tokenizer;
}

static size_t merge_by_definition(const Bpe *bpe, int32_t *ids, size_t count) {
    for (;;) {
        const Merge *best = NULL;
        size_t at = 0;
        for (size_t i = 0; i + 1 < count; i++) {
            const Merge *merge = bpe_find_merge(bpe, ids[i], ids[i + 1]);
            if (merge && (!best || merge->rank < best->rank)) {
                best = merge;
                at = i;
            }
        }
        if (!best)
            return count;
        ids[at] = best->merged;
        memmove(ids + at + 1, ids + at + 2, (count - at - 2) * sizeof *ids);
        count--;
    }
}

static void merging_follows_its_definition(void **state) {
    (void)state;
    for (uint64_t seed = 1; seed <= 30; seed++) {
        Tokenizer *tokenizer = open_random(seed);
        uint64_t random = seed * 77;
        assert_true(tokenizer->model.bpe.words.count >= 3);
        for (int round = 0; round < 60; round++) {
            char text[200];
            int32_t ids[200];
            // Short ones are often one token, which is found without merging.
            size_t len = 1 + next_random(&random) % (round & 1 ? 8 : sizeof text);
            for (size_t i = 0; i < len; i++) {
                ids[i] = (int32_t)(next_random(&random) % 3);
                text[i] = (char)('a' + ids[i]);
            }
            size_t count = merge_by_definition(&tokenizer->model.bpe, ids, len);
            EncodingList list;
            const EncodeOptions options = {.max_length = 0};
            assert_int_equal(tokenizer_encode(&list, tokenizer, sv_n(text, len), (StrView){NULL, 0},
                                              &options, NULL),
                             STATUS_OK);
            assert_int_equal(list.items[0].len, count);
            assert_memory_equal(list.items[0].ids, ids, count * sizeof *ids);
            encoding_list_free(&list);
        }
        tokenizer_close(tokenizer);
    }
}

static void repeated_words_come_from_the_cache_unchanged(void **state) {
    (void)state;
    static const char json[] =
        "{\"pre_tokenizer\":{\"type\":\"ByteLevel\",\"add_prefix_space\":false,"
        "\"use_regex\":true},\"model\":{\"type\":\"BPE\",\"vocab\":{\"a\":0,\"b\":1,"
        "\"\\u0120\":2,\"ab\":3,\"\\u0120ab\":4},\"merges\":[[\"a\",\"b\"],[\"\\u0120\",\"ab\"]]}}";
    Tokenizer *tokenizer;
    assert_int_equal(tokenizer_open_json(&tokenizer, sv(json), SV(""), NULL), STATUS_OK);
    Buf text = BUF_INIT(1 << 16);
    for (int i = 0; i < 1000; i++)
        buf_append_cstr(&text, i % 3 ? " ab" : " ba");
    EncodingList list;
    const EncodeOptions options = {.max_length = 0};
    assert_int_equal(tokenizer_encode(&list, tokenizer, sv_n(text.ptr, text.len),
                                      (StrView){NULL, 0}, &options, NULL),
                     STATUS_OK);
    const Encoding *encoding = &list.items[0];
    size_t at = 0;
    for (uint32_t i = 0; i < 1000; i++) {
        assert_int_equal(encoding->start[at], i * 3);
        assert_int_equal(encoding->word[at], i);
        assert_int_equal(encoding->ids[at], i % 3 ? 4 : 2);
        at += i % 3 ? 1 : 3;
        assert_int_equal(encoding->end[at - 1], i * 3 + 3);
    }
    assert_int_equal(at, encoding->len);
    encoding_list_free(&list);
    tokenizer_close(tokenizer);
    buf_free(&text);
}

static void bad_merges_are_refused(void **state) {
    (void)state;
    static const char *const merges[] = {"[\"a\"]",   "[\"a b c\"]", "[\"a x\"]", "[\"x a\"]",
                                         "[\"b a\"]", "[[\"a\"]]",   "[1]",       "{}"};
    for (size_t i = 0; i < sizeof merges / sizeof merges[0]; i++) {
        char json[256];
        Tokenizer *tokenizer;
        Error error;
        snprintf(json, sizeof json,
                 "{\"model\":{\"type\":\"BPE\",\"vocab\":{\"a\":0,\"b\":1,\"ab\":2},"
                 "\"merges\":%s}}",
                 merges[i]);
        Status status = tokenizer_open_json(&tokenizer, sv(json), SV(""), &error);
        // A list that does not start as one of pairs ends at once.
        if (status != STATUS_CORRUPT && strcmp(merges[i], "[1]") != 0)
            fail_msg("%s was accepted", merges[i]);
        tokenizer_close(tokenizer);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(merging_follows_its_definition),
        cmocka_unit_test(repeated_words_come_from_the_cache_unchanged),
        cmocka_unit_test(bad_merges_are_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
