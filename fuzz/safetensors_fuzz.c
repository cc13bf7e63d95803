// Any bytes as a safetensors file: an error or tensors whose bytes can all be read.
#include "checkpoint/safetensors.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    FileMap map = {.data = data, .size = size};
    TensorList list = {0};
    Arena arena = {0};
    Error error;
    volatile uint8_t sink = 0;
    if (safetensors_read(&list, &arena, &map, "fuzz", &error) == STATUS_OK) {
        for (size_t i = 0; i < list.count; i++) {
            for (size_t j = 0; j < list.items[i].size; j++)
                sink ^= list.items[i].data[j];
        }
    }
    (void)sink; // the bytes are read for the sanitizer
    mem_free(list.items);
    arena_free(&arena);
    return 0;
}
