// The hub's headers and JSON. Everything here comes from the network: numbers are checked, texts
// are cut to stated sizes, and a path becomes a file name only when is_safe_path says so.
#include "registry/private.h"

#include "base/file.h"

#include <stdio.h>
#include <stdlib.h>

// Limits of an answer.
enum { MAX_FILES = 100000, MAX_PATH = 1024, MAX_PATH_DEPTH = 24 };
static const int64_t MAX_FILE_SIZE = (int64_t)1 << 46; // 64 TB
static const int64_t MAX_WAIT_S = 24 * 3600;

// ---- Headers ----

static void headers_clear(HubHeaders *headers) {
    *headers = (HubHeaders){
        .linked_size = LIMIT_UNKNOWN,
        .content_length = LIMIT_UNKNOWN,
        .range_start = LIMIT_UNKNOWN,
        .range_total = LIMIT_UNKNOWN,
        .retry_after_s = LIMIT_UNKNOWN,
        .limit_left = LIMIT_UNKNOWN,
        .limit_reset_s = LIMIT_UNKNOWN,
    };
}

// Printable ASCII and UTF-8 as they are; what is cut stays a valid string.
static void copy_text(char *out, size_t size, StrView text) {
    size_t len = text.len < size - 1 ? text.len : size - 1;
    if (len > 0)
        memcpy(out, text.ptr, len);
    out[len] = '\0';
    for (size_t i = 0; i < len; i++)
        if ((unsigned char)out[i] < 0x20 || out[i] == 0x7f)
            out[i] = ' ';
}

static int64_t to_count(StrView text, int64_t max) {
    int64_t number;
    bool is_count = sv_to_i64(&number, sv_trim(text)) && number >= 0 && number <= max;
    return is_count ? number : LIMIT_UNKNOWN;
}

// W/"abc" and "abc" to abc, kept only when it is a digest we can check.
static bool copy_etag(char out[HASH_TEXT_SIZE], StrView text) {
    if (sv_starts_with(text, SV("W/")))
        text = sv_n(text.ptr + 2, text.len - 2);
    if (text.len >= 2 && text.ptr[0] == '"' && text.ptr[text.len - 1] == '"')
        text = sv_n(text.ptr + 1, text.len - 2);
    if ((text.len != 40 && text.len != 64) || !is_hex(text))
        return false;
    memcpy(out, text.ptr, text.len);
    out[text.len] = '\0';
    return true;
}

static void copy_address(HubHeaders *headers, char out[ADDRESS_SIZE], StrView text) {
    if (text.len >= ADDRESS_SIZE)
        headers->is_address_cut = true;
    else
        copy_text(out, ADDRESS_SIZE, text);
}

// Link: <https://…?cursor=x>; rel="next", <…>; rel="last"
static void read_link(HubHeaders *headers, StrView text) {
    size_t pos = 0;
    while (pos < text.len) {
        const char *open = memchr(text.ptr + pos, '<', text.len - pos);
        const char *close = open ? memchr(open, '>', text.len - (size_t)(open - text.ptr)) : NULL;
        if (!close)
            return;
        size_t end = (size_t)(close - text.ptr) + 1;
        const char *again = end < text.len ? memchr(text.ptr + end, '<', text.len - end) : NULL;
        size_t stop = again ? (size_t)(again - text.ptr) : text.len;
        if (memmem(text.ptr + end, stop - end, "rel=\"next\"", 10))
            copy_address(headers, headers->next, sv_n(open + 1, (size_t)(close - open) - 1));
        pos = stop;
    }
}

// Content-Range: bytes 10-99/100, or bytes */100
static void read_range(HubHeaders *headers, StrView text) {
    if (text.len < 6 || !sv_equal_nocase(sv_n(text.ptr, 6), SV("bytes ")))
        return;
    text = sv_trim(sv_n(text.ptr + 6, text.len - 6));
    const char *slash = text.len ? memchr(text.ptr, '/', text.len) : NULL;
    if (!slash)
        return;
    StrView span = sv_n(text.ptr, (size_t)(slash - text.ptr));
    headers->range_total = to_count(sv_n(slash + 1, text.len - span.len - 1), MAX_FILE_SIZE);
    const char *dash = span.len ? memchr(span.ptr, '-', span.len) : NULL;
    if (dash)
        headers->range_start = to_count(sv_n(span.ptr, (size_t)(dash - span.ptr)), MAX_FILE_SIZE);
}

// RateLimit: "api";r=0;t=55
static int64_t limit_field(StrView text, char name) {
    for (size_t i = 0; i + 2 < text.len; i++) {
        bool is_start = text.ptr[i] == name && text.ptr[i + 1] == '=' &&
                        (i == 0 || text.ptr[i - 1] == ';' || text.ptr[i - 1] == ' ');
        if (!is_start)
            continue;
        size_t len = 0;
        while (i + 2 + len < text.len && text.ptr[i + 2 + len] >= '0' &&
               text.ptr[i + 2 + len] <= '9')
            len++;
        return to_count(sv_n(text.ptr + i + 2, len), MAX_WAIT_S);
    }
    return LIMIT_UNKNOWN;
}

static void read_status_line(HubHeaders *headers, StrView line) {
    headers_clear(headers);
    const char *space = memchr(line.ptr, ' ', line.len);
    size_t at = space ? (size_t)(space - line.ptr) + 1 : line.len;
    if (at + 3 <= line.len)
        headers->status = (int)to_count(sv_n(line.ptr + at, 3), 999);
    if (headers->status < 0)
        headers->status = 0;
}

static void read_etag(HubHeaders *headers, StrView value, bool is_linked) {
    if (headers->is_etag_linked && !is_linked)
        return;
    if (copy_etag(headers->etag, value))
        headers->is_etag_linked = is_linked;
}

void answer_header(HubHeaders *headers, StrView line) {
    line = sv_trim(line);
    if (sv_starts_with(line, SV("HTTP/"))) {
        read_status_line(headers, line);
        return;
    }
    const char *colon = line.len ? memchr(line.ptr, ':', line.len) : NULL;
    if (!colon)
        return;
    StrView name = sv_n(line.ptr, (size_t)(colon - line.ptr));
    StrView value = sv_trim(sv_n(colon + 1, line.len - name.len - 1));
#define IS(text) sv_equal_nocase(name, SV(text))
    if (IS("X-Repo-Commit") && value.len == 40 && is_hex(value))
        copy_text(headers->commit, sizeof headers->commit, value);
    else if (IS("ETag") || IS("X-Linked-Etag"))
        read_etag(headers, value, IS("X-Linked-Etag"));
    else if (IS("X-Linked-Size"))
        headers->linked_size = to_count(value, MAX_FILE_SIZE);
    else if (IS("Content-Length"))
        headers->content_length = to_count(value, MAX_FILE_SIZE);
    else if (IS("Content-Range"))
        read_range(headers, value);
    else if (IS("Content-Encoding"))
        headers->is_encoded = value.len > 0 && !sv_equal_nocase(value, SV("identity"));
    else if (IS("Location"))
        copy_address(headers, headers->location, value);
    else if (IS("Link"))
        read_link(headers, value);
    else if (IS("X-Error-Code"))
        copy_text(headers->error_code, sizeof headers->error_code, value);
    else if (IS("X-Error-Message"))
        copy_text(headers->error_message, sizeof headers->error_message, value);
    else if (IS("X-Request-Id"))
        copy_text(headers->request_id, sizeof headers->request_id, value);
    else if (IS("X-HF-Warning"))
        copy_text(headers->warning, sizeof headers->warning, value);
    else if (IS("Retry-After"))
        headers->retry_after_s = to_count(value, MAX_WAIT_S);
    else if (IS("RateLimit")) {
        headers->limit_left = limit_field(value, 'r');
        headers->limit_reset_s = limit_field(value, 't');
    }
#undef IS
}

// ---- The model's description ----

bool is_safe_path(StrView path) {
    if (path.len == 0 || path.len > MAX_PATH || !path_is_inside(path) || !utf8_is_valid(path, NULL))
        return false;
    size_t depth = 1;
    for (size_t i = 0; i < path.len; i++) {
        unsigned char byte = (unsigned char)path.ptr[i];
        bool starts_part = i == 0 || path.ptr[i - 1] == '/';
        bool ends_part = i + 1 == path.len || path.ptr[i + 1] == '/';
        if (byte < 0x20 || byte == 0x7f || (byte == '.' && starts_part && ends_part))
            return false;
        depth += byte == '/';
    }
    return depth <= MAX_PATH_DEPTH;
}

static void read_hash(char out[HASH_TEXT_SIZE], const JsonValue *value, size_t len) {
    StrView text;
    if (json_as_string(&text, value) && text.len == len && is_hex(text)) {
        memcpy(out, text.ptr, len);
        out[len] = '\0';
    }
}

// A sibling of the model's description, or an entry of the tree: both spell the digests
// differently.
static void read_digest(HubFile *file, const JsonValue *entry) {
    const JsonValue *lfs = json_get(entry, "lfs");
    bool is_lfs = json_kind(lfs) == JSON_OBJECT;
    int64_t size = json_i64_or(is_lfs ? lfs : entry, "size", LIMIT_UNKNOWN);
    if (is_lfs && size < 0)
        size = json_i64_or(entry, "size", LIMIT_UNKNOWN);
    file->size = size >= 0 && size <= MAX_FILE_SIZE ? size : LIMIT_UNKNOWN;
    file->hash[0] = '\0';
    if (is_lfs) {
        read_hash(file->hash, json_get(lfs, "oid"), 64);
        read_hash(file->hash, json_get(lfs, "sha256"), 64);
        return;
    }
    read_hash(file->hash, json_get(entry, "oid"), 40);
    read_hash(file->hash, json_get(entry, "blobId"), 40);
}

static int compare_files(const void *a, const void *b) {
    return strcmp(((const HubFile *)a)->path, ((const HubFile *)b)->path);
}

static Status read_files(HubModel *out, const JsonValue *siblings, Error *error) {
    size_t count = json_len(siblings);
    if (count > MAX_FILES)
        return error_set(error, STATUS_LIMIT, "the hub lists %zu files, over the limit of %d",
                         count, MAX_FILES);
    out->files = arena_alloc_array(&out->arena, count, sizeof *out->files);
    if (!out->files)
        return error_out_of_memory(error, count * sizeof *out->files);
    for (size_t i = 0; i < count; i++) {
        const JsonValue *entry = json_at(siblings, i);
        StrView path;
        if (!json_as_string(&path, json_get(entry, "rfilename")))
            return error_set(error, STATUS_CORRUPT, "the hub lists a file without a name");
        if (!is_safe_path(path)) {
            char shown[ERROR_PATH_SIZE];
            char text[ERROR_PATH_SIZE];
            copy_text(text, sizeof text, path);
            return error_set(error, STATUS_INVALID, "the hub lists an unsafe path: '%s'",
                             error_path(shown, text));
        }
        HubFile *file = &out->files[i];
        file->path = arena_strndup(&out->arena, path.ptr, path.len);
        if (!file->path)
            return error_out_of_memory(error, path.len + 1);
        read_digest(file, entry);
    }
    if (count > 1)
        qsort(out->files, count, sizeof *out->files, compare_files);
    for (size_t i = 0; i < count; i++)
        if (i == 0 || strcmp(out->files[i].path, out->files[out->file_count - 1].path) != 0)
            out->files[out->file_count++] = out->files[i];
    return STATUS_OK;
}

Status answer_model(HubModel *out, StrView json, Error *error) {
    TRY(json_parse(&out->doc, json, 0, error));
    out->root = json_root(out->doc);
    const char *commit = json_cstr_or(out->root, "sha", "");
    if (json_kind(out->root) != JSON_OBJECT || !is_commit(commit))
        return error_set(error, STATUS_CORRUPT, "the answer names no commit");
    memcpy(out->commit, commit, sizeof out->commit);
    out->id = json_cstr_or(out->root, "id", json_cstr_or(out->root, "modelId", ""));
    if (model_id_rule(sv(out->id)) != NULL)
        out->id = NULL;
    out->pipeline_tag = json_cstr_or(out->root, "pipeline_tag", NULL);
    return read_files(out, json_get(out->root, "siblings"), error);
}

void hub_model_free(HubModel *model) {
    json_free(model->doc);
    arena_free(&model->arena);
    *model = (HubModel){0};
}

HubFile *hub_model_find(const HubModel *model, const char *path) {
    HubFile key = {.path = path};
    if (model->file_count == 0)
        return NULL;
    return bsearch(&key, model->files, model->file_count, sizeof key, compare_files);
}

Status answer_tree(HubModel *model, StrView json, Error *error) {
    JsonDoc *doc;
    TRY(json_parse(&doc, json, 0, error));
    const JsonValue *entries = json_root(doc);
    Status status = STATUS_OK;
    if (json_kind(entries) != JSON_ARRAY)
        status = error_set(error, STATUS_CORRUPT, "the file listing is no JSON array");
    for (size_t i = 0; i < json_len(entries); i++) {
        const JsonValue *entry = json_at(entries, i);
        HubFile *file = hub_model_find(model, json_cstr_or(entry, "path", ""));
        if (file && strcmp(json_cstr_or(entry, "type", "file"), "file") == 0)
            read_digest(file, entry);
    }
    json_free(doc);
    return status;
}
