// Regular expressions of tokenizer files. The classes (\p{L}, \s, \w …) mean what they mean to the
// tokenizers library, not what the engine underneath knows.
#ifndef GPUX_TEXT_REGEX_H
#define GPUX_TEXT_REGEX_H

#include "base/status.h"
#include "base/str.h"

#include <stdbool.h>
#include <stddef.h>

typedef struct Regex Regex;               // immutable, shared by threads
typedef struct RegexMatcher RegexMatcher; // for one thread at a time

// STATUS_UNSUPPORTED for syntax or a class that has no counterpart, naming it.
Status regex_compile(Regex **out, StrView pattern, Error *error);
void regex_free(Regex *regex);

Status regex_matcher_new(RegexMatcher **out, const Regex *regex, Error *error);
void regex_matcher_free(RegexMatcher *matcher);
// The first match of `text`, valid UTF-8, at or after `from`. STATUS_LIMIT when the pattern takes
// too many steps on this text.
Status regex_find(bool *found, size_t *begin, size_t *end, RegexMatcher *matcher, StrView text,
                  size_t from, Error *error);

#endif
