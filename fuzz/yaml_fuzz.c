// Any bytes as gpux.yml: parsing must end in a project or an error, and what is written from a
// project must read back to the same values.
#include "config/config.h"

#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum { MAX_AGAIN = 1 << 16 }; // beyond it, written-out aliases may pass the reader's own limits

static const char *fuzz_getenv(void *ctx, const char *name) {
    (void)ctx;
    return name[0] == 'A' ? "value: 1" : NULL;
}

static void require(bool is_true) {
    if (!is_true)
        abort();
}

static void write_and_read_back(const Project *project) {
    Buf yaml = BUF_INIT(MAX_AGAIN);
    Buf json = BUF_INIT(1 << 24);
    JsonWriter writer = json_writer(&json, 0);
    project_write_json(project, &writer);
    require(json.failed || utf8_is_valid(sv_n(json.ptr, json.len), NULL));
    if (project_write_yaml(&yaml, project) == STATUS_OK) {
        Project *again = NULL;
        require(project_parse(&again, sv_n(yaml.ptr, yaml.len), "/f/gpux.yml", fuzz_getenv, NULL,
                              NULL, NULL) == STATUS_OK);
        require(strcmp(again->name, project->name) == 0);
        require(strcmp(again->version, project->version) == 0);
        require(strcmp(again->model_source, project->model_source) == 0);
        require(strcmp(again->metadata_json, project->metadata_json) == 0);
        require(again->input_count == project->input_count);
        require(again->outputs[0].label_count == project->outputs[0].label_count);
        require(again->tag_count == project->tag_count);
        require(again->runtime.gpu_memory_set == project->runtime.gpu_memory_set);
        require(again->serving.timeout == project->serving.timeout);
        project_close(again);
    }
    buf_free(&json);
    buf_free(&yaml);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    Project *project = NULL;
    Diagnostics diagnostics = {0};
    Error error = {0};
    Status status = project_parse(&project, sv_n((const char *)data, size), "/f/gpux.yml",
                                  fuzz_getenv, NULL, &diagnostics, &error);
    require((status == STATUS_OK) == (project != NULL));
    if (project)
        write_and_read_back(project);
    else
        require(error.message[0] && utf8_is_valid(sv(error.message), NULL));
    project_close(project);
    diagnostics_free(&diagnostics);
    return 0;
}
