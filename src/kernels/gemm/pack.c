// Packed weights: panels of nr output columns, each [words, nr] words, one after the other; then,
// for bytes, the scale and the correction of every column.
//
// Word (n, w) of W lies at panel n / nr, position w * nr + n % nr. Columns past n and elements past
// k are 0, so kernels always compute whole panels.
#include "base/checked.h"
#include "kernels/gemm/gemm.h"

static size_t divide_up(size_t a, size_t b) {
    return a / b + (a % b != 0);
}

size_t gemm_row_elements(const GemmKernel *kernel, size_t k) {
    const size_t unit = kernel->unit * kernel->per_word;
    return divide_up(k, unit) * unit;
}

size_t gemm_panel_count(const GemmKernel *kernel, size_t n) {
    return divide_up(n, kernel->nr);
}

// Words of one panel.
static size_t panel_words(const GemmKernel *kernel, size_t k) {
    return gemm_row_elements(kernel, k) / kernel->per_word * kernel->nr;
}

size_t gemm_packed_bytes(const GemmKernel *kernel, size_t n, size_t k) {
    size_t bytes, padded;
    const size_t panels = gemm_panel_count(kernel, n);
    const bool has_scales = kernel->per_word == 4;
    if (!size_add(&padded, k, kernel->unit * kernel->per_word) ||
        (has_scales && k > GEMM_MAX_K_BYTES))
        return 0;
    padded = gemm_row_elements(kernel, k) / kernel->per_word + (has_scales ? 2 : 0);
    if (!size_mul(&bytes, kernel->nr * 4, padded) || !size_mul(&bytes, bytes, panels) ||
        !size_align(&bytes, bytes, 64))
        return 0;
    return bytes;
}

void gemm_pack(const GemmKernel *kernel, void *packed, size_t n, size_t k, const GemmSource *source,
               size_t first, size_t count) {
    const size_t element = source->type == KERNEL_F32 ? 4 : 2;
    const size_t panels = gemm_panel_count(kernel, n);
    float *scales = NULL;
    int32_t *weight_sums = NULL;
    if (kernel->per_word == 4) {
        scales = (float *)packed + panels * panel_words(kernel, k);
        weight_sums = (int32_t *)(void *)(scales + panels * kernel->nr);
    }
    for (size_t p = first; p < first + count; p++) {
        const size_t column = p * kernel->nr;
        const size_t left = n - column;
        kernel->pack(left < kernel->nr ? left : kernel->nr, k,
                     (const char *)source->data + column * source->stride_n * element, source->type,
                     source->stride_n, source->stride_k,
                     (float *)packed + p * panel_words(kernel, k), scales ? scales + column : NULL,
                     weight_sums ? weight_sums + column : NULL);
    }
}
