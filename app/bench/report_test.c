#include "app/bench/report.h"

#include "base/memory.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

#define assert_close(a, b, tolerance) assert_true(fabs((a) - (b)) <= (tolerance))

static const char MODEL[] =
    "{\"task\": \"text-classification\", \"provider\": \"CPUExecutionProvider\", "
    "\"precision\": \"fp32\", \"engine\": \"native\", \"memory_bytes\": 1048576, "
    "\"inputs\": [{\"name\": \"input_ids\", \"shape\": [\"batch\", \"sequence\"]}, "
    "{\"name\": \"x\", \"shape\": [-1, 3, -1, -1]}]}";

typedef struct Fixture {
    JsonDoc *model;
    HostInfo host;
    BenchReport report;
} Fixture;

static int make_fixture(void **state) {
    Fixture *fixture = mem_alloc_zero(1, sizeof *fixture);
    if (fixture == NULL || json_parse(&fixture->model, sv(MODEL), 0, NULL) != STATUS_OK)
        return -1;
    strcpy(fixture->host.arch, "x86_64");
    strcpy(fixture->host.cpu.model, "A CPU");
    fixture->report = (BenchReport){
        .result = {.time = {.mean = 2, .std = 0.004, .min = 1, .max = 4, .median = 1.5},
                   .runs = 100,
                   .warmup = 10,
                   .batch = 8,
                   .rows = 8,
                   .tokens = 1024,
                   .seq_len = 128,
                   .threads = 2},
        .load_ms = 41,
        .peak_memory = 3 * 1048576,
        .model_name = "m",
        .model = json_root(fixture->model),
        .host = &fixture->host,
    };
    *state = fixture;
    return 0;
}

static int free_fixture(void **state) {
    Fixture *fixture = *state;
    json_free(fixture->model);
    mem_free(fixture);
    return 0;
}

static JsonDoc *write_and_parse(const BenchReport *report) {
    Buf text = BUF_INIT(1 << 20);
    JsonWriter writer = json_writer(&text, 2);
    bench_report_json(&writer, report);
    JsonDoc *doc = NULL;
    Status status = json_parse(&doc, sv_n(text.ptr, text.len), JSON_REJECT_DUPLICATES, NULL);
    buf_free(&text);
    assert_int_equal(status, STATUS_OK);
    return doc;
}

static void every_documented_key_is_there(void **state) {
    static const char *const KEYS[] = {"mean_time_ms",
                                       "std_time_ms",
                                       "min_time_ms",
                                       "max_time_ms",
                                       "median_time_ms",
                                       "p95_time_ms",
                                       "p99_time_ms",
                                       "throughput_fps",
                                       "mean_time",
                                       "min_time",
                                       "max_time",
                                       "std_dev",
                                       "num_runs",
                                       "warmup_runs",
                                       "p50_time_ms",
                                       "p90_time_ms",
                                       "cv",
                                       "load_time_ms",
                                       "first_inference_ms",
                                       "warmup_time_ms",
                                       "total_time_s",
                                       "model_time_ms",
                                       "preprocess_time_ms",
                                       "postprocess_time_ms",
                                       "tokens_per_second",
                                       "memory_peak_mb",
                                       "memory_model_mb",
                                       "gpu_memory_peak_mb",
                                       "gpu_util_percent",
                                       "cpu_util_percent",
                                       "power_watts",
                                       "fps_per_watt",
                                       "energy_mj_per_inference",
                                       "batch_size",
                                       "sequence_length",
                                       "input_shapes",
                                       "precision",
                                       "provider",
                                       "engine",
                                       "device",
                                       "threads",
                                       "model",
                                       "model_id",
                                       "revision",
                                       "commit",
                                       "task",
                                       "parameters",
                                       "size_bytes",
                                       "cached",
                                       "gpux_version",
                                       "timestamp",
                                       "host"};
    Fixture *fixture = *state;
    JsonDoc *doc = write_and_parse(&fixture->report);
    for (size_t i = 0; i < sizeof KEYS / sizeof KEYS[0]; i++)
        assert_non_null(json_get(json_root(doc), KEYS[i]));
    json_free(doc);
}

static void both_spellings_have_the_same_values(void **state) {
    Fixture *fixture = *state;
    JsonDoc *doc = write_and_parse(&fixture->report);
    const JsonValue *root = json_root(doc);
    assert_close(json_f64_or(root, "mean_time_ms", 0), 2, 1e-9);
    assert_close(json_f64_or(root, "mean_time", 0), 2, 1e-9);
    assert_close(json_f64_or(root, "std_time_ms", 0), json_f64_or(root, "std_dev", 1), 1e-9);
    assert_close(json_f64_or(root, "throughput_fps", 0), 4000, 1e-6);
    assert_close(json_f64_or(root, "tokens_per_second", 0), 512000, 1e-6);
    json_free(doc);
}

static void open_dimensions_become_the_measured_shape(void **state) {
    Fixture *fixture = *state;
    JsonDoc *doc = write_and_parse(&fixture->report);
    const JsonValue *shapes = json_get(json_root(doc), "input_shapes");
    int64_t size = 0;
    assert_true(json_as_i64(&size, json_at(json_get(shapes, "input_ids"), 0)));
    assert_int_equal(size, 8);
    assert_true(json_as_i64(&size, json_at(json_get(shapes, "input_ids"), 1)));
    assert_int_equal(size, 128);
    assert_true(json_as_i64(&size, json_at(json_get(shapes, "x"), 1)));
    assert_int_equal(size, 3);
    json_free(doc);
}

static void without_a_description_the_report_still_stands(void **state) {
    Fixture *fixture = *state;
    fixture->report.model = NULL;
    fixture->report.result.tokens = 0;
    fixture->report.result.seq_len = 0;
    JsonDoc *doc = write_and_parse(&fixture->report);
    assert_int_equal(json_kind(json_get(json_root(doc), "provider")), JSON_NULL);
    assert_int_equal(json_kind(json_get(json_root(doc), "tokens_per_second")), JSON_NULL);
    assert_int_equal(json_kind(json_get(json_root(doc), "sequence_length")), JSON_NULL);
    json_free(doc);
}

static void what_the_folder_says_fills_what_the_model_does_not(void **state) {
    static const char INFO[] =
        "{\"model_id\": \"org/m\", \"revision\": \"main\", \"commit\": \"abc\", "
        "\"size_bytes\": 1234, \"task\": \"of the folder\", \"registry\": \"huggingface\"}";
    Fixture *fixture = *state;
    JsonDoc *info = NULL;
    assert_int_equal(json_parse(&info, SV(INFO), 0, NULL), STATUS_OK);
    fixture->report.info = json_root(info);
    JsonDoc *doc = write_and_parse(&fixture->report);
    const JsonValue *root = json_root(doc);
    assert_string_equal(json_cstr_or(root, "model_id", ""), "org/m");
    assert_string_equal(json_cstr_or(root, "revision", ""), "main");
    assert_string_equal(json_cstr_or(root, "commit", ""), "abc");
    assert_int_equal(json_i64_or(root, "size_bytes", 0), 1234);
    assert_string_equal(json_cstr_or(root, "task", ""), "text-classification");
    assert_true(json_bool_or(root, "cached", false));
    json_free(doc);
    json_free(info);
}

static void a_folder_of_the_user_is_not_cached(void **state) {
    Fixture *fixture = *state;
    JsonDoc *info = NULL;
    assert_int_equal(json_parse(&info, SV("{\"registry\": null}"), 0, NULL), STATUS_OK);
    fixture->report.info = json_root(info);
    JsonDoc *doc = write_and_parse(&fixture->report);
    assert_int_equal(json_kind(json_get(json_root(doc), "cached")), JSON_BOOL);
    assert_false(json_bool_or(json_root(doc), "cached", true));
    json_free(doc);
    json_free(info);
}

static void the_rows_have_their_documented_order(void **state) {
    static const char *const ORDER[] = {
        "Mean Time", "Std Time",        "Min Time",    "Max Time",   "Median Time",
        "P90 Time",  "P95 Time",        "P99 Time",    "Throughput", "Tokens/s",
        "Load Time", "First Inference", "Peak Memory", "Batch Size", "Sequence Length",
        "Precision", "Provider",        "Device"};
    Fixture *fixture = *state;
    BenchRows list;
    bench_report_rows(&list, &fixture->report);
    const BenchRow *rows = list.rows;
    size_t count = list.count;
    assert_true(count >= sizeof ORDER / sizeof ORDER[0]);
    for (size_t i = 0; i < sizeof ORDER / sizeof ORDER[0]; i++)
        assert_string_equal(rows[i].metric, ORDER[i]);
    assert_string_equal(rows[0].value, "2.00 ms");
    assert_string_equal(rows[1].value, "0.0040 ms");
    assert_string_equal(rows[8].value, "4000.0 fps");
    assert_string_equal(rows[12].value, "3.0 MB");
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(every_documented_key_is_there, make_fixture, free_fixture),
        cmocka_unit_test_setup_teardown(both_spellings_have_the_same_values, make_fixture,
                                        free_fixture),
        cmocka_unit_test_setup_teardown(open_dimensions_become_the_measured_shape, make_fixture,
                                        free_fixture),
        cmocka_unit_test_setup_teardown(without_a_description_the_report_still_stands, make_fixture,
                                        free_fixture),
        cmocka_unit_test_setup_teardown(what_the_folder_says_fills_what_the_model_does_not,
                                        make_fixture, free_fixture),
        cmocka_unit_test_setup_teardown(a_folder_of_the_user_is_not_cached, make_fixture,
                                        free_fixture),
        cmocka_unit_test_setup_teardown(the_rows_have_their_documented_order, make_fixture,
                                        free_fixture),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
