"""gpux beside what a user would otherwise install: a table of models, lengths, batches and precisions, and its chart.

usage: bench.py --build BUILD --out DIR [--quick] [options; see --help and README.md]

Every program is a process of its own and computes alone: turns go round, and each turn waits until the last one's
threads sleep. All get the same token ids. Each answer is compared with PyTorch's in f32 before anything is timed.
DIR/results.csv grows row by row, so that an interrupted table goes on where it stopped; results.md and results.svg are
made from it at the end.
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
import time

import numpy as np

import gpux
import machine
import models
import peers
import plan
import report
import work
from inputs import Text
from workers import Worker

HERE = os.path.dirname(os.path.abspath(__file__))
REFERENCE_ROWS = 8  # of a batch, spread over it, whose answers are compared
class Bench:
    def __init__(self, args, shapes, scratch):
        self.args, self.shapes, self.scratch = args, shapes, scratch
        self.library = f"{scratch}/libgpux.so"
        gpux.build_library(args.build, self.library)
        self.started = time.monotonic()

    def seconds_left(self):
        return self.args.total_seconds - (time.monotonic() - self.started)

    def start(self, name, precision, model):
        return Worker(name, precision, f"{self.args.cache}/{model}", self.args.threads, self.library, self.scratch)

    def feed(self, model, row, only=None):
        """Writes a row's inputs (or some of its rows) to a file."""
        text = Text(f"{self.args.cache}/{model}/hub/tokenizer.json")
        feed = text.feed(work.row_lengths(*row), self.shapes[model]["pad"])
        path = f"{self.scratch}/{row[0]}-{row[1]}{'' if only is None else '-some'}.npz"
        np.savez(path, **{name: array if only is None else array[only] for name, array in feed.items()})
        return path

    def references(self, model, rows):
        """PyTorch's f32 vectors of some rows of each batch."""
        found = {}
        worker = self.start("torch", "fp32", model)
        worker.answer()
        for row in rows:
            some = np.unique(np.linspace(0, row[1] - 1, REFERENCE_ROWS).astype(int))
            found[row] = some, worker.first_run(self.feed(model, row, some))
        worker.close()
        return found

    def measure(self, workers, row, reference, path, precision):
        """A result per worker: all of them in turn. One that fails leaves `workers`."""
        results, runs, rounds, turns = {}, {}, {}, {name: [] for name in workers}
        round_seconds, (some, expected) = plan.TURN_SECONDS, reference

        def attempt(name, action):
            try:
                return action(workers[name])
            except (RuntimeError, OSError) as error:
                results[name] = {"status": f"failed: {error}"}
                del workers[name]
                return None

        for name in list(workers):
            vectors = attempt(name, lambda worker: worker.first_run(path))
            turn = attempt(name, lambda worker: worker.turn(1)) if vectors is not None else None
            if turn is None:
                continue
            results[name] = compare(vectors[some], expected, work.LIMITS[precision])
            seconds = turn[0][0]
            runs[name] = max(1, int(plan.TURN_SECONDS / seconds))
            turns[name] += [turn] if runs[name] == 1 else []
            round_seconds += max(plan.TURN_SECONDS, seconds) if seconds < work.LONG_RUN_SECONDS else 0
            rounds[name] = 1 if seconds > work.LONG_RUN_SECONDS else self.args.rounds
        most = plan.rounds_of(self.args, round_seconds)
        for _ in range(most):
            for name in list(workers):
                if len(turns[name]) < min(rounds[name], most):
                    turn = attempt(name, lambda worker: worker.turn(runs[name]))
                    turns[name] += [turn] if turn else []
        for name in workers:
            medians = [statistics.median(times) * 1e3 for times, _ in turns[name]]
            results[name].update(median_ms=statistics.median(medians), min_ms=min(medians), max_ms=max(medians),
                                 rounds=len(medians), runs=runs[name],
                                 elsewhere=statistics.mean(share for _, share in turns[name]))
        return results

    def measure_alone(self, names, model, *rest):
        """As `measure`, but each worker lives only for its own turn: for rows so large that memory is short."""
        results = {}
        for name in names:
            workers, failed = self.start_all([name], rest[-1], model)
            results.update(failed or self.measure(workers, *rest))
            close_all(workers)
        return results

    def start_all(self, names, precision, model):
        """Those that start, and why the others do not. One loads at a time."""
        workers, failed = {}, {}
        for name in names:
            worker = self.start(name, precision, model)
            try:
                worker.answer()
                workers[name] = worker
            except RuntimeError as error:
                failed[name] = {"status": f"failed: {error}"}
        return workers, failed

    def run_group(self, model, precision, rows, references, writer):
        """All rows of one model in one precision: `rows` maps (tokens, batch) to whether a run of it is long."""
        names, workers, failed = plan.names(self.args, model, precision), {}, {}
        if not all(rows.values()) and self.seconds_left() > 0:
            workers, failed = self.start_all(names, precision, model)
        for row in sorted(rows, key=rows.get):
            if self.seconds_left() < 0:
                break
            path = self.feed(model, row)
            if rows[row]:
                close_all(workers)
                results = self.measure_alone(names, model, row, references[row], path, precision)
            else:
                results = {**failed, **self.measure(workers, row, references[row], path, precision)}
            writer.write(model, *row, precision, results)
        close_all(workers)


def close_all(workers):
    while workers:
        workers.popitem()[1].close()


def compare(vectors, expected, limit):
    """How far the worst row is from the reference."""
    a, b = vectors.astype(np.float64), expected.astype(np.float64)
    cosine = (a * b).sum(axis=1) / (np.linalg.norm(a, axis=1) * np.linalg.norm(b, axis=1))
    distance = float((1 - cosine).max())
    difference = float(np.abs(a - b).max() / np.abs(b).max())
    status = "ok" if distance <= limit else "disagrees"
    return {"status": status, "cosine_distance": max(0.0, distance), "difference": difference}


class Writer:
    """results.csv, a line per program, appended a row of the table at a time."""

    def __init__(self, path):
        self.path = path
        self.done = {(r["model"], r["tokens"], int(r["batch"]), r["precision"]) for r in report.read(path)}

    def write(self, model, tokens, batch, precision, results):
        with open(self.path, "a", newline="") as file:
            writer = csv.DictWriter(file, report.COLUMNS)
            if file.tell() == 0:
                writer.writeheader()
            for name, result in results.items():
                row = {"model": model, "tokens": tokens, "batch": batch, "precision": precision, "peer": name, **result}
                writer.writerow({key: f"{v:.6g}" if isinstance(v, float) else v for key, v in row.items()})
        gpux_ms = results.get("gpux", {}).get("median_ms")
        shown = [f"{name} {r['median_ms']:.4g}" if "median_ms" in r else f"{name} {r['status']}"
                 for name, r in results.items()]
        print(f"{model} {tokens} x {batch} {precision}: " + ", ".join(shown) + (" ms" if gpux_ms else ""), flush=True)


def prepare(args, names):
    """The models' forms, made by a process of its own, and gpux's conversion, which takes no time."""
    subprocess.run([sys.executable, f"{HERE}/models.py", args.cache, *names], check=True)
    for name in names:
        subprocess.run([f"{args.build}/gpux", "convert", "--force", f"{args.cache}/{name}/hub"], check=True,
                       stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)


def parse_arguments():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--build", required=True, help="gpux's build folder")
    parser.add_argument("--out", required=True, help="folder of the results; a table begun there goes on")
    cache = os.environ.get("XDG_CACHE_HOME") or os.path.expanduser("~/.cache")
    parser.add_argument("--cache", default=f"{cache}/gpux-peers/models", help="for models (default %(default)s)")
    parser.add_argument("--quick", action="store_true", help="a few telling rows instead of the whole table")
    parser.add_argument("--models", default=",".join(models.NAMES), help="default: %(default)s")
    parser.add_argument("--lengths", default="8,32,128,512", help="tokens of each text (default %(default)s)")
    parser.add_argument("--batches", default="1,4,16,32", help="texts of a run (default %(default)s)")
    parser.add_argument("--mixed", default="8-256:32", help="LOW-HIGH:BATCH of mixed lengths (default %(default)s)")
    parser.add_argument("--rows", help="MODEL:TOKENS:BATCH,... instead of models, lengths, batches")
    parser.add_argument("--precisions", default="fp32,bf16,int8", help="default: %(default)s")
    parser.add_argument("--peers", default=peers.USUAL, help=f"of {', '.join(peers.NAMES)} (default: %(default)s)")
    parser.add_argument("--threads", type=int, default=len(os.sched_getaffinity(0)), help="of each (default: the CPUs)")
    parser.add_argument("--rounds", type=int, default=5, help="turns of each program (default %(default)s)")
    parser.add_argument("--row-seconds", type=float, default=10,
                        help=f"timing of a row; beyond it {plan.LEAST_ROUNDS} turns (default %(default)s)")
    parser.add_argument("--total-seconds", type=float, default=1e9, help="then stop; run again to go on")
    parser.add_argument("--longest-run", type=float, default=8,
                        help="leave out rows whose single run would take more seconds (default %(default)s)")
    parser.add_argument("--estimate", action="store_true", help="say how long the rest takes, and stop")
    args = parser.parse_args()
    args.rows = args.rows or (plan.QUICK if args.quick else None)
    return args


def main():
    args = parse_arguments()
    os.makedirs(args.out, exist_ok=True)
    scratch = tempfile.mkdtemp(prefix="gpux-peers-")
    writer = Writer(f"{args.out}/results.csv")
    todo = plan.pending(args, writer.done)
    prepare(args, list(todo))
    shapes = {model: models.read_config(f"{args.cache}/{model}") for model in todo}
    about = machine.begin(args, shapes, scratch)
    estimate = plan.Estimate(args, shapes, about["peak"])
    todo = estimate.without_longest(todo)
    print(f"about {estimate.total(todo) / 60:.0f} minutes", flush=True)
    bench = Bench(args, shapes, scratch)
    for model, groups in {} if args.estimate else todo.items():
        if bench.seconds_left() > 0:
            references = bench.references(model, sorted(set().union(*groups.values())))
            for precision, rows in groups.items():
                bench.run_group(model, precision, rows, references, writer)
    if writer.done or not args.estimate:
        machine.update_peak(about, args.out, scratch)  # it may have been slower at the beginning
        report.write(args.out)
    shutil.rmtree(scratch)


if __name__ == "__main__":
    main()
