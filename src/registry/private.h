// What the files of registry/ know of each other.
#ifndef GPUX_REGISTRY_PRIVATE_H
#define GPUX_REGISTRY_PRIVATE_H

#include "base/hash.h"
#include "base/json.h"
#include "base/memory.h"
#include "registry/registry.h"

#define REGISTRY_NAME "huggingface"
#define METADATA_FILE "metadata.json"
#define CONFIG_FILE "gpux.yml"

// ---- registry.c: settings, and the context of one call ----

struct Registry {
    Arena arena;
    const char *cache_dir; // absolute
    const char *home;      // or NULL
    const char *version;
    const char *endpoint;    // without a trailing slash
    const char *token;       // or NULL
    const char *credentials; // <home>/.gpux/credentials.json, or NULL
    const char *hub_cache;   // an existing hub cache's folder (it may be absent), or NULL
    const char *ca_file, *ca_dir;
    const char *proxy_http, *proxy_https, *no_proxy;
    bool is_offline;
    unsigned api_timeout_s, download_timeout_s;
    unsigned second_ms;
    const Log *log;
    bool (*supports)(void *ctx, const char *model_type);
    void *supports_ctx;
};

// One call from outside: where its fault and message go, and whom to tell that time passes.
typedef struct Net Net;
typedef struct Call {
    const Registry *registry;
    Error *error;
    RegistryFault fault;
    Net *net; // made by the first request
    // Told about waits and, between events, at least 4 times a second; false cancels. May be NULL.
    bool (*tick)(void *ctx, PullStep step, const char *file, double wait_s);
    void *tick_ctx;
    char warned[256]; // topics of the hub's warnings that were passed on, each between '|'
} Call;

// Notes the fault and the message; returns `status`.
__attribute__((format(printf, 4, 5))) Status call_fail(Call *call, RegistryFault fault,
                                                       Status status, const char *format, ...);
// For a status whose message is already in call->error.
Status call_failed(Call *call, RegistryFault fault, Status status);
Status call_out_of_memory(Call *call);
// Frees what the call holds and gives the fault: NONE for STATUS_OK, LOCAL where nobody named one.
void call_end(Call *call, RegistryFault *fault, Status status);
Status call_cancelled(Call *call);

// ---- reference.c: model ids, revisions, and their names in folders and addresses ----

enum { MODEL_ID_SIZE = 200, REVISION_SIZE = 256, FOLDER_NAME_SIZE = 256 };

typedef struct ModelRef {
    char id[MODEL_ID_SIZE];       // "name" or "namespace/name"
    char revision[REVISION_SIZE]; // "main" by default
    bool has_revision;            // written by the user
} ModelRef;

// `registry` and `revision` may be NULL.
Status reference_parse(ModelRef *out, Call *call, const char *text, const char *registry,
                       const char *revision);
// NULL when `id` follows the grammar, else the rule it breaks.
const char *model_id_rule(StrView id);
const char *revision_rule(StrView revision);
bool is_commit(const char *text); // 40 hex digits
bool is_hex(StrView text);        // lower-case, not empty
// "org/name" to "org--name" and back.
void id_to_folder(char out[MODEL_ID_SIZE], const char *id);
bool id_from_folder(char out[MODEL_ID_SIZE], const char *folder);
// Bytes outside [A-Za-z0-9._-] as %XX. False when the result does not fit.
bool revision_to_folder(char out[FOLDER_NAME_SIZE], const char *revision);
bool revision_from_folder(char out[REVISION_SIZE], const char *folder);
void append_encoded(Buf *out, const char *text, bool keep_slash);

// ---- answer.c: the hub's headers and JSON, as data of unknown honesty ----

enum { ADDRESS_SIZE = 8192, LIMIT_UNKNOWN = -1 };

// What an answer's headers say. Numbers are LIMIT_UNKNOWN, texts empty when absent.
typedef struct HubHeaders {
    int status;
    char commit[41];
    char
        etag[HASH_TEXT_SIZE]; // of the content: X-Linked-Etag, else ETag; empty unless 40 or 64 hex
    bool is_etag_linked;
    int64_t linked_size, content_length;
    int64_t range_start, range_total;
    char location[ADDRESS_SIZE];
    char next[ADDRESS_SIZE]; // Link: <…>; rel="next"
    bool is_address_cut;     // location or next did not fit
    char error_code[64];
    char error_message[384];
    char request_id[128];
    char warning[512];
    int64_t retry_after_s;
    int64_t limit_left, limit_reset_s; // RateLimit: r, t
    bool is_encoded;                   // Content-Encoding other than identity
} HubHeaders;

// Takes one header line. A status line ("HTTP/1.1 200 OK") starts a new answer and clears all.
void answer_header(HubHeaders *headers, StrView line);

typedef struct HubFile {
    const char *path;          // relative, checked: no "..", no empty part, no control characters
    int64_t size;              // LIMIT_UNKNOWN when the listing does not say
    char hash[HASH_TEXT_SIZE]; // 64 hex: sha256; 40 hex: git blob; empty: unknown
    bool is_needed;            // this pull wants it
    bool is_optional;          // ... but does without
    bool is_verified;          // this pull has it
} HubFile;

// A model as the hub describes it.
typedef struct HubModel {
    Arena arena;
    JsonDoc *doc;
    const JsonValue *root;
    const char *id; // as the hub spells it; differs from what was asked for when it was renamed
    char commit[41];
    const char *pipeline_tag; // or NULL
    HubFile *files;           // sorted by path, without duplicates
    size_t file_count;
} HubModel;

// Zero-initialise `out`; free with hub_model_free, whatever the result. STATUS_CORRUPT for what is
// no answer of a hub, STATUS_LIMIT, STATUS_INVALID for a path that leads outside.
Status answer_model(HubModel *out, StrView json, Error *error);
void hub_model_free(HubModel *model);
HubFile *hub_model_find(const HubModel *model, const char *path);
// Adds sizes and hashes from one page of the tree listing to files that are known.
Status answer_tree(HubModel *model, StrView json, Error *error);
// Whether a path from the hub may become a file of ours.
bool is_safe_path(StrView path);

// ---- needed.c: which files a pull wants ----

// Marks them and says the format of the weights ("safetensors", …; "unknown" with all_files when
// there are none). STATUS_INVALID for an unknown format, STATUS_NOT_FOUND without weights.
Status needed_mark(HubModel *model, const char **source_format, const char *format, bool all_files,
                   Error *error);
// The index of sharded weights that needed_mark wanted, or NULL: its shards must be marked too.
const char *needed_index(const HubModel *model);
// Marks the shards that an index names. STATUS_CORRUPT for one that is not in the listing.
Status needed_mark_shards(HubModel *model, StrView index, Error *error);

// ---- download.c: HTTP, and nothing else; the only file that knows libcurl ----

typedef enum NetFailure {
    NET_OK,      // an answer came, of whatever status
    NET_RETRY,   // connect, reset, timeout: may work in a moment
    NET_FATAL,   // TLS, name resolution, proxy, a redirect that must not be followed
    NET_STOPPED, // on_body returned false
    NET_MEMORY,
} NetFailure;

enum { ERROR_BODY_SIZE = 512, NET_DETAIL_SIZE = 320 };

typedef struct NetRequest NetRequest;
struct NetRequest {
    // The caller's, before net_start. The address is copied.
    const char *url;
    bool is_head;        // redirects are followed on the same host only
    bool is_content;     // the longer timeout
    uint64_t range_from; // 0 = everything
    void *ctx;
    bool (*on_body)(NetRequest *request, const void *bytes, size_t len); // of a 2xx answer only
    // The results, once net_wait returned the request. `last` is valid during on_body.
    NetFailure failure;
    char detail[NET_DETAIL_SIZE]; // for a message: names the host, never an address's query
    HubHeaders hub;               // of the endpoint's own last answer; keeps what earlier hops said
    HubHeaders last;
    bool has_left; // `last` came from another host, or none came from there
    char error_body[ERROR_BODY_SIZE];
    size_t error_body_len;
    // download.c's own
    Net *net;
    void *easy, *header_list;
    char *hop;
    int hops;
    bool has_body;
    uint64_t moved_ns; // when the last byte came
    NetRequest *next;
    char failure_text[256];
};

Status net_new(Net **out, const Registry *registry, Error *error);
void net_free(Net *net); // also drops requests that are under way
Status net_start(Net *net, NetRequest *request, Error *error);
// Moves bytes for at most `timeout_ms`; a finished request, or NULL. A finished request can be
// started again.
NetRequest *net_wait(Net *net, int timeout_ms);
void net_cancel(NetRequest *request); // safe on a request that is not under way
// Whether `url` is an http or https address without user and password.
bool net_is_address(const char *url);
// Whether a token may travel to `url`: the endpoint's own scheme, host and port, and https or a
// loopback host.
bool net_may_carry_token(const Registry *registry, const char *url);

// ---- hub.c: requests with the documented retries and meanings ----

typedef struct Retry {
    int failures;
} Retry;
// Seconds (of second_ms) to wait before the next attempt, or negative when there were enough.
double retry_wait(Retry *retry, const HubHeaders *headers);
bool is_retry_status(int status);
// Waits with ticks; STATUS_CANCELLED when a tick says so.
Status call_wait(Call *call, double seconds, const char *file);
Status call_net(Call *call); // makes call->net
uint64_t call_second_ns(const Call *call);
// Turns a final answer that is no success into the call's fault. `file`: NULL for the model itself.
Status hub_refused(Call *call, const ModelRef *ref, const NetRequest *request, const char *file);
Status hub_unreachable(Call *call, const NetRequest *request);
void hub_note(Call *call, const NetRequest *request); // X-HF-Warning and X-Request-Id to the log

// GET of an address below the endpoint, at most `max` bytes. `ref` may be NULL. *next (may be NULL)
// is the next page's address as a heap string or NULL.
Status hub_get(Buf *out, Call *call, const ModelRef *ref, const char *url, char **next);
// Resolves the revision and lists the files, with sizes and hashes where the hub has them.
Status hub_model(HubModel *out, Call *call, const ModelRef *ref);

// ---- tree.c: folders, without ever following a link ----

// Opens the folder that holds `path` below `fd`, making what is missing; *name is the last part.
// Returns a descriptor or -1 with errno.
int tree_open_parent(int fd, const char *path, const char **name, bool may_make);
int tree_open_file(int fd, const char *path, int flags);
// Removes name below fd with all that is in it; adds the bytes to *freed (may be NULL). errno or 0.
int tree_remove(int fd, const char *name, uint64_t *freed);
int tree_sync(int fd); // every file and folder; errno or 0
// Calls visit for every regular file, with its path below fd; stops at the first non-OK.
typedef Status (*TreeVisit)(void *ctx, const char *path, uint64_t size, int64_t mtime_ns);
Status tree_walk(int fd, TreeVisit visit, void *ctx, Error *error);

// ---- cache.c: locks, staging, publishing ----

typedef struct Stage {
    Arena arena;
    const char *cache_dir;
    const char *key;    // <registry>--<id>--<rev>, also of the lock
    const char *path;   // <cache>/.staging/<key>
    const char *parent; // <cache>/<registry>/<id>
    const char *target; // <parent>/<rev>
    int fd;             // of path, or -1
    int lock;           // or -1
} Stage;

Status cache_names(Stage *out, Call *call, const ModelRef *ref);
// Takes the writer's lock of this revision; *has_waited: another process had it.
Status cache_lock(Stage *stage, Call *call, bool *has_waited);
// Makes the staging folder and opens it.
Status cache_open(Stage *stage, Call *call);
// Deletes everything in staging that `is_wanted` does not want.
Status cache_sweep(Stage *stage, Call *call, bool (*is_wanted)(void *ctx, const char *path),
                   void *ctx);
// Syncs the staging folder and renames it into place; the old copy then lies in staging.
Status cache_publish(Stage *stage, Call *call);
void cache_clean(Stage *stage); // removes what lies in staging
void cache_close(Stage *stage);
// Tries the lock of any key without waiting: a descriptor, -1 when somebody has it or it cannot be.
int cache_try_lock(const char *cache_dir, const char *key);
// Brings back what a publish without exchange-rename left half way.
void cache_mend(const Stage *stage);
Status cache_no_space(Call *call, const char *path, uint64_t need);
Status cache_errno(Call *call, int errno_value, const char *what, const char *path);
void size_text(char out[32], uint64_t bytes); // "1.5 GB"

// ---- metadata.c: metadata.json ----

typedef struct Metadata {
    const ModelRef *ref;
    const HubModel *model;
    const char *source_format;
    double pull_time_s, convert_time_s;
    bool has_finished; // false before `finish`
} Metadata;

// Merges what `finish` wrote with what the hub said, over the files that are in the folder now.
Status metadata_write(const Stage *stage, Call *call, const Metadata *metadata,
                      uint64_t *size_bytes, size_t *files);
// What a cached revision says of itself; a damaged or absent file is rebuilt from the folder.
Status metadata_show(JsonWriter *writer, const char *folder, const ModelRef *ref, Error *error);
typedef struct CachedCopy {
    bool exists, is_converted;
    char commit[41]; // empty when unknown
    char task[64], format[32];
    uint64_t size_bytes, files;
} CachedCopy;
Status metadata_look(CachedCopy *out, const char *folder, Error *error);

// ---- fetch.c: files, in parallel, resumed and verified ----

typedef struct FetchOptions {
    int jobs;
    const char *seeds[3]; // folders that may hold the same files; NULL ends
    bool (*event)(void *ctx, const PullEvent *event);
    void *event_ctx;
} FetchOptions;
// Fetches every needed file into the stage that is not complete there; adds the bytes that came
// over the network to *downloaded. May be called again when more files are needed.
Status fetch_files(uint64_t *downloaded, Call *call, Stage *stage, const ModelRef *ref,
                   HubModel *model, const FetchOptions *options);

// ---- account.c ----

// The token of credentials.json for this endpoint, in the arena, or NULL.
const char *credentials_token(Arena *arena, const char *path, const char *endpoint);

#endif
