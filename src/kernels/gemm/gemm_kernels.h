// The kernels of each instruction set and the ends that they share, inside kernels/.
#ifndef GPUX_KERNELS_GEMM_GEMM_KERNELS_H
#define GPUX_KERNELS_GEMM_GEMM_KERNELS_H

#include "kernels/gemm/gemm.h"

extern const GemmKernel gemm_f32_ref;
extern const GemmKernel gemm_f32_avx2;
extern const GemmKernel gemm_f32_avx512;
extern const GemmKernel gemm_f32_neon;

extern const GemmKernel gemm_bytes_ref;
extern const GemmKernel gemm_bytes_avx2;
extern const GemmKernel gemm_bytes_avx512;
extern const GemmKernel gemm_bytes_avx512_vnni;
extern const GemmKernel gemm_bytes_neon;
extern const GemmKernel gemm_bytes_neon_dotprod;
extern const GemmKernel gemm_bytes_amx_avx512;
extern const GemmKernel gemm_bytes_amx_model; // the AMX kernel on a C model of the tiles

extern const GemmKernel gemm_bf16_ref;
extern const GemmKernel gemm_bf16_avx2;
extern const GemmKernel gemm_bf16_avx512;
extern const GemmKernel gemm_bf16_avx512_bf16;
extern const GemmKernel gemm_bf16_neon;
extern const GemmKernel gemm_bf16_amx_avx512;
extern const GemmKernel gemm_bf16_amx_model;

// The byte kernels of NEON take this off each byte of A, because their factors are both signed.
enum { GEMM_NEON_BYTES_LESS = 128 };

#define GEMM_ENDS(isa)                                                                             \
    void gemm_finish_f32_##isa(size_t rows, size_t cols, const void *sums, size_t ld_sums,         \
                               void *c, size_t ldc, const GemmFinish *with);                       \
    void gemm_finish_bytes_##isa(size_t rows, size_t cols, const void *sums, size_t ld_sums,       \
                                 void *c, size_t ldc, const GemmFinish *with);                     \
    void gemm_pack_f32_##isa(size_t cols, size_t k, const void *source, KernelType type,           \
                             size_t stride_n, size_t stride_k, void *panel, float *scales,         \
                             int32_t *weight_sums);                                                \
    void gemm_pack_bf16_##isa(size_t cols, size_t k, const void *source, KernelType type,          \
                              size_t stride_n, size_t stride_k, void *panel, float *scales,        \
                              int32_t *weight_sums);                                               \
    void gemm_pack_bytes_##isa(size_t cols, size_t k, const void *source, KernelType type,         \
                               size_t stride_n, size_t stride_k, void *panel, float *scales,       \
                               int32_t *weight_sums)

GEMM_ENDS(ref);
GEMM_ENDS(avx2);
GEMM_ENDS(avx512);
GEMM_ENDS(neon);
GEMM_ENDS(amx_model);
#undef GEMM_ENDS

#endif
