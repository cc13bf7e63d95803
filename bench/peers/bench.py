"""gpux beside what a user would otherwise install: every peer and gpux in a process of its own, runs taken in turn.

usage: bench.py --gpux BUILD/gpux --models DIR [--rows MODEL:SEQ:BATCH,…] [--peers …] [--rounds 7] [--out FILE]
SEQ is a number of tokens, or LOW-HIGH for lengths spread evenly over a batch (peers pad, as they must).
Prints a Markdown table: median of the rounds' medians in milliseconds, spread, and the ratio to gpux. Outputs are
compared with ONNX Runtime's; a difference over 1e-3 of the scale is an error.
"""
import argparse
import csv
import json
import os
import shutil
import statistics
import subprocess
import sys
import tempfile

import numpy as np

import models
from peers import PEERS

HERE = os.path.dirname(os.path.abspath(__file__))
ROWS = "distilbert:8:1,distilbert:128:1,distilbert:128:16,bert-base:8:1,bert-base:128:1,bert-base:128:16,bert-base:8-128:32"
SECONDS_PER_TURN = 0.8


def make_feed(seq, batch):
    low, high = (int(x) for x in seq.split("-")) if "-" in seq else (int(seq), int(seq))
    rng = np.random.default_rng(0)
    ids = rng.integers(1000, 20000, (batch, high)).astype(np.int64)
    lengths = np.linspace(low, high, batch).astype(int) if batch > 1 else np.array([high])
    mask = (np.arange(high)[None, :] < lengths[:, None]).astype(np.int64)
    return {"input_ids": ids * mask, "attention_mask": mask}


class Peer:
    def __init__(self, name, folder, inputs, threads):
        self.process = subprocess.Popen([sys.executable, f"{HERE}/peers.py", name, folder, inputs, str(threads)],
                                        stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
        if self.ask(None) != "ready":
            raise RuntimeError(f"{name} did not start")

    def ask(self, line):
        if line is not None:
            self.process.stdin.write(line + "\n")
            self.process.stdin.flush()
        answer = self.process.stdout.readline().strip()
        while line is None and answer not in ("ready", "") :
            answer = self.process.stdout.readline().strip()
        return answer

    def run(self, count):
        return [float(t) for t in self.ask(str(count)).split()]

    def output(self, path):
        self.ask(f"output {path}")
        return np.load(path)

    def close(self):
        self.process.stdin.close()
        self.process.wait()


class Gpux:
    """Loads the model anew in each turn; what is timed is the model alone, as for the peers."""

    def __init__(self, binary, folder, request, threads, precision):
        self.command = [binary, "run", folder, "--input", f"@{request}", "--threads", str(threads), "--json"]
        if precision:
            self.command += ["--precision", precision]

    def run(self, count):
        out = subprocess.run(self.command + ["--benchmark", "--scope", "model", "--warmup", "2", "--runs", str(count)],
                             capture_output=True, text=True)
        if out.returncode != 0:
            raise RuntimeError(out.stderr.strip())
        return [json.loads(out.stdout)["median_time_ms"] / 1000]

    def output(self):
        out = subprocess.run(self.command, capture_output=True, text=True, check=True)
        return np.array(json.loads(out.stdout)["logits"], np.float32)

    def close(self):
        pass


def convert(binary, hub):
    if not os.path.exists(f"{hub}/model.onnx"):
        subprocess.run([binary, "convert", hub], check=True, stdout=subprocess.DEVNULL)


def measure(args, model, seq, batch, scratch):
    folder = f"{args.models}/{model}"
    models.make(model, args.models)
    convert(args.gpux, f"{folder}/hub")
    feed = make_feed(seq, batch)
    inputs, request = f"{scratch}/inputs.npz", f"{scratch}/request.json"
    np.savez(inputs, **feed)
    with open(request, "w") as file:
        json.dump({k: v.tolist() for k, v in feed.items()}, file)
    runners = {}
    for precision in args.precisions.split(","):
        runners["gpux-" + precision] = Gpux(args.gpux, f"{folder}/hub", request, args.threads, precision)
    for name in args.peers.split(","):
        try:
            runners[name] = Peer(name, folder, inputs, args.threads)
        except RuntimeError as error:
            print(f"# {error}", file=sys.stderr)
    if "ort" in runners and "gpux-fp32" in runners:
        theirs, ours = runners["ort"].output(f"{scratch}/ort.npy"), runners["gpux-fp32"].output()
        difference = float(np.abs(theirs - ours).max() / np.abs(theirs).max())
        if difference > 1e-3:
            raise RuntimeError(f"{model} {seq} {batch}: outputs differ by {difference:.1e} of their scale")
    counts, times = {}, {name: [] for name in runners}
    for name, runner in runners.items():
        counts[name] = max(2, min(300, int(SECONDS_PER_TURN / statistics.median(runner.run(3)))))
    for _ in range(args.rounds):
        for name, runner in runners.items():
            times[name].append(statistics.median(runner.run(counts[name])))
    for runner in runners.values():
        runner.close()
    return times


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--gpux", required=True)
    parser.add_argument("--models", required=True)
    parser.add_argument("--rows", default=ROWS)
    parser.add_argument("--peers", default="ort,openvino-f32", help=", ".join(PEERS))
    parser.add_argument("--precisions", default="fp32")
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--threads", type=int, default=len(os.sched_getaffinity(0)))
    parser.add_argument("--out")
    args = parser.parse_args()
    names = ["gpux-" + p for p in args.precisions.split(",")] + args.peers.split(",")
    table = []
    print("| model | tokens | batch | " + " | ".join(f"{n} ms" for n in names) + " | " +
          " | ".join(f"{n} ÷ {names[0]}" for n in names[1:]) + " |")
    print("|" + "---|" * (3 + 2 * len(names) - 1))
    scratch = tempfile.mkdtemp()
    for row in args.rows.split(","):
        model, seq, batch = row.split(":")
        times = measure(args, model, seq, int(batch), scratch)
        medians = {n: statistics.median(t) * 1e3 for n, t in times.items()}
        spread = {n: f"{min(t) * 1e3:.2f}–{max(t) * 1e3:.2f}" for n, t in times.items()}
        cells = [f"{medians[n]:.2f} ({spread[n]})" if n in medians else "–" for n in names]
        ratios = [f"{medians[n] / medians[names[0]]:.2f}" if n in medians else "–" for n in names[1:]]
        print(f"| {model} | {seq} | {batch} | " + " | ".join(cells + ratios) + " |", flush=True)
        table += [[model, seq, batch, n, medians[n], min(times[n]) * 1e3, max(times[n]) * 1e3] for n in medians]
    shutil.rmtree(scratch)
    if args.out:
        with open(args.out, "w", newline="") as file:
            writer = csv.writer(file)
            writer.writerow(["model", "tokens", "batch", "runner", "median_ms", "min_ms", "max_ms"])
            writer.writerows(table)


if __name__ == "__main__":
    main()
