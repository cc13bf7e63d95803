// The front door: implements gpux.h by calling the floors below; decides nothing. The hub's half is
// in hub.c.
#include "front/front.h"

#include "base/file.h"
#include "base/memory.h"
#include "engine/engine.h"
#include "registry/registry.h"
#include "store/store.h"
#include "tasks/tasks.h"
#include "text/text.h"

#include <stdlib.h>

// gpux_status and Status, gpux_error and Error are the same things on both sides of the door.
#define X(name, value, text)                                                                       \
    _Static_assert((int)GPUX_##name == (int)STATUS_##name, "gpux_status equals Status");
STATUS_TABLE(X)
#undef X
_Static_assert(sizeof(gpux_error) == sizeof(Error) &&
                   offsetof(gpux_error, message) == offsetof(Error, message) &&
                   offsetof(gpux_error, offset) == offsetof(Error, offset),
               "gpux_error equals Error");
_Static_assert(sizeof(gpux_difference) == sizeof(Difference) &&
                   offsetof(gpux_difference, sum_abs) == offsetof(Difference, sum_abs) &&
                   offsetof(gpux_difference, labels_equal) == offsetof(Difference, labels_equal),
               "gpux_difference equals Difference");
_Static_assert((int)GPUX_LOG_CRITICAL == (int)LOG_CRITICAL, "log levels are equal");
_Static_assert((int)GPUX_FORM_RAW == (int)FORM_RAW, "answer forms are equal");
_Static_assert((int)GPUX_REQUEST_CANCELLED == (int)REQUEST_CANCELLED, "states are equal");

struct gpux_model {
    gpux_env *env;
    ModelInfo *info;
    Tokenizer *tokenizer;
    int hold; // keeps a cached model from being removed
    Model *model;
    TaskModel task;
    int threads; // by default: the configuration's, else the best ones measured; 0 = all
};

struct gpux_runner {
    Runner *runner;
};

struct gpux_request {
    Request *request;
};

gpux_status give_text(gpux_text *out, Buf *buf, Status status, gpux_error *error) {
    if (status == STATUS_OK && buf->len == 0)
        buf_append(buf, "", 0);
    if (status == STATUS_OK)
        status = buf_status(buf, inner(error));
    if (status != STATUS_OK || !out) {
        buf_free(buf);
        return outer(status);
    }
    *out = (gpux_text){buf->ptr, buf->len};
    return GPUX_OK;
}

const char *gpux_version(void) {
    return GPUX_VERSION;
}

const char *gpux_status_text(gpux_status status) {
    return status_text((Status)status);
}

void gpux_text_free(gpux_text *text) {
    if (!text)
        return;
    mem_free(text->ptr);
    *text = (gpux_text){0};
}

// ---- Environment ----

static void env_log(void *ctx, LogLevel level, const char *message) {
    const gpux_env *env = ctx;
    env->log_fn(env->log_ctx, (gpux_log_level)level, message);
}

static Status find_cache(gpux_env *env, const gpux_options *options, Error *error) {
    const char *written = options->cache_dir ? options->cache_dir : getenv("GPUX_CACHE_DIR");
    env->home = getenv("HOME");
    if (written && *written) {
        char *expanded = path_expand_home(written, env->home);
        env->cache_dir = expanded ? path_absolute(expanded) : NULL;
        mem_free(expanded);
    } else {
        env->cache_is_default = true;
        env->cache_dir = path_join(env->home && *env->home ? env->home : "/", ".gpux/models");
    }
    return env->cache_dir ? STATUS_OK : error_out_of_memory(error, 256);
}

static Status find_keep_mode(gpux_env *env, const gpux_options *options, Error *error) {
    static const char *const names[] = {
        [KEEP_AUTO] = "auto", [KEEP_ALWAYS] = "always", [KEEP_NEVER] = "never"};
    const char *written = options->prepared ? options->prepared : getenv("GPUX_PREPARED");
    if (!written || !*written)
        return STATUS_OK;
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++)
        if (sv_equal_nocase(sv(written), sv(names[i]))) {
            env->keep = (KeepMode)i;
            return STATUS_OK;
        }
    return error_set(error, STATUS_INVALID,
                     "Unknown choice '%s' of GPUX_PREPARED. Valid choices: auto, always, never",
                     written);
}

gpux_status gpux_open(gpux_env **out, const gpux_options *options, gpux_error *error) {
    static const gpux_options defaults = GPUX_OPTIONS_INIT;
    options = options ? options : &defaults;
    gpux_env *env = mem_alloc_zero(1, sizeof *env);
    if (!env)
        return outer(error_out_of_memory(inner(error), sizeof *env));
    cpu_detect(&env->cpu);
    Status status = STATUS_OK;
    if (options->cpu_level && cpu_limit(&env->cpu, options->cpu_level) != 0)
        status = error_set(inner(error), STATUS_INVALID,
                           "Unknown CPU level '%s'. Valid levels: native, ref, avx2, avx512",
                           options->cpu_level);
    env->log_fn = options->log;
    env->log_ctx = options->log_ctx;
    env->log = (Log){
        .write = options->log ? env_log : NULL, .ctx = env, .level = (LogLevel)options->log_level};
    if (status == STATUS_OK)
        status = find_cache(env, options, inner(error));
    if (status == STATUS_OK)
        status = find_keep_mode(env, options, inner(error));
    if (status != STATUS_OK) {
        gpux_close(env);
        return outer(status);
    }
    *out = env;
    return GPUX_OK;
}

void gpux_close(gpux_env *env) {
    if (!env)
        return;
    mem_free(env->cache_dir);
    mem_free(env);
}

static void write_cpu(JsonWriter *writer, const CpuInfo *cpu) {
    json_begin_object(writer);
    json_key(writer, "model");
    json_write_cstr(writer, cpu->model);
    json_key(writer, "cores");
    json_write_i64(writer, cpu->cores);
    json_key(writer, "threads");
    json_write_i64(writer, cpu->threads);
    json_key(writer, "features");
    json_begin_flat_array(writer);
    for (uint32_t bit = 1; bit != 0; bit <<= 1)
        if ((cpu->flags & bit) && cpu_flag_name((CpuFlag)bit))
            json_write_cstr(writer, cpu_flag_name((CpuFlag)bit));
    json_end_array(writer);
    json_end_object(writer);
}

gpux_status gpux_system_info(gpux_text *out, gpux_env *env, gpux_error *error) {
    Buf buf = BUF_INIT(MAX_TEXT_BYTES);
    JsonWriter writer = json_writer(&buf, REPORT_INDENT);
    json_begin_object(&writer);
    engine_write_providers(&writer, &env->cpu);
    json_key(&writer, "cpu");
    write_cpu(&writer, &env->cpu);
    json_end_object(&writer);
    return give_text(out, &buf, STATUS_OK, error);
}

// ---- Models on disk ----

ResolveOptions env_resolve_options(gpux_env *env, const gpux_location_options *options) {
    return (ResolveOptions){.cache_dir = env->cache_dir,
                            .cache_is_default = env->cache_is_default,
                            .home = env->home,
                            .config = options && options->config ? options->config : "gpux.yml",
                            .revision = options ? options->revision : NULL,
                            .log = &env->log};
}

static Status resolve(Location *out, gpux_env *env, const char *name,
                      const gpux_location_options *options, Error *error) {
    ResolveOptions resolve_options = env_resolve_options(env, options);
    return store_resolve(out, name, &resolve_options, error);
}

gpux_status gpux_resolve(gpux_text *folder, gpux_env *env, const char *name,
                         const gpux_location_options *options, gpux_error *error) {
    Location location;
    Status status = resolve(&location, env, name, options, inner(error));
    if (status != STATUS_OK)
        return outer(status);
    Buf buf = BUF_INIT(MAX_TEXT_BYTES);
    buf_append_cstr(&buf, location.folder);
    location_free(&location);
    return give_text(folder, &buf, STATUS_OK, error);
}

gpux_status gpux_convert(gpux_text *report, gpux_env *env, const char *folder,
                         const gpux_convert_options *options, gpux_error *error) {
    static const gpux_convert_options defaults = GPUX_CONVERT_OPTIONS_INIT;
    options = options ? options : &defaults;
    Buf buf = BUF_INIT(MAX_TEXT_BYTES);
    ConvertOptions convert = {.output = options->output,
                              .opset = options->opset,
                              .task = options->task,
                              .force = options->force,
                              .log = &env->log};
    Status status = store_convert(&buf, folder, &convert, inner(error));
    return give_text(report, &buf, status, error);
}

gpux_status gpux_inspect(gpux_text *out, gpux_env *env, const char *name,
                         const gpux_location_options *options, gpux_error *error) {
    Location location;
    Status status = resolve(&location, env, name, options, inner(error));
    if (status != STATUS_OK)
        return outer(status);
    Buf buf = BUF_INIT(MAX_TEXT_BYTES);
    status = store_inspect(&buf, &location, inner(error));
    location_free(&location);
    return give_text(out, &buf, status, error);
}

gpux_status gpux_inspect_file(gpux_text *out, gpux_env *env, const char *path, gpux_error *error) {
    (void)env;
    Buf buf = BUF_INIT(MAX_TEXT_BYTES);
    Status status = store_inspect_file(&buf, path, inner(error));
    return give_text(out, &buf, status, error);
}

gpux_status gpux_inspect_plan(gpux_text *out, gpux_env *env, const char *name,
                              const gpux_location_options *options, gpux_error *error) {
    Location location;
    ModelInfo *info = NULL;
    Status status = resolve(&location, env, name, options, inner(error));
    if (status != STATUS_OK)
        return outer(status);
    Buf buf = BUF_INIT(MAX_TEXT_BYTES);
    status = model_info_load(&info, &location, inner(error));
    if (status == STATUS_OK)
        status = engine_write_plan(&buf, info->model_file, inner(error));
    model_info_free(info);
    location_free(&location);
    return give_text(out, &buf, status, error);
}

// ---- Loaded models ----

const char *env_kept_folder(const gpux_env *env, const ModelInfo *info) {
    bool is_kept = env->keep == KEEP_ALWAYS || (env->keep == KEEP_AUTO && !info->is_bare);
    return is_kept ? info->kept_folder : NULL;
}

Status open_tokenizer(Tokenizer **out, const gpux_env *env, const ModelInfo *info, Error *error) {
    if (!info->tokenizer_folder)
        return STATUS_OK;
    Error reason;
    const char *kept = env_kept_folder(env, info);
    char *compiled = kept ? path_join(kept, "tokenizer.bin") : NULL;
    if (kept && !compiled)
        return error_out_of_memory(error, strlen(kept));
    Status status = tokenizer_open(out, info->tokenizer_folder, compiled, &env->log, &reason);
    mem_free(compiled);
    if (status == STATUS_OK && info->do_lower_case)
        tokenizer_lower_case(*out);
    if (status == STATUS_NOT_FOUND)
        return STATUS_OK;
    if (status == STATUS_UNSUPPORTED) {
        // Raw tensors still work; a text request says why text does not.
        log_message(&env->log, LOG_WARNING, "Tokenizer: %s", reason.message);
        return STATUS_OK;
    }
    if (status != STATUS_OK && error)
        *error = reason;
    return status;
}

// A flag wins over the environment's or the file's word; "auto" leaves the choice to the engine.
static const char *choose(const char *flag, const char *file) {
    return flag ? flag : file;
}

// With --verbose what nothing in the configuration reads is named.
static void warn_of_config(const gpux_env *env, const Location *location) {
    Warnings warnings = {0};
    if (env->log.level <= LOG_DEBUG && location->config &&
        store_check_config(&warnings, location, NULL) == STATUS_OK)
        for (size_t i = 0; i < warnings.count; i++)
            log_message(&env->log, LOG_WARNING, "%s", warnings.items[i]);
    warnings_free(&warnings);
}

static bool is_auto(const char *name) {
    return !name || sv_equal_nocase(sv(name), SV("auto"));
}

// The flag, else the configuration's, else that of the last build when it is a name gpux knows.
static const char *choose_provider(const char *flag, const ModelInfo *info, const char *built) {
    if (flag || !is_auto(info->backend))
        return choose(flag, info->backend);
    return engine_check_provider(built, NULL) == STATUS_OK ? built : NULL;
}

static Status open_model(gpux_model *model, const char *name, const gpux_model_options *options,
                         Error *error) {
    Location location;
    TRY(resolve(&location, model->env, name, &options->location, error));
    model->hold = registry_hold(location.folder);
    Status status = model_info_load(&model->info, &location, error);
    warn_of_config(model->env, &location);
    location_free(&location);
    TRY(status);
    TunedChoice tuned;
    char *built = built_provider(model->info->folder);
    tuning_load(&tuned, model->info->folder, model->info->model_file, &model->env->cpu,
                &model->env->log);
    model->threads = model->info->threads > 0 ? (int)model->info->threads : tuned.threads;
    EngineOptions engine = {.cpu = &model->env->cpu,
                            .log = &model->env->log,
                            .provider = choose_provider(options->provider, model->info, built),
                            .precision = choose(options->precision, model->info->precision),
                            .threads =
                                options->threads > 0 ? options->threads : (int)model->info->threads,
                            .kept_folder = env_kept_folder(model->env, model->info),
                            .keeps_always = model->env->keep == KEEP_ALWAYS};
    if (is_auto(engine.precision))
        engine.precision = tuned.precision;
    status = model_load(&model->model, model->info->model_file, &engine, error);
    mem_free(built);
    TRY(status);
    return open_tokenizer(&model->tokenizer, model->env, model->info, error);
}

gpux_status gpux_model_open(gpux_model **out, gpux_env *env, const char *name,
                            const gpux_model_options *options, gpux_error *error) {
    static const gpux_model_options defaults = GPUX_MODEL_OPTIONS_INIT;
    gpux_model *model = mem_alloc_zero(1, sizeof *model);
    if (!model)
        return outer(error_out_of_memory(inner(error), sizeof *model));
    model->env = env;
    model->hold = -1;
    Status status = open_model(model, name, options ? options : &defaults, inner(error));
    if (status != STATUS_OK) {
        gpux_model_close(model);
        return outer(status);
    }
    model->task = (TaskModel){model->model, model->info, model->tokenizer};
    *out = model;
    return GPUX_OK;
}

void gpux_model_close(gpux_model *model) {
    if (!model)
        return;
    registry_release(model->hold);
    tokenizer_close(model->tokenizer);
    model_free(model->model);
    model_info_free(model->info);
    mem_free(model);
}

static void write_ports(JsonWriter *writer, const Model *model, bool inputs) {
    size_t count = inputs ? model_input_count(model) : model_output_count(model);
    json_begin_array(writer);
    for (size_t i = 0; i < count; i++) {
        const ModelPort *port = inputs ? model_input(model, i) : model_output(model, i);
        json_begin_object(writer);
        json_key(writer, "name");
        json_write_cstr(writer, port->name);
        json_key(writer, "type");
        json_write_cstr(writer, dtype_name(port->dtype));
        json_key(writer, "shape");
        json_begin_flat_array(writer);
        for (int d = 0; d < port->rank; d++) {
            if (port->shape[d] < 0 && port->symbols[d])
                json_write_cstr(writer, port->symbols[d]);
            else
                json_write_i64(writer, port->shape[d]);
        }
        json_end_array(writer);
        json_end_object(writer);
    }
    json_end_array(writer);
}

gpux_status gpux_model_describe(gpux_text *out, const gpux_model *model, gpux_error *error) {
    Buf buf = BUF_INIT(MAX_TEXT_BYTES);
    JsonWriter writer = json_writer(&buf, REPORT_INDENT);
    const ModelInfo *info = model->info;
    const struct {
        const char *key, *value;
    } texts[] = {
        {"name", info->name},
        {"version", info->version},
        {"task", info->task},
        {"provider", model_provider(model->model)},
        {"engine", "native"},
        {"precision", model_precision(model->model)},
        {"isa", model_isa(model->model)},
        {"device", model->env->cpu.model},
        {"model_file", info->model_file},
    };
    json_begin_object(&writer);
    for (size_t i = 0; i < sizeof texts / sizeof texts[0]; i++) {
        json_key(&writer, texts[i].key);
        json_write_cstr(&writer, texts[i].value);
    }
    json_key(&writer, "parameters");
    json_write_u64(&writer, info->parameters);
    json_key(&writer, "memory_bytes");
    json_write_u64(&writer, model_memory_bytes(model->model));
    json_key(&writer, "max_length");
    json_write_u64(&writer, info->max_length ? info->max_length : model_max_tokens(model->model));
    json_key(&writer, "batch_size");
    json_write_i64(&writer, info->batch_size);
    json_key(&writer, "timeout");
    json_write_i64(&writer, info->timeout_seconds);
    json_key(&writer, "labels");
    json_begin_flat_array(&writer);
    for (size_t i = 0; i < info->label_count; i++)
        json_write_cstr(&writer, info->labels[i]);
    json_end_array(&writer);
    json_key(&writer, "inputs");
    write_ports(&writer, model->model, true);
    json_key(&writer, "outputs");
    write_ports(&writer, model->model, false);
    json_end_object(&writer);
    return give_text(out, &buf, STATUS_OK, error);
}

// ---- Runners ----

gpux_status gpux_runner_new(gpux_runner **out, const gpux_model *model,
                            const gpux_runner_options *options, gpux_error *error) {
    static const gpux_runner_options defaults = GPUX_RUNNER_OPTIONS_INIT;
    options = options ? options : &defaults;
    gpux_runner *runner = mem_alloc_zero(1, sizeof *runner);
    if (!runner)
        return outer(error_out_of_memory(inner(error), sizeof *runner));
    RunnerOptions runner_options = {.threads =
                                        options->threads > 0 ? options->threads : model->threads,
                                    .profile = options->profile,
                                    .max_tokens = options->max_tokens};
    Status status = runner_new(&runner->runner, model->model, &runner_options, inner(error));
    if (status != STATUS_OK) {
        gpux_runner_free(runner);
        return outer(status);
    }
    *out = runner;
    return GPUX_OK;
}

void gpux_runner_free(gpux_runner *runner) {
    if (!runner)
        return;
    runner_free(runner->runner);
    mem_free(runner);
}

int gpux_runner_threads(const gpux_runner *runner) {
    return runner_threads(runner->runner);
}

gpux_status gpux_runner_profile(gpux_text *out, const gpux_runner *runner, gpux_error *error) {
    Buf buf = BUF_INIT(MAX_TEXT_BYTES);
    Status status = runner_write_profile(&buf, runner->runner, inner(error));
    return give_text(out, &buf, status, error);
}

// ---- Requests ----

static gpux_status give_request(gpux_request **out, Request *request, gpux_error *error) {
    gpux_request *wrapped = mem_alloc_zero(1, sizeof *wrapped);
    if (!wrapped) {
        request_free(request);
        return outer(error_out_of_memory(inner(error), sizeof *wrapped));
    }
    wrapped->request = request;
    *out = wrapped;
    return GPUX_OK;
}

gpux_status gpux_prepare(gpux_request **out, const gpux_model *model, const char *json, size_t len,
                         gpux_error *error) {
    Request *request;
    Status status = request_prepare(&request, &model->task, sv_n(json, len), inner(error));
    return status == STATUS_OK ? give_request(out, request, error) : outer(status);
}

gpux_status gpux_prepare_synthetic(gpux_request **out, const gpux_model *model, size_t batch,
                                   size_t seq_len, size_t seq_len_min, gpux_error *error) {
    Request *request;
    Status status = request_prepare_synthetic(&request, &model->task, batch, seq_len, seq_len_min,
                                              inner(error));
    return status == STATUS_OK ? give_request(out, request, error) : outer(status);
}

gpux_status gpux_step(gpux_runner *runner, gpux_request *const *requests, size_t count,
                      gpux_error *error) {
    Request **list = mem_alloc_zero(count + 1, sizeof *list);
    if (!list)
        return outer(error_out_of_memory(inner(error), count));
    for (size_t i = 0; i < count; i++)
        list[i] = requests[i]->request;
    Status status = requests_step(runner->runner, list, count, inner(error));
    mem_free(list);
    return outer(status);
}

gpux_request_state gpux_request_get_state(const gpux_request *request) {
    return (gpux_request_state)request_state(request->request);
}

size_t gpux_request_tokens(const gpux_request *request) {
    return request_tokens(request->request);
}

size_t gpux_request_rows(const gpux_request *request) {
    return request_rows(request->request);
}

const char *gpux_request_ignored(const gpux_request *request) {
    return request_ignored(request->request);
}

void gpux_request_keep_outputs(gpux_request *request) {
    request_keep_outputs(request->request);
}

void gpux_request_cancel(gpux_request *request) {
    request_cancel(request->request);
}

void gpux_request_rewind(gpux_request *request) {
    request_rewind(request->request);
}

gpux_status gpux_finish(gpux_text *out, gpux_request *request, gpux_form form, int indent,
                        gpux_error *error) {
    Buf buf = BUF_INIT(MAX_TEXT_BYTES);
    JsonWriter writer = json_writer(&buf, indent);
    Status status = request_finish(request->request, (AnswerForm)form, &writer, inner(error));
    return give_text(out, &buf, status, error);
}

gpux_status gpux_request_compare(gpux_difference *sum, const gpux_request *reference,
                                 const gpux_request *other, gpux_error *error) {
    return outer(
        request_compare((Difference *)sum, reference->request, other->request, inner(error)));
}

void gpux_request_free(gpux_request *request) {
    if (!request)
        return;
    request_free(request->request);
    mem_free(request);
}
