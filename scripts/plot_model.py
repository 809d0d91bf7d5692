#!/usr/bin/env python3
"""Draws the cost model: time of a decode call over context length, a line for each batch, and what bounds it.

    snapmla model --machine h100 --heads 64 --csv >model.csv
    python3 scripts/plot_model.py model.csv -o model.svg

Reads the CSV or the JSON of `snapmla model`. Needs matplotlib.
"""
import argparse
import csv
import json
import sys

MARKERS = {"memory": "o", "tensor": "s", "shared memory": "^", "exponentials": "v", "latency": "d", "fixed costs": "x"}


def read(path):
    with open(path, encoding="utf-8") as file:
        text = file.read()
    if text.lstrip().startswith("["):
        return json.loads(text)
    return list(csv.DictReader(text.splitlines()))


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("file", help="what `snapmla model --csv` or `--json` printed")
    parser.add_argument("-o", "--output", default="model.svg", help="the picture (model.svg)")
    arguments = parser.parse_args()
    rows = read(arguments.file)
    if not rows:
        sys.exit("plot_model.py: no rows in " + arguments.file)
    try:
        import matplotlib
    except ImportError:
        sys.exit("plot_model.py: matplotlib is missing: python3 -m pip install matplotlib")
    matplotlib.use("svg")
    from matplotlib import pyplot

    figure, axes = pyplot.subplots(figsize=(8, 5.5))
    for batch in sorted({int(row["batch"]) for row in rows}):
        line = sorted((int(row["context"]), float(row["time_us"]), row["bound"]) for row in rows
                      if int(row["batch"]) == batch)
        (drawn,) = axes.plot([p[0] for p in line], [p[1] for p in line], label="batch %d" % batch)
        for context, time_us, bound in line:
            axes.plot(context, time_us, MARKERS.get(bound, "."), color=drawn.get_color(), markersize=5)
    for bound, marker in MARKERS.items():
        if any(row["bound"] == bound for row in rows):
            axes.plot([], [], marker, color="black", label="bound by " + bound)
    axes.set(xscale="log", yscale="log", xlabel="tokens of a request", ylabel="modelled time of a decode call, µs")
    axes.grid(True, which="both", alpha=0.25)
    axes.legend(fontsize="small")
    figure.tight_layout()
    figure.savefig(arguments.output)


if __name__ == "__main__":
    main()
