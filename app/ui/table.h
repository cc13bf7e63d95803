// Tables: boxes on a terminal, plain aligned columns in a pipe. Cells are copied and made harmless
// for the terminal when they enter.
#ifndef GPUX_UI_TABLE_H
#define GPUX_UI_TABLE_H

#include "app/ui/terminal.h"
#include "base/memory.h"
#include "base/str.h"

#include <stdbool.h>
#include <stddef.h>

enum { TABLE_MAX_COLUMNS = 12 };

typedef struct Table {
    const char *title; // borrowed
    const char *headers[TABLE_MAX_COLUMNS];
    bool is_right[TABLE_MAX_COLUMNS]; // aligned right: numbers
    size_t columns;
    const char **cells; // [rows, columns]
    size_t rows;
    size_t row_cap;
    Arena text;
    bool failed; // out of memory: table_print then prints nothing
} Table;

// `headers` are borrowed.
Table table_new(const char *title, const char *const *headers, size_t columns);
// `cells` has one entry per column; NULL and "" print as "N/A".
void table_add_row(Table *table, const char *const *cells);
// A row of a two-column table.
void table_add_pair(Table *table, const char *name, const char *value);
// Appends the table, each line ended, to `out`. STATUS_OUT_OF_MEMORY.
Status table_print(Buf *out, const Table *table, const Terminal *terminal);
void table_free(Table *table);

#endif
