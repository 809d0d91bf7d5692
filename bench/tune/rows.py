#!/usr/bin/env python3
"""Times decode and merge with each number of query rows a block, at the problems that the cost model is fitted to and judged by (docs/tuning.md).

usage: rows.py [--device NAME] [--small] [--build DIR] [--rows N]... [--points FILE] OUT.csv

FILE (docs/performance/h200/rows.csv): whose heads, batch, tokens, q_len, format and rows are timed; with --rows only those numbers of rows. OUT.csv has the
same columns, and belongs into docs/performance/DEVICE/rows.csv; it is written when all points are timed. Two minutes on a Hopper GPU.
"""
import pathlib
import sys

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "common"))
from programs import ROOT, Programs, parser_of, read, way_of, write

POINT = ["heads", "batch", "tokens", "q_len", "format", "rows"]
SMALL_POINTS = [{"heads": "16", "batch": "1", "tokens": "130", "q_len": "1", "format": "fp8_token", "rows": rows} for rows in ("8", "16")]


def timed(programs, point):
    """The notes of a run, and the point's row."""
    shape = ",".join(point[name] for name in ("batch", "heads", "tokens"))
    notes, rows = programs.rows("snapmla-bench-decode", "--shape", shape, "--flush", "read", "--q-len", point["q_len"], "--format", point["format"],
                                "--variant", f"mla_decode:rows={point['rows']}")  # fmt: skip
    row = next(r for r in rows if r["mode"] == way_of(rows) and r["part"] == "decode+combine")
    return notes, {**point, "us": row["median_us"], "low": row["min_us"], "high": row["p90_us"], "mhz": row["sm_mhz"]}


def main():
    parser = parser_of(__doc__)
    parser.add_argument("--rows", action="append")
    parser.add_argument("--points", type=pathlib.Path, default=ROOT / "docs" / "performance" / "h200" / "rows.csv")
    parser.add_argument("out", type=pathlib.Path)
    o = parser.parse_args()
    points = SMALL_POINTS if o.small else [{name: row[name] for name in POINT} for row in read(o.points)[1]]
    points = [point for point in points if not o.rows or point["rows"] in o.rows]
    if not points:
        sys.exit(f"--rows {' '.join(o.rows)}: {o.points} has no point with so many rows a block; 8, 16, 32 and 64 are the kernel's")
    programs, rows = Programs(o.build, o.device, o.small), []
    for point in points:
        notes, row = timed(programs, point)
        rows.append(row)
    kept = [note for note in notes if not note.startswith(("command: ", "ceilings: "))]
    what = "what: decode and merge with each number of query rows a block, the other axes at their defaults; us, low, high: median, least and 90 % of the runs, graphs where there are any"
    write(o.out, [*kept, f"command: bench/tune/rows.py {' '.join(sys.argv[1:])}", what], rows)


if __name__ == "__main__":
    main()
