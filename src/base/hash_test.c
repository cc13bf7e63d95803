// Digests against published values, and the failing of every allocation.
#include "base/hash.h"

#include "base/memory.h"

#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include <cmocka.h>

static void digest_of(char out[HASH_TEXT_SIZE], HashKind kind, const char *text, size_t step) {
    Hash *hash;
    Error error;
    size_t len = strlen(text);
    assert_int_equal(hash_new(&hash, kind, len, &error), STATUS_OK);
    for (size_t at = 0; at < len; at += step)
        hash_update(hash, text + at, step < len - at ? step : len - at);
    assert_int_equal(hash_finish(out, hash, &error), STATUS_OK);
    hash_free(hash);
}

static void sha256_of_known_texts_in_any_pieces(void **state) {
    (void)state;
    char out[HASH_TEXT_SIZE];
    digest_of(out, HASH_SHA256, "", 1);
    assert_string_equal(out, "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855");
    for (size_t step = 1; step <= 3; step++) {
        digest_of(out, HASH_SHA256, "abc", step);
        assert_string_equal(out,
                            "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
    }
}

static void git_blob_is_what_git_hash_object_says(void **state) {
    (void)state;
    char out[HASH_TEXT_SIZE];
    digest_of(out, HASH_GIT_BLOB, "", 1);
    assert_string_equal(out, "e69de29bb2d1d6434b8b29ae775ad8c2e48c5391");
    digest_of(out, HASH_GIT_BLOB, "hello\n", 4);
    assert_string_equal(out, "ce013625030ba8dba906f756967f9e9ca394464a");
}

static void a_file_is_read_from_its_start_and_a_short_one_is_refused(void **state) {
    (void)state;
    int fd = memfd_create("hash", MFD_CLOEXEC);
    assert_int_equal(write(fd, "hello\n", 6), 6);
    char out[HASH_TEXT_SIZE];
    Error error;
    assert_int_equal(hash_fd(out, HASH_GIT_BLOB, 6, fd, &error), STATUS_OK);
    assert_string_equal(out, "ce013625030ba8dba906f756967f9e9ca394464a");
    assert_int_equal(lseek(fd, 0, SEEK_CUR), 6);
    assert_int_equal(hash_fd(out, HASH_SHA256, 7, fd, &error), STATUS_CORRUPT);
    close(fd);
}

static void every_failing_allocation_is_an_error(void **state) {
    (void)state;
    int fd = memfd_create("hash", MFD_CLOEXEC);
    assert_int_equal(write(fd, "hello\n", 6), 6);
    Status status = STATUS_OUT_OF_MEMORY;
    size_t n = 0;
    while (status != STATUS_OK) {
        char out[HASH_TEXT_SIZE];
        mem_fail_after(++n);
        status = hash_fd(out, HASH_SHA256, 6, fd, NULL);
        mem_fail_after(0);
        assert_true(status == STATUS_OK || status == STATUS_OUT_OF_MEMORY);
    }
    assert_true(n > 1);
    close(fd);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(sha256_of_known_texts_in_any_pieces),
        cmocka_unit_test(git_blob_is_what_git_hash_object_says),
        cmocka_unit_test(a_file_is_read_from_its_start_and_a_short_one_is_refused),
        cmocka_unit_test(every_failing_allocation_is_an_error),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
