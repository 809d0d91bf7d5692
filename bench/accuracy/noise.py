"""The noise of bf16: what a bf16 cache itself does to a text, and whether a way's change against bf16 is within it.

bf16 is compared with torch's fp32 attention on latents and keys that no cache has rounded (torch_fp32/unrounded), block by block of the same
text as the way with bf16. Two measures of each: the mean change in nats, where errors of both signs cancel, and the mean square of a token's
change, where none do. Python's standard library alone, as interval.py."""

import math

from cases import BASE, UNROUNDED
from interval import interval

SAME = {"outliers": "plain", "severe": "plain"}  # powers of two, which leave bf16 and torch every bit


def blocks_of(records):
    """{(scenario, way): {(sequence, first token): (nats, squares)}}, means of a token, of the whole blocks among (scenario, way, sequence, first
    token, tokens, nats, squares), sums."""
    records = list(records)
    whole = max((r[4] for r in records), default=0)
    out = {}
    for scenario, way, sequence, first, tokens, nats, squares in records:
        if tokens == whole:
            out.setdefault((scenario, way), {})[sequence, first] = nats / whole, squares / whole
    return out


def verdict(excess, half):
    """Of what an interval says is too much: met where all of it is at most 0, missed where all is above."""
    return "met" if excess + half <= 0 else "missed" if excess - half > 0 else "open"


def side(mean, half):
    """Of 0 an interval lies on: 1 above, -1 below, 0 where it holds 0 or has no width that is known."""
    return 1 if mean > half else -1 if mean < -half else 0


def no_larger(change, own):
    """Whether the mean of `change` is, either way, at most that of `own`: so where own - change and own + change, whose product is
    own² - change², have one sign. Neither mean's own sign is asked for, which the samples may not tell."""
    less, more = (side(*interval(samples)) for samples in ([o - c for c, o in zip(change, own)], [o + c for c, o in zip(change, own)]))
    return {1: "met", -1: "missed"}.get(less * more, "open")


def judge(blocks, scenario, way):
    """What the blocks say of a way; None where it, bf16 or the unrounded way is missing."""
    where = scenario if (scenario, UNROUNDED) in blocks else SAME.get(scenario, scenario)
    mine, base = blocks.get((scenario, way), {}), blocks.get((scenario, BASE), {})
    exact, rounded = blocks.get((where, UNROUNDED), {}), blocks.get((where, BASE), {})
    keys = sorted(mine.keys() & base.keys() & exact.keys() & rounded.keys())
    if way in (BASE, UNROUNDED) or not keys:
        return None
    change = [mine[k][0] - base[k][0] for k in keys]
    own = [rounded[k][0] - exact[k][0] for k in keys]
    mean, half = interval(change)
    own_mean, own_half = interval(own)
    more, more_half = interval(mine[k][1] - exact[k][1] for k in keys)  # of squares: those of the unrounded way are against bf16 as well
    rms, own_rms = (math.sqrt(sum(b[k][1] for k in keys) / len(keys)) for b in (mine, exact))
    return {
        "nats": mean, "half_width": half, "rms": rms, "own_nats": own_mean, "own_half_width": own_half, "own_rms": own_rms, "blocks": len(keys),
        "holds_zero": "open" if math.isnan(half) else "met" if abs(mean) <= half else "missed",
        "no_larger": no_larger(change, own), "no_wider": verdict(more, more_half),
    }  # fmt: skip
