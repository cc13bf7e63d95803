// --reference: the same requests are run in another precision too, and the answers compared.
#ifndef GPUX_CLI_REFERENCE_H
#define GPUX_CLI_REFERENCE_H

#include "app/bench/bench.h"
#include "app/bench/difference.h"
#include "app/cli/run.h"

typedef struct Reference {
    const char *precision; // NULL = there is no reference, and nothing else is set
    gpux_model *model;
    gpux_runner *runner;
    Buf dataset; // --dataset; empty = the run's own requests are compared
    bool has_dataset;
    gpux_text description; // of the model
    JsonDoc *description_doc;
    const JsonValue *labels; // in index order; may be absent
} Reference;

// Checks --reference and --dataset before anything is loaded. EXIT_OK or EXIT_USAGE.
int reference_check(const Cli *cli);
// Reads the dataset; then nothing is wrong with the input.
int reference_load(Reference *out, const RunJob *job);
// Opens the reference beside the job's opened model.
int reference_open(Reference *reference, const RunJob *job);
void reference_close(Reference *reference);

// Compares job->model with the reference over the dataset, else over `input`. EXIT_OK, or the exit
// code after printing what went wrong.
int reference_compare(DifferenceReport *out, const Reference *reference, const RunJob *job,
                      const BenchInput *input);
// The same over one request per line.
int reference_compare_lines(DifferenceReport *out, const Reference *reference, const RunJob *job,
                            StrView lines);

#endif
