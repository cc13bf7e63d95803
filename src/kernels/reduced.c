#include "kernels/reduced.h"

#include "base/cpu.h"
#include "kernels/attention/attention_kernels.h"
#include "kernels/gemm/gemm_kernels.h"
#include "kernels/quantize/quantize_isa.h"

void kernels_select_reduced(ReducedKernels *out, uint32_t cpu_flags) {
    *out = (ReducedKernels){
        .gemm_bytes = gemm_bytes_ref,
        .gemm_bf16 = gemm_bf16_ref,
        .quantize = quantize_ref,
    };
#if defined(__x86_64__)
    if (!(cpu_flags & CPU_AVX2))
        return;
    out->gemm_bytes = gemm_bytes_avx2;
    out->gemm_bf16 = gemm_bf16_avx2;
    out->quantize = quantize_avx2;
    if (!(cpu_flags & CPU_AVX512))
        return;
    out->gemm_bytes = gemm_bytes_avx512;
    out->gemm_bf16 = gemm_bf16_avx512;
    out->quantize = quantize_avx512;
    if (cpu_flags & CPU_AVX512_VNNI) {
        out->gemm_bytes = gemm_bytes_avx512_vnni;
        out->is_bytes_fast = true;
    }
    if (cpu_flags & CPU_AVX512_BF16) {
        out->gemm_bf16 = gemm_bf16_avx512_bf16;
        out->attention = attention_bf16_avx512_bf16;
        out->is_bf16_fast = true;
    }
    if (cpu_flags & CPU_AMX_INT8) {
        out->gemm_bytes = gemm_bytes_amx_avx512;
        out->is_bytes_fast = true;
    }
    if (cpu_flags & CPU_AMX_BF16) {
        out->gemm_bf16 = gemm_bf16_amx_avx512;
        out->attention = attention_bf16_amx_avx512;
        out->is_bf16_fast = true;
    }
#elif defined(__aarch64__)
    if (!(cpu_flags & CPU_NEON))
        return;
    out->gemm_bytes = gemm_bytes_neon;
    out->gemm_bf16 = gemm_bf16_neon;
    out->quantize = quantize_neon;
    if (cpu_flags & CPU_NEON_DOTPROD) {
        out->gemm_bytes = gemm_bytes_neon_dotprod;
        out->is_bytes_fast = true;
    }
#else
    (void)cpu_flags;
#endif
}
