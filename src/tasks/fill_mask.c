// Text with masks → the likeliest words in their place.
#include "tasks/private.h"

static const char *const mask_parameters[] = {"top_k", "targets", NULL};

static size_t count_masks(const Encoding *encoding, int32_t mask_id) {
    size_t count = 0;
    for (size_t i = 0; i < encoding->len; i++)
        count += encoding->ids[i] == mask_id;
    return count;
}

static Status mask_prepare(Request *request, Element *element, Error *error) {
    const Tokenizer *tokenizer = request->model->tokenizer;
    int32_t mask_id = tokenizer_special_id(tokenizer, "mask_token");
    if (mask_id < 0)
        return error_set(error, STATUS_INVALID, "This model's tokenizer has no mask token");
    EncodeOptions options = default_encode_options(request->model);
    TRY(element_read_texts(request, element, error));
    for (size_t i = 0; i < element->n_inputs; i++) {
        TRY(input_encode(request, &element->inputs[i], &options, error));
        if (count_masks(element->inputs[i].rows[0].encoding, mask_id) == 0) {
            StrView token = tokenizer_token(tokenizer, mask_id);
            return error_set(error, STATUS_INVALID, "No mask token (%.*s) found in the input",
                             (int)token.len, token.ptr);
        }
    }
    return STATUS_OK;
}

// Keeps the logits of the masked positions only: [masks, vocabulary].
static Status mask_collect(Request *request, Row *row, const RowOutput *outputs, Error *error) {
    int32_t mask_id = tokenizer_special_id(request->model->tokenizer, "mask_token");
    size_t width = outputs[0].width, masks = count_masks(row->encoding, mask_id), at = 0;
    TRY(row_values(request, row, masks * width, width, error));
    for (size_t t = 0; t < outputs[0].rows; t++)
        if (row->encoding->ids[t] == mask_id)
            memcpy(row->values + at++ * width, outputs[0].data + t * outputs[0].ld,
                   width * sizeof(float));
    return STATUS_OK;
}

// Vocabulary ids of `targets`: the word itself, else its first token.
static Status read_targets(Request *request, const Element *element, size_t vocabulary,
                           size_t **out, size_t *count, Error *error) {
    const JsonValue *targets = element_param(element, "targets");
    const Tokenizer *tokenizer = request->model->tokenizer;
    size_t n = json_kind(targets) == JSON_STRING ? 1 : json_len(targets);
    *out = arena_alloc_array(&request->arena, n + 1, sizeof **out);
    *count = 0;
    if (!*out)
        return error_out_of_memory(error, n);
    for (size_t i = 0; i < n; i++) {
        StrView word;
        const JsonValue *value = json_kind(targets) == JSON_ARRAY ? json_at(targets, i) : targets;
        if (!json_as_string(&word, value))
            return error_set(error, STATUS_INVALID, "Parameter 'targets' must hold strings");
        int32_t id = tokenizer_token_id(tokenizer, word);
        if (id < 0) {
            EncodingList list;
            EncodeOptions options = {.add_special_tokens = false};
            TRY(tokenizer_encode(&list, tokenizer, word, (StrView){0}, &options, error));
            id = list.items[0].len ? list.items[0].ids[0] : -1;
            encoding_list_free(&list);
        }
        bool known = false;
        for (size_t j = 0; j < *count; j++)
            known |= (*out)[j] == (size_t)id;
        if (id >= 0 && (size_t)id < vocabulary && !known)
            (*out)[(*count)++] = (size_t)id;
    }
    return *count ? STATUS_OK
                  : error_set(error, STATUS_INVALID, "Parameter 'targets' names no token");
}

static Status write_prediction(Request *request, const Encoding *encoding, size_t position,
                               size_t id, float score, bool skip_special, JsonWriter *writer,
                               Error *error) {
    const Tokenizer *tokenizer = request->model->tokenizer;
    Buf token = BUF_INIT(1u << 20), sequence = BUF_INIT(1u << 26);
    int32_t token_id = (int32_t)id;
    int32_t *ids = mem_alloc(encoding->len * sizeof *ids);
    Status status = ids ? STATUS_OK : error_out_of_memory(error, encoding->len);
    size_t len = 0;
    if (status == STATUS_OK) {
        int32_t pad = tokenizer_special_id(tokenizer, "pad_token");
        for (size_t i = 0; i < encoding->len; i++) {
            ids[len] = i == position ? token_id : encoding->ids[i];
            len += ids[len] != pad || pad < 0;
        }
        status = tokenizer_decode(&token, tokenizer, &token_id, 1, false, error);
    }
    if (status == STATUS_OK)
        status = tokenizer_decode(&sequence, tokenizer, ids, len, skip_special, error);
    if (status == STATUS_OK) {
        json_begin_object(writer);
        json_key(writer, "score");
        json_write_f32(writer, score);
        json_key(writer, "token");
        json_write_i64(writer, token_id);
        json_key(writer, "token_str");
        json_write_string(writer, sv_n(token.ptr, token.len));
        json_key(writer, "sequence");
        json_write_string(writer, sv_n(sequence.ptr, sequence.len));
        json_end_object(writer);
    }
    mem_free(ids);
    buf_free(&token);
    buf_free(&sequence);
    return status;
}

typedef struct Fill {
    size_t top_k, *targets, n_targets, *order;
    float *scores; // [vocabulary]
    float *target_scores;
} Fill;

static Status fill_position(Request *request, const Row *row, size_t mask, size_t position,
                            size_t vocabulary, const Fill *fill, bool skip_special,
                            JsonWriter *writer, Error *error) {
    memcpy(fill->scores, row->values + mask * vocabulary, vocabulary * sizeof(float));
    maths_softmax(fill->scores, vocabulary);
    json_begin_array(writer);
    if (fill->n_targets) {
        for (size_t i = 0; i < fill->n_targets; i++)
            fill->target_scores[i] = fill->scores[fill->targets[i]];
        maths_top_k(fill->target_scores, fill->n_targets, fill->top_k, fill->order);
    } else {
        maths_top_k(fill->scores, vocabulary, fill->top_k, fill->order);
    }
    for (size_t i = 0; i < fill->top_k; i++) {
        size_t id = fill->n_targets ? fill->targets[fill->order[i]] : fill->order[i];
        TRY(write_prediction(request, row->encoding, position, id, fill->scores[id], skip_special,
                             writer, error));
    }
    json_end_array(writer);
    return STATUS_OK;
}

static Status fill_input(Request *request, const Element *element, const Input *input,
                         JsonWriter *writer, Error *error) {
    const Row *row = &input->rows[0];
    int32_t mask_id = tokenizer_special_id(request->model->tokenizer, "mask_token");
    size_t masks = count_masks(row->encoding, mask_id), vocabulary = row->count / masks, mask = 0;
    Fill fill = {0};
    if (element_param(element, "targets"))
        TRY(read_targets(request, element, vocabulary, &fill.targets, &fill.n_targets, error));
    size_t most = fill.n_targets ? fill.n_targets : vocabulary;
    TRY(element_param_size(element, "top_k", 5, 1, SIZE_MAX / 2, &fill.top_k, error));
    fill.top_k = fill.top_k < most ? fill.top_k : most;
    fill.order = arena_alloc_array(&request->arena, fill.top_k + 1, sizeof *fill.order);
    if (!fill.order)
        return error_out_of_memory(error, fill.top_k);
    TRY(request_floats(request, &fill.scores, vocabulary, error));
    TRY(request_floats(request, &fill.target_scores, fill.n_targets, error));
    if (masks > 1)
        json_begin_array(writer);
    for (size_t t = 0; t < row->encoding->len; t++)
        if (row->encoding->ids[t] == mask_id)
            TRY(fill_position(request, row, mask++, t, vocabulary, &fill, masks == 1, writer,
                              error));
    if (masks > 1)
        json_end_array(writer);
    return STATUS_OK;
}

static Status mask_finish(Request *request, Element *element, AnswerForm form, JsonWriter *writer,
                          Error *error) {
    if (form == FORM_GPUX) {
        json_begin_object(writer);
        json_key(writer, "predictions");
    }
    if (element->is_list)
        json_begin_array(writer);
    for (size_t i = 0; i < element->n_inputs; i++)
        TRY(fill_input(request, element, &element->inputs[i], writer, error));
    if (element->is_list)
        json_end_array(writer);
    if (form == FORM_GPUX)
        json_end_object(writer);
    return STATUS_OK;
}

const Task task_fill_mask = {
    .name = "fill-mask",
    .parameters = mask_parameters,
    .decision = DECISION_EACH,
    .prepare = mask_prepare,
    .collect = mask_collect,
    .finish = mask_finish,
};
