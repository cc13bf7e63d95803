// Tests of runs, barriers, shared counters, sleeping and many more threads than CPUs.
#include "base/thread_pool.h"

#include "base/clock.h"
#include "base/memory.h"

#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>
#include <time.h>

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

static ThreadPool *started(int threads) {
    ThreadPool *pool;
    Error error;
    assert_int_equal(pool_new(&pool, threads, &error), STATUS_OK);
    return pool;
}

typedef struct Visits {
    int members;
    int seen[64];
} Visits;

static void visit(void *ctx, int member, int members) {
    Visits *visits = ctx;
    visits->seen[member]++;
    if (member == 0)
        visits->members = members;
}

static void a_run_visits_every_member_once(void **state) {
    (void)state;
    static const int sizes[] = {1, 2, 3, 16};
    for (size_t i = 0; i < sizeof sizes / sizeof sizes[0]; i++) {
        ThreadPool *pool = started(sizes[i]);
        assert_int_equal(pool == NULL, sizes[i] == 1);
        assert_int_equal(pool_threads(pool), sizes[i]);
        Visits visits = {0};
        for (int run = 1; run <= 200; run++) {
            pool_run(pool, visit, &visits);
            assert_int_equal(visits.members, sizes[i]);
            for (int m = 0; m < 64; m++)
                assert_int_equal(visits.seen[m], m < sizes[i] ? run : 0);
        }
        pool_free(pool);
    }
}

static void impossible_sizes_are_refused(void **state) {
    (void)state;
    ThreadPool *pool;
    Error error;
    assert_int_equal(pool_new(&pool, 0, &error), STATUS_INVALID);
    assert_int_equal(pool_new(&pool, 100000, &error), STATUS_INVALID);
    assert_null(pool);
    for (size_t n = 1; n <= 2; n++) {
        mem_fail_after(n);
        Status status = pool_new(&pool, 4, NULL);
        mem_fail_after(0);
        assert_int_equal(status, STATUS_OUT_OF_MEMORY);
    }
}

enum { ROUNDS = 300 };

typedef struct Relay {
    ThreadPool *pool;
    int values[16];
    int errors[16];
} Relay;

// Each round every member writes its own value and then reads all others' plainly: a barrier that
// let one through early or did not order memory would show (to the thread sanitizer, too).
static void relay(void *ctx, int member, int members) {
    Relay *r = ctx;
    for (int round = 0; round < ROUNDS; round++) {
        r->values[member] = round * 100 + member;
        pool_barrier(r->pool, member);
        for (int m = 0; m < members; m++)
            r->errors[member] += r->values[m] != round * 100 + m;
        pool_barrier(r->pool, member);
    }
}

static void barriers_hold_everyone_and_order_memory(void **state) {
    (void)state;
    static const int sizes[] = {1, 2, 5, 16};
    for (size_t i = 0; i < sizeof sizes / sizeof sizes[0]; i++) {
        Relay r = {.pool = started(sizes[i])};
        pool_run(r.pool, relay, &r);
        for (int m = 0; m < sizes[i]; m++) {
            assert_int_equal(r.errors[m], 0);
            assert_int_equal(r.values[m], (ROUNDS - 1) * 100 + m);
        }
        pool_free(r.pool);
    }
}

static void slow_barrier(void *ctx, int member, int members) {
    Relay *r = ctx;
    (void)members;
    if (member == 1)
        nanosleep(&(struct timespec){.tv_nsec = 5000000}, NULL);
    pool_barrier(r->pool, member);
    if (member == 2)
        nanosleep(&(struct timespec){.tv_nsec = 5000000}, NULL);
}

static void sleepers_are_woken_at_barriers_and_ends(void **state) {
    (void)state;
    Relay r = {.pool = started(4)};
    for (int i = 0; i < 5; i++) {
        pool_run(r.pool, slow_barrier, &r);
        nanosleep(&(struct timespec){.tv_nsec = 3000000}, NULL);
    }
    pool_free(r.pool);
    assert_int_equal(r.errors[0], 0);
}

typedef struct Counts {
    int counts[1000];
    int members;
    atomic_int bad_members;
} Counts;

static void count_1d(void *ctx, size_t i, int member) {
    Counts *c = ctx;
    c->counts[i]++;
    if (member < 0 || member >= c->members)
        atomic_fetch_add(&c->bad_members, 1);
}

static void count_2d(void *ctx, size_t row, size_t col, int member) {
    count_1d(ctx, row * 37 + col, member);
}

static void loops_visit_every_index_once(void **state) {
    (void)state;
    for (int threads = 1; threads <= 4; threads++) {
        ThreadPool *pool = started(threads);
        static const size_t counts[] = {0, 1, 2, 7, 1000};
        for (size_t k = 0; k < sizeof counts / sizeof counts[0]; k++) {
            Counts c = {.members = threads};
            pool_for_1d(pool, counts[k], count_1d, &c);
            for (size_t i = 0; i < 1000; i++)
                assert_int_equal(c.counts[i], i < counts[k]);
            assert_int_equal(c.bad_members, 0);
        }
        Counts c = {.members = threads};
        pool_for_2d(pool, 20, 37, count_2d, &c);
        for (size_t i = 0; i < 1000; i++)
            assert_int_equal(c.counts[i], i < 740);
        pool_for_2d(pool, 20, 0, count_2d, &c);
        pool_for_2d(pool, 0, 20, count_2d, &c);
        assert_int_equal(c.counts[0], 1);
        pool_free(pool);
    }
}

typedef struct Look {
    char name[16];
    int is_blocked;
} Look;

static void look(void *ctx, int member, int members) {
    (void)members;
    Look *l = ctx;
    if (member != 1)
        return;
    pthread_getname_np(pthread_self(), l->name, sizeof l->name);
    sigset_t mask;
    pthread_sigmask(SIG_BLOCK, NULL, &mask);
    l->is_blocked = sigismember(&mask, SIGTERM) && sigismember(&mask, SIGINT);
}

static void workers_have_a_name_and_block_signals(void **state) {
    (void)state;
    ThreadPool *pool = started(2);
    Look l = {0};
    pool_run(pool, look, &l);
    assert_string_equal(l.name, "gpux-worker");
    assert_true(l.is_blocked);
    sigset_t mask;
    pthread_sigmask(SIG_BLOCK, NULL, &mask);
    assert_false(sigismember(&mask, SIGTERM));
    pool_free(pool);
}

static uint64_t cpu_time_ns(void) {
    struct timespec now;
    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &now);
    return (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec;
}

static void an_idle_pool_uses_no_cpu(void **state) {
    (void)state;
    ThreadPool *pool = started(4);
    Visits visits = {0};
    pool_run(pool, visit, &visits);
    nanosleep(&(struct timespec){.tv_nsec = 20000000}, NULL);
    uint64_t before = cpu_time_ns();
    nanosleep(&(struct timespec){.tv_nsec = 200000000}, NULL);
    uint64_t used = cpu_time_ns() - before;
    print_message("CPU time of 200 idle ms: %.3f ms\n", (double)used / 1e6);
    assert_true(used < 10000000);
    pool_free(pool);
}

static void pools_come_and_go(void **state) {
    (void)state;
    for (int i = 0; i < 100; i++) {
        ThreadPool *pool = started(2 + i % 7);
        Visits visits = {0};
        if (i % 3 != 0)
            pool_run(pool, visit, &visits);
        assert_int_equal(visits.seen[1], i % 3 != 0);
        pool_free(pool);
    }
    pool_free(NULL);
}

static void nothing(void *ctx, int member, int members) {
    (void)ctx;
    (void)member;
    (void)members;
}

typedef struct Laps {
    ThreadPool *pool;
} Laps;

static void laps(void *ctx, int member, int members) {
    (void)members;
    const Laps *l = ctx;
    for (int i = 0; i < 2000; i++)
        pool_barrier(l->pool, member);
}

static void hot_runs_and_barriers_are_short(void **state) {
    (void)state;
    ThreadPool *pool = started(2);
    uint64_t best = UINT64_MAX;
    for (int i = 0; i < 5000; i++) {
        uint64_t start = clock_now_ns();
        pool_run(pool, nothing, NULL);
        uint64_t passed = clock_now_ns() - start;
        best = passed < best ? passed : best;
    }
    uint64_t start = clock_now_ns();
    for (int i = 0; i < 5000; i++)
        pool_run(pool, nothing, NULL);
    uint64_t runs = clock_now_ns() - start;
    Laps l = {.pool = pool};
    start = clock_now_ns();
    pool_run(pool, laps, &l);
    uint64_t barriers = clock_now_ns() - start;
    print_message("2 threads: empty run %.2f us (best %.2f), barrier %.2f us\n", (double)runs / 5e6,
                  (double)best / 1e3, (double)barriers / 2e6);
    assert_true(best < 1000000);
    pool_free(pool);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_run_visits_every_member_once),
        cmocka_unit_test(impossible_sizes_are_refused),
        cmocka_unit_test(barriers_hold_everyone_and_order_memory),
        cmocka_unit_test(sleepers_are_woken_at_barriers_and_ends),
        cmocka_unit_test(loops_visit_every_index_once),
        cmocka_unit_test(workers_have_a_name_and_block_signals),
        cmocka_unit_test(an_idle_pool_uses_no_cpu),
        cmocka_unit_test(pools_come_and_go),
        cmocka_unit_test(hot_runs_and_barriers_are_short),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
