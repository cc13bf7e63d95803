// One pull with its progress on stderr: what `gpux pull`, `gpux batch pull` and `gpux run --pull`
// share.
#ifndef GPUX_CLI_PULL_H
#define GPUX_CLI_PULL_H

#include "app/cli/cli.h"

typedef struct PullJob {
    Cli *cli;
    gpux_pull_options options;
    bool is_quiet;    // errors only
    gpux_text report; // after success: the JSON of gpux_pull
    gpux_error error; // after a failure
    size_t fetched;   // files that came over the network
} PullJob;

// A job with the options of the command line, as far as the command has them.
PullJob pull_job(Cli *cli, const char *model);
// Pulls; SIGINT and SIGTERM stop it so that the next pull goes on where this one was. EXIT_OK, or
// the exit code after printing why not.
int pull_run(PullJob *job);
// `gpux run --pull`, GPUX_AUTO_PULL and --offline: pulls `name` where they say so, before it is
// looked up. EXIT_OK also when there is nothing to pull; else the exit code of a run.
int pull_before_run(Cli *cli, const char *name);
// Frees the report; the job can run again.
void pull_clear(PullJob *job);

#endif
