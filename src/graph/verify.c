// The invariants of graph.h, checked after each pass. Shapes are not looked at: that is shape.c.
#include "base/checked.h"
#include "graph/graph_private.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { DETAIL_SIZE = 512 };

Status node_error(const Graph *graph, const Node *node, Error *error, const char *format, ...) {
    char detail[DETAIL_SIZE];
    va_list args;
    va_start(args, format);
    vsnprintf(detail, sizeof(detail), format, args);
    va_end(args);
    // An op out of range is itself one of the errors reported here.
    const char *op = (unsigned)node->op < OP_COUNT ? op_info(node->op)->name : "unknown op";
    return error_set(error, STATUS_INVALID, "node %td \"%.200s\" (%s): %s", node - graph->nodes,
                     node->name ? node->name : "", op, detail);
}

static Status check_arity(const Graph *graph, const Node *node, Error *error) {
    if ((unsigned)node->op >= OP_COUNT)
        return node_error(graph, node, error, "op %d does not exist", (int)node->op);
    const OpInfo *info = op_info(node->op);
    if (node->n_in < info->min_in || (info->max_in >= 0 && node->n_in > info->max_in))
        return node_error(graph, node, error, "has %d inputs, the op takes %d to %d", node->n_in,
                          info->min_in, info->max_in);
    if (node->n_out < info->min_out || (info->max_out >= 0 && node->n_out > info->max_out))
        return node_error(graph, node, error, "has %d outputs, the op has %d to %d", node->n_out,
                          info->min_out, info->max_out);
    return STATUS_OK;
}

Status graph_check_node(const Graph *graph, const Node *node, Error *error) {
    TRY(check_arity(graph, node, error));
    // ONNX puts optional inputs last; of the raised ops only the first input is always there.
    int needed = op_info(node->op)->is_onnx ? op_info(node->op)->min_in : 1;
    for (int i = 0; i < node->n_in; i++) {
        if (node->in[i] != NO_VALUE && !graph_has_value(graph, node->in[i]))
            return node_error(graph, node, error, "input %d is value %d of %d", i, node->in[i],
                              graph->n_values);
        if (node->in[i] == NO_VALUE && i < needed)
            return node_error(graph, node, error, "input %d is missing", i);
    }
    bool has_output = false;
    for (int i = 0; i < node->n_out; i++) {
        if (node->out[i] == NO_VALUE)
            continue;
        has_output = true;
        if (!graph_has_value(graph, node->out[i]))
            return node_error(graph, node, error, "output %d is value %d of %d", i, node->out[i],
                              graph->n_values);
        for (int j = 0; j < i; j++) {
            if (node->out[j] == node->out[i])
                return node_error(graph, node, error, "produces %%%s twice",
                                  graph->values[node->out[i]].name);
        }
    }
    return has_output ? STATUS_OK : node_error(graph, node, error, "has no output");
}

static Status check_inputs_of(const Graph *graph, NodeId id, Error *error) {
    const Node *node = &graph->nodes[id];
    for (int i = 0; i < node->n_in; i++) {
        if (node->in[i] == NO_VALUE)
            continue;
        const Value *value = &graph->values[node->in[i]];
        if (value->kind != VALUE_NODE)
            continue;
        NodeId producer = graph_producer_id(graph, node->in[i]);
        if (producer == NO_NODE)
            return node_error(graph, node, error, "reads %%%s, which nothing produces",
                              value->name);
        if (producer >= id)
            return node_error(graph, node, error, "reads %%%s before node %d produces it",
                              value->name, producer);
    }
    return STATUS_OK;
}

static Status check_node(const Graph *graph, NodeId id, Error *error) {
    const Node *node = &graph->nodes[id];
    TRY(graph_check_node(graph, node, error));
    TRY(check_inputs_of(graph, id, error));
    for (int i = 0; i < node->n_out; i++) {
        if (node->out[i] == NO_VALUE)
            continue;
        const Value *value = &graph->values[node->out[i]];
        if (value->kind != VALUE_NODE)
            return node_error(graph, node, error, "produces %%%s, which is an input or constant",
                              value->name);
        if (value->producer != id)
            return node_error(graph, node, error, "produces %%%s, which node %d produces",
                              value->name, value->producer);
    }
    for (int i = 1; i < node->n_attrs; i++) {
        for (int j = 0; j < i; j++) {
            if (strcmp(node->attrs[i].name, node->attrs[j].name) == 0)
                return node_error(graph, node, error, "has attribute %s twice",
                                  node->attrs[i].name);
        }
    }
    return STATUS_OK;
}

static Status check_constant(const Value *value, Error *error) {
    size_t size;
    if (!value->has_rank)
        return error_set(error, STATUS_INVALID, "constant %%%s has no shape", value->name);
    size_t count = value_count(value);
    bool is_empty = false;
    for (int i = 0; i < value->rank; i++)
        is_empty = is_empty || value->dims[i].size == 0;
    if ((count == 0 && !is_empty) || !size_mul(&size, count, dtype_size(value->dtype)))
        return error_set(error, STATUS_INVALID, "constant %%%s is too large", value->name);
    if (value->dtype == DTYPE_UNKNOWN || value->dtype == DTYPE_STRING)
        return error_set(error, STATUS_INVALID, "constant %%%s has type %s", value->name,
                         dtype_name(value->dtype));
    if (value->data_size != size)
        return error_set(error, STATUS_INVALID, "constant %%%s has %zu bytes, its shape needs %zu",
                         value->name, value->data_size, size);
    if (!value->data && !value->file && size > 0)
        return error_set(error, STATUS_INVALID, "constant %%%s has neither data nor a file",
                         value->name);
    return STATUS_OK;
}

static bool node_produces(const Node *node, ValueId value) {
    for (int i = 0; i < node->n_out; i++) {
        if (node->out[i] == value)
            return true;
    }
    return false;
}

static Status check_value(const Graph *graph, ValueId id, Error *error) {
    const Value *value = &graph->values[id];
    if (!value->name || !*value->name)
        return error_set(error, STATUS_INVALID, "value %d has no name", id);
    if (value->rank < 0 || value->rank > TENSOR_MAX_RANK)
        return error_set(error, STATUS_INVALID, "value %%%s has rank %d", value->name, value->rank);
    if (value->kind == VALUE_CONSTANT)
        TRY(check_constant(value, error));
    if (value->kind != VALUE_NODE && value->producer != NO_NODE)
        return error_set(error, STATUS_INVALID, "value %%%s is not a node's, but names node %d",
                         value->name, value->producer);
    NodeId producer = graph_producer_id(graph, id);
    if (producer != NO_NODE && !node_produces(&graph->nodes[producer], id))
        return error_set(error, STATUS_INVALID, "node %d does not produce %%%s", producer,
                         value->name);
    return STATUS_OK;
}

static int compare_names(const void *a, const void *b) {
    return strcmp(*(const char *const *)a, *(const char *const *)b);
}

static Status check_names(const Graph *graph, Error *error) {
    Status status = STATUS_OK;
    size_t count = 0;
    size_t bytes = (size_t)graph->n_values * sizeof(char *);
    const char **names = mem_alloc(bytes);
    if (!names)
        return error_out_of_memory(error, bytes);
    for (ValueId i = 0; i < graph->n_values; i++) {
        if (!value_is_orphan(graph, i))
            names[count++] = graph->values[i].name;
    }
    qsort(names, count, sizeof(*names), compare_names);
    for (size_t i = 1; i < count && status == STATUS_OK; i++) {
        if (strcmp(names[i - 1], names[i]) == 0)
            status = error_set(error, STATUS_INVALID, "two values are named %%%s", names[i]);
    }
    mem_free(names);
    return status;
}

static Status check_ports(const Graph *graph, Error *error) {
    int inputs = 0;
    for (ValueId i = 0; i < graph->n_values; i++)
        inputs += graph->values[i].kind == VALUE_INPUT;
    if (inputs != graph->n_inputs)
        return error_set(error, STATUS_INVALID, "%d input values, but %d inputs are listed", inputs,
                         graph->n_inputs);
    for (int i = 0; i < graph->n_inputs; i++) {
        ValueId id = graph->inputs[i];
        if (!graph_has_value(graph, id) || graph->values[id].kind != VALUE_INPUT)
            return error_set(error, STATUS_INVALID, "input %d is value %d, which is no input", i,
                             id);
        for (int j = 0; j < i; j++) {
            if (graph->inputs[j] == id)
                return error_set(error, STATUS_INVALID, "input %%%s is listed twice",
                                 graph->values[id].name);
        }
    }
    for (int i = 0; i < graph->n_outputs; i++) {
        ValueId id = graph->outputs[i];
        if (!graph_has_value(graph, id))
            return error_set(error, STATUS_INVALID, "output %d is value %d of %d", i, id,
                             graph->n_values);
        if (value_is_orphan(graph, id))
            return error_set(error, STATUS_INVALID, "output %%%s is not produced",
                             graph->values[id].name);
    }
    return STATUS_OK;
}

Status graph_verify(const Graph *graph, Error *error) {
    TRY(graph_status(graph, error));
    for (ValueId i = 0; i < graph->n_values; i++)
        TRY(check_value(graph, i, error));
    for (NodeId i = 0; i < graph->n_nodes; i++) {
        if (!graph->nodes[i].is_dead)
            TRY(check_node(graph, i, error));
    }
    TRY(check_ports(graph, error));
    return check_names(graph, error);
}
