// A Project as the JSON that inspect shows: every key with its default, inputs and outputs as
// lists.
#include "config/config.h"

static void json_text(JsonWriter *writer, const char *key, const char *text) {
    json_key(writer, key);
    json_write_cstr(writer, text);
}

static void json_int(JsonWriter *writer, const char *key, int64_t number) {
    json_key(writer, key);
    json_write_i64(writer, number);
}

// 0 stands for "not written".
static void json_int_or_null(JsonWriter *writer, const char *key, int64_t number) {
    json_key(writer, key);
    if (number)
        json_write_i64(writer, number);
    else
        json_write_null(writer);
}

static void json_bool(JsonWriter *writer, const char *key, bool is_true) {
    json_key(writer, key);
    json_write_bool(writer, is_true);
}

static void json_texts(JsonWriter *writer, const char *const *texts, size_t count) {
    json_begin_array(writer);
    for (size_t i = 0; i < count; i++)
        json_write_cstr(writer, texts[i]);
    json_end_array(writer);
}

// A map kept as compact JSON.
static void json_map(JsonWriter *writer, const char *key, const char *text) {
    JsonDoc *doc = NULL;
    json_key(writer, key);
    Status status = json_parse(&doc, sv(text ? text : "{}"), 0, NULL);
    if (status == STATUS_OK) {
        json_write_value(writer, json_root(doc));
    } else {
        json_write_null(writer);
        if (status == STATUS_OUT_OF_MEMORY)
            writer->out->failed = status;
    }
    json_free(doc);
}

static void json_shape(JsonWriter *writer, const ProjectPort *port) {
    if (!port->has_shape) {
        json_write_null(writer);
        return;
    }
    json_begin_flat_array(writer);
    for (int i = 0; i < port->rank; i++) {
        if (port->dim_names[i])
            json_write_cstr(writer, port->dim_names[i]);
        else
            json_write_i64(writer, port->shape[i]);
    }
    json_end_array(writer);
}

static void json_ports(JsonWriter *writer, const ProjectPort *ports, size_t count,
                       bool are_inputs) {
    json_begin_array(writer);
    for (size_t i = 0; i < count; i++) {
        const ProjectPort *port = &ports[i];
        json_begin_object(writer);
        json_text(writer, "name", port->name);
        json_text(writer, "type", dtype_name(port->type));
        json_key(writer, "shape");
        json_shape(writer, port);
        if (are_inputs) {
            json_bool(writer, "required", port->is_required);
            json_int_or_null(writer, "max_length", port->max_length);
        } else {
            json_key(writer, "labels");
            if (port->labels)
                json_texts(writer, port->labels, port->label_count);
            else
                json_write_null(writer);
        }
        json_text(writer, "description", port->description);
        json_end_object(writer);
    }
    json_end_array(writer);
}

static void json_runtime(JsonWriter *writer, const Project *project) {
    json_begin_object(writer);
    json_key(writer, "gpu");
    json_begin_object(writer);
    json_text(writer, "memory", project->runtime.gpu_memory_text);
    json_text(writer, "backend", project->runtime.gpu_backend);
    json_int(writer, "device_id", project->runtime.device_id);
    json_text(writer, "precision", project->runtime.precision);
    json_key(writer, "coreml");
    json_begin_object(writer);
    json_text(writer, "model_format", project->runtime.coreml_model_format);
    json_text(writer, "compute_units", project->runtime.coreml_compute_units);
    json_bool(writer, "enable_profiling", project->runtime.coreml_enable_profiling);
    json_end_object(writer);
    json_end_object(writer);
    json_int(writer, "timeout", project->runtime.timeout);
    json_int(writer, "batch_size", project->runtime.batch_size);
    json_bool(writer, "enable_profiling", project->runtime.enable_profiling);
    json_int(writer, "threads", project->runtime.threads);
    json_end_object(writer);
}

static void json_serving(JsonWriter *writer, const Project *project) {
    json_begin_object(writer);
    json_int(writer, "port", project->serving.port);
    json_text(writer, "host", project->serving.host);
    json_int(writer, "batch_size", project->serving.batch_size);
    json_int(writer, "timeout", project->serving.timeout);
    json_int(writer, "max_workers", project->serving.max_workers);
    json_int(writer, "max_queue", project->serving.max_queue);
    json_key(writer, "max_body");
    json_write_u64(writer, project->serving.max_body);
    json_int(writer, "max_batch_delay_ms", project->serving.max_batch_delay_ms);
    json_text(writer, "api_key", project->serving.api_key ? "***" : NULL); // never printed
    json_text(writer, "cors", project->serving.cors);
    json_end_object(writer);
}

static void json_preprocessing(JsonWriter *writer, const Project *project) {
    const char *padding = project->preprocessing.padding;
    json_begin_object(writer);
    json_text(writer, "tokenizer", project->preprocessing.tokenizer);
    json_int_or_null(writer, "max_length", project->preprocessing.max_length);
    if (padding && strcmp(padding, "true") != 0 && strcmp(padding, "false") != 0)
        json_text(writer, "padding", padding);
    else
        json_bool(writer, "padding", padding && strcmp(padding, "true") == 0);
    json_key(writer, "resize");
    if (project->preprocessing.resize[0]) {
        json_begin_flat_array(writer);
        json_write_i64(writer, project->preprocessing.resize[0]);
        json_write_i64(writer, project->preprocessing.resize[1]);
        json_end_array(writer);
    } else {
        json_write_null(writer);
    }
    json_text(writer, "normalize", project->preprocessing.normalize);
    json_bool(writer, "letterbox", project->preprocessing.letterbox);
    json_map(writer, "custom", project->preprocessing.custom_json);
    json_int(writer, "sample_rate", project->preprocessing.sample_rate);
    json_int(writer, "n_mels", project->preprocessing.n_mels);
    json_int(writer, "n_fft", project->preprocessing.n_fft);
    json_int(writer, "hop_length", project->preprocessing.hop_length);
    json_int(writer, "chunk_length", project->preprocessing.chunk_length);
    json_end_object(writer);
}

void project_write_json(const Project *project, JsonWriter *writer) {
    json_begin_object(writer);
    json_text(writer, "name", project->name);
    json_text(writer, "version", project->version);
    json_text(writer, "description", project->description);
    json_text(writer, "task", project->task);
    json_key(writer, "model");
    json_begin_object(writer);
    json_text(writer, "source", project->model_source);
    json_text(writer, "format", project->model_format);
    json_text(writer, "version", project->model_version);
    json_text(writer, "id", project->model_id);
    json_text(writer, "registry", project->model_registry);
    json_text(writer, "revision", project->model_revision);
    json_end_object(writer);
    json_key(writer, "inputs");
    json_ports(writer, project->inputs, project->input_count, true);
    json_key(writer, "outputs");
    json_ports(writer, project->outputs, project->output_count, false);
    json_key(writer, "runtime");
    json_runtime(writer, project);
    json_key(writer, "serving");
    json_serving(writer, project);
    json_key(writer, "preprocessing");
    json_preprocessing(writer, project);
    json_map(writer, "metadata", project->metadata_json);
    json_key(writer, "tags");
    json_texts(writer, project->tags, project->tag_count);
    json_end_object(writer);
}
