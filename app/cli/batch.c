// The window of `gpux batch run`.
#include "app/cli/batch.h"

#include "base/memory.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum {
    PASS_TOKENS = 4096,
    WINDOW_LINES = 1024,
    WINDOW_TOKENS = 1 << 18,
    WINDOW_TOKENS_RAW = 1 << 14,
    WINDOW_BYTES = 32 << 20,
    PREPARE_SLICE = 64, // lines prepared together; the window's limits are looked at in between
    ANSWER_MAX = 1 << 30,
};

BatchLimits batch_default_limits(gpux_form form, int threads) {
    return (BatchLimits){
        .pass_tokens = PASS_TOKENS,
        .window_lines = WINDOW_LINES,
        .window_tokens = form == GPUX_FORM_RAW ? WINDOW_TOKENS_RAW : WINDOW_TOKENS,
        .window_bytes = WINDOW_BYTES,
        .jobs = threads,
    };
}

Status batch_open(Batch *out, const RunJob *job, const BatchLimits *limits, Error *error) {
    *out = (Batch){.job = job, .limits = *limits, .text = BUF_INIT(SIZE_MAX)};
    size_t lines = limits->window_lines;
    out->items = mem_alloc_zero(lines, sizeof *out->items);
    out->order = mem_alloc_zero(lines, sizeof *out->order);
    out->requests = mem_alloc_zero(lines, sizeof *out->requests);
    if (out->items == NULL || out->order == NULL || out->requests == NULL)
        return error_out_of_memory(error, lines * sizeof *out->items);
    return pool_new(&out->pool, limits->jobs, error);
}

void batch_close(Batch *batch) {
    batch_clear(batch);
    pool_free(batch->pool);
    buf_free(&batch->text);
    mem_free(batch->items);
    mem_free(batch->order);
    mem_free(batch->requests);
    *batch = (Batch){0};
}

void batch_clear(Batch *batch) {
    for (size_t i = 0; i < batch->count; i++) {
        gpux_request_free(batch->items[i].request);
        mem_free(batch->items[i].failure);
        buf_free(&batch->items[i].answer);
    }
    buf_clear(&batch->text);
    batch->count = 0;
    batch->prepared = 0;
    batch->tokens = 0;
    batch->window_text = 0;
}

// The item's answer becomes {"error": message}.
static void fail_item(BatchItem *item, const char *message) {
    char placed[ERROR_MESSAGE_SIZE];
    snprintf(placed, sizeof placed, "%s", message);
    input_place_error(placed, sizeof placed, item->number);
    gpux_request_free(item->request);
    item->request = NULL;
    item->has_failed = true;
    mem_free(item->failure);
    item->failure = mem_strdup(placed);
    buf_clear(&item->answer);
    JsonWriter writer = json_writer(&item->answer, 0);
    json_begin_object(&writer);
    json_key(&writer, "error");
    json_write_cstr(&writer, placed);
    json_end_object(&writer);
    buf_append_byte(&item->answer, '\n');
}

static void fail_item_by(BatchItem *item, gpux_status status, const gpux_error *error) {
    fail_item(item, error->message[0] != '\0' ? error->message : gpux_status_text(status));
}

static void prepare_item(void *ctx, size_t index, int member) {
    (void)member;
    Batch *batch = ctx;
    BatchItem *item = &batch->items[batch->prepared + index];
    if (item->has_failed)
        return;
    gpux_error error = {0};
    gpux_status status = gpux_prepare(&item->request, batch->job->model, batch->text.ptr + item->at,
                                      item->len, &error);
    if (status != GPUX_OK) {
        item->request = NULL;
        fail_item_by(item, status, &error);
        return;
    }
    item->tokens = gpux_request_tokens(item->request);
    if (batch->job->form == GPUX_FORM_RAW)
        gpux_request_keep_outputs(item->request);
}

static void warn_ignored(Batch *batch, const BatchItem *item) {
    const char *ignored = item->request != NULL ? gpux_request_ignored(item->request) : "";
    if (ignored == NULL || ignored[0] == '\0' || batch->has_warned)
        return;
    batch->has_warned = true;
    cli_say(batch->job->cli, "Warning",
            "line %zu: Ignored unknown parameters: %s; later lines are not checked for this",
            item->number, ignored);
}

static void prepare_added(Batch *batch) {
    pool_for_1d(batch->pool, batch->count - batch->prepared, prepare_item, batch);
    for (; batch->prepared < batch->count; batch->prepared++) {
        batch->tokens += batch->items[batch->prepared].tokens;
        warn_ignored(batch, &batch->items[batch->prepared]);
    }
    buf_clear(&batch->text);
}

bool batch_is_full(const Batch *batch) {
    return batch->count == batch->limits.window_lines ||
           batch->tokens >= batch->limits.window_tokens ||
           batch->window_text >= batch->limits.window_bytes;
}

Status batch_add(Batch *batch, const Line *line) {
    BatchItem *item = &batch->items[batch->count];
    *item = (BatchItem){
        .number = line->number,
        .at = batch->text.len,
        .len = line->text.len,
        .answer = BUF_INIT(ANSWER_MAX),
    };
    buf_append_sv(&batch->text, line->text);
    Status status = buf_status(&batch->text, NULL);
    if (status != STATUS_OK)
        return status;
    batch->count++;
    batch->window_text += line->text.len;
    if (line->is_too_long) {
        char message[64];
        snprintf(message, sizeof message, "The line is longer than %d MB", LINE_MAX_BYTES >> 20);
        fail_item(item, message);
    }
    if (batch->count - batch->prepared >= PREPARE_SLICE || batch_is_full(batch))
        prepare_added(batch);
    return STATUS_OK;
}

// ---- Running ----

static int longest_first(const void *a, const void *b, void *ctx) {
    const BatchItem *items = ctx;
    size_t x = *(const size_t *)a;
    size_t y = *(const size_t *)b;
    if (items[x].tokens != items[y].tokens)
        return items[x].tokens < items[y].tokens ? 1 : -1;
    return x < y ? -1 : 1;
}

// The items that can run, those of like length side by side. Returns how many.
static size_t sort_items(Batch *batch) {
    size_t count = 0;
    for (size_t i = 0; i < batch->count; i++)
        if (batch->items[i].request != NULL)
            batch->order[count++] = i;
    qsort_r(batch->order, count, sizeof batch->order[0], longest_first, batch->items);
    return count;
}

// How many items from order[first] on run together.
static size_t pass_size(const Batch *batch, size_t first, size_t count) {
    size_t tokens = 0;
    size_t size = 0;
    for (; first + size < count; size++) {
        size_t more = batch->items[batch->order[first + size]].tokens;
        bool is_over = tokens + more > batch->limits.pass_tokens ||
                       (batch->limits.pass_requests > 0 && size == batch->limits.pass_requests);
        if (size > 0 && is_over)
            break;
        tokens += more;
    }
    return size;
}

// Steps the items of a pass; those that fail are found by running each alone.
static void step_pass(Batch *batch, size_t first, size_t size) {
    for (size_t i = 0; i < size; i++)
        batch->requests[i] = batch->items[batch->order[first + i]].request;
    gpux_error error = {0};
    gpux_status status = run_step_to_end(batch->job->runner, batch->requests, size, &error);
    if (status == GPUX_OK)
        return;
    for (size_t i = 0; i < size; i++) {
        BatchItem *item = &batch->items[batch->order[first + i]];
        if (size > 1) {
            error = (gpux_error){0};
            status = run_step_to_end(batch->job->runner, &item->request, 1, &error);
        }
        if (status != GPUX_OK)
            fail_item_by(item, status, &error);
    }
}

typedef struct PassRef {
    Batch *batch;
    size_t first;
} PassRef;

static void finish_item(void *ctx, size_t index, int member) {
    (void)member;
    const PassRef *pass = ctx;
    BatchItem *item = &pass->batch->items[pass->batch->order[pass->first + index]];
    if (item->request == NULL)
        return;
    gpux_text answer = {0};
    gpux_error error = {0};
    gpux_status status = gpux_finish(&answer, item->request, pass->batch->job->form, 0, &error);
    if (status == GPUX_OK) {
        buf_append_sv(&item->answer, sv_trim(sv_n(answer.ptr, answer.len)));
        buf_append_byte(&item->answer, '\n');
    } else {
        fail_item_by(item, status, &error);
    }
    gpux_text_free(&answer);
    gpux_request_free(item->request);
    item->request = NULL;
}

static void note_failures(Batch *batch) {
    for (size_t i = 0; i < batch->count; i++) {
        const BatchItem *item = &batch->items[i];
        if (item->has_failed && batch->failed++ == 0 && item->failure != NULL)
            snprintf(batch->first_failure, sizeof batch->first_failure, "%s", item->failure);
    }
}

Status batch_answer(Batch *batch) {
    prepare_added(batch);
    size_t count = sort_items(batch);
    if (batch->on_answered != NULL && count < batch->count)
        batch->on_answered(batch->ctx, batch->count - count);
    for (size_t first = 0; first < count;) {
        size_t size = pass_size(batch, first, count);
        step_pass(batch, first, size);
        PassRef pass = {batch, first};
        pool_for_1d(batch->pool, size, finish_item, &pass);
        if (batch->on_answered != NULL)
            batch->on_answered(batch->ctx, size);
        first += size;
    }
    note_failures(batch);
    for (size_t i = 0; i < batch->count; i++)
        TRY(buf_status(&batch->items[i].answer, NULL));
    return STATUS_OK;
}
