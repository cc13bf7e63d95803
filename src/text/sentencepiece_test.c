// Replays test/golden/sentencepiece (what transformers answers with the same models) and checks
// what a model file may do wrong.
#include "text/rebuild.h"
#include "text/sentencepiece.h"

#include "base/file.h"
#include "base/wire.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>

#include <cmocka.h>

#define GOLDEN "test/golden/sentencepiece/"

static const EncodeOptions PLAIN = {.add_special_tokens = true};

static void assert_number(const JsonValue *list, size_t i, int64_t number, const char *what,
                          const char *text) {
    int64_t expected = -1;
    json_as_i64(&expected, json_at(list, i));
    if (expected != number)
        fail_msg("%s of \"%s\": number %zu is %lld, not %lld", what, text, i, (long long)number,
                 (long long)expected);
}

static void replay_case(const Tokenizer *tokenizer, const JsonValue *expected) {
    StrView text = SV(""), pair = {NULL, 0}, decoded = SV("");
    assert_true(json_as_string(&text, json_get(expected, "text")));
    assert_true(json_as_string(&decoded, json_get(expected, "decoded")));
    json_as_string(&pair, json_get(expected, "pair"));
    const JsonValue *ids = json_get(expected, "ids"), *types = json_get(expected, "type_ids");
    const JsonValue *offsets = json_get(expected, "offsets");
    EncodingList list;
    assert_int_equal(tokenizer_encode(&list, tokenizer, text, pair, &PLAIN, NULL), STATUS_OK);
    const Encoding *encoding = &list.items[0];
    if (encoding->len != json_len(ids))
        fail_msg("\"%s\": %zu tokens, not %zu", text.ptr, encoding->len, json_len(ids));
    for (size_t i = 0; i < encoding->len; i++) {
        assert_number(ids, i, encoding->ids[i], "ids", text.ptr);
        assert_number(types, i, encoding->type_ids[i], "type ids", text.ptr);
        assert_number(offsets, 2 * i, encoding->start[i], "offsets", text.ptr);
        assert_number(offsets, 2 * i + 1, encoding->end[i], "offsets", text.ptr);
    }
    Buf out = BUF_INIT(1 << 20);
    assert_int_equal(tokenizer_decode(&out, tokenizer, encoding->ids, encoding->len, true, NULL),
                     STATUS_OK);
    assert_true(sv_equal(sv_n(out.ptr, out.len), decoded));
    buf_free(&out);
    encoding_list_free(&list);
}

static void replay(const char *folder) {
    Tokenizer *tokenizer;
    Error error;
    Buf text = BUF_INIT(1 << 20);
    JsonDoc *doc;
    char *path = path_join(folder, "cases.json");
    if (tokenizer_open(&tokenizer, folder, NULL, NULL, &error) != STATUS_OK)
        fail_msg("%s", error.message);
    assert_int_equal(file_read(&text, path, 1 << 20, &error), STATUS_OK);
    assert_int_equal(json_parse(&doc, sv_n(text.ptr, text.len), 0, &error), STATUS_OK);
    size_t count = json_len(json_root(doc));
    assert_true(count >= 30);
    for (size_t i = 0; i < count; i++)
        replay_case(tokenizer, json_at(json_root(doc), i));
    json_free(doc);
    buf_free(&text);
    mem_free(path);
    tokenizer_close(tokenizer);
}

static void xlm_roberta_has_the_ids_of_fairseq(void **state) {
    (void)state;
    replay(GOLDEN "xlm-roberta");
}

static void camembert_keeps_the_pieces_of_its_special_tokens(void **state) {
    (void)state;
    replay(GOLDEN "camembert");
}

static void t5_has_sentinels_and_an_end(void **state) {
    (void)state;
    replay(GOLDEN "t5");
}

static void albert_lowers_case_and_drops_accents(void **state) {
    (void)state;
    replay(GOLDEN "albert");
}

static void llama_merges_by_id_and_falls_back_to_bytes(void **state) {
    (void)state;
    replay(GOLDEN "llama");
}

static void other_classes_encode_as_sentencepiece_does(void **state) {
    (void)state;
    replay(GOLDEN "plain-bpe");
    replay(GOLDEN "plain-unigram");
}

// ---- What may be wrong ----

static void put_piece(Buf *out, const char *text, float score, int64_t type) {
    size_t begin = wire_begin(out, 1);
    wire_put_bytes(out, 1, sv(text));
    wire_put_f32(out, 2, score);
    wire_put_i64(out, 3, type);
    wire_end(out, begin);
}

static void put_model_type(Buf *out, int64_t type) {
    size_t begin = wire_begin(out, 2);
    wire_put_i64(out, 3, type);
    wire_end(out, begin);
}

static void assert_refused(const Buf *model, const char *config, Status expected,
                           const char *message) {
    const SentencePieceFiles files = {.model = sv_n(model->ptr, model->len), .config = sv(config)};
    Buf json = BUF_INIT(1 << 20);
    Error error = {.code = STATUS_OK};
    assert_int_equal(rebuild_from_sentencepiece(&json, &files, &error), expected);
    if (!strstr(error.message, message))
        fail_msg("\"%s\" does not say \"%s\"", error.message, message);
    buf_free(&json);
}

#define XLM_ROBERTA "{\"tokenizer_class\":\"XLMRobertaTokenizer\"}"

static void models_of_words_and_characters_are_refused(void **state) {
    (void)state;
    for (int64_t type = 3; type <= 4; type++) {
        Buf model = BUF_INIT(4096);
        put_piece(&model, "<unk>", 0, 2);
        put_model_type(&model, type);
        assert_refused(&model, XLM_ROBERTA, STATUS_UNSUPPORTED,
                       type == 3 ? "models of words" : "models of characters");
        buf_free(&model);
    }
}

static void classes_that_are_not_known_are_named(void **state) {
    (void)state;
    Buf model = BUF_INIT(4096);
    put_piece(&model, "<unk>", 0, 2);
    assert_refused(&model, "{\"tokenizer_class\":\"XLNetTokenizer\"}", STATUS_UNSUPPORTED,
                   "\"XLNetTokenizer\"");
    assert_refused(&model, "", STATUS_UNSUPPORTED, "which tokenizer");
    put_model_type(&model, 2);
    assert_refused(&model, XLM_ROBERTA, STATUS_UNSUPPORTED, "a bpe model for");
    buf_free(&model);
}

static void broken_pieces_are_refused(void **state) {
    (void)state;
    static const struct {
        const char *text;
        float score;
        int64_t type;
    } pieces[] = {{"", 0, 1}, {"\xff", 0, 1}, {"a", __builtin_inff(), 1}, {"a", 0, 7}, {"a", 0, 0}};
    for (size_t i = 0; i < sizeof pieces / sizeof pieces[0]; i++) {
        Buf model = BUF_INIT(4096);
        put_piece(&model, "<unk>", 0, 2);
        put_piece(&model, pieces[i].text, pieces[i].score, pieces[i].type);
        assert_refused(&model, XLM_ROBERTA, STATUS_CORRUPT, "piece 1");
        buf_free(&model);
    }
    Buf empty = BUF_INIT(16);
    assert_refused(&empty, XLM_ROBERTA, STATUS_CORRUPT, "without pieces");
    char text[SPM_MAX_PIECE + 2];
    memset(text, 'a', sizeof text - 1);
    text[sizeof text - 1] = 0;
    Buf model = BUF_INIT(4096);
    put_piece(&model, text, 0, 1);
    assert_refused(&model, XLM_ROBERTA, STATUS_LIMIT, "piece 0");
    buf_free(&model);
}

static void a_model_cut_short_is_an_error_with_the_file(void **state) {
    (void)state;
    Buf model = BUF_INIT(1 << 20);
    assert_int_equal(file_read(&model, GOLDEN "llama/tokenizer.model", 1 << 20, NULL), STATUS_OK);
    size_t whole = model.len;
    for (size_t len = 1; len < whole; len += 97) {
        SpmModel spm;
        Error error;
        Status status = spm_read(&spm, sv_n(model.ptr, len), &error);
        // Cut between two pieces it is a shorter model of the default kind.
        if (status == STATUS_OK)
            spm_free(&spm);
        else
            assert_int_equal(status, STATUS_CORRUPT);
    }
    buf_free(&model);
}

static Status open_once(const char *folder) {
    Tokenizer *tokenizer;
    Status status = tokenizer_open(&tokenizer, folder, NULL, NULL, NULL);
    assert_true((status == STATUS_OK) == (tokenizer != NULL));
    tokenizer_close(tokenizer);
    return status;
}

static void every_failed_allocation_is_an_error(void **state) {
    (void)state;
    static const char *const folders[] = {GOLDEN "t5", GOLDEN "llama", GOLDEN "plain-bpe"};
    for (size_t i = 0; i < sizeof folders / sizeof folders[0]; i++) {
        mem_fail_after(0);
        assert_int_equal(open_once(folders[i]), STATUS_OK);
        size_t count = mem_fail_after(0);
        assert_true(count > 50);
        for (size_t n = 1; n <= count; n++) {
            mem_fail_after(n);
            Status status = open_once(folders[i]);
            mem_fail_after(0);
            if (status != STATUS_OUT_OF_MEMORY)
                fail_msg("%s: allocation %zu of %zu: status %d", folders[i], n, count, status);
        }
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(xlm_roberta_has_the_ids_of_fairseq),
        cmocka_unit_test(camembert_keeps_the_pieces_of_its_special_tokens),
        cmocka_unit_test(t5_has_sentinels_and_an_end),
        cmocka_unit_test(albert_lowers_case_and_drops_accents),
        cmocka_unit_test(llama_merges_by_id_and_falls_back_to_bytes),
        cmocka_unit_test(other_classes_encode_as_sentencepiece_does),
        cmocka_unit_test(models_of_words_and_characters_are_refused),
        cmocka_unit_test(classes_that_are_not_known_are_named),
        cmocka_unit_test(broken_pieces_are_refused),
        cmocka_unit_test(a_model_cut_short_is_an_error_with_the_file),
        cmocka_unit_test(every_failed_allocation_is_an_error),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
