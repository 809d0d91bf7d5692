"""docs/performance/ceilings.md: what snapmla-ceilings measured on each device, all of it."""

import pathlib
import sys

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent / "common"))
from programs import axis, read, table
from report_parts import facts_of

HEAD = """<!-- Written by bench/report.py from docs/performance/*/ceilings.csv: change that, not this. -->
# Ceilings

What bounds a decode kernel, measured alone, the median of each figure: `snapmla-ceilings`. `bench/README.md` says how, and what is checked of each result. These are the denominators of every percentage in [performance.md](../performance.md);
[kernel.md](../kernel.md) says what they decided.
"""


def group_of(rows, name):
    return [r for r in rows if r["group"] == name]


def pivot(rows, row_of, column_of, first):
    """A table of medians: a row for each row_of, a column for each column_of, in the order in which they come."""
    cells, columns = {}, []
    for r in rows:
        column = column_of(r["variant"])
        if column not in columns:
            columns.append(column)
        cells.setdefault(row_of(r["variant"]), {})[column] = r["median"]
    if all(c.isdigit() for c in columns):
        columns.sort(key=int)
    return table([*first, *columns], ([*row, *(of.get(c, "–") for c in columns)] for row, of in cells.items()))


def by(*names):
    return lambda variant: tuple(axis(variant, name) for name in names)


def one(name):
    return lambda variant: axis(variant, name)


def section(title, text, lines):
    yield from ["", f"### {title}", "", text, "", *lines]


def readers(r):
    return int(axis(r["variant"], "readers")) if "readers=" in r["variant"] else 1


def shared_reads(rows):
    """Each block's bytes counted, of pieces that several blocks read, and of pieces that L2 has."""
    found = [r for r in group_of(rows, "read") if readers(r) > 1]
    if not found:
        return
    stages = sorted({axis(r["variant"], "stages") for r in found})
    rates = {}
    for r in found:
        rates.setdefault(f"{readers(r)} blocks that read the same", {})[axis(r["variant"], "stages")] = f"{float(r['median']) * readers(r):.0f}"
    for r in group_of(rows, "read-l2"):
        rates.setdefault("16 MB that L2 has", {})[axis(r["variant"], "stages")] = r["median"]
    yield from section("Reading what others read", "GB/s that arrive at all multiprocessors, each block's bytes counted, by stages: page images that neighbouring blocks read at about the same time, "
                       "each for itself, and such as L2 has.", table(["what", *stages], ([what, *(of.get(s, "–") for s in stages)] for what, of in rates.items())))  # fmt: skip


def reads(rows):
    found = [r for r in group_of(rows, "read") if readers(r) == 1]
    yield from section("Reading", "GB/s, 2 GiB through a ring of bulk copies a multiprocessor, by bytes of a piece, blocks that share it by multicast (bytes from memory "
                       "counted once) and stages.", pivot(found, by("chunk", "cluster"), one("stages"), ("bytes", "blocks")))  # fmt: skip
    yield from shared_reads(rows)
    cold = [("read", r) for r in group_of(rows, "cold")] + [("written", r) for r in group_of(rows, "cold-written")]
    yield from section("Reading once, from cold", "The page images of 128K tokens, start and end included, after a flush of L2 by reading or by writing.", table(
        ["flushed by", "stages", "µs", "GB/s"], ([how, axis(r["variant"], "stages"), f"{float(r['time_us']):.1f}", r["median"]] for how, r in cold)))  # fmt: skip
    yield from section("Copying", "GB/s, bytes read plus bytes written, through shared memory, by bytes of a piece and stages.",
                       pivot(group_of(rows, "copy"), by("chunk"), one("stages"), ("bytes",)))  # fmt: skip


def products(rows):
    for loads, text in (("none", "TFLOP/s, `wgmma` back to back on every multiprocessor, by columns (N)."),
                        ("ldmatrix", "The same while another warpgroup issues `ldmatrix` as fast as it can.")):  # fmt: skip
        found = [r for r in group_of(rows, "wgmma") if axis(r["variant"], "loads") == loads]
        clocks = sorted(int(r["sm_mhz"]) for r in found if r["sm_mhz"])
        if clocks:
            text += f" The clock meanwhile: {clocks[0]} to {clocks[-1]} MHz."
        yield from section("Tensor cores" if loads == "none" else "Tensor cores beside loads", text,
                           pivot(found, by("kind", "a", "groups"), one("n"), ("operands", "A in", "warpgroups")))  # fmt: skip
    yield from ["", "What those loads got, B per clock and multiprocessor (the port has 128):", ""]
    yield from pivot(group_of(rows, "wgmma+ld"), by("kind", "a", "groups"), one("n"), ("operands", "A in", "warpgroups"))


def rates(rows):
    yield from section("Instructions", "Per clock and multiprocessor, 16 warps, dependent chains; a conversion of e4m3 is four values packed or two unpacked.", table(
        ["instruction", "figure", "unit", "of its ceiling", "ceiling"],
        ([axis(r["variant"], "op"), r["median"], r["unit"], f"{float(r['percent']):.0f} %" if r["percent"] else "–", r["ceiling_of"] or "–"] for r in group_of(rows, "rate"))))  # fmt: skip


def latencies(rows):
    trips = {}
    for r in group_of(rows, "signal"):
        trips.setdefault(axis(r["variant"], "cluster"), {})[r["unit"]] = r["median"]
    yield from section("A signal between blocks", "An mbarrier arrival to the last block of a cluster and one back; in a cluster of 1 between two warps of a block.", table(
        ["blocks", "cycles", "ns"], ([blocks, of.get("clk/trip", "–"), of.get("ns/trip", "–")] for blocks, of in trips.items())))  # fmt: skip
    ways = {}
    for r in group_of(rows, "launch"):
        way, which = r["variant"].rsplit(": ", 1)
        ways.setdefault(way, {})[which] = r["median"]
    yield from section("Launches", "µs, an empty kernel on every multiprocessor: the first, and what each further one of 40 adds.", table(
        ["way", "first", "each further"], ([way, of.get("first", "–"), of.get("each further", "–")] for way, of in ways.items())))  # fmt: skip


def device(folder):
    path = folder / "ceilings.csv"
    notes, rows = read(path)
    facts = facts_of(notes)
    wrong = [r["variant"] for r in rows if r["output"] != "right"]
    if wrong:
        sys.exit(f"{path}: the result of {wrong[0]} was not right: measure anew")
    yield f"## {facts['device'].split(', ')[1]}"
    yield ""
    for name in ("date", "command", "device", "nominal clocks", "driver release", "compiler", "runs"):
        yield f"- {name}: `{facts[name]}`"
    for part in (reads, products, rates, latencies):
        yield from part(rows)


def page(folder):
    """`folder`: docs/performance."""
    lines = [HEAD]
    for each in sorted(p for p in folder.iterdir() if p.is_dir()):
        lines += [*device(each), ""]
    return "\n".join(lines).rstrip() + "\n"
