// A Project as the gpux.yml of a generated model folder.
//
// Not a general emitter: it knows the sections of gpux.yml and writes each on one line, metadata
// excepted. What it writes, project.c reads back to the same values.
#include "config/config.h"

#include <ctype.h>

enum {
    MAX_SECTION = 4 << 20,
    MAX_KEY = 1000, // libyaml refuses simple keys of more than 1024 bytes
};

// ---- YAML scalars ----

// Words that some YAML version reads as null or a bool, and the merge key.
static bool is_yaml_word(StrView text) {
    static const char *const words[] = {"null", "true", "false", "yes", "no", "on",
                                        "off",  "y",    "n",     "<<",  "=",  "~"};
    for (size_t i = 0; i < sizeof words / sizeof words[0]; i++) {
        if (sv_equal_nocase(text, sv(words[i])))
            return true;
    }
    return false;
}

// Numbers, dates and their older spellings (0x10, 1_000, .inf) in any YAML version.
static bool is_yaml_number(StrView text) {
    size_t sign = text.ptr[0] == '-' || text.ptr[0] == '+';
    double number = 0;
    if (sv_to_f64(&number, text))
        return true;
    StrView rest = sv_n(text.ptr + sign, text.len - sign);
    if (rest.len == 0 || (rest.ptr[0] != '.' && !isdigit((unsigned char)rest.ptr[0])))
        return false;
    if (rest.ptr[0] == '.' ||
        (rest.len > 1 && rest.ptr[0] == '0' && isalpha((unsigned char)rest.ptr[1])))
        return true;
    bool has_separator = false;
    for (size_t i = 0; i < rest.len; i++) {
        if (!isdigit((unsigned char)rest.ptr[i]) && !strchr("_-.", rest.ptr[i]))
            return false;
        has_separator |= rest.ptr[i] == '_' || rest.ptr[i] == '-';
    }
    return has_separator;
}

static bool is_plain_scalar(StrView text) {
    if (text.len == 0 || is_yaml_word(text))
        return false;
    // "./x" and "/x" stay plain though is_yaml_number is careful about a leading dot.
    bool is_path = sv_starts_with(text, SV("./")) || sv_starts_with(text, SV("../"));
    if (!is_path && is_yaml_number(text))
        return false;
    for (size_t i = 0; i < text.len; i++) {
        unsigned char byte = (unsigned char)text.ptr[i];
        bool is_first = i == 0;
        bool is_edge = is_first || i + 1 == text.len;
        if (isalnum(byte) || byte == '_' || byte == '/' || byte == '.')
            continue;
        if (is_first || (byte == ' ' && is_edge) || !strchr(" -+()@;=~", byte))
            return false;
    }
    return true;
}

// Whether a reader of YAML 1.1 takes the code point as it is.
static bool is_printable(uint32_t code) {
    return (code >= 0x20 && code < 0x7F) || code == 0x85 ||
           (code >= 0xA0 && code != 0x2028 && code != 0x2029 && code != 0xFEFF && code != 0xFFFE &&
            code != 0xFFFF);
}

static void append_quoted(Buf *out, StrView text) {
    buf_append_byte(out, '"');
    for (size_t pos = 0; pos < text.len;) {
        uint32_t code = utf8_next(text, &pos);
        char bytes[4];
        if (code == '"' || code == '\\')
            buf_printf(out, "\\%c", (int)code);
        else if (code == '\n')
            buf_append_cstr(out, "\\n");
        else if (code == 0)
            buf_append_cstr(out, "\xEF\xBF\xBD"); // the reader refuses NUL
        else if (is_printable(code) && code != 0x85)
            buf_append(out, bytes, (size_t)utf8_encode(bytes, code));
        else if (code <= 0xFFFF)
            buf_printf(out, "\\u%04X", (unsigned)code);
        else
            buf_printf(out, "\\U%08X", (unsigned)code);
    }
    buf_append_byte(out, '"');
}

static void append_key(Buf *out, StrView key) {
    if (key.len > MAX_KEY) {
        out->failed = STATUS_LIMIT;
        return;
    }
    if (is_plain_scalar(key))
        buf_append_sv(out, key);
    else
        append_quoted(out, key);
    buf_append_cstr(out, ": ");
}

void yaml_append_scalar(Buf *out, StrView text) {
    if (is_plain_scalar(text)) {
        buf_append_sv(out, text);
        return;
    }
    if (!text.len || !memchr(text.ptr, '$', text.len)) {
        append_quoted(out, text);
        return;
    }
    Buf doubled = BUF_INIT(MAX_SECTION);
    for (size_t i = 0; i < text.len; i++) {
        buf_append_byte(&doubled, text.ptr[i]);
        if (text.ptr[i] == '$' && i + 1 < text.len &&
            (text.ptr[i + 1] == '{' || text.ptr[i + 1] == '$'))
            buf_append_byte(&doubled, '$');
    }
    if (doubled.failed)
        out->failed = doubled.failed;
    else
        append_quoted(out, sv_n(doubled.ptr, doubled.len));
    buf_free(&doubled);
}

// ---- YAML sections ----

// "key: " inside "{...}".
static void flow_key(Buf *members, const char *key) {
    if (members->len > 0)
        buf_append_cstr(members, ", ");
    append_key(members, sv(key));
}

// Left out when NULL or, with a `fallback`, equal to it.
static void flow_text(Buf *members, const char *key, const char *text, const char *fallback) {
    if (!text || (fallback && strcmp(text, fallback) == 0))
        return;
    flow_key(members, key);
    yaml_append_scalar(members, sv(text));
}

static void flow_int(Buf *members, const char *key, int64_t number, int64_t fallback) {
    if (number == 0 || number == fallback)
        return;
    flow_key(members, key);
    buf_printf(members, "%lld", (long long)number);
}

static void flow_true(Buf *members, const char *key, bool is_true) {
    if (!is_true)
        return;
    flow_key(members, key);
    buf_append_cstr(members, "true");
}

static void append_texts(Buf *out, const char *const *texts, size_t count) {
    buf_append_byte(out, '[');
    for (size_t i = 0; i < count; i++) {
        buf_append_cstr(out, i ? ", " : "");
        yaml_append_scalar(out, sv(texts[i]));
    }
    buf_append_byte(out, ']');
}

// "key: {members}" into an enclosing flow map, when there are members; empties `members`.
static void flow_map(Buf *out, const char *key, Buf *members) {
    if (members->len > 0) {
        flow_key(out, key);
        buf_printf(out, "{%s}", members->ptr);
    }
    if (members->failed)
        out->failed = members->failed;
    buf_free(members);
}

// The same as a line of the file.
static void append_section(Buf *out, const char *key, Buf *members) {
    if (members->len > 0) {
        buf_printf(out, "%s: {", key);
        buf_append(out, members->ptr, members->len);
        buf_append_cstr(out, "}\n");
    }
    if (members->failed)
        out->failed = members->failed;
    buf_free(members);
}

static void append_line(Buf *out, const char *key, const char *text) {
    if (!text)
        return;
    buf_printf(out, "%s: ", key);
    yaml_append_scalar(out, sv(text));
    buf_append_byte(out, '\n');
}

static void append_json_value(Buf *out, const JsonValue *value) {
    int64_t integer = 0;
    StrView text;
    if (json_as_string(&text, value)) {
        yaml_append_scalar(out, text);
    } else if (json_kind(value) == JSON_ARRAY) {
        buf_append_byte(out, '[');
        for (size_t i = 0; i < json_len(value); i++) {
            buf_append_cstr(out, i ? ", " : "");
            append_json_value(out, json_at(value, i));
        }
        buf_append_byte(out, ']');
    } else if (json_kind(value) == JSON_OBJECT) {
        size_t iterator = 0;
        const JsonValue *member = NULL;
        const char *comma = "";
        buf_append_byte(out, '{');
        while (json_next(value, &iterator, &text, &member)) {
            buf_append_cstr(out, comma);
            append_key(out, text);
            append_json_value(out, member);
            comma = ", ";
        }
        buf_append_byte(out, '}');
    } else if (json_as_i64(&integer, value)) {
        buf_printf(out, "%lld", (long long)integer);
    } else {
        JsonWriter writer = json_writer(out, 0); // null, bools and reals are spelled alike
        json_write_value(&writer, value);
    }
}

// `text` is a map as JSON: one line a key, or all in "{...}" when `is_flow`. Empty maps write
// nothing.
static void append_map(Buf *out, const char *text, bool is_flow) {
    JsonDoc *doc = NULL;
    Status status = text ? json_parse(&doc, sv(text), 0, NULL) : STATUS_OK;
    if (status != STATUS_OK)
        out->failed = status == STATUS_OUT_OF_MEMORY ? status : STATUS_LIMIT;
    const JsonValue *map = json_root(doc);
    size_t iterator = 0;
    StrView key;
    const JsonValue *value = NULL;
    if (is_flow && json_len(map) > 0)
        append_json_value(out, map);
    if (!is_flow && json_len(map) > 0)
        buf_append_cstr(out, "metadata:\n");
    while (!is_flow && json_next(map, &iterator, &key, &value)) {
        buf_append_cstr(out, "  ");
        append_key(out, key);
        append_json_value(out, value);
        buf_append_byte(out, '\n');
    }
    json_free(doc);
}

static void flow_shape(Buf *members, const ProjectPort *port) {
    if (!port->has_shape)
        return;
    flow_key(members, "shape");
    buf_append_byte(members, '[');
    for (int i = 0; i < port->rank; i++) {
        buf_append_cstr(members, i ? ", " : "");
        if (port->dim_names[i])
            yaml_append_scalar(members, sv(port->dim_names[i]));
        else
            buf_printf(members, "%lld", (long long)port->shape[i]);
    }
    buf_append_byte(members, ']');
}

static void append_ports(Buf *out, const char *key, const ProjectPort *ports, size_t count,
                         bool are_inputs) {
    buf_printf(out, "%s:%s\n", key, count ? "" : " {}");
    for (size_t i = 0; i < count; i++) {
        const ProjectPort *port = &ports[i];
        Buf members = BUF_INIT(MAX_SECTION);
        flow_shape(&members, port);
        if (are_inputs && !port->is_required) {
            flow_key(&members, "required");
            buf_append_cstr(&members, "false");
        }
        if (are_inputs)
            flow_int(&members, "max_length", port->max_length, 0);
        if (!are_inputs && port->label_count > 0) {
            flow_key(&members, "labels");
            append_texts(&members, port->labels, port->label_count);
        }
        flow_text(&members, "description", port->description, NULL);
        buf_append_cstr(out, "  ");
        append_key(out, sv(port->name));
        if (members.len > 0) {
            buf_printf(out, "{type: %s, ", dtype_name(port->type));
            buf_append(out, members.ptr, members.len);
            buf_append_cstr(out, "}\n");
        } else {
            buf_printf(out, "%s\n", dtype_name(port->type));
        }
        if (members.failed)
            out->failed = members.failed;
        buf_free(&members);
    }
}

static void append_model(Buf *out, const Project *project) {
    Buf members = BUF_INIT(MAX_SECTION);
    flow_text(&members, "source", project->model_source, NULL);
    flow_text(&members, "format", project->model_format, NULL);
    flow_text(&members, "version", project->model_version, NULL);
    flow_text(&members, "id", project->model_id, NULL);
    flow_text(&members, "registry", project->model_registry, NULL);
    flow_text(&members, "revision", project->model_revision, NULL);
    append_section(out, "model", &members);
}

static void append_runtime(Buf *out, const Project *project) {
    Buf coreml = BUF_INIT(MAX_SECTION);
    flow_text(&coreml, "model_format", project->runtime.coreml_model_format, "MLProgram");
    flow_text(&coreml, "compute_units", project->runtime.coreml_compute_units, "ALL");
    flow_true(&coreml, "enable_profiling", project->runtime.coreml_enable_profiling);
    Buf gpu = BUF_INIT(MAX_SECTION);
    // A limit holds only when written, so the default of a parsed file must not become one.
    if (project->runtime.gpu_memory_set || project->runtime.gpu_memory == 0)
        flow_text(&gpu, "memory", project->runtime.gpu_memory_text, NULL);
    flow_text(&gpu, "backend", project->runtime.gpu_backend, NULL);
    flow_int(&gpu, "device_id", project->runtime.device_id, 0);
    flow_text(&gpu, "precision", project->runtime.precision, "auto");
    flow_map(&gpu, "coreml", &coreml);
    Buf members = BUF_INIT(MAX_SECTION);
    flow_map(&members, "gpu", &gpu);
    flow_int(&members, "timeout", project->runtime.timeout, 0);
    flow_int(&members, "batch_size", project->runtime.batch_size, 0);
    flow_true(&members, "enable_profiling", project->runtime.enable_profiling);
    flow_int(&members, "threads", project->runtime.threads, 0);
    append_section(out, "runtime", &members);
}

// A size in the largest unit that holds it exactly.
static void flow_memory(Buf *members, const char *key, uint64_t bytes, uint64_t fallback) {
    if (bytes == 0 || bytes == fallback)
        return;
    flow_key(members, key);
    if (bytes % (1 << 30) == 0)
        buf_printf(members, "%lluGB", (unsigned long long)(bytes >> 30));
    else if (bytes % (1 << 20) == 0)
        buf_printf(members, "%lluMB", (unsigned long long)(bytes >> 20));
    else
        buf_printf(members, "%.10gKB", (double)bytes / 1024);
}

static void append_serving(Buf *out, const Project *project) {
    Buf members = BUF_INIT(MAX_SECTION);
    if (project->serving.port || project->serving.port_set) {
        flow_key(&members, "port");
        buf_printf(&members, "%lld", (long long)project->serving.port);
    }
    flow_text(&members, "host", project->serving.host,
              project->serving.host_set ? NULL : "127.0.0.1");
    flow_int(&members, "batch_size", project->serving.batch_size, 0);
    flow_int(&members, "timeout", project->serving.timeout, project->runtime.timeout);
    if (project->serving.max_workers_set)
        flow_int(&members, "max_workers", project->serving.max_workers, 0);
    flow_int(&members, "max_queue", project->serving.max_queue, 1024);
    flow_memory(&members, "max_body", project->serving.max_body, 32 << 20);
    flow_int(&members, "max_batch_delay_ms", project->serving.max_batch_delay_ms, 2);
    flow_text(&members, "api_key", project->serving.api_key, NULL);
    flow_text(&members, "cors", project->serving.cors, NULL);
    append_section(out, "serving", &members);
}

static void append_preprocessing(Buf *out, const Project *project) {
    Buf members = BUF_INIT(MAX_SECTION);
    flow_text(&members, "tokenizer", project->preprocessing.tokenizer, NULL);
    flow_int(&members, "max_length", project->preprocessing.max_length, 0);
    flow_text(&members, "padding", project->preprocessing.padding, "false");
    if (project->preprocessing.resize[0]) {
        flow_key(&members, "resize");
        buf_printf(&members, "[%lld, %lld]", (long long)project->preprocessing.resize[0],
                   (long long)project->preprocessing.resize[1]);
    }
    flow_text(&members, "normalize", project->preprocessing.normalize, NULL);
    flow_true(&members, "letterbox", project->preprocessing.letterbox);
    if (project->preprocessing.custom_json &&
        strcmp(project->preprocessing.custom_json, "{}") != 0) {
        flow_key(&members, "custom");
        append_map(&members, project->preprocessing.custom_json, true);
    }
    flow_int(&members, "sample_rate", project->preprocessing.sample_rate, 16000);
    flow_int(&members, "n_mels", project->preprocessing.n_mels, 80);
    flow_int(&members, "n_fft", project->preprocessing.n_fft, 400);
    flow_int(&members, "hop_length", project->preprocessing.hop_length, 160);
    flow_int(&members, "chunk_length", project->preprocessing.chunk_length, 30);
    append_section(out, "preprocessing", &members);
}

Status project_write_yaml(Buf *out, const Project *project) {
    append_line(out, "name", project->name);
    append_line(out, "version", project->version);
    append_line(out, "description", project->description);
    append_line(out, "task", project->task);
    append_model(out, project);
    append_ports(out, "inputs", project->inputs, project->input_count, true);
    append_ports(out, "outputs", project->outputs, project->output_count, false);
    append_runtime(out, project);
    append_serving(out, project);
    append_preprocessing(out, project);
    append_map(out, project->metadata_json, false);
    if (project->tag_count > 0) {
        buf_append_cstr(out, "tags: ");
        append_texts(out, project->tags, project->tag_count);
        buf_append_byte(out, '\n');
    }
    return buf_status(out, NULL);
}
