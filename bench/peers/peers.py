"""The peers: each builds a callable that runs one batch. A worker process holds one of them and times it on demand.

usage: peers.py PEER MODEL_DIR INPUTS.npz THREADS      (a worker; bench.py starts it)
The worker answers "ready", then for each line N on stdin a line of N times in seconds; "output" saves its answer.
"""
import json
import os
import sys
import time

import numpy as np


def onnxruntime_session(path, feed, threads):
    import onnxruntime as ort
    options = ort.SessionOptions()
    options.intra_op_num_threads = threads
    session = ort.InferenceSession(path, options, providers=["CPUExecutionProvider"])
    names = {i.name for i in session.get_inputs()}
    feed = {k: v for k, v in feed.items() if k in names}
    return lambda: session.run(None, feed)[0]


def ort(folder, feed, threads):
    return onnxruntime_session(f"{folder}/peers/model.onnx", feed, threads)


def ort_fused(folder, feed, threads):
    path = f"{folder}/peers/fused.onnx"
    if not os.path.exists(path):
        from onnxruntime.transformers import optimizer
        config = json.load(open(f"{folder}/peers/config.json"))
        optimizer.optimize_model(f"{folder}/peers/model.onnx", model_type="bert",
                                 num_heads=config.get("num_attention_heads") or config["n_heads"],
                                 hidden_size=config.get("hidden_size") or config["dim"]).save_model_to_file(path)
    return onnxruntime_session(path, feed, threads)


def ort_int8(folder, feed, threads):
    path = f"{folder}/peers/int8.onnx"
    if not os.path.exists(path):
        from onnxruntime.quantization import QuantType, quantize_dynamic
        quantize_dynamic(f"{folder}/peers/model.onnx", path, weight_type=QuantType.QInt8)
    return onnxruntime_session(path, feed, threads)


def openvino_request(path, feed, threads, precision):
    import openvino as ov
    model = ov.Core().compile_model(path, "CPU", {"INFERENCE_PRECISION_HINT": precision, "PERFORMANCE_HINT": "LATENCY",
                                                  "INFERENCE_NUM_THREADS": threads})
    request = model.create_infer_request()
    return lambda: next(iter(request.infer(feed).values()))


def openvino_f32(folder, feed, threads):
    return openvino_request(f"{folder}/peers/model.onnx", feed, threads, "f32")


def openvino_bf16(folder, feed, threads):
    return openvino_request(f"{folder}/peers/model.onnx", feed, threads, "bf16")


def openvino_int8(folder, feed, threads):
    path = f"{folder}/peers/int8.xml"
    if not os.path.exists(path):
        import nncf
        import openvino as ov
        rng = np.random.default_rng(1)
        data = [{"input_ids": rng.integers(1000, 20000, (1, 128)), "attention_mask": np.ones((1, 128), np.int64)}
                for _ in range(20)]
        ov.save_model(nncf.quantize(ov.Core().read_model(f"{folder}/peers/model.onnx"), nncf.Dataset(data),
                                    model_type=nncf.ModelType.TRANSFORMER, preset=nncf.QuantizationPreset.MIXED,
                                    subset_size=20), path)
    return openvino_request(path, feed, threads, "bf16")


def torch_model(folder, feed, threads, dtype=None):
    import torch
    from transformers import AutoModelForSequenceClassification
    torch.set_num_threads(threads)
    model = AutoModelForSequenceClassification.from_pretrained(f"{folder}/hub").eval()
    if dtype:
        model = model.to(getattr(torch, dtype))
    feed = {k: torch.from_numpy(v) for k, v in feed.items()}

    def run():
        with torch.inference_mode():
            return model(**feed).logits.float().numpy()
    return run


def torch_f32(folder, feed, threads):
    return torch_model(folder, feed, threads)


def torch_bf16(folder, feed, threads):
    return torch_model(folder, feed, threads, "bfloat16")


PEERS = {"ort": ort, "ort-fused": ort_fused, "ort-int8": ort_int8, "openvino-f32": openvino_f32,
         "openvino-bf16": openvino_bf16, "openvino-int8": openvino_int8, "torch-f32": torch_f32,
         "torch-bf16": torch_bf16}


def work(peer, folder, inputs, threads):
    feed = dict(np.load(inputs))
    run = PEERS[peer](folder, feed, threads)
    for _ in range(2):
        run()
    print("ready", flush=True)
    for line in sys.stdin:
        if line.startswith("output "):
            np.save(line.split(" ", 1)[1].strip(), run())
            print("saved", flush=True)
            continue
        times = []
        for _ in range(int(line)):
            start = time.perf_counter()
            run()
            times.append(time.perf_counter() - start)
        print(" ".join(f"{t:.7f}" for t in times), flush=True)


if __name__ == "__main__":
    work(sys.argv[1], sys.argv[2], sys.argv[3], int(sys.argv[4]))
