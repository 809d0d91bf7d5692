"""What a device's section of docs/performance.md has only where it was measured: levels, several query tokens, the layer step, a request over
several GPUs, the tests."""

import json
import pathlib
import sys

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent / "common"))
from programs import read, table, text_of

STAGES = ("append", "absorb", "attend", "project", "output")
SHARDS_HEAD = "date", "command", "device", "driver release", "torch", "runs", "build"
PART = "part", "result", "seconds"
TESTS = (("parts.tsv", "gpu.sh", "Correctness", PART), ("matrix.tsv", "gpu_matrix.sh", "Every pair of options", PART),
         ("python.tsv", "gpu_python.sh", "The Python package", (*PART, "tests", "passed", "skipped")))  # fmt: skip


def facts_of(notes):
    """Of head lines `NAME: TEXT`; a file from before they were written has none."""
    return {name: text.strip() for name, text in (note.split(": ", 1) for note in notes if ": " in note)}


def check_device(path, device, product):
    """`device`: a product's name, or the text of a head line, in which it stands between commas. A file that does not say is taken."""
    if device and product not in device.split(", "):
        sys.exit(f"{path}: measured on {device}, and the folder's decode.csv on {product}: move it to the folder of its device")


def is_replay(row):
    """Decode and combine, in replayed graphs, L2 emptied by reading: what tables are of."""
    return (row["part"], row["mode"], row["flush"]) == ("decode+combine", "graph", "read")


def shape_of(row):
    """A file from before there were several query tokens is of one."""
    return tuple(int(row.get(name, 1)) for name in ("batch", "heads", "tokens", "top", "q_len"))


def times_of(path, product, kind):
    """{shape: row} of the set `kind` in a file of snapmla-bench-decode, or nothing where there is none."""
    if not path.exists():
        return {}
    notes, rows = read(path)
    check_device(path, facts_of(notes).get("device"), product)
    return {shape_of(r): r for r in rows if is_replay(r) and r["set"] == kind}


def shape_text(shape):
    batch, heads, tokens, top = shape[:4]
    return f"{batch}, {heads}, " + (f"top {top} of " if top else "") + tokens_text(tokens)


def microseconds(value):
    return f"{value:.1f}" if value < 1000 else f"{value:.0f}"


def levels_part(folder, product):
    """Of decode-balanced.csv and decode-max.csv beside decode.csv."""
    levels = {name: times_of(folder / f"{file}.csv", product, "target")
              for name, file in (("fast", "decode"), ("balanced", "decode-balanced"), ("max", "decode-max"))}  # fmt: skip
    others = [name for name in ("balanced", "max") if levels[name]]
    if not others:
        return
    yield from ["", "### Levels", ""]
    yield ("`fp8_token`, decode and combine, µs, after a flush by reading, and how many times what `fast` takes "
           "([accuracy.md](accuracy.md) says what a level gives). Dashes: not measured.")  # fmt: skip
    yield ""
    yield from table(["batch, heads, tokens", "fast", *others, *(f"{name} / fast" for name in others)], level_rows(levels, others))


def level_rows(levels, others):
    for shape, row in levels["fast"].items():
        fast = float(row["median_us"])
        times = [float(levels[name][shape]["median_us"]) if shape in levels[name] else None for name in others]
        yield [shape_text(shape), microseconds(fast), *(microseconds(t) if t else "–" for t in times), *(f"{t / fast:.2f}" if t else "–" for t in times)]


def speculative_part(folder, product):
    """Of decode-speculative.csv; one query token is decode.csv's."""
    several = times_of(folder / "decode-speculative.csv", product, "speculative")
    if not several:
        return
    one = times_of(folder / "decode.csv", product, "context")
    yield from ["", "### Several query tokens", ""]
    yield ("`fp8_token`, level `fast`; decode and combine, µs, after a flush by reading. *Rows* are heads × query tokens; *one token*: the same requests decoded one token at a "
           "time; *each* is the time by query token, over that of one. *Of the ceilings*: what memory or tensor cores alone would take, of the time.")  # fmt: skip
    yield from clock_text(several.values())
    yield ""
    header = ["batch, heads, tokens", "query tokens", "rows", "µs", "one token", "each, of one", "of the ceilings", *clock_header(several.values())]
    yield from table(header, speculative_rows(several, one))


def speculative_rows(several, one):
    for shape, row in several.items():
        heads, q_len, us = shape[1], shape[4], float(row["median_us"])
        alone = float(one[(*shape[:4], 1)]["median_us"]) if (*shape[:4], 1) in one else None
        shares = [(float(row[name]), what) for name, what in (("percent_memory", "memory"), ("percent_tensor", "tensor")) if row[name]]
        share = max(shares, default=None)
        yield [shape_text(shape), str(q_len), str(heads * q_len), microseconds(us), microseconds(alone) if alone else "–",
               f"{us / q_len / alone:.2f}" if alone else "–", f"{share[0]:.0f} %, {share[1]}" if share else "–",
               *clock_cells(several.values(), row)]  # fmt: skip


def tokens_text(tokens):
    return f"{tokens // 1024}K" if tokens and tokens % 1024 == 0 else str(tokens)


def clock_header(rows):
    """A column for the clock, where any of the rows has one: files from before it was asked have none, nor has the emulator."""
    return ["MHz"] if any(r.get("sm_mhz") for r in rows) else []


def clock_cells(rows, row):
    """Of `row`, one of `rows`, under that header."""
    return [row.get("sm_mhz") or "–" for _ in clock_header(rows)]


def clock_text(rows):
    """What such a column is."""
    return ["*MHz*: the multiprocessors' clock, counted before the flush and right after each run that was timed, the mean of both; the median. Inside the decode kernel it is lower, as *Counters* tells." for _ in clock_header(rows)]


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
    facts = facts_of(notes)
    hidden, layers = int(rows[0]["hidden"]), rows[0]["layers"]
    yield from ["", "### Layer step", ""]
    yield (f"µs of a layer of {layers}, one graph of a decode step replayed, {facts['date']} (`{facts['command']}`): append, absorb, attend, up-project"
           + (f" and the output of {hidden} channels by W_O" if hidden else "") + " ([layer.md](layer.md)). *Floor*: its weights and its requests' cached tokens at the "
           "memory ceiling above. Stages alone do not add up to the step, in which the start of one overlaps the end of the last.")  # fmt: skip
    yield ""
    yield from table(["batch, heads, tokens", "cache", "weights", "step", "bf16 / this", "floor, of it", *STAGES], step_rows(rows, gb_per_s))


def shards_part(folder, product):
    """Of shards*.csv, as examples/shards/decode.py --csv leaves them, on GPUs of the name `product`."""
    files = [(path, *read(path)) for path in sorted(folder.glob("shards*.csv"))]
    if not files:
        return
    for path, _, rows in files:
        for row in rows:
            check_device(path, row["device"], product)
    yield from ["", "### A request over several GPUs", ""]
    yield ("`examples/shards/decode.py`, a process each: pages dealt in turn, the exchange by NCCL, the merge by the plan's kernel ([shards.md](shards.md)). µs of a step "
           "(schedule, decode, exchange, merge), of its schedule and decode alone and of the merge's kernel alone, one after the other with nothing flushed between: the median, "
           "± half of the distance between the quartiles; distances are from double precision over unquantised tokens, and *bits* says whether all ranks, and replays and calls, "
           "had the same.")  # fmt: skip
    yield ""
    heads = {path.name: facts_of(notes) for path, notes, _ in files}
    for name, facts in heads.items():
        if facts:
            yield f"- `{name}`: " + ", ".join(f"{fact} `{facts[fact]}`" for fact in SHARDS_HEAD if fact in facts)
    if bare := [f"`{name}`" for name, facts in heads.items() if not facts]:
        yield (f"- {', '.join(bare)}: made before the program took runs unseen at each length and told a spread; the times of short lengths, and of a file's first, "
               "may hold some of the warming up.")  # fmt: skip
    yield ""
    yield from table(["tokens", "GPUs", "heads", "cache", "by", "step", "decode", "merge", "relative L2", "lse", "bits"], [
        [tokens_text(int(r["tokens"])), r["ranks"], r["heads"], r["format"], r["way"], *(shards_time(r, name) for name in ("step", "decode", "merge")),
         r["rel_l2"], r["lse_error"], "same" if r["same_bits"] == "1" else "**differ**"] for _, _, rows in files for r in rows])  # fmt: skip


def shards_time(row, name):
    time, spread = row[f"{name}_us"], row.get(f"{name}_spread_us")
    return f"{time} ± {spread}" if time and spread else time or "–"


def tests_part(folder, product):
    """Of parts.tsv, matrix.tsv and python.tsv, as scripts/gpu.sh, scripts/gpu_matrix.sh and scripts/gpu_python.sh leave them."""
    for name, script, title, columns in TESTS:
        path = folder / name
        if not path.exists():
            continue
        lines = text_of(path).splitlines()
        facts = facts_of(line[2:] for line in lines if line.startswith("# "))
        check_device(path, facts.get("device"), product)
        yield from ["", f"### {title} on this device", ""]
        if facts:
            yield from [*(f"- {fact}: `{text}`" for fact, text in facts.items()), ""]
        rows = [line.split("\t") for line in lines if not line.startswith("#")]
        wrong = [row for row in rows if len(row) != len(columns)]
        if wrong or not rows:
            sys.exit(f"{path}: {wrong[0] if wrong else 'no rows'}, where scripts/{script} writes rows of {', '.join(columns)}: copy the file that it left in OUTDIR")
        yield from table([f"part of `scripts/{script}`", *columns[1:]], rows)


SOAK = (("decode calls", "calls"), ("of them graph replays", "replays"), ("results compared bit for bit", "compared"), ("requests compared with the oracle", "oracle_compared"),
        ("tokens attended to", "tokens"), ("visits", "visits"), ("seconds", "seconds"))  # fmt: skip
FAULTS = (("of other bits", "drifts"), ("guards touched", "guards_broken"), ("status words set", "status_words"), ("further from the oracle than their level allows", "oracle_unlike"),
          ("failed", "failed"))  # fmt: skip


def soak_part(folder, product):
    """Of soak.json, the state that snapmla-soak's visits leave."""
    path = folder / "soak.json"
    if not path.exists():
        return
    try:
        state = json.loads(text_of(path))
    except ValueError as error:
        sys.exit(f"{path}: {error}: copy the file that snapmla-soak --state wrote")
    check_device(path, state["device"], product)
    yield from ["", "### Soak on this device", ""]
    yield (f"`snapmla-soak --state`, random batches of {len(state['problems'])} problems on concurrent streams, all visits together (`docs/performance/{folder.name}/soak.json`, "
           "with which further ones go on).")  # fmt: skip
    yield ""
    yield from table(["what", "sum"], [[what, f"{int(state.get(name, 0)):,}"] for what, name in (*SOAK, *FAULTS)])
    if state.get("renewed"):
        yield from ["", f"Kernels changed between visits: {int(state['renewed'])} times a problem's bits were begun anew."]
