// How far the outputs of a request are from those of a reference: the same request, run by the same
// model in another precision.
//
// What a task collected is compared, vector by vector: embeddings, or logits. Where a task decides
// by its logits, the decisions are compared too. Sums are in double, in a fixed order.
#include "tasks/private.h"

#include <math.h>

// Lengths of the two vectors as the answer shows them: embeddings of a normalising model are
// divided by these.
typedef struct Lengths {
    double a, b;
} Lengths;

static void add_cosine(Difference *sum, double dot, const Lengths *lengths) {
    double cosine = dot / (lengths->a * lengths->b);
    if (!isfinite(cosine))
        cosine = 0;
    if (sum->cosines == 0 || cosine < sum->cosine_min)
        sum->cosine_min = cosine;
    sum->cosine_sum += cosine;
    sum->cosines++;
}

void compare_vector(Difference *sum, const float *a, const float *b, size_t n, bool normalize) {
    double dot = 0, aa = 0, bb = 0;
    for (size_t i = 0; i < n; i++) {
        dot += (double)a[i] * (double)b[i];
        aa += (double)a[i] * (double)a[i];
        bb += (double)b[i] * (double)b[i];
    }
    // Rows of zeros are masked tokens.
    if (n == 0 || (aa == 0 && bb == 0))
        return;
    Lengths lengths = {sqrt(aa), sqrt(bb)}, scale = {1, 1};
    if (normalize && aa > 0 && bb > 0)
        scale = lengths;
    for (size_t i = 0; i < n; i++) {
        double difference = fabs((double)a[i] / scale.a - (double)b[i] / scale.b);
        if (!isfinite(difference))
            difference = INFINITY;
        sum->sum_abs += difference;
        if (difference > sum->max_abs)
            sum->max_abs = difference;
    }
    sum->values += n;
    sum->vectors++;
    // The angle between single numbers says nothing.
    if (n > 1)
        add_cosine(sum, dot, &lengths);
}

static void compare_vectors(Difference *sum, const float *a, const float *b, size_t count,
                            size_t width, bool normalize) {
    for (size_t at = 0; width > 0 && at + width <= count; at += width)
        compare_vector(sum, a + at, b + at, width, normalize);
}

static void add_decision(Difference *sum, bool is_same) {
    sum->labels++;
    sum->labels_equal += is_same;
}

// One label, or with several labels at a time each of them.
static void compare_labels(Difference *sum, const float *a, const float *b, size_t n,
                           ProblemType type) {
    if (type == PROBLEM_REGRESSION)
        return;
    if (type == PROBLEM_SINGLE_LABEL && n > 1) {
        add_decision(sum, maths_argmax(a, n) == maths_argmax(b, n));
        return;
    }
    for (size_t i = 0; i < n; i++)
        add_decision(sum, (a[i] > 0) == (b[i] > 0));
}

static void compare_decisions(Difference *sum, const Request *request, const Row *a, const Row *b) {
    size_t width = a->width, count = width ? a->count / width : 0;
    bool is_same = true;
    switch (request->task->decision) {
    case DECISION_NONE:
        return;
    case DECISION_LABEL:
        compare_labels(sum, a->values, b->values, width, request->model->info->problem_type);
        return;
    case DECISION_EACH:
        for (size_t i = 0; i < count; i++)
            add_decision(sum, maths_argmax(a->values + i * width, width) ==
                                  maths_argmax(b->values + i * width, width));
        return;
    case DECISION_SPAN:
        for (size_t i = 0; i < count; i++)
            is_same = is_same && maths_argmax(a->values + i * width, width) ==
                                     maths_argmax(b->values + i * width, width);
        add_decision(sum, is_same);
        return;
    }
}

static Status not_alike(Error *error) {
    return error_set(error, STATUS_INVALID, "only runs of the same request can be compared");
}

// All outputs of the graph, when both requests kept them.
static Status compare_kept(Difference *sum, const Request *request, const Row *a, const Row *b,
                           Error *error) {
    for (size_t o = 0; o < model_output_count(request->model->model); o++) {
        if (a->kept_rows[o] != b->kept_rows[o] || a->kept_widths[o] != b->kept_widths[o])
            return not_alike(error);
        compare_vectors(sum, a->kept[o], b->kept[o], a->kept_rows[o] * a->kept_widths[o],
                        a->kept_widths[o], false);
    }
    return STATUS_OK;
}

static Status compare_row(Difference *sum, const Request *request, const Row *a, const Row *b,
                          Error *error) {
    if (a->count != b->count || a->width != b->width)
        return not_alike(error);
    // The scores behind a label's logits follow from them.
    bool is_label = request->task->decision == DECISION_LABEL;
    if (a->kept && b->kept)
        TRY(compare_kept(sum, request, a, b, error));
    else
        compare_vectors(sum, a->values, b->values, is_label ? a->width : a->count, a->width,
                        request->task->decision == DECISION_NONE &&
                            request->model->info->normalize);
    compare_decisions(sum, request, a, b);
    return STATUS_OK;
}

static Status compare_element(Difference *sum, const Request *request, const Element *a,
                              const Element *b, Error *error) {
    if (a->n_inputs != b->n_inputs || !a->raw != !b->raw)
        return not_alike(error);
    if (a->raw)
        return raw_compare(sum, request, a, b) ? STATUS_OK : not_alike(error);
    for (size_t i = 0; i < a->n_inputs; i++) {
        if (a->inputs[i].n_rows != b->inputs[i].n_rows)
            return not_alike(error);
        for (size_t w = 0; w < a->inputs[i].n_rows; w++)
            TRY(compare_row(sum, request, &a->inputs[i].rows[w], &b->inputs[i].rows[w], error));
    }
    return STATUS_OK;
}

Status request_compare(Difference *sum, const Request *reference, const Request *other,
                       Error *error) {
    if (reference->state != REQUEST_DONE || other->state != REQUEST_DONE)
        return error_set(error, STATUS_INVALID, "the request has not been run");
    if (reference->n_elements != other->n_elements || reference->task != other->task ||
        model_output_count(reference->model->model) != model_output_count(other->model->model))
        return not_alike(error);
    for (size_t e = 0; e < reference->n_elements; e++)
        TRY(compare_element(sum, reference, &reference->elements[e], &other->elements[e], error));
    return STATUS_OK;
}
