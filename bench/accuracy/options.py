#!/usr/bin/env python3
"""What each option of the decode kernel's arithmetic costs and buys: a table of docs/accuracy.md.

usage: options.py --measure SNAPMLA [ROOT]     measures, writes docs/accuracy/options.csv and renews the table
       options.py --add SNAPMLA PART [ROOT]    the same, of the rows with PART in their names that the CSV lacks
       options.py [--check] [ROOT]             renews the table from the CSV; --check: exit status 1 where it is not current

Errors are relative L2 to the oracle of the same quantised query and cache, on the emulator, one request on one multiprocessor
(one piece, so that nothing is merged), for 16 rows (streams) and 64 (roles). Costs are what NVRTC says of the kernel for sm_90a and the
emulator's modelled time of four requests of 4096 tokens on four multiprocessors. Beside it stands, where docs/performance/h200/tile_cycles.csv
has the level, what a tile took an H200: that file is bench/decode/tile_cycles.py's, and is only read.
"""
import csv
import io
import json
import pathlib
import subprocess
import sys

BEGIN, END = "<!-- options: written by bench/accuracy/options.py -->", "<!-- /options -->"

# name, level, axes that differ from the level's, format; roles have f16 where the level has two terms of P, of which only the level itself is measured
OPTIONS = [
    ("`fast`", "fast", ""),
    ("… sums of P before rounding", "fast", "sums=exact"),
    ("… scores in one part", "fast", "score_parts=1"),
    ("… scores in four parts", "fast", "score_parts=4"),
    ("… not promoted", "fast", "promotion=none"),
    ("`balanced`: two terms of P, in roles one of f16", "balanced", ""),
    ("… sums of P before rounding", "balanced", "sums=exact"),
    ("… scores in four parts", "balanced", "score_parts=4"),
    ("… not promoted", "balanced", "promotion=none"),
    ("… one term of P, P and values in f16", "balanced", "values=f16,p_terms=1,promotion=none"),
    ("`max`: and two terms of the query, scores in four parts", "max", ""),
    ("… one term of the query", "max", "query_terms=1"),
    ("… one term of P", "max", "p_terms=1"),
    ("… scores in two parts", "max", "score_parts=2"),
    ("… not promoted", "max", "promotion=none"),
    ("… one term of P, P and values in f16", "max", "values=f16,p_terms=1,promotion=none"),
    ("`fp8_tile`, `fast`", "fast", "", "fp8_tile"),
    ("`fp8_tile`, `balanced`: the same", "balanced", "", "fp8_tile"),
    ("`fp8_tile`, `max`: two terms of the query, P and values in f16", "max", "", "fp8_tile"),
]
DATA = [
    ("normal_1", "σ 1", ["--data", "normal", "--sigma", "1", "--context", "4096"]),
    ("normal_3", "σ 3", ["--data", "normal", "--sigma", "3", "--context", "4096"]),
    ("offset_1", "σ 1, mean 1", ["--data", "normal", "--sigma", "1", "--value-offset", "1", "--context", "4096"]),
    ("uniform_32k", "uniform 32K, mean 1", ["--data", "uniform", "--value-offset", "1", "--context", "32768"]),
    ("sink_10", "sink 2^10", ["--data", "sink", "--sigma", "10", "--context", "4096"]),
    ("sink_17", "sink 2^17", ["--data", "sink", "--sigma", "17", "--context", "4096"]),
    ("outlier", "outliers", ["--data", "outlier", "--context", "700"]),
]
SHAPES = [(16, "streams"), (64, "roles")]
COSTS = ["registers", "spill_bytes", "modelled_us"]
GROUPS = "2"  # of rows on every page, so that memory keeps up


def call(program, *arguments):
    done = subprocess.run([program, *arguments, "--json"], capture_output=True, text=True, check=False)
    try:
        return json.loads(done.stdout)
    except json.JSONDecodeError:
        sys.exit(f"{' '.join([program, *arguments])}: {done.returncode}: {done.stderr}{done.stdout}")


def measure(program, heads, level, axes, kv_format):
    what = ["--heads", str(heads), "--accuracy", level, "--format", kv_format]
    if axes:
        what += ["--variant", f"mla_decode:limits=waived,{axes}"]
    built = call(program, "build", "--target", "sm90a", "--family", "mla_decode", *what)[0]
    row = {name: built[name] for name in COSTS if name in built}
    on_one = ["--device", "emulator", "--emulator-sms"]
    for name, _, arguments in DATA:
        got = call(program, "run", *what, *on_one, "1", *arguments)
        row[name] = f"{got['rel_l2']:.3e}"
    timed = call(program, "run", *what, *on_one, "4", "--batch", "4", "--context", "4096", "--no-check")
    if timed["time_kind"] != "modelled":
        sys.exit("the time is not modelled: this is no emulator")
    row["modelled_us"] = f"{timed['time_us']:.1f}"
    return row


def option(name, level, axes, kv_format="fp8_token"):
    return name, level, axes, kv_format


def is_of_streams(level, axes, kv_format):
    """What is measured of streams alone: of roles above `fast` the level itself is enough, and f16 under scales of groups is no shape of theirs."""
    return bool(axes) and level != "fast" or (kv_format, level) == ("fp8_tile", "max")


def measure_all(program, path, part, known):
    """The rows with `part` in their names, but for those that are known."""
    with path.open("w", encoding="utf-8", newline="") as file:
        out = csv.DictWriter(file, ["heads", "shape", "level", "axes", "format", *COSTS, *(d[0] for d in DATA)], lineterminator="\n")
        out.writeheader()
        for heads, shape in SHAPES:
            for name, level, axes, kv_format in (option(*o) for o in OPTIONS):
                if shape == "roles" and is_of_streams(level, axes, kv_format):
                    continue
                key = {"heads": str(heads), "shape": shape, "level": level, "axes": axes, "format": kv_format}
                row = known.get(tuple(key.values()))
                if not row and part in name:
                    print(f"{heads} rows, {name}", file=sys.stderr)
                    row = {**key, **measure(program, heads, level, axes, kv_format)}
                if row:
                    out.writerow(row)
                file.flush()


def read(figures):
    with figures.open(encoding="utf-8", newline="") as file:
        return [{"format": "fp8_token", **row} for row in csv.DictReader(file)]


def number(text):
    mantissa, exponent = text.split("e")
    return f"{float(mantissa):.1f}e{int(exponent)}"


def read_tile_cycles(path):
    """Cycles of a tile by rows (as text), level and format."""
    with path.open(encoding="utf-8", newline="") as file:
        return {(r["rows"], r["level"], r["format"]): float(r["cycles_per_tile"]) for r in csv.DictReader(line for line in file if not line.startswith("#")) if r["groups"] == GROUPS}


def measured(cycles, heads, level, axes, kv_format):
    """A level's tile in units of `fast`; of its variants, and of what was not measured, there is none."""
    own = None if axes else cycles.get((str(heads), level, kv_format))
    return f"{own / cycles[str(heads), 'fast', 'fp8_token']:.2f}" if own else "–"


def tables(rows, cycles):
    out = io.StringIO()
    for heads, shape in SHAPES:
        own = {(r["level"], r["axes"], r["format"]): r for r in rows if r["heads"] == str(heads)}
        base = float(own["fast", "", "fp8_token"]["modelled_us"])
        header = [f"{heads} rows ({shape})", "registers", "spilled", "modelled", "measured", *(d[1] for d in DATA)]
        print("| " + " | ".join(header) + " |\n" + "|---" * len(header) + "|", file=out)
        for name, *key in (option(*o) for o in OPTIONS):
            if tuple(key) not in own:
                continue  # not measured
            r = own[tuple(key)]
            cells = [name, r["registers"], f"{r['spill_bytes']} B", f"{float(r['modelled_us']) / base:.2f}", measured(cycles, heads, *key),
                     *(number(r[d[0]]) for d in DATA)]
            print("| " + " | ".join(cells) + " |", file=out)
        print(file=out)
    return out.getvalue()


def main():
    arguments = sys.argv[1:]
    check = "--check" in arguments
    arguments = [a for a in arguments if a != "--check"]
    program, part, how = None, "", arguments[:1]
    if how in (["--measure"], ["--add"]):
        program, arguments = arguments[1], arguments[2:]
    if how == ["--add"]:
        part, arguments = arguments[0], arguments[1:]
    root = pathlib.Path(arguments[0]) if arguments else pathlib.Path(__file__).resolve().parents[2]
    figures, page = root / "docs/accuracy/options.csv", root / "docs/accuracy.md"
    if program:
        known = {tuple(row[k] for k in ("heads", "shape", "level", "axes", "format")): row for row in read(figures)}
        measure_all(program, figures, part, known if how == ["--add"] else {})
    rows = read(figures)
    text = page.read_text(encoding="utf-8")
    before, rest = text.split(BEGIN)
    _, after = rest.split(END)
    cycles = read_tile_cycles(root / "docs/performance/h200/tile_cycles.csv")
    new = before + BEGIN + "\n\n" + tables(rows, cycles) + END + after
    if check and new != text:
        sys.exit("docs/accuracy.md is not what docs/accuracy/options.csv says: run bench/accuracy/options.py")
    if not check and new != text:
        page.write_text(new, encoding="utf-8")


if __name__ == "__main__":
    main()
