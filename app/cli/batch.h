// Many requests at once: a window of lines is prepared, sorted by length, run in passes of similar
// requests, and answered in the order of the lines.
//
// It knows no files. Memory is bounded by the window's limits: a request is freed as soon as its
// answer is written. A line that fails gets the answer {"error": …} and disturbs no other.
#ifndef GPUX_CLI_BATCH_H
#define GPUX_CLI_BATCH_H

#include "app/cli/lines.h"
#include "app/cli/run.h"
#include "base/thread_pool.h"

typedef struct BatchLimits {
    size_t pass_tokens;   // of the requests that run together, unless one alone has more
    size_t pass_requests; // 0 = no limit
    size_t window_lines;
    size_t window_tokens; // stops adding; one slice of lines may go over it
    size_t window_bytes;  // of the lines' text
    int jobs;             // threads that prepare requests and write answers
} BatchLimits;

typedef struct BatchItem {
    size_t number; // of the line
    size_t at;     // text in Batch.text
    size_t len;
    gpux_request *request; // NULL once answered
    size_t tokens;
    bool has_failed;
    char *failure; // why; NULL also when there was no memory for it
    Buf answer;    // one line of JSON with its newline
} BatchItem;

typedef struct Batch {
    const RunJob *job; // borrowed: model, runner, form
    BatchLimits limits;
    ThreadPool *pool;
    BatchItem *items; // [window_lines], in the order of the lines
    size_t count;
    size_t prepared;         // items before this one are prepared or failed
    size_t tokens;           // of the prepared ones
    Buf text;                // of the items that are not prepared yet
    size_t window_text;      // bytes added since the window began
    size_t *order;           // [window_lines]
    gpux_request **requests; // [window_lines]
    size_t failed;           // lines, over all windows
    char first_failure[ERROR_MESSAGE_SIZE];
    bool has_warned; // about unknown parameters
    // Called after each pass with the lines that were answered by it; may be NULL.
    void (*on_answered)(void *ctx, size_t lines);
    void *ctx;
} Batch;

// The limits for answers of that form: raw answers are large, so their windows are short.
BatchLimits batch_default_limits(gpux_form form, int threads);
Status batch_open(Batch *out, const RunJob *job, const BatchLimits *limits, Error *error);
void batch_close(Batch *batch);

// Takes the line into the window. STATUS_OUT_OF_MEMORY.
Status batch_add(Batch *batch, const Line *line);
bool batch_is_full(const Batch *batch);
// Answers every line of the window: items[0..count) then have their answers. STATUS_OUT_OF_MEMORY
// when an answer could not be kept.
Status batch_answer(Batch *batch);
// Empties the window.
void batch_clear(Batch *batch);

#endif
