// The machine and the process that a measurement was taken on.
#ifndef GPUX_BENCH_HOST_H
#define GPUX_BENCH_HOST_H

#include "base/cpu.h"

#include <stdint.h>

typedef struct HostInfo {
    char os[128];  // "Linux 6.1.0"
    char arch[64]; // "x86_64"
    CpuInfo cpu;
    uint64_t memory_bytes; // of the machine; 0 when unknown
} HostInfo;

void host_info(HostInfo *out);
// The most memory this process ever held (VmHWM), in bytes; 0 when the system does not say.
uint64_t host_peak_memory(void);
// Reads "VmHWM:  1234 kB" out of the text of /proc/self/status; 0 when it is not there.
uint64_t host_parse_peak_memory(const char *status_text);

#endif
