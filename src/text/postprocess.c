// Behind the model: truncation into windows, special tokens, trimmed offsets. A post-processor
// becomes four templates when it is loaded (single or pair, with or without special tokens).
#include "text/pipeline.h"

// ---- Windows ----

typedef struct Window {
    size_t begin, end;
} Window;

typedef struct WindowList {
    Window *items;
    size_t count;
} WindowList;

// The windows of `len` tokens under a limit, as the library's Encoding::truncate; the first is the
// one that is kept. A limit of 0 keeps nothing and overflows everything.
static Status make_windows(WindowList *out, size_t len, size_t limit, const EncodeOptions *options,
                           Error *error) {
    bool fits = limit >= len;
    if (!fits && limit > 0 && options->stride >= limit)
        return error_set(error, STATUS_INVALID,
                         "stride %zu must be less than the window's %zu tokens", options->stride,
                         limit);
    size_t step = limit - options->stride;
    size_t count = fits ? 1 : limit == 0 ? 2 : 1 + (len - limit + step - 1) / step;
    if (count > PIPELINE_MAX_WINDOWS && options->return_windows)
        return error_set(error, STATUS_LIMIT, "text falls into more than %d windows",
                         PIPELINE_MAX_WINDOWS);
    if (!options->return_windows)
        count = 1;
    out->items = mem_alloc_zero(count, sizeof *out->items);
    if (!out->items)
        return error_out_of_memory(error, count * sizeof *out->items);
    out->count = count;
    if (fits) {
        out->items[0].end = len;
    } else if (limit == 0) {
        if (count > 1)
            out->items[1].end = len;
    } else {
        for (size_t i = 0; i < count; i++) {
            size_t done = i * step;
            Window window = {done, done + limit < len ? done + limit : len};
            if (options->truncate_left)
                window = (Window){len - window.end, len - window.begin};
            out->items[i] = window;
        }
    }
    return STATUS_OK;
}

// Tokens each text may keep: the library's truncate_encodings.
static Status share_limit(size_t limits[2], size_t first, size_t second, bool is_pair, size_t max,
                          Truncation truncation, Error *error) {
    limits[0] = first;
    limits[1] = second;
    if (max == 0) {
        limits[0] = limits[1] = 0;
        return STATUS_OK;
    }
    if (first + second <= max)
        return STATUS_OK;
    size_t excess = first + second - max;
    if (truncation == TRUNCATE_LONGEST_FIRST) {
        if (!is_pair) {
            limits[0] = max;
            return STATUS_OK;
        }
        size_t less = first < second ? first : second, more;
        if (less > max)
            more = less;
        else
            more = less > max - less ? less : max - less;
        if (less + more > max) {
            less = max / 2;
            more = less + max % 2;
        }
        limits[0] = first > second ? more : less;
        limits[1] = first > second ? less : more;
        return STATUS_OK;
    }
    int which = truncation == TRUNCATE_ONLY_SECOND;
    if (which == 1 && !is_pair)
        return error_set(error, STATUS_INVALID, "there is no second text to truncate");
    if (limits[which] <= excess)
        return error_set(error, STATUS_INVALID,
                         "the %s text is too short to be cut to %zu tokens with the other one",
                         which ? "second" : "first", max);
    limits[which] -= excess;
    return STATUS_OK;
}

// ---- Filling a template ----

static Status encoding_alloc(Encoding *out, size_t len, Error *error) {
    // One block: five arrays of 4 bytes, then two of 1.
    size_t bytes = len * (5 * sizeof(uint32_t) + 2);
    char *block = mem_alloc(bytes);
    if (!block)
        return error_out_of_memory(error, bytes);
    *out = (Encoding){.len = len, .ids = (int32_t *)(void *)block};
    out->type_ids = out->ids + len;
    out->start = (uint32_t *)(void *)(out->type_ids + len);
    out->end = out->start + len;
    out->word = out->end + len;
    out->sequence = (int8_t *)(out->word + len);
    out->flags = (uint8_t *)(out->sequence + len);
    return STATUS_OK;
}

static void trim(const PostProcessor *post, const RawToken *token, size_t index, uint32_t *start,
                 uint32_t *end) {
    for (size_t i = 0; i < post->trim_count; i++) {
        uint32_t lead = token->lead;
        // A space that was put there by add_prefix_space is not in the text.
        if (lead == 1 && post->trims[i].add_prefix_space && (index == 0 || *start == 0))
            lead = 0;
        if (lead > 0)
            *start = *end - *start > lead ? *start + lead : *end;
        if (token->trail > 0 && *end >= token->trail)
            *end = *end - token->trail > *start ? *end - token->trail : *start;
    }
}

static size_t put_window(const PostProcessor *post, Encoding *out, size_t at,
                         const TokenList *tokens, Window window, int8_t sequence, int32_t type_id) {
    for (size_t i = window.begin; i < window.end; i++, at++) {
        const RawToken *token = &tokens->items[i];
        uint32_t start = token->start, end = token->end;
        if ((token->lead | token->trail) != 0)
            trim(post, token, i - window.begin, &start, &end);
        out->ids[at] = token->id;
        out->type_ids[at] = type_id;
        out->sequence[at] = sequence;
        out->start[at] = start;
        out->end[at] = end;
        out->word[at] = token->word;
        bool continues = i > window.begin && token[-1].word == token->word;
        out->flags[at] = continues ? TOKEN_CONTINUES_WORD : 0;
    }
    return at;
}

static Status fill(Encoding *out, const PostProcessor *post, const Template *form,
                   const TokenList *const texts[2], const WindowList windows[2],
                   const size_t choice[2], Error *error) {
    size_t len = 0;
    for (size_t i = 0; i < form->count; i++) {
        const TemplatePiece *piece = &form->pieces[i];
        if (piece->kind == TEMPLATE_SPECIAL) {
            len++;
            continue;
        }
        int which = piece->kind == TEMPLATE_SECOND;
        Window window = windows[which].items[choice[which]];
        len += window.end - window.begin;
    }
    TRY(encoding_alloc(out, len, error));
    size_t at = 0;
    for (size_t i = 0; i < form->count; i++) {
        const TemplatePiece *piece = &form->pieces[i];
        if (piece->kind == TEMPLATE_SPECIAL) {
            out->ids[at] = piece->id;
            out->type_ids[at] = piece->type_id;
            out->sequence[at] = -1;
            out->start[at] = out->end[at] = 0;
            out->word[at] = UINT32_MAX;
            out->flags[at++] = TOKEN_IS_SPECIAL;
            continue;
        }
        int which = piece->kind == TEMPLATE_SECOND;
        bool is_overflow = choice[which] > 0;
        at = put_window(post, out, at, texts[which], windows[which].items[choice[which]],
                        (int8_t)which, is_overflow ? piece->overflow_type_id : piece->type_id);
    }
    return STATUS_OK;
}

// Which windows meet in the encoding number `index`: the kept ones, then, in the library's order,
// each overflow of the text that comes first with all windows of the other, last the other's
// overflows alone.
static void choose(size_t choice[2], size_t index, const size_t counts[2], bool second_leads) {
    int lead = second_leads ? 1 : 0, other = 1 - lead;
    size_t alone = (counts[lead] - 1) * counts[other];
    choice[0] = choice[1] = 0;
    if (index == 0)
        return;
    if (index <= alone) {
        choice[lead] = 1 + (index - 1) / counts[other];
        choice[other] = (index - 1) % counts[other];
    } else {
        choice[other] = index - alone;
    }
}

static bool second_comes_first(const Template *form) {
    for (size_t i = 0; i < form->count; i++)
        if (form->pieces[i].kind != TEMPLATE_SPECIAL)
            return form->pieces[i].kind == TEMPLATE_SECOND;
    return false;
}

static Status fill_all(EncodingList *out, const Tokenizer *tokenizer, const Template *form,
                       const TokenList *const texts[2], const WindowList windows[2], Error *error) {
    size_t counts[2] = {windows[0].count, windows[1].count ? windows[1].count : 1};
    size_t total;
    if (__builtin_mul_overflow(counts[0], counts[1], &total) || total > PIPELINE_MAX_WINDOWS)
        return error_set(error, STATUS_LIMIT, "text falls into more than %d windows",
                         PIPELINE_MAX_WINDOWS);
    out->items = mem_alloc_zero(total, sizeof *out->items);
    if (!out->items)
        return error_out_of_memory(error, total * sizeof *out->items);
    bool second_leads = second_comes_first(form);
    for (size_t i = 0; i < total; i++) {
        size_t choice[2];
        choose(choice, i, counts, second_leads);
        TRY(fill(&out->items[i], &tokenizer->post, form, texts, windows, choice, error));
        out->count = i + 1;
    }
    return STATUS_OK;
}

Status postprocess_run(EncodingList *out, const Tokenizer *tokenizer, const TokenList *first,
                       const TokenList *second, const EncodeOptions *options, Error *error) {
    bool is_pair = second != NULL;
    const Template *form = &tokenizer->post.templates[is_pair][options->add_special_tokens];
    const TokenList *const texts[2] = {first, second};
    size_t lens[2] = {first->count, is_pair ? second->count : 0};
    size_t limits[2] = {lens[0], lens[1]};
    if (options->max_length > 0) {
        size_t special = options->add_special_tokens ? form->special_count : 0;
        bool has_room = options->max_length > special ||
                        (options->max_length == special && lens[0] + lens[1] == 0);
        if (!has_room)
            return error_set(error, STATUS_INVALID,
                             "max_length %zu leaves no room beside %zu special tokens",
                             options->max_length, special);
        TRY(share_limit(limits, lens[0], lens[1], is_pair, options->max_length - special,
                        options->truncation, error));
    }
    WindowList windows[2] = {{.count = 0}, {.count = 0}};
    Status status = make_windows(&windows[0], lens[0], limits[0], options, error);
    if (status == STATUS_OK && is_pair)
        status = make_windows(&windows[1], lens[1], limits[1], options, error);
    if (status == STATUS_OK)
        status = fill_all(out, tokenizer, form, texts, windows, error);
    mem_free(windows[0].items);
    mem_free(windows[1].items);
    if (status != STATUS_OK)
        encoding_list_free(out);
    return status;
}

void encoding_list_free(EncodingList *list) {
    for (size_t i = 0; i < list->count; i++)
        mem_free(list->items[i].ids);
    mem_free(list->items);
    *list = (EncodingList){.count = 0};
}

size_t tokenizer_special_count(const Tokenizer *tokenizer, bool is_pair) {
    return tokenizer->post.templates[is_pair][true].special_count;
}
