// Asks the processor, the kernel and the control groups what this process may use.
//
// An instruction set counts only when the operating system also saves its registers. Unknown values
// get defaults; detection never fails.
#include "base/cpu.h"

#include "base/file.h"

#include <limits.h>
#include <sched.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#if defined(__x86_64__)
#include <cpuid.h>
#include <sys/syscall.h>
#elif defined(__aarch64__)
#include <sys/auxv.h>
#endif

enum {
    MAX_CPUS = 16384,
    SMALL_FILE = 64 << 10,
    DEFAULT_L1D = 32 << 10,
    DEFAULT_L2 = 1 << 20,
    DEFAULT_L3 = 8 << 20,
};

#if defined(__x86_64__)

typedef struct CpuidRegs {
    unsigned a, b, c, d;
} CpuidRegs;

static CpuidRegs cpuid(unsigned leaf, unsigned subleaf) {
    CpuidRegs regs = {0};
    if (!__get_cpuid_count(leaf, subleaf, &regs.a, &regs.b, &regs.c, &regs.d))
        regs = (CpuidRegs){0};
    return regs;
}

static bool bit(unsigned value, int index) {
    return (value >> index & 1) != 0;
}

// The register sets that the operating system saves (XCR0).
static uint64_t saved_state(void) {
    uint32_t low;
    uint32_t high;
    __asm__ volatile("xgetbv" : "=a"(low), "=d"(high) : "c"(0));
    return (uint64_t)high << 32 | low;
}

// Linux hands out the 8 KB of tile state on request only.
static bool tiles_granted(void) {
    enum { ARCH_REQUEST_XCOMP = 0x1023, XFEATURE_TILEDATA = 18 };
    return syscall(SYS_arch_prctl, ARCH_REQUEST_XCOMP, XFEATURE_TILEDATA) == 0;
}

static uint32_t detect_flags(void) {
    CpuidRegs leaf1 = cpuid(1, 0);
    CpuidRegs leaf7 = cpuid(7, 0);
    CpuidRegs leaf71 = leaf7.a >= 1 ? cpuid(7, 1) : (CpuidRegs){0};
    if (!bit(leaf1.c, 27)) // OSXSAVE
        return 0;
    uint64_t saved = saved_state();
    uint32_t flags = 0;
    bool has_fma_f16c = bit(leaf1.c, 12) && bit(leaf1.c, 29);
    if ((saved & 0x6) != 0x6 || !bit(leaf1.c, 28) || !bit(leaf7.b, 5) || !has_fma_f16c)
        return 0;
    flags |= CPU_AVX2;
    if (bit(leaf71.a, 4))
        flags |= CPU_AVX_VNNI;
    bool has_avx512 = bit(leaf7.b, 16) && bit(leaf7.b, 17) && bit(leaf7.b, 28) &&
                      bit(leaf7.b, 30) && bit(leaf7.b, 31); // F, DQ, CD, BW, VL
    if ((saved & 0xe6) != 0xe6 || !has_avx512)
        return flags;
    flags |= CPU_AVX512;
    if (bit(leaf7.c, 11))
        flags |= CPU_AVX512_VNNI;
    if (bit(leaf71.a, 5))
        flags |= CPU_AVX512_BF16;
    bool has_tiles = (saved & 0x60000) == 0x60000 && bit(leaf7.d, 24);
    if (has_tiles && (bit(leaf7.d, 22) || bit(leaf7.d, 25)) && tiles_granted()) {
        flags |= bit(leaf7.d, 22) ? CPU_AMX_BF16 : 0;
        flags |= bit(leaf7.d, 25) ? CPU_AMX_INT8 : 0;
    }
    return flags;
}

static void detect_model(char model[64]) {
    unsigned words[13] = {0};
    for (unsigned i = 0; i < 3; i++) {
        CpuidRegs regs = {0};
        if (!__get_cpuid(0x80000002u + i, &regs.a, &regs.b, &regs.c, &regs.d))
            break;
        memcpy(words + (size_t)4 * i, &regs, sizeof regs);
    }
    char text[sizeof words];
    memcpy(text, words, sizeof words);
    StrView name = sv_trim(sv_n(text, strnlen(text, sizeof text)));
    if (name.len == 0)
        name = SV("x86-64 processor");
    snprintf(model, 64, "%.*s", (int)name.len, name.ptr);
}

#elif defined(__aarch64__)

static uint32_t detect_flags(void) {
    enum { HWCAP_ADVANCED_SIMD = 1 << 1, HWCAP_DOT_PRODUCT = 1 << 20 };
    unsigned long caps = getauxval(AT_HWCAP);
    uint32_t flags = 0;
    if (caps & HWCAP_ADVANCED_SIMD)
        flags |= CPU_NEON;
    if (caps & HWCAP_DOT_PRODUCT)
        flags |= CPU_NEON_DOTPROD;
    return flags;
}

static void detect_model(char model[64]) {
    snprintf(model, 64, "ARM64 processor");
}

#else

static uint32_t detect_flags(void) {
    return 0;
}

static void detect_model(char model[64]) {
    snprintf(model, 64, "unknown processor");
}

#endif

// The first line of a small system file; false when it cannot be read.
static bool read_line(char *line, size_t size, const char *path) {
    Buf text = {0};
    if (file_read(&text, path, SMALL_FILE, NULL) != STATUS_OK)
        return false;
    StrView first = sv_n(text.ptr, strcspn(text.ptr, "\n"));
    bool fits = first.len < size;
    if (fits)
        snprintf(line, size, "%.*s", (int)first.len, first.ptr);
    buf_free(&text);
    return fits;
}

// "32K" or "8M"; 0 when it is neither.
static size_t parse_size(const char *text) {
    StrView digits = sv_n(text, strspn(text, "0123456789"));
    int64_t value;
    if (digits.len > 9 || !sv_to_i64(&value, digits))
        return 0;
    char unit = text[digits.len];
    return (size_t)value << (unit == 'K' ? 10 : unit == 'M' ? 20 : unit == 'G' ? 30 : 0);
}

static void detect_caches(CpuInfo *out) {
    for (int i = 0; i < 8; i++) {
        char path[96];
        char type[32];
        char level[32];
        char size[32];
        const char *folder = "/sys/devices/system/cpu/cpu0/cache";
        snprintf(path, sizeof path, "%s/index%d/type", folder, i);
        if (!read_line(type, sizeof type, path))
            break;
        snprintf(path, sizeof path, "%s/index%d/level", folder, i);
        if (strcmp(type, "Instruction") == 0 || !read_line(level, sizeof level, path))
            continue;
        snprintf(path, sizeof path, "%s/index%d/size", folder, i);
        if (!read_line(size, sizeof size, path) || parse_size(size) == 0)
            continue;
        if (level[0] == '1')
            out->l1d_bytes = parse_size(size);
        else if (level[0] == '2')
            out->l2_bytes = parse_size(size);
        else if (level[0] == '3')
            out->l3_bytes = parse_size(size);
    }
}

#if defined(__x86_64__)
// Leaf 4 is Intel's, 0x8000001d is AMD's; both have the same form.
static void detect_caches_cpuid(CpuInfo *out) {
    static const unsigned leaves[] = {4, 0x8000001d};
    for (unsigned i = 0; i < 2; i++) {
        for (unsigned sub = 0; sub < 8; sub++) {
            CpuidRegs regs = cpuid(leaves[i], sub);
            unsigned type = regs.a & 31;
            if (type == 0)
                break;
            size_t bytes = ((size_t)(regs.b >> 22) + 1) * ((regs.b >> 12 & 1023u) + 1) *
                           ((regs.b & 4095u) + 1) * ((size_t)regs.c + 1);
            unsigned level = regs.a >> 5 & 7;
            if (level == 1 && type == 1)
                out->l1d_bytes = bytes;
            else if (level == 2)
                out->l2_bytes = bytes;
            else if (level == 3)
                out->l3_bytes = bytes;
        }
    }
}
#endif

static int affinity_count(void) {
    unsigned long mask[MAX_CPUS / (8 * sizeof(unsigned long))] = {0};
    if (sched_getaffinity(0, sizeof mask, (cpu_set_t *)(void *)mask) != 0)
        return 0;
    int count = 0;
    for (size_t i = 0; i < sizeof mask / sizeof mask[0]; i++)
        count += __builtin_popcountl(mask[i]);
    return count;
}

static void keep_least(int *least, int64_t quota, int64_t period) {
    if (quota <= 0 || period <= 0)
        return;
    int64_t cpus = quota / period + (quota % period != 0);
    if (cpus < INT_MAX && (*least == 0 || cpus < *least))
        *least = (int)cpus;
}

// Reads the quota files of one group folder: "max 100000" or "150000 100000", and version 1's pair.
static void group_quota(int *least, const char *folder) {
    char path[PATH_MAX + 32];
    char line[64];
    int64_t quota;
    int64_t period;
    snprintf(path, sizeof path, "%s/cpu.max", folder);
    if (read_line(line, sizeof line, path)) {
        size_t space = strcspn(line, " ");
        if (sv_to_i64(&quota, sv_n(line, space)) && line[space] == ' ' &&
            sv_to_i64(&period, sv(line + space + 1)))
            keep_least(least, quota, period);
        return;
    }
    snprintf(path, sizeof path, "%s/cpu.cfs_quota_us", folder);
    if (!read_line(line, sizeof line, path) || !sv_to_i64(&quota, sv(line)))
        return;
    snprintf(path, sizeof path, "%s/cpu.cfs_period_us", folder);
    if (read_line(line, sizeof line, path) && sv_to_i64(&period, sv(line)))
        keep_least(least, quota, period);
}

// Every group from `group` up to the root of the hierarchy mounted at root/mount.
static void walk_groups(int *least, const char *root, const char *mount, StrView group) {
    char folder[PATH_MAX];
    int base = snprintf(folder, sizeof folder, "%s%s", root, mount);
    if (base < 0 || (size_t)base + group.len + 1 > sizeof folder)
        return;
    memcpy(folder + base, group.ptr, group.len);
    size_t len = (size_t)base + group.len;
    for (;;) {
        folder[len] = '\0';
        group_quota(least, folder);
        if (len <= (size_t)base)
            return;
        while (len > (size_t)base && folder[len - 1] != '/')
            len--;
        if (len > (size_t)base)
            len--;
    }
}

static bool has_cpu_controller(StrView list) {
    size_t start = 0;
    for (size_t i = 0; i <= list.len; i++) {
        if (i < list.len && list.ptr[i] != ',')
            continue;
        if (sv_equal_cstr(sv_n(list.ptr + start, i - start), "cpu"))
            return true;
        start = i + 1;
    }
    return false;
}

// One line "id:controllers:/group"; version 2 has id 0 and no controllers.
static void membership_line(int *least, const char *root, StrView line) {
    const char *first = memchr(line.ptr, ':', line.len);
    if (!first)
        return;
    const char *end = line.ptr + line.len;
    const char *second = memchr(first + 1, ':', (size_t)(end - first - 1));
    if (!second)
        return;
    StrView controllers = sv_n(first + 1, (size_t)(second - first - 1));
    StrView group = sv_n(second + 1, (size_t)(end - second - 1));
    if (controllers.len == 0) {
        walk_groups(least, root, "", group);
        walk_groups(least, root, "/unified", group);
    } else if (has_cpu_controller(controllers)) {
        walk_groups(least, root, "/cpu", group);
        walk_groups(least, root, "/cpu,cpuacct", group);
    }
}

int cpu_cgroup_limit(const char *membership, const char *root) {
    Buf text = {0};
    if (file_read(&text, membership, SMALL_FILE, NULL) != STATUS_OK)
        return 0;
    int least = 0;
    for (size_t pos = 0; pos < text.len;) {
        size_t len = strcspn(text.ptr + pos, "\n");
        membership_line(&least, root, sv_n(text.ptr + pos, len));
        pos += len + 1;
    }
    buf_free(&text);
    return least;
}

void cpu_detect(CpuInfo *out) {
    *out = (CpuInfo){
        .flags = detect_flags(),
        .l1d_bytes = DEFAULT_L1D,
        .l2_bytes = DEFAULT_L2,
        .l3_bytes = DEFAULT_L3,
    };
#if defined(__x86_64__)
    detect_caches_cpuid(out);
#endif
    detect_caches(out);
    detect_model(out->model);
    long online = sysconf(_SC_NPROCESSORS_ONLN);
    out->cores = online > 0 && online < INT_MAX ? (int)online : 1;
    int threads = affinity_count();
    if (threads < 1)
        threads = out->cores;
    int limit = cpu_cgroup_limit("/proc/self/cgroup", "/sys/fs/cgroup");
    out->threads = limit > 0 && limit < threads ? limit : threads;
}

const char *cpu_flag_name(CpuFlag flag) {
    static const char *const names[] = {"avx2",        "avx512",   "avx512_vnni",
                                        "avx512_bf16", "avx_vnni", "amx_bf16",
                                        "amx_int8",    "neon",     "neon_dotprod"};
    for (unsigned i = 0; i < sizeof names / sizeof names[0]; i++) {
        if ((unsigned)flag == 1u << i)
            return names[i];
    }
    return NULL;
}

int cpu_limit(CpuInfo *info, const char *level) {
    enum {
        UP_TO_AVX2 = CPU_AVX2 | CPU_NEON | CPU_NEON_DOTPROD,
        UP_TO_AVX512 = UP_TO_AVX2 | CPU_AVX512 | CPU_AVX512_VNNI | CPU_AVX512_BF16 | CPU_AVX_VNNI,
    };
    static const struct {
        const char *name;
        uint32_t kept;
    } levels[] = {
        {"ref", 0},
        {"avx2", UP_TO_AVX2},
        {"avx512", UP_TO_AVX512},
        {"native", UINT32_MAX},
    };
    for (size_t i = 0; i < sizeof levels / sizeof levels[0]; i++) {
        if (strcmp(level, levels[i].name) == 0) {
            info->flags &= levels[i].kept;
            return 0;
        }
    }
    return -1;
}
