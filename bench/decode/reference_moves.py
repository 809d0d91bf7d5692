#!/usr/bin/env python3
"""How often a row's reference moves (templates/mla_decode/reference.inc): the share of a block's tiles in which one of 64 rows moves, by the standard
deviation of its logits, simulated for normal scores and runs of 128 tiles of 64 tokens, a run's first tile not counted.

usage: reference_moves.py [BLOCKS [LOWERED_BELOW FIRST RAISED LOWERED]...]     # 20 blocks, as e4m3 of one term has it; others beside it

LOWERED_BELOW: the binades below a reference at which a tile's largest lowers it; FIRST, RAISED, LOWERED: the headroom, in binades, that a run's first tile
gets, a tile that raises the reference and one that lowers it.
"""
import math
import pathlib
import random
import re
import statistics
import sys

SIGMAS = (0.5, 1.67, 2.5, 3.2, 4)
ROWS, TILES, TOKENS = 64, 128, 64
SOURCE = pathlib.Path(__file__).resolve().parents[2] / "templates" / "mla_decode" / "reference.inc"


def as_it_is():
    """What raises a reference, and what lowers it, headroom at first, when raised and when lowered, of e4m3 of one term: the binades in the templates."""
    found = re.search(r"e4m3 = two_terms and {[^}]*} or { ([\d.]+), (\d+), (\d+), (\d+), (\d+),", SOURCE.read_text(encoding="utf-8"))
    if not found:
        sys.exit(f"{SOURCE} has no line `e4m3 = two_terms and {{...}} or {{...}}` any more: say here where its binades are now")
    return float(found[1]), tuple(int(binades) for binades in found.groups()[1:])


def largest(normal, sigma):
    """Of a tile's scores, base 2."""
    return normal.inv_cdf(random.random() ** (1 / TOKENS)) * sigma / math.log(2)


def moves(tops, raised_above, lowered_below, first, raised, lowered):
    """The tiles whose largest score moves a row's reference."""
    reference = math.ceil(tops[0]) + first
    for tile, top in enumerate(tops[1:], 1):
        if top > reference + raised_above or top < reference - lowered_below:
            reference = math.ceil(top) + (raised if top > reference else lowered)
            yield tile


def main():
    try:
        numbers = [int(word) for word in sys.argv[1:]]
    except ValueError:
        sys.exit(__doc__)
    if len(numbers) % 4 > 1 or any(number < 0 for number in numbers) or numbers[:1] == [0]:
        sys.exit(__doc__)
    blocks = numbers[0] if numbers else 20
    raised_above, own = as_it_is()
    kinds = [own, *zip(*[iter(numbers[1:])] * 4)]
    random.seed(1)
    normal = statistics.NormalDist()
    print("sigma   " + "".join(f"{'2^-%d, 2^%d, 2^%d, 2^%d' % kind:>24}" for kind in kinds))
    for sigma in SIGMAS:
        moved = [set() for _ in kinds]
        for row in range(blocks * ROWS):
            tops = [largest(normal, sigma) for _ in range(TILES)]
            for tiles, kind in zip(moved, kinds):
                tiles.update((row // ROWS, tile) for tile in moves(tops, raised_above, *kind))
        print(f"{sigma:<8}" + "".join(f"{len(tiles) / blocks / (TILES - 1):>23.1%} " for tiles in moved))


if __name__ == "__main__":
    main()
