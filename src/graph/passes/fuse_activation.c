// The exporters' spellings of activations become one ACTIVATE node.
//
// GELU (Hendrycks & Gimpel 2016) is x * 0.5 * (1 + erf(x / sqrt 2)); its tanh form is
// x * 0.5 * (1 + tanh(sqrt(2 / pi) * (x + 0.044715 x^3))); SiLU is x * sigmoid(x). Factors may come
// in any order and grouping.
#include "graph/passes/match.h"

#include <math.h>

enum { MAX_FACTORS = 4 };

// The factors of a tree of Mul nodes below `value`; constants are multiplied into *scale.
typedef struct Product {
    ValueId factors[MAX_FACTORS];
    int count;
    double scale;
} Product;

static bool product_collect(const Graph *graph, ValueId value, int depth, Product *out) {
    double scalar;
    if (value_scalar(graph, value, &scalar)) {
        out->scale *= scalar;
        return true;
    }
    const Node *mul = depth > 0 ? match_op(graph, value, OP_MUL) : NULL;
    if (mul)
        return product_collect(graph, mul->in[0], depth - 1, out) &&
               product_collect(graph, mul->in[1], depth - 1, out);
    if (out->count == MAX_FACTORS)
        return false;
    out->factors[out->count++] = value;
    return true;
}

// inner = x / sqrt 2, as Div or as Mul.
static bool is_erf_argument(const Graph *graph, ValueId inner, ValueId *x) {
    double scalar;
    if (match_scalar(graph, inner, OP_DIV, &scalar, x))
        return match_near(scalar, sqrt(2.0));
    return match_scalar(graph, inner, OP_MUL, &scalar, x) && match_near(scalar, sqrt(0.5));
}

// inner = sqrt(2 / pi) * (x + 0.044715 * x * x * x)
static bool is_tanh_argument(const Graph *graph, ValueId inner, ValueId x) {
    double scalar;
    ValueId sum, cubic;
    if (!match_scalar(graph, inner, OP_MUL, &scalar, &sum) ||
        !match_near(scalar, sqrt(2.0 / 3.14159265358979)) ||
        !match_with(graph, sum, OP_ADD, x, &cubic))
        return false;
    Product cube = {.scale = 1.0};
    if (!product_collect(graph, cubic, 3, &cube) || cube.count != 3 ||
        !match_near(cube.scale, 0.044715))
        return false;
    return cube.factors[0] == x && cube.factors[1] == x && cube.factors[2] == x;
}

// Which activation x * factor * scale is, or NULL.
static const char *name_product(const Graph *graph, ValueId x, ValueId factor, double scale) {
    const Node *sigmoid = match_op(graph, factor, OP_SIGMOID);
    if (sigmoid && sigmoid->in[0] == x && match_near(scale, 1.0))
        return "silu";
    double one;
    ValueId inside, argument;
    if (!match_near(scale, 0.5) || !match_scalar(graph, factor, OP_ADD, &one, &inside) ||
        !match_near(one, 1.0))
        return NULL;
    const Node *erf = match_op(graph, inside, OP_ERF);
    if (erf && is_erf_argument(graph, erf->in[0], &argument) && argument == x)
        return "gelu";
    const Node *tanh_node = match_op(graph, inside, OP_TANH);
    if (tanh_node && is_tanh_argument(graph, tanh_node->in[0], x))
        return "gelu_tanh";
    return NULL;
}

static void rewrite_activation(Graph *graph, Node *node, ValueId x, const char *name) {
    node_rewrite(graph, node, OP_ACTIVATE, &x, 1);
    graph_set_string(graph, node_id(graph, node), "activation", name);
}

static void fuse_product(Graph *graph, Node *node) {
    Product product = {.scale = 1.0};
    if (!product_collect(graph, node->out[0], 3, &product) || product.count != 2)
        return;
    for (int i = 0; i < 2; i++) {
        ValueId x = product.factors[i];
        const char *name = name_product(graph, x, product.factors[1 - i], product.scale);
        if (name) {
            rewrite_activation(graph, node, x, name);
            return;
        }
    }
}

Status pass_fuse_activation(Graph *graph, Error *error) {
    // Products first: they contain the single ops.
    for (int i = 0; i < graph->n_nodes; i++)
        if (!graph->nodes[i].is_dead && graph->nodes[i].op == OP_MUL)
            fuse_product(graph, &graph->nodes[i]);
    graph_compact(graph);
    for (int i = 0; i < graph->n_nodes; i++) {
        Node *node = &graph->nodes[i];
        if (node->op == OP_TANH)
            rewrite_activation(graph, node, node->in[0], "tanh");
        else if (node->op == OP_RELU)
            rewrite_activation(graph, node, node->in[0], "relu");
        else if (node->op == OP_SIGMOID)
            rewrite_activation(graph, node, node->in[0], "sigmoid");
    }
    return graph_status(graph, error);
}
