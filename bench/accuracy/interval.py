"""The mean of samples with its 95 % interval, and the gate on what a format costs. Python's standard library alone: the headline table is
made where no numpy is."""

import math
import statistics

GATE = math.log1p(0.001)  # nats: a format may cost 0.1 % of perplexity; open: the interval holds the gate
QUANTILE = [12.71, 4.30, 3.18, 2.78, 2.57, 2.45, 2.36, 2.31, 2.26, 2.23, 2.20, 2.18, 2.16, 2.14, 2.13, 2.12, 2.11, 2.10, 2.09,
            2.09, 2.08, 2.07, 2.07, 2.06, 2.06, 2.06, 2.05, 2.05, 2.05]  # fmt: skip


def interval(samples):
    """(mean, half the width of the 95 % interval, Student's; the normal quantile from 31 samples up); no width with fewer than two."""
    samples = [float(s) for s in samples]
    n = len(samples)
    if n < 2:
        return (samples[0] if n else math.nan), math.nan
    t = QUANTILE[n - 2] if n - 2 < len(QUANTILE) else 1.96
    return statistics.fmean(samples), t * statistics.stdev(samples) / math.sqrt(n)


def gate(mean, half):
    """What an interval in nats says of the gate."""
    return "met" if mean + half <= GATE else "missed" if mean - half > GATE else "open"


def percent(nats):
    """Of perplexity."""
    return 100 * math.expm1(nats)
