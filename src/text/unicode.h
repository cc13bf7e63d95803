// What the tokenizers library thinks of each code point: classes, lower case, normal forms,
// grapheme clusters. Not general Unicode: the answers are those of one library version (see
// unicode_tables.inc).
#ifndef GPUX_TEXT_UNICODE_H
#define GPUX_TEXT_UNICODE_H

#include "base/status.h"
#include "base/str.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum {
    CLASS_WHITESPACE = 1 << 0,  // also \s of both regular expression engines
    CLASS_CONTROL = 1 << 1,     // dropped by BertNormalizer's clean_text (white space included)
    CLASS_NONSPACING = 1 << 2,  // dropped by BertNormalizer's strip_accents
    CLASS_COMBINING = 1 << 3,   // dropped by StripAccents
    CLASS_PUNCTUATION = 1 << 4, // BertPreTokenizer, Punctuation
    CLASS_NUMERIC = 1 << 5,     // Digits
    CLASS_WORD = 1 << 6,        // \w of added tokens and Whitespace
    CLASS_NFD = 1 << 7,         // has a canonical decomposition
    CLASS_NFKD = 1 << 8,        // has a compatibility (or canonical) decomposition
    CLASS_ORDERED = 1 << 9,     // combining class is not 0
    CLASS_EXTEND = 1 << 10,     // never starts a grapheme cluster behind a letter
    CLASS_LETTER = 1 << 11,     // \p{L}
    CLASS_NUMBER = 1 << 12,     // \p{N}
    CLASS_LOWER = 1 << 13,      // has another lower case form
    CLASS_CJK = 1 << 14,        // BertNormalizer's handle_chinese_chars
};

enum {
    UNICODE_MAX_DECOMPOSED = 20, // longest full decomposition is 18 code points (U+FDFA)
    UNICODE_MAX_LOWER = 2,
};

typedef struct UnicodeRange {
    uint32_t first;
    uint32_t last;
} UnicodeRange;

// The ranges unfolded into pages of 256 code points, made once per tokenizer.
typedef struct UnicodeTable {
    uint16_t page_of[0x1100];
    uint16_t (*pages)[256];
    size_t page_count;
} UnicodeTable;

Status unicode_table_init(UnicodeTable *table, Error *error);
void unicode_table_free(UnicodeTable *table);

// CLASS_ bits of a code point below 0x110000.
static inline uint32_t unicode_class(const UnicodeTable *table, uint32_t code_point) {
    return table->pages[table->page_of[code_point >> 8]][code_point & 255];
}

// Writes the lower case form and returns its length, 1 or 2.
int unicode_lower(uint32_t out[UNICODE_MAX_LOWER], uint32_t code_point);
// Writes the full decomposition and returns its length; the code point itself when it has none.
int unicode_decompose(uint32_t out[UNICODE_MAX_DECOMPOSED], const UnicodeTable *table,
                      uint32_t code_point, bool is_compatible);
int unicode_combining_class(const UnicodeTable *table, uint32_t code_point);
// The primary composite of the two, or 0.
uint32_t unicode_compose(const UnicodeTable *table, uint32_t first, uint32_t second);
// Bytes of the extended grapheme cluster at the start of `text`, which is valid and not empty.
size_t unicode_grapheme_len(const UnicodeTable *table, StrView text);

// Ranges of code points, growing.
typedef struct RangeList {
    UnicodeRange *items;
    size_t count, cap;
    bool out_of_memory;
} RangeList;

void range_list_add(RangeList *list, uint32_t first, uint32_t last);
// Sorts, joins neighbours and, if asked, turns the list into its complement.
void range_list_finish(RangeList *list, bool complement);
// Adds the members of a regular expression class by its short name ("L", "Lu", "Han", "w", "d", "s"
// …); false when the name is unknown. The engine's \w has a few more members outside a set than in
// one.
bool range_list_add_class(RangeList *list, StrView name, bool in_set);

#endif
