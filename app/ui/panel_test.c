#include "app/ui/panel.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

static void expect(const Terminal *terminal, const char *text, const char *panel) {
    Buf out = BUF_INIT(4096);
    panel_print(&out, "Done", sv(text), terminal);
    assert_string_equal(out.ptr, panel);
    buf_free(&out);
}

static void a_pipe_gets_the_lines_alone(void **state) {
    (void)state;
    Terminal pipe = {.is_utf8 = true, .width = 80};
    expect(&pipe, "✓ one\ntwo\n", "Done\n✓ one\ntwo\n");
}

static void a_terminal_gets_a_box(void **state) {
    (void)state;
    Terminal fine = {.is_terminal = true, .has_glyphs = true, .is_utf8 = true, .width = 80};
    expect(&fine, "✓ one two\nthree\n",
           "╭─ Done ────╮\n│ ✓ one two │\n│ three     │\n╰───────────╯\n");
    Terminal plain = {.is_terminal = true, .is_utf8 = true, .width = 80};
    expect(&plain, "a\n", "+- Done -+\n| a      |\n+--------+\n");
}

static void a_long_line_goes_on_below(void **state) {
    (void)state;
    Terminal narrow = {.is_terminal = true, .is_utf8 = true, .width = 12};
    expect(&narrow, "0123456789\n", "+- Done ---+\n| 01234567 |\n| 89       |\n+----------+\n");
}

static void escape_codes_are_made_harmless(void **state) {
    (void)state;
    Terminal pipe = {.is_utf8 = true, .width = 80};
    expect(&pipe, "a\033[31m\n", "Done\na?[31m\n");
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_pipe_gets_the_lines_alone),
        cmocka_unit_test(a_terminal_gets_a_box),
        cmocka_unit_test(a_long_line_goes_on_below),
        cmocka_unit_test(escape_codes_are_made_harmless),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
