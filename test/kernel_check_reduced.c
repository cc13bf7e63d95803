// kernel_check for bytes and bf16: every kernel that this CPU can run, the C model of AMX included.
//
// Byte products must have the same bits everywhere. bf16 products are compared with double
// precision; the AVX kernels with plain C and the AMX kernel with its model bit for bit; and each
// with itself when rows are computed alone. usage: kernel_check_reduced [--bench] [--seed N]
#include "base/cpu.h"
#include "kernels/attention/attention_kernels.h"
#include "kernels/gemm/gemm_kernels.h"
#include "kernels/quantize/quantize_isa.h"
#include "kernels/reduced.h"

#include "test/attention_check.h"
#include "test/kernel_bench.h"
#include "test/kernel_check.h"

typedef struct Candidate {
    const GemmKernel *bytes, *bf16;
    uint32_t flags; // that the CPU needs
} Candidate;

static const Candidate candidates[] = {
    {&gemm_bytes_ref, &gemm_bf16_ref, 0},
    {&gemm_bytes_amx_model, &gemm_bf16_amx_model, 0},
#if defined(__x86_64__)
    {&gemm_bytes_avx2, &gemm_bf16_avx2, CPU_AVX2},
    {&gemm_bytes_avx512, &gemm_bf16_avx512, CPU_AVX512},
    {&gemm_bytes_avx512_vnni, NULL, CPU_AVX512 | CPU_AVX512_VNNI},
    {NULL, &gemm_bf16_avx512_bf16, CPU_AVX512 | CPU_AVX512_BF16},
    {&gemm_bytes_amx_avx512, NULL, CPU_AVX512 | CPU_AMX_INT8},
    {NULL, &gemm_bf16_amx_avx512, CPU_AVX512 | CPU_AMX_BF16},
#elif defined(__aarch64__)
    {&gemm_bytes_neon, &gemm_bf16_neon, CPU_NEON},
    {&gemm_bytes_neon_dotprod, NULL, CPU_NEON | CPU_NEON_DOTPROD},
#endif
};

typedef struct Quantizer {
    const QuantizeKernels *kernels;
    const char *name;
    uint32_t flags;
} Quantizer;

static const Quantizer quantizers[] = {
    {&quantize_ref, "quantize_ref", 0},
#if defined(__x86_64__)
    {&quantize_avx2, "quantize_avx2", CPU_AVX2},
    {&quantize_avx512, "quantize_avx512", CPU_AVX512},
#elif defined(__aarch64__)
    {&quantize_neon, "quantize_neon", CPU_NEON},
#endif
};

// One product in f32, and its operands in reduced precision.
typedef struct Product {
    size_t m, n, k, lda, ldc;
    GemmSource source;
    Guarded weights, x, a, scales, bias, residual;
    Activation activation;
    bool has_residual;
} Product;

// Bytes at their bounds, where products and their sums are largest.
static void make_extreme(Check *check, Product *product) {
    uint8_t *a = product->a.data;
    for (size_t i = 0; i < product->m * product->lda; i++)
        a[i] = next_random(check) % 2 ? 255 : 0;
    float *weights = product->weights.data;
    for (size_t i = 0; product->source.type == KERNEL_F32 && i < product->n * product->k; i++)
        weights[i] = next_random(check) % 2 ? 1.0f : -1.0f;
}

static void product_new(Check *check, Product *out, bool is_bytes) {
    *out = (Product){.m = random_extent(check, 150),
                     .n = random_extent(check, 140),
                     .k = random_extent(check, 1000),
                     .activation = (Activation)(next_random(check) % 7),
                     .has_residual = next_random(check) % 2};
    const bool is_transposed = next_random(check) % 4 == 0;
    out->source.type = (KernelType)(next_random(check) % 3);
    out->source.stride_n = is_transposed ? 1 : out->k;
    out->source.stride_k = is_transposed ? out->n : 1;
    out->lda = (out->k + 63) / 64 * 64 + 64 * (next_random(check) % 2);
    out->ldc = out->n + next_random(check) % 9;
    out->weights = guarded_typed(check, out->n * out->k, out->source.type);
    out->source.data = out->weights.data;
    out->x = guarded_random(check, out->m * out->k);
    out->a = guarded_new(out->m * out->lda * (is_bytes ? 1 : 2));
    out->scales = guarded_new(out->m * sizeof(RowScale));
    out->bias = guarded_random(check, out->n);
    out->residual = guarded_random(check, (out->m - 1) * out->ldc + out->n);
    memset(out->a.data, 0xFF, out->m * out->lda * (is_bytes ? 1 : 2));
    if (is_bytes)
        quantize_ref.bytes(out->m, out->k, out->x.data, KERNEL_F32, out->k, NULL, out->a.data,
                           out->lda, out->scales.data);
    else
        quantize_ref.bf16(out->m, out->k, out->x.data, out->k, out->a.data, out->lda);
    if (is_bytes && next_random(check) % 3 == 0)
        make_extreme(check, out);
}

static void product_free(Product *product) {
    guarded_free(&product->weights);
    guarded_free(&product->x);
    guarded_free(&product->a);
    guarded_free(&product->scales);
    guarded_free(&product->bias);
    guarded_free(&product->residual);
}

static float weight_of(const Product *product, size_t j, size_t i) {
    const size_t at = j * product->source.stride_n + i * product->source.stride_k;
    return value_of((const char *)product->source.data + at * type_size(product->source.type),
                    product->source.type);
}

// Rows [row, row + rows) of the product.
static void product_run(const Product *product, const GemmKernel *kernel, size_t row, size_t rows,
                        int threads, KernelType type, void *c) {
    void *packed = new_aligned(gemm_packed_bytes(kernel, product->n, product->k));
    const size_t panels = gemm_panel_count(kernel, product->n);
    for (size_t p = panels; p-- > 0;)
        gemm_pack(kernel, packed, product->n, product->k, &product->source, p, 1);
    const GemmCall call = {
        .kernel = kernel,
        .m = rows,
        .n = product->n,
        .k = product->k,
        .a = (const char *)product->a.data + row * product->lda * (4 / kernel->per_word),
        .lda = product->lda,
        .row_scales = kernel->per_word == 4 ? (const RowScale *)product->scales.data + row : NULL,
        .packed = packed,
        .c = (char *)c + row * product->ldc * type_size(type),
        .ldc = product->ldc,
        .epilogue = {.bias = product->bias.data,
                     .residual = product->has_residual
                                     ? (const float *)product->residual.data + row * product->ldc
                                     : NULL,
                     .ld_residual = product->ldc,
                     .activation = product->activation,
                     .c_type = type},
    };
    const size_t tiles = gemm_tile_count(&call, threads);
    for (size_t t = 0; t < tiles; t++)
        gemm_run_tile(&call, t, tiles, threads);
    free(packed);
}

static float finish_one(const Check *check, const Product *product, size_t r, size_t j, float x) {
    x += ((const float *)product->bias.data)[j];
    check->ref->norm.activate(1, &x, product->activation);
    if (product->has_residual)
        x += ((const float *)product->residual.data)[r * product->ldc + j];
    return x;
}

static uint16_t half_of(float x) {
    uint16_t half;
    uint16_t row[32];
    quantize_ref.bf16(1, 1, &x, 1, row, 32);
    memcpy(&half, row, sizeof half);
    return half;
}

// A result in bf16 is the f32 result, rounded; only GELU is another polynomial then.
static bool is_bf16_result_right(Check *check, const Product *product, const GemmKernel *kernel,
                                 const float *c) {
    const size_t count = product->m * product->ldc;
    uint16_t *got = calloc(count, sizeof *got);
    product_run(product, kernel, 0, product->m, (int)random_size(check, 1, 5), KERNEL_BF16, got);
    bool is_right = true;
    for (size_t r = 0; r < product->m; r++)
        for (size_t j = 0; j < product->n; j++) {
            const size_t at = r * product->ldc + j;
            const uint16_t rounded = half_of(c[at]);
            const float error = fabsf(value_of(&got[at], KERNEL_BF16) - c[at]);
            const float bound = 6e-5f + 0x1.01p-8f * fabsf(c[at]);
            is_right = is_right && (product->activation == ACTIVATION_GELU
                                        ? error <= bound
                                        : memcmp(&got[at], &rounded, sizeof rounded) == 0);
        }
    free(got);
    return is_right;
}

// --- Bytes: one definition, equal bits ---

static void expect_bytes(const Check *check, const Product *product, float *c) {
    const uint8_t *a = product->a.data;
    const RowScale *scales = product->scales.data;
    int8_t *column = malloc(product->k);
    for (size_t j = 0; j < product->n; j++) {
        float highest = 0.0f;
        for (size_t i = 0; i < product->k; i++)
            highest = fmaxf(highest, fabsf(weight_of(product, j, i)));
        for (size_t i = 0; i < product->k; i++)
            column[i] =
                (int8_t)(highest > 0.0f ? rintf(weight_of(product, j, i) * (127.0f / highest))
                                        : 0.0f);
        for (size_t r = 0; r < product->m; r++) {
            int32_t sum = 0;
            for (size_t i = 0; i < product->k; i++)
                sum += (a[r * product->lda + i] - scales[r].zero) * column[i];
            const float x = (float)sum * (scales[r].scale * (highest / 127.0f));
            c[r * product->ldc + j] = finish_one(check, product, r, j, x);
        }
    }
    free(column);
}

static bool check_bytes(Check *check, const GemmKernel *kernel) {
    for (int i = 0; i < 60; i++) {
        Product product;
        product_new(check, &product, true);
        const size_t floats = product.m * product.ldc;
        float *expected = calloc(floats, sizeof(float)), *got = calloc(floats, sizeof(float));
        expect_bytes(check, &product, expected);
        product_run(&product, kernel, 0, product.m, (int)random_size(check, 1, 5), KERNEL_F32, got);
        const bool is_equal = memcmp(expected, got, floats * sizeof(float)) == 0 &&
                              is_bf16_result_right(check, &product, kernel, got);
        if (!is_equal)
            printf("  m %zu n %zu k %zu type %d activation %d: bits differ\n", product.m, product.n,
                   product.k, (int)product.source.type, (int)product.activation);
        free(expected);
        free(got);
        product_free(&product);
        if (!is_equal)
            return false;
    }
    return true;
}

// --- bf16: near the exact sum, and independent of the company of a row ---

// Sums of products of 8-bit fractions are exact in double precision; f32 sums in any order are
// within k * 2^-24 of the sum of magnitudes.
static bool is_bf16_right(const Check *check, const Product *product, const float *got) {
    const uint16_t *a = product->a.data;
    for (size_t j = 0; j < product->n; j++)
        for (size_t r = 0; r < product->m; r++) {
            double sum = 0, magnitude = 0;
            for (size_t i = 0; i < product->k; i++) {
                const uint16_t w = half_of(weight_of(product, j, i));
                const double term = (double)value_of(&a[r * product->lda + i], KERNEL_BF16) *
                                    (double)value_of(&w, KERNEL_BF16);
                sum += term;
                magnitude += fabs(term);
            }
            const double exact = (double)finish_one(check, product, r, j, (float)sum);
            // No activation is steeper than 1.13.
            const double tolerance = 1.2 * (double)product->k * 0x1p-24 * magnitude + 1e-6;
            if (!(fabs((double)got[r * product->ldc + j] - exact) <= tolerance))
                return false;
        }
    return true;
}

// What the kernel must equal bit for bit, or NULL.
static const GemmKernel *bf16_twin(const GemmKernel *kernel) {
#if defined(__x86_64__)
    if (kernel == &gemm_bf16_avx2 || kernel == &gemm_bf16_avx512)
        return &gemm_bf16_ref;
    return kernel == &gemm_bf16_amx_avx512 ? &gemm_bf16_amx_model : NULL;
#elif defined(__aarch64__)
    return kernel == &gemm_bf16_neon ? &gemm_bf16_ref : NULL;
#else
    (void)kernel;
    return NULL;
#endif
}

static bool check_bf16_product(Check *check, const GemmKernel *kernel, const Product *product) {
    const size_t floats = product->m * product->ldc, bytes = floats * sizeof(float);
    float *got = calloc(floats, sizeof(float)), *other = calloc(floats, sizeof(float));
    product_run(product, kernel, 0, product->m, (int)random_size(check, 1, 5), KERNEL_F32, got);
    const char *problem = is_bf16_right(check, product, got) ? NULL : "wrong";
    for (size_t r = 0; r < product->m; r++)
        product_run(product, kernel, r, 1, 1, KERNEL_F32, other);
    if (!problem && memcmp(got, other, bytes) != 0)
        problem = "a row depends on its company";
    if (!problem && !is_bf16_result_right(check, product, kernel, got))
        problem = "the bf16 result is wrong";
    if (!problem && bf16_twin(kernel)) {
        product_run(product, bf16_twin(kernel), 0, product->m, 1, KERNEL_F32, other);
        if (memcmp(got, other, bytes) != 0)
            problem = "bits differ from the model's";
    }
    if (problem)
        printf("  m %zu n %zu k %zu type %d activation %d: %s\n", product->m, product->n,
               product->k, (int)product->source.type, (int)product->activation, problem);
    free(got);
    free(other);
    return !problem;
}

static bool check_bf16(Check *check, const GemmKernel *kernel) {
    for (int i = 0; i < 25; i++) {
        Product product;
        product_new(check, &product, false);
        const bool is_good = check_bf16_product(check, kernel, &product);
        product_free(&product);
        if (!is_good)
            return false;
    }
    return true;
}

// --- Conversion of rows: equal bits ---

static bool check_quantize(Check *check, const QuantizeKernels *kernels) {
    for (int i = 0; i < 100; i++) {
        const size_t rows = random_size(check, 1, 4), dim = random_extent(check, 900);
        const size_t ld = (dim + 63) / 64 * 64;
        Guarded x = guarded_random(check, rows * dim);
        float *values = x.data;
        for (size_t j = 0; j < rows * dim; j++)
            values[j] *= i % 7 == 0 ? 0.0f : ldexpf(1.0f, i - 50);
        Guarded got = guarded_new(rows * ld * 2), scales = guarded_new(rows * sizeof(RowScale));
        Guarded expected = guarded_new(rows * ld * 2);
        RowScale expected_scales[4];
        kernels->bytes(rows, dim, values, KERNEL_F32, dim, NULL, got.data, ld, scales.data);
        quantize_ref.bytes(rows, dim, values, KERNEL_F32, dim, NULL, expected.data, ld,
                           expected_scales);
        bool is_good = memcmp(got.data, expected.data, rows * ld) == 0 &&
                       memcmp(scales.data, expected_scales, rows * sizeof(RowScale)) == 0;
        const uint8_t *bytes = got.data;
        for (size_t r = 0; r < rows; r++)
            for (size_t j = 0; j < ld; j++) {
                const float exact = j < dim ? values[r * dim + j] : 0.0f;
                const RowScale row = expected_scales[r];
                const float back = (float)(bytes[r * ld + j] - row.zero) * row.scale;
                is_good = is_good && fabsf(back - exact) <= 0.5001f * row.scale;
            }
        // From bf16 the same as from the floats that these are.
        quantize_ref.bf16(rows, dim, values, dim, expected.data, ld);
        float *widened = calloc(rows * ld, sizeof *widened);
        for (size_t j = 0; j < rows * ld; j++)
            widened[j] = value_of((const uint16_t *)expected.data + j, KERNEL_BF16);
        uint8_t *from_floats = malloc(rows * ld);
        quantize_ref.bytes(rows, dim, widened, KERNEL_F32, ld, NULL, from_floats, ld,
                           expected_scales);
        kernels->bytes(rows, dim, expected.data, KERNEL_BF16, ld, NULL, got.data, ld, scales.data);
        is_good = is_good && memcmp(got.data, from_floats, rows * ld) == 0 &&
                  memcmp(scales.data, expected_scales, rows * sizeof(RowScale)) == 0;
        free(widened);
        free(from_floats);
        kernels->bf16(rows, dim, values, dim, got.data, ld);
        quantize_ref.bf16(rows, dim, values, dim, expected.data, ld);
        for (size_t r = 0; r < rows; r++) {
            const uint16_t *a = (const uint16_t *)got.data + r * ld;
            const uint16_t *b = (const uint16_t *)expected.data + r * ld;
            is_good = is_good && memcmp(a, b, (dim + 31) / 32 * 64) == 0;
            for (size_t j = 0; j < dim; j++)
                is_good = is_good && fabsf(value_of(&a[j], KERNEL_BF16) - values[r * dim + j]) <=
                                         0x1p-8f * fabsf(values[r * dim + j]);
        }
        guarded_free(&x);
        guarded_free(&got);
        guarded_free(&scales);
        guarded_free(&expected);
        if (!is_good) {
            printf("  rows %zu dim %zu\n", rows, dim);
            return false;
        }
    }
    return true;
}

// Factors of channels: the bytes of x * factors, and weights divided by them.
static bool check_factors(Check *check, const QuantizeKernels *kernels) {
    bool is_good = true;
    for (int i = 0; i < 100 && is_good; i++) {
        const size_t dim = random_extent(check, 900), n = random_size(check, 1, 40);
        const size_t ld = (dim + 63) / 64 * 64;
        Guarded x = guarded_random(check, dim), factors = guarded_new(ld * sizeof(float));
        Guarded got = guarded_new(ld), expected = guarded_new(ld);
        float *values = x.data, *by = factors.data;
        for (size_t j = 0; j < ld; j++)
            by[j] = j < dim ? ldexpf(1.0f + (float)(next_random(check) % 8) / 8.0f,
                                     (int)(next_random(check) % 5))
                            : 0.0f;
        RowScale scale, expected_scale;
        kernels->bytes(1, dim, values, KERNEL_F32, dim, by, got.data, ld, &scale);

        const KernelType type = (KernelType)(next_random(check) % 3);
        const bool has_rows = next_random(check) % 2;
        Guarded weights = guarded_typed(check, n * dim, type);
        Guarded divided = guarded_new(n * dim * sizeof(float));
        kernels->divide(n, dim, weights.data, type, has_rows ? dim : 1, has_rows ? 1 : n, by,
                        divided.data);
        for (size_t j = 0; j < n * dim; j++) {
            const float w = value_of((const char *)weights.data + j * type_size(type), type);
            is_good =
                is_good && ((const float *)divided.data)[j] == w / by[has_rows ? j % dim : j / n];
        }
        for (size_t j = 0; j < dim; j++)
            values[j] *= by[j];
        quantize_ref.bytes(1, dim, values, KERNEL_F32, dim, NULL, expected.data, ld,
                           &expected_scale);
        is_good = is_good && memcmp(got.data, expected.data, ld) == 0 &&
                  memcmp(&scale, &expected_scale, sizeof scale) == 0;
        if (!is_good)
            printf("  factors: n %zu dim %zu\n", n, dim);
        guarded_free(&x);
        guarded_free(&factors);
        guarded_free(&got);
        guarded_free(&expected);
        guarded_free(&weights);
        guarded_free(&divided);
    }
    return is_good;
}

static void report(const char *name, bool is_good, int *passed, int *failed) {
    printf("%-24s %s\n", name, is_good ? "ok" : "FAIL");
    fflush(stdout);
    is_good ? (*passed)++ : (*failed)++;
}

static void bench_reduced(const KernelTable *table, const ReducedKernels *reduced, int threads) {
    static const size_t shapes[][2] = {{2304, 768}, {768, 768}, {3072, 768}, {768, 3072}};
    static const size_t rows[] = {1, 16, 128, 2048};
    Bench bench = {.table = table, .threads = threads};
    if (pool_new(&bench.pool, threads, NULL) != 0)
        return;
    bench_peak(&bench);
    for (size_t r = 0; r < sizeof rows / sizeof rows[0]; r++)
        for (size_t s = 0; s < 4; s++) {
            bench_gemm(&bench, &reduced->gemm_bf16, rows[r], shapes[s][0], shapes[s][1],
                       ACTIVATION_NONE);
            bench_gemm(&bench, &reduced->gemm_bytes, rows[r], shapes[s][0], shapes[s][1],
                       ACTIVATION_NONE);
        }
    pool_free(bench.pool);
}

int main(int argc, char **argv) {
    bool is_bench = false;
    uint64_t seed = 1;
    for (int i = 1; i < argc; i++) {
        if (strcmp(argv[i], "--bench") == 0)
            is_bench = true;
        else if (strcmp(argv[i], "--seed") == 0 && i + 1 < argc)
            seed = strtoull(argv[++i], NULL, 10);
    }
    CpuInfo cpu;
    cpu_detect(&cpu);
    KernelTable ref, table;
    kernels_select(&ref, 0);
    kernels_select(&table, cpu.flags);
    int passed = 0, failed = 0;
    for (size_t i = 0; i < sizeof candidates / sizeof candidates[0]; i++) {
        const Candidate *candidate = &candidates[i];
        if ((cpu.flags & candidate->flags) != candidate->flags)
            continue;
        Check check = {.table = &table, .ref = &ref, .random = seed * 0x9E3779B97F4A7C15ull};
        if (candidate->bytes)
            report(candidate->bytes->name, check_bytes(&check, candidate->bytes), &passed, &failed);
        if (candidate->bf16)
            report(candidate->bf16->name, check_bf16(&check, candidate->bf16), &passed, &failed);
    }
    for (size_t i = 0; i < sizeof quantizers / sizeof quantizers[0]; i++) {
        const Quantizer *quantizer = &quantizers[i];
        Check check = {.ref = &ref, .random = seed * 0x9E3779B97F4A7C15ull};
        if ((cpu.flags & quantizer->flags) == quantizer->flags)
            report(quantizer->name,
                   check_quantize(&check, quantizer->kernels) &&
                       check_factors(&check, quantizer->kernels),
                   &passed, &failed);
    }
#if defined(__x86_64__)
    static const AttentionKernel *const attention[] = {&attention_bf16_avx512_bf16,
                                                       &attention_bf16_amx_avx512};
    static const uint32_t attention_flags[] = {CPU_AVX512 | CPU_AVX512_BF16,
                                               CPU_AVX512 | CPU_AMX_BF16};
    for (size_t i = 0; i < 2; i++) {
        Check check = {.ref = &ref, .random = seed * 0x9E3779B97F4A7C15ull};
        if ((cpu.flags & attention_flags[i]) == attention_flags[i])
            report(attention[i]->name, check_attention_kernel(&check, attention[i]), &passed,
                   &failed);
    }
#endif
    ReducedKernels reduced;
    kernels_select_reduced(&reduced, cpu.flags);
    for (int threads = 1; is_bench && threads <= 2 && threads <= cpu.threads; threads++)
        bench_reduced(&table, &reduced, threads == 1 ? 1 : cpu.threads);
    printf("%d passed, %d failed\n", passed, failed);
    return failed != 0;
}
