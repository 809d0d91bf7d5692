#!/usr/bin/env python3
"""Draws what `snapmla analyze --json` found: for each layer the bound and the error seen of keys and values, and that of attention by
format and level; and for one layer the same by head.

    snapmla analyze latents.safetensors model-*.safetensors --json >analysis.json
    python3 scripts/plot_analysis.py analysis.json -o analysis.svg

Needs matplotlib.
"""
import argparse
import json
import sys


def show(axes, x, lines, title, xlabel):
    """lines: (label, values, style); values that are 0 or null are left out, as the axis is logarithmic."""
    for label, values, style in lines:
        points = [(a, b) for a, b in zip(x, values) if b]
        if points:
            axes.plot([p[0] for p in points], [p[1] for p in points], style, label=label, markersize=4)
    axes.set(yscale="log", title=title, xlabel=xlabel, ylabel="relative error")
    axes.grid(True, alpha=0.25)
    axes.legend(fontsize="x-small")


def lines_of(entries, names):
    """entries: for each x, a dict from the format's name to its members."""
    out = []
    for name in names:
        rows = [entry[name] for entry in entries]
        if not any(row["latent"] for row in rows):
            continue
        out += [(f"{name}: bound", [row["bound"] for row in rows], "^:"),
                (f"{name}: bound of the data", [row["bound_data"] for row in rows], "v:"),
                (f"{name}: seen", [row["seen"] for row in rows], "o-")]
    return out


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("file", help="what `snapmla analyze --json` printed")
    parser.add_argument("-o", "--output", default="analysis.svg", help="the picture (analysis.svg)")
    parser.add_argument("--layer", type=int, help="the layer whose heads are drawn (the first)")
    arguments = parser.parse_args()
    with open(arguments.file, encoding="utf-8") as file:
        layers = json.load(file)["layers"]
    chosen = [l for l in layers if arguments.layer in (None, l["layer"])]
    if not chosen:
        sys.exit("plot_analysis.py: %s has no layer %s" % (arguments.file, arguments.layer))
    try:
        import matplotlib
    except ImportError:
        sys.exit("plot_analysis.py: matplotlib is missing: python3 -m pip install matplotlib")
    matplotlib.use("svg")
    matplotlib.rcParams.update({"svg.fonttype": "none", "svg.hashsalt": "snapmla"})  # text as text, and the same file of the same report
    from matplotlib import pyplot

    names = [f["format"] for f in layers[0]["formats"]]
    levels = [level["accuracy"] for level in layers[0]["formats"][0]["levels"]]
    figure, ((a, b), (c, d)) = pyplot.subplots(2, 2, figsize=(12, 9))
    numbers = [l["layer"] for l in layers]
    show(a, numbers, lines_of([{f["format"]: f for f in l["formats"]} for l in layers], names), "keys and values", "layer")
    attention = [{(f["format"], v["accuracy"]): v["attention"] for f in l["formats"] for v in f["levels"]} for l in layers]
    show(b, numbers, [(f"{n}, {v}", [e.get((n, v)) for e in attention], "o-") for n in names for v in levels], "attention", "layer")
    layer = chosen[0]
    heads = range(len(layer["heads"]))
    by_head = [{f["format"]: f["heads"][h] for f in layer["formats"]} for h in heads]
    show(c, heads, lines_of(by_head, names), "keys and values of layer %d" % layer["layer"], "head")
    show(d, heads, [(f"{n}, {v}", [e[n]["attention"].get(v) for e in by_head], "o-") for n in names for v in levels],
         "attention of layer %d" % layer["layer"], "head")
    figure.tight_layout()
    figure.savefig(arguments.output, metadata={"Date": None} if arguments.output.endswith(".svg") else None)


if __name__ == "__main__":
    main()
