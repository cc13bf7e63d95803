// Means and shares out of the sums that the library added up.
#include "app/bench/difference.h"

#include <stdio.h>

static double mean_of(double sum, uint64_t count) {
    return count > 0 ? sum / (double)count : 0;
}

static double share_of(size_t part, size_t whole) {
    return whole > 0 ? (double)part / (double)whole : 0;
}

static void write_number(JsonWriter *writer, const char *key, double number, bool applies) {
    json_key(writer, key);
    if (applies)
        json_write_f64(writer, number);
    else
        json_write_null(writer);
}

static void write_count(JsonWriter *writer, const char *key, uint64_t count) {
    json_key(writer, key);
    json_write_u64(writer, count);
}

// Percentage points of accuracy; below zero when the reference does worse.
static double accuracy_loss(const DifferenceReport *report) {
    return 100 * (share_of(report->reference_right, report->labelled) -
                  share_of(report->right, report->labelled));
}

void difference_write(JsonWriter *writer, const DifferenceReport *report) {
    const gpux_difference *sum = &report->sum;
    bool has_dataset = report->labelled > 0;
    json_key(writer, "reference");
    json_write_cstr(writer, report->reference);
    write_count(writer, "compared_requests", report->requests);
    write_count(writer, "compared_vectors", sum->vectors);
    write_number(writer, "max_abs_diff", sum->max_abs, sum->values > 0);
    write_number(writer, "mean_abs_diff", mean_of(sum->sum_abs, sum->values), sum->values > 0);
    write_number(writer, "cosine_mean", mean_of(sum->cosine_sum, sum->cosines), sum->cosines > 0);
    write_number(writer, "cosine_min", sum->cosine_min, sum->cosines > 0);
    write_count(writer, "compared_labels", sum->labels);
    write_number(writer, "label_agreement", mean_of((double)sum->labels_equal, sum->labels),
                 sum->labels > 0);
    write_count(writer, "labelled_requests", report->labelled);
    write_number(writer, "accuracy", share_of(report->right, report->labelled), has_dataset);
    write_number(writer, "reference_accuracy", share_of(report->reference_right, report->labelled),
                 has_dataset);
    write_number(writer, "accuracy_loss_percent", accuracy_loss(report), has_dataset);
}

void difference_format_cosine(char out[64], const DifferenceReport *report) {
    const gpux_difference *sum = &report->sum;
    if (sum->cosines > 0)
        snprintf(out, 64, "%.6f", mean_of(sum->cosine_sum, sum->cosines));
    else
        snprintf(out, 64, "-");
}

void difference_format_agreement(char out[64], const DifferenceReport *report) {
    const gpux_difference *sum = &report->sum;
    if (sum->labels > 0)
        snprintf(out, 64, "%.2f %%", 100 * mean_of((double)sum->labels_equal, sum->labels));
    else
        snprintf(out, 64, "-");
}

void difference_add_rows(BenchRows *rows, const DifferenceReport *report) {
    const gpux_difference *sum = &report->sum;
    snprintf(rows_add(rows, "Reference"), BENCH_VALUE_SIZE, "%s", report->reference);
    snprintf(rows_add(rows, "Compared"), BENCH_VALUE_SIZE, "%zu requests, %llu vectors",
             report->requests, (unsigned long long)sum->vectors);
    if (sum->values > 0) {
        snprintf(rows_add(rows, "Max Abs Diff"), BENCH_VALUE_SIZE, "%.3g", sum->max_abs);
        snprintf(rows_add(rows, "Mean Abs Diff"), BENCH_VALUE_SIZE, "%.3g",
                 mean_of(sum->sum_abs, sum->values));
    }
    if (sum->cosines > 0) {
        difference_format_cosine(rows_add(rows, "Cosine Mean"), report);
        snprintf(rows_add(rows, "Cosine Min"), BENCH_VALUE_SIZE, "%.6f", sum->cosine_min);
    }
    if (sum->labels > 0)
        difference_format_agreement(rows_add(rows, "Label Agreement"), report);
    if (report->labelled == 0)
        return;
    snprintf(rows_add(rows, "Accuracy"), BENCH_VALUE_SIZE, "%.2f %%",
             100 * share_of(report->right, report->labelled));
    snprintf(rows_add(rows, "Reference Accuracy"), BENCH_VALUE_SIZE, "%.2f %%",
             100 * share_of(report->reference_right, report->labelled));
    snprintf(rows_add(rows, "Accuracy Loss"), BENCH_VALUE_SIZE, "%.2f %%", accuracy_loss(report));
}
