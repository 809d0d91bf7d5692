#!/usr/bin/env python3
"""Fails if a cubin spills registers inside a loop that issues tensor-core work.

usage: loop_spills.py NVDISASM FILE.cubin...

A loop is a backward branch; of those with wgmma in their body the innermost are looked at. Loads and stores of local memory
there are printed with their addresses. A cubin without wgmma passes.
"""
import re
import subprocess
import sys

INSTRUCTION = re.compile(r"/\*([0-9a-f]{4,})\*/\s+(?:@!?U?P\w+\s+)?([A-Z][A-Z0-9_.]*)(.*)")
LABEL = re.compile(r"^\s*(\.L_x?_?\w+):")
TARGET = re.compile(r"`\((\.L_x?_?\w+)\)")


def instructions(text):
    """Yields (label names so far pending, address, opcode, operands) per kernel as lists."""
    labels, listing = {}, []
    for line in text.splitlines():
        label = LABEL.match(line)
        if label:
            labels[label.group(1)] = len(listing)
            continue
        found = INSTRUCTION.search(line)
        if found:
            listing.append((found.group(1), found.group(2), found.group(3)))
    return labels, listing


def tensor_loops(labels, listing):
    """The innermost [begin, end] ranges that loop and contain wgmma."""
    loops = []
    for at, (_, opcode, operands) in enumerate(listing):
        if not opcode.startswith("BRA"):
            continue
        target = TARGET.search(operands)
        begin = labels.get(target.group(1)) if target else None
        if begin is None or begin > at:
            continue
        if any(op.split(".")[0] in ("QGMMA", "HGMMA") for _, op, _ in listing[begin:at + 1]):
            loops.append((begin, at))
    return [a for a in loops if not any(b != a and a[0] <= b[0] and b[1] <= a[1] for b in loops)]


def main():
    nvdisasm, files = sys.argv[1], sys.argv[2:]
    if not files:
        sys.exit(__doc__)
    failed = False
    for name in files:
        text = subprocess.run([nvdisasm, "-c", name], check=True, capture_output=True, text=True).stdout
        labels, listing = instructions(text)
        if not listing:
            sys.exit(f"{name}: no instructions found: is it a cubin?")
        tensor = sum(op.split(".")[0] in ("QGMMA", "HGMMA") for _, op, _ in listing)
        loops = tensor_loops(labels, listing)
        if tensor and not loops:
            sys.exit(f"{name}: {tensor} tensor instructions, but no loop with one: the reader no longer understands the listing")
        spills = [(address, op) for begin, end in loops for address, op, _ in listing[begin:end + 1]
                  if op.split(".")[0] in ("STL", "LDL")]
        print(f"{name}: {tensor} tensor instructions, {len(loops)} innermost loops with them, {len(spills)} spills inside")
        for address, op in spills:
            print(f"  {address}: {op}")
        failed = failed or bool(spills)
    sys.exit(1 if failed else 0)


if __name__ == "__main__":
    main()
