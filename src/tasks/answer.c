// Question and context → the span that answers it.
//
// Follows the hub's question-answering pipeline: windows of the context, softmax of start and end
// over each window's tokens with everything but the context masked out, the best start-end products
// of all windows together, offsets widened to whole words.
#include "tasks/private.h"

#include <math.h>

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

// Cuts the question after max_question_len tokens.
static Status cut_question(const Request *request, Input *input, size_t most, Error *error) {
    EncodingList list;
    EncodeOptions options = {.add_special_tokens = false};
    TRY(tokenizer_encode(&list, request->model->tokenizer, input->text, (StrView){0}, &options,
                         error));
    if (list.items[0].len > most)
        input->text.len =
            text_seek(&(TextCursor){.text = input->text}, list.items[0].end[most - 1]);
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
    TRY(row_values(request, row, 2 * len, len, error));
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

typedef struct Reading {
    StrView context;
    uint32_t *bytes; // [code points + 1] byte offset of each code point of the context
    size_t code_points;
    size_t top_k, max_answer_len;
    bool allow_none, align;
    float none_score;   // least over windows
    float *start, *end; // [longest window] probabilities
    Answer *answers;    // of the windows read so far, each window's by falling score
    size_t count;
} Reading;

static StrView answer_text(const Reading *reading, const Answer *answer) {
    size_t last = reading->code_points;
    size_t from = reading->bytes[answer->start < last ? answer->start : last];
    size_t to = reading->bytes[answer->end < last ? answer->end : last];
    return sv_n(reading->context.ptr + from, to > from ? to - from : 0);
}

// Adds to a list sorted by falling score that never grows past `most`; earlier ones win a tie.
static void answers_add(Answer *list, size_t *count, size_t most, const Answer *answer) {
    if (*count == most && answer->score <= list[most - 1].score)
        return;
    size_t at = *count < most ? (*count)++ : most - 1;
    for (; at > 0 && answer->score > list[at - 1].score; at--)
        list[at] = list[at - 1];
    list[at] = *answer;
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

// Probabilities over a window's tokens with all but context (and the first token) at -10000.
static void window_probabilities(const Encoding *encoding, const float *logits, float *out) {
    for (size_t t = 0; t < encoding->len; t++)
        out[t] = encoding->sequence[t] == 1 || t == 0 ? logits[t] : -10000.0f;
    maths_softmax(out, encoding->len);
}

static void read_window(const Row *row, Reading *reading) {
    const Encoding *encoding = row->encoding;
    const float *start = reading->start, *end = reading->end;
    size_t len = encoding->len, count = 0;
    Answer *list = reading->answers + reading->count;
    window_probabilities(encoding, row->values, reading->start);
    window_probabilities(encoding, row->values + len, reading->end);
    if (start[0] * end[0] < reading->none_score)
        reading->none_score = start[0] * end[0];
    for (size_t s = 0; s < len; s++) {
        if (encoding->sequence[s] != 1)
            continue;
        for (size_t e = s; e < len && e - s < reading->max_answer_len; e++) {
            if (encoding->sequence[e] != 1)
                break;
            // Still token indices: only the spans that stay are widened.
            Answer answer = {start[s] * end[e], (uint32_t)s, (uint32_t)e};
            answers_add(list, &count, reading->top_k, &answer);
        }
    }
    for (size_t i = 0; i < count; i++) {
        size_t s = list[i].start, e = list[i].end;
        list[i].start = encoding->start[s];
        list[i].end = encoding->end[e];
        if (reading->align)
            align_to_words(encoding, s, e, &list[i]);
    }
    reading->count += count;
}

static uint64_t hash_nocase(StrView text) {
    uint64_t hash = 0xcbf29ce484222325u; // FNV-1a
    for (size_t i = 0; i < text.len; i++) {
        uint8_t c = (uint8_t)text.ptr[i];
        hash = (hash ^ (c >= 'A' && c <= 'Z' ? c + 32u : c)) * 0x100000001b3u;
    }
    return hash;
}

// Spans that read the same, but for the case of letters, are one of several answers: the first
// stays, with the scores of all.
static Status merge_same(Request *request, Reading *reading, Error *error) {
    size_t slots = 16, kept = 0;
    while (slots < 2 * reading->count)
        slots *= 2;
    uint32_t *table = arena_alloc_array(&request->arena, slots, sizeof *table); // index + 1
    if (!table)
        return error_out_of_memory(error, slots);
    for (size_t i = 0; i < reading->count; i++) {
        StrView text = answer_text(reading, &reading->answers[i]);
        size_t slot = (size_t)hash_nocase(text) & (slots - 1);
        while (table[slot] &&
               !sv_equal_nocase(text, answer_text(reading, &reading->answers[table[slot] - 1])))
            slot = (slot + 1) & (slots - 1);
        if (table[slot]) {
            reading->answers[table[slot] - 1].score += reading->answers[i].score;
        } else {
            reading->answers[kept] = reading->answers[i];
            table[slot] = (uint32_t)++kept;
        }
    }
    reading->count = kept;
    return STATUS_OK;
}

static Status map_context(Request *request, Reading *reading, Error *error) {
    size_t pos = 0, count = 0;
    if (reading->context.len > UINT32_MAX - 1)
        return error_set(error, STATUS_LIMIT, "Input 'context' is too long");
    reading->bytes = arena_alloc_array(&request->arena, reading->context.len + 1, sizeof(uint32_t));
    if (!reading->bytes)
        return error_out_of_memory(error, reading->context.len);
    for (; pos < reading->context.len; utf8_next(reading->context, &pos))
        reading->bytes[count++] = (uint32_t)pos;
    reading->bytes[count] = (uint32_t)pos;
    reading->code_points = count;
    return STATUS_OK;
}

static Status open_reading(Request *request, const Element *element, Reading *reading,
                           Error *error) {
    const Input *input = &element->inputs[0];
    size_t longest = 0;
    *reading = (Reading){.context = input->pair, .none_score = INFINITY};
    TRY(element_param_size(element, "top_k", 1, 1, MAX_TOP_K, &reading->top_k, error));
    TRY(element_param_size(element, "max_answer_len", 15, 1, 1 << 20, &reading->max_answer_len,
                           error));
    TRY(element_param_bool(element, "handle_impossible_answer", false, &reading->allow_none,
                           error));
    TRY(element_param_bool(element, "align_to_words", true, &reading->align, error));
    for (size_t w = 0; w < input->n_rows; w++)
        longest = input->rows[w].encoding->len > longest ? input->rows[w].encoding->len : longest;
    TRY(request_floats(request, &reading->start, longest, error));
    TRY(request_floats(request, &reading->end, longest, error));
    // One more for "no answer".
    reading->answers =
        arena_alloc_array(&request->arena, input->n_rows * reading->top_k + 1, sizeof(Answer));
    if (!reading->answers)
        return error_out_of_memory(error, input->n_rows * reading->top_k);
    return map_context(request, reading, error);
}

// The answers to give, by falling score.
static Status read_answers(Request *request, const Element *element, Reading *reading,
                           Answer **best, size_t *count, Error *error) {
    const Input *input = &element->inputs[0];
    TRY(open_reading(request, element, reading, error));
    for (size_t w = 0; w < input->n_rows; w++)
        read_window(&input->rows[w], reading);
    // A single answer is the best span as it is.
    if (reading->top_k > 1)
        TRY(merge_same(request, reading, error));
    if (reading->allow_none)
        reading->answers[reading->count++] = (Answer){.score = reading->none_score};
    *best = arena_alloc_array(&request->arena, reading->top_k, sizeof **best);
    *count = 0;
    if (!*best)
        return error_out_of_memory(error, reading->top_k);
    for (size_t i = 0; i < reading->count; i++)
        answers_add(*best, count, reading->top_k, &reading->answers[i]);
    return *count ? STATUS_OK : error_set(error, STATUS_INVALID, "Input 'context' has no words");
}

static void write_answer(const Reading *reading, const Answer *answer, JsonWriter *writer) {
    json_begin_object(writer);
    json_key(writer, "answer");
    json_write_string(writer, answer_text(reading, answer));
    json_key(writer, "score");
    json_write_f32(writer, answer->score);
    json_key(writer, "start");
    json_write_u64(writer, answer->start);
    json_key(writer, "end");
    json_write_u64(writer, answer->end);
    json_end_object(writer);
}

static Status answer_finish(Request *request, Element *element, AnswerForm form, JsonWriter *writer,
                            Error *error) {
    Reading reading;
    Answer *best;
    size_t count;
    TRY(read_answers(request, element, &reading, &best, &count, error));
    if (reading.top_k == 1) {
        write_answer(&reading, &best[0], writer);
        return STATUS_OK;
    }
    if (form == FORM_GPUX) {
        json_begin_object(writer);
        json_key(writer, "answers");
    }
    json_begin_array(writer);
    for (size_t i = 0; i < count; i++)
        write_answer(&reading, &best[i], writer);
    json_end_array(writer);
    if (form == FORM_GPUX)
        json_end_object(writer);
    return STATUS_OK;
}

const Task task_question_answering = {
    .name = "question-answering",
    .parameters = answer_parameters,
    .decision = DECISION_SPAN,
    .prepare = answer_prepare,
    .collect = answer_collect,
    .finish = answer_finish,
};
