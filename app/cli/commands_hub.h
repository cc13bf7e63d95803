// The options of the hub and cache commands: a part of the table in commands.c, which alone
// includes it.
#ifndef GPUX_CLI_COMMANDS_HUB_H
#define GPUX_CLI_COMMANDS_HUB_H

#define OPTION_REGISTRY(heading)                                                                   \
    {                                                                                              \
        .group = heading, .name = "registry", .short_name = 'r', .kind = OPTION_TEXT,              \
        .value_name = "NAME", .help = "huggingface or hf; 'gpux registries' lists them"            \
    }
#define OPTION_TOKEN(heading)                                                                      \
    {                                                                                              \
        .group = heading, .name = "token", .kind = OPTION_TEXT, .value_name = "TOKEN",             \
        .help = "Token for private and gated models (else HF_TOKEN, else the one of 'gpux login')" \
    }
#define OPTION_OFFLINE(heading)                                                                    \
    {                                                                                              \
        .group = heading, .name = "offline", .kind = OPTION_FLAG,                                  \
        .help = "Send nothing: only a cached copy will do"                                         \
    }

// What pull and batch pull share, between what each has alone.
#define PULL_SHARED_OPTIONS                                                                        \
    OPTION_REGISTRY("Hub"), OPTION_TOKEN("Hub"), OPTION_OFFLINE("Hub"),                            \
        {.group = "Download",                                                                      \
         .name = "force",                                                                          \
         .short_name = 'f',                                                                        \
         .kind = OPTION_FLAG,                                                                      \
         .help = "Download and convert again; the old copy serves until the new one is whole"},    \
        {.group = "Download",                                                                      \
         .name = "format",                                                                         \
         .kind = OPTION_CHOICE,                                                                    \
         .value_name = "FORMAT",                                                                   \
         .fallback = "auto",                                                                       \
         .choices = (const char *const[]){"auto", "safetensors", "pytorch", "onnx", "tensorflow",  \
                                          "gguf", NULL},                                           \
         .help = "Weights to download"},                                                           \
        {.group = "Download",                                                                      \
         .name = "all-files",                                                                      \
         .kind = OPTION_FLAG,                                                                      \
         .help = "Download every file of the model, not only those that gpux needs"},              \
        {.group = "Download",                                                                      \
         .name = "jobs",                                                                           \
         .kind = OPTION_NUMBER,                                                                    \
         .value_name = "N",                                                                        \
         .fallback = "8",                                                                          \
         .min = 1,                                                                                 \
         .max = 64,                                                                                \
         .help = "Files that are downloaded at a time"},                                           \
        OPTION_CACHE_DIR("Download"),                                                              \
        {.group = "Conversion",                                                                    \
         .name = "task",                                                                           \
         .kind = OPTION_TEXT,                                                                      \
         .value_name = "TASK",                                                                     \
         .help = "Task of the model (default: from its architecture)"},                            \
        {.group = "Conversion",                                                                    \
         .name = "opset",                                                                          \
         .kind = OPTION_NUMBER,                                                                    \
         .value_name = "N",                                                                        \
         .fallback = "18",                                                                         \
         .min = 17,                                                                                \
         .max = 23,                                                                                \
         .help = "ONNX opset of the graph, 17 to 23"},                                             \
        {.group = "Conversion",                                                                    \
         .name = "no-convert",                                                                     \
         .kind = OPTION_FLAG,                                                                      \
         .help = "Only download; a later pull converts"},                                          \
    {                                                                                              \
        .group = "Output", .name = "quiet", .short_name = 'q', .kind = OPTION_FLAG,                \
        .help = "Print only the model's folder"                                                    \
    }

static const Positional PULL_POSITIONALS[] = {
    {"MODEL_ID", true, "org/name or name; also hf:org/name, org/name@revision, or its address"},
};
static const Option PULL_OPTIONS[] = {
    {.group = "Hub",
     .name = "revision",
     .alias = "rev",
     .kind = OPTION_TEXT,
     .value_name = "REV",
     .help = "Branch, tag, refs/pr/N or commit (default: main)"},
    PULL_SHARED_OPTIONS,
    {.group = "Output", .name = "json", .kind = OPTION_FLAG, .help = "Print JSON"},
    {.group = "Check",
     .name = "provider",
     .short_name = 'p',
     .kind = OPTION_TEXT,
     .value_name = "NAME",
     .help = "Open the model with this provider afterwards and say whether it can run it"},
    OPTION_VERBOSE("General"),
    OPTION_HELP("General"),
};

static const Positional BATCH_PULL_POSITIONALS[] = {
    {"FILE", true, "File with one MODEL_ID per line, or - for stdin; # begins a comment"},
};
static const Option BATCH_PULL_OPTIONS[] = {
    PULL_SHARED_OPTIONS,
    {.group = "Output",
     .name = "json",
     .kind = OPTION_FLAG,
     .help = "Print a line of JSON for each model; of one that failed it has \"error\""},
    OPTION_VERBOSE("General"),
    OPTION_HELP("General"),
};

static const Option LIST_OPTIONS[] = {
    {.name = "quiet", .short_name = 'q', .kind = OPTION_FLAG, .help = "Print the ids only"},
    OPTION_JSON("Print JSON instead of a table"),
    OPTION_REGISTRY(NULL),
    OPTION_CACHE_DIR(NULL),
    OPTION_VERBOSE(NULL),
    OPTION_HELP(NULL),
};

static const Positional RM_POSITIONALS[] = {
    {"MODEL...", false, "Cached models, by id or by a name that 'gpux run' takes"},
};
static const Option RM_OPTIONS[] = {
    OPTION_REVISION(NULL),
    {.name = "all", .kind = OPTION_FLAG, .help = "Remove every model"},
    {.name = "force",
     .short_name = 'f',
     .kind = OPTION_FLAG,
     .help = "Ask nothing, and remove also what a process is using"},
    OPTION_CACHE_DIR(NULL),
    OPTION_VERBOSE(NULL),
    OPTION_HELP(NULL),
};

static const Option PRUNE_OPTIONS[] = {
    OPTION_JSON("Print JSON"),
    OPTION_CACHE_DIR(NULL),
    OPTION_VERBOSE(NULL),
    OPTION_HELP(NULL),
};

static const Positional SEARCH_POSITIONALS[] = {
    {"QUERY", true, "Words to look for in the names of models"},
};
static const Option SEARCH_OPTIONS[] = {
    {.name = "limit",
     .kind = OPTION_NUMBER,
     .value_name = "N",
     .fallback = "10",
     .min = 1,
     .max = 1000,
     .help = "At most N models"},
    {.name = "task",
     .kind = OPTION_TEXT,
     .value_name = "TASK",
     .help = "Only models of this task, such as text-classification"},
    {.name = "sort",
     .kind = OPTION_CHOICE,
     .value_name = "ORDER",
     .choices = (const char *const[]){"downloads", "likes", "updated", NULL},
     .help = "downloads, likes or updated (default: the hub's own order)"},
    OPTION_JSON("Print JSON instead of a table"),
    OPTION_REGISTRY(NULL),
    OPTION_TOKEN(NULL),
    OPTION_VERBOSE(NULL),
    OPTION_HELP(NULL),
};

static const Option INFO_OPTIONS[] = {
    {.name = "revision",
     .alias = "rev",
     .kind = OPTION_TEXT,
     .value_name = "REV",
     .help = "Branch, tag, refs/pr/N or commit (default: main)"},
    OPTION_JSON("Print JSON instead of tables"),
    OPTION_TOKEN(NULL),
    OPTION_CACHE_DIR(NULL),
    OPTION_VERBOSE(NULL),
    OPTION_HELP(NULL),
};

static const Positional LOGIN_POSITIONALS[] = {
    {"REGISTRY", false, "huggingface (the default) or hf"},
};
static const Option LOGIN_OPTIONS[] = {
    {.name = "token",
     .kind = OPTION_TEXT,
     .value_name = "TOKEN",
     .help = "The token; others on this machine can see it in the list of processes"},
    {.name = "token-stdin", .kind = OPTION_FLAG, .help = "Read the token from stdin"},
    OPTION_VERBOSE(NULL),
    OPTION_HELP(NULL),
};
static const Option LOGOUT_OPTIONS[] = {OPTION_VERBOSE(NULL), OPTION_HELP(NULL)};

static const Option REGISTRIES_OPTIONS[] = {
    OPTION_JSON("Print JSON instead of a table"),
    OPTION_VERBOSE(NULL),
    OPTION_HELP(NULL),
};

#endif
