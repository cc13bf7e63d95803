// The pieces of `gpux run` that its plain run and its benchmark share.
#ifndef GPUX_CLI_RUN_H
#define GPUX_CLI_RUN_H

#include "app/cli/cli.h"
#include "app/cli/input.h"

typedef struct RunJob {
    Cli *cli;
    const char *name;     // as the user typed it
    const char *provider; // NULL = auto
    const char *precision;
    int threads; // 0 = automatic
    gpux_form form;
    RunInput input;
    gpux_text folder; // what the name leads to
    gpux_model *model;
    gpux_runner *runner;
    double load_ms; // opening the model and making the runner
} RunJob;

// Makes job->runner anew with `threads`; frees the one before.
int run_new_runner(RunJob *job, int threads);
// Writes the result where --output and --json want it. `what` begins the confirmation:
// "Results saved to".
int run_deliver(const RunJob *job, StrView text, const char *what);
// Shows the steps of the runner so far on stderr.
int run_show_profile(const RunJob *job);

// The benchmark of an opened model.
int run_benchmark(RunJob *job);
// Checks --sweep before anything is loaded. EXIT_OK or EXIT_USAGE.
int run_check_sweep(const Cli *cli);

#endif
