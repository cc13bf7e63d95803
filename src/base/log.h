// Leveled callback logging. The sink is handed down; nothing is printed by the library itself.
#ifndef GPUX_BASE_LOG_H
#define GPUX_BASE_LOG_H

typedef enum LogLevel {
    LOG_DEBUG,
    LOG_INFO,
    LOG_WARNING,
    LOG_ERROR,
    LOG_CRITICAL,
} LogLevel;

typedef struct Log {
    void (*write)(void *ctx, LogLevel level, const char *message); // may be called from any thread
    void *ctx;
    LogLevel level; // least level that is written
} Log;

// Formats and writes when `log` is not NULL, has a sink, and `level` is at least its level.
__attribute__((format(printf, 3, 4))) void log_message(const Log *log, LogLevel level,
                                                       const char *format, ...);

#endif
