// Tests of the JSON tree: what is read, what is refused, and every allocation failing once.
#include "base/json.h"

#include "base/file.h"
#include "base/memory.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <unistd.h>

#include <cmocka.h>

static JsonDoc *parsed(const char *text) {
    JsonDoc *doc;
    Error error;
    assert_int_equal(json_parse(&doc, sv(text), 0, &error), STATUS_OK);
    return doc;
}

static void a_tree_answers_its_getters(void **state) {
    (void)state;
    JsonDoc *doc =
        parsed(" {\"i\": -42, \"r\": 2.5, \"s\": \"a\\u0000\\ud83d\\ude00\", \"t\": true,"
               " \"n\": null, \"a\": [1, [2]], \"o\": {\"k\": \"v\"}, \"big\": 1e3} ");
    const JsonValue *root = json_root(doc);
    assert_int_equal(json_kind(root), JSON_OBJECT);
    assert_int_equal(json_len(root), 8);
    assert_int_equal(json_i64_or(root, "i", 0), -42);
    assert_true(json_f64_or(root, "i", 0) == -42.0);
    assert_true(json_f64_or(root, "r", 0) == 2.5);
    assert_int_equal(json_i64_or(root, "r", 7), 7);
    assert_int_equal(json_i64_or(root, "big", 7), 7);
    assert_true(json_bool_or(root, "t", false));
    assert_true(json_bool_or(root, "i", true));
    StrView text;
    assert_true(json_as_string(&text, json_get(root, "s")));
    assert_int_equal(text.len, 6);
    assert_memory_equal(text.ptr, "a\0\xf0\x9f\x98\x80", 6);
    assert_int_equal(json_kind(json_get(root, "n")), JSON_NULL);
    const JsonValue *array = json_get(root, "a");
    assert_int_equal(json_len(array), 2);
    assert_int_equal(json_kind(json_at(json_at(array, 1), 0)), JSON_INT);
    assert_null(json_at(array, 2));
    assert_string_equal(json_cstr_or(json_get(root, "o"), "k", "x"), "v");
    assert_string_equal(json_cstr_or(root, "absent", "x"), "x");
    json_free(doc);
}

static void getters_accept_what_is_absent(void **state) {
    (void)state;
    assert_int_equal(json_kind(NULL), JSON_ABSENT);
    assert_null(json_get(NULL, "x"));
    assert_null(json_at(NULL, 0));
    assert_int_equal(json_len(NULL), 0);
    assert_null(json_root(NULL));
    size_t iterator = 0;
    assert_false(json_next(NULL, &iterator, NULL, NULL));
    int64_t integer = 3;
    assert_false(json_as_i64(&integer, NULL));
    assert_int_equal(integer, 3);
    json_free(NULL);
}

static void members_come_in_the_order_of_the_file(void **state) {
    (void)state;
    JsonDoc *doc = parsed("{\"z\":1,\"a\":2,\"m\":3,\"b\":4}");
    static const char *const keys[] = {"z", "a", "m", "b"};
    size_t iterator = 0;
    StrView key;
    const JsonValue *value;
    for (int i = 0; i < 4; i++) {
        assert_true(json_next(json_root(doc), &iterator, &key, &value));
        assert_true(sv_equal_cstr(key, keys[i]));
        int64_t number;
        assert_true(json_as_i64(&number, value));
        assert_int_equal(number, i + 1);
    }
    assert_false(json_next(json_root(doc), &iterator, &key, &value));
    json_free(doc);
}

static void names_are_compared_without_their_escapes(void **state) {
    (void)state;
    JsonDoc *doc = parsed("{\"\\u0061\\/\\n\": {\"\\t\": \"\\\\\\\"\"}, \"\\u0000\": 1, \"\": 2}");
    const JsonValue *root = json_root(doc);
    assert_int_equal(json_len(root), 3);
    assert_string_equal(json_cstr_or(json_get(root, "a/\n"), "\t", "x"), "\\\"");
    assert_int_equal(json_i64_or(root, "", 0), 2);
    json_free(doc);
    Error error;
    StrView text = SV("{\"ab\": 1, \"a\\u0062\": 2}");
    assert_int_equal(json_parse(&doc, text, JSON_REJECT_DUPLICATES, &error), STATUS_CORRUPT);
    assert_string_equal(error.message, "duplicate member name: line 1 column 11");
}

static void scalars_are_texts_too(void **state) {
    (void)state;
    JsonDoc *doc = parsed("9223372036854775807");
    int64_t integer;
    assert_true(json_as_i64(&integer, json_root(doc)));
    assert_true(integer == INT64_MAX);
    json_free(doc);
}

static void integers_beyond_int64_become_reals(void **state) {
    (void)state;
    JsonDoc *doc = parsed("{\"1234567890123456789012\": [1000000000000000019884624838656, -5,\n"
                          " 9223372036854775808, -9223372036854775808, \"98765432109876543210\"]}");
    const JsonValue *array = json_get(json_root(doc), "1234567890123456789012");
    assert_int_equal(json_kind(json_at(array, 0)), JSON_REAL);
    double real;
    assert_true(json_as_f64(&real, json_at(array, 0)));
    assert_true(real == 1e30);
    assert_int_equal(json_kind(json_at(array, 1)), JSON_INT);
    assert_true(json_as_f64(&real, json_at(array, 2)));
    assert_true(real == 0x1p63);
    int64_t integer;
    assert_true(json_as_i64(&integer, json_at(array, 3)));
    assert_true(integer == INT64_MIN);
    assert_int_equal(json_kind(json_at(array, 4)), JSON_STRING);
    json_free(doc);
}

static void duplicates_are_refused_on_request_only(void **state) {
    (void)state;
    StrView text = SV("{\"a\": 1,\n \"b\": {\"x\": 1, \"x\": 2}}");
    JsonDoc *doc;
    Error error;
    assert_int_equal(json_parse(&doc, text, JSON_REJECT_DUPLICATES, &error), STATUS_CORRUPT);
    assert_non_null(strstr(error.message, "duplicate member name: line 2"));
    assert_null(doc);
    assert_int_equal(json_parse(&doc, text, 0, &error), STATUS_OK);
    assert_int_equal(json_i64_or(json_get(json_root(doc), "b"), "x", 0), 2);
    json_free(doc);
}

static void files_are_parsed_and_named_in_errors(void **state) {
    (void)state;
    char path[64];
    snprintf(path, sizeof path, "/tmp/gpux_json_test_%ld", (long)getpid());
    JsonDoc *doc;
    Error error;
    assert_int_equal(file_write_atomic(path, "[1,\n2,]", 7, NULL), STATUS_OK);
    assert_int_equal(json_parse_file(&doc, path, 100, 0, &error), STATUS_CORRUPT);
    char expected[200];
    snprintf(expected, sizeof expected, "%s: expected a value: line 2 column 3", path);
    assert_string_equal(error.message, expected);
    assert_int_equal(error.offset, 6);
    assert_int_equal(json_parse_file(&doc, path, 3, 0, &error), STATUS_LIMIT);
    assert_int_equal(file_write_atomic(path, "[1,\n2]", 6, NULL), STATUS_OK);
    assert_int_equal(json_parse_file(&doc, path, 100, 0, &error), STATUS_OK);
    json_free(doc);
    unlink(path);
    assert_int_equal(json_parse_file(&doc, path, 100, 0, &error), STATUS_NOT_FOUND);
}

static void every_allocation_may_fail(void **state) {
    (void)state;
    StrView text = SV("{\"name\": \"a long enough string\\n\", \"list\": [1, 2.5, true, null, {}],"
                      " \"max\": 1000000000000000019884624838656, \"deep\": [[[[\"x\"]]]]}");
    size_t n = 1;
    for (;; n++) {
        JsonDoc *doc;
        mem_fail_after(n);
        Status status = json_parse(&doc, text, JSON_REJECT_DUPLICATES, NULL);
        mem_fail_after(0);
        if (status == STATUS_OK) {
            json_free(doc);
            break;
        }
        assert_int_equal(status, STATUS_OUT_OF_MEMORY);
        assert_null(doc);
    }
    assert_true(n > 20);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_tree_answers_its_getters),
        cmocka_unit_test(getters_accept_what_is_absent),
        cmocka_unit_test(members_come_in_the_order_of_the_file),
        cmocka_unit_test(names_are_compared_without_their_escapes),
        cmocka_unit_test(scalars_are_texts_too),
        cmocka_unit_test(integers_beyond_int64_become_reals),
        cmocka_unit_test(duplicates_are_refused_on_request_only),
        cmocka_unit_test(files_are_parsed_and_named_in_errors),
        cmocka_unit_test(every_allocation_may_fail),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
