#include "app/cli/lines.h"

#include "base/file.h"
#include "base/memory.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include <cmocka.h>

static char path[64];

static int make_file(void **state) {
    (void)state;
    strcpy(path, "/tmp/gpux-lines-XXXXXX");
    int fd = mkstemp(path);
    return fd < 0 ? -1 : close(fd);
}

static int remove_file(void **state) {
    (void)state;
    return unlink(path);
}

static void open_text(LineReader *reader, StrView text) {
    assert_int_equal(file_write_atomic(path, text.ptr, text.len, NULL), STATUS_OK);
    assert_int_equal(lines_open(reader, path), 0);
}

static void expect_line(LineReader *reader, const char *text, size_t number) {
    Line line;
    assert_int_equal(lines_next(&line, reader), LINE_READ);
    assert_true(sv_equal_cstr(line.text, text));
    assert_int_equal(line.number, number);
    assert_false(line.is_too_long);
}

static void expect_end(LineReader *reader) {
    Line line;
    assert_int_equal(lines_next(&line, reader), LINE_END);
    assert_int_equal(lines_next(&line, reader), LINE_END);
}

static void blank_lines_are_counted_but_not_handed_out(void **state) {
    (void)state;
    LineReader reader;
    open_text(&reader, SV("\xEF\xBB\xBF"
                          "one\n\n  \r\n two\r\nthree"));
    assert_int_equal(reader.size, 23);
    expect_line(&reader, "one", 1);
    expect_line(&reader, "two", 4);
    expect_line(&reader, "three", 5);
    expect_end(&reader);
    assert_int_equal(reader.offset, 23);
    lines_close(&reader);
}

static void an_empty_file_has_no_line(void **state) {
    (void)state;
    LineReader reader;
    open_text(&reader, SV(""));
    expect_end(&reader);
    lines_close(&reader);
    open_text(&reader, SV("\n\n"));
    expect_end(&reader);
    lines_close(&reader);
}

static void lines_longer_than_a_read_are_whole(void **state) {
    (void)state;
    Buf text = BUF_INIT(1 << 24);
    for (int i = 0; i < 3000000; i++)
        buf_append_byte(&text, (char)('a' + i % 26));
    buf_append_cstr(&text, "\nend\n");
    LineReader reader;
    open_text(&reader, sv_n(text.ptr, text.len));
    Line line;
    assert_int_equal(lines_next(&line, &reader), LINE_READ);
    assert_true(sv_equal(line.text, sv_n(text.ptr, 3000000)));
    expect_line(&reader, "end", 2);
    expect_end(&reader);
    lines_close(&reader);
    buf_free(&text);
}

static void a_line_over_the_limit_is_passed_over_in_bounded_memory(void **state) {
    (void)state;
    Buf text = BUF_INIT(1 << 24);
    buf_append_cstr(&text, "first\n");
    for (int i = 0; i < 5000000; i++)
        buf_append_byte(&text, 'x');
    buf_append_cstr(&text, "\nlast");
    LineReader reader;
    open_text(&reader, sv_n(text.ptr, text.len));
    reader.max_line = 1000;
    expect_line(&reader, "first", 1);
    Line line;
    assert_int_equal(lines_next(&line, &reader), LINE_READ);
    assert_true(line.is_too_long);
    assert_int_equal(line.text.len, 0);
    assert_int_equal(line.number, 2);
    expect_line(&reader, "last", 3);
    expect_end(&reader);
    assert_int_equal(reader.offset, text.len);
    assert_true(reader.buf.cap < 4000000);
    lines_close(&reader);
    buf_free(&text);
}

static void a_line_just_at_the_limit_is_read_one_over_it_is_not(void **state) {
    (void)state;
    LineReader reader;
    open_text(&reader, SV("12345\n123456\n123456"));
    reader.max_line = 5;
    expect_line(&reader, "12345", 1);
    Line line;
    assert_int_equal(lines_next(&line, &reader), LINE_READ);
    assert_true(line.is_too_long);
    assert_int_equal(lines_next(&line, &reader), LINE_READ);
    assert_true(line.is_too_long);
    assert_int_equal(line.number, 3);
    expect_end(&reader);
    lines_close(&reader);
}

static void what_cannot_be_opened_has_its_errno(void **state) {
    (void)state;
    LineReader reader;
    assert_int_equal(lines_open(&reader, "/no/such/file"), ENOENT);
    assert_int_equal(lines_open(&reader, "/tmp"), EISDIR);
}

static void running_out_of_memory_is_an_error(void **state) {
    (void)state;
    LineReader reader;
    open_text(&reader, SV("one\ntwo\n"));
    mem_fail_after(1);
    Line line;
    LineResult result = lines_next(&line, &reader);
    int problem = errno;
    mem_fail_after(0);
    assert_int_equal(result, LINE_FAILED);
    assert_int_equal(problem, ENOMEM);
    lines_close(&reader);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(blank_lines_are_counted_but_not_handed_out),
        cmocka_unit_test(an_empty_file_has_no_line),
        cmocka_unit_test(lines_longer_than_a_read_are_whole),
        cmocka_unit_test(a_line_over_the_limit_is_passed_over_in_bounded_memory),
        cmocka_unit_test(a_line_just_at_the_limit_is_read_one_over_it_is_not),
        cmocka_unit_test(what_cannot_be_opened_has_its_errno),
        cmocka_unit_test(running_out_of_memory_is_an_error),
    };
    return cmocka_run_group_tests(tests, make_file, remove_file);
}
