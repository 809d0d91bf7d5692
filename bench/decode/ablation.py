#!/usr/bin/env python3
"""The ablation: a cache in 16 bits or FP8, pipelined or one tile at a time, by attention alone.

usage: ablation.py [--device NAME] [--small] [--build DIR] [--shape B,H,T]... OUT.csv

Four runs of snapmla-bench-decode a shape: in each format the plan's own variant, then the same rows a block with pipeline=off. Each variant
is also held against the double-precision oracle on a short request. OUT.csv: their times as snapmla-bench-decode writes them, with columns
rel_l2 and rel_l2_limit. On the emulator times are modelled, and say nothing of a GPU.
"""
import pathlib
import sys

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "common"))
from programs import Programs, axis, parser_of, read, single_buffered, table, way_of, write

FORMATS = ("bf16", "fp8_token")
SHAPES = ["1,16,131072", "1,128,131072", "64,64,32768"]
SMALL_SHAPES = ["1,16,130", "2,64,130"]
PART = "decode+combine"
CHECKED_CONTEXT = "1,65,300"


def measure(programs, shapes, out, command, ceilings=None, seconds_a_shape=0.0):
    """Runs all, and writes `out` after every shape; with a CSV of snapmla-ceilings also percentages. No shape is begun with fewer seconds
    left."""
    all_rows = []
    for shape in shapes:
        if programs.left() < seconds_a_shape:
            print(f"{shape} and those after it are left out: the time is over", file=sys.stderr)
            break
        heads = shape.split(",")[1]
        for name in FORMATS:
            override = None
            for _ in ("pipelined", "one tile at a time"):
                arguments = ["--shape", shape, "--format", name] + (["--variant", override] if override else [])
                arguments += ["--ceilings", str(ceilings)] if ceilings else []
                notes, rows = programs.rows("snapmla-bench-decode", *arguments)
                variant = rows[0]["variant"]
                said = programs.checked("run", "--heads", heads, "--format", name, "--context", CHECKED_CONTEXT, "--variant", variant)
                if said["variant"] != variant or not said["ok"]:
                    sys.exit(f"{variant} was not what was checked, or is wrong: {said}")
                all_rows += [{**row, "rel_l2": f"{said['rel_l2']:.3e}", "rel_l2_limit": f"{said['rel_l2_limit']:g}"} for row in rows]
                override = single_buffered(variant)
        # A program's command is of one run: the script's stands for all.
        write(out, [*(note for note in notes if not note.startswith("command: ")), command], all_rows)
    if not all_rows:
        sys.exit("no shape was measured: give more --seconds")


def times(rows, part=PART):
    """{(batch, heads, tokens): {(format, pipeline): row}}"""
    way, out = way_of(rows), {}
    for r in rows:
        if r["part"] == part and r["mode"] == way:
            shape = tuple(int(r[n]) for n in ("batch", "heads", "tokens"))
            out.setdefault(shape, {})[axis(r["variant"], "format"), axis(r["variant"], "pipeline")] = r
    return out


def gains(us):
    """Of {(format, pipeline): µs}, against bf16 one tile at a time: FP8 alone, pipelining alone, both, their product; and FP8 once both are
    pipelined."""
    base = us["bf16", "off"]
    fp8, pipelined, both = base / us["fp8_token", "off"], base / us["bf16", "on"], base / us["fp8_token", "on"]
    return fp8, pipelined, both, fp8 * pipelined, us["bf16", "on"] / us["fp8_token", "on"]


HEADER = ["batch", "heads", "tokens", "bf16, single, µs", "bf16, pipelined", "FP8, single", "FP8, pipelined", "FP8 alone", "pipelining alone",
          "both", "product of the two", "FP8, both pipelined"]  # fmt: skip


def tokens_text(tokens):
    return f"{tokens // 1024}K" if tokens % 1024 == 0 else str(tokens)


def cells(shape, us):
    order = [("bf16", "off"), ("bf16", "on"), ("fp8_token", "off"), ("fp8_token", "on")]
    return [str(shape[0]), str(shape[1]), tokens_text(shape[2]), *(f"{us[key]:.1f}" for key in order), *(f"{gain:.2f}" for gain in gains(us))]


def lines(rows):
    by_shape = times(rows)
    return table(HEADER, (cells(shape, {key: float(r["median_us"]) for key, r in by_shape[shape].items()}) for shape in by_shape))


def main():
    parser = parser_of(__doc__)
    parser.add_argument("--shape", action="append")
    parser.add_argument("out", type=pathlib.Path)
    o = parser.parse_args()
    measure(Programs(o.build, o.device, o.small), o.shape or (SMALL_SHAPES if o.small else SHAPES), o.out,
            "command: bench/decode/ablation.py " + " ".join(sys.argv[1:]))  # fmt: skip
    notes, rows = read(o.out)
    print(*(note for note in notes if not note.startswith("runs")), *lines(rows), sep="\n")


if __name__ == "__main__":
    main()
