// GEMM of bytes and of bf16 on AMX tiles; finishing and packing are the AVX-512 ones.
#include "kernels/gemm/amx.h"

#include "kernels/gemm/gemm_amx_tmpl.h"

const GemmKernel gemm_bytes_amx_avx512 = {
    .name = "gemm_bytes_amx_avx512",
    .mr = AMX_ROWS,
    .nr = AMX_COLUMNS,
    .per_word = 4,
    .unit = AMX_STEP,
    .row_unit = 16,
    .row_range = AMX_ROW_RANGE,
    .a_words = AMX_A_WORDS,
    .chunk_words = AMX_CHUNK_WORDS,
    .multiply = multiply_bytes_amx_avx512,
    .finish = gemm_finish_bytes_avx512,
    .pack = gemm_pack_bytes_avx512,
    .begin = begin_amx_avx512,
    .end = end_amx_avx512,
};

const GemmKernel gemm_bf16_amx_avx512 = {
    .name = "gemm_bf16_amx_avx512",
    .mr = AMX_ROWS,
    .nr = AMX_COLUMNS,
    .per_word = 2,
    .unit = AMX_STEP,
    .row_unit = 16,
    .row_range = AMX_ROW_RANGE,
    .a_words = AMX_A_WORDS,
    .chunk_words = AMX_CHUNK_WORDS,
    .multiply = multiply_bf16_amx_avx512,
    .finish = gemm_finish_f32_avx512,
    .pack = gemm_pack_bf16_avx512,
    .begin = begin_amx_avx512,
    .end = end_amx_avx512,
};
