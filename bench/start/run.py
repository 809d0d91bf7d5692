#!/usr/bin/env python3
"""run.py PROGRAM: time to the first kernel, each figure the median of fresh processes, beside its target.

PROGRAM is snapmla-bench-start. With --cutlass DIR, where CUTLASS's sources are (in the wheel nvidia-cutlass: cutlass_library/source),
its Hopper FMHA example is compiled by nvcc beside; with nvcc alone, our own decode kernel expanded to a .cu."""

import argparse
import os
import resource
import shutil
import statistics
import subprocess
import sys
import tempfile
import time

PUBLISHED = "published: 50 to 96 s of one core for a CUTLASS-style kernel"


def measure(program, words, cache, attempts=1):
    """Names and medians of what `words` prints in fresh processes; None where something to run on is missing."""
    runs = []
    for _ in range(attempts):
        environment = dict(os.environ, SNAPMLA_CACHE_DIR=cache)
        done = subprocess.run([program, *words], env=environment, capture_output=True, text=True, check=False)
        if done.returncode == 3:
            print(f"not measured: {done.stderr.strip()}")
            return None
        if done.returncode:
            sys.exit(f"{' '.join(words)} failed: {done.stderr.strip()}")
        runs.append(dict(line.split() for line in done.stdout.splitlines()))
    return {name: statistics.median(float(run[name]) for run in runs) for name in runs[0]}


def cold(program, words, attempts):
    """The same, each time with an empty store."""
    results = []
    for _ in range(attempts):
        with tempfile.TemporaryDirectory() as cache:
            results.append(measure(program, words, cache))
            if results[-1] is None:
                return None
    return {name: statistics.median(result[name] for result in results) for name in results[0]}


def compile_by_nvcc(nvcc, words, source):
    """Wall time and processor time of a compilation, or why it failed."""
    with tempfile.TemporaryDirectory() as folder:
        command = [nvcc, "-arch=sm_90a", "-O3", "-std=c++17", *words, "-cubin", "-o", os.path.join(folder, "x.cubin"), source]
        before, start = resource.getrusage(resource.RUSAGE_CHILDREN), time.monotonic()
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        took, after = time.monotonic() - start, resource.getrusage(resource.RUSAGE_CHILDREN)
    if done.returncode:
        reason = (done.stderr or done.stdout).strip().splitlines() or ["no reason given"]
        return None, f"nvcc failed: {reason[0]}"
    return took, after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


def row(name, seconds, target=None):
    """One line; the target in the unit of the figure."""
    unit, factor = ("s", 1) if seconds >= 1 else ("ms", 1e3) if seconds >= 1e-3 else ("us", 1e6)
    verdict = "" if target is None else f"target {target * factor:g} {unit}: {'met' if seconds < target else 'MISSED'}"
    print(f"{name:58} {seconds * factor:9.3f} {unit:2}  {verdict}".rstrip())


def measure_device(program, device, repeat, folder):
    """Plans and execution on a device."""
    target = "emulator" if device == "emulator" else "sm90a"
    pack, cache = os.path.join(folder, f"{target}.smlapack"), os.path.join(folder, "cache-" + target)
    kernels = cold(program, ["kernels-" + target], repeat)
    if kernels:
        row(f"five kernels for {target}, expanded and compiled, no store", kernels["kernels"])
        if device != "emulator":  # the host's compiler is a process of its own, whose time is not in there
            row("  processor time of that", kernels["kernels_cpu"])
        measure(program, ["kernels-" + target, pack], cache)
    first = cold(program, ["plan", device], repeat)
    if first is None:
        return
    row(f"ESTIMATE plan on {device}, empty store", first["plan"], 3)
    measure(program, ["plan", device], cache)
    warm = measure(program, ["plan", device], cache, max(repeat, 5))
    row(f"ESTIMATE plan on {device}, warm store", warm["plan"], 0.02)
    row("  processor time of that", warm["plan_cpu"])
    packed = measure(program, ["pack", f"{device}={pack}"], cache, max(repeat, 5))
    row(f"plan from a pack on {device}, modules' loading not counted", packed["pack"], 0.005)
    if device != "stand-in":  # which loads nothing
        row(f"plan from a pack on {device}, with it", packed["pack_with_load"])
    executed = measure(program, ["execute", device], cache, repeat)
    row(f"processor time of execute on {device}, launches not counted", executed["execute"], 3e-6)


def measure_nvcc(arguments, folder):
    """What compiling ahead with nvcc takes."""
    nvcc = shutil.which("nvcc")
    print(PUBLISHED)
    if not nvcc:
        print("not measured here: there is no nvcc")
        return
    if arguments.cutlass:
        root, example = arguments.cutlass, os.path.join(arguments.cutlass, "examples", "88_hopper_fmha")
        includes = [os.path.join(root, "include"), os.path.join(root, "tools", "util", "include"),
                    os.path.join(root, "examples", "common"), example, os.path.join(example, "collective")]
        words = ["--expt-relaxed-constexpr", *("-I" + path for path in includes)]
        took, used = compile_by_nvcc(nvcc, words, os.path.join(example, "88_hopper_fmha.cu"))
        if took is None:
            print(used)
        else:
            row("nvcc, CUTLASS's Hopper FMHA example (all its kernels)", took)
            row("  processor time of that", used)
    program = os.path.join(os.path.dirname(arguments.program), "snapmla")
    if os.path.exists(program):
        source = os.path.join(folder, "decode.cu")
        subprocess.run([program, "gen", "--heads", "64", "--family", "mla_decode", "-o", source], check=True,
                       capture_output=True)
        took, used = compile_by_nvcc(nvcc, [], source)
        if took is None:
            print(used)
        else:
            row("nvcc, our own decode kernel", took)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("program")
    parser.add_argument("--device", action="append", help="emulator, stand-in, cuda:0 (all; repeatable)")
    parser.add_argument("--repeat", type=int, default=3, help="fresh processes per figure (3)")
    parser.add_argument("--nvcc", action="store_true", help="compile with nvcc too: a minute or more")
    parser.add_argument("--cutlass", help="CUTLASS's sources; implies --nvcc")
    arguments = parser.parse_args()
    load = os.getloadavg()[0]
    print(f"{os.cpu_count()} processors, load {load:.1f}")
    with tempfile.TemporaryDirectory() as folder:
        expanded = measure(arguments.program, ["expand"], folder)
        row("expansion of a variant, processor time, mean", expanded["expand_mean"], 0.005)
        row("expansion of a variant, processor time, the slowest", expanded["expand_most"])
        for device in arguments.device or ["emulator", "stand-in", "cuda:0"]:
            measure_device(arguments.program, device, arguments.repeat, folder)
        if arguments.nvcc or arguments.cutlass:
            measure_nvcc(arguments, folder)


if __name__ == "__main__":
    main()
