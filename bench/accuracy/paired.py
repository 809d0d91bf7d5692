"""Differences of per-token losses between two ways to attend, token by token of the same text, with a confidence interval.

Neighbouring tokens err alike, so the unit is a block of neighbours: the mean difference of each block is one sample, and the interval is
Student's of those means (interval.py)."""

import math

import numpy as np
from interval import gate, interval, percent


def blocks_of(losses, baseline, block, exact=None):
    """One sequence's blocks of `block` tokens, the last perhaps shorter: [(first token, tokens, nats, squared differences to the baseline,
    and to `exact`: nan without)], sums. All [tokens] in nats. A sequence shorter than a block is one."""
    losses = np.asarray(losses, np.float64)
    block = min(block, len(losses))
    squares = [(losses - (np.nan if other is None else np.asarray(other, np.float64))) ** 2 for other in (baseline, exact)]
    return [(at, len(losses[at : at + block]), *(float(x[at : at + block].sum()) for x in (losses, *squares)))
            for at in range(0, len(losses), block)]  # fmt: skip


def compare_blocks(blocks, baseline, squares=3):
    """Two lists of the same blocks. Those shorter than the longest tell nothing of their own: they count for the rms alone, whose squares
    are member `squares`."""
    whole = max(b[1] for b in blocks)
    means = [(b[2] - base[2]) / whole for b, base in zip(blocks, baseline) if b[1] == whole]
    mean, half = interval(means)
    tokens = sum(b[1] for b in blocks)
    return {
        "nats": mean,
        "nats_half_width": half,
        "perplexity_percent": percent(mean),
        "perplexity_percent_low": percent(mean - half),
        "perplexity_percent_high": percent(mean + half),
        "gate": gate(mean, half),
        "token_rms": math.sqrt(sum(b[squares] for b in blocks) / tokens),
        "tokens": tokens,
        "blocks": len(means),
    }


def compare(losses, baseline, block):
    """losses, baseline [sequences, tokens] in nats."""
    pairs = list(zip(losses, baseline))
    return compare_blocks([b for row, base in pairs for b in blocks_of(row, base, block)],
                          [b for _, base in pairs for b in blocks_of(base, base, block)])  # fmt: skip
