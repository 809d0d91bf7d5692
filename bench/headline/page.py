#!/usr/bin/env python3
"""Writes docs/headline.md from the runs in docs/headline/DEVICE/ (the CSV files that bench/headline/run.py leaves).

usage: page.py [--check] [ROOT]

With --check nothing is written: exit status 1 where the page is not what the figures say."""
import pathlib
import sys

HERE = pathlib.Path(__file__).resolve().parent
sys.path[:0] = [str(HERE), str(HERE.parent / "common")]
import tables  # noqa: E402
from programs import renew  # noqa: E402

HEAD = """<!-- Written by bench/headline/page.py from docs/headline/: change that, not this. -->
# The headline table

What SnapMLA's paper reports in one table, run again with this library's kernels on both sides: throughput at batch 1 and 128K tokens in
BF16 and FP8, memory, perplexity, and the ablation of FP8 and pipelining. To measure a GPU and renew this page, from a `portable` build:

    python3 bench/headline/run.py --perplexity ACCURACY/perplexity.csv OUTDIR     # 150 seconds; ACCURACY: of bench/accuracy/run.sh
    cp OUTDIR/*.csv docs/headline/DEVICE/
    python3 bench/headline/page.py

The layer step goes on to the layer's output, by W_O (`--hidden 7168`, DeepSeek-V3's), which then counts in its byte floor; with `--hidden 0` it ends with the heads'
values. Runs whose layer step is not said to have W_O were made before it did.
"""
NONE = "\nNo run on a GPU is kept here yet.\n"


def page(root):
    folder = root / "docs" / "headline"
    devices = sorted(p for p in folder.iterdir() if p.is_dir()) if folder.is_dir() else []
    return HEAD + ("".join("\n" + "\n".join(tables.section(device)) + "\n" for device in devices) or NONE)


def main():
    renew(__doc__, HERE.parents[1], lambda root: [(root / "docs" / "headline.md", page(root))], "python3 bench/headline/page.py")


if __name__ == "__main__":
    main()
