// Tests of the checking pass and of numeric arrays. Each text is also given to the tree, which must
// agree about acceptance.
#include "base/json.h"

#include "base/clock.h"
#include "base/memory.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

static Status checked(StrView text, Error *error) {
    JsonScan scan;
    Status status = json_scan(&scan, text, error);
    json_scan_free(&scan);
    JsonDoc *doc;
    assert_int_equal(json_parse(&doc, text, 0, NULL), status);
    json_free(doc);
    return status;
}

static void good_texts_are_accepted(void **state) {
    (void)state;
    static const char *const good[] = {
        "0",
        "-0",
        "1.5e-3",
        "true",
        "null",
        "\"\"",
        "[]",
        "{}",
        " [ ] ",
        "{\"a\":{}}",
        "[1,[2,[3]]]",
        "\"\\u00e9\\\"\\/\"",
        "\"\xc3\xa9\xef\xbf\xbd\"",
        "1E+2",
        "1e-999",
        "\"\\ud83d\\ude00\"",
        "\t\r\n{\"a\" : 1 , \"b\" : [ ] }\n",
        "99999999999999999999",
        "\"\x7f\"",
    };
    for (size_t i = 0; i < sizeof good / sizeof good[0]; i++) {
        Error error = {0};
        if (checked(sv(good[i]), &error) != STATUS_OK)
            fail_msg("%s: %s", good[i], error.message);
    }
}

static void bad_texts_are_refused(void **state) {
    (void)state;
    static const char *const bad[] = {
        "",
        " ",
        "01",
        "-",
        "+1",
        ".5",
        "1.",
        "1e",
        "1e+",
        "NaN",
        "Infinity",
        "-Infinity",
        "nul",
        "truex",
        "True",
        "'a'",
        "[1,]",
        "[1 2]",
        "[,1]",
        "[",
        "]",
        "{",
        "{\"a\"}",
        "{\"a\":}",
        "{a:1}",
        "{\"a\":1,}",
        "{1:2}",
        "[1}",
        "\"",
        "\"\\x\"",
        "\"\\u12\"",
        "\"\\u12g4\"",
        "\"\n\"",
        "\"a\\",
        "\"\\ud800\"",
        "\"\\udc00\"",
        "\"\\ud800\\u0041\"",
        "\"\xff\"",
        "\"\xc0\x80\"",
        "\"\xed\xa0\x80\"",
        "\"\xe2\x82\"",
        "1 2",
        "[] x",
        "1e999",
        "-1e400",
        "\xef\xbb\xbf[]",
        "[1,\xa0 2]",
        "\"\\ud83d\\u\"",
        "//x\n1",
        "[1]]",
    };
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        if (checked(sv(bad[i]), NULL) != STATUS_CORRUPT)
            fail_msg("accepted: %s", bad[i]);
    }
    assert_int_equal(checked(SV("1\0"), NULL), STATUS_CORRUPT);
    assert_int_equal(checked(SV("\"\0\""), NULL), STATUS_CORRUPT);
    char digits[401];
    memset(digits, '9', sizeof digits);
    assert_int_equal(checked(sv_n(digits, sizeof digits), NULL), STATUS_CORRUPT);
    assert_int_equal(checked(sv_n(digits, 305), NULL), STATUS_OK);
}

static void errors_count_lines_and_code_points(void **state) {
    (void)state;
    Error error;
    assert_int_equal(checked(SV("{\n  \"\xc3\xa9\xc3\xa9\": x}"), &error), STATUS_CORRUPT);
    assert_string_equal(error.message, "expected a value: line 2 column 9");
    assert_int_equal(error.offset, 12);
    assert_int_equal(checked(SV(""), &error), STATUS_CORRUPT);
    assert_string_equal(error.message, "unexpected end of the text: line 1 column 1");
    assert_int_equal(checked(SV("[\"a\xff\"]"), &error), STATUS_CORRUPT);
    assert_string_equal(error.message, "invalid UTF-8: line 1 column 4");
}

static void depth_is_limited(void **state) {
    (void)state;
    char text[131];
    for (size_t depth = JSON_MAX_DEPTH; depth <= JSON_MAX_DEPTH + 1; depth++) {
        memset(text, '[', depth);
        memset(text + depth, ']', depth);
        Status expected = depth <= JSON_MAX_DEPTH ? STATUS_OK : STATUS_LIMIT;
        assert_int_equal(checked(sv_n(text, 2 * depth), NULL), expected);
    }
    static char endless[1 << 20];
    memset(endless, '[', sizeof endless);
    assert_int_equal(checked(sv_n(endless, sizeof endless), NULL), STATUS_LIMIT);
}

static void spans_cover_the_top_level(void **state) {
    (void)state;
    JsonScan scan;
    StrView text = SV(" {\"in\\n\": [[1, 2], [true]] , \"s\":\"x\", \"m\": [1, \"2\"], \"e\": [],"
                      " \"o\": [{}], \"n\": 5}");
    assert_int_equal(json_scan(&scan, text, NULL), STATUS_OK);
    static const struct {
        const char *key;
        const char *text;
        bool is_numeric_array;
    } expected[] = {
        {"in\\n", "[[1, 2], [true]]", true},
        {"s", "\"x\"", false},
        {"m", "[1, \"2\"]", false},
        {"e", "[]", true},
        {"o", "[{}]", false},
        {"n", "5", false},
    };
    assert_int_equal(scan.kind, JSON_OBJECT);
    assert_int_equal(scan.count, 6);
    for (size_t i = 0; i < scan.count; i++) {
        assert_true(sv_equal_cstr(scan.spans[i].key, expected[i].key));
        assert_true(sv_equal_cstr(scan.spans[i].text, expected[i].text));
        assert_int_equal(scan.spans[i].is_numeric_array, expected[i].is_numeric_array);
    }
    json_scan_free(&scan);
    assert_int_equal(json_scan(&scan, SV("[{\"a\": [1]}, [2]]"), NULL), STATUS_OK);
    assert_int_equal(scan.kind, JSON_ARRAY);
    assert_int_equal(scan.count, 2);
    assert_int_equal(scan.spans[0].key.len, 0);
    assert_false(scan.spans[0].is_numeric_array);
    assert_true(scan.spans[1].is_numeric_array);
    json_scan_free(&scan);
    assert_int_equal(json_scan(&scan, SV("3.5"), NULL), STATUS_OK);
    assert_int_equal(scan.kind, JSON_REAL);
    assert_int_equal(scan.count, 0);
    json_scan_free(&scan);
}

static void rectangular_arrays_become_tensors(void **state) {
    (void)state;
    JsonNumbers numbers;
    assert_int_equal(
        json_read_numbers(&numbers, SV(" [[1, -2, 3], [4, 5, 9007199254740993]] "), NULL),
        STATUS_OK);
    assert_int_equal(numbers.rank, 2);
    assert_int_equal(numbers.shape[0], 2);
    assert_int_equal(numbers.shape[1], 3);
    assert_int_equal(numbers.count, 6);
    assert_true(numbers.all_integers && !numbers.all_bools);
    assert_true(numbers.integers[5] == 9007199254740993);
    assert_true(numbers.reals[1] == -2.0);
    json_numbers_free(&numbers);

    assert_int_equal(json_read_numbers(&numbers, SV("[1, 2.5, 18446744073709551615]"), NULL),
                     STATUS_OK);
    assert_false(numbers.all_integers);
    assert_null(numbers.integers);
    assert_true(numbers.reals[0] == 1.0 && numbers.reals[1] == 2.5 && numbers.reals[2] == 0x1p64);
    json_numbers_free(&numbers);

    assert_int_equal(json_read_numbers(&numbers, SV("[true, false]"), NULL), STATUS_OK);
    assert_true(numbers.all_bools && numbers.all_integers);
    assert_int_equal(numbers.integers[0], 1);
    assert_int_equal(numbers.integers[1], 0);
    json_numbers_free(&numbers);

    assert_int_equal(json_read_numbers(&numbers, SV("-7"), NULL), STATUS_OK);
    assert_int_equal(numbers.rank, 0);
    assert_int_equal(numbers.count, 1);
    assert_int_equal(numbers.integers[0], -7);
    json_numbers_free(&numbers);
}

static void empty_arrays_keep_their_shape(void **state) {
    (void)state;
    JsonNumbers numbers;
    assert_int_equal(json_read_numbers(&numbers, SV("[]"), NULL), STATUS_OK);
    assert_int_equal(numbers.rank, 1);
    assert_int_equal(numbers.shape[0], 0);
    assert_int_equal(numbers.count, 0);
    assert_false(numbers.all_bools);
    json_numbers_free(&numbers);
    assert_int_equal(json_read_numbers(&numbers, SV("[[],[],[]]"), NULL), STATUS_OK);
    assert_int_equal(numbers.rank, 2);
    assert_int_equal(numbers.shape[0], 3);
    assert_int_equal(numbers.shape[1], 0);
    json_numbers_free(&numbers);
}

static void ragged_arrays_are_refused(void **state) {
    (void)state;
    static const char *const ragged[] = {
        "[[1], 2]", "[1, [2]]",   "[[1, 2], [3]]", "[[], [1]]",           "[[1], []]",
        "[[], 1]",  "[[[]], []]", "[[], [[]]]",    "[[[1]], [[2], [3]]]", "[[[[[[[[[1]]]]]]]]]"};
    for (size_t i = 0; i < sizeof ragged / sizeof ragged[0]; i++) {
        JsonNumbers numbers;
        Error error;
        assert_int_equal(json_read_numbers(&numbers, sv(ragged[i]), &error), STATUS_INVALID);
        assert_null(numbers.reals);
        bool is_deep = i == 9;
        assert_non_null(strstr(error.message, is_deep ? "rank over 8" : "not rectangular"));
    }
    JsonNumbers numbers;
    assert_int_equal(json_read_numbers(&numbers, SV("[[[[[[[[1]]]]]]]]"), NULL), STATUS_OK);
    assert_int_equal(numbers.rank, 8);
    json_numbers_free(&numbers);
    static const char *const broken[] = {"",       "[1", "[1,]",  "[\"1\"]",
                                         "[null]", "{}", "[1] 2", "[1e999]"};
    for (size_t i = 0; i < sizeof broken / sizeof broken[0]; i++)
        assert_int_equal(json_read_numbers(&numbers, sv(broken[i]), NULL), STATUS_CORRUPT);
}

static void every_allocation_may_fail(void **state) {
    (void)state;
    StrView text =
        SV("[[1,2,3,4,5,6,7,8,9,10,11,12,13,14,15,16,17,18,19,20,21,22,23,24,25,26,27,28,"
           "29,30,31,32,33,34,35,36,37,38,39.5,40]]");
    StrView flat = sv_n(text.ptr + 1, text.len - 2);
    size_t failures[2] = {0};
    for (size_t n = 1; n < 12; n++) {
        JsonNumbers numbers;
        mem_fail_after(n);
        Status status = json_read_numbers(&numbers, text, NULL);
        mem_fail_after(0);
        json_numbers_free(&numbers);
        assert_true(status == STATUS_OK || status == STATUS_OUT_OF_MEMORY);
        failures[0] += status != STATUS_OK;
        JsonScan scan;
        mem_fail_after(n);
        status = json_scan(&scan, flat, NULL);
        mem_fail_after(0);
        json_scan_free(&scan);
        assert_true(status == STATUS_OK || status == STATUS_OUT_OF_MEMORY);
        failures[1] += status != STATUS_OK;
    }
    assert_int_equal(failures[0], 6); // reals and integers, three times each
    assert_int_equal(failures[1], 3);
}

static void an_image_as_text_reads_quickly(void **state) {
    (void)state;
    enum { COUNT = 3 * 224 * 224 };
    Buf text = BUF_INIT(SIZE_MAX);
    JsonWriter writer = json_writer(&text, 0);
    json_begin_flat_array(&writer);
    uint32_t random = 12345;
    for (int i = 0; i < COUNT; i++) {
        random = random * 1664525u + 1013904223u;
        json_write_f32(&writer, (float)(random >> 8) / 16777216.0f * 4.0f - 2.0f);
    }
    json_end_array(&writer);
    assert_int_equal(buf_status(&text, NULL), STATUS_OK);
    uint64_t start = clock_now_ns();
    JsonNumbers numbers;
    assert_int_equal(json_read_numbers(&numbers, sv_n(text.ptr, text.len), NULL), STATUS_OK);
    print_message("%d numbers read in %.1f ms\n", COUNT, (double)(clock_now_ns() - start) / 1e6);
    assert_int_equal(numbers.count, COUNT);
    random = 12345;
    for (int i = 0; i < COUNT; i++) {
        random = random * 1664525u + 1013904223u;
        assert_true((float)numbers.reals[i] == (float)(random >> 8) / 16777216.0f * 4.0f - 2.0f);
    }
    json_numbers_free(&numbers);
    buf_free(&text);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(good_texts_are_accepted),
        cmocka_unit_test(bad_texts_are_refused),
        cmocka_unit_test(errors_count_lines_and_code_points),
        cmocka_unit_test(depth_is_limited),
        cmocka_unit_test(spans_cover_the_top_level),
        cmocka_unit_test(rectangular_arrays_become_tensors),
        cmocka_unit_test(empty_arrays_keep_their_shape),
        cmocka_unit_test(ragged_arrays_are_refused),
        cmocka_unit_test(every_allocation_may_fail),
        cmocka_unit_test(an_image_as_text_reads_quickly),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
