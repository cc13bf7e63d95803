// What the files of tasks/ know of each other: elements, inputs and rows of a request, and the
// table of tasks.
#ifndef GPUX_TASKS_PRIVATE_H
#define GPUX_TASKS_PRIVATE_H

#include "tasks/tasks.h"

// One sequence that runs. The encoding belongs to its Input.
typedef struct Row {
    const Encoding *encoding;
    float *values; // what the task collected, in the request's arena
    size_t count;  // of values
    size_t width;  // of the vectors that values are
    size_t skip;   // embeddings: tokens at the start that are not pooled
    float **kept;  // per output, all of it, when outputs are kept
    size_t *kept_rows, *kept_widths;
} Row;

// One text (or pair) of an element: rows are its windows, usually one.
typedef struct Input {
    StrView text, pair;
    EncodingList encodings;
    Row *rows;
    size_t n_rows;
} Input;

typedef struct RawRequest RawRequest;

// One JSON object of a request: one answer.
typedef struct Element {
    JsonDoc *doc;            // owns all views; NULL for raw elements
    const JsonValue *object; // or a bare string
    const JsonValue *params; // `parameters`, or NULL
    bool is_list;            // the text key held an array: answers are batch-major
    bool is_similarity;      // source_sentence with sentences
    Input *inputs;
    size_t n_inputs;
    RawRequest *raw;
} Element;

typedef struct Task Task;

// What a task decides by the vectors of a row, for comparing precisions.
typedef enum Decision {
    DECISION_NONE,  // the vectors themselves are the answer
    DECISION_LABEL, // by the first vector: one of its labels, or each of them
    DECISION_EACH,  // each vector's largest
    DECISION_SPAN,  // all vectors' largest together
} Decision;

struct Request {
    const TaskModel *model;
    const Task *task;
    Arena arena;
    Element *elements;
    size_t n_elements;
    bool is_array; // the request was an array: so is the answer
    bool keeps_outputs;
    atomic_int cancel;
    RequestState state;
    Buf ignored;
};

struct Task {
    const char *name;
    const char *const *parameters; // known names, NULL-terminated
    Decision decision;
    // Reads texts from the element and tokenises them.
    Status (*prepare)(Request *request, Element *element, Error *error);
    // Takes what it needs from the outputs of one row.
    Status (*collect)(Request *request, Row *row, const RowOutput *outputs, Error *error);
    Status (*finish)(Request *request, Element *element, AnswerForm form, JsonWriter *writer,
                     Error *error);
};

extern const Task task_text_classification, task_token_classification, task_question_answering,
    task_fill_mask, task_sentence_similarity, task_feature_extraction, task_zero_shot;

enum { MAX_REQUEST_ROWS = 1 << 20 };

// ---- request.c: reading elements ----

// A request of `elements` empty elements for the model's task.
Status request_new(Request **out, const TaskModel *model, size_t elements, Error *error);

// A parameter: from `parameters`, else from the top level; NULL when absent.
const JsonValue *element_param(const Element *element, const char *name);
Status element_param_size(const Element *element, const char *name, size_t fallback, size_t min,
                          size_t max, size_t *out, Error *error);
Status element_param_bool(const Element *element, const char *name, bool fallback, bool *out,
                          Error *error);
// One of `choices` (NULL-terminated) by index; fallback when absent.
Status element_param_choice(const Element *element, const char *name, const char *const *choices,
                            size_t fallback, size_t *out, Error *error);
// The value under the text key or one of its synonyms; STATUS_INVALID "Missing required input:
// 'inputs'".
Status element_text_value(const Request *request, const Element *element, const JsonValue **out,
                          Error *error);
// Reads the text key as one string or an array of strings into element->inputs.
Status element_read_texts(Request *request, Element *element, Error *error);
Status element_alloc_inputs(Request *request, Element *element, size_t count, Error *error);
// Tokenises one input and makes its rows.
Status input_encode(Request *request, Input *input, const EncodeOptions *options, Error *error);
// Truncating options for the model's limit.
EncodeOptions default_encode_options(const TaskModel *model);
size_t task_max_length(const TaskModel *model);
// *block: `count` floats from the request's arena unless it is set already.
Status request_floats(Request *request, float **block, size_t count, Error *error);
// Makes row->values `count` floats: vectors of `width`.
Status row_values(Request *request, Row *row, size_t count, size_t width, Error *error);
// A place in a text, for offsets that mostly rise: code points are counted from where the last call
// stopped.
typedef struct TextCursor {
    StrView text;
    size_t code_points, bytes;
} TextCursor;
// Byte offset of the code point with this index; text.len past the end.
size_t text_seek(TextCursor *cursor, size_t code_points);
// The code points [start, end).
StrView text_slice(TextCursor *cursor, size_t start, size_t end);

// ---- raw.c ----
bool raw_matches(const TaskModel *model, const JsonScan *scan);
Status raw_prepare(Request *request, Element *element, const JsonScan *scan, Error *error);
Status raw_prepare_synthetic(Request *request, Element *element, const size_t *lengths,
                             size_t batch, Error *error);
Status raw_step(Runner *runner, Request *request, Element *element, Error *error);
Status raw_finish(Request *request, Element *element, JsonWriter *writer, Error *error);
// Compares the outputs of two raw requests; false when their shapes differ.
bool raw_compare(Difference *sum, const Request *request, const Element *a, const Element *b);
size_t raw_tokens(const RawRequest *raw);
void raw_free(const TaskModel *model, RawRequest *raw);
// Nested arrays of a row-major float array.
void write_nested(JsonWriter *writer, const float *data, const int64_t *shape, int rank);

// ---- compare.c ----
// Adds what two vectors differ by. `normalize`: both are divided by their lengths first.
void compare_vector(Difference *sum, const float *a, const float *b, size_t n, bool normalize);

// ---- maths.c: small sums in a fixed order ----
void maths_softmax(float *x, size_t n);
void maths_sigmoid(float *x, size_t n);
size_t maths_argmax(const float *x, size_t n);
float maths_dot(const float *a, const float *b, size_t n);
void maths_l2_normalize(float *x, size_t n);
// Indices of the k largest of x, by falling value, ties by rising index. k <= n.
void maths_top_k(const float *x, size_t n, size_t k, size_t *out);

#endif
