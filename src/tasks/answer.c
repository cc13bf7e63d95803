// Question and context → the span that answers it.
//
// Follows the hub's question-answering pipeline: windows of the context, softmax of start and end
// over each window's tokens with everything but the context masked out, the best start-end products
// of all windows together, offsets widened to whole words.
#include "tasks/private.h"

#include <math.h>
#include <stdlib.h>

static const char *const answer_parameters[] = {"top_k",
                                                "max_answer_len",
                                                "max_seq_len",
                                                "doc_stride",
                                                "max_question_len",
                                                "handle_impossible_answer",
                                                "align_to_words",
                                                NULL};

enum { MAX_TOP_K = 1000 };

static Status read_question(const Element *element, Input *input, Error *error) {
    const JsonValue *object = element->object, *inputs = json_get(object, "inputs");
    if (json_kind(inputs) == JSON_OBJECT)
        object = inputs;
    const struct {
        const char *key;
        StrView *out;
    } fields[] = {{"question", &input->text}, {"context", &input->pair}};
    for (size_t i = 0; i < 2; i++) {
        const JsonValue *value = json_get(object, fields[i].key);
        if (!value)
            return error_set(error, STATUS_INVALID, "Missing required input: '%s'", fields[i].key);
        if (!json_as_string(fields[i].out, value))
            return error_set(error, STATUS_INVALID, "Invalid input type for '%s': expected string",
                             fields[i].key);
        if (sv_trim(*fields[i].out).len == 0)
            return error_set(error, STATUS_INVALID, "Input '%s' is empty", fields[i].key);
    }
    return STATUS_OK;
}

// Byte length of the first `count` code points.
static size_t bytes_of(StrView text, size_t count) {
    size_t pos = 0;
    while (count-- > 0 && pos < text.len)
        utf8_next(text, &pos);
    return pos;
}

// Cuts the question after max_question_len tokens.
static Status cut_question(const Request *request, Input *input, size_t most, Error *error) {
    EncodingList list;
    EncodeOptions options = {.add_special_tokens = false};
    TRY(tokenizer_encode(&list, request->model->tokenizer, input->text, (StrView){0}, &options,
                         error));
    if (list.items[0].len > most)
        input->text.len = bytes_of(input->text, list.items[0].end[most - 1]);
    encoding_list_free(&list);
    return STATUS_OK;
}

static Status answer_prepare(Request *request, Element *element, Error *error) {
    size_t limit = task_max_length(request->model), window, stride, question;
    TRY(element_alloc_inputs(request, element, 1, error));
    Input *input = &element->inputs[0];
    TRY(read_question(element, input, error));
    TRY(element_param_size(element, "max_seq_len", 384, 8, 1 << 20, &window, error));
    if (limit && window > limit)
        window = limit;
    TRY(element_param_size(element, "doc_stride", window / 2 < 128 ? window / 2 : 128, 0, 1 << 20,
                           &stride, error));
    TRY(element_param_size(element, "max_question_len", 64, 1, 1 << 20, &question, error));
    size_t special = tokenizer_special_count(request->model->tokenizer, true);
    // A question may not fill the window: some context must fit beside it.
    size_t room = window > special + 2 ? window - special - 2 : 1;
    TRY(cut_question(request, input, question < room ? question : room, error));
    EncodingList list;
    EncodeOptions alone = {.add_special_tokens = false};
    TRY(tokenizer_encode(&list, request->model->tokenizer, input->text, (StrView){0}, &alone,
                         error));
    size_t used = list.items[0].len + special;
    encoding_list_free(&list);
    size_t context = window > used ? window - used : 1;
    EncodeOptions options = {.add_special_tokens = true,
                             .max_length = window,
                             .truncation = TRUNCATE_ONLY_SECOND,
                             .stride = stride < context ? stride : context - 1,
                             .return_windows = true};
    return input_encode(request, input, &options, error);
}

// Keeps start logits, then end logits: [2, len].
static Status answer_collect(Request *request, Row *row, const RowOutput *outputs, Error *error) {
    size_t len = outputs[0].rows;
    TRY(row_values(request, row, 2 * len, error));
    for (size_t t = 0; t < len; t++) {
        row->values[t] = outputs[0].data[t * outputs[0].ld];
        row->values[len + t] = outputs[1].data[t * outputs[1].ld];
    }
    return STATUS_OK;
}

typedef struct Answer {
    float score;
    uint32_t start, end; // code points of the context; both 0 for "no answer"
} Answer;

typedef struct Answers {
    Answer *items; // sorted by falling score
    size_t count, most;
} Answers;

static bool same_text(StrView context, const Answer *a, const Answer *b) {
    size_t a0 = bytes_of(context, a->start), a1 = bytes_of(context, a->end);
    size_t b0 = bytes_of(context, b->start), b1 = bytes_of(context, b->end);
    return sv_equal(sv_n(context.ptr + a0, a1 - a0), sv_n(context.ptr + b0, b1 - b0));
}

static void answers_add(Answers *answers, const Answer *answer) {
    if (answers->count == answers->most && answer->score <= answers->items[answers->most - 1].score)
        return;
    size_t at = answers->count < answers->most ? answers->count++ : answers->most - 1;
    for (; at > 0 && answer->score > answers->items[at - 1].score; at--)
        answers->items[at] = answers->items[at - 1];
    answers->items[at] = *answer;
}

// Widens a token span to the characters of its first and last word.
static void align_to_words(const Encoding *encoding, size_t first, size_t last, Answer *answer) {
    for (size_t t = first; t-- > 0;) {
        if (encoding->sequence[t] != 1 || encoding->word[t] != encoding->word[first])
            break;
        answer->start = encoding->start[t];
    }
    for (size_t t = last + 1; t < encoding->len; t++) {
        if (encoding->sequence[t] != 1 || encoding->word[t] != encoding->word[last])
            break;
        answer->end = encoding->end[t];
    }
}

typedef struct Reading {
    size_t max_answer_len;
    bool allow_none, align;
    float none_score; // least over windows
} Reading;

// Probabilities over a window's tokens with all but context (and the first token) at -10000.
static void window_probabilities(const Encoding *encoding, float *x) {
    for (size_t t = 0; t < encoding->len; t++)
        if (encoding->sequence[t] != 1 && t != 0)
            x[t] = -10000.0f;
    maths_softmax(x, encoding->len);
}

static void read_window(const Row *row, Reading *reading, Answers *answers) {
    const Encoding *encoding = row->encoding;
    size_t len = encoding->len;
    float *start = row->values, *end = row->values + len;
    window_probabilities(encoding, start);
    window_probabilities(encoding, end);
    if (reading->allow_none && start[0] * end[0] < reading->none_score)
        reading->none_score = start[0] * end[0];
    for (size_t s = 0; s < len; s++) {
        if (encoding->sequence[s] != 1)
            continue;
        for (size_t e = s; e < len && e - s < reading->max_answer_len; e++) {
            if (encoding->sequence[e] != 1)
                break;
            Answer answer = {start[s] * end[e], encoding->start[s], encoding->end[e]};
            // Only spans that enter the list are widened; the test is answers_add's own.
            if (answers->count == answers->most &&
                answer.score <= answers->items[answers->most - 1].score)
                continue;
            if (reading->align)
                align_to_words(encoding, s, e, &answer);
            answers_add(answers, &answer);
        }
    }
}

static void write_answer(const Input *input, const Answer *answer, JsonWriter *writer) {
    size_t begin = bytes_of(input->pair, answer->start), end = bytes_of(input->pair, answer->end);
    json_begin_object(writer);
    json_key(writer, "answer");
    json_write_string(writer, sv_n(input->pair.ptr + begin, end - begin));
    json_key(writer, "score");
    json_write_f32(writer, answer->score);
    json_key(writer, "start");
    json_write_u64(writer, answer->start);
    json_key(writer, "end");
    json_write_u64(writer, answer->end);
    json_end_object(writer);
}

// Spans that widened to the same words are one answer; their scores add up.
static void merge_same(StrView context, Answers *answers) {
    size_t kept = 0;
    for (size_t i = 0; i < answers->count; i++) {
        size_t twin = 0;
        while (twin < kept && !same_text(context, &answers->items[twin], &answers->items[i]))
            twin++;
        if (twin < kept)
            answers->items[twin].score += answers->items[i].score;
        else
            answers->items[kept++] = answers->items[i];
    }
    answers->count = kept;
}

static Status read_answers(Request *request, const Element *element, Answers *answers, size_t top_k,
                           Error *error) {
    Reading reading = {.none_score = INFINITY};
    TRY(element_param_size(element, "max_answer_len", 15, 1, 1 << 20, &reading.max_answer_len,
                           error));
    TRY(element_param_bool(element, "handle_impossible_answer", false, &reading.allow_none, error));
    TRY(element_param_bool(element, "align_to_words", true, &reading.align, error));
    // Spans that widen to the same words fold into one, so more are read than are answered.
    answers->most = top_k + 1;
    answers->items = arena_alloc_array(&request->arena, answers->most + 1, sizeof(Answer));
    if (!answers->items)
        return error_out_of_memory(error, top_k);
    const Input *input = &element->inputs[0];
    for (size_t w = 0; w < input->n_rows; w++)
        read_window(&input->rows[w], &reading, answers);
    if (reading.allow_none)
        answers_add(answers, &(Answer){.score = reading.none_score});
    return STATUS_OK;
}

static Status answer_finish(Request *request, Element *element, AnswerForm form, JsonWriter *writer,
                            Error *error) {
    size_t top_k;
    Answers answers = {0};
    TRY(element_param_size(element, "top_k", 1, 1, MAX_TOP_K, &top_k, error));
    TRY(read_answers(request, element, &answers, top_k, error));
    const Input *input = &element->inputs[0];
    if (top_k > 1)
        merge_same(input->pair, &answers);
    if (answers.count == 0)
        return error_set(error, STATUS_INVALID, "Input 'context' has no words");
    if (top_k == 1) {
        write_answer(input, &answers.items[0], writer);
        return STATUS_OK;
    }
    if (form == FORM_GPUX) {
        json_begin_object(writer);
        json_key(writer, "answers");
    }
    json_begin_array(writer);
    for (size_t i = 0; i < answers.count && i < top_k; i++)
        write_answer(input, &answers.items[i], writer);
    json_end_array(writer);
    if (form == FORM_GPUX)
        json_end_object(writer);
    return STATUS_OK;
}

const Task task_question_answering = {
    .name = "question-answering",
    .parameters = answer_parameters,
    .prepare = answer_prepare,
    .collect = answer_collect,
    .finish = answer_finish,
};
