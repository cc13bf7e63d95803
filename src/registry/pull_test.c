// Pulls from the small hub, well-behaved and not.
#include "registry/hub_test.h"

#include "base/clock.h"

#include <sys/stat.h>

static int group_start(void **state) {
    *state = hub_test_start();
    return 0;
}

static int group_stop(void **state) {
    hub_test_stop(*state);
    return 0;
}

static int fresh(void **state) {
    hub_test_fresh(*state);
    return 0;
}

#define FAULT(hub, ...) hub_test_say(hub, "{\"cmd\": \"fault\", " __VA_ARGS__ "}")

static void assert_pulled(Hub *hub, const char *model, const char *folder) {
    if (hub_test_pull(hub, model) != STATUS_OK)
        print_error("%s\n%s\n", hub->error.message, hub->log);
    assert_int_equal(hub->status, STATUS_OK);
    assert_int_equal(hub->fault, REGISTRY_FAULT_NONE);
    assert_true(file_is_regular(hub_test_path(hub, folder, "main/gpux.yml")));
    assert_true(file_is_regular(hub_test_path(hub, folder, "main/metadata.json")));
}

static void assert_fault(Hub *hub, const char *model, RegistryFault fault, const char *message) {
    hub_test_pull(hub, model);
    if (hub->fault != fault || !strstr(hub->error.message, message))
        print_error("fault %d: %s\n%s\n", hub->fault, hub->error.message, hub->log);
    assert_int_equal(hub->fault, fault);
    assert_non_null(strstr(hub->error.message, message));
    assert_true(hub->status != STATUS_OK && hub->error.code == hub->status);
}

static void a_pull_needs_one_api_call_and_publishes_everything(void **state) {
    Hub *hub = *state;
    assert_pulled(hub, "org/tiny", "org--tiny");
    static const char *const PATHS[] = {"config.json", "tokenizer.json", "1_Pooling/config.json",
                                        "model.safetensors", "model.onnx"};
    for (size_t i = 0; i < 5; i++) {
        char path[64];
        snprintf(path, sizeof path, "main/%s", PATHS[i]);
        assert_true(file_is_regular(hub_test_path(hub, "org--tiny", path)));
    }
    assert_false(file_is_regular(hub_test_path(hub, "org--tiny", "main/README.md")));
    const char *log = hub_test_say(hub, "{\"cmd\": \"log\"}");
    assert_int_equal(hub_test_count(log, "\"where\": \"hub\", \"method\": \"GET\", "
                                         "\"path\": \"/api/models/"),
                     1);
    assert_int_equal(hub_test_count(log, "\"method\": \"HEAD\""), 0);
    assert_int_equal(hub_test_count(log, "\"where\": \"cdn\""), 1);
    assert_non_null(strstr(log, "\"user-agent\": \"gpux/0.0.0; linux-"));
    assert_non_null(strstr(log, "\"accept-encoding\": \"identity\""));
    assert_int_equal(hub_test_number(hub, "cached"), 0);
    assert_int_equal(hub_test_number(hub, "downloaded_bytes"), 305174);
    char staging[160];
    snprintf(staging, sizeof staging, "%s/.staging/huggingface--org--tiny--main", hub->cache);
    assert_false(file_is_dir(staging));
}

static void a_second_pull_moves_no_file(void **state) {
    Hub *hub = *state;
    assert_pulled(hub, "org/tiny", "org--tiny");
    hub_test_say(hub, "{\"cmd\": \"log\"}");
    assert_pulled(hub, "hf:org/tiny", "org--tiny");
    assert_int_equal(hub_test_number(hub, "cached"), 1);
    const char *log = hub_test_say(hub, "{\"cmd\": \"log\"}");
    assert_int_equal(hub_test_count(log, "\"method\""), 1);
    // With force everything comes again.
    PullOptions options = {.model = "org/tiny", .force = true};
    assert_int_equal(hub_test_pull_with(hub, NULL, options), STATUS_OK);
    assert_int_equal(hub_test_number(hub, "downloaded_bytes"), 305174);
}

static void a_cached_commit_needs_no_network(void **state) {
    Hub *hub = *state;
    char model[96] = "org/tiny@";
    JsonDoc *doc;
    json_parse(&doc, sv(hub_test_say(hub, "{\"cmd\": \"commit\", \"repo\": \"org/tiny\"}")), 0,
               NULL);
    strcat(model, json_cstr_or(json_root(doc), "commit", ""));
    json_free(doc);
    assert_int_equal(hub_test_pull(hub, model), STATUS_OK);
    hub_test_say(hub, "{\"cmd\": \"log\"}");
    assert_int_equal(hub_test_pull(hub, model), STATUS_OK);
    assert_int_equal(hub_test_number(hub, "cached"), 1);
    assert_int_equal(hub_test_count(hub_test_say(hub, "{\"cmd\": \"log\"}"), "method"), 0);
}

static void a_moved_branch_fetches_only_what_changed(void **state) {
    Hub *hub = *state;
    assert_pulled(hub, "org/moves", "org--moves");
    hub_test_say(hub, "{\"cmd\": \"move\", \"repo\": \"org/moves\"}");
    assert_pulled(hub, "org/moves", "org--moves");
    assert_int_equal(hub_test_number(hub, "downloaded_bytes"), 310000 + 40);
}

static void a_branch_that_moves_mid_pull_mixes_nothing(void **state) {
    Hub *hub = *state;
    FAULT(hub, "\"where\": \"hub\", \"path\": \"model.safetensors\", \"do\": \"move\", "
               "\"repo\": \"org/moves\"");
    assert_pulled(hub, "org/moves", "org--moves");
    Buf text = BUF_INIT(1 << 16);
    file_read(&text, hub_test_path(hub, "org--moves", "main/config.json"), 1 << 16, NULL);
    assert_non_null(strstr(text.ptr, "first"));
    buf_free(&text);
    FileStat stat;
    file_stat(&stat, hub_test_path(hub, "org--moves", "main/model.safetensors"));
    assert_int_equal(stat.size, 300000);
}

static void odd_names_empty_files_shards_and_bare_ids_come_whole(void **state) {
    Hub *hub = *state;
    assert_pulled(hub, "org/odd", "org--odd");
    assert_true(
        file_is_regular(hub_test_path(hub, "org--odd", "main/chat_template one+two#3.jinja")));
    FileStat stat;
    assert_true(file_stat(&stat, hub_test_path(hub, "org--odd", "main/added_tokens.json")));
    assert_int_equal(stat.size, 0);
    assert_pulled(hub, "org/shards", "org--shards");
    assert_true(file_is_regular(
        hub_test_path(hub, "org--shards", "main/model-00003-of-00003.safetensors")));
    assert_pulled(hub, "bare", "bare");
}

static void a_renamed_repository_is_followed(void **state) {
    Hub *hub = *state;
    assert_pulled(hub, "org/oldname", "org--oldname");
    assert_non_null(strstr(hub->log, "org/newname"));
}

static void revisions_get_folders_of_their_own(void **state) {
    Hub *hub = *state;
    assert_int_equal(hub_test_pull(hub, "org/tiny@v1.0"), STATUS_OK);
    assert_int_equal(hub_test_pull(hub, "org/tiny@refs/pr/1"), STATUS_OK);
    assert_true(file_is_regular(hub_test_path(hub, "org--tiny", "v1.0/gpux.yml")));
    assert_true(file_is_regular(hub_test_path(hub, "org--tiny", "refs%2Fpr%2F1/gpux.yml")));
}

static void what_is_absent_is_told_apart(void **state) {
    Hub *hub = *state;
    assert_fault(hub, "org/absent", REGISTRY_FAULT_MODEL_NOT_FOUND,
                 "Model 'org/absent' not found in registry");
    assert_non_null(strstr(hub->error.message, "without a token"));
    assert_fault(hub, "org/tiny@absent", REGISTRY_FAULT_REVISION_NOT_FOUND,
                 "Revision 'absent' not found for model 'org/tiny'");
    assert_fault(hub, "org/noweights", REGISTRY_FAULT_REGISTRY, "no usable weights");
    assert_fault(hub, "org/disabled", REGISTRY_FAULT_REGISTRY, "Registry error:");
    assert_false(file_is_dir(hub_test_path(hub, "org--absent", "")));
}

static void private_and_gated_models_need_the_right_token(void **state) {
    Hub *hub = *state;
    assert_fault(hub, "org/private", REGISTRY_FAULT_MODEL_NOT_FOUND, "private");
    assert_fault(hub, "org/gated", REGISTRY_FAULT_GATED, "Access to model 'org/gated' is gated");
    assert_non_null(strstr(hub->error.message, "/org/gated"));
    assert_false(file_is_dir(hub_test_path(hub, "org--gated", "main")));
    PullOptions gated = {.model = "org/gated"};
    hub_test_pull_with(hub, POOR_TOKEN, gated);
    assert_int_equal(hub->fault, REGISTRY_FAULT_GATED);
    assert_int_equal(hub_test_pull_with(hub, GOOD_TOKEN, gated), STATUS_OK);
    PullOptions private = {.model = "org/private"};
    assert_int_equal(hub_test_pull_with(hub, GOOD_TOKEN, private), STATUS_OK);
    hub_test_pull_with(hub, "hf_wrong", (PullOptions){.model = "org/tiny"});
    assert_int_equal(hub->fault, REGISTRY_FAULT_AUTHENTICATION);
    assert_non_null(strstr(hub->error.message, "Authentication failed"));
}

static void a_token_goes_to_the_endpoint_only_and_is_never_printed(void **state) {
    Hub *hub = *state;
    PullOptions options = {.model = "org/gated"};
    FAULT(hub, "\"where\": \"cdn\", \"path\": \"model\", \"do\": \"status\", \"status\": 500");
    assert_int_equal(hub_test_pull_with(hub, GOOD_TOKEN, options), STATUS_OK);
    JsonDoc *doc;
    json_parse(&doc, sv(hub_test_say(hub, "{\"cmd\": \"log\"}")), 0, NULL);
    const JsonValue *log = json_get(json_root(doc), "log");
    int to_hub = 0;
    int to_cdn = 0;
    for (size_t i = 0; i < json_len(log); i++) {
        const JsonValue *entry = json_at(log, i);
        bool is_cdn = strcmp(json_cstr_or(entry, "where", ""), "cdn") == 0;
        const char *sent = json_cstr_or(entry, "authorization", NULL);
        assert_true(is_cdn ? !sent : sent && strcmp(sent, "Bearer " GOOD_TOKEN) == 0);
        to_hub += !is_cdn;
        to_cdn += is_cdn;
    }
    assert_true(to_hub > 5 && to_cdn == 2);
    json_free(doc);
    assert_null(strstr(hub->log, GOOD_TOKEN));
    assert_null(strstr(hub->log, "Signature"));
    assert_null(strstr(hub->report.ptr, GOOD_TOKEN));
    Buf text = BUF_INIT(1 << 20);
    file_read(&text, hub_test_path(hub, "org--gated", "main/metadata.json"), 1 << 20, NULL);
    assert_null(strstr(text.ptr, GOOD_TOKEN));
    buf_free(&text);
}

static void a_token_does_not_travel_over_plain_http(void **state) {
    (void)state;
    static char token[] = "hf_x";
    static const struct {
        const char *endpoint, *url;
        bool may;
    } CASES[] = {
        {"https://hub.co", "https://hub.co/api", true},
        {"https://hub.co", "https://hub.co:443/api", true},
        {"https://hub.co", "https://HUB.co/api", true},
        {"https://hub.co", "http://hub.co/api", false},
        {"https://hub.co", "https://hub.co:444/api", false},
        {"https://hub.co", "https://hub.co.evil.com/", false},
        {"https://hub.co", "https://hub.co@evil.com/", false},
        {"https://hub.co", "https://evil.com/https://hub.co/", false},
        {"https://hub.co", "https://evil.com\\@hub.co/", false},
        {"http://hub.co", "http://hub.co/api", false},
        {"http://127.0.0.1:8", "http://127.0.0.1:8/api", true},
        {"http://localhost:8", "http://localhost:8/api", true},
        {"http://127.0.0.1:8", "http://localhost:8/api", false},
        {"http://127.0.0.1:8", "http://127.0.0.1:9/api", false},
        {"http://127.evil.com", "http://127.evil.com/", false},
        {"http://[::1]:8", "http://[::1]:8/x", true},
    };
    for (size_t i = 0; i < sizeof CASES / sizeof *CASES; i++) {
        Registry registry = {.endpoint = CASES[i].endpoint, .token = token};
        assert_int_equal(net_may_carry_token(&registry, CASES[i].url), CASES[i].may);
    }
}

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

static Status refuse_to_convert(void *ctx, const char *folder, const PullFacts *facts,
                                Error *error) {
    (void)folder;
    int *calls = ctx;
    ++*calls;
    assert_string_equal(facts->model_id, "org/tiny");
    assert_string_equal(facts->pipeline_tag, "sentence-similarity");
    return error_set(error, STATUS_CONVERSION, "architecture X is not supported");
}

static void a_failed_conversion_keeps_the_files(void **state) {
    Hub *hub = *state;
    int calls = 0;
    PullOptions options = {.model = "org/tiny", .finish = refuse_to_convert, .finish_ctx = &calls};
    assert_int_equal(hub_test_pull_with(hub, NULL, options), STATUS_CONVERSION);
    assert_int_equal(hub->fault, REGISTRY_FAULT_CONVERSION);
    assert_string_equal(hub->error.message, "Conversion failed: architecture X is not supported");
    assert_int_equal(calls, 1);
    assert_false(file_is_dir(hub_test_path(hub, "org--tiny", "main")));
    assert_pulled(hub, "org/tiny", "org--tiny");
    assert_int_equal(hub_test_number(hub, "downloaded_bytes"), 0);
}

static void an_unconverted_copy_is_converted_later_without_the_network(void **state) {
    Hub *hub = *state;
    Registry *registry = hub_test_open(hub, NULL);
    PullOptions options = {.model = "org/tiny"};
    buf_clear(&hub->report);
    assert_int_equal(registry_pull(&hub->report, &hub->fault, registry, &options, &hub->error),
                     STATUS_OK);
    assert_false(file_is_regular(hub_test_path(hub, "org--tiny", "main/gpux.yml")));
    buf_clear(&hub->report);
    assert_int_equal(registry_pull(&hub->report, &hub->fault, registry, &options, &hub->error),
                     STATUS_OK);
    assert_int_equal(hub_test_number(hub, "cached"), 1);
    registry_close(registry);
    assert_pulled(hub, "org/tiny", "org--tiny");
    assert_int_equal(hub_test_number(hub, "downloaded_bytes"), 0);
}

static void an_existing_hub_cache_is_copied_and_checked(void **state) {
    Hub *hub = *state;
    assert_pulled(hub, "org/tiny", "org--tiny");
    char command[2048];
    char hub_cache[128];
    snprintf(hub_cache, sizeof hub_cache, "%s/hub", hub->root);
    JsonDoc *doc;
    json_parse(&doc, sv(hub_test_say(hub, "{\"cmd\": \"commit\", \"repo\": \"org/tiny\"}")), 0,
               NULL);
    const char *commit = json_cstr_or(json_root(doc), "commit", "");
    snprintf(command, sizeof command,
             "set -e; d=%s/models--org--tiny; mkdir -p $d/blobs $d/snapshots; cd %s/huggingface; "
             "mv org--tiny/main $d/snapshots/%s; mv $d/snapshots/%s/model.safetensors $d/blobs/w; "
             "ln -s ../../blobs/w $d/snapshots/%s/model.safetensors; "
             "printf '[ ' > $d/snapshots/%s/modules.json",
             hub_cache, hub->cache, commit, commit, commit, commit);
    json_free(doc);
    assert_int_equal(system(command), 0);
    hub_test_set(hub, "HF_HUB_CACHE", hub_cache);
    assert_pulled(hub, "org/tiny", "org--tiny");
    // Only the file that had been changed came over the network.
    assert_int_equal(hub_test_number(hub, "downloaded_bytes"), 2);
    FileStat stat;
    assert_true(file_stat(&stat, hub_test_path(hub, "org--tiny", "main/model.safetensors")));
    assert_false(stat.is_symlink);
    assert_int_equal(stat.links, 1);
}

static bool cancel_at_bytes(void *ctx, const PullEvent *event) {
    int *events = ctx;
    ++*events;
    return !(event->step == PULL_FILE_DONE && event->files_done >= 2);
}

static void cancelling_keeps_what_came(void **state) {
    Hub *hub = *state;
    int events = 0;
    PullOptions options = {
        .model = "org/tiny", .progress = cancel_at_bytes, .progress_ctx = &events, .jobs = 1};
    assert_int_equal(hub_test_pull_with(hub, NULL, options), STATUS_CANCELLED);
    assert_int_equal(hub->fault, REGISTRY_FAULT_CANCELLED);
    assert_int_equal(registry_exit_code(hub->fault), 130);
    assert_pulled(hub, "org/tiny", "org--tiny");
    assert_true(hub_test_number(hub, "downloaded_bytes") > 0);
    assert_true(hub_test_number(hub, "downloaded_bytes") < 305174);
}

typedef struct Seen {
    size_t done, files;
    uint64_t last, last_ns, longest_gap_ns;
    double rate;
    bool has_resolved, has_published;
} Seen;

static bool watch(void *ctx, const PullEvent *event) {
    Seen *seen = ctx;
    uint64_t now = clock_now_ns();
    if (seen->last_ns && now - seen->last_ns > seen->longest_gap_ns)
        seen->longest_gap_ns = now - seen->last_ns;
    seen->last_ns = now;
    if (event->step == PULL_BYTES && event->files > 0) {
        assert_true(event->bytes >= seen->last);
        assert_true(event->bytes <= event->total && event->file_bytes <= event->file_total);
        seen->last = event->bytes;
        seen->rate = event->rate > seen->rate ? event->rate : seen->rate;
    }
    seen->done += event->step == PULL_FILE_DONE;
    seen->files = event->files ? event->files : seen->files;
    seen->has_resolved |= event->step == PULL_RESOLVED && strlen(event->commit) == 40;
    seen->has_published |= event->step == PULL_PUBLISHED;
    return true;
}

static void progress_tells_bytes_rate_and_every_file(void **state) {
    Hub *hub = *state;
    Seen seen = {0};
    FAULT(hub, "\"where\": \"cdn\", \"path\": \"tiny\", \"do\": \"slow\", \"after\": 20000, "
               "\"delay\": 0.1");
    PullOptions options = {.model = "org/tiny", .progress = watch, .progress_ctx = &seen};
    assert_int_equal(hub_test_pull_with(hub, NULL, options), STATUS_OK);
    assert_int_equal(seen.done, 6);
    assert_int_equal(seen.files, 6);
    assert_true(seen.has_resolved && seen.has_published);
    assert_true(seen.rate > 50000 && seen.rate < 1000000);
    assert_true(seen.longest_gap_ns < UINT64_C(1000000000));
}

static void every_failing_allocation_is_an_error_and_never_a_half_model(void **state) {
    Hub *hub = *state;
    size_t n = 1;
    int failures = 0;
    for (;;) {
        hub_test_fresh(hub);
        Registry *registry = hub_test_open(hub, NULL);
        PullOptions options = {.model = "bare", .finish = hub_test_finish};
        Buf report = BUF_INIT(1 << 20);
        mem_fail_after(n);
        Status status = registry_pull(&report, &hub->fault, registry, &options, NULL);
        mem_fail_after(0);
        registry_close(registry);
        buf_free(&report);
        bool is_there = file_is_dir(hub_test_path(hub, "bare", "main"));
        if (is_there)
            assert_true(file_is_regular(hub_test_path(hub, "bare", "main/metadata.json")));
        if (status == STATUS_OK)
            break;
        assert_int_not_equal(hub->fault, REGISTRY_FAULT_NONE);
        failures++;
        n += n < 60 ? 1 : 13;
    }
    assert_true(failures > 60);
}

int main(void) {
#define TEST(name) cmocka_unit_test_setup(name, fresh)
    const struct CMUnitTest tests[] = {
        TEST(a_pull_needs_one_api_call_and_publishes_everything),
        TEST(a_second_pull_moves_no_file),
        TEST(a_cached_commit_needs_no_network),
        TEST(a_moved_branch_fetches_only_what_changed),
        TEST(a_branch_that_moves_mid_pull_mixes_nothing),
        TEST(odd_names_empty_files_shards_and_bare_ids_come_whole),
        TEST(a_renamed_repository_is_followed),
        TEST(revisions_get_folders_of_their_own),
        TEST(what_is_absent_is_told_apart),
        TEST(private_and_gated_models_need_the_right_token),
        TEST(a_token_goes_to_the_endpoint_only_and_is_never_printed),
        TEST(a_token_does_not_travel_over_plain_http),
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
        TEST(a_failed_conversion_keeps_the_files),
        TEST(an_unconverted_copy_is_converted_later_without_the_network),
        TEST(an_existing_hub_cache_is_copied_and_checked),
        TEST(cancelling_keeps_what_came),
        TEST(progress_tells_bytes_rate_and_every_file),
        TEST(every_failing_allocation_is_an_error_and_never_a_half_model),
    };
    return cmocka_run_group_tests(tests, group_start, group_stop);
}
