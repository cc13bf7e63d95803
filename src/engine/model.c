// Model: the graph with its compiled form; immutable, shared by threads. Getters and the end of it.
#include "engine/private.h"

void model_free(Model *model) {
    if (!model)
        return;
    if (model->provider)
        model->provider->release(model->compiled);
    onnx_close(model->onnx);
    mem_free(model->inputs);
    mem_free(model->outputs);
    mem_free(model);
}

const char *model_provider(const Model *model) {
    return model->provider->name;
}

const char *model_isa(const Model *model) {
    return model->provider->isa(model->compiled);
}

const char *model_precision(const Model *model) {
    return model->precision;
}

size_t model_memory_bytes(const Model *model) {
    return model->provider->memory_bytes(model->compiled);
}

size_t model_max_tokens(const Model *model) {
    return model->max_tokens;
}

size_t model_vocab_rows(const Model *model) {
    return model->vocab_rows;
}

bool model_has_type_ids(const Model *model) {
    return model->has_types;
}

size_t model_input_count(const Model *model) {
    return model->n_inputs;
}

const ModelPort *model_input(const Model *model, size_t index) {
    return &model->inputs[index];
}

size_t model_output_count(const Model *model) {
    return model->n_outputs;
}

const ModelPort *model_output(const Model *model, size_t index) {
    return &model->outputs[index];
}

size_t model_find_output(const Model *model, const char *name) {
    for (size_t i = 0; i < model->n_outputs; i++)
        if (strcmp(model->outputs[i].name, name) == 0)
            return i;
    return SIZE_MAX;
}
