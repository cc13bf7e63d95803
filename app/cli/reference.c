// Runs requests by two openings of one model, in groups, and lets the library compare them.
#include "app/cli/reference.h"

#include "base/memory.h"

#include <stdio.h>
#include <string.h>

enum { GROUP_MAX = 32, LABEL_MAX = 1024 };

int reference_check(const Cli *cli) {
    const Args *args = &cli->args;
    if (args_is_set(args, "dataset") && !args_is_set(args, "reference"))
        return cli_usage(cli, "--dataset needs --reference: what to compare with");
    return EXIT_OK;
}

int reference_load(Reference *out, const RunJob *job) {
    const Cli *cli = job->cli;
    const char *path = args_text(&cli->args, "dataset");
    *out = (Reference){.precision = args_text(&cli->args, "reference")};
    out->has_dataset = path != NULL;
    return out->has_dataset ? input_load_dataset(&out->dataset, cli, path) : EXIT_OK;
}

int reference_open(Reference *reference, const RunJob *job) {
    gpux_error error = {0};
    if (reference->precision == NULL)
        return EXIT_OK;
    int code = run_open_other(&reference->model, &reference->runner, job, reference->precision);
    if (code != EXIT_OK)
        return code;
    if (gpux_model_describe(&reference->description, reference->model, &error) != GPUX_OK)
        return run_failed(job, &error);
    code = cli_parse_json(job->cli, &reference->description_doc, &reference->description);
    if (code == EXIT_OK)
        reference->labels = json_get(json_root(reference->description_doc), "labels");
    return code;
}

void reference_close(Reference *reference) {
    gpux_runner_free(reference->runner);
    gpux_model_close(reference->model);
    buf_free(&reference->dataset);
    json_free(reference->description_doc);
    gpux_text_free(&reference->description);
    *reference = (Reference){0};
}

// ---- Comparing ----

// Requests of both sides, in step.
typedef struct Group {
    const Reference *reference;
    const RunJob *job;
    DifferenceReport *report;
    gpux_request *ours[GROUP_MAX], *theirs[GROUP_MAX];
    char labels[GROUP_MAX][LABEL_MAX]; // what the dataset says; "" = nothing
    size_t numbers[GROUP_MAX];         // of lines; 0 = there are none
    size_t count;
} Group;

static int failed(const Group *group, size_t number, gpux_error *error) {
    if (number > 0)
        input_place_error(error->message, sizeof error->message, number);
    return run_failed(group->job, error);
}

static void free_requests(Group *group) {
    for (size_t i = 0; i < GROUP_MAX; i++) {
        gpux_request_free(group->ours[i]);
        gpux_request_free(group->theirs[i]);
        group->ours[i] = group->theirs[i] = NULL;
    }
    group->count = 0;
}

// The label that an answer gives its text: of a classifier, of the hub's zero-shot form, or the
// text of an answer.
static bool read_label(char out[LABEL_MAX], const JsonValue *answer) {
    StrView text;
    bool is_zero_shot = json_get(answer, "sequence") != NULL;
    if (!json_as_string(&text, json_get(answer, "label")) &&
        !json_as_string(&text, json_get(answer, "answer")) &&
        (!is_zero_shot || !json_as_string(&text, json_at(json_get(answer, "labels"), 0))))
        return false;
    snprintf(out, LABEL_MAX, "%.*s", (int)(text.len < LABEL_MAX ? text.len : LABEL_MAX - 1),
             text.ptr);
    return true;
}

static int judge(bool *is_right, const Group *group, gpux_request *request, size_t index) {
    gpux_text text = {0};
    gpux_error error = {0};
    JsonDoc *doc = NULL;
    char label[LABEL_MAX];
    if (gpux_finish(&text, request, GPUX_FORM_GPUX, 0, &error) != GPUX_OK)
        return failed(group, group->numbers[index], &error);
    int code = cli_parse_json(group->job->cli, &doc, &text);
    if (code == EXIT_OK && !read_label(label, json_root(doc)))
        code = cli_fail(group->job->cli, "Run failed",
                        "line %zu has a label, but an answer of this model has none to compare "
                        "with it",
                        group->numbers[index]);
    if (code == EXIT_OK)
        *is_right = strcmp(label, group->labels[index]) == 0;
    json_free(doc);
    gpux_text_free(&text);
    return code;
}

static int judge_both(const Group *group, size_t index) {
    bool is_right = false;
    bool is_reference_right = false;
    if (group->labels[index][0] == '\0')
        return EXIT_OK;
    int code = judge(&is_right, group, group->ours[index], index);
    if (code == EXIT_OK)
        code = judge(&is_reference_right, group, group->theirs[index], index);
    group->report->labelled++;
    group->report->right += is_right;
    group->report->reference_right += is_reference_right;
    return code;
}

static int run_group(Group *group) {
    gpux_error error = {0};
    int code = EXIT_OK;
    if (group->count > 0 &&
        (run_step_to_end(group->job->runner, group->ours, group->count, &error) != GPUX_OK ||
         run_step_to_end(group->reference->runner, group->theirs, group->count, &error) != GPUX_OK))
        code = failed(group, group->numbers[0], &error);
    for (size_t i = 0; i < group->count && code == EXIT_OK; i++) {
        if (gpux_request_compare(&group->report->sum, group->theirs[i], group->ours[i], &error) !=
            GPUX_OK)
            code = failed(group, group->numbers[i], &error);
        else
            code = judge_both(group, i);
        group->report->requests++;
    }
    free_requests(group);
    return code;
}

// Adds the request to the group, which runs when it is full.
static int add_request(Group *group, const BenchInput *input, size_t number) {
    gpux_error error = {0};
    size_t at = group->count;
    group->numbers[at] = number;
    if (bench_prepare(&group->ours[at], group->job->model, input, &error) != GPUX_OK ||
        bench_prepare(&group->theirs[at], group->reference->model, input, &error) != GPUX_OK)
        return failed(group, number, &error);
    if (group->job->form == GPUX_FORM_RAW) {
        gpux_request_keep_outputs(group->ours[at]);
        gpux_request_keep_outputs(group->theirs[at]);
    }
    group->count++;
    return group->count == GROUP_MAX ? run_group(group) : EXIT_OK;
}

static Group new_group(DifferenceReport *out, const Reference *reference, const RunJob *job) {
    *out = (DifferenceReport){.reference = reference->precision, .sum = GPUX_DIFFERENCE_INIT};
    return (Group){.reference = reference, .job = job, .report = out};
}

// A label is a name, or an index into the model's labels.
static bool find_label(char out[LABEL_MAX], const Reference *reference, const JsonValue *label) {
    StrView text;
    int64_t index;
    if (json_as_i64(&index, label) && index >= 0)
        label = json_at(reference->labels, (size_t)index);
    if (!json_as_string(&text, label) || text.len >= LABEL_MAX)
        return false;
    snprintf(out, LABEL_MAX, "%.*s", (int)text.len, text.ptr);
    return true;
}

// The line without its "label", which is no part of the request.
static int read_line(Buf *out, Group *group, StrView line, size_t number) {
    Error error = {0};
    JsonDoc *doc = NULL;
    group->labels[group->count][0] = '\0';
    if (json_parse(&doc, line, 0, &error) != STATUS_OK) {
        input_place_error(error.message, sizeof error.message, number);
        return cli_fail(group->job->cli, "Error parsing input JSON", "%s", error.message);
    }
    const JsonValue *label = json_get(json_root(doc), "label");
    int code = EXIT_OK;
    if (label == NULL || json_kind(label) == JSON_NULL) {
        buf_append_sv(out, line);
    } else if (!find_label(group->labels[group->count], group->reference, label)) {
        code = cli_fail(group->job->cli, "Run failed",
                        "line %zu: 'label' is neither a name nor the index of a label", number);
    } else {
        JsonWriter writer = json_writer(out, 0);
        json_write_without(&writer, json_root(doc), "label");
    }
    json_free(doc);
    if (code == EXIT_OK && buf_status(out, NULL) != STATUS_OK)
        code = cli_fail(group->job->cli, "Run failed", "out of memory");
    return code;
}

int reference_compare_lines(DifferenceReport *out, const Reference *reference, const RunJob *job,
                            StrView lines) {
    Group *group = mem_alloc_zero(1, sizeof *group);
    if (group == NULL)
        return cli_fail(job->cli, "Run failed", "out of memory");
    *group = new_group(out, reference, job);
    StrView line;
    size_t number = 0;
    int code = EXIT_OK;
    while (code == EXIT_OK && input_next_line(&lines, &line, &number)) {
        Buf request = BUF_INIT(SIZE_MAX);
        code = read_line(&request, group, line, number);
        BenchInput input = {.json = sv_n(request.ptr, request.len), .batch = 1};
        if (code == EXIT_OK)
            code = add_request(group, &input, number);
        buf_free(&request);
    }
    if (code == EXIT_OK)
        code = run_group(group);
    free_requests(group);
    mem_free(group);
    return code;
}

int reference_compare(DifferenceReport *out, const Reference *reference, const RunJob *job,
                      const BenchInput *input) {
    if (reference->has_dataset)
        return reference_compare_lines(out, reference, job,
                                       sv_n(reference->dataset.ptr, reference->dataset.len));
    Group *group = mem_alloc_zero(1, sizeof *group);
    if (group == NULL)
        return cli_fail(job->cli, "Run failed", "out of memory");
    *group = new_group(out, reference, job);
    int code = add_request(group, input, 0);
    if (code == EXIT_OK)
        code = run_group(group);
    free_requests(group);
    mem_free(group);
    return code;
}
