// Locks, staging, publishing, listing, removing and pruning, without a network.
#include "registry/hub_test.h"

#include <sys/file.h>
#include <sys/stat.h>
#include <utime.h>

typedef struct Place {
    Hub hub; // only its folders, log and environment
    Registry *registry;
} Place;

static int start(void **state) {
    Place *place = calloc(1, sizeof *place);
    Hub *hub = &place->hub;
    snprintf(hub->root, sizeof hub->root, "/tmp/gpux-cache-test-XXXXXX");
    assert_non_null(mkdtemp(hub->root));
    snprintf(hub->cache, sizeof hub->cache, "%s/cache", hub->root);
    snprintf(hub->home, sizeof hub->home, "%s/home", hub->root);
    hub->sink = (Log){.write = hub_test_log, .ctx = hub, .level = LOG_DEBUG};
    hub->report = BUF_INIT(1 << 20);
    place->registry = hub_test_open(hub, NULL);
    *state = place;
    return 0;
}

static int stop(void **state) {
    Place *place = *state;
    registry_close(place->registry);
    tree_remove(AT_FDCWD, place->hub.root, NULL);
    buf_free(&place->hub.report);
    free(place);
    return 0;
}

__attribute__((format(printf, 2, 3))) static const char *shell(Place *place, const char *format,
                                                               ...) {
    char command[4096];
    int len = snprintf(command, sizeof command, "set -e; mkdir -p %s; cd %s; ", place->hub.cache,
                       place->hub.cache);
    va_list args;
    va_start(args, format);
    vsnprintf(command + len, sizeof command - (size_t)len, format, args);
    va_end(args);
    if (system(command) != 0)
        fail_msg("%s", command);
    return NULL;
}

static Stage stage_of(Place *place, const char *id, const char *revision) {
    Call call = {.registry = place->registry, .error = &place->hub.error};
    ModelRef ref = {0};
    snprintf(ref.id, sizeof ref.id, "%s", id);
    snprintf(ref.revision, sizeof ref.revision, "%s", revision);
    Stage stage;
    assert_int_equal(cache_names(&stage, &call, &ref), STATUS_OK);
    return stage;
}

static const char *read_text(const char *folder, const char *name) {
    static char text[256];
    char *path = path_join(folder, name);
    Buf buf = BUF_INIT(200);
    text[0] = '\0';
    if (file_is_regular(path) && file_read(&buf, path, 200, NULL) == STATUS_OK)
        snprintf(text, sizeof text, "%s", buf.ptr ? buf.ptr : "");
    buf_free(&buf);
    mem_free(path);
    return text;
}

static void publish(Place *place, const char *content) {
    Call call = {.registry = place->registry, .error = &place->hub.error};
    Stage stage = stage_of(place, "org/name", "main");
    bool has_waited;
    assert_int_equal(cache_lock(&stage, &call, &has_waited), STATUS_OK);
    assert_int_equal(cache_open(&stage, &call), STATUS_OK);
    int fd = tree_open_file(stage.fd, "sub/file", O_WRONLY | O_CREAT);
    assert_true(fd >= 0);
    assert_int_equal(write(fd, content, strlen(content)), (int)strlen(content));
    close(fd);
    assert_int_equal(cache_publish(&stage, &call), STATUS_OK);
    cache_clean(&stage);
    assert_string_equal(read_text(stage.target, "sub/file"), content);
    assert_false(file_is_dir(stage.path));
    cache_close(&stage);
}

static void publishing_makes_and_replaces_a_revision(void **state) {
    publish(*state, "one");
    publish(*state, "two");
}

static void a_copy_put_aside_by_a_dead_process_comes_back(void **state) {
    Place *place = *state;
    publish(place, "one");
    shell(place, "mv huggingface/org--name/main .staging/.old-huggingface--org--name--main");
    Stage stage = stage_of(place, "org/name", "main");
    cache_mend(&stage);
    assert_string_equal(read_text(stage.target, "sub/file"), "one");
    cache_close(&stage);
    // And never over a copy that stands.
    shell(place, "mkdir -p .staging/.old-huggingface--org--name--main/sub; "
                 "echo old > .staging/.old-huggingface--org--name--main/sub/file");
    publish(place, "two");
}

static void links_in_staging_are_never_followed(void **state) {
    Place *place = *state;
    Call call = {.registry = place->registry, .error = &place->hub.error};
    Stage stage = stage_of(place, "org/name", "main");
    assert_int_equal(cache_open(&stage, &call), STATUS_OK);
    shell(place,
          "mkdir ../outside; echo keep > ../outside/file; ln -s %s/outside %s/dir; "
          "ln -s %s/outside/file %s/file",
          place->hub.root, stage.path, place->hub.root, stage.path);
    assert_int_equal(tree_open_file(stage.fd, "dir/file", O_RDWR | O_CREAT), -1);
    assert_int_equal(tree_open_file(stage.fd, "file", O_RDWR | O_CREAT), -1);
    assert_int_equal(tree_open_file(stage.fd, "dir/new/file", O_RDWR | O_CREAT), -1);
    cache_clean(&stage);
    cache_close(&stage);
    char outside[128];
    snprintf(outside, sizeof outside, "%s/outside", place->hub.root);
    assert_string_equal(read_text(outside, "file"), "keep\n");
}

static void a_lock_excludes_and_survives_the_removal_of_its_file(void **state) {
    Place *place = *state;
    Call call = {.registry = place->registry, .error = &place->hub.error};
    Stage stage = stage_of(place, "org/name", "main");
    bool has_waited;
    assert_int_equal(cache_lock(&stage, &call, &has_waited), STATUS_OK);
    assert_false(has_waited);
    assert_int_equal(cache_try_lock(place->hub.cache, stage.key), -1);
    assert_int_equal(errno, EWOULDBLOCK);
    cache_close(&stage);
    // Opened, then unlinked by prune before the lock: the next one must not lock a nameless file.
    stage = stage_of(place, "org/name", "main");
    int fd = cache_try_lock(place->hub.cache, stage.key);
    assert_true(fd >= 0);
    shell(place, "rm .locks/%s.lock", stage.key);
    int again = cache_try_lock(place->hub.cache, stage.key);
    assert_true(again >= 0);
    assert_int_equal(cache_try_lock(place->hub.cache, stage.key), -1);
    close(again);
    close(fd);
    cache_close(&stage);
}

static void make_model(Place *place, const char *id, const char *revision, const char *metadata) {
    shell(place,
          "mkdir -p huggingface/%s/%s; cd huggingface/%s/%s; echo x > model.onnx; "
          "echo y > gpux.yml; printf '%%s' '%s' > metadata.json",
          id, revision, id, revision, metadata);
}

static const JsonValue *list(Place *place, JsonDoc **doc) {
    buf_clear(&place->hub.report);
    assert_int_equal(registry_list(&place->hub.report, place->registry, NULL, &place->hub.error),
                     STATUS_OK);
    assert_int_equal(json_parse(doc, sv(place->hub.report.ptr), 0, NULL), STATUS_OK);
    return json_root(*doc);
}

static void listing_survives_damage_and_strangers(void **state) {
    Place *place = *state;
    JsonDoc *doc;
    assert_int_equal(json_len(list(place, &doc)), 0);
    json_free(doc);
    make_model(place, "org--a", "main", "{\"model_id\": \"org/a\", \"task\": \"fill-mask\"}");
    make_model(place, "org--a", "refs%2Fpr%2F1", "{\"model_id\": ");
    make_model(place, "b", "main", "[1]");
    shell(place, "rm huggingface/b/main/gpux.yml; touch huggingface/file; mkdir huggingface/..x; "
                 "mkdir -p huggingface/c/bad%%zz .staging/x .locks");
    const JsonValue *models = list(place, &doc);
    assert_int_equal(json_len(models), 3);
    const JsonValue *rebuilt = json_at(models, 0);
    assert_string_equal(json_cstr_or(rebuilt, "model_id", ""), "b");
    assert_string_equal(json_cstr_or(rebuilt, "format", ""), "onnx");
    assert_int_equal(json_i64_or(rebuilt, "size_bytes", 0), 2);
    assert_false(json_bool_or(rebuilt, "is_converted", true));
    assert_string_equal(json_cstr_or(json_at(models, 1), "task", ""), "fill-mask");
    assert_string_equal(json_cstr_or(json_at(models, 2), "revision", ""), "refs/pr/1");
    assert_true(json_bool_or(json_at(models, 2), "is_converted", false));
    json_free(doc);
}

static RegistryFault remove_model(Place *place, RemoveOptions options) {
    RegistryFault fault;
    buf_clear(&place->hub.report);
    registry_remove(&place->hub.report, &fault, place->registry, &options, &place->hub.error);
    return fault;
}

static void removing_takes_one_revision_all_revisions_or_all_models(void **state) {
    Place *place = *state;
    const char *target = place->hub.cache;
    make_model(place, "org--a", "main", "{}");
    make_model(place, "org--a", "v1", "{}");
    make_model(place, "b", "main", "{}");
    shell(place, "mkdir -p .staging/huggingface--org--a--main; echo abc > "
                 ".staging/huggingface--org--a--main/x");
    assert_int_equal(remove_model(place, (RemoveOptions){.model = "org/none"}),
                     REGISTRY_FAULT_MODEL_NOT_FOUND);
    assert_int_equal(remove_model(place, (RemoveOptions){.model = "org/a", .revision = "v2"}),
                     REGISTRY_FAULT_MODEL_NOT_FOUND);
    assert_int_equal(remove_model(place, (RemoveOptions){.model = "hf:org/a@v1"}),
                     REGISTRY_FAULT_NONE);
    assert_non_null(strstr(place->hub.report.ptr, "\"size_bytes\": 6"));
    assert_true(file_is_dir(hub_test_path(&place->hub, "org--a", "main")));
    assert_int_equal(remove_model(place, (RemoveOptions){.model = "org/a"}), REGISTRY_FAULT_NONE);
    assert_false(file_is_dir(hub_test_path(&place->hub, "org--a", "")));
    assert_non_null(strstr(place->hub.report.ptr, "\"size_bytes\": 10"));
    assert_int_equal(remove_model(place, (RemoveOptions){.all = true}), REGISTRY_FAULT_NONE);
    assert_int_equal(remove_model(place, (RemoveOptions){.all = true}), REGISTRY_FAULT_NONE);
    shell(place, "test -z \"$(ls .staging)\"");
    assert_true(file_is_dir(target));
}

static void a_held_model_is_removed_by_force_only(void **state) {
    Place *place = *state;
    make_model(place, "org--a", "main", "{}");
    make_model(place, "org--a", "v1", "{}");
    const char *folder = hub_test_path(&place->hub, "org--a", "v1");
    int hold = registry_hold(folder);
    int second = registry_hold(folder);
    assert_true(hold >= 0 && second >= 0);
    registry_release(second);
    assert_int_equal(remove_model(place, (RemoveOptions){.model = "org/a"}), REGISTRY_FAULT_IN_USE);
    assert_non_null(strstr(place->hub.error.message, "in use"));
    assert_true(file_is_dir(hub_test_path(&place->hub, "org--a", "main")));
    FileMap map;
    assert_int_equal(file_map(&map, hub_test_path(&place->hub, "org--a", "v1/gpux.yml"), NULL),
                     STATUS_OK);
    assert_int_equal(remove_model(place, (RemoveOptions){.model = "org/a", .force = true}),
                     REGISTRY_FAULT_NONE);
    assert_int_equal(map.data[0], 'y');
    file_unmap(&map);
    registry_release(hold);
    registry_release(-1);
    // Being pulled counts as use, too.
    make_model(place, "org--a", "main", "{}");
    Stage stage = stage_of(place, "org/a", "main");
    int lock = cache_try_lock(place->hub.cache, stage.key);
    assert_int_equal(remove_model(place, (RemoveOptions){.model = "org/a"}), REGISTRY_FAULT_IN_USE);
    close(lock);
    assert_int_equal(remove_model(place, (RemoveOptions){.model = "org/a"}), REGISTRY_FAULT_NONE);
    cache_close(&stage);
}

static void pruning_takes_old_rubbish_and_spares_what_lives(void **state) {
    Place *place = *state;
    Hub *hub = &place->hub;
    RegistryFault fault;
    make_model(place, "org--a", "main", "{}");
    shell(place, "mkdir -p .locks .staging/huggingface--org--old--main/sub "
                 ".staging/huggingface--org--new--main .staging/huggingface--org--busy--main "
                 ".staging/.removed-x-1 .staging/.old-huggingface--org--lost--main; "
                 "echo 1234 > .staging/huggingface--org--old--main/sub/f; "
                 "echo 12 > .staging/.removed-x-1/f; "
                 "echo saved > .staging/.old-huggingface--org--lost--main/f; "
                 "mkdir -p huggingface/org--lost; "
                 "find .staging -exec touch -d '8 days ago' {} +; "
                 "touch .staging/huggingface--org--new--main; touch .locks/dead.lock");
    Stage busy = stage_of(place, "org/busy", "main");
    int lock = cache_try_lock(hub->cache, busy.key);
    assert_int_equal(
        registry_prune(&hub->report, &fault, place->registry, REGISTRY_PRUNE_AGE_S, &hub->error),
        STATUS_OK);
    assert_int_equal(fault, REGISTRY_FAULT_NONE);
    assert_int_equal(hub_test_number(hub, "freed_bytes"), 5 + 3);
    shell(place, "cd .staging; test \"$(ls -A | sort | tr '\\n' ' ')\" = "
                 "'huggingface--org--busy--main huggingface--org--new--main '; "
                 "test -e ../huggingface/org--lost/main/f; test -e ../huggingface/org--a/main; "
                 "test \"$(ls ../.locks)\" = huggingface--org--busy--main.lock");
    close(lock);
    cache_close(&busy);
}

int main(void) {
#define TEST(name) cmocka_unit_test_setup_teardown(name, start, stop)
    const struct CMUnitTest tests[] = {
        TEST(publishing_makes_and_replaces_a_revision),
        TEST(a_copy_put_aside_by_a_dead_process_comes_back),
        TEST(links_in_staging_are_never_followed),
        TEST(a_lock_excludes_and_survives_the_removal_of_its_file),
        TEST(listing_survives_damage_and_strangers),
        TEST(removing_takes_one_revision_all_revisions_or_all_models),
        TEST(a_held_model_is_removed_by_force_only),
        TEST(pruning_takes_old_rubbish_and_spares_what_lives),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
