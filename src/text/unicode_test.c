// The generated tables and utf8proc fit each other: what the tables call decomposable decomposes,
// and composing undoes it.
#include "text/unicode.h"

#include "base/memory.h"

#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

static UnicodeTable table;

static int set_up(void **state) {
    (void)state;
    return unicode_table_init(&table, NULL) != STATUS_OK;
}

static int tear_down(void **state) {
    (void)state;
    unicode_table_free(&table);
    return 0;
}

static void flagged_code_points_decompose(void **state) {
    (void)state;
    size_t canonical = 0, compatible = 0;
    for (uint32_t c = 0; c < 0x110000; c++) {
        uint32_t parts[UNICODE_MAX_DECOMPOSED];
        bool is_nfd = unicode_class(&table, c) & CLASS_NFD;
        bool is_nfkd = unicode_class(&table, c) & CLASS_NFKD;
        int count = unicode_decompose(parts, &table, c, false);
        if ((count > 1 || parts[0] != c) != is_nfd)
            fail_msg("U+%04X: canonical decomposition", c);
        count = unicode_decompose(parts, &table, c, true);
        if ((count > 1 || parts[0] != c) != is_nfkd)
            fail_msg("U+%04X: compatibility decomposition", c);
        // Every canonical decomposition is a compatible one, too.
        assert_true(!is_nfd || is_nfkd);
        canonical += is_nfd;
        compatible += is_nfkd;
    }
    assert_int_equal(canonical, 13232);
    assert_int_equal(compatible, 16894);
}

static void two_parts_compose_to_what_they_came_from(void **state) {
    (void)state;
    size_t composed = 0, excluded = 0;
    for (uint32_t c = 0; c < 0x110000; c++) {
        uint32_t parts[UNICODE_MAX_DECOMPOSED];
        if (unicode_decompose(parts, &table, c, false) != 2)
            continue;
        uint32_t again = unicode_compose(&table, parts[0], parts[1]);
        composed += again == c;
        excluded += again == 0;
    }
    // Hangul's 399 pairs and the others; the rest is excluded from composition by Unicode.
    assert_true(composed > 1000);
    assert_true(excluded < 120);
    assert_int_equal(unicode_compose(&table, 'e', 0x301), 0xe9);
    assert_int_equal(unicode_compose(&table, 0x1100, 0x1161), 0xac00);
    assert_int_equal(unicode_compose(&table, 0xac00, 0x11a8), 0xac01);
    assert_int_equal(unicode_compose(&table, 0xac00, 0x11a7), 0);
    assert_int_equal(unicode_compose(&table, 0x915, 0x93c), 0);
}

static void combining_classes_are_known(void **state) {
    (void)state;
    for (uint32_t c = 0; c < 0x110000; c++) {
        bool is_ordered = unicode_class(&table, c) & CLASS_ORDERED;
        if ((unicode_combining_class(&table, c) != 0) != is_ordered)
            fail_msg("U+%04X has no combining class", c);
    }
    assert_int_equal(unicode_combining_class(&table, 0x301), 230);
    assert_int_equal(unicode_combining_class(&table, 'a'), 0);
}

static void lower_case_is_one_step(void **state) {
    (void)state;
    for (uint32_t c = 0; c < 0x110000; c++) {
        uint32_t lower[UNICODE_MAX_LOWER], again[UNICODE_MAX_LOWER];
        int count = unicode_lower(lower, c);
        bool is_flagged = unicode_class(&table, c) & CLASS_LOWER;
        assert_int_equal(count > 1 || lower[0] != c, is_flagged);
        unicode_lower(again, lower[0]);
        assert_int_equal(again[0], lower[0]);
    }
    uint32_t lower[UNICODE_MAX_LOWER];
    assert_int_equal(unicode_lower(lower, 0x130), 2);
    assert_int_equal(lower[1], 0x307);
}

static void clusters_hold_what_belongs_together(void **state) {
    (void)state;
    static const struct {
        StrView text;
        size_t len;
    } cases[] = {
        {SV("ab"), 1},
        {SV("a\xcc\x81"
            "b"),
         3},
        {SV("\r\nx"), 2},
        {SV("\xe1\x84\x80\xe1\x85\xa1\xe1\x86\xa8x"), 9},
        {SV("\xf0\x9f\x87\xa9\xf0\x9f\x87\xaa\xf0\x9f\x87\xab"), 8},
        {SV("\xf0\x9f\x91\xa8\xe2\x80\x8d\xf0\x9f\x91\xa9x"), 11},
        {SV("x"), 1},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++)
        assert_int_equal(unicode_grapheme_len(&table, cases[i].text), cases[i].len);
}

static void range_lists_join_and_invert(void **state) {
    (void)state;
    RangeList list = {.count = 0};
    range_list_add(&list, 'x', 'z');
    range_list_add(&list, 'a', 'c');
    range_list_add(&list, 'd', 'd');
    range_list_add(&list, 'b', 'c');
    range_list_finish(&list, false);
    assert_int_equal(list.count, 2);
    assert_int_equal(list.items[0].last, 'd');
    range_list_finish(&list, true);
    assert_int_equal(list.count, 3);
    assert_int_equal(list.items[1].first, 'e');
    assert_int_equal(list.items[2].last, 0x10ffff);
    mem_free(list.items);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(flagged_code_points_decompose),
        cmocka_unit_test(two_parts_compose_to_what_they_came_from),
        cmocka_unit_test(combining_classes_are_known),
        cmocka_unit_test(lower_case_is_one_step),
        cmocka_unit_test(clusters_hold_what_belongs_together),
        cmocka_unit_test(range_lists_join_and_invert),
    };
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
