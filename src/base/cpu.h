// What this processor and this process may use: instruction sets, caches, cores.
#ifndef GPUX_BASE_CPU_H
#define GPUX_BASE_CPU_H

#include <stddef.h>
#include <stdint.h>

typedef enum CpuFlag {
    CPU_AVX2 = 1u << 0,   // with FMA and F16C
    CPU_AVX512 = 1u << 1, // F, BW, DQ, VL, CD
    CPU_AVX512_VNNI = 1u << 2,
    CPU_AVX512_BF16 = 1u << 3,
    CPU_AVX_VNNI = 1u << 4,
    CPU_AMX_BF16 = 1u << 5, // and the operating system granted the tile state
    CPU_AMX_INT8 = 1u << 6,
    CPU_NEON = 1u << 7,
    CPU_NEON_DOTPROD = 1u << 8,
} CpuFlag;

typedef struct CpuInfo {
    uint32_t flags; // CpuFlag bits that both the CPU and the operating system support
    size_t l1d_bytes, l2_bytes, l3_bytes; // per core for L1 and L2; sensible defaults when unknown
    int cores;                            // CPUs in the host
    int threads;    // CPUs this process may use: affinity mask capped by the cgroup quota, >= 1
    char model[64]; // "Intel(R) Xeon(R) Processor"
} CpuInfo;

// Detects once; cheap (well under a millisecond).
void cpu_detect(CpuInfo *out);

// The CPU quota of a control group in whole CPUs, rounded up; 0 when there is none. Reads versions
// 1 and 2. `membership` is "/proc/self/cgroup", `root` is "/sys/fs/cgroup"; the least quota between
// the process's own group and the root counts.
int cpu_cgroup_limit(const char *membership, const char *root);

// "avx2", "avx512", ... for one flag; NULL for an unknown bit.
const char *cpu_flag_name(CpuFlag flag);
// Removes from info->flags everything above the named level: "ref", "avx2", "avx512", "native"
// (keeps all). Returns 0, or -1 for an unknown name. One machine can so test every path.
int cpu_limit(CpuInfo *info, const char *level);

#endif
