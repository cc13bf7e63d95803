#!/usr/bin/env python3
"""Writes src/text/unicode_tables.inc by asking the tokenizers library about every code point.

The library mixes several Unicode versions (its normal forms know Unicode 9, its letters come from the
regular expression engine, its lower case from Rust), so no published table gives its answers.
Development only: needs `tokenizers` 0.23. Usage: tools/make_unicode.py > src/text/unicode_tables.inc
"""
import sys

import tokenizers
from tokenizers import Regex, normalizers, pre_tokenizers

POINTS = [c for c in range(0x110000) if not 0xD800 <= c <= 0xDFFF]
CATEGORIES = ("Lu Ll Lt Lm Lo Mn Mc Me Nd Nl No Pc Pd Ps Pe Pi Pf Po Sm Sc Sk So Zs Zl Zp Cc Cf Co Cn"
              .split())
SCRIPTS = ["Han", "Hiragana", "Katakana", "Hangul", "Thai", "Arabic", "Cyrillic", "Greek", "Hebrew",
           "Devanagari", "Latin", "Bopomofo"]


def ranges_of(members):
    """Sorted code points to (first, last); the surrogate gap does not break a range."""
    out = []
    for c in sorted(members):
        if out and (out[-1][1] == c - 1 or (out[-1][1] == 0xD7FF and c == 0xE000)):
            out[-1][1] = c
        else:
            out.append([c, c])
    return out


def where(answer):
    return [c for c in POINTS if answer(chr(c))]


def pieces(pre_tokenizer):
    """How many pieces 'a?b' falls into, as a function of '?'."""
    return lambda ch: len(pre_tokenizer.pre_tokenize_str("a" + ch + "b"))


def regex_set(pattern):
    """Code points that one pattern of the library's regular expression engine matches."""
    text = "".join(map(chr, POINTS))
    split = pre_tokenizers.Split(Regex(pattern), "removed")
    rest = set()
    for _, (first, last) in split.pre_tokenize_str(text):
        rest.update(range(first, last))
    return [c for i, c in enumerate(POINTS) if i not in rest]


def charsmap_replacing_a():
    """A Precompiled map that turns any grapheme cluster starting with 'a' into 'X'."""
    units = [0] * 1024
    units[0] = 256 << 10
    units[256 ^ 0x61] = (512 << 10) | 0x100 | 0x61
    units[256 ^ 0x61 ^ 512] = 0x80000000
    blob = b"".join(u.to_bytes(4, "little") for u in units)
    return len(blob).to_bytes(4, "little") + blob + b"X\0"


def lower_table():
    """Runs (first, last, stride, delta) of single-character lower case; U+0130 is left to the code."""
    lowercase = normalizers.Lowercase()
    pairs = []
    for c in POINTS:
        low = lowercase.normalize_str(chr(c))
        if low != chr(c):
            if len(low) != 1:
                assert c == 0x130 and low == "i\u0307", hex(c)
                continue
            pairs.append((c, ord(low) - c))
    runs = []
    for c, delta in pairs:
        if runs and runs[-1][3] == delta:
            run = runs[-1]
            if run[0] == run[1] and c - run[1] <= 2:
                run[1], run[2] = c, c - run[0]
                continue
            if c - run[1] == run[2]:
                run[1] = c
                continue
        runs.append([c, c, 1, delta])
    return runs


def category_table():
    """Runs (first, last, even, odd): categories of the code points at even and odd distance from first."""
    category = {}
    for index, name in enumerate(CATEGORIES):
        for c in regex_set(r"\p{%s}" % name):
            assert c not in category, hex(c)
            category[c] = index
    default = CATEGORIES.index("Cn")
    values = [category.get(c, default) for c in range(0x110000)]
    runs, c = [], 0
    while c < 0x110000:
        even = values[c]
        odd = values[c + 1] if c + 1 < 0x110000 else even
        end = c
        while end < 0x110000 and values[end] == (odd if (end - c) & 1 else even):
            end += 1
        # A run of two different values is cheaper as a plain run of one.
        if even != odd and end - c == 2:
            end, odd = c + 1, even
        runs.append([c, end - 1, even, odd])
        c = end
    return [r for r in runs if not r[2] == r[3] == default]


def emit(name, rows, kind):
    print(f"\nstatic const {kind} {name}[] = {{")
    line = "   "
    for row in rows:
        cell = " {" + ", ".join(hex(v) if i < 2 else str(v) for i, v in enumerate(row)) + "},"
        if len(line) + len(cell) > 100:
            print(line)
            line = "   "
        line += cell
    print(line)
    print("};")
    print(f"{name}: {len(rows)}", file=sys.stderr)


def main():
    clean = normalizers.BertNormalizer(True, False, False, False)
    strip = normalizers.BertNormalizer(False, False, True, False)
    accents = normalizers.StripAccents()
    nfd, nfkd = normalizers.NFD(), normalizers.NFKD()
    grapheme = normalizers.Precompiled(charsmap_replacing_a())
    word = pieces(pre_tokenizers.Whitespace())

    def reorders(ch):
        # Only what is left after decomposing is ever ordered.
        return nfd.normalize_str(ch) == ch and (nfd.normalize_str("a" + ch + "\u0334").startswith("a\u0334") and ch != "\u0334" or
            ch != "\u0345" and nfd.normalize_str("a\u0345" + ch).endswith("\u0345"))

    print("// Generated by tools/make_unicode.py from tokenizers " + tokenizers.__version__ + ".")
    print("// What that library answers for every code point; see unicode.c for the meaning of each table.")
    simple = [
        ("WHITESPACE_RANGES", where(lambda ch: pieces(pre_tokenizers.WhitespaceSplit())(ch) == 2)),
        ("CONTROL_RANGES", where(lambda ch: clean.normalize_str(ch) == "")),
        ("NONSPACING_RANGES", where(lambda ch: strip.normalize_str(ch) == "")),
        ("COMBINING_RANGES", where(lambda ch: accents.normalize_str(ch) == "")),
        ("PUNCTUATION_RANGES", where(lambda ch: pieces(pre_tokenizers.Punctuation())(ch) == 3)),
        ("NUMERIC_RANGES", where(lambda ch: pieces(pre_tokenizers.Digits(True))(ch) == 3)),
        ("WORD_RANGES", where(lambda ch: word(ch) == 1)),
        ("NFD_RANGES", where(lambda ch: nfd.normalize_str(ch) != ch)),
        ("NFKD_RANGES", where(lambda ch: nfkd.normalize_str(ch) != ch)),
        ("COMBINING_CLASS_RANGES", where(reorders)),
        ("GRAPHEME_EXTEND_RANGES", where(lambda ch: grapheme.normalize_str("a" + ch) == "X")),
    ]
    differ = set(dict(simple)["WORD_RANGES"]) ^ set(regex_set(r"\w"))
    simple.append(("REGEX_WORD_DIFFERENCE_RANGES", differ))
    assert set(regex_set(r"\s")) == set(dict(simple)["WHITESPACE_RANGES"])
    for name, members in simple:
        emit(name, ranges_of(members), "UnicodeRange")
    for name in SCRIPTS:
        emit("SCRIPT_" + name.upper() + "_RANGES", ranges_of(regex_set(r"\p{%s}" % name)), "UnicodeRange")
    emit("LOWER_RUNS", lower_table(), "LowerRun")
    emit("CATEGORY_RUNS", category_table(), "CategoryRun")


if __name__ == "__main__":
    main()
