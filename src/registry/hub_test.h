// For tests only: the small hub of test/hub/server.py as a child process, an empty cache, and an
// environment of its own.
#ifndef GPUX_REGISTRY_HUB_TEST_H
#define GPUX_REGISTRY_HUB_TEST_H

#include "base/file.h"
#include "registry/private.h"

#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#define GOOD_TOKEN "hf_goodtoken"
#define POOR_TOKEN "hf_poortoken"

typedef struct Hub {
    pid_t pid;
    FILE *to, *from;
    int port, cdn_port, proxy_port, tls_port;
    char root[64]; // of this test: cache, home
    char cache[96], home[96];
    char endpoint[64];
    const char *env[16][2];
    char log[1 << 16]; // what the registry logged
    size_t log_len;
    Log sink;
    // How the last pull ended.
    Status status;
    RegistryFault fault;
    Error error;
    Buf report;
    Buf answer; // of the last command
} Hub;

static inline const char *hub_test_env(void *ctx, const char *name) {
    const Hub *hub = ctx;
    for (size_t i = 0; i < 16 && hub->env[i][0]; i++)
        if (strcmp(hub->env[i][0], name) == 0)
            return hub->env[i][1];
    return NULL;
}

static inline void hub_test_set(Hub *hub, const char *name, const char *value) {
    size_t i = 0;
    while (hub->env[i][0] && strcmp(hub->env[i][0], name) != 0)
        i++;
    assert_true(i < 15);
    hub->env[i][0] = name;
    hub->env[i][1] = value;
}

static inline void hub_test_log(void *ctx, LogLevel level, const char *message) {
    (void)level;
    Hub *hub = ctx;
    size_t room = sizeof hub->log - hub->log_len;
    int len = snprintf(hub->log + hub->log_len, room, "%s\n", message);
    if (len > 0 && (size_t)len < room)
        hub->log_len += (size_t)len;
}

// Sends one command and keeps the answer, one line of JSON.
__attribute__((format(printf, 2, 3))) static inline const char *
hub_test_say(Hub *hub, const char *format, ...) {
    va_list args;
    va_start(args, format);
    vfprintf(hub->to, format, args);
    va_end(args);
    fputc('\n', hub->to);
    fflush(hub->to);
    buf_clear(&hub->answer);
    int byte;
    while ((byte = fgetc(hub->from)) != EOF && byte != '\n')
        buf_append_byte(&hub->answer, (char)byte);
    assert_true(byte == '\n' && !strstr(hub->answer.ptr, "\"error\""));
    return hub->answer.ptr;
}

static inline void hub_test_spawn(Hub *hub, const char *cert, const char *key) {
    int in[2], out[2];
    assert_int_equal(pipe2(in, O_CLOEXEC) | pipe2(out, O_CLOEXEC), 0);
    hub->pid = fork();
    if (hub->pid == 0) {
        dup2(in[0], STDIN_FILENO);
        dup2(out[1], STDOUT_FILENO);
        if (cert)
            execlp("python3", "python3", "test/hub/server.py", "--cert", cert, "--key", key, NULL);
        else
            execlp("python3", "python3", "test/hub/server.py", NULL);
        _exit(127);
    }
    close(in[0]);
    close(out[1]);
    hub->to = fdopen(in[1], "w");
    hub->from = fdopen(out[0], "r");
    char line[256];
    if (!fgets(line, sizeof line, hub->from)) {
        fprintf(stderr, "python3 cannot run test/hub/server.py\n");
        abort();
    }
    JsonDoc *doc;
    assert_int_equal(json_parse(&doc, sv(line), 0, NULL), STATUS_OK);
    hub->port = (int)json_i64_or(json_root(doc), "hub", 0);
    hub->cdn_port = (int)json_i64_or(json_root(doc), "cdn", 0);
    hub->proxy_port = (int)json_i64_or(json_root(doc), "proxy", 0);
    hub->tls_port = (int)json_i64_or(json_root(doc), "tls", 0);
    json_free(doc);
}

// A fresh cache, home and environment on the same server.
static inline void hub_test_fresh(Hub *hub) {
    hub_test_say(hub, "{\"cmd\": \"reset\"}");
    if (hub->root[0])
        tree_remove(AT_FDCWD, hub->root, NULL);
    snprintf(hub->root, sizeof hub->root, "/tmp/gpux-hub-test-XXXXXX");
    assert_non_null(mkdtemp(hub->root));
    snprintf(hub->cache, sizeof hub->cache, "%s/cache", hub->root);
    snprintf(hub->home, sizeof hub->home, "%s/home", hub->root);
    snprintf(hub->endpoint, sizeof hub->endpoint, "http://127.0.0.1:%d", hub->port);
    memset(hub->env, 0, sizeof hub->env);
    hub_test_set(hub, "HF_ENDPOINT", hub->endpoint);
    hub->log_len = 0;
    hub->log[0] = '\0';
    hub->sink = (Log){.write = hub_test_log, .ctx = hub, .level = LOG_DEBUG};
}

static inline Hub *hub_test_start(void) {
    Hub *hub = calloc(1, sizeof *hub);
    signal(SIGPIPE, SIG_IGN);
    hub->answer = BUF_INIT(64 << 20);
    hub->report = BUF_INIT(64 << 20);
    hub_test_spawn(hub, NULL, NULL);
    hub_test_fresh(hub);
    return hub;
}

static inline void hub_test_stop(Hub *hub) {
    fclose(hub->to);
    fclose(hub->from);
    kill(hub->pid, SIGKILL);
    waitpid(hub->pid, NULL, 0);
    tree_remove(AT_FDCWD, hub->root, NULL);
    buf_free(&hub->answer);
    buf_free(&hub->report);
    free(hub);
}

static inline Registry *hub_test_open(Hub *hub, const char *token) {
    Registry *registry;
    RegistryOptions options = {
        .cache_dir = hub->cache,
        .home = hub->home,
        .token = token,
        .version = "0.0.0",
        .log = &hub->sink,
        .env = hub_test_env,
        .env_ctx = hub,
        .second_ms = 10,
    };
    Status status = registry_open(&registry, &options, &hub->error);
    if (status != STATUS_OK)
        fprintf(stderr, "%s\n", hub->error.message);
    assert_int_equal(status, STATUS_OK);
    return registry;
}

// A conversion as a test needs it: a model and its configuration.
static inline Status hub_test_finish(void *ctx, const char *folder, const PullFacts *facts,
                                     Error *error) {
    (void)ctx;
    char *model = path_join(folder, "model.onnx");
    char *config = path_join(folder, CONFIG_FILE);
    Status status = model && config ? file_write_atomic(model, facts->commit, 40, error)
                                    : error_out_of_memory(error, strlen(folder));
    if (status == STATUS_OK)
        status = file_write_atomic(config, facts->commit, 40, error);
    mem_free(model);
    mem_free(config);
    return status;
}

static inline Status hub_test_pull_with(Hub *hub, const char *token, PullOptions options) {
    Registry *registry = hub_test_open(hub, token);
    buf_clear(&hub->report);
    hub->error = (Error){0};
    if (!options.finish)
        options.finish = hub_test_finish;
    hub->status = registry_pull(&hub->report, &hub->fault, registry, &options, &hub->error);
    registry_close(registry);
    return hub->status;
}

static inline Status hub_test_pull(Hub *hub, const char *model) {
    return hub_test_pull_with(hub, NULL, (PullOptions){.model = model});
}

static inline int64_t hub_test_number(const Hub *hub, const char *key) {
    JsonDoc *doc;
    assert_int_equal(json_parse(&doc, sv(hub->report.ptr), 0, NULL), STATUS_OK);
    int64_t number = json_i64_or(json_root(doc), key, -1);
    if (json_kind(json_get(json_root(doc), key)) == JSON_BOOL)
        number = json_bool_or(json_root(doc), key, false);
    json_free(doc);
    return number;
}

// The path of a file of a cached model; static storage.
static inline const char *hub_test_path(const Hub *hub, const char *folder, const char *file) {
    static char path[4][512];
    static int turn;
    turn = (turn + 1) % 4;
    snprintf(path[turn], sizeof path[turn], "%s/huggingface/%s/%s", hub->cache, folder, file);
    return path[turn];
}

static inline int hub_test_count(const char *text, const char *part) {
    int count = 0;
    for (; (text = strstr(text, part)) != NULL; text += strlen(part))
        count++;
    return count;
}

static inline int hub_test_group_start(void **state) {
    *state = hub_test_start();
    return 0;
}

static inline int hub_test_group_stop(void **state) {
    hub_test_stop(*state);
    return 0;
}

static inline int hub_test_each(void **state) {
    hub_test_fresh(*state);
    return 0;
}

// The next answer that fits is replaced by this fault.
#define FAULT(hub, ...) hub_test_say(hub, "{\"cmd\": \"fault\", " __VA_ARGS__ "}")

static inline void assert_pulled(Hub *hub, const char *model, const char *folder) {
    if (hub_test_pull(hub, model) != STATUS_OK)
        print_error("%s\n%s\n", hub->error.message, hub->log);
    assert_int_equal(hub->status, STATUS_OK);
    assert_int_equal(hub->fault, REGISTRY_FAULT_NONE);
    assert_true(file_is_regular(hub_test_path(hub, folder, "main/gpux.yml")));
    assert_true(file_is_regular(hub_test_path(hub, folder, "main/metadata.json")));
}

static inline void assert_fault(Hub *hub, const char *model, RegistryFault fault,
                                const char *message) {
    hub_test_pull(hub, model);
    if (hub->fault != fault || !strstr(hub->error.message, message))
        print_error("fault %d: %s\n%s\n", hub->fault, hub->error.message, hub->log);
    assert_int_equal(hub->fault, fault);
    assert_non_null(strstr(hub->error.message, message));
    assert_true(hub->status != STATUS_OK && hub->error.code == hub->status);
}

// A hub that also speaks https, as "localhost", with a certificate of its own in `cert`; NULL where
// there is no openssl to make one.
static inline Hub *hub_test_start_secure(const Hub *hub, char cert[160]) {
    char key[160], command[1024];
    snprintf(cert, 160, "%s/cert.pem", hub->root);
    snprintf(key, sizeof key, "%s/key.pem", hub->root);
    snprintf(command, sizeof command,
             "openssl req -x509 -newkey rsa:2048 -nodes -days 2 -subj /CN=localhost -addext "
             "subjectAltName=DNS:localhost -keyout %s -out %s 2>/dev/null",
             key, cert);
    if (system(command) != 0)
        return NULL;
    Hub *secure = calloc(1, sizeof *secure);
    secure->answer = BUF_INIT(1 << 20);
    secure->report = BUF_INIT(1 << 20);
    hub_test_spawn(secure, cert, key);
    hub_test_fresh(secure);
    snprintf(secure->endpoint, sizeof secure->endpoint, "https://localhost:%d", secure->tls_port);
    hub_test_set(secure, "HF_ENDPOINT", secure->endpoint);
    return secure;
}

#endif
