#include "app/ui/terminal.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

static const TerminalEnv USUAL = {.term = "xterm", .locale = "en_US.UTF-8"};

static void a_usual_terminal_has_everything(void **state) {
    (void)state;
    Terminal terminal = terminal_decide(true, 120, &USUAL);
    assert_true(terminal.has_colour);
    assert_true(terminal.has_glyphs);
    assert_true(terminal.is_utf8);
    assert_int_equal(terminal.width, 120);
    assert_string_equal(terminal_style(&terminal, STYLE_BOLD), "\033[1m");
}

static void a_pipe_has_text_only(void **state) {
    (void)state;
    TerminalEnv plain = {.term = "xterm", .locale = "C"};
    Terminal terminal = terminal_decide(false, 0, &plain);
    assert_false(terminal.has_colour);
    assert_false(terminal.has_glyphs);
    assert_true(terminal.is_utf8);
    assert_int_equal(terminal.width, 80);
    assert_string_equal(terminal_style(&terminal, STYLE_RED), "");
}

static void no_color_and_dumb_terminals_are_obeyed(void **state) {
    (void)state;
    TerminalEnv env = USUAL;
    env.no_color = "1";
    assert_false(terminal_decide(true, 80, &env).has_colour);
    assert_false(terminal_decide(true, 80, &env).has_glyphs);
    env.no_color = "";
    assert_true(terminal_decide(true, 80, &env).has_colour);
    env.term = "dumb";
    assert_false(terminal_decide(true, 80, &env).has_colour);
    env.term = NULL;
    assert_false(terminal_decide(true, 80, &env).has_colour);
}

static void the_locale_decides_about_glyphs(void **state) {
    (void)state;
    const struct {
        const char *locale;
        bool is_utf8;
    } cases[] = {{"de_DE.utf8", true},  {"C.UTF-8", true},
                 {"UTF-8", true},       {"C", false},
                 {NULL, false},         {"de_DE.UTF-8@euro", true},
                 {"de_DE@euro", false}, {"de_DE.ISO-8859-1", false}};
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        TerminalEnv env = USUAL;
        env.locale = cases[i].locale;
        assert_int_equal(terminal_decide(true, 80, &env).has_glyphs, cases[i].is_utf8);
    }
}

static void columns_overrules_a_sensible_width(void **state) {
    (void)state;
    TerminalEnv env = USUAL;
    env.columns = "60";
    assert_int_equal(terminal_decide(true, 120, &env).width, 60);
    env.columns = "x";
    assert_int_equal(terminal_decide(true, 120, &env).width, 120);
    env.columns = "1";
    assert_int_equal(terminal_decide(true, 5, &env).width, 80);
}

static void sizes_are_powers_of_1024_with_one_decimal(void **state) {
    (void)state;
    const struct {
        double bytes;
        const char *text;
    } cases[] = {{0, "0 B"},          {1023, "1023 B"},
                 {1024, "1.0 KB"},    {268435456, "256.0 MB"},
                 {1048575, "1.0 MB"}, {5368709120.0, "5.0 GB"}};
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        char text[32];
        format_bytes(text, cases[i].bytes);
        assert_string_equal(text, cases[i].text);
    }
}

static void counts_are_grouped(void **state) {
    (void)state;
    char text[32];
    format_count(text, 66955010);
    assert_string_equal(text, "66,955,010");
    format_count(text, -1234);
    assert_string_equal(text, "-1,234");
    format_count(text, -123);
    assert_string_equal(text, "-123");
    format_count(text, INT64_MIN);
    assert_string_equal(text, "-9,223,372,036,854,775,808");
}

static void without_utf8_text_is_shown_in_ascii(void **state) {
    (void)state;
    Terminal utf8 = terminal_decide(true, 80, &USUAL);
    TerminalEnv env = {.term = "xterm", .locale = "ru_RU.KOI8-R"};
    Terminal koi8 = terminal_decide(true, 80, &env);
    Buf out = BUF_INIT(1024);
    text_append_shown(&out, SV("a\u00e9\u2026 \u65e5 \u2022"), &utf8);
    assert_string_equal(out.ptr, "a\u00e9\u2026 \u65e5 \u2022");
    buf_clear(&out);
    text_append_shown(&out, SV("a\u00e9\u2026 \u65e5 \u2022\n"), &koi8);
    assert_string_equal(out.ptr, "a?... ?? *\n");
    buf_free(&out);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_usual_terminal_has_everything),
        cmocka_unit_test(a_pipe_has_text_only),
        cmocka_unit_test(no_color_and_dumb_terminals_are_obeyed),
        cmocka_unit_test(the_locale_decides_about_glyphs),
        cmocka_unit_test(columns_overrules_a_sensible_width),
        cmocka_unit_test(sizes_are_powers_of_1024_with_one_decimal),
        cmocka_unit_test(counts_are_grouped),
        cmocka_unit_test(without_utf8_text_is_shown_in_ascii),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
