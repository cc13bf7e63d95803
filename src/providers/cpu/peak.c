// This machine's ceilings with the team that runs the model: multiply-adds from registers and reads
// of memory that no cache of a core holds.
#include "base/clock.h"
#include "providers/cpu/cpu.h"

enum { PEAK_MS = 30, ROUNDS = 100000, READ_BYTES = 64 << 20, NS_PER_MS = 1000000 };

typedef struct Measure {
    const PeakKernels *kernels;
    const uint8_t *block;       // READ_BYTES per member
    atomic_uint_least64_t work; // operations or bytes of all members
    atomic_uint_least64_t sink;
} Measure;

static void multiply_add(void *ctx, size_t part, int member) {
    Measure *measure = ctx;
    uint64_t start = clock_now_ns(), operations = 0;
    float result = 0.0f;
    (void)part;
    (void)member;
    while (clock_now_ns() - start < PEAK_MS * (uint64_t)NS_PER_MS)
        operations += measure->kernels->multiply_add(ROUNDS, &result);
    atomic_fetch_add(&measure->work, operations);
    atomic_fetch_add(&measure->sink, result > 0.0f);
}

static void read_memory(void *ctx, size_t part, int member) {
    Measure *measure = ctx;
    uint64_t start = clock_now_ns(), bytes = 0;
    float result = 0.0f;
    (void)member;
    while (clock_now_ns() - start < PEAK_MS * (uint64_t)NS_PER_MS) {
        measure->kernels->read(READ_BYTES, measure->block + part * READ_BYTES, &result);
        bytes += READ_BYTES;
    }
    atomic_fetch_add(&measure->work, bytes);
    atomic_fetch_add(&measure->sink, result > 0.0f);
}

// Work per nanosecond is work in units of 10^9 per second.
static double rate(Measure *measure, ThreadPool *pool, void (*body)(void *, size_t, int)) {
    atomic_store(&measure->work, 0);
    uint64_t start = clock_now_ns();
    pool_for_1d(pool, (size_t)pool_threads(pool), body, measure);
    return (double)atomic_load(&measure->work) / (double)(clock_now_ns() - start);
}

void cpu_peak(PeakFigures *out, const Compiled *compiled, ThreadPool *pool) {
    size_t bytes = (size_t)pool_threads(pool) * READ_BYTES;
    uint8_t *block = mem_alloc_aligned(bytes, 64);
    Measure measure = {.kernels = &compiled->kernels.peak, .block = block};
    *out = (PeakFigures){.gflops = rate(&measure, pool, multiply_add)};
    if (!block)
        return;
    memset(block, 0, bytes);
    out->gb_per_s = rate(&measure, pool, read_memory);
    mem_free_aligned(block);
}
