// For tests: folders copied and removed whole.
#ifndef GPUX_TEST_FOLDER_H
#define GPUX_TEST_FOLDER_H

#include "base/file.h"
#include "base/memory.h"

#include <ftw.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>

#include <cmocka.h>

static inline void copy_folder(const char *from, const char *to) {
    FileList list;
    assert_int_equal(file_make_dirs(to, NULL), STATUS_OK);
    assert_int_equal(file_list(&list, from, NULL), STATUS_OK);
    for (size_t i = 0; i < list.count; i++) {
        char *source = path_join(from, list.names[i]), *target = path_join(to, list.names[i]);
        if (file_is_dir(source))
            copy_folder(source, target);
        else
            assert_int_equal(file_copy_or_reflink(target, source, NULL), STATUS_OK);
        mem_free(source);
        mem_free(target);
    }
    file_list_free(&list);
}

static inline int remove_entry(const char *path, const struct stat *st, int flag, struct FTW *ftw) {
    (void)st, (void)flag, (void)ftw;
    return remove(path);
}

static inline void remove_folder(const char *folder) {
    nftw(folder, remove_entry, 8, FTW_DEPTH | FTW_PHYS);
}

#endif
