// End to end through gpux.h: the tiny checkpoints of test/golden/models are converted, opened and
// run with raw tensors, and answer what transformers computed for them; the ones with a tokenizer,
// test/golden/tasks, show that an answer never depends on its company or on the thread count.
//
// Every comparison of the first kind is within 1e-4 of the output's largest value; of the second
// kind, of bits.
#include "gpux.h"

#include "base/file.h"
#include "base/json.h"
#include "base/memory.h"
#include "test/folder.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include <cmocka.h>

#define MODELS "test/golden/models"
#define TASKS "test/golden/tasks"

static const double tolerance = 1e-4;
static const char *const levels[] = {"ref", "avx2", "avx512"};
enum { LEVELS = 3, MAX_FILE = 1 << 24, MAX_REQUEST = 1 << 20 };

// ---- Calls that must succeed ----

static gpux_error error;

static void check(gpux_status status) {
    if (status != GPUX_OK)
        fail_msg("%s: %s", gpux_status_text(status), error.message);
}

static gpux_env *open_env(const char *level) {
    gpux_options options = GPUX_OPTIONS_INIT;
    gpux_env *env;
    options.cpu_level = level;
    check(gpux_open(&env, &options, &error));
    return env;
}

static gpux_runner *new_runner(const gpux_model *model, int threads) {
    gpux_runner_options options = GPUX_RUNNER_OPTIONS_INIT;
    gpux_runner *runner;
    options.threads = threads;
    check(gpux_runner_new(&runner, model, &options, &error));
    return runner;
}

static gpux_request *prepare(const gpux_model *model, const char *json) {
    gpux_request *request;
    check(gpux_prepare(&request, model, json, strlen(json), &error));
    return request;
}

static gpux_text finish(gpux_request *request, gpux_form form) {
    gpux_text text = {0};
    check(gpux_finish(&text, request, form, 0, &error));
    return text;
}

static gpux_text answer(const gpux_model *model, gpux_runner *runner, const char *json,
                        gpux_form form) {
    gpux_request *request = prepare(model, json);
    check(gpux_step(runner, &request, 1, &error));
    assert_int_equal(gpux_request_get_state(request), GPUX_REQUEST_DONE);
    gpux_text text = finish(request, form);
    gpux_request_free(request);
    return text;
}

// The model converted in a folder of its own; freed with close_model.
typedef struct Opened {
    char folder[64];
    const char *precision; // NULL = automatic
    gpux_env *env;
    gpux_model *model;
} Opened;

static Opened convert_model(const char *root, const char *name) {
    Opened out = {.folder = "/tmp/gpux_golden_XXXXXX"};
    assert_non_null(mkdtemp(out.folder));
    char *source = path_join(root, name);
    copy_folder(source, out.folder);
    mem_free(source);
    gpux_env *env = open_env(NULL);
    check(gpux_convert(NULL, env, out.folder, NULL, &error));
    gpux_close(env);
    return out;
}

// False when this machine has not the instructions of `level`.
static bool open_model(Opened *out, const char *level) {
    gpux_text text;
    gpux_model_options options = GPUX_MODEL_OPTIONS_INIT;
    options.precision = out->precision;
    out->env = open_env(level);
    check(gpux_model_open(&out->model, out->env, out->folder, &options, &error));
    check(gpux_model_describe(&text, out->model, &error));
    JsonDoc *doc;
    assert_int_equal(json_parse(&doc, sv_n(text.ptr, text.len), 0, NULL), STATUS_OK);
    bool is_level = strcmp(json_cstr_or(json_root(doc), "isa", ""), level) == 0;
    json_free(doc);
    gpux_text_free(&text);
    return is_level;
}

static void close_level(Opened *opened) {
    gpux_model_close(opened->model);
    gpux_close(opened->env);
}

// ---- Tensors of an answer ----

static JsonDoc *parse(gpux_text text) {
    JsonDoc *doc;
    assert_int_equal(json_parse(&doc, sv_n(text.ptr, text.len), 0, NULL), STATUS_OK);
    return doc;
}

static double number(const JsonValue *value) {
    double out;
    assert_true(json_as_f64(&out, value));
    return out;
}

static double largest(const JsonValue *value) {
    if (json_kind(value) != JSON_ARRAY)
        return fabs(number(value));
    double most = 0;
    for (size_t i = 0; i < json_len(value); i++)
        most = fmax(most, largest(json_at(value, i)));
    return most;
}

static void compare(const JsonValue *is, const JsonValue *expected, double bound) {
    if (json_kind(expected) != JSON_ARRAY) {
        double difference = fabs(number(is) - number(expected));
        if (!(difference <= bound))
            fail_msg("%.9g instead of %.9g", number(is), number(expected));
        return;
    }
    assert_int_equal(json_len(is), json_len(expected));
    for (size_t i = 0; i < json_len(expected); i++)
        compare(json_at(is, i), json_at(expected, i), bound);
}

static void assert_zeros(const JsonValue *value) {
    assert_true(largest(value) == 0);
}

// Positions with mask 0 hold zeros in gpux's answer, and anything in the other.
static void compare_output(const JsonValue *is, const JsonValue *expected, const JsonValue *mask,
                           bool per_token) {
    double bound = tolerance * largest(expected);
    assert_int_equal(json_len(is), json_len(expected));
    for (size_t b = 0; b < json_len(expected); b++) {
        const JsonValue *row = json_at(is, b), *wanted = json_at(expected, b);
        if (!per_token) {
            compare(row, wanted, bound);
            continue;
        }
        assert_int_equal(json_len(row), json_len(wanted));
        for (size_t s = 0; s < json_len(wanted); s++) {
            if (number(json_at(json_at(mask, b), s)) != 0)
                compare(json_at(row, s), json_at(wanted, s), bound);
            else
                assert_zeros(json_at(row, s));
        }
    }
}

static char *raw_request(const JsonValue *expected) {
    static const char *const names[] = {"input_ids", "attention_mask", "token_type_ids"};
    Buf buf = BUF_INIT(MAX_REQUEST);
    JsonWriter writer = json_writer(&buf, 0);
    json_begin_object(&writer);
    for (size_t i = 0; i < 3; i++)
        if (json_get(expected, names[i])) {
            json_key(&writer, names[i]);
            json_write_value(&writer, json_get(expected, names[i]));
        }
    json_end_object(&writer);
    assert_int_equal(buf_status(&buf, NULL), STATUS_OK);
    return buf.ptr;
}

static void check_transformers(const Opened *opened, const JsonValue *expected) {
    gpux_runner *runner = new_runner(opened->model, 2);
    char *request = raw_request(expected);
    gpux_text text = answer(opened->model, runner, request, GPUX_FORM_RAW);
    JsonDoc *doc = parse(text);
    size_t iterator = 0;
    StrView key;
    const JsonValue *output, *mask = json_get(expected, "attention_mask");
    assert_true(json_len(json_get(expected, "outputs")) > 0);
    while (json_next(json_get(expected, "outputs"), &iterator, &key, &output)) {
        char name[64];
        snprintf(name, sizeof name, "%.*s", (int)key.len, key.ptr);
        const JsonValue *is = json_get(json_root(doc), name);
        bool per_token = json_kind(json_at(json_at(output, 0), 0)) == JSON_ARRAY ||
                         strcmp(name, "start_logits") == 0 || strcmp(name, "end_logits") == 0;
        compare_output(is, output, mask, per_token);
    }
    json_free(doc);
    gpux_text_free(&text);
    mem_free(request);
    gpux_runner_free(runner);
}

// ---- Rows alone and in company ----

enum { ROWS = 7, MAX_ROW = 8 };

typedef struct Rows {
    int ids[ROWS][MAX_ROW];
    size_t len[ROWS], longest;
    int pad;
} Rows;

static Rows make_rows(const char *name) {
    Rows rows = {.pad = strstr(name, "bert-") == name || strstr(name, "distilbert") ? 0 : 1};
    unsigned seed = 7;
    for (size_t r = 0; r < ROWS; r++) {
        rows.len[r] = 1 + (r * 5) % MAX_ROW;
        rows.longest = rows.len[r] > rows.longest ? rows.len[r] : rows.longest;
        for (size_t i = 0; i < rows.len[r]; i++) {
            seed = seed * 1103515245u + 12345u;
            rows.ids[r][i] = 5 + (int)(seed >> 16) % 45;
        }
    }
    return rows;
}

// {"input_ids", "attention_mask"} of rows [first, end), padded to their longest.
static char *rows_request(const Rows *rows, size_t first, size_t end) {
    Buf buf = BUF_INIT(MAX_REQUEST);
    JsonWriter writer = json_writer(&buf, 0);
    size_t longest = end - first == 1 ? rows->len[first] : rows->longest;
    json_begin_object(&writer);
    for (int is_mask = 0; is_mask < 2; is_mask++) {
        json_key(&writer, is_mask ? "attention_mask" : "input_ids");
        json_begin_array(&writer);
        for (size_t r = first; r < end; r++) {
            json_begin_array(&writer);
            for (size_t i = 0; i < longest; i++) {
                bool is_token = i < rows->len[r];
                json_write_i64(&writer, is_mask    ? is_token
                                        : is_token ? rows->ids[r][i]
                                                   : rows->pad);
            }
            json_end_array(&writer);
        }
        json_end_array(&writer);
    }
    json_end_object(&writer);
    return buf.ptr;
}

static void flatten(const JsonValue *value, float *out, size_t *count, size_t cap) {
    if (json_kind(value) != JSON_ARRAY) {
        assert_true(*count < cap);
        out[(*count)++] = (float)number(value);
        return;
    }
    for (size_t i = 0; i < json_len(value); i++)
        flatten(json_at(value, i), out, count, cap);
}

enum { MAX_FLOATS = MAX_ROW * 64 * 2 };
typedef struct Floats {
    float values[MAX_FLOATS];
    size_t count;
} Floats;

// What row `row` of an answer got, over all outputs; without its padding.
static Floats row_floats(const JsonValue *outputs, size_t row, size_t len) {
    Floats out = {.count = 0};
    size_t iterator = 0;
    StrView key;
    const JsonValue *output;
    while (json_next(outputs, &iterator, &key, &output)) {
        if (sv_equal_cstr(key, "labels"))
            continue;
        const JsonValue *value = json_at(output, row);
        bool per_token =
            json_kind(json_at(value, 0)) == JSON_ARRAY || !sv_equal_cstr(key, "logits");
        if (!per_token)
            flatten(value, out.values, &out.count, MAX_FLOATS);
        for (size_t s = 0; per_token && s < len; s++)
            flatten(json_at(value, s), out.values, &out.count, MAX_FLOATS);
    }
    assert_true(out.count > 0);
    return out;
}

static void assert_same_bits(const Floats *a, const Floats *b) {
    assert_int_equal(a->count, b->count);
    assert_memory_equal(a->values, b->values, a->count * sizeof(float));
}

static void rows_alone(const Opened *opened, gpux_runner *runner, const Rows *rows, Floats *out) {
    for (size_t r = 0; r < ROWS; r++) {
        char *request = rows_request(rows, r, r + 1);
        gpux_text text = answer(opened->model, runner, request, GPUX_FORM_RAW);
        JsonDoc *doc = parse(text);
        out[r] = row_floats(json_root(doc), 0, rows->len[r]);
        json_free(doc);
        gpux_text_free(&text);
        mem_free(request);
    }
}

// One padded batch; then a list of elements; then requests of their own in one step.
static void rows_together(const Opened *opened, gpux_runner *runner, const Rows *rows,
                          const Floats *alone) {
    char *batch = rows_request(rows, 0, ROWS);
    gpux_text text = answer(opened->model, runner, batch, GPUX_FORM_RAW);
    JsonDoc *doc = parse(text);
    Buf list = BUF_INIT(MAX_REQUEST);
    gpux_request *requests[ROWS];
    for (size_t r = 0; r < ROWS; r++) {
        Floats row = row_floats(json_root(doc), r, rows->len[r]);
        assert_same_bits(&row, &alone[r]);
        char *one = rows_request(rows, r, r + 1);
        buf_printf(&list, "%s%s", r ? "," : "[", one);
        requests[r] = prepare(opened->model, one);
        mem_free(one);
    }
    buf_append_byte(&list, ']');
    json_free(doc);
    gpux_text_free(&text);
    text = answer(opened->model, runner, list.ptr, GPUX_FORM_RAW);
    doc = parse(text);
    check(gpux_step(runner, requests, ROWS, &error));
    for (size_t r = 0; r < ROWS; r++) {
        gpux_text own = finish(requests[r], GPUX_FORM_RAW);
        JsonDoc *own_doc = parse(own);
        Floats row = row_floats(json_root(own_doc), 0, rows->len[r]);
        assert_same_bits(&row, &alone[r]);
        row = row_floats(json_at(json_root(doc), r), 0, rows->len[r]);
        assert_same_bits(&row, &alone[r]);
        json_free(own_doc);
        gpux_text_free(&own);
        gpux_request_free(requests[r]);
    }
    json_free(doc);
    gpux_text_free(&text);
    buf_free(&list);
    mem_free(batch);
}

static void check_company(const Opened *opened, const char *name) {
    static Floats alone[ROWS], other[ROWS];
    Rows rows = make_rows(name);
    for (int threads = 1; threads <= 3; threads++) {
        gpux_runner *runner = new_runner(opened->model, threads);
        assert_int_equal(gpux_runner_threads(runner), threads);
        rows_alone(opened, runner, &rows, threads == 1 ? alone : other);
        for (size_t r = 0; threads > 1 && r < ROWS; r++)
            assert_same_bits(&alone[r], &other[r]);
        rows_together(opened, runner, &rows, alone);
        gpux_runner_free(runner);
    }
}

// ---- Tests ----

static void checkpoints_answer_what_transformers_computed(void **state) {
    (void)state;
    FileList list;
    size_t runs = 0;
    assert_int_equal(file_list(&list, MODELS, NULL), STATUS_OK);
    assert_true(list.count >= 23);
    for (size_t i = 0; i < list.count; i++) {
        Opened opened = convert_model(MODELS, list.names[i]);
        char *path = path_join(opened.folder, "expected.json");
        JsonDoc *doc;
        assert_int_equal(json_parse_file(&doc, path, MAX_FILE, 0, NULL), STATUS_OK);
        for (size_t level = 0; level < LEVELS; level++) {
            if (open_model(&opened, levels[level])) {
                check_transformers(&opened, json_root(doc));
                check_company(&opened, list.names[i]);
                runs++;
            }
            close_level(&opened);
        }
        json_free(doc);
        mem_free(path);
        remove_folder(opened.folder);
    }
    // The reference kernels run everywhere.
    assert_true(runs >= list.count);
    file_list_free(&list);
}

// Reduced precision moves values, but not with the company of a row or the number of threads.
static void reduced_precisions_answer_alike_in_any_company(void **state) {
    (void)state;
    static const char *const names[] = {"bert-encoder", "distilbert-classify", "roberta-mask",
                                        "mpnet-encoder"};
    static const char *const precisions[] = {"bf16", "int8"};
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        Opened opened = convert_model(MODELS, names[i]);
        for (size_t p = 0; p < 2; p++) {
            opened.precision = precisions[p];
            for (size_t level = 0; level < LEVELS; level++) {
                if (open_model(&opened, levels[level]))
                    check_company(&opened, names[i]);
                close_level(&opened);
            }
            // With everything this CPU has: AMX and VNNI are above the levels.
            open_model(&opened, "native");
            check_company(&opened, names[i]);
            close_level(&opened);
        }
        remove_folder(opened.folder);
    }
}

// With the mask tokens of both families.
static const char *const texts[] = {
    "john lives in paris [MASK] <mask>",
    "[MASK] <mask>",
    "the [MASK] <mask> film is good, the capital of france is bad! john lives in paris. good good",
    "Ж [MASK] <mask> 中国 (1)",
    "a [MASK] <mask> b",
};
enum { TEXTS = 5 };

static char *text_request(const char *name, size_t index) {
    Buf buf = BUF_INIT(MAX_REQUEST);
    if (strcmp(name, "answer") == 0)
        buf_printf(&buf, "{\"question\": \"who?\", \"context\": \"%s\"}", texts[index]);
    else if (strncmp(name, "zero", 4) == 0)
        buf_printf(&buf, "{\"inputs\": \"%s\", \"candidate_labels\": \"good,bad\"}", texts[index]);
    else
        buf_printf(&buf, "{\"inputs\": \"%s\"}", texts[index]);
    return buf.ptr;
}

// All texts: one by one, as one list, and as requests of one step. Numbers are written so that
// they round-trip: equal texts are equal bits.
static void check_text_company(const Opened *opened, const char *name) {
    gpux_text alone[TEXTS];
    for (int threads = 1; threads <= 3; threads++) {
        gpux_runner *runner = new_runner(opened->model, threads);
        gpux_request *requests[TEXTS];
        Buf list = BUF_INIT(MAX_REQUEST), joined = BUF_INIT(MAX_REQUEST);
        for (size_t i = 0; i < TEXTS; i++) {
            char *request = text_request(name, i);
            gpux_text text = answer(opened->model, runner, request, GPUX_FORM_HF);
            if (threads > 1) {
                assert_string_equal(text.ptr, alone[i].ptr);
                gpux_text_free(&text);
            } else {
                alone[i] = text;
            }
            buf_printf(&list, "%s%s", i ? "," : "[", request);
            buf_printf(&joined, "%s%s", i ? "," : "[", alone[i].ptr);
            requests[i] = prepare(opened->model, request);
            mem_free(request);
        }
        buf_append_byte(&list, ']');
        buf_append_byte(&joined, ']');
        gpux_text text = answer(opened->model, runner, list.ptr, GPUX_FORM_HF);
        assert_string_equal(text.ptr, joined.ptr);
        gpux_text_free(&text);
        check(gpux_step(runner, requests, TEXTS, &error));
        for (size_t i = 0; i < TEXTS; i++) {
            text = finish(requests[i], GPUX_FORM_HF);
            assert_string_equal(text.ptr, alone[i].ptr);
            gpux_text_free(&text);
            gpux_request_free(requests[i]);
        }
        buf_free(&list);
        buf_free(&joined);
        gpux_runner_free(runner);
    }
    for (size_t i = 0; i < TEXTS; i++)
        gpux_text_free(&alone[i]);
}

static void texts_answer_alike_alone_and_in_company(void **state) {
    (void)state;
    FileList list;
    assert_int_equal(file_list(&list, TASKS, NULL), STATUS_OK);
    for (size_t i = 0; i < list.count; i++) {
        Opened opened = convert_model(TASKS, list.names[i]);
        for (size_t level = 0; level < LEVELS; level++) {
            if (open_model(&opened, levels[level]))
                check_text_company(&opened, list.names[i]);
            close_level(&opened);
        }
        remove_folder(opened.folder);
    }
    file_list_free(&list);
}

// One request is cancelled, the others of its step are answered.
static void cancel_one(const gpux_model *model, gpux_runner *runner, const char *const *json,
                       size_t cancelled) {
    gpux_request *requests[3];
    gpux_text text = {0};
    for (size_t i = 0; i < 3; i++)
        requests[i] = prepare(model, json[i]);
    gpux_request_cancel(requests[cancelled]);
    check(gpux_step(runner, requests, 3, &error));
    for (size_t i = 0; i < 3; i++) {
        if (i == cancelled) {
            assert_int_equal(gpux_request_get_state(requests[i]), GPUX_REQUEST_CANCELLED);
            assert_int_equal(gpux_finish(&text, requests[i], GPUX_FORM_RAW, 0, &error),
                             GPUX_CANCELLED);
        } else {
            assert_int_equal(gpux_request_get_state(requests[i]), GPUX_REQUEST_DONE);
            text = finish(requests[i], GPUX_FORM_GPUX);
            gpux_text_free(&text);
        }
    }
    // A cancelled request stays so, and is passed over.
    check(gpux_step(runner, requests, 3, &error));
    assert_int_equal(gpux_request_get_state(requests[cancelled]), GPUX_REQUEST_CANCELLED);
    for (size_t i = 0; i < 3; i++)
        gpux_request_free(requests[i]);
}

static void a_cancelled_request_leaves_the_others_alone(void **state) {
    (void)state;
    static const char *const raw[] = {"{\"input_ids\": [[5, 6]]}", "{\"input_ids\": [[7]]}",
                                      "{\"input_ids\": [[8, 9, 10]]}"};
    static const char *const text[] = {"\"good\"", "\"bad film\"", "{\"inputs\": [\"a\", \"b\"]}"};
    static const char *const mixed[] = {"\"good\"", "{\"input_ids\": [[7]]}", "\"a\""};
    Opened opened = convert_model(TASKS, "classify");
    open_model(&opened, "ref");
    gpux_runner *runner = new_runner(opened.model, 1);
    for (size_t i = 0; i < 3; i++) {
        cancel_one(opened.model, runner, raw, i);
        cancel_one(opened.model, runner, text, i);
        cancel_one(opened.model, runner, mixed, i);
    }
    gpux_runner_free(runner);
    close_level(&opened);
    remove_folder(opened.folder);
}

static void a_rewound_request_answers_the_same_again(void **state) {
    (void)state;
    static const char *const json[] = {"{\"inputs\": [\"good film\", \"bad\"]}",
                                       "{\"input_ids\": [[5, 6, 7], [8, 9, 10]]}"};
    Opened opened = convert_model(TASKS, "tokens");
    open_model(&opened, "ref");
    gpux_runner *runner = new_runner(opened.model, 2);
    for (size_t i = 0; i < 2; i++) {
        gpux_request *request = prepare(opened.model, json[i]);
        gpux_request_keep_outputs(request);
        assert_int_equal(gpux_request_get_state(request), GPUX_REQUEST_READY);
        gpux_text text = {0};
        assert_int_equal(gpux_finish(&text, request, GPUX_FORM_GPUX, 0, &error), GPUX_INVALID);
        gpux_text first[3];
        for (int run = 0; run < 3; run++) {
            check(gpux_step(runner, &request, 1, &error));
            for (int form = 0; form < 3; form++) {
                text = finish(request, (gpux_form)form);
                if (run == 0) {
                    first[form] = text;
                    // Finishing reads; it may be done again.
                    text = finish(request, (gpux_form)form);
                }
                assert_string_equal(text.ptr, first[form].ptr);
                gpux_text_free(&text);
            }
            gpux_request_rewind(request);
            assert_int_equal(gpux_request_get_state(request), GPUX_REQUEST_READY);
        }
        for (int form = 0; form < 3; form++)
            gpux_text_free(&first[form]);
        gpux_request_free(request);
    }
    gpux_runner_free(runner);
    close_level(&opened);
    remove_folder(opened.folder);
}

static void synthetic_requests_have_the_asked_lengths(void **state) {
    (void)state;
    static const char *const roots[] = {TASKS, TASKS, TASKS, TASKS, TASKS, TASKS, MODELS};
    static const char *const names[] = {"classify", "tokens",    "mask",           "answer",
                                        "features", "zero-shot", "roberta-encoder"};
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        Opened opened = convert_model(roots[i], names[i]);
        open_model(&opened, "ref");
        gpux_runner *runner = new_runner(opened.model, 1);
        gpux_request *request;
        check(gpux_prepare_synthetic(&request, opened.model, 3, 12, 0, &error));
        assert_int_equal(gpux_request_tokens(request), 36);
        check(gpux_step(runner, &request, 1, &error));
        gpux_text text = {0};
        if (strcmp(names[i], "answer") != 0 && strcmp(names[i], "zero-shot") != 0) {
            text = finish(request, GPUX_FORM_GPUX);
            gpux_text_free(&text);
        }
        gpux_request_free(request);
        gpux_error too_long;
        assert_int_equal(gpux_prepare_synthetic(&request, opened.model, 1, 1000, 0, &too_long),
                         GPUX_INVALID);
        assert_int_equal(gpux_prepare_synthetic(&request, opened.model, 0, 8, 0, &too_long),
                         GPUX_INVALID);
        gpux_runner_free(runner);
        close_level(&opened);
        remove_folder(opened.folder);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(checkpoints_answer_what_transformers_computed),
        cmocka_unit_test(reduced_precisions_answer_alike_in_any_company),
        cmocka_unit_test(texts_answer_alike_alone_and_in_company),
        cmocka_unit_test(a_cancelled_request_leaves_the_others_alone),
        cmocka_unit_test(a_rewound_request_answers_the_same_again),
        cmocka_unit_test(synthetic_requests_have_the_asked_lengths),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
