// Formats one log line and hands it to the sink; knows nothing of where it goes.
#include "base/log.h"

#include "base/str.h"

#include <stdarg.h>
#include <stdio.h>

enum { LOG_MESSAGE_SIZE = 2048 };

void log_message(const Log *log, LogLevel level, const char *format, ...) {
    if (!log || !log->write || level < log->level)
        return;
    char message[LOG_MESSAGE_SIZE];
    va_list args;
    va_start(args, format);
    int wanted = vsnprintf(message, sizeof message, format, args);
    va_end(args);
    if (wanted < 0)
        return;
    size_t bad;
    if (wanted >= (int)sizeof message) {
        // A cut may have split the last character.
        size_t tail = sizeof message - 4;
        while (tail > 0 && ((unsigned char)message[tail] & 0xc0) == 0x80)
            tail--;
        if (!utf8_is_valid(sv(message + tail), &bad))
            message[tail + bad] = '\0';
    }
    log->write(log->ctx, level, message);
}
