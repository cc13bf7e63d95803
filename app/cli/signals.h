// What SIGINT and SIGTERM do to this process.
#ifndef GPUX_CLI_SIGNALS_H
#define GPUX_CLI_SIGNALS_H

#include <signal.h>

// The process ends at once: "Interrupted by user", 130 or 143. A signal that the parent made us
// ignore stays ignored.
void signals_catch(void);

// Holds both signals back while something is put in place that must be whole or absent; they come
// with signals_release.
void signals_hold(sigset_t *before);
void signals_release(const sigset_t *before);

// From here until signals_end_writing a signal does not end the process: instead every write that
// would make a file longer fails, so that whoever writes cleans up as for a full disk. A second
// signal ends the process at once.
void signals_begin_writing(void);
// Writing works again. If a signal came meanwhile, this does not return: the process ends as after
// signals_catch.
void signals_end_writing(void);

// From here until signals_end_asking a first signal is only remembered, for work that can stop by
// itself and say so; a second one ends the process at once.
void signals_begin_asking(void);
// The signal, or 0.
int signals_caught(void);
int signals_end_asking(void);

#endif
