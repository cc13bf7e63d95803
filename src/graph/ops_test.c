// Tests of the op table.
#include "graph/graph_private.h"
#include "graph/graph_test.h"

static void every_op_has_a_name_an_arity_and_a_rule(void **state) {
    (void)state;
    for (int i = 0; i < OP_COUNT; i++) {
        const OpInfo *info = op_info((OpKind)i);
        assert_non_null(info->name);
        assert_true(info->min_in >= 1 && info->min_out >= 1);
        assert_true(info->max_in == -1 || info->max_in >= info->min_in);
        assert_true(info->max_out == -1 || info->max_out >= info->min_out);
        assert_non_null(op_shape_rule((OpKind)i));
        assert_int_equal(info->is_onnx, strncmp(info->name, "gpux.", 5) != 0);
    }
}

static void onnx_ops_are_found_by_name_and_raised_ones_are_not(void **state) {
    (void)state;
    OpKind op = OP_COUNT;
    for (int i = 0; i < OP_COUNT; i++) {
        const OpInfo *info = op_info((OpKind)i);
        assert_int_equal(op_from_onnx(&op, sv(info->name)), info->is_onnx);
        if (info->is_onnx)
            assert_int_equal(op, i);
    }
    assert_false(op_from_onnx(&op, SV("MatMu")));
    assert_false(op_from_onnx(&op, SV("matmul")));
    assert_false(op_from_onnx(&op, SV("")));
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_op_has_a_name_an_arity_and_a_rule),
        cmocka_unit_test(onnx_ops_are_found_by_name_and_raised_ones_are_not),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
