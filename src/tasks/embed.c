// Text → pooled, normalised vector: sentence-similarity and feature-extraction.
//
// Pooling follows sentence-transformers' modules: over the tokens of the row, special tokens
// included, which is the attention mask of the padded form; so do prompts.
#include "base/checked.h"
#include "tasks/private.h"

#include <math.h>

static const char *const embed_parameters[] = {"normalize", "truncate", "truncation_direction",
                                               "prompt_name", NULL};

static Status read_similarity(Request *request, Element *element, const JsonValue *object,
                              Error *error) {
    const JsonValue *sentences = json_get(object, "sentences");
    if (json_kind(sentences) != JSON_ARRAY)
        return error_set(error, STATUS_INVALID, "Missing required input: 'sentences'");
    element->is_similarity = true;
    TRY(element_alloc_inputs(request, element, json_len(sentences) + 1, error));
    if (!json_as_string(&element->inputs[0].text, json_get(object, "source_sentence")))
        return error_set(error, STATUS_INVALID,
                         "Invalid input type for 'source_sentence': expected string");
    for (size_t i = 0; i < json_len(sentences); i++)
        if (!json_as_string(&element->inputs[i + 1].text, json_at(sentences, i)))
            return error_set(error, STATUS_INVALID,
                             "Invalid input type for 'sentences': expected array of strings");
    return STATUS_OK;
}

static Status unknown_prompt(const ModelInfo *info, StrView name, Error *error) {
    Buf names = BUF_INIT(512);
    for (size_t i = 0; i < info->prompt_count; i++)
        buf_printf(&names, "%s%s", i ? ", " : "", info->prompts[i].name);
    error_set(error, STATUS_INVALID, "The model has no prompt '%.*s'; it has: %s",
              (int)(name.len < 64 ? name.len : 64), name.ptr, names.ptr ? names.ptr : "");
    buf_free(&names);
    return STATUS_INVALID;
}

// The prompt that the request names, else the model's default; may be empty.
static Status read_prompt(StrView *out, const Request *request, const Element *element,
                          Error *error) {
    const ModelInfo *info = request->model->info;
    const JsonValue *value = element_param(element, "prompt_name");
    StrView name;
    *out = sv(info->default_prompt ? info->default_prompt->text : "");
    if (!value || json_kind(value) == JSON_NULL)
        return STATUS_OK;
    if (!json_as_string(&name, value))
        return error_set(error, STATUS_INVALID, "Parameter 'prompt_name' must be a string");
    for (size_t i = 0; i < info->prompt_count; i++) {
        if (sv_equal_cstr(name, info->prompts[i].name)) {
            *out = sv(info->prompts[i].text);
            return STATUS_OK;
        }
    }
    return unknown_prompt(info, name, error);
}

static Status put_prompt(Request *request, Input *input, StrView prompt, Error *error) {
    size_t len;
    char *text =
        size_add(&len, prompt.len, input->text.len) ? arena_alloc(&request->arena, len) : NULL;
    if (!text)
        return error_out_of_memory(error, prompt.len);
    memcpy(text, prompt.ptr, prompt.len);
    if (input->text.len > 0)
        memcpy(text + prompt.len, input->text.ptr, input->text.len);
    input->text = sv_n(text, len);
    return STATUS_OK;
}

// The tokens of a prompt by itself, without the special token at its end.
static Status count_prompt(size_t *out, Request *request, StrView prompt,
                           const EncodeOptions *options, Error *error) {
    EncodingList list;
    TRY(tokenizer_encode(&list, request->model->tokenizer, prompt, (StrView){NULL, 0}, options,
                         error));
    const Encoding *encoding = &list.items[0];
    *out = encoding->len;
    if (*out > 0 && encoding->flags[*out - 1] & TOKEN_IS_SPECIAL)
        (*out)--;
    encoding_list_free(&list);
    return STATUS_OK;
}

static Status embed_prepare(Request *request, Element *element, Error *error) {
    static const char *const directions[] = {"right", "left", NULL};
    const JsonValue *value = json_get(element->object, "inputs");
    size_t direction;
    bool truncate;
    if (json_get(element->object, "source_sentence"))
        TRY(read_similarity(request, element, element->object, error));
    else if (json_get(value, "source_sentence"))
        TRY(read_similarity(request, element, value, error));
    else
        TRY(element_read_texts(request, element, error));
    TRY(element_param_choice(element, "truncation_direction", directions, 0, &direction, error));
    TRY(element_param_bool(element, "truncate", true, &truncate, error));
    EncodeOptions options = default_encode_options(request->model);
    size_t limit = options.max_length;
    options.truncate_left = direction == 1;
    if (!truncate)
        options.max_length = 0;
    StrView prompt;
    size_t skip = 0;
    TRY(read_prompt(&prompt, request, element, error));
    if (prompt.len > 0 && request->model->info->skips_prompt)
        TRY(count_prompt(&skip, request, prompt, &options, error));
    for (size_t i = 0; i < element->n_inputs; i++) {
        if (prompt.len > 0)
            TRY(put_prompt(request, &element->inputs[i], prompt, error));
        TRY(input_encode(request, &element->inputs[i], &options, error));
        element->inputs[i].rows[0].skip = skip;
        size_t len = element->inputs[i].rows[0].encoding->len;
        if (!truncate && limit && len > limit)
            return error_set(
                error, STATUS_INVALID,
                "Input has %zu tokens, more than the model's %zu, and truncate is false", len,
                limit);
    }
    return STATUS_OK;
}

static void pool_mean(const RowOutput *tokens, size_t first, Pooling pooling, float *out) {
    memset(out, 0, tokens->width * sizeof(float));
    for (size_t t = first; t < tokens->rows; t++)
        for (size_t i = 0; i < tokens->width; i++)
            out[i] += tokens->data[t * tokens->ld + i];
    float divisor = (float)(tokens->rows - first);
    if (pooling == POOLING_MEAN_SQRT_LEN)
        divisor = sqrtf(divisor);
    for (size_t i = 0; i < tokens->width; i++)
        out[i] /= divisor;
}

static Status embed_collect(Request *request, Row *row, const RowOutput *outputs, Error *error) {
    const RowOutput *tokens = &outputs[0];
    size_t width = tokens->width;
    TRY(row_values(request, row, width, width, error));
    float *out = row->values;
    // A prompt that fills the row leaves nothing else to pool.
    size_t first = row->skip < tokens->rows ? row->skip : 0;
    switch (request->model->info->pooling) {
    case POOLING_CLS:
        memcpy(out, tokens->data + first * tokens->ld, width * sizeof(float));
        break;
    case POOLING_LAST_TOKEN:
        memcpy(out, tokens->data + (tokens->rows - 1) * tokens->ld, width * sizeof(float));
        break;
    case POOLING_MAX:
        memcpy(out, tokens->data + first * tokens->ld, width * sizeof(float));
        for (size_t t = first + 1; t < tokens->rows; t++)
            for (size_t i = 0; i < width; i++)
                out[i] = fmaxf(out[i], tokens->data[t * tokens->ld + i]);
        break;
    case POOLING_MEAN:
    case POOLING_MEAN_SQRT_LEN:
        pool_mean(tokens, first, request->model->info->pooling, out);
        break;
    }
    return STATUS_OK;
}

// The row's vector, normalised in `room` when asked for; the row itself stays as it is.
static const float *row_vector(const Row *row, bool normalize, float *room) {
    if (!normalize)
        return row->values;
    memcpy(room, row->values, row->count * sizeof *room);
    maths_l2_normalize(room, row->count);
    return room;
}

// Vectors are normalised for this, whatever the model does, so the products are cosines. `room` has
// space for two vectors.
static void write_similarities(const Element *element, float *room, JsonWriter *writer) {
    const Row *source = &element->inputs[0].rows[0];
    const float *a = row_vector(source, true, room);
    json_begin_flat_array(writer);
    for (size_t i = 1; i < element->n_inputs; i++) {
        const float *b = row_vector(&element->inputs[i].rows[0], true, room + source->count);
        json_write_f32(writer, maths_dot(a, b, source->count));
    }
    json_end_array(writer);
}

static void write_vectors(const Element *element, bool nested, bool normalize, float *room,
                          JsonWriter *writer) {
    if (nested)
        json_begin_array(writer);
    for (size_t i = 0; i < element->n_inputs; i++) {
        const Row *row = &element->inputs[i].rows[0];
        const int64_t shape[1] = {(int64_t)row->count};
        write_nested(writer, row_vector(row, normalize, room), shape, 1);
    }
    if (nested)
        json_end_array(writer);
}

static Status embed_finish(Request *request, Element *element, AnswerForm form, JsonWriter *writer,
                           Error *error) {
    bool normalize;
    float *room = NULL;
    TRY(element_param_bool(element, "normalize", request->model->info->normalize, &normalize,
                           error));
    TRY(request_floats(request, &room, element->n_inputs ? 2 * element->inputs[0].rows[0].count : 0,
                       error));
    if (form == FORM_GPUX) {
        json_begin_object(writer);
        json_key(writer, element->is_similarity ? "similarities" : "embeddings");
    }
    if (element->is_similarity)
        write_similarities(element, room, writer);
    else
        write_vectors(element, form == FORM_GPUX || element->is_list, normalize, room, writer);
    if (form == FORM_GPUX)
        json_end_object(writer);
    return STATUS_OK;
}

const Task task_sentence_similarity = {
    .name = "sentence-similarity",
    .parameters = embed_parameters,
    .prepare = embed_prepare,
    .collect = embed_collect,
    .finish = embed_finish,
};

const Task task_feature_extraction = {
    .name = "feature-extraction",
    .parameters = embed_parameters,
    .prepare = embed_prepare,
    .collect = embed_collect,
    .finish = embed_finish,
};
