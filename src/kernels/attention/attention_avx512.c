// attention_tmpl.h for AVX-512.
#include "kernels/vec/vec_avx512.h"

#define ATTENTION_BF16 0
#include "kernels/attention/attention_tmpl.h"

static void run_avx512(const AttentionCall *call, const AttentionItem *item, size_t head,
                       size_t end, void *scratch) {
    run_item(call, &gemm_f32_avx512, item, head, end, scratch);
}

const AttentionKernel attention_f32_avx512 = {
    .name = "attention_f32_avx512",
    .run = run_avx512,
    .type = KERNEL_F32,
    .head_unit = 1,
    .key_block = 256,
    .mr = 14,
    .nr = 32,
};
