#!/usr/bin/env python3
"""Fails if a cubin spills registers inside a loop that issues tensor-core work, or one that copies by threads (LDGSTS).

usage: loop_spills.py NVDISASM FILE.cubin...

Looks at the natural loops of the control flow: of those with wgmma in their body the innermost, and of those with the arrival
that follows copies the innermost too, which is a producer's loop over tiles; where one arrival follows them all, those of the copies
themselves. Loads and stores of local memory there are printed with their addresses. A cubin without either passes, and so does one whose
kernels have no stack frame, as its .nv.info says: there is nothing to spill to, and it is not disassembled.
"""
import re
import struct
import subprocess
import sys

FRAME_SIZE, MIN_STACK_SIZE, SIZED = 0x11, 0x12, 4  # attributes of .nv.info, and the format that has a size

INSTRUCTION = re.compile(r"/\*([0-9a-f]{4,})\*/\s+(@!?U?P\w+\s+)?([A-Z][A-Z0-9_.]*)(.*)")
LABEL = re.compile(r"^\s*(\.L_x?_?\w+):")
TARGET = re.compile(r"`\((\.L_x?_?\w+)\)")
SWITCH = re.compile(r"\.L_x?_?\w+")


def frame_bytes(image):
    """The largest stack frame of a cubin's kernels: an ELF file whose .nv.info lists u8 format, u8 attribute, u16 size, symbol, value."""
    (start,), (size, count, names) = struct.unpack_from("<Q", image, 0x28), struct.unpack_from("<3H", image, 0x3A)
    sections = [struct.unpack_from("<2I4Q", image, start + i * size) for i in range(count)]
    frames = []
    for name, _, _, _, offset, length in sections:
        name += sections[names][4]
        if image[name : image.index(b"\0", name)] != b".nv.info":
            continue
        at = offset
        while at < offset + length:
            form, attribute, more = struct.unpack_from("<2BH", image, at)
            if form == SIZED and attribute in (FRAME_SIZE, MIN_STACK_SIZE):
                frames.append(struct.unpack_from("<I", image, at + 8)[0])
            at += 4 + (more if form == SIZED else 0)
    if not frames:
        sys.exit("a cubin whose .nv.info has no frame: the reader no longer understands it")
    return max(frames)


def read(text):
    """The listing as (address, predicated, opcode, operands), and the labels as places in it."""
    labels, listing = {}, []
    for line in text.splitlines():
        label = LABEL.match(line)
        if label:
            labels[label.group(1)] = len(listing)
            continue
        found = INSTRUCTION.search(line)
        if found:
            listing.append((found.group(1), bool(found.group(2)), found.group(3), found.group(4)))
    return labels, listing


def base(opcode):
    return opcode.split(".")[0]


def is_tensor(opcode):
    return base(opcode) in ("QGMMA", "HGMMA")


def is_copied(opcode):
    return opcode.startswith("ARRIVES.LDGSTSBAR")


def is_copy(opcode):
    return base(opcode) == "LDGSTS"


def falls_through(instruction):
    """Whether the next instruction may be executed after this one."""
    _, predicated, opcode, operands = instruction
    conditional = predicated or "P" in operands.split("`")[0] or ".DIV" in opcode
    return conditional or base(opcode) not in ("BRA", "BRX", "BRXU", "EXIT", "RET")


def flow(labels, listing):
    """For each instruction the ones that may follow it."""
    following = []
    for at, (_, _, opcode, operands) in enumerate(listing):
        targets = []
        if base(opcode) in ("BRX", "BRXU"):  # of a switch: the listing names where it may go
            targets = [labels[t] for t in SWITCH.findall(operands.partition("BRANCH_TARGETS")[2])]
            if not targets:
                sys.exit(f"an indirect branch without known targets: {opcode} {operands}")
        if base(opcode) == "BRA":
            target = TARGET.search(operands)
            if not target or target.group(1) not in labels:
                sys.exit(f"a branch without a known target: {opcode} {operands}")
            targets.append(labels[target.group(1)])
        if falls_through(listing[at]):
            targets.append(at + 1)
        following.append([t for t in targets if t < len(listing)])
    return following


def dominators(following):
    """Immediate dominators (Cooper, Harvey and Kennedy's iteration); None for what cannot be reached."""
    order, seen, stack = [], {0}, [(0, iter(following[0]))]
    while stack:
        node, rest = stack[-1]
        step = next((n for n in rest if n not in seen), None)
        if step is None:
            order.append(node)
            stack.pop()
        else:
            seen.add(step)
            stack.append((step, iter(following[step])))
    number = {node: i for i, node in enumerate(order)}
    before = [[] for _ in following]
    for node in order:
        for step in following[node]:
            before[step].append(node)
    immediate = {0: 0}
    changed = True
    while changed:
        changed = False
        for node in reversed(order[:-1]):
            known = [b for b in before[node] if b in immediate]
            common = known[0]
            for other in known[1:]:
                while common != other:
                    while number[common] < number[other]:
                        common = immediate[common]
                    while number[other] < number[common]:
                        other = immediate[other]
            if immediate.get(node) != common:
                immediate[node] = common
                changed = True
    return immediate, before


def natural_loops(following):
    """The bodies of all loops, those with one header together."""
    immediate, before = dominators(following)

    def dominates(header, node):
        while node != header and node != 0:
            node = immediate[node]
        return node == header

    loops = {}
    for node in immediate:
        for header in following[node]:
            if not dominates(header, node):
                continue
            body = loops.setdefault(header, {header})
            stack = [node]
            while stack:
                inside = stack.pop()
                if inside not in body:
                    body.add(inside)
                    stack.extend(before[inside])
    return list(loops.values())


def innermost_loops(labels, listing, wanted):
    """The innermost loops that contain an instruction that is wanted."""
    loops = [body for body in natural_loops(flow(labels, listing)) if any(wanted(listing[i][2]) for i in body)]
    return [body for body in loops if not any(other < body for other in loops)]


def main():
    nvdisasm, files = sys.argv[1], sys.argv[2:]
    if not files:
        sys.exit(__doc__)
    failed, without = False, 0
    for name in files:
        with open(name, "rb") as file:
            if frame_bytes(file.read()) == 0:
                without += 1
                continue
        text = subprocess.run([nvdisasm, "-c", name], check=True, capture_output=True, text=True).stdout
        labels, listing = read(text)
        if not listing:
            sys.exit(f"{name}: no instructions found: is it a cubin?")
        loops = []
        for what, wanted, instead in (("tensor instructions", is_tensor, None), ("arrivals after copies", is_copied, is_copy)):
            count = sum(wanted(opcode) for _, _, opcode, _ in listing)
            found = innermost_loops(labels, listing, wanted) if count else []
            if count and not found and instead:
                found = innermost_loops(labels, listing, instead)
            if count and not found:
                sys.exit(f"{name}: {count} {what}, but no loop with one: the reader no longer understands the listing")
            loops += found
        spills = sorted({(listing[i][0], listing[i][2]) for body in loops for i in body if base(listing[i][2]) in ("STL", "LDL")})
        print(f"{name}: {len(loops)} innermost loops with tensor instructions or copies by threads, {len(spills)} spills inside")
        for address, op in spills:
            print(f"  {address}: {op}")
        failed = failed or bool(spills)
    print(f"{without} of {len(files)} have no stack frame")
    sys.exit(1 if failed else 0)


if __name__ == "__main__":
    main()
