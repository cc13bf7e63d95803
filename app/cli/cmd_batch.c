// gpux batch run MODEL_NAME FILE: one request per line, one answer per line, in the same order.
#include "app/cli/answers.h"
#include "app/cli/batch.h"
#include "app/cli/commands.h"

#include "app/ui/progress.h"
#include "base/clock.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

enum { REPORT_EVERY_S = 10 };

typedef struct BatchJob {
    RunJob run;
    LineReader in;
    AnswerFile out;
    Batch batch;
    Progress progress;
    bool shows_progress;
    uint64_t window_start; // offset in the input where the present window begins
    size_t window_done;    // lines of the window that are answered
    uint64_t answered;     // lines of this run
    uint64_t start_ns;
    uint64_t reported_ns;
} BatchJob;

static double seconds_since(uint64_t start_ns) {
    return (double)(clock_now_ns() - start_ns) / 1e9;
}

static double share_done(const BatchJob *job, uint64_t offset) {
    return job->in.size > 0 ? (double)offset / (double)job->in.size : -1;
}

// With --verbose and no terminal a line now and then, for a log file.
static void report(BatchJob *job) {
    uint64_t now = clock_now_ns();
    if (!job->run.cli->is_verbose || job->shows_progress ||
        now - job->reported_ns < (uint64_t)REPORT_EVERY_S * 1000000000u)
        return;
    job->reported_ns = now;
    cli_say(job->run.cli, "Info", "%llu lines answered (%.1f/s)", (unsigned long long)job->answered,
            (double)job->answered / seconds_since(job->start_ns));
}

static void on_answered(void *ctx, size_t lines) {
    BatchJob *job = ctx;
    job->answered += lines;
    job->window_done += lines;
    uint64_t window = job->in.offset - job->window_start;
    double part = (double)job->window_done / (double)job->batch.count;
    if (job->shows_progress)
        progress_update(&job->progress,
                        share_done(job, job->window_start + (uint64_t)((double)window * part)),
                        job->answered);
    report(job);
}

static int read_options(BatchJob *job) {
    Cli *cli = job->run.cli;
    const char *output = args_text(&cli->args, "output");
    int code = run_read_model_options(&job->run);
    if (code == EXIT_OK && args_flag(&cli->args, "resume") && output == NULL)
        code = cli_usage(cli, "--resume needs --output: the file to continue");
    if (code == EXIT_OK && output != NULL)
        code = cli_check_output(cli, output);
    return code;
}

static int read_failed(const BatchJob *job, int errno_value) {
    return cli_fail(job->run.cli, "Error loading input file", "%s: '%s'", strerror(errno_value),
                    args_positional(&job->run.cli->args, 1));
}

static int open_requests(BatchJob *job) {
    int problem = lines_open(&job->in, args_positional(&job->run.cli->args, 1));
    return problem == 0 ? EXIT_OK : read_failed(job, problem);
}

// Last, when nothing else can fail: what was in the file is gone then.
static int open_answers(BatchJob *job) {
    const Cli *cli = job->run.cli;
    return answers_open(&job->out, cli, args_text(&cli->args, "output"), job->in.fd,
                        args_flag(&cli->args, "resume"));
}

// Passes over the lines that have their answers already.
static int skip_answered(BatchJob *job) {
    for (uint64_t i = 0; i < job->out.answered; i++) {
        Line line;
        LineResult result = lines_next(&line, &job->in);
        if (result == LINE_FAILED)
            return read_failed(job, errno);
        if (result == LINE_END)
            return cli_fail(
                job->run.cli, "Error",
                "'%s' has %llu answers, but the file has only %llu requests: it does not "
                "belong to this file",
                job->out.path, (unsigned long long)job->out.answered, (unsigned long long)i);
    }
    if (job->out.answered > 0)
        cli_note(job->run.cli, "Resuming after %llu answers",
                 (unsigned long long)job->out.answered);
    return EXIT_OK;
}

static int start_batch(BatchJob *job) {
    const Cli *cli = job->run.cli;
    int64_t jobs = args_number(&cli->args, "jobs");
    BatchLimits limits = batch_default_limits(
        job->run.form, jobs > 0 ? (int)jobs : gpux_runner_threads(job->run.runner));
    limits.pass_requests = (size_t)args_number(&cli->args, "batch");
    Error error = {0};
    if (batch_open(&job->batch, &job->run, &limits, &error) != STATUS_OK)
        return cli_fail(cli, "Run failed", "%s", error.message);
    job->batch.on_answered = on_answered;
    job->batch.ctx = job;
    job->start_ns = job->reported_ns = clock_now_ns();
    // Answers on the same terminal would run through it.
    job->shows_progress = cli->err.is_terminal && (job->out.path != NULL || !cli->out.is_terminal);
    job->progress = progress_begin(&cli->err, "lines", share_done(job, job->in.offset));
    return EXIT_OK;
}

static int answer_window(BatchJob *job) {
    job->window_done = 0;
    Status status = batch_answer(&job->batch);
    if (status != STATUS_OK)
        return cli_fail(job->run.cli, "Run failed", "%s", status_text(status));
    progress_clear(&job->progress); // for a message
    int code = EXIT_OK;
    for (size_t i = 0; i < job->batch.count && code == EXIT_OK; i++) {
        const Buf *answer = &job->batch.items[i].answer;
        code = answers_write(&job->out, job->run.cli, sv_n(answer->ptr, answer->len));
    }
    batch_clear(&job->batch);
    job->window_start = job->in.offset;
    return code;
}

static int answer_all(BatchJob *job) {
    job->window_start = job->in.offset;
    for (;;) {
        Line line;
        LineResult result = lines_next(&line, &job->in);
        int problem = result == LINE_FAILED ? errno : 0;
        if (result == LINE_READ && batch_add(&job->batch, &line) != STATUS_OK)
            return cli_fail(job->run.cli, "Run failed", "out of memory");
        int code = EXIT_OK;
        if (job->batch.count > 0 && (result != LINE_READ || batch_is_full(&job->batch)))
            code = answer_window(job);
        if (code != EXIT_OK)
            return code;
        if (result == LINE_FAILED)
            return read_failed(job, problem);
        if (result == LINE_END)
            return EXIT_OK;
    }
}

// What is said at the end, and the exit code.
static int conclude(BatchJob *job) {
    Cli *cli = job->run.cli;
    double seconds = seconds_since(job->start_ns);
    char count[32];
    format_count(count, (int64_t)job->answered);
    if (cli->is_verbose || job->shows_progress)
        cli_note(cli, "%s %s in %.1f s (%.1f/s)", count, job->answered == 1 ? "line" : "lines",
                 seconds, seconds > 0 ? (double)job->answered / seconds : 0);
    if (job->out.path != NULL)
        printf("Results saved to: %s\n", job->out.path);
    if (job->batch.failed == 0)
        return EXIT_OK;
    char failed[32];
    format_count(failed, (int64_t)job->batch.failed);
    fflush(stdout);
    return cli_fail(cli, "Run failed", "%s of %s lines; the first: %s", failed, count,
                    job->batch.first_failure);
}

int cmd_batch_run(Cli *cli) {
    BatchJob job = {.run = {.cli = cli}, .in = {.fd = -1}, .out = {.fd = -1}};
    int code = read_options(&job);
    if (code == EXIT_OK)
        code = cli_open(cli);
    if (code == EXIT_OK)
        code = run_find_model(&job.run);
    if (code == EXIT_OK)
        code = open_requests(&job);
    if (code == EXIT_OK)
        code = run_open_model(&job.run);
    if (code == EXIT_OK)
        code = open_answers(&job);
    if (code == EXIT_OK)
        code = skip_answered(&job);
    if (code == EXIT_OK)
        code = start_batch(&job);
    if (code == EXIT_OK) {
        code = answer_all(&job);
        progress_clear(&job.progress);
        int closed = answers_close(&job.out, cli);
        if (code == EXIT_OK)
            code = closed != EXIT_OK ? closed : conclude(&job);
    }
    batch_close(&job.batch);
    answers_close(&job.out, cli);
    lines_close(&job.in);
    run_close(&job.run);
    return code;
}
