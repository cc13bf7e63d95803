// The wire format against bytes written down by hand from protobuf's documentation.
#include "base/wire.h"

#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

#define MESSAGE(literal) wire_open(sv_n((literal), sizeof(literal) - 1))

static void fields_of_every_type_are_read(void **state) {
    (void)state;
    Wire wire =
        MESSAGE("\x08\x96\x01\x12\x02hi\x1d\x00\x00\x80\x3f\x21\x01\x00\x00\x00\x00\x00\x00\x00");
    WireField field;
    assert_true(wire_next(&wire, &field));
    assert_int_equal(field.number, 1);
    int64_t number = 0;
    wire_get_i64(&wire, &field, &number);
    assert_int_equal(number, 150);
    assert_true(wire_next(&wire, &field));
    StrView text;
    wire_get_text(&wire, &field, &text);
    assert_true(sv_equal_cstr(text, "hi"));
    assert_true(wire_next(&wire, &field));
    float real = 0;
    wire_get_f32(&wire, &field, &real);
    assert_true(real == 1.0f);
    assert_true(wire_next(&wire, &field));
    assert_int_equal(field.number, 4);
    StrView fixed;
    wire_get_fixed(&wire, &field, 8, &fixed);
    assert_int_equal(fixed.len, 8);
    assert_false(wire_next(&wire, &field));
    assert_null(wire.broken);
}

static void negative_numbers_take_ten_bytes(void **state) {
    (void)state;
    Wire wire = MESSAGE("\x08\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01");
    WireField field;
    int64_t number = 0;
    assert_true(wire_next(&wire, &field));
    wire_get_i64(&wire, &field, &number);
    assert_int_equal(number, -1);
}

static void damaged_messages_are_reported(void **state) {
    (void)state;
    static const struct {
        const char *bytes;
        size_t len;
    } cases[] = {
        {"\x08", 1},                                              // no number
        {"\x08\x80", 2},                                          // cut inside a number
        {"\x08\xff\xff\xff\xff\xff\xff\xff\xff\xff\x02", 11},     // 65 bits
        {"\x08\x80\x80\x80\x80\x80\x80\x80\x80\x80\x80\x00", 12}, // eleven bytes
        {"\x00\x01", 2},                                          // field number 0
        {"\x80\x80\x80\x80\x10\x01", 6},                          // field number 2^29
        {"\x0b", 1},                                              // group
        {"\x0e\x01", 2},                                          // wire type 6
        {"\x12\x03hi", 4},                                        // length past the end
        {"\x12\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01hi", 13},   // length 2^64 - 1
        {"\x12", 1},                                              // no length
        {"\x1d\x00\x00\x80", 4},                                  // cut fixed32
        {"\x21\x01\x00\x00\x00", 5},                              // cut fixed64
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        Wire wire = wire_open(sv_n(cases[i].bytes, cases[i].len));
        WireField field;
        assert_false(wire_next(&wire, &field));
        assert_non_null(wire.broken);
        Error error;
        assert_int_equal(wire_status(&wire, "Thing", cases[i].bytes, &error), STATUS_CORRUPT);
        assert_non_null(strstr(error.message, "Thing near byte"));
    }
}

static void wrong_wire_types_are_reported(void **state) {
    (void)state;
    Wire wire = MESSAGE("\x08\x01");
    WireField field;
    StrView bytes;
    assert_true(wire_next(&wire, &field));
    wire_get_bytes(&wire, &field, &bytes);
    assert_non_null(wire.broken);
    wire = MESSAGE("\x0a\x01x");
    int64_t number;
    assert_true(wire_next(&wire, &field));
    wire_get_i64(&wire, &field, &number);
    assert_non_null(wire.broken);
    wire = MESSAGE("\x0a\x03xyz");
    assert_true(wire_next(&wire, &field));
    wire_get_fixed(&wire, &field, 4, &bytes);
    assert_non_null(wire.broken);
    assert_int_equal(bytes.len, 0);
}

static void texts_with_nul_or_bad_utf8_are_refused(void **state) {
    (void)state;
    const StrView cases[] = {SV("\x0a\x02"
                                "a\0"),
                             SV("\x0a\x02"
                                "a\xff")};
    for (size_t i = 0; i < 2; i++) {
        Wire wire = wire_open(cases[i]);
        WireField field;
        StrView text;
        assert_true(wire_next(&wire, &field));
        wire_get_text(&wire, &field, &text);
        assert_non_null(wire.broken);
    }
}

static void integers_are_read_packed_and_single(void **state) {
    (void)state;
    Wire wire = MESSAGE("\x0a\x04\x01\x02\x96\x01\x08\x05\x0a\x00");
    WireField field;
    int64_t seen[8];
    size_t count = 0;
    while (wire_next(&wire, &field)) {
        WireInts ints = wire_ints(&wire, &field);
        while (wire_ints_next(&wire, &ints, &seen[count]))
            count++;
    }
    assert_null(wire.broken);
    const int64_t expected[] = {1, 2, 150, 5};
    assert_int_equal(count, 4);
    assert_memory_equal(seen, expected, sizeof expected);
    wire = MESSAGE("\x0a\x02\x01\x96");
    assert_true(wire_next(&wire, &field));
    WireInts ints = wire_ints(&wire, &field);
    assert_true(wire_ints_next(&wire, &ints, &seen[0]));
    assert_false(wire_ints_next(&wire, &ints, &seen[0]));
    assert_non_null(wire.broken);
}

static void written_bytes_are_canonical(void **state) {
    (void)state;
    Buf out = BUF_INIT(1 << 20);
    const int64_t ints[] = {1, 300};
    const float floats[] = {1.0f};
    wire_put_i64(&out, 1, 150);
    size_t outer = wire_begin(&out, 2);
    wire_put_bytes(&out, 1, SV("hi"));
    size_t inner = wire_begin(&out, 100);
    wire_end(&out, inner);
    wire_end(&out, outer);
    wire_put_ints(&out, 3, ints, 2);
    wire_put_ints(&out, 3, ints, 0);
    wire_put_floats(&out, 4, floats, 1);
    wire_put_f32(&out, 5, 1.0f);
    static const char expected[] = "\x08\x96\x01\x12\x07\x0a\x02hi\xa2\x06\x00\x1a\x03\x01\xac\x02"
                                   "\x22\x04\x00\x00\x80\x3f\x2d\x00\x00\x80\x3f";
    assert_int_equal(out.len, sizeof expected - 1);
    assert_memory_equal(out.ptr, expected, out.len);
    buf_free(&out);
}

static void lengths_of_two_bytes_move_the_content(void **state) {
    (void)state;
    Buf out = BUF_INIT(1 << 20);
    char text[200];
    memset(text, 'x', sizeof text);
    size_t begin = wire_begin(&out, 1);
    wire_put_bytes(&out, 2, sv_n(text, sizeof text));
    wire_end(&out, begin);
    Wire wire = wire_open(sv_n(out.ptr, out.len));
    StrView message, content;
    assert_true(wire_find(&wire, 1, &message));
    assert_int_equal(message.len, 203);
    wire = wire_open(message);
    assert_true(wire_find(&wire, 2, &content));
    assert_int_equal(content.len, 200);
    assert_memory_equal(content.ptr, text, 200);
    buf_free(&out);
}

static void a_full_buffer_fails_without_harm(void **state) {
    (void)state;
    Buf out = BUF_INIT(5);
    size_t begin = wire_begin(&out, 1);
    wire_put_bytes(&out, 2, SV("too long for it"));
    wire_end(&out, begin);
    assert_int_equal(buf_status(&out, NULL), STATUS_LIMIT);
    buf_free(&out);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(fields_of_every_type_are_read),
        cmocka_unit_test(negative_numbers_take_ten_bytes),
        cmocka_unit_test(damaged_messages_are_reported),
        cmocka_unit_test(wrong_wire_types_are_reported),
        cmocka_unit_test(texts_with_nul_or_bad_utf8_are_refused),
        cmocka_unit_test(integers_are_read_packed_and_single),
        cmocka_unit_test(written_bytes_are_canonical),
        cmocka_unit_test(lengths_of_two_bytes_move_the_content),
        cmocka_unit_test(a_full_buffer_fails_without_harm),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
