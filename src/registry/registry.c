// Settings of a registry, read once from options and environment, and the context of one call.
//
// A token never leaves this room except through net_may_carry_token's rule: no message, log line or
// file of the cache contains it.
#include "registry/private.h"

#include "base/file.h"

#include <stdio.h>
#include <stdlib.h>
#include <strings.h>

enum { TOKEN_MAX = 4096, TOKEN_FILE_MAX = 64 << 10, TIMEOUT_MAX_S = 3600, DEFAULT_TIMEOUT_S = 10 };

int registry_exit_code(RegistryFault fault) {
    switch (fault) {
#define X(name, value, exit_code)                                                                  \
    case REGISTRY_FAULT_##name:                                                                    \
        return (exit_code);
        REGISTRY_FAULT_TABLE(X)
#undef X
    }
    return 1;
}

const char *registry_hint(RegistryFault fault) {
    if (fault == REGISTRY_FAULT_AUTHENTICATION)
        return "Set your authentication token using environment variables:\n"
               "  export HF_TOKEN=your_token_here";
    if (fault == REGISTRY_FAULT_NETWORK)
        return "Check your internet connection and try again";
    if (fault == REGISTRY_FAULT_MODEL_NOT_FOUND)
        return "Check the spelling; a private or gated model needs a token (HF_TOKEN)";
    return NULL;
}

// ---- The environment ----

typedef struct Env {
    const RegistryOptions *options;
} Env;

static const char *env_get(const Env *env, const char *name) {
    const char *value =
        env->options->env ? env->options->env(env->options->env_ctx, name) : getenv(name);
    return value && value[0] ? value : NULL;
}

static const char *env_first(const Env *env, const char *const *names) {
    const char *value = NULL;
    for (size_t i = 0; names[i] && !value; i++)
        value = env_get(env, names[i]);
    return value;
}

static bool env_is_on(const Env *env, const char *name) {
    static const char *const YES[] = {"1", "on", "yes", "true"};
    const char *value = env_get(env, name);
    for (size_t i = 0; value && i < 4; i++)
        if (strcasecmp(value, YES[i]) == 0)
            return true;
    return false;
}

static unsigned env_timeout(const Env *env, const char *name) {
    const char *value = env_get(env, name);
    double seconds;
    if (!value || !sv_to_f64(&seconds, sv_trim(sv(value))) || !(seconds >= 1))
        return DEFAULT_TIMEOUT_S;
    return seconds > TIMEOUT_MAX_S ? TIMEOUT_MAX_S : (unsigned)seconds;
}

// ---- Tokens ----

// Trimmed, in the arena; *out stays NULL for an empty one.
static Status take_token(const char **out, Arena *arena, const char *text, Error *error) {
    StrView token = text ? sv_trim(sv(text)) : sv("");
    if (token.len == 0 || *out)
        return STATUS_OK;
    bool is_plain = token.len <= TOKEN_MAX;
    for (size_t i = 0; i < token.len && is_plain; i++)
        is_plain = token.ptr[i] > 0x20 && token.ptr[i] < 0x7f;
    if (!is_plain)
        return error_set(error, STATUS_INVALID,
                         "the hub token has blanks, control or other characters that no token has");
    *out = arena_strndup(arena, token.ptr, token.len);
    return *out ? STATUS_OK : error_out_of_memory(error, token.len + 1);
}

static Status take_token_file(Registry *registry, const Env *env, Error *error) {
    const char *path = env_get(env, "HF_TOKEN_PATH");
    const char *hub_home = env_get(env, "HF_HOME");
    const char *cache_home = env_get(env, "XDG_CACHE_HOME");
    if (!path && hub_home)
        path = arena_printf(&registry->arena, "%s/token", hub_home);
    else if (!path && cache_home)
        path = arena_printf(&registry->arena, "%s/huggingface/token", cache_home);
    else if (!path && registry->home)
        path = arena_printf(&registry->arena, "%s/.cache/huggingface/token", registry->home);
    char *expanded = path ? path_expand_home(path, registry->home) : NULL;
    if (!expanded)
        return STATUS_OK;
    Buf text = BUF_INIT(TOKEN_FILE_MAX);
    Status status = STATUS_OK;
    // A file that cannot be read is as good as none: public models work without a token.
    if (file_is_regular(expanded) && file_read(&text, expanded, TOKEN_FILE_MAX, NULL) == STATUS_OK)
        status = take_token(&registry->token, &registry->arena, text.ptr, error);
    buf_free(&text);
    mem_free(expanded);
    return status;
}

static Status find_token(Registry *registry, const Env *env, const char *given, Error *error) {
    static const char *const NAMES[] = {"HF_TOKEN", "HUGGING_FACE_HUB_TOKEN",
                                        "HUGGINGFACE_HUB_TOKEN"};
    TRY(take_token(&registry->token, &registry->arena, given, error));
    for (size_t i = 0; i < 3; i++)
        TRY(take_token(&registry->token, &registry->arena, env_get(env, NAMES[i]), error));
    if (!registry->token && registry->credentials)
        TRY(take_token(
            &registry->token, &registry->arena,
            credentials_token(&registry->arena, registry->credentials, registry->endpoint), error));
    return registry->token ? STATUS_OK : take_token_file(registry, env, error);
}

// ---- Opening ----

static Status find_endpoint(Registry *registry, const Env *env, Error *error) {
    const char *text = env_get(env, "HF_ENDPOINT");
    StrView view = sv_trim(sv(text ? text : "https://huggingface.co"));
    while (view.len > 0 && view.ptr[view.len - 1] == '/')
        view.len--;
    registry->endpoint = arena_strndup(&registry->arena, view.ptr, view.len);
    if (!registry->endpoint)
        return error_out_of_memory(error, view.len + 1);
    if (!net_is_address(registry->endpoint) || strpbrk(registry->endpoint, "?#"))
        return error_set(error, STATUS_INVALID,
                         "HF_ENDPOINT is not an http or https address without user and password");
    return STATUS_OK;
}

static void find_hub_cache(Registry *registry, const Env *env) {
    const char *cache = env_get(env, "HF_HUB_CACHE");
    const char *hub_home = env_get(env, "HF_HOME");
    const char *cache_home = env_get(env, "XDG_CACHE_HOME");
    Arena *arena = &registry->arena;
    if (cache)
        registry->hub_cache = arena_strdup(arena, cache);
    else if (hub_home)
        registry->hub_cache = arena_printf(arena, "%s/hub", hub_home);
    else if (cache_home)
        registry->hub_cache = arena_printf(arena, "%s/huggingface/hub", cache_home);
    else if (registry->home)
        registry->hub_cache = arena_printf(arena, "%s/.cache/huggingface/hub", registry->home);
}

static const char *copy_first(Registry *registry, const Env *env, const char *const *names) {
    const char *value = env_first(env, names);
    return value ? arena_strdup(&registry->arena, value) : NULL;
}

static Status read_settings(Registry *registry, const RegistryOptions *options, Error *error) {
    Env env = {.options = options};
    Arena *arena = &registry->arena;
    char *cache_dir = path_absolute(options->cache_dir);
    registry->cache_dir = cache_dir ? arena_strdup(arena, cache_dir) : NULL;
    mem_free(cache_dir);
    registry->version = arena_strdup(arena, options->version ? options->version : "unknown");
    if (!registry->cache_dir || !registry->version)
        return error_out_of_memory(error, strlen(options->cache_dir) + 1);
    if (options->home) {
        registry->home = arena_strdup(arena, options->home);
        registry->credentials = arena_printf(arena, "%s/.gpux/credentials.json", options->home);
        if (!registry->home || !registry->credentials)
            return error_out_of_memory(error, strlen(options->home) + 32);
    }
    registry->is_offline = options->is_offline || env_is_on(&env, "HF_HUB_OFFLINE") ||
                           env_is_on(&env, "TRANSFORMERS_OFFLINE") ||
                           env_is_on(&env, "GPUX_OFFLINE");
    registry->api_timeout_s = env_timeout(&env, "HF_HUB_ETAG_TIMEOUT");
    registry->download_timeout_s = env_timeout(&env, "HF_HUB_DOWNLOAD_TIMEOUT");
    registry->second_ms = options->second_ms ? options->second_ms : 1000;
    registry->log = options->log;
    registry->supports = options->supports;
    registry->supports_ctx = options->supports_ctx;
    registry->ca_file = copy_first(registry, &env, (const char *const[]){"SSL_CERT_FILE", NULL});
    registry->ca_dir = copy_first(registry, &env, (const char *const[]){"SSL_CERT_DIR", NULL});
    registry->proxy_http = copy_first(
        registry, &env,
        (const char *const[]){"http_proxy", "HTTP_PROXY", "all_proxy", "ALL_PROXY", NULL});
    registry->proxy_https = copy_first(
        registry, &env,
        (const char *const[]){"https_proxy", "HTTPS_PROXY", "all_proxy", "ALL_PROXY", NULL});
    registry->no_proxy =
        copy_first(registry, &env, (const char *const[]){"no_proxy", "NO_PROXY", NULL});
    find_hub_cache(registry, &env);
    TRY(find_endpoint(registry, &env, error));
    return find_token(registry, &env, options->token, error);
}

Status registry_open(Registry **out, const RegistryOptions *options, Error *error) {
    *out = NULL;
    Registry *registry = mem_alloc_zero(1, sizeof *registry);
    if (!registry)
        return error_out_of_memory(error, sizeof *registry);
    Status status = read_settings(registry, options, error);
    if (status == STATUS_OK)
        *out = registry;
    else
        registry_close(registry);
    return status;
}

void registry_close(Registry *registry) {
    if (!registry)
        return;
    arena_free(&registry->arena);
    mem_free(registry);
}

// ---- One call ----

Status call_fail(Call *call, RegistryFault fault, Status status, const char *format, ...) {
    call->fault = fault;
    if (!call->error)
        return status;
    char message[ERROR_MESSAGE_SIZE];
    va_list args;
    va_start(args, format);
    vsnprintf(message, sizeof message, format, args);
    va_end(args);
    return error_set(call->error, status, "%s", message);
}

Status call_failed(Call *call, RegistryFault fault, Status status) {
    if (status != STATUS_OK) {
        bool is_local = status == STATUS_OUT_OF_MEMORY || status == STATUS_NO_SPACE;
        call->fault = is_local ? REGISTRY_FAULT_LOCAL : fault;
    }
    return status;
}

Status call_out_of_memory(Call *call) {
    return call_fail(call, REGISTRY_FAULT_LOCAL, STATUS_OUT_OF_MEMORY, "out of memory");
}

Status call_cancelled(Call *call) {
    return call_fail(call, REGISTRY_FAULT_CANCELLED, STATUS_CANCELLED, "Interrupted by user");
}

void call_end(Call *call, RegistryFault *fault, Status status) {
    net_free(call->net);
    call->net = NULL;
    if (status == STATUS_OK)
        call->fault = REGISTRY_FAULT_NONE;
    else if (call->fault == REGISTRY_FAULT_NONE)
        call->fault = REGISTRY_FAULT_LOCAL;
    if (fault)
        *fault = call->fault;
}

Status registry_names(Buf *report, const Registry *registry, Error *error) {
    static const char *const PLANNED[] = {"onnx-model-zoo", "tensorflow-hub", "pytorch-hub",
                                          "mlflow", "wandb"};
    JsonWriter writer = json_writer(report, 2);
    json_begin_array(&writer);
    for (size_t i = 0; i <= sizeof PLANNED / sizeof *PLANNED; i++) {
        json_begin_object(&writer);
        json_key(&writer, "name");
        json_write_cstr(&writer, i == 0 ? REGISTRY_NAME : PLANNED[i - 1]);
        json_key(&writer, "aliases");
        json_begin_flat_array(&writer);
        if (i == 0)
            json_write_cstr(&writer, "hf");
        json_end_array(&writer);
        json_key(&writer, "endpoint");
        json_write_cstr(&writer, i == 0 ? registry->endpoint : NULL);
        json_key(&writer, "status");
        json_write_cstr(&writer, i == 0 ? "available" : "planned");
        json_end_object(&writer);
    }
    json_end_array(&writer);
    return buf_status(report, error);
}
