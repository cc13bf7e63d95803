// A process that runs a mapped model more than a few times gets its weights in huge pages.
//
// One-shot runs stay on the shared mapping, which costs them nothing to open. Where the page cache
// has no huge pages, though, every pass over hundreds of megabytes pays for small ones (a third
// more time at 8 tokens): from the fifth run on, a copy takes the mapping's place, part by part.
#include "base/huge_pages.h"
#include "providers/cpu/cpu.h"

enum { SETTLE_AFTER = 3, SETTLE_RUNS = 4, PIECE_BYTES = 4 * HUGE_PAGE_BYTES };

struct Settling {
    uint8_t *start; // the huge pages that lie wholly in the mapping
    size_t pieces;  // the last may be smaller
    size_t bytes;
    atomic_size_t runs, next; // next: the first piece that nobody has taken
    atomic_bool is_wanted;
};

void cpu_settle_init(Compiled *compiled) {
    uintptr_t map = (uintptr_t)compiled->kept.map, end = map + compiled->kept.map_size;
    uintptr_t start = (map + HUGE_PAGE_BYTES - 1) / HUGE_PAGE_BYTES * HUGE_PAGE_BYTES;
    end = end / HUGE_PAGE_BYTES * HUGE_PAGE_BYTES;
    if (map == 0 || end <= start)
        return;
    struct Settling *s = arena_alloc(&compiled->arena, sizeof *s);
    if (!s)
        return; // costs speed only
    s->start = (uint8_t *)start;
    s->bytes = end - start;
    s->pieces = (s->bytes + PIECE_BYTES - 1) / PIECE_BYTES;
    compiled->settling = s;
}

typedef struct Settle {
    struct Settling *settling;
    size_t first;
} Settle;

static void replace_piece(void *ctx, size_t i, int member) {
    const Settle *settle = ctx;
    (void)member;
    size_t offset = (settle->first + i) * PIECE_BYTES, left = settle->settling->bytes - offset;
    // No memory for one piece: it stays as it is.
    (void)huge_pages_replace(settle->settling->start + offset,
                             left < PIECE_BYTES ? left : PIECE_BYTES);
}

void cpu_settle(const Compiled *compiled, ThreadPool *pool) {
    struct Settling *s = compiled->settling;
    if (!s)
        return;
    size_t run = atomic_fetch_add_explicit(&s->runs, 1, memory_order_relaxed);
    if (run == SETTLE_AFTER)
        atomic_store(&s->is_wanted, huge_pages_are_missing(compiled->kept.map));
    if (run <= SETTLE_AFTER || !atomic_load_explicit(&s->is_wanted, memory_order_relaxed))
        return;
    size_t count = (s->pieces + SETTLE_RUNS - 1) / SETTLE_RUNS;
    Settle settle = {s, atomic_fetch_add(&s->next, count)};
    if (settle.first >= s->pieces) {
        atomic_store(&s->is_wanted, false);
        return;
    }
    if (count > s->pieces - settle.first)
        count = s->pieces - settle.first;
    pool_for_1d(pool, count, replace_piece, &settle);
}
