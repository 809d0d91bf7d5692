#!/usr/bin/env python3
"""Fails where README.md's figures are not those of the H100 in docs/performance/, or those that docs/performance/limits.md names a file for not that
file's (bench/figures.py).

usage: readme_figures.py [ROOT]
"""
import pathlib
import sys

HERE = pathlib.Path(__file__).resolve().parent
sys.path[:0] = [str(HERE), str(HERE / "common")]
import figures
from programs import read, text_of
from report import pick

DEVICE, BATCH, TOKENS = "h100", 128, 8192


def figures_of(folder, name, heads):
    """Microseconds of decode and combine as text, and percent of the memory's ceiling."""
    row = pick(read(folder / name)[1], "decode+combine")[BATCH, heads, TOKENS, 0]
    return f"{float(row['median_us']):.0f}", f"{float(row['percent_memory']):.0f}"


def sentence(folder):
    (few, of_few), (many, of_many) = (figures_of(folder, "decode.csv", heads) for heads in (16, 128))
    few_bf16, many_bf16 = (figures_of(folder, "decode-bf16.csv", heads)[0] for heads in (16, 128))
    return (f"decode and merge of {BATCH} requests of {TOKENS} tokens: {few} µs with 16 heads (memory's floor is {of_few} % of that; "
            f"our bf16 kernels {few_bf16} µs), {many} µs with 128 heads ({of_many} %; bf16 {many_bf16}).")  # fmt: skip


def complaints(root):
    """What is to be written anew by hand."""
    performance = root / "docs" / "performance"
    due = sentence(performance / DEVICE)
    if due not in " ".join(text_of(root / "README.md").split()):
        yield f"README.md does not say what docs/performance/{DEVICE}/ does: {due}"
    yield from figures.complaints(performance / "limits.md", performance)


def main():
    if len(sys.argv) > 2 or any(a.startswith("-") for a in sys.argv[1:]):
        sys.exit(__doc__)
    if wrong := [*complaints(pathlib.Path(sys.argv[1]) if sys.argv[1:] else HERE.parent)]:
        sys.exit("\n".join(wrong))


if __name__ == "__main__":
    main()
