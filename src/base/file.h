// Files: read-only mappings, whole reads, atomic writes, and paths.
#ifndef GPUX_BASE_FILE_H
#define GPUX_BASE_FILE_H

#include "base/status.h"
#include "base/str.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

typedef struct FileStat {
    uint64_t size;
    uint64_t inode;
    uint64_t device;
    int64_t mtime_ns;
    uint32_t links;
    bool is_regular;
    bool is_dir;
    bool is_symlink; // of the path itself; the other fields describe the target unless no_follow
} FileStat;

// False when the path or the target of a link is absent; is_symlink is filled even then.
bool file_stat(FileStat *out, const char *path);
bool file_is_regular(const char *path); // follows links
bool file_is_dir(const char *path);
// Bytes that this user may still write to the file system of `path`; false when it cannot be told.
bool file_free_space(uint64_t *out, const char *path);

// A read-only private mapping of a whole regular file. An empty file maps as data "" and size 0.
typedef struct FileMap {
    const uint8_t *data;
    size_t size;
    FileStat stat;
} FileMap;

// STATUS_INVALID for anything but a regular file.
Status file_map(FileMap *out, const char *path, Error *error);
void file_unmap(FileMap *map);
// Tells the system that these bytes were read for the last time; drops whole pages inside the range
// from this process's resident set. Reading them again is allowed and faults them in.
void file_map_drop(const FileMap *map, size_t offset, size_t len);
// Asks for read-ahead of the range.
void file_map_will_need(const FileMap *map, size_t offset, size_t len);

// Reads a whole file of at most max_bytes (STATUS_LIMIT otherwise) into `out`, an initialised Buf
// whose content and max it replaces; on error the Buf is freed. "-" is not special.
Status file_read(Buf *out, const char *path, size_t max_bytes, Error *error);
Status file_read_stdin(Buf *out, size_t max_bytes, Error *error);

// Writes to "<path>.tmp.<thread id>" beside it, fsyncs, renames over `path`; leaves nothing behind
// on error.
Status file_write_atomic(const char *path, const void *bytes, size_t len, Error *error);

Status file_make_dirs(const char *path, Error *error); // like mkdir -p
// Shares the blocks where the file system can; atomic, replaces dst, keeps the permissions of src.
Status file_copy_or_reflink(const char *dst, const char *src, Error *error);

// Names in a folder, sorted, without "." and "..". Free with file_list_free.
typedef struct FileList {
    char **names;
    size_t count;
} FileList;
Status file_list(FileList *out, const char *folder, Error *error);
void file_list_free(FileList *list);

// Paths; results are heap strings for mem_free, NULL when out of memory.
char *path_join(const char *folder, const char *name);      // an absolute name wins
char *path_dirname(const char *path);                       // "." when there is no slash
const char *path_basename(const char *path);                // borrowed
char *path_expand_home(const char *path, const char *home); // "~" and "~/x"
char *path_absolute(const char *path);                      // normalised without touching links
// True for a relative path with no "..", no empty component, no NUL and no leading slash.
bool path_is_inside(StrView relative);

#endif
