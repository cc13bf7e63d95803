#include "app/cli/hub.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

static void age_is(int64_t seconds, const char *text) {
    char out[32];
    // 2025-01-01T00:00:00Z
    format_age(out, "2025-01-01T00:00:00.000Z", 1735689600 + seconds);
    assert_string_equal(out, text);
}

static void an_age_is_told_in_its_largest_unit(void **state) {
    (void)state;
    age_is(-5, "just now");
    age_is(59, "just now");
    age_is(60, "1 minute ago");
    age_is(3 * 3600 + 5, "3 hours ago");
    age_is(86400, "1 day ago");
    age_is(20 * 86400, "2 weeks ago");
    age_is(90 * 86400, "3 months ago");
    age_is(800 * 86400, "2 years ago");
}

static void what_is_no_date_stays_as_it_is(void **state) {
    (void)state;
    char out[32];
    format_age(out, "yesterday, or the day before that, or earlier", 0);
    assert_string_equal(out, "yesterday, or the day before th");
    format_age(out, NULL, 0);
    assert_string_equal(out, "");
}

static void count_is(int64_t count, const char *text) {
    char out[32];
    format_short_count(out, count);
    assert_string_equal(out, text);
}

static void counts_are_short(void **state) {
    (void)state;
    count_is(0, "0");
    count_is(999, "999");
    count_is(1000, "1.0K");
    count_is(12345, "12.3K");
    count_is(999949, "999.9K");
    count_is(999999, "1.0M");
    count_is(116900000, "116.9M");
    count_is(INT64_C(2500000000), "2.5B");
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(an_age_is_told_in_its_largest_unit),
        cmocka_unit_test(what_is_no_date_stays_as_it_is),
        cmocka_unit_test(counts_are_short),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
