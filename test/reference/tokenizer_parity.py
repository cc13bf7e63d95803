#!/usr/bin/env python3
"""Compares src/text with the tokenizers library (0.23) on the same tokenizer files.

Development only: needs `tokenizers`, a C compiler and the libraries that src/text links. Usage:

    tokenizer_parity.py FILE_OR_FOLDER...      compare; the exit status is the number of differences > 0
    tokenizer_parity.py --quick FILE...        the same with fewer random strings
    tokenizer_parity.py --compiled FILE...     our side is the compiled tokenizer, mapped from a file
    tokenizer_parity.py --speed TEXT FILE...   one core, both sides, on an English text
    tokenizer_parity.py --golden OUT           write the golden files (see tokenizer_golden.py)
"""
import argparse
import ctypes
import glob
import json
import os
import random
import subprocess
import sys
import tempfile
import time

os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")
import tokenizers  # noqa: E402
from tokenizers import Tokenizer  # noqa: E402

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))


class StrView(ctypes.Structure):
    _fields_ = [("ptr", ctypes.c_char_p), ("len", ctypes.c_size_t)]


class Encoding(ctypes.Structure):
    _fields_ = [("len", ctypes.c_size_t), ("ids", ctypes.POINTER(ctypes.c_int32)),
                ("type_ids", ctypes.POINTER(ctypes.c_int32)), ("sequence", ctypes.POINTER(ctypes.c_int8)),
                ("start", ctypes.POINTER(ctypes.c_uint32)), ("end", ctypes.POINTER(ctypes.c_uint32)),
                ("word", ctypes.POINTER(ctypes.c_uint32)), ("flags", ctypes.POINTER(ctypes.c_uint8))]


class EncodingList(ctypes.Structure):
    _fields_ = [("items", ctypes.POINTER(Encoding)), ("count", ctypes.c_size_t)]


class Options(ctypes.Structure):
    _fields_ = [("add_special_tokens", ctypes.c_bool), ("max_length", ctypes.c_size_t),
                ("truncation", ctypes.c_int), ("stride", ctypes.c_size_t),
                ("return_windows", ctypes.c_bool), ("truncate_left", ctypes.c_bool)]


class Error(ctypes.Structure):
    _fields_ = [("code", ctypes.c_int), ("message", ctypes.c_char * 1024), ("offset", ctypes.c_size_t)]


class Buf(ctypes.Structure):
    _fields_ = [("ptr", ctypes.c_void_p), ("len", ctypes.c_size_t), ("cap", ctypes.c_size_t),
                ("max", ctypes.c_size_t), ("failed", ctypes.c_int)]


def build():
    """The rooms base and text as one shared library in a temporary folder."""
    sources = [f for room in ("base", "text") for f in sorted(glob.glob(f"{ROOT}/src/{room}/*.c"))
               if not f.endswith("_test.c")]
    out = os.path.join(tempfile.mkdtemp(prefix="parity"), "text.so")
    flags = ["-std=c17", "-D_GNU_SOURCE", "-O2", "-g", "-shared", "-fPIC", "-fno-semantic-interposition", f"-I{ROOT}/src",
             '-DGPUX_VERSION="parity"']
    subprocess.run([os.environ.get("CC", "cc"), *flags, *sources, "-o", out, "-ljansson", "-lutf8proc",
                    "-lpcre2-8", "-lcrypto", "-lz", "-lpthread", "-lm", "-ldl"], check=True)
    return ctypes.CDLL(out)


LIB = None
COMPILED = False
TRUNCATIONS = ["longest_first", "only_first", "only_second"]


def view(text):
    if text is None:
        return StrView(None, 0)
    data = text.encode("utf-8") if isinstance(text, str) else text
    return StrView(data, len(data))


class Ours:
    """A tokenizer of src/text."""

    def __init__(self, path=None, text=None, config=b""):
        self.handle, self.error = ctypes.c_void_p(), Error()
        if COMPILED and text is None:
            status = self.open_compiled(path)
        elif path is not None and os.path.isdir(path):
            status = LIB.tokenizer_open(ctypes.byref(self.handle), path.encode(), None, None,
                                        ctypes.byref(self.error))
        else:
            text = open(path, "rb").read() if text is None else text
            status = LIB.tokenizer_open_json(ctypes.byref(self.handle), view(text), view(config),
                                             ctypes.byref(self.error))
        if status:
            raise ValueError(self.error.message.decode())

    def open_compiled(self, path):
        folder = path
        if not os.path.isdir(path):
            folder = tempfile.mkdtemp(prefix="parity")
            os.symlink(os.path.abspath(path), f"{folder}/tokenizer.json")
        kept = tempfile.mkdtemp(prefix="parity") + "/tokenizer.bin"
        for _ in range(2):
            status = LIB.tokenizer_open(ctypes.byref(self.handle), folder.encode(), kept.encode(), None,
                                        ctypes.byref(self.error))
        assert os.path.exists(kept)
        return status

    def encode(self, text, pair=None, special=True, max_length=0, truncation=0, stride=0, windows=True,
               left=False):
        out = EncodingList()
        options = Options(special, max_length, truncation, stride, windows, left)
        if LIB.tokenizer_encode(ctypes.byref(out), self.handle, view(text), view(pair),
                                ctypes.byref(options), ctypes.byref(self.error)):
            return self.error.message.decode()
        result = []
        for i in range(out.count):
            e = out.items[i]
            n = e.len
            result.append({
                "ids": e.ids[:n], "type_ids": e.type_ids[:n],
                "offsets": list(zip(e.start[:n], e.end[:n])),
                "words": [None if w == 0xFFFFFFFF else w for w in e.word[:n]],
                "special": [f & 1 for f in e.flags[:n]],
                "sequence": [None if s < 0 else s for s in e.sequence[:n]],
            })
        LIB.encoding_list_free(ctypes.byref(out))
        return result

    def decode(self, ids, skip):
        buf = Buf(None, 0, 0, 1 << 28, 0)
        array = (ctypes.c_int32 * len(ids))(*ids)
        LIB.tokenizer_decode.argtypes = None
        if LIB.tokenizer_decode(ctypes.byref(buf), self.handle, array, ctypes.c_size_t(len(ids)),
                                ctypes.c_bool(skip), ctypes.byref(self.error)):
            return self.error
        text = ctypes.string_at(buf.ptr, buf.len) if buf.len else b""
        LIB.buf_free(ctypes.byref(buf))
        return text.decode("utf-8", "surrogatepass")


def theirs_one(e):
    return {"ids": e.ids, "type_ids": e.type_ids, "offsets": e.offsets, "words": e.word_ids,
            "special": e.special_tokens_mask, "sequence": e.sequence_ids}


def theirs(tokenizer, text, pair=None, special=True):
    e = tokenizer.encode(text, pair, add_special_tokens=special)
    return [theirs_one(x) for x in [e, *e.overflowing]]


# ---- Texts ----

SAMPLES = [
    "", " ", "  ", "a", "Hello, world!", "  leading and trailing  ", "tabs\tand\nnew\r\nlines\n\n\n  x",
    "Héllo Wörld naïve café résumé", "e\u0301 a\u0323\u0301 \u1e69 s\u0323\u0307 s\u0307\u0323",
    "ὈΔΥΣΣΕΎΣ ΣΊΣΥΦΟΣ", "İstanbul Iğdır ıI", "Straße ẞ ﬁ ﬂ ﬃ ½ ² ① Ⅷ ㎏ ﷺ", "中文字符,日本語テキスト。한국어 텍스트",
    "中a文b字", "👍🏽 👨‍👩‍👧‍👦 🇩🇪🇫🇷 ❤️ ☺︎ 🏳️‍🌈", "\u200b\u200c\u200d\ufeff\u00ad zero", "\x00\x01\x7f\x80\x9f control",
    "हिन्दी में पाठ ไทยภาษา العربية עברית", "don't can't I'm you're we've he'll she'd it's", "DON'T I'LL 'S 'sS",
    "1234567890 12,345.67 1e-5 0x1F", "http://example.com/path?q=1&r=2#frag user@example.com",
    "x" * 300, "supercalifragilisticexpialidocious antidisestablishmentarianism", "a" * 100, "a" * 101,
    "\U00020000\U0002f800\uf900 \U0002b820\U0002b920", "\ufffd \ufffe \uffff \U0010ffff \ue000",
    "`code` {json: [1, 2]} <tag/> $x^2$ ~a~ |b|", "¿Qué? ¡Sí! «quoted» “curly” ‘single’ — dash … dots",
    "[CLS] inside [SEP] [MASK] [UNK] [PAD] [mask] [MASK]x x[MASK]", "<s> </s> <unk> <pad> <mask>x  <mask>  y",
    "<|endoftext|> <|im_start|>user\nhi<|im_end|> <extra_id_0> <extra_id_99>",
    "\u1100\u1161\u11a8 \uac00\u11a8 \u1112\u1161\u11ab", "\u0344 \u0f73 \u0958 \u2126 \u212b", "  \u3000 \u2003 \xa0 x",
    "def f(x):\n    return x + 1\n\n\nclass A:\n\tpass\n", "word\n\n", "\n", "\r\n\r\n x", " \n \n x \n", "a  b   c    d",
    "Ａｂｃ１２３ ｶﾞ ﾊﾟ", "¼ ٣ ৩ ᠓ 三 Ⅻ", "a\u0300\u0301\u0302\u0303\u0304\u0305 b\u0334\u0335\u0336",
    "The quick brown fox jumps over the lazy dog. " * 5,
]


def alphabet():
    pools = [
        "abcdefghijklmnopqrstuvwxyz", "ABCDEFGHIJKLMNOPQRSTUVWXYZ", "0123456789", " \t\n\r", ".,;:!?'\"-()[]{}<>|",
        "".join(map(chr, range(0x80, 0x250))), "".join(map(chr, range(0x300, 0x370))),
        "".join(map(chr, range(0x370, 0x600))), "".join(map(chr, range(0x600, 0x700))),
        "".join(map(chr, range(0x900, 0xE00))), "".join(map(chr, range(0x1100, 0x1200))),
        "".join(map(chr, range(0x1E00, 0x2070))), "".join(map(chr, range(0x2070, 0x2C00))),
        "".join(map(chr, range(0x3000, 0x3400))), "".join(map(chr, range(0x4E00, 0x5000))),
        "".join(map(chr, range(0xAC00, 0xAD00))), "".join(map(chr, range(0xF900, 0xFB50))),
        "".join(map(chr, range(0xFE00, 0x10000))), "".join(map(chr, range(0x1F1E0, 0x1F700))),
        "".join(map(chr, range(0x1D100, 0x1D200))), "\u200d\ufe0f\u20e3\u200b\u00ad",
    ]
    return pools


def random_text(rng, pools, words):
    style = rng.random()
    if style < 0.3:
        return " ".join(rng.choice(words) for _ in range(rng.randint(1, 30)))
    if style < 0.6:
        return "".join(rng.choice(rng.choice(pools)) for _ in range(rng.randint(0, 40)))
    parts = []
    for _ in range(rng.randint(1, 12)):
        if rng.random() < 0.5:
            parts.append(rng.choice(words))
        else:
            pool = rng.choice(pools)
            parts.append("".join(rng.choice(pool) for _ in range(rng.randint(1, 6))))
        parts.append(rng.choice(["", " ", "  ", "\n", ", "]))
    return "".join(parts)


# ---- Comparing ----


class Comparison:
    def __init__(self, name, ours, reference):
        self.name, self.ours, self.reference = name, ours, reference
        self.checked = self.failed = 0

    def report(self, what, text, a, b):
        self.failed += 1
        if self.failed > 8:
            return
        print(f"{self.name}: {what} differ for {text!r}")
        if isinstance(a, str) or isinstance(b, str) or len(a) != len(b):
            print("   ours ", str(a)[:600], "\n   theirs", str(b)[:600])
            return
        for x, y in zip(a, b):
            for key in y:
                if x[key] != y[key]:
                    print(f"   {key}\n      ours   {x[key][:60]}\n      theirs {y[key][:60]}")

    def encode(self, text, pair=None, special=True, **options):
        self.checked += 1
        try:
            b = theirs(self.reference, text, pair, special)
        except BaseException as error:  # the library panics where we report an error
            if type(error).__name__ in ("KeyboardInterrupt",):
                raise
            b = "error: " + str(error)
        a = self.ours.encode(text, pair, special, **options)
        if isinstance(a, str) and isinstance(b, str):
            return None
        if self.reference.post_processor is None and not isinstance(a, str) and not isinstance(b, str):
            # Without a post-processor the library forgets which text a cut one was.
            for x in [*a, *b]:
                x["sequence"] = None
        if a != b:
            self.report("encodings", (text, pair, special, options), a, b)
        return a

    def decode(self, ids):
        for skip in (False, True):
            self.checked += 1
            try:
                b = self.reference.decode(ids, skip_special_tokens=skip)
            except BaseException as error:
                b = "error: " + str(error)
            a = self.ours.decode(ids, skip)
            if a != b and not (b.startswith("error: ")):
                self.report("decoded texts", (ids, skip), str(a), b)

    def both(self, text, pair=None, special=True):
        result = self.encode(text, pair, special)
        if result and not isinstance(result, str):
            self.decode(result[0]["ids"])


def compare_code_points(c, step):
    for code_point in range(0, 0x110000, 1):
        if 0xD800 <= code_point <= 0xDFFF:
            continue
        ch = chr(code_point)
        # Private use and unassigned planes behave alike: a sample is enough when in a hurry.
        if step > 1 and code_point > 0x3400 and code_point % step:
            continue
        c.encode(ch, special=False)
        c.encode("a" + ch + "b", special=False)


def compare_pairs(c, rng, pools, words, count):
    """Combining marks behind everything: order, composition, clusters."""
    marks = "".join(chr(x) for x in [*range(0x300, 0x370), *range(0x1DC0, 0x1E00), 0x20D0, 0x20E3, 0x3099, 0x309A,
                                     0x1161, 0x11A8, 0x094D, 0x0E38, 0x0F71, 0x0F72, 0x200D, 0xFE0F, 0x1D165,
                                     0x302E, 0x16FF0, 0x0327, 0x0345, 0x064B, 0x0651, 0x05B0])
    for _ in range(count):
        base = rng.choice(rng.choice(pools))
        c.encode("".join([base] + [rng.choice(marks) for _ in range(rng.randint(1, 5))]) + rng.choice(["", "x", base]),
                 special=False)


def compare_windows(c, rng, pools, words, count):
    base = c.reference.to_str()
    reference = Tokenizer.from_str(base)
    reference.no_padding()
    window = Comparison(c.name + " windows", c.ours, reference)
    for _ in range(count):
        first, second = random_text(rng, pools, words), random_text(rng, pools, words)
        pair = second if rng.random() < 0.7 else None
        special = rng.random() < 0.8
        added = reference.num_special_tokens_to_add(pair is not None) if special else 0
        truncation = rng.randint(0, 2)
        max_length = rng.randint(added + 1, added + 40)
        stride = rng.choice([0, 0, 1, 2, 5])
        left = rng.random() < 0.3
        if stride >= max_length - reference.num_special_tokens_to_add(False):
            continue
        try:
            reference.enable_truncation(max_length, stride=stride, strategy=TRUNCATIONS[truncation],
                                        direction="left" if left else "right")
        except BaseException:
            continue
        window.encode(first, pair, special, max_length=max_length, truncation=truncation, stride=stride, left=left)
    c.checked += window.checked
    c.failed += window.failed


def load_reference(path):
    if os.path.isdir(path):
        if os.path.exists(f"{path}/tokenizer.json"):
            path += "/tokenizer.json"
        elif glob.glob(f"{path}/*.model"):
            # A SentencePiece model: what transformers makes of it. Needs the sentencepiece package.
            os.environ.setdefault("HF_HUB_OFFLINE", "1")
            from transformers import AutoTokenizer
            return AutoTokenizer.from_pretrained(path).backend_tokenizer
        else:
            config = f"{path}/tokenizer_config.json"
            config = json.load(open(config)) if os.path.exists(config) else {}
            lower = config.get("do_lower_case", True)
            bert = tokenizers.BertWordPieceTokenizer(f"{path}/vocab.txt", lowercase=lower, strip_accents=None)
            return bert._tokenizer
    reference = Tokenizer.from_file(path)
    reference.no_padding()
    reference.no_truncation()
    return reference


def compare(path, quick):
    started = time.time()
    reference = load_reference(path)
    c = Comparison(os.path.basename(os.path.dirname(os.path.abspath(path))) + "/" + os.path.basename(path),
                   Ours(path), reference)
    rng = random.Random(1)
    pools = alphabet()
    vocab = [t for t in reference.get_vocab() if len(t) < 30]
    vocab.sort()
    added = [t.content for t in reference.get_added_tokens_decoder().values()]
    words = [rng.choice(vocab).replace("##", "").replace("Ġ", " ").replace("▁", " ") for _ in range(3000)]
    words += "the of and to in a is that for it was on are as with his they I at be this have from or".split() * 20
    words += added[:200]
    for token in added[:50]:
        SAMPLES.extend([f"a{token}b", f" {token} ", f"x  {token}  y", token.upper(), token + token])
    for text in SAMPLES:
        for special in (True, False):
            c.both(text, None, special)
            c.both(text, "pair " + text[:50], special)
    compare_code_points(c, 37 if quick else 1)
    scale = 10 if quick else 1
    for _ in range(100000 // scale):
        c.both(random_text(rng, pools, words))
    compare_pairs(c, rng, pools, words, 40000 // scale)
    compare_windows(c, rng, pools, words, 20000 // scale)
    ids = [i for i in reference.get_vocab().values()]
    for _ in range(5000 // scale):
        c.decode([rng.choice(ids) for _ in range(rng.randint(0, 12))])
    print(f"{c.name}: {c.checked} comparisons, {c.failed} differences, {time.time() - started:.0f} s", flush=True)
    return c.failed


def speed(text_path, paths):
    text = open(text_path, encoding="utf-8").read()
    lines = [line for line in text.split("\n") if line]
    chunks = [text[i:i + 4096] for i in range(0, len(text), 4096)]
    size = len(text.encode())
    for path in paths:
        ours, reference = Ours(path), load_reference(path)
        raw = os.path.isdir(path) and f"{path}/tokenizer.json" or path
        begin = time.perf_counter()
        Ours(raw)
        opened = time.perf_counter() - begin
        for name, texts in (("lines", lines), ("4 KB", chunks)):
            views = [view(t) for t in texts]
            out, options = EncodingList(), Options(True, 0, 0, 0, False, False)
            times = [[], []]
            for _ in range(3):
                begin = time.perf_counter()
                for v in views:
                    LIB.tokenizer_encode(ctypes.byref(out), ours.handle, v, StrView(None, 0), ctypes.byref(options),
                                         None)
                    LIB.encoding_list_free(ctypes.byref(out))
                times[0].append(time.perf_counter() - begin)
                begin = time.perf_counter()
                for t in texts:
                    reference.encode(t)
                times[1].append(time.perf_counter() - begin)
            a, b = min(times[0]), min(times[1])
            print(f"{path} {name}: ours {size / a / 1e6:.1f} MB/s, tokenizers {size / b / 1e6:.2f} MB/s, "
                  f"ratio {b / a:.1f}; opened in {opened * 1e3:.1f} ms", flush=True)


def main():
    global LIB, COMPILED
    parser = argparse.ArgumentParser()
    parser.add_argument("files", nargs="*")
    parser.add_argument("--quick", action="store_true")
    parser.add_argument("--compiled", action="store_true")
    parser.add_argument("--speed")
    parser.add_argument("--golden")
    args = parser.parse_args()
    if args.golden:
        import tokenizer_golden
        tokenizer_golden.write(args.golden, theirs)
        tokenizer_golden.write_unicode(args.golden)
        return 0
    LIB = build()
    COMPILED = args.compiled
    if args.speed:
        speed(args.speed, args.files)
        return 0
    return min(sum(compare(path, args.quick) for path in args.files), 100)


if __name__ == "__main__":
    sys.exit(main())
