// What a tokenizer consists of, shared by the files of this room: each stage is loaded from its
// part of tokenizer.json into a flat list of steps and then only read.
#ifndef GPUX_TEXT_PIPELINE_H
#define GPUX_TEXT_PIPELINE_H

#include "base/artifact.h"
#include "base/json.h"
#include "base/memory.h"
#include "text/aligned.h"
#include "text/bpe.h"
#include "text/json_cursor.h"
#include "text/regex.h"
#include "text/text.h"
#include "text/unicode.h"
#include "text/unigram.h"
#include "text/vocab.h"

enum {
    PIPELINE_MAX_STEPS = 64,        // per stage, nested sequences counted out
    PIPELINE_MAX_ADDED = 1 << 18,   // added tokens
    PIPELINE_MAX_DEPTH = 16,        // of nested sequences
    PIPELINE_MAX_TEXT = 64 << 20,   // bytes of one text
    PIPELINE_MAX_WORD = 8 << 20,    // bytes of one word of BPE or Unigram
    PIPELINE_MAX_FILE = 64 << 20,   // bytes of tokenizer.json
    PIPELINE_MAX_CONFIG = 16 << 20, // bytes of tokenizer_config.json, special_tokens_map.json
    PIPELINE_MAX_WINDOWS = 1 << 20, // of one text
    PIPELINE_MAX_TEMPLATE = 64,     // pieces of one template
};

// ---- Pieces of a text ----

// A part of Pieces.text. Parts of one text may overlap where the library's do.
typedef struct Piece {
    uint32_t begin, end; // bytes of Pieces.text
    uint32_t origin;     // first code point of the original text that it stands for
    int32_t id;          // of an added token, or -1
} Piece;

typedef struct PieceList {
    Piece *items;
    size_t count, cap;
    bool out_of_memory;
} PieceList;

void piece_list_push(PieceList *list, Piece piece); // drops empty pieces
Status piece_list_status(const PieceList *list, Error *error);

// Two texts and two lists: each step reads one and writes the other.
typedef struct Pieces {
    AlignedText text, spare_text;
    PieceList list, spare_list;
} Pieces;

void pieces_free(Pieces *pieces);

// ---- Added tokens ----

typedef struct AddedToken {
    StrView content;
    StrView pattern; // what it matches: content, normalized when `normalized` says so
    int32_t id;
    bool single_word, lstrip, rstrip, normalized, special;
} AddedToken;

typedef struct TrieNode {
    uint32_t first_child, next_sibling; // node index, 0 = none
    uint32_t token_plus_1;
    uint8_t byte;
} TrieNode;

typedef struct TokenTrie {
    TrieNode *nodes; // [0] is the root
    uint32_t count, cap;
    uint32_t first[256]; // child of the root by byte
} TokenTrie;

typedef struct AddedTokens {
    AddedToken *items;
    size_t count;
    Vocab contents; // content -> index into items
    int32_t *by_id; // index or -1, [id_end]
    int32_t id_end;
    TokenTrie raw, normalized;
} AddedTokens;

Status added_tokens_load(Tokenizer *tokenizer, const JsonValue *list, Error *error);
// Makes the pattern tries; normalizes with the tokenizer's own normalizer, so it must be loaded.
Status added_tokens_prepare(Tokenizer *tokenizer, Error *error);
// The second half of it: the tries over the patterns.
Status added_tokens_index(AddedTokens *added, Error *error);
void added_tokens_free(AddedTokens *added);
// NULL when there is none.
const AddedToken *added_token_by_id(const AddedTokens *added, int32_t id);
const AddedToken *added_token_by_content(const AddedTokens *added, StrView content);
// Appends the pieces of text->bytes[begin, end) to `out`: added tokens of `trie` and what is
// between.
void added_tokens_split(const Tokenizer *tokenizer, const TokenTrie *trie, PieceList *out,
                        const AlignedText *text, size_t begin, size_t end);

// ---- Normalizer ----

// A literal or a regular expression.
typedef struct Pattern {
    StrView text;
    Regex *regex; // NULL for a literal
} Pattern;

Status pattern_load(Tokenizer *tokenizer, Pattern *out, const JsonValue *value, Error *error);
// Makes the text a regular expression.
Status pattern_compile(Tokenizer *tokenizer, Pattern *pattern, Error *error);
// Calls back for each match in order; stops at the first error.
typedef Status PatternMatch(void *ctx, size_t begin, size_t end);
Status pattern_each(const Pattern *pattern, StrView text, PatternMatch *match, void *ctx,
                    Error *error);

typedef enum NormalizeKind {
    NORMALIZE_CLEAN_TEXT,
    NORMALIZE_SPACE_CJK,
    NORMALIZE_DROP_NONSPACING,
    NORMALIZE_DROP_COMBINING,
    NORMALIZE_LOWER,
    NORMALIZE_NFD,
    NORMALIZE_NFC,
    NORMALIZE_NFKD,
    NORMALIZE_NFKC,
    NORMALIZE_STRIP,
    NORMALIZE_REPLACE,
    NORMALIZE_PREPEND,
    NORMALIZE_NMT,
    NORMALIZE_PRECOMPILED,
    NORMALIZE_BYTE_LEVEL,
} NormalizeKind;

// A SentencePiece map: a double-array trie over UTF-8 and NUL-terminated replacements.
typedef struct Charsmap {
    uint32_t *units;
    size_t unit_count;
    StrView replacements;
    int8_t ascii[128]; // what a lone ASCII byte becomes, -1 = not one ASCII byte
} Charsmap;

typedef struct NormalizeStep {
    NormalizeKind kind;
    bool left, right; // strip
    Pattern pattern;  // replace
    StrView content;  // replace, prepend
    Charsmap charsmap;
} NormalizeStep;

Status normalize_load(Tokenizer *tokenizer, const JsonValue *value, Error *error);
// Rewrites the whole of *text, using *spare; they may change places.
Status normalize_run(const Tokenizer *tokenizer, AlignedText *text, AlignedText *spare,
                     uint32_t origin, Error *error);
Status normal_form(const UnicodeTable *unicode, AlignedText *out, const AlignedText *in,
                   bool is_compatible, bool compose, uint32_t origin, Error *error);
Status charsmap_load(Tokenizer *tokenizer, Charsmap *out, StrView base64, Error *error);
// Does the work in place when every byte becomes one ASCII byte; else false, and nothing is
// changed.
bool charsmap_apply_ascii(const Charsmap *map, AlignedText *text);
void charsmap_apply(const Charsmap *map, const UnicodeTable *unicode, AlignedText *out,
                    const AlignedText *in, uint32_t origin);

// ---- Pre-tokenizer ----

typedef enum SplitBehavior {
    SPLIT_REMOVED,
    SPLIT_ISOLATED,
    SPLIT_MERGED_WITH_PREVIOUS,
    SPLIT_MERGED_WITH_NEXT,
    SPLIT_CONTIGUOUS,
} SplitBehavior;

typedef enum PrependScheme { PREPEND_NEVER, PREPEND_FIRST, PREPEND_ALWAYS } PrependScheme;

typedef enum PreTokenizeKind {
    PRETOKENIZE_BERT,
    PRETOKENIZE_CLASS, // split at code points of a class
    PRETOKENIZE_WORDS, // \w+|[^\w\s]+
    PRETOKENIZE_PATTERN,
    PRETOKENIZE_DELIMITER,
    PRETOKENIZE_GPT2,   // the pattern of ByteLevel
    PRETOKENIZE_CL100K, // the pattern of Llama 3, Qwen 2 and others
    PRETOKENIZE_PREFIX_SPACE,
    PRETOKENIZE_BYTES, // bytes to the alphabet of ByteLevel
    PRETOKENIZE_METASPACE,
    PRETOKENIZE_FIXED_LENGTH,
} PreTokenizeKind;

typedef struct PreTokenizeStep {
    PreTokenizeKind kind;
    SplitBehavior behavior;
    uint32_t class_bits; // PRETOKENIZE_CLASS
    bool invert;         // pattern
    Pattern pattern;
    uint32_t code_point; // delimiter, replacement of Metaspace
    PrependScheme prepend;
    bool split;      // Metaspace
    uint32_t length; // FIXED_LENGTH; most digits of a number in CL100K
} PreTokenizeStep;

Status pretokenize_load(Tokenizer *tokenizer, const JsonValue *value, Error *error);
Status pretokenize_run(const Tokenizer *tokenizer, Pieces *pieces, Error *error);
// The end of the word that starts at `pos`, by the rules of the two known patterns.
size_t gpt2_word_end(const UnicodeTable *unicode, StrView text, size_t pos);
size_t cl100k_word_end(const UnicodeTable *unicode, StrView text, size_t pos, uint32_t max_digits);

// ---- Model ----

typedef struct WordPiece {
    VocabIndex continuing; // tokens behind the prefix
    int32_t unknown_id;    // -1 = not in the vocabulary
    uint32_t max_chars;
} WordPiece;

typedef enum ModelKind { MODEL_WORDPIECE, MODEL_BPE, MODEL_UNIGRAM, MODEL_WORDLEVEL } ModelKind;

typedef struct Model {
    ModelKind kind;
    Vocab vocab;
    WordPiece wordpiece; // also the unknown id of word level
    Bpe bpe;
    Unigram unigram;
} Model;

// One token of a text before post-processing.
typedef struct RawToken {
    int32_t id;
    uint32_t start, end, word;
    uint32_t lead, trail; // white space to trim, only when the post-processor trims
} RawToken;

typedef struct TokenList {
    RawToken *items;
    size_t count, cap;
    bool out_of_memory;
} TokenList;

// Room for `extra` more tokens; false when out of memory, which the list remembers.
bool token_list_reserve(TokenList *list, size_t extra);
Status token_list_status(const TokenList *list, Error *error);

// Where a model puts the tokens of one piece.
typedef struct TokenSink {
    TokenList *list;
    const AlignedText *text;
    uint32_t begin; // of the piece; offsets given to the sink are relative to it
    uint32_t word;
    BpeScratch *bpe;
    UnigramScratch *unigram;
} TokenSink;

void token_sink_put(TokenSink *sink, int32_t id, size_t begin, size_t end);

Status wordpiece_load(Tokenizer *tokenizer, const JsonScan *model, Error *error);
// Indexes the vocabulary that is already in the tokenizer.
Status wordpiece_finish(Tokenizer *tokenizer, StrView unknown, StrView prefix, uint32_t max_chars,
                        Error *error);
Status wordpiece_encode(const Model *model, StrView word, TokenSink *sink, Error *error);
Status wordlevel_load(Tokenizer *tokenizer, const JsonScan *model, Error *error);
Status wordlevel_encode(const Model *model, StrView word, TokenSink *sink, Error *error);
Status bpe_load(Tokenizer *tokenizer, const JsonScan *model, Error *error);
void bpe_free(Bpe *bpe);
// The merge of two ids, or NULL, and where its search begins.
const Merge *bpe_find_merge(const Bpe *bpe, int32_t left, int32_t right);
uint32_t bpe_merge_hash(int32_t left, int32_t right);
// When ByteLevel's bytes are the last step before the model, drops that step and lets the model
// work on raw bytes.
void bpe_use_raw_bytes(Tokenizer *tokenizer);
// Finds the words that are one token; after bpe_use_raw_bytes.
Status bpe_index_words(Tokenizer *tokenizer, Error *error);
// Whether a word is encoded as this one token.
Status bpe_is_whole(bool *out, const Model *model, StrView word, int32_t id, BpeScratch *scratch,
                    Error *error);
// The ids of <0x00> to <0xFF>, -1 where there is none.
void fallback_ids(int32_t ids[256], const Vocab *vocab);
Status bpe_encode(const Model *model, StrView word, TokenSink *sink, Error *error);
Status unigram_load(Tokenizer *tokenizer, const JsonScan *model, Error *error);
void unigram_free(Unigram *unigram);
Status unigram_encode(const Model *model, StrView word, TokenSink *sink, Error *error);
// ---- Post-processor ----

typedef enum TemplateKind { TEMPLATE_FIRST, TEMPLATE_SECOND, TEMPLATE_SPECIAL } TemplateKind;

typedef struct TemplatePiece {
    TemplateKind kind;
    int32_t id;               // special
    int32_t type_id;          // of the first window, and of special tokens
    int32_t overflow_type_id; // of the other windows, which the library may leave alone
} TemplatePiece;

typedef struct Template {
    TemplatePiece pieces[PIPELINE_MAX_TEMPLATE];
    size_t count;
    size_t special_count; // what the library counts when it truncates
} Template;

typedef struct TrimStep {
    bool add_prefix_space;
} TrimStep;

typedef struct PostProcessor {
    Template templates[2][2]; // [is_pair][add_special_tokens]
    TrimStep trims[PIPELINE_MAX_STEPS];
    size_t trim_count;
} PostProcessor;

Status postprocess_load(Tokenizer *tokenizer, const JsonValue *value, Error *error);
// Trims, truncates, fills the template: everything behind the model. Takes nothing over.
Status postprocess_run(EncodingList *out, const Tokenizer *tokenizer, const TokenList *first,
                       const TokenList *second, const EncodeOptions *options, Error *error);

// ---- Decoder ----

typedef enum DecodeKind {
    DECODE_WORDPIECE,
    DECODE_BYTE_LEVEL,
    DECODE_METASPACE,
    DECODE_BPE,
    DECODE_BYTE_FALLBACK,
    DECODE_FUSE,
    DECODE_STRIP,
    DECODE_REPLACE,
    DECODE_CTC,
} DecodeKind;

typedef struct DecodeStep {
    DecodeKind kind;
    StrView text;      // prefix, suffix, replacement, pad token
    StrView delimiter; // CTC
    bool cleanup;
    Pattern pattern;
    uint32_t code_point; // strip, Metaspace
    size_t start, stop;  // strip
    bool drop_first;     // Metaspace: the first replacement stands for nothing
} DecodeStep;

Status decode_load(Tokenizer *tokenizer, const JsonValue *value, Error *error);

// ---- The whole ----

enum { ROLE_COUNT = 7 };

struct Tokenizer {
    Arena arena; // strings of the steps
    UnicodeTable unicode;
    AddedTokens added;
    NormalizeStep *normalizer; // [normalizer_count]
    size_t normalizer_count;
    bool lowers_first; // an own step in front of the normalizer
    PreTokenizeStep *pretokenizer;
    size_t pretokenizer_count;
    Model model;
    PostProcessor post;
    DecodeStep *decoder;
    size_t decoder_count;
    bool has_decoder;
    Regex **regexes; // owned, for all steps
    size_t regex_count;
    int32_t roles[ROLE_COUNT];
    size_t max_length;
    bool is_compiled; // the big tables and the texts belong to a block that compiled_read was given
    Artifact artifact; // and that block to this, if it is a file
};

// From the files of a folder, without a compiled one.
Status tokenizer_load(Tokenizer **out, const char *folder, Error *error);

// ---- The compiled form ----

// Bytes of a tokenizer's compiled form. It is the same for the same files.
size_t compiled_size(const Tokenizer *tokenizer);
// Writes it to `size` zeroed bytes, aligned to 16.
void compiled_write(uint8_t *out, size_t size, const Tokenizer *tokenizer);
// Makes magic and checksum right; `size` is at least 16.
void compiled_seal(uint8_t *data, size_t size);
// The tokenizer that was written; it borrows `data`, which must be aligned to 16. STATUS_CORRUPT
// for anything else than what compiled_write left.
Status compiled_read(Tokenizer **out, const uint8_t *data, size_t size, Error *error);

// Appends the tokenizer.json that a vocab.txt and its config (may be empty) stand for.
Status rebuild_from_vocab_txt(Buf *out, const char *path, StrView config, Error *error);
// The same for a folder with vocab.json and merges.txt; `map` is special_tokens_map.json or empty.
Status rebuild_from_merges(Buf *out, const char *folder, StrView map, StrView config, Error *error);

// A NUL-terminated copy in the tokenizer's arena.
Status tokenizer_keep(Tokenizer *tokenizer, StrView *out, StrView text, Error *error);
// A string member, required; error names `what`.
Status json_need_string(StrView *out, const JsonValue *object, const char *key, const char *what,
                        Error *error);
// A string of exactly one code point.
Status json_need_char(uint32_t *out, const JsonValue *object, const char *key, const char *what,
                      Error *error);
const char *json_type_name(const JsonValue *value); // its "type", or "?"
// The span of a top-level member, or an empty view.
StrView json_span(const JsonScan *scan, const char *key);

// The character of ByteLevel's alphabet for a byte, and back (-1 when it has none).
uint32_t byte_level_char(uint8_t byte);
int byte_level_byte(uint32_t code_point);

#endif
