// Runs a fuzz target over every file of a folder, without a fuzzer: each crash that was found stays
// found. usage: NAME_replay CORPUS_FOLDER
#include "base/file.h"
#include "base/memory.h"

#include <stdio.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum { MAX_CORPUS_BYTES = 1 << 24 };

int main(int argc, char **argv) {
    FileList list;
    Error error;
    if (argc != 2 || file_list(&list, argv[1], &error) != STATUS_OK) {
        fprintf(stderr, "usage: %s CORPUS_FOLDER\n", argv[0]);
        return 2;
    }
    for (size_t i = 0; i < list.count; i++) {
        Buf buf = {0};
        char *path = path_join(argv[1], list.names[i]);
        if (!path || file_read(&buf, path, MAX_CORPUS_BYTES, &error) != STATUS_OK) {
            fprintf(stderr, "%s: %s\n", list.names[i], path ? error.message : "out of memory");
            return 1;
        }
        LLVMFuzzerTestOneInput((const uint8_t *)buf.ptr, buf.len);
        buf_free(&buf);
        mem_free(path);
    }
    size_t count = list.count;
    file_list_free(&list);
    printf("%zu inputs replayed\n", count);
    return count > 0 ? 0 : 1;
}
