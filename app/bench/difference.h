// What a precision loses against a reference: the keys of its JSON and the rows of its table.
#ifndef GPUX_BENCH_DIFFERENCE_H
#define GPUX_BENCH_DIFFERENCE_H

#include "app/bench/rows.h"
#include "base/json.h"
#include "gpux.h"

typedef struct DifferenceReport {
    const char *reference; // "fp32"
    gpux_difference sum;
    size_t requests; // compared
    // Of a dataset with labels; labelled = 0: there was none.
    size_t labelled, right, reference_right;
} DifferenceReport;

// Writes the members into an open object; what does not apply is null.
void difference_write(JsonWriter *writer, const DifferenceReport *report);
void difference_add_rows(BenchRows *rows, const DifferenceReport *report);
// "0.99998", "-" without vectors; "99.93 %", "-" without labels.
void difference_format_cosine(char out[64], const DifferenceReport *report);
void difference_format_agreement(char out[64], const DifferenceReport *report);

#endif
