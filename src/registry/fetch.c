// Files from the hub into staging: several at a time in one thread, each resumed at its last byte
// and counted only when its size and digest are right.
//
// A file under its own path is complete and was verified by whoever put it there, yet it is checked
// again; "<path>.<digest>.incomplete" is the beginning of the content with that digest, so a
// partial file of another commit is never continued. Every attempt starts at the hub, never at a
// CDN address of an earlier one: those expire.
#include "registry/fetch.h"

#include "base/clock.h"
#include "base/file.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

enum {
    POLL_MS = 50,
    EVENT_MS = 100,
    DEFAULT_JOBS = 8,
    MAX_JOBS = 64,
    RATE_WINDOW_MS = 1000,
    DIGEST_STEP = 32 << 20
};
// ---- Telling ----

static void sum_up(const Fetch *fetch, PullEvent *event) {
    for (size_t i = 0; i < fetch->count; i++) {
        const FetchFile *file = &fetch->files[i];
        bool is_done = file->state == FETCH_DONE;
        event->bytes += is_done ? fetch_size(file->remote) : file->have;
        event->total += file->state == FETCH_SKIPPED ? 0 : fetch_size(file->remote);
        event->files_done += is_done || file->state == FETCH_SKIPPED;
    }
    event->files = fetch->count;
}

void fetch_tell(Fetch *fetch, PullStep step, const FetchFile *file, bool is_from_disk) {
    fetch->event_at = clock_now_ns();
    if (!fetch->options->event)
        return;
    PullEvent event = {.step = step,
                       .commit = fetch->model->commit,
                       .rate = fetch->rate,
                       .is_from_disk = is_from_disk};
    if (file) {
        event.file = file->remote->path;
        event.file_total = fetch_size(file->remote);
        event.file_bytes = file->state == FETCH_DONE ? event.file_total : file->have;
    }
    sum_up(fetch, &event);
    if (!fetch->options->event(fetch->options->event_ctx, &event))
        fetch->is_cancelled = true;
}

// Of the files that moved since their last turn, the one whose turn it is: the last to move would
// often be the same one.
static const FetchFile *next_moved(const Fetch *fetch) {
    size_t first = fetch->told ? (size_t)(fetch->told - fetch->files) + 1 : 0;
    for (size_t i = 0; i < fetch->count; i++) {
        FetchFile *file = &fetch->files[(first + i) % fetch->count];
        if (file->has_moved) {
            file->has_moved = false;
            return file;
        }
    }
    return fetch->told;
}

void fetch_tell_bytes(Fetch *fetch) {
    uint64_t now = clock_now_ns();
    if (now - fetch->event_at < (uint64_t)EVENT_MS * 1000000)
        return;
    uint64_t window = now - fetch->rate_at;
    if (window >= (uint64_t)RATE_WINDOW_MS * 1000000) {
        double rate = (double)(*fetch->downloaded - fetch->rate_bytes) / ((double)window * 1e-9);
        fetch->rate = fetch->rate > 0 ? (fetch->rate + rate) / 2 : rate;
        fetch->rate_at = now;
        fetch->rate_bytes = *fetch->downloaded;
    }
    fetch->told = next_moved(fetch);
    fetch_tell(fetch, PULL_BYTES, fetch->told, false);
}

// ---- An answer ----

// Looks at the headers once per answer, before its first byte counts.
static bool check_answer(FetchFile *file) {
    const NetRequest *request = file->request;
    const HubHeaders *last = &request->last;
    if (file->is_checked)
        return true;
    file->is_checked = true;
    if (!request->hub.commit[0])
        file->stop = STOP_NOT_HUB;
    else if (strcmp(request->hub.commit, file->fetch->model->commit) != 0)
        file->stop = STOP_COMMIT;
    else if (file->wants_head)
        return true;
    else if (last->is_encoded)
        file->stop = STOP_ENCODED;
    else if (last->status == 206 && last->range_start != (int64_t)file->have)
        file->stop = STOP_RANGE;
    else if (last->status == 206 && last->range_total >= 0 &&
             last->range_total != file->remote->size)
        file->stop = STOP_SIZE;
    if (file->stop != STOP_NONE)
        return false;
    // A whole file although a part was asked for.
    if (last->status != 206 && file->have > 0 && partial_start_over(file) != STATUS_OK) {
        file->stop = STOP_DISK;
        file->errno_value = EIO;
        return false;
    }
    if (last->content_length >= 0 &&
        (uint64_t)last->content_length + file->have != fetch_size(file->remote))
        file->stop = STOP_SIZE;
    return file->stop == STOP_NONE;
}

static bool on_body(NetRequest *request, const void *bytes, size_t len) {
    FetchFile *file = request->ctx;
    if (!check_answer(file))
        return false;
    if (len > fetch_size(file->remote) - file->have) {
        file->stop = STOP_SIZE;
        return false;
    }
    file->has_moved = true;
    return partial_write(file, bytes, len);
}

// ---- Decisions ----

static Status skip_or_fail(FetchFile *file, Status status) {
    Call *call = file->fetch->call;
    bool may_skip =
        file->remote->is_optional && strcmp(file->request->last.error_code, "EntryNotFound") == 0;
    if (!may_skip)
        return status;
    log_message(call->registry->log, LOG_WARNING, "%s is listed but absent on the hub: skipped",
                file->remote->path);
    call->fault = REGISTRY_FAULT_NONE;
    file->state = FETCH_SKIPPED;
    file->have = 0;
    return STATUS_OK;
}

// The content is not what the hub promised: once more from the beginning, then give up.
static Status mismatched(FetchFile *file) {
    Call *call = file->fetch->call;
    if (!file->has_mismatched) {
        log_message(call->registry->log, LOG_WARNING, "%s: wrong content, fetched again",
                    file->remote->path);
        file->has_mismatched = true;
        file->best = 0;
        file->state = FETCH_WAITING;
        return file->fd >= 0 ? partial_start_over(file) : STATUS_OK;
    }
    const char *name;
    int parent = tree_open_parent(file->fetch->stage->fd, file->partial, &name, false);
    if (parent >= 0) {
        unlinkat(parent, name, 0);
        close(parent);
    }
    return call_fail(call, REGISTRY_FAULT_REGISTRY, STATUS_CORRUPT,
                     "Registry error: checksum mismatch for %s", file->remote->path);
}

static Status retry_later(FetchFile *file) {
    Fetch *fetch = file->fetch;
    const NetRequest *request = file->request;
    if (file->have > file->best) {
        file->best = file->have;
        file->retry.failures = 0;
    }
    const HubHeaders *last = request->failure == NET_OK ? &request->last : NULL;
    double wait = retry_wait(&file->retry, last);
    if (wait < 0)
        return hub_unreachable(fetch->call, request);
    uint64_t until = clock_now_ns() + (uint64_t)(wait * (double)call_second_ns(fetch->call));
    file->not_before = until;
    file->state = FETCH_WAITING;
    if (last && last->status == 429 && until > fetch->hold_until)
        fetch->hold_until = until;
    if (wait > 60)
        log_message(fetch->call->registry->log, LOG_WARNING, "The hub asks to wait %.0f s", wait);
    if (fetch->call->tick &&
        !fetch->call->tick(fetch->call->tick_ctx, PULL_RETRY_WAIT, file->remote->path, wait))
        fetch->is_cancelled = true;
    return STATUS_OK;
}

static Status publish_file(FetchFile *file) {
    Fetch *fetch = file->fetch;
    Call *call = fetch->call;
    if (fsync(file->fd) != 0 && errno != EINVAL)
        return cache_errno(call, errno, "cannot sync", file->remote->path);
    const char *from;
    int parent = tree_open_parent(fetch->stage->fd, file->partial, &from, false);
    if (parent < 0)
        return cache_errno(call, errno, "cannot open the folder of", file->remote->path);
    const char *slash = strrchr(file->remote->path, '/');
    int result = renameat(parent, from, parent, slash ? slash + 1 : file->remote->path);
    int saved = errno;
    close(parent);
    if (result != 0)
        return cache_errno(call, saved, "cannot rename", file->remote->path);
    partial_close(file);
    file->state = FETCH_DONE;
    file->remote->is_verified = true;
    fetch_tell(fetch, PULL_FILE_DONE, file, false);
    return STATUS_OK;
}

static Status verify(FetchFile *file) {
    char digest[HASH_TEXT_SIZE];
    Call *call = file->fetch->call;
    TRY(call_failed(call, REGISTRY_FAULT_LOCAL, hash_finish(digest, file->hash, call->error)));
    return strcmp(digest, file->remote->hash) == 0 ? publish_file(file) : mismatched(file);
}

static Status stopped(FetchFile *file) {
    Call *call = file->fetch->call;
    switch (file->stop) {
    case STOP_NOT_HUB:
        return call_fail(call, REGISTRY_FAULT_NETWORK, STATUS_IO,
                         "Network error while pulling model: the answer for %s is not from a model "
                         "hub (a proxy or login page?)",
                         file->remote->path);
    case STOP_COMMIT:
        return call_fail(call, REGISTRY_FAULT_REGISTRY, STATUS_CORRUPT,
                         "Registry error: %s came from commit %s, not %s", file->remote->path,
                         file->request->hub.commit, file->fetch->model->commit);
    case STOP_ENCODED:
        return call_fail(call, REGISTRY_FAULT_NETWORK, STATUS_CORRUPT,
                         "Network error while pulling model: %s came compressed, which was not "
                         "asked for",
                         file->remote->path);
    case STOP_DISK:
        if (call->fault != REGISTRY_FAULT_NONE)
            return call->error ? call->error->code : STATUS_IO;
        if (file->errno_value == ENOSPC || file->errno_value == EDQUOT)
            return cache_no_space(call, file->fetch->stage->path,
                                  fetch_size(file->remote) - file->have);
        return cache_errno(call, file->errno_value, "cannot write", file->partial);
    default:
        return mismatched(file);
    }
}

// Size and digest from the headers of a HEAD, for hubs whose listing lacks them.
static Status learn(FetchFile *file) {
    Call *call = file->fetch->call;
    const HubHeaders *hub = &file->request->hub;
    if (!check_answer(file))
        return stopped(file);
    bool is_redirect = hub->status >= 300;
    int64_t size = hub->linked_size >= 0 ? hub->linked_size
                   : is_redirect         ? LIMIT_UNKNOWN
                                         : hub->content_length;
    if (size < 0 || !hub->etag[0])
        return call_fail(call, REGISTRY_FAULT_REGISTRY, STATUS_IO,
                         "Registry error: the hub says neither size nor checksum of %s",
                         file->remote->path);
    file->remote->size = size;
    memcpy(file->remote->hash, hub->etag, sizeof file->remote->hash);
    file->wants_head = false;
    file->state = FETCH_WAITING;
    return partial_name(file);
}

static Status finished(FetchFile *file) {
    Call *call = file->fetch->call;
    const NetRequest *request = file->request;
    int status = request->last.status;
    hub_note(call, request);
    if (request->failure == NET_STOPPED)
        return stopped(file);
    if (request->failure == NET_RETRY)
        return retry_later(file);
    if (request->failure != NET_OK)
        return hub_unreachable(call, request);
    if (file->wants_head && (status == 200 || (status >= 300 && status < 400)))
        return learn(file);
    if (status == 200 || status == 206) {
        if (!check_answer(file))
            return stopped(file);
        // Without a length an early end looks like the end.
        return file->have == fetch_size(file->remote) ? verify(file) : retry_later(file);
    }
    if (status == 416)
        return mismatched(file);
    // An address that the hub gave out has expired or its host is unwell: ask the hub again.
    if (is_retry_status(status) || request->has_left)
        return retry_later(file);
    return skip_or_fail(file, hub_refused(call, file->fetch->ref, request, file->remote->path));
}

// ---- The loop ----

// Whoever waits holds neither a request nor a descriptor: many files may wait.
static void drop_request(FetchFile *file) {
    if (file->request)
        net_cancel(file->request);
    mem_free(file->request);
    file->request = NULL;
    if (file->fd >= 0)
        close(file->fd);
    file->fd = -1;
}

static Status set_url(FetchFile *file) {
    const Fetch *fetch = file->fetch;
    Buf url = BUF_INIT(ADDRESS_SIZE);
    buf_append_cstr(&url, fetch->call->registry->endpoint);
    buf_append_byte(&url, '/');
    append_encoded(&url, fetch->model->id ? fetch->model->id : fetch->ref->id, true);
    buf_printf(&url, "/resolve/%s/", fetch->model->commit);
    append_encoded(&url, file->remote->path, true);
    file->url = url.ptr;
    if (url.failed == STATUS_OK)
        return STATUS_OK;
    return call_fail(fetch->call, REGISTRY_FAULT_REGISTRY, url.failed,
                     "Registry error: the path of a file is too long");
}

static Status start(FetchFile *file) {
    Call *call = file->fetch->call;
    file->is_checked = false;
    file->stop = STOP_NONE;
    if (!file->wants_head) {
        TRY(partial_open(file));
        if (file->have == fetch_size(file->remote))
            return verify(file);
    }
    NetRequest *request = mem_alloc_zero(1, sizeof *request);
    if (!request)
        return call_out_of_memory(call);
    file->request = request;
    request->url = file->url;
    request->is_head = file->wants_head;
    request->is_content = !file->wants_head;
    request->range_from = file->have;
    request->ctx = file;
    request->on_body = on_body;
    TRY(call_failed(call, REGISTRY_FAULT_LOCAL, net_start(call->net, request, call->error)));
    file->state = FETCH_RUNNING;
    file->fetch->running++;
    return STATUS_OK;
}

static Status start_waiting(Fetch *fetch, bool *is_all_done) {
    int jobs = fetch->options->jobs > 0 ? fetch->options->jobs : DEFAULT_JOBS;
    jobs = jobs < MAX_JOBS ? jobs : MAX_JOBS;
    uint64_t now = clock_now_ns();
    *is_all_done = true;
    for (size_t i = 0; i < fetch->count; i++) {
        FetchFile *file = &fetch->files[i];
        *is_all_done = *is_all_done && file->state >= FETCH_DONE;
        bool may_start = file->state == FETCH_WAITING && fetch->running < jobs &&
                         now >= file->not_before && now >= fetch->hold_until;
        if (may_start)
            TRY(start(file));
        if (fetch->is_cancelled)
            return call_cancelled(fetch->call);
    }
    return STATUS_OK;
}

static Status run(Fetch *fetch) {
    fetch->rate_at = clock_now_ns();
    fetch->rate_bytes = *fetch->downloaded;
    for (;;) {
        bool is_all_done;
        TRY(start_waiting(fetch, &is_all_done));
        if (is_all_done)
            return STATUS_OK;
        NetRequest *request = net_wait(fetch->call->net, POLL_MS);
        if (request) {
            fetch->running--;
            FetchFile *file = request->ctx;
            TRY(finished(file));
            drop_request(file);
        }
        fetch_tell_bytes(fetch);
        if (fetch->is_cancelled)
            return call_cancelled(fetch->call);
    }
}

static Status prepare(Fetch *fetch) {
    size_t needed = 0;
    for (size_t i = 0; i < fetch->model->file_count; i++)
        needed += fetch->model->files[i].is_needed;
    fetch->files = mem_alloc_zero(needed, sizeof *fetch->files);
    if (!fetch->files)
        return call_out_of_memory(fetch->call);
    for (size_t i = 0; i < fetch->model->file_count; i++) {
        if (!fetch->model->files[i].is_needed)
            continue;
        FetchFile *file = &fetch->files[fetch->count++];
        *file = (FetchFile){.fetch = fetch, .remote = &fetch->model->files[i], .fd = -1};
        file->wants_head = !fetch_is_known(file->remote);
        TRY(set_url(file));
        TRY(partial_name(file));
        partial_look(file);
    }
    for (size_t i = 0; i < fetch->count; i++) {
        TRY(local_use_copy(&fetch->files[i]));
        if (fetch->is_cancelled)
            return call_cancelled(fetch->call);
    }
    TRY(fetch_check_sizes(fetch));
    return fetch_check_space(fetch);
}

Status fetch_files(uint64_t *downloaded, Call *call, Stage *stage, const ModelRef *ref,
                   HubModel *model, const FetchOptions *options) {
    Fetch fetch = {
        .call = call,
        .stage = stage,
        .ref = ref,
        .model = model,
        .options = options,
        .downloaded = downloaded,
    };
    Status status = call_net(call);
    if (status == STATUS_OK)
        status = prepare(&fetch);
    if (status == STATUS_OK)
        status = run(&fetch);
    for (size_t i = 0; i < fetch.count; i++) {
        FetchFile *file = &fetch.files[i];
        drop_request(file);
        partial_close(file);
        mem_free(file->partial);
        mem_free(file->url);
    }
    mem_free(fetch.files);
    return status;
}
