#!/usr/bin/env python3
"""clocks.py PROGRAM CSV [SECONDS [SHAPE...]]: the clock, power and reasons of throttling that nvidia-smi tells, five times a second, under runs of PROGRAM,
snapmla-bench-decode, one after another: a thousand of each part of a decode step with nothing between them. What a run starts with, its cache above all, is sampled as well.
SHAPE: BATCH,HEADS,TOKENS. SECONDS (6) a shape, of which the first third, warming up, counts for nothing. Needs a GPU and nvidia-smi."""

import csv
import datetime
import shutil
import statistics
import subprocess
import sys
import threading

SHAPES = ["128,128,32768", "128,128,8192", "32,64,16384", "128,16,8192"]
ASKED = "clocks.sm", "clocks.mem", "power.draw", "temperature.gpu", "clocks_event_reasons.active"
COLUMNS = ["shape", "samples", "sm_mhz_median", "sm_mhz_least", "mem_mhz", "power_w_median", "power_w_most", "temperature_c", "reasons"]


def numbers(text):
    """Of nvidia-smi's lines, one a sample: clocks, power, temperature, reasons (a mask); lines that lack one are left out."""
    rows = []
    for line in text.splitlines():
        words = [word.strip() for word in line.split(",")]
        try:
            rows.append((*(float(word) for word in words[:4]), int(words[4], 16)))
        except (ValueError, IndexError):
            continue
    return rows


def summary(shape, rows):
    """Of the samples after the first third, one line of the table."""
    rows = rows[len(rows) // 3 :]
    if not rows:
        return None
    sm, mem, power, heat, masks = zip(*rows)
    seen = {f"{mask:#x}": masks.count(mask) for mask in sorted(set(masks))}
    return [shape, len(rows), f"{statistics.median(sm):.0f}", f"{min(sm):.0f}", f"{statistics.median(mem):.0f}", f"{statistics.median(power):.0f}", f"{max(power):.0f}",
            f"{statistics.median(heat):.0f}", " ".join(f"{mask}:{count}" for mask, count in seen.items())]  # fmt: skip


def sample(program, shape, seconds):
    """nvidia-smi's lines under runs of so long: again and again, as one has at most 1000 of a part. A run that fails ends it all: no idle GPU's clocks are taken."""
    over, failures = threading.Event(), []

    def load():
        command = [program, "--shape", shape, "--flush", "none", "--repeat", "1000", "--rest", "0"]
        while not over.is_set() and not failures:
            try:
                done = subprocess.run(command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True, check=False)
                said = done.stderr.strip() if done.returncode else ""
            except OSError as error:
                done, said = None, str(error)
            if done is None or done.returncode:
                failures.append(f"{' '.join(command)} failed, so that {shape} was not under load: {said or 'see what it says'}")

    thread = threading.Thread(target=load)
    thread.start()
    try:
        told = subprocess.run(["timeout", str(seconds), "nvidia-smi", f"--query-gpu={','.join(ASKED)}", "--format=csv,noheader,nounits", "--loop-ms=200"],
                              capture_output=True, text=True, check=False)  # fmt: skip
    finally:
        over.set()
        thread.join()
    if failures:
        sys.exit(failures[0])
    return told.stdout


def main():
    if len(sys.argv) < 3:
        sys.exit(__doc__)
    if not shutil.which("nvidia-smi"):
        sys.exit("nvidia-smi is not in PATH: it tells the clocks, and comes with the driver; add the folder that holds it to PATH")
    program, target, seconds, shapes = sys.argv[1], sys.argv[2], float((sys.argv + ["6"])[3]), sys.argv[4:] or SHAPES
    product = subprocess.run(["nvidia-smi", "--query-gpu=name,driver_version,power.limit", "--format=csv,noheader"], capture_output=True, text=True, check=False)
    with open(target, "w", newline="", encoding="utf-8") as file:
        file.write(f"# date: {datetime.datetime.now(datetime.timezone.utc):%Y-%m-%dT%H:%M:%SZ}\n# command: {' '.join(sys.argv)}\n")
        file.write(f"# device, driver, power limit: {product.stdout.strip()}\n# reasons: nvidia-smi's mask, and of how many samples; 0x4 is SW power cap\n")
        table = csv.writer(file, lineterminator="\n")
        table.writerow(COLUMNS)
        missing = 0
        for shape in shapes:
            line = summary(shape, numbers(sample(program, shape, seconds)))
            if line:
                table.writerow(line)
            else:
                missing += 1
                print(f"{shape}: nvidia-smi told nothing of {', '.join(ASKED)}: ask it yourself by --query-gpu, or take more SECONDS", file=sys.stderr)
    sys.exit(1 if missing else 0)


if __name__ == "__main__":
    main()
