// .gpux/tuning.json: what `build` measured of a model on this kind of CPU, and what "auto" may
// therefore choose.
//
// A record counts only for the files, the CPU and the version of gpux it was made with; whatever is
// wrong with it, a run goes on as if there were none.
#include "store/private.h"

#include "base/clock.h"
#include "base/file.h"
#include "base/hash.h"
#include "onnx/onnx.h"

#include <fcntl.h>
#include <stdio.h>
#include <unistd.h>

#define TUNING_FILE "tuning.json"

enum { TUNING_SCHEMA = 1, MAX_THREADS = 4096, REPORT_MAX = 4 << 20 };

// Files of this many bytes together are hashed at a start when only their times differ: after a
// copy.
static const uint64_t HASH_MAX = (uint64_t)1 << 30;

// What `auto` may become. int8 is reported, but only a user chooses it.
static const char *const AUTO_PRECISIONS[] = {"fp32", "bf16"};

// ---- The CPU ----

static bool has_feature(const CpuInfo *cpu, uint32_t bit) {
    return (cpu->flags & bit) && cpu_flag_name((CpuFlag)bit);
}

static void write_cpu(JsonWriter *writer, const CpuInfo *cpu) {
    json_begin_object(writer);
    json_key(writer, "model");
    json_write_cstr(writer, cpu->model);
    json_key(writer, "features");
    json_begin_flat_array(writer);
    for (uint32_t bit = 1; bit != 0; bit <<= 1)
        if (has_feature(cpu, bit))
            json_write_cstr(writer, cpu_flag_name((CpuFlag)bit));
    json_end_array(writer);
    json_key(writer, "threads");
    json_write_i64(writer, cpu->threads);
    json_end_object(writer);
}

static bool is_same_cpu(const JsonValue *record, const CpuInfo *cpu) {
    const JsonValue *features = json_get(record, "features");
    size_t count = 0;
    if (strcmp(json_cstr_or(record, "model", ""), cpu->model) != 0)
        return false;
    for (uint32_t bit = 1; bit != 0; bit <<= 1) {
        StrView name;
        if (!has_feature(cpu, bit))
            continue;
        if (!json_as_string(&name, json_at(features, count++)) ||
            !sv_equal_cstr(name, cpu_flag_name((CpuFlag)bit)))
            return false;
    }
    return json_len(features) == count;
}

// ---- The files that a model is made of ----

// The model file's name and those of its external data, each ended by NUL.
static Status list_sources(Buf *names, const char *model_file, Error *error) {
    OnnxModel *onnx;
    TRY(onnx_open(&onnx, model_file, error));
    for (size_t i = 0; i < onnx_source_count(onnx); i++) {
        const char *name;
        (void)onnx_source(onnx, i, &name);
        if (i == 0)
            name = path_basename(model_file);
        buf_append(names, name, strlen(name) + 1);
    }
    onnx_close(onnx);
    return buf_status(names, error);
}

static Status hash_file(char out[HASH_TEXT_SIZE], const char *path, uint64_t size, Error *error) {
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        return error_set(error, STATUS_IO, "cannot read the model's file");
    Status status = hash_fd(out, HASH_SHA256, size, fd, error);
    close(fd);
    return status;
}

static Status write_source(JsonWriter *writer, const char *folder, const char *name, Error *error) {
    char digest[HASH_TEXT_SIZE];
    FileStat stat;
    char *path = path_join(folder, name);
    if (!path)
        return error_out_of_memory(error, strlen(folder));
    Status status = file_stat(&stat, path)
                        ? hash_file(digest, path, stat.size, error)
                        : error_set(error, STATUS_IO, "the model's file '%s' is gone", name);
    mem_free(path);
    TRY(status);
    json_begin_object(writer);
    json_key(writer, "file");
    json_write_cstr(writer, name);
    json_key(writer, "size_bytes");
    json_write_u64(writer, stat.size);
    json_key(writer, "mtime_ns");
    json_write_i64(writer, stat.mtime_ns);
    json_key(writer, "sha256");
    json_write_cstr(writer, digest);
    json_end_object(writer);
    return STATUS_OK;
}

Status tuning_sources(Buf *out, const char *model_file, Error *error) {
    JsonWriter json = json_writer(out, 0), *writer = &json;
    Buf names = BUF_INIT(REPORT_MAX);
    char *folder = path_dirname(model_file);
    Status status = folder ? list_sources(&names, model_file, error)
                           : error_out_of_memory(error, strlen(model_file));
    json_begin_array(writer);
    for (size_t at = 0; at < names.len && status == STATUS_OK; at += strlen(names.ptr + at) + 1)
        status = write_source(writer, folder, names.ptr + at, error);
    json_end_array(writer);
    buf_free(&names);
    mem_free(folder);
    return status == STATUS_OK ? buf_status(out, error) : status;
}

// The same size and time; after a copy, which changes the time, the same content.
static bool is_same_source(const JsonValue *source, const char *folder, uint64_t *to_hash) {
    char digest[HASH_TEXT_SIZE];
    FileStat stat;
    const char *name = json_cstr_or(source, "file", "");
    if (!path_is_inside(sv(name)))
        return false;
    char *path = path_join(folder, name);
    bool is_same = path && file_stat(&stat, path) && stat.is_regular &&
                   json_i64_or(source, "size_bytes", -1) == (int64_t)stat.size;
    if (is_same && json_i64_or(source, "mtime_ns", -1) != stat.mtime_ns) {
        is_same = stat.size <= *to_hash;
        *to_hash -= is_same ? stat.size : 0;
        is_same = is_same && hash_file(digest, path, stat.size, NULL) == STATUS_OK &&
                  strcmp(json_cstr_or(source, "sha256", ""), digest) == 0;
    }
    mem_free(path);
    return is_same;
}

static bool is_same_model(const JsonValue *sources, const char *model_file) {
    char *folder = path_dirname(model_file);
    uint64_t to_hash = HASH_MAX;
    const char *first = json_cstr_or(json_at(sources, 0), "file", "");
    bool is_same = folder && strcmp(first, path_basename(model_file)) == 0;
    for (size_t i = 0; i < json_len(sources) && is_same; i++)
        is_same = is_same_source(json_at(sources, i), folder, &to_hash);
    mem_free(folder);
    return is_same;
}

// ---- Writing ----

static void put_number(JsonWriter *writer, const char *key, double number, bool applies) {
    json_key(writer, key);
    if (applies)
        json_write_f64(writer, number);
    else
        json_write_null(writer);
}

static void write_measurement(JsonWriter *writer, const Measurement *row) {
    json_begin_object(writer);
    json_key(writer, "precision");
    json_write_cstr(writer, row->precision);
    json_key(writer, "time_ms");
    json_write_fixed(writer, row->ms, 4);
    json_key(writer, "speedup");
    json_write_fixed(writer, row->speedup, 3);
    put_number(writer, "max_abs_diff", row->max_abs, true);
    put_number(writer, "mean_abs_diff", row->mean_abs, true);
    put_number(writer, "cosine_mean", row->cosine_mean, row->has_cosine);
    put_number(writer, "cosine_min", row->cosine_min, row->has_cosine);
    put_number(writer, "cosine_limit", row->cosine_limit, row->cosine_limit > 0);
    put_number(writer, "label_agreement", row->agreement, row->has_labels);
    put_number(writer, "label_agreement_limit", row->agreement_limit, row->agreement_limit > 0);
    json_key(writer, "within_limits");
    json_write_bool(writer, row->is_within);
    json_end_object(writer);
}

void tuning_write_members(JsonWriter *writer, const Tuning *tuning) {
    json_key(writer, "goal");
    json_write_cstr(writer, tuning->goal);
    json_key(writer, "provider");
    json_write_cstr(writer, tuning->provider);
    json_key(writer, "precision");
    json_write_cstr(writer, tuning->precision);
    json_key(writer, "threads");
    if (tuning->threads > 0)
        json_write_i64(writer, tuning->threads);
    else
        json_write_null(writer);
    json_key(writer, "samples");
    json_begin_object(writer);
    json_key(writer, "source");
    json_write_cstr(writer, tuning->is_dataset ? "dataset" : "built-in");
    json_key(writer, "requests");
    json_write_u64(writer, tuning->requests);
    json_key(writer, "tokens");
    json_write_u64(writer, tuning->tokens);
    json_end_object(writer);
    json_key(writer, "measured");
    json_begin_array(writer);
    for (size_t i = 0; i < tuning->row_count; i++)
        write_measurement(writer, &tuning->rows[i]);
    json_end_array(writer);
    json_key(writer, "thread_times");
    json_begin_array(writer);
    for (size_t i = 0; i < tuning->trial_count; i++) {
        json_begin_object(writer);
        json_key(writer, "threads");
        json_write_i64(writer, tuning->trials[i].threads);
        json_key(writer, "time_ms");
        json_write_fixed(writer, tuning->trials[i].ms, 4);
        json_end_object(writer);
    }
    json_end_array(writer);
}

Status tuning_write(const Tuning *tuning, const char *folder, const Buf *sources,
                    const CpuInfo *cpu, Error *error) {
    char stamp[32];
    JsonDoc *doc = NULL;
    TRY(json_parse(&doc, sv_n(sources->ptr, sources->len), 0, error));
    Buf text = BUF_INIT(REPORT_MAX);
    JsonWriter writer = json_writer(&text, 2);
    clock_utc_iso8601(stamp);
    json_begin_object(&writer);
    json_key(&writer, "schema");
    json_write_i64(&writer, TUNING_SCHEMA);
    json_key(&writer, "gpux_version");
    json_write_cstr(&writer, GPUX_VERSION);
    json_key(&writer, "measured_at");
    json_write_cstr(&writer, stamp);
    json_key(&writer, "cpu");
    write_cpu(&writer, cpu);
    json_key(&writer, "source");
    json_write_value(&writer, json_root(doc));
    tuning_write_members(&writer, tuning);
    json_end_object(&writer);
    buf_append_byte(&text, '\n');
    Status status = built_write(folder, TUNING_FILE, &text, error);
    json_free(doc);
    buf_free(&text);
    return status;
}

// ---- Reading ----

static const char *why_not(const JsonValue *record, const char *model_file, const CpuInfo *cpu) {
    if (json_i64_or(record, "schema", 0) != TUNING_SCHEMA)
        return "it has another form";
    if (strcmp(json_cstr_or(record, "gpux_version", ""), GPUX_VERSION) != 0)
        return "another version of gpux made it";
    if (!is_same_cpu(json_get(record, "cpu"), cpu))
        return "it is of another kind of CPU";
    if (!is_same_model(json_get(record, "source"), model_file))
        return "the model has changed since";
    return NULL;
}

void tuning_load(TunedChoice *out, const char *folder, const char *model_file, const CpuInfo *cpu,
                 const Log *log) {
    JsonDoc *doc = NULL;
    Error error;
    *out = (TunedChoice){0};
    if (built_read(&doc, folder, TUNING_FILE, &error) != STATUS_OK) {
        log_message(log, LOG_DEBUG, "%s is ignored: %s", BUILT_FOLDER "/" TUNING_FILE,
                    error.message);
        return;
    }
    if (!doc)
        return;
    const JsonValue *record = json_root(doc);
    const char *reason = why_not(record, model_file, cpu);
    const char *precision = json_cstr_or(record, "precision", "");
    int64_t threads = json_i64_or(record, "threads", 0);
    int64_t threads_then = json_i64_or(json_get(record, "cpu"), "threads", 0);
    for (size_t i = 0; !reason && i < sizeof AUTO_PRECISIONS / sizeof AUTO_PRECISIONS[0]; i++)
        if (strcmp(precision, AUTO_PRECISIONS[i]) == 0)
            out->precision = AUTO_PRECISIONS[i];
    // A choice among other CPUs than are there now says nothing.
    if (!reason && threads > 0 && threads <= MAX_THREADS && threads_then == cpu->threads)
        out->threads = (int)threads;
    if (reason)
        log_message(log, LOG_DEBUG, "%s is ignored: %s", BUILT_FOLDER "/" TUNING_FILE, reason);
    json_free(doc);
}
