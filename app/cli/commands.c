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
#define OPTION_FORMAT(heading)                                                                     \
    {                                                                                              \
        .group = heading, .name = "format", .kind = OPTION_CHOICE, .value_name = "FORM",           \
        .fallback = "gpux", .choices = (const char *const[]){"gpux", "hf", "raw", NULL},           \
        .help = "Form of the answer: gpux, hf (the hub's) or raw (graph outputs)"                  \
    }
#define OPTION_PROVIDER(heading)                                                                   \
    {                                                                                              \
        .group = heading, .name = "provider", .short_name = 'p', .kind = OPTION_TEXT,              \
        .value_name = "NAME", .help = "Who computes: auto, cpu, ... ('gpux inspect' lists them)"   \
    }
#define OPTION_PRECISION(heading)                                                                  \
    {                                                                                              \
        .group = heading, .name = "precision", .kind = OPTION_CHOICE, .value_name = "TYPE",        \
        .choices = (const char *const[]){"auto", "fp32", "bf16", "int8", NULL},                    \
        .help = "Arithmetic: fp32, bf16 or int8; auto is fp32, or what 'gpux build' found as good" \
    }
#define OPTION_THREADS(heading)                                                                    \
    {                                                                                              \
        .group = heading, .name = "threads", .kind = OPTION_NUMBER, .value_name = "N", .min = 1,   \
        .max = 4096, .help = "Threads (default: the CPUs this process may use)"                    \
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
    .examples = "gpux pull distilbert-base-uncased-finetuned-sst-2-english\n"
                "gpux run distilbert-base-uncased-finetuned-sst-2-english \"I love it!\"\n"
                "gpux inspect ./my-model\n"
                "gpux run ./my-model --benchmark --seq-len 128",
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
     .min = 17,
     .max = 23,
     .help = "ONNX opset of the graph, 17 to 23"},
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

static const Positional COMPLETION_POSITIONALS[] = {
    {"SHELL", true, "bash, zsh or fish"},
};
static const Option COMPLETION_OPTIONS[] = {OPTION_VERBOSE(NULL), OPTION_HELP(NULL)};

static const Positional HELP_POSITIONALS[] = {
    {"COMMAND", false, "The command to explain"},
    {"SUBCOMMAND", false, "Its second word"},
};
static const Option HELP_OPTIONS[] = {
    {.name = "man",
     .kind = OPTION_FLAG,
     .help = "Print the manual page instead, for man -l or mandoc"},
    OPTION_VERBOSE(NULL),
    OPTION_HELP(NULL),
};

#include "app/cli/commands_build.h"
#include "app/cli/commands_hub.h"
#include "app/cli/commands_run.h"

static const Command COMMAND_TABLE[] = {
    {
        .name = "build",
        .summary = "Build and optimize models for GPU inference",
        .details = "Checks a project, measures which precision is as good as fp32 and faster on "
                   "this machine, prepares the weights, and leaves what it found in PATH/.gpux/ "
                   "for later runs.",
        .positionals = BUILD_POSITIONALS,
        .positional_count = COUNT(BUILD_POSITIONALS),
        .options = BUILD_OPTIONS,
        .option_count = COUNT(BUILD_OPTIONS),
        .examples = "gpux build\n"
                    "gpux build ./my-model --strict\n"
                    "gpux build ./my-model --tune throughput\n"
                    "gpux build ./my-model --precision int8 --json",
        .run = cmd_build,
    },
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
        .name = "batch run",
        .summary = "Run inference on every line of a file",
        .details =
            "Reads one JSON request per line and answers each with one line, in the order of the "
            "file. A line that fails gets the answer {\"error\": ...} and the others go on; the "
            "exit code is then 1. Requests of like length run together. A file of any size needs "
            "no more memory than a thousand lines of it.",
        .positionals = BATCH_RUN_POSITIONALS,
        .positional_count = COUNT(BATCH_RUN_POSITIONALS),
        .options = BATCH_RUN_OPTIONS,
        .option_count = COUNT(BATCH_RUN_OPTIONS),
        .examples = "gpux batch run ./my-model requests.jsonl -o answers.jsonl\n"
                    "gpux batch run ./my-model requests.jsonl -o answers.jsonl --resume\n"
                    "zcat requests.jsonl.gz | gpux batch run ./my-model - | gzip > answers.gz",
        .run = cmd_batch_run,
    },
    {
        .name = "batch pull",
        .summary = "Pull every model of a list",
        .details = "One model after the other; one that fails is reported and the others go on. "
                   "The exit code is that of the first failure.",
        .positionals = BATCH_PULL_POSITIONALS,
        .positional_count = COUNT(BATCH_PULL_POSITIONALS),
        .options = BATCH_PULL_OPTIONS,
        .option_count = COUNT(BATCH_PULL_OPTIONS),
        .examples = "gpux batch pull models.txt\n"
                    "echo org/name | gpux batch pull -",
        .run = cmd_batch_pull,
    },
    {
        .name = "pull",
        .summary = "Pull a model from a supported registry",
        .details = "Downloads what is needed, verifies it, and converts it to ONNX. A pull that "
                   "was interrupted goes on where it was; one that is up to date downloads "
                   "nothing.",
        .positionals = PULL_POSITIONALS,
        .positional_count = COUNT(PULL_POSITIONALS),
        .options = PULL_OPTIONS,
        .option_count = COUNT(PULL_OPTIONS),
        .examples = "gpux pull sentence-transformers/all-MiniLM-L6-v2\n"
                    "gpux pull org/name --revision v1.0\n"
                    "gpux pull org/name@refs/pr/1 --json",
        .run = cmd_pull,
    },
    {
        .name = "list",
        .alias = "ls",
        .summary = "List cached models",
        .options = LIST_OPTIONS,
        .option_count = COUNT(LIST_OPTIONS),
        .run = cmd_list,
    },
    {
        .name = "rm",
        .alias = "remove",
        .summary = "Remove cached models",
        .positionals = RM_POSITIONALS,
        .positional_count = COUNT(RM_POSITIONALS),
        .is_last_repeated = true,
        .options = RM_OPTIONS,
        .option_count = COUNT(RM_OPTIONS),
        .examples = "gpux rm org/name\n"
                    "gpux rm org/name --revision v1.0\n"
                    "gpux rm --all",
        .run = cmd_rm,
    },
    {
        .name = "prune",
        .summary = "Delete what the cache can do without",
        .details =
            "Replaced and removed copies, lock files that nobody holds, pulls that were "
            "interrupted more than 7 days ago, and prepared weights and compiled tokenizers, "
            "which the next run of a model makes again.",
        .options = PRUNE_OPTIONS,
        .option_count = COUNT(PRUNE_OPTIONS),
        .run = cmd_prune,
    },
    {
        .name = "search",
        .summary = "Search a registry for models",
        .positionals = SEARCH_POSITIONALS,
        .positional_count = COUNT(SEARCH_POSITIONALS),
        .options = SEARCH_OPTIONS,
        .option_count = COUNT(SEARCH_OPTIONS),
        .examples = "gpux search minilm --task sentence-similarity --sort downloads",
        .run = cmd_search,
    },
    {
        .name = "info",
        .summary = "Show what a registry says of a model, without downloading it",
        .positionals = PULL_POSITIONALS,
        .positional_count = COUNT(PULL_POSITIONALS),
        .options = INFO_OPTIONS,
        .option_count = COUNT(INFO_OPTIONS),
        .examples = "gpux info sentence-transformers/all-MiniLM-L6-v2",
        .run = cmd_info,
    },
    {
        .name = "login",
        .summary = "Store a token of a registry",
        .details = "Asks for the token, shows it nowhere, and stores it only after the registry "
                   "has accepted it.",
        .positionals = LOGIN_POSITIONALS,
        .positional_count = COUNT(LOGIN_POSITIONALS),
        .options = LOGIN_OPTIONS,
        .option_count = COUNT(LOGIN_OPTIONS),
        .examples = "gpux login\n"
                    "gpux login --token-stdin < token.txt",
        .run = cmd_login,
    },
    {
        .name = "logout",
        .summary = "Forget the stored token",
        .positionals = LOGIN_POSITIONALS,
        .positional_count = COUNT(LOGIN_POSITIONALS),
        .options = LOGOUT_OPTIONS,
        .option_count = COUNT(LOGOUT_OPTIONS),
        .run = cmd_logout,
    },
    {
        .name = "registries",
        .summary = "List the registries that gpux knows",
        .options = REGISTRIES_OPTIONS,
        .option_count = COUNT(REGISTRIES_OPTIONS),
        .run = cmd_registries,
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
            "they are. The id of a cached model stands for its folder.",
        .positionals = CONVERT_POSITIONALS,
        .positional_count = COUNT(CONVERT_POSITIONALS),
        .options = CONVERT_OPTIONS,
        .option_count = COUNT(CONVERT_OPTIONS),
        .examples = "gpux convert ./my-model\n"
                    "gpux convert ./my-model -o ./converted --opset 18",
        .run = cmd_convert,
    },
    {
        .name = "completion",
        .summary = "Print the completion script of a shell",
        .details = "The script completes commands, options, their values, and models.",
        .positionals = COMPLETION_POSITIONALS,
        .positional_count = COUNT(COMPLETION_POSITIONALS),
        .options = COMPLETION_OPTIONS,
        .option_count = COUNT(COMPLETION_OPTIONS),
        .examples = "source <(gpux completion bash)\n"
                    "gpux completion zsh > ~/.zfunc/_gpux\n"
                    "gpux completion fish > ~/.config/fish/completions/gpux.fish",
        .run = cmd_completion,
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
        .summary = "Explain a command, also as a manual page",
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
    {"GPUX_AUTO_PULL", "1: run pulls a model that is not cached, as --pull missing"},
    {"GPUX_OFFLINE", "1: no network at all (also HF_HUB_OFFLINE, TRANSFORMERS_OFFLINE)"},
    {"HF_TOKEN", "Token of the hub (also HUGGING_FACE_HUB_TOKEN)"},
    {"HF_ENDPOINT", "Address of the hub instead of https://huggingface.co"},
    {"GPUX_PROVIDER", "Provider, as --provider"},
    {"GPUX_PRECISION", "Precision, as --precision"},
    {"GPUX_THREADS", "Threads, as --threads"},
    {"GPUX_PREPARED", "Packed weights and tokenizer are kept: auto, always or never"},
    {"GPUX_LOG_LEVEL", "DEBUG, INFO, WARNING (default), ERROR or CRITICAL"},
    {"GPUX_CPU_LEVEL", "Test aid: hold the CPU back to ref, avx2 or avx512"},
    {"NO_COLOR", "No colour and no box characters"},
    {"COLUMNS", "Width of tables and help, instead of the terminal's"},
};

const EnvVariable *const ENV_VARIABLES = ENV_TABLE;
const size_t ENV_VARIABLE_COUNT = COUNT(ENV_TABLE);

static const ExitMeaning EXIT_TABLE[] = {
    {"0", "Success"},
    {"1",
     "Any failure of build, run or inspect, a model that is not found, and other general failures"},
    {"2", "Usage error; pull, info, rm: the model or its revision is not found"},
    {"3", "pull, search, info, login: network error, or offline"},
    {"4", "pull, search, info, login: the registry refuses the token, or the model is gated"},
    {"5", "pull, convert: the checkpoint cannot become a graph"},
    {"130, 143", "Interrupted by SIGINT, SIGTERM"},
};

const ExitMeaning *const EXIT_MEANINGS = EXIT_TABLE;
const size_t EXIT_MEANING_COUNT = COUNT(EXIT_TABLE);

static bool is_alias(const Command *command, const char *word) {
    return command->alias != NULL && strcmp(command->alias, word) == 0;
}

const Command *command_find(const char *name) {
    for (size_t i = 0; i < COMMAND_COUNT; i++)
        if (strcmp(COMMANDS[i].name, name) == 0 || is_alias(&COMMANDS[i], name))
            return &COMMANDS[i];
    return NULL;
}

// Length of the first word of a name.
static size_t first_word(const char *name) {
    return strcspn(name, " ");
}

const Command *command_match(int argc, char *const *argv, int *words) {
    for (size_t i = 0; i < COMMAND_COUNT && argc > 0; i++) {
        const char *name = COMMANDS[i].name;
        size_t len = first_word(name);
        bool is_meant = is_alias(&COMMANDS[i], argv[0]);
        if (!is_meant && !sv_equal_cstr(sv_n(name, len), argv[0]))
            continue;
        *words = name[len] == '\0' ? 1 : 2;
        if (*words == 1 || (argc > 1 && strcmp(name + len + 1, argv[1]) == 0))
            return &COMMANDS[i];
    }
    return NULL;
}

bool command_is_group(const char *word) {
    for (size_t i = 0; i < COMMAND_COUNT; i++) {
        const char *name = COMMANDS[i].name;
        size_t len = first_word(name);
        if (name[len] == ' ' && sv_equal_cstr(sv_n(name, len), word))
            return true;
    }
    return false;
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
