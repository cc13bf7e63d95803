// Raw tensors: a JSON object whose keys are graph inputs, numbers straight into int64 tensors,
// graph outputs back by name.
#include "base/checked.h"
#include "tasks/private.h"

#include <math.h>

enum { MAX_INPUTS = 8 };

typedef struct RawTensor {
    bool is_present;
    int rank;
    int64_t shape[TENSOR_MAX_RANK];
    int64_t *values;
    size_t count;
} RawTensor;

struct RawRequest {
    RawTensor inputs[MAX_INPUTS]; // in graph order
    bool added_batch;             // rank was one short: removed from answers again
    PaddedOutput *outputs;        // [model outputs] after the step
    size_t batch, sequence;
};

static size_t find_input(const Model *model, StrView key) {
    for (size_t i = 0; i < model_input_count(model); i++)
        if (sv_equal_cstr(key, model_input(model, i)->name))
            return i;
    return SIZE_MAX;
}

bool raw_matches(const TaskModel *model, const JsonScan *scan) {
    for (size_t i = 0; i < scan->count; i++)
        if (find_input(model->model, scan->spans[i].key) != SIZE_MAX)
            return true;
    return false;
}

static Status unexpected_input(const Model *model, StrView key, Error *error) {
    Buf names = BUF_INIT(512), shown = BUF_INIT(256);
    for (size_t i = 0; i < model_input_count(model); i++)
        buf_printf(&names, "%s%s", i ? ", " : "", model_input(model, i)->name);
    utf8_append_valid(&shown, sv_n(key.ptr, key.len < 64 ? key.len : 64));
    error_set(error, STATUS_INVALID, "Unexpected input: '%s'. Valid inputs: %s",
              shown.ptr ? shown.ptr : "", names.ptr ? names.ptr : "");
    buf_free(&names);
    buf_free(&shown);
    return STATUS_INVALID;
}

// ---- {"dtype", "shape", "data": base64} ----

static int base64_digit(char c) {
    if (c >= 'A' && c <= 'Z')
        return c - 'A';
    if (c >= 'a' && c <= 'z')
        return c - 'a' + 26;
    if (c >= '0' && c <= '9')
        return c - '0' + 52;
    return c == '+' ? 62 : c == '/' ? 63 : -1;
}

// RFC 4648 section 4, padding required.
static bool base64_decode(Buf *out, StrView text) {
    if (text.len % 4 != 0)
        return false;
    for (size_t i = 0; i < text.len; i += 4) {
        int pad = 0, digits[4];
        for (size_t j = 0; j < 4; j++) {
            bool may_pad = i + 4 == text.len && j >= 2 && text.ptr[i + j] == '=';
            digits[j] = may_pad ? 0 : base64_digit(text.ptr[i + j]);
            if (digits[j] < 0 || (pad && !may_pad))
                return false;
            pad += may_pad;
        }
        uint32_t bits = (uint32_t)(digits[0] << 18 | digits[1] << 12 | digits[2] << 6 | digits[3]);
        for (int j = 0; j < 3 - pad; j++)
            buf_append_byte(out, (char)(bits >> (16 - 8 * j)));
    }
    return out->failed == STATUS_OK;
}

static int64_t load_integer(const uint8_t *bytes, DType dtype, size_t index) {
    int64_t wide = 0;
    int32_t narrow = 0;
    if (dtype == DTYPE_I64) {
        memcpy(&wide, bytes + 8 * index, 8);
        return wide;
    }
    if (dtype == DTYPE_I32) {
        memcpy(&narrow, bytes + 4 * index, 4);
        return narrow;
    }
    return bytes[index]; // uint8 and bool
}

static Status read_binary(Request *request, const char *name, const JsonValue *object,
                          RawTensor *out, Error *error) {
    StrView dtype_text, data;
    const JsonValue *shape = json_get(object, "shape");
    if (!json_as_string(&dtype_text, json_get(object, "dtype")) ||
        !json_as_string(&data, json_get(object, "data")) || json_kind(shape) != JSON_ARRAY ||
        json_len(shape) > TENSOR_MAX_RANK)
        return error_set(error, STATUS_INVALID,
                         "Invalid input type for '%s': expected an array or an object with dtype, "
                         "shape and data",
                         name);
    DType dtype = dtype_from_name(dtype_text);
    if (dtype != DTYPE_I64 && dtype != DTYPE_I32 && dtype != DTYPE_U8 && dtype != DTYPE_BOOL)
        return error_set(error, STATUS_INVALID, "Invalid input type for '%s': expected int64",
                         name);
    out->rank = (int)json_len(shape);
    for (int d = 0; d < out->rank; d++)
        if (!json_as_i64(&out->shape[d], json_at(shape, (size_t)d)) || out->shape[d] < 0)
            return error_set(error, STATUS_INVALID, "Input '%s' has a bad shape", name);
    Buf bytes = BUF_INIT(1u << 30);
    size_t needed;
    bool fits = shape_count(&out->count, out->shape, out->rank) &&
                size_mul(&needed, out->count, dtype_size(dtype)) && base64_decode(&bytes, data) &&
                bytes.len == needed;
    out->values =
        fits ? arena_alloc_array(&request->arena, out->count + 1, sizeof *out->values) : NULL;
    for (size_t i = 0; out->values && i < out->count; i++)
        out->values[i] = load_integer((const uint8_t *)bytes.ptr, dtype, i);
    buf_free(&bytes);
    if (!fits)
        return error_set(error, STATUS_INVALID,
                         "Input '%s' has data that is not base64 of its shape and dtype", name);
    return out->values ? STATUS_OK : error_out_of_memory(error, out->count);
}

// ---- Nested arrays ----

static Status read_nested(Request *request, const char *name, StrView text, RawTensor *out,
                          Error *error) {
    JsonNumbers numbers;
    Status status = json_read_numbers(&numbers, text, NULL);
    if (status == STATUS_INVALID)
        return error_set(error, STATUS_INVALID, "Input '%s' is not rectangular", name);
    if (status == STATUS_OUT_OF_MEMORY)
        return error_out_of_memory(error, text.len);
    if (status != STATUS_OK)
        return error_set(error, STATUS_INVALID, "Invalid input type for '%s': expected array",
                         name);
    out->rank = numbers.rank;
    out->count = numbers.count;
    for (int d = 0; d < numbers.rank; d++)
        out->shape[d] = numbers.shape[d];
    out->values = arena_alloc_array(&request->arena, numbers.count + 1, sizeof *out->values);
    status = out->values ? STATUS_OK : error_out_of_memory(error, numbers.count);
    for (size_t i = 0; status == STATUS_OK && i < numbers.count; i++) {
        double real = numbers.reals[i];
        if (numbers.all_integers)
            out->values[i] = numbers.integers[i];
        else if (real == floor(real) && fabs(real) <= 9007199254740992.0)
            out->values[i] = (int64_t)real;
        else
            status = error_set(error, STATUS_INVALID, "Invalid input type for '%s': expected int64",
                               name);
    }
    json_numbers_free(&numbers);
    return status;
}

static Status read_input(Request *request, const JsonSpan *span, const char *name, RawTensor *out,
                         Error *error) {
    out->is_present = true;
    StrView text = sv_trim(span->text);
    if (text.len == 0 || text.ptr[0] != '{')
        return read_nested(request, name, text, out, error);
    JsonDoc *doc;
    TRY(json_parse(&doc, text, 0, error));
    Status status = read_binary(request, name, json_root(doc), out, error);
    json_free(doc);
    return status;
}

// ---- Shapes ----

static Status check_shape(const RawTensor *tensor, const RawTensor *first, const char *name,
                          Error *error) {
    if (tensor->rank != 2)
        return error_set(error, STATUS_INVALID,
                         "Shape mismatch for '%s': expected 2 dimensions, got %d", name,
                         tensor->rank);
    for (int d = 0; d < 2; d++)
        if (tensor->shape[d] != first->shape[d])
            return error_set(error, STATUS_INVALID,
                             "Shape mismatch for '%s' at dim %d: expected %lld, got %lld", name, d,
                             (long long)first->shape[d], (long long)tensor->shape[d]);
    return STATUS_OK;
}

// Adds the leading batch dimension when every given input lacks exactly it.
static void add_batch(RawRequest *raw, size_t inputs) {
    for (size_t i = 0; i < inputs; i++)
        if (raw->inputs[i].is_present && raw->inputs[i].rank != 1)
            return;
    raw->added_batch = true;
    for (size_t i = 0; i < inputs; i++) {
        raw->inputs[i].rank = 2;
        raw->inputs[i].shape[1] = raw->inputs[i].shape[0];
        raw->inputs[i].shape[0] = 1;
    }
}

static Status raw_new(Request *request, Element *element, Error *error) {
    element->raw = arena_alloc(&request->arena, sizeof *element->raw);
    if (!element->raw)
        return error_out_of_memory(error, sizeof *element->raw);
    element->raw->outputs = arena_alloc_array(
        &request->arena, model_output_count(request->model->model), sizeof *element->raw->outputs);
    return element->raw->outputs ? STATUS_OK : error_out_of_memory(error, 64);
}

// What the run would refuse is refused here, where it costs no other request its answer.
static Status check_ids(const Model *model, const RawRequest *raw, const RawTensor *ids,
                        Error *error) {
    size_t longest = model_max_tokens(model), rows = model_vocab_rows(model);
    if (longest && raw->sequence > longest)
        return error_set(error, STATUS_INVALID,
                         "Input 'input_ids' has %zu tokens a row, the model's limit is %zu",
                         raw->sequence, longest);
    for (size_t i = 0; rows && i < ids->count; i++)
        if (ids->values[i] < 0 || (uint64_t)ids->values[i] >= rows)
            return error_set(error, STATUS_INVALID,
                             "Input 'input_ids' has %lld, outside the vocabulary [0, %zu)",
                             (long long)ids->values[i], rows);
    return STATUS_OK;
}

static Status check_inputs(const Model *model, RawRequest *raw, Error *error) {
    size_t count = model_input_count(model), ids = find_input(model, SV("input_ids"));
    if (ids == SIZE_MAX || !raw->inputs[ids].is_present)
        return error_set(error, STATUS_INVALID, "Missing required input: 'input_ids'");
    add_batch(raw, count);
    for (size_t i = 0; i < count; i++)
        if (raw->inputs[i].is_present)
            TRY(check_shape(&raw->inputs[i], &raw->inputs[ids], model_input(model, i)->name,
                            error));
    raw->batch = (size_t)raw->inputs[ids].shape[0];
    raw->sequence = (size_t)raw->inputs[ids].shape[1];
    if (raw->batch == 0 || raw->sequence == 0)
        return error_set(error, STATUS_INVALID, "Input 'input_ids' is empty");
    return check_ids(model, raw, &raw->inputs[ids], error);
}

Status raw_prepare(Request *request, Element *element, const JsonScan *scan, Error *error) {
    const Model *model = request->model->model;
    if (model_input_count(model) > MAX_INPUTS)
        return error_set(error, STATUS_UNSUPPORTED, "models with more than %d inputs", MAX_INPUTS);
    TRY(raw_new(request, element, error));
    for (size_t i = 0; i < scan->count; i++) {
        size_t index = find_input(model, scan->spans[i].key);
        if (index == SIZE_MAX)
            return unexpected_input(model, scan->spans[i].key, error);
        TRY(read_input(request, &scan->spans[i], model_input(model, index)->name,
                       &element->raw->inputs[index], error));
    }
    return check_inputs(model, element->raw, error);
}

Status raw_prepare_synthetic(Request *request, Element *element, const size_t *lengths,
                             size_t batch, Error *error) {
    const Model *model = request->model->model;
    TRY(raw_new(request, element, error));
    RawRequest *raw = element->raw;
    raw->batch = batch;
    for (size_t b = 0; b < batch; b++)
        raw->sequence = lengths[b] > raw->sequence ? lengths[b] : raw->sequence;
    size_t vocabulary = model_vocab_rows(model) ? model_vocab_rows(model) : 1;
    for (size_t i = 0; i < model_input_count(model) && i < MAX_INPUTS; i++) {
        RawTensor *tensor = &raw->inputs[i];
        bool is_ids = strcmp(model_input(model, i)->name, "input_ids") == 0;
        bool is_mask = strcmp(model_input(model, i)->name, "attention_mask") == 0;
        tensor->is_present = true;
        tensor->count = batch * raw->sequence;
        tensor->values = arena_alloc_array(&request->arena, tensor->count, sizeof(int64_t));
        if (!tensor->values)
            return error_out_of_memory(error, tensor->count);
        for (size_t j = 0; j < tensor->count; j++) {
            size_t row = j / raw->sequence, column = j % raw->sequence;
            // Ids of a fixed multiplicative sequence, away from the special ones at the start.
            tensor->values[j] = is_ids    ? (int64_t)((1000 + j * 7919) % vocabulary)
                                : is_mask ? column < lengths[row]
                                          : 0;
        }
    }
    return STATUS_OK;
}

static const int64_t *input_values(const Model *model, const RawRequest *raw, const char *name) {
    size_t index = find_input(model, sv(name));
    return index == SIZE_MAX ? NULL : raw->inputs[index].values;
}

static void free_outputs(const Model *model, RawRequest *raw) {
    for (size_t i = 0; i < model_output_count(model); i++) {
        mem_free(raw->outputs[i].data);
        raw->outputs[i].data = NULL;
    }
}

Status raw_step(Runner *runner, Request *request, Element *element, Error *error) {
    const Model *model = request->model->model;
    RawRequest *raw = element->raw;
    free_outputs(model, raw);
    PaddedInputs inputs = {.batch = raw->batch,
                           .sequence = raw->sequence,
                           .ids = input_values(model, raw, "input_ids"),
                           .mask = input_values(model, raw, "attention_mask"),
                           .types = input_values(model, raw, "token_type_ids"),
                           .cancel = &request->cancel};
    return runner_run_padded(runner, &inputs, raw->outputs, error);
}

void write_nested(JsonWriter *writer, const float *data, const int64_t *shape, int rank) {
    if (rank == 0) {
        json_write_f32(writer, *data);
        return;
    }
    size_t each = 1;
    for (int d = 1; d < rank; d++)
        each *= (size_t)shape[d];
    if (rank == 1)
        json_begin_flat_array(writer);
    else
        json_begin_array(writer);
    for (size_t i = 0; i < (size_t)shape[0]; i++)
        write_nested(writer, data + i * each, shape + 1, rank - 1);
    json_end_array(writer);
}

Status raw_finish(Request *request, Element *element, JsonWriter *writer, Error *error) {
    (void)error;
    const Model *model = request->model->model;
    const ModelInfo *info = request->model->info;
    const RawRequest *raw = element->raw;
    json_begin_object(writer);
    for (size_t i = 0; i < model_output_count(model); i++) {
        const PaddedOutput *output = &raw->outputs[i];
        int skip = raw->added_batch && output->rank > 0 && output->shape[0] == 1 ? 1 : 0;
        json_key(writer, model_output(model, i)->name);
        write_nested(writer, output->data, output->shape + skip, output->rank - skip);
    }
    if (info->label_count > 0) {
        json_key(writer, "labels");
        json_begin_flat_array(writer);
        for (size_t i = 0; i < info->label_count; i++)
            json_write_cstr(writer, info->labels[i]);
        json_end_array(writer);
    }
    json_end_object(writer);
    return STATUS_OK;
}

bool raw_compare(Difference *sum, const Request *request, const Element *a, const Element *b) {
    for (size_t o = 0; o < model_output_count(request->model->model); o++) {
        const PaddedOutput *x = &a->raw->outputs[o], *y = &b->raw->outputs[o];
        size_t count = 1, width = 1;
        if (x->rank != y->rank)
            return false;
        for (int d = 0; d < x->rank; d++) {
            if (x->shape[d] != y->shape[d])
                return false;
            width = (size_t)x->shape[d];
            count *= width;
        }
        for (size_t at = 0; at < count; at += width)
            compare_vector(sum, x->data + at, y->data + at, width, false);
    }
    return true;
}

size_t raw_tokens(const RawRequest *raw) {
    return raw->batch * raw->sequence;
}

void raw_free(const TaskModel *model, RawRequest *raw) {
    if (raw && raw->outputs)
        free_outputs(model->model, raw);
}
