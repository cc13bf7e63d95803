// Deterministic requests for benchmarks: a fixed sentence repeated, or ids of a fixed sequence.
#include "tasks/private.h"

// A fixed sentence repeated until the row has `length` tokens.
static Status synthetic_text(Request *request, Input *input, size_t length, Error *error) {
    static const char sentence[] =
        "The quick brown fox jumps over the lazy dog near the river bank. ";
    Buf text = BUF_INIT(1u << 26);
    size_t mask = request->task == &task_fill_mask ? 1 : 0;
    if (mask) {
        int32_t id = tokenizer_special_id(request->model->tokenizer, "mask_token");
        buf_append_sv(&text, tokenizer_token(request->model->tokenizer, id));
        buf_append_cstr(&text, " ");
    }
    for (size_t i = 0; i < length; i += 12)
        buf_append_cstr(&text, sentence);
    Status status = buf_status(&text, error);
    char *copy = status == STATUS_OK ? arena_strndup(&request->arena, text.ptr, text.len) : NULL;
    if (copy) {
        input->text = sv_n(copy, text.len);
        EncodeOptions options = default_encode_options(request->model);
        if (options.max_length == 0 || options.max_length > length)
            options.max_length = length;
        status = input_encode(request, input, &options, error);
    } else if (status == STATUS_OK) {
        status = error_out_of_memory(error, text.len);
    }
    buf_free(&text);
    return status;
}

static size_t synthetic_length(size_t row, size_t batch, size_t longest, size_t shortest) {
    if (shortest == 0 || shortest >= longest || batch < 2)
        return longest;
    return shortest + (longest - shortest) * row / (batch - 1);
}

// Question answering has a row form of its own; its synthetic rows are plain texts that are
// collected like windows.
static Status synthetic_element(Request *request, size_t batch, size_t longest, size_t shortest,
                                Error *error) {
    Element *element = &request->elements[0];
    bool is_task = request->task && request->model->tokenizer;
    size_t *lengths = arena_alloc_array(&request->arena, batch, sizeof *lengths);
    if (!lengths)
        return error_out_of_memory(error, batch);
    for (size_t i = 0; i < batch; i++)
        lengths[i] = synthetic_length(i, batch, longest, shortest);
    if (!is_task)
        return raw_prepare_synthetic(request, element, lengths, batch, error);
    TRY(element_alloc_inputs(request, element, batch, error));
    element->is_list = batch > 1;
    for (size_t i = 0; i < batch; i++)
        TRY(synthetic_text(request, &element->inputs[i], lengths[i], error));
    return STATUS_OK;
}

Status request_prepare_synthetic(Request **out, const TaskModel *model, size_t batch,
                                 size_t seq_len, size_t seq_len_min, Error *error) {
    Request *request;
    size_t limit = model_max_tokens(model->model);
    seq_len = seq_len ? seq_len : 128;
    if (limit && seq_len > limit)
        return error_set(error, STATUS_INVALID,
                         "a sequence of %zu tokens is longer than the model's %zu", seq_len, limit);
    if (seq_len < 3 || batch == 0 || batch > MAX_REQUEST_ROWS)
        return error_set(error, STATUS_INVALID,
                         "a synthetic request needs at least 1 row of at least 3 tokens");
    TRY(request_new(&request, model, 1, error));
    Status status = synthetic_element(request, batch, seq_len, seq_len_min, error);
    if (status != STATUS_OK) {
        request_free(request);
        return status;
    }
    *out = request;
    return STATUS_OK;
}
