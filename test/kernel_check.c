// Compares every kernel that this CPU can run with plain C over random sizes, tails and strides,
// and with --bench measures them against the machine's own peak. One program for both, so that what
// is timed is what was checked.
//
// Inputs end at a page that may not be touched: a kernel that reads past its operands dies here.
// usage: kernel_check [--bench [--isa LEVEL]] [--seed N]
#include "base/clock.h"
#include "base/cpu.h"
#include "kernels/kernels.h"

#include <float.h>
#include <math.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "test/attention_check.h"
#include "test/kernel_bench.h"
#include "test/kernel_check.h"

// --- GEMM: equal bits on every instruction set, for every cut ---

typedef struct GemmCase {
    size_t m, n, k, lda, ldc;
    GemmSource source;
    const float *a, *bias, *residual;
    bool is_in_place; // residual is C itself
    Activation activation;
} GemmCase;

static void gemm_expected(const Check *check, const GemmCase *test, float *c) {
    for (size_t r = 0; r < test->m; r++)
        for (size_t j = 0; j < test->n; j++) {
            float sum = 0;
            for (size_t i = 0; i < test->k; i++) {
                const size_t at = j * test->source.stride_n + i * test->source.stride_k;
                const float w =
                    value_of((const char *)test->source.data + at * type_size(test->source.type),
                             test->source.type);
                sum = fmaf(test->a[r * test->lda + i], w, sum);
            }
            if (test->bias)
                sum += test->bias[j];
            check->ref->norm.activate(1, &sum, test->activation);
            if (test->residual)
                sum += test->residual[r * test->ldc + j];
            c[r * test->ldc + j] = sum;
        }
}

static void gemm_run(const GemmKernel *kernel, const GemmCase *test, const void *packed, float *c,
                     int threads) {
    const GemmCall call = {
        .kernel = kernel,
        .m = test->m,
        .n = test->n,
        .k = test->k,
        .a = test->a,
        .lda = test->lda,
        .packed = packed,
        .c = c,
        .ldc = test->ldc,
        .epilogue = {.bias = test->bias,
                     .residual = test->is_in_place ? c : test->residual,
                     .ld_residual = test->ldc,
                     .activation = test->activation},
    };
    const size_t tiles = gemm_tile_count(&call, threads);
    for (size_t t = 0; t < tiles; t++)
        gemm_run_tile(&call, tiles - 1 - t, tiles, threads);
}

static bool check_gemm_case(Check *check, GemmCase *test) {
    const GemmKernel *kernel = &check->table->gemm_f32;
    const bool is_transposed = next_random(check) % 2;
    const size_t pad = next_random(check) % 3;
    test->source.type = (KernelType)(next_random(check) % 3);
    test->source.stride_n = is_transposed ? 1 + (next_random(check) % 8 == 0) : test->k + pad;
    test->source.stride_k = is_transposed ? test->n * test->source.stride_n + pad : 1;
    const size_t elements =
        (test->n - 1) * test->source.stride_n + (test->k - 1) * test->source.stride_k + 1;
    Guarded weights = guarded_typed(check, elements, test->source.type);
    Guarded a = guarded_random(check, (test->m - 1) * test->lda + test->k);
    Guarded bias = guarded_random(check, test->n);
    Guarded residual = guarded_random(check, (test->m - 1) * test->ldc + test->n);
    const size_t c_bytes = ((test->m - 1) * test->ldc + test->n) * sizeof(float);
    Guarded expected = guarded_new(c_bytes);
    Guarded got = guarded_new(c_bytes);
    void *packed = new_aligned(gemm_packed_bytes(kernel, test->n, test->k));
    test->source.data = weights.data;
    test->a = a.data;
    test->bias = next_random(check) % 4 ? bias.data : NULL;
    test->residual = next_random(check) % 2 ? residual.data : NULL;
    test->is_in_place = test->residual && next_random(check) % 2;
    memcpy(expected.data, residual.data, c_bytes);
    memcpy(got.data, residual.data, c_bytes);
    gemm_expected(check, test, expected.data);
    const size_t panels = gemm_panel_count(kernel, test->n);
    for (size_t p = panels; p-- > 0;)
        gemm_pack(kernel, packed, test->n, test->k, &test->source, p, 1);
    gemm_run(kernel, test, packed, got.data, (int)random_size(check, 1, 5));
    const bool is_equal = memcmp(expected.data, got.data, c_bytes) == 0;
    if (!is_equal)
        printf("  %s m %zu n %zu k %zu activation %d type %d: bits differ\n", kernel->name, test->m,
               test->n, test->k, (int)test->activation, (int)test->source.type);
    free(packed);
    guarded_free(&weights);
    guarded_free(&a);
    guarded_free(&bias);
    guarded_free(&residual);
    guarded_free(&expected);
    guarded_free(&got);
    return is_equal;
}

static bool check_gemm(Check *check) {
    for (int i = 0; i < 120; i++) {
        GemmCase test = {.m = random_extent(check, 300),
                         .n = random_extent(check, 150),
                         .k = random_extent(check, 1300),
                         .activation = (Activation)(next_random(check) % 7)};
        if (i < 30) // every row count of every register tile
            test.m = (size_t)i + 1;
        test.lda = test.k + next_random(check) % 20;
        test.ldc = test.n + next_random(check) % 20;
        if (!check_gemm_case(check, &test))
            return false;
    }
    return true;
}

// --- Activations: accurate, and equal bits on every instruction set ---

static double exact_activation(Activation activation, double x) {
    switch (activation) {
    case ACTIVATION_NONE:
        return x;
    case ACTIVATION_RELU:
        return x > 0 ? x : 0;
    case ACTIVATION_GELU:
        return 0.5 * x * erfc(-x * M_SQRT1_2);
    case ACTIVATION_GELU_TANH:
        return 0.5 * x * (1 + tanh(sqrt(2 / M_PI) * (x + 0.044715 * x * x * x)));
    case ACTIVATION_TANH:
        return tanh(x);
    case ACTIVATION_SILU:
        return x / (1 + exp(-x));
    case ACTIVATION_SIGMOID:
        return 1 / (1 + exp(-x));
    }
    return NAN;
}

// 2e-7 absolute, or 3e-7 of the result: polynomials were fitted to 2e-8 .. 1e-7, the rest is
// rounding.
static bool check_activation(Check *check, Activation activation) {
    enum { COUNT = 30011 };
    Guarded block = guarded_new(COUNT * sizeof(float));
    float *x = new_aligned(COUNT * sizeof(float));
    float *y = block.data;
    float *z = new_aligned(COUNT * sizeof(float));
    static const float special[] = {0.0f,  -0.0f,  1e-40f,  -1e-40f, 1e30f, -1e30f,
                                    88.8f, -88.8f, 200.0f,  -200.0f, 0.6f,  -0.6f,
                                    9.0f,  -9.0f,  FLT_MIN, -FLT_MIN};
    for (size_t i = 0; i < COUNT; i++)
        x[i] = random_float(check) * (i % 3 == 0 ? 100.0f : i % 3 == 1 ? 6.0f : 1.0f);
    memcpy(x, special, sizeof special);
    memcpy(y, x, COUNT * sizeof(float));
    memcpy(z, x, COUNT * sizeof(float));
    check->table->norm.activate(COUNT, y, activation);
    check->ref->norm.activate(COUNT, z, activation);
    bool is_good = memcmp(y, z, COUNT * sizeof(float)) == 0;
    if (!is_good)
        printf("  activation %d: bits differ from plain C\n", (int)activation);
    for (size_t i = 0; i < COUNT && is_good; i++) {
        const double exact = exact_activation(activation, (double)x[i]);
        const double error = fabs((double)y[i] - exact);
        is_good = error <= 2e-7 || error <= 3e-7 * fabs(exact);
        if (!is_good)
            printf("  activation %d of %.9g: %.9g, exact %.9g\n", (int)activation, (double)x[i],
                   (double)y[i], exact);
    }
    // A value's result must not depend on its place or on how many there are.
    for (size_t i = 0; i < 200 && is_good; i++) {
        float one = x[i];
        check->table->norm.activate(1, &one, activation);
        is_good = memcmp(&one, &y[i], sizeof one) == 0;
        if (!is_good)
            printf("  activation %d of %.9g depends on its place\n", (int)activation, (double)x[i]);
    }
    guarded_free(&block);
    free(x);
    free(z);
    return is_good;
}

static bool check_activations(Check *check) {
    for (int activation = ACTIVATION_NONE; activation <= ACTIVATION_SIGMOID; activation++)
        if (!check_activation(check, (Activation)activation))
            return false;
    return true;
}

static bool check_attention(Check *check) {
    return check_attention_kernel(check, &check->table->attention_f32);
}

// --- Norm ---

static bool is_near(double got, double exact, double tolerance) {
    return fabs(got - exact) <= tolerance * (1 + fabs(exact));
}

static bool check_layer_norm(Check *check, size_t rows, size_t dim) {
    const size_t ld = dim + next_random(check) % 9;
    Guarded x = guarded_random(check, (rows - 1) * ld + dim);
    Guarded y = guarded_random(check, (rows - 1) * ld + dim);
    Guarded scale = guarded_random(check, dim);
    Guarded shift = guarded_random(check, dim);
    float *in = x.data, *out = y.data;
    const float *weight = scale.data, *offset = shift.data;
    const float epsilon = 1e-5f;
    const float padding = ld > dim && rows > 1 ? out[dim] : 0;
    check->table->norm.layer_norm(rows, dim, in, ld, weight, offset, epsilon, out, ld);
    bool is_good = !(ld > dim && rows > 1) || out[dim] == padding;
    for (size_t r = 0; r < rows; r++) {
        double mean = 0, variance = 0;
        for (size_t i = 0; i < dim; i++)
            mean += (double)in[r * ld + i] / (double)dim;
        for (size_t i = 0; i < dim; i++)
            variance += pow((double)in[r * ld + i] - mean, 2) / (double)dim;
        for (size_t i = 0; i < dim; i++) {
            const double z = ((double)in[r * ld + i] - mean) / sqrt(variance + (double)epsilon);
            is_good = is_good && is_near((double)out[r * ld + i],
                                         z * (double)weight[i] + (double)offset[i], 2e-5);
        }
    }
    check->table->norm.layer_norm(rows, dim, in, ld, weight, offset, epsilon, in, ld); // in place
    for (size_t r = 0; r < rows; r++)
        is_good = is_good && memcmp(in + r * ld, out + r * ld, dim * sizeof(float)) == 0;
    guarded_free(&x);
    guarded_free(&y);
    guarded_free(&scale);
    guarded_free(&shift);
    return is_good;
}

static bool check_softmax(Check *check, size_t n) {
    Guarded block = guarded_random(check, n);
    float *x = block.data;
    double *exact = malloc(n * sizeof *exact);
    double total = 0, highest = -INFINITY;
    for (size_t i = 0; i < n; i++) {
        x[i] *= 20.0f;
        highest = fmax(highest, (double)x[i]);
    }
    for (size_t i = 0; i < n; i++)
        total += exact[i] = exp((double)x[i] - highest);
    check->table->norm.softmax(n, x);
    bool is_good = true;
    // Differences of values up to 20 are rounded at 2e-6, and the sum of n terms at 2^-24 each.
    const double tolerance = 4e-6 + (double)n * 0x1p-24;
    for (size_t i = 0; i < n; i++)
        is_good = is_good &&
                  fabs((double)x[i] - exact[i] / total) <= tolerance * exact[i] / total + 1e-12;
    free(exact);
    guarded_free(&block);
    return is_good;
}

static bool check_norm(Check *check) {
    for (int i = 0; i < 60; i++) {
        const size_t dim = i < 40 ? (size_t)i + 2 : random_size(check, 2, 1100);
        if (!check_layer_norm(check, random_size(check, 1, 5), dim)) {
            printf("  layer_norm of %zu\n", dim);
            return false;
        }
        if (!check_softmax(check, dim)) {
            printf("  softmax of %zu\n", dim);
            return false;
        }
    }
    return true;
}

// --- Move: exact, except sums of squares ---

static bool check_embed_sum(Check *check, size_t dim) {
    enum { ROWS = 7, TOKENS = 5, TABLES = 3 };
    const size_t ld = dim + next_random(check) % 5;
    Guarded data[TABLES];
    EmbeddingTable tables[TABLES];
    int32_t ids[TABLES][TOKENS];
    for (size_t i = 0; i < TABLES; i++) {
        const KernelType type = (KernelType)(next_random(check) % 3);
        data[i] = guarded_typed(check, ROWS * dim, type);
        for (size_t t = 0; t < TOKENS; t++)
            ids[i][t] = (int32_t)random_size(check, 0, ROWS - 1);
        tables[i] = (EmbeddingTable){data[i].data, type, ROWS, ids[i]};
    }
    Guarded out = guarded_new(((TOKENS - 1) * ld + dim) * sizeof(float));
    const float *got = out.data;
    const size_t count = random_size(check, 1, TABLES);
    check->table->move.embed_sum(TOKENS, dim, tables, count, out.data, ld);
    bool is_good = true;
    for (size_t t = 0; t < TOKENS; t++)
        for (size_t i = 0; i < dim; i++) {
            float sum = 0;
            for (size_t j = 0; j < count; j++) {
                const size_t at = (size_t)ids[j][t] * dim + i;
                const float x = value_of(
                    (const char *)tables[j].data + at * type_size(tables[j].type), tables[j].type);
                sum = j ? sum + x : x;
            }
            is_good = is_good && got[t * ld + i] == sum;
        }
    for (size_t i = 0; i < TABLES; i++)
        guarded_free(&data[i]);
    guarded_free(&out);
    return is_good;
}

// Every 16-bit pattern, at an odd address.
static bool check_conversion(Check *check, KernelType type) {
    enum { COUNT = 65536 };
    Guarded source = guarded_new(COUNT * 2 + 1);
    char *src = source.data;
    float *got = malloc(COUNT * sizeof *got), *expected = malloc(COUNT * sizeof *expected);
    for (uint32_t i = 0; i < COUNT; i++)
        memcpy(src + 2 * i, &(uint16_t){(uint16_t)i}, 2);
    check->table->move.to_f32(COUNT, src, type, got);
    check->ref->move.to_f32(COUNT, src, type, expected);
    bool is_good = memcmp(got, expected, COUNT * sizeof *got) == 0;
    for (uint32_t i = 0; i < COUNT; i++)
        if (type == KERNEL_BF16 || (i >> 10 & 31) != 31)
            is_good = is_good && (got[i] == value_of(src + 2 * i, type) || got[i] != got[i]);
    free(got);
    free(expected);
    guarded_free(&source);
    return is_good;
}

static bool check_rows(Check *check, size_t rows, size_t dim) {
    const size_t ld = dim + next_random(check) % 5;
    const size_t floats = (rows - 1) * ld + dim;
    Guarded a = guarded_random(check, floats), b = guarded_random(check, floats);
    Guarded sum = guarded_new(floats * sizeof(float)), mean = guarded_new(dim * sizeof(float));
    const float *x = a.data, *y = b.data, *added = sum.data;
    float *average = mean.data;
    check->table->move.add(rows, dim, x, ld, y, ld, sum.data, ld);
    check->table->move.mean_rows(rows, dim, x, ld, average);
    bool is_good = true;
    double squares = 0;
    for (size_t i = 0; i < dim; i++) {
        float total = 0;
        for (size_t r = 0; r < rows; r++) {
            total += x[r * ld + i];
            is_good = is_good && added[r * ld + i] == x[r * ld + i] + y[r * ld + i];
        }
        is_good = is_good && average[i] == total / (float)rows;
        squares += (double)average[i] * (double)average[i];
    }
    float *normal = b.data;
    memcpy(normal + floats - dim, average, dim * sizeof(float));
    normal += floats - dim;
    check->table->move.l2_normalize(dim, normal, 1e-12f);
    for (size_t i = 0; i < dim; i++)
        is_good = is_good && is_near((double)normal[i], (double)average[i] / sqrt(squares), 1e-6);
    guarded_free(&a);
    guarded_free(&b);
    guarded_free(&sum);
    guarded_free(&mean);
    return is_good;
}

static bool check_move(Check *check) {
    if (!check_conversion(check, KERNEL_F16) || !check_conversion(check, KERNEL_BF16)) {
        printf("  conversion to f32\n");
        return false;
    }
    for (int i = 0; i < 60; i++) {
        const size_t dim = i < 40 ? (size_t)i + 1 : random_size(check, 1, 900);
        if (!check_embed_sum(check, dim) || !check_rows(check, random_size(check, 1, 9), dim)) {
            printf("  dim %zu\n", dim);
            return false;
        }
    }
    return true;
}

// --- The families, on every level that the CPU has ---

typedef struct Family {
    const char *name;
    bool (*check)(Check *check);
} Family;

static const Family families[] = {
    {"gemm f32", check_gemm},
    {"activations", check_activations},
    {"attention f32", check_attention},
    {"norm", check_norm},
    {"move", check_move},
};

static const char *const levels[] = {"ref", "avx2", "avx512", "native"};

int main(int argc, char **argv) {
    bool is_bench = false;
    uint64_t seed = 1;
    const char *only = NULL; // bench this level
    for (int i = 1; i < argc; i++) {
        if (strcmp(argv[i], "--bench") == 0)
            is_bench = true;
        else if (strcmp(argv[i], "--isa") == 0 && i + 1 < argc)
            only = argv[++i];
        else if (strcmp(argv[i], "--seed") == 0 && i + 1 < argc)
            seed = strtoull(argv[++i], NULL, 10);
    }
    int passed = 0, failed = 0;
    KernelTable ref;
    kernels_select(&ref, 0);
    const char *last = "";
    for (size_t l = 0; l < sizeof levels / sizeof levels[0]; l++) {
        CpuInfo cpu;
        cpu_detect(&cpu);
        if (cpu_limit(&cpu, levels[l]) != 0)
            continue;
        KernelTable table;
        kernels_select(&table, cpu.flags);
        if (strcmp(table.isa, last) == 0)
            continue;
        last = table.isa;
        for (size_t f = 0; f < sizeof families / sizeof families[0]; f++) {
            Check check = {.table = &table, .ref = &ref, .random = seed * 0x9E3779B97F4A7C15ull};
            const bool is_good = families[f].check(&check);
            printf("%-8s %-16s %s\n", table.isa, families[f].name, is_good ? "ok" : "FAIL");
            fflush(stdout);
            is_good ? passed++ : failed++;
        }
        if (is_bench && (!only || strcmp(only, table.isa) == 0))
            for (int threads = 1; threads <= 2 && threads <= cpu.threads; threads++)
                kernel_bench(&table, threads == 1 ? 1 : cpu.threads);
    }
    printf("%d passed, %d failed\n", passed, failed);
    return failed != 0;
}
