"""Checks model files with the onnx package: onnx_check.py MODEL.onnx...

Runs onnx.checker with full shape inference on each file and, when onnxruntime is installed, loads it.
Not part of the test command: the package is not a dependency. Exit status 1 when a file is refused.
"""

import sys

import onnx

try:
    import onnxruntime
except ImportError:
    onnxruntime = None


def check(path):
    onnx.checker.check_model(path, full_check=True)
    if onnxruntime:
        options = onnxruntime.SessionOptions()
        options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL
        onnxruntime.InferenceSession(path, options, providers=["CPUExecutionProvider"])
    model = onnx.load(path, load_external_data=False)
    opset = next(entry.version for entry in model.opset_import if not entry.domain)
    return f"IR {model.ir_version}, opset {opset}, {len(model.graph.node)} nodes"


def main(paths):
    failed = 0
    for path in paths:
        try:
            print(f"{path}: {check(path)}")
        except Exception as error:  # each of the two libraries has its own kinds
            failed += 1
            print(f"{path}: REFUSED: {error}")
    return 1 if failed or not paths else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
