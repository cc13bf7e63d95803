"""Makes test/golden/models: tiny random checkpoints of every architecture and head, each with the
outputs that transformers computes for it.

Usage: python test/reference/make_golden.py [OUTPUT_FOLDER]

Every parameter is random, biases, norms and padding rows included, so that a swapped or forgotten
weight shows. Sizes are odd and small: the whole set stays below 600 KB.
"""

import json
import os
import shutil
import sys

import torch
import transformers
from safetensors.torch import load_file, save_file

ROOT = os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "golden", "models")

# family -> config class, class prefix, config of the encoder, config of the other heads
BERT = dict(
    hidden_size=25, num_attention_heads=5, num_hidden_layers=2, intermediate_size=37, vocab_size=61,
    max_position_embeddings=17, type_vocab_size=2,
)
BERT_SMALL = dict(
    hidden_size=24, num_attention_heads=3, num_hidden_layers=1, intermediate_size=19, vocab_size=53,
    max_position_embeddings=11, type_vocab_size=2,
)
DISTILBERT = dict(
    dim=24, n_heads=4, n_layers=2, hidden_dim=31, vocab_size=59, max_position_embeddings=13,
)
DISTILBERT_SMALL = dict(
    dim=24, n_heads=3, n_layers=1, hidden_dim=21, vocab_size=53, max_position_embeddings=11,
)
ROBERTA = dict(
    hidden_size=24, num_attention_heads=4, num_hidden_layers=2, intermediate_size=29, vocab_size=60,
    max_position_embeddings=19, type_vocab_size=1, pad_token_id=1, layer_norm_eps=1e-5,
)
ROBERTA_SMALL = dict(
    hidden_size=24, num_attention_heads=3, num_hidden_layers=1, intermediate_size=19, vocab_size=53,
    max_position_embeddings=13, type_vocab_size=1, pad_token_id=1, layer_norm_eps=1e-5,
)
MPNET = dict(
    hidden_size=24, num_attention_heads=4, num_hidden_layers=2, intermediate_size=27, vocab_size=58,
    max_position_embeddings=80, layer_norm_eps=1e-5,
)
MPNET_SMALL = dict(
    hidden_size=24, num_attention_heads=3, num_hidden_layers=1, intermediate_size=19, vocab_size=53,
    max_position_embeddings=13, layer_norm_eps=1e-5,
)
FAMILIES = {
    "bert": (transformers.BertConfig, "Bert", BERT, BERT_SMALL),
    "distilbert": (transformers.DistilBertConfig, "DistilBert", DISTILBERT, DISTILBERT_SMALL),
    "roberta": (transformers.RobertaConfig, "Roberta", ROBERTA, ROBERTA_SMALL),
    "xlm-roberta": (transformers.XLMRobertaConfig, "XLMRoberta", ROBERTA, ROBERTA_SMALL),
    "camembert": (transformers.CamembertConfig, "Camembert", ROBERTA, ROBERTA_SMALL),
    "mpnet": (transformers.MPNetConfig, "MPNet", MPNET, MPNET_SMALL),
}
HEADS = {
    "encoder": "Model",
    "classify": "ForSequenceClassification",
    "tokens": "ForTokenClassification",
    "answer": "ForQuestionAnswering",
    "mask": "ForMaskedLM",
}
THREE_LABELS = dict(id2label={0: "red", 1: "green", 2: "blue"}, label2id={"red": 0, "green": 1, "blue": 2})

# name, family, head, extra config, how the files are changed afterwards
MODELS = [
    ("bert-encoder", "bert", "encoder", {}, ()),
    ("bert-classify", "bert", "classify",
     dict(THREE_LABELS, problem_type="multi_label_classification"), ()),
    ("bert-tokens", "bert", "tokens", dict(THREE_LABELS, hidden_act="gelu_new"), ("bf16",)),
    ("bert-answer", "bert", "answer", dict(hidden_act="relu"), ("old-names", "no-model-type", "f16")),
    ("bert-mask", "bert", "mask", dict(type_vocab_size=3), ()),
    ("bert-untied", "bert", "mask", dict(tie_word_embeddings=False, hidden_act="silu"), ("f16",)),
    ("distilbert-encoder", "distilbert", "encoder", {}, ()),
    ("distilbert-classify", "distilbert", "classify", dict(num_labels=1, problem_type="regression"), ("f16",)),
    ("distilbert-tokens", "distilbert", "tokens", THREE_LABELS, ("f16",)),
    ("distilbert-answer", "distilbert", "answer", {}, ("f16",)),
    ("distilbert-mask", "distilbert", "mask", dict(activation="relu"), ("f16",)),
    ("roberta-encoder", "roberta", "encoder", {}, ("sharded",)),
    ("roberta-classify", "roberta", "classify", {}, ()),
    ("roberta-tokens", "roberta", "tokens", dict(THREE_LABELS, type_vocab_size=2), ("f16",)),
    ("roberta-answer", "roberta", "answer", dict(hidden_act="gelu_pytorch_tanh"), ("f16",)),
    ("roberta-mask", "roberta", "mask", dict(hidden_act="tanh"), ("f16",)),
    ("xlm-roberta-classify", "xlm-roberta", "classify", THREE_LABELS, ("f16",)),
    ("camembert-mask", "camembert", "mask", {}, ("f16",)),
    ("mpnet-encoder", "mpnet", "encoder", {}, ()),
    ("mpnet-classify", "mpnet", "classify", THREE_LABELS, ()),
    ("mpnet-tokens", "mpnet", "tokens", THREE_LABELS, ("bf16",)),
    ("mpnet-answer", "mpnet", "answer", {}, ("f16",)),
    ("mpnet-mask", "mpnet", "mask", {}, ("f16",)),
]


def randomise(model, generator):
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            noise = torch.randn(parameter.shape, generator=generator)
            is_norm = "norm" in name.lower() and name.endswith("weight")
            parameter.copy_(1 + 0.3 * noise if is_norm else 0.4 * noise)


def edit_files(folder, edits):
    """What a saved checkpoint of another age or origin looks like."""
    weights = os.path.join(folder, "model.safetensors")
    if "old-names" in edits:
        tensors = load_file(weights)
        renamed = {}
        for name, tensor in tensors.items():
            name = name.replace("LayerNorm.weight", "LayerNorm.gamma")
            renamed[name.replace("LayerNorm.bias", "LayerNorm.beta")] = tensor
        save_file(renamed, weights, metadata={"format": "pt"})
    if "no-model-type" in edits:
        path = os.path.join(folder, "config.json")
        with open(path) as file:
            config = json.load(file)
        del config["model_type"]
        with open(path, "w") as file:
            json.dump(config, file, indent=1)
            file.write("\n")


def make_inputs(family, head, config, generator):
    """Three rows: full, right-padded, and one with a hole in its mask."""
    length = 9 if head == "encoder" else 5
    if family == "mpnet" and head == "encoder":
        length = 71  # past the distance at which the buckets end
    pad = 0 if family in ("bert", "distilbert") else 1
    rows = 1 if length > 9 else 3 if length == 9 else 2
    ids = torch.randint(3, config.vocab_size, (rows, length), generator=generator)
    mask = torch.ones_like(ids)
    ids[-1, length - 2 :] = pad
    mask[-1, length - 2 :] = 0
    if rows == 3:
        mask[0, 4] = 0
        ids[1, 5] = ids[1, 2]
    inputs = {"input_ids": ids, "attention_mask": mask}
    types = getattr(config, "type_vocab_size", 1)
    if family != "distilbert" and types > 1:
        inputs["token_type_ids"] = torch.randint(0, types, ids.shape, generator=generator)
    return inputs


def rounded(tensor):
    if tensor.dtype == torch.float32:
        return json.loads(
            json.dumps(tensor.tolist()), parse_float=lambda text: float(f"{float(text):.7g}")
        )
    return tensor.tolist()


def make(root, index, name, family, head, extra, edits):
    generator = torch.Generator().manual_seed(1000 + index)
    config_class, prefix, large, small = FAMILIES[family]
    settings = dict(large if head == "encoder" else small)
    for key, value in extra.items():
        if family == "distilbert":
            key = {"num_hidden_layers": "n_layers", "hidden_act": "activation"}.get(key, key)
        settings[key] = value
    config = config_class(**settings)
    model_class = getattr(transformers, prefix + HEADS[head])
    model = model_class(config)
    randomise(model, generator)
    if "f16" in edits:
        model.half()
    if "bf16" in edits:
        model.bfloat16()

    folder = os.path.join(root, name)
    shutil.rmtree(folder, ignore_errors=True)
    model.save_pretrained(folder, max_shard_size="30KB" if "sharded" in edits else "1GB")
    generation = os.path.join(folder, "generation_config.json")
    if os.path.exists(generation):
        os.remove(generation)

    # Read back, so that a checkpoint that transformers itself reads otherwise is noticed; before the
    # edits, which newer versions of transformers may no longer understand.
    model = model_class.from_pretrained(folder, dtype=torch.float32, attn_implementation="eager").eval()
    edit_files(folder, edits)
    inputs = make_inputs(family, head, config, generator)
    with torch.no_grad():
        result = model(**inputs)
    names = {
        "encoder": ["last_hidden_state"],
        "answer": ["start_logits", "end_logits"],
    }.get(head, ["logits"])
    expected = {key: value.tolist() for key, value in inputs.items()}
    expected["outputs"] = {key: rounded(result[key].float()) for key in names}
    if family == "mpnet" and head == "encoder":
        reach = config.max_position_embeddings - 1
        distances = torch.arange(-reach, reach + 1)
        expected["relative_buckets"] = model.encoder.relative_position_bucket(distances).tolist()
    with open(os.path.join(folder, "expected.json"), "w") as file:
        json.dump(expected, file, separators=(",", ":"))
        file.write("\n")


def main():
    root = sys.argv[1] if len(sys.argv) > 1 else ROOT
    os.makedirs(root, exist_ok=True)
    torch.set_num_threads(1)
    transformers.logging.set_verbosity_error()
    for index, (name, family, head, extra, edits) in enumerate(MODELS):
        make(root, index, name, family, head, extra, edits)
    total = sum(
        os.path.getsize(os.path.join(folder, file))
        for folder, _, files in os.walk(root)
        for file in files
    )
    print(f"{len(MODELS)} models, {total} bytes")


if __name__ == "__main__":
    main()
