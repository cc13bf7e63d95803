"""Makes test/golden/tasks: tiny checkpoints with a real tokenizer, one per task, and beside each the
answers that the hub's pipelines give for a list of requests.

Usage: python test/reference/make_task_golden.py [OUTPUT_FOLDER [KIND...]]

Each folder is what a download looks like, plus cases.json: requests in gpux's form and the answers
in the hub's. Question answering has no pipeline in this version of transformers; its documented
rules are written out below. Weights are large, so that scores differ clearly.
"""

import json
import os
import shutil
import sys
import warnings

import numpy as np
import tokenizers
import torch
import transformers
from transformers import AutoTokenizer, pipeline

ROOT = os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "golden", "tasks")

SPECIAL = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"]
LETTERS = "abcdefghijklmnopqrstuvwxyz"
WORDS = ["the", "paris", "is", "in", "capital", "of", "france", "john", "lives", "good", "bad", "film"]
VOCAB = (
    SPECIAL + list(".,?!-'()12") + ["中"] + list(LETTERS) + ["##" + c for c in LETTERS] + WORDS + ["##ing", "##ville"]
)

ENGLISH = "John lives in Paris, the capital of France."
UNICODE = "Jöhn Müller lives in 中国 — café Ж naïve e\u0301lan ﬁlm 😀!"
LONG = " ".join(["the film is good", "john smith lives in parisville", "bad, bad acting!"] * 3)
TEXTS = [ENGLISH, UNICODE, "", "   ", LONG, "Ж", "good [SEP] bad", "A\tb\nc\u200bd  e"]


# ---- Folders ----


def make_tokenizer(folder, max_length, form):
    """form "json": tokenizer.json; "vocab": vocab.txt alone, as old models have it."""
    config = dict(
        tokenizer_class="BertTokenizer", model_max_length=max_length, do_lower_case=True,
        cls_token="[CLS]", sep_token="[SEP]", unk_token="[UNK]", pad_token="[PAD]", mask_token="[MASK]",
    )
    with open(os.path.join(folder, "tokenizer_config.json"), "w") as file:
        json.dump(config, file)
        file.write("\n")
    if form == "vocab":
        with open(os.path.join(folder, "vocab.txt"), "w") as file:
            file.write("\n".join(VOCAB) + "\n")
        return
    ids = {token: index for index, token in enumerate(VOCAB)}
    tokenizer = tokenizers.Tokenizer(tokenizers.models.WordPiece(ids, unk_token="[UNK]"))
    tokenizer.normalizer = tokenizers.normalizers.BertNormalizer(lowercase=True)
    tokenizer.pre_tokenizer = tokenizers.pre_tokenizers.BertPreTokenizer()
    tokenizer.decoder = tokenizers.decoders.WordPiece()
    tokenizer.post_processor = tokenizers.processors.TemplateProcessing(
        single="[CLS] $A [SEP]", pair="[CLS] $A [SEP] $B:1 [SEP]:1",
        special_tokens=[("[CLS]", ids["[CLS]"]), ("[SEP]", ids["[SEP]"])],
    )
    tokenizer.add_special_tokens([tokenizers.AddedToken(token, normalized=False, special=True) for token in SPECIAL])
    # A file may ask for padding and truncation; tasks take no notice of either.
    tokenizer.enable_padding(length=24)
    tokenizer.enable_truncation(7)
    tokenizer.save(os.path.join(folder, "tokenizer.json"), pretty=False)


def randomise(model, seed, spread):
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            noise = torch.randn(parameter.shape, generator=generator)
            if "norm" in name.lower() and name.endswith("weight"):
                parameter.copy_(1 + 0.2 * noise)
            elif name.endswith("bias"):
                parameter.copy_(0.2 * noise)
            elif "query" in name or "key" in name:
                parameter.copy_(0.3 * noise)  # an attention that looks at many tokens
            else:
                parameter.copy_(spread * noise)


def make_model(root, name, model_class, seed, max_length, form="json", spread=0.7, **settings):
    folder = os.path.join(root, name)
    shutil.rmtree(folder, ignore_errors=True)
    config = transformers.BertConfig(
        hidden_size=16, num_attention_heads=2, num_hidden_layers=1, intermediate_size=20,
        vocab_size=len(VOCAB), max_position_embeddings=40, **settings,
    )
    model = model_class(config)
    randomise(model, seed, spread)
    model.half().save_pretrained(folder)
    generation = os.path.join(folder, "generation_config.json")
    if os.path.exists(generation):
        os.remove(generation)
    make_tokenizer(folder, max_length, form)
    return folder


def open_model(model_class, folder):
    model = model_class.from_pretrained(folder, dtype=torch.float32, attn_implementation="eager").eval()
    tokenizer = AutoTokenizer.from_pretrained(folder)
    # What the file says about padding and truncation is undone: tasks decide.
    tokenizer.backend_tokenizer.no_padding()
    tokenizer.backend_tokenizer.no_truncation()
    assert len(tokenizer) == len(VOCAB), len(tokenizer)
    return model, tokenizer


def plain(value):
    """Only what JSON knows, reals at float32's precision."""
    if isinstance(value, dict):
        return {key: plain(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [plain(item) for item in value]
    if isinstance(value, (float, np.floating)):
        return float(f"{float(value):.7g}")
    if isinstance(value, np.integer):
        return int(value)
    return value


def write_cases(folder, cases):
    with open(os.path.join(folder, "cases.json"), "w") as file:
        lines = [json.dumps(plain({"request": request, "answer": answer})) for request, answer in cases]
        file.write("[\n" + ",\n".join(lines) + "\n]\n")


# ---- Classification ----


def text_classification(root):
    kinds = [
        ("classify", 11, dict(id2label={0: "BAD", 1: "GOOD", 2: "SO SO"}, label2id={"BAD": 0, "GOOD": 1, "SO SO": 2}), "json"),
        ("classify-multi", 12, dict(num_labels=4, problem_type="multi_label_classification"), "vocab"),
        ("classify-regression", 13, dict(num_labels=1, problem_type="regression"), "vocab"),
        ("classify-single", 14, dict(num_labels=1), "json"),
    ]
    for name, seed, settings, form in kinds:
        model_class = transformers.BertForSequenceClassification
        folder = make_model(root, name, model_class, seed, 24, form, **settings)
        model, tokenizer = open_model(model_class, folder)
        pipe = pipeline("text-classification", model=model, tokenizer=tokenizer)

        def ask(text, **parameters):
            parameters.setdefault("top_k", None)
            return pipe(text, truncation=True, **parameters)

        cases = [({"inputs": text}, [ask(text)]) for text in TEXTS]
        pair = {"text": ENGLISH, "text_pair": "good film"}
        long_pair = {"text": LONG, "text_pair": LONG[:40]}
        cases += [
            ({"inputs": pair}, [ask(pair)]),
            ({"inputs": long_pair}, [ask(long_pair)]),
            ({"inputs": [ENGLISH, "", LONG]}, [ask(text) for text in (ENGLISH, "", LONG)]),
            ([{"inputs": ENGLISH}, "good", {"text": LONG, "top_k": 1}],
             [[ask(ENGLISH)], [ask("good")], [ask(LONG, top_k=1)]]),
            ({"inputs": ENGLISH, "parameters": {"top_k": 2}, "top_k": 1}, [ask(ENGLISH, top_k=2)]),
            ({"inputs": ENGLISH, "top_k": 100}, [ask(ENGLISH, top_k=100)]),
        ]
        for function in ("softmax", "sigmoid", "none"):
            cases.append(({"inputs": ENGLISH, "function_to_apply": function}, [ask(ENGLISH, function_to_apply=function)]))
        write_cases(folder, cases)


def token_classification(root):
    labels = ["O", "B-PER", "I-PER", "B-LOC", "I-LOC"]
    odd = ["O", "PER", "E-LOC", "B-x-y", "I-x-y"]
    for name, seed, names, form in (("tokens", 61, labels, "json"), ("tokens-odd", 87, odd, "vocab")):
        model_class = transformers.BertForTokenClassification
        folder = make_model(
            root, name, model_class, seed, 24, form,
            id2label=dict(enumerate(names)), label2id={label: index for index, label in enumerate(names)},
        )
        model, tokenizer = open_model(model_class, folder)
        pipe = pipeline("token-classification", model=model, tokenizer=tokenizer)
        cases = []

        def ask(text, **parameters):
            request = {"inputs": text, "parameters": dict(parameters)}
            strategy = parameters.pop("aggregation_strategy", "simple")
            cases.append((request, pipe(text, aggregation_strategy=strategy, **parameters)))

        ask(ENGLISH)
        words = ["parisville livesing johns", "e\u0301lan ﬁlm cafe\u0301s. Ж.", "Smith-Jones (zzz) 1.2, o'good?"]
        for text in (TEXTS if name == "tokens" else TEXTS[:2]) + words:
            for strategy in ("none", "simple", "first", "average", "max"):
                ask(text, aggregation_strategy=strategy)
        for strategy in ("simple", "first", "average", "max"):
            for stride in (1, 4, 9) if name == "tokens" else (4,):
                ask(LONG, aggregation_strategy=strategy, stride=stride)
            ask(ENGLISH, aggregation_strategy=strategy, stride=4)
            ask(LONG, aggregation_strategy=strategy, stride=4, ignore_labels=["PER", "O"])
        ask(ENGLISH, aggregation_strategy="none", ignore_labels=[])
        ask(ENGLISH, aggregation_strategy="none", ignore_labels=["O", "B-PER"])
        ask(ENGLISH, aggregation_strategy="simple", ignore_labels=[])
        ask(ENGLISH, aggregation_strategy="simple", ignore_labels=["LOC"])
        ask([ENGLISH, "", UNICODE], aggregation_strategy="first")
        write_cases(folder, cases)


# ---- Masks ----


def fill_mask(root):
    model_class = transformers.BertForMaskedLM
    folder = make_model(root, "mask", model_class, 41, 24, "json", spread=0.5)
    model, tokenizer = open_model(model_class, folder)
    pipe = pipeline("fill-mask", model=model, tokenizer=tokenizer)
    cases = []

    def ask(text, **parameters):
        answer = [pipe(one, tokenizer_kwargs={"truncation": True}, **parameters) for one in ([text] if isinstance(text, str) else text)]
        cases.append(({"inputs": text, "parameters": parameters}, answer[0] if isinstance(text, str) else answer))

    for text in (
        "Paris is the [MASK] of France.", "[MASK]", "[MASK] lives [MASK] paris, [MASK]!", "Jöhn [MASK] 中国 Ж.",
        "[MASK] " + LONG, "the [MASK]ing",
    ):
        ask(text)
        ask(text, top_k=1)
    ask("[MASK]", top_k=len(VOCAB))
    ask("[MASK] a [MASK]", top_k=40)
    ask("Paris is the [MASK] of France.", targets=["good", "bad", "film"])
    ask("Paris is the [MASK] of France.", targets="good")
    ask("Paris is the [MASK] of France.", targets=["good", "parisville", "Ж", "good", "zzz"], top_k=3)
    ask("Paris [MASK] [MASK].", targets=["good", "the", "is", "a", "b", "c", "d"])
    ask(["[MASK] is good", "a [MASK] [MASK]"], top_k=2)
    ask(["[MASK] is good"], top_k=2)
    write_cases(folder, cases)


# ---- Question answering ----


def softmax(x):
    x = np.exp(x - x.max())
    return x / x.sum()


def window_spans(encoding, start, end, top_k, max_answer_len, cls_id):
    """The best spans of one window, by falling probability, and the probability of no answer."""
    context = np.array([sequence == 1 for sequence in encoding.sequence_ids])
    allowed = context | (np.array(encoding.ids) == cls_id)
    start = softmax(np.where(allowed, start, np.float32(-10000.0)))
    end = softmax(np.where(allowed, end, np.float32(-10000.0)))
    none = float(start[0] * end[0])
    start[0] = end[0] = 0
    products = np.triu(np.outer(start, end))
    products = np.tril(products, max_answer_len - 1)
    order = np.argsort(-products.flatten(), kind="stable")[:top_k]
    spans = [np.unravel_index(index, products.shape) for index in order]
    return [(s, e, float(products[s, e])) for s, e in spans if context[s] and context[e] and products[s, e] > 0], none


def span_characters(encoding, s, e, align):
    if align:
        start = encoding.word_to_chars(encoding.token_to_word(s), sequence_index=1)[0]
        return start, encoding.word_to_chars(encoding.token_to_word(e), sequence_index=1)[1]
    return encoding.offsets[s][0], encoding.offsets[e][1]


def answer_question(
    model, tokenizer, question, context, top_k=1, max_answer_len=15, max_seq_len=None, doc_stride=None,
    handle_impossible_answer=False, align_to_words=True,
):
    max_seq_len = max_seq_len or min(tokenizer.model_max_length, 384)
    doc_stride = min(max_seq_len // 2, 128) if doc_stride is None else doc_stride
    encoded = tokenizer(
        question, context, truncation="only_second", max_length=max_seq_len, stride=doc_stride,
        return_overflowing_tokens=True,
    )
    answers, least_none = [], 1e6
    for encoding in encoded.encodings:
        with torch.no_grad():
            output = model(
                input_ids=torch.tensor([encoding.ids]), token_type_ids=torch.tensor([encoding.type_ids]),
                attention_mask=torch.tensor([encoding.attention_mask]),
            )
        spans, none = window_spans(
            encoding, output.start_logits[0].numpy(), output.end_logits[0].numpy(), top_k, max_answer_len,
            tokenizer.cls_token_id,
        )
        least_none = min(least_none, none)
        for s, e, score in spans:
            start, end = span_characters(encoding, s, e, align_to_words)
            twins = [answer for answer in answers if answer["answer"].lower() == context[start:end].lower()]
            # Spans that read the same are one of several answers; a single answer is the best span.
            if twins and top_k > 1:
                twins[0]["score"] += score
            else:
                answers.append(dict(answer=context[start:end], score=score, start=start, end=end))
    if handle_impossible_answer:
        answers.append(dict(answer="", score=least_none, start=0, end=0))
    answers.sort(key=lambda answer: answer["score"], reverse=True)
    return answers[0] if top_k == 1 else answers[:top_k]


def question_answering(root):
    model_class = transformers.BertForQuestionAnswering
    folder = make_model(root, "answer", model_class, 52, 32, "json", spread=0.4)
    model, tokenizer = open_model(model_class, folder)
    cases = []

    def ask(question, context, **parameters):
        answer = answer_question(model, tokenizer, question, context, **parameters)
        cases.append(({"question": question, "context": context, "parameters": parameters}, answer))

    where = "Where is John?"
    contexts = [ENGLISH, UNICODE, LONG, "parisville livesing johns zzz", "Ж", "good", "good Good GOOD bad Bad"]
    for context in contexts:
        ask(where, context)
        ask("?", context, top_k=3)
        ask(where, context, top_k=2, align_to_words=False)
        ask(where, context, handle_impossible_answer=True)
        ask(where, context, max_answer_len=1)
    for stride in (0, 3, 11):
        ask(where, LONG, doc_stride=stride)
        ask(where, LONG, doc_stride=stride, top_k=5, max_answer_len=4)
        ask(where, LONG, doc_stride=stride, max_seq_len=28, handle_impossible_answer=True, top_k=4)
    ask("Ж é?", UNICODE, top_k=4)
    nested = {"question": where, "context": ENGLISH}
    cases.append(({"inputs": nested}, answer_question(model, tokenizer, **nested)))
    cases.append(([nested, {"inputs": nested, "top_k": 2}],
                  [answer_question(model, tokenizer, **nested), answer_question(model, tokenizer, top_k=2, **nested)]))
    write_cases(folder, cases)


# ---- Zero-shot ----


def zero_shot(root):
    for name, seed, labels in (
        ("zero-shot", 61, ["contradiction", "neutral", "entailment"]), ("zero-shot-first", 62, ["ENTAILMENT", "neutral", "contradiction"]),
    ):
        model_class = transformers.BertForSequenceClassification
        folder = make_model(
            root, name, model_class, seed, 28, "vocab",
            id2label=dict(enumerate(labels)), label2id={label: index for index, label in enumerate(labels)},
        )
        model, tokenizer = open_model(model_class, folder)
        pipe = pipeline("zero-shot-classification", model=model, tokenizer=tokenizer)
        cases = []

        def ask(text, candidates, **parameters):
            texts = [text] if isinstance(text, str) else text
            answers = []
            for one in texts:
                answer = pipe(one, candidates, **parameters)
                answers.append([{"label": label, "score": score} for label, score in zip(answer["labels"], answer["scores"])])
            request = {"inputs": text, "parameters": {"candidate_labels": candidates, **parameters}}
            cases.append((request, answers[0] if isinstance(text, str) else answers))

        for text in (ENGLISH, UNICODE, LONG, "Ж"):
            ask(text, ["good", "bad", "film"])
            ask(text, ["good", "bad", "film"], multi_label=True)
            ask(text, ["good"])
        ask(ENGLISH, "good, bad ,,film")
        ask(ENGLISH, [" good", "bad ", "Ж中"])
        ask(ENGLISH, ["good", "bad"], hypothesis_template="{}")
        ask(ENGLISH, ["good", "bad"], hypothesis_template="the film is {}, john!", multi_label=True)
        ask([ENGLISH, LONG], ["good", "bad"])
        write_cases(folder, cases)


# ---- Embeddings ----


def write_json(path, value):
    os.makedirs(os.path.dirname(path), exist_ok=True)
    with open(path, "w") as file:
        json.dump(value, file)
        file.write("\n")


def embeddings(root):
    from sentence_transformers import SentenceTransformer

    kinds = [
        ("sentences-mean", 71, "pooling_mode_mean_tokens", True, "json"),
        ("sentences-cls", 72, "pooling_mode_cls_token", False, "vocab"),
        ("sentences-max", 73, "pooling_mode_max_tokens", False, "json"),
        ("features", 74, None, False, "vocab"),
    ]
    for name, seed, mode, normalize, form in kinds:
        folder = make_model(root, name, transformers.BertModel, seed, 24, form)
        if mode:
            prefix = "sentence_transformers.models."
            modules = [("0", "", "Transformer"), ("1", "1_Pooling", "Pooling")] + [("2", "2_Normalize", "Normalize")] * normalize
            write_json(os.path.join(folder, "modules.json"), [
                {"idx": index, "name": str(index), "path": path, "type": prefix + kind}
                for index, (_, path, kind) in enumerate(modules)
            ])
            names = ["cls_token", "mean_tokens", "max_tokens", "mean_sqrt_len_tokens"]
            pooling = {"word_embedding_dimension": 16}
            pooling.update({"pooling_mode_" + one: "pooling_mode_" + one == mode for one in names})
            write_json(os.path.join(folder, "1_Pooling", "config.json"), pooling)
            write_json(os.path.join(folder, "sentence_bert_config.json"), {"max_seq_length": 20, "do_lower_case": False})
        model = SentenceTransformer(folder, device="cpu", model_kwargs={"dtype": torch.float32, "attn_implementation": "eager"})
        model.tokenizer.backend_tokenizer.no_truncation()
        limit = 20 if mode else 24
        assert model.max_seq_length == limit, model.max_seq_length

        def ask(texts, side="right", **options):
            model.tokenizer.truncation_side = side
            return [model.encode(text, **options).tolist() for text in texts]

        cases = [({"inputs": text}, ask([text])[0]) for text in TEXTS]
        cases += [
            ({"inputs": TEXTS[:5]}, ask(TEXTS[:5])),
            ({"inputs": [ENGLISH]}, ask([ENGLISH])),
            ([{"inputs": ENGLISH}, {"inputs": [LONG]}, "good"], [ask([ENGLISH])[0], ask([LONG]), ask(["good"])[0]]),
            ({"inputs": ENGLISH, "normalize": True}, ask([ENGLISH], normalize_embeddings=True)[0]),
            ({"inputs": LONG, "parameters": {"truncation_direction": "left"}}, ask([LONG], side="left")[0]),
        ]
        sentences = [ENGLISH, "good", "bad", LONG, UNICODE]
        vectors = np.array(ask(sentences + ["john is good"]))
        vectors = vectors / np.linalg.norm(vectors, axis=1, keepdims=True)
        similarities = (vectors[:-1] @ vectors[-1]).tolist()
        inputs = {"source_sentence": "john is good", "sentences": sentences}
        cases += [({"inputs": inputs}, similarities), (inputs, similarities)]
        write_cases(folder, cases)


# ---- Multilingual models with nothing but a SentencePiece model; needs the sentencepiece package ----


def make_multilingual(root, name, kind, model_class, seed, **settings):
    folder = os.path.join(root, name)
    shutil.rmtree(folder, ignore_errors=True)
    model_type, config_class = {"xlm-roberta": ("XLMRoberta", transformers.XLMRobertaConfig),
                                "camembert": ("Camembert", transformers.CamembertConfig)}[kind]
    source = os.path.join(root, "..", "sentencepiece", kind, "sentencepiece.bpe.model")
    os.makedirs(folder)
    shutil.copy(source, folder)
    config = config_class(
        hidden_size=16, num_attention_heads=2, num_hidden_layers=1, intermediate_size=20, vocab_size=256,
        max_position_embeddings=42, pad_token_id=1, type_vocab_size=1, **settings,
    )
    config.save_pretrained(folder)
    tokenizer = AutoTokenizer.from_pretrained(folder)
    assert type(tokenizer).__name__ == model_type + "Tokenizer", type(tokenizer)
    config.vocab_size = len(tokenizer)
    model = model_class(config)
    randomise(model, seed, 0.7)
    model.half().save_pretrained(folder)
    with open(os.path.join(folder, "tokenizer_config.json"), "w") as file:
        json.dump({"tokenizer_class": model_type + "Tokenizer", "model_max_length": 24}, file)
        file.write("\n")
    generation = os.path.join(folder, "generation_config.json")
    if os.path.exists(generation):
        os.remove(generation)
    return folder


def open_multilingual(model_class, folder):
    model = model_class.from_pretrained(folder, dtype=torch.float32, attn_implementation="eager").eval()
    return model, AutoTokenizer.from_pretrained(folder)


def multilingual(root):
    texts = ["Où est la bibliothèque?", "The quick brown fox. 12,345", "Ж 東京 ½", "", "the dog  <mask> </s> x"] + TEXTS[:5]
    model_class = transformers.XLMRobertaForSequenceClassification
    folder = make_multilingual(root, "classify-xlm-roberta", "xlm-roberta", model_class, 81, num_labels=3)
    model, tokenizer = open_multilingual(model_class, folder)
    pipe = pipeline("text-classification", model=model, tokenizer=tokenizer)
    pair = {"text": texts[0], "text_pair": texts[1]}
    write_cases(folder, [({"inputs": text}, [pipe(text, truncation=True, top_k=None)]) for text in texts + [pair]])

    model_class = transformers.CamembertForMaskedLM
    folder = make_multilingual(root, "mask-camembert", "camembert", model_class, 82)
    model, tokenizer = open_multilingual(model_class, folder)
    pipe = pipeline("fill-mask", model=model, tokenizer=tokenizer)
    masked = ["Où est la <mask>?", "<mask>", "the <mask> of  <mask> is", "<mask> étudie.", "Ж <mask>東京", "a<mask>b"]
    cases = [({"inputs": text, "parameters": {"top_k": k}}, pipe(text, top_k=k)) for text in masked for k in (5, 1)]
    write_cases(folder, cases)

    sentence_model(root, "sentences-xlm-roberta", 83, texts)
    prompts = {"query": "query: ", "passage": "The passage, ", "none": ""}
    cased = ["ÉTUDIER İ", "THE QUICK Brown Fox", *texts[:4]]
    sentence_model(root, "sentences-prompts", 84, cased, True, prompts, "passage")
    sentence_model(root, "sentences-prompt-skipped", 85, texts, prompts=prompts, include_prompt=False)


def sentence_model(root, name, seed, texts, lower=False, prompts=None, default=None, include_prompt=True):
    """An XLM-RoBERTa with pooling and normalisation; `prompts` and what goes with them."""
    from sentence_transformers import SentenceTransformer

    folder = make_multilingual(root, name, "xlm-roberta", transformers.XLMRobertaModel, seed)
    prefix = "sentence_transformers.models."
    write_json(os.path.join(folder, "modules.json"), [
        {"idx": index, "name": str(index), "path": path, "type": prefix + kind}
        for index, (path, kind) in enumerate([("", "Transformer"), ("1_Pooling", "Pooling"), ("2_Normalize", "Normalize")])
    ])
    write_json(os.path.join(folder, "1_Pooling", "config.json"), {
        "word_embedding_dimension": 16, "pooling_mode_cls_token": False, "pooling_mode_mean_tokens": True,
        **({} if include_prompt else {"include_prompt": False}),
    })
    write_json(os.path.join(folder, "sentence_bert_config.json"), {"max_seq_length": 20, "do_lower_case": lower})
    if prompts is not None:
        write_json(os.path.join(folder, "config_sentence_transformers.json"), {"prompts": prompts, "default_prompt_name": default})
    model = SentenceTransformer(folder, device="cpu", model_kwargs={"dtype": torch.float32, "attn_implementation": "eager"})
    assert model.max_seq_length == 20, model.max_seq_length

    def ask(texts, **options):
        return [model.encode(text, **options).tolist() for text in texts]

    cases = [({"inputs": text}, ask([text])[0]) for text in texts]
    cases.append(({"inputs": texts[:3]}, ask(texts[:3])))
    for prompt in [*(prompts or {}), "query", "document"]:
        for text in texts[:4]:
            cases.append(({"inputs": text, "parameters": {"prompt_name": prompt}}, ask([text], prompt_name=prompt)[0]))
        cases.append(({"inputs": texts[:3], "prompt_name": prompt}, ask(texts[:3], prompt_name=prompt)))
    vectors = np.array(ask(texts[:4]))
    inputs = {"source_sentence": texts[3] or texts[0], "sentences": texts[:3]}
    source = np.array(ask([inputs["source_sentence"]])[0])
    cases.append(({"inputs": inputs}, (vectors[:3] @ source).tolist()))
    write_cases(folder, cases)


def main():
    root = sys.argv[1] if len(sys.argv) > 1 else ROOT
    os.makedirs(root, exist_ok=True)
    torch.set_num_threads(1)
    transformers.logging.set_verbosity_error()
    warnings.filterwarnings("ignore")
    makers = (text_classification, token_classification, fill_mask, question_answering, zero_shot, embeddings, multilingual)
    for make in makers:
        if len(sys.argv) < 3 or make.__name__ in sys.argv[2:]:
            make(root)
    files = [os.path.join(folder, file) for folder, _, names in os.walk(root) for file in names]
    print(f"{len(files)} files, {sum(map(os.path.getsize, files))} bytes")


if __name__ == "__main__":
    main()
