// gpux_build: configuration, model, provider, optimising and what of it is kept, step by step.
#include "front/build.h"

#include "base/memory.h"
#include "registry/registry.h"

#include <stdio.h>

Status builder_tell(const Builder *builder, gpux_build_step step, const char *format, ...) {
    const gpux_build_options *options = builder->options;
    char text[256];
    va_list args;
    va_start(args, format);
    vsnprintf(text, sizeof text, format, args);
    va_end(args);
    if (!options->progress || options->progress(options->progress_ctx, step, text))
        return STATUS_OK;
    return error_set(builder->error, STATUS_CANCELLED, "cancelled");
}

EngineOptions builder_engine(const Builder *builder, const char *precision) {
    return (EngineOptions){.cpu = &builder->env->cpu,
                           .log = &builder->env->log,
                           .provider = builder->provider,
                           .precision = precision,
                           .threads = (int)builder->info->threads};
}

// ---- Configuration and model ----

// With --strict a warning is an error; all of them are listed.
static Status check_warnings(const Builder *builder, size_t first, const char *prefix) {
    const Warnings *warnings = &builder->warnings;
    if (!builder->options->strict || warnings->count == first)
        return STATUS_OK;
    Buf text = BUF_INIT(MAX_TEXT_BYTES);
    buf_append_cstr(&text, prefix);
    for (size_t i = first; i < warnings->count; i++)
        buf_printf(&text, "%s%s", i > first ? "\n" : "", warnings->items[i]);
    Status status = buf_status(&text, builder->error);
    if (status == STATUS_OK) {
        size_t len = text.len < ERROR_MESSAGE_SIZE ? text.len : ERROR_MESSAGE_SIZE - 1;
        *builder->error = (Error){.code = STATUS_INVALID};
        memcpy(builder->error->message, text.ptr, len);
    }
    buf_free(&text);
    return status == STATUS_OK ? STATUS_INVALID : status;
}

static Status find_project(Builder *builder, const char *path) {
    ResolveOptions resolve = env_resolve_options(builder->env, NULL);
    resolve.no_last_resort = true;
    if (builder->options->config)
        resolve.config = builder->options->config;
    TRY(builder_tell(builder, GPUX_BUILD_CONFIG, "Parsing configuration..."));
    TRY(store_locate_project(&builder->location, path, &resolve, builder->error));
    builder->hold = registry_hold(builder->location.folder);
    TRY(store_check_config(&builder->warnings, &builder->location, builder->error));
    return check_warnings(builder, 0, "Failed to parse configuration: ");
}

// `info`: {"config", "model_info"}
static Status read_model(Builder *builder, Buf *info) {
    TRY(builder_tell(builder, GPUX_BUILD_MODEL, "Validating model path..."));
    TRY(model_info_load(&builder->info, &builder->location, builder->error));
    TRY(builder_tell(builder, GPUX_BUILD_INSPECT, "Inspecting model..."));
    TRY(store_inspect(info, &builder->location, builder->error));
    size_t before = builder->warnings.count;
    TRY(store_check_model(&builder->warnings, &builder->location, builder->error));
    return check_warnings(builder, before, "Configuration and model disagree: ");
}

// ---- Provider ----

static Status check_provider(Builder *builder, Buf *report) {
    const gpux_build_options *options = builder->options;
    const char *once = options->provider_once;
    const char *default_provider = once ? once : builder->info->backend;
    EngineOptions engine = builder_engine(builder, NULL);
    engine.provider = options->provider ? options->provider : default_provider;
    TRY(builder_tell(builder, GPUX_BUILD_PROVIDER, "Checking provider..."));
    TRY(engine_choose_provider(&builder->provider, &engine, builder->error));
    JsonWriter writer = json_writer(report, REPORT_INDENT);
    engine_write_provider(&writer, builder->provider, options->provider, &builder->env->cpu);
    buf_append_byte(report, '\n');
    return buf_status(report, builder->error);
}

// ---- Optimising ----

// The precision that a user has decided on, or NULL.
const char *builder_precision(const Builder *builder) {
    const char *flag = builder->options->precision;
    const char *precision = flag ? flag : builder->info->precision;
    return strcmp(precision, "auto") == 0 ? NULL : precision;
}

// Measures where that can decide something. A model that the samples do not fit stays fp32.
static Status measure(Builder *builder, Tuning *tuning, bool *is_measured) {
    const gpux_build_options *options = builder->options;
    *is_measured = false;
    if (builder_precision(builder) && options->tune == GPUX_TUNE_NONE)
        return STATUS_OK;
    TRY(tuning_sources(&builder->sources, builder->info->model_file, builder->error));
    Status status = tune_model(tuning, builder);
    *is_measured = status == STATUS_OK;
    if (status != STATUS_INVALID || options->samples)
        return status;
    log_message(&builder->env->log, LOG_WARNING, "Nothing was measured, 'auto' stays fp32: %s",
                builder->error->message);
    return STATUS_OK;
}

// Loading a model keeps its packed weights for the next start.
static Status prepare(Builder *builder, const char *precision) {
    EngineOptions engine = builder_engine(builder, precision);
    engine.kept_folder = env_kept_folder(builder->env, builder->info);
    engine.keeps_always = builder->env->keep == KEEP_ALWAYS;
    Model *model = NULL;
    TRY(builder_tell(builder, GPUX_BUILD_OPTIMIZE, "Preparing weights in %s...", precision));
    Status status = model_load(&model, builder->info->model_file, &engine, builder->error);
    model_free(model);
    return status;
}

static Status optimize(Builder *builder, Tuning *tuning, bool *is_measured) {
    const gpux_build_options *options = builder->options;
    *is_measured = false;
    if (options->no_optimize)
        return STATUS_OK;
    TRY(builder_tell(builder, GPUX_BUILD_OPTIMIZE, "Optimizing model..."));
    TRY(open_tokenizer(&builder->tokenizer, builder->env, builder->info, builder->error));
    TRY(measure(builder, tuning, is_measured));
    const char *precision = builder_precision(builder);
    if (!precision)
        precision = *is_measured ? tuning->precision : "fp32";
    return prepare(builder, precision);
}

// ---- Keeping and reporting ----

static Status save(const Builder *builder, const JsonValue *info, const Buf *provider,
                   const Tuning *tuning) {
    const char *folder = builder->location.folder;
    Buf text = BUF_INIT(MAX_TEXT_BYTES);
    JsonWriter writer = json_writer(&text, REPORT_INDENT);
    TRY(builder_tell(builder, GPUX_BUILD_SAVE, "Saving build artifacts..."));
    json_write_value(&writer, info);
    buf_append_byte(&text, '\n');
    Status status = built_write(folder, "model_info.json", &text, builder->error);
    buf_free(&text);
    TRY(status);
    TRY(built_write(folder, "provider_info.json", provider, builder->error));
    if (!tuning)
        return STATUS_OK;
    return tuning_write(tuning, folder, &builder->sources, &builder->env->cpu, builder->error);
}

static Status write_report(Buf *out, const Builder *builder, const JsonValue *info,
                           const Buf *provider, const Tuning *tuning) {
    JsonDoc *doc = NULL;
    TRY(json_parse(&doc, sv_n(provider->ptr, provider->len), 0, builder->error));
    JsonWriter writer = json_writer(out, REPORT_INDENT);
    json_begin_object(&writer);
    json_key(&writer, "model_info");
    json_write_value(&writer, info);
    json_key(&writer, "provider_info");
    json_write_value(&writer, json_root(doc));
    json_free(doc);
    json_key(&writer, "artifacts");
    Status status = built_write_list(&writer, builder->location.folder, builder->error);
    json_key(&writer, "warnings");
    json_begin_array(&writer);
    for (size_t i = 0; i < builder->warnings.count; i++)
        json_write_cstr(&writer, builder->warnings.items[i]);
    json_end_array(&writer);
    json_key(&writer, "tuning");
    if (tuning) {
        json_begin_object(&writer);
        tuning_write_members(&writer, tuning);
        json_end_object(&writer);
    } else {
        json_write_null(&writer);
    }
    json_key(&writer, "folder");
    json_write_cstr(&writer, builder->location.folder);
    json_end_object(&writer);
    return status;
}

static Status finish(Buf *out, const Builder *builder, const Buf *inspected, const Buf *provider,
                     const Tuning *tuning) {
    JsonDoc *doc = NULL;
    TRY(json_parse(&doc, sv_n(inspected->ptr, inspected->len), 0, builder->error));
    const JsonValue *info = json_get(json_root(doc), "model_info");
    Status status = save(builder, info, provider, tuning);
    if (status == STATUS_OK)
        status = write_report(out, builder, info, provider, tuning);
    json_free(doc);
    return status;
}

gpux_status gpux_build(gpux_text *report, gpux_env *env, const char *path,
                       const gpux_build_options *options, gpux_error *error) {
    static const gpux_build_options defaults = GPUX_BUILD_OPTIONS_INIT;
    Error own;
    Builder builder = {.env = env,
                       .options = options ? options : &defaults,
                       .hold = -1,
                       .sources = BUF_INIT(MAX_TEXT_BYTES),
                       .error = error ? inner(error) : &own};
    Buf inspected = BUF_INIT(MAX_TEXT_BYTES), provider = BUF_INIT(MAX_TEXT_BYTES);
    Buf out = BUF_INIT(MAX_TEXT_BYTES);
    Tuning tuning;
    bool is_measured;
    Status status = STATUS_OK;
    TRY_DONE(find_project(&builder, path ? path : "."));
    TRY_DONE(read_model(&builder, &inspected));
    TRY_DONE(check_provider(&builder, &provider));
    TRY_DONE(optimize(&builder, &tuning, &is_measured));
    TRY_DONE(finish(&out, &builder, &inspected, &provider, is_measured ? &tuning : NULL));
done:
    registry_release(builder.hold);
    tokenizer_close(builder.tokenizer);
    model_info_free(builder.info);
    location_free(&builder.location);
    warnings_free(&builder.warnings);
    buf_free(&builder.sources);
    buf_free(&inspected);
    buf_free(&provider);
    return give_text(report, &out, status, error);
}
