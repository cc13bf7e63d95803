#include "app/cli/answers.h"

#include "base/file.h"

#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <unistd.h>

#include <cmocka.h>

static char path[64];
static Cli cli;

static int make_file(void **state) {
    (void)state;
    strcpy(path, "/tmp/gpux-answers-XXXXXX");
    int fd = mkstemp(path);
    return fd < 0 ? -1 : close(fd);
}

static int remove_file(void **state) {
    (void)state;
    return unlink(path);
}

// Opens a file with that content, appends "new\n" and says what is in it then.
static Buf appended(const char *content, bool is_resuming, uint64_t *answered) {
    assert_int_equal(file_write_atomic(path, content, strlen(content), NULL), STATUS_OK);
    AnswerFile file;
    assert_int_equal(answers_open(&file, &cli, path, STDIN_FILENO, is_resuming), EXIT_OK);
    *answered = file.answered;
    assert_int_equal(answers_write(&file, &cli, SV("new\n")), EXIT_OK);
    assert_int_equal(answers_close(&file, &cli), EXIT_OK);
    Buf out = BUF_INIT(0);
    assert_int_equal(file_read(&out, path, 1 << 20, NULL), STATUS_OK);
    return out;
}

static void resuming_keeps_complete_lines_and_cuts_a_torn_one(void **state) {
    (void)state;
    const struct {
        const char *before;
        const char *after;
        uint64_t answered;
    } cases[] = {
        {"", "new\n", 0},
        {"{\"a\": 1}\n{\"b\"", "{\"a\": 1}\nnew\n", 1},
        {"{\"a\": 1}\n{\"b\": 2}\n", "{\"a\": 1}\n{\"b\": 2}\nnew\n", 2},
        {"{\"torn", "new\n", 0},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        uint64_t answered;
        Buf out = appended(cases[i].before, true, &answered);
        assert_string_equal(out.ptr, cases[i].after);
        assert_int_equal(answered, cases[i].answered);
        buf_free(&out);
    }
}

static void without_resuming_the_file_is_new(void **state) {
    (void)state;
    uint64_t answered;
    Buf out = appended("old\nold\n", false, &answered);
    assert_string_equal(out.ptr, "new\n");
    assert_int_equal(answered, 0);
    buf_free(&out);
}

static void lines_across_blocks_are_counted(void **state) {
    (void)state;
    Buf text = BUF_INIT(1 << 24);
    for (int i = 0; i < 300000; i++)
        buf_append_cstr(&text, "123456\n");
    buf_append_cstr(&text, "torn");
    assert_int_equal(file_write_atomic(path, text.ptr, text.len, NULL), STATUS_OK);
    int fd = open(path, O_RDONLY);
    uint64_t lines;
    uint64_t end;
    assert_int_equal(answers_count(fd, &lines, &end), 0);
    assert_int_equal(lines, 300000);
    assert_int_equal(end, text.len - 4);
    close(fd);
    buf_free(&text);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(resuming_keeps_complete_lines_and_cuts_a_torn_one),
        cmocka_unit_test(without_resuming_the_file_is_new),
        cmocka_unit_test(lines_across_blocks_are_counted),
    };
    return cmocka_run_group_tests(tests, make_file, remove_file);
}
