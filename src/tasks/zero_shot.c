// Text and candidate labels → how well each label fits, through an entailment model.
//
// Each label becomes a hypothesis (Yin et al. 2019) that runs as the second text of a pair; its
// score is the entailment logit, normalised over labels, or against contradiction when labels are
// independent.
#include "tasks/private.h"

#include <math.h>

static const char *const zero_shot_parameters[] = {"candidate_labels", "multi_label",
                                                   "hypothesis_template", NULL};
enum { MAX_CANDIDATES = 10000 };

// Label ids of entailment and contradiction, by the config's names.
static void find_labels(const ModelInfo *info, size_t *entailment, size_t *contradiction) {
    *entailment = *contradiction = SIZE_MAX;
    for (size_t i = 0; i < info->label_count; i++) {
        StrView label = sv(info->labels[i]);
        if (label.len >= 6 && sv_equal_nocase(sv_n(label.ptr, 6), SV("entail"))) {
            *entailment = i;
            break;
        }
    }
    // The hub's pipeline takes the label at the other end.
    if (*entailment != SIZE_MAX && info->label_count > 1)
        *contradiction = *entailment == 0 ? info->label_count - 1 : 0;
}

static size_t most_candidates(const JsonValue *value) {
    StrView text;
    size_t commas = 0;
    if (!json_as_string(&text, value))
        return json_len(value);
    for (size_t i = 0; i < text.len; i++)
        commas += text.ptr[i] == ',';
    return commas + 1;
}

// An array of strings, each as it is, or one string with commas, whose parts are trimmed.
static Status read_candidates(Request *request, const Element *element, StrView **out,
                              size_t *count, Error *error) {
    const JsonValue *value = element_param(element, "candidate_labels");
    StrView text;
    size_t most = most_candidates(value);
    *count = 0;
    if (!value)
        return error_set(error, STATUS_INVALID, "Missing required input: 'candidate_labels'");
    if (most > MAX_CANDIDATES)
        return error_set(error, STATUS_INVALID,
                         "Parameter 'candidate_labels' has %zu labels, more than %d", most,
                         MAX_CANDIDATES);
    *out = arena_alloc_array(&request->arena, most + 1, sizeof **out);
    if (!*out)
        return error_out_of_memory(error, most);
    if (json_as_string(&text, value)) {
        while (text.len > 0) {
            const char *comma = memchr(text.ptr, ',', text.len);
            size_t len = comma ? (size_t)(comma - text.ptr) : text.len;
            StrView label = sv_trim(sv_n(text.ptr, len));
            if (label.len > 0)
                (*out)[(*count)++] = label;
            size_t used = comma ? len + 1 : len;
            text = sv_n(text.ptr + used, text.len - used);
        }
    } else if (json_kind(value) != JSON_ARRAY) {
        return error_set(error, STATUS_INVALID,
                         "Invalid input type for 'candidate_labels': expected array");
    } else {
        for (size_t i = 0; i < json_len(value); i++) {
            if (!json_as_string(&text, json_at(value, i)))
                return error_set(error, STATUS_INVALID,
                                 "Parameter 'candidate_labels' must hold strings");
            (*out)[(*count)++] = text;
        }
    }
    return *count ? STATUS_OK
                  : error_set(error, STATUS_INVALID, "Parameter 'candidate_labels' is empty");
}

// The template with its "{}" replaced by the label.
static Status make_hypothesis(Request *request, StrView template, StrView label, StrView *out,
                              Error *error) {
    Buf text = BUF_INIT(1u << 20);
    const char *hole = memmem(template.ptr, template.len, "{}", 2);
    if (!hole)
        return error_set(error, STATUS_INVALID, "Parameter 'hypothesis_template' has no {}");
    size_t before = (size_t)(hole - template.ptr);
    buf_append_sv(&text, sv_n(template.ptr, before));
    buf_append_sv(&text, label);
    buf_append_sv(&text, sv_n(hole + 2, template.len - before - 2));
    Status status = buf_status(&text, error);
    char *copy = status == STATUS_OK ? arena_strndup(&request->arena, text.ptr, text.len) : NULL;
    *out = sv_n(copy, text.len);
    buf_free(&text);
    return status == STATUS_OK && !copy ? error_out_of_memory(error, out->len) : status;
}

static Status zero_shot_prepare(Request *request, Element *element, Error *error) {
    StrView *labels, template = SV("This example is {}.");
    const JsonValue *written = element_param(element, "hypothesis_template");
    size_t count, entailment, contradiction;
    find_labels(request->model->info, &entailment, &contradiction);
    if (entailment == SIZE_MAX)
        return error_set(error, STATUS_INVALID, "This model has no entailment label");
    if (written && !json_as_string(&template, written))
        return error_set(error, STATUS_INVALID, "Parameter 'hypothesis_template' must be a string");
    TRY(element_read_texts(request, element, error));
    TRY(read_candidates(request, element, &labels, &count, error));
    // One input per text and label, in that order.
    Input *texts = element->inputs;
    size_t n_texts = element->n_inputs;
    TRY(element_alloc_inputs(request, element, n_texts * count, error));
    EncodeOptions options = default_encode_options(request->model);
    options.truncation = TRUNCATE_ONLY_FIRST;
    for (size_t i = 0; i < n_texts * count; i++) {
        element->inputs[i].text = texts[i / count].text;
        TRY(make_hypothesis(request, template, labels[i % count], &element->inputs[i].pair, error));
        TRY(input_encode(request, &element->inputs[i], &options, error));
    }
    return STATUS_OK;
}

static Status zero_shot_collect(Request *request, Row *row, const RowOutput *outputs,
                                Error *error) {
    TRY(row_values(request, row, outputs[0].width, outputs[0].width, error));
    memcpy(row->values, outputs[0].data, outputs[0].width * sizeof(float));
    return STATUS_OK;
}

static void score_labels(const Element *element, size_t first, size_t count, bool multi_label,
                         size_t entailment, size_t contradiction, float *scores) {
    for (size_t i = 0; i < count; i++) {
        const float *logits = element->inputs[first + i].rows[0].values;
        scores[i] = logits[entailment];
        if (multi_label) {
            float pair[2] = {logits[contradiction], logits[entailment]};
            maths_softmax(pair, 2);
            scores[i] = pair[1];
        }
    }
    if (!multi_label)
        maths_softmax(scores, count);
}

static void write_zero_shot(const Element *element, size_t first, size_t count,
                            const StrView *labels, const float *scores, const size_t *order,
                            AnswerForm form, bool return_logits, JsonWriter *writer) {
    if (form == FORM_HF) {
        json_begin_array(writer);
        for (size_t i = 0; i < count; i++) {
            json_begin_object(writer);
            json_key(writer, "label");
            json_write_string(writer, labels[order[i]]);
            json_key(writer, "score");
            json_write_f32(writer, scores[order[i]]);
            json_end_object(writer);
        }
        json_end_array(writer);
        return;
    }
    json_begin_object(writer);
    json_key(writer, "sequence");
    json_write_string(writer, element->inputs[first].text);
    json_key(writer, "labels");
    json_begin_flat_array(writer);
    for (size_t i = 0; i < count; i++)
        json_write_string(writer, labels[order[i]]);
    json_end_array(writer);
    json_key(writer, "scores");
    json_begin_flat_array(writer);
    for (size_t i = 0; i < count; i++)
        json_write_f32(writer, scores[order[i]]);
    json_end_array(writer);
    if (return_logits) {
        json_key(writer, "logits");
        json_begin_array(writer);
        for (size_t i = 0; i < count; i++) {
            const Row *row = &element->inputs[first + order[i]].rows[0];
            const int64_t shape[1] = {(int64_t)row->count};
            write_nested(writer, row->values, shape, 1);
        }
        json_end_array(writer);
    }
    json_end_object(writer);
}

static Status zero_shot_finish(Request *request, Element *element, AnswerForm form,
                               JsonWriter *writer, Error *error) {
    StrView *labels;
    size_t count, entailment, contradiction;
    bool multi_label, return_logits;
    float *scores = NULL;
    TRY(read_candidates(request, element, &labels, &count, error));
    TRY(element_param_bool(element, "multi_label", false, &multi_label, error));
    TRY(element_param_bool(element, "return_logits", false, &return_logits, error));
    find_labels(request->model->info, &entailment, &contradiction);
    // One label has nothing to be compared with.
    multi_label = multi_label || count == 1;
    size_t *order = arena_alloc_array(&request->arena, count, sizeof *order);
    if (!order)
        return error_out_of_memory(error, count);
    TRY(request_floats(request, &scores, count, error));
    if (element->is_list)
        json_begin_array(writer);
    for (size_t first = 0; first < element->n_inputs; first += count) {
        score_labels(element, first, count, multi_label, entailment, contradiction, scores);
        maths_top_k(scores, count, count, order);
        write_zero_shot(element, first, count, labels, scores, order, form, return_logits, writer);
    }
    if (element->is_list)
        json_end_array(writer);
    return STATUS_OK;
}

const Task task_zero_shot = {
    .name = "zero-shot-classification",
    .parameters = zero_shot_parameters,
    .decision = DECISION_EACH,
    .prepare = zero_shot_prepare,
    .collect = zero_shot_collect,
    .finish = zero_shot_finish,
};
