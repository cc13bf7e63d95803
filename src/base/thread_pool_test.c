// Tests of runs, steps, tiles, sleeping, members that do not get to run, and many more threads than
// CPUs.
#include "base/thread_pool.h"

#include "base/clock.h"
#include "base/memory.h"

#include <pthread.h>
#include <sched.h>
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

// A run of as many tiles a step as there are members.
static void run_steps(ThreadPool *pool, size_t count,
                      void (*body)(void *ctx, size_t step, int member, PoolTurn *turn), void *ctx) {
    PoolStep *steps = mem_alloc_zero(count, sizeof *steps);
    assert_non_null(steps);
    pool_run(pool, &(PoolJob){.count = count, .steps = steps, .body = body, .ctx = ctx});
    mem_free(steps);
}

typedef struct Visits {
    size_t tiles;
    int seen[64];
} Visits;

static void visit(void *ctx, size_t step, int member, PoolTurn *turn) {
    Visits *visits = ctx;
    (void)step;
    (void)member;
    size_t tile;
    while (pool_take(turn, visits->tiles, &tile))
        visits->seen[tile]++;
}

static void a_step_visits_every_tile_once(void **state) {
    (void)state;
    static const int sizes[] = {1, 2, 3, 16};
    for (size_t i = 0; i < sizeof sizes / sizeof sizes[0]; i++) {
        ThreadPool *pool = started(sizes[i]);
        assert_int_equal(pool == NULL, sizes[i] == 1);
        assert_int_equal(pool_threads(pool), sizes[i]);
        for (size_t tiles = 0; tiles < 64; tiles = tiles * 2 + 1) {
            Visits visits = {.tiles = tiles};
            for (int run = 1; run <= 100; run++) {
                run_steps(pool, 3, visit, &visits);
                for (size_t t = 0; t < 64; t++)
                    assert_int_equal(visits.seen[t], t < tiles ? 3 * run : 0);
            }
        }
        run_steps(pool, 0, visit, NULL);
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

enum { ROUNDS = 300, PARTS = 16 };

typedef struct Relay {
    size_t values[PARTS];
    size_t errors[PARTS];
} Relay;

// Every even step each tile writes its own value, every odd step each tile reads all others'
// plainly: a step that began early or did not order memory would show (to the thread sanitizer,
// too).
static void relay(void *ctx, size_t step, int member, PoolTurn *turn) {
    Relay *r = ctx;
    (void)member;
    size_t tile;
    while (pool_take(turn, PARTS, &tile)) {
        if (step % 2 == 0)
            r->values[tile] = step * 100 + tile;
        for (size_t t = 0; step % 2 == 1 && t < PARTS; t++)
            r->errors[tile] += r->values[t] != (step - 1) * 100 + t;
    }
}

static void steps_follow_each_other_and_order_memory(void **state) {
    (void)state;
    static const int sizes[] = {1, 2, 5, 16};
    for (size_t i = 0; i < sizeof sizes / sizeof sizes[0]; i++) {
        ThreadPool *pool = started(sizes[i]);
        for (int run = 0; run < 20; run++) {
            Relay r = {0};
            run_steps(pool, ROUNDS, relay, &r);
            for (size_t t = 0; t < PARTS; t++) {
                assert_int_equal(r.errors[t], 0);
                assert_int_equal(r.values[t], (ROUNDS - 2) * 100 + t);
            }
        }
        pool_free(pool);
    }
}

typedef struct Stop {
    atomic_int runs[ROUNDS];
    size_t last; // the step that ends the run
    size_t left; // tiles that follow it
} Stop;

static void count_step(void *ctx, size_t step, int member, PoolTurn *turn) {
    Stop *stop = ctx;
    (void)member;
    size_t tile;
    while (pool_take(turn, PARTS, &tile))
        atomic_fetch_add(&stop->runs[step], 1);
}

static bool goes_on(void *ctx, size_t step) {
    Stop *stop = ctx;
    assert_int_equal(atomic_load(&stop->runs[step]), PARTS);
    return step != stop->last;
}

static void a_run_may_end_early_and_the_next_is_whole(void **state) {
    (void)state;
    ThreadPool *pool = started(3);
    PoolStep steps[ROUNDS];
    for (size_t run = 0; run < 200; run++) {
        Stop stop = {.last = run % 5 == 0 ? ROUNDS : run};
        pool_run(pool, &(PoolJob){.count = ROUNDS,
                                  .steps = steps,
                                  .body = count_step,
                                  .after = goes_on,
                                  .ctx = &stop});
        // Nobody is at work any more, and the last steps were never begun.
        int after = 0;
        for (size_t i = 0; i < ROUNDS; i++)
            after += atomic_load(&stop.runs[i]);
        nanosleep(&(struct timespec){.tv_nsec = 20000}, NULL);
        for (size_t i = 0; i < ROUNDS; i++)
            after -= atomic_load(&stop.runs[i]);
        assert_int_equal(after, 0);
        for (size_t i = 0; i < ROUNDS && i <= stop.last; i++)
            assert_int_equal(atomic_load(&stop.runs[i]), PARTS);
    }
    pool_free(pool);
}

static void sleep_us(long us) {
    nanosleep(&(struct timespec){.tv_nsec = us * 1000}, NULL);
}

// One tile of each step is slow: first the others sleep in wait of a worker, then of the caller.
static void slow_step(void *ctx, size_t step, int member, PoolTurn *turn) {
    (void)step;
    size_t tile;
    while (pool_take(turn, 4, &tile)) {
        sleep_us(tile == 3 ? 5000 : 500);
        atomic_fetch_or((atomic_int *)ctx, 1 << member);
    }
}

static void sleepers_are_woken_at_steps_and_ends(void **state) {
    (void)state;
    ThreadPool *pool = started(4);
    atomic_int seen = 0;
    for (int i = 0; i < 3 || (i < 1000 && atomic_load(&seen) != 15); i++) {
        run_steps(pool, 2, slow_step, &seen);
        sleep_us(3000);
    }
    assert_int_equal(atomic_load(&seen), 15);
    pool_free(pool);
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
        pool_free(pool);
    }
}

typedef struct Look {
    char name[16];
    int is_blocked;
    atomic_bool is_seen;
} Look;

static void look(void *ctx, size_t i, int member) {
    (void)i;
    Look *l = ctx;
    if (member != 1) {
        while (!atomic_load(&l->is_seen))
            sleep_us(100); // the worker takes the other one
        return;
    }
    pthread_getname_np(pthread_self(), l->name, sizeof l->name);
    sigset_t mask;
    pthread_sigmask(SIG_BLOCK, NULL, &mask);
    l->is_blocked = sigismember(&mask, SIGTERM) && sigismember(&mask, SIGINT);
    atomic_store(&l->is_seen, true);
}

static void workers_have_a_name_and_block_signals(void **state) {
    (void)state;
    ThreadPool *pool = started(2);
    Look l = {0};
    pool_for_1d(pool, 2, look, &l);
    assert_string_equal(l.name, "gpux-worker");
    assert_true(l.is_blocked);
    sigset_t mask;
    pthread_sigmask(SIG_BLOCK, NULL, &mask);
    assert_false(sigismember(&mask, SIGTERM));
    pool_free(pool);
}

static void become_idle(void *ctx, size_t i, int member) {
    (void)i;
    atomic_bool *is_idle = ctx;
    if (member == 1) {
        struct sched_param none = {0};
        assert_int_equal(pthread_setschedparam(pthread_self(), SCHED_IDLE, &none), 0);
        atomic_store(is_idle, true);
    }
    while (!atomic_load(is_idle))
        sleep_us(100);
}

static long waits_of_this_thread(void) {
    struct rusage usage;
    assert_int_equal(getrusage(RUSAGE_THREAD, &usage), 0);
    return usage.ru_nvcsw;
}

// Both members share a CPU, and the worker gets it only when the caller leaves it.
static void a_member_that_gets_no_cpu_holds_up_nobody(void **state) {
    (void)state;
    cpu_set_t before, one;
    assert_int_equal(sched_getaffinity(0, sizeof before, &before), 0);
    CPU_ZERO(&one);
    for (size_t i = 0; i < CPU_SETSIZE && CPU_COUNT(&one) == 0; i++)
        if (CPU_ISSET(i, &before))
            CPU_SET(i, &one);
    assert_int_equal(sched_setaffinity(0, sizeof one, &one), 0);
    ThreadPool *pool = started(2);
    atomic_bool is_idle = false;
    pool_for_1d(pool, 2, become_idle, &is_idle);
    Visits visits = {.tiles = 2};
    long waits = waits_of_this_thread();
    for (int run = 0; run < 500; run++)
        run_steps(pool, 20, visit, &visits);
    waits = waits_of_this_thread() - waits;
    print_message("waits in 10000 steps: %ld\n", waits);
    assert_true(waits < 100);
    assert_int_equal(visits.seen[1], 10000);
    pool_free(pool);
    assert_int_equal(sched_setaffinity(0, sizeof before, &before), 0);
}

static uint64_t cpu_time_ns(void) {
    struct timespec now;
    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &now);
    return (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec;
}

static void an_idle_pool_uses_no_cpu(void **state) {
    (void)state;
    ThreadPool *pool = started(4);
    Visits visits = {.tiles = 4};
    run_steps(pool, 3, visit, &visits);
    sleep_us(100000);
    uint64_t before = cpu_time_ns();
    sleep_us(300000);
    uint64_t used = cpu_time_ns() - before;
    print_message("CPU time of 300 idle ms: %.3f ms\n", (double)used / 1e6);
    assert_true(used < 3000000);
    pool_free(pool);
}

static void pools_come_and_go(void **state) {
    (void)state;
    for (int i = 0; i < 100; i++) {
        ThreadPool *pool = started(2 + i % 7);
        Visits visits = {.tiles = 4};
        if (i % 3 != 0)
            run_steps(pool, 1, visit, &visits);
        assert_int_equal(visits.seen[1], i % 3 != 0);
        pool_free(pool);
    }
    pool_free(NULL);
}

static void nothing(void *ctx, size_t step, int member, PoolTurn *turn) {
    (void)ctx;
    (void)step;
    (void)member;
    size_t tile;
    while (pool_take(turn, 2, &tile))
        continue;
}

static void hot_runs_and_steps_are_short(void **state) {
    (void)state;
    ThreadPool *pool = started(2);
    uint64_t best = UINT64_MAX;
    for (int i = 0; i < 5000; i++) {
        uint64_t start = clock_now_ns();
        run_steps(pool, 1, nothing, NULL);
        uint64_t passed = clock_now_ns() - start;
        best = passed < best ? passed : best;
    }
    uint64_t start = clock_now_ns();
    for (int i = 0; i < 5000; i++)
        run_steps(pool, 1, nothing, NULL);
    uint64_t runs = clock_now_ns() - start;
    start = clock_now_ns();
    run_steps(pool, 5000, nothing, NULL);
    uint64_t steps = clock_now_ns() - start;
    print_message("2 threads: empty run %.2f us (best %.2f), empty step %.2f us\n",
                  (double)runs / 5e6, (double)best / 1e3, (double)steps / 5e6);
    assert_true(best < 1000000);
    pool_free(pool);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_step_visits_every_tile_once),
        cmocka_unit_test(impossible_sizes_are_refused),
        cmocka_unit_test(steps_follow_each_other_and_order_memory),
        cmocka_unit_test(a_run_may_end_early_and_the_next_is_whole),
        cmocka_unit_test(sleepers_are_woken_at_steps_and_ends),
        cmocka_unit_test(loops_visit_every_index_once),
        cmocka_unit_test(workers_have_a_name_and_block_signals),
        cmocka_unit_test(a_member_that_gets_no_cpu_holds_up_nobody),
        cmocka_unit_test(an_idle_pool_uses_no_cpu),
        cmocka_unit_test(pools_come_and_go),
        cmocka_unit_test(hot_runs_and_steps_are_short),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
