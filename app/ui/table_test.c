#include "app/ui/table.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

static const Terminal PIPE = {.is_utf8 = true, .width = 80};
static const Terminal BOX = {.is_terminal = true, .has_glyphs = true, .is_utf8 = true, .width = 80};
static const Terminal ASCII_TERMINAL = {.is_terminal = true, .width = 80};
static const char *const HEADERS[] = {"Name", "Value"};

static void expect(const Table *table, const Terminal *terminal, const char *expected) {
    Buf out = BUF_INIT(1 << 20);
    assert_int_equal(table_print(&out, table, terminal), STATUS_OK);
    assert_string_equal(out.ptr, expected);
    buf_free(&out);
}

static Table small_table(void) {
    Table table = table_new("T", HEADERS, 2);
    table_add_pair(&table, "mark", "✅ Yes");
    table_add_pair(&table, "none", NULL);
    return table;
}

static void a_pipe_gets_plain_columns(void **state) {
    (void)state;
    Table table = small_table();
    expect(&table, &PIPE,
           "T\n"
           "Name  Value\n"
           "mark  ✅ Yes\n"
           "none  N/A\n");
    table_free(&table);
}

static void a_terminal_gets_a_box(void **state) {
    (void)state;
    Table table = small_table();
    expect(&table, &BOX,
           "        T\n"
           "┏━━━━━━┳━━━━━━━━┓\n"
           "┃ Name ┃ Value  ┃\n"
           "┡━━━━━━╇━━━━━━━━┩\n"
           "│ mark │ ✅ Yes │\n"
           "│ none │ N/A    │\n"
           "└──────┴────────┘\n");
    table_free(&table);
}

static void without_utf8_the_box_is_ascii(void **state) {
    (void)state;
    Table table = small_table();
    expect(&table, &ASCII_TERMINAL,
           "       T\n"
           "+------+-------+\n"
           "| Name | Value |\n"
           "+------+-------+\n"
           "| mark | Yes   |\n"
           "| none | N/A   |\n"
           "+------+-------+\n");
    table_free(&table);
}

static void colour_appears_only_where_it_is_welcome(void **state) {
    (void)state;
    Terminal coloured = BOX;
    coloured.has_colour = true;
    Table table = small_table();
    Buf out = BUF_INIT(1 << 20);
    assert_int_equal(table_print(&out, &table, &coloured), STATUS_OK);
    assert_non_null(strstr(out.ptr, "\033[1m"));
    buf_clear(&out);
    assert_int_equal(table_print(&out, &table, &BOX), STATUS_OK);
    assert_null(strchr(out.ptr, '\033'));
    buf_free(&out);
    table_free(&table);
}

static void escape_codes_in_cells_are_harmless(void **state) {
    (void)state;
    Table table = table_new("T", HEADERS, 2);
    table_add_pair(&table, "a\033[31mb", "c\nd\r\te\x7f");
    expect(&table, &PIPE,
           "T\n"
           "Name     Value\n"
           "a?[31mb  c d e?\n");
    table_free(&table);
}

static void numbers_are_aligned_right(void **state) {
    (void)state;
    Table table = table_new("T", HEADERS, 2);
    table.is_right[1] = true;
    table_add_pair(&table, "a", "1");
    table_add_pair(&table, "b", "1000000");
    expect(&table, &PIPE,
           "T\n"
           "Name    Value\n"
           "a           1\n"
           "b     1000000\n");
    table_free(&table);
}

static void a_wide_table_wraps_to_the_terminal(void **state) {
    (void)state;
    Terminal narrow = ASCII_TERMINAL;
    narrow.width = 24;
    Table table = table_new("T", HEADERS, 2);
    table_add_pair(&table, "a", "one two three four fiiiiiiiiiiiiiiiive");
    Buf out = BUF_INIT(1 << 20);
    assert_int_equal(table_print(&out, &table, &narrow), STATUS_OK);
    for (const char *line = out.ptr; *line != '\0';) {
        size_t len = strcspn(line, "\n");
        assert_true(len <= 24);
        line += len + 1;
    }
    assert_non_null(strstr(out.ptr, "| a    | one two three |"));
    assert_non_null(strstr(out.ptr, "|      | four          |"));
    buf_free(&out);
    table_free(&table);
}

static void wide_characters_take_two_columns(void **state) {
    (void)state;
    assert_int_equal(text_width(SV("日本")), 4);
    assert_int_equal(text_width(SV("é")), 1);
    assert_int_equal(text_width(SV("e\xCC\x81")), 1);
    assert_int_equal(text_width(SV("✅ Yes")), 6);
}

static void exhausted_memory_is_an_error(void **state) {
    (void)state;
    for (size_t n = 1; n < 12; n++) {
        Buf out = BUF_INIT(1 << 20);
        mem_fail_after(n);
        Table table = small_table();
        Status status = table_print(&out, &table, &PIPE);
        mem_fail_after(0);
        assert_true(status == STATUS_OK || status == STATUS_OUT_OF_MEMORY);
        if (n == 1)
            assert_int_equal(status, STATUS_OUT_OF_MEMORY);
        buf_free(&out);
        table_free(&table);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_pipe_gets_plain_columns),
        cmocka_unit_test(a_terminal_gets_a_box),
        cmocka_unit_test(without_utf8_the_box_is_ascii),
        cmocka_unit_test(colour_appears_only_where_it_is_welcome),
        cmocka_unit_test(escape_codes_in_cells_are_harmless),
        cmocka_unit_test(numbers_are_aligned_right),
        cmocka_unit_test(a_wide_table_wraps_to_the_terminal),
        cmocka_unit_test(wide_characters_take_two_columns),
        cmocka_unit_test(exhausted_memory_is_an_error),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
