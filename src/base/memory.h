// The only address of malloc, arenas for things that die together, and aligned blocks.
//
// The allocator is the one stated exception to "no globals": tests can make the n-th allocation
// fail.
#ifndef GPUX_BASE_MEMORY_H
#define GPUX_BASE_MEMORY_H

#include <stdbool.h>
#include <stddef.h>

// Like malloc, calloc, realloc and free; NULL when out of memory or for more than 512
// GB. size 0 yields a unique block.
void *mem_alloc(size_t size);
void *mem_alloc_zero(size_t count, size_t size); // checked product
void *mem_realloc(void *block, size_t size);
void *mem_realloc_array(void *block, size_t count, size_t size); // checked product
void mem_free(void *block);
char *mem_strdup(const char *text);

// Blocks of `size` bytes aligned to `alignment` (power of two, at least 64). Large ones (>= 2 MB)
// are advised to use huge pages. Freed with mem_free_aligned.
void *mem_alloc_aligned(size_t size, size_t alignment);
void mem_free_aligned(void *block);

// Makes the n-th allocation from now (1 = the next) and all later ones fail; 0 switches this off.
// Returns how many allocations were made since the last call. For tests; process-wide.
size_t mem_fail_after(size_t n);

// Bump allocator. Zero-initialise it; blocks are freed together by arena_free. Not thread-safe.
typedef struct ArenaBlock ArenaBlock;
typedef struct Arena {
    ArenaBlock *blocks;
    size_t total; // bytes handed out
} Arena;

// `size` bytes aligned to 16, zeroed. NULL when out of memory.
void *arena_alloc(Arena *arena, size_t size);
void *arena_alloc_array(Arena *arena, size_t count, size_t size); // checked product
char *arena_strndup(Arena *arena, const char *text, size_t len);  // NUL-terminated copy
char *arena_strdup(Arena *arena, const char *text);
__attribute__((format(printf, 2, 3))) char *arena_printf(Arena *arena, const char *format, ...);
void arena_free(Arena *arena); // also leaves it ready for use again

#endif
