"""The programs that are compared, gpux among them, and the worker process that holds one of them.

usage: peers.py PEER PRECISION FOLDER THREADS GPUX_LIBRARY      (bench.py starts it)

A program is a class: made with a model's folder, it takes a feed (input_ids, attention_mask; untimed) and then runs on
it (timed). Its answer becomes one vector per row outside the timing: logits, or the mean of the hidden states.
The worker reads one JSON object a line: {"feed": inputs.npz, "output": FILE.npy} runs once and saves the vectors,
{"runs": N} answers {"times": [seconds, ...]}.
"""
import json
import os
import sys
import time

import numpy as np

import models


class OnnxRuntime:
    FORMS = {("ort", "fp32"): "model.onnx", ("ort-fused", "fp32"): "fused.onnx",
             ("ort", "int8"): "int8.onnx", ("ort-fused", "int8"): "fused-int8.onnx"}

    def __init__(self, folder, name, precision, threads):
        import onnxruntime as ort
        options = ort.SessionOptions()
        options.intra_op_num_threads = threads
        self.session = ort.InferenceSession(f"{folder}/{self.FORMS[name, precision]}", options,
                                            providers=["CPUExecutionProvider"])

    def take(self, feed):
        self.feed = feed

    def run(self):
        return self.session.run(None, self.feed)[0]


class OpenVino:
    """int8 leaves the operations that NNCF did not quantise in bf16, its fastest setting where the CPU has it."""

    def __init__(self, folder, name, precision, threads):
        import openvino as ov
        path = f"{folder}/openvino-int8.xml" if precision == "int8" else f"{folder}/openvino.xml"
        hint = "f32" if precision == "fp32" else "bf16"
        model = ov.Core().compile_model(path, "CPU", {"INFERENCE_PRECISION_HINT": hint, "PERFORMANCE_HINT": "LATENCY",
                                                      "INFERENCE_NUM_THREADS": threads})
        self.request = model.create_infer_request()

    def take(self, feed):
        self.feed = feed

    def run(self):
        return next(iter(self.request.infer(self.feed).values()))


class Torch:
    def __init__(self, folder, name, precision, threads):
        import torch
        torch.set_num_threads(threads)
        self.torch = torch
        self.model = models.load_torch(folder, "bfloat16" if precision == "bf16" else "float32")
        if name == "torch-compiled":
            self.model = torch.compile(self.model, dynamic=True)

    def take(self, feed):
        self.feed = {name: self.torch.from_numpy(array) for name, array in feed.items()}

    def run(self):
        with self.torch.inference_mode():
            return self.model(**self.feed)[0].float().numpy()


class SentenceTransformers:
    """Its own forward pass: pooling and normalising are inside, so the answer is a vector already."""

    def __init__(self, folder, name, precision, threads):
        import sentence_transformers
        import torch
        torch.set_num_threads(threads)
        self.torch = torch
        self.model = sentence_transformers.SentenceTransformer(f"{folder}/hub", device="cpu").eval()

    def take(self, feed):
        self.feed = {name: self.torch.from_numpy(array) for name, array in feed.items()}

    def run(self):
        with self.torch.inference_mode():
            return self.model(dict(self.feed))["sentence_embedding"].numpy()


class CTranslate2:
    """Its encoder has no classification heads: numpy applies ours to the first tokens, as a user would."""

    def __init__(self, folder, name, precision, threads):
        import ctranslate2
        from safetensors.numpy import load_file
        self.storage = ctranslate2.StorageView
        self.encoder = ctranslate2.Encoder(f"{folder}/ctranslate2", intra_threads=threads,
                                           compute_type="float32" if precision == "fp32" else "int8_float32")
        self.kind = models.read_config(folder)
        if not self.kind["is_encoder"]:
            self.heads = {name: tensor for name, tensor in load_file(f"{folder}/hub/model.safetensors").items()
                          if "classifier" in name}

    def take(self, feed):
        self.ids = self.storage.from_array(feed["input_ids"].astype(np.int32))
        self.lengths = self.storage.from_array(feed["attention_mask"].sum(axis=1).astype(np.int32))

    def linear(self, x, name):
        return x @ self.heads[f"{name}.weight"].T + self.heads[f"{name}.bias"]

    def run(self):
        out = self.encoder.forward_batch(self.ids, self.lengths)
        if self.kind["is_encoder"]:
            return np.array(out.last_hidden_state)
        if self.kind["type"] == "bert":
            return self.linear(np.array(out.pooler_output), "classifier")
        first = np.array(out.last_hidden_state)[:, 0]
        return self.linear(np.maximum(self.linear(first, "pre_classifier"), 0), "classifier")


class Gpux:
    def __init__(self, folder, name, precision, threads):
        import gpux
        self.model = gpux.Model(sys.argv[5], f"{folder}/hub", precision, threads)

    def take(self, feed):
        self.model.prepare(json.dumps({name: array.tolist() for name, array in feed.items()}))

    def run(self):
        self.model.step()
        return None

    def answer(self):
        return next(iter(self.model.finish().values()))


# Name, precisions, class, and the models that it has (None: all).
BERTS = ("bert-tiny", "minilm-l6", "bert-small", "distilbert", "bert-base", "bert-large")
PEERS = (("gpux", ("fp32", "bf16", "int8"), Gpux, None),
         ("ort", ("fp32", "int8"), OnnxRuntime, None),
         ("ort-fused", ("fp32", "int8"), OnnxRuntime, None),
         ("openvino", ("fp32", "bf16", "int8"), OpenVino, None),
         ("torch", ("fp32", "bf16"), Torch, None),
         ("torch-compiled", ("fp32", "bf16"), Torch, None),
         ("ctranslate2", ("fp32", "int8"), CTranslate2, BERTS),
         ("sentence-transformers", ("fp32",), SentenceTransformers, ("minilm-l6",)))
NAMES = tuple(peer[0] for peer in PEERS)
USUAL = ",".join(name for name in NAMES if name != "torch-compiled")  # compiling takes minutes per model


def vectors(answer, mask):
    """[rows, width]: an answer with hidden states becomes the mean over each row's tokens, of length 1."""
    if np.ndim(answer[0]) < 2:
        return np.asarray(answer, np.float32)
    means = np.stack([np.asarray(row, np.float32)[:tokens].mean(axis=0)
                      for row, tokens in zip(answer, mask.sum(axis=1))])
    return means / np.linalg.norm(means, axis=1, keepdims=True)


def work(name, precision, folder, threads):
    answers = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)  # what libraries print goes to the log
    program = {peer[0]: peer[2] for peer in PEERS}[name](folder, name, precision, threads)
    print(json.dumps({"ready": True}), file=answers, flush=True)
    for line in sys.stdin:
        order = json.loads(line)
        if "feed" in order:
            feed = dict(np.load(order["feed"]))
            program.take(feed)
        times = []
        for _ in range(order.get("runs", 1)):
            start = time.perf_counter()
            output = program.run()
            times.append(time.perf_counter() - start)
        if "output" in order:
            np.save(order["output"], vectors(program.answer() if output is None else output, feed["attention_mask"]))
        print(json.dumps({"times": times}), file=answers, flush=True)


if __name__ == "__main__":
    work(sys.argv[1], sys.argv[2], sys.argv[3], int(sys.argv[4]))
