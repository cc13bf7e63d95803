// The trie and the search through it agree with the definition: of all ways to cut a text into
// pieces, the one of the greatest sum of scores; of equals, whose last piece starts first.
#include "text/text_test.h"

enum { PIECES = 60, MAX_PIECE = 6, MAX_TEXT = 40 };

static uint32_t next_random(uint64_t *state) {
    *state = *state * 6364136223846793005u + 1442695040888963407u;
    return (uint32_t)(*state >> 33);
}

typedef struct PieceTable {
    char texts[PIECES][MAX_PIECE + 1];
    double scores[PIECES];
    int count;
} PieceTable;

// Random pieces over a three-letter alphabet, the letters among them, some of equal score.
static Tokenizer *open_random(PieceTable *table, uint64_t seed) {
    *table = (PieceTable){.count = 0};
    Buf json = BUF_INIT(1 << 16);
    buf_append_cstr(&json, "{\"model\":{\"type\":\"Unigram\",\"unk_id\":null,\"vocab\":[");
    while (table->count < PIECES) {
        char *text = table->texts[table->count];
        uint32_t len = table->count < 3 ? 1 : 1 + next_random(&seed) % MAX_PIECE;
        for (uint32_t i = 0; i < len; i++)
            text[i] =
                (char)('a' + (table->count < 3 ? (uint32_t)table->count : next_random(&seed) % 3));
        text[len] = 0;
        bool is_new = true;
        for (int i = 0; i < table->count; i++)
            is_new &= strcmp(table->texts[i], text) != 0;
        if (!is_new)
            continue;
        table->scores[table->count] = -1.0 - next_random(&seed) % 8 * 0.5;
        buf_printf(&json, "%s[\"%s\",%.1f]", table->count ? "," : "", text,
                   table->scores[table->count]);
        table->count++;
    }
    buf_append_cstr(&json, "]}}");
    Tokenizer *tokenizer = open_or_fail(sv_n(json.ptr, json.len));
    buf_free(&json);
    return tokenizer;
}

// The ids of the best path, by trying every piece at every place.
static size_t best_path(int32_t ids[MAX_TEXT], const PieceTable *table, StrView text) {
    double best[MAX_TEXT + 1] = {0};
    int last[MAX_TEXT + 1];
    for (size_t end = 1; end <= text.len; end++) {
        last[end] = -1;
        for (size_t len = end < MAX_PIECE ? end : MAX_PIECE; len > 0; len--) {
            for (int i = 0; i < table->count; i++) {
                if (!sv_equal(sv(table->texts[i]), sv_n(text.ptr + end - len, len)))
                    continue;
                double score = table->scores[i] + best[end - len];
                if (last[end] < 0 || score > best[end]) {
                    best[end] = score;
                    last[end] = i;
                }
            }
        }
    }
    size_t count = 0;
    for (size_t end = text.len; end > 0; end -= strlen(table->texts[last[end]]))
        ids[count++] = last[end];
    for (size_t i = 0; i < count / 2; i++) {
        int32_t swap = ids[i];
        ids[i] = ids[count - 1 - i];
        ids[count - 1 - i] = swap;
    }
    return count;
}

static void the_best_path_follows_its_definition(void **state) {
    (void)state;
    for (uint64_t seed = 1; seed <= 30; seed++) {
        PieceTable table;
        Tokenizer *tokenizer = open_random(&table, seed);
        uint64_t random = seed * 77;
        for (int round = 0; round < 60; round++) {
            char text[MAX_TEXT];
            int32_t ids[MAX_TEXT];
            size_t len = 1 + next_random(&random) % MAX_TEXT;
            for (size_t i = 0; i < len; i++)
                text[i] = (char)('a' + next_random(&random) % 3);
            size_t count = best_path(ids, &table, sv_n(text, len));
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

static void every_piece_is_found_and_no_prefix_of_one(void **state) {
    (void)state;
    // One character does not fit: a leaf whose text the word only begins, or leaves early.
    Tokenizer *tokenizer =
        open_or_fail(SV("{\"model\":{\"type\":\"Unigram\",\"unk_id\":0,\"vocab\":[[\"<unk>\",0],"
                        "[\"abcdef\",-1],[\"a\",-2],[\"b\",-3],[\"xyz\",-1]]}}"));
    static const struct {
        const char *text;
        int32_t ids[4];
        size_t count;
    } cases[] = {
        {"abcdef", {1}, 1}, {"ab", {2, 3}, 2},       {"xyz", {4}, 1},
        {"xy", {0}, 1},     {"abxyz", {2, 3, 4}, 3}, {"axyxyz", {2, 0, 4}, 3},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        EncodingList list;
        const EncodeOptions options = {.max_length = 0};
        assert_int_equal(tokenizer_encode(&list, tokenizer, sv(cases[i].text), (StrView){NULL, 0},
                                          &options, NULL),
                         STATUS_OK);
        assert_int_equal(list.items[0].len, cases[i].count);
        assert_memory_equal(list.items[0].ids, cases[i].ids, cases[i].count * sizeof(int32_t));
        encoding_list_free(&list);
    }
    tokenizer_close(tokenizer);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_best_path_follows_its_definition),
        cmocka_unit_test(every_piece_is_found_and_no_prefix_of_one),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
