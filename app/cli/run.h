// What `gpux run`, its benchmark and `gpux batch run` share: a model found, opened and given a
// runner.
//
// Order on a failure: options, model, input, engine, run.
#ifndef GPUX_CLI_RUN_H
#define GPUX_CLI_RUN_H

#include "app/cli/cli.h"
#include "app/cli/input.h"

typedef struct RunJob {
    Cli *cli;
    const char *name;      // as the user typed it
    const char *provider;  // NULL = auto
    const char *precision; // NULL = as the configuration says
    int threads;           // 0 = automatic
    size_t max_tokens;     // of one pass; 0 = the library's choice
    gpux_form form;
    RunInput input;
    gpux_text folder; // what the name leads to
    gpux_model *model;
    gpux_runner *runner;
    double load_ms; // opening the model and making the runner
} RunJob;

// Reads MODEL_NAME, --format, --provider, --precision and --threads with their environment
// variables. EXIT_OK, or the exit code after printing what is wrong; so do the next ones.
int run_read_model_options(RunJob *job);
int run_find_model(RunJob *job);
// Opens the model, anew if it is open, and makes its runner.
int run_open_model(RunJob *job);
// Opens the same model once more, beside the job's own, in another precision.
int run_open_other(gpux_model **model, gpux_runner **runner, const RunJob *job,
                   const char *precision);
// Frees the model and its runner, not the input.
void run_close(RunJob *job);
// gpux_inspect of the model's folder, or gpux_inspect_file of its file.
gpux_status run_inspect(gpux_text *out, bool *is_file, const RunJob *job, gpux_error *error);
// "Run failed: <message>"; answers EXIT_FAILED.
int run_failed(const RunJob *job, const gpux_error *error);

// Steps the requests together until none is ready to go on.
gpux_status run_step_to_end(gpux_runner *runner, gpux_request *const *requests, size_t count,
                            gpux_error *error);

// Makes job->runner anew with `threads`; frees the one before.
int run_new_runner(RunJob *job, int threads);
// Writes the result where --output and --json want it. `what` begins the confirmation:
// "Results saved to".
int run_deliver(const RunJob *job, StrView text, const char *what);
// Shows the steps of the runner so far on stderr.
int run_show_profile(const RunJob *job);

#endif
