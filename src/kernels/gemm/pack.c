// Packed weights: panels of nr output columns, each [k, nr] floats, one after the other.
//
// Element (n, k) of W lies at panel n / nr, position k * nr + n % nr. Columns past n are 0, so
// kernels always compute whole panels.
#include "base/checked.h"
#include "kernels/gemm/gemm.h"

size_t gemm_panel_count(const GemmKernel *kernel, size_t n) {
    return n / kernel->nr + (n % kernel->nr != 0);
}

size_t gemm_packed_bytes(const GemmKernel *kernel, size_t n, size_t k) {
    size_t bytes;
    if (!size_mul(&bytes, kernel->nr * sizeof(float), k) ||
        !size_mul(&bytes, bytes, gemm_panel_count(kernel, n)) || !size_align(&bytes, bytes, 64))
        return 0;
    return bytes;
}

void gemm_pack(const GemmKernel *kernel, void *packed, size_t n, size_t k, const GemmSource *source,
               size_t first, size_t count) {
    const size_t element = source->type == KERNEL_F32 ? 4 : 2;
    for (size_t p = first; p < first + count; p++) {
        const size_t column = p * kernel->nr;
        const size_t left = n - column;
        kernel->pack(left < kernel->nr ? left : kernel->nr, k,
                     (const char *)source->data + column * source->stride_n * element, source->type,
                     source->stride_n, source->stride_k, (float *)packed + column * k);
    }
}
