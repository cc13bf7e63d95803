// Benchmark figures as JSON and as table rows.
#include "app/bench/report.h"

#include "base/clock.h"

#include <stdio.h>

enum { MS_DECIMALS = 6, MB_DECIMALS = 2 };

static const double BYTES_PER_MB = 1024.0 * 1024.0;

void bench_format_ms(char out[64], double ms) {
    snprintf(out, 64, ms < 0.01 ? "%.4f ms" : "%.2f ms", ms);
}

void bench_format_fps(char out[64], double fps) {
    snprintf(out, 64, "%.1f fps", fps);
}

static void write_ms(JsonWriter *writer, const char *key, double ms) {
    json_key(writer, key);
    json_write_fixed(writer, ms, MS_DECIMALS);
}

static void write_null(JsonWriter *writer, const char *key) {
    json_key(writer, key);
    json_write_null(writer);
}

static void write_count(JsonWriter *writer, const char *key, size_t count) {
    json_key(writer, key);
    json_write_u64(writer, count);
}

// Copies a key of the model's description; null when it is not there.
static void write_copy(JsonWriter *writer, const char *key, const JsonValue *value) {
    json_key(writer, key);
    if (value == NULL)
        json_write_null(writer);
    else
        json_write_value(writer, value);
}

static void write_times(JsonWriter *writer, const BenchResult *result) {
    const BenchStats *time = &result->time;
    write_ms(writer, "mean_time_ms", time->mean);
    write_ms(writer, "std_time_ms", time->std);
    write_ms(writer, "min_time_ms", time->min);
    write_ms(writer, "max_time_ms", time->max);
    write_ms(writer, "median_time_ms", time->median);
    write_ms(writer, "p50_time_ms", time->median);
    write_ms(writer, "p90_time_ms", time->p90);
    write_ms(writer, "p95_time_ms", time->p95);
    write_ms(writer, "p99_time_ms", time->p99);
    json_key(writer, "throughput_fps");
    json_write_fixed(writer, bench_throughput(result), 3);
    json_key(writer, "cv");
    json_write_fixed(writer, time->cv, MS_DECIMALS);
    write_ms(writer, "mean_time", time->mean);
    write_ms(writer, "min_time", time->min);
    write_ms(writer, "max_time", time->max);
    write_ms(writer, "std_dev", time->std);
    write_count(writer, "num_runs", result->runs);
    write_count(writer, "warmup_runs", result->warmup);
}

static void write_phases(JsonWriter *writer, const BenchReport *report) {
    const BenchResult *result = &report->result;
    write_ms(writer, "load_time_ms", report->load_ms);
    write_ms(writer, "first_inference_ms", result->first_ms);
    write_ms(writer, "warmup_time_ms", result->warmup_ms);
    json_key(writer, "total_time_s");
    json_write_fixed(writer, report->total_s, MS_DECIMALS);
    json_key(writer, "scope");
    json_write_cstr(writer, report->model_scope ? "model" : "e2e");
    write_ms(writer, "model_time_ms", result->model_ms);
    write_ms(writer, "preprocess_time_ms", result->preprocess_ms);
    write_ms(writer, "postprocess_time_ms", result->postprocess_ms);
    json_key(writer, "tokens_per_second");
    if (result->tokens > 0)
        json_write_fixed(writer, (double)result->tokens * 1000.0 / result->time.mean, 1);
    else
        json_write_null(writer);
}

static void write_resources(JsonWriter *writer, const BenchReport *report) {
    json_key(writer, "memory_peak_mb");
    json_write_fixed(writer, (double)report->peak_memory / BYTES_PER_MB, MB_DECIMALS);
    double model_bytes;
    json_key(writer, "memory_model_mb");
    if (json_as_f64(&model_bytes, json_get(report->model, "memory_bytes")))
        json_write_fixed(writer, model_bytes / BYTES_PER_MB, MB_DECIMALS);
    else
        json_write_null(writer);
    write_null(writer, "gpu_memory_peak_mb");
    write_null(writer, "gpu_util_percent");
    json_key(writer, "cpu_util_percent");
    json_write_fixed(writer, report->result.cpu_percent, 1);
    write_null(writer, "power_watts");
    write_null(writer, "fps_per_watt");
    write_null(writer, "energy_mj_per_inference");
}

// {"input_ids": [8, 128]}: the first open dimension is the batch, the second the sequence.
static void write_input_shapes(JsonWriter *writer, const BenchReport *report) {
    const JsonValue *inputs = json_get(report->model, "inputs");
    json_key(writer, "input_shapes");
    json_begin_object(writer);
    for (size_t i = 0; i < json_len(inputs); i++) {
        const JsonValue *input = json_at(inputs, i);
        const JsonValue *shape = json_get(input, "shape");
        const char *name = json_cstr_or(input, "name", NULL);
        if (name == NULL || json_kind(shape) != JSON_ARRAY)
            continue;
        json_key(writer, name);
        json_begin_flat_array(writer);
        size_t open = 0;
        for (size_t d = 0; d < json_len(shape); d++) {
            int64_t size;
            if (json_as_i64(&size, json_at(shape, d)) && size >= 0)
                json_write_i64(writer, size);
            else if (open++ == 0)
                json_write_u64(writer, report->result.rows);
            else if (open == 2 && report->result.seq_len > 0)
                json_write_u64(writer, report->result.seq_len);
            else
                json_write_i64(writer, -1);
        }
        json_end_array(writer);
    }
    json_end_object(writer);
}

static const char *device_name(const BenchReport *report) {
    const char *device = json_cstr_or(report->model, "device", NULL);
    if (device != NULL && device[0] != '\0')
        return device;
    return report->host->cpu.model;
}

static void write_setting(JsonWriter *writer, const BenchReport *report) {
    const BenchResult *result = &report->result;
    write_count(writer, "batch_size", result->batch);
    json_key(writer, "sequence_length");
    if (result->seq_len > 0)
        json_write_u64(writer, result->seq_len);
    else
        json_write_null(writer);
    write_input_shapes(writer, report);
    write_copy(writer, "precision", json_get(report->model, "precision"));
    write_copy(writer, "provider", json_get(report->model, "provider"));
    write_copy(writer, "engine", json_get(report->model, "engine"));
    write_copy(writer, "isa", json_get(report->model, "isa"));
    json_key(writer, "device");
    json_write_cstr(writer, device_name(report));
    json_key(writer, "threads");
    json_write_i64(writer, result->threads);
}

// What the loaded model says of itself, else what is known of its folder.
static const JsonValue *find_key(const BenchReport *report, const char *key) {
    const JsonValue *value = json_get(report->model, key);
    bool is_known = value != NULL && json_kind(value) != JSON_NULL;
    return is_known ? value : json_get(report->info, key);
}

static void write_model(JsonWriter *writer, const BenchReport *report) {
    static const char *const KEYS[] = {"model_id", "revision",   "commit",
                                       "task",     "parameters", "size_bytes"};
    json_key(writer, "model");
    json_write_cstr(writer, report->model_name);
    for (size_t i = 0; i < sizeof KEYS / sizeof KEYS[0]; i++)
        write_copy(writer, KEYS[i], find_key(report, KEYS[i]));
    // A model of a registry is in the cache; any other is a folder of the user's.
    json_key(writer, "cached");
    if (report->info == NULL)
        json_write_null(writer);
    else
        json_write_bool(writer, json_cstr_or(report->info, "registry", NULL) != NULL);
}

static void write_host(JsonWriter *writer, const HostInfo *host) {
    char stamp[32];
    clock_utc_iso8601(stamp);
    json_key(writer, "gpux_version");
    json_write_cstr(writer, gpux_version());
    json_key(writer, "timestamp");
    json_write_cstr(writer, stamp);
    json_key(writer, "host");
    json_begin_object(writer);
    json_key(writer, "os");
    json_write_cstr(writer, host->os);
    json_key(writer, "arch");
    json_write_cstr(writer, host->arch);
    json_key(writer, "cpu");
    json_write_cstr(writer, host->cpu.model);
    json_key(writer, "cores");
    json_write_i64(writer, host->cpu.cores);
    json_key(writer, "memory_mb");
    json_write_u64(writer, host->memory_bytes / (1024u * 1024u));
    json_end_object(writer);
}

void bench_report_json(JsonWriter *writer, const BenchReport *report) {
    json_begin_object(writer);
    write_times(writer, &report->result);
    write_phases(writer, report);
    write_resources(writer, report);
    write_setting(writer, report);
    write_model(writer, report);
    write_host(writer, report->host);
    if (report->difference.reference != NULL)
        difference_write(writer, &report->difference);
    if (report->profile != NULL)
        write_copy(writer, "profile", report->profile);
    json_end_object(writer);
}

static void add_ms(BenchRows *list, const char *metric, double ms) {
    bench_format_ms(rows_add(list, metric), ms);
}

static void add_text(BenchRows *list, const char *metric, const char *text) {
    if (text != NULL && text[0] != '\0')
        snprintf(rows_add(list, metric), BENCH_VALUE_SIZE, "%s", text);
}

void bench_report_rows(BenchRows *list, const BenchReport *report) {
    const BenchResult *result = &report->result;
    *list = (BenchRows){0};
    add_ms(list, "Mean Time", result->time.mean);
    add_ms(list, "Std Time", result->time.std);
    add_ms(list, "Min Time", result->time.min);
    add_ms(list, "Max Time", result->time.max);
    add_ms(list, "Median Time", result->time.median);
    add_ms(list, "P90 Time", result->time.p90);
    add_ms(list, "P95 Time", result->time.p95);
    add_ms(list, "P99 Time", result->time.p99);
    bench_format_fps(rows_add(list, "Throughput"), bench_throughput(result));
    if (result->tokens > 0)
        snprintf(rows_add(list, "Tokens/s"), BENCH_VALUE_SIZE, "%.1f",
                 (double)result->tokens * 1000.0 / result->time.mean);
    add_ms(list, "Load Time", report->load_ms);
    add_ms(list, "First Inference", result->first_ms);
    snprintf(rows_add(list, "Peak Memory"), BENCH_VALUE_SIZE, "%.1f MB",
             (double)report->peak_memory / BYTES_PER_MB);
    snprintf(rows_add(list, "Batch Size"), BENCH_VALUE_SIZE, "%zu", result->batch);
    if (result->seq_len > 0)
        snprintf(rows_add(list, "Sequence Length"), BENCH_VALUE_SIZE, "%zu", result->seq_len);
    add_text(list, "Precision", json_cstr_or(report->model, "precision", NULL));
    add_text(list, "Provider", json_cstr_or(report->model, "provider", NULL));
    add_text(list, "Device", device_name(report));
    // Beside the documented rows.
    add_ms(list, "Model Time", result->model_ms);
    add_ms(list, "Preprocess Time", result->preprocess_ms);
    add_ms(list, "Postprocess Time", result->postprocess_ms);
    snprintf(rows_add(list, "Threads"), BENCH_VALUE_SIZE, "%d", result->threads);
    if (report->difference.reference != NULL)
        difference_add_rows(list, &report->difference);
}
