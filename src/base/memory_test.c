// Tests of the allocator, aligned blocks and arenas.
#include "base/memory.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

static void overflowing_products_yield_null(void **state) {
    (void)state;
    assert_null(mem_alloc_zero(SIZE_MAX / 2, 3));
    assert_null(mem_realloc_array(NULL, SIZE_MAX / 2, 3));
    Arena arena = {0};
    assert_null(arena_alloc_array(&arena, SIZE_MAX / 2, 3));
    assert_null(arena_alloc(&arena, SIZE_MAX - 4));
    arena_free(&arena);
}

static void size_zero_yields_unique_blocks(void **state) {
    (void)state;
    void *a = mem_alloc(0);
    void *b = mem_alloc_zero(0, 8);
    void *c = mem_realloc(NULL, 0);
    assert_non_null(a);
    assert_non_null(b);
    assert_non_null(c);
    assert_ptr_not_equal(a, b);
    mem_free(a);
    mem_free(b);
    mem_free(c);
    mem_free(NULL);
}

static void the_nth_allocation_and_all_later_ones_fail(void **state) {
    (void)state;
    mem_fail_after(2);
    void *first = mem_alloc(8);
    assert_non_null(first);
    assert_null(mem_alloc(8));
    assert_null(mem_alloc_zero(1, 8));
    assert_null(mem_realloc(first, 100));
    assert_null(mem_alloc_aligned(64, 64));
    assert_null(mem_strdup("x"));
    assert_int_equal(mem_fail_after(0), 6);
    assert_int_equal(mem_fail_after(0), 0);
    mem_free(first);
}

static void aligned_blocks_are_aligned(void **state) {
    (void)state;
    static const size_t sizes[] = {0, 1, 100, 4096, (2 << 20) - 1, 2 << 20, (5 << 20) + 3};
    for (size_t i = 0; i < sizeof sizes / sizeof sizes[0]; i++) {
        for (size_t alignment = 64; alignment <= 4096; alignment *= 8) {
            char *block = mem_alloc_aligned(sizes[i], alignment);
            assert_non_null(block);
            size_t expected = sizes[i] >= 2 << 20 ? 2 << 20 : alignment;
            assert_int_equal((uintptr_t)block % expected, 0);
            memset(block, 1, sizes[i]);
            mem_free_aligned(block);
        }
    }
    assert_null(mem_alloc_aligned(SIZE_MAX - 100, 64));
}

static void arena_memory_is_zeroed_aligned_and_disjoint(void **state) {
    (void)state;
    Arena arena = {0};
    unsigned char *blocks[500];
    size_t sizes[500];
    size_t random = 1;
    for (size_t i = 0; i < 500; i++) {
        random = random * 6364136223846793005u + 1442695040888963407u;
        sizes[i] = i % 50 == 7 ? 100000 + i : (random >> 40) % 700;
        blocks[i] = arena_alloc(&arena, sizes[i]);
        assert_non_null(blocks[i]);
        assert_int_equal((uintptr_t)blocks[i] % 16, 0);
        for (size_t j = 0; j < sizes[i]; j++)
            assert_int_equal(blocks[i][j], 0);
        memset(blocks[i], (int)(i % 255 + 1), sizes[i]);
    }
    for (size_t i = 0; i < 500; i++) {
        for (size_t j = 0; j < sizes[i]; j++)
            assert_int_equal(blocks[i][j], i % 255 + 1);
    }
    assert_true(arena.total >= 500);
    arena_free(&arena);
    assert_null(arena.blocks);
    assert_int_equal(arena.total, 0);
    assert_non_null(arena_alloc(&arena, 1));
    arena_free(&arena);
}

static void arena_strings_are_copies(void **state) {
    (void)state;
    Arena arena = {0};
    assert_string_equal(arena_strndup(&arena, "abcdef", 3), "abc");
    assert_string_equal(arena_strndup(&arena, NULL, 0), "");
    assert_string_equal(arena_strdup(&arena, "xyz"), "xyz");
    assert_string_equal(arena_printf(&arena, "%d-%s", 5, "k"), "5-k");
    arena_free(&arena);
}

static void a_failing_arena_stays_usable(void **state) {
    (void)state;
    Arena arena = {0};
    mem_fail_after(1);
    assert_null(arena_alloc(&arena, 10));
    assert_null(arena_printf(&arena, "x"));
    mem_fail_after(0);
    assert_non_null(arena_alloc(&arena, 10));
    arena_free(&arena);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(overflowing_products_yield_null),
        cmocka_unit_test(size_zero_yields_unique_blocks),
        cmocka_unit_test(the_nth_allocation_and_all_later_ones_fail),
        cmocka_unit_test(aligned_blocks_are_aligned),
        cmocka_unit_test(arena_memory_is_zeroed_aligned_and_disjoint),
        cmocka_unit_test(arena_strings_are_copies),
        cmocka_unit_test(a_failing_arena_stays_usable),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
