// Model ids and revisions: the grammar, checked before anything is sent, and the spellings that
// users, folders and addresses have for them.
#include "registry/private.h"

#include <stdio.h>

enum { ID_PART_MAX = 96 };

static bool is_id_byte(char byte) {
    return (byte >= 'A' && byte <= 'Z') || (byte >= 'a' && byte <= 'z') ||
           (byte >= '0' && byte <= '9') || byte == '.' || byte == '_' || byte == '-';
}

static bool contains(StrView text, const char *part) {
    return memmem(text.ptr, text.len, part, strlen(part)) != NULL;
}

static const char *part_rule(StrView part) {
    if (part.len == 0 || part.len > ID_PART_MAX)
        return "a name has 1 to 96 characters";
    for (size_t i = 0; i < part.len; i++)
        if (!is_id_byte(part.ptr[i]))
            return "only letters, digits, '.', '_' and '-', and one '/' at most";
    char first = part.ptr[0];
    char last = part.ptr[part.len - 1];
    if (first == '-' || first == '.' || last == '-' || last == '.')
        return "a name neither begins nor ends with '-' or '.'";
    if (contains(part, "--") || contains(part, ".."))
        return "'--' and '..' are not allowed";
    return sv_ends_with(part, SV(".git")) ? "a name does not end with '.git'" : NULL;
}

const char *model_id_rule(StrView id) {
    const char *slash = id.len ? memchr(id.ptr, '/', id.len) : NULL;
    if (!slash)
        return part_rule(id);
    size_t head = (size_t)(slash - id.ptr);
    const char *rule = part_rule(sv_n(id.ptr, head));
    return rule ? rule : part_rule(sv_n(slash + 1, id.len - head - 1));
}

const char *revision_rule(StrView revision) {
    if (revision.len == 0 || revision.len >= REVISION_SIZE)
        return "a revision has 1 to 255 characters";
    for (size_t i = 0; i < revision.len; i++) {
        unsigned char byte = (unsigned char)revision.ptr[i];
        if (byte <= 0x20 || byte == 0x7f || byte == '\\')
            return "blanks, control characters and '\\' are not allowed";
    }
    if (revision.ptr[0] == '.' || revision.ptr[0] == '-' || contains(revision, ".."))
        return "it neither begins with '.' or '-' nor contains '..'";
    char name[FOLDER_NAME_SIZE];
    char text[REVISION_SIZE];
    memcpy(text, revision.ptr, revision.len);
    text[revision.len] = '\0';
    return revision_to_folder(name, text) ? NULL : "it is too long";
}

bool is_hex(StrView text) {
    for (size_t i = 0; i < text.len; i++)
        if (!((text.ptr[i] >= '0' && text.ptr[i] <= '9') ||
              (text.ptr[i] >= 'a' && text.ptr[i] <= 'f')))
            return false;
    return text.len > 0;
}

bool is_commit(const char *text) {
    return strlen(text) == 40 && is_hex(sv(text));
}

static bool is_known_registry(StrView name) {
    return sv_equal_nocase(name, SV("huggingface")) || sv_equal_nocase(name, SV("hf"));
}

static Status unsupported(Call *call, StrView name) {
    return call_fail(call, REGISTRY_FAULT_NAME, STATUS_INVALID,
                     "Unsupported registry '%.*s'. Supported registries: huggingface, hf",
                     (int)(name.len < 64 ? name.len : 64), name.ptr);
}

static Status invalid(Call *call, StrView text, const char *rule) {
    return call_fail(call, REGISTRY_FAULT_NAME, STATUS_INVALID, "Invalid model id '%.*s': %s",
                     (int)(text.len < 200 ? text.len : 200), text.ptr, rule);
}

// Takes off "hf:", "huggingface:", "hf://" and the hub's own address.
static Status strip_prefix(StrView *text, Call *call) {
    StrView whole = *text;
    StrView endpoint = sv(call->registry->endpoint);
    if (sv_starts_with(*text, endpoint) && text->len > endpoint.len &&
        text->ptr[endpoint.len] == '/') {
        *text = sv_n(text->ptr + endpoint.len + 1, text->len - endpoint.len - 1);
        if (text->len > 0 && text->ptr[text->len - 1] == '/')
            text->len--;
        return STATUS_OK;
    }
    if (sv_starts_with(*text, SV("https://")) || sv_starts_with(*text, SV("http://")))
        return invalid(call, whole, "this address is not the hub's; HF_ENDPOINT names the hub");
    const char *colon = text->len ? memchr(text->ptr, ':', text->len) : NULL;
    if (!colon)
        return STATUS_OK;
    StrView prefix = sv_n(text->ptr, (size_t)(colon - text->ptr));
    // A colon behind "@" belongs to the revision.
    if (memchr(prefix.ptr, '@', prefix.len))
        return STATUS_OK;
    if (!is_known_registry(prefix))
        return unsupported(call, prefix);
    *text = sv_n(colon + 1, text->len - prefix.len - 1);
    if (sv_equal_nocase(prefix, SV("hf")) && sv_starts_with(*text, SV("//")))
        *text = sv_n(text->ptr + 2, text->len - 2);
    return STATUS_OK;
}

Status reference_parse(ModelRef *out, Call *call, const char *text, const char *registry,
                       const char *revision) {
    *out = (ModelRef){.revision = "main"};
    if (registry && !is_known_registry(sv(registry)))
        return unsupported(call, sv(registry));
    StrView id = sv(text);
    TRY(strip_prefix(&id, call));
    StrView suffix = {0};
    const char *at = id.len ? memchr(id.ptr, '@', id.len) : NULL;
    if (at) {
        suffix = sv_n(at + 1, id.len - (size_t)(at - id.ptr) - 1);
        id.len = (size_t)(at - id.ptr);
    }
    const char *rule = model_id_rule(id);
    if (rule)
        return invalid(call, id.len ? id : sv(text), rule);
    memcpy(out->id, id.ptr, id.len);
    if (at && revision && !sv_equal_cstr(suffix, revision))
        return call_fail(call, REGISTRY_FAULT_USAGE, STATUS_INVALID,
                         "The model id says revision '%.*s', the option says '%s'",
                         (int)(suffix.len < 255 ? suffix.len : 255), suffix.ptr, revision);
    StrView wanted = at ? suffix : sv(revision ? revision : "main");
    rule = revision_rule(wanted);
    if (rule)
        return call_fail(call, REGISTRY_FAULT_NAME, STATUS_INVALID, "Invalid revision '%.*s': %s",
                         (int)(wanted.len < 255 ? wanted.len : 255), wanted.ptr, rule);
    memcpy(out->revision, wanted.ptr, wanted.len);
    out->revision[wanted.len] = '\0';
    out->has_revision = at || revision;
    return STATUS_OK;
}

void id_to_folder(char out[MODEL_ID_SIZE], const char *id) {
    const char *slash = strchr(id, '/');
    if (slash)
        snprintf(out, MODEL_ID_SIZE, "%.*s--%s", (int)(slash - id), id, slash + 1);
    else
        snprintf(out, MODEL_ID_SIZE, "%s", id);
}

bool id_from_folder(char out[MODEL_ID_SIZE], const char *folder) {
    const char *dashes = strstr(folder, "--");
    if (strlen(folder) >= MODEL_ID_SIZE)
        return false;
    if (dashes)
        snprintf(out, MODEL_ID_SIZE, "%.*s/%s", (int)(dashes - folder), folder, dashes + 2);
    else
        snprintf(out, MODEL_ID_SIZE, "%s", folder);
    return model_id_rule(sv(out)) == NULL;
}

static const char HEX[] = "0123456789ABCDEF";

bool revision_to_folder(char out[FOLDER_NAME_SIZE], const char *revision) {
    size_t used = 0;
    for (const char *byte = revision; *byte; byte++) {
        bool is_plain = is_id_byte(*byte);
        if (used + (is_plain ? 1 : 3) >= FOLDER_NAME_SIZE)
            return false;
        if (is_plain) {
            out[used++] = *byte;
            continue;
        }
        out[used++] = '%';
        out[used++] = HEX[(unsigned char)*byte >> 4];
        out[used++] = HEX[(unsigned char)*byte & 15];
    }
    out[used] = '\0';
    return used > 0;
}

static int hex_value(char digit) {
    const char *found = digit ? strchr(HEX, digit) : NULL;
    return found ? (int)(found - HEX) : -1;
}

bool revision_from_folder(char out[REVISION_SIZE], const char *folder) {
    size_t used = 0;
    for (const char *byte = folder; *byte; byte++) {
        if (used + 1 >= REVISION_SIZE)
            return false;
        if (*byte != '%') {
            out[used++] = *byte;
            continue;
        }
        int high = hex_value(byte[1]);
        int low = high < 0 ? -1 : hex_value(byte[2]);
        if (low < 0)
            return false;
        out[used++] = (char)(high * 16 + low);
        byte += 2;
    }
    out[used] = '\0';
    return revision_rule(sv(out)) == NULL;
}

void append_encoded(Buf *out, const char *text, bool keep_slash) {
    for (const char *byte = text; *byte; byte++) {
        if (is_id_byte(*byte) || *byte == '~' || (*byte == '/' && keep_slash)) {
            buf_append_byte(out, *byte);
            continue;
        }
        buf_append_byte(out, '%');
        buf_append_byte(out, HEX[(unsigned char)*byte >> 4]);
        buf_append_byte(out, HEX[(unsigned char)*byte & 15]);
    }
}
