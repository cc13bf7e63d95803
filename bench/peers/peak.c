// What this machine's cores can do at most: multiply-adds from registers in the arithmetic of each
// precision, and reads of memory that no cache holds. For bench.py, which relates gpux to it.
//
// The fastest instructions that the CPU has are used: for bf16 AMX, AVX512-BF16, or f32's; for int8
// AMX, VNNI, or f32's. Each figure is the best of several short stretches of all threads together.
// build: cc -O2 -pthread peak.c -o peak
// usage: peak THREADS; prints JSON: {"fp32": GFLOP/s, "bf16": …, "int8": …, "read": GB/s}
#include <cpuid.h>
#include <immintrin.h>
#include <pthread.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

enum {
    THREADS_MAX = 256,
    STRETCHES = 10,
    STRETCH_NS = 50000000,
    READ_BYTES = 256 << 20,
    ARCH_REQ_XCOMP_PERM = 0x1023,
    XFEATURE_XTILEDATA = 18,
    AMX_BITS = 1 << 22 | 1 << 24 | 1 << 25, // of CPUID 7.0 EDX: AMX-BF16, AMX-TILE, AMX-INT8
};

// Does a fixed amount of work and returns it: operations, or bytes of `block`.
typedef double Work(const char *block);

#define AVX512 __attribute__((target("avx512f,avx512bw,avx512vnni,avx512bf16")))
#define AMX __attribute__((target("amx-tile,amx-int8,amx-bf16,avx512f")))

// Twelve chains hide the latency of a multiply-add; the barrier keeps them in registers.
#define CHAINS(type, zero, step)                                                                   \
    type a0 = zero, a1 = zero, a2 = zero, a3 = zero, a4 = zero, a5 = zero, a6 = zero, a7 = zero,   \
         a8 = zero, a9 = zero, a10 = zero, a11 = zero;                                             \
    for (int i = 0; i < ROUNDS; i++) {                                                             \
        step(a0);                                                                                  \
        step(a1);                                                                                  \
        step(a2);                                                                                  \
        step(a3);                                                                                  \
        step(a4);                                                                                  \
        step(a5);                                                                                  \
        step(a6);                                                                                  \
        step(a7);                                                                                  \
        step(a8);                                                                                  \
        step(a9);                                                                                  \
        step(a10);                                                                                 \
        step(a11);                                                                                 \
        __asm__ volatile(""                                                                        \
                         : "+v"(a0), "+v"(a1), "+v"(a2), "+v"(a3), "+v"(a4), "+v"(a5), "+v"(a6),   \
                           "+v"(a7), "+v"(a8), "+v"(a9), "+v"(a10), "+v"(a11));                    \
    }

enum { ROUNDS = 20000, N_CHAINS = 12 };

__attribute__((target("avx2,fma"))) static double fp32_avx2(const char *block) {
    (void)block;
    const __m256 x = _mm256_set1_ps(0.999f), y = _mm256_set1_ps(1e-6f);
#define STEP(a) a = _mm256_fmadd_ps(a, x, y)
    CHAINS(__m256, _mm256_setzero_ps(), STEP)
#undef STEP
    return (double)ROUNDS * N_CHAINS * 16;
}

AVX512 static double fp32_avx512(const char *block) {
    (void)block;
    const __m512 x = _mm512_set1_ps(0.999f), y = _mm512_set1_ps(1e-6f);
#define STEP(a) a = _mm512_fmadd_ps(a, x, y)
    CHAINS(__m512, _mm512_setzero_ps(), STEP)
#undef STEP
    return (double)ROUNDS * N_CHAINS * 32;
}

AVX512 static double bf16_avx512(const char *block) {
    (void)block;
    const __m512bh x = (__m512bh)_mm512_set1_epi32(0x3c003c00), y = x;
#define STEP(a) a = _mm512_dpbf16_ps(a, x, y)
    CHAINS(__m512, _mm512_setzero_ps(), STEP)
#undef STEP
    return (double)ROUNDS * N_CHAINS * 64;
}

AVX512 static double int8_avx512(const char *block) {
    (void)block;
    const __m512i x = _mm512_set1_epi8(3), y = _mm512_set1_epi8(1);
#define STEP(a) a = _mm512_dpbusd_epi32(a, x, y)
    CHAINS(__m512i, _mm512_setzero_si512(), STEP)
#undef STEP
    return (double)ROUNDS * N_CHAINS * 128;
}

typedef struct TileConfig {
    uint8_t palette, start_row, reserved[14];
    uint16_t row_bytes[16];
    uint8_t rows[16];
} TileConfig;

// Four accumulators (tiles 0 to 3), two tiles of each factor: the shape of a real product.
#define TILES(product)                                                                             \
    static const TileConfig config = {.palette = 1,                                                \
                                      .row_bytes = {64, 64, 64, 64, 64, 64, 64, 64},               \
                                      .rows = {16, 16, 16, 16, 16, 16, 16, 16}};                   \
    (void)block;                                                                                   \
    _tile_loadconfig(&config);                                                                     \
    for (int i = 0; i < ROUNDS / 4; i++) {                                                         \
        product(0, 4, 6);                                                                          \
        product(1, 4, 7);                                                                          \
        product(2, 5, 6);                                                                          \
        product(3, 5, 7);                                                                          \
    }                                                                                              \
    _tile_release();

AMX static double bf16_amx(const char *block) {
    TILES(_tile_dpbf16ps)
    return (double)ROUNDS * 16 * 16 * 32 * 2;
}

AMX static double int8_amx(const char *block) {
    TILES(_tile_dpbusd)
    return (double)ROUNDS * 16 * 16 * 64 * 2;
}

__attribute__((target("avx2"))) static double read_memory(const char *block) {
    __m256i sum[4] = {0};
    for (size_t i = 0; i < READ_BYTES; i += sizeof sum)
        for (size_t j = 0; j < 4; j++)
            sum[j] = _mm256_xor_si256(sum[j], ((const __m256i *)(block + i))[j]);
    __asm__ volatile("" ::"x"(sum[0]), "x"(sum[1]), "x"(sum[2]), "x"(sum[3]));
    return READ_BYTES;
}

static int has_amx(void) {
    unsigned a, b, c, d;
    if (!__get_cpuid_count(7, 0, &a, &b, &c, &d) || (d & AMX_BITS) != AMX_BITS)
        return 0;
    return syscall(SYS_arch_prctl, ARCH_REQ_XCOMP_PERM, XFEATURE_XTILEDATA) == 0;
}

static double now(void) {
    struct timespec time;
    clock_gettime(CLOCK_MONOTONIC, &time);
    return (double)time.tv_sec * 1e9 + (double)time.tv_nsec;
}

typedef struct Member {
    pthread_t thread;
    Work *work;
    char *block;
    double rate; // work per ns, the best stretch
} Member;

static void *measure(void *argument) {
    Member *member = argument;
    for (int i = 0; i < STRETCHES; i++) {
        const double start = now();
        double done = 0, end = start;
        for (; end - start < STRETCH_NS; end = now())
            done += member->work(member->block);
        if (done / (end - start) > member->rate)
            member->rate = done / (end - start);
    }
    return NULL;
}

// 10^9 per second, all threads together.
static double rate_of(Work *work, Member *members, int threads) {
    double sum = 0;
    for (int i = 0; i < threads; i++) {
        members[i].work = work;
        members[i].rate = 0;
        pthread_create(&members[i].thread, NULL, measure, &members[i]);
    }
    for (int i = 0; i < threads; i++) {
        pthread_join(members[i].thread, NULL);
        sum += members[i].rate;
    }
    return sum;
}

int main(int argc, char **argv) {
    static Member members[THREADS_MAX];
    const int threads = argc > 1 ? atoi(argv[1]) : 1;
    if (threads < 1 || threads > THREADS_MAX)
        return 2;
    for (int i = 0; i < threads; i++) {
        members[i].block = aligned_alloc(4096, READ_BYTES);
        if (!members[i].block)
            return 1;
        memset(members[i].block, 1, READ_BYTES);
    }
    const int amx = has_amx();
    Work *const fp32 = __builtin_cpu_supports("avx512f") ? fp32_avx512 : fp32_avx2;
    Work *const bf16 = amx ? bf16_amx : __builtin_cpu_supports("avx512bf16") ? bf16_avx512 : fp32;
    Work *const int8 = amx ? int8_amx : __builtin_cpu_supports("avx512vnni") ? int8_avx512 : fp32;
    printf("{\"fp32\": %.1f, \"bf16\": %.1f, \"int8\": %.1f, \"read\": %.1f}\n",
           rate_of(fp32, members, threads), rate_of(bf16, members, threads),
           rate_of(int8, members, threads), rate_of(read_memory, members, threads));
}
