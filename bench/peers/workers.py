"""Worker processes seen from outside: starting them, asking them, and proving that the others were idle meanwhile."""
import glob
import json
import os
import subprocess
import sys
import time

import numpy as np

HERE = os.path.dirname(os.path.abspath(__file__))
TICKS = os.sysconf("SC_CLK_TCK")
# OpenMP of Intel's kind spins for 200 ms after a parallel region; a millisecond still bridges two regions of a model.
ENVIRONMENT = {**os.environ, "KMP_BLOCKTIME": "1", "TOKENIZERS_PARALLELISM": "false", "HF_HUB_OFFLINE": "1"}


def busy_seconds():
    """CPU seconds that this machine spent on anything, or that its host took away."""
    with open("/proc/stat") as file:
        user, nice, system, _, _, irq, softirq, steal = map(int, file.readline().split()[1:9])
    return (user + nice + system + irq + softirq + steal) / TICKS


class Worker:
    def __init__(self, name, precision, folder, threads, library, scratch):
        self.name, self.scratch = name, scratch
        self.log = f"{scratch}/{name}-{precision}.log"
        with open(self.log, "w") as log:
            self.process = subprocess.Popen(
                [sys.executable, f"{HERE}/peers.py", name, precision, folder, str(threads), library],
                stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=log, text=True, env=ENVIRONMENT)

    def answer(self):
        line = self.process.stdout.readline()
        if not line:
            self.close()
            with open(self.log) as log:
                last = ([text.strip() for text in log if text.strip()] or ["no message"])[-1]
            raise RuntimeError(f"{last} (exit {self.process.returncode})")
        return json.loads(line)

    def ask(self, **order):
        self.process.stdin.write(json.dumps(order) + "\n")
        self.process.stdin.flush()
        return self.answer().get("times")

    def first_run(self, feed):
        """Takes the inputs and runs once; the answer's vectors, [rows, width]."""
        output = f"{self.scratch}/{self.name}.npy"
        self.ask(feed=feed, output=output)
        return np.load(output)

    def cpu_seconds(self):
        total = 0
        for path in glob.glob(f"/proc/{self.process.pid}/task/*/schedstat"):
            with open(path) as file:
                total += int(file.read().split()[0])
        return total / 1e9

    def settle(self):
        """Waits until its threads sleep, half a second at most."""
        for _ in range(50):
            before = self.cpu_seconds()
            time.sleep(0.01)
            if self.cpu_seconds() - before < 0.001:
                return

    def turn(self, runs):
        """The seconds of each run, and the share of the machine that anything else used meanwhile."""
        start, busy, own = time.monotonic(), busy_seconds(), self.cpu_seconds()
        times = self.ask(runs=runs)
        elapsed, own = time.monotonic() - start, self.cpu_seconds() - own
        elsewhere = max(0.0, busy_seconds() - busy - own) / (elapsed * os.cpu_count())
        self.settle()
        return times, elsewhere

    def close(self):
        self.process.stdin.close()
        self.process.wait()
