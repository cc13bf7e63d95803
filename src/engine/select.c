// Which provider runs a model on this machine, and what a user is told about the others.
#include "engine/private.h"

#include <stdio.h>

const char *const engine_precisions[] = {"fp32", "bf16", "int8", NULL};

Status engine_check_provider(const char *name, Error *error) {
    if (!name || sv_equal_nocase(sv(name), SV("auto")) || providers_find(sv(name)))
        return STATUS_OK;
    return error_set(error, STATUS_INVALID,
                     "Unknown provider '%s'. Valid providers: auto, tensorrt, cuda, rocm, coreml, "
                     "directml, openvino, cpu",
                     name);
}

static void write_provider_members(JsonWriter *writer, const ProviderEntry *entry,
                                   const CpuInfo *cpu) {
    ProviderProbe probe;
    providers_probe(&probe, entry, cpu);
    json_key(writer, "name");
    json_write_cstr(writer, entry->name);
    json_key(writer, "provider");
    json_write_cstr(writer, entry->name);
    json_key(writer, "available");
    json_write_bool(writer, probe.is_available);
    json_key(writer, "platform");
    json_write_cstr(writer, entry->platform);
    json_key(writer, "description");
    json_write_cstr(writer, entry->description);
    json_key(writer, "config");
    json_begin_object(writer);
    json_end_object(writer);
    json_key(writer, "engine");
    json_write_cstr(writer, probe.engine);
    json_key(writer, "device");
    json_write_cstr(writer, probe.device);
    json_key(writer, "precisions");
    json_begin_flat_array(writer);
    for (size_t i = 0; probe.is_available && engine_precisions[i]; i++)
        json_write_cstr(writer, engine_precisions[i]);
    json_end_array(writer);
    json_key(writer, "reason");
    json_write_cstr(writer, probe.reason);
}

void engine_write_provider(JsonWriter *writer, const char *name, const char *requested,
                           const CpuInfo *cpu) {
    const ProviderEntry *entry = providers_find(sv(name));
    json_begin_object(writer);
    if (entry)
        write_provider_members(writer, entry, cpu);
    json_key(writer, "requested");
    json_write_cstr(writer, requested);
    json_end_object(writer);
}

void engine_write_providers(JsonWriter *writer, const CpuInfo *cpu) {
    size_t count;
    const ProviderEntry *entries = providers_list(&count);
    json_key(writer, "available_providers");
    json_begin_array(writer);
    for (size_t i = 0; i < count; i++) {
        ProviderProbe probe;
        providers_probe(&probe, &entries[i], cpu);
        if (probe.is_available)
            json_write_cstr(writer, entries[i].name);
    }
    json_end_array(writer);
    json_key(writer, "provider_details");
    json_begin_object(writer);
    for (size_t i = 0; i < count; i++) {
        json_key(writer, entries[i].name);
        json_begin_object(writer);
        write_provider_members(writer, &entries[i], cpu);
        json_end_object(writer);
    }
    json_end_object(writer);
}
