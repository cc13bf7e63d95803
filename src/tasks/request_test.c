// The rules of requests: batches, parameters, raw tensors, the gpux form of each task, the text of
// every error, and every allocation that can fail.
#include "tasks/tasks_test.h"

static bool has_exactly(const JsonValue *object, const char *const *keys) {
    size_t count = 0;
    for (; keys[count]; count++)
        if (!json_get(object, keys[count]))
            return false;
    return json_len(object) == count;
}
#define HAS_EXACTLY(object, ...) has_exactly(object, (const char *const[]){__VA_ARGS__, NULL})

static bool is_string(const JsonValue *value, const char *text) {
    StrView view;
    return json_as_string(&view, value) && sv_equal_cstr(view, text);
}

static double real(const JsonValue *value) {
    double out = NAN;
    assert_true(json_as_f64(&out, value));
    return out;
}

static void assert_json(JsonDoc *doc, const char *expected) {
    Buf buf = BUF_INIT(MAX_TEXT);
    JsonWriter writer = json_writer(&buf, 0);
    json_write_value(&writer, json_root(doc));
    assert_int_equal(buf_status(&buf, NULL), STATUS_OK);
    assert_string_equal(buf.ptr, expected);
    buf_free(&buf);
    json_free(doc);
}

// ---- The gpux form ----

static void text_classification_has_the_documented_keys(void **state) {
    (void)state;
    TestModel test = open_test_model(GOLDEN_TASKS, "classify");
    JsonDoc *doc = answer(&test, "{\"inputs\": \"good film\"}", FORM_GPUX);
    const JsonValue *root = json_root(doc), *predictions = json_get(root, "predictions");
    assert_true(HAS_EXACTLY(root, "logits", "predicted_class", "label", "score", "labels", "scores",
                            "predictions"));
    assert_int_equal(json_len(json_get(root, "logits")), 1);
    assert_int_equal(json_len(json_at(json_get(root, "logits"), 0)), 3);
    assert_true(is_string(json_at(json_get(root, "labels"), 0), "BAD"));
    assert_true(is_string(json_at(json_get(root, "labels"), 2), "SO SO"));
    assert_int_equal(json_len(predictions), 3);
    const JsonValue *scores = json_at(json_get(root, "scores"), 0);
    double sum = 0;
    for (size_t i = 0; i < 3; i++) {
        sum += real(json_at(scores, i));
        if (i > 0)
            assert_true(real(json_get(json_at(predictions, i), "score")) <=
                        real(json_get(json_at(predictions, i - 1), "score")));
    }
    assert_true(fabs(sum - 1) < 1e-5);
    const JsonValue *first = json_at(predictions, 0);
    assert_true(values_agree(json_get(root, "label"), json_get(first, "label"), 0));
    assert_true(values_agree(json_get(root, "predicted_class"), json_get(first, "label"), 0));
    assert_true(values_agree(json_get(root, "score"), json_get(first, "score"), 0));
    json_free(doc);

    doc = answer(&test, "{\"inputs\": [\"good film\", \"\"]}", FORM_GPUX);
    root = json_root(doc);
    static const char *const per_row[] = {"logits", "predicted_class", "label",
                                          "score",  "scores",          "predictions"};
    for (size_t i = 0; i < 6; i++) {
        assert_int_equal(json_kind(json_get(root, per_row[i])), JSON_ARRAY);
        assert_int_equal(json_len(json_get(root, per_row[i])), 2);
    }
    assert_int_equal(json_len(json_get(root, "labels")), 3);
    assert_int_equal(json_len(json_at(json_get(root, "predictions"), 1)), 3);
    json_free(doc);
    close_test_model(&test);
}

static void a_friendly_output_holds_the_probabilities(void **state) {
    (void)state;
    TestModel test = open_test_model(GOLDEN_TASKS, "classify");
    test.info->friendly_output = "sentiment";
    test.info->text_key = "review";
    JsonDoc *doc = answer(&test, "{\"review\": \"good film\"}", FORM_GPUX);
    assert_true(
        values_agree(json_get(json_root(doc), "sentiment"), json_get(json_root(doc), "scores"), 0));
    json_free(doc);
    assert_same_answer(&test, "{\"review\": \"good\"}", "{\"inputs\": \"good\"}", FORM_GPUX);
    assert_refused(&test, FORM_GPUX, "{}", "Missing required input: 'review'");
    close_test_model(&test);
}

static void token_classification_has_the_documented_keys(void **state) {
    (void)state;
    TestModel test = open_test_model(GOLDEN_TASKS, "tokens");
    JsonDoc *doc = answer(&test, "\"John lives in Paris\"", FORM_GPUX);
    const JsonValue *entities = json_get(json_root(doc), "entities");
    assert_true(HAS_EXACTLY(json_root(doc), "entities"));
    assert_true(json_len(entities) > 0);
    assert_true(HAS_EXACTLY(json_at(entities, 0), "entity_group", "score", "word", "start", "end"));
    json_free(doc);
    doc = answer(&test,
                 "{\"inputs\": \"John lives in Paris\", \"aggregation_strategy\": \"none\", "
                 "\"ignore_labels\": [], \"return_logits\": true}",
                 FORM_GPUX);
    entities = json_get(json_root(doc), "entities");
    assert_true(HAS_EXACTLY(json_root(doc), "entities", "logits"));
    assert_int_equal(json_len(entities), 4);
    assert_true(
        HAS_EXACTLY(json_at(entities, 0), "entity", "score", "index", "word", "start", "end"));
    const JsonValue *logits = json_get(json_root(doc), "logits");
    assert_int_equal(json_len(logits), 1);
    assert_int_equal(json_len(json_at(logits, 0)), 6);
    assert_int_equal(json_len(json_at(json_at(logits, 0), 0)), 5);
    json_free(doc);
    doc = answer(&test, "{\"inputs\": [\"John\", \"Paris\"]}", FORM_GPUX);
    assert_int_equal(json_len(json_get(json_root(doc), "entities")), 2);
    assert_int_equal(json_kind(json_at(json_get(json_root(doc), "entities"), 0)), JSON_ARRAY);
    json_free(doc);
    close_test_model(&test);
}

static void embeddings_are_two_dimensional(void **state) {
    (void)state;
    TestModel test = open_test_model(GOLDEN_TASKS, "sentences-mean");
    JsonDoc *doc = answer(&test, "\"good\"", FORM_GPUX);
    assert_true(HAS_EXACTLY(json_root(doc), "embeddings"));
    const JsonValue *rows = json_get(json_root(doc), "embeddings");
    assert_int_equal(json_len(rows), 1);
    assert_int_equal(json_len(json_at(rows, 0)), 16);
    double square = 0;
    for (size_t i = 0; i < 16; i++)
        square += real(json_at(json_at(rows, 0), i)) * real(json_at(json_at(rows, 0), i));
    assert_true(fabs(square - 1) < 1e-5);
    json_free(doc);
    doc = answer(&test, "{\"inputs\": \"good\", \"normalize\": false}", FORM_GPUX);
    double longest = 0;
    for (size_t i = 0; i < 16; i++)
        longest =
            fmax(longest, real(json_at(json_at(json_get(json_root(doc), "embeddings"), 0), i)));
    assert_true(longest > 1);
    json_free(doc);
    doc = answer(
        &test, "{\"inputs\": {\"source_sentence\": \"good\", \"sentences\": [\"good\", \"bad\"]}}",
        FORM_GPUX);
    assert_true(HAS_EXACTLY(json_root(doc), "similarities"));
    const JsonValue *similarities = json_get(json_root(doc), "similarities");
    assert_int_equal(json_len(similarities), 2);
    assert_true(fabs(real(json_at(similarities, 0)) - 1) < 1e-5);
    assert_true(real(json_at(similarities, 1)) < 0.999);
    json_free(doc);
    close_test_model(&test);
}

static void fill_mask_has_the_documented_keys(void **state) {
    (void)state;
    TestModel test = open_test_model(GOLDEN_TASKS, "mask");
    JsonDoc *doc = answer(&test, "\"the [MASK]\"", FORM_GPUX);
    const JsonValue *predictions = json_get(json_root(doc), "predictions");
    assert_true(HAS_EXACTLY(json_root(doc), "predictions"));
    assert_int_equal(json_len(predictions), 5);
    assert_true(HAS_EXACTLY(json_at(predictions, 0), "score", "token", "token_str", "sequence"));
    json_free(doc);
    doc = answer(&test, "{\"inputs\": \"[MASK] [MASK]\", \"top_k\": 3}", FORM_GPUX);
    predictions = json_get(json_root(doc), "predictions");
    assert_int_equal(json_len(predictions), 2);
    assert_int_equal(json_len(json_at(predictions, 1)), 3);
    json_free(doc);
    close_test_model(&test);
}

static void question_answering_has_the_documented_keys(void **state) {
    (void)state;
    TestModel test = open_test_model(GOLDEN_TASKS, "answer");
    JsonDoc *doc =
        answer(&test, "{\"question\": \"who?\", \"context\": \"John lives\"}", FORM_GPUX);
    assert_true(HAS_EXACTLY(json_root(doc), "answer", "score", "start", "end"));
    json_free(doc);
    doc = answer(&test, "{\"question\": \"who?\", \"context\": \"John lives\", \"top_k\": 2}",
                 FORM_GPUX);
    assert_true(HAS_EXACTLY(json_root(doc), "answers"));
    const JsonValue *answers = json_get(json_root(doc), "answers");
    assert_int_equal(json_len(answers), 2);
    assert_true(HAS_EXACTLY(json_at(answers, 1), "answer", "score", "start", "end"));
    json_free(doc);
    close_test_model(&test);
}

static void zero_shot_has_the_documented_keys(void **state) {
    (void)state;
    TestModel test = open_test_model(GOLDEN_TASKS, "zero-shot");
    JsonDoc *doc = answer(
        &test, "{\"inputs\": \"film\", \"candidate_labels\": [\"good\", \"bad\"]}", FORM_GPUX);
    const JsonValue *root = json_root(doc);
    assert_true(HAS_EXACTLY(root, "sequence", "labels", "scores"));
    assert_true(is_string(json_get(root, "sequence"), "film"));
    assert_int_equal(json_len(json_get(root, "labels")), 2);
    assert_true(real(json_at(json_get(root, "scores"), 0)) >=
                real(json_at(json_get(root, "scores"), 1)));
    json_free(doc);
    doc = answer(&test,
                 "{\"inputs\": [\"film\", \"a\"], \"parameters\": {\"candidate_labels\": \"good\"},"
                 " \"return_logits\": true}",
                 FORM_GPUX);
    assert_int_equal(json_kind(json_root(doc)), JSON_ARRAY);
    assert_int_equal(json_len(json_root(doc)), 2);
    root = json_at(json_root(doc), 1);
    assert_true(HAS_EXACTLY(root, "sequence", "labels", "scores", "logits"));
    assert_int_equal(json_len(json_at(json_get(root, "logits"), 0)), 3);
    json_free(doc);
    close_test_model(&test);
}

// ---- Request rules ----

static void every_synonym_of_the_text_key_is_read(void **state) {
    (void)state;
    static const char *const others[] = {
        "\"good film\"",
        "{\"text\": \"good film\"}",
        "{\"input\": \"good film\"}",
        "{\"prompt\": \"good film\"}",
        "{\"sentence\": \"good film\"}",
        "{\"inputs\": \"good film\", \"options\": {\"wait_for_model\": true}}",
        " {\"inputs\":\"good\\u0020film\"} ",
    };
    TestModel test = open_test_model(GOLDEN_TASKS, "classify");
    for (size_t i = 0; i < sizeof others / sizeof others[0]; i++)
        assert_same_answer(&test, "{\"inputs\": \"good film\"}", others[i], FORM_GPUX);
    close_test_model(&test);
}

static void parameters_win_over_the_top_level(void **state) {
    (void)state;
    TestModel test = open_test_model(GOLDEN_TASKS, "classify");
    JsonDoc *doc =
        answer(&test, "{\"inputs\": \"a\", \"top_k\": 3, \"parameters\": {\"top_k\": 1}}", FORM_HF);
    assert_int_equal(json_len(json_at(json_root(doc), 0)), 1);
    json_free(doc);
    doc = answer(&test, "{\"inputs\": \"a\", \"top_k\": 2}", FORM_HF);
    assert_int_equal(json_len(json_at(json_root(doc), 0)), 2);
    json_free(doc);
    doc = answer(&test, "{\"inputs\": \"a\", \"top_k\": null}", FORM_HF);
    assert_int_equal(json_len(json_at(json_root(doc), 0)), 3);
    json_free(doc);
    close_test_model(&test);
}

static void a_list_answers_each_element_as_if_alone(void **state) {
    (void)state;
    static const char *const elements[] = {"{\"inputs\": \"good film\"}", "\"\"",
                                           "{\"inputs\": [\"a\", \"b\"], \"top_k\": 1}",
                                           "{\"input_ids\": [[5, 6, 7]]}"};
    TestModel test = open_test_model(GOLDEN_TASKS, "classify");
    Buf list = BUF_INIT(MAX_TEXT), joined = BUF_INIT(MAX_TEXT), text;
    Error error;
    for (size_t i = 0; i < 4; i++) {
        check_ok(try_answer(&test, sv(elements[i]), FORM_GPUX, &text, &error), &error);
        buf_printf(&list, "%s%s", i ? ", " : "[", elements[i]);
        buf_printf(&joined, "%s%s", i ? "," : "[", text.ptr);
        buf_free(&text);
    }
    buf_append_byte(&list, ']');
    buf_append_byte(&joined, ']');
    check_ok(try_answer(&test, sv_n(list.ptr, list.len), FORM_GPUX, &text, &error), &error);
    assert_string_equal(text.ptr, joined.ptr);
    buf_free(&text);
    buf_free(&list);
    buf_free(&joined);
    close_test_model(&test);
}

static void an_empty_batch_has_an_empty_answer(void **state) {
    (void)state;
    static const char *const names[] = {"classify", "tokens", "mask", "answer", "features"};
    for (size_t i = 0; i < 5; i++) {
        TestModel test = open_test_model(GOLDEN_TASKS, names[i]);
        for (int form = 0; form < 3; form++)
            assert_json(answer(&test, "[]", (AnswerForm)form), "[]");
        if (strcmp(names[i], "answer") != 0)
            assert_json(answer(&test, "{\"inputs\": []}", FORM_HF), "[]");
        close_test_model(&test);
    }
}

static void a_bad_element_is_named_by_its_index(void **state) {
    (void)state;
    TestModel test = open_test_model(GOLDEN_TASKS, "classify");
    assert_refused(&test, FORM_GPUX, "[\"good\", {}, \"bad\"]",
                   "element 1: Missing required input: 'inputs'");
    assert_refused(&test, FORM_GPUX, "[\"good\", 5]",
                   "element 1: Input must be a JSON object or a string");
    assert_refused(&test, FORM_GPUX, "[[\"good\"]]",
                   "element 0: Input must be a JSON object or a string");
    assert_refused(&test, FORM_GPUX, "{\"inputs\": [\"good\", \"bad\", 7]}",
                   "text 2: Invalid input type for 'inputs': expected string");
    assert_refused(&test, FORM_GPUX, "[{\"input_ids\": [[5]]}, {\"input_ids\": [[5], [6, 7]]}]",
                   "element 1: Input 'input_ids' is not rectangular");
    close_test_model(&test);
}

static void unknown_parameters_are_named_and_ignored(void **state) {
    (void)state;
    TestModel test = open_test_model(GOLDEN_TASKS, "classify");
    static const struct {
        const char *json, *ignored;
    } cases[] = {
        {"{\"inputs\": \"a\", \"options\": {\"use_cache\": false}, \"top_k\": 1}", ""},
        {"{\"inputs\": \"a\", \"foo\": 1, \"parameters\": {\"bar\": 2, \"foo\": 3}}", "foo, bar"},
        {"[{\"inputs\": \"a\", \"foo\": 1}, {\"inputs\": \"a\", \"foo\": 1, \"fo\": 1}]",
         "foo, fo"},
        {"{\"inputs\": \"a\", \"x\\r\\nSet-Cookie\": 1}", "x??Set-Cookie"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        Request *request;
        Error error;
        check_ok(request_prepare(&request, &test.task, sv(cases[i].json), &error), &error);
        assert_string_equal(request_ignored(request), cases[i].ignored);
        request_free(request);
    }
    close_test_model(&test);
}

static void the_raw_form_of_a_text_is_what_its_tensors_give(void **state) {
    (void)state;
    TestModel test = open_test_model(GOLDEN_TASKS, "tokens");
    // "good [SEP]"'s own ids, from the front of the vocabulary.
    JsonDoc *text = answer(&test, "\"1 2\"", FORM_RAW);
    JsonDoc *tensors = answer(&test, "{\"input_ids\": [[2, 13, 14, 3]]}", FORM_RAW);
    const JsonValue *logits = json_get(json_root(text), "logits");
    assert_int_equal(json_len(json_at(logits, 0)), 4);
    assert_true(values_agree(logits, json_get(json_root(tensors), "logits"), 0));
    json_free(text);
    json_free(tensors);
    Request *request;
    Error error;
    Buf out = BUF_INIT(MAX_TEXT);
    JsonWriter writer = json_writer(&out, 0);
    check_ok(request_prepare(&request, &test.task, SV("\"good\""), &error), &error);
    check_ok(requests_step(test.runner, &request, 1, &error), &error);
    assert_int_equal(request_finish(request, FORM_RAW, &writer, &error), STATUS_INVALID);
    request_free(request);
    buf_free(&out);
    close_test_model(&test);
}

static void finishing_reads_and_may_be_done_again(void **state) {
    (void)state;
    static const char *const cases[][2] = {
        {"classify", "{\"inputs\": [\"good\", \"bad\"]}"},
        {"tokens", "{\"inputs\": \"good bad film\", \"ignore_labels\": []}"},
        {"mask", "\"the [MASK] [MASK]\""},
        {"answer", "{\"question\": \"who?\", \"context\": \"a b c d\", \"top_k\": 3}"},
        {"zero-shot", "{\"inputs\": \"a\", \"candidate_labels\": \"good,bad\"}"},
        {"sentences-mean", "{\"inputs\": [\"a\", \"b\"]}"},
        {"sentences-cls", "{\"source_sentence\": \"a\", \"sentences\": [\"b\", \"c\"]}"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        TestModel test = open_test_model(GOLDEN_TASKS, cases[i][0]);
        Request *request;
        Error error;
        Buf first = BUF_INIT(MAX_TEXT);
        check_ok(request_prepare(&request, &test.task, sv(cases[i][1]), &error), &error);
        for (int run = 0; run < 4; run++) {
            Buf text = BUF_INIT(MAX_TEXT);
            JsonWriter writer = json_writer(&text, 0);
            if (run % 2 == 0)
                check_ok(requests_step(test.runner, &request, 1, &error), &error);
            check_ok(request_finish(request, FORM_HF, &writer, &error), &error);
            if (run == 0)
                buf_append_cstr(&first, text.ptr);
            assert_string_equal(text.ptr, first.ptr);
            buf_free(&text);
            if (run == 1)
                request_rewind(request);
        }
        buf_free(&first);
        request_free(request);
        close_test_model(&test);
    }
}

// ---- Errors of tasks ----

typedef struct Refusal {
    const char *json, *message;
} Refusal;

static void check_refusals(const char *name, const Refusal *refusals, size_t count) {
    TestModel test = open_test_model(GOLDEN_TASKS, name);
    for (size_t i = 0; i < count; i++)
        assert_refused(&test, FORM_GPUX, refusals[i].json, refusals[i].message);
    close_test_model(&test);
}
#define CHECK_REFUSALS(name, table) check_refusals(name, table, sizeof(table) / sizeof((table)[0]))

static void a_refused_text_request_says_why(void **state) {
    (void)state;
    static const Refusal classify[] = {
        {"{}", "Missing required input: 'inputs'"},
        {"{\"foo\": \"good\"}", "Missing required input: 'inputs'"},
        {"{\"inputs\": 5}", "Invalid input type for 'inputs': expected string"},
        {"{\"inputs\": null}", "Invalid input type for 'inputs': expected string"},
        {"{\"inputs\": {\"text\": \"a\"}}", "Invalid input type for 'inputs': expected string"},
        {"5", "Input must be a JSON object or a string"},
        {"null", "Input must be a JSON object or a string"},
        {"{\"inputs\": \"a\", \"parameters\": 5}",
         "Parameter block 'parameters' must be an object"},
        {"{\"inputs\": \"a\", \"top_k\": 0}",
         "Parameter 'top_k' must be an integer between 1 and 9223372036854775807"},
        {"{\"inputs\": \"a\", \"top_k\": \"x\"}",
         "Parameter 'top_k' must be an integer between 1 and 9223372036854775807"},
        {"{\"inputs\": \"a\", \"function_to_apply\": \"tanh\"}",
         "Parameter 'function_to_apply' must be one of: softmax, sigmoid, none"},
    };
    static const Refusal tokens[] = {
        {"{\"inputs\": \"a\", \"aggregation_strategy\": 3}",
         "Parameter 'aggregation_strategy' must be one of: none, simple, first, average, max"},
        {"{\"inputs\": \"a\", \"stride\": 13}",
         "Parameter 'stride' must be an integer between 0 and 12"},
        {"{\"inputs\": \"a\", \"return_logits\": 1}",
         "Parameter 'return_logits' must be true or false"},
    };
    static const Refusal mask[] = {
        {"\"good\"", "No mask token ([MASK]) found in the input"},
        {"{\"inputs\": [\"[MASK]\", \"good\"]}", "No mask token ([MASK]) found in the input"},
        {"{\"inputs\": \"[MASK]\", \"targets\": [5]}", "Parameter 'targets' must hold strings"},
        {"{\"inputs\": \"[MASK]\", \"targets\": []}", "Parameter 'targets' names no token"},
        {"{\"inputs\": \"[MASK]\", \"targets\": [\" \"]}", "Parameter 'targets' names no token"},
    };
    CHECK_REFUSALS("classify", classify);
    CHECK_REFUSALS("tokens", tokens);
    CHECK_REFUSALS("mask", mask);
}

static void a_refused_request_of_several_texts_says_why(void **state) {
    (void)state;
    static const Refusal question[] = {
        {"\"who\"", "Missing required input: 'question'"},
        {"{\"question\": \"who\"}", "Missing required input: 'context'"},
        {"{\"inputs\": {\"context\": \"who\"}}", "Missing required input: 'question'"},
        {"{\"question\": 5, \"context\": \"a\"}",
         "Invalid input type for 'question': expected string"},
        {"{\"question\": \"who\", \"context\": \" \"}", "Input 'context' is empty"},
        {"{\"question\": \"who\", \"context\": \"\\u200b\"}", "Input 'context' has no words"},
        {"{\"question\": \"who\", \"context\": \"a\", \"max_answer_len\": 0}",
         "Parameter 'max_answer_len' must be an integer between 1 and 1048576"},
    };
    static const Refusal zero_shot[] = {
        {"\"film\"", "Missing required input: 'candidate_labels'"},
        {"{\"candidate_labels\": [\"a\"]}", "Missing required input: 'inputs'"},
        {"{\"inputs\": \"a\", \"candidate_labels\": []}", "Parameter 'candidate_labels' is empty"},
        {"{\"inputs\": \"a\", \"candidate_labels\": \" ,\"}",
         "Parameter 'candidate_labels' is empty"},
        {"{\"inputs\": \"a\", \"candidate_labels\": 5}",
         "Invalid input type for 'candidate_labels': expected array"},
        {"{\"inputs\": \"a\", \"candidate_labels\": [5]}",
         "Parameter 'candidate_labels' must hold strings"},
        {"{\"inputs\": \"a\", \"candidate_labels\": \"b\", \"hypothesis_template\": \"x\"}",
         "Parameter 'hypothesis_template' has no {}"},
        {"{\"inputs\": \"a\", \"candidate_labels\": \"b\", \"hypothesis_template\": 5}",
         "Parameter 'hypothesis_template' must be a string"},
    };
    static const Refusal features[] = {
        {"{\"inputs\": {\"source_sentence\": \"a\"}}", "Missing required input: 'sentences'"},
        {"{\"source_sentence\": 5, \"sentences\": []}",
         "Invalid input type for 'source_sentence': expected string"},
        {"{\"source_sentence\": \"a\", \"sentences\": [5]}",
         "Invalid input type for 'sentences': expected array of strings"},
        {"{\"inputs\": \"a\", \"normalize\": \"x\"}",
         "Parameter 'normalize' must be true or false"},
        {"{\"inputs\": \"a\", \"truncation_direction\": \"up\"}",
         "Parameter 'truncation_direction' must be one of: right, left"},
        {"{\"inputs\": \"a b c d e f g h i j k l m n o p q r s t u v w x y z\", "
         "\"truncate\": false}",
         "Input has 28 tokens, more than the model's 24, and truncate is false"},
    };
    CHECK_REFUSALS("answer", question);
    CHECK_REFUSALS("zero-shot", zero_shot);
    CHECK_REFUSALS("features", features);
}

static void broken_json_is_refused_with_its_place(void **state) {
    (void)state;
    static const char *const broken[] = {"",
                                         " ",
                                         "{",
                                         "[1,",
                                         "{\"inputs\": \"\xff\"}",
                                         "{\"inputs\": \"a\"} x",
                                         "{\"inputs\": NaN}"};
    TestModel test = open_test_model(GOLDEN_TASKS, "classify");
    for (size_t i = 0; i < sizeof broken / sizeof broken[0]; i++) {
        Request *request;
        Error error;
        assert_int_not_equal(request_prepare(&request, &test.task, sv(broken[i]), &error),
                             STATUS_OK);
        assert_true(strncmp(error.message, "Invalid JSON: ", 14) == 0);
    }
    close_test_model(&test);
}

// ---- Allocations that fail ----

static void check_allocations(const TestModel *test, const char *json, AnswerForm form) {
    Buf expected, text;
    Error error;
    check_ok(try_answer(test, sv(json), form, &expected, &error), &error);
    Status status = STATUS_OUT_OF_MEMORY;
    size_t n = 1;
    for (; status != STATUS_OK; n++) {
        mem_fail_after(n);
        status = try_answer(test, sv(json), form, &text, &error);
        mem_fail_after(0);
        assert_true(n < 20000);
    }
    // The runner has come through all of it.
    assert_true(n > 5);
    assert_string_equal(text.ptr, expected.ptr);
    buf_free(&text);
    buf_free(&expected);
}

static void every_failed_allocation_is_an_error(void **state) {
    (void)state;
    static const struct {
        const char *name, *json;
    } cases[] = {
        {"classify", "[{\"inputs\": \"good\", \"foo\": 1}, \"a\"]"},
        {"classify", "{\"input_ids\": [[5, 6], [7, 8]], \"attention_mask\": [[1, 1], [1, 0]]}"},
        {"classify", "{\"input_ids\": {\"dtype\": \"int32\", \"shape\": [1, 1], \"data\": "
                     "\"BQAAAA==\"}}"},
        {"tokens", "{\"inputs\": \"good Ж bad a b c d e f g h i j k l m n o p q r s t u v\", "
                   "\"stride\": 2, \"aggregation_strategy\": \"average\"}"},
        {"mask", "{\"inputs\": \"[MASK] [MASK]\", \"top_k\": 1, \"targets\": [\"a\", \"zz\"]}"},
        {"answer", "{\"question\": \"who?\", \"context\": \"a b c d\", \"top_k\": 3}"},
        {"zero-shot", "{\"inputs\": \"a\", \"candidate_labels\": \"good,bad\"}"},
        {"features", "{\"source_sentence\": \"a\", \"sentences\": [\"b\", \"c\"]}"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        TestModel test = open_test_model(GOLDEN_TASKS, cases[i].name);
        check_allocations(&test, cases[i].json, FORM_GPUX);
        check_allocations(&test, cases[i].json, FORM_RAW);
        close_test_model(&test);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(text_classification_has_the_documented_keys),
        cmocka_unit_test(a_friendly_output_holds_the_probabilities),
        cmocka_unit_test(token_classification_has_the_documented_keys),
        cmocka_unit_test(embeddings_are_two_dimensional),
        cmocka_unit_test(fill_mask_has_the_documented_keys),
        cmocka_unit_test(question_answering_has_the_documented_keys),
        cmocka_unit_test(zero_shot_has_the_documented_keys),
        cmocka_unit_test(every_synonym_of_the_text_key_is_read),
        cmocka_unit_test(parameters_win_over_the_top_level),
        cmocka_unit_test(a_list_answers_each_element_as_if_alone),
        cmocka_unit_test(an_empty_batch_has_an_empty_answer),
        cmocka_unit_test(a_bad_element_is_named_by_its_index),
        cmocka_unit_test(unknown_parameters_are_named_and_ignored),
        cmocka_unit_test(the_raw_form_of_a_text_is_what_its_tensors_give),
        cmocka_unit_test(finishing_reads_and_may_be_done_again),
        cmocka_unit_test(a_refused_text_request_says_why),
        cmocka_unit_test(a_refused_request_of_several_texts_says_why),
        cmocka_unit_test(broken_json_is_refused_with_its_place),
        cmocka_unit_test(every_failed_allocation_is_an_error),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
