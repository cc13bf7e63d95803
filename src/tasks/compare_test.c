#include "tasks/tasks_test.h"

#include "tasks/private.h"

static Request *run(const TestModel *test, const char *json, bool keep) {
    Request *request;
    Error error;
    check_ok(request_prepare(&request, &test->task, sv(json), &error), &error);
    if (keep)
        request_keep_outputs(request);
    check_ok(requests_step(test->runner, &request, 1, &error), &error);
    return request;
}

static Difference compare(const TestModel *test, const char *a, const char *b, bool keep) {
    Difference sum = {.size = sizeof sum};
    Error error;
    Request *x = run(test, a, keep), *y = run(test, b, keep);
    check_ok(request_compare(&sum, x, y, &error), &error);
    request_free(x);
    request_free(y);
    return sum;
}

static void a_vector_differs_by_what_arithmetic_says(void **state) {
    (void)state;
    Difference sum = {0};
    compare_vector(&sum, (const float[]){3, 4}, (const float[]){4, 3}, 2, false);
    assert_int_equal(sum.vectors, 1);
    assert_int_equal(sum.values, 2);
    assert_float_equal(sum.max_abs, 1, 1e-12);
    assert_float_equal(sum.sum_abs, 2, 1e-12);
    assert_float_equal(sum.cosine_sum, 24.0 / 25, 1e-12);
    compare_vector(&sum, (const float[]){1, 0}, (const float[]){0, 2}, 2, true);
    assert_float_equal(sum.cosine_min, 0, 1e-12);
    assert_float_equal(sum.max_abs, 1, 1e-12);
    assert_int_equal(sum.cosines, 2);
}

static void single_numbers_have_no_cosine_and_zeros_are_no_vector(void **state) {
    (void)state;
    Difference sum = {0};
    compare_vector(&sum, (const float[]){1}, (const float[]){-1}, 1, false);
    compare_vector(&sum, (const float[]){0, 0}, (const float[]){0, 0}, 2, false);
    assert_int_equal(sum.vectors, 1);
    assert_int_equal(sum.cosines, 0);
    assert_float_equal(sum.max_abs, 2, 0);
}

static void what_is_not_finite_is_infinitely_far(void **state) {
    (void)state;
    Difference sum = {0};
    compare_vector(&sum, (const float[]){1, 2}, (const float[]){NAN, 2}, 2, false);
    compare_vector(&sum, (const float[]){1, 2}, (const float[]){1, 2}, 2, false);
    assert_true(isinf(sum.max_abs));
    assert_float_equal(sum.cosine_min, 0, 0);
}

// Per model: a request, and how many vectors and decisions its runs have.
static void each_task_compares_its_vectors_and_decisions(void **state) {
    (void)state;
    static const struct {
        const char *folder, *request;
        uint64_t vectors, labels;
    } cases[] = {
        {"classify", "{\"inputs\": [\"the film\", \"a film\"]}", 2, 2},
        {"classify-multi", "{\"inputs\": \"the film\"}", 1, 4},
        {"classify-regression", "{\"inputs\": \"the film\"}", 1, 0},
        {"answer", "{\"question\": \"Where?\", \"context\": \"in Paris\"}", 2, 1},
        {"mask", "{\"inputs\": \"the [MASK] of [MASK]\"}", 2, 2},
        {"sentences-mean", "{\"inputs\": [\"the film\", \"a\"]}", 2, 0},
        {"zero-shot", "{\"inputs\": \"a\", \"candidate_labels\": [\"b\", \"c\"]}", 2, 2},
        {"classify", "{\"input_ids\": [[1, 2, 3], [4, 5, 6]]}", 2, 0},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        TestModel test = open_test_model(GOLDEN_TASKS, cases[i].folder);
        Difference sum = compare(&test, cases[i].request, cases[i].request, false);
        assert_int_equal(sum.vectors, cases[i].vectors);
        assert_int_equal(sum.labels, cases[i].labels);
        assert_int_equal(sum.labels_equal, sum.labels);
        assert_float_equal(sum.max_abs, 0, 0);
        close_test_model(&test);
    }
}

static void kept_outputs_are_compared_instead(void **state) {
    (void)state;
    TestModel test = open_test_model(GOLDEN_TASKS, "sentences-mean");
    Request *request = run(&test, "{\"inputs\": \"the film\"}", true);
    size_t tokens = request_tokens(request);
    request_free(request);
    Difference sum =
        compare(&test, "{\"inputs\": \"the film\"}", "{\"inputs\": \"the film\"}", true);
    assert_int_equal(sum.vectors, tokens);
    close_test_model(&test);
}

static void other_texts_differ_and_other_requests_are_refused(void **state) {
    (void)state;
    TestModel test = open_test_model(GOLDEN_TASKS, "sentences-mean");
    Difference sum =
        compare(&test, "{\"inputs\": \"the film\"}", "{\"inputs\": \"a paris\"}", false);
    assert_true(sum.max_abs > 0 && sum.cosine_min < 1);
    Error error;
    Request *one = run(&test, "{\"inputs\": \"the\"}", false);
    Request *two = run(&test, "{\"inputs\": [\"the\", \"film\"]}", false);
    assert_int_equal(request_compare(&sum, one, two, &error), STATUS_INVALID);
    assert_string_equal(error.message, "only runs of the same request can be compared");
    request_rewind(two);
    assert_int_equal(request_compare(&sum, two, two, &error), STATUS_INVALID);
    request_free(one);
    request_free(two);
    close_test_model(&test);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_vector_differs_by_what_arithmetic_says),
        cmocka_unit_test(single_numbers_have_no_cosine_and_zeros_are_no_vector),
        cmocka_unit_test(what_is_not_finite_is_infinitely_far),
        cmocka_unit_test(each_task_compares_its_vectors_and_decisions),
        cmocka_unit_test(kept_outputs_are_compared_instead),
        cmocka_unit_test(other_texts_differ_and_other_requests_are_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
