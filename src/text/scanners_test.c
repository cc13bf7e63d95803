// The hand-written scanners cut random texts exactly where the regular expressions do.
#include "text/pipeline.h"

#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

#define GPT2 "'s|'t|'re|'ve|'m|'ll|'d| ?\\p{L}+| ?\\p{N}+| ?[^\\s\\p{L}\\p{N}]+|\\s+(?!\\S)|\\s+"
#define CL100K(digits)                                                                             \
    "(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\\r\\n\\p{L}\\p{N}]?\\p{L}+|\\p{N}" digits                     \
    "| ?[^\\s\\p{L}\\p{N}]+[\\r\\n]*|\\s*[\\r\\n]+|\\s+(?!\\S)|\\s+"

static uint32_t next_random(uint64_t *state) {
    *state = *state * 6364136223846793005u + 1442695040888963407u;
    return (uint32_t)(*state >> 33);
}

// What the patterns tell apart, plus neighbours in other scripts.
static const uint32_t ALPHABET[] = {
    ' ',   ' ',    ' ',    '\n',   '\r',   '\t',    '\'',     '\'', 's',     't',   'r',
    'e',   'v',    'm',    'l',    'd',    'S',     'L',      'x',  'Z',     '0',   '7',
    '.',   ',',    '-',    '/',    '_',    0xa0,    0xb2,     0xe9, 0x17f,   0x300, 0x3b1,
    0x660, 0x2028, 0x3000, 0x4e2d, 0x200d, 0x1f44d, 0x10ffff, 0x85, 0x1d7ce,
};

static size_t random_text(char *out, size_t count, uint64_t *state) {
    size_t len = 0;
    for (size_t i = 0; i < count; i++)
        len += (size_t)utf8_encode(
            out + len, ALPHABET[next_random(state) % (sizeof ALPHABET / sizeof ALPHABET[0])]);
    return len;
}

static void assert_same_cuts(const char *pattern, uint32_t max_digits) {
    UnicodeTable unicode;
    Regex *regex;
    RegexMatcher *matcher;
    uint64_t random = 42;
    assert_int_equal(unicode_table_init(&unicode, NULL), STATUS_OK);
    assert_int_equal(regex_compile(&regex, sv(pattern), NULL), STATUS_OK);
    assert_int_equal(regex_matcher_new(&matcher, regex, NULL), STATUS_OK);
    for (int round = 0; round < 20000; round++) {
        char bytes[4 * 24];
        StrView text = sv_n(bytes, random_text(bytes, 1 + next_random(&random) % 24, &random));
        for (size_t pos = 0; pos < text.len;) {
            bool found;
            size_t begin, end;
            assert_int_equal(regex_find(&found, &begin, &end, matcher, text, pos, NULL), STATUS_OK);
            assert_true(found);
            assert_int_equal(begin, pos);
            size_t cut = max_digits ? cl100k_word_end(&unicode, text, pos, max_digits)
                                    : gpt2_word_end(&unicode, text, pos);
            if (cut != end)
                fail_msg("\"%.*s\" at %zu: %zu, not %zu", (int)text.len, text.ptr, pos, cut, end);
            pos = end;
        }
    }
    regex_matcher_free(matcher);
    regex_free(regex);
    unicode_table_free(&unicode);
}

static void gpt2_scanner_cuts_as_its_regular_expression(void **state) {
    (void)state;
    assert_same_cuts(GPT2, 0);
}

static void cl100k_scanner_cuts_as_its_regular_expression(void **state) {
    (void)state;
    assert_same_cuts(CL100K("{1,3}"), 3);
    assert_same_cuts(CL100K(""), 1);
}

static void byte_alphabet_is_a_bijection(void **state) {
    (void)state;
    int bytes = 0;
    for (uint32_t c = 0; c < 0x110000; c++)
        bytes += byte_level_byte(c) >= 0;
    assert_int_equal(bytes, 256);
    for (int byte = 0; byte < 256; byte++)
        assert_int_equal(byte_level_byte(byte_level_char((uint8_t)byte)), byte);
    assert_int_equal(byte_level_char(' '), 0x120);
    assert_int_equal(byte_level_char('A'), 'A');
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(gpt2_scanner_cuts_as_its_regular_expression),
        cmocka_unit_test(cl100k_scanner_cuts_as_its_regular_expression),
        cmocka_unit_test(byte_alphabet_is_a_bijection),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
