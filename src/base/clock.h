// Monotonic time and UTC stamps.
#ifndef GPUX_BASE_CLOCK_H
#define GPUX_BASE_CLOCK_H

#include <stdint.h>

uint64_t clock_now_ns(void); // monotonic
// "2026-01-31T12:34:56Z"
void clock_utc_iso8601(char out[32]);

#endif
