// A team of threads that belongs to one Runner. NULL pool means: run serially.
//
// The calling thread is member 0 of the team. Between runs the workers spin for a short while, then
// sleep on a futex: an idle pool uses no CPU. One pool_run at a time, from one thread at a time.
#ifndef GPUX_BASE_THREAD_POOL_H
#define GPUX_BASE_THREAD_POOL_H

#include "base/status.h"

#include <stddef.h>

typedef struct ThreadPool ThreadPool;

// Starts threads - 1 workers, each with 256 KB of stack and all signals blocked. threads is 1 to
// 1024; for 1 *out is NULL, the serial pool, and that is success.
Status pool_new(ThreadPool **out, int threads, Error *error);
void pool_free(ThreadPool *pool); // NULL is allowed
int pool_threads(const ThreadPool *pool);

// Runs body(ctx, member, members) once on every member of the team and returns when all have
// returned. Equals: for (m = 0; m < members; m++) body(ctx, m, members);   with barriers allowed in
// between.
void pool_run(ThreadPool *pool, void (*body)(void *ctx, int member, int members), void *ctx);

// Inside body: waits until every member of the team arrived. All members must call it equally
// often. Orders memory: writes before it are visible to every member after it.
void pool_barrier(ThreadPool *pool, int member);

// Equals: for (i = 0; i < count; i++) body(ctx, i, member);   in any order, on any member.
void pool_for_1d(ThreadPool *pool, size_t count, void (*body)(void *ctx, size_t i, int member),
                 void *ctx);
// Equals: for (i = 0; i < rows; i++) for (j = 0; j < cols; j++) body(ctx, i, j, member);
void pool_for_2d(ThreadPool *pool, size_t rows, size_t cols,
                 void (*body)(void *ctx, size_t row, size_t col, int member), void *ctx);

#endif
