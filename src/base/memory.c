// The allocator, aligned blocks and arenas.
//
// The counters below are the stated exception to "no mutable statics": libraries take allocator
// hooks process-wide, and tests fail the n-th allocation through them.
#include "base/memory.h"

#include "base/checked.h"

#include <assert.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

static atomic_size_t allocations;
static atomic_size_t fail_from;

enum { HUGE_PAGE = 2 << 20, ARENA_FIRST = 4 << 10, ARENA_LARGEST = 1 << 20 };

struct ArenaBlock {
    ArenaBlock *next;
    size_t used; // bytes of the payload handed out, a multiple of 16
    size_t cap;
    size_t reserved; // keeps the payload aligned to 16
};

static_assert(sizeof(struct ArenaBlock) % 16 == 0, "the payload after the header is aligned to 16");

// A larger request is a size taken from a damaged file; refusing it here spares every parser the
// case.
static const size_t LARGEST_BLOCK = (size_t)1 << 39;

static bool may_allocate(size_t size) {
    size_t index = atomic_fetch_add_explicit(&allocations, 1, memory_order_relaxed) + 1;
    size_t from = atomic_load_explicit(&fail_from, memory_order_relaxed);
    return size <= LARGEST_BLOCK && (from == 0 || index < from);
}

size_t mem_fail_after(size_t n) {
    atomic_store_explicit(&fail_from, n, memory_order_relaxed);
    return atomic_exchange_explicit(&allocations, 0, memory_order_relaxed);
}

void *mem_alloc(size_t size) {
    if (!may_allocate(size))
        return NULL;
    return malloc(size ? size : 1);
}

void *mem_alloc_zero(size_t count, size_t size) {
    size_t bytes;
    if (!size_mul(&bytes, count, size) || !may_allocate(bytes))
        return NULL;
    return calloc(1, bytes ? bytes : 1);
}

void *mem_realloc(void *block, size_t size) {
    if (!may_allocate(size))
        return NULL;
    return realloc(block, size ? size : 1);
}

void *mem_realloc_array(void *block, size_t count, size_t size) {
    size_t bytes;
    if (!size_mul(&bytes, count, size))
        return NULL;
    return mem_realloc(block, bytes);
}

void mem_free(void *block) {
    free(block);
}

char *mem_strdup(const char *text) {
    size_t size = strlen(text) + 1;
    char *copy = mem_alloc(size);
    if (copy)
        memcpy(copy, text, size);
    return copy;
}

void *mem_alloc_aligned(size_t size, size_t alignment) {
    assert(alignment >= 64 && (alignment & (alignment - 1)) == 0);
    bool is_large = size >= HUGE_PAGE;
    if (is_large && alignment < HUGE_PAGE)
        alignment = HUGE_PAGE;
    if (!may_allocate(size))
        return NULL;
    void *block = NULL;
    if (posix_memalign(&block, alignment, size ? size : 1) != 0)
        return NULL;
    // Only whole huge pages: what follows the block may belong to somebody else. A refusal costs
    // speed only.
    if (is_large)
        (void)madvise(block, size & ~(size_t)(HUGE_PAGE - 1), MADV_HUGEPAGE);
    return block;
}

void mem_free_aligned(void *block) {
    free(block);
}

static ArenaBlock *new_block(size_t cap) {
    size_t bytes;
    if (!size_add(&bytes, cap, sizeof(ArenaBlock)))
        return NULL;
    ArenaBlock *block = mem_alloc_zero(1, bytes);
    if (block)
        block->cap = cap;
    return block;
}

// A block with room for `size`: the first one, or a new one. Large requests get a block of their
// own behind the first, so that the room left in the first stays in use.
static ArenaBlock *block_for(Arena *arena, size_t size) {
    ArenaBlock *first = arena->blocks;
    if (first && first->cap - first->used >= size)
        return first;
    size_t cap = first ? first->cap * 2 : ARENA_FIRST;
    if (cap > ARENA_LARGEST)
        cap = ARENA_LARGEST;
    bool is_own = size > cap / 4;
    ArenaBlock *block = new_block(is_own ? size : cap);
    if (!block)
        return NULL;
    if (is_own && first) {
        block->next = first->next;
        first->next = block;
    } else {
        block->next = first;
        arena->blocks = block;
    }
    return block;
}

void *arena_alloc(Arena *arena, size_t size) {
    size_t rounded;
    if (!size_align(&rounded, size ? size : 1, 16))
        return NULL;
    ArenaBlock *block = block_for(arena, rounded);
    if (!block)
        return NULL;
    void *memory = (char *)(block + 1) + block->used;
    block->used += rounded;
    arena->total += rounded;
    return memory;
}

void *arena_alloc_array(Arena *arena, size_t count, size_t size) {
    size_t bytes;
    if (!size_mul(&bytes, count, size))
        return NULL;
    return arena_alloc(arena, bytes);
}

char *arena_strndup(Arena *arena, const char *text, size_t len) {
    size_t size;
    if (!size_add(&size, len, 1))
        return NULL;
    char *copy = arena_alloc(arena, size);
    if (copy && len > 0)
        memcpy(copy, text, len);
    return copy;
}

char *arena_strdup(Arena *arena, const char *text) {
    return arena_strndup(arena, text, strlen(text));
}

char *arena_printf(Arena *arena, const char *format, ...) {
    va_list args;
    va_start(args, format);
    int len = vsnprintf(NULL, 0, format, args);
    va_end(args);
    if (len < 0)
        return NULL;
    char *text = arena_alloc(arena, (size_t)len + 1);
    if (!text)
        return NULL;
    va_start(args, format);
    vsnprintf(text, (size_t)len + 1, format, args);
    va_end(args);
    return text;
}

void arena_free(Arena *arena) {
    ArenaBlock *block = arena->blocks;
    while (block) {
        ArenaBlock *next = block->next;
        mem_free(block);
        block = next;
    }
    *arena = (Arena){0};
}
