// Who one is on the hub: login, logout and the token that they keep in credentials.json.
//
// A stored token belongs to the endpoint it was verified against and is never sent to another.
#include "registry/private.h"

#include "base/file.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

enum { CREDENTIALS_MAX = 1 << 20, WHOAMI_MAX = 1 << 20 };

// ---- credentials.json: {"huggingface": {"endpoint", "token", "user"}} ----

const char *credentials_token(Arena *arena, const char *path, const char *endpoint) {
    JsonDoc *doc = NULL;
    const char *token = NULL;
    if (file_is_regular(path) &&
        json_parse_file(&doc, path, CREDENTIALS_MAX, 0, NULL) == STATUS_OK) {
        const JsonValue *entry = json_get(json_root(doc), REGISTRY_NAME);
        const char *stored = json_cstr_or(entry, "token", NULL);
        if (stored && strcmp(json_cstr_or(entry, "endpoint", ""), endpoint) == 0)
            token = arena_strdup(arena, stored);
    }
    json_free(doc);
    return token;
}

// Rewrites the file with `token` in our entry, or without the entry. Other entries stay.
static void write_entries(JsonWriter *writer, const JsonValue *old, const char *endpoint,
                          const char *token, const char *user) {
    size_t iterator = 0;
    StrView key;
    const JsonValue *value;
    json_begin_object(writer);
    while (json_next(old, &iterator, &key, &value)) {
        if (sv_equal_cstr(key, REGISTRY_NAME))
            continue;
        json_key_sv(writer, key);
        json_write_value(writer, value);
    }
    if (token) {
        json_key(writer, REGISTRY_NAME);
        json_begin_object(writer);
        json_key(writer, "endpoint");
        json_write_cstr(writer, endpoint);
        json_key(writer, "token");
        json_write_cstr(writer, token);
        json_key(writer, "user");
        json_write_cstr(writer, user);
        json_end_object(writer);
    }
    json_end_object(writer);
    buf_append_byte(writer->out, '\n');
}

// Nobody else may read it, not even for the moment before it has its name.
static Status write_private(Call *call, const char *path, const Buf *text) {
    Buf temporary = BUF_INIT(4096);
    buf_printf(&temporary, "%s.tmp.%ld", path, (long)gettid());
    Status status = call_failed(call, REGISTRY_FAULT_LOCAL, buf_status(&temporary, call->error));
    if (status != STATUS_OK)
        goto done;
    unlink(temporary.ptr);
    int fd = open(temporary.ptr, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0600);
    int errno_value = fd < 0 ? errno : 0;
    for (size_t done = 0; errno_value == 0 && done < text->len;) {
        ssize_t wrote = write(fd, text->ptr + done, text->len - done);
        if (wrote < 0 && errno != EINTR)
            errno_value = errno;
        done += wrote > 0 ? (size_t)wrote : 0;
    }
    if (errno_value == 0 && fsync(fd) != 0)
        errno_value = errno;
    if (fd >= 0)
        close(fd);
    if (errno_value == 0 && rename(temporary.ptr, path) != 0)
        errno_value = errno;
    if (errno_value != 0) {
        unlink(temporary.ptr);
        status = call_failed(call, REGISTRY_FAULT_LOCAL,
                             error_errno(call->error, errno_value, "cannot write", path));
    }
done:
    buf_free(&temporary);
    return status;
}

static Status store(Call *call, const char *token, const char *user, bool *had_entry) {
    const Registry *registry = call->registry;
    const char *path = registry->credentials;
    if (!path)
        return call_fail(call, REGISTRY_FAULT_LOCAL, STATUS_INVALID,
                         "There is no home folder to keep credentials in");
    char *folder = path_dirname(path);
    if (!folder)
        return call_out_of_memory(call);
    Status status =
        token ? call_failed(call, REGISTRY_FAULT_LOCAL, file_make_dirs(folder, call->error))
              : STATUS_OK;
    JsonDoc *doc = NULL;
    if (file_is_regular(path))
        (void)json_parse_file(&doc, path, CREDENTIALS_MAX, 0, NULL);
    *had_entry = json_get(json_root(doc), REGISTRY_NAME) != NULL;
    if (status == STATUS_OK && (token || *had_entry)) {
        Buf text = BUF_INIT(CREDENTIALS_MAX);
        JsonWriter writer = json_writer(&text, 2);
        write_entries(&writer, json_root(doc), registry->endpoint, token, user);
        status = call_failed(call, REGISTRY_FAULT_LOCAL, buf_status(&text, call->error));
        if (status == STATUS_OK)
            status = write_private(call, path, &text);
        if (text.ptr)
            explicit_bzero(text.ptr, text.len);
        buf_free(&text);
    }
    json_free(doc);
    mem_free(folder);
    return status;
}

// ---- Login ----

// The user's name, in the arena.
static Status who_am_i(const char **user, Arena *arena, Call *call) {
    Buf url = BUF_INIT(ADDRESS_SIZE);
    Buf body = BUF_INIT(WHOAMI_MAX);
    JsonDoc *doc = NULL;
    buf_printf(&url, "%s/api/whoami-v2", call->registry->endpoint);
    Status status = call_failed(call, REGISTRY_FAULT_LOCAL, buf_status(&url, call->error));
    if (status == STATUS_OK)
        status = hub_get(&body, call, NULL, url.ptr, NULL);
    if (status == STATUS_OK)
        (void)json_parse(&doc, sv_n(body.ptr, body.len), 0, NULL);
    const char *name = json_cstr_or(json_root(doc), "name", NULL);
    *user = name ? arena_strdup(arena, name) : NULL;
    if (status == STATUS_OK && !name)
        status = call_fail(call, REGISTRY_FAULT_NETWORK, STATUS_IO,
                           "Network error: the answer is not from a model hub");
    else if (status == STATUS_OK && !*user)
        status = call_out_of_memory(call);
    json_free(doc);
    buf_free(&body);
    buf_free(&url);
    return status;
}

static Status login(Buf *report, Call *call, Registry *with_token, const char *token) {
    Arena arena = {0};
    const char *user = NULL;
    bool had_entry;
    if (!net_may_carry_token(with_token, with_token->endpoint))
        return call_fail(call, REGISTRY_FAULT_USAGE, STATUS_INVALID,
                         "A token is never sent over plain http: HF_ENDPOINT must be https");
    Status status = who_am_i(&user, &arena, call);
    if (status == STATUS_OK)
        status = store(call, token, user, &had_entry);
    if (status == STATUS_OK) {
        JsonWriter writer = json_writer(report, 2);
        json_begin_object(&writer);
        json_key(&writer, "registry");
        json_write_cstr(&writer, REGISTRY_NAME);
        json_key(&writer, "endpoint");
        json_write_cstr(&writer, with_token->endpoint);
        json_key(&writer, "user");
        json_write_cstr(&writer, user);
        json_end_object(&writer);
        status = call_failed(call, REGISTRY_FAULT_LOCAL, buf_status(report, call->error));
    }
    arena_free(&arena);
    return status;
}

static bool is_token(StrView token) {
    for (size_t i = 0; i < token.len; i++)
        if (token.ptr[i] <= 0x20 || token.ptr[i] >= 0x7f)
            return false;
    return token.len > 0 && token.len <= 4096;
}

Status registry_login(Buf *report, RegistryFault *fault, const Registry *registry,
                      const char *token, Error *error) {
    Call call = {.registry = registry, .error = error};
    StrView trimmed = sv_trim(sv(token ? token : ""));
    Registry with_token = *registry; // shares the arena, which stays the original's
    Status status;
    char *copy = mem_alloc(trimmed.len + 1);
    if (!copy) {
        status = call_out_of_memory(&call);
    } else if (registry->is_offline) {
        status = call_fail(&call, REGISTRY_FAULT_OFFLINE, STATUS_NOT_FOUND,
                           "Offline mode is enabled: login needs the network");
    } else if (!is_token(trimmed)) {
        status = call_fail(&call, REGISTRY_FAULT_AUTHENTICATION, STATUS_INVALID,
                           "Authentication failed: this is not a token");
    } else {
        memcpy(copy, trimmed.ptr, trimmed.len);
        copy[trimmed.len] = '\0';
        with_token.token = copy;
        call.registry = &with_token;
        status = login(report, &call, &with_token, copy);
    }
    call_end(&call, fault, status);
    if (copy)
        explicit_bzero(copy, trimmed.len);
    mem_free(copy);
    return status;
}

Status registry_logout(Buf *report, RegistryFault *fault, const Registry *registry, Error *error) {
    Call call = {.registry = registry, .error = error};
    bool had_entry = false;
    Status status = store(&call, NULL, NULL, &had_entry);
    if (status == STATUS_OK) {
        JsonWriter writer = json_writer(report, 2);
        json_begin_object(&writer);
        json_key(&writer, "registry");
        json_write_cstr(&writer, REGISTRY_NAME);
        json_key(&writer, "was_logged_in");
        json_write_bool(&writer, had_entry);
        json_end_object(&writer);
        status = buf_status(report, error);
    }
    call_end(&call, fault, status);
    return status;
}
