"""What a table was measured on: processor, versions, and what its cores can do at most (peak.c)."""
import importlib.metadata
import json
import os
import platform
import subprocess
import sys

HERE = os.path.dirname(os.path.abspath(__file__))
PACKAGES = ("onnxruntime", "openvino", "nncf", "torch", "transformers", "sentence-transformers", "ctranslate2")


def describe(args):
    versions = {name: importlib.metadata.version(name) for name in PACKAGES}
    with open("/proc/cpuinfo") as file:
        cpu = next(line.split(":")[1].strip() for line in file if line.startswith("model name"))
    commit = subprocess.run(["git", "-C", HERE, "rev-parse", "--short", "HEAD"], capture_output=True, text=True)
    return {"cpu": cpu, "cores": os.cpu_count(), "threads": args.threads, "system": platform.platform(),
            "gpux": commit.stdout.strip() or "unknown", "versions": versions}


def measure_peak(threads, scratch):
    program = f"{scratch}/peak"
    subprocess.run([os.environ.get("CC", "cc"), "-O2", "-pthread", f"{HERE}/peak.c", "-o", program], check=True)
    return json.loads(subprocess.run([program, str(threads)], check=True, capture_output=True).stdout)


def begin(args, shapes, scratch):
    """Begins or continues machine.json, and returns it: a table comes from one machine, one gpux, one set of peers."""
    path, about, begun = f"{args.out}/machine.json", describe(args), {}
    if os.path.exists(path):
        with open(path) as file:
            begun = json.load(file)
        if {key: begun[key] for key in about} != about:
            sys.exit(f"{path} was begun with another machine, version or number of threads: give another --out")
    about["models"] = {**begun.get("models", {}), **shapes}
    about["peak"] = begun.get("peak", {})
    update_peak(about, args.out, scratch)
    return about


def update_peak(about, folder, scratch):
    """Measures the peak once more, keeps the greatest that was seen, and writes machine.json."""
    for name, speed in measure_peak(about["threads"], scratch).items():
        about["peak"][name] = max(speed, about["peak"].get(name, 0))
    with open(f"{folder}/machine.json", "w") as file:
        json.dump(about, file, indent=1)
