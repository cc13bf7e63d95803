"""Runs converted models with onnxruntime, and with OpenVINO where it is installed, and compares them with
test/golden/models.

Usage: GPUX_CONVERTED=FOLDER models_test; python test/reference/onnx_parity.py FOLDER [GOLDEN_FOLDER]

FOLDER has one folder a model with model.onnx and its weights. Each model must pass the full check of
onnx.checker and agree with transformers to 1e-4 at every position whose mask is 1.
"""

import json
import os
import sys

import numpy
import onnx
import onnxruntime

try:
    import openvino
except ImportError:
    openvino = None

GOLDEN = os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "golden", "models")
LIMIT = 1e-4
INPUTS = ("input_ids", "attention_mask", "token_type_ids")


def run(folder, expected):
    path = os.path.join(folder, "model.onnx")
    onnx.checker.check_model(path, full_check=True)
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 3
    options.intra_op_num_threads = 1
    session = onnxruntime.InferenceSession(path, options, providers=["CPUExecutionProvider"])
    feed = {name: numpy.array(expected[name], numpy.int64) for name in INPUTS if name in expected}
    assert [port.name for port in session.get_inputs()] == list(feed), "inputs differ"
    names = [port.name for port in session.get_outputs()]
    assert names == list(expected["outputs"]), "outputs differ"
    return dict(zip(names, session.run(None, feed)))


def run_openvino(folder, expected):
    """The same by OpenVINO in f32."""
    model = openvino.Core().compile_model(os.path.join(folder, "model.onnx"), "CPU",
                                          {"INFERENCE_PRECISION_HINT": "f32", "INFERENCE_NUM_THREADS": 1})
    feed = {name: numpy.array(expected[name], numpy.int64) for name in INPUTS if name in expected}
    result = model(feed)
    return {port.get_any_name(): result[port] for port in model.outputs}


def difference(found, expected, mask):
    """Largest difference where the mask is 1, and anywhere."""
    expected = numpy.array(expected, numpy.float32)
    assert found.shape == expected.shape, f"shape {found.shape}, expected {expected.shape}"
    assert found.dtype == numpy.float32
    gap = numpy.abs(found - expected)
    is_per_token = found.ndim >= 2 and found.shape[:2] == mask.shape
    seen = gap[mask == 1] if is_per_token else gap
    return float(seen.max()), float(gap.max())


def main():
    converted = sys.argv[1]
    golden = sys.argv[2] if len(sys.argv) > 2 else GOLDEN
    failed = 0
    models = sorted(os.listdir(golden))
    for name in models:
        with open(os.path.join(golden, name, "expected.json")) as file:
            expected = json.load(file)
        mask = numpy.array(expected["attention_mask"])
        try:
            outputs = run(os.path.join(converted, name), expected)
            gaps = [difference(outputs[key], expected["outputs"][key], mask) for key in outputs]
            if openvino:
                outputs = run_openvino(os.path.join(converted, name), expected)
                gaps += [difference(outputs[key], expected["outputs"][key], mask) for key in expected["outputs"]]
            worst, anywhere = max(gap[0] for gap in gaps), max(gap[1] for gap in gaps)
            verdict = "ok" if worst <= LIMIT else "FAILED"
            print(f"{name:24} {worst:.1e} (padding too: {anywhere:.1e}) {verdict}")
            failed += worst > LIMIT
        except Exception as error:  # each model is reported, whatever is wrong with one
            print(f"{name:24} FAILED: {error}")
            failed += 1
    print(f"{len(models) - failed} of {len(models)} agree")
    sys.exit(1 if failed else 0)


if __name__ == "__main__":
    main()
