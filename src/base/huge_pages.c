// Mapped files in huge pages, by a copy that takes the mapping's place.
#include "base/huge_pages.h"

#include "base/file.h"

#include <assert.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>

enum { MAX_SMAPS = 16 << 20 };

// "Rss:   334660 kB" of the entry [entry, end) of smaps; 0 when it is not there.
static size_t field(const char *entry, const char *end, const char *name) {
    const char *at = strstr(entry, name);
    return at && at < end ? strtoul(at + strlen(name), NULL, 10) : 0;
}

static bool is_off(void) {
    Buf text = {0};
    bool is_off =
        file_read(&text, "/sys/kernel/mm/transparent_hugepage/enabled", 4096, NULL) != STATUS_OK ||
        strstr(text.ptr, "[never]") != NULL;
    buf_free(&text);
    return is_off;
}

bool huge_pages_are_missing(const void *map) {
    Buf text = {0};
    char begin[32];
    bool are_missing = false;
    if (is_off() || file_read(&text, "/proc/self/smaps", MAX_SMAPS, NULL) != STATUS_OK)
        return false;
    snprintf(begin, sizeof begin, "\n%lx-", (unsigned long)(uintptr_t)map);
    const char *entry = strstr(text.ptr, begin);
    const char *end = entry ? strstr(entry, "VmFlags:") : NULL;
    if (end) {
        size_t huge = field(entry, end, "FilePmdMapped:"), all = field(entry, end, "Rss:");
        are_missing = all > 0 && huge < all - all / 16;
    }
    buf_free(&text);
    return are_missing;
}

// mremap replaces the old pages under the lock that page faults wait for: a reader finds the old
// bytes or the new, which are the same. Pages move as they are when both ends are aligned.
bool huge_pages_replace(void *start, size_t len) {
    assert((uintptr_t)start % HUGE_PAGE_BYTES == 0 && len % HUGE_PAGE_BYTES == 0);
    size_t room = len + HUGE_PAGE_BYTES;
    uint8_t *staging = mmap(NULL, room, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (staging == MAP_FAILED)
        return false;
    size_t before = (HUGE_PAGE_BYTES - (uintptr_t)staging % HUGE_PAGE_BYTES) % HUGE_PAGE_BYTES;
    uint8_t *copy = staging + before;
    if (before > 0)
        munmap(staging, before);
    if (before < HUGE_PAGE_BYTES)
        munmap(copy + len, HUGE_PAGE_BYTES - before);
    bool is_done = madvise(copy, len, MADV_HUGEPAGE) == 0;
    if (is_done) {
        memcpy(copy, start, len);
        is_done = mprotect(copy, len, PROT_READ) == 0 &&
                  mremap(copy, len, len, MREMAP_MAYMOVE | MREMAP_FIXED, start) != MAP_FAILED;
    }
    if (!is_done)
        munmap(copy, len);
    return is_done;
}
