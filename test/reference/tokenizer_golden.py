"""Small tokenizers and what the tokenizers library answers with them: test/golden/text/*.json.

Called by tokenizer_parity.py --golden. Sources: a BERT tokenizer.json, a byte-level one, a SentencePiece
BPE with byte fallback and a T5 tokenizer.json, each cut to about 1,000 tokens, given by environment
variables GOLDEN_WORDPIECE, GOLDEN_BYTE_BPE, GOLDEN_LLAMA_BPE, GOLDEN_UNIGRAM.
"""
import json
import os

from tokenizers import Tokenizer

TEXTS = [
    "", " ", "a", "Hello, world!", "  leading and trailing  ", "tabs\tand\nnew\r\nlines\n\n  x",
    "H\u00e9llo W\u00f6rld na\u00efve caf\u00e9", "e\u0301 a\u0323\u0301 \u1e69 s\u0323\u0307 s\u0307\u0323",
    "\u1f48\u0394\u03a5\u03a3\u03a3\u0395\u038e\u03a3", "\u0130stanbul I\u011fd\u0131r", "Stra\u00dfe \u1e9e \ufb01 \u00bd \u00b2 \u2460 \ufdfa",
    "\u4e2d\u6587\u5b57\u7b26,\u65e5\u672c\u8a9e\u3002\ud55c\uad6d\uc5b4", "\u4e2da\u6587b\u5b57",
    "\U0001f44d\U0001f3fd \U0001f468\u200d\U0001f469\u200d\U0001f467 \U0001f1e9\U0001f1ea \u2764\ufe0f", "\u200b\u200d\ufeff\u00ad zero",
    "\x00\x01\x7f\x80 control", "\u0939\u093f\u0928\u094d\u0926\u0940 \u0e44\u0e17\u0e22", "don't can't I'm you're DON'T I'LL",
    "1234567890 12,345.67 1e-5", "http://example.com/path?q=1#frag", "x" * 101, "x" * 100, "\u1100\u1161\u11a8 \uac00\u11a8",
    "\uff21\uff42\uff43\uff11\uff12 \uff76\uff9e", "a  b   c    d", "def f(x):\n    return x\n\n\n", "word\n\n", " \n \n x",
    "The quick brown fox jumps over the lazy dog. " * 3, "[CLS] in [SEP] x[MASK]y [mask]", "<s> </s> <unk> <mask>x  <mask>  y",
    "<|endoftext|> <|im_start|>user\nhi<|im_end|>", "<extra_id_0>x", "foo bar foobar  foo bar  x",
]
TRUNCATIONS = ["longest_first", "only_first", "only_second"]
WINDOWS = [(0, 12, 2, False, True), (0, 9, 0, True, True), (1, 14, 1, False, False), (2, 14, 1, False, False), (2, 11, 2, True, False)]


def cut_wordpiece(path):
    j = json.load(open(path))
    vocab = j["model"]["vocab"]
    reference = Tokenizer.from_str(json.dumps(j))
    reference.no_padding()
    reference.no_truncation()
    used = {t for text in TEXTS for t in reference.encode(text).tokens}
    order = sorted(vocab, key=vocab.get)
    letters = [t for t in order if len(t.replace("##", "")) == 1 and t.replace("##", "").isascii()]
    words = [t for t in order if t.isalpha() and t.isascii()][:700]
    keep = [t for t in order if t in used or t in set(letters) or t in set(words) or (t[0] == "[" and t[-1] == "]" and "unused" not in t)]
    j["model"]["vocab"] = {t: i for i, t in enumerate(keep)}
    for token in j["added_tokens"]:
        token["id"] = j["model"]["vocab"][token["content"]]
    for name, token in j["post_processor"]["special_tokens"].items():
        token["ids"] = [j["model"]["vocab"][name]]
    j["truncation"] = j["padding"] = None
    return j


def cut_bpe(path, merges):
    """The single characters and the tokens of the first merges, numbered anew."""
    j = json.load(open(path))
    model = j["model"]
    vocab = model["vocab"]
    pairs = [m.split(" ") if isinstance(m, str) else m for m in model["merges"]][:merges]
    special = [t["content"] for t in j["added_tokens"]]
    kept = {a + b for a, b in pairs} | set(special)
    order = sorted(vocab, key=vocab.get)
    ascii_only = [t for t in order if t in kept or (len(t) == 1 and (ord(t) < 0x180 or t == "\u2581")) or (len(t) == 6 and t[:3] == "<0x")]
    model["vocab"] = {t: i for i, t in enumerate(ascii_only)}
    model["merges"] = [p for p in pairs if all(x in model["vocab"] for x in [*p, "".join(p)])]
    for token in j["added_tokens"]:
        token["id"] = model["vocab"].get(token["content"], token["id"])
    post = j.get("post_processor") or {}
    for part in [post, *post.get("processors", [])]:
        for name, token in part.get("special_tokens", {}).items():
            token["ids"] = [model["vocab"][name]]
        for key in ("sep", "cls"):
            if key in part:
                part[key][1] = model["vocab"][part[key][0]]
    return j


def cut_unigram(path):
    j = json.load(open(path))
    reference = Tokenizer.from_str(json.dumps(j))
    reference.no_truncation()
    reference.no_padding()
    used = {t for text in TEXTS for t in reference.encode(text).tokens}
    vocab = [p for i, p in enumerate(j["model"]["vocab"]) if i < 700 or p[0] in used or len(p[0]) == 1 and p[0].isascii()]
    j["model"]["vocab"] = vocab
    place = {p[0]: i for i, p in enumerate(vocab)}
    j["added_tokens"] = [t for t in j["added_tokens"] if t["content"] in place][:6]
    for token in j["added_tokens"]:
        token["id"] = place[token["content"]]
    for name, token in j["post_processor"]["special_tokens"].items():
        token["ids"] = [place[name]]
    # The real map is too big to commit; these come near it.
    j["normalizer"] = {"type": "Sequence", "normalizers": [
        {"type": "Nmt"}, {"type": "NFKC"}, {"type": "Replace", "pattern": {"Regex": " {2,}"}, "content": " "},
        {"type": "Precompiled", "precompiled_charsmap": tiny_charsmap()}]}
    j["truncation"] = j["padding"] = None
    return j


def tiny_charsmap():
    """Maps clusters that start with 'q' to 'kw'."""
    import base64
    units = [0] * 512
    units[0] = 256 << 10
    units[256 ^ 0x71] = (128 << 10) | 0x100 | 0x71
    units[256 ^ 0x71 ^ 128] = 0x80000000
    blob = b"".join(u.to_bytes(4, "little") for u in units)
    return base64.b64encode(len(blob).to_bytes(4, "little") + blob + b"kw\0").decode()


def flat(windows):
    return [[w["ids"], w["type_ids"], [x for o in w["offsets"] for x in o],
             [-1 if x is None else x for x in w["words"]], w["special"],
             [-1 if x is None else x for x in w["sequence"]]] for w in windows]


def cases_of(tokenizer, theirs):
    cases = []
    for text in TEXTS:
        windows = theirs(tokenizer, text)
        ids = windows[0]["ids"]
        cases.append({"text": text, "special": True, "windows": flat(windows), "decoded": tokenizer.decode(ids, False),
                      "skipped": tokenizer.decode(ids, True)})
    for text in TEXTS[3:12]:
        cases.append({"text": text, "pair": TEXTS[3], "special": False, "windows": flat(theirs(tokenizer, text, TEXTS[3], False))})
    for truncation, max_length, stride, left, single in WINDOWS:
        text = "Hello world, hi" if truncation == 2 else TEXTS[28]
        pair = None if single else TEXTS[17]
        tokenizer.enable_truncation(max_length, stride=stride, strategy=TRUNCATIONS[truncation],
                                    direction="left" if left else "right")
        try:
            windows = flat(theirs(tokenizer, text, pair))
        except BaseException as error:
            if isinstance(error, KeyboardInterrupt):
                raise
            windows = None
        tokenizer.no_truncation()
        case = {"text": text, "special": True, "max": max_length, "stride": stride, "truncation": truncation, "left": left,
                "windows": windows}
        if pair:
            case["pair"] = pair
        cases.append(case)
    return cases


def write(folder, theirs):
    sources = {"wordpiece": cut_wordpiece(os.environ["GOLDEN_WORDPIECE"]), "byte_bpe": cut_bpe(os.environ["GOLDEN_BYTE_BPE"], 700),
               "llama_bpe": cut_bpe(os.environ["GOLDEN_LLAMA_BPE"], 700), "unigram": cut_unigram(os.environ["GOLDEN_UNIGRAM"])}
    for name, j in sources.items():
        tokenizer = Tokenizer.from_str(json.dumps(j))
        golden = {"made_by": "test/reference/tokenizer_parity.py --golden", "tokenizer": j, "cases": cases_of(tokenizer, theirs)}
        text = json.dumps(golden, ensure_ascii=True, separators=(",", ":")).replace('},{"text"', '},\n{"text"')
        path = os.path.join(folder, name + ".json")
        open(path, "w").write(text + "\n")
        print(path, len(text))


def write_unicode(folder):
    """Checksums over what the normalizers make of every code point, each between two letters."""
    import zlib

    from tokenizers import normalizers
    steps = {"NFD": normalizers.NFD(), "NFC": normalizers.NFC(), "NFKD": normalizers.NFKD(), "NFKC": normalizers.NFKC(),
             "Lowercase": normalizers.Lowercase(), "StripAccents": normalizers.StripAccents(), "Nmt": normalizers.Nmt(),
             "BertNormalizer": normalizers.BertNormalizer()}
    sums = {}
    for name, step in steps.items():
        crc = 0
        for c in range(0x110000):
            if not 0xD800 <= c <= 0xDFFF:
                crc = zlib.crc32(step.normalize_str("a" + chr(c) + "b").encode() + b"\n", crc)
        sums[name] = crc
    text = json.dumps({"made_by": "test/reference/tokenizer_parity.py --golden", "crc32": sums}, indent=1)
    open(os.path.join(folder, "code_points.json"), "w").write(text + "\n")
