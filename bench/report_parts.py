"""What a device's section of docs/performance.md has only where it was measured: the layer step, a request over several GPUs, the tests."""

import pathlib
import sys

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent / "common"))
from programs import read, table, text_of

STAGES = ("append", "absorb", "attend", "project", "output")
SHARDS_HEAD = "date", "command", "device", "driver release", "torch", "runs", "build"
TESTS = (("parts.tsv", "gpu.sh", ("part", "result", "seconds")), ("python.tsv", "gpu_python.sh", ("part", "result", "seconds", "tests", "passed", "skipped")))


def facts_of(notes):
    """Of head lines `NAME: TEXT`; a file from before they were written has none."""
    return {name: text.strip() for name, text in (note.split(": ", 1) for note in notes if ": " in note)}


def check_device(path, device, product):
    """`device`: a product's name, or the text of a head line, in which it stands between commas. A file that does not say is taken."""
    if device and product not in device.split(", "):
        sys.exit(f"{path}: measured on {device}, and the folder's decode.csv on {product}: move it to the folder of its device")


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
    return ["*MHz*: the multiprocessors' clock, counted right before and right after each run that was timed; the median." for _ in clock_header(rows)]


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
    """Of parts.tsv and python.tsv, as scripts/gpu.sh and scripts/gpu_python.sh leave them."""
    for name, script, columns in TESTS:
        path = folder / name
        if not path.exists():
            continue
        lines = text_of(path).splitlines()
        facts = facts_of(line[2:] for line in lines if line.startswith("# "))
        check_device(path, facts.get("device"), product)
        yield from ["", f"### {'Correctness' if script == 'gpu.sh' else 'The Python package'} on this device", ""]
        if facts:
            yield from [*(f"- {fact}: `{text}`" for fact, text in facts.items()), ""]
        rows = [line.split("\t") for line in lines if not line.startswith("#")]
        wrong = [row for row in rows if len(row) != len(columns)]
        if wrong or not rows:
            sys.exit(f"{path}: {wrong[0] if wrong else 'no rows'}, where scripts/{script} writes rows of {', '.join(columns)}: copy the file that it left in OUTDIR")
        yield from table([f"part of `scripts/{script}`", *columns[1:]], rows)
