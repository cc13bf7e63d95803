// Fork and join over a fixed team, with barriers and shared counters.
//
// A run is announced by one change of `generation`, which orders the job's fields before it. Every
// wait has one form: spin on a word for a while, then yield between looks, then register as a
// sleeper and sleep on a futex until the word changes. Whoever changes a word first changes it,
// then looks for sleepers; both sides are sequentially consistent, so one of them always sees the
// other. Runs of one pool must not overlap.
#include "base/thread_pool.h"

#include "base/clock.h"
#include "base/memory.h"

#include <assert.h>
#include <errno.h>
#include <limits.h>
#include <linux/futex.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdatomic.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

enum {
    MAX_THREADS = 1024,
    STACK_SIZE = 256 << 10,
    SPIN_NS = 50 * 1000,
    SPIN_CROWDED_NS =
        2 * 1000, // with more members than CPUs a spinner may hold up the one it awaits
    YIELD_AFTER_NS = 10 * 1000,
    PAUSES_PER_LOOK = 8,
    CACHE_LINE = 64,
};

// A word that some wait for. `sleepers` counts those that may be in the futex.
typedef struct WaitWord {
    _Alignas(CACHE_LINE) _Atomic uint32_t value;
    _Atomic uint32_t sleepers;
} WaitWord;

typedef struct Worker {
    ThreadPool *pool;
    pthread_t thread;
    int member;
} Worker;

struct ThreadPool {
    WaitWord generation;                           // changed to start a run or to stop
    WaitWord pending;                              // workers that have not finished the run
    WaitWord phase;                                // completed barriers
    _Alignas(CACHE_LINE) _Atomic uint32_t arrived; // members waiting at the barrier
    _Alignas(CACHE_LINE) _Atomic size_t next;      // of pool_for_*: the first index not handed out
    // Written between runs only.
    _Alignas(CACHE_LINE) void (*body)(void *ctx, int member, int members);
    void *ctx;
    bool is_stopping;
    int members;
    int started; // workers that exist
    uint64_t spin_ns;
    Worker *workers; // [members - 1]
};

static inline void cpu_relax(void) {
#if defined(__x86_64__)
    __builtin_ia32_pause();
#elif defined(__aarch64__)
    __asm__ volatile("yield");
#endif
}

static void futex_wait(_Atomic uint32_t *word, uint32_t old) {
    (void)syscall(SYS_futex, word, FUTEX_WAIT_PRIVATE, old, NULL, NULL, 0);
}

static void futex_wake_all(_Atomic uint32_t *word) {
    (void)syscall(SYS_futex, word, FUTEX_WAKE_PRIVATE, INT_MAX, NULL, NULL, 0);
}

// Call after changing word->value.
static void wake_sleepers(WaitWord *word) {
    if (atomic_load(&word->sleepers) > 0)
        futex_wake_all(&word->value);
}

// Returns the first value other than `old`.
static uint32_t wait_change(WaitWord *word, uint32_t old, uint64_t spin_ns) {
    uint64_t start = 0;
    uint64_t waited = 0;
    do {
        for (int i = 0; i < PAUSES_PER_LOOK; i++) {
            uint32_t value = atomic_load_explicit(&word->value, memory_order_acquire);
            if (value != old)
                return value;
            cpu_relax();
        }
        uint64_t now = clock_now_ns();
        if (start == 0)
            start = now;
        waited = now - start;
        // After a while the awaited member is perhaps not running at all, but queued on this CPU.
        if (waited > YIELD_AFTER_NS)
            sched_yield();
    } while (waited < spin_ns);
    atomic_fetch_add(&word->sleepers, 1);
    uint32_t value;
    while ((value = atomic_load(&word->value)) == old)
        futex_wait(&word->value, old);
    atomic_fetch_sub(&word->sleepers, 1);
    return value;
}

static void *worker_main(void *argument) {
    Worker *worker = argument;
    ThreadPool *pool = worker->pool;
    uint32_t seen = 0;
    for (;;) {
        seen = wait_change(&pool->generation, seen, pool->spin_ns);
        if (pool->is_stopping)
            return NULL;
        pool->body(pool->ctx, worker->member, pool->members);
        if (atomic_fetch_sub(&pool->pending.value, 1) == 1)
            wake_sleepers(&pool->pending);
    }
}

static int usable_cpus(void) {
    cpu_set_t set;
    if (sched_getaffinity(0, sizeof set, &set) != 0)
        return INT_MAX; // more CPUs than the set holds
    return CPU_COUNT(&set);
}

static Status start_workers(ThreadPool *pool, Error *error) {
    pthread_attr_t attributes;
    int failed = pthread_attr_init(&attributes);
    if (failed)
        return error_errno(error, failed, "cannot start worker threads", NULL);
    (void)pthread_attr_setstacksize(&attributes, STACK_SIZE);
    // Workers inherit the mask: signals belong to the program's own threads.
    sigset_t all;
    sigset_t before;
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    for (int i = 0; i < pool->members - 1 && !failed; i++) {
        Worker *worker = &pool->workers[i];
        *worker = (Worker){.pool = pool, .member = i + 1};
        failed = pthread_create(&worker->thread, &attributes, worker_main, worker);
        if (!failed) {
            pool->started++;
            (void)pthread_setname_np(worker->thread, "gpux-worker");
        }
    }
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    pthread_attr_destroy(&attributes);
    if (!failed)
        return STATUS_OK;
    return error_set(error, STATUS_LIMIT, "cannot start worker thread %d of %d: %s",
                     pool->started + 1, pool->members - 1, strerrordesc_np(failed));
}

Status pool_new(ThreadPool **out, int threads, Error *error) {
    *out = NULL;
    if (threads < 1 || threads > MAX_THREADS)
        return error_set(error, STATUS_INVALID, "threads must be 1 to %d, not %d", MAX_THREADS,
                         threads);
    if (threads == 1)
        return STATUS_OK;
    ThreadPool *pool = mem_alloc_aligned(sizeof *pool, CACHE_LINE);
    if (!pool)
        return error_out_of_memory(error, sizeof *pool);
    memset(pool, 0, sizeof *pool);
    pool->members = threads;
    pool->spin_ns = threads > usable_cpus() ? SPIN_CROWDED_NS : SPIN_NS;
    size_t bytes = (size_t)(threads - 1) * sizeof *pool->workers;
    pool->workers = mem_alloc_zero(1, bytes);
    Status status = pool->workers ? start_workers(pool, error) : error_out_of_memory(error, bytes);
    if (status != STATUS_OK) {
        pool_free(pool);
        return status;
    }
    *out = pool;
    return STATUS_OK;
}

void pool_free(ThreadPool *pool) {
    if (!pool)
        return;
    pool->is_stopping = true;
    atomic_fetch_add(&pool->generation.value, 1);
    wake_sleepers(&pool->generation);
    for (int i = 0; i < pool->started; i++)
        pthread_join(pool->workers[i].thread, NULL);
    mem_free(pool->workers);
    mem_free_aligned(pool);
}

int pool_threads(const ThreadPool *pool) {
    return pool ? pool->members : 1;
}

void pool_run(ThreadPool *pool, void (*body)(void *ctx, int member, int members), void *ctx) {
    if (!pool) {
        body(ctx, 0, 1);
        return;
    }
    pool->body = body;
    pool->ctx = ctx;
    atomic_store_explicit(&pool->pending.value, (uint32_t)pool->members - 1, memory_order_relaxed);
    atomic_fetch_add(&pool->generation.value, 1);
    wake_sleepers(&pool->generation);
    body(ctx, 0, pool->members);
    uint32_t left = atomic_load_explicit(&pool->pending.value, memory_order_acquire);
    while (left != 0)
        left = wait_change(&pool->pending, left, pool->spin_ns);
}

void pool_barrier(ThreadPool *pool, int member) {
    if (!pool)
        return;
    assert(member >= 0 && member < pool->members);
    (void)member;
    // Read before arriving: the phase cannot end without this member.
    uint32_t phase = atomic_load_explicit(&pool->phase.value, memory_order_relaxed);
    uint32_t before = atomic_fetch_add_explicit(&pool->arrived, 1, memory_order_acq_rel);
    if (before + 1 < (uint32_t)pool->members) {
        (void)wait_change(&pool->phase, phase, pool->spin_ns);
        return;
    }
    atomic_store_explicit(&pool->arrived, 0, memory_order_relaxed);
    atomic_fetch_add(&pool->phase.value, 1);
    wake_sleepers(&pool->phase);
}

typedef struct Job1d {
    ThreadPool *pool;
    size_t count;
    void (*body)(void *ctx, size_t i, int member);
    void *ctx;
} Job1d;

static void run_1d(void *ctx, int member, int members) {
    (void)members;
    const Job1d *job = ctx;
    for (;;) {
        size_t i = atomic_fetch_add_explicit(&job->pool->next, 1, memory_order_relaxed);
        if (i >= job->count)
            return;
        job->body(job->ctx, i, member);
    }
}

void pool_for_1d(ThreadPool *pool, size_t count, void (*body)(void *ctx, size_t i, int member),
                 void *ctx) {
    if (!pool || count <= 1) {
        for (size_t i = 0; i < count; i++)
            body(ctx, i, 0);
        return;
    }
    Job1d job = {.pool = pool, .count = count, .body = body, .ctx = ctx};
    atomic_store_explicit(&pool->next, 0, memory_order_relaxed);
    pool_run(pool, run_1d, &job);
}

typedef struct Job2d {
    size_t cols;
    void (*body)(void *ctx, size_t row, size_t col, int member);
    void *ctx;
} Job2d;

static void run_2d(void *ctx, size_t i, int member) {
    const Job2d *job = ctx;
    job->body(job->ctx, i / job->cols, i % job->cols, member);
}

void pool_for_2d(ThreadPool *pool, size_t rows, size_t cols,
                 void (*body)(void *ctx, size_t row, size_t col, int member), void *ctx) {
    assert(cols == 0 || rows <= SIZE_MAX / cols);
    Job2d job = {.cols = cols, .body = body, .ctx = ctx};
    pool_for_1d(pool, rows * cols, run_2d, &job);
}
