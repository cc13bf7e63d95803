// Model ids, revisions and their spellings.
#include "registry/private.h"

#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

static Registry hub = {.endpoint = "https://hub.example"};
static Error error;

static RegistryFault parse(ModelRef *out, const char *text, const char *registry,
                           const char *revision) {
    Call call = {.registry = &hub, .error = &error};
    Status status = reference_parse(out, &call, text, registry, revision);
    assert_int_equal(status == STATUS_OK, call.fault == REGISTRY_FAULT_NONE);
    return call.fault;
}

static void every_documented_spelling_is_the_same_model(void **state) {
    (void)state;
    static const char *const SPELLINGS[] = {
        "org/name",      "hf:org/name",      "huggingface:org/name",
        "hf://org/name", "HF:org/name",      "https://hub.example/org/name",
        "org/name@main", "hf:org/name@main", "https://hub.example/org/name/",
    };
    for (size_t i = 0; i < sizeof SPELLINGS / sizeof *SPELLINGS; i++) {
        ModelRef ref;
        assert_int_equal(parse(&ref, SPELLINGS[i], NULL, NULL), REGISTRY_FAULT_NONE);
        assert_string_equal(ref.id, "org/name");
        assert_string_equal(ref.revision, "main");
    }
}

static void revisions_come_from_the_id_or_the_option_but_not_from_both(void **state) {
    (void)state;
    ModelRef ref;
    assert_int_equal(parse(&ref, "a/b@refs/pr/1", NULL, NULL), REGISTRY_FAULT_NONE);
    assert_string_equal(ref.revision, "refs/pr/1");
    assert_int_equal(parse(&ref, "a/b", "hf", "v1.0"), REGISTRY_FAULT_NONE);
    assert_string_equal(ref.revision, "v1.0");
    assert_int_equal(parse(&ref, "a/b@v1", NULL, "v1"), REGISTRY_FAULT_NONE);
    assert_int_equal(parse(&ref, "a/b@v1", NULL, "v2"), REGISTRY_FAULT_USAGE);
    assert_int_equal(registry_exit_code(REGISTRY_FAULT_USAGE), 2);
}

static void wrong_ids_are_refused_with_the_rule(void **state) {
    (void)state;
    static const char *const BAD[] = {
        "",     "/",     "a/",    "/b",      "a/b/c",
        "a b",  "-a",    "a-",    ".a",      "a.",
        "a--b", "a..b",  "a.git", "../etc",  "a/..",
        "ä",    "a/b\n", "@main", "a/@main", "https://else.where/a/b",
        "hf:",  "a\\b",
    };
    for (size_t i = 0; i < sizeof BAD / sizeof *BAD; i++) {
        ModelRef ref;
        assert_int_equal(parse(&ref, BAD[i], NULL, NULL), REGISTRY_FAULT_NAME);
        assert_ptr_equal(strstr(error.message, "Invalid model id '"), error.message);
    }
    char longest[120];
    memset(longest, 'a', sizeof longest);
    longest[96] = '\0';
    ModelRef ref;
    assert_int_equal(parse(&ref, longest, NULL, NULL), REGISTRY_FAULT_NONE);
    longest[96] = 'a';
    longest[97] = '\0';
    assert_int_equal(parse(&ref, longest, NULL, NULL), REGISTRY_FAULT_NAME);
}

static void wrong_revisions_are_refused(void **state) {
    (void)state;
    static const char *const BAD[] = {"", "..", ".", "a..b", "-x", "a b", "x\ty", ".git", "a\\b"};
    ModelRef ref;
    for (size_t i = 0; i < sizeof BAD / sizeof *BAD; i++)
        assert_int_equal(parse(&ref, "a/b", NULL, BAD[i]), REGISTRY_FAULT_NAME);
}

static void unknown_registries_are_named(void **state) {
    (void)state;
    ModelRef ref;
    assert_int_equal(parse(&ref, "a/b", "mlflow", NULL), REGISTRY_FAULT_NAME);
    assert_string_equal(error.message,
                        "Unsupported registry 'mlflow'. Supported registries: huggingface, hf");
    assert_int_equal(parse(&ref, "torch:a/b", NULL, NULL), REGISTRY_FAULT_NAME);
    assert_string_equal(error.message,
                        "Unsupported registry 'torch'. Supported registries: huggingface, hf");
}

static void folder_names_are_reversible(void **state) {
    (void)state;
    static const char *const IDS[] = {"org/name", "bare", "a_b/c.d-e"};
    static const char *const REVISIONS[] = {"main", "refs/pr/1", "ünï", "a%b", "v1.0", "x--y"};
    char folder[FOLDER_NAME_SIZE];
    char back[REVISION_SIZE];
    for (size_t i = 0; i < 3; i++) {
        id_to_folder(folder, IDS[i]);
        assert_null(strchr(folder, '/'));
        assert_true(id_from_folder(back, folder));
        assert_string_equal(back, IDS[i]);
    }
    for (size_t i = 0; i < 6; i++) {
        assert_true(revision_to_folder(folder, REVISIONS[i]));
        assert_null(strchr(folder, '/'));
        assert_true(revision_from_folder(back, folder));
        assert_string_equal(back, REVISIONS[i]);
    }
    assert_true(revision_to_folder(folder, "refs/pr/1"));
    assert_string_equal(folder, "refs%2Fpr%2F1");
    assert_false(revision_from_folder(back, "%2"));
    assert_false(revision_from_folder(back, "%2e%2e"));
    assert_false(revision_from_folder(back, "%2E%2E"));
    assert_false(id_from_folder(back, ".staging"));
    char longest[REVISION_SIZE];
    memset(longest, '/', sizeof longest);
    longest[REVISION_SIZE - 1] = '\0';
    assert_false(revision_to_folder(folder, longest));
}

static void each_fault_has_the_documented_exit_code(void **state) {
    (void)state;
    static const int CODES[][2] = {
        {REGISTRY_FAULT_NONE, 0},
        {REGISTRY_FAULT_NAME, 1},
        {REGISTRY_FAULT_REGISTRY, 1},
        {REGISTRY_FAULT_LOCAL, 1},
        {REGISTRY_FAULT_IN_USE, 1},
        {REGISTRY_FAULT_MODEL_NOT_FOUND, 2},
        {REGISTRY_FAULT_REVISION_NOT_FOUND, 2},
        {REGISTRY_FAULT_NETWORK, 3},
        {REGISTRY_FAULT_OFFLINE, 3},
        {REGISTRY_FAULT_AUTHENTICATION, 4},
        {REGISTRY_FAULT_GATED, 4},
        {REGISTRY_FAULT_FORBIDDEN, 4},
        {REGISTRY_FAULT_CONVERSION, 5},
        {REGISTRY_FAULT_CANCELLED, 130},
    };
    for (size_t i = 0; i < sizeof CODES / sizeof *CODES; i++)
        assert_int_equal(registry_exit_code((RegistryFault)CODES[i][0]), CODES[i][1]);
    assert_non_null(strstr(registry_hint(REGISTRY_FAULT_AUTHENTICATION), "export HF_TOKEN="));
    assert_null(registry_hint(REGISTRY_FAULT_LOCAL));
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_documented_spelling_is_the_same_model),
        cmocka_unit_test(revisions_come_from_the_id_or_the_option_but_not_from_both),
        cmocka_unit_test(wrong_ids_are_refused_with_the_rule),
        cmocka_unit_test(wrong_revisions_are_refused),
        cmocka_unit_test(unknown_registries_are_named),
        cmocka_unit_test(folder_names_are_reversible),
        cmocka_unit_test(each_fault_has_the_documented_exit_code),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
