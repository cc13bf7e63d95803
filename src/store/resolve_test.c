// MODEL_NAME → folder: each step of the order, what may not match, and the messages.
#include "store/store_test.h"

static char temp[TEST_PATH];
static char cache[TEST_PATH];
static char here[TEST_PATH]; // the current directory of each test
static char root[TEST_PATH]; // of the repository
static char warning[1024];

static void keep_warning(void *ctx, LogLevel level, const char *message) {
    (void)ctx;
    if (level == LOG_WARNING)
        snprintf(warning, sizeof warning, "%s", message);
}

static const Log LOG = {.write = keep_warning, .level = LOG_DEBUG};

static int make_folders(void **state) {
    (void)state;
    warning[0] = '\0';
    make_temp(temp);
    at(cache, temp, "cache");
    at(here, temp, "here");
    assert_int_equal(file_make_dirs(here, NULL), STATUS_OK);
    assert_non_null(getcwd(root, sizeof root));
    return chdir(here);
}

static int remove_folders(void **state) {
    (void)state;
    remove_tree(temp);
    return chdir(root);
}

static ResolveOptions options(void) {
    return (ResolveOptions){.cache_dir = cache, .home = temp, .config = "gpux.yml", .log = &LOG};
}

static void put_project(const char *folder, const char *name) {
    char text[512];
    snprintf(text, sizeof text,
             "name: %s\nmodel: {source: m.onnx}\ninputs: {x: float32}\noutputs: {y: float32}\n",
             name);
    write_text(folder, "gpux.yml", text);
}

static void put_cached(const char *path, const char *name) {
    char folder[TEST_PATH];
    at(folder, cache, path);
    put_project(folder, name);
}

// `name` leads to `folder` (below temp), and to its gpux.yml or else to `model`.
static void leads_with(const ResolveOptions *o, const char *name, const char *folder,
                       const char *model) {
    Location location;
    Error error = {0};
    char path[TEST_PATH], file[TEST_PATH];
    if (store_resolve(&location, name, o, &error) != STATUS_OK)
        fail_msg("%s: %s", name, error.message);
    at(path, temp, folder);
    assert_string_equal(location.folder, path);
    if (model) {
        assert_null(location.config);
        assert_string_equal(location.model_file, at(file, path, model));
    } else {
        assert_null(location.model_file);
        assert_string_equal(location.config, at(file, path, "gpux.yml"));
    }
    location_free(&location);
}

static void leads(const char *name, const char *folder) {
    ResolveOptions o = options();
    leads_with(&o, name, folder, NULL);
}

static void fails_with(const ResolveOptions *o, const char *name, Status expected,
                       const char *message) {
    Location location;
    Error error = {0};
    Status status = store_resolve(&location, name, o, &error);
    if (status != expected || !strstr(error.message, message))
        fail_msg("%s: %d: %s", name, status, error.message);
    assert_int_equal(error.code, expected);
    assert_null(location.folder);
}

static void fails(const char *name, Status expected, const char *message) {
    ResolveOptions o = options();
    fails_with(&o, name, expected, message);
}

static void is_not_found(const char *name) {
    fails(name, STATUS_NOT_FOUND, "' not found\n\nSearched locations:\n");
}

// ---- Paths ----

static void a_path_is_a_folder_or_its_configuration(void **state) {
    (void)state;
    char path[TEST_PATH];
    put_project(here, "other-name");
    put_project(at(path, here, "sub"), "sub");
    leads(".", "here");
    leads("./sub", "here/sub");
    leads("./sub/", "here/sub");
    leads("../here/sub/gpux.yml", "here/sub");
    leads("~/here/sub", "here/sub");
    leads(path, "here/sub");
    at(path, here, "sub/gpux.yml");
    leads(path, "here/sub");
    assert_int_equal(chdir("sub"), 0);
    leads("..", "here");
}

static void a_path_may_be_a_model_without_configuration(void **state) {
    (void)state;
    ResolveOptions o = options();
    write_text(here, "any.onnx", "x");
    leads_with(&o, "./any.onnx", "here", "any.onnx");
    write_text(here, "converted/model.onnx", "x");
    leads_with(&o, "./converted", "here/converted", "model.onnx");
    write_text(here, "converted/model.safetensors", "x");
    leads_with(&o, "./converted/model.safetensors", "here/converted", "model.onnx");
    write_text(here, "raw/model.safetensors", "x");
    write_text(here, "raw/config.json", "{}");
    fails("./raw", STATUS_NOT_FOUND, "Model './raw' is downloaded but not converted: ");
    fails("./raw/model.safetensors", STATUS_NOT_FOUND, "run: gpux convert ");
}

static void a_path_that_is_not_there_is_nothing_else(void **state) {
    (void)state;
    put_project(here, "./absent");
    put_cached("huggingface/org--name/main", "/absent");
    is_not_found("./absent");
    is_not_found("/absent");
    is_not_found("~/absent");
    is_not_found("a\\b");
    write_text(here, "empty/x", "");
    is_not_found("./empty");
    is_not_found("./empty/x");
}

static void the_configuration_may_have_another_name(void **state) {
    (void)state;
    ResolveOptions o = options();
    Location location;
    char path[TEST_PATH];
    o.config = "other.yml";
    write_text(here, "sub/other.yml", "name: x\n");
    assert_int_equal(store_resolve(&location, "./sub", &o, NULL), STATUS_OK);
    assert_string_equal(location.config, at(path, here, "sub/other.yml"));
    location_free(&location);
    o.config = "./sub/other.yml"; // taken as it is
    assert_int_equal(store_resolve(&location, ".", &o, NULL), STATUS_OK);
    assert_string_equal(location.config, path);
    location_free(&location);
}

// ---- Here ----

static void the_project_here_must_have_the_name(void **state) {
    (void)state;
    char path[TEST_PATH];
    put_project(here, "mine");
    put_project(at(path, here, "mine"), "inner");
    leads("mine", "here"); // before the folder of that name
    put_project(here, "yours");
    leads("mine", "here/mine");
    assert_string_equal(warning, "");
}

static void the_project_here_is_the_last_resort(void **state) {
    (void)state;
    put_project(here, "mine");
    leads("anything", "here");
    assert_string_equal(warning,
                        "Model 'anything' not found; using the project 'mine' of the current "
                        "directory");
    is_not_found("org/anything");
    is_not_found("hf:anything");
}

static void a_build_folder_knows_its_project(void **state) {
    (void)state;
    put_project(here, "mine");
    write_text(here, ".gpux/deep/er/model_info.json", "{\"name\": \"built\"}");
    write_text(here, ".gpux/model_info.json", "damaged");
    leads("built", "here");
    assert_string_equal(warning, "");
}

// ---- The cache ----

static void cached_ids_resolve(void **state) {
    (void)state;
    put_cached("huggingface/facebook--opt-125m/main", "facebook-opt-125m");
    put_cached("huggingface/gpt2/main", "gpt2");
    static const char *const NAMES[] = {
        "facebook/opt-125m",
        "hf:facebook/opt-125m",
        "huggingface:facebook/opt-125m",
        "hf://facebook/opt-125m",
        "facebook/opt-125m@main",
        "Facebook/OPT-125m",
        "facebook-opt-125m",
        "opt-125m",
    };
    for (size_t i = 0; i < sizeof NAMES / sizeof NAMES[0]; i++)
        leads(NAMES[i], "cache/huggingface/facebook--opt-125m/main");
    leads("gpt2", "cache/huggingface/gpt2/main");
    leads("hf:gpt2", "cache/huggingface/gpt2/main");
    is_not_found("facebook/opt-126m");
    is_not_found("facebook/opt-125m@v2");
    is_not_found("other/opt-125m");
    put_project(here, "facebook/opt-125m"); // a project here comes first
    leads("facebook/opt-125m", "here");
}

static void exact_ids_come_before_other_capitals(void **state) {
    (void)state;
    put_cached("huggingface/org--Name/main", "a");
    put_cached("huggingface/org--name/main", "b");
    leads("org/Name", "cache/huggingface/org--Name/main");
    leads("org/name", "cache/huggingface/org--name/main");
    fails("ORG/NAME", STATUS_INVALID, "Model name 'ORG/NAME' is ambiguous");
}

static void revisions_are_chosen(void **state) {
    (void)state;
    ResolveOptions o = options();
    put_cached("huggingface/a--b/v1", "a-b");
    leads("a/b", "cache/huggingface/a--b/v1"); // the only one
    put_cached("huggingface/a--b/v2", "a-b");
    put_cached("huggingface/a--b/refs%2Fpr%2F1", "a-b");
    write_text(cache, "huggingface/a--b/v1/metadata.json",
               "{\"pulled_at\":\"2031-01-01T00:00:00Z\"}");
    write_text(cache, "huggingface/a--b/v2/metadata.json",
               "{\"pulled_at\":\"2030-01-01T00:00:00Z\"}");
    write_text(cache, "huggingface/a--b/refs%2Fpr%2F1/metadata.json",
               "{\"pulled_at\":\"2029-01-01T00:00:00Z\"}");
    leads("a/b", "cache/huggingface/a--b/v1"); // the newest
    leads("a-b", "cache/huggingface/a--b/v1");
    leads("a/b@v2", "cache/huggingface/a--b/v2");
    leads("a/b@refs/pr/1", "cache/huggingface/a--b/refs%2Fpr%2F1");
    o.revision = "v2";
    leads_with(&o, "a/b", "cache/huggingface/a--b/v2", NULL);
    put_cached("huggingface/a--b/main", "a-b");
    leads("a/b", "cache/huggingface/a--b/main");
}

static void flat_folders_are_found_by_name(void **state) {
    (void)state;
    put_cached("old-model", "flat");
    put_cached("huggingface/hand-made", "hand");
    leads("flat", "cache/old-model");
    leads("hand", "cache/huggingface/hand-made");
    is_not_found("old-model/x");
    put_cached("another", "flat");
    fails("flat", STATUS_INVALID, "Model name 'flat' is ambiguous\n\nCandidates:\n  • ");
}

static void a_last_part_must_be_unique(void **state) {
    (void)state;
    put_cached("huggingface/one--model/main", "one-model");
    leads("model", "cache/huggingface/one--model/main");
    put_cached("huggingface/two--model/main", "two-model");
    fails("model", STATUS_INVALID,
          "Model name 'model' is ambiguous\n\nCandidates:\n  • one/model\n  • two/model");
    put_cached("huggingface/three--x/main", "model"); // a configuration's name counts first
    leads("model", "cache/huggingface/three--x/main");
}

static void models_that_are_not_converted_say_so(void **state) {
    (void)state;
    write_text(cache, "huggingface/a--b/main/config.json", "{}");
    fails("a/b", STATUS_NOT_FOUND,
          "Model 'a/b' is downloaded but not converted: its folder has no");
    write_text(cache, "huggingface/a--b/main/model.safetensors", "x");
    fails("a/b", STATUS_NOT_FOUND, "run: gpux convert ");
    ResolveOptions o = options();
    write_text(cache, "huggingface/a--b/main/model.onnx", "x");
    leads_with(&o, "a/b", "cache/huggingface/a--b/main", "model.onnx");
    write_text(cache, ".staging/huggingface--c--d--main/config.json", "{}");
    fails("c/d", STATUS_NOT_FOUND, "Model 'c/d' is downloaded but not converted: its files wait");
    is_not_found("c/e");
}

// ---- Messages ----

static void the_block_of_searched_places_is_complete(void **state) {
    (void)state;
    ResolveOptions o = options();
    Location location;
    Error error = {0};
    o.cache_is_default = true;
    put_cached("huggingface/facebook--opt-125m/main", "facebook-opt-125m");
    assert_int_equal(store_resolve(&location, "facebok/opt-125m", &o, &error), STATUS_NOT_FOUND);
    assert_string_equal(error.message,
                        "Model 'facebok/opt-125m' not found\n"
                        "\n"
                        "Searched locations:\n"
                        "  ✗ Explicit path: facebok/opt-125m\n"
                        "  ✗ Current directory: ./gpux.yml\n"
                        "  ✗ Cache directory: ~/.gpux/models/\n"
                        "  ✗ Build directory: ./.gpux/\n"
                        "\n"
                        "Suggestions:\n"
                        "  • Pull from Hugging Face: gpux pull facebok/opt-125m\n"
                        "  • Use explicit path: gpux run ./my-model/\n"
                        "  • Check model name spelling\n"
                        "  • Did you mean: facebook/opt-125m\n"
                        "  • Run 'gpux pull <model-name>' to download from registry");
    o.cache_is_default = false;
    assert_int_equal(store_resolve(&location, "not an id", &o, &error), STATUS_NOT_FOUND);
    assert_null(strstr(error.message, "Pull from Hugging Face"));
    assert_null(strstr(error.message, "Did you mean"));
    char line[TEST_PATH + 64];
    snprintf(line, sizeof line, "  ✗ Cache directory: %s/\n", cache);
    assert_non_null(strstr(error.message, line));
}

static void long_and_dirty_names_leave_the_message_whole(void **state) {
    (void)state;
    char name[4096];
    memset(name, 'x', sizeof name);
    name[sizeof name - 1] = '\0';
    fails(name, STATUS_NOT_FOUND, "\n  • Run 'gpux pull <model-name>' to download from registry");
    for (size_t i = 0; i + 3 < sizeof name; i += 2)
        memcpy(name + i, "é", 2);
    name[4000] = '\0';
    fails(name, STATUS_NOT_FOUND, "\n  • Run 'gpux pull <model-name>' to download from registry");
    Location location;
    Error error = {0};
    ResolveOptions o = options();
    assert_int_equal(store_resolve(&location, "a\nb\xff", &o, &error), STATUS_NOT_FOUND);
    assert_true(sv_starts_with(sv(error.message), SV("Model 'a b\xEF\xBF\xBD' not found\n")));
    is_not_found("");
    is_not_found("@");
    is_not_found("hf:");
}

static void every_failing_allocation_is_an_error(void **state) {
    (void)state;
    put_cached("huggingface/facebook--opt-125m/main", "facebook-opt-125m");
    put_cached("huggingface/facebook--opt-125m/v2", "facebook-opt-125m");
    put_cached("flat", "flat");
    write_text(here, ".gpux/x/model_info.json", "{\"name\":\"y\"}");
    write_text(cache, ".staging/huggingface--c--d--main/config.json", "{}");
    static const struct {
        const char *name;
        Status status;
    } CASES[] = {
        {"opt-125m@v2", STATUS_OK},       {"flat", STATUS_OK},
        {"org/absent", STATUS_NOT_FOUND}, {"c/d", STATUS_NOT_FOUND},
        {"./absent", STATUS_NOT_FOUND},   {"~/cache/flat", STATUS_OK},
    };
    ResolveOptions o = options();
    for (size_t i = 0; i < sizeof CASES / sizeof CASES[0]; i++) {
        for (size_t n = 1;; n++) {
            Location location;
            Error error = {0};
            size_t made;
            mem_fail_after(n);
            Status status = store_resolve(&location, CASES[i].name, &o, &error);
            made = mem_fail_after(0);
            location_free(&location);
            if (status == CASES[i].status && made < n)
                break;
            if (status != STATUS_OUT_OF_MEMORY)
                fail_msg("%s, allocation %zu: %d: %s", CASES[i].name, n, status, error.message);
            assert_true(n < 5000);
        }
    }
}

#define CASE(name) cmocka_unit_test_setup_teardown(name, make_folders, remove_folders)

int main(void) {
    const struct CMUnitTest tests[] = {
        CASE(a_path_is_a_folder_or_its_configuration),
        CASE(a_path_may_be_a_model_without_configuration),
        CASE(a_path_that_is_not_there_is_nothing_else),
        CASE(the_configuration_may_have_another_name),
        CASE(the_project_here_must_have_the_name),
        CASE(the_project_here_is_the_last_resort),
        CASE(a_build_folder_knows_its_project),
        CASE(cached_ids_resolve),
        CASE(exact_ids_come_before_other_capitals),
        CASE(revisions_are_chosen),
        CASE(flat_folders_are_found_by_name),
        CASE(a_last_part_must_be_unique),
        CASE(models_that_are_not_converted_say_so),
        CASE(the_block_of_searched_places_is_complete),
        CASE(long_and_dirty_names_leave_the_message_whole),
        CASE(every_failing_allocation_is_an_error),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
