// Changing a Graph: redirecting uses, inserting nodes, sweeping what nobody needs.
//
// Value ids never change; node ids do when nodes are inserted or swept. A value that lost its
// producer stays in the array as an orphan, which only its id can reach.
#include "graph/graph_private.h"

#include <assert.h>
#include <string.h>

static bool is_output(const Graph *graph, ValueId value) {
    for (int i = 0; i < graph->n_outputs; i++) {
        if (graph->outputs[i] == value)
            return true;
    }
    return false;
}

// Callers know an output by its name, so the value that takes its place takes the name as well.
// Inputs and constants keep their own names, and so do values that are outputs already: there the
// output stays with the old value.
static void replace_outputs(Graph *graph, ValueId old_value, ValueId new_value) {
    if (!is_output(graph, old_value) || is_output(graph, new_value))
        return;
    Value *from = &graph->values[old_value];
    Value *to = &graph->values[new_value];
    if (from->kind != VALUE_NODE || to->kind != VALUE_NODE)
        return;
    const char *name = from->name;
    from->name = to->name;
    to->name = name;
    for (int i = 0; i < graph->n_outputs; i++) {
        if (graph->outputs[i] == old_value)
            graph->outputs[i] = new_value;
    }
}

void graph_replace_uses(Graph *graph, ValueId old_value, ValueId new_value) {
    if (graph->failed || old_value == new_value)
        return;
    assert(graph_has_value(graph, old_value) && graph_has_value(graph, new_value));
    for (NodeId i = 0; i < graph->n_nodes; i++) {
        Node *node = &graph->nodes[i];
        for (int j = 0; j < node->n_in && !node->is_dead; j++) {
            if (node->in[j] == old_value)
                node->in[j] = new_value;
        }
    }
    replace_outputs(graph, old_value, new_value);
}

NodeId graph_insert_node(Graph *graph, NodeId position, OpKind op, const ValueId *in, int n_in,
                         const char *const *outputs, int n_out) {
    Node node;
    if (graph->failed)
        return NO_NODE;
    assert(position >= 0 && position <= graph->n_nodes);
    ValueId first_new = graph->n_values;
    if (!graph_make_node(graph, &node, position, op, "", in, n_in, outputs, n_out))
        return NO_NODE;
    memmove(&graph->nodes[position + 1], &graph->nodes[position],
            (size_t)(graph->n_nodes - position) * sizeof(Node));
    graph->nodes[position] = node;
    graph->n_nodes++;
    for (ValueId i = 0; i < first_new; i++) {
        if (graph->values[i].producer >= position)
            graph->values[i].producer++;
    }
    return position;
}

static bool is_needed(const Node *node, const bool *used) {
    for (int i = 0; i < node->n_out && !node->is_dead; i++) {
        if (node->out[i] != NO_VALUE && used[node->out[i]])
            return true;
    }
    return false;
}

// Marks what outputs need, from the last node back; nodes that nobody needs die.
static void mark_used(Graph *graph, bool *used) {
    for (int i = 0; i < graph->n_outputs; i++)
        used[graph->outputs[i]] = true;
    for (NodeId i = graph->n_nodes - 1; i >= 0; i--) {
        Node *node = &graph->nodes[i];
        if (!is_needed(node, used)) {
            node->is_dead = true;
            continue;
        }
        for (int j = 0; j < node->n_in; j++) {
            if (node->in[j] != NO_VALUE)
                used[node->in[j]] = true;
        }
    }
}

void graph_compact(Graph *graph) {
    if (graph->failed)
        return;
    bool *used = mem_alloc_zero((size_t)graph->n_values + 1, sizeof(bool));
    if (!used) {
        graph->failed = STATUS_OUT_OF_MEMORY;
        return;
    }
    mark_used(graph, used);
    for (ValueId i = 0; i < graph->n_values; i++) {
        Value *value = &graph->values[i];
        value->producer = NO_NODE;
        if (value->kind == VALUE_CONSTANT && !used[i])
            value->kind = VALUE_NODE;
    }
    NodeId kept = 0;
    for (NodeId i = 0; i < graph->n_nodes; i++) {
        if (graph->nodes[i].is_dead)
            continue;
        graph->nodes[kept] = graph->nodes[i];
        for (int j = 0; j < graph->nodes[kept].n_out; j++) {
            if (graph->nodes[kept].out[j] != NO_VALUE)
                graph->values[graph->nodes[kept].out[j]].producer = kept;
        }
        kept++;
    }
    graph->n_nodes = kept;
    mem_free(used);
}
