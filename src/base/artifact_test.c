// Tests of derived files: only a whole file made from the present sources for this very use counts.
#include "base/artifact.h"

#include "base/file.h"
#include "base/memory.h"

#include <fcntl.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

static const char PATH[] = "model/.gpux/a.pack", SIDE[] = "model/.gpux/a.pack.new";
static const char *const SOURCES[] = {"model/one.bin", "model/two.bin"};
static const ArtifactKey KEY = {
    .kind = "pack", .version = 3, .text = "avx512 fp32", .sources = SOURCES, .n_sources = 2};
enum { SIZE = 10000 };

static void put(const char *path, const char *text) {
    assert_int_equal(file_write_atomic(path, text, strlen(text), NULL), STATUS_OK);
}

static int enter_folder(void **state) {
    char folder[] = "/tmp/gpux_artifact_test_XXXXXX";
    if (!mkdtemp(folder) || chdir(folder) != 0 || mkdir("model", 0777) != 0)
        return -1;
    put(SOURCES[0], "first");
    put(SOURCES[1], "second");
    *state = mem_strdup(folder);
    return *state ? 0 : -1;
}

static int leave_folder(void **state) {
    char command[200];
    snprintf(command, sizeof command, "chmod -R u+w '%s'; rm -rf '%s'", (char *)*state,
             (char *)*state);
    mem_free(*state);
    return chdir("/tmp") == 0 && system(command) == 0 ? 0 : -1;
}

static uint8_t byte_of(size_t i, unsigned seed) {
    return (uint8_t)(i * 7 + seed);
}

static ArtifactDraft *begin_filled(unsigned seed) {
    ArtifactDraft *draft;
    Error error = {0};
    if (artifact_begin(&draft, PATH, &KEY, SIZE, &error) != STATUS_OK)
        fail_msg("%s", error.message);
    uint8_t *data = artifact_draft_data(draft);
    assert_int_equal((uintptr_t)data % ARTIFACT_PAGE, 0);
    for (size_t i = 0; i < SIZE; i++) {
        assert_int_equal(data[i], 0);
        data[i] = byte_of(i, seed);
    }
    artifact_draft_flush(draft, 0, SIZE);
    return draft;
}

static void publish(unsigned seed) {
    Error error = {0};
    if (artifact_publish(NULL, begin_filled(seed), &error) != STATUS_OK)
        fail_msg("%s", error.message);
}

static void assert_holds(const Artifact *artifact, unsigned seed) {
    assert_int_equal(artifact->size, SIZE);
    assert_int_equal((uintptr_t)artifact->data % ARTIFACT_PAGE, 0);
    for (size_t i = 0; i < SIZE; i++)
        assert_int_equal(artifact->data[i], byte_of(i, seed));
}

static void assert_fresh(unsigned seed) {
    Artifact artifact;
    Error error = {0};
    if (artifact_open(&artifact, PATH, &KEY, &error) != STATUS_OK)
        fail_msg("%s", error.message);
    assert_holds(&artifact, seed);
    artifact_close(&artifact);
    assert_null(artifact.map);
    artifact_close(&artifact);
}

static void assert_absent_for(const ArtifactKey *key, const char *why) {
    Artifact artifact;
    Error error = {0};
    assert_int_equal(artifact_open(&artifact, PATH, key, &error), STATUS_NOT_FOUND);
    if (!strstr(error.message, why))
        fail_msg("'%s' does not say '%s'", error.message, why);
    assert_null(artifact.map);
    assert_null(artifact.data);
}

static void assert_absent(const char *why) {
    assert_absent_for(&KEY, why);
}

static void count_removed(void *ctx, const char *name, uint64_t bytes) {
    size_t *count = ctx;
    (*count)++;
    assert_true(strncmp(name, "a.pack", 6) == 0 && bytes >= SIZE);
}

static size_t remove_all(void) {
    size_t count = 0;
    artifact_remove_all("model/.gpux", count_removed, &count);
    return count;
}

static void what_was_published_is_mapped_again(void **state) {
    (void)state;
    assert_absent("absent");
    Artifact artifact;
    ArtifactDraft *draft = begin_filled(1);
    const uint8_t *data = artifact_draft_data(draft);
    assert_int_equal(artifact_publish(&artifact, draft, NULL), STATUS_OK);
    assert_ptr_equal(artifact.data, data);
    assert_holds(&artifact, 1);
    assert_fresh(1);
    publish(2); // replaces the name, not the mapped bytes
    assert_holds(&artifact, 1);
    artifact_close(&artifact);
    assert_fresh(2);
    assert_false(file_is_regular(SIDE));
}

static void published_bytes_are_read_only(void **state) {
    (void)state;
    Artifact artifact;
    assert_int_equal(artifact_publish(&artifact, begin_filled(1), NULL), STATUS_OK);
    pid_t child = fork();
    if (child == 0) {
        signal(SIGSEGV, SIG_DFL);
        *(volatile uint8_t *)(uintptr_t)artifact.data = 1;
        _exit(0);
    }
    int how;
    assert_int_equal(waitpid(child, &how, 0), child);
    assert_false(WIFEXITED(how) && WEXITSTATUS(how) == 0);
    artifact_close(&artifact);
}

static void a_source_that_changed_in_any_way_makes_it_stale(void **state) {
    (void)state;
    publish(1);
    struct stat before;
    assert_int_equal(stat(SOURCES[0], &before), 0);
    // Another inode with the same size, time and content.
    put("model/other", "first");
    struct timespec times[2] = {before.st_atim, before.st_mtim};
    assert_int_equal(utimensat(AT_FDCWD, "model/other", times, 0), 0);
    assert_int_equal(rename(SOURCES[0], "model/kept"), 0);
    assert_int_equal(rename("model/other", SOURCES[0]), 0);
    assert_absent("other files");
    assert_int_equal(rename("model/kept", SOURCES[0]), 0);
    assert_fresh(1);
    // A nanosecond.
    times[1].tv_nsec ^= 1;
    assert_int_equal(utimensat(AT_FDCWD, SOURCES[0], times, 0), 0);
    assert_absent("other files");
    times[1].tv_nsec ^= 1;
    assert_int_equal(utimensat(AT_FDCWD, SOURCES[0], times, 0), 0);
    assert_fresh(1);
    // A byte more at the same time.
    int fd = open(SOURCES[0], O_WRONLY | O_APPEND | O_CLOEXEC);
    assert_int_equal(write(fd, "x", 1), 1);
    close(fd);
    assert_int_equal(utimensat(AT_FDCWD, SOURCES[0], times, 0), 0);
    assert_absent("other files");
    assert_int_equal(unlink(SOURCES[0]), 0);
    assert_absent("source is not a file");
}

static void another_key_finds_nothing(void **state) {
    (void)state;
    publish(1);
    ArtifactKey key = KEY;
    key.kind = "packs";
    assert_absent_for(&key, "another use");
    key = KEY;
    key.version++;
    assert_absent_for(&key, "another use");
    key = KEY;
    key.text = "avx512 bf16";
    assert_absent_for(&key, "another use");
    key.text = NULL;
    assert_absent_for(&key, "another use");
    key = KEY;
    key.n_sources = 1;
    assert_absent_for(&key, "another use");
    static const char *const reversed[] = {"model/two.bin", "model/one.bin"};
    key = KEY;
    key.sources = reversed;
    assert_absent_for(&key, "another use");
    assert_fresh(1);
}

static void a_key_that_is_too_long_is_refused(void **state) {
    (void)state;
    char text[ARTIFACT_MAX_TEXT + 2];
    memset(text, 'a', sizeof text);
    text[sizeof text - 1] = '\0';
    ArtifactKey key = KEY;
    key.text = text;
    ArtifactDraft *draft;
    assert_int_equal(artifact_begin(&draft, PATH, &key, SIZE, NULL), STATUS_LIMIT);
    key = KEY;
    key.kind = "sixteen letters.";
    assert_int_equal(artifact_begin(&draft, PATH, &key, SIZE, NULL), STATUS_LIMIT);
    assert_false(file_is_dir("model/.gpux"));
}

static void a_file_cut_at_any_length_is_absent(void **state) {
    (void)state;
    publish(1);
    FileStat whole;
    assert_true(file_stat(&whole, PATH));
    for (off_t len = (off_t)whole.size - 1; len >= 0; len -= len > 4200 ? 97 : 1) {
        assert_int_equal(truncate(PATH, len), 0);
        assert_absent("");
    }
    publish(1);
    assert_int_equal(truncate(PATH, (off_t)whole.size + 1), 0);
    assert_absent("cut");
    // The right length again, but the end is zeros.
    assert_int_equal(truncate(PATH, (off_t)whole.size - 8), 0);
    assert_int_equal(truncate(PATH, (off_t)whole.size), 0);
    assert_absent("no footer");
}

static void a_flipped_byte_of_header_or_footer_makes_it_absent(void **state) {
    (void)state;
    publish(1);
    FileStat whole;
    assert_true(file_stat(&whole, PATH));
    int fd = open(PATH, O_RDWR | O_CLOEXEC);
    for (off_t i = 0; i < (off_t)whole.size; i += i == ARTIFACT_PAGE - 1 ? SIZE + 1 : 1) {
        off_t at = i < ARTIFACT_PAGE ? i : (off_t)whole.size - 16 + (i - ARTIFACT_PAGE - SIZE);
        if (at >= (off_t)whole.size)
            break;
        uint8_t byte;
        assert_int_equal(pread(fd, &byte, 1, at), 1);
        byte ^= 0x40;
        assert_int_equal(pwrite(fd, &byte, 1, at), 1);
        assert_absent("");
        byte ^= 0x40;
        assert_int_equal(pwrite(fd, &byte, 1, at), 1);
    }
    close(fd);
    assert_fresh(1);
}

static void what_is_no_file_is_absent_and_does_not_block(void **state) {
    (void)state;
    assert_int_equal(mkdir("model/.gpux", 0777), 0);
    assert_int_equal(mkfifo(PATH, 0666), 0);
    assert_absent("");
    assert_int_equal(unlink(PATH), 0);
    assert_int_equal(mkdir(PATH, 0777), 0);
    assert_absent("not a file");
}

static void a_discarded_draft_leaves_no_trace(void **state) {
    (void)state;
    artifact_discard(begin_filled(1));
    assert_false(file_is_dir("model/.gpux"));
    artifact_discard(NULL);
    publish(1);
    artifact_discard(begin_filled(2));
    assert_fresh(1);
    assert_false(file_is_regular(SIDE));
}

static void the_second_of_two_writers_goes_on_without(void **state) {
    (void)state;
    ArtifactDraft *first = begin_filled(1), *second;
    Error error;
    assert_int_equal(artifact_begin(&second, PATH, &KEY, SIZE, &error), STATUS_IO);
    assert_non_null(strstr(error.message, "another process"));
    assert_int_equal(remove_all(), 0);
    assert_int_equal(artifact_publish(NULL, first, NULL), STATUS_OK);
    assert_fresh(1);
}

static void many_writers_at_once_leave_one_whole_file(void **state) {
    (void)state;
    enum { WRITERS = 8, TIMES = 50 };
    pid_t children[WRITERS];
    for (unsigned w = 0; w < WRITERS; w++) {
        children[w] = fork();
        if (children[w] != 0)
            continue;
        for (int i = 0; i < TIMES; i++) {
            ArtifactDraft *draft;
            Artifact artifact;
            if (artifact_begin(&draft, PATH, &KEY, SIZE, NULL) == STATUS_OK) {
                for (size_t b = 0; b < SIZE; b++)
                    artifact_draft_data(draft)[b] = byte_of(b, w);
                if (artifact_publish(NULL, draft, NULL) != STATUS_OK)
                    _exit(1);
            }
            if (artifact_open(&artifact, PATH, &KEY, NULL) != STATUS_OK)
                continue; // nobody has finished the first
            for (size_t b = 0; b < SIZE; b++)
                if (artifact.data[b] != byte_of(b, artifact.data[0]))
                    _exit(2);
            artifact_close(&artifact);
        }
        _exit(0);
    }
    for (int w = 0; w < WRITERS; w++) {
        int how;
        assert_int_equal(waitpid(children[w], &how, 0), children[w]);
        assert_int_equal(how, 0);
    }
    Artifact artifact;
    assert_int_equal(artifact_open(&artifact, PATH, &KEY, NULL), STATUS_OK);
    assert_holds(&artifact, artifact.data[0]);
    artifact_close(&artifact);
    assert_false(file_is_regular(SIDE));
}

static void kill_a_writer(void) {
    pid_t child = fork();
    if (child == 0) {
        begin_filled(9);
        raise(SIGKILL);
    }
    int how;
    assert_int_equal(waitpid(child, &how, 0), child);
    assert_true(WIFSIGNALED(how));
    assert_true(file_is_regular(SIDE));
}

static void a_killed_writer_leaves_a_side_file_that_goes_away(void **state) {
    (void)state;
    kill_a_writer();
    assert_absent("absent");
    publish(1); // takes it over, zeroed
    assert_fresh(1);
    assert_false(file_is_regular(SIDE));
    kill_a_writer();
    assert_int_equal(remove_all(), 2); // and the whole one
    assert_false(file_is_dir("model/.gpux"));
    assert_int_equal(remove_all(), 0);
}

static void a_side_file_that_is_a_link_is_not_followed(void **state) {
    (void)state;
    assert_int_equal(mkdir("model/.gpux", 0777), 0);
    assert_int_equal(symlink("../one.bin", SIDE), 0);
    ArtifactDraft *draft;
    assert_int_not_equal(artifact_begin(&draft, PATH, &KEY, SIZE, NULL), STATUS_OK);
    assert_int_equal(remove_all(), 0);
    FileStat stat;
    assert_true(file_stat(&stat, SOURCES[0]));
    assert_int_equal(stat.size, 5);
}

static void only_artefacts_are_removed(void **state) {
    (void)state;
    publish(1);
    put("model/.gpux/model_info.json", "{}");
    assert_int_equal(symlink("model/.gpux", "link"), 0);
    artifact_remove_all("link", NULL, NULL);
    artifact_remove_all("absent", NULL, NULL);
    assert_fresh(1);
    assert_int_equal(remove_all(), 1);
    assert_false(file_is_regular(PATH));
    assert_true(file_is_regular("model/.gpux/model_info.json"));
}

static void sources_may_be_known_as_they_were_read(void **state) {
    (void)state;
    FileStat stats[2];
    assert_true(file_stat(&stats[0], SOURCES[0]) && file_stat(&stats[1], SOURCES[1]));
    ArtifactKey key = KEY;
    key.stats = stats;
    // Replaced after it was read: what was made of it is stale at once, and stays so.
    put(SOURCES[0], "other");
    ArtifactDraft *draft;
    assert_int_equal(artifact_begin(&draft, PATH, &key, SIZE, NULL), STATUS_OK);
    assert_int_equal(artifact_publish(NULL, draft, NULL), STATUS_OK);
    assert_absent("other files");
    Artifact artifact;
    assert_int_equal(artifact_open(&artifact, PATH, &key, NULL), STATUS_OK);
    artifact_close(&artifact);
}

// Root may write anywhere, so the folder's mode says nothing; a file in its place does.
static void a_folder_that_cannot_be_written_fails_cleanly(void **state) {
    (void)state;
    ArtifactDraft *draft;
    Error error;
    put("model/.gpux", "a file");
    assert_int_not_equal(artifact_begin(&draft, PATH, &KEY, SIZE, &error), STATUS_OK);
    assert_null(draft);
    assert_absent("unreadable");
    assert_int_equal(artifact_begin(&draft, "no/such/.gpux/a.pack", &KEY, SIZE, &error),
                     STATUS_NOT_FOUND);
    if (geteuid() == 0)
        return;
    assert_int_equal(unlink("model/.gpux"), 0);
    publish(1);
    assert_int_equal(chmod("model/.gpux", 0555), 0);
    assert_int_equal(artifact_begin(&draft, PATH, &KEY, SIZE, &error), STATUS_IO);
    assert_fresh(1);
}

static void a_limit_on_file_sizes_raises_no_signal(void **state) {
    (void)state;
    struct rlimit before, tiny;
    getrlimit(RLIMIT_FSIZE, &before);
    tiny = before;
    tiny.rlim_cur = SIZE;
    setrlimit(RLIMIT_FSIZE, &tiny);
    ArtifactDraft *draft;
    Status status = artifact_begin(&draft, PATH, &KEY, SIZE, NULL);
    setrlimit(RLIMIT_FSIZE, &before);
    assert_int_equal(status, STATUS_IO);
    assert_false(file_is_dir("model/.gpux"));
}

static void a_full_disk_is_noticed_before_anything_is_written(void **state) {
    (void)state;
    assert_int_equal(mkdir("small", 0777), 0);
    if (mount("none", "small", "tmpfs", 0, "size=64k") != 0)
        skip(); // needs root
    ArtifactDraft *draft;
    Status status = artifact_begin(&draft, "small/.gpux/a.pack", &KEY, 1 << 20, NULL);
    bool left = file_is_dir("small/.gpux");
    Status fits = artifact_begin(&draft, "small/.gpux/a.pack", &KEY, SIZE, NULL);
    if (fits == STATUS_OK)
        fits = artifact_publish(NULL, draft, NULL);
    umount("small");
    assert_int_equal(status, STATUS_NO_SPACE);
    assert_false(left);
    assert_int_equal(fits, STATUS_OK);
}

static void sizes_that_overflow_are_refused(void **state) {
    (void)state;
    ArtifactDraft *draft;
    assert_int_not_equal(artifact_begin(&draft, PATH, &KEY, SIZE_MAX, NULL), STATUS_OK);
    assert_int_not_equal(artifact_begin(&draft, PATH, &KEY, SIZE_MAX - 8192, NULL), STATUS_OK);
    assert_false(file_is_dir("model/.gpux"));
}

static void running_out_of_memory_leaves_nothing(void **state) {
    (void)state;
    bool began = false;
    for (size_t n = 1; !began; n++) {
        ArtifactDraft *draft;
        mem_fail_after(n);
        Status status = artifact_begin(&draft, PATH, &KEY, SIZE, NULL);
        mem_fail_after(0);
        began = status == STATUS_OK;
        if (began)
            artifact_discard(draft);
        else
            assert_int_equal(status, STATUS_OUT_OF_MEMORY);
        assert_false(file_is_dir("model/.gpux"));
        assert_true(n < 50);
    }
    publish(1);
    bool opened = false;
    for (size_t n = 1; !opened; n++) {
        Artifact artifact;
        mem_fail_after(n);
        Status status = artifact_open(&artifact, PATH, &KEY, NULL);
        mem_fail_after(0);
        opened = status == STATUS_OK;
        if (!opened)
            assert_int_equal(status, STATUS_OUT_OF_MEMORY);
        artifact_close(&artifact);
        assert_true(n < 50);
    }
}

#define IN_FOLDER(test) cmocka_unit_test_setup_teardown(test, enter_folder, leave_folder)

int main(void) {
    const struct CMUnitTest tests[] = {
        IN_FOLDER(what_was_published_is_mapped_again),
        IN_FOLDER(published_bytes_are_read_only),
        IN_FOLDER(a_source_that_changed_in_any_way_makes_it_stale),
        IN_FOLDER(another_key_finds_nothing),
        IN_FOLDER(a_key_that_is_too_long_is_refused),
        IN_FOLDER(a_file_cut_at_any_length_is_absent),
        IN_FOLDER(a_flipped_byte_of_header_or_footer_makes_it_absent),
        IN_FOLDER(what_is_no_file_is_absent_and_does_not_block),
        IN_FOLDER(a_discarded_draft_leaves_no_trace),
        IN_FOLDER(the_second_of_two_writers_goes_on_without),
        IN_FOLDER(many_writers_at_once_leave_one_whole_file),
        IN_FOLDER(a_killed_writer_leaves_a_side_file_that_goes_away),
        IN_FOLDER(a_side_file_that_is_a_link_is_not_followed),
        IN_FOLDER(only_artefacts_are_removed),
        IN_FOLDER(sources_may_be_known_as_they_were_read),
        IN_FOLDER(a_folder_that_cannot_be_written_fails_cleanly),
        IN_FOLDER(a_limit_on_file_sizes_raises_no_signal),
        IN_FOLDER(a_full_disk_is_noticed_before_anything_is_written),
        IN_FOLDER(sizes_that_overflow_are_refused),
        IN_FOLDER(running_out_of_memory_leaves_nothing),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
