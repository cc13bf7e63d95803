// One primitive, a run of steps, over a fixed team.
//
// `phase` counts run starts and completed steps, so it names the step to work on. Whoever finishes
// the last tile of a step moves it on. A worker uses the job only while its word `inside` is set,
// and sets that only for the length of one turn: the caller closes the run, then looks whether any
// worker is still inside. Both write first and then read, sequentially consistent, so one of them
// sees the other; a worker that is not running at that moment is simply left out.
// Every wait has one form: spin on a word for a while, then sleep on a futex until it changes, with
// the same rule between the one that sleeps and the one that wakes. No wait yields: in Linux a
// thread that yields gives up a whole time slice, milliseconds each time.
#include "base/thread_pool.h"

#include "base/clock.h"
#include "base/memory.h"

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
    PAUSES_PER_LOOK = 8,
    CACHE_LINE = 64,
};

// A word that some wait for.
typedef struct WaitWord {
    _Alignas(CACHE_LINE) _Atomic uint32_t value;
    atomic_bool has_sleepers; // some may be in the futex
} WaitWord;

typedef struct Worker {
    WaitWord inside; // 1 while it may use the job
    ThreadPool *pool;
    pthread_t thread;
    int member;
} Worker;

struct ThreadPool {
    WaitWord phase;      // grows by 1 with the start of a run and with the end of each step
    atomic_bool is_open; // workers may take turns
    atomic_bool is_stopping;
    // Written between runs only.
    PoolJob job;   // a copy: the caller's shares cache lines with its stack
    uint32_t base; // the phase of step 0
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
    // Once for all who sleep now: they take long to wake, and more steps may end until then.
    if (atomic_load(&word->has_sleepers) && atomic_exchange(&word->has_sleepers, false))
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
    } while (waited < spin_ns);
    for (;;) {
        atomic_store(&word->has_sleepers, true);
        uint32_t value = atomic_load(&word->value);
        if (value != old)
            return value;
        futex_wait(&word->value, old);
    }
}

static bool completes_step(PoolTurn *turn) {
    if (turn->total == 0)
        return atomic_fetch_add_explicit(&turn->step->next, 1, memory_order_relaxed) == 0;
    return turn->taken > 0 &&
           atomic_fetch_add_explicit(&turn->step->done, turn->taken, memory_order_acq_rel) +
                   turn->taken ==
               turn->total;
}

// Works on a step; the member that completes it opens the next.
static void take_turn(ThreadPool *pool, const PoolJob *job, size_t step, int member) {
    PoolTurn turn = {.step = &job->steps[step]};
    job->body(job->ctx, step, member, &turn);
    if (!completes_step(&turn) || !pool)
        return;
    if (step + 1 == job->count)
        atomic_store(&pool->is_open, false);
    atomic_fetch_add(&pool->phase.value, 1);
    wake_sleepers(&pool->phase);
}

static void *worker_main(void *argument) {
    Worker *worker = argument;
    ThreadPool *pool = worker->pool;
    uint32_t seen = 0;
    for (;;) {
        seen = wait_change(&pool->phase, seen, pool->spin_ns);
        if (atomic_load_explicit(&pool->is_stopping, memory_order_relaxed))
            return NULL;
        if (!atomic_load_explicit(&pool->is_open, memory_order_relaxed))
            continue;
        atomic_store(&worker->inside.value, 1);
        if (atomic_load(&pool->is_open)) {
            seen = atomic_load_explicit(&pool->phase.value, memory_order_acquire);
            size_t step = seen - pool->base;
            if (step < pool->job.count)
                take_turn(pool, &pool->job, step, worker->member);
        }
        atomic_store(&worker->inside.value, 0);
        wake_sleepers(&worker->inside);
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
        worker->pool = pool;
        worker->member = i + 1;
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
    pool->workers = mem_alloc_aligned(bytes, CACHE_LINE);
    if (pool->workers)
        memset(pool->workers, 0, bytes);
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
    atomic_store(&pool->is_stopping, true);
    atomic_fetch_add(&pool->phase.value, 1);
    wake_sleepers(&pool->phase);
    for (int i = 0; i < pool->started; i++)
        pthread_join(pool->workers[i].thread, NULL);
    mem_free_aligned(pool->workers);
    mem_free_aligned(pool);
}

int pool_threads(const ThreadPool *pool) {
    return pool ? pool->members : 1;
}

// Member 0's part of a step: until all of its tiles are done. Workers may be some steps further by
// then.
static void finish_step(ThreadPool *pool, const PoolJob *job, size_t step) {
    uint32_t phase = atomic_load_explicit(&pool->phase.value, memory_order_acquire);
    if ((uint32_t)(phase - pool->base) <= step)
        take_turn(pool, job, step, 0);
    phase = atomic_load_explicit(&pool->phase.value, memory_order_acquire);
    while ((uint32_t)(phase - pool->base) <= step)
        phase = wait_change(&pool->phase, phase, pool->spin_ns);
}

// After this no worker is in the body, and none enters it.
static void close_run(ThreadPool *pool) {
    atomic_store(&pool->is_open, false);
    for (int i = 0; i < pool->started; i++) {
        WaitWord *inside = &pool->workers[i].inside;
        if (atomic_load(&inside->value))
            (void)wait_change(inside, 1, pool->spin_ns);
    }
}

static void reset_step(PoolStep *step) {
    atomic_store_explicit(&step->next, 0, memory_order_relaxed);
    atomic_store_explicit(&step->done, 0, memory_order_relaxed);
}

void pool_run(ThreadPool *pool, const PoolJob *job) {
    for (size_t i = 0; i < job->count; i++)
        reset_step(&job->steps[i]);
    if (pool) {
        pool->job = *job;
        pool->base = atomic_load_explicit(&pool->phase.value, memory_order_relaxed) + 1;
        atomic_store(&pool->is_open, true);
        atomic_fetch_add(&pool->phase.value, 1);
        wake_sleepers(&pool->phase);
    }
    for (size_t i = 0; i < job->count; i++) {
        if (pool)
            finish_step(pool, job, i);
        else
            take_turn(NULL, job, i, 0);
        if (job->after && !job->after(job->ctx, i))
            break;
    }
    if (pool)
        close_run(pool);
}

typedef struct Job1d {
    size_t count;
    void (*body)(void *ctx, size_t i, int member);
    void *ctx;
} Job1d;

static void run_1d(void *ctx, size_t step, int member, PoolTurn *turn) {
    (void)step;
    const Job1d *job = ctx;
    size_t i;
    while (pool_take(turn, job->count, &i))
        job->body(job->ctx, i, member);
}

void pool_for_1d(ThreadPool *pool, size_t count, void (*body)(void *ctx, size_t i, int member),
                 void *ctx) {
    if (!pool || count <= 1) {
        for (size_t i = 0; i < count; i++)
            body(ctx, i, 0);
        return;
    }
    Job1d loop = {.count = count, .body = body, .ctx = ctx};
    PoolStep step;
    pool_run(pool, &(PoolJob){.count = 1, .steps = &step, .body = run_1d, .ctx = &loop});
}
