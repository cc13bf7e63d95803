// The door of tasks/: a request in, an answer out.
//
// A Request is prepared (parsed, checked, tokenised, split into rows), stepped together with any
// number of others, and finished (interpreted, written as JSON). It belongs to one thread at a
// time; only request_cancel may come from elsewhere.
#ifndef GPUX_TASKS_TASKS_H
#define GPUX_TASKS_TASKS_H

#include "base/json.h"
#include "base/status.h"
#include "engine/engine.h"
#include "store/store.h"
#include "text/text.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

// What every request of one model shares; immutable.
typedef struct TaskModel {
    const Model *model;
    const ModelInfo *info;
    const Tokenizer *tokenizer; // NULL: raw tensors only
} TaskModel;

typedef struct Request Request;

typedef enum AnswerForm {
    FORM_GPUX,
    FORM_HF,
    FORM_RAW,
} AnswerForm;

typedef enum RequestState {
    REQUEST_READY,
    REQUEST_DONE,
    REQUEST_CANCELLED,
} RequestState;

// A JSON object, or an array of objects or strings = batch. STATUS_INVALID messages are for the
// sender; a bad element of a batch is named by its index.
Status request_prepare(Request **out, const TaskModel *model, StrView json, Error *error);
// Deterministic rows for benchmarks; see gpux_prepare_synthetic.
Status request_prepare_synthetic(Request **out, const TaskModel *model, size_t batch,
                                 size_t seq_len, size_t seq_len_min, Error *error);
// The sample of this index, of any number: English sentences in the form that the model's task
// reads, the same ones on every machine; ids of a fixed sequence for a model without a tokenizer.
// STATUS_INVALID when the task cannot do with such texts.
Status request_prepare_sample(Request **out, const TaskModel *model, size_t index, Error *error);
// Keeps all outputs of every row, for FORM_RAW; call before the step.
void request_keep_outputs(Request *request);
// Runs the rows of all requests that are READY in common passes.
Status requests_step(Runner *runner, Request *const *requests, size_t count, Error *error);
RequestState request_state(const Request *request);
size_t request_tokens(const Request *request);
size_t request_rows(const Request *request);
const char *request_ignored(const Request *request);
void request_cancel(Request *request);
void request_rewind(Request *request);
Status request_finish(Request *request, AnswerForm form, JsonWriter *writer, Error *error);
void request_free(Request *request);

// What two runs of the same requests differ by; sums over all that was compared. Laid out as
// gpux_difference, which says what each means.
typedef struct Difference {
    size_t size;
    uint64_t vectors, values;
    double max_abs, sum_abs;
    uint64_t cosines;
    double cosine_sum, cosine_min;
    uint64_t labels, labels_equal;
} Difference;
// Adds the differences of one request. STATUS_INVALID when one has not run to its end, or they are
// not runs of the same request.
Status request_compare(Difference *sum, const Request *reference, const Request *other,
                       Error *error);

// True for a task name that this build can serve.
bool task_is_known(const char *name);

#endif
