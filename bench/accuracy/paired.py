"""Differences of per-token losses between two ways to attend, token by token of the same text, with a confidence interval.

Neighbouring tokens err alike, so the unit is a block of neighbours: the mean difference of each block is one sample, and the interval is
Student's of those means (normal quantile from 30 blocks up)."""

import math

import numpy as np

GATE = math.log1p(0.001)  # nats: a format may cost 0.1 % of perplexity; open: the interval holds the gate
QUANTILE = [12.71, 4.30, 3.18, 2.78, 2.57, 2.45, 2.36, 2.31, 2.26, 2.23, 2.20, 2.18, 2.16, 2.14, 2.13, 2.12, 2.11, 2.10, 2.09,
            2.09, 2.08, 2.07, 2.07, 2.06, 2.06, 2.06, 2.05, 2.05, 2.05]  # fmt: skip


def interval(samples):
    """(mean, half the width of the 95 % interval); no width with fewer than two."""
    samples = np.asarray(samples, np.float64)
    n = len(samples)
    if n < 2:
        return (float(samples.mean()) if n else math.nan), math.nan
    t = QUANTILE[n - 2] if n - 2 < len(QUANTILE) else 1.96
    return float(samples.mean()), t * float(samples.std(ddof=1)) / math.sqrt(n)


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
        "perplexity_percent": 100 * math.expm1(mean),
        "perplexity_percent_low": 100 * math.expm1(mean - half),
        "perplexity_percent_high": 100 * math.expm1(mean + half),
        "gate": "met" if mean + half <= GATE else "missed" if mean - half > GATE else "open",
        "token_rms": float(np.sqrt((difference**2).mean())),
        "tokens": int(difference.size),
        "blocks": len(means),
    }
