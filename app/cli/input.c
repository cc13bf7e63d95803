// Where requests come from. The rules: --file wins over --input, that over --text and PROMPT.
#include "app/cli/input.h"

#include "base/file.h"
#include "base/memory.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

enum { INPUT_MAX = 1 << 30 };

StrView input_trim(StrView text) {
    // Windows editors put a byte order mark in front.
    if (sv_starts_with(text, SV("\xEF\xBB\xBF")))
        text = sv_n(text.ptr + 3, text.len - 3);
    return sv_trim(text);
}

InputSource input_classify(const char *value, const char **path) {
    *path = NULL;
    if (strcmp(value, "-") == 0)
        return INPUT_STDIN;
    if (value[0] == '@') {
        *path = value + 1;
        return INPUT_FILE;
    }
    StrView text = sv_trim(sv(value));
    bool is_json = text.len > 0 && strchr("{[\"", text.ptr[0]) != NULL;
    if (!is_json && file_is_regular(value)) {
        *path = value;
        return INPUT_FILE;
    }
    return INPUT_JSON;
}

void input_free(RunInput *input) {
    buf_free(&input->text);
    *input = (RunInput){0};
}

static StrView buf_view(const Buf *buf) {
    return sv_n(buf->ptr != NULL ? buf->ptr : "", buf->len);
}

// Puts {"inputs": …} around the JSON text of a string.
static Status wrap_string(RunInput *out, StrView text, Error *error) {
    Buf wrapped = BUF_INIT(SIZE_MAX);
    buf_append_cstr(&wrapped, "{\"inputs\": ");
    buf_append_sv(&wrapped, text);
    buf_append_byte(&wrapped, '}');
    Status status = buf_status(&wrapped, error);
    if (status != STATUS_OK) {
        buf_free(&wrapped);
        return status;
    }
    buf_free(&out->text);
    out->text = wrapped;
    return STATUS_OK;
}

static bool is_text_key(StrView key) {
    static const char *const KEYS[] = {"inputs", "text", "input", "prompt", "sentence"};
    for (size_t i = 0; i < sizeof KEYS / sizeof KEYS[0]; i++)
        if (sv_equal_cstr(key, KEYS[i]))
            return true;
    return false;
}

// An object is one sample, unless its text is an array of texts or it has no text at all: the rows
// of raw tensors are samples.
static size_t count_samples(const JsonScan *scan) {
    for (size_t i = 0; i < scan->count; i++) {
        StrView key = scan->spans[i].key;
        if (sv_equal_cstr(key, "question") || sv_equal_cstr(key, "context"))
            return 1;
        if (is_text_key(key))
            return scan->spans[i].text.ptr[0] == '[' ? 0 : 1;
    }
    return 0;
}

// Keeps only the text between byte order mark and final white space.
static void trim_buf(Buf *buf) {
    StrView text = input_trim(buf_view(buf));
    if (text.len == buf->len)
        return;
    memmove(buf->ptr, text.ptr, text.len);
    buf->ptr[text.len] = '\0';
    buf->len = text.len;
}

Status input_check(RunInput *out, Error *error) {
    trim_buf(&out->text);
    StrView text = buf_view(&out->text);
    out->is_empty = text.len == 0;
    if (out->is_empty)
        return STATUS_OK;
    JsonScan scan = {0};
    TRY(json_scan(&scan, text, error));
    JsonKind kind = scan.kind;
    size_t count = scan.count;
    size_t samples = kind == JSON_ARRAY ? count : count_samples(&scan);
    json_scan_free(&scan);
    out->is_array = kind == JSON_ARRAY;
    out->samples = samples;
    out->is_empty = kind == JSON_NULL || (kind == JSON_OBJECT && count == 0);
    if (kind == JSON_STRING) {
        out->samples = 1;
        return wrap_string(out, text, error);
    }
    if (!out->is_empty && kind != JSON_OBJECT && kind != JSON_ARRAY)
        return error_set(error, STATUS_INVALID, "The input must be a JSON object or array");
    return STATUS_OK;
}

bool input_next_line(StrView *rest, StrView *line, size_t *number) {
    while (rest->len > 0) {
        const char *end = memchr(rest->ptr, '\n', rest->len);
        size_t len = end != NULL ? (size_t)(end - rest->ptr) : rest->len;
        *line = input_trim(sv_n(rest->ptr, len));
        size_t step = end != NULL ? len + 1 : len;
        *rest = sv_n(rest->ptr + step, rest->len - step);
        *number += 1;
        if (line->len > 0)
            return true;
    }
    return false;
}

int input_load_dataset(Buf *out, const Cli *cli, const char *path) {
    Error error = {0};
    *out = BUF_INIT(INPUT_MAX);
    if (file_read(out, path, INPUT_MAX, &error) != STATUS_OK)
        return cli_fail(cli, "Error loading dataset", "%s", error.message);
    if (input_trim(sv_n(out->ptr, out->len)).len == 0)
        return cli_fail(cli, "Error loading dataset", "there is no request in '%s'", path);
    return EXIT_OK;
}

void input_place_error(char *message, size_t cap, size_t number) {
    static const char MARK[] = ": line 1 column ";
    char text[ERROR_MESSAGE_SIZE];
    snprintf(text, sizeof text, "%s", message);
    char *mark = strstr(text, MARK);
    if (mark == NULL) {
        snprintf(message, cap, "line %zu: %s", number, text);
        return;
    }
    *mark = '\0';
    snprintf(message, cap, "%s: line %zu column %s", text, number, mark + sizeof MARK - 1);
}

Status input_check_lines(RunInput *out, Error *error) {
    StrView rest = buf_view(&out->text);
    StrView line;
    size_t number = 0;
    out->is_lines = true;
    out->samples = 0;
    while (input_next_line(&rest, &line, &number)) {
        JsonScan scan = {0};
        Status status = json_scan(&scan, line, error);
        if (status != STATUS_OK) {
            if (error != NULL)
                input_place_error(error->message, sizeof error->message, number);
            return status;
        }
        JsonKind kind = scan.kind;
        json_scan_free(&scan);
        if (kind != JSON_OBJECT && kind != JSON_ARRAY)
            return error_set(error, STATUS_INVALID,
                             "line %zu: The input must be a JSON object or array", number);
        out->samples++;
    }
    out->is_empty = out->samples == 0;
    return STATUS_OK;
}

// Collects the samples' views: members of an array, or the lines, or the object itself.
static Status append_in_turn(Buf *out, const StrView *samples, size_t have, size_t count,
                             Error *error) {
    buf_append_byte(out, '[');
    for (size_t i = 0; i < count; i++) {
        if (i > 0)
            buf_append_byte(out, ',');
        buf_append_sv(out, samples[i % have]);
    }
    buf_append_byte(out, ']');
    return buf_status(out, error);
}

static Status replicate_lines(Buf *out, const RunInput *input, size_t count, Error *error) {
    StrView *samples = mem_alloc_zero(input->samples, sizeof *samples);
    if (samples == NULL)
        return error_out_of_memory(error, input->samples * sizeof *samples);
    StrView rest = buf_view(&input->text);
    size_t number = 0;
    size_t have = 0;
    while (have < input->samples && input_next_line(&rest, &samples[have], &number))
        have++;
    Status status = append_in_turn(out, samples, have, count, error);
    mem_free(samples);
    return status;
}

Status input_replicate(Buf *out, const RunInput *input, size_t count, Error *error) {
    if (input->is_lines)
        return replicate_lines(out, input, count, error);
    StrView whole = buf_view(&input->text);
    if (!input->is_array)
        return append_in_turn(out, &whole, 1, count, error);
    JsonScan scan = {0};
    TRY(json_scan(&scan, whole, error));
    Status status = STATUS_OK;
    StrView *samples = mem_alloc_zero(scan.count, sizeof *samples);
    if (samples == NULL)
        status = error_out_of_memory(error, scan.count * sizeof *samples);
    for (size_t i = 0; samples != NULL && i < scan.count; i++)
        samples[i] = scan.spans[i].text;
    if (samples != NULL && scan.count > 0)
        status = append_in_turn(out, samples, scan.count, count, error);
    else if (samples != NULL)
        buf_append_cstr(out, "[]");
    mem_free(samples);
    json_scan_free(&scan);
    return status;
}

static int load_file(RunInput *out, const Cli *cli, const char *path) {
    Error error = {0};
    FileStat stat;
    int problem = 0;
    errno = 0;
    if (!file_stat(&stat, path))
        problem = errno != 0 ? errno : ENOENT;
    else if (stat.is_dir)
        problem = EISDIR;
    if (problem != 0)
        return cli_fail(cli, "Error loading input file", "%s: '%s'", strerror(problem), path);
    if (file_read(&out->text, path, INPUT_MAX, &error) != STATUS_OK)
        return cli_fail(cli, "Error loading input file", "%s", error.message);
    return EXIT_OK;
}

static int load_text(RunInput *out, const Cli *cli, const char *text) {
    size_t bad;
    if (!utf8_is_valid(sv(text), &bad))
        return cli_fail(
            cli, "Error",
            "The text is not UTF-8 (byte %zu); convert it first, for example with iconv", bad);
    JsonWriter writer = json_writer(&out->text, 0);
    json_begin_object(&writer);
    json_key(&writer, "inputs");
    json_write_cstr(&writer, text);
    json_end_object(&writer);
    out->samples = 1;
    if (buf_status(&out->text, NULL) != STATUS_OK)
        return cli_fail(cli, "Error", "out of memory");
    return EXIT_OK;
}

// *file is set when the value names a file, *is_plain when it is the text itself.
static int load_value(RunInput *out, const Cli *cli, const char *value, const char **file,
                      bool *is_plain) {
    const char *path;
    Error error = {0};
    switch (input_classify(value, &path)) {
    case INPUT_FILE:
        *file = path;
        return load_file(out, cli, path);
    case INPUT_STDIN:
        if (file_read_stdin(&out->text, INPUT_MAX, &error) != STATUS_OK)
            return cli_fail(cli, "Error loading input file", "%s", error.message);
        return EXIT_OK;
    case INPUT_JSON:
        break;
    }
    buf_append_cstr(&out->text, value);
    *is_plain = true;
    return EXIT_OK;
}

static int check_loaded(RunInput *out, const Cli *cli, bool as_lines, bool is_plain) {
    Error error = {0};
    Status status = as_lines ? input_check_lines(out, &error) : input_check(out, &error);
    if (status == STATUS_OK)
        return EXIT_OK;
    if (status == STATUS_INVALID)
        return cli_fail(cli, "Run failed", "%s", error.message);
    int code = cli_fail(cli, "Error parsing input JSON", "%s", error.message);
    StrView text = buf_view(&out->text);
    if (is_plain && text.len > 0 && strchr("{[\"", text.ptr[0]) == NULL)
        cli_say(cli, "Hint", "For plain text use --text, for a file @FILE");
    return code;
}

// Says which of several inputs counts.
static void warn_precedence(const Cli *cli, const char *const *names, const char *const *values,
                            size_t count) {
    const char *winner = NULL;
    for (size_t i = 0; i < count; i++) {
        if (values[i] == NULL)
            continue;
        if (winner == NULL)
            winner = names[i];
        else
            cli_say(cli, "Warning", "%s is ignored because %s is given", names[i], winner);
    }
}

int input_load(RunInput *out, const Cli *cli) {
    static const char *const NAMES[] = {"--file", "--input", "--text", "PROMPT"};
    const char *file = args_text(&cli->args, "file");
    const char *value = args_text(&cli->args, "input");
    const char *text = args_text(&cli->args, "text");
    const char *prompt = args_positional(&cli->args, 1);
    const char *given[] = {file, value, text, prompt};
    *out = (RunInput){.text = BUF_INIT(INPUT_MAX)};
    warn_precedence(cli, NAMES, given, sizeof given / sizeof given[0]);
    bool is_plain = false;
    int code = EXIT_OK;
    if (file != NULL)
        code = load_file(out, cli, file);
    else if (value != NULL)
        code = load_value(out, cli, value, &file, &is_plain);
    else if (text != NULL || prompt != NULL)
        return load_text(out, cli, text != NULL ? text : prompt);
    if (code != EXIT_OK)
        return code;
    bool as_lines = file != NULL && sv_ends_with(sv(file), SV(".jsonl"));
    return check_loaded(out, cli, as_lines, is_plain);
}
