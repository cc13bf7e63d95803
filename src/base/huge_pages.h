// Mapped files in huge pages: walking hundreds of megabytes in pages of 4 KB costs time at every
// pass.
#ifndef GPUX_BASE_HUGE_PAGES_H
#define GPUX_BASE_HUGE_PAGES_H

#include <stdbool.h>
#include <stddef.h>

enum { HUGE_PAGE_BYTES = 2 << 20 };

// Whether the file mapping that begins at `map` is used, mostly in small pages, on a system that
// has huge ones. File systems whose page cache has huge pages map them by themselves.
bool huge_pages_are_missing(const void *map);

// Puts private huge pages of the same content in the place of `len` mapped bytes, at the same
// address, while other threads may read them. start, len: multiples of HUGE_PAGE_BYTES. False (and
// nothing changed) when there is no memory for it.
bool huge_pages_replace(void *start, size_t len);

#endif
