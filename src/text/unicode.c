// Code point classes from generated ranges; utf8proc, whose only address this is, supplies the
// mappings.
//
// Unicode promises that a decomposition, composition or combining class never changes once
// assigned. So the library's older tables are utf8proc's, cut down to the code points the library
// knows: the ranges say which ones, utf8proc says what. Any utf8proc from 2.4 on therefore gives
// the same answers.
#include "text/unicode.h"

#include "base/memory.h"

#include <stdlib.h>
#include <utf8proc.h>

typedef struct LowerRun {
    uint32_t first;
    uint32_t last;
    int32_t stride;
    int32_t delta;
} LowerRun;

// Categories of the code points at even and odd distance from `first`: cased letters alternate.
typedef struct CategoryRun {
    uint32_t first;
    uint32_t last;
    uint8_t even;
    uint8_t odd;
} CategoryRun;

#include "text/unicode_tables.inc"

#define COUNT(array) (sizeof(array) / sizeof(array)[0])

enum { CODE_POINT_END = 0x110000, PAGE = 256 };

// Blocks that BertNormalizer calls Chinese; 2B920 is the library's own reading of 2B820.
static const UnicodeRange CJK_RANGES[] = {
    {0x3400, 0x4dbf},   {0x4e00, 0x9fff},   {0xf900, 0xfaff},   {0x20000, 0x2a6df},
    {0x2a700, 0x2b73f}, {0x2b740, 0x2b81f}, {0x2b920, 0x2ceaf}, {0x2f800, 0x2fa1f},
};

// The order of CATEGORIES in tools/make_unicode.py.
static const char CATEGORY_NAMES[][3] = {
    "Lu", "Ll", "Lt", "Lm", "Lo", "Mn", "Mc", "Me", "Nd", "Nl", "No", "Pc", "Pd", "Ps", "Pe",
    "Pi", "Pf", "Po", "Sm", "Sc", "Sk", "So", "Zs", "Zl", "Zp", "Cc", "Cf", "Co", "Cn",
};

enum { CATEGORY_CN = 28 };

typedef struct NamedRanges {
    const char *name;
    const UnicodeRange *ranges;
    size_t count;
} NamedRanges;

static const NamedRanges SCRIPTS[] = {
    {"Han", SCRIPT_HAN_RANGES, COUNT(SCRIPT_HAN_RANGES)},
    {"Hiragana", SCRIPT_HIRAGANA_RANGES, COUNT(SCRIPT_HIRAGANA_RANGES)},
    {"Katakana", SCRIPT_KATAKANA_RANGES, COUNT(SCRIPT_KATAKANA_RANGES)},
    {"Hangul", SCRIPT_HANGUL_RANGES, COUNT(SCRIPT_HANGUL_RANGES)},
    {"Thai", SCRIPT_THAI_RANGES, COUNT(SCRIPT_THAI_RANGES)},
    {"Arabic", SCRIPT_ARABIC_RANGES, COUNT(SCRIPT_ARABIC_RANGES)},
    {"Cyrillic", SCRIPT_CYRILLIC_RANGES, COUNT(SCRIPT_CYRILLIC_RANGES)},
    {"Greek", SCRIPT_GREEK_RANGES, COUNT(SCRIPT_GREEK_RANGES)},
    {"Hebrew", SCRIPT_HEBREW_RANGES, COUNT(SCRIPT_HEBREW_RANGES)},
    {"Devanagari", SCRIPT_DEVANAGARI_RANGES, COUNT(SCRIPT_DEVANAGARI_RANGES)},
    {"Latin", SCRIPT_LATIN_RANGES, COUNT(SCRIPT_LATIN_RANGES)},
    {"Bopomofo", SCRIPT_BOPOMOFO_RANGES, COUNT(SCRIPT_BOPOMOFO_RANGES)},
    {"s", WHITESPACE_RANGES, COUNT(WHITESPACE_RANGES)},
};

static void mark(uint16_t *classes, const UnicodeRange *ranges, size_t count, uint16_t bit) {
    for (size_t i = 0; i < count; i++)
        for (uint32_t c = ranges[i].first; c <= ranges[i].last; c++)
            classes[c] |= bit;
}

static void mark_categories(uint16_t *classes) {
    for (size_t i = 0; i < COUNT(CATEGORY_RUNS); i++) {
        const CategoryRun *run = &CATEGORY_RUNS[i];
        uint16_t bits[2];
        for (int odd = 0; odd < 2; odd++) {
            char major = CATEGORY_NAMES[odd ? run->odd : run->even][0];
            bits[odd] = major == 'L' ? CLASS_LETTER : major == 'N' ? CLASS_NUMBER : 0;
        }
        if (!(bits[0] | bits[1]))
            continue;
        for (uint32_t c = run->first; c <= run->last; c++)
            classes[c] |= bits[(c - run->first) & 1];
    }
}

static void mark_lower(uint16_t *classes) {
    for (size_t i = 0; i < COUNT(LOWER_RUNS); i++)
        for (uint32_t c = LOWER_RUNS[i].first; c <= LOWER_RUNS[i].last;
             c += (uint32_t)LOWER_RUNS[i].stride)
            classes[c] |= CLASS_LOWER;
    classes[0x130] |= CLASS_LOWER;
}

static void mark_all(uint16_t *classes) {
#define MARK(ranges, bit) mark(classes, ranges, COUNT(ranges), bit)
    MARK(WHITESPACE_RANGES, CLASS_WHITESPACE);
    MARK(CONTROL_RANGES, CLASS_CONTROL);
    MARK(NONSPACING_RANGES, CLASS_NONSPACING);
    MARK(COMBINING_RANGES, CLASS_COMBINING);
    MARK(PUNCTUATION_RANGES, CLASS_PUNCTUATION);
    MARK(NUMERIC_RANGES, CLASS_NUMERIC);
    MARK(WORD_RANGES, CLASS_WORD);
    MARK(NFD_RANGES, CLASS_NFD);
    MARK(NFKD_RANGES, CLASS_NFKD);
    MARK(COMBINING_CLASS_RANGES, CLASS_ORDERED);
    MARK(GRAPHEME_EXTEND_RANGES, CLASS_EXTEND);
    MARK(CJK_RANGES, CLASS_CJK);
#undef MARK
    mark_categories(classes);
    mark_lower(classes);
}

static bool is_uniform(const uint16_t *page) {
    return memcmp(page, page + 1, (PAGE - 1) * sizeof *page) == 0;
}

// Index of a page with these classes, appended unless an equal uniform one is there; SIZE_MAX when
// out of memory. Only uniform pages repeat often enough to look for.
static size_t find_or_add_page(UnicodeTable *table, const uint16_t *page, size_t *cap) {
    if (is_uniform(page)) {
        for (size_t i = 0; i < table->page_count; i++)
            if (table->pages[i][0] == page[0] && is_uniform(table->pages[i]))
                return i;
    }
    if (table->page_count == *cap) {
        size_t grown = *cap ? *cap * 2 : 256;
        void *block = mem_realloc_array(table->pages, grown, sizeof *table->pages);
        if (!block)
            return SIZE_MAX;
        table->pages = block;
        *cap = grown;
    }
    memcpy(table->pages[table->page_count], page, PAGE * sizeof *page);
    return table->page_count++;
}

Status unicode_table_init(UnicodeTable *table, Error *error) {
    *table = (UnicodeTable){.page_count = 0};
    uint16_t *classes = mem_alloc_zero(CODE_POINT_END, sizeof *classes);
    if (!classes)
        return error_out_of_memory(error, CODE_POINT_END * sizeof *classes);
    mark_all(classes);
    size_t cap = 0;
    Status status = STATUS_OK;
    for (size_t i = 0; i < COUNT(table->page_of); i++) {
        size_t page = find_or_add_page(table, classes + i * PAGE, &cap);
        if (page == SIZE_MAX) {
            status = error_out_of_memory(error, sizeof *table->pages);
            unicode_table_free(table);
            break;
        }
        table->page_of[i] = (uint16_t)page;
    }
    mem_free(classes);
    return status;
}

void unicode_table_free(UnicodeTable *table) {
    mem_free(table->pages);
    table->pages = NULL;
    table->page_count = 0;
}

int unicode_lower(uint32_t out[UNICODE_MAX_LOWER], uint32_t code_point) {
    out[0] = code_point;
    if (code_point == 0x130) {
        out[0] = 'i';
        out[1] = 0x307;
        return 2;
    }
    size_t low = 0, high = COUNT(LOWER_RUNS);
    while (low < high) {
        size_t middle = (low + high) / 2;
        if (LOWER_RUNS[middle].last < code_point)
            low = middle + 1;
        else
            high = middle;
    }
    if (low < COUNT(LOWER_RUNS)) {
        const LowerRun *run = &LOWER_RUNS[low];
        if (code_point >= run->first && (code_point - run->first) % (uint32_t)run->stride == 0)
            out[0] = (uint32_t)((int32_t)code_point + run->delta);
    }
    return 1;
}

int unicode_decompose(uint32_t out[UNICODE_MAX_DECOMPOSED], const UnicodeTable *table,
                      uint32_t code_point, bool is_compatible) {
    uint32_t bit = is_compatible ? CLASS_NFKD : CLASS_NFD;
    out[0] = code_point;
    if (!(unicode_class(table, code_point) & bit))
        return 1;
    int options = UTF8PROC_DECOMPOSE | (is_compatible ? UTF8PROC_COMPAT : 0);
    int boundary = UTF8PROC_BOUNDCLASS_START;
    utf8proc_int32_t parts[UNICODE_MAX_DECOMPOSED];
    utf8proc_ssize_t count =
        utf8proc_decompose_char((utf8proc_int32_t)code_point, parts, UNICODE_MAX_DECOMPOSED,
                                (utf8proc_option_t)options, &boundary);
    if (count < 1 || count > UNICODE_MAX_DECOMPOSED)
        return 1;
    for (utf8proc_ssize_t i = 0; i < count; i++)
        out[i] = (uint32_t)parts[i];
    return (int)count;
}

int unicode_combining_class(const UnicodeTable *table, uint32_t code_point) {
    if (!(unicode_class(table, code_point) & CLASS_ORDERED))
        return 0;
    return utf8proc_get_property((utf8proc_int32_t)code_point)->combining_class;
}

// Conjoining jamo: section 3.12 of the Unicode standard.
static uint32_t compose_hangul(uint32_t first, uint32_t second) {
    enum { S = 0xac00, L = 0x1100, V = 0x1161, T = 0x11a7, LS = 19, VS = 21, TS = 28 };
    if (first >= L && first < L + LS && second >= V && second < V + VS)
        return S + ((first - L) * VS + (second - V)) * TS;
    if (first >= S && first < S + LS * VS * TS && (first - S) % TS == 0 && second > T &&
        second < T + TS)
        return first + (second - T);
    return 0;
}

uint32_t unicode_compose(const UnicodeTable *table, uint32_t first, uint32_t second) {
    uint32_t hangul = compose_hangul(first, second);
    if (hangul)
        return hangul;
    utf8proc_int32_t pair[3] = {(utf8proc_int32_t)first, (utf8proc_int32_t)second, 0};
    utf8proc_ssize_t count =
        utf8proc_normalize_utf32(pair, 2, (utf8proc_option_t)(UTF8PROC_COMPOSE | UTF8PROC_STABLE));
    if (count != 1 || pair[0] <= 0 || pair[0] >= CODE_POINT_END)
        return 0;
    uint32_t composed = (uint32_t)pair[0];
    // utf8proc takes U+11A7 for a final consonant of no sound.
    if (composed == first)
        return 0;
    return unicode_class(table, composed) & CLASS_NFD ? composed : 0;
}

// utf8proc's rules with the library's extenders in place of its own.
static utf8proc_int32_t grapheme_stand_in(const UnicodeTable *table, uint32_t code_point) {
    enum { COMBINING_GRAVE = 0x300, ZERO_WIDTH_JOINER = 0x200d, LETTER = 'x' };
    bool extends = unicode_class(table, code_point) & CLASS_EXTEND;
    int boundary = utf8proc_get_property((utf8proc_int32_t)code_point)->boundclass;
    bool is_extend = boundary == UTF8PROC_BOUNDCLASS_EXTEND ||
                     boundary == UTF8PROC_BOUNDCLASS_SPACINGMARK ||
                     boundary == UTF8PROC_BOUNDCLASS_ZWJ;
    if (extends && !is_extend)
        return COMBINING_GRAVE;
    if (!extends && is_extend)
        return LETTER;
    return (utf8proc_int32_t)code_point;
}

size_t unicode_grapheme_len(const UnicodeTable *table, StrView text) {
    size_t pos = 0;
    utf8proc_int32_t state = 0;
    uint32_t code_point = utf8_next(text, &pos);
    utf8proc_int32_t left = grapheme_stand_in(table, code_point);
    while (pos < text.len) {
        size_t next = pos;
        code_point = utf8_next(text, &next);
        utf8proc_int32_t right = grapheme_stand_in(table, code_point);
        if (utf8proc_grapheme_break_stateful(left, right, &state))
            break;
        left = right;
        pos = next;
    }
    return pos;
}

void range_list_add(RangeList *list, uint32_t first, uint32_t last) {
    if (first > last)
        return;
    if (list->count == list->cap) {
        size_t cap = list->cap ? list->cap * 2 : 64;
        UnicodeRange *items = mem_realloc_array(list->items, cap, sizeof *items);
        if (!items) {
            list->out_of_memory = true;
            return;
        }
        list->items = items;
        list->cap = cap;
    }
    list->items[list->count++] = (UnicodeRange){first, last};
}

static int compare_ranges(const void *a, const void *b) {
    uint32_t x = ((const UnicodeRange *)a)->first, y = ((const UnicodeRange *)b)->first;
    return (x > y) - (x < y);
}

void range_list_finish(RangeList *list, bool complement) {
    if (list->count > 0)
        qsort(list->items, list->count, sizeof *list->items, compare_ranges);
    size_t joined = 0;
    for (size_t i = 0; i < list->count; i++) {
        UnicodeRange range = list->items[i];
        if (joined > 0 && range.first <= list->items[joined - 1].last + 1) {
            if (range.last > list->items[joined - 1].last)
                list->items[joined - 1].last = range.last;
        } else {
            list->items[joined++] = range;
        }
    }
    list->count = joined;
    if (!complement)
        return;
    uint32_t next = 0;
    RangeList gaps = {.count = 0};
    for (size_t i = 0; i < list->count; i++) {
        if (list->items[i].first > next)
            range_list_add(&gaps, next, list->items[i].first - 1);
        next = list->items[i].last + 1;
    }
    if (next < CODE_POINT_END)
        range_list_add(&gaps, next, CODE_POINT_END - 1);
    gaps.out_of_memory |= list->out_of_memory;
    mem_free(list->items);
    *list = gaps;
}

static void add_ranges(RangeList *list, const UnicodeRange *ranges, size_t count) {
    for (size_t i = 0; i < count; i++)
        range_list_add(list, ranges[i].first, ranges[i].last);
}

// Adds the members of the categories whose name starts with `name`. CATEGORY_RUNS leave Cn out: it
// is what lies between them.
static bool add_category(RangeList *list, StrView name) {
    bool wanted[COUNT(CATEGORY_NAMES)];
    bool any = false;
    for (size_t i = 0; i < COUNT(CATEGORY_NAMES); i++) {
        wanted[i] = sv_starts_with(sv(CATEGORY_NAMES[i]), name);
        any |= wanted[i];
    }
    if (!any || name.len == 0)
        return false;
    uint32_t next = 0;
    for (size_t i = 0; i < COUNT(CATEGORY_RUNS); i++) {
        const CategoryRun *run = &CATEGORY_RUNS[i];
        if (wanted[CATEGORY_CN] && run->first > next)
            range_list_add(list, next, run->first - 1);
        next = run->last + 1;
        bool even = wanted[run->even], odd = wanted[run->odd];
        if (even && odd) {
            range_list_add(list, run->first, run->last);
        } else if (even || odd) {
            for (uint32_t c = run->first + (even ? 0 : 1); c <= run->last; c += 2)
                range_list_add(list, c, c);
        }
    }
    if (wanted[CATEGORY_CN] && next < CODE_POINT_END)
        range_list_add(list, next, CODE_POINT_END - 1);
    return true;
}

// \w of this engine: the word table with a few code points toggled; those it adds (superscripts and
// fractions of Latin-1) it adds outside sets only.
static void add_words(RangeList *list, bool in_set) {
    size_t toggle = 0;
    for (size_t i = 0; i < COUNT(WORD_RANGES); i++) {
        uint32_t first = WORD_RANGES[i].first;
        for (; toggle < COUNT(REGEX_WORD_DIFFERENCE_RANGES) &&
               REGEX_WORD_DIFFERENCE_RANGES[toggle].first <= WORD_RANGES[i].last;
             toggle++) {
            const UnicodeRange *range = &REGEX_WORD_DIFFERENCE_RANGES[toggle];
            if (range->last < first) {
                if (!in_set)
                    range_list_add(list, range->first, range->last);
                continue;
            }
            if (range->first > first)
                range_list_add(list, first, range->first - 1);
            first = range->last + 1;
        }
        range_list_add(list, first, WORD_RANGES[i].last);
    }
}

bool range_list_add_class(RangeList *list, StrView name, bool in_set) {
    if (sv_equal_cstr(name, "d"))
        return add_category(list, SV("Nd"));
    if (sv_equal_cstr(name, "w")) {
        add_words(list, in_set);
        return true;
    }
    for (size_t i = 0; i < COUNT(SCRIPTS); i++) {
        if (sv_equal_cstr(name, SCRIPTS[i].name)) {
            add_ranges(list, SCRIPTS[i].ranges, SCRIPTS[i].count);
            return true;
        }
    }
    return add_category(list, name);
}
