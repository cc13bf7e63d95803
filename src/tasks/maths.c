// Small numeric words for interpreting outputs. Sums run in index order, so an answer does not
// depend on what else was in its batch.
#include "tasks/private.h"

#include <math.h>

void maths_softmax(float *x, size_t n) {
    float largest = -INFINITY;
    for (size_t i = 0; i < n; i++)
        largest = x[i] > largest ? x[i] : largest;
    double sum = 0.0;
    for (size_t i = 0; i < n; i++) {
        x[i] = expf(x[i] - largest);
        sum += (double)x[i];
    }
    for (size_t i = 0; i < n; i++)
        x[i] = (float)((double)x[i] / sum);
}

void maths_sigmoid(float *x, size_t n) {
    for (size_t i = 0; i < n; i++)
        x[i] = 1.0f / (1.0f + expf(-x[i]));
}

size_t maths_argmax(const float *x, size_t n) {
    size_t best = 0;
    for (size_t i = 1; i < n; i++)
        if (x[i] > x[best])
            best = i;
    return best;
}

float maths_dot(const float *a, const float *b, size_t n) {
    double sum = 0.0;
    for (size_t i = 0; i < n; i++)
        sum += (double)a[i] * (double)b[i];
    return (float)sum;
}

void maths_l2_normalize(float *x, size_t n) {
    float norm = sqrtf(maths_dot(x, x, n));
    // The bound of torch.nn.functional.normalize.
    norm = norm < 1e-12f ? 1e-12f : norm;
    for (size_t i = 0; i < n; i++)
        x[i] /= norm;
}

void maths_top_k(const float *x, size_t n, size_t k, size_t *out) {
    size_t count = 0;
    for (size_t i = 0; i < n; i++) {
        if (count == k && (k == 0 || x[i] <= x[out[k - 1]]))
            continue;
        size_t at = count < k ? count++ : k - 1;
        while (at > 0 && x[i] > x[out[at - 1]]) {
            out[at] = out[at - 1];
            at--;
        }
        out[at] = i;
    }
}
