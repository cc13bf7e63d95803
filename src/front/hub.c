// The front door's hub half: pull, cache and questions to the hub, by calling registry/ and store/.
#include "front/front.h"
#include "models/models.h"
#include "registry/registry.h"
#include "store/store.h"

#define X(name, value, exit_code)                                                                  \
    _Static_assert((int)GPUX_FAULT_##name == (int)REGISTRY_FAULT_##name,                           \
                   "gpux_fault is the table's");
REGISTRY_FAULT_TABLE(X)
#undef X
_Static_assert(sizeof(gpux_pull_event) == sizeof(PullEvent) &&
                   offsetof(gpux_pull_event, is_from_disk) == offsetof(PullEvent, is_from_disk) &&
                   offsetof(gpux_pull_event, rate) == offsetof(PullEvent, rate) &&
                   (int)GPUX_PULL_PUBLISHED == (int)PULL_PUBLISHED,
               "gpux_pull_event is PullEvent");

int gpux_fault_exit_code(gpux_fault fault) {
    return registry_exit_code((RegistryFault)fault);
}

const char *gpux_fault_hint(gpux_fault fault) {
    return registry_hint((RegistryFault)fault);
}

static bool converts(void *ctx, const char *model_type) {
    (void)ctx;
    return models_supports_type(model_type);
}

static Status open_registry(Registry **out, gpux_env *env, const gpux_hub_options *hub,
                            Error *error) {
    RegistryOptions options = {.cache_dir = env->cache_dir,
                               .home = env->home,
                               .token = hub ? hub->token : NULL,
                               .version = GPUX_VERSION,
                               .is_offline = hub ? hub->offline : false,
                               .log = &env->log,
                               .supports = converts};
    return registry_open(out, &options, error);
}

// One call to the registry, from opening it to handing its report over.
typedef struct HubCall {
    Registry *registry;
    Buf report;
    RegistryFault fault;
    Status status;
} HubCall;

// False when the registry cannot be opened: a fault of this machine's settings.
static bool begin_call(HubCall *call, gpux_env *env, const gpux_hub_options *hub,
                       gpux_error *error) {
    *call = (HubCall){.report = BUF_INIT(MAX_TEXT_BYTES), .fault = REGISTRY_FAULT_LOCAL};
    call->status = open_registry(&call->registry, env, hub, inner(error));
    if (call->status == STATUS_OK)
        call->fault = REGISTRY_FAULT_NONE;
    return call->status == STATUS_OK;
}

static gpux_status end_call(HubCall *call, gpux_text *report, gpux_fault *fault,
                            gpux_error *error) {
    registry_close(call->registry);
    if (fault)
        *fault = (gpux_fault)call->fault;
    return give_text(report, &call->report, call->status, error);
}

typedef struct PullContext {
    gpux_env *env;
    const gpux_pull_options *options;
} PullContext;

static bool pass_progress(void *ctx, const PullEvent *event) {
    const gpux_pull_options *options = ((const PullContext *)ctx)->options;
    return !options->progress ||
           options->progress(options->progress_ctx, (const gpux_pull_event *)event);
}

static ConvertOptions convert_options(const PullContext *pull) {
    return (ConvertOptions){
        .task = pull->options->task, .opset = pull->options->opset, .log = &pull->env->log};
}

static bool is_converted_as_wanted(void *ctx, const char *folder) {
    ConvertOptions options = convert_options(ctx);
    return store_is_converted_as(folder, &options);
}

static Status convert_pulled(void *ctx, const char *folder, const PullFacts *facts, Error *error) {
    (void)facts;
    Buf report = BUF_INIT(MAX_TEXT_BYTES);
    ConvertOptions options = convert_options(ctx);
    Status status = store_convert(&report, folder, &options, error);
    buf_free(&report);
    return status;
}

gpux_status gpux_pull(gpux_text *report, gpux_fault *fault, gpux_env *env,
                      const gpux_pull_options *options, gpux_error *error) {
    HubCall call;
    PullContext context = {env, options};
    PullOptions pull = {.model = options->model,
                        .registry = options->registry,
                        .revision = options->revision,
                        .format = options->format,
                        .jobs = options->jobs,
                        .force = options->force,
                        .all_files = options->all_files,
                        .progress = pass_progress,
                        .progress_ctx = &context,
                        .finish = options->no_convert ? NULL : convert_pulled,
                        .is_as_wanted = options->no_convert ? NULL : is_converted_as_wanted,
                        .finish_ctx = &context};
    if (begin_call(&call, env, &options->hub, error))
        call.status = registry_pull(&call.report, &call.fault, call.registry, &pull, inner(error));
    return end_call(&call, report, fault, error);
}

gpux_status gpux_list(gpux_text *report, gpux_env *env, const char *only, gpux_error *error) {
    HubCall call;
    if (begin_call(&call, env, NULL, error))
        call.status = registry_list(&call.report, call.registry, only, inner(error));
    return end_call(&call, report, NULL, error);
}

gpux_status gpux_remove(gpux_text *report, gpux_fault *fault, gpux_env *env, const char *model,
                        const char *revision, bool force, gpux_error *error) {
    HubCall call;
    RemoveOptions options = {
        .model = model, .revision = revision, .all = model == NULL, .force = force};
    if (begin_call(&call, env, NULL, error))
        call.status =
            registry_remove(&call.report, &call.fault, call.registry, &options, inner(error));
    return end_call(&call, report, fault, error);
}

gpux_status gpux_prune(gpux_text *report, gpux_fault *fault, gpux_env *env, gpux_error *error) {
    HubCall call;
    if (begin_call(&call, env, NULL, error))
        call.status = registry_prune(&call.report, &call.fault, call.registry, REGISTRY_PRUNE_AGE_S,
                                     inner(error));
    return end_call(&call, report, fault, error);
}

gpux_status gpux_hub_info(gpux_text *report, gpux_fault *fault, gpux_env *env,
                          const gpux_hub_options *hub, const char *model, const char *revision,
                          gpux_error *error) {
    HubCall call;
    if (begin_call(&call, env, hub, error))
        call.status =
            registry_info(&call.report, &call.fault, call.registry, model, revision, inner(error));
    return end_call(&call, report, fault, error);
}

gpux_status gpux_hub_search(gpux_text *report, gpux_fault *fault, gpux_env *env,
                            const gpux_hub_options *hub, const char *query, const char *task,
                            const char *sort, int limit, gpux_error *error) {
    HubCall call;
    SearchOptions options = {.query = query, .task = task, .sort = sort, .limit = limit};
    if (begin_call(&call, env, hub, error))
        call.status =
            registry_search(&call.report, &call.fault, call.registry, &options, inner(error));
    return end_call(&call, report, fault, error);
}

gpux_status gpux_hub_login(gpux_text *report, gpux_fault *fault, gpux_env *env,
                           const gpux_hub_options *hub, const char *token, gpux_error *error) {
    HubCall call;
    if (begin_call(&call, env, hub, error))
        call.status = registry_login(&call.report, &call.fault, call.registry, token, inner(error));
    return end_call(&call, report, fault, error);
}

gpux_status gpux_hub_logout(gpux_text *report, gpux_fault *fault, gpux_env *env,
                            gpux_error *error) {
    HubCall call;
    if (begin_call(&call, env, NULL, error))
        call.status = registry_logout(&call.report, &call.fault, call.registry, inner(error));
    return end_call(&call, report, fault, error);
}

gpux_status gpux_hub_names(gpux_text *report, gpux_env *env, gpux_error *error) {
    HubCall call;
    if (begin_call(&call, env, NULL, error))
        call.status = registry_names(&call.report, call.registry, inner(error));
    return end_call(&call, report, NULL, error);
}
