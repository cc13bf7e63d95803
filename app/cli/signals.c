// Signal handlers. The three statics are the only ones of the program: a handler can reach nothing
// else.
#include "app/cli/signals.h"

#include "app/cli/cli.h"

#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

static volatile sig_atomic_t is_writing;
static volatile sig_atomic_t is_asked;
static volatile sig_atomic_t caught; // while writing or asked: the signal, or 0

static void say(const char *message) {
    ssize_t ignored = write(STDERR_FILENO, message, strlen(message));
    (void)ignored;
}

static void end_by(int signal_number) {
    _exit(signal_number == SIGTERM ? EXIT_TERMINATED : EXIT_INTERRUPTED);
}

static void on_signal(int signal_number) {
    if (is_asked && !caught) {
        caught = signal_number;
        return;
    }
    if (!caught || is_asked)
        say("\nInterrupted by user\n");
    if (!is_writing || caught)
        end_by(signal_number);
    caught = signal_number;
    // Files cannot grow any more; renaming and removing still work.
    struct rlimit limit;
    if (getrlimit(RLIMIT_FSIZE, &limit) == 0) {
        limit.rlim_cur = 0;
        setrlimit(RLIMIT_FSIZE, &limit);
    }
}

static void catch_signal(int signal_number) {
    struct sigaction old;
    if (sigaction(signal_number, NULL, &old) == 0 && old.sa_handler == SIG_IGN)
        return;
    struct sigaction action = {.sa_handler = on_signal, .sa_flags = SA_RESTART};
    sigemptyset(&action.sa_mask);
    sigaddset(&action.sa_mask, SIGINT);
    sigaddset(&action.sa_mask, SIGTERM);
    sigaction(signal_number, &action, NULL);
}

void signals_catch(void) {
    catch_signal(SIGINT);
    catch_signal(SIGTERM);
}

void signals_hold(sigset_t *before) {
    sigset_t held;
    sigemptyset(&held);
    sigaddset(&held, SIGINT);
    sigaddset(&held, SIGTERM);
    sigprocmask(SIG_BLOCK, &held, before);
}

void signals_release(const sigset_t *before) {
    sigprocmask(SIG_SETMASK, before, NULL);
}

void signals_begin_writing(void) {
    // A write over the limit shall fail, not kill.
    signal(SIGXFSZ, SIG_IGN);
    is_writing = 1;
}

void signals_end_writing(void) {
    is_writing = 0;
    if (caught)
        end_by(caught);
}

void signals_begin_asking(void) {
    is_asked = 1;
}

int signals_caught(void) {
    return caught;
}

int signals_end_asking(void) {
    is_asked = 0;
    int signal_number = caught;
    caught = 0;
    return signal_number;
}
