// The door of text/: tokenizers. Text in, token ids and offsets out, exactly as the `tokenizers`
// library 0.23 answers for the same files.
#ifndef GPUX_TEXT_TEXT_H
#define GPUX_TEXT_TEXT_H

#include "base/log.h"
#include "base/status.h"
#include "base/str.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

// Immutable after opening; shared by any number of threads.
typedef struct Tokenizer Tokenizer;

// Opens the tokenizer of a model folder: tokenizer.json, else vocab.json with merges.txt (GPT-2 and
// RoBERTa kinds), else vocab.txt (BERT kind), else a SentencePiece model (sentencepiece.bpe.model,
// spiece.model, tokenizer.model; the class in tokenizer_config.json or config.json says of which
// kind); with tokenizer_config.json, special_tokens_map.json and added_tokens.json where they are.
// STATUS_NOT_FOUND when there is none, STATUS_CORRUPT for a broken file (named, with position),
// STATUS_UNSUPPORTED naming the component that is not implemented.
//
// `compiled` is where the compiled form is kept, or NULL for nowhere: mapped when it is whole and
// made from these very files, else written for the next time. Its folder is made when the parent
// exists. What cannot be read or written only costs time.
Status tokenizer_open(Tokenizer **out, const char *folder, const char *compiled, const Log *log,
                      Error *error);
// Whether a folder has files that tokenizer_open would open.
bool tokenizer_is_in(const char *folder);
// From the text of a tokenizer.json. `config` is tokenizer_config.json's text or empty.
Status tokenizer_open_json(Tokenizer **out, StrView json, StrView config, Error *error);
void tokenizer_close(Tokenizer *tokenizer);
// Lower-cases texts before anything else, if the normalizer has no step that does. To be called
// before the tokenizer is used or shared.
void tokenizer_lower_case(Tokenizer *tokenizer);

// Bits of Encoding.flags.
enum {
    TOKEN_IS_SPECIAL = 1,     // put there by the post-processor
    TOKEN_CONTINUES_WORD = 2, // same word as the token before it
};

// One sequence ready for a model. All arrays have `len` entries.
typedef struct Encoding {
    size_t len;
    int32_t *ids;
    int32_t *type_ids; // 0 or 1
    int8_t *sequence;  // 0 = first text, 1 = second text, -1 = special
    uint32_t *start;   // code points in the text it came from; 0,0 for special tokens
    uint32_t *end;     // exclusive
    uint32_t *word;    // index of the pre-tokenized word in its text; UINT32_MAX for special tokens
    uint8_t *flags;
} Encoding;

typedef enum Truncation {
    TRUNCATE_LONGEST_FIRST,
    TRUNCATE_ONLY_FIRST,
    TRUNCATE_ONLY_SECOND,
} Truncation;

typedef struct EncodeOptions {
    bool add_special_tokens;
    size_t max_length; // with special tokens; 0 = no limit
    Truncation truncation;
    size_t stride;       // tokens shared by consecutive windows, as in the library
    bool return_windows; // all windows of a text that is too long, else only the first
    bool truncate_left;
} EncodeOptions;

typedef struct EncodingList {
    Encoding *items;
    size_t count; // 1, or the number of windows
} EncodingList;

// Encodes `text`, or the pair (`text`, `pair`) when pair.ptr is not NULL. Invalid UTF-8 counts as
// U+FFFD. STATUS_INVALID when max_length leaves no room for the special tokens or stride is too
// large.
Status tokenizer_encode(EncodingList *out, const Tokenizer *tokenizer, StrView text, StrView pair,
                        const EncodeOptions *options, Error *error);
void encoding_list_free(EncodingList *list);

// Text of the ids, as the library's decode(); with skip_special the special tokens are left out.
Status tokenizer_decode(Buf *out, const Tokenizer *tokenizer, const int32_t *ids, size_t len,
                        bool skip_special, Error *error);

size_t tokenizer_vocab_size(const Tokenizer *tokenizer); // with added tokens
// The id of a token's exact content, or -1.
int32_t tokenizer_token_id(const Tokenizer *tokenizer, StrView token);
// The content of a token, borrowed; empty view for an unused id.
StrView tokenizer_token(const Tokenizer *tokenizer, int32_t id);

// Special tokens by role, from special_tokens_map.json / tokenizer_config.json / the model's own
// conventions: "mask_token", "pad_token", "cls_token", "sep_token", "unk_token", "bos_token",
// "eos_token". -1 when the tokenizer has none.
int32_t tokenizer_special_id(const Tokenizer *tokenizer, const char *role);
// model_max_length of tokenizer_config.json when below 10^6, else 0.
size_t tokenizer_max_length(const Tokenizer *tokenizer);
// Special tokens that the post-processor adds to a single text or to a pair.
size_t tokenizer_special_count(const Tokenizer *tokenizer, bool is_pair);

#endif
