// One pull from the model's name to the published folder: resolve, lock, fetch, finish, publish.
//
// The order is the safety: the commit is fixed before the first file, the lock is held before
// staging is touched, and nothing of the present copy changes before the new one is whole.
#include "registry/private.h"

#include "base/clock.h"
#include "base/file.h"

#include <fcntl.h>
#include <stdio.h>
#include <unistd.h>

enum { INDEX_MAX = 64 << 20 };

typedef struct Pull {
    Call call;
    const PullOptions *options;
    ModelRef ref;
    HubModel model;
    Stage stage;
    CachedCopy cached;
    const char *source_format;
    uint64_t downloaded;
    uint64_t started_ns;
    double pull_s, convert_s;
    char snapshot[4096]; // of an existing hub cache
} Pull;

static double seconds_since(uint64_t start_ns) {
    return (double)(clock_now_ns() - start_ns) * 1e-9;
}

// ---- Telling ----

static bool tell(Pull *pull, const PullEvent *event) {
    const PullOptions *options = pull->options;
    return !options->progress || options->progress(options->progress_ctx, event);
}

static bool on_event(void *ctx, const PullEvent *event) {
    return tell(ctx, event);
}

static bool on_tick(void *ctx, PullStep step, const char *file, double wait_s) {
    Pull *pull = ctx;
    if (step == PULL_LOCK_WAIT)
        log_message(pull->call.registry->log, LOG_INFO, "Waiting for another gpux process…");
    PullEvent event = {.step = step, .commit = pull->model.commit, .file = file, .wait_s = wait_s};
    return tell(pull, &event);
}

static Status tell_step(Pull *pull, PullStep step) {
    PullEvent event = {.step = step, .commit = pull->model.commit};
    for (size_t i = 0; i < pull->model.file_count; i++) {
        const HubFile *file = &pull->model.files[i];
        event.files += file->is_needed;
        event.total += file->is_needed && file->size > 0 ? (uint64_t)file->size : 0;
    }
    if (step >= PULL_FINISHING) {
        event.files_done = event.files;
        event.bytes = event.total;
    }
    return tell(pull, &event) ? STATUS_OK : call_cancelled(&pull->call);
}

// ---- What is there ----

static Status look(Pull *pull) {
    return call_failed(&pull->call, REGISTRY_FAULT_LOCAL,
                       metadata_look(&pull->cached, pull->stage.target, pull->call.error));
}

static bool is_as_wanted(const Pull *pull) {
    const PullOptions *options = pull->options;
    return !options->is_as_wanted || options->is_as_wanted(options->finish_ctx, pull->stage.target);
}

// A copy that a caller can use as it is.
static bool is_usable(const Pull *pull) {
    const CachedCopy *cached = &pull->cached;
    bool is_finished = cached->is_converted || !pull->options->finish;
    return cached->exists && is_finished && !pull->options->force && is_as_wanted(pull);
}

static bool is_current(const Pull *pull) {
    return is_usable(pull) && strcmp(pull->cached.commit, pull->model.commit) == 0;
}

static Status offline(Pull *pull, bool *is_done) {
    *is_done = pull->cached.exists && (pull->cached.is_converted || !pull->options->finish);
    if (*is_done && !is_as_wanted(pull))
        log_message(pull->call.registry->log, LOG_WARNING,
                    "Offline mode is enabled: model '%s' stays as it was converted", pull->ref.id);
    if (*is_done)
        return STATUS_OK;
    return call_fail(&pull->call, REGISTRY_FAULT_OFFLINE, STATUS_NOT_FOUND,
                     "Offline mode is enabled and model '%s' is not cached", pull->ref.id);
}

static bool is_network_down(const Pull *pull) {
    return pull->call.fault == REGISTRY_FAULT_NETWORK;
}

static Status mark_needed(Pull *pull) {
    Call *call = &pull->call;
    Status status = needed_mark(&pull->model, &pull->source_format, pull->options->format,
                                pull->options->all_files, call->error);
    if (status == STATUS_OK || status == STATUS_OUT_OF_MEMORY)
        return call_failed(call, REGISTRY_FAULT_LOCAL, status);
    char why[ERROR_MESSAGE_SIZE];
    snprintf(why, sizeof why, "%s", call->error ? call->error->message : "");
    if (status == STATUS_INVALID)
        return call_fail(call, REGISTRY_FAULT_USAGE, status, "%.900s", why);
    return call_fail(call, REGISTRY_FAULT_REGISTRY, status, "Registry error: %.900s", why);
}

static Status resolve(Pull *pull) {
    hub_model_free(&pull->model);
    TRY(hub_model(&pull->model, &pull->call, &pull->ref));
    if (pull->model.id && strcmp(pull->model.id, pull->ref.id) != 0)
        log_message(pull->call.registry->log, LOG_INFO, "'%s' is now called '%s' on the hub",
                    pull->ref.id, pull->model.id);
    return mark_needed(pull);
}

// ---- Staging ----

static bool is_wanted(void *ctx, const char *path) {
    const HubModel *model = ctx;
    if (hub_model_find(model, path))
        return hub_model_find(model, path)->is_needed;
    // "<path>.<digest>.incomplete"
    char text[4096];
    size_t len = strlen(path);
    static const char END[] = ".incomplete";
    if (len >= sizeof text || len < sizeof END || strcmp(path + len - (sizeof END - 1), END) != 0)
        return false;
    memcpy(text, path, len - (sizeof END - 1));
    text[len - (sizeof END - 1)] = '\0';
    char *dot = strrchr(text, '.');
    if (!dot)
        return false;
    *dot = '\0';
    const HubFile *file = hub_model_find(model, text);
    // A digest that is not known yet: a HEAD will tell, so keep what is there. A shard's turn comes
    // once its index is read.
    return file && (!file->hash[0] || strcmp(file->hash, dot + 1) == 0);
}

static bool is_complete_file(void *ctx, const char *path) {
    const HubModel *model = ctx;
    const HubFile *file = hub_model_find(model, path);
    return file && file->is_needed;
}

static Status read_index(Pull *pull, const char *path) {
    Call *call = &pull->call;
    char *full = path_join(pull->stage.path, path);
    if (!full)
        return call_out_of_memory(call);
    Buf text = BUF_INIT(INDEX_MAX);
    Status status = file_read(&text, full, INDEX_MAX, call->error);
    if (status == STATUS_OK)
        status = needed_mark_shards(&pull->model, sv_n(text.ptr, text.len), call->error);
    if (status != STATUS_OK) {
        char why[ERROR_MESSAGE_SIZE];
        snprintf(why, sizeof why, "%s", call->error ? call->error->message : "");
        call_failed(call, REGISTRY_FAULT_REGISTRY, status);
        if (status != STATUS_OUT_OF_MEMORY)
            call_fail(call, REGISTRY_FAULT_REGISTRY, status, "Registry error: %.200s: %.700s", path,
                      why);
    }
    buf_free(&text);
    mem_free(full);
    return status;
}

// Where the same files may already be on this machine.
static void find_seeds(Pull *pull, FetchOptions *options) {
    size_t count = 0;
    const Registry *registry = pull->call.registry;
    if (pull->options->force)
        return;
    if (pull->cached.exists)
        options->seeds[count++] = pull->stage.target;
    char id[MODEL_ID_SIZE];
    id_to_folder(id, pull->ref.id);
    int len = registry->hub_cache
                  ? snprintf(pull->snapshot, sizeof pull->snapshot, "%s/models--%s/snapshots/%s",
                             registry->hub_cache, id, pull->model.commit)
                  : -1;
    if (len > 0 && (size_t)len < sizeof pull->snapshot && file_is_dir(pull->snapshot))
        options->seeds[count++] = pull->snapshot;
}

static Status fetch(Pull *pull) {
    Call *call = &pull->call;
    FetchOptions options = {.jobs = pull->options->jobs, .event = on_event, .event_ctx = pull};
    find_seeds(pull, &options);
    if (pull->options->force)
        cache_clean(&pull->stage);
    TRY(cache_open(&pull->stage, call));
    TRY(cache_sweep(&pull->stage, call, is_wanted, &pull->model));
    TRY(fetch_files(&pull->downloaded, call, &pull->stage, &pull->ref, &pull->model, &options));
    const char *index = needed_index(&pull->model);
    if (index) {
        TRY(read_index(pull, index));
        TRY(fetch_files(&pull->downloaded, call, &pull->stage, &pull->ref, &pull->model, &options));
    }
    return cache_sweep(&pull->stage, call, is_complete_file, &pull->model);
}

// ---- Finishing ----

static RegistryFault finish_fault(Status status) {
    switch (status) {
    case STATUS_IO:
    case STATUS_NO_SPACE:
    case STATUS_OUT_OF_MEMORY:
        return REGISTRY_FAULT_LOCAL;
    case STATUS_CANCELLED:
        return REGISTRY_FAULT_CANCELLED;
    default:
        return REGISTRY_FAULT_CONVERSION;
    }
}

static Status finish(Pull *pull) {
    Call *call = &pull->call;
    const PullOptions *options = pull->options;
    uint64_t bytes;
    size_t files;
    Metadata metadata = {.ref = &pull->ref,
                         .model = &pull->model,
                         .source_format = pull->source_format,
                         .pull_time_s = pull->pull_s};
    TRY(metadata_write(&pull->stage, call, &metadata, &bytes, &files));
    if (options->finish) {
        PullFacts facts = {.model_id = pull->ref.id,
                           .registry = REGISTRY_NAME,
                           .revision = pull->ref.revision,
                           .commit = pull->model.commit,
                           .pipeline_tag = pull->model.pipeline_tag,
                           .source_format = pull->source_format};
        TRY(tell_step(pull, PULL_FINISHING));
        uint64_t start = clock_now_ns();
        Status status = options->finish(options->finish_ctx, pull->stage.path, &facts, call->error);
        pull->convert_s = seconds_since(start);
        if (status != STATUS_OK) {
            call->fault = finish_fault(status);
            if (call->fault == REGISTRY_FAULT_CONVERSION)
                error_prefix(call->error, status, "Conversion failed");
            return status;
        }
    }
    metadata.convert_time_s = pull->convert_s;
    metadata.has_finished = true;
    return metadata_write(&pull->stage, call, &metadata, &bytes, &files);
}

// ---- The whole ----

static Status write_report(Buf *report, Pull *pull, bool was_cached) {
    TRY(look(pull));
    const CachedCopy *cached = &pull->cached;
    JsonWriter writer = json_writer(report, 2);
    json_begin_object(&writer);
    json_key(&writer, "model_id");
    json_write_cstr(&writer, pull->ref.id);
    json_key(&writer, "registry");
    json_write_cstr(&writer, REGISTRY_NAME);
    json_key(&writer, "revision");
    json_write_cstr(&writer, pull->ref.revision);
    json_key(&writer, "commit");
    json_write_cstr(&writer, cached->commit[0] ? cached->commit : NULL);
    json_key(&writer, "path");
    json_write_cstr(&writer, pull->stage.target);
    json_key(&writer, "format");
    json_write_cstr(&writer, cached->format);
    json_key(&writer, "task");
    json_write_cstr(&writer, cached->task[0] ? cached->task : NULL);
    json_key(&writer, "files");
    json_write_u64(&writer, cached->files);
    json_key(&writer, "size_bytes");
    json_write_u64(&writer, cached->size_bytes);
    json_key(&writer, "downloaded_bytes");
    json_write_u64(&writer, pull->downloaded);
    json_key(&writer, "cached");
    json_write_bool(&writer, was_cached);
    json_key(&writer, "pull_time_s");
    json_write_fixed(&writer, pull->pull_s, 3);
    json_key(&writer, "convert_time_s");
    json_write_fixed(&writer, pull->convert_s, 3);
    json_key(&writer, "total_time_s");
    json_write_fixed(&writer, seconds_since(pull->started_ns), 3);
    json_end_object(&writer);
    return call_failed(&pull->call, REGISTRY_FAULT_LOCAL, buf_status(report, pull->call.error));
}

// Decides whether the cache already has what was asked for; asks the hub when it may.
static Status is_up_to_date(Pull *pull, bool *is_done) {
    Call *call = &pull->call;
    *is_done = is_commit(pull->ref.revision) && is_usable(pull);
    if (*is_done)
        return STATUS_OK;
    if (call->registry->is_offline)
        return offline(pull, is_done);
    Status status = resolve(pull);
    if (status != STATUS_OK && is_network_down(pull) && is_usable(pull)) {
        log_message(call->registry->log, LOG_WARNING, "%s; the cached copy is used",
                    call->error ? call->error->message : "Network error");
        *is_done = true;
        return STATUS_OK;
    }
    TRY(status);
    *is_done = is_current(pull);
    return *is_done ? STATUS_OK : tell_step(pull, PULL_RESOLVED);
}

static Status pull_locked(Pull *pull, bool *was_cached) {
    Call *call = &pull->call;
    TRY(fetch(pull));
    pull->pull_s = seconds_since(pull->started_ns);
    TRY(finish(pull));
    TRY(tell_step(pull, PULL_PUBLISHING));
    TRY(cache_publish(&pull->stage, call));
    // Too late to cancel: the new copy stands.
    tell_step(pull, PULL_PUBLISHED);
    cache_clean(&pull->stage);
    *was_cached = false;
    return STATUS_OK;
}

// A process that died just after publishing left the old copy in staging.
static void tidy(Pull *pull) {
    Stage *stage = &pull->stage;
    if (!is_current(pull) || !file_is_dir(stage->path))
        return;
    int lock = cache_try_lock(stage->cache_dir, stage->key);
    if (lock < 0)
        return;
    cache_clean(stage);
    close(lock);
}

static Status pull_model(Pull *pull, bool *was_cached) {
    Call *call = &pull->call;
    const PullOptions *options = pull->options;
    TRY(reference_parse(&pull->ref, call, options->model, options->registry, options->revision));
    TRY(cache_names(&pull->stage, call, &pull->ref));
    cache_mend(&pull->stage);
    TRY(look(pull));
    TRY(is_up_to_date(pull, was_cached));
    if (*was_cached) {
        tidy(pull);
        return STATUS_OK;
    }
    bool has_waited;
    TRY(cache_lock(&pull->stage, call, &has_waited));
    // Whoever had the lock may have published just this, or the branch has moved meanwhile.
    TRY(look(pull));
    if (has_waited) {
        TRY(is_up_to_date(pull, was_cached));
        if (*was_cached)
            return STATUS_OK;
    } else if (is_current(pull)) {
        *was_cached = true;
        return STATUS_OK;
    }
    return pull_locked(pull, was_cached);
}

Status registry_pull(Buf *report, RegistryFault *fault, const Registry *registry,
                     const PullOptions *options, Error *error) {
    Error own;
    Pull *pull = mem_alloc_zero(1, sizeof *pull);
    if (!pull) {
        if (fault)
            *fault = REGISTRY_FAULT_LOCAL;
        return error_out_of_memory(error, sizeof *pull);
    }
    pull->options = options;
    pull->stage = (Stage){.fd = -1, .lock = -1};
    pull->started_ns = clock_now_ns();
    pull->call = (Call){
        .registry = registry,
        .error = error ? error : &own,
        .tick = on_tick,
        .tick_ctx = pull,
    };
    bool was_cached = false;
    Status status = pull_model(pull, &was_cached);
    if (status == STATUS_OK)
        status = write_report(report, pull, was_cached);
    cache_close(&pull->stage);
    hub_model_free(&pull->model);
    call_end(&pull->call, fault, status);
    mem_free(pull);
    return status;
}
