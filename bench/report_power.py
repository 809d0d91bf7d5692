"""The part of docs/performance.md that says what the card draws: of power.csv (snapmla-bench-power)."""

import math

from programs import read, table
from report_counters import cell
from report_parts import check_device, facts_of, microseconds, shape_text

# The loads that are no decode step.
UNITS = {"scores": "products as of QK: wgmma e4m3, N = 64, A in shared memory", "values": "products as of PV: the same, A in registers",
         "read": "page images, read", "nothing": "`nothing`"}  # fmt: skip
CONTENT, ROPE, TOKEN_BYTES = 512, 64, 644  # channels, and what fp8_token keeps of a token
BLOCK_ROWS, NARROW_HEADS = 64, 32


def number(row, name):
    """NaN where the cell is empty."""
    return float(row[name]) if row[name] else math.nan


def time_text(us):
    return microseconds(us) if math.isfinite(us) else "–"


def speed(load):
    """Operations or bytes a microsecond."""
    return (number(load, "flop") or number(load, "bytes")) / number(load, "us")


def speed_text(load):
    if not math.isfinite(speed(load)):
        return "–"
    return f"{speed(load) / 1e6:.0f} TFLOP/s" if number(load, "flop") else f"{speed(load) / 1e3:.0f} GB/s"


def work_of(batch, heads, tokens):
    """What a step asks of each load: operations, RoPE's in bf16 twice, and bytes."""
    row_tokens = batch * tokens * BLOCK_ROWS * math.ceil(heads / BLOCK_ROWS)
    return {"scores": row_tokens * 2 * (CONTENT + 2 * ROPE), "values": row_tokens * 2 * CONTENT, "read": batch * tokens * TOKEN_BYTES}


def least_us(shape, loads, most):
    """The least time by power of a shape (batch, heads, tokens). `loads`: rows by name; `most`: the most W that any load drew. NaN where one of them or a number of it is
    missing, and where products are narrower than the loads'."""
    if shape[1] <= NARROW_HEADS or not loads.keys() >= UNITS.keys():
        return math.nan
    idle = number(loads["nothing"], "watts")
    if not most > idle:
        return math.nan
    times = {name: amount / speed(loads[name]) for name, amount in work_of(*shape).items()}
    by_power = sum(us * (number(loads[name], "watts") - idle) for name, us in times.items()) / (most - idle)
    return max(by_power, times["scores"] + times["values"], times["read"])  # NaN, being first, stays


def unit_rows(loads):
    idle = number(loads["nothing"], "watts") if "nothing" in loads else math.nan
    for name, what in UNITS.items():
        if name in loads:
            r = loads[name]
            yield [what, speed_text(r), cell(r["watts"], 1, 0), cell(r["sm_mhz"], 1, 0), cell(number(r, "watts") - idle, 1, 0)]


def step_rows(steps, loads, most):
    for r in steps:
        shape, us = tuple(int(r[name]) for name in ("batch", "heads", "tokens")), number(r, "us")
        least = least_us(shape, loads, most)
        share = 100 * least / us
        yield [shape_text((*shape, 0)), time_text(us), cell(r["watts"], 1, 0), cell(r["sm_mhz"], 1, 0),
               cell(us * number(r, "watts"), 1e3, 1), time_text(least), f"{share:.0f} %" if math.isfinite(share) else "–"]  # fmt: skip


def power_part(folder, product):
    path = folder / "power.csv"
    if not path.exists():
        return
    notes, rows = read(path)
    facts = facts_of(notes)
    check_device(path, facts["device"], product)
    loads, steps = {r["load"]: r for r in rows if r["load"] in UNITS}, [r for r in rows if r["load"] == "decode"]
    most = max((number(r, "watts") for r in rows if r["watts"]), default=math.nan)
    yield from ["", "### Power", ""]
    yield (f"What the whole card draws, by NVML's energy, while it does one thing alone, launches queued one behind another: each for {facts['each']} (`{facts['command']}`, {facts['date']}). "
           "L2 is not flushed. The clock is that of the multiprocessors as NVML tells it, the mean.")  # fmt: skip
    yield ""
    yield from table(["load", "rate", "W", "MHz", "W above `nothing`"], unit_rows(loads))
    if not steps:
        return
    yield ""
    yield (f"Steps of `fp8_token`, level `fast`: decode and combine, the query quantised before. *mJ*: of the whole card. *Least by power* is derived: the time in which the card could spend, above what it draws "
           f"doing nothing, what scores, values and reading alone spend above it. It draws {cell(most, 1, 0)} W meanwhile, the most that any load drew. The time is at least that of scores and values one after the other, and that of reading. "
           f"Scores are 2 · ({CONTENT} + 2 · {ROPE}) operations a row and token (the {ROPE} RoPE channels in bf16 count twice, being half as fast), values 2 · {CONTENT}; rows are the heads, filled up to a multiple of {BLOCK_ROWS}; "
           f"a token has {TOKEN_BYTES} bytes. With {NARROW_HEADS} heads and fewer, products are of N = 32 at most and slower than the loads', which say nothing of them: dashes.")  # fmt: skip
    yield ""
    yield ("Left out are softmax, promotion, moving tiles within the multiprocessor, and a page that two blocks read. But products at a lower clock and voltage spend less than the loads', and what busy multiprocessors "
           "spend in any case is in each of the three loads. So it is an estimate, no bound, and may be too high by some percent; above 100 % it is.")  # fmt: skip
    yield ""
    yield from table(["batch, heads, tokens", "µs", "W", "MHz", "mJ", "least by power, µs", "of the time"], step_rows(steps, loads, most))
