#include "app/bench/bench.h"

#include "app/bench/host.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#define assert_close(a, b, tolerance) assert_true(fabs((a) - (b)) <= (tolerance))

static void percentiles_interpolate_between_ranks(void **state) {
    (void)state;
    const uint64_t sorted[] = {10, 20, 30, 40};
    assert_close(bench_percentile(sorted, 4, 0.0), 10, 1e-9);
    assert_close(bench_percentile(sorted, 4, 0.5), 25, 1e-9);
    assert_close(bench_percentile(sorted, 4, 0.9), 37, 1e-9);
    assert_close(bench_percentile(sorted, 4, 1.0), 40, 1e-9);
}

static void one_run_is_its_own_percentile(void **state) {
    (void)state;
    uint64_t one[] = {2000000};
    BenchStats stats;
    bench_stats(&stats, one, 1);
    assert_close(stats.mean, 2, 1e-12);
    assert_close(stats.std, 0, 1e-12);
    assert_close(stats.p99, 2, 1e-12);
    assert_close(stats.median, 2, 1e-12);
}

static void the_deviation_is_that_of_the_population(void **state) {
    (void)state;
    // numpy: mean 5, std(ddof=0) 2, percentile 95 = 8.3, 99 = 8.86
    uint64_t ns[] = {9000000, 2000000, 4000000, 4000000, 4000000, 5000000, 5000000, 7000000};
    BenchStats stats;
    bench_stats(&stats, ns, 8);
    assert_close(stats.mean, 5, 1e-12);
    assert_close(stats.std, 2, 1e-12);
    assert_close(stats.cv, 0.4, 1e-12);
    assert_close(stats.min, 2, 1e-12);
    assert_close(stats.max, 9, 1e-12);
    assert_close(stats.median, 4.5, 1e-12);
    assert_close(stats.p95, 8.3, 1e-9);
    assert_close(stats.p99, 8.86, 1e-9);
}

static void a_zero_duration_counts_as_a_nanosecond(void **state) {
    (void)state;
    uint64_t ns[] = {0, 0};
    BenchStats stats;
    bench_stats(&stats, ns, 2);
    assert_close(stats.mean, 1e-6, 1e-15);
    assert_true(isfinite(stats.cv));
}

static void throughput_counts_samples(void **state) {
    (void)state;
    BenchResult result = {.batch = 32, .time = {.mean = 13.3333}};
    assert_close(bench_throughput(&result), 2400, 0.1);
}

static void the_peak_memory_is_read_from_the_status_text(void **state) {
    (void)state;
    assert_int_equal(host_parse_peak_memory("Name:\tgpux\nVmPeak:\t 99 kB\nVmHWM:\t  2048 kB\n"),
                     2048 * 1024);
    assert_int_equal(host_parse_peak_memory("VmHWM:\tno\n"), 0);
    assert_int_equal(host_parse_peak_memory(""), 0);
    assert_true(host_peak_memory() > 100000);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(percentiles_interpolate_between_ranks),
        cmocka_unit_test(one_run_is_its_own_percentile),
        cmocka_unit_test(the_deviation_is_that_of_the_population),
        cmocka_unit_test(a_zero_duration_counts_as_a_nanosecond),
        cmocka_unit_test(throughput_counts_samples),
        cmocka_unit_test(the_peak_memory_is_read_from_the_status_text),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
