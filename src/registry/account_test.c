// Tokens: where they come from, where they are kept, and what login says. Also search and info.
#include "registry/hub_test.h"

#include <sys/stat.h>

static void assert_token(Hub *hub, const char *given, const char *token) {
    Registry *registry = hub_test_open(hub, given);
    if (token)
        assert_string_equal(registry->token, token);
    else
        assert_null(registry->token);
    registry_close(registry);
}

static void write_file(const Hub *hub, const char *path, const char *text) {
    char full[256];
    snprintf(full, sizeof full, "%s/%s", hub->root, path);
    char *folder = path_dirname(full);
    assert_int_equal(file_make_dirs(folder, NULL), STATUS_OK);
    assert_int_equal(file_write_atomic(full, text, strlen(text), NULL), STATUS_OK);
    mem_free(folder);
}

static void tokens_are_taken_in_the_documented_order(void **state) {
    Hub *hub = *state;
    assert_token(hub, NULL, NULL);
    write_file(hub, "home/.cache/huggingface/token", "hf_file\n");
    assert_token(hub, NULL, "hf_file");
    char hub_home[128];
    snprintf(hub_home, sizeof hub_home, "%s/hf", hub->root);
    hub_test_set(hub, "HF_HOME", hub_home);
    assert_token(hub, NULL, NULL);
    write_file(hub, "hf/token", "hf_home");
    assert_token(hub, NULL, "hf_home");
    hub_test_set(hub, "HF_TOKEN_PATH", "~/own");
    write_file(hub, "home/own", "  hf_own \n");
    assert_token(hub, NULL, "hf_own");
    char credentials[256];
    snprintf(credentials, sizeof credentials,
             "{\"huggingface\": {\"endpoint\": \"%s\", \"token\": \"hf_stored\"}}", hub->endpoint);
    write_file(hub, "home/.gpux/credentials.json", credentials);
    assert_token(hub, NULL, "hf_stored");
    hub_test_set(hub, "HUGGINGFACE_HUB_TOKEN", "hf_3");
    assert_token(hub, NULL, "hf_3");
    hub_test_set(hub, "HUGGING_FACE_HUB_TOKEN", "hf_2");
    assert_token(hub, NULL, "hf_2");
    hub_test_set(hub, "HF_TOKEN", " ");
    assert_token(hub, NULL, "hf_2");
    hub_test_set(hub, "HF_TOKEN", "hf_1");
    assert_token(hub, NULL, "hf_1");
    assert_token(hub, " hf_0\n", "hf_0");
    assert_token(hub, "", "hf_1");
}

static void a_stored_token_is_for_its_endpoint_only(void **state) {
    Hub *hub = *state;
    write_file(
        hub, "home/.gpux/credentials.json",
        "{\"huggingface\": {\"endpoint\": \"https://huggingface.co\", \"token\": \"hf_x\"}}");
    assert_token(hub, NULL, NULL);
    hub_test_set(hub, "HF_ENDPOINT", "https://huggingface.co/");
    assert_token(hub, NULL, "hf_x");
    hub_test_set(hub, "HF_ENDPOINT", "");
    assert_token(hub, NULL, "hf_x");
    write_file(hub, "home/.gpux/credentials.json", "{broken");
    assert_token(hub, NULL, NULL);
}

static void settings_that_cannot_work_are_refused(void **state) {
    Hub *hub = *state;
    Registry *registry;
    RegistryOptions options = {.cache_dir = "/x", .env = hub_test_env, .env_ctx = hub};
    static const char *const ENDPOINTS[] = {"ftp://x", "not an address", "https://user:pw@host",
                                            "https://host?x", "file:///etc"};
    for (size_t i = 0; i < sizeof ENDPOINTS / sizeof *ENDPOINTS; i++) {
        hub_test_set(hub, "HF_ENDPOINT", ENDPOINTS[i]);
        assert_int_equal(registry_open(&registry, &options, &hub->error), STATUS_INVALID);
        assert_null(registry);
    }
    hub_test_set(hub, "HF_ENDPOINT", hub->endpoint);
    hub_test_set(hub, "HF_TOKEN", "hf_a\r\nX-Evil: 1");
    assert_int_equal(registry_open(&registry, &options, &hub->error), STATUS_INVALID);
    assert_null(strstr(hub->error.message, "hf_a"));
}

static void opening_fails_cleanly_at_every_allocation(void **state) {
    Hub *hub = *state;
    Status status = STATUS_OUT_OF_MEMORY;
    size_t n = 0;
    hub_test_set(hub, "HTTPS_PROXY", "http://p");
    write_file(hub, "home/.cache/huggingface/token", "hf_file\n");
    while (n < 40) {
        Registry *registry;
        RegistryOptions options = {
            .cache_dir = "/x", .home = hub->home, .env = hub_test_env, .env_ctx = hub};
        mem_fail_after(++n);
        status = registry_open(&registry, &options, NULL);
        mem_fail_after(0);
        assert_true(status == STATUS_OK || status == STATUS_OUT_OF_MEMORY);
        registry_close(registry);
    }
    assert_int_equal(status, STATUS_OK);
}

static RegistryFault login(Hub *hub, const char *token) {
    Registry *registry = hub_test_open(hub, NULL);
    buf_clear(&hub->report);
    registry_login(&hub->report, &hub->fault, registry, token, &hub->error);
    registry_close(registry);
    return hub->fault;
}

static void login_verifies_stores_privately_and_logout_forgets(void **state) {
    Hub *hub = *state;
    char path[160];
    snprintf(path, sizeof path, "%s/.gpux/credentials.json", hub->home);
    assert_int_equal(login(hub, "hf_wrong"), REGISTRY_FAULT_AUTHENTICATION);
    assert_int_equal(registry_exit_code(hub->fault), 4);
    assert_false(file_is_regular(path));
    assert_int_equal(login(hub, "  "), REGISTRY_FAULT_AUTHENTICATION);
    assert_int_equal(login(hub, "hf a"), REGISTRY_FAULT_AUTHENTICATION);
    write_file(hub, "home/.gpux/credentials.json", "{\"other\": {\"token\": \"keep\"}}");
    chmod(path, 0644);
    assert_int_equal(login(hub, GOOD_TOKEN "\n"), REGISTRY_FAULT_NONE);
    assert_non_null(strstr(hub->report.ptr, "\"user\": \"tester\""));
    assert_null(strstr(hub->report.ptr, GOOD_TOKEN));
    struct stat st;
    assert_int_equal(stat(path, &st), 0);
    assert_int_equal(st.st_mode & 0777, 0600);
    assert_token(hub, NULL, GOOD_TOKEN);
    // The stored token opens what is gated.
    assert_int_equal(hub_test_pull(hub, "org/gated"), STATUS_OK);
    Registry *registry = hub_test_open(hub, NULL);
    buf_clear(&hub->report);
    assert_int_equal(registry_logout(&hub->report, &hub->fault, registry, &hub->error), STATUS_OK);
    assert_int_equal(hub_test_number(hub, "was_logged_in"), 1);
    buf_clear(&hub->report);
    assert_int_equal(registry_logout(&hub->report, &hub->fault, registry, &hub->error), STATUS_OK);
    assert_int_equal(hub_test_number(hub, "was_logged_in"), 0);
    registry_close(registry);
    assert_token(hub, NULL, NULL);
    Buf text = BUF_INIT(4096);
    file_read(&text, path, 4096, NULL);
    assert_non_null(strstr(text.ptr, "keep"));
    assert_null(strstr(text.ptr, GOOD_TOKEN));
    buf_free(&text);
    assert_null(strstr(hub->log, GOOD_TOKEN));
    hub_test_set(hub, "HF_HUB_OFFLINE", "1");
    assert_int_equal(login(hub, GOOD_TOKEN), REGISTRY_FAULT_OFFLINE);
    hub_test_set(hub, "HF_HUB_OFFLINE", "");
    hub_test_set(hub, "HF_ENDPOINT", "http://hub.example");
    assert_int_equal(login(hub, GOOD_TOKEN), REGISTRY_FAULT_USAGE);
}

static bool supports(void *ctx, const char *model_type) {
    (void)ctx;
    return strcmp(model_type, "bert") == 0;
}

static const JsonValue *search(Hub *hub, SearchOptions options, JsonDoc **doc) {
    Registry *registry = hub_test_open(hub, NULL);
    registry->supports = supports;
    buf_clear(&hub->report);
    assert_int_equal(registry_search(&hub->report, &hub->fault, registry, &options, &hub->error),
                     STATUS_OK);
    registry_close(registry);
    assert_int_equal(json_parse(doc, sv(hub->report.ptr), 0, NULL), STATUS_OK);
    return json_root(*doc);
}

static void search_follows_pages_up_to_its_limit(void **state) {
    Hub *hub = *state;
    JsonDoc *doc;
    hub_test_say(hub, "{\"cmd\": \"set\", \"page\": 2}");
    const JsonValue *found = search(hub, (SearchOptions){.query = "org/", .limit = 5}, &doc);
    assert_int_equal(json_len(found), 5);
    json_free(doc);
    found = search(hub, (SearchOptions){.query = "org/"}, &doc);
    assert_int_equal(json_len(found), 9);
    json_free(doc);
    found = search(hub, (SearchOptions){.query = "", .sort = "downloads", .limit = 1}, &doc);
    assert_string_equal(json_cstr_or(json_at(found, 0), "model_id", ""), "org/tiny");
    assert_string_equal(json_cstr_or(json_at(found, 0), "task", ""), "sentence-similarity");
    assert_int_equal(json_i64_or(json_at(found, 0), "downloads", 0), 12345);
    assert_true(json_bool_or(json_at(found, 0), "supported", false));
    json_free(doc);
    found = search(hub, (SearchOptions){.query = "a b&c=d/#"}, &doc);
    assert_int_equal(json_len(found), 0);
    json_free(doc);
    Registry *registry = hub_test_open(hub, NULL);
    SearchOptions wrong = {.query = "x", .sort = "size"};
    registry_search(&hub->report, &hub->fault, registry, &wrong, &hub->error);
    assert_int_equal(hub->fault, REGISTRY_FAULT_USAGE);
    hub_test_say(hub, "{\"cmd\": \"fault\", \"where\": \"api\", \"path\": \"models\", \"do\": "
                      "\"html\"}");
    SearchOptions any = {.query = "x"};
    registry_search(&hub->report, &hub->fault, registry, &any, &hub->error);
    assert_int_equal(hub->fault, REGISTRY_FAULT_NETWORK);
    registry_close(registry);
}

static void info_says_what_a_pull_would_fetch(void **state) {
    Hub *hub = *state;
    Registry *registry = hub_test_open(hub, NULL);
    buf_clear(&hub->report);
    assert_int_equal(
        registry_info(&hub->report, &hub->fault, registry, "org/tiny", NULL, &hub->error),
        STATUS_OK);
    assert_int_equal(hub_test_number(hub, "size_bytes"), 305174);
    assert_true(hub_test_number(hub, "total_bytes") > 306000);
    assert_int_equal(hub_test_number(hub, "cached"), 0);
    assert_non_null(strstr(hub->report.ptr, "\"license\": \"mit\""));
    buf_clear(&hub->report);
    assert_int_equal(
        registry_info(&hub->report, &hub->fault, registry, "org/shards", NULL, &hub->error),
        STATUS_OK);
    assert_true(hub_test_number(hub, "size_bytes") > 150003);
    // A gated model can be looked at, an absent one cannot.
    assert_int_equal(
        registry_info(&hub->report, &hub->fault, registry, "org/gated", NULL, &hub->error),
        STATUS_OK);
    registry_info(&hub->report, &hub->fault, registry, "org/absent", NULL, &hub->error);
    assert_int_equal(hub->fault, REGISTRY_FAULT_MODEL_NOT_FOUND);
    registry_info(&hub->report, &hub->fault, registry, "a b", NULL, &hub->error);
    assert_int_equal(hub->fault, REGISTRY_FAULT_NAME);
    registry_close(registry);
}

static void https_needs_a_certificate_that_is_trusted(void **state) {
    Hub *hub = *state;
    char cert[160];
    Hub *secure = hub_test_start_secure(hub, cert);
    if (!secure)
        skip(); // no openssl here
    hub_test_pull(secure, "org/tiny");
    assert_int_equal(secure->fault, REGISTRY_FAULT_NETWORK);
    assert_non_null(strstr(secure->error.message, "localhost"));
    hub_test_set(secure, "SSL_CERT_FILE", cert);
    // The large file is on a plain http host: from https that redirect is refused.
    hub_test_pull(secure, "org/tiny");
    assert_int_equal(secure->fault, REGISTRY_FAULT_NETWORK);
    assert_non_null(strstr(secure->error.message, "redirects from https to http"));
    Registry *registry = hub_test_open(secure, NULL);
    assert_int_equal(
        registry_info(&secure->report, &secure->fault, registry, "bare", NULL, &secure->error),
        STATUS_OK);
    registry_close(registry);
    hub_test_stop(secure);
}

int main(void) {
#define TEST(name) cmocka_unit_test_setup(name, hub_test_each)
    const struct CMUnitTest tests[] = {
        TEST(tokens_are_taken_in_the_documented_order),
        TEST(a_stored_token_is_for_its_endpoint_only),
        TEST(settings_that_cannot_work_are_refused),
        TEST(opening_fails_cleanly_at_every_allocation),
        TEST(login_verifies_stores_privately_and_logout_forgets),
        TEST(search_follows_pages_up_to_its_limit),
        TEST(info_says_what_a_pull_would_fetch),
        TEST(https_needs_a_certificate_that_is_trusted),
    };
    return cmocka_run_group_tests(tests, hub_test_group_start, hub_test_group_stop);
}
