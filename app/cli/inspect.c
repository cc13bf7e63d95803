// From ModelInfo, configuration and provider details to tables.
#include "app/cli/inspect.h"

#include <stdio.h>
#include <string.h>

enum { CELL_MAX = 4096, LABELS_SHOWN = 6, METADATA_VALUE_MAX = 300 };

static const char *yes_no(bool is_yes) {
    return is_yes ? "✅ Yes" : "❌ No";
}

// Any scalar as text; arrays and objects as compact JSON.
static void append_value(Buf *out, const JsonValue *value) {
    StrView text;
    if (json_as_string(&text, value)) {
        buf_append_sv(out, text);
    } else if (value != NULL && json_kind(value) != JSON_NULL) {
        JsonWriter writer = json_writer(out, 0);
        json_write_value(&writer, value);
    }
}

static const char *buf_text(const Buf *buf) {
    return buf->ptr != NULL && buf->failed == STATUS_OK ? buf->ptr : "";
}

static void add_value(Table *table, const char *name, const JsonValue *value) {
    Buf text = BUF_INIT(CELL_MAX);
    append_value(&text, value);
    table_add_pair(table, name, buf_text(&text));
    buf_free(&text);
}

// Only when the value is there.
static void add_optional(Table *table, const char *name, const JsonValue *value) {
    if (value != NULL && json_kind(value) != JSON_NULL)
        add_value(table, name, value);
}

static int finish_table(const Cli *cli, Table *table, bool has_more) {
    int code = cli_print_table(cli, table, false);
    if (code == EXIT_OK && has_more)
        cli_print_gap();
    return code;
}

static const char *const PAIR_HEADERS[] = {"Property", "Value"};

// ---- The machine ----

static int draw_providers(const Cli *cli, const JsonValue *details) {
    static const char *const HEADERS[] = {"Provider", "Available", "Platform", "Description"};
    Table table = table_new("Available Execution Providers", HEADERS, 4);
    size_t iterator = 0;
    StrView key;
    const JsonValue *provider;
    while (json_next(details, &iterator, &key, &provider)) {
        const char *cells[] = {json_cstr_or(provider, "name", NULL),
                               yes_no(json_bool_or(provider, "available", false)),
                               json_cstr_or(provider, "platform", NULL),
                               json_cstr_or(provider, "description", NULL)};
        table_add_row(&table, cells);
    }
    return finish_table(cli, &table, true);
}

static int draw_priority(const Cli *cli, const JsonValue *details, bool has_more) {
    static const char *const HEADERS[] = {"Priority", "Provider", "Status"};
    Table table = table_new("Provider Priority", HEADERS, 3);
    table.is_right[0] = true;
    size_t iterator = 0;
    StrView key;
    const JsonValue *provider;
    for (int rank = 1; json_next(details, &iterator, &key, &provider); rank++) {
        char number[16];
        snprintf(number, sizeof number, "%d", rank);
        bool is_available = json_bool_or(provider, "available", false);
        const char *cells[] = {number, json_cstr_or(provider, "name", NULL),
                               is_available ? "Available" : "Not Available"};
        table_add_row(&table, cells);
    }
    return finish_table(cli, &table, has_more);
}

// "l1d_bytes" as "L1d", "model" as "Model".
static void format_cpu_name(char out[64], StrView key) {
    snprintf(out, 64, "%.*s", (int)(key.len < 60 ? key.len : 60), key.ptr);
    size_t len = strlen(out);
    if (len > 6 && strcmp(out + len - 6, "_bytes") == 0)
        out[len - 6] = '\0';
    for (char *c = out; *c != '\0'; c++)
        if (*c == '_')
            *c = ' ';
    if (out[0] >= 'a' && out[0] <= 'z')
        out[0] = (char)(out[0] - 'a' + 'A');
}

static void append_list(Buf *out, const JsonValue *list) {
    for (size_t i = 0; i < json_len(list); i++) {
        if (i > 0)
            buf_append_cstr(out, ", ");
        append_value(out, json_at(list, i));
    }
}

static int draw_cpu(const Cli *cli, const JsonValue *cpu) {
    Table table = table_new("Processor", PAIR_HEADERS, 2);
    size_t iterator = 0;
    StrView key;
    const JsonValue *value;
    while (json_next(cpu, &iterator, &key, &value)) {
        char name[64];
        Buf text = BUF_INIT(CELL_MAX);
        double bytes;
        format_cpu_name(name, key);
        if (sv_ends_with(key, SV("_bytes")) && json_as_f64(&bytes, value)) {
            char size[32];
            format_bytes(size, bytes);
            buf_append_cstr(&text, size);
        } else if (json_kind(value) == JSON_ARRAY) {
            append_list(&text, value);
        } else {
            append_value(&text, value);
        }
        table_add_pair(&table, name, buf_text(&text));
        buf_free(&text);
    }
    return finish_table(cli, &table, false);
}

int inspect_draw_system(const Cli *cli, const JsonValue *system) {
    const JsonValue *details = json_get(system, "provider_details");
    const JsonValue *cpu = json_get(system, "cpu");
    bool has_cpu = json_kind(cpu) == JSON_OBJECT;
    int code = draw_providers(cli, details);
    if (code == EXIT_OK)
        code = draw_priority(cli, details, has_cpu);
    if (code == EXIT_OK && has_cpu)
        code = draw_cpu(cli, cpu);
    return code;
}

// ---- A model ----

static bool is_fixed(const JsonValue *dimension) {
    int64_t size;
    return json_as_i64(&size, dimension) && size >= 0;
}

void inspect_format_shape(Buf *out, const JsonValue *shape, const char *type) {
    size_t rank = json_len(shape);
    bool has_fixed = json_kind(shape) == JSON_ARRAY && rank == 0;
    for (size_t i = 0; i < rank; i++)
        has_fixed = has_fixed || is_fixed(json_at(shape, i));
    if (json_kind(shape) != JSON_ARRAY || !has_fixed) {
        bool is_text = type != NULL && strcmp(type, "string") == 0;
        buf_append_cstr(out, is_text ? "variable" : "Dynamic");
        return;
    }
    buf_append_byte(out, '[');
    append_list(out, shape);
    buf_append_byte(out, ']');
}

static void append_labels(Buf *out, const JsonValue *labels) {
    size_t count = json_len(labels);
    size_t shown = count > LABELS_SHOWN ? LABELS_SHOWN : count;
    for (size_t i = 0; i < shown; i++) {
        if (i > 0)
            buf_append_cstr(out, ", ");
        append_value(out, json_at(labels, i));
    }
    if (shown < count)
        buf_printf(out, ", … (%zu in all)", count);
}

static int draw_tensors(const Cli *cli, const char *title, const JsonValue *tensors,
                        bool are_inputs) {
    const char *headers[] = {"Name", "Type", "Shape", are_inputs ? "Required" : "Labels",
                             "Description"};
    Table table = table_new(title, headers, 5);
    for (size_t i = 0; i < json_len(tensors); i++) {
        const JsonValue *tensor = json_at(tensors, i);
        const char *type = json_cstr_or(tensor, "type", NULL);
        Buf shape = BUF_INIT(CELL_MAX);
        Buf labels = BUF_INIT(CELL_MAX);
        inspect_format_shape(&shape, json_get(tensor, "shape"), type);
        append_labels(&labels, json_get(tensor, "labels"));
        const char *required = json_bool_or(tensor, "required", true) ? "✅" : "❌";
        const char *cells[] = {json_cstr_or(tensor, "name", NULL), type, buf_text(&shape),
                               are_inputs ? required : buf_text(&labels),
                               json_cstr_or(tensor, "description", NULL)};
        table_add_row(&table, cells);
        buf_free(&shape);
        buf_free(&labels);
    }
    return finish_table(cli, &table, true);
}

static int draw_configuration(const Cli *cli, const JsonValue *config) {
    const JsonValue *model = json_get(config, "model");
    const JsonValue *runtime = json_get(config, "runtime");
    const JsonValue *gpu = json_get(runtime, "gpu");
    char text[64];
    Table table = table_new("Configuration", PAIR_HEADERS, 2);
    add_value(&table, "Name", json_get(config, "name"));
    add_value(&table, "Version", json_get(config, "version"));
    add_value(&table, "Model Source", json_get(model, "source"));
    add_value(&table, "Model Format", json_get(model, "format"));
    add_value(&table, "GPU Memory", json_get(gpu, "memory"));
    add_value(&table, "GPU Backend", json_get(gpu, "backend"));
    int64_t batch = json_i64_or(runtime, "batch_size", 0);
    snprintf(text, sizeof text, "%lld", (long long)batch);
    table_add_pair(&table, "Batch Size", batch == 0 ? "automatic" : text);
    snprintf(text, sizeof text, "%llds", (long long)json_i64_or(runtime, "timeout", 30));
    table_add_pair(&table, "Timeout", text);
    return finish_table(cli, &table, true);
}

// "66,955,010 (67.0M)"
static void format_parameters(char out[64], int64_t count) {
    char exact[32];
    format_count(exact, count);
    double value = (double)count;
    if (value < 1e3)
        snprintf(out, 64, "%s", exact);
    else if (value < 1e6)
        snprintf(out, 64, "%s (%.1fK)", exact, value / 1e3);
    else if (value < 1e9)
        snprintf(out, 64, "%s (%.1fM)", exact, value / 1e6);
    else
        snprintf(out, 64, "%s (%.1fB)", exact, value / 1e9);
}

static int draw_model_information(const Cli *cli, const JsonValue *info) {
    char text[64];
    Table table = table_new("Model Information", PAIR_HEADERS, 2);
    add_value(&table, "Name", json_get(info, "name"));
    add_value(&table, "Version", json_get(info, "version"));
    add_value(&table, "Format", json_get(info, "format"));
    format_bytes(text, json_f64_or(info, "size_bytes", 0));
    table_add_pair(&table, "Size", text);
    add_value(&table, "Path", json_get(info, "path"));
    add_optional(&table, "Registry", json_get(info, "registry"));
    add_optional(&table, "Model ID", json_get(info, "model_id"));
    add_optional(&table, "Revision", json_get(info, "revision"));
    add_optional(&table, "Commit", json_get(info, "commit"));
    add_optional(&table, "Task", json_get(info, "task"));
    add_optional(&table, "Architecture", json_get(info, "architecture"));
    int64_t parameters;
    if (json_as_i64(&parameters, json_get(info, "parameters"))) {
        format_parameters(text, parameters);
        table_add_pair(&table, "Parameters", text);
    }
    add_optional(&table, "Precision", json_get(info, "precision"));
    const JsonValue *registry = json_get(info, "registry");
    if (registry != NULL && json_kind(registry) != JSON_NULL)
        table_add_pair(&table, "Cached", yes_no(true));
    return finish_table(cli, &table, true);
}

static int draw_metadata(const Cli *cli, const JsonValue *metadata) {
    static const char *const HEADERS[] = {"Key", "Value"};
    if (json_len(metadata) == 0 || json_kind(metadata) != JSON_OBJECT)
        return EXIT_OK;
    Table table = table_new("Metadata", HEADERS, 2);
    size_t iterator = 0;
    StrView key;
    const JsonValue *value;
    while (json_next(metadata, &iterator, &key, &value)) {
        char name[128];
        Buf text = BUF_INIT(1u << 20);
        snprintf(name, sizeof name, "%.*s", (int)(key.len < 120 ? key.len : 120), key.ptr);
        if (json_kind(value) == JSON_ARRAY)
            append_list(&text, value);
        else
            append_value(&text, value);
        if (text.len > METADATA_VALUE_MAX) {
            text.len = METADATA_VALUE_MAX;
            text.ptr[text.len] = '\0';
            buf_append_cstr(&text, "…");
        }
        table_add_pair(&table, name, buf_text(&text));
        buf_free(&text);
    }
    return finish_table(cli, &table, true);
}

static void append_number(char out[32], const JsonValue *entry, const char *key, bool is_bytes) {
    double number;
    if (!json_as_f64(&number, json_get(entry, key)))
        snprintf(out, 32, "-");
    else if (is_bytes)
        format_bytes(out, number);
    else
        format_count(out, (int64_t)number);
}

// Rows {op, count, flops, bytes}; also an object of counts by name.
static int draw_graph(const Cli *cli, const JsonValue *graph) {
    static const char *const HEADERS[] = {"Op", "Count", "FLOPs", "Bytes"};
    const JsonValue *ops = json_kind(graph) == JSON_ARRAY ? graph : json_get(graph, "ops");
    if (json_len(ops) == 0)
        return EXIT_OK;
    Table table = table_new("Graph", HEADERS, 4);
    for (size_t i = 1; i < 4; i++)
        table.is_right[i] = true;
    for (size_t i = 0; json_kind(ops) == JSON_ARRAY && i < json_len(ops); i++) {
        const JsonValue *entry = json_at(ops, i);
        char numbers[3][32];
        append_number(numbers[0], entry, "count", false);
        append_number(numbers[1], entry, "flops", false);
        append_number(numbers[2], entry, "bytes", true);
        const char *cells[] = {json_cstr_or(entry, "op", NULL), numbers[0], numbers[1], numbers[2]};
        table_add_row(&table, cells);
    }
    size_t iterator = 0;
    StrView key;
    const JsonValue *value;
    while (json_kind(ops) == JSON_OBJECT && json_next(ops, &iterator, &key, &value)) {
        char name[64];
        Buf count = BUF_INIT(CELL_MAX);
        snprintf(name, sizeof name, "%.*s", (int)(key.len < 60 ? key.len : 60), key.ptr);
        append_value(&count, value);
        const char *cells[] = {name, buf_text(&count), "-", "-"};
        table_add_row(&table, cells);
        buf_free(&count);
    }
    return finish_table(cli, &table, true);
}

// What would run this model here: the configuration's wish and the first provider that can.
static int draw_runtime(const Cli *cli, const JsonValue *config, const JsonValue *info) {
    const JsonValue *gpu = json_get(json_get(config, "runtime"), "gpu");
    const JsonValue *providers = json_get(json_get(info, "metadata"), "execution_providers");
    Table table = table_new("Runtime Information", PAIR_HEADERS, 2);
    add_value(&table, "Provider", json_at(providers, 0));
    add_value(&table, "Backend", json_get(gpu, "backend"));
    add_value(&table, "GPU Memory", json_get(gpu, "memory"));
    return finish_table(cli, &table, false);
}

static int draw_info_tables(const Cli *cli, const JsonValue *info, const JsonValue *inputs,
                            const JsonValue *outputs, const JsonValue *graph) {
    int code = draw_model_information(cli, info);
    if (code == EXIT_OK)
        code = draw_tensors(cli, "Input Specifications", inputs, true);
    if (code == EXIT_OK)
        code = draw_tensors(cli, "Output Specifications", outputs, false);
    if (code == EXIT_OK && cli->is_verbose && inputs != json_get(info, "inputs"))
        code = draw_tensors(cli, "Graph Inputs", json_get(info, "inputs"), true);
    if (code == EXIT_OK && cli->is_verbose && outputs != json_get(info, "outputs"))
        code = draw_tensors(cli, "Graph Outputs", json_get(info, "outputs"), false);
    if (code == EXIT_OK)
        code = draw_metadata(cli, json_get(info, "metadata"));
    if (code == EXIT_OK && args_flag(&cli->args, "graph"))
        code = draw_graph(cli, graph);
    return code;
}

int inspect_draw_file(const Cli *cli, const JsonValue *info) {
    return draw_info_tables(cli, info, json_get(info, "inputs"), json_get(info, "outputs"),
                            json_get(info, "graph"));
}

int inspect_draw_model(const Cli *cli, const JsonValue *answer) {
    const JsonValue *config = json_get(answer, "config");
    const JsonValue *info = json_get(answer, "model_info");
    const JsonValue *inputs = json_get(config, "inputs");
    const JsonValue *outputs = json_get(config, "outputs");
    const JsonValue *graph = json_get(answer, "graph");
    // What a user sends and gets stands in the configuration; the tensors below it in the graph.
    if (json_len(inputs) == 0)
        inputs = json_get(info, "inputs");
    if (json_len(outputs) == 0)
        outputs = json_get(info, "outputs");
    int code = draw_configuration(cli, config);
    if (code == EXIT_OK)
        code = draw_info_tables(cli, info, inputs, outputs,
                                graph != NULL ? graph : json_get(info, "graph"));
    if (code == EXIT_OK)
        code = draw_runtime(cli, config, info);
    return code;
}
