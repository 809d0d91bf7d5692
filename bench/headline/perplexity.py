"""What bench/accuracy measured, in a row for each scenario and way: the change against our bf16, paired by blocks of the same text."""

import pathlib
import sys

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "accuracy"))
from interval import interval  # noqa: E402

BASE = "bf16"


def summary(rows):
    """Of perplexity.csv's rows (sums of nats by blocks). Blocks that the baseline lacks, and those cut short by a sequence's end, are left
    out."""
    whole = max(int(r["tokens"]) for r in rows)
    nats = {}
    for r in rows:
        if int(r["tokens"]) == whole:
            nats.setdefault((r["scenario"], r["way"]), {})[int(r["sequence"]), int(r["first_token"])] = float(r["nats"]) / whole
    out = []
    for (scenario, way), blocks in nats.items():
        base = nats.get((scenario, BASE), {})
        shared = sorted(blocks.keys() & base.keys())
        if way == BASE or not shared:
            continue
        mean, half = interval(blocks[key] - base[key] for key in shared)
        out.append({"scenario": scenario, "way": way, "nats": f"{mean:.8f}", "half_width": f"{half:.8f}", "blocks": len(shared),
                    "context": max(at for _, at in shared) + whole})  # fmt: skip
    if not out:
        sys.exit(f"the perplexity CSV has no way beside {BASE} in any scenario: evaluate {BASE} and another")
    return out
