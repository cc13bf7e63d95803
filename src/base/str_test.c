// Tests of views, numbers, buffers, UTF-8 and edit distance.
#include "base/str.h"

#include "base/memory.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

static void prefixes_suffixes_case_and_trim(void **state) {
    (void)state;
    assert_true(sv_starts_with(SV("model.onnx"), SV("model")));
    assert_false(sv_starts_with(SV("mod"), SV("model")));
    assert_true(sv_ends_with(SV("model.onnx"), SV(".onnx")));
    assert_true(sv_ends_with(SV("a"), SV("")));
    assert_false(sv_ends_with(SV("a"), SV("ba")));
    assert_true(sv_equal_nocase(SV("Content-Type"), SV("content-tYPE")));
    assert_false(sv_equal_nocase(SV("["), SV("{")));
    assert_true(sv_equal_cstr(sv_trim(SV(" \t a b\r\n")), "a b"));
    assert_int_equal(sv_trim(SV("  ")).len, 0);
}

static void integers_cover_exactly_the_int64_range(void **state) {
    (void)state;
    int64_t value = 5;
    assert_true(sv_to_i64(&value, SV("9223372036854775807")));
    assert_true(value == INT64_MAX);
    assert_true(sv_to_i64(&value, SV("-9223372036854775808")));
    assert_true(value == INT64_MIN);
    assert_true(sv_to_i64(&value, SV("-0")));
    assert_int_equal(value, 0);
    static const char *const bad[] = {
        "",   "-",   "+",   "9223372036854775808",    "-9223372036854775809",
        "1 ", "0x1", "1.0", "99999999999999999999999"};
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++)
        assert_false(sv_to_i64(&value, sv(bad[i])));
    assert_int_equal(value, 0);
}

static void reals_equal_those_of_strtod(void **state) {
    (void)state;
    static const char *const good[] = {"0",
                                       "-0.0",
                                       "1",
                                       "0.1",
                                       "-1.5e3",
                                       "1e22",
                                       "1e23",
                                       "4.9e-324",
                                       "2.2250738585072011e-308",
                                       "1.7976931348623157e308",
                                       "1E5",
                                       "123456789012345678901234567890",
                                       ".5",
                                       "5.",
                                       "1e-400",
                                       "0.000000000000000000000000000000001",
                                       "9007199254740993",
                                       "9007199254740992.999999999999999999999999",
                                       "0e999999999999"};
    for (size_t i = 0; i < sizeof good / sizeof good[0]; i++) {
        double value;
        assert_true(sv_to_f64(&value, sv(good[i])));
        double expected = strtod(good[i], NULL);
        assert_memory_equal(&value, &expected, sizeof value);
    }
    static const char *const bad[] = {"",     "-",  ".",  "e5",  "1e",    "1e+",  "nan",  "inf",
                                      "0x10", "1 ", " 1", "1,5", "1e400", "1..2", "1e5.0"};
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        double value;
        assert_false(sv_to_f64(&value, sv(bad[i])));
    }
}

static void random_reals_equal_those_of_strtod(void **state) {
    (void)state;
    uint64_t random = 88172645463325252u;
    for (int i = 0; i < 100000; i++) {
        random ^= random << 13;
        random ^= random >> 7;
        random ^= random << 17;
        double expected;
        memcpy(&expected, &random, sizeof expected);
        if (!isfinite(expected))
            continue;
        char text[64];
        snprintf(text, sizeof text, "%.*g", i % 18 + 1, expected);
        expected = strtod(text, NULL);
        double value;
        if (!isfinite(expected))
            continue;
        assert_true(sv_to_f64(&value, sv(text)));
        assert_memory_equal(&value, &expected, sizeof value);
    }
}

static void thousands_of_digits_still_round_correctly(void **state) {
    (void)state;
    // Halfway between 1 and the next double: 1 + 2^-53, exactly, then a far-away 1.
    static const char half[] = "1.00000000000000011102230246251565404236316680908203125";
    char text[3000];
    memset(text, '0', sizeof text);
    memcpy(text, half, sizeof half - 1);
    double value;
    assert_true(sv_to_f64(&value, sv_n(text, sizeof text)));
    assert_true(value == 1.0);
    text[sizeof text - 1] = '1';
    assert_true(sv_to_f64(&value, sv_n(text, sizeof text)));
    assert_true(value == 1.0 + 0x1p-52);
}

static void buffers_grow_and_stay_terminated(void **state) {
    (void)state;
    Buf buf = BUF_INIT(100000);
    for (int i = 0; i < 1000; i++) {
        buf_printf(&buf, "%d,", i % 10);
        assert_int_equal(buf.ptr[buf.len], 0);
    }
    assert_int_equal(buf.len, 2000);
    buf_printf(&buf, "%*d", 1000, 7);
    assert_int_equal(buf.len, 3000);
    assert_int_equal(buf.ptr[2999], '7');
    assert_int_equal(buf_status(&buf, NULL), STATUS_OK);
    buf_clear(&buf);
    assert_string_equal(buf.ptr, "");
    buf_append(&buf, NULL, 0);
    assert_string_equal(buf.ptr, "");
    buf_free(&buf);
}

static void buffers_stop_at_their_maximum(void **state) {
    (void)state;
    Buf buf = BUF_INIT(5);
    buf_append_cstr(&buf, "hello");
    assert_int_equal(buf.failed, STATUS_OK);
    buf_append_byte(&buf, '!');
    buf_append(&buf, "", 0);
    assert_string_equal(buf.ptr, "hello");
    Error error;
    assert_int_equal(buf_status(&buf, &error), STATUS_LIMIT);
    assert_non_null(strstr(error.message, "5 bytes"));
    buf_free(&buf);
    Buf none = {0};
    buf_append_byte(&none, 'x');
    assert_int_equal(none.failed, STATUS_LIMIT);
    buf_free(&none);
}

static void buffers_report_exhausted_memory(void **state) {
    (void)state;
    Buf buf = BUF_INIT(SIZE_MAX);
    mem_fail_after(1);
    buf_append_cstr(&buf, "hello");
    mem_fail_after(0);
    buf_append_cstr(&buf, "again");
    assert_int_equal(buf_status(&buf, NULL), STATUS_OUT_OF_MEMORY);
    assert_int_equal(buf.len, 0);
    buf_free(&buf);
}

static void code_points_survive_encoding_and_decoding(void **state) {
    (void)state;
    for (uint32_t c = 0; c < 0x110000; c++) {
        if (c == 0xd800)
            c = 0xe000;
        char bytes[4];
        size_t len = (size_t)utf8_encode(bytes, c);
        size_t pos = 0;
        assert_int_equal(utf8_next(sv_n(bytes, len), &pos), c);
        assert_int_equal(pos, len);
        assert_true(utf8_is_valid(sv_n(bytes, len), NULL));
    }
    char bytes[4];
    assert_int_equal(utf8_encode(bytes, 0xd800), 3);
    assert_memory_equal(bytes, "\xef\xbf\xbd", 3);
}

static void bad_sequences_are_replaced_by_their_maximal_prefix(void **state) {
    (void)state;
    // Text and the number of U+FFFD that Python's errors="replace" yields for it.
    static const struct {
        const char *text;
        size_t count;
    } cases[] = {
        {"\x80", 1},
        {"\xc0\xaf", 2},
        {"\xe0\x80\x80", 3},
        {"\xed\xa0\x80", 3},
        {"\xf4\x90\x80\x80", 4},
        {"\xf0\x9f\x98", 1},
        {"\xe2\x82", 1},
        {"\xe2", 1},
        {"\xf5\x80", 2},
        {"\xe2\xe2\x82", 2},
        {"\xff\xfe", 2},
        {"\xf0\x80\x80\x41", 3},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        Buf out = BUF_INIT(100);
        size_t bad = 99;
        utf8_append_valid(&out, sv(cases[i].text));
        size_t replaced = 0;
        for (size_t at = 0; at + 2 < out.len; at++)
            replaced += memcmp(out.ptr + at, "\xef\xbf\xbd", 3) == 0;
        assert_int_equal(replaced, cases[i].count);
        assert_true(utf8_is_valid(sv_n(out.ptr, out.len), NULL));
        assert_false(utf8_is_valid(sv(cases[i].text), &bad));
        assert_int_equal(bad, 0);
        buf_free(&out);
    }
    size_t bad;
    assert_false(utf8_is_valid(SV("0123456789abcdef\xc3\xa9\xc3"), &bad));
    assert_int_equal(bad, 18);
    assert_int_equal(utf8_count(SV("a\xc3\xa9\xff\xe2\x82\xac")), 4);
}

static void distance_counts_edits_up_to_its_limit(void **state) {
    (void)state;
    assert_int_equal(str_distance(SV("kitten"), SV("sitting"), 10), 3);
    assert_int_equal(str_distance(SV("kitten"), SV("sitting"), 2), 3);
    assert_int_equal(str_distance(SV(""), SV("abc"), 5), 3);
    assert_int_equal(str_distance(SV("abc"), SV("abc"), 0), 0);
    assert_int_equal(str_distance(SV("a"), SV("abcdef"), 2), 3);
    char long_text[300];
    memset(long_text, 'a', sizeof long_text);
    assert_int_equal(str_distance(sv_n(long_text, 300), sv_n(long_text, 299), 4), 5);
    assert_int_equal(str_distance(sv_n(long_text, 300), sv_n(long_text, 300), 4), 0);
}

static void the_closest_candidate_is_suggested(void **state) {
    (void)state;
    static const char *const words[] = {"threads", "provider", "precision"};
    assert_string_equal(str_closest(SV("thread"), words, 3), "threads");
    assert_string_equal(str_closest(SV("precison"), words, 3), "precision");
    assert_string_equal(str_closest(SV("provider"), words, 3), "provider");
    assert_null(str_closest(SV("port"), words, 3));
    assert_null(str_closest(SV(""), words, 3));
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(prefixes_suffixes_case_and_trim),
        cmocka_unit_test(integers_cover_exactly_the_int64_range),
        cmocka_unit_test(reals_equal_those_of_strtod),
        cmocka_unit_test(random_reals_equal_those_of_strtod),
        cmocka_unit_test(thousands_of_digits_still_round_correctly),
        cmocka_unit_test(buffers_grow_and_stay_terminated),
        cmocka_unit_test(buffers_stop_at_their_maximum),
        cmocka_unit_test(buffers_report_exhausted_memory),
        cmocka_unit_test(code_points_survive_encoding_and_decoding),
        cmocka_unit_test(bad_sequences_are_replaced_by_their_maximal_prefix),
        cmocka_unit_test(distance_counts_edits_up_to_its_limit),
        cmocka_unit_test(the_closest_candidate_is_suggested),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
