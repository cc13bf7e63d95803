// The native CPU provider: probe, compile, release.
#include "providers/cpu/cpu.h"

static void cpu_probe(ProviderProbe *out, const CpuInfo *cpu) {
    *out = (ProviderProbe){
        .is_available = true, .engine = "native", .version = NULL, .device = cpu->model};
}

static void cpu_release(Compiled *compiled) {
    if (!compiled)
        return;
    if (compiled->kept.map)
        artifact_close(&compiled->kept);
    else
        mem_free_aligned(compiled->weights);
    arena_free(&compiled->arena);
    mem_free(compiled);
}

static Status cpu_compile(Compiled **out, const Graph *graph, const CompileOptions *options,
                          Error *error) {
    Compiled *compiled = mem_alloc_zero(1, sizeof *compiled);
    if (!compiled)
        return error_out_of_memory(error, sizeof *compiled);
    compiled->cpu = *options->cpu;
    kernels_select(&compiled->kernels, options->cpu->flags);
    kernels_select_reduced(&compiled->reduced, options->cpu->flags);
    Status status = cpu_lower(compiled, graph, error);
    if (status == STATUS_OK)
        status = cpu_prepare_weights(compiled, graph, options, error);
    if (status == STATUS_OK)
        cpu_settle_init(compiled);
    if (status != STATUS_OK) {
        cpu_release(compiled);
        return status;
    }
    *out = compiled;
    return STATUS_OK;
}

static size_t cpu_memory_bytes(const Compiled *compiled) {
    return compiled->weights_bytes;
}

static const char *cpu_isa(const Compiled *compiled) {
    return compiled->kernels.isa;
}

const Provider cpu_provider = {
    .version = 1,
    .name = "CPUExecutionProvider",
    .platform = "CPU",
    .description = "Universal CPU fallback",
    .probe = cpu_probe,
    .supports = cpu_supports,
    .compile = cpu_compile,
    .release = cpu_release,
    .memory_bytes = cpu_memory_bytes,
    .isa = cpu_isa,
    .session_new = cpu_session_new,
    .session_free = cpu_session_free,
    .reshape = cpu_reshape,
    .run = cpu_run,
    .output = cpu_output,
    .profile = cpu_profile,
    .peak = cpu_peak,
};
