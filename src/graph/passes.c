// The pass list, in order, in one screen.
#include "graph/passes/match.h"

static const struct {
    const char *name;
    GraphPass run;
} passes[] = {
    {"raise_norm", pass_raise_norm},           // LayerNormalization → LAYER_NORM
    {"fuse_activation", pass_fuse_activation}, // erf, tanh, sigmoid spellings → ACTIVATE
    {"fuse_linear", pass_fuse_linear},         // MatMul + bias → LINEAR
    {"fuse_attention", pass_fuse_attention},   // reshape … softmax … → ATTENTION
    {"fuse_embed", pass_fuse_embed},           // sums of Gathers → EMBED
    {"fuse_epilogue", pass_fuse_epilogue},     // LINEAR takes activation and residual
    {"join_qkv", pass_join_qkv},               // three LINEARs of one input → one
    {"make_ragged", pass_make_ragged},         // padded → tokens end to end
};

Status graph_run_passes(Graph *graph,
                        void (*after)(void *ctx, const char *pass, const Graph *graph), void *ctx,
                        Error *error) {
    TRY(graph_infer_shapes(graph, error));
    for (size_t i = 0; i < sizeof passes / sizeof passes[0]; i++) {
        Status status = passes[i].run(graph, error);
        if (status == STATUS_OK) {
            graph_compact(graph);
            status = graph_verify(graph, error);
        }
        if (status == STATUS_OK)
            status = graph_infer_shapes(graph, error);
        if (status != STATUS_OK)
            return error_prefix(error, status, "pass %s", passes[i].name);
        if (after)
            after(ctx, passes[i].name, graph);
    }
    return STATUS_OK;
}
