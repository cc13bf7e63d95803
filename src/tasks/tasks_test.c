// Replays test/golden/tasks: requests of every task in the hub's form, and the answers that the
// hub's pipelines gave. Strings, offsets and order are equal; scores agree to 1e-4.
#include "tasks/tasks_test.h"

static char *text_of(const JsonValue *value) {
    Buf buf = BUF_INIT(MAX_TEXT);
    JsonWriter writer = json_writer(&buf, 0);
    json_write_value(&writer, value);
    assert_int_equal(buf_status(&buf, NULL), STATUS_OK);
    return buf.ptr;
}

// The number of cases that differ; each is shown.
static size_t replay(const TestModel *test, const JsonValue *cases) {
    size_t wrong = 0;
    for (size_t i = 0; i < json_len(cases); i++) {
        const JsonValue *expected = json_get(json_at(cases, i), "answer");
        char *request = text_of(json_get(json_at(cases, i), "request"));
        Buf text;
        Error error;
        Status status = try_answer(test, sv(request), FORM_HF, &text, &error);
        JsonDoc *doc = NULL;
        if (status == STATUS_OK)
            status = json_parse(&doc, sv_n(text.ptr, text.len), 0, &error);
        if (status != STATUS_OK || !values_agree(json_root(doc), expected, 0)) {
            char *wanted = text_of(expected);
            print_error("request  %s\nanswer   %.1500s\nexpected %.1500s\n", request,
                        status == STATUS_OK ? text.ptr : error.message, wanted);
            mem_free(wanted);
            wrong++;
        }
        json_free(doc);
        if (status == STATUS_OK)
            buf_free(&text);
        mem_free(request);
    }
    return wrong;
}

static void check_folder(void **state) {
    const char *name = *state;
    TestModel test = open_test_model(GOLDEN_TASKS, name);
    char *path = path_join(test.folder, "cases.json");
    JsonDoc *doc;
    assert_int_equal(json_parse_file(&doc, path, MAX_TEXT, 0, NULL), STATUS_OK);
    assert_true(json_len(json_root(doc)) >= 10);
    assert_int_equal(replay(&test, json_root(doc)), 0);
    json_free(doc);
    mem_free(path);
    close_test_model(&test);
}

#define ANSWERS_AS_THE_PIPELINE(folder)                                                            \
    { folder " answers as the hub's pipeline", check_folder, NULL, NULL, folder }

int main(void) {
    const struct CMUnitTest tests[] = {
        ANSWERS_AS_THE_PIPELINE("classify"),
        ANSWERS_AS_THE_PIPELINE("classify-multi"),
        ANSWERS_AS_THE_PIPELINE("classify-regression"),
        ANSWERS_AS_THE_PIPELINE("classify-single"),
        ANSWERS_AS_THE_PIPELINE("tokens"),
        ANSWERS_AS_THE_PIPELINE("tokens-odd"),
        ANSWERS_AS_THE_PIPELINE("mask"),
        ANSWERS_AS_THE_PIPELINE("answer"),
        ANSWERS_AS_THE_PIPELINE("zero-shot"),
        ANSWERS_AS_THE_PIPELINE("zero-shot-first"),
        ANSWERS_AS_THE_PIPELINE("sentences-mean"),
        ANSWERS_AS_THE_PIPELINE("sentences-cls"),
        ANSWERS_AS_THE_PIPELINE("sentences-max"),
        ANSWERS_AS_THE_PIPELINE("features"),
        ANSWERS_AS_THE_PIPELINE("classify-xlm-roberta"),
        ANSWERS_AS_THE_PIPELINE("mask-camembert"),
        ANSWERS_AS_THE_PIPELINE("sentences-xlm-roberta"),
        ANSWERS_AS_THE_PIPELINE("sentences-prompts"),
        ANSWERS_AS_THE_PIPELINE("sentences-prompt-skipped"),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
