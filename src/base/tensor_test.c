// Tests of the table of element types and of shapes.
#include "base/tensor.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

static void every_type_is_found_by_its_names(void **state) {
    (void)state;
    for (int i = DTYPE_F32; i <= DTYPE_STRING; i++) {
        assert_int_equal(dtype_from_name(sv(dtype_name((DType)i))), i);
        assert_int_equal(dtype_from_onnx(dtype_to_onnx((DType)i)), i);
    }
    assert_int_equal(dtype_from_safetensors(SV("BF16")), DTYPE_BF16);
    assert_int_equal(dtype_from_safetensors(SV("F8_E4M3")), DTYPE_UNKNOWN);
    assert_int_equal(dtype_from_safetensors(SV("")), DTYPE_UNKNOWN);
    assert_int_equal(dtype_from_name(SV("unknown")), DTYPE_UNKNOWN);
    assert_int_equal(dtype_from_onnx(0), DTYPE_UNKNOWN);
    assert_int_equal(dtype_from_onnx(INT64_MAX), DTYPE_UNKNOWN);
}

static void sizes_are_in_bytes(void **state) {
    (void)state;
    assert_int_equal(dtype_size(DTYPE_F32), 4);
    assert_int_equal(dtype_size(DTYPE_BF16), 2);
    assert_int_equal(dtype_size(DTYPE_BOOL), 1);
    assert_int_equal(dtype_size(DTYPE_STRING), 0);
    assert_int_equal(dtype_size((DType)77), 0);
    assert_string_equal(dtype_name((DType)-1), "unknown");
}

static void counts_are_checked(void **state) {
    (void)state;
    size_t count;
    assert_true(shape_count(&count, (const int64_t[]){2, 3, 4}, 3));
    assert_int_equal(count, 24);
    assert_true(shape_count(&count, NULL, 0));
    assert_int_equal(count, 1);
    assert_true(shape_count(&count, (const int64_t[]){5, 0}, 2));
    assert_int_equal(count, 0);
    assert_false(shape_count(&count, (const int64_t[]){2, -1}, 2));
    assert_false(shape_count(&count, (const int64_t[]){INT64_C(1) << 40, INT64_C(1) << 40}, 2));
    assert_false(shape_count(&count, (const int64_t[]){INT64_C(1) << 40, INT64_C(1) << 40, 0}, 3));
}

static void shapes_are_spelled_and_cut(void **state) {
    (void)state;
    char text[64];
    assert_string_equal(shape_format(text, sizeof text, (const int64_t[]){2, -3}, 2), "[2, -3]");
    assert_string_equal(shape_format(text, sizeof text, NULL, 0), "[]");
    assert_string_equal(shape_format(text, 5, (const int64_t[]){10, 20}, 2), "[10,");
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_type_is_found_by_its_names),
        cmocka_unit_test(sizes_are_in_bytes),
        cmocka_unit_test(counts_are_checked),
        cmocka_unit_test(shapes_are_spelled_and_cut),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
