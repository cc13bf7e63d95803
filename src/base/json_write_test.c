// Tests of layout, escapes and the spelling of numbers.
#include "base/json.h"

#include "base/clock.h"
#include "base/memory.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

static void write_sample(JsonWriter *writer) {
    json_begin_object(writer);
    json_key(writer, "name");
    json_write_cstr(writer, "bert");
    json_key(writer, "none");
    json_write_cstr(writer, NULL);
    json_key(writer, "empty");
    json_begin_array(writer);
    json_end_array(writer);
    json_key_sv(writer, SV("object"));
    json_begin_object(writer);
    json_end_object(writer);
    json_key(writer, "list");
    json_begin_array(writer);
    json_write_bool(writer, true);
    json_begin_object(writer);
    json_key(writer, "a");
    json_write_i64(writer, INT64_MIN);
    json_end_object(writer);
    json_end_array(writer);
    json_key(writer, "shape");
    json_begin_flat_array(writer);
    json_begin_array(writer);
    json_write_u64(writer, UINT64_MAX);
    json_write_i64(writer, 0);
    json_end_array(writer);
    json_begin_flat_array(writer);
    json_end_array(writer);
    json_end_array(writer);
    json_end_object(writer);
}

static void assert_written(Buf *out, const char *expected) {
    assert_int_equal(buf_status(out, NULL), STATUS_OK);
    assert_string_equal(out->ptr, expected);
    buf_free(out);
}

static void layout_equals_that_of_python(void **state) {
    (void)state;
    Buf out = BUF_INIT(1000);
    JsonWriter writer = json_writer(&out, 2);
    write_sample(&writer);
    assert_written(&out, "{\n  \"name\": \"bert\",\n  \"none\": null,\n  \"empty\": [],\n"
                         "  \"object\": {},\n  \"list\": [\n    true,\n    {\n"
                         "      \"a\": -9223372036854775808\n    }\n  ],\n"
                         "  \"shape\": [[18446744073709551615, 0], []]\n}");
    writer = json_writer(&out, 0);
    write_sample(&writer);
    assert_written(&out, "{\"name\":\"bert\",\"none\":null,\"empty\":[],\"object\":{},"
                         "\"list\":[true,{\"a\":-9223372036854775808}],"
                         "\"shape\":[[18446744073709551615,0],[]]}");
}

static void strings_are_escaped_and_made_valid(void **state) {
    (void)state;
    Buf out = BUF_INIT(1000);
    JsonWriter writer = json_writer(&out, 0);
    json_write_string(&writer, SV("a\"\\/\b\f\n\r\t\x01\x1f\0\x7f\xc3\xa9\xff\xe2\x82"));
    assert_written(&out, "\"a\\\"\\\\/\\b\\f\\n\\r\\t\\u0001\\u001f\\u0000\x7f\xc3\xa9"
                         "\xef\xbf\xbd\xef\xbf\xbd\"");
}

static void spell_f64(char text[64], double number) {
    Buf out = BUF_INIT(63);
    JsonWriter writer = json_writer(&out, 0);
    json_write_f64(&writer, number);
    assert_int_equal(buf_status(&out, NULL), STATUS_OK);
    memcpy(text, out.ptr, out.len + 1);
    buf_free(&out);
}

static void spell_f32(char text[64], Buf *out, float number) {
    buf_clear(out);
    JsonWriter writer = json_writer(out, 0);
    json_write_f32(&writer, number);
    memcpy(text, out->ptr, out->len + 1);
}

static void doubles_are_spelled_as_by_repr(void **state) {
    (void)state;
    static const struct {
        double number;
        const char *text;
    } cases[] = {
        {0.0, "0.0"},
        {-0.0, "-0.0"},
        {1.0, "1.0"},
        {0.1, "0.1"},
        {-123456.0, "-123456.0"},
        {1e-4, "0.0001"},
        {1e-5, "1e-05"},
        {1.5e-7, "1.5e-07"},
        {1e15, "1000000000000000.0"},
        {1e16, "1e+16"},
        {1.25e100, "1.25e+100"},
        {0.1 + 0.2, "0.30000000000000004"},
        {1.0 / 3.0, "0.3333333333333333"},
        {0x1p-44, "5.684341886080802e-14"},
        {9007199254740993.0, "9007199254740992.0"},
        {123456789012345680.0, "1.2345678901234568e+17"},
        {5e-324, "5e-324"},
        {1.7976931348623157e308, "1.7976931348623157e+308"},
        {2.2250738585072014e-308, "2.2250738585072014e-308"},
        {INFINITY, "null"},
        {-INFINITY, "null"},
        {NAN, "null"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        char text[64];
        spell_f64(text, cases[i].number);
        assert_string_equal(text, cases[i].text);
    }
}

static void random_doubles_read_back(void **state) {
    (void)state;
    uint64_t random = 88172645463325252u;
    for (int i = 0; i < 20000; i++) {
        random ^= random << 13;
        random ^= random >> 7;
        random ^= random << 17;
        double number;
        memcpy(&number, &random, sizeof number);
        if (!isfinite(number))
            continue;
        char text[64];
        spell_f64(text, number);
        assert_true(strtod(text, NULL) == number);
    }
}

static void floats_are_spelled_as_by_numpy(void **state) {
    (void)state;
    static const struct {
        float number;
        const char *text;
    } cases[] = {
        {0.0f, "0.0"},
        {-0.0f, "-0.0"},
        {1.0f, "1.0"},
        {0.1f, "0.1"},
        {123456.0f, "123456.0"},
        {1e-5f, "1e-05"},
        {1e-4f, "0.0001"},
        {3.4028235e38f, "3.4028235e+38"},
        {1.1754944e-38f, "1.1754944e-38"},
        {1e-45f, "1e-45"},
        {16777216.0f, "16777216.0"},
        {1e10f, "10000000000.0"},
        {1e16f, "1e+16"},
        {0.33333334f, "0.33333334"},
        {9.999999e-5f, "9.999999e-05"},
        {NAN, "null"},
        {-INFINITY, "null"},
        {0.99999994f, "0.99999994"},
    };
    Buf out = BUF_INIT(1000);
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        char text[64];
        spell_f32(text, &out, cases[i].number);
        assert_string_equal(text, cases[i].text);
    }
    buf_free(&out);
}

// Significant digits of a spelling, without leading and trailing zeros.
static int significant(const char *text) {
    int count = 0;
    int zeros = 0;
    for (; *text && *text != 'e'; text++) {
        if (*text == '0' && count > 0)
            zeros++;
        if (*text > '0' && *text <= '9') {
            count += zeros + 1;
            zeros = 0;
        }
    }
    return count;
}

static void a_million_random_floats_read_back_and_are_short(void **state) {
    (void)state;
    uint64_t random = 88172645463325252u;
    Buf out = BUF_INIT(1000);
    for (int i = 0; i < 1000000; i++) {
        random ^= random << 13;
        random ^= random >> 7;
        random ^= random << 17;
        uint32_t bits = (uint32_t)(random >> 20);
        if (i % 500 == 0)
            bits &= 0xff800000u; // powers of two
        float number;
        memcpy(&number, &bits, sizeof number);
        if (!isfinite(number))
            continue;
        char text[64];
        spell_f32(text, &out, number);
        float back = strtof(text, NULL);
        assert_memory_equal(&back, &number, sizeof back);
        int count = significant(text);
        if (count <= 1 || i % 10 != 0)
            continue;
        // No shorter decimal reads back: the nearest one with a digit less must differ.
        char shorter[64];
        snprintf(shorter, sizeof shorter, "%.*e", count - 2, (double)number);
        assert_true(strtof(shorter, NULL) != number);
    }
    buf_free(&out);
}

static void fixed_decimals_are_kept(void **state) {
    (void)state;
    Buf out = BUF_INIT(1000);
    JsonWriter writer = json_writer(&out, 2);
    json_begin_flat_array(&writer);
    json_write_fixed(&writer, 12.5, 2);
    json_write_fixed(&writer, -0.126, 2);
    json_write_fixed(&writer, 3, 0);
    json_write_fixed(&writer, NAN, 2);
    json_end_array(&writer);
    assert_written(&out, "[12.50, -0.13, 3, null]");
}

static void a_parsed_tree_is_written_as_it_was(void **state) {
    (void)state;
    static const char text[] =
        "{\"a\":[1,-2.5,true,null,[],{}],\"b\":{\"c\":\"\xc3\xa9\\n\"},\"d\":1e+30}";
    JsonDoc *doc;
    assert_int_equal(json_parse(&doc, sv(text), 0, NULL), STATUS_OK);
    Buf out = BUF_INIT(1000);
    JsonWriter writer = json_writer(&out, 0);
    json_write_value(&writer, json_root(doc));
    assert_written(&out, text);
    json_write_value(&writer, NULL);
    assert_written(&out, "null");
    json_free(doc);
}

static void numbers_and_a_few_words_of_a_tree_stand_on_one_line(void **state) {
    (void)state;
    JsonDoc *doc;
    Buf out = BUF_INIT(1000);
    JsonWriter writer = json_writer(&out, 2);
    assert_int_equal(
        json_parse(&doc,
                   SV("{\"a\": [1, 2.5], \"gone\": 1, \"b\": [\"x\", 3], \"c\": [[1]], "
                      "\"d\": [\"1\",\"2\",\"3\",\"4\",\"5\",\"6\",\"7\",\"8\",\"9\"]}"),
                   0, NULL),
        STATUS_OK);
    json_write_without(&writer, json_root(doc), "gone");
    assert_string_equal(out.ptr,
                        "{\n  \"a\": [1, 2.5],\n  \"b\": [\"x\", 3],\n  \"c\": [\n    [1]\n  ],\n"
                        "  \"d\": [\n    \"1\",\n    \"2\",\n    \"3\",\n    \"4\",\n    \"5\",\n"
                        "    \"6\",\n    \"7\",\n    \"8\",\n    \"9\"\n  ]\n}");
    json_free(doc);
    buf_free(&out);
}

static void too_many_levels_are_a_limit(void **state) {
    (void)state;
    Buf out = BUF_INIT(100000);
    JsonWriter writer = json_writer(&out, 2);
    for (int i = 0; i < 64; i++)
        json_begin_array(&writer);
    assert_int_equal(out.failed, STATUS_OK);
    json_begin_array(&writer);
    assert_int_equal(out.failed, STATUS_LIMIT);
    for (int i = 0; i < 65; i++)
        json_end_array(&writer);
    buf_free(&out);
}

static void every_allocation_may_fail(void **state) {
    (void)state;
    for (size_t n = 1; n <= 4; n++) {
        Buf out = BUF_INIT(10000);
        JsonWriter writer = json_writer(&out, 2);
        mem_fail_after(n);
        write_sample(&writer);
        mem_fail_after(0);
        assert_int_equal(buf_status(&out, NULL), n <= 3 ? STATUS_OUT_OF_MEMORY : STATUS_OK);
        buf_free(&out);
    }
}

static void floats_are_written_quickly(void **state) {
    (void)state;
    Buf out = BUF_INIT(SIZE_MAX);
    JsonWriter writer = json_writer(&out, 0);
    uint32_t random = 1;
    uint64_t start = clock_now_ns();
    json_begin_flat_array(&writer);
    for (int i = 0; i < 100000; i++) {
        random = random * 1664525u + 1013904223u;
        json_write_f32(&writer, (float)(int32_t)random * 0x1p-29f);
    }
    json_end_array(&writer);
    uint64_t passed = clock_now_ns() - start;
    print_message("100000 floats written in %.1f ms\n", (double)passed / 1e6);
    assert_int_equal(buf_status(&out, NULL), STATUS_OK);
    assert_true(passed < UINT64_C(500000000)); // generous: sanitizers and busy machines
    buf_free(&out);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(layout_equals_that_of_python),
        cmocka_unit_test(strings_are_escaped_and_made_valid),
        cmocka_unit_test(doubles_are_spelled_as_by_repr),
        cmocka_unit_test(random_doubles_read_back),
        cmocka_unit_test(floats_are_spelled_as_by_numpy),
        cmocka_unit_test(a_million_random_floats_read_back_and_are_short),
        cmocka_unit_test(fixed_decimals_are_kept),
        cmocka_unit_test(a_parsed_tree_is_written_as_it_was),
        cmocka_unit_test(numbers_and_a_few_words_of_a_tree_stand_on_one_line),
        cmocka_unit_test(too_many_levels_are_a_limit),
        cmocka_unit_test(every_allocation_may_fail),
        cmocka_unit_test(floats_are_written_quickly),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
