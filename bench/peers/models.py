"""Random-weight checkpoints of true configurations, for timing, each with the torch.onnx export that peers run.

usage: models.py OUT NAME...
OUT/NAME/hub holds config.json and model.safetensors for gpux; OUT/NAME/peers holds model.onnx for the others.
"""
import os
import shutil
import sys
import warnings

import torch
import transformers as hf

warnings.filterwarnings("ignore")


def bert(layers, hidden, heads):
    config = hf.BertConfig(num_hidden_layers=layers, hidden_size=hidden, num_attention_heads=heads,
                           intermediate_size=4 * hidden, num_labels=2)
    return hf.BertForSequenceClassification(config)


MODELS = {
    "bert-tiny": lambda: bert(2, 128, 2),
    "minilm-l6": lambda: bert(6, 384, 12),
    "bert-small": lambda: bert(4, 512, 8),
    "distilbert": lambda: hf.DistilBertForSequenceClassification(hf.DistilBertConfig(num_labels=2)),
    "bert-base": lambda: bert(12, 768, 12),
    "mpnet-base": lambda: hf.MPNetForSequenceClassification(hf.MPNetConfig(num_labels=2)),
    "bert-large": lambda: bert(24, 1024, 16),
}


class FirstOutput(torch.nn.Module):
    def __init__(self, model):
        super().__init__()
        self.model = model

    def forward(self, input_ids, attention_mask):
        return self.model(input_ids=input_ids, attention_mask=attention_mask)[0]


def make(name, out):
    hub, peers = f"{out}/{name}/hub", f"{out}/{name}/peers"
    if os.path.exists(f"{peers}/model.onnx"):
        return
    torch.manual_seed(0)
    model = MODELS[name]().eval()
    os.makedirs(peers, exist_ok=True)
    model.save_pretrained(hub)
    ids = torch.randint(1000, 20000, (2, 16))
    axes = {0: "batch", 1: "sequence"}
    torch.onnx.export(FirstOutput(model), (ids, torch.ones_like(ids)), f"{peers}/model.onnx",
                      input_names=["input_ids", "attention_mask"], output_names=["logits"],
                      dynamic_axes={"input_ids": axes, "attention_mask": axes}, opset_version=17, dynamo=False)
    shutil.copy(f"{hub}/config.json", peers)


if __name__ == "__main__":
    for name in sys.argv[2:] or MODELS:
        make(name, sys.argv[1])
