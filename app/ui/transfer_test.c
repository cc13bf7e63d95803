#include "app/ui/transfer.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

static const TransferLine HALF = {
    .label = "model.safetensors", .bytes = 50 << 20, .total = 100 << 20, .rate = 10 << 20};

static void expect(int width, int label_width, const TransferLine *line, const char *text) {
    Terminal terminal = {.is_terminal = true, .width = width};
    Buf out = BUF_INIT(4096);
    transfer_format(&out, &terminal, line, label_width);
    assert_string_equal(out.ptr, text);
    buf_free(&out);
}

static void a_line_has_bar_sizes_rate_and_time_left(void **state) {
    (void)state;
    expect(80, 17, &HALF,
           "model.safetensors  ##########----------    50.0/100.0 MB   10.0 MB/s  ETA 0:05");
}

static void a_narrow_line_loses_the_rate_then_the_bar_and_the_sizes(void **state) {
    (void)state;
    expect(60, 17, &HALF, "model.safetensors  ######------    50.0/100.0 MB  ETA 0:05");
    expect(40, 17, &HALF, "model.safetensors   50 %  ETA 0:05");
    expect(26, 17, &HALF, "model.safetensors   50 %");
}

static void a_line_never_fills_the_terminal(void **state) {
    (void)state;
    TransferLine lines[] = {HALF, {"a", 0, 0, 0}, {"b", 1, UINT64_MAX, 1}, {"c", 9, 5, 1e12}};
    for (size_t i = 0; i < sizeof lines / sizeof lines[0]; i++)
        for (int width = 20; width < 160; width++)
            for (int label = 12; label <= width / 2; label++) {
                Terminal terminal = {.is_terminal = true, .width = width, .has_glyphs = true};
                Buf out = BUF_INIT(4096);
                transfer_format(&out, &terminal, &lines[i], label);
                assert_true(text_width(sv_n(out.ptr, out.len)) < width);
                buf_free(&out);
            }
}

static void an_unknown_rate_has_no_time_left(void **state) {
    (void)state;
    TransferLine line = HALF;
    line.rate = 0;
    expect(80, 17, &line, "model.safetensors  ##########----------    50.0/100.0 MB");
}

static void a_long_name_keeps_both_ends(void **state) {
    (void)state;
    Terminal terminal = {.has_glyphs = true};
    Buf out = BUF_INIT(4096);
    transfer_shorten(&out, &terminal, "model-00001-of-00003.safetensors", 26);
    assert_string_equal(out.ptr, "model-00001-…3.safetensors");
    buf_clear(&out);
    transfer_shorten(&out, &terminal, "日本語のとても長い名前.bin", 12);
    assert_true(text_width(sv_n(out.ptr, out.len)) <= 12);
    assert_true(utf8_is_valid(sv_n(out.ptr, out.len), NULL));
    buf_free(&out);
}

static void files_come_and_go_within_the_bound(void **state) {
    (void)state;
    Transfer transfer = {0};
    char name[32];
    for (int i = 0; i < 20; i++) {
        snprintf(name, sizeof name, "file-%d", i);
        transfer_move(&transfer, name, 1, 10);
    }
    assert_int_equal(transfer.file_count, TRANSFER_MAX_FILES);
    transfer_move(&transfer, "file-1", 7, 10);
    assert_int_equal(transfer.files[1].shown, 7);
    transfer_drop(&transfer, "file-0");
    transfer_drop(&transfer, "file-19");
    assert_int_equal(transfer.file_count, TRANSFER_MAX_FILES - 1);
    assert_string_equal(transfer.files[0].name, "file-1");
}

static void a_name_cannot_drive_the_terminal(void **state) {
    (void)state;
    Transfer transfer = {0};
    transfer_move(&transfer, "a\033[2Jb\n", 1, 10);
    assert_null(strchr(transfer.files[0].name, '\033'));
    assert_null(strchr(transfer.files[0].name, '\n'));
    transfer_drop(&transfer, "a\033[2Jb\n");
    assert_int_equal(transfer.file_count, 0);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_line_has_bar_sizes_rate_and_time_left),
        cmocka_unit_test(a_narrow_line_loses_the_rate_then_the_bar_and_the_sizes),
        cmocka_unit_test(a_line_never_fills_the_terminal),
        cmocka_unit_test(an_unknown_rate_has_no_time_left),
        cmocka_unit_test(a_long_name_keeps_both_ends),
        cmocka_unit_test(files_come_and_go_within_the_bound),
        cmocka_unit_test(a_name_cannot_drive_the_terminal),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
