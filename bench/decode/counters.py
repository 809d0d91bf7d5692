#!/usr/bin/env python3
"""counters.py PROGRAM CSV [SHAPE...]: what Nsight Compute (ncu) counts of the decode kernel at the target shapes, or those named, as BATCH,HEADS,TOKENS[,FORMAT[,K]]
(K: of an index list). PROGRAM: snapmla. Needs a Hopper GPU, ncu, and leave to read counters; clocks are left alone, so that a shape's own
clock is among the figures. The sections are ncu's, value by value; a shape that ncu could not count is told and left out."""

import csv
import datetime
import io
import shutil
import subprocess
import sys

SHAPES = ["1,16,131072", "1,64,131072", "1,128,131072", "1,128,8192", "16,64,8192", "32,64,16384", "64,64,32768", "128,16,8192", "128,128,8192",
          "128,128,8192,bf16", "128,128,8192,fp8_tensor", "128,128,32768,fp8_token,2048"]  # fmt: skip
SECTIONS = ["SpeedOfLight", "MemoryWorkloadAnalysis", "ComputeWorkloadAnalysis", "SchedulerStats", "WarpStateStats"]
MORE = ["l1tex__data_pipe_lsu_wavefronts_mem_shared.sum", "dram__bytes_read.sum", "lts__t_bytes.sum", "smsp__inst_executed.sum"]
SECONDS = 120  # a shape
COLUMNS = "Section Name", "Metric Name", "Metric Unit", "Metric Value"


def parse(text):
    """Rows (section, metric, unit, value) of what ncu printed with --csv: a table behind lines of its own."""
    lines = text.splitlines()
    head = next((i for i, line in enumerate(lines) if line.startswith('"ID"')), None)
    if head is None:
        return []
    rows = csv.DictReader(io.StringIO("\n".join(lines[head:])))
    if not set(COLUMNS) <= set(rows.fieldnames):
        sys.exit(f"ncu's table has the columns {', '.join(rows.fieldnames)}; {', '.join(COLUMNS)} were expected: this is of another version of ncu")
    return [(r["Section Name"], r["Metric Name"], r["Metric Unit"], r["Metric Value"].replace(",", "")) for r in rows if r["Metric Name"]]


def count(program, shape):
    batch, heads, tokens, kv_format, top = (shape.split(",") + ["", ""])[:5]
    command = ["ncu", "--csv", "--clock-control", "none", "--kernel-name", "regex:mla_decode", "--launch-skip", "1", "--launch-count", "1",
               *(word for s in SECTIONS for word in ("--section", s)), "--metrics", ",".join(MORE), program, "run", "--device", "cuda:0", "--format",
               kv_format or "fp8_token", "--heads", heads, "--batch", batch, "--context", tokens, *(["--sparse", top] if top else []), "--repeat", "1",
               "--no-check"]  # fmt: skip
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=SECONDS, check=False)
        rows, last = parse(done.stdout), (done.stdout + done.stderr).strip().splitlines()[-1:]
    except subprocess.TimeoutExpired:
        rows, last = [], [f"not through after {SECONDS} s"]
    if not rows:
        print(f"{shape}: ncu counted nothing: {' '.join(last)}: see what this says: {' '.join(command)}", file=sys.stderr)
    return rows


def first_line(*command):
    if not shutil.which(command[0]):
        return "unknown"
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    return done.stdout.strip().splitlines()[0] if done.stdout.strip() else "unknown"


def need_ncu():
    if not shutil.which("ncu"):
        sys.exit("ncu is not in PATH: it counts and samples, and comes with the CUDA Toolkit (Nsight Compute); add the folder that holds it to PATH")


def device_and_driver():
    return (first_line("nvidia-smi", f"--query-gpu={what}", "--format=csv,noheader") for what in ("name", "driver_version"))


def heading(file, device, driver):
    file.write(f"# date: {datetime.datetime.now(datetime.timezone.utc):%Y-%m-%dT%H:%M:%SZ}\n# command: {' '.join(sys.argv)}\n")
    file.write(f"# device: {device}\n# driver release: {driver}\n")


def main():
    if len(sys.argv) < 3:
        sys.exit(__doc__)
    need_ncu()
    program, target, shapes = sys.argv[1], sys.argv[2], sys.argv[3:] or SHAPES
    with open(target, "w", newline="", encoding="utf-8") as file:
        heading(file, *device_and_driver())
        file.write("# one launch of mla_decode each, its passes replayed by ncu, caches flushed between them, clocks as they are\n")
        table = csv.writer(file, lineterminator="\n")
        table.writerow(["shape", "section", "metric", "unit", "value"])
        counted = 0
        for shape in shapes:
            rows = count(program, shape)
            counted += bool(rows)
            table.writerows([shape, *row] for row in rows)
            file.flush()
    sys.exit(0 if counted == len(shapes) else 1)


if __name__ == "__main__":
    main()
