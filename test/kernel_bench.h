// Timing of one kernel table against the peak measured on the spot; the second half of
// kernel_check.
//
// Times are the best of many runs, percentages medians. Weights are taken in turn from a set larger
// than L2, as the layers of a model are.
#ifndef GPUX_TEST_KERNEL_BENCH_H
#define GPUX_TEST_KERNEL_BENCH_H

#include "base/clock.h"
#include "base/memory.h"
#include "base/thread_pool.h"
#include "kernels/kernels.h"

#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

typedef struct Bench {
    const KernelTable *table;
    ThreadPool *pool;
    int threads;
    double peak, bandwidth; // of all threads together, operations and bytes per ns
    // The work of one run.
    void (*work)(struct Bench *bench, size_t tile, void *scratch);
    size_t tiles;
    atomic_size_t next;
    GemmCall gemm;
    AttentionCall attention;
    const GemmSource *source;
    float *buffer;
    size_t bytes, stride, copies; // weights in turn
    const char *weights;
    atomic_size_t ops;
} Bench;

static void attention_work(Bench *bench, size_t tile, void *scratch) {
    attention_run_tile(&bench->attention, tile, bench->threads, scratch);
}

static void bench_member(void *ctx, size_t part, int member) {
    Bench *bench = ctx;
    (void)part;
    (void)member;
    void *scratch = NULL;
    if (bench->work == attention_work)
        scratch = mem_alloc_aligned(attention_scratch_bytes(&bench->attention), 64);
    for (size_t t; (t = atomic_fetch_add(&bench->next, 1)) < bench->tiles;)
        bench->work(bench, t, scratch);
    mem_free_aligned(scratch);
}

// Nanoseconds.
static double bench_once(Bench *bench) {
    atomic_store(&bench->next, 0);
    const uint64_t start = clock_now_ns();
    pool_for_1d(bench->pool, (size_t)bench->threads, bench_member, bench);
    return (double)(clock_now_ns() - start);
}

static void peak_work(Bench *bench, size_t tile, void *scratch) {
    (void)scratch;
    (void)tile;
    float result;
    atomic_store(&bench->ops, bench->table->peak.multiply_add(8000, &result));
}

// Operations per ns at this moment: the clock changes with the load, so every figure is compared
// with a peak measured next to it.
static double peak_now(Bench *bench) {
    void (*const work)(Bench *, size_t, void *) = bench->work;
    const size_t tiles = bench->tiles;
    bench->work = peak_work;
    bench->tiles = (size_t)bench->threads;
    const double ns = bench_once(bench);
    bench->work = work;
    bench->tiles = tiles;
    return (double)atomic_load(&bench->ops) * bench->threads / ns;
}

static int compare_doubles(const void *a, const void *b) {
    const double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

enum { MOST_RUNS = 401 };

typedef struct Figures {
    double best_ns, percent; // the median of the ratios to the peak
} Figures;

// Runs until `budget` ns are spent; before(bench, i) sets up run i.
static Figures bench_many(Bench *bench, double ops, double budget,
                          void (*before)(Bench *bench, size_t i)) {
    static double ratios[MOST_RUNS];
    Figures out = {.best_ns = 1e30};
    size_t runs = 0;
    for (double spent = 0; runs < MOST_RUNS && (spent < budget || runs < 7); runs++) {
        if (before)
            before(bench, runs);
        const double before_run = peak_now(bench);
        const double ns = bench_once(bench);
        const double after_run = peak_now(bench);
        const double peak = before_run > after_run ? before_run : after_run;
        ratios[runs] = ops / ns / peak;
        spent += ns;
        out.best_ns = ns < out.best_ns ? ns : out.best_ns;
    }
    qsort(ratios, runs, sizeof ratios[0], compare_doubles);
    out.percent = ratios[runs / 2] * 100;
    return out;
}

static void read_work(Bench *bench, size_t tile, void *scratch) {
    (void)scratch;
    float result;
    const size_t part = bench->bytes / bench->tiles / 1024 * 1024;
    bench->table->peak.read(part, (const char *)bench->buffer + tile * part, &result);
}

static void gemm_work(Bench *bench, size_t tile, void *scratch) {
    (void)scratch;
    gemm_run_tile(&bench->gemm, tile, bench->tiles, bench->threads);
}

static void pack_work(Bench *bench, size_t tile, void *scratch) {
    (void)scratch;
    gemm_pack(bench->gemm.kernel, bench->buffer, bench->gemm.n, bench->gemm.k, bench->source, tile,
              1);
}

static void bench_peak(Bench *bench) {
    for (int i = 0; i < 50; i++) {
        const double peak = peak_now(bench);
        bench->peak = peak > bench->peak ? peak : bench->peak;
    }
    bench->bytes = (size_t)256 << 20;
    bench->buffer = mem_alloc_aligned(bench->bytes, 64);
    memset(bench->buffer, 0, bench->bytes);
    bench->work = read_work;
    bench->tiles = 64;
    const Figures read = bench_many(bench, 1, 1, NULL);
    bench->bandwidth = (double)bench->bytes / read.best_ns;
    mem_free_aligned(bench->buffer);
    printf("%s, %d thread%s: peak %.1f GFLOP/s, reads %.1f GB/s\n", bench->table->isa,
           bench->threads, bench->threads > 1 ? "s" : "", bench->peak, bench->bandwidth);
}

static void next_weights(Bench *bench, size_t i) {
    bench->gemm.packed = bench->weights + bench->stride * (i % bench->copies);
}

// `kernel` may be of any precision; `peak` is what percentages refer to.
static void bench_gemm(Bench *bench, const GemmKernel *kernel, size_t m, size_t n, size_t k,
                       Activation activation) {
    const size_t bytes = gemm_packed_bytes(kernel, n, k);
    const size_t copies = ((size_t)160 << 20) / bytes + 1;
    char *weights = mem_alloc_aligned(bytes * copies, 64);
    const size_t row = gemm_row_elements(kernel, k) / kernel->per_word;
    const size_t lda = row % 1024 ? row : row + 16; // words
    float *a = mem_alloc_aligned(m * lda * sizeof(float), 64);
    float *c = mem_alloc_aligned(m * (n + 16) * sizeof(float), 64);
    float *bias = mem_alloc_aligned(n * sizeof(float), 64);
    RowScale *scales = mem_alloc_aligned(m * sizeof *scales, 64);
    for (size_t i = 0; i < bytes * copies / sizeof(float); i++)
        ((float *)(void *)weights)[i] = (float)(i % 17) * 0.01f;
    for (size_t i = 0; i < m * lda; i++)
        a[i] = (float)(i % 13) * 0.01f;
    memset(bias, 0, n * sizeof(float));
    for (size_t i = 0; i < m; i++)
        scales[i] = (RowScale){.scale = 0.01f, .zero = 128};
    bench->gemm = (GemmCall){.kernel = kernel,
                             .m = m,
                             .n = n,
                             .k = k,
                             .a = a,
                             .lda = lda * kernel->per_word,
                             .row_scales = kernel->per_word == 4 ? scales : NULL,
                             .c = c,
                             .ldc = n % 1024 ? n : n + 16,
                             .epilogue = {.bias = bias, .activation = activation}};
    bench->work = gemm_work;
    bench->tiles = gemm_tile_count(&bench->gemm, bench->threads);
    const double ops = 2.0 * (double)m * (double)n * (double)k;
    bench->weights = weights;
    bench->stride = bytes;
    bench->copies = copies;
    const Figures run = bench_many(bench, ops, 2e8, next_weights);
    printf("  %s m %4zu n %4zu k %4zu act %d: %7.3f ms %6.1f GOP/s, median %5.1f %% of f32 peak, "
           "weights %.1f GB/s\n",
           kernel->name, m, n, k, (int)activation, run.best_ns / 1e6, ops / run.best_ns,
           run.percent, (double)bytes / run.best_ns);
    mem_free_aligned(weights);
    mem_free_aligned(a);
    mem_free_aligned(c);
    mem_free_aligned(bias);
    mem_free_aligned(scales);
}

static void bench_pack(Bench *bench, KernelType type) {
    const size_t n = 3072, k = 768, element = type == KERNEL_F32 ? 4 : 2;
    const size_t bytes = n * k * element;
    const size_t copies = ((size_t)160 << 20) / bytes;
    char *source = mem_alloc_aligned(bytes * copies, 64);
    memset(source, 1, bytes * copies);
    bench->gemm = (GemmCall){.kernel = &bench->table->gemm_f32, .n = n, .k = k};
    const size_t packed = gemm_packed_bytes(bench->gemm.kernel, n, k);
    char *all = mem_alloc_aligned(packed * copies, 64);
    memset(all, 1, packed * copies);
    bench->work = pack_work;
    bench->tiles = gemm_panel_count(bench->gemm.kernel, n);
    double best = 1e30;
    for (size_t i = 0; i < copies; i++) {
        const GemmSource from = {source + i * bytes, type, k, 1};
        bench->source = &from;
        bench->buffer = (float *)(void *)(all + i * packed);
        const double ns = bench_once(bench);
        best = ns < best ? ns : best;
    }
    printf("  pack from type %d: %.1f GB/s read, %.1f written\n", (int)type, (double)bytes / best,
           (double)packed / best);
    mem_free_aligned(source);
    mem_free_aligned(all);
}

static void bench_attention(Bench *bench, size_t length, size_t sequences, size_t head_dim) {
    const size_t heads = 12, tokens = length * sequences, ld = 3 * heads * head_dim;
    float *qkv = mem_alloc_aligned(tokens * ld * sizeof(float), 64);
    float *out = mem_alloc_aligned(tokens * heads * head_dim * sizeof(float), 64);
    int32_t *cu_seqlens = mem_alloc((sequences + 1) * sizeof *cu_seqlens);
    for (size_t i = 0; i < tokens * ld; i++)
        qkv[i] = (float)(i % 23) * 0.04f - 0.4f;
    for (size_t s = 0; s <= sequences; s++)
        cu_seqlens[s] = (int32_t)(s * length);
    AttentionItem *items = mem_alloc(attention_split(NULL, cu_seqlens, sequences) * sizeof *items);
    bench->attention = (AttentionCall){.kernel = &bench->table->attention_f32,
                                       .q = qkv,
                                       .k = qkv + heads * head_dim,
                                       .v = qkv + 2 * heads * head_dim,
                                       .ld_q = ld,
                                       .ld_k = ld,
                                       .ld_v = ld,
                                       .out = out,
                                       .ld_out = heads * head_dim,
                                       .cu_seqlens = cu_seqlens,
                                       .items = items,
                                       .item_count = attention_split(items, cu_seqlens, sequences),
                                       .heads = heads,
                                       .kv_heads = heads,
                                       .head_dim = head_dim,
                                       .max_length = length,
                                       .scale = 0.125f};
    bench->attention.even_items =
        attention_even_items(items, bench->attention.item_count, cu_seqlens);
    bench->work = attention_work;
    bench->tiles = attention_tile_count(&bench->attention, bench->threads);
    const double ops = 4.0 * (double)(sequences * heads * head_dim) * (double)(length * length);
    const Figures run = bench_many(bench, ops, 2e8, NULL);
    printf("  attention %zu x %zu tokens, head_dim %zu: %.3f ms %.1f GFLOP/s, median %.1f %% of "
           "peak\n",
           sequences, length, head_dim, run.best_ns / 1e6, ops / run.best_ns, run.percent);
    bench->attention = (AttentionCall){0};
    mem_free_aligned(qkv);
    mem_free_aligned(out);
    mem_free(cu_seqlens);
    mem_free(items);
}

static inline void kernel_bench(const KernelTable *table, int threads) {
    static const size_t shapes[][2] = {{2304, 768}, {768, 768}, {3072, 768}, {768, 3072}};
    static const size_t rows[] = {1, 4, 8, 16, 32, 128, 2048};
    Bench bench = {.table = table, .threads = threads};
    if (pool_new(&bench.pool, threads, NULL) != 0)
        return;
    bench_peak(&bench);
    const bool is_ref = strcmp(table->isa, "ref") == 0;
    const char *only = getenv("BENCH_ROWS");
    for (size_t r = 0; r < sizeof rows / sizeof rows[0]; r++)
        for (size_t s = 0; s < 4; s++)
            if ((!is_ref || rows[r] == 1) && (!only || rows[r] == strtoull(only, NULL, 10)))
                bench_gemm(&bench, &table->gemm_f32, rows[r], shapes[s][0], shapes[s][1],
                           ACTIVATION_NONE);
    if (!only) {
        if (!is_ref)
            bench_gemm(&bench, &table->gemm_f32, 128, 3072, 768, ACTIVATION_GELU);
        bench_pack(&bench, KERNEL_F32);
        bench_pack(&bench, KERNEL_F16);
        bench_pack(&bench, KERNEL_BF16);
        if (!is_ref) {
            bench_attention(&bench, 16, 16, 64);
            bench_attention(&bench, 128, 1, 64);
            bench_attention(&bench, 512, 1, 64);
            bench_attention(&bench, 4096, 1, 64);
            bench_attention(&bench, 128, 1, 33);
        }
    }
    pool_free(bench.pool);
}

#endif
