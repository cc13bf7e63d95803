// HTTP for the other files of this room, and the only address of libcurl: many requests at a time
// in one thread, redirects under our own rule, and a token that goes to the endpoint alone.
//
// Redirects are not libcurl's to follow: each hop decides anew whether the token may travel
// (net_may_carry_token), by the same parser that later opens the connection.
#include "registry/private.h"

#include "base/clock.h"

#include <assert.h>
#include <curl/curl.h>
#include <stdio.h>
#include <sys/utsname.h>

enum { MAX_HOPS = 8, RECEIVE_BUFFER = 256 << 10, API_TOTAL_S = 300, MAX_CONNECTIONS = 64 };

struct Net {
    CURLM *multi;
    const Registry *registry;
    char agent[160];
    NetRequest *active;   // under way, in no order
    NetRequest *finished; // not yet handed out
};

// ---- Addresses ----

typedef struct Address {
    char *scheme, *host, *port;
} Address;

static void address_free(Address *address) {
    curl_free(address->scheme);
    curl_free(address->host);
    curl_free(address->port);
}

static bool address_read(Address *out, const char *url) {
    *out = (Address){0};
    CURLU *parts = curl_url();
    bool is_good = parts && curl_url_set(parts, CURLUPART_URL, url, 0) == CURLUE_OK &&
                   curl_url_get(parts, CURLUPART_SCHEME, &out->scheme, 0) == CURLUE_OK &&
                   curl_url_get(parts, CURLUPART_HOST, &out->host, 0) == CURLUE_OK &&
                   curl_url_get(parts, CURLUPART_PORT, &out->port, CURLU_DEFAULT_PORT) == CURLUE_OK;
    char *user = NULL;
    if (is_good && curl_url_get(parts, CURLUPART_USER, &user, 0) == CURLUE_OK)
        is_good = false;
    curl_free(user);
    curl_url_cleanup(parts);
    if (is_good && strcmp(out->scheme, "https") != 0 && strcmp(out->scheme, "http") != 0)
        is_good = false;
    if (!is_good) {
        address_free(out);
        *out = (Address){0};
    }
    return is_good;
}

static bool is_loopback(const char *host) {
    unsigned first, b, c, d;
    char extra;
    return sv_equal_nocase(sv(host), SV("localhost")) || strcmp(host, "[::1]") == 0 ||
           (sscanf(host, "%u.%u.%u.%u%c", &first, &b, &c, &d, &extra) == 4 && first == 127);
}

bool net_is_address(const char *url) {
    Address address;
    if (!address_read(&address, url))
        return false;
    address_free(&address);
    return true;
}

static bool is_same_origin(const Address *a, const Address *b) {
    return strcmp(a->scheme, b->scheme) == 0 && strcmp(a->port, b->port) == 0 &&
           sv_equal_nocase(sv(a->host), sv(b->host));
}

static bool is_endpoint(const Registry *registry, const char *url, bool *is_private) {
    Address endpoint;
    Address address = {0};
    bool is_same = false;
    *is_private = false;
    if (address_read(&endpoint, registry->endpoint)) {
        if (address_read(&address, url)) {
            is_same = is_same_origin(&endpoint, &address);
            *is_private = strcmp(address.scheme, "https") == 0 || is_loopback(address.host);
        }
        address_free(&address);
    }
    address_free(&endpoint);
    return is_same;
}

bool net_may_carry_token(const Registry *registry, const char *url) {
    bool is_private;
    return is_endpoint(registry, url, &is_private) && is_private;
}

// "host:port" for messages.
static void host_text(char *out, size_t size, const char *url) {
    Address address;
    if (!address_read(&address, url)) {
        snprintf(out, size, "an address that cannot be read");
        return;
    }
    bool is_usual = strcmp(address.port, strcmp(address.scheme, "https") == 0 ? "443" : "80") == 0;
    snprintf(out, size, "%.200s%s%.8s", address.host, is_usual ? "" : ":",
             is_usual ? "" : address.port);
    address_free(&address);
}

// ---- Callbacks of libcurl ----

// The endpoint's answers of earlier hops say things that later ones leave out.
static void keep_hub_headers(NetRequest *request) {
    HubHeaders *hub = &request->hub;
    const HubHeaders *last = &request->last;
    HubHeaders before = *hub;
    *hub = *last;
    if (!hub->commit[0])
        memcpy(hub->commit, before.commit, sizeof hub->commit);
    if (before.is_etag_linked && !hub->is_etag_linked) {
        memcpy(hub->etag, before.etag, sizeof hub->etag);
        hub->is_etag_linked = true;
    }
    if (hub->linked_size < 0 && before.linked_size > 0)
        hub->linked_size = before.linked_size;
}

static size_t on_header(char *bytes, size_t size, size_t count, void *ctx) {
    NetRequest *request = ctx;
    request->moved_ns = clock_now_ns();
    answer_header(&request->last, sv_n(bytes, size * count));
    return size * count;
}

static bool is_success(int status) {
    return status >= 200 && status < 300;
}

static bool is_redirect(int status) {
    return status == 301 || status == 302 || status == 303 || status == 307 || status == 308;
}

static size_t on_bytes(char *bytes, size_t size, size_t count, void *ctx) {
    NetRequest *request = ctx;
    size_t len = size * count;
    request->moved_ns = clock_now_ns();
    if (is_success(request->last.status)) {
        if (!request->has_left && !request->has_body)
            keep_hub_headers(request);
        request->has_body = true;
        return request->on_body && !request->on_body(request, bytes, len) ? 0 : len;
    }
    size_t room = ERROR_BODY_SIZE - request->error_body_len;
    size_t taken = len < room ? len : room;
    memcpy(request->error_body + request->error_body_len, bytes, taken);
    request->error_body_len += taken;
    return len;
}

// ---- One hop ----

static void set_proxy(const Registry *registry, CURL *easy, const char *url) {
    bool is_https = strncasecmp(url, "https:", 6) == 0;
    const char *proxy = is_https ? registry->proxy_https : registry->proxy_http;
    // An empty name keeps libcurl from reading the environment by rules of its own.
    curl_easy_setopt(easy, CURLOPT_PROXY, proxy ? proxy : "");
    curl_easy_setopt(easy, CURLOPT_NOPROXY, registry->no_proxy ? registry->no_proxy : "");
    curl_easy_setopt(easy, CURLOPT_SUPPRESS_CONNECT_HEADERS, 1L);
}

static unsigned timeout_s(const NetRequest *request) {
    const Registry *registry = request->net->registry;
    return request->is_content ? registry->download_timeout_s : registry->api_timeout_s;
}

static void set_limits(const NetRequest *request, CURL *easy) {
    curl_easy_setopt(easy, CURLOPT_CONNECTTIMEOUT, (long)timeout_s(request));
    if (!request->is_content)
        curl_easy_setopt(easy, CURLOPT_TIMEOUT, (long)API_TOTAL_S);
}

static bool add_header(NetRequest *request, const char *line) {
    struct curl_slist *list = curl_slist_append(request->header_list, line);
    if (list)
        request->header_list = list;
    return list != NULL;
}

// False when out of memory. The token's copy is wiped: libcurl keeps one of its own while it must.
static bool set_headers(NetRequest *request, CURL *easy) {
    const Registry *registry = request->net->registry;
    bool is_good = add_header(request, "Accept-Encoding: identity");
    if (registry->token && net_may_carry_token(registry, request->hop)) {
        size_t size = strlen(registry->token) + 32;
        char *line = mem_alloc(size);
        if (!line)
            return false;
        snprintf(line, size, "Authorization: Bearer %s", registry->token);
        is_good = is_good && add_header(request, line);
        explicit_bzero(line, size);
        mem_free(line);
    }
    curl_easy_setopt(easy, CURLOPT_HTTPHEADER, (struct curl_slist *)request->header_list);
    return is_good;
}

static void drop_hop(NetRequest *request) {
    if (request->easy) {
        curl_multi_remove_handle(request->net->multi, request->easy);
        curl_easy_cleanup(request->easy);
        request->easy = NULL;
    }
    curl_slist_free_all(request->header_list);
    request->header_list = NULL;
}

static bool start_hop(NetRequest *request) {
    Net *net = request->net;
    const Registry *registry = net->registry;
    CURL *easy = curl_easy_init();
    if (!easy)
        return false;
    request->easy = easy;
    bool is_private;
    request->has_left = !is_endpoint(registry, request->hop, &is_private);
    answer_header(&request->last, SV("HTTP/ 0"));
    request->error_body_len = 0;
    request->has_body = false;
    request->moved_ns = clock_now_ns();
    request->failure_text[0] = '\0';
    if (!set_headers(request, easy))
        return false;
    curl_easy_setopt(easy, CURLOPT_URL, request->hop);
    curl_easy_setopt(easy, CURLOPT_PRIVATE, request);
    curl_easy_setopt(easy, CURLOPT_NOSIGNAL, 1L);
    curl_easy_setopt(easy, CURLOPT_FOLLOWLOCATION, 0L);
    curl_easy_setopt(easy, CURLOPT_PROTOCOLS_STR, "http,https");
    curl_easy_setopt(easy, CURLOPT_SSLVERSION, (long)CURL_SSLVERSION_TLSv1_2);
    curl_easy_setopt(easy, CURLOPT_USERAGENT, net->agent);
    curl_easy_setopt(easy, CURLOPT_BUFFERSIZE, (long)RECEIVE_BUFFER);
    curl_easy_setopt(easy, CURLOPT_ERRORBUFFER, request->failure_text);
    curl_easy_setopt(easy, CURLOPT_HEADERFUNCTION, on_header);
    curl_easy_setopt(easy, CURLOPT_HEADERDATA, request);
    curl_easy_setopt(easy, CURLOPT_WRITEFUNCTION, on_bytes);
    curl_easy_setopt(easy, CURLOPT_WRITEDATA, request);
    if (registry->ca_file)
        curl_easy_setopt(easy, CURLOPT_CAINFO, registry->ca_file);
    if (registry->ca_dir)
        curl_easy_setopt(easy, CURLOPT_CAPATH, registry->ca_dir);
    set_proxy(registry, easy, request->hop);
    set_limits(request, easy);
    if (request->is_head)
        curl_easy_setopt(easy, CURLOPT_NOBODY, 1L);
    char range[32];
    snprintf(range, sizeof range, "%llu-", (unsigned long long)request->range_from);
    if (request->range_from > 0)
        curl_easy_setopt(easy, CURLOPT_RANGE, range);
    return curl_multi_add_handle(net->multi, easy) == CURLM_OK;
}

// ---- The end of a hop ----

static void finish(NetRequest *request, NetFailure failure) {
    Net *net = request->net;
    drop_hop(request);
    request->failure = failure;
    for (NetRequest **link = &net->active; *link; link = &(*link)->next)
        if (*link == request) {
            *link = request->next;
            break;
        }
    request->next = net->finished;
    net->finished = request;
}

static NetFailure failure_of(CURL *easy, CURLcode code) {
    long connect_status = 0;
    curl_easy_getinfo(easy, CURLINFO_HTTP_CONNECTCODE, &connect_status);
    switch (code) {
    case CURLE_OK:
        return NET_OK;
    case CURLE_WRITE_ERROR:
        return NET_STOPPED;
    case CURLE_OUT_OF_MEMORY:
        return NET_MEMORY;
    case CURLE_COULDNT_CONNECT:
    case CURLE_OPERATION_TIMEDOUT:
    case CURLE_RECV_ERROR:
    case CURLE_SEND_ERROR:
    case CURLE_GOT_NOTHING:
    case CURLE_PARTIAL_FILE:
    case CURLE_HTTP2:
    case CURLE_HTTP2_STREAM:
        return connect_status >= 400 ? NET_FATAL : NET_RETRY;
    default:
        return NET_FATAL;
    }
}

static void describe_failure(NetRequest *request, CURLcode code) {
    char host[224];
    host_text(host, sizeof host, request->hop);
    const char *text = request->failure_text[0] ? request->failure_text : curl_easy_strerror(code);
    snprintf(request->detail, sizeof request->detail, "%.150s: %.150s", host, text);
}

// The next address of a redirect, or NULL with `failure` set: NET_OK when it is not to be followed.
static char *next_hop(NetRequest *request, NetFailure *failure) {
    *failure = NET_OK;
    const HubHeaders *last = &request->last;
    char host[224];
    host_text(host, sizeof host, request->hop);
    if (!last->location[0] && !last->is_address_cut)
        return NULL;
    CURLU *parts = curl_url();
    char *joined = NULL;
    if (parts && !last->is_address_cut &&
        curl_url_set(parts, CURLUPART_URL, request->hop, 0) == CURLUE_OK &&
        curl_url_set(parts, CURLUPART_URL, last->location, 0) == CURLUE_OK)
        curl_url_get(parts, CURLUPART_URL, &joined, 0);
    curl_url_cleanup(parts);
    bool was_secret = strncmp(request->hop, "https:", 6) == 0;
    bool is_private = false;
    bool is_own = joined && is_endpoint(request->net->registry, joined, &is_private);
    const char *fault = NULL;
    if (!joined || !net_is_address(joined))
        fault = "redirects to an address that cannot be used";
    else if (request->is_head && !is_own)
        fault = ""; // a HEAD wants the endpoint's own answer, which this is
    else if (was_secret && strncmp(joined, "https:", 6) != 0)
        fault = "redirects from https to http";
    else if (request->hops + 1 >= MAX_HOPS)
        fault = "redirects too often";
    char *copy = fault ? NULL : mem_strdup(joined);
    curl_free(joined);
    if (fault && fault[0]) {
        *failure = NET_FATAL;
        snprintf(request->detail, sizeof request->detail, "%.200s %s", host, fault);
    } else if (!fault && !copy) {
        *failure = NET_MEMORY;
    }
    return copy;
}

static void end_hop(NetRequest *request, CURLcode code) {
    NetFailure failure = failure_of(request->easy, code);
    if (!request->has_left)
        keep_hub_headers(request);
    // Some answers to a HEAD or behind a proxy end in an error although all was said.
    if (failure != NET_OK) {
        describe_failure(request, code);
        finish(request, failure);
        return;
    }
    char *hop = is_redirect(request->last.status) ? next_hop(request, &failure) : NULL;
    if (!hop) {
        finish(request, failure);
        return;
    }
    drop_hop(request);
    mem_free(request->hop);
    request->hop = hop;
    request->hops++;
    if (!start_hop(request))
        finish(request, NET_MEMORY);
}

// ---- The door ----

Status net_new(Net **out, const Registry *registry, Error *error) {
    *out = NULL;
    Net *net = mem_alloc_zero(1, sizeof *net);
    if (!net)
        return error_out_of_memory(error, sizeof *net);
    // Counted by libcurl, and safe from several threads since 7.84.
    if (curl_global_init(CURL_GLOBAL_DEFAULT) != CURLE_OK) {
        mem_free(net);
        return error_set(error, STATUS_INTERNAL, "libcurl cannot start");
    }
    net->registry = registry;
    net->multi = curl_multi_init();
    if (!net->multi) {
        net_free(net);
        return error_out_of_memory(error, sizeof *net);
    }
    curl_multi_setopt(net->multi, CURLMOPT_MAX_TOTAL_CONNECTIONS, (long)MAX_CONNECTIONS);
    struct utsname system;
    bool is_known = uname(&system) == 0;
    for (char *byte = system.sysname; is_known && *byte; byte++)
        *byte = (char)(*byte >= 'A' && *byte <= 'Z' ? *byte + 32 : *byte);
    snprintf(net->agent, sizeof net->agent, "gpux/%.60s; %.40s-%.40s", registry->version,
             is_known ? system.sysname : "unknown", is_known ? system.machine : "unknown");
    *out = net;
    return STATUS_OK;
}

void net_free(Net *net) {
    if (!net)
        return;
    while (net->active)
        net_cancel(net->active);
    while (net->finished)
        net_cancel(net->finished);
    curl_multi_cleanup(net->multi);
    curl_global_cleanup();
    mem_free(net);
}

Status net_start(Net *net, NetRequest *request, Error *error) {
    mem_free(request->hop);
    request->net = net;
    request->easy = NULL;
    request->header_list = NULL;
    request->hops = 0;
    request->failure = NET_OK;
    request->detail[0] = '\0';
    answer_header(&request->hub, SV("HTTP/ 0"));
    request->hop = mem_strdup(request->url);
    request->next = net->active;
    net->active = request;
    if (request->hop && start_hop(request))
        return STATUS_OK;
    net_cancel(request);
    return error_out_of_memory(error, strlen(request->url) + 1);
}

static NetRequest *take_finished(Net *net) {
    NetRequest *request = net->finished;
    if (request) {
        net->finished = request->next;
        request->next = NULL;
        mem_free(request->hop);
        request->hop = NULL;
        request->net = NULL;
    }
    return request;
}

// Nothing at all for the timeout is a stall. libcurl's own measure looks at the mean of some
// seconds, which is too slow to notice.
static void end_stalls(Net *net) {
    uint64_t now = clock_now_ns();
    NetRequest *next;
    for (NetRequest *request = net->active; request; request = next) {
        next = request->next;
        unsigned limit = timeout_s(request);
        if (now - request->moved_ns < (uint64_t)limit * 1000000000)
            continue;
        snprintf(request->failure_text, sizeof request->failure_text, "nothing came for %u s",
                 limit);
        describe_failure(request, CURLE_OPERATION_TIMEDOUT);
        finish(request, NET_RETRY);
    }
}

NetRequest *net_wait(Net *net, int timeout_ms) {
    uint64_t end = clock_now_ns() + (uint64_t)timeout_ms * 1000000;
    for (;;) {
        int running;
        curl_multi_perform(net->multi, &running);
        CURLMsg *message;
        int left;
        while ((message = curl_multi_info_read(net->multi, &left)) != NULL) {
            char *request = NULL;
            if (message->msg != CURLMSG_DONE)
                continue;
            CURLcode code = message->data.result;
            curl_easy_getinfo(message->easy_handle, CURLINFO_PRIVATE, &request);
            end_hop((NetRequest *)(void *)request, code);
        }
        end_stalls(net);
        if (net->finished)
            return take_finished(net);
        uint64_t now = clock_now_ns();
        if (now >= end)
            return NULL;
        curl_multi_poll(net->multi, NULL, 0, (int)((end - now) / 1000000) + 1, NULL);
    }
}

void net_cancel(NetRequest *request) {
    Net *net = request->net;
    if (!net)
        return;
    drop_hop(request);
    NetRequest **lists[2] = {&net->active, &net->finished};
    for (int i = 0; i < 2; i++)
        for (NetRequest **link = lists[i]; *link; link = &(*link)->next)
            if (*link == request) {
                *link = request->next;
                break;
            }
    mem_free(request->hop);
    request->hop = NULL;
    request->next = NULL;
    request->net = NULL;
}
