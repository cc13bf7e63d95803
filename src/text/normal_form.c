// NFD, NFKD, NFC and NFKC with alignment, in the exact order of steps of the Rust crate that the
// library uses: which code point counts as new and which as replacing decides the offsets.
#include "text/pipeline.h"

typedef struct FormChar {
    uint32_t code_point;
    int32_t change;
    uint8_t combining_class;
} FormChar;

// Code points between two starters. Sorting is stable by combining class.
typedef struct FormRun {
    FormChar *items;
    size_t count, cap;
    FormChar *spare; // for sorting long runs, [cap]
    bool out_of_memory;
} FormRun;

static void run_push(FormRun *run, FormChar item) {
    if (run->count == run->cap) {
        size_t cap = run->cap ? run->cap * 2 : 32;
        FormChar *items = mem_realloc_array(run->items, cap, sizeof *items);
        if (items)
            run->items = items;
        FormChar *spare = mem_realloc_array(run->spare, cap, sizeof *spare);
        if (spare)
            run->spare = spare;
        if (!items || !spare) {
            run->out_of_memory = true;
            return;
        }
        run->cap = cap;
    }
    run->items[run->count++] = item;
}

static void run_free(FormRun *run) {
    mem_free(run->items);
    mem_free(run->spare);
}

// Counting sort by class: linear for any run.
static void run_sort(FormRun *run) {
    size_t count = run->count;
    FormChar *items = run->items;
    bool is_sorted = true;
    for (size_t i = 1; i < count; i++)
        is_sorted &= items[i - 1].combining_class <= items[i].combining_class;
    if (is_sorted)
        return;
    size_t place[257] = {0};
    for (size_t i = 0; i < count; i++)
        place[items[i].combining_class + 1]++;
    for (size_t i = 1; i < 257; i++)
        place[i] += place[i - 1];
    for (size_t i = 0; i < count; i++)
        run->spare[place[items[i].combining_class]++] = items[i];
    memcpy(items, run->spare, count * sizeof *items);
}

// The composing half: holds one starter and the marks behind it that did not combine with it.
typedef struct Composer {
    const UnicodeTable *unicode;
    Transform transform;
    bool has_starter, has_last_class;
    FormChar starter;
    uint8_t last_class;
    FormRun marks;
} Composer;

static void emit(Composer *composer, const FormChar *item) {
    transform_put(&composer->transform, item->code_point, item->change);
}

static void emit_all(Composer *composer) {
    if (composer->has_starter)
        emit(composer, &composer->starter);
    for (size_t i = 0; i < composer->marks.count; i++)
        emit(composer, &composer->marks.items[i]);
    composer->marks.count = 0;
    composer->has_starter = composer->has_last_class = false;
}

static void compose_next(Composer *composer, const FormChar *item) {
    if (!composer->has_starter) {
        if (item->combining_class != 0) {
            emit(composer, item);
            return;
        }
        composer->starter = *item;
        composer->has_starter = true;
        return;
    }
    bool is_blocked = composer->has_last_class && composer->last_class >= item->combining_class;
    uint32_t composed =
        is_blocked
            ? 0
            : unicode_compose(composer->unicode, composer->starter.code_point, item->code_point);
    if (composed) {
        composer->starter.code_point = composed;
        composer->starter.change += item->change - 1;
        return;
    }
    if (item->combining_class == 0) {
        emit_all(composer);
        composer->starter = *item;
        composer->has_starter = true;
        return;
    }
    run_push(&composer->marks, *item);
    composer->has_last_class = true;
    composer->last_class = item->combining_class;
}

static void flush_run(Composer *composer, FormRun *run, bool compose) {
    run_sort(run);
    for (size_t i = 0; i < run->count; i++) {
        if (compose)
            compose_next(composer, &run->items[i]);
        else
            emit(composer, &run->items[i]);
    }
    run->count = 0;
}

Status normal_form(const UnicodeTable *unicode, AlignedText *out, const AlignedText *in,
                   bool is_compatible, bool compose, uint32_t origin, Error *error) {
    Composer composer = {.unicode = unicode, .transform = {.out = out, .in = in, .origin = origin}};
    FormRun run = {.count = 0};
    size_t len;
    for (size_t pos = 0; pos < in->len; pos += len) {
        uint32_t parts[UNICODE_MAX_DECOMPOSED];
        uint32_t c = utf8_decode_valid(in->bytes + pos, &len);
        int count = unicode_decompose(parts, unicode, c, is_compatible);
        for (int i = 0; i < count; i++) {
            int combining_class = unicode_combining_class(unicode, parts[i]);
            if (combining_class == 0)
                flush_run(&composer, &run, compose);
            run_push(&run, (FormChar){.code_point = parts[i],
                                      .change = i > 0,
                                      .combining_class = (uint8_t)combining_class});
        }
    }
    flush_run(&composer, &run, compose);
    emit_all(&composer);
    bool out_of_memory = run.out_of_memory || composer.marks.out_of_memory;
    run_free(&run);
    run_free(&composer.marks);
    return out_of_memory ? error_out_of_memory(error, in->len) : STATUS_OK;
}
