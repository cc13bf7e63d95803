// Sample requests for measuring what a precision loses: sentences put together from lists of words.
//
// They are no test set. They are many, of different lengths and moods, and the same everywhere, so
// that two precisions see what they make of the same texts.
#include "tasks/private.h"

enum { MAX_SENTENCES = 4, MAX_SAMPLE = 1 << 16, RAW_LENGTHS = 57 };

static const char *const WHO[] = {
    "the old captain", "my sister",         "a young engineer",   "the committee",
    "our neighbour",   "the museum",        "an angry customer",  "the research team",
    "the night train", "a famous novelist", "the small company",  "the referee",
    "her doctor",      "the city council",  "a tired waiter",     "the new director",
    "the orchestra",   "every student",     "the weather bureau", "a quiet farmer",
};
static const char *const DOES[] = {
    "repaired", "never liked", "praised",          "sold",         "painted",
    "forgot",   "discovered",  "complained about", "rewrote",      "carefully measured",
    "lost",     "celebrated",  "cancelled",        "photographed", "enjoyed",
    "avoided",  "translated",  "delivered",        "criticised",   "rebuilt",
};
static const char *const WHAT[] = {
    "the broken bridge",     "a terrible film",        "the best meal of the year",
    "an expensive camera",   "the report on the sea",  "twelve letters from Paris",
    "a wonderful garden",    "the boring third act",   "the software update",
    "a map of the mountain", "their cold coffee",      "the final result",
    "an unexpected gift",    "the history of Lisbon",  "a cheap hotel near the station",
    "the slow lift",         "the winning photograph", "a recipe for bread",
    "the lawyer's question", "an empty theatre",
};
static const char *const WHEN[] = {
    "yesterday",       "in the rain",          "without any reason", "for 250 dollars",
    "with great care", "before the election",  "as usual",           "on Monday morning",
    "in March 1998",   "after a long silence", "much too late",      "for the first time",
    "at the airport",  "with a smile",         "against all advice", "during the concert",
    "in two hours",    "once again",           "on the 4th floor",   "from memory",
};
static const char *const SO[] = {
    "and nobody was surprised",
    "but the price was far too high",
    "which made the whole evening a delight",
    "although it hardly mattered",
    "and I would not recommend it to anyone",
    "so the meeting ended early",
    "because the first version had failed",
    "and it was worth every penny",
    "while the others waited outside",
    "yet the service remained dreadful",
    "and the audience loved it",
    "if the newspapers are to be believed",
};

#define PICK(list, random) list[next(random) % (sizeof list / sizeof list[0])]

// Knuth's 64-bit linear congruential generator; its high bits are the good ones.
static uint32_t next(uint64_t *random) {
    *random = *random * 6364136223846793005u + 1442695040888963407u;
    return (uint32_t)(*random >> 33);
}

// One sentence; `mask` stands for who it is about when it is not empty: a short model must not lose
// it.
static void append_sentence(Buf *out, uint64_t *random, StrView mask) {
    size_t start = out->len;
    if (mask.len > 0)
        buf_append_sv(out, mask);
    else
        buf_append_cstr(out, PICK(WHO, random));
    buf_printf(out, " %s ", PICK(DOES, random));
    buf_append_cstr(out, PICK(WHAT, random));
    if (next(random) % 3 != 0)
        buf_printf(out, " %s", PICK(WHEN, random));
    if (next(random) % 2 != 0)
        buf_printf(out, ", %s", PICK(SO, random));
    buf_append_byte(out, '.');
    if (out->failed == STATUS_OK && out->ptr[start] >= 'a' && out->ptr[start] <= 'z')
        out->ptr[start] = (char)(out->ptr[start] - 'a' + 'A');
}

static StrView mask_token(const TaskModel *model) {
    int32_t id = tokenizer_special_id(model->tokenizer, "mask_token");
    return id >= 0 ? tokenizer_token(model->tokenizer, id) : SV("");
}

static void append_text(Buf *out, const TaskModel *model, uint64_t *random, size_t sentences) {
    bool is_mask = strcmp(model->info->task, task_fill_mask.name) == 0;
    for (size_t i = 0; i < sentences; i++) {
        if (i > 0)
            buf_append_byte(out, ' ');
        append_sentence(out, random, is_mask && i == 0 ? mask_token(model) : SV(""));
    }
}

static void write_request(JsonWriter *writer, const TaskModel *model, StrView text) {
    bool is_question = strcmp(model->info->task, task_question_answering.name) == 0;
    json_begin_object(writer);
    if (is_question) {
        json_key(writer, "question");
        json_write_cstr(writer, "What happened to the bridge, the film or the report, and when?");
    }
    json_key(writer, is_question ? "context" : "inputs");
    json_write_string(writer, text);
    if (strcmp(model->info->task, task_zero_shot.name) == 0) {
        json_key(writer, "candidate_labels");
        json_write_cstr(writer, "travel, food, technology, politics, art");
    }
    json_end_object(writer);
}

// Rows of 8 to 64 ids, as far as the model goes.
static Status raw_sample(Request **out, const TaskModel *model, size_t index, Error *error) {
    size_t limit = model_max_tokens(model->model), length = 8 + index % RAW_LENGTHS;
    if (limit && length > limit)
        length = limit;
    return request_prepare_synthetic(out, model, 1, length, 0, error);
}

Status request_prepare_sample(Request **out, const TaskModel *model, size_t index, Error *error) {
    if (!model->tokenizer || !task_is_known(model->info->task))
        return raw_sample(out, model, index, error);
    uint64_t random = index + 1;
    next(&random);
    Buf text = BUF_INIT(MAX_SAMPLE), json = BUF_INIT(MAX_SAMPLE);
    JsonWriter writer = json_writer(&json, 0);
    append_text(&text, model, &random, 1 + index % MAX_SENTENCES);
    write_request(&writer, model, sv_n(text.ptr, text.len));
    Status status = buf_status(&text, error);
    if (status == STATUS_OK)
        status = buf_status(&json, error);
    if (status == STATUS_OK)
        status = request_prepare(out, model, sv_n(json.ptr, json.len), error);
    buf_free(&text);
    buf_free(&json);
    return status;
}
