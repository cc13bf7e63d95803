// What build says of a project: where it is, and what of it cannot be true.
#include "store/store_test.h"

static char folder[TEST_PATH];

static int make_project(void **state) {
    char from[TEST_PATH];
    Error error = {0};
    (void)state;
    make_temp(folder);
    copy_folder(folder, at(from, GOLDEN, "bert-classify"));
    if (store_convert(NULL, folder, &(ConvertOptions){0}, &error) != STATUS_OK)
        fail_msg("%s", error.message);
    return 0;
}

static int remove_project(void **state) {
    (void)state;
    remove_tree(folder);
    return 0;
}

static Location locate(const char *path, const char *config) {
    Location location;
    Error error = {0};
    ResolveOptions options = {
        .cache_dir = "/nonexistent", .config = config, .no_last_resort = true};
    if (store_locate_project(&location, path, &options, &error) != STATUS_OK)
        fail_msg("%s", error.message);
    return location;
}

static void expect_not_found(const char *path, const char *config, const char *message) {
    Location location;
    Error error = {0};
    ResolveOptions options = {
        .cache_dir = "/nonexistent", .config = config, .no_last_resort = true};
    assert_int_equal(store_locate_project(&location, path, &options, &error), STATUS_NOT_FOUND);
    assert_string_equal(error.message, message);
}

static void a_folder_and_its_configuration_are_the_same_project(void **state) {
    (void)state;
    char config[TEST_PATH];
    at(config, folder, CONFIG_FILE);
    const char *const paths[] = {folder, config};
    for (size_t i = 0; i < 2; i++) {
        Location location = locate(paths[i], CONFIG_FILE);
        assert_string_equal(location.folder, folder);
        assert_string_equal(location.config, config);
        location_free(&location);
    }
    Location location = locate(folder, config); // a path is taken as it is
    assert_string_equal(location.config, config);
    location_free(&location);
}

static void the_missing_configuration_is_named(void **state) {
    (void)state;
    char message[2 * TEST_PATH];
    snprintf(message, sizeof message, "Configuration file not found: %s/other.yml", folder);
    expect_not_found(folder, "other.yml", message);
    expect_not_found("/nowhere", CONFIG_FILE, "Configuration file not found: /nowhere/gpux.yml");
    expect_not_found("no-such-name", CONFIG_FILE,
                     "Configuration file not found: no-such-name/gpux.yml");
}

// The warnings of a configuration with these inputs and outputs, joined by "|".
static void expect_warnings(const char *ports, const char *expected) {
    char config[4096];
    Error error = {0};
    Warnings warnings = {0};
    Buf text = BUF_INIT(TEST_TEXT);
    snprintf(config, sizeof config, "name: x\nmodel: {source: ./model.onnx}\n%s", ports);
    write_text(folder, CONFIG_FILE, config);
    Location location = locate(folder, CONFIG_FILE);
    if (store_check_config(&warnings, &location, &error) != STATUS_OK ||
        store_check_model(&warnings, &location, &error) != STATUS_OK)
        fail_msg("%s", error.message);
    buf_append_cstr(&text, "");
    for (size_t i = 0; i < warnings.count; i++)
        buf_printf(&text, "%s%s", i > 0 ? "|" : "", warnings.items[i]);
    assert_string_equal(text.ptr ? text.ptr : "", expected);
    buf_free(&text);
    warnings_free(&warnings);
    location_free(&location);
}

static void what_agrees_with_the_graph_has_no_warning(void **state) {
    (void)state;
    expect_warnings("inputs: {inputs: string}\noutputs: {logits: {type: float32, shape: [1, 3], "
                    "labels: [a, b, c]}}\n",
                    "");
    expect_warnings("inputs: {input_ids: {type: int64, shape: [1, 128]}}\n"
                    "outputs: {logits: float32}\n",
                    "");
}

static void contradictions_are_named(void **state) {
    (void)state;
    expect_warnings("inputs: {input_ids: {type: float32, shape: [128]}}\n"
                    "outputs: {logits: {type: float32, shape: [-1, 5]}}\n",
                    "input 'input_ids' is float32 in the configuration, int64 in the graph|"
                    "input 'input_ids' has 1 dimensions in the configuration, 2 in the graph|"
                    "output 'logits' has size 5 at dim 1 in the configuration, 3 in the graph");
    expect_warnings("inputs: {inputs: string}\noutputs: {logits: {type: float32, labels: [a]}}\n",
                    "output 'logits' has 1 labels, but its last dimension is 3");
}

static void unknown_and_duplicate_keys_are_named(void **state) {
    (void)state;
    expect_warnings("inputs: {inputs: string}\noutputs: {logits: float32}\n"
                    "runtime: {gpu: {mem: 2GB}}\n",
                    "Unknown key 'runtime.gpu.mem' (did you mean 'memory'?) (line 5)");
}

static void names_without_meaning_are_named(void **state) {
    char path[TEST_PATH];
    (void)state;
    assert_int_equal(unlink(at(path, folder, "config.json")), 0);
    unlink(at(path, folder, METADATA_FILE));
    expect_warnings("inputs: {sentence: string, input_ids: int64}\noutputs: {logits: float32}\n",
                    "input 'sentence' is no tensor of the graph, and no task gives it a meaning");
}

static void checking_survives_every_failed_allocation(void **state) {
    (void)state;
    Status status = STATUS_OUT_OF_MEMORY;
    Location location = locate(folder, CONFIG_FILE);
    for (size_t n = 1; n < 20000 && status != STATUS_OK; n++) {
        Warnings warnings = {0};
        mem_fail_after(n);
        status = store_check_config(&warnings, &location, NULL);
        if (status == STATUS_OK)
            status = store_check_model(&warnings, &location, NULL);
        mem_fail_after(0);
        assert_true(status == STATUS_OK || status == STATUS_OUT_OF_MEMORY);
        warnings_free(&warnings);
    }
    assert_int_equal(status, STATUS_OK);
    location_free(&location);
}

#define WITH_PROJECT(test) cmocka_unit_test_setup_teardown(test, make_project, remove_project)

int main(void) {
    const struct CMUnitTest tests[] = {
        WITH_PROJECT(a_folder_and_its_configuration_are_the_same_project),
        WITH_PROJECT(the_missing_configuration_is_named),
        WITH_PROJECT(what_agrees_with_the_graph_has_no_warning),
        WITH_PROJECT(contradictions_are_named),
        WITH_PROJECT(unknown_and_duplicate_keys_are_named),
        WITH_PROJECT(names_without_meaning_are_named),
        WITH_PROJECT(checking_survives_every_failed_allocation),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
