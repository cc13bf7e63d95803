// model.onnx → Graph → passes → a provider's compiled form: the only way in.
#include "engine/private.h"

#include <stdio.h>

static const FileMap *constant_map(void *ctx, ValueId value) {
    return onnx_constant_map(ctx, value);
}

// The provider a user named, or the best that is here. A known one that is unavailable falls back
// to the CPU with a warning.
static Status choose_provider(const EngineOptions *options, const Provider **out, Error *error) {
    *out = &cpu_provider;
    TRY(engine_check_provider(options->provider, error));
    if (!options->provider || sv_equal_nocase(sv(options->provider), SV("auto")))
        return STATUS_OK;
    const ProviderEntry *entry = providers_find(sv(options->provider));
    ProviderProbe probe;
    providers_probe(&probe, entry, options->cpu);
    if (probe.is_available)
        *out = entry->provider;
    else
        log_message(options->log, LOG_WARNING,
                    "Provider '%s' is not available (%s); using CPUExecutionProvider",
                    options->provider, probe.reason ? probe.reason : "unknown reason");
    return STATUS_OK;
}

Status engine_choose_provider(const char **out, const EngineOptions *options, Error *error) {
    const Provider *provider;
    TRY(choose_provider(options, &provider, error));
    *out = provider->name;
    return STATUS_OK;
}

// The precision a user named; "auto" is fp32: who knows better from a build says so.
static Status choose_precision(const char *name, const char **out, Error *error) {
    *out = engine_precisions[0];
    if (!name || strcmp(name, "auto") == 0)
        return STATUS_OK;
    for (size_t i = 0; engine_precisions[i]; i++)
        if (strcmp(name, engine_precisions[i]) == 0) {
            *out = engine_precisions[i];
            return STATUS_OK;
        }
    return error_set(error, STATUS_UNSUPPORTED,
                     "Precision '%s' is not available on CPUExecutionProvider; use fp32, bf16 or "
                     "int8",
                     name);
}

// Every node must run here; the first that cannot is named.
static Status check_support(const Model *model, const Graph *graph, Error *error) {
    if (!graph_is_ragged(graph))
        for (int i = 0; i < graph->n_nodes; i++) {
            const Node *node = &graph->nodes[i];
            const char *reason = model->provider->supports(graph, node);
            if (reason)
                return error_set(error, STATUS_UNSUPPORTED, "%s cannot run node '%s' (%s): %s",
                                 model->provider->name, graph->values[node->out[0]].name,
                                 op_info(node->op)->name, reason);
        }
    if (!graph_is_ragged(graph))
        return error_set(error, STATUS_UNSUPPORTED,
                         "%s runs text encoders with inputs input_ids and attention_mask; this "
                         "graph has another form",
                         model->provider->name);
    return STATUS_OK;
}

static ModelPort port_from_value(const Value *value) {
    ModelPort port = {.name = value->name, .dtype = value->dtype, .rank = value->rank};
    for (int i = 0; i < value->rank; i++) {
        port.shape[i] = value->dims[i].size;
        port.symbols[i] = value->dims[i].symbol;
    }
    return port;
}

// Outputs that are per sequence have lost their batch symbol in the token form; it is put back.
static void describe_output(ModelPort *port) {
    if (port->rank > 0 && port->symbols[0] && strcmp(port->symbols[0], "B") == 0)
        port->symbols[0] = "batch";
}

static Status describe_ports(Model *model, const Graph *graph, Error *error) {
    model->n_inputs = (size_t)graph->n_inputs;
    model->n_outputs = (size_t)graph->n_outputs;
    model->inputs = mem_alloc_zero(model->n_inputs + 1, sizeof *model->inputs);
    model->outputs = mem_alloc_zero(model->n_outputs + 1, sizeof *model->outputs);
    if (!model->inputs || !model->outputs)
        return error_out_of_memory(error, model->n_outputs);
    for (size_t i = 0; i < model->n_inputs; i++) {
        model->inputs[i] = port_from_value(&graph->values[graph->inputs[i]]);
        if (strcmp(model->inputs[i].name, "token_type_ids") == 0)
            model->has_types = true;
    }
    for (size_t i = 0; i < model->n_outputs; i++) {
        model->outputs[i] = port_from_value(&graph->values[graph->outputs[i]]);
        describe_output(&model->outputs[i]);
    }
    return STATUS_OK;
}

// Position rule, vocabulary and longest row from PACK and the embedding tables.
static void describe_tokens(Model *model, const Graph *graph) {
    const Node *pack = NULL;
    for (int i = 0; i < graph->n_nodes; i++) {
        const Node *node = &graph->nodes[i];
        if (node->op == OP_PACK)
            pack = node;
        if (node->op != OP_EMBED || !pack)
            continue;
        for (int t = 0; t < node->n_in; t += 2) {
            size_t rows = (size_t)graph->values[node->in[t + 1]].dims[0].size;
            if (node->in[t] == pack->out[0])
                model->vocab_rows = rows;
            else if (node->in[t] == pack->out[2])
                model->max_tokens = rows;
        }
    }
    if (!pack)
        return;
    model->pad_id = (int32_t)node_int(pack, "pad_id", 0);
    if (sv_equal_cstr(node_string(pack, "positions", SV("column")), "nonpad")) {
        model->position_rule = POSITIONS_NONPAD;
        size_t offset = (size_t)model->pad_id + 1;
        model->max_tokens = model->max_tokens > offset ? model->max_tokens - offset : 0;
    }
}

static Status load(Model *model, const char *path, const EngineOptions *options, ThreadPool *pool,
                   Error *error) {
    TRY(onnx_open(&model->onnx, path, error));
    Graph *graph = onnx_graph(model->onnx);
    TRY(graph_run_passes(graph, NULL, NULL, error));
    TRY(check_support(model, graph, error));
    if (model->precision != engine_precisions[0])
        TRY(graph_assign_precision(graph, model->precision, error));
    TRY(describe_ports(model, graph, error));
    describe_tokens(model, graph);
    int32_t first_position;
    fill_positions(model, &(int32_t){model->pad_id + 1}, NULL, 1, &first_position);
    CompileOptions compile = {.cpu = &model->cpu,
                              .log = options->log,
                              .pool = pool,
                              .constant_map = constant_map,
                              .ctx = model->onnx,
                              .first_position = (size_t)first_position};
    Arena places = {0};
    Status status = keep_options(&compile.keep, &places, model, path, options, error);
    if (status == STATUS_OK)
        status = model->provider->compile(&model->compiled, graph, &compile, error);
    arena_free(&places);
    return status;
}

Status model_load(Model **out, const char *onnx_path, const EngineOptions *options, Error *error) {
    const Provider *provider;
    const char *precision;
    TRY(choose_provider(options, &provider, error));
    TRY(choose_precision(options->precision, &precision, error));
    Model *model = mem_alloc_zero(1, sizeof *model);
    if (!model)
        return error_out_of_memory(error, sizeof *model);
    model->cpu = *options->cpu;
    model->provider = provider;
    model->precision = precision;
    ThreadPool *pool = NULL;
    Status status =
        pool_new(&pool, options->threads > 0 ? options->threads : model->cpu.threads, error);
    if (status == STATUS_OK)
        status = load(model, onnx_path, options, pool, error);
    pool_free(pool);
    if (status != STATUS_OK) {
        model_free(model);
        return status;
    }
    *out = model;
    return STATUS_OK;
}

Status engine_write_plan(Buf *out, const char *onnx_path, Error *error) {
    OnnxModel *onnx;
    TRY(onnx_open(&onnx, onnx_path, error));
    Status status = graph_run_passes(onnx_graph(onnx), NULL, NULL, error);
    if (status == STATUS_OK) {
        graph_dump(out, onnx_graph(onnx));
        status = buf_status(out, error);
    }
    onnx_close(onnx);
    return status;
}
