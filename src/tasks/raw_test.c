// Raw tensors: the forms of a value, what may be absent, the batch dimension that comes and goes,
// and the text of every error.
#include "tasks/tasks_test.h"

static void assert_same(const TestModel *test, const char *a, const char *b) {
    assert_same_answer(test, a, b, FORM_RAW);
}

static void assert_different(const TestModel *test, const char *a, const char *b) {
    Buf x, y;
    Error error;
    check_ok(try_answer(test, sv(a), FORM_RAW, &x, &error), &error);
    check_ok(try_answer(test, sv(b), FORM_RAW, &y, &error), &error);
    assert_string_not_equal(x.ptr, y.ptr);
    buf_free(&x);
    buf_free(&y);
}

static void absent_tensors_have_their_defaults(void **state) {
    (void)state;
    TestModel test = open_test_model(GOLDEN_TASKS, "classify");
    static const char ids[] = "{\"input_ids\": [[5, 6, 7], [8, 9, 10]]}";
    assert_same(&test, ids,
                "{\"input_ids\": [[5, 6, 7], [8, 9, 10]], \"attention_mask\": [[1, 1, 1], [1, 1, "
                "1]], \"token_type_ids\": [[0, 0, 0], [0, 0, 0]]}");
    assert_different(&test, ids,
                     "{\"input_ids\": [[5, 6, 7], [8, 9, 10]], \"attention_mask\": [[1, 1, 0], [1, "
                     "1, 1]]}");
    assert_different(&test, ids,
                     "{\"input_ids\": [[5, 6, 7], [8, 9, 10]], \"token_type_ids\": [[0, 0, 1], [0, "
                     "0, 0]]}");
    close_test_model(&test);
}

static void whole_reals_and_booleans_count_as_integers(void **state) {
    (void)state;
    TestModel test = open_test_model(GOLDEN_TASKS, "classify");
    assert_same(&test, "{\"input_ids\": [[5, 6, 7]], \"attention_mask\": [[1, 1, 0]]}",
                "{\"attention_mask\": [[true, true, false]], \"input_ids\": [[5.0, 6e0, 7]]}");
    close_test_model(&test);
}

static void base64_tensors_equal_nested_arrays(void **state) {
    (void)state;
    TestModel test = open_test_model(GOLDEN_TASKS, "classify");
    static const char nested[] = "{\"input_ids\": [[5, 6]], \"attention_mask\": [[1, 0]]}";
    assert_same(&test, nested,
                "{\"input_ids\": {\"dtype\": \"int64\", \"shape\": [1, 2], \"data\": "
                "\"BQAAAAAAAAAGAAAAAAAAAA==\"}, \"attention_mask\": [[1, 0]]}");
    assert_same(&test, nested,
                "{\"input_ids\": {\"dtype\": \"int32\", \"shape\": [1, 2], \"data\": "
                "\"BQAAAAYAAAA=\"}, \"attention_mask\": {\"dtype\": \"bool\", \"shape\": [1, 2], "
                "\"data\": \"AQA=\"}}");
    assert_same(&test, "{\"input_ids\": [5, 6, 7]}",
                "{\"input_ids\": {\"dtype\": \"uint8\", \"shape\": [3], \"data\": \"BQYH\"}}");
    close_test_model(&test);
}

static void a_rank_one_short_gets_a_batch_dimension_and_loses_it_again(void **state) {
    (void)state;
    TestModel test = open_test_model(GOLDEN_TASKS, "tokens");
    JsonDoc *one =
        answer(&test, "{\"input_ids\": [5, 6, 7], \"attention_mask\": [1, 1, 1]}", FORM_RAW);
    JsonDoc *batch = answer(&test, "{\"input_ids\": [[5, 6, 7]]}", FORM_RAW);
    const JsonValue *logits = json_get(json_root(batch), "logits");
    assert_int_equal(json_len(logits), 1);
    assert_int_equal(json_len(json_get(json_root(one), "logits")), 3);
    assert_true(values_agree(json_get(json_root(one), "logits"), json_at(logits, 0), 0));
    json_free(one);
    json_free(batch);
    assert_refused(&test, FORM_RAW, "{\"input_ids\": [5, 6], \"attention_mask\": [[1, 1]]}",
                   "Shape mismatch for 'input_ids': expected 2 dimensions, got 1");
    close_test_model(&test);
}

static void outputs_come_in_graph_order_with_the_labels(void **state) {
    (void)state;
    TestModel test = open_test_model(GOLDEN_TASKS, "classify");
    for (int form = 0; form < 3; form++) {
        JsonDoc *doc = answer(&test, "{\"input_ids\": [[5], [6]]}", (AnswerForm)form);
        assert_int_equal(json_len(json_root(doc)), 2);
        assert_int_equal(json_len(json_get(json_root(doc), "logits")), 2);
        assert_int_equal(json_len(json_get(json_root(doc), "labels")), 3);
        json_free(doc);
    }
    close_test_model(&test);
    test = open_test_model(GOLDEN_TASKS, "answer");
    JsonDoc *doc = answer(&test, "{\"input_ids\": [[5, 6]]}", FORM_RAW);
    size_t iterator = 0;
    StrView key;
    const JsonValue *value;
    assert_true(json_next(json_root(doc), &iterator, &key, &value));
    assert_true(sv_equal_cstr(key, "start_logits"));
    assert_int_equal(json_len(json_at(value, 0)), 2);
    assert_true(json_next(json_root(doc), &iterator, &key, &value));
    assert_true(sv_equal_cstr(key, "end_logits"));
    json_free(doc);
    close_test_model(&test);
}

static void masked_positions_are_zeros(void **state) {
    (void)state;
    TestModel test = open_test_model(GOLDEN_TASKS, "tokens");
    JsonDoc *doc = answer(
        &test, "{\"input_ids\": [[5, 6], [7, 8]], \"attention_mask\": [[1, 0], [0, 0]]}", FORM_RAW);
    const JsonValue *logits = json_get(json_root(doc), "logits");
    static const bool is_zero[2][2] = {{false, true}, {true, true}};
    for (size_t b = 0; b < 2; b++)
        for (size_t s = 0; s < 2; s++) {
            double largest = 0, value;
            for (size_t c = 0; c < 5; c++) {
                assert_true(json_as_f64(&value, json_at(json_at(json_at(logits, b), s), c)));
                largest = fmax(largest, fabs(value));
            }
            assert_true((largest == 0) == is_zero[b][s]);
        }
    json_free(doc);
    close_test_model(&test);
}

static void a_refused_tensor_says_why(void **state) {
    (void)state;
    static const struct {
        const char *json, *message;
    } cases[] = {
        {"{\"attention_mask\": [[1]]}", "Missing required input: 'input_ids'"},
        {"{\"input_ids\": [[5]], \"foo\": [[1]]}",
         "Unexpected input: 'foo'. Valid inputs: input_ids, attention_mask, token_type_ids"},
        {"{\"input_ids\": \"good\"}", "Invalid input type for 'input_ids': expected array"},
        {"{\"input_ids\": null}", "Invalid input type for 'input_ids': expected array"},
        {"{\"input_ids\": [[\"5\"]]}", "Invalid input type for 'input_ids': expected array"},
        {"{\"input_ids\": [[5.5]]}", "Invalid input type for 'input_ids': expected int64"},
        {"{\"input_ids\": [[1e300]]}", "Invalid input type for 'input_ids': expected int64"},
        {"{\"input_ids\": [[99999999999999999999]]}",
         "Invalid input type for 'input_ids': expected int64"},
        {"{\"input_ids\": [[5, 6], [7]]}", "Input 'input_ids' is not rectangular"},
        {"{\"input_ids\": [[5], 6]}", "Input 'input_ids' is not rectangular"},
        {"{\"input_ids\": [[5, 6]], \"attention_mask\": [[1, 1, 1]]}",
         "Shape mismatch for 'attention_mask' at dim 1: expected 2, got 3"},
        {"{\"input_ids\": [[5, 6]], \"token_type_ids\": [[0, 0], [0, 0]]}",
         "Shape mismatch for 'token_type_ids' at dim 0: expected 1, got 2"},
        {"{\"input_ids\": [[[5]]]}",
         "Shape mismatch for 'input_ids': expected 2 dimensions, got 3"},
        {"{\"input_ids\": 5}", "Shape mismatch for 'input_ids': expected 2 dimensions, got 0"},
        {"{\"input_ids\": []}", "Input 'input_ids' is empty"},
        {"{\"input_ids\": [[], []]}", "Input 'input_ids' is empty"},
        {"{\"input_ids\": [[5, -1]]}", "Input 'input_ids' has -1, outside the vocabulary [0, 82)"},
        {"{\"input_ids\": [[82]]}", "Input 'input_ids' has 82, outside the vocabulary [0, 82)"},
        {"{\"input_ids\": {\"shape\": [1], \"data\": \"BQ==\"}}",
         "Invalid input type for 'input_ids': expected an array or an object with dtype, shape and "
         "data"},
        {"{\"input_ids\": {\"dtype\": \"float32\", \"shape\": [1], \"data\": \"AAAAAA==\"}}",
         "Invalid input type for 'input_ids': expected int64"},
        {"{\"input_ids\": {\"dtype\": \"uint8\", \"shape\": [-1], \"data\": \"BQ==\"}}",
         "Input 'input_ids' has a bad shape"},
        {"{\"input_ids\": {\"dtype\": \"uint8\", \"shape\": [2], \"data\": \"BQ==\"}}",
         "Input 'input_ids' has data that is not base64 of its shape and dtype"},
        {"{\"input_ids\": {\"dtype\": \"uint8\", \"shape\": [1], \"data\": \"BQ=\"}}",
         "Input 'input_ids' has data that is not base64 of its shape and dtype"},
        {"{\"input_ids\": {\"dtype\": \"uint8\", \"shape\": [1], \"data\": \"B===\"}}",
         "Input 'input_ids' has data that is not base64 of its shape and dtype"},
        {"{\"input_ids\": {\"dtype\": \"uint8\", \"shape\": [1], \"data\": \"=Q==\"}}",
         "Input 'input_ids' has data that is not base64 of its shape and dtype"},
        {"{\"input_ids\": {\"dtype\": \"int64\", \"shape\": [4294967296, 4294967296], \"data\": "
         "\"\"}}",
         "Input 'input_ids' has data that is not base64 of its shape and dtype"},
    };
    TestModel test = open_test_model(GOLDEN_TASKS, "classify");
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++)
        assert_refused(&test, FORM_RAW, cases[i].json, cases[i].message);
    close_test_model(&test);
}

static void a_row_longer_than_the_model_is_refused_before_the_run(void **state) {
    (void)state;
    TestModel test = open_test_model(GOLDEN_TASKS, "classify");
    for (size_t len = 40; len <= 41; len++) {
        Buf json = BUF_INIT(1024);
        Request *request;
        Error error;
        buf_append_cstr(&json, "{\"input_ids\": [[5");
        for (size_t i = 1; i < len; i++)
            buf_append_cstr(&json, ",6");
        buf_append_cstr(&json, "]]}");
        Status status = request_prepare(&request, &test.task, sv_n(json.ptr, json.len), &error);
        assert_int_equal(status, len == 40 ? STATUS_OK : STATUS_INVALID);
        if (status == STATUS_OK)
            request_free(request);
        else
            assert_string_equal(error.message,
                                "Input 'input_ids' has 41 tokens a row, the model's limit is 40");
        buf_free(&json);
    }
    close_test_model(&test);
}

static void a_model_without_tokenizer_takes_tensors_only(void **state) {
    (void)state;
    TestModel test = open_test_model(GOLDEN_MODELS, "bert-classify");
    assert_null(test.tokenizer);
    assert_refused(&test, FORM_RAW, "{\"inputs\": \"good\"}",
                   "This model's folder has no tokenizer; send its tensors by name: input_ids, "
                   "attention_mask, token_type_ids");
    assert_refused(&test, FORM_RAW, "{}", "Missing required input: 'input_ids'");
    assert_refused(&test, FORM_RAW, "{\"foo\": [[1]]}",
                   "Unexpected input: 'foo'. Valid inputs: input_ids, attention_mask, "
                   "token_type_ids");
    JsonDoc *doc = answer(&test, "{\"input_ids\": [[5, 6]]}", FORM_GPUX);
    assert_int_equal(json_len(json_at(json_get(json_root(doc), "logits"), 0)), 3);
    json_free(doc);
    test.info->task = "raw";
    assert_refused(&test, FORM_RAW, "{\"inputs\": \"good\"}",
                   "Task 'raw' is not available for this model; send its tensors by name: "
                   "input_ids, attention_mask, token_type_ids");
    close_test_model(&test);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(absent_tensors_have_their_defaults),
        cmocka_unit_test(whole_reals_and_booleans_count_as_integers),
        cmocka_unit_test(base64_tensors_equal_nested_arrays),
        cmocka_unit_test(a_rank_one_short_gets_a_batch_dimension_and_loses_it_again),
        cmocka_unit_test(outputs_come_in_graph_order_with_the_labels),
        cmocka_unit_test(masked_positions_are_zeros),
        cmocka_unit_test(a_refused_tensor_says_why),
        cmocka_unit_test(a_row_longer_than_the_model_is_refused_before_the_run),
        cmocka_unit_test(a_model_without_tokenizer_takes_tensors_only),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
