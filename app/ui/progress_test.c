#include "app/ui/progress.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

static const ProgressState HALF = {
    .share = 0.5, .first = 0, .count = 1234, .seconds = 10, .unit = "lines"};

static void expect(const Terminal *terminal, const ProgressState *state, const char *line) {
    Buf out = BUF_INIT(4096);
    progress_format(&out, terminal, state);
    assert_string_equal(out.ptr, line);
    buf_free(&out);
}

static void the_line_has_bar_share_count_rate_and_time_left(void **state) {
    (void)state;
    Terminal plain = {.is_terminal = true, .width = 100};
    expect(&plain, &HALF,
           "####################--------------------   50 %  1,234 lines  123.4/s  ETA 0:10");
    Terminal fine = {.is_terminal = true, .width = 58, .has_glyphs = true, .has_colour = true};
    expect(&fine, &HALF,
           "\033[36m━━━━━━━━━\033[0m─────────   50 %  1,234 lines  123.4/s  ETA 0:10");
}

static void what_does_not_fit_is_left_out(void **state) {
    (void)state;
    Terminal terminal = {.is_terminal = true, .width = 48};
    expect(&terminal, &HALF, " 50 %  1,234 lines  123.4/s  ETA 0:10");
    terminal.width = 30;
    expect(&terminal, &HALF, " 50 %  1,234  ETA 0:10");
    for (int width = 30; width < 200; width++) {
        Buf out = BUF_INIT(4096);
        terminal.width = width;
        progress_format(&out, &terminal, &HALF);
        assert_true((int)out.len < width);
        buf_free(&out);
    }
}

static void without_a_known_whole_there_is_no_share(void **state) {
    (void)state;
    Terminal terminal = {.is_terminal = true, .width = 80};
    ProgressState unknown = {.share = -1, .first = -1, .count = 5, .seconds = 2, .unit = "lines"};
    expect(&terminal, &unknown, "5 lines  2.5/s");
}

static void a_resumed_work_counts_its_own_time_only(void **state) {
    (void)state;
    Terminal terminal = {.is_terminal = true, .width = 40};
    ProgressState late = {
        .share = 0.75, .first = 0.5, .count = 100, .seconds = 60, .unit = "lines"};
    expect(&terminal, &late, " 75 %  100 lines  1.7/s  ETA 1:00");
}

static void a_full_and_an_empty_bar_keep_to_their_width(void **state) {
    (void)state;
    Terminal terminal = {.is_terminal = true, .width = 100};
    ProgressState none = {.share = 0, .first = 0, .count = 0, .seconds = 0, .unit = "lines"};
    expect(&terminal, &none, "----------------------------------------    0 %  0 lines");
    ProgressState all = {.share = 1.5, .first = 0, .count = 1, .seconds = 1, .unit = "lines"};
    expect(&terminal, &all,
           "########################################  100 %  1 lines  1.0/s  ETA 0:00");
}

static void times_are_short(void **state) {
    (void)state;
    const struct {
        double seconds;
        const char *text;
    } cases[] = {{0, "0:00"},          {7.4, "0:07"},      {754, "12:34"}, {12345, "3:25:45"},
                 {1036800, "12 days"}, {1e300, "-"},       {-1, "-"},      {59.6, "1:00"},
                 {3599.7, "1:00:00"},  {0.0 / 1.0, "0:00"}};
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        char text[32];
        format_seconds(text, cases[i].seconds);
        assert_string_equal(text, cases[i].text);
    }
}

static void nothing_is_drawn_where_there_is_no_terminal(void **state) {
    (void)state;
    Terminal pipe = {.width = 80};
    Progress progress = progress_begin(&pipe, "lines", 0);
    progress_update(&progress, 0.5, 10);
    assert_false(progress.is_drawn);
    progress_clear(&progress);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_line_has_bar_share_count_rate_and_time_left),
        cmocka_unit_test(what_does_not_fit_is_left_out),
        cmocka_unit_test(without_a_known_whole_there_is_no_share),
        cmocka_unit_test(a_resumed_work_counts_its_own_time_only),
        cmocka_unit_test(a_full_and_an_empty_bar_keep_to_their_width),
        cmocka_unit_test(times_are_short),
        cmocka_unit_test(nothing_is_drawn_where_there_is_no_terminal),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
