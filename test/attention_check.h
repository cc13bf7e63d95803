// The check of one attention kernel against the plain one in double precision, for both kernel
// checks.
#ifndef GPUX_TEST_ATTENTION_CHECK_H
#define GPUX_TEST_ATTENTION_CHECK_H

#include "test/kernel_check.h"

// Scores are sums of head_dim products below 1 in magnitude, scaled: weights are right to about
// 1e-6, values are below 1. In bf16 a weight and the result are rounded by 2^-9 each.
static const double ATTENTION_TOLERANCE = 4e-6, ATTENTION_TOLERANCE_BF16 = 5e-3;

typedef struct AttentionCase {
    Guarded q, k, v, bias; // q, k, v: f32
    Guarded bf16[3];       // the same values, where the kernel wants them so
    int32_t cu_seqlens[9], *positions;
    size_t sequences, tokens;
    AttentionCall call;
} AttentionCase;

static void attention_run(const AttentionKernel *kernel, AttentionCall *call,
                          const AttentionItem *items, size_t count, void *out) {
    call->kernel = kernel;
    call->items = items;
    call->item_count = count;
    call->even_items = attention_even_items(items, count, call->cu_seqlens);
    call->out = out;
    void *scratch = new_aligned(attention_scratch_bytes(call));
    const int threads = count % 2 ? 1 : 3;
    for (size_t t = attention_tile_count(call, threads); t-- > 0;)
        attention_run_tile(call, t, threads, scratch);
    free(scratch);
}

// Rounds the floats to bf16, ties to even, and answers a copy in that type.
static Guarded attention_round(float *x, size_t count) {
    Guarded out = guarded_new(count * sizeof(uint16_t));
    uint16_t *y = out.data;
    for (size_t i = 0; i < count; i++) {
        uint32_t bits;
        memcpy(&bits, &x[i], sizeof bits);
        bits = (bits + 0x7FFF + (bits >> 16 & 1)) & 0xFFFF0000;
        memcpy(&x[i], &bits, sizeof bits);
        y[i] = (uint16_t)(bits >> 16);
    }
    return out;
}

static void attention_case_new(Check *check, const AttentionKernel *kernel, AttentionCase *test,
                               size_t longest) {
    *test = (AttentionCase){.sequences = random_size(check, 1, 4)};
    size_t max_length = 1;
    for (size_t s = 0; s < test->sequences; s++) {
        const size_t length = s == 0 ? longest : random_extent(check, 150);
        test->cu_seqlens[s + 1] = test->cu_seqlens[s] + (int32_t)length;
        max_length = length > max_length ? length : max_length;
    }
    test->tokens = (size_t)test->cu_seqlens[test->sequences];
    AttentionCall *call = &test->call;
    const bool is_bf16 = kernel->type == KERNEL_BF16;
    const size_t gap = is_bf16 ? 2 : 1;
    call->kv_heads = random_size(check, 1, 2);
    call->heads = call->kv_heads * random_size(check, 1, 2);
    call->head_dim = next_random(check) % 2 ? 64 : random_size(check, 1, 80);
    call->head_dim =
        (call->head_dim + kernel->head_unit - 1) / kernel->head_unit * kernel->head_unit;
    call->ld_q = call->heads * call->head_dim + next_random(check) % 5 * gap;
    call->ld_k = call->kv_heads * call->head_dim + next_random(check) % 5 * gap;
    call->ld_v = call->kv_heads * call->head_dim + next_random(check) % 5 * gap;
    call->ld_out = call->heads * call->head_dim + next_random(check) % 5 * gap;
    call->scale = 2.0f / sqrtf((float)call->head_dim);
    call->is_causal = next_random(check) % 2;
    call->max_length = max_length;
    call->cu_seqlens = test->cu_seqlens;
    const size_t before = test->tokens - 1;
    const size_t counts[3] = {before * call->ld_q + call->heads * call->head_dim,
                              before * call->ld_k + call->kv_heads * call->head_dim,
                              before * call->ld_v + call->kv_heads * call->head_dim};
    Guarded *const arrays[3] = {&test->q, &test->k, &test->v};
    for (int i = 0; i < 3; i++) {
        *arrays[i] = guarded_random(check, counts[i]);
        if (is_bf16)
            test->bf16[i] = attention_round(arrays[i]->data, counts[i]);
    }
    call->bias_center = 2 * max_length;
    call->bias_stride = 4 * max_length + 1;
    test->bias = guarded_random(check, call->heads * call->bias_stride);
    call->bias = next_random(check) % 2 ? test->bias.data : NULL;
    test->positions = malloc(test->tokens * sizeof(int32_t));
    for (size_t s = 0; s < test->sequences; s++)
        for (int32_t t = test->cu_seqlens[s]; t < test->cu_seqlens[s + 1]; t++)
            test->positions[t] = (t - test->cu_seqlens[s]) * 3 / 2;
    call->key_positions = next_random(check) % 2 ? test->positions : NULL;
}

static void attention_case_free(AttentionCase *test) {
    guarded_free(&test->q);
    guarded_free(&test->k);
    guarded_free(&test->v);
    guarded_free(&test->bias);
    for (int i = 0; i < 3; i++)
        if (test->bf16[i].data)
            guarded_free(&test->bf16[i]);
    free(test->positions);
}

// The case's call from token `from` on, in f32 or as the kernel wants it.
static AttentionCall attention_call(const AttentionCase *test, KernelType type, size_t from) {
    AttentionCall call = test->call;
    const size_t size = type == KERNEL_BF16 ? 2 : 4;
    const Guarded *q = size == 2 ? &test->bf16[0] : &test->q;
    const Guarded *k = size == 2 ? &test->bf16[1] : &test->k;
    const Guarded *v = size == 2 ? &test->bf16[2] : &test->v;
    call.q = (const char *)q->data + from * call.ld_q * size;
    call.k = (const char *)k->data + from * call.ld_k * size;
    call.v = (const char *)v->data + from * call.ld_v * size;
    if (call.key_positions)
        call.key_positions += from;
    return call;
}

static bool check_attention_case(Check *check, const AttentionKernel *kernel, size_t longest) {
    AttentionCase test;
    attention_case_new(check, kernel, &test, longest);
    const size_t count = attention_split(NULL, test.cu_seqlens, test.sequences);
    AttentionItem *items = malloc(count * sizeof *items);
    bool is_good = attention_split(items, test.cu_seqlens, test.sequences) == count;
    const size_t floats = test.tokens * test.call.ld_out, size = kernel->type == KERNEL_F32 ? 4 : 2;
    float *expected = calloc(floats, sizeof(float));
    char *got = calloc(floats, sizeof(float)), *alone = calloc(floats, sizeof(float));
    AttentionCall call = attention_call(&test, KERNEL_F32, 0);
    attention_run(&check->ref->attention_f32, &call, items, count, expected);
    call = attention_call(&test, kernel->type, 0);
    attention_run(kernel, &call, items, count, got);
    const double tolerance = size == 4 ? ATTENTION_TOLERANCE : ATTENTION_TOLERANCE_BF16;
    for (size_t i = 0; i < floats && is_good; i++)
        is_good =
            fabs((double)value_of(got + i * size, kernel->type) - (double)expected[i]) <= tolerance;
    if (!is_good)
        printf("  %s longest %zu head_dim %zu causal %d bias %d differs\n", kernel->name, longest,
               call.head_dim, (int)call.is_causal, call.bias != NULL);
    is_good = is_good && call.even_items >= 1 && call.even_items <= count;
    // The last sequence alone must give the same bits.
    const size_t from = (size_t)test.cu_seqlens[test.sequences - 1];
    const int32_t only[2] = {0, test.cu_seqlens[test.sequences] - (int32_t)from};
    AttentionCall single = attention_call(&test, kernel->type, from);
    single.cu_seqlens = only;
    single.max_length = (size_t)only[1];
    const size_t few = attention_split(items, only, 1);
    attention_run(kernel, &single, items, few, alone);
    if (is_good &&
        memcmp(alone, got + from * call.ld_out * size, (size_t)only[1] * call.ld_out * size) != 0) {
        printf("  %s: a sequence depends on its batch\n", kernel->name);
        is_good = false;
    }
    free(items);
    free(expected);
    free(got);
    free(alone);
    attention_case_free(&test);
    return is_good;
}

static inline bool check_attention_kernel(Check *check, const AttentionKernel *kernel) {
    static const size_t longest[] = {1,   2,   15,  16,  17,  31,  33, 64,
                                     100, 128, 129, 255, 256, 257, 530};
    for (size_t i = 0; i < sizeof longest / sizeof longest[0]; i++)
        if (!check_attention_case(check, kernel, longest[i]))
            return false;
    return true;
}

#endif
