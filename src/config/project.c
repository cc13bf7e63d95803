// gpux.yml becomes a Project: a table of keys (keys.def), and one walk over the file that looks
// each key up in it.
//
// The table decides everything about a key: type, default, limits, help. A problem never stops the
// walk, so that a file is corrected in one go; a Project is handed out only when there was none.
#include "config/config.h"

#include "base/file.h"
#include "config/reader.h"
#include "config/tree.h"

#include <stdio.h>

enum {
    MAX_PORTS = 1024,
    MAX_INT = INT32_MAX,
    MAX_WORKERS = 4096,
    MAX_REQUESTS = 1000000,
};

typedef enum KeyType {
    KEY_TEXT,
    KEY_NAME, // required, not empty
    KEY_INT,
    KEY_BOOL,
    KEY_MEMORY,
    KEY_GPU_MEMORY, // keeps the text, too
    KEY_PADDING,
    KEY_PAIR,
    KEY_TEXTS, // extra: its count
    KEY_MAP,
    KEY_CUSTOM,
    KEY_INPUTS,  // extra: its count
    KEY_OUTPUTS, // extra: its count
    KEY_DTYPE,   // required
    KEY_SHAPE,
} KeyType;

// For help texts. Each type is spelled once here, by its name in keys.def.
#define TEXT_OF_TEXT "string"
#define TEXT_OF_NAME "string"
#define TEXT_OF_INT "integer"
#define TEXT_OF_BOOL "boolean"
#define TEXT_OF_MEMORY "size"
#define TEXT_OF_GPU_MEMORY "size"
#define TEXT_OF_PADDING "boolean or word"
#define TEXT_OF_PAIR "[width, height]"
#define TEXT_OF_TEXTS "list"
#define TEXT_OF_MAP "map"
#define TEXT_OF_CUSTOM "map"
#define TEXT_OF_INPUTS "list or map"
#define TEXT_OF_OUTPUTS "list or map"
#define TEXT_OF_DTYPE "type"
#define TEXT_OF_SHAPE "list"

typedef struct KeyRule {
    const char *path;
    KeyType type;
    size_t field;
    size_t extra;
    const char *fallback;
    int64_t min, max;
    const char *choices; // "a|b|c"
} KeyRule;

#define AT(field) offsetof(Project, field)
#define IN(field) offsetof(ProjectPort, field)
#define TASKS                                                                                      \
    "text-classification|zero-shot-classification|token-classification|question-answering|"        \
    "fill-mask|sentence-similarity|feature-extraction|text-generation|text2text-generation|"       \
    "summarization|translation|image-classification|object-detection|"                             \
    "automatic-speech-recognition|zero-shot-image-classification"

static const KeyRule rules[] = {
#define KEY(path, type, field, extra, fallback, min, max, choices, help)                           \
    {path, KEY_##type, field, extra, fallback, min, max, choices},
#include "config/keys.def"
#undef KEY
};

enum { RULE_COUNT = sizeof rules / sizeof rules[0] };

const ProjectKey *project_keys(size_t *count) {
    static const ProjectKey keys[] = {
#define KEY(path, type, field, extra, fallback, min, max, choices, help)                           \
    {path, TEXT_OF_##type, fallback, help},
#include "config/keys.def"
#undef KEY
    };
    *count = sizeof keys / sizeof keys[0];
    return keys;
}

// ---- The walk ----

typedef struct Walk {
    Reader reader;
    Project *project;
    bool seen[RULE_COUNT];
    bool is_default; // a table default is being applied: not "written"
} Walk;

static void *field_of(void *target, size_t offset) {
    return (char *)target + offset;
}

static bool read_name(Walk *walk, const char **field, const TreeNode *node, const Path *path) {
    if (!reader_text(&walk->reader, field, node, path))
        return false;
    return (*field)[0] ||
           reader_error(&walk->reader, node->line, path, "Input should not be empty");
}

static bool read_ports(Walk *walk, const KeyRule *rule, const TreeNode *node, const Path *path);

static bool read_value(Walk *walk, void *target, const KeyRule *rule, const TreeNode *node,
                       const Path *path) {
    Reader *reader = &walk->reader;
    void *field = field_of(target, rule->field);
    const char *text = NULL;
    bool is_ok = false;
    switch (rule->type) {
    case KEY_TEXT:
        is_ok = rule->choices ? reader_choice(reader, field, node, path, rule->choices)
                              : reader_text(reader, field, node, path);
        break;
    case KEY_NAME:
        return read_name(walk, field, node, path);
    case KEY_INT:
        is_ok = reader_int(reader, field, node, path, rule->min, rule->max);
        break;
    case KEY_BOOL:
        return reader_bool(reader, field, node, path);
    case KEY_MEMORY:
        return reader_memory(reader, field, &text, node, path);
    case KEY_GPU_MEMORY:
        is_ok = reader_memory(reader, field, &walk->project->runtime.gpu_memory_text, node, path);
        break;
    case KEY_PADDING:
        return reader_padding(reader, field, node, path);
    case KEY_PAIR:
        return reader_pair(reader, field, node, path, rule->min, rule->max);
    case KEY_TEXTS:
        return reader_texts(reader, field, field_of(target, rule->extra), node, path);
    case KEY_MAP:
        return reader_json(reader, field, node, path);
    case KEY_CUSTOM:
        return reader_custom(reader, field, node, path);
    case KEY_INPUTS:
    case KEY_OUTPUTS:
        return read_ports(walk, rule, node, path);
    case KEY_DTYPE:
        return reader_dtype(reader, field, node, path);
    case KEY_SHAPE:
        return reader_shape(reader, target, node, path);
    }
    if (is_ok && rule->extra && !walk->is_default)
        *(bool *)field_of(target, rule->extra) = true;
    return is_ok;
}

// What follows "<section>." in the rule's path, or NULL; the root is the empty section.
static const char *path_in_section(const KeyRule *rule, StrView section) {
    if (section.len == 0)
        return strchr(rule->path, '*') ? NULL : rule->path;
    if (strncmp(rule->path, section.ptr, section.len) != 0 || rule->path[section.len] != '.')
        return NULL;
    return rule->path + section.len + 1;
}

// The rule of `key`; or NULL and in `subsection` the section that it opens, empty when unknown.
static const KeyRule *find_rule(StrView section, StrView key, StrView *subsection) {
    *subsection = SV("");
    if (key.len == 0 || memchr(key.ptr, '.', key.len))
        return NULL;
    for (size_t i = 0; i < RULE_COUNT; i++) {
        const char *rest = path_in_section(&rules[i], section);
        if (!rest || strncmp(rest, key.ptr, key.len) != 0)
            continue;
        if (rest[key.len] == 0)
            return &rules[i];
        if (rest[key.len] == '.')
            *subsection = sv_n(rules[i].path, (size_t)(rest - rules[i].path) + key.len);
    }
    return NULL;
}

static void warn_unknown(Walk *walk, StrView section, const TreeItem *item, const Path *path) {
    enum { NAME_SIZE = 32 };
    char names[RULE_COUNT][NAME_SIZE];
    const char *candidates[RULE_COUNT];
    size_t count = 0;
    const char *guess = NULL;
    for (size_t i = 0; i < RULE_COUNT; i++) {
        const char *rest = path_in_section(&rules[i], section);
        size_t len = rest ? strcspn(rest, ".") : NAME_SIZE;
        if (len >= NAME_SIZE)
            continue;
        memcpy(names[count], rest, len);
        names[count][len] = 0;
        candidates[count] = names[count];
        if (!guess && item->key.len >= 3 && sv_starts_with(sv(names[count]), item->key))
            guess = names[count];
        count++;
    }
    const char *closest =
        item->key.len < NAME_SIZE ? str_closest(item->key, candidates, count) : NULL;
    guess = closest ? closest : guess;
    char where[256];
    path_format(where, sizeof where, path);
    if (guess)
        reader_warn(&walk->reader, item->line, "Unknown key '%s' (did you mean '%s'?)", where,
                    guess);
    else
        reader_warn(&walk->reader, item->line, "Unknown key '%s'", where);
}

static void walk_map(Walk *walk, StrView section, void *target, const TreeNode *map,
                     const Path *path) {
    for (const TreeItem *item = map->first; item; item = item->next) {
        Path at = {.parent = path, .key = item->key};
        if (item->is_shadowed) {
            char where[256];
            reader_warn(&walk->reader, item->line, "Duplicate key '%s' (the last one wins)",
                        path_format(where, sizeof where, &at));
            continue;
        }
        StrView subsection;
        const KeyRule *rule = find_rule(section, item->key, &subsection);
        bool is_null = reader_is_null(item->value);
        if (rule && !is_null) {
            walk->seen[rule - rules] = true;
            read_value(walk, target, rule, item->value, &at);
        } else if (!rule && subsection.len == 0) {
            warn_unknown(walk, section, item, &at);
        } else if (!rule && item->value->kind == TREE_MAP) {
            walk_map(walk, subsection, target, item->value, &at);
        } else if (!rule && !is_null) {
            reader_error(&walk->reader, item->value->line, &at,
                         "Input should be a valid dictionary");
        }
    }
}

static void apply_defaults(Walk *walk, StrView section, void *target) {
    walk->is_default = true;
    for (size_t i = 0; i < RULE_COUNT; i++) {
        if (!rules[i].fallback || !path_in_section(&rules[i], section))
            continue;
        TreeNode node = {.kind = TREE_SCALAR, .text = sv(rules[i].fallback), .is_plain = true};
        read_value(walk, target, &rules[i], &node, NULL);
    }
    walk->is_default = false;
}

// Reports required keys of `section` that were not written. `path` is the section's own, or NULL.
static void check_required(Walk *walk, StrView section, int line, const Path *path) {
    for (size_t i = 0; i < RULE_COUNT; i++) {
        const char *rest = path_in_section(&rules[i], section);
        if (!rest || walk->seen[i] || (rules[i].type != KEY_NAME && rules[i].type != KEY_DTYPE))
            continue;
        Path at = {.parent = path, .key = sv(rest)};
        char where[256];
        reader_error(&walk->reader, line, NULL, "missing required field '%s'",
                     path_format(where, sizeof where, &at));
    }
}

// ---- Inputs and outputs ----

static void read_port(Walk *walk, StrView section, ProjectPort *port, const TreeItem *item,
                      const Path *path) {
    for (size_t i = 0; i < RULE_COUNT; i++) {
        if (path_in_section(&rules[i], section))
            walk->seen[i] = false;
    }
    apply_defaults(walk, section, port);
    StrView none;
    const KeyRule *name_rule = find_rule(section, SV("name"), &none);
    const KeyRule *type_rule = find_rule(section, SV("type"), &none);
    bool is_named = path->key.len > 0;
    if (item->value->kind == TREE_MAP) {
        walk_map(walk, section, port, item->value, path);
    } else if (is_named && item->value->kind == TREE_SCALAR) {
        if (!reader_is_null(item->value)) {
            Path at = {.parent = path, .key = SV("type")};
            walk->seen[type_rule - rules] = true;
            read_value(walk, port, type_rule, item->value, &at);
        }
    } else {
        reader_error(&walk->reader, item->line, path, "Input should be a valid dictionary");
        return;
    }
    if (is_named) {
        walk->seen[name_rule - rules] = true;
        if (port->name && !sv_equal(sv(port->name), path->key))
            reader_warn(&walk->reader, item->line, "Name '%.64s' is ignored for the key '%.*s'",
                        port->name, path->key.len < 64 ? (int)path->key.len : 64, path->key.ptr);
        port->name = arena_strndup(walk->reader.arena, path->key.ptr, path->key.len);
        if (!port->name)
            walk->reader.status = STATUS_OUT_OF_MEMORY;
    }
    check_required(walk, section, item->line, path);
    int64_t classes = port->rank > 0 ? port->shape[port->rank - 1] : -1;
    char where[256];
    if (port->label_count > 0 && classes >= 0 && (uint64_t)classes != port->label_count)
        reader_warn(&walk->reader, item->line,
                    "'%s' has %zu labels, but its last dimension is %lld",
                    path_format(where, sizeof where, path), port->label_count, (long long)classes);
}

static bool read_ports(Walk *walk, const KeyRule *rule, const TreeNode *node, const Path *path) {
    Reader *reader = &walk->reader;
    bool is_input = rule->type == KEY_INPUTS;
    const char *noun = is_input ? "input" : "output";
    if (node->kind == TREE_SCALAR)
        return reader_error(reader, node->line, path, "Input should be a valid list or dictionary");
    if (node->count == 0)
        return reader_error(reader, node->line, NULL, "At least one %s must be specified", noun);
    if (node->count > MAX_PORTS)
        return reader_error(reader, node->line, path, "At most %d are allowed", MAX_PORTS);
    ProjectPort *ports = arena_alloc_array(reader->arena, node->count, sizeof *ports);
    if (!ports) {
        reader->status = STATUS_OUT_OF_MEMORY;
        return false;
    }
    StrView section = is_input ? SV("inputs.*") : SV("outputs.*");
    size_t count = 0;
    for (const TreeItem *item = node->first; item; item = item->next) {
        Path at = {.parent = path, .key = item->key, .index = count};
        if (item->is_shadowed) {
            reader_warn(reader, item->line, "Duplicate key '%ss.%.*s' (the last one wins)", noun,
                        item->key.len < 64 ? (int)item->key.len : 64, item->key.ptr);
            continue;
        }
        if (node->kind == TREE_MAP && item->key.len == 0) {
            reader_error(reader, item->line, path, "A name should not be empty");
            continue;
        }
        ProjectPort *port = &ports[count++];
        read_port(walk, section, port, item, &at);
        for (size_t i = 0; port->name && i + 1 < count; i++) {
            if (ports[i].name && strcmp(ports[i].name, port->name) == 0)
                reader_error(reader, item->line, &at, "Duplicate %s name '%.64s'", noun,
                             port->name);
        }
    }
    *(ProjectPort **)field_of(walk->project, rule->field) = ports;
    *(size_t *)field_of(walk->project, rule->extra) = count;
    return true;
}

// ---- A whole file ----

void diagnostic_append(Buf *out, const Diagnostic *diagnostic) {
    StrView text = sv(diagnostic->text);
    if (diagnostic->line <= 0)
        buf_append_sv(out, text);
    else if (sv_ends_with(text, SV(")")) && strstr(text.ptr, " (at "))
        buf_printf(out, "%.*s, line %d)", (int)text.len - 1, text.ptr, diagnostic->line);
    else
        buf_printf(out, "%s (line %d)", text.ptr, diagnostic->line);
}

// The Error that lists the errors of `list` from `first` on, as many as fit.
static Status fail(const Diagnostics *list, size_t first, size_t error_count, Error *error) {
    enum { ROOM = ERROR_MESSAGE_SIZE - 64 };
    Buf message = BUF_INIT(64 * 1024);
    Buf line = BUF_INIT(8 * 1024);
    buf_append_cstr(&message, "Failed to parse configuration: ");
    size_t printed = 0;
    for (size_t i = first; i < list->count; i++) {
        if (list->items[i].kind != DIAGNOSTIC_ERROR)
            continue;
        buf_clear(&line);
        diagnostic_append(&line, &list->items[i]);
        if (printed > 0 && message.len + line.len + 3 > ROOM)
            break;
        buf_append_cstr(&message, printed ? "\n  " : "");
        buf_append(&message, line.ptr, line.len);
        printed++;
    }
    if (printed < error_count)
        buf_printf(&message, "\n  and %zu more problems", error_count - printed);
    Status status = STATUS_INVALID;
    if (message.failed || line.failed) {
        status = error_out_of_memory(error, ERROR_MESSAGE_SIZE);
    } else if (error) {
        // Not through error_set, which keeps a message on one line: this one is a list.
        *error = (Error){.code = status};
        snprintf(error->message, sizeof error->message, "%s", message.ptr);
    }
    buf_free(&message);
    buf_free(&line);
    return status;
}

// Where the file is, as absolute path and folder.
static Status set_location(Project *project, const char *path, Error *error) {
    char *absolute = path_absolute(path);
    char *folder = absolute ? path_dirname(absolute) : NULL;
    if (folder) {
        project->path = arena_strdup(&project->arena, absolute);
        project->folder = arena_strdup(&project->arena, folder);
    }
    mem_free(absolute);
    mem_free(folder);
    return project->path && project->folder ? STATUS_OK : error_out_of_memory(error, 0);
}

static void walk_root(Walk *walk, const TreeNode *root) {
    Project *project = walk->project;
    if (!root || reader_is_null(root)) {
        reader_error(&walk->reader, 0, NULL, "Configuration file is empty");
        return;
    }
    if (root->kind != TREE_MAP) {
        reader_error(&walk->reader, root->line, NULL, "Configuration file must be a map of keys");
        return;
    }
    apply_defaults(walk, SV(""), project);
    walk_map(walk, SV(""), project, root, NULL);
    check_required(walk, SV(""), 0, NULL);
    for (size_t i = 0; i < RULE_COUNT; i++) {
        bool is_input = rules[i].type == KEY_INPUTS;
        if ((is_input || rules[i].type == KEY_OUTPUTS) && !walk->seen[i])
            reader_error(&walk->reader, 0, NULL, "At least one %s must be specified",
                         is_input ? "input" : "output");
    }
    if (project->serving.timeout == 0)
        project->serving.timeout = project->runtime.timeout;
    if (!project->preprocessing.custom_json)
        project->preprocessing.custom_json = "{}";
    if (!project->metadata_json)
        project->metadata_json = "{}";
}

static Status parse_into(Walk *walk, StrView text, Error *error) {
    size_t first = walk->reader.diagnostics->count;
    Tree tree = {0};
    Error problem = {0};
    Status status = tree_parse(&tree, text, NULL, &problem);
    if (status == STATUS_OK)
        walk_root(walk, tree.root);
    else if (status != STATUS_OUT_OF_MEMORY)
        reader_error(&walk->reader, 0, NULL, "%s", problem.message);
    tree_free(&tree);
    if (status == STATUS_OUT_OF_MEMORY || walk->reader.status == STATUS_OUT_OF_MEMORY)
        return error_out_of_memory(error, text.len);
    if (walk->reader.error_count > 0)
        return fail(walk->reader.diagnostics, first, walk->reader.error_count, error);
    return STATUS_OK;
}

Status project_parse(Project **out, StrView text, const char *path, ProjectGetenv getenv_fn,
                     void *getenv_ctx, Diagnostics *diagnostics, Error *error) {
    *out = NULL;
    Diagnostics own = {0};
    Project *project = mem_alloc_zero(1, sizeof *project);
    if (!project)
        return error_out_of_memory(error, sizeof *project);
    Walk walk = {
        .reader = {.arena = &project->arena,
                   .getenv_fn = getenv_fn ? getenv_fn : reader_getenv,
                   .getenv_ctx = getenv_ctx,
                   .diagnostics = diagnostics ? diagnostics : &own},
        .project = project,
    };
    Status status = set_location(project, path ? path : "gpux.yml", error);
    if (status == STATUS_OK)
        status = parse_into(&walk, text, error);
    diagnostics_free(&own);
    if (status == STATUS_OK)
        *out = project;
    else
        project_close(project);
    return status;
}

static Status read_file(Buf *text, const char *path, Error *error) {
    FileStat stat;
    char shown[ERROR_PATH_SIZE];
    if (!file_stat(&stat, path))
        return error_set(error, STATUS_NOT_FOUND, "Configuration file not found: %s",
                         error_path(shown, path));
    Status status =
        stat.is_dir ? error_set(error, STATUS_INVALID, "'%s' is a folder", error_path(shown, path))
                    : file_read(text, path, TREE_MAX_TEXT, error);
    if (status == STATUS_LIMIT)
        status = error_set(error, STATUS_LIMIT, "Configuration file is larger than %d MB",
                           TREE_MAX_TEXT >> 20);
    return status == STATUS_OK ? status
                               : error_prefix(error, status, "Failed to parse configuration");
}

Status project_open(Project **out, const char *path, ProjectGetenv getenv_fn, void *getenv_ctx,
                    Diagnostics *diagnostics, Error *error) {
    *out = NULL;
    Buf text = BUF_INIT(TREE_MAX_TEXT + 1);
    Status status = read_file(&text, path, error);
    if (status == STATUS_OK)
        status = project_parse(out, sv_n(text.ptr, text.len), path, getenv_fn, getenv_ctx,
                               diagnostics, error);
    buf_free(&text);
    return status;
}

void project_close(Project *project) {
    if (!project)
        return;
    arena_free(&project->arena);
    mem_free(project);
}

void diagnostics_free(Diagnostics *diagnostics) {
    if (!diagnostics)
        return;
    arena_free(&diagnostics->arena);
    *diagnostics = (Diagnostics){0};
}
