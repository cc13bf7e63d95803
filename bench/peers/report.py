"""results.csv and machine.json as results.md, the table, and results.svg, the chart. usage: report.py DIR"""
import csv
import json
import math
import os
import sys

import chart
import work

COLUMNS = ("model", "tokens", "batch", "precision", "peer", "status", "median_ms", "min_ms", "max_ms", "rounds", "runs",
           "cosine_distance", "difference", "elsewhere")
NUMBERS = ("median_ms", "min_ms", "max_ms", "rounds", "runs", "cosine_distance", "difference", "elsewhere")
# Where reading the weights once is what takes time, the share of the memory's speed says more than that of the peak.
FEW_TOKENS = 32
MUCH_ELSEWHERE = 0.05


def read(path):
    """The lines of results.csv, numbers as numbers; none when there is no file."""
    if not os.path.exists(path):
        return []
    with open(path, newline="") as file:
        return [{key: float(text) if key in NUMBERS and text else text for key, text in line.items()}
                for line in csv.DictReader(file)]


class Row:
    """One model, size and precision: what every program took."""

    def __init__(self, model, tokens, batch, precision, lines, machine):
        self.model, self.tokens, self.batch, self.precision = model, tokens, int(batch), precision
        self.lines = {line["peer"]: line for line in lines}
        self.times = {name: line["median_ms"] for name, line in self.lines.items() if line["median_ms"]}
        agreeing = {name: ms for name, ms in self.times.items()
                    if name != "gpux" and self.lines[name]["status"] == "ok"}
        self.ratios, self.best = {}, None
        self.of_peak, self.of_reads = None, None
        if "gpux" not in self.times:
            return
        gpux = self.times["gpux"]
        self.ratios = {name: ms / gpux for name, ms in agreeing.items()}
        self.best = min(self.ratios, key=self.ratios.get, default=None)
        if model in machine["models"]:
            shape, lengths = machine["models"][model], work.row_lengths(tokens, self.batch)
            self.of_peak = work.gflop(shape, lengths) / (gpux / 1e3) / machine["peak"][precision]
            if sum(lengths) <= FEW_TOKENS:
                seconds = work.weight_bytes(shape, precision) / 1e9 / machine["peak"]["read"]
                self.of_reads = seconds / (gpux / 1e3)

    def best_ratio(self):
        return self.ratios[self.best] if self.best else None

    def elsewhere(self):
        return max((line["elsewhere"] for line in self.lines.values() if line["elsewhere"] != ""), default=0)


def collect(lines, machine):
    """The table's rows: models in the order of the lines, mixed lengths after the others."""
    groups = {}
    for line in lines:
        groups.setdefault((line["model"], line["tokens"], line["batch"], line["precision"]), []).append(line)
    models = list(dict.fromkeys(model for model, *_ in groups))
    rows = [Row(*key, group, machine) for key, group in groups.items()]
    return sorted(rows, key=lambda row: (models.index(row.model), "-" in row.tokens, len(row.tokens), row.tokens,
                                         row.batch))


def geometric_mean(values):
    return math.exp(sum(map(math.log, values)) / len(values))


def percent(share):
    return "" if share is None else f"{100 * share:.0f} %"


def milliseconds(line):
    if line is None:
        return ""
    if not line["median_ms"]:
        return "–"
    mark = "" if line["status"] == "ok" else " ✗"
    return f"{line['median_ms']:.4g} ({line['min_ms']:.4g}–{line['max_ms']:.4g}){mark}"


def table(rows):
    names = [name for name in chart.COLOURS if any(name in row.lines for row in rows)]
    out = ["| model | tokens | batch | " + " | ".join(f"{name} ms" for name in names) +
           " | best peer | ÷ gpux | rounds | of peak | of reads |", "|---" * (len(names) + 8) + "|"]
    for row in rows:
        counts = {int(line["rounds"]) for line in row.lines.values() if line["rounds"]}
        ratio = f"**{row.best_ratio():.2f}**" if row.best else ""
        busy = " ≈" if row.elsewhere() > MUCH_ELSEWHERE else ""
        out.append(f"| {row.model} | {row.tokens} | {row.batch} | " +
                   " | ".join(milliseconds(row.lines.get(name)) for name in names) +
                   f" | {row.best or '–'} | {ratio} | {'/'.join(map(str, sorted(counts)))}{busy} | "
                   f"{percent(row.of_peak)} | {percent(row.of_reads)} |")
    return out


def summary(rows):
    out = ["| precision | rows | gpux fastest | best peer ÷ gpux, geometric mean | least | greatest |",
           "|---" * 6 + "|"]
    for precision in dict.fromkeys(row.precision for row in rows):
        ratios = sorted((row.best_ratio(), f"{row.model} {row.tokens} × {row.batch}")
                        for row in rows if row.precision == precision and row.best)
        if ratios:
            out.append(f"| {precision} | {len(ratios)} | {sum(r[0] > 1 for r in ratios)} | "
                       f"{geometric_mean([r[0] for r in ratios]):.2f} | {ratios[0][0]:.2f} ({ratios[0][1]}) | "
                       f"{ratios[-1][0]:.2f} ({ratios[-1][1]}) |")
    return out


def matrix(rows):
    """Best peer over gpux: a line per model and length, a column per batch."""
    batches = sorted({row.batch for row in rows})
    out = ["| model | tokens | " + " | ".join(f"batch {batch}" for batch in batches) + " |",
           "|---" * (len(batches) + 2) + "|"]
    for model, tokens in dict.fromkeys((row.model, row.tokens) for row in rows):
        found = {row.batch: row for row in rows if (row.model, row.tokens) == (model, tokens)}
        cells = [f"{found[batch].best_ratio():.2f} ({found[batch].best})" if batch in found and found[batch].best else ""
                 for batch in batches]
        out.append(f"| {model} | {tokens} | " + " | ".join(cells) + " |")
    return out


def agreement(lines):
    out = ["| precision | program | 1 − cosine, worst | difference ÷ greatest value, worst | rows that disagree |",
           "|---" * 5 + "|"]
    groups = {}
    for line in lines:
        if line["cosine_distance"] != "":
            groups.setdefault((line["precision"], line["peer"]), []).append(line)
    for (precision, name), group in groups.items():
        out.append(f"| {precision} | {name} | {max(line['cosine_distance'] for line in group):.1e} | "
                   f"{max(line['difference'] for line in group):.1e} | "
                   f"{sum(line['status'] != 'ok' for line in group)} of {len(group)} |")
    return out


def failures(lines):
    found = sorted({f"- {line['model']}, {line['precision']}, {line['peer']}: {line['status']}"
                    for line in lines if line["status"].startswith("failed")})
    return ["", "Did not run:", "", *found] if found else []


HEAD = """# gpux beside its peers

{cpu}, {cores} cores, {threads} threads each; gpux {gpux}; {packages}.
Peak by peak.c: fp32 {fp32:.0f} GFLOP/s, bf16 {bf16:.0f}, int8 {int8:.0f} GOP/s, reads {read:.1f} GB/s.

Milliseconds, median of the rounds' medians (least–greatest), programs in turn. ÷ gpux: the fastest peer of the same
precision whose answers agree, over gpux; above 1 gpux is faster. Of peak: operations of the unpadded tokens ÷ time ÷
peak; of reads: weights read once ÷ time ÷ memory speed, up to {few} tokens. ✗: answers disagree; –: did not run;
≈: something else used more than {much:.0%} of the machine meanwhile; 1 round: a run takes more than {long:g} s.
"""


def markdown(lines, rows, machine):
    packages = ", ".join(f"{name} {version}" for name, version in machine["versions"].items())
    out = [HEAD.format(**machine, **machine["peak"], packages=packages, few=FEW_TOKENS, much=MUCH_ELSEWHERE,
                       long=work.LONG_RUN_SECONDS), *summary(rows)]
    for precision in dict.fromkeys(row.precision for row in rows):
        chosen = [row for row in rows if row.precision == precision]
        out += ["", f"## {precision}", "", "Fastest peer ÷ gpux:", "", *matrix(chosen), "", *table(chosen)]
    limits = ", ".join(f"{name} {limit:g}" for name, limit in work.LIMITS.items())
    out += ["", "## Agreement", "", f"With PyTorch in f32. Limits of 1 − cosine: {limits}.", "", *agreement(lines)]
    return "\n".join(out + failures(lines)) + "\n"


def write(folder):
    with open(f"{folder}/machine.json") as file:
        machine = json.load(file)
    lines = read(f"{folder}/results.csv")
    rows = collect(lines, machine)
    with open(f"{folder}/results.md", "w") as file:
        file.write(markdown(lines, rows, machine))
    with open(f"{folder}/results.svg", "w") as file:
        file.write(chart.draw(rows, f"{machine['cpu']}, {machine['threads']} threads"))


if __name__ == "__main__":
    write(sys.argv[1])
