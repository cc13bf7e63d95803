// Folders for the tests of store/: made in /tmp, compared as text, and removed whole.
//
// Runs in the repository's root, where test/golden/models is.
#ifndef GPUX_STORE_TEST_H
#define GPUX_STORE_TEST_H

#include "store/private.h"

#include "base/file.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#define GOLDEN "test/golden/models/"

enum { TEST_PATH = 512, TEST_TEXT = 1 << 24 };

static inline void make_temp(char out[TEST_PATH]) {
    snprintf(out, TEST_PATH, "/tmp/gpux-store-XXXXXX");
    assert_non_null(mkdtemp(out));
    assert_int_equal(chmod(out, 0755), 0);
}

static inline const char *at(char out[TEST_PATH], const char *folder, const char *name) {
    int len = snprintf(out, TEST_PATH, "%s/%s", folder, name);
    assert_true(len > 0 && len < TEST_PATH);
    return out;
}

static inline void remove_tree(const char *folder) {
    FileList names;
    assert_int_equal(file_list(&names, folder, NULL), STATUS_OK);
    for (size_t i = 0; i < names.count; i++) {
        char path[TEST_PATH];
        FileStat stat;
        at(path, folder, names.names[i]);
        file_stat(&stat, path);
        if (stat.is_dir && !stat.is_symlink)
            remove_tree(path);
        else
            unlink(path);
    }
    file_list_free(&names);
    rmdir(folder);
}

static inline void write_text(const char *folder, const char *name, const char *text) {
    char path[TEST_PATH], parent[TEST_PATH];
    at(path, folder, name);
    snprintf(parent, sizeof parent, "%s", path);
    *strrchr(parent, '/') = '\0';
    assert_int_equal(file_make_dirs(parent, NULL), STATUS_OK);
    assert_int_equal(file_write_atomic(path, text, strlen(text), NULL), STATUS_OK);
}

static inline char *read_text(const char *folder, const char *name) {
    char path[TEST_PATH];
    Buf text = BUF_INIT(0);
    assert_int_equal(file_read(&text, at(path, folder, name), TEST_TEXT, NULL), STATUS_OK);
    return text.ptr;
}

// Plain copies that anyone may read.
static inline void copy_folder(const char *to, const char *from) {
    FileList names;
    assert_int_equal(file_make_dirs(to, NULL), STATUS_OK);
    assert_int_equal(file_list(&names, from, NULL), STATUS_OK);
    for (size_t i = 0; i < names.count; i++) {
        char a[TEST_PATH], b[TEST_PATH];
        assert_int_equal(
            file_copy_or_reflink(at(a, to, names.names[i]), at(b, from, names.names[i]), NULL),
            STATUS_OK);
        assert_int_equal(chmod(a, 0644), 0);
    }
    file_list_free(&names);
}

// Every path below `folder` with its inode, size and a sum of its bytes: equal text, equal folder.
static inline void append_tree(Buf *out, const char *folder) {
    FileList names;
    assert_int_equal(file_list(&names, folder, NULL), STATUS_OK);
    for (size_t i = 0; i < names.count; i++) {
        char path[TEST_PATH];
        FileStat stat;
        FileMap map;
        at(path, folder, names.names[i]);
        file_stat(&stat, path);
        buf_printf(out, "%s %llu %llu\n", path, (unsigned long long)stat.inode,
                   (unsigned long long)stat.size * !stat.is_dir);
        if (stat.is_dir && !stat.is_symlink) {
            append_tree(out, path);
        } else if (stat.is_regular) {
            uint64_t sum = 5381;
            assert_int_equal(file_map(&map, path, NULL), STATUS_OK);
            for (size_t j = 0; j < map.size; j++)
                sum = sum * 33 + map.data[j];
            file_unmap(&map);
            buf_printf(out, "= %llx\n", (unsigned long long)sum);
        }
    }
    file_list_free(&names);
}

static inline char *tree_text(const char *folder) {
    Buf text = BUF_INIT(TEST_TEXT);
    buf_append_cstr(&text, "");
    append_tree(&text, folder);
    assert_int_equal(text.failed, STATUS_OK);
    return text.ptr ? text.ptr : mem_strdup("");
}

#endif
