// Text → labels and scores: text-classification and token-classification.
#include "tasks/private.h"

#include <stdlib.h>

static const char *label_name(const Request *request, size_t index, char fallback[32]) {
    const ModelInfo *info = request->model->info;
    if (index < info->label_count)
        return info->labels[index];
    // The hub's name for a class without one.
    Buf text = {.ptr = fallback, .cap = 32, .max = 31};
    buf_printf(&text, "LABEL_%zu", index);
    return fallback;
}

static void write_label(JsonWriter *writer, const Request *request, size_t index) {
    char fallback[32];
    json_write_cstr(writer, label_name(request, index, fallback));
}

static void write_floats(JsonWriter *writer, const float *x, size_t n) {
    json_begin_flat_array(writer);
    for (size_t i = 0; i < n; i++)
        json_write_f32(writer, x[i]);
    json_end_array(writer);
}

static void write_labels(JsonWriter *writer, const Request *request, size_t n) {
    json_begin_flat_array(writer);
    for (size_t i = 0; i < n; i++)
        write_label(writer, request, i);
    json_end_array(writer);
}

// ---- text-classification ----

static const char *const classification_parameters[] = {"top_k", "function_to_apply", NULL};

static Status classification_prepare(Request *request, Element *element, Error *error) {
    EncodeOptions options = default_encode_options(request->model);
    TRY(element_read_texts(request, element, error));
    for (size_t i = 0; i < element->n_inputs; i++)
        TRY(input_encode(request, &element->inputs[i], &options, error));
    return STATUS_OK;
}

// Keeps the logits [C] and room for the scores [C].
static Status classification_collect(Request *request, Row *row, const RowOutput *outputs,
                                     Error *error) {
    size_t n = outputs[0].width;
    TRY(row_values(request, row, 2 * n, n, error));
    memcpy(row->values, outputs[0].data, n * sizeof(float));
    memcpy(row->values + n, outputs[0].data, n * sizeof(float));
    return STATUS_OK;
}

typedef enum ScoreFunction {
    SCORE_SOFTMAX,
    SCORE_SIGMOID,
    SCORE_NONE,
} ScoreFunction;

static Status score_function(const Request *request, const Element *element, size_t labels,
                             ScoreFunction *out, Error *error) {
    static const char *const names[] = {"softmax", "sigmoid", "none", NULL};
    ScoreFunction own = SCORE_SOFTMAX;
    if (request->model->info->problem_type == PROBLEM_REGRESSION)
        own = SCORE_NONE;
    else if (request->model->info->problem_type == PROBLEM_MULTI_LABEL || labels == 1)
        own = SCORE_SIGMOID;
    size_t choice;
    TRY(element_param_choice(element, "function_to_apply", names, own, &choice, error));
    *out = (ScoreFunction)choice;
    return STATUS_OK;
}

typedef struct Classified {
    size_t n, top_k;
    const float *logits;
    float *scores;
    size_t *order; // [top_k]
} Classified;

static Status classify_row(Request *request, const Element *element, Row *row, Classified *out,
                           Error *error) {
    size_t n = row->count / 2;
    ScoreFunction function;
    TRY(score_function(request, element, n, &function, error));
    TRY(element_param_size(element, "top_k", n, 1, SIZE_MAX / 2, &out->top_k, error));
    out->top_k = out->top_k < n ? out->top_k : n;
    out->n = n;
    out->logits = row->values;
    out->scores = row->values + n;
    memcpy(out->scores, out->logits, n * sizeof(float));
    if (function == SCORE_SOFTMAX)
        maths_softmax(out->scores, n);
    else if (function == SCORE_SIGMOID)
        maths_sigmoid(out->scores, n);
    out->order = arena_alloc_array(&request->arena, n + 1, sizeof *out->order);
    if (!out->order)
        return error_out_of_memory(error, n);
    maths_top_k(out->scores, n, out->top_k, out->order);
    return STATUS_OK;
}

static void write_predictions(JsonWriter *writer, const Request *request, const Classified *row) {
    json_begin_array(writer);
    for (size_t i = 0; i < row->top_k; i++) {
        json_begin_object(writer);
        json_key(writer, "label");
        write_label(writer, request, row->order[i]);
        json_key(writer, "score");
        json_write_f32(writer, row->scores[row->order[i]]);
        json_end_object(writer);
    }
    json_end_array(writer);
}

// One member whose value is that of the only row, or an array over all rows.
#define WRITE_PER_ROW(key, flat, statement)                                                        \
    do {                                                                                           \
        json_key(writer, key);                                                                     \
        if (element->is_list && (flat))                                                            \
            json_begin_flat_array(writer);                                                         \
        else if (element->is_list)                                                                 \
            json_begin_array(writer);                                                              \
        for (size_t i = 0; i < count; i++)                                                         \
            statement;                                                                             \
        if (element->is_list)                                                                      \
            json_end_array(writer);                                                                \
    } while (0)

static void write_classification(Request *request, const Element *element, const Classified *rows,
                                 JsonWriter *writer) {
    size_t count = element->n_inputs, n = count ? rows[0].n : request->model->info->label_count;
    const char *friendly = request->model->info->friendly_output;
    json_begin_object(writer);
    if (friendly) {
        json_key(writer, friendly);
        json_begin_array(writer);
        for (size_t i = 0; i < count; i++)
            write_floats(writer, rows[i].scores, n);
        json_end_array(writer);
    }
    json_key(writer, "logits");
    json_begin_array(writer);
    for (size_t i = 0; i < count; i++)
        write_floats(writer, rows[i].logits, n);
    json_end_array(writer);
    WRITE_PER_ROW("predicted_class", true,
                  write_label(writer, request, maths_argmax(rows[i].scores, n)));
    WRITE_PER_ROW("label", true, write_label(writer, request, maths_argmax(rows[i].scores, n)));
    WRITE_PER_ROW("score", true,
                  json_write_f32(writer, rows[i].scores[maths_argmax(rows[i].scores, n)]));
    json_key(writer, "labels");
    write_labels(writer, request, n);
    json_key(writer, "scores");
    json_begin_array(writer);
    for (size_t i = 0; i < count; i++)
        write_floats(writer, rows[i].scores, n);
    json_end_array(writer);
    WRITE_PER_ROW("predictions", false, write_predictions(writer, request, &rows[i]));
    json_end_object(writer);
}

static Status classification_finish(Request *request, Element *element, AnswerForm form,
                                    JsonWriter *writer, Error *error) {
    Classified *rows = arena_alloc_array(&request->arena, element->n_inputs + 1, sizeof *rows);
    if (!rows)
        return error_out_of_memory(error, element->n_inputs);
    for (size_t i = 0; i < element->n_inputs; i++)
        TRY(classify_row(request, element, &element->inputs[i].rows[0], &rows[i], error));
    if (form == FORM_GPUX) {
        write_classification(request, element, rows, writer);
        return STATUS_OK;
    }
    json_begin_array(writer);
    for (size_t i = 0; i < element->n_inputs; i++)
        write_predictions(writer, request, &rows[i]);
    json_end_array(writer);
    return STATUS_OK;
}

const Task task_text_classification = {
    .name = "text-classification",
    .parameters = classification_parameters,
    .decision = DECISION_LABEL,
    .prepare = classification_prepare,
    .collect = classification_collect,
    .finish = classification_finish,
};

// ---- token-classification ----
//
// Grouping follows the hub's token-classification pipeline: tokens of one word are merged by the
// strategy, neighbours of one tag are joined unless a B- begins a new one.

static const char *const tagging_parameters[] = {"aggregation_strategy", "ignore_labels", "stride",
                                                 NULL};
static const char *const strategy_names[] = {"none", "simple", "first", "average", "max", NULL};
typedef enum Strategy {
    STRATEGY_NONE,
    STRATEGY_SIMPLE,
    STRATEGY_FIRST,
    STRATEGY_AVERAGE,
    STRATEGY_MAX,
} Strategy;

static Status tagging_prepare(Request *request, Element *element, Error *error) {
    EncodeOptions options = default_encode_options(request->model);
    TRY(element_read_texts(request, element, error));
    TRY(element_param_size(element, "stride", 0, 0, options.max_length ? options.max_length / 2 : 0,
                           &options.stride, error));
    options.return_windows = options.stride > 0;
    for (size_t i = 0; i < element->n_inputs; i++)
        TRY(input_encode(request, &element->inputs[i], &options, error));
    return STATUS_OK;
}

static Status tagging_collect(Request *request, Row *row, const RowOutput *outputs, Error *error) {
    size_t n = outputs[0].width;
    TRY(row_values(request, row, outputs[0].rows * n, n, error));
    for (size_t t = 0; t < outputs[0].rows; t++)
        memcpy(row->values + t * n, outputs[0].data + t * outputs[0].ld, n * sizeof(float));
    return STATUS_OK;
}

// A token, a word, or a group of words with one tag.
typedef struct Entity {
    size_t label;
    float score;
    size_t first, last; // tokens of the row
    uint32_t start, end;
    size_t row;
} Entity;

typedef struct Tagging {
    Request *request;
    const Element *element;
    const Input *input;
    Strategy strategy;
    bool marks_pieces; // the vocabulary writes pieces inside a word as "##x"
    int32_t unknown;   // id, or -1
    TextCursor text;
    size_t labels;
    float *scores;  // [tokens of the row, labels] probabilities
    float *scratch; // [labels]
    Entity *entities;
    size_t count;
} Tagging;

// "B-PER" → tag "PER", begins; "PER" counts as inside, as in the hub's pipeline.
static StrView split_tag(StrView label, bool *begins) {
    *begins = sv_starts_with(label, SV("B-"));
    if (*begins || sv_starts_with(label, SV("I-")))
        return sv_n(label.ptr + 2, label.len - 2);
    return label;
}

// What a group is called: the label after its first "-".
static StrView group_name(StrView label) {
    const char *dash = memchr(label.ptr, '-', label.len);
    return dash ? sv_n(dash + 1, label.len - (size_t)(dash + 1 - label.ptr)) : label;
}

static StrView label_view(const Tagging *tagging, size_t label) {
    char fallback[32];
    const char *name = label_name(tagging->request, label, fallback);
    if (name != fallback)
        return sv(name);
    char *kept = arena_strdup(&tagging->request->arena, fallback);
    return sv(kept ? kept : "");
}

static bool is_ignored(const Tagging *tagging, StrView label) {
    const JsonValue *list = element_param(tagging->element, "ignore_labels");
    if (json_kind(list) != JSON_ARRAY)
        return sv_equal_cstr(label, "O");
    for (size_t i = 0; i < json_len(list); i++) {
        StrView text;
        if (json_as_string(&text, json_at(list, i)) && sv_equal(text, label))
            return true;
    }
    return false;
}

static void best_label(const float *scores, size_t n, Entity *entity) {
    entity->label = maths_argmax(scores, n);
    entity->score = scores[entity->label];
}

// Tokens [first, last] of one word as one entity.
static void merge_word(const Tagging *tagging, Entity *entity) {
    size_t tokens = entity->last - entity->first + 1, n = tagging->labels;
    const float *from = tagging->scores + entity->first * n;
    float *scratch = tagging->scratch;
    if (tagging->strategy == STRATEGY_FIRST || tokens == 1) {
        best_label(from, n, entity);
    } else if (tagging->strategy == STRATEGY_MAX) {
        size_t best = 0;
        for (size_t t = 1; t < tokens; t++)
            if (from[t * n + maths_argmax(from + t * n, n)] >
                from[best * n + maths_argmax(from + best * n, n)])
                best = t;
        best_label(from + best * n, n, entity);
    } else {
        for (size_t c = 0; c < n; c++) {
            double sum = 0.0;
            for (size_t t = 0; t < tokens; t++)
                sum += (double)from[t * n + c];
            scratch[c] = (float)(sum / (double)tokens);
        }
        best_label(scratch, n, entity);
    }
}

// Whether the token goes on with the word before it, by the hub's rules: where pieces are marked, a
// token that is not as long as what it stands for; elsewhere one that no space parts from the text
// before. A token outside the vocabulary is a word of its own.
static bool continues_word(Tagging *tagging, const Encoding *encoding, size_t t) {
    uint32_t start = encoding->start[t], end = encoding->end[t];
    if (encoding->ids[t] == tagging->unknown)
        return false;
    if (tagging->marks_pieces)
        return utf8_count(tokenizer_token(tagging->request->model->tokenizer, encoding->ids[t])) !=
               end - start;
    StrView around = start > 0 ? text_slice(&tagging->text, start - 1, start + 1) : SV("");
    return start > 0 && !memchr(around.ptr, ' ', around.len);
}

// Entities of single tokens or of words, in order, of one row.
static void tag_row(Tagging *tagging, size_t row_index) {
    const Row *row = &tagging->input->rows[row_index];
    const Encoding *encoding = row->encoding;
    size_t n = tagging->labels;
    bool by_word = tagging->strategy > STRATEGY_SIMPLE, has_word = false;
    memcpy(tagging->scores, row->values, encoding->len * n * sizeof(float));
    for (size_t t = 0; t < encoding->len; t++) {
        maths_softmax(tagging->scores + t * n, n);
        if (encoding->flags[t] & TOKEN_IS_SPECIAL)
            continue;
        if (has_word && by_word && continues_word(tagging, encoding, t))
            tagging->entities[tagging->count - 1].last = t;
        else
            tagging->entities[tagging->count++] = (Entity){.first = t, .last = t, .row = row_index};
        has_word = true;
    }
}

// Label, score and place of the words of one row, which are the entities from `first` on.
static void label_words(Tagging *tagging, size_t row_index, size_t first) {
    const Encoding *encoding = tagging->input->rows[row_index].encoding;
    for (size_t i = first; i < tagging->count; i++) {
        Entity *entity = &tagging->entities[i];
        merge_word(tagging, entity);
        entity->start = encoding->start[entity->first];
        entity->end = encoding->end[entity->last];
    }
}

// Joins neighbours of one tag among the entities from `first` on; scores become their mean.
static void group_entities(Tagging *tagging, size_t first) {
    size_t kept = first;
    for (size_t i = first; i < tagging->count;) {
        Entity group = tagging->entities[i];
        double sum = (double)group.score;
        bool begins;
        StrView tag = split_tag(label_view(tagging, group.label), &begins);
        size_t members = 1, next = i + 1;
        for (; next < tagging->count; next++) {
            const Entity *other = &tagging->entities[next];
            if (!sv_equal(split_tag(label_view(tagging, other->label), &begins), tag) || begins)
                break;
            group.last = other->last;
            group.end = other->end;
            sum += (double)other->score;
            members++;
        }
        group.score = (float)(sum / (double)members);
        tagging->entities[kept++] = group;
        i = next;
    }
    tagging->count = kept;
}

// Of entities from overlapping windows the longer one stays, or the surer one.
static void drop_overlaps(Tagging *tagging) {
    size_t kept = 0;
    for (size_t i = 0; i < tagging->count; i++) {
        const Entity *next = &tagging->entities[i];
        Entity *last = kept ? &tagging->entities[kept - 1] : NULL;
        if (!last || next->start >= last->end) {
            tagging->entities[kept++] = *next;
            continue;
        }
        uint32_t length = next->end - next->start, last_length = last->end - last->start;
        if (length > last_length || (length == last_length && next->score > last->score))
            *last = *next;
    }
    tagging->count = kept;
}

static void drop_ignored(Tagging *tagging) {
    size_t kept = 0;
    for (size_t i = 0; i < tagging->count; i++) {
        StrView label = label_view(tagging, tagging->entities[i].label);
        if (!is_ignored(tagging, tagging->strategy == STRATEGY_NONE ? label : group_name(label)))
            tagging->entities[kept++] = tagging->entities[i];
    }
    tagging->count = kept;
}

static int compare_entities(const void *a, const void *b) {
    const Entity *x = a, *y = b;
    if (x->start != y->start)
        return x->start < y->start ? -1 : 1;
    if (x->row != y->row)
        return x->row < y->row ? -1 : 1;
    return x->first < y->first ? -1 : x->first > y->first;
}

// The text of an entity's tokens. Those outside the vocabulary are shown as they were written.
static Status entity_word(Tagging *tagging, const Entity *entity, Buf *out, Error *error) {
    const Encoding *encoding = tagging->input->rows[entity->row].encoding;
    const Tokenizer *tokenizer = tagging->request->model->tokenizer;
    Buf decoded = BUF_INIT(1u << 24);
    Status status = tokenizer_decode(&decoded, tokenizer, encoding->ids + entity->first,
                                     entity->last - entity->first + 1, false, error);
    StrView unknown = tokenizer_token(tokenizer, tagging->unknown), rest;
    rest = sv_n(decoded.ptr ? decoded.ptr : "", decoded.len);
    for (size_t t = entity->first; status == STATUS_OK && t <= entity->last; t++) {
        if (encoding->ids[t] != tagging->unknown || unknown.len == 0)
            continue;
        const char *at = memmem(rest.ptr, rest.len, unknown.ptr, unknown.len);
        if (!at)
            break;
        size_t before = (size_t)(at - rest.ptr), used = before + unknown.len;
        buf_append(out, rest.ptr, before);
        buf_append_sv(out, text_slice(&tagging->text, encoding->start[t], encoding->end[t]));
        rest = sv_n(rest.ptr + used, rest.len - used);
    }
    buf_append_sv(out, rest);
    buf_free(&decoded);
    return status == STATUS_OK ? buf_status(out, error) : status;
}

static Status write_entity(Tagging *tagging, const Entity *entity, JsonWriter *writer,
                           Error *error) {
    const Encoding *encoding = tagging->input->rows[entity->row].encoding;
    int32_t id = encoding->ids[entity->first];
    bool is_group = tagging->strategy != STRATEGY_NONE;
    StrView label = label_view(tagging, entity->label);
    Buf word = BUF_INIT(1u << 24);
    if (is_group || id == tagging->unknown)
        TRY(entity_word(tagging, entity, &word, error));
    json_begin_object(writer);
    json_key(writer, is_group ? "entity_group" : "entity");
    json_write_string(writer, is_group ? group_name(label) : label);
    json_key(writer, "score");
    json_write_f32(writer, entity->score);
    if (!is_group) {
        json_key(writer, "index");
        json_write_u64(writer, entity->first);
    }
    json_key(writer, "word");
    if (is_group || id == tagging->unknown)
        json_write_string(writer, sv_n(word.ptr ? word.ptr : "", word.len));
    else
        json_write_string(writer, tokenizer_token(tagging->request->model->tokenizer, id));
    json_key(writer, "start");
    json_write_u64(writer, entity->start);
    json_key(writer, "end");
    json_write_u64(writer, entity->end);
    json_end_object(writer);
    buf_free(&word);
    return STATUS_OK;
}

// True for a WordPiece vocabulary: it has single letters that go on with a word.
static bool vocabulary_marks_pieces(const Tokenizer *tokenizer) {
    char piece[] = "##?";
    for (piece[2] = 'a'; piece[2] <= 'z'; piece[2]++)
        if (tokenizer_token_id(tokenizer, sv(piece)) >= 0)
            return true;
    return false;
}

static Status open_tagging(Tagging *tagging, Request *request, const Element *element,
                           const Input *input, Error *error) {
    size_t strategy, tokens = 0, longest = 0;
    TRY(element_param_choice(element, "aggregation_strategy", strategy_names, STRATEGY_SIMPLE,
                             &strategy, error));
    *tagging = (Tagging){.request = request,
                         .element = element,
                         .input = input,
                         .strategy = (Strategy)strategy,
                         .marks_pieces = vocabulary_marks_pieces(request->model->tokenizer),
                         .unknown = tokenizer_special_id(request->model->tokenizer, "unk_token"),
                         .text = {.text = input->text}};
    for (size_t w = 0; w < input->n_rows; w++) {
        size_t len = input->rows[w].encoding->len;
        tokens += len;
        longest = len > longest ? len : longest;
        tagging->labels = len ? input->rows[w].count / len : 0;
    }
    TRY(request_floats(request, &tagging->scores, longest * tagging->labels, error));
    TRY(request_floats(request, &tagging->scratch, tagging->labels, error));
    tagging->entities = arena_alloc_array(&request->arena, tokens + 1, sizeof(Entity));
    return tagging->entities ? STATUS_OK : error_out_of_memory(error, tokens);
}

static Status tag_input(Request *request, const Element *element, const Input *input,
                        JsonWriter *writer, Error *error) {
    Tagging tagging;
    TRY(open_tagging(&tagging, request, element, input, error));
    for (size_t w = 0; w < input->n_rows; w++) {
        size_t first = tagging.count;
        tag_row(&tagging, w);
        label_words(&tagging, w, first);
        if (tagging.strategy != STRATEGY_NONE)
            group_entities(&tagging, first);
    }
    drop_ignored(&tagging);
    if (input->n_rows > 1) {
        qsort(tagging.entities, tagging.count, sizeof(Entity), compare_entities);
        drop_overlaps(&tagging);
    }
    json_begin_array(writer);
    for (size_t i = 0; i < tagging.count; i++)
        TRY(write_entity(&tagging, &tagging.entities[i], writer, error));
    json_end_array(writer);
    return STATUS_OK;
}

// Logits of every row: [rows, tokens, labels].
static void write_token_logits(const Element *element, JsonWriter *writer) {
    json_begin_array(writer);
    for (size_t i = 0; i < element->n_inputs; i++)
        for (size_t w = 0; w < element->inputs[i].n_rows; w++) {
            const Row *row = &element->inputs[i].rows[w];
            int64_t tokens = (int64_t)row->encoding->len;
            const int64_t shape[2] = {tokens, tokens ? (int64_t)row->count / tokens : 0};
            write_nested(writer, row->values, shape, 2);
        }
    json_end_array(writer);
}

static Status tagging_finish(Request *request, Element *element, AnswerForm form,
                             JsonWriter *writer, Error *error) {
    bool return_logits;
    TRY(element_param_bool(element, "return_logits", false, &return_logits, error));
    if (form == FORM_GPUX) {
        json_begin_object(writer);
        json_key(writer, "entities");
    }
    if (element->is_list)
        json_begin_array(writer);
    for (size_t i = 0; i < element->n_inputs; i++)
        TRY(tag_input(request, element, &element->inputs[i], writer, error));
    if (element->is_list)
        json_end_array(writer);
    if (form == FORM_GPUX) {
        if (return_logits) {
            json_key(writer, "logits");
            write_token_logits(element, writer);
        }
        json_end_object(writer);
    }
    return STATUS_OK;
}

const Task task_token_classification = {
    .name = "token-classification",
    .parameters = tagging_parameters,
    .decision = DECISION_EACH,
    .prepare = tagging_prepare,
    .collect = tagging_collect,
    .finish = tagging_finish,
};
