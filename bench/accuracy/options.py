#!/usr/bin/env python3
"""What each option of the decode kernel's arithmetic costs and buys: a table of docs/accuracy.md.

usage: options.py --measure SNAPMLA [ROOT]     measures, writes docs/accuracy/options.csv and renews the table
       options.py [--check] [ROOT]             renews the table from the CSV; --check: exit status 1 where it is not current

Errors are relative L2 to the oracle of the same quantised query and cache, on the emulator, one request on one multiprocessor
(one piece, so that nothing is merged), for 16 rows (streams) and 64 (roles). Costs are what NVRTC says of the kernel for sm_90a and the
emulator's modelled time of four requests of 4096 tokens on four multiprocessors.
"""
import csv
import io
import json
import pathlib
import subprocess
import sys

BEGIN, END = "<!-- options: written by bench/accuracy/options.py -->", "<!-- /options -->"

# name, level, axes that differ from the level's
OPTIONS = [
    ("`fast`", "fast", ""),
    ("… sums of P before rounding", "fast", "sums=exact"),
    ("… scores in one part", "fast", "score_parts=1"),
    ("… scores in four parts", "fast", "score_parts=4"),
    ("… not promoted", "fast", "promotion=none"),
    ("`balanced`: two terms of P", "balanced", ""),
    ("… sums of P before rounding", "balanced", "sums=exact"),
    ("… scores in four parts", "balanced", "score_parts=4"),
    ("… not promoted", "balanced", "promotion=none"),
    ("`max`: and two terms of the query, scores in four parts", "max", ""),
    ("… one term of the query", "max", "query_terms=1"),
    ("… one term of P", "max", "p_terms=1"),
    ("… scores in two parts", "max", "score_parts=2"),
    ("… not promoted", "max", "promotion=none"),
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


def call(program, *arguments):
    done = subprocess.run([program, *arguments, "--json"], capture_output=True, text=True, check=False)
    try:
        return json.loads(done.stdout)
    except json.JSONDecodeError:
        sys.exit(f"{' '.join([program, *arguments])}: {done.returncode}: {done.stderr}{done.stdout}")


def measure(program, heads, level, axes):
    what = ["--heads", str(heads), "--accuracy", level]
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


def measure_all(program, path):
    with path.open("w", encoding="utf-8", newline="") as file:
        out = csv.DictWriter(file, ["heads", "shape", "level", "axes", *COSTS, *(d[0] for d in DATA)], lineterminator="\n")
        out.writeheader()
        for heads, shape in SHAPES:
            for name, level, axes in OPTIONS:
                print(f"{heads} rows, {name}", file=sys.stderr)
                out.writerow({"heads": heads, "shape": shape, "level": level, "axes": axes,
                              **measure(program, heads, level, axes)})
                file.flush()


def number(text):
    mantissa, exponent = text.split("e")
    return f"{float(mantissa):.1f}e{int(exponent)}"


def tables(rows):
    out = io.StringIO()
    for heads, shape in SHAPES:
        own = {(r["level"], r["axes"]): r for r in rows if r["heads"] == str(heads)}
        base = float(own["fast", ""]["modelled_us"])
        header = [f"{heads} rows ({shape})", "registers", "spilled", "time", *(d[1] for d in DATA)]
        print("| " + " | ".join(header) + " |\n" + "|---" * len(header) + "|", file=out)
        for name, level, axes in OPTIONS:
            if (level, axes) not in own:
                continue  # not measured
            r = own[level, axes]
            cells = [name, r["registers"], f"{r['spill_bytes']} B", f"{float(r['modelled_us']) / base:.2f}", *(number(r[d[0]]) for d in DATA)]
            print("| " + " | ".join(cells) + " |", file=out)
        print(file=out)
    return out.getvalue()


def main():
    arguments = sys.argv[1:]
    check = "--check" in arguments
    arguments = [a for a in arguments if a != "--check"]
    program = None
    if arguments[:1] == ["--measure"]:
        program, arguments = arguments[1], arguments[2:]
    root = pathlib.Path(arguments[0]) if arguments else pathlib.Path(__file__).resolve().parents[2]
    figures, page = root / "docs/accuracy/options.csv", root / "docs/accuracy.md"
    if program:
        measure_all(program, figures)
    with figures.open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    text = page.read_text(encoding="utf-8")
    before, rest = text.split(BEGIN)
    _, after = rest.split(END)
    new = before + BEGIN + "\n\n" + tables(rows) + END + after
    if check and new != text:
        sys.exit("docs/accuracy.md is not what docs/accuracy/options.csv says: run bench/accuracy/options.py")
    if not check and new != text:
        page.write_text(new, encoding="utf-8")


if __name__ == "__main__":
    main()
