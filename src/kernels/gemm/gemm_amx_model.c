// gemm_amx_tmpl.h on the C model of the tiles. Only tests run this: it shows, on any machine, that
// the template is right and, on one with AMX, that the model is. Finishing and packing are plain C.
#include "kernels/gemm/amx_model.h"

#include "kernels/gemm/gemm_amx_tmpl.h"

#include "kernels/vec/vec_ref.h"
#undef ISA
#define ISA(name) name##_amx_model
#define GEMM_NV 32
#include "kernels/gemm/gemm_ends_tmpl.h"

const GemmKernel gemm_bytes_amx_model = {
    .name = "gemm_bytes_amx_model",
    .mr = AMX_ROWS,
    .nr = AMX_COLUMNS,
    .per_word = 4,
    .unit = AMX_STEP,
    .row_unit = 16,
    .row_range = AMX_ROW_RANGE,
    .a_words = AMX_A_WORDS,
    .chunk_words = AMX_CHUNK_WORDS,
    .multiply = multiply_bytes_amx_model,
    .finish = gemm_finish_bytes_amx_model,
    .pack = gemm_pack_bytes_amx_model,
    .begin = begin_amx_model,
    .end = end_amx_model,
};

const GemmKernel gemm_bf16_amx_model = {
    .name = "gemm_bf16_amx_model",
    .mr = AMX_ROWS,
    .nr = AMX_COLUMNS,
    .per_word = 2,
    .unit = AMX_STEP,
    .row_unit = 16,
    .row_range = AMX_ROW_RANGE,
    .a_words = AMX_A_WORDS,
    .chunk_words = AMX_CHUNK_WORDS,
    .multiply = multiply_bf16_amx_model,
    .finish = gemm_finish_f32_amx_model,
    .pack = gemm_pack_bf16_amx_model,
    .begin = begin_amx_model,
    .end = end_amx_model,
};
