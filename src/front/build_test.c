// gpux_build through the front door: every step can be the last one, and every allocation.
#include "gpux.h"

#include "base/file.h"
#include "base/json.h"
#include "base/memory.h"

#include "test/folder.h"

#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/file.h>
#include <unistd.h>

#include <cmocka.h>

#define GOLDEN "test/golden/models/bert-classify"

static char folder[] = "/tmp/gpux_build_XXXXXX";
static gpux_env *env;

static int make_project(void **state) {
    static const char *const FILES[] = {"config.json", "model.safetensors"};
    (void)state;
    memcpy(folder, "/tmp/gpux_build_XXXXXX", sizeof folder);
    assert_non_null(mkdtemp(folder));
    for (size_t i = 0; i < sizeof FILES / sizeof FILES[0]; i++) {
        char *to = path_join(folder, FILES[i]), *from = path_join(GOLDEN, FILES[i]);
        assert_int_equal(file_copy_or_reflink(to, from, NULL), STATUS_OK);
        mem_free(to);
        mem_free(from);
    }
    assert_int_equal(gpux_open(&env, NULL, NULL), GPUX_OK);
    assert_int_equal(gpux_convert(NULL, env, folder, NULL, NULL), GPUX_OK);
    return 0;
}

static int remove_project(void **state) {
    (void)state;
    gpux_close(env);
    remove_folder(folder);
    return 0;
}

// Counts the steps and ends at one of them.
typedef struct Steps {
    int count, last;
    gpux_build_step seen[16];
} Steps;

static bool on_step(void *ctx, gpux_build_step step, const char *text) {
    Steps *steps = ctx;
    assert_true(text[0] != '\0' && steps->count < 16);
    steps->seen[steps->count++] = step;
    return steps->count != steps->last;
}

static bool has_artifacts(void) {
    char path[64];
    snprintf(path, sizeof path, "%s/.gpux", folder);
    return file_is_dir(path);
}

static void the_steps_come_in_order_and_each_can_end_it(void **state) {
    (void)state;
    static const char *const LINE = "{\"input_ids\": [[1, 2, 3]], \"label\": \"red\"}";
    gpux_build_options options = GPUX_BUILD_OPTIONS_INIT;
    gpux_error error = {0};
    options.progress = on_step;
    options.samples = LINE;
    options.samples_len = strlen(LINE);
    for (int last = 1; last <= 9; last++) {
        Steps steps = {.last = last};
        options.progress_ctx = &steps;
        assert_int_equal(gpux_build(NULL, env, folder, &options, &error), GPUX_CANCELLED);
        assert_int_equal(steps.count, last);
        assert_false(has_artifacts());
    }
    Steps steps = {0};
    gpux_text report = {0};
    options.progress_ctx = &steps;
    assert_int_equal(gpux_build(&report, env, folder, &options, &error), GPUX_OK);
    static const gpux_build_step ORDER[] = {
        GPUX_BUILD_CONFIG,   GPUX_BUILD_MODEL,    GPUX_BUILD_INSPECT,
        GPUX_BUILD_PROVIDER, GPUX_BUILD_OPTIMIZE, GPUX_BUILD_MEASURE,
        GPUX_BUILD_MEASURE,  GPUX_BUILD_OPTIMIZE, GPUX_BUILD_SAVE};
    assert_int_equal(steps.count, sizeof ORDER / sizeof ORDER[0]);
    assert_memory_equal(steps.seen, ORDER, sizeof ORDER);
    JsonDoc *doc;
    assert_int_equal(json_parse(&doc, sv_n(report.ptr, report.len), 0, NULL), STATUS_OK);
    const JsonValue *tuning = json_get(json_root(doc), "tuning");
    assert_int_equal(json_len(json_get(tuning, "measured")), 3);
    assert_int_equal(json_i64_or(json_get(tuning, "samples"), "requests", 0), 1);
    assert_int_equal(json_len(json_get(json_root(doc), "artifacts")), 3);
    json_free(doc);
    gpux_text_free(&report);
}

// What would remove the model waits for a lock of its own on the folder.
static bool is_held(void *ctx, gpux_build_step step, const char *text) {
    bool *was_free = ctx;
    (void)text;
    int fd = open(folder, O_RDONLY | O_DIRECTORY);
    assert_true(fd >= 0);
    *was_free |= step != GPUX_BUILD_CONFIG && flock(fd, LOCK_EX | LOCK_NB) == 0;
    close(fd);
    return true;
}

static void a_model_cannot_be_removed_while_it_is_built(void **state) {
    (void)state;
    bool was_free = false, is_free = false;
    gpux_build_options options = GPUX_BUILD_OPTIONS_INIT;
    options.progress = is_held;
    options.progress_ctx = &was_free;
    assert_int_equal(gpux_build(NULL, env, folder, &options, NULL), GPUX_OK);
    assert_false(was_free);
    is_held(&is_free, GPUX_BUILD_SAVE, "");
    assert_true(is_free);
}

static void checking_survives_every_failed_allocation(void **state) {
    (void)state;
    gpux_build_options options = GPUX_BUILD_OPTIONS_INIT;
    options.no_optimize = true;
    gpux_status status = GPUX_OUT_OF_MEMORY;
    for (size_t n = 1; n < 20000 && status != GPUX_OK; n++) {
        gpux_text report = {0};
        mem_fail_after(n);
        status = gpux_build(&report, env, folder, &options, NULL);
        mem_fail_after(0);
        assert_true(status == GPUX_OK || status == GPUX_OUT_OF_MEMORY);
        gpux_text_free(&report);
    }
    assert_int_equal(status, GPUX_OK);
}

#define WITH_PROJECT(test) cmocka_unit_test_setup_teardown(test, make_project, remove_project)

int main(void) {
    const struct CMUnitTest tests[] = {
        WITH_PROJECT(the_steps_come_in_order_and_each_can_end_it),
        WITH_PROJECT(a_model_cannot_be_removed_while_it_is_built),
        WITH_PROJECT(checking_survives_every_failed_allocation),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
