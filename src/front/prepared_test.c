// Tests of prepared weights through gpux.h: a model answers with the same bits whether its weights
// were packed now or mapped from what an earlier start left, and what was left counts only for the
// very files and kernels that it was made with.
#include "gpux.h"

#include "base/file.h"
#include "base/memory.h"

#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

static const char REQUEST[] = "{\"input_ids\": [[1, 5, 3, 7, 2], [4, 4, 6, 0, 0]], "
                              "\"attention_mask\": [[1, 1, 1, 1, 1], [1, 1, 1, 0, 0]]}";
static const char *const levels[] = {"ref", "avx2", "avx512"};
static const char *const precisions[] = {"fp32", "bf16", "int8"};
enum { LEVELS = 3, PRECISIONS = 3 };

// One start: what it was told, and what became of it.
typedef struct Start {
    const char *level, *precision, *prepared;
    int threads; // while loading
    char answer[4096];
    bool has_mapped, has_written, has_said_why;
} Start;

static void note(void *ctx, gpux_log_level level, const char *message) {
    Start *start = ctx;
    (void)level;
    start->has_mapped |= strstr(message, "Prepared weights: mapped") != NULL;
    start->has_written |= strstr(message, "Prepared weights: wrote") != NULL;
    start->has_said_why |= strstr(message, "Prepared weights are not kept: ") != NULL;
}

static gpux_status open_and_run(Start *start, const char *folder, gpux_error *error) {
    gpux_options options = GPUX_OPTIONS_INIT;
    gpux_model_options model_options = GPUX_MODEL_OPTIONS_INIT;
    gpux_env *env = NULL;
    gpux_model *model = NULL;
    gpux_runner *runner = NULL;
    gpux_request *request = NULL;
    gpux_text text = {0};
    options.log = note;
    options.log_ctx = start;
    options.log_level = GPUX_LOG_DEBUG;
    options.cpu_level = start->level;
    options.prepared = start->prepared ? start->prepared : "always";
    model_options.precision = start->precision;
    model_options.threads = start->threads;
    gpux_status status = gpux_open(&env, &options, error);
    if (status == GPUX_OK)
        status = gpux_model_open(&model, env, folder, &model_options, error);
    if (status == GPUX_OK)
        status = gpux_runner_new(&runner, model, NULL, error);
    if (status == GPUX_OK)
        status = gpux_prepare(&request, model, REQUEST, strlen(REQUEST), error);
    if (status == GPUX_OK)
        status = gpux_step(runner, &request, 1, error);
    if (status == GPUX_OK)
        status = gpux_finish(&text, request, GPUX_FORM_RAW, 0, error);
    if (status == GPUX_OK)
        snprintf(start->answer, sizeof start->answer, "%.*s", (int)text.len, text.ptr);
    gpux_text_free(&text);
    gpux_request_free(request);
    gpux_runner_free(runner);
    gpux_model_close(model);
    gpux_close(env);
    return status;
}

static void run(Start *start, const char *folder) {
    gpux_error error;
    start->has_mapped = start->has_written = start->has_said_why = false;
    start->answer[0] = '\0';
    if (open_and_run(start, folder, &error) != GPUX_OK)
        fail_msg("%s", error.message);
    assert_true(strlen(start->answer) > 20);
}

static void assert_maps(Start *start) {
    run(start, "model");
    assert_true(start->has_mapped && !start->has_written);
}

static void assert_writes(Start *start) {
    run(start, "model");
    assert_true(start->has_written && !start->has_mapped);
}

// The golden checkpoint `name`, converted as "model" in a temporary working folder; *state is where
// to go back to.
static void convert_model(const char *root, const char *name) {
    static const char *const files[] = {"config.json", "model.safetensors"};
    gpux_env *env;
    gpux_error error;
    if (mkdir("model", 0777) != 0)
        fail();
    for (size_t i = 0; i < sizeof files / sizeof files[0]; i++) {
        char from[600], to[64];
        snprintf(from, sizeof from, "%s/test/golden/models/%s/%s", root, name, files[i]);
        snprintf(to, sizeof to, "model/%s", files[i]);
        assert_int_equal(file_copy_or_reflink(to, from, NULL), STATUS_OK);
    }
    assert_int_equal(gpux_open(&env, NULL, &error), GPUX_OK);
    if (gpux_convert(NULL, env, "model", NULL, &error) != GPUX_OK)
        fail_msg("%s", error.message);
    gpux_close(env);
}

static int enter_folder(void **state) {
    char folder[] = "/tmp/gpux_prepared_test_XXXXXX";
    *state = path_absolute(".");
    return *state && mkdtemp(folder) && chdir(folder) == 0 ? 0 : -1;
}

static int leave_folder(void **state) {
    char command[300];
    char *folder = path_absolute(".");
    snprintf(command, sizeof command, "rm -rf '%s'", folder);
    int result = folder && chdir(*state) == 0 && system(command) == 0 ? 0 : -1;
    mem_free(folder);
    mem_free(*state);
    return result;
}

static size_t kept_files(void) {
    FileList list;
    if (file_list(&list, "model/.gpux", NULL) != STATUS_OK)
        return 0;
    size_t count = list.count;
    file_list_free(&list);
    return count;
}

static void check_bits(const char *root, const char *name) {
    convert_model(root, name);
    for (size_t l = 0; l < LEVELS; l++)
        for (size_t p = 0; p < PRECISIONS; p++) {
            Start packed = {.level = levels[l], .precision = precisions[p], .prepared = "never"};
            Start first = {.level = levels[l], .precision = precisions[p]}, second = first;
            run(&packed, "model");
            assert_false(packed.has_written || packed.has_mapped);
            run(&first, "model");
            // A level that this machine lacks falls back to one that was here before.
            assert_true(first.has_written || (l > 0 && first.has_mapped));
            assert_maps(&second);
            assert_string_equal(first.answer, packed.answer);
            assert_string_equal(second.answer, packed.answer);
        }
    assert_true(kept_files() >= PRECISIONS);
}

static void mapped_weights_give_the_bits_of_packed_ones(void **state) {
    check_bits(*state, "bert-classify");
}

static void biases_of_attention_are_kept_too(void **state) {
    check_bits(*state, "mpnet-classify");
}

static void answers_of_two_columns_are_kept_too(void **state) {
    check_bits(*state, "distilbert-answer");
}

// Flips a byte in the middle of the weights, as another training run would, and keeps the size.
static void change_weights(void) {
    int fd = open("model/model.safetensors", O_RDWR | O_CLOEXEC);
    struct stat st;
    assert_int_equal(fstat(fd, &st), 0);
    for (off_t at = st.st_size / 2; at < st.st_size / 2 + 2000; at += 4) {
        uint8_t byte;
        assert_int_equal(pread(fd, &byte, 1, at + 2), 1);
        byte ^= 0x55;
        assert_int_equal(pwrite(fd, &byte, 1, at + 2), 1);
    }
    close(fd);
}

static void changed_weights_are_packed_again(void **state) {
    convert_model(*state, "bert-classify");
    Start before = {0}, packed = {.prepared = "never"}, after = {0};
    assert_writes(&before);
    change_weights();
    run(&packed, "model");
    assert_string_not_equal(packed.answer, before.answer);
    assert_writes(&after);
    assert_string_equal(after.answer, packed.answer);
    assert_maps(&after);
    assert_string_equal(after.answer, packed.answer);
    assert_int_equal(kept_files(), 1);
}

static void a_graph_written_again_is_packed_again(void **state) {
    convert_model(*state, "bert-classify");
    Start start = {0};
    assert_writes(&start);
    assert_int_equal(file_copy_or_reflink("model/again", "model/model.onnx", NULL), STATUS_OK);
    assert_int_equal(rename("model/again", "model/model.onnx"), 0);
    assert_writes(&start);
    assert_maps(&start);
}

static char *kept_path(void) {
    FileList list;
    assert_int_equal(file_list(&list, "model/.gpux", NULL), STATUS_OK);
    assert_int_equal(list.count, 1);
    char *path = path_join("model/.gpux", list.names[0]);
    file_list_free(&list);
    return path;
}

static void damaged_files_are_written_again(void **state) {
    convert_model(*state, "bert-classify");
    Start packed = {.prepared = "never"}, start = {0};
    run(&packed, "model");
    assert_writes(&start);
    char *path = kept_path();
    FileStat whole;
    assert_true(file_stat(&whole, path));
    static const off_t places[] = {0, 8, 24, 30, 33, 50, 100, 4000};
    for (size_t i = 0; i < sizeof places / sizeof places[0]; i++) {
        int fd = open(path, O_RDWR | O_CLOEXEC);
        uint8_t byte;
        assert_int_equal(pread(fd, &byte, 1, places[i]), 1);
        byte ^= 1;
        assert_int_equal(pwrite(fd, &byte, 1, places[i]), 1);
        close(fd);
        assert_writes(&start);
        assert_string_equal(start.answer, packed.answer);
    }
    for (uint64_t len = 0; len < whole.size; len += whole.size / 7) {
        assert_int_equal(truncate(path, (off_t)len), 0);
        assert_writes(&start);
        assert_string_equal(start.answer, packed.answer);
    }
    assert_maps(&start);
    assert_string_equal(start.answer, packed.answer);
    mem_free(path);
}

// What the block holds of a run over a sample does not depend on who ran which tile.
static void any_number_of_threads_keeps_the_same_bytes(void **state) {
    convert_model(*state, "roberta-classify");
    Buf first = BUF_INIT(1 << 24);
    for (int threads = 1; threads <= 5; threads += 2) {
        Start start = {.precision = "int8", .threads = threads};
        Buf now = BUF_INIT(1 << 24);
        Buf *kept = threads == 1 ? &first : &now;
        assert_writes(&start);
        char *path = kept_path();
        assert_int_equal(file_read(kept, path, 1 << 24, NULL), STATUS_OK);
        assert_int_equal(unlink(path), 0);
        assert_int_equal(kept->len, first.len);
        assert_memory_equal(kept->ptr, first.ptr, first.len);
        mem_free(path);
        buf_free(&now);
    }
    buf_free(&first);
}

static void a_folder_that_takes_nothing_costs_the_gain_only(void **state) {
    convert_model(*state, "bert-classify");
    assert_int_equal(file_write_atomic("model/.gpux", "in the way", 10, NULL), STATUS_OK);
    Start packed = {.prepared = "never"}, start = {0};
    run(&packed, "model");
    run(&start, "model");
    assert_true(start.has_said_why && !start.has_written);
    assert_string_equal(start.answer, packed.answer);
}

static void small_models_leave_nothing(void **state) {
    convert_model(*state, "bert-classify");
    Start start = {.prepared = "auto"};
    run(&start, "model");
    assert_false(start.has_written);
    assert_int_equal(kept_files(), 0);
    assert_false(file_is_dir("model/.gpux"));
}

static void an_unknown_choice_is_refused(void **state) {
    (void)state;
    Start start = {.prepared = "perhaps"};
    gpux_error error;
    assert_int_equal(open_and_run(&start, "model", &error), GPUX_INVALID);
    assert_non_null(strstr(error.message, "'perhaps' of GPUX_PREPARED"));
}

// Every allocation of a start fails in turn: it fails as a whole or gives the same answer.
static void running_out_of_memory_gives_an_error_or_the_answer(void **state) {
    convert_model(*state, "distilbert-answer");
    for (int i = 0; i < 4; i++) {
        bool has_file = i % 2, done = false;
        Start packed = {.prepared = "never", .precision = i < 2 ? "fp32" : "int8"};
        run(&packed, "model");
        for (size_t n = 1; !done; n += n < 200 ? 1 : 7) {
            Start start = {.precision = packed.precision};
            gpux_error error;
            if (!has_file)
                assert_int_equal(system("rm -rf model/.gpux"), 0);
            mem_fail_after(n);
            gpux_status status = open_and_run(&start, "model", &error);
            done = mem_fail_after(0) < n;
            if (status == GPUX_OK)
                assert_string_equal(start.answer, packed.answer);
            else
                assert_int_equal(status, GPUX_OUT_OF_MEMORY);
            assert_true(kept_files() <= 2);
        }
    }
}

#define IN_FOLDER(test) cmocka_unit_test_setup_teardown(test, enter_folder, leave_folder)

int main(void) {
    const struct CMUnitTest tests[] = {
        IN_FOLDER(mapped_weights_give_the_bits_of_packed_ones),
        IN_FOLDER(biases_of_attention_are_kept_too),
        IN_FOLDER(answers_of_two_columns_are_kept_too),
        IN_FOLDER(changed_weights_are_packed_again),
        IN_FOLDER(a_graph_written_again_is_packed_again),
        IN_FOLDER(damaged_files_are_written_again),
        IN_FOLDER(any_number_of_threads_keeps_the_same_bytes),
        IN_FOLDER(a_folder_that_takes_nothing_costs_the_gain_only),
        IN_FOLDER(small_models_leave_nothing),
        IN_FOLDER(an_unknown_choice_is_refused),
        IN_FOLDER(running_out_of_memory_gives_an_error_or_the_answer),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
