// Tests of status texts and error messages.
#include "base/status.h"

#include "base/str.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

static void texts_follow_the_table(void **state) {
    (void)state;
    assert_string_equal(status_text(STATUS_OK), "success");
    assert_string_equal(status_text(STATUS_INTERNAL), "internal error");
    assert_string_equal(status_text((Status)99), "unknown status");
    assert_int_equal(STATUS_CONVERSION, 11);
}

static void set_formats_and_returns_the_code(void **state) {
    (void)state;
    Error error = {.offset = 7};
    assert_int_equal(error_set(&error, STATUS_CORRUPT, "row %d of %s", 3, "x"), STATUS_CORRUPT);
    assert_int_equal(error.code, STATUS_CORRUPT);
    assert_string_equal(error.message, "row 3 of x");
    assert_int_equal(error.offset, 0);
    assert_int_equal(error_set(NULL, STATUS_LIMIT, "ignored"), STATUS_LIMIT);
}

static void set_may_reuse_its_own_message(void **state) {
    (void)state;
    Error error;
    error_set(&error, STATUS_IO, "first");
    error_set(&error, STATUS_IO, "%s and second", error.message);
    assert_string_equal(error.message, "first and second");
}

static void prefix_keeps_code_and_offset(void **state) {
    (void)state;
    Error error;
    error_set(&error, STATUS_CORRUPT, "bad byte");
    error.offset = 42;
    assert_int_equal(error_prefix(&error, STATUS_IO, "file %d", 1), STATUS_CORRUPT);
    assert_string_equal(error.message, "file 1: bad byte");
    assert_int_equal(error.offset, 42);
    assert_int_equal(error_prefix(NULL, STATUS_IO, "x"), STATUS_IO);
}

static void messages_become_one_line_of_valid_utf8(void **state) {
    (void)state;
    Error error;
    error_set(&error, STATUS_INVALID, "a\nb\xff%s", "\xe2\x82");
    assert_string_equal(error.message, "a b\xef\xbf\xbd\xef\xbf\xbd");
}

static void long_messages_are_cut_between_characters(void **state) {
    (void)state;
    char text[3000];
    for (size_t shift = 0; shift < 3; shift++) {
        memset(text, 'x', shift);
        for (size_t i = shift; i + 3 < sizeof text; i += 3)
            memcpy(text + i, "\xe2\x82\xac", 4);
        Error error;
        error_set(&error, STATUS_INVALID, "%s", text);
        size_t len = strlen(error.message);
        assert_true(len > ERROR_MESSAGE_SIZE - 5);
        assert_true(utf8_is_valid(sv(error.message), NULL));
        assert_null(strstr(error.message, "\xef\xbf\xbd"));
        error_prefix(&error, STATUS_INVALID, "%s", text);
        assert_true(utf8_is_valid(sv(error.message), NULL));
    }
}

static void errno_chooses_the_code(void **state) {
    (void)state;
    Error error;
    assert_int_equal(error_errno(&error, ENOENT, "cannot open", "/a"), STATUS_NOT_FOUND);
    assert_string_equal(error.message, "cannot open: No such file or directory: '/a'");
    assert_int_equal(error_errno(&error, ENOSPC, "w", "/a"), STATUS_NO_SPACE);
    assert_int_equal(error_errno(&error, EDQUOT, "w", "/a"), STATUS_NO_SPACE);
    assert_int_equal(error_errno(&error, EACCES, "w", NULL), STATUS_IO);
    assert_string_equal(error.message, "w: Permission denied");
    assert_int_equal(error_errno(NULL, ENOMEM, "w", "/a"), STATUS_OUT_OF_MEMORY);
}

static void long_paths_lose_their_middle(void **state) {
    (void)state;
    char path[2000];
    for (size_t shift = 0; shift < 4; shift++) {
        memset(path, 'x', sizeof path);
        for (size_t i = shift; i + 1 < sizeof path; i += 2)
            memcpy(path + i, "\xc3\xa9", 2);
        memcpy(path, "/first", 6);
        strcpy(path + sizeof path - 10, "/last.txt");
        char shown[ERROR_PATH_SIZE];
        error_path(shown, path);
        assert_true(strlen(shown) < ERROR_PATH_SIZE);
        assert_true(utf8_is_valid(sv(shown), NULL));
        assert_true(sv_starts_with(sv(shown), SV("/first")));
        assert_true(sv_ends_with(sv(shown), SV("/last.txt")));
        assert_non_null(strstr(shown, "…"));
    }
    char shown[ERROR_PATH_SIZE];
    assert_string_equal(error_path(shown, "/short\xff"), "/short\xef\xbf\xbd");
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(texts_follow_the_table),
        cmocka_unit_test(set_formats_and_returns_the_code),
        cmocka_unit_test(set_may_reuse_its_own_message),
        cmocka_unit_test(prefix_keeps_code_and_offset),
        cmocka_unit_test(messages_become_one_line_of_valid_utf8),
        cmocka_unit_test(long_messages_are_cut_between_characters),
        cmocka_unit_test(errno_chooses_the_code),
        cmocka_unit_test(long_paths_lose_their_middle),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
