"""Differences of per-token losses between two ways to attend, token by token of the same text, with a confidence interval.

Neighbouring tokens err alike, so the unit is a block of neighbours: the mean difference of each block is one sample, and the interval is
Student's of those means (interval.py)."""

import numpy as np
from interval import gate, interval, percent


def compare(losses, baseline, block):
    """losses, baseline [sequences, tokens] in nats. The tokens past the last whole block are left out, unless there is none."""
    difference = np.asarray(losses, np.float64) - np.asarray(baseline, np.float64)
    block = min(block, difference.shape[1])
    whole = difference.shape[1] // block * block
    means = difference[:, :whole].reshape(-1, block).mean(1)
    mean, half = interval(means)
    return {
        "nats": mean,
        "nats_half_width": half,
        "perplexity_percent": percent(mean),
        "perplexity_percent_low": percent(mean - half),
        "perplexity_percent_high": percent(mean + half),
        "gate": gate(mean, half),
        "token_rms": float(np.sqrt((difference**2).mean())),
        "tokens": int(difference.size),
        "blocks": len(means),
    }
