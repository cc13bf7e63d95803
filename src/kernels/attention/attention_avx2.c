// attention_tmpl.h for AVX2.
#include "kernels/vec/vec_avx2.h"

#define ATTENTION_BF16 0
#include "kernels/attention/attention_tmpl.h"

static void run_avx2(const AttentionCall *call, const AttentionItem *item, size_t head, size_t end,
                     void *scratch) {
    run_item(call, &gemm_f32_avx2, item, head, end, scratch);
}

const AttentionKernel attention_f32_avx2 = {
    .name = "attention_f32_avx2",
    .run = run_avx2,
    .type = KERNEL_F32,
    .head_unit = 1,
    .key_block = 256,
    .mr = 6,
    .nr = 16,
};
