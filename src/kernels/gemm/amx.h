// AMX tiles by four words: zero, load, multiply, store, and the configuration around them. Assembly
// instead of intrinsics, because those ask for compiler flags that no suffix stands for. Tiles 0 ..
// 3 hold sums, 4 and 5 rows of A, 6 and 7 panels of W; see amx_model.h for what they compute.
#ifndef GPUX_KERNELS_GEMM_AMX_H
#define GPUX_KERNELS_GEMM_AMX_H

#include <stddef.h>
#include <stdint.h>

#define AMX(name) name##_amx_avx512

// The tiles are registers: nothing to hold here.
typedef struct AmxTiles {
    char none;
} AmxTiles;

// Operand of LDTILECFG: palette 1; tiles 0, 1 and 4 have `upper` rows, 2, 3 and 5 `lower` rows.
static inline __attribute__((always_inline)) void amx_configure(AmxTiles *tiles, size_t upper,
                                                                size_t lower) {
    (void)tiles;
    struct {
        uint8_t palette, start_row, reserved[14];
        uint16_t row_bytes[16];
        uint8_t rows[16];
    } config = {.palette = 1};
    for (int t = 0; t < 8; t++)
        config.row_bytes[t] = 64;
    config.rows[0] = config.rows[1] = config.rows[4] = (uint8_t)upper;
    config.rows[2] = config.rows[3] = config.rows[5] = (uint8_t)lower;
    config.rows[6] = config.rows[7] = 16;
    __asm__ volatile("ldtilecfg %0" ::"m"(config));
}

// Gives the tiles back, so that the system need not save them.
static inline void amx_release(void) {
    __asm__ volatile("tilerelease");
}

#define amx_zero(tiles, t) __asm__ volatile("tilezero %%tmm" #t ::: "memory")
#define amx_load(tiles, t, p, stride)                                                              \
    __asm__ volatile("tileloadd (%0,%1,1), %%tmm" #t ::"r"(p), "r"(stride) : "memory")
#define amx_store(tiles, t, p, stride)                                                             \
    __asm__ volatile("tilestored %%tmm" #t ", (%0,%1,1)" ::"r"(p), "r"(stride) : "memory")
#define amx_dot_bytes(tiles, sum, a, b)                                                            \
    __asm__ volatile("tdpbusd %%tmm" #b ", %%tmm" #a ", %%tmm" #sum ::: "memory")
#define amx_dot_bf16(tiles, sum, a, b)                                                             \
    __asm__ volatile("tdpbf16ps %%tmm" #b ", %%tmm" #a ", %%tmm" #sum ::: "memory")

static inline __attribute__((always_inline)) void amx_fetch(const void *p) {
    __asm__ volatile("prefetcht1 %0" ::"m"(*(const char *)p));
}

// Tiles keep their form from one multiplication to the next.
#define AMX_IS_CONFIGURED_BY_BEGIN 1

#endif
