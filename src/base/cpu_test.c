// Tests of detection, limits, and quotas read from a made-up control group tree.
#include "base/cpu.h"

#include "base/file.h"

#include <sched.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include <cmocka.h>

static void detection_yields_sensible_values(void **state) {
    (void)state;
    CpuInfo info;
    cpu_detect(&info);
    assert_in_range(info.l1d_bytes, 8 << 10, 1 << 20);
    assert_in_range(info.l2_bytes, 64 << 10, 256 << 20);
    assert_true(info.l3_bytes >= 64 << 10);
    assert_true(info.cores >= 1 && info.threads >= 1);
    assert_true(info.model[0] != 0);
    Buf text = {0};
    assert_int_equal(file_read(&text, "/proc/cpuinfo", 16 << 20, NULL), STATUS_OK);
#if defined(__x86_64__)
    assert_int_equal((info.flags & CPU_AVX2) != 0, strstr(text.ptr, " avx2 ") != NULL);
    assert_int_equal((info.flags & CPU_AVX512) != 0, strstr(text.ptr, " avx512vl ") != NULL);
    assert_int_equal((info.flags & CPU_AVX512_VNNI) != 0,
                     strstr(text.ptr, " avx512_vnni ") != NULL);
    assert_non_null(strstr(text.ptr, info.model));
#endif
    buf_free(&text);
}

static void the_affinity_mask_bounds_the_threads(void **state) {
    (void)state;
    cpu_set_t before;
    assert_int_equal(sched_getaffinity(0, sizeof before, &before), 0);
    cpu_set_t one;
    CPU_ZERO(&one);
    for (size_t i = 0; i < CPU_SETSIZE && CPU_COUNT(&one) == 0; i++) {
        if (CPU_ISSET(i, &before))
            CPU_SET(i, &one);
    }
    assert_int_equal(sched_setaffinity(0, sizeof one, &one), 0);
    CpuInfo info;
    cpu_detect(&info);
    sched_setaffinity(0, sizeof before, &before);
    assert_int_equal(info.threads, 1);
}

static void put(const char *path, const char *text) {
    assert_int_equal(file_write_atomic(path, text, strlen(text), NULL), STATUS_OK);
}

static void the_least_quota_up_to_the_root_counts(void **state) {
    (void)state;
    char folder[] = "/tmp/gpux_cpu_test_XXXXXX";
    assert_non_null(mkdtemp(folder));
    assert_int_equal(chdir(folder), 0);
    assert_int_equal(file_make_dirs("v2/a/b", NULL), STATUS_OK);
    put("v2/self", "0::/a/b\n");
    put("v2/a/b/cpu.max", "max 100000\n");
    assert_int_equal(cpu_cgroup_limit("v2/self", "v2"), 0);
    put("v2/a/cpu.max", "250000 100000\n");
    assert_int_equal(cpu_cgroup_limit("v2/self", "v2"), 3);
    put("v2/a/b/cpu.max", "10000 100000\n");
    assert_int_equal(cpu_cgroup_limit("v2/self", "v2"), 1);
    put("v2/self", "0::/not/there\n");
    put("v2/cpu.max", "400000 100000\n");
    assert_int_equal(cpu_cgroup_limit("v2/self", "v2"), 4);
    assert_int_equal(file_make_dirs("v1/cpu,cpuacct/docker/x", NULL), STATUS_OK);
    put("v1/self", "5:memory:/z\n4:cpu,cpuacct:/docker/x\nbroken\n:\n");
    put("v1/cpu,cpuacct/docker/x/cpu.cfs_quota_us", "-1\n");
    put("v1/cpu,cpuacct/docker/x/cpu.cfs_period_us", "100000\n");
    assert_int_equal(cpu_cgroup_limit("v1/self", "v1"), 0);
    put("v1/cpu,cpuacct/docker/x/cpu.cfs_quota_us", "150000\n");
    assert_int_equal(cpu_cgroup_limit("v1/self", "v1"), 2);
    put("v1/cpu,cpuacct/docker/x/cpu.cfs_quota_us", "50000\n");
    assert_int_equal(cpu_cgroup_limit("v1/self", "v1"), 1);
    put("v1/cpu,cpuacct/docker/x/cpu.cfs_quota_us", "800000\n");
    put("v1/cpu,cpuacct/docker/cpu.cfs_quota_us", "30000\n");
    put("v1/cpu,cpuacct/docker/cpu.cfs_period_us", "10000\n");
    assert_int_equal(cpu_cgroup_limit("v1/self", "v1"), 3);
    assert_int_equal(cpu_cgroup_limit("absent", "v1"), 0);
    char command[100];
    snprintf(command, sizeof command, "rm -rf '%s'", folder);
    assert_int_equal(chdir("/tmp"), 0);
    assert_int_equal(system(command), 0);
}

static void flags_have_names(void **state) {
    (void)state;
    assert_string_equal(cpu_flag_name(CPU_AVX2), "avx2");
    assert_string_equal(cpu_flag_name(CPU_AMX_INT8), "amx_int8");
    assert_string_equal(cpu_flag_name(CPU_NEON_DOTPROD), "neon_dotprod");
    assert_null(cpu_flag_name((CpuFlag)(1u << 20)));
    assert_null(cpu_flag_name((CpuFlag)3));
}

static void levels_remove_what_lies_above_them(void **state) {
    (void)state;
    uint32_t all = CPU_AVX2 | CPU_AVX512 | CPU_AVX512_VNNI | CPU_AVX512_BF16 | CPU_AVX_VNNI |
                   CPU_AMX_BF16 | CPU_AMX_INT8;
    CpuInfo info = {.flags = all};
    assert_int_equal(cpu_limit(&info, "native"), 0);
    assert_int_equal(info.flags, all);
    assert_int_equal(cpu_limit(&info, "sse"), -1);
    assert_int_equal(info.flags, all);
    assert_int_equal(cpu_limit(&info, "avx512"), 0);
    assert_int_equal(info.flags, all & ~(uint32_t)(CPU_AMX_BF16 | CPU_AMX_INT8));
    assert_int_equal(cpu_limit(&info, "avx2"), 0);
    assert_int_equal(info.flags, CPU_AVX2);
    assert_int_equal(cpu_limit(&info, "ref"), 0);
    assert_int_equal(info.flags, 0);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(detection_yields_sensible_values),
        cmocka_unit_test(the_affinity_mask_bounds_the_threads),
        cmocka_unit_test(the_least_quota_up_to_the_root_counts),
        cmocka_unit_test(flags_have_names),
        cmocka_unit_test(levels_remove_what_lies_above_them),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
