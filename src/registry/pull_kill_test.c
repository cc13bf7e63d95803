// What remains when a pull dies: the old copy or the new one, never a mix, and the next pull goes
// on. Also: two pulls at once, a disk that fills up, and a cache that cannot be written.
#include "registry/hub_test.h"

#include <linux/filter.h>
#include <linux/seccomp.h>
#include <sched.h>
#include <stddef.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/ptrace.h>
#include <sys/stat.h>
#include <sys/syscall.h>

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

// ---- A pull in a process that dies before its n-th change of the disk ----

static bool changes_the_disk(const struct __ptrace_syscall_info *info) {
    switch (info->entry.nr) {
    case SYS_openat:
        return (info->entry.args[2] & O_CREAT) != 0;
    case SYS_write:
        return info->entry.args[0] > 2;
    case SYS_pwrite64:
    case SYS_mkdirat:
    case SYS_unlinkat:
    case SYS_renameat:
    case SYS_renameat2:
    case SYS_ftruncate:
    case SYS_fsync:
    case SYS_flock:
    case SYS_copy_file_range:
#ifdef SYS_mkdir
    case SYS_mkdir:
    case SYS_unlink:
    case SYS_rename:
    case SYS_rmdir:
#endif
        return true;
    default:
        return false;
    }
}

static void pull_in_child(Hub *hub, const char *model, bool is_traced) {
    if (is_traced) {
        if (ptrace(PTRACE_TRACEME, 0, NULL, NULL) != 0)
            _exit(77);
        raise(SIGSTOP);
    }
    _exit(hub_test_pull(hub, model) == STATUS_OK ? 0 : 1);
}

// The child's wait status; killed before its n-th change when it makes so many.
static int pull_until_change(Hub *hub, const char *model, int n) {
    pid_t pid = fork();
    if (pid == 0)
        pull_in_child(hub, model, true);
    int status;
    int changes = 0;
    waitpid(pid, &status, 0);
    if (!WIFSTOPPED(status))
        return status;
    ptrace(PTRACE_SETOPTIONS, pid, NULL, (void *)(intptr_t)PTRACE_O_TRACESYSGOOD);
    for (;;) {
        if (ptrace(PTRACE_SYSCALL, pid, NULL, NULL) != 0 || waitpid(pid, &status, 0) != pid)
            return -1;
        if (WIFEXITED(status) || WIFSIGNALED(status))
            return status;
        struct __ptrace_syscall_info info;
        bool is_entry = WSTOPSIG(status) == (SIGTRAP | 0x80) &&
                        ptrace(PTRACE_GET_SYSCALL_INFO, pid, (void *)sizeof info, &info) > 0 &&
                        info.op == PTRACE_SYSCALL_INFO_ENTRY;
        if (!is_entry || !changes_the_disk(&info) || ++changes < n)
            continue;
        kill(pid, SIGKILL);
        waitpid(pid, &status, 0);
        return status;
    }
}

static void read_into(char out[4096], const Hub *hub, const char *file) {
    Buf text = BUF_INIT(1 << 20);
    out[0] = '\0';
    if (file_read(&text, hub_test_path(hub, "org--moves", file), 1 << 20, NULL) == STATUS_OK)
        snprintf(out, 4096, "%s", text.ptr ? text.ptr : "");
    buf_free(&text);
}

// 0: there is no copy; 1 and 2: the whole first or second commit. Anything else fails.
static int whole_copy(const Hub *hub) {
    char config[4096], graph[4096], metadata[4096];
    if (!file_is_dir(hub_test_path(hub, "org--moves", "main")))
        return 0;
    read_into(config, hub, "main/config.json");
    read_into(graph, hub, "main/model.onnx");
    read_into(metadata, hub, "main/metadata.json");
    int copy = strstr(config, "second") ? 2 : 1;
    FileStat stat;
    assert_true(file_stat(&stat, hub_test_path(hub, "org--moves", "main/model.safetensors")));
    assert_int_equal(stat.size, copy == 2 ? 310000 : 300000);
    graph[40] = '\0';
    assert_int_equal(strlen(graph), 40);
    assert_non_null(strstr(metadata, graph));
    assert_true(file_is_regular(hub_test_path(hub, "org--moves", "main/gpux.yml")));
    assert_true(file_is_regular(hub_test_path(hub, "org--moves", "main/tokenizer.json")));
    return copy;
}

static void next_pull_finishes(Hub *hub, uint64_t most_bytes) {
    if (hub_test_pull(hub, "org/moves") != STATUS_OK)
        print_error("%s\n", hub->error.message);
    assert_int_equal(hub->status, STATUS_OK);
    assert_int_equal(whole_copy(hub), 2);
    assert_true((uint64_t)hub_test_number(hub, "downloaded_bytes") <= most_bytes);
    char command[256];
    snprintf(command, sizeof command, "test -z \"$(ls -A %s/.staging)\"", hub->cache);
    assert_int_equal(system(command), 0);
}

static void kill_at_every_change(Hub *hub, bool has_old_copy, int step) {
    hub_test_fresh(hub);
    char saved[128], command[512];
    snprintf(saved, sizeof saved, "%s/saved", hub->root);
    assert_int_equal(hub_test_pull(hub, "org/moves"), STATUS_OK);
    assert_int_equal(rename(hub->cache, saved), 0);
    hub_test_say(hub, "{\"cmd\": \"move\", \"repo\": \"org/moves\"}");
    int kills = 0;
    int copies[3] = {0};
    uint64_t least = UINT64_MAX;
    for (int n = 1;; n += step) {
        snprintf(command, sizeof command, "rm -rf %s && %s %s %s", hub->cache,
                 has_old_copy ? "cp -a" : "true", saved, hub->cache);
        assert_int_equal(system(command), 0);
        int status = pull_until_change(hub, "org/moves", n);
        if (WIFEXITED(status) && WEXITSTATUS(status) == 77)
            skip(); // no tracing here
        int copy = whole_copy(hub);
        assert_true(has_old_copy ? copy >= 1 : copy != 1);
        if (WIFEXITED(status)) {
            assert_int_equal(WEXITSTATUS(status), 0);
            assert_int_equal(copy, 2);
            break;
        }
        assert_true(WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL);
        copies[copy]++;
        kills++;
        next_pull_finishes(hub, has_old_copy ? 310040 : 320000);
        uint64_t bytes = (uint64_t)hub_test_number(hub, "downloaded_bytes");
        least = bytes < least ? bytes : least;
    }
    print_message("killed %d times: %d without a copy, %d old, %d new\n", kills, copies[0],
                  copies[1], copies[2]);
    assert_true(kills > 40 / step);
    // Some died with everything downloaded: nothing came twice then.
    assert_int_equal(least, 0);
    assert_true(copies[2] > 0 && copies[has_old_copy ? 1 : 0] > 20 / step);
}

static void killed_before_any_change_an_update_leaves_the_old_copy_or_the_new(void **state) {
    kill_at_every_change(*state, true, 1);
}

static void killed_before_any_change_a_first_pull_leaves_nothing_or_the_whole(void **state) {
    kill_at_every_change(*state, false, 2);
}

// ---- SIGKILL at any time ----

static uint64_t staged_bytes(const Hub *hub) {
    char command[512];
    snprintf(command, sizeof command,
             "cat %s/.staging/huggingface--org--big--main/model.safetensors.*.incomplete "
             "2>/dev/null | wc -c",
             hub->cache);
    FILE *pipe = popen(command, "r");
    unsigned long long bytes = 0;
    assert_int_equal(fscanf(pipe, "%llu", &bytes), 1);
    pclose(pipe);
    return bytes;
}

static void killed_again_and_again_a_pull_still_arrives(void **state) {
    Hub *hub = *state;
    hub_test_say(hub,
                 "{\"cmd\": \"fault\", \"where\": \"cdn\", \"path\": \"big\", \"do\": \"slow\", "
                 "\"after\": 200000, \"delay\": 0.02, \"count\": 99}");
    uint64_t before = 0;
    int kills = 0;
    while (before < 4000000 && kills < 50) {
        pid_t pid = fork();
        if (pid == 0)
            pull_in_child(hub, "org/big", false);
        usleep(150000);
        kill(pid, SIGKILL);
        int status;
        waitpid(pid, &status, 0);
        kills++;
        assert_true(WIFSIGNALED(status));
        assert_false(file_is_dir(hub_test_path(hub, "org--big", "main")));
        uint64_t now = staged_bytes(hub);
        assert_true(now >= before);
        before = now;
    }
    assert_true(kills > 2 && before >= 4000000);
    assert_int_equal(hub_test_pull(hub, "org/big"), STATUS_OK);
    assert_int_equal(hub_test_number(hub, "downloaded_bytes"), 6000000 - before);
}

// ---- Two at once ----

static bool note_waiting(void *ctx, const PullEvent *event) {
    bool *has_waited = ctx;
    *has_waited |= event->step == PULL_LOCK_WAIT;
    return true;
}

static void of_pulls_at_once_one_downloads_and_all_succeed(void **state) {
    Hub *hub = *state;
    enum { PULLS = 4 };
    pid_t pids[PULLS];
    hub_test_say(hub,
                 "{\"cmd\": \"fault\", \"where\": \"cdn\", \"path\": \"big\", \"do\": \"slow\", "
                 "\"after\": 1000000, \"delay\": 0.1}");
    for (int i = 0; i < PULLS; i++) {
        pids[i] = fork();
        if (pids[i] > 0)
            continue;
        bool has_waited = false;
        PullOptions options = {
            .model = "org/big", .progress = note_waiting, .progress_ctx = &has_waited};
        if (hub_test_pull_with(hub, NULL, options) != STATUS_OK)
            _exit(1);
        bool was_cached = strstr(hub->report.ptr, "\"cached\": true") != NULL;
        _exit(has_waited && was_cached ? 2 : !has_waited && !was_cached ? 3 : 4);
    }
    int waited = 0;
    int downloaded = 0;
    for (int i = 0; i < PULLS; i++) {
        int status;
        waitpid(pids[i], &status, 0);
        assert_true(WIFEXITED(status));
        waited += WEXITSTATUS(status) == 2;
        downloaded += WEXITSTATUS(status) == 3;
    }
    assert_int_equal(downloaded, 1);
    assert_int_equal(waited, PULLS - 1);
    assert_int_equal(hub_test_count(hub_test_say(hub, "{\"cmd\": \"log\"}"), "\"where\": \"cdn\""),
                     1);
}

// ---- Disks ----

#define CHECK(condition)                                                                           \
    do {                                                                                           \
        if (!(condition)) {                                                                        \
            fprintf(stderr, "line %d: %s; %s\n", __LINE__, #condition, hub->error.message);        \
            _exit(1);                                                                              \
        }                                                                                          \
    } while (0)

// Gives this process a file system of its own at the cache's place.
static void mount_cache(const Hub *hub, const char *options) {
    mkdir(hub->cache, 0777);
    bool is_own = unshare(CLONE_NEWNS) == 0 || unshare(CLONE_NEWUSER | CLONE_NEWNS) == 0;
    if (!is_own || mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) != 0 ||
        mount("none", hub->cache, "tmpfs", 0, options) != 0)
        _exit(77);
}

static void run_in_child(Hub *hub, void (*body)(Hub *hub)) {
    pid_t pid = fork();
    if (pid == 0) {
        body(hub);
        _exit(0);
    }
    int status;
    waitpid(pid, &status, 0);
    if (WIFEXITED(status) && WEXITSTATUS(status) == 77)
        skip(); // not allowed to mount here
    assert_true(WIFEXITED(status) && WEXITSTATUS(status) == 0);
}

static bool fill_the_disk(void *ctx, const PullEvent *event) {
    const Hub *hub = ctx;
    char path[160];
    snprintf(path, sizeof path, "%s/filler", hub->cache);
    if (event->step != PULL_BYTES || event->bytes < 1000000 || file_is_regular(path))
        return true;
    int fd = open(path, O_WRONLY | O_CREAT, 0666);
    static const char block[65536];
    while (write(fd, block, sizeof block) > 0) {
    }
    close(fd);
    return true;
}

static void pull_while_the_disk_fills(Hub *hub) {
    mount_cache(hub, "size=40m");
    PullOptions options = {.model = "org/big", .progress = fill_the_disk, .progress_ctx = hub};
    CHECK(hub_test_pull_with(hub, NULL, options) == STATUS_NO_SPACE);
    CHECK(hub->fault == REGISTRY_FAULT_LOCAL);
    CHECK(strstr(hub->error.message, "Not enough disk space: need "));
    CHECK(staged_bytes(hub) >= 1000000);
    char path[160];
    snprintf(path, sizeof path, "%s/filler", hub->cache);
    unlink(path);
    CHECK(hub_test_pull(hub, "org/big") == STATUS_OK);
    CHECK(hub_test_number(hub, "downloaded_bytes") < 5005200);
}

static void a_full_disk_keeps_staging_and_says_the_numbers(void **state) {
    Hub *hub = *state;
    hub_test_say(hub,
                 "{\"cmd\": \"fault\", \"where\": \"cdn\", \"path\": \"big\", \"do\": \"slow\", "
                 "\"after\": 500000, \"delay\": 0.15}");
    run_in_child(hub, pull_while_the_disk_fills);
}

static void pull_into_a_small_disk(Hub *hub) {
    mount_cache(hub, "size=5m");
    CHECK(hub_test_pull(hub, "org/big") == STATUS_NO_SPACE);
    CHECK(strstr(hub->error.message, "Not enough disk space: need 21.7 MB, have 5.0 MB"));
}

static void a_disk_that_is_too_small_is_noticed_first(void **state) {
    Hub *hub = *state;
    run_in_child(hub, pull_into_a_small_disk);
    assert_int_equal(hub_test_count(hub_test_say(hub, "{\"cmd\": \"log\"}"), "resolve"), 0);
}

static void pull_into_a_read_only_disk(Hub *hub) {
    mount_cache(hub, "size=40m");
    CHECK(hub_test_pull(hub, "org/tiny") == STATUS_OK);
    CHECK(mount(NULL, hub->cache, NULL, MS_REMOUNT | MS_RDONLY, NULL) == 0);
    CHECK(hub_test_pull(hub, "org/tiny") == STATUS_OK);
    CHECK(hub_test_number(hub, "cached") == 1);
    CHECK(hub_test_pull(hub, "bare") == STATUS_IO);
    CHECK(hub->fault == REGISTRY_FAULT_LOCAL);
    CHECK(strstr(hub->error.message, "The cache is read-only"));
    int hold = registry_hold(hub_test_path(hub, "org--tiny", "main"));
    CHECK(hold >= 0);
    Registry *registry = hub_test_open(hub, NULL);
    buf_clear(&hub->report);
    CHECK(registry_list(&hub->report, registry, NULL, &hub->error) == STATUS_OK);
    CHECK(strstr(hub->report.ptr, "org/tiny"));
    RemoveOptions all = {.all = true, .force = true};
    CHECK(registry_remove(&hub->report, &hub->fault, registry, &all, &hub->error) == STATUS_IO);
    CHECK(strstr(hub->error.message, "The cache is read-only"));
    registry_close(registry);
}

static void a_read_only_cache_serves_and_says_so_when_it_cannot(void **state) {
    run_in_child(*state, pull_into_a_read_only_disk);
}

// Makes this process see a file system whose rename knows no flags.
static void forbid_rename_flags(void) {
    struct sock_filter filter[] = {
        BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
        BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_renameat2, 0, 3),
        BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, args[4])),
        BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, 0, 1, 0),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | EINVAL),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
    };
    struct sock_fprog program = {.len = sizeof filter / sizeof *filter, .filter = filter};
    if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0 ||
        prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program) != 0)
        _exit(77);
}

static void update_without_rename_flags(Hub *hub) {
    forbid_rename_flags();
    CHECK(renameat2(AT_FDCWD, hub->root, AT_FDCWD, hub->root, RENAME_NOREPLACE) != 0 &&
          errno == EINVAL);
    CHECK(hub_test_pull(hub, "org/moves") == STATUS_OK);
    CHECK(whole_copy(hub) == 1);
    hub_test_say(hub, "{\"cmd\": \"move\", \"repo\": \"org/moves\"}");
    CHECK(hub_test_pull(hub, "org/moves") == STATUS_OK);
    CHECK(whole_copy(hub) == 2);
    char old[160];
    snprintf(old, sizeof old, "%s/.staging/.old-huggingface--org--moves--main", hub->cache);
    CHECK(!file_is_dir(old));
}

static void a_file_system_without_exchange_is_served_in_two_steps(void **state) {
    run_in_child(*state, update_without_rename_flags);
}

int main(void) {
#define TEST(name) cmocka_unit_test_setup(name, fresh)
    const struct CMUnitTest tests[] = {
        TEST(killed_before_any_change_an_update_leaves_the_old_copy_or_the_new),
        TEST(killed_before_any_change_a_first_pull_leaves_nothing_or_the_whole),
        TEST(killed_again_and_again_a_pull_still_arrives),
        TEST(of_pulls_at_once_one_downloads_and_all_succeed),
        TEST(a_file_system_without_exchange_is_served_in_two_steps),
        TEST(a_full_disk_keeps_staging_and_says_the_numbers),
        TEST(a_disk_that_is_too_small_is_noticed_first),
        TEST(a_read_only_cache_serves_and_says_so_when_it_cannot),
    };
    return cmocka_run_group_tests(tests, group_start, group_stop);
}
