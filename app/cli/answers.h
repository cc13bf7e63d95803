// The file that a batch writes its answers to, a line each: new, or continued where an interrupted
// run left off.
#ifndef GPUX_CLI_ANSWERS_H
#define GPUX_CLI_ANSWERS_H

#include "app/cli/cli.h"

#include <stdint.h>

typedef struct AnswerFile {
    const char *path; // NULL = stdout
    int fd;
    uint64_t answered; // complete lines that were there already
} AnswerFile;

// Opens `path`, or stdout for NULL. `input` is the descriptor of the requests, which must not be
// the same file. With is_resuming the complete lines are kept and counted, and a torn last one is
// cut off. A regular file stays locked until it is closed. EXIT_OK, or the exit code after printing
// why not.
int answers_open(AnswerFile *out, const Cli *cli, const char *path, int input, bool is_resuming);
// Appends text. EXIT_OK, or EXIT_FAILED after printing why not.
int answers_write(const AnswerFile *file, const Cli *cli, StrView text);
// EXIT_OK, or EXIT_FAILED after printing that the last bytes did not reach the file.
int answers_close(AnswerFile *file, const Cli *cli);

// Counts the newlines of a file and notes where the last one ends. 0 or an errno.
int answers_count(int fd, uint64_t *lines, uint64_t *end);

#endif
