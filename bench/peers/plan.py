"""Which rows a table has, which of them are still to do, and how long they take."""
import peers
import work

QUICK = "bert-base:128:1,bert-base:128:16,distilbert:8:1,minilm-l6:8:1,minilm-l6:8-256:32,bert-base:8-256:32"
TURN_SECONDS = 0.05  # short runs are repeated for this long in a turn
LEAST_ROUNDS = 3
# For estimates only: shares of the peak that programs reach, and what a program costs besides its runs.
USUAL_SHARE = {"fp32": 0.6, "bf16": 0.3, "int8": 0.15}
START_SECONDS, LOADED_BYTES_PER_SECOND, SETTLE_SECONDS = 3, 0.4e9, 0.015


def wanted_rows(args):
    """(model, tokens, batch), by model in the given order, then by size."""
    if args.rows:
        rows = [row.split(":") for row in args.rows.split(",")]
        return [(model, tokens, int(batch)) for model, tokens, batch in rows]
    sizes = [(tokens, int(batch)) for tokens in args.lengths.split(",") for batch in args.batches.split(",")]
    sizes += [(tokens, int(batch)) for tokens, batch in (row.split(":") for row in args.mixed.split(",") if row)]
    sizes.sort(key=lambda size: sum(work.row_lengths(*size)))
    return [(model, *size) for model in args.models.split(",") for size in sizes]


def pending(args, done):
    """{model: {precision: rows}} of what is not done yet; a row is (tokens, batch)."""
    out = {}
    for model, tokens, batch in wanted_rows(args):
        for precision in args.precisions.split(","):
            if (model, tokens, batch, precision) not in done:
                out.setdefault(model, {}).setdefault(precision, []).append((tokens, batch))
    return out


def names(args, model, precision):
    """The programs that a row has."""
    wanted = args.peers.split(",")
    return [name for name, precisions, _, known in peers.PEERS
            if name in wanted and precision in precisions and (not known or model in known)]


def rounds_of(args, round_seconds):
    return min(args.rounds, max(LEAST_ROUNDS, int(args.row_seconds / round_seconds)))


class Estimate:
    def __init__(self, args, shapes, peak):
        self.args, self.shapes, self.peak = args, shapes, peak

    def run_seconds(self, model, row, precision):
        """Of a usual program, which pads."""
        lengths = work.row_lengths(*row)
        padded = [max(lengths)] * len(lengths)
        return work.gflop(self.shapes[model], padded) / (self.peak[precision] * USUAL_SHARE[precision])

    def without_longest(self, todo):
        """{model: {precision: {row: whether its run is long}}} of the rows that are short enough; names the others."""
        out = {}
        for model, groups in todo.items():
            for precision, rows in groups.items():
                seconds = {row: self.run_seconds(model, row, precision) for row in rows}
                for row in [row for row in rows if seconds[row] > self.args.longest_run]:
                    print(f"left out by --longest-run: {model} {row[0]} x {row[1]} {precision}")
                    del seconds[row]
                if seconds:
                    out.setdefault(model, {})[precision] = {
                        row: run > work.LONG_RUN_SECONDS for row, run in seconds.items()}
        return out

    def total(self, todo):
        """Seconds for rows as `without_longest` gives them, the models being made already."""
        total = 0
        for model, groups in todo.items():
            loading = START_SECONDS + work.weight_bytes(self.shapes[model], "fp32") / LOADED_BYTES_PER_SECOND
            for precision, rows in groups.items():
                programs = len(names(self.args, model, precision))
                total += programs * loading
                for row, is_long in rows.items():
                    seconds = self.run_seconds(model, row, precision)
                    turn = max(TURN_SECONDS, seconds) + SETTLE_SECONDS
                    rounds = rounds_of(self.args, turn * programs)
                    total += programs * (loading + 2 * seconds if is_long else seconds + rounds * turn)
            total += loading + sum(self.run_seconds(model, row, "fp32") / 2 for row in set().union(*groups.values()))
        return total
