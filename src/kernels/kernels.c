#include "kernels/kernels.h"

#include "base/cpu.h"
#include "kernels/attention/attention_kernels.h"
#include "kernels/gemm/gemm_kernels.h"
#include "kernels/move/move_isa.h"
#include "kernels/norm/norm_isa.h"

void kernels_select(KernelTable *out, uint32_t cpu_flags) {
    *out = (KernelTable){
        .isa = "ref",
        .gemm_f32 = gemm_f32_ref,
        .attention_f32 = attention_f32_ref,
        .norm = norm_ref,
        .move = move_ref,
        .peak = peak_ref,
    };
#if defined(__x86_64__)
    if (!(cpu_flags & CPU_AVX2))
        return;
    *out = (KernelTable){
        .isa = "avx2",
        .gemm_f32 = gemm_f32_avx2,
        .attention_f32 = attention_f32_avx2,
        .norm = norm_avx2,
        .move = move_avx2,
        .peak = peak_avx2,
    };
    if (!(cpu_flags & CPU_AVX512))
        return;
    *out = (KernelTable){
        .isa = "avx512",
        .gemm_f32 = gemm_f32_avx512,
        .attention_f32 = attention_f32_avx512,
        .norm = norm_avx512,
        .move = move_avx512,
        .peak = peak_avx512,
    };
#elif defined(__aarch64__)
    if (!(cpu_flags & CPU_NEON))
        return;
    *out = (KernelTable){
        .isa = "neon",
        .gemm_f32 = gemm_f32_neon,
        .attention_f32 = attention_f32_neon,
        .norm = norm_neon,
        .move = move_neon,
        .peak = peak_neon,
    };
#else
    (void)cpu_flags;
#endif
}
