// Pulls over a network that drops, stalls, lies, refuses and takes detours.
#include "registry/hub_test.h"

#include "base/clock.h"

#include <sys/stat.h>

static void a_drop_resumes_at_the_byte_from_the_hub(void **state) {
    Hub *hub = *state;
    hub_test_say(hub, "{\"cmd\": \"set\", \"cdn_uses\": 1}");
    FAULT(hub, "\"where\": \"cdn\", \"path\": \"big\", \"do\": \"drop\", \"after\": 1000000");
    FAULT(hub, "\"where\": \"cdn\", \"path\": \"big\", \"do\": \"drop\", \"after\": 500000");
    assert_pulled(hub, "org/big", "org--big");
    const char *log = hub_test_say(hub, "{\"cmd\": \"log\"}");
    // Signed addresses work once here: every attempt must have asked the hub for a new one.
    assert_int_equal(hub_test_count(log, "\"where\": \"cdn\""), 3);
    assert_int_equal(hub_test_count(log, "resolve/"), 6 + 2);
    assert_non_null(strstr(log, "\"range\": \"bytes=1000000-\""));
    assert_non_null(strstr(log, "\"range\": \"bytes=1500000-\""));
    assert_int_equal(hub_test_number(hub, "downloaded_bytes"),
                     hub_test_number(hub, "size_bytes") - 80);
}

static void more_drops_than_retries_pass_while_bytes_move(void **state) {
    Hub *hub = *state;
    FAULT(hub, "\"where\": \"cdn\", \"path\": \"big\", \"do\": \"drop\", \"after\": 300000, "
               "\"count\": 12");
    assert_pulled(hub, "org/big", "org--big");
    FAULT(hub, "\"where\": \"cdn\", \"path\": \"tiny\", \"do\": \"drop\", \"after\": 0, "
               "\"count\": 12");
    assert_fault(hub, "org/tiny", REGISTRY_FAULT_NETWORK, "Network error while pulling model");
    // What came is kept, and the next pull goes on.
    hub_test_say(hub, "{\"cmd\": \"reset\"}");
    assert_pulled(hub, "org/tiny", "org--tiny");
    assert_int_equal(hub_test_number(hub, "downloaded_bytes"), 300000);
}

static void a_stall_ends_by_the_download_timeout(void **state) {
    Hub *hub = *state;
    hub_test_set(hub, "HF_HUB_DOWNLOAD_TIMEOUT", "1");
    FAULT(hub, "\"where\": \"cdn\", \"path\": \"tiny\", \"do\": \"stall\", \"after\": 100000");
    uint64_t start = clock_now_ns();
    assert_pulled(hub, "org/tiny", "org--tiny");
    assert_true(clock_now_ns() - start < UINT64_C(6000000000));
    assert_non_null(
        strstr(hub_test_say(hub, "{\"cmd\": \"log\"}"), "\"range\": \"bytes=100000-\""));
}

static void answers_that_ignore_or_twist_a_range_start_over(void **state) {
    Hub *hub = *state;
    static const char *const KINDS[] = {"no_range", "bad_range"};
    for (size_t i = 0; i < 2; i++) {
        hub_test_fresh(hub);
        FAULT(hub, "\"where\": \"cdn\", \"path\": \"big\", \"do\": \"drop\", \"after\": 1000000");
        hub_test_say(hub,
                     "{\"cmd\": \"fault\", \"where\": \"cdn\", \"path\": \"big\", \"do\": \"%s\"}",
                     KINDS[i]);
        assert_pulled(hub, "org/big", "org--big");
    }
    // 416: the file is shorter there than what we have.
    hub_test_fresh(hub);
    FAULT(hub, "\"where\": \"cdn\", \"path\": \"big\", \"do\": \"drop\", \"after\": 1000000");
    FAULT(hub, "\"where\": \"cdn\", \"path\": \"big\", \"do\": \"status\", \"status\": 416");
    assert_pulled(hub, "org/big", "org--big");
}

static void lies_about_content_and_size_are_found(void **state) {
    Hub *hub = *state;
    static const char *const LIES[] = {
        "\"do\": \"flip\"",
        "\"do\": \"lie_size\", \"by\": 100",
        "\"do\": \"lie_size\", \"by\": -100",
    };
    for (size_t i = 0; i < 3; i++) {
        // Once is forgiven, twice is not.
        for (int count = 1; count <= 2; count++) {
            hub_test_fresh(hub);
            hub_test_say(
                hub,
                "{\"cmd\": \"fault\", \"where\": \"cdn\", \"path\": \"tiny\", \"count\": %d, %s}",
                count, LIES[i]);
            if (count == 1)
                assert_pulled(hub, "org/tiny", "org--tiny");
            else
                assert_fault(hub, "org/tiny", REGISTRY_FAULT_REGISTRY,
                             "Registry error: checksum mismatch for model.safetensors");
        }
        assert_false(file_is_dir(hub_test_path(hub, "org--tiny", "main")));
    }
    hub_test_fresh(hub);
    FAULT(hub, "\"where\": \"hub\", \"path\": \"resolve-cache\", \"do\": \"flip\", \"count\": 20");
    assert_fault(hub, "org/tiny", REGISTRY_FAULT_REGISTRY, "checksum mismatch");
    hub_test_fresh(hub);
    hub_test_say(hub, "{\"cmd\": \"set\", \"fake_hash\": {\"model.safetensors\": \"%064d\"}}", 5);
    assert_fault(hub, "org/tiny", REGISTRY_FAULT_REGISTRY, "checksum mismatch");
    hub_test_fresh(hub);
    hub_test_say(hub, "{\"cmd\": \"set\", \"fake_size\": {\"model.safetensors\": 299999}}");
    assert_fault(hub, "org/tiny", REGISTRY_FAULT_REGISTRY, "checksum mismatch");
}

static void an_end_without_a_length_is_a_drop(void **state) {
    Hub *hub = *state;
    FAULT(hub, "\"where\": \"cdn\", \"path\": \"tiny\", \"do\": \"short\", \"after\": 1000");
    assert_pulled(hub, "org/tiny", "org--tiny");
    assert_non_null(strstr(hub_test_say(hub, "{\"cmd\": \"log\"}"), "\"range\": \"bytes=1000-\""));
}

static void a_file_over_50_gb_is_refused_before_anything_is_fetched(void **state) {
    Hub *hub = *state;
    hub_test_say(hub, "{\"cmd\": \"set\", \"fake_size\": {\"model.safetensors\": 50000000001}}");
    assert_fault(hub, "org/tiny", REGISTRY_FAULT_REGISTRY, "model.safetensors is over 50 GB");
    assert_int_equal(hub_test_count(hub_test_say(hub, "{\"cmd\": \"log\"}"), "resolve"), 0);
}

static void server_errors_are_retried_and_limits_waited_for(void **state) {
    Hub *hub = *state;
    static const int CODES[] = {408, 429, 500, 502, 503, 504};
    for (size_t i = 0; i < 6; i++)
        hub_test_say(hub,
                     "{\"cmd\": \"fault\", \"where\": \"%s\", \"path\": \"tiny\", \"do\": "
                     "\"status\", \"status\": %d}",
                     i % 3 == 0   ? "api"
                     : i % 3 == 1 ? "hub"
                                  : "cdn",
                     CODES[i]);
    assert_pulled(hub, "org/tiny", "org--tiny");
    // Six failures in a row are too many.
    hub_test_fresh(hub);
    FAULT(hub, "\"where\": \"api\", \"path\": \"tiny\", \"do\": \"status\", \"status\": 503, "
               "\"count\": 6");
    assert_fault(hub, "org/tiny", REGISTRY_FAULT_NETWORK, "status 503");
    assert_pulled(hub, "org/tiny", "org--tiny");
}

typedef struct Waits {
    double longest;
    int count;
} Waits;

static bool note_wait(void *ctx, const PullEvent *event) {
    Waits *waits = ctx;
    if (event->step == PULL_RETRY_WAIT) {
        waits->count++;
        waits->longest = event->wait_s > waits->longest ? event->wait_s : waits->longest;
    }
    return true;
}

static void a_429_waits_as_long_as_the_hub_says(void **state) {
    Hub *hub = *state;
    static const struct {
        const char *headers;
        double least, most;
    } CASES[] = {
        {"{\"RateLimit\": \"\\\"api\\\";r=0;t=70\", \"Retry-After\": \"3\"}", 71, 71},
        {"{\"RateLimit\": \"\\\"api\\\";r=5;t=70\", \"Retry-After\": \"3\"}", 3, 3},
        {"{}", 1, 1.25},
    };
    for (size_t i = 0; i < 3; i++) {
        hub_test_fresh(hub);
        Waits waits = {0};
        hub_test_say(hub,
                     "{\"cmd\": \"fault\", \"where\": \"%s\", \"path\": \"tiny\", \"do\": "
                     "\"status\", \"status\": 429, \"headers\": %s}",
                     i == 1 ? "cdn" : "api", CASES[i].headers);
        PullOptions options = {.model = "org/tiny", .progress = note_wait, .progress_ctx = &waits};
        assert_int_equal(hub_test_pull_with(hub, NULL, options), STATUS_OK);
        assert_int_equal(waits.count, 1);
        assert_true(waits.longest >= CASES[i].least && waits.longest <= CASES[i].most);
        assert_int_equal(strstr(hub->log, "asks to wait 71 s") != NULL, i == 0);
    }
}

static void what_is_not_a_hub_is_a_network_error(void **state) {
    Hub *hub = *state;
    FAULT(hub, "\"where\": \"api\", \"path\": \"tiny\", \"do\": \"html\"");
    assert_fault(hub, "org/tiny", REGISTRY_FAULT_NETWORK, "not from a model hub");
    FAULT(hub, "\"where\": \"hub\", \"path\": \"/resolve/\", \"do\": \"html\"");
    assert_fault(hub, "org/tiny", REGISTRY_FAULT_NETWORK, "not from a model hub");
    hub_test_fresh(hub);
    FAULT(hub, "\"where\": \"hub\", \"path\": \"model.safetensors\", \"do\": \"no_commit\"");
    assert_fault(hub, "org/tiny", REGISTRY_FAULT_NETWORK, "not from a model hub");
    hub_test_fresh(hub);
    FAULT(hub, "\"where\": \"hub\", \"path\": \"model.safetensors\", \"do\": \"commit\", "
               "\"commit\": \"0123456789012345678901234567890123456789\"");
    assert_fault(hub, "org/tiny", REGISTRY_FAULT_REGISTRY, "came from commit 0123");
    hub_test_fresh(hub);
    FAULT(hub, "\"where\": \"cdn\", \"path\": \"model\", \"do\": \"gzip\"");
    assert_fault(hub, "org/tiny", REGISTRY_FAULT_NETWORK, "compressed");
}

static void bad_redirects_are_not_followed(void **state) {
    Hub *hub = *state;
    static const char *const TARGETS[] = {"file:///etc/passwd", "http://user:pw@localhost/x",
                                          "gopher://localhost/"};
    for (size_t i = 0; i < 3; i++) {
        hub_test_fresh(hub);
        hub_test_say(hub,
                     "{\"cmd\": \"fault\", \"where\": \"hub\", \"path\": \"config\", \"do\": "
                     "\"status\", \"status\": 302, \"headers\": {\"Location\": \"%s\"}, "
                     "\"count\": 99}",
                     TARGETS[i]);
        assert_fault(hub, "org/tiny", REGISTRY_FAULT_NETWORK, "redirects to an address");
    }
    hub_test_fresh(hub);
    FAULT(hub,
          "\"where\": \"api\", \"path\": \"tiny\", \"do\": \"status\", \"status\": 302, "
          "\"headers\": {\"Location\": \"/api/models/org/tiny/revision/main\"}, \"count\": 99");
    assert_fault(hub, "org/tiny", REGISTRY_FAULT_NETWORK, "redirects too often");
}

static void other_refusals_have_their_meaning(void **state) {
    Hub *hub = *state;
    FAULT(hub, "\"where\": \"api\", \"path\": \"tiny\", \"do\": \"status\", \"status\": 403, "
               "\"headers\": {\"X-Error-Message\": \"not for you\"}");
    assert_fault(hub, "org/tiny", REGISTRY_FAULT_FORBIDDEN, "not for you");
    FAULT(hub, "\"where\": \"api\", \"path\": \"tiny\", \"do\": \"status\", \"status\": 400, "
               "\"body\": \"{\\\"error\\\": \\\"bad thing\\\"}\"");
    assert_fault(hub, "org/tiny", REGISTRY_FAULT_REGISTRY, "Registry error: bad thing");
    FAULT(hub, "\"where\": \"api\", \"path\": \"tiny\", \"do\": \"status\", \"status\": 403, "
               "\"headers\": {\"X-Error-Message\": \"Access to this resource is disabled.\"}");
    assert_fault(hub, "org/tiny", REGISTRY_FAULT_REGISTRY, "disabled");
    FAULT(hub,
          "\"where\": \"hub\", \"path\": \"config.json\", \"do\": \"status\", \"status\": 404, "
          "\"headers\": {\"X-Error-Code\": \"EntryNotFound\"}, \"count\": 9");
    assert_fault(hub, "org/tiny", REGISTRY_FAULT_REGISTRY, "Registry error: config.json");
    hub_test_fresh(hub);
    FAULT(hub, "\"where\": \"hub\", \"path\": \"modules.json\", \"do\": \"status\", "
               "\"status\": 404, \"headers\": {\"X-Error-Code\": \"EntryNotFound\"}");
    assert_pulled(hub, "org/tiny", "org--tiny");
    assert_non_null(strstr(hub->log, "modules.json is listed but absent"));
    hub_test_fresh(hub);
    hub_test_say(hub, "{\"cmd\": \"set\", \"extra_files\": [\"../../../etc/x\"]}");
    assert_fault(hub, "org/tiny", REGISTRY_FAULT_REGISTRY, "unsafe path");
}

static void warnings_of_the_hub_are_passed_on_once(void **state) {
    Hub *hub = *state;
    FAULT(hub, "\"where\": \"hub\", \"path\": \"tiny\", \"do\": \"headers\", "
               "\"headers\": {\"X-HF-Warning\": \"old; please update\"}, \"count\": 99");
    assert_pulled(hub, "org/tiny", "org--tiny");
    assert_int_equal(hub_test_count(hub->log, "please update"), 1);
}

static void hubs_without_digests_are_asked_file_by_file(void **state) {
    Hub *hub = *state;
    hub_test_say(hub, "{\"cmd\": \"set\", \"has_blobs\": false, \"page\": 2}");
    assert_pulled(hub, "org/tiny", "org--tiny");
    const char *log = hub_test_say(hub, "{\"cmd\": \"log\"}");
    assert_int_equal(hub_test_count(log, "/tree/"), 5);
    assert_int_equal(hub_test_count(log, "\"HEAD\""), 0);
    hub_test_fresh(hub);
    hub_test_say(hub, "{\"cmd\": \"set\", \"has_blobs\": false, \"has_tree\": false}");
    assert_pulled(hub, "org/tiny", "org--tiny");
    log = hub_test_say(hub, "{\"cmd\": \"log\"}");
    assert_int_equal(hub_test_count(log, "\"HEAD\", \"path\": \"/org/tiny/resolve"), 6);
}

static void offline_mode_sends_nothing(void **state) {
    Hub *hub = *state;
    static const char *const NAMES[] = {"HF_HUB_OFFLINE", "TRANSFORMERS_OFFLINE", "GPUX_OFFLINE"};
    for (size_t i = 0; i < 3; i++) {
        hub_test_fresh(hub);
        hub_test_set(hub, NAMES[i], "Yes");
        assert_fault(hub, "org/tiny", REGISTRY_FAULT_OFFLINE,
                     "Offline mode is enabled and model 'org/tiny' is not cached");
        assert_int_equal(hub_test_count(hub_test_say(hub, "{\"cmd\": \"log\"}"), "method"), 0);
        hub_test_set(hub, NAMES[i], "0");
        assert_pulled(hub, "org/tiny", "org--tiny");
        hub_test_set(hub, NAMES[i], "1");
        assert_pulled(hub, "org/tiny", "org--tiny");
        assert_int_equal(hub_test_number(hub, "cached"), 1);
    }
}

static void a_network_that_is_down_is_no_matter_for_a_cached_model(void **state) {
    Hub *hub = *state;
    assert_pulled(hub, "org/tiny", "org--tiny");
    hub_test_set(hub, "HF_ENDPOINT", "http://127.0.0.1:1");
    assert_pulled(hub, "org/tiny", "org--tiny");
    assert_non_null(strstr(hub->log, "the cached copy is used"));
    assert_fault(hub, "bare", REGISTRY_FAULT_NETWORK, "127.0.0.1:1");
    hub_test_set(hub, "HF_ENDPOINT", "http://no-such-host.invalid");
    assert_fault(hub, "bare", REGISTRY_FAULT_NETWORK, "no-such-host.invalid");
}

static void proxies_are_used_as_the_environment_says(void **state) {
    Hub *hub = *state;
    char proxy[64];
    snprintf(proxy, sizeof proxy, "http://127.0.0.1:%d", hub->proxy_port);
    hub_test_set(hub, "HTTP_PROXY", proxy);
    assert_pulled(hub, "org/tiny", "org--tiny");
    assert_true(hub_test_count(hub_test_say(hub, "{\"cmd\": \"log\"}"), "\"proxy\"") > 7);
    hub_test_set(hub, "NO_PROXY", "127.0.0.1");
    assert_pulled(hub, "bare", "bare");
    // The CDN's other name is not excepted.
    assert_int_equal(hub_test_count(hub_test_say(hub, "{\"cmd\": \"log\"}"), "\"proxy\""), 1);
    hub_test_fresh(hub);
    hub_test_set(hub, "ALL_PROXY", proxy);
    FAULT(hub, "\"where\": \"proxy\", \"do\": \"status\", \"status\": 407");
    assert_fault(hub, "org/tiny", REGISTRY_FAULT_NETWORK, "status 407");
}

static void https_goes_through_the_proxy_in_a_tunnel(void **state) {
    Hub *hub = *state;
    char cert[160], proxy[64];
    Hub *secure = hub_test_start_secure(hub, cert);
    if (!secure)
        skip(); // no openssl here
    snprintf(proxy, sizeof proxy, "http://127.0.0.1:%d", secure->proxy_port);
    hub_test_set(secure, "SSL_CERT_FILE", cert);
    hub_test_set(secure, "HTTPS_PROXY", proxy);
    hub_test_set(secure, "HF_TOKEN", GOOD_TOKEN);
    Registry *registry = hub_test_open(secure, NULL);
    assert_int_equal(
        registry_info(&secure->report, &secure->fault, registry, "bare", NULL, &secure->error),
        STATUS_OK);
    registry_close(registry);
    const char *log = hub_test_say(secure, "{\"cmd\": \"log\"}");
    assert_true(hub_test_count(log, "\"method\": \"CONNECT\"") >= 1);
    assert_int_equal(hub_test_count(log, "\"where\": \"proxy\""),
                     hub_test_count(log, "\"method\": \"CONNECT\""));
    // The token is inside the tunnel: it was seen by the hub alone.
    JsonDoc *doc;
    assert_int_equal(json_parse(&doc, sv(log), 0, NULL), STATUS_OK);
    const JsonValue *entries = json_get(json_root(doc), "log");
    for (size_t i = 0; i < json_len(entries); i++) {
        const JsonValue *entry = json_at(entries, i);
        bool is_proxy = strcmp(json_cstr_or(entry, "where", ""), "proxy") == 0;
        assert_true(is_proxy == !json_get(entry, "authorization"));
    }
    json_free(doc);
    // A proxy that refuses is the network's fault, and named.
    hub_test_say(secure, "{\"cmd\": \"fault\", \"where\": \"proxy\", \"do\": \"status\", "
                         "\"status\": 407, \"count\": 20}");
    hub_test_pull(secure, "org/tiny");
    assert_int_equal(secure->fault, REGISTRY_FAULT_NETWORK);
    // Past it, for hosts that are excepted.
    hub_test_set(secure, "NO_PROXY", "localhost");
    registry = hub_test_open(secure, NULL);
    assert_int_equal(
        registry_info(&secure->report, &secure->fault, registry, "bare", NULL, &secure->error),
        STATUS_OK);
    registry_close(registry);
    hub_test_stop(secure);
}

int main(void) {
#define TEST(name) cmocka_unit_test_setup(name, hub_test_each)
    const struct CMUnitTest tests[] = {
        TEST(a_drop_resumes_at_the_byte_from_the_hub),
        TEST(more_drops_than_retries_pass_while_bytes_move),
        TEST(a_stall_ends_by_the_download_timeout),
        TEST(answers_that_ignore_or_twist_a_range_start_over),
        TEST(lies_about_content_and_size_are_found),
        TEST(an_end_without_a_length_is_a_drop),
        TEST(a_file_over_50_gb_is_refused_before_anything_is_fetched),
        TEST(server_errors_are_retried_and_limits_waited_for),
        TEST(a_429_waits_as_long_as_the_hub_says),
        TEST(what_is_not_a_hub_is_a_network_error),
        TEST(bad_redirects_are_not_followed),
        TEST(other_refusals_have_their_meaning),
        TEST(warnings_of_the_hub_are_passed_on_once),
        TEST(hubs_without_digests_are_asked_file_by_file),
        TEST(offline_mode_sends_nothing),
        TEST(a_network_that_is_down_is_no_matter_for_a_cached_model),
        TEST(proxies_are_used_as_the_environment_says),
        TEST(https_goes_through_the_proxy_in_a_tunnel),
    };
    return cmocka_run_group_tests(tests, hub_test_group_start, hub_test_group_stop);
}
