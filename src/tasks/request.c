// Requests: JSON into elements, inputs and rows; common passes for many requests; answers.
#include "base/checked.h"
#include "tasks/private.h"

enum { MAX_IGNORED_BYTES = 4096 };

// The table of tasks.
static const Task *const tasks[] = {
    &task_text_classification, &task_token_classification, &task_question_answering,
    &task_fill_mask,           &task_sentence_similarity,  &task_feature_extraction,
    &task_zero_shot,
};

static const Task *find_task(const char *name) {
    for (size_t i = 0; i < sizeof tasks / sizeof tasks[0]; i++)
        if (strcmp(tasks[i]->name, name) == 0)
            return tasks[i];
    return NULL;
}

bool task_is_known(const char *name) {
    return find_task(name) != NULL;
}

// ---- Elements ----

static const char *const text_keys[] = {"inputs", "text", "input", "prompt", "sentence"};
enum { TEXT_KEY_COUNT = sizeof text_keys / sizeof text_keys[0] };

const JsonValue *element_param(const Element *element, const char *name) {
    const JsonValue *value = json_get(element->params, name);
    return value ? value : json_get(element->object, name);
}

Status element_param_size(const Element *element, const char *name, size_t fallback, size_t min,
                          size_t max, size_t *out, Error *error) {
    const JsonValue *value = element_param(element, name);
    int64_t number;
    *out = fallback;
    if (!value || json_kind(value) == JSON_NULL)
        return STATUS_OK;
    if (!json_as_i64(&number, value) || number < (int64_t)min || (uint64_t)number > max)
        return error_set(error, STATUS_INVALID,
                         "Parameter '%s' must be an integer between %zu and %zu", name, min, max);
    *out = (size_t)number;
    return STATUS_OK;
}

Status element_param_bool(const Element *element, const char *name, bool fallback, bool *out,
                          Error *error) {
    const JsonValue *value = element_param(element, name);
    *out = fallback;
    if (!value || json_kind(value) == JSON_NULL || json_as_bool(out, value))
        return STATUS_OK;
    return error_set(error, STATUS_INVALID, "Parameter '%s' must be true or false", name);
}

Status element_param_choice(const Element *element, const char *name, const char *const *choices,
                            size_t fallback, size_t *out, Error *error) {
    const JsonValue *value = element_param(element, name);
    StrView text;
    *out = fallback;
    if (!value || json_kind(value) == JSON_NULL)
        return STATUS_OK;
    Buf list = BUF_INIT(512);
    for (size_t i = 0; choices[i]; i++) {
        if (json_as_string(&text, value) && sv_equal_cstr(text, choices[i])) {
            *out = i;
            buf_free(&list);
            return STATUS_OK;
        }
        buf_printf(&list, "%s%s", i ? ", " : "", choices[i]);
    }
    error_set(error, STATUS_INVALID, "Parameter '%s' must be one of: %s", name,
              list.ptr ? list.ptr : "");
    buf_free(&list);
    return STATUS_INVALID;
}

Status element_text_value(const Request *request, const Element *element, const JsonValue **out,
                          Error *error) {
    if (json_kind(element->object) == JSON_STRING) {
        *out = element->object;
        return STATUS_OK;
    }
    for (size_t i = 0; i < TEXT_KEY_COUNT; i++)
        if ((*out = json_get(element->object, text_keys[i])))
            return STATUS_OK;
    const char *own = request->model->info->text_key;
    if (own && (*out = json_get(element->object, own)))
        return STATUS_OK;
    return error_set(error, STATUS_INVALID, "Missing required input: '%s'", own ? own : "inputs");
}

Status element_alloc_inputs(Request *request, Element *element, size_t count, Error *error) {
    element->inputs = arena_alloc_array(&request->arena, count + 1, sizeof *element->inputs);
    if (!element->inputs)
        return error_out_of_memory(error, count);
    element->n_inputs = count;
    return STATUS_OK;
}

// A string, or {"text", "text_pair"}.
static Status read_text(Input *input, const JsonValue *value, Error *error) {
    if (json_as_string(&input->text, value))
        return STATUS_OK;
    if (json_kind(value) == JSON_OBJECT && json_as_string(&input->text, json_get(value, "text")) &&
        json_as_string(&input->pair, json_get(value, "text_pair")))
        return STATUS_OK;
    return error_set(error, STATUS_INVALID, "Invalid input type for 'inputs': expected string");
}

Status element_read_texts(Request *request, Element *element, Error *error) {
    const JsonValue *value;
    TRY(element_text_value(request, element, &value, error));
    element->is_list = json_kind(value) == JSON_ARRAY;
    size_t count = element->is_list ? json_len(value) : 1;
    TRY(element_alloc_inputs(request, element, count, error));
    for (size_t i = 0; i < count; i++) {
        Status status =
            read_text(&element->inputs[i], element->is_list ? json_at(value, i) : value, error);
        if (status != STATUS_OK)
            return element->is_list ? error_prefix(error, status, "text %zu", i) : status;
    }
    return STATUS_OK;
}

size_t task_max_length(const TaskModel *model) {
    size_t limit = model_max_tokens(model->model);
    size_t written = model->info->max_length;
    if (!written)
        written = tokenizer_max_length(model->tokenizer);
    if (!written)
        return limit;
    return limit && limit < written ? limit : written;
}

EncodeOptions default_encode_options(const TaskModel *model) {
    return (EncodeOptions){.add_special_tokens = true,
                           .max_length = task_max_length(model),
                           .truncation = TRUNCATE_LONGEST_FIRST};
}

Status input_encode(Request *request, Input *input, const EncodeOptions *options, Error *error) {
    TRY(tokenizer_encode(&input->encodings, request->model->tokenizer, input->text, input->pair,
                         options, error));
    input->n_rows = input->encodings.count;
    input->rows = arena_alloc_array(&request->arena, input->n_rows + 1, sizeof *input->rows);
    if (!input->rows)
        return error_out_of_memory(error, input->n_rows);
    for (size_t i = 0; i < input->n_rows; i++)
        input->rows[i].encoding = &input->encodings.items[i];
    return STATUS_OK;
}

Status request_floats(Request *request, float **block, size_t count, Error *error) {
    // A request that is run again keeps its memory.
    if (!*block)
        *block = arena_alloc_array(&request->arena, count + 1, sizeof **block);
    return *block ? STATUS_OK : error_out_of_memory(error, count * sizeof **block);
}

Status row_values(Request *request, Row *row, size_t count, size_t width, Error *error) {
    row->count = count;
    row->width = width;
    return request_floats(request, &row->values, count, error);
}

size_t text_seek(TextCursor *cursor, size_t code_points) {
    if (code_points < cursor->code_points)
        cursor->code_points = cursor->bytes = 0;
    for (; cursor->code_points < code_points && cursor->bytes < cursor->text.len;
         cursor->code_points++)
        utf8_next(cursor->text, &cursor->bytes);
    return cursor->bytes;
}

StrView text_slice(TextCursor *cursor, size_t start, size_t end) {
    size_t from = text_seek(cursor, start), to = text_seek(cursor, end);
    return to > from ? sv_n(cursor->text.ptr + from, to - from) : SV("");
}

// ---- Ignored parameters ----

static bool is_known_key(const Request *request, StrView key) {
    static const char *const structural[] = {"parameters",   "options",         "question",
                                             "context",      "source_sentence", "sentences",
                                             "return_logits"};
    for (size_t i = 0; i < sizeof structural / sizeof structural[0]; i++)
        if (sv_equal_cstr(key, structural[i]))
            return true;
    for (size_t i = 0; i < TEXT_KEY_COUNT; i++)
        if (sv_equal_cstr(key, text_keys[i]))
            return true;
    const char *own = request->model->info->text_key;
    if (own && sv_equal_cstr(key, own))
        return true;
    for (const char *const *name = request->task->parameters; *name; name++)
        if (sv_equal_cstr(key, *name))
            return true;
    return false;
}

static bool is_noted(const Buf *noted, StrView key) {
    for (size_t at = 0; at < noted->len;) {
        const char *comma = memmem(noted->ptr + at, noted->len - at, ", ", 2);
        size_t end = comma ? (size_t)(comma - noted->ptr) : noted->len;
        if (sv_equal(sv_n(noted->ptr + at, end - at), key))
            return true;
        at = end + 2;
    }
    return false;
}

// Names each unknown key once. They go into a header or onto a terminal: no control characters.
static void note_ignored(Request *request, const JsonValue *object) {
    size_t iterator = 0;
    StrView key;
    const JsonValue *value;
    Buf *noted = &request->ignored;
    while (json_next(object, &iterator, &key, &value)) {
        if (is_known_key(request, key) || is_noted(noted, key))
            continue;
        if (noted->len)
            buf_append_cstr(noted, ", ");
        size_t from = noted->len;
        utf8_append_valid(noted, key);
        for (size_t i = from; i < noted->len; i++)
            if ((unsigned char)noted->ptr[i] < 0x20 || noted->ptr[i] == 0x7f)
                noted->ptr[i] = '?';
    }
}

const char *request_ignored(const Request *request) {
    return request->ignored.len ? request->ignored.ptr : "";
}

// ---- Preparing ----

Status request_new(Request **out, const TaskModel *model, size_t elements, Error *error) {
    Request *request = mem_alloc_zero(1, sizeof *request);
    if (!request)
        return error_out_of_memory(error, sizeof *request);
    request->model = model;
    request->task = find_task(model->info->task);
    request->ignored = BUF_INIT(MAX_IGNORED_BYTES);
    request->elements = arena_alloc_array(&request->arena, elements + 1, sizeof *request->elements);
    if (!request->elements) {
        request_free(request);
        return error_out_of_memory(error, elements);
    }
    request->n_elements = elements;
    *out = request;
    return STATUS_OK;
}

static Status check_can_serve(const Request *request, Error *error) {
    const ModelInfo *info = request->model->info;
    if (request->task && request->model->tokenizer)
        return STATUS_OK;
    Buf names = BUF_INIT(512);
    for (size_t i = 0; i < model_input_count(request->model->model); i++)
        buf_printf(&names, "%s%s", i ? ", " : "", model_input(request->model->model, i)->name);
    if (!request->task)
        error_set(error, STATUS_INVALID,
                  "Task '%s' is not available for this model; send its tensors by name: %s",
                  info->task, names.ptr ? names.ptr : "");
    else
        error_set(error, STATUS_INVALID,
                  "This model's folder has no tokenizer; send its tensors by name: %s",
                  names.ptr ? names.ptr : "");
    buf_free(&names);
    return STATUS_INVALID;
}

static Status prepare_task_element(Request *request, Element *element, StrView text, Error *error) {
    TRY(json_parse(&element->doc, text, 0, error));
    element->object = json_root(element->doc);
    JsonKind kind = json_kind(element->object);
    if (kind != JSON_OBJECT && kind != JSON_STRING)
        return error_set(error, STATUS_INVALID, "Input must be a JSON object or a string");
    TRY(check_can_serve(request, error));
    element->params = json_get(element->object, "parameters");
    if (element->params && json_kind(element->params) != JSON_OBJECT)
        return error_set(error, STATUS_INVALID, "Parameter block 'parameters' must be an object");
    note_ignored(request, element->object);
    note_ignored(request, element->params);
    return request->task->prepare(request, element, error);
}

static bool has_text_key(const JsonScan *scan) {
    for (size_t i = 0; i < scan->count; i++)
        for (size_t k = 0; k < TEXT_KEY_COUNT; k++)
            if (sv_equal_cstr(scan->spans[i].key, text_keys[k]))
                return true;
    return false;
}

// Tensors by name; of a model that takes nothing else, also an object without any known name, so
// that the answer lists the names.
static bool is_raw(const Request *request, const JsonScan *scan) {
    if (scan->kind != JSON_OBJECT)
        return false;
    bool is_task = request->task && request->model->tokenizer;
    return raw_matches(request->model, scan) || (!is_task && !has_text_key(scan));
}

static Status prepare_element(Request *request, Element *element, StrView text, Error *error) {
    JsonScan scan;
    TRY(json_scan(&scan, text, error));
    Status status;
    if (is_raw(request, &scan))
        status = raw_prepare(request, element, &scan, error);
    else
        status = prepare_task_element(request, element, text, error);
    json_scan_free(&scan);
    return status;
}

Status request_prepare(Request **out, const TaskModel *model, StrView json, Error *error) {
    JsonScan scan;
    Status status = json_scan(&scan, json, error);
    if (status != STATUS_OK)
        return error_prefix(error, status, "Invalid JSON");
    Request *request = NULL;
    bool is_array = scan.kind == JSON_ARRAY;
    TRY_DONE(request_new(&request, model, is_array ? scan.count : 1, error));
    request->is_array = is_array;
    for (size_t i = 0; i < request->n_elements; i++) {
        StrView text = is_array ? scan.spans[i].text : json;
        status = prepare_element(request, &request->elements[i], text, error);
        if (status != STATUS_OK && is_array)
            error_prefix(error, status, "element %zu", i);
        TRY_DONE(status);
    }
    if (request_rows(request) > MAX_REQUEST_ROWS)
        TRY_DONE(error_set(error, STATUS_LIMIT, "A request may have at most %d texts",
                           MAX_REQUEST_ROWS));
    *out = request;
done:
    json_scan_free(&scan);
    if (status != STATUS_OK)
        request_free(request);
    return status;
}

// ---- Stepping ----

typedef struct StepRow {
    Request *request;
    Row *row;
} StepRow;

static Status keep_outputs(Request *request, Row *row, const RowOutput *outputs, Error *error) {
    size_t count = model_output_count(request->model->model);
    if (!row->kept) {
        row->kept = arena_alloc_array(&request->arena, count, sizeof *row->kept);
        row->kept_rows = arena_alloc_array(&request->arena, count, sizeof *row->kept_rows);
        row->kept_widths = arena_alloc_array(&request->arena, count, sizeof *row->kept_widths);
    }
    if (!row->kept || !row->kept_rows || !row->kept_widths)
        return error_out_of_memory(error, count);
    for (size_t i = 0; i < count; i++) {
        const RowOutput *output = &outputs[i];
        TRY(request_floats(request, &row->kept[i], output->rows * output->width, error));
        for (size_t r = 0; r < output->rows; r++)
            memcpy(row->kept[i] + r * output->width, output->data + r * output->ld,
                   output->width * sizeof(float));
        row->kept_rows[i] = output->rows;
        row->kept_widths[i] = output->width;
    }
    return STATUS_OK;
}

static Status collect_row(void *ctx, size_t index, const RowOutput *outputs, Error *error) {
    const StepRow *at = (const StepRow *)ctx + index;
    if (at->request->keeps_outputs)
        TRY(keep_outputs(at->request, at->row, outputs, error));
    return at->request->task->collect(at->request, at->row, outputs, error);
}

static bool can_run(const Request *request) {
    return request->state == REQUEST_READY &&
           !atomic_load_explicit(&request->cancel, memory_order_relaxed);
}

static size_t gather_rows(Request *const *requests, size_t count, TokenRow *rows, StepRow *back) {
    size_t n = 0;
    for (size_t r = 0; r < count; r++) {
        if (!can_run(requests[r]))
            continue;
        for (size_t e = 0; e < requests[r]->n_elements; e++) {
            Element *element = &requests[r]->elements[e];
            for (size_t i = 0; i < element->n_inputs; i++)
                for (size_t w = 0; w < element->inputs[i].n_rows; w++, n++) {
                    Row *row = &element->inputs[i].rows[w];
                    if (!rows)
                        continue;
                    rows[n] = (TokenRow){.ids = row->encoding->ids,
                                         .types = row->encoding->type_ids,
                                         .len = row->encoding->len,
                                         .cancel = &requests[r]->cancel};
                    back[n] = (StepRow){requests[r], row};
                }
        }
    }
    return n;
}

static Status step_raw(Runner *runner, Request *request, Error *error) {
    for (size_t e = 0; e < request->n_elements; e++)
        if (request->elements[e].raw)
            TRY(raw_step(runner, request, &request->elements[e], error));
    return STATUS_OK;
}

Status requests_step(Runner *runner, Request *const *requests, size_t count, Error *error) {
    size_t n = gather_rows(requests, count, NULL, NULL);
    TokenRow *rows = mem_alloc_zero(n + 1, sizeof *rows);
    StepRow *back = mem_alloc_zero(n + 1, sizeof *back);
    Status status = rows && back ? STATUS_OK : error_out_of_memory(error, n * sizeof *rows);
    if (status == STATUS_OK) {
        // A request cancelled since it was counted has fewer rows now, never more.
        n = gather_rows(requests, count, rows, back);
        status = runner_run_rows(runner, rows, n, collect_row, back, error);
    }
    for (size_t r = 0; status == STATUS_OK && r < count; r++)
        if (can_run(requests[r])) {
            status = step_raw(runner, requests[r], error);
            // Leaving because it was cancelled is what was asked for.
            if (status == STATUS_CANCELLED)
                status = STATUS_OK;
        }
    for (size_t r = 0; r < count; r++) {
        if (atomic_load_explicit(&requests[r]->cancel, memory_order_relaxed))
            requests[r]->state = REQUEST_CANCELLED;
        else if (status == STATUS_OK && requests[r]->state == REQUEST_READY)
            requests[r]->state = REQUEST_DONE;
    }
    mem_free(rows);
    mem_free(back);
    return status;
}

// ---- Finishing ----

// FORM_RAW of a task request: outputs by name, batch-major. Rows are never padded: one of another
// length has an array of another length.
static Status finish_kept(Request *request, Element *element, JsonWriter *writer, Error *error) {
    if (!request->keeps_outputs)
        return error_set(error, STATUS_INVALID, "the raw form was not asked for before the run");
    const Model *model = request->model->model;
    json_begin_object(writer);
    for (size_t o = 0; o < model_output_count(model); o++) {
        json_key(writer, model_output(model, o)->name);
        json_begin_array(writer);
        for (size_t i = 0; i < element->n_inputs; i++)
            for (size_t w = 0; w < element->inputs[i].n_rows; w++) {
                const Row *row = &element->inputs[i].rows[w];
                int rank = model_output(model, o)->rank - 1;
                int64_t shape[2] = {(int64_t)row->kept_rows[o], (int64_t)row->kept_widths[o]};
                bool is_vector = rank == 1;
                if (is_vector)
                    shape[0] = shape[0] * shape[1];
                write_nested(writer, row->kept[o], shape, is_vector ? 1 : 2);
            }
        json_end_array(writer);
    }
    json_end_object(writer);
    return STATUS_OK;
}

static Status finish_element(Request *request, Element *element, AnswerForm form,
                             JsonWriter *writer, Error *error) {
    if (element->raw)
        return raw_finish(request, element, writer, error);
    if (form == FORM_RAW)
        return finish_kept(request, element, writer, error);
    return request->task->finish(request, element, form, writer, error);
}

Status request_finish(Request *request, AnswerForm form, JsonWriter *writer, Error *error) {
    if (request->state == REQUEST_CANCELLED)
        return error_set(error, STATUS_CANCELLED, "the request was cancelled");
    if (request->state != REQUEST_DONE)
        return error_set(error, STATUS_INVALID, "the request has not been run");
    if (request->is_array)
        json_begin_array(writer);
    for (size_t e = 0; e < request->n_elements; e++) {
        Status status = finish_element(request, &request->elements[e], form, writer, error);
        if (status != STATUS_OK)
            return request->is_array ? error_prefix(error, status, "element %zu", e) : status;
    }
    if (request->is_array)
        json_end_array(writer);
    return STATUS_OK;
}

// ---- The rest ----

void request_keep_outputs(Request *request) {
    request->keeps_outputs = true;
}

RequestState request_state(const Request *request) {
    return request->state;
}

size_t request_rows(const Request *request) {
    size_t rows = 0;
    for (size_t e = 0; e < request->n_elements; e++)
        for (size_t i = 0; i < request->elements[e].n_inputs; i++)
            rows += request->elements[e].inputs[i].n_rows;
    return rows;
}

size_t request_tokens(const Request *request) {
    size_t tokens = 0;
    for (size_t e = 0; e < request->n_elements; e++) {
        const Element *element = &request->elements[e];
        if (element->raw)
            tokens += raw_tokens(element->raw);
        for (size_t i = 0; i < element->n_inputs; i++)
            for (size_t w = 0; w < element->inputs[i].n_rows; w++)
                tokens += element->inputs[i].rows[w].encoding->len;
    }
    return tokens;
}

void request_cancel(Request *request) {
    atomic_store_explicit(&request->cancel, 1, memory_order_relaxed);
}

void request_rewind(Request *request) {
    if (request->state == REQUEST_DONE)
        request->state = REQUEST_READY;
}

void request_free(Request *request) {
    if (!request)
        return;
    for (size_t e = 0; e < request->n_elements; e++) {
        Element *element = &request->elements[e];
        for (size_t i = 0; i < element->n_inputs; i++)
            encoding_list_free(&element->inputs[i].encodings);
        raw_free(request->model, element->raw);
        json_free(element->doc);
    }
    buf_free(&request->ignored);
    arena_free(&request->arena);
    mem_free(request);
}
