// What the golden folders cannot show of embeddings: prompts that are refused, and prompts of
// several elements. The answers themselves stand in tasks_test.c.
#include "tasks/tasks_test.h"

static void unknown_prompts_are_named_with_those_there_are(void **state) {
    (void)state;
    TestModel test = open_test_model(GOLDEN_TASKS, "sentences-prompts");
    assert_refused(&test, FORM_HF, "{\"inputs\": \"a\", \"prompt_name\": \"pasage\"}",
                   "The model has no prompt 'pasage'; it has: query, document, passage, none");
    assert_refused(&test, FORM_HF, "{\"inputs\": \"a\", \"parameters\": {\"prompt_name\": 3}}",
                   "Parameter 'prompt_name' must be a string");
    close_test_model(&test);
}

static void every_model_knows_query_and_document(void **state) {
    (void)state;
    TestModel test = open_test_model(GOLDEN_TASKS, "features");
    assert_same_answer(&test, "{\"inputs\": \"a film\", \"prompt_name\": \"query\"}",
                       "{\"inputs\": \"a film\"}", FORM_HF);
    assert_refused(&test, FORM_HF, "{\"inputs\": \"a\", \"prompt_name\": \"passage\"}",
                   "The model has no prompt 'passage'; it has: query, document");
    close_test_model(&test);
}

static void elements_of_one_request_have_prompts_of_their_own(void **state) {
    (void)state;
    TestModel test = open_test_model(GOLDEN_TASKS, "sentences-prompts");
    Buf text, one;
    Error error;
    check_ok(try_answer(&test, SV("[{\"inputs\": \"a\", \"prompt_name\": \"none\"}, \"a\"]"),
                        FORM_HF, &text, &error),
             &error);
    Buf joined = BUF_INIT(MAX_TEXT);
    check_ok(try_answer(&test, SV("{\"inputs\": \"a\", \"prompt_name\": \"none\"}"), FORM_HF, &one,
                        &error),
             &error);
    buf_printf(&joined, "[%s,", one.ptr);
    buf_free(&one);
    check_ok(try_answer(&test, SV("{\"inputs\": \"a\", \"prompt_name\": \"passage\"}"), FORM_HF,
                        &one, &error),
             &error);
    buf_printf(&joined, "%s]", one.ptr);
    assert_string_equal(text.ptr, joined.ptr);
    buf_free(&one);
    buf_free(&text);
    buf_free(&joined);
    close_test_model(&test);
}

static void a_default_prompt_must_be_one_of_the_prompts(void **state) {
    (void)state;
    static const struct {
        const char *json, *message;
    } files[] = {
        {"{\"prompts\": {\"a\": \"x\"}, \"default_prompt_name\": \"b\"}",
         "config_sentence_transformers.json: default_prompt_name 'b' is not the name of a prompt"},
        {"{\"prompts\": {\"a\": 1}}",
         "config_sentence_transformers.json: prompt 'a' is not a text"},
    };
    TestModel test = open_test_model(GOLDEN_TASKS, "sentences-prompts");
    for (size_t i = 0; i < sizeof files / sizeof files[0]; i++) {
        Location location;
        ResolveOptions resolve = {.cache_dir = "/nonexistent", .config = "gpux.yml"};
        ModelInfo *info;
        Error error;
        write_file(&test, "config_sentence_transformers.json", files[i].json);
        check_ok(store_resolve(&location, test.folder, &resolve, &error), &error);
        assert_int_equal(model_info_load(&info, &location, &error), STATUS_CORRUPT);
        assert_string_equal(error.message, files[i].message);
        location_free(&location);
    }
    close_test_model(&test);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(unknown_prompts_are_named_with_those_there_are),
        cmocka_unit_test(every_model_knows_query_and_document),
        cmocka_unit_test(elements_of_one_request_have_prompts_of_their_own),
        cmocka_unit_test(a_default_prompt_must_be_one_of_the_prompts),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
