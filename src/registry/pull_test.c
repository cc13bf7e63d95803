// Pulls from the small hub, well-behaved and not.
#include "registry/hub_test.h"

#include "base/clock.h"

#include <sys/stat.h>

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

typedef struct Wanted {
    bool is_as_wanted;
    int finished;
} Wanted;

static bool tell_wanted(void *ctx, const char *folder) {
    assert_true(file_is_dir(folder));
    return ((const Wanted *)ctx)->is_as_wanted;
}

static Status count_finished(void *ctx, const char *folder, const PullFacts *facts, Error *error) {
    ((Wanted *)ctx)->finished++;
    return hub_test_finish(NULL, folder, facts, error);
}

static void a_copy_that_was_finished_otherwise_is_finished_again_from_its_files(void **state) {
    Hub *hub = *state;
    Wanted wanted = {.is_as_wanted = true};
    PullOptions options = {.model = "org/tiny",
                           .finish = count_finished,
                           .is_as_wanted = tell_wanted,
                           .finish_ctx = &wanted};
    assert_pulled(hub, "org/tiny", "org--tiny");
    assert_int_equal(hub_test_pull_with(hub, NULL, options), STATUS_OK);
    assert_int_equal(hub_test_number(hub, "cached"), 1);
    assert_int_equal(wanted.finished, 0);
    wanted.is_as_wanted = false;
    hub_test_say(hub, "{\"cmd\": \"log\"}");
    assert_int_equal(hub_test_pull_with(hub, NULL, options), STATUS_OK);
    assert_int_equal(hub_test_number(hub, "cached"), 0);
    assert_int_equal(hub_test_number(hub, "downloaded_bytes"), 0);
    assert_int_equal(wanted.finished, 1);
    // Only the commit was asked for.
    assert_int_equal(hub_test_count(hub_test_say(hub, "{\"cmd\": \"log\"}"), "\"method\""), 1);
    hub_test_set(hub, "HF_HUB_OFFLINE", "1");
    assert_int_equal(hub_test_pull_with(hub, NULL, options), STATUS_OK);
    assert_int_equal(wanted.finished, 1);
    assert_non_null(strstr(hub->log, "stays as it was converted"));
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
#define TEST(name) cmocka_unit_test_setup(name, hub_test_each)
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
        TEST(a_failed_conversion_keeps_the_files),
        TEST(an_unconverted_copy_is_converted_later_without_the_network),
        TEST(a_copy_that_was_finished_otherwise_is_finished_again_from_its_files),
        TEST(an_existing_hub_cache_is_copied_and_checked),
        TEST(cancelling_keeps_what_came),
        TEST(progress_tells_bytes_rate_and_every_file),
        TEST(every_failing_allocation_is_an_error_and_never_a_half_model),
    };
    return cmocka_run_group_tests(tests, hub_test_group_start, hub_test_group_stop);
}
