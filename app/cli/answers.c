// Opening, resuming and appending.
#include "app/cli/answers.h"

#include "base/memory.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

enum { COUNT_STEP = 1 << 20 };

static int cannot_write(const Cli *cli, const char *path, int errno_value) {
    if (path == NULL)
        return cli_fail(cli, "Error", "Cannot write to standard output: %s", strerror(errno_value));
    return cli_fail(cli, "Error", "Cannot write output file: %s: '%s'", strerror(errno_value),
                    path);
}

int answers_count(int fd, uint64_t *lines, uint64_t *end) {
    char *block = mem_alloc(COUNT_STEP);
    int problem = block == NULL ? ENOMEM : 0;
    uint64_t offset = 0;
    *lines = 0;
    *end = 0;
    while (problem == 0) {
        ssize_t got = pread(fd, block, COUNT_STEP, (off_t)offset);
        if (got < 0 && errno == EINTR)
            continue;
        if (got <= 0) {
            problem = got < 0 ? errno : 0;
            break;
        }
        const char *stop = block + got;
        for (const char *at = block; (at = memchr(at, '\n', (size_t)(stop - at))) != NULL;) {
            at++;
            *lines += 1;
            *end = offset + (uint64_t)(at - block);
        }
        offset += (uint64_t)got;
    }
    mem_free(block);
    return problem;
}

// Empties the file, or cuts it behind its last complete line.
static int prepare_file(AnswerFile *file, const Cli *cli, bool is_resuming) {
    uint64_t end = 0;
    int problem = is_resuming ? answers_count(file->fd, &file->answered, &end) : 0;
    if (problem == 0 && ftruncate(file->fd, (off_t)end) != 0)
        problem = errno;
    if (problem == 0 && lseek(file->fd, (off_t)end, SEEK_SET) < 0)
        problem = errno;
    return problem == 0 ? EXIT_OK : cannot_write(cli, file->path, problem);
}

int answers_open(AnswerFile *out, const Cli *cli, const char *path, int input, bool is_resuming) {
    *out = (AnswerFile){.path = path, .fd = STDOUT_FILENO};
    if (path == NULL)
        return EXIT_OK;
    out->fd = open(path, (is_resuming ? O_RDWR : O_WRONLY) | O_CREAT | O_CLOEXEC | O_NOCTTY, 0666);
    struct stat st;
    struct stat source;
    if (out->fd < 0 || fstat(out->fd, &st) != 0)
        return cannot_write(cli, path, errno);
    if (!S_ISREG(st.st_mode)) {
        if (is_resuming)
            return cli_fail(cli, "Error", "--resume needs a plain file: '%s'", path);
        return EXIT_OK;
    }
    if (fstat(input, &source) == 0 && source.st_dev == st.st_dev && source.st_ino == st.st_ino)
        return cli_fail(cli, "Error", "The answers cannot go into the file of the requests: '%s'",
                        path);
    if (flock(out->fd, LOCK_EX | LOCK_NB) != 0 && errno == EWOULDBLOCK)
        return cli_fail(cli, "Error", "Another gpux is writing to '%s'", path);
    return prepare_file(out, cli, is_resuming);
}

int answers_write(const AnswerFile *file, const Cli *cli, StrView text) {
    while (text.len > 0) {
        ssize_t wrote = write(file->fd, text.ptr, text.len);
        if (wrote < 0 && errno != EINTR)
            return cannot_write(cli, file->path, errno);
        if (wrote > 0)
            text = sv_n(text.ptr + wrote, text.len - (size_t)wrote);
    }
    return EXIT_OK;
}

int answers_close(AnswerFile *file, const Cli *cli) {
    int code = EXIT_OK;
    if (file->path != NULL && file->fd >= 0 && close(file->fd) != 0)
        code = cannot_write(cli, file->path, errno);
    file->fd = -1;
    return code;
}
