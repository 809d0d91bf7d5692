#!/usr/bin/env python3
"""Draws what snapmla-ceilings and snapmla-bench-decode measured.

usage: plot.py DECODE.csv CEILINGS.csv DIRECTORY

Writes latency.svg (the decode step's time over the context, a line for each batch and head count) and roofline.svg (arithmetic
rate over arithmetic intensity, under the ceilings measured on the same machine). Needs matplotlib.
"""
import collections
import csv
import pathlib
import sys


def read(path):
    """The comment lines' contents and the rows."""
    lines = pathlib.Path(path).read_text(encoding="utf-8").splitlines()
    notes = [line[2:] for line in lines if line.startswith("# ")]
    return notes, list(csv.DictReader(line for line in lines if not line.startswith("#")))


def chosen(rows):
    """One row per shape: query quantised before, graph replay where there is any, L2 flushed by reading where that was done."""
    best = {}
    for row in rows:
        if row["part"] != "decode+combine":
            continue
        # A file from before there were several query tokens is of one.
        shape = tuple(int(row.get(name, 1)) for name in ("batch", "heads", "top", "q_len", "tokens"))
        rank = (row["mode"] == "graph", row["flush"] == "read")
        if shape not in best or rank > best[shape][0]:
            best[shape] = (rank, row)
    return {shape: row for shape, (_, row) in sorted(best.items())}


def heads_text(heads, top, q_len):
    return f"{heads} heads" + (f", top {top}" if top else "") + (f", {q_len} query tokens" if q_len > 1 else "")


def ceiling(rows, group, text):
    values = [float(r["median"]) for r in rows if r["group"] == group and text in r["variant"] and r["median"]]
    if not values:
        sys.exit(f"plot.py: the ceilings hold no figure of the group {group} with {text}")
    return max(values)


def draw_latency(plot, shapes, title):
    lines = collections.defaultdict(list)
    for (batch, heads, top, q_len, tokens), row in shapes.items():
        lines[batch, heads, top, q_len].append((tokens, float(row["median_us"]), float(row["p90_us"])))
    figure, axes = plot.subplots(figsize=(9, 6))
    for (batch, heads, top, q_len), points in lines.items():
        if len(points) < 2:
            continue
        tokens, median, p90 = zip(*points)
        line, = axes.plot(tokens, median, marker="o", markersize=3, label=f"batch {batch}, {heads_text(heads, top, q_len)}")
        axes.fill_between(tokens, median, p90, alpha=0.2, color=line.get_color())
    axes.set(xscale="log", yscale="log", xlabel="tokens of each request", ylabel="decode and combine, µs (to p90)", title=title)
    axes.grid(which="both", alpha=0.3)
    if axes.lines:
        axes.legend(fontsize=7, ncols=2)
    return figure


def draw_roofline(plot, shapes, ceilings, title):
    memory, tensor = ceiling(ceilings, "read", "cluster=1"), ceiling(ceilings, "wgmma", "kind=e4m3")
    figure, axes = plot.subplots(figsize=(9, 6))
    ridge = tensor * 1e3 / memory
    axes.plot([1, ridge, ridge * 20], [memory / 1e3, tensor, tensor], color="black",
              label=f"{memory:.0f} GB/s read, {tensor:.0f} TFLOP/s e4m3")
    by_heads = collections.defaultdict(list)
    for (_, heads, top, q_len, _), row in shapes.items():
        by_heads[heads, top, q_len].append((float(row["flop"]) / float(row["bytes"]), float(row["flop"]) / float(row["median_us"]) / 1e6))
    for kind, points in sorted(by_heads.items()):
        axes.scatter(*zip(*points), s=14, label=heads_text(*kind))
    axes.set(xscale="log", yscale="log", xlabel="FLOP per byte", ylabel="TFLOP/s", title=title)
    axes.grid(which="both", alpha=0.3)
    axes.legend(fontsize=8)
    return figure


def main():
    if len(sys.argv) != 4:
        sys.exit(__doc__.split("\n\n")[1])
    try:
        import matplotlib
    except ImportError:
        sys.exit("plot.py: matplotlib is missing: python3 -m pip install matplotlib")
    matplotlib.use("svg")
    from matplotlib import pyplot
    notes, rows = read(sys.argv[1])
    _, ceilings = read(sys.argv[2])
    shapes = chosen(rows)
    if not shapes:
        sys.exit(f"plot.py: {sys.argv[1]} holds no times of decode+combine")
    title = next((note for note in notes if note.startswith("device: ")), "")
    folder = pathlib.Path(sys.argv[3])
    folder.mkdir(parents=True, exist_ok=True)
    for name, figure in (("latency", draw_latency(pyplot, shapes, title)),
                         ("roofline", draw_roofline(pyplot, shapes, ceilings, title))):
        figure.savefig(folder / f"{name}.svg", bbox_inches="tight")
        print(folder / f"{name}.svg")


if __name__ == "__main__":
    main()
