// Classes mean what the generated tables say, and what would mean something else is refused.
#include "text/regex.h"

#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

static bool matches(const char *pattern, const char *text) {
    Regex *regex;
    RegexMatcher *matcher;
    Error error;
    if (regex_compile(&regex, sv(pattern), &error) != STATUS_OK)
        fail_msg("%s", error.message);
    assert_int_equal(regex_matcher_new(&matcher, regex, NULL), STATUS_OK);
    bool found;
    size_t begin = 0, end = 0;
    assert_int_equal(regex_find(&found, &begin, &end, matcher, sv(text), 0, NULL), STATUS_OK);
    regex_matcher_free(matcher);
    regex_free(regex);
    return found && begin == 0 && end == strlen(text);
}

static void classes_follow_the_tables(void **state) {
    (void)state;
    assert_true(matches("\\p{L}+", "a\xc3\xa9\xe4\xb8\xad"));
    assert_true(matches("\\p{Lu}", "\xc3\x89"));
    assert_false(matches("\\p{Ll}", "\xc3\x89"));
    assert_true(matches("\\pN+", "7\xc2\xb2"));
    assert_true(matches("\\P{L}", "7"));
    assert_true(matches("\\p{^L}", "7"));
    assert_true(matches("[^\\P{L}x]", "y"));
    assert_false(matches("[^\\P{L}x]", "x"));
    assert_true(matches("[\\p{Han}\\d_-]+", "\xe4\xb8\xad_-9"));
    assert_true(matches("\\s+", " \xc2\xa0\xe3\x80\x80\n"));
    assert_true(matches("[\\u4e00-\\u9fa5]", "\xe4\xb8\xad"));
    assert_true(matches("\\x{4e2d}\\x41", "\xe4\xb8\xad"
                                          "A"));
    assert_true(matches("[]a]+", "]a"));
    assert_true(matches("[\\]\\n\\-]+", "]\n-"));
    assert_true(matches("(?i:AB)+", "abAB"));
}

// The library's engine has a larger \w outside a set than in one.
static void superscripts_are_words_outside_sets_only(void **state) {
    (void)state;
    assert_true(matches("\\w", "\xc2\xb2"));
    assert_false(matches("[\\w]", "\xc2\xb2"));
    assert_true(matches("[\\W]", "\xc2\xb2"));
    assert_false(matches("\\w", "\xe2\x80\x8d"));
}

static void unclear_syntax_is_refused(void **state) {
    (void)state;
    static const char *const patterns[] = {
        "(",   "[a",    "[[:alpha:]]", "[a&&b]", "\\p{Klingon}", "\\p{L", "\\h",   "\\X",
        "\\K", "[\\q]", "[b-a]",       "\\u12",  "\\",           "[\\",   "a**b(", "\\C",
    };
    for (size_t i = 0; i < sizeof patterns / sizeof patterns[0]; i++) {
        Regex *regex;
        Error error;
        Status status = regex_compile(&regex, sv(patterns[i]), &error);
        if (status == STATUS_OK || !error.message[0])
            fail_msg("\"%s\" was accepted", patterns[i]);
        assert_null(regex);
    }
}

static void runaway_patterns_hit_a_limit(void **state) {
    (void)state;
    Regex *regex;
    RegexMatcher *matcher;
    bool found;
    size_t begin, end;
    assert_int_equal(regex_compile(&regex, SV("(a+)+(b+)+(a|b|ab)+c(?=d)"), NULL), STATUS_OK);
    assert_int_equal(regex_matcher_new(&matcher, regex, NULL), STATUS_OK);
    char text[600];
    for (size_t i = 0; i < sizeof text; i++)
        text[i] = i < 300 ? 'a' : 'b';
    text[599] = 'c';
    assert_int_equal(regex_find(&found, &begin, &end, matcher, sv_n(text, sizeof text), 0, NULL),
                     STATUS_LIMIT);
    regex_matcher_free(matcher);
    regex_free(regex);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(classes_follow_the_tables),
        cmocka_unit_test(superscripts_are_words_outside_sets_only),
        cmocka_unit_test(unclear_syntax_is_refused),
        cmocka_unit_test(runaway_patterns_hit_a_limit),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
