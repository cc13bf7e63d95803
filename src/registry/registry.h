// The door of registry/: models from elsewhere. A Registry knows one hub and one cache folder; it
// pulls models into the cache, lists and removes them, and asks the hub about them.
//
// A revision folder in the cache exists only when it is complete. Everything is built in
// <cache>/.staging and renamed into place, so that whenever a process dies, the cache holds the old
// copy or the new one, and the next pull resumes. The room converts nothing: pull calls the
// caller's `finish` on the staging folder just before publishing.
#ifndef GPUX_REGISTRY_REGISTRY_H
#define GPUX_REGISTRY_REGISTRY_H

#include "base/log.h"
#include "base/status.h"
#include "base/str.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

// ---- What went wrong, beyond the Status ----

// name, fixed value, exit code of the program. Append only.
#define REGISTRY_FAULT_TABLE(X)                                                                    \
    X(NONE, 0, 0)               /* the call succeeded */                                           \
    X(USAGE, 1, 2)              /* the caller contradicts itself */                                \
    X(NAME, 2, 1)               /* not a model id or registry that gpux knows */                   \
    X(MODEL_NOT_FOUND, 3, 2)    /* absent, or private and hidden; also not cached (remove) */      \
    X(REVISION_NOT_FOUND, 4, 2) /* the model exists, the branch, tag or commit does not */         \
    X(NETWORK, 5, 3)            /* no answer, or one that is not from a hub */                     \
    X(OFFLINE, 6, 3)            /* offline mode, and the cache has no copy */                      \
    X(AUTHENTICATION, 7, 4)     /* the token is wrong */                                           \
    X(GATED, 8, 4)              /* access must be asked for on the model's page */                 \
    X(FORBIDDEN, 9, 4)          /* the token is right but may not */                               \
    X(REGISTRY, 10, 1)          /* the hub answered with an error, or lied about a file */         \
    X(CONVERSION, 11, 5)        /* `finish` failed; the downloaded files wait in staging */        \
    X(LOCAL, 12, 1)             /* this machine: disk, permissions, memory */                      \
    X(IN_USE, 13, 1)            /* remove: somebody runs or pulls the model */                     \
    X(CANCELLED, 14, 130)       /* the progress callback said so; the next pull resumes */

typedef enum RegistryFault {
#define X(name, value, exit_code) REGISTRY_FAULT_##name = value,
    REGISTRY_FAULT_TABLE(X)
#undef X
} RegistryFault;

// The exit code that the table gives to `fault`.
int registry_exit_code(RegistryFault fault);
// What to tell the user besides the message (may have two lines), or NULL.
const char *registry_hint(RegistryFault fault);

// ---- The registry ----

typedef struct Registry Registry;

typedef struct RegistryOptions {
    const char *cache_dir; // cache root: never NULL
    const char *home;      // of this user, for credentials and token files; may be NULL
    const char *token;     // wins over every other token; NULL = by the documented order
    const char *version;   // of gpux, for the User-Agent; NULL = "unknown"
    bool is_offline;       // also by HF_HUB_OFFLINE, TRANSFORMERS_OFFLINE, GPUX_OFFLINE
    const Log *log;
    // Whether a model of this config.json `model_type` converts; NULL: nobody knows. For `info` and
    // `search`.
    bool (*supports)(void *ctx, const char *model_type);
    void *supports_ctx;
    // Instead of the process's environment, for tests. NULL = the real one.
    const char *(*env)(void *ctx, const char *name);
    void *env_ctx;
    unsigned second_ms; // how long a second of waiting before a retry lasts; 0 = 1000. For tests
} RegistryOptions;

// Reads the environment (HF_ENDPOINT, tokens, proxies, certificates, timeouts) and the token files
// once. STATUS_INVALID for an endpoint that is no http or https address or for a token with control
// characters. Touches neither network nor cache. Afterwards immutable, shared by any threads.
Status registry_open(Registry **out, const RegistryOptions *options, Error *error);
void registry_close(Registry *registry); // NULL is allowed

// ---- Pull ----

typedef enum PullStep {
    PULL_RESOLVED,   // commit and file list are known: files, total
    PULL_LOCK_WAIT,  // another process pulls this revision; again every 10 s
    PULL_RETRY_WAIT, // a wait before a retry begins: wait_s, file or NULL
    PULL_BYTES,      // bytes moved, or simply time passed: at most 10, at least 4 a second
    PULL_FILE_DONE,  // `file` is complete and verified, durable on disk
    PULL_FINISHING,  // `finish` is called next
    PULL_PUBLISHING, // the renaming into place follows
    PULL_PUBLISHED,  // the new copy stands; the old one is removed next
} PullStep;

typedef struct PullEvent {
    PullStep step;
    const char *commit;  // 40 hex digits
    const char *file;    // path inside the repository, or NULL. For PULL_BYTES one that moved, each
                         // in its turn
    uint64_t file_bytes; // of `file`, including what an earlier pull left
    uint64_t file_total;
    size_t files_done, files; // counts
    uint64_t bytes, total;    // of all files
    double rate;              // bytes per second, over the last seconds
    double wait_s;            // PULL_RETRY_WAIT, PULL_LOCK_WAIT: seconds waited so far or ahead
    bool is_from_disk;        // PULL_FILE_DONE: taken from a copy on this machine
} PullEvent;

typedef struct PullFacts {
    const char *model_id, *registry, *revision, *commit;
    const char *pipeline_tag; // of the hub, or NULL
    const char *source_format;
} PullFacts;

typedef struct PullOptions {
    const char *model;    // MODEL_ID in any documented spelling
    const char *registry; // NULL = by the id's prefix, else huggingface
    const char *revision; // NULL = by the id's suffix, else main
    const char *format;   // NULL or "auto", "safetensors", "pytorch", "onnx", "tensorflow", "gguf"
    int jobs;             // files at a time, 1 to 64; 0 = 8
    bool force;           // download everything again; the old copy serves until then
    bool all_files;
    // Told of every step, from the calling thread. Returning false cancels. May be NULL.
    bool (*progress)(void *ctx, const PullEvent *event);
    void *progress_ctx;
    // Makes the downloaded files in `folder` (absolute, in staging) a model: model.onnx, gpux.yml.
    // metadata.json is already there with what the hub said; keys that `finish` writes into it
    // survive. Any failure is REGISTRY_FAULT_CONVERSION, except STATUS_NO_SPACE,
    // STATUS_OUT_OF_MEMORY and STATUS_IO (LOCAL) and STATUS_CANCELLED. Verified files are kept
    // then. NULL: published as downloaded.
    Status (*finish)(void *ctx, const char *folder, const PullFacts *facts, Error *error);
    // Whether the cached copy in `folder` is what `finish` would make of it now. When not, it is
    // made again from the cached files. NULL: it always is.
    bool (*is_as_wanted)(void *ctx, const char *folder);
    void *finish_ctx;
} PullOptions;

// Pulls one model. `report` receives JSON {model_id, registry, revision, commit, path, format,
// task, files, size_bytes, downloaded_bytes, cached, pull_time_s, convert_time_s, total_time_s};
// `cached` is true when nothing had to be fetched or converted. When the network is down and the
// cache has a complete copy, that is success and one warning in the log. Messages are those of the
// documentation, one line, without "Error: ".
Status registry_pull(Buf *report, RegistryFault *fault, const Registry *registry,
                     const PullOptions *options, Error *error);

// ---- The cache ----

// JSON array of what is cached, by name and revision: each metadata.json (rebuilt where it is
// damaged) with "path" and "is_converted". `only`: one registry's name or NULL.
Status registry_list(Buf *report, const Registry *registry, const char *only, Error *error);

typedef struct RemoveOptions {
    const char *model;    // id in any spelling; NULL with `all`
    const char *revision; // NULL = all revisions
    bool all;             // every model of the cache
    bool force;           // even while a process holds it: that process keeps its mapped files
} RemoveOptions;

// Removes models and what is staged of them. `report`: JSON array of {model_id, revision,
// size_bytes}. REGISTRY_FAULT_MODEL_NOT_FOUND when there is nothing, REGISTRY_FAULT_IN_USE when one
// is held or being pulled; nothing is removed then.
Status registry_remove(Buf *report, RegistryFault *fault, const Registry *registry,
                       const RemoveOptions *options, Error *error);

// Deletes what no process will want again: replaced and removed copies, interrupted pulls without a
// change for max_age_s seconds, lock files that nobody holds; and what starts left in models'
// .gpux/ folders to be faster the next time. `report`: JSON {freed_bytes, removed: [names]}.
Status registry_prune(Buf *report, RegistryFault *fault, const Registry *registry,
                      uint64_t max_age_s, Error *error);
enum { REGISTRY_PRUNE_AGE_S = 7 * 24 * 3600 };

// A shared lock on a model's folder for as long as a process uses it: remove then refuses. Works on
// read-only caches and never waits. Returns a descriptor for registry_release, or -1 when the file
// system has no locks, which is no error.
int registry_hold(const char *folder);
void registry_release(int hold); // -1 is allowed

// ---- Questions to the hub ----

// What the hub says of a model without downloading it. `report`: JSON {model_id, registry,
// revision, commit, task, library, model_type, architectures, parameters, license, gated, private,
// disabled, tags, downloads, likes, last_modified, supported, files: [{path, size, needed}],
// size_bytes (what a pull would fetch), total_bytes, cached}.
Status registry_info(Buf *report, RegistryFault *fault, const Registry *registry, const char *model,
                     const char *revision, Error *error);

typedef struct SearchOptions {
    const char *query;
    const char *task;   // pipeline tag or NULL
    const char *sort;   // "downloads", "likes", "updated"; NULL = the hub's own order
    const char *author; // or NULL
    int limit;          // 1 to 1000; 0 = 10
} SearchOptions;

// `report`: JSON array of {model_id, task, downloads, likes, last_modified, model_type, gated,
// supported (true, false or null)}. Follows the hub's paging up to the limit.
Status registry_search(Buf *report, RegistryFault *fault, const Registry *registry,
                       const SearchOptions *options, Error *error);

// Asks the hub who a token belongs to and then stores it in <home>/.gpux/credentials.json, mode
// 0600, for this endpoint only. `report`: JSON {registry, endpoint, user}. A bad token is
// REGISTRY_FAULT_AUTHENTICATION, and nothing is stored.
Status registry_login(Buf *report, RegistryFault *fault, const Registry *registry,
                      const char *token, Error *error);
// Forgets the stored token. `report`: JSON {registry, was_logged_in}.
Status registry_logout(Buf *report, RegistryFault *fault, const Registry *registry, Error *error);

// JSON array of {name, aliases, endpoint, status}.
Status registry_names(Buf *report, const Registry *registry, Error *error);

#endif
