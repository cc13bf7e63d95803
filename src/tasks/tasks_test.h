// For the tests of tasks/: a tiny checkpoint of test/golden/tasks, converted in a folder of its own
// and opened, and requests that must succeed.
#ifndef GPUX_TASKS_TASKS_TEST_H
#define GPUX_TASKS_TASKS_TEST_H

#include "base/file.h"
#include "base/memory.h"
#include "tasks/tasks.h"
#include "test/folder.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include <cmocka.h>

#define GOLDEN_TASKS "test/golden/tasks"
#define GOLDEN_MODELS "test/golden/models"
enum { MAX_TEXT = 1 << 24 };

typedef struct TestModel {
    char folder[64];
    ModelInfo *info;
    Model *model;
    Tokenizer *tokenizer;
    Runner *runner;
    TaskModel task;
} TestModel;

static inline void check_ok(Status status, const Error *error) {
    if (status != STATUS_OK)
        fail_msg("%s: %s", status_text(status), error->message);
}

static inline void write_file(const TestModel *test, const char *name, const char *text) {
    char *path = path_join(test->folder, name);
    assert_int_equal(file_write_atomic(path, text, strlen(text), NULL), STATUS_OK);
    mem_free(path);
}

static inline void load_test_model(TestModel *test) {
    Error error;
    CpuInfo cpu;
    Location location;
    ResolveOptions resolve = {.cache_dir = "/nonexistent", .config = "gpux.yml"};
    cpu_detect(&cpu);
    EngineOptions engine = {.cpu = &cpu, .threads = 1};
    RunnerOptions runner = {.threads = 1};
    check_ok(store_resolve(&location, test->folder, &resolve, &error), &error);
    check_ok(model_info_load(&test->info, &location, &error), &error);
    location_free(&location);
    check_ok(model_load(&test->model, test->info->model_file, &engine, &error), &error);
    Status status = test->info->tokenizer_folder
                        ? tokenizer_open(&test->tokenizer, test->folder, NULL, NULL, &error)
                        : STATUS_NOT_FOUND;
    if (status != STATUS_NOT_FOUND)
        check_ok(status, &error);
    if (test->tokenizer && test->info->do_lower_case)
        tokenizer_lower_case(test->tokenizer);
    check_ok(runner_new(&test->runner, test->model, &runner, &error), &error);
    test->task = (TaskModel){test->model, test->info, test->tokenizer};
}

static inline void unload_test_model(TestModel *test) {
    runner_free(test->runner);
    tokenizer_close(test->tokenizer);
    model_free(test->model);
    model_info_free(test->info);
    test->runner = NULL;
    test->tokenizer = NULL;
    test->model = NULL;
    test->info = NULL;
}

static inline TestModel open_test_model(const char *root, const char *name) {
    TestModel test = {.folder = "/tmp/gpux_tasks_XXXXXX"};
    Error error;
    ConvertOptions options = {0};
    assert_non_null(mkdtemp(test.folder));
    char *source = path_join(root, name);
    copy_folder(source, test.folder);
    mem_free(source);
    check_ok(store_convert(NULL, test.folder, &options, &error), &error);
    load_test_model(&test);
    return test;
}

static inline void close_test_model(TestModel *test) {
    unload_test_model(test);
    remove_folder(test->folder);
}

static inline Status try_answer(const TestModel *test, StrView json, AnswerForm form, Buf *out,
                                Error *error) {
    Request *request;
    *out = BUF_INIT(MAX_TEXT);
    TRY(request_prepare(&request, &test->task, json, error));
    if (form == FORM_RAW)
        request_keep_outputs(request);
    JsonWriter writer = json_writer(out, 0);
    Status status = requests_step(test->runner, &request, 1, error);
    if (status == STATUS_OK)
        status = request_finish(request, form, &writer, error);
    if (status == STATUS_OK)
        status = buf_status(out, error);
    request_free(request);
    if (status != STATUS_OK)
        buf_free(out);
    return status;
}

// The answer, parsed; free with json_free.
static inline JsonDoc *answer(const TestModel *test, const char *json, AnswerForm form) {
    Buf text;
    Error error;
    JsonDoc *doc;
    Status status = try_answer(test, sv(json), form, &text, &error);
    if (status != STATUS_OK)
        fail_msg("%s\n%s: %s", json, status_text(status), error.message);
    check_ok(json_parse(&doc, sv_n(text.ptr, text.len), 0, &error), &error);
    buf_free(&text);
    return doc;
}

// Strings and integers equal; reals within 1e-4 of themselves or of their array's largest value.
static inline bool values_agree(const JsonValue *is, const JsonValue *expected, double scale) {
    JsonKind kind = json_kind(expected);
    double a, b;
    if (json_as_f64(&b, expected)) {
        if (kind == JSON_INT && json_kind(is) == JSON_INT)
            return json_as_f64(&a, is) && a == b;
        return json_as_f64(&a, is) && fabs(a - b) <= 1e-4 * fmax(fabs(b), scale) + 1e-9;
    }
    if (kind != json_kind(is) || json_len(is) != json_len(expected))
        return false;
    StrView text, other, key;
    if (kind == JSON_STRING)
        return json_as_string(&text, is) && json_as_string(&other, expected) &&
               sv_equal(text, other);
    bool x, y;
    if (kind == JSON_BOOL)
        return json_as_bool(&x, is) && json_as_bool(&y, expected) && x == y;
    for (size_t i = 0; kind == JSON_ARRAY && i < json_len(expected); i++)
        if (json_as_f64(&b, json_at(expected, i)))
            scale = fmax(scale, fabs(b));
    for (size_t i = 0; kind == JSON_ARRAY && i < json_len(expected); i++)
        if (!values_agree(json_at(is, i), json_at(expected, i), scale))
            return false;
    size_t iterator = 0;
    const JsonValue *value;
    while (kind == JSON_OBJECT && json_next(expected, &iterator, &key, &value)) {
        char name[128];
        snprintf(name, sizeof name, "%.*s", (int)key.len, key.ptr);
        if (!values_agree(json_get(is, name), value, 0))
            return false;
    }
    return true;
}

// Two answers of one form that must be equal to the bit.
static inline void assert_same_answer(const TestModel *test, const char *a, const char *b,
                                      AnswerForm form) {
    Buf x, y;
    Error error;
    check_ok(try_answer(test, sv(a), form, &x, &error), &error);
    check_ok(try_answer(test, sv(b), form, &y, &error), &error);
    assert_string_equal(x.ptr, y.ptr);
    buf_free(&x);
    buf_free(&y);
}

static inline void assert_refused(const TestModel *test, AnswerForm form, const char *json,
                                  const char *message) {
    Buf text;
    Error error = {.message = ""};
    Status status = try_answer(test, sv(json), form, &text, &error);
    if (status == STATUS_OK) {
        buf_free(&text);
        fail_msg("%s was answered", json);
    }
    if (strcmp(error.message, message) != 0)
        fail_msg("%s\n  is       %s\n  expected %s", json, error.message, message);
    assert_int_equal(status, STATUS_INVALID);
    assert_int_equal(error.code, STATUS_INVALID);
}

#endif
