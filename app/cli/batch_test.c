// The window is tried on a small golden model with raw requests: rows of token ids.
#include "app/cli/batch.h"

#include "base/file.h"
#include "base/memory.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include <cmocka.h>

static const char GOLDEN[] = "test/golden/models/bert-classify";
static const char *const FILES[] = {"config.json", "model.safetensors"};

typedef struct Fixture {
    char folder[64];
    Cli cli;
    RunJob job;
} Fixture;

static Fixture fixture;

static int make_model(void **state) {
    (void)state;
    strcpy(fixture.folder, "/tmp/gpux-batch-XXXXXX");
    if (mkdtemp(fixture.folder) == NULL)
        return -1;
    for (size_t i = 0; i < sizeof FILES / sizeof FILES[0]; i++) {
        char *source = path_join(GOLDEN, FILES[i]);
        char *target = path_join(fixture.folder, FILES[i]);
        Status status = file_copy_or_reflink(target, source, NULL);
        mem_free(source);
        mem_free(target);
        if (status != STATUS_OK)
            return -1;
    }
    gpux_options options = GPUX_OPTIONS_INIT;
    gpux_convert_options convert = GPUX_CONVERT_OPTIONS_INIT;
    gpux_model_options model = GPUX_MODEL_OPTIONS_INIT;
    gpux_runner_options runner = GPUX_RUNNER_OPTIONS_INIT;
    fixture.job.cli = &fixture.cli;
    bool is_ready =
        gpux_open(&fixture.cli.env, &options, NULL) == GPUX_OK &&
        gpux_convert(NULL, fixture.cli.env, fixture.folder, &convert, NULL) == GPUX_OK &&
        gpux_model_open(&fixture.job.model, fixture.cli.env, fixture.folder, &model, NULL) ==
            GPUX_OK &&
        gpux_runner_new(&fixture.job.runner, fixture.job.model, &runner, NULL) == GPUX_OK;
    return is_ready ? 0 : -1;
}

static int remove_model(void **state) {
    (void)state;
    run_close(&fixture.job);
    gpux_close(fixture.cli.env);
    FileList list;
    if (file_list(&list, fixture.folder, NULL) != STATUS_OK)
        return -1;
    for (size_t i = 0; i < list.count; i++) {
        char *path = path_join(fixture.folder, list.names[i]);
        unlink(path);
        mem_free(path);
    }
    file_list_free(&list);
    return rmdir(fixture.folder);
}

// Request i of a test: 1 to 9 tokens, in no order of length.
static void write_request(char out[128], size_t i) {
    size_t len = 1 + i * 7 % 9;
    int at = snprintf(out, 128, "{\"input_ids\": [[");
    for (size_t t = 0; t < len; t++)
        at += snprintf(out + at, 128 - (size_t)at, "%s%zu", t > 0 ? ", " : "", (i + t) % 10);
    snprintf(out + at, 128 - (size_t)at, "]]}");
}

static void add(Batch *batch, const char *text, size_t number) {
    Line line = {.text = sv(text), .number = number};
    assert_int_equal(batch_add(batch, &line), STATUS_OK);
}

static void expect_answer_of(const char *request, const BatchItem *item) {
    gpux_request *alone = NULL;
    gpux_text answer = {0};
    assert_int_equal(gpux_prepare(&alone, fixture.job.model, request, strlen(request), NULL),
                     GPUX_OK);
    assert_int_equal(gpux_step(fixture.job.runner, &alone, 1, NULL), GPUX_OK);
    assert_int_equal(gpux_finish(&answer, alone, GPUX_FORM_GPUX, 0, NULL), GPUX_OK);
    assert_int_equal(item->answer.len, answer.len + 1);
    assert_memory_equal(item->answer.ptr, answer.ptr, answer.len);
    assert_int_equal(item->answer.ptr[answer.len], '\n');
    gpux_text_free(&answer);
    gpux_request_free(alone);
}

static void count_answered(void *ctx, size_t lines) {
    *(size_t *)ctx += lines;
}

static void answers_keep_the_order_and_are_those_of_single_requests(void **state) {
    (void)state;
    const BatchLimits cases[] = {
        {.pass_tokens = 4096,
         .window_lines = 100,
         .window_tokens = 1 << 20,
         .window_bytes = 1 << 20,
         .jobs = 1},
        {.pass_tokens = 4,
         .window_lines = 100,
         .window_tokens = 1 << 20,
         .window_bytes = 1 << 20,
         .jobs = 3},
        {.pass_tokens = 4096,
         .pass_requests = 7,
         .window_lines = 100,
         .window_tokens = 1 << 20,
         .window_bytes = 1 << 20,
         .jobs = 2},
    };
    for (size_t c = 0; c < sizeof cases / sizeof cases[0]; c++) {
        Batch batch;
        size_t answered = 0;
        assert_int_equal(batch_open(&batch, &fixture.job, &cases[c], NULL), STATUS_OK);
        batch.on_answered = count_answered;
        batch.ctx = &answered;
        char request[128];
        for (size_t window = 0; window < 2; window++) {
            for (size_t i = 0; i < 90; i++) {
                write_request(request, i + window);
                add(&batch, request, i + 1);
            }
            assert_int_equal(batch_answer(&batch), STATUS_OK);
            assert_int_equal(batch.count, 90);
            for (size_t i = 0; i < 90; i++) {
                write_request(request, i + window);
                expect_answer_of(request, &batch.items[i]);
                assert_null(batch.items[i].request);
            }
            batch_clear(&batch);
        }
        assert_int_equal(answered, 180);
        assert_int_equal(batch.failed, 0);
        batch_close(&batch);
    }
}

static void a_line_that_fails_disturbs_no_other(void **state) {
    (void)state;
    BatchLimits limits = batch_default_limits(GPUX_FORM_GPUX, 2);
    Batch batch;
    char request[128];
    write_request(request, 5);
    assert_int_equal(batch_open(&batch, &fixture.job, &limits, NULL), STATUS_OK);
    add(&batch, request, 1);
    add(&batch, "{bad", 2);
    // More tokens than the model has positions: prepared, but it cannot run.
    add(&batch, "{\"input_ids\": [[1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1]]}", 3);
    add(&batch, "{\"input_ids\": [[1000]]}", 5);
    Line long_line = {.number = 6, .is_too_long = true};
    assert_int_equal(batch_add(&batch, &long_line), STATUS_OK);
    add(&batch, request, 9);
    assert_int_equal(batch_answer(&batch), STATUS_OK);
    expect_answer_of(request, &batch.items[0]);
    expect_answer_of(request, &batch.items[5]);
    static const size_t NUMBERS[] = {2, 3, 5, 6};
    for (size_t i = 0; i < 4; i++) {
        JsonDoc *doc = NULL;
        const Buf *answer = &batch.items[i + 1].answer;
        char place[32];
        snprintf(place, sizeof place, "line %zu", NUMBERS[i]);
        assert_int_equal(answer->ptr[answer->len - 1], '\n');
        assert_int_equal(json_parse(&doc, sv_n(answer->ptr, answer->len), 0, NULL), STATUS_OK);
        assert_int_equal(json_len(json_root(doc)), 1);
        assert_non_null(strstr(json_cstr_or(json_root(doc), "error", ""), place));
        json_free(doc);
    }
    assert_int_equal(batch.failed, 4);
    assert_non_null(strstr(batch.first_failure, "line 2 column"));
    batch_close(&batch);
}

static void the_window_is_full_by_lines_tokens_or_bytes(void **state) {
    (void)state;
    static const char REQUEST[] = "{\"input_ids\": [[1, 2, 3, 4]]}";
    const struct {
        BatchLimits limits;
        size_t lines;
    } cases[] = {
        {{.pass_tokens = 64,
          .window_lines = 100,
          .window_tokens = 1 << 20,
          .window_bytes = 1 << 20,
          .jobs = 1},
         100},
        // Tokens are known when a slice of 64 lines is prepared.
        {{.pass_tokens = 64,
          .window_lines = 1000,
          .window_tokens = 300,
          .window_bytes = 1 << 20,
          .jobs = 1},
         128},
        {{.pass_tokens = 64,
          .window_lines = 1000,
          .window_tokens = 1 << 20,
          .window_bytes = sizeof REQUEST * 10,
          .jobs = 1},
         11},
    };
    for (size_t c = 0; c < sizeof cases / sizeof cases[0]; c++) {
        Batch batch;
        assert_int_equal(batch_open(&batch, &fixture.job, &cases[c].limits, NULL), STATUS_OK);
        size_t lines = 0;
        while (!batch_is_full(&batch)) {
            add(&batch, REQUEST, ++lines);
            assert_true(lines <= 1000);
        }
        assert_int_equal(lines, cases[c].lines);
        batch_close(&batch);
    }
}

static void running_out_of_memory_never_loses_a_line_silently(void **state) {
    (void)state;
    BatchLimits limits = batch_default_limits(GPUX_FORM_GPUX, 1);
    char request[128];
    write_request(request, 3);
    bool is_done = false;
    for (size_t n = 1; !is_done && n < 2000; n++) {
        Batch batch;
        Line line = {.text = sv(request), .number = 1};
        mem_fail_after(n);
        Status status = batch_open(&batch, &fixture.job, &limits, NULL);
        if (status == STATUS_OK)
            status = batch_add(&batch, &line);
        if (status == STATUS_OK)
            status = batch_answer(&batch);
        bool has_failed = status != STATUS_OK || batch.failed > 0;
        // Only with memory to spare is there an answer, and then it is the right one.
        is_done = mem_fail_after(0) < n;
        assert_int_equal(has_failed, !is_done);
        if (is_done)
            expect_answer_of(request, &batch.items[0]);
        batch_close(&batch);
    }
    assert_true(is_done);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(answers_keep_the_order_and_are_those_of_single_requests),
        cmocka_unit_test(a_line_that_fails_disturbs_no_other),
        cmocka_unit_test(the_window_is_full_by_lines_tokens_or_bytes),
        cmocka_unit_test(running_out_of_memory_never_loses_a_line_silently),
    };
    return cmocka_run_group_tests(tests, make_model, remove_model);
}
