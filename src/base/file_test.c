// Tests of mappings, reads, atomic writes, folders and paths, in a temporary folder.
#include "base/file.h"

#include "base/memory.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

static int enter_folder(void **state) {
    char folder[] = "/tmp/gpux_file_test_XXXXXX";
    if (!mkdtemp(folder) || chdir(folder) != 0)
        return -1;
    *state = mem_strdup(folder);
    return *state ? 0 : -1;
}

static int leave_folder(void **state) {
    char command[200];
    snprintf(command, sizeof command, "rm -rf '%s'", (char *)*state);
    mem_free(*state);
    return chdir("/tmp") == 0 && system(command) == 0 ? 0 : -1;
}

static void put(const char *path, const char *text) {
    Error error;
    assert_int_equal(file_write_atomic(path, text, strlen(text), &error), STATUS_OK);
}

static void assert_content(const char *path, const char *text) {
    Buf buf = {0};
    assert_int_equal(file_read(&buf, path, 1 << 20, NULL), STATUS_OK);
    assert_string_equal(buf.ptr, text);
    assert_int_equal(buf.len, strlen(text));
    buf_free(&buf);
}

static size_t entries(void) {
    FileList list;
    assert_int_equal(file_list(&list, ".", NULL), STATUS_OK);
    size_t count = list.count;
    file_list_free(&list);
    return count;
}

static void writes_replace_and_leave_no_temporary(void **state) {
    (void)state;
    put("a.txt", "one");
    put("a.txt", "second");
    assert_content("a.txt", "second");
    assert_int_equal(entries(), 1);
}

static void failed_writes_leave_nothing_and_keep_the_old_file(void **state) {
    (void)state;
    Error error;
    assert_int_equal(file_write_atomic("no/such/x", "a", 1, &error), STATUS_NOT_FOUND);
    assert_int_equal(mkdir("folder", 0777), 0);
    assert_int_equal(file_write_atomic("folder", "a", 1, &error), STATUS_IO);
    put("old", "old");
    struct rlimit before;
    struct rlimit tiny;
    getrlimit(RLIMIT_FSIZE, &before);
    tiny = before;
    tiny.rlim_cur = 10;
    signal(SIGXFSZ, SIG_IGN);
    setrlimit(RLIMIT_FSIZE, &tiny);
    Status write_status = file_write_atomic("old", "more than ten bytes", 19, &error);
    setrlimit(RLIMIT_FSIZE, &before);
    assert_int_equal(write_status, STATUS_IO);
    assert_content("old", "old");
    assert_int_equal(entries(), 2);
    mem_fail_after(1);
    Status memory_status = file_write_atomic("old", "new", 3, &error);
    mem_fail_after(0);
    assert_int_equal(memory_status, STATUS_OUT_OF_MEMORY);
    assert_content("old", "old");
}

static void a_full_disk_is_no_space(void **state) {
    (void)state;
    Error error;
    if (access("/dev/full", W_OK) != 0)
        skip();
    // The kernel's ENOSPC for /dev/full, seen through the same mapping of errno.
    int fd = open("/dev/full", O_WRONLY | O_CLOEXEC);
    assert_true(fd >= 0);
    assert_int_equal(write(fd, "x", 1), -1);
    assert_int_equal(error_errno(&error, errno, "cannot write", "f"), STATUS_NO_SPACE);
    close(fd);
}

static void reads_respect_their_limit(void **state) {
    (void)state;
    put("five", "12345");
    Buf buf = {0};
    Error error;
    assert_int_equal(file_read(&buf, "five", 5, &error), STATUS_OK);
    assert_string_equal(buf.ptr, "12345");
    assert_int_equal(file_read(&buf, "five", 4, &error), STATUS_LIMIT);
    assert_null(buf.ptr);
    assert_int_equal(file_read(&buf, "absent", 4, &error), STATUS_NOT_FOUND);
    assert_int_equal(file_read(&buf, "/proc/self/maps", 10, &error), STATUS_LIMIT);
    assert_int_equal(file_read(&buf, "/proc/self/maps", 1 << 20, &error), STATUS_OK);
    assert_true(buf.len > 100);
    buf_free(&buf);
    put("empty", "");
    assert_int_equal(file_read(&buf, "empty", 0, &error), STATUS_OK);
    assert_string_equal(buf.ptr, "");
    buf_free(&buf);
    assert_int_equal(file_read(&buf, ".", 100, &error), STATUS_IO);
}

static void reads_take_no_more_memory_than_the_file(void **state) {
    (void)state;
    char *text = mem_alloc_zero(1, 1000000);
    assert_non_null(text);
    assert_int_equal(file_write_atomic("big", text, 1000000, NULL), STATUS_OK);
    mem_free(text);
    Buf buf = {0};
    assert_int_equal(file_read(&buf, "big", SIZE_MAX, NULL), STATUS_OK);
    assert_int_equal(buf.len, 1000000);
    assert_true(buf.cap < 1000100);
    buf_free(&buf);
}

static void standard_input_is_read_to_its_end(void **state) {
    (void)state;
    int ends[2];
    assert_int_equal(pipe(ends), 0);
    assert_int_equal(write(ends[1], "piped text", 10), 10);
    close(ends[1]);
    int saved = dup(STDIN_FILENO);
    dup2(ends[0], STDIN_FILENO);
    close(ends[0]);
    Buf buf = {0};
    Status status = file_read_stdin(&buf, 100, NULL);
    dup2(saved, STDIN_FILENO);
    close(saved);
    assert_int_equal(status, STATUS_OK);
    assert_string_equal(buf.ptr, "piped text");
    buf_free(&buf);
}

static void mappings_show_the_file_and_survive_advice(void **state) {
    (void)state;
    size_t size = 5 * 4096 + 123;
    char *text = mem_alloc(size);
    assert_non_null(text);
    for (size_t i = 0; i < size; i++)
        text[i] = (char)(i * 7);
    assert_int_equal(file_write_atomic("map", text, size, NULL), STATUS_OK);
    FileMap map;
    assert_int_equal(file_map(&map, "map", NULL), STATUS_OK);
    assert_int_equal(map.size, size);
    assert_int_equal(map.stat.size, size);
    file_map_will_need(&map, 100, 9000);
    file_map_drop(&map, 0, 10);
    file_map_drop(&map, 1, SIZE_MAX);
    file_map_drop(&map, size, 1);
    file_map_drop(&map, 4000, 9000);
    assert_memory_equal(map.data, text, size);
    file_unmap(&map);
    assert_int_equal(map.size, 0);
    file_unmap(&map);
    mem_free(text);
}

static void empty_files_map_and_others_are_refused(void **state) {
    (void)state;
    put("empty", "");
    FileMap map;
    Error error;
    assert_int_equal(file_map(&map, "empty", &error), STATUS_OK);
    assert_int_equal(map.size, 0);
    assert_non_null(map.data);
    file_map_drop(&map, 0, 10);
    file_unmap(&map);
    assert_int_equal(file_map(&map, ".", &error), STATUS_INVALID);
    assert_int_equal(file_map(&map, "absent", &error), STATUS_NOT_FOUND);
    assert_string_equal(error.message, "cannot open: No such file or directory: 'absent'");
    assert_int_equal(mkfifo("fifo", 0666), 0);
    assert_int_equal(file_map(&map, "fifo", &error), STATUS_INVALID);
    file_unmap(&map);
}

static void stat_tells_links_from_their_targets(void **state) {
    (void)state;
    put("target", "abc");
    assert_int_equal(symlink("target", "link"), 0);
    assert_int_equal(symlink("nowhere", "dangling"), 0);
    FileStat target;
    FileStat link;
    assert_true(file_stat(&target, "target"));
    assert_true(file_stat(&link, "link"));
    assert_true(link.is_symlink && link.is_regular && !target.is_symlink);
    assert_int_equal(link.size, 3);
    assert_true(link.inode == target.inode && link.mtime_ns == target.mtime_ns);
    assert_true(target.mtime_ns > INT64_C(1500000000000000000));
    assert_false(file_stat(&link, "dangling"));
    assert_true(link.is_symlink);
    assert_false(file_is_regular("dangling"));
    assert_true(file_is_regular("link"));
    assert_true(file_is_dir("."));
    assert_false(file_is_dir("target"));
}

static void folders_are_made_with_their_parents(void **state) {
    (void)state;
    Error error;
    assert_int_equal(file_make_dirs("a/b//c/", &error), STATUS_OK);
    assert_true(file_is_dir("a/b/c"));
    assert_int_equal(file_make_dirs("a/b/c", &error), STATUS_OK);
    assert_int_equal(file_make_dirs("/", &error), STATUS_OK);
    put("a/file", "x");
    assert_int_equal(file_make_dirs("a/file/d", &error), STATUS_IO);
    assert_non_null(strstr(error.message, "'a/file'"));
}

static void copies_equal_their_source(void **state) {
    (void)state;
    size_t size = 300000;
    char *text = mem_alloc_zero(1, size);
    assert_non_null(text);
    for (size_t i = 0; i < size; i++)
        text[i] = (char)(i * i >> 3);
    assert_int_equal(file_write_atomic("src", text, size, NULL), STATUS_OK);
    put("dst", "old");
    Error error;
    assert_int_equal(file_copy_or_reflink("dst", "src", &error), STATUS_OK);
    FileMap map;
    assert_int_equal(file_map(&map, "dst", NULL), STATUS_OK);
    assert_int_equal(map.size, size);
    assert_memory_equal(map.data, text, size);
    file_unmap(&map);
    mem_free(text);
    put("empty", "");
    assert_int_equal(file_copy_or_reflink("dst", "empty", &error), STATUS_OK);
    assert_content("dst", "");
    assert_int_equal(file_copy_or_reflink("dst", "absent", &error), STATUS_NOT_FOUND);
    assert_int_equal(file_copy_or_reflink("dst", ".", &error), STATUS_INVALID);
    assert_int_equal(file_copy_or_reflink("no/dst", "src", &error), STATUS_NOT_FOUND);
    assert_int_equal(entries(), 3);
}

static void names_are_listed_in_order(void **state) {
    (void)state;
    static const char *const names[] = {"b", "a", "c.txt", ".hidden"};
    for (size_t i = 0; i < 4; i++)
        put(names[i], "");
    FileList list;
    assert_int_equal(file_list(&list, ".", NULL), STATUS_OK);
    assert_int_equal(list.count, 4);
    static const char *const sorted[] = {".hidden", "a", "b", "c.txt"};
    for (size_t i = 0; i < 4; i++)
        assert_string_equal(list.names[i], sorted[i]);
    file_list_free(&list);
    assert_int_equal(file_list(&list, "absent", NULL), STATUS_NOT_FOUND);
    for (size_t n = 1; n <= 5; n++) {
        mem_fail_after(n);
        Status status = file_list(&list, ".", NULL);
        mem_fail_after(0);
        assert_int_equal(status, STATUS_OUT_OF_MEMORY);
        assert_int_equal(list.count, 0);
    }
}

static void assert_path(char *path, const char *expected) {
    assert_non_null(path);
    assert_string_equal(path, expected);
    mem_free(path);
}

static void paths_are_joined_and_split(void **state) {
    (void)state;
    assert_path(path_join("a", "b"), "a/b");
    assert_path(path_join("a/", "b"), "a/b");
    assert_path(path_join("a", "/b"), "/b");
    assert_path(path_join("", "b"), "b");
    assert_path(path_join("a", ""), "a");
    assert_path(path_dirname("a/b/c"), "a/b");
    assert_path(path_dirname("a//c"), "a");
    assert_path(path_dirname("a/b/"), "a");
    assert_path(path_dirname("/a"), "/");
    assert_path(path_dirname("/"), "/");
    assert_path(path_dirname("a"), ".");
    assert_string_equal(path_basename("/x/y.txt"), "y.txt");
    assert_string_equal(path_basename("y"), "y");
}

static void home_and_relative_paths_are_expanded(void **state) {
    assert_path(path_expand_home("~", "/home/u"), "/home/u");
    assert_path(path_expand_home("~/x", "/home/u"), "/home/u/x");
    assert_path(path_expand_home("~//x", "/"), "/x");
    assert_path(path_expand_home("~other/x", "/home/u"), "~other/x");
    assert_path(path_expand_home("~/x", NULL), "~/x");
    assert_path(path_absolute("/a/./b//../c/"), "/a/c");
    assert_path(path_absolute("/../.."), "/");
    assert_path(path_absolute("/"), "/");
    char expected[200];
    snprintf(expected, sizeof expected, "%s/x", (char *)*state);
    assert_path(path_absolute("y/../x"), expected);
}

static void only_plain_relative_paths_are_inside(void **state) {
    (void)state;
    assert_true(path_is_inside(SV("a")));
    assert_true(path_is_inside(SV("a/b..c/...")));
    static const char *const bad[] = {"", "/", "/a", "..", "a/..", "../a", "a/../b", "a//b", "a/"};
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++)
        assert_false(path_is_inside(sv(bad[i])));
    assert_false(path_is_inside(SV("a\0b")));
}

#define IN_FOLDER(test) cmocka_unit_test_setup_teardown(test, enter_folder, leave_folder)

int main(void) {
    const struct CMUnitTest tests[] = {
        IN_FOLDER(writes_replace_and_leave_no_temporary),
        IN_FOLDER(failed_writes_leave_nothing_and_keep_the_old_file),
        IN_FOLDER(a_full_disk_is_no_space),
        IN_FOLDER(reads_respect_their_limit),
        IN_FOLDER(reads_take_no_more_memory_than_the_file),
        IN_FOLDER(standard_input_is_read_to_its_end),
        IN_FOLDER(mappings_show_the_file_and_survive_advice),
        IN_FOLDER(empty_files_map_and_others_are_refused),
        IN_FOLDER(stat_tells_links_from_their_targets),
        IN_FOLDER(folders_are_made_with_their_parents),
        IN_FOLDER(copies_equal_their_source),
        IN_FOLDER(names_are_listed_in_order),
        IN_FOLDER(paths_are_joined_and_split),
        IN_FOLDER(home_and_relative_paths_are_expanded),
        IN_FOLDER(only_plain_relative_paths_are_inside),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
