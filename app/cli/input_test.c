#include "app/cli/input.h"

#include "base/memory.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

static RunInput given(const char *text) {
    RunInput input = {.text = BUF_INIT(1 << 20)};
    buf_append_cstr(&input.text, text);
    return input;
}

static void a_value_is_json_a_file_or_stdin(void **state) {
    (void)state;
    const char *path;
    assert_int_equal(input_classify("{\"inputs\": 1}", &path), INPUT_JSON);
    assert_int_equal(input_classify(" [1]", &path), INPUT_JSON);
    assert_int_equal(input_classify("-", &path), INPUT_STDIN);
    assert_int_equal(input_classify("@some file", &path), INPUT_FILE);
    assert_string_equal(path, "some file");
    assert_int_equal(input_classify("/proc/self/status", &path), INPUT_FILE);
    assert_string_equal(path, "/proc/self/status");
    assert_int_equal(input_classify("/no/such/file", &path), INPUT_JSON);
}

static void nothing_null_and_an_empty_object_are_empty(void **state) {
    (void)state;
    const char *const texts[] = {"", " \n", "{}", "null", "\xEF\xBB\xBF"};
    for (size_t i = 0; i < sizeof texts / sizeof texts[0]; i++) {
        RunInput input = given(texts[i]);
        assert_int_equal(input_check(&input, NULL), STATUS_OK);
        assert_true(input.is_empty);
        input_free(&input);
    }
    RunInput batch = given("[]");
    assert_int_equal(input_check(&batch, NULL), STATUS_OK);
    assert_false(batch.is_empty);
    assert_int_equal(batch.samples, 0);
    input_free(&batch);
}

static void a_bare_string_becomes_a_request(void **state) {
    (void)state;
    RunInput input = given("\"a \\\"b\\\"\"\n");
    assert_int_equal(input_check(&input, NULL), STATUS_OK);
    assert_string_equal(input.text.ptr, "{\"inputs\": \"a \\\"b\\\"\"}");
    input_free(&input);
}

static void a_byte_order_mark_is_dropped(void **state) {
    (void)state;
    RunInput input = given("\xEF\xBB\xBF{\"inputs\": \"a\"}\r\n");
    assert_int_equal(input_check(&input, NULL), STATUS_OK);
    assert_string_equal(input.text.ptr, "{\"inputs\": \"a\"}");
    input_free(&input);
}

static void samples_are_counted(void **state) {
    (void)state;
    const struct {
        const char *text;
        size_t samples;
    } cases[] = {
        {"{\"inputs\": \"a\"}", 1},
        {"{\"parameters\": {}, \"inputs\": [\"a\", \"b\"]}", 0},
        {"[{\"inputs\": \"a\"}, {\"inputs\": \"b\"}]", 2},
        {"{\"question\": \"q\", \"context\": \"c\"}", 1},
        {"{\"input_ids\": [[1, 2], [3, 4]]}", 0},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        RunInput input = given(cases[i].text);
        assert_int_equal(input_check(&input, NULL), STATUS_OK);
        assert_int_equal(input.samples, cases[i].samples);
        input_free(&input);
    }
}

static void bad_json_is_named_with_its_place(void **state) {
    (void)state;
    Error error = {0};
    RunInput input = given("{\"a\":\n 1,}");
    assert_int_equal(input_check(&input, &error), STATUS_CORRUPT);
    assert_non_null(strstr(error.message, ": line 2 column "));
    input_free(&input);
    input = given("12");
    assert_int_equal(input_check(&input, &error), STATUS_INVALID);
    input_free(&input);
}

static void lines_are_requests_and_errors_name_the_line_of_the_file(void **state) {
    (void)state;
    Error error = {0};
    RunInput input = given("{\"inputs\": \"a\"}\n\n  {\"inputs\": \"b\"}\r\n");
    assert_int_equal(input_check_lines(&input, &error), STATUS_OK);
    assert_int_equal(input.samples, 2);
    input_free(&input);
    input = given("{\"inputs\": \"a\"}\n\n{\"inputs\": }\n");
    assert_int_equal(input_check_lines(&input, &error), STATUS_CORRUPT);
    assert_non_null(strstr(error.message, ": line 3 column 12"));
    input_free(&input);
    input = given("{\"inputs\": \"a\"}\n7\n");
    assert_int_equal(input_check_lines(&input, &error), STATUS_INVALID);
    assert_non_null(strstr(error.message, "line 2"));
    input_free(&input);
}

static void expect_copies(RunInput input, size_t count, const char *expected) {
    Buf out = BUF_INIT(1 << 20);
    assert_int_equal(input_replicate(&out, &input, count, NULL), STATUS_OK);
    assert_string_equal(out.ptr, expected);
    buf_free(&out);
    input_free(&input);
}

static void samples_are_taken_in_turn(void **state) {
    (void)state;
    RunInput object = given("{\"a\":1}");
    assert_int_equal(input_check(&object, NULL), STATUS_OK);
    expect_copies(object, 3, "[{\"a\":1},{\"a\":1},{\"a\":1}]");
    RunInput array = given("[{\"a\":1}, \"b\"]");
    assert_int_equal(input_check(&array, NULL), STATUS_OK);
    expect_copies(array, 3, "[{\"a\":1},\"b\",{\"a\":1}]");
    RunInput lines = given("{\"a\":1}\n{\"a\":2}\n");
    assert_int_equal(input_check_lines(&lines, NULL), STATUS_OK);
    expect_copies(lines, 2, "[{\"a\":1},{\"a\":2}]");
}

static void exhausted_memory_is_an_error(void **state) {
    (void)state;
    for (size_t n = 1; n < 20; n++) {
        RunInput input = given("[{\"a\":1}, \"b\"]");
        Buf out = BUF_INIT(1 << 20);
        mem_fail_after(n);
        Status status = input_check(&input, NULL);
        if (status == STATUS_OK)
            status = input_replicate(&out, &input, 5, NULL);
        mem_fail_after(0);
        assert_true(status == STATUS_OK || status == STATUS_OUT_OF_MEMORY);
        if (n == 1)
            assert_int_equal(status, STATUS_OUT_OF_MEMORY);
        buf_free(&out);
        input_free(&input);
    }
}

static void an_error_says_its_place_in_the_file(void **state) {
    (void)state;
    char message[64] = "Invalid JSON: line 1 column 5";
    input_place_error(message, sizeof message, 12);
    assert_string_equal(message, "Invalid JSON: line 12 column 5");
    strcpy(message, "Missing required input: 'inputs'");
    input_place_error(message, sizeof message, 12);
    assert_string_equal(message, "line 12: Missing required input: 'inputs'");
    char small[8] = "abcdefg";
    input_place_error(small, sizeof small, 1);
    assert_string_equal(small, "line 1:");
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_value_is_json_a_file_or_stdin),
        cmocka_unit_test(nothing_null_and_an_empty_object_are_empty),
        cmocka_unit_test(a_bare_string_becomes_a_request),
        cmocka_unit_test(a_byte_order_mark_is_dropped),
        cmocka_unit_test(samples_are_counted),
        cmocka_unit_test(bad_json_is_named_with_its_place),
        cmocka_unit_test(lines_are_requests_and_errors_name_the_line_of_the_file),
        cmocka_unit_test(samples_are_taken_in_turn),
        cmocka_unit_test(exhausted_memory_is_an_error),
        cmocka_unit_test(an_error_says_its_place_in_the_file),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
