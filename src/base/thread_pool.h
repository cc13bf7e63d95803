// A team of threads that belongs to one Runner. NULL pool means: run serially.
//
// The calling thread is member 0 of the team. Between runs the workers spin for a short while, then
// sleep on a futex: an idle pool uses no CPU. One pool_run at a time, from one thread at a time.
#ifndef GPUX_BASE_THREAD_POOL_H
#define GPUX_BASE_THREAD_POOL_H

#include "base/status.h"

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>

typedef struct ThreadPool ThreadPool;

// Starts threads - 1 workers, each with 256 KB of stack and all signals blocked. threads is 1 to
// 1024; for 1 *out is NULL, the serial pool, and that is success.
Status pool_new(ThreadPool **out, int threads, Error *error);
void pool_free(ThreadPool *pool); // NULL is allowed
int pool_threads(const ThreadPool *pool);

// The tiles of one step. pool_run sets it; no other code touches it.
typedef struct PoolStep {
    atomic_size_t next; // the first tile not handed out
    atomic_size_t done;
} PoolStep;

// One member's work on one step.
typedef struct PoolTurn {
    PoolStep *step;
    size_t next, total, taken;
} PoolTurn;

typedef struct PoolJob {
    size_t count;    // of steps
    PoolStep *steps; // [count]
    // Takes tiles with pool_take until it returns false, always with the same total. May be called
    // for a step that is complete already, and not at all on a member that comes too late.
    void (*body)(void *ctx, size_t step, int member, PoolTurn *turn);
    // On the calling thread after each step; false: the run ends here. NULL: it goes on.
    bool (*after)(void *ctx, size_t step);
    void *ctx;
} PoolJob;

// The next of `total` tiles of this step, or false when all have been taken.
static inline bool pool_take(PoolTurn *turn, size_t total, size_t *tile) {
    turn->total = total;
    if (turn->next >= total) // the last one was ours
        return false;
    *tile = atomic_fetch_add_explicit(&turn->step->next, 1, memory_order_relaxed);
    turn->next = *tile + 1;
    if (*tile >= total)
        return false;
    turn->taken++;
    return true;
}

// Runs the steps in order; each begins when all tiles of the one before it are done, and sees what
// they wrote. Only tiles are waited for: a member that does not get to run holds up nobody unless
// it holds a tile. When `after` ends the run, some tiles of the next step may have run, too.
void pool_run(ThreadPool *pool, const PoolJob *job);

// Equals: for (i = 0; i < count; i++) body(ctx, i, member);   in any order, on any member.
void pool_for_1d(ThreadPool *pool, size_t count, void (*body)(void *ctx, size_t i, int member),
                 void *ctx);

#endif
