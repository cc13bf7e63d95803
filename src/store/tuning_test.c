// A record counts only for the model, CPU and version it was made with, and harms no run.
#include "store/store_test.h"

static char folder[TEST_PATH], model_file[TEST_PATH];
static const CpuInfo cpu = {.flags = CPU_AVX2 | CPU_AVX512, .threads = 4, .model = "Test CPU"};
static const Tuning sample = {
    .goal = "latency",
    .provider = "CPUExecutionProvider",
    .precision = "bf16",
    .threads = 2,
    .rows = {{.precision = "fp32", .ms = 2, .speedup = 1, .is_within = true},
             {.precision = "bf16", .ms = 1, .speedup = 2, .has_cosine = true, .cosine_mean = 1}},
    .row_count = 2,
    .trials = {{1, 2.5}, {2, 1.5}},
    .trial_count = 2,
};

static Status write_record(Error *error) {
    Buf sources = BUF_INIT(TEST_TEXT);
    Status status = tuning_sources(&sources, model_file, error);
    if (status == STATUS_OK)
        status = tuning_write(&sample, folder, &sources, &cpu, error);
    buf_free(&sources);
    return status;
}

static int make_model(void **state) {
    char from[TEST_PATH];
    Error error = {0};
    (void)state;
    make_temp(folder);
    copy_folder(folder, at(from, GOLDEN, "bert-encoder"));
    if (store_convert(NULL, folder, &(ConvertOptions){0}, &error) != STATUS_OK)
        fail_msg("%s", error.message);
    at(model_file, folder, MODEL_FILE);
    if (write_record(&error) != STATUS_OK)
        fail_msg("%s", error.message);
    return 0;
}

static int remove_model(void **state) {
    (void)state;
    remove_tree(folder);
    return 0;
}

static TunedChoice load(const CpuInfo *here) {
    TunedChoice choice;
    tuning_load(&choice, folder, model_file, here, NULL);
    return choice;
}

static void expect_nothing(const CpuInfo *here) {
    TunedChoice choice = load(here);
    assert_null(choice.precision);
    assert_int_equal(choice.threads, 0);
}

// Replaces the first `from` of the record.
static void edit(const char *from, const char *to) {
    char *text = read_text(folder, ".gpux/tuning.json");
    char *found = strstr(text, from);
    Buf out = BUF_INIT(TEST_TEXT);
    assert_non_null(found);
    buf_append(&out, text, (size_t)(found - text));
    buf_append_cstr(&out, to);
    buf_append_cstr(&out, found + strlen(from));
    write_text(folder, ".gpux/tuning.json", out.ptr);
    buf_free(&out);
    mem_free(text);
}

static void what_was_written_is_chosen(void **state) {
    (void)state;
    TunedChoice choice = load(&cpu);
    assert_string_equal(choice.precision, "bf16");
    assert_int_equal(choice.threads, 2);
}

static void another_cpu_knows_nothing(void **state) {
    (void)state;
    CpuInfo other = cpu;
    other.flags |= CPU_AMX_BF16;
    expect_nothing(&other);
    other.flags = CPU_AVX2;
    expect_nothing(&other);
    other = cpu;
    snprintf(other.model, sizeof other.model, "Another CPU");
    expect_nothing(&other);
}

static void with_other_threads_only_the_precision_counts(void **state) {
    (void)state;
    CpuInfo other = cpu;
    other.threads = 2;
    TunedChoice choice = load(&other);
    assert_string_equal(choice.precision, "bf16");
    assert_int_equal(choice.threads, 0);
}

static void another_version_knows_nothing(void **state) {
    (void)state;
    edit("\"gpux_version\": \"", "\"gpux_version\": \"0.0.");
    expect_nothing(&cpu);
}

static void changed_weights_make_it_stale(void **state) {
    char path[TEST_PATH];
    Buf text = BUF_INIT(0);
    (void)state;
    assert_int_equal(file_read(&text, at(path, folder, "model.safetensors"), TEST_TEXT, NULL),
                     STATUS_OK);
    text.ptr[text.len - 1] ^= 1;
    assert_int_equal(file_write_atomic(path, text.ptr, text.len, NULL), STATUS_OK);
    expect_nothing(&cpu);
    buf_free(&text);
}

static void a_model_that_is_replaced_while_it_is_measured_has_no_record(void **state) {
    char path[TEST_PATH];
    Buf sources = BUF_INIT(TEST_TEXT), text = BUF_INIT(TEST_TEXT);
    (void)state;
    assert_int_equal(tuning_sources(&sources, model_file, NULL), STATUS_OK);
    at(path, folder, "model.safetensors");
    assert_int_equal(file_read(&text, path, TEST_TEXT, NULL), STATUS_OK);
    text.ptr[text.len - 1] ^= 1;
    assert_int_equal(file_write_atomic(path, text.ptr, text.len, NULL), STATUS_OK);
    assert_int_equal(tuning_write(&sample, folder, &sources, &cpu, NULL), STATUS_OK);
    expect_nothing(&cpu);
    buf_free(&sources);
    buf_free(&text);
}

static void a_copy_with_other_times_still_counts(void **state) {
    char path[TEST_PATH];
    Buf text = BUF_INIT(0);
    (void)state;
    assert_int_equal(file_read(&text, at(path, folder, "model.safetensors"), TEST_TEXT, NULL),
                     STATUS_OK);
    assert_int_equal(file_write_atomic(path, text.ptr, text.len, NULL), STATUS_OK);
    assert_string_equal(load(&cpu).precision, "bf16");
    buf_free(&text);
}

static void a_missing_source_makes_it_stale(void **state) {
    char path[TEST_PATH];
    (void)state;
    assert_int_equal(unlink(at(path, folder, "model.safetensors")), 0);
    expect_nothing(&cpu);
}

static void auto_never_becomes_int8_or_a_word(void **state) {
    (void)state;
    edit("\"precision\": \"bf16\",\n  \"threads\"", "\"precision\": \"int8\",\n  \"threads\"");
    assert_null(load(&cpu).precision);
    edit("\"precision\": \"int8\"", "\"precision\": \"fp99\"");
    assert_null(load(&cpu).precision);
}

static void damaged_records_are_passed_over(void **state) {
    static const char *const TEXTS[] = {
        "",
        "{",
        "[]",
        "{}",
        "null",
        "\"bf16\"",
        "{\"schema\": 1}",
        "{\"schema\": 1, \"source\": 5, \"cpu\": []}",
        "\xFF\xFE",
        "{\"schema\": 1e99}",
    };
    (void)state;
    for (size_t i = 0; i < sizeof TEXTS / sizeof TEXTS[0]; i++) {
        write_text(folder, ".gpux/tuning.json", TEXTS[i]);
        expect_nothing(&cpu);
    }
}

static void sources_outside_the_folder_are_not_looked_at(void **state) {
    (void)state;
    edit("\"file\": \"model.safetensors\"", "\"file\": \"../model.safetensors\"");
    expect_nothing(&cpu);
}

static void threads_out_of_range_are_passed_over(void **state) {
    (void)state;
    edit("\"threads\": 2,", "\"threads\": 5000,");
    assert_int_equal(load(&cpu).threads, 0);
    edit("\"threads\": 5000,", "\"threads\": -1,");
    assert_int_equal(load(&cpu).threads, 0);
}

static void a_cut_record_is_passed_over_wherever_it_ends(void **state) {
    (void)state;
    char *text = read_text(folder, ".gpux/tuning.json");
    size_t len = strlen(text);
    for (size_t cut = 0; cut + 2 < len; cut += 7) {
        char saved = text[cut];
        text[cut] = '\0';
        write_text(folder, ".gpux/tuning.json", text);
        expect_nothing(&cpu);
        text[cut] = saved;
    }
    mem_free(text);
}

static void reading_survives_every_failed_allocation(void **state) {
    (void)state;
    bool is_whole = false;
    for (size_t n = 1; n < 2000 && !is_whole; n++) {
        mem_fail_after(n);
        TunedChoice choice = load(&cpu);
        mem_fail_after(0);
        is_whole = choice.precision && choice.threads == 2;
        assert_true(is_whole || !choice.precision || strcmp(choice.precision, "bf16") == 0);
    }
    assert_true(is_whole);
}

static void writing_survives_every_failed_allocation(void **state) {
    (void)state;
    Status status = STATUS_OUT_OF_MEMORY;
    for (size_t n = 1; n < 5000 && status != STATUS_OK; n++) {
        mem_fail_after(n);
        status = write_record(NULL);
        mem_fail_after(0);
        assert_true(status == STATUS_OK || status == STATUS_OUT_OF_MEMORY);
        assert_string_equal(load(&cpu).precision, "bf16");
    }
    assert_int_equal(status, STATUS_OK);
}

// ---- The provider of the last build ----

static void the_requested_provider_is_remembered(void **state) {
    (void)state;
    write_text(folder, ".gpux/provider_info.json", "{\"name\": \"x\", \"requested\": \"cuda\"}");
    char *name = built_provider(folder);
    assert_string_equal(name, "cuda");
    mem_free(name);
    static const char *const NONE[] = {"{\"name\": \"cuda\"}", "{\"requested\": null}",
                                       "{\"requested\": 7}", "{", ""};
    for (size_t i = 0; i < sizeof NONE / sizeof NONE[0]; i++) {
        write_text(folder, ".gpux/provider_info.json", NONE[i]);
        assert_null(built_provider(folder));
    }
}

#define WITH_MODEL(test) cmocka_unit_test_setup_teardown(test, make_model, remove_model)

int main(void) {
    const struct CMUnitTest tests[] = {
        WITH_MODEL(what_was_written_is_chosen),
        WITH_MODEL(another_cpu_knows_nothing),
        WITH_MODEL(with_other_threads_only_the_precision_counts),
        WITH_MODEL(another_version_knows_nothing),
        WITH_MODEL(changed_weights_make_it_stale),
        WITH_MODEL(a_model_that_is_replaced_while_it_is_measured_has_no_record),
        WITH_MODEL(a_copy_with_other_times_still_counts),
        WITH_MODEL(a_missing_source_makes_it_stale),
        WITH_MODEL(auto_never_becomes_int8_or_a_word),
        WITH_MODEL(damaged_records_are_passed_over),
        WITH_MODEL(sources_outside_the_folder_are_not_looked_at),
        WITH_MODEL(threads_out_of_range_are_passed_over),
        WITH_MODEL(a_cut_record_is_passed_over_wherever_it_ends),
        WITH_MODEL(reading_survives_every_failed_allocation),
        WITH_MODEL(writing_survives_every_failed_allocation),
        WITH_MODEL(the_requested_provider_is_remembered),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
