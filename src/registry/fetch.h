// What fetch.c and partial.c know of each other: one file under way.
#ifndef GPUX_REGISTRY_FETCH_H
#define GPUX_REGISTRY_FETCH_H

#include "registry/private.h"

typedef enum FetchState { FETCH_WAITING, FETCH_RUNNING, FETCH_DONE, FETCH_SKIPPED } FetchState;

// Why a file's own code stopped its transfer.
typedef enum StopReason {
    STOP_NONE,
    STOP_RANGE,   // the answer continues at another byte
    STOP_SIZE,    // more bytes than the file has
    STOP_NOT_HUB, // no X-Repo-Commit
    STOP_COMMIT,  // another commit
    STOP_ENCODED,
    STOP_DISK, // errno_value
} StopReason;

typedef struct Fetch Fetch;
typedef struct FetchFile {
    Fetch *fetch;
    HubFile *remote;
    FetchState state;
    char *partial; // path below the stage
    char *url;
    int fd; // of the partial, while running
    Hash *hash;
    uint64_t have; // bytes on disk and in the digest
    uint64_t best; // the most it ever was: more is progress
    Retry retry;
    uint64_t not_before;
    bool is_checked; // this answer's headers were looked at
    bool has_mismatched;
    bool has_moved; // since its last turn in PULL_BYTES
    bool wants_head;
    StopReason stop;
    int errno_value;
    NetRequest *request; // while running: it is large
} FetchFile;

struct Fetch {
    Call *call;
    Stage *stage;
    const ModelRef *ref;
    HubModel *model;
    const FetchOptions *options;
    uint64_t *downloaded;
    FetchFile *files;
    size_t count;
    int running;
    uint64_t hold_until;   // the hub asked everybody to wait
    const FetchFile *told; // whose turn it was last in PULL_BYTES
    uint64_t event_at;
    uint64_t rate_at, rate_bytes; // start of the present window
    double rate;
    bool is_cancelled;
};

static inline bool fetch_is_known(const HubFile *file) {
    return file->size >= 0 && file->hash[0];
}

static inline HashKind fetch_hash_kind(const HubFile *file) {
    return strlen(file->hash) == 64 ? HASH_SHA256 : HASH_GIT_BLOB;
}

static inline uint64_t fetch_size(const HubFile *file) {
    return file->size > 0 ? (uint64_t)file->size : 0;
}

// ---- fetch.c ----

void fetch_tell(Fetch *fetch, PullStep step, const FetchFile *file, bool is_from_disk);
void fetch_tell_bytes(Fetch *fetch); // when it is time

// ---- partial.c ----

// "<path>.<digest>.incomplete", once the digest is known.
Status partial_name(FetchFile *file);
// Notes how much an earlier pull left.
void partial_look(FetchFile *file);
// Opens it and brings the digest up to its end.
Status partial_open(FetchFile *file);
Status partial_start_over(FetchFile *file); // the file must be open
// False with stop and errno_value set when the disk refuses.
bool partial_write(FetchFile *file, const char *bytes, size_t len);
void partial_close(FetchFile *file);
// Uses a right copy in staging or in one of the seeds; a wrong one in staging is removed.
Status local_use_copy(FetchFile *file);
Status fetch_check_sizes(const Fetch *fetch);
// Compares what is still to come with the free space.
Status fetch_check_space(const Fetch *fetch);

#endif
