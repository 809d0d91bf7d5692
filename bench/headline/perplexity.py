#!/usr/bin/env python3
"""usage: perplexity.py PERPLEXITY.csv OUT.csv

What bench/accuracy measured, in a row for each scenario and way: the change against our bf16, paired by blocks of the same text, and
what bf16 itself makes (bench/accuracy/noise.py) where that was evaluated."""

import pathlib
import sys

HERE = pathlib.Path(__file__).resolve().parent
sys.path[:0] = [str(HERE.parent / folder) for folder in ("accuracy", "common")]
import noise  # noqa: E402
from cases import BASE  # noqa: E402
from interval import interval  # noqa: E402
from programs import read, write  # noqa: E402

NOISE = ["rms", "own_nats", "own_half_width", "own_rms", "holds_zero", "no_larger", "no_wider"]  # of noise.judge


def summary(rows):
    """Of perplexity.csv's rows (sums of nats by blocks). Blocks that the baseline lacks, and those cut short by a sequence's end, are left
    out."""
    if rows and "half_width" in rows[0]:
        sys.exit("the perplexity CSV is a summary already, as runs leave it in OUTDIR and docs/headline: name the one that bench/accuracy/run.sh wrote")
    whole = max(int(r["tokens"]) for r in rows)
    nats = {}
    for r in rows:
        if int(r["tokens"]) == whole:
            nats.setdefault((r["scenario"], r["way"]), {})[int(r["sequence"]), int(r["first_token"])] = float(r["nats"]) / whole
    squared = noise.blocks_of((r["scenario"], r["way"], int(r["sequence"]), int(r["first_token"]), int(r["tokens"]), float(r["nats"]),
                               float(r.get("squares") or "nan")) for r in rows)  # fmt: skip
    out = []
    for (scenario, way), blocks in nats.items():
        base = nats.get((scenario, BASE), {})
        shared = sorted(blocks.keys() & base.keys())
        if way == BASE or not shared:
            continue
        mean, half = interval(blocks[key] - base[key] for key in shared)
        judged = noise.judge(squared, scenario, way) or dict.fromkeys(NOISE, "")
        figures = (judged[name] for name in NOISE)
        out.append({"scenario": scenario, "way": way, "nats": f"{mean:.8f}", "half_width": f"{half:.8f}", "blocks": len(shared),
                    "context": max(at for _, at in shared) + whole,
                    **{name: f"{f:.8f}" if isinstance(f, float) else f for name, f in zip(NOISE, figures)}})  # fmt: skip
    if not out:
        sys.exit(f"the perplexity CSV has no way beside {BASE} in any scenario: evaluate {BASE} and another")
    return out


def main():
    if len(sys.argv) != 3:
        sys.exit(__doc__)
    source, target = map(pathlib.Path, sys.argv[1:])
    notes, rows = read(source)
    write(target, notes, summary(rows))


if __name__ == "__main__":
    main()
