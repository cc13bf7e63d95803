// Tests of leveled logging.
#include "base/log.h"

#include "base/str.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

typedef struct Sink {
    int calls;
    LogLevel level;
    char message[4096];
} Sink;

static void keep(void *ctx, LogLevel level, const char *message) {
    Sink *sink = ctx;
    sink->calls++;
    sink->level = level;
    memcpy(sink->message, message, strlen(message) + 1);
}

static void messages_below_the_level_are_dropped(void **state) {
    (void)state;
    Sink sink = {0};
    Log log = {.write = keep, .ctx = &sink, .level = LOG_WARNING};
    log_message(&log, LOG_INFO, "no");
    assert_int_equal(sink.calls, 0);
    log_message(&log, LOG_WARNING, "%s %d", "disk", 3);
    assert_int_equal(sink.calls, 1);
    assert_int_equal(sink.level, LOG_WARNING);
    assert_string_equal(sink.message, "disk 3");
}

static void a_missing_log_or_sink_is_silence(void **state) {
    (void)state;
    Log log = {0};
    log_message(NULL, LOG_ERROR, "x");
    log_message(&log, LOG_ERROR, "x");
    assert_null(log.write);
}

static void long_messages_are_cut_between_characters(void **state) {
    (void)state;
    char text[4000];
    for (size_t shift = 0; shift < 3; shift++) {
        memset(text, 'x', shift);
        for (size_t i = shift; i + 3 < sizeof text; i += 3)
            memcpy(text + i, "\xe2\x82\xac", 4);
        Sink sink = {0};
        Log log = {.write = keep, .ctx = &sink};
        log_message(&log, LOG_ERROR, "%s", text);
        assert_true(strlen(sink.message) > 2040);
        assert_true(utf8_is_valid(sv(sink.message), NULL));
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(messages_below_the_level_are_dropped),
        cmocka_unit_test(a_missing_log_or_sink_is_silence),
        cmocka_unit_test(long_messages_are_cut_between_characters),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
