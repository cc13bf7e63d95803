// Lifetimes to arena offsets: greedy by size with best-fit gaps, as "Efficient Memory Management
// for Deep Neural Net Inference" (Pisarchyk & Lee, 2020). Knows sizes and steps, nothing of graphs.
//
// Invariant: two items whose lifetimes meet never share a byte.
#include "base/checked.h"
#include "graph/graph.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

typedef struct Entry {
    PlanItem *item;
    size_t size; // rounded up to the alignment
} Entry;

// Biggest first; equal sizes in the caller's order, so that a plan is reproducible.
static int compare_entries(const void *a, const void *b) {
    const Entry *x = a;
    const Entry *y = b;
    if (x->size != y->size)
        return x->size > y->size ? -1 : 1;
    return (x->item > y->item) - (x->item < y->item);
}

static bool lifetimes_meet(const PlanItem *a, const PlanItem *b) {
    return a->first <= b->last && b->first <= a->last;
}

// The smallest gap that holds `entry` among the placed ones, which are sorted by offset; behind all
// of them when there is none.
static size_t find_offset(const Entry *placed, size_t n_placed, const Entry *entry) {
    size_t best = SIZE_MAX;
    size_t best_gap = SIZE_MAX;
    size_t end = 0; // of everything seen so far
    for (size_t i = 0; i < n_placed; i++) {
        if (!lifetimes_meet(placed[i].item, entry->item))
            continue;
        size_t offset = placed[i].item->offset;
        size_t gap = offset > end ? offset - end : 0;
        if (gap >= entry->size && gap < best_gap) {
            best = end;
            best_gap = gap;
        }
        size_t placed_end = offset + placed[i].size;
        end = placed_end > end ? placed_end : end;
    }
    return best_gap == SIZE_MAX ? end : best;
}

// Keeps the placed ones sorted by offset.
static void insert_entry(Entry *placed, size_t n_placed, Entry entry) {
    size_t at = n_placed;
    while (at > 0 && placed[at - 1].item->offset > entry.item->offset)
        at--;
    memmove(&placed[at + 1], &placed[at], (n_placed - at) * sizeof(Entry));
    placed[at] = entry;
}

static Status place_all(size_t *total, Entry *order, size_t count, Entry *placed) {
    *total = 0;
    qsort(order, count, sizeof(Entry), compare_entries);
    for (size_t i = 0; i < count; i++) {
        size_t end;
        size_t offset = find_offset(placed, i, &order[i]);
        if (!size_add(&end, offset, order[i].size))
            return STATUS_LIMIT;
        order[i].item->offset = offset;
        insert_entry(placed, i, order[i]);
        *total = end > *total ? end : *total;
    }
    return STATUS_OK;
}

size_t memory_plan(PlanItem *items, size_t count, size_t alignment, Status *status) {
    assert(alignment > 0 && (alignment & (alignment - 1)) == 0);
    *status = STATUS_OK;
    size_t total = 0;
    size_t room = 0;
    if (count == 0)
        return 0;
    Entry *order = size_mul(&room, count, 2) ? mem_alloc_zero(room, sizeof(Entry)) : NULL;
    if (!order) {
        *status = STATUS_OUT_OF_MEMORY;
        return 0;
    }
    for (size_t i = 0; i < count && *status == STATUS_OK; i++) {
        order[i].item = &items[i];
        if (items[i].first > items[i].last)
            *status = STATUS_INVALID;
        else if (!size_align(&order[i].size, items[i].size, alignment))
            *status = STATUS_LIMIT;
    }
    if (*status == STATUS_OK)
        *status = place_all(&total, order, count, order + count);
    mem_free(order);
    return *status == STATUS_OK ? total : 0;
}
