// The packed weights of a model as a file in its `.gpux/` folder, which the next start maps and
// every process shares.
//
// The key holds all that the bytes depend on besides the sources: this version of gpux, each
// tensor's name and place, shape and kernel in their order, and for each kernel what it makes of a
// small matrix, so that a changed packing finds nothing of its predecessor.
#include "base/checked.h"
#include "providers/cpu/cpu.h"

enum {
    LAYOUT_VERSION = 2,    // of the order of things in the block
    LEAST_BYTES = 4 << 20, // packed as fast as a file is opened and mapped
    PROBE_UNITS = 5,       // of k; and a few elements more
    PROBE_ELEMENTS_MAX = 1 << 16,
};

// FNV-1a over words: nobody makes collisions on purpose, and it costs no start of a library.
static void mix(uint64_t *digest, const void *bytes, size_t len) {
    for (size_t i = 0; i < len; i += 8) {
        uint64_t word = 0;
        memcpy(&word, (const uint8_t *)bytes + i, len - i < 8 ? len - i : 8);
        *digest = (*digest ^ word) * 1099511628211u;
        *digest ^= *digest >> 32; // high bits reach the low ones too
    }
}

static void mix_number(uint64_t *digest, size_t number) {
    mix(digest, &number, sizeof number);
}

static void mix_value(uint64_t *digest, const Keeper *keeper, const Graph *graph, ValueId id) {
    if (id == NO_VALUE) {
        mix_number(digest, SIZE_MAX);
        return;
    }
    const Value *value = &graph->values[id];
    const FileMap *map = keeper->options->constant_map(keeper->options->ctx, id);
    mix(digest, value->name, strlen(value->name));
    mix_number(digest, value->data_size);
    mix_number(digest, (size_t)value->dtype);
    mix_number(digest, map ? (size_t)((const uint8_t *)value->data - map->data) : SIZE_MAX);
}

// What the kernel packs of a matrix with a tail in both directions.
static bool mix_probe(uint64_t *digest, const GemmKernel *kernel) {
    size_t n = kernel->nr + 3, k = kernel->unit * kernel->per_word * PROBE_UNITS + 3;
    size_t bytes = gemm_packed_bytes(kernel, n, k);
    if (n * k > PROBE_ELEMENTS_MAX || bytes == 0)
        return false;
    float *matrix = mem_alloc_aligned(n * k * sizeof *matrix, 64);
    uint8_t *packed = mem_alloc_aligned(bytes, 64);
    if (matrix && packed) {
        for (size_t i = 0; i < n * k; i++)
            matrix[i] = (float)((int)(i * 2654435761u >> 8 & 0xffff) - 0x8000) / 4096.0f;
        memset(packed, 0, bytes);
        GemmSource source = {.data = matrix, .type = KERNEL_F32, .stride_n = k, .stride_k = 1};
        gemm_pack(kernel, packed, n, k, &source, 0, gemm_panel_count(kernel, n));
        mix(digest, packed, bytes);
    }
    mem_free_aligned(packed);
    mem_free_aligned(matrix);
    return matrix && packed;
}

static void mix_linear(uint64_t *digest, const Keeper *keeper, const Graph *graph,
                       const Step *step) {
    mix(digest, step->linear.kernel->name, strlen(step->linear.kernel->name));
    for (size_t i = 0; i < step->linear.count; i++) {
        const LinearPart *part = &step->linear.parts[i];
        const size_t numbers[] = {part->n,
                                  part->k,
                                  part->source.stride_n,
                                  part->source.stride_k,
                                  (size_t)part->source.type,
                                  part->packed_bytes};
        mix(digest, numbers, sizeof numbers);
        mix_value(digest, keeper, graph, part->weight);
        mix_value(digest, keeper, graph, part->bias);
    }
}

// No step before this one has its kernel.
static bool is_first_use(const Compiled *compiled, size_t index) {
    for (size_t i = 0; i < index; i++)
        if (compiled->steps[i].kind == STEP_LINEAR &&
            compiled->steps[i].linear.kernel == compiled->steps[index].linear.kernel)
            return false;
    return true;
}

static bool make_digest(uint64_t *digest, const Keeper *keeper, const Compiled *compiled,
                        const Graph *graph) {
    *digest = 14695981039346656037u;
    mix_number(digest, compiled->n_steps);
    for (size_t i = 0; i < compiled->n_steps; i++) {
        const Step *step = &compiled->steps[i];
        mix_number(digest, (size_t)step->kind);
        if (step->kind == STEP_ATTENTION) {
            mix_value(digest, keeper, graph, step->attention.bias_table);
            mix_value(digest, keeper, graph, step->attention.bias_index);
            mix_number(digest, step->attention.heads);
            mix_number(digest, step->attention.bias_center);
        } else if (step->kind == STEP_LAYER_NORM) {
            mix_value(digest, keeper, graph, step->norm.scale_value);
            mix_value(digest, keeper, graph, step->norm.shift_value);
        } else if (step->kind == STEP_LINEAR) {
            mix_linear(digest, keeper, graph, step);
            if (is_first_use(compiled, i) && !mix_probe(digest, step->linear.kernel))
                return false;
        }
    }
    return true;
}

void keeper_init(Keeper *out, Compiled *compiled, const Graph *graph, const CompileOptions *options,
                 size_t bytes) {
    const KeepOptions *keep = &options->keep;
    *out = (Keeper){.options = options, .bytes = bytes};
    uint64_t digest;
    if (!keep->folder || (!keep->is_always && bytes < LEAST_BYTES) ||
        !make_digest(&digest, out, compiled, graph))
        return;
    const char *isa = compiled->kernels.isa;
    const char *text = arena_printf(&compiled->arena, "gpux " GPUX_VERSION " %s %s %016llx", isa,
                                    keep->precision, (unsigned long long)digest);
    const char *path =
        arena_printf(&compiled->arena, "%s/cpu-%s-%s.pack", keep->folder, isa, keep->precision);
    out->key = (ArtifactKey){.kind = "pack",
                             .version = LAYOUT_VERSION,
                             .text = text,
                             .sources = keep->sources,
                             .stats = keep->stats,
                             .n_sources = keep->n_sources};
    out->path = text ? path : NULL;
}

bool keeper_open(Artifact *out, const Keeper *keeper) {
    if (!keeper->path)
        return false;
    Error error = {0};
    Status status = artifact_open(out, keeper->path, &keeper->key, &error);
    if (status == STATUS_OK && out->size != keeper->bytes) {
        artifact_close(out);
        status = error_set(&error, STATUS_NOT_FOUND, "'%s': another size", keeper->path);
    }
    if (status == STATUS_OK)
        log_message(keeper->options->log, LOG_DEBUG, "Prepared weights: mapped '%s'", keeper->path);
    else
        log_message(keeper->options->log, LOG_DEBUG, "Prepared weights: %s", error.message);
    return status == STATUS_OK;
}

// Twice its size must be free: other files of the model and other models want room too.
static bool has_room(const Keeper *keeper) {
    uint64_t space, twice;
    char *parent = path_dirname(keeper->options->keep.folder);
    bool has_room =
        keeper->options->keep.is_always || (parent && file_free_space(&space, parent) &&
                                            size_mul(&twice, keeper->bytes, 2) && twice <= space);
    mem_free(parent);
    return has_room;
}

static void log_not_kept(const Keeper *keeper, const char *why) {
    log_message(keeper->options->log, LOG_DEBUG, "Prepared weights are not kept: %s", why);
}

ArtifactDraft *keeper_begin(const Keeper *keeper) {
    if (!keeper->path)
        return NULL;
    ArtifactDraft *draft = NULL;
    Error error = {0};
    if (!has_room(keeper))
        log_not_kept(keeper, "less than twice their size is free on the disk");
    else if (artifact_begin(&draft, keeper->path, &keeper->key, keeper->bytes, &error) != STATUS_OK)
        log_not_kept(keeper, error.message);
    return draft;
}

bool keeper_publish(Artifact *out, const Keeper *keeper, ArtifactDraft *draft) {
    Error error = {0};
    bool is_kept = artifact_publish(out, draft, &error) == STATUS_OK;
    if (is_kept)
        log_message(keeper->options->log, LOG_DEBUG, "Prepared weights: wrote %zu MB to '%s'",
                    keeper->bytes >> 20, keeper->path);
    else
        log_not_kept(keeper, error.message);
    return is_kept;
}
