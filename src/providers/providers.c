// The providers a user may name, in priority order, and what is known of each on this machine.
//
// Only the native CPU engine is built today; the others are listed so that naming one gives a
// reason and `inspect` shows the whole picture.
#include "providers/provider.h"

#define NOT_BUILT "this build of gpux has no engine for it yet"

static const ProviderEntry entries[] = {
    {"TensorrtExecutionProvider", "NVIDIA TensorRT", "NVIDIA TensorRT optimization",
     (const char *const[]){"tensorrt", "trt", NULL}, NULL, NOT_BUILT},
    {"CUDAExecutionProvider", "NVIDIA CUDA", "NVIDIA CUDA GPU acceleration",
     (const char *const[]){"cuda", "nvidia", NULL}, NULL, NOT_BUILT},
    {"ROCmExecutionProvider", "AMD ROCm", "AMD GPU acceleration",
     (const char *const[]){"rocm", "migraphx", "hip", "amd", "rocmexecutionprovider",
                           "migraphxexecutionprovider", NULL},
     NULL, NOT_BUILT},
    {"CoreMLExecutionProvider", "Apple CoreML", "Apple Silicon optimization",
     (const char *const[]){"coreml", "metal", "apple", NULL}, NULL, NOT_BUILT},
    {"DirectMLExecutionProvider", "Windows DirectML", "Windows DirectX acceleration",
     (const char *const[]){"directml", "dml", "dx12", "dmlexecutionprovider", NULL}, NULL,
     NOT_BUILT},
    {"OpenVINOExecutionProvider", "Intel OpenVINO", "Intel hardware acceleration",
     (const char *const[]){"openvino", "intel", NULL}, NULL, NOT_BUILT},
    {"CPUExecutionProvider", "CPU", "Universal CPU fallback",
     (const char *const[]){"cpu", "cpu:native", NULL}, &cpu_provider, NULL},
};

const ProviderEntry *providers_list(size_t *count) {
    *count = sizeof entries / sizeof entries[0];
    return entries;
}

const ProviderEntry *providers_find(StrView name) {
    for (size_t i = 0; i < sizeof entries / sizeof entries[0]; i++) {
        if (sv_equal_nocase(name, sv(entries[i].name)))
            return &entries[i];
        for (const char *const *alias = entries[i].aliases; *alias; alias++)
            if (sv_equal_nocase(name, sv(*alias)))
                return &entries[i];
    }
    return NULL;
}

void providers_probe(ProviderProbe *out, const ProviderEntry *entry, const CpuInfo *cpu) {
    *out = (ProviderProbe){.reason = entry->absent_reason};
    if (entry->provider)
        entry->provider->probe(out, cpu);
}
