// The kernels of each instruction set, and the layout of their scratch block, inside kernels/.
#ifndef GPUX_KERNELS_ATTENTION_ATTENTION_KERNELS_H
#define GPUX_KERNELS_ATTENTION_ATTENTION_KERNELS_H

#include "kernels/attention/attention.h"

extern const AttentionKernel attention_f32_ref;
extern const AttentionKernel attention_f32_avx2;
extern const AttentionKernel attention_f32_avx512;
extern const AttentionKernel attention_f32_neon;

extern const AttentionKernel attention_bf16_avx512_bf16;
extern const AttentionKernel attention_bf16_amx_avx512;

// Parts of the scratch block, in floats from its start; each begins on a cache line.
typedef struct AttentionScratch {
    size_t width;  // head_dim rounded up to nr
    size_t block;  // keys per block rounded up to nr: the stride of scores
    size_t keys;   // [block / nr][head_dim][nr]
    size_t values; // [width / nr][block][nr]
    size_t scores; // [mr][block]
    size_t bias;   // [block]
    size_t sums;   // [ATTENTION_QUERY_BLOCK][width]
    size_t state;  // [ATTENTION_QUERY_BLOCK] highest score, then the sum of exponentials
    size_t total;
} AttentionScratch;

// False on overflow.
bool attention_scratch(AttentionScratch *out, const AttentionCall *call);

#endif
