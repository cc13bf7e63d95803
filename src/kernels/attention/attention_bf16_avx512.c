// attention_tmpl.h with bf16 operands for AVX-512 with AMX or AVX512-BF16, by the tile that is
// used.
#include "kernels/vec/vec_avx512.h"

#define ATTENTION_BF16 1
#include "kernels/attention/attention_tmpl.h"

// The depth of a product is whole units of 16 words.
enum { HEAD_UNIT = 32 };

static void run_avx512_bf16(const AttentionCall *call, const AttentionItem *item, size_t head,
                            size_t end, void *scratch) {
    run_item(call, &gemm_bf16_avx512_bf16, item, head, end, scratch);
}

static void run_amx_avx512(const AttentionCall *call, const AttentionItem *item, size_t head,
                           size_t end, void *scratch) {
    run_item(call, &gemm_bf16_amx_avx512, item, head, end, scratch);
}

const AttentionKernel attention_bf16_avx512_bf16 = {
    .name = "attention_bf16_avx512_bf16",
    .run = run_avx512_bf16,
    .type = KERNEL_BF16,
    .head_unit = HEAD_UNIT,
    .key_block = 256,
    .mr = 14,
    .nr = 32,
};

const AttentionKernel attention_bf16_amx_avx512 = {
    .name = "attention_bf16_amx_avx512",
    .run = run_amx_avx512,
    .type = KERNEL_BF16,
    .head_unit = HEAD_UNIT,
    .key_block = 256,
    .mr = 32,
    .nr = 32,
};
