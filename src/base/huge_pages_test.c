// Tests of huge pages that take the place of mapped ones: the bytes are the same before, after and
// in between.
#include "base/huge_pages.h"

#include "base/file.h"
#include "base/memory.h"
#include "base/thread_pool.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

#include <cmocka.h>

enum { PAGES = 4, SIZE = PAGES * HUGE_PAGE_BYTES };

// A file's mapping of PAGES huge pages, aligned for them.
static uint8_t *map_file(const char *folder) {
    char path[100];
    snprintf(path, sizeof path, "%s/gpux_huge_pages_test_XXXXXX", folder);
    int fd = mkstemp(path);
    assert_true(fd >= 0);
    uint32_t *words = mem_alloc(SIZE);
    assert_non_null(words);
    for (size_t i = 0; i < SIZE / 4; i++)
        words[i] = (uint32_t)(i * 2654435761u);
    assert_int_equal(write(fd, words, SIZE), SIZE);
    mem_free(words);
    uint8_t *room =
        mmap(NULL, SIZE + HUGE_PAGE_BYTES, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    room += (HUGE_PAGE_BYTES - (uintptr_t)room % HUGE_PAGE_BYTES) % HUGE_PAGE_BYTES;
    uint8_t *map = mmap(room, SIZE, PROT_READ, MAP_SHARED | MAP_FIXED, fd, 0);
    assert_ptr_equal(map, room);
    close(fd);
    unlink(path);
    return map;
}

static bool is_content(const uint8_t *map) {
    const uint32_t *words = (const uint32_t *)(const void *)map;
    for (size_t i = 0; i < SIZE / 4; i++)
        if (words[i] != (uint32_t)(i * 2654435761u))
            return false;
    return true;
}

static void replaced_pages_hold_the_same_bytes(void **state) {
    (void)state;
    uint8_t *map = map_file("/tmp");
    assert_true(huge_pages_replace(map + HUGE_PAGE_BYTES, 2 * HUGE_PAGE_BYTES));
    assert_true(is_content(map));
    assert_true(huge_pages_replace(map, SIZE)); // also what was replaced already
    assert_true(is_content(map));
    assert_int_equal(munmap(map, SIZE), 0);
}

typedef struct Race {
    uint8_t *map;
    atomic_int left;
    atomic_bool is_wrong;
} Race;

// One replaces while the others read.
static void race(void *ctx, size_t part, int member) {
    Race *r = ctx;
    (void)member;
    if (part == 0) {
        for (int i = 0; i < 40; i++)
            if (!huge_pages_replace(r->map + i % PAGES * HUGE_PAGE_BYTES, HUGE_PAGE_BYTES))
                atomic_store(&r->is_wrong, true);
        atomic_store(&r->left, 0);
    } else {
        do {
            if (!is_content(r->map))
                atomic_store(&r->is_wrong, true);
        } while (atomic_load(&r->left));
    }
}

static void readers_never_notice(void **state) {
    (void)state;
    ThreadPool *pool;
    Race r = {.map = map_file("/tmp"), .left = 1};
    assert_int_equal(pool_new(&pool, 3, NULL), STATUS_OK);
    pool_for_1d(pool, 3, race, &r);
    pool_free(pool);
    assert_false(atomic_load(&r.is_wrong));
    assert_true(is_content(r.map));
    munmap(r.map, SIZE);
}

static void nothing_is_missing_where_nothing_is_used(void **state) {
    (void)state;
    assert_false(huge_pages_are_missing((void *)(uintptr_t)4096));
    uint8_t *map = map_file("/tmp");
    assert_false(huge_pages_are_missing(map));
    munmap(map, SIZE);
}

static bool says(const char *name, const char *word) {
    char path[100];
    Buf text = {0};
    snprintf(path, sizeof path, "/sys/kernel/mm/transparent_hugepage/%s", name);
    bool says = file_read(&text, path, 4096, NULL) == STATUS_OK && strstr(text.ptr, word);
    buf_free(&text);
    return says;
}

static void small_pages_are_missing_huge_ones(void **state) {
    (void)state;
    // A file system that surely maps pages of 4 KB, on a system that has huge ones.
    if (!says("shmem_enabled", "[never]") || says("enabled", "[never]") ||
        access("/dev/shm", W_OK) != 0)
        skip();
    uint8_t *map = map_file("/dev/shm");
    assert_true(is_content(map));
    assert_true(huge_pages_are_missing(map));
    munmap(map, SIZE);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(replaced_pages_hold_the_same_bytes),
        cmocka_unit_test(readers_never_notice),
        cmocka_unit_test(nothing_is_missing_where_nothing_is_used),
        cmocka_unit_test(small_pages_are_missing_huge_ones),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
