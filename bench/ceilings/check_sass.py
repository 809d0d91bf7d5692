#!/usr/bin/env python3
"""Disassembles every kernel of the ceilings and holds its inner loops against what they are said to measure.

usage: check_sass.py SNAPMLA CEILINGS NVDISASM DIRECTORY

The variants are those that CEILINGS --list prints. A loop is what lies between a backward branch and its target; the innermost
one with the claimed instruction must have exactly as many as the template writes. No kernel may spill, warn or have its wgmma
serialised.
"""
import json
import pathlib
import re
import subprocess
import sys

TEMPLATES = str(pathlib.Path(__file__).with_name("templates"))

# Instruction (a regular expression over its name), and how many of it one pass of the inner loop issues.
RATES = {
    "pack_e4m3": {r"F2FP\.SATFINITE\.E4M3": 128},
    "unpack_e4m3": {r"F2FP\.F16\.E4M3\.UNPACK": 64, r"HADD2\.F32": 128},
    "byte_permute": {"PRMT": 64},
    "exp2": {r"MUFU\.EX2": 64},
    "fma": {"FFMA": 64},
    "ldmatrix": {r"LDSM\.16\.M88\.4": 64},
    "ldmatrix_trans": {r"LDSM\.16\.MT88\.4": 64},
    "stmatrix": {r"STSM\.16\.M88\.4": 64},
}


def claims(variant):
    family, _, text = variant.partition(":")
    axes = dict(pair.split("=") for pair in text.split(","))
    if family == "ceiling_rate":
        return RATES[axes["op"]]
    if family == "ceiling_wgmma":
        found = {"QGMMA" if axes["kind"] == "e4m3" else "HGMMA": 16}
        if axes["loads"] == "ldmatrix":
            found["LDSM"] = 16
        return found
    if family == "ceiling_read":
        return {r"UBLKCP\.S\.G" + (r"\.MULTICAST" if axes["cluster"] != "1" else ""): None}
    if family == "ceiling_copy":
        return {r"UBLKCP\.G\.S": None}
    return {}


def instructions(nvdisasm, cubin):
    """(address, name, target of a branch or None) of each instruction."""
    text = subprocess.run([nvdisasm, cubin], capture_output=True, text=True, check=True).stdout
    labels, pending, found = {}, [], []
    for line in text.splitlines():
        label = re.match(r"\s*(\.L_\w+):", line)
        if label:
            pending.append(label.group(1))
        code = re.match(r"\s+/\*([0-9a-f]+)\*/\s+(?:@!?U?P\w+\s+)?([A-Z][A-Z0-9_.]*)(.*)", line)
        if code:
            at = int(code.group(1), 16)
            labels.update((name, at) for name in pending)
            pending = []
            target = re.search(r"\((\.L_\w+)\)", code.group(3))
            found.append((at, code.group(2), target.group(1) if target else None))
    return [(at, name, labels.get(target)) for at, name, target in found]


def loop_counts(code, pattern):
    """How often the pattern occurs in each innermost loop that has it."""
    spans = [(target, at) for at, name, target in code if name.startswith("BRA") and target is not None and target < at]
    holds = {span: sum(1 for at, name, _ in code if span[0] <= at <= span[1] and re.match(pattern, name)) for span in spans}
    inner = [s for s in spans if holds[s] and not any(o != s and s[0] <= o[0] and o[1] <= s[1] and holds[o] for o in spans)]
    return [holds[s] for s in inner]


def main():
    program, ceilings, nvdisasm, directory = sys.argv[1:5]
    listed = subprocess.run([ceilings, "--list"], capture_output=True, text=True, check=True).stdout.split()
    variants = sorted(set(listed)) + ["ceiling_clock:threads=32", "ceiling_flush:by=reading", "ceiling_flush:by=writing"]
    arguments = [word for variant in variants for word in ("--variant", variant)]
    built = subprocess.run([program, "build", "--json", "--target", "sm90a", "--templates", TEMPLATES, "-o", directory,
                            *arguments], capture_output=True, text=True, check=False)
    if built.returncode:
        sys.exit(f"build failed ({built.returncode}): {built.stderr}{built.stdout}")
    kernels = json.loads(built.stdout)
    failures = []
    for kernel in kernels:
        variant = kernel["variant"]
        if kernel["warnings"] or kernel["serialized_wgmma"] or kernel["spill_bytes"]:
            failures.append(f"{variant}: spills, warnings or serialised wgmma")
        cubin = pathlib.Path(directory) / (re.sub("[:,]", "-", variant).replace("=", "_") + ".cubin")
        code = instructions(nvdisasm, cubin)
        for pattern, count in claims(variant).items():
            seen = loop_counts(code, pattern)
            if not seen or (count is not None and seen != [count]):
                failures.append(f"{variant}: {pattern} {seen} times in its inner loops, {count or 'some'} are claimed")
    if len(kernels) != len(variants):
        failures.append(f"{len(variants)} variants, but {len(kernels)} kernels")
    print(f"{len(kernels)} kernels looked at")
    print(*failures, sep="\n")
    sys.exit(1 if failures else 0)


if __name__ == "__main__":
    main()
