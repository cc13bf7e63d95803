// The request of `gpux run`: from JSON text, a file, stdin or plain text to one checked JSON text.
#ifndef GPUX_CLI_INPUT_H
#define GPUX_CLI_INPUT_H

#include "app/cli/cli.h"
#include "base/str.h"

#include <stdbool.h>
#include <stddef.h>

typedef enum InputSource {
    INPUT_JSON,  // the value itself
    INPUT_FILE,  // a file named by the value
    INPUT_STDIN, // "-"
} InputSource;

// What a value of --input means; *path is the file's name for INPUT_FILE.
InputSource input_classify(const char *value, const char **path);

typedef struct RunInput {
    Buf text;      // a JSON object or array; or, for lines, the whole .jsonl text
    bool is_empty; // nothing was given, or {}
    bool is_lines; // one request per line
    size_t
        samples; // requests: members of an array, lines, or 1; 0 = as many as the request has rows
    bool is_array;
} RunInput;

// Loads what --file, --input, --text and PROMPT say, in this order of precedence. EXIT_OK or the
// exit code after printing the error. Free with input_free also on failure.
int input_load(RunInput *out, const Cli *cli);
void input_free(RunInput *input);

// Checks `text` and notes what it is: the pure half of input_load. A bare JSON string becomes
// {"inputs": string}; nothing, null and {} are empty. STATUS_CORRUPT: "<what>: line L column C";
// STATUS_INVALID: neither object nor array.
Status input_check(RunInput *out, Error *error);
// The same for one request per line; the message's line is the file's.
Status input_check_lines(RunInput *out, Error *error);

// `text` without white space at its ends and without the mark that Windows editors put in front.
StrView input_trim(StrView text);
// Says in a message about one line where it stands in the file: its "line 1 column 5" becomes
// "line <number> column 5"; a message without a place gets "line <number>: " in front.
void input_place_error(char *message, size_t cap, size_t number);

// Reads a file of requests, one a line, of which there must be one. EXIT_OK or the exit code after
// printing the error. `out` is freed by the caller also on failure.
int input_load_dataset(Buf *out, const Cli *cli, const char *path);
// The next line of `rest` that is not blank, trimmed; false at the end. *number counts all lines.
bool input_next_line(StrView *rest, StrView *line, size_t *number);

// Appends to `out` a JSON array of `count` samples taken in turn from the input: an object is
// repeated, an array's members are. The input must have been checked.
Status input_replicate(Buf *out, const RunInput *input, size_t count, Error *error);

#endif
