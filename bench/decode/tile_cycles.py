"""What a tile of 64 tokens takes a multiprocessor where memory keeps up, in cycles, by format, level and rows of a block: python3
bench/decode/tile_cycles.py PROGRAM [CSV [ROWS...]], ROWS: those to count, of 8 16 32 64. Needs a Hopper GPU and ncu, which counts at the base clock. templates/mla_decode/tile_cycles.lua has what
the cost model takes of it."""

import csv
import pathlib
import re
import subprocess
import sys

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent))
from counters import device_and_driver, heading, need_ncu

BATCH, TOKENS, TILE = 128, 8192, 64
POINTS = [(f, "fast", r) for f in ("fp8_token", "fp8_tensor", "fp8_tile", "bf16", "fp8_token_r4") for r in (8, 16, 32, 64)] + [
    ("fp8_token", level, rows) for level in ("balanced", "max") for rows in (8, 16, 32, 64)]


def measure(program, name, level, rows, groups):
    """(cycles, nanoseconds) of the decode kernel, or None where it does not run. Groups of rows share pages: with more, memory has less to do."""
    command = ["ncu", "--metrics", "sm__cycles_elapsed.max,gpu__time_duration.sum", "--kernel-name", "regex:mla_decode", "--launch-skip", "1",
               "--launch-count", "1", program, "run", "--device", "cuda:0", "--format", name, "--accuracy", level,
               "--variant", f"mla_decode:rows={rows}", "--heads", str(rows * groups), "--batch", str(BATCH), "--context", str(TOKENS),
               "--repeat", "1", "--no-check"]
    text = subprocess.run(command, capture_output=True, text=True, timeout=120, check=False).stdout
    found = {}
    for line in text.splitlines():
        match = re.match(r"\s*(sm__cycles_elapsed\.max|gpu__time_duration\.sum)\s+(\S+)\s+([\d.,]+)", line)
        if match:
            found[match[1]] = (float(match[3].replace(",", "")), match[2])
    if len(found) < 2:
        return None
    time, unit = found["gpu__time_duration.sum"]
    return found["sm__cycles_elapsed.max"][0], time * {"ns": 1, "us": 1e3, "ms": 1e6}[unit]


def main():
    if len(sys.argv) < 2 or not set(sys.argv[3:]) <= {str(rows) for _, _, rows in POINTS}:
        sys.exit(__doc__)
    need_ncu()
    wanted = [int(word) for word in sys.argv[3:]] or {rows for _, _, rows in POINTS}
    machine = subprocess.run([sys.argv[1], "explain", "--device", "cuda:0", "--heads", "16", "--json"], capture_output=True, text=True, check=True).stdout
    multiprocessors = int(re.search(r'"device_class": "\S*?(\d+)sm', machine)[1])
    out = open(sys.argv[2], "w", newline="", encoding="utf-8") if len(sys.argv) > 2 else sys.stdout
    heading(out, *device_and_driver())
    table = csv.writer(out, lineterminator="\n")
    table.writerow(["format", "level", "rows", "groups", "cycles_per_tile", "ghz"])
    for name, level, rows in (point for point in POINTS if point[2] in wanted):
        for groups in (1, 2):
            figures = measure(sys.argv[1], name, level, rows, groups)
            if figures:
                tiles = BATCH * TOKENS // TILE * groups / multiprocessors
                table.writerow([name, level, rows, groups, f"{figures[0] / tiles:.0f}", f"{figures[0] / figures[1]:.2f}"])
                out.flush()


if __name__ == "__main__":
    main()
