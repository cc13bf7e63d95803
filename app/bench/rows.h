// Rows of a two-column table as text, before they are drawn.
#ifndef GPUX_BENCH_ROWS_H
#define GPUX_BENCH_ROWS_H

#include <assert.h>
#include <stddef.h>

enum { BENCH_MAX_ROWS = 40, BENCH_VALUE_SIZE = 64 };

typedef struct BenchRow {
    const char *metric;           // "Mean Time"
    char value[BENCH_VALUE_SIZE]; // "0.42 ms"
} BenchRow;

typedef struct BenchRows {
    BenchRow rows[BENCH_MAX_ROWS];
    size_t count;
} BenchRows;

// A new row; the caller writes its value.
static inline char *rows_add(BenchRows *list, const char *metric) {
    assert(list->count < BENCH_MAX_ROWS);
    BenchRow *row = &list->rows[list->count++];
    row->metric = metric;
    row->value[0] = '\0';
    return row->value;
}

#endif
