"""What a device's section of docs/performance.md has only where it was measured: the layer step, a request over several GPUs."""

import pathlib
import sys

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent / "common"))
from programs import read, table

STAGES = ("append", "absorb", "attend", "project", "output")


def tokens_text(tokens):
    return f"{tokens // 1024}K" if tokens and tokens % 1024 == 0 else str(tokens)


def step_rows(rows, gb_per_s):
    """A row for each shape and kind of layer.csv: the step, each stage alone, and what part of the step its bytes alone would take."""
    steps = {}
    for r in rows:
        key = int(r["batch"]), int(r["heads"]), int(r["tokens"]), r["format"], r["weights"]
        steps.setdefault(key, {})[r["stage"]] = r
    for key, stages in steps.items():
        batch, heads, tokens, cache, weights = key
        whole, base = stages["step"], steps.get((*key[:3], "bf16", "bf16"), {}).get("step")
        us = float(whole["us_per_layer"])
        yield [f"{batch}, {heads}, {tokens_text(tokens)}", cache, weights, f"{us:.1f}",
               f"{float(base['us_per_layer']) / us:.2f}" if base else "–", f"{100 * float(whole['bytes']) / gb_per_s * 1e-3 / us:.0f} %",
               *(f"{float(stages[name]['us_per_layer']):.1f}" if name in stages else "–" for name in STAGES)]  # fmt: skip


def layer_part(folder, gb_per_s):
    """Of layer.csv, as snapmla-bench-layer leaves it. `gb_per_s`: the device's memory ceiling."""
    path = folder / "layer.csv"
    if not path.exists():
        return
    notes, rows = read(path)
    facts = dict(note.split(": ", 1) for note in notes if ": " in note)
    hidden, layers = int(rows[0]["hidden"]), rows[0]["layers"]
    yield from ["", "### Layer step", ""]
    yield (f"µs of a layer of {layers}, one graph of a decode step replayed, {facts['date'].strip()} (`{facts['command'].strip()}`): append, absorb, attend, up-project"
           + (f" and the output of {hidden} channels by W_O" if hidden else "") + " ([layer.md](layer.md)). *Floor*: its weights and its requests' cached tokens at the "
           "memory ceiling above. Stages alone do not add up to the step, in which the start of one overlaps the end of the last.")  # fmt: skip
    yield ""
    yield from table(["batch, heads, tokens", "cache", "weights", "step", "bf16 / this", "floor, of it", *STAGES], step_rows(rows, gb_per_s))


def shards_part(folder):
    """Of shards*.csv, as examples/shards/decode.py --csv leaves them."""
    rows = [r for path in sorted(folder.glob("shards*.csv")) for r in read(path)[1]]
    if not rows:
        return
    yield from ["", "### A request over several GPUs", ""]
    yield ("`examples/shards/decode.py`, a process each: pages dealt in turn, the exchange by NCCL, the merge by the plan's kernel ([shards.md](shards.md)). µs of a step "
           "(schedule, decode, exchange, merge), of its schedule and decode alone and of the merge's kernel alone, one after the other with nothing flushed between; "
           "distances are from double precision over unquantised tokens, and *bits* says whether all ranks, and replays and calls, had the same.")  # fmt: skip
    yield ""
    yield from table(["tokens", "GPUs", "heads", "cache", "by", "step", "decode", "merge", "relative L2", "lse", "bits"], [
        [tokens_text(int(r["tokens"])), r["ranks"], r["heads"], r["format"], r["way"], *(r[name] or "–" for name in ("step_us", "decode_us", "merge_us")),
         r["rel_l2"], r["lse_error"], "same" if r["same_bits"] == "1" else "**differ**"] for r in rows])  # fmt: skip
