// Inside text/: a SentencePiece model on its way to a tokenizer.json.
#ifndef GPUX_TEXT_REBUILD_SENTENCEPIECE_H
#define GPUX_TEXT_REBUILD_SENTENCEPIECE_H

#include "text/rebuild.h"
#include "text/sentencepiece.h"

// Special tokens by role.
enum { BOS, EOS, UNK, SEP, PAD, CLS, MASK, SPM_ROLES };

typedef enum FamilyKind {
    FAMILY_XLM_ROBERTA,
    FAMILY_CAMEMBERT,
    FAMILY_T5,
    FAMILY_ALBERT,
    FAMILY_LLAMA,
    FAMILY_PLAIN,
} FamilyKind;

// Templates: letters b e c s for bos, eos, cls and sep, A and B for the texts, each with its type.
typedef struct Family {
    FamilyKind kind;
    SpmModelType type; // 0 = any
    int unknown_id;
    const char *roles[SPM_ROLES]; // default texts
    const char *single, *pair;
} Family;

// A token that is found before the model sees the text.
typedef struct Added {
    int64_t id; // in tokenizer_config.json or added_tokens.json
    StrView content;
    const JsonValue *flags; // may say single_word, lstrip and rstrip, or NULL
    bool special, lstrip, normalized;
} Added;

typedef struct SpmRebuild {
    const JsonValue *map, *config, *added, *model; // roots, NULL when the file is absent
    const Family *family;
    SpmModel spm;
    Arena arena;
    StrView *tokens; // the vocabulary, [token_count]
    double *scores;
    size_t token_count;
    Added *listed; // by id, [listed_count]
    size_t listed_count;
    Vocab vocab;     // of tokens
    Vocab appended;  // added tokens behind the vocabulary
    Vocab mentioned; // contents of `listed`
    JsonWriter writer;
} SpmRebuild;

// The text of a special token, or NULL when there is none; and what a file says about it.
StrView spm_role_text(const SpmRebuild *job, int role);
const JsonValue *spm_role_value(const SpmRebuild *job, int role);
bool spm_is_role(const SpmRebuild *job, StrView text);
// A token given as a string or as an object around it; false when it is neither.
bool spm_token_text(StrView *out, const JsonValue *value);
// The list of more special tokens in tokenizer_config.json, NULL when there is none.
const JsonValue *spm_extra_list(const SpmRebuild *job);
size_t spm_extra_ids(const SpmRebuild *job);          // T5's sentinels, at the end of `tokens`
size_t spm_count_whole_pieces(const SpmRebuild *job); // user-defined ones

// Writes everything but the model.
Status spm_write_steps(SpmRebuild *job, Error *error);

#endif
