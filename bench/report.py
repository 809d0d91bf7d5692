#!/usr/bin/env python3
"""Writes docs/performance.md and docs/performance/ceilings.md from the raw figures beside them.

usage: report.py [--check] [ROOT]

For each folder docs/performance/DEVICE/ with ceilings.csv, decode.csv and, where measured, decode-FORMAT.csv, decode-balanced.csv, decode-max.csv,
decode-speculative.csv and parts.tsv (all as `sh scripts/gpu.sh OUTDIR` leaves them), layer.csv (snapmla-bench-layer's), shards*.csv (examples/shards/decode.py's), matrix.tsv
(scripts/gpu_matrix.sh's), python.tsv (scripts/gpu_python.sh's), counters.csv and clocks.csv (bench/decode/counters.py's and clocks.py's), power.csv (snapmla-bench-power's) and soak.json (snapmla-soak's): the tables of that device. docs/performance/limits.md, written by hand, ends the page.
With --check nothing is written: exit status 1 where a page is not what the figures say. bench/renew_page.py takes such files from a visit, draws the plots and writes the pages.
"""
import pathlib
import posixpath
import re
import sys

HERE = pathlib.Path(__file__).resolve().parent
sys.path[:0] = [str(HERE), str(HERE / "common")]
import figures
import report_ceilings
from programs import read, renew, table, text_of
from report_counters import clocks_part, counters_part
from report_parts import clock_cells, clock_header, clock_text, facts_of, layer_part, levels_part, microseconds, shards_part, soak_part, speculative_part, tests_part
from report_power import power_part


TARGETS = pathlib.Path("bench") / "decode" / "targets.csv"
# Those beside the first, fp8_token.
FORMATS = re.findall(r'^  { name = "(\w+)"', (HERE.parent / "templates" / "formats" / "formats.lua").read_text(encoding="utf-8"), re.M)[1:]


def shape(row):
    return tuple(int(row[name]) for name in ("batch", "heads", "tokens", "top"))


def pick(rows, part, flush="read", kind="target"):
    """By shape, replayed graphs."""
    return {shape(r): r for r in rows
            if r["part"] == part and r["mode"] == "graph" and r["flush"] == flush and r["set"] == kind}


def best(ceilings, group, text):
    return max(float(r["median"]) for r in ceilings if r["group"] == group and text in r["variant"] and r["median"])


def floor_of(row, cold_us, target):
    """What the shape takes at the device's own ceilings: memory or tensor cores. One request of 128K tokens cannot be read faster
    from cold than `cold_us`; a shorter one is all start and end, for which the target's floor stands."""
    at_ceilings = float(row["median_us"]) * max(float(row["percent_memory"]), float(row["percent_tensor"])) / 100
    if row["batch"] != "1":
        return at_ceilings
    return max(at_ceilings, cold_us if row["tokens"] == "131072" else float(target["floor_us"]))


def tokens_text(tokens, top):
    text = f"{tokens // 1024}K" if tokens % 1024 == 0 else str(tokens)
    return f"top {top} of {text}" if top else text


def verdict(time, gate, goal):
    return "**goal**" if time <= goal else "met" if time <= gate else f"missed by {100 * (time / gate - 1):.1f} %"


def scales(row, target, cold_us, cold_written_us, as_set):
    """What a target is multiplied by, for times after a flush by writing and by reading. As set, or to as many times this device's floor as it is of its
    own. The flush changes the floor of one request of 128K tokens alone, and so its target."""
    written, like_read = (floor_of(row, cold, target) / float(target["floor_us"]) for cold in (cold_written_us, cold_us))
    return (1, like_read / written) if as_set else (written, like_read)


def target_rows(decode, others, targets, cold_us, cold_written_us, as_set):
    """Verdicts by the time after a flush by writing, which is how the targets and their floors were measured, then by that after one by
    reading. `as_set`: the device is the one that the targets were set on."""
    step, call, written = pick(decode, "decode+combine"), pick(decode, "call"), pick(decode, "decode+combine", "write")
    for key, row in step.items():
        target = targets[key]
        floor, time, like = floor_of(row, cold_us, target), float(row["median_us"]), float(written[key]["median_us"])
        (gate, goal), (gate_read, goal_read) = ([float(target[name]) * scale for name in ("target_us", "stretch_us")]
                                                for scale in scales(row, target, cold_us, cold_written_us, as_set))  # fmt: skip
        cells = [str(key[0]), str(key[1]), tokens_text(key[2], key[3]), microseconds(like), microseconds(gate),
                 verdict(like, gate, goal), microseconds(time), verdict(time, gate_read, goal_read), microseconds(floor),
                 f"{100 * floor / time:.0f} %", *clock_cells(step.values(), row), microseconds(float(call[key]["median_us"]))]
        for rows in others.values():
            cells.append(microseconds(float(rows[key]["median_us"])) if key in rows else "–")
        bf16 = others.get("bf16", {}).get(key)
        cells.append(f"{float(bf16['median_us']) / time:.2f}" if bf16 else "–")
        cells += [target["flashmla_bf16_us"] or "–", target["vllm_fp8_us"] or "–"]
        yield cells


def matrix_rows(decode):
    rows = pick(decode, "decode+combine", kind="matrix")
    batches = sorted({key[0] for key in rows})
    for heads, tokens in ((128, 640), (64, 8192), (64, 33280)):
        yield [f"{heads} × {tokens}"] + [microseconds(float(rows[b, heads, tokens, 0]["median_us"])) for b in batches]


def device_section(folder, targets, of_targets):
    """`of_targets`: the product that the targets were set on."""
    notes, ceilings = read(folder / "ceilings.csv")
    decode_notes, decode = read(folder / "decode.csv")
    facts = facts_of(decode_notes)
    product = facts["device"].split(", ")[1]
    cold_us, cold_written_us = (min(float(r["time_us"]) for r in ceilings if r["group"] == group) for group in ("cold", "cold-written"))
    formats = [name for name in FORMATS if (folder / f"decode-{name}.csv").exists()]
    others = {name: pick(read(folder / f"decode-{name}.csv")[1], "decode+combine") for name in formats}
    yield f"## {product}"
    yield ""
    for name in ("date", "device", "nominal clocks", "driver release", "compiler", "templates", "runs", "command"):
        if name in facts:
            yield f"- {name}: `{facts[name]}`"
    yield ""
    yield f"Ceilings (`{facts_of(notes)['command']}`), the denominators below; all of them: [ceilings.md](performance/ceilings.md)."
    yield ""
    yield from table(["what", "figure"], [
        ["memory, bulk copies of page images", f"{best(ceilings, 'read', ''):.0f} GB/s"],
        ["84 MB read once from cold, L2 flushed by reading / by writing", f"{cold_us:.1f} / {cold_written_us:.1f} µs"],
        ["wgmma e4m3, A shared / in registers, N = 64",
         f"{best(ceilings, 'wgmma', 'kind=e4m3,a=shared,n=64,'):.0f} / "
         f"{best(ceilings, 'wgmma', 'kind=e4m3,a=registers,n=64,'):.0f} TFLOP/s"],
        ["wgmma e4m3, the same, N = 16",
         f"{best(ceilings, 'wgmma', 'kind=e4m3,a=shared,n=16,'):.0f} / "
         f"{best(ceilings, 'wgmma', 'kind=e4m3,a=registers,n=16,'):.0f} TFLOP/s"],
        ["wgmma bf16, N = 64", f"{best(ceilings, 'wgmma', 'kind=bf16,a=shared,n=64,'):.0f} TFLOP/s"]])
    yield ""
    yield "### Against the targets"
    yield ""
    yield "`fp8_token`, level `fast`; decode and combine together, µs. The targets were measured with L2 emptied by *writing*, whose"
    yield "write-back shares memory with the kernel: the first verdict compares like with like. The other times are after a flush by"
    yield "reading. The last two columns are other engines on an **H200**, after a flush by writing."
    yield from clock_text(pick(decode, "decode+combine").values())
    yield ""
    header = ["batch", "heads", "tokens", "written", "target", "", "read", "", "floor", "of floor (read)", *clock_header(pick(decode, "decode+combine").values()), "whole call"]
    header += formats + ["bf16 / fp8_token", "FlashMLA bf16", "vLLM fp8"]
    yield from table(header, target_rows(decode, others, targets, cold_us, cold_written_us, product == of_targets))
    yield ""
    yield "### 24 shapes"
    yield ""
    yield "Heads × tokens, by batch; decode and combine, µs."
    yield ""
    yield from table(["", "1", "2", "4", "8", "16", "32", "64", "128"], matrix_rows(decode))
    yield ""
    yield f"![latency over context](performance/{folder.name}/latency.svg)"
    yield ""
    yield f"![roofline](performance/{folder.name}/roofline.svg)"
    yield from levels_part(folder, product)
    yield from speculative_part(folder, product)
    yield from counters_part(folder, product)
    yield from clocks_part(folder, product)
    yield from power_part(folder, product)
    yield from layer_part(folder, best(ceilings, "read", ""))
    yield from shards_part(folder, product)
    yield from tests_part(folder, product)
    yield from soak_part(folder, product)


HEAD = """<!-- Written by bench/report.py from docs/performance/: change that, not this. -->
# Performance

How: L2 emptied before every run, by reading where nothing else is said, block tables that take pages from all over the cache, replayed graphs, median of 21
runs after 3 unseen, each after a rest of three times as long where the head of a file says so, and without a rest where it does not; the query is quantised before (the whole call includes it). `bench/README.md` says more. To measure a
GPU and renew this page, from a `portable` build:

    sh scripts/gpu.sh OUTDIR                                                   # on the GPU machine; each of these within ten minutes
    sh scripts/gpu_matrix.sh OUTDIR
    sh scripts/gpu_python.sh OUTDIR
    python3 bench/decode/counters.py build/portable/bin/snapmla OUTDIR/counters.csv
    sh scripts/gpu_tables.sh OUTDIR                                            # wisdom tuned anew and times by it; with `clocks power regret layer` named, those
    python3 bench/renew_page.py DEVICE OUTDIR                                  # here: files to docs/performance/DEVICE, plots, pages

What a visit leaves out stays as the last one had it. Soaks are summed over visits that go on from `docs/performance/DEVICE/soak.json`, copied into OUTDIR before.

*Floor* is the larger of the times that memory and tensor cores need at the device's own ceilings; for one request of 128K tokens at
least the cold read, for a shorter one, all start and end, the targets' own, not scaled. Targets were set on an H200 (`bench/decode/targets.csv`), where they stand as set; on another device they are the
same multiples of that device's floors. After a flush by reading, one request's of 128K tokens is scaled by the cold reads of both flushes. *goal* is their stretch column.
"""


def included(text):
    """A page of docs/performance as a part of one of docs: its links from there, its notes of figures left out."""
    return re.sub(r"\]\(([^)#:]+)(?=[)#])", lambda link: "](" + posixpath.normpath("performance/" + link[1]), figures.without_notes(text))


def page(root):
    folder = root / "docs" / "performance"
    notes, rows = read(root / TARGETS)
    targets = {shape(r): r for r in rows}
    lines = [HEAD]
    if not folder.is_dir():
        sys.exit(f"{folder} is not there: name the root of the source tree")
    for device in sorted(p for p in folder.iterdir() if p.is_dir()):
        lines += list(device_section(device, targets, facts_of(notes)["device"])) + [""]
    lines.append(included(text_of(folder / "limits.md")).rstrip())
    return "\n".join(lines) + "\n"


def pages(root):
    """Each page's path and text."""
    folder = root / "docs" / "performance"
    return (root / "docs" / "performance.md", page(root)), (folder / "ceilings.md", report_ceilings.page(folder))


def main():
    renew(__doc__, HERE.parent, pages, "python3 bench/report.py")


if __name__ == "__main__":
    main()
