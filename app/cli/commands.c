// The one table: what can be typed, and what the help says about it.
#include "app/cli/commands.h"

#include "base/str.h"

#include <stdint.h>
#include <string.h>

#define COUNT(array) (sizeof(array) / sizeof(array)[0])

// Options of several commands; `heading` is their group in the help, NULL for plain "Options".
#define OPTION_HELP(heading)                                                                       \
    {                                                                                              \
        .group = heading, .name = "help", .short_name = 'h', .kind = OPTION_FLAG,                  \
        .help = "Show this help and exit"                                                          \
    }
#define OPTION_VERBOSE(heading)                                                                    \
    {                                                                                              \
        .group = heading, .name = "verbose", .short_name = 'v', .kind = OPTION_FLAG,               \
        .help = "Say on stderr what is done and what was chosen (log level DEBUG)"                 \
    }
#define OPTION_CONFIG(heading)                                                                     \
    {                                                                                              \
        .group = heading, .name = "config", .short_name = 'c', .kind = OPTION_TEXT,                \
        .value_name = "FILE", .fallback = "gpux.yml", .help = "Name of the configuration file"     \
    }
#define OPTION_CACHE_DIR(heading)                                                                  \
    {                                                                                              \
        .group = heading, .name = "cache-dir", .kind = OPTION_TEXT, .value_name = "DIR",           \
        .help = "Cache root (else GPUX_CACHE_DIR, else ~/.gpux/models)"                            \
    }
#define OPTION_REVISION(heading)                                                                   \
    {                                                                                              \
        .group = heading, .name = "revision", .kind = OPTION_TEXT, .value_name = "REV",            \
        .help = "Revision of a cached model: branch, tag or commit"                                \
    }
#define OPTION_JSON(what)                                                                          \
    { .name = "json", .kind = OPTION_FLAG, .help = what }

static const Option ROOT_OPTIONS[] = {
    {.name = "version",
     .short_name = 'V',
     .kind = OPTION_FLAG,
     .help = "Print the version and exit"},
    OPTION_VERBOSE(NULL),
    OPTION_HELP(NULL),
};

const Command COMMAND_ROOT = {
    .name = "gpux",
    .summary = "Docker-like GPU runtime for ML inference",
    .options = ROOT_OPTIONS,
    .option_count = COUNT(ROOT_OPTIONS),
    .examples = "gpux convert ./my-model\n"
                "gpux inspect ./my-model\n"
                "gpux run ./my-model \"I love this product!\"\n"
                "gpux run ./my-model --benchmark --seq-len 128",
};

static const Positional RUN_POSITIONALS[] = {
    {"MODEL_NAME", true, "A folder, a project here, or a cached model"},
    {"PROMPT", false, "Text to run on; the same as --text"},
};

static const Option RUN_OPTIONS[] = {
    {.group = "Input",
     .name = "input",
     .short_name = 'i',
     .kind = OPTION_TEXT,
     .value_name = "JSON",
     .help = "Request: JSON text, @FILE, an existing file, or - for stdin; an array is a batch"},
    {.group = "Input",
     .name = "file",
     .short_name = 'f',
     .kind = OPTION_TEXT,
     .value_name = "FILE",
     .help = "JSON file with the request; of a .jsonl file each line is one request"},
    {.group = "Input",
     .name = "text",
     .kind = OPTION_TEXT,
     .value_name = "TEXT",
     .help = "Short for --input '{\"inputs\": \"TEXT\"}'"},
    {.group = "Output",
     .name = "output",
     .short_name = 'o',
     .kind = OPTION_TEXT,
     .value_name = "FILE",
     .help = "Write the result JSON there; its folder must exist"},
    {.group = "Output",
     .name = "format",
     .kind = OPTION_CHOICE,
     .value_name = "FORM",
     .fallback = "gpux",
     .choices = (const char *const[]){"gpux", "hf", "raw", NULL},
     .help = "Form of the answer: gpux, hf (the hub's) or raw (graph outputs)"},
    {.group = "Output",
     .name = "json",
     .kind = OPTION_FLAG,
     .help = "Print only JSON: the result, or the benchmark's figures"},
    OPTION_CONFIG("Model"),
    OPTION_CACHE_DIR("Model"),
    OPTION_REVISION("Model"),
    {.group = "Engine",
     .name = "provider",
     .short_name = 'p',
     .kind = OPTION_TEXT,
     .value_name = "NAME",
     .help = "Who computes: auto, cpu, ... ('gpux inspect' lists them)"},
    {.group = "Engine",
     .name = "precision",
     .kind = OPTION_CHOICE,
     .value_name = "TYPE",
     .choices = (const char *const[]){"auto", "fp32", NULL},
     .help = "Arithmetic: auto or fp32"},
    {.group = "Engine",
     .name = "threads",
     .kind = OPTION_NUMBER,
     .value_name = "N",
     .min = 1,
     .max = 4096,
     .help = "Threads (default: the CPUs this process may use)"},
    {.group = "Engine",
     .name = "profile",
     .kind = OPTION_FLAG,
     .help = "Show the time of each step of the model on stderr"},
    {.group = "Benchmark",
     .name = "benchmark",
     .kind = OPTION_FLAG,
     .help = "Measure; without input a synthetic request is used"},
    {.group = "Benchmark",
     .name = "runs",
     .kind = OPTION_NUMBER,
     .value_name = "N",
     .fallback = "100",
     .min = 1,
     .max = 100000000,
     .help = "Timed runs"},
    {.group = "Benchmark",
     .name = "warmup",
     .kind = OPTION_NUMBER,
     .value_name = "N",
     .fallback = "10",
     .min = 0,
     .max = 100000000,
     .help = "Runs before the timed ones"},
    {.group = "Benchmark",
     .name = "batch",
     .kind = OPTION_NUMBER,
     .value_name = "N",
     .min = 1,
     .max = 65536,
     .help = "Samples per run: of the synthetic request, or copies of the given one"},
    {.group = "Benchmark",
     .name = "seq-len",
     .kind = OPTION_NUMBER,
     .value_name = "N",
     .min = 1,
     .max = 1048576,
     .help = "Tokens per sample of the synthetic request (default: 128, or the model's limit)"},
    {.group = "Benchmark",
     .name = "scope",
     .kind = OPTION_CHOICE,
     .value_name = "SCOPE",
     .fallback = "e2e",
     .choices = (const char *const[]){"e2e", "model", NULL},
     .help = "Main figure: e2e (tokenise, model, interpret) or model alone"},
    {.group = "Benchmark",
     .name = "sweep",
     .kind = OPTION_TEXT,
     .value_name = "KEY=LIST",
     .help = "One row per value, the best is marked: batch=1,4,16 or threads=1,2 or seq-len=8,128"},
    OPTION_VERBOSE("General"),
    OPTION_HELP("General"),
};

static const Positional INSPECT_POSITIONALS[] = {
    {"MODEL_NAME", false, "A folder, a project here, or a cached model; without it: this machine"},
};

static const Option INSPECT_OPTIONS[] = {
    {.name = "model",
     .short_name = 'm',
     .kind = OPTION_TEXT,
     .value_name = "FILE",
     .help = "Inspect a model file, without any configuration"},
    {.name = "graph",
     .kind = OPTION_FLAG,
     .help = "Also show the graph: its operators, and the plan the engine runs"},
    {.name = "json",
     .alias = "json-output",
     .kind = OPTION_FLAG,
     .help = "Print JSON instead of tables"},
    OPTION_CONFIG(NULL),
    OPTION_CACHE_DIR(NULL),
    OPTION_REVISION(NULL),
    OPTION_VERBOSE(NULL),
    OPTION_HELP(NULL),
};

static const Positional CONVERT_POSITIONALS[] = {
    {"DIR", true, "Folder with the checkpoint, or a file in it"},
};

static const Option CONVERT_OPTIONS[] = {
    {.name = "output",
     .short_name = 'o',
     .kind = OPTION_TEXT,
     .value_name = "DIR",
     .help = "Folder for the result (default: beside the weights)"},
    {.name = "opset",
     .kind = OPTION_NUMBER,
     .value_name = "N",
     .fallback = "18",
     .min = 13,
     .max = 23,
     .help = "ONNX opset of the graph, 13 to 23"},
    {.name = "task",
     .kind = OPTION_TEXT,
     .value_name = "TASK",
     .help = "Task of the model (default: from its architecture)"},
    {.name = "force", .kind = OPTION_FLAG, .help = "Overwrite a gpux.yml that is there"},
    OPTION_JSON("Print JSON instead of a table"),
    OPTION_VERBOSE(NULL),
    OPTION_HELP(NULL),
};

static const Option VERSION_OPTIONS[] = {
    OPTION_JSON("Also the build and the engines, as JSON"),
    OPTION_VERBOSE(NULL),
    OPTION_HELP(NULL),
};

static const Positional HELP_POSITIONALS[] = {{"COMMAND", false, "The command to explain"}};
static const Option HELP_OPTIONS[] = {OPTION_VERBOSE(NULL), OPTION_HELP(NULL)};

static const Command COMMAND_TABLE[] = {
    {
        .name = "run",
        .summary = "Run inference on a model",
        .details = "Prints the answer as JSON on stdout; everything else goes to stderr.",
        .positionals = RUN_POSITIONALS,
        .positional_count = COUNT(RUN_POSITIONALS),
        .options = RUN_OPTIONS,
        .option_count = COUNT(RUN_OPTIONS),
        .examples = "gpux run ./my-model \"I love this product!\"\n"
                    "gpux run ./my-model -i '{\"inputs\": \"Hello\"}' -o result.json\n"
                    "gpux run ./my-model -f requests.jsonl > answers.jsonl\n"
                    "gpux run ./my-model --benchmark --runs 1000 --warmup 100\n"
                    "gpux run ./my-model --sweep batch=1,4,8,16",
        .run = cmd_run,
    },
    {
        .name = "inspect",
        .summary = "Inspect models and runtime information",
        .details = "Without a model it shows the execution providers of this machine.",
        .positionals = INSPECT_POSITIONALS,
        .positional_count = COUNT(INSPECT_POSITIONALS),
        .options = INSPECT_OPTIONS,
        .option_count = COUNT(INSPECT_OPTIONS),
        .examples = "gpux inspect\n"
                    "gpux inspect ./my-model --graph\n"
                    "gpux inspect --model model.onnx --json",
        .run = cmd_inspect,
    },
    {
        .name = "convert",
        .summary = "Convert a checkpoint folder to a model that gpux runs",
        .details =
            "Writes model.onnx, gpux.yml and metadata.json beside the weights, which stay as "
            "they are.",
        .positionals = CONVERT_POSITIONALS,
        .positional_count = COUNT(CONVERT_POSITIONALS),
        .options = CONVERT_OPTIONS,
        .option_count = COUNT(CONVERT_OPTIONS),
        .examples = "gpux convert ./my-model\n"
                    "gpux convert ./my-model -o ./converted --opset 18",
        .run = cmd_convert,
    },
    {
        .name = "version",
        .summary = "Print the version",
        .options = VERSION_OPTIONS,
        .option_count = COUNT(VERSION_OPTIONS),
        .run = cmd_version,
    },
    {
        .name = "help",
        .summary = "Explain a command",
        .positionals = HELP_POSITIONALS,
        .positional_count = COUNT(HELP_POSITIONALS),
        .options = HELP_OPTIONS,
        .option_count = COUNT(HELP_OPTIONS),
        .run = cmd_help,
    },
};

const Command *const COMMANDS = COMMAND_TABLE;
const size_t COMMAND_COUNT = COUNT(COMMAND_TABLE);

static const EnvVariable ENV_TABLE[] = {
    {"GPUX_CACHE_DIR", "Cache root instead of ~/.gpux/models"},
    {"GPUX_PROVIDER", "Provider, as --provider"},
    {"GPUX_PRECISION", "Precision, as --precision"},
    {"GPUX_THREADS", "Threads, as --threads"},
    {"GPUX_LOG_LEVEL", "DEBUG, INFO, WARNING (default), ERROR or CRITICAL"},
    {"GPUX_CPU_LEVEL", "Test aid: hold the CPU back to ref, avx2 or avx512"},
    {"NO_COLOR", "No colour and no box characters"},
};

const EnvVariable *const ENV_VARIABLES = ENV_TABLE;
const size_t ENV_VARIABLE_COUNT = COUNT(ENV_TABLE);

const Command *command_find(const char *name) {
    for (size_t i = 0; i < COMMAND_COUNT; i++)
        if (strcmp(COMMANDS[i].name, name) == 0)
            return &COMMANDS[i];
    return NULL;
}

// Two letters swapped ("rnu") are one slip but two edits.
static bool is_swap(const char *typed, const char *name) {
    size_t len = strlen(name);
    if (strlen(typed) != len)
        return false;
    size_t at = 0;
    while (at < len && typed[at] == name[at])
        at++;
    return at + 1 < len && typed[at] == name[at + 1] && typed[at + 1] == name[at] &&
           strcmp(typed + at + 2, name + at + 2) == 0;
}

const char *command_closest(const char *name) {
    const char *names[COUNT(COMMAND_TABLE)];
    for (size_t i = 0; i < COMMAND_COUNT; i++) {
        names[i] = COMMANDS[i].name;
        if (is_swap(name, names[i]))
            return names[i];
    }
    for (size_t i = 0; strlen(name) > 2 && i < COMMAND_COUNT; i++)
        if (sv_starts_with(sv(names[i]), sv(name)))
            return names[i];
    return str_closest(sv(name), names, COMMAND_COUNT);
}
