"""The tokens of prepare.py, and batches of them."""

import numpy as np


def load(path):
    """(vocabulary size, tokens to train on, tokens held out), the tokens as int64 arrays of one dimension."""
    with np.load(path) as file:
        parts = [file[f"{name}_low"].astype(np.int64) | file[f"{name}_high"].astype(np.int64) << 8
                 for name in ("train", "held_out")]  # fmt: skip
        return int(file["vocab"]), parts[0], parts[1]


def sequences(tokens, length, count, seed=None):
    """[count, length]: windows of `length`, random with a seed, else one after another from the start; fewer where the tokens
    end. Each begins with token 0, as the first of a sequence always does."""
    if len(tokens) < length:
        raise ValueError(f"{len(tokens)} tokens are fewer than a sequence of {length}: prepare more text")
    if seed is None:
        starts = np.arange(min(count, len(tokens) // length)) * length
    else:
        starts = np.random.default_rng(seed).integers(0, len(tokens) - length + 1, count)
    out = np.stack([tokens[start : start + length] for start in starts])
    out[:, 0] = 0
    return out
