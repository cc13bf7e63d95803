// Every task that reads texts can run the built-in samples.
#include "tasks/tasks_test.h"

static Request *sample(const TestModel *test, size_t index) {
    Request *request;
    Error error;
    check_ok(request_prepare_sample(&request, &test->task, index, &error), &error);
    return request;
}

static void every_task_runs_its_samples(void **state) {
    static const char *const FOLDERS[] = {"classify", "tokens",         "answer",   "mask",
                                          "features", "sentences-mean", "zero-shot"};
    (void)state;
    for (size_t f = 0; f < sizeof FOLDERS / sizeof FOLDERS[0]; f++) {
        TestModel test = open_test_model(GOLDEN_TASKS, FOLDERS[f]);
        for (size_t i = 0; i < 12; i++) {
            Error error;
            Buf out = BUF_INIT(MAX_TEXT);
            JsonWriter writer = json_writer(&out, 0);
            Request *request = sample(&test, i);
            check_ok(requests_step(test.runner, &request, 1, &error), &error);
            check_ok(request_finish(request, FORM_GPUX, &writer, &error), &error);
            buf_free(&out);
            request_free(request);
        }
        close_test_model(&test);
    }
}

static void a_model_without_a_tokenizer_gets_ids(void **state) {
    (void)state;
    TestModel test = open_test_model(GOLDEN_MODELS, "bert-classify");
    assert_null(test.tokenizer);
    for (size_t i = 0; i < 100; i++) {
        Request *request = sample(&test, i);
        assert_in_range(request_tokens(request), 3, 64);
        request_free(request);
    }
    close_test_model(&test);
}

// What two samples differ by at most.
static double distance(const TestModel *test, size_t a, size_t b) {
    Difference sum = {.size = sizeof sum};
    Error error;
    Request *requests[] = {sample(test, a), sample(test, b)};
    check_ok(requests_step(test->runner, requests, 2, &error), &error);
    check_ok(request_compare(&sum, requests[0], requests[1], &error), &error);
    request_free(requests[0]);
    request_free(requests[1]);
    return sum.max_abs;
}

static void a_sample_is_always_the_same_and_no_other(void **state) {
    (void)state;
    TestModel test = open_test_model(GOLDEN_TASKS, "classify");
    for (size_t i = 0; i < 20; i++) {
        assert_true(distance(&test, i, i) == 0);
        assert_true(distance(&test, i, i + 1) > 0);
    }
    close_test_model(&test);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_task_runs_its_samples),
        cmocka_unit_test(a_model_without_a_tokenizer_gets_ids),
        cmocka_unit_test(a_sample_is_always_the_same_and_no_other),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
