// uname, sysconf and /proc/self/status.
#include "app/bench/host.h"

#include "base/file.h"

#include <stdio.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/utsname.h>
#include <unistd.h>

enum { STATUS_FILE_MAX = 65536 };

void host_info(HostInfo *out) {
    *out = (HostInfo){0};
    struct utsname names;
    if (uname(&names) == 0) {
        snprintf(out->os, sizeof out->os, "%.60s %.60s", names.sysname, names.release);
        snprintf(out->arch, sizeof out->arch, "%.60s", names.machine);
    }
    cpu_detect(&out->cpu);
    long pages = sysconf(_SC_PHYS_PAGES);
    long page_size = sysconf(_SC_PAGESIZE);
    if (pages > 0 && page_size > 0)
        out->memory_bytes = (uint64_t)pages * (uint64_t)page_size;
}

uint64_t host_parse_peak_memory(const char *status_text) {
    static const char KEY[] = "VmHWM:";
    const char *line = status_text;
    while (line != NULL && strncmp(line, KEY, sizeof KEY - 1) != 0) {
        line = strchr(line, '\n');
        if (line != NULL)
            line++;
    }
    unsigned long long kilobytes = 0;
    if (line == NULL || sscanf(line + sizeof KEY - 1, "%19llu kB", &kilobytes) != 1)
        return 0;
    return (uint64_t)kilobytes * 1024u;
}

uint64_t host_peak_memory(void) {
    Buf text = BUF_INIT(STATUS_FILE_MAX);
    uint64_t bytes = 0;
    if (file_read(&text, "/proc/self/status", STATUS_FILE_MAX, NULL) == STATUS_OK &&
        text.ptr != NULL)
        bytes = host_parse_peak_memory(text.ptr);
    buf_free(&text);
    struct rusage usage;
    // A parent's peak survives exec in ru_maxrss, so it is only the second choice.
    if (bytes == 0 && getrusage(RUSAGE_SELF, &usage) == 0 && usage.ru_maxrss > 0)
        bytes = (uint64_t)usage.ru_maxrss * 1024u;
    return bytes;
}
