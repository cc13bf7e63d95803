// Tests of the clocks.
#include "base/clock.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <time.h>

#include <cmocka.h>

static void monotonic_time_advances_in_nanoseconds(void **state) {
    (void)state;
    uint64_t start = clock_now_ns();
    nanosleep(&(struct timespec){.tv_nsec = 2000000}, NULL);
    uint64_t passed = clock_now_ns() - start;
    assert_in_range(passed, 2000000, 2000000000);
}

static void stamps_have_the_iso_form_of_now(void **state) {
    (void)state;
    char text[32];
    time_t before = time(NULL);
    clock_utc_iso8601(text);
    assert_int_equal(strlen(text), 20);
    struct tm parts = {0};
    char *rest = strptime(text, "%Y-%m-%dT%H:%M:%SZ", &parts);
    assert_non_null(rest);
    assert_int_equal(*rest, 0);
    assert_in_range(timegm(&parts), before, before + 5);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(monotonic_time_advances_in_nanoseconds),
        cmocka_unit_test(stamps_have_the_iso_form_of_now),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
