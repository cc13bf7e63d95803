"""The chart of the table as SVG: a line per model and size, a panel per precision.

The bar and the number are the fastest peer's time over gpux's, the dots are every peer's; the line at 1 is gpux.
"""
import math
from html import escape

COLOURS = {"gpux": "#333333", "ort": "#0072b2", "ort-fused": "#56b4e9", "openvino": "#d55e00", "torch": "#cc79a7",
           "torch-compiled": "#8a3f6c", "ctranslate2": "#009e73", "sentence-transformers": "#e69f00"}
FASTER, SLOWER = "#b9dcc4", "#f2b8b0"
LINE, LABEL, PANEL, GAP, TOP, MARGIN = 18, 150, 270, 64, 118, 16
MOST = 5.0  # times gpux that a panel shows at most; what lies beyond sits on its edge


def text(x, y, words, size=11, anchor="start", weight="normal", colour="#222222"):
    return (f'<text x="{x:.1f}" y="{y:.1f}" font-size="{size}" text-anchor="{anchor}" font-weight="{weight}" '
            f'fill="{colour}">{escape(words)}</text>')


def lines_of(rows):
    """(model or None, label, {precision: row}) from top to bottom; a model's heading has no label."""
    out, models = [], {}
    for row in rows:
        sizes = models.setdefault(row.model, {})
        sizes.setdefault((row.tokens, row.batch), {})[row.precision] = row
    for model, sizes in models.items():
        out.append((model, "", {}))
        out += [(None, f"{tokens} × {batch}", found) for (tokens, batch), found in sizes.items()]
    return out


def legend(names, x, y):
    out = [f'<rect x="{x}" y="{y - 9}" width="16" height="10" fill="{FASTER}"/>',
           text(x + 21, y, "fastest peer, slower than gpux"),
           f'<rect x="{x + 206}" y="{y - 9}" width="16" height="10" fill="{SLOWER}"/>',
           text(x + 227, y, "fastest peer, faster than gpux")]
    x += 420
    for name in names:
        out += [f'<circle cx="{x}" cy="{y - 4}" r="4" fill="{COLOURS[name]}"/>', text(x + 8, y, name)]
        x += 24 + 6.3 * len(name)
    return out


def axis(x, bottom, most, is_cut, precision):
    out = [text(x, TOP - 22, precision, 13, weight="bold")]
    for step in range(int(most) + 1):
        at = x + PANEL * step / most
        out += [f'<line x1="{at:.1f}" x2="{at:.1f}" y1="{TOP - 4}" y2="{bottom}" '
                f'stroke="{"#333333" if step == 1 else "#e4e4e4"}"/>',
                text(at, TOP - 8, f"{'≥ ' * (is_cut and step == most)}{step}×", 10, "middle")]
    return out


def bar(x, y, row, most):
    """One row of one panel: the bar, its number and the dots."""
    def place(ratio):
        return x + PANEL * min(ratio, most) / most

    if not row.best:
        return [text(x + 4, y + 12, "no peer to compare with", 10, colour="#777777")]
    ratio = row.best_ratio()
    out = [f'<rect x="{x}" y="{y + 2}" width="{place(ratio) - x:.1f}" height="{LINE - 4}" '
           f'fill="{FASTER if ratio >= 1 else SLOWER}"/>']
    out += [f'<circle cx="{place(other):.1f}" cy="{y + LINE / 2}" r="3.5" fill="{COLOURS[name]}"/>'
            for name, other in sorted(row.ratios.items(), key=lambda item: -item[1])]
    return out + [text(x + PANEL + 10, y + 13, f"{ratio:.2f}", 11, weight="bold")]


def draw(rows, subtitle):
    precisions = list(dict.fromkeys(row.precision for row in rows))
    lines = lines_of(rows)
    greatest = max((ratio for row in rows for ratio in row.ratios.values()), default=1)
    most = float(min(MOST, math.ceil(max(2.0, greatest))))
    panels = {precision: LABEL + i * (PANEL + GAP) for i, precision in enumerate(precisions)}
    width = max(LABEL + len(precisions) * (PANEL + GAP), 1010)
    bottom = TOP + LINE * len(lines)
    names = [name for name in COLOURS if any(name in row.ratios for row in rows)]
    out = [f'<svg xmlns="http://www.w3.org/2000/svg" width="{width}" height="{bottom + 24}" '
           f'viewBox="0 0 {width} {bottom + 24}" font-family="Helvetica, Arial, sans-serif">',
           f'<rect width="{width}" height="{bottom + 24}" fill="#ffffff"/>',
           text(MARGIN, 24, "Time of each peer ÷ time of gpux, same precision, tokens × batch", 15, weight="bold"),
           text(MARGIN, 42, subtitle, 11, colour="#555555"), *legend(names, MARGIN, 62)]
    for precision, x in panels.items():
        out += axis(x, bottom, most, greatest > most, precision)
    for number, (model, label, found) in enumerate(lines):
        y = TOP + LINE * number
        if model:
            out.append(text(MARGIN, y + 13, model, 12, weight="bold"))
            continue
        out.append(text(LABEL - 12, y + 13, label, 11, "end"))
        for precision, row in found.items():
            out += bar(panels[precision], y, row, most)
    return "\n".join(out + ["</svg>"]) + "\n"
