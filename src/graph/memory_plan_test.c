// Property and edge tests of the memory plan.
#include "graph/graph_test.h"

static uint32_t next_random(uint32_t *seed) {
    *seed ^= *seed << 13;
    *seed ^= *seed >> 17;
    *seed ^= *seed << 5;
    return *seed;
}

static bool meet(const PlanItem *a, const PlanItem *b) {
    return a->first <= b->last && b->first <= a->last;
}

static void assert_plan_is_sound(const PlanItem *items, size_t count, size_t total) {
    for (size_t i = 0; i < count; i++) {
        assert_int_equal(items[i].offset % 64, 0);
        assert_true(items[i].offset + items[i].size <= total);
        for (size_t j = 0; j < i; j++) {
            if (!meet(&items[i], &items[j]) || items[i].size == 0 || items[j].size == 0)
                continue;
            assert_true(items[i].offset + items[i].size <= items[j].offset ||
                        items[j].offset + items[j].size <= items[i].offset);
        }
    }
}

// The most bytes alive in one step: no plan can be smaller.
static size_t lower_bound(const PlanItem *items, size_t count, int steps) {
    size_t most = 0;
    for (int step = 0; step < steps; step++) {
        size_t sum = 0;
        for (size_t i = 0; i < count; i++) {
            if (items[i].first <= step && step <= items[i].last)
                sum += (items[i].size + 63) / 64 * 64;
        }
        most = sum > most ? sum : most;
    }
    return most;
}

static void live_values_never_overlap(void **state) {
    (void)state;
    enum { MOST = 120, STEPS = 60 };
    PlanItem items[MOST];
    uint32_t seed = 2463534242U;
    for (int round = 0; round < 300; round++) {
        size_t count = next_random(&seed) % MOST + 1;
        for (size_t i = 0; i < count; i++) {
            int first = (int)(next_random(&seed) % STEPS);
            int length = (int)(next_random(&seed) % 12);
            bool is_odd = next_random(&seed) % 8 == 0;
            items[i] =
                (PlanItem){.size = is_odd ? next_random(&seed) % 3 : next_random(&seed) % 9999,
                           .first = first,
                           .last = first + length < STEPS ? first + length : STEPS - 1,
                           .offset = 12345};
        }
        Status status;
        size_t total = memory_plan(items, count, 64, &status);
        assert_int_equal(status, STATUS_OK);
        assert_plan_is_sound(items, count, total);
        size_t bound = lower_bound(items, count, STEPS);
        assert_true(total >= bound);
        assert_true(total <= 2 * bound + 64);
    }
}

static void a_chain_needs_only_its_two_neighbours(void **state) {
    (void)state;
    PlanItem items[50];
    for (int i = 0; i < 50; i++)
        items[i] = (PlanItem){.size = 1000, .first = i, .last = i + 1};
    Status status;
    assert_int_equal(memory_plan(items, 50, 64, &status), 2048);
    assert_plan_is_sound(items, 50, 2048);
}

static void the_tightest_gap_is_taken(void **state) {
    (void)state;
    // Four blocks side by side in step 0. In step 1 the first and third are gone, which leaves gaps
    // of 4096 at 0 and of 1024 at 7168: the last item fits both.
    PlanItem items[] = {
        {.size = 4096, .first = 0, .last = 0}, {.size = 3072, .first = 0, .last = 1},
        {.size = 1024, .first = 0, .last = 0}, {.size = 960, .first = 0, .last = 1},
        {.size = 896, .first = 1, .last = 1},
    };
    Status status;
    size_t total = memory_plan(items, 5, 64, &status);
    assert_plan_is_sound(items, 5, total);
    assert_int_equal(total, 4096 + 3072 + 1024 + 960);
    assert_int_equal(items[4].offset, 4096 + 3072);
}

static void nothing_needs_nothing(void **state) {
    (void)state;
    Status status = STATUS_INTERNAL;
    assert_int_equal(memory_plan(NULL, 0, 64, &status), 0);
    assert_int_equal(status, STATUS_OK);
    PlanItem empty = {.size = 0, .first = 0, .last = 3, .offset = 7};
    assert_int_equal(memory_plan(&empty, 1, 64, &status), 0);
    assert_int_equal(status, STATUS_OK);
    assert_int_equal(empty.offset, 0);
}

static void overflow_is_reported(void **state) {
    (void)state;
    Status status;
    PlanItem one[] = {{.size = SIZE_MAX - 10, .first = 0, .last = 1}};
    assert_int_equal(memory_plan(one, 1, 64, &status), 0);
    assert_int_equal(status, STATUS_LIMIT);
    PlanItem two[] = {
        {.size = SIZE_MAX / 2 + 1, .first = 0, .last = 1},
        {.size = SIZE_MAX / 2 + 1, .first = 1, .last = 2},
    };
    assert_int_equal(memory_plan(two, 2, 64, &status), 0);
    assert_int_equal(status, STATUS_LIMIT);
    two[1].first = 2;
    assert_int_equal(memory_plan(two, 2, 64, &status), SIZE_MAX / 2 + 1);
    assert_int_equal(status, STATUS_OK);
}

static void a_life_that_ends_before_it_begins_is_invalid(void **state) {
    (void)state;
    Status status;
    PlanItem item = {.size = 64, .first = 2, .last = 1};
    assert_int_equal(memory_plan(&item, 1, 64, &status), 0);
    assert_int_equal(status, STATUS_INVALID);
}

static void lack_of_memory_is_reported(void **state) {
    (void)state;
    Status status;
    PlanItem item = {.size = 64, .first = 0, .last = 1};
    mem_fail_after(1);
    size_t total = memory_plan(&item, 1, 64, &status);
    mem_fail_after(0);
    assert_int_equal(total, 0);
    assert_int_equal(status, STATUS_OUT_OF_MEMORY);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(live_values_never_overlap),
        cmocka_unit_test(a_chain_needs_only_its_two_neighbours),
        cmocka_unit_test(the_tightest_gap_is_taken),
        cmocka_unit_test(nothing_needs_nothing),
        cmocka_unit_test(overflow_is_reported),
        cmocka_unit_test(a_life_that_ends_before_it_begins_is_invalid),
        cmocka_unit_test(lack_of_memory_is_reported),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
