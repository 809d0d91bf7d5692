"""The parts of docs/performance.md that say what hardware counters and clocks did: of counters.csv (bench/decode/counters.py) and clocks.csv (bench/decode/clocks.py)."""

import math

from programs import read, table
from report_parts import check_device, facts_of, shape_text

# What a table shows of ncu's sections: the metric, what the column is called, its divisor and its digits.
COUNTED = (("Duration", "µs", 1e3, 1), ("SM Frequency", "MHz", 1e6, 0), ("DRAM Throughput", "memory, %", 1, 0), ("L2 Cache Throughput", "L2, %", 1, 0),
           ("L1/TEX Cache Throughput", "shared-memory port, %", 1, 0), ("Issue Slots Busy", "issue slots, %", 1, 0), ("No Eligible", "no warp ready, %", 1, 0),
           ("dram__bytes_read.sum", "MB read", 1e6, 1), ("smsp__inst_executed.sum", "M instructions of warps", 1e6, 1),
           ("l1tex__data_pipe_lsu_wavefronts_mem_shared.sum", "M wavefronts", 1e6, 2), ("Local Memory Spilling Requests", "spills", 1, 0))  # fmt: skip


def named(shape):
    """1,16,131072 or 128,128,8192,bf16 or 128,128,32768,fp8_token,2048 as pages have it."""
    batch, heads, tokens, kv_format, top = (shape.split(",") + ["", ""])[:5]
    return shape_text((int(batch), int(heads), int(tokens), int(top or 0))), kv_format or "fp8_token"


def cell(value, divisor, digits):
    """A number, or a dash where ncu has none."""
    try:
        number = float(value) / divisor
    except (TypeError, ValueError):
        return "–"
    return f"{number:.{digits}f}" if math.isfinite(number) else "–"


def counters_part(folder, product):
    path = folder / "counters.csv"
    if not path.exists():
        return
    notes, rows = read(path)
    check_device(path, facts_of(notes)["device"], product)
    shapes = {}
    for r in rows:
        shapes.setdefault(r["shape"], {})[r["metric"]] = r["value"]
    yield from ["", "### Counters", ""]
    yield (f"The decode kernel alone, by Nsight Compute (`python3 bench/decode/counters.py PROGRAM OUTDIR/counters.csv`, {facts_of(notes)['date']}): one launch, replayed in passes with caches emptied between, clocks as they are, the "
           f"variant that a plan takes. Percentages are of ncu's own peaks; wavefronts are the port's, without copies. Everything counted: `docs/performance/{folder.name}/counters.csv`.")  # fmt: skip
    yield ""
    yield from table(["batch, heads, tokens", "format", *(name for _, name, _, _ in COUNTED)],
                     [[*named(shape), *(cell(of.get(metric), divisor, digits) for metric, _, divisor, digits in COUNTED)] for shape, of in shapes.items()])  # fmt: skip


def clocks_part(folder, product):
    path = folder / "clocks.csv"
    if not path.exists():
        return
    notes, rows = read(path)
    facts = facts_of(notes)
    check_device(path, facts["device, driver, power limit"], product)
    yield from ["", "### Clocks under load", ""]
    yield (f"By nvidia-smi five times a second under runs of snapmla-bench-decode one after another, a thousand of each part of a step with nothing between them "
           f"(`python3 bench/decode/clocks.py snapmla-bench-decode OUTDIR/clocks.csv`, {facts['date']}); what a run starts with, making its cache, is sampled as well and weighs the more the shorter the step. Power limit "
           f"{facts['device, driver, power limit'].split(', ')[-1]}. *Capped*: samples whose reason was SW power cap (0x4).")  # fmt: skip
    yield ""
    yield from table(["batch, heads, tokens", "SM, MHz, median", "least", "memory, MHz", "W, median", "most", "°C", "samples", "capped"],
                     [[named(r["shape"])[0], r["sm_mhz_median"], r["sm_mhz_least"], r["mem_mhz"], r["power_w_median"], r["power_w_most"], r["temperature_c"], r["samples"],
                       str(sum(int(count) for mask, count in (word.split(":") for word in r["reasons"].split()) if int(mask, 16) & 4))] for r in rows])  # fmt: skip
