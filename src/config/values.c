// Values with a rule of their own: words, sizes, pairs, shapes, the `custom` map. Declared in
// reader.h.
#include "config/reader.h"

#include <ctype.h>

// The word of "a|b|c" that `text` spells in any case; its ptr is NULL when there is none.
static StrView find_choice(const char *choices, StrView text) {
    for (const char *word = choices; *word;) {
        StrView choice = sv_n(word, strcspn(word, "|"));
        if (sv_equal_nocase(choice, text))
            return choice;
        word += choice.len + (word[choice.len] == '|');
    }
    return (StrView){0};
}

static bool choice_error(Reader *reader, const TreeNode *node, const Path *path,
                         const char *choices, StrView text) {
    char list[500];
    size_t len = 0;
    for (const char *word = choices; *word && len + 3 < sizeof list; word++) {
        list[len++] = *word == '|' ? ',' : *word;
        if (*word == '|')
            list[len++] = ' ';
    }
    list[len] = 0;
    return reader_error(reader, node->line, path, "Unsupported value '%.*s'. Supported: %s",
                        text.len < 64 ? (int)text.len : 64, text.ptr, list);
}

bool reader_choice(Reader *reader, const char **out, const TreeNode *node, const Path *path,
                   const char *choices) {
    StrView text;
    if (!reader_scalar(reader, &text, node, path, "string"))
        return false;
    StrView choice = find_choice(choices, text);
    if (!choice.ptr)
        return choice_error(reader, node, path, choices, text);
    *out = arena_strndup(reader->arena, choice.ptr, choice.len);
    if (!*out)
        reader->status = STATUS_OUT_OF_MEMORY;
    return *out != NULL;
}

bool project_parse_memory(uint64_t *out, StrView text) {
    text = sv_trim(text);
    if (text.len < 3 || toupper((unsigned char)text.ptr[text.len - 1]) != 'B')
        return false;
    StrView number = sv_trim(sv_n(text.ptr, text.len - 2));
    for (size_t i = 0; i < number.len; i++) {
        if (number.ptr[i] != '.' && !isdigit((unsigned char)number.ptr[i]))
            return false;
    }
    double amount = 0;
    if (!sv_to_f64(&amount, number))
        return false;
    switch (toupper((unsigned char)text.ptr[text.len - 2])) {
    case 'K':
        amount *= 0x1p10;
        break;
    case 'M':
        amount *= 0x1p20;
        break;
    case 'G':
        amount *= 0x1p30;
        break;
    default:
        return false;
    }
    if (amount > 0x1p53)
        return false;
    *out = (uint64_t)amount;
    return true;
}

bool reader_memory(Reader *reader, uint64_t *out, const char **text, const TreeNode *node,
                   const Path *path) {
    if (!reader_text(reader, text, node, path))
        return false;
    return project_parse_memory(out, sv(*text)) ||
           reader_error(reader, node->line, path, "Memory must be specified as GB, MB, or KB");
}

bool reader_padding(Reader *reader, const char **out, const TreeNode *node, const Path *path) {
    bool is_true = false;
    StrView text;
    if (!reader_scalar(reader, &text, node, path, "boolean"))
        return false;
    if (!text_is_bool(&is_true, text))
        return reader_choice(reader, out, node, path, "true|false|max_length|longest");
    *out = is_true ? "true" : "false";
    return true;
}

bool reader_pair(Reader *reader, int64_t *out, const TreeNode *node, const Path *path, int64_t min,
                 int64_t max) {
    if (node->kind != TREE_LIST || node->count != 2)
        return reader_error(reader, node->line, path, "Input should be [width, height]");
    size_t index = 0;
    bool is_ok = true;
    for (const TreeItem *item = node->first; item; item = item->next, index++) {
        Path at = {.parent = path, .index = index};
        is_ok &= reader_int(reader, &out[index], item->value, &at, min, max);
    }
    return is_ok;
}

// "batch", "past_sequence + 1", as exporters write symbolic dimensions.
static bool is_dim_name(StrView text) {
    for (size_t i = 0; i < text.len; i++) {
        unsigned char byte = (unsigned char)text.ptr[i];
        if (!isalpha(byte) && byte != '_' && (i == 0 || !strchr("0123456789.+-*/ ()", byte)))
            return false;
    }
    return text.len > 0;
}

bool reader_shape(Reader *reader, ProjectPort *port, const TreeNode *node, const Path *path) {
    if (node->kind != TREE_LIST)
        return reader_error(reader, node->line, path, "Input should be a valid list");
    if (node->count > TENSOR_MAX_RANK)
        return reader_error(reader, node->line, path, "A shape has at most %d dimensions",
                            TENSOR_MAX_RANK);
    port->has_shape = true;
    bool is_ok = true;
    for (const TreeItem *item = node->first; item; item = item->next) {
        int dim = port->rank++;
        Path at = {.parent = path, .index = (size_t)dim};
        StrView text;
        port->shape[dim] = -1;
        if (reader_is_null(item->value))
            continue;
        if (!reader_scalar(reader, &text, item->value, &at, "integer"))
            is_ok = false;
        else if (is_dim_name(text))
            is_ok &= reader_text(reader, &port->dim_names[dim], item->value, &at);
        else
            is_ok &= reader_int(reader, &port->shape[dim], item->value, &at, -1, INT64_MAX);
    }
    return is_ok;
}

bool reader_dtype(Reader *reader, DType *out, const TreeNode *node, const Path *path) {
    StrView text;
    if (!reader_scalar(reader, &text, node, path, "string"))
        return false;
    *out = dtype_from_name(text);
    return *out != DTYPE_UNKNOWN ||
           choice_error(reader, node, path,
                        "float32|float64|float16|bfloat16|int8|uint8|int16|uint16|int32|int64|"
                        "uint32|uint64|bool|string",
                        text);
}

// ---- preprocessing.custom ----

typedef struct CustomKey {
    const char *key;
    size_t count;        // numbers in its list; 0 = not a list
    bool are_sizes;      // positive integers
    const char *choices; // words; NULL = a number
    const char *expected;
} CustomKey;

static const CustomKey custom_keys[] = {
    {"mean", 3, false, NULL, "three numbers"},
    {"std", 3, false, NULL, "three numbers"},
    {"resize", 2, true, NULL, "[width, height]"},
    {"crop", 2, true, NULL, "[width, height]"},
    {"rescale", 0, false, NULL, "a number"},
    {"channels", 0, false, "rgb|bgr", "rgb or bgr"},
    {"layout", 0, false, "nchw|nhwc", "nchw or nhwc"},
};

static bool custom_fits(const CustomKey *rule, const JsonValue *value) {
    double real = 0;
    int64_t size = 0;
    StrView word;
    if (rule->choices)
        return json_as_string(&word, value) && find_choice(rule->choices, word).ptr;
    if (rule->count == 0)
        return json_as_f64(&real, value);
    if (json_kind(value) != JSON_ARRAY || json_len(value) != rule->count)
        return false;
    for (size_t i = 0; i < rule->count; i++) {
        const JsonValue *number = json_at(value, i);
        if (!json_as_f64(&real, number))
            return false;
        if (rule->are_sizes && (!json_as_i64(&size, number) || size < 1 || size > 65536))
            return false;
    }
    return true;
}

bool reader_custom(Reader *reader, const char **out, const TreeNode *node, const Path *path) {
    JsonDoc *doc = NULL;
    if (!reader_json(reader, out, node, path))
        return false;
    if (json_parse(&doc, sv(*out), 0, NULL) != STATUS_OK) {
        reader->status = STATUS_OUT_OF_MEMORY; // the text is our own, so nothing else can be wrong
        return false;
    }
    bool is_ok = true;
    for (size_t i = 0; i < sizeof custom_keys / sizeof custom_keys[0]; i++) {
        const CustomKey *rule = &custom_keys[i];
        const JsonValue *value = json_get(json_root(doc), rule->key);
        if (json_kind(value) == JSON_ABSENT || json_kind(value) == JSON_NULL ||
            custom_fits(rule, value))
            continue;
        const TreeNode *written = tree_get(node, sv(rule->key));
        Path at = {.parent = path, .key = sv(rule->key)};
        is_ok = reader_error(reader, written ? written->line : node->line, &at,
                             "Input should be %s", rule->expected);
    }
    json_free(doc);
    return is_ok;
}
