// What the kernel checks share: random numbers, and memory that may not be read past its end.
#ifndef GPUX_TEST_KERNEL_CHECK_H
#define GPUX_TEST_KERNEL_CHECK_H

#include "kernels/kernels.h"

#include <math.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

typedef struct Check {
    const KernelTable *table, *ref;
    uint64_t random;
} Check;

// xorshift64*
static uint32_t next_random(Check *check) {
    check->random ^= check->random >> 12;
    check->random ^= check->random << 25;
    check->random ^= check->random >> 27;
    return (uint32_t)((check->random * 0x2545F4914F6CDD1Dull) >> 32);
}

// In [low, high].
static size_t random_size(Check *check, size_t low, size_t high) {
    return low + next_random(check) % (high - low + 1);
}

// In [-1, 1).
static float random_float(Check *check) {
    return (float)(int32_t)next_random(check) * 0x1p-31f;
}

// Small sizes often, large ones sometimes.
static size_t random_extent(Check *check, size_t high) {
    const size_t limit = next_random(check) % 4 ? (high < 40 ? high : 40) : high;
    return random_size(check, 1, limit);
}

// `bytes` that end at a forbidden page.
typedef struct Guarded {
    void *base, *data;
    size_t mapped;
} Guarded;

static Guarded guarded_new(size_t bytes) {
    const size_t page = (size_t)sysconf(_SC_PAGESIZE);
    Guarded out = {.mapped = (bytes + page - 1) / page * page + page};
    out.base = mmap(NULL, out.mapped, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (out.base == MAP_FAILED || mprotect((char *)out.base + out.mapped - page, page, PROT_NONE)) {
        perror("kernel_check: mmap");
        exit(2);
    }
    out.data = (char *)out.base + out.mapped - page - bytes;
    return out;
}

static void guarded_free(Guarded *block) {
    munmap(block->base, block->mapped);
}

static Guarded guarded_random(Check *check, size_t count) {
    Guarded out = guarded_new(count * sizeof(float));
    float *values = out.data;
    for (size_t i = 0; i < count; i++)
        values[i] = random_float(check);
    return out;
}

static void *new_aligned(size_t bytes) {
    void *block = aligned_alloc(64, (bytes + 63) / 64 * 64 + 64);
    if (!block) {
        perror("kernel_check: aligned_alloc");
        exit(2);
    }
    return block;
}

static float value_of(const void *p, KernelType type) {
    if (type == KERNEL_F32) {
        float x;
        memcpy(&x, p, sizeof x);
        return x;
    }
    uint16_t h;
    memcpy(&h, p, sizeof h);
    if (type == KERNEL_BF16) {
        const uint32_t bits = (uint32_t)h << 16;
        float x;
        memcpy(&x, &bits, sizeof x);
        return x;
    }
    const int exponent = h >> 10 & 31;
    const float fraction = (float)(h & 1023);
    const float magnitude =
        exponent ? ldexpf(1024.0f + fraction, exponent - 25) : ldexpf(fraction, -24);
    return h >> 15 ? -magnitude : magnitude;
}

static size_t type_size(KernelType type) {
    return type == KERNEL_F32 ? 4 : 2;
}

// `count` finite values of `type` with magnitude below 2.
static Guarded guarded_typed(Check *check, size_t count, KernelType type) {
    if (type == KERNEL_F32)
        return guarded_random(check, count);
    Guarded out = guarded_new(count * 2);
    uint16_t *values = out.data;
    const uint32_t one = type == KERNEL_F16 ? 0x3C00 : 0x3F80;
    for (size_t i = 0; i < count; i++)
        values[i] =
            (uint16_t)((next_random(check) & 0x8000u) | (next_random(check) % (one + 0x7F)));
    return out;
}

#endif
