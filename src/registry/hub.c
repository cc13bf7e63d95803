// Requests to the hub's API: the documented retries, and what an answer means.
//
// A hub hides what one may not see: the same 401 can mean "private", "absent" or "bad token". The
// rules of hub_refused are the only place that decides.
#include "registry/private.h"

#include "base/clock.h"

#include <stdio.h>

enum { API_BODY_MAX = 64 << 20, MAX_RETRIES = 5, TICK_MS = 100, MAX_PAGES = 200 };

// ---- Waiting and retrying ----

bool is_retry_status(int status) {
    return status == 408 || status == 429 || status == 500 || status == 502 || status == 503 ||
           status == 504;
}

double retry_wait(Retry *retry, const HubHeaders *headers) {
    static const double WAITS[MAX_RETRIES] = {1, 2, 4, 8, 8};
    if (retry->failures >= MAX_RETRIES)
        return -1;
    double wait = WAITS[retry->failures++];
    if (headers && headers->status == 429 && headers->limit_left == 0 &&
        headers->limit_reset_s >= 0)
        return (double)headers->limit_reset_s + 1;
    if (headers && headers->retry_after_s >= 0 &&
        (headers->status == 429 || headers->status == 503))
        return (double)headers->retry_after_s;
    // Up to a quarter more, so that many clients don't come back together.
    return wait * (1 + (double)(clock_now_ns() / 1000 % 256) / 1024);
}

uint64_t call_second_ns(const Call *call) {
    return (uint64_t)call->registry->second_ms * 1000000;
}

Status call_net(Call *call) {
    if (call->net)
        return STATUS_OK;
    return call_failed(call, REGISTRY_FAULT_LOCAL,
                       net_new(&call->net, call->registry, call->error));
}

static bool tick(Call *call) {
    return !call->tick || call->tick(call->tick_ctx, PULL_BYTES, NULL, 0);
}

Status call_wait(Call *call, double seconds, const char *file) {
    uint64_t now = clock_now_ns();
    uint64_t end = now + (uint64_t)(seconds * (double)call_second_ns(call));
    if (seconds > 60)
        log_message(call->registry->log, LOG_WARNING, "The hub asks to wait %.0f s", seconds);
    if (call->tick && !call->tick(call->tick_ctx, PULL_RETRY_WAIT, file, seconds))
        return call_cancelled(call);
    TRY(call_net(call));
    for (; now < end; now = clock_now_ns()) {
        uint64_t left_ms = (end - now) / 1000000 + 1;
        net_wait(call->net, left_ms < TICK_MS ? (int)left_ms : TICK_MS);
        if (!tick(call))
            return call_cancelled(call);
    }
    return STATUS_OK;
}

// "topic; text": once per topic and call.
static bool is_new_topic(Call *call, const char *warning) {
    char topic[80];
    snprintf(topic, sizeof topic, "|%.*s|", (int)(strcspn(warning, ";") % 70), warning);
    if (strstr(call->warned, topic))
        return false;
    size_t used = strlen(call->warned);
    snprintf(call->warned + used, sizeof call->warned - used, "%s", topic);
    return true;
}

void hub_note(Call *call, const NetRequest *request) {
    const Log *log = call->registry->log;
    const HubHeaders *hub = &request->hub;
    if (hub->warning[0] && is_new_topic(call, hub->warning))
        log_message(log, LOG_WARNING, "The hub says: %s", hub->warning);
    bool has_failed = request->failure != NET_OK || request->last.status >= 400;
    if (has_failed && hub->request_id[0])
        log_message(log, LOG_DEBUG, "status %d, request id %s", request->last.status,
                    hub->request_id);
    else if (has_failed)
        log_message(log, LOG_DEBUG, "status %d %s", request->last.status, request->detail);
}

// ---- What an answer means ----

// The server's own words: a header, else {"error": "…"} of the body.
static void server_message(char out[384], const NetRequest *request) {
    const HubHeaders *last = &request->last;
    snprintf(out, 384, "%s", last->error_message);
    if (out[0])
        return;
    JsonDoc *doc = NULL;
    if (json_parse(&doc, sv_n(request->error_body, request->error_body_len), 0, NULL) == STATUS_OK)
        snprintf(out, 384, "%.380s", json_cstr_or(json_root(doc), "error", ""));
    json_free(doc);
    if (!out[0])
        snprintf(out, 384, "status %d", last->status);
}

Status hub_unreachable(Call *call, const NetRequest *request) {
    if (request->failure == NET_MEMORY)
        return call_out_of_memory(call);
    char text[384];
    server_message(text, request);
    return call_fail(call, REGISTRY_FAULT_NETWORK, STATUS_IO,
                     "Network error while pulling model: %s",
                     request->failure == NET_OK ? text : request->detail);
}

static Status not_found(Call *call, const ModelRef *ref) {
    if (!ref)
        return call_fail(call, REGISTRY_FAULT_REGISTRY, STATUS_IO,
                         "Registry error: the hub does not know this address");
    return call_fail(
        call, REGISTRY_FAULT_MODEL_NOT_FOUND, STATUS_NOT_FOUND,
        "Model '%s' not found in registry%s", ref->id,
        call->registry->token ? "" : " (without a token, private and gated models cannot be seen)");
}

static Status refused_access(Call *call, const ModelRef *ref, int status, const char *text) {
    bool is_disabled = strstr(text, "Access to this resource is disabled") != NULL;
    if (is_disabled)
        return call_fail(call, REGISTRY_FAULT_REGISTRY, STATUS_IO, "Registry error: %s", text);
    if (status == 403)
        return call_fail(call, REGISTRY_FAULT_FORBIDDEN, STATUS_INVALID, "Access denied: %s", text);
    bool has_token = call->registry->token != NULL;
    if (!has_token && ref)
        return not_found(call, ref);
    return call_fail(call, REGISTRY_FAULT_AUTHENTICATION, STATUS_INVALID,
                     "Authentication failed: %s", text);
}

Status hub_refused(Call *call, const ModelRef *ref, const NetRequest *request, const char *file) {
    const HubHeaders *last = &request->last;
    int status = last->status;
    char text[384];
    server_message(text, request);
    const char *code = last->error_code;
    if (strcmp(code, "GatedRepo") == 0 && ref)
        return call_fail(call, REGISTRY_FAULT_GATED, STATUS_INVALID,
                         "Access to model '%s' is gated: visit %s/%s to ask for it%s", ref->id,
                         call->registry->endpoint, ref->id,
                         call->registry->token ? "" : ", and set a token (HF_TOKEN)");
    if (strcmp(code, "RevisionNotFound") == 0 && ref)
        return call_fail(call, REGISTRY_FAULT_REVISION_NOT_FOUND, STATUS_NOT_FOUND,
                         "Revision '%s' not found for model '%s'", ref->revision, ref->id);
    if (strcmp(code, "RepoNotFound") == 0)
        return not_found(call, ref);
    if (status == 401 || status == 403)
        return refused_access(call, ref, status, text);
    if (status == 404 && !file)
        return not_found(call, ref);
    if (status == 407 || is_retry_status(status))
        return hub_unreachable(call, request);
    if (file)
        return call_fail(call, REGISTRY_FAULT_REGISTRY, STATUS_IO, "Registry error: %s: %s", file,
                         text);
    return call_fail(call, REGISTRY_FAULT_REGISTRY, STATUS_IO, "Registry error: %s", text);
}

// ---- API requests ----

static bool on_api_body(NetRequest *request, const void *bytes, size_t len) {
    Buf *out = request->ctx;
    buf_append(out, bytes, len);
    return out->failed == STATUS_OK;
}

// One attempt; ticks while it waits.
static Status attempt(NetRequest *request, Call *call) {
    TRY(call_failed(call, REGISTRY_FAULT_LOCAL, net_start(call->net, request, call->error)));
    while (!net_wait(call->net, TICK_MS)) {
        if (tick(call))
            continue;
        net_cancel(request);
        return call_cancelled(call);
    }
    hub_note(call, request);
    return STATUS_OK;
}

static Status get_with_retries(NetRequest *request, Buf *out, Call *call, const ModelRef *ref) {
    Retry retry = {0};
    for (;;) {
        buf_clear(out);
        TRY(attempt(request, call));
        if (request->failure == NET_STOPPED) {
            Status status = buf_status(out, call->error);
            return status == STATUS_OUT_OF_MEMORY
                       ? call_failed(call, REGISTRY_FAULT_LOCAL, status)
                       : call_fail(call, REGISTRY_FAULT_REGISTRY, STATUS_LIMIT,
                                   "Registry error: the answer is over %zu bytes", out->max);
        }
        bool may_retry = request->failure == NET_RETRY ||
                         (request->failure == NET_OK && is_retry_status(request->last.status));
        if (!may_retry)
            break;
        double wait = retry_wait(&retry, request->failure == NET_OK ? &request->last : NULL);
        if (wait < 0)
            return hub_unreachable(call, request);
        TRY(call_wait(call, wait, NULL));
    }
    if (request->failure != NET_OK)
        return hub_unreachable(call, request);
    if (request->last.status != 200)
        return hub_refused(call, ref, request, NULL);
    if (request->last.is_encoded)
        return call_fail(call, REGISTRY_FAULT_NETWORK, STATUS_CORRUPT,
                         "Network error while pulling model: the answer is compressed, which was "
                         "not asked for");
    return STATUS_OK;
}

Status hub_get(Buf *out, Call *call, const ModelRef *ref, const char *url, char **next) {
    TRY(call_net(call));
    if (next)
        *next = NULL;
    NetRequest *request = mem_alloc_zero(1, sizeof *request);
    if (!request)
        return call_out_of_memory(call);
    request->url = url;
    request->ctx = out;
    request->on_body = on_api_body;
    Status status = get_with_retries(request, out, call, ref);
    // The next page must be the hub's own: another host would not get the token anyway.
    if (status == STATUS_OK && next && net_is_address(request->last.next)) {
        *next = mem_strdup(request->last.next);
        if (!*next)
            status = call_out_of_memory(call);
    }
    mem_free(request);
    return status;
}

static void append_model_address(Buf *url, const Call *call, const char *id) {
    buf_append_cstr(url, call->registry->endpoint);
    buf_append_cstr(url, "/api/models/");
    append_encoded(url, id, true);
}

static bool lacks_digests(const HubModel *model) {
    for (size_t i = 0; i < model->file_count; i++)
        if (model->files[i].size < 0 || !model->files[i].hash[0])
            return true;
    return false;
}

// Some hubs leave sizes and digests out of the description; the tree has them.
static Status add_tree(HubModel *model, Call *call, const ModelRef *ref) {
    Buf url = BUF_INIT(ADDRESS_SIZE);
    Buf body = BUF_INIT(API_BODY_MAX);
    append_model_address(&url, call, ref->id);
    buf_printf(&url, "/tree/%s?recursive=true", model->commit);
    Status status = call_failed(call, REGISTRY_FAULT_LOCAL, buf_status(&url, call->error));
    char *page = NULL;
    for (int i = 0; i < MAX_PAGES && status == STATUS_OK && (i == 0 || page); i++) {
        char *next = NULL;
        status = hub_get(&body, call, ref, page ? page : url.ptr, &next);
        if (status == STATUS_OK) {
            status = answer_tree(model, sv_n(body.ptr, body.len), call->error);
            if (status != STATUS_OK && status != STATUS_OUT_OF_MEMORY)
                status = STATUS_OK; // HEAD requests will tell
            call_failed(call, REGISTRY_FAULT_LOCAL, status);
        } else if (call->fault == REGISTRY_FAULT_MODEL_NOT_FOUND ||
                   call->fault == REGISTRY_FAULT_REGISTRY) {
            call->fault = REGISTRY_FAULT_NONE;
            status = STATUS_OK;
        }
        mem_free(page);
        page = next;
    }
    mem_free(page);
    buf_free(&body);
    buf_free(&url);
    return status;
}

static Status bad_answer(Call *call, Status status) {
    if (status == STATUS_OK || status == STATUS_OUT_OF_MEMORY)
        return call_failed(call, REGISTRY_FAULT_LOCAL, status);
    char why[ERROR_MESSAGE_SIZE];
    snprintf(why, sizeof why, "%s", call->error ? call->error->message : "");
    if (status == STATUS_CORRUPT)
        return call_fail(call, REGISTRY_FAULT_NETWORK, STATUS_IO,
                         "Network error while pulling model: the answer is not from a model hub "
                         "(a proxy or login page?): %.300s",
                         why);
    return call_fail(call, REGISTRY_FAULT_REGISTRY, status, "Registry error: %.600s", why);
}

Status hub_model(HubModel *out, Call *call, const ModelRef *ref) {
    *out = (HubModel){0};
    Buf url = BUF_INIT(ADDRESS_SIZE);
    Buf body = BUF_INIT(API_BODY_MAX);
    append_model_address(&url, call, ref->id);
    buf_append_cstr(&url, "/revision/");
    append_encoded(&url, ref->revision, false);
    buf_append_cstr(&url, "?blobs=true");
    Status status = call_failed(call, REGISTRY_FAULT_LOCAL, buf_status(&url, call->error));
    if (status == STATUS_OK)
        status = hub_get(&body, call, ref, url.ptr, NULL);
    if (status == STATUS_OK)
        status = bad_answer(call, answer_model(out, sv_n(body.ptr, body.len), call->error));
    if (status == STATUS_OK && json_bool_or(out->root, "disabled", false))
        status = call_fail(call, REGISTRY_FAULT_REGISTRY, STATUS_IO,
                           "Registry error: model '%s' is disabled on the hub", ref->id);
    if (status == STATUS_OK && lacks_digests(out))
        status = add_tree(out, call, ref);
    buf_free(&body);
    buf_free(&url);
    if (status != STATUS_OK)
        hub_model_free(out);
    return status;
}
