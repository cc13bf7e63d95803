#!/usr/bin/env python3
"""Small SentencePiece models and what transformers answers with them: test/golden/sentencepiece/.

Development only: needs `sentencepiece` and `transformers` 5. Usage: sentencepiece_golden.py OUT
Each folder has a model file, config.json, perhaps tokenizer_config.json, and cases.json.
"""
import io
import json
import os
import sys
import tempfile

os.environ.setdefault("HF_HUB_OFFLINE", "1")
import sentencepiece  # noqa: E402
from transformers import AutoTokenizer  # noqa: E402

LINES = """The quick brown fox jumps over the lazy dog. Pack my box with five dozen liquor jugs!
Paris is the capital of France, and Berlin that of Germany. 12,345 people, 2024.
Où est la bibliothèque? L'élève étudie à l'école française; c'est très bien.
Der schnelle braune Fuchs springt über den faulen Hund.
the of a and to in is it you that he was for on are with as his they at be this
""".splitlines() * 20
TEXTS = [
    "", " ", "Hello, world!", "  leading and  trailing  ", "tabs\tand\nnew\r\nlines\n\n  x",
    "Où est la bibliothèque?", "e\u0301tude ﬁn Ａｂｃ ½", "東京 👍", "12,345 is 2024.", "\u2581the \u2581 dog",
    "<s> a </s> <unk> <pad> x <mask> y<mask>  z", "[CLS] a [SEP]b [MASK] c", "a(b) <extra_id_0> <extra_id_1>x",
    "the fox. \"the\" ``dog'' <|im|>the", "\x00 \x7f", "quick" * 20,
]
CASES = [
    ("xlm-roberta", "sentencepiece.bpe.model", "xlm-roberta", None, {"model_type": "unigram"}),
    ("camembert", "sentencepiece.bpe.model", "camembert", {"tokenizer_class": "CamembertTokenizer"},
     {"model_type": "unigram"}),
    ("t5", "spiece.model", "t5", {"extra_ids": 3},
     {"model_type": "unigram", "pad_id": 0, "eos_id": 1, "unk_id": 2, "bos_id": -1}),
    ("albert", "spiece.model", "albert", None,
     {"model_type": "unigram", "pad_id": 0, "unk_id": 1, "bos_id": -1, "eos_id": -1,
      "control_symbols": ["[CLS]", "[SEP]"], "user_defined_symbols": ["[MASK]", "(", ")"]}),
    ("llama", "tokenizer.model", "llama",
     {"tokenizer_class": "LlamaTokenizer", "add_bos_token": True, "legacy": True,
      "added_tokens_decoder": {"2": {"content": "</s>", "special": True},
                               "400": {"content": "<|im|>", "lstrip": True, "special": False}}},
     {"model_type": "bpe", "vocab_size": 400, "byte_fallback": True, "normalization_rule_name": "identity",
      "remove_extra_whitespaces": False, "split_digits": True}),
    ("plain-bpe", "tokenizer.model", "llama",
     {"tokenizer_class": "PreTrainedTokenizerFast", "add_eos_token": True,
      "added_tokens_decoder": {"3": {"content": "<|user|>", "special": True}}},
     {"model_type": "bpe", "vocab_size": 400, "byte_fallback": True, "normalization_rule_name": "identity",
      "user_defined_symbols": ["<r0>", "<|im|>"]}),
    ("plain-unigram", "tokenizer.model", "llama", None, {"model_type": "unigram", "user_defined_symbols": ["<|im|>"]}),
]


def train(rules, options):
    # The real maps are too big to commit; this one has a letter, a ligature and a fraction.
    if "normalization_rule_name" not in options:
        options = {**options, "normalization_rule_tsv": rules}
    model = io.BytesIO()
    sentencepiece.SentencePieceTrainer.train(
        sentence_iterator=iter(LINES), model_writer=model, num_threads=1, minloglevel=2, hard_vocab_limit=False,
        **{"vocab_size": 160, **options})
    return model.getvalue()


def write(path, value):
    with open(path, "w") as file:
        json.dump(value, file, ensure_ascii=False, separators=(",", ":"))
        file.write("\n")


def main():
    with tempfile.NamedTemporaryFile("w", suffix=".tsv") as rules:
        rules.write("65 301\te9\nfb01\t66 69\nbd\t31 2f 32\nff21\t41\n9\t20\na\t20\nd\t20\n")
        rules.flush()
        for name, file, family, config, options in CASES:
            folder = os.path.join(sys.argv[1], name)
            os.makedirs(folder, exist_ok=True)
            with open(f"{folder}/{file}", "wb") as out:
                out.write(train(rules.name, options))
            write(f"{folder}/config.json", {"model_type": family})
            if config:
                write(f"{folder}/tokenizer_config.json", config)
            tokenizer = AutoTokenizer.from_pretrained(folder).backend_tokenizer
            cases = []
            for text in TEXTS:
                for pair in (None, "the dog"):
                    e = tokenizer.encode(text, pair)
                    cases.append({"text": text, **({"pair": pair} if pair else {}), "ids": e.ids,
                                  "type_ids": e.type_ids, "offsets": [x for o in e.offsets for x in o],
                                  "decoded": tokenizer.decode(e.ids, skip_special_tokens=True)})
            write(f"{folder}/cases.json", cases)


main()
