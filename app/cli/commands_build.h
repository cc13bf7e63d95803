// The options of `gpux build`; included by commands.c alone, whose shared options it uses.
#ifndef GPUX_CLI_COMMANDS_BUILD_H
#define GPUX_CLI_COMMANDS_BUILD_H

static const Positional BUILD_POSITIONALS[] = {
    {"PATH", false, "Folder of the project, its gpux.yml, or a cached model (default: .)"},
};

static const Option BUILD_OPTIONS[] = {
    OPTION_CONFIG(NULL),
    OPTION_PROVIDER(NULL),
    {.name = "optimize",
     .kind = OPTION_FLAG,
     .help = "Measure and prepare the model (default); --no-optimize only checks and describes it"},
    {.name = "precision",
     .kind = OPTION_CHOICE,
     .value_name = "TYPE",
     .choices = (const char *const[]){"auto", "fp32", "bf16", "int8", NULL},
     .help = "Prepare the weights in this precision; auto (default, unless gpux.yml names "
             "one) measures which is good"},
    {.name = "tune",
     .kind = OPTION_CHOICE,
     .value_name = "GOAL",
     .choices = (const char *const[]){"latency", "throughput", NULL},
     .bare = "latency",
     .help = "Also measure how many threads are best: for one request at a time (latency), or for "
             "many together (throughput)"},
    {.name = "dataset",
     .kind = OPTION_TEXT,
     .value_name = "FILE",
     .help = "Compare precisions over the requests of this file, one a line, instead of over "
             "built-in texts"},
    {.name = "strict",
     .kind = OPTION_FLAG,
     .help = "Unknown and duplicate keys, and what contradicts the model, are errors"},
    OPTION_JSON("Print JSON instead of tables"),
    OPTION_CACHE_DIR(NULL),
    OPTION_VERBOSE(NULL),
    OPTION_HELP(NULL),
};

#endif
