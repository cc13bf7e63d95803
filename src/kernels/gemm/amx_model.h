// The AMX tiles in plain C, bit for bit, for machines without them: the words of amx.h on a
// structure.
#ifndef GPUX_KERNELS_GEMM_AMX_MODEL_H
#define GPUX_KERNELS_GEMM_AMX_MODEL_H

#include <math.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#define AMX(name) name##_amx_model

typedef struct AmxTiles {
    uint32_t words[8][16][16];
    size_t rows[8];
} AmxTiles;

static inline void amx_configure(AmxTiles *tiles, size_t upper, size_t lower) {
    memset(tiles, 0, sizeof *tiles);
    tiles->rows[0] = tiles->rows[1] = tiles->rows[4] = upper;
    tiles->rows[2] = tiles->rows[3] = tiles->rows[5] = lower;
    tiles->rows[6] = tiles->rows[7] = 16;
}

static inline void amx_release(void) {
}

static inline void amx_zero(AmxTiles *tiles, int t) {
    memset(tiles->words[t], 0, sizeof tiles->words[t]);
}

static inline void amx_load(AmxTiles *tiles, int t, const void *p, size_t stride) {
    amx_zero(tiles, t);
    for (size_t r = 0; r < tiles->rows[t]; r++)
        memcpy(tiles->words[t][r], (const char *)p + r * stride, 64);
}

static inline void amx_store(const AmxTiles *tiles, int t, void *p, size_t stride) {
    for (size_t r = 0; r < tiles->rows[t]; r++)
        memcpy((char *)p + r * stride, tiles->words[t][r], 64);
}

// sum[m][n] += the four products of unsigned bytes of a[m][w] and signed bytes of b[w][n], for all
// w.
static inline void amx_dot_bytes(AmxTiles *tiles, int sum, int a, int b) {
    for (size_t m = 0; m < tiles->rows[sum]; m++)
        for (size_t n = 0; n < 16; n++) {
            uint32_t total = tiles->words[sum][m][n];
            for (size_t w = 0; w < 16; w++)
                for (unsigned shift = 0; shift < 32; shift += 8) {
                    const int32_t x = (uint8_t)(tiles->words[a][m][w] >> shift);
                    const int32_t y = (int8_t)(uint8_t)(tiles->words[b][w][n] >> shift);
                    total += (uint32_t)(x * y);
                }
            tiles->words[sum][m][n] = total;
        }
}

// A bf16 as f32; subnormal inputs count as 0.
static inline float amx_widen(uint32_t half) {
    const uint32_t bits = (half & 0x7F80u) ? half << 16 : (half & 0x8000u) << 16;
    float x;
    memcpy(&x, &bits, sizeof x);
    return x;
}

// Subnormal results become 0.
static inline float amx_flush(float x) {
    return fabsf(x) < 0x1p-126f ? copysignf(0.0f, x) : x;
}

// Even and odd k are summed apart over the tile, then both are added to the sum.
static inline void amx_dot_bf16(AmxTiles *tiles, int sum, int a, int b) {
    for (size_t m = 0; m < tiles->rows[sum]; m++)
        for (size_t n = 0; n < 16; n++) {
            float part[2] = {0.0f, 0.0f}, total;
            for (size_t w = 0; w < 16; w++)
                for (unsigned odd = 0; odd < 2; odd++)
                    part[odd] = amx_flush(
                        fmaf(amx_widen(tiles->words[a][m][w] >> 16 * odd & 0xFFFFu),
                             amx_widen(tiles->words[b][w][n] >> 16 * odd & 0xFFFFu), part[odd]));
            memcpy(&total, &tiles->words[sum][m][n], sizeof total);
            total = amx_flush(amx_flush(total) + amx_flush(part[0] + part[1]));
            memcpy(&tiles->words[sum][m][n], &total, sizeof total);
        }
}

static inline void amx_fetch(const void *p) {
    (void)p;
}

#define AMX_IS_CONFIGURED_BY_BEGIN 0

#endif
