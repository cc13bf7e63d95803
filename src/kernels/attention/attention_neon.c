// attention_tmpl.h for NEON.
#include "kernels/vec/vec_neon.h"

#define ATTENTION_BF16 0
#include "kernels/attention/attention_tmpl.h"

static void run_neon(const AttentionCall *call, const AttentionItem *item, size_t head, size_t end,
                     void *scratch) {
    run_item(call, &gemm_f32_neon, item, head, end, scratch);
}

const AttentionKernel attention_f32_neon = {
    .name = "attention_f32_neon",
    .run = run_neon,
    .type = KERNEL_F32,
    .head_unit = 1,
    .key_block = 256,
    .mr = 6,
    .nr = 16,
};
