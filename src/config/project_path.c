// What other rooms ask of a project's files without walking it: where its model is, what it is
// called.
#include "config/config.h"

#include "base/file.h"
#include "config/reader.h"

#include <pwd.h>
#include <stdlib.h>
#include <unistd.h>

static bool is_url(StrView source) {
    return sv_equal_nocase(sv_n(source.ptr, source.len < 7 ? source.len : 7), SV("http://")) ||
           sv_equal_nocase(sv_n(source.ptr, source.len < 8 ? source.len : 8), SV("https://"));
}

// `source` with ~ expanded; a heap string. HOME wins over the account's entry.
static char *expand_home(const char *source) {
    const char *home = getenv("HOME");
    if (home && home[0])
        return path_expand_home(source, home);
    enum { ENTRY_SIZE = 16384 };
    char *entry = mem_alloc(ENTRY_SIZE);
    if (!entry)
        return NULL;
    struct passwd account;
    struct passwd *found = NULL;
    if (getpwuid_r(getuid(), &account, entry, ENTRY_SIZE, &found) != 0)
        found = NULL;
    char *path = path_expand_home(source, found ? found->pw_dir : NULL);
    mem_free(entry);
    return path;
}

Status project_model_path(char **out, const Project *project, Error *error) {
    *out = NULL;
    if (is_url(sv(project->model_source)))
        return error_set(error, STATUS_UNSUPPORTED, "HTTP model sources are not supported yet");
    char *expanded = expand_home(project->model_source);
    char *joined = expanded ? path_join(project->folder, expanded) : NULL;
    char *path = joined ? path_absolute(joined) : NULL;
    mem_free(expanded);
    mem_free(joined);
    if (!path)
        return error_out_of_memory(error, strlen(project->model_source));
    FileStat stat;
    if (!file_stat(&stat, path)) {
        char shown[ERROR_PATH_SIZE];
        Status status =
            error_set(error, STATUS_NOT_FOUND, "Model file not found: %s", error_path(shown, path));
        mem_free(path);
        return status;
    }
    *out = path;
    return STATUS_OK;
}

char *project_peek_name(const char *path) {
    Buf text = BUF_INIT(TREE_MAX_TEXT + 1);
    Tree tree = {0};
    Arena arena = {0};
    Diagnostics problems = {0};
    Reader reader = {
        .arena = &arena, .getenv_fn = reader_getenv, .diagnostics = &problems, .status = STATUS_OK};
    char *name = NULL;
    StrView value;
    if (file_read(&text, path, TREE_MAX_TEXT, NULL) == STATUS_OK &&
        tree_parse(&tree, sv_n(text.ptr, text.len), "name", NULL) == STATUS_OK && tree.root) {
        const TreeNode *node = tree_get(tree.root, SV("name"));
        if (node && !reader_is_null(node) && reader_scalar(&reader, &value, node, NULL, "string") &&
            value.len > 0)
            name = mem_strdup(value.ptr);
    }
    buf_free(&text);
    tree_free(&tree);
    arena_free(&arena);
    diagnostics_free(&problems);
    return name;
}
