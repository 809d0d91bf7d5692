#!/usr/bin/env python3
"""stalls.py PROGRAM CSV [SHAPE...]: what the warps of the decode kernel's roles wait for in a tile, by the samples of warps' states that Nsight Compute (ncu) takes, at
the shapes named, as BATCH,HEADS,TOKENS[,FORMAT[,ROWS]]. PROGRAM: snapmla. Needs a Hopper GPU, ncu, and leave to sample; clocks are left alone.
stalls.py --read SOURCE CSV: the same of what `ncu --page source --csv` printed before.

A role is told by its tile loop: instructions that run equally often, wgmma among them. Percentages are of the samples there; the loop that most
are of counts, where a role has several; what runs once more than the rest of it, at its ends, is left out. `issued` is where an instruction was issued, `other` what ncu's table has no column for: at
wgmma, that the warpgroup's other warps, or the tensor cores' queue, are waited for."""

import collections
import csv
import io
import pathlib
import re
import subprocess
import sys
import tempfile

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent))
from counters import device_and_driver, heading, need_ncu

SHAPES = ["128,128,8192,fp8_token,64", "64,64,32768,fp8_token,64"]
SECONDS = 120  # a shape
SLOWEST = 12  # instructions of a role that are told
COLUMNS = "Source", "# Samples", "Instructions Executed"
NO_TABLE = (f"no table with the columns {', '.join(COLUMNS)}, or no loop with wgmma in it: take what `ncu --import REPORT --page source --csv` prints of a "
            "launch of mla_decode with the section SourceCounters")  # fmt: skip


def parse(text):
    """The instructions, as dictionaries, of the table that begins with a line of COLUMNS."""
    lines = text.splitlines()
    head = next((i for i, line in enumerate(lines) if all(f'"{name}"' in line for name in COLUMNS)), None)
    return [] if head is None else list(csv.DictReader(io.StringIO("\n".join(lines[head:]))))


def number(text):
    return float(text.replace(",", "")) if text else 0.0


def role_of(loop):
    def has(word):
        return any(word in row["Source"] for row in loop)

    if not has("GMMA"):
        return None
    return ("attend" if has("LDSM") else "score") if has("MUFU.EX2") else "accumulate"


def roles(instructions):
    """{role: its tile loop's instructions}."""
    by_count = collections.defaultdict(list)
    for row in instructions:
        if number(row["Instructions Executed"]) > 0:
            by_count[number(row["Instructions Executed"])].append(row)
    found = {}
    for loop in by_count.values():
        role = role_of(loop)
        if role and samples(loop) > samples(found.get(role, [])):
            found[role] = loop
    return found


def samples(loop):
    return sum(number(row["# Samples"]) for row in loop)


def table(instructions):
    """Rows (role, instructions of its loop, kind, name, percent): reasons, the most frequent first, then the slowest instructions."""
    rows = []
    for role, loop in sorted(roles(instructions).items()):
        total = samples(loop)
        reasons = {name.removeprefix("stall_"): sum(number(row[name]) for row in loop) for name in loop[0] if name.startswith("stall_") and "(" not in name}
        reasons["issued"] = reasons.pop("selected", 0)
        reasons["other"] = total - sum(reasons.values())
        for name, count in sorted(reasons.items(), key=lambda item: -item[1]):
            if count > 0:
                rows.append((role, len(loop), "reason", name, f"{100 * count / total:.1f}"))
        for row in sorted(loop, key=lambda row: -number(row["# Samples"]))[:SLOWEST]:
            rows.append((role, len(loop), "instruction", re.sub(r" 0x[0-9a-f]{9,}", "", row["Source"].strip()), f"{100 * number(row['# Samples']) / total:.1f}"))
    return rows


def sample(program, shape):
    """What ncu printed of one launch, or the reason why nothing."""
    batch, heads, tokens, kv_format, rows = (shape.split(",") + ["", ""])[:5]
    with tempfile.TemporaryDirectory() as folder:
        report = f"{folder}/report"
        take = ["ncu", "--clock-control", "none", "--section", "SourceCounters", "--warp-sampling-interval", "0", "--warp-sampling-buffer-size", str(1 << 28),
                "--kernel-name", "regex:mla_decode", "--launch-skip", "1", "--launch-count", "1", "-o", report, program, "run", "--device", "cuda:0", "--format",
                kv_format or "fp8_token", "--heads", heads, "--batch", batch, "--context", tokens, *(["--variant", f"mla_decode:rows={rows}"] if rows else []),
                "--repeat", "1", "--no-check"]  # fmt: skip
        try:
            done = subprocess.run(take, capture_output=True, text=True, timeout=SECONDS, check=False)
            if not pathlib.Path(report + ".ncu-rep").exists():
                return None, f"{' '.join((done.stdout + done.stderr).strip().splitlines()[-1:])}: see what this says: {' '.join(take)}"
            done = subprocess.run(["ncu", "--import", report + ".ncu-rep", "--page", "source", "--csv"], capture_output=True, text=True, timeout=SECONDS, check=False)
        except subprocess.TimeoutExpired:
            return None, f"not through after {SECONDS} s"
    return done.stdout, None


def begin(file):
    file.write("# samples of one launch of mla_decode, clocks as they are; percent of those in a role's tile loop\n")
    out = csv.writer(file, lineterminator="\n")
    out.writerow(["shape", "role", "instructions", "kind", "name", "percent"])
    return out


def read(source, target):
    try:
        rows = table(parse(source.read_text(encoding="utf-8")))
    except (OSError, UnicodeDecodeError) as error:
        sys.exit(f"{source} cannot be read ({error}): name what `ncu --import REPORT --page source --csv` printed")
    if not rows:
        sys.exit(f"{source}: {NO_TABLE}")
    with open(target, "w", newline="", encoding="utf-8") as file:
        heading(file, "unknown", "unknown")
        begin(file).writerows([source.name, *row] for row in rows)
    return None


def main():
    if len(sys.argv) < 3:
        sys.exit(__doc__)
    if sys.argv[1] == "--read":
        if len(sys.argv) != 4:
            sys.exit(__doc__)
        return read(pathlib.Path(sys.argv[2]), sys.argv[3])
    need_ncu()
    shapes, told = sys.argv[3:] or SHAPES, 0
    with open(sys.argv[2], "w", newline="", encoding="utf-8") as file:
        heading(file, *device_and_driver())
        out = begin(file)
        for shape in shapes:
            text, why = sample(sys.argv[1], shape)
            rows = table(parse(text)) if text else []
            if not rows:
                print(f"{shape}: {why or NO_TABLE}", file=sys.stderr)
            told += bool(rows)
            out.writerows([shape, *row] for row in rows)
            file.flush()
    sys.exit(0 if told == len(shapes) else 1)


if __name__ == "__main__":
    main()
