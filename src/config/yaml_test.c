// The tree as YAML and JSON texts give it: kinds, lines, duplicates, aliases and every limit.
#include "config/tree.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

// Text form of a tree: lists in [], maps in {}, plain scalars bare, quoted ones in quotes.
static void dump(Buf *out, const TreeNode *node) {
    if (node->kind == TREE_SCALAR) {
        buf_printf(out, node->is_plain ? "%s" : "'%s'", node->text.ptr);
        return;
    }
    buf_append_byte(out, node->kind == TREE_MAP ? '{' : '[');
    for (const TreeItem *item = node->first; item; item = item->next) {
        if (item != node->first)
            buf_append_cstr(out, ", ");
        if (node->kind == TREE_MAP)
            buf_printf(out, "%s%.*s:", item->is_shadowed ? "!" : "", (int)item->key.len,
                       item->key.ptr);
        dump(out, item->value);
    }
    buf_append_byte(out, node->kind == TREE_MAP ? '}' : ']');
}

static void expect_tree(const char *text, const char *expected) {
    Tree tree = {0};
    Error error = {0};
    Buf out = BUF_INIT(1 << 20);
    if (tree_parse(&tree, sv(text), NULL, &error) != STATUS_OK)
        fail_msg("%s", error.message);
    buf_append_cstr(&out, "");
    if (tree.root)
        dump(&out, tree.root);
    assert_string_equal(tree.root ? out.ptr : "", expected);
    buf_free(&out);
    tree_free(&tree);
}

static void expect_error_of(StrView text, Status status, const char *expected) {
    Tree tree = {0};
    Error error = {0};
    assert_int_equal(tree_parse(&tree, text, NULL, &error), status);
    if (!strstr(error.message, expected))
        fail_msg("got: %s", error.message);
    tree_free(&tree);
}

static void expect_error(const char *text, const char *expected) {
    expect_error_of(sv(text), STATUS_INVALID, expected);
}

static void block_and_flow_style_give_the_same_tree(void **state) {
    (void)state;
    expect_tree("a: 1\nb:\n  - x\n  - 'y'\nc: {d: \"e\"}\n", "{a:1, b:[x, 'y'], c:{d:'e'}}");
    expect_tree("{a: 1, b: [x, 'y'], c: {d: \"e\"}}", "{a:1, b:[x, 'y'], c:{d:'e'}}");
}

static void block_texts_and_comments_are_read(void **state) {
    (void)state;
    expect_tree("# top\na: |\n  one\n  two\nb: >-\n  three\n  four # kept\nc: x # gone\n",
                "{a:'one\ntwo\n', b:'three four # kept', c:x}");
}

static void an_empty_document_has_no_root(void **state) {
    (void)state;
    expect_tree("", "");
    expect_tree("# only a comment\n", "");
    expect_tree("---\n", "");
}

static void a_byte_order_mark_is_skipped(void **state) {
    (void)state;
    expect_tree("\xEF\xBB\xBF"
                "a: b\n",
                "{a:b}");
    expect_tree("\xEF\xBB\xBF{\"a\": \"b\"}", "{a:'b'}");
}

static void the_last_of_duplicate_keys_counts(void **state) {
    (void)state;
    expect_tree("%YAML 1.2\n---\na: 1\nb: 2\na: 3\n", "{!a:1, b:2, a:3}");
    expect_tree("{\"a\": 1, \"b\": 2, \"a\": 3}", "{!a:1, b:2, a:3}");
}

static void aliases_share_their_anchor(void **state) {
    (void)state;
    expect_tree("a: &x {k: 1}\nb: *x\nc: [*x, *x]\n", "{a:{k:1}, b:{k:1}, c:[{k:1}, {k:1}]}");
    expect_tree("a: &x one\nb: &x two\nc: *x\n", "{a:one, b:two, c:two}");
}

static void merged_keys_are_weaker_than_written_ones(void **state) {
    (void)state;
    expect_tree("a: &x {k: 1, l: 2}\nb: {k: 9, <<: *x}\nc: {<<: *x, k: 8}\n",
                "{a:{k:1, l:2}, b:{k:9, l:2}, c:{k:8, l:2}}");
    expect_tree("a: &x {k: 1}\nb: &y {k: 2, m: 3}\nc:\n  <<: [*x, *y]\n",
                "{a:{k:1}, b:{k:2, m:3}, c:{k:1, m:3}}");
    expect_error("a: {<<: 5}\n", "needs a map");
}

static void json_keeps_numbers_as_written_and_knows_lines(void **state) {
    (void)state;
    expect_tree("{\"v\": 1.10, \"n\": null, \"s\": \"a\\u00e9\\n\", \"l\": [true, {}]}",
                "{v:1.10, n:null, s:'a\u00e9\n', l:[true, {}]}");
    Tree tree = {0};
    const char *text = "{\n \"a\": 1,\n\n \"b\": {\n  \"c\": [\n 5]}}\n";
    assert_int_equal(tree_parse(&tree, sv(text), NULL, NULL), STATUS_OK);
    const TreeNode *b = tree_get(tree.root, SV("b"));
    assert_int_equal(tree_get(tree.root, SV("a"))->line, 2);
    assert_int_equal(b->line, 4);
    assert_int_equal(b->first->line, 5);
    assert_int_equal(b->first->value->first->value->line, 6);
    tree_free(&tree);
}

static void yaml_knows_lines(void **state) {
    (void)state;
    Tree tree = {0};
    assert_int_equal(tree_parse(&tree, SV("a: 1\n\nb:\n  c: [\n   5]\n"), NULL, NULL), STATUS_OK);
    const TreeNode *b = tree_get(tree.root, SV("b"));
    assert_int_equal(tree_get(tree.root, SV("a"))->line, 1);
    assert_int_equal(b->first->line, 4);
    assert_int_equal(b->first->value->first->value->line, 5);
    tree_free(&tree);
}

static void bad_yaml_names_line_and_column(void **state) {
    (void)state;
    expect_error("a: 1\n\tb: 2\n", "Invalid YAML in configuration file: found a tab");
    expect_error("a:\n\t- 2\n", "line 2 column 1");
    expect_error("a: [1, 2\nb: 3\n", "Invalid YAML in configuration file: ");
    expect_error("a: 'open\n", ", line 2 column 1");
    expect_error("a: b: c\n", "line 1 column 5");
    expect_error("a: 1\n---\nb: 2\n", "found a second document, line 2 column 1");
    expect_error("a: !!python/object:os.system x\n",
                 "tag that has no meaning here, line 1 column 4");
    expect_error("? [a]\n: b\n", "a key must be a word");
}

static void a_flow_map_that_is_no_json_is_still_yaml(void **state) {
    (void)state;
    expect_tree("{a: 1, \"b\": , c: [x,]}\n", "{a:1, b:, c:[x]}");
}

static void bad_json_is_told_as_json(void **state) {
    (void)state;
    expect_error("{\"a\": 1,\n \"b\": ]}", "line 2");
    expect_error("{\"a\": [1, 2}", "Invalid JSON in configuration file: ");
}

static void bytes_that_are_no_text_are_refused_with_their_line(void **state) {
    (void)state;
    expect_error("a: 1\nb: x\xFFy\n", "found a byte that is not UTF-8, line 2 column 5");
    expect_error("a: 1\nbc: \x01\n", "line 2 column 5");
    expect_error_of(sv_n("a: \0b", 5), STATUS_INVALID, "line 1 column 4");
    expect_error("a: \"x\\0y\"\n", "NUL character");
    expect_error("{\"a\": \"x\\u0000y\"}", "NUL character");
}

static void aliases_need_a_closed_anchor(void **state) {
    (void)state;
    expect_error("a: *x\n", "alias without an anchor, line 1 column 4");
    expect_error("a: &x [1, *x]\n", "alias inside its own anchor");
}

static void nesting_stops_at_64_levels(void **state) {
    (void)state;
    char text[400] = "a: ";
    for (int i = 0; i < 63; i++)
        strcat(text, "[");
    for (int i = 0; i < 63; i++)
        strcat(text, "]");
    Tree tree = {0};
    assert_int_equal(tree_parse(&tree, sv(text), NULL, NULL), STATUS_OK);
    assert_int_equal(tree.root->height, 64);
    tree_free(&tree);
    memset(text + 3, '[', 300);
    text[303] = 0;
    expect_error_of(sv(text), STATUS_LIMIT, "nested deeper than 64 levels, line 1 column 67");
    memset(text, '[', 300);
    text[0] = '{';
    memcpy(text, "{\"a\":", 5);
    expect_error_of(sv(text), STATUS_LIMIT, "Invalid JSON in configuration file: ");
}

static void an_alias_cannot_pass_the_depth_limit(void **state) {
    (void)state;
    Buf text = BUF_INIT(1 << 16);
    buf_append_cstr(&text, "a: &x ");
    for (int i = 0; i < 40; i++)
        buf_append_byte(&text, '[');
    for (int i = 0; i < 40; i++)
        buf_append_byte(&text, ']');
    buf_append_cstr(&text, "\nb: ");
    for (int i = 0; i < 40; i++)
        buf_append_byte(&text, '[');
    buf_append_cstr(&text, "*x");
    for (int i = 0; i < 40; i++)
        buf_append_byte(&text, ']');
    expect_error_of(sv_n(text.ptr, text.len), STATUS_LIMIT, "nested deeper than 64 levels, line 2");
    buf_free(&text);
}

static void a_million_laughs_are_refused(void **state) {
    (void)state;
    Buf text = BUF_INIT(1 << 16);
    buf_append_cstr(&text, "a0: &a0 [lol, lol, lol, lol, lol, lol, lol, lol]\n");
    for (int i = 1; i < 20; i++)
        buf_printf(&text, "a%d: &a%d [*a%d, *a%d, *a%d, *a%d, *a%d, *a%d, *a%d, *a%d]\n", i, i,
                   i - 1, i - 1, i - 1, i - 1, i - 1, i - 1, i - 1, i - 1);
    expect_error_of(sv_n(text.ptr, text.len), STATUS_LIMIT, "aliases expand to more than 4 MB");
    buf_free(&text);
}

static void sizes_are_limited(void **state) {
    (void)state;
    char *text = mem_alloc(TREE_MAX_TEXT + 1);
    memset(text, ' ', TREE_MAX_TEXT + 1);
    expect_error_of(sv_n(text, TREE_MAX_TEXT + 1), STATUS_LIMIT, "larger than 1 MB");
    Tree tree = {0};
    assert_int_equal(tree_parse(&tree, sv_n(text, TREE_MAX_TEXT), NULL, NULL), STATUS_OK);
    tree_free(&tree);
    mem_free(text);

    Buf buf = BUF_INIT(1 << 20);
    for (int i = 0; i <= TREE_MAX_KEYS; i++)
        buf_printf(&buf, "k%d: 1\n", i);
    expect_error_of(sv_n(buf.ptr, buf.len), STATUS_LIMIT, "more than 4096 keys in one map");
    buf_clear(&buf);
    buf_append_cstr(&buf, "a: [1");
    for (int i = 0; i <= TREE_MAX_NODES; i++)
        buf_append_cstr(&buf, ",1");
    buf_append_byte(&buf, ']');
    expect_error_of(sv_n(buf.ptr, buf.len), STATUS_LIMIT, "more than 100000 values");
    buf_clear(&buf);
    for (int i = 0; i <= TREE_MAX_DIRECTIVES; i++)
        buf_printf(&buf, "# c\n%%TAG !%d! x\n", i);
    expect_error_of(sv_n(buf.ptr, buf.len), STATUS_LIMIT, "more than 16 directives, line 34");
    buf_clear(&buf);
    buf_append_cstr(&buf, "a: &a {k: 1}\nb:\n");
    for (int i = 0; i <= TREE_MAX_MERGES; i++)
        buf_append_cstr(&buf, "- <<: *a\n");
    expect_error_of(sv_n(buf.ptr, buf.len), STATUS_INVALID, "too many \"<<\" keys, line 35");
    buf_clear(&buf);
    buf_append_cstr(&buf, "a:\n");
    for (int i = 0; i <= TREE_MAX_ANCHORS; i++)
        buf_printf(&buf, "- &a%d 1\n", i);
    expect_error_of(sv_n(buf.ptr, buf.len), STATUS_INVALID, "too many anchors");
    buf_free(&buf);
}

static void reading_can_stop_at_a_key(void **state) {
    (void)state;
    Tree tree = {0};
    StrView text = SV("version: 1\nname: x\nbroken: [\n");
    assert_int_equal(tree_parse(&tree, text, "name", NULL), STATUS_OK);
    assert_string_equal(tree_get(tree.root, SV("name"))->text.ptr, "x");
    tree_free(&tree);
    assert_int_equal(tree_parse(&tree, text, NULL, NULL), STATUS_INVALID);
    tree_free(&tree);
}

static void every_failed_allocation_is_an_error(void **state) {
    (void)state;
    static const char *const texts[] = {
        "a: &x {k: 1, l: [2, 'three']}\nb: {<<: *x, m: *x}\na: 5\n",
        "{\"a\": {\"k\": 1, \"l\": [2, \"three\"]}, \"a\": \"\\n\"}",
    };
    for (size_t t = 0; t < 2; t++) {
        for (size_t n = 1;; n++) {
            Tree tree = {0};
            Error error = {0};
            mem_fail_after(n);
            Status status = tree_parse(&tree, sv(texts[t]), NULL, &error);
            mem_fail_after(0);
            tree_free(&tree);
            if (status == STATUS_OK)
                break;
            assert_int_equal(status, STATUS_OUT_OF_MEMORY);
            assert_true(n < 500);
        }
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(block_and_flow_style_give_the_same_tree),
        cmocka_unit_test(block_texts_and_comments_are_read),
        cmocka_unit_test(an_empty_document_has_no_root),
        cmocka_unit_test(a_byte_order_mark_is_skipped),
        cmocka_unit_test(the_last_of_duplicate_keys_counts),
        cmocka_unit_test(aliases_share_their_anchor),
        cmocka_unit_test(merged_keys_are_weaker_than_written_ones),
        cmocka_unit_test(json_keeps_numbers_as_written_and_knows_lines),
        cmocka_unit_test(yaml_knows_lines),
        cmocka_unit_test(bad_yaml_names_line_and_column),
        cmocka_unit_test(a_flow_map_that_is_no_json_is_still_yaml),
        cmocka_unit_test(bad_json_is_told_as_json),
        cmocka_unit_test(bytes_that_are_no_text_are_refused_with_their_line),
        cmocka_unit_test(aliases_need_a_closed_anchor),
        cmocka_unit_test(nesting_stops_at_64_levels),
        cmocka_unit_test(an_alias_cannot_pass_the_depth_limit),
        cmocka_unit_test(a_million_laughs_are_refused),
        cmocka_unit_test(sizes_are_limited),
        cmocka_unit_test(reading_can_stop_at_a_key),
        cmocka_unit_test(every_failed_allocation_is_an_error),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
